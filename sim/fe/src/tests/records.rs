use super::alters::settle;
use super::{World, cells};
use crate::api::{BinlogReply, LoadRequest, StreamKey};

/// Every statement and the records it made, as they travel.
pub(super) async fn golden(statements: &[&str]) -> String {
    let w = World::new(1).await;
    let mut out = String::new();
    let mut seen = 0;
    for text in statements {
        if let Some(table) = text.strip_prefix("LOAD ") {
            let mut request =
                LoadRequest::insert("d", table, Vec::new(), cells(&[&["1", "2"], &["11", "3"]]));
            request.label = Some(format!("load_{table}_{seen}"));
            w.fe.load(request).await.unwrap();
        } else {
            w.sql(text).await;
        }
        settle(&w).await;
        out.push_str(&format!("-- {text}\n"));
        let key = StreamKey {
            db: "d".to_owned(),
            ..StreamKey::default()
        };
        if let BinlogReply::Records(records) = w.fe.get_binlog(&key, seen, 255).unwrap() {
            for r in records {
                seen = r.commit_seq;
                out.push_str(&format!(
                    "{} seq={} tables={:?} {}\n",
                    r.kind,
                    r.commit_seq,
                    r.table_ids,
                    timeless(r.data.as_deref().unwrap())
                ));
            }
        }
    }
    out
}

/// Times of this run as 0.
fn timeless(data: &str) -> String {
    let mut out = data.to_owned();
    for key in [
        "timeStamp",
        "vvt",
        "recycleTime",
        "versionTime",
        "createTimeMs",
        "finishedTimeMs",
    ] {
        let quoted = format!("\"{key}\":");
        if let Some(at) = out.find(&quoted) {
            let start = at + quoted.len();
            let end = out[start..]
                .find([',', '}'])
                .map_or(out.len(), |i| start + i);
            out.replace_range(start..end, "0");
        }
    }
    out
}

#[tokio::test]
async fn statements_make_their_records() {
    let text = golden(&[
        "CREATE TABLE t (k INT NOT NULL, v INT COMMENT 'a = b') DUPLICATE KEY(k) PARTITION BY RANGE(k) (PARTITION p1 VALUES LESS THAN (10), PARTITION p2 VALUES [(10), (20))) DISTRIBUTED BY HASH(k) BUCKETS 2",
        "LOAD t",
        "ALTER TABLE t ADD PARTITION p3 VALUES LESS THAN (MAXVALUE) DISTRIBUTED BY HASH(k) BUCKETS 3",
        "ALTER TABLE t ADD COLUMN n VARCHAR(64) DEFAULT \"x\" COMMENT 'note'",
        "ALTER TABLE t DROP COLUMN n",
        "ALTER TABLE t RENAME COLUMN v w",
        "ALTER TABLE t MODIFY COMMENT 'the table'",
        "ALTER TABLE t MODIFY COLUMN w COMMENT 'the column'",
        "ALTER TABLE t RENAME PARTITION p3 p4",
        "ALTER TABLE t MODIFY PARTITION (p1) SET (\"storage_medium\" = \"SSD\")",
        "ALTER TABLE t ADD TEMPORARY PARTITION tp VALUES LESS THAN (10)",
        "ALTER TABLE t REPLACE PARTITION (p1) WITH TEMPORARY PARTITION (tp)",
        "TRUNCATE TABLE t PARTITION (p2)",
        "TRUNCATE TABLE t",
        "ALTER TABLE t DROP PARTITION p4 FORCE",
        "ALTER TABLE t SET (\"group_commit_interval_ms\" = \"2000\")",
        "ALTER TABLE t MODIFY DISTRIBUTION DISTRIBUTED BY HASH(k) BUCKETS 16",
        "ALTER TABLE t ADD INDEX i (w) USING INVERTED",
        "ALTER TABLE t DROP INDEX i",
        "ALTER TABLE t RENAME t2",
        "CREATE TABLE u LIKE t2",
        "ALTER TABLE t2 REPLACE WITH TABLE u PROPERTIES(\"swap\" = \"true\")",
        "ALTER TABLE t2 REPLACE WITH TABLE u PROPERTIES(\"swap\" = \"false\")",
        "CREATE VIEW v AS SELECT k FROM t2",
        "ALTER VIEW v AS SELECT w FROM t2",
        "DROP VIEW v",
        "ALTER TABLE t2 SET (\"distribution_type\" = \"random\")",
        "DROP TABLE t2",
        "ALTER DATABASE d SET PROPERTIES (\"binlog.ttl_seconds\" = \"100\")",
        "CREATE TABLE l (k VARCHAR(9) NOT NULL, v INT) UNIQUE KEY(k) PARTITION BY LIST(k) (PARTITION a VALUES IN (\"1\", \"11\"), PARTITION rest) DISTRIBUTED BY HASH(k) BUCKETS AUTO",
        "ALTER TABLE l ADD PARTITION c VALUES IN (\"c\")",
        "LOAD l",
    ])
    .await;
    insta::assert_snapshot!("statements", text);
}

