//! Making topics and looking at the ones that are there.

use std::time::Duration;

use ccr_ops::Clock;
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, OwnedResourceSpecifier, ResourceSpecifier,
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
/// Attempts to create a topic, and between two of them.
const CREATIONS: u32 = 4;
const CREATE_AGAIN: Duration = Duration::from_millis(500);
/// Copies of a topic when there are brokers enough, and how many of them must have a record before it counts.
const COPIES: u16 = 3;
const IN_SYNC: u16 = 2;
/// Bound of a question that has bounds of its own, for a client that hangs nevertheless.
const QUESTION: Duration = Duration::from_secs(60);

/// What the cluster says of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Absent,
    /// Partitions, whether each has a leader, and the copies of the one that has the fewest.
    There {
        partitions: usize,
        led: bool,
        copies: usize,
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
                copies: 0,
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
        copies: partitions
            .iter()
            .map(|p| p.replicas().len())
            .min()
            .unwrap_or(0),
    })
}

/// Number of brokers. Blocks up to `bound`.
pub(super) fn brokers(client: &Client, bootstrap: &str, bound: Duration) -> Result<usize, Error> {
    let metadata = client
        .client()
        .fetch_metadata(None, bound)
        .map_err(|error| of_call(&format!("reach Kafka at {bootstrap}"), error))?;
    Ok(metadata.brokers().len())
}

