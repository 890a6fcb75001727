//! Everything a stream does to the outside.

use std::fmt;

use ccr_schemas::CommitSeq;

use super::audit::Late;
use super::settle::Settled;
use super::state::HaltReason;

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
        most: usize,
    },
    /// Asks the source once more for records that were published. Changes nothing.
    LookBack {
        /// Exclusive.
        after: CommitSeq,
        /// Records at most.
        most: usize,
    },
    /// Waits for the poll interval, then answers with `Due`. Changes nothing.
    Wait,
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
    /// Stops the stream and shows why.
    Halt(HaltReason),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PublishOrigin { position } => write!(f, "PublishOrigin {position}"),
            Self::Read { after, most } => write!(f, "Read after {after} x{most}"),
            Self::LookBack { after, most } => write!(f, "LookBack after {after} x{most}"),
            Self::Wait => f.write_str("Wait"),
            Self::Publish(settled) => {
                f.write_str("Publish")?;
                for item in settled {
                    write!(f, " {}", item.record.commit_seq)?;
                }
                Ok(())
            }
            Self::PublishGap { after, up_to } => write!(f, "PublishGap {after}..{up_to}"),
            Self::PublishLate(late) => write!(f, "PublishLate {}..{}", late.after, late.seq),
            Self::Halt(reason) => write!(f, "Halt ({reason})"),
        }
    }
}
