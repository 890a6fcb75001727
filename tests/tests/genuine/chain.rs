//! dorisim A, a genuine frontend B, dorisim C: every row of A arrives in C by way of B.

use anyhow::{Context, Result};
use ccr_doris::SqlSession;
use ccr_lab::Cluster;
use ccr_tests::{Process, Workload, World, embedded_stack};
use serde_json::json;

use crate::cluster::Genuine;
use crate::steps::{equal, job, table_job, through};

const DATABASE: &str = ccr_tests::world::DATABASE;
const ON: &str = "SET PROPERTIES (\"binlog.enable\" = \"true\")";

/// Tables of many shapes, with rows.
const SHAPES: [&str; 12] = [
    "CREATE TABLE kinds (k1 BOOLEAN, k2 TINYINT, k3 SMALLINT, k4 INT DEFAULT \"5\", k5 BIGINT, k6 LARGEINT, k7 DECIMAL(9,2), \
     k8 DECIMAL(27,9), k10 DATE, k11 DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3), k12 CHAR(5), k13 VARCHAR(65533), k14 IPV4, \
     k15 IPV6, v1 FLOAT, v2 DOUBLE, v3 STRING, v4 JSON, v5 VARIANT, v6 ARRAY<INT>, v7 MAP<STRING,DECIMAL(5,2)>, \
     v8 STRUCT<a:INT,b:DATETIME(2)>) DUPLICATE KEY(k1,k2,k3) COMMENT \"of all kinds\" DISTRIBUTED BY HASH(k1,k2) BUCKETS 2 \
     PROPERTIES (\"replication_num\" = \"1\", \"bloom_filter_columns\" = \"k4,k13\")",
    "INSERT INTO kinds (k1, k2, k4, k7, k10, v3) VALUES (true, 1, 2, 3.25, '2026-01-02', 'text'), (NULL, NULL, NULL, NULL, NULL, NULL)",
    "CREATE TABLE listed (k INT NOT NULL, c VARCHAR(9) NOT NULL, g INT) DUPLICATE KEY(k, c) PARTITION BY LIST(k, c) \
     (PARTITION a VALUES IN ((1,\"x\"),(2,\"y\"))) DISTRIBUTED BY RANDOM BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\")",
    "INSERT INTO listed VALUES (1, 'x', 1), (2, 'y', 2)",
    "CREATE TABLE ranged (k BIGINT NOT NULL, d DATETIME NOT NULL, v LARGEINT) UNIQUE KEY(k, d) PARTITION BY RANGE(d, k) \
     (PARTITION lo VALUES LESS THAN (\"2020-01-01\", \"5\"), PARTITION hi VALUES LESS THAN (MAXVALUE, MAXVALUE)) \
     DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\", \"function_column.sequence_col\" = \"v\")",
    "INSERT INTO ranged VALUES (1, '2019-01-01', 1), (1, '2021-01-01', 2), (1, '2021-01-01', 1)",
    "CREATE TABLE rolled (k INT, d INT, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 ROLLUP (r1 (d, v)) \
     PROPERTIES (\"replication_num\" = \"1\")",
    "INSERT INTO rolled VALUES (1, 2, 3)",
    "CREATE TABLE auto_parts (k INT, d DATETIME NOT NULL) DUPLICATE KEY(k) AUTO PARTITION BY RANGE(date_trunc(d, 'month')) () \
     DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\")",
    "INSERT INTO auto_parts VALUES (1, '2026-01-05'), (2, '2026-02-05')",
    "CREATE TABLE indexed (id BIGINT, v STRING, INDEX words (v) USING INVERTED) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) \
     BUCKETS 2 PROPERTIES (\"replication_num\" = \"1\")",
    "CREATE VIEW names(n COMMENT \"the number\", t) COMMENT \"seen\" AS SELECT id, v FROM log_a",
];

