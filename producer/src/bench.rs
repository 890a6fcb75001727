//! A source without latency, for measuring the producer alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ccr_doris::{
    BackendMeta, BeginOutcome, BeginTxn, BinlogLag, BinlogPage, BinlogPosition, CommitOutcome,
    CommitTxn, DatabaseMeta, Error, Frontend, IndexMeta, PartitionMeta, RawBinlog, ReplicaMeta,
    RestoreSnapshot, RollbackOutcome, Row, Snapshot, SqlSession, TableMeta, TabletMeta, TxnState,
};
use ccr_log::{NewRecord, Offset, SharedLog};
use ccr_ops::{Clock, Sealer, Secret};
use ccr_schemas::codec::Codec;
use ccr_schemas::envelope::SCHEMA_VERSION;
use ccr_schemas::event::Heartbeat;
use ccr_schemas::topic::event_key;
use ccr_schemas::{
    BackendId, CommitSeq, DbId, Envelope, Event, IndexId, PartitionId, Replay, TableId, TabletId,
    TimestampMs, TxnId,
};

use crate::config::ProducerConfig;
use crate::context::{Context, StreamKey, Topics};
use crate::report::Report;
use crate::snapshot::Desk;
use crate::source::Source;
use crate::stream::run_once;

/// Distance between two positions: a real source's have holes.
const STEP: i64 = 3;
/// Date of the first record; all are long ago, so that nothing waits for settling.
const FIRST_AT_MS: i64 = 1_700_000_000_000;

/// What the null source has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NullSource {
    /// Transactions in its binlog.
    pub transactions: u64,
    /// Tables, written in turn; at least 1.
    pub tables: u64,
    /// Tablets per table, with three replicas each.
    pub tablets: u64,
}

/// Calls answered, for counting.
#[derive(Debug, Default)]
pub struct Calls {
    /// getBinlog.
    pub get_binlog: AtomicU64,
    /// getMeta.
    pub get_meta: AtomicU64,
}

/// A source whose binlog holds `what`, answered from memory at once.
pub fn null_source(what: NullSource) -> (Arc<dyn Source>, Arc<Calls>) {
    let calls = Arc::new(Calls::default());
    let source = NullCluster {
        what,
        calls: calls.clone(),
    };
    (Arc::new(source), calls)
}

/// Position of the last transaction. A stream that begins with an empty log begins at the newest position, so a measurement
/// writes an origin first: any own event before the first position.
pub fn last_position(what: &NullSource) -> CommitSeq {
    CommitSeq(i64::try_from(what.transactions).unwrap_or(i64::MAX / STEP) * STEP)
}

/// Id of the database.
pub const DB_ID: DbId = DbId(10_000);

struct NullCluster {
    what: NullSource,
    calls: Arc<Calls>,
}

impl NullCluster {
    fn record(&self, number: i64) -> RawBinlog {
        let tables = i64::try_from(self.what.tables.max(1)).unwrap_or(1);
        let table = table_id(number % tables);
        let version = 2 + number / tables;
        let at = FIRST_AT_MS + number;
        RawBinlog {
            commit_seq: CommitSeq(number * STEP),
            timestamp: TimestampMs(at),
            binlog_type: 0,
            db_id: DB_ID,
            table_ids: vec![table],
            data: format!(
                "{{\"commitSeq\":{},\"txnId\":{number},\"timeStamp\":{at},\"label\":\"null_{number}\",\"dbId\":{DB_ID},\
                 \"tableRecords\":{{\"{table}\":{{\"partitionRecords\":[{{\"partitionId\":{},\"range\":\"\",\"version\":\
                 {version},\"isTempPartition\":false,\"stid\":-1}}],\"indexIds\":[{}]}}}}}}",
                number * STEP,
                table.0 + 1,
                table.0 + 2
            ),
        }
    }

    fn table(&self, id: TableId) -> TableMeta {
        let tablets = i64::try_from(self.what.tablets).unwrap_or(0);
        TableMeta {
            id,
            name: format!("t{id}"),
            kind: "OLAP".to_owned(),
            partitions: vec![PartitionMeta {
                id: PartitionId(id.0 + 1),
                name: format!("t{id}"),
                range: String::new(),
                visible_version: 1,
                indexes: vec![IndexMeta {
                    id: IndexId(id.0 + 2),
                    name: format!("t{id}"),
                    tablets: (0..tablets)
                        .map(|n| TabletMeta {
                            id: TabletId(id.0 + 100 + n),
                            replicas: (1..=3)
                                .map(|backend| ReplicaMeta {
                                    id: backend,
                                    backend: BackendId(backend),
                                    version: 1,
                                })
                                .collect(),
                        })
                        .collect(),
                }],
            }],
        }
    }

