//! The client against a simulated cluster: what Doris answers, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

use ccr_doris::binlog::{self, Record};
use ccr_doris::cluster::FrontendAddress;
use ccr_doris::ddl::{self, CreateRewrite, ObjectName};
use ccr_doris::error::Refusal;
use ccr_doris::{
    Backend, BackendEndpoint, BeginOutcome, BeginTxn, BinlogPage, BinlogPosition, ClusterAddress,
    CommitOutcome, CommitTxn, DorisCluster, Frontend, IngestOutcome, IngestRequest, Inspect,
    JobProgress, JobState, LabelState, RestoreSnapshot, RollbackOutcome, SqlSession, TabletCommit,
    TxnPhase, TxnState,
};
use ccr_ops::Secret;
use ccr_schemas::{CommitSeq, TxnId};
use dorisim::{SimCluster, SimConfig};

async fn cluster(name: &str, frontends: usize) -> (SimCluster, DorisCluster) {
    let cluster = SimCluster::start(SimConfig {
        name: name.to_owned(),
        frontends,
        backends: 2,
        password: "secret".to_owned(),
        ..SimConfig::default()
    })
    .await
    .unwrap();
    let address = ClusterAddress {
        cluster_id: None,
        frontends: cluster
            .frontends()
            .iter()
            .map(|ports| FrontendAddress {
                host: "127.0.0.1".to_owned(),
                query_port: ports.query,
                thrift_port: ports.thrift,
            })
            .collect(),
        user: "root".to_owned(),
        password: Secret::new("secret".to_owned()),
        host_mapping: BTreeMap::new(),
    };
    (cluster, DorisCluster::new(address))
}

async fn shop(client: &DorisCluster) {
    for sql in [
        "CREATE DATABASE shop PROPERTIES (\"binlog.enable\" = \"true\")",
        "CREATE TABLE shop.orders (id BIGINT NOT NULL, v VARCHAR(32)) DUPLICATE KEY(id) \
         DISTRIBUTED BY HASH(id) BUCKETS 3 PROPERTIES (\"replication_num\" = \"2\")",
        "INSERT INTO shop.orders VALUES (1, 'a'), (2, 'b')",
    ] {
        client.execute(None, sql).await.unwrap();
    }
}

fn at(database: &str, after: i64) -> BinlogPosition {
    BinlogPosition {
        database: database.to_owned(),
        table: None,
        after: CommitSeq(after),
    }
}

