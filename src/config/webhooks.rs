//! The webhooks of the configuration: for each its format, where it goes and how, and its secret.
//!
//! What each format needs stands in one place, `needs`. Many services hide the right to write in the address itself, so the
//! address is a secret too and may stand in a file (`url_file`).

// The addresses alone, without the sockets of `std::net`.
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::collections::BTreeMap;

use super::load::ReadFile;
use super::node::Node;
use super::outside::{NoAddress, host_of, secret, secret_file, web_address};
use super::reader::{Fields, Mark, Report, map, text, word};
use super::{Secret, WebhookFormat};

#[derive(Clone, Debug)]
pub struct Webhook {
    pub format: WebhookFormat,
    /// Empty where secrets were left out.
    pub url: Secret,
    /// Of `generic` `whsec_` + base64, of `pagerduty` the routing key, of `telegram` the token of the bot, of `alertmanager` a
    /// bearer token.
    pub secret: Option<Secret>,
    /// Of `telegram`: the chat, as a number or `@channel`.
    pub chat: Option<String>,
    /// PEM file of an additional certificate authority.
    pub ca_file: Option<String>,
    /// It may hold a user and a password.
    pub proxy: Option<Secret>,
    /// Addresses that [`is_forbidden`] names may be spoken to.
    pub allow_link_local: bool,
}

impl Webhook {
    /// Without a secret, a proxy or anything else that is optional.
    pub fn new(format: WebhookFormat, url: &str) -> Self {
        let url = Secret::new(url);
        Webhook { format, url, secret: None, chat: None, ca_file: None, proxy: None, allow_link_local: false }
    }
}

/// What a format asks for.
struct Needs {
    /// The address where none is given.
    url: Option<&'static str>,
    /// Whoever knows the address may write.
    url_is_secret: bool,
    secret: Use,
    chat: bool,
}

enum Use {
    /// Why, and how to come by it.
    Required(&'static str),
    Optional,
    None,
}

fn needs(format: WebhookFormat) -> Needs {
    let plain = Needs { url: None, url_is_secret: false, secret: Use::Optional, chat: false };
    match format {
        WebhookFormat::Generic | WebhookFormat::Alertmanager => plain,
        WebhookFormat::Pagerduty => Needs {
            url: Some("https://events.pagerduty.com/v2/enqueue"),
            secret: Use::Required("a file with the integration key of the service: Integrations, Events API V2"),
            ..plain
        },
        WebhookFormat::Slack | WebhookFormat::Teams | WebhookFormat::GoogleChat => {
            Needs { url_is_secret: true, secret: Use::None, ..plain }
        }
        WebhookFormat::Telegram => Needs {
            url: Some("https://api.telegram.org"),
            secret: Use::Required("a file with the token that @BotFather gave the bot"),
            chat: true,
            ..plain
        },
    }
}

const KEYS: [&str; 10] = [
    "format",
    "url",
    "url_file",
    "secret",
    "secret_file",
    "chat",
    "ca_file",
    "proxy",
    "proxy_file",
    "allow_link_local",
];

pub(super) fn webhooks(
    node: &Node,
    files: &mut Option<ReadFile<'_>>,
    report: &mut Report,
) -> BTreeMap<String, Webhook> {
    let mut all = BTreeMap::new();
    for entry in map(node, "`webhooks`", report).unwrap_or_default() {
        let read = webhook(&entry.key, &entry.value, entry.key_at, files, report);
        // One with a defect is there all the same: who names it makes no second one.
        let webhook = read.unwrap_or_else(|| Webhook::new(WebhookFormat::Generic, ""));
        all.insert(entry.key.to_string(), webhook);
    }
    all
}

fn webhook(
    name: &str,
    node: &Node,
    at: Mark,
    files: &mut Option<ReadFile<'_>>,
    report: &mut Report,
) -> Option<Webhook> {
    let fields = Fields::new(node, "a webhook", &KEYS, report)?;
    let format = fields
        .get("format")
        .map_or(Some(WebhookFormat::Generic), |node| word(node, "format", &WebhookFormat::ALL, report));
    let needs = needs(format?);
    let format = format?;
    let url = url(&fields, &needs, files, report);
    let secret = secret(&fields, "secret", files, report);
    let given = ["secret", "secret_file"].iter().find_map(|key| fields.get(key));
    match (&needs.secret, given) {
        (Use::Required(hint), None) => {
            report.error(at, format!("the webhook `{name}` has no `secret_file`"), *hint);
        }
        (Use::None, Some(node)) => {
            let what = format!("a webhook of this format has no secret: `{name}` is known by its address");
            report.error(node.at, what, "write the address into a file and name that with `url_file`");
        }
        (Use::Optional, None) if format == WebhookFormat::Generic => {
            let what = format!("the webhook `{name}` has no secret: its requests are not signed");
            report.warning(at, what, "write `secret_file:`");
        }
        _ => {}
    }
    if let Some((secret, at)) = &secret {
        check_secret(name, format, secret, *at, report);
    }
    let chat = match fields.get("chat") {
        Some(node) if needs.chat => text(node, "chat", report).map(|chat| chat.to_string()),
        Some(node) => {
            report.error(node.at, format!("a webhook of this format has no `chat`, and `{name}` has one"), "remove it");
            None
        }
        None if needs.chat => {
            report.error(at, format!("the webhook `{name}` has no `chat`"), "as -1001234567890 or @channel");
            None
        }
        None => None,
    };
    let proxy = match fields.get("proxy_file") {
        Some(node) => secret_file(node, "proxy_file", files, report),
        None => fields.get("proxy").and_then(|node| web_address(node, "proxy", report)).map(|proxy| Secret::new(proxy)),
    };
    let ca_file = fields.get("ca_file").and_then(|node| text(node, "ca_file", report)).map(|path| path.to_string());
    let words = [("true", true), ("false", false)];
    let allow = fields.get("allow_link_local").and_then(|node| word(node, "allow_link_local", &words, report));
    let allow_link_local = allow.unwrap_or(false);
    let (url, url_at) = url.unwrap_or_else(|| (Secret::new(""), None));
    let literal = host_of(url.expose()).ok().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
    if let Some(address) = literal.filter(|address| is_forbidden(*address) && !allow_link_local) {
        report.error(
            url_at.unwrap_or(at),
            format!("the webhook `{name}` goes to {address}, a link-local or metadata address"),
            "write another host; or `allow_link_local: true`, if it is meant",
        );
    }
    Some(Webhook { format, url, secret: secret.map(|(secret, _)| secret), chat, ca_file, proxy, allow_link_local })
}

/// The address and where it is written, if it is; empty where files are not read.
fn url(
    fields: &Fields<'_>,
    needs: &Needs,
    files: &mut Option<ReadFile<'_>>,
    report: &mut Report,
) -> Option<(Secret, Option<Mark>)> {
    if let Some(node) = fields.get("url_file") {
        if let Some(other) = fields.get("url") {
            report.error(other.at, "a webhook with `url` and `url_file`", "keep one of them");
        }
        if files.is_none() {
            return Some((Secret::new(""), None));
        }
        let url = secret_file(node, "url_file", files, report)?;
        if host_of(url.expose()).is_err() {
            // What stands in it is a secret, whatever it is.
            report.error(node.at, "what the file of `url_file` holds is not a web address", "https://... alone");
            return None;
        }
        return Some((url, Some(node.at)));
    }
    if let (None, Some(url)) = (fields.get("url"), needs.url) {
        return Some((Secret::new(url), None));
    }
    let node = fields.require("url", "as https://desk.example.com/hook", report)?;
    if report.is_variable(node.at) {
        // From the environment it may be a secret, so it is not repeated.
        let url = text(node, "url", report)?;
        if let Err(NoAddress::User | NoAddress::Form) = host_of(url) {
            report.error(node.at, "`url` is not a web address", "as https://desk.example.com/hook");
            return None;
        }
        return Some((Secret::new(url), Some(node.at)));
    }
    let url = web_address(node, "url", report)?;
    if needs.url_is_secret {
        let what = "whoever knows this address can write to the channel";
        report.warning(node.at, what, "put it into a file and name that with `url_file`");
    }
    Some((Secret::new(url), Some(node.at)))
}

fn check_secret(name: &str, format: WebhookFormat, secret: &Secret, at: Mark, report: &mut Report) {
    let text = secret.expose().trim();
    match format {
        WebhookFormat::Generic if !is_signing_key(text) => {
            let what = format!("the secret of the webhook `{name}` is not `whsec_` and a key in base64");
            report.error(at, what, "make one: echo whsec_$(head -c 32 /dev/urandom | base64)");
        }
        WebhookFormat::Telegram if !is_bot_token(text) => {
            let what = format!("the secret of the webhook `{name}` is not the token of a bot");
            report.error(at, what, "a number, a colon and letters, as @BotFather gives it");
        }
        WebhookFormat::Pagerduty if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            let what = format!("the secret of the webhook `{name}` does not look like an integration key");
            report.warning(at, what, "those of PagerDuty have 32 letters and digits");
        }
        _ => {}
    }
}

