//! An open case as the API and the page show it: the record of its last transition and how it stands now.

use std::sync::Arc;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::matrix::NoData;
use crate::matrix::engine::{OpenCase, Transition};
use crate::plan::Plan;
use crate::records::{number, write_transition};

/// Renders the action of a case as people read it; `None` where its range has none.
pub type RenderAction = Arc<dyn Fn(&OpenCase) -> Option<String> + Send + Sync>;

/// The action as its row writes it, placeholders and all: what is shown where no renderer is given.
pub fn written_action(case: &OpenCase) -> Option<String> {
    let transition: &Transition = &case.last;
    let row = transition.matrix.rows.get(transition.row)?;
    let action = match transition.range {
        Some(range) => row.ranges.get(range)?.action.clone(),
        None => match &row.no_data {
            NoData::Raise { action, .. } => action.clone(),
            NoData::Keep | NoData::Ok => None,
        },
    };
    action.map(|action| action.to_string())
}

/// `{"kind":"transition", ..., "since", "acknowledged", "silenced", "goal", "action", "value_now", ...}`
pub struct AlertRecord<'a> {
    pub case: &'a OpenCase,
    pub plan: &'a Plan,
    pub action: Option<String>,
}

impl Serialize for AlertRecord<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let case = self.case;
        let row = case.last.matrix.rows.get(case.last.row);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", "transition")?;
        write_transition(&mut map, &case.last, self.plan)?;
        map.serialize_entry("since", &case.since)?;
        map.serialize_entry("acknowledged", &case.acknowledged)?;
        map.serialize_entry("silenced", &case.silenced)?;
        map.serialize_entry("frozen", &case.frozen)?;
        map.serialize_entry("closed_hours", &case.closed_hours)?;
        map.serialize_entry("goal", &row.map(|row| &*row.goal.text))?;
        map.serialize_entry("action", &self.action)?;
        map.serialize_entry("unit", &case.last.selector.indicator.unit)?;
        map.serialize_entry("value_now", &case.value.map(number))?;
        map.serialize_entry("samples_now", &number(case.samples))?;
        map.end()
    }
}
