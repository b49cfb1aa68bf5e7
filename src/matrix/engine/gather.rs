//! What goes off together is told together: one mail for the cases of a row or of a queue, at each address.
//!
//! A row with `group` hands its notices by mail to a gathering instead of to the person. The first of them opens it. What
//! has come `wait` later is one mail, and so is everything that changes afterwards, `wait` after the first such change: a
//! thread of its own, until the last of its incidents has been told to be over. The model is Alertmanager's `group_by`
//! and `group_wait`; there is no `group_interval`, because what comes later waits no longer than what came first.
//!
//! | situation | what it means |
//! |---|---|
//! | a case goes off | its notice waits for the mail that is due; if none is, one is due `wait` later. A row with a shorter `wait` that joins brings it forward |
//! | a critical | waits as the others do: `wait` says how late it may come |
//! | its `wait` | the shortest that a row of it had when its case came in, as long as the gathering lasts |
//! | it changes while it waits | of an incident only the newest notice is told |
//! | it goes off and recovers within `wait` | it is not told at all at this address |
//! | worse, better, escalation, repeat, recovered afterwards | in the same thread, `wait` after the first of them. A repeat or a step is gathered at the address that it goes to |
//! | one notice is all that the mail has | it is a mail of the gathering all the same: others may join its thread |
//! | a level of the whole | the worst that any of its open incidents was last told at; another level is another subject |
//! | the last incident is over | the mail says so, and the gathering ends; what goes off afterwards opens another |
//! | an incident that was told before by itself | goes on by itself: it stays in the thread that it is in |
//! | quiet hours | a notice comes here when they let it go, so that their end is one mail; one that is to be told in them after all waits for their end |
//! | silenced, or hours closed, while it waits | it goes back to wait in `hold` for what is told afterwards |
//! | acknowledged while it waits | it is told, and says by whom |
//! | the cap on mails | the mail counts once, and is never held back where one of its notices would not be; held back, its notices are told one by one |
//! | its row is gone, or other matrices are in force | it goes on as it began; new incidents go by the new rows |
//! | acknowledgement of the gathering | every open incident that has been told in it |
//! | a feed that is frozen | is of no row, and so is never gathered |
//! | a webhook | is never gathered: what receives it groups by single alerts |

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::hold::{Place, Stands};
use super::marked::Marked;
use super::shape::Shape;
use super::{Acknowledged, Notification, Transition};
use crate::domain::{Millis, Timestamp};
use crate::matrix::{By, Group, Level, Medium};

mod snapshot;

/// For how long a mail waits where nobody says so.
pub const GATHER_WAIT: Millis = Millis(20_000);

/// What the mail of a gathering tells.
#[derive(Clone, Debug)]
pub struct Gathered {
    pub by: By,
    /// Of each incident the newest notice, the worst first, then by place.
    pub notices: Vec<Notification>,
    /// The further incidents that are open and were told before: the worst first, then by place.
    pub others: Vec<Other>,
    pub entry: Entry,
}

/// An incident of a gathering that is not in its mail.
#[derive(Clone, Debug)]
pub struct Other {
    /// What was last told of it.
    pub last: Arc<Transition>,
    pub acknowledged: Option<Acknowledged>,
}

/// How a gathering stood when it took its level. Its subject is made of this, so that it stays while the level lasts.
#[derive(Clone, Debug)]
pub struct Entry {
    pub level: Level,
    /// How many incidents were open then; where none is, how many there were in all.
    pub cases: u32,
    /// The worst of them, as it was last told: of this mail where it has one of that level.
    pub worst: Arc<Transition>,
}

/// Which cases are gathered, and for whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Circle {
    matrix: Arc<str>,
    of: Of,
    to: Arc<str>,
    medium: Medium,
    address: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Of {
    /// The row as its file means it: the file may be edited while the gathering is open.
    Row(String),
    /// `None` is of roll-ups over queues.
    Queue(Option<Arc<str>>),
}

#[derive(Clone, Debug)]
struct Gathering {
    id: Arc<str>,
    /// Numbers its mails from 1.
    sequence: u32,
    entry: Option<Entry>,
    wait: Millis,
    /// What was last told of each of its incidents that were not told to be over.
    open: Marked<Arc<str>, Arc<Transition>>,
    /// How many have ever been told in it.
    ever: u32,
    /// When the next mail goes out, and what is in it so far, by incident.
    due: Option<Timestamp>,
    waiting: Marked<Arc<str>, Notification>,
}

/// The gatherings that are open, and where each incident belongs.
#[derive(Clone, Debug, Default)]
pub(super) struct Gather {
    open: Marked<Arc<Circle>, Gathering>,
    members: BTreeMap<Place, Arc<Circle>>,
}

