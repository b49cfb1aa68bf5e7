//! What the broker calls a topic besides its name: an id of 128 bits that no other topic ever had, also not one of the same name.
//!
//! librdkafka's consumer goes on at the offset where it was when a topic is deleted and created anew, and if that is longer by then nothing
//! tells that its first records were never read. The id does.
//!
//! rdkafka has no call for it, so librdkafka's own are made here. What each block relies on: the client lives as long as
//! the borrow of it; every pointer that librdkafka gave is null or valid until what it belongs to is destroyed, which the
//! guards do, the youngest first and none before its last use.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka::bindings as c;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use xxhash_rust::xxh3::xxh3_64;

use crate::journal::TopicId;

/// What librdkafka gave and wants back.
struct Guard<T>(NonNull<T>, unsafe extern "C" fn(*mut T));

impl<T> Guard<T> {
    fn of(given: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> KafkaResult<Self> {
        let none = KafkaError::AdminOpCreation("no memory".to_owned());
        NonNull::new(given).map(|given| Guard(given, destroy)).ok_or(none)
    }

    fn ptr(&self) -> *mut T {
        self.0.as_ptr()
    }
}

impl<T> Drop for Guard<T> {
    fn drop(&mut self) {
        // SAFETY: it is ours, and is destroyed here alone.
        unsafe { (self.1)(self.0.as_ptr()) };
    }
}

/// The ids of those of the topics that exist, as far as the broker knows of ids. Blocks for `within` at the most.
pub fn of<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    topics: &[String],
    within: Duration,
) -> KafkaResult<BTreeMap<String, TopicId>> {
    let names: Vec<CString> = topics.iter().filter_map(|topic| CString::new(topic.as_str()).ok()).collect();
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let (rk, millis) = (client.client().native_ptr(), i32::try_from(within.as_millis()).unwrap_or(i32::MAX));
    // SAFETY: the names are C strings that live until the end, and as many as is said; librdkafka copies them.
    let asked = unsafe { c::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len()) };
    let asked = Guard::of(asked, c::rd_kafka_TopicCollection_destroy)?;
    // SAFETY: the client is valid.
    let options = unsafe { c::rd_kafka_AdminOptions_new(rk, c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS) };
    let options = Guard::of(options, c::rd_kafka_AdminOptions_destroy)?;
    // SAFETY: the options are valid; no text of an error is wanted.
    unsafe { c::rd_kafka_AdminOptions_set_request_timeout(options.ptr(), millis, ptr::null_mut(), 0) };
    // SAFETY: the client is valid.
    let queue = Guard::of(unsafe { c::rd_kafka_queue_new(rk) }, c::rd_kafka_queue_destroy)?;
    // SAFETY: all four are valid; librdkafka keeps a reference of its own to the queue.
    unsafe { c::rd_kafka_DescribeTopics(rk, asked.ptr(), options.ptr(), queue.ptr()) };
    // SAFETY: the queue is valid.
    let event = unsafe { c::rd_kafka_queue_poll(queue.ptr(), millis) };
    let late = KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut);
    let event = Guard::of(event, c::rd_kafka_event_destroy).map_err(|_| late)?;
    // SAFETY: the event is valid.
    let error = unsafe { c::rd_kafka_event_error(event.ptr()) };
    if error != c::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Err(KafkaError::AdminOp(error.into()));
    }
    // SAFETY: the event is valid; null where it is another event.
    let result = unsafe { c::rd_kafka_event_DescribeTopics_result(event.ptr()) };
    if result.is_null() {
        return Ok(BTreeMap::new());
    }
    let mut count = 0;
    // SAFETY: the result is valid as long as its event.
    let described = unsafe { c::rd_kafka_DescribeTopics_result_topics(result, &mut count) };
    let mut ids = BTreeMap::new();
    for index in 0..count {
        // SAFETY: librdkafka gave an array of so many pointers to descriptions, each valid as long as the event; those of a
        // description's name and id are as long, or null.
        unsafe {
            let topic = *described.add(index);
            let (name, id) = (c::rd_kafka_TopicDescription_name(topic), c::rd_kafka_TopicDescription_topic_id(topic));
            if !name.is_null() && !id.is_null() {
                let bits = (c::rd_kafka_Uuid_most_significant_bits(id), c::rd_kafka_Uuid_least_significant_bits(id));
                ids.insert(CStr::from_ptr(name).to_string_lossy().into_owned(), id_of(bits));
            }
        }
    }
    ids.retain(|_, id| *id != TopicId::UNKNOWN);
    Ok(ids)
}

/// One that does not exist has an id of zeros.
fn id_of((most, least): (i64, i64)) -> TopicId {
    match (most, least) {
        (0, 0) => TopicId::UNKNOWN,
        _ => TopicId((xxh3_64(&[most.to_le_bytes(), least.to_le_bytes()].concat()) as u32).max(1)),
    }
}
