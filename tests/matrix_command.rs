//! `atalaya matrix`: what people read of a matrix, and of what differs between two.
#![cfg(feature = "shell")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::path::{Path, PathBuf};

use atalaya::commands::matrix::{Diff, Format, Show, diff, show};

const CARE: &str = include_str!("data/matrix-test/care.yaml");

/// What differs between the matrix and what `edits` make of it.
fn edited(edits: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut text = CARE.to_owned();
    for (from, to) in edits {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    let (old, new) = (folder.path().join("old.yaml"), folder.path().join("new.yaml"));
    fs::write(&old, CARE).unwrap();
    fs::write(&new, &text).unwrap();
    diff(&Diff { config: None, old, new }).unwrap_or_else(|failure| panic!("{failure}"))
}

fn care() -> PathBuf {
    // From the root of the package, where tests run: the path is shown.
    PathBuf::from("tests/data/matrix-test/care.yaml")
}

#[test]
fn a_matrix_is_shown_as_a_table() {
    for (name, format) in [("text", Format::Text), ("markdown", Format::Markdown), ("html", Format::Html)] {
        let shown = show(&Show { paths: vec![care()], format }).unwrap();
        insta::assert_snapshot!(format!("show_{name}"), shown);
    }
}

/// A table that is wider than it says would break on a terminal, in whatever language.
#[test]
fn lines_of_a_table_are_all_as_wide() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("escalation-matrices");
    let shown = show(&Show { paths: vec![folder], format: Format::Text }).unwrap();
    let table: Vec<&str> = shown.lines().filter(|line| line.starts_with(['|', '+'])).collect();
    assert!(table.len() > 200);
    for line in table {
        assert_eq!(line.chars().count(), 124, "{line}");
    }
}

#[test]
fn names_and_texts_cannot_break_out_of_the_page_or_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m.yaml");
    let text = CARE.replace("name: care", "name: \"<b>|care\"").replace("Call agents back", "a | b <script> & *c*");
    fs::write(&file, text).unwrap();
    let html = show(&Show { paths: vec![file.clone()], format: Format::Html }).unwrap();
    assert!(
        html.contains("&lt;b&gt;|care")
            && html.contains("a | b &lt;script&gt; &amp; *c*")
            && !html.contains("<script>")
    );
    let markdown = show(&Show { paths: vec![file], format: Format::Markdown }).unwrap();
    assert!(markdown.contains(r"a \| b \<script\> & \*c\*"), "{markdown}");
}

#[test]
fn what_means_the_same_is_no_difference() {
    for edits in [
        &[][..],
        &[("version: 1", "# A comment.\nversion: 1")],
        &[("goal: \">= 80%\"", "goal: '>= 0.8'")],
        &[("\"30m .. 45m\"", "\"1800s .. 45m\""), ("for: 2m", "for: 120s")],
        &[(
            "    goal: \"< 30m\"\n    min_samples: 10\n",
            "    min_samples: 10\n    goal: \"< 30m\"\n    per: pair\n    settle: 0s\n",
        )],
    ] {
        assert_eq!(edited(edits), "no difference in meaning\n", "{edits:?}");
    }
}

