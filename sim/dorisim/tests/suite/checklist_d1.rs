//! What a simulated frontend has to show, row by row: streams and transactions (rows 1 to 6).

mod d1_changes;
mod d1_forms;

use dorisim::SimConfig;
use dorisim_wire::{
    TCommitTxnRequest, TFrontendServiceSyncClient, TStatusCode, TSubTxnInfo, TTabletCommitInfo,
};
use serde_json::json;

use crate::common::frontend_client;
use crate::common::peer::{Peer, begin_request, binlog_request, code, commit_request, message};

pub(super) const T: &str = "CREATE TABLE d.t (id BIGINT NOT NULL, v VARCHAR(20)) DUPLICATE KEY(id) \
    PARTITION BY RANGE(id) (PARTITION p1 VALUES LESS THAN (10), PARTITION p2 VALUES LESS THAN (20)) \
    DISTRIBUTED BY HASH(id) BUCKETS 2";

/// Every replica of every index of the named partitions, as a commit reports them.
pub(super) fn infos(peer: &mut Peer, table: &str, partitions: &[&str]) -> Vec<TTabletCommitInfo> {
    let meta = peer.table(table);
    let partitions: Vec<_> = meta
        .partitions
        .unwrap()
        .into_iter()
        .filter(|p| partitions.contains(&p.name.as_deref().unwrap()))
        .collect();
    assert!(!partitions.is_empty());
    let mut infos = Vec::new();
    for index in partitions.into_iter().flat_map(|p| p.indexes.unwrap()) {
        for tablet in index.tablets.unwrap() {
            for replica in tablet.replicas.unwrap() {
                let (id, be) = (tablet.id.unwrap(), replica.backend_id.unwrap());
                infos.push(TTabletCommitInfo::new(id, be, None));
            }
        }
    }
    infos
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_01_seqs_are_sparse_and_the_head_is_a_dummy() {
    let mut fe = Peer::start("d1-01a", 1).await;
    fe.sql(T).await;
    let table = fe.table_id("t");
    for i in 0..3 {
        fe.sql(&format!("INSERT INTO d.t VALUES ({i}, 'a')")).await;
    }
    let seqs: Vec<i64> = fe.records(-1).iter().map(|r| r.seq).collect();
    assert!(seqs.windows(2).all(|w| w[0] < w[1]), "{seqs:?}");
    assert!(
        seqs.windows(2).any(|w| w[1] - w[0] > 1),
        "gaps are normal: {seqs:?}"
    );
    for (belong, answer) in [
        (-1, fe.read(-2, Some(9))),
        (table, fe.read_table(table, -2)),
    ] {
        assert_eq!(code(&answer.status), TStatusCode::BINLOG_TOO_OLD_COMMIT_SEQ);
        assert_eq!(answer.status.unwrap().error_msgs, None);
        let records = answer.binlogs.unwrap();
        assert_eq!(records.len(), 1, "exactly the DUMMY");
        let dummy = &records[0];
        assert_eq!(dummy.type_.unwrap().0, 7);
        assert_eq!((dummy.commit_seq, dummy.belong), (Some(-1), Some(belong)));
        assert_eq!((&dummy.data, &dummy.table_ids), (&None, &None));
        assert!(dummy.timestamp.unwrap() > 0);
    }
    assert_eq!(fe.records(-1)[0].wire.belong, None, "of a DUMMY only");
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_01_too_new_has_no_list_and_num_acquired_is_clamped() {
    let mut fe = Peer::start("d1-01b", 1).await;
    fe.sql(
        "CREATE TABLE d.n (id BIGINT NOT NULL) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1",
    )
    .await;
    for i in 0..260 {
        let comment = format!("ALTER TABLE d.n MODIFY COMMENT 'c{i}'");
        fe.sql(&comment).await;
    }
    for (asked, got) in [
        (None, 1),
        (Some(-5), 1),
        (Some(0), 1),
        (Some(7), 7),
        (Some(9_999), 255),
    ] {
        let answer = fe.read(-1, asked);
        assert_eq!(code(&answer.status), TStatusCode::OK);
        assert_eq!(answer.binlogs.unwrap().len(), got, "{asked:?}");
        assert_eq!(
            (
                answer.next_commit_seq,
                answer.fe_version,
                answer.fe_meta_version
            ),
            (None, None, None),
            "never filled in"
        );
    }
    for prev in [fe.newest(), i64::MAX] {
        let answer = fe.read(prev, Some(9));
        assert_eq!(code(&answer.status), TStatusCode::BINLOG_TOO_NEW_COMMIT_SEQ);
        assert_eq!(answer.binlogs, None, "unset, not empty");
        assert_eq!(answer.status.unwrap().error_msgs, None);
    }
    fe.sql("CREATE DATABASE quiet").await;
    let mut quiet = binlog_request(-1, None);
    quiet.db = Some("quiet".to_owned());
    let answer = fe.fe.get_binlog(quiet).unwrap();
    assert_eq!(code(&answer.status), TStatusCode::BINLOG_NOT_FOUND_DB);
    assert_eq!(answer.binlogs, None);
    let answer = fe.read_table(424_242, -1);
    assert_eq!(code(&answer.status), TStatusCode::BINLOG_NOT_FOUND_TABLE);
    assert_eq!(answer.binlogs, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_02_table_streams_hold_table_ddl_after_a_restart_only() {
    let mut fe = Peer::start("d1-02", 1).await;
    fe.sql(T).await;
    let table = fe.table_id("t");
    fe.sql("INSERT INTO d.t VALUES (1, 'a')").await;
    fe.sql("DROP TABLE d.t FORCE").await;
    let kinds = |records: &[crate::common::peer::Rec]| -> Vec<i32> {
        records.iter().map(|r| r.kind).collect()
    };
    assert_eq!(kinds(&fe.records(-1)), [2, 0, 4], "the database has them");
    assert_eq!(kinds(&fe.table_records(table, -1)), [0]);
    fe.sim("restart", &json!({})).await;
    assert_eq!(kinds(&fe.records(-1)), [2, 0, 4]);
    assert_eq!(kinds(&fe.table_records(table, -1)), [2, 0, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_03_followers_answer_not_master_with_the_address_of_the_master() {
    let mut fe = Peer::bare(SimConfig {
        name: "d1-03".to_owned(),
        frontends: 2,
        backends: 1,
        ..SimConfig::default()
    })
    .await;
    fe.sql("CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")")
        .await;
    fe.sql(T).await;
    let ports: Vec<u16> = fe.sim.frontends().iter().map(|f| f.thrift).collect();
    let mut follower = frontend_client(ports[1]);
    let answer = follower.get_binlog(binlog_request(-1, None)).unwrap();
    assert_eq!(code(&answer.status), TStatusCode::NOT_MASTER);
    assert!(message(&answer.status).contains("FE is not master"));
    let master = answer.master_address.unwrap();
    assert_eq!(
        (master.hostname.as_str(), master.port),
        ("127.0.0.1", i32::from(ports[0]))
    );
    let mut stale = binlog_request(-1, None);
    stale.allow_follower_read = Some(true);
    let answer = follower.get_binlog(stale).unwrap();
    assert_eq!(code(&answer.status), TStatusCode::OK);

    // The others tell it only as before autumn 2025, and an FE may not know the master itself.
    let begun = follower.begin_txn(begin_request(vec![1], "l")).unwrap();
    assert_eq!(code(&begun.status), TStatusCode::NOT_MASTER);
    assert_eq!(begun.master_address, None);
    fe.sim("roles", &json!({"tell_master": true})).await;
    let begun = follower.begin_txn(begin_request(vec![1], "l")).unwrap();
    assert_eq!(begun.master_address.unwrap().port, i32::from(ports[0]));
    fe.sim("roles", &json!({"master_known": false})).await;
    let unknown = follower.get_binlog(binlog_request(-1, None)).unwrap();
    let nobody = unknown.master_address.unwrap();
    assert_eq!((nobody.hostname.as_str(), nobody.port), ("", 0));
    fe.sim("roles", &json!({"master_known": true})).await;

    fe.sim("master", &json!({"index": 1})).await;
    let answer = follower.get_binlog(binlog_request(-1, None)).unwrap();
    assert_eq!(code(&answer.status), TStatusCode::OK);
    let answer = fe.read(-1, None);
    assert_eq!(code(&answer.status), TStatusCode::NOT_MASTER);
    assert_eq!(answer.master_address.unwrap().port, i32::from(ports[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_04_upserts_of_what_was_dropped_later_stay_in_the_stream() {
    let mut fe = Peer::start("d1-04a", 1).await;
    fe.sql(T).await;
    fe.sql("ALTER TABLE d.t ADD ROLLUP r (v, id)").await;
    fe.wait_for("SHOW ALTER TABLE ROLLUP FROM d", "State", &["FINISHED"])
        .await;
    let table = fe.table("t");
    let id = table.id.unwrap();
    let made = fe.made_by("INSERT INTO d.t VALUES (1, 'a')").await;
    assert_eq!(made.len(), 1);
    let upsert = made[0].clone();
    let of_table = &upsert.data["tableRecords"][id.to_string()];
    let partition = of_table["partitionRecords"][0]["partitionId"].clone();
    assert_eq!(of_table["indexIds"].as_array().unwrap().len(), 2);
    fe.sql("ALTER TABLE d.t DROP ROLLUP r").await;
    fe.sql("ALTER TABLE d.t DROP PARTITION p1").await;
    fe.sql("DROP TABLE d.t FORCE").await;
    let again = fe
        .records(-1)
        .into_iter()
        .find(|r| r.seq == upsert.seq)
        .unwrap();
    assert_eq!(again.raw, upsert.raw, "history does not change");
    let meta = fe.meta();
    let dropped = meta.dropped_partition_map.unwrap();
    assert!(dropped.contains_key(&partition.as_i64().unwrap()));
    assert!(meta.dropped_table_map.unwrap().contains_key(&id));
    let index = of_table["indexIds"][1].as_i64().unwrap();
    assert!(meta.dropped_index_map.unwrap().contains_key(&index));
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_04_upserts_show_temp_partitions_shadow_indexes_and_may_lack_index_ids() {
    let mut fe = Peer::start("d1-04b", 1).await;
    fe.sql(T).await;
    let id = fe.table_id("t").to_string();
    fe.sql("ALTER TABLE d.t ADD TEMPORARY PARTITION tp VALUES LESS THAN (10)")
        .await;
    let made = fe
        .made_by("INSERT INTO d.t TEMPORARY PARTITION (tp) VALUES (1, 'a')")
        .await;
    let parts = &made[0].data["tableRecords"][&id]["partitionRecords"];
    assert_eq!(parts[0]["isTempPartition"], json!(true));
    assert_eq!(parts[0]["stid"], json!(-1));
    fe.sql("ALTER TABLE d.t DROP TEMPORARY PARTITION tp").await;

    fe.sim("settings", &json!({"dorisim_pause_alter_jobs": "true"}))
        .await;
    fe.sql("ALTER TABLE d.t MODIFY COLUMN v STRING").await;
    fe.sim("settings", &json!({"dorisim_pause_alter_jobs": "false"}))
        .await;
    // The job waits for this older load, so its shadow index stays for the next one.
    let open = fe.begin_ok(vec![id.parse().unwrap()], "holds_the_job");
    let waiting = fe
        .wait_for(
            "SHOW ALTER TABLE COLUMN FROM d",
            "State",
            &["WAITING_TXN", "FINISHED"],
        )
        .await;
    let made = fe.made_by("INSERT INTO d.t VALUES (2, 'b')").await;
    let upsert = made.iter().find(|r| r.kind == 0).unwrap();
    let indexes = upsert.data["tableRecords"][&id]["indexIds"]
        .as_array()
        .unwrap()
        .clone();
    if waiting == "WAITING_TXN" {
        assert_eq!(indexes.len(), 2, "base and shadow");
        let names: Vec<String> = fe.table("t").partitions.unwrap()[0]
            .indexes
            .clone()
            .unwrap()
            .into_iter()
            .map(|i| i.name.unwrap())
            .collect();
        assert!(
            names.iter().any(|n| n.starts_with("__doris_shadow_")),
            "{names:?}"
        );
    } else {
        panic!("the job did not wait");
    }
    assert_eq!(fe.rollback(open).0, TStatusCode::OK);
    fe.wait_for("SHOW ALTER TABLE COLUMN FROM d", "State", &["FINISHED"])
        .await;

    // A transaction that CCR made itself never had a plan; other versions lack the list everywhere.
    fe.sim(
        "settings",
        &json!({"dorisim_record_quirks": "no_index_ids"}),
    )
    .await;
    let made = fe.made_by("INSERT INTO d.t VALUES (3, 'c')").await;
    assert!(made[0].data["tableRecords"][&id].get("indexIds").is_none());
    assert!(made[0].data["tableRecords"][&id]["partitionRecords"].is_array());
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_05_explicit_transactions_repeat_partitions_with_their_sub_transactions() {
    let mut fe = Peer::start("d1-05", 1).await;
    fe.sql(T).await;
    let id = fe.table_id("t");
    let before = fe.newest();
    fe.sql("BEGIN").await;
    fe.sql("INSERT INTO d.t VALUES (1, 'a'), (11, 'x')").await;
    fe.sql("INSERT INTO d.t VALUES (2, 'b')").await;
    fe.sql("COMMIT").await;
    let made = fe.records(before);
    assert_eq!(made.len(), 1, "one record for all of it");
    let data = &made[0].data;
    let stids: Vec<i64> = serde_json::from_value(data["stids"].clone()).unwrap();
    assert_eq!(stids.len(), 2);
    let parts = data["tableRecords"][id.to_string()]["partitionRecords"]
        .as_array()
        .unwrap();
    let mut by_partition = std::collections::BTreeMap::<i64, Vec<(i64, i64)>>::new();
    for part in parts {
        let number = |key: &str| part[key].as_i64().unwrap();
        by_partition
            .entry(number("partitionId"))
            .or_default()
            .push((number("version"), number("stid")));
    }
    let mut lists: Vec<_> = by_partition.into_values().collect();
    lists.sort_by_key(Vec::len);
    assert_eq!(lists[0], [(2, stids[0])]);
    assert_eq!(
        lists[1],
        [(2, stids[0]), (3, stids[1])],
        "consecutive versions, stids by position"
    );

    // The other side: ids for sub transactions, the first is the transaction's own.
    let mut request = begin_request(vec![id], "with_subs");
    request.sub_txn_num = Some(3);
    let begun = fe.fe.begin_txn(request).unwrap();
    let subs = begun.sub_txn_ids.unwrap();
    assert_eq!((subs.len(), Some(subs[0])), (3, begun.txn_id));
    assert!(subs[0] < subs[1] && subs[1] < subs[2]);
    let tablets = infos(&mut fe, "t", &["p1"]);
    // Nothing was written under these ids, so publish can not end; the commit itself is what counts.
    let commit = TCommitTxnRequest {
        txn_insert: Some(true),
        commit_infos: None,
        sub_txn_infos: Some(
            subs.iter()
                .map(|sub| TSubTxnInfo::new(*sub, id, tablets.clone(), None))
                .collect(),
        ),
        thrift_rpc_timeout_ms: Some(100),
        ..commit_request(subs[0], Vec::new())
    };
    let answer = fe.fe.commit_txn(commit).unwrap();
    assert_eq!(code(&answer.status), TStatusCode::PUBLISH_TIMEOUT);
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_06_publish_timeout_used_labels_lost_transactions_and_a_missed_quorum() {
    let mut fe = Peer::start("d1-06", 3).await;
    fe.sql(&format!("{T} PROPERTIES (\"replication_num\" = \"3\")"))
        .await;
    let id = fe.table_id("t");
    let label = fe.begin_ok(vec![id], "l1");
    let refused = fe.begin(vec![id], "l1");
    assert_eq!(code(&refused.status), TStatusCode::LABEL_ALREADY_EXISTS);
    assert_eq!(
        message(&refused.status),
        format!(
            "errCode = 2, detailMessage = Label [l1] has already been used, relate to txn [{label}], status [PREPARE]."
        )
    );
    assert_eq!(refused.job_status.as_deref(), Some("RUNNING"));
    assert_eq!(refused.txn_id, None);

    let (refused, text) = fe.commit(4_711, Vec::new());
    assert_eq!(refused, TStatusCode::ANALYSIS_ERROR);
    assert!(text.contains("transaction [4711] not found"), "{text}");
    let (refused, text) = fe.rollback(4_711);
    assert_eq!(refused, TStatusCode::ANALYSIS_ERROR);
    assert!(text.contains("transaction [4711] not found"), "{text}");

    let all = infos(&mut fe, "t", &["p1"]);
    let tablet = all[0].tablet_id;
    let mut seen = 0;
    let two_missing: Vec<TTabletCommitInfo> = all
        .iter()
        .filter(|info| {
            seen += i32::from(info.tablet_id == tablet);
            info.tablet_id != tablet || seen == 1
        })
        .cloned()
        .collect();
    let (refused, text) = fe.commit(label, two_missing);
    assert_eq!(refused, TStatusCode::ANALYSIS_ERROR);
    let wanted = format!(
        "Failed to commit txn {label}, cause tablet {tablet} succ replica num 1 < load required replica num 2."
    );
    assert!(text.contains(&wanted), "{text}");
    assert!(text.contains("this tablet detail"), "{text}");

    fe.sim("publish", &json!({"delay_ms": 400})).await;
    let mut commit = commit_request(label, all);
    commit.thrift_rpc_timeout_ms = Some(100);
    let answer = fe.fe.commit_txn(commit.clone()).unwrap();
    assert_eq!(code(&answer.status), TStatusCode::PUBLISH_TIMEOUT);
    assert_eq!(
        message(&answer.status),
        "transaction commit successfully, BUT data will be visible later"
    );
    let (refused, text) = fe.rollback(label);
    assert_eq!(refused, TStatusCode::ANALYSIS_ERROR);
    assert!(
        text.contains("is already COMMITTED, could not abort."),
        "{text}"
    );
    let refused = fe.begin(vec![id], "l1");
    assert_eq!(refused.job_status.as_deref(), Some("FINISHED"));
    let dbs = fe.sql("SHOW PROC '/dbs'").await;
    let db = dbs
        .iter()
        .find(|row| row[1].as_deref() == Some("d"))
        .and_then(|row| row[0].clone())
        .unwrap();
    let running = fe
        .sql(&format!("SHOW PROC '/transactions/{db}/running'"))
        .await;
    assert_eq!(running[0][1].as_deref(), Some("l1"));
    assert_eq!(running[0][3].as_deref(), Some("COMMITTED"));
    let (refused, _) = fe
        .try_sql("SHOW PROC '/transactions/1/finished'")
        .await
        .unwrap_err();
    assert_eq!(refused, 1105);
    let repeated = fe.fe.commit_txn(commit).unwrap();
    assert_eq!(
        code(&repeated.status),
        TStatusCode::PUBLISH_TIMEOUT,
        "a repeat is as good"
    );

    // PREPARE is not persisted: after a restart the transaction is lost and its label free.
    let lost = fe.begin_ok(vec![id], "l2");
    fe.sim("restart", &json!({})).await;
    let (_, text) = fe.commit(lost, Vec::new());
    assert!(
        text.contains(&format!("transaction [{lost}] not found")),
        "{text}"
    );
    assert!(fe.begin_ok(vec![id], "l2") > lost);
}
