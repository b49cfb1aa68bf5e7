//! Reads Rust source just well enough to say which paths it names: comments, text and test code taken out, `use`
//! trees and inline modules followed.
//!
//! It is no parser: macros are read as the tokens they are written with, and types are not known.

use std::collections::BTreeSet;

/// A path as the source writes it, `super` and `self` resolved: `crate::board::Window` is `["crate", "board", "Window"]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    pub path: Vec<String>,
    /// Whether it stands in a `use` or `extern crate`: such a path may name a module whose items are used further down.
    pub import: bool,
    pub line: usize,
}

/// What a source file names.
#[derive(Debug, Default)]
pub struct Source {
    pub named: Vec<Named>,
    /// Every identifier and keyword outside comments and text, with its line; test code left out.
    pub words: Vec<(String, usize)>,
    /// Modules declared for tests alone (`#[cfg(test)] mod tests;`): their files are test code.
    pub test_modules: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    /// `::`
    Path,
    Mark(char),
}

/// Reads the source of the module `module` (`["board", "window"]` for `src/board/window.rs`).
pub fn read(text: &str, module: &[&str]) -> Source {
    let mut source = Source::default();
    let tokens = without_tests(tokens(text), &mut source.test_modules);
    for (token, line) in &tokens {
        if let Token::Word(word) = token {
            source.words.push((word.clone(), *line));
        }
    }
    // Inline modules that are open here: the brace depth they were opened at, and their name.
    let mut inline: Vec<(usize, String)> = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    while let Some((token, line)) = tokens.get(at) {
        let here = || module.iter().map(ToString::to_string).chain(inline.iter().map(|(_, name)| name.clone()));
        match token {
            Token::Mark('{') => depth += 1,
            Token::Mark('}') => {
                depth = usize::saturating_sub(depth, 1);
                inline.retain(|(opened, _)| *opened < depth + 1);
            }
            Token::Word(word) if word == "mod" => {
                if let (Some((Token::Word(name), _)), Some((Token::Mark('{'), _))) =
                    (tokens.get(at + 1), tokens.get(at + 2))
                {
                    inline.push((depth + 1, name.clone()));
                    depth += 1;
                    at += 3;
                    continue;
                }
            }
            Token::Word(word) if word == "use" => {
                let mut paths = Vec::new();
                at = use_tree(&tokens, at + 1, &[], &mut paths);
                let place: Vec<String> = here().collect();
                source.named.extend(paths.into_iter().map(|path| Named {
                    path: resolve(path, &place),
                    import: true,
                    line: *line,
                }));
                continue;
            }
            Token::Word(word) if word == "extern" => {
                if let (Some((Token::Word(krate), _)), Some((Token::Word(name), _))) =
                    (tokens.get(at + 1), tokens.get(at + 2))
                    && krate == "crate"
                {
                    source.named.push(Named { path: vec![name.clone()], import: true, line: *line });
                }
            }
            Token::Word(first) => {
                let mut path = vec![first.clone()];
                while let (Some((Token::Path, _)), Some((Token::Word(next), _))) =
                    (tokens.get(at + 1), tokens.get(at + 2))
                {
                    path.push(next.clone());
                    at += 2;
                }
                if path.len() > 1 {
                    let place: Vec<String> = here().collect();
                    source.named.push(Named { path: resolve(path, &place), import: false, line: *line });
                }
            }
            Token::Path | Token::Mark(_) => {}
        }
        at += 1;
    }
    source
}

/// Takes `a::{b, c::*} as d;` apart from `at` on; returns the place behind it.
fn use_tree(tokens: &[(Token, usize)], mut at: usize, before: &[String], paths: &mut Vec<Vec<String>>) -> usize {
    let mut path = before.to_vec();
    while let Some((token, _)) = tokens.get(at) {
        at += 1;
        match token {
            Token::Word(word) if word == "as" => at += 1,
            Token::Word(word) if word == "self" && !path.is_empty() => {}
            Token::Word(word) => path.push(word.clone()),
            Token::Path | Token::Mark('*') => {}
            Token::Mark('{') => {
                loop {
                    at = use_tree(tokens, at, &path, paths);
                    match tokens.get(at) {
                        Some((Token::Mark(','), _)) => at += 1,
                        _ => break,
                    }
                }
                // Behind the closing brace; the group has named its paths itself.
                return at + 1;
            }
            Token::Mark(_) => {
                at -= 1;
                break;
            }
        }
    }
    if path.len() > before.len() || (!path.is_empty() && path == before) {
        paths.push(path);
    }
    at
}

/// `self::a` and `super::a` as paths from `crate`; other paths as they are.
fn resolve(path: Vec<String>, module: &[String]) -> Vec<String> {
    let mut place = module.to_vec();
    let mut rest = path.as_slice();
    match rest.first().map(String::as_str) {
        Some("self") => rest = &rest[1..],
        Some("super") => {
            while rest.first().is_some_and(|word| word == "super") {
                place.pop();
                rest = &rest[1..];
            }
        }
        _ => return path,
    }
    std::iter::once("crate".to_owned()).chain(place).chain(rest.iter().cloned()).collect()
}

