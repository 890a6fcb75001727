//! Making topics and looking at the ones that are there.

use std::time::Duration;

use ccr_ops::Clock;
use rdkafka::admin::{
    AdminClient, AdminOptions, NewTopic, OwnedResourceSpecifier, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::Producer;
use rdkafka::types::RDKafkaRespErr;

use super::config::{KafkaConfig, MESSAGE_MAX_BYTES};
use super::failure::{Quiet, of_call, of_topic};
use super::writer::Client;
use crate::error::Error;
use crate::event_log::{TopicKind, TopicSpec};
use ccr_schemas::TopicName;

/// Bound of one call.
const CALL: Duration = Duration::from_secs(10);
/// Bound of waiting for a new topic's leader, and between two looks.
const SETTLE: Duration = Duration::from_secs(15);
const SETTLE_PAUSE: Duration = Duration::from_millis(50);
/// Copies of a topic when there are brokers enough, and how many of them must have a record before it counts.
const COPIES: u16 = 3;
const IN_SYNC: &str = "2";

/// What the cluster says of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Absent,
    /// Partitions, and whether each has a leader.
    There {
        partitions: usize,
        led: bool,
    },
}

/// Asks for the topic. Blocks up to the bound of a call.
pub(super) fn presence(client: &Client, topic: &TopicName) -> Result<Presence, Error> {
    let metadata = client
        .client()
        .fetch_metadata(Some(&topic.0), CALL)
        .map_err(|error| of_call(&format!("look up topic {topic}"), error))?;
    let Some(found) = metadata.topics().iter().find(|t| t.name() == topic.0) else {
        return Ok(Presence::Absent);
    };
    match found.error() {
        None => {}
        Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) => {
            return Ok(Presence::Absent);
        }
        // Just made; the leader comes.
        Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) => {
            return Ok(Presence::There {
                partitions: found.partitions().len(),
                led: false,
            });
        }
        Some(code) => {
            let error = KafkaError::MetadataFetch(code.into());
            return Err(of_call(&format!("look up topic {topic}"), error));
        }
    }
    let partitions = found.partitions();
    if partitions.is_empty() {
        return Ok(Presence::Absent);
    }
    Ok(Presence::There {
        partitions: partitions.len(),
        led: partitions.iter().all(|p| p.leader() >= 0),
    })
}

/// Number of brokers. Blocks up to the bound of a call.
pub(super) fn brokers(client: &Client, bootstrap: &str) -> Result<usize, Error> {
    let metadata = client
        .client()
        .fetch_metadata(None, CALL)
        .map_err(|error| of_call(&format!("reach Kafka at {bootstrap}"), error))?;
    Ok(metadata.brokers().len())
}

/// Runs a blocking question off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    action: &str,
    question: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(question)
        .await
        .map_err(|source| Error::Unavailable {
            action: action.to_owned(),
            source: Box::new(source),
        })?
}

/// Makes and verifies topics.
pub(super) struct Topics<'a> {
    pub config: &'a KafkaConfig,
    pub client: Client,
    pub clock: &'a dyn Clock,
}

