//! Functions of users.

use super::cursor::Parser;
use crate::ast::{ObjectName, Statement};
use crate::error::SyntaxError;

type Read<T> = Result<T, SyntaxError>;

impl Parser<'_> {
    /// Whether `[AGGREGATE | TABLES | ALIAS] FUNCTION` comes.
    pub(super) fn is_function(&self) -> bool {
        let kinds = ["AGGREGATE", "TABLES", "ALIAS"];
        self.is_word("FUNCTION") || self.is_any_word(&kinds) && self.is_word_nth(1, "FUNCTION")
    }

    /// After CREATE.
    pub(super) fn create_function(&mut self) -> Read<Statement> {
        let start = self.position();
        self.accept_any(&["AGGREGATE", "TABLES", "ALIAS"]);
        self.expect("FUNCTION")?;
        let if_not_exists = self.if_not_exists();
        let (name, signature) = self.signature()?;
        if !self.is_any_word(&["RETURNS", "WITH"]) {
            return self.unexpected("{'RETURNS', 'WITH'}");
        }
        self.rest();
        let text = format!("CREATE {}", self.slice(start, self.end_of_previous()));
        Ok(Statement::CreateFunction {
            if_not_exists,
            name,
            signature,
            text,
        })
    }

    /// After DROP.
    pub(super) fn drop_function(&mut self) -> Read<Statement> {
        self.expect("FUNCTION")?;
        let if_exists = self.if_exists();
        let (name, signature) = self.signature()?;
        Ok(Statement::DropFunction {
            if_exists,
            name,
            signature,
        })
    }

    /// `[db.]f(INT, ...)`: the name, and `f(int, ...)`.
    pub(super) fn signature(&mut self) -> Read<(ObjectName, String)> {
        let name = self.object_name()?;
        if !self.is_symbol("(") {
            return self.unexpected("'('");
        }
        let arguments = self.bracketed_text()?;
        let types: Vec<String> = arguments
            .split(',')
            .map(|part| part.trim().to_ascii_lowercase())
            .collect();
        let signature = format!("{}({})", name.name.to_ascii_lowercase(), types.join(", "));
        Ok((name, signature))
    }
}
