use super::{World, cells};
use crate::api::{DeleteOp, DeleteWhere, LoadError, LoadRequest, LoadState, TxnKey};

#[tokio::test]
async fn the_three_models_merge_as_declared() {
    let w = World::new(1).await;
    w.sql("CREATE TABLE dup (k INT, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2")
        .await;
    w.sql("CREATE TABLE uni (k INT, v INT) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2")
        .await;
    w.sql("CREATE TABLE agg (k INT, s BIGINT SUM, m INT MAX, r INT REPLACE) AGGREGATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2").await;
    for t in ["dup", "uni"] {
        w.insert(t, &[&["1", "10"], &["2", "20"]]).await;
        w.insert(t, &[&["1", "11"]]).await;
    }
    assert_eq!(w.rows("dup"), ["1,10", "1,11", "2,20"]);
    assert_eq!(w.rows("uni"), ["1,11", "2,20"]);
    w.insert("agg", &[&["1", "10", "5", "1"], &["1", "1", "9", "2"]])
        .await;
    w.insert("agg", &[&["1", "100", "7", "3"]]).await;
    assert_eq!(w.rows("agg"), ["1,111,9,3"]);
}

#[tokio::test]
async fn deletes_hide_rows_and_later_rows_come_back() {
    let w = World::new(1).await;
    w.sql("CREATE TABLE dup (k INT, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2")
        .await;
    w.sql("CREATE TABLE uni (k INT, v INT) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2")
        .await;
    w.insert("dup", &[&["1", "10"], &["2", "20"]]).await;
    let condition = DeleteWhere {
        column: "v".to_owned(),
        op: DeleteOp::Ge,
        values: vec!["20".to_owned()],
    };
    w.fe.delete("d", "dup", &[], &[condition], None)
        .await
        .unwrap();
    assert_eq!(w.rows("dup"), ["1,10"]);
    w.insert("dup", &[&["2", "21"]]).await;
    assert_eq!(w.rows("dup"), ["1,10", "2,21"]);

    w.insert("uni", &[&["1", "10"], &["2", "20"]]).await;
    let mut gone = LoadRequest::insert("d", "uni", vec!["k".to_owned()], cells(&[&["2"]]));
    gone.delete = true;
    w.fe.load(gone).await.unwrap();
    assert_eq!(w.rows("uni"), ["1,10"]);
    w.insert("uni", &[&["2", "22"]]).await;
    assert_eq!(w.rows("uni"), ["1,10", "2,22"]);
}

#[tokio::test]
async fn the_sequence_column_decides_what_is_newest() {
    let w = World::new(1).await;
    w.sql("CREATE TABLE s (k INT, v INT, at INT) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES (\"function_column.sequence_col\" = \"at\")").await;
    w.insert("s", &[&["1", "10", "5"]]).await;
    w.insert("s", &[&["1", "11", "3"]]).await;
    assert_eq!(w.rows("s"), ["1,10,5"]);
    w.insert("s", &[&["1", "12", "5"]]).await;
    assert_eq!(w.rows("s"), ["1,12,5"]);
}

#[tokio::test]
async fn partial_updates_keep_the_other_columns() {
    let w = World::new(1).await;
    w.sql("CREATE TABLE uni (k INT, a INT, b INT DEFAULT \"7\") UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1").await;
    w.insert("uni", &[&["1", "10", "20"]]).await;
    let mut request = LoadRequest::insert(
        "d",
        "uni",
        vec!["k".to_owned(), "a".to_owned()],
        cells(&[&["1", "11"], &["2", "12"]]),
    );
    request.partial_update = true;
    w.fe.load(request).await.unwrap();
    assert_eq!(w.rows("uni"), ["1,11,20", "2,12,7"]);
}

#[tokio::test]
async fn rows_without_a_partition_or_with_bad_values_are_refused() {
    let w = World::new(1).await;
    w.sql("CREATE TABLE p (k INT NOT NULL, v INT) DUPLICATE KEY(k) PARTITION BY RANGE(k) (PARTITION a VALUES LESS THAN (10)) DISTRIBUTED BY HASH(k) BUCKETS 1").await;
    let load = |rows: &[&[&str]], ratio: f64| {
        let mut request = LoadRequest::insert("d", "p", Vec::new(), cells(rows));
        request.max_filter_ratio = ratio;
        w.fe.load(request)
    };
    let refused = load(&[&["1", "1"], &["10", "1"]], 0.0).await.unwrap_err();
    assert!(
        matches!(
            refused,
            LoadError::TooManyFiltered {
                total: 2,
                filtered: 1,
                ..
            }
        ),
        "{refused:?}"
    );
    assert!(w.rows("p").is_empty());
    let result = load(&[&["1", "1"], &["-", "1"], &["x", "1"]], 0.7)
        .await
        .unwrap();
    assert_eq!(
        (result.loaded, result.filtered, result.state),
        (1, 2, LoadState::Visible)
    );
    assert_eq!(w.rows("p"), ["1,1"]);
}

