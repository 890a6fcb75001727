//! What a stream tells about itself: kept in memory, written to the status topic by the stream's ticker.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ccr_control::{Problem, SnapshotStatus, StreamState, StreamStatus};
use ccr_schemas::CommitSeq;

use crate::context::StreamKey;

/// What a problem is about. One part of a stream that works again does not clear the problem of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Concern {
    /// The run of the stream as a whole ended.
    Run,
    /// The requests of the stream cannot be read from the log.
    Requests,
    /// The database has no binlog stream.
    Binlog,
    /// The database's binlog is switched off.
    Switch,
    /// A call to the source, by its name.
    Call(&'static str),
}

/// Facts of one stream, shared by its parts.
#[derive(Debug, Default)]
pub(crate) struct Report {
    facts: Mutex<Facts>,
}

#[derive(Clone, Debug)]
struct Facts {
    state: StreamState,
    read: CommitSeq,
    published: CommitSeq,
    source_end: CommitSeq,
    source_end_at_ms: Option<i64>,
    events: u64,
    problems: BTreeMap<Concern, Problem>,
    snapshots: Vec<SnapshotStatus>,
    lost_up_to: CommitSeq,
    action: String,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            state: StreamState::Starting,
            read: CommitSeq::BEFORE_FIRST,
            published: CommitSeq::BEFORE_FIRST,
            source_end: CommitSeq::BEFORE_FIRST,
            source_end_at_ms: None,
            events: 0,
            problems: BTreeMap::new(),
            snapshots: Vec::new(),
            lost_up_to: CommitSeq::BEFORE_FIRST,
            action: "starting".to_owned(),
        }
    }
}

impl Report {
    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Newest position seen.
    pub(crate) fn read(&self, position: CommitSeq) {
        self.facts().read = position;
    }

    /// Newest position durable in the log, and how many events that took.
    pub(crate) fn published(&self, position: CommitSeq, events: u64) {
        let mut facts = self.facts();
        facts.published = position;
        facts.events += events;
    }

    /// Newest position of the source, and when it was learned.
    pub(crate) fn source_end(&self, position: CommitSeq, at_ms: i64) {
        let mut facts = self.facts();
        facts.source_end = position;
        facts.source_end_at_ms = Some(at_ms);
    }

    /// Enters a state that is no failure. A run that follows has overcome what ended the one before.
    pub(crate) fn enter(&self, state: StreamState, action: &str) {
        let mut facts = self.facts();
        facts.state = state;
        action.clone_into(&mut facts.action);
        match state {
            StreamState::Following => {
                facts.problems.remove(&Concern::Run);
            }
            StreamState::Starting | StreamState::Retrying | StreamState::Halted => {}
        }
    }

    /// A run of the stream ended by a failure; what its parts complained of ended with it.
    pub(crate) fn failed(&self, state: StreamState, action: &str, problem: Problem) {
        let mut facts = self.facts();
        let run = facts.problems.remove(&Concern::Run);
        facts.problems.retain(|concern, _| match concern {
            Concern::Requests => true,
            Concern::Run | Concern::Binlog | Concern::Switch | Concern::Call(_) => false,
        });
        let problem = problem.continuing(run.as_ref());
        facts.problems.insert(Concern::Run, problem);
        facts.state = state;
        action.clone_into(&mut facts.action);
    }

    /// Something does not work and is tried again by the part that found it.
    pub(crate) fn trouble(&self, concern: Concern, problem: Problem) {
        let mut facts = self.facts();
        let problem = problem.continuing(facts.problems.get(&concern));
        facts.problems.insert(concern, problem);
    }

    /// It works again.
    pub(crate) fn well(&self, concern: Concern) {
        self.facts().problems.remove(&concern);
    }

    /// Snapshots that were asked for and are not announced.
    pub(crate) fn snapshots(&self, snapshots: Vec<SnapshotStatus>) {
        self.facts().snapshots = snapshots;
    }

    /// History up to a position is not in the log: a gap, or a record that the source showed too late, was published.
    pub(crate) fn lost(&self, up_to: CommitSeq) {
        let mut facts = self.facts();
        facts.lost_up_to = facts.lost_up_to.max(up_to);
    }

