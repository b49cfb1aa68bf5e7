//! The configuration as text and environment: what it compiles to, and every defect of it.

use std::collections::BTreeMap;

use atalaya::config::{self, Config, Severity, SmtpTls, WebhookFormat};
use atalaya::domain::{AgentClass, Millis};
use atalaya::matrix::Language;
use atalaya::plan::{AnswerOn, Plan};
use atalaya::wire::Format;

const CONTRACT: &str = include_str!("data/config/valid-contract.yaml");

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load(text: &str, pairs: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let mut read = |path: &str| match path {
        "/run/secrets/desk" => Ok("whsec_MDEyMzQ1Njc4OWFiY2RlZg==\n".to_owned()),
        "/run/secrets/links" => Ok("0123456789abcdef\n".to_owned()),
        "/run/secrets/pass" => Ok("s3creta\n".to_owned()),
        "/run/secrets/slack" => Ok("https://hooks.slack.example/services/T0K3N\n".to_owned()),
        "/run/secrets/proxy" => Ok("http://u:p455@proxy.acme.example:3128".to_owned()),
        "/run/secrets/bot" => Ok("123456:AbC-d_9\n".to_owned()),
        "/run/secrets/empty" => Ok("\n".to_owned()),
        _ => Err("there is no such file".to_owned()),
    };
    config::load("c.yaml", text, &env(pairs), Some(&mut read)).map_err(|defects| {
        defects.iter().filter(|d| d.severity == Severity::Error).map(|d| d.to_string().replace(": error", "")).collect()
    })
}

#[test]
fn the_embedded_defaults_are_the_defaults_of_the_types() {
    let config = load("", &[]).unwrap();
    assert_eq!(format!("{:?}", config.plan), format!("{:?}", Plan::default()));
    assert_eq!((config.language, config.max_lag), (Language::Es, Millis::MINUTE));
    assert_eq!(
        (config.kafka.brokers.as_slice(), config.kafka.group.as_str()),
        (["localhost:9092".to_owned()].as_slice(), "atalaya")
    );
    assert_eq!(config.kafka.dead_letters, "atalaya.dead-letters");
    let logs = [config.kafka.deltas, config.kafka.decisions, config.kafka.operations];
    assert_eq!(logs, ["atalaya.deltas", "atalaya.decisions", "atalaya.operations"]);
    let sources: Vec<_> = config.sources.iter().map(|s| (s.topic.as_str(), s.format, s.silent_after)).collect();
    assert_eq!(
        sources,
        [("atalaya.interactions", Format::Canonical, None), ("atalaya.agent-states", Format::Canonical, None)]
    );
    assert_eq!(
        (config.matrices.as_slice(), config.http.listen.as_str()),
        (["escalation-matrices/".to_owned()].as_slice(), "127.0.0.1:9464")
    );
    assert!(config.smtp.is_none() && config.owner.is_none() && config.webhooks.is_empty());
    // There is no default silence, and that is said.
    assert_eq!(config.warnings.len(), 2, "{:?}", config.warnings);
    assert!(config.warnings.iter().all(|w| w.what.contains("falls silent") && w.file.contains("default.yaml")));
}

#[test]
fn a_key_with_nothing_under_it_keeps_its_defaults() {
    let config = load("kafka:\nwindows:\nhttp:\n  listen: 0.0.0.0:80\n", &[]).unwrap();
    assert_eq!((config.kafka.brokers.len(), config.http.listen.as_str()), (1, "0.0.0.0:80"));
    assert_eq!(config.plan.windows, Plan::default().windows);
}

