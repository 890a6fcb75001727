//! Where the log ends, and what a restart has to know: read from the events topic's tail and the catalogue's checkpoint.

use ccr_log::{Offset, Record};
use ccr_schemas::codec::RecordAt;
use ccr_schemas::event::SnapshotTaken;
use ccr_schemas::{CommitSeq, Envelope, Event, TimestampMs};

use crate::checkpoint::{Kept, LastRecord};
use crate::context::Context;
use crate::error::Error;
use crate::plan::catalog::Catalog;
use crate::plan::{Fingerprint, LogEnd, Published, Recent};

/// Records per read.
const PAGE: usize = 1000;

/// What the log says at a start.
#[derive(Debug)]
pub(crate) struct Tail {
    /// Where it ends; `None` when it is empty.
    pub end: Option<LogEnd>,
    /// Snapshots of the timeline announced near the end, with the moment of the announcement.
    pub snapshots: Vec<(SnapshotTaken, TimestampMs)>,
    /// Newest position of which these events say that the log does not have the history.
    pub lost_up_to: CommitSeq,
    /// The catalogue as of the end; `None` when the log has none of this database and timeline that can be read. Then the
    /// names have to be looked up at the source, as of the log's end: see [`crate::survey::survey_at`].
    pub catalog: Option<Catalog>,
}

/// Reads the tail.
///
/// # Errors
/// A log that cannot be read: it is no proof that there is nothing to read.
pub(crate) async fn locate(ctx: &Context) -> Result<Tail, Error> {
    let envelopes = of_newest_timeline(tail(ctx).await?);
    let kept = Kept::read(ctx).await?;
    let end = envelopes
        .iter()
        .max_by_key(|envelope| envelope.commit_seq)
        .map(|envelope| log_end(&envelopes, envelope, kept.last_record.as_ref()));
    let catalog = match (&end, kept.catalog) {
        (Some(end), Some(checkpoint))
            if checkpoint.db_id == end.db_id && checkpoint.timeline == end.timeline =>
        {
            let mut catalog = checkpoint.catalog;
            for envelope in &envelopes {
                if envelope.commit_seq > checkpoint.position {
                    catalog.fold(&envelope.event);
                    catalog.introduce(&envelope.event, &envelope.replay);
                }
            }
            Some(catalog)
        }
        (Some(_) | None, Some(_) | None) => None,
    };
    let lost = envelopes.iter().filter_map(|envelope| {
        let Event::Gap(gap) = &envelope.event else {
            return None;
        };
        Some(gap.up_to)
    });
    let lost_up_to = lost.max().unwrap_or(CommitSeq::BEFORE_FIRST);
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
        lost_up_to,
        catalog,
    })
}

fn log_end(envelopes: &[Envelope], last: &Envelope, kept: Option<&LastRecord>) -> LogEnd {
    let (timeline, position) = (last.timeline, last.commit_seq);
    let recent = recent(envelopes, last);
    let print = match recent.published.get(&position) {
        Some(record) => record.print,
        None => kept.and_then(|kept| kept.print(timeline, position)),
    };
    LogEnd {
        timeline,
        position,
        db_id: last.db_id,
        print,
        recent,
    }
}

/// Events of the timeline that the log is on. What lies before its beginning, or was written late by a producer that
/// had lost the stream, is of another history.
fn of_newest_timeline(mut envelopes: Vec<Envelope>) -> Vec<Envelope> {
    let newest = envelopes.iter().map(|envelope| envelope.timeline).max();
    envelopes.retain(|envelope| Some(envelope.timeline) == newest);
    envelopes
}

/// What the last events say of published positions: every chained record since the last gap. A restart looks back over them.
fn recent(envelopes: &[Envelope], last: &Envelope) -> Recent {
    let mut recent = Recent::none(last.commit_seq);
    for envelope in envelopes.iter().filter(|e| e.db_id == last.db_id) {
        if envelope.event.is_chained() {
            recent.after = recent.after.min(envelope.prev_commit_seq);
            let record = Published {
                at: envelope.source_at,
                print: Fingerprint::of_event(envelope),
            };
            recent.published.insert(envelope.commit_seq, record);
        } else if let Event::Gap(gap) = &envelope.event {
            if gap.up_to < envelope.commit_seq {
                // A late record, already reported.
                let late = Published {
                    at: TimestampMs(0),
                    print: None,
                };
                recent.published.insert(gap.up_to, late);
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
