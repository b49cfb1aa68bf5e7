//! One test for each limit.

use super::*;
use crate::bytes::most_held;

#[test]
fn keys_beyond_the_limit_count_under_other_in_their_channel() {
    let mut core = Core::new(Limits { keys: 12, ..Limits::default() });
    for n in 0..10 {
        let (name, queue) = (format!("i{n}"), format!("q{n}"));
        core.interaction(at(n), &name, queued(&queue));
        core.interaction(at(n + 20), &name, assigned());
    }
    core.show(at(60));
    let keys = core.keys();
    // A channel and over everything, and two for each queue; `other` comes beyond the limit.
    assert!(keys.len() <= 12 + 2, "{keys:?}");
    let kept = (0..10).filter(|n| keys.contains(&Key::pair(&format!("q{n}"), "voice"))).count();
    assert_eq!(kept, 4, "{keys:?}");
    for n in 0..kept {
        assert_eq!(core.figure("answered", &Key::pair(&format!("q{n}"), "voice")), 1.0, "q{n}");
    }
    // They are answered, as those of their channel are; its roll-up and that over everything are whole.
    assert_eq!(core.figure("answered", &Key::pair("other", "voice")), 6.0);
    let voice = Key { queue: None, channel: Some("voice".into()) };
    for key in [&voice, &Key::ALL] {
        assert_eq!((core.figure("answered", key), core.figure("asa", key)), (10.0, 20.0), "{key:?}");
        assert_eq!(core.figure("waiting", key), 0.0);
    }
    assert!(core.floor.counters().over_names >= 6);
}

#[test]
fn what_was_forgotten_and_ever_new_names_take_no_memory() {
    let flood = |names: usize| {
        most_held(|| {
            let limits = Limits { keys: 100, identities: 4, closed_interactions: 0, ..Limits::default() };
            let mut core = Core::new(limits);
            for n in 0..names {
                let (queue, channel) = (format!("queue-{n}").into(), format!("channel-{n}").into());
                let (name, time) = (format!("i{n}"), at(n as i64 / 1000));
                core.interaction(time, &name, InteractionEvent::Queued { queue, channel });
                core.interaction(time, &name, closed());
            }
            core.show(at(60));
            assert_eq!(core.over_all(&["queued", "closed", "backlog"]), [names as f64, names as f64, 0.0]);
            let (counters, keys) = (core.floor.counters(), core.keys().len());
            assert!(counters.over_names as usize > names - 100 && keys <= 100 + 2, "{counters:?} {keys}");
            assert_eq!((counters.interactions, counters.forgotten_early as usize), (0, names));
        })
    };
    let ((), some) = flood(2_000);
    let ((), more) = flood(40_000);
    assert!(more < some + 100_000, "{some} bytes for two thousand, {more} for forty");
}

#[test]
fn open_interactions_beyond_the_limit_are_left_out_whole() {
    let mut core = Core::new(Limits { open_interactions: 3, closed_interactions: 100, ..Limits::default() });
    for n in 0..5 {
        let expected = if n < 3 { Taken::Applied } else { Taken::NoEffect };
        assert_eq!(core.interaction(at(n), &format!("i{n}"), queued("q")), expected, "{n}");
    }
    // What more is said of one that was left out changes nothing either.
    assert_eq!(core.interaction(at(10), "i4", assigned()), Taken::NoEffect);
    core.show(at(20));
    assert_eq!(core.over_all(&["waiting", "queued", "answered", "backlog"]), [3.0, 3.0, 0.0, 3.0]);
    assert_eq!(core.figure("oldest_wait", &Key::ALL), 20.0);
    let counters = core.floor.counters();
    assert_eq!((counters.open_interactions, counters.over_interactions), (3, 3));
    // The others go on, and where one ends there is room for one.
    assert_eq!(core.interaction(at(21), "i0", assigned()), Taken::Applied);
    assert_eq!(core.interaction(at(22), "i0", closed()), Taken::Applied);
    assert_eq!(core.interaction(at(23), "i5", queued("q")), Taken::Applied);
    assert_eq!(core.interaction(at(24), "i6", queued("q")), Taken::NoEffect);
    core.show(at(30));
    assert_eq!(core.over_all(&["waiting", "queued", "answered", "closed", "backlog"]), [3.0, 4.0, 1.0, 1.0, 3.0]);
    assert_eq!(core.floor.counters().over_interactions, 4);
}

