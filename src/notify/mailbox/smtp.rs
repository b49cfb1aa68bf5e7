//! The receiving side of SMTP (RFC 5321), as much as a well-behaved client needs: EHLO, HELO, MAIL, RCPT, DATA, RSET,
//! NOOP, VRFY and QUIT. Everything that a peer sends is bounded, and nothing of it can stop the server.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use mail_parser::{Address, HeaderValue, MessageParser, MimeHeaders as _};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::{Received, ReceivedMail, Shelf};

/// Largest mail, longest line, most recipients of a mail, most connections at once.
const SIZE_MAX: usize = 1024 * 1024;
const LINE_MAX: usize = 16 * 1024;
const RECIPIENTS_MAX: usize = 100;
const CONNECTIONS_MAX: usize = 64;
/// Largest picture that is shown in a mail, and how many are.
const PICTURE_MAX: usize = 64 * 1024;
const PICTURES_MAX: usize = 4;
/// A silent client is let go.
const SILENCE: Duration = Duration::from_secs(60);

pub async fn serve(listener: TcpListener, shelf: Arc<Shelf>) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(seat) = seats.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: give others the time to close theirs.
                tracing::warn!(%error, "the mailbox cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let shelf = shelf.clone();
        tokio::spawn(async move {
            // A peer that goes away is no error of ours.
            let _ = session(stream, &shelf).await;
            drop(seat);
        });
    }
}

enum Line {
    Text(Vec<u8>),
    TooLong,
    End,
}

/// The next line without its end. One that is too long is read to its end and thrown away.
async fn line(reader: &mut (impl AsyncBufReadExt + Unpin)) -> std::io::Result<Line> {
    let mut text = Vec::new();
    let mut too_long = false;
    loop {
        let chunk = tokio::time::timeout(SILENCE, reader.fill_buf()).await??;
        if chunk.is_empty() {
            return Ok(Line::End);
        }
        let end = chunk.iter().position(|&byte| byte == b'\n');
        let used = end.map_or(chunk.len(), |at| at + 1);
        too_long |= text.len() + used > LINE_MAX;
        if !too_long {
            text.extend_from_slice(chunk.get(..used).unwrap_or(chunk));
        }
        reader.consume(used);
        if end.is_some() {
            break;
        }
    }
    if too_long {
        return Ok(Line::TooLong);
    }
    while matches!(text.last(), Some(b'\n' | b'\r')) {
        text.pop();
    }
    Ok(Line::Text(text))
}

