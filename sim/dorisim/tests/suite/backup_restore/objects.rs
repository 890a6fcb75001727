//! What a restore makes of tables, partitions, views and their properties.

use dorisim_wire::TStatusCode;
use serde_json::json;

use super::{
    Restore, backup, copy, info_with_extra, pair, restore, restore_request, restored, rows,
    snapshot, submit,
};
use crate::common::peer::Peer;

const OK: (&str, &str) = ("FINISHED", "[OK]");

async fn ddl(peer: &mut Peer, table: &str) -> String {
    let rows = peer.sql(&format!("SHOW CREATE TABLE d.{table}")).await;
    rows[0][1].clone().unwrap()
}

/// Restores the snapshot; state and status.
async fn end(
    source: &mut Peer,
    target: &mut Peer,
    label: &str,
    wanted: &Restore,
) -> (String, String) {
    let snap = snapshot(source, label);
    restore(source, target, &snap, wanted).await
}

fn fine(end: (String, String)) {
    assert_eq!((end.0.as_str(), end.1.as_str()), OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn table_refs_choose_objects_and_aliases_give_other_names() {
    let (mut source, mut target) = pair("alias").await;
    backup(&mut source, "s", "").await;
    let wanted = Restore {
        refs: vec![("t", Some("__ccr_t_1")), ("u", None)],
        ..Restore::new("r")
    };
    fine(end(&mut source, &mut target, "s", &wanted).await);
    assert!(target.find_table("t").is_none());
    assert_eq!(rows(&mut target, "__ccr_t_1").await, ["1,one", "11,eleven"]);
    assert_eq!(rows(&mut target, "u").await, ["2,two"]);
    let views = target.sql("SHOW TABLES FROM d LIKE 'w'").await;
    assert!(views.is_empty(), "views are filtered too");
    let index = target.table("__ccr_t_1").partitions.unwrap()[0]
        .indexes
        .clone()
        .unwrap();
    assert_eq!(
        index[0].name.as_deref(),
        Some("__ccr_t_1"),
        "the base index has the table's name"
    );
    // The alias table takes over a name and keeps its id.
    let id = target.table_id("__ccr_t_1");
    target
        .sql("ALTER TABLE d.u REPLACE WITH TABLE __ccr_t_1 PROPERTIES(\"swap\"=\"false\")")
        .await;
    assert_eq!(target.table_id("u"), id);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_atomic_restore_swaps_in_at_its_end_and_refuses_changes_meanwhile() {
    let (mut source, mut target) = pair("atomic").await;
    copy(&mut source, &mut target, "s1", &Restore::new("r1")).await;
    let old = target.table("t");
    let old_view = target.sql("SHOW PROC '/dbs/'").await;
    assert!(!old_view.is_empty());
    source.sql("INSERT INTO d.t VALUES (2, 'two')").await;
    backup(&mut source, "s2", "").await;
    let snap = snapshot(&mut source, "s2");
    let info = info_with_extra(&mut source, &snap).await;
    let hold = json!({"call": "task.download", "effect": "hold"});
    let rule = target.sim("faults", &hold).await["id"].as_u64().unwrap();
    let wanted = Restore {
        atomic: true,
        ..Restore::new("r2")
    };
    let request = restore_request(&wanted, snap.meta.unwrap(), &info);
    assert_eq!(submit(&mut target, request).0, TStatusCode::OK);
    target
        .wait_for(super::SHOW_RESTORE, "State", &["DOWNLOADING"])
        .await;
    assert_eq!(
        rows(&mut target, "t").await,
        ["1,one", "11,eleven"],
        "readers see the old rows"
    );
    target.sql("INSERT INTO d.t VALUES (5, 'lost')").await;
    let (_, text) = target.refused("ALTER TABLE d.t ADD COLUMN c INT").await;
    assert!(
        text.contains("Table[t] is in atomic restore state. Do not allow doing ALTER ops"),
        "{text}"
    );
    let (_, text) = target.refused("DROP TABLE d.t").await;
    assert!(
        text.contains("The table [t]'s state is in atomic restore, cannot be dropped."),
        "{text}"
    );
    let (_, text) = target.refused("TRUNCATE TABLE d.t").await;
    assert!(text.contains("is in atomic restore state"), "{text}");
    let hidden = target.table("__doris_atomic_restore_prefix__t");
    assert_ne!(hidden.id, old.id, "the new one is there, hidden");
    assert_eq!(target.sim_delete(&format!("faults/{rule}")).await, 200);
    fine(restored(&mut target).await);
    assert_eq!(
        rows(&mut target, "t").await,
        ["1,one", "2,two", "11,eleven"]
    );
    let new = target.table("t");
    assert_ne!(new.id, old.id);
    assert_eq!(new.id, hidden.id);
    assert!(
        target
            .find_table("__doris_atomic_restore_prefix__t")
            .is_none()
    );
    let ids = |t: &dorisim_wire::TGetMetaTableMeta| -> Vec<i64> {
        t.partitions
            .clone()
            .unwrap()
            .iter()
            .map(|p| p.id.unwrap())
            .collect()
    };
    assert!(ids(&new).iter().all(|id| !ids(&old).contains(id)));
    target.sql("ALTER TABLE d.t ADD COLUMN c INT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_schema_is_refused_unless_force_replace() {
    let (mut source, mut target) = pair("schema").await;
    target
        .sql("CREATE TABLE d.t (id BIGINT NOT NULL, other INT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 2")
        .await;
    target.sql("CREATE VIEW d.w AS SELECT 7 AS id").await;
    let old = target.table_id("t");
    backup(&mut source, "s", "").await;
    let t_only = |label: &str| Restore {
        refs: vec![("t", None)],
        ..Restore::new(label)
    };
    let (state, status) = end(&mut source, &mut target, "s", &t_only("r1")).await;
    assert_eq!(state, "CANCELLED");
    assert!(
        status.contains("Table t already exist but with different schema"),
        "{status}"
    );
    let atomic = Restore {
        atomic: true,
        ..t_only("r2")
    };
    let (_, status) = end(&mut source, &mut target, "s", &atomic).await;
    assert!(
        status.contains("Table t already exist but with different schema"),
        "{status}"
    );
    let w_only = Restore {
        refs: vec![("w", None)],
        ..Restore::new("r3")
    };
    let (_, status) = end(&mut source, &mut target, "s", &w_only).await;
    assert!(
        status.contains("View w already exist but with different schema"),
        "{status}"
    );
    assert_eq!(target.table_id("t"), old);
    let forced = Restore {
        atomic: true,
        force_replace: true,
        ..Restore::new("r4")
    };
    fine(end(&mut source, &mut target, "s", &forced).await);
    assert_ne!(target.table_id("t"), old);
    assert_eq!(rows(&mut target, "t").await, ["1,one", "11,eleven"]);
    assert_eq!(target.sql("SELECT id FROM d.w ORDER BY id").await.len(), 2);
    // The alias of a restore over an existing table never fits: the name is part of the signature.
    let alias = Restore {
        refs: vec![("u", Some("t"))],
        ..Restore::new("r5")
    };
    let (_, status) = end(&mut source, &mut target, "s", &alias).await;
    assert!(
        status.contains("Table t already exist but with different schema"),
        "{status}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn clean_tables_and_clean_partitions_drop_what_the_snapshot_lacks() {
    let (mut source, mut target) = pair("clean").await;
    copy(&mut source, &mut target, "s1", &Restore::new("r1")).await;
    target
        .sql("ALTER TABLE d.t ADD PARTITION p9 VALUES LESS THAN (90)")
        .await;
    target.sql(&super::T.replace("d.t", "d.extra")).await;
    target.sql("CREATE VIEW d.extra_view AS SELECT 1").await;
    let before = target.newest();
    fine(end(&mut source, &mut target, "s1", &Restore::new("r2")).await);
    assert!(target.find_table("extra").is_some(), "only when asked for");
    assert_eq!(target.table("t").partitions.unwrap().len(), 3);
    let partitions = Restore {
        clean_partitions: true,
        ..Restore::new("r3")
    };
    fine(end(&mut source, &mut target, "s1", &partitions).await);
    assert_eq!(target.table("t").partitions.unwrap().len(), 2);
    assert!(target.find_table("extra").is_some());
    let tables = Restore {
        clean_tables: true,
        ..Restore::new("r4")
    };
    fine(end(&mut source, &mut target, "s1", &tables).await);
    assert!(target.find_table("extra").is_none());
    let mut left: Vec<String> = target
        .sql("SHOW TABLES FROM d")
        .await
        .into_iter()
        .map(|r| r[0].clone().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["t", "u", "w"]);
    let dropped: Vec<(i32, String)> = target
        .records(before)
        .iter()
        .filter(|r| matches!(r.kind, 3 | 4))
        .map(|r| {
            let name = if r.kind == 3 {
                "partitionName"
            } else {
                "tableName"
            };
            (r.kind, r.data[name].as_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(
        dropped,
        [
            (3, "p9".to_owned()),
            (4, "extra".to_owned()),
            (4, "extra_view".to_owned())
        ],
        "a chained replica sees what was cleaned"
    );
    target.sql("RECOVER TABLE d.extra").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_are_reserved_or_rewritten() {
    let mut source = Peer::start("replicas-source", 3).await;
    let mut target = Peer::start("replicas-target", 3).await;
    source
        .sql(&format!(
            "{} PROPERTIES (\"replication_num\" = \"2\")",
            super::T
        ))
        .await;
    source
        .sql("INSERT INTO d.t VALUES (1, 'one'), (11, 'eleven')")
        .await;
    backup(&mut source, "s", "").await;
    let replicas = |peer: &mut Peer, table: &str| -> Vec<usize> {
        let partitions = peer.table(table).partitions.unwrap();
        partitions
            .into_iter()
            .flat_map(|p| p.indexes.unwrap()[0].tablets.clone().unwrap())
            .map(|t| t.replicas.unwrap().len())
            .collect()
    };
    for (alias, properties, wanted, shown) in [
        (
            "reserved",
            vec![("reserve_replica", "true")],
            2,
            "default: 2",
        ),
        ("by_default", vec![], 3, "default: 3"),
        ("one", vec![("replication_num", "1")], 1, "default: 1"),
        (
            "by_tag",
            vec![("replication_allocation", "tag.location.default: 2")],
            2,
            "default: 2",
        ),
    ] {
        let restore = Restore {
            refs: vec![("t", Some(alias))],
            properties,
            ..Restore::new(alias)
        };
        fine(end(&mut source, &mut target, "s", &restore).await);
        assert_eq!(replicas(&mut target, alias), [wanted; 4], "{alias}");
        let ddl = ddl(&mut target, alias).await;
        assert!(ddl.contains(shown), "{alias}: {ddl}");
        assert_eq!(rows(&mut target, alias).await, ["1,one", "11,eleven"]);
    }
    // Into an existing table: the numbers have to be the same.
    let again = Restore {
        refs: vec![("t", None)],
        ..Restore::new("again")
    };
    target.sql(super::T).await;
    let (state, status) = end(&mut source, &mut target, "s", &again).await;
    assert_eq!(state, "CANCELLED");
    assert!(
        status.contains(
            "in table t has different replication num '1' with partition in repository, which is 2"
        ),
        "{status}"
    );
    let mut small = Peer::start("replicas-small", 1).await;
    let (state, status) = end(&mut source, &mut small, "s", &Restore::new("few")).await;
    assert_eq!(state, "CANCELLED");
    assert!(
        status.contains("COMMON_ERROR") && status.contains('2'),
        "{status}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn restored_tables_are_being_synced_without_colocation_policy_and_dynamic_partitions() {
    let mut source = Peer::start("synced-source", 1).await;
    let mut target = Peer::start("synced-target", 1).await;
    source
        .sql(
            "CREATE TABLE d.t (id BIGINT NOT NULL, v VARCHAR(20), day DATE NOT NULL) DUPLICATE KEY(id) \
             PARTITION BY RANGE(day) (PARTITION p1 VALUES LESS THAN ('2020-01-01')) \
             DISTRIBUTED BY HASH(id) BUCKETS 2 PROPERTIES (\"colocate_with\" = \"g\", \"dynamic_partition.enable\" = \"true\", \
             \"dynamic_partition.time_unit\" = \"DAY\", \"dynamic_partition.start\" = \"-3\", \"dynamic_partition.end\" = \"3\", \
             \"dynamic_partition.prefix\" = \"p\", \"dynamic_partition.buckets\" = \"2\")",
        )
        .await;
    backup(&mut source, "s", "").await;
    fine(end(&mut source, &mut target, "s", &Restore::new("r1")).await);
    let text = ddl(&mut target, "t").await;
    assert!(text.contains("\"is_being_synced\" = \"true\""), "{text}");
    assert!(!text.contains("colocate_with"), "{text}");
    assert!(
        text.contains("\"dynamic_partition.enable\" = \"false\""),
        "{text}"
    );
    let kept = Restore {
        refs: vec![("t", Some("kept"))],
        properties: vec![
            ("reserve_replica", "true"),
            ("reserve_dynamic_partition_enable", "true"),
        ],
        ..Restore::new("r2")
    };
    fine(end(&mut source, &mut target, "s", &kept).await);
    let text = ddl(&mut target, "kept").await;
    assert!(
        text.contains("\"dynamic_partition.enable\" = \"true\""),
        "{text}"
    );
    let grouped = Restore {
        refs: vec![("t", Some("grouped"))],
        properties: vec![("reserve_replica", "true"), ("reserve_colocate", "true")],
        ..Restore::new("r2c")
    };
    fine(end(&mut source, &mut target, "s", &grouped).await);
    let text = ddl(&mut target, "grouped").await;
    assert!(text.contains("\"colocate_with\" = \"g\""), "{text}");
    // The end of a sync.
    target
        .sql("ALTER TABLE d.kept SET (\"is_being_synced\" = \"false\")")
        .await;
    let text = ddl(&mut target, "kept").await;
    assert!(text.contains("\"is_being_synced\" = \"false\""), "{text}");

    // Groups are not restored over.
    source.sql("CREATE TABLE d.g (id BIGINT NOT NULL, v INT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1 PROPERTIES (\"colocate_with\" = \"g2\")").await;
    target.sql("CREATE TABLE d.g (id BIGINT NOT NULL, v INT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1 PROPERTIES (\"colocate_with\" = \"g2\")").await;
    backup(&mut source, "s2", "ON (g)").await;
    let (state, status) = end(&mut source, &mut target, "s2", &Restore::new("r3")).await;
    assert_eq!(state, "CANCELLED");
    assert!(
        status.contains("Not support to restore to local table g with colocate group."),
        "{status}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_goes_into_existing_partitions_of_any_version_and_adds_others() {
    let (mut source, mut target) = pair("into").await;
    copy(&mut source, &mut target, "s1", &Restore::new("r1")).await;
    let id = target.table_id("t");
    for i in 0..4 {
        target
            .sql(&format!("INSERT INTO d.t VALUES (3, 'local{i}')"))
            .await;
    }
    source
        .sql("ALTER TABLE d.t ADD PARTITION p3 VALUES LESS THAN (30)")
        .await;
    source.sql("INSERT INTO d.t VALUES (21, 'new')").await;
    let version = |peer: &mut Peer| {
        let partitions = peer.table("t").partitions.unwrap();
        let p1 = partitions
            .into_iter()
            .find(|p| p.name.as_deref() == Some("p1"))
            .unwrap();
        p1.visible_version.unwrap()
    };
    assert!(version(&mut target) > version(&mut source));
    backup(&mut source, "s2", "ON (t)").await;
    fine(end(&mut source, &mut target, "s2", &Restore::new("r2")).await);
    assert_eq!(version(&mut target), version(&mut source));
    assert_eq!(
        rows(&mut target, "t").await,
        ["1,one", "11,eleven", "21,new"]
    );
    assert_eq!(target.table_id("t"), id);
    // Loads go on from there.
    target.sql("INSERT INTO d.t VALUES (4, 'four')").await;
    assert_eq!(rows(&mut target, "t").await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn views_are_restored_for_their_new_database() {
    let (mut source, mut target) = pair("views").await;
    backup(&mut source, "s", "").await;
    target.sql("CREATE DATABASE other").await;
    let snap = snapshot(&mut source, "s");
    let info = info_with_extra(&mut source, &snap).await;
    let mut request = restore_request(&Restore::new("r"), snap.meta.unwrap(), &info);
    request.db = Some("other".to_owned());
    assert_eq!(submit(&mut target, request).0, TStatusCode::OK);
    target
        .wait_for("SHOW RESTORE FROM other", "State", &["FINISHED"])
        .await;
    let view = target.sql("SHOW CREATE VIEW other.w").await[0][1]
        .clone()
        .unwrap();
    assert!(view.contains("`other`") && !view.contains("`d`"), "{view}");
    assert_eq!(target.sql("SELECT id FROM other.w").await.len(), 2);
    // An equal view stays as it is.
    fine({
        let snap = snapshot(&mut source, "s");
        restore(&mut source, &mut target, &snap, &Restore::new("r2")).await
    });
    fine({
        let snap = snapshot(&mut source, "s");
        restore(&mut source, &mut target, &snap, &Restore::new("r3")).await
    });
    assert_eq!(target.sql("SELECT id FROM d.w").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_makes_no_record_of_its_tables() {
    let (mut source, mut target) = pair("silent").await;
    copy(&mut source, &mut target, "s", &Restore::new("r")).await;
    target.sql("INSERT INTO d.t VALUES (5, 'five')").await;
    let kinds: Vec<i32> = target.records(-1).iter().map(|r| r.kind).collect();
    assert_eq!(kinds, [0], "the tables appear in meta without a record");
}

#[tokio::test(flavor = "multi_thread")]
async fn new_tables_are_there_in_state_restore_before_their_rows() {
    let (mut source, mut target) = pair("early").await;
    backup(&mut source, "s", "").await;
    let snap = snapshot(&mut source, "s");
    let info = info_with_extra(&mut source, &snap).await;
    let hold = json!({"call": "task.download", "effect": "hold"});
    target.sim("faults", &hold).await;
    let request = restore_request(&Restore::new("r"), snap.meta.unwrap(), &info);
    assert_eq!(submit(&mut target, request).0, TStatusCode::OK);
    target
        .wait_for(super::SHOW_RESTORE, "State", &["DOWNLOADING"])
        .await;
    let early = target.table_id("t");
    let (_, text) = target.refused("INSERT INTO d.t VALUES (1, 'x')").await;
    assert!(
        text.contains("is in restore process. Can not load into it"),
        "{text}"
    );
    let (_, text) = target.refused("ALTER TABLE d.t ADD COLUMN c INT").await;
    assert!(text.contains("state(RESTORE) is not NORMAL"), "{text}");
    target.sql("CANCEL RESTORE FROM d").await;
    for _ in 0..200 {
        if target.find_table("t").is_none() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(
        target.find_table("t").is_none(),
        "a cancelled restore removes it"
    );
    target.sim_delete("faults").await;
    let snap = snapshot(&mut source, "s");
    fine(restore(&mut source, &mut target, &snap, &Restore::new("r2")).await);
    assert!(target.table_id("t") > early);
    assert_eq!(rows(&mut target, "t").await, ["1,one", "11,eleven"]);
}
