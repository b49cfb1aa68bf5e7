//! What an instance costs that has no partition: it reads the deltas log and keeps the board, and is there should the other one go.

use std::time::{Duration, Instant};

use crate::Topic;
use crate::client::{Atalaya, Manner, until};
use crate::producer::write;
use crate::real::kafka::RealKafka;
use crate::support::{figure, scaled};

const PER_SECOND: usize = 50_000;
/// Until every pair has been seen.
const WARM: usize = 40;
const MEASURED: usize = 30;

/// With their roll-ups 1,111 and 99,011 keys.
const SIZES: [(usize, &str); 2] = [(1_000, "1k_keys"), (90_000, "100k_keys")];

pub fn measure(kafka: &RealKafka) {
    for (pairs, name) in SIZES {
        let seconds = scaled(MEASURED);
        let topic = Topic { name: format!("bench.standby-{pairs}"), events: PER_SECOND * (WARM + seconds + 10) };
        kafka.create_topic(&topic.name, 1);
        let start = |instance| {
            let manner = Manner { topic: &topic.name, group: name, instance, of_channels: true, ..Manner::default() };
            let mut atalaya = Atalaya::start_as(kafka, &manner);
            atalaya.wait_until_ready();
            atalaya
        };
        let owner = start("owner");
        until("it decides", || owner.evaluates());
        let standby = start("standby");
        let producer = write(kafka, &topic, pairs, &PER_SECOND.to_string());
        std::thread::sleep(Duration::from_secs(WARM as u64));
        let look = || (Instant::now(), standby.cpu(), owner.cpu(), owner.taken());
        let (begun, standby_before, owner_before, taken_before) = look();
        std::thread::sleep(Duration::from_secs(seconds as u64));
        let (ended, standby_after, owner_after, taken_after) = look();
        assert_eq!((owner.partitions(), standby.partitions()), (1, 0), "one has it all");
        assert!(owner.evaluates() && !standby.evaluates(), "and decides");
        let wall = (ended - begun).as_secs_f64();
        figure(&format!("standby_{name}"), keys_on(&standby) as f64);
        figure(&format!("standby_{name}_events_per_second"), (taken_after - taken_before) as f64 / wall);
        figure(&format!("standby_{name}_percent_of_a_core"), 100.0 * (standby_after - standby_before) / wall);
        figure(&format!("standby_{name}_owner_percent_of_a_core"), 100.0 * (owner_after - owner_before) / wall);
        drop(producer);
    }
}

fn keys_on(instance: &Atalaya) -> usize {
    instance.api("/api/v1/indicators?indicator=backlog")["indicators"].as_array().map_or(0, Vec::len)
}
