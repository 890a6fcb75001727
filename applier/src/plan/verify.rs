//! Before a commit, and before a label is believed: the versions of the destination's partitions must fit
//! ([`crate::plan::versions`]).
//!
//! In the normal way this costs no call: the versions were read with the layout and are counted from there on. Only when they
//! do not fit, or are not known, the load waits in its turn until every committed transaction of the job is visible, the
//! layouts are read again, and the events that are not taken yet are looked through for a removal that explains the
//! difference. What is left is a contradiction, and its table halts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ccr_schemas::event::RowsetsCommitted;
use ccr_schemas::{CommitSeq, PartitionId, TableId};

use crate::plan::action::{Begun, Held};
use crate::plan::checkpoint::EVERY_TABLE;
use crate::plan::mapping::{IngestPart, IngestPlan};
use crate::plan::slot::LayoutKnown;
use crate::plan::state::{Apply, LoadPhase, Redo, Then, Unit, Work};
use crate::plan::versions::{Difference, Fit};
use crate::plan::{Action, Removal};

/// What depends on the versions of a load's partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Whether its transaction may be committed: it is begun and ingested.
    Next(Begun, Arc<BTreeSet<Held>>),
    /// Whether the transaction that its label names took effect on what is there now.
    Contained,
}

/// How far the verification of versions is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verifying {
    /// Transactions of this job that are committed become visible.
    Settling,
    /// Layouts are being read.
    Reading,
    /// Events that are not taken yet are looked through for what they remove.
    LookingAhead,
}

impl Apply {
    /// It is the turn of an ingested transaction in all its lanes.
    pub(crate) fn commit(&mut self, seq: CommitSeq, actions: &mut Vec<Action>) {
        if self.contradiction.is_some() || self.holds_for_check(seq) {
            return;
        }
        match self.fit(seq) {
            Fit::Fits => self.send_commit(seq, actions),
            Fit::Unknown | Fit::Differs(_) => self.verify(seq, actions),
        }
    }

    /// A label is finished. When this run sent the commit, its answer was lost; else the versions must prove it.
    pub(super) fn found_finished(
        &mut self,
        mut unit: Unit,
        plan: Arc<IngestPlan>,
        actions: &mut Vec<Action>,
    ) {
        if unit.commit_sent {
            self.count(&plan);
            self.took_effect(unit, true, None, actions);
            return;
        }
        let seq = unit.seq;
        if plan.parts.is_empty() {
            self.set_phase(&mut unit, LoadPhase::Mapping(None));
            self.units.insert(seq, unit);
            self.map(seq, actions);
            return;
        }
        self.set_phase(&mut unit, LoadPhase::Claimed(plan));
        self.units.insert(seq, unit);
        self.touched.insert(seq);
    }

    /// It is the turn of a load whose label is finished.
    pub(super) fn prove(&mut self, seq: CommitSeq, actions: &mut Vec<Action>) {
        match self.fit(seq) {
            Fit::Fits => {
                if let Some(unit) = self.units.remove(&seq) {
                    self.took_effect(unit, true, None, actions);
                }
            }
            Fit::Unknown | Fit::Differs(_) => self.verify(seq, actions),
        }
    }

    /// The transactions of a plan are counted: they were committed by this run.
    pub(super) fn count(&mut self, plan: &IngestPlan) {
        for part in &plan.parts {
            if let Some(slot) = self.layouts.get_mut(&part.source_table) {
                slot.versions.committed(part);
            }
        }
    }

    /// How the versions compare with what the unit's phase needs.
    fn fit(&mut self, seq: CommitSeq) -> Fit {
        let Some((event, plan, contained, tables)) = self.claim(seq) else {
            return Fit::Unknown;
        };
        let mut differs = Vec::new();
        for table in tables.keys() {
            let of_table = |part: &&IngestPart| part.source_table == *table;
            let parts: Vec<&IngestPart> = plan.parts.iter().filter(of_table).collect();
            if parts.is_empty() {
                continue;
            }
            let adrift = self.adrift.contains(table) || self.adrift.contains(&EVERY_TABLE);
            let slot = self.layouts.entry(*table).or_default();
            let fit = if contained {
                slot.versions.contain(&parts, adrift)
            } else {
                slot.versions.next(&parts, adrift)
            };
            match fit {
                Fit::Fits => {}
                Fit::Unknown => return Fit::Unknown,
                Fit::Differs(more) => differs.extend(more),
            }
        }
        if differs.is_empty() {
            return Fit::Fits;
        }
        Fit::Differs(differs).without(&self.removals.partitions_of(seq, &event))
    }

