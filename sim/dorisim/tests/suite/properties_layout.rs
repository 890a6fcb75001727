//! Properties about what a table is and where it lives: kept, shown, altered with Doris' record, refused where Doris refuses.

use serde_json::json;

use crate::common::lab::Lab;

const PLAIN: &str =
    "CREATE TABLE t (k INT NOT NULL, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2";
const DAYS: &str = "CREATE TABLE days (d DATE NOT NULL, v INT) DUPLICATE KEY(d) PARTITION BY RANGE(d) () \
     DISTRIBUTED BY HASH(d) BUCKETS 2";

#[tokio::test]
async fn f007_key_models() {
    let mut lab = Lab::new("f007").await;
    lab.sql(PLAIN).await;
    lab.sql(
        "CREATE TABLE u (k INT NOT NULL, v INT) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1",
    )
    .await;
    let states = "CREATE TABLE x (k INT, g AGG_STATE<sum(INT)> GENERIC) AGGREGATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1";
    let refusal = lab.refusal(states).await;
    assert!(
        refusal.contains("agg state not enable, need set enable_agg_state=true"),
        "{refusal}"
    );
    lab.sql("SET enable_agg_state = true").await;
    lab.sql(
        "CREATE TABLE a (k INT NOT NULL, s BIGINT SUM DEFAULT '0', mi INT MIN, ma INT MAX, r INT REPLACE, \
         n INT REPLACE_IF_NOT_NULL, h HLL HLL_UNION, b BITMAP BITMAP_UNION, \
         g AGG_STATE<max_by(INT NOT NULL, INT)> GENERIC) AGGREGATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1",
    )
    .await;
    let shown = lab.shown("t").await;
    assert!(shown.contains("DUPLICATE KEY(`k`)"), "{shown}");
    assert!(
        !shown.contains("enable_unique_key_merge_on_write"),
        "{shown}"
    );
    assert!(lab.shown("u").await.contains("UNIQUE KEY(`k`)"));
    let shown = lab.shown("a").await;
    for line in [
        "AGGREGATE KEY(`k`)",
        "`s` bigint SUM NULL DEFAULT \"0\"",
        "`mi` int MIN NULL",
        "`ma` int MAX NULL",
        "`r` int REPLACE NULL",
        "`n` int REPLACE_IF_NOT_NULL NULL",
        "`h` hll HLL_UNION NOT NULL",
        "`b` bitmap BITMAP_UNION NOT NULL DEFAULT BITMAP_EMPTY",
        "`g` agg_state<max_by(int not null, int null)> GENERIC NULL",
    ] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    lab.sql("INSERT INTO a VALUES (1, 1, 5, 5, 5, 5, 'x', '1', 'a')")
        .await;
    lab.sql("INSERT INTO a VALUES (1, 2, 4, 6, 4, NULL, 'y', '2', 'b')")
        .await;
    assert_eq!(
        lab.rows("SELECT k, s, mi, ma, r, n FROM a").await,
        [["1", "3", "4", "6", "4", "5"]]
    );
}

