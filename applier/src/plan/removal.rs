//! What events take away: data that the source has no more need not be had, when a later event removes it everywhere.

use std::collections::{BTreeMap, BTreeSet};

use ccr_schemas::event::{RowsetsCommitted, TruncateScope};
use ccr_schemas::{CommitSeq, Envelope, Event, IndexId, PartitionId, Replay, TableId};

use crate::plan::route::{Route, route};
use crate::plan::state::Settings;

/// Everything of a table, partition or rollup before a position goes, or comes with a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Of a table.
    Table {
        /// Source table.
        table: TableId,
        /// Position of the event.
        at: CommitSeq,
    },
    /// Of a partition.
    Partition {
        /// Source partition.
        partition: PartitionId,
        /// Position of the event.
        at: CommitSeq,
    },
    /// Of a partition that the event names without its id.
    NamedPartition {
        /// Source table.
        table: TableId,
        /// Name.
        name: String,
        /// Position of the event.
        at: CommitSeq,
    },
    /// Of a rollup; or its name changes, by which it is known at the destination.
    Rollup {
        /// Source table.
        table: TableId,
        /// What happens to it.
        change: RollupChange,
        /// Position of the event.
        at: CommitSeq,
    },
}

/// What an event does to a rollup or synchronous materialized view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RollupChange {
    /// It is dropped.
    Dropped {
        /// Source index.
        id: IndexId,
        /// Its name then.
        name: String,
    },
    /// It gets another name.
    Renamed {
        /// Before.
        old: String,
        /// After.
        new: String,
    },
}

/// What an event removes for a job of these settings.
pub fn removals(envelope: &Envelope, settings: &Settings) -> Vec<Removal> {
    let is_load = matches!(envelope.event, Event::RowsetsCommitted(_));
    if is_load && envelope.replay == Replay::Transaction {
        return Vec::new();
    }
    let at = envelope.commit_seq;
    let of_table = |table: TableId| Removal::Table { table, at };
    if let Route::Renew { tables, .. } = route(envelope, settings) {
        // Their snapshots bring what the source may have no rowsets of any more.
        return tables.into_keys().map(of_table).collect();
    }
    if let Replay::Snapshot { .. } = envelope.replay {
        // Under a name that is none of the job's: a table that comes back to one comes by a snapshot too.
        let tables = envelope.event.tables().into_iter();
        let elsewhere = tables.filter(|table| !settings.filter.takes(&table.name));
        return elsewhere.map(|table| of_table(table.id)).collect();
    }
    if let Event::TableDropped(dropped) = &envelope.event {
        return vec![of_table(dropped.table.id)];
    }
    if let Event::TableReplaced(replaced) = &envelope.event
        && !replaced.swap
    {
        return vec![of_table(replaced.original.id)];
    }
    if let Event::TableTruncated(truncated) = &envelope.event {
        let table = truncated.table.id;
        return match &truncated.scope {
            TruncateScope::EntireTable => vec![of_table(table)],
            TruncateScope::TruncatedPartitions(partitions) => partitions
                .iter()
                .map(|p| of_partition(table, p.id, &p.name, at))
                .collect(),
        };
    }
    if let Event::PartitionDropped(e) = &envelope.event {
        return vec![of_partition(e.table.id, e.partition_id, &e.name, at)];
    }
    let of_rollup = |table: TableId, change: RollupChange| Removal::Rollup { table, change, at };
    if let Event::RollupDropped(e) = &envelope.event {
        let (id, name) = (e.index_id, e.name.clone());
        return vec![of_rollup(e.table.id, RollupChange::Dropped { id, name })];
    }
    if let Event::RollupRenamed(e) = &envelope.event {
        let (old, new) = (e.old.clone(), e.new.clone());
        return vec![of_rollup(e.table.id, RollupChange::Renamed { old, new })];
    }
    Vec::new()
}

fn of_partition(table: TableId, id: PartitionId, name: &str, at: CommitSeq) -> Removal {
    if id.0 >= 0 {
        return Removal::Partition { partition: id, at };
    }
    Removal::NamedPartition {
        table,
        name: name.to_owned(),
        at,
    }
}

/// What is known to be removed by events that were read or looked at and are not passed by the offset.
#[derive(Clone, Debug, Default)]
pub struct Removals {
    tables: BTreeMap<TableId, CommitSeq>,
    partitions: BTreeMap<PartitionId, CommitSeq>,
    named_partitions: BTreeMap<(TableId, String), CommitSeq>,
    rollups: BTreeMap<TableId, BTreeMap<CommitSeq, RollupChange>>,
}

