//! Properties about how data are stored, compacted and logged: kept, shown, altered with Doris' record, refused where Doris refuses.

use serde_json::json;

use crate::common::lab::{Lab, property_of};

const PLAIN: &str =
    "CREATE TABLE t (k INT NOT NULL, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1";
const UNIQUE: &str =
    "CREATE TABLE u (k INT NOT NULL, v INT) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1";

#[tokio::test]
async fn f014_storage_medium() {
    let mut lab = Lab::new("f014").await;
    lab.sql(&format!(
        "{PLAIN} PROPERTIES (\"storage_medium\" = \"SSD\")"
    ))
    .await;
    assert_eq!(lab.property("t", "storage_medium").await.unwrap(), "ssd");
    assert_eq!(
        lab.column("SHOW PARTITIONS FROM t", "StorageMedium").await,
        ["SSD"]
    );
    // The table's is that of partitions to come.
    lab.set_and_see("t", "storage_medium", "hdd").await;
    assert_eq!(
        lab.column("SHOW PARTITIONS FROM t", "StorageMedium").await,
        ["SSD"]
    );
    lab.sql("ALTER TABLE t MODIFY PARTITION (*) SET (\"storage_medium\" = \"HDD\")")
        .await;
    let (kind, data) = lab.record();
    assert_eq!(
        (kind, &data["infos"][0]["dataProperty"]["storageMedium"]),
        (11, &json!("HDD"))
    );
    lab.set_refused(
        "t",
        "storage_medium",
        "tape",
        "Invalid storage medium: tape",
    )
    .await;
    lab.create_refused(
        &PLAIN.replace(" t ", " x "),
        "\"storage_medium\" = \"tape\"",
        "Invalid storage medium: tape",
    )
    .await;
}

#[tokio::test]
async fn f015_auto_bucket() {
    let mut lab = Lab::new("f015").await;
    lab.sql(&PLAIN.replace("BUCKETS 1", "BUCKETS AUTO")).await;
    let shown = lab.shown("t").await;
    assert!(
        shown.contains("DISTRIBUTED BY HASH(`k`) BUCKETS AUTO"),
        "{shown}"
    );
    assert_eq!(property_of(&shown, "_auto_bucket"), None);
    let (_, created) = lab.records().pop().unwrap();
    let sql = created["sql"].as_str().unwrap().to_owned();
    assert_eq!(property_of(&sql, "_auto_bucket").unwrap(), "true");
    assert!(sql.contains("BUCKETS 10"), "{sql}");
    // The synced form makes a table of automatic buckets with that many.
    lab.sql("DROP TABLE t FORCE").await;
    lab.sql(&sql).await;
    assert!(lab.shown("t").await.contains("BUCKETS AUTO"));
    assert_eq!(lab.rows("SHOW TABLETS FROM t").await.len(), 10);
    lab.create_refused(
        &PLAIN.replace(" t ", " x "),
        "\"nobody_knows\" = \"1\"",
        "Unknown properties: {nobody_knows=1}",
    )
    .await;
    lab.set_refused(
        "t",
        "estimate_partition_size",
        "2G",
        "You can not modify estimate partition size",
    )
    .await;
}

#[tokio::test]
async fn f016_group_commit() {
    let mut lab = Lab::new("f016").await;
    lab.sql(PLAIN).await;
    for (key, default) in [
        ("group_commit_interval_ms", "10000"),
        ("group_commit_data_bytes", "134217728"),
    ] {
        assert_eq!(lab.property("t", key).await.unwrap(), default);
        lab.set_and_see("t", key, "2000").await;
        lab.set_refused("t", key, "-1", &format!("{key} can not be less than 0:-1"))
            .await;
        lab.set_refused("t", key, "much", &format!("Invalid {key} format: much"))
            .await;
    }
    let refusal = lab
        .refusal("ALTER TABLE t SET (\"group_commit_interval_ms\" = \"1\", \"group_commit_data_bytes\" = \"1\")")
        .await;
    assert!(
        refusal.contains(
            "Can only set one table property(without dynamic partition && binlog) at a time"
        ),
        "{refusal}"
    );
}

