//! How Kafka is reached and what is asked of it, as librdkafka's properties.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ccr_ops::Secret;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::error::Error;

/// Largest batch on the wire, of every client and of topics made by us.
pub(super) const MESSAGE_MAX_BYTES: usize = 8 * 1024 * 1024;
/// Most bytes librdkafka holds per reader, before our own buffer.
const FETCH_AHEAD_KIB: usize = 8 * 1024;
/// Most bytes the producer's queue holds (librdkafka's own default is 1 GiB).
const PRODUCE_QUEUE_KIB: usize = 64 * 1024;

/// What correctness rests on and no override may change.
const FIXED: &[&str] = &[
    "acks",
    "allow.auto.create.topics",
    "auto.offset.reset",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "isolation.level",
    "message.timeout.ms",
    "metadata.broker.list",
    "partition.assignment.strategy",
    "request.required.acks",
    "retries",
    "transactional.id",
];

/// Files of a TLS client. librdkafka reads PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates of the authority; `None` trusts the system's.
    pub ca: Option<PathBuf>,
    /// Our certificate, for mutual TLS.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

/// How the connection is protected and who we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// Nothing.
    #[default]
    Plaintext,
    /// TLS, with a client certificate when one is named.
    Tls(TlsFiles),
    /// User and password.
    Sasl {
        /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
        mechanism: String,
        /// Who.
        user: String,
        /// Their password.
        password: Secret,
        /// TLS around it; `None` sends it unprotected.
        tls: Option<TlsFiles>,
    },
}

/// Settings of the Kafka log.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// `host:port`, several by comma.
    pub bootstrap: String,
    /// Name in the brokers' logs. Default `ccr`.
    pub client_id: String,
    /// Protection.
    pub security: Security,
    /// A group member that was not heard of for so long is replaced. Default 10 s; 6 s to 5 min are what brokers take.
    pub session_timeout: Duration,
    /// Copies of a topic made by us; `None` means three, or as many as there are brokers when there are fewer.
    pub replication_factor: Option<u16>,
    /// How long a record waits for company before it is sent. Default 5 ms; up to 1 s.
    pub linger: Duration,
    /// More properties of librdkafka, for every client. Those that correctness rests on are refused.
    pub extra: BTreeMap<String, String>,
}

impl fmt::Debug for KafkaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extra: BTreeMap<&str, &str> = self
            .extra
            .iter()
            .map(|(key, value)| {
                (
                    key.as_str(),
                    if is_secret(key) { "<secret>" } else { value },
                )
            })
            .collect();
        f.debug_struct("KafkaConfig")
            .field("bootstrap", &self.bootstrap)
            .field("client_id", &self.client_id)
            .field("security", &self.security)
            .field("session_timeout", &self.session_timeout)
            .field("replication_factor", &self.replication_factor)
            .field("linger", &self.linger)
            .field("extra", &extra)
            .finish()
    }
}

/// True for properties whose value must not be shown.
pub(super) fn is_secret(key: &str) -> bool {
    ["password", "secret", "pem", "oauthbearer", "token", "jaas"]
        .iter()
        .any(|word| key.contains(word))
}

