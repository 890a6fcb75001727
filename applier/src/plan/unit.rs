//! An event with work, and how far it is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use ccr_schemas::event::RowsetsCommitted;
use ccr_schemas::{CommitSeq, EventKind, PartitionId, TableId, TimestampMs, TxnId};

use crate::plan::action::{Begun, Held};
use crate::plan::checkpoint::{Floor, PairFound};
use crate::plan::ddl::Ddl;
use crate::plan::mapping::IngestPlan;
use crate::plan::patience::Failing;
use crate::plan::verify::{Claim, Verifying};

/// An event with work, until it is done.
#[derive(Clone, Debug)]
pub struct Unit {
    pub(crate) seq: CommitSeq,
    pub(crate) kind: EventKind,
    pub(crate) source_at: TimestampMs,
    /// Its tables, each with a lane; tables that halt meanwhile leave.
    pub(crate) tables: BTreeMap<TableId, String>,
    pub(crate) barrier: bool,
    /// May have been started by a process before this one.
    pub(crate) judge: bool,
    /// What became of its tables while a transaction of the unit was under way.
    pub(crate) redo: Redo,
    /// Partitions whose data the source has no more and a later event removes.
    pub(crate) gone: BTreeSet<PartitionId>,
    /// The source has no data of rollups that a later event drops: they are dropped first.
    pub(crate) without_rollups: bool,
    pub(crate) failures: u32,
    /// Failures of the statement or snapshot that is tried now.
    pub(crate) failing: Failing,
    pub(crate) misses: u32,
    /// Newest transaction of the destination when the begin was sent: a begun one has a larger id.
    pub(crate) newest_txn: TxnId,
    /// When the begin was sent, milliseconds since the epoch.
    pub(crate) begun_at_ms: i64,
    /// This run has sent the commit of the unit's transaction.
    pub(crate) commit_sent: bool,
    pub(crate) work: Work,
    /// Tables to be brought by snapshots after the one of `work`.
    pub(crate) later: VecDeque<Arc<Renewal>>,
}

/// What a transaction under way comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Redo {
    /// It goes on.
    No,
    /// A table halted, or a part is not needed any more: it is undone and planned again.
    Plan,
    /// A snapshot replaces a table: it is undone, and started again when its turn comes.
    Start,
}

/// What a unit does.
#[derive(Clone, Debug)]
pub enum Work {
    /// A transaction.
    Load(Arc<RowsetsCommitted>, LoadPhase),
    /// A change of shape.
    Change(Arc<Ddl>, ChangePhase),
    /// A table is re-synced by a snapshot.
    Renew(Arc<Renewal>, RenewPhase),
}

/// How far a transaction is.
#[derive(Clone, Debug)]
pub enum LoadPhase {
    /// Not started.
    Waiting,
    /// Layouts are being read; with a transaction when only its missing parts are planned again.
    Mapping(Option<(Begun, Arc<BTreeSet<Held>>)>),
    /// beginTxn under way.
    Beginning(Arc<IngestPlan>),
    /// The label's state is being asked for.
    Asking(Arc<IngestPlan>),
    /// rollbackTxn under way.
    Undoing(Arc<IngestPlan>, TxnId, Then),
    /// Ingest under way.
    Ingesting(Arc<IngestPlan>, Begun, Arc<BTreeSet<Held>>),
    /// Waits for its turn.
    Ingested(Arc<IngestPlan>, Begun, Arc<BTreeSet<Held>>),
    /// commitTxn under way.
    Committing(Arc<IngestPlan>, Begun, Arc<BTreeSet<Held>>),
    /// The label is finished, by no commit of this run: waits for its turn to be proved by the versions.
    Claimed(Arc<IngestPlan>),
    /// In its turn: the versions are read again.
    Verifying(Arc<IngestPlan>, Claim, Verifying),
    /// Waits for its turn to drop a rollup that the source has dropped since.
    Obsolete(Arc<Ddl>),
    /// Earlier transactions become visible, then that rollup is dropped.
    Settling(Arc<Ddl>),
    /// That rollup is being dropped.
    Dropping(Arc<Ddl>),
    /// Waits for its turn to halt these tables (all when empty).
    Failed(BTreeSet<TableId>, String),
    /// Waits for its turn to have its tables re-synced by snapshots instead, for this reason.
    Unfit(String),
}

/// What follows a rollback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// Begin under the same label.
    BeginAgain,
    /// Plan again: tables left.
    PlanAgain,
    /// Applied before.
    AlreadyApplied,
    /// Halt these tables (all when empty): nothing can tell whether it was applied, or the versions do not fit.
    Fail(BTreeSet<TableId>, String),
    /// Its tables are re-synced by snapshots.
    Resync(String),
}

/// How far a change is.
#[derive(Clone, Debug)]
pub enum ChangePhase {
    /// Not started. With the floor when a process before this one started it.
    Waiting(Option<Floor>),
    /// Earlier transactions become visible.
    Settling(Option<Floor>),
    /// Evidence is being read.
    Looking,
    /// Running.
    Running(Option<PairFound>),
    /// Waits for its turn to halt its tables.
    Failed(String),
}

/// A table that a snapshot of its own is to replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// Source table.
    pub table: TableId,
    /// Name at the source, as of the event.
    pub name: String,
    /// Name at the destination.
    pub dest: String,
    /// What cannot be repeated by a statement.
    pub reason: String,
    /// The name is new to the job, and no process before this one began to bring the table: what bears the name is not the
    /// job's.
    pub creates: bool,
    /// Number of the request of a person that it answers; `None` when an event needs it.
    pub request: Option<u64>,
}

/// How far a renewal is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RenewPhase {
    /// Not started, as far as this process knows.
    Waiting,
    /// Earlier transactions become visible.
    Settling,
    /// Whether the name is free is being looked at.
    Looking,
    /// The snapshot is asked for, restored and put into place.
    Running,
    /// Waits for its turn to halt its table.
    Failed(String),
}

impl Unit {
    /// A call of the unit is under way.
    pub(crate) fn in_flight(&self) -> bool {
        match &self.work {
            Work::Load(_, phase) => match phase {
                LoadPhase::Waiting
                | LoadPhase::Mapping(_)
                | LoadPhase::Ingested(..)
                | LoadPhase::Claimed(_)
                | LoadPhase::Obsolete(_)
                | LoadPhase::Failed(..)
                | LoadPhase::Unfit(_) => false,
                LoadPhase::Beginning(_)
                | LoadPhase::Asking(_)
                | LoadPhase::Undoing(..)
                | LoadPhase::Ingesting(..)
                | LoadPhase::Verifying(..)
                | LoadPhase::Settling(_)
                | LoadPhase::Dropping(_)
                | LoadPhase::Committing(..) => true,
            },
            Work::Change(_, phase) => match phase {
                ChangePhase::Waiting(_) | ChangePhase::Failed(_) => false,
                ChangePhase::Settling(_) | ChangePhase::Looking | ChangePhase::Running(_) => true,
            },
            Work::Renew(_, phase) => match phase {
                RenewPhase::Waiting | RenewPhase::Failed(_) => false,
                RenewPhase::Settling | RenewPhase::Looking | RenewPhase::Running => true,
            },
        }
    }
}
