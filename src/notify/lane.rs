//! The loop of one lane: take the next, try it, note what became of it, wait, try again. And the office over all lanes.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use lettre::message::Mailbox;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior};

use crate::matrix::engine::Notification;
use crate::notice::Message;

use super::book::{Book, Entry};
use super::counters::{Counted, Counters};
use super::health::Health;
use super::parcel::{self, Destination, Parcel};
use super::{Fate, Limit, Outcome, Timing, Undeliverable};

/// Why an attempt failed, as one paragraph: what, where, what to do. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub why: String,
    pub retry: Retry,
    pub at: At,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Not again: the same would come of it.
    Never,
    Later,
    /// Not before that (HTTP's `Retry-After`).
    After(Duration),
}

/// Whose failure it was: of a server that all share, or of this destination alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    Server,
    Destination,
}

pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// What carries a parcel to its destination: SMTP and HTTP, or a test's own.
pub trait Carrier: Send + Sync {
    /// One attempt. It ends within a bounded time.
    fn send<'a>(&'a self, parcel: &'a Parcel, late: bool) -> Sending<'a>;
    /// The server behind a parcel, as `/readyz` names it.
    fn server(&self, parcel: &Parcel) -> String;
}

const OPEN: u8 = 0;
/// Draining: waiting lanes try once more at once.
const HURRY: u8 = 1;
/// After the drain: lanes stop.
const CLOSED: u8 = 2;

/// How often it is looked for criticals that are overdue or were dropped.
const LOOK: Duration = Duration::from_secs(1);
/// Outcomes that wait to be read: as many as the outbox holds, which may all be tried before anybody reads.
const REPORTS: usize = 100_000;
/// How the outbox itself is named in [`Health`].
const OUTBOX: &str = "outbox";

/// What was dropped because the outbox was full. Told together: stand-ins for each would only fill it further.
#[derive(Debug, Default)]
struct Evicted {
    /// Since there was room.
    notices: u64,
    /// By matrix, which has its own owner, the first critical that nobody has been told of yet, and how many more.
    criticals: BTreeMap<Arc<str>, (Notification, u64)>,
    told: Option<Instant>,
}

pub struct Office {
    carrier: Arc<dyn Carrier>,
    from: Option<Mailbox>,
    timing: Timing,
    book: Mutex<Book>,
    phase: AtomicU8,
    /// A lane is empty, or rests.
    emptied: Notify,
    /// When the drain ends; `None` before it begins.
    drain_until: Mutex<Option<Instant>>,
    evicted: Mutex<Evicted>,
    /// Lanes whose next try would come after the drain.
    resting: AtomicUsize,
    outcomes: mpsc::UnboundedSender<Outcome>,
    undeliverable: mpsc::Sender<Undeliverable>,
    pub counters: Counters,
    pub health: Health,
}