#[tokio::test]
async fn statements_of_jobs_and_recovery_make_their_records() {
    let text = golden(&[
        "CREATE TABLE t (k INT NOT NULL, v INT) DUPLICATE KEY(k) PARTITION BY RANGE(k) (PARTITION p1 VALUES LESS THAN (10), PARTITION p2 VALUES LESS THAN (20)) DISTRIBUTED BY HASH(k) BUCKETS 1",
        "LOAD t",
        "ALTER TABLE t MODIFY COLUMN v BIGINT",
        "LOAD t",
        "ALTER TABLE t ADD ROLLUP r1 (v, k), r2 (k)",
        "LOAD t",
        "ALTER TABLE t RENAME ROLLUP r1 r3",
        "ALTER TABLE t DROP ROLLUP r3, r2",
        "CREATE MATERIALIZED VIEW mv AS SELECT k, sum(v) FROM t GROUP BY k",
        "DROP MATERIALIZED VIEW mv ON t",
        "CREATE INDEX i ON t (v) USING INVERTED PROPERTIES(\"parser\" = \"none\") COMMENT 'c'",
        "BUILD INDEX i ON t PARTITIONS (p1)",
        "BUILD INDEX i ON t",
        "DROP INDEX i ON t",
        "ALTER TABLE t DROP PARTITION p1",
        "RECOVER PARTITION p1 AS p3 FROM t",
        "DROP TABLE t",
        "RECOVER TABLE t",
        "ADMIN SET FRONTEND CONFIG (\"dorisim_barrier_wrapped_types\" = \"14, 24\")",
        "ALTER TABLE t RENAME u",
    ])
    .await;
    insta::assert_snapshot!("jobs_and_recovery", text);
}

/// Every type but DUMMY (which heads the stream) has a statement in one of the tables; the plain BARRIER comes with BACKUP.
#[test]
fn every_type_has_a_golden_record() {
    let golden = concat!(
        include_str!("snapshots/dorisim_fe__tests__records__statements.snap"),
        include_str!("snapshots/dorisim_fe__tests__records__jobs_and_recovery.snap"),
        include_str!("snapshots/dorisim_fe__tests__clauses__clauses.snap"),
    );
    for kind in (0..=26).filter(|kind| *kind != 7) {
        let head = format!("\n{kind} seq=");
        assert!(golden.contains(&head), "no record of type {kind}");
    }
}

