//! Which statements come next: drawn from a seed and what the source holds, never from time or answers.

mod partitions;
mod shape;
mod tables;

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::model::{LASTING, Model, Shape, Table};

/// Tables besides the lasting ones.
const MAX_PASSING: usize = 12;
/// Columns added to one table.
const MAX_COLUMNS: usize = 6;

/// Kinds of operations; the functions of the planner say what each is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "named by their statements")]
pub enum Kind {
    Insert,
    Delete,
    Update,
    Create,
    Drop,
    DropAndCreate,
    Recover,
    Rename,
    Exchange,
    Refill,
    Truncate,
    TruncatePartition,
    Partition,
    ReplacePartition,
    Temporary,
    Overwrite,
    AddColumn,
    DropColumn,
    RenameColumn,
    Widen,
    AddRollup,
    DropRollup,
    Index,
    View,
    Comment,
}

impl Kind {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        WEIGHTS.iter().map(|(kind, _)| *kind)
    }
}

/// How often each comes.
const WEIGHTS: [(Kind, u32); 25] = [
    (Kind::Insert, 110),
    (Kind::Delete, 6),
    (Kind::Update, 6),
    (Kind::Create, 7),
    (Kind::Drop, 3),
    (Kind::DropAndCreate, 3),
    (Kind::Recover, 3),
    (Kind::Rename, 6),
    (Kind::Exchange, 5),
    (Kind::Refill, 5),
    (Kind::Truncate, 3),
    (Kind::TruncatePartition, 3),
    (Kind::Partition, 4),
    (Kind::ReplacePartition, 3),
    (Kind::Temporary, 2),
    (Kind::Overwrite, 4),
    (Kind::AddColumn, 4),
    (Kind::DropColumn, 2),
    (Kind::RenameColumn, 2),
    (Kind::Widen, 2),
    (Kind::AddRollup, 5),
    (Kind::DropRollup, 4),
    (Kind::Index, 2),
    (Kind::View, 4),
    (Kind::Comment, 2),
];

/// Draws operations.
#[derive(Clone, Debug)]
pub struct Planner {
    rng: StdRng,
    without: BTreeSet<Kind>,
    model: Model,
    next_id: u64,
}

/// Statements of one operation, to be run in order; nothing when the source holds nothing to do it to.
type Drawn = Option<Vec<String>>;

