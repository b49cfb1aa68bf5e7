//! How all of it stands, on one screen.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::Inspect;
use super::entries::{Entries, hex, time};
use super::judge::{Kept, Place};
use super::line::{Fields, Line, text};
use super::reading::{Ends, Reading};
use crate::commands::remote::{self, Format};
use crate::commands::setup::Setup;
use crate::commands::{Failure, say};
use crate::domain::Timestamp;
use crate::instance::decider::ledger::Ledger;
use crate::journal::record::Log;
use crate::journal::rule::Owner;
use crate::journal::{Claim, Position};
use crate::kafka::snapshots::{Look, Lying};
use crate::service::names::{self, DECIDED};

/// How many of the operations are shown.
const OPERATIONS: usize = 5;

/// All that is to be known of the logs, read to their ends.
struct Standing {
    entries: Entries,
    /// Of each log from where to where it goes, and since where it was looked at.
    ends: Vec<(Log, Ends, u64)>,
    operations: VecDeque<Line>,
    look: Look,
}

pub fn all(args: &Inspect, setup: &Setup, kept: Kept) -> Result<(), Failure> {
    let look = kept.snapshots.look().map_err(|error| Failure::Run(error.to_string()))?;
    let (entries, ends, operations) = (Entries::new(setup, kept), Vec::new(), VecDeque::new());
    let mut standing = Standing { entries, ends, operations, look };
    for log in Log::ALL {
        standing.read(args, setup, log)?;
    }
    standing.print(setup, args.format)
}

impl Standing {
    fn read(&mut self, args: &Inspect, setup: &Setup, log: Log) -> Result<(), Failure> {
        let mut reading = Reading::open(&setup.config.kafka, log, false)?;
        let from = args.first(reading.ends, self.entries.kept.known(log, reading.ends));
        self.ends.push((log, reading.ends, from));
        reading.begin(self.entries.begin(log, reading.ends, from));
        while let Some(came) = reading.next()? {
            if let Some(line) = self.entries.take(log, &came, from)
                && log == Log::Operations
            {
                self.operations.push_back(line);
                if self.operations.len() > OPERATIONS {
                    self.operations.pop_front();
                }
            }
        }
        Ok(())
    }

    fn print(mut self, setup: &Setup, format: Format) -> Result<(), Failure> {
        let (whose, epoch) = (self.entries.kept.whose, self.entries.kept.epoch);
        let own = Fields::default().with("name", &*setup.config.kafka.group).with("group", hex(whose.group));
        let own = own.with("generation", hex(whose.generation)).with("epoch", epoch.number);
        let own = own.with("reads_as", names::reads_as(&setup.config.kafka, whose.generation, epoch));
        said("group", own, Vec::new(), format)?;
        self.logs(setup, format)?;
        self.partitions(format)?;
        self.decisions(format)?;
        if format == Format::Text && !self.operations.is_empty() {
            say::line(format_args!("\nthe newest operations"))?;
        }
        for line in &self.operations {
            line.print(format)?;
        }
        states(&self.look, whose.generation, format)
    }

    fn logs(&self, setup: &Setup, format: Format) -> Result<(), Failure> {
        let kafka = &setup.config.kafka;
        let row = |(log, ends, from): &(Log, Ends, u64)| {
            let tally = self.entries.tally(*log);
            let topic = match log {
                Log::Deltas => &kafka.deltas,
                Log::Decisions => &kafka.decisions,
                Log::Operations => &kafka.operations,
            };
            let positions = [ends.low, ends.end, *from].map(Value::from);
            let [first, end, from] = positions;
            let dropped: u64 = tally.dropped.values().sum();
            let dropped = if dropped == 0 { json!(0) } else { json!(format!("{dropped} ({})", tally.reasons())) };
            [
                json!(topic),
                first,
                end,
                from,
                json!(tally.counted),
                dropped,
                json!(tally.not_judged),
                json!(tally.others),
            ]
        };
        let head = ["log", "first", "end", "looked_from", "count", "do_not", "not_judged", "others"];
        table("log", head, self.ends.iter().map(row).collect(), format)
    }

    /// Who has claimed which partition, and how far it is.
    fn partitions(&mut self, format: Format) -> Result<(), Failure> {
        let end = self.end(Log::Deltas);
        let before = self.kept_at(&names::replica(self.entries.kept.whose.generation));
        let known = self.entries.kept.deltas.at(end).map(|known| {
            let rows =
                known.places.iter().filter_map(|(place, so)| Some((*place, known.rule.owner(*place)?, so.view())));
            rows.collect::<Vec<_>>()
        });
        let Some(known) = known else {
            return said(
                "partitions",
                Fields::default().with("known", "not before an instance keeps its state"),
                Vec::new(),
                format,
            );
        };
        let row = |(place, owner, (state, wall, marks)): (_, Owner, (Value, Value, Value))| {
            let Owner { claim, applied, batches, .. } = owner;
            let since = self.since(claim, before);
            [
                json!(self.entries.place(place)),
                json!(hex(claim.0)),
                since,
                json!(applied),
                json!(batches),
                state,
                wall,
                marks,
            ]
        };
        let head = ["partition", "claim", "since", "applied", "batches", "live", "wall", "floors_kept_at"];
        table("partition", head, known.into_iter().map(row).collect(), format)
    }

