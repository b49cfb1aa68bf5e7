//! The numbers around a case, and its trend, in words: for the text part, for chats, and for who cannot see the picture.

use crate::domain::Timestamp;
use crate::indicators::{State, Unit};
use crate::matrix::Language;
use crate::matrix::engine::{Around, Trend};

use super::chart::can_draw;
use super::mail::Zone;
use super::{values, words};

/// Most signs of [`Told::line`]'s little chart: a phone shows them in one line.
const SIGNS: usize = 20;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A trend in words.
pub struct Told {
    /// `▁▁▂▃▅▇█ 12 min → 47 min (09:32 – 10:32; mín. 11 min, máx. 47 min)`.
    pub line: String,
    /// The same without the bars, for who hears it.
    pub words: String,
    /// What stands under the picture: its axes.
    pub caption: String,
}

/// The numbers around a case, with their labels.
pub fn lines(around: &Around, language: Language) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(waiting) = around.waiting {
        let oldest = around.oldest_wait.filter(|_| waiting > 0.0);
        let oldest = oldest.map(|age| words::oldest(language, &values::duration(age, language, &[])));
        lines.push((words::waiting(language), values::count(waiting, language) + &oldest.unwrap_or_default()));
    }
    if !around.agents.is_empty() {
        lines.push((words::agents(language), agents(&around.agents, language)));
    }
    lines
}

/// `disponibles 3 · atendiendo 9 · en auxiliares 4 (conectados 16)`. Of a class that nobody is in nothing is said, but that
/// nobody is available is news.
fn agents(agents: &[(State, f64)], language: Language) -> String {
    // The count does not leave its class at the end of a line.
    let one = |count: f64, state| format!("{}\u{a0}{}", words::state(language, state), values::count(count, language));
    let there = agents.iter().filter(|(state, count)| *count > 0.0 || *state == State::Available);
    let each: Vec<String> = there.map(|(state, count)| one(*count, *state)).collect();
    let all = agents.iter().map(|(_, count)| count).sum();
    format!("{} ({})", each.join(" · "), one(all, State::Connected))
}

/// `None` where there are too few values for one.
pub fn trend(trend: &Trend, unit: Unit, language: Language, zone: &Zone) -> Option<Told> {
    if !can_draw(trend) {
        return None;
    }
    let Trend(points) = trend;
    let (from, until) = (points.first()?.0, points.last()?.0);
    let known: Vec<f64> = points.iter().filter_map(|(_, value)| *value).collect();
    let (first, now) = (known.first()?, points.last()?.1);
    let (low, high) = known.iter().fold((*first, *first), |(low, high), value| (low.min(*value), high.max(*value)));
    let read = |value: f64| values::read(Some(value), unit, language, &[], "");
    let ends = words::least_and_most(language, &read(low), &read(high));
    let time = format!("{} – {}", zone.short(from), zone.short(until));
    let now = now.map_or_else(|| words::no_data(language).to_owned(), read);
    let words = format!("{} → {now} ({time}; {ends})", read(*first));
    Some(Told { line: format!("{} {words}", bars(points, low, high)), words, caption: format!("{time} · {ends}") })
}

/// The values as little bars, with a dot in a gap.
fn bars(points: &[(Timestamp, Option<f64>)], low: f64, high: f64) -> String {
    let bar = |value: f64| {
        let share = if high > low { (value - low) / (high - low) } else { 0.5 };
        BARS.get((share * (BARS.len() - 1) as f64).round() as usize).copied().unwrap_or('█')
    };
    let each = points.rchunks(points.len().div_ceil(SIGNS).max(1)).rev();
    each.map(|some| some.iter().rev().find_map(|(_, value)| *value).map_or('·', bar)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::samples::{START, floor, matrix, rising};

    #[test]
    fn the_numbers_around_read_as_people_say_them() {
        let said = |around: &Around, language| {
            lines(around, language).into_iter().map(|(label, text)| format!("{label}: {text}")).collect::<Vec<_>>()
        };
        assert_eq!(
            said(&floor(), Language::Es),
            [
                "En espera: 12, la más antigua 51 min",
                "Agentes: disponibles\u{a0}0 · atendiendo\u{a0}9 · en cierre de gestión\u{a0}2 · en auxiliares\u{a0}4 (conectados\u{a0}15)"
            ]
        );
        assert_eq!(said(&floor(), Language::En)[0], "Waiting: 12, the oldest for 51 min");
        assert_eq!(said(&floor(), Language::Pt)[0], "Em espera: 12, a mais antiga há 51 min");
        let calm = Around { waiting: Some(0.0), oldest_wait: Some(0.0), agents: Vec::new() };
        assert_eq!(said(&calm, Language::En), ["Waiting: 0"]);
        assert!(said(&Around::default(), Language::En).is_empty(), "what is not known is not said");
    }

    #[test]
    fn a_trend_is_told_in_one_line() {
        let Trend(points) = rising();
        let zone = Zone::of(&matrix(Language::Es, ""), points[points.len() - 1].0);
        let told = trend(&rising(), Unit::Seconds, Language::Es, &zone).unwrap();
        let expected = "▁▁▁▁▁▂▂·▃▄▄▅▅▆▇█ 12 min → 47 min (09:32 – 10:32; mín. 12 min, máx. 47 min)";
        assert_eq!(told.line, expected);
        assert_eq!(told.caption, "09:32 – 10:32 · mín. 12 min, máx. 47 min");
        let flat = Trend(points.iter().map(|(time, _)| (*time, Some(5.0))).collect());
        assert!(trend(&flat, Unit::Count, Language::En, &zone).is_some_and(|told| told.line.starts_with("▅▅▅")));
        let lost = Trend(points.iter().map(|(time, value)| (*time, value.filter(|_| *time < START))).collect());
        let told = trend(&lost, Unit::Seconds, Language::En, &zone).unwrap();
        assert!(told.words.starts_with("12 min → no data ("), "{}", told.words);
        assert!(trend(&Trend(points[..2].to_vec()), Unit::Count, Language::En, &zone).is_none());
    }
}
