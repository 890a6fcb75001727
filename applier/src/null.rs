//! A destination where every call succeeds after a given time: measures the applier alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ccr_doris::{
    Backend, BackendEndpoint, BackendMeta, BeginOutcome, BeginTxn, BinlogLag, BinlogPage,
    BinlogPosition, CommitOutcome, CommitTxn, DatabaseMeta, Error, Frontend, IndexMeta,
    IngestOutcome, IngestRequest, IngestState, PartitionMeta, ReplicaMeta, RestoreSnapshot,
    RollbackOutcome, Row, Snapshot, SqlSession, TableMeta, TabletMeta, TxnState,
};
use ccr_ops::{Clock, Secret};
use ccr_schemas::{
    BackendId, CommitSeq, IndexId, PartitionId, TableId, TabletId, TimestampMs, TxnId,
};

/// Ids kept for each table.
const TABLE_IDS: i64 = 1_000_000;

/// The destination: tables with one partition of an empty range and as many tablets as asked for.
pub struct NullDestination {
    clock: Arc<dyn Clock>,
    tables: BTreeMap<String, usize>,
    rpc: Duration,
    ingest: Duration,
    next_txn: AtomicI64,
    committed: AtomicU64,
    /// Visible versions, in the order of `tables`.
    versions: Vec<AtomicI64>,
}

impl NullDestination {
    /// With tables by name and number of tablets; every FE call takes `rpc`, every ingest `ingest`.
    pub fn new(
        clock: Arc<dyn Clock>,
        tables: BTreeMap<String, usize>,
        rpc: Duration,
        ingest: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            clock,
            versions: tables.iter().map(|_| AtomicI64::new(1)).collect(),
            tables,
            rpc,
            ingest,
            next_txn: AtomicI64::new(1),
            committed: AtomicU64::new(0),
        })
    }

    /// Transactions committed.
    pub fn committed(&self) -> u64 {
        self.committed.load(Ordering::Relaxed)
    }

    async fn wait(&self, time: Duration) {
        if !time.is_zero() {
            self.clock.sleep(time).await;
        }
    }

    /// Version of the n-th table, from 1.
    fn version(&self, n: i64) -> Option<&AtomicI64> {
        self.versions.get(usize::try_from(n - 1).ok()?)
    }

    fn table(&self, n: i64, name: &str, tablets: usize) -> TableMeta {
        let base = n * TABLE_IDS;
        let version = self.version(n).map_or(1, |v| v.load(Ordering::Relaxed));
        let tablets = (0..i64::try_from(tablets).unwrap_or(0)).map(|bucket| TabletMeta {
            id: TabletId(base + 10 + bucket),
            replicas: vec![ReplicaMeta {
                id: base + 10 + bucket,
                backend: BackendId(1),
                version: 1,
            }],
        });
        TableMeta {
            id: TableId(base + 1),
            name: name.to_owned(),
            kind: "OLAP".to_owned(),
            partitions: vec![PartitionMeta {
                id: PartitionId(base + 2),
                name: name.to_owned(),
                range: String::new(),
                visible_version: version,
                indexes: vec![IndexMeta {
                    id: IndexId(base + 3),
                    name: name.to_owned(),
                    tablets: tablets.collect(),
                }],
            }],
        }
    }
}

#[async_trait]
impl Frontend for NullDestination {
    async fn get_binlog(&self, at: &BinlogPosition, _: usize) -> Result<BinlogPage, Error> {
        let _ = at;
        Ok(BinlogPage::NoStream)
    }

    async fn get_binlog_lag(&self, _: &BinlogPosition) -> Result<Option<BinlogLag>, Error> {
        Ok(None)
    }

    async fn lock_binlog(&self, _: &BinlogPosition, _: &str) -> Result<Option<CommitSeq>, Error> {
        Ok(None)
    }

    async fn get_snapshot(&self, _: &str, _: &str) -> Result<Option<Snapshot>, Error> {
        Ok(None)
    }

    async fn restore_snapshot(&self, _: &RestoreSnapshot) -> Result<(), Error> {
        Ok(())
    }

    async fn begin_txn(&self, request: &BeginTxn) -> Result<BeginOutcome, Error> {
        self.wait(self.rpc).await;
        let ids = i64::try_from(request.sub_txns.max(1)).unwrap_or(1);
        let first = self.next_txn.fetch_add(ids, Ordering::Relaxed);
        Ok(BeginOutcome::Begun {
            txn: TxnId(first),
            sub_txns: match request.sub_txns {
                0 => Vec::new(),
                _ => (first..first + ids).map(TxnId).collect(),
            },
        })
    }

