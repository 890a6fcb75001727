//! What a job leaves behind at its destination: no staging table and no restore job of its own, and tables that work as if
//! they had never been a copy.

use std::sync::Arc;
use std::time::Duration;

use ccr_control::JobSpec;
use ccr_doris::ddl::{self as sql, ObjectName};
use ccr_doris::error::Refusal;
use ccr_doris::{Error, Inspect};
use ccr_ops::Clock;
use tokio_util::sync::CancellationToken;

use crate::destination::{Connect, Destination};
use crate::error::full_text;
use crate::names::Names;

/// Looks at a cancelled restore job before its tables are dropped all the same.
const MAX_LOOKS: u32 = 50;
/// Pause between two of those looks.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a destination that does not answer is tried after its job was deleted.
const PATIENCE: Duration = Duration::from_secs(600);
/// First and longest pause between two attempts.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// What Doris prints for a table of which dynamic partitioning, colocation and the like are at rest.
const BEING_SYNCED: &str = "\"is_being_synced\" = \"true\"";

/// Ends the restore job of a job that may still run, and drops its staging tables. Called where no attempt is under way.
///
/// # Errors
/// Any [`Error`] of the destination; repeating it is safe.
pub(crate) async fn clear_staging(
    dest: &dyn Destination,
    clock: &dyn Clock,
    spec: &JobSpec,
) -> Result<(), Error> {
    let (names, database) = (Names::of(spec), spec.dest.database.as_str());
    let is_own = |label: &Option<String>| label.as_ref().is_some_and(|l| names.is_restore_label(l));
    let running = match dest.restore_running(database).await {
        Err(error) if error.refusal() == Some(Refusal::UnknownDatabase) => return Ok(()),
        other => other?,
    };
    if is_own(&running) {
        dest.execute(None, &sql::cancel_restore(database)).await?;
        for _ in 0..MAX_LOOKS {
            if !is_own(&dest.restore_running(database).await?) {
                break;
            }
            clock.sleep(PAUSE).await;
        }
    }
    for table in dest.objects(database).await? {
        if names.is_staging_table(&table) {
            let drop = sql::drop_table(ObjectName::bare(&table), true);
            dest.execute(Some(database), &drop).await?;
            tracing::info!(job = %spec.name, table, "staging table dropped");
        }
    }
    Ok(())
}

/// Gives the tables of a deleted job back what Doris keeps at rest while a table is a copy. Tables that another job
/// writes to stay as they are.
///
/// # Errors
/// Any [`Error`] of the destination; repeating it is safe.
async fn end_sync(dest: &dyn Destination, spec: &JobSpec, others: &[JobSpec]) -> Result<(), Error> {
    let database = spec.dest.database.as_str();
    let tables = match dest.tables(database).await {
        Err(error) if error.refusal() == Some(Refusal::UnknownDatabase) => return Ok(()),
        other => other?,
    };
    let is_free = |table: &str| {
        spec.writes_to(database, table) && !others.iter().any(|job| job.writes_to(database, table))
    };
    for table in tables.iter().filter(|table| is_free(table)) {
        let text = dest.create_table_text(database, table).await?;
        if text.is_some_and(|text| text.contains(BEING_SYNCED)) {
            let property = [("is_being_synced", "false")];
            let end = sql::set_properties(ObjectName::bare(table), &property);
            dest.execute(Some(database), &end).await?;
        }
    }
    Ok(())
}

/// A job that is no longer wanted.
pub(crate) struct Retirement<'a> {
    pub(crate) spec: &'a JobSpec,
    /// Jobs that stay.
    pub(crate) others: Vec<JobSpec>,
    pub(crate) connect: &'a Connect,
    pub(crate) sealer: &'a ccr_ops::Sealer,
    pub(crate) clock: &'a Arc<dyn Clock>,
}

impl Retirement<'_> {
    /// Leaves the destination in order. A destination that stays away for long is left as it is, with a warning that says what
    /// is still to be done.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        let until = self.clock.monotonic() + PATIENCE;
        let mut pause = RETRY.0;
        loop {
            let error = match self.attempt().await {
                Ok(()) => return,
                Err(error) => error,
            };
            let is_last = self.clock.monotonic() + pause > until;
            if is_last || stop.is_cancelled() {
                tracing::warn!(job = %self.spec.name, database = %self.spec.dest.database, %error,
                    "the destination of a deleted job could not be left in order: drop its tables __ccr_*, and set \
                     \"is_being_synced\" = \"false\" on its tables");
                return;
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = self.clock.sleep(pause) => {}
            }
            pause = (pause * 2).min(RETRY.1);
        }
    }

    async fn attempt(&self) -> Result<(), String> {
        let spec = &self.spec.dest;
        let address = spec.cluster.open(&spec.cluster_name, self.sealer);
        let address = address.map_err(|error| full_text(&error))?;
        let dest = self.connect.to(&address);
        let dest = dest.map_err(|error| full_text(&error))?;
        let cleared = clear_staging(&*dest, &**self.clock, self.spec).await;
        cleared.map_err(|error| full_text(&error))?;
        let ended = end_sync(&*dest, self.spec, &self.others).await;
        ended.map_err(|error| full_text(&error))
    }
}
