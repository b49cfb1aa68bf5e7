//! The evaluator's side: flushes -> board, a tick each second, what it decides -> the notifier.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Speech;
use super::feeds::{Expected, Standing};
use super::logs::{Came, Claims, Heard, Log, Origin, Tell};
use super::store::{DECIDED, Store};
use crate::clock;
use crate::commands::Failure;
use crate::domain::{Millis, Timestamp};
use crate::http::{SharedReadiness, Trail};
use crate::indicators::Topics;
use crate::instance::{History, Last, Replica, Share, What};
use crate::journal::{Delta, Position, SourcePartition};
use crate::kafka::consumer::Watch;
use crate::kafka::dead_letters::LetterCounters;
use crate::kafka::status::{Ended, Status};
use crate::kafka::{DeadLetters, TopicPartition};
use crate::matrix::engine::{FeedState, Feeds, Tick};
use crate::notice::hooks::Format;
use crate::notify::Notifier;
use crate::notify::alertmanager::Rounds;
use crate::pipeline::Evaluator;
use crate::telemetry::Telemetry;
use crate::telemetry::events::{Evaluated, EvaluatorRole, OutboxDepth, PartitionProgress};

pub struct Setup {
    pub evaluator: Arc<Mutex<Evaluator>>,
    /// `None` where nothing outlives the process.
    pub store: Option<Store>,
    /// What was decided before has been taken up, there may have been nothing: from now on it may be overwritten.
    pub knows: Arc<AtomicBool>,
    pub trail: Arc<Trail>,
    pub claims: Claims,
    pub tell: Tell,
    pub watch: Watch,
    pub letters: Arc<DeadLetters>,
    pub notifier: Notifier,
    pub telemetry: Arc<Telemetry>,
    pub readiness: SharedReadiness,
    pub speech: Arc<Speech>,
    pub sources: Vec<Expected>,
    pub runtime: tokio::runtime::Handle,
}

/// Starts the thread. The receiver hears why it ended by itself: the reader's failure.
pub fn start(setup: Setup, origin: Origin) -> Result<(JoinHandle<()>, tokio::sync::oneshot::Receiver<Option<String>>), Failure> {
    let (tell, ended) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("evaluator".into())
        .spawn(move || {
            let started = clock::now();
            let letters = LetterCounters::default();
            let rounds = Rounds::default();
            let knows = setup.store.is_none();
            let (ticked, last) = (Timestamp::MIN, Timestamp::MIN);
            let why = Loop {
                setup,
                log: Log::of(origin),
                started,
                letters,
                replica: Replica::default(),
                counts: Vec::new(),
                begun: false,
                published: false,
                kept: started,
                ticked,
                last,
                caught_up: None,
                ready: false,
                knows,
                keep_due: (started, started),
                unkept: false,
                rounds,
            }
            .run();
            // The service may be stopping by itself.
            let _ = tell.send(why);
        })
        .map_err(|error| Failure::Run(format!("the evaluator's thread could not be started: {error}")))?;
    Ok((thread, ended))
}

/// A topic that does not exist holds the start up for this long: it may be in the making. After that the others are
/// worked with, and its absence only degrades the service.
const TOPICS_WITHIN: Millis = Millis(15_000);

/// Nothing new having been decided, it is kept so often all the same, as timers run, notices are sent and people acknowledge:
/// the larger the more seldom, so that it is a hundred kilobytes a second at the most.
const KEPT_EVERY: (Millis, Millis) = (Millis(2_000), Millis(60_000));
const KEPT_A_MILLISECOND: i64 = 100;

/// The same of what the deltas log came to.
const REPLICA_EVERY: Millis = Millis(60_000);
const REPLICA_A_MILLISECOND: i64 = 1_000;

/// How long it may take to note that the logs are begun anew.
const ANEW_WITHIN: Duration = Duration::from_secs(5);

/// Keeps what is decided by now in the place of what was kept last; how many bytes that is. Returns at once.
pub fn keep(store: &Store, evaluator: &Mutex<Evaluator>, notifier: &Notifier, trail: &Trail) -> usize {
    let (pending, trail) = (notifier.pending(), trail.text());
    let state = evaluator.lock().unwrap_or_else(PoisonError::into_inner).put_down(&pending, &trail);
    let bytes = state.len();
    store.keep(DECIDED, state);
    bytes
}