#[tokio::test]
async fn f008_partitions_and_buckets() {
    let mut lab = Lab::new("f008").await;
    lab.sql(
        "CREATE TABLE r (k INT NOT NULL, v INT) DUPLICATE KEY(k) PARTITION BY RANGE(k) \
         (PARTITION p1 VALUES LESS THAN (10), PARTITION p2 VALUES LESS THAN (MAXVALUE)) DISTRIBUTED BY HASH(k) BUCKETS 3",
    )
    .await;
    let shown = lab.shown("r").await;
    assert!(
        shown.contains(
            "PARTITION BY RANGE(`k`)\n(PARTITION p1 VALUES [(\"-2147483648\"), (\"10\")),\nPARTITION p2 VALUES [(\"10\"), (MAXVALUE)))\n\
             DISTRIBUTED BY HASH(`k`) BUCKETS 3"
        ),
        "{shown}"
    );
    lab.sql(
        "CREATE TABLE l (k VARCHAR(9), v INT) DUPLICATE KEY(k) PARTITION BY LIST(k) \
         (PARTITION p1 VALUES IN (\"a\", \"b\"), PARTITION rest) DISTRIBUTED BY RANDOM BUCKETS AUTO",
    )
    .await;
    let shown = lab.shown("l").await;
    assert!(
        shown.contains(
            "PARTITION BY LIST (`k`)\n(PARTITION rest,\nPARTITION p1 VALUES IN (\"a\",\"b\"))\nDISTRIBUTED BY RANDOM BUCKETS AUTO"
        ),
        "{shown}"
    );
    let buckets = lab.column("SHOW PARTITIONS FROM r", "Buckets").await;
    assert_eq!(buckets, ["3", "3"]);
    lab.records();
    lab.sql("ALTER TABLE r MODIFY DISTRIBUTION DISTRIBUTED BY HASH(k) BUCKETS 7")
        .await;
    let (kind, data) = lab.record();
    assert_eq!((kind, &data["bucketNum"]), (25, &json!(7)));
    let refusal = lab
        .refusal("ALTER TABLE r MODIFY DISTRIBUTION DISTRIBUTED BY RANDOM BUCKETS 7")
        .await;
    assert!(
        refusal.contains("Cannot change distribution type when modify"),
        "{refusal}"
    );
    let refusal = lab
        .refusal("ALTER TABLE r MODIFY DISTRIBUTION DISTRIBUTED BY HASH(v) BUCKETS 7")
        .await;
    assert!(
        refusal.contains("Cannot assign hash distribution with different distribution cols"),
        "{refusal}"
    );
}

#[tokio::test]
async fn f009_replication_num() {
    let mut lab = Lab::with_backends("f009", 2).await;
    lab.sql(&format!("{PLAIN} PROPERTIES (\"replication_num\" = \"2\")"))
        .await;
    lab.sql(&DAYS.replace(
        "()",
        "(PARTITION p VALUES [('2024-01-01'), ('2024-01-02')))",
    ))
    .await;
    assert_eq!(
        lab.property("t", "replication_allocation").await.unwrap(),
        "tag.location.default: 2"
    );
    assert_eq!(lab.rows("SHOW TABLETS FROM t").await.len(), 4);
    // Without partitions: the partition's number and the table's, in one MODIFY_PARTITIONS.
    lab.records();
    lab.sql("ALTER TABLE t SET (\"replication_num\" = \"1\")")
        .await;
    let (kind, data) = lab.record();
    assert_eq!(kind, 11);
    assert_eq!(
        data["infos"][0]["tableProperties"],
        json!({"default.replication_allocation": "tag.location.default: 1"})
    );
    assert_eq!(
        lab.property("t", "replication_allocation").await.unwrap(),
        "tag.location.default: 1"
    );
    lab.set_refused("t", "replication_num", "3", "Failed to find enough backend")
        .await;
    lab.set_refused(
        "days",
        "replication_num",
        "2",
        "This is a partitioned table",
    )
    .await;
    lab.sql("ALTER TABLE days SET (\"default.replication_num\" = \"2\")")
        .await;
    let (kind, data) = lab.record();
    assert_eq!(kind, 9);
    assert_eq!(
        data["properties"],
        json!({"default.replication_allocation": "tag.location.default: 2"})
    );
    lab.sql("ALTER TABLE days MODIFY PARTITION p SET (\"replication_num\" = \"2\")")
        .await;
    let (kind, data) = lab.record();
    assert_eq!(kind, 11);
    assert_eq!(
        data["infos"][0]["replicaAlloc"]["allocMap"],
        json!([[{"type": "location", "value": "default"}, 2]])
    );
    lab.create_refused(
        &PLAIN.replace(" t ", " x "),
        "\"replication_num\" = \"3\"",
        "replication num: 3",
    )
    .await;
    lab.create_refused(
        &PLAIN.replace(" t ", " x "),
        "\"replication_num\" = \"0\"",
        "eplication num",
    )
    .await;
}

