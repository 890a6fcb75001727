//! Partitions, temporary ones too, and rows that come by way of them.

use rand::Rng;

use super::super::model::{LASTING, Shape, month};
use super::{Drawn, Planner};

impl Planner {
    pub(super) fn truncate(&mut self) -> Drawn {
        let at = self.one_of(|at, table| at >= LASTING.len() && table.temporary.is_none())?;
        let name = self.model.tables[at].name.clone();
        Some(vec![
            self.insert(at),
            format!("TRUNCATE TABLE {name}"),
            self.insert(at),
        ])
    }

    pub(super) fn truncate_partition(&mut self) -> Drawn {
        let at = self.one_of(|_, table| table.shape == Shape::Days)?;
        let partitions = self.model.tables[at].partitions.clone();
        let (_, partition) = self.pick(&partitions)?.clone();
        let name = self.model.tables[at].name.clone();
        Some(vec![
            format!("TRUNCATE TABLE {name} PARTITION ({partition})"),
            self.insert(at),
        ])
    }

    pub(super) fn partition(&mut self) -> Drawn {
        let at = self.one_of(|_, table| table.shape == Shape::Days && table.temporary.is_none())?;
        let table = self.model.tables[at].clone();
        let name = &table.name;
        if self.chance(3) && table.partitions.len() > 1 {
            let number = self.model.number();
            let which = self.rng.random_range(0..table.partitions.len());
            let old = &table.partitions[which].1;
            let new = format!("p_{number}");
            self.model.tables[at].partitions[which].1 = new.clone();
            return Some(vec![
                format!("ALTER TABLE {name} RENAME PARTITION {old} {new}"),
                self.insert(at),
            ]);
        }
        if self.chance(4) && table.partitions.len() > 2 {
            let which = self.rng.random_range(0..table.partitions.len());
            let before = self.insert(at);
            let (_, gone) = self.model.tables[at].partitions.remove(which);
            let force = if self.chance(5) { " FORCE" } else { "" };
            return Some(vec![
                before,
                format!("ALTER TABLE {name} DROP PARTITION {gone}{force}"),
                self.insert(at),
            ]);
        }
        let free: Vec<u32> = (1..=11)
            .filter(|month| table.partitions.iter().all(|(used, _)| used != month))
            .collect();
        let number = *self.pick(&free)?;
        let new = format!("m_{}", self.model.number());
        self.model.tables[at].partitions.push((number, new.clone()));
        Some(vec![
            format!(
                "ALTER TABLE {name} ADD PARTITION {new} VALUES {}",
                month(number)
            ),
            self.insert(at),
        ])
    }

    /// A partition is filled beside its place and put into it.
    pub(super) fn replace_partition(&mut self) -> Drawn {
        let at = self.one_of(|_, table| {
            table.shape == Shape::Days && table.temporary.is_none() && table.rollups.is_empty()
        })?;
        let table = self.model.tables[at].clone();
        let (number, partition) = self.pick(&table.partitions)?.clone();
        let (name, temporary) = (&table.name, format!("tp_{}", self.model.number()));
        self.model.tables[at].temporary = Some((number, temporary.clone()));
        let rows = self.insert_rows(at, 2, &format!(" TEMPORARY PARTITION ({temporary})"));
        self.model.tables[at].temporary = None;
        Some(vec![
            format!(
                "ALTER TABLE {name} ADD TEMPORARY PARTITION {temporary} VALUES {}",
                month(number)
            ),
            rows,
            format!(
                "ALTER TABLE {name} REPLACE PARTITION ({partition}) WITH TEMPORARY PARTITION ({temporary})"
            ),
            self.insert(at),
        ])
    }

    /// A temporary partition that stays for a while: a backup is refused meanwhile.
    pub(super) fn temporary(&mut self) -> Drawn {
        let held = self.one_of(|_, table| table.temporary.is_some());
        if let Some(at) = held {
            return self.drop_temporary(at).map(|statement| vec![statement]);
        }
        let at = self.one_of(|_, table| table.shape == Shape::Days && table.rollups.is_empty())?;
        let partitions = self.model.tables[at].partitions.clone();
        let (number, _) = *self.pick(&partitions)?;
        let temporary = format!("tp_{}", self.model.number());
        self.model.tables[at].temporary = Some((number, temporary.clone()));
        let name = self.model.tables[at].name.clone();
        Some(vec![
            format!(
                "ALTER TABLE {name} ADD TEMPORARY PARTITION {temporary} VALUES {}",
                month(number)
            ),
            self.insert_rows(at, 1, &format!(" TEMPORARY PARTITION ({temporary})")),
        ])
    }

    /// Drops the temporary partition of a table, if it has one.
    pub(super) fn drop_temporary(&mut self, at: usize) -> Option<String> {
        let (_, gone) = self.model.tables[at].temporary.take()?;
        let name = &self.model.tables[at].name;
        Some(format!(
            "ALTER TABLE {name} DROP TEMPORARY PARTITION {gone}"
        ))
    }

    pub(super) fn overwrite(&mut self) -> Drawn {
        let at = self.one_of(|_, table| table.temporary.is_none() && table.shape != Shape::Sums)?;
        let table = self.model.tables[at].clone();
        let name = &table.name;
        let columns: String = table.columns.iter().map(|c| format!(", {c}")).collect();
        let rest = self.rng.random_range(0..5);
        let statement = match (table.shape, self.pick(&table.partitions).cloned()) {
            (Shape::Days, Some((month, partition))) => format!(
                "INSERT OVERWRITE TABLE {name} PARTITION ({partition}) (id, day, v{columns}) SELECT id, day, v{columns} FROM {name} \
                 WHERE id % 5 <> {rest} AND day >= '2026-{month:02}-01' AND day < '2026-{:02}-01'",
                month + 1
            ),
            _ => format!(
                "INSERT OVERWRITE TABLE {name} (id, v{columns}) SELECT id, v{columns} FROM {name} WHERE id % 5 <> {rest}"
            ),
        };
        Some(vec![statement, self.insert(at)])
    }
}
