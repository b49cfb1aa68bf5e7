//! The built program against a real Apache Kafka: its share of a bare loop, its latency, a second core, what people would use
//! instead; how it comes back, how instances share the work, and what it writes.
//!
//! `cargo bench --bench kafka -- share latency scaling peers restore failover standby instances writes` runs the parts that are named, else all. The broker is
//! started by `deploy/kafka-local`; where Java or Maven is absent the bench says so and ends. Every client is a process of
//! its own, whose CPU time is the kernel's count of it. Prints one JSON line per figure.
#![allow(clippy::disallowed_methods, reason = "a bench measures real time")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench fails by panicking")]

/// What the tests start real programs with.
#[path = "../../tests/support/mod.rs"]
mod real;
#[path = "../support/mod.rs"]
mod support;

mod bare;
mod client;
mod failover;
mod instances;
mod latency;
mod peers;
mod producer;
mod restore;
mod scaling;
mod share;
mod standby;
mod writes;

use real::kafka::RealKafka;

/// A topic of the benches' records.
pub struct Topic {
    pub name: String,
    pub events: usize,
}

/// The name under which a process of this program plays another part than the bench's.
const ROLE: &str = "role";

fn main() {
    if support::is_a_test() {
        return;
    }
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *words.as_slice() {
        [ROLE, "bare", broker, topic, events, how] => bare::run(broker, topic, events.parse().unwrap(), how),
        [ROLE, "produce", ref rest @ ..] => producer::run(rest),
        ref parts => measure(parts),
    }
}

fn measure(parts: &[&str]) {
    let wanted = |part| parts.is_empty() || parts.contains(&part);
    let Some(kafka) = RealKafka::start() else { return };
    if wanted("share") {
        share::live(&kafka);
    }
    if ["share", "scaling", "peers"].into_iter().any(wanted) {
        let topic = producer::history(&kafka);
        if wanted("share") {
            share::catching_up(&kafka, &topic);
        }
        if wanted("scaling") {
            scaling::measure(&kafka, &topic);
        }
        if wanted("peers") {
            peers::measure(&kafka, &topic);
        }
    }
    if wanted("latency") {
        latency::measure(&kafka);
    }
    if wanted("restore") {
        restore::measure(&kafka);
    }
    if wanted("failover") {
        failover::measure(&kafka);
    }
    if wanted("standby") {
        standby::measure(&kafka);
    }
    if wanted("instances") {
        instances::measure(&kafka);
    }
    drop(kafka);
    if wanted("writes") {
        writes::measure();
    }
}