#[tokio::test]
async fn f010_replication_allocation() {
    let mut lab = Lab::with_backends("f010", 2).await;
    lab.sql(&format!(
        "{PLAIN} PROPERTIES (\"replication_allocation\" = \"tag.location.default: 2\")"
    ))
    .await;
    assert_eq!(
        lab.property("t", "replication_allocation").await.unwrap(),
        "tag.location.default: 2"
    );
    lab.create_refused(
        &PLAIN.replace(" t ", " x "),
        "\"replication_allocation\" = \"tag.location.group_a: 1\"",
        "replication tag: {\"location\" : \"group_a\"}, replication num: 1",
    )
    .await;
    lab.set_refused(
        "t",
        "replication_allocation",
        "tag.location.group_a: 1",
        "\"group_a\"",
    )
    .await;
    lab.records();
    lab.sql("ALTER TABLE t SET (\"replication_allocation\" = \"tag.location.default: 1\")")
        .await;
    assert_eq!(lab.kinds(), [11]);
}

#[tokio::test]
async fn f011_colocate_with() {
    let mut lab = Lab::new("f011").await;
    lab.sql(&format!("{PLAIN} PROPERTIES (\"colocate_with\" = \"g1\")"))
        .await;
    let (_, created) = lab.records().pop().unwrap();
    assert_eq!(created["properties"]["colocate_with"], "g1");
    assert_eq!(lab.property("t", "colocate_with").await.unwrap(), "g1");
    // A change of the group makes no record.
    let kinds = lab
        .kinds_of("ALTER TABLE t SET (\"colocate_with\" = \"g2\")")
        .await;
    assert_eq!(kinds, Vec::<i32>::new());
    assert_eq!(lab.property("t", "colocate_with").await.unwrap(), "g2");
    lab.sql("ALTER TABLE t SET (\"colocate_with\" = \"\")")
        .await;
    assert_eq!(lab.property("t", "colocate_with").await, None);
    // The target of a replication decides on its own.
    let synced = PLAIN.replace(" t ", " s ");
    lab.sql(&format!(
        "{synced} PROPERTIES (\"colocate_with\" = \"g1\", \"is_being_synced\" = \"true\")"
    ))
    .await;
    assert_eq!(lab.property("s", "colocate_with").await, None);
    lab.create_refused(
        &PLAIN
            .replace(" t ", " x ")
            .replace("HASH(k) BUCKETS 2", "RANDOM BUCKETS 2"),
        "\"colocate_with\" = \"g1\"",
        "Random distribution for colocate table is unsupported",
    )
    .await;
}

#[tokio::test]
async fn f012_storage_policy() {
    let mut lab = Lab::new("f012").await;
    // No policy can be made here, and a table cannot name one that is not there.
    lab.refused(
        "CREATE STORAGE POLICY cold PROPERTIES (\"storage_resource\" = \"s3\", \"cooldown_ttl\" = \"300\")",
        "CREATE STORAGE is not supported by this simulated frontend",
    )
    .await;
    let missing = "Storage policy does not exist. name: cold";
    lab.refused(
        &format!("{PLAIN} PROPERTIES (\"storage_policy\" = \"cold\")"),
        missing,
    )
    .await;
    lab.sql(PLAIN).await;
    lab.set_refused("t", "storage_policy", "cold", missing)
        .await;
    lab.refused(
        "ALTER TABLE t MODIFY PARTITION t SET (\"storage_policy\" = \"cold\")",
        missing,
    )
    .await;
    let synced = PLAIN.replace(" t ", " s ");
    lab.sql(&format!(
        "{synced} PROPERTIES (\"storage_policy\" = \"cold\", \"is_being_synced\" = \"true\")"
    ))
    .await;
    assert_eq!(lab.property("s", "storage_policy").await, None);
}

const DYNAMIC: &str = "\"dynamic_partition.time_unit\" = \"DAY\", \"dynamic_partition.start\" = \"-2\", \
     \"dynamic_partition.end\" = \"2\", \"dynamic_partition.prefix\" = \"p\", \"dynamic_partition.buckets\" = \"3\"";

