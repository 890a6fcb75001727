//! What must hold when the faults have ended: every table equal, or halted with a reason that a person can act on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use ccr_doris::{Row, SqlSession};
use ccr_lab::Cluster;
use ccr_ops::SystemClock;
use ccr_schemas::CommitSeq;
use serde_json::{Value, json};

use super::history::History;
use crate::world::{Api, DATABASE, World};

/// How long a job may take to come to its end: kills leave transactions that time out, halted restores are tried again.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Rows and statements shown of a table that differs.
const SHOWN: usize = 30;

/// Which tables a job follows.
#[derive(Clone, Debug)]
pub enum Scope {
    /// All, and views.
    Database,
    /// All but those with these names.
    Except(BTreeSet<String>),
    /// One, under another name at the destination.
    Table(&'static str, &'static str),
}

impl Scope {
    /// Name at the destination of a source table; nothing when the job does not follow it.
    fn there(&self, table: &str) -> Option<String> {
        match self {
            Self::Database => Some(table.to_owned()),
            Self::Except(names) => (!names.contains(table)).then(|| table.to_owned()),
            Self::Table(here, there) => (table == *here).then(|| (*there).to_owned()),
        }
    }
}

/// A job of the run.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its name.
    pub name: &'static str,
    /// Body of `create_ccr`.
    pub body: Value,
    /// Which target.
    pub target: usize,
    /// Its database there.
    pub database: &'static str,
    /// What it follows.
    pub scope: Scope,
}

/// A table that was halted with a reason, and repaired by a re-sync of its own.
#[derive(Clone, Debug)]
pub struct Halted {
    /// Job and table.
    pub table: String,
    /// As told.
    pub reason: String,
}

/// The end of a run.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Rows that were compared, over all jobs.
    pub rows: u64,
    /// Tables that were halted.
    pub halted: Vec<Halted>,
    /// What must not be: a job that does not come to its end or is halted as a whole, a reason without a next step, a difference.
    pub problems: Vec<String>,
}

impl Verdict {
    /// Waits until every job has come to the source's end and compares everything. Tables that are halted are repaired as their
    /// reason says, and compared again.
    ///
    /// # Errors
    /// The clusters or the API do not answer.
    pub async fn of(world: &World, api: &Api, jobs: &[Job], history: &History) -> Result<Self> {
        let end = world.source_end().await?;
        let mut verdict = Self::default();
        for job in jobs {
            let Some(halted) = verdict.settled(api, job, end).await? else {
                continue;
            };
            let names = names_of(&halted, history);
            verdict.compare(world, job, &names, history).await?;
            for (table, reason) in halted {
                if let Err(problem) = repair(world, api, job, &table, &reason).await {
                    verdict.problems.push(format!("{problem:#}"));
                }
                verdict.halted.push(Halted {
                    table: format!("{}.{table}", job.name),
                    reason,
                });
            }
        }
        if !verdict.problems.is_empty() {
            return Ok(verdict);
        }
        for job in jobs {
            let Some(halted) = verdict.settled(api, job, end).await? else {
                continue;
            };
            let names = names_of(&halted, history);
            for (table, reason) in halted {
                if repairable(world, job, &table).await? {
                    verdict.problems.push(format!(
                        "table {table} of job {} is halted again after its re-sync: {reason}",
                        job.name
                    ));
                }
            }
            verdict.rows += verdict.compare(world, job, &names, history).await?;
        }
        Ok(verdict)
    }

    /// Fails when something must not be.
    pub fn judge(&self) -> Result<()> {
        let (number, all) = (self.problems.len(), self.problems.join("\n- "));
        ensure!(number == 0, "{number} problems:\n- {all}");
        Ok(())
    }

    /// Waits until a job has come to `end`; answers its halted tables with their reasons, nothing when it does not come there.
    async fn settled(&mut self, api: &Api, job: &Job, end: CommitSeq) -> Result<Option<Reasons>> {
        let clock = SystemClock::shared();
        let deadline = clock.monotonic() + PATIENCE;
        let mut last = Value::Null;
        while clock.monotonic() < deadline {
            last = api.status(job.name).await?;
            if last["state"] == json!("halted") {
                break;
            }
            if last["commit_seq"].as_i64().is_some_and(|at| at >= end.0)
                && last["action"] == json!("following")
            {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let lanes = last["tables_not_following"].as_array();
                let halted = lanes.into_iter().flatten();
                let halted = halted.map(|lane| (text(&lane["table"]), text(&lane["reason"])));
                return Ok(Some(halted.collect()));
            }
            clock.sleep(LOOK_INTERVAL).await;
        }
        self.problems.push(format!(
            "job {} does not come to position {end}: {last:#}",
            job.name
        ));
        Ok(None)
    }

