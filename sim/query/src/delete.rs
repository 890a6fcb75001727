//! The condition of a DELETE on a duplicate or aggregate table: comparisons of columns with constants, joined by AND.

use dorisim_model::SqlError;
use dorisim_model::backend::{DeleteOp, DeleteWhere};
use dorisim_sql::{Token, TokenKind, tokenize};

/// Reads the text behind `WHERE`.
///
/// # Errors
/// Anything but `column op constant`, `[NOT] IN`, `IS [NOT] NULL`, `BETWEEN`, joined by AND.
pub fn conditions(text: &str) -> Result<Vec<DeleteWhere>, SqlError> {
    let tokens = tokenize(text).map_err(|error| SqlError::analysis(error.message))?;
    let mut reader = Reader { tokens, at: 0 };
    let mut conditions = Vec::new();
    reader.conjunction(&mut conditions)?;
    if reader.kind() == &TokenKind::Eof {
        Ok(conditions)
    } else {
        reader.refuse()
    }
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
}

impl Reader {
    fn kind(&self) -> &TokenKind {
        &self.tokens[self.at.min(self.tokens.len() - 1)].kind
    }

    fn accept(&mut self, wanted: &str) -> bool {
        let found = match self.kind() {
            TokenKind::Word(word) => word.eq_ignore_ascii_case(wanted),
            TokenKind::Symbol(symbol) => *symbol == wanted,
            TokenKind::Quoted(_) | TokenKind::Str(_) | TokenKind::Number(_) | TokenKind::Eof => {
                false
            }
        };
        self.at += usize::from(found);
        found
    }

    fn refuse<T>(&self) -> Result<T, SqlError> {
        Err(SqlError::analysis(
            "Where clause only supports compound predicate, binary predicate, is_null predicate or in predicate",
        ))
    }

    fn conjunction(&mut self, conditions: &mut Vec<DeleteWhere>) -> Result<(), SqlError> {
        loop {
            if self.accept("(") {
                self.conjunction(conditions)?;
                if !self.accept(")") {
                    return self.refuse();
                }
            } else {
                self.condition(conditions)?;
            }
            if !self.accept("AND") && !self.accept("&&") {
                return Ok(());
            }
        }
    }

    fn condition(&mut self, conditions: &mut Vec<DeleteWhere>) -> Result<(), SqlError> {
        let column = self.column()?;
        let mut add = |op, values| {
            conditions.push(DeleteWhere {
                column: column.clone(),
                op,
                values,
            })
        };
        if self.accept("IS") {
            let op = if self.accept("NOT") {
                DeleteOp::IsNotNull
            } else {
                DeleteOp::IsNull
            };
            if !self.accept("NULL") {
                return self.refuse();
            }
            add(op, Vec::new());
            return Ok(());
        }
        if self.accept("BETWEEN") {
            let low = self.constant()?;
            if !self.accept("AND") {
                return self.refuse();
            }
            let high = self.constant()?;
            add(DeleteOp::Ge, vec![low]);
            add(DeleteOp::Le, vec![high]);
            return Ok(());
        }
        let negated = self.accept("NOT");
        if self.accept("IN") {
            let values = self.list()?;
            add(
                if negated {
                    DeleteOp::NotIn
                } else {
                    DeleteOp::In
                },
                values,
            );
            return Ok(());
        }
        let op = [
            ("=", DeleteOp::Eq),
            ("!=", DeleteOp::Ne),
            ("<>", DeleteOp::Ne),
            ("<=", DeleteOp::Le),
            (">=", DeleteOp::Ge),
            ("<", DeleteOp::Lt),
            (">", DeleteOp::Gt),
        ]
        .into_iter()
        .find(|(symbol, _)| self.accept(symbol));
        match op {
            Some((_, op)) if !negated => {
                let value = self.constant()?;
                add(op, vec![value]);
                Ok(())
            }
            Some(_) | None => self.refuse(),
        }
    }

    fn column(&mut self) -> Result<String, SqlError> {
        loop {
            let (TokenKind::Word(name) | TokenKind::Quoted(name)) = self.kind().clone() else {
                return self.refuse();
            };
            self.at += 1;
            if !self.accept(".") {
                return Ok(name);
            }
        }
    }

    fn constant(&mut self) -> Result<String, SqlError> {
        let negative = self.accept("-");
        if !negative {
            // `DATE '2024-01-01'`.
            let typed = matches!(self.kind(), TokenKind::Word(word) if word.eq_ignore_ascii_case("DATE") || word.eq_ignore_ascii_case("TIMESTAMP"));
            self.at += usize::from(typed);
        }
        let text = match self.kind() {
            TokenKind::Str(text) | TokenKind::Number(text) => text.clone(),
            TokenKind::Word(word) if word.eq_ignore_ascii_case("true") => "1".to_owned(),
            TokenKind::Word(word) if word.eq_ignore_ascii_case("false") => "0".to_owned(),
            TokenKind::Word(_) | TokenKind::Quoted(_) | TokenKind::Symbol(_) | TokenKind::Eof => {
                return self.refuse();
            }
        };
        self.at += 1;
        Ok(if negative { format!("-{text}") } else { text })
    }

    fn list(&mut self) -> Result<Vec<String>, SqlError> {
        if !self.accept("(") {
            return self.refuse();
        }
        let mut values = vec![self.constant()?];
        while self.accept(",") {
            values.push(self.constant()?);
        }
        if self.accept(")") {
            Ok(values)
        } else {
            self.refuse()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conjunctions_of_comparisons() {
        let found = conditions("`a` = 1 AND (t.b >= '2024-01-01' and c IN (1, -2)) AND d IS NOT NULL AND e BETWEEN 1 AND 5").unwrap();
        let brief: Vec<_> = found
            .iter()
            .map(|one| (one.column.as_str(), one.op, one.values.join("/")))
            .collect();
        assert_eq!(
            brief,
            [
                ("a", DeleteOp::Eq, "1".to_owned()),
                ("b", DeleteOp::Ge, "2024-01-01".to_owned()),
                ("c", DeleteOp::In, "1/-2".to_owned()),
                ("d", DeleteOp::IsNotNull, String::new()),
                ("e", DeleteOp::Ge, "1".to_owned()),
                ("e", DeleteOp::Le, "5".to_owned()),
            ]
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["a = 1 OR b = 2", "a = b", "f(a) = 1", "a", "a NOT = 1", ""] {
            assert!(conditions(text).is_err(), "{text}");
        }
    }
}