/// Channels of equal hours share a clock; one that keeps none has none, whatever its hours.
#[test]
fn the_desks_clock_follows_the_hours() {
    let text = r#"
time_zone: America/Bogota
holidays: ["2026-11-24"]
channels:
  facebook: { hours: { mon-sun: "08:00-22:00" }, clocks: [elapsed, open] }
  instagram: { hours: { mon-sat: "08:00-22:00", sun: "08:00-22:00" }, clocks: [open] }
  email: { hours: { mon-fri: "08:00-12:00" }, clocks: [open] }
  whatsapp: { clocks: [open] }
  chat: { hours: { mon-fri: "08:00-12:00" }, clocks: [elapsed] }
"#;
    let config = load(text, &[]).unwrap();
    let plan = &config.plan;
    let of = ["facebook", "instagram", "email", "whatsapp", "chat", "voice"].map(|channel| plan.open_time_of(channel));
    assert_eq!(of, [Some(1), Some(1), Some(2), Some(0), None, None]);
    let at = |text: &str| atalaya::domain::Timestamp::parse(text).unwrap();
    // The holiday is closed, and the zone is the site's.
    let open = plan.open_times[1].between(at("2026-11-23T23:00:00-05:00"), at("2026-11-25T08:05:00-05:00"));
    assert_eq!(open, Millis::seconds(300));
    assert!(!config.warnings.iter().any(|warning| warning.what.contains("clock")), "{:?}", config.warnings);
}

/// What each format of webhook needs, and that an address with a secret in it is treated as one.
#[test]
fn webhooks_of_every_format() {
    let text = r#"
webhooks:
  wfm-desk: { url: "https://desk.acme.example/hook", secret_file: /run/secrets/desk, ca_file: /etc/own.pem }
  alerts: { format: alertmanager, url: "http://169.254.3.4:9093", allow_link_local: true }
  duty: { format: pagerduty, secret_file: /run/secrets/pass }
  care: { format: slack, url_file: /run/secrets/slack, proxy: "http://proxy.acme.example:3128" }
  team: { format: teams, url: "https://flow.example/T0K3N" }
  space: { format: google-chat, url_file: /run/secrets/slack, proxy_file: /run/secrets/proxy }
  bot: { format: telegram, secret_file: /run/secrets/bot, chat: -100123 }
"#;
    let config = load(text, &[]).unwrap_or_else(|d| panic!("{d:#?}"));
    let hook = |name: &str| &config.webhooks[name];
    let names: Vec<&str> = WebhookFormat::ALL.iter().map(|(name, _)| *name).collect();
    assert_eq!(config.webhooks.len(), names.len(), "one of each of {names:?}");
    assert_eq!(hook("duty").url.expose(), "https://events.pagerduty.com/v2/enqueue");
    assert_eq!(hook("bot").url.expose(), "https://api.telegram.org");
    assert_eq!(hook("bot").chat.as_deref(), Some("-100123"));
    assert_eq!(hook("care").url.expose(), "https://hooks.slack.example/services/T0K3N");
    assert_eq!(hook("care").proxy.as_ref().map(|proxy| proxy.expose()), Some("http://proxy.acme.example:3128"));
    assert_eq!(hook("space").proxy.as_ref().map(|proxy| proxy.expose()), Some("http://u:p455@proxy.acme.example:3128"));
    assert_eq!(hook("wfm-desk").ca_file.as_deref(), Some("/etc/own.pem"));
    assert!(hook("alerts").allow_link_local && !hook("care").allow_link_local);
    let shown = format!("{config:?}");
    assert!(!shown.contains("T0K3N") && !shown.contains("p455"), "an address may be a secret");
    let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    let about = |line: usize, what: &str| {
        let at = format!("c.yaml:{line}:");
        assert!(warnings.iter().any(|w| w.starts_with(&at) && w.contains(what)), "{what}: {warnings:#?}");
    };
    about(5, "does not look like an integration key");
    about(7, "whoever knows this address can write to the channel");
    assert_eq!(warnings.iter().filter(|w| w.contains("c.yaml")).count(), 2, "{warnings:#?}");

    // Where nothing is sent the files need not be there; the names are known all the same.
    let checked = config::load("c.yaml", text, &env(&[]), None).unwrap_or_else(|d| panic!("{d:#?}"));
    assert_eq!(checked.webhooks.len(), names.len());
    // What comes from the environment may be a secret, and is not repeated.
    let defects = load("webhooks: { d: {} }", &[("ATALAYA_WEBHOOKS__D__URL", "hooks.example/T0K3N")]).unwrap_err();
    assert!(
        defects.len() == 1 && defects[0].contains("is not a web address") && !defects[0].contains("T0K3N"),
        "{defects:?}"
    );
}

