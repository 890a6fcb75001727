//! CREATE TABLE and its parts.

use super::{ObjectName, Properties};

/// `CREATE TABLE`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CreateTable {
    /// `IF NOT EXISTS` was written.
    pub if_not_exists: bool,
    /// `EXTERNAL` or another engine than OLAP.
    pub engine: Option<String>,
    /// The table.
    pub name: ObjectName,
    /// Columns in order.
    pub columns: Vec<ColumnDef>,
    /// Inline `INDEX` entries.
    pub indexes: Vec<IndexDef>,
    /// Key model; `None` means DUPLICATE with default keys.
    pub keys: Option<KeysDef>,
    /// `CLUSTER BY (...)` of MoW tables.
    pub cluster_by: Vec<String>,
    /// Comment of the table.
    pub comment: String,
    /// Partitioning; `None` means one partition named like the table.
    pub partition: Option<PartitionBy>,
    /// Distribution; `None` means RANDOM.
    pub distribution: Option<Distribution>,
    /// `ROLLUP (...)`.
    pub rollups: Vec<RollupDef>,
    /// `PROPERTIES`.
    pub properties: Properties,
}

/// Key model and its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysDef {
    /// Which model.
    pub model: KeysModel,
    /// Key columns.
    pub columns: Vec<String>,
}

/// The three table models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeysModel {
    /// `DUPLICATE KEY`.
    Duplicate,
    /// `UNIQUE KEY`.
    Unique,
    /// `AGGREGATE KEY`.
    Aggregate,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnDef {
    /// Name.
    pub name: String,
    /// Type in upper case with single blanks after commas: `DECIMAL(10, 2)`, `ARRAY<INT>`. Empty
    /// in `CREATE TABLE AS SELECT` when only names were given.
    pub type_text: String,
    /// `KEY` stood behind the type.
    pub is_key: bool,
    /// Aggregation in upper case (`SUM`, `REPLACE`, ...).
    pub aggregation: Option<String>,
    /// `NULL`/`NOT NULL`; `None` when neither was written (Doris: nullable).
    pub nullable: Option<bool>,
    /// `DEFAULT`.
    pub default: Option<DefaultValue>,
    /// `ON UPDATE CURRENT_TIMESTAMP`.
    pub on_update_current_timestamp: bool,
    /// `AUTO_INCREMENT[(start)]`.
    pub auto_increment: Option<i64>,
    /// `GENERATED ALWAYS AS (expr)`.
    pub generated: Option<String>,
    /// Comment.
    pub comment: String,
}

/// `DEFAULT ...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefaultValue {
    /// `DEFAULT NULL`.
    Null,
    /// A literal, without its quotes.
    Literal(String),
    /// `CURRENT_TIMESTAMP[(precision)]`.
    CurrentTimestamp(Option<u8>),
    /// `CURRENT_DATE`.
    CurrentDate,
    /// Another expression (`PI`, `BITMAP_EMPTY`, `E`), upper case.
    Expression(String),
}

/// An index as metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexDef {
    /// `IF NOT EXISTS` was written.
    pub if_not_exists: bool,
    /// Name.
    pub name: String,
    /// Columns.
    pub columns: Vec<String>,
    /// `INVERTED`, `NGRAM_BF`, `BITMAP`, `ANN`.
    pub index_type: String,
    /// `PROPERTIES`.
    pub properties: Properties,
    /// Comment.
    pub comment: String,
}

/// `HASH`/`RANDOM` with buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// Hash columns; empty means RANDOM.
    pub hash_columns: Vec<String>,
    /// Number of buckets; `None` means AUTO.
    pub buckets: Option<u32>,
}

/// `PARTITION BY`.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionBy {
    /// RANGE or LIST.
    pub kind: PartitionKind,
    /// Columns.
    pub columns: Vec<String>,
    /// Expression of an automatic partitioning, e.g. `date_trunc(`k`, 'day')`.
    pub auto_expr: Option<String>,
    /// `AUTO` was written.
    pub auto: bool,
    /// Partitions in order.
    pub partitions: Vec<PartitionItem>,
}

/// RANGE or LIST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionKind {
    /// `PARTITION BY RANGE`.
    Range,
    /// `PARTITION BY LIST`.
    List,
}

/// An entry of the partition list.
#[derive(Debug, Clone, PartialEq)]
pub enum PartitionItem {
    /// One partition.
    One(PartitionDef),
    /// `FROM (a) TO (b) INTERVAL n unit`.
    Step {
        /// Lower bound, inclusive.
        from: Vec<PartitionValue>,
        /// Upper bound, exclusive.
        to: Vec<PartitionValue>,
        /// Step.
        interval: i64,
        /// `YEAR`, `MONTH`, `WEEK`, `DAY`, `HOUR`; `None` for integers.
        unit: Option<String>,
    },
}

/// One partition.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionDef {
    /// `IF NOT EXISTS` was written.
    pub if_not_exists: bool,
    /// Name.
    pub name: String,
    /// Its range or list.
    pub values: PartitionValues,
    /// Own properties.
    pub properties: Properties,
}

/// What a partition holds.
#[derive(Debug, Clone, PartialEq)]
pub enum PartitionValues {
    /// `VALUES LESS THAN (...)`; `LESS THAN MAXVALUE` is a single `Max`.
    LessThan(Vec<PartitionValue>),
    /// `VALUES [(a), (b))`.
    Fixed {
        /// Lower bound, inclusive.
        lower: Vec<PartitionValue>,
        /// Upper bound, exclusive.
        upper: Vec<PartitionValue>,
    },
    /// `VALUES IN (...)`: one tuple per entry.
    In(Vec<Vec<PartitionValue>>),
    /// No `VALUES`: default list partition, or unpartitioned temp partition.
    Default,
}

/// One value of a bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionValue {
    /// A literal without quotes.
    Value(String),
    /// `NULL`.
    Null,
    /// `MAXVALUE`.
    Max,
}

/// `r1 (a, b) [DUPLICATE KEY (a)] [FROM base] [PROPERTIES (...)]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollupDef {
    /// Name.
    pub name: String,
    /// Columns.
    pub columns: Vec<String>,
    /// Key columns of a duplicate rollup.
    pub keys: Vec<String>,
    /// Index it is built from.
    pub base: Option<String>,
    /// `PROPERTIES`.
    pub properties: Properties,
}
