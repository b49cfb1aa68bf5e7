//! Parts by themselves, under criterion, for whoever works on one of them: it says whether a change made it faster.

mod support;

use std::hint::black_box;
use std::sync::Arc;

use atalaya::domain::{Key, Timestamp};
use atalaya::indicators;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

use support::core::{Core, decode, decoder, usual_plan};
use support::load::{Load, STAGES};

/// Decoding one event, by its kind.
fn decoding(criterion: &mut Criterion) {
    let decoder = decoder();
    let load = Load { open: STAGES - 1, ..Load::default() };
    // Once the floor is full each five events are of the five kinds.
    let lines: Vec<Vec<u8>> = load.events(load.fill() + STAGES).skip(load.fill()).map(|line| line.bytes).collect();
    for (line, kind) in lines.iter().zip(["arrived", "queued", "assigned", "replied", "closed"]) {
        criterion.bench_function(&format!("decode {kind}"), |bencher| bencher.iter(|| decoder.decode(black_box(line))));
    }
}

/// A flush of a second of 50,000 events over 1,000 pairs, and its way to the board.
fn flushing(criterion: &mut Criterion) {
    let decoder = decoder();
    let plan = Arc::new(usual_plan());
    let lines: Vec<Vec<u8>> =
        Load { per_second: 50_000, ..Load::default() }.events(50_000).map(|line| line.bytes).collect();
    let events = decode(&decoder, &lines);
    let filled = || {
        let mut core = Core::new(&plan);
        for event in &events {
            core.floor.take(event, Timestamp::MAX);
        }
        core
    };
    criterion.bench_function("flush and apply", |bencher| {
        bencher.iter_batched_ref(filled, Core::flush, BatchSize::LargeInput);
    });
}

/// One number of one key.
fn reading(criterion: &mut Criterion) {
    let decoder = decoder();
    let plan = Arc::new(usual_plan());
    let lines: Vec<Vec<u8>> = Load::default().events(200_000).map(|line| line.bytes).collect();
    let mut core = Core::new(&plan);
    core.take_events(&decode(&decoder, &lines));
    for name in ["asa", "service_level", "wait_p99", "occupancy"] {
        let Some(indicator) = indicators::find(name) else { continue };
        let Some(selector) = indicator.selectors(&plan, &[0], &[atalaya::domain::Clock::Elapsed]).pop() else {
            continue;
        };
        let key = Key::pair("queue-7", "channel-3");
        criterion.bench_function(&format!("read {name}"), |bencher| {
            bencher
                .iter(|| core.board.view(&key, selector.window).map(|view| (indicator.read)(&view, &selector.labels)));
        });
    }
}

criterion_group!(parts, decoding, flushing, reading);
criterion_main!(parts);
