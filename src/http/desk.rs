//! What people ask of the running service: acknowledgements and silences.
//!
//! An operation is applied under the source's lock and put on the trail before the lock is let go, so that the trail has
//! the order in which things happened. Deliberately not here: who may ask. There are no log-ins; a reverse proxy has
//! them, and the only thing refused is a page of another site that uses the browser of somebody who may.

use std::cmp::Reverse;
use std::sync::{Arc, PoisonError};

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::api::{Refused, Shared, broken, build, json};
use super::tickets::ALPHABET;
use super::{Served, Site};
use crate::domain::{Millis, Timestamp};
use crate::matrix::Level;
use crate::matrix::engine::{Matcher, OpenCase, Operated, Operation, Refusal, Silence, What};
use crate::notice::clean;
use crate::telemetry::events;
use crate::telemetry::source::{Source, lock};

/// Longest body of a request.
pub const BODY_MAX: usize = 64 << 10;

/// Longest `who` and `why`, in bytes: they are shown in mails and on the page.
const WHO_MAX: usize = 120;
const WHY_MAX: usize = 1_000;

/// Most patterns in one list of a matcher.
const PATTERNS_MAX: usize = 100;

/// Most silences that a page lists: its document goes out each second. The API has all.
const LISTED_MAX: usize = 50;

/// Has an operation done; it shows at the next evaluation, and on the page at once.
pub fn operate(
    served: &Served,
    operation: Operation,
    link_of: Option<Arc<str>>,
) -> Result<(Operated, Timestamp), Refused> {
    let Site { source, clock, telemetry, operate, trail, .. } = &served.site;
    let (name, of) = match &operation.what {
        What::Acknowledge { incident, .. } => ("acknowledge", incident.clone()),
        What::Silence { id, .. } => ("silence", id.clone()),
        What::EndSilence { id } => ("end_silence", id.clone()),
    };
    let (who, now) = (operation.who.clone(), clock());
    let operated = match operate {
        Some(operate) => operate(operation, link_of, now).ok_or_else(|| {
            let text = "it is not confirmed yet that this is written down: Kafka does not answer. It takes effect if it is; see \
                        /readyz for what is wrong, and /api/v1/operations for whether it has come";
            Refused(StatusCode::SERVICE_UNAVAILABLE, text.to_owned())
        })?,
        None => {
            let mut source = lock(source);
            let operated = source.operate(&operation, now);
            trail.operated(now, &operation, Some(&operated), link_of);
            operated
        }
    };
    served.views.lock().unwrap_or_else(PoisonError::into_inner).clear();
    telemetry.emit(events::Operated { operation: name, outcome: super::trail::name(&operated), who: &who, of: &of });
    if let (Operated::Acknowledged { .. }, Some(tell)) = (&operated, &served.site.acknowledged) {
        find(served, &of).iter().for_each(|case| tell(case));
    }
    Ok((operated, now))
}

// -- what is asked --

/// `{"who", "why"?, "for"? or "until"?}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Acknowledge {
    who: String,
    #[serde(default)]
    why: String,
    #[serde(default, rename = "for")]
    length: Option<String>,
    #[serde(default)]
    until: Option<String>,
}

/// `{"who", "why", "matcher", "from"?, "for" or "until"}`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Silent {
    who: String,
    why: String,
    matcher: Names,
    #[serde(default)]
    from: Option<String>,
    #[serde(default, rename = "for")]
    length: Option<String>,
    #[serde(default)]
    until: Option<String>,
}

/// As [`Matcher`], but a name that it does not have is refused: left out it would make the silence wider.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Names {
    matrix: Vec<String>,
    indicator: Vec<String>,
    queue: Vec<String>,
    channel: Vec<String>,
    window: Vec<String>,
    level: Option<Level>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ended {
    who: String,
    #[serde(default)]
    why: String,
}

fn bad(text: impl Into<String>) -> Refused {
    Refused(StatusCode::BAD_REQUEST, text.into())
}