#[tokio::test]
async fn own_ddl_text_can_be_parsed_and_makes_the_same_table() {
    let w = World::new(1).await;
    for create in [
        "CREATE TABLE x (k INT NOT NULL, s DECIMAL(18,2) SUM DEFAULT \"0\", r DATETIME(3) REPLACE NULL) AGGREGATE KEY(k) COMMENT 'a \"fine\" one' DISTRIBUTED BY HASH(k) BUCKETS 2",
        "CREATE TABLE x (d DATE NOT NULL, c VARCHAR(9) NOT NULL, v ARRAY<INT>) DUPLICATE KEY(d, c) PARTITION BY RANGE(d, c) (PARTITION p1 VALUES LESS THAN ('2024-01-01', 'm'), PARTITION p2 VALUES LESS THAN (MAXVALUE)) DISTRIBUTED BY RANDOM BUCKETS 3",
        "CREATE TABLE x (a INT NOT NULL, b VARCHAR(5) NOT NULL, v STRING) UNIQUE KEY(a, b) PARTITION BY LIST(a, b) (PARTITION p1 VALUES IN ((\"1\", \"x\"), (\"2\", \"y\")), PARTITION rest) DISTRIBUTED BY HASH(a) BUCKETS AUTO",
    ] {
        w.sql(create).await;
        let show = |w: &World| {
            w.fe.with_catalog(|c| w.fe.show_create_table(c.table("d", "x").unwrap()))
        };
        let text = show(&w);
        let sql = serde_json::from_str::<serde_json::Value>(
            w.records()
                .iter()
                .rfind(|r| r.kind == 2)
                .unwrap()
                .data
                .as_deref()
                .unwrap(),
        )
        .unwrap()["sql"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(sql.contains("\"is_being_synced\" = \"true\""), "{sql}");
        w.sql("DROP TABLE x").await;
        w.sql(&text).await;
        assert_eq!(show(&w), text);
        w.sql("DROP TABLE x").await;
        w.sql(&sql).await;
        let again = show(&w);
        assert!(again.contains("\"is_being_synced\" = \"true\""), "{again}");
        w.sql("DROP TABLE x").await;
    }
}

#[tokio::test]
async fn clauses_of_records_can_be_parsed_back() {
    let w = World::new(1).await;
    w.sql("CREATE TABLE r (k INT NOT NULL, v INT) DUPLICATE KEY(k) PARTITION BY RANGE(k) (PARTITION p1 VALUES LESS THAN (10)) DISTRIBUTED BY HASH(k) BUCKETS 2").await;
    w.sql("CREATE TABLE l (k INT, v INT) DUPLICATE KEY(k) PARTITION BY LIST(k) (PARTITION p1 VALUES IN (1)) DISTRIBUTED BY HASH(k) BUCKETS 2").await;
    w.sql("ALTER TABLE r ADD PARTITION p2 VALUES LESS THAN (MAXVALUE)")
        .await;
    w.sql("ALTER TABLE l ADD PARTITION p2 VALUES IN (2, 3, NULL)")
        .await;
    w.sql("ALTER TABLE l ADD PARTITION p3").await;
    let ranges = |t: &str| {
        w.fe.with_catalog(|c| {
            let t = c.table("d", t).unwrap();
            t.partitions
                .values()
                .map(|p| t.range_text(p))
                .collect::<Vec<_>>()
        })
    };
    let before = (ranges("r"), ranges("l"));
    let clauses: Vec<(i64, String, String)> = w
        .records()
        .iter()
        .filter(|r| r.kind == 1)
        .map(|r| {
            let data: serde_json::Value = serde_json::from_str(r.data.as_deref().unwrap()).unwrap();
            (
                r.table_ids[0],
                data["partition"]["nm"].as_str().unwrap().to_owned(),
                data["sql"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    assert_eq!(clauses.len(), 3);
    for (table, partition, clause) in clauses {
        let name =
            w.fe.with_catalog(|c| c.database("d").unwrap().tables[&table].name.clone());
        w.sql(&format!("ALTER TABLE {name} DROP PARTITION {partition}"))
            .await;
        let buckets = format!(
            "{} DISTRIBUTED BY HASH(`k`) BUCKETS 2",
            clause.trim_end_matches(';')
        );
        w.sql(&format!("ALTER TABLE {name} {buckets}")).await;
    }
    let mut after = (ranges("r"), ranges("l"));
    after.0.sort();
    after.1.sort();
    let mut before = before;
    before.0.sort();
    before.1.sort();
    assert_eq!(before, after);
}

#[tokio::test]
async fn column_changes_replay_on_another_cluster_with_equal_unique_ids() {
    let (a, b) = (World::new(1).await, World::new(1).await);
    let create =
        "CREATE TABLE t (k INT NOT NULL, v INT) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1";
    a.sql(create).await;
    b.sql(create).await;
    for change in [
        "ALTER TABLE t ADD COLUMN c1 VARCHAR(64) NOT NULL DEFAULT 'it''s' COMMENT 'a \"b\"'",
        "ALTER TABLE t ADD COLUMN c2 DECIMAL(18,2) NULL AFTER k, DROP COLUMN c1",
        "ALTER TABLE t ADD COLUMN (c3 DATETIME DEFAULT CURRENT_TIMESTAMP, c4 ARRAY<INT>)",
    ] {
        a.sql(change).await;
    }
    for record in a.records().iter().filter(|r| r.kind == 6) {
        let data: serde_json::Value =
            serde_json::from_str(record.data.as_deref().unwrap()).unwrap();
        b.sql(data["rawSql"].as_str().unwrap()).await;
    }
    let columns = |w: &World| {
        w.fe.with_catalog(|c| c.table("d", "t").unwrap().schema.columns.clone())
    };
    assert_eq!(columns(&a), columns(&b));
    assert!(
        columns(&a)
            .iter()
            .any(|c| c.name == "c2" && c.unique_id == 5),
        "{:?}",
        columns(&a)
    );
}
