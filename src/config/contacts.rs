//! Who can be told and how: `contacts`, the owner, and the lists of `tell`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::hours;
use super::node::{Entry, Kind, Node};
use super::reader::{Fields, Mark, Report, did_you_mean, is_email, list, map, text, whole};
use super::rota;
use super::texts::{self, Writing};
use crate::domain::Calendar;
use crate::matrix::contacts::people;
use crate::matrix::{Contact, Medium, Recipient};

/// The contacts of one matrix while it is read, with which of them anything names.
pub(super) struct Contacts {
    pub all: BTreeMap<Arc<str>, Contact>,
    places: BTreeMap<Arc<str>, Mark>,
    /// Names whose definition is wrong: telling them is not a second defect.
    broken: BTreeSet<Arc<str>>,
    used: BTreeSet<Arc<str>>,
    /// Not all who are told are known: a name that nobody has may be anybody's, misspelt, and ranges that are not there
    /// name nobody.
    pub unsure: bool,
    /// Whom `owner` means in a list of `tell`.
    pub owner: Option<Recipient>,
}

/// What a contact of a matrix may say.
pub(super) const KEYS: [&str; 6] = ["email", "webhook", "rota", "quiet", "mails_per_hour", "texts"];

/// What its reading needs to know.
#[derive(Clone, Copy)]
pub(super) struct Known<'k> {
    /// The names that the configuration has; without a configuration any name is accepted.
    pub webhooks: Option<&'k BTreeSet<&'k str>>,
    /// The zone of the matrix: of rotas and quiet hours too.
    pub zone: &'k TimeZone,
    /// That of the matrix, for contacts that do not say their own.
    pub mails_per_hour: u32,
    pub writing: &'k Writing<'k>,
}

/// The owner of a configuration: media alone.
pub(super) fn contact(node: &Node, webhooks: Option<&BTreeSet<&str>>, report: &mut Report) -> Option<Contact> {
    let before = report.errors();
    let fields = Fields::new(node, "a contact", &["email", "webhook"], report)?;
    let contact = media(&fields, webhooks, report);
    if contact == Contact::default() && report.errors() == before {
        report.error(node.at, "a contact without a medium", "give it an `email`, a `webhook` or both");
    }
    (report.errors() == before).then_some(contact)
}

/// A contact of a matrix. Whether the people of its rota exist is looked at when all are read.
fn member(node: &Node, known: Known<'_>, report: &mut Report) -> Option<Contact> {
    let before = report.errors();
    let fields = Fields::new(node, "a contact", &KEYS, report)?;
    let contact = media(&fields, known.webhooks, report);
    let told = contact.email.is_some() || contact.webhook.is_some();
    let contact = Contact {
        mails_per_hour: mails_per_hour(&fields, report).unwrap_or(known.mails_per_hour),
        quiet: fields.get("quiet").and_then(|node| quiet(node, known.zone, report)),
        rota: fields.get("rota").map(|node| rota::read(node, known.zone, report)).unwrap_or_default(),
        texts: texts::own(&fields, &contact, known.writing, report),
        ..contact
    };
    if report.errors() == before {
        let own =
            told || contact.quiet.is_some() || fields.get("mails_per_hour").is_some() || fields.get("texts").is_some();
        if fields.get("rota").is_some() && own {
            let hint = "give them to the people that the rota names";
            report.error(
                node.at,
                "a contact with a `rota`, and media, `quiet`, `mails_per_hour` or `texts` of its own",
                hint,
            );
        } else if !told && contact.rota.is_empty() {
            report.error(node.at, "a contact without a medium", "give it an `email`, a `webhook` or both, or a `rota`");
        }
    }
    (report.errors() == before).then_some(contact)
}

/// How many mails an hour, of a matrix or a contact.
pub(super) fn mails_per_hour(fields: &Fields<'_>, report: &mut Report) -> Option<u32> {
    let number = fields.get("mails_per_hour").and_then(|node| whole(node, "mails_per_hour", 1, report))?;
    Some(u32::try_from(number).unwrap_or(u32::MAX))
}

/// The hours in which somebody is left in peace, as a calendar that is open then. Holidays change nothing.
fn quiet(node: &Node, zone: &TimeZone, report: &mut Report) -> Option<Calendar> {
    let shifts = hours::read(node, report);
    if hours::merged(hours::open_minutes(Some(&shifts))) == [(0, hours::WEEK)] {
        report.error(
            node.at,
            "`quiet` is the whole week: nothing below critical would ever be told",
            "leave some hours",
        );
    }
    Some(Calendar { zone: zone.clone(), shifts: Some(shifts), holidays: Arc::default() })
}

fn media(fields: &Fields<'_>, webhooks: Option<&BTreeSet<&str>>, report: &mut Report) -> Contact {
    let mut contact = Contact::default();
    if let Some(node) = fields.get("email")
        && let Some(address) = text(node, "email", report)
    {
        if !is_email(address) {
            report.error(node.at, format!("`{address}` is not a mail address"), "write name@example.com");
        }
        contact.email = Some(address.clone());
    }
    if let Some(node) = fields.get("webhook")
        && let Some(name) = text(node, "webhook", report)
    {
        if let Some(known) = webhooks.filter(|known| !known.contains(&**name)) {
            let hint = match known.is_empty() {
                true => "the configuration has no `webhooks`".to_owned(),
                false => did_you_mean(name, known.iter().copied(), "the configuration has"),
            };
            report.error(node.at, format!("unknown webhook `{name}`"), hint);
        }
        contact.webhook = Some(name.clone());
    }
    contact
}

