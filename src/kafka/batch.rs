//! One queue for all partitions, read a batch at a time: the only unsafe code of the product but for the end of a process.
//!
//! Each assigned partition's queue is forwarded to one queue of ours; the consumer itself is polled for its events only
//! (rebalances, errors, logs), as its client library costs several times as much per record. Three habits of librdkafka
//! shape this:
//!
//! * It goes back to its own note of what was taken whenever a rebalance pauses and resumes the partitions that stay. Its
//!   function for batches, a tenth of a microsecond a record cheaper, counts an end of partition or an error as a record
//!   there (librdkafka issue 4844): then the next record is passed over, or the partition is "out of range" and begins
//!   anew. So messages are taken one by one.
//! * It ends a forwarding by itself when it stops fetching ([`Reader::forward_again`]).
//! * A queue that outlives its consumer makes the consumer's drop hang: the fields of [`Reader`] stand in the order of
//!   their destruction.
//!
//! Deliberately not here: what to do with a record, an end or an error.

use std::ffi::{CStr, CString};
use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::bindings as c;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use super::consumer::TopicPartition;

/// What a partition's queue delivers.
pub enum Item<'a> {
    Record {
        offset: i64,
        timestamp: Option<i64>,
        key: Option<&'a [u8]>,
        payload: Option<&'a [u8]>,
    },
    /// The end of the partition was reached at this offset.
    End {
        offset: i64,
    },
    Failed {
        code: RDKafkaErrorCode,
        text: String,
    },
}

/// A reference to a librdkafka queue, given back on drop.
struct Queue(NonNull<c::rd_kafka_queue_t>);

// SAFETY: librdkafka's queues may be used and given back on any thread.
unsafe impl Send for Queue {}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the pointer came from librdkafka, which counted the reference for us; it is given back once, and the
        // client lives (see the order of the fields of `Reader`).
        unsafe { c::rd_kafka_queue_destroy(self.0.as_ptr()) }
    }
}

/// A message of librdkafka, given back on drop.
struct Message(NonNull<c::rd_kafka_message_t>);

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: librdkafka handed the message to us; it is given back once.
        unsafe { c::rd_kafka_message_destroy(self.0.as_ptr()) }
    }
}

impl Message {
    fn topic(&self) -> *mut c::rd_kafka_topic_t {
        // SAFETY: the message is valid and ours until it is dropped.
        unsafe { self.0.as_ref() }.rkt
    }

    /// `None` for an error that is of no topic.
    fn topic_name(&self) -> Option<&[u8]> {
        // SAFETY: the message holds a reference to its topic, whose name is a C string.
        let name = |topic: NonNull<_>| unsafe { CStr::from_ptr(c::rd_kafka_topic_name(topic.as_ptr())) };
        NonNull::new(self.topic()).map(|topic| name(topic).to_bytes())
    }
}

/// Bytes that librdkafka owns: `None` for a null pointer, which is not the same as empty.
///
/// # Safety
/// `data` is null or valid for `len` bytes for as long as `'a`.
unsafe fn bytes<'a>(data: *const std::os::raw::c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise; a non-null pointer of librdkafka is never dangling, also with length 0.
    NonNull::new(data.cast_mut()).map(|data| unsafe { std::slice::from_raw_parts(data.as_ptr().cast::<u8>(), len) })
}

/// A consumer whose partitions are read through one queue. Lives and dies on the thread that reads.
pub struct Reader<C: ConsumerContext> {
    // The order is that of destruction: all queues go before the client.
    forwarded: Vec<(TopicPartition, Queue)>,
    queue: Queue,
    consumer: BaseConsumer<C>,
    batch_max: usize,
    topics: Vec<String>,
}

impl<C: ConsumerContext> Reader<C> {
    /// `None` when librdkafka has no memory for a queue.
    pub fn new(consumer: BaseConsumer<C>, topics: Vec<String>, batch_max: usize) -> Option<Self> {
        // SAFETY: the client's pointer is valid while `consumer` lives.
        let queue = NonNull::new(unsafe { c::rd_kafka_queue_new(consumer.client().native_ptr()) }).map(Queue)?;
        Some(Reader { forwarded: Vec::new(), queue, consumer, batch_max, topics })
    }

    pub fn consumer(&self) -> &BaseConsumer<C> {
        &self.consumer
    }

    /// Leads a partition's records to our queue. To be done before the partition is assigned, so that none goes to the
    /// consumer's own queue. `false` when librdkafka refuses.
    pub fn forward(&mut self, tp: TopicPartition) -> bool {
        self.release(tp);
        let Some(Ok(topic)) = self.topics.get(tp.source).map(|name| CString::new(name.as_str())) else { return false };
        // SAFETY: the client lives, the name is a C string that librdkafka copies; the result is null or a reference
        // that we own.
        let own = unsafe {
            c::rd_kafka_queue_get_partition(self.consumer.client().native_ptr(), topic.as_ptr(), tp.partition)
        };
        let Some(own) = NonNull::new(own).map(Queue) else { return false };
        // SAFETY: both queues are valid; librdkafka takes its own reference to the destination.
        unsafe { c::rd_kafka_queue_forward(own.0.as_ptr(), self.queue.0.as_ptr()) };
        self.forwarded.push((tp, own));
        true
    }