    /// What a load claims: its event, its plan, whether it claims to be applied already, and its tables.
    #[allow(clippy::type_complexity, reason = "the parts of one claim")]
    fn claim(
        &self,
        seq: CommitSeq,
    ) -> Option<(
        Arc<RowsetsCommitted>,
        Arc<IngestPlan>,
        bool,
        BTreeMap<TableId, String>,
    )> {
        let unit = self.units.get(&seq)?;
        let Work::Load(event, phase) = &unit.work else {
            return None;
        };
        let (plan, contained) = match phase {
            LoadPhase::Ingested(plan, ..) | LoadPhase::Verifying(plan, Claim::Next(..), _) => {
                (plan, false)
            }
            LoadPhase::Claimed(plan) | LoadPhase::Verifying(plan, Claim::Contained, _) => {
                (plan, true)
            }
            LoadPhase::Waiting
            | LoadPhase::Mapping(_)
            | LoadPhase::Beginning(_)
            | LoadPhase::Asking(_)
            | LoadPhase::Undoing(..)
            | LoadPhase::Ingesting(..)
            | LoadPhase::Committing(..)
            | LoadPhase::Obsolete(_)
            | LoadPhase::Settling(_)
            | LoadPhase::Dropping(_)
            | LoadPhase::Unfit(_)
            | LoadPhase::Failed(..) => return None,
        };
        Some((event.clone(), plan.clone(), contained, unit.tables.clone()))
    }

    /// Begins, or begins again, to read the versions of a load in its turn.
    fn verify(&mut self, seq: CommitSeq, actions: &mut Vec<Action>) {
        let Some(unit) = self.units.get_mut(&seq) else {
            return;
        };
        let failures = unit.failures;
        let Work::Load(_, phase) = &mut unit.work else {
            return;
        };
        let (plan, claim) = match phase.clone() {
            LoadPhase::Ingested(plan, begun, held) => (plan, Claim::Next(begun, held)),
            LoadPhase::Claimed(plan) => (plan, Claim::Contained),
            LoadPhase::Verifying(plan, claim, _) => (plan, claim),
            LoadPhase::Waiting
            | LoadPhase::Mapping(_)
            | LoadPhase::Beginning(_)
            | LoadPhase::Asking(_)
            | LoadPhase::Undoing(..)
            | LoadPhase::Ingesting(..)
            | LoadPhase::Committing(..)
            | LoadPhase::Obsolete(_)
            | LoadPhase::Settling(_)
            | LoadPhase::Dropping(_)
            | LoadPhase::Unfit(_)
            | LoadPhase::Failed(..) => return,
        };
        *phase = LoadPhase::Verifying(plan, claim, Verifying::Settling);
        actions.push(Action::AwaitSettled { seq, failures });
    }

    /// Everything that the job committed is visible: reads the layouts. `unit` was taken out of the table of units.
    pub(super) fn settled(
        &mut self,
        mut unit: Unit,
        plan: Arc<IngestPlan>,
        claim: Claim,
        actions: &mut Vec<Action>,
    ) {
        let seq = unit.seq;
        for table in unit.tables.keys() {
            if let Some(lane) = self.lanes.get_mut(table) {
                lane.unseen.clear();
            }
            self.layouts.entry(*table).or_default().settled = false;
        }
        unit.failures = 0;
        self.set_phase(
            &mut unit,
            LoadPhase::Verifying(plan, claim, Verifying::Reading),
        );
        self.units.insert(seq, unit);
        self.read_exactly(seq, actions);
    }

