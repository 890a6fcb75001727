//! What happened at the source. One variant per binlog type of Doris, and five of our own.
//!
//! Events are facts as of their `commit_seq` and complete in themselves: names, kinds and the places of the data are those
//! at the time of the event, so that a reader needs no connection to the source's FE.

mod kind;
mod own;

use serde::{Deserialize, Serialize};

use crate::id::{BackendId, CommitSeq, IndexId, PartitionId, TableId, TabletId, TxnId};

pub use crate::shape::Distribution;
pub use kind::EventKind;
pub use own::{Gap, Heartbeat, SnapshotTable, SnapshotTaken, TimelineChanged};

/// One event. The variant's doc names the `TBinlogType` it is made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// UPSERT (0): a transaction became visible.
    RowsetsCommitted(RowsetsCommitted),
    /// ADD_PARTITION (1).
    PartitionAdded(PartitionAdded),
    /// CREATE_TABLE (2): a table or a view.
    TableCreated(TableCreated),
    /// DROP_PARTITION (3).
    PartitionDropped(PartitionDropped),
    /// DROP_TABLE (4): a table or a view.
    TableDropped(TableDropped),
    /// ALTER_JOB (5): a schema change or rollup job changed its state.
    AlterJobChanged(AlterJobChanged),
    /// MODIFY_TABLE_ADD_OR_DROP_COLUMNS (6): light schema change.
    ColumnsChanged(ColumnsChanged),
    /// DUMMY (7): the head of a stream. Never published by a healthy producer, kept for completeness.
    StreamHead(StreamHead),
    /// ALTER_DATABASE_PROPERTY (8).
    DatabasePropertiesChanged(PropertiesChanged),
    /// MODIFY_TABLE_PROPERTY (9).
    TablePropertiesChanged(PropertiesChanged),
    /// BARRIER (10) without an inner record: a table-level backup passed here.
    Barrier(TableFact),
    /// MODIFY_PARTITIONS (11).
    PartitionsModified(PartitionsModified),
    /// REPLACE_PARTITIONS (12): also INSERT OVERWRITE.
    PartitionsReplaced(PartitionsReplaced),
    /// TRUNCATE_TABLE (13).
    TableTruncated(TableTruncated),
    /// RENAME_TABLE (14).
    TableRenamed(Renamed),
    /// RENAME_COLUMN (15).
    ColumnRenamed(Renamed),
    /// MODIFY_COMMENT (16).
    CommentModified(CommentModified),
    /// MODIFY_VIEW_DEF (17).
    ViewRedefined(ViewRedefined),
    /// REPLACE_TABLE (18).
    TableReplaced(TableReplaced),
    /// MODIFY_TABLE_ADD_OR_DROP_INVERTED_INDICES (19).
    IndexesChanged(IndexesChanged),
    /// INDEX_CHANGE_JOB (20).
    IndexJobChanged(IndexJobChanged),
    /// RENAME_ROLLUP (21).
    RollupRenamed(Renamed),
    /// RENAME_PARTITION (22).
    PartitionRenamed(Renamed),
    /// DROP_ROLLUP (23).
    RollupDropped(RollupDropped),
    /// RECOVER_INFO (24).
    Recovered(Recovered),
    /// MODIFY_DISTRIBUTION_BUCKET_NUM (25).
    BucketCountModified(BucketCountModified),
    /// MODIFY_DISTRIBUTION_TYPE (26): hash to random.
    DistributionTypeModified(TableFact),
    /// A type this producer does not know, or a record it could not read. Never skipped silently.
    Unsupported(Unsupported),
    /// Own: the source lost history; events in the span do not exist in this log.
    Gap(Gap),
    /// Own: a snapshot was taken and lies in the snapshots topic.
    SnapshotTaken(SnapshotTaken),
    /// Own: the producer is alive and has nothing newer than this position.
    Heartbeat(Heartbeat),
    /// Own: the source's history is not the one that was published before; positions begin again.
    TimelineChanged(TimelineChanged),
}

/// A table or view as of the event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableRef {
    /// Source id.
    pub id: TableId,
    /// Name at the time of the event; empty only when the producer could not learn it.
    pub name: String,
}

