//! Rows 7, 10, 11 and 12: jobs, replaced tables, changing ids, what was dropped.

use std::collections::BTreeSet;

use dorisim_wire::{TGetMetaTableMeta, TStatusCode};
use serde_json::{Value, json};

use super::T;
use crate::common::peer::{Peer, Rec, code};

const COLUMN: &str = "SHOW ALTER TABLE COLUMN FROM d";
const ROLLUP: &str = "SHOW ALTER TABLE ROLLUP FROM d";

fn states(records: &[Rec], kind: &str) -> Vec<String> {
    records
        .iter()
        .filter(|r| r.kind == 5 && r.data["type"] == kind)
        .map(|r| r.data["jobState"].as_str().unwrap().to_owned())
        .collect()
}

/// Ids of all indexes and all tablets of a partition.
fn ids_of(table: &TGetMetaTableMeta, partition: &str) -> (i64, BTreeSet<i64>, BTreeSet<i64>) {
    let partitions = table.partitions.clone().unwrap();
    let found = partitions
        .into_iter()
        .find(|p| p.name.as_deref() == Some(partition))
        .unwrap();
    let indexes = found.indexes.unwrap();
    let tablets = indexes
        .iter()
        .flat_map(|i| i.tablets.clone().unwrap())
        .map(|t| t.id.unwrap())
        .collect();
    let indexes = indexes.iter().map(|i| i.id.unwrap()).collect();
    (found.id.unwrap(), indexes, tablets)
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_07_schema_changes_go_from_pending_over_waiting_to_finished_with_new_ids() {
    let mut fe = Peer::start("d1-07a", 1).await;
    fe.sql(T).await;
    fe.sql("INSERT INTO d.t VALUES (1, 'a'), (11, 'b')").await;
    let (_, old_indexes, old_tablets) = ids_of(&fe.table("t"), "p1");
    let before = fe.newest();
    fe.sql("ALTER TABLE d.t MODIFY COLUMN v STRING").await;
    fe.wait_for(COLUMN, "State", &["FINISHED"]).await;
    let records = fe.records(before);
    assert_eq!(
        states(&records, "SCHEMA_CHANGE"),
        ["PENDING", "WAITING_TXN", "FINISHED"],
        "RUNNING is not journaled"
    );
    let (_, new_indexes, new_tablets) = ids_of(&fe.table("t"), "p1");
    assert!(old_indexes.is_disjoint(&new_indexes));
    assert!(old_tablets.is_disjoint(&new_tablets));
    let (old, new) = (*old_indexes.first().unwrap(), *new_indexes.first().unwrap());
    for record in &records {
        let data = &record.data;
        assert_eq!(data["iim"], json!({new.to_string(): old}), "shadow: origin");
        assert_eq!(
            (&data["rollupIndexId"], &data["baseIndexId"]),
            (&json!(0), &json!(0))
        );
        assert!(data["jobId"].is_i64());
        assert_eq!(data["tableName"], "t");
        let sql = data["rawSql"].as_str().unwrap();
        assert!(sql.starts_with("ALTER TABLE `d`.`t`"), "{sql}");
    }
    let dropped = fe.meta().dropped_index_map.unwrap();
    assert_eq!(dropped.get(&old), Some(&records[2].seq));
    assert_eq!(fe.sql("SELECT id FROM d.t").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_07_a_cancelled_job_leaves_the_ids() {
    let mut fe = Peer::start("d1-07b", 1).await;
    fe.sql(T).await;
    let old = ids_of(&fe.table("t"), "p1");
    let before = fe.newest();
    fe.sim("settings", &json!({"dorisim_pause_alter_jobs": "true"}))
        .await;
    fe.sql("ALTER TABLE d.t MODIFY COLUMN v STRING").await;
    fe.sql("CANCEL ALTER TABLE COLUMN FROM d.t").await;
    let records = fe.records(before);
    assert_eq!(states(&records, "SCHEMA_CHANGE"), ["PENDING", "CANCELLED"]);
    assert_eq!(ids_of(&fe.table("t"), "p1"), old);
    assert!(fe.meta().dropped_index_map.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_07_rollups_have_no_pending_but_materialized_views_do() {
    let mut fe = Peer::start("d1-07c", 1).await;
    fe.sql(T).await;
    let base = *ids_of(&fe.table("t"), "p1").1.first().unwrap();
    let before = fe.newest();
    fe.sql("ALTER TABLE d.t ADD ROLLUP r (v, id)").await;
    fe.wait_for(ROLLUP, "State", &["FINISHED"]).await;
    let records = fe.records(before);
    assert_eq!(states(&records, "ROLLUP"), ["WAITING_TXN", "FINISHED"]);
    let last = &records[1].data;
    assert_eq!(last["rollUpIndexName"], "r", "capital U");
    assert_eq!(
        (&last["baseIndexId"], &last["baseIndexName"]),
        (&json!(base), &json!("t"))
    );
    let (_, indexes, _) = ids_of(&fe.table("t"), "p1");
    assert!(indexes.contains(&last["rollupIndexId"].as_i64().unwrap()));

    let before = fe.newest();
    fe.sql("CREATE MATERIALIZED VIEW mv AS SELECT id, count(v) FROM d.t GROUP BY id")
        .await;
    for _ in 0..300 {
        if states(&fe.records(before), "ROLLUP")
            .last()
            .map(String::as_str)
            == Some("FINISHED")
        {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(
        states(&fe.records(before), "ROLLUP"),
        ["PENDING", "WAITING_TXN", "FINISHED"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_10_replace_table_names_the_new_table_by_number_in_one_stream_only() {
    let mut fe = Peer::start("d1-10", 1).await;
    for name in ["a", "b", "c"] {
        fe.sql(&T.replace("d.t", &format!("d.{name}"))).await;
        fe.sql(&format!("INSERT INTO d.{name} VALUES (1, '{name}')"))
            .await;
    }
    let (a, b, c) = (fe.table_id("a"), fe.table_id("b"), fe.table_id("c"));
    let made = fe
        .made_by("ALTER TABLE d.a REPLACE WITH TABLE b PROPERTIES(\"swap\" = \"true\")")
        .await;
    assert_eq!((made.len(), made[0].kind), (1, 18));
    assert_eq!(made[0].tables, [a], "the original table alone");
    let data = &made[0].data;
    assert_eq!(data["newTblName"], json!(b), "a number");
    assert_eq!(data["actualNewTblName"], "b");
    assert_eq!(
        (&data["origTblId"], &data["origTblName"]),
        (&json!(a), &json!("a"))
    );
    assert_eq!(data["swapTable"], json!(true));
    let seen = |records: Vec<Rec>| records.iter().any(|r| r.kind == 18);
    assert!(seen(fe.table_records(a, -1)));
    assert!(!seen(fe.table_records(b, -1)), "b's stream does not see it");
    assert_eq!((fe.table_id("a"), fe.table_id("b")), (b, a), "swapped");
    assert!(fe.meta().dropped_table_map.unwrap().is_empty());

    let made = fe
        .made_by("ALTER TABLE d.a REPLACE WITH TABLE c PROPERTIES(\"swap\" = \"false\")")
        .await;
    assert_eq!(made[0].data["newTblName"], json!(c));
    assert_eq!(made[0].tables, [b]);
    assert!(!seen(fe.table_records(c, -1)));
    assert_eq!(fe.table_id("a"), c);
    assert!(fe.find_table("c").is_none());
    let dropped = fe.meta().dropped_table_map.unwrap();
    assert_eq!(dropped.into_iter().collect::<Vec<_>>(), [(b, made[0].seq)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_11_ids_change_after_truncate_and_replaced_partitions() {
    let mut fe = Peer::start("d1-11", 1).await;
    fe.sql(T).await;
    fe.sql("INSERT INTO d.t VALUES (1, 'a'), (11, 'b')").await;
    let table = fe.table_id("t");
    let (p1, index, tablets) = ids_of(&fe.table("t"), "p1");
    let (p2, ..) = ids_of(&fe.table("t"), "p2");
    let made = fe.made_by("TRUNCATE TABLE d.t PARTITION (p1)").await;
    let truncate = made.iter().find(|r| r.kind == 13).unwrap();
    assert_eq!(truncate.data["op"], json!({p1.to_string(): "p1"}));
    let (new_p1, new_index, new_tablets) = ids_of(&fe.table("t"), "p1");
    assert_ne!(new_p1, p1);
    assert!(new_tablets.is_disjoint(&tablets));
    assert_eq!(new_index, index, "the index stays");
    assert_eq!(ids_of(&fe.table("t"), "p2").0, p2, "others stay");

    fe.sql("ALTER TABLE d.t ADD TEMPORARY PARTITION tp VALUES [(\"10\"), (\"20\"))")
        .await;
    let (temp, _, temp_tablets) = ids_of(&fe.table("t"), "tp");
    let made = fe
        .made_by("ALTER TABLE d.t REPLACE PARTITION (p2) WITH TEMPORARY PARTITION (tp)")
        .await;
    let replace = made.iter().find(|r| r.kind == 12).unwrap();
    assert_eq!(replace.data["partitionIds"], json!([p2]));
    let (new_p2, _, new_tablets) = ids_of(&fe.table("t"), "p2");
    assert_eq!((new_p2, new_tablets), (temp, temp_tablets));
    assert_eq!(fe.table_id("t"), table, "the table's id stays");

    let dropped = fe.meta().dropped_partition_map.unwrap();
    assert_eq!(dropped.get(&p1), Some(&truncate.seq));
    assert_eq!(dropped.get(&p2), Some(&replace.seq));

    let (p1, ..) = ids_of(&fe.table("t"), "p1");
    fe.sql("INSERT OVERWRITE TABLE d.t PARTITION (p1) VALUES (2, 'z')")
        .await;
    assert_ne!(ids_of(&fe.table("t"), "p1").0, p1);
    // What a schema change and a restore do to ids: d1_07 and d1_11_restore.
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_11_restore_makes_new_ids_for_new_tables_and_keeps_those_of_existing_ones() {
    let mut source = Peer::start("d1-11r-source", 1).await;
    let mut target = Peer::start("d1-11r-target", 1).await;
    source.sql(T).await;
    source
        .sql("INSERT INTO d.t VALUES (1, 'a'), (11, 'b')")
        .await;
    for i in 0..5 {
        target
            .sql(&format!("CREATE VIEW d.spacer{i} AS SELECT 1"))
            .await;
    }
    let of_source = source.table("t");
    crate::backup_restore::copy(
        &mut source,
        &mut target,
        "s1",
        &crate::backup_restore::Restore::new("r1"),
    )
    .await;
    let first = target.table("t");
    assert_ne!(first.id, of_source.id);
    let (partition, indexes, tablets) = ids_of(&first, "p1");
    assert_ne!(partition, ids_of(&of_source, "p1").0);
    assert!(indexes.is_disjoint(&ids_of(&of_source, "p1").1));
    assert!(tablets.is_disjoint(&ids_of(&of_source, "p1").2));
    source.sql("INSERT INTO d.t VALUES (2, 'c')").await;
    crate::backup_restore::copy(
        &mut source,
        &mut target,
        "s2",
        &crate::backup_restore::Restore::new("r2"),
    )
    .await;
    let again = target.table("t");
    assert_eq!(
        (again.id, ids_of(&again, "p1")),
        (first.id, (partition, indexes, tablets))
    );
    assert_eq!(target.sql("SELECT id FROM d.t").await.len(), 3);
    let atomic = crate::backup_restore::Restore {
        atomic: true,
        ..crate::backup_restore::Restore::new("r3")
    };
    crate::backup_restore::copy(&mut source, &mut target, "s3", &atomic).await;
    let swapped = target.table("t");
    assert_ne!(swapped.id, first.id);
    assert_ne!(ids_of(&swapped, "p1").0, partition);
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_12_dropped_maps_are_told_and_trimmed_by_gc_and_locks_do_not_protect() {
    let mut fe = Peer::start("d1-12", 1).await;
    fe.sql(T).await;
    fe.sql(&T.replace("d.t", "d.gone")).await;
    let gone = fe.table_id("gone");
    let (p1, ..) = ids_of(&fe.table("t"), "p1");
    let (p2, ..) = ids_of(&fe.table("t"), "p2");
    let first = fe.made_by("ALTER TABLE d.t DROP PARTITION p1 FORCE").await[0].seq;
    let table = fe.made_by("DROP TABLE d.gone FORCE").await[0].seq;
    fe.sql("INSERT INTO d.t VALUES (11, 'a')").await;
    let last = fe.made_by("TRUNCATE TABLE d.t").await[0].seq;
    let meta = fe.meta();
    let (partitions, tables) = (
        meta.dropped_partition_map.clone().unwrap(),
        meta.dropped_table_map.clone().unwrap(),
    );
    assert_eq!(partitions, [(p1, first), (p2, last)].into());
    assert_eq!(tables, [(gone, table)].into());
    let sorted = |list: Option<Vec<i64>>| list.unwrap().into_iter().collect::<BTreeSet<_>>();
    assert_eq!(sorted(meta.dropped_partitions), [p1, p2].into());
    assert_eq!(sorted(meta.dropped_tables), [gone].into());
    assert_eq!(sorted(meta.dropped_indexes), [].into());

    // A job locks the first record; time passes and all of it goes all the same.
    let held = fe.lock("slow", Some(first));
    assert_eq!(held, (TStatusCode::OK, Some(first)));
    fe.sim("clock", &json!({"advance_ms": 86_401_000_i64}))
        .await;
    fe.sim("gc", &json!({})).await;
    assert_eq!(
        code(&fe.read(first, None).status),
        TStatusCode::BINLOG_TOO_OLD_COMMIT_SEQ
    );
    assert_eq!(
        code(&fe.read(last, None).status),
        TStatusCode::BINLOG_TOO_NEW_COMMIT_SEQ
    );
    let meta = fe.meta();
    assert_eq!(
        meta.dropped_partition_map.unwrap(),
        [(p2, last)].into(),
        "Doris keeps those of the last expired record"
    );
    assert!(meta.dropped_table_map.unwrap().is_empty());
    fe.sql("INSERT INTO d.t VALUES (11, 'b')").await;
    fe.sim("clock", &json!({"advance_ms": 86_401_000_i64}))
        .await;
    fe.sim("gc", &json!({})).await;
    assert!(fe.meta().dropped_partition_map.unwrap().is_empty());
    let counters: Value = fe.sim_get("counters").await;
    assert!(
        counters["task.gc_binlog"].as_u64().unwrap() > 0,
        "{counters}"
    );
}
