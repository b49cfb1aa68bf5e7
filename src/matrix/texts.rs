//! What a file says in the place of the built-in words of its notices: one template for each part of a message.
//!
//! They may stand on the matrix, on a row and on a contact; for each part the nearest counts, and a contact is nearer than a
//! row. What they may name, and how they are rendered, is `notice`'s work.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Medium;

/// A part of a message that a template can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Subject,
    Text,
    Html,
    /// The whole body.
    Webhook,
}

/// The templates of one place, each proved at check time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts(pub BTreeMap<Part, Arc<str>>);

impl Part {
    pub const ALL: [Part; 4] = [Part::Subject, Part::Text, Part::Html, Part::Webhook];

    pub fn name(self) -> &'static str {
        match self {
            Part::Subject => "subject",
            Part::Text => "text",
            Part::Html => "html",
            Part::Webhook => "webhook",
        }
    }

    pub fn medium(self) -> Medium {
        match self {
            Part::Subject | Part::Text | Part::Html => Medium::Email,
            Part::Webhook => Medium::Webhook,
        }
    }
}

impl Texts {
    pub fn get(&self, part: Part) -> Option<&Arc<str>> {
        self.0.get(&part)
    }
}
