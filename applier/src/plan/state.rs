//! What the planner knows. Only [`crate::plan::step`] changes it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use ccr_control::{JobOptions, ResyncsDone, TableFilter, TableResyncs};
use ccr_schemas::{CommitSeq, PartitionId, TableId, Timeline, TimestampMs, TxnId};

use crate::plan::bearers::Bearers;
use crate::plan::checkpoint::{Checkpoint, Floor, Halted, LastCommitted};
use crate::plan::removal::Removals;
use crate::plan::slot::LayoutSlot;
use crate::plan::window::Window;

pub use crate::plan::unit::{ChangePhase, LoadPhase, Redo, RenewPhase, Renewal, Then, Unit, Work};

/// Most events with work between the committed offset and the newest one read. Doris forgets labels above 2000 finished
/// ones, so every label of the window is still known unless others write much to the same database.
pub const WINDOW: usize = 500;

/// Most events that are remembered behind a table that is being renewed.
pub const LONGEST_WINDOW: usize = 200_000;

/// State of a job that has its first snapshot behind it. Does not survive a restart: it is built again from the
/// [`Checkpoint`] and the log.
#[derive(Clone, Debug)]
pub enum State {
    /// Entered at start; applies what is read; left for `Draining` by a wish to stop or by something only a person can solve.
    Applying(Box<Apply>),
    /// Nothing more is started; left for `Stopped` when nothing is in flight.
    Draining(Box<Apply>, StopReason),
    /// Everything that was started has ended and is recorded. Never left.
    Stopped(Box<Apply>, StopReason),
}

/// Why a job stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// By wish. What was read but not started is dropped and read again later.
    Asked,
    /// Something only a person can solve, with the next step. Everything read before it is applied first.
    Halted(String),
}

/// What is fixed for a run of a job.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Destination database.
    pub database: String,
    /// Source database.
    pub source_database: String,
    /// Source table name -> destination table name.
    pub table_names: BTreeMap<String, String>,
    /// Tables followed.
    pub filter: TableFilter,
    /// Policies.
    pub options: JobOptions,
    /// Name of the job, for the commands that texts name.
    pub job: String,
    /// The job may replace tables of the destination that bear the names of its own.
    pub replaces_existing: bool,
    /// Tables that a person wants to be synced again.
    pub table_resyncs: TableResyncs,
    /// A layout older than this is read again while a load of its table is under way, milliseconds.
    pub layout_max_age_ms: i64,
}

impl Settings {
    /// Name of a source table at the destination.
    pub fn dest_name<'a>(&'a self, source: &'a str) -> &'a str {
        self.table_names.get(source).map_or(source, String::as_str)
    }
}

/// Where a job starts or goes on.
#[derive(Clone, Debug)]
pub struct Start {
    /// Next offset to read.
    pub offset: i64,
    /// What was written with it.
    pub checkpoint: Checkpoint,
    /// Positions contained in the snapshot the job started from, while they matter.
    pub covered: Covered,
    /// A process may have worked behind the offset before, up to this one (exclusive): the end of the topic when this one
    /// took over. The offset itself when nobody did.
    pub judge_end: i64,
    /// The destination still knows the label of the checkpoint's witness.
    pub labels_intact: bool,
}

/// What a snapshot contains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Covered {
    /// Events of the table up to here are in the snapshot.
    pub tables: BTreeMap<TableId, CommitSeq>,
    /// The same for everything else.
    pub rest: Option<CommitSeq>,
}

impl Covered {
    /// True when the event of the table is contained.
    pub fn contains(&self, table: TableId, seq: CommitSeq) -> bool {
        match (self.tables.get(&table).copied(), self.rest) {
            (Some(upto), _) | (None, Some(upto)) => seq <= upto,
            (None, None) => false,
        }
    }

    /// Everything up to here is contained, whatever it concerns.
    pub fn least(&self) -> Option<CommitSeq> {
        self.tables.values().copied().chain([self.rest?]).min()
    }

    /// Largest position contained.
    pub fn upto(&self) -> Option<CommitSeq> {
        self.tables.values().copied().chain(self.rest).max()
    }
}

