//! One cluster: frontends, backends, databases, and what happens in it by itself.

use std::collections::BTreeMap;

use ccr_doris::RawBinlog;
use ccr_doris::error::Refusal;
use ccr_schemas::{CommitSeq, DbId, TableId, TimestampMs};

use super::catalog::{Replica, Tablet};
use super::database::Database;
use super::jobs::AlterJob;
use super::storage::Storage;
use super::txn::Txn;
use crate::rng::Rng;

/// A refusal of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Meaning.
    pub cause: Refusal,
    /// Text.
    pub text: String,
}

impl Refused {
    /// With a text.
    pub fn new(cause: Refusal, text: impl Into<String>) -> Self {
        Self {
            cause,
            text: text.into(),
        }
    }

    /// No such table.
    pub fn no_table(name: &str) -> Self {
        Self::new(Refusal::UnknownTable, format!("Unknown table '{name}'"))
    }

    /// A refusal without a meaning of its own.
    pub fn other(text: impl Into<String>) -> Self {
        Self::new(Refusal::Other, text)
    }
}

/// How a cluster behaves where genuine ones differ.
#[derive(Clone, Debug)]
pub struct Policy {
    /// From commit to visible, shortest and longest.
    pub publish_ms: (i64, i64),
    /// From a record's journal write to the moment when readers see it, longest.
    pub late_ms: i64,
    /// How many records of a thousand are late at all.
    pub late_permille: u64,
    /// Pause between two steps of a backup or restore job.
    pub tick_ms: i64,
    /// Pause between two steps of an alter job, shortest and longest.
    pub alter_ms: (i64, i64),
    /// Rowsets go as soon as their table, partition or index is dropped, also without FORCE.
    pub drops_rowsets_at_once: bool,
    /// How long the recycle bin keeps what was dropped.
    pub bin_ms: i64,
    /// A table with temporary partitions can not be backed up.
    pub refuses_temp_backup: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            publish_ms: (0, 10),
            late_ms: 0,
            late_permille: 0,
            tick_ms: 100,
            alter_ms: (50, 600),
            drops_rowsets_at_once: false,
            bin_ms: 3_600_000,
            refuses_temp_backup: true,
        }
    }
}

/// A backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendNode {
    /// Id.
    pub id: i64,
    /// Host.
    pub host: String,
    /// Thrift port.
    pub be_port: u16,
    /// HTTP port.
    pub http_port: u16,
    /// It answers.
    pub alive: bool,
}

/// What happens by itself at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// A transaction becomes visible.
    Publish(i64),
    /// An alter job takes a step.
    Alter(i64),
    /// An index build ends: database, table, partition, index.
    IndexBuilt(String, i64, i64, String),
    /// A backup job takes a step.
    Backup(String, i64),
    /// A restore job takes a step.
    Restore(String, i64),
    /// The recycle bin of a database is emptied of what is too old.
    Erase(String),
}

/// One cluster.
#[derive(Debug)]
pub struct Cluster {
    /// Name, which is also the host of its frontend.
    pub name: String,
    /// Download token.
    pub token: String,
    /// Databases by name.
    pub databases: BTreeMap<String, Database>,
    /// Backends by id.
    pub backends: BTreeMap<i64, BackendNode>,
    /// Transactions by id.
    pub txns: BTreeMap<i64, Txn>,
    /// Running alter jobs.
    pub alters: BTreeMap<i64, AlterJob>,
    /// What backends keep for others.
    pub storage: Storage,
    /// How it behaves.
    pub policy: Policy,
    /// No frontend is master until this moment.
    pub no_master_until: i64,
    /// What must not happen and did.
    pub violations: Vec<String>,
    pub(super) rng: Rng,
    next_id: i64,
    seq: i64,
    due: BTreeMap<(i64, u64), Due>,
    due_count: u64,
    reached: Vec<&'static str>,
}

impl Cluster {
    /// A cluster with so many backends. Ids of clusters lie far apart, so that one never passes for another's.
    pub fn new(name: &str, number: i64, backends: usize, seed: u64) -> Self {
        let mut cluster = Self {
            name: name.to_owned(),
            token: format!("token of {name}"),
            databases: BTreeMap::new(),
            backends: BTreeMap::new(),
            txns: BTreeMap::new(),
            alters: BTreeMap::new(),
            storage: Storage::default(),
            policy: Policy::default(),
            no_master_until: 0,
            violations: Vec::new(),
            rng: Rng::new(seed, name),
            next_id: number * 1_000_000 + 1000,
            seq: number * 1000,
            due: BTreeMap::new(),
            due_count: 0,
            reached: Vec::new(),
        };
        for n in 1..=backends {
            let id = cluster.new_id();
            let node = BackendNode {
                id,
                host: format!("{name}-be{n}"),
                be_port: 9060,
                http_port: 8040,
                alive: true,
            };
            cluster.backends.insert(id, node);
        }
        cluster
    }

    /// A new id.
    pub fn new_id(&mut self) -> i64 {
        self.next_id += 1;
        self.next_id
    }

    /// Takes a journal number; other writers of the journal take some too.
    pub(super) fn journal(&mut self) -> i64 {
        self.seq += 1 + self.rng.within(0, 2);
        self.seq
    }

    pub(super) fn reach(&mut self, point: &'static str) {
        self.reached.push(point);
    }

