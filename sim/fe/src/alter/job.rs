//! Asynchronous changes of a table: what a schema change or rollup job is, and the list of them. `alter_run` drives them.

use serde::{Deserialize, Serialize};

use dorisim_model::catalog::Properties;
use dorisim_model::{IndexMeta, OlapTable, SecondaryIndex, TableSchema, Tracked};

/// Shadow indexes of schema changes are named so until they take over.
pub const SHADOW_PREFIX: &str = "__doris_shadow_";
/// `alter_table_timeout_second`: 30 days.
pub const TIMEOUT_S: i64 = 2_592_000;
/// Finished jobs that are remembered.
const KEPT: usize = 1_000;

/// What a schema change brings besides columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// Secondary indexes afterwards; `None` when they stay.
    pub indexes: Option<Vec<SecondaryIndex>>,
    /// Properties that it sets.
    pub properties: Properties,
}

impl Attached {
    /// The difference between a table and what it shall be.
    #[must_use]
    pub fn between(before: &OlapTable, after: &OlapTable) -> Self {
        let properties = after.properties.iter();
        Self {
            indexes: (before.secondary != after.secondary).then(|| after.secondary.clone()),
            properties: properties
                .filter(|(key, value)| before.properties.get(*key) != Some(value))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        }
    }
}

/// What a job builds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum AlterKind {
    /// A schema change that rewrites data.
    SchemaChange {
        /// Columns of the base index afterwards.
        schema: Box<TableSchema>,
        /// Largest column unique id afterwards.
        max_unique_id: i32,
        /// New index and the id of the one whose place it takes.
        pairs: Vec<(IndexMeta, i64)>,
        /// What else is so afterwards.
        attached: Attached,
    },
    /// A rollup or synchronous materialized view.
    Rollup {
        /// The new index.
        index: Box<IndexMeta>,
        /// Base index.
        base_id: i64,
        /// Its name.
        base_name: String,
    },
}

/// A change of the metadata alone, as SHOW ALTER TABLE COLUMN lists it: a job that is over, with the indexes it touched
/// in their own places.
#[must_use]
pub fn light_change(
    table: &OlapTable,
    touched: &[i64],
    ids: (i64, i64),
    raw: &str,
    now: i64,
) -> AlterJob {
    let pairs = table.indexes.iter().filter(|i| touched.contains(&i.id));
    let pairs = pairs
        .map(|index| {
            let meta = IndexMeta {
                name: format!("{SHADOW_PREFIX}{}", index.name),
                schema: Some(table.index_schema(index.id).clone()),
                ..index.clone()
            };
            (meta, index.id)
        })
        .collect();
    let (db_id, id) = ids;
    AlterJob {
        id,
        db_id,
        table_id: table.id,
        table: table.name.clone(),
        raw_sql: raw.to_owned(),
        kind: AlterKind::SchemaChange {
            schema: Box::new(table.schema.clone()),
            max_unique_id: table.max_column_unique_id,
            pairs,
            attached: Attached::default(),
        },
        state: AlterState::Finished,
        txn_id: -1,
        create_ms: now,
        finish_ms: now,
        message: String::new(),
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AlterState {
    /// Submitted; no tablets yet.
    Pending,
    /// Loads write the new tablets; older loads have to end before the old rows are converted.
    WaitingTxn {
        /// Transactions with smaller ids did not know the new tablets.
        watershed: i64,
    },
    /// Done.
    Finished,
    /// Given up.
    Cancelled,
}

impl AlterState {
    /// The FE's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::WaitingTxn { .. } => "WAITING_TXN",
            Self::Finished => "FINISHED",
            Self::Cancelled => "CANCELLED",
        }
    }

    fn is_done(self) -> bool {
        match self {
            Self::Pending | Self::WaitingTxn { .. } => false,
            Self::Finished | Self::Cancelled => true,
        }
    }
}

/// A job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AlterJob {
    /// Id.
    pub id: i64,
    /// Database.
    pub db_id: i64,
    /// Table.
    pub table_id: i64,
    /// Its name at submission.
    pub table: String,
    /// The statement.
    pub raw_sql: String,
    /// What it builds.
    pub kind: AlterKind,
    /// How far it is.
    pub state: AlterState,
    /// Watershed transaction, for SHOW; -1 before.
    pub txn_id: i64,
    /// Epoch milliseconds.
    pub create_ms: i64,
    /// Finished or cancelled, -1 before.
    pub finish_ms: i64,
    /// Reason of a cancellation.
    pub message: String,
}