impl Topics<'_> {
    /// See [`crate::EventLog::ensure_topic`].
    pub(super) async fn ensure(&self, spec: &TopicSpec) -> Result<(), Error> {
        if !spec.name.fits() {
            return Err(Error::Config(format!(
                "topic name {} is longer than Kafka takes; use a shorter --topic-prefix",
                spec.name
            )));
        }
        let admin: AdminClient<Quiet> = self
            .config
            .admin()
            .create_with_context(Quiet)
            .map_err(|error| of_call("make a Kafka admin client", error))?;
        if self.look(&spec.name).await? == Presence::Absent {
            self.create(&admin, spec).await?;
        }
        let partitions = self.settle(&spec.name).await?;
        let mismatch = |difference: String| Error::TopicMismatch {
            topic: spec.name.clone(),
            difference,
        };
        if partitions != 1 {
            return Err(mismatch(format!(
                "it has {partitions} partitions, wanted is exactly 1"
            )));
        }
        let have = self.cleanup_policy(&admin, &spec.name).await?;
        let want = policy(spec.kind);
        if have != want {
            return Err(mismatch(format!(
                "its cleanup.policy is {have}, wanted is {want}"
            )));
        }
        Ok(())
    }

    async fn look(&self, topic: &TopicName) -> Result<Presence, Error> {
        let (client, topic) = (self.client.clone(), topic.clone());
        blocking("look up a topic", move || presence(&client, &topic)).await
    }

    /// Waits until the topic has a leader; answers the number of its partitions.
    async fn settle(&self, topic: &TopicName) -> Result<usize, Error> {
        let until = self.clock.monotonic() + SETTLE;
        loop {
            if let Presence::There {
                partitions,
                led: true,
            } = self.look(topic).await?
            {
                return Ok(partitions);
            }
            if self.clock.monotonic() >= until {
                return Err(Error::Timeout {
                    action: format!("wait for a leader of topic {topic}"),
                    seconds: SETTLE.as_secs(),
                });
            }
            self.clock.sleep(SETTLE_PAUSE).await;
        }
    }

    async fn create(&self, admin: &AdminClient<Quiet>, spec: &TopicSpec) -> Result<(), Error> {
        let copies = match self.config.replication_factor {
            Some(copies) => copies,
            None => {
                let (client, bootstrap) = (self.client.clone(), self.config.bootstrap.clone());
                let brokers =
                    blocking("count brokers", move || brokers(&client, &bootstrap)).await?;
                COPIES.min(u16::try_from(brokers).unwrap_or(COPIES)).max(1)
            }
        };
        let max_bytes = MESSAGE_MAX_BYTES.to_string();
        let retention = match spec.kind {
            TopicKind::Retained(Some(time)) => time.as_millis().to_string(),
            TopicKind::Retained(None) | TopicKind::Compacted => "-1".to_owned(),
        };
        let mut topic = NewTopic::new(&spec.name.0, 1, TopicReplication::Fixed(i32::from(copies)))
            .set("cleanup.policy", policy(spec.kind))
            .set("retention.ms", &retention)
            .set("retention.bytes", "-1")
            .set("max.message.bytes", &max_bytes)
            .set("message.timestamp.type", "CreateTime")
            .set("unclean.leader.election.enable", "false");
        if copies >= COPIES {
            topic = topic.set("min.insync.replicas", IN_SYNC);
        }
        let options = AdminOptions::new()
            .request_timeout(Some(CALL))
            .operation_timeout(Some(CALL));
        let action = "create it";
        let answers = admin
            .create_topics([&topic], &options)
            .await
            .map_err(|error| of_topic(action, &spec.name, error))?;
        for answer in answers {
            match answer {
                Ok(_) | Err((_, Code::TopicAlreadyExists)) => {}
                Err((_, code @ (Code::InvalidReplicationFactor | Code::PolicyViolation))) => {
                    return Err(Error::Config(format!(
                        "Kafka refused to create topic {} with {copies} copies: {code}",
                        spec.name
                    )));
                }
                Err((_, code)) => {
                    return Err(of_topic(action, &spec.name, KafkaError::AdminOp(code)));
                }
            }
        }
        tracing::info!(topic = %spec.name, copies, "topic created");
        Ok(())
    }

    async fn cleanup_policy(
        &self,
        admin: &AdminClient<Quiet>,
        topic: &TopicName,
    ) -> Result<String, Error> {
        let options = AdminOptions::new().request_timeout(Some(CALL));
        let action = "read its configuration";
        let answers = admin
            .describe_configs([&ResourceSpecifier::Topic(&topic.0)], &options)
            .await
            .map_err(|error| of_topic(action, topic, error))?;
        for answer in answers {
            let resource =
                answer.map_err(|code| of_topic(action, topic, KafkaError::AdminOp(code)))?;
            if matches!(&resource.specifier, OwnedResourceSpecifier::Topic(name) if *name == topic.0)
                && let Some(value) = resource
                    .get("cleanup.policy")
                    .and_then(|entry| entry.value.clone())
            {
                return Ok(value);
            }
        }
        Err(Error::Config(format!(
            "Kafka did not tell the cleanup.policy of topic {topic}; this user needs DescribeConfigs on it"
        )))
    }
}

fn policy(kind: TopicKind) -> &'static str {
    match kind {
        TopicKind::Retained(_) => "delete",
        TopicKind::Compacted => "compact",
    }
}
