//! Everything else: sessions, backup and restore, recovery, users, administration.

use super::cursor::Parser;
use crate::ast::{Assignment, Backup, BackupTable, ObjectName, Properties, Statement};
use crate::error::SyntaxError;

type Read<T> = Result<T, SyntaxError>;

impl Parser<'_> {
    pub(super) fn other(&mut self) -> Read<Statement> {
        if self.accept("USE") {
            let name = self.object_name()?;
            // `USE db@cluster` belongs to another deployment mode.
            self.rest();
            return Ok(Statement::Use { db: name.name });
        }
        if self.accept("SET") {
            return self.set();
        }
        if self.accept_all(&["START", "TRANSACTION"]) || self.accept("BEGIN") {
            let label = if self.accept_all(&["WITH", "LABEL"]) {
                Some(self.name_or_string()?)
            } else {
                None
            };
            self.rest();
            return Ok(Statement::Begin { label });
        }
        if self.accept("COMMIT") {
            self.rest();
            return Ok(Statement::Commit);
        }
        if self.accept("ROLLBACK") {
            self.rest();
            return Ok(Statement::Rollback);
        }
        if self.accept_all(&["BACKUP", "SNAPSHOT"]) {
            return Ok(Statement::Backup(Box::new(self.backup("TO")?)));
        }
        if self.accept_all(&["RESTORE", "SNAPSHOT"]) {
            return Ok(Statement::Restore(Box::new(self.backup("FROM")?)));
        }
        if self.accept("CANCEL") {
            return self.cancel();
        }
        if self.accept("RECOVER") {
            return self.recover();
        }
        if self.accept_all(&["BUILD", "INDEX"]) {
            let index = self.name()?;
            self.expect("ON")?;
            let table = self.object_name()?;
            let (partitions, _) = self.partitions()?;
            return Ok(Statement::BuildIndex {
                table,
                index,
                partitions,
            });
        }
        self.administration()
    }

    fn administration(&mut self) -> Read<Statement> {
        if self.accept("GRANT") {
            let (privileges, on) = self.privileges()?;
            self.expect("TO")?;
            if self.is_word("ROLE") {
                self.rest();
                return Ok(Statement::NoEffect {
                    kind: "GRANT ROLE".to_owned(),
                });
            }
            return Ok(Statement::Grant {
                privileges,
                on,
                user: self.grantee()?,
            });
        }
        if self.accept("REVOKE") {
            let (privileges, on) = self.privileges()?;
            self.expect("FROM")?;
            if self.is_word("ROLE") {
                self.rest();
                return Ok(Statement::NoEffect {
                    kind: "REVOKE ROLE".to_owned(),
                });
            }
            return Ok(Statement::Revoke {
                privileges,
                on,
                user: self.grantee()?,
            });
        }
        if self.accept_all(&["ADMIN", "SET"]) {
            self.accept("ALL");
            if self.accept_any(&["FRONTEND", "FRONTENDS"]).is_some() {
                self.expect("CONFIG")?;
                let settings = self.property_list()?;
                self.accept("ALL");
                return Ok(Statement::AdminSetConfig { settings });
            }
            return self.unexpected("'FRONTEND'");
        }
        if self.accept("EXPLAIN") {
            return Ok(Statement::Explain {
                text: self.rest().to_owned(),
            });
        }
        self.unexpected("a statement")
    }

    fn set(&mut self) -> Read<Statement> {
        if self.accept("PASSWORD") {
            let user = if self.accept("FOR") {
                Some(self.user()?)
            } else {
                None
            };
            self.expect_symbol("=")?;
            let password = if self.accept("PASSWORD") {
                self.expect_symbol("(")?;
                let text = self.string()?;
                self.expect_symbol(")")?;
                text
            } else {
                self.string()?
            };
            return Ok(Statement::SetPassword { user, password });
        }
        if self.is_any_word(&[
            "NAMES",
            "CHARSET",
            "CHARACTER",
            "TRANSACTION",
            "PROPERTY",
            "DEFAULT",
        ]) {
            self.rest();
            return Ok(Statement::Set {
                assignments: Vec::new(),
            });
        }
        let mut assignments = Vec::new();
        loop {
            self.accept_symbol("@@");
            let own = self.accept_symbol("@");
            let scope = self.accept_any(&["GLOBAL", "SESSION", "LOCAL"]);
            if scope.is_some() {
                self.accept_symbol(".");
            }
            let mut name = self.name()?.to_ascii_lowercase();
            if own {
                name.insert(0, '@');
            }
            if !self.accept_symbol("=") && !self.accept_symbol(":=") {
                self.rest();
                return Ok(Statement::Set { assignments });
            }
            assignments.push(Assignment {
                global: scope.as_deref() == Some("GLOBAL"),
                name,
                value: self.text_until(&[","]).to_owned(),
            });
            if !self.accept_symbol(",") {
                return Ok(Statement::Set { assignments });
            }
        }
    }

    fn backup(&mut self, direction: &str) -> Read<Backup> {
        let ObjectName {
            db, name: label, ..
        } = self.object_name()?;
        self.expect(direction)?;
        let repository = self.name()?;
        let exclude = self.is_word("EXCLUDE");
        let tables = if exclude || self.is_word("ON") {
            self.skip();
            self.list(Self::backup_table)?
        } else {
            Vec::new()
        };
        let properties: Properties = self.properties()?;
        Ok(Backup {
            db,
            label,
            repository,
            tables,
            exclude,
            properties,
        })
    }

    fn backup_table(&mut self) -> Read<BackupTable> {
        let table = self.object_name()?.name;
        let (partitions, _) = self.partitions()?;
        let alias = if self.accept("AS") {
            Some(self.name()?)
        } else {
            None
        };
        Ok(BackupTable {
            table,
            partitions,
            alias,
        })
    }

    fn cancel(&mut self) -> Read<Statement> {
        if self.accept("BACKUP") {
            return Ok(Statement::CancelBackup {
                db: self.optional_db()?,
            });
        }
        if self.accept("RESTORE") {
            return Ok(Statement::CancelRestore {
                db: self.optional_db()?,
            });
        }
        if self.accept_all(&["BUILD", "INDEX"]) {
            self.expect("ON")?;
            let table = self.object_name()?;
            let jobs = self.bracketed_integers()?;
            return Ok(Statement::CancelBuildIndex { table, jobs });
        }
        if self.accept_all(&["ALTER", "TABLE"]) {
            let kind = self.name()?.to_ascii_uppercase();
            self.accept("VIEW");
            self.expect("FROM")?;
            let table = self.object_name()?;
            self.rest();
            return Ok(Statement::CancelAlter { kind, table });
        }
        if self.accept_all(&["DECOMMISSION", "BACKEND"]) {
            return self.cancel_decommission();
        }
        self.unexpected("{'ALTER', 'BACKUP', 'BUILD', 'DECOMMISSION', 'RESTORE'}")
    }

    /// `(1, 2)`, or nothing.
    fn bracketed_integers(&mut self) -> Read<Vec<i64>> {
        let mut numbers = Vec::new();
        if self.accept_symbol("(") {
            while let Some(number) = self.optional_integer()? {
                numbers.push(number);
                self.accept_symbol(",");
            }
            self.expect_symbol(")")?;
        }
        Ok(numbers)
    }

    fn optional_db(&mut self) -> Read<Option<String>> {
        if self.accept("FROM") {
            Ok(Some(self.object_name()?.name))
        } else {
            Ok(None)
        }
    }

    fn recover(&mut self) -> Read<Statement> {
        if self.accept("DATABASE") {
            let name = self.object_name()?.name;
            let (id, new_name) = self.recover_tail()?;
            return Ok(Statement::RecoverDatabase { name, id, new_name });
        }
        if self.accept("TABLE") {
            let name = self.object_name()?;
            let (id, new_name) = self.recover_tail()?;
            return Ok(Statement::RecoverTable { name, id, new_name });
        }
        self.expect("PARTITION")?;
        let name = self.name()?;
        let (id, new_name) = self.recover_tail()?;
        self.expect("FROM")?;
        Ok(Statement::RecoverPartition {
            name,
            id,
            new_name,
            table: self.object_name()?,
        })
    }

    fn recover_tail(&mut self) -> Read<(Option<i64>, Option<String>)> {
        let id = self.optional_integer()?;
        let new_name = if self.accept("AS") {
            Some(self.name()?)
        } else {
            None
        };
        Ok((id, new_name))
    }

    fn privileges(&mut self) -> Read<(Vec<String>, String)> {
        let privileges = self
            .text_until(&["ON", "TO", "FROM"])
            .split(',')
            .map(|name| name.trim().to_ascii_uppercase())
            .collect();
        let mut on = String::new();
        if self.accept("ON") {
            on = self.text_until(&["TO", "FROM"]).to_owned();
        }
        Ok((privileges, on))
    }

    fn grantee(&mut self) -> Read<String> {
        self.accept("ROLE");
        self.user()
    }
}
