//! The service: reads the sources, keeps the numbers, evaluates, tells and serves, until it is told to stop.
//!
//! ```text
//! readers' threads                    evaluator's thread                          runtime
//! Kafka -> wire -> floors -> deltas log -> board -> matrix -> decisions log -> notice -> notifier (mail, webhooks)
//!              \-> dead letters               \                     ^ |
//!                                              \---- shared with ---|-'----------> http (metrics, API, page)
//!                                                    operations log <---------------- acknowledgements, silences
//! ```
//!
//! | module | what it is |
//! |---|---|
//! | `read` | the sources: records to the owners of their partitions, what those want to the logs |
//! | `spread` | the same on several threads |
//! | `logs` | the ways between the parts of an instance; entries in bytes and back |
//! | `names` | by what the entries and the kept states of a group are told from others |
//! | `store` | a thread that keeps states and finds them again |
//! | `evaluate` | what comes out of the logs to the board, and a tick each second in its own turn |
//! | `turn` | whose turn it is to decide, and what is done in it: decide, send, take operations |
//! | `outcomes` | what became of notices, and who is told instead |
//! | `feeds` | which sources lag or are silent |
//! | `reload` | changed matrices and calendars |
//! | `stand_ins` | what an Alertmanager is told for somebody who could not be reached |
//! | `systemd` | what the service manager is told |
//!
//! An instance is one of many. It reads the source partitions that the consumer group gives it, and tells the deltas log what they
//! come to; it reads that log whole, so that its board shows all of them. One instance decides, and the others show what it
//! has decided. All of it is in Kafka: a start takes up what was kept and reads the logs on from there; only where
//! nothing was kept are the sources read 25 hours back. Where nothing is to outlive the process (the demo) the logs are channels.
//! Nothing here knows what a number or a rule means.

mod evaluate;
mod feeds;
mod logs;
pub(crate) mod names;
mod outcomes;
mod read;
mod reload;
mod spread;
mod stand_ins;
mod store;
mod systemd;
mod turn;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use crate::clock;
use crate::commands::Failure;
use crate::commands::files::Origin;
use crate::config::{Config, MatrixSet, Source};
use crate::domain::{Calendar, Millis, Timestamp};
use crate::http::{self, SharedReadiness, Site, Tickets};
use crate::kafka::log::Appender;
use crate::kafka::{Consumer, DeadLetters, GroupName, Handler, Options, Problems, Start};
use crate::matrix::engine::Notification;
use crate::notice;
use crate::notify::{Notifier, Settings};
use crate::pipeline::Evaluator;
use crate::telemetry::source::SharedSource;
use crate::telemetry::{Telemetry, events};

pub(crate) use logs::{Entry, Noted, read as read_entry};
pub(crate) use turn::kept_ledger;

/// How the demo differs from the service.
pub struct Manner {
    pub start: Start,
    /// What the page shows of the demo's mailbox.
    pub mailbox: Option<http::Mailbox>,
    /// Where the matrices lie, to be looked at while it runs; none: they stay.
    pub matrices: Vec<PathBuf>,
    /// What the configuration was compiled of, to be compiled again when its calendars change.
    pub origin: Option<Origin>,
    /// Nothing was told before, and nothing is to be remembered: the logs are in memory.
    pub new: bool,
    /// Where systemd listens, if it started the service.
    pub notify_socket: Option<String>,
    /// Called once the page answers, with its address.
    pub serving: Box<dyn FnOnce(std::net::SocketAddr) + Send>,
}

impl Default for Manner {
    fn default() -> Self {
        Manner {
            start: Start::DAY_AND_AN_HOUR,
            mailbox: None,
            matrices: Vec::new(),
            origin: None,
            new: false,
            notify_socket: None,
            serving: Box::new(|_| {}),
        }
    }
}

/// The least time from one flush of the floors to the next: in memory, and where each is a record in Kafka.
const FLUSH_EVERY: Duration = Duration::from_millis(20);
const FLUSH_DURABLY_EVERY: Duration = Duration::from_millis(40);

/// How long the reader may take to commit and leave, the dead letters to be written, and the entries of the logs; and how long the
/// notifier to send what waits.
const READER_STOPS_WITHIN: Duration = Duration::from_secs(10);
const NOTIFIER_DRAINS_WITHIN: Duration = Duration::from_secs(10);
/// How long an operation may take until it is written down.
const OPERATED_WITHIN: Duration = Duration::from_secs(10);
/// How long the last of what was decided may take to be kept.
const KEPT_WITHIN: Duration = Duration::from_secs(5);
/// How long the last outcomes may take to be counted.
const COUNTED_WITHIN: Duration = Duration::from_secs(1);

