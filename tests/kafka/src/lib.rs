//! A real Apache Kafka for tests: jars from Maven Central, one process or three that are broker and controller, on loopback.
//!
//! `pom.xml -> install -> target/kafka/libs -> KafkaServer::start -> bootstrap()`
//!
//! Read in this order: [`mod@install`] (where the jars come from), `node` (a process), [`server`] (one broker), [`cluster`] (three,
//! protected) with [`certificates`], [`wire`] (what is asked of them), [`broker_for_test`] (which broker a test may use).

pub mod certificates;
pub mod cluster;
pub mod install;
mod node;
mod ports;
pub mod server;
mod wait;
pub mod wire;

use std::fmt;

pub use cluster::{KafkaCluster, User};
pub use install::{available, install};
pub use server::KafkaServer;

/// Names the broker that all tests share, as `host:port`.
pub const ENV_BOOTSTRAP: &str = "CCR_TEST_KAFKA";
/// Set to `1`, a test may start a broker of its own.
pub const ENV_START: &str = "CCR_TEST_KAFKA_START";

/// What went wrong, for the person who runs the tests.
#[derive(Debug)]
pub struct KafkaError(pub String);

impl fmt::Display for KafkaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for KafkaError {}

/// A broker that a test may use.
#[derive(Debug)]
pub enum Broker {
    /// Runs already and is shared: use topic names of your own.
    Shared(String),
    /// Ends with this value.
    Own(KafkaServer),
}

impl Broker {
    /// `host:port`.
    pub fn bootstrap(&self) -> &str {
        match self {
            Self::Shared(bootstrap) => bootstrap,
            Self::Own(server) => server.bootstrap(),
        }
    }
}

/// The broker that the environment offers: [`ENV_BOOTSTRAP`] first, then one of our own when [`ENV_START`] is `1`, else
/// `None`: tests on real Kafka were not asked for (`cargo xtask test` asks for them).
///
/// # Errors
/// A broker was asked for and can not be had.
pub fn broker_for_test() -> Result<Option<Broker>, KafkaError> {
    if let Ok(bootstrap) = std::env::var(ENV_BOOTSTRAP)
        && !bootstrap.is_empty()
    {
        return Ok(Some(Broker::Shared(bootstrap)));
    }
    if std::env::var(ENV_START).as_deref() == Ok("1") {
        return Ok(Some(Broker::Own(KafkaServer::start()?)));
    }
    Ok(None)
}
