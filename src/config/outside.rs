//! The part of the configuration that speaks of the world outside: Kafka, the mail server, HTTP; and secrets.
//! Webhooks have a file of their own.
//!
//! A secret stands in a file (`*_file`) or in the environment, never in the configuration itself, which people share
//! and put under version control.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::load::ReadFile;
use super::node::{Kind, Node};
use super::reader::{Fields, Mark, Report, is_email, list, map, text, whole, word};
use super::settings::texts;
use super::{Http, Kafka, Secret, Smtp, SmtpTls};

/// The secret `key` of a map: from the environment, or from the file that `key_file` names. An inline one is refused.
pub(super) fn secret(
    fields: &Fields<'_>,
    key: &str,
    files: &mut Option<ReadFile<'_>>,
    report: &mut Report,
) -> Option<(Secret, Mark)> {
    let file_key = format!("{key}_file");
    if let Some(node) = fields.get(key) {
        let written = text(node, key, report)?;
        if !report.is_variable(node.at) {
            inline(node.at, key, report);
            return None;
        }
        return Some((Secret::new(written), node.at));
    }
    let node = fields.get(&file_key)?;
    Some((secret_file(node, &file_key, files, report)?, node.at))
}

fn inline(at: Mark, key: &str, report: &mut Report) {
    report.error(
        at,
        format!("a `{key}` must not stand in the configuration"),
        format!("put it into a file and name that with `{key}_file`, or into the environment (ATALAYA_...)"),
    );
}

pub(super) fn secret_file(
    node: &Node,
    key: &str,
    files: &mut Option<ReadFile<'_>>,
    report: &mut Report,
) -> Option<Secret> {
    let path = text(node, key, report)?;
    let read = files.as_mut()?;
    match read(path) {
        Ok(content) if content.trim().is_empty() => {
            report.error(node.at, format!("`{key}`: the file {path} is empty"), "");
            None
        }
        Ok(content) => Some(Secret::new(content.trim_end_matches(['\r', '\n']))),
        Err(why) => {
            report.error(node.at, format!("`{key}`: the file {path} cannot be read: {why}"), "");
            None
        }
    }
}

/// More than this many threads would only wait for each other.
const THREADS_MAX: u64 = 64;

fn threads(node: &Node, report: &mut Report) -> usize {
    let threads = whole(node, "threads", 1, report).unwrap_or(1);
    if threads > THREADS_MAX {
        report.error(node.at, format!("`threads: {threads}` is too many"), format!("at most {THREADS_MAX}"));
    }
    usize::try_from(threads.min(THREADS_MAX)).unwrap_or(1)
}

pub(super) fn kafka(node: Option<&Node>, files: &mut Option<ReadFile<'_>>, report: &mut Report) -> Kafka {
    const KEYS: [&str; 10] = [
        "brokers",
        "group",
        "instance",
        "properties",
        "dead_letters",
        "snapshots",
        "deltas",
        "decisions",
        "operations",
        "threads",
    ];
    let mut kafka = Kafka::default();
    let Some(fields) = node.and_then(|node| Fields::new(node, "`kafka`", &KEYS, report)) else { return kafka };
    if let Some(node) = fields.get("brokers") {
        kafka.brokers = texts(node, "brokers", report);
        for item in list(node, report) {
            if let Kind::Scalar { text, .. } = &item.kind
                && host_and_port(text).is_none()
            {
                report.error(
                    item.at,
                    format!("broker `{}` is not host:port", place_of(text)),
                    "as kafka-1.example.com:9092",
                );
            }
        }
        if kafka.brokers.is_empty() {
            report.error(node.at, "`brokers` names no broker", "as [localhost:9092]");
        }
    }
    let name = |key: &str, report: &mut Report| {
        fields.get(key).and_then(|node| text(node, key, report)).map(|text| text.to_string())
    };
    kafka.instance = name("instance", report);
    kafka.group = name("group", report).unwrap_or(kafka.group);
    let topics = [
        ("dead_letters", &mut kafka.dead_letters),
        ("snapshots", &mut kafka.snapshots),
        ("deltas", &mut kafka.deltas),
        ("decisions", &mut kafka.decisions),
        ("operations", &mut kafka.operations),
    ];
    let mut taken = BTreeMap::new();
    for (key, topic) in topics {
        let node = fields.get(key);
        if let Some(text) = node.and_then(|node| text(node, key, report)) {
            *topic = text.to_string();
        }
        let other = taken.insert(topic.clone(), (key, node));
        if let Some((other, at)) = other.and_then(|(other, before)| Some((other, node.or(before)?.at))) {
            report.error(at, format!("`{key}` and `{other}` are the same topic `{topic}`"), "give each one of its own");
        }
    }
    if let Some(node) = fields.get("threads") {
        kafka.threads = threads(node, report);
    }
    if let Some(node) = fields.get("properties") {
        kafka.properties = properties(node, files, report);
    }
    kafka
}