/// A transaction became visible. Repeated at a destination by ingesting each tablet's rowset of the partition's version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowsetsCommitted {
    /// Source transaction.
    pub txn_id: TxnId,
    /// Source label, for people.
    pub label: String,
    /// Source sub-transaction ids in order (`stids`); empty for an ordinary transaction.
    pub sub_txns: Vec<TxnId>,
    /// Backends that hold the rowsets named below.
    pub backends: Vec<BackendAddress>,
    /// What was written, by table.
    pub tables: Vec<TableRowsets>,
}

/// Address from which a destination BE downloads rowsets: HTTP, `/api/_binlog/_download`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendAddress {
    /// Source backend id.
    pub id: BackendId,
    /// Host as the source cluster names it; a target may map it.
    pub host: String,
    /// HTTP port (`webserver_port`).
    pub http_port: i32,
}

/// What a transaction wrote into one table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableRowsets {
    /// The table.
    pub table: TableRef,
    /// Partitions written, in the order of the source record. With sub-transactions a partition can occur repeatedly.
    pub partitions: Vec<PartitionRowsets>,
}

/// What a transaction wrote into one partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartitionRowsets {
    /// Source partition.
    pub partition_id: PartitionId,
    /// Partition name, empty when the partition was gone before the producer could look.
    pub name: String,
    /// Range text of the partition: the key by which partitions of two clusters are matched. Empty when unpartitioned.
    pub range: String,
    /// Visible version of the source partition after this transaction; the rowset has exactly this version.
    pub version: i64,
    /// A temporary partition (INSERT OVERWRITE): not replicated by transaction.
    pub is_temp: bool,
    /// Source sub-transaction, -1 without.
    pub sub_txn: TxnId,
    /// Whether the rowsets can still be had.
    pub presence: Presence,
    /// Indexes written, base first. Empty when `presence` is not `Present`.
    pub indexes: Vec<IndexRowsets>,
}

/// Whether the data of an event can still be fetched from the source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Presence {
    /// Tablets and their replicas are known.
    Present,
    /// The table or partition was dropped or truncated later, at this position: a later event removes it everywhere.
    DroppedAt(CommitSeq),
    /// The source does not know the partition any more and does not say since when.
    Unknown,
}

/// The tablets of one index of one partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndexRowsets {
    /// Source index.
    pub index_id: IndexId,
    /// Index name; the base index bears the table's name.
    pub name: String,
    /// True for the base index.
    pub is_base: bool,
    /// Tablets in bucket order.
    pub tablets: Vec<TabletReplicas>,
}

/// One tablet and the source backends that have its rowset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TabletReplicas {
    /// Source tablet.
    pub tablet_id: TabletId,
    /// Backends whose replica has at least the version of the partition entry.
    pub backends: Vec<BackendId>,
}

/// A partition was added.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartitionAdded {
    /// The table.
    pub table: TableRef,
    /// Source partition.
    pub partition_id: PartitionId,
    /// Partition name.
    pub name: String,
    /// Range text, empty when the producer could not learn it.
    pub range: String,
    /// Temporary partition.
    pub is_temp: bool,
    /// Clause after ``ALTER TABLE `t` ``: `ADD PARTITION ...`, as the source printed it.
    pub sql: String,
    /// How the new partition is bucketed; the clause of the source leaves it out.
    pub distribution: Distribution,
}

/// A table or view was created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableCreated {
    /// The new object.
    pub table: TableRef,
    /// `OLAP`, `VIEW`, `MATERIALIZED_VIEW`, ...
    pub table_type: String,
    /// The statement for replication, with a bare object name.
    pub sql: String,
    /// Properties of the table.
    pub properties: Vec<Property>,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Property {
    /// Key.
    pub key: String,
    /// Value.
    pub value: String,
}

/// A partition was dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartitionDropped {
    /// The table.
    pub table: TableRef,
    /// Source partition, -1 when an old FE did not say.
    pub partition_id: PartitionId,
    /// Partition name.
    pub name: String,
    /// Temporary partition.
    pub is_temp: bool,
    /// Dropped with FORCE.
    pub force: bool,
}

