//! Read models of getMeta and getBackendMeta.

use std::collections::BTreeMap;

use ccr_doris_wire::{
    TBackend, TGetMetaDBMeta, TGetMetaIndexMeta, TGetMetaPartitionMeta, TGetMetaReplicaMeta,
    TGetMetaTableMeta, TGetMetaTabletMeta,
};
use ccr_schemas::{BackendId, CommitSeq, DbId, IndexId, PartitionId, TableId, TabletId};

/// A database as getMeta shows it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DatabaseMeta {
    /// Id.
    pub id: Option<DbId>,
    /// Name.
    pub name: String,
    /// Tables asked for; OLAP tables and asynchronous materialized views, no views.
    pub tables: Vec<TableMeta>,
    /// Partitions dropped within the binlog's memory, with the position of the drop.
    pub dropped_partitions: BTreeMap<PartitionId, CommitSeq>,
    /// Tables dropped.
    pub dropped_tables: BTreeMap<TableId, CommitSeq>,
    /// Indexes dropped or replaced by a schema change.
    pub dropped_indexes: BTreeMap<IndexId, CommitSeq>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableMeta {
    /// Id.
    pub id: TableId,
    /// Name.
    pub name: String,
    /// `OLAP`, `MATERIALIZED_VIEW`; empty from old FEs.
    pub kind: String,
    /// Partitions, in no order. Temporary ones are included, unmarked.
    pub partitions: Vec<PartitionMeta>,
}

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionMeta {
    /// Id.
    pub id: PartitionId,
    /// Name.
    pub name: String,
    /// Range text: the key for matching across clusters. Empty when unpartitioned.
    pub range: String,
    /// Visible version.
    pub visible_version: i64,
    /// All indexes, shadow ones included.
    pub indexes: Vec<IndexMeta>,
}

/// A materialized index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexMeta {
    /// Id.
    pub id: IndexId,
    /// Name; the base index bears the table's name, shadow indexes start with [`SHADOW_PREFIX`].
    pub name: String,
    /// Tablets in bucket order.
    pub tablets: Vec<TabletMeta>,
}

/// Prefix of the names of shadow indexes.
pub const SHADOW_PREFIX: &str = "__doris_shadow_";

impl IndexMeta {
    /// Hidden index of a running schema change.
    pub fn is_shadow(&self) -> bool {
        self.name.starts_with(SHADOW_PREFIX)
    }
}

/// A tablet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TabletMeta {
    /// Id.
    pub id: TabletId,
    /// Replicas.
    pub replicas: Vec<ReplicaMeta>,
}

/// A replica of a tablet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaMeta {
    /// Id.
    pub id: i64,
    /// Backend that stores it.
    pub backend: BackendId,
    /// Last good version the FE knows.
    pub version: i64,
}

/// A backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendMeta {
    /// Id.
    pub id: BackendId,
    /// Host as the cluster names it.
    pub host: String,
    /// Thrift port.
    pub be_port: u16,
    /// HTTP port.
    pub http_port: u16,
    /// Its last heartbeat was answered.
    pub alive: bool,
}

impl DatabaseMeta {
    /// Reads the answer of getMeta. Unset lists are empty ones.
    ///
    /// # Errors
    /// The name of a missing id.
    pub(crate) fn read(wire: TGetMetaDBMeta) -> Result<Self, &'static str> {
        Ok(Self {
            id: wire.id.map(DbId),
            name: wire.name.unwrap_or_default(),
            tables: each(wire.tables, TableMeta::read)?,
            dropped_partitions: dropped(wire.dropped_partition_map),
            dropped_tables: dropped(wire.dropped_table_map),
            dropped_indexes: dropped(wire.dropped_index_map),
        })
    }
}

impl TableMeta {
    fn read(wire: TGetMetaTableMeta) -> Result<Self, &'static str> {
        Ok(Self {
            id: TableId(wire.id.ok_or("a table without id")?),
            name: wire.name.unwrap_or_default(),
            kind: wire.type_.unwrap_or_default(),
            partitions: each(wire.partitions, PartitionMeta::read)?,
        })
    }
}

