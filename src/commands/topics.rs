//! `atalaya topics`: the topics of our own, for whoever administers the broker.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::files::{Origin, Secrets};
use super::{Failure, say};
use crate::config::Kafka;
use crate::kafka::client_config;
use crate::kafka::errors::Place;
use crate::kafka::own::{self, Own};
use crate::kafka::topics::{self, Made};

/// The topics that Atalaya needs for itself: print their settings, or make them and check those that are there
#[derive(Debug, Args)]
pub struct Topics {
    /// The configuration
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// Print each with its settings, as commands for who may create topics
    #[arg(long, required_unless_present = "create", conflicts_with = "create")]
    pub print: bool,
    /// Make what is missing, check what is there
    #[arg(long)]
    pub create: bool,
}

const PATIENCE: Duration = Duration::from_secs(10);

pub fn run(args: &Topics) -> Result<(), Failure> {
    let config = Origin::read(Some(&args.config))?.compile(Secrets::OfKafka)?;
    if args.create { create(&config.kafka) } else { say::text(printed(&config.kafka)) }
}

/// A shell script that can be read.
fn printed(kafka: &Kafka) -> String {
    let mut text = String::new();
    for Own { key, spec, holds, .. } in own::all(kafka) {
        let _ = write!(
            text,
            "# {key}: {holds}\nkafka-topics.sh --bootstrap-server {} --create --if-not-exists --topic {} --partitions {}",
            kafka.brokers.join(","),
            spec.name,
            spec.partitions
        );
        for (name, value) in spec.settings {
            let _ = write!(text, " \\\n  --config {name}={value}");
        }
        text.push('\n');
    }
    text
}

fn create(kafka: &Kafka) -> Result<(), Failure> {
    let (config, place) = (client_config(kafka), Place::new(kafka));
    let mut wrong = Vec::new();
    for own in own::all(kafka) {
        let name = &own.spec.name;
        let refused = match topics::create(&config, &own.spec, PATIENCE) {
            Made::Created => {
                say::line(format_args!("{name}: made"))?;
                continue;
            }
            Made::Existed => None,
            Made::Refused(why) => Some(why),
            // The others would be asked in vain.
            Made::NotYet(why) => return Err(Failure::Run(unanswered(&place, name, &why))),
        };
        let found = own::look(&config, &own, &place).map_err(|why| Failure::Run(unanswered(&place, name, &why)))?;
        match (found, refused) {
            (Some(found), _) if found.is_empty() => say::line(format_args!("{name}: is there, as it has to be"))?,
            (Some(found), _) => {
                say::line(format_args!("{name}: is there, and will not do"))?;
                wrong.extend(found.into_iter().map(|wrong| wrong.text));
            }
            (None, why) => {
                say::line(format_args!("{name}: is missing"))?;
                wrong.push(own.refused(why.as_deref().unwrap_or("it is not shown to this user"), &place));
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failure::Run(wrong.join("\n"))) }
}

fn unanswered(place: &Place, topic: &str, why: &str) -> String {
    format!(
        "The topic `{topic}` could not be made or looked at at {}: {}. Start the broker, or mend `kafka.brokers`.",
        place.brokers,
        place.redact(why)
    )
}
