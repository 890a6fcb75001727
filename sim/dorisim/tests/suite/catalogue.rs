//! What a catalogue holds: kinds of partitions, types of columns, copies of tables, views, rollups.

use crate::common::lab::Lab;

/// Ranges of the partitions, by name.
async fn ranges(lab: &mut Lab, table: &str) -> Vec<String> {
    let rows = lab.rows(&format!("SHOW PARTITIONS FROM {table}")).await;
    let mut out: Vec<String> = rows.iter().map(|r| format!("{} {}", r[1], r[6])).collect();
    out.sort();
    out
}

#[tokio::test]
async fn range_partitions_of_every_form() {
    let mut lab = Lab::new("ranges").await;
    lab.sql(
        "CREATE TABLE t (k INT NOT NULL, d DATE NOT NULL, v INT) DUPLICATE KEY(k, d) PARTITION BY RANGE(k, d) \
         (PARTITION p1 VALUES LESS THAN (10, '2024-01-01'), PARTITION p2 VALUES [(10, '2024-02-01'), (20, '2024-01-01')), \
         PARTITION p3 VALUES LESS THAN (30), PARTITION p4 VALUES LESS THAN (40, MAXVALUE), PARTITION p5 VALUES LESS THAN MAXVALUE) \
         DISTRIBUTED BY HASH(k) BUCKETS 1",
    )
    .await;
    let key = |k: &str| format!("types: [INT, DATEV2]; keys: [{k}]; ");
    let range = |name: &str, from: &str, to: &str| format!("{name} [{}..{})", key(from), key(to));
    assert_eq!(
        ranges(&mut lab, "t").await,
        [
            range("p1", "-2147483648, 0000-01-01", "10, 2024-01-01"),
            range("p2", "10, 2024-02-01", "20, 2024-01-01"),
            range("p3", "20, 2024-01-01", "30, 0000-01-01"),
            range("p4", "30, 0000-01-01", "40, MAXVALUE"),
            range("p5", "40, MAXVALUE", "MAXVALUE, MAXVALUE"),
        ]
    );
    lab.sql("INSERT INTO t VALUES (9, '2024-05-05', 1), (15, '2024-01-01', 2), (40, '9999-12-31', 3), (41, '2024-01-01', 4)")
        .await;
    let counted = |name: &str| format!("SELECT v FROM t PARTITION ({name})");
    assert_eq!(lab.rows(&counted("p2")).await, [["2"]]);
    assert_eq!(lab.rows(&counted("p4")).await, [["3"]]);
    // Between p1 and p2 there is a gap.
    let refusal = lab
        .refusal("INSERT INTO t VALUES (10, '2024-01-15', 9)")
        .await;
    assert!(refusal.contains("no partition"), "{refusal}");
}

#[tokio::test]
async fn batches_of_partitions_step_by_every_unit() {
    let mut lab = Lab::new("steps").await;
    for (unit, ty, from, to, names) in [
        (
            "1 YEAR",
            "DATE",
            "2022-01-01",
            "2024-01-01",
            ["p_2022", "p_2023"],
        ),
        (
            "1 MONTH",
            "DATE",
            "2024-01-01",
            "2024-03-01",
            ["p_202401", "p_202402"],
        ),
        (
            "1 WEEK",
            "DATE",
            "2024-01-01",
            "2024-01-15",
            ["p_2024_01", "p_2024_02"],
        ),
        (
            "1 DAY",
            "DATE",
            "2024-01-01",
            "2024-01-03",
            ["p_20240101", "p_20240102"],
        ),
        (
            "1 HOUR",
            "DATETIME",
            "2024-01-01 00:00:00",
            "2024-01-01 02:00:00",
            ["p_2024010100", "p_2024010101"],
        ),
        ("5", "BIGINT", "0", "10", ["p_0_5", "p_5_10"]),
    ] {
        lab.sql(&format!(
            "CREATE TABLE t (d {ty} NOT NULL) DUPLICATE KEY(d) PARTITION BY RANGE(d) (FROM ('{from}') TO ('{to}') INTERVAL {unit}) \
             DISTRIBUTED BY HASH(d) BUCKETS 1"
        ))
        .await;
        assert_eq!(lab.partitions("t").await, names, "{unit}");
        lab.sql("DROP TABLE t FORCE").await;
    }
}

