//! The bare loop: consumes and decodes, and keeps nothing. It reads as the product does, by partition queues that lead to
//! one queue.

use std::borrow::Cow;
use std::hint::black_box;
use std::sync::mpsc;

use atalaya::kafka::{Consumer, Handler, Options, Problems, Record, TopicPartition};
use atalaya::wire::{Decoded, Decoder};
use serde::Deserialize;

use crate::client::PATIENCE;
use crate::producer::PARTITIONS;
use crate::real::kafka::config;
use crate::support::core::decoder;

/// The fields of the benches' events for a decoder that knows no rules: every text borrowed from the record.
#[derive(Deserialize)]
#[allow(dead_code, reason = "what it costs to fill them is measured")]
struct Fields<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    time: i64,
    #[serde(borrow)]
    interaction: Cow<'a, str>,
    queue: Option<&'a str>,
    channel: Option<&'a str>,
    agent: Option<&'a str>,
    outcome: Option<&'a str>,
}

#[derive(Clone, Copy)]
enum How {
    /// Atalaya's own decoder.
    Own,
    /// serde_json into [`Fields`].
    Serde,
}

struct Bare {
    decoder: Decoder,
    how: How,
    events: usize,
    read: usize,
    begun: usize,
    tell: mpsc::Sender<&'static str>,
}

impl Handler for Bare {
    fn record(&mut self, record: Record<'_>) {
        let payload = record.payload.unwrap_or_default();
        match self.how {
            How::Own => assert!(matches!(black_box(self.decoder.decode(payload)), Decoded::Event(_))),
            How::Serde => {
                black_box(serde_json::from_slice::<Fields<'_>>(payload).expect("a good event"));
            }
        }
        self.read += 1;
        if self.read == self.events {
            let _ = self.tell.send("done");
        }
    }

    fn assigned(&mut self, _: TopicPartition, start: i64) -> Option<i64> {
        Some(start)
    }

    fn revoked(&mut self, _partitions: &[TopicPartition]) {}

    fn caught_up(&mut self, _partition: TopicPartition, _offset: i64) {
        self.begun += 1;
        if self.begun == PARTITIONS as usize {
            let _ = self.tell.send("ready");
        }
    }

    fn idle(&mut self) {}
}

/// Prints `ready` when it reads every partition at its end, and `done` when it has read so many events.
pub fn run(broker: &str, topic: &str, events: usize, how: &str) {
    let how = if how == "serde" { How::Serde } else { How::Own };
    let (tell, told) = mpsc::channel();
    let handler = Bare { decoder: decoder(), how, events, read: 0, begun: 0, tell };
    let kafka = config(broker, &format!("bare-{}", std::process::id()));
    let topics = [topic.to_owned()];
    let consumer = Consumer::start(&kafka, &topics, Options::default(), Problems::default(), Box::new(handler));
    let consumer = consumer.expect("it reads");
    loop {
        let word = told.recv_timeout(PATIENCE).expect("it comes to the end of the topic");
        println!("{word}");
        if word == "done" {
            break;
        }
    }
    // Its CPU time is looked at before it goes.
    let mut go = String::new();
    let _ = std::io::stdin().read_line(&mut go);
    let _ = consumer.stop(PATIENCE);
}
