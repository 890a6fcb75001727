//! A transaction's data mapped onto the destination's tables, with the layouts that this needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ccr_control::Policy;
use ccr_schemas::event::RowsetsCommitted;
use ccr_schemas::{CommitSeq, TableId, TxnId};

use crate::plan::action::{Begun, Held};
use crate::plan::mapping::{self, IngestPlan, Miss, Unmapped};
use crate::plan::slot::LayoutKnown;
use crate::plan::state::{Apply, LoadPhase, Then, Unit, Work};
use crate::plan::verify::Verifying;
use crate::plan::{Action, LayoutRead};

/// How often a layout is read again for something that has no counterpart, before its table is re-synced.
const MOST_MISSES: u32 = 5;
/// The same for a rollup that the source does not have: the event that drops it can be far behind in the log. About 40 s.
const MOST_SURPLUS: u32 = 11;

fn most_misses(miss: &Miss) -> u32 {
    if miss.is_surplus {
        MOST_SURPLUS
    } else {
        MOST_MISSES
    }
}

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
        let (gone, without_rollups) = (unit.gone.clone(), unit.without_rollups);
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
        let later = self.later(seq, &event, without_rollups);
        match mapping::map(&event, &takes, &gone, &layouts, &later) {
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
            Err(Unmapped::Obsolete { dest, rollup, .. }) => {
                let txn = again.map(|(begun, _)| begun.txn);
                self.obsolete(seq, txn, &dest, &rollup, actions);
            }
            Err(Unmapped::Miss(miss)) if misses < most_misses(&miss) => {
                self.layouts.entry(miss.table).or_default().known = LayoutKnown::No;
                if let Some(unit) = self.units.get_mut(&seq) {
                    unit.misses += 1;
                }
                self.look_ahead(misses, actions);
                self.map(seq, actions);
            }
            Err(Unmapped::Miss(miss)) => {
                self.unfit(seq, again.map(|(begun, _)| begun.txn), &miss, actions)
            }
        }
    }

    /// The destination's table is not as the transaction needs it: a snapshot repairs it, unless one just did not.
    fn unfit(
        &mut self,
        seq: CommitSeq,
        txn: Option<TxnId>,
        miss: &Miss,
        actions: &mut Vec<Action>,
    ) {
        let snapshots = self.settings.options.on_unsupported == Policy::Halt;
        if !snapshots || self.unfit.contains(&miss.table) {
            let unit = self.units.get(&seq);
            let name = unit.and_then(|unit| unit.tables.get(&miss.table));
            let reason = format!(
                "{}; {}",
                miss.what,
                self.settings.resync_advice(name.map(String::as_str))
            );
            self.fail_or_undo(seq, txn, miss.table, reason, actions);
            return;
        }
        self.unfit.insert(miss.table);
        let Some(mut unit) = self.units.remove(&seq) else {
            return;
        };
        if let Some(txn) = txn {
            let then = Then::Resync(miss.what.clone());
            self.undo(unit, Arc::default(), txn, then, actions);
            return;
        }
        if let Work::Load(_, phase) = &mut unit.work {
            *phase = LoadPhase::Unfit(miss.what.clone());
        }
        self.units.insert(seq, unit);
        self.touched.insert(seq);
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
            None => {
                self.check_if_old(seq, actions);
                self.begin(seq, plan, 0, actions);
            }
        }
    }

    /// The layouts of the unit's tables are not what they were.
    pub(super) fn forget_layouts(&mut self, unit: &Unit) {
        for table in unit.tables.keys() {
            self.layouts.entry(*table).or_default().known = LayoutKnown::No;
        }
    }

    /// Reads the layouts of the unit again and plans its missing parts within the same transaction.
    pub(super) fn refresh(
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
        let exactly = std::mem::take(&mut slot.reading_exactly);
        match read {
            LayoutRead::Found(_) | LayoutRead::Missing
                if std::mem::take(&mut slot.reading_stale) =>
            {
                slot.known = LayoutKnown::No;
            }
            LayoutRead::Found(layout) => {
                slot.versions.read(&layout, exactly);
                slot.settled = exactly;
                slot.read_at_ms = self.now_ms;
                slot.known = LayoutKnown::Yes(layout);
            }
            LayoutRead::Missing => {
                slot.known = LayoutKnown::Missing;
                slot.versions.forget();
                slot.settled = exactly;
            }
            LayoutRead::Failed(failure) => {
                slot.known = LayoutKnown::No;
                slot.reading_stale = false;
                self.last_error = Some(failure.text);
                failures = 1;
            }
        }
        let waiting: Vec<CommitSeq> = self
            .units
            .values()
            .filter(|unit| {
                unit.tables.contains_key(&table)
                    && matches!(
                        unit.work,
                        Work::Load(
                            _,
                            LoadPhase::Mapping(_) | LoadPhase::Verifying(_, _, Verifying::Reading)
                        )
                    )
            })
            .map(|unit| unit.seq)
            .collect();
        for seq in waiting {
            if failures > 0
                && let Some(unit) = self.units.get_mut(&seq)
            {
                unit.failures += 1;
            }
            match self.units.get(&seq).map(|unit| &unit.work) {
                Some(Work::Load(_, LoadPhase::Verifying(..))) => self.read_exactly(seq, actions),
                Some(Work::Load(..) | Work::Change(..) | Work::Renew(..)) | None => {
                    self.map(seq, actions);
                }
            }
        }
    }
}