/// A table or view was dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableDropped {
    /// The dropped object.
    pub table: TableRef,
    /// It was a view.
    pub is_view: bool,
    /// Dropped with FORCE: nothing is left to recover. False also where the source does not say.
    pub force: bool,
}

/// A schema change or rollup job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlterJobChanged {
    /// The table.
    pub table: TableRef,
    /// `SCHEMA_CHANGE`, `ROLLUP`, ...
    pub job_type: String,
    /// Source job id.
    pub job_id: i64,
    /// `PENDING`, `WAITING_TXN`, `RUNNING`, `FINISHED`, `CANCELLED`.
    pub state: String,
    /// Statement that started the job.
    pub sql: String,
    /// Shadow index and the index it replaces.
    pub shadow_indexes: Vec<ShadowIndex>,
    /// The rollup made by a ROLLUP job.
    pub rollup: Option<ShadowIndex>,
    /// Name of that rollup, else empty.
    pub rollup_name: String,
}

/// A hidden index while a job runs, and its origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowIndex {
    /// The hidden index.
    pub shadow: IndexId,
    /// The index it is made from.
    pub origin: IndexId,
}

/// Light schema change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnsChanged {
    /// The table.
    pub table: TableRef,
    /// Statement with the source's database name: ``ALTER TABLE `db`.`t` ADD COLUMN ...``.
    pub sql: String,
    /// Visible columns of the base index after the change, in order.
    pub columns: Vec<String>,
}

/// Head of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamHead {
    /// Position up to which the source has forgotten.
    pub forgotten: CommitSeq,
}

/// Properties of a database or table changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PropertiesChanged {
    /// The table; for a database its id is -1 and its name empty.
    pub table: TableRef,
    /// New values.
    pub properties: Vec<Property>,
}

/// Something happened to a table that needs no further data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableFact {
    /// The table.
    pub table: TableRef,
}

/// Partition properties changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartitionsModified {
    /// The table.
    pub table: TableRef,
    /// Source partitions with their names where known.
    pub partitions: Vec<PartitionRef>,
}

/// A partition as of the event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionRef {
    /// Source id, -1 when unknown.
    pub id: PartitionId,
    /// Name, empty when unknown.
    pub name: String,
}

/// Partitions were replaced by temporary ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartitionsReplaced {
    /// The table.
    pub table: TableRef,
    /// Names of the replaced partitions.
    pub partitions: Vec<String>,
    /// Names of the temporary partitions that took over.
    pub temp_partitions: Vec<String>,
    /// Ranges had to be equal.
    pub strict_range: bool,
    /// The new partitions keep the temporary names.
    pub use_temp_name: bool,
}

/// A table or some of its partitions were truncated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableTruncated {
    /// The table.
    pub table: TableRef,
    /// What was emptied.
    pub scope: TruncateScope,
    /// Truncated with FORCE.
    pub force: bool,
}

/// What a TRUNCATE emptied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TruncateScope {
    /// All partitions.
    EntireTable,
    /// These partitions alone; their ids are gone. Empty when the source did not say which: never the entire table.
    TruncatedPartitions(Vec<PartitionRef>),
}

/// A table, column, rollup or partition got another name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Renamed {
    /// The table; for a table rename its `name` is the old name.
    pub table: TableRef,
    /// Old name of the renamed object, empty when an old FE did not say.
    pub old: String,
    /// New name.
    pub new: String,
}

/// A comment changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommentModified {
    /// The table.
    pub table: TableRef,
    /// New table comment.
    pub table_comment: Option<String>,
    /// New column comments.
    pub columns: Vec<Property>,
}

/// A view's definition or comment changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ViewRedefined {
    /// The view.
    pub view: TableRef,
    /// Select text, qualified with the source database.
    pub definition: String,
    /// Comment, when given.
    pub comment: Option<String>,
    /// Columns in order with their comments; empty when the source did not send them.
    pub columns: Vec<Property>,
}

