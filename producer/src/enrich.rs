//! Records -> encoded events: decodes, looks places up where they are not known, folds the catalogue, chains, encodes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use ccr_doris::binlog::{self, Binlog, Record};
use ccr_doris::{DatabaseMeta, Row};
use ccr_log::{MAX_RECORD_BYTES, NewRecord, Offset};
use ccr_schemas::envelope::SCHEMA_VERSION;
use ccr_schemas::event::{Gap, Heartbeat, SnapshotTaken, TableRef};
use ccr_schemas::topic::event_key;
use ccr_schemas::{CommitSeq, DbId, Envelope, Event, Replay, TableId, Timeline, TimestampMs};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error};

use crate::context::Context;
use crate::error::Error;
use crate::locate::Checkpoint;
use crate::metrics as names;
use crate::plan::catalog::{Catalog, VIEW};
use crate::plan::layout::{Layouts, invalidates};
use crate::plan::translate::{Translated, View, translate, unreadable};
use crate::plan::{Late, Settled};
use crate::publish::Batch;

/// Room for key and headers of a record.
const RECORD_OVERHEAD: usize = 4096;

/// What the reader found.
#[derive(Debug)]
pub(crate) enum Item {
    /// Records, in order.
    Records(Vec<Settled>),
    /// The source forgot a span.
    Gap { after: CommitSeq, up_to: CommitSeq },
    /// A record came after later ones were published.
    Late(Late),
    /// The chain starts here.
    Origin { source_end: CommitSeq },
}

/// Events of our own that come from beside the stream.
#[derive(Debug)]
pub(crate) enum Own {
    /// The stream is idle.
    Heartbeat,
    /// A snapshot is there; the sender waits until the announcement is durable.
    Snapshot(Box<SnapshotTaken>, oneshot::Sender<Offset>),
}

/// Everything between records and encoded events.
pub(crate) struct Enricher<'a> {
    ctx: &'a Context,
    db_id: DbId,
    position: CommitSeq,
    catalog: Catalog,
    catalog_changed: bool,
    layouts: Layouts,
    fetched: BTreeMap<TableId, Duration>,
    backends_fetched: Option<Duration>,
}

impl<'a> Enricher<'a> {
    /// Starts at a position with the catalogue of that position. A fresh catalogue is written down with the first events.
    pub(crate) fn new(
        ctx: &'a Context,
        db_id: DbId,
        position: CommitSeq,
        catalog: Catalog,
        catalog_is_fresh: bool,
    ) -> Self {
        Self {
            ctx,
            db_id,
            position,
            catalog,
            catalog_changed: catalog_is_fresh,
            layouts: Layouts::default(),
            fetched: BTreeMap::new(),
            backends_fetched: None,
        }
    }

    /// Takes items until the other side is gone. Own events go first: they are few, and somebody waits for them.
    pub(crate) async fn run(
        mut self,
        mut items: mpsc::Receiver<Item>,
        mut own: mpsc::Receiver<Own>,
        batches: mpsc::Sender<Batch>,
    ) -> Result<(), Error> {
        loop {
            let batch = tokio::select! {
                biased;
                // 1. what comes from beside the stream
                Some(own) = own.recv() => self.own(own)?,
                // 2. the stream
                item = items.recv() => match item {
                    Some(item) => self.item(item).await?,
                    None => return Ok(()),
                },
            };
            if batches.send(batch).await.is_err() {
                return Ok(());
            }
        }
    }

    async fn item(&mut self, item: Item) -> Result<Batch, Error> {
        let mut batch = Batch::default();
        match item {
            Item::Records(records) => {
                for settled in &records {
                    self.record(settled, &mut batch).await?;
                }
                batch.seen = Some(
                    self.ctx
                        .clock
                        .monotonic()
                        .saturating_sub(age(self.ctx.clock.now_ms(), &records)),
                );
            }
            Item::Gap { after, up_to } => {
                // What was created, renamed or dropped in the span is not known: look again.
                metrics::counter!(names::GAPS).increment(1);
                self.catalog = survey(self.ctx).await?.1;
                self.catalog_changed = true;
                self.layouts.forget_all();
                self.position = up_to;
                self.push_own(Event::Gap(Gap { after, up_to }), &mut batch)?;
            }
            Item::Late(Late { after, seq }) => {
                error!(stream = %self.ctx.key, commit_seq = seq.0, published = self.position.0,
                       "the source showed a record after later ones were published; its jobs are told to stop");
                metrics::counter!(names::GAPS).increment(1);
                // It may have created, renamed or dropped something.
                self.catalog = survey(self.ctx).await?.1;
                self.catalog_changed = true;
                self.layouts.forget_all();
                self.push_own(Event::Gap(Gap { after, up_to: seq }), &mut batch)?;
            }
            Item::Origin { source_end } => {
                let at = TimestampMs(self.ctx.clock.now_ms());
                self.push_own(Event::Heartbeat(Heartbeat { at, source_end }), &mut batch)?;
            }
        }
        self.finish(batch)
    }