/// Who reads Kafka and sends nothing needs the secrets of Kafka alone.
#[test]
fn the_secrets_of_kafka_are_read_alone() {
    let text = "kafka: { properties: { sasl.password_file: pass } }\nwebhooks: { d: { url: \"https://h.example/\", secret_file: desk } }\n";
    let mut asked = Vec::new();
    let mut read = |path: &str| {
        asked.push(path.to_owned());
        Ok("s3creta".to_owned())
    };
    let config = config::load_with("c.yaml", text, &env(&[]), Some((&mut read, config::Whose::Kafka)), None).unwrap();
    assert_eq!(config.kafka.properties["sasl.password"].expose(), "s3creta");
    assert!(config.webhooks["d"].secret.is_none());
    assert_eq!(asked, ["pass"]);
}

/// The reference must name every key that the reader knows.
#[test]
fn the_defaults_document_every_key() {
    for key in [
        "time_zone",
        "interval",
        "language",
        "short_abandon",
        "agent_timeout",
        "agent_states",
        "lateness",
        "max_ahead",
        "max_lag",
        "windows",
        "holidays",
        "holidays_file",
        "channels",
        "answer_on",
        "service_level",
        "idle_close",
        "give_up",
        "handling",
        "hours",
        "clocks",
        "limits",
        "keys",
        "open_interactions",
        "closed_interactions",
        "agents",
        "events_per_interaction",
        "held_ahead",
        "kafka",
        "brokers",
        "group",
        "instance",
        "dead_letters",
        "snapshots",
        "deltas",
        "decisions",
        "operations",
        "properties",
        "sources",
        "topic",
        "format",
        "silent_after",
        "matrices",
        "owner",
        "smtp",
        "url",
        "tls",
        "from",
        "user",
        "password_file",
        "ca_file",
        "webhooks",
        "url_file",
        "chat",
        "proxy",
        "proxy_file",
        "allow_link_local",
        "secret_file",
        "http",
        "listen",
        "public_url",
    ] {
        assert!(
            config::DEFAULTS.contains(&format!("{key}:")) || config::DEFAULTS.contains(&format!("{key},")),
            "{key}"
        );
    }
}

#[test]
fn the_configuration_of_the_documentation_is_accepted_as_it_stands() {
    let config = load(CONTRACT, &[]).unwrap_or_else(|d| panic!("{d:#?}"));
    assert_eq!(config.plan.zone.iana_name(), Some("America/Bogota"));
    assert_eq!(config.agent_states["almuerzo"], AgentClass::Unproductive);
    assert_eq!(config.plan.channels["facebook"].answer_on, Some(AnswerOn::Replied));
    assert_eq!(config.holidays.len(), 1);
    assert_eq!(config.kafka.properties["security.protocol"].expose(), "SASL_SSL");
    assert_eq!(config.kafka.instance.as_deref(), Some("floor-1"));
    assert_eq!(config.sources[0].silent_after, Some(Millis(300_000)));
    let smtp = config.smtp.unwrap();
    assert_eq!((smtp.host.as_str(), smtp.port, smtp.tls), ("mail.acme.example", 587, SmtpTls::Starttls));
    let hook = &config.webhooks["wfm-desk"];
    assert_eq!(hook.secret.as_ref().map(|s| s.expose()), Some("whsec_MDEyMzQ1Njc4OWFiY2RlZg=="));
    assert_eq!(format!("{hook:?}").matches("MDEy").count(), 0, "a secret does not print");
    assert_eq!(config.http.public_url.as_deref(), Some("https://atalaya.acme.example"));

    // Where nothing is sent, the files of secrets need not be there.
    let checked = config::load("c.yaml", CONTRACT, &env(&[]), None).unwrap();
    assert!(checked.webhooks["wfm-desk"].secret.is_none());
}

