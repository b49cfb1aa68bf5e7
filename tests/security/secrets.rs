//! A secret of its own is planted in every place that takes one; everything that the program says, writes, serves and
//! sends is looked through for all of them, in the clear and as they go over the wire, while each step goes wrong.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::broker::{PASSWORD, USER, secured};
use super::support::kafka::{Line, eventually};
use super::support::mail::{PASSWORD as MAIL_PASSWORD, RealSmtp, USER as MAIL_USER};
use super::support::program::{Files, Program, command_with};
use super::{plain, queued};

/// What was planted, by where.
#[derive(Default)]
struct Planted(Vec<(String, String)>);

impl Planted {
    /// A text that stands nowhere else.
    fn plant(&mut self, place: &str) -> String {
        let letters: String = place.chars().filter(char::is_ascii_alphanumeric).collect();
        let secret = format!("PLANTED{letters}{:04x}", 0x9e37u16.wrapping_mul(self.0.len() as u16 + 1));
        self.note(place, &secret)
    }

    fn note(&mut self, place: &str, secret: &str) -> String {
        self.0.push((place.to_owned(), secret.to_owned()));
        secret.to_owned()
    }

    /// `whsec_` and base64: what is looked for is the base64.
    fn key(&mut self, place: &str) -> String {
        let key = STANDARD.encode(format!("{:=<32}", self.plant(place)));
        format!("whsec_{}", self.note(place, &key))
    }

    fn must_not_be_in(&self, what: &str, text: &str) {
        for (place, secret) in &self.0 {
            let login = STANDARD.encode(format!("\0{MAIL_USER}\0{secret}"));
            let basic = STANDARD.encode(format!("proxyuser:{secret}"));
            for form in [secret, &STANDARD.encode(secret), &login, &basic] {
                if let Some(at) = text.find(form) {
                    let from = text[..at].rfind('\n').map_or(0, |line| line + 1);
                    let line = text[from..].lines().next().unwrap_or_default();
                    panic!("{what} shows the secret of {place}: {line}");
                }
            }
        }
    }
}

/// Answers every request with 400 and, as the page of some proxy would, with what it was asked: credentials first, as only
/// the beginning is quoted.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut bytes = [0; 16_384];
                let mut length = 0;
                // Head and body come in one or two pieces; the second is waited for a moment only.
                let _ = stream.set_read_timeout(Some(std::time::Duration::from_millis(200)));
                while let Ok(more @ 1..) = stream.read(&mut bytes[length..]) {
                    length += more;
                }
                let asked = String::from_utf8_lossy(&bytes[..length]).into_owned();
                let mut lines: Vec<&str> = asked.lines().collect();
                lines.sort_by_key(|line| {
                    (!line.to_lowercase().contains("authorization:"), !line.contains("routing_key"))
                });
                let (asked, length) = (lines.join("\n"), lines.iter().map(|line| line.len() + 1).sum::<usize>() - 1);
                let head = format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(asked.as_bytes()));
            });
        }
    });
    port
}

const HOOKS: [&str; 7] = ["generic", "alerts", "duty", "slack", "teams", "bot", "proxied"];

fn matrix() -> String {
    let contacts: Vec<String> = HOOKS.iter().map(|name| format!("{name}: {{ webhook: {name} }}")).collect();
    format!(
        r#"
version: 1
name: espera
owner: desk
contacts: {{ desk: {{ email: desk@acme.example }}, {} }}
rows:
  - indicator: waiting
    goal: "< 1"
    ranges:
      - {{ when: "< 1", level: ok }}
      - {{ when: ">= 1", level: critical, tell: [desk, {}], action: "Atender" }}
"#,
        contacts.join(", "),
        HOOKS.join(", ")
    )
}

/// Webhooks with a secret each, all of which lead to `echo`; one goes through it as a proxy.
fn webhooks(files: &Files, planted: &mut Planted, echo: u16) -> String {
    let base = format!("http://127.0.0.1:{echo}");
    let file = |name: &str, text: String| files.write(name, &(text + "\n")).display().to_string();
    let mut token = |place: &str| planted.plant(place);
    let generic_url = file("generic.url", format!("{base}/hook/{}?token={}", token("url path"), token("url query")));
    let alerts = file("alerts.secret", token("alertmanager bearer"));
    let duty = file("duty.secret", token("pagerduty key"));
    let slack = file("slack.url", format!("{base}/services/T0/B0/{}", token("slack url")));
    let teams = file("teams.url", format!("{base}/teams?sig={}", token("teams url")));
    let bot = file("bot.secret", format!("123456:{}", token("telegram token")));
    let proxy = file("proxy.url", format!("http://proxyuser:{}@127.0.0.1:{echo}", token("proxy password")));
    let generic = file("generic.secret", planted.key("generic secret"));
    format!(
        r#"
webhooks:
  generic: {{ url_file: "{generic_url}", secret_file: "{generic}" }}
  alerts: {{ format: alertmanager, url: "{base}", secret_file: "{alerts}" }}
  duty: {{ format: pagerduty, url: "{base}/enqueue", secret_file: "{duty}" }}
  slack: {{ format: slack, url_file: "{slack}" }}
  teams: {{ format: teams, url_file: "{teams}" }}
  bot: {{ format: telegram, url: "{base}", secret_file: "{bot}", chat: -1001234567890 }}
  proxied: {{ format: generic, url: "http://desk.example/hook", proxy_file: "{proxy}" }}
"#
    )
}

