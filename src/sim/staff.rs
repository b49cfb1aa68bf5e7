//! The day of an agent: shifts, breaks, who takes what, and the snapshots that say so.

use super::customers::Phase;
use super::engine::{Action, Simulation};
use super::record::{Fields, Snapshot};
use super::world::{self, BREAKS, TEAMS, Team};
use super::{Settings, Topic};
use crate::domain::{AgentClass, Millis, Timestamp};

pub(super) struct Agent {
    pub team: usize,
    /// When the shift begins, in local time of day, and how long it lasts.
    start: Millis,
    length: Millis,
    /// Within the shift, which lasts until the last interaction is done.
    on: bool,
    ending: bool,
    /// Left during the incident.
    gone: bool,
    on_break: bool,
    /// A break is due; it begins when nothing is in hand.
    break_due: Option<Millis>,
    /// What is in hand: not the parked ones.
    held: Vec<u64>,
    idle_since: Timestamp,
    /// Where it stands in the order of those who are ready, if it does.
    ready: Option<(usize, Timestamp, usize)>,
    /// What the last snapshot said.
    said: (AgentClass, Vec<usize>),
    /// When the next heartbeat is due: one that was planned in an earlier shift is not.
    heartbeat_due: Timestamp,
}

/// Everybody, whether at work at the start or not. How many is decided by team and shift, so at every scale each team
/// has somebody in each shift.
pub(super) fn roster(settings: &Settings) -> Vec<Agent> {
    let mut agents = Vec::new();
    for shift in settings.curve.shifts() {
        for (team, about) in TEAMS.iter().enumerate() {
            let count = (about.agents * shift.share * settings.scale).round().max(1.0) as i64;
            for index in 0..count {
                // They begin over three quarters of an hour, not all at once.
                let stagger = Millis((index * 45 * 60_000 / count - 15 * 60_000).div_euclid(60_000) * 60_000);
                agents.push(Agent {
                    team,
                    start: shift.start + stagger,
                    length: shift.length,
                    on: false,
                    ending: false,
                    gone: false,
                    on_break: false,
                    break_due: None,
                    held: Vec::new(),
                    idle_since: settings.start,
                    ready: None,
                    said: (AgentClass::Offline, Vec::new()),
                    heartbeat_due: settings.start,
                });
            }
        }
    }
    agents
}

fn team(index: usize) -> &'static Team {
    TEAMS.get(index).unwrap_or(&TEAMS[0])
}

impl Simulation {
    pub(super) fn agent_id(&self, agent: usize) -> String {
        format!("{}-{:03}", self.agents.get(agent).map_or("agent", |a| team(a.team).name), agent + 1)
    }

    /// There and not on the way out: parked work comes back to them.
    pub(super) fn is_working(&self, agent: usize) -> bool {
        self.agents.get(agent).is_some_and(|a| a.on && !a.gone && !a.ending)
    }

    /// At the start of the simulation: in the middle of the shift, or before the next.
    pub(super) fn begin_day(&mut self, index: usize) {
        let Some(agent) = self.agents.get(index) else { return };
        let length = agent.length;
        let last = self.shift_start_after(index, self.now - Millis::DAY - Millis(1));
        if last <= self.now && last + length > self.now {
            self.begin_shift(index, last);
        } else {
            self.schedule_next_shift(index);
        }
    }

    /// The first start of the agent's shift after `time`.
    fn shift_start_after(&self, index: usize, time: Timestamp) -> Timestamp {
        let zone = &self.settings.zone;
        let start = self.agents.get(index).map_or(Millis(0), |agent| agent.start);
        let mut date = time.in_zone(zone).date().yesterday().unwrap_or(jiff::civil::Date::MAX);
        loop {
            let midnight = date.to_zoned(zone.clone()).map(|zoned| Timestamp(zoned.timestamp().as_millisecond()));
            match (midnight, date.tomorrow()) {
                (Ok(midnight), _) if midnight + start > time => return midnight + start,
                (_, Ok(tomorrow)) => date = tomorrow,
                // The end of the calendar: the shift is never.
                (_, Err(_)) => return Timestamp::MAX,
            }
        }
    }

    fn schedule_next_shift(&mut self, index: usize) {
        let start = self.shift_start_after(index, self.now);
        self.schedule(start - self.now, Action::ShiftStart { agent: index });
    }

