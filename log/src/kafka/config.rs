//! How Kafka is reached and what is asked of it, as librdkafka's properties.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::time::Duration;

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

/// Properties that name a file which must be there.
const FILES: &[&str] = &[
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.crl.location",
    "ssl.key.location",
    "ssl.keystore.location",
];
/// Ends the name of a property whose value is the content of a file: `sasl.password.file`.
const FROM_FILE: &str = ".file";
/// Most bytes of such a file.
const SECRET_FILE_BYTES: u64 = 64 * 1024;

/// What settings for Java programs are called here.
const OF_JAVA: &[(&str, &str)] = &[
    (
        "sasl.jaas.config",
        "sasl.username and sasl.password (or sasl.password.file)",
    ),
    (
        "ssl.truststore.location",
        "ssl.ca.location, with a PEM file (keytool -exportcert -rfc makes one)",
    ),
    ("ssl.truststore.password", "nothing: a PEM file needs none"),
    ("ssl.truststore.type", "nothing: ssl.ca.location is PEM"),
    (
        "ssl.keystore.type",
        "ssl.keystore.location for PKCS#12, or ssl.certificate.location and ssl.key.location for PEM",
    ),
];

/// Settings of the Kafka log.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// `host:port`, several by comma.
    pub bootstrap: String,
    /// Name in the brokers' logs. Default `ccr`.
    pub client_id: String,
    /// A group member that was not heard of for so long is replaced. Default 10 s; 6 s to 5 min are what brokers take.
    pub session_timeout: Duration,
    /// Copies of a topic made by us, property `replication.factor`; `None` means three, or as many as there are brokers
    /// when there are fewer.
    pub replication_factor: Option<u16>,
    /// Copies that must have a record before it counts as written, property `min.insync.replicas`, for topics made by us;
    /// `None` means two of three, else one.
    pub min_in_sync: Option<u16>,
    /// Name of a consumer group under which topics are read without joining. It is part of what a user needs rights for.
    pub reader_group: String,
    /// How long a record waits for company before it is sent. Default 5 ms; up to 1 s.
    pub linger: Duration,
    /// Properties of librdkafka, for every client: protection, who we are, and more. Those that correctness rests on are
    /// refused.
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
            .field("session_timeout", &self.session_timeout)
            .field("replication_factor", &self.replication_factor)
            .field("min_in_sync", &self.min_in_sync)
            .field("reader_group", &self.reader_group)
            .field("linger", &self.linger)
            .field("extra", &extra)
            .finish()
    }
}

/// True for properties of librdkafka whose value must not be shown. Names of files may be.
pub fn is_secret(key: &str) -> bool {
    !key.ends_with(".location")
        && !key.ends_with(FROM_FILE)
        && ["password", "secret", "pem", "oauthbearer", "token", "jaas"]
            .iter()
            .any(|word| key.contains(word))
}

