//! The part of a frontend that a backend talks to, played by hand: it sends heartbeats and tasks over raw Thrift, and serves
//! `finishTask`, `report` and `snapshotLoaderReport` on a socket of its own. No code of dorisim's frontend is in it.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use dorisim::be::agent::AgentConfig;
use dorisim::be::agent::messenger::Patience;
use dorisim::be::{BackendNode, NodeConfig};
use dorisim::faults::Faults;
use dorisim::model::clock::SimClock;
use dorisim_wire::{
    AgentServiceSyncClient, HeartbeatServiceSyncClient, MasterServiceSyncHandler,
    MasterServiceSyncProcessor, TAgentResult, TAgentServiceSyncClient, TAgentServiceVersion,
    TAgentTaskRequest, TFinishTaskRequest, THeartbeatResult, THeartbeatServiceSyncClient,
    TMasterInfo, TMasterResult, TNetworkAddress, TReportRequest, TSnapshotLoaderReportRequest,
    TStatus, TStatusCode, TTaskType,
};
use tempfile::TempDir;
use thrift::protocol::{TBinaryInputProtocol, TBinaryOutputProtocol};
use thrift::server::TProcessor;
use thrift::transport::{TBufferedReadTransport, TBufferedWriteTransport, TIoChannel, TTcpChannel};
use tokio::runtime::Runtime;

use crate::common::{Input, Output, protocols};

/// Longest wait for anything that a backend tells.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the backend told, in order.
#[derive(Debug, Default)]
struct Told {
    finished: Vec<TFinishTaskRequest>,
    reports: Vec<TReportRequest>,
    progress: Vec<TSnapshotLoaderReportRequest>,
}

#[derive(Debug, Default)]
struct Shared {
    told: Mutex<Told>,
    changed: Condvar,
    /// Connections that end at their next request, unanswered.
    cut: AtomicUsize,
    /// Downloads are told to stop.
    cancel_downloads: AtomicBool,
    stop: AtomicBool,
}

#[derive(Clone)]
struct Handler(Arc<Shared>);

impl Handler {
    fn take(&self, note: impl FnOnce(&mut Told)) {
        note(&mut self.0.told.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.changed.notify_all();
    }
}

fn ok() -> TStatus {
    TStatus::new(TStatusCode::OK, None)
}

impl MasterServiceSyncHandler for Handler {
    fn handle_finish_task(&self, request: TFinishTaskRequest) -> thrift::Result<TMasterResult> {
        self.take(|told| told.finished.push(request));
        Ok(TMasterResult::new(ok()))
    }

    fn handle_report(&self, request: TReportRequest) -> thrift::Result<TMasterResult> {
        self.take(|told| told.reports.push(request));
        Ok(TMasterResult::new(ok()))
    }