fn place_of(tp: TopicPartition) -> SourcePartition {
    SourcePartition { source: tp.source, partition: tp.partition }
}

struct Loop {
    setup: Setup,
    log: Log,
    started: Timestamp,
    /// What has been told of the refused records.
    letters: LetterCounters,
    replica: Replica,
    /// The deltas log is being read.
    begun: bool,
    /// And has been read to its end once.
    published: bool,
    /// When the replica was kept last, or would have been.
    kept: Timestamp,
    /// How many partitions each source has; not known of those beyond the last.
    counts: Vec<i32>,
    /// The last second that was evaluated.
    ticked: Timestamp,
    /// The last second that was told of.
    last: Timestamp,
    /// When the reader was first seen at where the sources ended at the start, and how far it had read then.
    caught_up: Option<(Timestamp, Vec<(SourcePartition, i64)>)>,
    /// The boards show it.
    ready: bool,
    /// What was decided before has been taken up; there may have been nothing.
    knows: bool,
    /// When it is kept again: in any case, and if something is decided.
    keep_due: (Timestamp, Timestamp),
    /// Something was decided since.
    unkept: bool,
    rounds: Rounds,
}

impl Loop {
    fn run(mut self) -> Option<String> {
        let runtime = self.setup.runtime.clone();
        let _entered = runtime.enter();
        // One instance alone in this version: it evaluates.
        self.setup.telemetry.emit(EvaluatorRole { evaluates: true });
        loop {
            if let Err(why) = self.begin() {
                return Some(why);
            }
            match self.log.next(Duration::from_millis(250)) {
                Ok(Some(Came::Entry(position, entry))) => self.take(position, &entry),
                Ok(Some(Came::Passed(position))) => self.replica.passed(position),
                Ok(Some(Came::End(position))) => {
                    self.replica.passed(position);
                    self.publish();
                }
                Ok(Some(Came::Gone { wanted, low })) => {
                    let what = format!("begins at {} now, and what comes after {} was not read yet", low.0, wanted.0);
                    return Some(self.begin_anew(&what));
                }
                Ok(None) => {}
                Err(_closed) => return self.reader_failed(),
            }
            self.take_up();
            self.become_ready();
            // A second is evaluated as soon as the board has come to it.
            let shown = self.setup.evaluator.lock().unwrap_or_else(PoisonError::into_inner).now();
            let shown = shown.floor_to(Millis::SECOND);
            if shown > self.ticked {
                self.ticked = shown;
                if self.ready {
                    let decided = self.tick();
                    self.keep(decided);
                }
            }
            let second = clock::now().floor_to(Millis::SECOND);
            if second > self.last {
                self.last = second;
                self.keep_firing(second);
                let status = self.setup.watch.status();
                self.counts.clone_from(&status.partition_counts);
                self.keep_replica();
                if self.setup.claims.is_cut() {
                    return Some(self.begin_anew("is of floors of which neither of two snapshots can be read"));
                }
                self.tell(&status);
                if let Some(Ended::Failed(why)) = status.ended {
                    return Some(why);
                }
            }
        }
    }

    fn reader_failed(&self) -> Option<String> {
        match self.setup.watch.status().ended {
            Some(Ended::Stopped) => None,
            Some(Ended::Failed(why)) => Some(why),
            None => Some("the reader of the sources ended without a word; see the log".to_owned()),
        }
    }

    fn take(&mut self, position: Position, entry: &Delta<Share>) {
        let news = {
            let mut evaluator = self.setup.evaluator.lock().unwrap_or_else(PoisonError::into_inner);
            let news = self.replica.take(position, entry, evaluator.board());
            if let Some(instant) = self.instant() {
                evaluator.advance(instant);
            }
            news
        };
        let Some(news) = news else { return };
        if let What::Claimed(_) = news.what
            && self.published
        {
            self.publish();
        }
        self.setup.tell.tell(Heard::News(news));
    }

