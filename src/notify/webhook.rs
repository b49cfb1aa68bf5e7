//! One webhook over HTTP: signed, without redirects, under one deadline, with a bounded answer.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url};

use crate::config::{self, WebhookFormat};

use super::NotifyError;
use super::lane::{At, Failure, Retry};
use super::signature::Key;

/// What is read of an answer before the connection is given up.
const ANSWER_MAX: usize = 64 * 1024;
/// A receiver cannot ask for a longer pause than this.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

pub struct Webhooks {
    client: Client,
    step: Duration,
    hooks: BTreeMap<String, Hook>,
}

struct Hook {
    url: Url,
    key: Option<Key>,
}

impl Webhooks {
    pub fn new(webhooks: &BTreeMap<String, config::Webhook>, step: Duration) -> Result<Self, NotifyError> {
        let mut hooks = BTreeMap::new();
        for (name, webhook) in webhooks {
            hooks.insert(name.clone(), hook(name, webhook)?);
        }
        // Whoever comes first installs it; a second call says so and changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("atalaya/", env!("CARGO_PKG_VERSION")))
            .pool_idle_timeout(Duration::from_secs(20));
        if hooks.values().all(|hook| hook.url.scheme() == "http") {
            // Nothing here speaks TLS: a machine without certificates must not be a reason to fail.
            builder = builder.tls_certs_only([]);
        }
        let client = builder.build().map_err(|error| NotifyError::Client { why: chain(&error) })?;
        Ok(Webhooks { client, step, hooks })
    }

    pub async fn send(&self, name: &str, id: &str, body: &str) -> Result<(), Failure> {
        let Some(hook) = self.hooks.get(name) else {
            return Err(Failure::never(&format!("webhook `{name}` is not in the configuration; add it to `webhooks`")));
        };
        // Its URL may hold a token, so messages name the webhook and its host alone.
        let place = format!("webhook {name} at {}", hook.url.host_str().unwrap_or("?"));
        match tokio::time::timeout(self.step, self.exchange(hook, id, body)).await {
            Err(_) => {
                let why = format!("{place} did not answer within {} s; check that it is up", self.step.as_secs_f64());
                Err(Failure { why, retry: Retry::Later, at: At::Destination })
            }
            Ok(Err(error)) => {
                let why = format!(
                    "{place} cannot be reached: {}; check its url and that it is up",
                    chain(&error.without_url())
                );
                Err(Failure { why, retry: Retry::Later, at: At::Destination })
            }
            Ok(Ok((status, headers))) => judge(&place, status, &headers),
        }
    }

    async fn exchange(&self, hook: &Hook, id: &str, body: &str) -> Result<(StatusCode, HeaderMap), reqwest::Error> {
        let timestamp = crate::clock::now().0.div_euclid(1000);
        let mut request = self
            .client
            .post(hook.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp.to_string());
        if let Some(signature) = hook.key.as_ref().and_then(|key| key.sign(id, timestamp, body)) {
            request = request.header("webhook-signature", signature);
        }
        let mut answer = request.body(body.to_owned()).send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        // The answer's text means nothing to us; it is read so that the connection can be used again. What fails here
        // fails after the receiver has decided.
        let mut read = 0;
        while let Ok(Some(chunk)) = answer.chunk().await {
            read += chunk.len();
            if read > ANSWER_MAX {
                break;
            }
        }
        Ok((status, headers))
    }
}

fn hook(name: &str, webhook: &config::Webhook) -> Result<Hook, NotifyError> {
    match webhook.format {
        WebhookFormat::Generic => {}
    }
    let bad = |why: String| NotifyError::Url { webhook: name.to_owned(), why };
    let url = Url::parse(&webhook.url).map_err(|error| bad(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(bad(format!("its scheme is {}", url.scheme())));
    }
    let key = match &webhook.secret {
        Some(secret) => Some(Key::new(secret).ok_or_else(|| NotifyError::Secret { webhook: name.to_owned() })?),
        None => None,
    };
    Ok(Hook { url, key })
}

fn judge(place: &str, status: StatusCode, headers: &HeaderMap) -> Result<(), Failure> {
    if status.is_success() {
        return Ok(());
    }
    let later = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    let retry = match pause(headers) {
        _ if !later => Retry::Never,
        Some(pause) => Retry::After(pause),
        None => Retry::Later,
    };
    let hint = if status.is_redirection() {
        "; redirects are not followed: set its url to the final address"
    } else if later {
        ""
    } else if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        "; check its secret"
    } else {
        "; check its url"
    };
    Err(Failure { why: format!("{place} answers {status}{hint}"), retry, at: At::Destination })
}

/// `Retry-After`: seconds, or a date.
fn pause(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_millisecond();
            Duration::from_millis(u64::try_from(at - crate::clock::now().0).unwrap_or(0))
        }
    };
    Some(pause.min(PAUSE_MAX))
}

/// An error with its causes: reqwest's own text leaves out what matters.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    crate::notice::clean(&text, 300, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged() {
        for (status, retry_after, expected) in [
            (200, None, None),
            (204, None, None),
            (301, None, Some(Retry::Never)),
            (400, None, Some(Retry::Never)),
            (404, Some("5"), Some(Retry::Never)),
            (408, None, Some(Retry::Never)),
            (429, None, Some(Retry::Later)),
            (429, Some("120"), Some(Retry::After(Duration::from_secs(120)))),
            (429, Some("999999999"), Some(Retry::After(PAUSE_MAX))),
            (429, Some("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Retry::After(Duration::ZERO))),
            (429, Some("soon"), Some(Retry::Later)),
            (500, None, Some(Retry::Later)),
            (503, Some("7"), Some(Retry::After(Duration::from_secs(7)))),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(text) = retry_after {
                headers.insert(RETRY_AFTER, text.parse().unwrap());
            }
            let result = judge("webhook x at y", StatusCode::from_u16(status).unwrap(), &headers);
            assert_eq!(result.err().map(|failure| failure.retry), expected, "{status} {retry_after:?}");
        }
    }
}
