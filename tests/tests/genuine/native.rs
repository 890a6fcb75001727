//! Statements that a genuine frontend ran and recorded itself, at another genuine frontend and at dorisim.

use anyhow::Result;
use ccr_doris::SqlSession;
use ccr_lab::Cluster;
use ccr_tests::embedded_stack;

use crate::cluster::Genuine;
use crate::steps::{job, same, through};

const DATABASE: &str = "shop";

const BEFORE: [&str; 5] = [
    "CREATE TABLE plain (id BIGINT NOT NULL, v VARCHAR(64)) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 3",
    "CREATE TABLE users (id BIGINT NOT NULL, day DATE NOT NULL, v VARCHAR(64) DEFAULT \"x\" COMMENT \"cc\") UNIQUE KEY(id, day) \
     PARTITION BY RANGE(day) (PARTITION p1 VALUES [(\"2026-01-01\"), (\"2026-02-01\")), \
     PARTITION p2 VALUES [(\"2026-02-01\"), (\"2026-03-01\"))) DISTRIBUTED BY HASH(id) BUCKETS 2",
    "CREATE TABLE totals (k INT NOT NULL, n BIGINT SUM, last BIGINT REPLACE) AGGREGATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2",
    "CREATE TABLE listed (k INT NOT NULL, g INT) DUPLICATE KEY(k) PARTITION BY LIST(k) \
     (PARTITION a VALUES IN (1, 2), PARTITION d) DISTRIBUTED BY RANDOM BUCKETS AUTO",
    "CREATE VIEW seen AS SELECT id, v FROM plain",
];