#[tokio::test]
async fn list_partitions_of_several_columns_and_a_default() {
    let mut lab = Lab::new("lists").await;
    lab.sql(
        "CREATE TABLE t (c VARCHAR(9) NULL, k INT NOT NULL, v INT) DUPLICATE KEY(c, k) PARTITION BY LIST(c, k) \
         (PARTITION a VALUES IN (('x', 1), ('y', 2)), PARTITION n VALUES IN ((NULL, 1)), PARTITION rest) DISTRIBUTED BY HASH(k) BUCKETS 1",
    )
    .await;
    let key = |k: &str| format!("types: [VARCHAR, INT]; keys: [{k}]; ");
    assert_eq!(
        ranges(&mut lab, "t").await,
        [
            format!("a [{}, {}]", key("x, 1"), key("y, 2")),
            format!("n [{}]", key("NULL, 1")),
            format!("rest [{}]", key("default key")),
        ]
    );
    lab.sql("INSERT INTO t VALUES ('y', 2, 1), (NULL, 1, 2), ('z', 9, 3)")
        .await;
    for (partition, v) in [("a", "1"), ("n", "2"), ("rest", "3")] {
        assert_eq!(
            lab.rows(&format!("SELECT v FROM t PARTITION ({partition})"))
                .await,
            [[v]]
        );
    }
    let shown = lab.shown("t").await;
    assert!(
        shown.contains("PARTITION a VALUES IN ((\"x\", \"1\"),(\"y\", \"2\"))"),
        "{shown}"
    );
    let refusal = lab
        .refusal("ALTER TABLE t ADD PARTITION b VALUES IN (('y', 2))")
        .await;
    assert!(refusal.contains("intersected"), "{refusal}");
}

#[tokio::test]
async fn loads_make_automatic_partitions_with_their_records() {
    let mut lab = Lab::new("autos").await;
    for (unit, names) in [
        ("year", ["p20230101000000", "p20240101000000"]),
        ("month", ["p20231201000000", "p20240201000000"]),
        ("week", ["p20231225000000", "p20240212000000"]),
        ("day", ["p20231231000000", "p20240215000000"]),
        ("hour", ["p20231231230000", "p20240215100000"]),
    ] {
        lab.sql(&format!(
            "CREATE TABLE t (d DATETIME NOT NULL, v INT) DUPLICATE KEY(d) AUTO PARTITION BY RANGE (date_trunc(d, '{unit}')) () \
             DISTRIBUTED BY HASH(d) BUCKETS 1"
        ))
        .await;
        lab.records();
        lab.sql("INSERT INTO t VALUES ('2024-02-15 10:20:30', 1), ('2023-12-31 23:59:59', 2), ('2024-02-15 10:59:59', 3)")
            .await;
        assert_eq!(lab.kinds(), [1, 1, 0], "{unit}");
        assert_eq!(lab.partitions("t").await, names, "{unit}");
        let shown = lab.shown("t").await;
        assert!(
            shown.contains(&format!(
                "AUTO PARTITION BY RANGE (date_trunc(`d`, '{unit}'))"
            )),
            "{shown}"
        );
        lab.sql("DROP TABLE t FORCE").await;
    }
    lab.sql(
        "CREATE TABLE l (c VARCHAR(99), k INT, v INT) DUPLICATE KEY(c, k) AUTO PARTITION BY LIST (c, k) () DISTRIBUTED BY HASH(k) BUCKETS 1",
    )
    .await;
    lab.records();
    lab.sql("INSERT INTO l VALUES ('Bei jing', 1, 1), (NULL, -2, 2), ('Bei jing', 1, 3)")
        .await;
    assert_eq!(lab.kinds(), [1, 1, 0]);
    assert_eq!(lab.partitions("l").await, ["pBei20jing811", "pX2d22"]);
    assert_eq!(
        lab.rows("SELECT v FROM l PARTITION (pX2d22)").await,
        [["2"]]
    );
}

