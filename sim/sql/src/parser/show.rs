//! SHOW and DESCRIBE.

use super::cursor::Parser;
use crate::ast::{IdKind, ObjectName, Show, ShowTail, Statement};
use crate::error::SyntaxError;
use crate::lexer::TokenKind;

type Read<T> = Result<T, SyntaxError>;

impl Parser<'_> {
    pub(super) fn describe(&mut self) -> Read<Statement> {
        self.accept("TABLE");
        if self.is_any_word(&["SELECT", "WITH", "VERBOSE", "INSERT"]) {
            return Ok(Statement::Explain {
                text: self.rest().to_owned(),
            });
        }
        let table = self.object_name()?;
        self.partitions()?;
        Ok(Statement::Describe {
            table,
            all: self.accept("ALL"),
        })
    }

    pub(super) fn show(&mut self) -> Read<Show> {
        let form = self.show_form()?;
        let rest = self.tail();
        Ok(if rest == ShowTail::default() {
            form
        } else {
            Show::Narrowed {
                form: Box::new(form),
                rest,
            }
        })
    }

    fn show_form(&mut self) -> Read<Show> {
        let start = self.position();
        if let Some(show) = self.show_objects()? {
            return Ok(show);
        }
        if let Some(show) = self.show_jobs()? {
            return Ok(show);
        }
        let mut depth = 0_usize;
        while !(self.at_end() || depth == 0 && self.is_any_word(&["WHERE", "LIMIT"])) {
            if self.is_symbol("(") {
                depth += 1;
            } else if self.is_symbol(")") {
                depth = depth.saturating_sub(1);
            }
            self.skip();
        }
        Ok(Show::Other {
            text: self
                .slice(start, self.end_of_previous())
                .to_ascii_uppercase(),
        })
    }

    fn show_objects(&mut self) -> Read<Option<Show>> {
        let full = self.is_word("FULL")
            && ["TABLES", "COLUMNS", "FIELDS", "VIEWS"]
                .iter()
                .any(|word| self.is_word_nth(1, word));
        if full {
            self.skip();
        }
        let temp = self.is_word("TEMPORARY") && self.is_word_nth(1, "PARTITIONS");
        if temp {
            self.skip();
        }
        for (word, kind) in [
            ("DATABASE", IdKind::Database),
            ("TABLE", IdKind::Table),
            ("PARTITION", IdKind::Partition),
        ] {
            if self.is_word(word) && matches!(self.peek_nth(1), TokenKind::Number(_)) {
                self.skip();
                let id = self.integer()?;
                return Ok(Some(Show::ById { kind, id }));
            }
        }
        Ok(Some(if self.accept("FRONTENDS") {
            self.accept("DISKS");
            Show::Frontends
        } else if self.accept("BACKENDS") {
            Show::Backends
        } else if self.accept_any(&["DATABASES", "SCHEMAS"]).is_some() {
            Show::Databases { like: self.like()? }
        } else if self.accept("TABLES") {
            Show::Tables {
                full,
                db: self.db_clause()?,
                like: self.like()?,
            }
        } else if self.accept("VIEWS") {
            Show::Views {
                db: self.db_clause()?,
                like: self.like()?,
            }
        } else if self.accept("VIEW") {
            Show::ViewsOf {
                table: self.table_clause()?,
            }
        } else if self.accept_all(&["TABLE", "STATUS"]) {
            Show::TableStatus {
                db: self.db_clause()?,
                like: self.like()?,
            }
        } else if self.accept("CREATE") {
            return self.show_create().map(Some);
        } else if self.accept_any(&["COLUMNS", "FIELDS"]).is_some() {
            Show::Columns {
                full,
                table: self.table_clause()?,
                like: self.like()?,
            }
        } else if self.accept("PARTITIONS") {
            Show::Partitions {
                temp,
                table: self.table_clause()?,
            }
        } else if self
            .accept_any(&["INDEX", "INDEXES", "KEYS", "KEY"])
            .is_some()
        {
            Show::Index {
                table: self.table_clause()?,
            }
        } else if self.is_word("TABLETS") && !self.is_word_nth(1, "BELONG") {
            self.skip();
            let table = self.table_clause()?;
            let (partitions, _) = self.partitions()?;
            Show::Tablets { table, partitions }
        } else if self.accept("PROC") {
            Show::Proc {
                path: self.string()?,
            }
        } else if self.accept_all(&["LOAD", "WARNINGS"]) {
            let url = if self.accept("ON") {
                Some(self.string()?)
            } else {
                self.rest();
                None
            };
            Show::LoadWarnings { url }
        } else if self.accept_any(&["WARNINGS", "ERRORS"]).is_some() {
            self.rest();
            Show::Warnings
        } else {
            return Ok(None);
        }))
    }

    fn show_create(&mut self) -> Read<Show> {
        let brief = self.accept("BRIEF");
        Ok(if self.accept("TABLE") {
            let brief = brief || self.accept("BRIEF");
            Show::CreateTable {
                table: self.object_name()?,
                brief,
            }
        } else if self.accept("VIEW") {
            Show::CreateView {
                view: self.object_name()?,
            }
        } else if self.accept_any(&["DATABASE", "SCHEMA"]).is_some() {
            Show::CreateDatabase {
                db: self.object_name()?.name,
            }
        } else if self.accept("FUNCTION") {
            let (mut function, signature) = self.signature()?;
            if let Some(db) = self.db_clause()? {
                function.db = Some(db);
            }
            Show::CreateFunction {
                db: function.db,
                signature,
            }
        } else {
            Show::Other {
                text: format!("CREATE {}", self.rest().to_ascii_uppercase()),
            }
        })
    }

    fn show_jobs(&mut self) -> Read<Option<Show>> {
        let brief = self.is_word("BRIEF") && self.is_word_nth(1, "RESTORE");
        if brief {
            self.skip();
        }
        Ok(Some(if self.accept("TRANSACTION") {
            return self.show_transaction().map(Some);
        } else if self.accept("BACKUP") {
            Show::Backup {
                db: self.db_clause()?,
                rest: self.tail(),
            }
        } else if self.accept("RESTORE") {
            Show::Restore {
                brief,
                db: self.db_clause()?,
                rest: self.tail(),
            }
        } else if self.accept_all(&["FULL", "FUNCTIONS"]) {
            Show::Functions {
                full: true,
                db: self.db_clause()?,
                like: self.like()?,
            }
        } else if self.accept("FUNCTIONS") {
            Show::Functions {
                full: false,
                db: self.db_clause()?,
                like: self.like()?,
            }
        } else if self.accept_all(&["GLOBAL", "VARIABLES"]) {
            Show::Variables {
                global: true,
                like: self.like()?,
            }
        } else if self.accept_all(&["SESSION", "VARIABLES"]) || self.accept("VARIABLES") {
            Show::Variables {
                global: false,
                like: self.like()?,
            }
        } else if self.accept_all(&["ALTER", "TABLE"]) {
            let Some(mut kind) = self.accept_any(&["COLUMN", "ROLLUP", "MATERIALIZED"]) else {
                return self.unexpected("{'COLUMN', 'ROLLUP', 'MATERIALIZED'}");
            };
            if kind == "MATERIALIZED" {
                self.expect("VIEW")?;
                kind.push_str(" VIEW");
            }
            Show::Alter {
                kind,
                db: self.db_clause()?,
                rest: self.tail(),
            }
        } else if self.accept_all(&["BUILD", "INDEX"]) {
            Show::BuildIndex {
                db: self.db_clause()?,
                rest: self.tail(),
            }
        } else if self.accept_all(&["CATALOG", "RECYCLE", "BIN"]) {
            Show::RecycleBin { rest: self.tail() }
        } else {
            return Ok(None);
        }))
    }

    fn show_transaction(&mut self) -> Read<Show> {
        let db = self.db_clause()?;
        let (mut id, mut label) = (None, None);
        if self.accept("WHERE") {
            let key = self.name()?;
            if self.accept("LIKE") || self.accept_symbol("=") {
                match (key.to_ascii_lowercase().as_str(), self.peek()) {
                    ("label", TokenKind::Str(_)) => label = Some(self.string()?),
                    ("id", TokenKind::Number(_)) => id = Some(self.integer()?),
                    _ => self.rest_of_condition(),
                }
            }
        }
        Ok(Show::Transaction { db, id, label })
    }

    fn rest_of_condition(&mut self) {
        self.rest();
    }

    /// `FROM|IN db [FROM catalog]`.
    fn db_clause(&mut self) -> Read<Option<String>> {
        if self.accept_any(&["FROM", "IN"]).is_none() {
            return Ok(None);
        }
        Ok(Some(self.object_name()?.name))
    }

    /// `FROM|IN t [FROM|IN db]`.
    fn table_clause(&mut self) -> Read<ObjectName> {
        if self.accept_any(&["FROM", "IN"]).is_none() {
            return self.unexpected("{'FROM', 'IN'}");
        }
        let mut table = self.object_name()?;
        if let Some(db) = self.db_clause()? {
            table.db = Some(db);
        }
        Ok(table)
    }

    /// `LIKE 'x'` if it stands here.
    pub(super) fn like(&mut self) -> Read<Option<String>> {
        if self.accept("LIKE") {
            return self.string().map(Some);
        }
        Ok(None)
    }

    fn tail(&mut self) -> ShowTail {
        const STOPS: [&str; 3] = ["WHERE", "ORDER", "LIMIT"];
        let mut tail = ShowTail::default();
        loop {
            if self.accept("WHERE") {
                tail.filter = Some(self.text_until(&STOPS).to_owned());
            } else if self.accept_all(&["ORDER", "BY"]) {
                tail.order_by = Some(self.text_until(&STOPS).to_owned());
            } else if self.accept("LIMIT") {
                tail.limit = Some(self.text_until(&STOPS).to_owned());
            } else {
                return tail;
            }
        }
    }
}
