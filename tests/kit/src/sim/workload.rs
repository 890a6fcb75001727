//! Users of the source: loads and statements, made up as the run goes on.

use std::collections::VecDeque;

use super::jobs::DATABASE;
use super::scenario::{Habits, NAMES, Scenario};
use crate::doris::catalog::{Table, TableState};
use crate::doris::{Cluster, LoadInto, Refused, Stmt, TableDef};
use crate::rng::Rng;

/// One thing that a user does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A statement.
    Do(Stmt),
    /// A load; with sub-transactions when true.
    Load(Vec<LoadInto>, bool),
}

/// The users.
#[derive(Debug)]
pub struct Workload {
    rng: Rng,
    habits: Habits,
    replicas: usize,
    /// Names that jobs follow.
    named: Vec<String>,
    count: u64,
    /// Acts that belong to something begun before.
    begun: VecDeque<Act>,
}

/// Width of a partition.
const WIDTH: i64 = 10;

impl Workload {
    /// Users of a scenario.
    pub fn new(scenario: &Scenario) -> Self {
        Self {
            rng: Rng::new(scenario.seed, "workload"),
            habits: scenario.habits,
            replicas: scenario.replicas,
            named: scenario.named(),
            count: 0,
            begun: VecDeque::new(),
        }
    }

    /// A pause between two acts.
    pub fn pause(&mut self, longest_ms: i64) -> i64 {
        match self.rng.below(8) {
            0 | 1 => 0,
            2 => longest_ms * 4,
            _ => self.rng.within(0, longest_ms),
        }
    }

    /// Tables that are there before any job.
    pub fn first_acts(&mut self) -> Vec<Act> {
        let count = 1 + usize::try_from(self.rng.below(4)).unwrap_or(0);
        let count = count.max(self.named.len());
        let mut acts: Vec<Act> = NAMES
            .iter()
            .take(count)
            .map(|name| Act::Do(Stmt::CreateTable(self.table(name))))
            .collect();
        if self.habits != Habits::Loads && self.rng.coin() {
            acts.push(Act::Do(view("v0", "t0")));
        }
        acts
    }

    fn table(&mut self, name: &str) -> TableDef {
        let partitioned = self.rng.coin();
        let with_index = self.habits == Habits::Everything && self.rng.below(4) == 0;
        TableDef {
            name: name.to_owned(),
            columns: vec![
                ("k".to_owned(), "int".to_owned(), true),
                ("v".to_owned(), "int".to_owned(), false),
            ],
            secondary: if with_index {
                vec![("i0".to_owned(), "v".to_owned())]
            } else {
                Vec::new()
            },
            partitions: partitioned.then(|| {
                (0..self.rng.within(1, 3))
                    .map(|n| (format!("p{n}"), n * WIDTH, (n + 1) * WIDTH))
                    .collect()
            }),
            buckets: usize::try_from(self.rng.within(1, 2)).unwrap_or(1),
            replicas: self.replicas,
            comment: String::new(),
        }
    }

    /// Does the next thing. Returns what it was, and why it was refused if it was.
    pub fn act(&mut self, source: &mut Cluster, now: i64) -> (Act, Result<(), Refused>) {
        let act = if !self.begun.is_empty() && self.rng.coin() {
            self.begun.pop_front()
        } else {
            self.choose(source)
        };
        let act = act.unwrap_or(Act::Do(Stmt::Nothing));
        let done = perform(source, &act, now);
        (act, done)
    }

    /// What was begun and is not ended.
    pub fn rest(&mut self) -> Option<Act> {
        self.begun.pop_front()
    }

    /// Tables of the names that jobs follow and that no table bears.
    pub fn missing(&mut self, source: &Cluster) -> Vec<Act> {
        let has = |name: &String| {
            let database = source.databases.get(DATABASE);
            database.is_some_and(|database| database.has(name))
        };
        let missing: Vec<String> = self.named.iter().filter(|n| !has(n)).cloned().collect();
        missing
            .iter()
            .map(|name| Act::Do(Stmt::CreateTable(self.table(name))))
            .collect()
    }

    /// A load of a little into every table, which shows that everything goes on.
    pub fn load_everywhere(&mut self, source: &Cluster) -> Vec<Act> {
        let Some(database) = source.databases.get(DATABASE) else {
            return Vec::new();
        };
        let tables: Vec<Table> = database.tables.values().cloned().collect();
        tables
            .iter()
            .map(|table| {
                let partitions = table
                    .ordinary_partitions()
                    .iter()
                    .map(|partition| partition.name.clone())
                    .collect();
                Act::Load(
                    vec![LoadInto {
                        table: table.name.clone(),
                        partitions,
                        temp: false,
                    }],
                    false,
                )
            })
            .collect()
    }

