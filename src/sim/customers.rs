//! The life of an interaction: from the arrival through queues and hands to its end, and sometimes back.

use super::IncidentKind;
use super::engine::{Action, Simulation};
use super::record::{Customer, Fields};
use super::world::{self, PLACES, Place};
use crate::domain::{Millis, Timestamp};

pub(super) struct Interaction {
    /// Index into [`PLACES`].
    pub place: usize,
    pub phase: Phase,
    /// Counts the phases it went through, so that what was planned in an earlier one does not happen in a later one.
    pub step: u32,
    pub agent: Option<usize>,
    /// Since when it waits, if it does.
    since: Timestamp,
    /// How many more times the agent writes.
    replies_left: u32,
    moved: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Triage,
    Waiting,
    /// The agent writes, or talks.
    Agent,
    /// It is the customer's turn, or the agent is about to close it.
    Customer,
    Wrapup,
    Parked,
    Closed,
}

fn place(index: usize) -> &'static Place {
    PLACES.get(index).unwrap_or(&PLACES[world::COMPLAINTS])
}

impl Simulation {
    /// Arrivals at a place are a Poisson process whose rate follows the curve of the day: candidates come at the largest
    /// rate, and [`Simulation::arrive`] takes as many of them as the hour has (thinning).
    pub(super) fn schedule_arrival(&mut self, index: usize) {
        let gap = self.random.exponential(3600.0 / (place(index).arrivals_per_hour * self.settings.scale));
        self.schedule(gap, Action::Arrive { place: index });
    }

    pub(super) fn arrive(&mut self, index: usize) {
        self.schedule_arrival(index);
        let share = self.settings.curve.share(self.now, &self.settings.zone);
        if self.random.chance(share) {
            let replies = self.replies(index);
            self.admit(index, replies);
        }
    }

    /// An avalanche comes on top of the ordinary arrivals, whatever the hour.
    pub(super) fn arrive_in_avalanche(&mut self) {
        let Some(age) = self.incident_age(IncidentKind::Avalanche) else { return };
        // They are about the same: most are settled with one reply.
        let alike = self.random.chance(world::AVALANCHE_ALIKE);
        let replies = if alike { 1 } else { self.replies(world::COMPLAINTS) };
        self.admit(world::COMPLAINTS, replies);
        let ordinary = place(world::COMPLAINTS).arrivals_per_hour * self.settings.scale;
        let front = if age < world::AVALANCHE_FRONT { world::AVALANCHE_FRONT_FACTOR } else { 1.0 };
        let gap = self.random.exponential(3600.0 / (ordinary * (world::AVALANCHE_FACTOR - 1.0) * front));
        self.schedule(gap, Action::ArriveInAvalanche);
    }

    /// How many replies an ordinary one takes.
    fn replies(&mut self, index: usize) -> u32 {
        self.random.exponential(place(index).channel().replies - 0.5).as_seconds().round() as u32
    }

    fn admit(&mut self, index: usize, replies: u32) {
        self.arrived += 1;
        let number = self.arrived;
        let channel = place(index).channel();
        let interaction = Interaction {
            place: index,
            phase: Phase::Triage,
            step: 0,
            agent: None,
            since: self.now,
            replies_left: replies.clamp(1, 12),
            moved: false,
        };
        self.interactions.insert(number, interaction);

        let triaged = self.random.chance(channel.triage_share);
        let customer = Customer {
            id: format!("c-{:06}", self.random.index(200_000)),
            value: ["basic", "basic", "basic", "plus", "plus", "gold"].get(self.random.index(6)).unwrap_or(&"basic"),
        };
        let sentiment = (self.random.index(21) as f64 - if index == world::COMPLAINTS { 15.0 } else { 8.0 }) / 20.0;
        let fields = Fields {
            channel: Some(channel.name),
            queue: (!triaged).then_some(place(index).queue),
            customer: Some(customer),
            category: ["billing", "delivery", "account", "product"].get(self.random.index(4)).copied(),
            sentiment: (!channel.live).then_some(sentiment.clamp(-1.0, 1.0)),
            ..Fields::default()
        };
        self.report(number, "interaction.arrived", fields);
        let wait = if triaged { self.random.lognormal(channel.triage_seconds, 0.6) } else { Millis(0) };
        if triaged && self.random.chance(channel.before_queue_share) {
            self.schedule(wait, Action::LeaveEarly { number, step: 0 });
        } else if triaged {
            self.schedule(wait, Action::Queue { number, step: 0 });
        } else {
            self.queue(number, 0);
        }
    }

