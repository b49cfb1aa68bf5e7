//! A message made ready to travel: who it goes to, and the bytes of the mail.
//!
//! The words are in the message; the bytes are written, and the picture is drawn, when a try begins, before any connection
//! is opened: whoever decides that ten thousand cases go off at once does not wait for ten thousand pictures.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use lettre::Address;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};

use crate::config;
use crate::matrix::engine::Notification;
use crate::notice::{Body, Email, Message};

use super::NotifyError;

/// Where a message goes: its lane.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    Address(Arc<str>),
    Webhook(Arc<str>),
}

/// Ids, names, the entries of the outbox's indexes: what is small in every parcel.
const SMALL_BYTES: usize = 2_048;

#[derive(Clone, Debug)]
pub struct Parcel {
    pub message: Message,
    /// Of a mail.
    from: Option<Mailbox>,
}

/// A mail as it is handed over.
pub struct Mail {
    pub from: Address,
    pub to: Address,
    pub bytes: Vec<u8>,
}

impl Parcel {
    /// `Err` says why this message can never be sent.
    pub fn new(mut message: Message, from: Option<&Mailbox>) -> Result<Self, (Box<Message>, String)> {
        // What rendering reserved and did not need would wait with it: a third of all.
        match &mut message.body {
            Body::Email(mail) => [&mut mail.text, &mut mail.html, &mut mail.late_text, &mut mail.late_html]
                .into_iter()
                .for_each(String::shrink_to_fit),
            Body::Webhook(hook) => [&mut hook.json, &mut hook.late_json].into_iter().for_each(String::shrink_to_fit),
        }
        let from = match &message.body {
            Body::Webhook(_) => Ok(None),
            Body::Email(email) => match from {
                Some(from) => address(email).map(|_| Some(from.clone())),
                None => Err("there is no mail server; set `smtp` in the configuration".to_owned()),
            },
        };
        match from {
            Ok(from) => Ok(Parcel { message, from }),
            Err(why) => Err((Box::new(message), why)),
        }
    }

    /// What it holds in memory, nearly; proved beside a count of every allocation by `tests/limits`. What is shared with
    /// the notices of its case to others is counted in each.
    pub fn bytes(&self) -> usize {
        let texts: usize = match &self.message.body {
            Body::Email(mail) => {
                [&mail.text, &mail.html, &mail.late_text, &mail.late_html].map(|text| text.len()).iter().sum()
            }
            Body::Webhook(hook) => hook.json.len() + hook.late_json.len(),
        };
        let case = |notice: &Notification| {
            size_of::<Notification>() + notice.trend.as_ref().map_or(0, |trend| size_of_val(trend.0.as_slice()))
        };
        let notice = &self.message.notification;
        let gathered: usize = notice.gathered.iter().flat_map(|all| &all.notices).map(case).sum();
        let held_back: usize = notice.held_back.iter().flat_map(|all| &all.incidents).map(|(one, _)| case(one)).sum();
        texts + case(notice) + gathered + held_back + SMALL_BYTES
    }

    /// `Err` says why there can never be a mail.
    pub fn mail(&self, late: bool) -> Result<Mail, String> {
        let (Body::Email(email), Some(from)) = (&self.message.body, &self.from) else {
            return Err("the notice is no mail".to_owned());
        };
        let to = address(email)?;
        let bytes = write(&self.message, email, from, &to, late)?;
        Ok(Mail { from: from.email.clone(), to, bytes })
    }
}

pub fn destination(message: &Message) -> Destination {
    match &message.body {
        Body::Email(email) => Destination::Address(email.to.clone()),
        Body::Webhook(hook) => Destination::Webhook(hook.name.clone()),
    }
}

/// The sender of the configuration.
pub fn sender(smtp: &config::Smtp) -> Result<Mailbox, NotifyError> {
    smtp.from.parse::<Mailbox>().map_err(|error| NotifyError::From { from: smtp.from.clone(), why: error.to_string() })
}

fn address(email: &Email) -> Result<Address, String> {
    email.to.parse().map_err(|error| format!("`{}` is no mail address: {error}", email.to))
}

