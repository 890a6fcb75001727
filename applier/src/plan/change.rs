//! A change of shape: wait until everything before it on its lanes is visible, make `Started` durable, run it, make `Done`
//! durable before anything behind it starts. After a crash a started change is judged by the object's shape.

use std::sync::Arc;

use ccr_log::MAX_METADATA_BYTES;
use ccr_ops::ErrorKind;
use ccr_schemas::{CommitSeq, TableId, TxnId};

use crate::plan::checkpoint::{Floor, Progress};
use crate::plan::ddl::Ddl;
use crate::plan::state::{Apply, ChangePhase, Unit, Work};
use crate::plan::{Action, Failure, Outcome};

/// How often a statement that the destination refuses for no known reason is tried before its table stands.
const MOST_REFUSALS: u32 = 8;

impl Apply {
    /// The change is at the front of all its lanes.
    pub(crate) fn start_change(&mut self, seq: CommitSeq, actions: &mut Vec<Action>) {
        let Some(mut unit) = self.units.remove(&seq) else {
            return;
        };
        let Work::Change(ddl, ChangePhase::Waiting(floor)) = &unit.work else {
            self.units.insert(seq, unit);
            return;
        };
        let (ddl, floor) = (ddl.clone(), *floor);
        self.waiting.remove(&seq);
        let txns = self.unseen(&unit);
        if txns.is_empty() {
            self.look(unit, ddl, floor, actions);
            return;
        }
        unit.work = Work::Change(ddl, ChangePhase::Settling(floor));
        self.units.insert(seq, unit);
        actions.push(Action::AwaitVisible {
            seq,
            txns,
            failures: 0,
        });
    }

    /// Transactions that the change must see: those of its tables, of all for a database-wide one.
    pub(super) fn unseen(&self, unit: &Unit) -> Vec<TxnId> {
        let mut txns: Vec<TxnId> = self
            .lanes
            .iter()
            .filter(|(table, _)| unit.barrier || unit.tables.contains_key(table))
            .flat_map(|(_, lane)| lane.unseen.iter().copied())
            .collect();
        txns.sort_unstable();
        txns.dedup();
        txns
    }

    fn look(
        &mut self,
        mut unit: Unit,
        ddl: Arc<Ddl>,
        floor: Option<Floor>,
        actions: &mut Vec<Action>,
    ) {
        let seq = unit.seq;
        if let Some(floor) = floor {
            unit.work = Work::Change(ddl.clone(), ChangePhase::Running(floor.evidence));
            self.units.insert(seq, unit);
            actions.push(Action::RunDdl {
                seq,
                ddl,
                replay: true,
                evidence: floor.evidence,
                failures: 0,
            });
        } else if ddl.needs_evidence() {
            unit.work = Work::Change(ddl.clone(), ChangePhase::Looking);
            self.units.insert(seq, unit);
            actions.push(Action::ReadEvidence {
                seq,
                ddl,
                failures: 0,
            });
        } else {
            self.run(unit, ddl, None, actions);
        }
    }

    fn run(
        &mut self,
        mut unit: Unit,
        ddl: Arc<Ddl>,
        evidence: Option<i64>,
        actions: &mut Vec<Action>,
    ) {
        let seq = unit.seq;
        let floor = Floor {
            at: seq,
            progress: Progress::Started,
            evidence,
        };
        self.set_floor(&unit, floor);
        unit.work = Work::Change(ddl.clone(), ChangePhase::Running(evidence));
        self.units.insert(seq, unit);
        let first = self.units.keys().next() == Some(&seq);
        let room = if first {
            MAX_METADATA_BYTES
        } else {
            MAX_METADATA_BYTES * 3 / 4
        };
        let text = self.checkpoint().1.encode();
        if text.is_none_or(|text| text.len() > room) {
            // No room for the floor: the window shrinks as other lanes go on, then it is tried again. Some is kept for
            // the first of the window, which nothing else can make room for.
            if let Some(mut unit) = self.units.remove(&seq) {
                self.unset_floor(&unit);
                unit.work = Work::Change(ddl, ChangePhase::Waiting(None));
                self.units.insert(seq, unit);
            }
            return;
        }
        self.record(actions);
        actions.push(Action::RunDdl {
            seq,
            ddl,
            replay: false,
            evidence,
            failures: 0,
        });
    }

