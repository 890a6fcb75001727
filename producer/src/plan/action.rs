//! Everything a stream does to the outside.

use std::fmt;
use std::time::Duration;

use ccr_schemas::{CommitSeq, Timeline};

use super::audit::Late;
use super::settle::Settled;
use super::state::{Contradiction, Suspicion};

/// One effect. All of them are performed in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Appends the first record of an empty log, so that the chain has a start. Repeating it only adds a heartbeat.
    PublishOrigin {
        /// Where the chain starts.
        position: CommitSeq,
    },
    /// Asks the source for records after a position. Changes nothing.
    Read {
        /// Exclusive.
        after: CommitSeq,
        /// Records at most.
        max: usize,
    },
    /// Asks the source once more for records that were published. Changes nothing.
    LookBack {
        /// Exclusive.
        after: CommitSeq,
        /// Records at most.
        max: usize,
    },
    /// Asks how far the source is. Changes nothing.
    AskEnd,
    /// Asks whether the source's retention removed a record. Changes nothing.
    CheckRetention(Suspicion),
    /// Waits, then answers with `Due`. Changes nothing.
    Wait(Duration),
    /// Appends events. Repeating it creates repeats, which readers drop by position.
    Publish(Vec<Settled>),
    /// Appends the fact that the source forgot a span. Repeating it is harmless: the span is the same.
    PublishGap {
        /// Last position published before the span.
        after: CommitSeq,
        /// Last position of the span.
        up_to: CommitSeq,
    },
    /// Appends the fact that a record came after later ones were published. Repeating it is harmless: the span is the same.
    PublishLate(Late),
    /// Appends the event that begins a new timeline, and waits until it is durable. Repeating it begins another one:
    /// readers halt at the first of them and begin behind the last.
    PublishTimeline {
        /// The new timeline.
        timeline: Timeline,
        /// Position at which its chain begins.
        position: CommitSeq,
        /// Timeline that ended.
        previous: Timeline,
        /// Last position published on it.
        published: CommitSeq,
        /// Why it ended.
        reason: Contradiction,
    },
    /// Stops the stream and shows why.
    Halt {
        /// Why.
        reason: Contradiction,
        /// Since when source and log have contradicted each other, by the monotonic clock.
        since: Duration,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PublishOrigin { position } => write!(f, "PublishOrigin {position}"),
            Self::Read { after, max } => write!(f, "Read after {after} x{max}"),
            Self::LookBack { after, max } => write!(f, "LookBack after {after} x{max}"),
            Self::AskEnd => f.write_str("AskEnd"),
            Self::CheckRetention(suspicion) => write!(f, "CheckRetention {}", suspicion.seq),
            Self::Wait(pause) => write!(f, "Wait {pause:?}"),
            Self::Publish(settled) => {
                f.write_str("Publish")?;
                for item in settled {
                    write!(f, " {}", item.record.commit_seq)?;
                }
                Ok(())
            }
            Self::PublishGap { after, up_to } => write!(f, "PublishGap {after}..{up_to}"),
            Self::PublishLate(late) => write!(f, "PublishLate {}..{}", late.after, late.seq),
            Self::PublishTimeline {
                timeline,
                position,
                previous,
                published,
                ..
            } => write!(
                f,
                "PublishTimeline {previous}@{published} -> {timeline}@{position}"
            ),
            Self::Halt { reason, since } => write!(f, "Halt ({reason}) since {since:?}"),
        }
    }
}
