//! The tasks of one backend that were accepted and have not ended: bounded queues, one lane per kind of work.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dorisim_wire::TTaskType;
use tokio::sync::Notify;

use dorisim_net::agent::AgentTask;

/// A queue with workers of its own, so that slow work does not keep quick work waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// CREATE.
    Create,
    /// DROP.
    Drop,
    /// PUSH.
    Push,
    /// PUBLISH_VERSION.
    Publish,
    /// CLEAR_TRANSACTION_TASK.
    Clear,
    /// MAKE_SNAPSHOT and RELEASE_SNAPSHOT.
    Snapshot,
    /// DOWNLOAD.
    Download,
    /// MOVE.
    Move,
    /// ALTER.
    Alter,
    /// CLONE.
    Clone,
    /// All that is neither slow nor frequent.
    Other,
}

impl Lane {
    /// All lanes and the number of their workers, as the defaults of a backend's configuration.
    pub const ALL: [(Lane, usize); 11] = [
        (Lane::Create, 8),
        (Lane::Drop, 4),
        (Lane::Push, 3),
        (Lane::Publish, 8),
        (Lane::Clear, 2),
        (Lane::Snapshot, 5),
        (Lane::Download, 4),
        (Lane::Move, 2),
        (Lane::Alter, 3),
        (Lane::Clone, 3),
        (Lane::Other, 2),
    ];

    fn of(task: &AgentTask) -> Self {
        match task {
            AgentTask::Create(_) => Lane::Create,
            AgentTask::Drop(_) => Lane::Drop,
            AgentTask::Push(_) => Lane::Push,
            AgentTask::Publish(_) => Lane::Publish,
            AgentTask::ClearTransaction(..) => Lane::Clear,
            AgentTask::MakeSnapshot(_) | AgentTask::ReleaseSnapshot(_) => Lane::Snapshot,
            AgentTask::Download(_) => Lane::Download,
            AgentTask::Move(_) => Lane::Move,
            AgentTask::Alter(_) => Lane::Alter,
            AgentTask::Clone(_) => Lane::Clone,
            AgentTask::UpdateMeta(_)
            | AgentTask::GcBinlog(_)
            | AgentTask::VisibleVersion(_)
            | AgentTask::CheckConsistency { .. }
            | AgentTask::Other(_) => Lane::Other,
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// An accepted task.
#[derive(Debug)]
pub struct Job {
    /// Type as the frontend named it; the end must name the same.
    pub task_type: TTaskType,
    /// Signature; -1 is never told.
    pub signature: i64,
    /// What to do; text: the request could not be read.
    pub task: Result<AgentTask, String>,
    /// When it was accepted, milliseconds of the backend's clock.
    pub accepted_ms: i64,
}

impl Job {
    fn lane(&self) -> Lane {
        self.task.as_ref().map_or(Lane::Other, Lane::of)
    }

    /// Types and signatures that task reports do not list and that are accepted any number of times.
    fn is_listed(&self) -> bool {
        let unlisted = [
            TTaskType::PUSH_STORAGE_POLICY,
            TTaskType::PUSH_COOLDOWN_CONF,
            TTaskType::COMPACTION,
        ];
        self.signature != -1 && !unlisted.contains(&self.task_type)
    }
}

/// What became of a submitted task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It waits for a worker.
    Queued,
    /// One of its type and signature waits or runs already; this one is dropped.
    Known,
    /// Its lane is full; this one is dropped.
    Full,
}

/// The queues.
#[derive(Debug)]
pub struct Board {
    limit: usize,
    state: Mutex<State>,
    wake: [Notify; Lane::ALL.len()],
}

#[derive(Debug, Default)]
struct State {
    listed: BTreeMap<TTaskType, BTreeSet<i64>>,
    lanes: [VecDeque<Job>; Lane::ALL.len()],
}

impl Board {
    /// Empty lanes of at most `limit` waiting tasks each.
    pub fn new(limit: usize) -> Self {
        Board {
            limit,
            state: Mutex::default(),
            wake: Default::default(),
        }
    }

    /// Takes a task in unless it is known.
    pub fn submit(&self, job: Job) -> Accepted {
        let lane = job.lane().index();
        {
            let mut state = self.state();
            if state.lanes[lane].len() >= self.limit {
                return Accepted::Full;
            }
            if job.is_listed() {
                let signatures = state.listed.entry(job.task_type).or_default();
                if !signatures.insert(job.signature) {
                    return Accepted::Known;
                }
            }
            state.lanes[lane].push_back(job);
        }
        self.wake[lane].notify_one();
        Accepted::Queued
    }

    /// The next task of a lane; waits for one.
    pub async fn next(&self, lane: Lane) -> Job {
        loop {
            let job = {
                let mut state = self.state();
                let queue = &mut state.lanes[lane.index()];
                let job = queue.pop_front();
                // One permit is kept however many tasks came, so whoever takes one wakes the next worker.
                if !queue.is_empty() {
                    self.wake[lane.index()].notify_one();
                }
                job
            };
            match job {
                Some(job) => return job,
                None => self.wake[lane.index()].notified().await,
            }
        }
    }

    /// Puts a task back behind the others of its lane; it stays listed.
    pub fn again(&self, job: Job) {
        let lane = job.lane().index();
        self.state().lanes[lane].push_back(job);
        self.wake[lane].notify_one();
    }

    /// The task ended: the same signature is accepted again.
    pub fn forget(&self, task_type: TTaskType, signature: i64) {
        let mut state = self.state();
        if let Some(signatures) = state.listed.get_mut(&task_type) {
            signatures.remove(&signature);
            if signatures.is_empty() {
                state.listed.remove(&task_type);
            }
        }
    }

    /// Waiting and running signatures by type, as a task report lists them.
    pub fn listed(&self) -> BTreeMap<TTaskType, BTreeSet<i64>> {
        self.state().listed.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(task_type: TTaskType, signature: i64) -> Job {
        Job {
            task_type,
            signature,
            task: Ok(AgentTask::Other(task_type)),
            accepted_ms: 0,
        }
    }

    #[tokio::test]
    async fn known_tasks_are_dropped_until_they_end() {
        let board = Board::new(10);
        let clone = || job(TTaskType::CLONE, 1);
        assert_eq!(board.submit(clone()), Accepted::Queued);
        assert_eq!(board.submit(clone()), Accepted::Known);
        assert_eq!(board.submit(job(TTaskType::UPLOAD, 1)), Accepted::Queued);
        let running = board.next(Lane::Other).await;
        assert_eq!(board.submit(clone()), Accepted::Known, "while it runs");
        board.forget(running.task_type, running.signature);
        assert_eq!(board.submit(clone()), Accepted::Queued);
        assert_eq!(board.listed().len(), 2);
    }

    #[test]
    fn signature_minus_one_is_accepted_and_not_listed() {
        let board = Board::new(10);
        for _ in 0..2 {
            let sent = board.submit(job(TTaskType::GC_BINLOG, -1));
            assert_eq!(sent, Accepted::Queued);
        }
        assert!(board.listed().is_empty());
    }

    #[test]
    fn a_full_lane_refuses_and_forgets() {
        let board = Board::new(1);
        assert_eq!(board.submit(job(TTaskType::CLONE, 1)), Accepted::Queued);
        assert_eq!(board.submit(job(TTaskType::CLONE, 2)), Accepted::Full);
        assert_eq!(board.listed()[&TTaskType::CLONE], BTreeSet::from([1]));
    }
}