    fn set_floor(&mut self, unit: &Unit, floor: Floor) {
        if unit.barrier {
            self.database_floor = Some(floor);
        } else {
            for table in unit.tables.keys() {
                self.floors.insert(*table, floor);
            }
        }
    }

    fn unset_floor(&mut self, unit: &Unit) {
        if unit.barrier {
            self.database_floor = None;
        } else {
            for table in unit.tables.keys() {
                self.floors.remove(table);
            }
        }
    }

    /// An action of a change ended. `unit` was taken out of the table of units.
    pub(crate) fn change_performed(
        &mut self,
        mut unit: Unit,
        ddl: Arc<Ddl>,
        phase: ChangePhase,
        outcome: Outcome,
        actions: &mut Vec<Action>,
    ) {
        let seq = unit.seq;
        match (phase, outcome) {
            (ChangePhase::Settling(floor), Outcome::Visible) => {
                for (table, lane) in &mut self.lanes {
                    if unit.barrier || unit.tables.contains_key(table) {
                        lane.unseen.clear();
                    }
                }
                self.look(unit, ddl, floor, actions);
            }
            (ChangePhase::Looking, Outcome::Evidence(evidence)) => {
                self.run(unit, ddl, evidence, actions);
            }
            (ChangePhase::Running(_), Outcome::DdlInEffect { before }) => {
                self.set_floor(
                    &unit,
                    Floor {
                        at: seq,
                        progress: Progress::Done,
                        evidence: None,
                    },
                );
                let tables: Vec<TableId> = unit.tables.keys().copied().collect();
                for table in tables {
                    self.layouts.remove(&table);
                }
                if unit.barrier {
                    self.layouts.clear();
                }
                actions.push(Action::Applied {
                    seq,
                    kind: unit.kind,
                    source_at: unit.source_at,
                    before,
                });
                self.last_error = None;
                self.finish(unit);
                self.record(actions);
            }
            (phase, Outcome::Failed(failure)) => {
                unit.failures += 1;
                self.last_error = Some(failure.text.clone());
                self.change_failed(unit, ddl, phase, &failure, actions);
            }
            (phase, outcome) => self.unexpected_outcome(&unit, phase.name(), &outcome, actions),
        }
    }

    fn change_failed(
        &mut self,
        mut unit: Unit,
        ddl: Arc<Ddl>,
        phase: ChangePhase,
        failure: &Failure,
        actions: &mut Vec<Action>,
    ) {
        let seq = unit.seq;
        let failures = unit.failures;
        let give_up = match failure.kind {
            ErrorKind::Unavailable | ErrorKind::Throttled => false,
            ErrorKind::Transient | ErrorKind::Conflict => failures >= MOST_REFUSALS,
            ErrorKind::Fenced | ErrorKind::Invalid | ErrorKind::Corrupt => true,
        };
        let next = match &phase {
            ChangePhase::Running(_) if give_up => {
                unit.work = Work::Change(
                    ddl.clone(),
                    ChangePhase::Failed(format!("{} failed: {}", ddl.what, failure.text)),
                );
                self.units.insert(seq, unit);
                self.touched.insert(seq);
                return;
            }
            // The outcome is unknown, or it was refused for now: look at the object before running it again.
            ChangePhase::Running(evidence) => Some(Action::RunDdl {
                seq,
                ddl: ddl.clone(),
                replay: true,
                evidence: *evidence,
                failures,
            }),
            ChangePhase::Settling(_) => Some(Action::AwaitVisible {
                seq,
                txns: self.unseen(&unit),
                failures,
            }),
            ChangePhase::Looking => Some(Action::ReadEvidence {
                seq,
                ddl: ddl.clone(),
                failures,
            }),
            ChangePhase::Waiting(_) | ChangePhase::Failed(_) => None,
        };
        unit.work = Work::Change(ddl, phase);
        self.units.insert(seq, unit);
        actions.extend(next);
    }
}
