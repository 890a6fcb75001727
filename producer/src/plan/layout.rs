//! Where the rowsets of a transaction lie: ids of an UPSERT record -> tablets, replicas and backends.
//!
//! A layout is what the source FE said at some moment after the record; it is kept per table and used for many records.
//! Decisions, for a partition of a record:
//!
//! | The layout says | Then |
//! |---|---|
//! | partition known | its indexes and tablets are listed |
//! | partition unknown, in the list of dropped ones | `DroppedAt` that position |
//! | table unknown, in the list of dropped ones | `DroppedAt` that position |
//! | neither | `Unknown` |
//! | base index of the record dropped (a schema change took over) | `DroppedAt` that position: a later event replaces the table |
//! | rollup of the record dropped | the rollup is left out |
//! | shadow index | left out: the event that ends its job replaces the table |
//! | record names no index | all visible ones |
//!
//! For a tablet: live replicas that had the version when the layout was taken; when the version is newer than the layout, or
//! no replica had it, all live ones (those that were complete first): a backend that lacks the rowset answers 404 and the
//! next one is tried. When no replica is alive, all of them, since one may come back.

use std::collections::{BTreeMap, BTreeSet};

use ccr_doris::binlog::{Upsert, UpsertPartition, UpsertTable};
use ccr_doris::{BackendMeta, DatabaseMeta, IndexMeta, PartitionMeta, TableMeta, TabletMeta};
use ccr_schemas::event::{
    BackendAddress, IndexRowsets, PartitionRowsets, Presence, RowsetsCommitted, TableRowsets,
    TabletReplicas,
};
use ccr_schemas::{BackendId, CommitSeq, Event, IndexId, PartitionId, TableId};

use super::catalog::{Catalog, MATERIALIZED_VIEW};

/// Layouts of tables, what was dropped, and the backends, as last heard from the source.
#[derive(Clone, Debug, Default)]
pub struct Layouts {
    tables: BTreeMap<TableId, TableLayout>,
    dropped_partitions: BTreeMap<PartitionId, CommitSeq>,
    dropped_tables: BTreeMap<TableId, CommitSeq>,
    dropped_indexes: BTreeMap<IndexId, CommitSeq>,
    backends: BTreeMap<BackendId, BackendMeta>,
}

#[derive(Clone, Debug)]
struct TableLayout {
    name: String,
    kind: String,
    partitions: BTreeMap<PartitionId, PartitionMeta>,
}

impl Layouts {
    /// Takes over an answer about `asked`. Tables that are not in it are gone.
    pub fn learn(&mut self, asked: &BTreeSet<TableId>, meta: DatabaseMeta) {
        for id in asked {
            self.tables.remove(id);
        }
        for table in meta.tables {
            self.tables.insert(table.id, TableLayout::of(table));
        }
        self.dropped_partitions = meta.dropped_partitions;
        self.dropped_tables = meta.dropped_tables;
        self.dropped_indexes = meta.dropped_indexes;
    }

    /// Takes over the list of backends.
    pub fn learn_backends(&mut self, backends: Vec<BackendMeta>) {
        self.backends = backends.into_iter().map(|b| (b.id, b)).collect();
    }

    /// Forgets a table: its next record asks again.
    pub fn forget(&mut self, table: TableId) {
        self.tables.remove(&table);
    }

    /// Forgets all tables.
    pub fn forget_all(&mut self) {
        self.tables.clear();
    }

    /// Tables of a record that are not known well enough. Temporary partitions are not looked for: they are not
    /// replicated by transaction.
    pub fn missing(&self, upsert: &Upsert, catalog: &Catalog) -> BTreeSet<TableId> {
        upsert
            .table_records
            .iter()
            .filter(|(id, _)| !self.is_async_view(**id, catalog))
            .filter(|(id, record)| !self.covers(**id, record))
            .map(|(id, _)| *id)
            .collect()
    }

    fn covers(&self, id: TableId, record: &UpsertTable) -> bool {
        let Some(table) = self.tables.get(&id) else {
            return record.partition_records.iter().all(|p| p.is_temp_partition);
        };
        record
            .partition_records
            .iter()
            .filter(|p| !p.is_temp_partition)
            .all(|p| {
                table
                    .partitions
                    .get(&p.partition_id)
                    .is_some_and(|partition| {
                        record
                            .index_ids
                            .iter()
                            .all(|id| partition.indexes.iter().any(|index| index.id == *id))
                    })
            })
    }