    fn handle_snapshot_loader_report(
        &self,
        request: TSnapshotLoaderReportRequest,
    ) -> thrift::Result<TStatus> {
        self.take(|told| told.progress.push(request));
        if self.0.cancel_downloads.load(Ordering::Relaxed) {
            return Ok(TStatus::new(TStatusCode::CANCELLED, None));
        }
        Ok(ok())
    }
}

/// The double. Its socket closes with it.
pub struct FeDouble {
    shared: Arc<Shared>,
    port: u16,
    /// `cluster_id` of its heartbeats.
    pub cluster_id: i32,
    /// `token` of its heartbeats.
    pub token: String,
    epoch: AtomicI64,
}

impl FeDouble {
    /// A frontend of a cluster with this token.
    pub fn start(cluster_id: i32, token: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.stop.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || serve(stream.unwrap(), &shared));
            }
        });
        FeDouble {
            shared,
            port,
            cluster_id,
            token: token.to_owned(),
            epoch: AtomicI64::new(1),
        }
    }

    /// Heartbeats name this epoch from now on.
    pub fn set_epoch(&self, epoch: i64) {
        self.epoch.store(epoch, Ordering::Relaxed);
    }

    /// What a heartbeat of this frontend says.
    pub fn master_info(&self, backend_id: i64) -> TMasterInfo {
        TMasterInfo::new(
            TNetworkAddress::new("127.0.0.1".to_owned(), i32::from(self.port)),
            self.cluster_id,
            self.epoch.load(Ordering::Relaxed),
            self.token.clone(),
            "127.0.0.1".to_owned(),
            8030,
            0,
            backend_id,
            None,
            None,
            None,
            60_000,
            None,
            None,
        )
    }

    /// Sends one heartbeat.
    pub fn heartbeat(&self, rig: &Rig) -> THeartbeatResult {
        rig.heartbeat(self.master_info(10_002))
    }

    /// The next `count` requests find their connection closed, unread.
    pub fn cut_next(&self, count: usize) {
        self.shared.cut.store(count, Ordering::Relaxed);
    }

    /// Progress of downloads is answered CANCELLED.
    pub fn cancel_downloads(&self) {
        self.shared.cancel_downloads.store(true, Ordering::Relaxed);
    }

    /// The end of a task; the first one if it was told more than once.
    pub fn end_of(&self, task_type: TTaskType, signature: i64) -> TFinishTaskRequest {
        self.wait(&format!("end of task {task_type:?} {signature}"), |told| {
            let mut ends = told.finished.iter();
            ends.find(|end| end.task_type == task_type && end.signature == signature)
                .cloned()
        })
    }

    /// How often the end of a task was told until now.
    pub fn times_ended(&self, task_type: TTaskType, signature: i64) -> usize {
        let told = self.told();
        let ends = told.finished.iter();
        ends.filter(|end| end.task_type == task_type && end.signature == signature)
            .count()
    }

    /// The first report, told or to come, that `wanted` picks.
    pub fn report(&self, what: &str, wanted: impl Fn(&TReportRequest) -> bool) -> TReportRequest {
        self.wait(what, |told| {
            told.reports.iter().find(|report| wanted(report)).cloned()
        })
    }

    /// The first report behind the first `seen` ones that `wanted` picks.
    pub fn reported_after(
        &self,
        seen: usize,
        wanted: impl Fn(&TReportRequest) -> bool,
    ) -> TReportRequest {
        self.wait("a further report", |told| {
            let mut new = told.reports.iter().skip(seen);
            new.find(|report| wanted(report)).cloned()
        })
    }

    /// All reports until now, in order.
    pub fn reports(&self) -> Vec<TReportRequest> {
        self.told().reports.clone()
    }

    /// Progress of downloads until now.
    pub fn progress(&self) -> Vec<TSnapshotLoaderReportRequest> {
        self.told().progress.clone()
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.shared
            .told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<T>(&self, what: &str, find: impl Fn(&Told) -> Option<T>) -> T {
        let mut found = None;
        let (told, timeout) = self
            .shared
            .changed
            .wait_timeout_while(self.told(), PATIENCE, |told| {
                found = find(told);
                found.is_none()
            })
            .unwrap_or_else(PoisonError::into_inner);
        drop(told);
        assert!(!timeout.timed_out() || found.is_some(), "not told: {what}");
        found.unwrap()
    }
}

impl Drop for FeDouble {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(stream: TcpStream, shared: &Arc<Shared>) {
    let processor = MasterServiceSyncProcessor::new(Handler(Arc::clone(shared)));
    let watched = stream.try_clone().unwrap();
    let (read, write) = TTcpChannel::with_stream(stream).split().unwrap();
    let mut input = TBinaryInputProtocol::new(TBufferedReadTransport::new(read), true);
    let mut output = TBinaryOutputProtocol::new(TBufferedWriteTransport::new(write), true);
    loop {
        if !matches!(watched.peek(&mut [0; 1]), Ok(1)) {
            return;
        }
        let cut = |left: usize| left.checked_sub(1);
        if shared
            .cut
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, cut)
            .is_ok()
        {
            watched.shutdown(Shutdown::Both).unwrap();
            return;
        }
        if processor.process(&mut input, &mut output).is_err() {
            return;
        }
    }
}

