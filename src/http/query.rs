//! Filters of the API: which keys and selectors a query asks for, or why it cannot be answered.
//!
//! `indicator`, `window`, `queue` and `channel` may stand more than once, and each may hold a list with commas. An empty
//! `queue=` or `channel=` asks for the roll-ups over it, those that leave the label out. A queue or channel that has
//! not been seen is no error: it answers with nothing yet.

use crate::domain::{Key, Millis};
use crate::indicators::{self, Selector};
use crate::plan::{Plan, WindowKind};

/// What the parameters of a request let through; an empty list lets everything through.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Filter {
    indicators: Vec<&'static str>,
    /// Indices into the plan's windows.
    windows: Vec<usize>,
    queues: Vec<String>,
    channels: Vec<String>,
}

/// A request that cannot be answered: names the parameter, what it said and what is allowed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum QueryError {
    #[error("unknown parameter `{name}`: allowed are {allowed}")]
    Parameter { name: String, allowed: String },
    #[error("no {what} is called `{value}`: allowed are {allowed}")]
    Value { what: &'static str, value: String, allowed: String },
}

impl Filter {
    pub const PARAMETERS: [&str; 4] = ["indicator", "window", "queue", "channel"];

    pub fn parse(pairs: &[(String, String)], plan: &Plan) -> Result<Self, QueryError> {
        let mut filter = Filter::default();
        for (name, value) in pairs {
            match name.as_str() {
                "indicator" => {
                    for item in list(value) {
                        filter.indicators.push(indicator(item)?);
                    }
                }
                "window" => {
                    for item in list(value) {
                        filter.windows.push(window(item, plan)?);
                    }
                }
                "queue" => filter.queues.extend(names(value)),
                "channel" => filter.channels.extend(names(value)),
                _ => return Err(unknown(name, &Self::PARAMETERS)),
            }
        }
        Ok(filter)
    }

    /// `window` leaves in the values of this instant, which have none.
    pub fn lets_through(&self, selector: &Selector) -> bool {
        (self.indicators.is_empty() || self.indicators.contains(&selector.indicator.name))
            && (self.windows.is_empty() || selector.window.is_none_or(|window| self.windows.contains(&window)))
    }

    pub fn lets_key_through(&self, key: &Key) -> bool {
        let named = |wanted: &[String], name: Option<&str>| {
            wanted.is_empty() || wanted.iter().any(|wanted| wanted == name.unwrap_or(""))
        };
        named(&self.queues, key.queue.as_deref()) && named(&self.channels, key.channel.as_deref())
    }
}

/// The error for a parameter that is none of `allowed`.
pub fn unknown(name: &str, allowed: &[&str]) -> QueryError {
    let allowed = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
    QueryError::Parameter { name: name.to_owned(), allowed }
}

/// The window of that name; `60m` is the window `1h`.
pub fn window(text: &str, plan: &Plan) -> Result<usize, QueryError> {
    let by_name = plan.windows.iter().position(|window| &*window.label == text);
    let by_length = || Millis::parse(text).and_then(|length| plan.window_index(WindowKind::Sliding(length)));
    by_name.or_else(by_length).ok_or_else(|| {
        let labels: Vec<&str> = plan.windows.iter().map(|window| &*window.label).collect();
        QueryError::Value { what: "window", value: text.to_owned(), allowed: labels.join(", ") }
    })
}

fn indicator(text: &str) -> Result<&'static str, QueryError> {
    indicators::find(text).map(|indicator| indicator.name).ok_or_else(|| {
        let known: Vec<&str> = indicators::all().map(|indicator| indicator.name).collect();
        QueryError::Value { what: "indicator", value: text.to_owned(), allowed: known.join(", ") }
    })
}

fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim)
}

/// A list of names, and the whole of it as one name too: a queue's own name may hold a comma.
fn names(value: &str) -> impl Iterator<Item = String> {
    let whole = value.contains(',').then(|| value.to_owned());
    list(value).map(str::to_owned).chain(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::indicators::Labels;

    fn parse(query: &[(&str, &str)]) -> Result<Filter, QueryError> {
        let pairs: Vec<(String, String)> = query.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Filter::parse(&pairs, &Plan::default())
    }

    #[test]
    fn keys_let_through() {
        let pair = Key::pair("reclamos", "facebook");
        let queue = Key { channel: None, ..pair.clone() };
        let channel = Key { queue: None, ..pair.clone() };
        let keys = [Key::ALL, channel, queue, pair, Key::pair("a,b", "chat")];
        for (query, expected) in [
            (vec![], vec![0, 1, 2, 3, 4]),
            (vec![("queue", "reclamos")], vec![2, 3]),
            (vec![("queue", "reclamos"), ("channel", "facebook")], vec![3]),
            (vec![("queue", "")], vec![0, 1]),
            (vec![("queue", "reclamos"), ("channel", "")], vec![2]),
            (vec![("channel", "facebook, chat")], vec![1, 3, 4]),
            (vec![("channel", "facebook"), ("channel", "chat")], vec![1, 3, 4]),
            (vec![("queue", "a,b")], vec![4]),
            (vec![("queue", "nobody")], vec![]),
        ] {
            let filter = parse(&query).unwrap();
            let through: Vec<usize> = (0..keys.len()).filter(|i| filter.lets_key_through(&keys[*i])).collect();
            assert_eq!(through, expected, "{query:?}");
        }
    }

    #[test]
    fn window_leaves_in_the_values_of_this_instant() {
        let filter = parse(&[("window", "15m,60m"), ("indicator", "asa,waiting")]).unwrap();
        let selector =
            |name, window| Selector { indicator: indicators::find(name).unwrap(), window, labels: Labels::default() };
        for (name, window, expected) in [
            ("asa", Some(1), true),
            ("asa", Some(3), true),
            ("asa", Some(0), false),
            ("waiting", None, true),
            ("backlog", None, false),
        ] {
            assert_eq!(filter.lets_through(&selector(name, window)), expected, "{name} {window:?}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_is_allowed() {
        for (query, expected) in [
            (("windows", "15m"), "unknown parameter `windows`: allowed are indicator, window, queue, channel"),
            (
                ("window", "7m"),
                "no window is called `7m`: allowed are 5m, 15m, 30m, 1h, 24h, interval, last_interval, today",
            ),
            (("indicator", "asa,"), "no indicator is called ``: allowed are asa, "),
        ] {
            let error = parse(&[query]).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