/// A table took over the name of another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableReplaced {
    /// The table whose name is taken over.
    pub original: TableRef,
    /// The table that takes the name, with its name before.
    pub replacement: TableRef,
    /// The original remains under the other name.
    pub swap: bool,
}

/// Inverted (or n-gram) indexes were added or dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndexesChanged {
    /// The table.
    pub table: TableRef,
    /// Dropped rather than added.
    pub dropped: bool,
    /// Names of the indexes.
    pub names: Vec<String>,
    /// Statement as the source printed it.
    pub sql: String,
}

/// BUILD INDEX or a clean-up of a dropped index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IndexJobChanged {
    /// The table.
    pub table: TableRef,
    /// Partition the job works on.
    pub partition: PartitionRef,
    /// `WAITING_TXN`, `RUNNING`, `FINISHED`, `CANCELLED`.
    pub state: String,
    /// A clean-up of a dropped index.
    pub is_drop: bool,
    /// Names of the indexes.
    pub names: Vec<String>,
}

/// A rollup was dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RollupDropped {
    /// The table.
    pub table: TableRef,
    /// Source index.
    pub index_id: IndexId,
    /// Rollup name.
    pub name: String,
}

/// A table or partition came back from the recycle bin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recovered {
    /// The table, under the name it has now.
    pub table: TableRef,
    /// The partition, when only one was recovered.
    pub partition: Option<PartitionRef>,
}

/// Default bucket count of future partitions changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BucketCountModified {
    /// The table.
    pub table: TableRef,
    /// New default.
    pub distribution: Distribution,
}

/// A record that could not be turned into an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unsupported {
    /// Tables the record names; empty means it may concern the whole database.
    pub tables: Vec<TableRef>,
    /// Numeric type as the source sent it.
    pub binlog_type: i32,
    /// What was wrong with it, for people.
    pub reason: String,
}

impl Event {
    /// True for events that are part of the source's chain; false for our own ([`Gap`], [`SnapshotTaken`], [`Heartbeat`],
    /// [`TimelineChanged`]).
    pub fn is_chained(&self) -> bool {
        !matches!(
            self,
            Self::Gap(_) | Self::SnapshotTaken(_) | Self::Heartbeat(_) | Self::TimelineChanged(_)
        )
    }

    /// Tables the event concerns. Empty for database-wide events and for our own.
    pub fn tables(&self) -> Vec<&TableRef> {
        match self {
            Self::RowsetsCommitted(e) => e.tables.iter().map(|t| &t.table).collect(),
            Self::PartitionAdded(e) => vec![&e.table],
            Self::TableCreated(e) => vec![&e.table],
            Self::PartitionDropped(e) => vec![&e.table],
            Self::TableDropped(e) => vec![&e.table],
            Self::AlterJobChanged(e) => vec![&e.table],
            Self::ColumnsChanged(e) => vec![&e.table],
            Self::TablePropertiesChanged(e) => vec![&e.table],
            Self::Barrier(e) | Self::DistributionTypeModified(e) => vec![&e.table],
            Self::PartitionsModified(e) => vec![&e.table],
            Self::PartitionsReplaced(e) => vec![&e.table],
            Self::TableTruncated(e) => vec![&e.table],
            Self::TableRenamed(e)
            | Self::ColumnRenamed(e)
            | Self::RollupRenamed(e)
            | Self::PartitionRenamed(e) => vec![&e.table],
            Self::CommentModified(e) => vec![&e.table],
            Self::ViewRedefined(e) => vec![&e.view],
            Self::TableReplaced(e) => vec![&e.original, &e.replacement],
            Self::IndexesChanged(e) => vec![&e.table],
            Self::IndexJobChanged(e) => vec![&e.table],
            Self::RollupDropped(e) => vec![&e.table],
            Self::Recovered(e) => vec![&e.table],
            Self::BucketCountModified(e) => vec![&e.table],
            Self::Unsupported(e) => e.tables.iter().collect(),
            Self::DatabasePropertiesChanged(_)
            | Self::StreamHead(_)
            | Self::Gap(_)
            | Self::SnapshotTaken(_)
            | Self::Heartbeat(_)
            | Self::TimelineChanged(_) => Vec::new(),
        }
    }
}
