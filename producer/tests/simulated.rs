//! The producer against a simulated cluster over its real sockets.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

use std::sync::Arc;
use std::time::Duration;

use ccr_control::{
    ClusterSpec, DestSpec, JobOptions, JobRegistry, JobSpec, ProblemKind, ProducerRequest,
    SourceSpec, StatusBoard, TableFilter, Wanted,
};
use ccr_log::embedded::Embedded;
use ccr_log::{NewRecord, Offset, SharedLog};
use ccr_ops::{Sealer, Secret, SystemClock};
use ccr_producer::{Deps, ProducerConfig, ProducerService, connect_doris};
use ccr_schemas::codec::{Codec, RecordAt};
use ccr_schemas::event::Presence;
use ccr_schemas::invariant::{Link, link};
use ccr_schemas::{Envelope, Event, Incarnation, Replay, TopicName};
use dorisim::{SimCluster, SimConfig};
use tokio_util::sync::CancellationToken;

async fn events(log: &SharedLog) -> Vec<Envelope> {
    let topic = TopicName::events("ccr", "csim", "sales");
    let mut out = Vec::new();
    let mut next = Offset(0);
    while let Ok(records) = log.read_range(&topic, next, 1000).await {
        let Some(last) = records.last() else { break };
        next = Offset(last.offset.0 + 1);
        for record in &records {
            let at = RecordAt {
                topic: &topic,
                offset: record.offset.0,
            };
            let bytes = record.value.as_ref().unwrap();
            out.push(Codec::default().decode(bytes, &at).unwrap());
        }
    }
    out
}

