//! What never makes a record: one test each.

use super::World;
use super::alters::settle;
use crate::api::{BinlogReply, StreamKey};

const CREATE: &str =
    "CREATE TABLE t (k INT NOT NULL, v INT) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1";

/// Types of the records that these statements make in the stream of `d`.
async fn kinds(w: &World, statements: &[&str]) -> Vec<i32> {
    let before = w.records().last().map_or(-1, |r| r.commit_seq);
    for text in statements {
        w.sql(text).await;
    }
    settle(w).await;
    let after = w.records();
    let new = after.iter().filter(|r| r.commit_seq > before);
    new.map(|r| r.kind).collect()
}

async fn with_table() -> World {
    let w = World::new(1).await;
    w.sql(CREATE).await;
    w
}

#[tokio::test]
async fn rename_database_makes_no_record() {
    let w = with_table().await;
    let before = w.records().len();
    w.sql("ALTER DATABASE d RENAME e").await;
    w.sql("ALTER DATABASE e RENAME d").await;
    assert_eq!(w.records().len(), before);
}

#[tokio::test]
async fn create_and_drop_database_make_no_record() {
    let w = with_table().await;
    let made = kinds(
        &w,
        &[
            "CREATE DATABASE other PROPERTIES (\"binlog.enable\" = \"true\")",
            "DROP DATABASE other",
        ],
    )
    .await;
    assert_eq!(made, Vec::<i32>::new());
    // The dropped one's stream is gone with it.
    w.sql("CREATE DATABASE gone PROPERTIES (\"binlog.enable\" = \"true\")")
        .await;
    let key = StreamKey {
        db: "gone".to_owned(),
        ..StreamKey::default()
    };
    assert!(matches!(
        w.fe.get_binlog(&key, -1, 1),
        Ok(BinlogReply::NotFoundDb)
    ));
}

#[tokio::test]
async fn recover_database_makes_no_record() {
    let w = with_table().await;
    w.sql("DROP DATABASE d").await;
    w.sql("RECOVER DATABASE d").await;
    let key = StreamKey {
        db: "d".to_owned(),
        ..StreamKey::default()
    };
    let seen = match w.fe.get_binlog(&key, -1, 255) {
        Ok(BinlogReply::Records(records)) => records.iter().map(|r| r.kind).collect(),
        _ => Vec::new(),
    };
    assert!(!seen.contains(&24), "{seen:?}");
}

#[tokio::test]
async fn database_quotas_make_no_record() {
    let w = with_table().await;
    let made = kinds(
        &w,
        &[
            "ALTER DATABASE d SET DATA QUOTA 10G",
            "ALTER DATABASE d SET REPLICA QUOTA 1000",
        ],
    )
    .await;
    assert_eq!(made, Vec::<i32>::new());
}

#[tokio::test]
async fn switching_light_schema_change_on_makes_no_record() {
    let w = World::new(1).await;
    w.sql(&format!(
        "{CREATE} PROPERTIES (\"light_schema_change\" = \"false\")"
    ))
    .await;
    let made = kinds(
        &w,
        &["ALTER TABLE t SET (\"light_schema_change\" = \"true\")"],
    )
    .await;
    assert_eq!(made, Vec::<i32>::new());
}

#[tokio::test]
async fn a_change_of_colocation_makes_no_record() {
    let w = with_table().await;
    let made = kinds(&w, &["ALTER TABLE t SET (\"colocate_with\" = \"g\")"]).await;
    assert_eq!(made, Vec::<i32>::new());
}

#[tokio::test]
async fn the_allocator_of_auto_increment_makes_no_record() {
    let w = World::new(1).await;
    w.sql("CREATE TABLE t (id BIGINT NOT NULL AUTO_INCREMENT, v INT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1")
        .await;
    let before = w.records().len();
    let request = crate::LoadRequest::insert(
        "d",
        "t",
        vec!["v".to_owned()],
        super::cells(&[&["1"], &["2"]]),
    );
    w.fe.load(request).await.unwrap();
    let kinds: Vec<i32> = w.records()[before..].iter().map(|r| r.kind).collect();
    assert_eq!(kinds, [0]);
}

#[tokio::test]
async fn accounts_and_privileges_make_no_record() {
    let w = with_table().await;
    let made = kinds(
        &w,
        &[
            "CREATE USER 'u' IDENTIFIED BY 'p'",
            "GRANT SELECT_PRIV ON d.* TO 'u'",
            "REVOKE SELECT_PRIV ON d.* FROM 'u'",
            "SET PASSWORD FOR 'u' = PASSWORD('q')",
            "DROP USER 'u'",
            "CREATE ROLE r",
        ],
    )
    .await;
    assert_eq!(made, Vec::<i32>::new());
}

#[tokio::test]
async fn functions_and_workload_groups_make_no_record() {
    let w = with_table().await;
    let made = kinds(
        &w,
        &[
            "CREATE FUNCTION f(INT) RETURNS INT PROPERTIES (\"file\" = \"x\")",
            "CREATE WORKLOAD GROUP g PROPERTIES (\"cpu_share\" = \"10\")",
            "ADMIN SET FRONTEND CONFIG (\"disable_balance\" = \"true\")",
        ],
    )
    .await;
    assert_eq!(made, Vec::<i32>::new());
}

#[tokio::test]
async fn the_beginning_of_add_rollup_makes_no_record() {
    let w = with_table().await;
    w.sql("ADMIN SET FRONTEND CONFIG (\"dorisim_pause_alter_jobs\" = \"true\")")
        .await;
    let before = w.records().len();
    w.sql("ALTER TABLE t ADD ROLLUP r (v)").await;
    assert_eq!(w.records().len(), before);
}

#[tokio::test]
async fn a_schema_change_is_never_seen_running() {
    let w = with_table().await;
    w.insert("t", &[&["1", "2"]]).await;
    let before = w.records().len();
    w.sql("ALTER TABLE t MODIFY COLUMN v BIGINT").await;
    settle(&w).await;
    let states: Vec<String> = w.records()[before..]
        .iter()
        .map(|r| {
            let data: serde_json::Value = serde_json::from_str(r.data.as_deref().unwrap()).unwrap();
            data["jobState"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(states, ["PENDING", "WAITING_TXN", "FINISHED"]);
}

#[tokio::test]
async fn create_and_drop_table_are_not_in_the_table_stream() {
    let w = with_table().await;
    w.insert("t", &[&["1", "2"]]).await;
    let key = StreamKey {
        db: "d".to_owned(),
        table: Some("t".to_owned()),
        ..StreamKey::default()
    };
    let Ok(BinlogReply::Records(records)) = w.fe.get_binlog(&key, -1, 255) else {
        panic!("the table has no stream");
    };
    assert_eq!(records.iter().map(|r| r.kind).collect::<Vec<_>>(), [0]);
}

#[tokio::test]
async fn a_database_without_the_switch_has_no_stream() {
    let w = World::bare(1).await;
    w.sql("CREATE DATABASE d").await;
    w.sql(CREATE).await;
    let key = StreamKey {
        db: "d".to_owned(),
        ..StreamKey::default()
    };
    assert!(matches!(
        w.fe.get_binlog(&key, -1, 1),
        Ok(BinlogReply::NotFoundDb)
    ));
}
