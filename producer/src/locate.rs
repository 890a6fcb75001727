//! Where the log ends, and what a restart has to know: read from the events topic's tail and the catalogue's checkpoint.

use ccr_log::{Offset, Record};
use ccr_schemas::codec::RecordAt;
use ccr_schemas::event::SnapshotTaken;
use ccr_schemas::{CommitSeq, DbId, Envelope, Event, TimestampMs};
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::error::Error;
use crate::plan::catalog::Catalog;
use crate::plan::{LogEnd, Recent};

/// Key of the one record of the catalogue topic.
pub(crate) const CHECKPOINT_KEY: &str = "catalog";
/// Records per read.
const PAGE: usize = 1000;

/// The catalogue at a position. Written after each append whose events changed it, before the next append; so a restart
/// finds every later change in the last append.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    pub position: CommitSeq,
    pub db_id: DbId,
    pub catalog: Catalog,
}

/// What the log says at a start.
#[derive(Debug)]
pub(crate) struct Tail {
    /// Where it ends; `None` when it is empty.
    pub end: Option<LogEnd>,
    /// Snapshots announced near the end, with the moment of the announcement.
    pub snapshots: Vec<(SnapshotTaken, TimestampMs)>,
    /// The catalogue as of the end; `None` when there is no checkpoint of this database.
    pub catalog: Option<Catalog>,
}

/// Reads the tail.
pub(crate) async fn locate(ctx: &Context) -> Result<Tail, Error> {
    let envelopes = tail(ctx).await?;
    let end = envelopes
        .iter()
        .max_by_key(|envelope| envelope.commit_seq)
        .map(|envelope| LogEnd {
            position: envelope.commit_seq,
            db_id: envelope.db_id,
            recent: recent(&envelopes, envelope),
        });
    let catalog = match (&end, checkpoint(ctx).await) {
        (Some(end), Some(checkpoint)) if checkpoint.db_id == end.db_id => {
            let mut catalog = checkpoint.catalog;
            for envelope in &envelopes {
                if envelope.commit_seq > checkpoint.position {
                    catalog.fold(&envelope.event);
                }
            }
            Some(catalog)
        }
        (Some(_) | None, Some(_) | None) => None,
    };
    let snapshots = envelopes
        .into_iter()
        .filter_map(|envelope| {
            let Event::SnapshotTaken(snapshot) = envelope.event else {
                return None;
            };
            Some((snapshot, envelope.seen_at))
        })
        .collect();
    Ok(Tail {
        end,
        snapshots,
        catalog,
    })
}

/// What the last events say of published positions: every chained record since the last gap. A restart looks back over them.
fn recent(envelopes: &[Envelope], last: &Envelope) -> Recent {
    let mut recent = Recent::none(last.commit_seq);
    for envelope in envelopes.iter().filter(|e| e.db_id == last.db_id) {
        if envelope.event.is_chained() {
            recent.after = recent.after.min(envelope.prev_commit_seq);
            let at = envelope.source_at;
            recent.published.insert(envelope.commit_seq, at);
        } else if let Event::Gap(gap) = &envelope.event {
            if gap.up_to < envelope.commit_seq {
                // A late record, told already.
                recent.published.insert(gap.up_to, TimestampMs(0));
            } else {
                recent = Recent::none(gap.up_to);
            }
        }
    }
    recent
}

/// The last events: at least those of the last append. Goes back further where offsets have holes.
async fn tail(ctx: &Context) -> Result<Vec<Envelope>, Error> {
    let topic = &ctx.topics.events;
    let mut span =
        i64::try_from(ctx.config.append_records + 2 * ctx.config.batch).unwrap_or(i64::MAX / 4);
    loop {
        let (low, high) = ctx.log.watermarks(topic).await?;
        if low >= high {
            return Ok(Vec::new());
        }
        let from = Offset(high.0.saturating_sub(span).max(low.0));
        let envelopes = read(ctx, from, high).await?;
        if !envelopes.is_empty() || from == low {
            return Ok(envelopes);
        }
        span = span.saturating_mul(4);
    }
}

async fn read(ctx: &Context, from: Offset, end: Offset) -> Result<Vec<Envelope>, Error> {
    let topic = &ctx.topics.events;
    let mut envelopes = Vec::new();
    let mut next = from;
    while next < end {
        let records = match ctx.log.read_range(topic, next, PAGE).await {
            Ok(records) => records,
            // Retention moved the start meanwhile; what is left is enough.
            Err(ccr_log::Error::OffsetGone { oldest, .. }) if oldest > next => {
                next = oldest;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let Some(last) = records.last() else {
            break;
        };
        next = Offset(last.offset.0 + 1);
        for record in &records {
            envelopes.extend(decode(ctx, record)?);
        }
    }
    Ok(envelopes)
}

fn decode(ctx: &Context, record: &Record) -> Result<Option<Envelope>, Error> {
    let Some(value) = &record.value else {
        return Ok(None);
    };
    let at = RecordAt {
        topic: &ctx.topics.events,
        offset: record.offset.0,
    };
    Ok(Some(ctx.codec.decode(value, &at)?))
}

/// The checkpoint. One that can not be read is as good as none: the source is asked instead.
async fn checkpoint(ctx: &Context) -> Option<Checkpoint> {
    let records = ctx.log.read_compacted(&ctx.topics.catalog).await.ok()?;
    let value = records.get(CHECKPOINT_KEY)?.value.as_ref()?;
    serde_json::from_slice(value).ok()
}