/// Everything about applying.
#[derive(Clone, Debug)]
pub struct Apply {
    pub(crate) settings: Arc<Settings>,
    /// Last chained position read; `None` before the first.
    pub(crate) last: Option<CommitSeq>,
    /// Timeline of the events read; `None` before the first.
    pub(crate) timeline: Option<Timeline>,
    pub(crate) db_id: Option<i64>,
    pub(crate) base: Option<i64>,
    pub(crate) covered: Covered,
    pub(crate) window: Window,
    pub(crate) units: BTreeMap<CommitSeq, Unit>,
    /// Units that are not started, in order.
    pub(crate) waiting: BTreeSet<CommitSeq>,
    pub(crate) lanes: BTreeMap<TableId, Lane>,
    pub(crate) barriers: BTreeSet<CommitSeq>,
    pub(crate) layouts: BTreeMap<TableId, LayoutSlot>,
    pub(crate) floors: BTreeMap<TableId, Floor>,
    pub(crate) database_floor: Option<Floor>,
    pub(crate) halted: BTreeMap<TableId, Halted>,
    /// Newest event of each table that is done and not passed by the offset; all before it are done.
    pub(crate) done_upto: BTreeMap<TableId, CommitSeq>,
    /// Positions contained in the snapshot that replaced a table.
    pub(crate) renewed: BTreeMap<TableId, CommitSeq>,
    /// Tables that were re-synced because a transaction did not fit them, and to which none was applied since.
    pub(crate) unfit: BTreeSet<TableId>,
    /// Requests to sync single tables again that are done, well or not.
    pub(crate) resyncs_done: ResyncsDone,
    /// First offset that this run reads.
    pub(crate) first_offset: i64,
    /// Halted tables that an event of this position re-syncs under a new name: what follows it is queued again.
    pub(crate) returning: BTreeMap<TableId, CommitSeq>,
    pub(crate) witness: Option<CommitSeq>,
    /// Last transaction known to be finished, with its place in the order in which that was learned.
    pub(crate) last_finished: (u64, Option<CommitSeq>),
    /// What was last finished when the commit of a unit, not yet passed by the offset, was sent.
    pub(crate) issued: BTreeMap<CommitSeq, (u64, Option<CommitSeq>)>,
    pub(crate) labels_intact: bool,
    /// Events that may have been started before a crash, still to be read.
    pub(crate) judge_left: usize,
    /// Nothing at or behind this offset was started before.
    pub(crate) judge_end: i64,
    /// Tables behind a change that was not yet executed when the process before ended: nothing to judge any more.
    pub(crate) judged: BTreeSet<TableId>,
    pub(crate) judged_all: bool,
    /// Which source table bears which name.
    pub(crate) bearers: Bearers,
    /// What events read since remove.
    pub(crate) removals: Removals,
    pub(crate) window_versions: BTreeMap<PartitionId, BTreeSet<i64>>,
    /// Events that are not taken yet are being looked through.
    pub(crate) looking_ahead: bool,
    /// Loads between begin and commit.
    pub(crate) active: usize,
    /// Units whose turn may have come.
    pub(crate) touched: BTreeSet<CommitSeq>,
    pub(crate) recorded: (i64, CommitSeq),
    pub(crate) now_ms: i64,
    /// Nothing more is read; set by what only a person can solve.
    pub(crate) halt: Option<String>,
    /// The job halts because of a defect of this program: what was started ends, nothing else is applied first.
    pub(crate) is_violated: bool,
    /// When the source made the event that halts the job.
    pub(crate) halt_source_at: Option<TimestampMs>,
    pub(crate) last_error: Option<String>,
    /// Source tables of which a person accepted a loss: the distance of their versions is learned, not demanded.
    /// [`crate::plan::checkpoint::EVERY_TABLE`] stands for all.
    pub(crate) adrift: BTreeSet<TableId>,
    /// The transaction that was committed last.
    pub(crate) last_committed: Option<LastCommitted>,
    /// Largest id of a transaction that the destination gave.
    pub(crate) newest_txn: TxnId,
    /// The destination is being asked whether it remembers `last_committed`.
    pub(crate) asking_memory: bool,
    /// Why the job stands for good; durable, ended by a resync.
    pub(crate) contradiction: Option<String>,
    /// Number of the newest check of versions.
    pub(crate) checks: u64,
}

/// The ordered events of one table that are not done.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    /// All, in order.
    pub(crate) queue: VecDeque<CommitSeq>,
    /// Those not started; a change stays here until it is done, so that nothing overtakes it.
    pub(crate) unstarted: VecDeque<CommitSeq>,
    /// Committed transactions that were not visible when they were answered.
    pub(crate) unseen: Vec<TxnId>,
}

