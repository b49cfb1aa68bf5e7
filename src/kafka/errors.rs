//! librdkafka's errors as one paragraph: what, where, what to do.
//!
//! librdkafka's own words may hold values of the user's properties (a rejected configuration value, a file name with a
//! password in it), so they pass through [`redact`] before anybody reads them.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::problems::Kind;
use crate::config::{Kafka, Secret};

/// Why a client could not be made, or has to stop. Displays as the whole paragraph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KafkaFailure {
    /// The user's: a property that librdkafka does not take.
    #[error("{0}")]
    Property(String),
    /// The client could not be created for another reason (an unreadable certificate, no memory).
    #[error("{0}")]
    Client(String),
    /// The client is dead and stays so: another instance took this one's name, or the broker refuses it for good.
    #[error("{0}")]
    Fatal(String),
    /// A step of shutting down did not end within its deadline.
    #[error("{0}")]
    Deadline(String),
}

/// Where a client is pointed at, for the texts.
#[derive(Clone, Debug)]
pub struct Place {
    pub brokers: String,
    pub group: String,
    pub instance: Option<String>,
    secrets: Vec<Secret>,
}

/// Properties whose values say nothing secret and make an error readable.
const HARMLESS: &[&str] = &["security.protocol", "sasl.mechanism", "sasl.mechanisms", "client.id", "bootstrap.servers"];

impl Place {
    pub fn new(kafka: &Kafka) -> Self {
        let mut secrets: Vec<Secret> = kafka
            .properties
            .iter()
            .filter(|(name, value)| !HARMLESS.contains(&name.as_str()) && value.expose().len() >= 4)
            .map(|(_, value)| value.clone())
            .collect();
        // The longest first: a secret that contains another one is hidden whole.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        Place {
            brokers: kafka.brokers.join(", "),
            group: kafka.group.clone(),
            instance: super::consumer::instance_name(kafka),
            secrets,
        }
    }

    /// librdkafka's text without the values of the user's properties.
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            if text.contains(secret.expose()) {
                text = text.replace(secret.expose(), "[secret]");
            }
        }
        text
    }
}

/// The failure of making a client.
pub fn creation(error: &KafkaError, place: &Place) -> KafkaFailure {
    match error {
        // The description quotes the value, so only the name is told.
        KafkaError::ClientConfig(_, _, name, _) => KafkaFailure::Property(format!(
            "kafka.properties: librdkafka does not take the property `{name}` or its value. Look the name and the \
             values it allows up in librdkafka's CONFIGURATION.md, and mend it under `kafka.properties` of the \
             configuration."
        )),
        other => KafkaFailure::Client(format!(
            "The Kafka client for {} could not be made: {}. Check the certificates, files and SASL settings named under \
             `kafka.properties` of the configuration.",
            place.brokers,
            place.redact(&other.to_string())
        )),
    }
}

/// A librdkafka error at run time: its kind and the paragraph. `reason` is librdkafka's text.
/// `None` for what is no problem by itself (one connection of several lost, a retry that librdkafka makes alone).
pub fn explain(code: RDKafkaErrorCode, reason: &str, place: &Place) -> Option<(Kind, String)> {
    use RDKafkaErrorCode as Code;
    let reason = place.redact(reason);
    let Place { brokers, group, .. } = place;
    Some(match code {
        Code::AllBrokersDown => (
            Kind::Unreachable,
            format!(
                "Nothing answers at {brokers}. Start the broker, or mend `kafka.brokers` (or ATALAYA_KAFKA__BROKERS); \
                 it is tried again until it answers. {}",
                detail(&reason)
            ),
        ),
        Code::BrokerTransportFailure if is_cut_off(&reason) => (
            Kind::Tls,
            format!(
                "{brokers} ends connections before it has answered anything, as a listener with TLS does with a client that \
                 speaks without, and for a moment a broker that is just starting. Check that `security.protocol` under `kafka.properties` is the \
                 listener's. {}",
                detail(&reason)
            ),
        ),
        // One connection; when it is the last, `AllBrokersDown` follows.
        Code::BrokerTransportFailure | Code::OperationTimedOut | Code::RequestTimedOut | Code::PartitionEOF => {
            return None;
        }
        Code::Resolve => (
            Kind::Unreachable,
            format!(
                "A broker's name does not resolve ({brokers}). Mend `kafka.brokers`, or the broker's advertised.listeners \
                 if the name is not one of yours; it is tried again. {}",
                detail(&reason)
            ),
        ),
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => (
            Kind::MissingTopic,
            format!(
                "A topic of `sources` does not exist at {brokers}. Create it, or mend `sources[].topic`; it is read as \
                 soon as it exists. {}",
                detail(&reason)
            ),
        ),
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState => (
            Kind::Authentication,
            format!(
                "{brokers} refuses who we say we are. Check `sasl.mechanism`, `sasl.username` and `sasl.password` (or \
                 the token settings) under `kafka.properties`, and that `security.protocol` is the listener's. {}",
                detail(&reason)
            ),
        ),
        Code::SSL => (
            Kind::Tls,
            format!(
                "The TLS handshake with {brokers} fails. Check that `security.protocol` is the listener's, that \
                 `ssl.ca.location` holds the authority that signed the broker's certificate, and that its name is the \
                 one in `kafka.brokers`. {}",
                detail(&reason)
            ),
        ),
        Code::TopicAuthorizationFailed => (
            Kind::Authorization,
            format!(
                "{brokers} does not let this user read or write a topic. Grant Read and Describe on the topics of \
                 `sources`, and Read, Write, Describe, DescribeConfigs and Create on those of our own, `atalaya.*`. {}",
                detail(&reason)
            ),
        ),
        Code::GroupAuthorizationFailed => (
            Kind::Authorization,
            format!(
                "{brokers} does not let this user into the consumer group `{group}`. Grant Read on the group, or set \
                 `kafka.group` to one that is allowed. {}",
                detail(&reason)
            ),
        ),
        Code::ClusterAuthorizationFailed => (
            Kind::Authorization,
            format!("{brokers} does not let this user do what is asked of the cluster. {}", detail(&reason)),
        ),
        Code::PollExceeded => (
            Kind::Other,
            "The reader of the sources was held up for longer than `max.poll.interval.ms`, and the group took its \
             partitions away; it joins again by itself. The machine is too slow for the load, or was suspended."
                .to_owned(),
        ),
        _ => (Kind::Other, format!("Kafka at {brokers} reports: {code}. {}", detail(&reason))),
    })
}

