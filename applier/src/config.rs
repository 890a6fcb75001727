//! Settings of an applier process.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;

use crate::error::Error;
use crate::plan::slot::LAYOUT_MAX_AGE_MS;

/// Settings of an applier process. [`ApplierConfig::validate`] names the field that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApplierConfig {
    /// Prefix of all topics. Default `ccr`.
    pub prefix: String,
    /// Who this process is, for statuses: host and process id, for instance.
    pub owner: String,
    /// Only these jobs; `None` runs all.
    pub only_jobs: Option<BTreeSet<String>>,
    /// How often the position is made durable. Default 200 ms, 10 ms to 10 s. Longer means more to judge after a crash,
    /// never a loss.
    #[serde(deserialize_with = "ccr_ops::duration::deserialize")]
    pub commit_interval: Duration,
    /// How long a stop waits for what is in flight. Default 15 s, up to 25 s. What is cut off is judged at the next
    /// start.
    #[serde(deserialize_with = "ccr_ops::duration::deserialize")]
    pub drain_deadline: Duration,
    /// How often the status is reported. Default 1 s, 100 ms to 5 s: a job without a report for 10 s counts as without an applier.
    #[serde(deserialize_with = "ccr_ops::duration::deserialize")]
    pub status_interval: Duration,
    /// How long a change waits for committed transactions to become visible before it asks again. Default 60 s, at least 1 s.
    #[serde(deserialize_with = "ccr_ops::duration::deserialize")]
    pub visible_timeout: Duration,
    /// How often a restore job or a queued ingest is asked for. Default 500 ms, 10 ms to 60 s.
    #[serde(deserialize_with = "ccr_ops::duration::deserialize")]
    pub poll_interval: Duration,
    /// How long to wait for a snapshot before it is asked for again. Default 1 h, at least 1 min.
    #[serde(deserialize_with = "ccr_ops::duration::deserialize")]
    pub snapshot_timeout: Duration,
    /// Age at which the layout of a destination table is read again while a load of the table is under way. Default 10 s, at
    /// least 100 ms. A table that was put back to an older state behind the job's back is noticed within this time.
    #[serde(deserialize_with = "ccr_ops::duration::deserialize")]
    pub layout_max_age: Duration,
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
            layout_max_age: Duration::from_millis(LAYOUT_MAX_AGE_MS.unsigned_abs()),
        }
    }
}

impl ApplierConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Config`] with the first field that cannot work.
    pub fn validate(&self) -> Result<(), Error> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if self.prefix.is_empty() || !self.prefix.chars().all(plain) {
            return Err(Error::Config(
                "setting prefix: must be letters, digits, `.`, `_` or `-`, at least one".to_owned(),
            ));
        }
        if self.owner.is_empty() {
            return Err(Error::Config("setting owner: must not be empty".to_owned()));
        }
        let ms = Duration::from_millis;
        let ever = Duration::MAX;
        for (field, value, low, high) in [
            ("commit_interval", self.commit_interval, ms(10), ms(10_000)),
            ("drain_deadline", self.drain_deadline, ms(0), ms(25_000)),
            ("status_interval", self.status_interval, ms(100), ms(5000)),
            ("visible_timeout", self.visible_timeout, ms(1000), ever),
            ("poll_interval", self.poll_interval, ms(10), ms(60_000)),
            ("snapshot_timeout", self.snapshot_timeout, ms(60_000), ever),
            ("layout_max_age", self.layout_max_age, ms(100), ever),
        ] {
            let wrong = if value < low {
                format!("{value:?} is below {low:?}")
            } else if value > high {
                format!("{value:?} is above {high:?}")
            } else {
                continue;
            };
            return Err(Error::Config(format!("setting {field}: {wrong}")));
        }
        Ok(())
    }

    /// Whether this process runs the job.
    pub fn runs(&self, job: &str) -> bool {
        self.only_jobs
            .as_ref()
            .is_none_or(|only| only.contains(job))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_a_bad_field_is_named() {
        ApplierConfig::default().validate().unwrap();
        let bad = |edit: fn(&mut ApplierConfig)| {
            let mut config = ApplierConfig::default();
            edit(&mut config);
            config.validate().unwrap_err().to_string()
        };
        let text = bad(|c| c.commit_interval = Duration::from_millis(5));
        assert!(
            text.contains("setting commit_interval: 5ms is below 10ms"),
            "{text}"
        );
        assert!(bad(|c| c.drain_deadline = Duration::from_secs(26)).contains("drain_deadline"));
        assert!(bad(|c| c.status_interval = Duration::from_secs(6)).contains("status_interval"));
        assert!(bad(|c| c.prefix = "a b".to_owned()).contains("prefix"));
    }
}