/// All that it serves.
fn served(program: &Program) -> Vec<(String, String)> {
    let document = program.api("/api/v1/openapi.json");
    let mut paths: BTreeSet<String> = ["/", "/ack", "/ack?t=wrong", "/api/v1/openapi.json"].map(str::to_owned).into();
    let has_get = |(_, methods): &(&String, &Value)| methods.get("get").is_some();
    let all = document["paths"].as_object().unwrap().iter().filter(has_get).map(|(path, _)| path.clone());
    // A stream does not end.
    paths.extend(all.filter(|path| path != "/api/v1/stream" && !path.contains('{')));
    assert!(paths.len() >= 9, "{paths:?}");
    paths
        .into_iter()
        .map(|path| (program.get(&path).expect("an answer").1, path))
        .map(|(body, path)| (path, body))
        .collect()
}

struct Scene {
    files: Files,
    planted: Planted,
    config: PathBuf,
}

/// A configuration with secrets in files; those of variables are in the second.
fn scene(brokers: &str, properties: &str, password: &str, smtp: &RealSmtp) -> (Scene, Vec<(&'static str, String)>) {
    let (files, mut planted) = (Files::new(), Planted::default());
    files.write("matrices/espera.yaml", &matrix());
    let sasl = files.write("sasl.secret", &planted.note("sasl.password_file", password));
    let http = files.write("http.secret", &planted.plant("http secret"));
    let hooks = webhooks(&files, &mut planted, echo());
    let config = files.write(
        "atalaya.yaml",
        &format!(
            r#"
kafka:
  brokers: ["{brokers}"]
  group: secured-secrets
  instance: secrets
  dead_letters: atalaya.letters-secrets
  snapshots: atalaya.snapshots-secrets
  properties: {{ {properties}, sasl.password_file: "{}", broker.address.family: v4 }}
sources: [{{ topic: events-secrets, format: canonical }}]
matrices: [matrices]
owner: {{ email: desk@acme.example }}
smtp:
  url: "smtp://localhost:{}"
  tls: starttls
  ca_file: "{}"
  user: "{MAIL_USER}"
  from: "Atalaya <{MAIL_USER}>"
http: {{ public_url: "http://localhost:9464", secret_file: "{}" }}
{hooks}"#,
            sasl.display(),
            smtp.starttls,
            smtp.ca_file(),
            http.display()
        ),
    );
    let key_password = planted.plant("ssl.key.password by variable");
    let store_password = planted.plant("ssl.keystore.password by variable");
    let variables = vec![
        ("ATALAYA_KAFKA__PROPERTIES__SSL_KEY_PASSWORD", key_password),
        ("ATALAYA_KAFKA__PROPERTIES__SSL_KEYSTORE_PASSWORD", store_password),
        ("ATALAYA_SMTP__PASSWORD", planted.note("smtp password by variable", MAIL_PASSWORD)),
        ("RUST_LOG", "trace".to_owned()),
    ];
    (Scene { files, planted, config }, variables)
}

fn borrowed<'v>(variables: &'v [(&'static str, String)]) -> Vec<(&'static str, &'v str)> {
    variables.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[test]
fn no_secret_is_shown_while_all_goes_wrong() {
    let Some(secured) = secured() else { return };
    let Some(smtp) = RealSmtp::start(&["desk@acme.example"]) else { return };
    let brokers = format!("localhost:{}", secured.plain);
    secured.kafka.create_topic("events-secrets", 1);

    // Webhooks are refused; the owner hears of it by mail.
    let (scene, variables) = scene(&brokers, &plain(&secured, USER), PASSWORD, &smtp);
    let planted = &scene.planted;
    let mut program = Program::start(&scene.config, &borrowed(&variables));
    program.wait_until_ready();
    let bad = Line { key: Some("bad".into()), payload: Some("no JSON".into()), ..Line::default() };
    secured.kafka.produce("events-secrets", [bad, queued("one")]);
    let failed =
        || program.metrics().sum("atalaya_notifications_total", &[("medium", "webhook"), ("result", "failed")]);
    eventually("every webhook is refused", || failed() >= HOOKS.len() as f64);
    eventually("the owner hears of all", || {
        let mails = smtp.mails();
        HOOKS.iter().all(|name| mails.iter().any(|mail| mail.text.contains(name)))
    });
    scene.files.write("matrices/espera.yaml", "version: 1\nname: [");
    program.post("/api/v1/reload", "{}");
    program.post("/api/v1/alerts/none/acknowledge", "{\"who\": \"ana\"}");
    for (path, body) in served(&program) {
        planted.must_not_be_in(&path, &body);
    }
    for mail in smtp.raw() {
        planted.must_not_be_in("a mail", &String::from_utf8_lossy(&mail));
    }
    for mail in smtp.mails() {
        planted.must_not_be_in("a mail", &format!("{} {} {}", mail.subject, mail.text, mail.html));
    }
    assert_eq!(program.terminate().0.code(), Some(0));
    planted.must_not_be_in("the log", &program.log());
    for topic in ["atalaya.letters-secrets", "atalaya.snapshots-secrets"] {
        for record in secured.kafka.consume_all(topic) {
            let text = |bytes: Option<Vec<u8>>| String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
            planted.must_not_be_in(topic, &format!("{} {:?}", text(record.payload), record.headers));
        }
    }
}

#[test]
fn no_secret_is_shown_by_a_password_that_is_refused() {
    let Some(secured) = secured() else { return };
    let Some(smtp) = RealSmtp::start(&["desk@acme.example"]) else { return };
    let brokers = format!("localhost:{}", secured.plain);
    let (mut scene, mut variables) = scene(&brokers, &plain(&secured, USER), "PLANTEDwrongsasl77", &smtp);
    let wrong = scene.planted.plant("smtp password that is refused");
    variables[2].1 = wrong;
    let planted = &scene.planted;
    let mut program = Program::start(&scene.config, &borrowed(&variables));
    let refused = |text: &String| text.contains("refuses who we say we are");
    eventually("the broker refuses", || program.reasons().iter().any(refused));
    for (path, body) in served(&program) {
        planted.must_not_be_in(&path, &body);
    }
    assert_eq!(program.terminate().0.code(), Some(0));
    planted.must_not_be_in("the log", &program.log());

    let config = scene.config.to_str().unwrap();
    for contact in ["desk"].iter().chain(&HOOKS) {
        let output = command_with(&["notify", "-c", config, contact], &borrowed(&variables));
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_ne!(output.status.code(), Some(0), "{contact}: {said}");
        assert!(said.contains(contact), "{said}");
        planted.must_not_be_in(&format!("atalaya notify {contact}"), &said);
    }
    for arguments in [&["check", "-c", config][..], &["backtest", "-c", config, "--from", "2026-01-01T00:00:00Z"]] {
        let output = command_with(arguments, &borrowed(&variables));
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!said.is_empty(), "{arguments:?}");
        planted.must_not_be_in(arguments[0], &said);
    }
}

/// What a configuration says wrong must be said without its secrets, wherever they were put.
#[test]
fn no_secret_is_shown_of_a_configuration_that_is_wrong() {
    let secret = "PLANTEDinline4711";
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| -> String {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let matrices = Path::new(env!("CARGO_MANIFEST_DIR")).join("escalation-matrices").display().to_string();
    let smtp = "tls: none, from: \"a@acme.example\"";
    let no_address = file("no-address", &format!("not an address {secret}"));
    let user_in_it = file("user-in-it", &format!("https://user:{secret}@desk.example/"));
    let cases = [
        // Inline, where a file or a variable is asked for.
        format!("kafka: {{ properties: {{ sasl.password: {secret} }} }}"),
        format!("kafka: {{ properties: {{ ssl.key.password: {secret} }} }}"),
        format!("kafka: {{ properties: {{ sasl.oauthbearer.client.secret: {secret} }} }}"),
        format!("kafka: {{ properties: {{ sasl.oauthbearer.assertion.private.key.passphrase: {secret} }} }}"),
        format!("kafka: {{ properties: {{ ssl.key.pem: \"-----BEGIN PRIVATE KEY----- {secret}\" }} }}"),
        format!("kafka: {{ properties: {{ sasl.jaas.config: \"Login required password={secret};\" }} }}"),
        format!("smtp: {{ url: \"smtp://mail.example\", {smtp}, user: a, password: {secret} }}"),
        format!("webhooks: {{ a: {{ url: \"https://desk.example/\", secret: whsec_{secret} }} }}"),
        format!("webhooks: {{ a: {{ format: telegram, secret: \"1:{secret}\", chat: 1 }} }}"),
        format!("http: {{ secret: {secret} }}"),
        // Inside an address, well formed or not.
        format!("kafka: {{ brokers: [\"user:{secret}@broker.example:9092\"] }}"),
        format!("kafka: {{ brokers: [\"sasl://user:{secret}@broker.example\"] }}"),
        format!("smtp: {{ url: \"smtp://user:{secret}@mail.example:587\", {smtp} }}"),
        format!("smtp: {{ url: \"smpt://user:{secret}@mail.example:587\", {smtp} }}"),
        format!("smtp: {{ url: \"smtp://user:{secret}@mail.example:99999\", {smtp} }}"),
        format!("smtp: {{ url: \"smtp:user:{secret}@mail.example\", {smtp} }}"),
        format!("smtp: {{ url: \"smtps://{secret}@mail.example:70000\", {smtp} }}"),
        format!("webhooks: {{ a: {{ url: \"https://user:{secret}@desk.example/\" }} }}"),
        format!("webhooks: {{ a: {{ url: \"htps://user:{secret}@desk.example/\" }} }}"),
        format!("webhooks: {{ a: {{ url: \"htps://desk.example/hook?token={secret}\" }} }}"),
        format!("webhooks: {{ a: {{ url: \"htps://desk.example/services/{secret}\" }} }}"),
        format!("webhooks: {{ a: {{ url: \"https://desk.example/a b/{secret}\" }} }}"),
        format!(
            "webhooks: {{ a: {{ url: \"https://desk.example/\", proxy: \"htp://user:{secret}@proxy.example\" }} }}"
        ),
        format!(
            "webhooks: {{ a: {{ url: \"https://desk.example/\", proxy: \"http://user:{secret}@proxy.example\" }} }}"
        ),
        format!("http: {{ public_url: \"https://user:{secret}@board.example\" }}"),
        format!("http: {{ public_url: \"htps://user:{secret}@board.example\" }}"),
        format!("http: {{ listen: \"user:{secret}@0.0.0.0\" }}"),
        // Under a key that is misspelt, or of the wrong shape.
        format!("kafka: {{ properties: {{ sasl.pasword: {secret} }} }}"),
        format!("smtp: {{ url: \"smtp://mail.example\", {smtp}, user: a, pasword: {secret} }}"),
        format!("webhooks: {{ a: {{ url: \"https://desk.example/\", secert: {secret} }} }}"),
        format!("webhooks: {{ a: \"https://user:{secret}@desk.example/\" }}"),
        format!("smtp: \"smtp://user:{secret}@mail.example\""),
        format!("smtp: {{ url: \"smtp://mail.example\", {smtp}, password: {secret}"),
        format!("http: [{secret}]"),
        // In a file that is read, and is not what it should be.
        format!("webhooks: {{ a: {{ url_file: \"{no_address}\" }} }}"),
        format!("webhooks: {{ a: {{ url_file: \"{user_in_it}\" }} }}"),
        format!("webhooks: {{ a: {{ url: \"https://desk.example/\", secret_file: \"{no_address}\" }} }}"),
        format!("webhooks: {{ a: {{ format: telegram, secret_file: \"{no_address}\", chat: 1 }} }}"),
        format!("webhooks: {{ a: {{ url: \"https://desk.example/\", proxy_file: \"{no_address}\" }} }}"),
        format!("kafka: {{ properties: {{ sasl.mechanism_file: \"{no_address}\" }} }}"),
        format!("kafka: {{ properties: {{ linger.ms_file: \"{no_address}\" }} }}"),
    ];
    let mut shown = Vec::new();
    for (number, text) in cases.iter().enumerate() {
        let config = file(&format!("{number}.yaml"), &format!("{text}\nmatrices: [\"{matrices}\"]\n"));
        for arguments in [&["check", "-c", &config][..], &["run", "-c", &config], &["matrix", "diff", "-c", &config]] {
            let output = command_with(arguments, &[("RUST_LOG", "trace")]);
            let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            if arguments[0] == "run" && output.status.code() != Some(2) {
                shown.push(format!("{text}\n    is taken: {:?}", output.status.code()));
            }
            shown.extend(said.lines().filter(|line| line.contains(secret)).map(|line| format!("{text}\n    {line}")));
        }
    }
    assert!(shown.is_empty(), "{}", shown.join("\n"));
}
