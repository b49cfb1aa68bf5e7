//! Webhooks over HTTP: each with its own way out, without redirects, under one deadline, with a bounded answer.
//!
//! Bodies come rendered; what only the sender knows is added here: a signature, a key, a chat, until when an alert is valid.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Certificate, Client, Proxy, Url};
use serde_json::Value;

use crate::config::{self, WebhookFormat, is_forbidden};
use crate::notice::hooks::alertmanager::Firing;

use super::NotifyError;
use super::alertmanager::{Waiting, stamp};
use super::answer::{self, Answer, chain};
use super::lane::{At, Failure, Retry};
use super::resolver::Guard;
use super::signature::Key;

/// What is read of an answer before the connection is given up.
const ANSWER_MAX: usize = 64 * 1024;

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
            Ok(Err(error)) => Err(answer::unreachable(&place, error)),
            Ok(Ok(answer)) => answer.judge(&place, &hook.url, &hook.secrets),
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
    let parsed = proxy.as_ref().and_then(|proxy| Url::parse(proxy).ok());
    let proxy_password = parsed.and_then(|proxy| proxy.password().map(str::to_owned));
    let secrets =
        [secret, proxy, proxy_password, Some(written), Some(url.path().to_owned()), url.query().map(str::to_owned)];
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

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::SocketAddr;
    use std::sync::Arc;

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