#[tokio::test]
async fn f013_dynamic_partition() {
    let mut lab = Lab::new("f013").await;
    lab.records();
    lab.sql(&format!("{DAYS} PROPERTIES ({DYNAMIC})")).await;
    // Today and two days more, each with its own record behind the table's.
    assert_eq!(lab.kinds(), [2, 1, 1, 1]);
    let first = lab.partitions("days").await;
    assert_eq!(first.len(), 3);
    assert_eq!(
        lab.column("SHOW PARTITIONS FROM days", "Buckets").await,
        ["3", "3", "3"]
    );
    let shown = lab.shown("days").await;
    let block = "\"dynamic_partition.enable\" = \"true\",\n\"dynamic_partition.time_unit\" = \"DAY\",\n\
         \"dynamic_partition.time_zone\" = \"Etc/UTC\",\n\"dynamic_partition.start\" = \"-2\",\n\"dynamic_partition.end\" = \"2\",\n\
         \"dynamic_partition.prefix\" = \"p\",\n\"dynamic_partition.replication_allocation\" = \"tag.location.default: 1\",\n\
         \"dynamic_partition.buckets\" = \"3\",\n\"dynamic_partition.create_history_partition\" = \"false\",\n\
         \"dynamic_partition.history_partition_num\" = \"-1\",\n\"dynamic_partition.hot_partition_num\" = \"0\",\n\
         \"dynamic_partition.reserved_history_periods\" = \"NULL\",\n\"dynamic_partition.storage_policy\" = \"\"";
    assert!(shown.contains(block), "{shown}");
    // Three days later three are new, and the oldest is dropped, before them.
    lab.sim.clock().advance(3 * 86_400_000);
    lab.sim.frontend().schedule_partitions().await;
    assert_eq!(lab.kinds(), [3, 1, 1, 1]);
    let later = lab.partitions("days").await;
    assert_eq!(later.len(), 5);
    assert!(!later.contains(&first[0]), "{first:?} {later:?}");
    // By hand only when it is switched off.
    let by_hand = "ALTER TABLE days ADD PARTITION old VALUES [('2020-01-01'), ('2020-01-02'))";
    let refusal = lab.refusal(by_hand).await;
    assert!(
        refusal.contains("Cannot add/drop partition on a Dynamic Partition Table, Use command `ALTER TABLE days SET"),
        "{refusal}"
    );
    lab.set_and_see("days", "dynamic_partition.enable", "false")
        .await;
    lab.sql(by_hand).await;
    lab.sim.clock().advance(9 * 86_400_000);
    lab.sim.frontend().schedule_partitions().await;
    assert_eq!(lab.kinds(), [1]);
    assert_eq!(lab.partitions("days").await.len(), 6);
}