#[test]
fn closed_interactions_beyond_the_limit_are_forgotten_and_stay_counted() {
    let mut core = Core::new(Limits { closed_interactions: 2, ..Limits::default() });
    core.interaction(at(0), "open", queued("q"));
    for n in 0..5 {
        let name = format!("i{n}");
        core.interaction(at(10 * n), &name, queued("q"));
        core.interaction(at(10 * n + 4), &name, assigned());
        core.interaction(at(10 * n + 5), &name, closed());
    }
    core.show(at(60));
    let counters = core.floor.counters();
    assert_eq!((counters.interactions, counters.open_interactions, counters.forgotten_early), (3, 1, 3));
    let names = ["waiting", "queued", "answered", "closed", "backlog", "asa"];
    assert_eq!(core.over_all(&names), [1.0, 6.0, 5.0, 5.0, 1.0, 4.0]);
    // A late event corrects one that is still held: this one was answered after two seconds.
    assert_eq!(core.interaction(at(42), "i4", assigned()), Taken::Applied);
    core.show(at(61));
    assert_eq!(core.over_all(&["answered", "asa"]), [5.0, (4.0 * 4.0 + 2.0) / 5.0]);
}

fn state(agent: &str, class: atalaya::domain::AgentClass) -> Body<'_> {
    Body::Agent(AgentSnapshot {
        agent: agent.into(),
        state: class.name().into(),
        class,
        queues: Some(AgentPlaces { names: vec!["q".into()], pairs: vec![] }),
        channels: Some(vec!["voice".into()]),
        slots: None,
        busy: None,
    })
}

#[test]
fn agents_beyond_the_limit_are_left_out() {
    use atalaya::domain::AgentClass::{Available, Offline};
    let mut core = Core::new(Limits { agents: 2, ..Limits::default() });
    for (n, (name, expected)) in
        [("ana", Taken::Applied), ("bea", Taken::Applied), ("cid", Taken::NoEffect)].into_iter().enumerate()
    {
        assert_eq!(core.take(at(n as i64), state(name, Available)), expected, "{name}");
    }
    core.show(at(10));
    assert_eq!(core.figure("agents", &Key::ALL), 2.0);
    let counters = core.floor.counters();
    assert_eq!((counters.agents, counters.over_agents), (2, 1));
    // Those that are known go on.
    assert_eq!(core.take(at(11), state("bea", Offline)), Taken::Applied);
    core.show(at(20));
    assert_eq!(core.over_all(&["agents"]), [1.0]);
}

#[test]
fn events_of_an_interaction_beyond_the_limit_change_nothing() {
    let mut core = Core::new(Limits { events_per_interaction: 3, ..Limits::default() });
    core.interaction(at(0), "i", queued("q"));
    core.interaction(at(5), "i", assigned());
    core.interaction(at(6), "i", InteractionEvent::Parked);
    assert_eq!(core.interaction(at(7), "i", closed()), Taken::NoEffect);
    assert_eq!(core.interaction(at(8), "another", queued("q")), Taken::Applied);
    core.show(at(10));
    assert_eq!(core.over_all(&["answered", "asa", "closed", "backlog", "waiting"]), [1.0, 5.0, 0.0, 2.0, 1.0]);
    assert_eq!(core.floor.counters().over_events, 1);
    // Its end was not taken: it leaves the backlog as one that fell silent does.
    core.show(at(4 * 3600 + 60));
    assert_eq!(core.over_all(&["expired", "backlog"]), [1.0, 1.0]);
}

#[test]
fn of_an_agents_snapshots_beyond_the_limit_the_oldest_gives_way() {
    use atalaya::domain::AgentClass::{Available, Handling, Wrapup};
    let mut core = Core::new(Limits { events_per_interaction: 3, ..Limits::default() });
    for (n, class) in [Available, Handling, Wrapup, Available, Handling].into_iter().enumerate() {
        assert_eq!(core.take(at(100 * n as i64), state("ana", class)), Taken::Applied);
    }
    core.show(at(500));
    // All of its time is there: 100 s in each, handling and wrap-up 300 of the 500.
    assert_eq!(core.over_all(&["agents", "occupancy"]), [1.0, 0.6]);
    assert_eq!(core.floor.counters().over_events, 2);
    // What lies before those that are kept can no longer be corrected.
    assert_eq!(core.take(at(150), state("ana", Available)), Taken::NoEffect);
    core.show(at(501));
    assert_eq!(core.floor.counters().over_events, 3);
    assert_eq!(core.figure("agents", &Key::ALL), 1.0);
}

