//! `atalaya check` on files and folders: what is found, what is read, and how it ends.
#![cfg(feature = "shell")]

use std::fs;
use std::path::{Path, PathBuf};

use atalaya::commands::Failure;
use atalaya::commands::check::{Args, examine};
use atalaya::commands::files::{load_files, matrix_paths};

const GOOD: &str = "version: 1\nname: NAME\nrows: [{ indicator: waiting, goal: \"< 1\", ranges: [{ when: \"< 1\", level: ok }, { when: \">= 1\", level: info }] }]\n";

fn args(config: Option<&Path>, paths: &[&Path]) -> Args {
    Args { config: config.map(Path::to_owned), paths: paths.iter().map(|path| (*path).to_owned()).collect() }
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap_or_else(|error| panic!("{name}: {error}"));
    path
}

#[test]
fn a_folder_gives_its_matrices() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["b.yaml", "a.yml"] {
        write(folder.path(), name, &GOOD.replace("NAME", name));
    }
    for name in [".hidden.yaml", ".hidden.test.yaml", "notes.txt"] {
        write(folder.path(), name, "not: [a matrix");
    }
    let files = load_files(&[folder.path().to_owned(), folder.path().join("b.yaml")]).unwrap();
    let names: Vec<_> = files.iter().map(|(name, _)| name.rsplit('/').next().unwrap().to_owned()).collect();
    assert_eq!(names, ["a.yml", "b.yaml"], "each once, in order");
    let (said, result) = examine(&args(None, &[folder.path()]));
    assert_eq!((said.len(), result.unwrap().as_str()), (0, "ok: 2 matrices, 2 rows, 0 warnings"));
}

/// A test is read with its matrix, whichever of the two is named, and not run: this one would fail.
#[test]
fn tests_are_read_with_their_matrices_and_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let config = write(
        path,
        "c.conf",
        "sources: [{ topic: t, silent_after: 1m }]\nwebhooks: { desk: { url: \"http://h/\" } }\n",
    );
    let matrix = write(path, "a.yaml", &GOOD.replace("NAME", "a"));
    let fails = "queue: q\nchannel: voice\ntests: [{ name: t, series: { waiting: 0 x5 }, expect: [{ at: 1m, level: info }] }]\n";
    let tests = write(path, "a.test.yaml", fails);
    for named in [path, &matrix, &tests] {
        let rows = if named == tests { "0 matrices, 0 rows" } else { "1 matrix, 1 row" };
        let (said, result) = examine(&args(None, &[named]));
        assert_eq!((said.len(), result.unwrap()), (0, format!("ok: {rows}, 1 test, 0 warnings")));
        let (said, result) = examine(&args(Some(&config), &[named]));
        assert!(said.iter().all(|text| text.contains("warning")), "{said:?}");
        assert!(result.unwrap().starts_with(&format!("ok: the configuration, {rows}, 1 test, ")));
    }

    for (text, expected) in [
        (fails.replace("level: info", "level: grave"), "a.test.yaml:3:73: error: `level` cannot be `grave`"),
        (fails.replace("waiting", "asa"), "a.test.yaml:3:30: error: the matrix has no row `asa`"),
        ("tests: [\n".to_owned(), "a.test.yaml:1:8: error: this is not YAML"),
        (
            "queue: q\nchannel: voice\ntests: [{ name: t, events: x.ndjson, expect: [{ at: 1m, level: ok }] }]"
                .to_owned(),
            "a.test.yaml:3:9: error: there is no file of events ",
        ),
        (format!("matrix: b.yaml\n{fails}"), "a.test.yaml: "),
    ] {
        write(path, "a.test.yaml", &text);
        for config in [None, Some(&*config)] {
            for named in [path, &matrix, &tests] {
                let (said, result) = examine(&args(config, &[named, path]));
                let errors: Vec<&String> = said.iter().filter(|text| !text.contains(": warning")).collect();
                assert!(
                    matches!(&result, Err(Failure::User(text)) if text.starts_with("1 error, ")),
                    "{result:?} {said:?}"
                );
                assert!(
                    errors.len() == 1 && errors[0].starts_with(&format!("{}/{expected}", path.display())),
                    "{errors:?}"
                );
            }
        }
    }

    // A defect of the matrix is said once, with the matrix, and where only its tests were named too.
    write(path, "a.test.yaml", fails);
    write(path, "a.yaml", &GOOD.replace("NAME", "a").replace("waiting", "wating"));
    for named in [path, &tests] {
        let (said, _) = examine(&args(None, &[named]));
        assert!(said.len() == 1 && said[0].contains("a.yaml:3:21: error: unknown indicator `wating`"), "{said:?}");
    }
    fs::remove_file(&matrix).unwrap();
    let (said, _) = examine(&args(None, &[&tests]));
    assert!(said.len() == 1 && said[0].contains("a.test.yaml:1:1: error: there is no matrix"), "{said:?}");
}