/// Changes that are repeated as statements.
const CHANGES: [&str; 34] = [
    "ALTER TABLE users ADD COLUMN c1 INT NULL DEFAULT \"7\"",
    "INSERT INTO users (id, day, v, c1) VALUES (8021, '2026-01-07', 'x', 5)",
    "ALTER TABLE users ADD COLUMN (c2 VARCHAR(9) COMMENT \"two\", c3 BIGINT)",
    "ALTER TABLE users RENAME COLUMN c3 c33",
    "ALTER TABLE users DROP COLUMN c2",
    "ALTER TABLE users MODIFY COLUMN v COMMENT \"of the column\"",
    "ALTER TABLE users MODIFY COMMENT \"of the table\"",
    "ALTER TABLE users ADD PARTITION p3 VALUES [(\"2026-03-01\"), (\"2026-04-01\"))",
    "INSERT INTO users (id, day, v) VALUES (8022, '2026-03-07', 'p3')",
    "ALTER TABLE users RENAME PARTITION p3 p33",
    "ALTER TABLE users DROP PARTITION p33",
    "ALTER TABLE users SET (\"disable_auto_compaction\" = \"true\")",
    "ALTER TABLE listed ADD PARTITION b VALUES IN ((3,\"z\"))",
    "INSERT INTO listed VALUES (3, 'z', 1)",
    "TRUNCATE TABLE listed PARTITION(a)",
    "TRUNCATE TABLE totals",
    "INSERT INTO totals VALUES (5, 6, 7)",
    "INSERT INTO auto_parts VALUES (3, '2026-03-05')",
    "CREATE TABLE extra (id BIGINT NOT NULL, v VARCHAR(64)) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1 \
     PROPERTIES (\"replication_num\" = \"1\")",
    "INSERT INTO extra VALUES (1, 'e')",
    "ALTER TABLE extra RENAME extra2",
    "INSERT INTO extra2 VALUES (2, 'e')",
    "CREATE TABLE alike LIKE log_a",
    "INSERT INTO alike VALUES (1, 'alike')",
    "ALTER TABLE alike REPLACE WITH TABLE extra2 PROPERTIES('swap' = 'true')",
    "INSERT INTO alike VALUES (3, 'after the exchange')",
    "CREATE TABLE gone (id BIGINT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\")",
    "INSERT INTO gone VALUES (1)",
    "DROP TABLE gone",
    "ALTER TABLE rolled RENAME ROLLUP r1 r2",
    "ALTER TABLE rolled DROP ROLLUP r2",
    "CREATE VIEW counted AS SELECT id, count(*) AS c FROM log_a GROUP BY id",
    "ALTER VIEW counted AS SELECT id FROM log_a",
    "DROP VIEW names",
];

/// Changes that bring their table anew.
const RENEWALS: [&[&str]; 4] = [
    &[
        "ALTER TABLE log_a MODIFY COLUMN v STRING",
        "INSERT INTO log_a (id, v) VALUES (900001, 'after the heavy change')",
    ],
    &[
        "INSERT OVERWRITE TABLE log_b SELECT id, v FROM log_b WHERE id % 2 = 0",
        "INSERT INTO log_b (id, v) VALUES (900002, 'after the overwrite')",
    ],
    &[
        "ALTER TABLE users ADD TEMPORARY PARTITION tp VALUES [(\"2026-01-01\"), (\"2026-02-01\"))",
        "INSERT INTO users TEMPORARY PARTITION (tp) (id, day, v) VALUES (7001, '2026-01-09', 'replaced')",
        "ALTER TABLE users REPLACE PARTITION (p1) WITH TEMPORARY PARTITION (tp)",
        "INSERT INTO users (id, day, v) VALUES (7002, '2026-01-10', 'after the replacement')",
    ],
    &[
        "ALTER TABLE totals ADD ROLLUP by_k (k, n)",
        "INSERT INTO totals VALUES (3, 100, 1)",
    ],
];

