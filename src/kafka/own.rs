//! The topics of our own: what each is for, how it is made, and whether one that is there will do.
//!
//! Making and looking are a thread of their own, which ends once all is well ([`keep`]); `atalaya topics` does both for whoever
//! administers the broker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;

use super::client_config;
use super::errors::{KafkaFailure, Place};
use super::problems::{Kind, Problems};
use super::topics::{self, Made, Standing, TopicSpec};
use crate::config::Kafka;
use crate::journal::record::Log;

/// Largest record of a log, as text: a floor that catches up tells of all its keys at once.
pub const LOG_RECORD_BYTES_MAX: &str = "16777216";

const DAY_MS: i64 = 86_400_000;

/// For the answer to one question, and between two tries.
const PATIENCE: Duration = Duration::from_secs(5);
/// How soon a topic is looked at again that somebody has to mend.
const AGAIN: Duration = Duration::from_secs(30);

/// What a setting has to be.
#[derive(Clone, Copy, Debug)]
enum Need {
    Is(&'static str),
    /// -1 is without limit.
    AtLeast(i64),
}

/// A topic of our own.
#[derive(Clone, Debug)]
pub struct Own {
    /// Where the configuration names it.
    pub key: &'static str,
    pub spec: TopicSpec,
    pub holds: &'static str,
    /// What is so for as long as it does not exist.
    meanwhile: &'static str,
    kind: Kind,
    /// It counts on the order of one partition.
    ordered: bool,
    /// Which settings have to be how, and why.
    needs: Vec<(&'static str, Need, &'static str)>,
}

/// A setting of a topic that is there, and will not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub setting: &'static str,
    /// One paragraph: what, why, and the command that mends it.
    pub text: String,
}

pub fn all(kafka: &Kafka) -> Vec<Own> {
    let logs = Log::ALL.map(|log| self::log(kafka, log));
    [dead_letters(kafka), snapshots(kafka)].into_iter().chain(logs).collect()
}

const NOT_COMPACTED: (&str, Need, &str) =
    ("cleanup.policy", Need::Is("delete"), "compaction would leave one record of many");

pub(super) fn dead_letters(kafka: &Kafka) -> Own {
    Own {
        key: "kafka.dead_letters",
        spec: TopicSpec {
            name: kafka.dead_letters.clone(),
            partitions: 1,
            settings: vec![
                ("cleanup.policy", "delete"),
                ("retention.ms", "604800000"),
                ("max.message.bytes", LOG_RECORD_BYTES_MAX),
            ],
        },
        holds: "refused records",
        meanwhile: "refused records wait in memory",
        kind: Kind::DeadLetters,
        ordered: false,
        needs: vec![NOT_COMPACTED],
    }
}

pub(super) fn snapshots(kafka: &Kafka) -> Own {
    Own {
        key: "kafka.snapshots",
        spec: TopicSpec {
            name: kafka.snapshots.clone(),
            partitions: 1,
            settings: vec![
                ("cleanup.policy", "compact"),
                // Pieces are given up every few seconds: what a start has to read stays small.
                ("segment.ms", "600000"),
                ("segment.bytes", "33554432"),
                ("min.cleanable.dirty.ratio", "0.2"),
                ("delete.retention.ms", "3600000"),
            ],
        },
        holds: "states in pieces",
        meanwhile: "starts and takeovers take longer, and fail once the logs no longer go back far enough",
        kind: Kind::Snapshots,
        ordered: true,
        needs: vec![
            ("cleanup.policy", Need::Is("compact"), "the newest of each state has to stay, however old it is"),
            ("max.message.bytes", Need::AtLeast(600_000), "a piece of a state is 512 KiB"),
        ],
    }
}

pub(super) fn topic_of(kafka: &Kafka, log: Log) -> &str {
    match log {
        Log::Deltas => &kafka.deltas,
        Log::Decisions => &kafka.decisions,
        Log::Operations => &kafka.operations,
    }
}

