//! What a statement answers.

use dorisim_fe::StmtOutcome;
use dorisim_query::ResultSet;

/// Success of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// An OK packet.
    Done(StmtOutcome),
    /// Rows.
    Rows(ResultSet),
}

impl Answer {
    /// An OK packet that says nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self::Done(StmtOutcome::default())
    }

    /// The rows; none for an OK packet.
    #[must_use]
    pub fn into_rows(self) -> ResultSet {
        match self {
            Self::Done(_) => ResultSet::default(),
            Self::Rows(rows) => rows,
        }
    }
}
