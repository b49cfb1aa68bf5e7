//! `atalaya notify CONTACT`: a marked test through every medium of a contact, and what became of each.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use super::{Failure, say, setup};
use crate::clock;
use crate::commands::files::Secrets;
use crate::commands::setup::Setup;
use crate::config::{WebhookFormat, did_you_mean};
use crate::matrix::contacts::people;
use crate::matrix::{Contact, Language, Medium};
use crate::notice::trial::{self, Recipient};
use crate::notice::{self, Context, render};
use crate::notify::{Notifier, Retry, Settings};

/// Sends a marked test through every medium of a contact and says what happened
///
/// The test says that it is one. It is tried once, at once; an alert that it opens at an Alertmanager or at PagerDuty is ended
/// again. Exit code 0: everything was delivered; 1: something was not; 2: the contact or its media are not set up.
#[derive(Debug, Args)]
pub struct Notify {
    /// The contact as the matrices name it, `lead`, or one medium of it, `lead.webhook`; `owner` is the configuration's
    #[arg(value_name = "CONTACT")]
    pub contact: String,
    /// The configuration, which names the mail server and the webhooks
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The matrices, which name the contacts; without it those of the configuration
    #[arg(short, long = "matrix", value_name = "PATH", num_args = 1..)]
    pub matrices: Option<Vec<PathBuf>>,
}

/// How a test came out, from the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Came {
    Through,
    Not,
    /// It could not be tried, because something is not set up.
    NotSetUp,
}

pub async fn run(args: Notify) -> Result<(), Failure> {
    let setup = setup::load(args.config.as_deref(), args.matrices.as_deref(), Secrets::Read)?;
    let recipients = recipients(&args.contact, &setup)?;
    let webhooks = setup.config.webhooks.clone();
    let settings = Settings { smtp: setup.config.smtp.clone(), webhooks, ..Settings::default() };
    let notifier = Notifier::new(settings).map_err(|error| Failure::User(error.to_string()))?;
    let mut worst = Came::Through;
    for (recipient, language) in &recipients {
        let (came, what) = attempt(&notifier, &setup, recipient, *language).await?;
        say::line(format_args!("{} {}: {what}", medium(recipient.medium), recipient.address))?;
        worst = worst.max(came);
    }
    match worst {
        Came::Through => Ok(()),
        Came::Not => Err(Failure::Run(format!("not every test reached `{}`; see above", args.contact))),
        Came::NotSetUp => Err(Failure::User(format!("not every medium of `{}` is set up; see above", args.contact))),
    }
}

fn medium(medium: Medium) -> &'static str {
    match medium {
        Medium::Email => "email",
        Medium::Webhook => "webhook",
    }
}

/// Every address of the contact, once, with the language of the first matrix that has it.
fn recipients(asked: &str, setup: &Setup) -> Result<BTreeMap<Recipient, Language>, Failure> {
    let (name, only) = match asked.split_once('.') {
        None => (asked, None),
        Some((name, "email")) => (name, Some(Medium::Email)),
        Some((name, "webhook")) => (name, Some(Medium::Webhook)),
        Some((name, other)) => {
            return Err(Failure::User(format!(
                "`{name}` has no medium `{other}`: they are `{name}.email` and `{name}.webhook`"
            )));
        }
    };
    let mut found: BTreeMap<Recipient, Language> = BTreeMap::new();
    let mut add = |contact: &Contact, language| {
        for medium in Medium::ALL.into_iter().filter(|medium| only.is_none_or(|only| only == *medium)) {
            if let Some(address) = contact.address(medium).cloned() {
                found.entry(Recipient { to: name.into(), medium, address }).or_insert(language);
            }
        }
    };
    let matrices = &setup.set.matrices;
    let mut known = false;
    for matrix in matrices {
        known |= matrix.contacts.contains_key(name);
        // Of a rota everybody: who is off duty now will be told another day.
        for contact in people(&matrix.contacts, name) {
            add(contact, matrix.language);
        }
    }
    if let Some(owner) = setup.config.owner.as_ref().filter(|_| name == "owner" && !known) {
        known = true;
        add(owner, setup.config.language);
    }
    if !known {
        let names: Vec<&str> = matrices.iter().flat_map(|matrix| matrix.contacts.keys().map(AsRef::as_ref)).collect();
        let hint = match names.is_empty() {
            true => "they have none; name others with -m".to_owned(),
            false => did_you_mean(name, names.iter().copied(), "the contacts are"),
        };
        return Err(Failure::User(format!("no matrix has a contact `{name}`: {hint}")));
    }
    match found.is_empty() {
        true => Err(Failure::User(format!("`{name}` cannot be told by that medium: name it without one to try all"))),
        false => Ok(found),
    }
}

/// Sends the test, and its end where one is waited for.
async fn attempt(
    notifier: &Notifier,
    setup: &Setup,
    recipient: &Recipient,
    language: Language,
) -> Result<(Came, String), Failure> {
    let config = &setup.config;
    let webhook = config.webhooks.get(&*recipient.address);
    let missing = match recipient.medium {
        Medium::Email if config.smtp.is_none() => Some("there is no mail server: set `smtp` in the configuration"),
        Medium::Webhook if webhook.is_none() => {
            Some("there is no webhook of this name: add it to `webhooks` in the configuration")
        }
        Medium::Email | Medium::Webhook => None,
    };
    if let Some(missing) = missing {
        return Ok((Came::NotSetUp, format!("not tried; {missing}")));
    }
    let formats = config.formats();
    let domain = config.smtp.as_ref().map_or("atalaya.localhost", |smtp| notice::domain_of(&smtp.from));
    let board = config.http.public_url.as_deref();
    let context = Context { board, test: true, formats: &formats, ..Context::new(&setup.set.plan, domain) };
    let notices = trial::notices(recipient, language, clock::now());
    let [begins, ends] = notices.ok_or_else(|| Failure::Run("there is nothing to make a test of".to_owned()))?;
    let stays = webhook
        .filter(|_| recipient.medium == Medium::Webhook)
        .is_some_and(|webhook| matches!(webhook.format, WebhookFormat::Alertmanager | WebhookFormat::Pagerduty));
    let (to_send, done) = match stays {
        true => (vec![begins, ends], "delivered, and ended again"),
        false => (vec![begins], "delivered"),
    };
    for notification in &to_send {
        if let Err(failure) = notifier.attempt(render(notification, &context)).await {
            let what = match failure.retry {
                Retry::Never => "refused",
                Retry::Later | Retry::After(_) => "not delivered; a real notice would be tried again",
            };
            return Ok((Came::Not, format!("{what}: {}", failure.why)));
        }
    }
    Ok((Came::Through, done.to_owned()))
}
