//! Three brokers with TLS, passwords and access rules: what docs/kafka.md promises.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use ccr_log::{Error, Kafka, KafkaConfig, TopicKind, TopicSpec};
use ccr_ops::{Sealer, SystemClock};
use ccr_schemas::TopicName;
use ccr_test_kafka::wire::{Operation, Resource, Rule};
use ccr_test_kafka::{ENV_START, KafkaCluster, User};
use ccr_tests::world::DATABASE;
use ccr_tests::{Api, Binary, Process, Workload, World, assert_equal};

const PASSWORD: &str = "pa55-of-ccr";
const PATIENCE: Duration = Duration::from_secs(90);
/// A refusal at the start is told within this time.
const REFUSED_WITHIN: Duration = Duration::from_secs(40);
/// First part of every topic's and group's name.
const PREFIX: &str = "guarded";

/// What docs/kafka.md says that a user needs, and nothing else.
fn rights(principal: &str, groups: bool) -> Vec<Rule<'_>> {
    let rule = |resource, operation| Rule {
        principal,
        resource,
        prefix: "guarded.",
        operation,
    };
    let mut rules = vec![
        rule(Resource::Topic, Operation::Read),
        rule(Resource::Topic, Operation::Write),
        rule(Resource::Topic, Operation::Create),
        rule(Resource::Topic, Operation::Describe),
        rule(Resource::Topic, Operation::DescribeConfigs),
    ];
    if groups {
        rules.push(rule(Resource::Group, Operation::Read));
    }
    rules
}

/// The brokers of this test process; they end with it.
fn cluster(test: &str) -> Option<&'static Mutex<KafkaCluster>> {
    static CLUSTER: OnceLock<Mutex<KafkaCluster>> = OnceLock::new();
    if std::env::var(ENV_START).as_deref() != Ok("1") && std::env::var_os("CI").is_none() {
        eprintln!(
            "NOTICE: {test} did not run: set {ENV_START}=1 to start three brokers of Apache Kafka"
        );
        return None;
    }
    Some(CLUSTER.get_or_init(|| {
        let user = |name| User {
            name,
            password: PASSWORD,
        };
        let users = ["ccr", "stranger", "groupless"].map(user);
        let cluster = KafkaCluster::start(&users).expect("three brokers");
        let rules = [
            rights("User:ccr", true),
            rights("User:CN=ccr", true),
            rights("User:groupless", false),
        ];
        cluster.allow(&rules.concat()).expect("access rules");
        Mutex::new(cluster)
    }))
}

/// Runs something about the brokers that takes its time.
async fn with<T: Send + 'static>(
    cluster: &'static Mutex<KafkaCluster>,
    work: impl FnOnce(&mut KafkaCluster) -> T + Send + 'static,
) -> T {
    let work = move || work(&mut cluster.lock().unwrap_or_else(PoisonError::into_inner));
    tokio::task::spawn_blocking(work)
        .await
        .expect("work on brokers")
}

/// Settings of `user` at the SASL listener, as a user would write them.
fn sasl(cluster: &KafkaCluster, user: &str) -> Vec<(&'static str, String)> {
    vec![
        ("bootstrap.servers", cluster.sasl_ssl()),
        ("security.protocol", "sasl_ssl".to_owned()),
        ("sasl.mechanism", "SCRAM-SHA-512".to_owned()),
        ("sasl.username", user.to_owned()),
        ("sasl.password", PASSWORD.to_owned()),
        (
            "ssl.ca.location",
            cluster
                .certificates()
                .authority_file()
                .display()
                .to_string(),
        ),
    ]
}

