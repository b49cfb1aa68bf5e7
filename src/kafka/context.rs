//! The callbacks of a consumer: they only take note of what librdkafka tells while it is polled.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;

use super::errors::{self, Place};

/// What librdkafka tells while it is polled.
pub enum Event {
    Assign(Vec<(String, i32)>),
    Revoke(Vec<(String, i32)>),
    Error(RDKafkaErrorCode, String),
    Committed(KafkaResult<()>),
}

/// The client's callbacks: they only take note. All but the log run on the thread that polls.
pub struct Context {
    place: Place,
    events: Mutex<VecDeque<Event>>,
    /// Nobody looks at the events any more: partitions are given back at once.
    closing: AtomicBool,
}

impl Context {
    pub fn new(place: Place) -> Self {
        Context { place, events: Mutex::default(), closing: AtomicBool::new(false) }
    }

    /// From now on nobody looks at the events any more.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    fn push(&self, event: Event) {
        if !self.closing.load(Ordering::Acquire) {
            self.events.lock().unwrap_or_else(PoisonError::into_inner).push_back(event);
        }
    }

    pub fn take(&self) -> VecDeque<Event> {
        std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let message = self.place.redact(message);
        // This is told nowhere else.
        if errors::is_cut_off(&message) {
            self.push(Event::Error(RDKafkaErrorCode::BrokerTransportFailure, message.clone()));
        }
        // What matters arrives as an error as well, and is told there in words.
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(facility, "librdkafka: {message}");
            }
            _ => tracing::debug!(facility, "librdkafka: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code() {
            self.push(Event::Error(code, reason.to_owned()));
        }
    }
}

/// Of a client that is made for one question: its answer says all, and librdkafka's own words may hold a secret.
pub struct Mute;

impl ClientContext for Mute {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, error: KafkaError, _: &str) {
        tracing::debug!(%error, "a client for one question");
    }
}

impl ConsumerContext for Mute {}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, tpl: &mut TopicPartitionList) {
        let list = || tpl.elements().iter().map(|element| (element.topic().to_owned(), element.partition())).collect();
        match error {
            // Answered by the worker, which knows the offsets; until then the group waits for us, alive.
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS if !self.closing.load(Ordering::Acquire) => {
                self.push(Event::Assign(list()));
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS if !self.closing.load(Ordering::Acquire) => {
                self.push(Event::Revoke(list()));
            }
            _ => {
                let _ = consumer.unassign();
            }
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        self.push(Event::Committed(result));
    }
}
