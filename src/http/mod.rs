//! What the service serves: `/metrics`, health, the API and the live page.
//!
//! | file | what it is |
//! |---|---|
//! | `api` | one handler per address |
//! | `ack`, `tickets` | the page behind a mail's link; the link and the short code themselves |
//! | `desk` | what people ask of it: acknowledgements, silences, and the trail of both |
//! | `query` | filters, and what is wrong with one |
//! | `alerts`, `view` | the JSON of open cases and of the page |
//! | `assets`, `page/` | the page, embedded |
//! | `openapi` | the description of the API |
//! | `readiness` | what `/readyz` answers |
//!
//! Numbers are turned into bytes under the source's lock, off the reactor's threads, and written to the socket after
//! it: a slow reader holds up nobody. Deliberately not here: TLS and log-ins (a reverse proxy's work; by default it
//! listens on the machine itself only), and anything that changes what is counted.

mod ack;
mod alerts;
mod api;
mod assets;
mod desk;
mod openapi;
mod query;
mod readiness;
mod tickets;
mod trail;
mod view;

use std::collections::BTreeMap;
use std::future::{Future, IntoFuture};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use axum::routing::{delete, get, post};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::domain::Timestamp;
use crate::matrix::Language;
use crate::matrix::engine::{OpenCase, Operated, Operation};
use crate::telemetry::Telemetry;
use crate::telemetry::source::SharedSource;
pub use alerts::{RenderAction, written_action};
use assets::Assets;
pub use readiness::{ReadinessReport, SharedReadiness};
pub use tickets::{NoRandomness, Tickets};
pub use trail::Trail;

/// How long answers that are under way may take once the service stops.
pub const GRACE: Duration = Duration::from_secs(5);

/// Answers that may be built at once: each may hold every number in memory.
const BUILDS_AT_ONCE: usize = 4;

/// What the demo's mailbox and webhooks have received: `{"mails": [{"time", "to", "subject", "text", "html"}],
/// "webhooks": [{"time", "name", "body"}]}`.
pub type Mailbox = Arc<dyn Fn() -> serde_json::Value + Send + Sync>;

/// Has the matrices read again, and waits for what comes of it: the hash of what is in force now, or why it was refused.
pub type Reload = Arc<dyn Fn() -> Result<String, String> + Send + Sync>;

/// Writes an operation down for all instances and waits for what comes of it; `None`: it has not been confirmed in time. Blocks.
pub type Operate = Arc<dyn Fn(Operation, Option<Arc<str>>, Timestamp) -> Option<Operated> + Send + Sync>;

/// Told of an incident that somebody has just acknowledged.
pub type Acknowledged = Arc<dyn Fn(&OpenCase) + Send + Sync>;

/// What is needed to serve.
pub struct Site {
    pub source: SharedSource,
    pub telemetry: Arc<Telemetry>,
    pub readiness: SharedReadiness,
    /// The language of the page, which `?lang=` overrides.
    pub language: Language,
    pub tickets: Arc<Tickets>,
    /// `None` shows actions as their rows write them.
    pub render_action: Option<RenderAction>,
    /// In the demo only.
    pub mailbox: Option<Mailbox>,
    /// `None` where nobody else is to know.
    pub acknowledged: Option<Acknowledged>,
    /// `None`: the source itself takes operations.
    pub operate: Option<Operate>,
    /// Who asked for what.
    pub trail: Arc<Trail>,
    /// `None` where matrices are not read again.
    pub reload: Option<Reload>,
    /// The wall clock.
    pub clock: fn() -> Timestamp,
}

/// A [`Site`] with what serving it needs besides; shared by all handlers.
struct Served {
    site: Site,
    render_action: RenderAction,
    assets: Assets,
    builds: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    /// The page's documents by window and filter: when each was made, and its bytes.
    views: Mutex<BTreeMap<(usize, String), (Timestamp, Bytes)>>,
    /// Turns true once the service stops, so that streams, which never end by themselves, do.
    stopping: watch::Receiver<bool>,
}

