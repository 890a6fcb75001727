//! Layouts that are old are read again while loads go on, so that a table which was put back to an older state behind the
//! job's back is noticed although no connection broke.

use std::collections::BTreeMap;

use ccr_schemas::{CommitSeq, PartitionId, TableId};

use crate::plan::Action;
use crate::plan::action::LayoutRead;
use crate::plan::slot::{Check, LayoutKnown};
use crate::plan::state::{Apply, LoadPhase, Unit, Work};

impl Apply {
    /// Reads the layouts of a load's tables again when they are old, while the load goes on.
    pub(super) fn check_if_old(&mut self, seq: CommitSeq, actions: &mut Vec<Action>) {
        let Some(unit) = self.units.get(&seq) else {
            return;
        };
        for (table, name) in &unit.tables {
            let lane = self.lanes.get(table);
            let Some(slot) = self.layouts.get_mut(table) else {
                continue;
            };
            let age = self.now_ms - slot.read_at_ms;
            let is_fresh = (0..=self.settings.layout_max_age_ms).contains(&age);
            if is_fresh || slot.check.is_some() || !matches!(slot.known, LayoutKnown::Yes(_)) {
                continue;
            }
            self.checks += 1;
            slot.check = Some(Check {
                id: self.checks,
                lower: slot.versions.expected().clone(),
                holds: lane.is_some_and(|lane| lane.queue.front() == Some(&seq)),
            });
            actions.push(Action::CheckVersions {
                table: *table,
                check: self.checks,
                name: self.settings.dest_name(name).to_owned(),
                after: lane.and_then(|lane| lane.unseen.last().copied()),
            });
        }
    }

    pub(super) fn holds_for_check(&self, seq: CommitSeq) -> bool {
        self.units.get(&seq).is_some_and(|unit| {
            unit.tables.keys().any(|table| {
                let check = self.layouts.get(table).and_then(|slot| slot.check.as_ref());
                check.is_some_and(|check| check.holds)
            })
        })
    }

    /// A check of versions was answered. A version that cannot be makes the next load of the table read it exactly.
    pub(super) fn versions_checked(&mut self, table: TableId, id: u64, read: LayoutRead) {
        let under_way = self.under_way(table);
        let Some(slot) = self.layouts.get_mut(&table) else {
            return;
        };
        let Some(check) = slot.check.take_if(|check| check.id == id) else {
            return;
        };
        match read {
            LayoutRead::Found(layout) => {
                if slot.versions.doubt(&layout, &check.lower, &under_way) {
                    slot.distrust();
                } else {
                    slot.versions.read(&layout, false);
                    slot.known = LayoutKnown::Yes(layout);
                    slot.read_at_ms = self.now_ms;
                }
            }
            LayoutRead::Missing => slot.distrust(),
            // The next load asks again.
            LayoutRead::Failed(_) => {}
        }
        let head = self
            .lanes
            .get(&table)
            .and_then(|lane| lane.queue.front().copied());
        self.touched.extend(head);
    }

    /// Transactions per destination partition of a table whose commits are under way.
    fn under_way(&self, table: TableId) -> BTreeMap<PartitionId, i64> {
        let mut counts = BTreeMap::new();
        let lane = self.lanes.get(&table);
        for seq in lane.into_iter().flat_map(|lane| &lane.queue) {
            if let Some(Unit {
                work: Work::Load(_, LoadPhase::Committing(plan, ..)),
                ..
            }) = self.units.get(seq)
            {
                for part in plan.parts.iter().filter(|p| p.source_table == table) {
                    *counts.entry(part.partition.0).or_default() += 1;
                }
            }
        }
        counts
    }
}
