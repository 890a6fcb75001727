//! Partitioning, partitions, distribution and rollups.

use super::cursor::Parser;
use crate::ast::{
    Distribution, PartitionBy, PartitionDef, PartitionItem, PartitionKind, PartitionValue,
    PartitionValues, Properties, RollupDef,
};
use crate::error::SyntaxError;
use crate::lexer::TokenKind;

/// Buckets of a distribution that names no number (`default_bucket_num`).
const DEFAULT_BUCKETS: u32 = 10;

impl Parser<'_> {
    /// `[AUTO] PARTITION BY ...`, if it stands here.
    pub(super) fn partition_by(&mut self) -> Result<Option<PartitionBy>, SyntaxError> {
        let mut auto = self.accept_all(&["AUTO", "PARTITION", "BY"]);
        if !auto && !self.accept_all(&["PARTITION", "BY"]) {
            return Ok(None);
        }
        let kind = if self.accept("RANGE") {
            PartitionKind::Range
        } else {
            self.accept("LIST");
            PartitionKind::List
        };
        let mut auto_expr = None;
        let columns = self.list(|parser| {
            if parser.is_symbol_nth(1, "(") {
                let text = parser.text_until(&[","]).to_owned();
                let column = column_of_expression(&text);
                auto_expr = Some(printed_expression(&text, &column));
                return Ok(column);
            }
            parser.name()
        })?;
        auto |= auto_expr.is_some();
        let partitions = if self.is_symbol("(") {
            self.list(|parser| parser.partition_item())?
        } else {
            Vec::new()
        };
        Ok(Some(PartitionBy {
            kind,
            columns,
            auto_expr,
            auto,
            partitions,
        }))
    }

    fn partition_item(&mut self) -> Result<PartitionItem, SyntaxError> {
        if self.is_word("FROM") {
            self.partition_step()
        } else {
            self.partition_def().map(PartitionItem::One)
        }
    }

    /// `FROM (a) TO (b) INTERVAL n [unit]`.
    pub(super) fn partition_step(&mut self) -> Result<PartitionItem, SyntaxError> {
        self.expect("FROM")?;
        let from = self.list(Self::partition_value)?;
        self.expect("TO")?;
        let to = self.list(Self::partition_value)?;
        self.expect("INTERVAL")?;
        let interval = self.integer()?;
        let unit = self.accept_any(&[
            "YEAR", "MONTH", "WEEK", "DAY", "HOUR", "QUARTER", "MINUTE", "SECOND",
        ]);
        Ok(PartitionItem::Step {
            from,
            to,
            interval,
            unit,
        })
    }

    /// `[PARTITION] [IF NOT EXISTS] p [VALUES ...] [("k"="v")]`.
    pub(super) fn partition_def(&mut self) -> Result<PartitionDef, SyntaxError> {
        self.accept("PARTITION");
        let if_not_exists = self.if_not_exists();
        let name = self.name()?;
        let values = if self.accept("VALUES") {
            self.partition_values()?
        } else {
            PartitionValues::Default
        };
        let properties = if self.is_symbol("(") {
            self.property_list()?
        } else {
            Properties::new()
        };
        Ok(PartitionDef {
            if_not_exists,
            name,
            values,
            properties,
        })
    }

    fn partition_values(&mut self) -> Result<PartitionValues, SyntaxError> {
        if self.accept_all(&["LESS", "THAN"]) {
            if self.accept("MAXVALUE") {
                return Ok(PartitionValues::LessThan(vec![PartitionValue::Max]));
            }
            return Ok(PartitionValues::LessThan(self.list(Self::partition_value)?));
        }
        if self.accept("IN") {
            return Ok(PartitionValues::In(self.list(|parser| {
                if parser.is_symbol("(") {
                    parser.list(Self::partition_value)
                } else {
                    Ok(vec![parser.partition_value()?])
                }
            })?));
        }
        self.expect_symbol("[")?;
        let lower = self.list(Self::partition_value)?;
        self.expect_symbol(",")?;
        let upper = self.list(Self::partition_value)?;
        self.expect_symbol(")")?;
        Ok(PartitionValues::Fixed { lower, upper })
    }

    fn partition_value(&mut self) -> Result<PartitionValue, SyntaxError> {
        if self.accept("NULL") {
            return Ok(PartitionValue::Null);
        }
        if self.accept("MAXVALUE") {
            return Ok(PartitionValue::Max);
        }
        if self.accept("TRUE") {
            return Ok(PartitionValue::Value("1".into()));
        }
        if self.accept("FALSE") {
            return Ok(PartitionValue::Value("0".into()));
        }
        let negative = self.accept_symbol("-");
        let text = match self.peek() {
            TokenKind::Str(text) | TokenKind::Number(text) => text.clone(),
            TokenKind::Word(_) | TokenKind::Quoted(_) | TokenKind::Symbol(_) | TokenKind::Eof => {
                return self.unexpected("a value of a partition");
            }
        };
        self.skip();
        Ok(PartitionValue::Value(if negative {
            format!("-{text}")
        } else {
            text
        }))
    }

    /// `DISTRIBUTED BY HASH(...)|RANDOM [BUCKETS n|AUTO]`, if it stands here.
    pub(super) fn distribution(&mut self) -> Result<Option<Distribution>, SyntaxError> {
        if !self.accept_all(&["DISTRIBUTED", "BY"]) {
            return Ok(None);
        }
        let hash_columns = if self.accept("HASH") {
            self.name_list()?
        } else {
            self.expect("RANDOM")?;
            Vec::new()
        };
        let mut buckets = Some(DEFAULT_BUCKETS);
        if self.accept("BUCKETS") {
            buckets = None;
            if !self.accept("AUTO") {
                let number = self.integer()?;
                let Ok(number) = u32::try_from(number) else {
                    return self.fail(format!("bucket number {number} out of range"));
                };
                buckets = Some(number);
            }
        }
        Ok(Some(Distribution {
            hash_columns,
            buckets,
        }))
    }

    /// `r (a, b) [DUPLICATE KEY (a)] [FROM base] [PROPERTIES (...)]`.
    pub(super) fn rollup(&mut self) -> Result<RollupDef, SyntaxError> {
        let name = self.name()?;
        let columns = self.name_list()?;
        let keys = if self.accept_all(&["DUPLICATE", "KEY"]) {
            self.name_list()?
        } else {
            Vec::new()
        };
        let base = if self.accept("FROM") {
            Some(self.name()?)
        } else {
            None
        };
        Ok(RollupDef {
            name,
            columns,
            keys,
            base,
            properties: self.properties()?,
        })
    }
}

/// `date_trunc` as SHOW CREATE TABLE prints it: the column in backquotes, the unit in single quotes.
fn printed_expression(text: &str, column: &str) -> String {
    let printed = || {
        let (name, inside) = text.trim().split_once('(')?;
        let (_, unit) = inside.strip_suffix(')')?.split_once(',')?;
        let unit = unit.trim().trim_matches(['\'', '"']);
        let name = name.trim();
        name.eq_ignore_ascii_case("date_trunc")
            .then(|| format!("date_trunc(`{column}`, '{unit}')"))
    };
    printed().unwrap_or_else(|| text.to_owned())
}

/// The column an automatic partition expression stands on: its first argument.
fn column_of_expression(text: &str) -> String {
    let inside = text.split_once('(').map_or(text, |(_, inside)| inside);
    inside
        .split([',', ')'])
        .next()
        .unwrap_or_default()
        .trim()
        .trim_matches('`')
        .to_owned()
}