/// `check -c FILE` alone reads what `run` would.
#[test]
fn a_configuration_alone_has_its_matrices_and_their_tests_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::create_dir(path.join("own")).unwrap();
    let text = "sources: [{ topic: t, silent_after: 1m }]\nmatrices: [own/, absent/]\nowner: { email: o@x.example }\n";
    let config = write(path, "c.yaml", text);
    write(path, "own/a.yaml", &GOOD.replace("NAME", "a"));
    let tests = write(path, "own/a.test.yaml", "tests: []\n");
    let (said, result) = examine(&args(Some(&config), &[]));
    assert!(matches!(result, Err(Failure::User(text)) if text == "1 error, 1 warning"), "{said:?}");
    assert!(said[0].contains("c.yaml:1:1: warning: `matrices` names absent/, which is not here"), "{said:?}");
    assert!(said[1].contains("a.test.yaml:1:8: error: `tests` must be a list"), "{said:?}");
    fs::remove_file(tests).unwrap();
    let (_, result) = examine(&args(Some(&config), &[]));
    assert_eq!(result.unwrap(), "ok: the configuration, 1 matrix, 1 row, 1 warning");
    // Where a path is named, that alone.
    let other = write(path, "b.yaml", &GOOD.replace("NAME", "b"));
    let (_, result) = examine(&args(Some(&config), &[&other]));
    assert_eq!(result.unwrap(), "ok: the configuration, 1 matrix, 1 row, 0 warnings");
}

#[test]
fn every_path_that_fails_is_named_and_hides_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let bad = write(folder.path(), "bad.yaml", &GOOD.replace("waiting", "wating"));
    let latin = folder.path().join("latin.yaml");
    fs::write(&latin, b"version: 1\nname: caf\xe9\n").unwrap();
    let missing = folder.path().join("missing.yaml");
    let (said, result) = examine(&args(None, &[&missing, &empty, &latin, &bad]));
    let shown = |path: &Path| path.display().to_string();
    assert_eq!(said.len(), 4, "{said:#?}");
    assert_eq!(said[0], format!("{}: there is no such file or folder", shown(&missing)));
    assert!(said[1].starts_with(&format!("{}: the folder holds no matrix", shown(&empty))));
    assert!(said[2].starts_with(&format!("{}:2:10: error: this is not UTF-8 text", shown(&latin))), "{}", said[2]);
    assert!(said[3].starts_with(&format!("{}:3:21: error: unknown indicator `wating`", shown(&bad))), "{}", said[3]);
    assert!(matches!(result, Err(Failure::User(text)) if text == "4 errors, 0 warnings"));
}

#[test]
fn the_configuration_is_checked_with_the_matrices() {
    let folder = tempfile::tempdir().unwrap();
    let config = write(folder.path(), "c.yaml", "max_lag: 5\n");
    let bad = write(folder.path(), "bad.yaml", &GOOD.replace("waiting", "wating"));
    let (said, result) = examine(&args(Some(&config), &[&bad]));
    assert_eq!(
        said.len(),
        5,
        "a defect in each, nobody's matrix, and the two warnings of the default sources: {said:#?}"
    );
    assert!(result.is_err());

    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/config/valid-contract.yaml");
    let matrix = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/matrix/valid-contract.yaml");
    let (said, result) = examine(&args(Some(&example), &[&matrix]));
    assert_eq!(result.unwrap(), "ok: the configuration, 1 matrix, 2 rows, 2 warnings");
    assert!(said.iter().any(|text| text.contains("the links in mails end when the service restarts")), "{said:?}");
    let (said, result) = examine(&args(None, &[&example]));
    assert!(result.is_err() && said[0].contains("this is a configuration, not a matrix"), "{said:?}");
}

