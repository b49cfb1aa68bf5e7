use super::*;
use crate::board::Board;
use crate::instance::{Replica, Share};
use crate::journal::Batch;

const PLACE: SourcePartition = SourcePartition { source: 0, partition: 0 };
const START: Timestamp = Timestamp(1_767_225_600_000);

/// An owner whose entries are seen in the log at once.
struct Scene {
    owner: Owner,
    replica: Replica,
    board: Board,
    now: Timestamp,
    drawn: u64,
    /// What was wanted since it was looked at last.
    done: Vec<Want>,
}

impl Scene {
    fn new() -> Scene {
        let plan = Arc::new(Plan::default());
        let mut scene = Scene {
            owner: Owner::new(PLACE, plan.clone(), 0),
            replica: Replica::default(),
            board: Board::new(plan),
            now: START,
            drawn: 0,
            done: Vec::new(),
        };
        scene.flush(Millis::ZERO);
        scene
    }

    /// A flush some time later; the batch that was told, if any.
    fn flush(&mut self, after: Millis) -> Option<Batch<Share>> {
        self.now = self.now + after;
        let current = self.replica.owner(PLACE).map_or(Claim::NOBODY, |owner| owner.claim);
        let mut draw = || {
            self.drawn += 1;
            self.drawn
        };
        let mut wants = VecDeque::new();
        self.owner.flush(Some(current), self.now, &mut draw, &mut wants);
        let mut told = None;
        while let Some(want) = wants.pop_front() {
            match &want {
                Want::Append(delta) => {
                    let position = self.replica.position();
                    if let Some(news) = self.replica.take(position, delta, &mut self.board) {
                        self.owner.hear(news, self.now, &mut wants);
                    }
                    if let Delta::Batch(batch) = delta {
                        told = Some(batch.clone());
                    }
                }
                Want::Read { from, .. } => self.owner.reading(*from),
                Want::Load { .. } | Want::Store { .. } => {}
            }
            self.done.push(want);
        }
        told
    }

    fn is_live(&mut self, after: Millis) -> bool {
        self.flush(after).is_some_and(|batch| batch.payload.step.live)
    }

    fn record(&mut self, offset: i64) {
        self.owner.record(offset, None, None, &mut || Timestamp(0));
    }
}

/// Records alone say nothing of how many are still to come: a floor that is hours behind must not take them for late.
#[test]
fn only_who_has_read_to_the_end_lives_by_the_wall_clock() {
    let mut scene = Scene::new();
    scene.record(0);
    assert!(!scene.is_live(Millis::SECOND));
    scene.owner.reached(1);
    assert!(scene.is_live(Millis::SECOND));
    // It stays so while it is read to its end every now and then, and no longer.
    scene.record(1);
    assert!(scene.is_live(Millis::SECOND));
    assert!(!scene.is_live(Millis::HOUR));
    scene.owner.reached(1);
    assert!(!scene.is_live(Millis::SECOND), "that is not the end");
    scene.owner.reached(2);
    assert!(scene.is_live(Millis::SECOND));
}

#[test]
fn who_has_nothing_to_tell_says_so_once_a_second() {
    let mut scene = Scene::new();
    scene.owner.reached(0);
    assert!(scene.flush(Millis(40)).is_some_and(|batch| batch.progress.caught_up.is_some()));
    assert_eq!(scene.flush(Millis(40)), None);
    assert_eq!(scene.flush(Millis(900)), None);
    let told = scene.flush(Millis(60)).unwrap();
    assert_eq!((told.from, told.to, told.progress.heard), (0, 0, None));
    // What comes is told at once.
    scene.record(0);
    let told = scene.flush(Millis(40)).unwrap();
    assert_eq!((told.from, told.to, told.progress.heard), (0, 1, Some(scene.now)));
    // A clock that was put back does not make it fall silent.
    assert!(scene.flush(Millis(-3_600_000)).is_some());
}

#[test]
fn what_is_gone_from_the_source_is_stepped_over_and_offsets_that_begin_again_are_told_apart() {
    let mut scene = Scene::new();
    scene.record(0);
    assert_eq!(scene.flush(Millis::SECOND).map(|batch| batch.to), Some(1));
    // Trimmed: the next that there is has offset 5.
    scene.owner.gone(5, false);
    scene.record(5);
    let told = scene.flush(Millis::SECOND).unwrap();
    assert_eq!((told.from, told.to, told.payload.step.shift, scene.owner.missed()), (1, 6, 0, 4));
    // Made anew: it begins at 0 again, and the log goes on.
    scene.owner.gone(0, true);
    assert!(scene.owner.expects(0));
    scene.record(0);
    scene.record(1);
    let told = scene.flush(Millis::SECOND).unwrap();
    assert_eq!((told.from, told.to, told.payload.step.shift), (6, 8, 6));
    // Whoever is next reads on from there.
    let plan = Arc::new(Plan::default());
    scene.owner = Owner::new(PLACE, plan, 0);
    scene.done.clear();
    scene.flush(Millis::SECOND);
    let reads = scene.done.iter().find_map(|want| match want {
        Want::Read { from, .. } => Some(*from),
        _ => None,
    });
    // There is no snapshot: from where the first began, as far back as what there is now goes.
    assert_eq!(reads, Some(0));
    scene.record(0);
    scene.record(1);
    scene.record(2);
    let told = scene.flush(Millis::SECOND).unwrap();
    assert_eq!((told.from, told.to, told.payload.step.shift), (8, 9, 6));
}

/// A topic that was made anew while nobody read it may have come beyond where the one before it was read to.
#[test]
fn another_topic_is_read_from_its_start_however_long_it_is() {
    let mut scene = Scene::new();
    scene.owner.is_of(TopicId(1));
    (0..5).for_each(|offset| scene.record(offset));
    assert_eq!(scene.flush(Millis::SECOND).map(|batch| (batch.to, batch.payload.step.topic)), Some((5, TopicId(1))));
    let mut next = |topic| {
        scene.owner = Owner::new(PLACE, Arc::new(Plan::default()), 0);
        scene.owner.is_of(topic);
        scene.done.clear();
        scene.flush(Millis::SECOND);
        let read = scene.done.iter().find_map(|want| match want {
            Want::Read { from, anew, .. } => Some((*from, *anew)),
            _ => None,
        });
        (read, scene.owner.tells())
    };
    // Where the broker does not say, or it is the same: what is in the log is gone over.
    assert_eq!(next(TopicId::UNKNOWN), (Some((0, false)), false));
    assert_eq!(next(TopicId(1)), (Some((0, false)), false));
    assert_eq!(next(TopicId(2)), (Some((0, true)), true));
    scene.record(0);
    let told = scene.flush(Millis::SECOND).unwrap();
    assert_eq!((told.from, told.to), (5, 6));
    assert_eq!((told.payload.step.shift, told.payload.step.topic), (5, TopicId(2)));
    // While it is told, too.
    scene.owner.is_of(TopicId(3));
    scene.owner.gone(0, true);
    scene.record(0);
    let told = scene.flush(Millis::SECOND).unwrap();
    assert_eq!((told.to, told.payload.step.shift, told.payload.step.topic), (7, 6, TopicId(3)));
}
