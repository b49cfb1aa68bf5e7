//! What each entry says, and whether it counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::judge::Kept;
use super::line::{Fields, Line};
use super::reading::{Came, Ends};
use crate::commands::setup::Setup;
use crate::domain::Timestamp;
use crate::instance::Share;
use crate::instance::decider::ledger::{Body, Did, Entry as Decision, Fate, Intent, Part};
use crate::journal::record::{Log, RecordError};
use crate::journal::rule::Drop;
use crate::journal::{Claim, Delta, SourcePartition};
use crate::matrix::Matrix;
use crate::matrix::engine::Pending;
use crate::plan::Plan;
use crate::service::{Entry, Noted, read_entry};

/// What of a log was looked at.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub counted: u64,
    pub not_judged: u64,
    /// By why they do not count.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Of other groups, or of other generations of ours.
    pub others: u64,
}

impl Tally {
    pub fn reasons(&self) -> String {
        self.dropped.iter().map(|(why, count)| format!("{why} {count}")).collect::<Vec<_>>().join(", ")
    }

    pub fn line(&self, log: Log) -> Line {
        let Tally { counted, not_judged, dropped, others } = self;
        let fields = Fields::default().with("kind", "entries").with("log", log.name());
        let fields = fields.with("reasons", json!(dropped));
        let own = Fields::default().with("counted", *counted).with("not_counted", dropped.values().sum::<u64>());
        let own = own.with("not_judged", *not_judged).with("others", *others);
        let head = match self.reasons() {
            reasons if reasons.is_empty() => "entries:".to_owned(),
            reasons => format!("entries ({reasons}):"),
        };
        Line { head, fields, own, notices: Vec::new() }
    }
}

/// Takes the entries of the logs in their order.
pub struct Entries {
    pub kept: Kept,
    /// When claims came, whether they count or not.
    pub claims: BTreeMap<Claim, Timestamp>,
    tallies: BTreeMap<Log, Tally>,
    topics: Vec<String>,
    matrices: Vec<Arc<Matrix>>,
    plan: Arc<Plan>,
    /// Of a decision of several parts, those that have come.
    half: Vec<u8>,
}

/// Counts, does not for this reason, or nobody can tell.
type Verdict = Option<Result<(), &'static str>>;

impl Entries {
    pub fn new(setup: &Setup, kept: Kept) -> Entries {
        Entries {
            kept,
            claims: BTreeMap::new(),
            tallies: BTreeMap::new(),
            topics: setup.config.sources.iter().map(|source| source.topic.clone()).collect(),
            matrices: setup.set.matrices.clone(),
            plan: setup.set.plan.clone(),
            half: Vec::new(),
        }
    }

    /// From where a log has to be read for the entries from `from` on.
    pub fn begin(&mut self, log: Log, ends: Ends, from: u64) -> u64 {
        self.kept.begin(log, ends, from)
    }

    pub fn tally(&self, log: Log) -> Tally {
        self.tallies.get(&log).cloned().unwrap_or_default()
    }

