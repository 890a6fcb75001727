//! What a job tells about itself.

use std::collections::BTreeMap;

use ccr_control::{JobSpec, JobState, JobStatus, ResyncsDone, TableLane};
use ccr_schemas::CommitSeq;

use crate::plan::{Apply, State, StopReason};

/// Counters and texts of a job, until the process ends.
#[derive(Clone, Debug)]
pub struct Progress {
    status: JobStatus,
    moved_at_ms: i64,
    owns: bool,
    /// Everything in the topic was read.
    caught_up: bool,
    /// When the source made the newest event that was read, milliseconds since the epoch.
    newest_read_at_ms: Option<i64>,
}

impl Progress {
    /// Of a job that starts.
    pub fn new(spec: &JobSpec, owner: &str, now_ms: i64) -> Self {
        Self {
            status: JobStatus {
                job: spec.name.clone(),
                incarnation: spec.incarnation.0.clone(),
                state: JobState::Recovering,
                applied: CommitSeq::BEFORE_FIRST,
                committed_offset: 0,
                end_offset: 0,
                events_applied: 0,
                skipped: BTreeMap::new(),
                lag_ms: None,
                oldest_pending_at_ms: None,
                last_apply_lag_ms: None,
                lanes: Vec::new(),
                last_error: None,
                stuck_since_ms: None,
                action: "starting".to_owned(),
                progress: None,
                synced: false,
                resyncs_done: Default::default(),
                leftovers: Vec::new(),
                at_ms: now_ms,
                owner: owner.to_owned(),
            },
            moved_at_ms: now_ms,
            owns: false,
            caught_up: false,
            newest_read_at_ms: None,
        }
    }

    /// This process is the one that works on the job.
    pub fn owns(&self) -> bool {
        self.owns || self.status.last_error.is_some()
    }

    /// Assigned or not.
    pub fn own(&mut self, owns: bool) {
        self.owns = owns;
    }

    /// As it is now.
    pub fn status(&self) -> &JobStatus {
        &self.status
    }

    /// The first full sync is in place.
    pub fn synced(&mut self) {
        self.status.synced = true;
    }

    /// Requests to sync single tables again that are done.
    pub fn resyncs_done(&mut self, done: &ResyncsDone) {
        self.status.resyncs_done.clone_from(done);
    }

    /// Tables and views of the destination that the source did not have at the first full sync.
    pub fn leftovers(&mut self, names: Vec<String>) {
        self.status.leftovers = names;
    }

    /// Another state.
    pub fn enter(&mut self, state: JobState, action: impl Into<String>) {
        self.status.state = state;
        self.status.action = action.into();
        self.status.progress = None;
        match state {
            JobState::Recovering | JobState::AwaitingSnapshot | JobState::Restoring => {
                self.status.oldest_pending_at_ms = None;
            }
            JobState::CatchingUp | JobState::Applying | JobState::Paused | JobState::Halted => {}
        }
    }

    /// As it is now, with the time of the report.
    pub fn report(&self, now_ms: i64) -> JobStatus {
        let mut status = self.status.clone();
        status.at_ms = now_ms;
        status.lag_ms = status.lag_at(now_ms);
        status
    }

    /// Work done of work known.
    pub fn advance(&mut self, action: impl Into<String>, progress: Option<(u64, u64)>) {
        self.status.action = action.into();
        self.status.progress = progress;
    }

    /// An event took effect.
    pub fn applied(&mut self, source_at_ms: i64, now_ms: i64) {
        self.status.events_applied += 1;
        if source_at_ms > 0 {
            self.status.last_apply_lag_ms = Some((now_ms - source_at_ms).max(0));
        }
        self.moved_at_ms = now_ms;
    }

    /// Something was left out.
    pub fn skipped(&mut self, reason: &str) {
        // Reasons are few; should they ever carry names, the status still stays small.
        let full = self.status.skipped.len() >= 64;
        let reason = if full && !self.status.skipped.contains_key(reason) {
            "other reasons"
        } else {
            reason
        };
        *self.status.skipped.entry(reason.to_owned()).or_default() += 1;
    }

    /// An error, or its end.
    pub fn error(&mut self, error: Option<String>, now_ms: i64) {
        if error.is_some() {
            self.status.stuck_since_ms.get_or_insert(now_ms);
        } else {
            self.status.stuck_since_ms = None;
        }
        self.status.last_error = error;
    }

    /// The position that is durable.
    pub fn committed(&mut self, offset: i64, applied: CommitSeq) {
        self.status.committed_offset = offset;
        self.status.applied = applied;
    }

    /// An event was read: there may be more.
    pub fn read(&mut self, offset: i64, source_at_ms: i64) {
        self.caught_up = false;
        self.status.end_offset = self.status.end_offset.max(offset + 1);
        if source_at_ms > 0 {
            self.newest_read_at_ms = Some(source_at_ms);
        }
    }

    /// The end of the topic was read.
    pub fn end(&mut self, offset: i64) {
        self.caught_up = true;
        self.status.end_offset = self.status.end_offset.max(offset);
    }

    /// Takes over what the planner knows.
    pub fn observe(&mut self, state: &State, now_ms: i64) {
        let apply = state.apply();
        self.status.at_ms = now_ms;
        self.status.synced = true;
        self.status.resyncs_done.clone_from(&apply.resyncs_done);
        self.status.applied = apply.applied();
        self.status.lanes = lanes(apply);
        self.status.last_error = apply.last_error().map(str::to_owned);
        // What is not read yet is newer than what was read.
        let behind = self.newest_read_at_ms.filter(|_| !self.caught_up);
        self.status.oldest_pending_at_ms = apply.oldest_pending_at_ms().or(behind);
        let pending = apply.pending();
        self.status.stuck_since_ms =
            (pending > 0 && now_ms - self.moved_at_ms > 5_000).then_some(self.moved_at_ms);
        if pending == 0 {
            self.moved_at_ms = now_ms;
        }
        let (twin, action) = match state {
            State::Applying(apply) if apply.catching_up() => (
                JobState::CatchingUp,
                format!("catching up, {pending} events under way"),
            ),
            State::Applying(apply) if !apply.renewing().is_empty() => (
                JobState::Applying,
                format!(
                    "renewing {} by a snapshot, {pending} events under way",
                    apply.renewing().join(", ")
                ),
            ),
            State::Applying(_) if pending == 0 => (JobState::Applying, "following".to_owned()),
            State::Applying(_) => (JobState::Applying, format!("{pending} events under way")),
            State::Draining(_, StopReason::Asked) => (
                JobState::Applying,
                format!("stopping, {pending} events under way"),
            ),
            State::Draining(_, StopReason::Halted(text)) => (
                JobState::Applying,
                format!("finishing {pending} events, then: {text}"),
            ),
            State::Stopped(_, StopReason::Asked) => (JobState::Paused, "stopped".to_owned()),
            State::Stopped(_, StopReason::Halted(text)) => (JobState::Halted, text.clone()),
        };
        self.status.state = twin;
        self.status.action = action;
        self.status.progress = None;
    }
}

fn lanes(apply: &Apply) -> Vec<TableLane> {
    apply
        .halted()
        .iter()
        .map(|(table, halted)| TableLane {
            table: if halted.1.is_empty() {
                table.to_string()
            } else {
                halted.1.clone()
            },
            at: halted.0,
            reason: halted.2.clone(),
            since_ms: None,
        })
        .collect()
}