pub(super) fn log(kafka: &Kafka, log: Log) -> Own {
    // What is old goes a segment at a time; each is open files of the broker's.
    let (key, retention, segment, holds) = match log {
        Log::Deltas => ("kafka.deltas", "172800000", "600000", "what records come to, flush by flush"),
        Log::Decisions => ("kafka.decisions", "604800000", "3600000", "what was decided"),
        Log::Operations => ("kafka.operations", "31536000000", "604800000", "acknowledgements, silences, who did what"),
    };
    let day = "a start goes on from a snapshot that may be a day old";
    Own {
        key,
        spec: TopicSpec {
            name: topic_of(kafka, log).to_owned(),
            partitions: 1,
            settings: vec![
                ("cleanup.policy", "delete"),
                ("retention.ms", retention),
                ("segment.ms", segment),
                ("max.message.bytes", LOG_RECORD_BYTES_MAX),
                ("message.timestamp.type", "LogAppendTime"),
            ],
        },
        holds,
        meanwhile: "what belongs into it waits",
        kind: Kind::Logs,
        ordered: true,
        needs: vec![
            NOT_COMPACTED,
            ("retention.ms", Need::AtLeast(DAY_MS), day),
            ("max.message.bytes", Need::AtLeast(16 << 20), "a floor that catches up tells of all its keys at once"),
            (
                "message.timestamp.type",
                Need::Is("LogAppendTime"),
                "the time of a record is the broker's, whatever the clocks of those who write it say",
            ),
        ],
    }
}

impl Own {
    /// What of a topic that is there will not do.
    pub fn judge(&self, partitions: usize, settings: &BTreeMap<String, String>, brokers: &str) -> Vec<Wrong> {
        let TopicSpec { name, settings: ours, .. } = &self.spec;
        let mut wrong = Vec::new();
        let mut say = |setting, found: &str, needed: &str, why: &str, mend: String| {
            let text = format!(
                "The topic `{name}` of `{}` at {brokers} has `{setting}` {found} and needs {needed}: {why}. {mend}",
                self.key
            );
            wrong.push(Wrong { setting, text });
        };
        if self.ordered && partitions != 1 {
            let mend = format!(
                "Partitions cannot be taken away: delete the topic and make it anew with one, or give `{}` another name.",
                self.key
            );
            say("partitions", &partitions.to_string(), "1", "its order is what all instances agree on", mend);
        }
        for (setting, need, why) in &self.needs {
            // A broker too old to know a setting, or a user who may not see it, proves nothing.
            let Some(found) = settings.get(*setting) else { continue };
            let needed = match need {
                Need::Is(value) if found != value => (*value).to_owned(),
                Need::AtLeast(least) if found.parse().is_ok_and(|found: i64| found != -1 && found < *least) => {
                    format!("at least {least}")
                }
                Need::Is(_) | Need::AtLeast(_) => continue,
            };
            let value = match ours.iter().find(|(name, _)| name == setting) {
                Some((_, value)) => (*value).to_owned(),
                None => needed.rsplit(' ').next().unwrap_or_default().to_owned(),
            };
            let mend = format!(
                "Mend it by `kafka-configs.sh --bootstrap-server {} --alter --entity-type topics --entity-name {name} \
                 --add-config {setting}={value}`.",
                brokers.replace(", ", ",")
            );
            say(setting, found, &needed, why, mend);
        }
        wrong
    }

    /// What cannot be made, as a paragraph.
    pub fn refused(&self, why: &str, place: &Place) -> String {
        format!(
            "The topic `{}` of `{}` ({}) does not exist at {} and could not be made ({}). Create it as `atalaya topics --print` \
             shows, or allow this user to Create it; until then {}.",
            self.spec.name,
            self.key,
            self.holds,
            place.brokers,
            place.redact(why),
            self.meanwhile
        )
    }
}

/// What a topic that is there is judged by; `None` where there is none. Blocks.
pub fn look(config: &ClientConfig, own: &Own, place: &Place) -> Result<Option<Vec<Wrong>>, String> {
    Ok(topics::describe(config, &own.spec.name, PATIENCE)?
        .map(|Standing { partitions, settings }| own.judge(partitions, &settings, &place.brokers)))
}

/// Makes the topics where they are missing and that is allowed, looks at those that are there, and raises what is not as it
/// has to be, until all is well or `stop`. Returns at once.
pub(super) fn keep(
    kafka: &Kafka,
    topics: Vec<Own>,
    problems: &Problems,
    stop: &Arc<AtomicBool>,
) -> Result<(), KafkaFailure> {
    let keeper = Keeper {
        config: client_config(kafka),
        place: Place::new(kafka),
        problems: problems.clone(),
        stop: stop.clone(),
        left: topics,
    };
    std::thread::Builder::new()
        .name("kafka-topics".into())
        .spawn(move || keeper.run())
        .map(drop)
        .map_err(|error| KafkaFailure::Client(format!("A thread could not be started: {error}.")))
}

/// What has to be done about a topic yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    /// A broker that did not answer may do so soon.
    Try,
    /// Somebody has to mend it.
    Mend,
}

struct Keeper {
    config: ClientConfig,
    place: Place,
    problems: Problems,
    stop: Arc<AtomicBool>,
    left: Vec<Own>,
}