#[tokio::test]
async fn f013_dynamic_partition_is_checked_as_a_whole() {
    let mut lab = Lab::new("f013b").await;
    for (from, to, text) in [
        (
            "DAY",
            "EON",
            "Unsupported time unit EON. Expect HOUR/DAY/WEEK/MONTH/YEAR.",
        ),
        (
            "DAY",
            "HOUR",
            "could not be HOUR when type of partition column d is DATE",
        ),
        (
            "\"-2\"",
            "\"2\"",
            "Dynamic partition start must less than 0",
        ),
        (
            "= \"2\"",
            "= \"0\"",
            "Dynamic partition end must greater than 0",
        ),
        (
            "= \"2\"",
            "= \"501\"",
            "Too many dynamic partitions: 501. Limit: 500",
        ),
        (
            "= \"3\"",
            "= \"0\"",
            "Dynamic partition buckets must greater than 0",
        ),
        (
            "prefix\"",
            "prefixes\"",
            "Invalid dynamic partition properties",
        ),
        (
            "\"dynamic_partition.end\" = \"2\", ",
            "",
            "Must assign dynamic_partition.end properties",
        ),
    ] {
        lab.create_refused(DAYS, &DYNAMIC.replacen(from, to, 1), text)
            .await;
    }
    lab.create_refused(
        PLAIN,
        DYNAMIC,
        "Only support dynamic partition properties on range partition table",
    )
    .await;
    lab.sql(DAYS).await;
    lab.set_refused(
        "days",
        "dynamic_partition.end",
        "5",
        "Table d.days is not a dynamic partition table.",
    )
    .await;
    // A table becomes dynamic by all it needs at once; the scheduler comes with its next round.
    lab.sql(&format!("ALTER TABLE days SET ({DYNAMIC})")).await;
    assert_eq!(lab.kinds(), [9]);
    assert_eq!(lab.partitions("days").await.len(), 0);
    lab.sim.frontend().schedule_partitions().await;
    assert_eq!(lab.kinds(), [1, 1, 1]);
    // The target of a replication gets its partitions from the source.
    let synced = DAYS.replace(" days ", " s ");
    lab.sql(&format!(
        "{synced} PROPERTIES ({DYNAMIC}, \"is_being_synced\" = \"true\")"
    ))
    .await;
    lab.sim.frontend().schedule_partitions().await;
    assert_eq!(lab.kinds(), [2]);
    assert_eq!(lab.partitions("s").await.len(), 0);
}

#[tokio::test]
async fn the_scheduler_follows_the_clock_and_its_switch() {
    let mut lab = Lab::new("dynamic_clock").await;
    lab.sql(&format!("{DAYS} PROPERTIES ({DYNAMIC})")).await;
    lab.sql("ADMIN SET FRONTEND CONFIG (\"dynamic_partition_enable\" = \"false\")")
        .await;
    lab.records();
    lab.sim.clock().advance(86_400_000);
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(lab.kinds(), Vec::<i32>::new());
    lab.sql("ADMIN SET FRONTEND CONFIG (\"dynamic_partition_enable\" = \"true\")")
        .await;
    let mut kinds = Vec::new();
    for _ in 0..200 {
        kinds.extend(lab.kinds());
        if !kinds.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(kinds, [1]);
    // A new table is looked after at once, a copy too: what is over goes, what is to come is made.
    lab.sql("ADMIN SET FRONTEND CONFIG (\"dynamic_partition_enable\" = \"false\")")
        .await;
    lab.sim.clock().advance(5 * 86_400_000);
    let kinds = lab.kinds_of("CREATE TABLE twin LIKE days").await;
    assert_eq!(kinds, [2, 3, 3, 3, 3, 1, 1, 1]);
}

#[tokio::test]
async fn retention_count_keeps_the_youngest_past_partitions() {
    let mut lab = Lab::new("retention").await;
    let create = "CREATE TABLE e (d DATETIME NOT NULL, v INT) DUPLICATE KEY(d) \
         AUTO PARTITION BY RANGE (date_trunc(d, 'day')) () DISTRIBUTED BY HASH(d) BUCKETS 1";
    lab.sql(&format!(
        "{create} PROPERTIES (\"partition.retention_count\" = \"2\")"
    ))
    .await;
    lab.sql("INSERT INTO e VALUES ('2020-01-01 10:00:00', 1), ('2020-01-02 10:00:00', 2), ('2020-01-03 10:00:00', 3)")
        .await;
    lab.records();
    lab.sim.frontend().schedule_partitions().await;
    assert_eq!(lab.kinds(), [3]);
    assert_eq!(
        lab.partitions("e").await,
        ["p20200102000000", "p20200103000000"]
    );
    lab.set_and_see("e", "partition.retention_count", "1").await;
    lab.set_refused(
        "e",
        "partition.retention_count",
        "0",
        "partition.retention_count should be > 0",
    )
    .await;
    lab.create_refused(
        PLAIN,
        "\"partition.retention_count\" = \"2\"",
        "Only AUTO RANGE PARTITION table could set partition.retention_count",
    )
    .await;
}
