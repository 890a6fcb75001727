//! Faults on demand, each over HTTP and by the Rust API.

use std::time::Duration;

use dorisim::faults::{DELETE_BITMAP, Effect, Rule};
use dorisim_wire::{
    TBackendServiceSyncClient, TFrontendServiceSyncClient, TIngestBinlogRequest, TStatusCode,
    TUniqueId,
};
use serde_json::{Value, json};

use crate::backup_restore::{Restore, backup, restore, snapshot};
use crate::checklist_d1::T;
use crate::common::peer::{Peer, begin_request, binlog_request, code, message};
use crate::common::{backend_client, frontend_client};

/// How a rule gets to the cluster.
#[derive(Debug, Clone, Copy)]
enum Way {
    Http,
    Rust,
}

const WAYS: [Way; 2] = [Way::Http, Way::Rust];

async fn add(peer: &Peer, way: Way, rule: Rule) -> u64 {
    match way {
        Way::Http => {
            let body = serde_json::to_value(&rule).unwrap();
            peer.sim("faults", &body).await["id"].as_u64().unwrap()
        }
        Way::Rust => peer.sim.faults().add(rule).0,
    }
}

async fn remove(peer: &Peer, way: Way, rule: u64) {
    match way {
        Way::Http => assert_eq!(peer.sim_delete(&format!("faults/{rule}")).await, 200),
        Way::Rust => assert!(peer.sim.faults().remove(dorisim::faults::RuleId(rule))),
    }
}

fn fail(code: i32, message: &str) -> Effect {
    Effect::Fail {
        code: Some(code),
        message: message.to_owned(),
    }
}

async fn cluster(name: &str) -> Peer {
    let mut peer = Peer::start(name, 1).await;
    peer.sql(T).await;
    peer
}

/// A source with rows in version 2 of p1, and a target with the same empty table.
async fn pair(name: &str) -> (Peer, Peer) {
    let mut source = cluster(&format!("{name}-source")).await;
    source
        .sql("INSERT INTO d.t VALUES (1, 'a'), (2, 'b'), (3, 'c')")
        .await;
    (source, cluster(&format!("{name}-target")).await)
}

fn p1_tablets(peer: &mut Peer) -> (i64, Vec<i64>) {
    let partitions = peer.table("t").partitions.unwrap();
    let p1 = partitions
        .into_iter()
        .find(|p| p.name.as_deref() == Some("p1"))
        .unwrap();
    let tablets = p1.indexes.unwrap()[0].tablets.clone().unwrap();
    (
        p1.id.unwrap(),
        tablets.iter().map(|t| t.id.unwrap()).collect(),
    )
}

/// Ingests version 2 of p1 into the target, tablet by tablet; the first status that is not OK.
fn ingest(source: &mut Peer, target: &mut Peer, txn: i64) -> (TStatusCode, String) {
    let (_, from) = p1_tablets(source);
    let (partition, to) = p1_tablets(target);
    let address = source.sim.backend_addresses()[0].clone();
    let port = target.sim.backend_addresses()[0].be_port;
    for (from, to) in from.into_iter().zip(to) {
        let request = TIngestBinlogRequest::new(
            txn,
            from,
            2,
            address.host.clone(),
            address.http_port.to_string(),
            partition,
            to,
            TUniqueId::new(-1, -1),
        );
        let result = backend_client(port).ingest_binlog(request).unwrap();
        if code(&result.status) != TStatusCode::OK {
            return (code(&result.status), message(&result.status));
        }
    }
    (TStatusCode::OK, String::new())
}

