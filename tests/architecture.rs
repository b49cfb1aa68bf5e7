//! Holds the house together: the core stays pure, imports go one way, `unsafe` stays in its room, files stay readable.
//!
//! It reads the sources as text, so it also sees what a build for another platform or feature would. What the
//! compiler proves better (that the core builds without the crates of the shell) is `make test`'s
//! `cargo check --no-default-features`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[path = "architecture/source.rs"]
mod source;

use source::Source;

/// Items of the standard library (and of crates that the core may use) that reach outside, with what to do instead.
const OUTSIDE: [(&str, &str); 11] = [
    ("std::time::Instant", "time is an argument"),
    ("std::time::SystemTime", "time is an argument"),
    ("std::time::UNIX_EPOCH", "time is an argument: use domain::Timestamp"),
    ("std::env", "the shell reads the environment and hands values in"),
    ("std::fs", "the shell reads files and hands their text in"),
    ("std::net", "only the shell opens connections"),
    ("std::process", "only the shell starts and ends processes"),
    ("std::thread", "the core runs on its caller's thread"),
    ("std::hash::RandomState", "its order differs from run to run: use foldhash's fixed state, or a BTreeMap"),
    ("rand::rng", "randomness comes from a seed that the caller gives"),
    ("rand::random", "randomness comes from a seed that the caller gives"),
];

/// Lines of the longest file allowed under `src`; the usual one is a third of it.
const LINES_MAX: usize = 600;

/// The one module that may hold `unsafe`.
const UNSAFE_ROOM: &str = "kafka";

/// The rooms of the core from the top of the map in `src/lib.rs` down, and those of the shell.
#[derive(Debug, Default, PartialEq)]
struct Map {
    core: Vec<String>,
    shell: BTreeSet<String>,
}

impl Map {
    /// From the table in the module documentation of `src/lib.rs`: its rows are the order of imports.
    fn read(lib: &str) -> Map {
        let mut map = Map::default();
        for row in lib.lines().filter_map(|line| line.strip_prefix("//! |")) {
            let names = |text: &str| text.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
            let mut cells = row.split('|');
            let (first, second) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
            if first.trim() == "the shell" {
                map.shell.extend(names(second));
            } else if first.trim_start().starts_with("[`") {
                map.core.extend(names(first));
            }
        }
        map
    }

    fn rank(&self, room: &str) -> Option<usize> {
        match self.core.iter().position(|name| name == room) {
            Some(rank) => Some(rank),
            None => self.shell.contains(room).then_some(self.core.len()),
        }
    }
}

/// The crates that `Cargo.toml` takes in for the shell alone, by the names that sources use.
fn shell_crates(cargo_toml: &str) -> BTreeSet<String> {
    let feature = cargo_toml.split("\nshell = [").nth(1).and_then(|rest| rest.split(']').next()).unwrap_or_default();
    feature.split('"').filter_map(|item| item.strip_prefix("dep:")).map(|name| name.replace('-', "_")).collect()
}

/// What a file of the core names that it must not.
fn impurities(source: &Source, shell_crates: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    for named in &source.named {
        let path = named.path.join("::");
        let first = named.path.first().map_or("", String::as_str);
        if shell_crates.contains(first) {
            found.push(format!("{}: names `{path}`: the crate `{first}` belongs to the shell", named.line));
        }
        if let [.., clock @ ("Timestamp" | "Zoned" | "Instant" | "SystemTime"), "now"] =
            named.path.iter().map(String::as_str).collect::<Vec<_>>().as_slice()
        {
            found.push(format!("{}: reads the clock by `{clock}::now`: time is an argument", named.line));
        }
        for (outside, instead) in OUTSIDE {
            let within = |long: &str, short: &str| long == short || long.starts_with(&format!("{short}::"));
            if within(&path, outside) {
                found.push(format!("{}: names `{path}`: {instead}", named.line));
            } else if named.import && first == "std" && within(outside, &path) {
                let line = named.line;
                found.push(format!("{line}: imports all of `{path}`, which holds `{outside}`: import the item itself"));
            }
        }
    }
    found
}

/// Imports of `room` that go against the map.
fn upward(source: &Source, room: &str, map: &Map) -> Vec<String> {
    let Some(own) = map.rank(room) else {
        return vec![format!("1: the module `{room}` is missing from the map in src/lib.rs")];
    };
    let mut found = Vec::new();
    for named in &source.named {
        let [root, other, ..] = named.path.as_slice() else { continue };
        if (root == "crate" || root == "atalaya") && map.rank(other).is_some_and(|rank| rank > own) {
            let path = named.path.join("::");
            found.push(format!("{}: `{room}` names `{path}`, but `{other}` stands below it in the map", named.line));
        }
    }
    found
}