#[tokio::test]
async fn every_type_is_shown_loaded_and_read() {
    let mut lab = Lab::new("types").await;
    let types = [
        ("b", "BOOLEAN", "boolean", "true", "1"),
        ("ti", "TINYINT", "tinyint", "-128", "-128"),
        ("si", "SMALLINT", "smallint", "32767", "32767"),
        ("i", "INT", "int", "-5", "-5"),
        (
            "bi",
            "BIGINT",
            "bigint",
            "9223372036854775807",
            "9223372036854775807",
        ),
        (
            "li",
            "LARGEINT",
            "largeint",
            "'170141183460469231731687303715884105727'",
            "170141183460469231731687303715884105727",
        ),
        ("f", "FLOAT", "float", "1.5", "1.5"),
        ("db", "DOUBLE", "double", "-2.25", "-2.25"),
        (
            "d1",
            "DECIMAL(9, 2)",
            "decimal(9,2)",
            "'1234567.891'",
            "1234567.89",
        ),
        (
            "d2",
            "DECIMALV3(76, 10)",
            "decimal(76,10)",
            "'123456789012345678901234567890123456789012345678901234567890.5'",
            "123456789012345678901234567890123456789012345678901234567890.5000000000",
        ),
        ("dt", "DATEV2", "date", "'2024-02-29'", "2024-02-29"),
        (
            "ts",
            "DATETIMEV2(3)",
            "datetime(3)",
            "'2024-02-29 01:02:03.4567'",
            "2024-02-29 01:02:03.456",
        ),
        ("c", "CHAR(5)", "char(5)", "'abc'", "abc"),
        ("vc", "VARCHAR(20)", "varchar(20)", "'x y'", "x y"),
        ("st", "STRING", "text", "'long'", "long"),
        ("j", "JSON", "json", "'{\"a\": [1, 2]}'", "{\"a\":[1,2]}"),
        ("va", "VARIANT", "variant", "'{\"a\":1}'", "{\"a\":1}"),
        (
            "ar",
            "ARRAY<ARRAY<INT>>",
            "array<array<int>>",
            "'[[1, 2], [3]]'",
            "[[1, 2], [3]]",
        ),
        (
            "ma",
            "MAP<STRING, ARRAY<DECIMAL(9,2)>>",
            "map<text,array<decimal(9,2)>>",
            "'{\"k\":[1.00]}'",
            "{\"k\":[1.00]}",
        ),
        (
            "su",
            "STRUCT<a:INT, b:STRUCT<c:TEXT>>",
            "struct<a:int,b:struct<c:text>>",
            "'{\"a\":1, \"b\":{\"c\":\"x\"}}'",
            "{\"a\":1, \"b\":{\"c\":\"x\"}}",
        ),
        ("v4", "IPV4", "ipv4", "'127.0.0.1'", "127.0.0.1"),
        ("v6", "IPV6", "ipv6", "'::1'", "::1"),
    ];
    let columns: Vec<String> = types.iter().map(|t| format!("{} {}", t.0, t.1)).collect();
    let refusal = lab
        .refusal("CREATE TABLE x (k INT, d DECIMAL(39, 2)) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1")
        .await;
    assert!(
        refusal.contains("set enable_decimal256 = true"),
        "{refusal}"
    );
    lab.sql("SET enable_decimal256 = true").await;
    lab.sql(&format!(
        "CREATE TABLE t (k INT NOT NULL, {}) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1",
        columns.join(", ")
    ))
    .await;
    let shown = lab.shown("t").await;
    let values: Vec<&str> = types.iter().map(|t| t.3).collect();
    lab.sql(&format!("INSERT INTO t VALUES (1, {})", values.join(", ")))
        .await;
    for (name, _, ty, _, value) in types {
        assert!(
            shown.contains(&format!("`{name}` {ty} NULL")),
            "{name} in {shown}"
        );
        assert_eq!(
            lab.rows(&format!("SELECT {name} FROM t")).await,
            [[value]],
            "{name}"
        );
    }
    // What the record says can be said again.
    let sql = lab.records().pop();
    assert!(sql.is_some());
    lab.sql("DROP TABLE t FORCE").await;
    lab.sql(&shown).await;
    assert_eq!(lab.shown("t").await, shown);
    for (ty, refusal) in [
        ("DECIMAL(77, 2)", "precision"),
        ("DECIMAL(5, 6)", "scale"),
        ("FROB", "Unknown type"),
    ] {
        let refusal_text = lab
            .refusal(&format!(
                "CREATE TABLE x (k INT, v {ty}) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1"
            ))
            .await;
        assert!(refusal_text.contains(refusal), "{refusal_text}");
    }
}