    /// Goes on from what was kept of the deltas log, once that is known. The error ends the service.
    fn begin(&mut self) -> Result<(), String> {
        if self.begun {
            return Ok(());
        }
        let from = match &self.setup.store {
            None => {
                self.publish();
                None
            }
            Some(store) => {
                let Some(found) = store.found(&store.replica()) else { return Ok(()) };
                let restored = found.map(|bytes| Replica::restore(self.setup.speech.plan.clone(), &bytes));
                match restored.transpose() {
                    Ok(None) => None,
                    Ok(Some((replica, board))) => {
                        self.replica = replica;
                        self.setup.evaluator.lock().unwrap_or_else(PoisonError::into_inner).put_board(board);
                        Some(self.replica.position())
                    }
                    Err(error) => {
                        tracing::warn!(%error, "what was kept of the deltas log cannot be taken up: it is read from its beginning");
                        None
                    }
                }
            }
        };
        self.begun = true;
        self.log.open(from).map_err(|error| error.to_string())
    }

    /// The deltas log is known to its end: what it says of claims holds.
    fn publish(&mut self) {
        self.published = true;
        let claim = |(place, _)| Some((place, self.replica.owner(place)?.claim));
        self.setup.claims.set(self.replica.histories().filter_map(claim).collect());
    }

    /// The floors cannot be made of what there is. The next start makes them of the sources alone.
    fn begin_anew(&self, what: &str) -> String {
        if let Some(store) = &self.setup.store {
            store.begin_anew();
            store.settle(ANEW_WITHIN);
        }
        format!(
            "The floors cannot be made of what is kept in Kafka: the log of `kafka.deltas` {what}. Start the service again: it \
             reads its sources a day and an hour back and begins anew. If the topic was deleted, leave it alone from now on; if its \
             `retention.ms` is less than 2 days, raise it."
        )
    }

    /// The instant that all floors have come to; `None` while one has not begun. While it catches up the numbers move
    /// with what has been read; after that with the clock.
    fn instant(&self) -> Option<Timestamp> {
        let upto = |(_, history): (SourcePartition, &History)| match history.last {
            Some(Last { live: false, stream_time, .. }) if !self.ready => stream_time,
            last => last.map(|last| last.wall),
        };
        self.attended().map(upto).min().flatten()
    }

    /// The partitions that there are and that somebody has claimed.
    fn attended(&self) -> impl Iterator<Item = (SourcePartition, &History)> {
        let counts = &self.counts;
        let exists = |place: &SourcePartition| counts.get(place.source).is_none_or(|count| place.partition < *count);
        self.replica.histories().filter(move |(place, _)| exists(place))
    }

    /// Goes on from what was decided before the process began. Nothing is decided before that.
    fn take_up(&mut self) {
        let store = self.setup.store.as_ref().filter(|_| !self.knows);
        let Some(found) = store.and_then(|store| store.found(DECIDED)) else { return };
        self.knows = true;
        self.setup.knows.store(true, Ordering::Release);
        let Some(bytes) = found else { return };
        let taken = self.setup.evaluator.lock().unwrap_or_else(PoisonError::into_inner).take_up(&bytes);
        match taken {
            Ok((pending, trail)) => {
                if let Err(error) = self.setup.trail.take_up(&trail) {
                    tracing::error!(%error, "the trail of operations cannot be taken up");
                }
                let speech = &self.setup.speech;
                speech.remembers.store(true, Ordering::Relaxed);
                tracing::info!(unsent = pending.len(), "goes on from what was decided before");
                for one in pending {
                    self.enqueue(crate::notice::render_pending(&one, &speech.context(&one.notice)));
                }
            }
            Err(error) => tracing::error!(%error, "what was decided before cannot be taken up"),
        }
    }

    /// Keeps what was decided: when there is more of it, and every few seconds.
    fn keep(&mut self, decided: bool) {
        let (Some(store), now) = (&self.setup.store, clock::now()) else { return };
        // What was decided is kept at once; of thousands of cases that is much, and may take its time.
        self.unkept |= decided;
        let due = if self.unkept { self.keep_due.1 } else { self.keep_due.0 };
        if now >= due {
            self.unkept = false;
            let bytes = keep(store, &self.setup.evaluator, &self.setup.notifier, &self.setup.trail);
            let after = |a_millisecond: i64| Millis(bytes as i64 / a_millisecond);
            self.keep_due = (
                now + after(KEPT_A_MILLISECOND).clamp(KEPT_EVERY.0, KEPT_EVERY.1),
                now + after(10 * KEPT_A_MILLISECOND),
            );
        }
    }