#[test]
fn the_environment_lies_over_the_file() {
    let config = load(
        CONTRACT,
        &[
            ("ATALAYA_KAFKA__BROKERS", "a:9092, b:9092"),
            ("ATALAYA_INTERVAL", "15m"),
            ("ATALAYA_WINDOWS", "[10m, 2h]"),
            ("ATALAYA_CHANNELS__FACEBOOK__SERVICE_LEVEL", "20m,1h"),
            ("ATALAYA_KAFKA__PROPERTIES__SASL_PASSWORD", "[not yaml"),
            ("ATALAYA_SMTP__USER", "atalaya"),
            ("ATALAYA_SMTP__PASSWORD", "{s3creta"),
            ("ATALAYA_WEBHOOKS__WFM_DESK__SECRET", "whsec_ZmVkY2JhOTg3NjU0MzIxMA=="),
            ("ATALAYA_LIMITS__KEYS", "5"),
            // An orchestrator's, and the command line's own.
            ("ATALAYA_PORT", "tcp://10.0.0.1:9464"),
            ("ATALAYA_LOG", "debug"),
        ],
    )
    .unwrap_or_else(|d| panic!("{d:#?}"));
    assert_eq!(config.kafka.brokers, ["a:9092", "b:9092"]);
    assert_eq!(config.plan.interval, Millis(900_000));
    let windows: Vec<_> = config.plan.windows.iter().map(|w| w.label.to_string()).collect();
    assert_eq!(windows, ["10m", "2h", "interval", "last_interval", "today"]);
    assert_eq!(
        config.plan.channels["facebook"].service_level.as_deref(),
        Some([Millis(1_200_000), Millis(3_600_000)].as_slice())
    );
    assert_eq!(config.kafka.properties["sasl.password"].expose(), "[not yaml");
    assert_eq!(config.smtp.unwrap().password.map(|p| p.expose().to_owned()).as_deref(), Some("{s3creta"));
    assert_eq!(config.webhooks["wfm-desk"].secret.as_ref().unwrap().expose(), "whsec_ZmVkY2JhOTg3NjU0MzIxMA==");
    assert_eq!(config.plan.limits.keys, 5);
}

#[test]
fn the_labels_of_thresholds_stay_as_written() {
    let config = load("channels: { chat: { service_level: 90s }, facebook: { service_level: [1d] } }", &[]).unwrap();
    let labels: Vec<_> = config.plan.thresholds.iter().map(|t| t.label.to_string()).collect();
    assert_eq!(labels, ["20s", "60s", "90s", "30m", "1d"]);
}

