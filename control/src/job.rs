//! What a job is: one source database, one destination, and what is wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ccr_doris::ClusterAddress;
use ccr_doris::cluster::FrontendAddress;
use ccr_ops::Sealer;
use ccr_ops::secret::SealError;
use ccr_schemas::{CommitSeq, Incarnation};
use serde::{Deserialize, Serialize};

use crate::table_resync::TableResyncs;

/// A job definition, one record of the jobs topic, keyed by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    /// Unique among live jobs.
    pub name: String,
    /// Which life of the name.
    pub incarnation: Incarnation,
    /// Counts up with each change.
    pub version: u64,
    /// What is wanted.
    pub wanted: Wanted,
    /// Where events come from.
    pub source: SourceSpec,
    /// Where they are repeated.
    pub dest: DestSpec,
    /// Which tables.
    pub tables: TableFilter,
    /// Policies.
    pub options: JobOptions,
    /// When the definition was first made, milliseconds since the epoch.
    pub created_at_ms: i64,
    /// Set when this life of the job began on top of what the life before it had made.
    #[serde(default)]
    pub resync: Option<Resync>,
    /// Tables that are to be synced again by snapshots of their own.
    #[serde(default)]
    pub table_resyncs: TableResyncs,
}

/// A job was started again from a new snapshot: the destination's tables are its own and are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resync {
    /// When it was asked for, milliseconds since the epoch.
    pub at_ms: i64,
    /// No other job wrote to a database of the destination's name: what the source has no more may be removed there.
    pub alone: bool,
}

impl JobSpec {
    /// Tables that bear the names of the job's tables at the destination may be replaced.
    pub fn replaces_existing(&self) -> bool {
        self.resync.is_some() || self.options.allow_table_exists
    }

    /// True when the job follows a whole database under its own names.
    pub fn is_whole_database(&self) -> bool {
        self.tables == TableFilter::default() && self.dest.table_names.is_empty()
    }

    /// Returns whether the job may write to an object of a destination database, by the object's name there.
    pub fn writes_to(&self, database: &str, object: &str) -> bool {
        if self.dest.database != database {
            return false;
        }
        let names = &self.dest.table_names;
        let mut renamed = names.iter().filter(|(_, dest)| *dest == object);
        renamed.any(|(source, _)| self.tables.takes(source))
            || (!names.contains_key(object) && self.tables.takes(object))
    }

    /// The job's next life: it starts from a new snapshot, on top of what is there.
    pub(crate) fn begin_again(&mut self, now_ms: i64, alone: bool) {
        // Group and labels follow from the incarnation: it must differ even if the clock stood still or went back.
        let mut n = now_ms;
        while Incarnation(format!("{n:x}")) == self.incarnation {
            n += 1;
        }
        self.incarnation = Incarnation(format!("{n:x}"));
        self.table_resyncs.clear();
        self.resync = Some(Resync {
            at_ms: now_ms,
            alone,
        });
    }
}

/// What is wanted of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// Go on.
    Running,
    /// Stop after the current actions; the position is kept.
    Paused,
}

/// How a cluster is reached, as it stands in the log: the password is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterSpec {
    /// `(host, MySQL port, Thrift port)` of FEs.
    pub frontends: Vec<(String, u16, u16)>,
    /// Account.
    pub user: String,
    /// Password, sealed with the log key.
    pub sealed_password: String,
    /// Host as the cluster names it -> as reached from here and from destination BEs.
    #[serde(default)]
    pub host_mapping: BTreeMap<String, String>,
}

impl ClusterSpec {
    /// Returns the address of the cluster of this name (`c<cluster id>`, empty when it is not known), with the password opened.
    ///
    /// # Errors
    /// [`SealError::CannotOpen`] when the log key is another one.
    pub fn open(&self, name: &str, sealer: &Sealer) -> Result<ClusterAddress, SealError> {
        Ok(ClusterAddress {
            cluster_id: id_of(name),
            frontends: self
                .frontends
                .iter()
                .map(|(host, query_port, thrift_port)| FrontendAddress {
                    host: host.clone(),
                    query_port: *query_port,
                    thrift_port: *thrift_port,
                })
                .collect(),
            user: self.user.clone(),
            password: sealer.open(&self.sealed_password)?,
            host_mapping: self.host_mapping.clone(),
        })
    }
}

/// The numeric id in a cluster's name, if it is made of one.
fn id_of(name: &str) -> Option<String> {
    let id = name.strip_prefix('c')?;
    let is_id = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
    is_id.then(|| id.to_owned())
}

/// Source side of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSpec {
    /// Name of the source cluster in topic names: `c<cluster id>` unless given. Jobs with the same cluster share topics.
    pub cluster_name: String,
    /// How to reach it. Only producers use it.
    pub cluster: ClusterSpec,
    /// Database.
    pub database: String,
    /// Host mapping that the *destination's* BEs need to reach source BEs.
    #[serde(default)]
    pub host_mapping: BTreeMap<String, String>,
}

/// Destination side of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestSpec {
    /// How to reach it. Only appliers use it.
    pub cluster: ClusterSpec,
    /// Name of the destination cluster: `c<cluster id>`, as for a source. Empty when it is not known.
    #[serde(default)]
    pub cluster_name: String,
    /// Database; created when missing.
    pub database: String,
    /// Source table name -> destination table name; others keep their name.
    #[serde(default)]
    pub table_names: BTreeMap<String, String>,
}

/// Which tables of the source database a job follows.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TableFilter {
    /// Exactly these; empty means all.
    #[serde(default)]
    pub include: BTreeSet<String>,
    /// But not these.
    #[serde(default)]
    pub exclude: BTreeSet<String>,
}

impl TableFilter {
    /// True when the job follows the table.
    pub fn takes(&self, table: &str) -> bool {
        (self.include.is_empty() || self.include.contains(table)) && !self.exclude.contains(table)
    }
}

/// Policies of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobOptions {
    /// At a gap in the source's history.
    pub on_gap: Policy,
    /// At an event that is not supported: the table stops, or the event is skipped.
    pub on_unsupported: Policy,
    /// A table job may start on an existing table.
    pub allow_table_exists: bool,
    /// Transactions in flight at once, 1 to 256.
    pub transactions_in_flight: usize,
    /// Ingest calls in flight per destination BE, 1 to 1024.
    pub ingests_per_backend: usize,
    /// Life of an unfinished destination transaction.
    pub txn_timeout: Duration,
    /// Replicas of tables created at the destination; `None` keeps the source's number.
    pub replication_num: Option<u16>,
    /// Events to skip by position, decided by a person.
    pub skip: BTreeSet<CommitSeq>,
}

impl Default for JobOptions {
    fn default() -> Self {
        Self {
            on_gap: Policy::Halt,
            on_unsupported: Policy::Halt,
            allow_table_exists: false,
            transactions_in_flight: 16,
            ingests_per_backend: 48,
            txn_timeout: Duration::from_secs(3600),
            replication_num: None,
            skip: BTreeSet::new(),
        }
    }
}

/// What to do where the product must not guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Stop (the table, or the job) and say what a person can do.
    Halt,
    /// Leave the event out, counted and shown.
    Skip,
}
