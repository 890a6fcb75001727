//! Settings of a producer.

use std::time::Duration;

use serde::Deserialize;

use crate::error::Error;
use crate::plan::{AuditRule, PaceRule, Rules, SettleRule};

/// First part of every topic name.
pub const DEFAULT_PREFIX: &str = "ccr";
/// Well below what a person notices; a source answers an empty question from memory.
pub const DEFAULT_POLL_INTERVAL: Duration = Duration::from_millis(20);
/// An idle stream costs its source about one call a second.
pub const DEFAULT_IDLE_POLL_INTERVAL: Duration = Duration::from_secs(1);
/// A stream that was active within a minute answers as a busy one does, up to a tenth of a second.
pub const DEFAULT_IDLE_AFTER: Duration = Duration::from_secs(60);
/// Long enough to correct an address, or for a frontend to get its journal.
pub const DEFAULT_TIMELINE_CONFIRM: Duration = Duration::from_secs(30);
/// Far above the time between two journal writes of a source.
pub const DEFAULT_SETTLE: Duration = Duration::from_millis(100);
/// The settle time plus two seconds for slow journal writes.
pub const DEFAULT_CATCH_UP_MARGIN: Duration = Duration::from_millis(2100);
/// Longer than a source's pauses for garbage collection; each record is read once or twice more.
pub const DEFAULT_LOOK_BACK: Duration = Duration::from_secs(10);
/// Readers call a stream dead after some of these.
pub const DEFAULT_HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Most that a source gives.
pub const DEFAULT_BATCH: usize = 255;
/// Pages that may wait for settling.
pub const DEFAULT_WINDOW_PAGES: usize = 16;
/// Records of one append; large enough that the log's fsync is shared by many.
pub const DEFAULT_APPEND_RECORDS: usize = 2048;
/// Bytes of one append.
pub const DEFAULT_APPEND_BYTES: usize = 4 << 20;
/// A shared snapshot older than this costs a target more in events than a new backup costs the source.
pub const DEFAULT_SNAPSHOT_REUSE: Duration = Duration::from_secs(3600);
/// Half of the time for which a source keeps a backup.
pub const DEFAULT_SNAPSHOT_MARGIN: Duration = Duration::from_secs(2 * 3600);
/// A backup of a large database may take hours.
pub const DEFAULT_BACKUP_TIMEOUT: Duration = Duration::from_secs(12 * 3600);
/// Backups advance once in three seconds.
pub const DEFAULT_BACKUP_POLL: Duration = Duration::from_millis(500);
/// Requests that come together are answered together.
pub const DEFAULT_COALESCE: Duration = Duration::from_millis(200);
/// A week to repair a target before it needs a snapshot.
pub const DEFAULT_EVENTS_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);
/// Replicas move rarely; a target that meets a moved one tries the next.
pub const DEFAULT_LAYOUT_MAX_AGE: Duration = Duration::from_secs(30);
/// Backends die seldom.
pub const DEFAULT_BACKENDS_MAX_AGE: Duration = Duration::from_secs(10);
/// A halted stream looks again this often.
pub const DEFAULT_HALT_RETRY: Duration = Duration::from_secs(30);
/// Largest piece of a snapshot in one record.
pub const MAX_CHUNK_BYTES: usize = 512 * 1024;

