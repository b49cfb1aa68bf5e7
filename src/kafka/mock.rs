//! The broker of `demo`: librdkafka's own, inside this process.
//!
//! Good for showing and for quick tests only: it keeps at most 5 MiB a partition, knows no timestamps (start at
//! [`super::Start::Beginning`]), no administration, no compaction, and a first join takes 3 s. Nothing durable is proved
//! on it.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use super::errors::KafkaFailure;

/// Lives as long as this value.
pub struct MockBroker {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl MockBroker {
    /// Listens on a free port of the loopback, with these topics and their numbers of partitions.
    pub fn start(topics: &[(&str, i32)]) -> Result<MockBroker, KafkaFailure> {
        let failure = |what: &str, error: rdkafka::error::KafkaError| {
            KafkaFailure::Client(format!(
                "The in-process broker could not {what}: {error}. Is the loopback interface up?"
            ))
        };
        let cluster = MockCluster::new(1).map_err(|error| failure("start", error))?;
        for (topic, partitions) in topics {
            cluster.create_topic(topic, *partitions, 1).map_err(|error| failure("make a topic", error))?;
        }
        Ok(MockBroker { cluster })
    }

    /// What belongs into `kafka.brokers`.
    pub fn bootstrap(&self) -> String {
        self.cluster.bootstrap_servers()
    }
}
