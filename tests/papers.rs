//! What the documents say is tried: links lead somewhere, commands and flags exist, examples are accepted, and the files
//! under `deploy` name what is there.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text_of(path: impl AsRef<Path>) -> String {
    let path = package().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every document of the repository: those at its root and under `docs`, by their path from the root.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["", "docs"] {
        for entry in fs::read_dir(package().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path.strip_prefix(package()).unwrap().to_path_buf());
            }
        }
    }
    found.sort();
    assert!(found.len() >= 7, "documents are missing: {found:?}");
    found
}

/// The fenced blocks of `language`.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if let Some(fence) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            if fence == language {
                found.push(block.join("\n") + "\n");
            }
        }
    }
    found
}

/// The targets of `[text](target)` that are files: no address, without the part behind `#`.
fn file_links(document: &str) -> Vec<String> {
    let prose: String = document.split("```").step_by(2).collect();
    prose
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://"))
        .filter_map(|target| target.split('#').next())
        .filter(|file| !file.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn blocks_and_links_are_found() {
    let document =
        "a [b](c.md#d), ![e](f/g.png), [h](https://i.example), [j](#k)\n```sh\n[x](y.md)\n```\n```yaml\nl: 1\n```\n";
    assert_eq!(file_links(document), ["c.md", "f/g.png"]);
    assert_eq!(blocks(document, "yaml"), ["l: 1\n"]);
}

#[test]
fn links_lead_to_files() {
    let mut dead = Vec::new();
    for document in documents() {
        let folder = package().join(&document).parent().unwrap().to_path_buf();
        for link in file_links(&text_of(&document)) {
            if !folder.join(&link).exists() {
                dead.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(dead.is_empty(), "links that lead nowhere:\n{}", dead.join("\n"));
}

#[test]
fn make_targets_exist() {
    let makefile = text_of("Makefile");
    for document in documents() {
        for block in blocks(&text_of(&document), "sh") {
            for target in block.lines().filter_map(|line| line.strip_prefix("make ")?.split_whitespace().next()) {
                let rule = format!("\n{target}:");
                assert!(makefile.contains(&rule), "{} names `make {target}`", document.display());
            }
        }
    }
}

#[cfg(feature = "shell")]
mod with_the_binary {
    use std::process::{Command, Output};

    use super::*;

    fn write(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn atalaya(arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_atalaya")).args(arguments).output().expect("the binary starts")
    }

    fn expect_success(output: &Output, what: &str) {
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{what}: {}\n{text}", output.status);
    }

    /// Each section of `docs/commands.md` is a command; the first column of its table holds its flags.
    #[test]
    fn commands_and_flags_exist() {
        let document = text_of("docs/commands.md");
        let sections: Vec<&str> = document.split("\n## atalaya ").skip(1).collect();
        assert!(sections.len() >= 5, "the commands are missing");
        for section in sections {
            let name = section.lines().next().unwrap_or_default();
            let output = atalaya(&[name, "--help"]);
            expect_success(&output, name);
            let help = String::from_utf8_lossy(&output.stdout).into_owned();
            let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split(['`', ' ', '.']).next());
            for flag in cells {
                assert!(help.contains(flag), "`atalaya {name} --help` does not name {flag}:\n{help}");
            }
        }
    }

    /// Commands that other documents show begin with a command that exists.
    #[test]
    fn shown_commands_are_documented() {
        let commands = text_of("docs/commands.md");
        for document in documents() {
            for block in blocks(&text_of(&document), "sh") {
                for name in block.lines().filter_map(|line| line.strip_prefix("atalaya ")?.split_whitespace().next()) {
                    let heading = format!("\n## atalaya {name}\n");
                    assert!(commands.contains(&heading), "{} shows `atalaya {name}`", document.display());
                }
            }
        }
    }

    #[test]
    fn example_matrices_and_configurations_are_accepted() {
        let mut matrices = 0;
        let mut configurations = 0;
        for document in documents() {
            let folder = tempfile::tempdir().unwrap();
            let (ours, others): (Vec<String>, Vec<String>) =
                blocks(&text_of(&document), "yaml").into_iter().partition(|block| block.starts_with("version: 1\n"));
            let whole = others.iter().filter(|block| block.starts_with("# atalaya.yaml\n"));
            let configuration = whole.map(|block| write(&folder, "atalaya.yaml", block)).next_back();
            for (index, block) in ours.iter().enumerate() {
                let path = write(&folder, &format!("matrix-{index}.yaml"), block);
                let path = path.to_str().unwrap();
                let output = match &configuration {
                    Some(file) => atalaya(&["check", "-c", file.to_str().unwrap(), path]),
                    None => atalaya(&["check", path]),
                };
                expect_success(&output, &format!("{}, matrix {index}", document.display()));
                matrices += 1;
            }
            configurations += usize::from(configuration.is_some());
        }
        assert!(matrices >= 2 && configurations >= 1, "{matrices} matrices and {configurations} configurations");
    }

    /// The examples would be accepted by a command that reads nothing: a broken one must not be.
    #[test]
    fn a_broken_example_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let example = blocks(&text_of("docs/matrix.md"), "yaml").remove(0);
        let broken = example.replace("\"0.60 .. 0.80\"", "\"0.65 .. 0.80\"");
        assert_ne!(example, broken);
        let path = write(&folder, "broken.yaml", &broken);
        let output = atalaya(&["check", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("gap"), "{output:?}");
    }

    #[test]
    fn the_configuration_of_the_containers_is_accepted() {
        let root = package().join("deploy/atalaya.yaml");
        let matrices = package().join("escalation-matrices");
        let output = atalaya(&["check", "-c", root.to_str().unwrap(), matrices.to_str().unwrap()]);
        expect_success(&output, "deploy/atalaya.yaml");
    }
}

/// Every example event of the documents is one that the decoder takes.
#[test]
fn example_events_are_accepted() {
    use atalaya::wire::{Decoded, Decoder, Format};
    let mut taken = 0;
    for document in ["README.md", "docs/events.md"] {
        for line in blocks(&text_of(document), "json").iter().flat_map(|block| block.lines()) {
            let format = if line.contains("specversion") { Format::CloudEvents } else { Format::Canonical };
            let decoder = Decoder { format, states: BTreeMap::new() };
            let decoded = decoder.decode(line.as_bytes());
            assert!(matches!(decoded, Decoded::Event(_)), "{document}: {line}\n{decoded:?}");
            taken += 1;
        }
    }
    assert!(taken >= 15, "only {taken} examples were found");
}

fn compose() -> Value {
    serde_saphyr::from_str(&text_of("deploy/compose.yaml")).expect("deploy/compose.yaml is YAML")
}

fn services(compose: &Value) -> impl Iterator<Item = (&String, &Value)> {
    compose["services"].as_object().expect("it has services").iter()
}

#[test]
fn what_the_containers_mount_is_there() {
    let compose = compose();
    let mut mounted = 0;
    for (name, service) in services(&compose) {
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let source = volume.as_str().unwrap().split(':').next().unwrap();
            if source.starts_with('.') {
                assert!(package().join("deploy").join(source).exists(), "{name} mounts {source}, which is not there");
                mounted += 1;
            } else {
                assert!(
                    compose["volumes"].get(source).is_some(),
                    "{name} mounts the volume {source}, which is not declared"
                );
            }
        }
        if let Some(file) = service["build"]["dockerfile"].as_str() {
            assert!(package().join(file).is_file(), "{name} is built from {file}, which is not there");
        }
    }
    assert!(mounted >= 4, "only {mounted} mounted paths were found");
}

#[test]
fn containers_are_pinned_private_and_in_order() {
    let compose = compose();
    for (name, service) in services(&compose) {
        let image = service["image"].as_str().unwrap_or_default();
        let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
        assert!(!tag.is_empty() && tag != "latest", "{name}: the image {image:?} names no version");
        for port in service["ports"].as_array().into_iter().flatten() {
            let port = port.as_str().unwrap_or_default();
            assert!(port.starts_with("127.0.0.1:"), "{name} opens {port} to the network");
        }
        let after: Vec<&str> = match &service["depends_on"] {
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            Value::Object(names) => names.keys().map(String::as_str).collect(),
            _ => Vec::new(),
        };
        for other in after {
            assert!(compose["services"].get(other).is_some(), "{name} waits for {other}, which is not there");
        }
    }
}

/// The topics that the configuration reads are those that the compose file makes.
#[test]
fn the_topics_of_the_containers_are_made() {
    let configuration: Value = serde_saphyr::from_str(&text_of("deploy/atalaya.yaml")).unwrap();
    let made = compose()["services"]["topics"]["command"][0].as_str().unwrap().to_owned();
    let read = configuration["sources"].as_array().unwrap();
    assert_eq!(read.len(), 2);
    for topic in read.iter().map(|source| source["topic"].as_str().unwrap()).chain(["atalaya.dead-letters"]) {
        assert!(made.split([' ', ';', '\n']).any(|word| word == topic), "nobody makes the topic {topic}");
    }
}

/// The text of every source of the program, with strings that go over several lines as one.
fn sources() -> String {
    fn read(folder: &Path, all: &mut String) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                read(&entry, all);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                all.push_str(&fs::read_to_string(&entry).unwrap());
            }
        }
    }
    let mut all = String::new();
    read(&package().join("src"), &mut all);
    let mut lines = all.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |text, line| text + line.trim_start())
}