    /// The next entry, as a line where it is one of ours and not before `from`.
    pub fn take(&mut self, log: Log, came: &Came, from: u64) -> Option<Line> {
        let (kind, verdict, own, notices) = match read_entry(log, &came.bytes, self.kept.whose) {
            Err(RecordError::OtherSettings) => {
                if came.position.0 >= from {
                    self.tallies.entry(log).or_default().others += 1;
                }
                return None;
            }
            Err(error) => {
                let own = Fields::default().with("bytes", came.bytes.len()).with("error", error.to_string());
                ("unreadable", Some(Err(Drop::Unreadable.name())), own, Vec::new())
            }
            Ok(Entry::Delta(delta)) => {
                if let (Delta::Claimed { claim, .. }, Some(at)) = (&delta, came.at) {
                    self.claims.insert(*claim, at);
                }
                let known = self.kept.deltas.at(came.position);
                let verdict = known.map(|known| known.take(&delta).map_err(Drop::name));
                let (kind, own) = self.delta(&delta, came.bytes.len());
                (kind, verdict, own, Vec::new())
            }
            Ok(Entry::Decision(decision)) => {
                if let (Decision::Claimed { claim, .. }, Some(at)) = (&decision, came.at) {
                    self.claims.insert(*claim, at);
                }
                let known = self.kept.decisions.at(came.position);
                let did = known.map(|known| known.take(came.position, &decision));
                let (kind, own, notices) = self.decision(&decision, did);
                (kind, did.map(|did| did.map(drop).map_err(Drop::name)), own, notices)
            }
            Ok(Entry::Operation(noted)) => {
                let (kind, own) = operation(noted);
                (kind, Some(Ok(())), own, Vec::new())
            }
        };
        if came.position.0 < from {
            return None;
        }
        let tally = self.tallies.entry(log).or_default();
        match verdict {
            Some(Ok(())) => tally.counted += 1,
            Some(Err(why)) => *tally.dropped.entry(why).or_default() += 1,
            None => tally.not_judged += 1,
        }
        Some(line(log, came, kind, verdict, own, notices))
    }

    pub fn place(&self, place: SourcePartition) -> String {
        let topic = self.topics.get(place.source).map_or("?", String::as_str);
        format!("{topic}/{}", place.partition)
    }

    fn delta(&self, delta: &Delta<Share>, bytes: usize) -> (&'static str, Fields) {
        let own = Fields::default().with("partition", self.place(delta.place()));
        match delta {
            Delta::Claimed { claim, after, start, .. } => {
                ("claimed", own.with("claim", hex(claim.0)).with("after", after_of(*after)).with("start", *start))
            }
            Delta::Batch(batch) => {
                let (progress, Share { contributions, step }) = (&batch.progress, &batch.payload);
                let panes = contributions.keys().flat_map(|key| key.panes());
                let (panes, cells) = panes.fold((0, 0), |(panes, cells), (_, own)| (panes + 1, cells + own.len()));
                let own = own.with("claim", hex(batch.claim.0)).with("number", batch.number);
                let own = own.with("from", batch.from).with("to", batch.to).with("live", step.live);
                let own = own.with("wall", time(step.end)).with("caught_up", progress.caught_up.map(time));
                let own = own.with("stream_time", progress.stream_time.map(time));
                let own = own.with("keys", contributions.keys().count()).with("panes", panes).with("cells", cells);
                ("batch", own.with("bytes", bytes))
            }
            Delta::Kept { claim, mark, .. } => {
                let own = own.with("claim", hex(claim.0)).with("snapshot", hex(mark.snapshot));
                let own = own.with("batches", mark.batches).with("at", mark.at).with("wall", time(mark.wall));
                ("kept", own.with("live", mark.live))
            }
        }
    }

    /// `did`: what it did, or why it does not count, where that is known.
    fn decision(&mut self, decision: &Decision, did: Option<Result<Did, Drop>>) -> (&'static str, Fields, Vec<Fields>) {
        let own = Fields::default();
        match decision {
            Decision::Claimed { claim, after } => {
                ("claimed", own.with("claim", hex(claim.0)).with("after", after_of(*after)), Vec::new())
            }
            Decision::Resigned { claim } => ("resigned", own.with("claim", hex(claim.0)), Vec::new()),
            Decision::Decided(part) => {
                let Part { head, part: number, bytes } = part;
                let own = own.with("claim", hex(head.claim.0)).with("number", head.number);
                let own = own.with("part", format!("{}/{}", u32::from(*number) + 1, head.parts));
                let own = own.with("tick", time(head.tick)).with("deltas", head.deltas.0);
                let own = own.with("operations", head.operations.0).with("bytes", bytes.len());
                let body = self.body(part, did).and_then(|body| postcard::from_bytes::<Body>(&body).ok());
                let Some(Body { patch, intents }) = body else { return ("decided", own, Vec::new()) };
                let own = own.with("items", patch.0.len());
                ("decided", own, intents.iter().map(|intent| self.intent(intent)).collect())
            }
            Decision::Outcome { id, fate, instead } => {
                let own = own.with("id", &**id).with("fate", fate_name(*fate));
                ("outcome", own, instead.iter().map(|intent| self.intent(intent)).collect())
            }
        }
    }

