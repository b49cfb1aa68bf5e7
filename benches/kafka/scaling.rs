//! How much sooner the program has caught up with a topic on two cores than on one. The broker is not pinned.

use std::process::{Command, Stdio};

use crate::Topic;
use crate::client::Atalaya;
use crate::real::kafka::RealKafka;
use crate::support::{figure, median, ratio, timed};

const ROUNDS: usize = 3;

pub fn measure(kafka: &RealKafka, topic: &Topic) {
    let there = Command::new("taskset").arg("--version").stdout(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: taskset is absent, so no scaling");
        return;
    }
    let caught_up = |cores: &str, threads: &str, group: &str| {
        let (seconds, _atalaya) = timed(|| {
            let before = ["taskset", "-c", cores, "env", &format!("ATALAYA_KAFKA__THREADS={threads}")];
            let mut atalaya = Atalaya::start(kafka, &topic.name, group, &before);
            atalaya.wait_until_ready();
            atalaya
        });
        seconds
    };
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        one.push(caught_up("0", "1", &format!("one-core-{round}")));
        two.push(caught_up("0,1", "2", &format!("two-cores-{round}")));
    }
    figure("catching_up_events_per_second_on_1_core", topic.events as f64 / median(&one));
    figure("catching_up_events_per_second_on_2_cores", topic.events as f64 / median(&two));
    figure("catching_up_scaling_1_to_2_cores", ratio(&one, &two));
}
