use super::World;
use dorisim_model::backend::BackendApi;

/// The last record of the database, (type, JSON).
fn last(w: &World) -> (i32, serde_json::Value) {
    let record = w.records().last().cloned().unwrap();
    let data = serde_json::from_str(record.data.as_deref().unwrap()).unwrap();
    (record.kind, data)
}

const PARTITIONED: &str = "CREATE TABLE t (k INT NOT NULL, v INT) DUPLICATE KEY(k) PARTITION BY RANGE(k) (PARTITION p1 VALUES LESS THAN (10), \
     PARTITION p2 VALUES LESS THAN (20)) DISTRIBUTED BY HASH(k) BUCKETS 1";

#[tokio::test]
async fn a_dropped_table_comes_back_with_its_rows() {
    let w = World::new(1).await;
    w.sql(
        "CREATE TABLE t (k INT NOT NULL, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 2",
    )
    .await;
    w.insert("t", &[&["1", "2"]]).await;
    let (db_id, id) =
        w.fe.with_catalog(|c| (c.database("d").unwrap().id, c.table("d", "t").unwrap().id));
    w.sql("DROP TABLE t").await;
    assert_eq!(last(&w).1["rawSql"], "DROP TABLE IF EXISTS `t`");
    assert_eq!(w.backends[0].tablet_count(), 2);
    w.sql("RECOVER TABLE t AS u").await;
    assert_eq!(
        last(&w),
        (
            24,
            serde_json::json!({"dbId": db_id, "newDbName": "", "tableId": id, "tableName": "u", "newTableName": "u",
                "partitionId": -1, "partitionName": "", "newPartitionName": ""})
        )
    );
    assert_eq!(w.rows("u"), ["1,2"]);
    let request = crate::MetaRequest {
        db: Some("d".to_owned()),
        ..Default::default()
    };
    let meta = w.fe.get_meta(&request).unwrap();
    assert!(meta.dropped.unwrap().tables.is_empty());
    w.sql("DROP TABLE u FORCE").await;
    assert_eq!(last(&w).1["forceDrop"], serde_json::Value::Null);
    assert_eq!(w.backends[0].tablet_count(), 0);
    assert!(w.try_sql("RECOVER TABLE u").await.is_err());
}

#[tokio::test]
async fn dropped_and_truncated_partitions_come_back() {
    let w = World::new(1).await;
    w.sql(PARTITIONED).await;
    w.insert("t", &[&["1", "2"], &["11", "3"]]).await;
    let id = w.fe.with_catalog(|c| {
        c.table("d", "t")
            .unwrap()
            .partition("p1", false)
            .unwrap()
            .id
    });
    w.sql("ALTER TABLE t DROP PARTITION p1").await;
    w.sql("ALTER TABLE t ADD PARTITION px VALUES [(0), (5))")
        .await;
    let error = w.try_sql("RECOVER PARTITION p1 FROM t").await.unwrap_err();
    assert!(error.text.contains("range conflict"), "{error}");
    w.sql("ALTER TABLE t DROP PARTITION px FORCE").await;
    w.sql("RECOVER PARTITION p1 AS pr FROM t").await;
    let (kind, data) = last(&w);
    assert_eq!(kind, 24);
    assert_eq!(
        (
            &data["partitionId"],
            &data["partitionName"],
            &data["newPartitionName"]
        ),
        (&id.into(), &"p1".into(), &"pr".into())
    );
    assert_eq!(w.rows("t"), ["1,2", "11,3"]);
    w.sql("TRUNCATE TABLE t PARTITION (pr)").await;
    assert_eq!(w.rows("t"), ["11,3"]);
    w.sql("ALTER TABLE t DROP PARTITION pr FORCE; RECOVER PARTITION pr FROM t")
        .await;
    assert_eq!(w.rows("t"), ["1,2", "11,3"]);
}

#[tokio::test]
async fn tablets_stay_until_their_time_is_over_and_go_at_once_with_force() {
    let w = World::new(1).await;
    w.sql(PARTITIONED).await;
    w.insert("t", &[&["1", "2"], &["11", "3"]]).await;
    let tablet = |name: &str| {
        w.fe.with_catalog(|c| {
            let p = c.table("d", "t").unwrap().partition(name, false).unwrap();
            p.tablets().next().unwrap().id
        })
    };
    let (first, second) = (tablet("p1"), tablet("p2"));
    w.sql("ALTER TABLE t DROP PARTITION p1; ALTER TABLE t DROP PARTITION p2 FORCE")
        .await;
    // What a late reader asks for: the binlog of the one is there, of the other not.
    let has_binlog = |id: i64| {
        w.backends[0]
            .tablet(id)
            .is_ok_and(|t| t.lock().unwrap().binlog(2).is_some())
    };
    assert!(has_binlog(first) && !has_binlog(second));
    assert_eq!(w.fe.recycle_bin().len(), 1);
    w.fe.erase_expired().await;
    assert!(has_binlog(first));
    w.clock.advance(86_401_000);
    w.fe.erase_expired().await;
    assert!(!has_binlog(first));
    assert!(w.fe.recycle_bin().is_empty());
    assert!(w.try_sql("RECOVER PARTITION p1 FROM t").await.is_err());
}

#[tokio::test]
async fn a_dropped_database_comes_back() {
    let w = World::new(1).await;
    w.sql(PARTITIONED).await;
    w.insert("t", &[&["1", "2"]]).await;
    w.sql("DROP DATABASE d").await;
    w.sql("RECOVER DATABASE d").await;
    assert_eq!(w.rows("t"), ["1,2"]);
}
