//! Read models of getMeta and getBackendMeta.

use std::collections::BTreeMap;

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
    /// Where it lives.
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
