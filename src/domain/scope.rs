//! Which queues and channels a matrix or a row is about: lists of globs, `!` excludes.

use globset::{Glob, GlobMatcher};

use super::Key;

/// Globs over one name. Matches what some including pattern matches (any name, if there is none) and no `!` pattern does.
#[derive(Clone, Debug, Default)]
pub struct Globs {
    include: Vec<(String, GlobMatcher)>,
    exclude: Vec<(String, GlobMatcher)>,
}

impl Globs {
    /// `Err` holds the pattern at fault and why.
    pub fn new<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Result<Self, (String, String)> {
        let mut globs = Globs::default();
        for pattern in patterns {
            let pattern = pattern.as_ref();
            let (list, text) = match pattern.strip_prefix('!') {
                Some(rest) => (&mut globs.exclude, rest),
                None => (&mut globs.include, pattern),
            };
            let glob = Glob::new(text).map_err(|e| (pattern.to_owned(), e.kind().to_string()))?;
            list.push((text.to_owned(), glob.compile_matcher()));
        }
        Ok(globs)
    }

    pub fn matches(&self, name: &str) -> bool {
        let hit = |list: &[(String, GlobMatcher)]| list.iter().any(|(_, glob)| glob.is_match(name));
        (self.include.is_empty() || hit(&self.include)) && !hit(&self.exclude)
    }

    /// Whether it names anything at all.
    pub fn is_any(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// The names it includes literally (no wildcard) and does not exclude.
    pub fn literals(&self) -> impl Iterator<Item = &str> {
        self.include
            .iter()
            .map(|(text, _)| text.as_str())
            .filter(|text| !text.contains(['*', '?', '[', ']', '{', '}', '\\']) && self.matches(text))
    }

    /// The patterns as written, excluding ones with their `!`.
    pub fn patterns(&self) -> impl Iterator<Item = String> {
        let include = self.include.iter().map(|(text, _)| text.clone());
        include.chain(self.exclude.iter().map(|(text, _)| format!("!{text}")))
    }
}

/// `scope: { queue: [...], channel: ... }`.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub queue: Globs,
    pub channel: Globs,
}

impl Scope {
    /// Whether the names that `key` has are in scope; a rolled-over name is not looked at.
    pub fn covers(&self, key: &Key) -> bool {
        key.queue.as_deref().is_none_or(|queue| self.queue.matches(queue))
            && key.channel.as_deref().is_none_or(|channel| self.channel.matches(channel))
    }

    /// The pairs whose queue and channel are both named literally: they exist from the start.
    pub fn literal_pairs(&self) -> Vec<Key> {
        let channels: Vec<&str> = self.channel.literals().collect();
        self.queue.literals().flat_map(|queue| channels.iter().map(move |channel| Key::pair(queue, channel))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_include_and_exclude() {
        let globs = Globs::new(["re*", "soporte", "!reventa"]).unwrap();
        for (name, expected) in [("reclamos", true), ("soporte", true), ("reventa", false), ("otra", false)] {
            assert_eq!(globs.matches(name), expected, "{name}");
        }
        assert_eq!(globs.literals().collect::<Vec<_>>(), ["soporte"]);
        assert!(Globs::new(["!vip"]).unwrap().matches("any"));
        assert!(Globs::new(["[a"]).is_err());
    }
}
