//! A case under another version of its row; `engine::reload` has the rules.

use std::sync::Arc;

use super::super::flapping::Said;
use super::super::incident::Change;
use super::super::operations::{Names, Silences};
use super::super::shape::Shape;
use super::super::{Reason, Tick, Transition};
use super::{Case, Level, NoData, Track};
use crate::domain::Timestamp;
use crate::plan::Plan;

impl Case {
    pub fn is_open(&self) -> bool {
        self.incident.is_some()
    }

    /// Goes on under `track`, from a row of the shape `old`. `false` if the plan keeps no such number: then it is as before.
    pub fn fit(&mut self, track: &Track, old: &Shape, plan: &Plan, ticked: Option<Timestamp>) -> bool {
        let Some(selector) = track.selector(&self.key, plan) else { return false };
        (self.selector, self.place, self.version) = (selector, None, None);
        if (&old.ranges, old.margin) != (&track.shape.ranges, track.shape.margin) {
            self.evidence.fit(old, &track.shape);
        }
        if old.hours != track.shape.hours {
            self.fit_hours(track, ticked);
        }
        let range = self.fit_range(track, old);
        self.range = range.unwrap_or_default();
        if let Some(incident) = &mut self.incident {
            incident.removed = range.is_none();
            incident.belong_to(&track.matrix, track.index, self.range, selector);
        }
        true
    }

    /// The range of its level in the new row; `None` if the row has no such level.
    fn fit_range(&self, track: &Track, old: &Shape) -> Option<Option<usize>> {
        let row = track.row();
        let same = self.range.and_then(|range| track.shape.range_like(old.ranges.get(range)?));
        let raised = || matches!(&row.no_data, NoData::Raise { level, .. } if *level == self.level);
        if self.level == Level::Ok || same.is_some() || (self.range.is_none() && raised()) {
            return Some(same);
        }
        let of_level = row.ranges.iter().enumerate().filter(|(_, range)| range.level == self.level);
        let value = self.judged.and_then(|(_, reading)| reading.value).unwrap_or_default();
        let near = of_level.map(|(index, range)| (range.bounds.distance(value), index));
        near.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, index)| Some(index))
    }

    /// The hours are others. Where the row was open and still is, nothing has opened.
    fn fit_hours(&mut self, track: &Track, ticked: Option<Timestamp>) {
        let stretch = |at| Some((at, track.row().calendar.stretch(at))).filter(|(_, stretch)| stretch.open);
        let open = ticked.and_then(stretch);
        self.opened = open.filter(|_| !self.closed).and_then(|(_, stretch)| stretch.since);
        if let Some((at, _)) = open.filter(|_| self.closed) {
            // Here and not at the next tick: if it is always open now, no opening will come.
            self.evidence.forget();
            if let Some(incident) = &mut self.incident {
                incident.carry(at);
            }
        }
    }

    /// No row follows it any more.
    pub fn end(self, silences: &Silences, now: Timestamp, tick: &mut Tick) {
        let news = self.news(now);
        let Some(mut incident) = self.incident else { return };
        let last = incident.last.clone();
        let transition = Transition {
            time: now,
            range: None,
            selector: self.selector,
            from: self.level,
            to: Level::Ok,
            value: self.reading.value,
            samples: self.reading.samples,
            reason: Reason::Removed,
            ..(*last).clone()
        };
        let transition = Arc::new(transition);
        tick.transitions.push(transition.clone());
        let names = Names {
            matrix: &last.matrix.name,
            indicator: self.selector.indicator.name,
            queue: self.key.queue.as_deref(),
            channel: self.key.channel.as_deref(),
            window: None,
        };
        let change = Change { transition, tell: Vec::new(), said: Said::AsEver, silences, names };
        incident.take_level(change, news, tick);
    }
}