    pub(super) fn shift_start(&mut self, index: usize) {
        self.begin_shift(index, self.now);
    }

    fn begin_shift(&mut self, index: usize, began: Timestamp) {
        let now = self.now;
        let Some(agent) = self.agents.get_mut(index) else { return };
        agent.on = true;
        agent.ending = false;
        agent.break_due = None;
        agent.idle_since = now;
        let length = agent.length;
        let mut breaks = Vec::new();
        for (share, pause) in BREAKS {
            let jitter = self.random.between(Millis(-world::BREAK_SPREAD.0), world::BREAK_SPREAD);
            let due = began + Millis((length.0 as f64 * share) as i64) + jitter;
            if due > now {
                breaks.push((due - now, pause.0 / Millis::MINUTE.0));
            }
        }
        for (after, minutes) in breaks {
            self.schedule(after, Action::BreakDue { agent: index, minutes });
        }
        self.schedule(began + length - now, Action::ShiftEnd { agent: index });
        self.schedule_next_shift(index);
        // Heartbeats of different agents do not come together.
        let phase = self.random.between(Millis(0), world::AGENT_HEARTBEAT);
        self.plan_heartbeat(index, phase);
        self.settle(index);
        self.find_work(index);
    }

    pub(super) fn shift_end(&mut self, index: usize) {
        if let Some(agent) = self.agents.get_mut(index) {
            agent.ending = true;
        }
        self.settle(index);
    }

    pub(super) fn break_due(&mut self, index: usize, minutes: i64) {
        if let Some(agent) = self.agents.get_mut(index)
            && agent.on
            && !agent.ending
        {
            agent.break_due = Some(Millis(minutes * Millis::MINUTE.0));
        }
        self.settle(index);
    }

    pub(super) fn break_end(&mut self, index: usize) {
        let now = self.now;
        if let Some(agent) = self.agents.get_mut(index) {
            agent.on_break = false;
            agent.idle_since = now;
        }
        self.settle(index);
        self.find_work(index);
    }

    /// Half of those who are there leave, everything in their hands goes back to its queue; and they come back.
    pub(super) fn agents_gone(&mut self, leave: bool) {
        let there: Vec<usize> =
            (0..self.agents.len()).filter(|index| self.agents.get(*index).is_some_and(|a| a.on)).collect();
        let chosen: Vec<usize> = if leave {
            there.into_iter().step_by(2).collect()
        } else {
            (0..self.agents.len()).filter(|index| self.agents.get(*index).is_some_and(|a| a.gone)).collect()
        };
        // First all of them, so that nothing is handed from one who leaves to another who leaves.
        for index in &chosen {
            let now = self.now;
            if let Some(agent) = self.agents.get_mut(*index) {
                agent.gone = leave;
                agent.idle_since = now;
                if let (Some(key), Some(ready)) = (agent.ready.take(), self.ready.get_mut(agent.team)) {
                    ready.remove(&key);
                }
            }
        }
        for index in chosen {
            let held = self.agents.get(index).map(|agent| agent.held.clone()).unwrap_or_default();
            for number in held {
                // Who is already gone from the line is only written down: that is done elsewhere, and at once.
                let step = self.interactions.get(&number).filter(|i| i.phase == Phase::Wrapup).map(|i| i.step);
                match step {
                    Some(step) => self.close(number, step),
                    None => self.send_back(number),
                }
            }
            self.settle(index);
            self.find_work(index);
        }
    }

    pub(super) fn take_on(&mut self, index: usize, number: u64) {
        if let Some(agent) = self.agents.get_mut(index) {
            agent.held.push(number);
        }
        self.settle(index);
    }

    pub(super) fn let_go(&mut self, index: usize, number: u64) {
        self.put_down(index, number);
        self.settle(index);
        self.find_work(index);
    }

    pub(super) fn put_down(&mut self, index: usize, number: u64) {
        let now = self.now;
        if let Some(agent) = self.agents.get_mut(index) {
            agent.held.retain(|held| *held != number);
            if agent.held.is_empty() {
                agent.idle_since = now;
            }
        }
    }