#[tokio::test]
async fn f017_merge_on_write() {
    let mut lab = Lab::new("f017").await;
    let key = "enable_unique_key_merge_on_write";
    lab.sql(UNIQUE).await;
    assert_eq!(lab.property("u", key).await.unwrap(), "true");
    assert_eq!(
        lab.property("u", "enable_mow_light_delete").await.unwrap(),
        "false"
    );
    let read = UNIQUE.replace(" u ", " r ");
    lab.sql(&format!("{read} PROPERTIES (\"{key}\" = \"false\")"))
        .await;
    assert_eq!(lab.property("r", key).await.unwrap(), "false");
    assert_eq!(lab.property("r", "enable_mow_light_delete").await, None);
    for table in ["u", "r"] {
        lab.sql(&format!("INSERT INTO {table} VALUES (1, 1), (2, 2)"))
            .await;
        lab.sql(&format!("INSERT INTO {table} VALUES (1, 3)")).await;
        lab.sql(&format!("DELETE FROM {table} WHERE k = 2")).await;
        assert_eq!(
            lab.rows(&format!("SELECT * FROM {table}")).await,
            [["1", "3"]]
        );
    }
    lab.set_refused(
        "r",
        key,
        "true",
        "Can not change UNIQUE KEY to Merge-On-Write mode",
    )
    .await;
    lab.create_refused(
        PLAIN,
        &format!("\"{key}\" = \"true\""),
        "enable_unique_key_merge_on_write property only support unique key table",
    )
    .await;
    lab.set_and_see("u", "enable_mow_light_delete", "true")
        .await;
    lab.set_refused(
        "r",
        "enable_mow_light_delete",
        "true",
        "enable_mow_light_delete property is only supported for unique merge-on-write table",
    )
    .await;
}

#[tokio::test]
async fn f018_single_replica_compaction() {
    let mut lab = Lab::new("f018").await;
    let key = "enable_single_replica_compaction";
    lab.sql(PLAIN).await;
    lab.sql(UNIQUE).await;
    assert_eq!(lab.property("t", key).await.unwrap(), "false");
    lab.set_and_see("t", key, "true").await;
    lab.set_refused("t", key, "maybe", "should be set to true or false")
        .await;
    let text =
        "enable_single_replica_compaction property is not supported for merge-on-write table";
    lab.set_refused("u", key, "true", text).await;
    lab.create_refused(
        &UNIQUE.replace(" u ", " x "),
        &format!("\"{key}\" = \"true\""),
        text,
    )
    .await;
}

#[tokio::test]
async fn f019_disable_auto_compaction() {
    let mut lab = Lab::new("f019").await;
    let key = "disable_auto_compaction";
    lab.sql(&format!("{PLAIN} PROPERTIES (\"{key}\" = \"true\")"))
        .await;
    assert_eq!(lab.property("t", key).await.unwrap(), "true");
    lab.set_and_see("t", key, "false").await;
    lab.set_refused(
        "t",
        key,
        "x",
        "Property disable_auto_compaction should be set to true or false",
    )
    .await;
    lab.create_refused(
        &PLAIN.replace(" t ", " x "),
        &format!("\"{key}\" = \"x\""),
        "disable_auto_compaction must be `true` or `false`",
    )
    .await;
}

#[tokio::test]
async fn f020_compaction_policy() {
    let mut lab = Lab::new("f020").await;
    let key = "compaction_policy";
    lab.sql(PLAIN).await;
    lab.sql(UNIQUE).await;
    // The usual policy is not printed.
    assert_eq!(lab.property("t", key).await, None);
    lab.set_and_see("t", key, "time_series").await;
    lab.set_refused(
        "t",
        key,
        "lazy",
        "Table compaction policy only support for time_series or size_based",
    )
    .await;
    lab.set_refused(
        "u",
        key,
        "time_series",
        "Time series compaction policy is not supported for unique key table",
    )
    .await;
    lab.sql("ALTER TABLE t SET (\"compaction_policy\" = \"size_based\")")
        .await;
    assert_eq!(lab.kinds(), [9]);
    assert_eq!(lab.property("t", key).await, None);
}