impl Circle {
    /// `None` where the notice is not to be gathered.
    fn of(notice: &Notification) -> Option<Circle> {
        let Transition { matrix, key, .. } = &*notice.transition;
        let group = group(notice)?;
        let of = match group.by {
            By::Row => Of::Row(Shape::new(matrix, matrix.rows.get(notice.transition.row)?).identity()),
            By::Queue => Of::Queue(key.queue.clone()),
        };
        let Notification { to, medium, address, .. } = notice;
        Some(Circle { matrix: matrix.name.clone(), of, to: to.clone(), medium: *medium, address: address.clone() })
    }

    fn by(&self) -> By {
        match self.of {
            Of::Row(_) => By::Row,
            Of::Queue(_) => By::Queue,
        }
    }
}

/// What the row of a notice says of gathering, if the notice can be gathered.
fn group(notice: &Notification) -> Option<Group> {
    if notice.medium != Medium::Email {
        return None;
    }
    notice.transition.matrix.rows.get(notice.transition.row)?.group
}

impl Gathering {
    /// Named after the incident that opens it and the instant: an incident that was silenced before it was told may open
    /// another. A replay after a crash gives the same name.
    fn new(first: &Place, wait: Millis, now: Timestamp) -> Gathering {
        let Place { incident, to, medium, address } = first;
        let id = format!("gathering\u{1f}{incident}\u{1f}{to}\u{1f}{medium:?}\u{1f}{address}\u{1f}{}", now.0);
        let id = format!("{:032x}", xxhash_rust::xxh3::xxh3_128(id.as_bytes())).into();
        let (open, waiting) = (Marked::default(), Marked::default());
        Gathering { id, sequence: 0, entry: None, wait, open, ever: 0, due: None, waiting }
    }
}

impl Gather {
    /// Takes in a notice that may be told at `now`, or gives it back to be told by itself. `told` says whether anything of
    /// its incident has been told at this address.
    pub fn take(
        &mut self,
        place: Place,
        notice: Notification,
        told: bool,
        now: Timestamp,
    ) -> Option<(Place, Notification)> {
        let (circle, joins) = match self.members.get(&place) {
            Some(circle) => (circle.clone(), None),
            None if told || notice.level == Level::Ok => return Some((place, notice)),
            None => match (Circle::of(&notice), group(&notice)) {
                (Some(circle), Some(group)) => {
                    let own = self.open.get_key_value(&circle).map(|(own, _)| own.clone());
                    (own.unwrap_or_else(|| Arc::new(circle)), Some(group.wait))
                }
                _ => return Some((place, notice)),
            },
        };
        let untold = self.open.get(&circle).is_none_or(|gathering| !gathering.open.contains_key(&place.incident));
        if untold && notice.level == Level::Ok {
            self.forget(&place);
            return None;
        }
        let wait = joins.unwrap_or(GATHER_WAIT);
        let gathering = self.open.get_or_insert_with(circle.clone(), || Gathering::new(&place, wait, now));
        gathering.wait = joins.map_or(gathering.wait, |wait| wait.min(gathering.wait));
        let due = now + gathering.wait;
        gathering.due = Some(gathering.due.map_or(due, |before| before.min(due)));
        gathering.waiting.insert(place.incident.clone(), notice);
        self.members.entry(place).or_insert(circle);
        None
    }

    /// Nothing of the incident is to be told at this address any more.
    pub fn forget(&mut self, place: &Place) {
        let Some(circle) = self.members.remove(place) else { return };
        if let Some(gathering) = self.open.get_mut(&circle) {
            gathering.waiting.remove(&place.incident);
            gathering.open.remove(&place.incident);
        }
        self.tidy(&circle);
    }

    /// A mail with nothing in it is not due, and a gathering without incidents is none.
    fn tidy(&mut self, circle: &Arc<Circle>) {
        let Some(gathering) = self.open.get_mut(circle) else { return };
        if gathering.waiting.is_empty() {
            gathering.due = None;
            if gathering.open.is_empty() {
                self.open.remove(circle);
            }
        }
    }

    /// Whose mails are due at `now`.
    pub fn due(&self, now: Timestamp) -> Vec<Arc<Circle>> {
        let due = self.open.iter().filter(|(_, gathering)| gathering.due.is_some_and(|due| due <= now));
        due.map(|(circle, _)| circle.clone()).collect()
    }

    /// What waits for the mail of a circle, to be looked at once more.
    pub fn waiting(&mut self, circle: &Arc<Circle>) -> impl Iterator<Item = &mut Notification> {
        self.open.get_mut(circle).into_iter().flat_map(|gathering| gathering.waiting.values_mut())
    }

