//! The simulated floor on its way to the broker: two hours of history at once, then real time.

use std::time::Duration;

use jiff::tz::{Offset, TimeZone};
use tokio::sync::watch;

use crate::clock;
use crate::commands::Failure;
use crate::commands::simulate::producer::Producer;
use crate::domain::{Millis, Timestamp};
use crate::sim::{Curve, IncidentKind, Settings, SimEvent, Simulation, Topic};

pub const INTERACTIONS: &str = "atalaya.interactions";
pub const AGENT_STATES: &str = "atalaya.agent-states";
/// The broker keeps 5 MiB of each partition and drops the rest silently. Two hours are 41,000 events of 175 bytes: less than
/// 1 MiB a partition even before compression. What it drops after hours has long been read.
pub const PARTITIONS: i32 = 4;

pub const HISTORY: Millis = Millis(2 * Millis::HOUR.0);
/// Between the board being up and the incident: long enough to see how it looks when all is well.
pub const CALM: Millis = Millis(6_000);
/// From the beginning of one to that of the next.
pub const EVERY: Millis = Millis(30 * Millis::MINUTE.0);

/// How long it lasts: enough for its alerts, and short enough to see the floor recover.
pub fn lasts(kind: IncidentKind) -> Millis {
    let minutes = match kind {
        IncidentKind::Silence => 3,
        IncidentKind::Avalanche => 4,
        IncidentKind::AgentsGone => 5,
        IncidentKind::StuckQueue => 8,
    };
    Millis(minutes * Millis::MINUTE.0)
}

pub struct Floor {
    simulation: Simulation,
    producer: Producer,
    /// The first that is not history.
    next: Option<SimEvent>,
}

impl Floor {
    pub async fn open(brokers: &str, seed: u64) -> Result<Self, Failure> {
        let producer = Producer::connect(brokers, &[("linger.ms".to_owned(), "20".to_owned())]).await?;
        let now = clock::now();
        let settings = Settings { curve: Curve::Flat, zone: zone(now), ..Settings::new(seed, now - HISTORY) };
        Ok(Floor { simulation: Simulation::new(settings), producer, next: None })
    }

    /// Sends what has happened until now and waits until the broker has it; how many events that were.
    pub async fn send_history(&mut self) -> Result<u64, Failure> {
        let now = clock::now();
        let mut sent = 0;
        while let Some(event) = self.simulation.next() {
            if event.sent > now {
                self.next = Some(event);
                break;
            }
            self.send(&event).await?;
            sent += 1;
        }
        self.producer.finish().await?;
        Ok(sent)
    }

    /// Goes on in real time, for ever. Something goes wrong [`CALM`] after `ready`, and again [`EVERY`] so often.
    pub async fn live(
        mut self,
        incident: Option<IncidentKind>,
        mut ready: watch::Receiver<bool>,
    ) -> Result<(), Failure> {
        let mut begins: Option<Timestamp> = None;
        while let Some(event) = self.next.take().or_else(|| self.simulation.next()) {
            self.wait(event.sent).await?;
            self.send(&event).await?;
            if begins.is_none() && *ready.borrow_and_update() {
                begins = Some(clock::now() + CALM);
            }
            if let (Some(kind), Some(at)) = (incident, begins)
                && event.sent >= at
            {
                self.simulation.begin(kind, Millis(0), lasts(kind));
                super::story::incident(kind);
                begins = Some(at + EVERY);
            }
        }
        Ok(())
    }

    async fn wait(&mut self, until: Timestamp) -> Result<(), Failure> {
        loop {
            let left = until - clock::now();
            if left <= Millis(0) {
                return Ok(());
            }
            // In short steps: librdkafka reports what became of its messages only when it is asked.
            tokio::time::sleep(Duration::from_millis(left.0.clamp(1, 200).unsigned_abs())).await;
            self.producer.poll()?;
        }
    }

    async fn send(&mut self, event: &SimEvent) -> Result<(), Failure> {
        let topic = match event.topic {
            Topic::Interactions => INTERACTIONS,
            Topic::AgentStates => AGENT_STATES,
        };
        self.producer.send(topic, Some(&event.key), Some(event.time), event.json.as_bytes()).await
    }
}

/// The floor's own time of day: it is between 15:30 and 15:45 there when the demo begins, whatever the hour. Breaks are over
/// for two hours then, so that all is well until the incident.
fn zone(now: Timestamp) -> TimeZone {
    let quarter = 15 * Millis::MINUTE.0;
    let wanted = 15 * Millis::HOUR.0 + 3 * quarter;
    let ahead = (wanted - now.0.rem_euclid(Millis::DAY.0)).rem_euclid(Millis::DAY.0);
    // Offsets go half a day either way.
    let ahead = if ahead > Millis::DAY.0 / 2 { ahead - Millis::DAY.0 } else { ahead };
    let seconds = i32::try_from(ahead.div_euclid(quarter) * quarter / 1000).unwrap_or(0);
    Offset::from_seconds(seconds).map_or(TimeZone::UTC, TimeZone::fixed)
}
