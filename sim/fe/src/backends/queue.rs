//! The agent tasks that were sent and have not ended: (backend, type, signature) → the task and who waits for it.
//!
//! Only bookkeeping under one short lock; sending is [`super::remote`]'s business.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dorisim_wire::{
    TAgentTaskRequest, TFinishTaskRequest, TMasterResult, TStatus, TStatusCode, TTaskType,
};
use tokio::sync::mpsc;

/// Names a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskKey {
    /// Backend that has to do it.
    pub backend: i64,
    /// Type.
    pub kind: TTaskType,
    /// Signature; with type and backend it is unique.
    pub signature: i64,
}

/// How a task is kept while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// In the queue, with its request: the task report sends it again.
    Resent,
    /// In the queue; a task that is lost stays lost (CREATE).
    Once,
    /// Not in the queue (DROP, RELEASE_SNAPSHOT, CLEAR_TRANSACTION_TASK): only its end is waited for.
    Unlisted,
}

/// A task that is waiting for its end.
#[derive(Debug)]
struct Pending {
    /// `None` for tasks that are not sent again.
    request: Option<TAgentTaskRequest>,
    listed: bool,
    sent: Instant,
    failures: u32,
    last_error: String,
    waiter: Option<Waiter>,
}

/// Where the end of a task is told. Its channel has room for one message per task.
pub type Waiter = mpsc::Sender<TFinishTaskRequest>;

/// The queue.
#[derive(Debug, Default)]
pub struct AgentTaskQueue {
    tasks: Mutex<HashMap<TaskKey, Pending>>,
}

/// What the frontend does with a message about the end of a task.
#[derive(Debug, PartialEq, Eq)]
enum Reaction {
    /// Tells the waiter and forgets the task.
    End,
    /// Tells the waiter; the task stays and is sent again.
    TellAndStay,
    /// Counts the failure; the task stays and is sent again.
    Stay,
    /// The message lacks what the frontend demands.
    Refuse,
}

/// The reaction to a task that the queue knows.
fn reaction(request: &TFinishTaskRequest) -> Reaction {
    let ok = request.task_status.status_code == TStatusCode::OK;
    match request.task_type {
        TTaskType::CREATE | TTaskType::REALTIME_PUSH if request.report_version.is_none() => {
            Reaction::Refuse
        }
        TTaskType::PUBLISH_VERSION if !ok => Reaction::TellAndStay,
        // A push that could not lock its tablet is tried again.
        TTaskType::REALTIME_PUSH
            if request.task_status.status_code == TStatusCode::OBTAIN_LOCK_FAILED =>
        {
            Reaction::Stay
        }
        TTaskType::CREATE
        | TTaskType::MAKE_SNAPSHOT
        | TTaskType::UPLOAD
        | TTaskType::DOWNLOAD
        | TTaskType::MOVE
        | TTaskType::CLONE
        | TTaskType::PUBLISH_VERSION
        | TTaskType::UPDATE_TABLET_META_INFO
        | TTaskType::STORAGE_MEDIUM_MIGRATE
        | TTaskType::REALTIME_PUSH
        | TTaskType::DROP
        | TTaskType::RELEASE_SNAPSHOT
        | TTaskType::CLEAR_TRANSACTION_TASK => Reaction::End,
        _ if ok => Reaction::End,
        _ => Reaction::Stay,
    }
}

/// Tasks whose end may come when the queue does not know them.
fn may_be_unknown(kind: TTaskType) -> bool {
    [
        TTaskType::DROP,
        TTaskType::RELEASE_SNAPSHOT,
        TTaskType::CLEAR_TRANSACTION_TASK,
    ]
    .contains(&kind)
}

/// An answer of the master with one text.
pub(super) fn refused(code: TStatusCode, text: String) -> TMasterResult {
    TMasterResult::new(TStatus::new(code, vec![text]))
}

/// An answer of the master that is OK.
pub(super) fn accepted() -> TMasterResult {
    TMasterResult::new(TStatus::new(TStatusCode::OK, None))
}