    /// The positions of another timeline begin: what was lost before is of no concern.
    pub(crate) fn forget_losses(&self) {
        self.facts().lost_up_to = CommitSeq::BEFORE_FIRST;
    }

    /// Returns the newest position of which the log does not have the history.
    pub(crate) fn lost_up_to(&self) -> CommitSeq {
        self.facts().lost_up_to
    }

    /// What is being done for the snapshot that is being taken.
    pub(crate) fn snapshot_action(&self, action: &str, progress: Option<(u64, u64)>) {
        let mut facts = self.facts();
        if let Some(taken) = facts.snapshots.first_mut() {
            action.clone_into(&mut taken.action);
            taken.progress = progress;
        }
    }

    /// Newest position durable in the log.
    pub(crate) fn published_position(&self) -> CommitSeq {
        self.facts().published
    }

    /// Newest position the source reported.
    pub(crate) fn source_end_position(&self) -> CommitSeq {
        self.facts().source_end
    }

    /// The record for the status topic.
    pub(crate) fn status(&self, key: &StreamKey, owner: &str, at_ms: i64) -> StreamStatus {
        let facts = self.facts().clone();
        // The oldest problem is the likeliest cause of the others.
        let problem = facts
            .problems
            .into_values()
            .min_by_key(|problem| problem.since_ms);
        let failed_snapshot = facts.snapshots.iter().find_map(|s| s.problem.as_ref());
        let last_error = problem.as_ref().or(failed_snapshot);
        let last_error = last_error.map(|problem| problem.what.clone());
        let action = match facts.snapshots.first() {
            Some(snapshot) if snapshot.next_attempt_at_ms.is_none() => {
                format!("{}, {}", facts.action, snapshot.action)
            }
            Some(_) | None => facts.action,
        };
        StreamStatus {
            source: key.source.clone(),
            database: key.database.clone(),
            read: facts.read,
            published: facts.published,
            source_end: facts.source_end,
            source_end_at_ms: facts.source_end_at_ms,
            state: facts.state,
            problem,
            snapshots: facts.snapshots,
            events_published: facts.events,
            last_error,
            action,
            at_ms,
            owner: owner.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use ccr_control::{ProblemKind, ProblemPart};

    use super::*;

    fn problem(what: &str, since_ms: i64) -> Problem {
        Problem::new(
            ProblemPart::Source,
            ProblemKind::Unreachable,
            what,
            since_ms,
        )
    }

    fn shown(report: &Report) -> Option<(String, Option<i64>)> {
        let key = StreamKey {
            source: "c1".to_owned(),
            database: "db".to_owned(),
        };
        let problem = report.status(&key, "me", 99).problem?;
        Some((problem.what, problem.since_ms))
    }

    #[test]
    fn a_part_that_works_does_not_hide_another_that_does_not() {
        let report = Report::default();
        report.trouble(Concern::Call("get_meta"), problem("meta", 10));
        report.trouble(Concern::Call("get_binlog"), problem("binlog", 20));
        report.well(Concern::Call("get_binlog"));
        assert_eq!(shown(&report), Some(("meta".to_owned(), Some(10))));
        report.trouble(Concern::Call("get_meta"), problem("meta again", 30));
        assert_eq!(shown(&report), Some(("meta again".to_owned(), Some(10))));
        report.well(Concern::Call("get_meta"));
        assert_eq!(shown(&report), None);
    }

    #[test]
    fn a_failed_run_is_shown_until_the_next_one_follows() {
        let report = Report::default();
        report.trouble(Concern::Call("get_binlog"), problem("binlog", 20));
        report.failed(StreamState::Retrying, "restarting", problem("run", 30));
        assert_eq!(shown(&report), Some(("run".to_owned(), Some(30))));
        report.enter(StreamState::Starting, "starting");
        assert_eq!(shown(&report), Some(("run".to_owned(), Some(30))));
        report.failed(StreamState::Retrying, "restarting", problem("again", 40));
        assert_eq!(shown(&report), Some(("again".to_owned(), Some(30))));
        report.enter(StreamState::Following, "following");
        assert_eq!(shown(&report), None);
    }
}
