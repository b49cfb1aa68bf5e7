//! Everything that talks to Apache Kafka, over librdkafka.
//!
//! | module | what it is |
//! |---|---|
//! | [`consumer`] | the public face: reads the sources in a consumer group and hands each record to a [`Handler`] |
//! | `worker` | the reading thread: batches, commits, shutdown |
//! | `assignment` | its part in the group: partitions given, started, taken away |
//! | `context` | what librdkafka tells while it is polled |
//! | `questions` | a second thread that asks the broker what would block the reader: offsets, ends, missing topics |
//! | `batch` | unsafe code: one queue for all partitions, read in batches |
//! | `end` | the end of the process while clients may still be at work |
//! | [`status`] | what telemetry and `/readyz` show of it |
//! | [`problems`] | what is wrong at present: said once, then every 30 s until it is over |
//! | [`errors`] | librdkafka's errors as a paragraph: what, where, what to do |
//! | [`dead_letters`] | refused records to their topic, with their own key and bytes |
//! | [`snapshots`] | states in a compacted topic, in pieces |
//! | [`log`] | the logs: a writer of entries, and a reader that sees them all |
//! | [`own`] | the topics of our own: what each has to be like |
//! | [`topics`] | makes a topic, and says how one is |
//! | [`past`] | a stretch of the past, for back-tests: no group, nothing committed |
//! | [`mock`] | the in-process broker of `demo` |
//!
//! Deliberately not here: what a record means (`wire`, `floor`, `journal::record`).
#![deny(unsafe_code)]

use rdkafka::ClientConfig;

use crate::config::Kafka;

mod assignment;
#[allow(unsafe_code, reason = "librdkafka's queue functions are C; each block says what it relies on")]
mod batch;
pub mod consumer;
mod context;
pub mod dead_letters;
#[allow(unsafe_code, reason = "the system's own way to end a process is C")]
mod end;
pub mod errors;
pub mod log;
pub mod mock;
pub mod own;
pub mod past;
pub mod problems;
mod questions;
mod slots;
pub mod snapshots;
pub mod status;
#[allow(unsafe_code, reason = "the ids of topics are asked for by librdkafka's own functions, which are C")]
mod topic_ids;
pub mod topics;
mod worker;

pub use consumer::{Consumer, GroupName, Handler, Options, Record, Start, TopicPartition, Wanted};
pub use dead_letters::{DeadLetters, Letter};
pub use end::leave;
pub use errors::KafkaFailure;
pub use problems::{Kind, Problems};
pub use status::Status;

/// The one place that makes client configurations: ours first, then `kafka.properties`, which win.
pub fn client_config(kafka: &Kafka) -> ClientConfig {
    client_config_with(kafka, &[])
}

/// [`client_config`] with the defaults of one kind of client between ours and the user's.
pub(crate) fn client_config_with(kafka: &Kafka, defaults: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.brokers.join(","));
    config.set("client.id", "atalaya");
    // The broker is asked for its metrics subscription otherwise, and older ones log an error for it.
    config.set("enable.metrics.push", "false");
    // Back within seconds after an outage, however long it was.
    config.set("reconnect.backoff.max.ms", "2000");
    config.set("socket.keepalive.enable", "true");
    for (name, value) in defaults {
        config.set(*name, *value);
    }
    for (name, value) in &kafka.properties {
        config.set(name, value.expose());
    }
    config.set_log_level(rdkafka::config::RDKafkaLogLevel::Info);
    config
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::Secret;

    #[test]
    fn the_users_properties_win_over_ours() {
        let kafka = Kafka {
            brokers: vec!["a:1".into(), "b:2".into()],
            group: "g".into(),
            properties: BTreeMap::from([
                ("client.id".to_owned(), Secret::new("mine")),
                ("linger.ms".to_owned(), Secret::new("7")),
            ]),
            ..Kafka::default()
        };
        let config = client_config_with(&kafka, &[("linger.ms", "5"), ("acks", "all")]);
        for (name, value) in
            [("bootstrap.servers", "a:1,b:2"), ("client.id", "mine"), ("linger.ms", "7"), ("acks", "all")]
        {
            assert_eq!(config.get(name), Some(value), "{name}");
        }
    }
}