fn write(message: &Message, email: &Email, from: &Mailbox, to: &Address, late: bool) -> Result<Vec<u8>, String> {
    let (text, html) = match late {
        true => (&email.late_text, &email.late_html),
        false => (&email.text, &email.html),
    };
    let milliseconds = u64::try_from(message.notification.time.0).unwrap_or(0);
    let date = UNIX_EPOCH + Duration::from_millis(milliseconds);
    let mut builder = lettre::Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to.clone()))
        .subject(email.subject.clone())
        .date(date)
        .message_id(Some(email.thread.message_id.clone()))
        .in_reply_to(email.thread.in_reply_to.clone())
        .references(email.thread.references.clone())
        .raw_header(header("Auto-Submitted", "auto-generated")?)
        .raw_header(header("List-Id", &format!("<{}>", email.list_id))?);
    if late {
        builder = builder.raw_header(header("X-Atalaya-Late", "yes")?);
    }
    // A boundary of its own would be random; this one is the same for the same notice.
    let boundary = format!("atalaya-{:032x}", xxhash_rust::xxh3::xxh3_128(message.id.as_bytes()));
    let parts = MultiPart::alternative().boundary(&*boundary).singlepart(SinglePart::plain(text.to_owned()));
    let html = SinglePart::html(html.to_owned());
    let parts = match &email.picture {
        None => parts.singlepart(html),
        Some(picture) => {
            let inline = Attachment::new_inline_with_name(picture.id.clone(), "trend.png".to_owned());
            let png = ContentType::parse("image/png").map_err(|error| error.to_string())?;
            let picture = inline.body(picture.png(), png);
            let related = MultiPart::related().boundary(format!("related-{boundary}"));
            parts.multipart(related.singlepart(html).singlepart(picture))
        }
    };
    let mail = builder.multipart(parts).map_err(|error| format!("the mail cannot be written: {error}"))?;
    Ok(mail.formatted())
}

fn header(name: &str, value: &str) -> Result<HeaderValue, String> {
    let name = HeaderName::new_from_ascii(name.to_owned()).map_err(|error| error.to_string())?;
    Ok(HeaderValue::new(name, value.to_owned()))
}

#[cfg(test)]
mod tests {
    use mail_parser::{MessageParser, MimeHeaders as _, PartType};

    use super::*;
    use crate::matrix::Language;
    use crate::notice::samples::{critical, matrix};
    use crate::notice::{Context, render};
    use crate::plan::Plan;

    fn mails(notification: &Notification) -> (Message, [Vec<u8>; 2]) {
        let message = render(notification, &Context::new(&Plan::default(), "acme.example"));
        let from = "Atalaya <atalaya@acme.example>".parse().unwrap();
        let parcel = Parcel::new(message.clone(), Some(&from)).map_err(|(_, why)| why).unwrap();
        (message, [false, true].map(|late| parcel.mail(late).unwrap().bytes))
    }

    /// The types of a part and of those in it.
    fn structure(mail: &mail_parser::Message<'_>, part: u32) -> String {
        let part = &mail.parts[part as usize];
        let kind = part.content_type().map(|kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or_default()));
        match &part.body {
            PartType::Multipart(parts) => {
                let parts: Vec<String> = parts.iter().map(|part| structure(mail, *part)).collect();
                format!("{}({})", kind.unwrap_or_default(), parts.join(" "))
            }
            _ => kind.unwrap_or_default(),
        }
    }

    #[test]
    fn the_picture_is_beside_the_html_that_shows_it() {
        let first = critical(matrix(Language::Es, "Actuar"));
        let (message, both) = mails(&first);
        let Body::Email(email) = &message.body else { panic!("not a mail") };
        let picture = email.picture.as_ref().unwrap();
        for bytes in &both {
            let mail = MessageParser::default().parse(bytes).unwrap();
            let expected = "multipart/alternative(text/plain multipart/related(text/html image/png))";
            assert_eq!(structure(&mail, 0), expected);
            let inline = mail.attachments().next().unwrap();
            assert_eq!(inline.content_id(), Some(picture.id.as_str()));
            assert_eq!(inline.contents(), picture.png());
            assert!(inline.content_disposition().is_some_and(|shown| shown.ctype() == "inline"));
            assert!(mail.body_html(0).unwrap().contains(&format!("src=\"cid:{}\"", picture.id)));
            assert!(mail.body_text(0).unwrap().contains("Tendencia: "));
            assert!(bytes.len() < 40_000, "{} bytes", bytes.len());
        }
        assert_eq!(mails(&first).1, both, "the same notice is the same mail, byte for byte");
        let (_, [plain, _]) = mails(&Notification { trend: None, ..first });
        let mail = MessageParser::default().parse(&plain).unwrap();
        assert_eq!(structure(&mail, 0), "multipart/alternative(text/plain text/html)");
    }
}
