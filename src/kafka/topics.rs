//! Makes a topic where that is allowed, and says how one is that is there. Which ones, `own` knows.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;

use super::context::Mute;

/// A topic as it is to be made.
#[derive(Clone, Debug)]
pub struct TopicSpec {
    pub name: String,
    pub partitions: i32,
    pub settings: Vec<(&'static str, &'static str)>,
}

/// How the making of a topic ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    Created,
    Existed,
    /// Refused for good: it has to be made by somebody else. librdkafka's word for why.
    Refused(String),
    /// Nobody answered, or not now: worth another try.
    NotYet(String),
}

/// Makes one topic with the broker's default replication. Blocks for at most twice `patience`; not to be called on the
/// async runtime.
pub fn create(config: &ClientConfig, spec: &TopicSpec, patience: Duration) -> Made {
    let (admin, runtime, options) = match admin(config, patience) {
        Ok(made) => made,
        Err(why) => return Made::NotYet(why),
    };
    // -1: the broker's own default, which its owner chose.
    let mut topic = NewTopic::new(&spec.name, spec.partitions, TopicReplication::Fixed(-1));
    for (name, value) in &spec.settings {
        topic = topic.set(name, value);
    }
    match runtime.block_on(admin.create_topics([&topic], &options)) {
        Err(error) => Made::NotYet(error.to_string()),
        Ok(results) => match results.into_iter().next() {
            Some(Ok(_)) => Made::Created,
            Some(Err((_, code))) => sort(code),
            None => Made::NotYet("no answer for the topic".to_owned()),
        },
    }
}

/// A topic as it is.
#[derive(Clone, Debug)]
pub struct Standing {
    pub partitions: usize,
    /// Empty where this user may not see them.
    pub settings: BTreeMap<String, String>,
}

/// How a topic is; `None` where there is none, or none that this user may see. Blocks for at most twice `patience`; not to be
/// called on the async runtime.
pub fn describe(config: &ClientConfig, topic: &str, patience: Duration) -> Result<Option<Standing>, String> {
    use RDKafkaErrorCode as Code;
    let (admin, runtime, options) = admin(config, patience)?;
    // Who may read or write a topic may see it too: one that may not be seen is as good as none.
    let absent =
        |code| matches!(code, Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::TopicAuthorizationFailed);
    let partitions = match admin.inner().fetch_metadata(Some(topic), patience) {
        Ok(metadata) => {
            let found = metadata.topics().iter().find(|found| found.name() == topic);
            match found.and_then(|found| found.error()).map(Code::from) {
                Some(code) if absent(code) => return Ok(None),
                Some(code) => return Err(code.to_string()),
                None => found.map_or(0, |found| found.partitions().len()),
            }
        }
        Err(error) if error.rdkafka_error_code().is_some_and(absent) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    if partitions == 0 {
        return Ok(None);
    }
    let described = runtime.block_on(admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options));
    let settings = match described.map_err(|error| error.to_string())?.into_iter().next() {
        // It is there; its settings are another right.
        Some(Err(Code::TopicAuthorizationFailed)) => BTreeMap::new(),
        Some(Ok(resource)) => {
            resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect()
        }
        Some(Err(code)) if absent(code) => return Ok(None),
        Some(Err(_)) | None => BTreeMap::new(),
    };
    Ok(Some(Standing { partitions, settings }))
}

type Admin = (AdminClient<Mute>, tokio::runtime::Runtime, AdminOptions);

fn admin(config: &ClientConfig, patience: Duration) -> Result<Admin, String> {
    let admin = config.create_with_context(Mute).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
    let options = AdminOptions::new().request_timeout(Some(patience)).operation_timeout(Some(patience));
    Ok((admin, runtime, options))
}

fn sort(code: RDKafkaErrorCode) -> Made {
    use RDKafkaErrorCode as Code;
    match code {
        Code::TopicAlreadyExists => Made::Existed,
        Code::TopicAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::PolicyViolation
        | Code::InvalidConfig
        | Code::InvalidTopic
        | Code::InvalidPartitions
        | Code::InvalidReplicationFactor
        | Code::UnsupportedVersion
        | Code::UnsupportedFeature => Made::Refused(code.to_string()),
        other => Made::NotYet(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_for_good_is_not_tried_again() {
        use RDKafkaErrorCode as Code;
        assert_eq!(sort(Code::TopicAlreadyExists), Made::Existed);
        for code in [Code::TopicAuthorizationFailed, Code::PolicyViolation, Code::UnsupportedFeature] {
            assert!(matches!(sort(code), Made::Refused(_)), "{code:?}");
        }
        for code in [Code::OperationTimedOut, Code::NotController, Code::BrokerNotAvailable] {
            assert!(matches!(sort(code), Made::NotYet(_)), "{code:?}");
        }
    }
}