    /// The whole body of a decision with its last part.
    fn body(&mut self, part: &Part, did: Option<Result<Did, Drop>>) -> Option<Vec<u8>> {
        if part.part == 0 {
            self.half.clear();
        }
        match did {
            Some(Ok(Did::Begin)) => {
                self.half.extend(&part.bytes);
                None
            }
            Some(Ok(_)) => {
                self.half.extend(&part.bytes);
                Some(std::mem::take(&mut self.half))
            }
            Some(Err(_)) | None => (part.head.parts == 1).then(|| part.bytes.clone()),
        }
    }

    pub fn intent(&self, intent: &Intent) -> Fields {
        let own = Fields::default().with("id", &*intent.id);
        let pending = match Pending::of_bytes(&intent.bytes, &self.matrices, &self.plan) {
            Ok(pending) => pending,
            Err(error) => return own.with("unreadable", error.to_string()),
        };
        let notice = &pending.notice;
        let own = own.with("contact", &*notice.to).with("medium", json!(notice.medium));
        let own = own.with("level", notice.level.name()).with("reason", notice.reason.name());
        let own = own.with("incident", &*notice.incident).with("sequence", notice.sequence);
        match &pending.missed {
            Some((missed, ..)) => own.with("instead_of", &**missed),
            None => own,
        }
    }
}

fn operation(noted: Noted) -> (&'static str, Fields) {
    match noted {
        Noted::Asked { at, operation, link_of, .. } => {
            let own = Fields::default().with("asked_at", time(Timestamp(at)));
            let own = own.with_all(serde_json::to_value(operation).unwrap_or_default());
            ("asked", if let Some(link_of) = link_of { own.with("link_of", &*link_of) } else { own })
        }
        Noted::Line(line) => {
            let mut line = serde_json::from_str(&line).unwrap_or(Value::String(line));
            // Beside it stands when the broker took it.
            let at = line.as_object_mut().and_then(|fields| fields.remove("time"));
            ("noted", Fields::default().with("asked_at", at).with_all(line))
        }
    }
}

fn line(log: Log, came: &Came, kind: &'static str, verdict: Verdict, own: Fields, notices: Vec<Fields>) -> Line {
    let fields = Fields::default().with("kind", kind).with("log", log.name()).with("position", came.position.0);
    let fields = fields.with("time", came.at.map(time));
    let (fields, said) = match verdict {
        Some(Ok(())) => (fields.with("counts", true), String::new()),
        Some(Err(why)) => (fields.with("counts", false).with("why", why), format!(" NOT COUNTED: {why},")),
        None => (fields.with("counts", Value::Null), " not judged,".to_owned()),
    };
    let at = came.at.map_or_else(|| "-".to_owned(), time);
    Line { head: format!("{:>8}  {at:<24}  {kind}{said}", came.position.0), fields, own, notices }
}

fn fate_name(fate: Fate) -> &'static str {
    match fate {
        Fate::Sent => "sent",
        Fate::Refused => "refused",
        Fate::GaveUp => "gave_up",
        Fate::Superseded => "superseded",
        Fate::Dropped => "dropped",
    }
}

/// Of claims and snapshots, which are drawn at random.
pub fn hex(number: u64) -> String {
    format!("{number:016x}")
}

fn after_of(after: Claim) -> String {
    if after == Claim::NOBODY { "nobody".to_owned() } else { hex(after.0) }
}

pub fn time(at: Timestamp) -> String {
    format!("{:.3}", at.to_jiff())
}