    /// Who decides, what was decided last, and what is still to be sent.
    fn decisions(&mut self, format: Format) -> Result<(), Failure> {
        let (end, before) = (self.end(Log::Decisions), self.kept_at(DECIDED));
        // Taken out, as the notices in it are read with what the entries are read with.
        let ledger: Option<Ledger> = self.entries.kept.decisions.at(end).map(std::mem::take);
        let own = Fields::default();
        let Some(ledger) = ledger else {
            return said("evaluator", own.with("known", "not before an instance keeps its state"), Vec::new(), format);
        };
        let own = match ledger.evaluator() {
            Some(claim) => own.with("claim", hex(claim.0)).with("since", self.since(claim, before)),
            None => own.with("claim", "nobody"),
        };
        let own = own.with("decisions", ledger.decisions());
        let own = match ledger.last() {
            Some(last) => {
                let own = own.with("tick", time(last.tick)).with("deltas", last.deltas.0);
                own.with("operations", last.operations.0)
            }
            None => own,
        };
        let own = own.with("items", ledger.items().len()).with("to_be_sent", ledger.outbox().len());
        let own = if ledger.is_blind() { own.with("unreadable", "written by another version") } else { own };
        let notices = ledger.outbox().iter().map(|intent| self.entries.intent(intent)).collect();
        if format == Format::Text {
            say::line("")?;
        }
        said("evaluator", own, notices, format)
    }

    fn end(&self, log: Log) -> Position {
        Position(self.ends.iter().find(|(of, ..)| *of == log).map_or(0, |(_, ends, _)| ends.end))
    }

    fn kept_at(&self, name: &str) -> Option<Timestamp> {
        self.look.states.iter().find(|state| state.name == name)?.at
    }

    /// When a claim came, or before when it was known.
    fn since(&self, claim: Claim, before: Option<Timestamp>) -> Value {
        match (self.entries.claims.get(&claim), before) {
            (Some(at), _) => json!(time(*at)),
            (None, Some(before)) => json!(format!("before {}", time(before))),
            (None, None) => Value::Null,
        }
    }
}

impl Place {
    /// Whether it is live, what its clock read, and where its floors are kept.
    fn view(&self) -> (Value, Value, Value) {
        let marks: Vec<String> = self.marks.iter().map(|mark| mark.at.to_string()).collect();
        let last = |of: &dyn Fn((Timestamp, bool)) -> Value| self.last.map_or(Value::Null, of);
        (last(&|(_, live)| json!(live)), last(&|(wall, _)| json!(time(wall))), json!(marks.join(" ")))
    }
}

/// Every state that is kept.
pub fn snapshots(kept: &Kept, format: Format) -> Result<(), Failure> {
    let look = kept.snapshots.look().map_err(|error| Failure::Run(error.to_string()))?;
    states(&look, kept.whose.generation, format)
}

fn states(look: &Look, generation: u64, format: Format) -> Result<(), Failure> {
    let own = format!("{}/", hex(generation));
    let row = |state: &Lying| {
        let Lying { name, id, pieces, bytes, at, broken } = state;
        let is_other = name.split_once('/').is_some() && !name.starts_with(&own);
        let whole = match (broken, is_other) {
            (Some(why), _) => format!("broken: {why}"),
            (None, true) => "whole, of another generation".to_owned(),
            (None, false) => "whole".to_owned(),
        };
        [json!(name), json!(bytes), json!(pieces), json!(id), json!(at.map(time)), json!(whole)]
    };
    let head = ["snapshot", "bytes", "pieces", "id", "kept", "state"];
    table("snapshot", head, look.states.iter().map(row).collect(), format)?;
    let own = Fields::default().with("others", look.others).with("unnamed_bytes", look.unnamed);
    said("snapshots", own, Vec::new(), format)
}

fn said(kind: &str, own: Fields, notices: Vec<Fields>, format: Format) -> Result<(), Failure> {
    Line { head: kind.to_owned(), fields: Fields::default().with("kind", kind), own, notices }.print(format).map(drop)
}

/// Rows under a head in text, behind a blank line; else an object of each.
fn table<const N: usize>(kind: &str, head: [&str; N], rows: Vec<[Value; N]>, format: Format) -> Result<(), Failure> {
    if format == Format::Text {
        let rows: Vec<[String; N]> = rows.into_iter().map(|row| row.map(|cell| cell_of(&cell))).collect();
        let capitals = head.map(|name| name.replace('_', " ").to_uppercase());
        say::line("")?;
        return remote::print_table(capitals.each_ref().map(String::as_str), &rows);
    }
    for row in rows {
        let own = head.into_iter().zip(row).fold(Fields::default(), |own, (name, value)| own.with(name, value));
        said(kind, own, Vec::new(), format)?;
    }
    Ok(())
}

fn cell_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(_) => text(value).trim_matches('"').to_owned(),
        other => other.to_string(),
    }
}
