//! The part of a backend that a frontend talks to, played by hand: it answers heartbeats, takes tasks, and tells their ends and
//! reports over raw Thrift. No code of dorisim's backend is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dorisim_wire::{
    AgentServiceSyncHandler, AgentServiceSyncProcessor, HeartbeatServiceSyncHandler,
    HeartbeatServiceSyncProcessor, MasterServiceSyncClient, TAgentResult, TAgentTaskRequest,
    TBackend, TBackendInfo, TDisk, TDiskTrashInfo, TFinishTaskRequest, THeartbeatResult,
    TMasterInfo, TMasterResult, TMasterServiceSyncClient, TPublishTopicRequest,
    TPublishTopicResult, TReportRequest, TSnapshotRequest, TStatus, TStatusCode, TTablet,
    TTabletInfo, TTabletStatResult, TTaskType,
};
use thrift::protocol::{TBinaryInputProtocol, TBinaryOutputProtocol};
use thrift::server::TProcessor;
use thrift::transport::{TBufferedReadTransport, TBufferedWriteTransport, TIoChannel, TTcpChannel};

use crate::common::{Input, Output, protocols};

/// Longest wait for a task or a heartbeat.
const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Debug, Default)]
struct Heard {
    heartbeats: Vec<TMasterInfo>,
    tasks: Vec<TAgentTaskRequest>,
}

#[derive(Debug, Default)]
struct Shared {
    heard: Mutex<Heard>,
    changed: Condvar,
    be_port: AtomicI64,
    start_ms: AtomicI64,
    mute: AtomicBool,
    refuse: AtomicBool,
    stop: AtomicBool,
}

#[derive(Clone)]
struct Handler(Arc<Shared>);

impl Handler {
    fn note(&self, note: impl FnOnce(&mut Heard)) {
        note(&mut lock(&self.0.heard));
        self.0.changed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ok() -> TStatus {
    TStatus::new(TStatusCode::OK, None)
}

fn gone<T>() -> thrift::Result<T> {
    Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into())
}

impl HeartbeatServiceSyncHandler for Handler {
    fn handle_heartbeat(&self, info: TMasterInfo) -> thrift::Result<THeartbeatResult> {
        if self.0.mute.load(Ordering::Relaxed) {
            return gone();
        }
        self.note(|heard| heard.heartbeats.push(info));
        let told = TBackendInfo {
            be_port: i32::try_from(self.0.be_port.load(Ordering::Relaxed)).unwrap(),
            http_port: 1,
            be_rpc_port: Some(-1),
            brpc_port: Some(8060),
            version: Some("doris-double".to_owned()),
            be_start_time: Some(self.0.start_ms.load(Ordering::Relaxed)),
            be_node_role: Some("mix".to_owned()),
            is_shutdown: Some(false),
            arrow_flight_sql_port: Some(-1),
            be_mem: Some(4 << 30),
            fragment_executing_count: None,
            fragment_last_active_time: None,
        };
        Ok(THeartbeatResult::new(ok(), told))
    }
}

impl AgentServiceSyncHandler for Handler {
    fn handle_submit_tasks(&self, tasks: Vec<TAgentTaskRequest>) -> thrift::Result<TAgentResult> {
        if self.0.refuse.load(Ordering::Relaxed) {
            let full = TStatus::new(TStatusCode::TOO_MANY_TASKS, vec!["full".to_owned()]);
            return Ok(TAgentResult::new(full, None, None, None));
        }
        self.note(|heard| heard.tasks.extend(tasks));
        Ok(TAgentResult::new(ok(), None, None, None))
    }

    fn handle_make_snapshot(&self, _: TSnapshotRequest) -> thrift::Result<TAgentResult> {
        gone()
    }

    fn handle_release_snapshot(&self, _: String) -> thrift::Result<TAgentResult> {
        gone()
    }

    fn handle_get_tablet_stat(&self) -> thrift::Result<TTabletStatResult> {
        Ok(TTabletStatResult::new(BTreeMap::new(), None))
    }

    fn handle_get_trash_used_capacity(&self) -> thrift::Result<i64> {
        Ok(0)
    }

    fn handle_get_disk_trash_used_capacity(&self) -> thrift::Result<Vec<TDiskTrashInfo>> {
        Ok(Vec::new())
    }

