//! Which snapshot answers which request. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use ccr_log::Offset;
use ccr_schemas::event::SnapshotTaken;
use ccr_schemas::{CommitSeq, TimestampMs};

/// A request that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Offset in the control topic.
    pub offset: Offset,
    /// Its id.
    pub id: String,
    /// Tables wanted; empty means the whole database.
    pub tables: BTreeSet<String>,
    /// Position that the tables must have reached; -1 for any.
    pub not_before: i64,
    /// When it came, by the monotonic clock.
    pub asked_at: Duration,
    /// It failed and is tried again at this moment.
    pub retry_at: Option<Duration>,
    /// Times it failed.
    pub failures: u32,
}

/// What is backed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    Database,
    /// These tables and views.
    Tables(BTreeSet<String>),
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing to do until a request comes.
    Idle,
    /// Nothing to do before this moment.
    WaitUntil(Duration),
    /// Announce a snapshot again.
    Reuse {
        /// Which, by its place in the list.
        snapshot: usize,
        /// Requests it answers.
        requests: Vec<String>,
    },
    /// Take a new one.
    Take {
        /// Of what.
        scope: Scope,
        /// Requests it will answer.
        requests: Vec<String>,
    },
}

/// A snapshot that was announced.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The snapshot, as announced last.
    pub snapshot: SnapshotTaken,
    /// When it was announced first.
    pub taken_at: TimestampMs,
    /// Requests it was announced for, ever.
    pub given: BTreeSet<String>,
}

impl Kept {
    /// True when the same job had it for an earlier request: then it could not use it, and needs another.
    fn refused_by(&self, request: &Request) -> bool {
        self.given
            .iter()
            .any(|id| *id != request.id && requester(id) == requester(&request.id))
    }
}

/// A request's id without its number: `<job>.<incarnation>`.
fn requester(id: &str) -> &str {
    id.rsplit_once('.').map_or(id, |(requester, _)| requester)
}

/// Bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Oldest snapshot that is announced again.
    pub reuse: Duration,
    /// Min time before it expires.
    pub margin: Duration,
    /// How long the first request waits for others.
    pub coalesce: Duration,
}

/// The present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Present {
    /// Monotonic clock.
    pub monotonic: Duration,
    /// Wall clock.
    pub wall: TimestampMs,
    /// Oldest offset that the events topic still has.
    pub oldest_event: i64,
    /// Oldest offset that the snapshots topic still has.
    pub oldest_chunk: i64,
    /// Newest position of which the log does not have the history: whoever reads on from a snapshot before it halts there.
    pub lost_up_to: CommitSeq,
}

/// Decides. `kept` is oldest first.
pub fn decide(requests: &[Request], kept: &[Kept], bounds: &Bounds, now: &Present) -> Decision {
    let due: Vec<&Request> = requests
        .iter()
        .filter(|request| request.retry_at.is_none_or(|at| at <= now.monotonic))
        .collect();
    let Some(first) = due.iter().map(|request| request.asked_at).min() else {
        return match requests.iter().filter_map(|request| request.retry_at).min() {
            Some(at) => Decision::WaitUntil(at),
            None => Decision::Idle,
        };
    };
    // The newest snapshot that answers anything answers all it can.
    for (place, known) in kept.iter().enumerate().rev() {
        if !usable(known, bounds, now) {
            continue;
        }
        let answered: Vec<String> = due
            .iter()
            .filter(|request| answers(&known.snapshot, request) && !known.refused_by(request))
            .map(|request| request.id.clone())
            .collect();
        if !answered.is_empty() {
            return Decision::Reuse {
                snapshot: place,
                requests: answered,
            };
        }
    }
    let together = first + bounds.coalesce;
    if now.monotonic < together {
        return Decision::WaitUntil(together);
    }
    // What failed before is tried by itself, behind what did not.
    let fresh: Vec<&Request> = due.iter().copied().filter(|r| r.failures == 0).collect();
    let due = if fresh.is_empty() {
        due.into_iter()
            .min_by_key(|r| r.retry_at)
            .into_iter()
            .collect()
    } else {
        fresh
    };
    let scope = if due.iter().any(|request| request.tables.is_empty()) {
        Scope::Database
    } else {
        Scope::Tables(
            due.iter()
                .flat_map(|request| request.tables.clone())
                .collect(),
        )
    };
    Decision::Take {
        scope,
        requests: due.iter().map(|request| request.id.clone()).collect(),
    }
}

fn usable(known: &Kept, bounds: &Bounds, now: &Present) -> bool {
    let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let snapshot = &known.snapshot;
    now.wall.0.saturating_sub(known.taken_at.0) < ms(bounds.reuse)
        && now.wall.0.saturating_add(ms(bounds.margin)) < snapshot.expires_at.0
        && snapshot.resume_offset >= now.oldest_event
        && snapshot.chunks_offset >= now.oldest_chunk
        && snapshot
            .tables
            .iter()
            .map(|table| table.commit_seq)
            .chain([snapshot.commit_seq])
            .all(|position| position >= now.lost_up_to)
}

/// True when a snapshot has all that a request wants, at its position or later. Of views no position is known; the
/// database's own counts.
pub fn answers(snapshot: &SnapshotTaken, request: &Request) -> bool {
    let reached = |position: i64| position >= request.not_before;
    if request.tables.is_empty() {
        return snapshot.whole_database
            && reached(snapshot.commit_seq.0)
            && snapshot.tables.iter().all(|t| reached(t.commit_seq.0));
    }
    request.tables.iter().all(|wanted| {
        let table = snapshot.tables.iter().find(|t| t.table.name == *wanted);
        match table {
            Some(table) => reached(table.commit_seq.0),
            None => {
                snapshot.views.iter().any(|view| view.name == *wanted)
                    && reached(snapshot.commit_seq.0)
            }
        }
    })
}

#[cfg(test)]
#[path = "plan_test.rs"]
mod tests;