    /// True when a replica of a table lies on a backend that is not in the list.
    pub fn backends_missing(&self, upsert: &Upsert) -> bool {
        if self.backends.is_empty() {
            return true;
        }
        upsert.table_records.iter().any(|(id, record)| {
            self.tables.get(id).is_some_and(|table| {
                record
                    .partition_records
                    .iter()
                    .filter_map(|p| table.partitions.get(&p.partition_id))
                    .flat_map(|partition| &partition.indexes)
                    .flat_map(|index| &index.tablets)
                    .flat_map(|tablet| &tablet.replicas)
                    .any(|replica| !self.backends.contains_key(&replica.backend))
            })
        })
    }

    /// A partition's name and range text, when known.
    pub fn partition(&self, table: TableId, partition: PartitionId) -> Option<&PartitionMeta> {
        self.tables.get(&table)?.partitions.get(&partition)
    }

    /// A table's name and kind, when known.
    pub fn table(&self, id: TableId) -> Option<(&str, &str)> {
        let table = self.tables.get(&id)?;
        Some((table.name.as_str(), table.kind.as_str()))
    }

    fn is_async_view(&self, id: TableId, catalog: &Catalog) -> bool {
        catalog.is_async_view(id)
            || self
                .tables
                .get(&id)
                .is_some_and(|table| table.kind == MATERIALIZED_VIEW)
    }

    /// The event of a record. Asynchronous materialized views are left out: they are not replicated.
    pub fn place(&self, upsert: &Upsert, catalog: &Catalog) -> RowsetsCommitted {
        let tables: Vec<TableRowsets> = upsert
            .table_records
            .iter()
            .filter(|(id, _)| !self.is_async_view(**id, catalog))
            .map(|(id, record)| self.place_table(*id, record, catalog))
            .collect();
        let used: BTreeSet<BackendId> = tables
            .iter()
            .flat_map(|table| &table.partitions)
            .flat_map(|partition| &partition.indexes)
            .flat_map(|index| &index.tablets)
            .flat_map(|tablet| tablet.backends.iter().copied())
            .collect();
        RowsetsCommitted {
            txn_id: upsert.txn_id,
            label: upsert.label.clone(),
            sub_txns: upsert.stids.clone(),
            backends: used
                .iter()
                .filter_map(|id| self.backends.get(id))
                .map(address)
                .collect(),
            tables,
        }
    }

    fn place_table(&self, id: TableId, record: &UpsertTable, catalog: &Catalog) -> TableRowsets {
        let layout = self.tables.get(&id);
        let said = layout.map_or("", |table| table.name.as_str());
        let table = catalog.now(id, said);
        let partitions = record
            .partition_records
            .iter()
            .map(|p| {
                let known = layout.and_then(|table| table.partitions.get(&p.partition_id));
                let (presence, indexes) = match known {
                    Some(partition) => {
                        let names = [said, table.name.as_str()];
                        self.place_partition(&names, partition, record, p, catalog)
                    }
                    None => (self.absence(id, p.partition_id), Vec::new()),
                };
                PartitionRowsets {
                    partition_id: p.partition_id,
                    name: known.map_or_else(String::new, |partition| partition.name.clone()),
                    range: p.range.clone(),
                    version: p.version,
                    is_temp: p.is_temp_partition,
                    sub_txn: p.stid,
                    presence,
                    indexes,
                }
            })
            .collect();
        TableRowsets { table, partitions }
    }

    fn absence(&self, table: TableId, partition: PartitionId) -> Presence {
        self.dropped_partitions
            .get(&partition)
            .or_else(|| self.dropped_tables.get(&table))
            .map_or(Presence::Unknown, |at| Presence::DroppedAt(*at))
    }

