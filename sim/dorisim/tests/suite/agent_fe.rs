//! The frontend's side of its traffic with backends, against a backend that is played by hand.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use dorisim::fe::{AgentSettings, FrontendConfig};
use dorisim::{SimCluster, SimConfig};
use dorisim_wire::{
    TMasterServiceSyncClient, TSnapshotLoaderReportRequest, TStatus, TStatusCode,
    TTabletCommitInfo, TTabletInfo, TTaskType,
};

use crate::be_double::{BeDouble, finish, master_client, report, tablet};
use crate::common::frontend_client;
use crate::common::peer::{begin_request, commit_request};
use dorisim_wire::TFrontendServiceSyncClient;

const OK: TStatusCode = TStatusCode::OK;
const CREATE_TABLE: &str = "CREATE TABLE d.t (id BIGINT, v STRING) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1 \
     PROPERTIES (\"replication_num\" = \"1\")";

/// A cluster without backends of its own, and one double that is registered.
struct World {
    sim: Arc<SimCluster>,
    be: BeDouble,
    port: u16,
}

/// Where the only tablet of `d.t` is.
#[derive(Clone, Copy)]
struct Place {
    table: i64,
    partition: i64,
    tablet: i64,
    replica: i64,
    backend: i64,
}

impl World {
    async fn registered() -> Self {
        let agent = AgentSettings {
            heartbeat_interval: Duration::from_millis(20),
            resend_wait: Duration::from_millis(1),
            courtesy_wait: Duration::from_millis(50),
            young_tablet: Duration::ZERO,
            ..AgentSettings::default()
        };
        let sim = SimCluster::start(SimConfig {
            name: "agent-fe".to_owned(),
            backends: 0,
            frontend: FrontendConfig {
                agent,
                ..FrontendConfig::default()
            },
            ..SimConfig::default()
        })
        .await
        .unwrap();
        let (be, port) = (BeDouble::start(), sim.thrift_port());
        let world = World {
            sim: Arc::new(sim),
            be,
            port,
        };
        world.sql(&world.system("ADD BACKEND")).await.unwrap();
        world.be.heartbeat();
        world.until("SELECT Alive FROM backends()", "true").await;
        world
    }

    /// With a disk, a database and a table.
    async fn with_table() -> (Self, Place) {
        let world = World::registered().await;
        assert_eq!(report(world.port, world.be.disk_report()).0, OK);
        world
            .sql("CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")")
            .await
            .unwrap();
        let creating = world.spawn(CREATE_TABLE);
        let create = world.be.task(TTaskType::CREATE, 0);
        let done = world.be.end(TTaskType::CREATE, create.signature);
        assert_eq!(finish(world.port, done).0, OK);
        creating.await.unwrap();
        let place = world.place();
        assert_eq!(create.signature, place.tablet);
        (world, place)
    }

    fn system(&self, what: &str) -> String {
        format!(
            "ALTER SYSTEM {what} \"127.0.0.1:{}\"",
            self.be.heartbeat_port
        )
    }

    async fn sql(&self, text: &str) -> Result<Vec<Vec<Option<String>>>, String> {
        let answer = self.sim.sql(text).await;
        answer.map_err(|error| format!("{error:#}"))
    }

    /// Runs a statement while the test plays the backend.
    fn spawn(&self, text: &str) -> impl Future<Output = Result<(), String>> + use<> {
        let (sim, text) = (Arc::clone(&self.sim), text.to_owned());
        let running = tokio::spawn(async move { sim.sql(&text).await });
        async move {
            let ended = running.await.unwrap();
            ended.map(|_| ()).map_err(|error| format!("{error:#}"))
        }
    }