    fn choose(&mut self, source: &Cluster) -> Option<Act> {
        let database = source.databases.get(DATABASE)?;
        let tables: Vec<Table> = database.tables.values().cloned().collect();
        let Some(table) = self.rng.pick(&tables).cloned() else {
            return Some(Act::Do(Stmt::CreateTable(self.table("t0"))));
        };
        self.count += 1;
        let loads = 40;
        let most = match self.habits {
            Habits::Loads => loads,
            Habits::Statements => loads + 36,
            Habits::Everything => loads + 60,
        };
        let draw = self.rng.below(most);
        if draw < loads {
            return self.load(&table, &tables);
        }
        let name = table.name.clone();
        let free: Vec<&str> = NAMES
            .into_iter()
            .filter(|name| !database.has(name))
            .collect();
        let fresh = self.rng.pick(&free).map(|name| (*name).to_owned());
        let stmt = match draw - loads {
            0..=3 => Stmt::CreateTable(self.table(&fresh?)),
            4..=5 if tables.len() > 1 => Stmt::DropTable {
                name,
                if_exists: false,
                force: self.rng.coin(),
            },
            6..=7 => Stmt::Truncate {
                table: name,
                partitions: Vec::new(),
                force: self.rng.coin(),
            },
            8..=9 if table.partitioned => Stmt::Truncate {
                table: name,
                partitions: vec![self.partition(&table)?],
                force: self.rng.coin(),
            },
            10..=13 => Stmt::RenameTable {
                table: name,
                new: fresh?,
            },
            14..=16 => {
                let other = self.rng.pick(&tables);
                let other = other.filter(|other| other.id != table.id)?;
                Stmt::ReplaceTable {
                    table: name,
                    with: other.name.clone(),
                    swap: self.rng.coin(),
                }
            }
            17..=19 => self.add_partition(&table, false)?,
            20..=21 if table.partitioned => Stmt::DropPartition {
                table: name,
                name: self.partition(&table)?,
                temp: false,
                if_exists: false,
                force: self.rng.coin(),
            },
            22 if table.partitioned => Stmt::RenamePartition {
                table: name,
                old: self.partition(&table)?,
                new: format!("q{}", self.rng.below(4)),
            },
            23..=25 => Stmt::AddColumn {
                table: name,
                column: format!("c{}", self.rng.below(5)),
                kind: "int".to_owned(),
            },
            26..=27 => Stmt::DropColumn {
                table: name,
                column: format!("c{}", self.rng.below(5)),
            },
            28..=29 => Stmt::RenameColumn {
                table: name,
                old: format!("c{}", self.rng.below(5)),
                new: format!("c{}", self.rng.below(5)),
            },
            30 => Stmt::TableComment {
                table: name,
                comment: format!("comment {}", self.count),
            },
            31 if table.partitioned => Stmt::Buckets {
                table: name,
                buckets: usize::try_from(self.rng.within(1, 3)).unwrap_or(1),
            },
            32 => view(&format!("v{}", self.rng.below(2)), &name),
            33 => Stmt::AlterView {
                name: format!("v{}", self.rng.below(2)),
                select: format!("SELECT * FROM `internal`.`{DATABASE}`.`{name}`"),
            },
            34 => Stmt::DropView {
                name: format!("v{}", self.rng.below(2)),
                if_exists: false,
            },
            35 => Stmt::CreateLike {
                name: fresh?,
                like: name,
            },
            36..=39 => return self.overwrite(&table),
            40..=43 => Stmt::ModifyColumn {
                table: name,
                column: "v".to_owned(),
                kind: if self.rng.coin() { "bigint" } else { "int" }.to_owned(),
            },
            44..=47 => Stmt::AddRollup {
                table: name,
                name: format!("r{}", self.rng.below(2)),
            },
            48..=49 => Stmt::DropRollup {
                table: name,
                name: format!("r{}", self.rng.below(2)),
            },
            50 => Stmt::RenameRollup {
                table: name,
                old: "r0".to_owned(),
                new: "r1".to_owned(),
            },
            51..=52 => Stmt::AddIndex {
                table: name,
                name: format!("i{}", self.rng.below(2)),
                column: "v".to_owned(),
            },
            53 => Stmt::DropIndexes {
                table: name,
                names: vec![format!("i{}", self.rng.below(2))],
            },
            54 => Stmt::BuildIndex {
                table: name,
                name: format!("i{}", self.rng.below(2)),
            },
            55..=57 => {
                let binned: Vec<String> = database
                    .binned_tables
                    .values()
                    .map(|(table, _)| table.name.clone())
                    .collect();
                Stmt::RecoverTable(self.rng.pick(&binned)?.clone())
            }
            58 => {
                let binned = database.binned_partitions.values();
                let binned: Vec<String> = binned
                    .filter(|binned| binned.table == table.id)
                    .map(|binned| binned.partition.name.clone())
                    .collect();
                Stmt::RecoverPartition {
                    name: self.rng.pick(&binned)?.clone(),
                    table: name,
                }
            }
            59 => Stmt::Backup {
                label: format!("users_{}", self.count),
                objects: vec![name],
            },
            _ => return self.load(&table, &tables),
        };
        Some(Act::Do(stmt))
    }

