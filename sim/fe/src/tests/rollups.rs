use super::World;
use super::alters::{job_records, last_upsert, settle};
use dorisim_model::IndexState;
use dorisim_model::backend::BackendApi;

const TABLE: &str = "CREATE TABLE t (k INT NOT NULL, v INT, s VARCHAR(9)) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2";

/// Rows of one index, as the tablets hold them.
pub(super) fn index_rows(w: &World, table: &str, index: &str) -> Vec<String> {
    let table = w.fe.with_catalog(|c| c.table("d", table).unwrap().clone());
    let meta = table.indexes.iter().find(|i| i.name == index).unwrap();
    assert_eq!(meta.state, IndexState::Normal);
    let schema = table.index_schema(meta.id);
    let mut rows = Vec::new();
    for partition in table.partitions.values() {
        let tablets = partition.indexes.iter().find(|i| i.id == meta.id).unwrap();
        for tablet in &tablets.tablets {
            let read =
                w.fe.merged_rows(schema, tablet, partition.visible_version)
                    .unwrap();
            rows.extend(read.iter().map(|row| {
                row.iter()
                    .map(|c| c.as_deref().unwrap_or("-"))
                    .collect::<Vec<_>>()
                    .join(",")
            }));
        }
    }
    rows.sort();
    rows
}

#[tokio::test]
async fn a_rollup_holds_old_and_new_rows() {
    let w = World::new(1).await;
    w.sql(TABLE).await;
    w.insert("t", &[&["1", "2", "a"], &["2", "-", "b"]]).await;
    w.sql("ALTER TABLE t ADD ROLLUP r (s, k)").await;
    settle(&w).await;
    w.insert("t", &[&["3", "4", "c"]]).await;
    assert_eq!(index_rows(&w, "t", "r"), ["a,1", "b,2", "c,3"]);
    assert_eq!(w.rows("t"), ["1,2,a", "2,-,b", "3,4,c"]);
    let table = w.fe.with_catalog(|c| c.table("d", "t").unwrap().clone());
    let ids: Vec<i64> = table.indexes.iter().map(|i| i.id).collect();
    assert_eq!(
        last_upsert(&w)["tableRecords"][table.id.to_string()]["indexIds"],
        serde_json::json!(ids)
    );
    let records = job_records(&w);
    let states: Vec<&str> = records.iter().map(|(_, s, _)| s.as_str()).collect();
    assert_eq!(states, ["WAITING_TXN", "FINISHED"]);
    let data = &records[1].2;
    assert_eq!(
        (
            &data["type"],
            &data["rollupIndexId"],
            &data["rollUpIndexName"]
        ),
        (&"ROLLUP".into(), &ids[1].into(), &"r".into())
    );
    assert_eq!(
        (&data["baseIndexId"], &data["baseIndexName"]),
        (&ids[0].into(), &"t".into())
    );
    assert!(data.get("iim").is_none());
}

#[tokio::test]
async fn a_schema_change_rewrites_the_rollups_that_hold_the_column() {
    let w = World::new(1).await;
    w.sql(TABLE).await;
    w.sql("ALTER TABLE t ADD ROLLUP with_v (k, v), without (k, s)")
        .await;
    settle(&w).await;
    w.insert("t", &[&["1", "2", "a"]]).await;
    let id = |name: &str| {
        w.fe.with_catalog(|c| {
            let t = c.table("d", "t").unwrap();
            t.indexes.iter().find(|i| i.name == name).unwrap().id
        })
    };
    let (with_v, without) = (id("with_v"), id("without"));
    w.sql("ALTER TABLE t MODIFY COLUMN v VARCHAR(20)").await;
    settle(&w).await;
    assert_ne!(id("with_v"), with_v);
    assert_eq!(id("without"), without);
    w.insert("t", &[&["2", "xyz", "b"]]).await;
    assert_eq!(index_rows(&w, "t", "with_v"), ["1,2", "2,xyz"]);
    assert_eq!(index_rows(&w, "t", "without"), ["1,a", "2,b"]);
    assert_eq!(w.rows("t"), ["1,2,a", "2,xyz,b"]);
}

#[tokio::test]
async fn a_synchronous_view_sums_up() {
    let w = World::new(1).await;
    w.sql(TABLE).await;
    w.insert("t", &[&["1", "2", "a"], &["1", "3", "a"], &["1", "-", "b"]])
        .await;
    w.sql("CREATE MATERIALIZED VIEW mv AS SELECT k, sum(v), count(v) FROM t GROUP BY k")
        .await;
    settle(&w).await;
    w.insert("t", &[&["1", "10", "c"]]).await;
    assert_eq!(index_rows(&w, "t", "mv"), ["1,15,3"]);
    let states: Vec<String> = job_records(&w).into_iter().map(|(_, s, _)| s).collect();
    assert_eq!(states, ["PENDING", "WAITING_TXN", "FINISHED"]);
    w.sql("DROP MATERIALIZED VIEW mv ON t").await;
    assert_eq!(w.records().last().unwrap().kind, 23);
    assert_eq!(w.backends[0].tablet_count(), 2);
}

