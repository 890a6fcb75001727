//! A snapshot replaces a table while transactions behind it are under way: they hold ids of the table that goes away, and
//! the server commits to a table that is gone without an effect. They are undone and started again behind the snapshot.

use std::collections::BTreeSet;

use ccr_schemas::{CommitSeq, TableId};

use crate::plan::Action;
use crate::plan::state::{Apply, LoadPhase, Redo, Then, Unit, Work};

impl Apply {
    /// Undoes what was started behind a unit on its tables, and lets nothing of theirs start before the unit is done.
    pub(super) fn unstart_behind(
        &mut self,
        seq: CommitSeq,
        tables: &BTreeSet<TableId>,
        actions: &mut Vec<Action>,
    ) {
        let mut behind = BTreeSet::new();
        for table in tables {
            let Some(lane) = self.lanes.get_mut(table) else {
                continue;
            };
            lane.unstarted.push_front(seq);
            behind.extend(lane.queue.iter().copied().filter(|other| *other > seq));
        }
        for other in behind {
            if self.waiting.contains(&other) {
                continue;
            }
            let Some(mut unit) = self.units.remove(&other) else {
                continue;
            };
            let Work::Load(_, phase) = &unit.work else {
                self.units.insert(other, unit);
                continue;
            };
            match phase {
                LoadPhase::Waiting
                | LoadPhase::Mapping(None)
                | LoadPhase::Claimed(_)
                | LoadPhase::Obsolete(_)
                | LoadPhase::Failed(..)
                | LoadPhase::Unfit(_) => self.unstart(unit, actions),
                LoadPhase::Mapping(Some((begun, _))) => {
                    let txn = begun.txn;
                    unit.redo = Redo::Start;
                    self.undo(unit, Default::default(), txn, Then::PlanAgain, actions);
                }
                LoadPhase::Ingested(plan, begun, _) => {
                    let (plan, txn) = (plan.clone(), begun.txn);
                    unit.redo = Redo::Start;
                    self.undo(unit, plan, txn, Then::PlanAgain, actions);
                }
                LoadPhase::Beginning(_)
                | LoadPhase::Asking(_)
                | LoadPhase::Undoing(..)
                | LoadPhase::Ingesting(..)
                | LoadPhase::Verifying(..)
                | LoadPhase::Settling(_)
                | LoadPhase::Dropping(_)
                | LoadPhase::Committing(..) => {
                    unit.redo = Redo::Start;
                    self.units.insert(other, unit);
                }
            }
        }
    }

    /// As if it had never been started.
    pub(super) fn unstart(&mut self, mut unit: Unit, actions: &mut Vec<Action>) {
        let seq = unit.seq;
        if unit.tables.is_empty() {
            self.leave_out(unit, actions);
            return;
        }
        if let Work::Load(_, phase) = &mut unit.work {
            *phase = LoadPhase::Waiting;
        }
        (unit.redo, unit.failures, unit.misses) = (Redo::No, 0, 0);
        self.active = self.active.saturating_sub(1);
        for table in unit.tables.keys() {
            let lane = self.lanes.entry(*table).or_default();
            let at = lane.unstarted.partition_point(|other| *other < seq);
            lane.unstarted.insert(at, seq);
        }
        self.waiting.insert(seq);
        self.units.insert(seq, unit);
    }
}
