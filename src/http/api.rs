//! One handler per address.

use std::convert::Infallible;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

use super::alerts::AlertRecord;
use super::query::{self, Filter, QueryError};
use super::{Served, openapi, view};
use crate::matrix::Language;
use crate::records::IndicatorRecord;
use crate::telemetry::Format;
use crate::telemetry::events::LiveStreams;
use crate::telemetry::source::{Source, lock};

pub type Shared = State<Arc<Served>>;
type Parameters = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// How many pages may be fed at once.
const STREAMS: usize = 500;

/// How many documents of the page are kept: windows times filters that people are typing.
const VIEWS: usize = 64;

/// An answer longer than this is refused with the advice to filter, rather than built in memory.
const ANSWER_BYTES_MAX: usize = 512 << 20;

/// An error as JSON: `{"error": "..."}`.
pub struct Refused(pub StatusCode, pub String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": self.1 }).to_string();
        (self.0, [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], body).into_response()
    }
}

impl From<QueryError> for Refused {
    fn from(error: QueryError) -> Self {
        Refused(StatusCode::BAD_REQUEST, error.to_string())
    }
}

impl From<QueryRejection> for Refused {
    fn from(rejection: QueryRejection) -> Self {
        Refused(StatusCode::BAD_REQUEST, rejection.body_text())
    }
}

pub fn broken(error: impl std::fmt::Display) -> Refused {
    tracing::error!(%error, "answer not built");
    Refused(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be built; the log says why".to_owned())
}

pub fn json(body: impl Into<Bytes>) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (headers, body.into()).into_response()
}

/// Runs what locks the source and builds an answer where it may block.
pub async fn build<T: Send + 'static>(
    served: Arc<Served>,
    work: impl FnOnce(&Served) -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    let permit = served.builds.clone().acquire_owned().await.map_err(broken)?;
    let task = tokio::task::spawn_blocking(move || {
        let result = work(&served);
        drop(permit);
        result
    });
    task.await.map_err(broken)?
}

pub async fn page(State(served): Shared) -> Response {
    served.assets.page()
}

pub async fn asset(State(served): Shared, Path(name): Path<String>, uri: Uri) -> Response {
    match served.assets.file(&name) {
        Some(response) => response,
        None => not_found(uri).await,
    }
}

pub async fn not_found(uri: Uri) -> Response {
    let text = format!("nothing is at {}: see / and /api/v1/openapi.json", uri.path());
    Refused(StatusCode::NOT_FOUND, text).into_response()
}

pub async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    let text = format!("{} does not take {method}: see /api/v1/openapi.json", uri.path());
    Refused(StatusCode::METHOD_NOT_ALLOWED, text).into_response()
}

/// Says that the process answers; what it is worth is `/readyz`.
pub async fn healthz() -> Response {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store")], "ok\n").into_response()
}

pub async fn readyz(State(served): Shared) -> Result<Response, Response> {
    let report = served.site.readiness.report();
    let body = serde_json::to_vec(&report).map_err(|error| broken(error).into_response())?;
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, json(body)).into_response())
}

pub async fn metrics(State(served): Shared, headers: HeaderMap) -> Result<Response, Response> {
    let accept: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let format = Format::negotiate(&accept.join(","));
    let work = move |served: &Served| Ok(served.site.telemetry.render(format, (served.site.clock)()));
    let text = build(served, work).await.map_err(IntoResponse::into_response)?;
    Ok(([(CONTENT_TYPE, format.content_type()), (CACHE_CONTROL, "no-store")], text).into_response())
}

pub async fn indicators(State(served): Shared, parameters: Parameters) -> Result<Response, Response> {
    let work = move |served: &Served| {
        let Query(pairs) = parameters?;
        let mut source = lock(&served.site.source);
        let filter = Filter::parse(&pairs, &source.plan())?;
        write_indicators(&mut *source, &filter)
    };
    build(served, work).await.map(json).map_err(IntoResponse::into_response)
}

/// `{"time": T, "indicators": [...]}`: every record is of the one instant that the source shows while it is locked.
fn write_indicators(source: &mut dyn Source, filter: &Filter) -> Result<Vec<u8>, Refused> {
    let plan = source.plan();
    let time = source.now();
    let mut body = format!("{{\"time\":\"{time}\",\"indicators\":[").into_bytes();
    let mut first = true;
    let mut failure = None;
    let (keys, selectors) = (|key: &_| filter.lets_key_through(key), |selector: &_| filter.lets_through(selector));
    source.each_indicator(&keys, &selectors, &mut |key, selector, reading| {
        if failure.is_some() {
            return;
        }
        if !std::mem::take(&mut first) {
            body.push(b',');
        }
        let record = IndicatorRecord { time, key, selector, reading, plan: &plan };
        if let Err(error) = serde_json::to_writer(&mut body, &record) {
            failure = Some(broken(error));
        } else if body.len() > ANSWER_BYTES_MAX {
            let text = "the answer would be too large: ask for fewer with indicator, window, queue or channel";
            failure = Some(Refused(StatusCode::BAD_REQUEST, text.to_owned()));
        }
    });
    body.extend_from_slice(b"]}");
    failure.map_or(Ok(body), Err)
}