impl AgentTaskQueue {
    /// Takes a task in. A task of the same key is replaced: who waited for it is told nothing.
    pub fn add(
        &self,
        key: TaskKey,
        request: &TAgentTaskRequest,
        keep: Keep,
        waiter: Waiter,
        now: Instant,
    ) {
        let pending = Pending {
            request: (keep == Keep::Resent).then(|| request.clone()),
            listed: keep != Keep::Unlisted,
            sent: now,
            failures: 0,
            last_error: String::new(),
            waiter: Some(waiter),
        };
        self.tasks().insert(key, pending);
    }

    /// Forgets a task; false if it was gone.
    pub fn remove(&self, key: &TaskKey) -> bool {
        self.tasks().remove(key).is_some()
    }

    /// Forgets all publish tasks of these transactions.
    pub fn remove_publishes(&self, backends: &[i64], txn_ids: &[i64]) {
        let mut tasks = self.tasks();
        for backend in backends {
            for signature in txn_ids {
                tasks.remove(&TaskKey {
                    backend: *backend,
                    kind: TTaskType::PUBLISH_VERSION,
                    signature: *signature,
                });
            }
        }
    }

    /// Forgets every task of a backend that was dropped; its waiters see the end of their channel.
    pub fn remove_backend(&self, backend: i64) {
        self.tasks().retain(|key, _| key.backend != backend);
    }

    /// The reaction to finishTask of a known backend.
    pub fn finish(&self, backend: i64, request: TFinishTaskRequest) -> TMasterResult {
        let key = TaskKey {
            backend,
            kind: request.task_type,
            signature: request.signature,
        };
        let mut tasks = self.tasks();
        let Some(pending) = tasks.get_mut(&key) else {
            if may_be_unknown(key.kind) {
                return accepted();
            }
            let text = format!(
                "cannot find task. type: {}, backendId: {backend}, signature: {}",
                type_name(key.kind),
                key.signature
            );
            return refused(TStatusCode::CANCELLED, text);
        };
        if request.task_status.status_code != TStatusCode::OK {
            pending.failures += 1;
            pending.last_error = status_text(&request.task_status);
        }
        let waiter = match reaction(&request) {
            Reaction::Refuse => {
                tracing::warn!(
                    backend,
                    kind = type_name(key.kind),
                    signature = key.signature,
                    "the end of a task came without report version"
                );
                let text = "finish agent task error.".to_owned();
                return refused(TStatusCode::CANCELLED, text);
            }
            Reaction::Stay => None,
            Reaction::TellAndStay => pending.waiter.take(),
            Reaction::End => tasks.remove(&key).and_then(|pending| pending.waiter),
        };
        drop(tasks);
        if let Some(waiter) = waiter {
            // Fails when nobody waits any more, which is no concern of the backend.
            let _ = waiter.try_send(request);
        }
        accepted()
    }

    /// Tasks that the queue holds for a backend but the backend does not know, older than `age`: to be sent again.
    pub fn lost(
        &self,
        backend: i64,
        reported: &BTreeMap<TTaskType, BTreeSet<i64>>,
        age: Duration,
        now: Instant,
    ) -> Vec<TAgentTaskRequest> {
        let mut tasks = self.tasks();
        let mut out = Vec::new();
        for (key, pending) in tasks.iter_mut().filter(|(key, _)| key.backend == backend) {
            let Some(request) = &pending.request else {
                continue;
            };
            let running = reported
                .get(&key.kind)
                .is_some_and(|signatures| signatures.contains(&key.signature));
            if running || now.saturating_duration_since(pending.sent) < age {
                continue;
            }
            pending.sent = now;
            out.push(request.clone());
        }
        out
    }

    /// Listed tasks, with failures so far and the last text of one.
    #[must_use]
    pub fn listed(&self) -> BTreeMap<TaskKey, (u32, String)> {
        self.tasks()
            .iter()
            .filter(|(_, pending)| pending.listed)
            .map(|(key, pending)| (*key, (pending.failures, pending.last_error.clone())))
            .collect()
    }

    fn tasks(&self) -> MutexGuard<'_, HashMap<TaskKey, Pending>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A batch of tasks that somebody waits for; what has not ended is forgotten with it.
#[derive(Debug)]
pub struct Waiting {
    queue: Arc<AgentTaskQueue>,
    keys: Vec<TaskKey>,
    keep: bool,
}

impl Waiting {
    /// Forgets these keys when dropped, unless they are kept.
    #[must_use]
    pub fn new(queue: Arc<AgentTaskQueue>, keys: Vec<TaskKey>) -> Self {
        Waiting {
            queue,
            keys,
            keep: false,
        }
    }