async fn records(client: &DorisCluster, after: i64) -> Vec<binlog::Binlog> {
    match client.get_binlog(&at("shop", after), 255).await.unwrap() {
        BinlogPage::Records(records) => records
            .iter()
            .map(|raw| binlog::decode(raw).unwrap())
            .collect(),
        other => panic!("records are expected: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions() {
    let (_cluster, client) = cluster("questions", 1).await;
    assert_eq!(
        client
            .get_binlog(&at("none", -1), 1)
            .await
            .unwrap_err()
            .refusal(),
        Some(Refusal::UnknownDatabase)
    );
    shop(&client).await;
    client.ping().await.unwrap();
    assert!(client.cluster_id().await.unwrap().is_some());
    let id = client.database_id("shop").await.unwrap().unwrap();
    let meta = client.get_meta("shop", None).await.unwrap().unwrap();
    assert_eq!(meta.id, Some(id));
    assert_eq!(client.get_meta("none", None).await.unwrap(), None);
    client
        .execute(Some("shop"), "CREATE VIEW v AS SELECT id FROM orders")
        .await
        .unwrap();
    assert_eq!(client.tables("shop").await.unwrap(), ["orders"]);
    assert_eq!(client.views("shop").await.unwrap(), ["v"]);
    assert!(client.table_exists("shop", "v").await.unwrap());
    assert!(!client.table_exists("shop", "order_").await.unwrap());
    assert!(!client.table_exists("none", "v").await.unwrap());
    let columns = client.visible_columns("shop", "orders").await.unwrap();
    assert_eq!(
        columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(),
        ["id", "v"]
    );
    assert_eq!(
        client.partitions("shop", "orders").await.unwrap(),
        ["orders"]
    );
    assert!(client.indexes("shop", "orders").await.unwrap().is_empty());
    let ids = client.table_ids("shop").await.unwrap();
    assert!(
        ids.contains(&("orders".to_owned(), meta.tables[0].id)),
        "{ids:?}"
    );
    let text = client
        .create_table_text("shop", "orders")
        .await
        .unwrap()
        .unwrap();
    assert!(text.contains("CREATE TABLE"), "{text}");
    assert_eq!(
        client.create_table_text("shop", "none").await.unwrap(),
        None
    );
    assert_eq!(client.get_backends().await.unwrap().len(), 2);
    assert!(!client.master_token().await.unwrap().expose().is_empty());
    let lag = client
        .get_binlog_lag(&at("shop", -1))
        .await
        .unwrap()
        .unwrap();
    assert!(lag.last.unwrap() > CommitSeq(0) && lag.lag > 0);
    let last = lag.last.unwrap().0;
    assert_eq!(
        client.get_binlog(&at("shop", last), 9).await.unwrap(),
        BinlogPage::CaughtUp
    );
    assert_eq!(
        client.lock_binlog(&at("shop", last), "me").await.unwrap(),
        Some(CommitSeq(last))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_repeated_at_a_destination() {
    let (_source, from) = cluster("source", 1).await;
    let (_destination, to) = cluster("destination", 1).await;
    shop(&from).await;
    to.execute(None, &ddl::create_database("copy"))
        .await
        .unwrap();

    let history = records(&from, -1).await;
    let created = history.iter().find_map(|binlog| match &binlog.record {
        Record::CreateTable(record) => Some(record),
        _ => None,
    });
    let how = CreateRewrite {
        source_database: "shop",
        target: ObjectName::new("copy", "o2"),
        replication_num: Some(1),
        if_not_exists: false,
    };
    let sql = ddl::create_for_destination(&created.unwrap().sql, &how).unwrap();
    to.execute(None, &sql).await.unwrap();

    let (seq, upsert) = history
        .iter()
        .find_map(|binlog| match &binlog.record {
            Record::Upsert(record) => Some((binlog.commit_seq, record)),
            _ => None,
        })
        .unwrap();
    let source = from.get_meta("shop", None).await.unwrap().unwrap();
    let dest = to.get_meta("copy", None).await.unwrap().unwrap();
    let begin = BeginTxn {
        database: "copy".to_owned(),
        tables: vec![dest.tables[0].id],
        label: format!("ccr_{seq}"),
        timeout: Duration::from_secs(600),
        sub_txns: 0,
    };
    let BeginOutcome::Begun { txn, .. } = to.begin_txn(&begin).await.unwrap() else {
        panic!("begun is expected");
    };
    assert_eq!(
        to.begin_txn(&begin).await.unwrap(),
        BeginOutcome::LabelExists {
            txn: Some(txn),
            state: LabelState::Running
        }
    );
    assert_eq!(to.txn_state("copy", txn).await.unwrap(), TxnState::Prepare);

    let source_backends = from.get_backends().await.unwrap();
    let backends = to.get_backends().await.unwrap();
    let partition = &upsert.table_records[&source.tables[0].id].partition_records[0];
    let pairs = source.tables[0].partitions[0].indexes[0]
        .tablets
        .iter()
        .zip(&dest.tables[0].partitions[0].indexes[0].tablets);
    let mut commits = Vec::new();
    for (source_tablet, tablet) in pairs {
        for replica in &tablet.replicas {
            let near = backends.iter().find(|b| b.id == replica.backend).unwrap();
            let far = source_backends
                .iter()
                .find(|b| b.id == source_tablet.replicas[0].backend)
                .unwrap();
            let endpoint = BackendEndpoint {
                host: near.host.clone(),
                port: near.be_port,
            };
            let request = IngestRequest {
                txn,
                partition: dest.tables[0].partitions[0].id,
                tablet: tablet.id,
                source_tablet: source_tablet.id,
                source_version: partition.version,
                source_host: far.host.clone(),
                source_http_port: far.http_port,
            };
            // A failed ingest is repeated in the same transaction.
            let gone = IngestRequest {
                source_version: 99,
                ..request.clone()
            };
            let outcome = to.ingest(&endpoint, &gone).await.unwrap();
            assert!(
                matches!(outcome, IngestOutcome::SourceUnreachable { .. }),
                "{outcome:?}"
            );
            let outcome = to.ingest(&endpoint, &request).await.unwrap();
            assert_eq!(outcome, IngestOutcome::Done);
            commits.push(TabletCommit {
                tablet: tablet.id,
                backend: replica.backend,
            });
        }
    }
    let commit = CommitTxn {
        database: "copy".to_owned(),
        txn,
        commits: commits[1..].to_vec(),
        sub_txns: Vec::new(),
        only_commit: false,
    };
    let missed = to.commit_txn(&commit).await.unwrap();
    assert!(
        matches!(missed, CommitOutcome::QuorumMissed { .. }),
        "{missed:?}"
    );
    let commit = CommitTxn { commits, ..commit };
    assert_eq!(
        to.commit_txn(&commit).await.unwrap(),
        CommitOutcome::Committed
    );
    assert_eq!(
        to.commit_txn(&commit).await.unwrap(),
        CommitOutcome::Committed
    );
    assert_eq!(
        to.label_state("copy", &begin.label).await.unwrap(),
        (TxnState::Visible, Some(txn))
    );
    let ended = to.transactions("copy", TxnPhase::Finished).await.unwrap();
    assert_eq!(
        (ended[0].id, &ended[0].label, ended[0].state),
        (txn, &begin.label, TxnState::Visible)
    );
    let ended_at = ended[0].ended_at.clone().unwrap();
    let age = to.seconds_since(&ended_at).await.unwrap().unwrap();
    assert!((0..60).contains(&age), "{ended_at}: {age}");
    let running = to.transactions("copy", TxnPhase::Running).await.unwrap();
    assert_eq!(running, []);
    let unknown = to
        .transactions("nowhere", TxnPhase::Finished)
        .await
        .unwrap();
    assert_eq!(unknown, []);
    assert_eq!(
        to.rollback_txn("copy", txn, "test").await.unwrap(),
        RollbackOutcome::NotFound,
        "visible looks like unknown"
    );
    assert_eq!(
        to.txn_state("copy", TxnId(999_999)).await.unwrap(),
        TxnState::Unknown
    );
    let rows = to
        .query(Some("copy"), "SELECT v FROM o2 ORDER BY id")
        .await
        .unwrap();
    let values: Vec<_> = rows
        .iter()
        .map(|row| row["v"].as_deref().unwrap())
        .collect();
    assert_eq!(values, ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backup_and_restore() {
    let (_source, from) = cluster("backup", 1).await;
    let (_destination, to) = cluster("restore", 1).await;
    shop(&from).await;
    to.execute(None, &ddl::create_database("copy"))
        .await
        .unwrap();
    assert!(from.get_snapshot("shop", "snap").await.unwrap().is_none());
    assert_eq!(from.show_backup("shop", "snap").await.unwrap(), None);
    from.backup_snapshot("shop", "snap", &["orders".to_owned()])
        .await
        .unwrap();
    let job = ended(async || from.show_backup("shop", "snap").await.unwrap()).await;
    assert_eq!(job.state, JobState::Finished);
    let snapshot = from.get_snapshot("shop", "snap").await.unwrap().unwrap();
    assert!(!snapshot.job_info.is_empty());

    let restore = RestoreSnapshot {
        database: "copy".to_owned(),
        label: "snap_r".to_owned(),
        tables: vec![("orders".to_owned(), None)],
        job_info: snapshot.job_info,
        meta: snapshot.meta,
        compressed: snapshot.compressed,
        properties: BTreeMap::from([("replication_num".to_owned(), "1".to_owned())]),
        clean_tables: false,
        clean_partitions: false,
        atomic: false,
        force_replace: false,
    };
    // Without the addresses of the source's BEs the job is refused.
    let refused = to.restore_snapshot(&restore).await.unwrap_err();
    assert!(
        refused.to_string().contains("Invalid job extra info empty"),
        "{refused}"
    );

    // With a token that the source does not know it begins and fails, and says so.
    let restore = with_sources(restore, &from, "not the token").await;
    to.restore_snapshot(&restore).await.unwrap();
    let busy = to.restore_snapshot(&restore).await.unwrap_err();
    assert_eq!(busy.refusal(), Some(Refusal::BackupBusy), "{busy}");
    let job = ended(async || to.show_restore("copy", "snap_r").await.unwrap()).await;
    assert_eq!(job.state, JobState::Cancelled);
    assert!(job.status.contains("401"), "{}", job.status);

    let token = from.master_token().await.unwrap();
    let restore = with_sources(restore, &from, token.expose()).await;
    to.restore_snapshot(&restore).await.unwrap();
    let job = ended(async || to.show_restore("copy", "snap_r").await.unwrap()).await;
    assert_eq!(job.state, JobState::Finished, "{}", job.status);
    assert!(to.table_exists("copy", "orders").await.unwrap());
}

/// The job with the addresses of the source's BEs and a token.
async fn with_sources(
    mut restore: RestoreSnapshot,
    from: &DorisCluster,
    token: &str,
) -> RestoreSnapshot {
    if std::mem::take(&mut restore.compressed) {
        restore.job_info = unpacked(&restore.job_info);
        restore.meta = unpacked(&restore.meta);
    }
    let mut info: serde_json::Value = serde_json::from_slice(&restore.job_info).unwrap();
    let backends = from.get_backends().await.unwrap();
    let map: serde_json::Map<_, _> = backends
        .iter()
        .map(|be| {
            let at = serde_json::json!({"ip": be.host, "port": be.http_port});
            (be.id.to_string(), at)
        })
        .collect();
    info["extra_info"] = serde_json::json!({"be_network_map": map, "token": token});
    restore.job_info = serde_json::to_vec(&info).unwrap();
    restore
}

fn unpacked(packed: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(packed)
        .read_to_end(&mut plain)
        .unwrap();
    plain
}

/// The job as it ended.
async fn ended(look: impl AsyncFn() -> Option<JobProgress>) -> JobProgress {
    for _ in 0..300 {
        if let Some(job) = look().await.filter(|job| job.state != JobState::Running) {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the job goes on and on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_master_moves() {
    let (cluster, client) = cluster("moving", 3).await;
    shop(&client).await;
    for master in [1, 2, 0] {
        cluster.switch_master(master);
        assert!(!records(&client, -1).await.is_empty());
        client
            .execute(None, "INSERT INTO shop.orders VALUES (3, 'c')")
            .await
            .unwrap();
    }
}

/// What one cluster prints, another one must take.
#[tokio::test(flavor = "multi_thread")]
async fn definitions_that_want_a_switch_are_taken() {
    let (_sim, client) = cluster("switches", 1).await;
    client
        .execute(None, &ddl::create_database("d"))
        .await
        .unwrap();
    let sql = "CREATE TABLE wide (k INT, v DECIMAL(76, 6)) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 \
               PROPERTIES (\"replication_num\" = \"1\")";
    client.execute(Some("d"), sql).await.unwrap();
    assert!(client.table_exists("d", "wide").await.unwrap());
}
