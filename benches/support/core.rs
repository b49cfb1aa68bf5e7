//! The pure core as the benches drive it: events into a floor, ten flushes a second into a board.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use atalaya::board::Board;
use atalaya::domain::{Event, Millis, Timestamp};
use atalaya::floor::Floor;
use atalaya::plan::{Plan, Window, WindowKind};
use atalaya::wire::{Decoded, Decoder, Format};

use super::cpu_of_thread;

/// Between two looks at the clock.
const CHUNK: usize = 500;
const FLUSH_EVERY: Duration = Duration::from_millis(100);

pub fn decoder() -> Decoder {
    Decoder { format: Format::Canonical, states: Default::default() }
}

/// A plan of sliding windows of so many minutes, and `today` where it is asked for.
pub fn plan(minutes: &[i64], today: bool) -> Plan {
    let sliding = minutes.iter().map(|minutes| Window::sliding(&format!("{minutes}m"), Millis(minutes * 60_000)));
    let today = today.then(|| Window { label: "today".into(), kind: WindowKind::Today });
    let mut plan = Plan { windows: sliding.chain(today).collect(), ..Plan::default() };
    plan.set_thresholds([]);
    plan
}

/// The windows that most figures are stated for: 5m 15m 1h today.
pub fn usual_plan() -> Plan {
    plan(&[5, 15, 60], true)
}

/// Decodes what the benches made, all of it good.
pub fn decode<'a>(decoder: &Decoder, lines: &'a [Vec<u8>]) -> Vec<Event<'a>> {
    let event = |line: &'a Vec<u8>| match decoder.decode(line) {
        Decoded::Event(event) => Some(event),
        Decoded::Ignored | Decoded::Rejected(_) => None,
    };
    let events: Vec<_> = lines.iter().filter_map(event).collect();
    assert_eq!(events.len(), lines.len(), "the benches make good events only");
    events
}

/// A floor and a board.
pub struct Core {
    pub floor: Floor,
    pub board: Board,
}

impl Core {
    pub fn new(plan: &Arc<Plan>) -> Self {
        Core { floor: Floor::new(plan.clone()), board: Board::new(plan.clone()) }
    }

    /// Takes records, and flushes every 100 ms of its own CPU time, as the service would on a core of its own.
    pub fn take_all<T>(&mut self, records: &[T], take: impl Fn(&mut Floor, &T)) {
        let mut flushed = cpu_of_thread();
        for chunk in records.chunks(CHUNK) {
            for record in chunk {
                take(&mut self.floor, record);
            }
            if cpu_of_thread() - flushed >= FLUSH_EVERY {
                flushed = cpu_of_thread();
                self.flush();
            }
        }
        self.flush();
    }

    pub fn take_events(&mut self, events: &[Event<'_>]) {
        self.take_all(events, |floor, event| {
            black_box(floor.take(event, Timestamp::MAX));
        });
    }

    pub fn take_records(&mut self, decoder: &Decoder, records: &[Vec<u8>]) {
        self.take_all(records, |floor, record| {
            if let Decoded::Event(event) = decoder.decode(record) {
                black_box(floor.take(&event, Timestamp::MAX));
            }
        });
    }

    /// What the floor contributed goes to the board, whose instant moves to the floor's.
    pub fn flush(&mut self) {
        let now = self.floor.stream_time();
        self.board.apply(0, &self.floor.flush());
        if let Some(now) = now {
            self.board.advance(now);
        }
    }

    /// The same at an instant that time alone has come to.
    pub fn flush_at(&mut self, now: Timestamp) {
        self.floor.advance(now);
        self.board.apply(0, &self.floor.flush());
        self.board.advance(now);
    }
}
