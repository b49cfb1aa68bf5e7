//! `atalaya matrix fmt`: the canonical layout changes nothing but the layout, and leaves alone what it cannot do safely.
#![cfg(feature = "shell")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::path::Path;

use atalaya::commands::Failure;
use atalaya::commands::matrix::fmt::{Fmt, fmt};
use atalaya::config::layout::layout;

#[test]
fn what_is_written_in_many_ways_is_laid_out_in_one() {
    for (text, expected) in [
        ("a: 1\n", "a: 1\n"),
        ("a:   1   # why\r\nb:\t2\n", "a: 1 # why\nb: 2\n"),
        ("\u{feff}a: {x: 1,y: [1,2 , 3]}\n", "a: { x: 1, y: [1, 2, 3] }\n"),
        (
            "a:\n    b: 1\n    c:\n        - 1\n        - d: 2\n          e: 3\n",
            "a:\n  b: 1\n  c:\n    - 1\n    - d: 2\n      e: 3\n",
        ),
        // A list may stand under its key.
        ("a:\n- 1\n- b: 2\n  c: 3\n", "a:\n  - 1\n  - b: 2\n    c: 3\n"),
        ("a: { x: 1,\n     y: \"two\n     words\" }\n", "a: { x: 1, y: \"two words\" }\n"),
        ("a: one\n  two\nb: 'it''s'\n", "a: one two\nb: 'it''s'\n"),
        (
            "a: >-\n      one\n      two\n\n        three\n\n\nb: |\n  x\n",
            "a: >-\n  one\n  two\n\n    three\n\nb: |\n  x\n",
        ),
        // Comments: above, behind, below a block as deep as its entries, at the end.
        (
            "# top\n\n\n# more\na:  # of a\n    # of b\n    b: 1  # b\n    # c: 2\n\n# of d\nd: 3\n# end\n",
            "# top\n\n# more\na: # of a\n  # of b\n  b: 1 # b\n  # c: 2\n\n# of d\nd: 3\n# end\n",
        ),
        (
            "rows:\n\n    # first\n    - a: 1\n      # b: 2\n\n\n    - a: 3\n",
            "rows:\n  # first\n  - a: 1\n    # b: 2\n\n  - a: 3\n",
        ),
        ("a:\nb: {}\nc: []\nd: ~\n", "a:\nb: {}\nc: []\nd: ~\n"),
        ("[1,  2]\n", "- 1\n- 2\n"),
    ] {
        let laid_out = layout(text).unwrap_or_else(|refusal| panic!("{text}: {refusal}"));
        assert_eq!(laid_out, expected, "{text}");
        assert_eq!(layout(&laid_out).as_ref(), Ok(&laid_out), "a second time changes nothing: {text}");
    }
}

#[test]
fn what_does_not_fit_a_line_becomes_a_block() {
    let long = "x".repeat(112);
    for (text, expected) in [
        (format!("a: {{ b: {long}, c: [1, 2] }} # why\n"), format!("# why\na:\n  b: {long}\n  c: [1, 2]\n")),
        (format!("a:\n  - {{ b: {long}, c: 1 }}\n"), format!("a:\n  - b: {long}\n    c: 1\n")),
        (format!("a: [{long}, {{ b: 1 }}]\n"), format!("a:\n  - {long}\n  - {{ b: 1 }}\n")),
    ] {
        assert_eq!(layout(&text).unwrap(), expected);
    }
    // 120 characters fit.
    let edge = |n: usize| format!("a: {{ b: {} }}\n", "x".repeat(n));
    assert_eq!(layout(&edge(110)).unwrap().lines().count(), 1);
    assert_eq!(layout(&edge(111)).unwrap().lines().count(), 2);
}

#[test]
fn what_cannot_be_laid_out_safely_is_refused_with_its_line() {
    for (text, line, why) in [
        ("a: &x 1\n", 1, "an anchor"),
        ("a: 1\nb: !tag 2\n", 2, "a tag"),
        ("---\na: 1\n", 1, "a document marker"),
        ("a: 1\nb: {\n  # why\n  c: 1 }\n", 3, "a comment inside"),
        ("a: 1\nb: [1, # why\n  2]\n", 2, "a comment inside"),
        ("a: |+\n  x\n\n", 1, "a text after"),
        ("a: >2\n    x\n", 1, "a text after"),
        ("a: \"x\n\n  y\"\n", 1, "a text over several lines"),
        ("a:\n  - - 1\n", 2, "a list that is an item of a list"),
        ("a: { b: , c: 1 }\n", 1, "a key without a value"),
        ("just a text\n", 1, "the file is one value"),
        ("# nothing\n", 1, "the file is empty"),
        ("a: [1\n", 1, "this is not YAML"),
    ] {
        let refusal = layout(text).expect_err(text);
        assert!(refusal.why.starts_with(why), "{text}: {refusal}");
        assert_eq!(refusal.line, line, "{text}: {refusal}");
    }
}

