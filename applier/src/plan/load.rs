//! A transaction: map, begin, ingest, wait for its turn, commit. Every answer that may mean "done before" is judged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ccr_doris::error::Refusal;
use ccr_doris::{BeginOutcome, CommitOutcome, LabelState, RollbackOutcome, TxnState};
use ccr_schemas::event::RowsetsCommitted;
use ccr_schemas::{CommitSeq, PartitionId, TableId, TxnId};

use crate::plan::action::{Begun, Held};
use crate::plan::judge::{Evidence, Verdict, judge};
use crate::plan::mapping::{self, IngestPlan};
use crate::plan::state::{Apply, LayoutKnown, LoadPhase, Then, Unit, Work};
use crate::plan::{Action, Failure, LayoutRead, Outcome};

/// How often a layout is read again for something that has no counterpart, before its table stands.
const MOST_MISSES: u32 = 5;

/// Transactions per table whose visibility the next change waits for; older ones are visible long before.
const MOST_UNSEEN: usize = 16;

impl Apply {
    /// Plans the ingest, or asks for what is missing to do so.
    pub(crate) fn map(&mut self, seq: CommitSeq, actions: &mut Vec<Action>) {
        let Some(unit) = self.units.get(&seq) else {
            return;
        };
        let Work::Load(event, LoadPhase::Mapping(again)) = &unit.work else {
            return;
        };
        let (event, again, misses) = (event.clone(), again.clone(), unit.misses);
        let failures = unit.failures + misses;
        let gone = unit.gone.clone();
        let takes: BTreeSet<TableId> = unit.tables.keys().copied().collect();
        let mut layouts = BTreeMap::new();
        let mut reading = false;
        for (table, source_name) in unit.tables.clone() {
            let slot = self.layouts.entry(table).or_default();
            match &slot.known {
                LayoutKnown::Yes(layout) => {
                    layouts.insert(table, layout.clone());
                }
                LayoutKnown::Missing => {}
                LayoutKnown::Reading => reading = true,
                LayoutKnown::No => {
                    reading = true;
                    slot.known = LayoutKnown::Reading;
                    actions.push(Action::ReadLayout {
                        table,
                        name: self.settings.dest_name(&source_name).to_owned(),
                        failures,
                    });
                }
            }
        }
        if reading {
            return;
        }
        match mapping::map(&event, &takes, &gone, &layouts) {
            Ok(mapped) => {
                for (reason, count) in &mapped.left_out {
                    for _ in 0..*count {
                        actions.push(Action::Skip {
                            seq,
                            reason: (*reason).to_owned(),
                        });
                    }
                }
                self.mapped(seq, Arc::new(mapped.plan), again, actions);
            }
            Err(miss) if misses < MOST_MISSES => {
                self.layouts.entry(miss.table).or_default().known = LayoutKnown::No;
                if let Some(unit) = self.units.get_mut(&seq) {
                    unit.misses += 1;
                }
                self.map(seq, actions);
            }
            Err(miss) => {
                let reason = format!(
                    "{}; repair it or sync the table again with `ccr job resync-table {} {}`",
                    miss.what,
                    self.settings.job,
                    self.units[&seq]
                        .tables
                        .get(&miss.table)
                        .map_or("", String::as_str)
                );
                self.fail_or_undo(
                    seq,
                    again.map(|(begun, _)| begun.txn),
                    miss.table,
                    reason,
                    actions,
                );
            }
        }
    }

    fn mapped(
        &mut self,
        seq: CommitSeq,
        plan: Arc<IngestPlan>,
        again: Option<(Begun, Arc<BTreeSet<Held>>)>,
        actions: &mut Vec<Action>,
    ) {
        match again {
            Some((begun, held)) => self.ingest(seq, plan, begun, held, 0, actions),
            None if plan.parts.is_empty() => {
                if let Some(unit) = self.units.remove(&seq) {
                    self.finish(unit);
                }
            }
            None => self.begin(seq, plan, 0, actions),
        }
    }

    fn begin(
        &mut self,
        seq: CommitSeq,
        plan: Arc<IngestPlan>,
        failures: u32,
        actions: &mut Vec<Action>,
    ) {
        self.set_load_phase(seq, LoadPhase::Beginning(plan.clone()));
        actions.push(Action::BeginTxn {
            seq,
            plan,
            failures,
        });
    }

    fn ingest(
        &mut self,
        seq: CommitSeq,
        plan: Arc<IngestPlan>,
        begun: Begun,
        held: Arc<BTreeSet<Held>>,
        failures: u32,
        actions: &mut Vec<Action>,
    ) {
        let Some(unit) = self.units.get_mut(&seq) else {
            return;
        };
        let Work::Load(event, phase) = &mut unit.work else {
            return;
        };
        *phase = LoadPhase::Ingesting(plan.clone(), begun.clone(), held.clone());
        actions.push(Action::IngestTablets {
            seq,
            begun,
            plan,
            event: event.clone(),
            held,
            failures,
        });
    }

