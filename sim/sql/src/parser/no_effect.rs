//! Statements of Doris that are accepted without an effect, and those that are refused because their effect would be missed.
//!
//! Everything else that is not read is a syntax error, as in Doris.

use super::cursor::Parser;
use crate::ast::Statement;
use crate::error::SyntaxError;

/// First words of statements whose effect no replication and no client of the simulated cluster can miss.
const ACCEPTED: &[&[&str]] = &[
    &["ADMIN", "CANCEL", "REBALANCE"],
    &["ADMIN", "CANCEL", "REPAIR"],
    &["ADMIN", "CHECK", "TABLET"],
    &["ADMIN", "CLEAN", "TRASH"],
    &["ADMIN", "COMPACT", "TABLE"],
    &["ADMIN", "REBALANCE"],
    &["ADMIN", "REPAIR", "TABLE"],
    &["ALTER", "ROLE"],
    &["ALTER", "WORKLOAD"],
    &["ANALYZE"],
    &["CLEAN", "ALL"],
    &["CLEAN", "LABEL"],
    &["CREATE", "ROLE"],
    &["CREATE", "WORKLOAD"],
    &["DROP", "ROLE"],
    &["DROP", "STATS"],
    &["DROP", "WORKLOAD"],
    &["KILL"],
    &["LOCK", "TABLES"],
    &["REFRESH", "CATALOG"],
    &["REFRESH", "DATABASE"],
    &["REFRESH", "TABLE"],
    &["SWITCH"],
    &["SYNC"],
    &["UNLOCK", "TABLES"],
    &["UNSET"],
];

/// First words of statements that Doris knows and this frontend cannot carry out.
const UNSUPPORTED: &[&[&str]] = &[
    &["ADMIN", "COPY"],
    &["ADMIN", "CREATE", "CLUSTER", "SNAPSHOT"],
    &["ADMIN", "DROP", "CLUSTER", "SNAPSHOT"],
    &["ADMIN", "SET", "AUTO", "CLUSTER", "SNAPSHOT"],
    &["ADMIN", "SET", "CLUSTER", "SNAPSHOT"],
    &["ADMIN", "SET", "PARTITION"],
    &["ADMIN", "SET", "REPLICA"],
    &["ADMIN", "SET", "TABLE"],
    &["ALTER", "CATALOG"],
    &["ALTER", "COLOCATE"],
    &["ALTER", "JOB"],
    &["ALTER", "RESOURCE"],
    &["ALTER", "ROUTINE"],
    &["ALTER", "SQL_BLOCK_RULE"],
    &["ALTER", "STORAGE"],
    &["CANCEL", "LOAD"],
    &["CANCEL", "EXPORT"],
    &["CANCEL", "MATERIALIZED"],
    &["COPY"],
    &["CREATE", "CATALOG"],
    &["CREATE", "ENCRYPTKEY"],
    &["CREATE", "EXTERNAL", "TABLE"],
    &["CREATE", "FILE"],
    &["CREATE", "INVERTED"],
    &["CREATE", "JOB"],
    &["CREATE", "READ"],
    &["CREATE", "REPOSITORY"],
    &["CREATE", "RESOURCE"],
    &["CREATE", "EXTERNAL", "RESOURCE"],
    &["CREATE", "ROUTINE"],
    &["CREATE", "ROW"],
    &["CREATE", "SQL_BLOCK_RULE"],
    &["CREATE", "STAGE"],
    &["CREATE", "STORAGE"],
    &["CREATE", "TEMPORARY"],
    &["EXPORT"],
    &["INSTALL"],
    &["LOAD"],
    &["PAUSE"],
    &["PLAY"],
    &["RESUME"],
    &["STOP"],
    &["UNINSTALL"],
    &["WARM"],
];

/// Objects of Doris that cannot be made here: with IF EXISTS their removal has nothing to do.
const NEVER_THERE: &[&[&str]] = &[
    &["CATALOG"],
    &["ENCRYPTKEY"],
    &["FILE"],
    &["JOB"],
    &["REPOSITORY"],
    &["RESOURCE"],
    &["ROW", "POLICY"],
    &["SQL_BLOCK_RULE"],
    &["STAGE"],
    &["STORAGE", "POLICY"],
    &["STORAGE", "VAULT"],
    &["TEMPORARY", "TABLE"],
];

impl Parser<'_> {
    /// The statement, if it is one of those that are accepted without an effect.
    ///
    /// # Errors
    /// One of those that are refused.
    pub(super) fn without_effect(&mut self) -> Result<Option<Statement>, SyntaxError> {
        let kind = ACCEPTED.iter().find(|words| self.begins(0, words));
        if let Some(words) = kind {
            let kind = words.join(" ");
            self.rest();
            return Ok(Some(Statement::NoEffect { kind }));
        }
        if let Some(words) = UNSUPPORTED.iter().find(|words| self.begins(0, words)) {
            return Err(self.unsupported(&words.join(" ")));
        }
        if !self.is_word("DROP") {
            return Ok(None);
        }
        let Some(words) = NEVER_THERE.iter().find(|words| self.begins(1, words)) else {
            return Ok(None);
        };
        let kind = format!("DROP {}", words.join(" "));
        if !self.begins(1 + words.len(), &["IF", "EXISTS"]) {
            return Err(self.unsupported(&kind));
        }
        self.rest();
        Ok(Some(Statement::NoEffect { kind }))
    }

    /// Whether these words come, `ahead` tokens from here.
    fn begins(&self, ahead: usize, words: &[&str]) -> bool {
        let mut places = (ahead..).zip(words);
        places.all(|(at, word)| self.is_word_nth(at, word))
    }

    /// The refusal of a statement that Doris knows.
    pub(super) fn unsupported(&self, what: &str) -> SyntaxError {
        self.error_here(format!(
            "{what} is not supported by this simulated frontend"
        ))
    }
}
