//! What the planner wants done. The actions of a step are performed in order; [`Action::Record`] is durable before the
//! ones after it start. All others run side by side, each answered by one [`crate::plan::Input::Performed`].

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use ccr_doris::error::Refusal;
use ccr_doris::{BeginOutcome, CommitOutcome, RollbackOutcome, TxnState};
use ccr_ops::ErrorKind;
use ccr_schemas::event::RowsetsCommitted;
use ccr_schemas::{BackendId, CommitSeq, EventKind, TableId, TabletId, TimestampMs, TxnId};

use crate::plan::checkpoint::{Checkpoint, LastCommitted, PairFound};
use crate::plan::ddl::Ddl;
use crate::plan::mapping::{Dest, IngestPlan, Layout};
use crate::plan::state::Renewal;

/// A destination replica that holds its part: sub-transaction position (0 without), tablet, backend.
pub type Held = (usize, Dest<TabletId>, Dest<BackendId>);

/// A begun destination transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Its id.
    pub txn: TxnId,
    /// Sub-transactions by position; empty for an ordinary transaction.
    pub sub_txns: Vec<TxnId>,
}

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Action {
    /// Reads a destination table's partitions and tablets. Changes nothing.
    ReadLayout {
        /// Source table that it is read for.
        table: TableId,
        /// Destination name.
        name: String,
        /// Failures so far: wait accordingly.
        failures: u32,
    },
    /// Looks through the events from an offset on for what they remove. Changes nothing.
    LookAhead {
        /// First offset.
        from: i64,
        /// Failures so far.
        failures: u32,
    },
    /// Reads the versions of a table again, after a transaction is visible. Changes nothing.
    CheckVersions {
        /// Source table that it is read for.
        table: TableId,
        /// Number of the check.
        check: u64,
        /// Destination name.
        name: String,
        /// The newest transaction of the table that this run committed and has not seen visible.
        after: Option<TxnId>,
    },
    /// Waits, within a bound, until no transaction of the job is committed and not visible, whoever committed it. Changes
    /// nothing.
    AwaitSettled {
        /// Event that waits.
        seq: CommitSeq,
        /// Failures so far.
        failures: u32,
    },
    /// Asks whether the destination remembers the transaction that was committed last. Changes nothing.
    AskMemory {
        /// The transaction.
        last: LastCommitted,
        /// Failures so far.
        failures: u32,
    },
    /// Begins a transaction under the event's label. Safe to repeat: the label can be held only once.
    BeginTxn {
        /// Event.
        seq: CommitSeq,
        /// What will be ingested.
        plan: Arc<IngestPlan>,
        /// Failures so far.
        failures: u32,
    },
    /// Rolls a transaction back. Safe to repeat.
    RollbackTxn {
        /// Event.
        seq: CommitSeq,
        /// Destination transaction.
        txn: TxnId,
        /// Why, for the destination's records.
        reason: &'static str,
        /// Failures so far.
        failures: u32,
    },
    /// Asks for the state of the event's label. Changes nothing.
    AskLabel {
        /// Event.
        seq: CommitSeq,
        /// Failures so far.
        failures: u32,
    },
    /// Ingests what is not held yet. Safe to repeat one after the other.
    IngestTablets {
        /// Event.
        seq: CommitSeq,
        /// Transaction.
        begun: Begun,
        /// All of it.
        plan: Arc<IngestPlan>,
        /// Source of addresses.
        event: Arc<RowsetsCommitted>,
        /// Already held.
        held: Arc<BTreeSet<Held>>,
        /// Failures so far.
        failures: u32,
    },
    /// Commits. Safe to repeat: a committed transaction answers that it is.
    CommitTxn {
        /// Event.
        seq: CommitSeq,
        /// Transaction.
        begun: Begun,
        /// Names the destination tables of sub-transactions.
        plan: Arc<IngestPlan>,
        /// Replicas that hold the data.
        held: Arc<BTreeSet<Held>>,
        /// Failures so far.
        failures: u32,
    },
    /// Waits, within a bound, until committed transactions are visible. Changes nothing.
    AwaitVisible {
        /// Event that waits.
        seq: CommitSeq,
        /// Transactions.
        txns: Vec<TxnId>,
        /// Failures so far.
        failures: u32,
    },
    /// Reads what the shape afterwards would not tell: which tables of an exchange are there, and whether the name of a new
    /// object is free. Changes nothing.
    ReadEvidence {
        /// Event.
        seq: CommitSeq,
        /// Change.
        ddl: Arc<Ddl>,
        /// Failures so far.
        failures: u32,
    },
    /// Runs statements. Requires a durable `Started` floor. Repeated only with `replay`, which looks at the object first.
    RunDdl {
        /// Event.
        seq: CommitSeq,
        /// Change.
        ddl: Arc<Ddl>,
        /// It may have been started before: look before running it.
        replay: bool,
        /// Evidence read before it was first started.
        evidence: Option<PairFound>,
        /// Failures so far.
        failures: u32,
    },
    /// Asks for a snapshot of one table, restores it aside and puts it into the table's place. Safe to repeat as a whole
    /// while nothing behind the event is applied to the table: each repetition takes a newer snapshot.
    RenewTable {
        /// Event.
        seq: CommitSeq,
        /// Table.
        renewal: Arc<Renewal>,
        /// Offset behind the event: the table may be dropped or renamed from there on.
        from: i64,
        /// Failures so far.
        failures: u32,
    },
    /// Makes offset and metadata durable before anything that follows.
    Record {
        /// Next offset to read.
        offset: i64,
        /// Metadata.
        checkpoint: Box<Checkpoint>,
    },
    /// An event took effect (now, or provably before). Counted.
    Applied {
        /// Event.
        seq: CommitSeq,
        /// Its kind.
        kind: EventKind,
        /// When the source did it.
        source_at: TimestampMs,
        /// Proved rather than done.
        before: bool,
    },
    /// An event, or a part of it, is left out. Counted and shown.
    Skip {
        /// Event.
        seq: CommitSeq,
        /// Why.
        reason: String,
    },
    /// An invariant of this program does not hold: the job stops. Counted and logged.
    Violation {
        /// What does not hold, with the next step.
        text: String,
    },
    /// A table is halted from here on. Shown.
    HaltTable {
        /// Table.
        table: TableId,
        /// First event that is not applied to it.
        seq: CommitSeq,
        /// Why, with the next step.
        reason: String,
    },
}