    /// Moves on to `phase` if it still is at `step`; the new step, or `None` if it has moved on already.
    fn move_on(&mut self, number: u64, step: u32, phase: Phase) -> Option<u32> {
        let interaction = self.interactions.get_mut(&number).filter(|interaction| interaction.step == step)?;
        interaction.phase = phase;
        interaction.step += 1;
        Some(interaction.step)
    }

    /// Done before any queue: hung up in the menu, answered by a robot, or nothing to answer.
    pub(super) fn leave_early(&mut self, number: u64, step: u32) {
        let Some(_) = self.move_on(number, step, Phase::Closed) else { return };
        let Some(interaction) = self.interactions.remove(&number) else { return };
        match place(interaction.place).channel {
            world::VOICE => self.report(number, "interaction.abandoned", Fields::default()),
            world::WHATSAPP => {
                let fields = Fields { agent: Some("bot"), automatic: Some(true), ..Fields::default() };
                self.report(number, "interaction.replied", fields);
                self.report_closed(number, "auto_answered");
            }
            channel => self.report_closed(number, if channel == world::TWITTER { "observed" } else { "spam" }),
        }
    }

    fn report_closed(&mut self, number: u64, outcome: &'static str) {
        self.report(number, "interaction.closed", Fields { outcome: Some(outcome), ..Fields::default() });
    }

    pub(super) fn queue(&mut self, number: u64, step: u32) {
        let Some(index) = self.interactions.get(&number).filter(|i| i.step == step).map(|i| i.place) else { return };
        let fields =
            Fields { queue: Some(place(index).queue), channel: Some(place(index).channel().name), ..Fields::default() };
        self.report(number, "interaction.queued", fields);
        self.wait(number, step);
    }

    /// Stands in the queue of its place from now on, and leaves if that takes longer than its patience.
    pub(super) fn wait(&mut self, number: u64, step: u32) {
        let Some(step) = self.move_on(number, step, Phase::Waiting) else { return };
        let now = self.now;
        let Some(interaction) = self.interactions.get_mut(&number) else { return };
        interaction.since = now;
        interaction.agent = None;
        let index = interaction.place;
        if let Some(mean) = place(index).channel().patience_seconds {
            let patience = self.random.exponential(mean);
            self.schedule(patience, Action::Abandon { number, step });
        }
        if let Some(queue) = self.waiting.get_mut(index) {
            queue.push_back((number, step));
        }
        self.serve(index);
    }

    pub(super) fn abandon(&mut self, number: u64, step: u32) {
        if self.move_on(number, step, Phase::Closed).is_some() {
            self.interactions.remove(&number);
            self.report(number, "interaction.abandoned", Fields::default());
        }
    }

    /// Who waits longest at a place, and since when.
    pub(super) fn first_waiting(&mut self, index: usize) -> Option<(Timestamp, u64)> {
        let queue = self.waiting.get_mut(index)?;
        while let Some((number, step)) = queue.front() {
            match self.interactions.get(number) {
                Some(interaction) if interaction.step == *step => return Some((interaction.since, *number)),
                _ => queue.pop_front(),
            };
        }
        None
    }

