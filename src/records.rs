//! The JSON records of section "commands" of the documentation: one shape for `backtest`'s lines, the API and webhooks.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::domain::{Key, Timestamp};
use crate::indicators::{Reading, Selector};
use crate::matrix::engine::{Notification, Transition};
use crate::plan::Plan;

/// `{"kind":"indicator", ...}`
pub struct IndicatorRecord<'a> {
    pub time: Timestamp,
    pub key: &'a Key,
    pub selector: &'a Selector,
    pub reading: Reading,
    pub plan: &'a Plan,
}

/// `{"kind":"transition", ...}`
pub struct TransitionRecord<'a> {
    pub transition: &'a Transition,
    pub plan: &'a Plan,
}

/// `{"kind":"notification", ...}`
pub struct NotificationRecord<'a> {
    pub notification: &'a Notification,
    /// The id of the gathering in whose mail it was told.
    pub gathering: Option<&'a str>,
}

impl<'a> NotificationRecord<'a> {
    /// Of each notice that a notification tells: several where it is the mail of a gathering.
    pub fn each(told: &'a Notification) -> impl Iterator<Item = NotificationRecord<'a>> {
        let gathering = told.gathered.is_some().then_some(&*told.incident);
        told.each().iter().map(move |notification| NotificationRecord { notification, gathering })
    }
}

/// A number as people expect it in JSON: whole ones without a fraction.
pub fn number(value: f64) -> serde_json::Value {
    if value.fract() == 0.0 && value.abs() < 9e15 {
        serde_json::Value::from(value as i64)
    } else {
        serde_json::Value::from(value)
    }
}

/// `queue`, `channel`, `window`, `indicator` and its labels; what is rolled over or absent is left out.
pub fn write_place<M: SerializeMap>(map: &mut M, key: &Key, selector: &Selector, plan: &Plan) -> Result<(), M::Error> {
    if let Some(queue) = &key.queue {
        map.serialize_entry("queue", queue)?;
    }
    if let Some(channel) = &key.channel {
        map.serialize_entry("channel", channel)?;
    }
    if let Some(window) = selector.window.and_then(|index| plan.windows.get(index)) {
        map.serialize_entry("window", &window.label)?;
    }
    map.serialize_entry("indicator", selector.indicator.name)?;
    for (name, value) in selector.labels.pairs(plan) {
        map.serialize_entry(name, value)?;
    }
    Ok(())
}

impl Serialize for IndicatorRecord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", "indicator")?;
        map.serialize_entry("time", &self.time)?;
        write_place(&mut map, self.key, self.selector, self.plan)?;
        map.serialize_entry("value", &self.reading.value.map(number))?;
        map.serialize_entry("samples", &number(self.reading.samples))?;
        map.end()
    }
}

/// The fields of a transition, without `kind` and the end of the map, for those that add to them.
pub fn write_transition<M: SerializeMap>(map: &mut M, transition: &Transition, plan: &Plan) -> Result<(), M::Error> {
    map.serialize_entry("time", &transition.time)?;
    map.serialize_entry("matrix", &transition.matrix.name)?;
    write_place(map, &transition.key, &transition.selector, plan)?;
    if let Some(source) = &transition.source {
        map.serialize_entry("source", source)?;
    }
    map.serialize_entry("from", &transition.from)?;
    map.serialize_entry("to", &transition.to)?;
    map.serialize_entry("range", &transition.range_text())?;
    map.serialize_entry("value", &transition.value.map(number))?;
    map.serialize_entry("samples", &number(transition.samples))?;
    map.serialize_entry("reason", transition.reason.name())?;
    map.serialize_entry("incident", &transition.incident)
}

impl Serialize for TransitionRecord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", "transition")?;
        write_transition(&mut map, self.transition, self.plan)?;
        map.end()
    }
}

impl Serialize for NotificationRecord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", "notification")?;
        map.serialize_entry("time", &self.notification.time)?;
        map.serialize_entry("incident", &self.notification.incident)?;
        map.serialize_entry("sequence", &self.notification.sequence)?;
        map.serialize_entry("to", &self.notification.to)?;
        map.serialize_entry("medium", &self.notification.medium)?;
        map.serialize_entry("level", &self.notification.level)?;
        map.serialize_entry("reason", self.notification.reason.name())?;
        if let Some(gathering) = self.gathering {
            map.serialize_entry("gathering", gathering)?;
        }
        map.end()
    }
}
