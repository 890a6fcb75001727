//! A source cluster in memory: one database, a binlog that tests write, backups that finish at the third look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use ccr_doris::error::Refusal;
use ccr_doris::{
    BackendMeta, BeginOutcome, BeginTxn, BinlogLag, BinlogPage, BinlogPosition, CommitOutcome,
    CommitTxn, DatabaseMeta, Error, Frontend, IndexMeta, PartitionMeta, RawBinlog, ReplicaMeta,
    RestoreSnapshot, RollbackOutcome, Row, Snapshot, SqlSession, TableMeta, TabletMeta, TxnState,
};
use ccr_ops::Secret;
use ccr_schemas::{
    BackendId, CommitSeq, DbId, IndexId, PartitionId, TableId, TabletId, TimestampMs, TxnId,
};

pub const TABLE: i64 = 1000;

#[derive(Default)]
pub struct World {
    pub db_id: i64,
    pub records: BTreeMap<i64, RawBinlog>,
    pub forgotten: i64,
    pub has_stream: bool,
    pub tables: BTreeMap<i64, String>,
    pub down: bool,
    /// Every call is refused for this reason.
    pub refusal: Option<Refusal>,
    /// Binlog questions are not answered.
    pub silent: bool,
    /// Calls that end in a panic of the client.
    pub panics: u32,
    /// The definition of the database switches the binlog on.
    pub binlog_on: bool,
    /// Connections that broke.
    pub interruptions: u64,
    /// Host of the only backend.
    pub backend: String,
    /// The table's own stream has forgotten everything up to here.
    pub forgotten_by_table: i64,
    pub calls: BTreeMap<&'static str, u64>,
    pub backups: Vec<Backup>,
    pub busy: u32,
    /// A backup is refused with this text.
    pub backup_refusal: Option<&'static str>,
}

pub struct Backup {
    pub label: String,
    pub tables: BTreeSet<String>,
    pub at: i64,
    pub looks: u32,
}

#[derive(Clone)]
pub struct FakeSource(pub Arc<Mutex<World>>);

impl FakeSource {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(World {
            db_id: 1,
            forgotten: -1,
            has_stream: true,
            binlog_on: true,
            backend: "be7".to_owned(),
            forgotten_by_table: -1,
            tables: BTreeMap::from([(TABLE, "t".to_owned())]),
            ..World::default()
        })))
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// A transaction on the table becomes visible.
    pub fn write(&self, seq: i64) {
        self.load(seq, &format!("l{seq}"));
    }

    /// As `write`, with a label.
    pub fn load(&self, seq: i64, label: &str) {
        let data = format!(
            "{{\"txnId\":{seq},\"label\":\"{label}\",\"tableRecords\":{{\"{TABLE}\":{{\"partitionRecords\":[{{\
             \"partitionId\":{},\"range\":\"\",\"version\":{},\"isTempPartition\":false,\"stid\":-1}}],\"indexIds\":[{}]}}}}}}",
            TABLE + 1,
            seq + 1,
            TABLE + 2
        );
        self.add(seq, 0, &data);
    }

    /// Any record.
    pub fn add(&self, seq: i64, binlog_type: i32, data: &str) {
        let mut world = self.world();
        let record = RawBinlog {
            commit_seq: CommitSeq(seq),
            timestamp: TimestampMs(1_000_000 + seq),
            binlog_type,
            db_id: DbId(world.db_id),
            table_ids: vec![TableId(TABLE)],
            data: data.to_owned(),
        };
        world.records.insert(seq, record);
        world.has_stream = true;
    }

    pub fn rename(&self, seq: i64, new: &str) {
        let old = self.world().tables[&TABLE].clone();
        self.add(
            seq,
            14,
            &format!("{{\"tb\":{TABLE},\"nT\":\"{new}\",\"oT\":\"{old}\"}}"),
        );
        self.world().tables.insert(TABLE, new.to_owned());
    }

    /// The source is put back to what it was at a position.
    pub fn rewind(&self, seq: i64) {
        self.world().records.retain(|at, _| *at <= seq);
    }

    /// The source forgets everything up to a position.
    pub fn forget(&self, seq: i64) {
        let mut world = self.world();
        world.forgotten = seq;
        world.records.retain(|at, _| *at > seq);
    }

    pub fn calls(&self, call: &str) -> u64 {
        self.world().calls.get(call).copied().unwrap_or(0)
    }

    fn enter(&self, call: &'static str) -> Result<MutexGuard<'_, World>, Error> {
        let mut world = self.world();
        *world.calls.entry(call).or_default() += 1;
        if world.panics > 0 {
            world.panics -= 1;
            drop(world);
            panic!("the client broke");
        }
        if let Some(cause) = world.refusal {
            drop(world);
            return refused(call, cause);
        }
        if world.down {
            return Err(Error::Connection {
                call: call.to_owned(),
                address: "fake:9020".to_owned(),
                source: "connection refused".into(),
            });
        }
        Ok(world)
    }
}