#[tokio::test(flavor = "multi_thread")]
async fn latency_and_failure_per_rpc() {
    let mut fe = cluster("per-rpc").await;
    for way in WAYS {
        let slow = add(
            &fe,
            way,
            Rule::always("getBinlogLag", Effect::Latency { ms: 300 }),
        )
        .await;
        let clock = dorisim::model::clock::SimClock::default();
        let begun = clock.monotonic();
        assert_eq!(code(&fe.read(-1, None).status), TStatusCode::OK);
        let quick = begun.elapsed();
        assert_eq!(code(&fe.lag(-1).status), TStatusCode::OK);
        assert!(
            begun.elapsed() - quick >= Duration::from_millis(300),
            "{way:?}"
        );
        remove(&fe, way, slow).await;
        let no = Rule::always("getBinlog", fail(6, "not now"))
            .after(1)
            .times(2);
        add(&fe, way, no).await;
        let codes: Vec<TStatusCode> = (0..4).map(|_| code(&fe.read(-1, None).status)).collect();
        let (ok, no) = (TStatusCode::OK, TStatusCode::INTERNAL_ERROR);
        assert_eq!(
            codes,
            [ok, no, no, ok],
            "{way:?}: one passes, two fail, then it is over"
        );
        assert_eq!(code(&fe.lag(-1).status), ok, "others are not concerned");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn latency_and_failure_per_backend() {
    let mut fe = Peer::start("per-be", 2).await;
    fe.sql(&format!("{T} PROPERTIES (\"replication_num\" = \"2\")"))
        .await;
    for way in WAYS {
        let rule = Rule::always("ingest_binlog", fail(71, "no route")).on_backend(10_003);
        let rule = add(&fe, way, rule).await;
        for (address, wanted) in fe
            .sim
            .backend_addresses()
            .iter()
            .zip([TStatusCode::ANALYSIS_ERROR, TStatusCode::HTTP_ERROR])
        {
            let empty = TIngestBinlogRequest::new(None, None, None, None, None, None, None, None);
            let answer = backend_client(address.be_port)
                .ingest_binlog(empty)
                .unwrap();
            assert_eq!(code(&answer.status), wanted, "{way:?} {}", address.id);
        }
        remove(&fe, way, rule).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_resets_before_and_after_the_effect() {
    let mut fe = cluster("resets").await;
    let id = fe.table_id("t");
    for (way, suffix) in WAYS.into_iter().zip(["h", "r"]) {
        add(
            &fe,
            way,
            Rule::always("beginTxn", Effect::ResetBefore).times(1),
        )
        .await;
        let mut client = frontend_client(fe.sim.thrift_port());
        let label = format!("before_{suffix}");
        assert!(client.begin_txn(begin_request(vec![id], &label)).is_err());
        assert_eq!(
            code(&fe.begin(vec![id], &label).status),
            TStatusCode::OK,
            "it was not begun"
        );
        add(
            &fe,
            way,
            Rule::always("beginTxn", Effect::ResetAfter).times(1),
        )
        .await;
        let mut client = frontend_client(fe.sim.thrift_port());
        let label = format!("after_{suffix}");
        assert!(client.begin_txn(begin_request(vec![id], &label)).is_err());
        let again = fe.begin(vec![id], &label);
        assert_eq!(
            code(&again.status),
            TStatusCode::LABEL_ALREADY_EXISTS,
            "it was"
        );
        add(
            &fe,
            way,
            Rule::always("getBinlog", Effect::Garbage).times(1),
        )
        .await;
        let mut client = frontend_client(fe.sim.thrift_port());
        assert!(client.get_binlog(binlog_request(-1, None)).is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn truncated_and_corrupted_downloads_of_binlogs() {
    let (mut source, mut target) = pair("damage").await;
    let id = target.table_id("t");
    // Without this setting of the backend a flipped bit is taken for data, as in Doris.
    let md5 = &target.sim.backends()[0].config.check_md5;
    md5.store(true, std::sync::atomic::Ordering::Relaxed);
    for (way, suffix) in WAYS.into_iter().zip(["h", "r"]) {
        for (effect, name) in [
            (Effect::Truncate { bytes: 10 }, "cut"),
            (Effect::Corrupt, "flip"),
        ] {
            let txn = target.begin_ok(vec![id], &format!("{name}_{suffix}"));
            let rule = add(&source, way, Rule::always("get_segment_file", effect)).await;
            let (status, text) = ingest(&mut source, &mut target, txn);
            assert_ne!(status, TStatusCode::OK, "{way:?} {name}: {text}");
            remove(&source, way, rule).await;
            assert_eq!(
                ingest(&mut source, &mut target, txn).0,
                TStatusCode::OK,
                "a repeat starts clean"
            );
            target.rollback(txn);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn truncated_and_corrupted_downloads_of_snapshots() {
    let (mut source, mut target) = pair("snapdamage").await;
    backup(&mut source, "s", "").await;
    let snap = snapshot(&mut source, "s");
    target.sql("DROP TABLE d.t FORCE").await;
    for (way, suffix) in WAYS.into_iter().zip(["h", "r"]) {
        for (effect, name) in [
            (Effect::Truncate { bytes: 10 }, "cut"),
            (Effect::Corrupt, "flip"),
        ] {
            let rule = add(&source, way, Rule::always("tablet_download", effect)).await;
            let wanted = Restore::new(&format!("{name}_{suffix}"));
            let (state, status) = restore(&mut source, &mut target, &snap, &wanted).await;
            assert_eq!(state, "CANCELLED", "{way:?} {name}");
            assert!(status.contains("COMMON_ERROR"), "{status}");
            remove(&source, way, rule).await;
        }
    }
    let end = restore(&mut source, &mut target, &snap, &Restore::new("good")).await;
    assert_eq!(end.0, "FINISHED", "{}", end.1);
    assert_eq!(target.sql("SELECT id FROM d.t").await.len(), 3);
}

/// Polls until the backend's liveness is seen by the frontend.
async fn seen_alive(peer: &mut Peer, backend: i64, alive: bool) {
    for _ in 0..300 {
        let id = peer.last("SHOW BACKENDS", "BackendId").await.unwrap();
        assert_eq!(id, backend.to_string(), "the cluster has one");
        let told = peer.last("SHOW BACKENDS", "Alive").await.unwrap();
        if told == alive.to_string() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("backend {backend} is not alive={alive}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_down_refuses_connections_and_loads_without_its_quorum_fail() {
    let mut fe = Peer::start("down", 1).await;
    fe.sql(T).await;
    let address = fe.sim.backend_addresses()[0].clone();
    for way in WAYS {
        let rule = match way {
            Way::Http => {
                let answer = fe
                    .sim("backend", &json!({"backend": address.id, "up": false}))
                    .await;
                assert_eq!(answer["up"], json!(false));
                None
            }
            Way::Rust => Some(fe.sim.faults().backend_down(address.id)),
        };
        let empty = TIngestBinlogRequest::new(None, None, None, None, None, None, None, None);
        assert!(
            backend_client(address.be_port)
                .ingest_binlog(empty.clone())
                .is_err()
        );
        let url = format!("http://127.0.0.1:{}/api/show_config", address.http_port);
        assert!(reqwest::get(&url).await.is_err());
        seen_alive(&mut fe, address.id, false).await;
        fe.refused("INSERT INTO d.t VALUES (1, 'x')").await;
        match rule {
            None => {
                let answer = fe
                    .sim("backend", &json!({"backend": address.id, "up": true}))
                    .await;
                assert_eq!(answer["up"], json!(true));
            }
            Some(rule) => assert!(fe.sim.faults().remove(rule)),
        }
        seen_alive(&mut fe, address.id, true).await;
        assert!(backend_client(address.be_port).ingest_binlog(empty).is_ok());
        fe.sql("INSERT INTO d.t VALUES (1, 'x')").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_of_the_master_loses_what_was_in_memory() {
    let mut fe = Peer::bare(dorisim::SimConfig {
        name: "switch-master".to_owned(),
        frontends: 2,
        backends: 1,
        ..dorisim::SimConfig::default()
    })
    .await;
    fe.sql("CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")")
        .await;
    fe.sql(T).await;
    let id = fe.table_id("t");
    let ports: Vec<u16> = fe.sim.frontends().iter().map(|f| f.thrift).collect();
    for (way, master) in WAYS.into_iter().zip([1, 0]) {
        let mut old = frontend_client(ports[1 - master]);
        let mut new = frontend_client(ports[master]);
        let label = format!("open_{master}");
        let txn = old
            .begin_txn(begin_request(vec![id], &label))
            .unwrap()
            .txn_id
            .unwrap();
        match way {
            Way::Http => {
                let answer = fe.sim("master", &json!({"index": master})).await;
                assert_eq!(answer["master"], json!(master));
            }
            Way::Rust => fe.sim.switch_master(master),
        }
        let refused = old.get_binlog(binlog_request(-1, None)).unwrap();
        assert_eq!(code(&refused.status), TStatusCode::NOT_MASTER);
        assert_eq!(
            code(&new.get_binlog(binlog_request(-1, None)).unwrap().status),
            TStatusCode::OK
        );
        let lost = new
            .commit_txn(crate::common::peer::commit_request(txn, Vec::new()))
            .unwrap();
        assert!(message(&lost.status).contains(&format!("transaction [{txn}] not found")));
        let again = new.begin_txn(begin_request(vec![id], &label)).unwrap();
        assert_eq!(code(&again.status), TStatusCode::OK);
    }
    let (status, refused) = fe.sim_raw("master", &json!({"index": 9})).await;
    assert_eq!(status, 400, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_publish_answers_publish_timeout_and_ends() {
    let (mut source, mut target) = pair("slow-publish").await;
    let id = target.table_id("t");
    for (way, label) in WAYS.into_iter().zip(["h", "r"]) {
        match way {
            Way::Http => {
                let answer = target.sim("publish", &json!({"delay_ms": 500})).await;
                assert_eq!(answer["delay_ms"], json!(500));
            }
            Way::Rust => target
                .sim
                .frontend()
                .set_publish_delay(Duration::from_millis(500)),
        }
        let txn = target.begin_ok(vec![id], label);
        assert_eq!(ingest(&mut source, &mut target, txn).0, TStatusCode::OK);
        let infos = crate::checklist_d1::infos(&mut target, "t", &["p1"]);
        let mut commit = crate::common::peer::commit_request(txn, infos);
        commit.thrift_rpc_timeout_ms = Some(100);
        let answer = target.fe.commit_txn(commit).unwrap();
        assert_eq!(
            code(&answer.status),
            TStatusCode::PUBLISH_TIMEOUT,
            "{way:?}"
        );
        assert!(
            message(&answer.status)
                .contains("transaction commit successfully, BUT data will be visible later")
        );
        let show = format!("SHOW TRANSACTION FROM d WHERE id = {txn}");
        assert_eq!(
            target.last(&show, "TransactionStatus").await.as_deref(),
            Some("COMMITTED")
        );
        target
            .wait_for(&show, "TransactionStatus", &["VISIBLE"])
            .await;
        target.sim("publish", &json!({"delay_ms": 0})).await;
    }
    assert_eq!(target.sql("SELECT id FROM d.t").await.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_label_is_forgotten() {
    let mut fe = cluster("labels").await;
    let id = fe.table_id("t");
    for way in WAYS {
        let txn = fe.begin_ok(vec![id], "done");
        fe.commit(txn, Vec::new());
        let taken = fe.begin(vec![id], "done");
        assert_eq!(code(&taken.status), TStatusCode::LABEL_ALREADY_EXISTS);
        match way {
            Way::Http => {
                let answer = fe.sim("label", &json!({"db": "d", "label": "done"})).await;
                assert_eq!(answer["forgotten"], json!(true));
                let none = fe.sim("label", &json!({"db": "d", "label": "never"})).await;
                assert_eq!(none["forgotten"], json!(false));
            }
            Way::Rust => assert!(fe.sim.frontend().forget_label("d", "done")),
        }
        let (_, text) = fe
            .refused("SHOW TRANSACTION FROM d WHERE label = 'done'")
            .await;
        assert!(
            text.contains("transaction with label done does not exist"),
            "{text}"
        );
        let (_, text) = fe.commit(txn, Vec::new());
        assert!(
            text.contains(&format!("transaction [{txn}] not found")),
            "{text}"
        );
        let again = fe.begin_ok(vec![id], "done");
        fe.rollback(again);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_loads_tablets_ingests_and_downloads() {
    let (mut source, mut target) = pair("disk").await;
    let backend = target.sim.backend_addresses()[0].id;
    let id = target.table_id("t");
    backup(&mut source, "s", "").await;
    let snap = snapshot(&mut source, "s");
    for (way, label) in WAYS.into_iter().zip(["h", "r"]) {
        let rule = match way {
            Way::Http => target.sim("disk", &json!({"backend": backend})).await["id"]
                .as_u64()
                .unwrap(),
            Way::Rust => target.sim.faults().disk_full(backend).0,
        };
        let txn = target.begin_ok(vec![id], label);
        let (status, text) = ingest(&mut source, &mut target, txn);
        assert_eq!(status, TStatusCode::INTERNAL_ERROR, "{way:?}");
        assert!(text.contains("no enough space"), "{text}");
        let (_, text) = target.refused("INSERT INTO d.t VALUES (1, 'x')").await;
        assert!(text.contains("no enough space"), "{text}");
        let (_, text) = target.refused(&T.replace("d.t", "d.more")).await;
        assert!(text.contains("no enough space"), "{text}");
        let (state, status) = restore(&mut source, &mut target, &snap, &Restore::new(label)).await;
        assert_eq!(state, "CANCELLED");
        assert!(status.contains("no enough space"), "{status}");
        remove(&target, way, rule).await;
        assert_eq!(ingest(&mut source, &mut target, txn).0, TStatusCode::OK);
        target.rollback(txn);
    }
    target.sql(&T.replace("d.t", "d.more")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_delete_bitmap_holds_publish_up_on_merge_on_write_tables_alone() {
    let mut fe = Peer::start("bitmap", 1).await;
    fe.sql(
        "CREATE TABLE d.mow (id BIGINT NOT NULL, v INT) UNIQUE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1 \
         PROPERTIES (\"enable_unique_key_merge_on_write\" = \"true\")",
    )
    .await;
    fe.sql(T).await;
    fe.sql("INSERT INTO d.mow VALUES (1, 1)").await;
    let backend = fe.sim.backend_addresses()[0].id;
    for (way, value) in WAYS.into_iter().zip([2, 3]) {
        let bitmap =
            Rule::always(DELETE_BITMAP, fail(100, "delete bitmap lock")).on_backend(backend);
        let rule = add(&fe, way, bitmap).await;
        let label = format!("bitmap_{value}");
        // An INSERT would wait for its rows; a stream load's label can be watched.
        let other = fe.sim.query_port();
        let statement = format!("INSERT INTO d.mow WITH LABEL {label} VALUES (1, {value})");
        let load = tokio::spawn(async move {
            use mysql_async::prelude::Queryable;
            let options = mysql_async::OptsBuilder::default()
                .ip_or_hostname("127.0.0.1")
                .tcp_port(other)
                .user(Some("root"))
                .prefer_socket(false);
            let mut conn = mysql_async::Conn::new(options).await.unwrap();
            conn.query_drop(statement).await
        });
        let show = format!("SHOW TRANSACTION FROM d WHERE label = '{label}'");
        for _ in 0..300 {
            if fe.try_sql(&show).await.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        fe.wait_for(&show, "TransactionStatus", &["COMMITTED"])
            .await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(
            fe.last(&show, "TransactionStatus").await.as_deref(),
            Some("COMMITTED"),
            "{way:?}"
        );
        assert_ne!(fe.cell("SELECT v FROM d.mow").await, value.to_string());
        fe.sql(&format!("INSERT INTO d.t VALUES ({value}, 'x')"))
            .await;
        let counters: Value = fe.sim_get("counters").await;
        assert!(
            counters[DELETE_BITMAP].as_u64().unwrap() > 1,
            "repeated: {counters}"
        );
        remove(&fe, way, rule).await;
        fe.wait_for(&show, "TransactionStatus", &["VISIBLE"]).await;
        load.await.unwrap().unwrap();
        assert_eq!(fe.cell("SELECT v FROM d.mow").await, value.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn agent_tasks_fail_on_demand() {
    let mut fe = cluster("tasks").await;
    for way in WAYS {
        add(
            &fe,
            way,
            Rule::always("task.create_tablet", fail(6, "no tablets today")).times(1),
        )
        .await;
        let (_, text) = fe.refused(&T.replace("d.t", "d.more")).await;
        assert!(text.contains("no tablets today"), "{text}");
        assert!(fe.find_table("more").is_none());
        add(
            &fe,
            way,
            Rule::always("task.make_snapshot", fail(6, "no snapshots today")).times(1),
        )
        .await;
        fe.sql("BACKUP SNAPSHOT d.s TO `__keep_on_local__`").await;
        let state = fe
            .wait_for("SHOW BACKUP FROM d", "State", &["FINISHED", "CANCELLED"])
            .await;
        assert_eq!(state, "CANCELLED", "{way:?}");
        let status = fe.last("SHOW BACKUP FROM d", "Status").await.unwrap();
        assert!(status.contains("no snapshots today"), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_listed_and_cleared_and_wrong_bodies_are_explained() {
    let fe = cluster("rules").await;
    let rule = Rule::always("get_*", Effect::ResetBefore)
        .on_backend(10_002)
        .times(3);
    let id = add(&fe, Way::Http, rule.clone()).await;
    let listed = fe.sim_get("faults").await;
    let back: Rule = serde_json::from_value(listed[id.to_string()].clone()).unwrap();
    assert_eq!(back, rule);
    assert_eq!(fe.sim_delete("faults").await, 200);
    assert_eq!(fe.sim_get("faults").await, json!({}));
    assert_eq!(fe.sim_delete(&format!("faults/{id}")).await, 404);
    for path in [
        "faults", "clock", "master", "record", "late", "publish", "label", "settings", "roles",
        "disk", "backend",
    ] {
        let (status, answer) = fe
            .sim_raw(path, &json!({"roles": 7, "tell_master": "x"}))
            .await;
        assert_eq!(status, 400, "{path}: {answer}");
        assert!(
            answer["error"].as_str().unwrap().contains('{'),
            "{path} shows a right one: {answer}"
        );
    }
}