pub async fn alerts(State(served): Shared, parameters: Parameters) -> Result<Response, Response> {
    let work = move |served: &Served| {
        if let Some((name, _)) = parameters?.first() {
            return Err(query::unknown(name, &[]).into());
        }
        let (plan, time, cases) = {
            let source = lock(&served.site.source);
            (source.plan(), source.now(), source.open_cases())
        };
        let records = cases.iter().map(|case| AlertRecord { case, plan: &plan, action: (served.render_action)(case) });
        let records: Vec<AlertRecord<'_>> = records.collect();
        serde_json::to_vec(&serde_json::json!({ "time": time, "alerts": records })).map_err(broken)
    };
    build(served, work).await.map(json).map_err(IntoResponse::into_response)
}

pub async fn openapi(State(served): Shared) -> Response {
    json(openapi::document(&lock(&served.site.source).plan()).to_string())
}

pub async fn mailbox(State(served): Shared) -> Response {
    match &served.site.mailbox {
        Some(mailbox) => json(mailbox().to_string()),
        None => Refused(StatusCode::NOT_FOUND, "there is a mailbox in the demo only".to_owned()).into_response(),
    }
}

/// What the page asked to see.
#[derive(Clone)]
struct Shown {
    window: usize,
    find: String,
}

impl Shown {
    fn parse(served: &Served, parameters: Parameters) -> Result<Self, Refused> {
        let Query(pairs) = parameters?;
        let plan = lock(&served.site.source).plan();
        // Of a plan without the usual window the first one is as good as any.
        let mut shown = Shown { window: query::window("15m", &plan).unwrap_or(0), find: String::new() };
        for (name, value) in pairs {
            match name.as_str() {
                "window" => shown.window = query::window(&value, &plan)?,
                "find" => shown.find = value.chars().take(100).collect(),
                _ => return Err(query::unknown(&name, &["window", "find"]).into()),
            }
        }
        Ok(shown)
    }
}

pub async fn board(State(served): Shared, parameters: Parameters) -> Result<Response, Response> {
    let work = move |served: &Served| {
        let shown = Shown::parse(served, parameters)?;
        view_bytes(served, &shown)
    };
    build(served, work).await.map(json).map_err(IntoResponse::into_response)
}

/// The document of the page, made anew only if the last one is older than [`view::FRESH`].
fn view_bytes(served: &Served, shown: &Shown) -> Result<Bytes, Refused> {
    // Held while it is made, so that pages that ask at once share one.
    let mut views = served.views.lock().unwrap_or_else(PoisonError::into_inner);
    let wall = (served.site.clock)();
    let key = (shown.window, shown.find.clone());
    views.retain(|_, (made, _)| *made <= wall && wall - *made < view::FRESH);
    if let Some((_, bytes)) = views.get(&key) {
        return Ok(bytes.clone());
    }
    let around = view::Around {
        wall,
        readiness: served.site.readiness.report(),
        language: match served.site.language {
            Language::Es => "es",
            Language::En => "en",
            Language::Pt => "pt",
        },
        demo: served.site.mailbox.is_some(),
        render_action: &served.render_action,
    };
    let made = view::render(&mut *lock(&served.site.source), shown.window, &shown.find, around);
    let bytes = Bytes::from(made.map_err(broken)?);
    if views.len() < VIEWS {
        views.insert(key, (wall, bytes.clone()));
    }
    Ok(bytes)
}

/// Counts a page that is being fed for as long as it is.
struct Feed {
    served: Arc<Served>,
    shown: Shown,
    ticks: Interval,
    stopping: watch::Receiver<bool>,
    _place: tokio::sync::OwnedSemaphorePermit,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.served.site.telemetry.emit(LiveStreams(-1));
    }
}

/// The page's document once a second as server-sent events, until the page goes or the service stops.
pub async fn stream(State(served): Shared, parameters: Parameters) -> Result<Response, Response> {
    let shown = Shown::parse(&served, parameters).map_err(IntoResponse::into_response)?;
    let Ok(place) = served.streams.clone().try_acquire_owned() else {
        let text = format!("{STREAMS} pages are being fed already: close one, or ask /api/v1/board now and then");
        return Err(Refused(StatusCode::SERVICE_UNAVAILABLE, text).into_response());
    };
    served.site.telemetry.emit(LiveStreams(1));
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stopping = served.stopping.clone();
    let feed = Feed { served, shown, ticks, stopping, _place: place };
    Ok(Sse::new(documents(feed)).keep_alive(KeepAlive::default()).into_response())
}

pub fn stream_places() -> Arc<tokio::sync::Semaphore> {
    Arc::new(tokio::sync::Semaphore::new(STREAMS))
}

fn documents(feed: Feed) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(feed, |mut feed| async move {
        loop {
            tokio::select! {
                _ = feed.ticks.tick() => {}
                // An error means that the server is gone.
                _ = feed.stopping.wait_for(|stopping| *stopping) => return None,
            }
            let shown = feed.shown.clone();
            // One that fails is logged; the page sees its numbers grow old and says so.
            let Ok(bytes) = build(feed.served.clone(), move |served| view_bytes(served, &shown)).await else {
                continue;
            };
            if let Ok(text) = std::str::from_utf8(&bytes) {
                return Some((Ok(Event::default().data(text)), feed));
            }
        }
    })
}