#[tokio::test]
async fn of_a_list_of_dropped_rollups_one_record_remains() {
    let w = World::new(1).await;
    w.sql("CREATE TABLE t (k INT NOT NULL, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 ROLLUP (a (k), b (v))")
        .await;
    let index =
        w.fe.with_catalog(|c| c.table("d", "t").unwrap().indexes.clone());
    let sql = w.records().last().unwrap().data.clone().unwrap();
    w.sql("CREATE TABLE u LIKE t WITH ROLLUP (b)").await;
    w.sql("CREATE TABLE x LIKE t").await;
    let count = |t: &str| {
        w.fe.with_catalog(|c| c.table("d", t).unwrap().indexes.len())
    };
    assert_eq!((count("u"), count("x")), (2, 1));
    w.sql("DROP TABLE u FORCE").await;
    w.sql("DROP TABLE x FORCE").await;
    assert!(sql.contains("ROLLUP (\\na (k),\\nb (v)\\n)"), "{sql}");
    let before = w.records().len();
    w.sql("ALTER TABLE t DROP ROLLUP a, b").await;
    let records = w.records();
    assert_eq!(records.len(), before + 1);
    let data: serde_json::Value =
        serde_json::from_str(records.last().unwrap().data.as_deref().unwrap()).unwrap();
    assert_eq!(
        (&data["indexName"], &data["indexId"]),
        (&"a".into(), &index[1].id.into())
    );
    assert_eq!(
        w.fe.with_catalog(|c| c.table("d", "t").unwrap().indexes.len()),
        1
    );
    assert_eq!(w.backends[0].tablet_count(), 1);
}

#[tokio::test]
async fn columns_join_and_leave_a_rollup_lightly() {
    let w = World::new(1).await;
    w.sql(TABLE).await;
    w.sql("ALTER TABLE t ADD ROLLUP r (k, v)").await;
    settle(&w).await;
    w.insert("t", &[&["1", "2", "a"]]).await;
    w.sql("ALTER TABLE t ADD COLUMN n INT DEFAULT \"9\" TO r")
        .await;
    w.insert("t", &[&["2", "3", "b", "4"]]).await;
    assert_eq!(index_rows(&w, "t", "r"), ["1,2,9", "2,3,4"]);
    let data = |w: &World| -> serde_json::Value {
        let last = w.records().iter().rfind(|r| r.kind == 6).cloned().unwrap();
        serde_json::from_str(last.data.as_deref().unwrap()).unwrap()
    };
    assert!(data(&w)["rawSql"].as_str().unwrap().ends_with(" IN `r`"));
    assert_eq!(data(&w)["indexSchemaMap"].as_object().unwrap().len(), 2);
    w.sql("ALTER TABLE t DROP COLUMN v FROM r").await;
    assert_eq!(index_rows(&w, "t", "r"), ["1,9", "2,4"]);
    assert_eq!(w.rows("t"), ["1,2,a,9", "2,3,b,4"]);
    w.sql("ALTER TABLE t DROP COLUMN n").await;
    assert_eq!(index_rows(&w, "t", "r"), ["1", "2"]);
    assert_eq!(data(&w)["oldIndexSchemaMap"].as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn a_synchronous_view_has_a_condition_and_expressions() {
    let w = World::new(1).await;
    w.sql(&TABLE.replace("BUCKETS 2", "BUCKETS 1")).await;
    w.insert(
        "t",
        &[&["1", "2", "a"], &["1", "-", "b"], &["2", "-5", "c"]],
    )
    .await;
    w.sql(
        "CREATE MATERIALIZED VIEW mv AS SELECT k + 1, upper(s) AS u, sum(v * 10), count(*), max(abs(v)) FROM t \
         WHERE v IS NOT NULL AND s <> 'z' GROUP BY k + 1, upper(s)",
    )
    .await;
    settle(&w).await;
    assert_eq!(index_rows(&w, "t", "mv"), ["2,A,20,1,2", "3,C,-50,1,5"]);
    // Loads after it pass the condition too, and meet the rows of their group.
    w.insert(
        "t",
        &[
            &["1", "3", "A"],
            &["1", "4", "z"],
            &["9", "-", "q"],
            &["7", "1", "n"],
        ],
    )
    .await;
    assert_eq!(
        index_rows(&w, "t", "mv"),
        ["2,A,50,2,3", "3,C,-50,1,5", "8,N,10,1,1"]
    );
    let schema = w.fe.with_catalog(|c| {
        let t = c.table("d", "t").unwrap();
        t.index_schema(t.indexes[1].id).clone()
    });
    let columns: Vec<String> = schema
        .columns
        .iter()
        .map(|c| format!("{} {}", c.name, c.data_type))
        .collect();
    assert_eq!(
        columns,
        [
            "mv_k + 1 bigint",
            "mv_upper(s) varchar(65533)",
            "mva_SUM__v * 10 bigint",
            "mva_COUNT__* bigint",
            "mva_MAX__abs(v) int"
        ]
    );
    for (view, refusal) in [
        ("SELECT z + 1 FROM t", "Unknown column 'z'"),
        ("SELECT k FROM t WHERE z > 1", "Unknown column 'z'"),
        (
            "SELECT sum(v), k FROM t GROUP BY k",
            "after the single column",
        ),
        ("SELECT k FROM t, u", "selects from one table"),
    ] {
        let error = w
            .try_sql(&format!("CREATE MATERIALIZED VIEW bad AS {view}"))
            .await
            .unwrap_err();
        assert!(error.text.contains(refusal), "{view}: {}", error.text);
    }
}

#[tokio::test]
async fn a_view_of_sketches_unites_their_members() {
    let w = World::new(1).await;
    w.sql(&TABLE.replace("BUCKETS 2", "BUCKETS 1")).await;
    w.insert("t", &[&["1", "2", "a"]]).await;
    w.sql("CREATE MATERIALIZED VIEW mv AS SELECT k, bitmap_union(to_bitmap(v)), hll_union(hll_hash(s)) FROM t GROUP BY k")
        .await;
    settle(&w).await;
    w.insert("t", &[&["1", "3", "a"], &["1", "2", "b"]]).await;
    assert_eq!(index_rows(&w, "t", "mv"), ["1,2,3,a,b"]);
}