impl KafkaConfig {
    /// Defaults for brokers without protection.
    pub fn new(bootstrap: impl Into<String>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            client_id: "ccr".to_owned(),
            security: Security::Plaintext,
            session_timeout: Duration::from_secs(10),
            replication_factor: None,
            linger: Duration::from_millis(5),
            extra: BTreeMap::new(),
        }
    }

    /// Refuses what can not work before anything is connected.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |text: String| Err(Error::Config(text));
        if self.bootstrap.trim().is_empty() {
            return refuse("the Kafka address is empty, wanted host:port".to_owned());
        }
        if let Some(key) = self.extra.keys().find(|k| FIXED.contains(&k.as_str())) {
            return refuse(format!(
                "Kafka property {key} is fixed and can not be overridden"
            ));
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(300)).contains(&self.session_timeout) {
            return refuse(format!(
                "Kafka session timeout of {:?} is not between 1 s and 5 min",
                self.session_timeout
            ));
        }
        if self.linger > Duration::from_secs(1) {
            return refuse(format!("Kafka linger of {:?} is above 1 s", self.linger));
        }
        for path in self.files() {
            if let Err(error) = std::fs::File::open(path) {
                return refuse(format!("{} can not be read: {error}", path.display()));
            }
        }
        if self.replication_factor == Some(0) {
            return refuse("a Kafka replication factor of 0 keeps nothing".to_owned());
        }
        Ok(())
    }

    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let tls = match &self.security {
            Security::Plaintext => None,
            Security::Tls(files) => Some(files),
            Security::Sasl { tls, .. } => tls.as_ref(),
        };
        tls.into_iter()
            .flat_map(|files| [&files.ca, &files.certificate, &files.key])
            .flatten()
    }

    /// Sets one property by its librdkafka name, as it stands on a command line. The session timeout is a setting of ours,
    /// because other intervals follow from it.
    ///
    /// # Errors
    /// [`Error::Config`] when a session timeout is not a number of milliseconds.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        if key == "session.timeout.ms" {
            let millis = value.parse().map_err(|_| {
                Error::Config(format!(
                    "session.timeout.ms={value} is not a number of milliseconds"
                ))
            })?;
            self.session_timeout = Duration::from_millis(millis);
        } else {
            self.extra.insert(key.to_owned(), value.to_owned());
        }
        Ok(())
    }

    /// Sets one property from `KEY=VALUE`.
    ///
    /// # Errors
    /// [`Error::Config`] when there is no `=`, and as [`KafkaConfig::set`].
    pub fn set_option(&mut self, option: &str) -> Result<(), Error> {
        let Some((key, value)) = option.split_once('=') else {
            return Err(Error::Config(format!(
                "Kafka option {option:?} is not KEY=VALUE"
            )));
        };
        self.set(key.trim(), value.trim())
    }

    fn common(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("client.id", &self.client_id)
            .set("allow.auto.create.topics", "false")
            .set("socket.timeout.ms", "10000")
            .set("socket.connection.setup.timeout.ms", "5000")
            .set("socket.keepalive.enable", "true")
            .set("socket.nagle.disable", "true")
            .set("reconnect.backoff.max.ms", "2000")
            .set("message.max.bytes", MESSAGE_MAX_BYTES.to_string())
            .set_log_level(RDKafkaLogLevel::Warning);
        self.secure(&mut config);
        for (key, value) in &self.extra {
            config.set(key, value);
        }
        config
    }

    fn secure(&self, config: &mut ClientConfig) {
        let tls = |config: &mut ClientConfig, files: &TlsFiles| {
            for (key, path) in [
                ("ssl.ca.location", &files.ca),
                ("ssl.certificate.location", &files.certificate),
                ("ssl.key.location", &files.key),
            ] {
                if let Some(path) = path {
                    config.set(key, path.display().to_string());
                }
            }
        };
        match &self.security {
            Security::Plaintext => {}
            Security::Tls(files) => {
                config.set("security.protocol", "ssl");
                tls(config, files);
            }
            Security::Sasl {
                mechanism,
                user,
                password,
                tls: files,
            } => {
                let protocol = match files {
                    Some(files) => {
                        tls(config, files);
                        "sasl_ssl"
                    }
                    None => "sasl_plaintext",
                };
                config
                    .set("security.protocol", protocol)
                    .set("sasl.mechanism", mechanism)
                    .set("sasl.username", user)
                    .set("sasl.password", password.expose());
            }
        }
    }

    /// An idempotent writer. Records never expire one by one in its queue: a lost record between two written ones would
    /// break the order. The caller of `append` has the deadline, and gives the whole client up.
    pub(super) fn writer(&self) -> ClientConfig {
        let mut config = self.common();
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("enable.gapless.guarantee", "true")
            .set("message.timeout.ms", "0")
            .set("linger.ms", self.linger.as_millis().to_string())
            .set("queue.buffering.max.kbytes", PRODUCE_QUEUE_KIB.to_string());
        for (key, value) in [("compression.type", "lz4")] {
            if !self.extra.contains_key(key) {
                config.set(key, value);
            }
        }
        config
    }

    /// For topics.
    pub(super) fn admin(&self) -> ClientConfig {
        self.common()
    }

    fn consumer(&self, group: &str) -> ClientConfig {
        let mut config = self.common();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // The default, "largest", silently jumps over what was deleted.
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true")
            .set("isolation.level", "read_committed")
            .set("check.crcs", "true")
            .set("fetch.message.max.bytes", MESSAGE_MAX_BYTES.to_string())
            .set("queued.max.messages.kbytes", FETCH_AHEAD_KIB.to_string())
            .set("queued.min.messages", "1000")
            // Bounds how late the end of a quiet topic is told; records never wait for it.
            .set("fetch.wait.max.ms", "100")
            .set("fetch.queue.backoff.ms", "50")
            .set("fetch.error.backoff.ms", "100");
        config
    }

    /// A member of a group. Cooperative: an owner keeps its topic when somebody else joins, and a topic is given up by its
    /// owner before it is given to the next.
    pub(super) fn member(&self, group: &str) -> ClientConfig {
        let mut config = self.consumer(group);
        config
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set(
                "session.timeout.ms",
                self.session_timeout.as_millis().to_string(),
            )
            .set(
                "heartbeat.interval.ms",
                // A member hears of a rebalance in the answer to a heartbeat: seldom ones make a take-over slow.
                (self.session_timeout.as_millis() / 10)
                    .min(1000)
                    .to_string(),
            );
        config
    }

    /// Reads without joining: the group is only a name.
    pub(super) fn outsider(&self, group: &str) -> ClientConfig {
        let mut config = self.consumer(group);
        config.set("fetch.wait.max.ms", "50");
        config
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::admin::AdminClient;

    use super::super::failure::{Quiet, of_call};
    use super::*;

    #[test]
    fn intervals_follow_from_the_session_timeout() {
        let mut config = KafkaConfig::new("b:9092");
        config.set_option("session.timeout.ms=2000").unwrap();
        config.set_option("linger.ms = 7").unwrap();
        let member = config.member("g");
        assert_eq!(member.get("session.timeout.ms"), Some("2000"));
        assert_eq!(member.get("heartbeat.interval.ms"), Some("200"));
        assert_eq!(member.get("linger.ms"), Some("7"));
        assert!(config.set_option("session.timeout.ms=soon").is_err());
        assert!(config.set_option("nothing").is_err());
    }

    #[test]
    fn secrets_do_not_show() {
        let mut config = KafkaConfig::new("b:9092");
        config.security = Security::Sasl {
            mechanism: "SCRAM-SHA-512".to_owned(),
            user: "u".to_owned(),
            password: Secret::new("pa55".to_owned()),
            tls: None,
        };
        config
            .extra
            .insert("ssl.key.password".to_owned(), "pa55".to_owned());
        config
            .extra
            .insert("statistics.interval.ms".to_owned(), "1000".to_owned());
        let shown = format!("{config:?}");
        assert!(!shown.contains("pa55"), "{shown}");
        assert!(
            shown.contains("1000") && shown.contains("SCRAM-SHA-512"),
            "{shown}"
        );
    }

    #[test]
    fn what_correctness_rests_on_can_not_be_overridden() {
        let mut config = KafkaConfig::new("b:9092");
        assert!(config.validate().is_ok());
        config
            .extra
            .insert("auto.offset.reset".to_owned(), "largest".to_owned());
        assert!(
            matches!(config.validate(), Err(Error::Config(t)) if t.contains("auto.offset.reset"))
        );
        assert!(KafkaConfig::new(" ").validate().is_err());
    }

    #[test]
    fn files_that_can_not_be_read_are_named() {
        let mut config = KafkaConfig::new("b:9092");
        config.security = Security::Tls(TlsFiles {
            ca: Some("/no/such/file.pem".into()),
            ..TlsFiles::default()
        });
        let refused = config.validate().expect_err("no file").to_string();
        assert!(refused.contains("/no/such/file.pem"), "{refused}");
    }

    #[test]
    fn librdkafka_is_built_with_what_security_promises() {
        let with = |mechanism: &str, tls: Option<TlsFiles>| {
            let mut config = KafkaConfig::new("127.0.0.1:1");
            config.security = Security::Sasl {
                mechanism: mechanism.to_owned(),
                user: "u".to_owned(),
                password: Secret::new("pa55".to_owned()),
                tls,
            };
            config
                .admin()
                .create_with_context::<_, AdminClient<Quiet>>(Quiet)
                .map(drop)
                .map_err(|error| of_call("make a client", error))
        };
        for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
            with(mechanism, None).expect("known");
            with(mechanism, Some(TlsFiles::default())).expect("known");
        }
        assert!(matches!(with("NO-SUCH", None), Err(Error::Config(_))));
    }

    #[test]
    fn sasl_over_tls_uses_both() {
        let mut config = KafkaConfig::new("b:9092");
        config.security = Security::Sasl {
            mechanism: "PLAIN".to_owned(),
            user: "u".to_owned(),
            password: Secret::new("p".to_owned()),
            tls: Some(TlsFiles {
                ca: Some("/ca.pem".into()),
                ..TlsFiles::default()
            }),
        };
        let made = config.writer();
        assert_eq!(made.get("security.protocol"), Some("sasl_ssl"));
        assert_eq!(made.get("ssl.ca.location"), Some("/ca.pem"));
        assert_eq!(made.get("sasl.password"), Some("p"));
        assert_eq!(made.get("acks"), Some("all"));
    }
}