/// What a performed action came to.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// [`Action::BeginTxn`].
    Begin(BeginOutcome),
    /// [`Action::RollbackTxn`].
    Rollback(RollbackOutcome),
    /// [`Action::AskLabel`].
    Label(TxnState, Option<TxnId>),
    /// [`Action::IngestTablets`]: everything needed is held.
    Ingested(BTreeSet<Held>),
    /// [`Action::IngestTablets`]: some could not be ingested.
    IngestIncomplete {
        /// Held so far.
        held: BTreeSet<Held>,
        /// A destination tablet is not where the layout says.
        tablet_missing: bool,
        /// A call's answer was lost and it may still run: only another transaction is safe.
        restart: bool,
        /// The first reason.
        text: String,
    },
    /// [`Action::CommitTxn`].
    Commit(CommitOutcome),
    /// [`Action::AwaitVisible`].
    Visible,
    /// [`Action::ReadEvidence`].
    Evidence(Option<PairFound>),
    /// [`Action::ReadEvidence`]: the name of the object to create is taken by one of unknown content.
    NameTaken,
    /// [`Action::RunDdl`]: not run, the table that it changes is not at the destination.
    TableAbsent,
    /// [`Action::RunDdl`]: in effect.
    DdlInEffect {
        /// It was in effect before a statement was run.
        before: bool,
    },
    /// [`Action::RenewTable`]: the snapshot is in place.
    Renewed {
        /// Events of the table up to here are in it.
        upto: CommitSeq,
    },
    /// [`Action::RenewTable`]: an event at this position drops the table at the source, there is nothing to bring.
    DroppedAtSource {
        /// Position of the drop.
        at: CommitSeq,
    },
    /// The call failed.
    Failed(Failure),
}

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What to do about it.
    pub kind: ErrorKind,
    /// The server's meaning, when it refused.
    pub refusal: Option<Refusal>,
    /// For people.
    pub text: String,
}

/// What the destination remembers of the transaction that the job committed last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Memory {
    /// It remembers it.
    Intact,
    /// It remembers neither it nor an older one of the job: labels are forgotten in time.
    Silent,
    /// It remembers an older one only, which is forgotten first: it went back to an older state. With what was found.
    WentBack(String),
    /// The call failed.
    Failed(Failure),
}

