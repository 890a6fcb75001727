//! Statements of replication suites and of ordinary clients, by subject: what they do, and what the SHOW forms that such
//! suites poll say about it.

use std::time::Duration;

use dorisim::SimCluster;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value};

use crate::mysql::{cluster, root};

const ONE: &str = "DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\", \"binlog.enable\" = \"true\")";

/// A cluster with database `d`, and a connection that uses it.
async fn started(name: &str) -> (SimCluster, Conn) {
    let sim = cluster(name).await;
    let mut conn = root(&sim).await;
    conn.query_drop("CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")")
        .await
        .unwrap();
    conn.query_drop("USE d").await.unwrap();
    (sim, conn)
}

async fn run(conn: &mut Conn, sql: &str) {
    conn.query_drop(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Names of the columns, and rows as texts.
async fn ask(conn: &mut Conn, sql: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let mut result = conn
        .query_iter(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let names = result
        .columns_ref()
        .iter()
        .map(|column| column.name_str().into_owned())
        .collect();
    let rows: Vec<Row> = result.collect().await.unwrap();
    let text = |value: Value| match value {
        Value::NULL => "NULL".to_owned(),
        Value::Bytes(bytes) => String::from_utf8(bytes).unwrap(),
        other => other.as_sql(true),
    };
    let rows = rows
        .into_iter()
        .map(|row| row.unwrap().into_iter().map(text).collect())
        .collect();
    (names, rows)
}

/// The values of one column.
async fn column(conn: &mut Conn, sql: &str, name: &str) -> Vec<String> {
    let (names, rows) = ask(conn, sql).await;
    let at = names
        .iter()
        .position(|known| known == name)
        .unwrap_or_else(|| panic!("{sql} has no {name}: {names:?}"));
    rows.into_iter().map(|row| row[at].clone()).collect()
}

/// Waits until a statement has as many rows.
async fn until(conn: &mut Conn, sql: &str, wanted: usize) {
    for _ in 0..200 {
        if ask(conn, sql).await.1.len() == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{sql}: {:?}", ask(conn, sql).await);
}

fn finished(table: &str) -> String {
    format!("SHOW ALTER TABLE COLUMN FROM d WHERE TableName = \"{table}\" AND State = \"FINISHED\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_come_go_and_are_told_apart() {
    let (_sim, mut conn) = started("st-partitions").await;
    run(
        &mut conn,
        "CREATE TABLE p (k INT, v INT,) DUPLICATE KEY(k) PARTITION BY RANGE(k) \
         (PARTITION a VALUES LESS THAN ('10'), PARTITION b VALUES [('10'), ('20'))) \
         DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"replication_num\" = \"1\")",
    )
    .await;
    run(
        &mut conn,
        "ALTER TABLE p ADD PARTITION c VALUES LESS THAN ('30')",
    )
    .await;
    run(
        &mut conn,
        "ALTER TABLE p ADD TEMPORARY PARTITION t VALUES [('10'), ('20'))",
    )
    .await;
    run(&mut conn, "INSERT INTO p VALUES (1, 1), (11, 2), (21, 3)").await;
    run(
        &mut conn,
        "INSERT INTO p TEMPORARY PARTITION(t) VALUES (12, 4)",
    )
    .await;
    let named = "SHOW PARTITIONS FROM p WHERE PartitionName = \"b\"";
    let (names, rows) = ask(&mut conn, named).await;
    assert_eq!(names.len(), 22);
    assert_eq!((rows.len(), rows[0][1].as_str()), (1, "b"));
    run(
        &mut conn,
        "ALTER TABLE p REPLACE PARTITION (b) WITH TEMPORARY PARTITION (t)",
    )
    .await;
    assert_eq!(
        column(&mut conn, "SELECT k FROM p ORDER BY k", "k").await,
        ["1", "12", "21"]
    );
    assert!(
        ask(&mut conn, "SHOW TEMPORARY PARTITIONS FROM p")
            .await
            .1
            .is_empty()
    );
    run(&mut conn, "ALTER TABLE p RENAME PARTITION c z").await;
    run(&mut conn, "TRUNCATE TABLE p PARTITION(z)").await;
    run(&mut conn, "ALTER TABLE p DROP PARTITION IF EXISTS a").await;
    assert_eq!(
        column(
            &mut conn,
            "SHOW PARTITIONS FROM p ORDER BY PartitionName",
            "PartitionName"
        )
        .await,
        ["b", "z"]
    );
    run(&mut conn, "RECOVER PARTITION a FROM p").await;
    assert_eq!(
        column(&mut conn, "SELECT k FROM p ORDER BY k", "k").await,
        ["1", "12"]
    );
    run(
        &mut conn,
        "INSERT OVERWRITE TABLE p PARTITION(b) VALUES (15, 9)",
    )
    .await;
    run(
        &mut conn,
        "INSERT OVERWRITE TABLE p PARTITION(*) VALUES (3, 9)",
    )
    .await;
    assert_eq!(
        column(&mut conn, "SELECT k FROM p ORDER BY k", "k").await,
        ["3", "15"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_changes_are_listed_light_or_heavy() {
    let (_sim, mut conn) = started("st-columns").await;
    run(
        &mut conn,
        &format!("CREATE TABLE u (k INT, v INT NULL DEFAULT \"1\") UNIQUE KEY(k) {ONE}"),
    )
    .await;
    run(&mut conn, "INSERT INTO u VALUES (1, 1)").await;
    // A light change is a job that is over at once.
    run(
        &mut conn,
        "ALTER TABLE u ADD COLUMN w VARCHAR(20) DEFAULT \"x\" AFTER k",
    )
    .await;
    until(&mut conn, &finished("u"), 1).await;
    // A key column of a UNIQUE table rewrites it.
    run(
        &mut conn,
        "ALTER TABLE u ADD COLUMN `first` INT KEY DEFAULT \"0\" FIRST",
    )
    .await;
    until(&mut conn, &finished("u"), 2).await;
    let (_, described) = ask(&mut conn, "DESC u").await;
    let keys: Vec<(&str, &str)> = described
        .iter()
        .map(|row| (row[0].as_str(), row[3].as_str()))
        .collect();
    assert_eq!(
        keys[..3],
        [("first", "true"), ("k", "true"), ("w", "false")]
    );
    assert_eq!(
        ask(&mut conn, "SHOW COLUMNS FROM u WHERE Field = \"first\"")
            .await
            .1[0][3],
        "YES"
    );
    run(&mut conn, "ALTER TABLE u MODIFY COLUMN v BIGINT").await;
    until(&mut conn, &finished("u"), 3).await;
    run(&mut conn, "ALTER TABLE u RENAME COLUMN v total").await;
    run(
        &mut conn,
        "INSERT INTO u (`first`, k, total) VALUES (2, 3, 9999999999)",
    )
    .await;
    assert_eq!(
        ask(&mut conn, "SELECT * FROM u ORDER BY k").await.1,
        [["0", "1", "x", "1"], ["2", "3", "x", "9999999999"]]
    );
    let jobs = ask(&mut conn, "SHOW ALTER TABLE COLUMN FROM d").await.0;
    assert_eq!(
        jobs,
        [
            "JobId",
            "TableName",
            "CreateTime",
            "FinishTime",
            "IndexName",
            "IndexId",
            "OriginIndexId",
            "SchemaVersion",
            "TransactionId",
            "State",
            "Msg",
            "Progress",
            "Timeout",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_and_bloom_filters_change_the_table_in_their_own_way() {
    let (sim, mut conn) = started("st-indexes").await;
    run(
        &mut conn,
        &format!("CREATE TABLE i (k INT, v STRING) DUPLICATE KEY(k) {ONE}"),
    )
    .await;
    run(
        &mut conn,
        "INSERT INTO i VALUES (1, 'quick brown fox'), (2, 'lazy dog')",
    )
    .await;
    let tablet = |rows: Vec<Vec<String>>| rows[0][0].clone();
    let before = tablet(ask(&mut conn, "SHOW TABLETS FROM i").await.1);
    run(
        &mut conn,
        "ALTER TABLE i ADD INDEX words (v) USING INVERTED PROPERTIES (\"parser\" = \"english\")",
    )
    .await;
    until(&mut conn, &finished("i"), 1).await;
    run(&mut conn, "BUILD INDEX words ON i").await;
    until(
        &mut conn,
        "SHOW BUILD INDEX FROM d WHERE TableName = \"i\" AND State = \"FINISHED\"",
        1,
    )
    .await;
    assert_eq!(
        column(
            &mut conn,
            "SHOW INDEXES FROM i WHERE Key_name = 'words'",
            "Index_type"
        )
        .await,
        ["INVERTED"]
    );
    assert_eq!(
        before,
        tablet(ask(&mut conn, "SHOW TABLETS FROM i").await.1),
        "metadata alone"
    );
    // Bloom filters and n-grams are part of the data: new tablets.
    run(
        &mut conn,
        "ALTER TABLE i SET (\"bloom_filter_columns\" = \"v\")",
    )
    .await;
    until(&mut conn, &finished("i"), 2).await;
    let after = tablet(ask(&mut conn, "SHOW TABLETS FROM i").await.1);
    assert_ne!(before, after);
    run(
        &mut conn,
        "ALTER TABLE i ADD INDEX grams (v) USING NGRAM_BF PROPERTIES (\"gram_size\" = \"3\", \"bf_size\" = \"256\")",
    )
    .await;
    until(&mut conn, &finished("i"), 3).await;
    run(&mut conn, "ALTER TABLE i DROP INDEX grams").await;
    until(&mut conn, &finished("i"), 4).await;
    assert_ne!(after, tablet(ask(&mut conn, "SHOW TABLETS FROM i").await.1));
    let create = column(&mut conn, "SHOW CREATE TABLE i", "Create Table").await;
    assert!(
        create[0].contains("\"bloom_filter_columns\" = \"v\""),
        "{create:?}"
    );
    assert!(
        create[0].contains("INDEX words") && !create[0].contains("grams"),
        "{create:?}"
    );
    // What an id in the listings stands for.
    let (db, table) = sim.frontend().with_catalog(|catalog| {
        let db = catalog.database("d").unwrap();
        (db.id, db.table("i").unwrap().id)
    });
    let path = format!("SHOW PROC '/dbs/{db}/{table}/indexes'");
    assert_eq!(column(&mut conn, &path, "KeyName").await, ["words"]);
    let path = format!("SHOW PROC '/dbs/{db}/{table}'");
    assert_eq!(ask(&mut conn, &path).await.1.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn rollups_and_materialized_views_are_made_and_altered() {
    let (_sim, mut conn) = started("st-rollups").await;
    run(
        &mut conn,
        &format!(
            "CREATE TABLE r (k INT, k2 INT, k3 INT, v INT SUM) AGGREGATE KEY(k, k2, k3) {ONE}"
        ),
    )
    .await;
    run(&mut conn, "INSERT INTO r VALUES (1, 2, 3, 4), (1, 5, 6, 7)").await;
    run(&mut conn, "ALTER TABLE r ADD ROLLUP small (k, k2, v)").await;
    let rollups = "SHOW ALTER TABLE ROLLUP FROM d WHERE TableName = \"r\" AND State = \"FINISHED\"";
    until(&mut conn, rollups, 1).await;
    run(&mut conn, "ALTER TABLE r ORDER BY (k2, k, v) FROM small").await;
    until(&mut conn, &finished("r"), 1).await;
    run(&mut conn, "ALTER TABLE r DROP COLUMN k2 FROM small").await;
    until(&mut conn, &finished("r"), 2).await;
    let (names, rows) = ask(&mut conn, "DESC r ALL").await;
    assert_eq!(names[..3], ["IndexName", "IndexKeysType", "Field"]);
    let start = rows.iter().position(|row| row[0] == "small").unwrap();
    let fields: Vec<&str> = rows[start..].iter().map(|row| row[2].as_str()).collect();
    assert_eq!(fields, ["k", "v"]);
    assert_eq!(
        ask(&mut conn, "SELECT * FROM r ORDER BY k2").await.1.len(),
        2
    );
    let plan = ask(&mut conn, "EXPLAIN SELECT k, SUM(v) FROM r GROUP BY k")
        .await
        .1;
    assert!(
        plan.iter().any(|line| line[0].contains("d.r(small)")),
        "{plan:?}"
    );
    run(
        &mut conn,
        &format!("CREATE TABLE m (k INT, name STRING, v INT) DUPLICATE KEY(k) {ONE}"),
    )
    .await;
    run(&mut conn, "INSERT INTO m VALUES (1, 'a', 2)").await;
    run(
        &mut conn,
        "CREATE MATERIALIZED VIEW names AS SELECT k, name FROM m",
    )
    .await;
    let views = "SHOW ALTER TABLE MATERIALIZED VIEW FROM d WHERE TableName = \"m\" AND State = \"FINISHED\"";
    until(&mut conn, views, 1).await;
    let plan = ask(&mut conn, "EXPLAIN SELECT k, name FROM m").await.1;
    assert!(
        plan.iter().any(|line| line[0].contains("(names)")),
        "{plan:?}"
    );
    run(&mut conn, "DROP MATERIALIZED VIEW names ON m").await;
    assert!(
        conn.query_drop("EXPLAIN SELECT missing FROM m")
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn views_are_found_by_the_tables_they_read() {
    let (_sim, mut conn) = started("st-views").await;
    for table in ["a", "b"] {
        run(
            &mut conn,
            &format!("CREATE TABLE {table} (k INT, v INT) DUPLICATE KEY(k) {ONE}"),
        )
        .await;
    }
    run(
        &mut conn,
        "CREATE VIEW both_of AS SELECT a.k, b.v FROM a JOIN b ON a.k = b.k",
    )
    .await;
    run(
        &mut conn,
        "CREATE VIEW of_a (x COMMENT 'the key') AS SELECT k FROM d.a",
    )
    .await;
    assert_eq!(
        column(&mut conn, "SHOW VIEW FROM a", "View").await,
        ["both_of", "of_a"]
    );
    assert_eq!(
        column(&mut conn, "SHOW VIEW FROM b FROM d", "View").await,
        ["both_of"]
    );
    run(&mut conn, "ALTER VIEW of_a AS SELECT v AS x FROM b").await;
    assert_eq!(
        column(&mut conn, "SHOW VIEW FROM b", "View").await,
        ["both_of", "of_a"]
    );
    assert_eq!(
        column(
            &mut conn,
            "SHOW VIEWS WHERE Tables_in_d = 'of_a'",
            "Tables_in_d"
        )
        .await,
        ["of_a"]
    );
    run(&mut conn, "DROP VIEW both_of").await;
    assert!(ask(&mut conn, "SHOW VIEW FROM a").await.1.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_are_polled_by_name() {
    let (_sim, mut conn) = started("st-backup").await;
    run(
        &mut conn,
        &format!("CREATE TABLE s (k INT) DUPLICATE KEY(k) {ONE}"),
    )
    .await;
    run(
        &mut conn,
        "BACKUP SNAPSHOT d.first TO `__keep_on_local__` ON (s) PROPERTIES (\"type\" = \"full\")",
    )
    .await;
    until(
        &mut conn,
        "SHOW BACKUP FROM d WHERE SnapshotName = 'first' AND State = 'FINISHED'",
        1,
    )
    .await;
    assert_eq!(
        column(
            &mut conn,
            "SHOW BACKUP WHERE SnapshotName LIKE 'fi%'",
            "BackupObjs"
        )
        .await,
        ["[d.s]"]
    );
    let (names, rows) = ask(&mut conn, "SHOW RESTORE FROM d").await;
    assert_eq!(
        (names.len(), names[10].as_str(), rows.len()),
        (21, "RestoreObjs", 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_column_type_is_written_and_read() {
    let (_sim, mut conn) = started("st-types").await;
    run(
        &mut conn,
        &format!(
            "CREATE TABLE w (k INT, a ARRAY<INT>, m MAP<STRING, INT>, s STRUCT<f: INT, g: STRING>, j JSON, \
             x VARIANT) DUPLICATE KEY(k) {ONE}"
        ),
    )
    .await;
    run(
        &mut conn,
        "INSERT INTO w VALUES (1, [1, 2, 3], {'a': 1, 'b': 2}, {7, 'seven'}, '{\"q\": [1, 2]}', '{\"z\": {\"y\": 5}}'), \
         (2, NULL, NULL, NULL, NULL, NULL)",
    )
    .await;
    let query = "SELECT a[1] + a[-1], size(a), m['b'], x['z']['y'] FROM w WHERE a IS NOT NULL";
    assert_eq!(ask(&mut conn, query).await.1, [["4", "3", "2", "5"]]);
    run(
        &mut conn,
        &format!(
            "CREATE TABLE b (k INT, s BITMAP BITMAP_UNION, h HLL HLL_UNION) AGGREGATE KEY(k) {ONE}"
        ),
    )
    .await;
    run(
        &mut conn,
        "INSERT INTO b VALUES (1, to_bitmap(3), hll_hash('x'))",
    )
    .await;
    run(
        &mut conn,
        "INSERT INTO b SELECT 1, to_bitmap(4), hll_hash('y')",
    )
    .await;
    assert_eq!(
        ask(
            &mut conn,
            "SELECT bitmap_to_string(s), bitmap_count(s), hll_cardinality(h) FROM b"
        )
        .await
        .1,
        [["3,4", "2", "2"]]
    );
    assert_eq!(
        ask(
            &mut conn,
            "SELECT bitmap_union_count(s), hll_union_agg(h) FROM b"
        )
        .await
        .1,
        [["2", "2"]]
    );
}

/// What drivers and tools send when they connect or list objects.
#[tokio::test(flavor = "multi_thread")]
async fn clients_are_answered_at_connect() {
    let (_sim, mut conn) = started("st-clients").await;
    run(
        &mut conn,
        &format!("CREATE TABLE t (k INT) DUPLICATE KEY(k) {ONE}"),
    )
    .await;
    for statement in [
        "SET NAMES utf8mb4 COLLATE utf8mb4_general_ci",
        "SET autocommit=1, sql_mode='STRICT_TRANS_TABLES'",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET character_set_results = NULL",
        "ANALYZE TABLE t WITH SYNC",
        "KILL QUERY 99999",
        "CREATE ROLE readers",
        "DROP MATERIALIZED VIEW IF EXISTS d.nothing",
        "GRANT SELECT_PRIV ON d.* TO ROLE 'readers'",
        "SYNC",
        "SELECT /*+ SET_VAR(query_timeout = 1) */ @@version_comment LIMIT 1",
        "EXPLAIN VERBOSE SELECT * FROM t",
    ] {
        run(&mut conn, statement).await;
    }
    for (statement, columns) in [
        ("SHOW VARIABLES WHERE Variable_name IN ('sql_mode')", 4),
        ("SHOW FULL TABLES FROM d WHERE Table_type != 'VIEW'", 4),
        ("SHOW KEYS FROM t WHERE Key_name = 'PRIMARY'", 13),
        ("SHOW FULL COLUMNS FROM t FROM d LIKE '%'", 9),
        ("SHOW FRONTENDS", 20),
        ("SHOW BACKENDS", 29),
    ] {
        let (names, _) = ask(&mut conn, statement).await;
        assert_eq!(names.len(), columns, "{statement}: {names:?}");
    }
    assert_eq!(
        column(
            &mut conn,
            "SHOW VARIABLES WHERE Variable_name = 'autocommit' OR Variable_name = 'wait_timeout'",
            "Variable_name"
        )
        .await,
        ["autocommit", "wait_timeout"]
    );
    assert!(conn.query_drop("SHOW NOTHING AT ALL").await.is_err());
}
