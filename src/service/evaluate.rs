//! The evaluator's side: flushes -> board, a tick each second, what it decides -> the notifier.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Speech;
use super::logs::{Came, Claims, Entry, Heard, Journal, Log, Origin, Tell};
use super::names::DECIDED;
use super::store::Store;
use super::systemd::Pulse;
use super::turn::{Turn, Waiters};
use crate::clock;
use crate::commands::Failure;
use crate::domain::{Millis, Timestamp};
use crate::http::{SharedReadiness, Trail};
use crate::instance::{Expected, Replica, Share, What};
use crate::journal::rule::{Drop, Dropped};
use crate::journal::{Delta, Position, SourcePartition, record};
use crate::kafka::consumer::Watch;
use crate::kafka::dead_letters::LetterCounters;
use crate::kafka::status::{Ended, Status};
use crate::kafka::{DeadLetters, TopicPartition};
use crate::matrix::engine::{FeedState, Feeds};
use crate::notice::hooks::Format;
use crate::notify::Notifier;
use crate::notify::alertmanager::Rounds;
use crate::pipeline::Evaluator;
use crate::telemetry::Telemetry;
use crate::telemetry::events::{Evaluated, LogDropped, OutboxDepth, PartitionLeft, PartitionProgress};

pub struct Setup {
    pub evaluator: Arc<Mutex<Evaluator>>,
    /// Beats with each turn of the loop.
    pub pulse: Arc<Pulse>,
    /// `None` where nothing outlives the process.
    pub store: Option<Store>,
    pub journal: Journal,
    /// Who wait for what comes of operations.
    pub waiters: Waiters,
    /// Nothing more is given out to be sent.
    pub draining: Arc<AtomicBool>,
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
pub fn start(
    setup: Setup,
    origin: Origin,
    turn: Turn,
) -> Result<(JoinHandle<()>, tokio::sync::oneshot::Receiver<Option<String>>), Failure> {
    let (tell, ended) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("evaluator".into())
        .spawn(move || {
            let started = clock::now();
            let letters = LetterCounters::default();
            let rounds = Rounds::default();
            let (ticked, last) = (Timestamp::MIN, Timestamp::MIN);
            let why = Loop {
                setup,
                log: Log::of(origin),
                turn,
                started,
                letters,
                replica: Replica::default(),
                counts: Vec::new(),
                begun: false,
                read: BTreeSet::new(),
                kept: started,
                ticked,
                last,
                caught_up: None,
                ready: false,
                at_end: false,
                rounds,
                decided: false,
                short_of: Position::default(),
                lags: BTreeSet::new(),
                dropped: Default::default(),
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

/// What the logs came to is kept so often; the larger the more seldom, so that it is a megabyte a second at the most.
const REPLICA_EVERY: Millis = Millis(60_000);
const REPLICA_A_MILLISECOND: i64 = 1_000;

/// How long it may take to note that the logs are begun anew.
const ANEW_WITHIN: Duration = Duration::from_secs(5);

/// How long it waits for what comes next; the clock goes on meanwhile.
const WAIT: Duration = Duration::from_millis(50);

struct Loop {
    setup: Setup,
    log: Log,
    turn: Turn,
    started: Timestamp,
    /// What has been told of the refused records.
    letters: LetterCounters,
    replica: Replica,
    /// The deltas log is being read.
    begun: bool,
    /// Which logs have been read to their end once, and whether the decisions are at it.
    read: BTreeSet<record::Log>,
    at_end: bool,
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
    rounds: Rounds,
    /// The deltas log ended before this position, up to which the last decision had seen it: that was another log.
    short_of: Position,
    /// Somebody has been seen to decide.
    decided: bool,
    /// Of which partitions the lag was told last.
    lags: BTreeSet<TopicPartition>,
    /// What has been told of the entries of the logs that do not count.
    dropped: (Dropped, Dropped),
}

impl Loop {
    fn run(mut self) -> Option<String> {
        let runtime = self.setup.runtime.clone();
        let _entered = runtime.enter();
        loop {
            self.setup.pulse.beat();
            if let Err(why) = self.begin() {
                return Some(why);
            }
            match self.log.next(WAIT) {
                Ok(Some(came)) => {
                    if let Err(why) = self.come(came) {
                        return Some(why);
                    }
                }
                Ok(None) => {}
                Err(_closed) => {
                    self.turn.resign(&self.setup);
                    self.keep();
                    return None;
                }
            }
            self.become_ready();
            let at_end = self.at_end && self.log.sees();
            let shown = self.shown();
            let able = self.is_able(shown) && !self.setup.draining.load(Ordering::Acquire);
            self.turn.turn(able, at_end, &self.setup);
            // A second is evaluated as soon as the board has come to it.
            if shown > self.ticked && able && self.turn.may_decide() && !self.is_behind(shown) {
                self.ticked = shown;
                self.tick();
            }
            let second = clock::now().floor_to(Millis::SECOND);
            if second > self.last {
                self.last = second;
                self.turn.show(self.read.contains(&record::Log::Decisions), &self.setup);
                self.keep_firing(second);
                let status = self.setup.watch.status();
                self.counts.clone_from(&status.partition_counts);
                if clock::now() >= self.kept && self.turn.is_ours() {
                    self.keep();
                }
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

    /// The second that the board shows.
    fn shown(&self) -> Timestamp {
        self.setup.evaluator.lock().unwrap_or_else(PoisonError::into_inner).now().floor_to(Millis::SECOND)
    }

    /// Whether it knows all that the last decision knew.
    fn is_able(&self, shown: Timestamp) -> bool {
        self.ready && self.has_read_all() && (self.turn.is_ours() || !self.is_behind(shown))
    }

    /// Each log has been read to its end once.
    fn has_read_all(&self) -> bool {
        self.read.len() == record::Log::ALL.len()
    }

    /// Its board has not come beyond what the last decision saw. That may be another's, made while this one claimed.
    fn is_behind(&self, shown: Timestamp) -> bool {
        let seen = self.turn.seen().filter(|seen| *seen == self.short_of).unwrap_or(self.replica.position());
        self.turn.is_behind(shown, seen)
    }

    /// Something came out of the logs. The error ends the service.
    fn come(&mut self, came: Came) -> Result<(), String> {
        match came {
            Came::Entry(position, entry) => match entry {
                Entry::Delta(delta) => self.take(position, &delta),
                Entry::Decision(decision) => {
                    let live = self.read.contains(&record::Log::Decisions);
                    // In memory it always is.
                    self.at_end &= self.setup.store.is_none();
                    self.turn.decision(position, &decision, live, &self.setup);
                }
                Entry::Operation(noted) => self.turn.operation(position, noted, &self.setup),
            },
            Came::Passed { log, position, unreadable } => {
                if log == record::Log::Deltas {
                    self.replica.passed(position);
                }
                let (log, reason) = (log.name(), Drop::Unreadable.name());
                self.setup.telemetry.emit(LogDropped { log, reason, count: unreadable.into() });
            }
            Came::End(log, position) => {
                if log == record::Log::Deltas {
                    self.replica.passed(position);
                    // It was made anew since, and its positions with it.
                    if let Some(seen) = self.turn.seen().filter(|seen| position < *seen) {
                        self.short_of = seen;
                    }
                }
                self.at_end |= log == record::Log::Decisions;
                let first = self.read.insert(log);
                match log {
                    record::Log::Deltas if first => self.publish(),
                    record::Log::Decisions if first => self.turn.read(),
                    _ => {}
                }
            }
            Came::Gone { log: record::Log::Deltas, wanted, low } => {
                let what = format!("begins at {} now, and what comes after {} was not read yet", low.0, wanted.0);
                return Err(self.begin_anew(&what));
            }
            Came::Gone { log, wanted, low } => {
                tracing::error!(
                    log = log.name(),
                    wanted = wanted.0,
                    low = low.0,
                    "entries are gone before they were read: what was decided meanwhile is not known here, and may be decided again"
                );
                self.log.go_on(log);
            }
        }
        Ok(())
    }

    fn take(&mut self, position: Position, entry: &Delta<Share>) {
        let news = {
            let mut evaluator = self.setup.evaluator.lock().unwrap_or_else(PoisonError::into_inner);
            let news = self.replica.take(position, entry, evaluator.board());
            if let Some(instant) = self.replica.instant(&self.counts, self.ready) {
                evaluator.advance(instant);
            }
            news
        };
        let Some(news) = news else { return };
        if let What::Claimed(_) = news.what
            && self.read.contains(&record::Log::Deltas)
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
                // In memory there is nothing before.
                (self.read, self.at_end) = (record::Log::ALL.into(), true);
                self.publish();
                None
            }
            Some(store) => {
                let Some(found) = store.found(&store.replica()) else { return Ok(()) };
                let decided = store.found(DECIDED).flatten();
                if let Some(Err(error)) = decided.map(|bytes| self.turn.take_up(&bytes, &self.setup)) {
                    tracing::warn!(
                        error,
                        "what was kept of the decisions cannot be taken up: their log is read from its beginning"
                    );
                }
                let restored = found.map(|bytes| Replica::restore(self.setup.speech.plan.clone(), &bytes));
                match restored.transpose() {
                    Ok(None) => None,
                    Ok(Some((replica, board))) => {
                        let (keys, position) = (board.len(), replica.position().0);
                        tracing::info!(keys, position, "the board is taken up");
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
        let (decisions, operations) = self.turn.positions();
        let from =
            [(record::Log::Deltas, from), (record::Log::Decisions, decisions), (record::Log::Operations, operations)];
        self.log.open(&from).map_err(|error| error.to_string())
    }

    /// The deltas log is known to its end: what it says of claims holds.
    fn publish(&mut self) {
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

    /// Keeps what the logs came to.
    fn keep(&mut self) {
        let Some(store) = self.setup.store.as_ref().filter(|_| self.has_read_all()) else { return };
        let mut evaluator = self.setup.evaluator.lock().unwrap_or_else(PoisonError::into_inner);
        let replica = self.replica.snapshot(evaluator.board());
        drop(evaluator);
        let decided = self.turn.put_down(&self.setup);
        let bytes = (replica.len() + decided.len()) as i64;
        self.kept = clock::now() + Millis((bytes / REPLICA_A_MILLISECOND).max(REPLICA_EVERY.0));
        store.keep(&store.replica(), replica);
        store.keep(DECIDED, decided);
    }

    fn become_ready(&mut self) {
        if self.ready || !self.begun {
            return;
        }
        if self.caught_up.is_none() {
            let status = self.setup.watch.status();
            if self.unread(&status).is_empty() {
                let read = status.partitions.iter().map(|partition| (partition.tp.into(), partition.position));
                self.caught_up = Some((clock::now(), read.collect()));
            }
        }
        // What had been read by then is in batches made after it, whichever thread makes them.
        if let Some((seen, read)) = &self.caught_up {
            self.ready = self.replica.shows(read, *seen, &self.counts);
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
                reasons.push(format!(
                    "{unread} of {count} partitions of topic `{topic}` are not read by any instance yet"
                ));
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
            let feed = source.feed(&self.replica.standing(index, &self.counts, self.started), now);
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

    fn tick(&mut self) {
        let begun = clock::instant();
        let feeds = self.feeds();
        let (watermark, tick) = self.turn.tick(&feeds, self.replica.position(), &self.setup);
        let first = &self.setup.speech.decides_since;
        if first.load(Ordering::Relaxed) == 0 {
            first.store(watermark.0, Ordering::Relaxed);
            let before = self.setup.watch.status().partitions.iter().any(|partition| partition.read_before);
            self.setup.speech.ran_before.store(before, Ordering::Relaxed);
        }
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
        self.setup.telemetry.emit(Evaluated { wall: clock::now(), watermark, took: clock::instant() - begun });
    }

    /// Alertmanagers hear of what is open again and again, also while nothing is decided: open is open until it is known
    /// to be over.
    fn keep_firing(&mut self, now: Timestamp) {
        let speech = &self.setup.speech;
        let is_alertmanager = |name: &Arc<str>| speech.formats.get(name) == Some(&Format::Alertmanager);
        if !self.turn.is_ours() || !speech.formats.keys().any(is_alertmanager) || !self.rounds.begin(now) {
            return;
        }
        let open = self.setup.evaluator.lock().unwrap_or_else(PoisonError::into_inner).open_cases();
        for (webhook, alerts) in speech.stand_ins.rounds(&open, &speech.words()) {
            self.setup.notifier.keep_firing(&webhook, alerts);
        }
    }

    /// Once a second: what the pages say of the service.
    fn tell(&mut self, status: &Status) {
        self.decided |= self.turn.is_ours() || self.turn.other_decides();
        let Setup { readiness, telemetry, notifier, .. } = &self.setup;
        let reasons = self.unread(status);
        let waiting = if reasons.is_empty() && !self.has_read_all() {
            Some("what was decided before the start is being read".to_owned())
        } else if reasons.is_empty() && !self.ready {
            Some("the sources have been read, the numbers follow".to_owned())
        } else if self.ready && !self.decided {
            Some("nobody decides yet; one of the instances does within seconds".to_owned())
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
        let read: BTreeSet<_> = status.partitions.iter().map(|partition| partition.tp).collect();
        // One that was revoked between the look and the telling would keep its last lag for ever.
        for tp in self.lags.difference(&read) {
            let source = status.topics.get(tp.source).map_or("?", String::as_str);
            telemetry.emit(PartitionLeft { source, partition: tp.partition });
        }
        self.lags = read;
        for partition in &status.partitions {
            let source = status.topics.get(partition.tp.source).map_or("?", String::as_str);
            let lag = Some(partition.lag());
            telemetry.emit(PartitionProgress { source, partition: partition.tp.partition, lag, stream_time: None });
        }
        if !self.turn.is_ours() {
            self.feeds();
        }
        let blind =
            "what was decided cannot be read by this version: it decides nothing. Run one version on one set of logs";
        readiness.set_degraded("decisions", self.turn.is_blind().then_some(blind));
        let nobody = "no instance has decided anything for some seconds: nobody is alerted; see the log of each";
        readiness.set_degraded("evaluator", (self.ready && self.turn.nobody_decides()).then_some(nobody));
        for (log, dropped, told) in [
            ("deltas", self.replica.dropped(), &mut self.dropped.0),
            ("decisions", self.turn.dropped(), &mut self.dropped.1),
        ] {
            for (reason, count) in dropped.iter() {
                let count = count - told.get(reason);
                telemetry.emit(LogDropped { log, reason: reason.name(), count });
            }
            told.clone_from(dropped);
        }
    }
}