    /// What waits of an incident may not be told now. If nothing of it has been told, it need not come back to this
    /// gathering.
    pub fn withdraw(&mut self, place: &Place) -> Option<Notification> {
        let circle = self.members.get(place)?.clone();
        let gathering = self.open.get_mut(&circle)?;
        let waited = gathering.waiting.remove(&place.incident);
        match gathering.open.contains_key(&place.incident) {
            false => self.forget(place),
            true => self.tidy(&circle),
        }
        waited
    }

    /// The notices of a mail that is due, as of `now`: the worst first, then by place.
    pub fn notices(&mut self, circle: &Arc<Circle>, now: Timestamp) -> Vec<(Place, Notification)> {
        let Some(gathering) = self.open.get_mut(circle) else { return Vec::new() };
        gathering.due = None;
        let waiting = gathering.waiting.take().into_values();
        let mut notices: Vec<(Place, Notification)> =
            waiting.map(|notice| (Place::of(&notice), Notification { time: now, ..notice })).collect();
        notices.sort_by(|(_, a), (_, b)| {
            let by_place = || a.transition.key.cmp(&b.transition.key);
            let by_row = || (a.transition.row, &a.incident).cmp(&(b.transition.row, &b.incident));
            b.level.cmp(&a.level).then_with(by_place).then_with(by_row)
        });
        notices
    }

    /// Notes what is told, or held back by the cap if it is not `admitted`, and makes the mail of it. `standing` is `None` for
    /// an incident that is over.
    pub fn tell(
        &mut self,
        circle: &Arc<Circle>,
        notices: Vec<(Place, Notification)>,
        admitted: bool,
        standing: &dyn Fn(&str) -> Option<Stands>,
    ) -> Option<Notification> {
        let gathering = self.open.get_mut(circle)?;
        for (place, notice) in &notices {
            let told = match notice.level {
                Level::Ok => {
                    self.members.remove(place);
                    gathering.open.remove(&place.incident)
                }
                _ => gathering.open.insert(place.incident.clone(), notice.transition.clone()),
            };
            gathering.ever += u32::from(told.is_none());
        }
        let notices: Vec<Notification> = notices.into_iter().map(|(_, notice)| notice).collect();
        let mail = if admitted { gathering.mail(circle, notices, standing) } else { None };
        self.tidy(circle);
        mail
    }

    /// The ids of the open gatherings.
    pub fn ids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.open.values().map(|gathering| &gathering.id)
    }

    /// The open incidents that have been told in the gathering of that id, sorted, each at its address.
    pub fn incidents_of(&self, id: &str) -> Option<impl Iterator<Item = Place>> {
        let (circle, gathering) = self.open.iter().find(|(_, gathering)| *gathering.id == *id)?;
        let Circle { to, medium, address, .. } = &**circle;
        let place = |incident: &Arc<str>| Place {
            incident: incident.clone(),
            to: to.clone(),
            medium: *medium,
            address: address.clone(),
        };
        Some(gathering.open.keys().map(place))
    }
}

impl Gathering {
    fn mail(
        &mut self,
        circle: &Circle,
        notices: Vec<Notification>,
        standing: &dyn Fn(&str) -> Option<Stands>,
    ) -> Option<Notification> {
        let first = notices.first()?.clone();
        // What is over, and may be told so later only, is not open.
        let open = self.open.values().filter_map(|last| Some((last, standing(&last.incident)?)));
        let mut open: Vec<(&Arc<Transition>, Stands)> = open.collect();
        open.sort_by_cached_key(|(last, _)| (Reverse(last.to), last.key.clone(), last.row, last.incident.clone()));
        let level = open.first().map_or(Level::Ok, |(worst, _)| worst.to);
        let entry = match self.entry.take() {
            Some(entry) if entry.level == level => entry,
            _ => {
                let cases = if level == Level::Ok { self.ever } else { u32::try_from(open.len()).unwrap_or(u32::MAX) };
                let before = open.first().filter(|_| first.level < level);
                Entry { level, cases, worst: before.map_or(&first.transition, |(worst, _)| worst).clone() }
            }
        };
        let told: BTreeSet<&Arc<str>> = notices.iter().map(|notice| &notice.incident).collect();
        let others = open.into_iter().filter(|(last, _)| !told.contains(&last.incident));
        let others =
            others.map(|(last, stands)| Other { last: last.clone(), acknowledged: stands.acknowledged }).collect();
        let gathered = Gathered { by: circle.by(), notices, others, entry: entry.clone() };
        self.entry = Some(entry);
        self.sequence += 1;
        Some(Notification {
            incident: self.id.clone(),
            sequence: self.sequence,
            gathered: Some(Arc::new(gathered)),
            held_since: None,
            acknowledged: None,
            ..first
        })
    }
}
