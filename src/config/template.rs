//! The texts with `{{ name }}` in a matrix: proved when the file is read, so that none fails while an alert goes out.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::Environment;

use super::node::Node;
use super::reader::{Report, did_you_mean, text};
use super::texts::Proof;
use crate::matrix::Part;
use crate::notice::hooks::Format;
use crate::notice::template::{self, LENGTH_MAX, NAMES, TemplateError, environment};
use crate::notice::texts;

/// A text and what it is proved for.
type OwnText = (Part, Vec<Format>, Arc<str>);

/// Proves texts.
pub(super) struct Templates {
    environment: Environment<'static>,
    /// What was found of own texts: rows repeat the same ones, and each is rendered a hundred times.
    proved: RefCell<BTreeMap<OwnText, Result<(), TemplateError>>>,
}

impl Templates {
    pub fn new() -> Self {
        Templates { environment: environment(), proved: RefCell::default() }
    }

    /// What stands between the braces of the first `{{ }}` that is no expression.
    fn first_broken<'t>(&self, written: &'t str) -> Option<&'t str> {
        let inner = written.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")).map(|(inner, _)| inner);
        inner.into_iter().find(|inner| self.environment.compile_expression(inner).is_err())
    }

    /// The text of `node`, if it can be rendered; otherwise the defect is reported.
    pub fn read(&self, node: &Node, key: &str, report: &mut Report) -> Option<Arc<str>> {
        let written = text(node, key, report)?;
        if written.len() <= LENGTH_MAX && !written.contains(['{', '}']) {
            return Some(written.clone());
        }
        self.taken(node, (key, LENGTH_MAX, &NAMES), template::check, report)
    }

    /// As [`Self::read`], of a text in the place of the built-in ones.
    pub fn read_own(&self, node: &Node, proof: &Proof, report: &mut Report) -> Option<Arc<str>> {
        let part = proof.part;
        let rules = (part.name(), texts::LENGTH_MAX, texts::names_of(part));
        let prove = |written: &str| {
            proof.formats.iter().try_for_each(|format| texts::check(part, written, proof.language, *format))
        };
        let once = |written: &str| {
            let key = (part, proof.formats.clone(), Arc::from(written));
            self.proved.borrow_mut().entry(key).or_insert_with(|| prove(written)).clone()
        };
        self.taken(node, rules, once, report)
    }

    fn taken(
        &self,
        node: &Node,
        (key, max, names): (&str, usize, &[&str]),
        check: impl FnOnce(&str) -> Result<(), TemplateError>,
        report: &mut Report,
    ) -> Option<Arc<str>> {
        let written = text(node, key, report)?;
        let length = written.len();
        if length > max {
            report.error(node.at, format!("`{key}` has {length} bytes"), format!("at most {max}"));
            return None;
        }
        let environment = &self.environment;
        let template = match environment.template_from_str(written) {
            Ok(template) => template,
            Err(error) => {
                match self.first_broken(written) {
                    Some(inner) if is_name(inner) => unknown_name(inner, key, names, node, report),
                    broken => {
                        let shown =
                            broken.map_or_else(|| shortened(written), |inner| shortened(&format!("{{{{{inner}}}}}")));
                        let line = line(written, error.line());
                        let what =
                            format!("template of `{key}` has a syntax error in `{shown}`{line}: {}", reason(&error));
                        report.error(node.at, what, "write {{ name }}, as in \"{{ queue }}: {{ value }}\"");
                    }
                }
                return None;
            }
        };
        let mut unknown: Vec<String> = template.undeclared_variables(false).into_iter().collect();
        unknown
            .retain(|name| !names.contains(&name.as_str()) && environment.globals().all(|(global, _)| global != name));
        unknown.sort_unstable();
        for name in &unknown {
            unknown_name(name, key, names, node, report);
        }
        if !unknown.is_empty() {
            return None;
        }
        // With the worst of what may come: no data, long names, quotes.
        match check(written) {
            Ok(()) => Some(written.clone()),
            Err(error) => {
                let line = line(written, error.line);
                report.error(node.at, format!("template of `{key}` cannot be rendered{line}: {}", error.message), "");
                None
            }
        }
    }
}

/// In which line of a text of several, whose place in the file is that of its beginning.
fn line(written: &str, line: Option<usize>) -> String {
    line.filter(|_| written.trim_end().contains('\n')).map(|line| format!(" (its line {line})")).unwrap_or_default()
}

fn unknown_name(name: &str, key: &str, names: &[&str], node: &Node, report: &mut Report) {
    let name = name.trim();
    let hint = did_you_mean(name, names.iter().copied(), "the names are");
    report.error(node.at, format!("template of `{key}` has an unknown name `{name}`"), hint);
}

/// Whether it is meant as a name. The syntax has only names of ASCII letters; `valué` is a slip, not another language.
fn is_name(inner: &str) -> bool {
    let name = inner.trim();
    name.chars().all(|c| c.is_alphanumeric() || c == '_') && name.chars().next().is_some_and(char::is_alphabetic)
}

/// The beginning of a text, in one line of a message.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 80;
    let line = text.replace(['\n', '\r'], " ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// An error of minijinja in one line, without the name of its anonymous template.
fn reason(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::node::Kind;

    #[test]
    fn texts_are_proved() {
        for (written, expected) in [
            ("Activar agentes", None),
            ("{{ queue }}: {{ value }} ({{ (value_raw or 0) | round(1) }}), meta {{ goal }}, {{ samples }}", None),
            ("{% if value_raw > 10 %}{{ level | upper }}{% endif %}", None),
            ("{% for n in range(3) %}{{ n }}{% endfor %}", Some("cannot be rendered")),
            ("{% for n in [1, 2] %}{{ loop.index }}{{ n }}{% endfor %}", None),
            ("{{ queue", Some("syntax error")),
            ("{% if %}", Some("syntax error")),
            ("{{ quee }}", Some("unknown name `quee`")),
            ("{{ queue }}: {{ valué }}", Some("unknown name `valué`")),
            ("{{ queue }}: {{ value of it }}", Some("syntax error in `{{ value of it }}`")),
            ("{{ queue }}: {{ }}", Some("syntax error in `{{ }}`")),
            ("{% iff\nqueue %}x", Some("syntax error in `{% iff queue %}x`")),
            ("{% iff queue %}x", Some("syntax error in `{% iff queue %}x`")),
            ("{{ queue | nosuch }}", Some("nosuch")),
            ("{{ queue.leader }}", Some("cannot be rendered")),
            (
                "{% for a in 'aaaaaaaaaa' %}{% for b in 'aaaaaaaaaa' %}{% for c in 'aaaaaaaaaa' %}{% for d in 'aaaaaaaaaa' %}{{ d }}{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
                Some("cannot be rendered"),
            ),
        ] {
            let mut report = Report::new("f");
            let node = Node { at: report.mark(1, 1), kind: Kind::Scalar { text: written.into(), plain: false } };
            let read = Templates::new().read(&node, "action", &mut report);
            let errors = report.finish();
            assert_eq!(read.is_some(), expected.is_none(), "{written}: {errors:?}");
            if let Some(expected) = expected {
                let what = &errors[0].what;
                assert!(what.contains(expected) && what.contains("template"), "{written}: {what}");
            }
        }
    }
}