/// Settings of a producer. [`ProducerConfig::validate`] names the field that cannot work.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProducerConfig {
    /// First part of every topic name. Default [`DEFAULT_PREFIX`]; letters, digits, `.`, `_` and `-`.
    pub prefix: String,
    /// Who this process is, in statuses: `host:pid`. Not empty.
    pub owner: String,
    /// Pause between two questions for new records while records come. Default [`DEFAULT_POLL_INTERVAL`], 1 ms to 50 ms. It
    /// grows to 100 ms within two seconds without a record.
    #[serde(deserialize_with = "ccr_ops::duration::deserialize")]
    pub poll_interval: Duration,
    /// Pause between two questions of a stream that was idle for `idle_after`; a database without a binlog stream is asked
    /// five times more rarely. Adds to the lag of the first event after an idle time. Default
    /// [`DEFAULT_IDLE_POLL_INTERVAL`], at least `poll_interval`, up to 60 s.
    #[serde(deserialize_with = "ccr_ops::duration::deserialize")]
    pub idle_poll_interval: Duration,
    /// Time without a record after which a stream is idle. Default [`DEFAULT_IDLE_AFTER`], up to 24 h.
    #[serde(deserialize_with = "ccr_ops::duration::deserialize")]
    pub idle_after: Duration,
    /// How long the source must contradict the log (a smaller newest position, another record at a published position)
    /// before a new timeline begins, at which all jobs of the stream halt until they are synced again. Nothing is published
    /// meanwhile. Default [`DEFAULT_TIMELINE_CONFIRM`], up to 24 h; zero begins one at once.
    #[serde(deserialize_with = "ccr_ops::duration::deserialize")]
    pub timeline_confirm: Duration,
    /// How long a record must have been visible before it is published, see [`crate::plan::settle`]. Adds to the lag.
    /// Default [`DEFAULT_SETTLE`], up to 10 s; zero trusts the source's order.
    #[serde(deserialize_with = "ccr_ops::duration::deserialize")]
    pub settle: Duration,
    /// A record dated this much before the newest known one is published without a second look. Default
    /// [`DEFAULT_CATCH_UP_MARGIN`]; at least `settle`.
    #[serde(deserialize_with = "ccr_ops::duration::deserialize")]
    pub catch_up_margin: Duration,
    /// Age at which published positions are looked at once more: a record that the source shows only now becomes a `Gap`
    /// event, and its jobs stop instead of missing it. Default [`DEFAULT_LOOK_BACK`], up to 10 min; zero trusts the source
    /// once the settle time is over.
    #[serde(deserialize_with = "ccr_ops::duration::deserialize")]
    pub look_back: Duration,
    /// Pause between heartbeats of an idle stream, and between looks at the source's newest position. Default
    /// [`DEFAULT_HEARTBEAT_INTERVAL`], 100 ms to 60 s.
    #[serde(deserialize_with = "ccr_ops::duration::deserialize")]
    pub heartbeat_interval: Duration,
    /// Records asked for at once. Default [`DEFAULT_BATCH`], 1 to 255.
    pub batch: usize,
    /// Pages of `batch` records that may wait for settling. Default [`DEFAULT_WINDOW_PAGES`], 1 to 1024.
    pub window_pages: usize,
    /// Records per append to the log. Default [`DEFAULT_APPEND_RECORDS`], 1 to 65536.
    pub append_records: usize,
    /// Bytes per append to the log, exceeded by at most one page. Default [`DEFAULT_APPEND_BYTES`], at least 1 KiB.
    pub append_bytes: usize,
    /// Oldest snapshot that is announced again instead of taking another. Default [`DEFAULT_SNAPSHOT_REUSE`]; zero always
    /// takes a new one.
    #[serde(deserialize_with = "ccr_ops::duration::deserialize")]
    pub snapshot_reuse: Duration,
    /// A snapshot that expires sooner than this is not announced again. Default [`DEFAULT_SNAPSHOT_MARGIN`].
    #[serde(deserialize_with = "ccr_ops::duration::deserialize")]
    pub snapshot_margin: Duration,
    /// Longest wait for one backup. Default [`DEFAULT_BACKUP_TIMEOUT`], at least 1 s.
    #[serde(deserialize_with = "ccr_ops::duration::deserialize")]
    pub backup_timeout: Duration,
    /// Pause between two looks at a running backup. Default [`DEFAULT_BACKUP_POLL`], 10 ms to 60 s.
    #[serde(deserialize_with = "ccr_ops::duration::deserialize")]
    pub backup_poll: Duration,
    /// How long the first snapshot request waits for others to share the backup. Default [`DEFAULT_COALESCE`], up to 60 s.
    #[serde(deserialize_with = "ccr_ops::duration::deserialize")]
    pub coalesce: Duration,
    /// Base address of a Schema Registry: events are framed in the Confluent wire format and the schema is registered for
    /// each events topic. Default `None`: Avro single objects, which need nothing.
    pub schema_registry: Option<String>,
    /// How long events, snapshots and requests are kept. Default [`DEFAULT_EVENTS_RETENTION`]; `None`: no limit.
    #[serde(deserialize_with = "ccr_ops::duration::or_never::deserialize")]
    pub events_retention: Option<Duration>,
    /// Oldest tablet layout of a table that is used. Default [`DEFAULT_LAYOUT_MAX_AGE`], at least 1 s.
    #[serde(deserialize_with = "ccr_ops::duration::deserialize")]
    pub layout_max_age: Duration,
    /// Oldest list of backends that is used. Default [`DEFAULT_BACKENDS_MAX_AGE`], at least 1 s.
    #[serde(deserialize_with = "ccr_ops::duration::deserialize")]
    pub backends_max_age: Duration,
    /// Pause between two acknowledgements (`lockBinlog`) of the published position to the source, at least 1 s. Default:
    /// `None`, never. An acknowledged position lets the source delete everything below it at once, *also the rowsets on its
    /// BEs that targets have not pulled yet*; so it is only for sources whose targets never lag, where another reader that
    /// acknowledges would otherwise have the stream cut above this one.
    #[serde(deserialize_with = "ccr_ops::duration::or_never::deserialize")]
    pub lock_interval: Option<Duration>,
    /// Pause before a halted stream looks at both sides again. Default [`DEFAULT_HALT_RETRY`], at least 100 ms.
    #[serde(deserialize_with = "ccr_ops::duration::deserialize")]
    pub halt_retry: Duration,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self::new("ccr-producer")
    }
}

