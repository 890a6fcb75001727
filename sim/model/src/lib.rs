//! What a Doris catalogue is made of, as plain data: values, types, columns, partitions, tables, replicas.
//!
//! Reading order: [`types`] and [`value`] (what a cell is), [`mod@column`], [`schema`] (models of keys), [`tablet_index`] (what has index
//! files), [`partition`] (items and their range text), [`projection`] (rows in the columns of another index), [`catalog`] (databases down to replicas),
//! [`tracked`] (maps that know what changed). Nothing here does anything but compute.

pub mod backend;
pub mod catalog;
pub mod clock;
pub mod column;
pub mod json_text;
pub mod merge;
pub mod nested_text;
pub mod partition;
pub mod projection;
pub mod schema;
pub mod sql_error;
pub mod tablet_index;
pub mod tracked;
pub mod types;
pub mod value;

pub use catalog::{
    Catalog, Database, IndexMeta, IndexState, MaterializedIndex, OlapTable, Partition, Replica,
    SecondaryIndex, TableState, Tablet, View,
};
pub use column::{Aggregation, Column, DefaultValue};
pub use partition::{Bound, PartitionItem, PartitionKind};
pub use schema::{Distribution, DistributionKind, KeysModel, TableSchema};
pub use sql_error::{SqlError, TableScan};
pub use tablet_index::{IndexFormat, IndexKind, TabletIndex, TabletIndexes};
pub use tracked::Tracked;
pub use types::DataType;

/// The canonical text of a value; `None` is SQL NULL.
pub type Cell = Option<String>;

/// One row, in the order of the columns it was asked for.
pub type Row = Vec<Cell>;