    async fn commit_txn(&self, request: &CommitTxn) -> Result<CommitOutcome, Error> {
        self.wait(self.rpc).await;
        let table = request
            .commits
            .first()
            .map(|commit| commit.tablet.0 / TABLE_IDS);
        if let Some(version) = table.and_then(|table| self.version(table)) {
            version.fetch_add(1, Ordering::Relaxed);
        }
        self.committed.fetch_add(1, Ordering::Relaxed);
        Ok(CommitOutcome::Committed)
    }

    async fn rollback_txn(&self, _: &str, _: TxnId, _: &str) -> Result<RollbackOutcome, Error> {
        self.wait(self.rpc).await;
        Ok(RollbackOutcome::Aborted)
    }

    async fn txn_state(&self, _: &str, _: TxnId) -> Result<TxnState, Error> {
        self.wait(self.rpc).await;
        Ok(TxnState::Visible)
    }

    async fn label_state(&self, _: &str, _: &str) -> Result<(TxnState, Option<TxnId>), Error> {
        self.wait(self.rpc).await;
        Ok((TxnState::Unknown, None))
    }

    async fn get_meta(
        &self,
        database: &str,
        tables: Option<&[TableId]>,
    ) -> Result<Option<DatabaseMeta>, Error> {
        self.wait(self.rpc).await;
        Ok(Some(DatabaseMeta {
            name: database.to_owned(),
            tables: self
                .tables
                .iter()
                .zip(1_i64..)
                .map(|((name, tablets), n)| self.table(n, name, *tablets))
                .filter(|table| tables.is_none_or(|only| only.contains(&table.id)))
                .collect(),
            ..DatabaseMeta::default()
        }))
    }

    async fn get_backends(&self) -> Result<Vec<BackendMeta>, Error> {
        Ok(vec![BackendMeta {
            id: BackendId(1),
            host: "null".to_owned(),
            be_port: 1,
            http_port: 1,
            alive: true,
        }])
    }

    async fn master_token(&self) -> Result<Secret, Error> {
        Ok(Secret::new(String::new()))
    }
}

#[async_trait]
impl Backend for NullDestination {
    async fn ingest(&self, _: &BackendEndpoint, _: &IngestRequest) -> Result<IngestOutcome, Error> {
        self.wait(self.ingest).await;
        Ok(IngestOutcome::Done)
    }

    async fn query_ingest(
        &self,
        _: &BackendEndpoint,
        _: &IngestRequest,
    ) -> Result<IngestState, Error> {
        Ok(IngestState::Done)
    }
}

#[async_trait]
impl SqlSession for NullDestination {
    async fn execute(&self, _: Option<&str>, _: &str) -> Result<(), Error> {
        self.wait(self.rpc).await;
        Ok(())
    }

    async fn query(&self, _: Option<&str>, _: &str) -> Result<Vec<Row>, Error> {
        self.wait(self.rpc).await;
        Ok(Vec::new())
    }
}

/// A transaction on one such table, for a benchmark's topic. `n` counts from 1.
pub fn transaction(n: i64, table: i64, name: &str, tablets: usize) -> ccr_schemas::Envelope {
    use ccr_schemas::event::{
        BackendAddress, IndexRowsets, PartitionRowsets, Presence, RowsetsCommitted, TableRef,
        TableRowsets, TabletReplicas,
    };
    let backend = BackendId(1);
    let tablets = (0..i64::try_from(tablets).unwrap_or(0)).map(|bucket| TabletReplicas {
        tablet_id: TabletId(table * 1000 + bucket),
        backends: vec![backend],
    });
    ccr_schemas::Envelope {
        schema_version: ccr_schemas::envelope::SCHEMA_VERSION,
        source: "null".to_owned(),
        db_id: ccr_schemas::DbId(1),
        db_name: "null".to_owned(),
        timeline: ccr_schemas::Timeline::FIRST,
        commit_seq: CommitSeq(n),
        prev_commit_seq: CommitSeq(n - 1),
        source_at: TimestampMs(0),
        seen_at: TimestampMs(0),
        binlog_type: 0,
        replay: ccr_schemas::Replay::Transaction,
        event: ccr_schemas::Event::RowsetsCommitted(RowsetsCommitted {
            txn_id: TxnId(n),
            label: format!("null_{n}"),
            sub_txns: Vec::new(),
            backends: vec![BackendAddress {
                id: backend,
                host: "null".to_owned(),
                http_port: 1,
            }],
            tables: vec![TableRowsets {
                table: TableRef {
                    id: TableId(table),
                    name: name.to_owned(),
                },
                partitions: vec![PartitionRowsets {
                    partition_id: PartitionId(table * 10),
                    name: name.to_owned(),
                    range: String::new(),
                    version: n + 1,
                    is_temp: false,
                    sub_txn: TxnId(-1),
                    presence: Presence::Present,
                    indexes: vec![IndexRowsets {
                        index_id: IndexId(table * 100),
                        name: name.to_owned(),
                        is_base: true,
                        tablets: tablets.collect(),
                    }],
                }],
            }],
        }),
        raw: None,
    }
}