#[test]
fn forgotten_ids_change_no_figure() {
    let figures = |limits: Limits| {
        let mut core = Core::new(limits);
        for n in 0..200 {
            let (name, id) = (format!("i{n}"), format!("x{n}"));
            let body = Body::Interaction { interaction: name.as_str().into(), event: queued("q") };
            let event = Event { id: id.as_str().into(), time: at(n), body };
            assert_eq!(core.floor.take(&event, Timestamp::MAX), Taken::Applied);
            core.interaction(at(n + 3), &name, assigned());
        }
        // However long ago it came: its interaction knows it.
        let again = Body::Interaction { interaction: "i0".into(), event: queued("q") };
        let again = Event { id: "x0".into(), time: at(0), body: again };
        assert_eq!(core.floor.take(&again, Timestamp::MAX), Taken::Duplicate);
        core.show(at(300));
        (core.over_all(&["queued", "answered", "asa", "backlog"]), core.floor.counters().forgotten_ids)
    };
    let (few, forgotten) = figures(Limits { identities: 4, ..Limits::default() });
    let (all, none) = figures(Limits::default());
    assert_eq!(few, all);
    assert_eq!(none, 0);
    // Of 400 ids one set of eight remains.
    assert_eq!(forgotten, 392);
}

#[test]
fn events_ahead_beyond_the_limit_are_refused() {
    let mut core = Core::new(Limits { held_ahead: 2, ..Limits::default() });
    let mut take = |n: i64, time: Timestamp| {
        let (id, name) = (format!("x{n}"), format!("i{n}"));
        let body = Body::Interaction { interaction: name.as_str().into(), event: queued("q") };
        core.floor.take(&Event { id: id.as_str().into(), time, body }, at(0))
    };
    let results = [take(1, at(30)), take(2, at(20)), take(3, at(10)), take(4, at(-10))];
    assert_eq!(results, [Taken::Held, Taken::Held, Taken::Refused(Reason::TooFarAhead), Taken::Applied]);
    core.show(at(0));
    assert_eq!(core.figure("waiting", &Key::ALL), 1.0);
    let counters = core.floor.counters();
    assert_eq!((counters.held_ahead, counters.over_held), (2, 1));
    for (now, waiting) in [(25, 2.0), (35, 3.0)] {
        core.show(at(now));
        assert_eq!(core.figure("waiting", &Key::ALL), waiting, "at {now}");
    }
    assert_eq!(core.floor.counters().held_ahead, 0);
}

/// What each further one takes, the growing of tables among it.
fn each_takes(what: &str, bound: usize, limits: &Limits, fill: impl Fn(&mut Core, usize)) {
    let bytes = |number: usize| {
        most_held(|| {
            let mut core = Core::new(limits.clone());
            fill(&mut core, number);
        })
    };
    let (few, many) = (20_000, 60_000);
    let each = bytes(many).1.saturating_sub(bytes(few).1) / (many - few);
    println!("{what}: {each} of {bound} bytes");
    assert!((bound / 8..=bound).contains(&each), "{what}: {each} of {bound} bytes");
}

#[test]
fn each_takes_no_more_bytes_than_is_stated() {
    use atalaya::domain::AgentClass::{Available, Handling};
    let limits = Limits { identities: 4, ..Limits::default() };
    let four = |core: &mut Core, n: usize| {
        for (second, event) in [queued("q"), assigned(), InteractionEvent::Parked, closed()].into_iter().enumerate() {
            core.interaction(at(second as i64), &format!("i{n}"), event);
        }
    };
    each_takes("interaction", INTERACTION, &limits, |core, number| (0..number).for_each(|n| four(core, n)));
    each_takes("event", EVENT, &limits, |core, number| {
        for n in 0..number / 20 {
            four(core, n);
            for second in 0..20 {
                core.interaction(at(10 + second), &format!("i{n}"), InteractionEvent::CustomerMessage);
            }
        }
    });
    each_takes("snapshot", SNAPSHOT, &limits, |core, number| {
        for n in 0..number {
            let (agent, class) = (n % (number / 20), if n / (number / 20) % 2 == 0 { Available } else { Handling });
            core.take(at((n / 100) as i64), state(&format!("agent-{agent}"), class));
        }
    });
    each_takes("event ahead", AHEAD, &limits, |core, number| {
        for n in 0..number {
            let (id, name) = (format!("x{n}"), format!("i{n}"));
            let body = Body::Interaction { interaction: name.as_str().into(), event: queued("q") };
            core.floor.take(&Event { id: id.as_str().into(), time: at(n as i64), body }, at(-1));
        }
    });
    let ids = |identities| most_held(|| drop(Core::new(Limits { identities, ..Limits::default() }))).1;
    let each = (ids(260_000) - ids(4)) / 260_000;
    assert!((8..=IDENTITY).contains(&each), "id: {each} of {IDENTITY} bytes");
}