    /// Reads the layouts that are not read yet, or decides when all are.
    pub(super) fn read_exactly(&mut self, seq: CommitSeq, actions: &mut Vec<Action>) {
        let Some(unit) = self.units.get(&seq) else {
            return;
        };
        let failures = unit.failures;
        let mut all = true;
        for (table, name) in unit.tables.clone() {
            let slot = self.layouts.entry(table).or_default();
            if slot.settled {
                continue;
            }
            all = false;
            match slot.known {
                // When it is answered this is called again.
                LayoutKnown::Reading => {}
                LayoutKnown::No | LayoutKnown::Yes(_) | LayoutKnown::Missing => {
                    slot.known = LayoutKnown::Reading;
                    slot.reading_exactly = true;
                    slot.reading_stale = false;
                    actions.push(Action::ReadLayout {
                        table,
                        name: self.settings.dest_name(&name).to_owned(),
                        failures,
                    });
                }
            }
        }
        if all {
            self.decide(seq, actions);
        }
    }

    /// The versions are as exact as they can be.
    fn decide(&mut self, seq: CommitSeq, actions: &mut Vec<Action>) {
        let Some(unit) = self.units.get(&seq) else {
            return;
        };
        if unit.redo != Redo::No {
            self.drop_claim(seq, actions);
            return;
        }
        let is_settled = |table: &TableId| self.layouts.get(table).is_some_and(|s| s.settled);
        if !unit.tables.keys().all(is_settled) {
            self.verify(seq, actions);
            return;
        }
        let stage = match &unit.work {
            Work::Load(_, LoadPhase::Verifying(_, _, stage)) => *stage,
            Work::Load(..) | Work::Change(..) | Work::Renew(..) => return,
        };
        match (self.fit(seq), stage) {
            (Fit::Fits, _) => self.accept(seq, actions),
            // The layout is not the one that the plan was made for.
            (Fit::Unknown, _) => self.plan_again(seq, actions),
            (Fit::Differs(differs), Verifying::LookingAhead) => self.refuse(seq, &differs, actions),
            (Fit::Differs(_), Verifying::Settling | Verifying::Reading) => {
                if let Some(unit) = self.units.get_mut(&seq)
                    && let Work::Load(_, LoadPhase::Verifying(_, _, stage)) = &mut unit.work
                {
                    *stage = Verifying::LookingAhead;
                }
                self.look_further(0, actions);
            }
        }
    }

    fn accept(&mut self, seq: CommitSeq, actions: &mut Vec<Action>) {
        let Some(mut unit) = self.units.remove(&seq) else {
            return;
        };
        let Work::Load(_, LoadPhase::Verifying(plan, claim, _)) = &unit.work else {
            self.units.insert(seq, unit);
            return;
        };
        match (plan.clone(), claim.clone()) {
            (plan, Claim::Next(begun, held)) => {
                self.set_phase(&mut unit, LoadPhase::Ingested(plan, begun, held));
                self.units.insert(seq, unit);
                self.send_commit(seq, actions);
            }
            (_, Claim::Contained) => self.took_effect(unit, true, None, actions),
        }
    }

    fn plan_again(&mut self, seq: CommitSeq, actions: &mut Vec<Action>) {
        let Some(mut unit) = self.units.remove(&seq) else {
            return;
        };
        unit.misses += 1;
        let Work::Load(_, LoadPhase::Verifying(plan, claim, _)) = &unit.work else {
            self.units.insert(seq, unit);
            return;
        };
        match (plan.clone(), claim.clone()) {
            (plan, Claim::Next(begun, _)) => {
                self.undo(unit, plan, begun.txn, Then::PlanAgain, actions);
            }
            (_, Claim::Contained) => {
                self.set_phase(&mut unit, LoadPhase::Mapping(None));
                self.units.insert(seq, unit);
                self.map(seq, actions);
            }
        }
    }

    /// A table of the unit halted meanwhile.
    fn drop_claim(&mut self, seq: CommitSeq, actions: &mut Vec<Action>) {
        let Some(mut unit) = self.units.remove(&seq) else {
            return;
        };
        let Work::Load(_, LoadPhase::Verifying(plan, claim, _)) = &unit.work else {
            self.units.insert(seq, unit);
            return;
        };
        match (plan.clone(), claim.clone()) {
            (plan, Claim::Next(begun, _)) => {
                self.undo(unit, plan, begun.txn, Then::PlanAgain, actions);
            }
            (_, Claim::Contained) if unit.redo == Redo::Start => self.unstart(unit, actions),
            (_, Claim::Contained) if unit.tables.is_empty() => self.leave_out(unit, actions),
            (plan, Claim::Contained) => {
                unit.redo = Redo::No;
                self.set_phase(&mut unit, LoadPhase::Claimed(plan));
                self.units.insert(seq, unit);
                self.touched.insert(seq);
            }
        }
    }

