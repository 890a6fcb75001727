//! INSERT, DELETE, UPDATE.

use super::cursor::Parser;
use crate::ast::{Insert, InsertSource, InsertValue, Statement};
use crate::error::SyntaxError;
use crate::lexer::TokenKind;

type Read<T> = Result<T, SyntaxError>;

impl Parser<'_> {
    pub(super) fn insert(&mut self) -> Read<Statement> {
        let overwrite = self.accept("OVERWRITE");
        if overwrite {
            self.accept("TABLE");
        } else {
            self.expect("INTO")?;
        }
        let table = self.object_name()?;
        let mut insert = Insert {
            table,
            overwrite,
            partitions: Vec::new(),
            overwrite_touched: false,
            temp_partitions: false,
            label: None,
            columns: Vec::new(),
            source: InsertSource::Values(Vec::new()),
        };
        self.insert_partitions(&mut insert)?;
        if self.accept_all(&["WITH", "LABEL"]) {
            insert.label = Some(self.object_name_or_string()?);
        }
        if self.is_symbol("(") && !self.is_any_word_nth(1, &["SELECT", "WITH"]) {
            insert.columns = self.name_list()?;
        }
        // A hint list `[shuffle]`.
        if self.accept_symbol("[") {
            while !self.accept_symbol("]") && !self.at_end() {
                self.skip();
            }
        }
        insert.source = if self.accept("VALUES") || self.accept("VALUE") {
            InsertSource::Values(self.value_rows()?)
        } else if self.is_any_word(&["SELECT", "WITH"]) || self.is_symbol("(") {
            InsertSource::Select(self.rest().to_owned())
        } else {
            return self.unexpected("{'VALUES', 'SELECT'}");
        };
        Ok(Statement::Insert(Box::new(insert)))
    }

    fn is_any_word_nth(&self, ahead: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.is_word_nth(ahead, word))
    }

    fn object_name_or_string(&mut self) -> Read<String> {
        let mut name = self.name_or_string()?;
        while self.accept_symbol(".") {
            name = self.name()?;
        }
        Ok(name)
    }

    fn insert_partitions(&mut self, insert: &mut Insert) -> Read<()> {
        if self.is_any_word(&["PARTITION", "PARTITIONS"])
            && self.is_symbol_nth(1, "(")
            && self.is_symbol_nth(2, "*")
        {
            for _ in 0..3 {
                self.skip();
            }
            self.expect_symbol(")")?;
            insert.overwrite_touched = true;
            return Ok(());
        }
        (insert.partitions, insert.temp_partitions) = self.partitions()?;
        Ok(())
    }

    fn value_rows(&mut self) -> Read<Vec<Vec<InsertValue>>> {
        let mut rows = Vec::new();
        loop {
            rows.push(self.list(Self::insert_value)?);
            if !self.accept_symbol(",") {
                return Ok(rows);
            }
        }
    }

    fn insert_value(&mut self) -> Read<InsertValue> {
        if let Some(value) = self.simple_value() {
            return Ok(value);
        }
        let text = self.text_until(&[","]);
        if text.is_empty() {
            return self.unexpected("a value");
        }
        Ok(InsertValue::Expression(text.to_owned()))
    }

    /// A single literal that ends at `,` or `)`.
    fn simple_value(&mut self) -> Option<InsertValue> {
        let negative = self.is_symbol("-") && matches!(self.peek_nth(1), TokenKind::Number(_));
        let length = if negative { 2 } else { 1 };
        if !self.is_symbol_nth(length, ",") && !self.is_symbol_nth(length, ")") {
            return None;
        }
        let value = match self.peek_nth(length - 1) {
            TokenKind::Str(text) => InsertValue::Literal(text.clone()),
            TokenKind::Number(text) if negative => InsertValue::Literal(format!("-{text}")),
            TokenKind::Number(text) => InsertValue::Literal(text.clone()),
            TokenKind::Word(word) if word.eq_ignore_ascii_case("null") => InsertValue::Null,
            TokenKind::Word(word) if word.eq_ignore_ascii_case("default") => InsertValue::Default,
            TokenKind::Word(word) if word.eq_ignore_ascii_case("true") => {
                InsertValue::Literal("true".into())
            }
            TokenKind::Word(word) if word.eq_ignore_ascii_case("false") => {
                InsertValue::Literal("false".into())
            }
            TokenKind::Word(_) | TokenKind::Quoted(_) | TokenKind::Symbol(_) | TokenKind::Eof => {
                return None;
            }
        };
        for _ in 0..length {
            self.skip();
        }
        Some(value)
    }

    pub(super) fn delete(&mut self) -> Read<Statement> {
        self.expect("FROM")?;
        let table = self.object_name()?;
        let mut alias = self.alias(&["PARTITION", "PARTITIONS", "USING", "WHERE"])?;
        let (partitions, _) = self.partitions()?;
        if alias.is_none() {
            alias = self.alias(&["USING", "WHERE"])?;
        }
        let using = if self.accept("USING") {
            Some(self.text_until(&["WHERE"]).to_owned())
        } else {
            None
        };
        Ok(Statement::Delete {
            table,
            alias,
            partitions,
            using,
            predicate: self.predicate()?,
        })
    }

    pub(super) fn update(&mut self) -> Read<Statement> {
        let table = self.object_name()?;
        let alias = self.alias(&["SET"])?;
        self.expect("SET")?;
        let mut assignments = Vec::new();
        loop {
            let mut column = self.name()?;
            while self.accept_symbol(".") {
                column = self.name()?;
            }
            self.expect_symbol("=")?;
            assignments.push((column, self.text_until(&[",", "WHERE", "FROM"]).to_owned()));
            if !self.accept_symbol(",") {
                break;
            }
        }
        let from = if self.accept("FROM") {
            Some(self.text_until(&["WHERE"]).to_owned())
        } else {
            None
        };
        Ok(Statement::Update {
            table,
            alias,
            assignments,
            from,
            predicate: self.predicate()?,
        })
    }

    /// `[AS] name`, unless a word of the statement follows.
    fn alias(&mut self, words: &[&str]) -> Read<Option<String>> {
        let named = self.accept("AS");
        let other = matches!(self.peek_nth(0), TokenKind::Word(_) | TokenKind::Quoted(_));
        if named || (other && !self.is_any_word(words)) {
            return self.name().map(Some);
        }
        Ok(None)
    }

    fn predicate(&mut self) -> Read<Option<String>> {
        if !self.accept("WHERE") {
            return Ok(None);
        }
        let text = self.rest().to_owned();
        if text.is_empty() {
            self.unexpected("a condition")
        } else {
            Ok(Some(text))
        }
    }
}
