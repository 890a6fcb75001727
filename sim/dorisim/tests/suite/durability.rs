//! A cluster with a data directory that is killed at any moment and started again: what was acknowledged is there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use dorisim::{SimCluster, SimConfig};
use dorisim_wire::{TFrontendServiceSyncClient, TGetBinlogRequest, TStatusCode};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::frontend_client;

fn command(dir: &Path, backends: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dorisim"));
    for port in ["--fe-port", "--thrift-port", "--http-port"] {
        command.args([port, "0"]);
    }
    command
        .args(["--print-json", "--backends", backends, "--data-dir"])
        .arg(dir)
        .env("RUST_LOG", "warn");
    command
}

/// The program, killed at the end.
struct Process {
    child: Child,
    ports: Value,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Process {
    fn start(dir: &Path) -> Self {
        let mut child = command(dir, "2")
            .args(["--user", "reader:secret:SELECT_PRIV"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let ports = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line:?}: {e}"));
        Self { child, ports }
    }

    /// SIGKILL.
    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn port(&self, name: &str) -> u16 {
        u16::try_from(self.ports["frontends"][0][name].as_u64().unwrap()).unwrap()
    }

    async fn client(&self) -> Conn {
        let options = OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(self.port("query_port"))
            .user(Some("root"))
            .prefer_socket(false);
        Conn::new(options).await.unwrap()
    }

    /// Everything after `prev` in the stream of the database (or the table): commit seq to type and data.
    fn records(&self, table: Option<&str>, prev: i64) -> BTreeMap<i64, (i32, Option<String>)> {
        let mut client = frontend_client(self.port("thrift_port"));
        let (mut all, mut at) = (BTreeMap::new(), prev);
        loop {
            let request = TGetBinlogRequest::new(
                None,
                Some("root".to_owned()),
                Some(String::new()),
                Some("d".to_owned()),
                table.map(str::to_owned),
                None,
                Some("127.0.0.1".to_owned()),
                None,
                at,
                255,
                None,
            );
            let answer = client.get_binlog(request).unwrap();
            let code = answer.status.unwrap().status_code;
            if code == TStatusCode::BINLOG_TOO_NEW_COMMIT_SEQ {
                return all;
            }
            assert_eq!(code, TStatusCode::OK, "after {at}");
            for record in answer.binlogs.unwrap() {
                let seq = record.commit_seq.unwrap();
                assert!(seq > at, "{seq} after {at}");
                at = seq;
                all.insert(seq, (record.type_.unwrap().0, record.data));
            }
        }
    }
}

/// Inserts until the connection breaks; the ids whose insert was acknowledged.
async fn insert_until_killed(mut conn: Conn, first: i64) -> Vec<i64> {
    let mut acknowledged = Vec::new();
    for id in first.. {
        let sql = format!("INSERT INTO d.t VALUES ({id}, 'v{id}')");
        if conn.query_drop(sql).await.is_err() {
            break;
        }
        acknowledged.push(id);
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_loses_nothing_that_was_acknowledged() {
    let dir = TempDir::new().unwrap();
    let mut process = Process::start(dir.path());
    let identity = process.ports["cluster_id"].clone();
    let mut conn = process.client().await;
    for sql in [
        "CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")",
        "CREATE TABLE d.t (id BIGINT NOT NULL, v STRING) UNIQUE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 3 \
         PROPERTIES (\"replication_num\" = \"2\")",
    ] {
        conn.query_drop(sql).await.unwrap();
    }
    drop(conn);
    let mut acknowledged: Vec<i64> = Vec::new();
    let mut seen = process.records(None, -1);
    for round in 0..5_u64 {
        let mut loading = tokio::task::JoinSet::new();
        for n in 0..2 {
            let first = i64::try_from(round * 2 + n).unwrap() * 1_000_000;
            loading.spawn(insert_until_killed(process.client().await, first));
        }
        tokio::time::sleep(Duration::from_millis(150 + 37 * round)).await;
        // What was told before the end has to be told after it, too.
        seen.extend(process.records(None, *seen.keys().next_back().unwrap()));
        process.kill();
        let done: Vec<i64> = loading.join_all().await.into_iter().flatten().collect();
        assert!(!done.is_empty(), "nothing was loaded in round {round}");
        acknowledged.extend(done);

        process = Process::start(dir.path());
        assert_eq!(process.ports["cluster_id"], identity);
        let mut conn = process.client().await;
        let present: Vec<i64> = conn.query("SELECT id FROM d.t").await.unwrap();
        let lost: Vec<_> = acknowledged
            .iter()
            .filter(|id| !present.contains(id))
            .collect();
        assert!(
            lost.is_empty(),
            "round {round}: {} acknowledged rows are lost: {lost:?}",
            lost.len()
        );
        conn.query_drop(format!(
            "INSERT INTO d.t VALUES ({}, 'after')",
            -1 - i64::try_from(round).unwrap()
        ))
        .await
        .unwrap();
        acknowledged.push(-1 - i64::try_from(round).unwrap());
        let now = process.records(None, -1);
        for (seq, record) in &seen {
            assert_eq!(
                now.get(seq),
                Some(record),
                "commit seq {seq} tells something else"
            );
        }
        let continued = process.records(None, *seen.keys().next_back().unwrap());
        assert_eq!(
            continued.keys().collect::<Vec<_>>(),
            now.keys()
                .filter(|seq| !seen.contains_key(seq))
                .collect::<Vec<_>>()
        );
        let upserts = now.values().filter(|(kind, _)| *kind == 0).count();
        let rows: Vec<i64> = conn.query("SELECT id FROM d.t").await.unwrap();
        assert_eq!(upserts, rows.len(), "one row and one record per load");
        seen = now;
    }
    let of_table = process.records(Some("t"), -1);
    assert!(
        of_table.values().any(|(kind, _)| *kind == 2),
        "after a reload the table's stream tells of its creation"
    );
    let upsert = seen.values().find(|(kind, _)| *kind == 0).unwrap();
    let data: Value = serde_json::from_str(upsert.1.as_deref().unwrap()).unwrap();
    let label = data["label"].as_str().unwrap();
    let sql = format!("SHOW TRANSACTION FROM d WHERE label = '{label}'");
    let row: mysql_async::Row = process
        .client()
        .await
        .query_first(sql)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        row.get::<String, _>("TransactionStatus").unwrap(),
        "VISIBLE"
    );
}

/// What a statement does to the rows of `d.m`, as far as it is done.
fn after(rows: &[(i64, i64)], turn: i64) -> (String, Vec<(i64, i64)>) {
    let mut rows = rows.to_vec();
    let sql = match turn % 9 {
        0 => {
            rows.clear();
            "TRUNCATE TABLE d.m".to_owned()
        }
        1 | 2 | 4 | 6 | 8 => {
            rows.extend([(turn % 20, turn), (10 + turn % 10, turn)]);
            format!(
                "INSERT INTO d.m VALUES ({}, {turn}), ({}, {turn})",
                turn % 20,
                10 + turn % 10
            )
        }
        3 => {
            rows = vec![(1, turn), (11, turn)];
            format!("INSERT OVERWRITE TABLE d.m VALUES (1, {turn}), (11, {turn})")
        }
        5 => {
            rows.retain(|(k, _)| *k != 11);
            "DELETE FROM d.m WHERE k = 11".to_owned()
        }
        _ => {
            rows.retain(|(k, _)| *k < 10);
            "TRUNCATE TABLE d.m PARTITIONS (p2)".to_owned()
        }
    };
    rows.sort_unstable();
    (sql, rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_in_flight_is_done_or_not_done() {
    let dir = TempDir::new().unwrap();
    let mut process = Process::start(dir.path());
    let mut conn = process.client().await;
    for sql in [
        "CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")",
        "CREATE TABLE d.m (k INT NOT NULL, v INT) DUPLICATE KEY(k) PARTITION BY RANGE(k) (PARTITION p1 VALUES LESS THAN (10), \
         PARTITION p2 VALUES LESS THAN (30)) DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"replication_num\" = \"2\")",
    ] {
        conn.query_drop(sql).await.unwrap();
    }
    let (mut rows, mut turn) = (Vec::new(), 0);
    for round in 0..8_u64 {
        let stop = tokio::time::Instant::now() + Duration::from_millis(90 + 31 * round);
        let in_flight = loop {
            turn += 1;
            let (sql, wanted) = after(&rows, turn);
            let running = conn.query_drop(&sql);
            match tokio::time::timeout_at(stop, running).await {
                Ok(done) => done.unwrap_or_else(|e| panic!("{sql}: {e}")),
                Err(_) => break (sql, wanted),
            }
            rows = wanted;
        };
        process.kill();
        process = Process::start(dir.path());
        conn = process.client().await;
        let sql = "SELECT k, v FROM d.m ORDER BY k, v";
        let mut found: Vec<(i64, i64)> = conn.query(sql).await.unwrap();
        // A load that was committed is published after the start.
        for _ in 0..200 {
            if found == rows || found == in_flight.1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            found = conn.query(sql).await.unwrap();
        }
        assert!(
            found == rows || found == in_flight.1,
            "round {round}, {}: {found:?} is neither {rows:?} nor {:?}",
            in_flight.0,
            in_flight.1
        );
        let pending: Vec<mysql_async::Row> = conn
            .query("SHOW TRANSACTION FROM d WHERE status = 'COMMITTED'")
            .await
            .unwrap_or_default();
        if !pending.is_empty() {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        rows = conn.query(sql).await.unwrap();
        assert!(rows == found || rows == in_flight.1);
    }
    assert!(turn > 20, "only {turn} statements ran");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_accounts_and_settings_survive() {
    let dir = TempDir::new().unwrap();
    let mut process = Process::start(dir.path());
    let mut conn = process.client().await;
    for sql in [
        "CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")",
        "CREATE TABLE d.p (k INT NOT NULL, v INT) DUPLICATE KEY(k) PARTITION BY RANGE(k) (PARTITION p1 VALUES LESS THAN (10), \
         PARTITION p2 VALUES LESS THAN (20)) DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"replication_num\" = \"1\")",
        "CREATE VIEW d.w AS SELECT k FROM d.p",
        "INSERT INTO d.p VALUES (1, 1), (11, 11)",
        "CREATE TABLE d.gone LIKE d.p",
        "INSERT INTO d.gone VALUES (3, 3)",
        "DROP TABLE d.gone",
        "ALTER TABLE d.p DROP PARTITION p2",
        "CREATE USER u IDENTIFIED BY 'pw'",
        "GRANT SELECT_PRIV ON d.* TO u",
        "DROP USER reader",
        "SET PASSWORD FOR 'admin' = PASSWORD('changed')",
        "ADMIN SET FRONTEND CONFIG (\"catalog_trash_expire_second\" = \"4321\")",
    ] {
        conn.query_drop(sql)
            .await
            .unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    async fn told(conn: &mut Conn) -> Vec<String> {
        let mut told = Vec::new();
        for sql in [
            "SHOW CREATE TABLE d.p",
            "SHOW CREATE VIEW d.w",
            "SHOW PARTITIONS FROM d.p",
            "SHOW TABLETS FROM d.p",
            "SHOW CATALOG RECYCLE BIN",
            "SHOW FRONTEND CONFIG LIKE 'catalog_trash_expire_second'",
            "SELECT * FROM d.p ORDER BY k",
        ] {
            let rows: Vec<mysql_async::Row> = conn
                .query(sql)
                .await
                .unwrap_or_else(|e| panic!("{sql}: {e}"));
            assert!(!rows.is_empty(), "{sql}");
            told.extend(rows.into_iter().map(|row| format!("{:?}", row.unwrap())));
        }
        told
    }
    let before = told(&mut conn).await;
    let stream = process.records(None, -1);
    process.kill();
    process = Process::start(dir.path());
    let mut conn = process.client().await;
    let after = told(&mut conn).await;
    let port_free = |line: &String| !line.contains("http://");
    assert_eq!(
        after.iter().filter(|l| port_free(l)).collect::<Vec<_>>(),
        before.iter().filter(|l| port_free(l)).collect::<Vec<_>>()
    );
    assert_eq!(process.records(None, -1), stream);
    conn.query_drop("RECOVER TABLE d.gone").await.unwrap();
    conn.query_drop("RECOVER PARTITION p2 FROM d.p")
        .await
        .unwrap();
    let rows: Vec<i32> = conn
        .query("SELECT k FROM d.gone UNION ALL SELECT k FROM d.p ORDER BY 1")
        .await
        .unwrap();
    assert_eq!(rows, [1, 3, 11]);
    let login = |user: &str, password: &str| {
        OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(process.port("query_port"))
            .user(Some(user))
            .pass(Some(password))
            .prefer_socket(false)
    };
    assert!(Conn::new(login("u", "pw")).await.is_ok());
    assert!(Conn::new(login("admin", "changed")).await.is_ok());
    assert!(
        Conn::new(login("reader", "secret")).await.is_err(),
        "--user is for a new directory: a dropped account stays dropped"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_in_this_process_goes_on_after_its_end() {
    let dir = TempDir::new().unwrap();
    let config = || SimConfig {
        name: "again".to_owned(),
        backends: 2,
        data_dir: Some(dir.path().to_owned()),
        ..SimConfig::default()
    };
    let sim = SimCluster::start(config()).await.unwrap();
    sim.sql("CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")")
        .await
        .unwrap();
    sim.sql("CREATE TABLE d.t (k INT, v INT SUM) AGGREGATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2 \
             PROPERTIES (\"replication_num\" = \"1\"); INSERT INTO d.t VALUES (1, 1); INSERT INTO d.t VALUES (1, 2), (2, 5)")
        .await
        .unwrap();
    let rows = sim.sql("SELECT k, v FROM d.t ORDER BY k").await.unwrap();
    let ids = sim.frontend().journal_id();
    sim.shutdown().await;
    drop(sim);
    for _ in 0..2 {
        let sim = SimCluster::start(config()).await.unwrap();
        assert_eq!(
            sim.sql("SELECT k, v FROM d.t ORDER BY k").await.unwrap(),
            rows
        );
        assert!(sim.frontend().journal_id() >= ids);
        drop(sim);
    }
}

fn refused(dir: &Path, arguments: &[&str]) -> String {
    refused_with(dir, "2", arguments)
}

fn refused_with(dir: &Path, backends: &str, arguments: &[&str]) -> String {
    let Output { status, stderr, .. } = command(dir, backends).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_can_not_be_used_is_told_with_the_next_step() {
    let dir = TempDir::new().unwrap();
    let mut process = Process::start(dir.path());
    let text = refused(dir.path(), &[]);
    assert!(text.contains("is in use by process"), "{text}");
    assert!(text.contains(&process.child.id().to_string()), "{text}");
    process
        .client()
        .await
        .query_drop("CREATE DATABASE d")
        .await
        .unwrap();
    process.kill();

    let text = refused(dir.path(), &["--cluster-id", "5"]);
    assert!(
        text.contains("belongs to a cluster with cluster id"),
        "{text}"
    );
    let text = refused(dir.path(), &["--token", "other"]);
    assert!(
        text.contains("another token") && !text.contains("dorisim-"),
        "{text}"
    );
    let text = refused_with(dir.path(), "1", &[]);
    assert!(text.contains("2 backends, not 1"), "{text}");

    let state = dir.path().join("fe/state.db");
    let _ = std::fs::remove_file(dir.path().join("fe/state.db-wal"));
    let whole = std::fs::read(&state).unwrap();
    std::fs::write(&state, &whole[..whole.len() / 2]).unwrap();
    let text = refused(dir.path(), &[]);
    assert!(text.contains("fe/state.db is damaged"), "{text}");
    assert!(text.contains("put back a copy"), "{text}");
    std::fs::write(&state, b"something else altogether").unwrap();
    assert!(refused(dir.path(), &[]).contains("fe/state.db is damaged"));
    std::fs::write(&state, b"").unwrap();
    assert!(refused(dir.path(), &[]).contains("not written by dorisim"));
    std::fs::remove_file(&state).unwrap();
    let text = refused(dir.path(), &[]);
    assert!(text.contains("is no data directory of dorisim"), "{text}");
}
