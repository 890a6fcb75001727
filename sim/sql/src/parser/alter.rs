//! ALTER.

use super::cursor::Parser;
use crate::ast::{AlterClause, ColumnDef, ColumnPosition, RollupDef, Statement};
use crate::error::SyntaxError;

type Read<T> = Result<T, SyntaxError>;

impl Parser<'_> {
    pub(super) fn alter(&mut self) -> Read<Statement> {
        if self.accept("DATABASE") {
            let name = self.object_name()?.name;
            if self.accept("RENAME") {
                return Ok(Statement::RenameDatabase {
                    name,
                    new_name: self.name()?,
                });
            }
            if self.accept_all(&["SET", "PROPERTIES"]) {
                return Ok(Statement::AlterDatabaseProperties {
                    name,
                    properties: self.property_list()?,
                });
            }
            self.expect("SET")?;
            if self
                .accept_any(&["DATA", "REPLICA", "TRANSACTION"])
                .is_some()
            {
                self.expect("QUOTA")?;
                self.rest();
                return Ok(Statement::NoEffect {
                    kind: "ALTER DATABASE SET QUOTA".to_owned(),
                });
            }
            return self.unexpected("{'PROPERTIES', 'DATA', 'REPLICA', 'TRANSACTION'}");
        }
        if self.accept("VIEW") {
            return self.alter_view();
        }
        if self.accept("TABLE") {
            return self.alter_table();
        }
        if self.accept("USER") {
            self.if_exists();
            let user = self.user()?;
            if self.accept_all(&["IDENTIFIED", "BY"]) {
                return Ok(Statement::SetPassword {
                    user: Some(user),
                    password: self.string()?,
                });
            }
            // Password policies, locks and comments mean nothing here.
            self.rest();
            return Ok(Statement::NoEffect {
                kind: "ALTER USER".to_owned(),
            });
        }
        if self.accept("SYSTEM") {
            return self.alter_system();
        }
        self.unexpected("{'DATABASE', 'TABLE', 'VIEW', 'USER', 'SYSTEM'}")
    }

    fn alter_view(&mut self) -> Read<Statement> {
        let name = self.object_name()?;
        if self.accept("MODIFY") {
            let comment = Some(self.comment()?);
            return Ok(Statement::AlterView {
                name,
                columns: Vec::new(),
                select: None,
                comment,
            });
        }
        let columns = self.view_columns()?;
        let comment = match self.is_word("COMMENT") {
            true => Some(self.comment()?),
            false => None,
        };
        self.expect("AS")?;
        let select = Some(self.rest().to_owned());
        Ok(Statement::AlterView {
            name,
            columns,
            select,
            comment,
        })
    }

    fn alter_table(&mut self) -> Read<Statement> {
        let name = self.object_name()?;
        let mut clauses = Vec::new();
        // `ADD ROLLUP r1 (..), r2 (..)` names the verb once.
        let mut repeated: Option<Repeated> = None;
        loop {
            let clause = match repeated {
                Some(Repeated::AddRollup) if !self.is_any_word(&["ADD", "DROP", "MODIFY"]) => {
                    AlterClause::AddRollup {
                        rollup: self.rollup()?,
                    }
                }
                Some(Repeated::DropRollup) if !self.is_any_word(&["ADD", "DROP", "MODIFY"]) => {
                    AlterClause::DropRollup {
                        if_exists: self.if_exists(),
                        name: self.name()?,
                    }
                }
                Some(Repeated::AddRollup | Repeated::DropRollup) | None => self.alter_clause()?,
            };
            repeated = match &clause {
                AlterClause::AddRollup { .. } => Some(Repeated::AddRollup),
                AlterClause::DropRollup { .. } => Some(Repeated::DropRollup),
                _ => None,
            };
            clauses.push(clause);
            if !self.accept_symbol(",") {
                return Ok(Statement::AlterTable { name, clauses });
            }
        }
    }

    fn alter_clause(&mut self) -> Read<AlterClause> {
        if self.accept("ADD") {
            return self.add_clause();
        }
        if self.accept("DROP") {
            return self.drop_clause();
        }
        if self.accept("MODIFY") {
            return self.modify_clause();
        }
        if self.accept("RENAME") {
            return self.rename_clause();
        }
        if self.accept("REPLACE") {
            return self.replace_clause();
        }
        if self.accept("SET") {
            return Ok(AlterClause::SetProperties {
                properties: self.property_list()?,
            });
        }
        if self.accept_all(&["ORDER", "BY"]) {
            let columns = self.name_list()?;
            let rollup = self.rollup_name("FROM")?;
            return Ok(AlterClause::OrderBy {
                columns,
                rollup,
                properties: self.properties()?,
            });
        }
        if self.accept_all(&["ENABLE", "FEATURE"]) {
            let feature = self.string()?;
            self.accept("WITH");
            return Ok(AlterClause::EnableFeature {
                feature,
                properties: self.properties()?,
            });
        }
        self.unexpected("{'ADD', 'DROP', 'ENABLE', 'MODIFY', 'ORDER', 'RENAME', 'REPLACE', 'SET'}")
    }

    fn add_clause(&mut self) -> Read<AlterClause> {
        if self.accept("ROLLUP") {
            let rollup: RollupDef = self.rollup()?;
            return Ok(AlterClause::AddRollup { rollup });
        }
        if self.accept("INDEX") {
            return Ok(AlterClause::AddIndex {
                index: self.index_body()?,
                alone: false,
            });
        }
        let temp = self.accept("TEMPORARY");
        if self.accept("PARTITIONS") {
            return Ok(AlterClause::AddPartitions {
                temp,
                step: self.partition_step()?,
                properties: self.properties()?,
            });
        }
        if temp || self.is_word("PARTITION") {
            let partition = self.partition_def()?;
            let distribution = self.distribution()?;
            let mut partition = partition;
            partition.properties.extend(self.properties()?);
            return Ok(AlterClause::AddPartition {
                temp,
                partition,
                distribution,
            });
        }
        self.accept("COLUMN");
        if self.is_symbol("(") {
            let columns: Vec<ColumnDef> = self.list(Self::column)?;
            let rollup = self.rollup_name("TO")?;
            return Ok(AlterClause::AddColumns {
                columns,
                rollup,
                properties: self.properties()?,
            });
        }
        let column = self.column()?;
        let position = self.column_position()?;
        let rollup = self.rollup_name("TO")?;
        Ok(AlterClause::AddColumn {
            column,
            position,
            rollup,
            properties: self.properties()?,
        })
    }

    fn drop_clause(&mut self) -> Read<AlterClause> {
        if self.accept("ROLLUP") {
            return Ok(AlterClause::DropRollup {
                if_exists: self.if_exists(),
                name: self.name()?,
            });
        }
        if self.accept("INDEX") {
            return Ok(AlterClause::DropIndex {
                alone: false,
                if_exists: self.if_exists(),
                name: self.name()?,
            });
        }
        let temp = self.accept("TEMPORARY");
        if temp || self.is_word("PARTITION") {
            self.expect("PARTITION")?;
            let if_exists = self.if_exists();
            let name = self.name()?;
            let force = self.accept("FORCE");
            // `FROM INDEX i` does nothing in Doris.
            if self.accept_all(&["FROM", "INDEX"]) {
                self.name()?;
            }
            return Ok(AlterClause::DropPartition {
                temp,
                if_exists,
                name,
                force,
            });
        }
        self.expect("COLUMN")?;
        let name = self.name()?;
        let rollup = self.rollup_name("FROM")?;
        Ok(AlterClause::DropColumn {
            name,
            rollup,
            properties: self.properties()?,
        })
    }

    fn modify_clause(&mut self) -> Read<AlterClause> {
        if self.is_word("COMMENT") {
            return Ok(AlterClause::ModifyComment {
                comment: self.raw_comment()?,
            });
        }
        if self.accept("DISTRIBUTION") {
            let Some(distribution) = self.distribution()? else {
                return self.unexpected("'DISTRIBUTED'");
            };
            return Ok(AlterClause::ModifyDistribution { distribution });
        }
        let temp = self.accept("TEMPORARY");
        if temp || self.is_word("PARTITION") {
            self.expect("PARTITION")?;
            let partitions = if self.is_symbol("(") && self.is_symbol_nth(1, "*") {
                for _ in 0..2 {
                    self.skip();
                }
                self.expect_symbol(")")?;
                Vec::new()
            } else {
                self.one_or_list()?
            };
            self.expect("SET")?;
            return Ok(AlterClause::ModifyPartition {
                partitions,
                temp,
                properties: self.property_list()?,
            });
        }
        self.expect("COLUMN")?;
        if self.is_word_nth(1, "COMMENT") {
            let column = self.name()?;
            return Ok(AlterClause::ModifyColumnComment {
                column,
                comment: self.raw_comment()?,
            });
        }
        let column = self.column()?;
        let position = self.column_position()?;
        let rollup = self.rollup_name("FROM")?;
        Ok(AlterClause::ModifyColumn {
            column,
            position,
            rollup,
            properties: self.properties()?,
        })
    }

    fn rename_clause(&mut self) -> Read<AlterClause> {
        // A table may be called `column`, `rollup` or `partition`: the verb needs a second name.
        if self.is_any_word(&["COLUMN", "ROLLUP", "PARTITION"]) && !self.ends_behind_next() {
            let kind = self.name()?.to_ascii_uppercase();
            let name = self.name()?;
            self.accept("TO");
            let new_name = self.name()?;
            return Ok(match kind.as_str() {
                "COLUMN" => AlterClause::RenameColumn { name, new_name },
                "ROLLUP" => AlterClause::RenameRollup { name, new_name },
                _ => AlterClause::RenamePartition { name, new_name },
            });
        }
        Ok(AlterClause::RenameTable {
            new_name: self.name()?,
        })
    }

    fn ends_behind_next(&self) -> bool {
        matches!(
            self.peek_nth(1),
            crate::lexer::TokenKind::Eof | crate::lexer::TokenKind::Symbol(_)
        )
    }

    fn replace_clause(&mut self) -> Read<AlterClause> {
        if self.accept("WITH") {
            self.expect("TABLE")?;
            let other = self.name()?;
            let swap = Self::swap_of(&self.properties()?);
            return Ok(AlterClause::ReplaceWithTable {
                other,
                swap,
                force: self.accept("FORCE"),
            });
        }
        let (partitions, _) = self.partitions()?;
        if partitions.is_empty() {
            return self.unexpected("{'PARTITION', 'WITH'}");
        }
        self.expect("WITH")?;
        let (temp_partitions, _) = self.partitions()?;
        let force = self.accept("FORCE");
        let properties = self.properties()?;
        Ok(AlterClause::ReplacePartition {
            partitions,
            temp_partitions,
            force,
            properties,
        })
    }

    fn column_position(&mut self) -> Read<Option<ColumnPosition>> {
        if self.accept("FIRST") {
            return Ok(Some(ColumnPosition::First));
        }
        if self.accept("AFTER") {
            return Ok(Some(ColumnPosition::After(self.name()?)));
        }
        Ok(None)
    }

    fn rollup_name(&mut self, word: &str) -> Read<Option<String>> {
        if !self.accept(word) && !self.accept("IN") {
            return Ok(None);
        }
        self.name().map(Some)
    }
}

/// A verb that the following clauses of the list share.
#[derive(Clone, Copy)]
enum Repeated {
    AddRollup,
    DropRollup,
}