    fn handle_publish_topic_info(
        &self,
        _: TPublishTopicRequest,
    ) -> thrift::Result<TPublishTopicResult> {
        Ok(TPublishTopicResult::new(ok()))
    }
}

/// The double. Its sockets close with it.
pub struct BeDouble {
    shared: Arc<Shared>,
    /// `heartbeat_service_port`.
    pub heartbeat_port: u16,
    /// `be_port`.
    pub be_port: u16,
    report_version: AtomicI64,
}

impl BeDouble {
    /// A backend that nobody has registered yet.
    pub fn start() -> Self {
        let shared = Arc::new(Shared::default());
        shared.start_ms.store(1_000, Ordering::Relaxed);
        let handler = || Handler(Arc::clone(&shared));
        let heartbeat_port = listen(&shared, HeartbeatServiceSyncProcessor::new(handler()));
        let be_port = listen(&shared, AgentServiceSyncProcessor::new(handler()));
        shared.be_port.store(i64::from(be_port), Ordering::Relaxed);
        BeDouble {
            shared,
            heartbeat_port,
            be_port,
            report_version: AtomicI64::new(100),
        }
    }

    /// Heartbeats are answered no more, or again.
    pub fn mute(&self, on: bool) {
        self.shared.mute.store(on, Ordering::Relaxed);
    }

    /// Tasks are refused, or taken again.
    pub fn refuse(&self, on: bool) {
        self.shared.refuse.store(on, Ordering::Relaxed);
    }

    /// Another process from now on.
    pub fn restart(&self) {
        self.shared.start_ms.fetch_add(1_000, Ordering::Relaxed);
    }

    /// The first heartbeat.
    pub fn heartbeat(&self) -> TMasterInfo {
        self.wait("a heartbeat", |heard| heard.heartbeats.first().cloned())
    }

    /// The `nth` task of a type, sent or to come.
    pub fn task(&self, kind: TTaskType, nth: usize) -> TAgentTaskRequest {
        self.wait(&format!("{kind:?} number {nth}"), |heard| {
            let mut tasks = heard.tasks.iter().filter(|task| task.task_type == kind);
            tasks.nth(nth).cloned()
        })
    }

    /// Tasks of a type until now.
    pub fn count(&self, kind: TTaskType) -> usize {
        let heard = lock(&self.shared.heard);
        let tasks = heard.tasks.iter();
        tasks.filter(|task| task.task_type == kind).count()
    }

    fn wait<T>(&self, what: &str, find: impl Fn(&Heard) -> Option<T>) -> T {
        let mut found = None;
        let (heard, timeout) = self
            .shared
            .changed
            .wait_timeout_while(lock(&self.shared.heard), PATIENCE, |heard| {
                found = find(heard);
                found.is_none()
            })
            .unwrap_or_else(PoisonError::into_inner);
        drop(heard);
        assert!(!timeout.timed_out() || found.is_some(), "not heard: {what}");
        found.unwrap()
    }

    /// How it names itself.
    pub fn backend(&self) -> TBackend {
        let port = i32::from(self.be_port);
        TBackend::new("127.0.0.1".to_owned(), port, 1, None, None, None)
    }

    /// The end of a task, successful and without details.
    pub fn end(&self, kind: TTaskType, signature: i64) -> TFinishTaskRequest {
        TFinishTaskRequest {
            backend: self.backend(),
            task_type: kind,
            signature,
            task_status: ok(),
            report_version: Some(self.report_version.fetch_add(1, Ordering::Relaxed) + 1),
            finish_tablet_infos: None,
            tablet_checksum: None,
            request_version: None,
            request_version_hash: None,
            snapshot_path: None,
            error_tablet_ids: None,
            snapshot_files: None,
            tablet_files: None,
            downloaded_tablet_ids: None,
            copy_size: None,
            copy_time_ms: None,
            succ_tablets: None,
            table_id_to_delta_num_rows: None,
            table_id_to_tablet_id_to_delta_num_rows: None,
        }
    }

