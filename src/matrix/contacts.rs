//! Who is behind the name of a contact, and when: somebody with media of their own, or whoever is on duty.
//!
//! A rota is resolved at the moment of telling; whoever was told by it stays the one who is told how it goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Matrix, Texts};
use crate::domain::{Calendar, Timestamp};

/// How a contact can be told: at least one medium, or a rota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    pub email: Option<Arc<str>>,
    /// The name of a webhook of the configuration.
    pub webhook: Option<Arc<str>>,
    /// Who stands in for the name, and when. The check has seen to it that at every time exactly one of them does.
    pub rota: Vec<Duty>,
    /// Open while notices below critical wait. A rota has none: its people do.
    pub quiet: Option<Calendar>,
    /// What is more is held back, and told of in one mail.
    pub mails_per_hour: u32,
    /// A rota has none: its people do.
    pub texts: Texts,
}

/// Where nobody says how many.
pub const MAILS_PER_HOUR: u32 = 100;

impl Default for Contact {
    fn default() -> Self {
        Contact {
            email: None,
            webhook: None,
            rota: Vec::new(),
            quiet: None,
            mails_per_hour: MAILS_PER_HOUR,
            texts: Texts::default(),
        }
    }
}

/// A line of a rota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duty {
    pub calendar: Calendar,
    /// Another contact of the matrix: a person, or a rota in its turn.
    pub contact: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Medium {
    Email,
    Webhook,
}

/// An entry of `tell`: `lead` is every medium of that contact, `lead.webhook` one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Recipient {
    pub contact: Arc<str>,
    pub medium: Option<Medium>,
}

impl Medium {
    pub const ALL: [Medium; 2] = [Medium::Email, Medium::Webhook];
}

impl Contact {
    /// Its address by a medium. A rota has none of its own.
    pub fn address(&self, medium: Medium) -> Option<&Arc<str>> {
        match medium {
            Medium::Email => self.email.as_ref(),
            Medium::Webhook => self.webhook.as_ref(),
        }
    }
}

impl Matrix {
    /// The media and addresses that a recipient means at `now`. None where there is no such contact.
    pub fn reach(&self, recipient: &Recipient, now: Timestamp) -> Vec<(Medium, Arc<str>)> {
        let Some(contact) = self.on_duty(&recipient.contact, now) else { return Vec::new() };
        let wanted = Medium::ALL.into_iter().filter(|medium| recipient.medium.is_none_or(|only| only == *medium));
        wanted.filter_map(|medium| Some((medium, contact.address(medium)?.clone()))).collect()
    }

    /// The contact behind an address that was told under a name.
    pub fn person(&self, name: &str, medium: Medium, address: &str) -> Option<&Contact> {
        let behind = people(&self.contacts, name).into_iter();
        behind.into_iter().find(|contact| contact.address(medium).is_some_and(|own| **own == *address))
    }

    /// Who is meant by a name at `now`.
    fn on_duty(&self, name: &str, now: Timestamp) -> Option<&Contact> {
        let mut contact = self.contacts.get(name)?;
        // A rota of rotas ends after as many steps as there are contacts, or it goes round.
        for _ in 0..self.contacts.len() {
            let Some(duty) = contact.rota.iter().find(|duty| duty.calendar.is_open(now)) else { break };
            contact = self.contacts.get(&duty.contact)?;
        }
        Some(contact)
    }
}

/// Everybody who may be meant by a name, each once: the contact itself, or all of its rota.
pub fn people<'c>(contacts: &'c BTreeMap<Arc<str>, Contact>, name: &str) -> Vec<&'c Contact> {
    let Some((name, _)) = contacts.get_key_value(name) else { return Vec::new() };
    let (mut names, mut people) = (vec![name], Vec::new());
    let mut next = 0;
    while let Some(name) = names.get(next) {
        next += 1;
        let Some(contact) = contacts.get(*name) else { continue };
        if contact.rota.is_empty() {
            people.push(contact);
        }
        for duty in &contact.rota {
            if !names.contains(&&duty.contact) {
                names.push(&duty.contact);
            }
        }
    }
    people
}