async fn session<S: AsyncRead + AsyncWrite + Unpin>(stream: S, shelf: &Shelf) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut sender: Option<String> = None;
    let mut recipients: Vec<String> = Vec::new();
    stream.write_all(b"220 atalaya mailbox ready\r\n").await?;
    loop {
        let text = match line(&mut stream).await? {
            Line::End => return Ok(()),
            Line::TooLong => {
                stream.write_all(b"500 line too long\r\n").await?;
                continue;
            }
            Line::Text(text) => String::from_utf8_lossy(&text).into_owned(),
        };
        let verb = text.split([' ', ':']).next().unwrap_or("").to_ascii_uppercase();
        let answer = match verb.as_str() {
            "EHLO" => {
                (sender, recipients) = (None, Vec::new());
                format!("250-atalaya mailbox\r\n250-SIZE {SIZE_MAX}\r\n250-SMTPUTF8\r\n250 8BITMIME")
            }
            "HELO" => {
                (sender, recipients) = (None, Vec::new());
                "250 atalaya mailbox".to_owned()
            }
            "MAIL" => match (path(&text, "FROM"), &sender) {
                (_, Some(_)) => "503 a mail is already begun".to_owned(),
                (None, _) => "501 write MAIL FROM:<address>".to_owned(),
                (Some(from), None) => {
                    sender = Some(from);
                    "250 sender ok".to_owned()
                }
            },
            "RCPT" => match (path(&text, "TO").filter(|to| !to.is_empty()), &sender) {
                (_, None) => "503 MAIL comes first".to_owned(),
                (None, _) => "501 write RCPT TO:<address>".to_owned(),
                (Some(_), _) if recipients.len() >= RECIPIENTS_MAX => "452 too many recipients".to_owned(),
                (Some(to), _) => {
                    recipients.push(to);
                    "250 recipient ok".to_owned()
                }
            },
            "DATA" if recipients.is_empty() => "503 RCPT comes first".to_owned(),
            "DATA" => {
                stream.write_all(b"354 end with a single dot\r\n").await?;
                match data(&mut stream).await? {
                    Data::Mail(bytes) => {
                        let from = sender.take().unwrap_or_default();
                        shelf.put(Received::Email(Box::new(parse(&bytes, from, std::mem::take(&mut recipients)))));
                        "250 kept".to_owned()
                    }
                    Data::TooLarge => {
                        (sender, recipients) = (None, Vec::new());
                        "552 mail too large".to_owned()
                    }
                    Data::Cut => return Ok(()),
                }
            }
            "RSET" => {
                (sender, recipients) = (None, Vec::new());
                "250 forgotten".to_owned()
            }
            "NOOP" => "250 ok".to_owned(),
            "VRFY" => "252 send it and see".to_owned(),
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "500 unknown command".to_owned(),
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}

/// The address of `MAIL FROM:<a@b> PARAMETERS`; empty for the null sender.
fn path(line: &str, keyword: &str) -> Option<String> {
    let (head, rest) = line.split_once(':')?;
    if !head.split_whitespace().nth(1)?.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let (address, _) = rest.trim_start().strip_prefix('<')?.split_once('>')?;
    Some(address.to_owned())
}

enum Data {
    Mail(Vec<u8>),
    TooLarge,
    Cut,
}

/// The mail up to the single dot, with the dots that the client doubled taken back.
async fn data(stream: &mut (impl AsyncBufReadExt + Unpin)) -> std::io::Result<Data> {
    let mut mail = Vec::new();
    let mut too_large = false;
    loop {
        match line(stream).await? {
            Line::End => return Ok(Data::Cut),
            Line::TooLong => too_large = true,
            Line::Text(text) if text == b"." => break,
            Line::Text(text) => {
                let text = text.strip_prefix(b".").unwrap_or(&text);
                too_large |= mail.len() + text.len() + 2 > SIZE_MAX;
                if !too_large {
                    mail.extend_from_slice(text);
                    mail.extend_from_slice(b"\r\n");
                }
            }
        }
    }
    Ok(if too_large { Data::TooLarge } else { Data::Mail(mail) })
}

fn parse(bytes: &[u8], sender: String, recipients: Vec<String>) -> ReceivedMail {
    let received = crate::clock::now();
    let envelope = ReceivedMail { received, sender, recipients, ..ReceivedMail::default() };
    let Some(mail) = MessageParser::default().parse(bytes) else {
        return ReceivedMail { text: String::from_utf8_lossy(bytes).into_owned(), ..envelope };
    };
    let header = |name: &str| mail.header_raw(name).map(|text| text.trim().to_owned());
    ReceivedMail {
        from: people(mail.from()),
        to: people(mail.to()),
        subject: mail.subject().unwrap_or_default().to_owned(),
        date: mail.date().map(|date| date.to_rfc3339()),
        message_id: mail.message_id().map(str::to_owned),
        in_reply_to: ids(mail.in_reply_to()).into_iter().next(),
        references: ids(mail.references()),
        list_id: header("List-Id"),
        auto_submitted: header("Auto-Submitted"),
        text: mail.body_text(0).unwrap_or_default().into_owned(),
        html: with_pictures(&mail),
        ..envelope
    }
}

/// The HTML with its inline pictures in it, as a page can show it: each once, so that a small mail that names its
/// picture a thousand times stays small.
fn with_pictures(mail: &mail_parser::Message<'_>) -> String {
    let html = mail.body_html(0).unwrap_or_default().into_owned();
    let pictures = mail.attachments().filter_map(|part| Some((part.content_id()?, part.contents())));
    let mut seen = BTreeSet::new();
    let pictures = pictures.filter(|(id, bytes)| bytes.len() <= PICTURE_MAX && seen.insert(*id)).take(PICTURES_MAX);
    pictures.fold(html, |html, (id, bytes)| {
        let data = base64::engine::general_purpose::STANDARD.encode(bytes);
        html.replacen(&format!("\"cid:{id}\""), &format!("\"data:image/png;base64,{data}\""), 1)
    })
}

fn ids(value: &HeaderValue<'_>) -> Vec<String> {
    match value {
        HeaderValue::Text(id) => vec![id.to_string()],
        HeaderValue::TextList(ids) => ids.iter().map(|id| id.to_string()).collect(),
        _ => Vec::new(),
    }
}

fn people(addresses: Option<&Address<'_>>) -> String {
    let each = addresses.into_iter().flat_map(|addresses| addresses.iter());
    let each = each.map(|person| match (person.name(), person.address().unwrap_or_default()) {
        (Some(name), address) => format!("{name} <{address}>"),
        (None, address) => address.to_owned(),
    });
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_shown_once_however_often_it_is_named() {
        let html = "<img src=\"cid:x@y\">".repeat(100);
        let mail = format!(
            "MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n\
             {html}\r\n--b\r\nContent-Type: image/png\r\nContent-ID: <x@y>\r\nContent-Transfer-Encoding: base64\r\n\
             Content-Disposition: inline\r\n\r\n{}\r\n--b--\r\n",
            "AAAA".repeat(1_000),
        );
        let mail = MessageParser::default().parse(mail.as_bytes()).unwrap();
        let shown = with_pictures(&mail);
        assert_eq!((shown.matches("data:image/png").count(), shown.matches("cid:x@y").count()), (1, 99));
        assert!(shown.len() < html.len() + 5_000, "{} bytes", shown.len());
    }
}
