//! librdkafka's errors as ours. The one place that knows their codes.

use ccr_schemas::TopicName;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::config::is_secret;
use crate::error::Error;

/// An error of a call on one topic.
pub(super) fn of_topic(action: &str, topic: &TopicName, source: KafkaError) -> Error {
    match source.rdkafka_error_code() {
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => {
            Error::UnknownTopic(topic.clone())
        }
        _ => of_call(&format!("{action} (topic {topic})"), source),
    }
}

/// An error of any call: what only a person can mend is told apart from a log that is away.
pub(super) fn of_call(action: &str, source: KafkaError) -> Error {
    let refused = matches!(
        source.rdkafka_error_code(),
        Some(
            Code::Authentication
                | Code::SaslAuthenticationFailed
                | Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::SSL
                | Code::UnsupportedSASLMechanism
        )
    );
    if let KafkaError::ClientConfig(_, reason, key, _) = &source {
        // The reason may quote the value.
        let reason = if is_secret(key) {
            "its value is refused"
        } else {
            reason
        };
        return Error::Config(format!("Kafka property {key}: {reason}"));
    }
    if refused || matches!(source, KafkaError::ClientCreation(_)) {
        return Error::Config(format!("Kafka refused to {action}: {source}"));
    }
    Error::Unavailable {
        action: action.to_owned(),
        source: Box::new(source),
    }
}

/// True when a commit was refused because the group does not know this member any more.
pub(super) fn is_fenced(source: &KafkaError) -> bool {
    matches!(
        source.rdkafka_error_code(),
        Some(
            Code::UnknownMemberId
                | Code::FencedInstanceId
                | Code::FencedMemberEpoch
                | Code::StaleMemberEpoch
        )
    )
}

/// Sends librdkafka's own words to our log.
#[derive(Clone, Debug)]
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }
}

impl ConsumerContext for Quiet {}

pub(super) fn log_line(level: RDKafkaLogLevel, facility: &str, message: &str) {
    // What matters to a caller reaches it as an error; librdkafka says the same again per broker and attempt.
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::warn!(facility, message, "librdkafka");
        }
        RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning
        | RDKafkaLogLevel::Notice
        | RDKafkaLogLevel::Info
        | RDKafkaLogLevel::Debug => tracing::debug!(facility, message, "librdkafka"),
    }
}