/// Whether librdkafka says of a connection that it was taken and ended before the first answer.
pub fn is_cut_off(text: &str) -> bool {
    text.contains("Disconnected") && text.contains("in state APIVERSION_QUERY")
}

/// The end of a client: librdkafka calls it fatal.
pub fn fatal(code: RDKafkaErrorCode, reason: &str, place: &Place) -> KafkaFailure {
    let name = place.instance.as_deref().unwrap_or("");
    KafkaFailure::Fatal(match code {
        RDKafkaErrorCode::FencedInstanceId => format!(
            "Another process joined the consumer group `{}` at {} under this one's name `{name}`, so this one stops. \
             Give every instance its own `kafka.instance` (default: the host's name).",
            place.group, place.brokers
        ),
        _ => format!(
            "The Kafka client of the group `{}` at {} cannot go on: {code}. {}",
            place.group,
            place.brokers,
            detail(&place.redact(reason))
        ),
    })
}

/// A question to the broker that was not answered.
pub fn unanswered(what: &str, error: &KafkaError, place: &Place) -> String {
    format!(
        "{} does not answer when asked for {what}: {}. It is asked again until it answers; see the broker's own log if \
         this lasts.",
        place.brokers,
        place.redact(&error.to_string())
    )
}

fn detail(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!("(librdkafka: {reason})") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn place() -> Place {
        Place::new(&Kafka {
            brokers: vec!["localhost:9092".into()],
            group: "atalaya".into(),
            instance: Some("floor-1".into()),
            properties: BTreeMap::from([
                ("sasl.password".to_owned(), Secret::new("hunter22")),
                ("ssl.key.password".to_owned(), Secret::new("hunter22-and-more")),
                ("security.protocol".to_owned(), Secret::new("SASL_SSL")),
            ]),
            ..Kafka::default()
        })
    }

    #[test]
    fn each_error_says_what_where_and_what_to_do() {
        use RDKafkaErrorCode as Code;
        for (code, kind, words) in [
            (Code::AllBrokersDown, Kind::Unreachable, ["Nothing answers at localhost:9092", "kafka.brokers"]),
            (Code::Resolve, Kind::Unreachable, ["does not resolve", "advertised.listeners"]),
            (Code::UnknownTopicOrPartition, Kind::MissingTopic, ["does not exist", "sources[].topic"]),
            (Code::Authentication, Kind::Authentication, ["refuses who we say we are", "sasl.username"]),
            (Code::SSL, Kind::Tls, ["TLS handshake", "ssl.ca.location"]),
            (Code::TopicAuthorizationFailed, Kind::Authorization, ["read or write a topic", "Grant"]),
            (Code::GroupAuthorizationFailed, Kind::Authorization, ["consumer group `atalaya`", "Grant"]),
        ] {
            let (found, text) = explain(code, "some detail", &place()).expect("a paragraph");
            assert_eq!(found, kind, "{code:?}");
            for word in words {
                assert!(text.contains(word), "{code:?} lacks {word:?}: {text}");
            }
            assert!(text.contains("(librdkafka: some detail)"), "{text}");
            assert!(!text.contains('\n'), "one paragraph: {text}");
        }
        assert_eq!(explain(Code::BrokerTransportFailure, "one connection", &place()), None);
        let cut_off = "Disconnected: connection closed by peer (after 62ms in state APIVERSION_QUERY)";
        let (kind, text) = explain(Code::BrokerTransportFailure, cut_off, &place()).expect("a paragraph");
        assert!(kind == Kind::Tls && text.contains("`security.protocol`"), "{text}");
    }

    #[test]
    fn secrets_of_the_properties_never_show() {
        let config = KafkaError::ClientConfig(
            rdkafka::types::RDKafkaConfRes::RD_KAFKA_CONF_INVALID,
            "Invalid value \"hunter22\" for configuration property \"sasl.password\"".into(),
            "sasl.password".into(),
            "hunter22".into(),
        );
        let made = KafkaError::ClientCreation("cannot open key with hunter22-and-more over SASL_SSL".into());
        let fatal = fatal(RDKafkaErrorCode::Fail, "it was hunter22", &place());
        let (_, told) = explain(RDKafkaErrorCode::Authentication, "user x, password hunter22", &place()).expect("told");
        for text in
            [creation(&config, &place()).to_string(), creation(&made, &place()).to_string(), fatal.to_string(), told]
        {
            assert!(!text.contains("hunter22"), "{text}");
            assert!(!text.contains("and-more"), "{text}");
        }
        assert!(!format!("{:?}", place()).contains("hunter22"));
        assert!(creation(&made, &place()).to_string().contains("SASL_SSL"));
        assert!(creation(&config, &place()).to_string().contains("`sasl.password`"));
    }

    #[test]
    fn a_taken_name_is_named() {
        let text = fatal(RDKafkaErrorCode::FencedInstanceId, "", &place()).to_string();
        assert!(text.contains("`floor-1`") && text.contains("kafka.instance"), "{text}");
    }
}
