//! The notices that wait, in bytes; `engine::items` has the layout.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::cap::{Cap, Hour, More};
use super::{Hold, Place, Queue, Waiting};
use crate::domain::Key;
use crate::matrix::engine::flapping::Flaps;
use crate::matrix::engine::gather::Gather;
use crate::matrix::engine::items::{Changes, Items, Of, bytes, read, text};
use crate::matrix::engine::reload::Named;
use crate::matrix::engine::snapshot::{WrittenMatrix, at, at_last, length};
use crate::matrix::engine::{Acknowledged, Notification, Reason, Transition, feeds};
use crate::matrix::{Level, Matrix};
use crate::plan::Plan;
use crate::snapshot::{SnapshotError, ensure};

/// Of an address: since when its hour runs, how many mails it had, what is held back.
#[derive(Serialize, Deserialize)]
struct WrittenHour {
    since: i64,
    sent: u32,
    more: Vec<(WrittenNotice, u32)>,
    beyond: u32,
}

/// Times are epoch milliseconds.
#[derive(Serialize, Deserialize)]
struct WrittenWaiting {
    until: i64,
    notice: WrittenNotice,
}

#[derive(Serialize, Deserialize)]
pub(in crate::matrix::engine) struct WrittenNotice {
    place: Place,
    time: i64,
    sequence: u32,
    level: Level,
    reason: Reason,
    value: Option<f64>,
    samples: f64,
    value_time: i64,
    told: Vec<Arc<str>>,
    since: i64,
    acknowledged: Option<Acknowledged>,
    unacknowledged: bool,
    silenced: Vec<Arc<str>>,
    flaps: Option<(u32, i64)>,
    ran: i64,
    muted: i64,
    held_since: Option<i64>,
    transition: WrittenTransition,
}

#[derive(Serialize, Deserialize)]
pub(in crate::matrix::engine) struct WrittenTransition {
    time: i64,
    matrix: WrittenMatrix,
    /// The row's place in its matrix, and its words: another row at the same place is not it.
    row: Option<(u64, String)>,
    range: Option<u64>,
    key: Key,
    number: Named,
    source: Option<Arc<str>>,
    from: Level,
    to: Level,
    value: Option<f64>,
    samples: f64,
    reason: Reason,
    incident: Arc<str>,
}

impl Hold {
    /// All of it as items.
    pub fn items(&self, plan: &Plan, put: &mut dyn FnMut(Vec<u8>, Vec<u8>)) {
        for (place, told) in self.told.iter() {
            put(told_name(place), bytes(told));
        }
        for (number, one) in self.waiting.all.iter() {
            put(waiting_name(*number), bytes(&WrittenWaiting::of(one, plan)));
        }
        for (address, hour) in self.cap.hours.iter() {
            put(hour_name(address), bytes(&WrittenHour::of(hour, plan)));
        }
        self.gather.items(plan, put);
    }

    /// Those that may have changed since the last time.
    pub fn changes(&mut self, changes: &mut Changes<'_>) {
        for place in self.told.touched() {
            changes.item(told_name(&place), self.told.get(&place).map(bytes));
        }
        for number in self.waiting.all.touched() {
            let one = self.waiting.all.get(&number).map(|one| bytes(&WrittenWaiting::of(one, changes.plan)));
            changes.item(waiting_name(number), one);
        }
        for address in self.cap.hours.touched() {
            let hour = self.cap.hours.get(&address).map(|hour| bytes(&WrittenHour::of(hour, changes.plan)));
            changes.item(hour_name(&address), hour);
        }
        self.gather.changes(changes);
    }

    pub fn is_watched(&self) -> bool {
        let Hold { waiting, told, gather, cap } = self;
        waiting.all.is_watched() && told.is_watched() && gather.is_watched() && cap.hours.is_watched()
    }

    pub fn watch(&mut self) {
        let Hold { waiting, told, gather, cap } = self;
        waiting.all.touched();
        told.touched();
        cap.hours.touched();
        gather.watch();
    }

    pub fn of_items(items: &Items, matrices: &[Arc<Matrix>], plan: &Plan) -> Result<Hold, SnapshotError> {
        let told =
            Of::Told.all(items, &[]).map(|(rest, value)| Ok((read(rest, "place")?, read(value, "who was told")?)));
        let hours = Of::Hour.all(items, &[]).map(|(rest, value)| {
            let hour: WrittenHour = read(value, "hour of an address")?;
            Ok((text(rest, "address")?, hour.again(matrices, plan)?))
        });
        let hours = hours.collect::<Result<_, SnapshotError>>()?;
        let mut waiting = Queue::default();
        for (rest, value) in Of::Waiting.all(items, &[]) {
            let number =
                rest.try_into().map(u64::from_be_bytes).map_err(|_| SnapshotError::Invalid("notices that wait"))?;
            let one: WrittenWaiting = read(value, "notice that waits")?;
            let (place, notice) = one.notice.again(matrices, plan)?;
            let before = waiting.numbers.insert(place.clone(), number);
            ensure(before.is_none() && number < u64::MAX, "notices that wait")?;
            waiting.all.insert(number, Waiting { place, notice, until: at_last(one.until)? });
        }
        Ok(Hold {
            waiting,
            told: told.collect::<Result<_, SnapshotError>>()?,
            gather: Gather::of_items(items, matrices, plan)?,
            cap: Cap { hours },
        })
    }
}

