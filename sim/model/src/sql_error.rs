//! What a statement that fails answers, and what a scan reads.

use crate::{Column, Row};

/// A statement's failure as a MySQL error packet carries it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("errCode = 2, detailMessage = {text}")]
pub struct SqlError {
    /// MySQL error number; 1105 when nothing better fits.
    pub code: u16,
    /// The core of the text, without `errCode = ..., detailMessage = `.
    pub text: String,
}

impl SqlError {
    /// An error with a number of its own.
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }

    /// A general analysis error (1105).
    pub fn analysis(text: impl Into<String>) -> Self {
        Self::new(1105, text)
    }

    /// `Unknown database 'x'` (1049).
    #[must_use]
    pub fn unknown_db(name: &str) -> Self {
        Self::new(1049, format!("Unknown database '{name}'"))
    }

    /// `Unknown table 'x'` (1051).
    #[must_use]
    pub fn unknown_table(name: &str) -> Self {
        Self::new(1051, format!("Unknown table '{name}'"))
    }

    /// What DROP TABLE and DROP VIEW say of a name that nothing has.
    #[must_use]
    pub fn unknown_table_in(name: &str, db: &str) -> Self {
        Self::new(1051, format!("Unknown table '{name}' in {db}"))
    }

    /// The number in the error packet. An FE loses the numbers of its refusals on their way to the client: whatever a
    /// statement got wrong goes out as 1105, except for `USE` and for what is not supported.
    #[must_use]
    pub fn wire_code(&self, statement: &str) -> u16 {
        let first = statement.split_whitespace().next().unwrap_or_default();
        let kept = match self.code {
            1235 => true,
            1049 => first.eq_ignore_ascii_case("use"),
            _ => false,
        };
        if kept { self.code } else { 1105 }
    }
}

/// Visible rows of a table.
#[derive(Debug, Clone)]
pub struct TableScan {
    /// Columns of the rows.
    pub columns: Vec<Column>,
    /// Rows after merging by key, in key order (unique, aggregate) or bucket and load order (duplicate).
    pub rows: Vec<Row>,
}
