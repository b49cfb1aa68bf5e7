//! From killing the instance that decides until the other one has its partitions, shows what comes into any of them, and decides.

use std::time::Instant;

use crate::Topic;
use crate::client::{Atalaya, Manner, until};
use crate::producer::{FILLED, PARTITIONS, now, write};
use crate::real::kafka::{Line, RealKafka};
use crate::support::load::uuid;
use crate::support::{figure, figure_with_goal, median, scaled};

const ROUNDS: usize = 3;
const PAIRS: usize = 1_000;
const PER_SECOND: usize = 2_000;
/// Ids of probes are no other's.
const PROBES: u64 = 1 << 62;

pub fn measure(kafka: &RealKafka) {
    // It goes on writing until the figures are taken.
    let topic = Topic { name: "bench.failover".to_owned(), events: 10 * FILLED + PER_SECOND * 3_600 };
    kafka.create_topic(&topic.name, PARTITIONS);
    let mut producer = write(kafka, &topic, PAIRS, &format!("filled:{PER_SECOND}"));
    producer.expect("filled");
    let start = |instance| {
        let manner = Manner { topic: &topic.name, group: "failover", instance, ..Manner::default() };
        (instance, Atalaya::start_as(kafka, &manner))
    };
    let mut instances = vec![start("one"), start("other")];
    let (mut fresh, mut decides) = (Vec::new(), Vec::new());
    for round in 0..scaled(ROUNDS) {
        for (_, instance) in &mut instances {
            instance.wait_until_ready();
        }
        until("each reads half of the partitions", || {
            instances.iter().all(|(_, instance)| instance.partitions() == PARTITIONS as usize / 2)
        });
        until("one of them decides", || instances.iter().filter(|(_, instance)| instance.evaluates()).count() == 1);
        let evaluator = instances.iter().position(|(_, instance)| instance.evaluates()).expect("one decides");
        let (name, evaluator) = instances.remove(evaluator);
        let killed = Instant::now();
        drop(evaluator);
        let queue = format!("probe-{round}");
        probe(kafka, &topic, &queue, round as u64);
        let (_, left) = instances.first().expect("the other one");
        until("each probe is shown", || probes_on(left, &queue) == PARTITIONS as u64);
        fresh.push(killed.elapsed().as_secs_f64());
        until("it decides on figures of now", || {
            let seen =
                left.values(["atalaya_evaluator", "atalaya_watermark_age_seconds", "atalaya_evaluation_age_seconds"]);
            matches!(seen, [Some(1.0), Some(shown), Some(evaluated)] if shown < 2.0 && evaluated < 2.0)
        });
        decides.push(killed.elapsed().as_secs_f64());
        instances.push(start(name));
    }
    let open = instances.first().and_then(|(_, left)| left.values(["atalaya_backlog"])[0]).expect("a backlog");
    figure("failover_open_interactions", open);
    figure("failover_shown_seconds", median(&fresh));
    figure_with_goal("failover_decides_seconds", median(&decides), 15.0);
    figure("failover_decides_seconds_at_most", decides.iter().copied().fold(0.0, f64::max));
}

/// Writes an arrival to each partition.
fn probe(kafka: &RealKafka, topic: &Topic, queue: &str, round: u64) {
    let line = |partition: i32| {
        let (id, time) = (uuid(PROBES + round * 100 + partition as u64), now());
        let event = format!(
            r#"{{"type":"interaction.arrived","id":"{id}","interaction":"{id}","time":{time},"queue":"{queue}","channel":"chat"}}"#
        );
        Line { partition: Some(partition), payload: Some(event.into_bytes()), ..Line::default() }
    };
    kafka.produce(&topic.name, (0..PARTITIONS).map(line));
}

/// How many of them an instance shows.
fn probes_on(instance: &Atalaya, queue: &str) -> u64 {
    let answer = instance.api(&format!("/api/v1/indicators?indicator=arrivals&window=1h&queue={queue}"));
    let records = answer["indicators"].as_array().map_or(&[][..], Vec::as_slice);
    let pair = records.iter().find(|record| !record["channel"].is_null());
    pair.and_then(|record| record["value"].as_u64()).unwrap_or(0)
}