fn unsafe_words(source: &Source) -> Vec<String> {
    let hits = source.words.iter().filter(|(word, _)| word == "unsafe");
    hits.map(|(_, line)| format!("{line}: `unsafe` outside src/{UNSAFE_ROOM}")).collect()
}

fn too_long(text: &str) -> Vec<String> {
    let lines = text.lines().count();
    if lines > LINES_MAX {
        vec![format!("{LINES_MAX}: {lines} lines, more than {LINES_MAX}: split the file by what it is about")]
    } else {
        Vec::new()
    }
}

// -- the sources of this package --

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text_of(path: &str) -> String {
    fs::read_to_string(package().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Every file under `src`: path from there, module path, text and what it names. Files of tests alone are left out.
fn sources() -> BTreeMap<PathBuf, (Vec<String>, String, Source)> {
    let root = package().join("src");
    let mut found = BTreeMap::new();
    let mut test_files = BTreeSet::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("src can be read") {
            let path = entry.expect("src can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source file is text");
                let short = path.strip_prefix(&root).expect("it was found there").to_path_buf();
                let module = module_of(&short);
                let source = source::read(&text, &module.iter().map(String::as_str).collect::<Vec<_>>());
                test_files.extend(
                    source.test_modules.iter().map(|name| [module.as_slice(), std::slice::from_ref(name)].concat()),
                );
                found.insert(short, (module, text, source));
            }
        }
    }
    found.retain(|_, (module, _, _)| !test_files.iter().any(|file| module.starts_with(file)));
    found
}

/// `board/window.rs` and `board/window/mod.rs` are `["board", "window"]`; `lib.rs` and `main.rs` are the root.
fn module_of(path: &Path) -> Vec<String> {
    let mut parts: Vec<String> =
        path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod")
        || matches!(parts.as_slice(), [only] if only == "lib" || only == "main")
    {
        parts.pop();
    }
    parts
}

