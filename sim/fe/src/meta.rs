//! getMeta: the catalogue as a replication tool sees it.

use crate::api::{DbMeta, IndexTablets, MetaRequest, PartitionMeta, TableMeta, TableSelector};
use crate::frontend::Frontend;
use dorisim_model::{OlapTable, Partition};

impl Frontend {
    /// getMeta after authentication; `None`: unknown database (status OK, `db_meta` unset).
    #[must_use]
    pub fn get_meta(&self, request: &MetaRequest) -> Option<DbMeta> {
        let state = self.lock();
        let db = match request.db_id {
            Some(id) => state.catalog.databases.get(&id)?,
            None => state.catalog.database(request.db.as_deref()?)?,
        };
        let tables: Vec<&OlapTable> = match &request.tables {
            None => db.tables.values().collect(),
            Some(wanted) => wanted
                .iter()
                .filter_map(|selector| match selector {
                    TableSelector::Id(id) => db.tables.get(id),
                    TableSelector::Name(name) => db.table(name),
                })
                .collect(),
        };
        let mut tables: Vec<TableMeta> = tables.into_iter().map(table_meta).collect();
        // Hash maps on the real side: no order to rely on. Ours is turned by id so that it differs between databases.
        let turn = usize::try_from(db.id).unwrap_or(0);
        let len = tables.len().max(1);
        tables.rotate_left(turn % len);
        Some(DbMeta {
            id: db.id,
            name: db.name.clone(),
            tables,
            dropped: self
                .config()
                .binlog_feature
                .then(|| state.streams.dropped(db.id)),
        })
    }
}

fn table_meta(table: &OlapTable) -> TableMeta {
    let types = table.partition_types();
    let mut partitions: Vec<PartitionMeta> = table
        .partitions
        .values()
        .map(|p| PartitionMeta {
            id: p.id,
            name: p.name.clone(),
            range: p.item.range_text(&types),
            visible_version: p.visible_version,
            indexes: index_metas(table, p),
        })
        .collect();
    let turn = usize::try_from(table.id).unwrap_or(0) % partitions.len().max(1);
    partitions.rotate_left(turn);
    TableMeta {
        id: table.id,
        name: table.name.clone(),
        kind: "OLAP",
        partitions,
    }
}

fn index_metas(table: &OlapTable, partition: &Partition) -> Vec<IndexTablets> {
    partition
        .indexes
        .iter()
        .map(|index| IndexTablets {
            id: index.id,
            name: table
                .indexes
                .iter()
                .find(|i| i.id == index.id)
                .map(|i| i.name.clone())
                .unwrap_or_default(),
            tablets: index.tablets.clone(),
        })
        .collect()
}