#[test]
fn each_defect_is_named_where_it_stands() {
    let hook = |rest: &str| format!("webhooks: {{ d: {{ {rest} }} }}");
    let smtp = |rest: &str| format!("smtp: {{ url: \"smtp://m.example\", tls: none, from: a@b.example{rest} }}");
    for (text, expected) in [
        (
            "kafka: { broker: [a:1] }".to_owned(),
            "c.yaml:1:10: unknown key `broker` in `kafka`\n  hint: did you mean `brokers`?",
        ),
        ("time_zone: Bogota".to_owned(), "c.yaml:1:12: unknown time zone `Bogota`"),
        ("interval: 20m".to_owned(), "c.yaml:1:11: `interval` cannot be `20m`"),
        ("windows: [5m, 300s]".to_owned(), "c.yaml:1:15: duplicate window `300s`: it is `5m`"),
        ("holidays: [2026-02-30]".to_owned(), "c.yaml:1:12: holiday `2026-02-30` is not a day"),
        ("agent_states: { almuerzo: lunch }".to_owned(), "c.yaml:1:27: `almuerzo` cannot be `lunch`"),
        ("agent_states: { available: offline }".to_owned(), "c.yaml:1:17: `available` is a class itself"),
        ("channels: { f: { service_level: [30] } }".to_owned(), "c.yaml:1:34: `service_level: 30` is not a duration"),
        ("limits: { keys: 0 }".to_owned(), "c.yaml:1:17: `keys: 0` is not a whole number from 1 on"),
        ("kafka: { brokers: [localhost] }".to_owned(), "c.yaml:1:20: broker `localhost` is not host:port"),
        (
            "kafka: { operations: atalaya.deltas }".to_owned(),
            "c.yaml:1:22: `operations` and `deltas` are the same topic `atalaya.deltas`",
        ),
        ("kafka: { properties: { group.id: x } }".to_owned(), "c.yaml:1:24: `group.id` is not set here"),
        (
            "kafka: { properties: { sasl.password: x } }".to_owned(),
            "c.yaml:1:39: a `sasl.password` must not stand in the configuration",
        ),
        ("sources: [{ format: canonical }]".to_owned(), "c.yaml:1:11: a source has no `topic`"),
        (
            "sources: [{ topic: t, format: chatwoot }]".to_owned(),
            "c.yaml:1:31: `format` cannot be `chatwoot`\n  hint: it is known",
        ),
        ("sources: [{ topic: t }, { topic: t }]".to_owned(), "c.yaml:1:34: duplicate source"),
        ("owner: { webhook: nobody }".to_owned(), "c.yaml:1:19: unknown webhook `nobody`"),
        ("smtp: { url: \"smtp://m.example\", from: a@b.example }".to_owned(), "c.yaml:1:7: `smtp` has no `tls`"),
        (smtp(", password: x"), "a `password` must not stand in the configuration\n  hint: put it into a file"),
        (smtp(", user: u, password_file: /nowhere"), "`password_file`: the file /nowhere cannot be read"),
        (smtp(", user: u, password_file: /run/secrets/empty"), "the file /run/secrets/empty is empty"),
        (smtp(", password_file: /run/secrets/pass"), "a password without a `user`"),
        (
            "smtp: { url: \"smtp://u:hunter2@m.example\", tls: none, from: a@b.example }".to_owned(),
            "c.yaml:1:14: `url` of smtp holds a password\n  hint: write `user:` and `password_file:`, or set ATALAYA_SMTP__PASSWORD",
        ),
        ("smtp: { url: \"smtps://m.example\", tls: starttls, from: a@b.example }".to_owned(), "says implicit TLS"),
        (
            "smtp: { url: \"m.example\", tls: none, from: a@b.example }".to_owned(),
            "is not the address of a mail server",
        ),
        (
            "smtp: { url: \"smtp://m.example\", tls: none, from: nobody }".to_owned(),
            "`from: nobody` is not a mail address",
        ),
        (
            "webhooks: { d: { url: \"https://d.example\", secret: whsec_x } }".to_owned(),
            "c.yaml:1:52: a `secret` must not stand",
        ),
        (
            "webhooks: { d: { url: \"https://d.example\", secret_file: /run/secrets/pass } }".to_owned(),
            "is not `whsec_` and a key in base64",
        ),
        (
            "webhooks: { d: { url: \"ftp://d.example\" } }".to_owned(),
            "c.yaml:1:23: `url: ftp://d.example` is not a web address",
        ),
        (hook("url: \"https://d.example\", format: slak"), "`format` cannot be `slak`\n  hint: did you mean `slack`?"),
        (hook("url: \"https://u:p@d.example\""), "c.yaml:1:23: `url` holds a user or password"),
        (hook("url: \"http://169.254.169.254/x\""), "goes to 169.254.169.254, a link-local or metadata address"),
        (hook("url: \"http://[fe80::1]:80/x\""), "goes to fe80::1, a link-local or metadata address"),
        (
            hook("format: slack, url: \"https://d.example\", secret_file: /run/secrets/pass"),
            "has no secret: `d` is known",
        ),
        (hook("format: slack"), "c.yaml:1:16: a webhook has no `url`"),
        (hook("url_file: /run/secrets/pass"), "what the file of `url_file` holds is not a web address"),
        (hook("url: \"https://d.example\", url_file: /run/secrets/slack"), "a webhook with `url` and `url_file`"),
        (hook("format: pagerduty"), "the webhook `d` has no `secret_file`\n  hint: a file with the integration key"),
        (hook("format: telegram, chat: 7, secret_file: /run/secrets/pass"), "is not the token of a bot"),
        (hook("format: telegram, secret_file: /run/secrets/bot"), "the webhook `d` has no `chat`"),
        (hook("url: \"https://d.example\", chat: 7"), "a webhook of this format has no `chat`"),
        (hook("url: \"https://d.example\", proxy: squid:3128"), "`proxy: squid:3128` is not a web address"),
        (hook("url: \"https://d.example\", allow_link_local: si"), "`allow_link_local` cannot be `si`"),
        ("http: { listen: localhost }".to_owned(), "c.yaml:1:17: `listen: localhost` is not host:port"),
        ("version: 1\nrows: []".to_owned(), "this is a matrix, not a configuration"),
        ("a: [".to_owned(), "this is not YAML"),
        ("- 1".to_owned(), "c.yaml:1:1: the configuration must be a map of keys"),
    ] {
        let defects = load(&text, &[]).expect_err(&text);
        assert_eq!(defects.len(), 1, "{text}: {defects:#?}");
        assert!(defects[0].contains(expected), "{text}\n got {}\n not {expected}", defects[0]);
        assert!(!defects[0].contains("hunter2") && !defects[0].contains("s3creta"), "{}", defects[0]);
    }
}

