//! The same events over one, two and four instances: whether they show the same, and how the work falls on them.
//!
//! All of them share the machine's cores with the broker, so CPU time tells, and not how long it takes.

use serde_json::Value;

use crate::Topic;
use crate::client::{Atalaya, Manner, until};
use crate::producer::write;
use crate::real::kafka::RealKafka;
use crate::support::{figure, scaled};

const PARTITIONS: usize = 8;
const PAIRS: usize = 1_000;
const PER_SECOND: usize = 50_000;
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

pub fn measure(kafka: &RealKafka) {
    let events = scaled(1_500_000);
    let mut alone = None;
    for count in [1, 2, 4] {
        let group = format!("instances-{count}");
        let topic = Topic { name: format!("bench.{group}"), events };
        kafka.create_topic(&topic.name, PARTITIONS as i32);
        let start = |instance: &&'static str| {
            Atalaya::start_as(kafka, &Manner { topic: &topic.name, group: &group, instance, ..Manner::default() })
        };
        let mut instances: Vec<Atalaya> = NAMES.iter().take(count).map(start).collect();
        instances.iter_mut().for_each(Atalaya::wait_until_ready);
        until("each has its share of the partitions", || {
            instances.iter().all(|instance| instance.partitions() == PARTITIONS / count)
        });
        let before: Vec<f64> = instances.iter().map(Atalaya::cpu).collect();
        write(kafka, &topic, PAIRS, &format!("history:{PER_SECOND}")).ended();
        let taken = || instances.iter().map(Atalaya::taken).collect::<Vec<usize>>();
        until("all is read", || taken().iter().sum::<usize>() == events);
        let cpu: Vec<f64> = instances.iter().zip(before).map(|(instance, before)| instance.cpu() - before).collect();
        let taken = taken();

        // What all of them show in the end is what one alone did.
        until("all show the same", || instances.iter().all(|other| shown_by(other) == shown_by(&instances[0])));
        let shown = shown_by(&instances[0]);
        assert!(shown.len() > PAIRS, "something is shown");
        let (alone_cpu, alone_shown) = alone.get_or_insert((cpu[0], shown.clone()));
        assert_eq!(shown, *alone_shown, "{count} instances show what one does");

        let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
        let taken: Vec<f64> = taken.iter().map(|taken| *taken as f64 / events as f64).collect();
        figure(&format!("instances_{count}_cpu_seconds"), cpu.iter().sum());
        figure(&format!("instances_{count}_cpu_over_1"), cpu.iter().sum::<f64>() / *alone_cpu);
        figure(&format!("instances_{count}_busiest_cpu_over_1"), most(&cpu) / *alone_cpu);
        figure(&format!("instances_{count}_busiest_share_of_events"), most(&taken));
    }
}

/// Every figure of the last hour that does not depend on the instant, but for when it is of.
fn shown_by(instance: &Atalaya) -> Vec<String> {
    let wanted = ["arrivals", "queued", "answered", "closed", "replies", "asa", "wait_p90", "aht", "stage_time"];
    let wanted = wanted.map(|name| format!("indicator={name}")).join("&");
    let answer = instance.api(&format!("/api/v1/indicators?window=1h&{wanted}"));
    let mut records = answer["indicators"].as_array().cloned().unwrap_or_default();
    for record in &mut records {
        record.as_object_mut().map(|fields| fields.remove("time"));
    }
    let mut records: Vec<String> = records.iter().map(Value::to_string).collect();
    records.sort();
    records
}