/// The sections of the runbook, by what stands in their headings before a colon.
fn runbook_sections(under: &str) -> Vec<String> {
    let runbook = text_of("docs/runbook.md");
    let part = runbook.split(&format!("\n## {under}\n")).nth(1).expect(under);
    let part = part.split("\n## ").next().unwrap_or_default();
    let headings = part.lines().filter_map(|line| line.strip_prefix("### "));
    let mut names: Vec<String> =
        headings.map(|heading| heading.split(':').next().unwrap_or_default().trim_matches('`').to_owned()).collect();
    names.sort();
    names
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn the_runbook_has_every_alert_reason_and_problem() {
    let rules: Value = serde_saphyr::from_str(&text_of("deploy/prometheus/rules/atalaya.yml")).unwrap();
    let alerts = rules["groups"][0]["rules"].as_array().unwrap().iter();
    let alerts = sorted(alerts.map(|rule| rule["alert"].as_str().unwrap().to_owned()));
    assert!(alerts.len() > 10);
    assert_eq!(runbook_sections("Alerts"), alerts);

    // The parts by which `/readyz` keeps its entries.
    let sources = sources();
    let parts = |call: &str| {
        let after = |rest: &str| {
            let rest = rest.strip_prefix("&format!(").unwrap_or(rest);
            rest.strip_prefix('"')?.split(['"', ' ']).next().map(str::to_owned)
        };
        sorted(sources.split(call).skip(1).filter_map(after))
    };
    assert_eq!(runbook_sections("Not ready"), parts(".set_reason("));
    assert_eq!(runbook_sections("Degraded"), parts(".set_degraded("));

    let kinds = text_of("src/kafka/problems.rs");
    let names = kinds.lines().filter_map(|line| line.trim().strip_prefix("Kind::")?.split_once(" => \""));
    let names = sorted(names.map(|(_, rest)| rest.trim_end_matches("\",").to_owned()));
    assert!(names.len() > 10);
    assert_eq!(runbook_sections("Kafka"), names);
}

/// What the runbook quotes is what the program says.
#[test]
fn the_runbook_quotes_the_program() {
    let sources = sources();
    let runbook = text_of("docs/runbook.md");
    let quotes: Vec<&str> = runbook.lines().filter_map(|line| line.strip_prefix("> ")).collect();
    assert!(quotes.len() > 12);
    for quote in quotes {
        for piece in quote.split("`…`").map(str::trim).filter(|piece| !piece.is_empty()) {
            assert!(sources.contains(piece), "nothing says \"{piece}\" any more");
        }
    }
}