/// Properties that the configuration sets by keys of its own.
const OWN: [(&str, &str); 5] = [
    ("bootstrap.servers", "kafka.brokers"),
    ("metadata.broker.list", "kafka.brokers"),
    ("group.id", "kafka.group"),
    ("group.instance.id", "kafka.instance"),
    ("enable.auto.commit", "nothing: offsets are committed when what they stand for is done"),
];

fn properties(node: &Node, files: &mut Option<ReadFile<'_>>, report: &mut Report) -> BTreeMap<String, Secret> {
    let mut all = BTreeMap::new();
    for entry in map(node, "`properties`", report).unwrap_or_default() {
        let (name, value) = match entry.key.strip_suffix("_file") {
            Some(name) => (name, secret_file(&entry.value, &entry.key, files, report)),
            None => (&*entry.key, text(&entry.value, &entry.key, report).map(|text| Secret::new(text))),
        };
        if let Some((_, instead)) = OWN.iter().find(|(own, _)| *own == name) {
            report.error(entry.key_at, format!("`{name}` is not set here"), format!("use {instead}"));
        }
        // A password in a file's path is none; `sasl.password`, `ssl.key.pem`, `...client.secret` are.
        let secret = ["password", "passphrase", "secret", "key.pem"].iter().any(|word| name.ends_with(word));
        if secret && *name == *entry.key && !report.is_variable(entry.value.at) {
            inline(entry.value.at, name, report);
        } else if let Some(value) = value
            && all.insert(name.to_owned(), value).is_some()
        {
            report.error(entry.key_at, format!("duplicate property `{name}`"), "");
        }
    }
    all
}

/// `host:port`, the host in brackets where it is an IPv6 address.
fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let bare = bracketed.unwrap_or(host);
    let fine = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c) || (bracketed.is_some() && ":%".contains(c));
    let port = port.parse::<u16>().ok().filter(|_| port.bytes().all(|b| b.is_ascii_digit()))?;
    (!bare.is_empty() && bare.chars().all(fine)).then_some((bare, port))
}

pub(super) fn smtp(node: &Node, files: &mut Option<ReadFile<'_>>, report: &mut Report) -> Option<Smtp> {
    const KEYS: [&str; 7] = ["url", "tls", "from", "user", "password", "password_file", "ca_file"];
    let fields = Fields::new(node, "`smtp`", &KEYS, report)?;
    let url = fields.require("url", "as smtp://mail.example.com:587", report);
    let tls = fields.require("tls", "`starttls`, `implicit` or `none`: it is stated, never guessed", report);
    let words = [("starttls", SmtpTls::Starttls), ("implicit", SmtpTls::Implicit), ("none", SmtpTls::None)];
    let tls_at = tls.map(|node| node.at);
    let tls = tls.and_then(|node| word(node, "tls", &words, report));
    let server = url.and_then(|node| smtp_url(node, tls, report));
    let from = fields.require("from", "as \"Atalaya <atalaya@example.com>\"", report);
    let from = from.and_then(|node| Some((node, text(node, "from", report)?)));
    if let Some((node, written)) = from
        && !is_mailbox(written)
    {
        report.error(
            node.at,
            format!("`from: {written}` is not a mail address"),
            "as \"Atalaya <atalaya@example.com>\"",
        );
    }
    let own = fields.get("user").and_then(|node| text(node, "user", report)).map(|user| user.to_string());
    let password = secret(&fields, "password", files, report);
    let ca_file = fields.get("ca_file").and_then(|node| text(node, "ca_file", report)).map(|path| path.to_string());
    let server = server?;
    let user = own.or(server.user);
    if let Some((_, at)) = &password
        && user.is_none()
    {
        report.error(*at, "a password without a `user`", "write `user:`");
    }
    if let (Some(SmtpTls::None), Some(at), Some(_)) = (tls, tls_at, &password) {
        report.warning(at, "`tls: none` sends the password readable over the network", "use starttls or implicit");
    }
    Some(Smtp {
        host: server.host,
        port: server.port,
        tls: tls?,
        user,
        password: password.map(|(secret, _)| secret),
        from: from?.1.to_string(),
        ca_file,
    })
}

struct Server {
    host: String,
    port: u16,
    user: Option<String>,
}

