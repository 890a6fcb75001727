//! The end of a transaction: commit in its turn, rollback, and what follows from either.

use std::collections::BTreeSet;
use std::sync::Arc;

use ccr_doris::{CommitOutcome, RollbackOutcome};
use ccr_schemas::event::RowsetsCommitted;
use ccr_schemas::{CommitSeq, TableId, TxnId};

use crate::plan::Action;
use crate::plan::action::{Begun, Held};
use crate::plan::checkpoint::LastCommitted;
use crate::plan::mapping::IngestPlan;
use crate::plan::state::{Apply, LoadPhase, Redo, Then, Unit, Work};

/// Transactions per table whose visibility the next change waits for; older ones are visible long before.
const MOST_UNSEEN: usize = 16;

impl Apply {
    /// The versions fit.
    pub(super) fn send_commit(&mut self, seq: CommitSeq, actions: &mut Vec<Action>) {
        let Some(unit) = self.units.get_mut(&seq) else {
            return;
        };
        let Work::Load(_, phase) = &mut unit.work else {
            return;
        };
        let LoadPhase::Ingested(plan, begun, held) = phase.clone() else {
            return;
        };
        *phase = LoadPhase::Committing(plan.clone(), begun.clone(), held.clone());
        unit.commit_sent = true;
        for table in unit.tables.keys() {
            if let Some(slot) = self.layouts.get_mut(table) {
                slot.settled = false;
            }
        }
        self.issued.insert(seq, self.last_finished);
        actions.push(Action::CommitTxn {
            seq,
            begun,
            plan,
            held,
            failures: 0,
        });
    }

    pub(crate) fn undo(
        &mut self,
        mut unit: Unit,
        plan: Arc<IngestPlan>,
        txn: TxnId,
        then: Then,
        actions: &mut Vec<Action>,
    ) {
        let reason = match &then {
            Then::BeginAgain => "begun again",
            Then::PlanAgain => "planned again without a part",
            Then::AlreadyApplied => "applied before",
            Then::Fail(..) | Then::Resync(_) => "cannot be applied",
        };
        let seq = unit.seq;
        if let Work::Load(_, phase) = &mut unit.work {
            *phase = LoadPhase::Undoing(plan, txn, then);
        }
        self.units.insert(seq, unit);
        actions.push(Action::RollbackTxn {
            seq,
            txn,
            reason,
            failures: 0,
        });
    }

    pub(super) fn fail_or_undo(
        &mut self,
        seq: CommitSeq,
        txn: Option<TxnId>,
        table: TableId,
        reason: String,
        actions: &mut Vec<Action>,
    ) {
        match (txn, self.units.remove(&seq)) {
            (_, None) => {}
            (Some(txn), Some(unit)) => {
                let then = Then::Fail(BTreeSet::from([table]), reason);
                self.undo(unit, Arc::default(), txn, then, actions);
            }
            (None, Some(mut unit)) => {
                if let Work::Load(_, phase) = &mut unit.work {
                    *phase = LoadPhase::Failed(BTreeSet::from([table]), reason);
                }
                self.units.insert(seq, unit);
                self.touched.insert(seq);
            }
        }
    }

    pub(super) fn undone(
        &mut self,
        mut unit: Unit,
        plan: Arc<IngestPlan>,
        then: Then,
        outcome: RollbackOutcome,
        actions: &mut Vec<Action>,
    ) {
        let seq = unit.seq;
        match (then, outcome) {
            (_, RollbackOutcome::AlreadyCommitted) => self.found_finished(unit, plan, actions),
            (Then::BeginAgain, RollbackOutcome::NotFound) => self.ask_label(unit, plan, actions),
            (Then::BeginAgain, RollbackOutcome::Aborted) => {
                let failures = unit.failures;
                self.units.insert(seq, unit);
                self.begin(seq, plan, failures, actions);
            }
            (Then::AlreadyApplied, RollbackOutcome::Aborted | RollbackOutcome::NotFound) => {
                self.took_effect(unit, true, None, actions);
            }
            (Then::PlanAgain, RollbackOutcome::Aborted | RollbackOutcome::NotFound)
                if unit.redo == Redo::Start =>
            {
                self.unstart(unit, actions);
            }
            (Then::PlanAgain, RollbackOutcome::Aborted | RollbackOutcome::NotFound) => {
                unit.redo = Redo::No;
                if unit.tables.is_empty() {
                    self.leave_out(unit, actions);
                    return;
                }
                if let Work::Load(_, phase) = &mut unit.work {
                    *phase = LoadPhase::Mapping(None);
                }
                self.units.insert(seq, unit);
                self.map(seq, actions);
            }
            (Then::Resync(reason), RollbackOutcome::Aborted | RollbackOutcome::NotFound) => {
                if let Work::Load(_, phase) = &mut unit.work {
                    *phase = LoadPhase::Unfit(reason);
                }
                self.units.insert(seq, unit);
                self.touched.insert(seq);
            }
            (Then::Fail(tables, reason), RollbackOutcome::Aborted | RollbackOutcome::NotFound) => {
                if let Work::Load(_, phase) = &mut unit.work {
                    *phase = LoadPhase::Failed(tables, reason);
                }
                self.units.insert(seq, unit);
                self.touched.insert(seq);
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one phase")]
    pub(super) fn commit_answered(
        &mut self,
        mut unit: Unit,
        event: Arc<RowsetsCommitted>,
        plan: Arc<IngestPlan>,
        begun: Begun,
        held: Arc<BTreeSet<Held>>,
        outcome: CommitOutcome,
        actions: &mut Vec<Action>,
    ) {
        let seq = unit.seq;
        match outcome {
            // Asked only to commit: it becomes visible a little later in either case.
            CommitOutcome::Committed | CommitOutcome::VisibleLater => {
                self.count(&plan);
                let last = LastCommitted(seq, begun.txn, unit.begun_at_ms);
                self.last_committed = Some(last).max(self.last_committed);
                self.took_effect(unit, false, Some(begun.txn), actions);
            }
            CommitOutcome::NotFound | CommitOutcome::Aborted { .. } => {
                unit.failures += 1;
                let failures = unit.failures;
                self.units.insert(seq, unit);
                self.begin(seq, plan, failures, actions);
            }
            CommitOutcome::QuorumMissed { tablet, text } => {
                self.last_error = Some(text);
                unit.failures += 1;
                // What the server missed is ingested again; without a name everything is.
                let kept = held
                    .iter()
                    .filter(|(_, held, _)| tablet.is_some_and(|missed| missed != held.0))
                    .copied()
                    .collect();
                self.refresh(unit, event, begun, Arc::new(kept), actions);
            }
        }
    }

    pub(super) fn took_effect(
        &mut self,
        unit: Unit,
        before: bool,
        unseen: Option<TxnId>,
        actions: &mut Vec<Action>,
    ) {
        for table in unit.tables.keys() {
            self.unfit.remove(table);
        }
        if let Some(txn) = unseen {
            for table in unit.tables.keys() {
                if let Some(lane) = self.lanes.get_mut(table) {
                    lane.unseen.push(txn);
                    if lane.unseen.len() > MOST_UNSEEN {
                        lane.unseen.remove(0);
                    }
                }
            }
        }
        if before {
            self.issued.insert(unit.seq, (0, self.witness));
        } else {
            self.last_finished = (self.last_finished.0 + 1, Some(unit.seq));
            self.last_error = None;
        }
        actions.push(Action::Applied {
            seq: unit.seq,
            kind: unit.kind,
            source_at: unit.source_at,
            before,
        });
        self.finish(unit);
    }
}
