//! What a stream is doing, and what wakes it.

use std::fmt;
use std::time::Duration;

use ccr_doris::{BinlogLag, BinlogPage, RawBinlog};
use ccr_schemas::{CommitSeq, DbId, TimestampMs};

use super::audit::{Audit, AuditRule, Recent};
use super::settle::{Pass, Settle, SettleRule};

/// A point in time by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Time since an arbitrary start; never goes back.
    pub monotonic: Duration,
    /// Milliseconds since the epoch.
    pub wall: TimestampMs,
}

/// Numbers the planner needs; constant while a stream runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// When a record may be published.
    pub settle: SettleRule,
    /// When published positions are looked at once more.
    pub audit: AuditRule,
    /// Records asked for at once.
    pub batch: usize,
    /// Records that may wait for settling before reading ahead pauses.
    pub window: usize,
}

/// What a stream is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Entered at every start and after the log failed: the position is read back from the log. Left by
    /// [`Input::Located`]. Does not survive a restart: it *is* the restart.
    Locating,
    /// Entered when log and source agree on a position; left by a fact that must not be guessed over. Survives a restart
    /// through the log's tail only.
    Following(Following),
    /// Entered when going on would mean guessing; left by a restart of the stream, which looks at both sides again.
    Halted(HaltReason),
}

/// Following the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Following {
    /// Id of the database followed.
    pub db_id: DbId,
    /// What was seen and not given out.
    pub settle: Settle,
    /// What was given out lately.
    pub audit: Audit,
    /// The reading in progress, when a page of it is on its way.
    pub pass: Option<Pass>,
}

/// Why a stream does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HaltReason {
    /// The log is further than the source ever was.
    AheadOfSource {
        /// Position in the log.
        position: CommitSeq,
        /// Newest position of the source; `None` when it has no stream.
        source_end: Option<CommitSeq>,
    },
    /// The name belongs to another database now.
    OtherDatabase {
        /// Database of the log.
        expected: DbId,
        /// Database of the source.
        found: DbId,
    },
}

impl fmt::Display for HaltReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AheadOfSource {
                position,
                source_end,
            } => {
                let end = source_end.map_or("no binlog at all".to_owned(), |end| {
                    format!("nothing after position {end}")
                });
                write!(
                    f,
                    "position ahead of source: the log holds events up to {position}, the source has {end}; the source \
                     cluster was rebuilt, lost its binlog or is another one. Point the job at the right cluster, or delete \
                     the job and create it with another topic prefix"
                )
            }
            Self::OtherDatabase { expected, found } => write!(
                f,
                "the log holds events of database id {expected}, the source's database of that name has id {found}: it was \
                 dropped and created again. Delete the jobs of this database and create them with another topic prefix"
            ),
        }
    }
}

/// What a start finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Where the log ends; `None` when it holds nothing.
    pub log: Option<LogEnd>,
    /// The source's database.
    pub db_id: DbId,
    /// The source's stream; `None` when there is none yet.
    pub stream: Option<BinlogLag>,
    /// When, by the monotonic clock.
    pub now: Duration,
}

/// Where the events topic ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEnd {
    /// Last position published, or the position of the last own event.
    pub position: CommitSeq,
    /// Database of that event.
    pub db_id: DbId,
    /// What was published before it.
    pub recent: Recent,
}

/// What woke the planner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Both ends were looked up.
    Located(Located),
    /// Time to look for records, after a wait or at once.
    Due(Moment),
    /// A page that was asked for.
    PageRead {
        /// The answer.
        page: BinlogPage,
        /// When it came.
        at: Moment,
    },
    /// A page of the look back.
    LookedBack {
        /// Position it was read after.
        after: CommitSeq,
        /// The answer.
        page: BinlogPage,
    },
    /// The source's newest position was asked for; `None` when it has no stream.
    SourceEnd(Option<BinlogLag>),
}

impl Following {
    /// True when a record belongs to another database.
    pub(super) fn foreign(&self, records: &[RawBinlog]) -> Option<HaltReason> {
        records
            .iter()
            .find(|record| record.db_id != self.db_id)
            .map(|record| HaltReason::OtherDatabase {
                expected: self.db_id,
                found: record.db_id,
            })
    }
}