    fn partition(&mut self, table: &Table) -> Option<String> {
        let partitions = table.ordinary_partitions();
        self.rng.pick(&partitions).map(|p| p.name.clone())
    }

    fn into(&mut self, table: &Table) -> LoadInto {
        let all = table.ordinary_partitions();
        let mut partitions: Vec<String> = all
            .iter()
            .filter(|_| self.rng.coin())
            .map(|p| p.name.clone())
            .collect();
        if partitions.is_empty() {
            partitions.extend(self.partition(table));
        }
        LoadInto {
            table: table.name.clone(),
            partitions,
            temp: false,
        }
    }

    fn load(&mut self, table: &Table, tables: &[Table]) -> Option<Act> {
        let mut into = vec![self.into(table)];
        if self.rng.below(5) == 0 {
            let other = self.rng.pick(tables)?.clone();
            if other.id != table.id {
                into.push(self.into(&other));
            }
        }
        let explicit = self.rng.below(8) == 0;
        if explicit && self.rng.coin() {
            into.push(self.into(table));
        }
        Some(Act::Load(into, explicit))
    }

    fn add_partition(&mut self, table: &Table, temp: bool) -> Option<Stmt> {
        if !table.partitioned {
            return None;
        }
        let n = self.rng.within(0, 5);
        Some(Stmt::AddPartition {
            table: table.name.clone(),
            name: format!("p{n}"),
            temp,
            range: Some((n * WIDTH, (n + 1) * WIDTH)),
            buckets: None,
            if_not_exists: false,
        })
    }

    /// INSERT OVERWRITE: a temporary partition, a load into it, and the exchange.
    fn overwrite(&mut self, table: &Table) -> Option<Act> {
        let partitions = table.ordinary_partitions();
        let old = (*self.rng.pick(&partitions)?).clone();
        let temp = format!("iot_{}", self.count);
        self.begun.push_back(Act::Load(
            vec![LoadInto {
                table: table.name.clone(),
                partitions: vec![temp.clone()],
                temp: true,
            }],
            false,
        ));
        self.begun.push_back(Act::Do(Stmt::ReplacePartition {
            table: table.name.clone(),
            partitions: vec![old.name.clone()],
            temps: vec![temp.clone()],
        }));
        // Where the exchange is refused the temporary partition goes again.
        self.begun.push_back(Act::Do(Stmt::DropPartition {
            table: table.name.clone(),
            name: temp.clone(),
            temp: true,
            if_exists: true,
            force: true,
        }));
        Some(Act::Do(Stmt::AddPartition {
            table: table.name.clone(),
            name: temp,
            temp: true,
            range: old.range,
            buckets: Some(old.buckets()),
            if_not_exists: false,
        }))
    }
}

fn view(name: &str, table: &str) -> Stmt {
    Stmt::CreateView {
        name: name.to_owned(),
        select: format!("SELECT * FROM `internal`.`{DATABASE}`.`{table}`"),
    }
}

/// Drops of all temporary partitions that there are.
pub fn temporary_partitions(source: &Cluster) -> Vec<Act> {
    let tables = source
        .databases
        .get(DATABASE)
        .into_iter()
        .flat_map(|database| database.tables.values());
    tables
        .filter(|table| table.state == TableState::Normal)
        .flat_map(|table| {
            let temps = table.partitions.values().filter(|p| p.temp);
            temps.map(|partition| {
                Act::Do(Stmt::DropPartition {
                    table: table.name.clone(),
                    name: partition.name.clone(),
                    temp: true,
                    if_exists: true,
                    force: true,
                })
            })
        })
        .collect()
}

/// Does one thing at a cluster.
pub fn perform(cluster: &mut Cluster, act: &Act, now: i64) -> Result<(), Refused> {
    match act {
        Act::Do(stmt) => cluster.execute(DATABASE, stmt, now),
        Act::Load(into, explicit) => cluster.load(DATABASE, into, *explicit, now),
    }
}
