use clap::{Args as _, Command, FromArgMatches};

use super::*;
use crate::matrix::Matrix;

fn arguments(line: &str) -> Result<Demo, clap::Error> {
    let command = Demo::augment_args(Command::new("demo").no_binary_name(true));
    Demo::from_arg_matches(&command.try_get_matches_from(line.split_whitespace())?)
}

#[test]
fn arguments_are_read_or_refused() {
    Demo::augment_args(Command::new("demo")).debug_assert();
    let args = arguments("--incident agents-gone --language pt --seed 7").unwrap();
    assert_eq!((args.incident, args.language, args.seed), (Incident(Some(IncidentKind::AgentsGone)), Language::Pt, 7));
    assert_eq!(arguments("--incident none").unwrap().incident, Incident(None));
    for line in ["--incident fire", "--language fr", "--seed x", "--port 1"] {
        assert!(arguments(line).is_err(), "{line}");
    }
}

/// Everything of a matrix that is no text: what the languages must have in common.
fn bones(matrix: &Matrix) -> Vec<String> {
    let row = |row: &crate::matrix::Row| {
        let ranges: Vec<_> = row
            .ranges
            .iter()
            .map(|r| (&r.bounds.text, r.level, r.hold, r.tell.len(), r.escalate.len(), r.repeat, r.action.is_some()))
            .collect();
        let about = (row.indicator.name, row.window, row.threshold, &row.scope, &row.goal.text, row.min_samples);
        format!("{about:?} {ranges:?} {:?}", row.recover)
    };
    matrix.rows.iter().map(row).collect()
}

#[tokio::test]
async fn the_embedded_files_fit_together_in_every_language() {
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let mailbox = Mailbox::bind(any, any, None).await.unwrap();
    let mut all = Vec::new();
    for language in [Language::Es, Language::En, Language::Pt] {
        let places = Places { listen: any, broker: "127.0.0.1:9092".to_owned(), mailbox: &mailbox };
        let (config, set) = settings(language, &places, &secret()).unwrap();
        assert!(config.warnings.is_empty() && set.warnings.is_empty(), "{:?} {:?}", config.warnings, set.warnings);
        assert!(config.webhooks["guard"].secret.is_some());
        assert_eq!(config.smtp.unwrap().port, mailbox.smtp_addr().port());
        all.push(bones(&set.matrices[0]));
    }
    assert_eq!(all[0], all[1]);
    assert_eq!(all[0], all[2]);
}

#[test]
fn each_run_has_its_own_key() {
    assert_ne!(secret(), secret());
    assert!(crate::notify::signature::Key::new(&Secret::new(&secret())).is_some());
}