    /// Keeps what the deltas log came to, every minute; the larger the more seldom, so that it is a megabyte a second at the
    /// most.
    fn keep_replica(&mut self) {
        let (Some(store), now) = (&self.setup.store, clock::now()) else { return };
        if self.published && now >= self.kept {
            let mut evaluator = self.setup.evaluator.lock().unwrap_or_else(PoisonError::into_inner);
            let bytes = self.replica.snapshot(evaluator.board());
            drop(evaluator);
            self.kept = now + Millis((bytes.len() as i64 / REPLICA_A_MILLISECOND).max(REPLICA_EVERY.0));
            store.keep(&store.replica(), bytes);
        }
    }

    fn become_ready(&mut self) {
        if self.ready || !self.knows {
            return;
        }
        if self.caught_up.is_none() {
            let status = self.setup.watch.status();
            if self.unread(&status).is_empty() {
                let read = status.partitions.iter().map(|partition| (place_of(partition.tp), partition.position));
                self.caught_up = Some((clock::now(), read.collect()));
            }
        }
        // What had been read by then is in batches made after it, whichever thread makes them.
        if let Some((seen, read)) = &self.caught_up {
            let shown = |(at, position): &(SourcePartition, i64)| {
                let history = self.replica.history(*at);
                history.is_some_and(|history| history.last.is_some_and(|last| last.to - history.shift() >= *position))
            };
            let current = |(_, history): (SourcePartition, &History)| {
                history.last.is_some_and(|last| last.wall > *seen && (last.live || last.stream_time.is_some()))
            };
            self.ready = read.iter().all(shown) && self.attended().all(current);
        }
    }

    /// Why it has not caught up with the sources that there are.
    fn unread(&self, status: &Status) -> Vec<String> {
        let mut reasons = status.unread();
        let nothing = !status.seen.contains(&true);
        let early = clock::now() - self.started < TOPICS_WITHIN;
        if nothing || early {
            reasons.extend(status.never_seen());
        }
        for (source, (topic, count)) in status.topics.iter().zip(&status.partition_counts).enumerate() {
            let is_read = |partition: &i32| {
                let history = self.replica.history(SourcePartition { source, partition: *partition });
                history.is_some_and(|history| history.last.is_some())
            };
            let unread = (0..*count).filter(|partition| !is_read(partition)).count();
            if unread > 0 {
                reasons.push(format!("{unread} of {count} partitions of topic `{topic}` are not read by any instance yet"));
            }
        }
        if nothing && reasons.is_empty() {
            reasons.push("the topics of the sources are being looked for".to_owned());
        }
        reasons
    }

    /// How each source stands. What the board shows counts, not what has been read: batches may still wait in the journal.
    fn feeds(&self) -> Feeds {
        let now = clock::now();
        let feeds = self.setup.sources.iter().enumerate().map(|(index, source)| {
            let feed = source.feed(&self.standing(index), now);
            let topic = &feed.source;
            let (lags, silent) = match feed.state {
                FeedState::Live => (None, None),
                FeedState::Lagging { since } => (
                    Some(format!("topic `{topic}` is read up to {since} only: what depends on it is not judged")),
                    None,
                ),
                FeedState::Silent { since } => (
                    None,
                    Some(format!("topic `{topic}` has been silent since {since}: what depends on it is not judged")),
                ),
            };
            self.setup.readiness.set_degraded(&format!("lag {topic}"), lags.as_deref());
            self.setup.readiness.set_degraded(&format!("silent {topic}"), silent.as_deref());
            feed
        });
        Feeds(feeds.collect())
    }

    fn standing(&self, source: usize) -> Standing {
        let lasts = || {
            let of_source = self.attended().filter(move |(place, _)| place.source == source);
            of_source.map(|(_, history)| history.last)
        };
        let carries = lasts().flatten().map(|last| Topics { interactions: last.interactions, agents: last.agents });
        Standing {
            carries: carries.fold(Topics::default(), Topics::and),
            shown: lasts().map(|last| last.and_then(|last| last.caught_up).unwrap_or(self.started)).min(),
            heard: lasts().filter_map(|last| last?.heard).max().unwrap_or(self.started),
        }
    }

