//! The shape of a table: its columns, its key model and its buckets.

use serde::{Deserialize, Serialize};

use super::tablet_index::TabletIndexes;
use super::{Column, column};

/// How rows of equal keys are treated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeysModel {
    /// Every row stays.
    Duplicate,
    /// The newest row of a key wins.
    Unique {
        /// Merge on write (the default since 2.1) or on read.
        mow: bool,
        /// Column whose value decides what "newest" means, if declared (`function_column.sequence_col`).
        sequence_col: Option<String>,
    },
    /// Value columns combine by their aggregation.
    Aggregate,
}

impl KeysModel {
    /// The spelling of DDL.
    #[must_use]
    pub fn as_sql(&self) -> &'static str {
        match self {
            Self::Duplicate => "DUPLICATE KEY",
            Self::Unique { .. } => "UNIQUE KEY",
            Self::Aggregate => "AGGREGATE KEY",
        }
    }

    /// True for unique tables.
    #[must_use]
    pub fn is_unique(&self) -> bool {
        matches!(self, Self::Unique { .. })
    }
}

/// Columns (hidden ones included) and key model of a table's base index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSchema {
    /// Keys first, then values, then hidden columns.
    pub columns: Vec<Column>,
    /// Key model.
    pub keys: KeysModel,
    /// Hash that names the schema in paths of the backends.
    pub schema_hash: i32,
    /// Grows with every change of the columns.
    pub schema_version: i32,
    /// Indexes that have files beside the segments.
    #[serde(default)]
    pub indexes: TabletIndexes,
}

impl TableSchema {
    /// Position of a column by name.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.is_named(name))
    }

    /// Column by name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.is_named(name))
    }

    /// The visible columns in order.
    pub fn visible(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|c| c.visible)
    }

    /// The key columns in order.
    pub fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|c| c.is_key)
    }

    /// Position of the delete sign, on unique tables.
    #[must_use]
    pub fn delete_sign(&self) -> Option<usize> {
        self.position(column::DELETE_SIGN)
    }

    /// Position of the hidden sequence column.
    #[must_use]
    pub fn sequence(&self) -> Option<usize> {
        self.position(column::SEQUENCE_COL)
    }

    /// The largest unique id in use.
    #[must_use]
    pub fn max_unique_id(&self) -> i32 {
        self.columns.iter().map(|c| c.unique_id).max().unwrap_or(-1)
    }
}

/// How rows are spread over buckets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DistributionKind {
    /// By hash of the named columns.
    Hash(Vec<String>),
    /// Anywhere.
    Random,
}

/// Distribution and number of buckets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    /// Hash or random.
    pub kind: DistributionKind,
    /// Number of buckets (the computed one for `BUCKETS AUTO`).
    pub buckets: u32,
    /// `BUCKETS AUTO`.
    pub auto: bool,
}

impl Distribution {
    /// The clause of DDL: ``DISTRIBUTED BY HASH(`a`) BUCKETS 4``.
    #[must_use]
    pub fn to_sql(&self, concrete: bool) -> String {
        let by = match &self.kind {
            DistributionKind::Hash(columns) => format!(
                "HASH({})",
                columns
                    .iter()
                    .map(|c| format!("`{c}`"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            DistributionKind::Random => "RANDOM".to_owned(),
        };
        if self.auto && !concrete {
            format!("DISTRIBUTED BY {by} BUCKETS AUTO")
        } else {
            format!("DISTRIBUTED BY {by} BUCKETS {}", self.buckets)
        }
    }
}
