//! Order: which unit may start, whose turn it is, and what happens when a table halts.

use std::collections::BTreeSet;

use ccr_schemas::{CommitSeq, TableId};

use crate::plan::Action;
use crate::plan::checkpoint::Halted;
use crate::plan::patience::Failing;
use crate::plan::state::{Apply, ChangePhase, LoadPhase, Redo, RenewPhase, Renewal, Unit, Work};

impl Apply {
    /// Starts and finishes whatever can be.
    pub(crate) fn pump(&mut self, start_more: bool, actions: &mut Vec<Action>) {
        loop {
            while let Some(seq) = self.touched.pop_first() {
                self.take_turn(seq, start_more, actions);
            }
            if start_more {
                self.start_waiting(actions);
            }
            if self.touched.is_empty() {
                break;
            }
        }
    }

    /// The unit may have come to the front of all its lanes.
    fn take_turn(&mut self, seq: CommitSeq, start_more: bool, actions: &mut Vec<Action>) {
        let Some(unit) = self.units.get(&seq) else {
            return;
        };
        if !self.is_head(unit) {
            return;
        }
        match &unit.work {
            Work::Load(_, LoadPhase::Ingested(..)) => self.commit(seq, actions),
            Work::Load(_, LoadPhase::Claimed(_)) => self.prove(seq, actions),
            Work::Load(_, LoadPhase::Failed(tables, reason)) => {
                let tables = if tables.is_empty() {
                    unit.tables.keys().copied().collect()
                } else {
                    tables.clone()
                };
                let reason = reason.clone();
                self.halt_tables(seq, &tables, &reason, actions);
            }
            Work::Load(_, LoadPhase::Obsolete(ddl)) => {
                let ddl = ddl.clone();
                self.drop_obsolete(seq, ddl, actions);
            }
            Work::Load(_, LoadPhase::Unfit(reason)) => {
                let reason = reason.clone();
                self.resync_load(seq, &reason, actions);
            }
            Work::Change(_, ChangePhase::Failed(reason)) => {
                let tables = unit.tables.keys().copied().collect();
                let reason = reason.clone();
                self.halt_tables(seq, &tables, &reason, actions);
            }
            // A barrier may still give away the name that this change uses.
            Work::Change(_, ChangePhase::Waiting(_)) | Work::Renew(_, RenewPhase::Waiting)
                if self.is_behind_barrier(seq) => {}
            Work::Change(_, ChangePhase::Waiting(_)) if start_more => {
                self.start_change(seq, actions)
            }
            Work::Renew(_, RenewPhase::Waiting) if start_more => self.start_renewal(seq, actions),
            Work::Renew(renewal, RenewPhase::Failed(reason)) => {
                let (renewal, reason) = (renewal.clone(), reason.clone());
                self.answer_request(&renewal);
                let tables = BTreeSet::from([renewal.table]);
                self.halt_tables(seq, &tables, &reason, actions);
            }
            Work::Change(
                _,
                ChangePhase::Waiting(_)
                | ChangePhase::Settling(_)
                | ChangePhase::Looking
                | ChangePhase::Running(_),
            )
            | Work::Load(
                _,
                LoadPhase::Waiting
                | LoadPhase::Mapping(_)
                | LoadPhase::Beginning(_)
                | LoadPhase::Asking(_)
                | LoadPhase::Undoing(..)
                | LoadPhase::Ingesting(..)
                | LoadPhase::Settling(_)
                | LoadPhase::Dropping(_)
                | LoadPhase::Verifying(..)
                | LoadPhase::Committing(..),
            )
            | Work::Renew(
                _,
                RenewPhase::Waiting
                | RenewPhase::Settling
                | RenewPhase::Looking
                | RenewPhase::Running,
            ) => {}
        }
    }

    /// An event that everything behind it waits for has not ended.
    fn is_behind_barrier(&self, seq: CommitSeq) -> bool {
        self.barriers.first().is_some_and(|barrier| *barrier < seq)
    }