/// Fails with every finding as `src/FILE:LINE: what`.
fn none_in_sources(check: impl Fn(&[String], &str, &Source) -> Vec<String>) {
    let mut findings = Vec::new();
    let sources = sources();
    assert!(sources.len() > 20, "only {} source files were found", sources.len());
    for (path, (module, text, source)) in &sources {
        let what = check(module, text, source);
        findings.extend(what.into_iter().map(|finding| format!("src/{}:{finding}", path.display())));
    }
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn the_core_reaches_nothing_outside() {
    let map = Map::read(&text_of("src/lib.rs"));
    let crates = shell_crates(&text_of("Cargo.toml"));
    for known in ["tokio", "rdkafka", "axum", "reqwest", "lettre", "prometheus"] {
        assert!(crates.contains(known), "{known} is no crate of the shell: {crates:?}");
    }
    none_in_sources(|module, _, source| match module.first() {
        Some(room) if map.core.contains(room) => impurities(source, &crates),
        _ => Vec::new(),
    });
}

#[test]
fn imports_go_one_way() {
    let lib = text_of("src/lib.rs");
    let map = Map::read(&lib);
    let declared: BTreeSet<&str> =
        lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let mapped: BTreeSet<&str> = map.core.iter().chain(&map.shell).map(String::as_str).collect();
    assert_eq!(declared, mapped, "the modules of src/lib.rs and the map in its documentation differ");
    none_in_sources(|module, _, source| match module.first() {
        Some(room) => upward(source, room, &map),
        None => Vec::new(), // lib.rs and main.rs name everything
    });
}

#[test]
fn unsafe_code_stays_in_its_room() {
    none_in_sources(|module, _, source| match module.first() {
        Some(room) if room == UNSAFE_ROOM => Vec::new(),
        _ => unsafe_words(source),
    });
}

#[test]
fn files_stay_readable() {
    none_in_sources(|_, text, _| too_long(text));
}

// -- the checks can fail --

#[cfg(test)]
mod checks {
    use super::*;

    fn crates() -> BTreeSet<String> {
        shell_crates("[features]\nshell = [\n  \"dep:tokio\", \"dep:mail-parser\",\n]\n")
    }

    #[test]
    fn impure_code_is_found() {
        for (code, expected) in [
            ("use tokio::sync::mpsc;", "`tokio` belongs to the shell"),
            ("fn f() { tokio::spawn(async {}); }", "`tokio` belongs to the shell"),
            ("extern crate tokio;", "`tokio` belongs to the shell"),
            ("fn f(m: &mail_parser::Message) {}", "`mail_parser` belongs to the shell"),
            ("use std::time::Instant;", "time is an argument"),
            ("use std::{fmt, time::{Duration, SystemTime as Clock}};", "time is an argument"),
            ("fn f() { let x = ::std::time::Instant::now(); }", "time is an argument"),
            ("use std::time;", "imports all of `std::time`"),
            ("use std::time::*;", "imports all of `std::time`"),
            ("use std::time::{self, Duration};", "imports all of `std::time`"),
            ("use std::env;", "the environment"),
            ("fn f() { std::fs::read(\"a\"); }", "reads files"),
            ("use std::net::TcpStream;", "opens connections"),
            ("fn f() { std::thread::spawn(|| ()); }", "caller's thread"),
            ("use jiff::Timestamp;\nfn f() { Timestamp::now(); }", "2: reads the clock"),
            ("use rand::{Rng, rng};", "from a seed"),
            ("fn f() { let mut r = rand::rng(); }", "from a seed"),
        ] {
            let found = impurities(&source::read(code, &["floor"]), &crates()).join("\n");
            assert!(found.contains(expected), "{code}: {found:?}");
        }
    }

    #[test]
    fn pure_code_passes() {
        for code in [
            "use std::time::Duration;",
            "// use tokio::spawn;\n/* std::fs::read /* nested */ std::env */\nfn f() {}",
            "fn f() -> &'static str { \"tokio::spawn \\\" std::fs::read\" }",
            "fn f() -> &'static str { r#\"std::fs::read(\"a\")\"# }",
            "fn f<'a>(x: &'a str) -> char { '\"' }\nconst B: &[u8] = b\"std::fs::read\";",
            "fn f(x: Metrics) { x.tokio; let tokio = 1; }",
            "#[cfg(test)]\nmod tests {\n  use std::fs;\n  fn f() { std::env::var(\"A\"); }\n}",
            "#[cfg(test)]\nuse std::fs;\nfn f() {}",
            "use jiff::Timestamp;",
            "use crate::config::Config;",
        ] {
            let found = impurities(&source::read(code, &["floor"]), &crates());
            assert!(found.is_empty(), "{code}: {found:?}");
        }
    }

    #[test]
    fn code_behind_a_test_module_is_read_again() {
        let code = "#[cfg(test)]\nmod tests { fn f() { if x { } } }\nuse std::fs;";
        assert_eq!(impurities(&source::read(code, &["floor"]), &crates()).len(), 1);
    }

    #[test]
    fn imports_against_the_map_are_found() {
        let lib = "//! | module | what |\n//! |---|---|\n//! | [`domain`] | a |\n//! | [`wire`] | b |\n//! | [`floor`] | c |\n\
                   //! | the shell | `clock`, `kafka`: all I/O |\n";
        let map = Map::read(lib);
        assert_eq!(map.core, ["domain", "wire", "floor"]);
        for (module, code, count) in [
            (&["domain"][..], "use crate::floor::Floor;", 1),
            (&["domain"], "use super::floor::Floor;", 1),
            (&["domain", "time"], "fn f() { super::super::wire::decode(); }", 1),
            (&["domain"], "fn f() { crate::floor::take(); }", 1),
            (&["wire"], "use crate::{domain::Key, floor::{Batch, Floor}};", 2),
            (&["floor"], "use crate::kafka::Reader;", 1),
            (&["floor"], "mod inner { use super::super::kafka::Reader; }", 1),
            (&["attic"], "", 1),
            (&["floor"], "use crate::wire::Reason;", 0),
            (&["floor"], "use crate::floor::state::Open;", 0),
            (&["domain"], "use super::Key;", 0),
            (&["domain"], "mod inner { use super::floor; }", 0),
            (&["wire"], "/// As [`crate::floor::Floor`] does.\nfn f() {}", 0),
            (&["kafka"], "use crate::clock::now;", 0),
        ] {
            let found = upward(&source::read(code, module), module[0], &map);
            assert_eq!(found.len(), count, "{module:?} {code}: {found:?}");
        }
    }

    #[test]
    fn unsafe_blocks_are_found() {
        for (code, count) in [
            ("fn f() { unsafe { g() } }", 1),
            ("unsafe impl Send for A {}", 1),
            ("#![deny(unsafe_code)] // unsafe\nfn f() -> &'static str { \"unsafe\" }", 0),
        ] {
            assert_eq!(unsafe_words(&source::read(code, &["board"])).len(), count, "{code}");
        }
    }

    #[test]
    fn long_files_are_found() {
        assert!(too_long(&"x\n".repeat(LINES_MAX)).is_empty());
        assert_eq!(too_long(&"x\n".repeat(LINES_MAX + 1)).len(), 1);
    }

    #[test]
    fn modules_are_named_by_their_files() {
        for (path, module) in [
            ("lib.rs", &[][..]),
            ("main.rs", &[]),
            ("plan.rs", &["plan"]),
            ("board/mod.rs", &["board"]),
            ("board/window.rs", &["board", "window"]),
            ("matrix/lib.rs", &["matrix", "lib"]),
        ] {
            assert_eq!(module_of(Path::new(path)), module, "{path}");
        }
    }
}