/// `smtp://[user@]host[:port]`; `smtps://` only with `tls: implicit`.
fn smtp_url(node: &Node, tls: Option<SmtpTls>, report: &mut Report) -> Option<Server> {
    let written = text(node, "url", report)?;
    let (scheme, rest) = written.split_once("://").unwrap_or(("", written));
    let rest = rest.trim_end_matches('/');
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, rest),
    };
    if user.is_some_and(|user| user.contains(':')) {
        // The address is not repeated: it holds the password.
        let what = "`url` of smtp holds a password";
        report.error(node.at, what, "write `user:` and `password_file:`, or set ATALAYA_SMTP__PASSWORD");
        return None;
    }
    if scheme == "smtps" && tls.is_some_and(|tls| tls != SmtpTls::Implicit) {
        report.error(
            node.at,
            format!("`{}` says implicit TLS, and `tls` says otherwise", place_of(written)),
            "write `tls: implicit` or smtp://",
        );
    }
    let port = match tls {
        Some(SmtpTls::Starttls) => 587,
        Some(SmtpTls::Implicit) => 465,
        _ => 25,
    };
    let with_port = host_and_port(place).or_else(|| {
        let bare = place.strip_prefix('[').and_then(|p| p.strip_suffix(']')).unwrap_or(place);
        host_and_port(&format!("{place}:{port}")).map(|_| (bare, port))
    });
    match with_port {
        Some((host, port)) if matches!(scheme, "smtp" | "smtps") && port > 0 => {
            Some(Server { host: host.to_owned(), port, user: user.map(str::to_owned) })
        }
        _ => {
            report.error(
                node.at,
                format!("`{}` is not the address of a mail server", place_of(written)),
                "as smtp://mail.example.com:587",
            );
            None
        }
    }
}

/// What of an address may be repeated: neither who logs in with which password, nor what follows the host, where many
/// services have a key.
fn place_of(written: &str) -> String {
    let (scheme, rest) = written.split_once("://").map_or(("", written), |(scheme, rest)| (scheme, rest));
    let (login, place) = rest.rsplit_once('@').map_or(("", rest), |(_, place)| ("...@", place));
    let host = place.split(['/', '?', '#']).next().unwrap_or_default();
    let end = if host.len() < place.trim_end_matches('/').len() { "/..." } else { "" };
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    format!("{scheme}{login}{host}{end}")
}

/// An address alone, or `Name <address>`.
fn is_mailbox(text: &str) -> bool {
    match text.trim().strip_suffix('>').and_then(|rest| rest.split_once('<')) {
        Some((name, address)) => is_email(address) && !name.chars().any(char::is_control),
        None => is_email(text.trim()),
    }
}

/// An http or https address with a host and no password.
pub(super) fn web_address<'n>(node: &'n Node, key: &str, report: &mut Report) -> Option<&'n Arc<str>> {
    let written = text(node, key, report)?;
    match host_of(written) {
        Ok(_) => Some(written),
        Err(NoAddress::User) => {
            let hint = "a secret stands in a file: `secret_file`, `proxy_file`";
            report.error(node.at, format!("`{key}` holds a user or password"), hint);
            None
        }
        Err(NoAddress::Form) => {
            let what = format!("`{key}: {}` is not a web address", place_of(written));
            report.error(node.at, what, "as https://desk.example.com/hook");
            None
        }
    }
}

/// Why a text is no address that we take.
pub(super) enum NoAddress {
    User,
    Form,
}

/// The host of an http or https address.
pub(super) fn host_of(written: &str) -> Result<&str, NoAddress> {
    let rest = written.strip_prefix("https://").or_else(|| written.strip_prefix("http://")).ok_or(NoAddress::Form)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    if authority.contains('@') {
        return Err(NoAddress::User);
    }
    if written.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(NoAddress::Form);
    }
    match host_and_port(authority) {
        Some((host, _)) => Ok(host),
        None => host_and_port(&format!("{authority}:80")).map(|_| authority).ok_or(NoAddress::Form),
    }
}

/// Shorter ones can be guessed, and whoever has it can make links.
const HTTP_SECRET_MIN: usize = 16;

pub(super) fn http(node: Option<&Node>, files: &mut Option<ReadFile<'_>>, report: &mut Report) -> Http {
    let mut http = Http { listen: "127.0.0.1:9464".to_owned(), public_url: None, secret: None };
    let keys = ["listen", "public_url", "secret", "secret_file"];
    let Some(fields) = node.and_then(|node| Fields::new(node, "`http`", &keys, report)) else { return http };
    if let Some(node) = fields.get("listen")
        && let Some(written) = text(node, "listen", report)
    {
        if host_and_port(written).is_none() {
            let what = format!("`listen: {}` is not host:port", place_of(written));
            report.error(node.at, what, "as 127.0.0.1:9464 or 0.0.0.0:9464");
        }
        http.listen = written.to_string();
    }
    if let Some(node) = fields.get("public_url") {
        let url = web_address(node, "public_url", report);
        http.public_url = url.map(|url| url.trim_end_matches('/').to_owned());
        if fields.get("secret").is_none() && fields.get("secret_file").is_none() {
            let hint = "name a file with a secret: head -c 32 /dev/urandom | base64 > FILE, `secret_file: FILE`";
            report.warning(node.at, "the links in mails end when the service restarts", hint);
        }
    }
    if let Some((secret, at)) = secret(&fields, "secret", files, report) {
        if secret.expose().trim().len() < HTTP_SECRET_MIN {
            let what = format!("the secret of http is shorter than {HTTP_SECRET_MIN} characters");
            report.error(at, what, "make one: head -c 32 /dev/urandom | base64");
        }
        http.secret = Some(secret);
    }
    http
}
