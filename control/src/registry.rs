//! Jobs in the log: the compacted jobs topic, keyed by job name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ccr_log::SharedLog;
use ccr_ops::{Clock, SystemClock};
use ccr_schemas::{CommitSeq, TableId, TopicName};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::job::{JobSpec, Wanted};
use crate::table_resync::ResyncsDone;
use crate::view::CompactedView;

/// The jobs, as they stand in the log.
#[derive(Debug)]
pub struct JobRegistry {
    view: CompactedView<JobSpec>,
    /// Changes of this process follow one another; between processes the last writer wins.
    writing: Mutex<()>,
}

impl JobRegistry {
    /// Opens the jobs topic, creating it when missing.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub async fn open(log: SharedLog, prefix: &str) -> Result<Arc<Self>, Error> {
        Self::with_clock(log, prefix, SystemClock::shared()).await
    }

    /// The same with a clock, by which the age of definitions is measured.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub async fn with_clock(
        log: SharedLog,
        prefix: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self {
            view: CompactedView::open(log, TopicName::jobs(prefix), clock).await?,
            writing: Mutex::new(()),
        }))
    }

    /// The jobs; changes are announced.
    pub fn watch(&self) -> watch::Receiver<Arc<BTreeMap<String, JobSpec>>> {
        self.view.watch()
    }

    /// Follows changes made by other processes until told to stop.
    pub async fn run(&self, clock: &dyn Clock, token: CancellationToken) {
        self.view.run(clock, token).await;
    }

    /// All jobs as last read.
    pub fn list(&self) -> Arc<BTreeMap<String, JobSpec>> {
        self.view.current()
    }

    /// Returns for how long a job's definition did not change, as far as this process can tell.
    pub fn unchanged_for(&self, name: &str) -> Duration {
        self.view.silent_for(name).unwrap_or_default()
    }

    /// One job.
    ///
    /// # Errors
    /// [`Error::UnknownJob`].
    pub fn get(&self, name: &str) -> Result<JobSpec, Error> {
        self.list()
            .get(name)
            .cloned()
            .ok_or_else(|| Error::UnknownJob(name.to_owned()))
    }

    /// Adds a job.
    ///
    /// # Errors
    /// [`Error::JobExists`], [`Error::Log`].
    pub async fn create(&self, job: &JobSpec) -> Result<(), Error> {
        self.create_if(job, |_| Ok(())).await
    }

    /// Adds a job unless something in the newest state of the others speaks against it.
    ///
    /// # Errors
    /// [`Error::JobExists`], [`Error::Log`], and what `check` says.
    pub async fn create_if(
        &self,
        job: &JobSpec,
        check: impl FnOnce(&BTreeMap<String, JobSpec>) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        let _writing = self.writing.lock().await;
        self.catch_up().await?;
        if self.list().contains_key(&job.name) {
            return Err(Error::JobExists(job.name.clone()));
        }
        check(&self.list())?;
        self.view.put(&job.name, job).await
    }

    /// Changes what is wanted of a job.
    ///
    /// # Errors
    /// [`Error::UnknownJob`], [`Error::Log`].
    pub async fn set_wanted(&self, name: &str, wanted: Wanted) -> Result<JobSpec, Error> {
        self.update(name, |job| job.wanted = wanted).await
    }

    /// Changes a definition; its version counts up.
    ///
    /// # Errors
    /// [`Error::UnknownJob`], [`Error::Log`].
    pub async fn update(
        &self,
        name: &str,
        edit: impl FnOnce(&mut JobSpec) + Send,
    ) -> Result<JobSpec, Error> {
        let _writing = self.writing.lock().await;
        self.catch_up().await?;
        let mut job = self.get(name)?;
        edit(&mut job);
        job.version += 1;
        self.view.put(name, &job).await?;
        Ok(job)
    }

    /// Starts a job again from a new snapshot, on top of what it has made at the destination.
    ///
    /// # Errors
    /// [`Error::UnknownJob`], [`Error::Log`].
    pub async fn resync(&self, name: &str, now_ms: i64) -> Result<JobSpec, Error> {
        let jobs = self.list();
        self.update(name, |job| {
            let alone = jobs
                .values()
                .all(|other| other.name == job.name || other.dest.database != job.dest.database);
            job.begin_again(now_ms, alone);
        })
        .await
    }

    /// Has tables of a job synced again by snapshots of their own. What is `done` of earlier requests is forgotten.
    ///
    /// # Errors
    /// [`Error::UnknownJob`], [`Error::Log`].
    pub async fn resync_tables(
        &self,
        name: &str,
        tables: Vec<(TableId, String)>,
        done: &ResyncsDone,
        now_ms: i64,
    ) -> Result<JobSpec, Error> {
        self.update(name, |job| job.table_resyncs.ask(tables, done, now_ms))
            .await
    }

    /// Lets a job leave out the event at a position.
    ///
    /// # Errors
    /// [`Error::UnknownJob`], [`Error::Log`].
    pub async fn skip(&self, name: &str, seq: CommitSeq) -> Result<JobSpec, Error> {
        self.update(name, |job| {
            job.options.skip.insert(seq);
        })
        .await
    }

    /// Removes a job.
    ///
    /// # Errors
    /// [`Error::UnknownJob`], [`Error::Log`].
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        let _writing = self.writing.lock().await;
        self.catch_up().await?;
        self.get(name)?;
        self.view.remove(name).await
    }

    async fn catch_up(&self) -> Result<(), Error> {
        while self.view.refresh().await? {}
        Ok(())
    }
}