#[tokio::test]
async fn f021_time_series_compaction() {
    let mut lab = Lab::new("f021").await;
    lab.sql(&format!(
        "{PLAIN} PROPERTIES (\"compaction_policy\" = \"time_series\", \"time_series_compaction_goal_size_mbytes\" = \"2048\")"
    ))
    .await;
    for (name, shown, other, bad, refusal) in [
        (
            "goal_size_mbytes",
            "2048",
            "512",
            "9",
            "can not be less than 10:9",
        ),
        (
            "file_count_threshold",
            "2000",
            "3000",
            "9",
            "can not be less than 10:9",
        ),
        (
            "time_threshold_seconds",
            "3600",
            "7200",
            "59",
            "can not be less than 60:59",
        ),
        (
            "empty_rowsets_threshold",
            "5",
            "6",
            "1",
            "can not be less than 2:1",
        ),
        (
            "level_threshold",
            "1",
            "2",
            "3",
            "can not be less than 1 or greater than 2:3",
        ),
    ] {
        let key = format!("time_series_compaction_{name}");
        assert_eq!(lab.property("t", &key).await.unwrap(), shown);
        lab.set_and_see("t", &key, other).await;
        lab.set_refused("t", &key, bad, refusal).await;
        lab.set_refused("t", &key, "x", &format!("Invalid {key} format: x"))
            .await;
    }
    lab.create_refused(
        &PLAIN.replace(" t ", " x "),
        "\"time_series_compaction_level_threshold\" = \"2\"",
        "only time series compaction policy support for time series config",
    )
    .await;
}

#[tokio::test]
async fn f022_binlog() {
    let mut lab = Lab::new("f022").await;
    lab.sql(PLAIN).await;
    let shown = lab.shown("t").await;
    assert!(
        shown.contains(
            "\"binlog.enable\" = \"true\",\n\"binlog.ttl_seconds\" = \"86400\",\n\"binlog.max_bytes\" = \"9223372036854775807\",\n\
             \"binlog.max_history_nums\" = \"9223372036854775807\",\n\"enable_single_replica_compaction\""
        ),
        "{shown}"
    );
    // The record carries the whole configuration; the same value again carries none.
    lab.records();
    lab.sql(
        "ALTER TABLE t SET (\"binlog.ttl_seconds\" = \"100\", \"binlog.max_bytes\" = \"1000\")",
    )
    .await;
    let (kind, data) = lab.record();
    assert_eq!(kind, 9);
    assert_eq!(
        data["properties"],
        json!({
            "binlog.enable": "true", "binlog.ttl_seconds": "100", "binlog.max_bytes": "1000",
            "binlog.max_history_nums": "9223372036854775807",
        })
    );
    let same = lab
        .kinds_of("ALTER TABLE t SET (\"binlog.ttl_seconds\" = \"100\")")
        .await;
    assert_eq!(same, Vec::<i32>::new());
    lab.set_refused(
        "t",
        "binlog.enable",
        "false",
        "db binlog is enable, but table binlog is disable",
    )
    .await;
    lab.create_refused(
        &PLAIN.replace(" t ", " x "),
        "\"binlog.enable\" = \"false\"",
        "Cannot create table with binlog disabled when database binlog enable",
    )
    .await;
    lab.sql("CREATE DATABASE quiet").await;
    lab.sql("CREATE TABLE quiet.q (k INT) DISTRIBUTED BY HASH(k) BUCKETS 1")
        .await;
    assert_eq!(
        lab.property("quiet.q", "binlog.enable").await.unwrap(),
        "false"
    );
    lab.sql("ALTER TABLE quiet.q SET (\"binlog.enable\" = \"true\")")
        .await;
    assert_eq!(
        lab.property("quiet.q", "binlog.enable").await.unwrap(),
        "true"
    );
}

#[tokio::test]
async fn f023_variant_flatten_nested() {
    let mut lab = Lab::new("f023").await;
    let key = "variant_enable_flatten_nested";
    let create = PLAIN.replace("v INT", "v VARIANT");
    lab.create_refused(
        &create,
        &format!("\"{key}\" = \"true\""),
        "please set session variable: enable_variant_flatten_nested = true",
    )
    .await;
    lab.sql("SET enable_variant_flatten_nested = true").await;
    lab.sql(&format!("{create} PROPERTIES (\"{key}\" = \"true\")"))
        .await;
    assert_eq!(lab.property("t", key).await.unwrap(), "true");
    lab.set_refused(
        "t",
        key,
        "false",
        "Unknown table property: [variant_enable_flatten_nested]",
    )
    .await;
    lab.sql(&create.replace(" t ", " n ")).await;
    assert_eq!(lab.property("n", key).await, None);
    lab.create_refused(
        &create.replace(" t ", " x "),
        "\"light_schema_change\" = \"false\"",
        "Variant type rely on light schema change",
    )
    .await;
}

