//! What does not work, since when, and what a person can do: the common form of statuses, `job_status` and `/ready`.

use ccr_doris::error::Refusal;
use ccr_ops::task::Chain;
use serde::{Deserialize, Serialize};

/// Something that does not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Which part of the way from source to destination.
    pub part: ProblemPart,
    /// What kind of problem.
    pub kind: ProblemKind,
    /// What does not work: names the object and carries the server's own text, in full. Never holds secrets.
    pub what: String,
    /// Since when, milliseconds since the epoch; `None` when whoever reports it does not know.
    pub since_ms: Option<i64>,
    /// What a person can do, and whether work continues by itself afterwards.
    pub next_step: String,
}

/// The part of the way from source to destination that does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemPart {
    /// The source cluster, as the producer sees it.
    Source,
    /// A snapshot of the source.
    Snapshot,
    /// The event log.
    Log,
    /// The destination cluster, as the applier sees it.
    Destination,
    /// One table of a job.
    Table,
    /// The job as a whole.
    Job,
    /// The producer process that should run the stream.
    Producer,
    /// The applier process that should run the job.
    Applier,
}

/// Kind of a problem, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// No server answers.
    Unreachable,
    /// The account, its password or its rights are refused.
    LoginRefused,
    /// The database does not exist (any more): dropped or renamed.
    DatabaseMissing,
    /// The binlog is off for the database or the cluster, or was never on.
    BinlogOff,
    /// Positions that were seen before are gone or have other content: a restore of an older state.
    WentBack,
    /// No space is left.
    Full,
    /// Stored bytes do not check out.
    Damaged,
    /// Settings, keys or rights that a person must change.
    Configuration,
    /// Work stopped until a person acts.
    Halted,
    /// Nobody reports: no process works on it, or its reports do not arrive.
    NotReported,
    /// Anything else that failed and is tried again.
    #[serde(other)]
    Failing,
}

impl Problem {
    /// What an error of a cluster means. `part` is [`ProblemPart::Source`], [`ProblemPart::Snapshot`] or
    /// [`ProblemPart::Destination`].
    pub fn of_cluster(part: ProblemPart, error: &ccr_doris::Error, now_ms: i64) -> Self {
        let kind = match error {
            ccr_doris::Error::Connection { .. }
            | ccr_doris::Error::Timeout { .. }
            | ccr_doris::Error::NoMaster { .. } => ProblemKind::Unreachable,
            ccr_doris::Error::Protocol { .. } => ProblemKind::Failing,
            ccr_doris::Error::Refused { cause, .. } => match cause {
                Refusal::AccessDenied => ProblemKind::LoginRefused,
                Refusal::UnknownDatabase => ProblemKind::DatabaseMissing,
                Refusal::FeatureOff => ProblemKind::BinlogOff,
                Refusal::NoSpace => ProblemKind::Full,
                Refusal::UnknownTable
                | Refusal::UnknownPartition
                | Refusal::UnknownColumn
                | Refusal::AlreadyExists
                | Refusal::BackupBusy
                | Refusal::TableBusy
                | Refusal::TooManyRequests
                | Refusal::LockTimeout
                | Refusal::UnknownMethod
                | Refusal::TooFewBackends
                | Refusal::BackendAway
                | Refusal::SnapshotRefused
                | Refusal::Other => ProblemKind::Failing,
            },
        };
        Self::new(part, kind, Chain(error).to_string(), now_ms)
    }

    /// What an error of the log means.
    pub fn of_log(error: &ccr_log::Error, now_ms: i64) -> Self {
        let kind = match error {
            ccr_log::Error::Unavailable { .. } | ccr_log::Error::Timeout { .. } => {
                ProblemKind::Unreachable
            }
            ccr_log::Error::DiskFull { .. } => ProblemKind::Full,
            ccr_log::Error::Corrupt(_) => ProblemKind::Damaged,
            ccr_log::Error::LostOwnership(_) => ProblemKind::Halted,
            ccr_log::Error::Refused { .. }
            | ccr_log::Error::Config(_)
            | ccr_log::Error::TopicMismatch { .. } => ProblemKind::Configuration,
            ccr_log::Error::UnknownTopic(_)
            | ccr_log::Error::OffsetGone { .. }
            | ccr_log::Error::RecordTooLarge { .. }
            | ccr_log::Error::MetadataTooLarge(_)
            | ccr_log::Error::Fenced { .. } => ProblemKind::Failing,
        };
        Self::new(ProblemPart::Log, kind, Chain(error).to_string(), now_ms)
    }