impl Apply {
    /// Builds the state from what was committed.
    pub fn new(settings: Arc<Settings>, start: Start) -> Self {
        let Start {
            offset,
            checkpoint,
            covered,
            judge_end,
            labels_intact,
        } = start;
        let last = Some(checkpoint.seq).filter(|seq| *seq != CommitSeq::BEFORE_FIRST);
        let mut apply = Self {
            settings,
            last,
            timeline: None,
            db_id: checkpoint.db,
            base: checkpoint.base,
            covered,
            window: Window::new(offset, checkpoint.seq),
            units: BTreeMap::new(),
            waiting: BTreeSet::new(),
            lanes: BTreeMap::new(),
            barriers: BTreeSet::new(),
            layouts: BTreeMap::new(),
            floors: checkpoint.floors,
            database_floor: checkpoint.database,
            halted: checkpoint.halted,
            done_upto: BTreeMap::new(),
            renewed: checkpoint.renewed,
            unfit: BTreeSet::new(),
            resyncs_done: checkpoint.resyncs_done,
            first_offset: offset,
            returning: BTreeMap::new(),
            witness: checkpoint.witness,
            last_finished: (0, checkpoint.witness),
            issued: BTreeMap::new(),
            labels_intact,
            judge_left: 2 * WINDOW,
            judge_end,
            judged: BTreeSet::new(),
            judged_all: false,
            bearers: Bearers::default(),
            removals: Removals::default(),
            window_versions: BTreeMap::new(),
            looking_ahead: false,
            active: 0,
            touched: BTreeSet::new(),
            recorded: (offset, checkpoint.seq),
            now_ms: checkpoint.t,
            halt: None,
            is_violated: false,
            halt_source_at: None,
            last_error: None,
            adrift: checkpoint.adrift,
            last_committed: checkpoint.last_committed,
            newest_txn: checkpoint.last_committed.map_or(TxnId(0), |last| last.1),
            asking_memory: false,
            contradiction: checkpoint.contradiction,
            checks: 0,
        };
        apply.resync_wanted_tables(checkpoint.seq);
        apply
    }

    /// More can be read.
    pub fn wants_more(&self) -> bool {
        self.halt.is_none() && self.window.open_len() < WINDOW && self.window.len() < LONGEST_WINDOW
    }

    /// Position up to which everything is applied or stands in a halted table.
    pub fn applied(&self) -> CommitSeq {
        self.window.committable().1
    }

    /// Tables that stand.
    pub fn halted(&self) -> &BTreeMap<TableId, Halted> {
        &self.halted
    }

    /// Still inside the span where tables stand at different positions after a snapshot.
    pub fn catching_up(&self) -> bool {
        match (self.covered.upto(), self.last) {
            (Some(upto), Some(last)) => last < upto,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    /// Events read and not done.
    pub fn pending(&self) -> usize {
        self.units.len()
    }

    /// When the source made the oldest event that was read and is not applied, milliseconds since the epoch.
    pub fn oldest_pending_at_ms(&self) -> Option<i64> {
        let mut pending = self.units.values().map(|unit| unit.source_at);
        // No event makes a table be synced again because a person asks for it.
        let first = pending.find(|at| at.0 > 0).map(|at| at.0);
        first.or(self.halt_source_at.map(|at| at.0).filter(|at| *at > 0))
    }

    /// Calls under way.
    pub fn in_flight(&self) -> usize {
        self.units.values().filter(|unit| unit.in_flight()).count()
    }

    /// Returns whether nothing is under way that is worth waiting for: a table that is being brought by a snapshot is brought by
    /// a new attempt anyway, and its attempt may take hours.
    pub(crate) fn is_interruptible(&self) -> bool {
        let brought = |unit: &Unit| matches!(unit.work, Work::Renew(_, RenewPhase::Running));
        !self
            .units
            .values()
            .any(|unit| unit.in_flight() && !brought(unit))
    }

    /// Last failure of a call that is being repeated.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// Offset and metadata as they may be committed now.
    pub(crate) fn checkpoint(&mut self) -> (i64, Checkpoint) {
        let (offset, seq) = self.window.committable();
        self.removals.forget(seq);
        self.issued.retain(|done, _| *done > seq);
        if offset >= self.judge_end {
            let oldest = self.issued.values().min_by_key(|(order, _)| *order);
            self.witness = oldest.unwrap_or(&self.last_finished).1;
        }
        self.floors.retain(|_, floor| floor.at > seq);
        self.renewed.retain(|_, upto| *upto > seq);
        self.done_upto.retain(|_, upto| *upto > seq);
        if self.database_floor.is_some_and(|floor| floor.at <= seq) {
            self.database_floor = None;
        }
        if self.covered.upto().is_some_and(|upto| upto < seq) {
            self.base = None;
            self.covered = Covered::default();
        }
        let checkpoint = Checkpoint {
            t: self.now_ms,
            db: self.db_id,
            base: self.base,
            witness: self.witness,
            database: self.database_floor,
            floors: self.floors.clone(),
            halted: self.halted.clone(),
            renewed: self.renewed.clone(),
            resyncs_done: self.resyncs_done.clone(),
            adrift: self.adrift.clone(),
            last_committed: self.last_committed,
            contradiction: self.contradiction.clone(),
            ..Checkpoint::at(seq)
        };
        (offset, checkpoint)
    }

    pub(crate) fn is_head(&self, unit: &Unit) -> bool {
        unit.tables.keys().all(|table| {
            self.lanes
                .get(table)
                .is_none_or(|lane| lane.queue.front() == Some(&unit.seq))
        }) && (!unit.barrier || self.units.keys().next() == Some(&unit.seq))
    }
}
