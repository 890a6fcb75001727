//! Tables that come, go, get other names and change places.

use super::super::model::{LASTING, Shape, Table};
use super::{Drawn, Kind, MAX_PASSING, Planner};

use rand::Rng;

impl Planner {
    pub(super) fn create(&mut self) -> Drawn {
        if self.model.tables.len() >= LASTING.len() + MAX_PASSING {
            return None;
        }
        let name = self.name();
        let shape = *self.pick(&Shape::ALL)?;
        self.model.tables.push(Table::new(&name, shape));
        let at = self.model.tables.len() - 1;
        let mut statements = vec![self.model.tables[at].ddl()];
        if self.chance(8) {
            statements.push(self.insert(at));
        }
        // At once under another name: its snapshot cannot have been taken.
        if self.chance(3) && !self.without.contains(&Kind::Rename) {
            statements.push(self.rename_at(at));
            statements.push(self.insert(at));
        }
        Some(statements)
    }

    pub(super) fn drop(&mut self) -> Drawn {
        let at = self.passing()?;
        let gone = self.model.tables.remove(at);
        let force = if self.chance(5) { " FORCE" } else { "" };
        Some(vec![format!("DROP TABLE {}{force}", gone.name)])
    }

    /// The name stays, what is behind it is another table.
    pub(super) fn drop_and_create(&mut self) -> Drawn {
        let at = self.passing()?;
        let name = self.model.tables[at].name.clone();
        let shape = *self.pick(&Shape::ALL)?;
        let before = self.insert(at);
        self.model.tables[at] = Table::new(&name, shape);
        Some(vec![
            before,
            format!("DROP TABLE {name}"),
            self.model.tables[at].ddl(),
            self.insert(at),
        ])
    }

    /// A table, or a partition, is dropped and brought back; sometimes it gets another name at once.
    pub(super) fn recover(&mut self) -> Drawn {
        if self.chance(4) {
            let at = self.one_of(|_, table| table.partitions.len() > 1 && table.is_plain())?;
            let partitions = self.model.tables[at].partitions.clone();
            let (_, partition) = self.pick(&partitions)?.clone();
            let name = self.model.tables[at].name.clone();
            return Some(vec![
                format!("ALTER TABLE {name} DROP PARTITION {partition}"),
                format!("RECOVER PARTITION {partition} FROM {name}"),
                self.insert(at),
            ]);
        }
        let at = self.one_of(|at, table| at >= LASTING.len() && table.is_plain())?;
        let name = self.model.tables[at].name.clone();
        let mut statements = vec![
            self.insert(at),
            format!("DROP TABLE {name}"),
            format!("RECOVER TABLE {name}"),
        ];
        if self.chance(5) {
            statements.push(self.insert(at));
        }
        if self.chance(5) {
            statements.push(self.rename_at(at));
            statements.push(self.insert(at));
        }
        Some(statements)
    }

    pub(super) fn rename(&mut self) -> Drawn {
        let at = self.passing()?;
        let mut statements = vec![self.rename_at(at)];
        if self.chance(8) {
            statements.push(self.insert(at));
        }
        Some(statements)
    }

    fn rename_at(&mut self, at: usize) -> String {
        let new = self.name();
        let old = std::mem::replace(&mut self.model.tables[at].name, new.clone());
        format!("ALTER TABLE {old} RENAME {new}")
    }

    /// Two tables change places, or one takes the place of the other.
    pub(super) fn exchange(&mut self) -> Drawn {
        let one = self.passing()?;
        let other = self.passing()?;
        if one == other {
            return None;
        }
        let names = [one, other].map(|at| self.model.tables[at].name.clone());
        let swap = self.chance(5);
        let mut statements = vec![
            self.insert(one),
            format!(
                "ALTER TABLE {} REPLACE WITH TABLE {} PROPERTIES (\"swap\" = \"{swap}\")",
                names[0], names[1]
            ),
        ];
        self.model.tables[other].name = names[0].clone();
        self.model.tables[one].name = names[1].clone();
        statements.push(self.insert(other));
        if swap {
            statements.push(self.insert(one));
        } else {
            self.model.tables.remove(one);
        }
        Some(statements)
    }

    /// What ETL tools do: a table is prepared and takes the place of another, before anybody can have fetched it.
    pub(super) fn refill(&mut self) -> Drawn {
        let at = self.one_of(|_, table| table.shape.keeps_rows() && table.is_plain())?;
        let target = self.model.tables[at].clone();
        let stage = self.model.fresh("stage");
        let (mut prepared, ddl) = if self.chance(6) {
            let table = Table::new(&stage, Shape::Words);
            let ddl = table.ddl();
            (table, ddl)
        } else {
            (
                target.like(&stage),
                format!("CREATE TABLE {stage} LIKE {}", target.name),
            )
        };
        let mut statements = vec![ddl];
        if self.chance(5) {
            let rest = self.rng.random_range(0..5);
            let verb = if self.chance(5) {
                "INTO"
            } else {
                "OVERWRITE TABLE"
            };
            statements.push(format!(
                "INSERT {verb} {stage} (id, v) SELECT id, v FROM {} WHERE id % 5 <> {rest}",
                target.name
            ));
        } else {
            self.model.tables.push(prepared.clone());
            statements.push(self.insert(self.model.tables.len() - 1));
            self.model.tables.pop();
        }
        let swap = self.chance(3);
        statements.push(format!(
            "ALTER TABLE {} REPLACE WITH TABLE {stage} PROPERTIES (\"swap\" = \"{swap}\")",
            target.name
        ));
        prepared.name = target.name.clone();
        self.model.tables[at] = prepared;
        if self.chance(8) {
            statements.push(self.insert(at));
        }
        if swap {
            statements.push(format!("DROP TABLE {stage}"));
        }
        Some(statements)
    }
}