    /// Leaves the tasks in the queue: the task report sends them again.
    pub fn leave_in_queue(mut self) {
        self.keep = true;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.keep {
            for key in &self.keys {
                self.queue.remove(key);
            }
        }
    }
}

/// All texts of a status in one.
#[must_use]
pub fn status_text(status: &TStatus) -> String {
    match status.error_msgs.as_deref() {
        None | Some([]) => format!("status {}", status.status_code.0),
        Some(texts) => texts.join("; "),
    }
}

/// Name of a task type as messages show it.
#[must_use]
pub fn type_name(kind: TTaskType) -> &'static str {
    match kind {
        TTaskType::CREATE => "CREATE",
        TTaskType::DROP => "DROP",
        TTaskType::PUSH => "PUSH",
        TTaskType::CLONE => "CLONE",
        TTaskType::STORAGE_MEDIUM_MIGRATE => "STORAGE_MEDIUM_MIGRATE",
        TTaskType::MAKE_SNAPSHOT => "MAKE_SNAPSHOT",
        TTaskType::RELEASE_SNAPSHOT => "RELEASE_SNAPSHOT",
        TTaskType::CHECK_CONSISTENCY => "CHECK_CONSISTENCY",
        TTaskType::UPLOAD => "UPLOAD",
        TTaskType::DOWNLOAD => "DOWNLOAD",
        TTaskType::CLEAR_REMOTE_FILE => "CLEAR_REMOTE_FILE",
        TTaskType::MOVE => "MOVE",
        TTaskType::REALTIME_PUSH => "REALTIME_PUSH",
        TTaskType::PUBLISH_VERSION => "PUBLISH_VERSION",
        TTaskType::CLEAR_ALTER_TASK => "CLEAR_ALTER_TASK",
        TTaskType::CLEAR_TRANSACTION_TASK => "CLEAR_TRANSACTION_TASK",
        TTaskType::UPDATE_TABLET_META_INFO => "UPDATE_TABLET_META_INFO",
        TTaskType::ALTER => "ALTER",
        TTaskType::COMPACTION => "COMPACTION",
        TTaskType::ALTER_INVERTED_INDEX => "ALTER_INVERTED_INDEX",
        TTaskType::GC_BINLOG => "GC_BINLOG",
        TTaskType::UPDATE_VISIBLE_VERSION => "UPDATE_VISIBLE_VERSION",
        _ => "UNKNOWN",
    }
}

#[cfg(test)]
mod tests {
    use dorisim_wire::{TAgentServiceVersion, TBackend};

    use super::*;