impl Planner {
    /// From a seed, leaving out some kinds.
    pub fn new(seed: u64, without: &[Kind]) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            without: without.iter().copied().collect(),
            model: Model::new(),
            next_id: 1,
        }
    }

    /// What the source holds when everything that was drawn has been run.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The first statements.
    pub fn first(&self) -> Vec<String> {
        self.model.tables.iter().map(Table::ddl).collect()
    }

    /// Drops all temporary partitions: Doris backs up no table that has one.
    pub fn tidy(&mut self) -> Vec<String> {
        (0..self.model.tables.len())
            .filter_map(|at| self.drop_temporary(at))
            .collect()
    }

    /// A row into every table, for the end: all of them must still move.
    pub fn last(&mut self) -> Vec<String> {
        (0..self.model.tables.len())
            .map(|at| self.insert(at))
            .collect()
    }

    /// The next operation.
    pub fn operation(&mut self) -> Vec<String> {
        loop {
            if let Some(drawn) = self.draw() {
                return drawn;
            }
        }
    }

    fn draw(&mut self) -> Drawn {
        let all: u32 = WEIGHTS.iter().map(|(_, weight)| weight).sum();
        let mut at = self.rng.random_range(0..all);
        let kind = WEIGHTS.iter().find_map(|(kind, weight)| {
            let hit = at < *weight;
            at = at.saturating_sub(*weight);
            hit.then_some(*kind)
        })?;
        if self.without.contains(&kind) {
            return None;
        }
        match kind {
            Kind::Insert => {
                let at = self.any()?;
                Some(vec![self.insert(at)])
            }
            Kind::Delete => self.delete(),
            Kind::Update => self.update(),
            Kind::Create => self.create(),
            Kind::Drop => self.drop(),
            Kind::DropAndCreate => self.drop_and_create(),
            Kind::Recover => self.recover(),
            Kind::Rename => self.rename(),
            Kind::Exchange => self.exchange(),
            Kind::Refill => self.refill(),
            Kind::Truncate => self.truncate(),
            Kind::TruncatePartition => self.truncate_partition(),
            Kind::Partition => self.partition(),
            Kind::ReplacePartition => self.replace_partition(),
            Kind::Temporary => self.temporary(),
            Kind::Overwrite => self.overwrite(),
            Kind::AddColumn => self.add_column(),
            Kind::DropColumn => self.drop_column(),
            Kind::RenameColumn => self.rename_column(),
            Kind::Widen => self.widen(),
            Kind::AddRollup => self.add_rollup(),
            Kind::DropRollup => self.drop_rollup(),
            Kind::Index => self.index(),
            Kind::View => self.view(),
            Kind::Comment => self.comment(),
        }
    }

    /// Any table.
    fn any(&mut self) -> Option<usize> {
        self.one_of(|_, _| true)
    }

    /// A table that fits.
    fn one_of(&mut self, fits: impl Fn(usize, &Table) -> bool) -> Option<usize> {
        let all = self.model.tables.iter().enumerate();
        let fitting: Vec<usize> = all
            .filter(|(at, table)| fits(*at, table))
            .map(|(at, _)| at)
            .collect();
        self.pick(&fitting).copied()
    }

    /// A table that may be dropped or renamed.
    fn passing(&mut self) -> Option<usize> {
        self.one_of(|at, _| at >= LASTING.len())
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        if all.is_empty() {
            return None;
        }
        all.get(self.rng.random_range(0..all.len()))
    }

    fn chance(&mut self, of_ten: u32) -> bool {
        self.rng.random_range(0..10) < of_ten
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// A name for a table: one of a few that come again and again, or a new one.
    fn name(&mut self) -> String {
        let free = self.model.free_names();
        if self.chance(7)
            && let Some(name) = self.pick(&free)
        {
            return (*name).to_owned();
        }
        self.model.fresh("extra")
    }

    fn insert(&mut self, at: usize) -> String {
        let count = self.rng.random_range(1..=3);
        self.insert_rows(at, count, "")
    }

    /// `target` follows the table's name, such as a temporary partition.
    fn insert_rows(&mut self, at: usize, count: u32, target: &str) -> String {
        let table = self.model.tables[at].clone();
        let months: Vec<u32> = match (&table.temporary, target) {
            (Some((month, _)), target) if !target.is_empty() => vec![*month],
            _ => table.partitions.iter().map(|(month, _)| *month).collect(),
        };
        let extra: String = table.columns.iter().map(|c| format!(", {c}")).collect();
        let names = match table.shape {
            Shape::Sums => "k, n, last",
            Shape::Days => "id, day, v",
            Shape::Log | Shape::Random | Shape::Words => "id, v",
        };
        let mut rows = Vec::new();
        for _ in 0..count {
            let id = self.id();
            let first = match table.shape {
                Shape::Sums => format!("{}, 1, {id}", self.rng.random_range(0..20)),
                Shape::Days => {
                    let month = self.pick(&months).copied().unwrap_or(1);
                    let key = self.rng.random_range(0..40);
                    format!("{key}, '2026-{month:02}-07', 'v{id}'")
                }
                Shape::Log | Shape::Random | Shape::Words => format!("{id}, 'row {id}'"),
            };
            let rest: String = table
                .columns
                .iter()
                .map(|_| format!(", {}", self.rng.random_range(0..9)))
                .collect();
            rows.push(format!("({first}{rest})"));
        }
        format!(
            "INSERT INTO {}{target} ({names}{extra}) VALUES {}",
            table.name,
            rows.join(", ")
        )
    }

    fn delete(&mut self) -> Drawn {
        let at = self.one_of(|_, table| table.shape != Shape::Sums)?;
        let bound = self.next_id;
        let table = &self.model.tables[at];
        let id = match table.shape {
            Shape::Days => self.rng.random_range(0..40),
            Shape::Log | Shape::Random | Shape::Words | Shape::Sums => {
                self.rng.random_range(0..bound)
            }
        };
        Some(vec![format!(
            "DELETE FROM {} WHERE id = {id}",
            self.model.tables[at].name
        )])
    }

    fn update(&mut self) -> Drawn {
        let at = self.one_of(|_, table| table.shape == Shape::Days)?;
        let (id, value) = (self.rng.random_range(0..40), self.id());
        Some(vec![format!(
            "UPDATE {} SET v = 'u{value}' WHERE id = {id}",
            self.model.tables[at].name
        )])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_statements() {
        let draw = |seed| {
            let mut planner = Planner::new(seed, &[]);
            (0..2000)
                .flat_map(|_| planner.operation())
                .collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn every_kind_of_statement_is_drawn() {
        let mut planner = Planner::new(1, &[]);
        let all: Vec<String> = (0..3000).flat_map(|_| planner.operation()).collect();
        for kind in [
            "DROP ROLLUP",
            "DROP MATERIALIZED VIEW",
            "USING INVERTED",
            "RECOVER TABLE",
            "RECOVER PARTITION",
            " RENAME in_",
            " RENAME out_",
            "\"swap\" = \"true\"",
            "\"swap\" = \"false\"",
            "ADD TEMPORARY PARTITION",
            "REPLACE PARTITION",
            "TRUNCATE TABLE in_",
            "PARTITION (p",
            "MODIFY COLUMN",
            "ADD COLUMN",
            "INSERT OVERWRITE",
            "UPDATE ",
            "DELETE ",
            "CREATE VIEW",
            "ALTER VIEW",
            "BUILD INDEX",
        ] {
            assert!(all.iter().any(|sql| sql.contains(kind)), "{kind}");
        }
        let (tables, names) = (&planner.model().tables, |t: &Table| t.name.clone());
        let unique: std::collections::BTreeSet<String> = tables.iter().map(names).collect();
        assert_eq!(unique.len(), tables.len(), "{unique:?}");
    }
}