fn refused<T>(call: &str, cause: Refusal) -> Result<T, Error> {
    Err(Error::Refused {
        call: call.to_owned(),
        address: "fake".to_owned(),
        code: 5064,
        cause,
        text: format!("{cause:?}"),
    })
}

fn no_such_call<T>() -> Result<T, Error> {
    refused("a call that a producer never makes", Refusal::UnknownMethod)
}

fn table(id: i64, name: &str) -> TableMeta {
    TableMeta {
        id: TableId(id),
        name: name.to_owned(),
        kind: "OLAP".to_owned(),
        partitions: vec![PartitionMeta {
            id: PartitionId(id + 1),
            name: name.to_owned(),
            range: String::new(),
            visible_version: 1,
            indexes: vec![IndexMeta {
                id: IndexId(id + 2),
                name: name.to_owned(),
                tablets: vec![TabletMeta {
                    id: TabletId(id + 3),
                    replicas: vec![ReplicaMeta {
                        id: 1,
                        backend: BackendId(7),
                        version: 1,
                    }],
                }],
            }],
        }],
    }
}

fn column(name: &str, value: &str) -> (String, Option<String>) {
    (name.to_owned(), Some(value.to_owned()))
}

#[async_trait]
impl Frontend for FakeSource {
    fn interruptions(&self) -> u64 {
        self.world().interruptions
    }