/// Takes out every item under `#[cfg(test)]` or `#[test]`, and notes which files are such items.
fn without_tests(tokens: Vec<(Token, usize)>, test_modules: &mut BTreeSet<String>) -> Vec<(Token, usize)> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let Some(mut behind) = test_attribute(&tokens, at) else {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        };
        // The item ends with its own block, or with `;` where it has none. Further attributes belong to it.
        let mut depth = 0_i32;
        while let Some((token, _)) = tokens.get(behind) {
            behind += 1;
            match token {
                Token::Word(word) if word == "mod" && depth == 0 => {
                    if let (Some((Token::Word(name), _)), Some((Token::Mark(';'), _))) =
                        (tokens.get(behind), tokens.get(behind + 1))
                    {
                        test_modules.insert(name.clone());
                    }
                }
                Token::Mark('{' | '(' | '[') => depth += 1,
                Token::Mark(close @ ('}' | ')' | ']')) => {
                    depth -= 1;
                    if depth == 0 && *close == '}' {
                        break;
                    }
                }
                Token::Mark(';') if depth == 0 => break,
                _ => {}
            }
        }
        at = behind;
    }
    kept
}

/// The place behind `#[cfg(test)]` or `#[test]`, if it stands at `at`.
fn test_attribute(tokens: &[(Token, usize)], at: usize) -> Option<usize> {
    const CFG: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    const PLAIN: [&str; 4] = ["#", "[", "test", "]"];
    let stands = |pattern: &[&str]| {
        pattern.iter().enumerate().all(|(offset, expected)| match tokens.get(at + offset) {
            Some((Token::Word(word), _)) => word == expected,
            Some((Token::Mark(mark), _)) => expected.chars().eq([*mark]),
            _ => false,
        })
    };
    if stands(&CFG) {
        Some(at + CFG.len())
    } else if stands(&PLAIN) {
        Some(at + PLAIN.len())
    } else {
        None
    }
}

fn tokens(text: &str) -> Vec<(Token, usize)> {
    let chars: Vec<char> = text.chars().collect();
    let get = |at: usize| chars.get(at).copied().unwrap_or('\0');
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let start = at;
        let begun = line;
        match get(at) {
            '/' if get(at + 1) == '/' => {
                while at < chars.len() && get(at) != '\n' {
                    at += 1;
                }
            }
            '/' if get(at + 1) == '*' => at = behind_comment(&chars, at),
            '"' => at = behind_text(&chars, at),
            '\'' => at = behind_quote(&chars, at),
            c if c == '_' || c.is_alphabetic() => {
                while get(at) == '_' || get(at).is_alphanumeric() {
                    at += 1;
                }
                let word: String = chars[start..at].iter().collect();
                let raw = matches!(word.as_str(), "r" | "br" | "cr");
                if raw && get(at) == '#' && (get(at + 1) == '_' || get(at + 1).is_alphabetic()) {
                    at += 1; // A raw identifier: the word behind `r#` is the next token.
                } else if raw && matches!(get(at), '"' | '#') {
                    at = behind_raw_text(&chars, at);
                } else if matches!(word.as_str(), "b" | "c") && get(at) == '"' {
                    at = behind_text(&chars, at);
                } else if word == "b" && get(at) == '\'' {
                    at = behind_quote(&chars, at);
                } else {
                    found.push((Token::Word(word), begun));
                }
            }
            c if c.is_ascii_digit() => {
                while get(at) == '_' || get(at).is_alphanumeric() {
                    at += 1;
                }
            }
            ':' if get(at + 1) == ':' => {
                found.push((Token::Path, begun));
                at += 2;
            }
            c => {
                if !c.is_whitespace() {
                    found.push((Token::Mark(c), begun));
                }
                at += 1;
            }
        }
        line += chars[start..at.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    found
}

fn behind_comment(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn behind_text(chars: &[char], mut at: usize) -> usize {
    at += 1;
    while let Some(c) = chars.get(at) {
        at += if *c == '\\' { 2 } else { 1 };
        if *c == '"' {
            break;
        }
    }
    at
}

fn behind_raw_text(chars: &[char], mut at: usize) -> usize {
    let hashes = chars[at..].iter().take_while(|c| **c == '#').count();
    at += hashes + 1;
    while at < chars.len() {
        let closed = chars[at] == '"' && chars[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
        at += 1;
        if closed {
            return at + hashes;
        }
    }
    at
}

/// A character literal, or only the mark of a lifetime.
fn behind_quote(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => {
            let close = chars.iter().skip(at + 3).position(|c| *c == '\'');
            close.map_or(chars.len(), |offset| at + 3 + offset + 1)
        }
        (Some(_), Some('\'')) => at + 3,
        _ => at + 1,
    }
}