#[tokio::test]
async fn sketches_and_their_defaults() {
    let mut lab = Lab::new("sketches").await;
    lab.sql(
        "CREATE TABLE t (k INT, b BITMAP BITMAP_UNION, h HLL HLL_UNION, q QUANTILE_STATE QUANTILE_UNION) AGGREGATE KEY(k) \
         DISTRIBUTED BY HASH(k) BUCKETS 1",
    )
    .await;
    let shown = lab.shown("t").await;
    for line in [
        "`b` bitmap BITMAP_UNION NOT NULL DEFAULT BITMAP_EMPTY",
        "`h` hll HLL_UNION NOT NULL",
        "`q` quantile_state QUANTILE_UNION NOT NULL",
    ] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    lab.sql("DROP TABLE t FORCE").await;
    lab.sql(&shown).await;
    assert_eq!(lab.shown("t").await, shown);
}

#[tokio::test]
async fn defaults_of_every_kind() {
    let mut lab = Lab::new("defaults").await;
    lab.sql(
        "CREATE TABLE t (k INT NOT NULL, a INT DEFAULT '7', b INT DEFAULT -3, c VARCHAR(9) DEFAULT 'it''s', d DATETIME DEFAULT CURRENT_TIMESTAMP, \
         e DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3), f DATE DEFAULT CURRENT_DATE, g DOUBLE DEFAULT PI, h INT DEFAULT NULL, \
         i ARRAY<INT> DEFAULT '[]', j INT NOT NULL DEFAULT '0' COMMENT 'a \"b\"') DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1",
    )
    .await;
    let shown = lab.shown("t").await;
    for line in [
        "`a` int NULL DEFAULT \"7\"",
        "`b` int NULL DEFAULT \"-3\"",
        "`d` datetime NULL DEFAULT CURRENT_TIMESTAMP",
        "`e` datetime(3) NULL DEFAULT CURRENT_TIMESTAMP(3)",
        "`f` date NULL DEFAULT CURRENT_DATE",
        "`g` double NULL DEFAULT PI",
        "`h` int NULL,",
        "`j` int NOT NULL DEFAULT \"0\" COMMENT \"a \\\"b\\\"\"",
    ] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    lab.sql("INSERT INTO t (k) VALUES (1)").await;
    let rows = lab.rows("SELECT a, b, c, g, h, i, j FROM t").await;
    assert_eq!(
        rows,
        [["7", "-3", "it's", "3.141592653589793", "NULL", "[]", "0"]]
    );
    let now = lab.rows("SELECT d, f FROM t").await;
    assert!(now[0][0].starts_with(&now[0][1]), "{now:?}");
    for (column, refusal) in [
        ("v INT DEFAULT 'x'", "Invalid default value"),
        (
            "v INT NOT NULL DEFAULT NULL",
            "Can not set null default value to non nullable column: v",
        ),
        (
            "v JSON DEFAULT '1'",
            "Json or Variant type column default value just support null",
        ),
        (
            "v MAP<INT,INT> DEFAULT '{}'",
            "Map type column default value just support null",
        ),
    ] {
        let text = lab
            .refusal(&format!(
                "CREATE TABLE x (k INT, {column}) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1"
            ))
            .await;
        assert!(text.contains(refusal), "{text}");
    }
}