/// `POST /api/v1/alerts/{incident}/acknowledge`
pub async fn acknowledge(
    State(served): Shared,
    Path(asked): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Response> {
    let work = move |served: &Served| {
        let asked_for: Acknowledge = read(&served.site, &headers, body)?;
        let (who, why) = (who(&asked_for.who)?, why(&asked_for.why)?);
        let now = (served.site.clock)();
        let until = end(now, asked_for.length.as_deref(), asked_for.until.as_deref())?;
        if until.is_some_and(|until| until <= now) {
            return Err(bad("the acknowledgement would be over already; `until` is after now, `for` longer than 0s"));
        }
        let incident = incident(served, &asked);
        let what = What::Acknowledge { incident: incident.clone(), until };
        match operate(served, Operation { who, why, what }, None)? {
            (Operated::Acknowledged { .. }, _) => {
                let cases = find(served, &incident);
                let acknowledged = cases.first().and_then(|case| case.acknowledged.clone());
                let mut said = json!({ "incident": incident, "acknowledged": acknowledged });
                // Of a gathering: which incidents that was.
                if cases.iter().any(|case| case.last.incident != incident) {
                    said["incidents"] = cases.iter().map(|case| &*case.last.incident).collect();
                }
                Ok(said.to_string())
            }
            (Operated::NotOpen, _) => Err(not_open(&incident)),
            (other, _) => Err(broken(format!("an acknowledgement came out as {other:?}"))),
        }
    };
    build(served, work).await.map(json).map_err(IntoResponse::into_response)
}

/// Nothing need be said: `{}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// `POST /api/v1/reload`
pub async fn reload(
    State(served): Shared,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Response> {
    let work = move |served: &Served| {
        let Nothing {} = read(&served.site, &headers, body)?;
        let none = || Refused(StatusCode::CONFLICT, "the matrices of this program are not read again".to_owned());
        let reload = served.site.reload.as_ref().ok_or_else(none)?;
        let hash = reload().map_err(|why| Refused(StatusCode::CONFLICT, why))?;
        Ok(json!({ "hash": hash }).to_string())
    };
    build(served, work).await.map(json).map_err(IntoResponse::into_response)
}

fn not_open(incident: &str) -> Refused {
    let incident = clean(incident, WHO_MAX, false);
    let text = format!("no open incident is called `{incident}`: it is over or never was; see /api/v1/alerts");
    Refused(StatusCode::NOT_FOUND, text)
}

/// The own name of an incident or a gathering, of an open one by its code too.
fn incident(served: &Served, asked: &str) -> Arc<str> {
    let open = lock(&served.site.source).open_ids();
    let ids = || open.iter();
    let found = ids().find(|id| ***id == *asked).or_else(|| ids().find(|id| served.site.tickets.is_code(asked, id)));
    found.map_or_else(|| asked.into(), Arc::clone)
}

/// The open case of an incident, or those of a gathering: the worst first.
pub fn find(served: &Served, id: &str) -> Vec<OpenCase> {
    let source = lock(&served.site.source);
    let mut cases = source.cases_of(&source.incidents_of(id));
    cases.sort_by_key(|case| Reverse(case.last.to));
    cases
}

/// A silence, and whether it is on now.
#[derive(Serialize)]
pub struct Shown {
    active: bool,
    #[serde(flatten)]
    silence: Silence,
}

/// The silences that are on or will be.
pub fn shown(source: &dyn Source, now: Timestamp) -> Vec<Shown> {
    let silences = source.silences().into_iter().filter(|silence| silence.until > now);
    silences.map(|silence| Shown { active: silence.from <= now, silence }).collect()
}

/// Those that a page lists, what is on first and then by what comes next: the end of the one, the beginning of the other.
pub fn listed(mut silences: Vec<Shown>) -> Vec<Shown> {
    let next = |shown: &Shown| if shown.active { shown.silence.until } else { shown.silence.from };
    silences.sort_by_key(|shown| (!shown.active, next(shown)));
    silences.truncate(LISTED_MAX);
    silences
}

/// `GET /api/v1/silences`
pub async fn silences(State(served): Shared) -> Result<Response, Response> {
    let work = |served: &Served| {
        let now = (served.site.clock)();
        let silences = shown(&*lock(&served.site.source), now);
        Ok(json!({ "time": now, "silences": silences }).to_string())
    };
    build(served, work).await.map(json).map_err(IntoResponse::into_response)
}

/// `POST /api/v1/silences`
pub async fn silence(
    State(served): Shared,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Response> {
    let work = move |served: &Served| {
        let Silent { who: by, why: because, matcher, from, length, until } = read(&served.site, &headers, body)?;
        let (who, why) = (who(&by)?, why(&because)?);
        if why.is_empty() {
            return Err(bad("`why` is empty: say why nobody is to hear of it"));
        }
        let now = (served.site.clock)();
        let from = from.map(|text| instant("from", &text)).transpose()?.unwrap_or(now);
        let Some(until) = end(from, length.as_deref(), until.as_deref())? else {
            return Err(bad("the silence has no end: give `until`, or `for` counted from its beginning"));
        };
        let Names { matrix, indicator, queue, channel, window, level } = matcher;
        if [&matrix, &indicator, &queue, &channel, &window].iter().any(|list| list.len() > PATTERNS_MAX) {
            return Err(bad(format!(
                "a list of the matcher has more than {PATTERNS_MAX} names; use patterns with `*`"
            )));
        }
        let matcher = Matcher { matrix, indicator, queue, channel, window, level };
        let id = new_id(served, now);
        let what = What::Silence { id: id.clone(), matcher: matcher.clone(), from, until };
        let (operated, now) = operate(served, Operation { who: who.clone(), why: why.clone(), what }, None)?;
        match operated {
            Operated::Silenced => {
                let silence = Silence { id, matcher, from, until, who, why };
                serde_json::to_vec(&Shown { active: from <= now, silence }).map_err(broken)
            }
            Operated::Refused(refusal) => {
                let status = match &refusal {
                    Refusal::TooMany => StatusCode::CONFLICT,
                    Refusal::Pattern { .. } | Refusal::Everything | Refusal::Over => StatusCode::BAD_REQUEST,
                };
                Err(Refused(status, refusal.to_string()))
            }
            other => Err(broken(format!("a silence came out as {other:?}"))),
        }
    };
    let answer = build(served, work).await.map_err(IntoResponse::into_response)?;
    Ok((StatusCode::CREATED, json(answer)).into_response())
}

/// `DELETE /api/v1/silences/{id}`
pub async fn end_silence(
    State(served): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Response> {
    let work = move |served: &Served| {
        let Ended { who: by, why: because } = read(&served.site, &headers, body)?;
        let id: Arc<str> = clean(&id, WHO_MAX, false).into();
        let what = What::EndSilence { id: id.clone() };
        match operate(served, Operation { who: who(&by)?, why: why(&because)?, what }, None)? {
            (Operated::SilenceEnded, now) => Ok(json!({ "id": id, "ended": now }).to_string()),
            (Operated::NoSilence, _) => {
                let text = format!("there is no silence `{id}`, or it is over: see /api/v1/silences");
                Err(Refused(StatusCode::NOT_FOUND, text))
            }
            (other, _) => Err(broken(format!("the end of a silence came out as {other:?}"))),
        }
    };
    build(served, work).await.map(json).map_err(IntoResponse::into_response)
}

/// `GET /api/v1/operations`
pub async fn operations(State(served): Shared) -> Response {
    let (time, operations) = ((served.site.clock)(), served.site.trail.text());
    json(format!("{{\"time\":\"{time}\",\"operations\":{operations}}}"))
}

/// Of the instant, so that it means something to whoever reads the log; another one where that is taken.
fn new_id(served: &Served, now: Timestamp) -> Arc<str> {
    let taken = lock(&served.site.source).silences();
    let mut number = now.0.unsigned_abs();
    loop {
        let id = written(number);
        if taken.iter().all(|silence| *silence.id != *id) {
            return id.into();
        }
        number += 1;
    }
}

fn written(mut number: u64) -> String {
    let mut digits = Vec::new();
    while number > 0 || digits.is_empty() {
        digits.push(ALPHABET.get((number % 32) as usize).copied().map_or('0', char::from));
        number /= 32;
    }
    digits.into_iter().rev().collect()
}

// -- reading a request --

/// The body of a request that may change something.
fn read<T: DeserializeOwned>(
    site: &Site,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<T, Refused> {
    is_ours(site, headers)?;
    // A form of another site cannot send this type without asking first, and it would be told no.
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let text = "send a JSON object with `content-type: application/json`".to_owned();
        return Err(Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Refused(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is longer than {BODY_MAX} bytes"))
        }
        status => Refused(status, rejection.body_text()),
    })?;
    serde_json::from_slice(&body).map_err(|error| bad(format!("the body is not what is expected here: {error}")))
}

/// Whether a request that a browser sends comes from a page of ours: of the host that was asked, or of `public_url`.
fn is_ours(site: &Site, headers: &HeaderMap) -> Result<(), Refused> {
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let host = headers.get(HOST).and_then(|value| value.to_str().ok());
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    let public = site.tickets.public_url().map(|url| {
        let start = url.find("://").map_or(0, |at| at + 3);
        url.get(start..).and_then(|rest| rest.find('/')).and_then(|end| url.get(..start + end)).unwrap_or(url)
    });
    if authority.is_some() && authority == host || public.is_some_and(|public| public.eq_ignore_ascii_case(origin)) {
        return Ok(());
    }
    let text = "a page of another site sent this. Is it yours, behind a proxy? Then set http.public_url to its address";
    Err(Refused(StatusCode::FORBIDDEN, text.to_owned()))
}

pub fn who(text: &str) -> Result<Arc<str>, Refused> {
    let who = clean(text.trim(), WHO_MAX, false);
    if who.trim().is_empty() { Err(bad("`who` is empty: say who asks for it")) } else { Ok(who.into()) }
}

fn why(text: &str) -> Result<Arc<str>, Refused> {
    if text.len() > WHY_MAX {
        return Err(bad(format!("`why` is longer than {WHY_MAX} bytes")));
    }
    Ok(clean(text.trim(), WHY_MAX + 4, false).into())
}

/// `until`, or `from` and `for`; `None` where neither is given.
fn end(from: Timestamp, length: Option<&str>, until: Option<&str>) -> Result<Option<Timestamp>, Refused> {
    match (length, until) {
        (Some(_), Some(_)) => Err(bad("give `for` or `until`, not both")),
        (None, None) => Ok(None),
        (None, Some(until)) => instant("until", until).map(Some),
        (Some(length), None) => {
            let end = Millis::parse(length).and_then(|length| (from + length).in_range());
            end.map(Some).ok_or_else(|| bad(format!("`for` cannot be `{length}`: write a length as 30m, 4h or 1h30m")))
        }
    }
}

fn instant(name: &str, text: &str) -> Result<Timestamp, Refused> {
    Timestamp::parse(text)
        .ok_or_else(|| bad(format!("`{name}` cannot be `{text}`: write an instant as 2026-05-28T18:00:00-05:00")))
}
