//! The evaluator's side: flushes -> board, a tick each second, what it decides -> the notifier.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Speech;
use super::feeds::{Expected, Standing};
use super::keep::Keeper;
use super::read::{Share, Upto};
use super::systemd::Pulse;
use crate::clock;
use crate::commands::Failure;
use crate::domain::{Millis, Timestamp};
use crate::http::{SharedReadiness, Trail};
use crate::indicators::Topics;
use crate::journal::memory::{MemoryDecisions, MemoryReader};
use crate::journal::{Batch, Decision, Decisions, DeltaReader, Found, SourcePartition};
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
    /// Beats with each turn of the loop.
    pub pulse: Arc<Pulse>,
    /// Of what was decided; `None` where nothing outlives the process.
    pub keeper: Option<Arc<Keeper>>,
    pub trail: Arc<Trail>,
    pub journal: MemoryReader<Share>,
    pub decisions: MemoryDecisions<Tick>,
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
pub fn start(setup: Setup) -> Result<(JoinHandle<()>, tokio::sync::oneshot::Receiver<Option<String>>), Failure> {
    let (tell, ended) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("evaluator".into())
        .spawn(move || {
            let started = clock::now();
            let letters = LetterCounters::default();
            let rounds = Rounds::default();
            let knows = setup.keeper.is_none();
            let (places, ticked, last) = (BTreeMap::new(), Timestamp::MIN, Timestamp::MIN);
            let why = Loop {
                setup,
                started,
                letters,
                places,
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

/// How far a source partition has come, by its last batch.
struct Place {
    /// Tells its floor apart on the board.
    number: u32,
    wall: Timestamp,
    upto: Upto,
    heard: Timestamp,
    carries: Topics,
    /// The offset before which all is on the board.
    to: i64,
}

struct Loop {
    setup: Setup,
    started: Timestamp,
    /// What has been told of the refused records.
    letters: LetterCounters,
    places: BTreeMap<SourcePartition, Place>,
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
            self.setup.pulse.beat();
            match self.setup.journal.next(Duration::from_millis(250)) {
                Ok(Some(Found::Batch(_, batch))) => self.apply(batch),
                Ok(Some(Found::Claim { .. } | Found::Kept { .. }) | None) => {}
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

    fn apply(&mut self, batch: Batch<Share>) {
        let Share { batch: contributions, wall, upto, heard, carries } = batch.payload;
        let next = self.places.len() as u32;
        let number = self.places.get(&batch.place).map_or(next, |place| place.number);
        self.places.insert(batch.place, Place { number, wall, upto, heard, carries, to: batch.to });
        let instant = self.instant();
        let mut evaluator = self.setup.evaluator.lock().unwrap_or_else(PoisonError::into_inner);
        evaluator.apply(number, &contributions);
        if let Some(instant) = instant {
            evaluator.advance(instant);
        }
    }

    /// The instant that all floors have come to; `None` while one has not begun. While it catches up the numbers move
    /// with what has been read; after that with the clock.
    fn instant(&self) -> Option<Timestamp> {
        let upto = |place: &Place| match place.upto {
            Upto::Record(time) if !self.ready => time,
            _ => Some(place.wall),
        };
        self.attended().map(upto).min().flatten()
    }

    fn attended(&self) -> impl Iterator<Item = &Place> {
        self.places.values().filter(|place| place.upto != Upto::Left)
    }

    /// Goes on from what was decided before the process began. Nothing is decided before that.
    fn take_up(&mut self) {
        let Some(found) = self.setup.keeper.as_ref().filter(|_| !self.knows).and_then(|keeper| keeper.found()) else {
            return;
        };
        self.knows = true;
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
        let (Some(keeper), now) = (&self.setup.keeper, clock::now()) else { return };
        // What was decided is kept at once; of thousands of cases that is much, and may take its time.
        self.unkept |= decided;
        let due = if self.unkept { self.keep_due.1 } else { self.keep_due.0 };
        if now >= due {
            self.unkept = false;
            let bytes = keeper.keep(&self.setup.evaluator, &self.setup.notifier, &self.setup.trail);
            let after = |a_millisecond: i64| Millis(bytes as i64 / a_millisecond);
            self.keep_due = (
                now + after(KEPT_A_MILLISECOND).clamp(KEPT_EVERY.0, KEPT_EVERY.1),
                now + after(10 * KEPT_A_MILLISECOND),
            );
        }
    }

    fn become_ready(&mut self) {
        if self.ready || !self.knows {
            return;
        }
        if self.caught_up.is_none() {
            let status = self.setup.watch.status();
            if self.unread(&status).is_empty() {
                let read = status.partitions.iter().map(|partition| {
                    let TopicPartition { source, partition: number } = partition.tp;
                    (SourcePartition { source, partition: number }, partition.position)
                });
                self.caught_up = Some((clock::now(), read.collect()));
            }
        }
        // What had been read by then is in batches made after it, whichever thread makes them.
        if let Some((seen, read)) = &self.caught_up {
            let shown = |(at, position): &(SourcePartition, i64)| {
                self.places.get(at).is_some_and(|place| place.upto == Upto::Left || place.to >= *position)
            };
            let current = |place: &Place| place.wall > *seen && place.upto != Upto::Record(None);
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
        // The group's first answer to a member that joins is often no partition at all; the real one follows.
        for (source, _) in status.seen.iter().enumerate().filter(|(_, seen)| early && **seen) {
            if !status.partitions.iter().any(|partition| partition.tp.source == source) {
                let topic = status.topics.get(source).map_or("?", String::as_str);
                reasons.push(format!("no partition of topic `{topic}` has been given out yet"));
            }
        }
        if nothing && reasons.is_empty() {
            reasons.push("the topics of the sources are being looked for".to_owned());
        }
        reasons
    }

    /// How each source stands. What the board shows counts, not what has been read: batches may still wait in the journal.
    fn feeds(&self, status: &Status) -> Feeds {
        let now = clock::now();
        let feeds = self.setup.sources.iter().enumerate().map(|(index, source)| {
            let feed = source.feed(&self.standing(index, status), now);
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

    fn standing(&self, source: usize, status: &Status) -> Standing {
        let places = || self.places.iter().filter(|(place, _)| place.source == source).map(|(_, place)| place);
        let partitions = || status.partitions.iter().filter(|partition| partition.tp.source == source);
        let read = partitions().map(|partition| partition.caught_up.unwrap_or(self.started));
        // Read to its end and shown as far: the time of its last record says nothing of a lag.
        let is_whole = |at: &SourcePartition, place: &Place| {
            let here = partitions().find(|partition| partition.tp.partition == at.partition);
            here.is_some_and(|partition| partition.caught_up.is_some() && place.to >= partition.position)
        };
        let of_source = self.places.iter().filter(|(at, place)| at.source == source && place.upto != Upto::Left);
        let attended = of_source.map(|(at, place)| match place.upto {
            Upto::Record(time) if !is_whole(at, place) => time.unwrap_or(self.started).min(place.wall),
            _ => place.wall,
        });
        // Of partitions that were taken away, what they showed last.
        let left = places().map(|place| place.wall).max();
        Standing {
            carries: places().fold(Topics::default(), |carries, place| carries.and(place.carries)),
            shown: read.chain(attended).min().or(left),
            heard: places().map(|place| place.heard).max().unwrap_or(self.started),
        }
    }

    /// Whether anything was decided.
    fn tick(&mut self) -> bool {
        let begun = clock::instant();
        let feeds = self.feeds(&self.setup.watch.status());
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
        // Decided is what is recorded; acted on is what is recorded for good.
        let decision = Decision { tick: watermark, deltas: self.setup.journal.position(), payload: tick };
        if let Err(error) = self.setup.decisions.record(decision) {
            tracing::error!(%error, "a decision was not recorded");
        }
        let mut decided = false;
        while let Ok(Some((_, decision))) = self.setup.decisions.accepted() {
            decided |= !decision.payload.transitions.is_empty() || !decision.payload.notifications.is_empty();
            self.act(&decision.payload);
        }
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
        let left = self.places.values().filter(|place| place.upto == Upto::Left).count();
        let shared = format!(
            "{left} partitions are another instance's now: their figures stand still here; this version is meant to run alone"
        );
        readiness.set_degraded("group", (left > 0).then_some(shared.as_str()));
        let dropped: u64 = self.setup.journal.dropped().iter().map(|(_, count)| count).sum();
        let torn =
            format!("{dropped} batches did not go on where the journal stood and were left out; restart to read anew");
        readiness.set_degraded("journal", (dropped > 0).then_some(torn.as_str()));
    }
}