#[tokio::test]
async fn f024_skip_write_index_on_load() {
    let mut lab = Lab::new("f024").await;
    let key = "skip_write_index_on_load";
    lab.sql(&format!("{PLAIN} PROPERTIES (\"{key}\" = \"false\")"))
        .await;
    assert_eq!(lab.property("t", key).await, None);
    lab.create_refused(
        &PLAIN.replace(" t ", " x "),
        &format!("\"{key}\" = \"true\""),
        "Property skip_write_index_on_load is forbidden now",
    )
    .await;
    lab.set_refused(
        "t",
        key,
        "true",
        "Property skip_write_index_on_load is forbidden now",
    )
    .await;
    let kinds = lab
        .kinds_of("ALTER TABLE t SET (\"skip_write_index_on_load\" = \"false\")")
        .await;
    assert_eq!(kinds, [9]);
}

#[tokio::test]
async fn f028_compression() {
    let mut lab = Lab::new("f028").await;
    lab.sql(&format!("{PLAIN} PROPERTIES (\"compression\" = \"lz4\")"))
        .await;
    assert_eq!(lab.property("t", "compression").await.unwrap(), "LZ4");
    lab.sql(&format!(
        "{} PROPERTIES (\"compression\" = \"zstd\")",
        PLAIN.replace(" t ", " z ")
    ))
    .await;
    // The configured default is not printed.
    assert_eq!(lab.property("z", "compression").await, None);
    lab.create_refused(
        &PLAIN.replace(" t ", " x "),
        "\"compression\" = \"rar\"",
        "unknown compression type: rar",
    )
    .await;
    lab.set_refused(
        "t",
        "compression",
        "zlib",
        "Unknown table property: [compression]",
    )
    .await;
}

#[tokio::test]
async fn f032_storage_cooldown_time() {
    let mut lab = Lab::new("f032").await;
    let days = "CREATE TABLE t (d DATE NOT NULL, v INT) DUPLICATE KEY(d) PARTITION BY RANGE(d) \
         (PARTITION p1 VALUES LESS THAN ('2024-01-01') (\"storage_medium\" = \"SSD\", \"storage_cooldown_time\" = \"2999-01-01 00:00:00\"), \
         PARTITION p2 VALUES LESS THAN ('2025-01-01')) DISTRIBUTED BY HASH(d) BUCKETS 1";
    lab.sql(days).await;
    assert_eq!(
        lab.rows("SELECT 1").await,
        [["1"]],
        "the session is alive after the long statement"
    );
    assert_eq!(
        lab.column("SHOW PARTITIONS FROM t", "CooldownTime").await,
        ["2999-01-01 00:00:00", "9999-12-31 15:59:59"]
    );
    // Doris prints it nowhere in the DDL.
    assert!(!lab.shown("t").await.contains("cooldown"));
    lab.records();
    lab.sql("ALTER TABLE t MODIFY PARTITION p2 SET (\"storage_medium\" = \"SSD\", \"storage_cooldown_time\" = \"2998-01-01 00:00:00\")")
        .await;
    let (kind, data) = lab.record();
    assert_eq!(kind, 11);
    assert_eq!(
        data["infos"][0]["dataProperty"]["cooldownTimeMs"],
        json!(32_440_608_000_000_i64)
    );
    let refusal = lab
        .refusal("ALTER TABLE t MODIFY PARTITION p2 SET (\"storage_medium\" = \"SSD\", \"storage_cooldown_time\" = \"2001-01-01 00:00:00\")")
        .await;
    assert!(refusal.contains("should later than now"), "{refusal}");
    // When the time is over the partition is on HDD, with a record of its own.
    lab.sim.clock().advance(976 * 366 * 86_400_000);
    lab.sim.frontend().schedule_partitions().await;
    assert_eq!(lab.kinds(), [11, 11]);
    assert_eq!(
        lab.column("SHOW PARTITIONS FROM t", "StorageMedium").await,
        ["HDD", "HDD"]
    );
}