    /// The agent takes it: the caller has seen that both can.
    pub(super) fn assign(&mut self, number: u64, agent: usize) {
        let Some(step) = self.interactions.get(&number).map(|interaction| interaction.step) else { return };
        let Some(step) = self.move_on(number, step, Phase::Agent) else { return };
        let Some(interaction) = self.interactions.get_mut(&number) else { return };
        interaction.agent = Some(agent);
        let (channel, moved) = (place(interaction.place).channel(), interaction.moved);
        let id = self.agent_id(agent);
        self.report(number, "interaction.assigned", Fields { agent: Some(&id), ..Fields::default() });
        self.take_on(agent, number);
        let work = self.random.lognormal(channel.reply_seconds, if channel.live { 0.9 } else { 0.7 });
        if !moved && self.random.chance(channel.transfer_share) {
            self.schedule(Millis(work.0 / 2), Action::Transfer { number, step });
        } else if channel.live {
            self.schedule(work, Action::HangUp { number, step });
        } else {
            self.schedule(work, Action::Reply { number, step });
        }
    }

    pub(super) fn reply(&mut self, number: u64, step: u32) {
        let Some(step) = self.move_on(number, step, Phase::Customer) else { return };
        let Some(interaction) = self.interactions.get_mut(&number) else { return };
        interaction.replies_left = interaction.replies_left.saturating_sub(1);
        let (left, agent, channel) = (interaction.replies_left, interaction.agent, place(interaction.place).channel());
        let Some(agent) = agent else { return };
        let id = self.agent_id(agent);
        self.report(number, "interaction.replied", Fields { agent: Some(&id), ..Fields::default() });
        if left > 0 {
            let turn = self.random.lognormal(channel.customer_seconds, 1.0);
            self.schedule(turn, Action::CustomerWrites { number, step });
        } else {
            let pause = self.random.between(Millis::seconds(2), Millis::seconds(20));
            self.schedule(pause, Action::Close { number, step });
        }
        if left > 0 && (channel.reply_seconds > 120.0 || self.random.chance(channel.park_share)) {
            // Waiting for somebody else, or for a customer who takes his time: no slot is held for it.
            self.park(number, agent);
        } else {
            self.settle(agent);
        }
    }

    fn park(&mut self, number: u64, agent: usize) {
        let Some(step) = self.interactions.get(&number).map(|interaction| interaction.step) else { return };
        let Some(step) = self.move_on(number, step, Phase::Parked) else { return };
        self.report(number, "interaction.parked", Fields { reason: Some("third_party"), ..Fields::default() });
        let until = self.random.between(Millis(5 * 60_000), Millis(30 * 60_000));
        self.schedule(until, Action::Resume { number, step });
        self.let_go(agent, number);
    }

    pub(super) fn resume(&mut self, number: u64, step: u32) {
        let Some(agent) = self.interactions.get(&number).filter(|i| i.step == step).and_then(|i| i.agent) else {
            return;
        };
        if !self.is_working(agent) {
            self.send_back(number);
            return;
        }
        let Some(step) = self.move_on(number, step, Phase::Agent) else { return };
        self.report(number, "interaction.resumed", Fields::default());
        self.take_on(agent, number);
        let mean = self.interactions.get(&number).map_or(60.0, |i| place(i.place).channel().reply_seconds);
        let work = self.random.lognormal(mean, 0.7);
        self.schedule(work, Action::Reply { number, step });
    }

    pub(super) fn customer_writes(&mut self, number: u64, step: u32) {
        let Some(step) = self.move_on(number, step, Phase::Agent) else { return };
        let Some(interaction) = self.interactions.get(&number) else { return };
        let (agent, mean) = (interaction.agent, place(interaction.place).channel().reply_seconds);
        self.report(number, "interaction.customer_message", Fields::default());
        let work = self.random.lognormal(mean, 0.7);
        self.schedule(work, Action::Reply { number, step });
        if let Some(agent) = agent {
            self.settle(agent);
        }
    }