#[test]
fn each_difference_is_said_in_words() {
    for (edits, expected) in [
        (&[("lead@acme", "boss@acme")][..], "contact lead: lead@acme.example -> boss@acme.example"),
        (&[("owner: desk", "owner: desk.email")], "owner: desk -> desk.email"),
        (&[("language: en", "language: pt")], "language: en -> pt"),
        (&[("mon-fri: \"07:00", "mon-fri: \"08:00")], "every row: hours: mon-fri 07:00-22:00 -> mon-fri 08:00-22:00"),
        (&[("window: 15m", "window: 30m")], "  watches: asa 15m -> asa 30m"),
        (&[("sales, support", "sales")], "  scope: sales, support / chat -> sales / chat"),
        (&[("goal: \"< 30m\"", "goal: \"< 25m\"")], "  goal: < 30m -> < 25m"),
        (&[("min_samples: 10", "min_samples: 20")], "  min_samples: 10 -> 20"),
        (&[("for: 2m", "for: 5m")], "  30m .. 45m (warning): for: 2m -> 5m"),
        (&[("tell: [lead, desk]", "tell: [desk.email]")], "  >= 45m (critical): also tells desk.email"),
        (&[("tell: [lead, desk]", "tell: [desk.email]")], "  >= 45m (critical): no longer tells lead, desk"),
        (&[("min_samples: 10", "ack_for: 1h")], "  ack_for: 4h -> 1h"),
        (&[("owner: desk", "owner: desk\nack_for: 2h")], "every row: ack_for: 4h -> 2h"),
        (&[("min_samples: 10", "flapping: { changes: 8 }")], "  flapping: 6 changes within 1h -> 8 changes within 1h"),
        (
            &[("owner: desk", "owner: desk\nflapping: { within: 2h }")],
            "every row: flapping: 6 changes within 1h -> 6 changes within 2h",
        ),
        (&[("owner: desk", "owner: desk\ngroup: { by: queue }")], "every row: group: none -> by queue, wait 20s"),
        (&[("min_samples: 10", "group: { by: row, wait: 5s }")], "  group: none -> by row, wait 5s"),
        (&[("owner: desk", "owner: desk\ntexts: { text: \"{{ value }}\" }")], "  texts.text is new"),
        (
            &[("min_samples: 10", "texts: { subject: \"{{ level }} {{ queue }}\" }")],
            "  asa 15m\n    min_samples: 10 -> 0\n    texts.subject is new",
        ),
        (
            &[("lead@acme.example }", "lead@acme.example, texts: { text: \"{{ value }}\" } }")],
            "  contact lead: texts.text is new",
        ),
        (&[("after: 10m", "after: 20m")], ">= 45m (critical): escalation: after 10m manager -> after 20m manager"),
        (&[("level: info", "level: critical")], "  < 1 (critical): level: info -> critical"),
        (
            &[("    min_samples: 10\n", "    no_data: alert\n    min_samples: 10\n")],
            "no_data: keep -> warning for 0s, tells desk",
        ),
        (
            &[("    min_samples: 10\n", "    recover: { margin: 2m, for: 3m }\n    min_samples: 10\n")],
            "recover.margin: 0 s -> 2 min",
        ),
        (
            &[("state: available", "state: connected")],
            "  watches: agents state=available per=queue -> agents state=connected per=queue",
        ),
        (
            &[("  - indicator: agents\n    state: available\n    per: queue\n", "  - indicator: waiting\n")],
            "- row agents state=available per=queue is gone: goal >= 1; < 1 info",
        ),
        (
            &[("  - indicator: agents\n    state: available\n    per: queue\n", "  - indicator: waiting\n")],
            "+ row waiting is new: goal >= 1; < 1 info",
        ),
        (&[("Call agents back to", "Call everybody to")], "      + Call everybody to {{ queue }}: {{ value }}"),
        (
            &[(
                ">= 45m\", level: critical, tell: [lead, desk]",
                "45m .. 1h\", level: warning }\n      - { when: \">= 1h\", level: critical, tell: [lead, desk]",
            )],
            "+ range 45m .. 1h (warning, for 0s, tells none) is new",
        ),
    ] {
        let said = edited(edits);
        assert!(said.contains(expected), "{edits:?}\n{said}");
    }
}

#[test]
fn own_texts_and_groups_are_compared_by_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let with = |name: &str, group: &str, text: &str| {
        let path = folder.path().join(name);
        let head = format!("owner: desk\ngroup: {group}\ntexts: {{ text: \"{text}\" }}");
        fs::write(&path, CARE.replace("owner: desk", &head)).unwrap();
        path
    };
    let before = with("a.yaml", "{ by: row, wait: 20s }", "{{ value }}");
    let compare = |new: PathBuf| diff(&Diff { config: None, old: before.clone(), new }).unwrap();
    // What is left out of `group` is its default.
    assert_eq!(compare(with("b.yaml", "{ by: row }", "{{ value }}")), "no difference in meaning\n");
    assert_eq!(
        compare(with("c.yaml", "{ by: queue, wait: 1m }", "{{ value }} !")),
        "care\n  texts.text is another\n  every row: group: by row, wait 20s -> by queue, wait 1m\n"
    );
    assert_eq!(compare(with("d.yaml", "none", "{{ value }}")), "care\n  every row: group: by row, wait 20s -> none\n");
}

