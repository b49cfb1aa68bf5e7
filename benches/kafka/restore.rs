//! From starting the program until all that was kept is taken up: the board, the floors, what was decided.
//!
//! The state is made by the program itself, of events that fill every pane of every key; then it is killed, and started again.

use atalaya::kafka::snapshots::{Lying, Snapshots};

use crate::Topic;
use crate::client::{Atalaya, Manner, until};
use crate::producer::{PANES, PARTITIONS, STAY_OPEN, write};
use crate::real::kafka::{RealKafka, config};
use crate::support::{figure, figure_with_goal, median, scaled, timed};

const ROUNDS: usize = 3;
/// With their roll-ups, 99,011 keys.
const PAIRS: usize = 90_000;

pub fn measure(kafka: &RealKafka) {
    let pairs = scaled(PAIRS);
    let topic = Topic { name: "bench.state".to_owned(), events: pairs * PANES };
    kafka.create_topic(&topic.name, PARTITIONS);
    write(kafka, &topic, pairs, "state").ended();

    let group = "restore";
    let manner = Manner { topic: &topic.name, group, instance: group, of_channels: true, ..Manner::default() };
    let snapshots = Snapshots::open(&config(&kafka.bootstrap(), group)).expect("a client");
    let kept = || snapshots.look().expect("what is kept").states;
    // How long it took until it was ready, and its CPU time when all that was kept had been taken up.
    let start = || {
        let before = id_of_board(&kept());
        let mut cpu = None;
        let (ready, atalaya) = timed(|| {
            let atalaya = Atalaya::start_as(kafka, &manner);
            until("it is ready", || {
                if cpu.is_none() && atalaya.said("is taken up").len() > PARTITIONS as usize {
                    cpu = Some(atalaya.cpu());
                }
                atalaya.is_ready()
            });
            atalaya
        });
        // What it keeps of the logs is what the next start takes up.
        until("the board is kept", || id_of_board(&kept()).is_some_and(|id| Some(id) != before));
        (ready, cpu, atalaya)
    };
    let (made, _, atalaya) = start();
    figure("restore_made_in_seconds", made);
    let states = kept();
    let bytes = |what: &str| states.iter().filter(|state| state.name.contains(what)).map(|state| state.bytes).max();
    figure("restore_board_mib", bytes("/replica").expect("a board") as f64 / f64::from(1 << 20));
    figure("restore_floor_mib", bytes("/floor/").unwrap_or(0) as f64 / f64::from(1 << 20));
    drop(atalaya);

    let (mut boards, mut taken_up, mut cpu, mut ready) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (seconds, used, atalaya) = start();
        let floors = atalaya.said("a floor is taken up");
        let board = atalaya.said("the board is taken up");
        assert_eq!((board.len(), floors.len()), (1, PARTITIONS as usize), "all that was kept is taken up");
        let backlog = atalaya.api("/api/v1/indicators?indicator=backlog");
        let backlog = backlog["indicators"].as_array().expect("a list");
        let over_all = backlog.iter().find(|record| record["queue"].is_null() && record["channel"].is_null());
        let open = over_all.and_then(|record| record["value"].as_u64());
        assert_eq!(open, Some((pairs * STAY_OPEN) as u64), "every interaction is open that was");
        if ready.is_empty() {
            figure("restore_keys", backlog.len() as f64);
            figure("restore_open_interactions", (pairs * STAY_OPEN) as f64);
        }
        taken_up.push(floors.into_iter().chain(board.iter().copied()).fold(0.0, f64::max));
        boards.extend(board);
        cpu.extend(used);
        ready.push(seconds);
    }
    figure("restore_board_seconds", median(&boards));
    figure_with_goal("restore_taken_up_seconds", median(&taken_up), 5.0);
    figure("restore_taken_up_cpu_seconds", median(&cpu));
    figure("restore_ready_seconds", median(&ready));
}

/// Under which the board lies that was kept last.
fn id_of_board(states: &[Lying]) -> Option<String> {
    states.iter().find(|state| state.name.ends_with("/replica")).map(|state| state.id.clone())
}