fn told_name(place: &Place) -> Vec<u8> {
    Of::Told.name(&[&bytes(place)])
}

fn waiting_name(number: u64) -> Vec<u8> {
    Of::Waiting.name(&[&number.to_be_bytes()])
}

fn hour_name(address: &str) -> Vec<u8> {
    Of::Hour.name(&[address.as_bytes()])
}

impl WrittenWaiting {
    fn of(one: &Waiting, plan: &Plan) -> Self {
        WrittenWaiting { until: one.until.0, notice: WrittenNotice::of(&one.place, &one.notice, plan) }
    }
}

impl WrittenHour {
    fn of(hour: &Hour, plan: &Plan) -> Self {
        let more = hour.more.iter().map(|more| (WrittenNotice::of(&more.place, &more.newest, plan), more.count));
        let (since, sent, beyond) = (hour.since.0, hour.sent, hour.beyond);
        WrittenHour { since, sent, more: more.collect(), beyond }
    }

    fn again(self, matrices: &[Arc<Matrix>], plan: &Plan) -> Result<Hour, SnapshotError> {
        let more = self.more.into_iter().map(|(written, count)| {
            let (place, newest) = written.again(matrices, plan)?;
            Ok(More { place, newest, count })
        });
        let more = more.collect::<Result<_, SnapshotError>>()?;
        Ok(Hour { since: at_last(self.since)?, sent: self.sent, more, beyond: self.beyond })
    }
}

impl WrittenNotice {
    pub fn of(place: &Place, notice: &Notification, plan: &Plan) -> Self {
        WrittenNotice {
            place: place.clone(),
            time: notice.time.0,
            sequence: notice.sequence,
            level: notice.level,
            reason: notice.reason,
            value: notice.value,
            samples: notice.samples,
            value_time: notice.value_time.0,
            told: notice.told.to_vec(),
            since: notice.since.0,
            acknowledged: notice.acknowledged.clone(),
            unacknowledged: notice.unacknowledged,
            silenced: notice.silenced.clone(),
            flaps: notice.flaps.map(|flaps| (flaps.changes, flaps.since.0)),
            ran: notice.ran.0,
            muted: notice.muted.0,
            held_since: notice.held_since.map(|at| at.0),
            transition: WrittenTransition::of(&notice.transition, plan),
        }
    }

    pub fn again(self, matrices: &[Arc<Matrix>], plan: &Plan) -> Result<(Place, Notification), SnapshotError> {
        let place = self.place;
        let flaps = self.flaps.map(|(changes, since)| Ok(Flaps { changes, since: at_last(since)? }));
        let notice = Notification {
            time: at_last(self.time)?,
            incident: place.incident.clone(),
            sequence: self.sequence,
            to: place.to.clone(),
            medium: place.medium,
            address: place.address.clone(),
            level: self.level,
            reason: self.reason,
            transition: Arc::new(self.transition.again(matrices, plan)?),
            value: self.value,
            samples: self.samples,
            value_time: at_last(self.value_time)?,
            told: self.told.into(),
            since: at_last(self.since)?,
            acknowledged: self.acknowledged,
            unacknowledged: self.unacknowledged,
            silenced: self.silenced,
            flaps: flaps.transpose()?,
            ran: length(self.ran)?,
            muted: length(self.muted)?,
            held_since: at(self.held_since)?,
            // Both are of the instant at which it is told.
            around: None,
            trend: None,
            held_back: None,
            gathered: None,
        };
        Ok((place, notice))
    }
}

impl WrittenTransition {
    pub fn of(transition: &Transition, plan: &Plan) -> Self {
        let row = transition.matrix.rows.get(transition.row);
        WrittenTransition {
            time: transition.time.0,
            matrix: WrittenMatrix::of(&transition.matrix),
            row: row.map(|row| (transition.row as u64, row.words())),
            range: transition.range.map(|range| range as u64),
            key: transition.key.clone(),
            number: Named::new(&transition.selector, plan),
            source: transition.source.clone(),
            from: transition.from,
            to: transition.to,
            value: transition.value,
            samples: transition.samples,
            reason: transition.reason,
            incident: transition.incident.clone(),
        }
    }

    pub fn again(self, matrices: &[Arc<Matrix>], plan: &Plan) -> Result<Transition, SnapshotError> {
        let selector = if self.source.is_some() { Some(feeds::selector()) } else { self.number.selector(plan) };
        ensure(selector.is_some(), "indicator of a notice")?;
        let matrix = self.matrix.of_name(matrices);
        let same =
            |(index, words): &(u64, String)| matrix.rows.get(*index as usize).is_some_and(|row| row.words() == *words);
        Ok(Transition {
            time: at_last(self.time)?,
            row: self.row.filter(same).map_or(Transition::NO_ROW, |(index, _)| index as usize),
            matrix,
            range: self.range.map(|range| range as usize),
            key: self.key,
            selector: selector.unwrap_or_else(feeds::selector),
            source: self.source,
            from: self.from,
            to: self.to,
            value: self.value,
            samples: self.samples,
            reason: self.reason,
            incident: self.incident,
        })
    }
}
