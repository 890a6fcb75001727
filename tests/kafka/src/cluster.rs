//! Three brokers that are their own controllers, with every kind of protection.
//!
//! Each broker listens on 127.0.0.1 three times: without protection for tests themselves and the brokers (that user may do
//! everything), with SASL over TLS, and with TLS and client certificates. Users have the rights that [`KafkaCluster::allow`] gives
//! them, and no others.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::certificates::Certificates;
use crate::node::{Node, common_properties, fresh_dir};
use crate::wire::{self, Partition, Rule};
use crate::{KafkaError, install, ports, wait};

/// Number of brokers.
pub const BROKERS: usize = 3;
/// Most megabytes of a broker's heap.
const HEAP: u32 = 256;
/// How long a change may take until every broker knows it.
const SETTLE: Duration = Duration::from_secs(60);
/// Ports of a broker: without protection, SASL over TLS, TLS with client certificates, controller.
const PORTS: usize = 4;

/// A user with a password, for both mechanisms.
#[derive(Clone, Copy, Debug)]
pub struct User<'a> {
    /// Name.
    pub name: &'a str,
    /// Password.
    pub password: &'a str,
}

/// Running brokers. Dropping this kills them and removes their data.
#[derive(Debug)]
pub struct KafkaCluster {
    root: PathBuf,
    ports: Vec<[u16; PORTS]>,
    nodes: Vec<Node>,
    certificates: Certificates,
}