/// A configuration with defects hides none of its matrices, and what it leaves unknown is not held against them.
#[test]
fn a_bad_configuration_hides_nothing_of_its_matrices() {
    const MATRIX: &str = "version: 1
name: m
contacts:
  lead: { webhook: desk }
  night: { webhook: other }
  lost: { webhook: dsk }
rows:
  - indicator: wating
    goal: \"< 1\"
    ranges: [{ when: \"< 1\", level: ok }, { when: \">= 1\", level: info, tell: [lead, night, owner, owner.email] }]
  - { indicator: service_level, window: 20m, goal: \"> 0\", scope: { channel: facebook }, ranges: RANGES }
  - { indicator: service_level, window: 20m, goal: \"> 0\", scope: { channel: facebook }, threshold: 24h, ranges: RANGES }
  - { indicator: service_level, window: 5m, goal: \"> 0\", scope: { channel: facebook }, threshold: 31m, ranges: RANGES }
";
    let ranges = "[{ when: \"> 0\", level: ok }, { when: \"<= 0\", level: info, tell: owner }]";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::create_dir(path.join("own")).unwrap();
    write(path, "own/g.yaml", &MATRIX.replace("RANGES", ranges));
    let check = |text: &str| {
        let config =
            write(path, "c.yaml", &format!("sources: [{{ topic: t, silent_after: 1m }}]\nmatrices: [own/]\n{text}"));
        let (said, result) = examine(&args(Some(&config), &[]));
        assert!(matches!(result, Err(Failure::User(_))));
        let of = |name: &str| -> Vec<String> {
            let prefix = format!("{}/{name}:", path.display());
            said.iter()
                .filter_map(|text| text.strip_prefix(&prefix))
                .map(|text| text.lines().next().unwrap().to_owned())
                .collect()
        };
        assert_eq!(said.len(), of("c.yaml").len() + of("own/g.yaml").len(), "{said:#?}");
        (of("c.yaml"), of("own/g.yaml"))
    };

    // Two webhooks with defects are there, and an owner that cannot be read is somebody; the channels' thresholds are not known.
    let (config, matrix) = check(
        "max_lag: 5
owner: ops@acme.example
channels: { facebook: { service_level: [30x, 24h] } }
webhooks: { desk: { format: slak }, other: { format: slack } }
",
    );
    assert_eq!(
        config,
        [
            "3:10: error: `max_lag: 5` is not a duration: it needs a number and a unit",
            "4:8: error: a contact must be a map of keys, and this is one value",
            "5:41: error: `service_level: 30x` is not a duration: it needs a number and a unit",
            "6:29: error: `format` cannot be `slak`",
            "6:44: error: a webhook has no `url`",
        ]
    );
    let both = ["6:20: error: unknown webhook `dsk`", "8:16: error: unknown indicator `wating`"];
    let lost = "6:3: warning: nobody tells the contact `lost`";
    assert_eq!(matrix, both, "`lost` is broken and nothing else is said of it");

    // A key that is not known may be any: of the webhooks, the owner and the channels, nothing is known.
    let (config, matrix) = check("webhook: { desk: { url: \"https://h.example/\" } }\nownr: { email: o@x.example }\n");
    assert_eq!(config.iter().filter(|text| text.contains("unknown key")).count(), 2, "{config:?}");
    assert_eq!(matrix, [lost, both[1]]);

    // What is known of the rest is used.
    let hooks = "webhooks: { desk: { url: \"https://h.example/\" }, other: { url: \"https://h.example/\" } }";
    let (config, matrix) = check(&format!("owner: {{ email: o@x.example }}\n{hooks}\nmax_lag: 5\nlanguage: fr\n"));
    assert_eq!(config.iter().filter(|text| text.contains("error")).count(), 2, "{config:?}");
    assert_eq!(matrix[..2], both);
    assert!(matrix[2].starts_with("13:") && matrix[2].contains("warning: threshold `31m` is in no"), "{matrix:?}");
    assert_eq!(matrix.len(), 3, "{matrix:?}");

    // Of a text that is not YAML nothing is known, not even its matrices.
    let (config, matrix) = check("owner: [\n");
    assert_eq!((config.len(), matrix.len()), (1, 0), "{config:?}");
}

#[test]
fn matrices_are_looked_for_beside_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("mine")).unwrap();
    let file = write(folder.path(), "c.yaml", "matrices: [mine/, elsewhere/]\n");
    let config = atalaya::config::load("c.yaml", "matrices: [mine/, elsewhere/]\n", &Default::default(), None).unwrap();
    assert_eq!(matrix_paths(Some(&file), &config), [folder.path().join("mine/"), PathBuf::from("elsewhere/")]);
}

/// The example of the documentation names a webhook: both commands take it without the configuration that has it.
#[test]
fn a_matrix_is_checked_and_played_without_its_configuration() {
    let matrix = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/matrix/valid-contract.yaml");
    let folder = tempfile::tempdir().unwrap();
    let events = write(
        folder.path(),
        "events.ndjson",
        "{\"type\":\"interaction.arrived\",\"interaction\":\"1\",\"queue\":\"reclamos\",\"channel\":\"facebook\",\"time\":\"2026-01-05T12:00:00Z\"}\n",
    );
    let config = write(folder.path(), "c.yaml", "time_zone: UTC\n");
    let run = |args: &[&dyn AsRef<std::ffi::OsStr>]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_atalaya"));
        let output = command.args(args.iter().map(|arg| arg.as_ref())).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = run(&[&"check", &matrix]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = run(&[&"backtest", &"-m", &matrix, &"--events", &events]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = run(&[&"backtest", &"-c", &config, &"-m", &matrix, &"--events", &events]);
    assert!(code == Some(2) && said.contains("unknown webhook `wfm-desk`"), "{said}");
}
