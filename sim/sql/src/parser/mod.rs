//! Tokens → `Statement`: one function per kind of statement, by recursive descent.
//!
//! `cursor` holds the moves, `create`, `alter`, `dml`, `show` and `admin` the statements.

mod admin;
mod alter;
mod column;
mod create;
mod cursor;
mod dml;
mod function;
mod no_effect;
mod partition;
mod show;
mod system;

use super::ast::Statement;
use super::error::SyntaxError;
use cursor::Parser;

/// Reads every statement of `source`, in order; empty ones are left out.
///
/// # Errors
/// The first place that is not understood.
pub fn parse_statements(source: &str) -> Result<Vec<Statement>, SyntaxError> {
    Ok(parse_with_text(source)?
        .into_iter()
        .map(|(statement, _)| statement)
        .collect())
}

/// Like [`parse_statements`], each with its own text.
///
/// # Errors
/// The first place that is not understood.
pub fn parse_with_text(source: &str) -> Result<Vec<(Statement, String)>, SyntaxError> {
    let mut parser = Parser::new(source)?;
    let mut statements = Vec::new();
    loop {
        while parser.accept_symbol(";") {}
        if parser.at_end() {
            return Ok(statements);
        }
        let start = parser.position();
        let statement = parser.statement()?;
        if !parser.at_end() {
            return parser.unexpected("<EOF>");
        }
        statements.push((
            statement,
            parser.slice(start, parser.end_of_previous()).to_owned(),
        ));
    }
}

/// Reads exactly one statement.
///
/// # Errors
/// No statement, more than one, or one that is not understood.
pub fn parse(source: &str) -> Result<Statement, SyntaxError> {
    let mut statements = parse_statements(source)?;
    match (statements.pop(), statements.is_empty()) {
        (Some(statement), true) => Ok(statement),
        (Some(_), false) => Err(SyntaxError::at(
            source,
            0,
            "one statement expected, several found",
        )),
        (None, _) => Err(SyntaxError::at(
            source,
            0,
            "mismatched input '<EOF>' expecting a statement",
        )),
    }
}

impl Parser<'_> {
    fn statement(&mut self) -> Result<Statement, SyntaxError> {
        if self.is_any_word(&["SELECT", "WITH", "VALUES"]) || self.is_symbol("(") {
            return Ok(Statement::Select {
                text: self.rest().to_owned(),
            });
        }
        if let Some(statement) = self.without_effect()? {
            return Ok(statement);
        }
        if self.accept("CREATE") {
            return self.create();
        }
        if self.accept("ALTER") {
            return self.alter();
        }
        if self.accept("DROP") {
            return self.drop();
        }
        if self.accept("INSERT") {
            return self.insert();
        }
        if self.accept("DELETE") {
            return self.delete();
        }
        if self.accept("UPDATE") {
            return self.update();
        }
        if self.accept("TRUNCATE") {
            return self.truncate();
        }
        if self.accept_all(&["SHOW", "FRONTEND", "CONFIG"])
            || self.accept_all(&["ADMIN", "SHOW", "FRONTEND", "CONFIG"])
        {
            return Ok(Statement::AdminShowConfig { like: self.like()? });
        }
        if self.accept("SHOW") {
            return self.show().map(Statement::Show);
        }
        if self.is_any_word(&["DESC", "DESCRIBE"]) {
            self.skip();
            return self.describe();
        }
        self.other()
    }
}