/// `whsec_` and base64 of at least 16 bytes.
fn is_signing_key(text: &str) -> bool {
    let Some(key) = text.strip_prefix("whsec_") else { return false };
    let body = key.trim_end_matches('=');
    body.len() >= 22
        && key.len() - body.len() <= 2
        && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/-_".contains(&b))
}

/// `123456:ABC-def`: it becomes part of an address, so nothing else may be in it.
fn is_bot_token(text: &str) -> bool {
    let Some((number, key)) = text.split_once(':') else { return false };
    let key_fine = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) && !key.is_empty() && key_fine
}

/// Whether an address is link-local or where clouds tell a machine its own secrets: nobody's webhook is there, and a
/// request that is led there by a name gives those secrets away.
pub fn is_forbidden(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => forbidden_v4(address),
        IpAddr::V6(address) => {
            // AWS and Google tell metadata by IPv6 there.
            const METADATA: [Ipv6Addr; 2] =
                [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];
            let inner = address.to_ipv4_mapped().or_else(|| translated(address));
            address.is_unicast_link_local() || METADATA.contains(&address) || inner.is_some_and(forbidden_v4)
        }
    }
}

fn forbidden_v4(address: Ipv4Addr) -> bool {
    // Alibaba, Oracle and Azure have theirs outside 169.254.0.0/16.
    const METADATA: [Ipv4Addr; 3] =
        [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(168, 63, 129, 16)];
    address.is_link_local() || METADATA.contains(&address)
}

/// The IPv4 address within 64:ff9b::/96, by which a machine with IPv6 alone reaches it.
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_machine_itself_are_forbidden() {
        for bad in [
            "169.254.169.254",
            "169.254.0.1",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
        ] {
            assert!(is_forbidden(bad.parse().unwrap()), "{bad}");
        }
        for good in ["127.0.0.1", "::1", "10.0.0.5", "192.168.1.9", "8.8.8.8", "fd00::1", "169.253.1.1", "fec0::1"] {
            assert!(!is_forbidden(good.parse().unwrap()), "{good}");
        }
    }
}
