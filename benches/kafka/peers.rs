//! Kafka Streams over the same topic, in the same run: `benches/peers/kafka-streams` says how it is set up.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Topic;
use crate::client::Helper;
use crate::real::kafka::RealKafka;
use crate::share::atalaya;
use crate::support::{figure, figure_with_goal, ratio, scaled};

const ROUNDS: usize = 2;

/// The two programs, and how many times faster Atalaya is to be.
const VARIANTS: [(&str, f64); 2] = [("count_and_sum", 10.0), ("histogram", 5.0)];

pub fn measure(kafka: &RealKafka, topic: &Topic) {
    let Some(built) = build() else { return };
    let (mut own, mut of_peers) = (Vec::new(), [Vec::new(), Vec::new()]);
    // The JIT compiler has seen this many events before its time is taken.
    let (warm, events) = (topic.events / 5, scaled(500_000).min(topic.events / 2));
    for round in 0..ROUNDS {
        own.push(topic.events as f64 / atalaya(kafka, topic, &format!("beside-peers-{round}")));
        for ((variant, _), rates) in VARIANTS.iter().zip(&mut of_peers) {
            let state = tempfile::tempdir().expect("a folder");
            let mut java = Command::new("java");
            java.args(["-Xmx1g", "-cp"]).arg(format!("{0}/classes:{0}/lib/*", built.display()));
            java.args(["atalaya.peers.Main", &kafka.bootstrap(), &topic.name, &format!("{variant}-{round}"), variant]);
            java.args([warm.to_string(), events.to_string()]).arg(state.path());
            rates.push(Helper::of(java).line().parse().expect("events per CPU-second"));
        }
    }
    for ((variant, goal), rates) in VARIANTS.iter().zip(&of_peers) {
        figure(&format!("kafka_streams_{variant}_events_per_cpu_second"), crate::support::median(rates));
        figure_with_goal(&format!("atalaya_over_kafka_streams_{variant}"), ratio(&own, rates), *goal);
    }
}

/// Builds the peer with Maven, into `target`. `None` where that cannot be done (said).
fn build() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = root.join("benches/peers/kafka-streams/pom.xml");
    let built = Command::new("mvn")
        .args(["--quiet", "--batch-mode", "--file"])
        .arg(project)
        .arg("package")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    if !built.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: the peer was not built (mvn -f benches/peers/kafka-streams/pom.xml package says why)");
        return None;
    }
    Some(root.join("target/peers/kafka-streams"))
}
