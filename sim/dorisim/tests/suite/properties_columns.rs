//! Properties about columns and indexes: kept, shown, altered with Doris' record, refused where Doris refuses.

use serde_json::json;

use crate::common::lab::Lab;

const PLAIN: &str =
    "CREATE TABLE t (k INT NOT NULL, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1";

/// Names of the columns, hidden ones included.
fn columns(lab: &Lab, table: &str) -> Vec<String> {
    lab.sim.frontend().with_catalog(|c| {
        let columns = &c.table("d", table).unwrap().schema.columns;
        columns.iter().map(|c| c.name.clone()).collect()
    })
}

#[tokio::test]
async fn f025_row_store() {
    let mut lab = Lab::new("f025").await;
    let unique = PLAIN.replace("DUPLICATE", "UNIQUE");
    lab.sql(&format!(
        "{unique} PROPERTIES (\"store_row_column\" = \"true\", \"row_store_page_size\" = \"5000\")"
    ))
    .await;
    assert_eq!(lab.property("t", "store_row_column").await.unwrap(), "true");
    assert_eq!(
        lab.property("t", "row_store_page_size").await.unwrap(),
        "8192"
    );
    assert_eq!(
        columns(&lab, "t"),
        [
            "k",
            "v",
            "__DORIS_DELETE_SIGN__",
            "__DORIS_ROW_STORE_COL__",
            "__DORIS_VERSION_COL__"
        ]
    );
    lab.sql("INSERT INTO t VALUES (1, 2)").await;
    assert_eq!(lab.rows("SELECT * FROM t").await, [["1", "2"]]);
    lab.set_refused(
        "t",
        "store_row_column",
        "false",
        "Can not alter store_row_column from true to false currently",
    )
    .await;
    // A table gets it by a job that rewrites the data.
    lab.sql(&unique.replace(" t ", " u ")).await;
    lab.sql("INSERT INTO u VALUES (1, 2)").await;
    assert_eq!(lab.property("u", "row_store_page_size").await, None);
    lab.records();
    lab.sql("ALTER TABLE u SET (\"store_row_column\" = \"true\")")
        .await;
    lab.settle().await;
    let states: Vec<_> = lab
        .records()
        .into_iter()
        .map(|(kind, data)| (kind, data["jobState"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(
        states,
        [
            (5, "PENDING".to_owned()),
            (5, "WAITING_TXN".to_owned()),
            (5, "FINISHED".to_owned())
        ]
    );
    assert_eq!(lab.property("u", "store_row_column").await.unwrap(), "true");
    assert_eq!(
        lab.property("u", "row_store_page_size").await.unwrap(),
        "16384"
    );
    assert!(columns(&lab, "u").contains(&"__DORIS_ROW_STORE_COL__".to_owned()));
    assert_eq!(lab.rows("SELECT * FROM u").await, [["1", "2"]]);
    lab.create_refused(
        "CREATE TABLE a (k INT, v INT SUM) AGGREGATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1",
        "\"store_row_column\" = \"true\"",
        "Aggregate table can't support row column now",
    )
    .await;
    lab.sql(&format!(
        "{} PROPERTIES (\"row_store_columns\" = \"k,v\")",
        unique.replace(" t ", " c ")
    ))
    .await;
    assert_eq!(lab.property("c", "row_store_columns").await.unwrap(), "k,v");
    lab.create_refused(
        &unique.replace(" t ", " x "),
        "\"row_store_columns\" = \"k,w\"",
        "Column does not exist in table. Invalid columns: w",
    )
    .await;
}

#[tokio::test]
async fn f026_sequence_column() {
    let mut lab = Lab::new("f026").await;
    for (merge, by) in [
        ("true", "\"function_column.sequence_col\" = \"v\""),
        ("false", "\"function_column.sequence_type\" = \"int\""),
    ] {
        lab.sql(&format!(
            "CREATE TABLE s (k INT NOT NULL, v INT, w INT) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 \
             PROPERTIES ({by}, \"enable_unique_key_merge_on_write\" = \"{merge}\")"
        ))
        .await;
        let shown = lab.shown("s").await;
        assert!(shown.contains(by), "{shown}");
        assert_eq!(columns(&lab, "s").last().unwrap(), "__DORIS_SEQUENCE_COL__");
        let insert = |seq: i32, w: i32| {
            if merge == "true" {
                format!("INSERT INTO s VALUES (1, {seq}, {w})")
            } else {
                format!("INSERT INTO s (k, v, w, __DORIS_SEQUENCE_COL__) VALUES (1, 0, {w}, {seq})")
            }
        };
        lab.sql(&insert(5, 50)).await;
        lab.sql(&insert(4, 40)).await;
        assert_eq!(lab.rows("SELECT w FROM s").await, [["50"]]);
        lab.sql(&insert(6, 60)).await;
        assert_eq!(lab.rows("SELECT w FROM s").await, [["60"]]);
        lab.sql("DROP TABLE s FORCE").await;
    }
    lab.create_refused(
        "CREATE TABLE x (k INT NOT NULL, v VARCHAR(9)) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1",
        "\"function_column.sequence_col\" = \"v\"",
        "Sequence type only support integer types and date types",
    )
    .await;
    lab.create_refused(
        "CREATE TABLE x (k INT NOT NULL, v INT) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1",
        "\"function_column.sequence_col\" = \"w\"",
        "The specified sequence column[w] not exists",
    )
    .await;
    let refusal = lab
        .refusal("ALTER TABLE s SET (\"function_column.sequence_col\" = \"v\")")
        .await;
    assert!(refusal.contains("Unknown table"), "{refusal}");
}

#[tokio::test]
async fn f027_light_schema_change() {
    let mut lab = Lab::new("f027").await;
    let key = "light_schema_change";
    lab.sql(PLAIN).await;
    assert_eq!(lab.property("t", key).await.unwrap(), "true");
    assert_eq!(lab.kinds_of("ALTER TABLE t ADD COLUMN a INT").await, [6]);
    lab.set_refused(
        "t",
        key,
        "false",
        "Can not alter light_schema_change from true to false currently",
    )
    .await;
    let heavy = PLAIN.replace(" t ", " h ");
    lab.sql(&format!("{heavy} PROPERTIES (\"{key}\" = \"false\")"))
        .await;
    // Printed when it is on only: a table made from this text has it on.
    assert_eq!(lab.property("h", key).await, None);
    lab.records();
    lab.sql("ALTER TABLE h ADD COLUMN a INT").await;
    lab.settle().await;
    assert_eq!(lab.kinds(), [5, 5, 5]);
    // Switching it on converts the table; no record tells of it.
    let kinds = lab
        .kinds_of("ALTER TABLE h SET (\"light_schema_change\" = \"true\")")
        .await;
    assert_eq!(kinds, Vec::<i32>::new());
    assert_eq!(lab.kinds_of("ALTER TABLE h ADD COLUMN b INT").await, [6]);
}

#[tokio::test]
async fn f029_indexes() {
    let mut lab = Lab::new("f029").await;
    lab.sql(
        "CREATE TABLE t (k INT NOT NULL, s VARCHAR(99), n VARCHAR(99), b INT, \
         INDEX i (s) USING INVERTED PROPERTIES(\"parser\" = \"english\") COMMENT 'words', \
         INDEX g (n) USING NGRAM_BF PROPERTIES(\"gram_size\" = \"3\"), INDEX m (b) USING BITMAP) \
         DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1",
    )
    .await;
    let shown = lab.shown("t").await;
    for line in [
        "INDEX i (`s`) USING INVERTED PROPERTIES(\"lower_case\" = \"true\", \"parser\" = \"english\", \"support_phrase\" = \"true\") COMMENT \"words\"",
        "INDEX g (`n`) USING NGRAM_BF PROPERTIES(\"bf_size\" = \"256\", \"gram_size\" = \"3\")",
        "INDEX m (`b`) USING BITMAP",
    ] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    let kinds = lab.column("SHOW INDEX FROM t", "Index_type").await;
    assert_eq!(kinds, ["INVERTED", "NGRAM_BF", "BITMAP"]);
    lab.records();
    lab.sql("ALTER TABLE t ADD INDEX j (b) USING INVERTED")
        .await;
    assert_eq!(lab.kinds(), [19]);
    lab.sql("ALTER TABLE t DROP INDEX g").await;
    lab.settle().await;
    assert_eq!(lab.kinds(), [5, 5, 5]);
    assert_eq!(
        lab.column("SHOW INDEX FROM t", "Key_name").await,
        ["i", "m", "j"]
    );
    let refusal = lab.refusal("ALTER TABLE t ADD INDEX j (b)").await;
    assert!(refusal.contains("index `j` already exist."), "{refusal}");
    let refusal = lab
        .refusal(
            "CREATE TABLE x (k INT, INDEX i (z)) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1",
        )
        .await;
    assert!(refusal.contains("invalid column: z"), "{refusal}");
    lab.set_refused(
        "t",
        "inverted_index_storage_format",
        "V1",
        "Property inverted_index_storage_format is not allowed to change",
    )
    .await;
}

#[tokio::test]
async fn f030_bloom_filter_columns() {
    let mut lab = Lab::new("f030").await;
    let key = "bloom_filter_columns";
    lab.sql(&format!("{PLAIN} PROPERTIES (\"{key}\" = \"K,v\")"))
        .await;
    assert_eq!(lab.property("t", key).await.unwrap(), "k, v");
    lab.set_refused("t", key, "k,v", "Bloom filter index has no change")
        .await;
    lab.set_refused(
        "t",
        key,
        "z",
        "Bloom filter column does not exist in table. invalid column: z",
    )
    .await;
    lab.sql("ALTER TABLE t SET (\"bloom_filter_columns\" = \"k\")")
        .await;
    lab.settle().await;
    let records = lab.records();
    assert_eq!(records.iter().map(|r| r.0).collect::<Vec<_>>(), [5, 5, 5]);
    assert_eq!(records[0].1["type"], "SCHEMA_CHANGE");
    assert_eq!(lab.property("t", key).await.unwrap(), "k");
    let other = PLAIN.replace(" t ", " x ");
    for (create, list, text) in [
        (
            other.replace("v INT", "v DOUBLE"),
            "v",
            "DOUBLE is not supported in bloom filter index. invalid column: v",
        ),
        (other.clone(), "k,k", "Reduplicated bloom filter column: k"),
        (
            other
                .replace("DUPLICATE", "AGGREGATE")
                .replace("v INT", "v INT SUM"),
            "v",
            "Bloom filter index should only be used in columns of UNIQUE_KEYS/DUP_KEYS table or key columns of AGG_KEYS table",
        ),
    ] {
        lab.create_refused(&create, &format!("\"{key}\" = \"{list}\""), text)
            .await;
    }
}

#[tokio::test]
async fn f031_bloom_filter_fpp() {
    let mut lab = Lab::new("f031").await;
    lab.sql(&format!(
        "{PLAIN} PROPERTIES (\"bloom_filter_columns\" = \"k\", \"bloom_filter_fpp\" = \"0.01\")"
    ))
    .await;
    // The DDL does not print it; the property map of the record has it.
    assert_eq!(lab.property("t", "bloom_filter_fpp").await, None);
    let (_, created) = lab.records().pop().unwrap();
    assert!(!created["sql"].as_str().unwrap().contains("fpp"));
    assert_eq!(created["properties"]["bloom_filter_fpp"], "0.01");
    lab.set_refused(
        "t",
        "bloom_filter_fpp",
        "0.5",
        "Bloom filter fpp should in [1.0E-4, 0.05]",
    )
    .await;
    lab.set_refused(
        "t",
        "bloom_filter_fpp",
        "few",
        "Bloom filter fpp is not Double",
    )
    .await;
    lab.set_refused(
        "t",
        "bloom_filter_fpp",
        "0.01",
        "Bloom filter index has no change",
    )
    .await;
    lab.sql("ALTER TABLE t SET (\"bloom_filter_fpp\" = \"0.02\")")
        .await;
    lab.settle().await;
    assert_eq!(lab.kinds(), [5, 5, 5]);
}

#[tokio::test]
async fn f033_generated_column() {
    let mut lab = Lab::new("f033").await;
    lab.sql(
        "CREATE TABLE t (k INT NOT NULL, a INT, b INT, c INT GENERATED ALWAYS AS (a + b) COMMENT 'sum', \
         d VARCHAR(20) AS (concat('x', a))) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1",
    )
    .await;
    let shown = lab.shown("t").await;
    assert!(
        shown.contains(
            "`c` int AS ((CAST(`a` AS bigint) + CAST(`b` AS bigint))) NULL COMMENT \"sum\""
        ),
        "{shown}"
    );
    lab.sql("INSERT INTO t (k, a, b) VALUES (1, 2, 3), (2, NULL, 1)")
        .await;
    lab.sql("INSERT INTO t VALUES (3, 4, 5, DEFAULT, DEFAULT)")
        .await;
    assert_eq!(
        lab.rows("SELECT k, c, d FROM t ORDER BY k").await,
        [["1", "5", "x2"], ["2", "NULL", "NULL"], ["3", "9", "x4"]]
    );
    for (create, text) in [
        (
            "CREATE TABLE x (k INT, a INT AS (k + 1) DEFAULT '1') DISTRIBUTED BY HASH(k) BUCKETS 1",
            "Generated columns cannot have default value.",
        ),
        (
            "CREATE TABLE x (k INT, a BIGINT AS (k + 1) AUTO_INCREMENT) DISTRIBUTED BY HASH(k) BUCKETS 1",
            "Generated columns cannot be auto_increment.",
        ),
        (
            "CREATE TABLE x (k INT, a INT AS (z + 1)) DISTRIBUTED BY HASH(k) BUCKETS 1",
            "Unknown column 'z'",
        ),
    ] {
        let refusal = lab.refusal(create).await;
        assert!(refusal.contains(text), "{refusal}");
    }
    let refusal = lab.refusal("INSERT INTO t (k, c) VALUES (9, 9)").await;
    assert!(
        refusal
            .contains("The value specified for generated column 'c' in table 't' is not allowed."),
        "{refusal}"
    );
}

#[tokio::test]
async fn f034_auto_increment() {
    let mut lab = Lab::new("f034").await;
    for (model, table) in [("DUPLICATE", "t"), ("UNIQUE", "u")] {
        lab.sql(&format!(
            "CREATE TABLE {table} (id BIGINT NOT NULL AUTO_INCREMENT(100), v INT) {model} KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1"
        ))
        .await;
        let shown = lab.shown(table).await;
        assert!(
            shown.contains("`id` bigint NOT NULL AUTO_INCREMENT(100)"),
            "{shown}"
        );
        // The allocator moves without a record of its own.
        lab.records();
        lab.sql(&format!("INSERT INTO {table} (v) VALUES (1), (2)"))
            .await;
        lab.sql(&format!("INSERT INTO {table} (v) VALUES (3)"))
            .await;
        assert_eq!(lab.kinds(), [0, 0]);
        let ids = lab
            .column(&format!("SELECT id FROM {table} ORDER BY v"), "id")
            .await;
        let ids: Vec<i64> = ids.iter().map(|id| id.parse().unwrap()).collect();
        assert!(
            ids[0] >= 100 && ids.windows(2).all(|w| w[0] < w[1]),
            "{ids:?}"
        );
    }
    let (_, created) = {
        lab.sql("CREATE TABLE w (k INT, id BIGINT NOT NULL AUTO_INCREMENT) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1")
            .await;
        lab.records().pop().unwrap()
    };
    assert!(
        created["sql"]
            .as_str()
            .unwrap()
            .contains("AUTO_INCREMENT(1)")
    );
    lab.sql("ALTER TABLE w ADD COLUMN x INT").await;
    let (_, data) = lab.record();
    let columns = data["indexSchemaMap"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap();
    assert_eq!(columns[1]["isAutoInc"], json!(true));
    assert_eq!(columns[1]["autoIncInitValue"], json!(1));
    let refusal = lab
        .refusal("CREATE TABLE x (id INT NOT NULL AUTO_INCREMENT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1")
        .await;
    assert!(
        refusal.contains("the auto increment must be BIGINT type."),
        "{refusal}"
    );
}