impl Removals {
    /// Takes one over. A later one may be known already: events ahead are looked through before they are read.
    pub fn note(&mut self, removal: Removal) {
        fn latest<K: Ord>(known: &mut BTreeMap<K, CommitSeq>, key: K, at: CommitSeq) {
            let known = known.entry(key).or_insert(at);
            *known = at.max(*known);
        }
        match removal {
            Removal::Table { table, at } => latest(&mut self.tables, table, at),
            Removal::Partition { partition, at } => latest(&mut self.partitions, partition, at),
            Removal::NamedPartition { table, name, at } => {
                latest(&mut self.named_partitions, (table, name), at);
            }
            Removal::Rollup { table, change, at } => {
                self.rollups.entry(table).or_default().insert(at, change);
            }
        }
    }

    /// Forgets what does not matter any more when everything up to a position is done.
    pub fn forget(&mut self, upto: CommitSeq) {
        self.tables.retain(|_, at| *at > upto);
        self.partitions.retain(|_, at| *at > upto);
        self.named_partitions.retain(|_, at| *at > upto);
        for changes in self.rollups.values_mut() {
            changes.retain(|at, _| *at > upto);
        }
        self.rollups.retain(|_, changes| !changes.is_empty());
    }

    /// Partitions of a transaction that are removed after it.
    pub fn partitions_of(&self, seq: CommitSeq, event: &RowsetsCommitted) -> BTreeSet<PartitionId> {
        let later = |at: Option<&CommitSeq>| at.is_some_and(|at| *at > seq);
        let mut gone = BTreeSet::new();
        for rowsets in &event.tables {
            let table = rowsets.table.id;
            let whole = later(self.tables.get(&table));
            for partition in &rowsets.partitions {
                let id = partition.partition_id;
                let named = (table, partition.name.clone());
                if whole
                    || later(self.partitions.get(&id))
                    || later(self.named_partitions.get(&named))
                {
                    gone.insert(id);
                }
            }
        }
        gone
    }

    /// What happens to the rollups of a table after a position, in order.
    pub fn rollups_after(&self, table: TableId, seq: CommitSeq) -> Vec<RollupChange> {
        let changes = self.rollups.get(&table).into_iter().flatten();
        let later = changes.filter(|(at, _)| **at > seq);
        later.map(|(_, change)| change.clone()).collect()
    }
}

/// The names that a rollup has from now on, and the source index under which it is dropped in the end, if it is.
pub fn rollup_life<'a>(
    name: &'a str,
    later: &'a [RollupChange],
) -> (BTreeSet<&'a str>, Option<IndexId>) {
    let (mut now, mut names) = (name, BTreeSet::from([name]));
    for change in later {
        match change {
            RollupChange::Dropped { id, name } if name == now => return (names, Some(*id)),
            RollupChange::Renamed { old, new } if old == now => {
                now = new;
                names.insert(new);
            }
            RollupChange::Dropped { .. } | RollupChange::Renamed { .. } => {}
        }
    }
    (names, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_ahead_is_not_forgotten_for_an_earlier_removal() {
        let (table, partition) = (TableId(1), PartitionId(2));
        let mut removals = Removals::default();
        for at in [CommitSeq(9), CommitSeq(5)] {
            removals.note(Removal::Table { table, at });
            removals.note(Removal::Partition { partition, at });
        }
        assert_eq!(removals.tables[&table], CommitSeq(9));
        assert_eq!(removals.partitions[&partition], CommitSeq(9));
    }

    #[test]
    fn a_rollup_is_followed_through_its_names_to_its_end() {
        let renamed = |old: &str, new: &str| RollupChange::Renamed {
            old: old.to_owned(),
            new: new.to_owned(),
        };
        let dropped = |id: i64, name: &str| RollupChange::Dropped {
            id: IndexId(id),
            name: name.to_owned(),
        };
        let later = [
            dropped(1, "other"),
            renamed("r", "s"),
            renamed("x", "r"),
            dropped(2, "s"),
            dropped(3, "r"),
        ];
        assert_eq!(
            rollup_life("r", &later),
            (BTreeSet::from(["r", "s"]), Some(IndexId(2)))
        );
        assert_eq!(
            rollup_life("x", &later),
            (BTreeSet::from(["r", "x"]), Some(IndexId(3)))
        );
        assert_eq!(rollup_life("y", &later), (BTreeSet::from(["y"]), None));
    }
}