/// Why it cannot serve: where, what, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "http.listen is `{listen}`, which is no address to listen on: write ADDRESS:PORT, such as 127.0.0.1:9464 for \
         this machine only or 0.0.0.0:9464 for every network that it is in ({cause})"
    )]
    Address { listen: String, cause: io::Error },
    #[error(
        "http.listen is `{listen}`, and another program listens there already, perhaps another Atalaya: stop it \
         (`ss -ltnp` names it) or choose another port in http.listen (or ATALAYA_HTTP__LISTEN)"
    )]
    InUse { listen: String },
    #[error(
        "http.listen is `{listen}`, and this user may not listen there: choose a port from 1024 on in http.listen (or \
         ATALAYA_HTTP__LISTEN), or give the service the right to bind lower ones"
    )]
    NotPermitted { listen: String },
    #[error("cannot listen on `{listen}` (http.listen): {cause}")]
    Listen { listen: String, cause: io::Error },
}

impl Error {
    /// Whether the configuration is wrong, rather than the machine busy.
    pub fn is_users(&self) -> bool {
        matches!(self, Error::Address { .. } | Error::NotPermitted { .. })
    }
}

/// Begins to listen; done before anything else is started, so that a port in use is found at once.
pub async fn bind(listen: &str) -> Result<TcpListener, Error> {
    let addresses: Vec<SocketAddr> = match tokio::net::lookup_host(listen).await {
        Ok(addresses) => addresses.collect(),
        Err(cause) => return Err(Error::Address { listen: listen.to_owned(), cause }),
    };
    TcpListener::bind(addresses.as_slice()).await.map_err(|cause| {
        let listen = listen.to_owned();
        match cause.kind() {
            io::ErrorKind::AddrInUse => Error::InUse { listen },
            io::ErrorKind::PermissionDenied => Error::NotPermitted { listen },
            io::ErrorKind::AddrNotAvailable | io::ErrorKind::InvalidInput => Error::Address { listen, cause },
            _ => Error::Listen { listen, cause },
        }
    })
}

/// Serves until `shutdown` is done and then at most a few seconds more, for answers that are under way.
pub async fn serve(listener: TcpListener, site: Site, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let (stop, stopping) = watch::channel(false);
    let mut graceful = stopping.clone();
    let served = axum::serve(listener, router(site, stopping)).with_graceful_shutdown(async move {
        // An error means that the sender is gone, which is a stop too.
        let _ = graceful.wait_for(|stopping| *stopping).await;
    });
    let mut served = std::pin::pin!(served.into_future());
    tokio::select! {
        result = &mut served => return result,
        () = shutdown => {}
    }
    // Nobody listening means that nothing is left to be told.
    let _ = stop.send(true);
    match tokio::time::timeout(GRACE, served).await {
        Ok(result) => result,
        Err(_) => {
            tracing::warn!("answers still under way are cut off");
            Ok(())
        }
    }
}

fn router(site: Site, stopping: watch::Receiver<bool>) -> Router {
    let render_action = site.render_action.clone().unwrap_or_else(|| Arc::new(written_action));
    let demo = site.mailbox.is_some();
    let served = Arc::new(Served {
        render_action,
        assets: Assets::new(demo),
        builds: Arc::new(Semaphore::new(BUILDS_AT_ONCE)),
        streams: api::stream_places(),
        views: Mutex::default(),
        stopping,
        site,
    });
    let mut router = Router::new()
        .route("/", get(api::page))
        .route("/assets/{name}", get(api::asset))
        .route("/metrics", get(api::metrics))
        .route("/healthz", get(api::healthz))
        .route("/readyz", get(api::readyz))
        .route("/api/v1/indicators", get(api::indicators))
        .route("/api/v1/alerts", get(api::alerts))
        .route("/api/v1/alerts/{incident}/acknowledge", post(desk::acknowledge))
        .route("/api/v1/silences", get(desk::silences).post(desk::silence))
        .route("/api/v1/silences/{id}", delete(desk::end_silence))
        .route("/ack", get(ack::show).post(ack::press))
        .route("/api/v1/operations", get(desk::operations))
        .route("/api/v1/reload", post(desk::reload))
        .route("/api/v1/board", get(api::board))
        .route("/api/v1/stream", get(api::stream))
        .route("/api/v1/openapi.json", get(api::openapi));
    if demo {
        router = router.route("/api/v1/mailbox", get(api::mailbox));
    }
    router
        .fallback(api::not_found)
        .method_not_allowed_fallback(api::method_not_allowed)
        .layer(DefaultBodyLimit::max(desk::BODY_MAX))
        .layer(axum::middleware::map_response(guard))
        .with_state(served)
}

/// Headers that every answer has.
async fn guard(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}
