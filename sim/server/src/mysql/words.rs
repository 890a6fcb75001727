//! Small texts that several files need.

use dorisim_fe::SqlError;
use dorisim_model::{Column, DefaultValue};
use dorisim_sql::ast::Statement;
use dorisim_sql::parse_with_text;

/// Statements of a text, each with its own text.
pub(super) fn parsed(text: &str) -> Result<Vec<(Statement, String)>, SqlError> {
    parse_with_text(text).map_err(|error| {
        let core = error.to_string();
        SqlError::analysis(
            core.strip_prefix("errCode = 2, detailMessage = ")
                .unwrap_or(&core),
        )
    })
}

/// Doris' refusal.
pub(super) fn denied(privilege: &str, user: &str, db: &str, table: &str) -> SqlError {
    SqlError::new(
        1142,
        format!(
            "{privilege} command denied to user '{user}'@'127.0.0.1' for table '{db}: {table}'"
        ),
    )
}

/// The default of a column as DESC shows it; `None` is NULL.
pub(super) fn default_text(column: &Column) -> Option<String> {
    match column.default.as_ref()? {
        DefaultValue::Constant(text) => text.clone(),
        DefaultValue::CurrentTimestamp(0) => Some("CURRENT_TIMESTAMP".to_owned()),
        DefaultValue::CurrentTimestamp(precision) => {
            Some(format!("CURRENT_TIMESTAMP({precision})"))
        }
        DefaultValue::Function(text) => Some(text.clone()),
    }
}

/// True when a name passes the pattern of `LIKE`.
pub(super) fn passes(name: &str, like: Option<&str>) -> bool {
    like.is_none_or(|pattern| dorisim_query::like::matches(pattern, name, '\\'))
}