impl KafkaCluster {
    /// Starts the brokers with empty storage, knowing `users`, and waits until all answer: at most two minutes.
    ///
    /// # Errors
    /// No Java, no jars, no `openssl`, or a broker did not come up; the end of its log is in the error.
    pub fn start(users: &[User<'_>]) -> Result<Self, KafkaError> {
        let mut last = Self::start_on_free(users);
        // A free port can be taken by somebody else before a broker binds it.
        if last.is_err() {
            last = Self::start_on_free(users);
        }
        last
    }

    fn start_on_free(users: &[User<'_>]) -> Result<Self, KafkaError> {
        install::available().map_err(KafkaError)?;
        let libs = install::install()?;
        let root = fresh_dir();
        let certificates = Certificates::make(&root.join("tls"))?;
        let free = ports::free(BROKERS * PORTS)?;
        let ports: Vec<[u16; PORTS]> = free
            .chunks(PORTS)
            .filter_map(|four| four.try_into().ok())
            .collect();
        let mut cluster = Self {
            root,
            ports,
            nodes: Vec::new(),
            certificates,
        };
        cluster.nodes = cluster.format(&libs, users)?;
        for node in &mut cluster.nodes {
            node.launch()?;
        }
        for node in &mut cluster.nodes {
            node.up(BROKERS)?;
        }
        Ok(cluster)
    }

    /// At the same time: each is a program in Java that takes a second to start.
    fn format(&self, libs: &Path, users: &[User<'_>]) -> Result<Vec<Node>, KafkaError> {
        let scram: Vec<String> = users
            .iter()
            .flat_map(|user| {
                let credential = format!(
                    "SCRAM-SHA-512=[name={},password={}]",
                    user.name, user.password
                );
                ["--add-scram".to_owned(), credential]
            })
            .collect();
        std::thread::scope(|scope| {
            let works: Vec<_> = (0..self.ports.len())
                .map(|index| {
                    let (dir, libs) = (self.root.join(format!("broker{index}")), libs.to_owned());
                    let (scram, properties) = (&scram, self.properties(index, &dir, users));
                    let address = self.address(index);
                    scope.spawn(move || {
                        Node::format(
                            (self.root.clone(), dir),
                            libs,
                            HEAP,
                            (address, &properties),
                            scram,
                        )
                    })
                })
                .collect();
            works
                .into_iter()
                .map(|work| {
                    work.join()
                        .unwrap_or_else(|_| Err(KafkaError("formatting panicked".to_owned())))
                })
                .collect()
        })
    }

    /// `host:port,...` without protection; everything is allowed there.
    pub fn plain(&self) -> String {
        self.bootstrap(0)
    }

    /// `host:port,...` with SASL (`SCRAM-SHA-512` and `PLAIN`) over TLS.
    pub fn sasl_ssl(&self) -> String {
        self.bootstrap(1)
    }

    /// `host:port,...` with TLS and client certificates.
    pub fn ssl(&self) -> String {
        self.bootstrap(2)
    }

    /// Its certificates.
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Adds rights, and waits until every broker knows them.
    ///
    /// # Errors
    /// The cluster does not take them, or a broker does not know them after a while.
    pub fn allow(&self, rules: &[Rule<'_>]) -> Result<(), KafkaError> {
        let mut last = None;
        wait::until(SETTLE, || {
            let done = wire::create_acls(self.address(0), rules);
            done.map_err(|error| last = Some(error)).ok()
        })
        .ok_or_else(|| KafkaError(format!("access rules were not taken: {last:?}")))?;
        wait::until(SETTLE, || {
            let known = rules.iter().all(|rule| {
                let principal = rule.principal;
                let wanted = rules.iter().filter(|r| r.principal == principal).count();
                self.nodes.iter().all(|node| {
                    wire::count_acls(node.address(), principal).is_ok_and(|count| count >= wanted)
                })
            });
            known.then_some(())
        })
        .ok_or_else(|| KafkaError("access rules are not known to every broker".to_owned()))
    }

    /// Names of the topics.
    pub fn topics(&self) -> Vec<String> {
        self.look().topics.into_keys().collect()
    }

    /// The first partition of a topic, once it has a leader and as many copies in sync.
    ///
    /// # Errors
    /// There is none after a while.
    pub fn partition(&self, topic: &str, in_sync: usize) -> Result<Partition, KafkaError> {
        wait::until(SETTLE, || {
            let partitions = self.look().topics.remove(topic)?;
            let first = partitions.into_iter().next()?;
            (first.leader >= 0 && first.in_sync.len() >= in_sync).then_some(first)
        })
        .ok_or_else(|| {
            KafkaError(format!(
                "topic {topic} has no leader, or fewer than {in_sync} copies in sync"
            ))
        })
    }

    /// Who leads a topic after `former`.
    ///
    /// # Errors
    /// Nobody does after a while.
    pub fn next_leader(&self, topic: &str, former: i32) -> Result<i32, KafkaError> {
        wait::until(SETTLE, || {
            let partitions = self.look().topics.remove(topic)?;
            let leader = partitions.first()?.leader;
            (leader >= 0 && leader != former).then_some(leader)
        })
        .ok_or_else(|| KafkaError(format!("topic {topic} has no leader after {former}")))
    }

    /// What the first broker that answers says.
    fn look(&self) -> wire::Metadata {
        self.nodes
            .iter()
            .find_map(|node| wire::metadata(node.address(), true).ok())
            .unwrap_or_default()
    }

    /// Kills a broker at once. Its data stay for [`KafkaCluster::start_again`].
    ///
    /// # Errors
    /// There is no broker of this id.
    pub fn crash(&mut self, id: i32) -> Result<(), KafkaError> {
        self.node(id)?.crash();
        Ok(())
    }

    /// Starts a broker after [`KafkaCluster::crash`] and waits until it answers and knows of all.
    ///
    /// # Errors
    /// There is no broker of this id, or it did not come up.
    pub fn start_again(&mut self, id: i32) -> Result<(), KafkaError> {
        let node = self.node(id)?;
        node.launch()?;
        node.up(BROKERS)
    }

    /// Stops a broker in order and starts it again.
    ///
    /// # Errors
    /// As [`KafkaCluster::start_again`].
    pub fn restart(&mut self, id: i32) -> Result<(), KafkaError> {
        self.node(id)?.stop();
        self.start_again(id)
    }

    fn node(&mut self, id: i32) -> Result<&mut Node, KafkaError> {
        usize::try_from(id - 1)
            .ok()
            .and_then(|index| self.nodes.get_mut(index))
            .ok_or_else(|| KafkaError(format!("there is no broker {id}")))
    }

    fn port(&self, index: usize, kind: usize) -> u16 {
        self.ports.get(index).map_or(0, |ports| ports[kind])
    }

    fn address(&self, index: usize) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port(index, 0)))
    }

    fn bootstrap(&self, kind: usize) -> String {
        self.each(|index| format!("127.0.0.1:{}", self.port(index, kind)))
    }

    fn each(&self, text: impl Fn(usize) -> String) -> String {
        (0..self.ports.len())
            .map(text)
            .collect::<Vec<_>>()
            .join(",")
    }

    fn properties(&self, index: usize, dir: &Path, users: &[User<'_>]) -> String {
        let voters = self.each(|i| format!("{}@127.0.0.1:{}", i + 1, self.port(i, 3)));
        let clients: Vec<String> = ["PLAINTEXT", "SASL_SSL", "SSL"]
            .iter()
            .enumerate()
            .map(|(kind, name)| format!("{name}://127.0.0.1:{}", self.port(index, kind)))
            .collect();
        let clients = clients.join(",");
        let mut plain = String::new();
        for user in users {
            // Writing to a string does not fail.
            let _ = write!(plain, " user_{}=\"{}\"", user.name, user.password);
        }
        format!(
            "{common}node.id={id}
controller.quorum.voters={voters}
listeners={clients},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={clients}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL,CONTROLLER:PLAINTEXT
offsets.topic.replication.factor=3
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
ssl.keystore.type=PEM
ssl.keystore.location={key}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
listener.name.ssl.ssl.client.auth=required
sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required{plain};
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
",
            common = common_properties(dir),
            id = index + 1,
            controller = self.port(index, 3),
            key = self.certificates.broker_file().display(),
            authority = self.certificates.authority_file().display(),
        )
    }
}

impl Drop for KafkaCluster {
    fn drop(&mut self) {
        self.nodes.clear();
        let _ = std::fs::remove_dir_all(&self.root);
    }
}
