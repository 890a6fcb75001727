//! `ALTER SYSTEM`.

use super::cursor::Parser;
use crate::ast::{AlterSystem, Properties, Statement};
use crate::error::SyntaxError;

type Read<T> = Result<T, SyntaxError>;

impl Parser<'_> {
    /// After `ALTER SYSTEM`. What is not about backends is accepted and without effect.
    pub(super) fn alter_system(&mut self) -> Read<Statement> {
        let change = if self.accept_all(&["ADD", "BACKEND"]) {
            let backends = self.backend_names()?;
            let properties = if self.is_word("PROPERTIES") {
                self.properties()?
            } else {
                Properties::new()
            };
            AlterSystem::Add {
                backends,
                properties,
            }
        } else if self.accept_all(&["DROP", "BACKEND"]) {
            AlterSystem::Drop {
                backends: self.backend_names()?,
                force: false,
            }
        } else if self.accept_all(&["DROPP", "BACKEND"]) {
            AlterSystem::Drop {
                backends: self.backend_names()?,
                force: true,
            }
        } else if self.accept_all(&["DECOMMISSION", "BACKEND"]) {
            AlterSystem::Decommission {
                backends: self.backend_names()?,
                on: true,
            }
        } else if self.accept_all(&["MODIFY", "BACKEND"]) {
            if self.is_word_nth(1, "HOSTNAME") {
                return self.other_system();
            }
            let backends = self.backend_names()?;
            self.expect("SET")?;
            AlterSystem::Modify {
                backends,
                properties: self.property_list()?,
            }
        } else {
            return self.other_system();
        };
        Ok(Statement::AlterSystem(change))
    }

    /// After `CANCEL DECOMMISSION BACKEND`.
    pub(super) fn cancel_decommission(&mut self) -> Read<Statement> {
        Ok(Statement::AlterSystem(AlterSystem::Decommission {
            backends: self.backend_names()?,
            on: false,
        }))
    }

    fn other_system(&mut self) -> Read<Statement> {
        const KNOWN: [&str; 4] = ["ADD", "DROP", "MODIFY", "SET"];
        if self.is_any_word(&KNOWN) {
            return Err(self.unsupported("ALTER SYSTEM of anything but backends"));
        }
        self.unexpected("{'ADD', 'DROP', 'DROPP', 'DECOMMISSION', 'MODIFY'}")
    }

    fn backend_names(&mut self) -> Read<Vec<String>> {
        let mut names = vec![self.string()?];
        while self.accept_symbol(",") {
            names.push(self.string()?);
        }
        Ok(names)
    }
}