    fn end(kind: TTaskType, signature: i64, code: TStatusCode) -> TFinishTaskRequest {
        TFinishTaskRequest {
            backend: TBackend::new("127.0.0.1".to_owned(), 1, 2, None, None, None),
            task_type: kind,
            signature,
            task_status: TStatus::new(code, None),
            report_version: Some(5),
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

    #[allow(clippy::disallowed_methods, reason = "a test of ages")]
    fn now() -> Instant {
        Instant::now()
    }

    struct World {
        queue: AgentTaskQueue,
        ends: mpsc::Receiver<TFinishTaskRequest>,
        key: TaskKey,
    }

    fn world(kind: TTaskType, keep: Keep) -> World {
        let queue = AgentTaskQueue::default();
        let (waiter, ends) = mpsc::channel(1);
        let key = TaskKey {
            backend: 1,
            kind,
            signature: 7,
        };
        let request = task(kind);
        queue.add(key, &request, keep, waiter, now());
        World { queue, ends, key }
    }

    fn task(kind: TTaskType) -> TAgentTaskRequest {
        dorisim_net::agent::task::bare(kind, 7)
    }

    fn code(result: &TMasterResult) -> (TStatusCode, String) {
        (result.status.status_code, status_text(&result.status))
    }

    #[test]
    fn an_end_wakes_its_waiter_and_leaves_the_queue() {
        let mut w = world(TTaskType::MAKE_SNAPSHOT, Keep::Resent);
        let done = end(w.key.kind, 7, TStatusCode::OK);
        assert_eq!(code(&w.queue.finish(1, done)).0, TStatusCode::OK);
        assert_eq!(w.ends.try_recv().unwrap().signature, 7);
        assert!(w.queue.listed().is_empty());
        let again = code(&w.queue.finish(1, end(w.key.kind, 7, TStatusCode::OK)));
        assert_eq!(
            again,
            (
                TStatusCode::CANCELLED,
                "cannot find task. type: MAKE_SNAPSHOT, backendId: 1, signature: 7".to_owned()
            )
        );
    }

    #[test]
    fn ends_of_unlisted_tasks_are_always_accepted() {
        let queue = AgentTaskQueue::default();
        for kind in [
            TTaskType::DROP,
            TTaskType::RELEASE_SNAPSHOT,
            TTaskType::CLEAR_TRANSACTION_TASK,
        ] {
            let answer = queue.finish(1, end(kind, 9, TStatusCode::OK));
            assert_eq!(code(&answer).0, TStatusCode::OK, "{kind:?}");
        }
    }

    #[test]
    fn creation_without_report_version_is_an_error_and_stays() {
        let mut w = world(TTaskType::CREATE, Keep::Once);
        let bad = TFinishTaskRequest {
            report_version: None,
            ..end(TTaskType::CREATE, 7, TStatusCode::OK)
        };
        let answer = code(&w.queue.finish(1, bad));
        let wanted = (
            TStatusCode::CANCELLED,
            "finish agent task error.".to_owned(),
        );
        assert_eq!(answer, wanted);
        assert!(w.ends.try_recv().is_err());
        assert!(w.queue.listed().contains_key(&w.key));
    }

    #[test]
    fn a_failed_publish_is_told_and_sent_again() {
        let mut w = world(TTaskType::PUBLISH_VERSION, Keep::Resent);
        let failed = end(w.key.kind, 7, TStatusCode::INTERNAL_ERROR);
        assert_eq!(code(&w.queue.finish(1, failed)).0, TStatusCode::OK);
        assert!(w.ends.try_recv().is_ok());
        assert_eq!(w.queue.listed()[&w.key].0, 1);
        let lost = w.queue.lost(1, &BTreeMap::new(), Duration::ZERO, now());
        assert_eq!(lost.len(), 1);
        assert_eq!(lost[0].protocol_version, TAgentServiceVersion::V1);
    }

    #[test]
    fn a_failed_alter_only_counts() {
        let mut w = world(TTaskType::ALTER, Keep::Resent);
        w.queue
            .finish(1, end(w.key.kind, 7, TStatusCode::INTERNAL_ERROR));
        assert!(w.ends.try_recv().is_err());
        assert_eq!(w.queue.listed()[&w.key].0, 1);
        w.queue.finish(1, end(w.key.kind, 7, TStatusCode::OK));
        assert!(w.ends.try_recv().is_ok());
        assert!(w.queue.listed().is_empty());
    }

    #[test]
    fn running_and_young_tasks_are_not_sent_again() {
        let w = world(TTaskType::MAKE_SNAPSHOT, Keep::Resent);
        let none = BTreeMap::new();
        let long = Duration::from_secs(60);
        assert!(w.queue.lost(1, &none, long, now()).is_empty());
        let running = BTreeMap::from([(w.key.kind, BTreeSet::from([7]))]);
        assert!(w.queue.lost(1, &running, Duration::ZERO, now()).is_empty());
        assert!(w.queue.lost(2, &none, Duration::ZERO, now()).is_empty());
        assert_eq!(w.queue.lost(1, &none, Duration::ZERO, now()).len(), 1);
        let once = world(TTaskType::CREATE, Keep::Once);
        assert!(once.queue.lost(1, &none, Duration::ZERO, now()).is_empty());
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_forgotten() {
        let w = world(TTaskType::MAKE_SNAPSHOT, Keep::Resent);
        let queue = Arc::new(w.queue);
        drop(Waiting::new(Arc::clone(&queue), vec![w.key]));
        assert!(queue.listed().is_empty());
    }
}
