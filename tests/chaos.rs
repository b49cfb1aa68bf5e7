//! Nothing lost and nothing twice, whatever stops: real instances against a real Apache Kafka, killed, stopped, joining and leaving,
//! with a broker that stops and dies, under a load whose sums are known.
//!
//! ```sh
//! ATALAYA_CHAOS=kill ATALAYA_CHAOS_SECONDS=1800 cargo test --release --test chaos -- --nocapture
//! ```
//!
//! Without `ATALAYA_CHAOS` all scenarios run one after the other, without `ATALAYA_CHAOS_SECONDS` as short as they can be.
//! `ATALAYA_SEED` draws other choices, `ATALAYA_CHAOS_RATE` is how many interactions begin a second.
#![cfg(feature = "shell")]
#![allow(clippy::disallowed_methods, reason = "this waits for real programs, on the real clock")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

#[path = "chaos/judge.rs"]
mod judge;
#[path = "chaos/poison.rs"]
mod poison;
#[path = "chaos/probe.rs"]
mod probe;
#[path = "chaos/traffic.rs"]
mod traffic;
#[path = "chaos/world.rs"]
mod world;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use probe::Probes;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use support::kafka::PATIENCE;
use traffic::Traffic;
use world::World;

struct Scenario {
    name: &'static str,
    /// One alarm that lasts, instead of many.
    steady: bool,
    happens: fn(&mut World, &mut ChaCha8Rng, Duration),
}

const SCENARIOS: [Scenario; 8] = [
    // First, because after so many records floors are kept: who starts later goes on from them.
    Scenario { name: "burst", steady: false, happens: burst },
    Scenario { name: "kill", steady: false, happens: kill },
    Scenario { name: "blackout", steady: false, happens: blackout },
    Scenario { name: "churn", steady: false, happens: churn },
    Scenario { name: "pause", steady: false, happens: pause },
    Scenario { name: "roll", steady: true, happens: roll },
    Scenario { name: "frozen-broker", steady: false, happens: frozen_broker },
    Scenario { name: "killed-broker", steady: false, happens: killed_broker },
];

const INSTANCES: usize = 3;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn nothing_is_lost_and_nothing_comes_twice() {
    let alone = std::env::var("ATALAYA_CHAOS").ok();
    let seed = setting("ATALAYA_SEED").unwrap_or(1);
    let lasts = seconds(setting("ATALAYA_CHAOS_SECONDS").unwrap_or(9));
    let chosen = SCENARIOS.iter().filter(|scenario| alone.as_deref().is_none_or(|name| name == scenario.name));
    let chosen: Vec<&Scenario> = chosen.collect();
    assert!(!chosen.is_empty(), "no scenario is called {alone:?}");
    let name = alone.as_deref().unwrap_or("all");
    let rate = setting("ATALAYA_CHAOS_RATE").unwrap_or(150);
    let Some(mut world) = World::new(&format!("{name}-{seed}"), INSTANCES, rate) else { return };
    let mut traffic = Traffic::new(seed, world.rate.clone(), &world.kafka.client());
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    world.all_ready();
    for scenario in chosen {
        let began = Instant::now();
        let wrong = live_through(scenario, &mut world, &mut traffic, &mut rng, lasts);
        let logs = world.folder.display();
        assert!(wrong.is_empty(), "{} with seed {seed}: {wrong:#?}\nThe logs are in {logs}", scenario.name);
        println!("{}: {:.0?}, {} records, {:?}", scenario.name, began.elapsed(), traffic.written, traffic.incidents());
        let (gap, repeats) = (world.longest_gap("atalaya.decisions"), judge::repeats(&world.receiver));
        println!("nothing was decided for {gap}; {repeats} notices came again under the same name");
        // Where nothing is dropped nothing was tried.
        for (name, program) in world.programs() {
            let metrics = program.get("/metrics").map_or(String::new(), |(_, body)| body);
            let dropped = metrics.lines().filter(|line| line.starts_with("atalaya_log_dropped_total"));
            println!("{name} dropped {:?}", dropped.collect::<Vec<_>>());
        }
        let (floors, pieces, left, bytes) = world.pieces();
        println!("{floors} states of floors are kept; of {pieces} pieces {left} are of no state: {bytes} bytes");
    }
}