    /// A problem with the usual next step of its part and kind.
    pub fn new(
        part: ProblemPart,
        kind: ProblemKind,
        what: impl Into<String>,
        since_ms: i64,
    ) -> Self {
        Self {
            part,
            kind,
            what: what.into(),
            since_ms: Some(since_ms),
            next_step: next_step(part, kind).to_owned(),
        }
    }

    /// The same problem with another next step.
    #[must_use]
    pub fn advise(mut self, next_step: impl Into<String>) -> Self {
        self.next_step = next_step.into();
        self
    }

    /// Keeps the start of an earlier problem of the same part and kind: it is the same problem that goes on.
    #[must_use]
    pub fn continuing(mut self, earlier: Option<&Self>) -> Self {
        if let Some(earlier) = earlier
            && (earlier.part, earlier.kind) == (self.part, self.kind)
        {
            self.since_ms = match (earlier.since_ms, self.since_ms) {
                (Some(before), Some(now)) => Some(before.min(now)),
                (before, now) => before.or(now),
            };
        }
        self
    }
}

/// What a person can do, by part and kind; whoever knows better uses [`Problem::advise`].
fn next_step(part: ProblemPart, kind: ProblemKind) -> &'static str {
    let in_log = part == ProblemPart::Log;
    match kind {
        ProblemKind::Unreachable if in_log => {
            "check that the log (Kafka, or the disk of the data folder) works; work continues by itself"
        }
        ProblemKind::Unreachable => {
            "check that a frontend of the cluster runs and that its MySQL and Thrift ports can be reached from this host; \
             work continues by itself"
        }
        ProblemKind::LoginRefused => {
            "restore the account, its password and its rights at the cluster (work continues by itself), or delete the job \
             and create it again with another account"
        }
        ProblemKind::DatabaseMissing => {
            "restore the database or rename it back (work continues by itself), or delete the job"
        }
        ProblemKind::BinlogOff => {
            "set enable_feature_binlog = true in fe.conf and be.conf and \
             ALTER DATABASE `db` SET PROPERTIES (\"binlog.enable\" = \"true\"), then run `ccr job resync`"
        }
        ProblemKind::Full if in_log => "free space where the log is kept; work continues by itself",
        ProblemKind::Full => "free space at the cluster; work continues by itself",
        ProblemKind::Damaged if in_log => {
            "run `ccr job resync` for the jobs of the topic or group that is named; if none is named, or that fails as well, start \
             with an empty data folder and create the jobs again"
        }
        ProblemKind::Damaged | ProblemKind::WentBack => "run `ccr job resync` for the job",
        ProblemKind::Configuration => {
            "correct the setting that is named and start the process again"
        }
        ProblemKind::Halted => "follow the advice in the text",
        ProblemKind::NotReported if part == ProblemPart::Applier => {
            "start an applier (`ccr-applier`, or `ccr standalone` with the role `applier`) on this log"
        }
        ProblemKind::NotReported => {
            "start a producer (`ccr-producer`, or `ccr standalone` with the role `producer`) on this log"
        }
        ProblemKind::Failing => "it is retried; read the log of the process that is named as owner",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_that_goes_on_keeps_its_start() {
        let first = Problem::new(ProblemPart::Source, ProblemKind::Unreachable, "fe1", 10);
        let again = Problem::new(ProblemPart::Source, ProblemKind::Unreachable, "fe2", 20)
            .continuing(Some(&first));
        assert_eq!((again.since_ms, again.what.as_str()), (Some(10), "fe2"));
        let other = Problem::new(ProblemPart::Source, ProblemKind::LoginRefused, "denied", 30)
            .continuing(Some(&again));
        assert_eq!(other.since_ms, Some(30));
    }

    #[test]
    fn a_kind_of_a_later_version_is_read() {
        let kind: ProblemKind = serde_json::from_str("\"unheard_of\"").unwrap();
        assert_eq!(kind, ProblemKind::Failing);
    }
}