    /// Starts transactions in order: never before an unstarted one of the same lane, so that those in flight always
    /// include the one whose turn comes first.
    fn start_waiting(&mut self, actions: &mut Vec<Action>) {
        let most = self.settings.options.transactions_in_flight.clamp(1, 256);
        let mut started = Vec::new();
        for seq in &self.waiting {
            if self.active + started.len() >= most || self.is_behind_barrier(*seq) {
                break;
            }
            let Some(unit) = self.units.get(seq) else {
                continue;
            };
            if !matches!(unit.work, Work::Load(..)) {
                continue;
            }
            let first_everywhere = unit.tables.keys().all(|table| {
                self.lanes.get(table).is_none_or(|lane| {
                    lane.unstarted
                        .iter()
                        .find(|other| !started.contains(*other))
                        == Some(seq)
                })
            });
            if first_everywhere {
                started.push(*seq);
            }
        }
        for seq in started {
            self.waiting.remove(&seq);
            self.active += 1;
            let tables: Vec<TableId> = self.units[&seq].tables.keys().copied().collect();
            for table in tables {
                if let Some(lane) = self.lanes.get_mut(&table) {
                    lane.unstarted.retain(|other| *other != seq);
                }
            }
            self.set_load_phase(seq, LoadPhase::Mapping(None));
            self.map(seq, actions);
        }
    }

    pub(crate) fn set_load_phase(&mut self, seq: CommitSeq, phase: LoadPhase) {
        if let Some(unit) = self.units.get_mut(&seq)
            && let Work::Load(_, slot) = &mut unit.work
        {
            *slot = phase;
        }
    }

    /// A unit is done without an effect: all its tables are halted.
    pub(super) fn leave_out(&mut self, unit: Unit, actions: &mut Vec<Action>) {
        actions.push(Action::Skip {
            seq: unit.seq,
            reason: "table is halted".to_owned(),
        });
        self.finish(unit);
    }

    /// Takes a unit that is done out of its lanes.
    pub(crate) fn finish(&mut self, unit: Unit) {
        let seq = unit.seq;
        if matches!(unit.work, Work::Load(..)) && !self.waiting.contains(&seq) {
            self.active = self.active.saturating_sub(1);
        }
        self.units.remove(&seq);
        self.waiting.remove(&seq);
        self.end_barrier(seq);
        for table in unit.tables.keys() {
            self.leave_lane(*table, seq);
            let lane = self.lanes.get(table);
            let first = lane.and_then(|lane| lane.queue.front());
            // What needs no work may end before what stands in front of it.
            if first.is_none_or(|first| *first > seq) {
                let upto = self.done_upto.entry(*table).or_insert(seq);
                *upto = (*upto).max(seq);
            }
        }
        self.window.finish(seq);
        if let Some(first) = self.units.keys().next() {
            self.touched.insert(*first);
        }
    }

    /// What waited for it in any lane may start.
    pub(super) fn end_barrier(&mut self, seq: CommitSeq) {
        if self.barriers.remove(&seq) {
            let heads = self.lanes.values().filter_map(|lane| lane.queue.front());
            self.touched.extend(heads.copied());
        }
    }

    pub(super) fn leave_lane(&mut self, table: TableId, seq: CommitSeq) {
        let Some(lane) = self.lanes.get_mut(&table) else {
            return;
        };
        lane.queue.retain(|other| *other != seq);
        lane.unstarted.retain(|other| *other != seq);
        match lane.queue.front() {
            Some(head) => {
                self.touched.insert(*head);
            }
            None if lane.unseen.is_empty() => {
                self.lanes.remove(&table);
            }
            None => {}
        }
    }

