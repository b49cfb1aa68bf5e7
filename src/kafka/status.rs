//! What the reader of the sources is doing: for telemetry, `/readyz` and the page.

use std::sync::Arc;

use super::consumer::TopicPartition;
use super::problems::Problem;
use crate::domain::Timestamp;

/// A snapshot, at most a tenth of a second old.
#[derive(Clone, Debug, Default)]
pub struct Status {
    pub topics: Arc<[String]>,
    pub partitions: Vec<PartitionStatus>,
    /// The group has given out its partitions at least once, perhaps none to this instance.
    pub assigned: bool,
    /// Partitions given to this instance whose starting offset is still being asked for.
    pub starting: usize,
    /// Indices of sources whose topic did not exist when last asked.
    pub missing: Vec<usize>,
    /// How many partitions the topic of each source has, when last asked; 0 where it does not exist.
    pub partition_counts: Vec<i32>,
    /// Which sources' topics have been seen to exist since the start.
    pub seen: Vec<bool>,
    pub counters: Counters,
    /// What is wrong now.
    pub problems: Vec<Problem>,
    pub last_problem: Option<Problem>,
    /// The reader has ended, and why if not because it was stopped.
    pub ended: Option<Ended>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    Stopped,
    /// It cannot go on; the paragraph for the user.
    Failed(String),
}

#[derive(Clone, Debug)]
pub struct PartitionStatus {
    pub tp: TopicPartition,
    /// The offset of the next record to be handed on.
    pub position: i64,
    /// The end of the log when last asked for (every second).
    pub end: i64,
    /// The end of the log when the partition was assigned.
    pub end_at_start: i64,
    /// Wall time at which the position was last known to be the end.
    pub caught_up: Option<Timestamp>,
    pub records: u64,
    /// The group had committed offsets of it before it was assigned: an instance has run on it already.
    pub read_before: bool,
}

impl PartitionStatus {
    pub fn lag(&self) -> i64 {
        (self.end - self.position).max(0)
    }

    /// Read to where it ended when it was assigned.
    pub fn ready(&self) -> bool {
        self.position >= self.end_at_start
    }
}

/// Totals since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub records: u64,
    pub bytes: u64,
    /// Records without a payload: passed over.
    pub tombstones: u64,
    /// Records of a partition that had been taken away meanwhile.
    pub stray: u64,
    /// Records that librdkafka gave a second time: passed over.
    pub repeated: u64,
    /// Partitions whose position was no longer in the log: read anew from its start.
    pub resets: u64,
    pub rebalances: u64,
    pub commits: u64,
    pub commit_failures: u64,
}

impl Status {
    /// Why the sources are not read to where they ended at the start; empty when they are.
    pub fn not_ready(&self) -> Vec<String> {
        let mut reasons = self.unread();
        reasons.extend(self.never_seen());
        reasons
    }

    /// The topics that have not been seen to exist since the start, each with the words for it.
    pub fn never_seen(&self) -> Vec<String> {
        let unseen = |source: &&usize| !self.seen.get(**source).copied().unwrap_or_default();
        let topic = |source: usize| self.topics.get(source).map_or("?", String::as_str);
        self.missing.iter().filter(unseen).map(|source| format!("topic `{}` does not exist", topic(*source))).collect()
    }

    /// Why those topics that exist are not read to where they ended at the start.
    pub fn unread(&self) -> Vec<String> {
        let topic = |source: usize| self.topics.get(source).map_or("?", String::as_str);
        let mut reasons = Vec::new();
        match &self.ended {
            Some(Ended::Stopped) => reasons.push("the reader of the sources has been stopped".to_owned()),
            Some(Ended::Failed(why)) => reasons.push(why.clone()),
            None => {}
        }
        if !self.assigned {
            reasons.push("the consumer group has not given out partitions yet".to_owned());
        }
        if self.starting > 0 {
            reasons.push(format!("{} partitions wait for their starting offset", self.starting));
        }
        for partition in self.partitions.iter().filter(|partition| !partition.ready()) {
            reasons.push(format!(
                "topic `{}` partition {} is {} records behind where it ended at the start",
                topic(partition.tp.source),
                partition.tp.partition,
                partition.end_at_start - partition.position
            ));
        }
        // Why not, where it is known.
        if !reasons.is_empty() {
            reasons.extend(self.problems.iter().map(|problem| problem.text.clone()));
        }
        reasons
    }

    pub fn ready(&self) -> bool {
        self.not_ready().is_empty()
    }

    /// What is wrong without being a reason to be not ready.
    pub fn degraded(&self) -> Vec<String> {
        self.problems.iter().map(|problem| problem.text.clone()).collect()
    }

    /// The least `caught_up` over all partitions: how fresh everything is. `None` while one has never been caught up.
    pub fn fresh_until(&self) -> Option<Timestamp> {
        self.partitions.iter().map(|partition| partition.caught_up).min().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(partition: i32, position: i64, end_at_start: i64) -> PartitionStatus {
        PartitionStatus {
            tp: TopicPartition { source: 0, partition },
            position,
            end: 100,
            end_at_start,
            caught_up: Some(Timestamp(position)),
            records: 0,
            read_before: false,
        }
    }

    #[test]
    fn ready_is_where_the_sources_ended_at_the_start() {
        let mut status = Status {
            topics: vec!["events".to_owned(), "agents".to_owned()].into(),
            seen: vec![true, false],
            ..Status::default()
        };
        assert!(status.not_ready()[0].contains("has not given out"), "{:?}", status.not_ready());
        status.assigned = true;
        status.partitions = vec![partition(0, 90, 90), partition(1, 40, 90)];
        assert_eq!(status.not_ready(), ["topic `events` partition 1 is 50 records behind where it ended at the start"]);
        assert_eq!(status.partitions[0].lag(), 10, "lag is to the end of now, readiness to that of the start");
        status.partitions[1].position = 90;
        assert!(status.ready());
        status.missing = vec![1];
        assert_eq!(status.not_ready(), ["topic `agents` does not exist"]);
        status.seen[1] = true;
        assert!(status.ready(), "a topic deleted later is a problem, not an unread source");
        status.starting = 1;
        assert!(!status.ready());
    }

    #[test]
    fn freshness_is_that_of_the_oldest() {
        let mut status = Status { partitions: vec![partition(0, 7, 0), partition(1, 5, 0)], ..Status::default() };
        assert_eq!(status.fresh_until(), Some(Timestamp(5)));
        status.partitions[0].caught_up = None;
        assert_eq!(status.fresh_until(), None);
    }
}
