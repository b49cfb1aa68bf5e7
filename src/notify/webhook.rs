//! Webhooks over HTTP: each with its own way out, without redirects, under one deadline, with a bounded answer.
//!
//! Bodies come rendered; what only the sender knows is added here: a signature, a key, a chat, until when an alert is valid.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Certificate, Client, Proxy, StatusCode, Url};
use serde_json::Value;

use crate::config::{self, WebhookFormat, is_forbidden};
use crate::notice::hooks::alertmanager::Firing;

use super::NotifyError;
use super::alertmanager::{Waiting, stamp};
use super::lane::{At, Failure, Retry};
use super::resolver::{Forbidden, Guard};
use super::signature::Key;

/// What is read of an answer before the connection is given up, and what of it may be quoted.
const ANSWER_MAX: usize = 64 * 1024;
const WORDS_MAX: usize = 300;
/// A receiver cannot ask for a longer pause than this.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

pub struct Webhooks {
    step: Duration,
    hooks: BTreeMap<String, Hook>,
}

struct Hook {
    format: WebhookFormat,
    client: Client,
    url: Url,
    /// Of a generic one.
    key: Option<Key>,
    authorization: Option<HeaderValue>,
    /// A field of the body that is not rendered: the routing key, the chat.
    field: Option<(&'static str, Value)>,
    /// What no message may repeat.
    secrets: Vec<String>,
    /// An Alertmanager hears the end of an alert after all that was said of it before.
    turn: tokio::sync::Mutex<()>,
    waiting: Waiting,
}

/// What came back.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Webhooks {
    pub fn new(webhooks: &BTreeMap<String, config::Webhook>, step: Duration) -> Result<Self, NotifyError> {
        let mut hooks = BTreeMap::new();
        for (name, webhook) in webhooks {
            hooks.insert(name.clone(), hook(name, webhook, Guard::new(webhook.allow_link_local))?);
        }
        Ok(Webhooks { step, hooks })
    }

    pub async fn send(&self, name: &str, id: &str, body: &str) -> Result<(), Failure> {
        let Some(hook) = self.hooks.get(name) else {
            return Err(Failure::never(&format!("webhook `{name}` is not in the configuration; add it to `webhooks`")));
        };
        let _turn = match hook.format {
            WebhookFormat::Alertmanager => Some(hook.turn.lock().await),
            _ => None,
        };
        self.deliver(name, hook, id, body).await
    }

    /// A notice of this incident is on its way: what a round that waits says of it is older.
    pub fn strike(&self, name: &str, incident: &std::sync::Arc<str>) {
        if let Some(hook) = self.hooks.get(name) {
            hook.waiting.strike(incident);
        }
    }

    /// Puts a round of alerts in the place of one that waits; [`Webhooks::send_round`] sends it.
    pub fn put_round(&self, name: &str, round: Vec<Firing>) {
        if let Some(hook) = self.hooks.get(name) {
            hook.waiting.put(round);
        }
    }

    /// Sends what waits of a round. The rest of one that fails is left to the next.
    pub async fn send_round(&self, name: &str) -> Result<(), Failure> {
        let Some(hook) = self.hooks.get(name) else { return Ok(()) };
        loop {
            let _turn = hook.turn.lock().await;
            let Some(batch) = hook.waiting.next() else { return Ok(()) };
            let sent = self.deliver(name, hook, "", &batch.to_string()).await;
            if sent.is_err() {
                hook.waiting.put(Vec::new());
                return sent;
            }
        }
    }

    async fn deliver(&self, name: &str, hook: &Hook, id: &str, body: &str) -> Result<(), Failure> {
        // Its URL may hold a token, so messages name the webhook and its host alone.
        let place = format!("webhook {name} at {}", hook.url.host_str().unwrap_or("?"));
        match tokio::time::timeout(self.step, hook.exchange(id, body)).await {
            Err(_) => {
                let why = format!("{place} did not answer within {} s; check that it is up", self.step.as_secs_f64());
                Err(Failure { why, retry: Retry::Later, at: At::Destination })
            }
            Ok(Err(error)) => Err(unreachable(&place, error)),
            Ok(Ok(answer)) => judge(&place, hook, &answer),
        }
    }
}