    /// Compares names, rows and shapes; answers the number of rows. Halted tables are left out, whether they are there or not.
    async fn compare(
        &mut self,
        world: &World,
        job: &Job,
        halted: &BTreeSet<String>,
        history: &History,
    ) -> Result<u64> {
        let target = &world.targets[job.target];
        let mut expected = halted.clone();
        let mut rows = 0;
        for table in world.source.tables(DATABASE).await? {
            let Some(there) = job.scope.there(&table) else {
                continue;
            };
            expected.insert(there.clone());
            let read = history.view_of(&table);
            if halted.contains(&table) || read.is_some_and(|read| halted.contains(&read)) {
                continue;
            }
            let sides = (
                (&world.source, DATABASE, table.as_str()),
                (target, job.database, there.as_str()),
            );
            match same(sides.0, sides.1).await {
                Ok(number) => rows += number,
                Err(difference) => self.problems.push(format!(
                    "table {table} of job {}: {difference:#}\nits last statements:\n{}",
                    job.name,
                    history.of(&table, SHOWN).join("\n")
                )),
            }
        }
        for table in target.tables(job.database).await? {
            if !expected.contains(&table) {
                self.problems.push(format!(
                    "table {table} of job {} is at the destination only; its last statements:\n{}",
                    job.name,
                    history.of(&table, SHOWN).join("\n")
                ));
            }
        }
        Ok(rows)
    }
}

/// Halted tables.
type Reasons = BTreeMap<String, String>;

/// Names of halted tables: those that are told, and those that the tables have now.
fn names_of(halted: &Reasons, history: &History) -> BTreeSet<String> {
    let now = halted.keys().flat_map(|name| history.names_now(name));
    halted.keys().cloned().chain(now).collect()
}

/// Does what the reason of a halted table says.
async fn repair(world: &World, api: &Api, job: &Job, table: &str, reason: &str) -> Result<()> {
    ensure!(
        reason.contains("resync"),
        "table {table} of job {} is halted without a next step: {reason}",
        job.name
    );
    if repairable(world, job, table).await? {
        let body = json!({"name": job.name, "table": table});
        let answer = api.post("resync", &body).await?;
        ensure!(
            answer["success"] == json!(true),
            "table {table} of job {} is halted ({reason}), and its re-sync is refused: {answer}",
            job.name
        );
    }
    Ok(())
}

/// A table re-sync can help: the table is there and the job follows it.
async fn repairable(world: &World, job: &Job, table: &str) -> Result<bool> {
    let here = world.source.tables(DATABASE).await?;
    Ok(here.iter().any(|name| name == table) && job.scope.there(table).is_some())
}

type Side<'a> = (&'a Cluster, &'a str, &'a str);

/// Compares one table; answers the number of its rows.
async fn same(here: Side<'_>, there: Side<'_>) -> Result<u64> {
    for what in [Question::Rows, Question::Columns, Question::Partitions] {
        let (mine, theirs) = (what.ask(here).await, what.ask(there).await);
        let (mut mine, mut theirs) = match (mine, theirs) {
            (Ok(mine), Ok(theirs)) => (mine, theirs),
            // A view of a table that is gone: on both sides alike. A view has no partitions.
            (Err(_), Err(_)) => continue,
            (Err(error), Ok(_)) => return Err(error.context(format!("{what:?} at the source"))),
            (Ok(_), Err(error)) => {
                return Err(error.context(format!("{what:?} at the destination")));
            }
        };
        mine.sort();
        theirs.sort();
        if mine != theirs {
            let less = |a: &[Row], b: &[Row]| -> Vec<String> {
                let only = a.iter().filter(|row| count(a, row) > count(b, row));
                only.take(SHOWN).map(|row| format!("{row:?}")).collect()
            };
            bail!(
                "{what:?} differ: {} at the source, {} at the destination\nmore often at the source:\n{}\nmore often at the destination:\n{}",
                mine.len(),
                theirs.len(),
                less(&mine, &theirs).join("\n"),
                less(&theirs, &mine).join("\n")
            );
        }
    }
    Ok(u64::try_from(
        Question::Rows.ask(here).await.map_or(0, |rows| rows.len()),
    )?)
}

fn count(rows: &[Row], row: &Row) -> usize {
    let from = rows.partition_point(|other| other < row);
    rows[from..]
        .iter()
        .take_while(|other| *other == row)
        .count()
}

/// What is compared.
#[derive(Clone, Copy, Debug)]
enum Question {
    Rows,
    Columns,
    Partitions,
}

impl Question {
    async fn ask(self, (cluster, database, table): Side<'_>) -> Result<Vec<Row>> {
        let (sql, shown): (String, &[&str]) = match self {
            Self::Rows => (format!("SELECT * FROM `{table}`"), &[]),
            // Rollups and their columns as well.
            Self::Columns => (
                format!("DESC `{table}` ALL"),
                &["IndexName", "Field", "Type"],
            ),
            Self::Partitions => (
                format!("SHOW PARTITIONS FROM `{table}`"),
                &["PartitionName", "Range"],
            ),
        };
        let mut rows = cluster.client.query(Some(database), &sql).await?;
        if shown.is_empty() {
            return Ok(rows);
        }
        // The base index, and the partition of a table without partitions, bear the table's name: it may differ.
        for row in &mut rows {
            row.retain(|column, _| shown.contains(&column.as_str()));
            for column in ["IndexName", "PartitionName"] {
                if row.get(column) == Some(&Some(table.to_owned())) {
                    row.insert(column.to_owned(), None);
                }
            }
        }
        Ok(rows)
    }
}
