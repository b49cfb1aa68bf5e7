//! `texts` in matrix files: the documentation names what there is, a configuration's formats count, and proving them is quick.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use atalaya::config::{self, Diagnostic, MatrixSet, Webhook, WebhookFormat};
use atalaya::matrix::Part;
use atalaya::notice::texts::{NAMES, SUBJECT_NAMES};

const BODY: &str = r#"{ "text": {{ (headline ~ remarks | join(' ')) | tojson }} }"#;

fn matrix(matrix: &str, contact: &str, row: &str) -> String {
    format!(
        "version: 1\nname: base\n{matrix}contacts:\n  lead: {{ email: lead@acme.example, webhook: out{contact} }}\nrows:\n\
         \x20 - {{ indicator: waiting, goal: \"< 5\", {row}ranges: [ {{ when: \"< 5\", level: ok }}, \
         {{ when: \">= 5\", level: critical, tell: [lead] }} ] }}\n"
    )
}

fn with_format(format: WebhookFormat, text: &str) -> Result<MatrixSet, Vec<Diagnostic>> {
    let mut config = config::load("c.yaml", "kafka: { brokers: [localhost:9092] }\n", &BTreeMap::new(), None)
        .unwrap_or_else(|defects| panic!("{defects:#?}"));
    config.webhooks.insert("out".to_owned(), Webhook::new(format, "https://out.example/hook"));
    config::matrices(&[("m.yaml".into(), text.into())], Some(&config))
}

#[test]
fn the_documentation_has_every_name_and_no_other() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/matrix.md")).unwrap();
    let (_, table) = page.split_once("| name | in `subject` | is |\n|---|---|---|\n").unwrap();
    let (mut all, mut of_subject) = (BTreeSet::new(), BTreeSet::new());
    for line in table.lines().take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        for name in cells[1].split(", ").map(|name| name.trim_matches('`').to_owned()) {
            of_subject.extend((cells[2] == "yes").then(|| name.clone()));
            assert!(all.insert(name.clone()), "{name} stands there twice");
        }
    }
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(all, set(&NAMES));
    assert_eq!(of_subject, set(&SUBJECT_NAMES));
}

#[test]
fn texts_stand_in_three_places() {
    let [subject, text] = ["texts: { subject: \"{{ place }}\" }\n", ", texts: { text: \"{{ to }}\" }"];
    let set = with_format(WebhookFormat::Generic, &matrix(subject, text, "texts: { html: \"<p>{{ queue }}</p>\" }, "));
    let set = set.unwrap_or_else(|defects| panic!("{defects:#?}"));
    let matrix = &set.matrices[0];
    assert_eq!(matrix.texts.get(Part::Subject).map(|text| &**text), Some("{{ place }}"));
    assert_eq!(matrix.contacts["lead"].texts.get(Part::Text).map(|text| &**text), Some("{{ to }}"));
    assert_eq!(matrix.rows[0].texts.get(Part::Html).map(|text| &**text), Some("<p>{{ queue }}</p>"));
    assert_eq!(matrix.rows[0].texts.0.len() + matrix.texts.0.len() + matrix.contacts["lead"].texts.0.len(), 3);
}

#[test]
fn a_body_is_proved_for_the_formats_of_the_configuration() {
    let no_text = r#"{ "title": {{ (headline ~ remarks | join(' ')) | tojson }} }"#;
    let quoted = |body: &str| format!("texts: {{ webhook: '{}' }}", body.replace('\'', "''"));
    for (format, body, why) in [
        (WebhookFormat::Slack, BODY, None),
        (WebhookFormat::Telegram, BODY, None),
        (WebhookFormat::Generic, no_text, None),
        (WebhookFormat::Slack, no_text, Some("neither `text` nor `blocks`")),
        (WebhookFormat::Telegram, no_text, Some("no `text`")),
    ] {
        let texts = quoted(body);
        for file in [
            matrix(&format!("{texts}\n"), "", ""),
            matrix("", &format!(", {texts}"), ""),
            matrix("", "", &format!("{texts}, ")),
        ] {
            match (with_format(format, &file), why) {
                (Ok(_), None) => {}
                (Err(defects), Some(why)) => {
                    assert!(defects.iter().any(|defect| defect.what.contains(why)), "{file}\n{defects:#?}");
                }
                (result, _) => panic!("{format:?}\n{file}\n{result:#?}"),
            }
        }
    }
    let set = with_format(WebhookFormat::Pagerduty, &matrix("", &format!(", {}", quoted(BODY)), "")).unwrap();
    assert!(set.warnings.iter().any(|warning| warning.what.contains("`webhook` does nothing")), "{:?}", set.warnings);
}

/// The same text on many rows, as an anchor would repeat it.
#[test]
#[allow(clippy::disallowed_methods, reason = "measures the check itself; nothing of the product depends on it")]
fn proving_many_texts_is_quick() {
    let texts = "texts: { subject: \"{{ place }}: {{ value }}\", text: \"{{ headline }} {{ lines }}\", html: \"<p>{{ queue }} {{ lines }}</p>\" }";
    let one = |threshold: usize| {
        format!(
            "  - {{ indicator: service_level, window: 15m, threshold: {threshold}s, goal: \">= 0.8\", {texts},\n\
             \x20     ranges: [ {{ when: \">= 0.8\", level: ok }}, {{ when: \"< 0.8\", level: critical, tell: [lead] }} ] }}\n"
        )
    };
    let rows: String = (1..=200).map(one).collect();
    let file = format!("version: 1\nname: many\ncontacts:\n  lead: {{ email: lead@acme.example }}\nrows:\n{rows}");
    let begin = Instant::now();
    let set = config::matrices(&[("m.yaml".into(), file)], None).unwrap_or_else(|defects| panic!("{defects:#?}"));
    assert_eq!(set.matrices[0].rows.len(), 200);
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
}
