//! Settings of an applier process.

use std::collections::BTreeSet;
use std::time::Duration;

/// Settings of an applier process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplierConfig {
    /// Prefix of all topics. Default `ccr`.
    pub prefix: String,
    /// Who this process is, for statuses: host and process id, for instance.
    pub owner: String,
    /// Only these jobs; `None` runs all.
    pub only_jobs: Option<BTreeSet<String>>,
    /// How often the position is made durable. Default 200 ms. Longer means more to judge after a crash, never a loss.
    pub commit_interval: Duration,
    /// How long a stop waits for what is in flight. Default 15 s. What is cut off is judged at the next start.
    pub drain_deadline: Duration,
    /// How often the status is reported. Default 1 s.
    pub status_interval: Duration,
    /// How long a change waits for committed transactions to become visible before it asks again. Default 60 s.
    pub visible_timeout: Duration,
    /// How often a restore job or a queued ingest is asked for. Default 500 ms.
    pub poll_interval: Duration,
    /// How long to wait for a snapshot before it is asked for again. Default 1 h.
    pub snapshot_timeout: Duration,
}

impl Default for ApplierConfig {
    fn default() -> Self {
        Self {
            prefix: "ccr".to_owned(),
            owner: "applier".to_owned(),
            only_jobs: None,
            commit_interval: Duration::from_millis(200),
            drain_deadline: Duration::from_secs(15),
            status_interval: Duration::from_secs(1),
            visible_timeout: Duration::from_secs(60),
            poll_interval: Duration::from_millis(500),
            snapshot_timeout: Duration::from_secs(3600),
        }
    }
}

impl ApplierConfig {
    /// Whether this process runs the job.
    pub fn runs(&self, job: &str) -> bool {
        self.only_jobs
            .as_ref()
            .is_none_or(|only| only.contains(job))
    }
}