impl Hook {
    async fn exchange(&self, id: &str, body: &str) -> Result<Answer, reqwest::Error> {
        let now = crate::clock::now();
        let body = self.finish(body, now);
        let mut request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json; charset=utf-8");
        if self.format == WebhookFormat::Generic {
            let timestamp = now.0.div_euclid(1000);
            request = request.header("webhook-id", id).header("webhook-timestamp", timestamp.to_string());
            if let Some(signature) = self.key.as_ref().and_then(|key| key.sign(id, timestamp, &body)) {
                request = request.header("webhook-signature", signature);
            }
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let mut answer = request.body(body).send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        // It is read to its end so that the connection can be used again. What fails here fails after the receiver has
        // decided.
        let (mut read, mut kept) = (0, Vec::new());
        while let Ok(Some(chunk)) = answer.chunk().await {
            read += chunk.len();
            if read > ANSWER_MAX {
                break;
            }
            kept.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body: String::from_utf8_lossy(&kept).into_owned() })
    }

    /// The body with what is not rendered.
    fn finish(&self, body: &str, now: crate::domain::Timestamp) -> String {
        if self.field.is_none() && self.format != WebhookFormat::Alertmanager {
            return body.to_owned();
        }
        let Ok(mut value) = serde_json::from_str::<Value>(body) else { return body.to_owned() };
        if self.format == WebhookFormat::Alertmanager {
            stamp(&mut value, now);
        }
        if let (Some((name, text)), Some(fields)) = (&self.field, value.as_object_mut()) {
            fields.insert((*name).to_owned(), text.clone());
        }
        value.to_string()
    }

    /// The receiver's words, as they may be shown.
    fn words(&self, answer: &Answer) -> String {
        let mut text = answer.body.clone();
        for secret in &self.secrets {
            text = text.replace(secret, "[secret]");
        }
        let text = crate::notice::clean(text.trim(), WORDS_MAX, false);
        if text.is_empty() { text } else { format!(": {text}") }
    }
}