/// The longest that stopping takes, each step at its deadline: whoever ends the service by force waits for longer.
pub const STOPS_WITHIN: Duration = Duration::from_secs(
    3 * READER_STOPS_WITHIN.as_secs()
        + NOTIFIER_DRAINS_WITHIN.as_secs()
        + KEPT_WITHIN.as_secs()
        + COUNTED_WITHIN.as_secs()
        + http::GRACE.as_secs(),
);

/// Runs until `shutdown` is done, then drains: stops consuming, applies and commits what was read, sends what waits.
pub async fn run(
    config: Config,
    set: MatrixSet,
    manner: Manner,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Failure> {
    // The port first: that it is taken is found before anything else is begun.
    let listener = http::bind(&config.http.listen).await.map_err(|error| {
        if error.is_users() { Failure::User(error.to_string()) } else { Failure::Run(error.to_string()) }
    })?;
    let address = listener.local_addr().map_err(|error| Failure::Run(format!("cannot listen: {error}")))?;

    let evaluator = Arc::new(std::sync::Mutex::new(Evaluator::new(set.plan.clone(), set.matrices.clone())));
    let source: SharedSource = evaluator.clone();
    let telemetry = Telemetry::new(source.clone()).map_err(|error| Failure::Run(format!("metrics: {error}")))?;
    telemetry.emit(events::Reloaded { wall: clock::now(), outcome: Ok(&set.hash) });
    let readiness = SharedReadiness::starting(telemetry.clone());

    let settings = Settings { smtp: config.smtp.clone(), webhooks: config.webhooks.clone(), ..Settings::default() };
    let notifier = Notifier::new(settings).map_err(|error| Failure::User(error.to_string()))?;
    let tickets = Tickets::new(config.http.secret.as_ref(), config.http.public_url.clone());
    let tickets = Arc::new(tickets.map_err(|error| Failure::Run(error.to_string()))?);
    let speech = Arc::new(Speech {
        plan: set.plan.clone(),
        domain: config.smtp.as_ref().map_or("atalaya.localhost", |smtp| notice::domain_of(&smtp.from)).to_owned(),
        board: config.http.public_url.clone(),
        formats: config.formats(),
        stand_ins: Default::default(),
        tickets: tickets.clone(),
        decides_since: Default::default(),
        decides: Default::default(),
        ran_before: Default::default(),
        remembers: manner.new.into(),
    });
    let (turn, settle) = turn::Turn::new();
    let (stop_counting, counting) = tokio::sync::oneshot::channel();
    let outcomes = tokio::spawn(outcomes::follow(
        notifier.clone(),
        telemetry.clone(),
        readiness.clone(),
        speech.clone(),
        config.owner.clone(),
        settle,
        counting,
    ));

    let trail = Arc::new(http::Trail::default());
    let (reload, asks) = reload::asking();
    let reload = (!manner.matrices.is_empty()).then_some(reload);
    let reloading = reload.is_some().then(|| {
        let reloader = reload::Reloader {
            paths: manner.matrices,
            origin: manner.origin,
            config: config.clone(),
            evaluator: evaluator.clone(),
            telemetry: telemetry.clone(),
            readiness: readiness.clone(),
            notifier: notifier.clone(),
            speech: speech.clone(),
            trail: trail.clone(),
            judged: set.hash.clone(),
            outcome: Ok(set.hash.clone()),
            set: set.clone(),
        };
        tokio::spawn(reload::follow(reloader, asks))
    });

    let problems = Problems::default();
    let letters = Arc::new(
        DeadLetters::start(&config.kafka, problems.clone()).map_err(|error| Failure::User(error.to_string()))?,
    );
    let topics: Vec<String> = config.sources.iter().map(|source| source.topic.clone()).collect();
    let (tell, heard) = logs::ways(config.kafka.threads);
    let claims = logs::Claims::default();
    let stop_reading = Arc::new(AtomicBool::new(false));
    let broken = |error: crate::kafka::KafkaFailure| Failure::User(error.to_string());
    let (journal, log, floors, kept) = match manner.new {
        true => {
            let (journal, entries) = std::sync::mpsc::channel();
            let floors = logs::Floors::Memory(Default::default(), tell.clone());
            (logs::Journal::Memory(journal), logs::Origin::Memory(entries, stop_reading.clone()), floors, None)
        }
        false => {
            let settings = names::settings(&config, &set.plan);
            let (store, running) =
                store::Store::start(&config.kafka, topics.clone(), settings, tell.clone(), problems.clone())
                    .map_err(broken)?;
            let appender = Appender::start(&config.kafka, problems.clone()).map_err(broken)?;
            let log = logs::Origin::Kafka(Box::new(logs::Kafka {
                kafka: config.kafka.clone(),
                problems: problems.clone(),
                store: store.clone(),
                stop: stop_reading.clone(),
            }));
            let journal = logs::Journal::Kafka(appender.clone(), store.clone());
            (journal, log, logs::Floors::Kafka(store.clone()), Some((store, running, appender)))
        }
    };
    let flush_every = if kept.is_some() { FLUSH_DURABLY_EVERY } else { FLUSH_EVERY };
    let reader = |heard| {
        let port = logs::Port { journal: journal.clone(), floors: floors.clone(), claims: claims.clone(), heard };
        read::Reader::new(&config, set.plan.clone(), letters.clone(), telemetry.clone(), port, flush_every)
    };
    let mut readers: Vec<_> = heard.into_iter().map(reader).collect();
    let reader: Box<dyn Handler> = match readers.pop() {
        Some(reader) if readers.is_empty() => Box::new(reader),
        last => {
            readers.extend(last);
            let spread = spread::Spread::new(readers, letters.clone());
            Box::new(spread.map_err(|error| Failure::Run(format!("the floors' threads: {error}")))?)
        }
    };
    let named = kept.as_ref().map(|(store, ..)| store.clone());
    let group = named.map(|store| Arc::new(move || store.reads_as()) as GroupName);
    let options = Options { start: manner.start, group, ..Options::default() };
    let consumer = Consumer::start(&config.kafka, &topics, options, problems, reader)
        .map_err(|error| Failure::User(error.to_string()))?;

    let pulse = Arc::new(systemd::Pulse::default());
    let outbox = notifier.clone();
    let (draining, waiters) = (Arc::new(AtomicBool::new(false)), turn::Waiters::default());
    let setup = evaluate::Setup {
        evaluator: evaluator.clone(),
        pulse: pulse.clone(),
        store: kept.as_ref().map(|(store, ..)| store.clone()),
        journal: journal.clone(),
        waiters: waiters.clone(),
        draining: draining.clone(),
        trail: trail.clone(),
        claims,
        tell,
        watch: consumer.watch(),
        letters: letters.clone(),
        notifier: notifier.clone(),
        telemetry: telemetry.clone(),
        readiness: readiness.clone(),
        speech,
        sources: config.sources.iter().map(|source| expected(source, &config, &set)).collect(),
        runtime: tokio::runtime::Handle::current(),
    };
    let (evaluation, mut ended) = evaluate::start(setup, log, turn)?;

    let (plan, runtime) = (set.plan.clone(), tokio::runtime::Handle::current());
    let formats = config.formats();
    let acknowledged: http::Acknowledged = Arc::new(move |case| {
        let _entered = runtime.enter();
        notice::render_acknowledged(case, &formats).into_iter().for_each(|message| outbox.enqueue(message));
    });
    let noted = journal.clone();
    trail.write_to(Box::new(move |line| noted.append(logs::Entry::Operation(logs::Noted::Line(line)))));
    let operate: http::Operate = Arc::new(move |operation, link_of, at| {
        let noted = logs::Noted::Asked { id: read::draw(), at: at.0, operation, link_of };
        waiters.ask(&journal, noted, OPERATED_WITHIN)
    });
    let site = Site {
        source,
        telemetry,
        readiness: readiness.clone(),
        language: config.language,
        tickets,
        render_action: Some(Arc::new(move |case| notice::action_of_case(case, &plan))),
        mailbox: manner.mailbox,
        acknowledged: Some(acknowledged),
        operate: Some(operate),
        trail,
        reload,
        clock: clock::now,
    };
    let (stop_http, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(http::serve(listener, site, async {
        // A dropped sender is a stop too.
        let _ = stopped.await;
    }));
    (manner.serving)(address);
    let systemd = systemd::Systemd::serving(manner.notify_socket, readiness.clone(), pulse);
    tracing::info!(%address, matrices = set.matrices.len(), "serving");

    let failed = tokio::select! {
        () = shutdown => None,
        // The evaluator ends by itself only when the reader cannot go on.
        why = &mut ended => why.ok().flatten(),
    };
    readiness.set_reason("stop", Some("the service is stopping"));
    systemd.stopping();
    reloading.inspect(|reloading| reloading.abort());
    tracing::info!("stopping: the sources are left, what was read is applied and committed");
    let stopping = tokio::task::spawn_blocking(move || {
        let stopped = consumer.stop(READER_STOPS_WITHIN);
        (stopped, letters.flush(READER_STOPS_WITHIN))
    });
    let (stopped, flushed) = stopping.await.map_err(|error| Failure::Run(format!("the shutdown failed: {error}")))?;
    // What is under way is finished, and what became of it is written down; the rest is sent by whoever decides next.
    draining.store(true, Ordering::Release);
    let left = notifier.drain(NOTIFIER_DRAINS_WITHIN).await;
    let _ = stop_counting.send(());
    let _ = tokio::time::timeout(COUNTED_WITHIN, outcomes).await;
    let ending = tokio::task::spawn_blocking(move || {
        stop_reading.store(true, Ordering::Release);
        let evaluated = evaluation.join().is_ok();
        if let Some((store, running, appender)) = kept {
            if let Err(left) = appender.flush(READER_STOPS_WITHIN) {
                tracing::warn!(
                    left,
                    "entries of the logs are not confirmed; what is not in them is made again by whoever is next"
                );
            }
            if !store.settle(KEPT_WITHIN) {
                tracing::warn!("what the logs came to is not kept; the next start reads more of them");
            }
            drop(running);
        }
        evaluated
    });
    let evaluated = ending.await.map_err(|error| Failure::Run(format!("the shutdown failed: {error}")))?;
    let _ = stop_http.send(());
    match server.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the server ended badly"),
        Err(error) => tracing::warn!(%error, "the server ended badly"),
    }
    if left > 0 {
        tracing::warn!(left, "notices are left unsent; the next start sends them");
    }
    for error in [stopped.err(), flushed.err()].into_iter().flatten() {
        tracing::warn!(%error, "stopping");
    }
    match failed {
        Some(why) => Err(Failure::Run(why)),
        None if !evaluated => {
            Err(Failure::Run("the evaluation ended by a defect of the program; see the log".to_owned()))
        }
        None => Ok(()),
    }
}

fn expected(source: &Source, config: &Config, set: &MatrixSet) -> feeds::Expected {
    let hours = Calendar { zone: set.plan.zone.clone(), shifts: source.hours.clone(), ..Calendar::always() };
    let (max_lag, silent_after) = (config.max_lag, source.silent_after);
    feeds::Expected { source: source.topic.as_str().into(), max_lag, silent_after, hours }
}

/// What notices need besides themselves.
struct Speech {
    plan: Arc<crate::plan::Plan>,
    domain: String,
    board: Option<String>,
    formats: notice::hooks::Formats,
    stand_ins: stand_ins::StandIns,
    tickets: Arc<Tickets>,
    /// The first second that was evaluated since the start; 0 before.
    decides_since: AtomicI64,
    /// It is this instance's turn to decide.
    decides: AtomicBool,
    /// The group has read the sources before: an earlier run may have told what this one finds.
    ran_before: AtomicBool,
    /// Nothing was told before this start whatever the group says, or what was is known: nothing can be told again.
    remembers: AtomicBool,
}

impl Speech {
    /// Where what was decided before is not known, what was outside `ok` already when deciding began may have been told before,
    /// and says so.
    fn context(&self, notification: &Notification) -> notice::Context<'_> {
        let began = Timestamp(self.decides_since.load(Ordering::Relaxed));
        let is = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        let before = is(&self.ran_before) && !is(&self.remembers);
        let found_open = |notice: &Notification| {
            let transition = &notice.transition;
            let range = transition.matrix.rows.get(transition.row).zip(transition.range);
            let hold = range.and_then(|(row, range)| row.ranges.get(range)).map_or(Millis::ZERO, |range| range.hold);
            notice.since - hold <= began + Millis::SECOND
        };
        let restarted = before && notification.each().iter().any(found_open);
        notice::Context { restarted, ..self.words() }
    }

    fn words(&self) -> notice::Context<'_> {
        let board = self.board.as_deref();
        let acknowledging: Option<&dyn notice::Acknowledging> = Some(&*self.tickets);
        notice::Context {
            board,
            acknowledging,
            formats: &self.formats,
            ..notice::Context::new(&self.plan, &self.domain)
        }
    }
}