/// What is wrong after it.
fn live_through(
    scenario: &Scenario,
    world: &mut World,
    traffic: &mut Traffic,
    rng: &mut ChaCha8Rng,
    lasts: Duration,
) -> Vec<String> {
    let stop = AtomicBool::new(false);
    let receiver = world.receiver.clone();
    let told = std::thread::scope(|scope| {
        let writing = scope.spawn(|| traffic.run(scenario.steady, &receiver, &|| stop.load(Ordering::Relaxed)));
        let chaos = std::panic::AssertUnwindSafe(|| {
            (scenario.happens)(world, rng, lasts);
            world.all_ready();
        });
        let outcome = std::panic::catch_unwind(chaos);
        // Else the writer would never end.
        stop.store(true, Ordering::Relaxed);
        let told = writing.join().expect("the writer ends");
        outcome.map_err(|_| "see above".to_owned()).and(told)
    });
    traffic.count_probes(std::mem::take(&mut world.probes));
    let mut wrong: Vec<String> = told.err().into_iter().collect();
    let mut differences = Vec::new();
    let agreed = Instant::now();
    let deadline = agreed + PATIENCE;
    loop {
        differences.clear();
        for (name, program) in world.programs() {
            let of = judge::differences(program, &traffic.figures);
            differences.extend(of.into_iter().map(|what| format!("{name}: {what}")));
        }
        let evaluators = world.programs().filter(|(_, program)| judge::shows_indicators(program)).count();
        if evaluators != 1 {
            differences.push(format!("{evaluators} instances show indicators in /metrics"));
        }
        if differences.is_empty() || Instant::now() >= deadline {
            break;
        }
        sleep(Duration::from_millis(250));
    }
    println!("all agree {:.1?} after the last record", agreed.elapsed());
    wrong.append(&mut differences);
    wrong.extend(judge::notices(&world.receiver, &traffic.incidents()));
    // Those of the last moment may be on their way still.
    let mut letters = judge::dead_letters(&world.kafka, &mut world.refused);
    while !letters.is_empty() && Instant::now() < deadline {
        sleep(seconds(1));
        letters = judge::dead_letters(&world.kafka, &mut world.refused);
    }
    wrong.append(&mut letters);
    wrong.extend(world.defects());
    wrong
}

fn until(lasts: Duration, mut again: impl FnMut()) {
    let end = Instant::now() + lasts;
    while Instant::now() < end {
        again();
    }
}

/// kill -9 of one of them every one to three seconds; it is started again at once.
fn kill(world: &mut World, rng: &mut ChaCha8Rng, lasts: Duration) {
    let mut kills = 0;
    until(lasts, || {
        sleep(Duration::from_millis(rng.random_range(1_000..3_000)));
        let number = rng.random_range(0..INSTANCES);
        world.kill(number);
        world.start(number);
        kills += 1;
    });
    println!("{kills} kills");
}

/// kill -9 of all of them at once, every few seconds.
fn blackout(world: &mut World, rng: &mut ChaCha8Rng, lasts: Duration) {
    until(lasts, || {
        sleep(Duration::from_millis(rng.random_range(3_000..15_000)));
        (0..INSTANCES).for_each(|number| world.kill(number));
        (0..INSTANCES).for_each(|number| world.start(number));
    });
}

/// Every two seconds one ends in order, or one that has ended is started again; one of them runs always.
fn churn(world: &mut World, rng: &mut ChaCha8Rng, lasts: Duration) {
    until(lasts, || {
        sleep(seconds(2));
        let number = rng.random_range(0..INSTANCES);
        let others =
            (0..INSTANCES).filter(|other| *other != number && world.instances[*other].program.is_some()).count();
        match world.instances[number].program.take() {
            None => world.start(number),
            Some(program) if others == 0 => world.instances[number].program = Some(program),
            Some(mut program) => {
                let (status, _) = program.terminate();
                assert_eq!(status.code(), Some(0), "it ends in order");
            }
        }
    });
}