impl Office {
    pub fn open(
        carrier: Arc<dyn Carrier>,
        from: Option<Mailbox>,
        timing: Timing,
        limit: Limit,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Outcome>, mpsc::Receiver<Undeliverable>) {
        let (outcomes, outcomes_out) = mpsc::unbounded_channel();
        let (undeliverable, undeliverable_out) = mpsc::channel(REPORTS);
        let office = Arc::new(Office {
            carrier,
            from,
            timing,
            book: Mutex::new(Book::new(limit)),
            phase: AtomicU8::new(OPEN),
            emptied: Notify::new(),
            drain_until: Mutex::default(),
            evicted: Mutex::default(),
            resting: AtomicUsize::new(0),
            outcomes,
            undeliverable,
            counters: Counters::default(),
            health: Health::default(),
        });
        tokio::spawn(look_for_overdue(Arc::downgrade(&office)));
        (office, outcomes_out, undeliverable_out)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn depth(&self) -> usize {
        self.book().len()
    }

    pub fn forget(&self) {
        let mut book = self.book();
        book.forget();
        book.wake_all();
    }

    pub fn bytes(&self) -> usize {
        self.book().bytes()
    }

    pub fn take(self: &Arc<Self>, message: Message) {
        if let Some(error) = &message.action_failed {
            self.counters.templates_failed.fetch_add(1, Ordering::Relaxed);
            tracing::error!(id = %message.id, %error, "the template of an action failed; its raw text is sent");
        }
        for failed in &message.texts_failed {
            let (part, error) = (failed.part.name(), &failed.error);
            self.counters.templates_failed.fetch_add(1, Ordering::Relaxed);
            tracing::error!(id = %message.id, part, %error, "a text of the matrix failed; the built-in one is sent");
        }
        let parcel = match Parcel::new(message, self.from.as_ref()) {
            Ok(parcel) => parcel,
            Err((message, why)) => return self.refuse(&message, false, why),
        };
        let age = crate::clock::now() - parcel.message.notification.time;
        let destination = parcel::destination(&parcel.message);
        let entry = Entry {
            parcel: Arc::new(parcel),
            taken: Instant::now(),
            age_before: Duration::from_millis(u64::try_from(age.0).unwrap_or(0)),
            tries: 0,
            last: None,
            reported: false,
        };
        let put = self.book().put(destination.clone(), entry);
        if put.new_lane {
            tokio::spawn(serve(self.clone(), destination));
        }
        for dropped in put.dropped {
            self.report(&dropped.parcel.message, Fate::Dropped);
            let mut evicted = self.evicted();
            evicted.notices += 1;
            if dropped.is_critical() && !dropped.reported {
                let notice = &dropped.parcel.message.notification;
                let of_matrix = evicted.criticals.entry(notice.transition.matrix.name.clone());
                of_matrix.and_modify(|(_, others)| *others += 1).or_insert_with(|| (notice.clone(), 0));
            }
        }
    }

    fn evicted(&self) -> MutexGuard<'_, Evicted> {
        self.evicted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that the outbox is full until there is room again, and now and then who was not told because of it.
    fn tell_evicted(&self, now: Instant) {
        let has_room = self.book().has_room();
        let mut evicted = self.evicted();
        if evicted.notices > 0 {
            self.health.fail(OUTBOX, &format!("the outbox is full; {} notices were dropped", evicted.notices));
        }
        if has_room {
            self.health.well(OUTBOX);
            evicted.notices = 0;
        }
        if evicted.told.is_some_and(|told| now.saturating_duration_since(told) < self.timing.critical) {
            return;
        }
        for (first, others) in std::mem::take(&mut evicted.criticals).into_values() {
            evicted.told = Some(now);
            self.counters.undeliverable.fetch_add(others, Ordering::Relaxed);
            let why = match others {
                0 => "the outbox is full".to_owned(),
                others => format!("the outbox is full; critical notices dropped besides this one: {others}"),
            };
            self.undeliverable(first, why);
        }
    }

    /// One attempt, beside the book.
    pub async fn attempt(&self, message: Message) -> Result<(), Failure> {
        match Parcel::new(message, self.from.as_ref()) {
            Ok(parcel) => self.carrier.send(&parcel, false).await,
            Err((_, why)) => Err(Failure::never(&why)),
        }
    }

    pub fn drop_message(&self, message: Message) {
        tracing::warn!(id = %message.id, "a notice came after the outbox was closed; it is dropped");
        self.report(&message, Fate::Dropped);
    }

    fn refuse(&self, message: &Message, reported: bool, why: String) {
        tracing::error!(id = %message.id, to = %message.notification.to, why, "a notice is refused");
        let critical = message.missed.is_none() && message.notification.level == crate::matrix::Level::Critical;
        if critical && !reported {
            self.undeliverable(message.notification.clone(), why.clone());
        }
        self.report(message, Fate::Refused { why });
    }

    fn report_undeliverable(&self, entry: &Entry, why: &str) {
        if entry.is_critical() && !entry.reported {
            self.undeliverable(entry.parcel.message.notification.clone(), why.to_owned());
        }
    }

    fn undeliverable(&self, notification: Notification, why: String) {
        self.counters.undeliverable.fetch_add(1, Ordering::Relaxed);
        tracing::error!(
            incident = %notification.incident, to = %notification.to, why,
            "a critical notice cannot be delivered; the next escalation step and the owner are to be told"
        );
        if self.undeliverable.try_send(Undeliverable { notification, why }).is_err() {
            self.counters.reports_lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts, logs and tells what became of a notice.
    fn report(&self, message: &Message, fate: Fate) {
        let counted = match &fate {
            Fate::Sent { .. } => Counted::Sent,
            Fate::Retrying { .. } => Counted::Retried,
            Fate::Refused { .. } => Counted::Refused,
            Fate::GaveUp { .. } => Counted::GaveUp,
            Fate::Superseded => Counted::Superseded,
            Fate::Dropped => Counted::Dropped,
        };
        self.counters.count(message.notification.medium, counted);
        // The outcome is told by whoever hears of it; this is for who looks closer.
        tracing::debug!(
            id = %message.id, to = %message.notification.to, medium = ?message.notification.medium,
            level = message.notification.level.name(), result = counted.name(), "notice"
        );
        let outcome = Outcome { id: message.id.clone(), notification: message.notification.clone(), result: fate };
        // As many as there are notices at the most; nobody may be listening.
        let _ = self.outcomes.send(outcome);
    }

    pub async fn drain(&self, deadline: Duration) -> usize {
        let until = Instant::now() + deadline;
        *self.drain_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        self.phase.store(HURRY, Ordering::Release);
        self.book().wake_all();
        loop {
            let emptied = self.emptied.notified();
            // Nothing is gained by waiting for lanes that will not try again in time.
            let idle = self.resting.load(Ordering::Acquire) >= self.book().lanes();
            if idle || tokio::time::timeout_at(until, emptied).await.is_err() {
                self.phase.store(CLOSED, Ordering::Release);
                self.book().wake_all();
                return self.depth();
            }
        }
    }

    /// How long until the next try: the first within 15 s, doubling, spread by a fifth either way so that lanes which
    /// failed together do not try together. The spread comes from the notice's id: no randomness is needed.
    fn delay(&self, entry: &Entry) -> Duration {
        let doubled = self.timing.first_retry.saturating_mul(1 << entry.tries.min(16));
        let seed = format!("{}.{}", entry.parcel.message.id, entry.tries);
        let spread = (xxhash_rust::xxh3::xxh3_64(seed.as_bytes()) % 1000) as f64 / 1000.0;
        doubled.min(self.timing.retry_max).mul_f64(0.8 + 0.4 * spread)
    }
}

/// Serves one lane until it is empty.
async fn serve(office: Arc<Office>, destination: Destination) {
    loop {
        if office.phase.load(Ordering::Acquire) == CLOSED {
            return;
        }
        let (entry, superseded) = office.book().next(&destination, Instant::now(), office.timing.late);
        for old in superseded {
            office.report(&old.parcel.message, Fate::Superseded);
        }
        let Some(entry) = entry else {
            office.emptied.notify_waiters();
            return;
        };
        let late = entry.age(Instant::now()) > office.timing.late;
        let message = &entry.parcel.message;
        let hurried = office.phase.load(Ordering::Acquire) == HURRY;
        let result = office.carrier.send(&entry.parcel, late).await;
        let server = office.carrier.server(&entry.parcel);
        let place = format!("{destination:?}");
        match result {
            Ok(()) => {
                office.health.well(&server);
                office.health.well(&place);
                office.book().done(&destination);
                office.report(message, Fate::Sent { late });
            }
            Err(failure) => {
                let place = if failure.at == At::Server { server } else { place };
                office.health.fail(&place, &failure.why);
                settle_failure(&office, &destination, &entry, failure, hurried).await;
            }
        }
    }
}

/// Decides whether a failed notice is tried again, and waits until then.
async fn settle_failure(office: &Office, destination: &Destination, entry: &Entry, failure: Failure, hurried: bool) {
    let message = &entry.parcel.message;
    let now = Instant::now();
    let (delay, may_shorten) = match failure.retry {
        Retry::Never => {
            let reported = office.book().done(destination).is_some_and(|entry| entry.reported);
            return office.refuse(message, reported, failure.why);
        }
        Retry::Later => (office.delay(entry), true),
        Retry::After(wait) => (wait.max(office.delay(entry)), false),
    };
    if now.saturating_duration_since(entry.taken) + delay > office.timing.give_up {
        tracing::error!(id = %message.id, to = %message.notification.to, why = failure.why, "a notice is given up");
        if let Some(entry) = office.book().done(destination) {
            office.report_undeliverable(&entry, &failure.why);
        }
        return office.report(message, Fate::GaveUp { why: failure.why });
    }
    let Some(wake) = office.book().again(destination, &failure.why) else { return };
    tracing::debug!(id = %message.id, to = %message.notification.to, why = failure.why, retry_in = ?delay, "a notice is tried again");
    office.report(message, Fate::Retrying { why: failure.why, next: delay });
    let mut until = now + delay;
    while office.phase.load(Ordering::Acquire) == OPEN {
        tokio::select! {
            () = tokio::time::sleep_until(until) => return,
            // A newer notice for the same destination does not wait for the end of a long pause.
            () = wake.notified() => {
                if may_shorten {
                    until = until.min(Instant::now() + office.timing.first_retry);
                }
            }
        }
    }
    // Draining: what waited is tried once more at once; what failed since then waits its time, or for the end.
    if hurried || office.phase.load(Ordering::Acquire) == CLOSED {
        let drained = *office.drain_until.lock().unwrap_or_else(PoisonError::into_inner);
        let rests = drained.is_some_and(|drained| until >= drained);
        if rests {
            office.resting.fetch_add(1, Ordering::AcqRel);
            office.emptied.notify_waiters();
        }
        tokio::select! {
            () = tokio::time::sleep_until(until) => {}
            () = closed(office, &wake) => {}
        }
        if rests {
            office.resting.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Waits for the end of the drain.
async fn closed(office: &Office, wake: &Notify) {
    while office.phase.load(Ordering::Acquire) != CLOSED {
        wake.notified().await;
    }
}

/// Reports each critical that has been tried for too long, and that the outbox is full, while the office is open.
async fn look_for_overdue(office: Weak<Office>) {
    let mut tick = tokio::time::interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(office) = office.upgrade() else { return };
        if office.phase.load(Ordering::Acquire) == CLOSED {
            return;
        }
        let now = Instant::now();
        office.tell_evicted(now);
        let overdue = office.book().overdue(now, office.timing.critical);
        for entry in overdue {
            let why = entry.last.unwrap_or_else(|| "it waits behind another notice".to_owned());
            office.undeliverable(entry.parcel.message.notification.clone(), why);
        }
    }
}
