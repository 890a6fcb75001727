//! Columns, rollups, materialized views, indexes, views and comments.

use rand::Rng;

use super::super::model::{LASTING, Rollup, Shape};
use super::{Drawn, MAX_COLUMNS, Planner};

impl Planner {
    pub(super) fn add_column(&mut self) -> Drawn {
        let at = self.one_of(|_, table| {
            table.shape != Shape::Sums
                && table.temporary.is_none()
                && table.columns.len() < MAX_COLUMNS
        })?;
        let (column, value) = (
            format!("c{}", self.model.number()),
            self.rng.random_range(0..9),
        );
        self.model.tables[at].columns.push(column.clone());
        let name = self.model.tables[at].name.clone();
        Some(vec![
            format!("ALTER TABLE {name} ADD COLUMN {column} INT NULL DEFAULT \"{value}\""),
            self.insert(at),
        ])
    }

    pub(super) fn drop_column(&mut self) -> Drawn {
        let at = self.one_of(|_, table| !table.columns.is_empty() && table.temporary.is_none())?;
        let before = self.insert(at);
        let column = self.model.tables[at].columns.remove(0);
        let name = self.model.tables[at].name.clone();
        Some(vec![
            before,
            format!("ALTER TABLE {name} DROP COLUMN {column}"),
            self.insert(at),
        ])
    }

    pub(super) fn rename_column(&mut self) -> Drawn {
        let at = self.one_of(|_, table| !table.columns.is_empty() && table.temporary.is_none())?;
        let new = format!("c{}", self.model.number());
        let old = std::mem::replace(&mut self.model.tables[at].columns[0], new.clone());
        let name = self.model.tables[at].name.clone();
        Some(vec![
            format!("ALTER TABLE {name} RENAME COLUMN {old} {new}"),
            self.insert(at),
        ])
    }

    /// A heavy schema change: every row is written again.
    pub(super) fn widen(&mut self) -> Drawn {
        let at = self.one_of(|_, table| {
            matches!(table.shape, Shape::Log | Shape::Random | Shape::Days)
                && !table.wide
                && table.is_plain()
        })?;
        self.model.tables[at].wide = true;
        let name = self.model.tables[at].name.clone();
        Some(vec![
            format!("ALTER TABLE {name} MODIFY COLUMN v STRING"),
            self.insert(at),
        ])
    }

    pub(super) fn add_rollup(&mut self) -> Drawn {
        let at = self.one_of(|_, table| {
            matches!(table.shape, Shape::Log | Shape::Random | Shape::Sums)
                && table.rollups.len() < 2
                && table.temporary.is_none()
        })?;
        let rollup = format!("r_{}", self.model.number());
        let table = self.model.tables[at].clone();
        let name = &table.name;
        let (rollup, statement) = match (table.shape, self.chance(5)) {
            (Shape::Sums, true) => (
                Rollup::View(rollup.clone()),
                format!(
                    "CREATE MATERIALIZED VIEW {rollup} AS SELECT k AS a, sum(n) AS b FROM {name} GROUP BY k"
                ),
            ),
            (Shape::Sums, false) => (
                Rollup::Plain(rollup.clone()),
                format!("ALTER TABLE {name} ADD ROLLUP {rollup} (k, n)"),
            ),
            (Shape::Log | Shape::Random | Shape::Words | Shape::Days, true) => (
                Rollup::View(rollup.clone()),
                format!(
                    "CREATE MATERIALIZED VIEW {rollup} AS SELECT id AS a, count(v) AS b FROM {name} GROUP BY id"
                ),
            ),
            (Shape::Log | Shape::Random | Shape::Words | Shape::Days, false) => (
                Rollup::Plain(rollup.clone()),
                format!("ALTER TABLE {name} ADD ROLLUP {rollup} (id, v)"),
            ),
        };
        self.model.tables[at].rollups.push(rollup);
        Some(vec![statement, self.insert(at)])
    }

    /// A load, and at once its rollup is gone.
    pub(super) fn drop_rollup(&mut self) -> Drawn {
        let at = self.one_of(|_, table| !table.rollups.is_empty())?;
        let gone = self.model.tables[at].rollups.remove(0);
        let name = self.model.tables[at].name.clone();
        let statement = match gone {
            Rollup::Plain(rollup) => format!("ALTER TABLE {name} DROP ROLLUP {rollup}"),
            Rollup::View(rollup) => format!("DROP MATERIALIZED VIEW {rollup} ON {name}"),
        };
        let mut statements = vec![self.insert(at), statement];
        if self.chance(5) {
            statements.push(self.insert(at));
        }
        Some(statements)
    }

    pub(super) fn index(&mut self) -> Drawn {
        let at = self.one_of(|_, table| {
            matches!(table.shape, Shape::Log | Shape::Random) && table.rollups.is_empty()
        })?;
        let name = self.model.tables[at].name.clone();
        if let Some(index) = self.model.tables[at].indexes.pop() {
            return Some(vec![
                self.insert(at),
                format!("ALTER TABLE {name} DROP INDEX {index}"),
                self.insert(at),
            ]);
        }
        let index = format!("i_{}", self.model.number());
        self.model.tables[at].indexes.push(index.clone());
        let mut statements = vec![
            format!("ALTER TABLE {name} ADD INDEX {index} (v) USING INVERTED"),
            self.insert(at),
        ];
        if self.chance(5) {
            statements.push(format!("BUILD INDEX {index} ON {name}"));
            statements.push(self.insert(at));
        }
        Some(statements)
    }

    pub(super) fn view(&mut self) -> Drawn {
        if self.model.views.len() > 3 {
            let which = self.rng.random_range(0..self.model.views.len());
            let (view, _) = self.model.views.remove(which);
            return Some(vec![format!("DROP VIEW {view}")]);
        }
        let at = self.one_of(|at, table| at < LASTING.len() && table.shape != Shape::Sums)?;
        let table = self.model.tables[at].name.clone();
        let query = format!(
            "SELECT id AS x, v AS y FROM {table} WHERE id > {}",
            self.rng.random_range(0..9)
        );
        if self.chance(5)
            && let Some((view, _)) = self.model.views.first()
        {
            let verb = if self.next_id.is_multiple_of(2) {
                "ALTER VIEW"
            } else {
                "CREATE OR REPLACE VIEW"
            };
            return Some(vec![format!("{verb} {view} AS {query}")]);
        }
        let view = self.model.fresh("view");
        self.model.views.push((view.clone(), table));
        Some(vec![format!("CREATE VIEW {view} AS {query}")])
    }

    pub(super) fn comment(&mut self) -> Drawn {
        let at = self.any()?;
        let (name, number) = (self.model.tables[at].name.clone(), self.model.number());
        let statement = if self.chance(5) {
            format!("ALTER TABLE {name} MODIFY COMMENT 'comment {number}'")
        } else {
            format!("ALTER TABLE {name} SET (\"compaction_policy\" = \"size_based\")")
        };
        Some(vec![statement])
    }
}