    /// What was reached since the last call.
    pub fn take_reached(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.reached)
    }

    /// A database.
    pub fn database(&self, name: &str) -> Result<&Database, Refused> {
        self.databases
            .get(name)
            .ok_or_else(|| unknown_database(name))
    }

    /// A database.
    pub fn database_mut(&mut self, name: &str) -> Result<&mut Database, Refused> {
        self.databases
            .get_mut(name)
            .ok_or_else(|| unknown_database(name))
    }

    pub(super) fn database_id(&self, name: &str) -> i64 {
        self.databases.get(name).map_or(-1, |database| database.id)
    }

    /// Creates a database, unless it exists.
    pub fn create_database(&mut self, name: &str, binlog: bool) {
        let id = self.new_id();
        self.databases
            .entry(name.to_owned())
            .or_insert_with(|| Database::new(id, name, binlog));
    }

    pub(super) fn due_at(&mut self, at: i64, what: Due) {
        self.due_count += 1;
        self.due.insert((at, self.due_count), what);
    }

    /// Everything that happens by itself up to a moment. `peers` are the other clusters.
    pub fn advance(&mut self, now: i64, peers: &BTreeMap<String, Cluster>) {
        while let Some(entry) = self.due.first_entry() {
            let (at, _) = *entry.key();
            if at > now {
                return;
            }
            match entry.remove() {
                Due::Publish(txn) => self.publish(txn, at),
                Due::Alter(job) => self.step_alter(job, at),
                Due::IndexBuilt(database, table, partition, index) => {
                    self.index_built(&database, table, partition, &index, at);
                }
                Due::Backup(database, job) => self.step_backup(&database, job, at),
                Due::Restore(database, job) => self.step_restore(&database, job, at, peers),
                Due::Erase(database) => self.erase(&database, at),
            }
        }
    }

    /// The moment of the next thing that happens by itself.
    pub fn next_due(&self) -> Option<i64> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Adds a record to the stream of a database, if it has one.
    pub(super) fn emit(
        &mut self,
        database: &str,
        kind: i32,
        tables: Vec<i64>,
        data: &str,
        now: i64,
    ) {
        let seq = self.journal();
        self.emit_at(database, seq, kind, tables, data, now);
    }

    pub(super) fn emit_at(
        &mut self,
        database: &str,
        seq: i64,
        kind: i32,
        tables: Vec<i64>,
        data: &str,
        now: i64,
    ) {
        let late = if self.rng.permille(self.policy.late_permille) {
            self.rng.within(0, self.policy.late_ms)
        } else {
            0
        };
        if late > 0 {
            self.reach("a record is visible late");
        }
        let Some(database) = self.databases.get_mut(database) else {
            return;
        };
        if !database.binlog {
            return;
        }
        let record = RawBinlog {
            commit_seq: CommitSeq(seq),
            timestamp: TimestampMs(now),
            binlog_type: kind,
            db_id: DbId(database.id),
            table_ids: tables.into_iter().map(TableId).collect(),
            data: data.to_owned(),
        };
        database.stream.add(record, now + late);
    }

    /// Empty tablets on living backends.
    pub(super) fn make_tablets(
        &mut self,
        buckets: usize,
        replicas: usize,
        version: i64,
    ) -> Vec<Tablet> {
        let alive: Vec<i64> = self
            .backends
            .values()
            .filter(|node| node.alive)
            .map(|node| node.id)
            .collect();
        let alive = if alive.is_empty() {
            self.backends.keys().copied().collect()
        } else {
            alive
        };
        let mut tablets = Vec::with_capacity(buckets);
        for bucket in 0..buckets {
            let id = self.new_id();
            let replicas = (0..replicas.min(alive.len()).max(1))
                .map(|n| Replica {
                    id: self.new_id(),
                    backend: alive[(bucket + n) % alive.len()],
                    version,
                })
                .collect();
            tablets.push(Tablet {
                id,
                replicas,
                rowsets: Vec::new(),
            });
        }
        tablets
    }

    /// Number of backends that answer.
    pub fn alive_backends(&self) -> usize {
        self.backends.values().filter(|node| node.alive).count()
    }

    /// A backend by the address under which others reach it.
    pub fn backend_at(&self, host: &str, http_port: u16) -> Option<&BackendNode> {
        self.backends
            .values()
            .find(|node| node.host == host && node.http_port == http_port)
    }

    /// Replicas that missed a commit catch up from the others.
    pub fn repair_replicas(&mut self) {
        let alive: Vec<i64> = self
            .backends
            .values()
            .filter(|node| node.alive)
            .map(|node| node.id)
            .collect();
        let mut kept = Vec::new();
        for table in self
            .databases
            .values_mut()
            .flat_map(|d| d.tables.values_mut())
        {
            for partition in table.partitions.values_mut() {
                let visible = partition.visible;
                for tablet in partition.tablets.values_mut().flatten() {
                    for replica in &mut tablet.replicas {
                        if replica.version < visible && alive.contains(&replica.backend) {
                            for version in replica.version + 1..=visible {
                                kept.push((tablet.id, version, replica.backend));
                            }
                            replica.version = visible;
                        }
                    }
                }
            }
        }
        for (tablet, version, backend) in kept {
            self.storage.copy(tablet, version, backend);
        }
    }

    /// The source's garbage collection: records up to a position go, and the rowsets that they name.
    pub fn collect_binlog(&mut self, database: &str, upto: i64) {
        let Some(found) = self.databases.get_mut(database) else {
            return;
        };
        for record in found.stream.forget(upto) {
            if record.binlog_type != 0 {
                continue;
            }
            let named: Vec<(i64, i64)> = super::records::versions_of(&record.data);
            for (partition, version) in named {
                let tablets: Vec<i64> = found
                    .tables
                    .values()
                    .filter_map(|table| table.partitions.get(&partition))
                    .flat_map(|partition| partition.all_tablets().map(|tablet| tablet.id))
                    .collect();
                for tablet in tablets {
                    self.storage.collect(tablet, version);
                }
            }
        }
    }
}

fn unknown_database(name: &str) -> Refused {
    Refused::new(
        Refusal::UnknownDatabase,
        format!("unknown database, database={name}"),
    )
}