/// A backend with a clock, faults and a directory of its own.
pub struct Rig {
    /// The backend.
    pub node: BackendNode,
    /// Its faults.
    pub faults: Arc<Faults>,
    /// Its clock.
    pub clock: Arc<SimClock>,
    runtime: Runtime,
    _dir: TempDir,
}

/// Settings under which tests are quick: short pauses, and reports only when they are due before their time.
pub fn quick() -> AgentConfig {
    let never = Duration::from_secs(3600);
    AgentConfig {
        task_report: never,
        disk_report: never,
        tablet_report: never,
        patience: Patience {
            call: Duration::from_secs(10),
            attempts: 3,
            pause: Duration::from_millis(10),
        },
        publish_wait: Duration::from_secs(10),
        ..AgentConfig::default()
    }
}

impl Rig {
    /// A backend that knows its token only when `token` is given.
    pub fn start(agent: AgentConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let (clock, faults) = (Arc::new(SimClock::default()), Arc::new(Faults::new(1)));
        let config = NodeConfig {
            agent,
            ..NodeConfig::new(dir.path().join("store"))
        };
        let mut node = BackendNode::bind(config, Arc::clone(&clock), Arc::clone(&faults)).unwrap();
        node.serve(runtime.handle(), axum::Router::new()).unwrap();
        Rig {
            node,
            faults,
            clock,
            runtime,
            _dir: dir,
        }
    }

    /// A quick backend that `double` sent its first heartbeat to.
    pub fn joined(double: &FeDouble) -> Self {
        let rig = Rig::start(quick());
        let result = double.heartbeat(&rig);
        assert_eq!(result.status.status_code, TStatusCode::OK, "{result:?}");
        rig
    }

    /// Sends a heartbeat as it is.
    pub fn heartbeat(&self, info: TMasterInfo) -> THeartbeatResult {
        let (input, output) = protocols(self.node.address().heartbeat_port);
        HeartbeatServiceSyncClient::new(input, output)
            .heartbeat(info)
            .unwrap()
    }

    /// A raw client of its `be_port`.
    pub fn client(&self) -> AgentServiceSyncClient<Input, Output> {
        let (input, output) = protocols(self.node.address().be_port);
        AgentServiceSyncClient::new(input, output)
    }

    /// Submits tasks.
    pub fn submit(&self, tasks: Vec<TAgentTaskRequest>) -> TAgentResult {
        self.client().submit_tasks(tasks).unwrap()
    }

    /// Submits one task, which must be accepted, and waits for its end.
    pub fn run(&self, double: &FeDouble, task: TAgentTaskRequest) -> TFinishTaskRequest {
        let (task_type, signature) = (task.task_type, task.signature);
        let accepted = self.submit(vec![task]);
        assert_eq!(accepted.status.status_code, TStatusCode::OK);
        double.end_of(task_type, signature)
    }

    /// As [`Rig::run`]; the task must succeed.
    pub fn done(&self, double: &FeDouble, task: TAgentTaskRequest) -> TFinishTaskRequest {
        let end = self.run(double, task);
        assert_eq!(end.task_status.status_code, TStatusCode::OK, "{end:?}");
        end
    }

    /// Waits.
    pub fn pause(&self, ms: u64) {
        self.block_on(async { tokio::time::sleep(Duration::from_millis(ms)).await });
    }

    /// Runs a future on the threads of the backend.
    pub fn block_on<F: Future>(&self, work: F) -> F::Output {
        self.runtime.block_on(work)
    }
}

/// A request of this type without any member.
pub fn bare(task_type: TTaskType, signature: i64) -> TAgentTaskRequest {
    TAgentTaskRequest::new(
        TAgentServiceVersion::V1,
        task_type,
        signature,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
    )
}
