//! The part of the rewriting that stands behind FROM and JOIN: tables, views, subqueries.

use super::rewrite::{Frame, From, MAX_VIEW_DEPTH, Placed, Placer, Rewriter, rewrite_at};
use super::source::TableRef;
use super::words::is_behind_table;
use dorisim_model::SqlError;
use dorisim_sql::TokenKind;

impl Rewriter<'_> {
    pub(super) fn table_source(&mut self, placer: &mut dyn Placer) -> Result<(), SqlError> {
        self.frame().from = From::Behind;
        if self.is_symbol(0, "(") {
            let inside = if ["SELECT", "WITH", "VALUES"].contains(&self.word(1).as_str())
                || self.is_symbol(1, "(")
            {
                From::Outside
            } else {
                From::Wanted
            };
            self.push("(");
            self.at += 1;
            self.frames.push(Frame {
                from: inside,
                ..Frame::default()
            });
            return Ok(());
        }
        let mut parts = Vec::new();
        loop {
            match self.kind(0).clone() {
                TokenKind::Word(name) | TokenKind::Quoted(name) => parts.push(name),
                _ => {
                    return Err(SqlError::analysis(
                        "a table name is expected behind FROM or JOIN",
                    ));
                }
            }
            self.at += 1;
            if !self.is_symbol(0, ".") || parts.len() == 3 {
                break;
            }
            self.at += 1;
        }
        let name = parts.pop().unwrap_or_default();
        if self.is_symbol(0, "(") {
            self.at += 1;
            let arguments = self.text_to_bracket();
            self.at += 1;
            let table = placer.place_function(&name, &arguments)?;
            return self.table(&table, &name);
        }
        let db = parts.pop();
        if db.is_none() && name.eq_ignore_ascii_case("dual") {
            self.push("( SELECT 1 )");
            return Ok(());
        }
        if db.is_none() && self.ctes.contains(&name.to_ascii_lowercase()) {
            self.push_name(&name);
            return Ok(());
        }
        let (partitions, temp) = self.partition_clause();
        // Tablets and samples: all rows are read.
        for word in ["TABLET", "TABLESAMPLE"] {
            if self.word(0) == word && self.is_symbol(1, "(") {
                self.at += 2;
                self.text_to_bracket();
                self.at += 1;
            }
        }
        let Some(db) = db.or_else(|| self.db.map(str::to_owned)) else {
            return Err(SqlError::new(1046, "No database selected"));
        };
        let table = TableRef {
            db,
            name,
            partitions,
            temp,
        };
        match placer.place(&table)? {
            Placed::Table(placed) => self.table(&placed, &table.name),
            Placed::View { select, columns } => self.view(&table, &select, &columns, placer),
        }
    }

    fn view(
        &mut self,
        view: &TableRef,
        select: &str,
        columns: &[String],
        placer: &mut dyn Placer,
    ) -> Result<(), SqlError> {
        if self.depth >= MAX_VIEW_DEPTH {
            return Err(SqlError::analysis(format!(
                "view {} contains too many views",
                view.name
            )));
        }
        let inner = rewrite_at(select, self.session, Some(&view.db), placer, self.depth + 1)?;
        if columns.is_empty() {
            self.push(&format!("( {inner} )"));
        } else {
            let names: Vec<_> = columns
                .iter()
                .map(|name| format!("`{}`", name.replace('`', "``")))
                .collect();
            self.push(&format!(
                "( WITH v_ ( {} ) AS ( {inner} ) SELECT * FROM v_ )",
                names.join(", ")
            ));
        }
        self.alias(&view.name);
        Ok(())
    }

    fn table(&mut self, placed: &str, name: &str) -> Result<(), SqlError> {
        self.push_name(placed);
        self.alias(name);
        Ok(())
    }

    /// The table's own name as alias, unless one is written.
    fn alias(&mut self, name: &str) {
        let written = match self.kind(0) {
            TokenKind::Quoted(_) => true,
            TokenKind::Word(word) => {
                let upper = word.to_ascii_uppercase();
                upper == "AS" || !is_behind_table(&upper)
            }
            TokenKind::Str(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::Eof => {
                false
            }
        };
        if !written {
            self.push("AS");
            self.push_name(name);
        }
    }

    /// `[TEMPORARY] PARTITION(S) p|(p, ...)` and `TABLET(...)`.
    fn partition_clause(&mut self) -> (Vec<String>, bool) {
        let temp = self.word(0) == "TEMPORARY";
        let ahead = usize::from(temp);
        let mut partitions = Vec::new();
        if ["PARTITION", "PARTITIONS"].contains(&self.word(ahead).as_str()) {
            self.at += ahead + 1;
            let listed = self.is_symbol(0, "(");
            loop {
                match self.kind(0).clone() {
                    TokenKind::Word(name) | TokenKind::Quoted(name) => {
                        partitions.push(name);
                        self.at += 1;
                        if !listed {
                            break;
                        }
                    }
                    TokenKind::Symbol("(" | ",") => self.at += 1,
                    TokenKind::Symbol(")") => {
                        self.at += 1;
                        break;
                    }
                    TokenKind::Str(_)
                    | TokenKind::Number(_)
                    | TokenKind::Symbol(_)
                    | TokenKind::Eof => break,
                }
            }
        }
        (partitions, temp)
    }
}