#[tokio::test]
async fn on_update_current_timestamp() {
    let mut lab = Lab::new("on_update").await;
    let create = "CREATE TABLE t (k INT NOT NULL, v INT, ts DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)) \
         UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1";
    lab.sql(create).await;
    let shown = lab.shown("t").await;
    assert!(
        shown.contains(
            "`ts` datetime(6) NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)"
        ),
        "{shown}"
    );
    lab.sql("INSERT INTO t VALUES (1, 1, '2001-01-01 00:00:00'), (2, 2, '2001-01-01 00:00:00')")
        .await;
    lab.sql("UPDATE t SET v = 5 WHERE k = 1").await;
    let rows = lab
        .rows("SELECT k, v, ts < '2002-01-01' FROM t ORDER BY k")
        .await;
    assert_eq!(rows, [["1", "5", "0"], ["2", "2", "1"]]);
    let duplicate = create.replace("UNIQUE", "DUPLICATE").replace(" t ", " x ");
    let refusal = lab.refusal(&duplicate).await;
    assert!(
        refusal.contains("'ON UPDATE CURRENT_TIMESTAMP' is only supportted in unique table with merge-on-write enabled."),
        "{refusal}"
    );
    let bare = create
        .replace("DEFAULT CURRENT_TIMESTAMP(6) ", "")
        .replace(" t ", " x ");
    let refusal = lab.refusal(&bare).await;
    assert!(
        refusal.contains("You must set the default value of the column[ts] to CURRENT_TIMESTAMP"),
        "{refusal}"
    );
}

#[tokio::test]
async fn copies_of_tables() {
    let mut lab = Lab::new("copies").await;
    lab.sql(
        "CREATE TABLE t (k INT NOT NULL, v INT DEFAULT '3' COMMENT 'c', INDEX i (v) USING INVERTED) UNIQUE KEY(k) COMMENT 'the table' \
         PARTITION BY RANGE(k) (PARTITION p1 VALUES LESS THAN (10)) DISTRIBUTED BY HASH(k) BUCKETS 3 ROLLUP (r (k, v)) \
         PROPERTIES (\"compression\" = \"lz4\")",
    )
    .await;
    assert_eq!(lab.kinds_of("CREATE TABLE u LIKE t").await, [2]);
    assert_eq!(
        lab.shown("u").await,
        lab.shown("t").await.replace("`t`", "`u`")
    );
    assert_eq!(lab.rows("DESC u ALL").await.len(), 2);
    lab.sql("CREATE TABLE w LIKE t WITH ROLLUP").await;
    let (_, data) = lab.record();
    assert!(
        data["sql"]
            .as_str()
            .unwrap()
            .contains("ROLLUP (\nr (k, v)\n)"),
        "{data}"
    );
    assert_eq!(
        lab.kinds_of("CREATE TABLE IF NOT EXISTS u LIKE t").await,
        Vec::<i32>::new()
    );
    lab.sql("INSERT INTO t VALUES (1, 2), (2, NULL)").await;
    lab.records();
    lab.sql("CREATE TABLE x PROPERTIES (\"replication_num\" = \"1\") AS SELECT k, v + 1 AS n, 'a' AS s FROM t")
        .await;
    assert_eq!(lab.kinds(), [2, 0]);
    assert_eq!(
        lab.rows("SELECT * FROM x ORDER BY k").await,
        [["1", "3", "a"], ["2", "NULL", "a"]]
    );
    lab.sql("CREATE TABLE IF NOT EXISTS x AS SELECT 1 AS k")
        .await;
    assert_eq!(lab.kinds(), Vec::<i32>::new());
    let refusal = lab.refusal("CREATE TABLE x AS SELECT 1 AS k").await;
    assert!(refusal.contains("already exists"), "{refusal}");
}

