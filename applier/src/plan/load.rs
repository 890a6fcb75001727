//! A transaction from its begin to its turn. Every answer that may mean "done before" is judged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ccr_doris::error::Refusal;
use ccr_doris::{BeginOutcome, LabelState, TxnState};
use ccr_schemas::event::RowsetsCommitted;
use ccr_schemas::{CommitSeq, TxnId};

use crate::plan::action::{Begun, Held};
use crate::plan::judge::{Evidence, Verdict, judge};
use crate::plan::mapping::IngestPlan;
use crate::plan::state::{Apply, LoadPhase, Redo, Then, Unit, Work};
use crate::plan::verify::Verifying;
use crate::plan::{Action, Failure, Outcome};

/// Failures of an ingest before events that are not taken yet are asked for the reason.
const FAILURES_BEFORE_LOOKING: u32 = 2;

impl Apply {
    pub(super) fn begin(
        &mut self,
        seq: CommitSeq,
        plan: Arc<IngestPlan>,
        failures: u32,
        actions: &mut Vec<Action>,
    ) {
        self.set_load_phase(seq, LoadPhase::Beginning(plan.clone()));
        if let Some(unit) = self.units.get_mut(&seq) {
            unit.newest_txn = self.newest_txn;
            unit.begun_at_ms = self.now_ms;
        }
        actions.push(Action::BeginTxn {
            seq,
            plan,
            failures,
        });
    }

    pub(super) fn ingest(
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
                if unit.redo != Redo::No {
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
                let gone = self.removals.partitions_of(seq, &event);
                let rollups_go = !unit.without_rollups && self.drops_rollups(seq, &event);
                if gone.len() > unit.gone.len() || rollups_go {
                    unit.gone = gone;
                    unit.without_rollups |= rollups_go;
                    unit.redo = unit.redo.max(Redo::Plan);
                } else {
                    self.look_ahead(unit.failures, actions);
                }
                if unit.redo != Redo::No {
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
            (LoadPhase::Settling(ddl), Outcome::Visible) => {
                self.see(&unit);
                self.run_obsolete(unit, event, ddl, actions);
            }
            (LoadPhase::Dropping(_), Outcome::DdlInEffect { .. } | Outcome::TableAbsent) => {
                self.forget_layouts(&unit);
                (unit.redo, unit.failures, unit.misses) = (Redo::No, 0, 0);
                unit.work = Work::Load(event, LoadPhase::Mapping(None));
                self.units.insert(seq, unit);
                self.map(seq, actions);
            }
            (LoadPhase::Verifying(plan, claim, Verifying::Settling), Outcome::Visible) => {
                self.settled(unit, plan, claim, actions);
            }
            (LoadPhase::Committing(plan, begun, held), Outcome::Commit(outcome)) => {
                self.commit_answered(unit, event, plan, begun, held, outcome, actions);
            }
            (phase, outcome) => self.unexpected_outcome(&unit, phase.name(), &outcome, actions),
        }
    }

    /// What can not be had may be removed by an event for which the window has no room.
    pub(super) fn look_ahead(&mut self, failures: u32, actions: &mut Vec<Action>) {
        if failures < FAILURES_BEFORE_LOOKING || self.wants_more() || self.looking_ahead {
            return;
        }
        self.looking_ahead = true;
        actions.push(Action::LookAhead {
            from: self.window.next_offset(),
            failures: 0,
        });
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
            } => self.found_finished(unit, plan, actions),
            BeginOutcome::LabelExists {
                txn: Some(txn),
                state: LabelState::Running | LabelState::Precommitted,
            } => self.undo(unit, plan, txn, Then::BeginAgain, actions),
            BeginOutcome::LabelExists {
                txn: None,
                state: LabelState::Running | LabelState::Precommitted,
            } => self.ask_label(unit, plan, actions),
            BeginOutcome::Begun { txn, .. } if !self.note_begun(txn, unit.newest_txn, actions) => {
                self.set_phase(&mut unit, LoadPhase::Beginning(plan));
                self.units.insert(seq, unit);
            }
            BeginOutcome::Begun { txn, .. } if unit.redo != Redo::No => {
                self.undo(unit, plan, txn, Then::PlanAgain, actions);
            }
            BeginOutcome::Begun { txn, sub_txns } => {
                let mut baseline = BTreeMap::new();
                for slot in unit.tables.keys().filter_map(|t| self.layouts.get(t)) {
                    baseline.extend(slot.versions.expected().iter().map(|(p, v)| (*p, *v)));
                }
                let removed = match &unit.work {
                    Work::Load(event, _) => self.removals.partitions_of(seq, event),
                    Work::Change(..) | Work::Renew(..) => BTreeSet::new(),
                };
                let verdict = judge(
                    &plan,
                    &Evidence {
                        in_window: unit.judge,
                        labels_intact: self.labels_intact,
                        baseline: &baseline,
                        window_versions: &self.window_versions,
                        removed: &removed,
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
                            "nothing tells whether event {seq} was applied before the restart: {why}; {}",
                            self.settings
                                .resync_advice(unit.tables.values().map(String::as_str))
                        );
                        let all = BTreeSet::new();
                        self.undo(unit, plan, txn, Then::Fail(all, reason), actions);
                    }
                }
            }
        }
    }

    pub(super) fn ask_label(
        &mut self,
        mut unit: Unit,
        plan: Arc<IngestPlan>,
        actions: &mut Vec<Action>,
    ) {
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
                self.found_finished(unit, plan, actions);
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
            LoadPhase::Beginning(_) if unit.redo == Redo::Start => {
                self.unstart(unit, actions);
                return;
            }
            LoadPhase::Beginning(_) if unit.redo == Redo::Plan || table_gone => {
                self.forget_layouts(&unit);
                unit.redo = Redo::No;
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
                self.forget_layouts(&unit);
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
            LoadPhase::Settling(_) => Action::AwaitVisible {
                seq,
                txns: self.unseen(&unit),
                failures,
            },
            LoadPhase::Dropping(ddl) => {
                let ddl = ddl.clone();
                self.obsolete_failed(unit, event, ddl, failure, actions);
                return;
            }
            LoadPhase::Verifying(_, _, Verifying::Settling) => {
                Action::AwaitSettled { seq, failures }
            }
            LoadPhase::Waiting
            | LoadPhase::Mapping(_)
            | LoadPhase::Ingested(..)
            | LoadPhase::Claimed(_)
            | LoadPhase::Verifying(_, _, Verifying::Reading | Verifying::LookingAhead)
            | LoadPhase::Obsolete(_)
            | LoadPhase::Failed(..)
            | LoadPhase::Unfit(_) => {
                unit.work = Work::Load(event, phase);
                self.units.insert(seq, unit);
                return;
            }
        };
        unit.work = Work::Load(event, phase);
        self.units.insert(seq, unit);
        actions.push(action);
    }
}
