//! A change of shape: wait until everything before it on its lanes is visible, make `Started` durable, run it, make `Done`
//! durable before anything behind it starts. After a crash a started change is judged by the object's shape. A table that the
//! change needs and that is absent is brought by a snapshot instead.

use std::sync::Arc;

use ccr_log::MAX_METADATA_BYTES;
use ccr_schemas::{CommitSeq, EventKind, TxnId};

use crate::plan::checkpoint::{Floor, PairFound, Progress};
use crate::plan::ddl::{Ddl, Effect};
use crate::plan::exchange::exchange;
use crate::plan::patience::Patience;
use crate::plan::removal::rollup_life;
use crate::plan::state::{Apply, ChangePhase, Unit, Work};
use crate::plan::{Action, Failure, Outcome, Settings};

/// Why snapshots take the place of a statement.
const ABSENT: &str = "the table is not at the destination";

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
            self.run(unit, ddl, true, floor.evidence, actions);
        } else if ddl.needs_evidence() {
            unit.work = Work::Change(ddl.clone(), ChangePhase::Looking);
            self.units.insert(seq, unit);
            actions.push(Action::ReadEvidence {
                seq,
                ddl,
                failures: 0,
            });
        } else {
            self.start(unit, ddl, None, actions);
        }
    }

    /// Makes `Started` durable, then runs it.
    fn start(
        &mut self,
        mut unit: Unit,
        ddl: Arc<Ddl>,
        evidence: Option<PairFound>,
        actions: &mut Vec<Action>,
    ) {
        let seq = unit.seq;
        let floor = Floor {
            at: seq,
            progress: Progress::Started,
            evidence,
        };
        self.set_floor(&unit, floor);
        if !self.has_room_for_floor(seq) {
            // The window shrinks as other lanes go on, then it is tried again.
            self.unset_floor(&unit);
            unit.work = Work::Change(ddl, ChangePhase::Waiting(None));
            self.units.insert(seq, unit);
            return;
        }
        self.record(actions);
        self.run(unit, ddl, false, evidence, actions);
    }

    /// Some room of the metadata is kept for the first of the window, which nothing else can make room for.
    fn has_room_for_floor(&mut self, seq: CommitSeq) -> bool {
        let is_first = self.units.keys().next().is_none_or(|first| *first >= seq);
        let room = if is_first {
            MAX_METADATA_BYTES
        } else {
            MAX_METADATA_BYTES * 3 / 4
        };
        let text = self.checkpoint().1.encode();
        text.is_some_and(|text| text.len() <= room)
    }

    /// Runs what the evidence leaves to run; without a statement its tables come by snapshots at once.
    fn run(
        &mut self,
        mut unit: Unit,
        ddl: Arc<Ddl>,
        replay: bool,
        evidence: Option<PairFound>,
        actions: &mut Vec<Action>,
    ) {
        let seq = unit.seq;
        let failures = unit.failures;
        let exchange = exchange(&ddl, evidence);
        let Some(statement) = exchange.ddl else {
            self.resync_instead(unit, exchange.resync, why(&ddl), actions);
            return;
        };
        unit.work = Work::Change(ddl, ChangePhase::Running(evidence));
        self.units.insert(seq, unit);
        actions.push(Action::RunDdl {
            seq,
            ddl: Arc::new(statement),
            replay,
            evidence,
            failures,
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
                self.see(&unit);
                self.look(unit, ddl, floor, actions);
            }
            (ChangePhase::Looking, Outcome::Evidence(evidence)) => {
                self.start(unit, ddl, evidence, actions);
            }
            (ChangePhase::Looking, Outcome::NameTaken) => self.name_taken(unit, &ddl, actions),
            (ChangePhase::Running(_), Outcome::TableAbsent) => {
                self.resync_instead(unit, ddl.bearers.clone(), ABSENT, actions);
            }
            (ChangePhase::Running(evidence), Outcome::DdlInEffect { before }) => {
                let resync = exchange(&ddl, evidence).resync;
                if !resync.is_empty() {
                    self.layouts.clear();
                    self.forget_left(&unit, &ddl);
                    self.resync_instead(unit, resync, why(&ddl), actions);
                    return;
                }
                actions.push(Action::Applied {
                    seq,
                    kind: unit.kind,
                    source_at: unit.source_at,
                    before,
                });
                self.last_error = None;
                self.change_done(unit, &ddl, actions);
            }
            (phase, Outcome::Failed(failure)) => {
                unit.failures += 1;
                self.last_error = Some(failure.text.clone());
                self.change_failed(unit, ddl, phase, &failure, actions);
            }
            (phase, outcome) => self.unexpected_outcome(&unit, phase.name(), &outcome, actions),
        }
    }

    /// Makes `Done` durable before anything behind it starts.
    fn change_done(&mut self, unit: Unit, ddl: &Ddl, actions: &mut Vec<Action>) {
        let floor = Floor {
            at: unit.seq,
            progress: Progress::Done,
            evidence: None,
        };
        self.set_floor(&unit, floor);
        for table in unit.tables.keys() {
            self.layouts.remove(table);
        }
        if unit.barrier {
            self.layouts.clear();
        }
        self.forget_left(&unit, ddl);
        self.finish(unit);
        self.record(actions);
    }

    /// Tables that are dropped, or lose their name to another, are none of the job's any more.
    fn forget_left(&mut self, unit: &Unit, ddl: &Ddl) {
        if matches!(
            unit.kind,
            EventKind::TableDropped | EventKind::TableReplaced
        ) {
            let left = ddl.leaves(unit.tables.keys().copied());
            self.forget_tables(left.into_iter());
        }
    }

    /// The rollup of a renaming was dropped at the destination already, for a transaction whose data went with it.
    fn rollup_goes(&self, unit: &Unit, ddl: &Ddl) -> bool {
        let Effect::RollupRenamed { new, .. } = &ddl.effect else {
            return false;
        };
        unit.tables.keys().any(|table| {
            let later = self.removals.rollups_after(*table, unit.seq);
            rollup_life(new, &later).1.is_some()
        })
    }

    /// The name of a table to create is taken by a table of unknown content.
    fn name_taken(&mut self, mut unit: Unit, ddl: &Arc<Ddl>, actions: &mut Vec<Action>) {
        let (Some(bearer), true) = (ddl.bearers.first(), self.settings.replaces_existing) else {
            let name = ddl.creates().unwrap_or_default();
            let tables = unit.tables.values().map(String::as_str);
            let reason = format!(
                "{} failed: {}",
                ddl.what,
                name_taken(name, tables, &self.settings)
            );
            let seq = unit.seq;
            unit.work = Work::Change(ddl.clone(), ChangePhase::Failed(reason));
            self.units.insert(seq, unit);
            self.touched.insert(seq);
            return;
        };
        let reason = "a table of its name is at the destination already";
        self.resync_instead(unit, vec![bearer.clone()], reason, actions);
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
        let give_up = unit
            .failing
            .count(failure.kind, Patience::STATEMENT, self.now_ms);
        let next = match &phase {
            ChangePhase::Running(_) if self.rollup_goes(&unit, &ddl) => {
                actions.push(Action::Skip {
                    seq,
                    reason: "the rollup is dropped later".to_owned(),
                });
                self.change_done(unit, &ddl, actions);
                return;
            }
            ChangePhase::Running(_) if give_up && renames_rollup(&ddl) => {
                let reason = format!("{} failed: {}", ddl.what, failure.text);
                self.resync_instead(unit, ddl.bearers.clone(), &reason, actions);
                return;
            }
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
            ChangePhase::Running(evidence) => {
                let evidence = *evidence;
                self.run(unit, ddl, true, evidence, actions);
                return;
            }
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

fn why(ddl: &Ddl) -> &str {
    ddl.stale
        .as_ref()
        .map_or(ABSENT, |stale| stale.why.as_str())
}

fn renames_rollup(ddl: &Ddl) -> bool {
    matches!(ddl.effect, Effect::RollupRenamed { .. })
}

/// Why an object cannot be created, with the next step. `tables` are the names of the halted tables at the source.
pub(super) fn name_taken<'a>(
    dest: &str,
    tables: impl IntoIterator<Item = &'a str>,
    settings: &Settings,
) -> String {
    format!(
        "{dest} exists already at the destination and its content is not known; keep what is needed of it elsewhere, then have it \
         replaced: {}",
        settings.resync_advice(tables)
    )
}
