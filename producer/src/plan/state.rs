//! What a stream is doing, and what wakes it.

use std::fmt;
use std::time::Duration;

use ccr_doris::{BinlogLag, BinlogPage};
use ccr_schemas::{CommitSeq, DbId, TableId, Timeline, TimestampMs};

use super::audit::{AuditRule, Recent};
use super::fingerprint::Fingerprint;
use super::following::Following;
use super::pace::PaceRule;
use super::settle::SettleRule;

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
    /// How long to wait between two questions.
    pub pace: PaceRule,
    /// Records asked for at once.
    pub batch: usize,
    /// Records that may wait for settling before reading ahead pauses.
    pub window: usize,
    /// How long source and log must contradict each other before a new timeline begins.
    pub confirm: Duration,
    /// Pause between two looks at the source's end while the stream is behind.
    pub end_interval: Duration,
}

/// What a stream is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one per stream, and it nearly always is the large one"
)]
pub enum State {
    /// Entered at every start and after the log failed: the position is read back from the log. Left by
    /// [`Input::Located`]. Does not survive a restart: it *is* the restart.
    Locating,
    /// Entered when log and source agree on a position; left by a fact that must not be guessed over. Survives a restart
    /// through the log's tail only.
    Following(Following),
    /// Entered when source and log have contradicted each other for long enough; left by [`Input::SourceEnd`]. Does not
    /// survive a restart: the contradiction is found again.
    Replacing(Replacing),
    /// Entered when the event that begins the new timeline is handed out; left by a restart of the stream, which reads it
    /// back from the log.
    Replaced,
    /// Entered when going on would mean guessing; left by a restart of the stream, which looks at both sides again.
    Halted(Contradiction),
}

/// A new timeline is about to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacing {
    /// Timeline of the log.
    pub timeline: Timeline,
    /// Last position published on it.
    pub published: CommitSeq,
    /// Why it ends.
    pub reason: Contradiction,
}

/// What the source says against the log: it does not have the history that was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// The source's newest position lies below what was published.
    Behind {
        /// Position in the log.
        published: CommitSeq,
        /// Newest position of the source.
        source_end: CommitSeq,
    },
    /// A position that was published does not exist at the source.
    Missing {
        /// The position.
        seq: CommitSeq,
    },
    /// The source has another record at a position that was published.
    Changed {
        /// The position.
        seq: CommitSeq,
    },
    /// The name belongs to another database now.
    OtherDatabase {
        /// Database of the log.
        expected: DbId,
        /// Database of the source.
        found: DbId,
    },
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behind {
                published,
                source_end,
            } => write!(
                f,
                "the log holds events up to position {published}, but the source's newest position is {source_end}"
            ),
            Self::Missing { seq } => write!(
                f,
                "the source does not have position {seq} any more, which was published"
            ),
            Self::Changed { seq } => write!(
                f,
                "the source has another record at position {seq} than the one that was published"
            ),
            Self::OtherDatabase { expected, found } => write!(
                f,
                "the log holds events of database id {expected}, but the source's database of that name has id {found}"
            ),
        }
    }
}

impl Contradiction {
    /// What it means, for people.
    pub fn meaning(&self) -> &'static str {
        match self {
            Self::Behind { .. } | Self::Missing { .. } | Self::Changed { .. } => {
                "the source cluster was restored from a backup, lost its binlog, had it switched off and on, or is another cluster"
            }
            Self::OtherDatabase { .. } => {
                "the database was dropped and created again, or the source is another cluster"
            }
        }
    }
}

/// A record that is missing, until it is known whether the source's retention removed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspicion {
    /// The position.
    pub seq: CommitSeq,
    /// A table whose own stream had the record.
    pub table: Option<TableId>,
    /// What it means when retention does not explain it.
    pub reason: Contradiction,
    /// The pass ended with it: the next one follows the answer.
    pub ends_pass: bool,
}

/// What a closer look at a missing record found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is there.
    Present,
    /// The source's retention removed it.
    Removed,
    /// Nothing explains why it is missing.
    Unexplained,
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
    /// When.
    pub at: Moment,
    /// Since when, by the monotonic clock, earlier starts have found source and log to contradict each other.
    pub doubt: Option<Duration>,
}

/// Where the events topic ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEnd {
    /// Timeline of the last event.
    pub timeline: Timeline,
    /// Last position published, or the position of the last own event.
    pub position: CommitSeq,
    /// Database of that event.
    pub db_id: DbId,
    /// What identifies the record at the position; `None` when the log does not say.
    pub print: Option<Fingerprint>,
    /// What was published up to it.
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
        /// When it came.
        at: Moment,
    },
    /// The source's newest position was asked for; `None` when it has no stream.
    SourceEnd {
        /// The answer.
        end: Option<BinlogLag>,
        /// When it came.
        at: Moment,
    },
    /// A missing record was looked for.
    RetentionChecked {
        /// Which.
        suspicion: Suspicion,
        /// What was found.
        finding: Finding,
        /// When the answer came.
        at: Moment,
    },
}
