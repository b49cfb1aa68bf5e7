//! `texts: { subject, text, html, webhook }` of a matrix, a row or a contact: what stands in the place of the built-in words.
//!
//! What a template may say and the proof of it are those of [`crate::notice::texts`].

use std::sync::Arc;

use super::node::Node;
use super::reader::{Fields, Report};
use super::template::Templates;
use crate::matrix::{Contact, Language, Medium, Part, Texts};
use crate::notice::hooks::{Format, Formats, limits};

pub(super) const KEYS: [&str; 4] = ["subject", "text", "html", "webhook"];

/// What a template is proved for.
pub(super) struct Proof {
    pub part: Part,
    pub language: Language,
    /// Of the webhooks that it may be for; at least one.
    pub formats: Vec<Format>,
}

/// What the texts of one matrix are read with.
pub(super) struct Writing<'w> {
    pub templates: &'w Templates,
    pub language: Language,
    /// Of the webhooks of the configuration; of those that are not known here, none is.
    pub formats: &'w Formats,
}

/// `texts` of a matrix or a row, for all its `contacts` that have none of their own.
pub(super) fn shared<'c>(
    fields: &Fields<'_>,
    contacts: impl Iterator<Item = &'c Contact>,
    writing: &Writing<'_>,
    report: &mut Report,
) -> Texts {
    let Some(node) = fields.get("texts") else { return Texts::default() };
    let named = contacts.filter(|contact| contact.texts.get(Part::Webhook).is_none());
    let known = named.filter_map(|contact| writing.formats.get(contact.webhook.as_ref()?).copied());
    let mut formats: Vec<Format> = known.filter(|format| limits::escape(*format).is_some()).collect();
    formats.sort_unstable();
    formats.dedup();
    if formats.is_empty() {
        formats.push(Format::default());
    }
    read(node, &formats, writing, report)
}

/// `texts` of a contact with these media.
pub(super) fn own(fields: &Fields<'_>, contact: &Contact, writing: &Writing<'_>, report: &mut Report) -> Texts {
    // That a rota has any is a defect of its own.
    let Some(node) = fields.get("texts").filter(|_| fields.get("rota").is_none()) else { return Texts::default() };
    let format = contact.webhook.as_ref().and_then(|name| writing.formats.get(name)).copied().unwrap_or_default();
    let takes = limits::escape(format).is_some();
    let proved = if takes { format } else { Format::default() };
    let texts = read(node, &[proved], writing, report);
    for part in texts.0.keys() {
        let at = node.entries().iter().find(|entry| *entry.key == *part.name()).map_or(node.at, |entry| entry.key_at);
        let key = part.name();
        if contact.address(part.medium()).is_none() {
            let medium = if part.medium() == Medium::Email { "email" } else { "webhook" };
            report.error(
                at,
                format!("`{key}` of a contact without `{medium}`"),
                format!("give it the medium `{medium}`"),
            );
        } else if *part == Part::Webhook && !takes {
            let what = "`webhook` does nothing: what this format takes is known by keys that must stay what they are";
            report.warning(at, what, "`pagerduty` and `alertmanager` have their own bodies");
        }
    }
    texts
}

fn read(node: &Node, formats: &[Format], writing: &Writing<'_>, report: &mut Report) -> Texts {
    let Some(fields) = Fields::new(node, "`texts`", &KEYS, report) else { return Texts::default() };
    let mut texts = Texts::default();
    for part in Part::ALL {
        let Some(node) = fields.get(part.name()) else { continue };
        let formats = if part == Part::Webhook { formats.to_vec() } else { vec![Format::default()] };
        let proof = Proof { part, language: writing.language, formats };
        let text: Option<Arc<str>> = writing.templates.read_own(node, &proof, report);
        texts.0.extend(text.map(|text| (part, text)));
    }
    texts
}
