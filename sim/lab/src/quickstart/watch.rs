//! Looks at the targets while the run goes on: the table on the screen, and the lag over time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ccr_control::{JobState, JobStatus, StatusBoard};
use ccr_doris::ddl::ident;
use ccr_doris::{DorisCluster, SqlSession};
use ccr_ops::Clock;
use tokio_util::task::AbortOnDropHandle;

use super::clusters::Target;
use super::view::{SourceLine, TargetLine, View};

/// How often the status of the jobs is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Each so many looks the rows of the targets are counted as well.
const LOOKS_PER_COUNT: u32 = 10;

/// What is seen and what is shown, shared by the run and the task that looks.
#[derive(Debug)]
pub struct Watch {
    view: Arc<View>,
    source: Mutex<SourceLine>,
    seen: Mutex<Vec<Vec<Option<i64>>>>,
}

/// What the task that looks needs of a target.
#[derive(Debug)]
struct Watched {
    job: &'static str,
    database: &'static str,
    client: DorisCluster,
    rows: Option<u64>,
    phase: String,
}

impl Watch {
    /// Makes a watch that has seen nothing yet.
    pub fn new(view: Arc<View>, targets: usize) -> Arc<Self> {
        Arc::new(Self {
            view,
            source: Mutex::default(),
            seen: Mutex::new(vec![Vec::new(); targets]),
        })
    }

    /// Sets how many rows are loaded in the end.
    pub fn expect_rows(&self, rows: u64) {
        lock(&self.source).rows_in_all = rows;
    }

    /// Adds rows that were loaded.
    pub fn loaded(&self, rows: u64) {
        let source = {
            let mut source = lock(&self.source);
            source.rows += rows;
            source.clone()
        };
        self.view.show(&source, &[]);
    }

    /// Notes a statement that changes a table.
    pub fn statement(&self, sql: &'static str) {
        lock(&self.source).statement = Some(sql);
        self.view.note_without_table(sql);
    }

    /// Returns the lag of each target at each look, milliseconds; `None` where it was not known.
    pub fn lag_over_time(&self) -> Vec<Vec<Option<i64>>> {
        lock(&self.seen).clone()
    }

    /// Begins to look, until the handle is dropped.
    pub fn begin(
        self: &Arc<Self>,
        targets: &[Target],
        status: Arc<StatusBoard>,
        clock: Arc<dyn Clock>,
    ) -> AbortOnDropHandle<()> {
        let watched = targets.iter().map(Watched::of).collect();
        AbortOnDropHandle::new(tokio::spawn(Arc::clone(self).look(watched, status, clock)))
    }

    async fn look(
        self: Arc<Self>,
        mut targets: Vec<Watched>,
        status: Arc<StatusBoard>,
        clock: Arc<dyn Clock>,
    ) {
        for look in 0_u32.. {
            let mut lines = Vec::new();
            for target in &mut targets {
                if look % LOOKS_PER_COUNT == 0 {
                    target.rows = target.count().await;
                }
                lines.push(target.line(
                    status.job(target.job).as_ref(),
                    clock.now_ms(),
                    &self.view,
                ));
            }
            for (seen, line) in lock(&self.seen).iter_mut().zip(&lines) {
                seen.push(line.lag_ms);
            }
            let source = lock(&self.source).clone();
            self.view.show(&source, &lines);
            clock.sleep(LOOK_INTERVAL).await;
        }
    }
}

impl Watched {
    fn of(target: &Target) -> Self {
        Self {
            job: target.job,
            database: target.database,
            client: target.cluster.client.clone(),
            rows: None,
            phase: String::new(),
        }
    }

    /// Rows of all tables. A table may come or go meanwhile; then they are not known.
    async fn count(&self) -> Option<u64> {
        let database = ident(self.database);
        let tables = self
            .client
            .query(None, &format!("SHOW TABLES FROM {database}"))
            .await
            .ok()?;
        let mut rows = 0;
        for table in tables.into_iter().filter_map(first_value) {
            let sql = format!("SELECT COUNT(*) FROM {database}.{}", ident(&table));
            let counted = self.client.query(None, &sql).await.ok()?;
            let count = counted.into_iter().find_map(first_value)?;
            rows += count.parse::<u64>().ok()?;
        }
        Some(rows)
    }

    fn line(&mut self, status: Option<&JobStatus>, now_ms: i64, view: &View) -> TargetLine {
        let phase = phase(status);
        if phase != self.phase {
            view.note_without_table(&format!("{}: {phase}", self.job));
            self.phase.clone_from(&phase);
        }
        TargetLine {
            job: self.job,
            phase,
            progress: status.and_then(|status| status.progress),
            rows: self.rows,
            lag_ms: status.and_then(|status| status.lag_at(now_ms)),
        }
    }
}

fn phase(status: Option<&JobStatus>) -> String {
    match status.map(|status| status.state) {
        None => "not started",
        Some(JobState::Recovering) => "starting",
        Some(JobState::AwaitingSnapshot) => "waiting for the source's backup",
        Some(JobState::Restoring) => "restoring",
        Some(JobState::CatchingUp) => "catching up",
        Some(JobState::Applying) => "following",
        Some(JobState::Paused) => "paused",
        Some(JobState::Halted) => "halted",
    }
    .to_owned()
}

fn first_value(row: ccr_doris::Row) -> Option<String> {
    row.into_values().flatten().next()
}

/// The screen is worth nothing to a run whose other half has panicked; what is locked is whole at every moment.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
