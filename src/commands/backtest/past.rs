//! `backtest --from T --to T`: events out of the sources' topics.
//!
//! Kafka timestamps are event time, so `from` and `to` are times of events. At `from` the windows must be full and what is
//! open must be known: reading begins before it by the longest of `lateness`, a day and the windows, and an hour, which
//! is 25 h by default, as `run` does. What was opened before that and has been silent since is not known, in both.

use crate::config::Config;
use crate::domain::{Millis, Timestamp};
use crate::kafka::past::{Past, PastFailure};
use crate::plan::{Plan, WindowKind};
use crate::wire::Decoder;

use super::{Backtest, Failure, Take, Tally};
use crate::commands::say;

/// From when to when is looked at: `[from, to)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    /// Where reading begins.
    begin: Timestamp,
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Stretch {
    /// That of the arguments, if events come out of Kafka. It begins early enough for all the plans, of one site.
    pub fn of(args: &Backtest, plans: &[&Plan]) -> Result<Option<Stretch>, Failure> {
        let (Some(from), Some(to), Some(plan)) = (&args.from, &args.to, plans.first()) else { return Ok(None) };
        let (from, to) = (instant("--from", from, plan)?, instant("--to", to, plan)?);
        if to <= from {
            return Err(Failure::User(format!("--to {to} is not after --from {from}.")));
        }
        Ok(Some(Stretch { begin: from - run_up(plans), from, to }))
    }

    /// The last second that is looked at.
    pub fn last(&self) -> Timestamp {
        (self.to - Millis(1)).floor_to(Millis::SECOND)
    }
}

/// A time with an offset, or a local one of the site.
fn instant(flag: &str, text: &str, plan: &Plan) -> Result<Timestamp, Failure> {
    let local = || {
        let wall = text.parse::<jiff::civil::DateTime>().ok()?;
        Timestamp(wall.to_zoned(plan.zone.clone()).ok()?.timestamp().as_millisecond()).in_range()
    };
    Timestamp::parse(text).or_else(local).ok_or_else(|| {
        let how = "write 2026-11-20T08:00:00-05:00, or \"2026-11-20 08:00\" in the site's zone";
        Failure::User(format!("{flag} `{text}` is not a time: {how}."))
    })
}

/// How long before the stretch reading begins.
fn run_up(plans: &[&Plan]) -> Millis {
    let windows = plans.iter().flat_map(|plan| &plan.windows).filter_map(|window| match window.kind {
        WindowKind::Sliding(length) => Some(length),
        WindowKind::Interval | WindowKind::LastInterval | WindowKind::Today => None,
    });
    let lateness = plans.iter().map(|plan| plan.lateness);
    windows.chain(lateness).fold(Millis::DAY, Millis::max) + Millis::HOUR
}

pub(super) fn read(stretch: Stretch, config: &Config, take: Take<'_>) -> Result<Tally, Failure> {
    let topics: Vec<String> = config.sources.iter().map(|source| source.topic.clone()).collect();
    let mut past = Past::open(&config.kafka, &topics, stretch.begin, stretch.to).map_err(|error| failure(&error))?;
    for (topic, since) in past.trimmed() {
        match since {
            Some(since) if since <= stretch.from => say::aside(format_args!(
                "the topic `{topic}` begins at {since}, what was before has been deleted: what was open then, and windows that \
                 reach further back, are incomplete"
            )),
            Some(since) => {
                return Err(Failure::User(format!(
                    "The topic `{topic}` holds nothing from before {since}: it has been deleted (retention.ms, \
                     retention.bytes). Write --from {since} or later."
                )));
            }
            None => {
                return Err(Failure::User(format!(
                    "The topic `{topic}` holds nothing any more: it has all been deleted (retention.ms, retention.bytes)."
                )));
            }
        }
    }
    let decoder =
        |source: &crate::config::Source| Decoder { format: source.format, states: config.agent_states.clone() };
    let decoders: Vec<Decoder> = config.sources.iter().map(decoder).collect();
    let mut told = Tally { unit: "records", ..Tally::default() };
    let read = past.read(&mut |record| {
        let (Some(decoder), Some(payload)) = (decoders.get(record.source), &record.payload) else { return true };
        let topic = topics.get(record.source).map_or("?", String::as_str);
        let place = || format!("{topic}, partition {}, offset {}", record.partition, record.offset);
        // A record of an unknown time, or one among later ones, tells nothing.
        let arrived = record.timestamp.max(stretch.begin);
        told.take(decoder, payload, Some(arrived), &place, take)
    });
    read.map_err(|error| failure(&error))?;
    Ok(told)
}

fn failure(error: &PastFailure) -> Failure {
    match error {
        PastFailure::Client(_) | PastFailure::NoTopic { .. } => Failure::User(error.to_string()),
        PastFailure::Broker(_) => Failure::Run(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Window;

    #[test]
    fn reading_begins_early_enough_for_every_plan() {
        let week = Window { label: "7d".into(), kind: WindowKind::Sliding(Millis(7 * Millis::DAY.0)) };
        let (plan, longer) = (Plan::default(), Plan { windows: vec![week], ..Plan::default() });
        assert_eq!(run_up(&[&plan]), Millis(25 * Millis::HOUR.0));
        assert_eq!(run_up(&[&longer, &plan]), Millis(169 * Millis::HOUR.0));
        assert_eq!(run_up(&[&plan, &longer]), run_up(&[&longer, &plan]));
    }
}
