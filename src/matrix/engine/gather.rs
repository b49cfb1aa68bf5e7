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
//! | it changes while it waits | of an incident only the newest notice is told |
//! | it goes off and recovers within `wait` | it is not told at all at this address |
//! | worse, better, escalation, repeat, recovered afterwards | in the same thread, `wait` after the first of them. A repeat or a step is gathered at the address that it goes to |
//! | one notice is all that the mail has | it is a mail of the gathering all the same: others may join its thread |
//! | a level of the whole | the worst that any of its incidents was last told at; another level is another subject |
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

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::hold::Place;
use super::shape::Shape;
use super::{Notification, Transition};
use crate::domain::{Millis, Timestamp};
use crate::matrix::{By, Group, Level, Medium};

mod snapshot;

pub(super) use snapshot::WrittenGather;

/// For how long a mail waits where nobody says so.
pub const GATHER_WAIT: Millis = Millis(20_000);

/// What the mail of a gathering tells.
#[derive(Clone, Debug)]
pub struct Gathered {
    pub by: By,
    /// Of each incident the newest notice, the worst first, then by place.
    pub notices: Vec<Notification>,
    /// How many further incidents are open that were told before, by the level they were told at.
    pub others: BTreeMap<Level, u32>,
    pub entry: Entry,
}

/// How a gathering stood when it took its level. Its subject is made of this, so that it stays while the level lasts.
#[derive(Clone, Debug)]
pub struct Entry {
    pub level: Level,
    /// How many incidents were open then; where none is, how many there were in all.
    pub cases: u32,
    /// The worst that was told then; of a better level where the worst were told before.
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
    /// How many of its incidents were last told at each level.
    open: BTreeMap<Level, u32>,
    /// How many have ever been told in it.
    ever: u32,
    /// When the next mail goes out, and what is in it so far, by incident.
    due: Option<Timestamp>,
    waiting: BTreeMap<Arc<str>, Notification>,
}

/// An incident of a gathering.
#[derive(Clone, Debug)]
struct Member {
    circle: Arc<Circle>,
    /// The level that it was last told at; ok before anything is.
    told: Level,
}

/// The gatherings that are open, and where each incident belongs.
#[derive(Clone, Debug, Default)]
pub(super) struct Gather {
    open: BTreeMap<Arc<Circle>, Gathering>,
    members: BTreeMap<Place, Member>,
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
    /// Named after the incident that opens it, which is never used twice: a replay after a crash gives the same name.
    fn new(first: &Place) -> Gathering {
        let Place { incident, to, medium, address } = first;
        let id = format!("gathering\u{1f}{incident}\u{1f}{to}\u{1f}{medium:?}\u{1f}{address}");
        let id = format!("{:032x}", xxhash_rust::xxh3::xxh3_128(id.as_bytes())).into();
        let (open, waiting) = (BTreeMap::new(), BTreeMap::new());
        Gathering { id, sequence: 0, entry: None, open, ever: 0, due: None, waiting }
    }

    /// An incident that was told at `from` is told at `to`; ok is no incident.
    fn count(&mut self, from: Level, to: Level) {
        if from > Level::Ok
            && let Some(count) = self.open.get_mut(&from)
        {
            *count -= 1;
        }
        self.open.retain(|_, count| *count > 0);
        if to > Level::Ok {
            *self.open.entry(to).or_default() += 1;
        }
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
        let circle = match self.members.get(&place) {
            Some(member) => member.circle.clone(),
            None if told || notice.level == Level::Ok => return Some((place, notice)),
            None => match Circle::of(&notice) {
                Some(circle) => {
                    self.open.get_key_value(&circle).map_or_else(|| Arc::new(circle), |(own, _)| own.clone())
                }
                None => return Some((place, notice)),
            },
        };
        let untold = self.members.get(&place).is_none_or(|member| member.told == Level::Ok);
        if untold && notice.level == Level::Ok {
            self.forget(&place);
            return None;
        }
        let gathering = self.open.entry(circle.clone()).or_insert_with(|| Gathering::new(&place));
        let due = now + group(&notice).map_or(GATHER_WAIT, |group| group.wait);
        gathering.due = Some(gathering.due.map_or(due, |before| before.min(due)));
        gathering.waiting.insert(place.incident.clone(), notice);
        self.members.entry(place).or_insert(Member { circle, told: Level::Ok });
        None
    }