#[test]
fn defects_of_all_layers_come_at_once() {
    let defects =
        load("interval: 1h\nhttp: { listen: x }\n", &[("ATALAYA_KAFKA__GROP", "g"), ("ATALAYA_MAX_LAG", "60")])
            .unwrap_err();
    let first: Vec<_> = defects.iter().map(|d| d.lines().next().unwrap_or("").to_owned()).collect();
    assert_eq!(
        first,
        [
            "c.yaml:1:11: `interval` cannot be `1h`",
            "c.yaml:2:17: `listen: x` is not host:port",
            "ATALAYA_KAFKA__GROP:1:1: unknown key `grop` in `kafka`",
            "ATALAYA_MAX_LAG:1:1: `max_lag: 60` is not a duration: it needs a number and a unit",
        ]
    );
}

#[test]
fn a_matrix_is_checked_against_the_configuration() {
    let config = load(CONTRACT, &[]).unwrap();
    let matrix = include_str!("data/matrix/valid-contract.yaml");
    let set = config::matrices(&[("m.yaml".into(), matrix.into())], Some(&config)).unwrap();
    assert_eq!(set.matrices[0].rows[0].calendar.holidays.len(), 1);

    let other = matrix.replace("wfm-desk", "wfm-deks");
    let defects = config::matrices(&[("m.yaml".into(), other)], Some(&config)).unwrap_err();
    let errors: Vec<_> = defects.iter().filter(|d| d.severity == Severity::Error).map(ToString::to_string).collect();
    assert_eq!(errors, ["m.yaml:10:23: error: unknown webhook `wfm-deks`\n  hint: did you mean `wfm-desk`?"]);

    // A matrix without an owner has the configuration's.
    let orphan = matrix.replace("owner: desk ", "# ");
    let set = config::matrices(&[("m.yaml".into(), orphan)], Some(&config)).unwrap();
    let matrix = &set.matrices[0];
    let owner = matrix.owner.as_ref().unwrap();
    assert_eq!(matrix.contacts[&owner.contact].email.as_deref(), Some("ops@acme.example"));
}

#[test]
fn the_secret_of_links_stands_outside_and_is_long_enough() {
    let public = "http: { public_url: \"https://atalaya.acme.example\"";
    let warned = |config: &Config| config.warnings.iter().any(|warning| warning.what.contains("links in mails end"));
    let config = load(&format!("{public} }}"), &[]).unwrap();
    assert!(config.http.secret.is_none() && warned(&config));
    let config = load(&format!("{public}, secret_file: /run/secrets/links }}"), &[]).unwrap();
    assert_eq!(config.http.secret.as_ref().map(|secret| secret.expose()), Some("0123456789abcdef"));
    assert!(!warned(&config) && !format!("{:?}", config.http).contains("0123"));
    let config = load("", &[("ATALAYA_HTTP__SECRET", "another secret of links")]).unwrap();
    assert!(config.http.secret.is_some() && !warned(&config), "of codes, without links");
    for (http, expected) in [
        ("http: { secret: 0123456789abcdef }", "a `secret` must not stand in the configuration"),
        ("http: { secret_file: /run/secrets/pass }", "the secret of http is shorter than 16 characters"),
        ("http: { secret_file: /run/secrets/none }", "the file /run/secrets/none cannot be read"),
    ] {
        let defects = load(http, &[]).unwrap_err();
        assert!(defects.len() == 1 && defects[0].contains(expected), "{defects:?}");
    }
}
