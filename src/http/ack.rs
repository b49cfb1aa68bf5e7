//! The page behind the link of a mail. Following the link shows the incident and a button and changes nothing, because
//! mail scanners follow links; the button posts what the link holds, signature and all, and that acknowledges.
//!
//! The signature is the permission: it was mailed to one contact, names one incident and ends after a day. `Origin` is
//! not looked at: of a page that sends no referrer, as this one, browsers say `null`.

use std::sync::Arc;

use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::Served;
use super::api::{Shared, build};
use super::desk;
use crate::matrix::Language;
use crate::matrix::engine::{OpenCase, Operated, Operation, What};
use crate::notice::{self, html::escape, words};
use crate::telemetry::source::lock;

const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Why there is no button: the status, and a sentence in the reader's language.
type Why = (StatusCode, fn(Language) -> &'static str);

const BROKEN: Why = (StatusCode::BAD_REQUEST, words::link_broken);
const OVER: Why = (StatusCode::NOT_FOUND, words::incident_over);

/// What the link holds.
#[derive(Deserialize)]
pub struct Link {
    incident: String,
    by: String,
    /// Seconds since 1970.
    until: i64,
    sig: String,
}

/// What the form posts: the link's values, and who it is.
#[derive(Deserialize)]
pub struct Pressed {
    incident: String,
    by: String,
    until: i64,
    sig: String,
    #[serde(default)]
    who: String,
}

/// `GET /ack`
pub async fn show(State(served): Shared, link: Result<Query<Link>, QueryRejection>) -> Result<Response, Response> {
    let work = move |served: &Served| {
        let opened = link.map_err(|_| BROKEN).and_then(|Query(link)| open(served, link));
        Ok(match opened {
            Ok((link, cases)) => {
                let language = language(served, &cases);
                page(StatusCode::OK, language, &about(served, &cases, language), &form(&link, language))
            }
            Err(why) => told(served, why),
        })
    };
    build(served, work).await.map_err(IntoResponse::into_response)
}

/// `POST /ack`
pub async fn press(State(served): Shared, form: Result<Form<Pressed>, FormRejection>) -> Result<Response, Response> {
    let work = move |served: &Served| {
        let Ok(Form(Pressed { incident, by, until, sig, who })) = form else {
            return Ok(told(served, BROKEN));
        };
        let (link, _) = match open(served, Link { incident, by, until, sig }) {
            Ok(opened) => opened,
            Err(why) => return Ok(told(served, why)),
        };
        // A field left empty means the contact to whom the link went.
        let who = desk::who(&who).or_else(|_| desk::who(&link.by))?;
        let what = What::Acknowledge { incident: link.incident.as_str().into(), until: None };
        let contact: Arc<str> = link.by.into();
        let (operated, _) = desk::operate(served, Operation { who, why: "".into(), what }, Some(contact))?;
        let cases = desk::find(served, &link.incident);
        Ok(match operated {
            Operated::Acknowledged { .. } if !cases.is_empty() => {
                let language = language(served, &cases);
                page(StatusCode::OK, language, &about(served, &cases, language), "")
            }
            _ => told(served, OVER),
        })
    };
    build(served, work).await.map_err(IntoResponse::into_response)
}

/// The open cases of a link that was made here and has not ended, or why not: several where it is of a gathering.
fn open(served: &Served, link: Link) -> Result<(Link, Vec<OpenCase>), Why> {
    let Link { incident, by, until, sig } = &link;
    if !served.site.tickets.is_signed(incident, by, *until, sig) {
        return Err((StatusCode::FORBIDDEN, words::link_broken));
    }
    if (served.site.clock)().0.div_euclid(1000) >= *until {
        return Err((StatusCode::GONE, words::link_ended));
    }
    let cases = desk::find(served, incident);
    if cases.is_empty() { Err(OVER) } else { Ok((link, cases)) }
}

fn language(served: &Served, cases: &[OpenCase]) -> Language {
    cases.first().map_or(served.site.language, |case| case.last.matrix.language)
}

/// Each incident in a line, and who has taken it up; of many as many as the mail names.
fn about(served: &Served, cases: &[OpenCase], language: Language) -> String {
    let plan = lock(&served.site.source).plan();
    let mut about = String::new();
    if cases.len() > 1 {
        let count = u32::try_from(cases.len()).unwrap_or(u32::MAX);
        about.push_str(&format!("<p>{}</p>\n", escape(&notice::cases(language, count))));
    }
    for case in cases.iter().take(notice::NAMED_MAX) {
        about.push_str(&format!("<h1>{}</h1>\n", escape(&notice::subject_of_case(case, &plan))));
        if let Some(seen) = &case.acknowledged {
            let seen = notice::seen_by(seen, &case.last.matrix, (served.site.clock)());
            about.push_str(&format!("<p>{}: {}</p>\n", words::acknowledged_by(language), escape(&seen)));
        }
    }
    about
}

fn form(link: &Link, language: Language) -> String {
    let until = link.until.to_string();
    let fields = [("incident", &link.incident), ("by", &link.by), ("until", &until), ("sig", &link.sig)];
    let hidden =
        fields.map(|(name, value)| format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">\n", escape(value)));
    // The address is relative: a proxy may serve this below a path of its own.
    format!(
        "<form method=\"post\" action=\"ack\">\n{}<p><label>{} <input name=\"who\" maxlength=\"100\" value=\"{}\"></label></p>\n\
         <p><button>{}</button></p>\n</form>\n",
        hidden.concat(),
        words::who(language),
        escape(&link.by),
        words::acknowledge(language),
    )
}

/// A page of one sentence, in the site's language.
fn told(served: &Served, (status, text): Why) -> Response {
    let language = served.site.language;
    page(status, language, &format!("<p>{}</p>\n", escape(text(language))), "")
}

fn page(status: StatusCode, language: Language, about: &str, form: &str) -> Response {
    let body = format!(
        "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"robots\" content=\"noindex\">\n\
         <title>Atalaya</title>\n<style>\
         body{{font:16px/1.45 system-ui,sans-serif;max-width:600px;margin:0 auto;padding:16px}}h1{{font-size:20px}}\
         input,button{{font:inherit;padding:8px 12px}}button{{font-weight:700}}</style>\n</head>\n<body>\n{about}{form}</body>\n</html>\n",
        words::page_language(language),
    );
    let headers =
        [(CONTENT_TYPE, "text/html; charset=utf-8"), (CACHE_CONTROL, "no-store"), (CONTENT_SECURITY_POLICY, POLICY)];
    (status, headers, body).into_response()
}