    /// It is the unit's turn in all its lanes.
    pub(crate) fn commit(&mut self, seq: CommitSeq, actions: &mut Vec<Action>) {
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
            Then::Fail(_) => "can not be applied",
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

    fn fail_or_undo(
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
                self.undo(unit, Arc::default(), txn, Then::Fail(reason), actions);
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

    /// An action of a transaction ended. `unit` was taken out of the table of units.
    pub(crate) fn load_performed(
        &mut self,
        mut unit: Unit,
        event: Arc<RowsetsCommitted>,
        phase: LoadPhase,
        outcome: Outcome,
        actions: &mut Vec<Action>,
    ) {
        if let Outcome::Failed(failure) = outcome {
            unit.failures += 1;
            self.last_error = Some(failure.text.clone());
            self.load_failed(unit, event, phase, &failure, actions);
            return;
        }
        let seq = unit.seq;
        match (phase, outcome) {
            (LoadPhase::Beginning(plan), Outcome::Begin(outcome)) => {
                self.begun(unit, plan, outcome, actions);
            }
            (LoadPhase::Asking(plan), Outcome::Label(state, txn)) => {
                self.label_told(unit, plan, state, txn, actions);
            }
            (LoadPhase::Undoing(plan, _, then), Outcome::Rollback(outcome)) => {
                self.undone(unit, plan, then, outcome, actions);
            }
            (LoadPhase::Ingesting(plan, begun, _), Outcome::Ingested(held)) => {
                if unit.dirty {
                    self.undo(unit, plan, begun.txn, Then::PlanAgain, actions);
                    return;
                }
                unit.failures = 0;
                unit.work = Work::Load(event, LoadPhase::Ingested(plan, begun, Arc::new(held)));
                self.units.insert(seq, unit);
                self.touched.insert(seq);
            }
            (
                LoadPhase::Ingesting(plan, begun, _),
                Outcome::IngestIncomplete {
                    held,
                    tablet_missing,
                    restart,
                    text,
                },
            ) => {
                self.last_error = Some(text);
                unit.failures += 1;
                let gone = self.removed_later(seq, &event);
                if gone.len() > unit.gone.len() {
                    unit.gone = gone;
                    unit.dirty = true;
                }
                if unit.dirty {
                    self.undo(unit, plan, begun.txn, Then::PlanAgain, actions);
                } else if restart {
                    self.undo(unit, plan, begun.txn, Then::BeginAgain, actions);
                } else if tablet_missing {
                    self.refresh(unit, event, begun, Arc::new(held), actions);
                } else {
                    let failures = unit.failures;
                    self.units.insert(seq, unit);
                    self.ingest(seq, plan, begun, Arc::new(held), failures, actions);
                }
            }
            (LoadPhase::Committing(plan, begun, held), Outcome::Commit(outcome)) => {
                self.commit_answered(unit, event, plan, begun, held, outcome, actions);
            }
            // An answer that no longer fits its question changes nothing.
            (phase, _) => {
                unit.work = Work::Load(event, phase);
                self.units.insert(seq, unit);
            }
        }
    }

    /// Partitions of the event that an event read since removes.
    fn removed_later(&self, seq: CommitSeq, event: &RowsetsCommitted) -> BTreeSet<PartitionId> {
        let later = |at: Option<&CommitSeq>| at.is_some_and(|at| *at > seq);
        let mut gone = BTreeSet::new();
        for table in &event.tables {
            let whole = later(self.removed_tables.get(&table.table.id));
            for partition in &table.partitions {
                let id = partition.partition_id;
                if whole || later(self.removed_partitions.get(&id)) {
                    gone.insert(id);
                }
            }
        }
        gone
    }

    fn begun(
        &mut self,
        mut unit: Unit,
        plan: Arc<IngestPlan>,
        outcome: BeginOutcome,
        actions: &mut Vec<Action>,
    ) {
        let seq = unit.seq;
        match outcome {
            BeginOutcome::LabelExists {
                state: LabelState::Finished,
                ..
            } => self.took_effect(unit, true, None, actions),
            BeginOutcome::LabelExists {
                txn: Some(txn),
                state: LabelState::Running | LabelState::Precommitted,
            } => self.undo(unit, plan, txn, Then::BeginAgain, actions),
            BeginOutcome::LabelExists {
                txn: None,
                state: LabelState::Running | LabelState::Precommitted,
            } => self.ask_label(unit, plan, actions),
            BeginOutcome::Begun { txn, .. } if unit.dirty => {
                self.undo(unit, plan, txn, Then::PlanAgain, actions);
            }
            BeginOutcome::Begun { txn, sub_txns } => {
                let empty = BTreeMap::new();
                let mut baseline = BTreeMap::new();
                for table in unit.tables.keys() {
                    let slot = self
                        .layouts
                        .get(table)
                        .and_then(|slot| slot.baseline.as_ref());
                    baseline.extend(slot.unwrap_or(&empty).iter().map(|(p, v)| (*p, *v)));
                }
                let verdict = judge(
                    &plan,
                    &Evidence {
                        in_window: unit.judge,
                        labels_intact: self.labels_intact,
                        baseline: &baseline,
                        window_versions: &self.window_versions,
                    },
                );
                match verdict {
                    Verdict::Apply => {
                        unit.judge = false;
                        unit.failures = 0;
                        self.units.insert(seq, unit);
                        let begun = Begun { txn, sub_txns };
                        self.ingest(seq, plan, begun, Arc::default(), 0, actions);
                    }
                    Verdict::AlreadyApplied => {
                        self.undo(unit, plan, txn, Then::AlreadyApplied, actions);
                    }
                    Verdict::NoWitness { why } => {
                        let reason = format!(
                            "nothing tells whether event {seq} was applied before the restart: {why}; sync the table again \
                             with `ccr job resync-table {} <table>`",
                            self.settings.job
                        );
                        self.undo(unit, plan, txn, Then::Fail(reason), actions);
                    }
                }
            }
        }
    }

    fn ask_label(&mut self, mut unit: Unit, plan: Arc<IngestPlan>, actions: &mut Vec<Action>) {
        let seq = unit.seq;
        let failures = unit.failures;
        if let Work::Load(_, phase) = &mut unit.work {
            *phase = LoadPhase::Asking(plan);
        }
        self.units.insert(seq, unit);
        actions.push(Action::AskLabel { seq, failures });
    }

    fn label_told(
        &mut self,
        mut unit: Unit,
        plan: Arc<IngestPlan>,
        state: TxnState,
        txn: Option<TxnId>,
        actions: &mut Vec<Action>,
    ) {
        let seq = unit.seq;
        match (state, txn) {
            (TxnState::Committed | TxnState::Visible, _) => {
                self.took_effect(unit, true, None, actions)
            }
            (TxnState::Prepare | TxnState::Precommitted, Some(txn)) => {
                self.undo(unit, plan, txn, Then::BeginAgain, actions);
            }
            (TxnState::Prepare | TxnState::Precommitted, None)
            | (TxnState::Unknown | TxnState::Aborted, _) => {
                unit.failures += 1;
                let failures = unit.failures;
                self.units.insert(seq, unit);
                self.begin(seq, plan, failures, actions);
            }
        }
    }

    fn undone(
        &mut self,
        mut unit: Unit,
        plan: Arc<IngestPlan>,
        then: Then,
        outcome: RollbackOutcome,
        actions: &mut Vec<Action>,
    ) {
        let seq = unit.seq;
        match (then, outcome) {
            (_, RollbackOutcome::AlreadyCommitted) => self.took_effect(unit, true, None, actions),
            (Then::BeginAgain, RollbackOutcome::NotFound) => self.ask_label(unit, plan, actions),
            (Then::BeginAgain, RollbackOutcome::Aborted) => {
                let failures = unit.failures;
                self.units.insert(seq, unit);
                self.begin(seq, plan, failures, actions);
            }
            (Then::AlreadyApplied, RollbackOutcome::Aborted | RollbackOutcome::NotFound) => {
                self.took_effect(unit, true, None, actions);
            }
            (Then::PlanAgain, RollbackOutcome::Aborted | RollbackOutcome::NotFound) => {
                unit.dirty = false;
                if unit.tables.is_empty() {
                    actions.push(Action::Skip {
                        seq,
                        reason: "table stands".to_owned(),
                    });
                    self.finish(unit);
                    return;
                }
                if let Work::Load(_, phase) = &mut unit.work {
                    *phase = LoadPhase::Mapping(None);
                }
                self.units.insert(seq, unit);
                self.map(seq, actions);
            }
            (Then::Fail(reason), RollbackOutcome::Aborted | RollbackOutcome::NotFound) => {
                if let Work::Load(_, phase) = &mut unit.work {
                    *phase = LoadPhase::Failed(BTreeSet::new(), reason);
                }
                self.units.insert(seq, unit);
                self.touched.insert(seq);
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one phase")]
    fn commit_answered(
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

    /// Reads the layouts of the unit again and plans its missing parts within the same transaction.
    fn refresh(
        &mut self,
        mut unit: Unit,
        event: Arc<RowsetsCommitted>,
        begun: Begun,
        held: Arc<BTreeSet<Held>>,
        actions: &mut Vec<Action>,
    ) {
        let seq = unit.seq;
        for table in unit.tables.keys() {
            let slot = self.layouts.entry(*table).or_default();
            if !matches!(slot.known, LayoutKnown::Reading) {
                slot.known = LayoutKnown::No;
            }
        }
        unit.work = Work::Load(event, LoadPhase::Mapping(Some((begun, held))));
        self.units.insert(seq, unit);
        self.map(seq, actions);
    }

    fn load_failed(
        &mut self,
        mut unit: Unit,
        event: Arc<RowsetsCommitted>,
        phase: LoadPhase,
        failure: &Failure,
        actions: &mut Vec<Action>,
    ) {
        let seq = unit.seq;
        let failures = unit.failures;
        let table_gone = failure.refusal == Some(Refusal::UnknownTable);
        let action = match &phase {
            LoadPhase::Beginning(_) if unit.dirty || table_gone => {
                for table in unit.tables.keys() {
                    self.layouts.entry(*table).or_default().known = LayoutKnown::No;
                }
                unit.dirty = false;
                unit.misses += u32::from(table_gone);
                if unit.tables.is_empty() {
                    self.finish(unit);
                    return;
                }
                unit.work = Work::Load(event, LoadPhase::Mapping(None));
                self.units.insert(seq, unit);
                self.map(seq, actions);
                return;
            }
            LoadPhase::Committing(plan, begun, _) if table_gone => {
                for table in unit.tables.keys() {
                    self.layouts.entry(*table).or_default().known = LayoutKnown::No;
                }
                unit.misses += 1;
                let (plan, txn) = (plan.clone(), begun.txn);
                self.undo(unit, plan, txn, Then::PlanAgain, actions);
                return;
            }
            LoadPhase::Beginning(plan) => Action::BeginTxn {
                seq,
                plan: plan.clone(),
                failures,
            },
            LoadPhase::Asking(_) => Action::AskLabel { seq, failures },
            LoadPhase::Undoing(_, txn, _) => Action::RollbackTxn {
                seq,
                txn: *txn,
                reason: "repeated",
                failures,
            },
            LoadPhase::Ingesting(plan, begun, held) => Action::IngestTablets {
                seq,
                begun: begun.clone(),
                plan: plan.clone(),
                event: event.clone(),
                held: held.clone(),
                failures,
            },
            // The outcome is unknown: the same commit again, never another transaction first.
            LoadPhase::Committing(plan, begun, held) => Action::CommitTxn {
                seq,
                begun: begun.clone(),
                plan: plan.clone(),
                held: held.clone(),
                failures,
            },
            LoadPhase::Waiting
            | LoadPhase::Mapping(_)
            | LoadPhase::Ingested(..)
            | LoadPhase::Failed(..) => {
                unit.work = Work::Load(event, phase);
                self.units.insert(seq, unit);
                return;
            }
        };
        unit.work = Work::Load(event, phase);
        self.units.insert(seq, unit);
        actions.push(action);
    }

    fn took_effect(
        &mut self,
        unit: Unit,
        before: bool,
        unseen: Option<TxnId>,
        actions: &mut Vec<Action>,
    ) {
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

    /// A layout was read: whoever waits for it goes on.
    pub(crate) fn layout_read(
        &mut self,
        table: TableId,
        read: LayoutRead,
        actions: &mut Vec<Action>,
    ) {
        let Some(slot) = self.layouts.get_mut(&table) else {
            return;
        };
        let mut failures = 0;
        match read {
            LayoutRead::Found(layout) => {
                if slot.baseline.is_none() {
                    let versions = layout
                        .table
                        .partitions
                        .iter()
                        .map(|p| (p.id, p.visible_version));
                    slot.baseline = Some(versions.collect());
                }
                slot.known = LayoutKnown::Yes(layout);
            }
            LayoutRead::Missing => slot.known = LayoutKnown::Missing,
            LayoutRead::Failed(failure) => {
                slot.known = LayoutKnown::No;
                self.last_error = Some(failure.text);
                failures = 1;
            }
        }
        let waiting: Vec<CommitSeq> = self
            .units
            .values()
            .filter(|unit| {
                unit.tables.contains_key(&table)
                    && matches!(unit.work, Work::Load(_, LoadPhase::Mapping(_)))
            })
            .map(|unit| unit.seq)
            .collect();
        for seq in waiting {
            if failures > 0
                && let Some(unit) = self.units.get_mut(&seq)
            {
                unit.failures += 1;
            }
            self.map(seq, actions);
        }
    }
}