#[tokio::test]
async fn old_rows_show_the_default_of_a_new_column() {
    let w = World::new(1).await;
    w.sql("CREATE TABLE t (k INT, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1")
        .await;
    w.insert("t", &[&["1", "10"]]).await;
    w.sql("ALTER TABLE t ADD COLUMN n INT DEFAULT \"5\", DROP COLUMN v")
        .await;
    w.insert("t", &[&["2", "6"]]).await;
    assert_eq!(w.rows("t"), ["1,5", "2,6"]);
    w.sql("ALTER TABLE t ADD COLUMN v VARCHAR(9)").await;
    assert_eq!(
        w.rows("t"),
        ["1,5,-", "2,6,-"],
        "a column of the same name is another one"
    );
    w.sql("ALTER TABLE t RENAME COLUMN n m").await;
    assert_eq!(w.rows("t"), ["1,5,-", "2,6,-"]);
}

#[tokio::test]
async fn automatic_partitions_and_overwrite() {
    let w = World::new(1).await;
    w.sql("CREATE TABLE a (dt DATE NOT NULL, v INT) DUPLICATE KEY(dt) AUTO PARTITION BY RANGE (date_trunc(dt, 'month')) () DISTRIBUTED BY HASH(dt) BUCKETS 1").await;
    w.insert(
        "a",
        &[
            &["2024-01-05", "1"],
            &["2024-02-05", "2"],
            &["2024-01-06", "3"],
        ],
    )
    .await;
    let names = w.fe.with_catalog(|c| {
        c.table("d", "a")
            .unwrap()
            .partitions
            .values()
            .map(|p| p.name.clone())
            .collect::<Vec<_>>()
    });
    assert_eq!(names, ["p20240101000000", "p20240201000000"]);
    w.fe.insert_overwrite(LoadRequest::insert(
        "d",
        "a",
        Vec::new(),
        cells(&[&["2024-01-09", "9"]]),
    ))
    .await
    .unwrap();
    assert_eq!(w.rows("a"), ["2024-01-09,9"]);
    assert_eq!(w.records().iter().filter(|r| r.kind == 12).count(), 1);
}

#[tokio::test]
async fn two_phases_and_explicit_transactions() {
    let w = World::new(1).await;
    w.sql("CREATE TABLE t (k INT, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1")
        .await;
    let mut request = LoadRequest::insert("d", "t", Vec::new(), cells(&[&["1", "1"]]));
    request.two_phase = true;
    let first = w.fe.load(request.clone()).await.unwrap();
    assert_eq!(first.state, LoadState::Precommitted);
    assert!(w.rows("t").is_empty());
    w.fe.finish_two_phase("d", TxnKey::Id(first.txn_id), true)
        .await
        .unwrap();
    assert_eq!(w.rows("t"), ["1,1"]);

    let txn = w.fe.begin_explicit("d", None).unwrap();
    for v in ["2", "3"] {
        let mut request = LoadRequest::insert("d", "t", Vec::new(), cells(&[&[v, v]]));
        request.explicit_txn = Some(txn);
        w.fe.load(request).await.unwrap();
    }
    assert_eq!(w.rows("t"), ["1,1"]);
    let result = w.fe.commit_explicit(txn).await.unwrap();
    assert_eq!((result.loaded, result.state), (2, LoadState::Visible));
    assert_eq!(w.rows("t"), ["1,1", "2,2", "3,3"]);
    let last = w.records().pop().unwrap();
    let data: serde_json::Value = serde_json::from_str(last.data.as_deref().unwrap()).unwrap();
    assert_eq!(data["stids"].as_array().unwrap().len(), 2);
    assert_eq!(data["stids"][0], txn);
    let table = data["tableRecords"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap();
    let versions: Vec<i64> = table["partitionRecords"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["version"].as_i64().unwrap())
        .collect();
    assert_eq!(versions, [3, 4]);

    let txn = w.fe.begin_explicit("d", None).unwrap();
    w.fe.rollback_explicit(txn).await.unwrap();
    assert!(w.fe.commit_explicit(txn).await.is_err());
}

#[tokio::test]
async fn replicas_are_spread_and_one_dead_backend_of_three_is_survived() {
    let w = World::new(3).await;
    w.sql("CREATE TABLE t (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 3 PROPERTIES (\"replication_num\" = \"3\")").await;
    w.insert("t", &[&["1"], &["2"], &["3"]]).await;
    assert!(
        w.backends
            .iter()
            .all(|b| dorisim_model::backend::BackendApi::tablet_count(b.as_ref()) == 3)
    );
    assert_eq!(w.rows("t"), ["1", "2", "3"]);
    let error = w.try_sql("CREATE TABLE u (k INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 PROPERTIES (\"replication_num\" = \"4\")").await.unwrap_err();
    assert!(
        error.text.contains("Failed to find enough backend"),
        "{error}"
    );
}

#[tokio::test]
async fn rows_of_one_key_in_random_buckets_are_one_row() {
    let w = World::new(1).await;
    w.sql("CREATE TABLE r (k INT NOT NULL, v BIGINT SUM) AGGREGATE KEY(k) DISTRIBUTED BY RANDOM BUCKETS 4").await;
    for _ in 0..4 {
        w.insert("r", &[&["1", "2"], &["2", "1"]]).await;
    }
    assert_eq!(w.rows("r"), ["1,8", "2,4"]);
}