    async fn get_binlog(&self, at: &BinlogPosition, most: usize) -> Result<BinlogPage, Error> {
        while self.world().silent {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let world = self.enter("get_binlog")?;
        if at.table.is_some() && at.after.0 < world.forgotten_by_table {
            return Ok(BinlogPage::TooOld {
                forgotten: CommitSeq(world.forgotten_by_table),
            });
        }
        if !world.has_stream {
            return Ok(BinlogPage::NoStream);
        }
        if at.after.0 < world.forgotten {
            return Ok(BinlogPage::TooOld {
                forgotten: CommitSeq(world.forgotten),
            });
        }
        let page: Vec<RawBinlog> = world
            .records
            .range(at.after.0 + 1..)
            .take(most)
            .map(|(_, record)| record.clone())
            .collect();
        Ok(if page.is_empty() {
            BinlogPage::CaughtUp
        } else {
            BinlogPage::Records(page)
        })
    }

    async fn get_binlog_lag(&self, at: &BinlogPosition) -> Result<Option<BinlogLag>, Error> {
        let world = self.enter("get_binlog_lag")?;
        let last = world.records.last_key_value();
        Ok(world.has_stream.then(|| BinlogLag {
            lag: world.records.range(at.after.0 + 1..).count() as i64,
            first: Some(CommitSeq(world.forgotten)),
            last: Some(CommitSeq(last.map_or(world.forgotten, |(seq, _)| *seq))),
            next: None,
            first_at: None,
            last_at: last.map(|(_, record)| record.timestamp),
            next_at: None,
        }))
    }

    async fn lock_binlog(&self, at: &BinlogPosition, _: &str) -> Result<Option<CommitSeq>, Error> {
        drop(self.enter("lock_binlog")?);
        Ok(Some(at.after))
    }

    async fn get_snapshot(&self, _: &str, label: &str) -> Result<Option<Snapshot>, Error> {
        let world = self.enter("get_snapshot")?;
        let Some(backup) = world.backups.iter().find(|b| b.label == label) else {
            return Ok(None);
        };
        let ids: Vec<(&i64, &String)> = world
            .tables
            .iter()
            .filter(|(_, name)| backup.tables.contains(*name))
            .collect();
        let objects: Vec<String> = ids
            .iter()
            .map(|(id, name)| {
                format!("\"{name}\":{{\"id\":{id},\"partitions\":{{\"{name}\":{{}}}}}}")
            })
            .collect();
        let seqs: Vec<String> = ids
            .iter()
            .map(|(id, _)| format!("\"{id}\":{}", backup.at))
            .collect();
        Ok(Some(Snapshot {
            job_info: format!(
                "{{\"name\":\"{label}\",\"backup_objects\":{{{}}},\"new_backup_objects\":{{\"views\":[]}},\
                 \"tablet_be_map\":{{\"1003\":7}},\"table_commit_seq_map\":{{{}}}}}",
                objects.join(","),
                seqs.join(",")
            )
            .into_bytes(),
            meta: vec![42; 600_000],
            compressed: false,
            expires_at: Some(TimestampMs(i64::MAX / 2)),
            commit_seq: Some(CommitSeq(backup.at)),
        }))
    }

    async fn restore_snapshot(&self, _: &RestoreSnapshot) -> Result<(), Error> {
        no_such_call()
    }

    async fn begin_txn(&self, _: &BeginTxn) -> Result<BeginOutcome, Error> {
        no_such_call()
    }

    async fn commit_txn(&self, _: &CommitTxn) -> Result<CommitOutcome, Error> {
        no_such_call()
    }

    async fn rollback_txn(&self, _: &str, _: TxnId, _: &str) -> Result<RollbackOutcome, Error> {
        no_such_call()
    }

    async fn txn_state(&self, _: &str, _: TxnId) -> Result<TxnState, Error> {
        no_such_call()
    }

    async fn label_state(&self, _: &str, _: &str) -> Result<(TxnState, Option<TxnId>), Error> {
        no_such_call()
    }

    async fn get_meta(
        &self,
        database: &str,
        tables: Option<&[TableId]>,
    ) -> Result<Option<DatabaseMeta>, Error> {
        let world = self.enter("get_meta")?;
        Ok(Some(DatabaseMeta {
            id: Some(DbId(world.db_id)),
            name: database.to_owned(),
            tables: world
                .tables
                .iter()
                .filter(|(id, _)| tables.is_none_or(|wanted| wanted.contains(&TableId(**id))))
                .map(|(id, name)| table(*id, name))
                .collect(),
            ..DatabaseMeta::default()
        }))
    }

    async fn get_backends(&self) -> Result<Vec<BackendMeta>, Error> {
        let world = self.enter("get_backends")?;
        Ok(vec![BackendMeta {
            id: BackendId(7),
            host: world.backend.clone(),
            be_port: 9060,
            http_port: 8040,
            alive: true,
        }])
    }

    async fn master_token(&self) -> Result<Secret, Error> {
        drop(self.enter("master_token")?);
        Ok(Secret::new("the download token".to_owned()))
    }
}

#[async_trait]
impl SqlSession for FakeSource {
    async fn execute(&self, _: Option<&str>, sql: &str) -> Result<(), Error> {
        let mut world = self.enter("backup")?;
        assert!(sql.starts_with("BACKUP SNAPSHOT `db`.`ccrs_db_"), "{sql}");
        if world.busy > 0 {
            world.busy -= 1;
            return refused("BACKUP", Refusal::BackupBusy);
        }
        if let Some(text) = world.backup_refusal {
            return Err(Error::Refused {
                call: "BACKUP".to_owned(),
                address: "fe".to_owned(),
                code: 1105,
                cause: Refusal::Other,
                text: text.to_owned(),
            });
        }
        let label = sql.split('`').nth(3).unwrap().to_owned();
        let names: BTreeSet<String> = world.tables.values().cloned().collect();
        let tables = match sql.split_once("ON (") {
            Some((_, rest)) => rest
                .split_once(')')
                .unwrap()
                .0
                .split(", ")
                .map(|name| name.trim_matches('`').to_owned())
                .collect(),
            None => names.clone(),
        };
        if !tables.is_subset(&names) {
            return refused("BACKUP", Refusal::UnknownTable);
        }
        // A backup takes a number of the journal, as everything does.
        let at = world.records.last_key_value().map_or(0, |(seq, _)| *seq) + 1;
        world.backups.push(Backup {
            label,
            tables,
            at,
            looks: 0,
        });
        Ok(())
    }

    async fn query(&self, _: Option<&str>, sql: &str) -> Result<Vec<Row>, Error> {
        let mut world = self.enter("query")?;
        if sql.starts_with("SHOW CREATE DATABASE ") {
            let on = world.binlog_on;
            let text =
                format!("CREATE DATABASE `db`\nPROPERTIES (\n\"binlog.enable\" = \"{on}\"\n)");
            return Ok(vec![Row::from([column("Create Database", &text)])]);
        }
        if sql.starts_with("SHOW TABLES FROM ") {
            return Ok(world
                .tables
                .values()
                .map(|name| Row::from([column("Tables_in_db", name)]))
                .collect());
        }
        if sql.starts_with("SHOW PROC") {
            return refused("SHOW PROC", Refusal::AccessDenied);
        }
        assert!(sql.starts_with("SHOW BACKUP FROM `db` WHERE"), "{sql}");
        Ok(world
            .backups
            .iter_mut()
            .map(|backup| {
                backup.looks += 1;
                let state = if backup.looks > 2 {
                    "FINISHED"
                } else {
                    "SNAPSHOTING"
                };
                Row::from([
                    column("SnapshotName", &backup.label),
                    column("State", state),
                    column("Status", "[OK]"),
                ])
            })
            .collect())
    }
}