impl PartitionMeta {
    fn read(wire: TGetMetaPartitionMeta) -> Result<Self, &'static str> {
        Ok(Self {
            id: PartitionId(wire.id.ok_or("a partition without id")?),
            name: wire.name.unwrap_or_default(),
            range: wire.range.unwrap_or_default(),
            visible_version: wire
                .visible_version
                .ok_or("a partition without visible version")?,
            indexes: each(wire.indexes, IndexMeta::read)?,
        })
    }
}

impl IndexMeta {
    fn read(wire: TGetMetaIndexMeta) -> Result<Self, &'static str> {
        Ok(Self {
            id: IndexId(wire.id.ok_or("an index without id")?),
            name: wire.name.unwrap_or_default(),
            tablets: each(wire.tablets, TabletMeta::read)?,
        })
    }
}

impl TabletMeta {
    fn read(wire: TGetMetaTabletMeta) -> Result<Self, &'static str> {
        Ok(Self {
            id: TabletId(wire.id.ok_or("a tablet without id")?),
            replicas: each(wire.replicas, ReplicaMeta::read)?,
        })
    }
}

impl ReplicaMeta {
    fn read(wire: TGetMetaReplicaMeta) -> Result<Self, &'static str> {
        Ok(Self {
            id: wire.id.unwrap_or(-1),
            backend: BackendId(wire.backend_id.ok_or("a replica without backend")?),
            version: wire.version.unwrap_or(-1),
        })
    }
}

impl BackendMeta {
    /// Reads one backend of getBackendMeta.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn read(wire: TBackend) -> Result<Self, &'static str> {
        let port = |port: i32| u16::try_from(port).map_err(|_| "a backend with an impossible port");
        Ok(Self {
            id: BackendId(wire.id.ok_or("a backend without id")?),
            host: wire.host,
            be_port: port(wire.be_port)?,
            http_port: port(wire.http_port)?,
            // An FE that does not say is believed: a dead one shows when it is called.
            alive: wire.is_alive.unwrap_or(true),
        })
    }
}

fn each<W, T>(
    list: Option<Vec<W>>,
    read: impl Fn(W) -> Result<T, &'static str>,
) -> Result<Vec<T>, &'static str> {
    list.unwrap_or_default().into_iter().map(read).collect()
}

fn dropped<T: From<i64> + Ord>(map: Option<BTreeMap<i64, i64>>) -> BTreeMap<T, CommitSeq> {
    map.unwrap_or_default()
        .into_iter()
        .map(|(id, seq)| (T::from(id), CommitSeq(seq)))
        .collect()
}

#[cfg(test)]
mod tests {
    use ccr_doris_wire::unset;

    use super::*;

    #[test]
    fn unset_lists_are_empty() {
        let meta = DatabaseMeta::read(TGetMetaDBMeta {
            id: Some(1),
            name: Some("d".to_owned()),
            tables: Some(vec![TGetMetaTableMeta {
                id: Some(2),
                partitions: Some(vec![TGetMetaPartitionMeta {
                    id: Some(3),
                    visible_version: Some(7),
                    ..unset()
                }]),
                ..unset()
            }]),
            dropped_table_map: Some([(9, 99)].into()),
            ..unset()
        })
        .unwrap();
        assert_eq!(meta.tables[0].partitions[0].visible_version, 7);
        assert!(meta.tables[0].partitions[0].indexes.is_empty());
        assert_eq!(meta.dropped_tables[&TableId(9)], CommitSeq(99));
        assert!(meta.dropped_partitions.is_empty());
        assert_eq!(
            DatabaseMeta::read(unset()).unwrap(),
            DatabaseMeta::default()
        );
    }

    #[test]
    fn missing_ids_are_named() {
        let tables = Some(vec![unset()]);
        let meta = TGetMetaDBMeta { tables, ..unset() };
        assert_eq!(DatabaseMeta::read(meta).unwrap_err(), "a table without id");
        let backend = |id, port| {
            BackendMeta::read(TBackend {
                host: "be".to_owned(),
                be_port: port,
                http_port: 8040,
                brpc_port: None,
                is_alive: None,
                id,
            })
        };
        assert_eq!(backend(None, 1).unwrap_err(), "a backend without id");
        assert!(backend(Some(1), 70_000).is_err());
        assert!(backend(Some(1), 9060).unwrap().alive);
    }
}