/// Runs a blocking question off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    action: &str,
    question: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::time::timeout(QUESTION, tokio::task::spawn_blocking(question)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(source)) => Err(Error::Unavailable {
            action: action.to_owned(),
            source: Box::new(source),
        }),
        Err(_) => Err(Error::Timeout {
            action: action.to_owned(),
            seconds: QUESTION.as_secs(),
        }),
    }
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
                "topic name {} is longer than Kafka allows; use a shorter --topic-prefix",
                spec.name
            )));
        }
        let admin: AdminClient<Quiet> =
            self.config
                .admin()
                .create_with_context(Quiet::default())
                .map_err(|error| of_call("make a Kafka admin client", error))?;
        let mut attempts = 0;
        while self.look(&spec.name).await? == Presence::Absent {
            attempts += 1;
            match self.create(&admin, spec).await {
                Ok(()) => break,
                // A cluster that has just started takes its time, and may have made the topic nevertheless.
                Err(error @ (Error::Unavailable { .. } | Error::Timeout { .. }))
                    if attempts < CREATIONS =>
                {
                    tracing::warn!(topic = %spec.name, error = %ccr_ops::task::Chain(&error), "cannot create the topic yet, retrying");
                    self.clock.sleep(CREATE_AGAIN).await;
                }
                Err(error) => return Err(error),
            }
        }
        let (partitions, copies) = self.settle(&spec.name).await?;
        let (policy, in_sync) = self.settings(&admin, &spec.name).await?;
        let found = Found {
            partitions,
            copies,
            policy,
            in_sync,
        };
        match found.judge(spec.kind, self.config, self.brokers().await?) {
            Ok(None) => Ok(()),
            Ok(Some(doubt)) => {
                tracing::warn!(topic = %spec.name, doubt, "topic settings are weaker than recommended");
                Ok(())
            }
            Err(difference) => Err(Error::TopicMismatch {
                topic: spec.name.clone(),
                difference,
            }),
        }
    }

    async fn brokers(&self) -> Result<usize, Error> {
        let (client, bootstrap) = (self.client.clone(), self.config.bootstrap.clone());
        blocking("count brokers", move || brokers(&client, &bootstrap, CALL)).await
    }

    async fn look(&self, topic: &TopicName) -> Result<Presence, Error> {
        let (client, topic) = (self.client.clone(), topic.clone());
        blocking("look up a topic", move || presence(&client, &topic)).await
    }

    /// Waits until the topic has a leader; answers the numbers of its partitions and copies.
    async fn settle(&self, topic: &TopicName) -> Result<(usize, usize), Error> {
        let until = self.clock.monotonic() + SETTLE;
        loop {
            if let Presence::There {
                partitions,
                led: true,
                copies,
            } = self.look(topic).await?
            {
                return Ok((partitions, copies));
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

    /// Three copies are asked for first, whatever the number of brokers: one that is away for a moment is not in that number,
    /// and can have a copy nevertheless.
    async fn create(&self, admin: &AdminClient<Quiet>, spec: &TopicSpec) -> Result<(), Error> {
        if let Some(copies) = self.config.replication_factor {
            return self
                .create_with(admin, spec, copies)
                .await?
                .map_err(refused(spec, copies));
        }
        if self.create_with(admin, spec, COPIES).await?.is_ok() {
            return Ok(());
        }
        let brokers = u16::try_from(self.brokers().await?).unwrap_or(COPIES);
        let copies = brokers.clamp(1, COPIES);
        self.create_with(admin, spec, copies)
            .await?
            .map_err(refused(spec, copies))
    }

    /// The inner error is the refusal of this number of copies.
    async fn create_with(
        &self,
        admin: &AdminClient<Quiet>,
        spec: &TopicSpec,
        copies: u16,
    ) -> Result<Result<(), Code>, Error> {
        let max_bytes = MESSAGE_MAX_BYTES.to_string();
        let retention = match spec.kind {
            TopicKind::Retained(Some(time)) => time.as_millis().to_string(),
            TopicKind::Retained(None) | TopicKind::Compacted => "-1".to_owned(),
        };
        let in_sync = self.config.min_in_sync.unwrap_or(in_sync_of(copies));
        if in_sync > copies {
            return Err(Error::Config(format!(
                "topic {} would have {copies} replicas, fewer than min.insync.replicas={in_sync}; start more brokers, or lower min.insync.replicas",
                spec.name
            )));
        }
        let in_sync = in_sync.to_string();
        let topic = NewTopic::new(&spec.name.0, 1, TopicReplication::Fixed(i32::from(copies)))
            .set("cleanup.policy", policy(spec.kind))
            .set("retention.ms", &retention)
            .set("retention.bytes", "-1")
            .set("max.message.bytes", &max_bytes)
            .set("message.timestamp.type", "CreateTime")
            .set("unclean.leader.election.enable", "false")
            .set("min.insync.replicas", &in_sync);
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
                    return Ok(Err(code));
                }
                Err((_, code)) => {
                    return Err(of_topic(action, &spec.name, KafkaError::AdminOp(code)));
                }
            }
        }
        tracing::info!(topic = %spec.name, copies, in_sync, "topic created");
        Ok(Ok(()))
    }

    /// The topic's `cleanup.policy` and `min.insync.replicas`.
    async fn settings(
        &self,
        admin: &AdminClient<Quiet>,
        topic: &TopicName,
    ) -> Result<(String, u16), Error> {
        let options = AdminOptions::new().request_timeout(Some(CALL));
        let action = "read its configuration";
        let answers = admin
            .describe_configs([&ResourceSpecifier::Topic(&topic.0)], &options)
            .await
            .map_err(|error| of_topic(action, topic, error))?;
        let value = |resource: &ConfigResource, name: &str| {
            resource.get(name).and_then(|entry| entry.value.clone())
        };
        for answer in answers {
            let resource =
                answer.map_err(|code| of_topic(action, topic, KafkaError::AdminOp(code)))?;
            if matches!(&resource.specifier, OwnedResourceSpecifier::Topic(name) if *name == topic.0)
                && let Some(policy) = value(&resource, "cleanup.policy")
            {
                let in_sync = value(&resource, "min.insync.replicas");
                let in_sync = in_sync.and_then(|text| text.parse().ok()).unwrap_or(1);
                return Ok((policy, in_sync));
            }
        }
        Err(Error::Config(format!(
            "Kafka did not report the cleanup.policy of topic {topic}; the user needs DescribeConfigs on it"
        )))
    }
}

fn refused(spec: &TopicSpec, copies: u16) -> impl Fn(Code) -> Error {
    move |code| {
        Error::Config(format!(
            "Kafka refused to create topic {} with {copies} replicas: {code}; set replication.factor, or start more brokers",
            spec.name
        ))
    }
}

/// Two of three: a record survives the loss of a broker, and a broker may be away.
fn in_sync_of(copies: u16) -> u16 {
    if copies >= COPIES { IN_SYNC } else { 1 }
}

/// What a topic is like.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    partitions: usize,
    copies: usize,
    policy: String,
    in_sync: u16,
}