    fn report(&self) -> TReportRequest {
        TReportRequest {
            backend: self.backend(),
            report_version: None,
            tasks: None,
            tablets: None,
            disks: None,
            force_recovery: None,
            tablet_list: None,
            tablet_max_compaction_score: None,
            num_cores: None,
            pipeline_executor_size: None,
            partitions_version: None,
            num_tablets: None,
            running_tasks: None,
        }
    }

    /// A report of one healthy disk.
    pub fn disk_report(&self) -> TReportRequest {
        let (total, used, free) = (10 << 30, 1 << 30, 9 << 30);
        let root = "/double".to_owned();
        let disk = TDisk::new(
            root.clone(),
            total,
            used,
            true,
            free,
            None,
            None,
            None,
            None,
        );
        TReportRequest {
            disks: Some(BTreeMap::from([(root, disk)])),
            num_cores: Some(7),
            ..self.report()
        }
    }

    /// A report of these tasks.
    pub fn task_report(&self, tasks: &[(TTaskType, i64)]) -> TReportRequest {
        let mut by_type: BTreeMap<TTaskType, BTreeSet<i64>> = BTreeMap::new();
        for (kind, signature) in tasks {
            by_type.entry(*kind).or_default().insert(*signature);
        }
        TReportRequest {
            tasks: Some(by_type),
            ..self.report()
        }
    }

    /// A report of these tablets.
    pub fn tablet_report(&self, tablets: &[TTabletInfo]) -> TReportRequest {
        let tablets: BTreeMap<i64, TTablet> = tablets
            .iter()
            .map(|info| (info.tablet_id, TTablet::new(vec![info.clone()])))
            .collect();
        TReportRequest {
            report_version: Some(self.report_version.load(Ordering::Relaxed)),
            num_tablets: i64::try_from(tablets.len()).ok(),
            tablets: Some(tablets),
            ..self.report()
        }
    }
}

impl Drop for BeDouble {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for port in [self.heartbeat_port, self.be_port] {
            // Wakes the accepting threads.
            let _ = TcpStream::connect(("127.0.0.1", port));
        }
    }
}

/// A healthy tablet.
pub fn tablet(tablet_id: i64, replica_id: i64, partition_id: i64, version: i64) -> TTabletInfo {
    TTabletInfo {
        tablet_id,
        schema_hash: 1,
        version,
        version_hash: 0,
        row_count: 0,
        data_size: 0,
        storage_medium: None,
        transaction_ids: None,
        total_version_count: None,
        path_hash: None,
        version_miss: None,
        used: Some(true),
        partition_id: Some(partition_id),
        is_in_memory: None,
        replica_id: Some(replica_id),
        remote_data_size: None,
        visible_version_count: None,
        local_index_size: None,
        local_segment_size: None,
        remote_index_size: None,
        remote_segment_size: None,
    }
}

/// A raw client of what backends call on a frontend.
pub fn master_client(port: u16) -> MasterServiceSyncClient<Input, Output> {
    let (input, output) = protocols(port);
    MasterServiceSyncClient::new(input, output)
}

/// Sends finishTask; code and text of the answer.
pub fn finish(port: u16, request: TFinishTaskRequest) -> (TStatusCode, String) {
    told(master_client(port).finish_task(request).unwrap())
}

/// Sends a report; code and text of the answer.
pub fn report(port: u16, request: TReportRequest) -> (TStatusCode, String) {
    told(master_client(port).report(request).unwrap())
}

fn told(result: TMasterResult) -> (TStatusCode, String) {
    let text = result.status.error_msgs.unwrap_or_default().join("; ");
    (result.status.status_code, text)
}

fn listen(shared: &Arc<Shared>, processor: impl TProcessor + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (shared, processor) = (Arc::clone(shared), Arc::new(processor));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if shared.stop.load(Ordering::Relaxed) {
                return;
            }
            let processor = Arc::clone(&processor);
            std::thread::spawn(move || {
                let (read, write) = TTcpChannel::with_stream(stream.unwrap()).split().unwrap();
                let mut input = TBinaryInputProtocol::new(TBufferedReadTransport::new(read), true);
                let mut output =
                    TBinaryOutputProtocol::new(TBufferedWriteTransport::new(write), true);
                while processor.process(&mut input, &mut output).is_ok() {}
            });
        }
    });
    port
}
