//! The gatherings in bytes; `engine::items` has the layout.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Circle, Entry, Gather, Gathering};
use crate::matrix::engine::hold::{Place, WrittenNotice, WrittenTransition};
use crate::matrix::engine::items::{Changes, Items, Of, bytes, hash, read};
use crate::matrix::engine::snapshot::{at, length};
use crate::matrix::engine::{Notification, Transition};
use crate::matrix::{Level, Matrix};
use crate::plan::Plan;
use crate::snapshot::{SnapshotError, ensure};

/// Times are epoch milliseconds.
#[derive(Serialize, Deserialize)]
struct WrittenGathering {
    circle: Circle,
    id: Arc<str>,
    sequence: u32,
    entry: Option<(Level, u32, WrittenTransition)>,
    wait: i64,
    ever: u32,
    due: Option<i64>,
}

/// Of a gathering's items: itself, what waits, what was told of each of its incidents.
const HEAD: &[u8] = &[0];
const WAITING: &[u8] = &[1];
const TOLD: &[u8] = &[2];

fn waiting(notice: &Notification, plan: &Plan) -> Vec<u8> {
    bytes(&WrittenNotice::of(&Place::of(notice), notice, plan))
}

fn told(last: &Transition, plan: &Plan) -> Vec<u8> {
    bytes(&WrittenTransition::of(last, plan))
}

impl Gather {
    pub fn items(&self, plan: &Plan, put: &mut dyn FnMut(Vec<u8>, Vec<u8>)) {
        for (circle, gathering) in self.open.iter() {
            gathering.items(circle, plan, put);
        }
    }

    pub fn changes(&mut self, changes: &mut Changes<'_>) {
        for circle in self.open.touched() {
            let (plan, name) = (changes.plan, hash(&*circle));
            // Asking what has changed in it changes nothing of it.
            match self.open.unmarked(&circle) {
                Some(gathering) if gathering.is_watched() => {
                    changes.item(Of::Gathering.name(&[&name, HEAD]), Some(gathering.head(&circle, plan)));
                    for incident in gathering.waiting.touched() {
                        let one = gathering.waiting.get(&incident).map(|one| waiting(one, plan));
                        changes.item(Of::Gathering.name(&[&name, WAITING, incident.as_bytes()]), one);
                    }
                    for incident in gathering.open.touched() {
                        let last = gathering.open.get(&incident).map(|last| told(last, plan));
                        changes.item(Of::Gathering.name(&[&name, TOLD, incident.as_bytes()]), last);
                    }
                }
                other => {
                    let mut items = Items::new();
                    if let Some(gathering) = other {
                        gathering.items(&circle, plan, &mut |name, value| drop(items.insert(name, value)));
                        gathering.watch();
                    }
                    changes.all(&Of::Gathering.name(&[&name]), items.into_iter());
                }
            }
        }
    }

    pub fn is_watched(&self) -> bool {
        self.open.is_watched()
    }

    pub fn watch(&mut self) {
        self.open.values_mut().for_each(Gathering::watch);
        self.open.touched();
    }

    pub fn of_items(items: &Items, matrices: &[Arc<Matrix>], plan: &Plan) -> Result<Gather, SnapshotError> {
        let mut gather = Gather::default();
        let mut rest = Of::Gathering.all(items, &[]).peekable();
        while let Some((name, value)) = rest.next() {
            let (name, part) = name.split_at_checked(16).ok_or(SnapshotError::Invalid("name of a gathering"))?;
            ensure(part == HEAD, "name of a gathering")?;
            let written: WrittenGathering = read(value, "gathering")?;
            ensure(hash(&written.circle) == *name, "circle of a gathering")?;
            let circle = Arc::new(written.circle);
            let entry = written
                .entry
                .map(|(level, cases, worst)| Ok(Entry { level, cases, worst: Arc::new(worst.again(matrices, plan)?) }));
            let mut gathering = Gathering {
                id: written.id,
                sequence: written.sequence,
                entry: entry.transpose()?,
                wait: length(written.wait)?,
                open: Default::default(),
                ever: written.ever,
                due: at(written.due)?,
                waiting: Default::default(),
            };
            let of_it = |(other, _): &(&[u8], &[u8])| other.starts_with(name);
            while let Some((other, value)) = rest.next_if(of_it) {
                let place = match other.get(16..17) {
                    Some(WAITING) => {
                        let (place, notice) = read::<WrittenNotice>(value, "gathered notice")?.again(matrices, plan)?;
                        gathering.waiting.insert(place.incident.clone(), notice);
                        place
                    }
                    Some(TOLD) => {
                        let last = read::<WrittenTransition>(value, "gathered incident")?.again(matrices, plan)?;
                        let Circle { to, medium, address, .. } = &*circle;
                        let (to, address, incident) = (to.clone(), address.clone(), last.incident.clone());
                        gathering.open.insert(incident.clone(), Arc::new(last));
                        Place { incident, to, medium: *medium, address }
                    }
                    _ => return Err(SnapshotError::Invalid("name of a gathering")),
                };
                let before = gather.members.insert(place, circle.clone());
                ensure(before.is_none_or(|before| before == circle), "incidents of gatherings")?;
            }
            gather.open.insert(circle, gathering);
        }
        Ok(gather)
    }
}

impl Gathering {
    fn head(&self, circle: &Circle, plan: &Plan) -> Vec<u8> {
        let Gathering { id, sequence, entry, wait, ever, due, open: _, waiting: _ } = self;
        bytes(&WrittenGathering {
            circle: circle.clone(),
            id: id.clone(),
            sequence: *sequence,
            entry: entry.as_ref().map(|entry| {
                let Entry { level, cases, worst } = entry;
                (*level, *cases, WrittenTransition::of(worst, plan))
            }),
            wait: wait.0,
            ever: *ever,
            due: due.map(|due| due.0),
        })
    }

    fn items(&self, circle: &Circle, plan: &Plan, put: &mut dyn FnMut(Vec<u8>, Vec<u8>)) {
        let name = hash(circle);
        put(Of::Gathering.name(&[&name, HEAD]), self.head(circle, plan));
        for (incident, one) in self.waiting.iter() {
            put(Of::Gathering.name(&[&name, WAITING, incident.as_bytes()]), waiting(one, plan));
        }
        for (incident, last) in self.open.iter() {
            put(Of::Gathering.name(&[&name, TOLD, incident.as_bytes()]), told(last, plan));
        }
    }

    fn is_watched(&self) -> bool {
        self.open.is_watched() && self.waiting.is_watched()
    }

    fn watch(&mut self) {
        self.open.touched();
        self.waiting.touched();
    }
}
