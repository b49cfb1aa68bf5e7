//! From producing an event to seeing it in `/metrics`, idle and under 50,000 events a second.
//!
//! Probes are arrivals in a queue of their own, sent one by one at uneven pauses. `/metrics` is read again and again: a
//! probe is visible once an answer that has come whole counts it. So the time to make and read an answer is in the figure.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rdkafka::producer::{BaseProducer, BaseRecord};

use crate::Topic;
use crate::client::Atalaya;
use crate::producer::{PARTITIONS, now, write};
use crate::real::kafka::RealKafka;
use crate::support::load::uuid;
use crate::support::{figure, figure_with_goal, median, quantile, scaled, timed};

const PER_SECOND: usize = 50_000;
const PAIRS: usize = 100;
/// Ids of probes are no other's.
const PROBES: u64 = 1 << 62;
/// Between two answers of `/metrics`.
const PAUSE: Duration = Duration::from_millis(2);
/// Before the figures are taken.
const WARM: Duration = Duration::from_secs(3);

pub fn measure(kafka: &RealKafka) {
    let seconds = scaled(20);
    for (name, load) in [("idle", false), ("loaded", true)] {
        let topic = Topic { name: format!("bench.{name}"), events: PER_SECOND * (seconds + 5) };
        kafka.create_topic(&topic.name, PARTITIONS);
        let mut atalaya = Atalaya::start(kafka, &topic.name, name, &[]);
        atalaya.wait_until_ready();
        let producer = load.then(|| write(kafka, &topic, PAIRS, &PER_SECOND.to_string()));
        std::thread::sleep(WARM);
        let latencies = probe(kafka, &topic.name, &atalaya, Duration::from_secs(seconds as u64));
        let (p50, p99) = (median(&latencies), quantile(&latencies, 0.99));
        figure(&format!("latency_{name}_probes"), latencies.len() as f64);
        if load {
            figure("latency_loaded_p50_ms", p50);
            figure_with_goal("latency_loaded_p99_ms", p99, 150.0);
            let (seconds, text) = timed(|| atalaya.metrics());
            figure("latency_loaded_scrape_ms", seconds * 1000.0);
            figure("latency_loaded_scrape_bytes", text.len() as f64);
        } else {
            figure_with_goal("latency_idle_p50_ms", p50, 30.0);
            figure("latency_idle_p99_ms", p99);
        }
        drop(producer);
    }
}

/// Milliseconds from sending each probe to seeing it.
fn probe(kafka: &RealKafka, topic: &str, atalaya: &Atalaya, length: Duration) -> Vec<f64> {
    let producer: BaseProducer = kafka.client().set("linger.ms", "0").create().expect("a producer");
    let (tell, sent) = mpsc::channel();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (producer, over) = (&producer, &over);
        scope.spawn(move || {
            let mut random = ChaCha8Rng::seed_from_u64(1);
            let until = Instant::now() + length;
            for number in 0u64.. {
                if Instant::now() > until {
                    break;
                }
                let (id, time) = (uuid(PROBES + number), now());
                let event = format!(
                    r#"{{"type":"interaction.arrived","id":"{id}","interaction":"{id}","time":{time},"queue":"probe","channel":"chat"}}"#
                );
                let _ = tell.send(Instant::now());
                producer.send(BaseRecord::<str, str>::to(topic).payload(&event)).expect("room for a probe");
                let pause = Instant::now() + Duration::from_millis(random.random_range(20..80));
                while Instant::now() < pause {
                    producer.poll(Duration::from_millis(5));
                }
            }
            over.store(true, Ordering::Release);
        });
        let (mut latencies, mut waiting) = (Vec::new(), std::collections::VecDeque::new());
        let mut last = Instant::now();
        while !over.load(Ordering::Acquire) || !waiting.is_empty() {
            let seen = probes_in(&atalaya.metrics());
            let at = Instant::now();
            waiting.extend(sent.try_iter());
            while latencies.len() < seen {
                let sent: Instant = waiting.pop_front().expect("no more is seen than was sent");
                latencies.push((at - sent).as_secs_f64() * 1000.0);
                last = at;
            }
            assert!(at - last < Duration::from_secs(20), "a probe is never seen");
            std::thread::sleep(PAUSE);
        }
        latencies
    })
}

/// How many probes an answer counts.
fn probes_in(metrics: &str) -> usize {
    let series = "atalaya_sum_arrivals_total{";
    let is_ours =
        |line: &&str| line.starts_with(series) && line.contains("queue=\"probe\"") && line.contains("channel=");
    let value = metrics.lines().find(is_ours).and_then(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    value.unwrap_or(0.0) as usize
}