fn hook(name: &str, webhook: &config::Webhook, guard: Guard) -> Result<Hook, NotifyError> {
    let bad = |why: String| NotifyError::Url { webhook: name.to_owned(), why };
    let no_secret = || NotifyError::Secret { webhook: name.to_owned() };
    let secret = webhook.secret.as_ref().map(|secret| secret.expose().trim().to_owned());
    let required = || secret.clone().ok_or_else(|| NotifyError::NoSecret { webhook: name.to_owned() });
    let mut written = webhook.url.expose().to_owned();
    let (mut key, mut authorization, mut field) = (None, None, None);
    match webhook.format {
        WebhookFormat::Generic => {
            key = webhook.secret.as_ref().map(|secret| Key::new(secret).ok_or_else(no_secret)).transpose()?;
        }
        WebhookFormat::Alertmanager => {
            written = format!("{}/api/v2/alerts", written.trim_end_matches('/'));
            let bearer = secret.as_ref().map(|token| HeaderValue::from_str(&format!("Bearer {token}")));
            authorization = bearer.transpose().map_err(|_| NotifyError::NoSecret { webhook: name.to_owned() })?;
            authorization.iter_mut().for_each(|header| header.set_sensitive(true));
        }
        WebhookFormat::Pagerduty => field = Some(("routing_key", required()?.into())),
        WebhookFormat::Telegram => {
            written = format!("{}/bot{}/sendMessage", written.trim_end_matches('/'), required()?);
            let chat = webhook.chat.as_deref().unwrap_or_default();
            field = Some(("chat_id", chat.parse::<i64>().map_or_else(|_| chat.into(), Value::from)));
        }
        WebhookFormat::Slack | WebhookFormat::Teams | WebhookFormat::GoogleChat => {}
    }
    // The parser's words may quote the address, which may be a secret.
    let mut url = Url::parse(&written).map_err(|_| bad("it does not read as one".to_owned()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(bad(format!("its scheme is {}", url.scheme())));
    }
    if let Some(address) = forbidden_literal(&url, webhook) {
        return Err(bad(format!("{address} is a link-local or metadata address; `allow_link_local: true` allows it")));
    }
    if webhook.format == WebhookFormat::GoogleChat && !url.query().unwrap_or("").contains("messageReplyOption") {
        // A thread of that key is gone on with, or begun.
        url.query_pairs_mut().append_pair("messageReplyOption", "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD");
    }
    let proxy = webhook.proxy.as_ref().map(|proxy| proxy.expose().to_owned());
    let secrets = [secret, proxy, Some(written), Some(url.path().to_owned()), url.query().map(str::to_owned)];
    let secrets = secrets.into_iter().flatten().filter(|text| text.len() > 4).collect();
    let client = client(name, webhook, &url, guard)?;
    let (turn, waiting) = Default::default();
    Ok(Hook { format: webhook.format, client, url, key, authorization, field, secrets, turn, waiting })
}

/// The address that stands in `url` itself, if it may not be spoken to. Names are looked at when they are looked up.
fn forbidden_literal(url: &Url, webhook: &config::Webhook) -> Option<IpAddr> {
    let host: IpAddr = url.host_str()?.trim_matches(['[', ']']).parse().ok()?;
    (is_forbidden(host) && !webhook.allow_link_local).then_some(host)
}

fn client(name: &str, webhook: &config::Webhook, url: &Url, guard: Guard) -> Result<Client, NotifyError> {
    // Whoever comes first installs it; a second call says so and changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .dns_resolver(guard)
        .user_agent(concat!("atalaya/", env!("CARGO_PKG_VERSION")))
        .pool_idle_timeout(Duration::from_secs(20));
    if let Some(proxy) = &webhook.proxy {
        let bad = || NotifyError::Proxy { webhook: name.to_owned() };
        let proxy = Url::parse(proxy.expose()).map_err(|_| bad())?;
        if !matches!(proxy.scheme(), "http" | "https") || forbidden_literal(&proxy, webhook).is_some() {
            return Err(bad());
        }
        builder = builder.proxy(Proxy::all(proxy).map_err(|_| bad())?);
    }
    if let Some(path) = &webhook.ca_file {
        let bad = |why: String| NotifyError::HookCaFile { webhook: name.to_owned(), path: path.clone(), why };
        let pem = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| bad(chain(&error)))?;
        if certificates.is_empty() {
            return Err(bad("it holds no certificate".to_owned()));
        }
        builder = builder.tls_certs_merge(certificates);
    } else if url.scheme() == "http" && webhook.proxy.is_none() {
        // Nothing here speaks TLS: a machine without certificates must not be a reason to fail.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| NotifyError::Client { why: chain(&error) })
}

/// Why there was no answer. An address that may not be spoken to is not tried again: somebody must say what is meant.
fn unreachable(place: &str, error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(inner) = cause {
        if let Some(forbidden) = inner.downcast_ref::<Forbidden>() {
            let why = format!("{place} is not spoken to: {forbidden}");
            return Failure { why, retry: Retry::Never, at: At::Destination };
        }
        cause = inner.source();
    }
    let text = chain(&error);
    let hint = match text.contains("certificate") || text.contains("UnknownIssuer") {
        true => "name the authority that signed it as `ca_file`, or give the name as it stands in its certificate",
        false => "check its url and that it is up",
    };
    let why = format!("{place} cannot be reached: {text}; {hint}");
    Failure { why, retry: Retry::Later, at: At::Destination }
}

fn judge(place: &str, hook: &Hook, answer: &Answer) -> Result<(), Failure> {
    let status = answer.status;
    if status.is_success() {
        return Ok(());
    }
    let later = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    let retry = match pause(answer) {
        _ if !later => Retry::Never,
        Some(pause) => Retry::After(pause),
        None => Retry::Later,
    };
    let hint = if status.is_redirection() {
        let to = answer.headers.get(LOCATION).and_then(|to| hook.url.join(to.to_str().ok()?).ok());
        let to = to.map_or_else(String::new, |to| format!(" to {}", to.origin().ascii_serialization()));
        format!("{to}; redirects are not followed: set its url to the final address")
    } else if later {
        hook.words(answer)
    } else if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        format!("{}; check its secret", hook.words(answer))
    } else {
        format!("{}; check its url", hook.words(answer))
    };
    Err(Failure { why: format!("{place} answers {status}{hint}"), retry, at: At::Destination })
}

