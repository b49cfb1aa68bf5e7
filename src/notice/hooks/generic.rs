//! The body of the `generic` webhook: `{"type":"alert","timestamp",...,"data":{...}}` of Standard Webhooks.
//!
//! `data` is the notification record with what it is about. Numbers and bounds are exact and as written in the matrix,
//! not as people read them: programs take them.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::json;

use crate::records::{number, write_place};

use super::Said;
use crate::notice::range_of;

pub(super) fn body(said: &Said<'_>) -> String {
    let alert = Alert { kind: "alert", timestamp: said.notification.time.to_string(), data: Data(said) };
    // Its parts are strings and finite numbers under string keys, which serde_json always writes.
    serde_json::to_string(&alert).unwrap_or_default()
}

#[derive(Serialize)]
struct Alert<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    data: Data<'a>,
}

struct Data<'a>(&'a Said<'a>);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Said { notification, facts, missed, late, context } = self.0;
        let transition = &notification.transition;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", "notification")?;
        map.serialize_entry("time", &notification.time)?;
        map.serialize_entry("incident", &notification.incident)?;
        map.serialize_entry("sequence", &notification.sequence)?;
        map.serialize_entry("to", &notification.to)?;
        map.serialize_entry("medium", &notification.medium)?;
        map.serialize_entry("level", &notification.level)?;
        map.serialize_entry("reason", notification.reason.name())?;
        map.serialize_entry("matrix", &transition.matrix.name)?;
        write_place(&mut map, &transition.key, &transition.selector, context.plan)?;
        map.serialize_entry("from", &transition.from)?;
        map.serialize_entry("value", &notification.value.filter(|value| value.is_finite()).map(number))?;
        map.serialize_entry("goal", &range_of(notification).map(|(row, _)| &row.goal.text))?;
        map.serialize_entry("range", &transition.range_text())?;
        map.serialize_entry("samples", &number(notification.samples))?;
        map.serialize_entry("action", &facts.action)?;
        map.serialize_entry("value_time", &notification.value_time)?;
        map.serialize_entry("since", &notification.since)?;
        map.serialize_entry("told", &*notification.told)?;
        if let Some(around) = &notification.around {
            let agents = around.agents.iter().map(|(state, count)| (state.name(), number(*count)));
            let agents = (!around.agents.is_empty()).then(|| agents.collect::<std::collections::BTreeMap<_, _>>());
            let (waiting, oldest) = (around.waiting.map(number), around.oldest_wait.map(number));
            let around = json!({ "waiting": waiting, "oldest_wait": oldest, "agents": agents });
            map.serialize_entry("around", &around)?;
        }
        if context.test {
            map.serialize_entry("test", &true)?;
        }
        if *late {
            map.serialize_entry("late", &true)?;
        }
        if context.restarted {
            map.serialize_entry("restarted", &true)?;
        }
        if let Some(missed) = missed {
            map.serialize_entry("missed", &missed.contact)?;
            map.serialize_entry("missed_medium", &missed.medium)?;
            map.serialize_entry("missed_why", &missed.why)?;
        }
        map.end()
    }
}