    /// Nothing of the incident is to be told at this address any more.
    pub fn forget(&mut self, place: &Place) {
        let Some(Member { circle, told }) = self.members.remove(place) else { return };
        if let Some(gathering) = self.open.get_mut(&circle) {
            gathering.waiting.remove(&place.incident);
            gathering.count(told, Level::Ok);
        }
        self.tidy(&circle);
    }

    /// A mail with nothing in it is not due, and a gathering without incidents is none.
    fn tidy(&mut self, circle: &Circle) {
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
    pub fn waiting(&mut self, circle: &Circle) -> impl Iterator<Item = &mut Notification> {
        self.open.get_mut(circle).into_iter().flat_map(|gathering| gathering.waiting.values_mut())
    }

    /// What waits of an incident may not be told now. If nothing of it has been told, it need not come back to this
    /// gathering.
    pub fn withdraw(&mut self, place: &Place) -> Option<Notification> {
        let Member { circle, told } = self.members.get(place)?.clone();
        let waited = self.open.get_mut(&circle)?.waiting.remove(&place.incident);
        match told {
            Level::Ok => self.forget(place),
            _ => self.tidy(&circle),
        }
        waited
    }

    /// The notices of a mail that is due, as of `now`: the worst first, then by place.
    pub fn notices(&mut self, circle: &Circle, now: Timestamp) -> Vec<(Place, Notification)> {
        let Some(gathering) = self.open.get_mut(circle) else { return Vec::new() };
        gathering.due = None;
        let waiting = std::mem::take(&mut gathering.waiting).into_values();
        let mut notices: Vec<(Place, Notification)> =
            waiting.map(|notice| (Place::of(&notice), Notification { time: now, ..notice })).collect();
        notices.sort_by(|(_, a), (_, b)| {
            let by_place = || a.transition.key.cmp(&b.transition.key);
            let by_row = || (a.transition.row, &a.incident).cmp(&(b.transition.row, &b.incident));
            b.level.cmp(&a.level).then_with(by_place).then_with(by_row)
        });
        notices
    }

    /// Notes what is told, or held back by the cap if it is not `admitted`, and makes the mail of it.
    pub fn tell(
        &mut self,
        circle: &Arc<Circle>,
        notices: Vec<(Place, Notification)>,
        admitted: bool,
        now: Timestamp,
    ) -> Option<Notification> {
        let gathering = self.open.get_mut(circle)?;
        for (place, notice) in &notices {
            let Some(member) = self.members.get_mut(place) else { continue };
            gathering.ever += u32::from(member.told == Level::Ok);
            gathering.count(member.told, notice.level);
            member.told = notice.level;
            if notice.level == Level::Ok {
                self.members.remove(place);
            }
        }
        let notices: Vec<Notification> = notices.into_iter().map(|(_, notice)| notice).collect();
        let mail = if admitted { gathering.mail(circle, notices, now) } else { None };
        self.tidy(circle);
        mail
    }

    /// The ids of the open gatherings, each with its open incidents that satisfy `told`.
    pub fn gatherings(&self, told: impl Fn(&Place) -> bool) -> BTreeMap<Arc<str>, Vec<Arc<str>>> {
        let mut all: BTreeMap<Arc<str>, Vec<Arc<str>>> = BTreeMap::new();
        for (place, member) in &self.members {
            if let Some(gathering) = self.open.get(&member.circle).filter(|_| told(place)) {
                all.entry(gathering.id.clone()).or_default().push(place.incident.clone());
            }
        }
        all
    }
}

impl Gathering {
    fn mail(&mut self, circle: &Circle, notices: Vec<Notification>, now: Timestamp) -> Option<Notification> {
        let worst = notices.first()?.clone();
        let level = self.open.keys().next_back().copied().unwrap_or_default();
        let entry = match self.entry.take() {
            Some(entry) if entry.level == level => entry,
            _ => {
                let open: u32 = self.open.values().sum();
                let cases = if level == Level::Ok { self.ever } else { open };
                Entry { level, cases, worst: worst.transition.clone() }
            }
        };
        self.entry = Some(entry.clone());
        self.sequence += 1;
        let mut others = self.open.clone();
        for notice in &notices {
            others.entry(notice.level).and_modify(|count| *count -= 1);
        }
        others.retain(|_, count| *count > 0);
        Some(Notification {
            time: now,
            incident: self.id.clone(),
            sequence: self.sequence,
            gathered: Some(Arc::new(Gathered { by: circle.by(), notices, others, entry })),
            held_since: None,
            acknowledged: None,
            ..worst
        })
    }
}