impl Found {
    /// `Err`: what forbids to use it. `Ok(Some)`: what somebody should mend.
    fn judge(
        &self,
        kind: TopicKind,
        config: &KafkaConfig,
        brokers: usize,
    ) -> Result<Option<String>, String> {
        let Self {
            partitions,
            copies,
            policy: have,
            in_sync,
        } = self;
        if *partitions != 1 {
            return Err(format!(
                "it has {partitions} partitions, expected exactly 1"
            ));
        }
        let want = policy(kind);
        if have != want {
            return Err(format!("its cleanup.policy is {have}, expected {want}"));
        }
        if usize::from(*in_sync) > *copies {
            return Err(format!(
                "its min.insync.replicas is {in_sync}, but it has {copies} replicas: nothing can be written"
            ));
        }
        // What was asked for by name is a demand, the default a recommendation: a cluster may have grown since.
        if let Some(wanted) = config.replication_factor
            && *copies < usize::from(wanted)
        {
            return Err(format!(
                "it has {copies} replicas, expected {wanted} (replication.factor)"
            ));
        }
        if let Some(wanted) = config.min_in_sync
            && *in_sync < wanted
        {
            return Err(format!(
                "its min.insync.replicas is {in_sync}, expected {wanted}"
            ));
        }
        let recommended = brokers.min(COPIES.into());
        if config.replication_factor.is_none() && *copies < recommended {
            return Ok(Some(format!(
                "it has {copies} replicas on {brokers} brokers, and the loss of one broker may lose its records; add replicas with kafka-reassign-partitions.sh"
            )));
        }
        let usual = in_sync_of(u16::try_from(*copies).unwrap_or(COPIES));
        if config.min_in_sync.is_none() && *in_sync < usual {
            return Ok(Some(format!(
                "its min.insync.replicas is {in_sync}: an acknowledged record may be on one broker only; set {usual} with kafka-configs.sh"
            )));
        }
        Ok(None)
    }
}

fn policy(kind: TopicKind) -> &'static str {
    match kind {
        TopicKind::Retained(_) => "delete",
        TopicKind::Compacted => "compact",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(copies: usize, in_sync: u16) -> Found {
        Found {
            partitions: 1,
            copies,
            policy: "compact".to_owned(),
            in_sync,
        }
    }

    fn judged(found: &Found, settings: &[&str], brokers: usize) -> Result<Option<String>, String> {
        let mut config = KafkaConfig::new("b:9092");
        for setting in settings {
            config.set_option(setting).expect("a setting");
        }
        found.judge(TopicKind::Compacted, &config, brokers)
    }

    #[test]
    fn what_is_as_it_should_be_is_not_mentioned() {
        assert_eq!(judged(&found(1, 1), &[], 1), Ok(None));
        assert_eq!(judged(&found(3, 2), &[], 3), Ok(None));
        assert_eq!(judged(&found(3, 2), &[], 2), Ok(None), "one is away");
        assert_eq!(judged(&found(1, 1), &["replication.factor=1"], 3), Ok(None));
        assert_eq!(
            judged(&found(3, 1), &["min.insync.replicas=1"], 3),
            Ok(None)
        );
    }

    #[test]
    fn a_topic_of_smaller_days_is_used_and_mentioned() {
        let said = judged(&found(1, 1), &[], 3).expect("used").expect("said");
        assert!(said.contains("1 replicas on 3 brokers"), "{said}");
        let said = judged(&found(3, 1), &[], 3).expect("used").expect("said");
        assert!(said.contains("min.insync.replicas is 1"), "{said}");
    }

    #[test]
    fn what_was_asked_for_by_name_is_a_demand() {
        let refused = judged(&found(1, 1), &["replication.factor=3"], 3).expect_err("refused");
        assert!(refused.contains("expected 3"), "{refused}");
        let refused = judged(&found(3, 1), &["min.insync.replicas=2"], 3).expect_err("refused");
        assert!(refused.contains("expected 2"), "{refused}");
        let refused = judged(&found(1, 2), &[], 1).expect_err("refused");
        assert!(refused.contains("nothing can be written"), "{refused}");
    }

    #[test]
    fn the_shape_comes_first() {
        let mut two = found(3, 2);
        two.partitions = 2;
        assert!(
            judged(&two, &[], 3)
                .expect_err("refused")
                .contains("2 partitions")
        );
        let mut other = found(3, 2);
        other.policy = "delete".to_owned();
        assert!(
            judged(&other, &[], 3)
                .expect_err("refused")
                .contains("cleanup.policy")
        );
    }
}