/// What a running service refuses until it is restarted, because its numbers are counted otherwise.
#[test]
fn what_needs_a_restart_is_said() {
    const NEEDS: &str = "needs a restart of `atalaya run`, unless ";
    for (edits, expected) in [
        (
            &[("window: 15m", "window: 20m")][..],
            "the configuration or another matrix names it as well: window 20m is new",
        ),
        (
            &[("threshold: 30m", "threshold: 40m")],
            "the configuration or another matrix names it as well: threshold 40m of any channel is new, threshold 30m of any channel is gone",
        ),
        (
            &[("min_samples: 10", "clock: open")],
            "the configuration or another matrix names it as well: clock open of chat is new",
        ),
    ] {
        let said = edited(edits);
        assert_eq!(said.lines().last(), Some(&*format!("{NEEDS}{expected}")), "{said}");
    }
    assert!(!edited(&[("window: 15m", "window: 30m")]).contains(NEEDS), "one that is there by default");

    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let (old, new) = (write("old.yaml", &CARE.replace("15m", "25m")), write("new.yaml", &CARE.replace("15m", "20m")));
    let config = |windows: &str| {
        let text = format!("windows: {windows}\nwebhooks: {{ wfm-desk: {{ url: \"https://desk.example/\" }} }}\n");
        Some(write("c.yaml", &text))
    };
    let both = diff(&Diff { config: config("[20m]"), old: old.clone(), new: new.clone() }).unwrap();
    assert_eq!(
        both.lines().last(),
        Some(&*format!("{NEEDS}another matrix names it as well: window 25m is gone")),
        "the configuration has the new one: {both}"
    );
    let none = diff(&Diff { config: config("[20m, 25m]"), old, new }).unwrap();
    assert!(none.starts_with("care\n") && !none.contains(NEEDS), "{none}");
}

#[test]
fn a_real_edit_reads_as_a_reviewer_would_say_it() {
    insta::assert_snapshot!(edited(&[
        ("mon-fri: \"07:00-22:00\"", "mon-sat: \"07:00-22:00\""),
        ("  manager: { email: manager@acme.example }\n", ""),
        ("goal: \"< 30m\"", "goal: \"< 25m\""),
        ("for: 2m, tell: [lead]", "for: 5m, tell: [lead, desk.webhook]"),
        ("Call agents back to {{ queue }}: {{ value }}", "Ask chat for two agents"),
        (", escalate: [{ after: 10m, tell: [manager] }]", ", repeat: 30m"),
    ]));
}

#[test]
fn folders_are_compared_matrix_by_matrix() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let named = |name: &str| CARE.replace("name: care", &format!("name: {name}"));
    for (folder, file, text) in [
        (&old, "a.yaml", named("a")),
        (&old, "b.yaml", named("b")),
        (&new, "a.yaml", named("a").replace("for: 2m", "for: 3m")),
        (&new, "c.yaml", named("c")),
    ] {
        fs::write(folder.path().join(file), text).unwrap();
    }
    let said = diff(&Diff { config: None, old: old.path().to_owned(), new: new.path().to_owned() }).unwrap();
    assert_eq!(
        said,
        "a\n  asa 15m\n    30m .. 45m (warning): for: 2m -> 3m\n- matrix b is gone: 4 rows\n+ matrix c is new: 4 rows\n"
    );
}

/// A thousand rows are held side by side by what they are, wherever they stand.
#[test]
fn many_rows_are_paired_by_what_they_are() {
    let rows = |order: &mut dyn Iterator<Item = usize>| {
        let row = |n: usize| {
            let goal = if n == 700 { 20 } else { 10 };
            format!(
                "  - {{ indicator: waiting, scope: {{ queue: q{n} }}, goal: \"< {goal}\", ranges: [ {{ when: \"< {goal}\", \
                 level: ok }}, {{ when: \">= {goal}\", level: warning, tell: [lead], action: look }} ] }}\n"
            )
        };
        let head = "version: 1\nname: many\nowner: lead\ncontacts:\n  lead: { email: lead@acme.example }\nrows:\n";
        head.to_owned() + &order.map(row).collect::<String>()
    };
    let compared = |old: &str, new: &str| {
        let folder = tempfile::tempdir().unwrap();
        let [before, after] = ["old.yaml", "new.yaml"].map(|name| folder.path().join(name));
        fs::write(&before, old).unwrap();
        fs::write(&after, new).unwrap();
        diff(&Diff { old: before, new: after, config: None }).unwrap()
    };
    let old = rows(&mut (0..1000));
    assert_eq!(compared(&old, &rows(&mut (0..1000).rev())), "no difference in meaning\n");
    // The row that is gone and the one that is new are the same indicator: one row that has another scope.
    let said = compared(&old, &rows(&mut (1..=1000).rev()));
    assert_eq!(said, "many\n  waiting (q1000 / each channel)\n    scope: q0 / each channel -> q1000 / each channel\n");
    let said = compared(&old, &rows(&mut (0..1000).rev()).replace("< 20", "< 30").replace(">= 20", ">= 30"));
    let title = "many\n  waiting (q700 / each channel)\n    goal: < 20 -> < 30\n";
    assert!(said.starts_with(title), "{said}");
    assert_eq!(said.matches("each channel").count(), 1, "{said}");
}