#[tokio::test]
async fn views_keep_columns_and_comments() {
    let mut lab = Lab::new("views").await;
    lab.sql("CREATE TABLE t (k INT, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1")
        .await;
    lab.records();
    lab.sql("CREATE VIEW w (a COMMENT 'first', b) COMMENT 'both' AS SELECT k, v FROM t")
        .await;
    let (kind, data) = lab.record();
    assert_eq!((kind, data["tableType"].as_str()), (2, Some("VIEW")));
    assert_eq!(
        data["sql"],
        "CREATE VIEW `w`\n(a comment 'first',b)\n COMMENT 'both' AS SELECT `internal`.`d`.`t`.`k` AS `a`, `internal`.`d`.`t`.`v` AS `b` FROM `internal`.`d`.`t`;"
    );
    lab.sql("INSERT INTO t VALUES (1, 2)").await;
    assert_eq!(lab.rows("SELECT a + b FROM w").await, [["3"]]);
    lab.records();
    lab.sql("ALTER VIEW w (c) AS SELECT v FROM t").await;
    let (kind, data) = lab.record();
    assert_eq!((kind, &data["newFullSchema"][0]["name"]), (17, &"c".into()));
    lab.sql("ALTER VIEW w MODIFY COMMENT 'one'").await;
    let (kind, data) = lab.record();
    assert_eq!((kind, &data["comment"]), (17, &"one".into()));
    assert_eq!(lab.rows("SELECT c FROM w").await, [["2"]]);
    assert_eq!(lab.kinds_of("DROP VIEW w").await, [4]);
    let refusal = lab.refusal("DROP VIEW t").await;
    assert!(refusal.contains("is not VIEW"), "{refusal}");
}

#[tokio::test]
async fn a_synchronous_view_is_described_with_its_expressions() {
    let mut lab = Lab::new("sync_views").await;
    lab.sql("CREATE TABLE t (k INT, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1")
        .await;
    lab.records();
    lab.sql("CREATE MATERIALIZED VIEW m AS SELECT k + 1 AS k1, sum(v) AS s FROM t WHERE v > 0 GROUP BY k + 1")
        .await;
    lab.settle().await;
    assert_eq!(lab.kinds(), [5, 5, 5]);
    let described = lab.rows("DESC t ALL").await;
    let view: Vec<&Vec<String>> = described.iter().skip_while(|r| r[0] != "m").collect();
    assert_eq!(view[0][1], "AGG_KEYS");
    assert_eq!(view[0][10], "k + 1");
    assert_eq!(view[0][11], "v > 0");
    assert_eq!(view[1][8], "SUM");
}

#[tokio::test]
async fn temporary_partitions_are_loaded_and_exchanged() {
    let mut lab = Lab::new("temps").await;
    lab.sql(
        "CREATE TABLE t (k INT NOT NULL, v INT) DUPLICATE KEY(k) PARTITION BY RANGE(k) (PARTITION p VALUES LESS THAN (10)) \
         DISTRIBUTED BY HASH(k) BUCKETS 1",
    )
    .await;
    lab.sql("INSERT INTO t VALUES (1, 1)").await;
    lab.sql("ALTER TABLE t ADD TEMPORARY PARTITION tp VALUES LESS THAN (10) DISTRIBUTED BY HASH(k) BUCKETS 2")
        .await;
    lab.records();
    lab.sql("INSERT INTO t TEMPORARY PARTITION (tp) VALUES (2, 2)")
        .await;
    let (kind, data) = lab.record();
    assert_eq!(kind, 0);
    let table = data["tableRecords"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap();
    assert_eq!(table["partitionRecords"][0]["isTempPartition"], true);
    assert_eq!(lab.rows("SELECT * FROM t").await, [["1", "1"]]);
    assert_eq!(
        lab.column("SHOW TEMPORARY PARTITIONS FROM t", "PartitionName")
            .await,
        ["tp"]
    );
    let kinds = lab
        .kinds_of("ALTER TABLE t REPLACE PARTITION (p) WITH TEMPORARY PARTITION (tp)")
        .await;
    assert_eq!(kinds, [12]);
    assert_eq!(lab.rows("SELECT * FROM t").await, [["2", "2"]]);
    assert_eq!(lab.partitions("t").await, ["p"]);
    let kinds = lab.kinds_of("INSERT OVERWRITE TABLE t VALUES (3, 3)").await;
    assert_eq!(kinds, [1, 0, 12]);
    assert_eq!(lab.rows("SELECT * FROM t").await, [["3", "3"]]);
}