const AFTER: [&str; 34] = [
    "INSERT INTO plain VALUES (1, 'one'), (2, 'two')",
    "INSERT INTO users VALUES (1, '2026-01-05', 'a'), (2, '2026-02-05', 'b')",
    "INSERT INTO totals VALUES (1, 2, 3), (1, 4, 5)",
    "ALTER TABLE plain ADD COLUMN c1 INT NULL DEFAULT \"7\" AFTER id",
    "ALTER TABLE plain ADD COLUMN (c2 DATETIME(3) NULL COMMENT 'it''s \"quoted\"', c3 DECIMAL(18,4) DEFAULT \"1.5\")",
    "INSERT INTO plain (id, v, c1) VALUES (3, 'three', 3)",
    "ALTER TABLE plain RENAME COLUMN c3 c33",
    "ALTER TABLE plain DROP COLUMN c2",
    "ALTER TABLE plain MODIFY COLUMN v COMMENT \"of the column\"",
    "ALTER TABLE plain MODIFY COMMENT \"it's the table\"",
    "ALTER TABLE plain MODIFY COLUMN v VARCHAR(128)",
    "ALTER TABLE users ADD PARTITION p3 VALUES LESS THAN (\"2026-04-01\")",
    "ALTER TABLE users ADD PARTITION p4 VALUES [(\"2026-04-01\"), (\"2026-05-01\")) (\"replication_num\" = \"1\")",
    "ALTER TABLE users RENAME PARTITION p4 april",
    "ALTER TABLE users DROP PARTITION p2",
    "ALTER TABLE users DROP PARTITION april FORCE",
    "ALTER TABLE users SET (\"disable_auto_compaction\" = \"true\")",
    "ALTER TABLE listed ADD PARTITION b VALUES IN (5, 6)",
    "TRUNCATE TABLE listed PARTITION (a)",
    "TRUNCATE TABLE totals",
    "CREATE TABLE kinds (k1 BOOLEAN, k2 TINYINT, k6 LARGEINT, k7 DECIMAL(9,2), k11 DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3), \
     k12 CHAR(5), k14 IPV4, v3 STRING, v4 JSON, v5 VARIANT, v6 ARRAY<INT>, v7 MAP<STRING,DECIMAL(5,2)>, \
     v8 STRUCT<a:INT,b:DATETIME(2)>) DUPLICATE KEY(k1,k2) COMMENT \"of all kinds\" DISTRIBUTED BY HASH(k1,k2) BUCKETS 2 \
     PROPERTIES (\"bloom_filter_columns\" = \"k12\")",
    "CREATE TABLE auto_parts (k INT, d DATETIME NOT NULL) DUPLICATE KEY(k) AUTO PARTITION BY RANGE(date_trunc(d, 'month')) () \
     DISTRIBUTED BY HASH(k) BUCKETS 1",
    "CREATE TABLE alike LIKE users",
    "ALTER TABLE alike RENAME other",
    "ALTER TABLE other REPLACE WITH TABLE kinds PROPERTIES('swap' = 'true')",
    "CREATE VIEW counted(a COMMENT \"ca\", b) COMMENT \"vc\" AS SELECT k, count(*) FROM totals GROUP BY k",
    "ALTER VIEW counted AS SELECT k, n FROM totals",
    "DROP VIEW seen",
    "CREATE TABLE gone (id BIGINT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1",
    "DROP TABLE gone",
    "CREATE TABLE gone (id BIGINT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1",
    "DROP TABLE gone FORCE",
    "RECOVER TABLE gone",
    "INSERT INTO plain (id, v) VALUES (9, 'last')",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_a_genuine_frontend_did_is_repeated_at_dorisim() {
    to_dorisim().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_genuine_frontend_did_is_repeated_at_another() {
    to_genuine().await.unwrap();
}

async fn prepare(a: &Genuine) -> Result<()> {
    let create = format!(
        "CREATE DATABASE {DATABASE} PROPERTIES (\"binlog.enable\" = \"true\", \"replication_allocation\" = \"tag.location.default:1\")"
    );
    a.client.execute(None, &create).await?;
    for sql in BEFORE {
        a.sql(DATABASE, sql).await?;
    }
    Ok(())
}

/// What SHOW CREATE TABLE says of each object, without what belongs to a destination.
async fn shapes(client: &ccr_doris::DorisCluster) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for row in client.query(Some(DATABASE), "SHOW TABLES").await? {
        let Some(name) = row.into_values().flatten().next() else {
            continue;
        };
        let rows = client
            .query(Some(DATABASE), &format!("SHOW CREATE TABLE `{name}`"))
            .await?;
        let text = rows.iter().find_map(|row| {
            let text = row.get("Create Table").or_else(|| row.get("Create View"));
            text.cloned().flatten()
        });
        found.push((
            name,
            text.unwrap_or_default().replace(
                "\"is_being_synced\" = \"true\"",
                "\"is_being_synced\" = \"false\"",
            ),
        ));
    }
    found.sort();
    Ok(found)
}

async fn to_dorisim() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let a = Genuine::start(1).await?;
    let b = Cluster::start("b", 2).await?;
    prepare(&a).await?;
    let (stack, api) = embedded_stack(folder.path()).await?;
    api.create(&job("ab", a.endpoint(DATABASE), b.endpoint(DATABASE)))
        .await?;
    through(&api, "ab", &a.client, DATABASE).await?;
    for sql in AFTER {
        a.sql(DATABASE, sql).await?;
    }
    through(&api, "ab", &a.client, DATABASE).await?;
    for table in ["plain", "users", "totals", "listed"] {
        same((&a.client, DATABASE), (&b.client, DATABASE), table).await?;
    }
    let names =
        |shapes: Vec<(String, String)>| shapes.into_iter().map(|(n, _)| n).collect::<Vec<_>>();
    assert_eq!(
        names(shapes(&a.client).await?),
        names(shapes(&b.client).await?)
    );
    stack.stop().await;
    Ok(())
}

async fn to_genuine() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let a = Genuine::start(1).await?;
    let b = Genuine::start(1).await?;
    prepare(&a).await?;
    let (stack, api) = embedded_stack(folder.path()).await?;
    api.create(&job("ab", a.endpoint(DATABASE), b.endpoint(DATABASE)))
        .await?;
    through(&api, "ab", &a.client, DATABASE).await?;
    assert_eq!(shapes(&a.client).await?, shapes(&b.client).await?);
    for sql in AFTER {
        a.sql(DATABASE, sql).await?;
    }
    through(&api, "ab", &a.client, DATABASE).await?;
    assert_eq!(shapes(&a.client).await?, shapes(&b.client).await?);
    for table in ["plain", "users", "totals", "listed"] {
        same((&a.client, DATABASE), (&b.client, DATABASE), table).await?;
    }
    for cluster in [&a, &b] {
        let failures = cluster.thread_failures()?;
        assert!(failures.is_empty(), "{failures:?}");
    }
    stack.stop().await;
    Ok(())
}