    fn refused<T>(&self, call: &str) -> Result<T, Error> {
        Err(Error::Refused {
            call: call.to_owned(),
            address: "null source".to_owned(),
            code: 0,
            cause: ccr_doris::error::Refusal::UnknownMethod,
            text: "a null source only has a binlog".to_owned(),
        })
    }
}

fn table_id(number: i64) -> TableId {
    TableId(1_000_000 * (number + 1))
}

#[async_trait]
impl Frontend for NullCluster {
    async fn get_binlog(&self, at: &BinlogPosition, most: usize) -> Result<BinlogPage, Error> {
        self.calls.get_binlog.fetch_add(1, Ordering::Relaxed);
        let first = at.after.0.max(0) / STEP + 1;
        let last = last_position(&self.what).0 / STEP;
        let most = i64::try_from(most).unwrap_or(255);
        let records: Vec<RawBinlog> = (first..=last.min(first.saturating_add(most - 1)))
            .map(|number| self.record(number))
            .collect();
        Ok(if records.is_empty() {
            BinlogPage::CaughtUp
        } else {
            BinlogPage::Records(records)
        })
    }

    async fn get_binlog_lag(&self, _at: &BinlogPosition) -> Result<Option<BinlogLag>, Error> {
        Ok(Some(BinlogLag {
            lag: 0,
            first: Some(CommitSeq(-1)),
            last: Some(last_position(&self.what)),
            next: None,
            first_at: None,
            // Now is long after everything that was written.
            last_at: Some(TimestampMs(i64::MAX / 2)),
            next_at: None,
        }))
    }

    async fn lock_binlog(
        &self,
        _at: &BinlogPosition,
        _holder: &str,
    ) -> Result<Option<CommitSeq>, Error> {
        Ok(None)
    }

    async fn get_snapshot(&self, _: &str, _: &str) -> Result<Option<Snapshot>, Error> {
        Ok(None)
    }

    async fn restore_snapshot(&self, _: &RestoreSnapshot) -> Result<(), Error> {
        self.refused("restoreSnapshot")
    }

    async fn begin_txn(&self, _: &BeginTxn) -> Result<BeginOutcome, Error> {
        self.refused("beginTxn")
    }

    async fn commit_txn(&self, _: &CommitTxn) -> Result<CommitOutcome, Error> {
        self.refused("commitTxn")
    }

    async fn rollback_txn(&self, _: &str, _: TxnId, _: &str) -> Result<RollbackOutcome, Error> {
        self.refused("rollbackTxn")
    }

    async fn txn_state(&self, _: &str, _: TxnId) -> Result<TxnState, Error> {
        self.refused("SHOW TRANSACTION")
    }

    async fn label_state(&self, _: &str, _: &str) -> Result<(TxnState, Option<TxnId>), Error> {
        self.refused("SHOW TRANSACTION")
    }

    async fn get_meta(
        &self,
        database: &str,
        tables: Option<&[TableId]>,
    ) -> Result<Option<DatabaseMeta>, Error> {
        self.calls.get_meta.fetch_add(1, Ordering::Relaxed);
        let ids = match tables {
            Some(ids) => ids.to_vec(),
            None => (0..i64::try_from(self.what.tables.max(1)).unwrap_or(1))
                .map(table_id)
                .collect(),
        };
        Ok(Some(DatabaseMeta {
            id: Some(DB_ID),
            name: database.to_owned(),
            tables: ids.into_iter().map(|id| self.table(id)).collect(),
            ..DatabaseMeta::default()
        }))
    }

    async fn get_backends(&self) -> Result<Vec<BackendMeta>, Error> {
        Ok((1..=3)
            .map(|id| BackendMeta {
                id: BackendId(id),
                host: format!("be{id}"),
                be_port: 9060,
                http_port: 8040,
                alive: true,
            })
            .collect())
    }

    async fn master_token(&self) -> Result<Secret, Error> {
        self.refused("getMasterToken")
    }
}

