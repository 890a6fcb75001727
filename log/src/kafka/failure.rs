//! librdkafka's errors as ours. The one place that knows their codes.

use std::sync::{Arc, Mutex, PoisonError};

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

/// An error of a member of a group.
pub(super) fn of_member(action: &str, group: &str, topic: &TopicName, source: KafkaError) -> Error {
    match source.rdkafka_error_code() {
        Some(Code::GroupAuthorizationFailed) => {
            of_call(&format!("{action} (group {group}, topic {topic})"), source)
        }
        _ => of_topic(action, topic, source),
    }
}

/// What a person has to do, for errors that only a person can mend. A login that fails is not among them: at the first contact
/// `reach` tells why, and later it may be a broker that has just started.
fn advice(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::TopicAuthorizationFailed => {
            "this user needs Read, Write, Describe, Create and DescribeConfigs on topics with this prefix (docs/kafka.md has the commands)"
        }
        Code::GroupAuthorizationFailed => {
            "this user needs Read on consumer groups with this prefix (docs/kafka.md has the commands)"
        }
        Code::ClusterAuthorizationFailed => {
            "this user needs a right on the cluster, or an administrator must create the topic first (docs/kafka.md has the commands)"
        }
        _ => return None,
    })
}

/// An error of any call: what only an operator can repair is distinguished from an unavailable log.
pub(super) fn of_call(action: &str, source: KafkaError) -> Error {
    if let KafkaError::ClientConfig(_, reason, key, _) = &source {
        // The reason may quote the value.
        let reason = if is_secret(key) {
            "its value is refused"
        } else {
            reason
        };
        return Error::Config(format!("Kafka property {key}: {reason}"));
    }
    if let KafkaError::ClientCreation(reason) = &source {
        return Error::Config(format!("Kafka client to {action}: {reason}"));
    }
    if let Some(code) = source.rdkafka_error_code()
        && let Some(advice) = advice(code)
    {
        return Error::Refused {
            action: action.to_owned(),
            reason: code.to_string(),
            advice: advice.to_owned(),
        };
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

/// The last reason that librdkafka gave for not reaching brokers. Calls themselves fail with less: "transport failure".
#[derive(Clone, Debug, Default)]
pub(super) struct Trouble(Arc<Mutex<Option<(Code, String)>>>);

impl Trouble {
    fn note(&self, code: Code, reason: &str) {
        // Follows on the reason and does not replace it.
        if code == Code::AllBrokersDown {
            return;
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((code, reason.to_owned()));
    }

    /// The last reason since [`Trouble::forget`].
    pub(super) fn last(&self) -> Option<(Code, String)> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Reasons of before do not explain what fails from now on.
    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Sends librdkafka's own words to our log, and notes why brokers cannot be reached.
#[derive(Clone, Debug, Default)]
pub(super) struct Quiet {
    trouble: Trouble,
}

impl Quiet {
    /// Notes into `trouble`.
    pub(super) fn noting(trouble: &Trouble) -> Self {
        Self {
            trouble: trouble.clone(),
        }
    }
}

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
        if let Some(code) = error.rdkafka_error_code() {
            self.trouble.note(code, reason);
        }
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
