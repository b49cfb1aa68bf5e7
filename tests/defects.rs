//! The patches of `tests/defects` break the program on purpose, and `make defects` proves that each is caught. Here is what can be
//! known without a build: that each still fits the sources, and names a test that there is.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

/// Whether what a patch takes away or leaves around it is in the file, once for each hunk; the file, and the hunk that is not.
fn misfit(patch: &str, read: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let mut file = String::new();
    let mut hunks: Vec<(String, String)> = Vec::new();
    for line in patch.lines() {
        if let Some(name) = line.strip_prefix("--- a/") {
            file = name.to_owned();
        } else if line.starts_with("@@ ") {
            hunks.push((file.clone(), String::new()));
        } else if let Some((of, old)) = hunks.last_mut()
            && of == &file
            && let Some(line) = line.strip_prefix([' ', '-'])
        {
            old.push_str(line);
            old.push('\n');
        }
    }
    if hunks.is_empty() {
        return Some("it changes nothing".to_owned());
    }
    let fits = |(file, old): &(String, String)| read(file).is_some_and(|text| text.matches(old.as_str()).count() == 1);
    hunks.into_iter().find(|hunk| !fits(hunk)).map(|(file, old)| format!("{file} is without\n{old}"))
}

#[test]
fn every_defect_still_fits() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = fs::read_dir(root.join("tests/defects")).unwrap().map(|entry| entry.unwrap().path());
    let patches: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "patch")).collect();
    assert!(patches.len() >= 10, "{patches:?}");
    for path in patches {
        let patch = fs::read_to_string(&path).unwrap();
        let name = path.display();
        let head: Vec<&str> = patch.lines().take_while(|line| !line.is_empty()).collect();
        let [what, caught] = head[..] else { panic!("{name}: what it breaks, and who catches it") };
        assert!(what.ends_with('.'), "{name}: {what}");
        let test = caught.strip_prefix("Caught by: ").unwrap_or_else(|| panic!("{name}: {caught}"));
        let tests = root.join("tests");
        assert!(
            tests.join(test).join("main.rs").exists() || tests.join(format!("{test}.rs")).exists(),
            "{name}: {test}"
        );
        assert_eq!(misfit(&patch, &|file| fs::read_to_string(root.join(file)).ok()), None, "{name}");
    }
}

#[test]
fn a_patch_that_does_not_fit_is_found() {
    let patch = "what.\n\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n";
    let found = |text: &str| misfit(patch, &|_| Some(text.to_owned()));
    assert_eq!(found("zero\none\ntwo\n"), None);
    assert!(found("one\n2\n").is_some());
    assert!(found("one\ntwo\none\ntwo\n").is_some());
    assert!(misfit(patch, &|_| None).is_some());
    assert!(misfit("what.\n", &|_| None).is_some());
}