    /// Tables halt before `seq`: everything of theirs from there on is left out. Durable before anything else happens, so
    /// that after a crash nobody takes the rest of a shared transaction for the whole.
    pub(crate) fn halt_tables(
        &mut self,
        seq: CommitSeq,
        tables: &BTreeSet<TableId>,
        reason: &str,
        actions: &mut Vec<Action>,
    ) {
        let names = self
            .units
            .get(&seq)
            .map(|unit| unit.tables.clone())
            .unwrap_or_default();
        for table in tables {
            let name = names.get(table).cloned().unwrap_or_default();
            let mut reason = reason.to_owned();
            if !reason.contains("ccr job resync") {
                let advice = self.settings.resync_advice([name.as_str()]);
                reason = format!("{reason}; {advice}");
            }
            // It was to follow again from here on, and its snapshot did not come.
            self.returning.remove(table);
            self.halted
                .insert(*table, Halted(seq, name, reason.clone()));
            actions.push(Action::HaltTable {
                table: *table,
                seq,
                reason,
            });
        }
        let (_, checkpoint) = self.checkpoint();
        if checkpoint.encode().is_none() {
            self.halt = Some(format!(
                "{} tables are halted, more than fit into the committed metadata; sync the job again with `ccr job resync {}`",
                self.halted.len(),
                self.settings.job
            ));
            return;
        }
        self.record(actions);
        for table in tables {
            let queued: Vec<CommitSeq> = self
                .lanes
                .get(table)
                .map(|lane| lane.queue.iter().copied().collect())
                .unwrap_or_default();
            for other in queued {
                self.leave_table(other, *table, actions);
            }
            self.lanes.remove(table);
            self.layouts.remove(table);
        }
    }

    /// A queued unit loses a table that halts.
    fn leave_table(&mut self, seq: CommitSeq, table: TableId, actions: &mut Vec<Action>) {
        let Some(mut unit) = self.units.remove(&seq) else {
            return;
        };
        unit.tables.remove(&table);
        self.leave_lane(table, seq);
        if unit.in_flight() {
            unit.redo = unit.redo.max(Redo::Plan);
            self.units.insert(seq, unit);
            return;
        }
        let with_txn = match &unit.work {
            Work::Load(_, LoadPhase::Ingested(plan, begun, _)) => Some((plan.clone(), begun.txn)),
            Work::Load(..) | Work::Change(..) | Work::Renew(..) => None,
        };
        if let Some((plan, txn)) = with_txn {
            unit.redo = unit.redo.max(Redo::Plan);
            self.undo(
                unit,
                plan,
                txn,
                crate::plan::state::Then::PlanAgain,
                actions,
            );
            return;
        }
        if unit.tables.is_empty() {
            self.leave_out(unit, actions);
            return;
        }
        let is_renewed = |renewal: &Renewal| renewal.table == table;
        unit.later.retain(|renewal| !is_renewed(renewal));
        match &mut unit.work {
            Work::Renew(renewal, phase) if is_renewed(renewal) => match unit.later.pop_front() {
                Some(next) => {
                    (unit.failures, unit.failing) = (0, Failing::default());
                    (*renewal, *phase) = (next, RenewPhase::Waiting);
                }
                None => {
                    self.leave_out(unit, actions);
                    return;
                }
            },
            Work::Renew(..) => {}
            Work::Change(_, phase) => {
                *phase = ChangePhase::Failed(format!(
                    "the change at {seq} also concerns table {table}, which is halted"
                ));
            }
            Work::Load(_, phase) => match phase {
                LoadPhase::Obsolete(_) | LoadPhase::Failed(..) | LoadPhase::Unfit(_) => {
                    *phase = LoadPhase::Mapping(None);
                }
                LoadPhase::Waiting
                | LoadPhase::Mapping(_)
                | LoadPhase::Beginning(_)
                | LoadPhase::Asking(_)
                | LoadPhase::Undoing(..)
                | LoadPhase::Ingesting(..)
                | LoadPhase::Ingested(..)
                | LoadPhase::Settling(_)
                | LoadPhase::Dropping(_)
                | LoadPhase::Claimed(_)
                | LoadPhase::Verifying(..)
                | LoadPhase::Committing(..) => {}
            },
        }
        let remap = matches!(unit.work, Work::Load(_, LoadPhase::Mapping(_)));
        self.touched.insert(seq);
        self.units.insert(seq, unit);
        if remap {
            self.map(seq, actions);
        }
    }
}
