//! Events per CPU-second of the whole program, beside those of a bare loop over the same records.

use std::process::Command;

use crate::Topic;
use crate::client::{Atalaya, Helper, cpu_of};
use crate::producer::{PARTITIONS, write};
use crate::real::kafka::RealKafka;
use crate::support::{figure, figure_with_goal, median, ratio, scaled};

const ROUNDS: usize = 3;
const PAIRS: usize = 1_000;
/// How many scrapes in a row tell what one costs.
const SCRAPES: usize = 5;

/// CPU seconds that a bare loop takes for a topic that is there.
pub fn bare(kafka: &RealKafka, topic: &Topic, how: &str) -> f64 {
    let mut helper = start_bare(kafka, topic, how);
    while helper.line() != "done" {}
    cpu_of(helper.pid())
}

fn start_bare(kafka: &RealKafka, topic: &Topic, how: &str) -> Helper {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    let (broker, events) = (kafka.bootstrap(), topic.events.to_string());
    command.args([crate::ROLE, "bare", &broker, &topic.name, &events, how]);
    Helper::waiting(command)
}

/// CPU seconds that Atalaya takes for a topic that is there, from its start until it has caught up and shows it.
pub fn atalaya(kafka: &RealKafka, topic: &Topic, group: &str) -> f64 {
    let mut atalaya = Atalaya::start(kafka, &topic.name, group, &[]);
    atalaya.scrape_until_taken(topic.events);
    atalaya.wait_until_ready();
    atalaya.cpu()
}

/// A topic that is being written as fast as it goes: evaluated each second, scraped each second.
pub fn live(kafka: &RealKafka) {
    let (mut bare_cpu, mut serde_cpu, mut atalaya_cpu) = (Vec::new(), Vec::new(), Vec::new());
    let (mut scrape_cpu, mut scraped) = (Vec::new(), 0);
    let events = scaled(1_500_000);
    for round in 0..ROUNDS {
        let topic = |side: &str| {
            let topic = Topic { name: format!("bench.live-{side}-{round}"), events };
            kafka.create_topic(&topic.name, PARTITIONS);
            topic
        };
        for (how, cpu) in [("own", &mut bare_cpu), ("serde", &mut serde_cpu)] {
            let topic = topic(how);
            let mut helper = start_bare(kafka, &topic, how);
            helper.expect("ready");
            let before = cpu_of(helper.pid());
            let producer = write(kafka, &topic, PAIRS, "0");
            helper.expect("done");
            cpu.push(cpu_of(helper.pid()) - before);
            producer.ended();
        }
        let topic = topic("atalaya");
        let mut atalaya = Atalaya::start(kafka, &topic.name, &format!("live-{round}"), &[]);
        atalaya.wait_until_ready();
        let before = atalaya.cpu();
        let producer = write(kafka, &topic, PAIRS, "0");
        atalaya.scrape_until_taken(events);
        atalaya_cpu.push(atalaya.cpu() - before);
        producer.ended();
        let before = atalaya.cpu();
        scraped = (0..SCRAPES).map(|_| atalaya.metrics().len()).max().unwrap_or(0);
        scrape_cpu.push((atalaya.cpu() - before) / SCRAPES as f64);
    }
    let rate = |cpu: &[f64]| events as f64 / median(cpu);
    figure("bare_loop_events_per_cpu_second", rate(&bare_cpu));
    figure("bare_loop_with_serde_events_per_cpu_second", rate(&serde_cpu));
    figure("atalaya_events_per_cpu_second", rate(&atalaya_cpu));
    figure_with_goal("share_of_bare_loop", ratio(&bare_cpu, &atalaya_cpu), 0.75);
    figure("share_of_bare_loop_with_serde", ratio(&serde_cpu, &atalaya_cpu));
    figure("scrape_cpu_ms", median(&scrape_cpu) * 1000.0);
    figure("scrape_bytes", scraped as f64);
}

/// A topic that was written before: what a restart reads.
pub fn catching_up(kafka: &RealKafka, topic: &Topic) {
    let (mut bare_cpu, mut atalaya_cpu) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        bare_cpu.push(bare(kafka, topic, "own"));
        atalaya_cpu.push(atalaya(kafka, topic, &format!("catching-up-{round}")));
    }
    figure("catching_up_events_per_cpu_second", topic.events as f64 / median(&atalaya_cpu));
    figure("catching_up_share_of_bare_loop", ratio(&bare_cpu, &atalaya_cpu));
}