    /// To the next queue of the same channel.
    pub(super) fn transfer_elsewhere(&mut self, number: u64, step: u32) {
        let Some(interaction) = self.interactions.get_mut(&number).filter(|i| i.step == step) else { return };
        let channel = place(interaction.place).channel;
        let other = (0..PLACES.len()).find(|index| *index != interaction.place && place(*index).channel == channel);
        interaction.place = other.unwrap_or(interaction.place);
        interaction.moved = true;
        self.send_back(number);
    }

    /// Out of the hands it is in, and into the queue of its place.
    pub(super) fn send_back(&mut self, number: u64) {
        let Some(interaction) = self.interactions.get(&number) else { return };
        let (agent, index, step) = (interaction.agent, interaction.place, interaction.step);
        let fields = Fields { queue: Some(place(index).queue), ..Fields::default() };
        self.report(number, "interaction.transferred", fields);
        // Out of the agent's hands before somebody takes it, who may be the same one.
        if let Some(agent) = agent {
            self.put_down(agent, number);
        }
        self.wait(number, step);
        if let Some(agent) = agent {
            self.settle(agent);
            self.find_work(agent);
        }
    }

    /// The caller is gone; what is to be written down remains.
    pub(super) fn hang_up(&mut self, number: u64, step: u32) {
        let Some(step) = self.move_on(number, step, Phase::Wrapup) else { return };
        let Some(interaction) = self.interactions.get(&number) else { return };
        let (agent, channel) = (interaction.agent, place(interaction.place).channel());
        self.report(number, "interaction.wrapup", Fields::default());
        let work = self.random.lognormal(channel.wrapup_seconds.max(1.0), 0.8);
        self.schedule(work, Action::Close { number, step });
        if let Some(agent) = agent {
            self.settle(agent);
        }
    }

    pub(super) fn close(&mut self, number: u64, step: u32) {
        let Some(step) = self.move_on(number, step, Phase::Closed) else { return };
        let Some(agent) = self.interactions.get(&number).and_then(|interaction| interaction.agent) else { return };
        let outcome = if self.random.chance(0.84) {
            "resolved"
        } else if self.random.chance(0.2) {
            "callback"
        } else {
            "unresolved"
        };
        self.report_closed(number, outcome);
        if self.random.chance(0.02) {
            let id = self.agent_id(agent);
            let errors: &[&str] = if self.random.chance(0.3) { &["non_critical"] } else { &[] };
            let fields = Fields { agent: Some(&id), errors: Some(errors), ..Fields::default() };
            self.report(number, "interaction.evaluated", fields);
        }
        if self.random.chance(0.04) {
            let after = self.random.between(Millis(5 * 60_000), Millis(60 * 60_000));
            self.schedule(after, Action::Reopen { number, step });
        } else if self.random.chance(0.2) {
            let after = self.random.between(Millis::MINUTE, Millis(10 * 60_000));
            self.schedule(after, Action::Rate { number, step });
        } else {
            self.interactions.remove(&number);
        }
        self.let_go(agent, number);
    }

    pub(super) fn reopen(&mut self, number: u64, step: u32) {
        let Some(interaction) = self.interactions.get_mut(&number).filter(|i| i.step == step) else { return };
        interaction.replies_left = 1;
        interaction.moved = true;
        self.report(number, "interaction.reopened", Fields { by: Some("customer"), ..Fields::default() });
        // Nobody takes it in the same moment: of one moment's events the reopening would be the last.
        let routing = self.random.between(Millis(100), Millis(1_500));
        self.schedule(routing, Action::Wait { number, step });
    }

    pub(super) fn rate(&mut self, number: u64, step: u32) {
        if self.move_on(number, step, Phase::Closed).is_some() {
            self.interactions.remove(&number);
            let csat = 5 - u32::try_from(self.random.index(9) / 2).unwrap_or(0);
            let nps = u32::try_from(self.random.index(11)).unwrap_or(0);
            let fields = Fields { csat: Some(csat), nps: Some(nps), ..Fields::default() };
            self.report(number, "interaction.rated", fields);
        }
    }
}