impl Keeper {
    fn run(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            let mut pause = AGAIN;
            let mut left = std::mem::take(&mut self.left);
            left.retain(|own| {
                let left = self.see_to(own);
                if left == Left::Try {
                    pause = PATIENCE;
                }
                left != Left::Nothing
            });
            self.left = left;
            if self.left.is_empty() {
                return;
            }
            for _ in 0..pause.as_millis() / 100 {
                if self.stop.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }

    fn see_to(&self, own: &Own) -> Left {
        let name = &own.spec.name;
        match topics::create(&self.config, &own.spec, PATIENCE) {
            Made::Created | Made::Existed => self.problems.clear(own.kind, &place_of(name, "topic")),
            // Made by somebody else, or by the broker itself at the first record, it is there all the same.
            Made::Refused(why) => match look(&self.config, own, &self.place) {
                Ok(None) => {
                    self.problems.raise(own.kind, &place_of(name, "topic"), own.refused(&why, &self.place));
                    return Left::Mend;
                }
                Ok(Some(_)) | Err(_) => self.problems.clear(own.kind, &place_of(name, "topic")),
            },
            Made::NotYet(why) => {
                tracing::debug!(topic = name, why = self.place.redact(&why), "topic not made yet");
                return Left::Try;
            }
        }
        let wrong = match look(&self.config, own, &self.place) {
            Ok(found) => found.unwrap_or_default(),
            Err(why) => {
                // Who may not look works with what there is; writing and reading will tell.
                tracing::debug!(topic = name, why = self.place.redact(&why), "settings not looked at");
                return Left::Nothing;
            }
        };
        for setting in own.needs.iter().map(|(setting, ..)| *setting).chain(["partitions"]) {
            if wrong.iter().all(|wrong| wrong.setting != setting) {
                self.problems.clear(own.kind, &place_of(name, setting));
            }
        }
        for wrong in &wrong {
            self.problems.raise(own.kind, &place_of(name, wrong.setting), wrong.text.clone());
        }
        if wrong.is_empty() { Left::Nothing } else { Left::Mend }
    }
}

fn place_of(topic: &str, what: &str) -> String {
    format!("{topic} {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kafka() -> Kafka {
        Kafka { brokers: vec!["a:1".into(), "b:2".into()], ..Kafka::default() }
    }

    fn settings(of: &Own) -> BTreeMap<String, String> {
        of.spec.settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_we_make_ourselves_will_do() {
        for own in all(&kafka()) {
            assert_eq!(own.judge(1, &settings(&own), "a:1"), [], "{}", own.key);
            assert_eq!(own.judge(1, &BTreeMap::new(), "a:1"), [], "nothing known");
        }
    }

    #[test]
    fn each_wrong_setting_is_named_with_its_mend() {
        let deltas = log(&kafka(), Log::Deltas);
        assert_eq!(dead_letters(&kafka()).judge(4, &BTreeMap::new(), "a:1"), [], "of these the order means nothing");
        for (setting, value, words) in [
            ("cleanup.policy", "compact", ["needs delete", "--add-config cleanup.policy=delete`"]),
            ("cleanup.policy", "compact,delete", ["`kafka.deltas`", "one record of many"]),
            ("retention.ms", "3600000", ["at least 86400000", "--add-config retention.ms=172800000`"]),
            ("max.message.bytes", "1048588", ["at least 16777216", "=16777216`"]),
            ("message.timestamp.type", "CreateTime", ["needs LogAppendTime", "--bootstrap-server a:1,b:2 "]),
        ] {
            let mut settings = settings(&deltas);
            settings.insert(setting.to_owned(), value.to_owned());
            let wrong = deltas.judge(1, &settings, "a:1, b:2");
            assert_eq!(wrong.iter().map(|wrong| wrong.setting).collect::<Vec<_>>(), [setting]);
            for word in words.into_iter().chain([value]) {
                assert!(wrong[0].text.contains(word), "{word}: {}", wrong[0].text);
            }
        }
        let mut endless = settings(&deltas);
        endless.insert("retention.ms".to_owned(), "-1".to_owned());
        assert_eq!(deltas.judge(1, &endless, "a:1"), []);
        let wrong = deltas.judge(3, &endless, "a:1");
        assert!(wrong[0].text.contains("`partitions` 3 and needs 1"), "{}", wrong[0].text);
        let snapshots = snapshots(&kafka());
        let deleted = BTreeMap::from([("cleanup.policy".to_owned(), "delete".to_owned())]);
        assert!(snapshots.judge(1, &deleted, "a:1")[0].text.contains("needs compact"));
    }
}
