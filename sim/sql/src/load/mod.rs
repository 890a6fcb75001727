//! Bodies of stream loads → rows of text, by column name: `columns` (the header of that name), `csv`, `json`.
//!
//! Nothing is converted here: a field keeps its text, `\N` of CSV and `null` of JSON are NULL.

mod columns;
mod csv;
mod json;

pub use columns::{ColumnMapping, DerivedColumn};
pub use csv::{first_line, parse_csv, unescape_separator};
pub use json::parse_json;

use std::collections::HashMap;

use dorisim_model::Row;

/// Rejected rows whose text is kept, as `MAX_ERROR_NUM` of the backend bounds them.
const KEPT_REJECTIONS: usize = 51;
/// Bytes of a source line that are kept.
const KEPT_LINE: usize = 4_096;

/// How a body is to be read; the fields carry the names of the HTTP headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOptions {
    /// CSV: between fields; escapes (`\t`, `\x01`) already resolved by [`unescape_separator`].
    pub column_separator: String,
    /// CSV: behind lines.
    pub line_delimiter: String,
    /// CSV: quote around fields, one byte.
    pub enclose: Option<u8>,
    /// CSV: escape inside quotes, one byte.
    pub escape: Option<u8>,
    /// CSV: quotes around fields are taken away.
    pub trim_double_quotes: bool,
    /// CSV: empty fields are NULL.
    pub empty_field_as_null: bool,
    /// CSV: lines to skip at the start, those of names and types included.
    pub skip_lines: usize,
    /// JSON: the document is one array of rows.
    pub strip_outer_array: bool,
    /// JSON: one document per line.
    pub read_json_by_line: bool,
    /// JSON: paths of the columns, in their order.
    pub jsonpaths: Vec<String>,
    /// JSON: path to the rows.
    pub json_root: Option<String>,
    /// JSON: what a column that a row does not name gets, by lower-case name; NULL where nothing is given.
    pub missing: HashMap<String, String>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            column_separator: "\t".to_owned(),
            line_delimiter: "\n".to_owned(),
            enclose: None,
            escape: None,
            trim_double_quotes: false,
            empty_field_as_null: false,
            skip_lines: 0,
            strip_outer_array: false,
            read_json_by_line: false,
            jsonpaths: Vec::new(),
            json_root: None,
            missing: HashMap::new(),
        }
    }
}

/// Rows that a load refused: how many, and the first ones with their reasons.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejections {
    /// All of them.
    pub count: u64,
    kept: Vec<(String, String)>,
}

impl Rejections {
    /// Notes a refused row: reason, and the row as text.
    pub fn add(&mut self, reason: impl FnOnce() -> String, line: impl FnOnce() -> String) {
        self.count += 1;
        if self.kept.len() >= KEPT_REJECTIONS {
            return;
        }
        let mut line = line();
        if line.len() > KEPT_LINE {
            let cut = (0..=KEPT_LINE).rev().find(|at| line.is_char_boundary(*at));
            line.truncate(cut.unwrap_or(0));
            line.push_str("...");
        }
        self.kept.push((reason(), line));
    }

    /// `FirstErrorMsg` of the answer.
    #[must_use]
    pub fn first(&self) -> Option<String> {
        let (reason, line) = self.kept.first()?;
        Some(format!("{reason}. Src line: {line}"))
    }

    /// Content of the error log, a line per row; `None` when nothing was refused.
    #[must_use]
    pub fn log(&self) -> Option<String> {
        let line =
            |(reason, line): &(String, String)| format!("Reason: {reason}. src line [{line}]; \n");
        (!self.kept.is_empty()).then(|| self.kept.iter().map(line).collect())
    }
}

/// What a body held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParsedRows {
    /// Rows in order; cells as the caller named the columns.
    pub rows: Vec<Row>,
    /// Lines that did not fit.
    pub rejected: Rejections,
}