    fn place_partition(
        &self,
        table_names: &[&str],
        partition: &PartitionMeta,
        record: &UpsertTable,
        at: &UpsertPartition,
        catalog: &Catalog,
    ) -> (Presence, Vec<IndexRowsets>) {
        let visible: Vec<&IndexMeta> = partition
            .indexes
            .iter()
            .filter(|index| !index.is_shadow())
            .collect();
        let Some(base) = base_index(&visible, table_names, &record.index_ids) else {
            return (Presence::Unknown, Vec::new());
        };
        // An index that took over after this record was, at the record, still hidden.
        let written = |id: &IndexId| {
            !catalog.is_unfinished(*id)
                && (record.index_ids.is_empty() || record.index_ids.contains(id))
        };
        if !written(&base) {
            // The record wrote a base index that is not there any more.
            let dropped_at = record
                .index_ids
                .iter()
                .filter_map(|id| self.dropped_indexes.get(id))
                .max();
            let presence = dropped_at.map_or(Presence::Unknown, |at| Presence::DroppedAt(*at));
            return (presence, Vec::new());
        }
        let mut indexes: Vec<IndexRowsets> = visible
            .iter()
            .filter(|index| written(&index.id))
            .map(|index| IndexRowsets {
                index_id: index.id,
                name: index.name.clone(),
                is_base: index.id == base,
                tablets: index
                    .tablets
                    .iter()
                    .map(|tablet| TabletReplicas {
                        tablet_id: tablet.id,
                        backends: self.holders(tablet, at.version, partition.visible_version),
                    })
                    .collect(),
            })
            .collect();
        indexes.sort_by_key(|index| (!index.is_base, index.index_id));
        (Presence::Present, indexes)
    }

    fn holders(&self, tablet: &TabletMeta, version: i64, visible: i64) -> Vec<BackendId> {
        let alive = |id: &BackendId| self.backends.get(id).is_some_and(|b| b.alive);
        // What the layout can tell: up to the version that was visible when it was taken.
        let complete = version.min(visible);
        let (mut have, mut rest) = (Vec::new(), Vec::new());
        for replica in tablet.replicas.iter().filter(|r| alive(&r.backend)) {
            if replica.version >= complete {
                have.push(replica.backend);
            } else {
                rest.push(replica.backend);
            }
        }
        if version > visible || have.is_empty() {
            have.append(&mut rest);
        }
        if have.is_empty() {
            have = tablet.replicas.iter().map(|r| r.backend).collect();
        }
        have.retain(|id| self.backends.contains_key(id));
        have
    }
}

impl TableLayout {
    fn of(table: TableMeta) -> Self {
        Self {
            name: table.name,
            kind: table.kind,
            partitions: table.partitions.into_iter().map(|p| (p.id, p)).collect(),
        }
    }
}

/// The base index bears the table's name. Where none does (the table was renamed a moment ago), it is the first one that
/// the record lists, else the oldest.
fn base_index(visible: &[&IndexMeta], table_names: &[&str], listed: &[IndexId]) -> Option<IndexId> {
    visible
        .iter()
        .find(|index| table_names.contains(&index.name.as_str()))
        .map(|index| index.id)
        .or_else(|| {
            listed
                .iter()
                .find(|id| visible.iter().any(|index| index.id == **id))
                .copied()
        })
        .or_else(|| visible.iter().map(|index| index.id).min())
}

/// A backend's download address.
pub fn address(backend: &BackendMeta) -> BackendAddress {
    BackendAddress {
        id: backend.id,
        host: backend.host.clone(),
        http_port: i32::from(backend.http_port),
    }
}

/// Tables whose layout is not to be trusted after the event.
pub fn invalidates(event: &Event) -> Vec<TableId> {
    match event {
        Event::PartitionDropped(_)
        | Event::TableDropped(_)
        | Event::AlterJobChanged(_)
        | Event::PartitionsReplaced(_)
        | Event::TableTruncated(_)
        | Event::TableRenamed(_)
        | Event::TableReplaced(_)
        | Event::RollupRenamed(_)
        | Event::PartitionRenamed(_)
        | Event::RollupDropped(_)
        | Event::Recovered(_)
        | Event::Unsupported(_) => event.tables().iter().map(|table| table.id).collect(),
        // A new partition is an unknown id, which is looked up by itself; the others leave places as they are.
        Event::PartitionAdded(_)
        | Event::RowsetsCommitted(_)
        | Event::TableCreated(_)
        | Event::ColumnsChanged(_)
        | Event::StreamHead(_)
        | Event::DatabasePropertiesChanged(_)
        | Event::TablePropertiesChanged(_)
        | Event::Barrier(_)
        | Event::PartitionsModified(_)
        | Event::ColumnRenamed(_)
        | Event::CommentModified(_)
        | Event::ViewRedefined(_)
        | Event::IndexesChanged(_)
        | Event::IndexJobChanged(_)
        | Event::BucketCountModified(_)
        | Event::DistributionTypeModified(_)
        | Event::Gap(_)
        | Event::SnapshotTaken(_)
        | Event::Heartbeat(_)
        | Event::TimelineChanged(_) => Vec::new(),
    }
}

#[cfg(test)]
#[path = "layout_test.rs"]
mod tests;