    fn own(&mut self, own: Own) -> Result<Batch, Error> {
        let mut batch = Batch::default();
        match own {
            Own::Heartbeat => {
                let heartbeat = Heartbeat {
                    at: TimestampMs(self.ctx.clock.now_ms()),
                    source_end: self.ctx.report.source_end_position().max(self.position),
                };
                self.push_own(Event::Heartbeat(heartbeat), &mut batch)?;
            }
            Own::Snapshot(snapshot, durable) => {
                // The one place that tells the ids of views.
                for view in &snapshot.views {
                    self.catalog_changed |= self.catalog.learn_view(view);
                }
                self.push_own(Event::SnapshotTaken(*snapshot), &mut batch)?;
                batch.durable.push(durable);
            }
        }
        self.finish(batch)
    }

    async fn record(&mut self, settled: &Settled, batch: &mut Batch) -> Result<(), Error> {
        let raw = &settled.record;
        let Translated { event, replay } = match binlog::decode(raw) {
            Ok(decoded) => {
                self.look_up(&decoded).await?;
                let view = View {
                    catalog: &self.catalog,
                    layouts: &self.layouts,
                };
                translate(&decoded, &view)
            }
            Err(error) => unreadable(raw, &chain(&error), &self.catalog),
        };
        for table in invalidates(&event) {
            self.layouts.forget(table);
        }
        self.catalog_changed |= self.catalog.fold(&event);
        let envelope = self.chained(settled, event, replay);
        let kind = envelope.event.kind();
        let value = self.encode(envelope)?;
        let headers = vec![
            (
                "ce_id".to_owned(),
                format!("{}:{}:{}", self.ctx.key.source, self.db_id, raw.commit_seq),
            ),
            ("event".to_owned(), kind.as_str().to_owned()),
            ("commit_seq".to_owned(), raw.commit_seq.to_string()),
        ];
        let table = match raw.table_ids.as_slice() {
            [table] => Some(*table),
            _ => None,
        };
        batch.bytes += value.len();
        batch.kinds.push(kind);
        batch.records.push(NewRecord {
            key: event_key(table),
            value: Some(value),
            headers,
        });
        self.position = raw.commit_seq;
        Ok(())
    }

    fn chained(&self, settled: &Settled, event: Event, replay: Replay) -> Envelope {
        let raw = &settled.record;
        let keeps_raw = !matches!(event, Event::RowsetsCommitted(_));
        Envelope {
            schema_version: SCHEMA_VERSION,
            source: self.ctx.key.source.clone(),
            db_id: self.db_id,
            db_name: self.ctx.key.database.clone(),
            timeline: Timeline::FIRST,
            commit_seq: raw.commit_seq,
            prev_commit_seq: self.position,
            source_at: raw.timestamp,
            seen_at: settled.seen_at,
            binlog_type: raw.binlog_type,
            replay,
            event,
            raw: keeps_raw.then(|| raw.data.clone()),
        }
    }

    /// An event of our own stands at the present position, outside the chain.
    fn push_own(&mut self, event: Event, batch: &mut Batch) -> Result<(), Error> {
        let kind = event.kind();
        let now = TimestampMs(self.ctx.clock.now_ms());
        let envelope = Envelope {
            schema_version: SCHEMA_VERSION,
            source: self.ctx.key.source.clone(),
            db_id: self.db_id,
            db_name: self.ctx.key.database.clone(),
            timeline: Timeline::FIRST,
            commit_seq: self.position,
            prev_commit_seq: self.position,
            source_at: TimestampMs(0),
            seen_at: now,
            binlog_type: -1,
            replay: Replay::Control,
            event,
            raw: None,
        };
        let value = self.encode(envelope)?;
        batch.bytes += value.len();
        batch.kinds.push(kind);
        batch.records.push(NewRecord {
            key: event_key(None),
            value: Some(value),
            headers: vec![
                ("event".to_owned(), kind.as_str().to_owned()),
                ("commit_seq".to_owned(), self.position.to_string()),
            ],
        });
        Ok(())
    }

    /// Encodes; what is larger than the log takes loses its places, so that its table is brought by a snapshot.
    fn encode(&self, mut envelope: Envelope) -> Result<Bytes, Error> {
        let bytes = self.ctx.codec.encode(&envelope)?;
        if bytes.len() + RECORD_OVERHEAD <= MAX_RECORD_BYTES {
            return Ok(bytes.into());
        }
        envelope.raw = None;
        if let Event::RowsetsCommitted(rowsets) = &mut envelope.event {
            for partition in rowsets.tables.iter_mut().flat_map(|t| &mut t.partitions) {
                partition.indexes.clear();
            }
            envelope.replay = Replay::Snapshot {
                reason: "the transaction wrote more tablets than a record of the log can list"
                    .to_owned(),
            };
        }
        Ok(self.ctx.codec.encode(&envelope)?.into())
    }

    fn finish(&mut self, mut batch: Batch) -> Result<Batch, Error> {
        batch.position = Some(self.position);
        if std::mem::take(&mut self.catalog_changed) {
            let checkpoint = Checkpoint {
                position: self.position,
                db_id: self.db_id,
                catalog: self.catalog.clone(),
            };
            batch.checkpoint = serde_json::to_vec(&checkpoint).ok().map(Bytes::from);
        }
        Ok(batch)
    }