/// Changes some settings; an empty value leaves one out.
fn but(
    mut settings: Vec<(&'static str, String)>,
    changes: &[(&'static str, &str)],
) -> Vec<(&'static str, String)> {
    for (name, value) in changes {
        settings.retain(|(known, _)| known != name);
        if !value.is_empty() {
            settings.push((name, (*value).to_owned()));
        }
    }
    settings
}

fn write_properties(path: &Path, settings: &[(&str, String)]) -> Result<()> {
    let mut text = String::from("# made by a test\n");
    for (name, value) in settings {
        writeln!(text, "{name}={value}")?;
    }
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

fn args(folder: &Path, properties: &Path, more: &[&str]) -> Vec<String> {
    let key = folder.join("log.key").display().to_string();
    let properties = properties.display().to_string();
    let ours = [
        "--kafka-config",
        properties.as_str(),
        "--topic-prefix",
        PREFIX,
        "--log-key-file",
        key.as_str(),
    ];
    more.iter()
        .chain(&ours)
        .map(|&arg| arg.to_owned())
        .collect()
}

fn config(settings: &[(&str, String)]) -> KafkaConfig {
    let mut config = KafkaConfig::new(String::new());
    config.reader_group = format!("{PREFIX}.reader");
    for (name, value) in settings {
        if *name == "bootstrap.servers" {
            config.bootstrap = value.clone();
        } else {
            config.set(name, value).expect("a setting");
        }
    }
    config
}

struct Running {
    address: std::net::SocketAddr,
    processes: Vec<Process>,
}

fn start(folder: &Path, settings: Vec<(&'static str, String)>) -> Result<Running> {
    std::fs::write(folder.join("log.key"), Sealer::generate_key().expose())?;
    // A group's dead members are forgotten sooner than by default: brokers are killed here.
    let settings = but(settings, &[("session.timeout.ms", "4000")]);
    let with_password = folder.join("kafka.properties");
    write_properties(&with_password, &settings)?;
    // The other way to give a password: in a file of its own.
    std::fs::write(folder.join("password"), format!("{PASSWORD}\n"))?;
    let password_file = folder.join("password").display().to_string();
    let apart = but(
        settings,
        &[
            ("sasl.password", ""),
            ("sasl.password.file", &password_file),
        ],
    );
    let password_apart = folder.join("apart.properties");
    write_properties(&password_apart, &apart)?;
    let address = crate::chaos::free_address();
    let listen = address.to_string();
    let data = folder.join("data").display().to_string();
    let api = [
        "standalone",
        "--roles",
        "api",
        "--listen",
        listen.as_str(),
        "--data-dir",
        data.as_str(),
    ];
    let programs = [
        (Binary::Ccr, args(folder, &with_password, &api)),
        (Binary::Producer, args(folder, &with_password, &[])),
        (Binary::Applier, args(folder, &password_apart, &[])),
    ];
    let processes = programs
        .iter()
        .enumerate()
        .map(|(i, (binary, args))| Process::start(*binary, args, &folder.join(format!("{i}.log"))))
        .collect::<Result<_>>()?;
    Ok(Running { address, processes })
}

/// What other users of the machine, and readers of logs, can see.
fn assert_no_password(running: &Running) {
    for process in &running.processes {
        let line = std::fs::read(format!("/proc/{}/cmdline", process.id())).unwrap_or_default();
        let seen = format!("{}{}", String::from_utf8_lossy(&line), process.tail());
        assert!(!seen.contains(PASSWORD), "{seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_arrives_over_tls_while_brokers_die() {
    let Some(brokers) = cluster("three guarded brokers") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let settings = with(brokers, |cluster| sasl(cluster, "ccr")).await;
    let world = World::start(1).await.unwrap();
    let running = start(folder.path(), settings.clone()).unwrap();
    let result = write_while_brokers_die(&world, brokers, &Api::at(running.address)).await;
    let logs: String = running.processes.iter().map(Process::tail).collect();
    assert_no_password(&running);
    result.with_context(|| logs).unwrap();
    copies_are_as_documented(brokers, &settings).await;
}

async fn write_while_brokers_die(
    world: &World,
    brokers: &'static Mutex<KafkaCluster>,
    api: &Api,
) -> Result<()> {
    let mut work = Workload::start(world, 21, true).await?;
    work.step(world).await?;
    let created = async {
        // The API may not be up yet.
        while let Err(error) = api.create(&world.database_job("far", 0)).await {
            if error.to_string().starts_with("create_ccr:") {
                return Err(error);
            }
            SystemClock::shared()
                .sleep(Duration::from_millis(100))
                .await;
        }
        Ok(())
    };
    tokio::time::timeout(PATIENCE, created).await??;
    api.wait_applied("far", world.source_end().await?, PATIENCE)
        .await?;

    let leader = with(brokers, |cluster| {
        let events = cluster
            .topics()
            .into_iter()
            .find(|topic| topic.starts_with(PREFIX) && topic.ends_with(".events"));
        let topic = events.expect("a topic of events");
        let leader = cluster.partition(&topic, 3).expect("a leader").leader;
        cluster.crash(leader).expect("killed");
        cluster.next_leader(&topic, leader).expect("another leader");
        leader
    })
    .await;
    for _ in 0..15 {
        work.step(world).await?;
    }
    api.wait_applied("far", world.source_end().await?, PATIENCE)
        .await
        .context("one broker is dead")?;

    let writes = async {
        for _ in 0..15 {
            work.step(world).await?;
        }
        anyhow::Ok(())
    };
    let comings = with(brokers, move |cluster| {
        cluster.start_again(leader).expect("back");
        let other = leader % 3 + 1;
        // Its copies must have caught up before the next one goes.
        for topic in cluster.topics() {
            cluster.partition(&topic, 3).expect("in sync");
        }
        cluster.restart(other).expect("restarted");
    });
    let (written, ()) = tokio::join!(writes, comings);
    written?;
    work.step(world).await?;
    api.wait_applied("far", world.source_end().await?, PATIENCE)
        .await
        .context("all brokers are back")?;
    let rows = assert_equal(
        (&world.source, DATABASE),
        (&world.targets[0], DATABASE),
        |_| true,
    )
    .await?;
    assert!(rows > 0, "nothing was compared");
    Ok(())
}

/// Topics have three copies, two of which must have a record.
async fn copies_are_as_documented(
    brokers: &'static Mutex<KafkaCluster>,
    settings: &[(&'static str, String)],
) {
    with(brokers, |cluster| {
        for topic in cluster.topics() {
            let partition = cluster.partition(&topic, 3).expect("in sync");
            assert_eq!(partition.replicas.len(), 3, "{topic}");
        }
    })
    .await;
    let jobs = TopicSpec {
        name: TopicName::jobs(PREFIX),
        kind: TopicKind::Compacted,
    };
    let two = but(
        settings.to_vec(),
        &[("replication.factor", "3"), ("min.insync.replicas", "2")],
    );
    let log = Kafka::connect(config(&two)).await.expect("connected");
    log.ensure_topic(&jobs).await.expect("as asked for");
    let log = Kafka::connect(config(&but(two, &[("min.insync.replicas", "3")])))
        .await
        .expect("connected");
    let refused = log
        .ensure_topic(&jobs)
        .await
        .expect_err("fewer than asked for")
        .to_string();
    assert!(refused.contains("is 2, expected 3"), "{refused}");
}

/// Settings that do not work, what the refusal must name, and its exit code.
struct Refusal {
    name: &'static str,
    settings: Vec<(&'static str, String)>,
    names: &'static [&'static str],
}

fn refusals(cluster: &KafkaCluster) -> Vec<Refusal> {
    let good = || sasl(cluster, "ccr");
    let other = cluster
        .certificates()
        .other_authority_file()
        .display()
        .to_string();
    let by_name = cluster.sasl_ssl().replace("127.0.0.1", "localhost");
    let refusal = |name, settings, names| Refusal {
        name,
        settings,
        names,
    };
    vec![
        refusal(
            "password",
            but(good(), &[("sasl.password", "wr0ng")]),
            &[
                "user ccr",
                "invalid credentials",
                "check sasl.username, sasl.password",
            ],
        ),
        refusal(
            "mechanism",
            but(good(), &[("sasl.mechanism", "SCRAM-SHA-256")]),
            &[
                "set sasl.mechanism to one that the broker supports",
                "SCRAM-SHA-512",
            ],
        ),
        refusal(
            "authority",
            but(good(), &[("ssl.ca.location", &other)]),
            &["certificate verify failed", "set ssl.ca.location"],
        ),
        refusal(
            "host",
            but(
                good(),
                &[
                    ("bootstrap.servers", &by_name),
                    ("broker.address.family", "v4"),
                ],
            ),
            &["localhost:", "for another host name"],
        ),
        refusal(
            "certificate",
            but(
                good(),
                &[
                    ("bootstrap.servers", &cluster.ssl()),
                    ("security.protocol", "ssl"),
                    ("sasl.mechanism", ""),
                    ("sasl.username", ""),
                    ("sasl.password", ""),
                ],
            ),
            &[
                "does not accept our certificate",
                "ssl.certificate.location",
            ],
        ),
        refusal(
            "listener",
            but(good(), &[("bootstrap.servers", &cluster.plain())]),
            &["security.protocol asks for TLS and this listener has none"],
        ),
        refusal(
            "topic",
            sasl(cluster, "stranger"),
            &[
                "topic guarded.jobs",
                "needs Read, Write, Describe, Create and DescribeConfigs on topics",
                "docs/kafka.md",
            ],
        ),
        refusal(
            "group",
            sasl(cluster, "groupless"),
            &[
                "group guarded.reader",
                "needs Read on consumer groups",
                "docs/kafka.md",
            ],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_its_object_and_the_next_step() {
    let Some(brokers) = cluster("refusals of guarded brokers") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("log.key"),
        Sealer::generate_key().expose(),
    )
    .unwrap();
    // Somebody with the rights makes the topics that the one without groups goes on to read.
    let settings = with(brokers, |cluster| sasl(cluster, "ccr")).await;
    let log = Kafka::connect(config(&settings)).await.unwrap();
    for name in [TopicName::jobs(PREFIX), TopicName::status(PREFIX)] {
        let kind = TopicKind::Compacted;
        log.ensure_topic(&TopicSpec {
            name: name.clone(),
            kind,
        })
        .await
        .unwrap();
        log.append(&name, vec![record("to be read")]).await.unwrap();
        log.append(&name, vec![tombstone("to be read")])
            .await
            .unwrap();
    }
    let refusals = with(brokers, |cluster| refusals(cluster)).await;
    let mut started = Vec::new();
    for refusal in refusals {
        let file =
            |ending: &str| -> PathBuf { folder.path().join(format!("{}.{ending}", refusal.name)) };
        write_properties(&file("properties"), &refusal.settings).unwrap();
        let args = args(folder.path(), &file("properties"), &[]);
        let process = Process::start(Binary::Producer, &args, &file("log")).unwrap();
        started.push((refusal, process));
    }
    let clock = SystemClock::shared();
    let until = clock.monotonic() + REFUSED_WITHIN;
    for (refusal, mut process) in started {
        let status = loop {
            if let Some(status) = process.exited().unwrap() {
                break status;
            }
            assert!(
                clock.monotonic() < until,
                "{}: {}",
                refusal.name,
                process.tail()
            );
            clock.sleep(Duration::from_millis(50)).await;
        };
        let said = process.tail();
        assert_eq!(status.code(), Some(2), "{}: {said}", refusal.name);
        for wanted in refusal.names {
            assert!(
                said.contains(wanted),
                "{}: {wanted:?} is not in {said}",
                refusal.name
            );
        }
        assert!(
            !said.contains(PASSWORD) && !said.contains("wr0ng"),
            "{said}"
        );
    }
}

fn record(key: &str) -> ccr_log::NewRecord {
    ccr_log::NewRecord {
        key: key.to_owned(),
        value: Some("{}".into()),
        headers: Vec::new(),
    }
}

fn tombstone(key: &str) -> ccr_log::NewRecord {
    ccr_log::NewRecord {
        value: None,
        ..record(key)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_or_a_plain_password_over_tls_lets_in() {
    let Some(brokers) = cluster("other ways in") else {
        return;
    };
    let (plain, certificate) = with(brokers, |cluster| {
        let files = cluster.certificates();
        let certificate = vec![
            ("bootstrap.servers", cluster.ssl()),
            ("security.protocol", "ssl".to_owned()),
            (
                "ssl.ca.location",
                files.authority_file().display().to_string(),
            ),
            (
                "ssl.certificate.location",
                files.client_certificate().display().to_string(),
            ),
            ("ssl.key.location", files.client_key().display().to_string()),
        ];
        (
            but(sasl(cluster, "ccr"), &[("sasl.mechanism", "PLAIN")]),
            certificate,
        )
    })
    .await;
    for (name, settings) in [("plain", plain), ("certificate", certificate)] {
        let log = Kafka::connect(config(&settings)).await.unwrap();
        let topic = TopicSpec {
            name: TopicName(format!("{PREFIX}.{name}")),
            kind: TopicKind::Compacted,
        };
        log.ensure_topic(&topic).await.unwrap();
        log.append(&topic.name, vec![record("k")]).await.unwrap();
        let read = log.read_compacted(&topic.name).await.unwrap();
        assert!(read.contains_key("k"), "{name}: {read:?}");
        // The rights end where the prefix ends.
        let foreign = TopicSpec {
            name: TopicName(format!("foreign.{name}")),
            ..topic
        };
        let refused = log.ensure_topic(&foreign).await.unwrap_err();
        assert!(
            matches!(&refused, Error::Refused { action, .. } if action.contains("foreign.")),
            "{refused}"
        );
    }
}