impl Contacts {
    pub fn read(node: Option<&Node>, known: Known<'_>, report: &mut Report) -> Self {
        let mut contacts = Contacts {
            all: BTreeMap::new(),
            places: BTreeMap::new(),
            broken: BTreeSet::new(),
            used: BTreeSet::new(),
            unsure: false,
            owner: None,
        };
        let entries = node.and_then(|node| map(node, "`contacts`", report)).unwrap_or_default();
        for entry in entries {
            if entry.key.contains('.') || entry.key.is_empty() {
                let what = format!("`{}` cannot be the name of a contact", entry.key);
                report.error(entry.key_at, what, "a dot separates a contact from a medium: `lead.email`");
                contacts.broken.insert(entry.key.split('.').next().unwrap_or_default().into());
                continue;
            }
            match member(&entry.value, known, report) {
                Some(contact) => {
                    contacts.places.insert(entry.key.clone(), entry.key_at);
                    contacts.all.insert(entry.key.clone(), contact);
                }
                None => {
                    contacts.broken.insert(entry.key.clone());
                }
            }
        }
        let written: Vec<(&Arc<str>, &Node)> = entries.iter().map(|entry| (&entry.key, &entry.value)).collect();
        // Of a rota with a defect the names are not all looked at.
        let has_rota = |entry: &&Entry| entry.value.entries().iter().any(|entry| &*entry.key == "rota");
        contacts.unsure = entries.iter().filter(has_rota).any(|entry| contacts.broken.contains(&entry.key));
        for name in rota::check(&written, &contacts.all, &contacts.broken, report) {
            contacts.all.remove(&name);
            contacts.broken.insert(name);
            contacts.unsure = true;
        }
        let on_rotas = contacts.all.values().flat_map(|contact| &contact.rota).map(|duty| duty.contact.clone());
        contacts.used = on_rotas.collect();
        contacts
    }

    /// `lead` or `lead.webhook`.
    pub fn recipient(&mut self, node: &Node, key: &str, report: &mut Report) -> Option<Recipient> {
        let written = text(node, key, report)?;
        if &**written == "owner" && !self.all.contains_key("owner") && self.owner.is_some() {
            return self.owner.clone();
        }
        let (name, medium) = match written.split_once('.') {
            Some((name, medium)) => (name, Some(medium)),
            None => (&**written, None),
        };
        if self.broken.contains(name) {
            return None;
        }
        let Some((name, _)) = self.all.get_key_value(name) else {
            let hint = match self.all.is_empty() {
                true => "the matrix has no `contacts`".to_owned(),
                false => did_you_mean(name, self.all.keys().map(|k| &**k), "the contacts are"),
            };
            report.error(node.at, format!("unknown contact `{written}`"), hint);
            self.unsure = true;
            return None;
        };
        self.used.insert(name.clone());
        let medium = match medium {
            None => None,
            Some(word) => {
                match medium_of(&self.all, name, word, |each| each.iter().all(|has| *has)) {
                    Some(medium) => Some(medium),
                    None => {
                        let what = format!("`{written}`: the contact `{name}` has no medium `{word}`");
                        report.error(node.at, what, "the media are `email` and `webhook`, where the contact, or everybody of its rota, has them");
                        return None;
                    }
                }
            }
        };
        Some(Recipient { contact: name.clone(), medium })
    }

    /// A list of recipients, each once.
    pub fn tell(&mut self, node: Option<&Node>, key: &str, report: &mut Report) -> Vec<Recipient> {
        let mut all = Vec::new();
        for item in node.map(|node| list(node, report)).unwrap_or_default() {
            match self.recipient(&item, key, report) {
                Some(recipient) if all.contains(&recipient) => {
                    report.warning(item.at, format!("`{}` is named twice", recipient.contact), "");
                }
                Some(recipient) => all.push(recipient),
                None => {}
            }
        }
        all
    }

    /// Where something could not be read, whoever is named anywhere in the file may be told there.
    pub fn warn_unused(&self, root: &Node, report: &mut Report) {
        if self.unsure {
            return;
        }
        let defects = report.errors() > 0;
        let told = |name: &str| self.used.contains(name) || (defects && root.entries().iter().any(|e| names(e, name)));
        for (name, at) in self.places.iter().filter(|(name, _)| !told(name)) {
            report.warning(*at, format!("nobody tells the contact `{name}`"), "remove it, or name it in a `tell`");
        }
    }
}

/// Whether a contact, or a medium of it, is named in an entry of the file, other than where it is made.
fn names(entry: &Entry, contact: &str) -> bool {
    fn is_named(node: &Node, contact: &str) -> bool {
        let is = |text: &str| text.strip_prefix(contact).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        match &node.kind {
            Kind::Scalar { text, .. } => is(text),
            Kind::List(items) => items.iter().any(|item| is_named(item, contact)),
            Kind::Map(entries) => entries.iter().any(|entry| is(&entry.key) || is_named(&entry.value, contact)),
        }
    }
    match &*entry.key {
        "contacts" => entry.value.entries().iter().any(|entry| is_named(&entry.value, contact)),
        _ => is_named(&entry.value, contact),
    }
}

/// The medium of that name, if the contact has it; of a rota `enough` says how many of its people must.
pub(super) fn medium_of(
    contacts: &BTreeMap<Arc<str>, Contact>,
    name: &str,
    word: &str,
    enough: impl Fn(&[bool]) -> bool,
) -> Option<Medium> {
    let medium = match word {
        "email" => Medium::Email,
        "webhook" => Medium::Webhook,
        _ => return None,
    };
    let have: Vec<bool> = people(contacts, name).iter().map(|one| one.address(medium).is_some()).collect();
    (!have.is_empty() && enough(&have)).then_some(medium)
}