#[test]
fn own_texts_keep_their_lines_and_groups_their_brackets() {
    let text = "version:  1\nname: m\ngroup: {by: queue,wait: 30s}\ntexts:\n    subject:   \"{{ level }}: {{ queue }}\"\n    text: |-\n        {{ value }}\n\n          {% if goal %}\n        {{ goal }}\n          {% endif %}\n    html: >\n        <b>{{ value }}</b>\nrows:\n- indicator: waiting\n  group:   none   # at once\n  goal: \"< 5\"\n  texts: { text: '{{ value }}' }\n  ranges: [{when: \"< 5\",level: ok}, {when: \">= 5\",level: info}]\n";
    let expected = "version: 1\nname: m\ngroup: { by: queue, wait: 30s }\ntexts:\n  subject: \"{{ level }}: {{ queue }}\"\n  text: |-\n    {{ value }}\n\n      {% if goal %}\n    {{ goal }}\n      {% endif %}\n  html: >\n    <b>{{ value }}</b>\nrows:\n  - indicator: waiting\n    group: none # at once\n    goal: \"< 5\"\n    texts: { text: '{{ value }}' }\n    ranges: [{ when: \"< 5\", level: ok }, { when: \">= 5\", level: info }]\n";
    assert_eq!(layout(text).unwrap(), expected);
    assert_eq!(layout(expected).unwrap(), expected, "a second time changes nothing");
    let texts = |text: &str| {
        let set = atalaya::config::matrices(&[("m.yaml".to_owned(), text.to_owned())], None).unwrap();
        let matrix = &set.matrices[0];
        (matrix.texts.clone(), matrix.rows[0].texts.clone(), matrix.rows[0].group)
    };
    assert_eq!(texts(text), texts(expected));
}

/// Every YAML file of the repository: what is laid out compiles to the same, or is refused.
#[test]
fn whatever_is_in_the_repository_keeps_its_meaning() {
    let (mut laid_out, mut refused) = (0, 0);
    for folder in
        ["escalation-matrices", "tests/data/matrix", "tests/data/matrix-test", "src/commands/demo", "config", "deploy"]
    {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|end| end != "yaml") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let Ok(new) = layout(&text) else {
                refused += 1;
                continue;
            };
            laid_out += 1;
            assert_eq!(layout(&new).as_ref(), Ok(&new), "{}", path.display());
            let compiled = |text: &str| match atalaya::config::matrices(&[("m.yaml".to_owned(), text.to_owned())], None)
            {
                Ok(set) => format!("{:?}", set.warnings.iter().map(|d| &d.what).collect::<Vec<_>>()),
                Err(defects) => format!("{:?}", defects.iter().map(|d| &d.what).collect::<Vec<_>>()),
            };
            let digits = |text: String| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
            // Lines that a message names may move.
            assert_eq!(digits(compiled(&text)), digits(compiled(&new)), "{}", path.display());
            let words = |text: &str| {
                let mut comments: Vec<String> =
                    text.lines().filter_map(|l| l.trim().strip_prefix('#')).map(|c| c.trim().to_owned()).collect();
                comments.retain(|comment| !comment.is_empty());
                comments
            };
            assert!(words(&text).iter().all(|comment| new.contains(comment.as_str())), "{}", path.display());
        }
    }
    assert!(laid_out > 90 && refused < 20, "{laid_out} laid out, {refused} refused");
}

#[test]
fn files_are_written_only_where_they_differ_and_never_by_check() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let (fine, ugly, left) =
        (file("a.yaml", "a: 1\n"), file("b.test.yaml", "a:   [1,2]\n"), file("c.yml", "a: &x 1\n"));
    let run = |check: bool| fmt(&Fmt { paths: vec![folder.path().to_owned()], check });
    let (said, result) = run(true);
    assert!(matches!(result, Err(Failure::Run(why)) if why.starts_with("1 of 3 files are not")));
    assert_eq!(said.len(), 2);
    assert!(said[0].ends_with("b.test.yaml:1: not in its canonical layout"), "{said:?}");
    assert!(said[1].ends_with("c.yml:1: left as it is: an anchor `&name`"), "{said:?}");
    assert_eq!(fs::read_to_string(&ugly).unwrap(), "a:   [1,2]\n");
    let (_, result) = run(false);
    assert_eq!(result.unwrap(), "1 laid out, 1 as they should be, 1 left as they are");
    for (path, text) in [(&fine, "a: 1\n"), (&ugly, "a: [1, 2]\n"), (&left, "a: &x 1\n")] {
        assert_eq!(fs::read_to_string(path).unwrap(), text);
    }
    assert!(run(true).1.is_ok());
    let (_, result) = fmt(&Fmt { paths: vec![folder.path().join("none.yaml")], check: true });
    assert!(matches!(result, Err(Failure::User(_))));
}

/// Slips of a keyboard in a real matrix: nothing panics, and what is laid out stays as it is the next time.
#[test]
fn no_slip_panics_and_a_layout_is_its_own() {
    use rand::{RngExt as _, SeedableRng as _};
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("escalation-matrices/facebook.yaml")).unwrap();
    let whole = text.split("\n  - indicator: service_level").next().unwrap();
    let text: Vec<char> = whole.chars().chain(['\n']).collect();
    let mut laid_out = 0;
    for seed in 0..400_u64 {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut slips = text.clone();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..slips.len());
            let slip = [' ', '\n', '#', '"', '{', '}', '[', ']', ',', ':', '-', '\'', '|', '>', '\t', 'x', 'ñ']
                [random.random_range(0..17)];
            match random.random_range(0..3) {
                0 => slips[at] = slip,
                1 => slips.insert(at, slip),
                _ => drop(slips.remove(at)),
            }
        }
        let slips: String = slips.into_iter().collect();
        if let Ok(new) = layout(&slips) {
            laid_out += 1;
            assert_eq!(layout(&new).as_ref(), Ok(&new), "seed {seed}");
        }
    }
    assert!(laid_out > 50, "{laid_out}");
}
