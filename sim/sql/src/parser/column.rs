//! Columns, their types, and indexes.

use super::cursor::Parser;
use crate::ast::{ColumnDef, DefaultValue, IndexDef, Properties};
use crate::error::SyntaxError;
use crate::lexer::TokenKind;

const AGGREGATIONS: [&str; 8] = [
    "SUM",
    "MIN",
    "MAX",
    "REPLACE",
    "REPLACE_IF_NOT_NULL",
    "HLL_UNION",
    "BITMAP_UNION",
    "QUANTILE_UNION",
];

impl Parser<'_> {
    pub(super) fn column(&mut self) -> Result<ColumnDef, SyntaxError> {
        let name = self.name()?;
        let mut column = ColumnDef {
            name,
            type_text: self.type_text()?,
            ..ColumnDef::default()
        };
        while self.column_option(&mut column)? {}
        Ok(column)
    }

    /// `DECIMAL(10,2)` → `DECIMAL(10, 2)`; names of STRUCT fields keep their case.
    pub(super) fn type_text(&mut self) -> Result<String, SyntaxError> {
        let mut text = self.name()?.to_ascii_uppercase();
        // `AGG_STATE<fn(args)>`, `VARIANT<'path' : type>` are metadata only: the text is enough.
        if self.accept_symbol("<") {
            text.push('<');
            loop {
                if matches!(self.peek_nth(1), TokenKind::Symbol(":")) {
                    text.push_str(&self.name_or_string()?);
                    self.skip();
                    text.push(':');
                }
                text.push_str(&self.type_text()?);
                if self.accept("NULL") {
                    text.push_str(" NULL");
                }
                if !self.accept_symbol(",") {
                    break;
                }
                text.push_str(", ");
            }
            self.expect_symbol(">")?;
            text.push('>');
        } else if self.is_symbol("(") && !matches!(self.peek_nth(1), TokenKind::Symbol(")")) {
            let inner = self.list(|parser| parser.type_argument())?;
            text = format!("{text}({})", inner.join(", "));
        }
        Ok(text)
    }

    fn type_argument(&mut self) -> Result<String, SyntaxError> {
        if self.accept_symbol("*") {
            return Ok("*".to_owned());
        }
        if matches!(self.peek(), TokenKind::Number(_)) {
            return Ok(self.integer()?.to_string());
        }
        let mut text = self.type_text()?;
        if self.accept("NULL") {
            text.push_str(" NULL");
        } else if self.accept_all(&["NOT", "NULL"]) {
            text.push_str(" NOT NULL");
        }
        Ok(text)
    }

    /// One option behind the type; `false` when none stands here.
    fn column_option(&mut self, column: &mut ColumnDef) -> Result<bool, SyntaxError> {
        if self.accept("KEY") {
            column.is_key = true;
        } else if self.accept_all(&["NOT", "NULL"]) {
            column.nullable = Some(false);
        } else if self.accept("NULL") {
            column.nullable = Some(true);
        } else if self.accept("DEFAULT") {
            column.default = Some(self.default_value()?);
        } else if self.accept("AUTO_INCREMENT") {
            column.auto_increment = Some(if self.is_symbol("(") {
                self.bracketed_integer()?
            } else {
                1
            });
        } else if self.accept_all(&["ON", "UPDATE"]) {
            self.expect("CURRENT_TIMESTAMP")?;
            if self.is_symbol("(") {
                self.bracketed_text()?;
            }
            column.on_update_current_timestamp = true;
        } else if self.accept_all(&["GENERATED", "ALWAYS", "AS"]) || self.accept("AS") {
            column.generated = Some(self.bracketed_text()?.to_owned());
        } else if self.is_word("COMMENT") {
            column.comment = self.comment()?;
        } else if self.accept("GENERIC") {
            column.aggregation = Some("GENERIC".to_owned());
        } else if let Some(aggregation) = self.accept_any(&AGGREGATIONS) {
            column.aggregation = Some(aggregation);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn bracketed_integer(&mut self) -> Result<i64, SyntaxError> {
        self.expect_symbol("(")?;
        let value = self.integer()?;
        self.expect_symbol(")")?;
        Ok(value)
    }

    fn default_value(&mut self) -> Result<DefaultValue, SyntaxError> {
        if self.accept("NULL") {
            return Ok(DefaultValue::Null);
        }
        if self.accept("CURRENT_TIMESTAMP") {
            let mut precision = None;
            if self.accept_symbol("(") {
                precision = self
                    .optional_integer()?
                    .and_then(|value| u8::try_from(value).ok());
                self.expect_symbol(")")?;
            }
            return Ok(DefaultValue::CurrentTimestamp(precision));
        }
        if self.accept("CURRENT_DATE") {
            if self.accept_symbol("(") {
                self.expect_symbol(")")?;
            }
            return Ok(DefaultValue::CurrentDate);
        }
        let negative = self.accept_symbol("-");
        let value = match self.peek() {
            TokenKind::Str(text) | TokenKind::Number(text) => DefaultValue::Literal(text.clone()),
            TokenKind::Word(word) if word.eq_ignore_ascii_case("true") => {
                DefaultValue::Literal("1".into())
            }
            TokenKind::Word(word) if word.eq_ignore_ascii_case("false") => {
                DefaultValue::Literal("0".into())
            }
            TokenKind::Word(word) => DefaultValue::Expression(word.to_ascii_uppercase()),
            TokenKind::Symbol("[") => {
                self.skip();
                self.expect_symbol("]")?;
                return Ok(DefaultValue::Literal("[]".into()));
            }
            TokenKind::Quoted(_) | TokenKind::Symbol(_) | TokenKind::Eof => {
                return self.unexpected("a default value");
            }
        };
        self.skip();
        Ok(match value {
            DefaultValue::Literal(text) if negative => DefaultValue::Literal(format!("-{text}")),
            DefaultValue::Literal(_)
            | DefaultValue::Null
            | DefaultValue::CurrentTimestamp(_)
            | DefaultValue::CurrentDate
            | DefaultValue::Expression(_) => value,
        })
    }

    /// `name (columns) [USING type] [PROPERTIES] [COMMENT]`, behind `INDEX`.
    pub(super) fn index_body(&mut self) -> Result<IndexDef, SyntaxError> {
        let if_not_exists = self.if_not_exists();
        let name = self.name()?;
        self.index_after_name(if_not_exists, name)
    }

    pub(super) fn index_after_name(
        &mut self,
        if_not_exists: bool,
        name: String,
    ) -> Result<IndexDef, SyntaxError> {
        let columns = self.name_list()?;
        let mut index = IndexDef {
            if_not_exists,
            name,
            columns,
            index_type: "INVERTED".to_owned(),
            properties: Properties::new(),
            comment: String::new(),
        };
        loop {
            if self.accept("USING") {
                index.index_type = self.name()?.to_ascii_uppercase();
            } else if self.is_word("PROPERTIES") {
                index.properties = self.properties()?;
            } else if self.is_word("COMMENT") {
                index.comment = self.comment()?;
            } else {
                return Ok(index);
            }
        }
    }
}
