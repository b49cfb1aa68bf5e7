//! `atalaya inspect`: what stands in the logs and among the snapshots of a group, for a person who looks after them.
//!
//! It reads as an instance does, the same records by the same rules, and says of each entry whether it counts. It joins no
//! group, commits nothing and writes nothing, so that running instances do not notice.
//!
//! Whether an entry counts depends on those before it. What is known of them is in this order: what an instance kept at or before
//! the first entry that is asked for, the whole log where it goes back to its beginning, what was kept later. Entries before
//! that are shown and not judged.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Failure;
use super::files::Secrets;
use super::remote::Format;
use super::setup::{self, Setup};
use crate::journal::record::Log;

mod entries;
mod judge;
mod line;
mod reading;
mod summary;

use entries::Entries;
use judge::Kept;
use reading::{Ends, Reading};

/// Shows what is in the logs and snapshots of this group, or how all of it stands
#[derive(Debug, Args)]
pub struct Inspect {
    /// One log entry by entry, or every snapshot; without it, how all of it stands
    #[arg(value_enum)]
    pub what: Option<Part>,
    /// The configuration of the instances, whose matrices are read as well
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The newest N entries; without it and --from, 20 of a log, and of all of it what came since something was kept
    #[arg(long, value_name = "N", conflicts_with = "from")]
    pub last: Option<u64>,
    /// The entries from this position on
    #[arg(long, value_name = "POSITION")]
    pub from: Option<u64>,
    /// Goes on with what comes
    #[arg(long, conflicts_with = "last")]
    pub follow: bool,
    /// `json` prints one object per line
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Claims of source partitions, what their records came to, snapshots of floors
    Deltas,
    /// Who decides, what was decided, what became of notices
    Decisions,
    /// Acknowledgements, silences, and who did what
    Operations,
    /// What is kept to start from
    Snapshots,
}

/// How many entries are shown where nothing else is asked for.
const LAST: u64 = 20;

pub fn run(args: &Inspect) -> Result<(), Failure> {
    let log = match args.what {
        Some(Part::Deltas) => Some(Log::Deltas),
        Some(Part::Decisions) => Some(Log::Decisions),
        Some(Part::Operations) => Some(Log::Operations),
        Some(Part::Snapshots) | None => None,
    };
    if log.is_none() && args.follow {
        return Err(Failure::User("--follow is of one log: `atalaya inspect decisions --follow`".to_owned()));
    }
    if args.what == Some(Part::Snapshots) && args.from.or(args.last).is_some() {
        return Err(Failure::User("Snapshots have no positions: leave out --from and --last.".to_owned()));
    }
    let setup = setup::load(args.config.as_deref(), None, Secrets::OfKafka)?;
    let kept = Kept::read(&setup)?;
    match (args.what, log) {
        (_, Some(log)) => list(args, log, &setup, kept),
        (Some(_), None) => summary::snapshots(&kept, args.format),
        (None, None) => summary::all(args, &setup, kept),
    }
}

/// One log, entry by entry.
fn list(args: &Inspect, log: Log, setup: &Setup, kept: Kept) -> Result<(), Failure> {
    let mut reading = Reading::open(&setup.config.kafka, log, args.follow)?;
    let from = args.first(reading.ends, reading.ends.end.saturating_sub(LAST));
    let mut entries = Entries::new(setup, kept);
    reading.begin(entries.begin(log, reading.ends, from));
    while let Some(came) = reading.next()? {
        if let Some(line) = entries.take(log, &came, from)
            && !line.print(args.format)?
        {
            return Ok(());
        }
    }
    entries.tally(log).line(log).print(args.format).map(drop)
}

impl Inspect {
    /// The first entry that is asked for.
    fn first(&self, ends: Ends, otherwise: u64) -> u64 {
        let newest = self.last.map(|last| ends.end.saturating_sub(last));
        self.from.or(newest).unwrap_or(otherwise).clamp(ends.low, ends.end)
    }
}
