//! Programs from outside that some tests need.

use std::path::PathBuf;

/// Where the program is; `None` lets the test be skipped, saying so. Where `CI=true` it fails instead.
pub fn find(program: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file());
    if found.is_none() {
        let text = format!("{program} is not on the PATH (Debian's package {package})");
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{text}");
        eprintln!("skipped: {text}");
    }
    found
}
