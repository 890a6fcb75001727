use super::World;
use super::alters::settle;
use super::records::golden;

/// Every form of every clause of ALTER TABLE, and the other statements of its family.
#[tokio::test]
async fn clauses_make_their_records() {
    let text = golden(&[
        "CREATE TABLE t (k INT NOT NULL, a INT, b INT) DUPLICATE KEY(k) PARTITION BY RANGE(k) (FROM (0) TO (40) INTERVAL 10) DISTRIBUTED BY HASH(k) BUCKETS 1 ROLLUP (r (k, a))",
        "ALTER TABLE t ADD COLUMN c INT DEFAULT \"1\" AFTER a",
        "ALTER TABLE t ADD COLUMN (d INT, e VARCHAR(9) NOT NULL DEFAULT 'x' COMMENT 'it''s')",
        "ALTER TABLE t ADD COLUMN f INT, ADD COLUMN g DATETIME DEFAULT CURRENT_TIMESTAMP AFTER f, DROP COLUMN d",
        "ALTER TABLE t ADD COLUMN h INT TO r",
        "ALTER TABLE t DROP COLUMN h FROM r",
        "ALTER TABLE t MODIFY COLUMN e VARCHAR(20) NOT NULL DEFAULT 'x'",
        "ALTER TABLE t MODIFY COLUMN a BIGINT FIRST",
        "ALTER TABLE t ADD COLUMN k2 INT KEY DEFAULT '0' AFTER k",
        "ALTER TABLE t ORDER BY (k2, k, f, g, c, a, b, e, h)",
        "ALTER TABLE t MODIFY COLUMN a COMMENT 'x', MODIFY COLUMN b COMMENT 'y'",
        "ALTER TABLE t MODIFY COMMENT 'z'",
        "ALTER TABLE t ADD INDEX i (a), ADD INDEX j (b) USING INVERTED",
        "ALTER TABLE t DROP INDEX i, DROP INDEX j",
        "ALTER TABLE t MODIFY DISTRIBUTION DISTRIBUTED BY HASH(k) BUCKETS 4",
        "ALTER TABLE t ADD PARTITIONS FROM (40) TO (60) INTERVAL 10",
        "ALTER TABLE t ADD PARTITION IF NOT EXISTS p9 VALUES [(\"90\"), (\"100\")) (\"replication_num\" = \"1\", \"storage_medium\" = \"SSD\") DISTRIBUTED BY HASH(k) BUCKETS 2",
        "ALTER TABLE t ADD TEMPORARY PARTITION tp VALUES [(\"0\"), (\"10\"))",
        "ALTER TABLE t MODIFY TEMPORARY PARTITION tp SET (\"storage_medium\" = \"SSD\")",
        "ALTER TABLE t DROP TEMPORARY PARTITION tp",
        "ALTER TABLE t ADD TEMPORARY PARTITIONS FROM (0) TO (20) INTERVAL 10",
        "ALTER TABLE t REPLACE PARTITION (p_0_10, p_10_20) WITH TEMPORARY PARTITION (p_0_10, p_10_20) FORCE",
        "ALTER TABLE t ADD TEMPORARY PARTITION wide VALUES [(\"0\"), (\"20\"))",
        "ALTER TABLE t REPLACE PARTITION (p_0_10, p_10_20) WITH TEMPORARY PARTITION (wide) PROPERTIES (\"strict_range\" = \"false\", \"use_temp_partition_name\" = \"true\")",
        "ALTER TABLE t MODIFY PARTITION (*) SET (\"storage_medium\" = \"HDD\", \"replication_num\" = \"1\")",
        "ALTER TABLE t MODIFY PARTITION (wide, p_20_30) SET (\"storage_medium\" = \"SSD\")",
        "ALTER TABLE t DROP PARTITION p_20_30, DROP PARTITION IF EXISTS nobody, DROP PARTITION p_30_40 FORCE",
        "TRUNCATE TABLE t PARTITIONS (wide, p9)",
        "ALTER TABLE t RENAME ROLLUP r r2",
        "ALTER TABLE t RENAME PARTITION wide w",
        "ALTER TABLE t RENAME COLUMN a a2",
        "ALTER TABLE t ADD ROLLUP r3 (k2, k, b) PROPERTIES (\"replication_num\" = \"1\")",
        "ALTER TABLE t DROP ROLLUP r3",
        "CREATE TABLE other (k INT) DUPLICATE KEY(k) DISTRIBUTED BY RANDOM BUCKETS 1",
        "ALTER TABLE t REPLACE WITH TABLE other PROPERTIES (\"swap\" = \"false\") FORCE",
        "CREATE TABLE u (k INT, v INT) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES (\"enable_unique_key_merge_on_write\" = \"false\")",
        "ALTER TABLE u ENABLE FEATURE \"SEQUENCE_LOAD\" WITH PROPERTIES (\"function_column.sequence_type\" = \"int\")",
        "ALTER TABLE u SET (\"replication_num\" = \"1\")",
        "ALTER TABLE u SET (\"default.replication_num\" = \"1\")",
        "ALTER TABLE u SET (\"is_being_synced\" = \"true\")",
        "ALTER TABLE u SET (\"bloom_filter_columns\" = \"k\")",
        "CREATE VIEW v (a COMMENT 'first', b) COMMENT 'two' AS SELECT k, v FROM u",
        "ALTER VIEW v MODIFY COMMENT 'another'",
        "CREATE OR REPLACE VIEW v AS SELECT k FROM u",
    ])
    .await;
    insta::assert_snapshot!("clauses", text);
}