/// `Retry-After`: seconds, or a date. Telegram says it in the body.
fn pause(answer: &Answer) -> Option<Duration> {
    let Some(header) = answer.headers.get(RETRY_AFTER) else {
        let body: Value = serde_json::from_str(&answer.body).ok()?;
        let seconds = body.pointer("/parameters/retry_after")?.as_u64()?;
        return Some(Duration::from_secs(seconds).min(PAUSE_MAX));
    };
    let text = header.to_str().ok()?.trim();
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

    use std::net::SocketAddr;
    use std::sync::Arc;

    fn plain(url: &str) -> Hook {
        let webhook = config::Webhook::new(WebhookFormat::Slack, url);
        hook("x", &webhook, Guard::new(false)).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn answers_are_judged() {
        let hook = plain("http://y.example/services/T0K3N");
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
            let answer = Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: String::new() };
            let result = judge("webhook x at y", &hook, &answer);
            assert_eq!(result.err().map(|failure| failure.retry), expected, "{status} {retry_after:?}");
        }
    }

    #[test]
    fn the_receivers_words_are_told_without_secrets() {
        let hook = plain("https://hooks.example/services/T0K3N?key=ABCDEF");
        let said = |status: u16, location: Option<&str>, body: &str| {
            let headers = location.map(|to| (LOCATION, HeaderValue::from_str(to).unwrap())).into_iter().collect();
            let answer = Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: body.to_owned() };
            let failure = judge("webhook x at hooks.example", &hook, &answer).unwrap_err();
            assert!(!failure.why.contains("T0K3N") && !failure.why.contains("ABCDEF"), "{}", failure.why);
            (failure.why, failure.retry)
        };
        let (why, retry) = said(404, None, "no service at /services/T0K3N?key=ABCDEF\r\n");
        assert_eq!(retry, Retry::Never);
        assert_eq!(
            why,
            "webhook x at hooks.example answers 404 Not Found: no service at [secret]?[secret]; check its url"
        );
        let (why, retry) = said(302, Some("https://login.example/?next=T0K3N"), "<html>");
        assert_eq!(retry, Retry::Never);
        assert!(why.contains("302 Found to https://login.example; redirects are not followed"), "{why}");
        let (_, retry) = said(429, None, r#"{"ok":false,"parameters":{"retry_after":35}}"#);
        assert_eq!(retry, Retry::After(Duration::from_secs(35)));
    }

    /// Takes one request and answers 204.
    async fn receiver() -> SocketAddr {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
            }
        });
        addr
    }

    #[tokio::test]
    async fn a_name_that_leads_to_a_forbidden_address_is_not_spoken_to() {
        let port = receiver().await.port();
        let url = format!("http://desk.example:{port}/hook");
        for (found, allow, sent) in [
            (&["127.0.0.1"][..], false, true),
            (&["169.254.169.254", "127.0.0.1"], false, true),
            (&["169.254.169.254"], false, false),
            (&["fe80::1", "fd00:ec2::254"], false, false),
            (&["169.254.169.254", "127.0.0.1"], true, true),
        ] {
            let addresses: Vec<SocketAddr> = found.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect();
            let guard = Guard::with(
                Arc::new(move |_| {
                    let addresses = addresses.clone();
                    Box::pin(async move { Ok(addresses) })
                }),
                allow,
            );
            let made = hook("desk", &config::Webhook::new(WebhookFormat::Slack, &url), guard);
            let hooks = BTreeMap::from([("desk".to_owned(), made.unwrap_or_else(|error| panic!("{error}")))]);
            let webhooks = Webhooks { step: Duration::from_secs(5), hooks };
            let result = webhooks.send("desk", "", "{}").await;
            assert_eq!(result.is_ok(), sent, "{found:?}: {result:?}");
            if let Err(failure) = result {
                assert_eq!(failure.retry, Retry::Never);
                assert!(failure.why.contains("desk.example leads to") && failure.why.contains("allow_link_local"));
            }
        }
    }

    #[test]
    fn a_literal_forbidden_address_is_refused_however_it_is_written() {
        for host in ["169.254.169.254", "0xa9fea9fe", "2852039166", "[fe80::1]", "[::ffff:169.254.169.254]"] {
            let mut webhook = config::Webhook::new(WebhookFormat::Generic, &format!("http://{host}/latest"));
            let error = hook("x", &webhook, Guard::new(false)).err().unwrap_or_else(|| panic!("{host} is taken"));
            assert!(error.to_string().contains("allow_link_local"), "{error}");
            webhook.allow_link_local = true;
            assert!(hook("x", &webhook, Guard::new(true)).is_ok(), "{host}");
        }
    }
}