    /// Asks until the first cell is `wanted`, at most ten seconds.
    async fn until(&self, query: &str, wanted: &str) {
        let mut last = None;
        for _ in 0..500 {
            last = self.sql(query).await.unwrap().into_iter().flatten().next();
            if last.as_ref().and_then(|cell| cell.as_deref()) == Some(wanted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{query}: {last:?} instead of {wanted}");
    }

    fn place(&self) -> Place {
        self.sim.frontend().with_catalog(|catalog| {
            let table = catalog.table("d", "t").unwrap();
            let partition = table.partitions.values().next().unwrap();
            let tablet = partition.tablets().next().unwrap();
            Place {
                table: table.id,
                partition: partition.id,
                tablet: tablet.id,
                replica: tablet.replicas[0].id,
                backend: tablet.replicas[0].backend_id,
            }
        })
    }

    /// (version, bad) of the only replica of `d.t`.
    fn replica(&self) -> (i64, bool) {
        self.sim.frontend().with_catalog(|catalog| {
            let table = catalog.table("d", "t").unwrap();
            let partition = table.partitions.values().next().unwrap();
            let tablet = partition.tablets().next().unwrap();
            (tablet.replicas[0].version, tablet.replicas[0].bad)
        })
    }

    /// A transaction that is committed over Thrift; the commit waits for the publish.
    fn commit(&self, place: Place, label: &str) -> (i64, std::thread::JoinHandle<TStatusCode>) {
        let mut client = frontend_client(self.port);
        let begun = client.begin_txn(begin_request(vec![place.table], label));
        let txn = begun.unwrap().txn_id.unwrap();
        let info = TTabletCommitInfo::new(place.tablet, place.backend, None);
        let commit = move || {
            let answer = client.commit_txn(commit_request(txn, vec![info]));
            answer.unwrap().status.unwrap().status_code
        };
        (txn, std::thread::spawn(commit))
    }
}

impl Place {
    fn reported(self, version: i64) -> TTabletInfo {
        tablet(self.tablet, self.replica, self.partition, version)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_name_the_master_and_tell_who_is_there() {
    let w = World::registered().await;
    let info = w.be.heartbeat();
    assert_eq!(info.network_address.hostname, "127.0.0.1");
    assert_eq!(info.network_address.port, i32::from(w.port));
    assert_eq!(info.http_port, Some(i32::from(w.sim.http_port())));
    assert_eq!(info.cluster_id, w.sim.frontend().config().cluster_id);
    assert_eq!(info.token.as_deref(), Some(w.sim.frontend().master_token()));
    assert_eq!(info.backend_ip.as_deref(), Some("127.0.0.1"));
    let columns = "BackendId, HeartbeatPort, BePort, HttpPort, BrpcPort, Version, NodeRole, HeartbeatFailureCounter";
    let row = w.sql(&format!("SELECT {columns} FROM backends()")).await;
    let row: Vec<String> = row.unwrap().remove(0).into_iter().flatten().collect();
    let ports = [w.be.heartbeat_port, w.be.be_port, 1, 8060].map(|port| port.to_string());
    assert_eq!(row[0], info.backend_id.unwrap().to_string());
    assert_eq!(row[1..5], ports);
    assert_eq!(row[5..], ["doris-double", "mix", "0"]);

    w.be.mute(true);
    w.until("SELECT Alive FROM backends()", "false").await;
    let error = w.sql("SELECT ErrMsg FROM backends()").await.unwrap();
    assert_ne!(error[0][0].as_deref(), Some(""));
    w.be.restart();
    w.be.mute(false);
    w.until("SELECT Alive FROM backends()", "true").await;
    w.until(
        "SELECT LastStartTime FROM backends()",
        "1970-01-01 00:00:02",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tablets_are_placed_where_a_disk_was_reported() {
    let w = World::registered().await;
    w.sql("CREATE DATABASE d").await.unwrap();
    let refused = w.sql(CREATE_TABLE).await.unwrap_err();
    assert!(
        refused.contains("Failed to find enough backend"),
        "{refused}"
    );
    assert_eq!(report(w.port, w.be.disk_report()).0, OK);
    w.until("SELECT CpuCores FROM backends()", "7").await;
    let creating = w.spawn(CREATE_TABLE);
    let create = w.be.task(TTaskType::CREATE, 0);
    let request = create.create_tablet_req.unwrap();
    assert_eq!(create.signature, request.tablet_id);
    assert_eq!(request.tablet_schema.columns.len(), 2);
    let failed = dorisim_wire::TFinishTaskRequest {
        task_status: TStatus::new(TStatusCode::INTERNAL_ERROR, vec!["disk is full".to_owned()]),
        ..w.be.end(TTaskType::CREATE, create.signature)
    };
    assert_eq!(finish(w.port, failed).0, OK);
    let error = creating.await.unwrap_err();
    assert!(error.contains("disk is full"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_of_tasks_are_answered_as_in_doris() {
    let w = World::registered().await;
    assert_eq!(report(w.port, w.be.disk_report()).0, OK);
    w.sql("CREATE DATABASE d").await.unwrap();
    let mut stranger = w.be.end(TTaskType::CREATE, 1);
    stranger.backend.be_port += 1;
    let cancelled = |text: &str| (TStatusCode::CANCELLED, text.to_owned());
    assert_eq!(finish(w.port, stranger), cancelled("backend not exist."));
    let (code, text) = finish(w.port, w.be.end(TTaskType::MAKE_SNAPSHOT, 5));
    assert_eq!(code, TStatusCode::CANCELLED);
    assert!(
        text.starts_with("cannot find task. type: MAKE_SNAPSHOT, backendId: "),
        "{text}"
    );
    for kind in [
        TTaskType::DROP,
        TTaskType::RELEASE_SNAPSHOT,
        TTaskType::CLEAR_TRANSACTION_TASK,
    ] {
        assert_eq!(finish(w.port, w.be.end(kind, 5)).0, OK, "{kind:?}");
    }
    let creating = w.spawn(CREATE_TABLE);
    let signature = w.be.task(TTaskType::CREATE, 0).signature;
    let mut without = w.be.end(TTaskType::CREATE, signature);
    without.report_version = None;
    assert_eq!(
        finish(w.port, without),
        cancelled("finish agent task error.")
    );
    let done = w.be.end(TTaskType::CREATE, signature);
    assert_eq!(finish(w.port, done).0, OK);
    creating.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_publish_is_asked_for_again_and_makes_the_version_visible() {
    let (w, place) = World::with_table().await;
    let (txn, committing) = w.commit(place, "one");
    let publish = w.be.task(TTaskType::PUBLISH_VERSION, 0);
    assert_eq!(publish.signature, txn);
    let versions = publish.publish_version_req.unwrap().partition_version_infos;
    assert_eq!(
        (versions[0].partition_id, versions[0].version),
        (place.partition, 2)
    );
    let failed = dorisim_wire::TFinishTaskRequest {
        task_status: TStatus::new(TStatusCode::INTERNAL_ERROR, None),
        error_tablet_ids: Some(vec![place.tablet]),
        ..w.be.end(TTaskType::PUBLISH_VERSION, txn)
    };
    assert_eq!(finish(w.port, failed).0, OK);
    assert_eq!(w.be.task(TTaskType::PUBLISH_VERSION, 1).signature, txn);
    assert_eq!(w.replica(), (1, false));
    let done = dorisim_wire::TFinishTaskRequest {
        succ_tablets: Some(BTreeMap::from([(place.tablet, 2)])),
        table_id_to_tablet_id_to_delta_num_rows: Some(BTreeMap::from([(
            place.table,
            BTreeMap::from([(place.tablet, 3)]),
        )])),
        ..w.be.end(TTaskType::PUBLISH_VERSION, txn)
    };
    assert_eq!(finish(w.port, done).0, OK);
    assert_eq!(committing.join().unwrap(), OK);
    assert_eq!(w.replica(), (2, false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_a_backend_lost_are_sent_again() {
    let (w, place) = World::with_table().await;
    w.sql("BACKUP SNAPSHOT d.s TO `__keep_on_local__` ON (t)")
        .await
        .unwrap();
    let kind = TTaskType::MAKE_SNAPSHOT;
    let first = w.be.task(kind, 0);
    let wanted = first.snapshot_req.as_ref().unwrap();
    assert_eq!((wanted.tablet_id, wanted.version), (place.tablet, Some(1)));
    assert_eq!(wanted.list_files, Some(true));
    tokio::time::sleep(Duration::from_millis(5)).await;
    let running = w.be.task_report(&[(kind, first.signature)]);
    assert_eq!(report(w.port, running).0, OK);
    assert_eq!(report(w.port, w.be.task_report(&[])).0, OK);
    assert_eq!(w.be.task(kind, 1), first);
    assert_eq!(w.be.count(kind), 2, "a task that runs is not sent again");
    let done = dorisim_wire::TFinishTaskRequest {
        snapshot_path: Some("/double/snapshot/20260101000000.1.86400".to_owned()),
        snapshot_files: Some(vec!["1.hdr".to_owned()]),
        ..w.be.end(kind, first.signature)
    };
    assert_eq!(finish(w.port, done).0, OK);
    for _ in 0..500 {
        let shown = w.sql("SHOW BACKUP FROM d").await.unwrap();
        if shown
            .iter()
            .flatten()
            .flatten()
            .any(|cell| cell == "FINISHED")
        {
            assert_eq!(report(w.port, w.be.task_report(&[])).0, OK);
            assert_eq!(w.be.count(kind), 2);
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the backup did not finish");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tablet_report_sets_both_sides_right() {
    let (w, place) = World::with_table().await;
    let unknown = tablet(987_654, 5, 6, 1);
    let ahead = w.be.tablet_report(&[place.reported(3), unknown]);
    assert_eq!(report(w.port, ahead).0, OK);
    assert_eq!(w.replica(), (3, false));
    let drop = w.be.task(TTaskType::DROP, 0);
    let request = drop.drop_tablet_req.unwrap();
    assert_eq!((request.tablet_id, request.replica_id), (987_654, Some(5)));

    let miss = TTabletInfo {
        version_miss: Some(true),
        ..place.reported(3)
    };
    report(w.port, w.be.tablet_report(&[miss]));
    assert_eq!(w.replica(), (3, true));
    report(w.port, w.be.tablet_report(&[place.reported(3)]));
    assert_eq!(w.replica(), (3, false));

    let mut old = w.be.tablet_report(&[]);
    old.report_version = Some(1);
    report(w.port, old);
    assert_eq!(w.replica(), (3, false), "an old report says nothing");
    let other = TTabletInfo {
        replica_id: Some(1),
        ..place.reported(3)
    };
    report(w.port, w.be.tablet_report(&[other]));
    let update = w.be.task(TTaskType::UPDATE_TABLET_META_INFO, 0);
    let metas = update.update_tablet_meta_info_req.unwrap();
    let metas = metas.tablet_meta_infos.unwrap();
    assert_eq!(metas[0].replica_id, Some(place.replica));

    report(w.port, w.be.tablet_report(&[]));
    assert_eq!(
        w.replica(),
        (3, true),
        "a tablet that is not reported is lost"
    );
    let select = w.sql("SELECT * FROM d.t").await;
    assert!(
        select.is_ok(),
        "an empty table needs no replica: {select:?}"
    );
    assert_eq!(w.be.count(TTaskType::DROP), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_that_a_backend_still_holds_are_cleared_or_published() {
    let (w, place) = World::with_table().await;
    let (txn, committing) = w.commit(place, "one");
    w.be.task(TTaskType::PUBLISH_VERSION, 0);
    let done = dorisim_wire::TFinishTaskRequest {
        succ_tablets: Some(BTreeMap::from([(place.tablet, 2)])),
        ..w.be.end(TTaskType::PUBLISH_VERSION, txn)
    };
    assert_eq!(finish(w.port, done).0, OK);
    assert_eq!(committing.join().unwrap(), OK);
    let holds = TTabletInfo {
        transaction_ids: Some(vec![txn, 777]),
        ..place.reported(2)
    };
    let mut told = w.be.tablet_report(&[holds]);
    told.partitions_version = Some(BTreeMap::from([(place.partition, 1)]));
    assert_eq!(report(w.port, told).0, OK);
    let clear = w.be.task(TTaskType::CLEAR_TRANSACTION_TASK, 0);
    let clear = clear.clear_transaction_task_req.unwrap();
    assert_eq!(
        (clear.transaction_id, clear.partition_id),
        (777, vec![place.partition])
    );
    let again = w.be.task(TTaskType::PUBLISH_VERSION, 1);
    let again = again.publish_version_req.unwrap();
    assert_eq!(again.transaction_id, txn);
    assert_eq!(again.partition_version_infos[0].version, 2);
    let visible = w.be.task(TTaskType::UPDATE_VISIBLE_VERSION, 0);
    let visible = visible.visible_version_req.unwrap().partition_version;
    assert_eq!(visible, Some(BTreeMap::from([(place.partition, 2)])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_of_strangers_and_of_nothing_are_refused() {
    let w = World::registered().await;
    let mut stranger = w.be.disk_report();
    stranger.backend.host = "10.9.8.7".to_owned();
    let (code, text) = report(w.port, stranger);
    assert_eq!(code, TStatusCode::INTERNAL_ERROR);
    assert_eq!(
        text,
        format!("backend[10.9.8.7:{}] does not exist.", w.be.be_port)
    );
    let mut empty = w.be.disk_report();
    empty.disks = None;
    assert_eq!(
        report(w.port, empty),
        (
            TStatusCode::INTERNAL_ERROR,
            "unknown report type".to_owned()
        )
    );
    let progress = TSnapshotLoaderReportRequest::new(1, 2, TTaskType::DOWNLOAD, 1, 3);
    let status = master_client(w.port).snapshot_loader_report(progress);
    assert_eq!(status.unwrap().status_code, TStatusCode::CANCELLED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_that_takes_no_tasks_fails_the_statement_at_once() {
    let w = World::registered().await;
    assert_eq!(report(w.port, w.be.disk_report()).0, OK);
    w.sql("CREATE DATABASE d").await.unwrap();
    w.be.refuse(true);
    let refused = w.sql(CREATE_TABLE).await.unwrap_err();
    assert!(refused.contains("full"), "{refused}");
    assert!(w.sim.frontend().nodes().queue().listed().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alter_system_changes_who_belongs_to_the_cluster() {
    let w = World::registered().await;
    assert_eq!(report(w.port, w.be.disk_report()).0, OK);
    let again = w.sql(&w.system("ADD BACKEND")).await.unwrap_err();
    assert!(again.contains("Same backend already exists["), "{again}");
    let unsafe_drop = w.sql(&w.system("DROP BACKEND")).await.unwrap_err();
    assert!(
        unsafe_drop.contains("use DROPP instead of DROP"),
        "{unsafe_drop}"
    );
    let unknown = w.sql("ALTER SYSTEM DROPP BACKEND \"127.0.0.1:1\"").await;
    let unknown = unknown.unwrap_err();
    assert!(unknown.contains("backend does not exists["), "{unknown}");
    let tag = " SET (\"tag.location\" = \"east\", \"disable_load\" = \"true\")";
    w.sql(&format!("{}{tag}", w.system("MODIFY BACKEND")))
        .await
        .unwrap();
    w.until("SELECT Tag FROM backends()", "{\"location\" : \"east\"}")
        .await;
    let status = w.sql("SELECT Status FROM backends()").await.unwrap();
    let status = status[0][0].clone().unwrap();
    assert!(status.contains("\"isLoadDisabled\":true"), "{status}");
    w.sql(&w.system("DECOMMISSION BACKEND")).await.unwrap();
    // It holds nothing, so it leaves by itself.
    for _ in 0..500 {
        if w.sql("SHOW BACKENDS").await.unwrap().is_empty() {
            let end = finish(w.port, w.be.end(TTaskType::DROP, 1));
            assert_eq!(end.1, "backend not exist.");
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the decommissioned backend stayed");
}