    /// Asks the source for what the record needs and is not known, or known for too long.
    async fn look_up(&mut self, decoded: &Binlog) -> Result<(), Error> {
        match &decoded.record {
            Record::Upsert(upsert) => {
                let mut wanted = self.layouts.missing(upsert, &self.catalog);
                let now = self.ctx.clock.monotonic();
                wanted.extend(upsert.table_records.keys().filter(|id| {
                    self.fetched
                        .get(id)
                        .is_some_and(|at| *at + self.ctx.config.layout_max_age < now)
                }));
                self.fetch(wanted).await?;
                let old = self
                    .backends_fetched
                    .is_none_or(|at| at + self.ctx.config.backends_max_age < now);
                if old || self.layouts.backends_missing(upsert) {
                    self.fetch_backends().await?;
                }
            }
            Record::AddPartition(r) if !r.is_temp() => {
                if self.layouts.partition(r.table_id, r.partition.id).is_none() {
                    self.fetch(BTreeSet::from([r.table_id])).await?;
                }
            }
            Record::AddPartition(_)
            | Record::CreateTable(_)
            | Record::DropPartition(_)
            | Record::DropTable(_)
            | Record::AlterJob(_)
            | Record::ModifyColumns(_)
            | Record::Dummy
            | Record::AlterDatabaseProperty(_)
            | Record::ModifyTableProperty(_)
            | Record::Barrier(_)
            | Record::ModifyPartitions(_)
            | Record::ReplacePartitions(_)
            | Record::TruncateTable(_)
            | Record::RenameTable(_)
            | Record::RenameColumn(_)
            | Record::ModifyComment(_)
            | Record::ModifyViewDef(_)
            | Record::ReplaceTable(_)
            | Record::ModifyIndexes(_)
            | Record::IndexChangeJob(_)
            | Record::RenameRollup(_)
            | Record::RenamePartition(_)
            | Record::DropRollup(_)
            | Record::RecoverInfo(_)
            | Record::ModifyBucketNum(_)
            | Record::ModifyDistributionType(_)
            | Record::Unknown { .. } => {}
        }
        Ok(())
    }

    async fn fetch(&mut self, tables: BTreeSet<TableId>) -> Result<(), Error> {
        if tables.is_empty() {
            return Ok(());
        }
        let ctx = self.ctx;
        let ids: Vec<TableId> = tables.iter().copied().collect();
        let meta = ctx
            .ask("get_meta", || {
                ctx.source.get_meta(&ctx.key.database, Some(&ids))
            })
            .await?;
        let now = ctx.clock.monotonic();
        self.fetched.extend(ids.iter().map(|id| (*id, now)));
        // A database that is gone has no tables; the reader finds out about the database itself.
        self.layouts.learn(&tables, meta.unwrap_or_default());
        Ok(())
    }

    async fn fetch_backends(&mut self) -> Result<(), Error> {
        let ctx = self.ctx;
        let backends = ctx
            .ask("get_backends", || ctx.source.get_backends())
            .await?;
        self.layouts.learn_backends(backends);
        self.backends_fetched = Some(ctx.clock.monotonic());
        Ok(())
    }
}

/// The database's id and its catalogue as the source has it now.
pub(crate) async fn survey(ctx: &Context) -> Result<(DbId, Catalog), Error> {
    let meta = ctx
        .ask("get_meta", || ctx.source.get_meta(&ctx.key.database, None))
        .await?;
    let DatabaseMeta { id, tables, .. } =
        meta.ok_or_else(|| Error::UnknownDatabase(ctx.key.database.clone()))?;
    let id = id.ok_or_else(|| Error::UnknownDatabase(ctx.key.database.clone()))?;
    let views = views(ctx, id).await;
    Ok((id, Catalog::of(&tables, &views)))
}

/// Views, which getMeta leaves out. The statement needs a privilege that the account may lack; then views become known with
/// the first snapshot, or when they are created.
async fn views(ctx: &Context, db_id: DbId) -> Vec<TableRef> {
    let statement = format!("SHOW PROC '/dbs/{db_id}'");
    let rows = match ctx.source.query(None, &statement).await {
        Ok(rows) => rows,
        Err(error) => {
            debug!(stream = %ctx.key, error = %error, "ids of views are not known yet");
            return Vec::new();
        }
    };
    let text = |row: &Row, column: &str| row.get(column).cloned().flatten();
    rows.iter()
        .filter(|row| text(row, "Type").as_deref() == Some(VIEW))
        .filter_map(|row| {
            Some(TableRef {
                id: TableId(text(row, "TableId")?.trim().parse().ok()?),
                name: text(row, "TableName")?,
            })
        })
        .collect()
}

/// How long ago the oldest of some records was first seen.
fn age(now_ms: i64, records: &[Settled]) -> Duration {
    let first = records.first().map_or(now_ms, |settled| settled.seen_at.0);
    Duration::from_millis(u64::try_from(now_ms - first).unwrap_or(0))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