impl AlterJob {
    /// New indexes, each with the index its rows are read from.
    #[must_use]
    pub fn targets(&self) -> Vec<(IndexMeta, i64)> {
        match &self.kind {
            AlterKind::SchemaChange { pairs, .. } => pairs.clone(),
            AlterKind::Rollup { index, base_id, .. } => vec![(index.as_ref().clone(), *base_id)],
        }
    }

    /// True for schema changes.
    #[must_use]
    pub fn is_schema_change(&self) -> bool {
        match self.kind {
            AlterKind::SchemaChange { .. } => true,
            AlterKind::Rollup { .. } => false,
        }
    }
}

/// All jobs by id, which grows: oldest first.
#[derive(Debug, Default, Serialize)]
pub struct AlterJobs {
    pub(crate) jobs: Tracked<i64, AlterJob>,
}

impl AlterJobs {
    /// Takes a job in.
    pub fn submit(&mut self, job: AlterJob) {
        if self.jobs.len() >= KEPT
            && let Some(old) = self.jobs.values().find(|j| j.state.is_done())
        {
            let old = old.id;
            self.jobs.remove(&old);
        }
        self.jobs.insert(job.id, job);
    }

    /// Copies of the jobs that run.
    #[must_use]
    pub fn running(&self) -> Vec<AlterJob> {
        self.jobs
            .values()
            .filter(|j| !j.state.is_done())
            .cloned()
            .collect()
    }

    /// True when a job of the table runs.
    #[must_use]
    pub fn is_altered(&self, table_id: i64) -> bool {
        self.jobs
            .values()
            .any(|j| j.table_id == table_id && !j.state.is_done())
    }

    /// A job that runs, to change it.
    pub fn running_mut(&mut self, id: i64) -> Option<&mut AlterJob> {
        self.jobs.get(&id).filter(|j| !j.state.is_done())?;
        self.jobs.get_mut(&id)
    }

    /// Jobs of a database.
    pub fn of_db(&self, db_id: i64) -> impl Iterator<Item = &AlterJob> {
        self.jobs.values().filter(move |j| j.db_id == db_id)
    }
}

/// One row of SHOW ALTER TABLE COLUMN or ROLLUP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterView {
    /// Job.
    pub job_id: i64,
    /// Table.
    pub table: String,
    /// Epoch milliseconds.
    pub create_ms: i64,
    /// Epoch milliseconds, -1 while it runs.
    pub finish_ms: i64,
    /// Name of the new index, without the prefix of shadows.
    pub index: String,
    /// Id of the new index.
    pub index_id: i64,
    /// Index that is replaced, or the base of a rollup.
    pub origin_id: i64,
    /// Name of the base of a rollup; empty for schema changes.
    pub base: String,
    /// `version:hash` of the new columns.
    pub schema_version: String,
    /// Watershed transaction, -1 before there is one.
    pub txn_id: i64,
    /// State.
    pub state: &'static str,
    /// Reason of a cancellation.
    pub message: String,
}

impl AlterJob {
    /// Its rows in SHOW ALTER TABLE.
    #[must_use]
    pub fn views(&self) -> Vec<AlterView> {
        let base = match &self.kind {
            AlterKind::SchemaChange { .. } => "",
            AlterKind::Rollup { base_name, .. } => base_name,
        };
        self.targets()
            .into_iter()
            .map(|(index, origin_id)| AlterView {
                job_id: self.id,
                table: self.table.clone(),
                create_ms: self.create_ms,
                finish_ms: self.finish_ms,
                index: index.name.trim_start_matches(SHADOW_PREFIX).to_owned(),
                index_id: index.id,
                origin_id,
                base: base.to_owned(),
                schema_version: format!(
                    "{}:{}",
                    index.schema.as_ref().map_or(0, |s| s.schema_version),
                    index.schema_hash
                ),
                txn_id: self.txn_id,
                state: self.state.as_str(),
                message: self.message.clone(),
            })
            .collect()
    }
}