#[async_trait]
impl SqlSession for NullCluster {
    async fn execute(&self, _: Option<&str>, _: &str) -> Result<(), Error> {
        self.refused("statement")
    }

    async fn query(&self, _: Option<&str>, _: &str) -> Result<Vec<Row>, Error> {
        Ok(Vec::new())
    }
}

/// What a run took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Events durable in the log.
    pub events: u64,
    /// From the first question to the last durable event.
    pub seconds: f64,
    /// Pages asked for.
    pub pages: u64,
    /// Layouts asked for.
    pub layouts: u64,
}

/// Publishes the whole binlog of a null source into topics of their own (source `null`, database `db<n>`) with default
/// settings and tells how long it took.
///
/// # Errors
/// As the stream's own: [`crate::Error::Log`] first of all.
pub async fn measure(
    log: SharedLog,
    clock: Arc<dyn Clock>,
    what: NullSource,
) -> Result<Measured, crate::Error> {
    let (ctx, calls) = context(log, clock, what)?;
    ctx.ensure_topics().await?;
    write_origin(&ctx).await?;
    let desk = Desk::new(Offset(0));
    let last = last_position(&what);
    let started = ctx.clock.monotonic();
    let finished = async {
        while ctx.report.published_position() < last {
            ctx.clock.sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        biased;
        () = finished => {}
        result = run_once(&ctx, &desk, None) => {
            result?;
        }
    }
    Ok(Measured {
        events: what.transactions,
        seconds: (ctx.clock.monotonic() - started).as_secs_f64(),
        pages: calls.get_binlog.load(Ordering::Relaxed),
        layouts: calls.get_meta.load(Ordering::Relaxed),
    })
}

/// What a stream of a null source works with.
pub(crate) fn context(
    log: SharedLog,
    clock: Arc<dyn Clock>,
    what: NullSource,
) -> Result<(Context, Arc<Calls>), crate::Error> {
    let (source, calls) = null_source(what);
    let key = StreamKey {
        source: "null".to_owned(),
        database: format!("db{}", clock.now_ms()),
    };
    let config = ProducerConfig::default();
    let sealer = Sealer::from_base64(Sealer::generate_key().expose()).map_err(|source| {
        crate::Error::Seal {
            cluster: key.source.clone(),
            source,
        }
    })?;
    let ctx = Context {
        topics: Topics::of(&config.prefix, &key),
        key,
        config: Arc::new(config),
        log,
        source,
        clock,
        sealer,
        codec: Codec::default(),
        report: Arc::new(Report::default()),
        follows_database: Arc::new(|| false),
    };
    Ok((ctx, calls))
}

/// A stream with an empty log begins at the newest position; this one has to begin at the first.
async fn write_origin(ctx: &Context) -> Result<(), crate::Error> {
    let at = TimestampMs(ctx.clock.now_ms());
    let envelope = Envelope {
        schema_version: SCHEMA_VERSION,
        source: ctx.key.source.clone(),
        db_id: DB_ID,
        db_name: ctx.key.database.clone(),
        timeline: ccr_schemas::Timeline::FIRST,
        commit_seq: CommitSeq::BEFORE_FIRST,
        prev_commit_seq: CommitSeq::BEFORE_FIRST,
        source_at: TimestampMs(0),
        seen_at: at,
        binlog_type: -1,
        replay: Replay::Control,
        event: Event::Heartbeat(Heartbeat {
            at,
            source_end: CommitSeq::BEFORE_FIRST,
        }),
        raw: None,
    };
    let record = NewRecord {
        key: event_key(None),
        value: Some(ctx.codec.encode(&envelope)?.into()),
        headers: Vec::new(),
    };
    ctx.log.append(&ctx.topics.events, vec![record]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use ccr_log::Embedded;
    use ccr_ops::SystemClock;

    use super::*;

    #[tokio::test]
    async fn the_whole_binlog_is_published_with_few_questions() {
        let what = NullSource {
            transactions: 2000,
            tables: 4,
            tablets: 3,
        };
        let log = Embedded::in_memory().unwrap();
        let measured = measure(log, SystemClock::shared(), what).await.unwrap();
        assert_eq!(measured.events, 2000);
        assert!(measured.pages < 200, "not per record: {measured:?}");
        assert!(measured.layouts <= 6, "{measured:?}");
    }
}
