//! The Kafka end of `atalaya simulate`: sends with event time as Kafka's timestamp, and loses nothing silently.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};

use crate::commands::Failure;
use crate::domain::Timestamp;

/// How long a broker may take to answer at the start, and the last messages to be taken at the end.
const CONNECT: Duration = Duration::from_secs(5);
const FINISH: Duration = Duration::from_secs(30);

pub(in crate::commands) struct Producer {
    client: BaseProducer<Deliveries>,
    brokers: String,
    sent: u32,
}

/// What became of the messages.
#[derive(Default)]
struct Deliveries {
    failed: AtomicU64,
    first_failure: Mutex<Option<(String, KafkaError)>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, message)) = result {
            self.failed.fetch_add(1, Ordering::Relaxed);
            if let Ok(mut first) = self.first_failure.lock() {
                first.get_or_insert_with(|| (message.topic().to_owned(), error.clone()));
            }
        }
    }
}

impl Producer {
    /// Asks the brokers for their topics, so that one that is not there is told before anything is simulated.
    pub async fn connect(brokers: &str, properties: &[(String, String)]) -> Result<Self, Failure> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", brokers)
            .set("client.id", "atalaya-simulate")
            .set("enable.metrics.push", "false")
            .set("linger.ms", "5")
            .set("compression.type", "lz4")
            // Keys go where Java's producers put them.
            .set("partitioner", "murmur2_random")
            .set("queue.buffering.max.messages", "200000")
            .set("message.timeout.ms", "60000");
        for (name, value) in properties {
            config.set(name, value);
        }
        let client: BaseProducer<Deliveries> = config.create_with_context(Deliveries::default()).map_err(|error| {
            Failure::User(format!("--kafka-property: librdkafka refuses the settings of the producer ({error})."))
        })?;
        let asked = tokio::task::spawn_blocking(move || {
            let answer = client.client().fetch_metadata(None, CONNECT).map(|_| ());
            (client, answer)
        })
        .await;
        match asked {
            Ok((client, Ok(()))) => Ok(Producer { client, brokers: brokers.to_owned(), sent: 0 }),
            Ok((_, Err(error))) => Err(Failure::Run(format!(
                "no Kafka broker answers at {brokers} within {} s ({error}). Start one, or name another with --brokers; \
                 without --brokers the events go to standard output.",
                CONNECT.as_secs()
            ))),
            Err(error) => Err(Failure::Run(format!("asking {brokers} for its topics was cut off ({error})."))),
        }
    }

    pub async fn send(
        &mut self,
        topic: &str,
        key: Option<&str>,
        time: Option<Timestamp>,
        record: &[u8],
    ) -> Result<(), Failure> {
        loop {
            let mut message: BaseRecord<'_, str, [u8]> = BaseRecord::to(topic).payload(record);
            message.key = key;
            // Kafka has no times before 1970.
            message.timestamp = time.map(|time| time.0).filter(|ms| *ms >= 0);
            match self.client.send(message) {
                Ok(()) => break,
                // Full means that the broker is slower than we are.
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    self.poll()?;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err((error, _)) => return Err(self.failure(topic, &error)),
            }
        }
        self.sent = self.sent.wrapping_add(1);
        if self.sent.is_multiple_of(256) {
            // At full speed nothing else here waits, and Ctrl-C would not be heard.
            tokio::task::yield_now().await;
        }
        self.poll()
    }

    /// Hears what became of the messages, without waiting.
    pub fn poll(&mut self) -> Result<(), Failure> {
        self.client.poll(Duration::ZERO);
        let deliveries = self.client.context();
        if deliveries.failed.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        let first = deliveries.first_failure.lock().ok().and_then(|mut first| first.take());
        match first {
            Some((topic, error)) => Err(self.failure(&topic, &error)),
            None => Err(Failure::Run(format!("Kafka at {} did not take every event.", self.brokers))),
        }
    }

    /// Waits until every message is taken. (`flush` of the client library takes a tenth of a second at least.)
    pub async fn finish(&mut self) -> Result<(), Failure> {
        let steps = FINISH.as_millis() / 5;
        for _ in 0..steps {
            self.poll()?;
            if self.client.in_flight_count() == 0 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err(Failure::Run(format!(
            "Kafka at {} has not taken the last {} events within {} s; they are lost.",
            self.brokers,
            self.client.in_flight_count(),
            FINISH.as_secs()
        )))
    }

    fn failure(&self, topic: &str, error: &KafkaError) -> Failure {
        let remedy = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                "Create the topic, or name another with --interactions-topic or --agent-states-topic."
            }
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => "Give this client the right to write to it.",
            Some(RDKafkaErrorCode::MessageTimedOut) => "See whether the broker still runs.",
            _ => "See the log of the broker.",
        };
        Failure::Run(format!(
            "Kafka at {} does not take events for the topic {topic} ({error}). {remedy}",
            self.brokers
        ))
    }
}