impl ProducerConfig {
    /// Defaults, for a process of this name.
    pub fn new(owner: impl Into<String>) -> Self {
        Self {
            prefix: DEFAULT_PREFIX.to_owned(),
            owner: owner.into(),
            poll_interval: DEFAULT_POLL_INTERVAL,
            idle_poll_interval: DEFAULT_IDLE_POLL_INTERVAL,
            idle_after: DEFAULT_IDLE_AFTER,
            timeline_confirm: DEFAULT_TIMELINE_CONFIRM,
            settle: DEFAULT_SETTLE,
            catch_up_margin: DEFAULT_CATCH_UP_MARGIN,
            look_back: DEFAULT_LOOK_BACK,
            heartbeat_interval: DEFAULT_HEARTBEAT_INTERVAL,
            batch: DEFAULT_BATCH,
            window_pages: DEFAULT_WINDOW_PAGES,
            append_records: DEFAULT_APPEND_RECORDS,
            append_bytes: DEFAULT_APPEND_BYTES,
            snapshot_reuse: DEFAULT_SNAPSHOT_REUSE,
            snapshot_margin: DEFAULT_SNAPSHOT_MARGIN,
            backup_timeout: DEFAULT_BACKUP_TIMEOUT,
            backup_poll: DEFAULT_BACKUP_POLL,
            coalesce: DEFAULT_COALESCE,
            schema_registry: None,
            events_retention: Some(DEFAULT_EVENTS_RETENTION),
            layout_max_age: DEFAULT_LAYOUT_MAX_AGE,
            backends_max_age: DEFAULT_BACKENDS_MAX_AGE,
            lock_interval: None,
            halt_retry: DEFAULT_HALT_RETRY,
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Config`] with the first field that cannot work.
    pub fn validate(&self) -> Result<(), Error> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if self.prefix.is_empty() || !self.prefix.chars().all(plain) {
            return Err(problem(
                "prefix",
                "must be letters, digits, `.`, `_` or `-`, at least one".to_owned(),
            ));
        }
        if self.owner.is_empty() {
            return Err(problem("owner", "must not be empty".to_owned()));
        }
        let ms = Duration::from_millis;
        let day = Duration::from_secs(24 * 3600);
        let ever = Duration::MAX;
        within("poll_interval", self.poll_interval, ms(1), ms(50))?;
        within(
            "idle_poll_interval",
            self.idle_poll_interval,
            self.poll_interval,
            ms(60_000),
        )?;
        within("idle_after", self.idle_after, Duration::ZERO, day)?;
        within(
            "timeline_confirm",
            self.timeline_confirm,
            Duration::ZERO,
            day,
        )?;
        within("settle", self.settle, Duration::ZERO, ms(10_000))?;
        within("catch_up_margin", self.catch_up_margin, self.settle, day)?;
        within("look_back", self.look_back, Duration::ZERO, ms(600_000))?;
        within(
            "heartbeat_interval",
            self.heartbeat_interval,
            ms(100),
            ms(60_000),
        )?;
        between("batch", self.batch, 1, 255)?;
        between("window_pages", self.window_pages, 1, 1024)?;
        between("append_records", self.append_records, 1, 65_536)?;
        between("append_bytes", self.append_bytes, 1024, usize::MAX)?;
        within("backup_timeout", self.backup_timeout, ms(1000), ever)?;
        within("backup_poll", self.backup_poll, ms(10), ms(60_000))?;
        within("coalesce", self.coalesce, Duration::ZERO, ms(60_000))?;
        within("layout_max_age", self.layout_max_age, ms(1000), ever)?;
        within("backends_max_age", self.backends_max_age, ms(1000), ever)?;
        within("halt_retry", self.halt_retry, ms(100), ever)?;
        if let Some(url) = &self.schema_registry
            && !(url.starts_with("http://") || url.starts_with("https://"))
        {
            return Err(problem(
                "schema_registry",
                format!("{url} is no http:// or https:// address"),
            ));
        }
        if let Some(interval) = self.lock_interval {
            within("lock_interval", interval, ms(1000), ever)?;
        }
        Ok(())
    }

    /// The numbers of the planner.
    pub(crate) fn rules(&self) -> Rules {
        Rules {
            settle: SettleRule {
                settle: self.settle,
                catch_up_margin: self.catch_up_margin,
            },
            audit: AuditRule {
                look_back: self.look_back,
            },
            pace: PaceRule {
                busy: self.poll_interval,
                idle: self.idle_poll_interval,
                idle_after: self.idle_after,
            },
            confirm: self.timeline_confirm,
            end_interval: self.heartbeat_interval,
            batch: self.batch,
            window: self.batch * self.window_pages,
        }
    }
}

fn within(
    field: &'static str,
    value: Duration,
    low: Duration,
    high: Duration,
) -> Result<(), Error> {
    if value < low {
        return Err(problem(field, format!("{value:?} is below {low:?}")));
    }
    if value > high {
        return Err(problem(field, format!("{value:?} is above {high:?}")));
    }
    Ok(())
}

fn between(field: &'static str, value: usize, low: usize, high: usize) -> Result<(), Error> {
    if value < low {
        return Err(problem(field, format!("{value} is below {low}")));
    }
    if value > high {
        return Err(problem(field, format!("{value} is above {high}")));
    }
    Ok(())
}

fn problem(field: &'static str, problem: String) -> Error {
    Error::Config { field, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_a_bad_field_is_named() {
        let good = ProducerConfig::new("here:1");
        good.validate().unwrap();
        let bad = |edit: fn(&mut ProducerConfig)| {
            let mut config = ProducerConfig::new("here:1");
            edit(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert!(bad(|c| c.batch = 256).contains("setting batch: 256 is above 255"));
        assert!(bad(|c| c.poll_interval = Duration::from_millis(51)).contains("poll_interval"));
        assert!(bad(|c| c.catch_up_margin = Duration::ZERO).contains("catch_up_margin"));
        assert!(bad(|c| c.prefix = "a b".to_owned()).contains("prefix"));
        assert!(bad(|c| c.owner.clear()).contains("owner"));
    }
}