async fn until(log: &SharedLog, what: &str, holds: impl Fn(&[Envelope]) -> bool) -> Vec<Envelope> {
    for _ in 0..300 {
        let events = events(log).await;
        if holds(&events) {
            return events;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let seen: Vec<_> = events(log).await.iter().map(|e| e.event.kind()).collect();
    panic!("not in 15 s: {what}; seen {seen:?}");
}

fn job(cluster: ClusterSpec) -> JobSpec {
    JobSpec {
        name: "j".to_owned(),
        incarnation: Incarnation("1".to_owned()),
        version: 1,
        wanted: Wanted::Running,
        source: SourceSpec {
            cluster_name: "csim".to_owned(),
            cluster: cluster.clone(),
            database: "sales".to_owned(),
            host_mapping: Default::default(),
        },
        dest: DestSpec {
            cluster_name: String::new(),
            cluster,
            database: "copy".to_owned(),
            table_names: Default::default(),
        },
        tables: TableFilter::default(),
        options: JobOptions::default(),
        created_at_ms: 0,
        resync: None,
        table_resyncs: Default::default(),
    }
}

/// A producer that follows the database `sales` of a simulated cluster.
struct World {
    sim: SimCluster,
    log: SharedLog,
    status: Arc<StatusBoard>,
    deps: Deps,
    config: ProducerConfig,
    token: CancellationToken,
    running: tokio::task::JoinHandle<Result<(), ccr_producer::Error>>,
}

impl World {
    /// The cluster has the table `a` with one row before the producer starts.
    async fn start(config: ProducerConfig) -> World {
        let sim = SimCluster::start(SimConfig::default()).await.unwrap();
        sim.sql("CREATE DATABASE sales PROPERTIES (\"binlog.enable\" = \"true\")")
            .await
            .unwrap();
        sim.sql(&create("a")).await.unwrap();
        sim.sql("INSERT INTO sales.a VALUES (1, 'x')")
            .await
            .unwrap();
        let log = Embedded::in_memory().unwrap();
        let sealer = Sealer::from_base64(Sealer::generate_key().expose()).unwrap();
        let registry = JobRegistry::open(log.clone(), "ccr").await.unwrap();
        let status = StatusBoard::open(log.clone(), "ccr").await.unwrap();
        let cluster = ClusterSpec {
            frontends: vec![("127.0.0.1".to_owned(), sim.query_port(), sim.thrift_port())],
            user: "root".to_owned(),
            sealed_password: sealer.seal(&Secret::new(String::new())).unwrap(),
            host_mapping: Default::default(),
        };
        registry.create(&job(cluster)).await.unwrap();
        let deps = Deps {
            log: log.clone(),
            registry,
            status: status.clone(),
            sealer,
            clock: SystemClock::shared(),
            connect: connect_doris(),
        };
        let token = CancellationToken::new();
        let service = ProducerService::new(deps.clone(), config.clone());
        let running = tokio::spawn(service.run(token.clone()));
        until(&log, "stream begun", |events| !events.is_empty()).await;
        World {
            sim,
            log,
            status,
            deps,
            config,
            token,
            running,
        }
    }

    async fn sql(&self, statement: &str) {
        self.sim.sql(statement).await.unwrap();
    }

    /// Ends the producer, and begins another after a pause.
    async fn restart(&mut self, pause: Duration) {
        self.token.cancel();
        let token = CancellationToken::new();
        let service = ProducerService::new(self.deps.clone(), self.config.clone());
        (&mut self.running).await.unwrap().unwrap();
        tokio::time::sleep(pause).await;
        self.token = token.clone();
        self.running = tokio::spawn(service.run(token));
    }

    /// Ends the producer, which had nothing to complain of.
    async fn end(self) {
        self.token.cancel();
        self.running.await.unwrap().unwrap();
        let stream = self.status.stream("csim", "sales").unwrap();
        assert!(stream.last_error.is_none(), "{:?}", stream.last_error);
    }
}

fn create(name: &str) -> String {
    format!(
        "CREATE TABLE sales.{name} (k INT, v VARCHAR(20)) DUPLICATE KEY(k) \
         DISTRIBUTED BY HASH(k) BUCKETS 3 PROPERTIES (\"replication_num\" = \"1\", \"binlog.enable\" = \"true\")"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_a_cluster_become_events_and_a_snapshot_is_taken() {
    let world = World::start(ProducerConfig::new("test")).await;
    let log = world.log.clone();
    world
        .sql("INSERT INTO sales.a VALUES (2, 'y'), (3, 'z')")
        .await;
    // What is dropped before it was looked at has no places any more.
    until(&log, "the first transaction", |events| {
        events
            .iter()
            .any(|e| matches!(e.event, Event::RowsetsCommitted(_)))
    })
    .await;
    world.sql(&create("b")).await;
    world.sql("INSERT INTO sales.b VALUES (1, 'b')").await;
    world.sql("ALTER TABLE sales.b RENAME c").await;
    world.sql("TRUNCATE TABLE sales.c").await;
    world.sql("INSERT INTO sales.c VALUES (2, 'c')").await;
    world.sql("DROP TABLE sales.a FORCE").await;
    let events = until(&log, "the drop published", |events| {
        events
            .iter()
            .any(|e| matches!(e.event, Event::TableDropped(_)))
    })
    .await;
    let mut last = events[0].commit_seq;
    let mut story = Vec::new();
    for envelope in &events {
        if link(last, envelope).unwrap() == Link::Next {
            last = envelope.commit_seq;
            let tables: Vec<&str> = envelope
                .event
                .tables()
                .iter()
                .map(|t| t.name.as_str())
                .collect();
            story.push(format!(
                "{} {}",
                envelope.event.kind().as_str(),
                tables.join(",")
            ));
        }
    }
    assert_eq!(
        story,
        [
            "rowsets_committed a",
            "table_created b",
            "rowsets_committed b",
            "table_renamed b",
            "table_truncated c",
            "rowsets_committed c",
            "table_dropped a",
        ]
    );
    let first = events
        .iter()
        .find(|e| matches!(e.event, Event::RowsetsCommitted(_)))
        .unwrap();
    assert_eq!(first.replay, Replay::Transaction);
    let Event::RowsetsCommitted(rowsets) = &first.event else {
        unreachable!()
    };
    let partition = &rowsets.tables[0].partitions[0];
    assert_eq!(partition.presence, Presence::Present);
    assert!(partition.indexes[0].is_base);
    assert_eq!(partition.indexes[0].tablets.len(), 3);
    for tablet in &partition.indexes[0].tablets {
        assert_eq!(tablet.backends.len(), 1);
        assert!(rowsets.backends.iter().any(|b| b.id == tablet.backends[0]));
    }

    let request = ProducerRequest::Snapshot {
        request_id: "r".to_owned(),
        tables: vec!["c".to_owned()],
        not_before: -1,
    };
    let record = NewRecord {
        key: "r".to_owned(),
        value: Some(serde_json::to_vec(&request).unwrap().into()),
        headers: Vec::new(),
    };
    log.append(&TopicName::control("ccr", "csim", "sales"), vec![record])
        .await
        .unwrap();
    let events = until(&log, "the snapshot announced", |events| {
        events
            .iter()
            .any(|e| matches!(e.event, Event::SnapshotTaken(_)))
    })
    .await;
    let snapshot = events
        .iter()
        .find_map(|e| match &e.event {
            Event::SnapshotTaken(snapshot) => Some(snapshot),
            _ => None,
        })
        .unwrap();
    assert_eq!(snapshot.request_ids, ["r"]);
    assert_eq!(snapshot.tables[0].table.name, "c");
    assert!(snapshot.tables[0].commit_seq > last);
    assert!(snapshot.chunk_count >= 1);
    world.end().await;
}

/// Far later than the settle time: the chain goes on, and the log says that it lacks a record.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_the_source_shows_much_too_late_becomes_a_gap() {
    let mut world = World::start(looking_back(Duration::from_millis(1500))).await;
    late_record_becomes_a_gap(&mut world, false).await;
    world.end().await;
}

/// The producer that could have remembered what it published is gone when the record shows; its successor reads it from the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_shows_while_no_producer_runs_becomes_a_gap() {
    let mut world = World::start(looking_back(Duration::from_secs(60))).await;
    late_record_becomes_a_gap(&mut world, true).await;
    // And is reported once only.
    world.restart(Duration::ZERO).await;
    world.sql("INSERT INTO sales.a VALUES (4, 'after')").await;
    let events = until(&world.log, "the last transaction", |events| {
        events.iter().filter(|e| e.event.is_chained()).count() == 2
    })
    .await;
    let gaps = events.iter().filter(|e| matches!(e.event, Event::Gap(_)));
    assert_eq!(gaps.count(), 1);
    world.end().await;
}

async fn status_until(
    world: &World,
    what: &str,
    holds: impl Fn(&ccr_control::StreamStatus) -> bool,
) -> ccr_control::StreamStatus {
    for _ in 0..400 {
        if let Some(status) = world.status.stream("csim", "sales")
            && holds(&status)
        {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!(
        "not in 20 s: {what}; {:?}",
        world.status.stream("csim", "sales")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_database_is_named_and_followed_again_under_its_name() {
    let world = World::start(ProducerConfig {
        halt_retry: Duration::from_millis(200),
        ..ProducerConfig::new("test")
    })
    .await;
    world.sql("ALTER DATABASE sales RENAME s2").await;
    let status = status_until(&world, "the database is missing", |status| {
        status
            .problem
            .as_ref()
            .is_some_and(|problem| problem.kind == ProblemKind::DatabaseMissing)
    })
    .await;
    let problem = status.problem.unwrap();
    assert!(problem.what.contains("sales"), "{}", problem.what);
    assert!(problem.next_step.contains("rename it back"));
    world.sql("ALTER DATABASE s2 RENAME sales").await;
    world.sql("INSERT INTO sales.a VALUES (2, 'y')").await;
    until(&world.log, "the transaction", |events| {
        events.iter().any(|e| e.event.is_chained())
    })
    .await;
    status_until(&world, "no problem", |status| status.problem.is_none()).await;
    world.end().await;
}

/// Switches at tables alone: the retention of each makes holes in the database's stream, also at its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_tables_own_retention_does_not_look_like_another_history() {
    let world = World::start(ProducerConfig {
        timeline_confirm: Duration::ZERO,
        look_back: Duration::from_millis(500),
        ..ProducerConfig::new("test")
    })
    .await;
    for statement in [
        "ALTER DATABASE sales SET PROPERTIES (\"binlog.enable\" = \"false\")".to_owned(),
        create("short"),
        create("long"),
        "ALTER TABLE sales.short SET (\"binlog.ttl_seconds\" = \"60\")".to_owned(),
        "INSERT INTO sales.long VALUES (1, 'kept')".to_owned(),
        "INSERT INTO sales.short VALUES (1, 'goes')".to_owned(),
    ] {
        world.sql(&statement).await;
    }
    let loads = |events: &[Envelope]| {
        let of = |e: &&Envelope| matches!(e.event, Event::RowsetsCommitted(_));
        events.iter().filter(of).count()
    };
    until(&world.log, "both transactions", |events| loads(events) == 2).await;
    world.sim.clock().advance(3_600_000);
    world.sim.frontend().gc_now().await;
    // Time for some passes, each of which misses the last published record.
    tokio::time::sleep(Duration::from_secs(2)).await;
    world
        .sql("INSERT INTO sales.long VALUES (2, 'after')")
        .await;
    let events = until(&world.log, "the third", |events| loads(events) == 3).await;
    let changed = |e: &&Envelope| matches!(e.event, Event::TimelineChanged(_) | Event::Gap(_));
    assert_eq!(events.iter().find(changed), None);
    world.end().await;
}

fn looking_back(look_back: Duration) -> ProducerConfig {
    ProducerConfig {
        look_back,
        ..ProducerConfig::new("test")
    }
}

async fn late_record_becomes_a_gap(world: &mut World, restarts: bool) {
    world
        .sim
        .frontend()
        .delay_next_binlogs(1, Duration::from_millis(900));
    world.sql("INSERT INTO sales.a VALUES (2, 'late')").await;
    world.sql("INSERT INTO sales.a VALUES (3, 'in time')").await;
    let published = until(&world.log, "the second transaction", |events| {
        events.iter().any(|e| e.event.is_chained())
    })
    .await;
    let second = published.last().unwrap().clone();
    if restarts {
        world.restart(Duration::from_secs(1)).await;
    }
    let events = until(&world.log, "the gap", |events| {
        events.iter().any(|e| matches!(e.event, Event::Gap(_)))
    })
    .await;
    let chained: Vec<_> = events.iter().filter(|e| e.event.is_chained()).collect();
    assert_eq!(chained.len(), 1, "the late record is not in the chain");
    let (at, gap) = events
        .iter()
        .find_map(|e| match &e.event {
            Event::Gap(gap) => Some((e.commit_seq, gap)),
            _ => None,
        })
        .unwrap();
    assert!(
        gap.after < gap.up_to && gap.up_to < second.commit_seq,
        "{gap:?}"
    );
    assert_eq!(
        at, second.commit_seq,
        "readers know it by its place above the span"
    );
}
