//! A table that no statement can bring along: it is replaced by a snapshot of its own while the other lanes go on.
//!
//! The event that needs it waits for its turn, then the table is asked for, restored aside and put into its place, by one
//! action that may be repeated as a whole: every attempt takes a snapshot of its own, and nothing behind the event starts
//! before it is done. What of the table's events the snapshot contains is left out, now and after a restart
//! ([`crate::plan::Checkpoint::renewed`]).

use std::collections::{BTreeSet, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;

use ccr_schemas::{CommitSeq, EventKind, TableId};

use crate::plan::change;
use crate::plan::checkpoint::{Floor, Progress};
use crate::plan::ddl::{Bearer, Ddl};
use crate::plan::patience::{Failing, Patience};
use crate::plan::state::{Apply, ChangePhase, RenewPhase, Renewal, Unit, Work};
use crate::plan::{Action, Failure, Outcome};

impl Apply {
    /// The event is at the front of its lane.
    pub(crate) fn start_renewal(&mut self, seq: CommitSeq, actions: &mut Vec<Action>) {
        let Some(mut unit) = self.units.remove(&seq) else {
            return;
        };
        let Work::Renew(renewal, RenewPhase::Waiting) = &unit.work else {
            self.units.insert(seq, unit);
            return;
        };
        let renewal = renewal.clone();
        self.waiting.remove(&seq);
        if !unit.later.is_empty() && renewal.request.is_none() {
            // Each is known to be left to do, also when the first is done and the process ends.
            for renewal in unit.later.iter().chain([&renewal]) {
                let floor = Floor {
                    at: seq,
                    progress: Progress::Resync,
                    evidence: None,
                };
                self.floors.insert(renewal.table, floor);
            }
            self.record(actions);
        }
        let txns = self.unseen(&unit);
        if txns.is_empty() {
            self.look_or_renew(unit, renewal, actions);
            return;
        }
        unit.work = Work::Renew(renewal, RenewPhase::Settling);
        self.units.insert(seq, unit);
        actions.push(Action::AwaitVisible {
            seq,
            txns,
            failures: 0,
        });
    }

    /// A table of a new name is brought only where nothing of unknown content bears it.
    fn look_or_renew(&mut self, unit: Unit, renewal: Arc<Renewal>, actions: &mut Vec<Action>) {
        if renewal.creates {
            self.look_for_name(unit, renewal, actions);
        } else {
            self.renew(unit, renewal, actions);
        }
    }

    fn look_for_name(&mut self, mut unit: Unit, renewal: Arc<Renewal>, actions: &mut Vec<Action>) {
        actions.push(Action::ReadEvidence {
            seq: unit.seq,
            ddl: Arc::new(Ddl::needs_free_name(&renewal.dest)),
            failures: unit.failures,
        });
        unit.work = Work::Renew(renewal, RenewPhase::Looking);
        self.units.insert(unit.seq, unit);
    }

    /// The name is free. Durable before the table is brought: what bears the name after a crash is what was begun here.
    fn renew_free(&mut self, unit: Unit, renewal: Arc<Renewal>, actions: &mut Vec<Action>) {
        let floor = Floor {
            at: unit.seq,
            progress: Progress::Started,
            evidence: None,
        };
        self.floors.insert(renewal.table, floor);
        self.record(actions);
        self.renew(unit, renewal, actions);
    }

    fn renew(&mut self, mut unit: Unit, renewal: Arc<Renewal>, actions: &mut Vec<Action>) {
        actions.push(Action::RenewTable {
            seq: unit.seq,
            renewal: renewal.clone(),
            from: self.offset_behind(&unit, &renewal),
            failures: unit.failures,
        });
        unit.work = Work::Renew(renewal, RenewPhase::Running);
        self.units.insert(unit.seq, unit);
    }

    /// An action of a renewal ended. `unit` was taken out of the table of units.
    pub(crate) fn renewal_performed(
        &mut self,
        mut unit: Unit,
        renewal: Arc<Renewal>,
        phase: RenewPhase,
        outcome: Outcome,
        actions: &mut Vec<Action>,
    ) {
        match (phase, outcome) {
            (RenewPhase::Settling, Outcome::Visible) => {
                self.see(&unit);
                self.look_or_renew(unit, renewal, actions);
            }
            (RenewPhase::Looking, Outcome::Evidence(_)) => {
                self.renew_free(unit, renewal, actions);
            }
            (RenewPhase::Looking, Outcome::NameTaken) => {
                let reason = format!(
                    "{}, and {}",
                    renewal.reason,
                    change::name_taken(&renewal.dest, [renewal.name.as_str()], &self.settings)
                );
                let seq = unit.seq;
                unit.work = Work::Renew(renewal, RenewPhase::Failed(reason));
                self.units.insert(seq, unit);
                self.touched.insert(seq);
            }
            (RenewPhase::Running, Outcome::Renewed { upto }) => {
                if unit.later.is_empty() && renewal.request.is_none() {
                    actions.push(Action::Applied {
                        seq: unit.seq,
                        kind: unit.kind,
                        source_at: unit.source_at,
                        before: false,
                    });
                }
                self.past(unit, &renewal, upto, "contained in the snapshot", actions);
            }
            (RenewPhase::Running, Outcome::DroppedAtSource { at }) => {
                self.dropped_later(unit, &renewal, at, actions);
            }
            (phase, Outcome::Failed(failure)) => {
                unit.failures += 1;
                self.last_error = Some(failure.text.clone());
                self.renewal_failed(unit, renewal, phase, &failure, actions);
            }
            (phase, outcome) => self.unexpected_outcome(&unit, phase.name(), &outcome, actions),
        }
    }

    /// Nothing of the table is needed before its drop; nothing of it could be applied to its old shape either.
    fn dropped_later(
        &mut self,
        unit: Unit,
        renewal: &Renewal,
        at: CommitSeq,
        actions: &mut Vec<Action>,
    ) {
        let reason = "the table is dropped later";
        if unit.later.is_empty() && renewal.request.is_none() {
            actions.push(Action::Skip {
                seq: unit.seq,
                reason: reason.to_owned(),
            });
        }
        self.past(unit, renewal, CommitSeq(at.0 - 1), reason, actions);
    }

    /// Everything of the table up to a position is done.
    fn past(
        &mut self,
        mut unit: Unit,
        renewal: &Renewal,
        upto: CommitSeq,
        reason: &str,
        actions: &mut Vec<Action>,
    ) {
        let (seq, table) = (unit.seq, renewal.table);
        let upto = upto.max(seq);
        self.renewed.insert(table, upto);
        self.floors.remove(&table);
        self.answer_request(renewal);
        if changes_names(unit.kind) {
            // What the snapshot contains says nothing about names: the event is done by itself.
            let floor = Floor {
                at: seq,
                progress: Progress::Done,
                evidence: None,
            };
            self.floors.insert(table, floor);
        }
        self.halted.remove(&table);
        self.returning.remove(&table);
        self.adrift.remove(&table);
        self.layouts.remove(&table);
        self.leave_out_upto(table, seq..=upto, reason, actions);
        self.last_error = None;
        let next = unit.later.pop_front();
        if next.is_some() {
            unit.tables.remove(&table);
            self.leave_lane(table, seq);
            self.record(actions);
        }
        match next {
            Some(next) => {
                (unit.failures, unit.failing) = (0, Failing::default());
                self.look_or_renew(unit, next, actions);
            }
            None => {
                unit.tables.remove(&table);
                self.forget_tables(unit.tables.keys().copied());
                unit.tables.insert(table, renewal.name.clone());
                self.finish(unit);
                // Durable before anything behind it starts: afterwards a repetition would take away what came later.
                self.record(actions);
            }
        }
    }

    /// Tables that no name of the job belongs to any more.
    pub(super) fn forget_tables(&mut self, tables: impl Iterator<Item = TableId>) {
        for table in tables {
            self.halted.remove(&table);
            self.returning.remove(&table);
            self.renewed.remove(&table);
            self.floors.remove(&table);
            self.layouts.remove(&table);
        }
    }

    /// Tables come by snapshots in place of an event that cannot be repeated as it is. The unit is at the front of all its
    /// lanes. That is durable first: what is found of these tables after a crash may contain the event.
    pub(crate) fn resync_instead(
        &mut self,
        mut unit: Unit,
        mut bearers: Vec<Bearer>,
        reason: &str,
        actions: &mut Vec<Action>,
    ) {
        let seq = unit.seq;
        if matches!(unit.work, Work::Load(..)) {
            self.active = self.active.saturating_sub(1);
        }
        bearers.retain(|bearer| unit.tables.contains_key(&bearer.table));
        let mut renewals: VecDeque<Arc<Renewal>> = bearers
            .iter()
            .map(|bearer| Arc::new(Renewal::instead(bearer, unit.kind, reason)))
            .collect();
        for renewal in &renewals {
            let floor = Floor {
                at: seq,
                progress: Progress::Resync,
                evidence: None,
            };
            self.floors.insert(renewal.table, floor);
        }
        if std::mem::take(&mut unit.barrier) {
            // What it does to the whole database is done; the tables wait alone.
            self.database_floor = Some(Floor {
                at: seq,
                progress: Progress::Done,
                evidence: None,
            });
            self.end_barrier(seq);
        }
        let kept: BTreeSet<TableId> = renewals.iter().map(|renewal| renewal.table).collect();
        let done: Vec<TableId> = unit.tables.keys().copied().collect();
        for table in done.into_iter().filter(|table| !kept.contains(table)) {
            unit.tables.remove(&table);
            self.leave_lane(table, seq);
        }
        let Some(first) = renewals.pop_front() else {
            actions.push(Action::Applied {
                seq,
                kind: unit.kind,
                source_at: unit.source_at,
                before: false,
            });
            self.finish(unit);
            self.record(actions);
            return;
        };
        self.record(actions);
        unit.later = renewals;
        (unit.failures, unit.failing) = (0, Failing::default());
        unit.work = Work::Renew(first, RenewPhase::Waiting);
        self.units.insert(seq, unit);
        self.start_renewal(seq, actions);
    }

    /// The tables of a transaction come by snapshots that contain it. It is its turn in all its lanes.
    pub(crate) fn resync_load(&mut self, seq: CommitSeq, reason: &str, actions: &mut Vec<Action>) {
        let Some(unit) = self.units.remove(&seq) else {
            return;
        };
        let bearer = |(table, name): (&TableId, &String)| Bearer::new(*table, name, &self.settings);
        let bearers = unit.tables.iter().map(bearer).collect();
        let tables = unit.tables.keys().copied().collect();
        self.unstart_behind(seq, &tables, actions);
        self.resync_instead(unit, bearers, reason, actions);
    }

    /// Queued events behind the first position lose the table. None of them is started: they stand behind.
    fn leave_out_upto(
        &mut self,
        table: TableId,
        positions: RangeInclusive<CommitSeq>,
        reason: &str,
        actions: &mut Vec<Action>,
    ) {
        let contained: Vec<CommitSeq> = self
            .lanes
            .get(&table)
            .into_iter()
            .flat_map(|lane| &lane.queue)
            .copied()
            .filter(|seq| seq != positions.start() && positions.contains(seq))
            .filter(|seq| {
                self.units
                    .get(seq)
                    .is_none_or(|unit| !changes_names(unit.kind))
            })
            .collect();
        for seq in contained {
            let Some(mut unit) = self.units.remove(&seq) else {
                continue;
            };
            unit.tables.remove(&table);
            self.leave_lane(table, seq);
            if unit.tables.is_empty() {
                actions.push(Action::Skip {
                    seq,
                    reason: reason.to_owned(),
                });
                self.finish(unit);
                continue;
            }
            if let Work::Change(_, phase) = &mut unit.work {
                *phase = ChangePhase::Failed(partly_renewed(seq));
            }
            self.touched.insert(seq);
            self.units.insert(seq, unit);
        }
    }

    fn renewal_failed(
        &mut self,
        mut unit: Unit,
        renewal: Arc<Renewal>,
        phase: RenewPhase,
        failure: &Failure,
        actions: &mut Vec<Action>,
    ) {
        let seq = unit.seq;
        let gives_up = unit
            .failing
            .count(failure.kind, Patience::RESTORE, self.now_ms);
        match phase {
            RenewPhase::Running if gives_up => {
                let reason = format!(
                    "{}, and it could not be brought by a snapshot: {}; {}",
                    renewal.reason,
                    failure.text,
                    self.settings.resync_advice([renewal.name.as_str()])
                );
                unit.work = Work::Renew(renewal, RenewPhase::Failed(reason));
                self.units.insert(seq, unit);
                self.touched.insert(seq);
            }
            RenewPhase::Running => self.renew(unit, renewal, actions),
            RenewPhase::Looking => self.look_for_name(unit, renewal, actions),
            RenewPhase::Settling => {
                actions.push(Action::AwaitVisible {
                    seq,
                    txns: self.unseen(&unit),
                    failures: unit.failures,
                });
                unit.work = Work::Renew(renewal, RenewPhase::Settling);
                self.units.insert(seq, unit);
            }
            phase @ (RenewPhase::Waiting | RenewPhase::Failed(_)) => {
                unit.work = Work::Renew(renewal, phase);
                self.units.insert(seq, unit);
            }
        }
    }

    /// Names of the tables that are being renewed.
    pub fn renewing(&self) -> Vec<&str> {
        self.units
            .values()
            .filter_map(|unit| match &unit.work {
                Work::Renew(renewal, RenewPhase::Running) => Some(renewal.name.as_str()),
                Work::Renew(
                    _,
                    RenewPhase::Waiting
                    | RenewPhase::Settling
                    | RenewPhase::Looking
                    | RenewPhase::Failed(_),
                )
                | Work::Load(..)
                | Work::Change(..) => None,
            })
            .collect()
    }
}

impl Renewal {
    /// In place of an event that cannot be repeated as it is.
    pub(crate) fn instead(bearer: &Bearer, kind: EventKind, reason: &str) -> Self {
        Self {
            table: bearer.table,
            name: bearer.name.clone(),
            dest: bearer.dest.clone(),
            reason: format!("{} cannot be repeated: {reason}", kind.as_str()),
            creates: false,
            request: None,
        }
    }
}

/// A snapshot brings what a table contains, under the name that the table has here; names change by the events that change them.
pub(crate) fn changes_names(kind: EventKind) -> bool {
    matches!(kind, EventKind::TableRenamed | EventKind::TableReplaced)
}

/// Why a change of several tables can not be repeated when one of them is past it.
pub(crate) fn partly_renewed(seq: CommitSeq) -> String {
    format!("the change at {seq} also concerns a table that a later snapshot has brought")
}