    /// Nothing explains the difference: the tables halt.
    fn refuse(&mut self, seq: CommitSeq, differs: &[Difference], actions: &mut Vec<Action>) {
        let Some(mut unit) = self.units.remove(&seq) else {
            return;
        };
        let Work::Load(_, LoadPhase::Verifying(plan, claim, _)) = &unit.work else {
            self.units.insert(seq, unit);
            return;
        };
        let (plan, claim) = (plan.clone(), claim.clone());
        let table_of = |difference: &Difference| {
            let of = |part: &&IngestPart| part.source_partition == difference.source_partition;
            plan.parts.iter().find(of).map(|part| part.source_table)
        };
        let tables: BTreeSet<TableId> = differs.iter().filter_map(table_of).collect();
        let name = tables
            .first()
            .and_then(|table| unit.tables.get(table))
            .cloned()
            .unwrap_or_default();
        let reason = match differs.first() {
            Some(first) => self.contradicts(&unit, &claim, first, &name),
            None => return,
        };
        match claim {
            Claim::Next(begun, _) => {
                self.undo(unit, plan, begun.txn, Then::Fail(tables, reason), actions);
            }
            Claim::Contained => {
                self.set_phase(&mut unit, LoadPhase::Failed(tables, reason));
                self.units.insert(seq, unit);
                self.touched.insert(seq);
            }
        }
    }

    fn contradicts(&self, unit: &Unit, claim: &Claim, of: &Difference, name: &str) -> String {
        let partition = match &unit.work {
            Work::Load(event, _) => partition_name(event, of.source_partition),
            Work::Change(..) | Work::Renew(..) => None,
        };
        let partition = partition.unwrap_or_else(|| of.source_partition.to_string());
        let (seq, at, makes) = (unit.seq, of.at, of.makes);
        let what = match claim {
            Claim::Contained => format!(
                "the destination has finished the transaction of event {seq}, which makes version {makes}, but partition \
                 {partition} is at version {at} there: the position of the job, or the destination, went back to an older \
                 state"
            ),
            Claim::Next(..) if at + 1 < makes => format!(
                "event {seq} makes version {makes} of partition {partition}, but the destination is at version {at}: \
                 transactions are missing there; the destination, the source or the position of the job went back to an older \
                 state"
            ),
            Claim::Next(..) => format!(
                "event {seq} makes version {makes} of partition {partition}, but the destination is at version {at} already: \
                 something else than this job writes to the table, or the source or the position of the job went back to an \
                 older state"
            ),
        };
        format!("{what}; {}", self.settings.resync_advice([name]))
    }

    /// Looks through the events that are not taken yet, once for all who wait for it.
    fn look_further(&mut self, failures: u32, actions: &mut Vec<Action>) {
        if !self.looking_ahead {
            self.looking_ahead = true;
            actions.push(Action::LookAhead {
                from: self.window.next_offset(),
                failures,
            });
        }
    }

    /// What events ahead remove; `None` when it could not be found out.
    pub(super) fn looked_ahead(
        &mut self,
        found: Option<Vec<Removal>>,
        failures: u32,
        actions: &mut Vec<Action>,
    ) {
        self.looking_ahead = false;
        let is_known = found.is_some();
        for removal in found.into_iter().flatten() {
            self.removals.note(removal);
        }
        let waits = |unit: &&Unit| {
            matches!(
                unit.work,
                Work::Load(_, LoadPhase::Verifying(_, _, Verifying::LookingAhead))
            )
        };
        let waiting: Vec<CommitSeq> = self.units.values().filter(waits).map(|u| u.seq).collect();
        for seq in waiting {
            if is_known {
                self.decide(seq, actions);
            } else {
                self.look_further(failures + 1, actions);
            }
        }
    }

    pub(super) fn set_phase(&self, unit: &mut Unit, phase: LoadPhase) {
        if let Work::Load(_, slot) = &mut unit.work {
            *slot = phase;
        }
    }
}

fn partition_name(event: &RowsetsCommitted, partition: PartitionId) -> Option<String> {
    let mut all = event.tables.iter().flat_map(|table| &table.partitions);
    let found = all.find(|found| found.partition_id == partition)?;
    Some(format!("`{}`", found.name))
}
