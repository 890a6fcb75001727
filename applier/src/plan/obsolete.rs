//! Rollups that the source drops while transactions that wrote them wait: their data goes at once, so they are dropped at the
//! destination before the first transaction that cannot have it, and the event that drops them finds them gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use ccr_doris::ddl::{self as sql, ObjectName};
use ccr_ops::ErrorKind;
use ccr_schemas::event::RowsetsCommitted;
use ccr_schemas::{CommitSeq, TxnId};

use crate::plan::ddl::{Before, Ddl, Effect};
use crate::plan::mapping::Later;
use crate::plan::removal::RollupChange;
use crate::plan::state::{Apply, LoadPhase, Then, Unit, Work};
use crate::plan::{Action, Failure};

/// How often the statement is tried when the destination refuses it.
const MOST_REFUSALS: u32 = 8;

impl Apply {
    /// What happens to the rollups of the transaction's tables after it.
    pub(super) fn later(
        &self,
        seq: CommitSeq,
        event: &RowsetsCommitted,
        without_dropped: bool,
    ) -> Later {
        let ids = event.tables.iter().map(|rowsets| rowsets.table.id);
        let changes: BTreeMap<_, _> = ids
            .map(|table| (table, self.removals.rollups_after(table, seq)))
            .collect();
        Later {
            changes,
            without_dropped,
        }
    }

    /// An event behind the transaction drops a rollup that it wrote.
    pub(super) fn drops_rollups(&self, seq: CommitSeq, event: &RowsetsCommitted) -> bool {
        let later = self.later(seq, event, false).changes;
        let mut dropped = later.values().flatten().filter_map(|change| match change {
            RollupChange::Dropped { id, .. } => Some(*id),
            RollupChange::Renamed { .. } => None,
        });
        dropped.any(|dropped| {
            let partitions = event.tables.iter().flat_map(|rowsets| &rowsets.partitions);
            let mut indexes = partitions.flat_map(|partition| &partition.indexes);
            indexes.any(|index| index.index_id == dropped)
        })
    }

    /// The transaction waits for its turn to drop the rollup, without a transaction of its own at the destination.
    pub(super) fn obsolete(
        &mut self,
        seq: CommitSeq,
        txn: Option<TxnId>,
        table: &str,
        rollup: &str,
        actions: &mut Vec<Action>,
    ) {
        let Some(mut unit) = self.units.remove(&seq) else {
            return;
        };
        if let Some(txn) = txn {
            self.undo(unit, Arc::default(), txn, Then::PlanAgain, actions);
            return;
        }
        let drop = Ddl {
            statements: vec![sql::drop_rollup(ObjectName::bare(table), rollup)],
            before: Before::MayBeInEffect,
            effect: Effect::RollupGone {
                table: table.to_owned(),
                name: rollup.to_owned(),
            },
            needs: Some(table.to_owned()),
            ..Ddl::nothing(&format!("drop rollup {rollup} of {table}"))
        };
        if let Work::Load(_, phase) = &mut unit.work {
            *phase = LoadPhase::Obsolete(Arc::new(drop));
        }
        self.units.insert(seq, unit);
        self.touched.insert(seq);
    }

    /// It is the transaction's turn in all its lanes.
    pub(super) fn drop_obsolete(
        &mut self,
        seq: CommitSeq,
        ddl: Arc<Ddl>,
        actions: &mut Vec<Action>,
    ) {
        let Some(unit) = self.units.remove(&seq) else {
            return;
        };
        let Work::Load(event, _) = &unit.work else {
            self.units.insert(seq, unit);
            return;
        };
        let event = event.clone();
        let txns = self.unseen(&unit);
        if txns.is_empty() {
            self.run_obsolete(unit, event, ddl, actions);
            return;
        }
        self.units.insert(seq, unit);
        self.set_load_phase(seq, LoadPhase::Settling(ddl));
        actions.push(Action::AwaitVisible {
            seq,
            txns,
            failures: 0,
        });
    }

    pub(super) fn run_obsolete(
        &mut self,
        mut unit: Unit,
        event: Arc<RowsetsCommitted>,
        ddl: Arc<Ddl>,
        actions: &mut Vec<Action>,
    ) {
        let (seq, failures) = (unit.seq, unit.failures);
        unit.work = Work::Load(event, LoadPhase::Dropping(ddl.clone()));
        self.units.insert(seq, unit);
        actions.push(Action::RunDdl {
            seq,
            ddl,
            replay: true,
            evidence: None,
            failures,
        });
    }

    pub(super) fn obsolete_failed(
        &mut self,
        mut unit: Unit,
        event: Arc<RowsetsCommitted>,
        ddl: Arc<Ddl>,
        failure: &Failure,
        actions: &mut Vec<Action>,
    ) {
        let gives_up = match failure.kind {
            ErrorKind::Unavailable | ErrorKind::Throttled => false,
            ErrorKind::Transient | ErrorKind::Conflict => unit.failures >= MOST_REFUSALS,
            ErrorKind::Fenced | ErrorKind::Invalid | ErrorKind::Corrupt => true,
        };
        if !gives_up {
            self.run_obsolete(unit, event, ddl, actions);
            return;
        }
        let seq = unit.seq;
        let reason = format!("{} failed: {}", ddl.what, failure.text);
        unit.work = Work::Load(event, LoadPhase::Unfit(reason));
        self.units.insert(seq, unit);
        self.touched.insert(seq);
    }

    /// Everything committed to the unit's tables is visible.
    pub(super) fn see(&mut self, unit: &Unit) {
        for (table, lane) in &mut self.lanes {
            if unit.barrier || unit.tables.contains_key(table) {
                lane.unseen.clear();
            }
        }
    }
}
