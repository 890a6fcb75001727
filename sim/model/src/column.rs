//! A column of a table.

use serde::{Deserialize, Serialize};

use super::{Cell, DataType};

/// How rows of equal keys combine in a value column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Aggregation {
    /// Sum.
    Sum,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// The last written value.
    Replace,
    /// The last written value that is not NULL.
    ReplaceIfNotNull,
    /// Union of HLL sketches.
    HllUnion,
    /// Union of bitmaps.
    BitmapUnion,
    /// Union of quantile states.
    QuantileUnion,
    /// Another aggregate state; the last written value stays.
    Generic,
}

impl Aggregation {
    /// Reads the spelling of DDL.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_uppercase().as_str() {
            "SUM" => Self::Sum,
            "MIN" => Self::Min,
            "MAX" => Self::Max,
            "REPLACE" => Self::Replace,
            "REPLACE_IF_NOT_NULL" => Self::ReplaceIfNotNull,
            "HLL_UNION" => Self::HllUnion,
            "BITMAP_UNION" => Self::BitmapUnion,
            "QUANTILE_UNION" => Self::QuantileUnion,
            "GENERIC" => Self::Generic,
            _ => return None,
        })
    }

    /// The spelling of DDL and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sum => "SUM",
            Self::Min => "MIN",
            Self::Max => "MAX",
            Self::Replace => "REPLACE",
            Self::ReplaceIfNotNull => "REPLACE_IF_NOT_NULL",
            Self::HllUnion => "HLL_UNION",
            Self::BitmapUnion => "BITMAP_UNION",
            Self::QuantileUnion => "QUANTILE_UNION",
            Self::Generic => "GENERIC",
        }
    }
}

/// What a column gets when a load leaves it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DefaultValue {
    /// A constant; `None` is an explicit `DEFAULT NULL`.
    Constant(Option<String>),
    /// `DEFAULT CURRENT_TIMESTAMP[(n)]`.
    CurrentTimestamp(u8),
    /// Any other function, by its text (`BITMAP_EMPTY`, `HLL_EMPTY`, `PI`, ...).
    Function(String),
}

/// A column. Names keep their spelling and compare without case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Name as written.
    pub name: String,
    /// Type.
    pub data_type: DataType,
    /// Member of the key.
    pub is_key: bool,
    /// NULL allowed.
    pub nullable: bool,
    /// Default, if any was declared.
    pub default: Option<DefaultValue>,
    /// Combination of values; `None` for keys and duplicate tables.
    pub aggregation: Option<Aggregation>,
    /// Comment, may be empty.
    pub comment: String,
    /// Stable id; rowsets refer to columns by it.
    pub unique_id: i32,
    /// False for the hidden columns (`__DORIS_DELETE_SIGN__` etc.).
    pub visible: bool,
    /// AUTO_INCREMENT with its start value.
    pub auto_inc: Option<i64>,
    /// Text of the expression of a generated column.
    pub generated: Option<String>,
    /// `ON UPDATE CURRENT_TIMESTAMP[(n)]`: its precision.
    #[serde(default)]
    pub on_update: Option<u8>,
    /// Added by a light schema change. The FE copies such a column, which shows in its JSON.
    #[serde(default)]
    pub copied: bool,
}

/// Hidden column that marks a deleted row of a unique table.
pub const DELETE_SIGN: &str = "__DORIS_DELETE_SIGN__";
/// Hidden column that orders rows of one key.
pub const SEQUENCE_COL: &str = "__DORIS_SEQUENCE_COL__";
/// Hidden column with the version that wrote the row.
pub const VERSION_COL: &str = "__DORIS_VERSION_COL__";
/// Hidden column of tables whose rows may bring different columns.
pub const SKIP_BITMAP_COL: &str = "__DORIS_SKIP_BITMAP_COL__";
/// Hidden column with the whole row, of tables with `store_row_column`.
pub const ROW_STORE_COL: &str = "__DORIS_ROW_STORE_COL__";

/// A hidden column; aggregation and unique id are the caller's.
#[must_use]
pub fn hidden(name: &str, data_type: DataType, nullable: bool, default: Option<&str>) -> Column {
    let comment = match name {
        DELETE_SIGN => "doris delete flag hidden column",
        SEQUENCE_COL => "sequence column hidden column",
        VERSION_COL => "doris version hidden column",
        ROW_STORE_COL => "doris row store hidden column",
        SKIP_BITMAP_COL => "doris skip bitmap hidden column",
        _ => "",
    };
    Column {
        nullable,
        default: default.map(|d| DefaultValue::Constant(Some(d.to_owned()))),
        visible: false,
        comment: comment.to_owned(),
        ..Column::new(name, data_type)
    }
}

impl Column {
    /// A plain nullable value column without default.
    #[must_use]
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        Self {
            name: name.into(),
            data_type,
            is_key: false,
            nullable: true,
            default: None,
            aggregation: None,
            comment: String::new(),
            unique_id: -1,
            visible: true,
            auto_inc: None,
            generated: None,
            on_update: None,
            copied: false,
        }
    }

    /// The value in rows that are older than the column.
    #[must_use]
    pub fn value_in_old_rows(&self) -> Cell {
        match self.default.as_ref()? {
            DefaultValue::Constant(text) => text.clone(),
            DefaultValue::Function(text)
                if ["BITMAP_EMPTY", "HLL_EMPTY"].contains(&text.as_str()) =>
            {
                Some(String::new())
            }
            DefaultValue::CurrentTimestamp(_) | DefaultValue::Function(_) => None,
        }
    }

    /// Names are equal without regard to case.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}
