//! What must hold, as pure predicates. Tests, simulation and production ask the same functions.

use thiserror::Error;

use crate::envelope::Envelope;
use crate::id::CommitSeq;

/// A broken promise, by name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    /// The chain has a hole: the event names another predecessor than the last one read.
    #[error(
        "chain broken: event {commit_seq} follows {prev_commit_seq}, but the last event read is {last}; \
         the log lost events or belongs to another stream"
    )]
    ChainBroken {
        /// Position last read.
        last: CommitSeq,
        /// Position of the offending event.
        commit_seq: CommitSeq,
        /// Predecessor it names.
        prev_commit_seq: CommitSeq,
    },
    /// The event belongs to another database that once had, or now has, the same name.
    #[error(
        "event {commit_seq} belongs to database id {found}, this job follows database id {expected}"
    )]
    WrongDatabase {
        /// Database the job follows.
        expected: i64,
        /// Database of the event.
        found: i64,
        /// Position of the offending event.
        commit_seq: CommitSeq,
    },
}

/// What a reader must do with the next chained event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It follows the last one read.
    Next,
    /// It was read before (a producer wrote it twice).
    Repeat,
    /// It stands outside the chain.
    Outside,
}

/// `LogChained`: each envelope names the commit seq before its own; what is not above the last position is a repeat.
///
/// # Errors
/// [`Violation::ChainBroken`] when events are missing between `last` and the envelope.
pub fn link(last: CommitSeq, envelope: &Envelope) -> Result<Link, Violation> {
    if !envelope.event.is_chained() {
        return Ok(Link::Outside);
    }
    if envelope.commit_seq <= last {
        return Ok(Link::Repeat);
    }
    if envelope.prev_commit_seq > last {
        return Err(Violation::ChainBroken {
            last,
            commit_seq: envelope.commit_seq,
            prev_commit_seq: envelope.prev_commit_seq,
        });
    }
    Ok(Link::Next)
}
