//! Statements that Doris does not know, and those that the simulated frontend cannot carry out: both are refused. What is
//! accepted without an effect is counted.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use crate::mysql::{cluster, root};

async fn run(conn: &mut Conn, sql: &str) {
    conn.query_drop(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn refusal(conn: &mut Conn, sql: &str) -> String {
    match conn.query_drop(sql).await {
        Ok(()) => panic!("{sql} was accepted"),
        Err(mysql_async::Error::Server(error)) => error.message,
        Err(other) => panic!("{sql}: {other}"),
    }
}

async fn column(conn: &mut Conn, sql: &str, at: usize) -> Vec<String> {
    let rows: Vec<Row> = conn
        .query(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.iter().map(|row| row.get(at).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_doris_does_not_know_is_a_syntax_error_and_what_is_not_simulated_is_refused() {
    let sim = cluster("unknown-statements").await;
    let mut conn = root(&sim).await;
    run(&mut conn, "CREATE DATABASE d").await;
    run(&mut conn, "USE d").await;
    run(
        &mut conn,
        "CREATE TABLE t (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1",
    )
    .await;
    for sql in [
        "DROP TABEL t",
        "DROP t",
        "CANCEL WHATEVER FOO",
        "CREATE TABEL u (k INT)",
        "ALTER TABEL t ADD COLUMN c INT",
        "ADMIN WHATEVER",
        "TRUNCATE TABEL t",
        "FROBNICATE t",
    ] {
        let text = refusal(&mut conn, sql).await;
        assert!(
            text.contains("mismatched input")
                || text.contains("expecting")
                || text.contains("near"),
            "{sql}: {text}"
        );
    }
    for (sql, what) in [
        (
            "CREATE STORAGE POLICY p PROPERTIES (\"a\" = \"b\")",
            "CREATE STORAGE",
        ),
        (
            "ADMIN CREATE CLUSTER SNAPSHOT PROPERTIES (\"ttl\" = \"1\")",
            "CLUSTER SNAPSHOT",
        ),
        (
            "CREATE TEMPORARY TABLE x (k INT) DISTRIBUTED BY HASH(k) BUCKETS 1",
            "CREATE TEMPORARY",
        ),
        (
            "CREATE RESOURCE r PROPERTIES (\"type\" = \"s3\")",
            "CREATE RESOURCE",
        ),
        (
            "CREATE REPOSITORY r WITH S3 ON LOCATION \"s3://b\" PROPERTIES (\"a\" = \"b\")",
            "CREATE REPOSITORY",
        ),
        (
            "ADMIN SET REPLICA STATUS PROPERTIES (\"status\" = \"bad\")",
            "ADMIN SET REPLICA",
        ),
        ("DROP STORAGE POLICY p", "DROP STORAGE POLICY"),
        ("ALTER SYSTEM ADD FOLLOWER \"h:9010\"", "ALTER SYSTEM"),
    ] {
        let text = refusal(&mut conn, sql).await;
        assert!(
            text.contains(what) && text.contains("not supported by this simulated frontend"),
            "{sql}: {text}"
        );
    }
    assert_eq!(column(&mut conn, "SHOW TABLES", 0).await, ["t"]);
    for sql in [
        "CREATE ROLE r",
        "DROP STORAGE POLICY IF EXISTS p",
        "ADMIN CLEAN TRASH",
    ] {
        run(&mut conn, sql).await;
    }
    let counters = sim.counters();
    for kind in ["CREATE ROLE", "DROP STORAGE POLICY", "ADMIN CLEAN TRASH"] {
        assert_eq!(
            counters.get(&format!("no_effect.{kind}")),
            Some(&1),
            "{kind}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn global_variables_are_those_of_new_sessions() {
    let sim = cluster("global-variables").await;
    let mut one = root(&sim).await;
    let mut open = root(&sim).await;
    run(
        &mut one,
        "SET GLOBAL enable_agg_state = true, GLOBAL query_timeout = 77",
    )
    .await;
    let mut new = root(&sim).await;
    for (conn, expected) in [(&mut one, "77"), (&mut new, "77"), (&mut open, "900")] {
        let value = column(conn, "SELECT CAST(@@query_timeout AS STRING)", 0).await;
        assert_eq!(value, [expected]);
        let value = column(conn, "SELECT CAST(@@GLOBAL.query_timeout AS STRING)", 0).await;
        assert_eq!(value, ["77"]);
        let shown = "SHOW GLOBAL VARIABLES LIKE 'query_timeout'";
        assert_eq!(column(conn, shown, 1).await, ["77"]);
    }
    run(&mut open, "SET query_timeout = 5").await;
    let mut newer = root(&sim).await;
    let value = column(&mut newer, "SELECT CAST(@@query_timeout AS STRING)", 0).await;
    assert_eq!(value, ["77"]);
    let mut reader = Conn::new(crate::mysql::options(&sim, "reader", Some("s3cret")))
        .await
        .unwrap();
    let text = refusal(&mut reader, "SET GLOBAL query_timeout = 1").await;
    assert!(text.contains("ADMIN"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_of_users_are_kept_and_shown() {
    let sim = cluster("functions").await;
    let mut conn = root(&sim).await;
    run(&mut conn, "CREATE DATABASE d").await;
    run(&mut conn, "USE d").await;
    let create = "CREATE FUNCTION my_add(INT, INT) RETURNS INT PROPERTIES (\"symbol\" = \"x\")";
    run(&mut conn, create).await;
    assert!(refusal(&mut conn, create).await.contains("already exists"));
    run(
        &mut conn,
        "CREATE ALIAS FUNCTION id_masking(BIGINT) WITH PARAMETER(id) AS CONCAT(LEFT(id, 3), '****')",
    )
    .await;
    let names = ["id_masking", "my_add"];
    assert_eq!(column(&mut conn, "SHOW FULL FUNCTIONS", 0).await, names);
    assert_eq!(column(&mut conn, "SHOW FUNCTIONS IN d", 0).await, names);
    let like = "SHOW FULL FUNCTIONS IN d LIKE 'my%'";
    assert_eq!(column(&mut conn, like, 0).await, ["my_add"]);
    let shown = column(&mut conn, "SHOW CREATE FUNCTION my_add(int, int)", 1).await;
    assert_eq!(shown, [create]);
    run(&mut conn, "DROP FUNCTION my_add(INT,INT)").await;
    run(&mut conn, "DROP FUNCTION IF EXISTS my_add(INT,INT)").await;
    assert!(
        refusal(&mut conn, "DROP FUNCTION my_add(INT,INT)")
            .await
            .contains("my_add(int, int)")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_like_another_numbers_its_columns_anew() {
    let sim = cluster("create-like").await;
    let mut conn = root(&sim).await;
    for sql in [
        "CREATE DATABASE d",
        "USE d",
        "CREATE TABLE t (k INT, a INT, b INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1",
        "ALTER TABLE t DROP COLUMN a",
        "ALTER TABLE t ADD COLUMN c INT",
        "CREATE TABLE u LIKE t",
        "ALTER TABLE u ADD COLUMN e INT",
    ] {
        run(&mut conn, sql).await;
    }
    let ids = |table: &str| -> Vec<(String, i32)> {
        sim.frontend().with_catalog(|catalog| {
            let table = catalog.database("d").unwrap().table(table).unwrap();
            let columns = table.schema.columns.iter();
            columns.map(|c| (c.name.clone(), c.unique_id)).collect()
        })
    };
    let named = |list: &[(&str, i32)]| -> Vec<(String, i32)> {
        list.iter().map(|(n, id)| ((*n).to_owned(), *id)).collect()
    };
    assert_eq!(ids("t"), named(&[("k", 0), ("b", 2), ("c", 3)]));
    assert_eq!(ids("u"), named(&[("k", 0), ("b", 1), ("c", 2), ("e", 3)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bitmap_with_default_null_is_empty_in_old_rows() {
    let sim = cluster("bitmap-default").await;
    let mut conn = root(&sim).await;
    for sql in [
        "CREATE DATABASE d",
        "USE d",
        "CREATE TABLE t (k INT, v INT SUM) AGGREGATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1",
        "INSERT INTO t VALUES (1, 2)",
        "ALTER TABLE t ADD COLUMN c bitmap BITMAP_UNION DEFAULT null",
    ] {
        run(&mut conn, sql).await;
    }
    let shown = column(&mut conn, "SHOW CREATE TABLE t", 1).await;
    let clause = "`c` bitmap BITMAP_UNION NOT NULL DEFAULT BITMAP_EMPTY";
    assert!(shown[0].contains(clause), "{shown:?}");
    let counted = "SELECT CAST(bitmap_count(c) AS STRING) FROM t WHERE c IS NOT NULL";
    assert_eq!(column(&mut conn, counted, 0).await, ["0"]);
    let text = refusal(
        &mut conn,
        "ALTER TABLE t ADD COLUMN h hll HLL_UNION DEFAULT null",
    )
    .await;
    assert!(
        text.contains("Hll type column can not set default value"),
        "{text}"
    );
}