/// What a layout read came to.
#[derive(Clone, Debug)]
pub enum LayoutRead {
    /// As it is.
    Found(Arc<Layout>),
    /// No such table.
    Missing,
    /// The call failed.
    Failed(Failure),
}

impl Action {
    /// Name of the kind of action, for metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ReadLayout { .. } => "read_layout",
            Self::LookAhead { .. } => "look_ahead",
            Self::CheckVersions { .. } => "check_versions",
            Self::AwaitSettled { .. } => "await_settled",
            Self::AskMemory { .. } => "ask_memory",
            Self::BeginTxn { .. } => "begin_txn",
            Self::RollbackTxn { .. } => "rollback_txn",
            Self::AskLabel { .. } => "ask_label",
            Self::IngestTablets { .. } => "ingest_tablets",
            Self::CommitTxn { .. } => "commit_txn",
            Self::AwaitVisible { .. } => "await_visible",
            Self::ReadEvidence { .. } => "read_evidence",
            Self::RunDdl { .. } => "run_ddl",
            Self::RenewTable { .. } => "renew_table",
            Self::Record { .. } => "record",
            Self::Applied { .. } => "applied",
            Self::Skip { .. } => "skip",
            Self::HaltTable { .. } => "halt_table",
            Self::Violation { .. } => "violation",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadLayout { name, .. } => write!(f, "ReadLayout {name}"),
            Self::LookAhead { from, .. } => write!(f, "LookAhead @{from}"),
            Self::CheckVersions { name, .. } => write!(f, "CheckVersions {name}"),
            Self::AwaitSettled { seq, .. } => write!(f, "AwaitSettled {seq}"),
            Self::AskMemory { last, .. } => write!(f, "AskMemory {} txn {}", last.0, last.1),
            Self::BeginTxn { seq, .. } => write!(f, "BeginTxn {seq}"),
            Self::RollbackTxn {
                seq, txn, reason, ..
            } => {
                write!(f, "RollbackTxn {seq} txn {txn} ({reason})")
            }
            Self::AskLabel { seq, .. } => write!(f, "AskLabel {seq}"),
            Self::IngestTablets {
                seq, plan, held, ..
            } => {
                let tablets: usize = plan.parts.iter().map(|p| p.tablets.len()).sum();
                write!(f, "IngestTablets {seq} x{tablets}")?;
                if held.is_empty() {
                    Ok(())
                } else {
                    write!(f, " without {}", held.len())
                }
            }
            Self::CommitTxn { seq, begun, .. } => write!(f, "CommitTxn {seq} txn {}", begun.txn),
            Self::AwaitVisible { seq, txns, .. } => write!(f, "AwaitVisible {seq} x{}", txns.len()),
            Self::ReadEvidence { seq, .. } => write!(f, "ReadEvidence {seq}"),
            Self::RunDdl {
                seq, replay, ddl, ..
            } => {
                let how = if *replay { " again" } else { "" };
                write!(f, "RunDdl{how} {seq} ({})", ddl.what)
            }
            Self::RenewTable { seq, renewal, .. } => {
                write!(f, "RenewTable {seq} ({} as {})", renewal.name, renewal.dest)
            }
            Self::Record { offset, checkpoint } => {
                write!(f, "Record @{offset} seq {}", checkpoint.seq)?;
                for (table, floor) in &checkpoint.floors {
                    write!(f, " f{table}={}{:?}", floor.at, floor.progress)?;
                }
                if let Some(floor) = checkpoint.database {
                    write!(f, " d={}{:?}", floor.at, floor.progress)?;
                }
                for (table, halted) in &checkpoint.halted {
                    write!(f, " h{table}={}", halted.0)?;
                }
                for (table, upto) in &checkpoint.renewed {
                    write!(f, " n{table}={upto}")?;
                }
                if checkpoint.contradiction.is_some() {
                    f.write_str(" contradiction")?;
                }
                Ok(())
            }
            Self::Applied { seq, before, .. } => {
                write!(f, "Applied {seq}{}", if *before { " before" } else { "" })
            }
            Self::Skip { seq, reason } => write!(f, "Skip {seq} ({reason})"),
            Self::Violation { text } => write!(f, "Violation ({text})"),
            Self::HaltTable { table, seq, reason } => {
                write!(f, "HaltTable {table} at {seq}: {reason}")
            }
        }
    }
}
