//! What a destination database has and the source has not.

use crate::error::Error;
use crate::inspect;
use crate::names::Names;
use crate::replace::Targets;
use crate::session::Session;

/// Names that the status shows.
const MAX_LEFTOVERS: usize = 100;

impl Session<'_> {
    /// Names what a destination database of a job for a whole database has and the source has not. The job leaves it alone.
    pub(crate) async fn name_leftovers(
        &self,
        database: &str,
        targets: &Targets,
    ) -> Result<(), Error> {
        if !(targets.everything && self.spec.is_whole_database()) {
            return Ok(());
        }
        let mut there = inspect::objects(&**self.dest, database).await?;
        there.retain(|name| !Names::is_staging_table_of_a_job(name));
        for target in &targets.objects {
            there.remove(&target.dest);
        }
        if !there.is_empty() {
            let tables: Vec<&str> = there.iter().map(String::as_str).collect();
            tracing::warn!(job = %self.spec.name, database, tables = tables.join(", "),
                           "the destination database has tables that the source does not have; the job leaves them alone");
        }
        self.tell(|p| p.leftovers(there.into_iter().take(MAX_LEFTOVERS).collect()));
        Ok(())
    }
}