    /// Forwards again what is to be forwarded. When librdkafka has stopped fetching a partition it ends the forwarding by
    /// itself, some time later and on another thread: a partition given back and taken again at once would be read no
    /// more. To be called every now and then; records that lie in a partition's queue come over in their order.
    pub fn forward_again(&self) {
        for (_, own) in &self.forwarded {
            // SAFETY: both queues are valid; librdkafka replaces its reference to the destination.
            unsafe { c::rd_kafka_queue_forward(own.0.as_ptr(), self.queue.0.as_ptr()) };
        }
    }

    /// Ends the forwarding of a partition that was taken away.
    pub fn release(&mut self, tp: TopicPartition) {
        self.forwarded.retain(|(other, queue)| {
            if *other == tp {
                // SAFETY: the queue is valid; a null destination ends the forwarding.
                unsafe { c::rd_kafka_queue_forward(queue.0.as_ptr(), std::ptr::null_mut()) };
            }
            *other != tp
        });
    }

    pub fn release_all(&mut self) {
        for tp in self.forwarded.iter().map(|(tp, _)| *tp).collect::<Vec<_>>() {
            self.release(tp);
        }
    }

    /// Commits these offsets. What became of it comes to the context's `commit_callback` while the consumer is polled;
    /// `commit` of the client library does not wait for an answer, and nobody is told of one.
    pub fn commit(&self, offsets: &TopicPartitionList) -> KafkaResult<()> {
        let client = self.consumer.client().native_ptr();
        // SAFETY: the client lives; the result is null or a reference to its queue that we own.
        let Some(answers) = NonNull::new(unsafe { c::rd_kafka_queue_get_consumer(client) }).map(Queue) else {
            return Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::UnknownGroup));
        };
        // SAFETY: client, list and queue are valid; librdkafka copies the list and takes its own reference to the queue.
        // Without a callback the answer is an event of that queue.
        let error =
            unsafe { c::rd_kafka_commit_queue(client, offsets.ptr(), answers.0.as_ptr(), None, std::ptr::null_mut()) };
        match error {
            c::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            error => Err(KafkaError::ConsumerCommit(error.into())),
        }
    }

    /// Waits at most `wait` for a record, takes what else is there, a batch at most, and shows each to `visit`. Returns how
    /// many.
    pub fn read(&mut self, wait: Duration, visit: &mut dyn FnMut(TopicPartition, Item<'_>)) -> usize {
        let mut wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // The name of a topic is looked up once a run of records of it. The message before is given back only after the
        // pointers were compared: it keeps its topic alive, so an equal pointer cannot be another topic's.
        let (mut before, mut source): (Option<Message>, Option<usize>) = (None, None);
        for taken in 0..self.batch_max {
            // SAFETY: the queue is valid; the result is null or a message that we own.
            let message = unsafe { c::rd_kafka_consume_queue(self.queue.0.as_ptr(), wait_ms) };
            let Some(message) = NonNull::new(message).map(Message) else { return taken };
            wait_ms = 0;
            if source.is_none() || before.as_ref().is_none_or(|before| before.topic() != message.topic()) {
                source =
                    message.topic_name().and_then(|name| self.topics.iter().position(|topic| topic.as_bytes() == name));
            }
            // A record of no topic of ours cannot come: only ours are subscribed.
            if let Some(source) = source {
                show(source, &message, visit);
            }
            before = Some(message);
        }
        self.batch_max
    }
}

fn show(source: usize, message: &Message, visit: &mut dyn FnMut(TopicPartition, Item<'_>)) {
    // SAFETY: the message is valid and ours until it is dropped.
    let raw = unsafe { message.0.as_ref() };
    let tp = TopicPartition { source, partition: raw.partition };
    match raw.err {
        c::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => {
            let mut kind = c::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
            // SAFETY: the message is valid, and `kind` is written to.
            let timestamp = unsafe { c::rd_kafka_message_timestamp(message.0.as_ptr(), &mut kind) };
            // SAFETY: key and payload are the message's, valid until it is dropped after `visit`.
            let (key, payload) = unsafe { (bytes(raw.key, raw.key_len), bytes(raw.payload, raw.len)) };
            visit(
                tp,
                Item::Record { offset: raw.offset, timestamp: (timestamp >= 0).then_some(timestamp), key, payload },
            );
        }
        c::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF => visit(tp, Item::End { offset: raw.offset }),
        code => {
            // SAFETY: of a message with an error the payload is its text.
            let text = unsafe { bytes(raw.payload, raw.len) }.unwrap_or_default();
            visit(tp, Item::Failed { code: code.into(), text: String::from_utf8_lossy(text).into_owned() });
        }
    }
}
