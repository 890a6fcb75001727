//! What events take away: data that the source has no more need not be had, when a later event removes it everywhere.

use ccr_schemas::event::TruncateScope;
use ccr_schemas::{CommitSeq, Envelope, Event, PartitionId, TableId};

use crate::plan::route::{Route, route};
use crate::plan::state::{Apply, Settings};

/// Everything of a table or partition before a position goes, or comes anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

/// What an event removes for a job of these settings.
pub fn removals(envelope: &Envelope, settings: &Settings) -> Vec<Removal> {
    if matches!(envelope.event, Event::RowsetsCommitted(_)) {
        return Vec::new();
    }
    let at = envelope.commit_seq;
    let of_table = |table: TableId| Removal::Table { table, at };
    if let Route::Renew { tables, .. } = route(envelope, settings) {
        // Their snapshots bring what the source may have no rowsets of any more.
        return tables.into_keys().map(of_table).collect();
    }
    if let Event::TableDropped(dropped) = &envelope.event {
        return vec![of_table(dropped.table.id)];
    }
    if let Event::TableReplaced(replaced) = &envelope.event
        && !replaced.swap
    {
        return vec![of_table(replaced.original.id)];
    }
    let of_partition = |partition| Removal::Partition { partition, at };
    if let Event::TableTruncated(truncated) = &envelope.event {
        return match &truncated.scope {
            TruncateScope::EntireTable => vec![of_table(truncated.table.id)],
            TruncateScope::TruncatedPartitions(partitions) => {
                partitions.iter().map(|p| of_partition(p.id)).collect()
            }
        };
    }
    if let Event::PartitionDropped(dropped) = &envelope.event {
        return vec![of_partition(dropped.partition_id)];
    }
    Vec::new()
}

impl Apply {
    /// Remembers it, until the offset has passed it.
    pub(crate) fn note_removal(&mut self, removal: Removal) {
        match removal {
            Removal::Table { table, at } => {
                self.removed_tables.insert(table, at);
            }
            Removal::Partition { partition, at } => {
                self.removed_partitions.insert(partition, at);
            }
        }
    }
}