#[tokio::test(flavor = "multi_thread")]
async fn every_row_arrives_through_a_genuine_frontend() {
    through_b().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_processes_lose_and_repeat_nothing() {
    killed().await.unwrap();
}

async fn through_b() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let a = World::start(0).await?;
    let b = Genuine::start(2).await?;
    let c = Cluster::start("c", 2).await?;
    let mut workload = Workload::start(&a, 71, false).await?;
    for sql in SHAPES {
        a.sql(sql).await?;
    }
    for _ in 0..20 {
        workload.step(&a).await?;
    }
    let (stack, api) = embedded_stack(folder.path()).await?;
    api.create(&job(
        "ab",
        a.source.endpoint(DATABASE),
        b.endpoint(DATABASE),
    ))
    .await?;
    through(&api, "ab", &a.source.client, DATABASE).await?;
    b.client
        .execute(None, &format!("ALTER DATABASE {DATABASE} {ON}"))
        .await?;
    api.create(&job("bc", b.endpoint(DATABASE), c.endpoint(DATABASE)))
        .await?;
    let one = table_job(
        "one",
        b.endpoint(DATABASE),
        c.endpoint("elsewhere"),
        "log_a",
        "journal",
    );
    api.create(&one).await?;
    through(&api, "bc", &b.client, DATABASE).await?;
    equal((&a.source.client, DATABASE), (&c.client, DATABASE)).await?;

    // Statements, with loads between them.
    for sql in CHANGES {
        a.sql(sql).await?;
        workload.step(&a).await?;
    }
    through(&api, "ab", &a.source.client, DATABASE).await?;
    through(&api, "bc", &b.client, DATABASE).await?;
    let rows = equal((&a.source.client, DATABASE), (&c.client, DATABASE)).await?;
    assert!(rows > 40, "{rows}");
    through(&api, "one", &b.client, DATABASE).await?;
    assert_eq!(c.tables("elsewhere").await?, ["journal"]);

    // What a restore brings to B makes no record there: C is told by a resync.
    for change in RENEWALS {
        for sql in change {
            a.sql(sql).await?;
        }
        through(&api, "ab", &a.source.client, DATABASE)
            .await
            .with_context(|| format!("after {change:?}"))?;
    }
    let done = api.post("resync", &json!({"name": "bc"})).await?;
    assert_eq!(done["success"], json!(true), "{done}");
    a.sql("INSERT INTO log_a (id, v) VALUES (900009, 'after the resync')")
        .await?;
    through(&api, "ab", &a.source.client, DATABASE).await?;
    through(&api, "bc", &b.client, DATABASE).await?;
    equal((&a.source.client, DATABASE), (&c.client, DATABASE)).await?;

    // A new start of the first job replaces what is at B.
    let done = api.post("resync", &json!({"name": "ab"})).await?;
    assert_eq!(done["success"], json!(true), "{done}");
    a.sql("INSERT INTO log_a (id, v) VALUES (900010, 'after the other resync')")
        .await?;
    through(&api, "ab", &a.source.client, DATABASE).await?;
    let failures = b.thread_failures()?;
    assert!(failures.is_empty(), "{failures:?}");
    stack.stop().await;
    Ok(())
}

async fn killed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let a = World::start(0).await?;
    let b = Genuine::start(2).await?;
    let c = Cluster::start("c", 2).await?;
    let mut workload = Workload::start(&a, 72, false).await?;
    workload.step(&a).await?;
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    drop(listener);
    let args = [
        "standalone".to_owned(),
        "--listen".to_owned(),
        address.to_string(),
        "--data-dir".to_owned(),
        folder.path().join("data").display().to_string(),
    ];
    let log = folder.path().join("ccr.log");
    let start = || Process::start(ccr_tests::Binary::Ccr, &args, &log);
    let mut process = start()?;
    let api = ccr_tests::Api::at(address);
    let body = job("ab", a.source.endpoint(DATABASE), b.endpoint(DATABASE));
    let mut created = api.create(&body).await;
    for _ in 0..50 {
        if created.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        created = api.create(&body).await;
    }
    created?;
    for round in 0..8_u64 {
        for _ in 0..12 {
            workload.step(&a).await?;
        }
        if round % 3 == 2 {
            a.sql(&format!(
                "ALTER TABLE log_a ADD COLUMN k{round} INT NULL DEFAULT \"{round}\""
            ))
            .await?;
            a.sql(&format!("CREATE TABLE made_{round} LIKE log_b"))
                .await?;
            a.sql(&format!("INSERT INTO made_{round} VALUES ({round}, 'x')"))
                .await?;
        }
        tokio::time::sleep(std::time::Duration::from_millis(300 + 400 * round)).await;
        process.kill9()?;
        process = start()?;
    }
    through(&api, "ab", &a.source.client, DATABASE)
        .await
        .with_context(|| process.tail())?;
    b.client
        .execute(None, &format!("ALTER DATABASE {DATABASE} {ON}"))
        .await?;
    api.create(&job("bc", b.endpoint(DATABASE), c.endpoint(DATABASE)))
        .await?;
    through(&api, "bc", &b.client, DATABASE)
        .await
        .with_context(|| process.tail())?;
    let rows = equal((&a.source.client, DATABASE), (&c.client, DATABASE)).await?;
    assert!(rows > 100, "{rows}");
    Ok(())
}