/// One stands still for longer than the group believes it alive, and goes on.
fn pause(world: &mut World, rng: &mut ChaCha8Rng, lasts: Duration) {
    until(lasts, || {
        let number = rng.random_range(0..INSTANCES);
        let still = Duration::from_millis(rng.random_range(7_000..12_000));
        world.program(number).expect("it runs").signal("STOP");
        sleep(still);
        world.program(number).expect("it runs").signal("CONT");
        sleep(seconds(3));
    });
}

/// One after the other is ended and started again, with one incident open all the time: nobody hears anything.
fn roll(world: &mut World, _: &mut ChaCha8Rng, _: Duration) {
    let receiver = world.receiver.clone();
    let before = quiet_once_told(&receiver);
    for number in 0..INSTANCES {
        let (status, took) = world.program(number).expect("it runs").terminate();
        assert_eq!(status.code(), Some(0), "it ends in order");
        assert!(took < seconds(15), "it took {took:?} to end");
        world.start(number);
        world.all_ready();
    }
    let after = receiver.taken();
    let told: Vec<_> = after.iter().skip(before).map(|request| &request.body).collect();
    assert!(told.is_empty(), "a rolling restart told {told:?}");
}

/// Waits until the lasting alarm was told and escalated; how many requests there have been then.
fn quiet_once_told(receiver: &support::receiver::Receiver) -> usize {
    let open = |path: &str| {
        let mut open = std::collections::BTreeSet::new();
        for request in receiver.taken().iter().filter(|request| request.path == path) {
            let data = &request.json()["data"];
            let incident = data["incident"].to_string();
            if data["level"] == "ok" {
                open.remove(&incident)
            } else {
                open.insert(incident)
            };
        }
        open.len()
    };
    support::kafka::eventually("the lasting alarm is told and escalated", || open("/desk") == 1 && open("/boss") == 1);
    receiver.taken().len()
}

/// The broker stands still: for so long that all is appended again while the group still knows its members, and for longer than it
/// believes them alive.
fn frozen_broker(world: &mut World, _: &mut ChaCha8Rng, lasts: Duration) {
    for still in [Duration::from_millis(5_500), lasts.clamp(seconds(10), seconds(60))] {
        sleep(seconds(2));
        world.kafka.signal("STOP");
        sleep(still);
        world.kafka.signal("CONT");
    }
    sleep(seconds(3));
}

fn killed_broker(world: &mut World, _: &mut ChaCha8Rng, lasts: Duration) {
    until(lasts, || {
        sleep(seconds(3));
        world.kafka.kill();
        world.kafka.run_again(&[]);
    });
}

/// Ten times as much as usual for a while. Ten seconds later it is as if nothing had been.
fn burst(world: &mut World, _: &mut ChaCha8Rng, lasts: Duration) {
    let is_long = lasts >= seconds(60);
    let usual = world.rate.load(Ordering::Relaxed);
    let mut probes = Probes::new(&world.kafka.client());
    let program = world.instances[0].program.as_ref().expect("it runs");
    probes.measure(program, seconds(2)).print("before");
    world.rate.store(10 * usual, Ordering::Relaxed);
    probes.measure(program, lasts.min(seconds(60))).print("meanwhile");
    world.rate.store(usual, Ordering::Relaxed);
    sleep(seconds(if is_long { 10 } else { 4 }));
    let after = probes.measure(program, seconds(if is_long { 30 } else { 2 }));
    after.print("afterwards");
    // A few probes on a machine that builds something else prove less than many.
    let limit = if is_long { seconds(1) } else { seconds(5) };
    assert!(after.quantile(99) < limit, "from event to number takes {:?}", after.quantile(99));
    world.probes = probes.close();
}
