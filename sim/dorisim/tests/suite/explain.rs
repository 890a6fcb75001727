//! EXPLAIN VERBOSE: slots of a scan and the unique ids of their columns.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::mysql::{cluster, root};

const ONE: &str = "DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\", \"light_schema_change\" = \"true\")";

async fn plan(conn: &mut Conn, sql: &str) -> Vec<String> {
    conn.query(sql)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Column, unique id, type.
type Slot = (String, String, String);

/// The table and the slots of every tuple.
fn tuples(plan: &[String]) -> Vec<(String, Vec<Slot>)> {
    let member = |line: &str, name: &str| -> String {
        let (_, rest) = line.split_once(&format!("{name}=")).unwrap();
        let end = [", ", "}"].iter().filter_map(|end| rest.find(end)).min();
        rest[..end.unwrap()].to_owned()
    };
    let mut tuples = Vec::new();
    for line in plan.iter().skip_while(|line| *line != "Tuples:") {
        if line.starts_with("TupleDescriptor{") {
            tuples.push((member(line, "tbl"), Vec::new()));
        } else if line.starts_with("  SlotDescriptor{") {
            let slot = (
                member(line, "col"),
                member(line, "colUniqueId"),
                member(line, "type"),
            );
            tuples.last_mut().unwrap().1.push(slot);
        }
    }
    tuples
}

fn slot(column: &str, id: i32, kind: &str) -> Slot {
    (column.to_owned(), id.to_string(), kind.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn verbose_shows_the_unique_id_of_every_column_that_is_read() {
    let sim = cluster("explain-verbose").await;
    let mut conn = root(&sim).await;
    for sql in [
        "CREATE DATABASE d",
        "USE d",
        &format!("CREATE TABLE t (k INT, a VARCHAR(10), b DECIMAL(9, 2)) DUPLICATE KEY(k) {ONE}"),
        "INSERT INTO t VALUES (1, 'x', 1.5)",
        "ALTER TABLE t DROP COLUMN a",
        "ALTER TABLE t ADD COLUMN a VARCHAR(10) DEFAULT 'y'",
        &format!("CREATE TABLE u (k INT, v DATE) UNIQUE KEY(k) {ONE}"),
        "INSERT INTO u VALUES (1, '2026-01-01')",
    ] {
        conn.query_drop(sql)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    // `a` was dropped and added again: it has an id of its own, behind all others.
    assert_eq!(
        tuples(&plan(&mut conn, "EXPLAIN VERBOSE SELECT * FROM t").await),
        [(
            "t".to_owned(),
            vec![
                slot("k", 0, "int"),
                slot("b", 2, "decimalv3(9,2)"),
                slot("a", 3, "varchar(10)")
            ]
        )]
    );
    assert_eq!(
        tuples(&plan(&mut conn, "EXPLAIN VERBOSE SELECT b FROM d.t").await),
        [("t".to_owned(), vec![slot("b", 2, "decimalv3(9,2)")])]
    );
    // A unique table is read with its delete sign, which is not passed on.
    let both = tuples(&plan(&mut conn, "EXPLAIN VERBOSE SELECT * FROM `d`.`u`").await);
    let visible = vec![slot("k", 0, "int"), slot("v", 1, "datev2")];
    assert_eq!(both.len(), 2, "{both:?}");
    assert_eq!(both[0].1[..2], visible[..]);
    assert_eq!(both[0].1[2].0, "__DORIS_DELETE_SIGN__");
    assert_eq!(both[1], ("u".to_owned(), visible));
    let plain = plan(&mut conn, "EXPLAIN SELECT * FROM t").await;
    assert!(tuples(&plain).is_empty(), "{plain:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_without_data_is_an_empty_set_unless_the_rule_is_switched_off() {
    let sim = cluster("explain-empty").await;
    let mut conn = root(&sim).await;
    for sql in [
        "CREATE DATABASE d",
        "USE d",
        &format!("CREATE TABLE t (k INT) DUPLICATE KEY(k) {ONE}"),
    ] {
        conn.query_drop(sql).await.unwrap();
    }
    let empty = plan(&mut conn, "EXPLAIN VERBOSE SELECT * FROM t").await;
    assert!(
        empty.iter().any(|line| line.contains(":VEMPTYSET")),
        "{empty:?}"
    );
    // The slots keep their columns, the tuple has no table.
    assert_eq!(
        tuples(&empty),
        [("null".to_owned(), vec![slot("k", 0, "int")])]
    );
    let scan = plan(
        &mut conn,
        "EXPLAIN VERBOSE SELECT /*+ SET_VAR(disable_nereids_rules = PRUNE_EMPTY_PARTITION) */ * FROM t",
    )
    .await;
    assert!(
        scan.iter().any(|line| line.contains(":VOlapScanNode")),
        "{scan:?}"
    );
    conn.query_drop("SET disable_nereids_rules = 'PRUNE_EMPTY_PARTITION'")
        .await
        .unwrap();
    assert_eq!(
        tuples(&plan(&mut conn, "EXPLAIN VERBOSE SELECT * FROM t").await)[0].0,
        "t"
    );
}