/// A statement and a part of its refusal.
#[tokio::test]
async fn clauses_are_refused_as_by_doris() {
    let w = World::new(1).await;
    w.sql("CREATE TABLE t (k INT NOT NULL, v INT, w VARCHAR(9)) DUPLICATE KEY(k) PARTITION BY RANGE(k) (PARTITION p1 VALUES LESS THAN (10), PARTITION p2 VALUES LESS THAN (20)) DISTRIBUTED BY HASH(k) BUCKETS 1").await;
    w.sql("CREATE TABLE s (k INT NOT NULL, v INT) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1")
        .await;
    let before = w.records().len();
    for (text, refusal) in [
        (
            "ALTER TABLE t ADD COLUMN v INT",
            "already exists in base table: v",
        ),
        ("ALTER TABLE t DROP COLUMN k", "can not be dropped"),
        ("ALTER TABLE t DROP COLUMN z", "Column does not exists: z"),
        ("ALTER TABLE t MODIFY COLUMN w INT AFTER z", "z"),
        (
            "ALTER TABLE t MODIFY COLUMN z INT",
            "Column[z] does not exists",
        ),
        (
            "ALTER TABLE t MODIFY COLUMN z COMMENT 'x'",
            "Unknown column: z",
        ),
        (
            "ALTER TABLE t MODIFY COLUMN v COMMENT 'x', MODIFY COLUMN v COMMENT 'y'",
            "Duplicate column: v",
        ),
        (
            "ALTER TABLE t ADD PARTITION p3 VALUES LESS THAN (15)",
            "intersected",
        ),
        (
            "ALTER TABLE t ADD PARTITION p1 VALUES LESS THAN (90)",
            "Duplicate partition name p1",
        ),
        (
            "ALTER TABLE t DROP PARTITION p7",
            "Error in list of partitions to p7",
        ),
        (
            "ALTER TABLE t REPLACE PARTITION (p1) WITH TEMPORARY PARTITION (tp)",
            "Temp partition[tp] does not exist",
        ),
        (
            "ALTER TABLE t MODIFY PARTITION p7 SET (\"storage_medium\" = \"HDD\")",
            "Partition[p7] does not exist",
        ),
        (
            "ALTER TABLE t MODIFY PARTITION p1 SET (\"in_memory\" = \"true\")",
            "Not support set 'in_memory'='true' now!",
        ),
        (
            "TRUNCATE TABLE t PARTITION (p7)",
            "Partition p7 does not exist",
        ),
        ("ALTER TABLE t RENAME s", "Table name[s] is already used"),
        (
            "ALTER TABLE t RENAME COLUMN v w",
            "Column name[w] is already used",
        ),
        (
            "ALTER TABLE t RENAME PARTITION p1 p2",
            "Partition name[p2] is already used",
        ),
        (
            "ALTER TABLE t RENAME ROLLUP r r2",
            "Rollup index[r] does not exists",
        ),
        ("ALTER TABLE t REPLACE WITH TABLE z", "Unknown table"),
        (
            "ALTER TABLE s RENAME PARTITION s x",
            "is single partitioned",
        ),
        (
            "ALTER TABLE s ADD PARTITION p VALUES LESS THAN (1)",
            "partitioned table",
        ),
        (
            "ALTER TABLE s SET (\"distribution_type\" = \"random\")",
            "Cannot change distribution type of unique keys table.",
        ),
        (
            "ALTER TABLE s MODIFY DISTRIBUTION DISTRIBUTED BY HASH(k) BUCKETS 4",
            "Only support change partitioned table's distribution.",
        ),
        (
            "ALTER TABLE t ENABLE FEATURE \"BATCH_DELETE\"",
            "Batch delete only supported in unique tables.",
        ),
        (
            "ALTER TABLE s ENABLE FEATURE \"BATCH_DELETE\"",
            "already exists in base table",
        ),
        (
            "ALTER TABLE s ENABLE FEATURE \"SEQUENCE_LOAD\"",
            "unknown sequence column type",
        ),
        ("ALTER TABLE nobody RENAME x", "Unknown table 'nobody'"),
    ] {
        let error = w.try_sql(text).await.expect_err(text);
        assert!(error.text.contains(refusal), "{text}: {}", error.text);
    }
    // A temporary partition has the columns of its birth.
    w.sql("ALTER TABLE t ADD TEMPORARY PARTITION tp VALUES LESS THAN (10)")
        .await;
    for text in [
        "ALTER TABLE t ADD COLUMN x INT",
        "ALTER TABLE t ADD INDEX i (v)",
    ] {
        let error = w.try_sql(text).await.expect_err(text);
        assert_eq!(
            error.text,
            "Can not alter table when there are temp partitions in table"
        );
    }
    assert_eq!(w.records().len(), before + 1);
}

#[tokio::test]
async fn a_feature_enabled_orders_rows_from_then_on() {
    let w = World::new(1).await;
    w.sql("CREATE TABLE u (k INT, v INT) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1")
        .await;
    w.insert("u", &[&["1", "1"]]).await;
    w.sql("ALTER TABLE u ENABLE FEATURE \"SEQUENCE_LOAD\" WITH PROPERTIES (\"function_column.sequence_type\" = \"int\")")
        .await;
    settle(&w).await;
    let shown =
        w.fe.with_catalog(|c| w.fe.show_create_table(c.table("d", "u").unwrap()));
    assert!(
        shown.contains("\"function_column.sequence_type\" = \"int\""),
        "{shown}"
    );
    for (seq, v) in [("5", "50"), ("4", "40")] {
        let mut request = crate::LoadRequest::insert(
            "d",
            "u",
            vec!["k".into(), "v".into(), "__DORIS_SEQUENCE_COL__".into()],
            super::cells(&[&["1", v, seq]]),
        );
        request.label = Some(format!("load_{seq}"));
        w.fe.load(request).await.unwrap();
    }
    assert_eq!(w.rows("u"), ["1,50"]);
}
