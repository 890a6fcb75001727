//! Facts that belong to the installation and outlast jobs and processes: the compacted installation topic.
//!
//! `former:<job>` what a deleted job made at its destination

use std::collections::BTreeMap;
use std::sync::Arc;

use ccr_log::SharedLog;
use ccr_ops::Clock;
use ccr_schemas::TopicName;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::job::{JobSpec, TableFilter};
use crate::view::CompactedView;

/// Deleted jobs that are remembered; of more, the oldest are forgotten.
const MAX_FORMER_JOBS: usize = 1000;

/// One record of the topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Fact {
    FormerJob(FormerJob),
}

/// A job that was deleted. The tables that it made are still at its destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FormerJob {
    /// Its name.
    pub name: String,
    /// Source: cluster name and database.
    pub source: (String, String),
    /// Destination: cluster name and database.
    pub dest: (String, String),
    /// Which tables it followed, by their names at the source.
    pub tables: TableFilter,
    /// Names at the destination where they differ.
    pub table_names: BTreeMap<String, String>,
    /// When it was deleted, milliseconds since the epoch.
    pub deleted_at_ms: i64,
}

impl FormerJob {
    /// Of a job that is being deleted.
    pub fn of(job: &JobSpec, now_ms: i64) -> Self {
        Self {
            name: job.name.clone(),
            source: ends(&job.source.cluster_name, &job.source.database),
            dest: ends(&job.dest.cluster_name, &job.dest.database),
            tables: job.tables.clone(),
            table_names: job.dest.table_names.clone(),
            deleted_at_ms: now_ms,
        }
    }

    /// Returns whether it made a table of this name at the destination out of this source table of the given job.
    fn made(&self, job: &JobSpec, source_table: &str, dest_table: &str) -> bool {
        let named = self
            .table_names
            .get(source_table)
            .map_or(source_table, String::as_str);
        self.source == ends(&job.source.cluster_name, &job.source.database)
            && self.dest == ends(&job.dest.cluster_name, &job.dest.database)
            && self.tables.takes(source_table)
            && named == dest_table
    }
}

fn ends(cluster: &str, database: &str) -> (String, String) {
    (cluster.to_owned(), database.to_owned())
}

/// The facts, kept up to date.
#[derive(Debug)]
pub struct Installation {
    view: CompactedView<Fact>,
}

impl Installation {
    /// Opens the topic, creating it when missing.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub async fn open(
        log: SharedLog,
        prefix: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self {
            view: CompactedView::open(log, TopicName::installation(prefix), clock).await?,
        }))
    }

    /// Follows what other processes write until told to stop.
    pub async fn run(&self, clock: &dyn Clock, token: CancellationToken) {
        self.view.run(clock, token).await;
    }

    /// Remembers a job that is being deleted.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub async fn remember_job(&self, former: FormerJob) -> Result<(), Error> {
        let mut known = self.former_jobs();
        known.sort_by_key(|job| job.deleted_at_ms);
        let excess = (known.len() + 1).saturating_sub(MAX_FORMER_JOBS);
        for job in known.iter().take(excess) {
            self.view.remove(&former_key(&job.name)).await?;
        }
        let key = former_key(&former.name);
        self.view.put(&key, &Fact::FormerJob(former)).await
    }

    /// Forgets deleted jobs: what they made belongs to another job now.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub async fn forget_jobs(&self, names: &[String]) -> Result<(), Error> {
        for name in names {
            self.view.remove(&former_key(name)).await?;
        }
        Ok(())
    }

    /// Returns the deleted job that made the table, if one did.
    pub fn maker_of(
        &self,
        job: &JobSpec,
        source_table: &str,
        dest_table: &str,
    ) -> Option<FormerJob> {
        self.former_jobs()
            .into_iter()
            .find(|former| former.made(job, source_table, dest_table))
    }

    /// Reads what other processes wrote.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub async fn catch_up(&self) -> Result<(), Error> {
        while self.view.refresh().await? {}
        Ok(())
    }

    fn former_jobs(&self) -> Vec<FormerJob> {
        let facts = self.view.current();
        facts
            .values()
            .map(|fact| match fact {
                Fact::FormerJob(job) => job.clone(),
            })
            .collect()
    }
}

fn former_key(job: &str) -> String {
    format!("former:{job}")
}
