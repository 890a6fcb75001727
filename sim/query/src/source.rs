//! What a query reads from, and what it gives back.

use dorisim_model::{DataType, Row};
use dorisim_model::{SqlError, TableScan};

/// How values of a column compare and travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// TINYINT.
    TinyInt,
    /// SMALLINT.
    SmallInt,
    /// INT.
    Int,
    /// BIGINT, and integers of no known width.
    Integer,
    /// BOOLEAN.
    Boolean,
    /// LARGEINT.
    Large,
    /// FLOAT.
    Float,
    /// DOUBLE.
    Double,
    /// DECIMAL: precision and scale.
    Decimal(u8, u8),
    /// DATE.
    Date,
    /// DATETIME: digits behind the second.
    DateTime(u8),
    /// CHAR, VARCHAR, and every type without a MySQL type of its own.
    Text,
    /// STRING.
    String,
    /// JSON and VARIANT.
    Json,
}

impl ColumnKind {
    /// Kind of a Doris type.
    #[must_use]
    pub fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::TinyInt => Self::TinyInt,
            DataType::SmallInt => Self::SmallInt,
            DataType::Int => Self::Int,
            DataType::BigInt => Self::Integer,
            DataType::LargeInt => Self::Large,
            DataType::Float => Self::Float,
            DataType::Double => Self::Double,
            DataType::Decimal(precision, scale) => Self::Decimal(*precision, *scale),
            DataType::Date => Self::Date,
            DataType::DateTime(scale) => Self::DateTime(*scale),
            DataType::String => Self::String,
            DataType::Json | DataType::Variant => Self::Json,
            DataType::Char(_)
            | DataType::Varchar(_)
            | DataType::Array(_)
            | DataType::Map(..)
            | DataType::Struct(_)
            | DataType::Bitmap
            | DataType::Hll
            | DataType::QuantileState
            | DataType::Ipv4
            | DataType::Ipv6
            | DataType::AggState(_) => Self::Text,
        }
    }

    /// Declared type and collation in SQLite. The names select the affinity: exact numbers are text with a numeric collation.
    pub(super) fn declaration(self) -> String {
        match self {
            Self::TinyInt => "TINYINT".to_owned(),
            Self::SmallInt => "SMALLINT".to_owned(),
            Self::Int => "INT".to_owned(),
            Self::Integer => "BIGINT".to_owned(),
            Self::Boolean => "BOOL_INT".to_owned(),
            Self::Large => "TEXT_LARGE COLLATE exact_number".to_owned(),
            Self::Float => "REAL_FLOAT".to_owned(),
            Self::Double => "REAL_DOUBLE".to_owned(),
            Self::Decimal(precision, scale) => {
                format!("TEXT_DECIMAL({precision},{scale}) COLLATE exact_number")
            }
            Self::Date => "TEXT_DATE COLLATE moment".to_owned(),
            Self::DateTime(scale) => format!("TEXT_DATETIME({scale}) COLLATE moment"),
            Self::Text => "TEXT".to_owned(),
            Self::String => "TEXT_STRING".to_owned(),
            Self::Json => "TEXT_JSON".to_owned(),
        }
    }

    pub(super) fn of_declaration(declared: &str) -> Self {
        let (name, digits) = declared.split_once('(').unwrap_or((declared, ""));
        let mut digits = digits
            .trim_end_matches(')')
            .split(',')
            .map(|number| number.trim().parse().unwrap_or(0));
        let mut next = || digits.next().unwrap_or(0);
        match name {
            "TINYINT" => Self::TinyInt,
            "SMALLINT" => Self::SmallInt,
            "INT" => Self::Int,
            "BIGINT" => Self::Integer,
            "BOOL_INT" => Self::Boolean,
            "TEXT_LARGE" => Self::Large,
            "REAL_FLOAT" => Self::Float,
            "REAL_DOUBLE" => Self::Double,
            "TEXT_DECIMAL" => Self::Decimal(next(), next()),
            "TEXT_DATE" => Self::Date,
            "TEXT_DATETIME" => Self::DateTime(next()),
            "TEXT_STRING" => Self::String,
            "TEXT_JSON" => Self::Json,
            _ => Self::Text,
        }
    }
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultColumn {
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: ColumnKind,
}

/// Columns and rows of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResultSet {
    /// Columns.
    pub columns: Vec<ResultColumn>,
    /// Rows, as text.
    pub rows: Vec<Row>,
}

impl ResultSet {
    /// An empty answer whose columns are all text.
    #[must_use]
    pub fn of_text(names: &[&str]) -> Self {
        let column = |name: &&str| ResultColumn {
            name: (*name).to_owned(),
            kind: ColumnKind::Text,
        };
        Self {
            columns: names.iter().map(column).collect(),
            rows: Vec::new(),
        }
    }

    /// An empty answer whose columns are all STRING: the newer forms of SHOW.
    #[must_use]
    pub fn of_strings(names: &[&str]) -> Self {
        let mut answer = Self::of_text(names);
        for column in &mut answer.columns {
            column.kind = ColumnKind::String;
        }
        answer
    }

    /// Adds a row of texts.
    pub fn push(&mut self, cells: Vec<String>) {
        self.rows.push(cells.into_iter().map(Some).collect());
    }
}

/// A state of a table's data: rows read under the same key are the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableKey {
    /// Table id.
    pub id: i64,
    /// Id, visible version and the time it became visible (milliseconds since 1970) of each partition read. The time
    /// belongs to it: a restore can bring other rows under the same version.
    pub versions: Vec<(i64, i64, i64)>,
    /// Names, types and unique ids of the columns.
    pub columns: Vec<(String, String, i32)>,
}

/// Whom a name in `FROM` stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// A table, in the state it has now.
    Table(TableKey),
    /// A view: its query and the column names declared.
    View {
        /// The query.
        select: String,
        /// Declared names; empty when the query names them.
        columns: Vec<String>,
    },
    /// Rows made up on the spot (`information_schema`).
    Rows(ResultSet),
}

/// A table named in `FROM`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableRef {
    /// Database.
    pub db: String,
    /// Table.
    pub name: String,
    /// Partitions; empty means all.
    pub partitions: Vec<String>,
    /// The partitions are temporary.
    pub temp: bool,
}

/// Where queries find their tables.
pub trait Tables {
    /// Resolves a name.
    ///
    /// # Errors
    /// The database, the table or a partition is unknown.
    fn named(&self, table: &TableRef) -> Result<Named, SqlError>;

    /// The visible rows of a table.
    ///
    /// # Errors
    /// The table is gone, or a backend does not answer.
    fn scan(&self, table: &TableRef) -> Result<TableScan, SqlError>;

    /// Rows of a table function such as `frontends()`.
    ///
    /// # Errors
    /// No such function.
    fn function(&self, name: &str, arguments: &str) -> Result<ResultSet, SqlError>;
}

/// What a query may ask about its session.
#[derive(Debug, Clone, Default)]
pub struct SessionInfo {
    /// Database of `USE`.
    pub db: Option<String>,
    /// User without host.
    pub user: String,
    /// Id of the connection.
    pub connection_id: u32,
    /// Answer of `version()`.
    pub version: String,
    /// Epoch milliseconds, constant during the query.
    pub now_ms: i64,
    /// Session variables, lower case.
    pub variables: std::collections::BTreeMap<String, String>,
    /// Variables that SET GLOBAL changed, lower case.
    pub globals: std::collections::BTreeMap<String, String>,
}
