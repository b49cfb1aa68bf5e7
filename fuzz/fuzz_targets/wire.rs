//! `cargo +nightly fuzz run wire fuzz/corpus/wire fuzz/seeds -- -max_total_time=30`: any bytes at all, decoded as every
//! kind of source does; what comes out as an event keeps the promises of its type.
#![no_main]

use atalaya::domain::{AgentClass, Body};
use atalaya::wire::{Decoded, Decoder, Format};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|record: &[u8]| {
    for format in [Format::Canonical, Format::CloudEvents] {
        let decoder = Decoder { format, states: [("almuerzo".to_owned(), AgentClass::Unproductive)].into() };
        let Decoded::Event(event) = decoder.decode(record) else { continue };
        assert!(!event.id.is_empty() && event.id.len() <= 1_024);
        assert!(event.time.in_range().is_some());
        match &event.body {
            Body::Interaction { interaction, .. } => assert!(!interaction.is_empty()),
            Body::Agent(snapshot) => {
                assert!(!snapshot.agent.is_empty() && !snapshot.state.is_empty());
                assert!(snapshot.busy.unwrap_or(0).max(snapshot.slots.unwrap_or(0)) <= 10_000);
                let places = snapshot.queues.iter().flat_map(|queues| &queues.names);
                assert!(places.chain(snapshot.channels.iter().flatten()).all(|name| !name.is_empty()));
            }
            Body::Heartbeat => {}
        }
        assert_eq!(decoder.decode(record), Decoded::Event(event));
    }
});