    /// Whether anything was decided.
    fn tick(&mut self) -> bool {
        let begun = clock::instant();
        let feeds = self.feeds();
        let (tick, watermark) = {
            let mut evaluator = self.setup.evaluator.lock().unwrap_or_else(PoisonError::into_inner);
            (evaluator.tick_with(&feeds), evaluator.now())
        };
        let first = &self.setup.speech.decides_since;
        if first.load(Ordering::Relaxed) == 0 {
            first.store(watermark.0, Ordering::Relaxed);
            let before = self.setup.watch.status().partitions.iter().any(|partition| partition.read_before);
            self.setup.speech.ran_before.store(before, Ordering::Relaxed);
        }
        let decided = !tick.transitions.is_empty() || !tick.notifications.is_empty();
        self.act(&tick);
        self.setup.telemetry.emit(Evaluated { wall: clock::now(), watermark, took: clock::instant() - begun });
        decided
    }

    fn act(&self, tick: &Tick) {
        for transition in &tick.transitions {
            let (from, to) = (transition.from.name(), transition.to.name());
            tracing::info!(
                matrix = %transition.matrix.name,
                indicator = transition.selector.indicator.name,
                queue = transition.key.queue.as_deref(),
                channel = transition.key.channel.as_deref(),
                from,
                to,
                value = transition.value,
                reason = transition.reason.name(),
                incident = %transition.incident,
                "level changed"
            );
        }
        let silences = match tick.notifications.iter().any(|notification| !notification.silenced.is_empty()) {
            true => self.setup.evaluator.lock().unwrap_or_else(PoisonError::into_inner).engine().silences(),
            false => Vec::new(),
        };
        for notification in &tick.notifications {
            let context = crate::notice::Context { silences: &silences, ..self.setup.speech.context(notification) };
            self.enqueue(crate::notice::render(notification, &context));
        }
    }

    fn enqueue(&self, message: crate::notice::Message) {
        let messages = crate::notice::with_acknowledgement(message, &self.setup.speech.formats);
        messages.into_iter().for_each(|message| self.setup.notifier.enqueue(message));
    }

    /// Alertmanagers hear of what is open again and again, also while nothing is decided: open is open until it is known
    /// to be over.
    fn keep_firing(&mut self, now: Timestamp) {
        let speech = &self.setup.speech;
        let is_alertmanager = |name: &Arc<str>| speech.formats.get(name) == Some(&Format::Alertmanager);
        if !speech.formats.keys().any(is_alertmanager) || !self.rounds.begin(now) {
            return;
        }
        let open = self.setup.evaluator.lock().unwrap_or_else(PoisonError::into_inner).open_cases();
        for (webhook, alerts) in speech.stand_ins.rounds(&open, &speech.words()) {
            self.setup.notifier.keep_firing(&webhook, alerts);
        }
    }

    /// Once a second: what the pages say of the service.
    fn tell(&mut self, status: &Status) {
        let Setup { readiness, telemetry, notifier, .. } = &self.setup;
        let reasons = self.unread(status);
        let waiting = if reasons.is_empty() && !self.knows {
            Some("what was decided before the start is being read".to_owned())
        } else if reasons.is_empty() && !self.ready {
            Some("the sources have been read, the numbers follow".to_owned())
        } else {
            (!self.ready).then(|| reasons.join("; "))
        };
        readiness.set_reason("start", waiting.as_deref());
        let problems = status.degraded();
        readiness.set_degraded("kafka", (!problems.is_empty()).then(|| problems.join("; ")).as_deref());
        let undelivered = notifier.health();
        readiness.set_degraded("notify", (!undelivered.is_empty()).then(|| undelivered.join("; ")).as_deref());
        telemetry.emit(OutboxDepth(notifier.depth()));
        let letters = self.setup.letters.counters();
        telemetry.emit(crate::telemetry::events::DeadLetters {
            written: letters.delivered.saturating_sub(self.letters.delivered),
            failed: letters.lost.saturating_sub(self.letters.lost),
        });
        self.letters = letters;
        for partition in &status.partitions {
            let source = status.topics.get(partition.tp.source).map_or("?", String::as_str);
            let lag = Some(partition.lag());
            telemetry.emit(PartitionProgress { source, partition: partition.tp.partition, lag, stream_time: None });
        }
    }
}