impl KafkaConfig {
    /// Defaults for brokers without protection.
    pub fn new(bootstrap: impl Into<String>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            client_id: "ccr".to_owned(),
            session_timeout: Duration::from_secs(10),
            replication_factor: None,
            min_in_sync: None,
            reader_group: "ccr.reader".to_owned(),
            linger: Duration::from_millis(5),
            extra: BTreeMap::new(),
        }
    }

    /// Refuses what cannot work before anything is connected.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |text: String| Err(Error::Config(text));
        if self.bootstrap.trim().is_empty() {
            return refuse("the Kafka address is empty, expected host:port".to_owned());
        }
        if let Some(key) = self.extra.keys().find(|k| FIXED.contains(&k.as_str())) {
            return refuse(format!(
                "Kafka property {key} is fixed and cannot be overridden"
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
        for key in FILES {
            if let Some(path) = self.extra.get(*key)
                && let Err(error) = std::fs::File::open(path)
            {
                return refuse(format!(
                    "Kafka property {key}: {path} cannot be read: {error}"
                ));
            }
        }
        if self.replication_factor == Some(0) || self.min_in_sync == Some(0) {
            return refuse(
                "replication.factor and min.insync.replicas must be at least 1".to_owned(),
            );
        }
        if let (Some(copies), Some(in_sync)) = (self.replication_factor, self.min_in_sync)
            && in_sync > copies
        {
            return refuse(format!(
                "min.insync.replicas={in_sync} is more than replication.factor={copies}: nothing could be written"
            ));
        }
        let protocol = self.protocol();
        if protocol.contains("sasl") {
            let kerberos = self.mechanism().eq_ignore_ascii_case("GSSAPI");
            if kerberos {
                return refuse(
                    "security.protocol asks for SASL: set sasl.mechanism to SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN (Kerberos is not built in)"
                        .to_owned(),
                );
            }
            for key in ["sasl.username", "sasl.password"] {
                if !self.mechanism().eq_ignore_ascii_case("OAUTHBEARER")
                    && !self.extra.contains_key(key)
                {
                    return refuse(format!(
                        "security.protocol={protocol} needs the Kafka property {key}"
                    ));
                }
            }
        } else if self.extra.contains_key("sasl.username") {
            return refuse(format!(
                "sasl.username is set, but security.protocol is {protocol}; expected sasl_ssl (or sasl_plaintext)"
            ));
        }
        Ok(())
    }

    /// `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`.
    pub(super) fn protocol(&self) -> String {
        self.extra
            .get("security.protocol")
            .map_or_else(|| "plaintext".to_owned(), |p| p.to_ascii_lowercase())
    }

    /// The SASL mechanism; librdkafka's default is Kerberos.
    pub(super) fn mechanism(&self) -> &str {
        ["sasl.mechanism", "sasl.mechanisms"]
            .iter()
            .find_map(|key| self.extra.get(*key))
            .map_or("GSSAPI", String::as_str)
    }

    /// Who we are to the brokers, for people.
    pub(super) fn user(&self) -> String {
        match self.extra.get("sasl.username") {
            Some(user) => format!("user {user}"),
            None if self.protocol() == "ssl" => "the user of this client certificate".to_owned(),
            None => "an anonymous user".to_owned(),
        }
    }

    /// Sets one property by its librdkafka name. `replication.factor` and `min.insync.replicas` are settings of ours; a secret with `.file` behind its name is read from that file.
    ///
    /// # Errors
    /// [`Error::Config`] when a number is none, a file cannot be read, or the name belongs to programs in Java.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        let number = |unit: &str| {
            value
                .parse::<u16>()
                .map_err(|_| Error::Config(format!("{key}={value} is not a number of {unit}")))
        };
        if let Some((_, ours)) = OF_JAVA.iter().find(|(name, _)| *name == key) {
            return Err(Error::Config(format!(
                "Kafka property {key} is for programs in Java; here it is {ours}"
            )));
        }
        match key {
            "session.timeout.ms" => {
                let millis = value.parse().map_err(|_| {
                    Error::Config(format!(
                        "session.timeout.ms={value} is not a number of milliseconds"
                    ))
                })?;
                self.session_timeout = Duration::from_millis(millis);
            }
            "replication.factor" => self.replication_factor = Some(number("copies")?),
            "min.insync.replicas" => self.min_in_sync = Some(number("copies")?),
            "linger.ms" => self.linger = Duration::from_millis(number("milliseconds")?.into()),
            "client.id" => value.clone_into(&mut self.client_id),
            _ => {
                match key.strip_suffix(FROM_FILE).filter(|key| is_secret(key)) {
                    Some(secret) => {
                        let text = read_secret(key, value)?;
                        self.extra.insert(secret.to_owned(), text);
                    }
                    None => {
                        self.extra.insert(key.to_owned(), value.to_owned());
                    }
                };
            }
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
        for (key, value) in &self.extra {
            config.set(key, value);
        }
        config
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

    /// Only TLS, without telling who we are: shows whether the broker's certificate is the obstacle, and which part of it.
    pub(super) fn unverified_name(&self) -> ClientConfig {
        let mut config = self.common();
        for key in [
            "sasl.mechanism",
            "sasl.mechanisms",
            "sasl.username",
            "sasl.password",
        ] {
            config.remove(key);
        }
        config
            .set("security.protocol", "ssl")
            .set("ssl.endpoint.identification.algorithm", "none");
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
            // Bounds how late the end of a quiet topic is reported; records never wait for it.
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

/// The content of a file that holds one secret, without the line's end.
fn read_secret(key: &str, path: &str) -> Result<String, Error> {
    let refuse = |why: String| Error::Config(format!("Kafka property {key}: {path} {why}"));
    let read = || {
        let mut text = String::new();
        std::fs::File::open(path)?
            .take(SECRET_FILE_BYTES + 1)
            .read_to_string(&mut text)?;
        Ok::<String, std::io::Error>(text)
    };
    let text = read().map_err(|error| refuse(format!("cannot be read: {error}")))?;
    if text.len() as u64 > SECRET_FILE_BYTES {
        return Err(refuse("is too long for a secret".to_owned()));
    }
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(refuse("is empty".to_owned()));
    }
    Ok(secret.to_owned())
}

#[cfg(test)]
#[path = "config_test.rs"]
mod tests;
