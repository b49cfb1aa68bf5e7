//! Creates the topics of our own where that is allowed.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
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
    let admin: AdminClient<Mute> = match config.create_with_context(Mute) {
        Ok(admin) => admin,
        Err(error) => return Made::NotYet(error.to_string()),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().build() {
        Ok(runtime) => runtime,
        Err(error) => return Made::NotYet(error.to_string()),
    };
    let options = AdminOptions::new().request_timeout(Some(patience)).operation_timeout(Some(patience));
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