    /// After any change of what an agent does: begins a break or the evening that was due, says how the agent stands if
    /// that is new, and keeps the order of those who are ready.
    pub(super) fn settle(&mut self, index: usize) {
        let mut pause = None;
        if let Some(agent) = self.agents.get_mut(index)
            && agent.held.is_empty()
            && !agent.on_break
        {
            if agent.ending {
                (agent.on, agent.ending, agent.break_due) = (false, false, None);
            } else if agent.on && !agent.gone {
                pause = agent.break_due.take();
                agent.on_break = pause.is_some();
            }
        }
        if let Some(pause) = pause {
            self.schedule(pause, Action::BreakEnd { agent: index });
        }
        self.say(index, false);
        self.keep_ready(index);
    }

    fn keep_ready(&mut self, index: usize) {
        let Some(agent) = self.agents.get_mut(index) else { return };
        let Some(ready) = self.ready.get_mut(agent.team) else { return };
        if let Some(key) = agent.ready.take() {
            ready.remove(&key);
        }
        let free = agent.held.len() < team(agent.team).slots as usize;
        if agent.on && !agent.gone && !agent.ending && !agent.on_break && agent.break_due.is_none() && free {
            let key = (agent.held.len(), agent.idle_since, index);
            ready.insert(key);
            agent.ready = Some(key);
        }
    }

    /// What an agent's class is, and the places of what keeps it busy.
    fn standing(&self, agent: &Agent) -> (AgentClass, Vec<usize>) {
        let mut busy = Vec::new();
        let mut wrapup = false;
        for interaction in agent.held.iter().filter_map(|number| self.interactions.get(number)) {
            wrapup |= interaction.phase == Phase::Wrapup;
            if interaction.phase == Phase::Agent {
                busy.push(interaction.place);
            }
        }
        let class = match () {
            () if !agent.on || agent.gone => AgentClass::Offline,
            () if agent.on_break => AgentClass::Unproductive,
            () if wrapup => AgentClass::Wrapup,
            () if !busy.is_empty() => AgentClass::Handling,
            () => AgentClass::Available,
        };
        if class == AgentClass::Offline {
            busy.clear();
        }
        (class, busy)
    }

    /// Emits a snapshot if it says anything new, or `anyway`.
    fn say(&mut self, index: usize, anyway: bool) {
        let Some(agent) = self.agents.get(index) else { return };
        let (class, busy) = self.standing(agent);
        if !anyway && agent.said == (class, busy.clone()) {
            return;
        }
        let id = self.agent_id(index);
        let snapshot = Snapshot::of(&id, class, team(agent.team), &busy);
        self.emit(Topic::AgentStates, &id, "agent.state", None, Fields::default(), Some(snapshot));
        if let Some(agent) = self.agents.get_mut(index) {
            agent.said = (class, busy);
        }
    }

    fn plan_heartbeat(&mut self, index: usize, after: Millis) {
        let due = self.now + after;
        if let Some(agent) = self.agents.get_mut(index) {
            agent.heartbeat_due = due;
        }
        self.schedule(after, Action::AgentHeartbeat { agent: index });
    }

    /// Those who are not there send none.
    pub(super) fn agent_heartbeat(&mut self, index: usize) {
        let now = self.now;
        let Some(agent) = self.agents.get(index).filter(|a| a.on && a.heartbeat_due == now) else { return };
        if !agent.gone {
            self.say(index, true);
        }
        self.plan_heartbeat(index, world::AGENT_HEARTBEAT);
    }

    /// Gives what waits at a place to those who are ready, the least busy first, then the longest idle.
    pub(super) fn serve(&mut self, place: usize) {
        if self.stuck && place == world::COMPLAINTS {
            return;
        }
        while let Some((_, number)) = self.first_waiting(place) {
            let able = TEAMS.iter().zip(&self.ready).filter(|(team, _)| team.places.contains(&place));
            let Some((.., agent)) = able.filter_map(|(_, ready)| ready.first()).min().copied() else { return };
            self.assign(number, agent);
        }
    }

    /// An agent who can take more takes what waits longest at the places of the team.
    pub(super) fn find_work(&mut self, index: usize) {
        while let Some(agent) = self.agents.get(index).filter(|agent| agent.ready.is_some()) {
            let mut first: Option<(Timestamp, u64)> = None;
            for place in team(agent.team).places {
                if self.stuck && *place == world::COMPLAINTS {
                    continue;
                }
                let head = self.first_waiting(*place);
                first = [first, head].into_iter().flatten().min();
            }
            let Some((_, number)) = first else { return };
            self.assign(number, index);
        }
    }
}
