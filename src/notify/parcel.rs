//! A message made ready to travel: the bytes of the mail, or the body of the webhook, before any connection is opened.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use lettre::Address;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};

use crate::config;
use crate::notice::{Body, Email, Message, Picture};

use super::NotifyError;

/// Where a message goes: its lane.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    Address(Arc<str>),
    Webhook(Arc<str>),
}

#[derive(Clone, Debug)]
pub struct Parcel {
    pub message: Message,
    pub load: Load,
}

#[derive(Clone, Debug)]
pub enum Load {
    Mail {
        from: Address,
        to: Address,
        bytes: Arc<[u8]>,
        late_bytes: Arc<[u8]>,
    },
    /// The bodies are in the message.
    Hook,
}

impl Parcel {
    /// `Err` says why this message can never be sent.
    pub fn new(message: Message, from: Option<&Mailbox>) -> Result<Self, (Box<Message>, String)> {
        let load = match &message.body {
            Body::Webhook(_) => Ok(Load::Hook),
            Body::Email(email) => match from {
                Some(from) => mail(&message, email, from),
                None => Err("there is no mail server; set `smtp` in the configuration".to_owned()),
            },
        };
        match load {
            Ok(load) => Ok(Parcel { message, load }),
            Err(why) => Err((Box::new(message), why)),
        }
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

fn mail(message: &Message, email: &Email, from: &Mailbox) -> Result<Load, String> {
    let to: Address = email.to.parse().map_err(|error| format!("`{}` is no mail address: {error}", email.to))?;
    let bytes = |text: &str, html: &str, late: bool| write(message, email, from, &to, text, html, late);
    Ok(Load::Mail {
        bytes: bytes(&email.text, &email.html, false)?,
        late_bytes: bytes(&email.late_text, &email.late_html, true)?,
        from: from.email.clone(),
        to,
    })
}

fn write(
    message: &Message,
    email: &Email,
    from: &Mailbox,
    to: &Address,
    text: &str,
    html: &str,
    late: bool,
) -> Result<Arc<[u8]>, String> {
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
        Some(Picture { id, png }) => {
            let inline = Attachment::new_inline_with_name(id.clone(), "trend.png".to_owned());
            let picture =
                inline.body(png.to_vec(), ContentType::parse("image/png").map_err(|error| error.to_string())?);
            let related = MultiPart::related().boundary(format!("related-{boundary}"));
            parts.multipart(related.singlepart(html).singlepart(picture))
        }
    };
    let mail = builder.multipart(parts).map_err(|error| format!("the mail cannot be written: {error}"))?;
    Ok(mail.formatted().into())
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
    use crate::matrix::engine::Notification;
    use crate::notice::samples::{critical, matrix};
    use crate::notice::{Context, render};
    use crate::plan::Plan;

    fn mails(notification: &Notification) -> (Message, [Vec<u8>; 2]) {
        let message = render(notification, &Context::new(&Plan::default(), "acme.example"));
        let from = "Atalaya <atalaya@acme.example>".parse().unwrap();
        let parcel = Parcel::new(message.clone(), Some(&from)).map_err(|(_, why)| why).unwrap();
        let Load::Mail { bytes, late_bytes, .. } = parcel.load else { panic!("not a mail") };
        (message, [bytes.to_vec(), late_bytes.to_vec()])
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
            assert_eq!(inline.contents(), &*picture.png);
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
