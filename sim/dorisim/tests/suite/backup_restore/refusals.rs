//! What backups and restores refuse, and what running ones refuse to others.

use dorisim_wire::TStatusCode;
use serde_json::{Value, json};

use super::{
    Restore, backup, copy, info_with_extra, pair, restore, restore_request, restored, rows,
    snapshot, submit,
};
use crate::common::peer::Peer;

async fn request_of(
    source: &mut Peer,
    wanted: &Restore,
) -> (dorisim_wire::TRestoreSnapshotRequest, Value) {
    let snap = snapshot(source, "s");
    let info = info_with_extra(source, &snap).await;
    (restore_request(wanted, snap.meta.unwrap(), &info), info)
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_statements_are_refused_with_their_texts() {
    let (mut source, _target) = pair("refused").await;
    source
        .sql("ALTER TABLE d.u ADD TEMPORARY PARTITION tp VALUES LESS THAN (10)")
        .await;
    for (tail, number, wanted) in [
        ("TO `nowhere`", 1105, "Repository nowhere does not exist"),
        (
            "TO `__keep_on_local__` ON (nope)",
            1105,
            "Unknown table 'nope'",
        ),
        (
            "TO `__keep_on_local__` ON (t PARTITION (zz))",
            1105,
            "Unknown partition zz in tablet",
        ),
        (
            "TO `__keep_on_local__` ON (u)",
            1105,
            "Do not support backup table u with temp partitions",
        ),
        (
            "TO `__keep_on_local__`",
            1105,
            "Do not support backup table u with temp partitions",
        ),
        (
            "TO `__keep_on_local__` PROPERTIES (\"timeout\" = \"599\")",
            1105,
            "timeout must be at least 10 min",
        ),
        (
            "TO `__keep_on_local__` PROPERTIES (\"frob\" = \"1\")",
            1105,
            "Unknown backup job properties: [frob]",
        ),
    ] {
        let (code, text) = source.refused(&format!("BACKUP SNAPSHOT d.s {tail}")).await;
        assert!(text.contains(wanted), "{tail}: {text}");
        assert_eq!(code, number, "{tail}");
    }
    let (_, text) = source
        .refused("BACKUP SNAPSHOT nodb.s TO `__keep_on_local__`")
        .await;
    assert!(text.contains("nodb"), "{text}");
    assert!(source.sql(super::SHOW_BACKUP).await.is_empty());
    source
        .sql("ADMIN SET FRONTEND CONFIG (\"ignore_backup_tmp_partitions\" = \"true\")")
        .await;
    backup(&mut source, "s", "ON (u)").await;
    let info = super::job_info(&snapshot(&mut source, "s"));
    let kept = info["backup_objects"]["u"]["partitions"]
        .as_object()
        .unwrap()
        .len();
    assert_eq!(kept, 2, "without the temporary one");
    source
        .sql("ADMIN SET FRONTEND CONFIG (\"max_backup_tablets_per_job\" = \"3\")")
        .await;
    source
        .sql("BACKUP SNAPSHOT d.s2 TO `__keep_on_local__` ON (t)")
        .await;
    let state = source
        .wait_for(super::SHOW_BACKUP, "State", &["FINISHED", "CANCELLED"])
        .await;
    let status = source.last(super::SHOW_BACKUP, "Status").await.unwrap();
    assert_eq!(state, "CANCELLED");
    assert!(status.contains("the num involved tablets 4 exceeds the limit 3, which might cause the FE OOM, change config"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn restore_calls_are_refused_with_their_texts() {
    let (mut source, mut target) = pair("calls").await;
    backup(&mut source, "s", "").await;
    let (good, info) = request_of(&mut source, &Restore::new("r")).await;
    let mut refused = |change: &dyn Fn(&mut dorisim_wire::TRestoreSnapshotRequest)| {
        let mut request = good.clone();
        change(&mut request);
        submit(&mut target, request)
    };
    let info_without = |path: &[&str]| {
        let mut info = info.clone();
        let mut place = &mut info;
        for step in &path[..path.len() - 1] {
            place = &mut place[*step];
        }
        place.as_object_mut().unwrap().remove(path[path.len() - 1]);
        info.to_string().into_bytes()
    };
    for (path, wanted) in [
        (&["extra_info"][..], "Invalid job extra info empty"),
        (
            &["extra_info", "be_network_map"],
            "Invalid job extra info be network map",
        ),
        (&["extra_info", "token"], "Invalid job extra info token"),
    ] {
        let (code, text) = refused(&|r| r.job_info = Some(info_without(path)));
        assert_eq!(code, TStatusCode::ANALYSIS_ERROR);
        assert!(text.contains(wanted), "{text}");
        assert!(text.contains(", command: "), "{text}");
    }
    let property = |key: &str, value: &str| {
        let (key, value) = (key.to_owned(), value.to_owned());
        move |r: &mut dorisim_wire::TRestoreSnapshotRequest| {
            r.properties
                .as_mut()
                .unwrap()
                .insert(key.clone(), value.clone());
        }
    };
    for (key, value, wanted) in [
        ("frob", "1", "Unknown restore job properties: [frob]"),
        (
            "reserve_replica",
            "perhaps",
            "Invalid boolean property reserve_replica value: perhaps",
        ),
        (
            "atomic_restore",
            "1",
            "Invalid boolean property atomic_restore value: 1",
        ),
        ("timeout", "599", "timeout must be at least 10 min"),
    ] {
        let (code, text) = refused(&property(key, value));
        assert_eq!(code, TStatusCode::ANALYSIS_ERROR);
        assert!(text.contains(wanted), "{text}");
    }
    let table_refs = |refs: Vec<(&str, Option<&str>)>| {
        let refs: Vec<_> = refs
            .into_iter()
            .map(|(t, a)| dorisim_wire::TTableRef::new(t.to_owned(), a.map(str::to_owned)))
            .collect();
        move |r: &mut dorisim_wire::TRestoreSnapshotRequest| r.table_refs = Some(refs.clone())
    };
    for (refs, wanted) in [
        (vec![("zz", None)], "Table zz does not exist in snapshot s"),
        (vec![("t", None), ("t", Some("x"))], "Duplicated table: t"),
        (
            vec![("t", Some("x")), ("u", Some("x"))],
            "Duplicated alias name: x",
        ),
        (
            vec![("t", Some("u")), ("u", None)],
            "Duplicated alias name: u",
        ),
    ] {
        let (code, text) = refused(&table_refs(refs));
        assert_eq!(code, TStatusCode::ANALYSIS_ERROR);
        assert!(text.contains(wanted), "{text}");
    }
    let (code, text) = refused(&|r| r.db = Some("nodb".to_owned()));
    assert_eq!(code, TStatusCode::ANALYSIS_ERROR);
    assert!(text.contains("nodb"), "{text}");
    let (_, text) = refused(&|r| r.repo_name = Some("elsewhere".to_owned()));
    assert!(
        text.contains("Repository elsewhere does not exist"),
        "{text}"
    );
    let (code, text) = refused(&|r| r.meta = Some(b"nonsense".to_vec()));
    assert_eq!(code, TStatusCode::ANALYSIS_ERROR);
    assert!(
        text.contains("deserialize meta and job info failed"),
        "{text}"
    );
    let (code, text) = refused(&|r| r.properties = None);
    assert_eq!(
        (code, text.as_str()),
        (TStatusCode::INTERNAL_ERROR, ""),
        "a null pointer in Doris"
    );
    assert!(
        target.sql(super::SHOW_RESTORE).await.is_empty(),
        "none became a job"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_from_the_source_over_http_with_the_token_of_extra_info() {
    let (mut source, mut target) = pair("token").await;
    backup(&mut source, "s", "").await;
    let fetched = |counters: Value| counters["tablet_download"].as_u64().unwrap_or(0);
    assert_eq!(fetched(source.sim_get("counters").await), 0);
    let (good, info) = request_of(&mut source, &Restore::new("r")).await;
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut info = info.clone();
        change(&mut info);
        let mut request = good.clone();
        request.job_info = Some(info.to_string().into_bytes());
        request
    };
    let wrong = changed(&|info| info["extra_info"]["token"] = json!("wrong"));
    assert_eq!(submit(&mut target, wrong).0, TStatusCode::OK);
    let (state, status) = restored(&mut target).await;
    assert_eq!(state, "CANCELLED");
    assert!(status.contains("401"), "{status}");
    assert!(!status.contains("wrong"), "no token in texts: {status}");
    let nobody = changed(&|info| info["extra_info"]["be_network_map"] = json!({}));
    assert_eq!(submit(&mut target, nobody).0, TStatusCode::OK);
    let (_, status) = restored(&mut target).await;
    assert!(
        status.contains("failed to get remote address of be: 10002"),
        "{status}"
    );
    let lost = changed(&|info| info["tablet_snapshot_path_map"] = json!({}));
    assert_eq!(submit(&mut target, lost).0, TStatusCode::OK);
    let (_, status) = restored(&mut target).await;
    assert!(
        status.contains("failed to get remote snapshot path of tablet: "),
        "{status}"
    );
    assert!(target.find_table("t").is_none());

    let before = fetched(source.sim_get("counters").await);
    assert_eq!(submit(&mut target, good).0, TStatusCode::OK);
    assert_eq!(restored(&mut target).await.0, "FINISHED");
    assert!(fetched(source.sim_get("counters").await) > before);
    assert_eq!(rows(&mut target, "t").await, ["1,one", "11,eleven"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_in_state_restore_refuses_changes_and_loads() {
    let (mut source, mut target) = pair("state").await;
    copy(&mut source, &mut target, "s", &Restore::new("r1")).await;
    let table = target.table_id("t");
    let txn = target.begin_ok(vec![table], "open");
    let (request, _) = request_of(&mut source, &Restore::new("r2")).await;
    let hold = json!({"call": "task.download", "effect": "hold"});
    let rule = target.sim("faults", &hold).await["id"].as_u64().unwrap();
    assert_eq!(submit(&mut target, request).0, TStatusCode::OK);
    target
        .wait_for(super::SHOW_RESTORE, "State", &["DOWNLOADING"])
        .await;
    for statement in [
        "ALTER TABLE d.t ADD COLUMN c INT",
        "ALTER TABLE d.t DROP PARTITION p1",
        "ALTER TABLE d.t RENAME x",
        "ALTER TABLE d.t SET (\"binlog.ttl_seconds\" = \"1\")",
        "TRUNCATE TABLE d.t",
    ] {
        let (_, text) = target.refused(statement).await;
        let wanted = "Table[t]'s state(RESTORE) is not NORMAL. Do not allow doing ALTER ops";
        assert!(text.contains(wanted), "{statement}: {text}");
    }
    let (_, text) = target.refused("DROP TABLE d.t").await;
    assert!(
        text.contains("The table [t]'s state is RESTORE, cannot be dropped."),
        "{text}"
    );
    let (_, text) = target.refused("INSERT INTO d.t VALUES (1, 'x')").await;
    assert!(
        text.contains("is in restore process. Can not load into it"),
        "{text}"
    );
    let infos = crate::checklist_d1::infos(&mut target, "t", &["p1"]);
    let (code, text) = target.commit(txn, infos);
    assert_eq!(code, TStatusCode::ANALYSIS_ERROR);
    assert!(
        text.contains("Table t is in restore process. Can not load into it"),
        "{text}"
    );
    assert_eq!(target.sim_delete(&format!("faults/{rule}")).await, 200);
    assert_eq!(restored(&mut target).await.0, "FINISHED");
    target.sql("INSERT INTO d.t VALUES (1, 'x')").await;
    target.sql("ALTER TABLE d.t ADD COLUMN c INT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_with_what_is_there_cancel_the_job() {
    let (mut source, mut target) = pair("conflicts").await;
    backup(&mut source, "s", "").await;
    let of = |name: &'static str, label: &str| Restore {
        refs: vec![(name, None)],
        ..Restore::new(label)
    };
    target.sql("CREATE VIEW d.t AS SELECT 1").await;
    let snap = snapshot(&mut source, "s");
    let (state, status) = restore(&mut source, &mut target, &snap, &of("t", "r1")).await;
    assert_eq!(state, "CANCELLED");
    assert!(
        status.contains("Only support restore OLAP table: t"),
        "{status}"
    );
    target.sql("DROP VIEW d.t").await;
    target
        .sql("CREATE TABLE d.w (id INT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1")
        .await;
    let (_, status) = restore(&mut source, &mut target, &snap, &of("w", "r2")).await;
    assert!(
        status
            .contains("The local table w with the same name but a different type of backup meta."),
        "{status}"
    );
    let with = |ranges: &str| {
        super::T.replace(
            "(PARTITION p1 VALUES LESS THAN (10), PARTITION p2 VALUES LESS THAN (20))",
            ranges,
        )
    };
    target
        .sql(&with("(PARTITION p1 VALUES LESS THAN (9))"))
        .await;
    let (_, status) = restore(&mut source, &mut target, &snap, &of("t", "r3")).await;
    assert!(
        status.contains(
            "Partition p1 in table t has different partition item with partition in repository"
        ),
        "{status}"
    );
    target.sql("DROP TABLE d.t FORCE").await;
    target
        .sql(&with("(PARTITION q VALUES LESS THAN (15))"))
        .await;
    let (_, status) = restore(&mut source, &mut target, &snap, &of("t", "r4")).await;
    assert!(
        status.contains("in table t has conflict partition item with existing items"),
        "{status}"
    );
    target.sql("DROP TABLE d.t FORCE").await;
    target.sql(super::T).await;
    target
        .sql("ALTER TABLE d.t ADD TEMPORARY PARTITION tp VALUES LESS THAN (10)")
        .await;
    let (_, status) = restore(&mut source, &mut target, &snap, &of("t", "r5")).await;
    assert!(
        status.contains("Do not support restoring table with temp partitions"),
        "{status}"
    );
    target
        .sql("ALTER TABLE d.t DROP TEMPORARY PARTITION tp")
        .await;
    target
        .sim("settings", &json!({"dorisim_pause_alter_jobs": "true"}))
        .await;
    target.sql("ALTER TABLE d.t MODIFY COLUMN v STRING").await;
    let (_, status) = restore(&mut source, &mut target, &snap, &of("t", "r6")).await;
    assert!(
        status.contains("Table t's state is not NORMAL: SCHEMA_CHANGE"),
        "{status}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_takes_too_long_is_cancelled() {
    let (mut source, mut target) = pair("timeout").await;
    backup(&mut source, "s", "").await;
    let wanted = Restore {
        properties: vec![("reserve_replica", "true"), ("timeout", "600")],
        ..Restore::new("slow")
    };
    let (request, _) = request_of(&mut source, &wanted).await;
    let fail = json!({"call": "task.create_tablet", "effect": "latency", "ms": 300});
    target.sim("faults", &fail).await;
    assert_eq!(submit(&mut target, request).0, TStatusCode::OK);
    target.sim("clock", &json!({"advance_ms": 601_000})).await;
    let (state, status) = restored(&mut target).await;
    assert_eq!(state, "CANCELLED");
    assert!(
        status.contains("restore job with label: slow  timeout."),
        "{status}"
    );
}
