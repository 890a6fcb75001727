//! Records -> encoded events: decodes, looks places up where they are not known, folds the catalogue, chains, encodes.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use ccr_doris::binlog::{self, Record};
use ccr_log::{MAX_RECORD_BYTES, NewRecord, Offset};
use ccr_ops::task::Chain;
use ccr_schemas::envelope::SCHEMA_VERSION;
use ccr_schemas::event::{Gap, Heartbeat, SnapshotTaken, TimelineChanged};
use ccr_schemas::topic::event_key;
use ccr_schemas::{CommitSeq, DbId, Envelope, Event, Replay, Timeline, TimestampMs};
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use crate::checkpoint::{Checkpoint, LastRecord};
use crate::context::Context;
use crate::error::Error;
use crate::metrics as names;
use crate::places::Places;
use crate::plan::catalog::Catalog;
use crate::plan::layout::invalidates;
use crate::plan::strangers;
use crate::plan::translate::{Translated, View, translate, unreadable};
use crate::plan::{Contradiction, Late, Settled};
use crate::publish::Batch;
use crate::survey::survey_at;

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
    /// Another history begins: see [`TimelineChanged`].
    Timeline {
        timeline: Timeline,
        position: CommitSeq,
        previous: Timeline,
        published: CommitSeq,
        reason: Contradiction,
        /// Notified when the event is durable.
        durable: oneshot::Sender<Offset>,
    },
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
    timeline: Timeline,
    position: CommitSeq,
    catalog: Catalog,
    catalog_changed: bool,
    places: Places<'a>,
    /// The last record, until it is written down.
    last_record: Option<LastRecord>,
}

/// Where a run of a stream begins.
#[derive(Debug)]
pub(crate) struct Begin {
    pub db_id: DbId,
    pub timeline: Timeline,
    pub position: CommitSeq,
    /// The catalogue as of the position.
    pub catalog: Catalog,
    /// It is not the one that the log has.
    pub catalog_is_fresh: bool,
}

impl<'a> Enricher<'a> {
    /// Starts at a position. A fresh catalogue is written down with the first events.
    pub(crate) fn new(ctx: &'a Context, begin: Begin) -> Self {
        Self {
            ctx,
            db_id: begin.db_id,
            timeline: begin.timeline,
            position: begin.position,
            catalog: begin.catalog,
            catalog_changed: begin.catalog_is_fresh,
            places: Places::new(ctx),
            last_record: None,
        }
    }

    /// Takes items as long as it is let. Own events go first: they are few, and somebody waits for them.
    pub(crate) async fn run(
        mut self,
        mut items: mpsc::Receiver<Item>,
        mut own: mpsc::Receiver<Own>,
        batches: mpsc::Sender<Batch>,
    ) -> Result<Infallible, Error> {
        loop {
            let batch = tokio::select! {
                biased;
                // 1. what comes from beside the stream
                Some(own) = own.recv() => self.own(own)?,
                // 2. the stream
                item = items.recv() => match item {
                    Some(item) => self.item(item).await?,
                    None => return Err(Error::Ended("the part that reads the source ended")),
                },
            };
            if batches.send(batch).await.is_err() {
                return Err(Error::Ended("the part that appends to the log ended"));
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
                let last = records.last().map(|settled| &settled.record);
                self.last_record = last.and_then(|record| LastRecord::of(self.timeline, record));
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
                self.catalog = survey_at(self.ctx, up_to).await?;
                self.catalog_changed = true;
                self.places.forget_all();
                self.position = up_to;
                self.ctx.report.lost(up_to);
                self.push_own(Event::Gap(Gap { after, up_to }), &mut batch)?;
            }
            Item::Late(Late { after, seq }) => {
                error!(stream = %self.ctx.key, commit_seq = seq.0, published = self.position.0,
                       "late binlog record: later records were already published; halting affected jobs");
                metrics::counter!(names::GAPS).increment(1);
                // It may have created, renamed or dropped something.
                self.catalog = survey_at(self.ctx, self.position).await?;
                self.catalog_changed = true;
                self.places.forget_all();
                self.ctx.report.lost(seq);
                self.push_own(Event::Gap(Gap { after, up_to: seq }), &mut batch)?;
            }
            Item::Origin { source_end } => {
                let at = TimestampMs(self.ctx.clock.now_ms());
                self.push_own(Event::Heartbeat(Heartbeat { at, source_end }), &mut batch)?;
            }
            Item::Timeline {
                timeline,
                position,
                previous,
                published,
                reason,
                durable,
            } => {
                error!(stream = %self.ctx.key, published = published.0, position = position.0, reason = %reason,
                       "source history replaced: a new timeline begins, all jobs of the stream halt until they are re-synced");
                metrics::counter!(names::TIMELINES).increment(1);
                self.timeline = timeline;
                self.position = position;
                // The catalogue is that of the history before; the next run of the stream looks names up.
                self.catalog_changed = false;
                let changed = TimelineChanged {
                    previous,
                    published,
                    reason: format!("{reason} ({})", reason.meaning()),
                };
                self.push_own(Event::TimelineChanged(changed), &mut batch)?;
                batch.durable.push(durable);
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
                // The stream is idle: heartbeats are going to push the record out of the log's tail.
                batch.kept.last_record = self.last_record.take();
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
                self.places.look_up(&decoded, &self.catalog).await?;
                let unknown = strangers::unknown(&decoded.record, &self.catalog);
                if !matches!(decoded.record, Record::Upsert(_)) {
                    self.places.look_up_tables(&unknown).await?;
                }
                let strangers = strangers::named(&unknown, self.places.layouts());
                let catalog = strangers::with_strangers(&self.catalog, &strangers);
                let view = View {
                    catalog: &catalog,
                    layouts: self.places.layouts(),
                };
                strangers::by_snapshot(translate(&decoded, &view), &strangers)
            }
            Err(error) => unreadable(raw, &Chain(&error).to_string(), &self.catalog),
        };
        for table in invalidates(&event) {
            self.places.forget(table);
        }
        self.catalog_changed |= self.catalog.fold(&event);
        self.catalog_changed |= self.catalog.introduce(&event, &replay);
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
            timeline: self.timeline,
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

    /// Appends an event of our own at the present position, outside the chain.
    fn push_own(&mut self, event: Event, batch: &mut Batch) -> Result<(), Error> {
        let kind = event.kind();
        let now = TimestampMs(self.ctx.clock.now_ms());
        let envelope = Envelope {
            schema_version: SCHEMA_VERSION,
            source: self.ctx.key.source.clone(),
            db_id: self.db_id,
            db_name: self.ctx.key.database.clone(),
            timeline: self.timeline,
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
            batch.kept.catalog = Some(Checkpoint {
                position: self.position,
                db_id: self.db_id,
                timeline: self.timeline,
                catalog: self.catalog.clone(),
            });
        }
        Ok(batch)
    }
}

/// How long ago the oldest of some records was first seen.
fn age(now_ms: i64, records: &[Settled]) -> Duration {
    let first = records.first().map_or(now_ms, |settled| settled.seen_at.0);
    Duration::from_millis(u64::try_from(now_ms - first).unwrap_or(0))
}
