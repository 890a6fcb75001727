//! Statements on records. Every record that is read is compared with its checksum, and the records of a topic that keeps by
//! time are counted off: their offsets have no holes.

use std::collections::BTreeMap;

use bytes::Bytes;
use ccr_schemas::TopicName;
use rusqlite::{Connection, Row, params};

use super::checksum::RowSum;
use super::failure::Failure;
use super::store::{self, TopicId, TopicRow, offset_of};
use crate::event_log::{NewRecord, Offset, Record, TopicKind};

const COLUMNS: &str = "position, compacted, appended_at_ms, key, headers, value, sum FROM records";

/// Writes one record. In a compacted topic the key's former records go at once.
pub(super) fn put(
    db: &Connection,
    topic: &TopicRow,
    offset: i64,
    now_ms: i64,
    record: &NewRecord,
) -> Result<(), Failure> {
    let compacted = topic.kind == TopicKind::Compacted;
    if compacted {
        db.prepare_cached("DELETE FROM records WHERE topic = ?1 AND key = ?2 AND compacted = 1")?
            .execute(params![topic.id.0, record.key])?;
    }
    let stored = Stored {
        position: topic.id.at(offset),
        compacted,
        appended_at_ms: now_ms,
        key: &record.key,
        headers: &headers_text(&record.headers),
        value: record.value.as_deref(),
    };
    db.prepare_cached(
        "INSERT INTO records (position, topic, compacted, appended_at_ms, key, headers, value, sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        stored.position,
        topic.id.0,
        stored.compacted,
        stored.appended_at_ms,
        stored.key,
        stored.headers,
        stored.value,
        stored.sum(),
    ])?;
    Ok(())
}

/// A record as stored; the topic is in the position.
struct Stored<'a> {
    position: i64,
    compacted: bool,
    appended_at_ms: i64,
    key: &'a str,
    headers: &'a str,
    value: Option<&'a [u8]>,
}

impl Stored<'_> {
    fn sum(&self) -> i64 {
        RowSum::of("records")
            .int(self.position)
            .int(self.compacted.into())
            .int(self.appended_at_ms)
            .text(self.key)
            .text(self.headers)
            .bytes(self.value)
            .finish()
    }
}

/// Reads one row, or says which record is damaged.
fn record_of(row: &Row<'_>, topic: &TopicName) -> Result<Record, Failure> {
    let position: i64 = row.get(0)?;
    let offset = offset_of(position);
    let damaged =
        |what: &str| Failure::Damaged(format!("topic {topic}, offset {offset}: the record {what}"));
    let unreadable = |_: rusqlite::Error| damaged("has an impossible value");
    let key: String = row.get(3).map_err(unreadable)?;
    let headers: String = row.get(4).map_err(unreadable)?;
    let value: Option<Vec<u8>> = row.get(5).map_err(unreadable)?;
    let stored = Stored {
        position,
        compacted: row.get(1).map_err(unreadable)?,
        appended_at_ms: row.get(2).map_err(unreadable)?,
        key: &key,
        headers: &headers,
        value: value.as_deref(),
    };
    let (appended_at_ms, sum) = (stored.appended_at_ms, stored.sum());
    if row.get::<_, i64>(6).map_err(unreadable)? != sum {
        return Err(damaged("does not match its checksum"));
    }
    Ok(Record {
        offset: Offset(offset),
        appended_at_ms,
        headers: serde_json::from_str(&headers)
            .map_err(|error| damaged(&format!("has unreadable headers ({error})")))?,
        key,
        value: value.map(Bytes::from),
    })
}

/// Bounds of one read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Max number of records.
    pub records: usize,
    /// No record is added once this many bytes are there.
    pub bytes: usize,
}

/// What a read found.
#[derive(Debug)]
pub(super) enum Read {
    /// Records, and where the topic ended at the moment of the read. What is visible to a reader is durable (SQLite makes a
    /// transaction visible after its fsync), so this end may be newer than the one that the writer has published.
    Page {
        /// The records.
        records: Vec<Record>,
        /// Next offset to be written.
        end: i64,
    },
    /// Retention deleted the wanted offset.
    Gone {
        /// First offset still kept.
        first: i64,
    },
}

/// Reads from `from` on, within the bounds but at least one record when there is one. One transaction with the look at the
/// topic's bounds, so that records deleted meanwhile are an error and not a hole.
pub(super) fn read(
    db: &Connection,
    id: TopicId,
    from: i64,
    bounds: Bounds,
) -> Result<Read, Failure> {
    let snapshot = db.unchecked_transaction()?;
    let topic = store::topic(&snapshot, id)?;
    if from < topic.first {
        return Ok(Read::Gone { first: topic.first });
    }
    let mut statement = snapshot.prepare_cached(&format!(
        "SELECT {COLUMNS} WHERE position >= ?1 AND position < ?2 ORDER BY position LIMIT ?3"
    ))?;
    let limit = i64::try_from(bounds.records).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![id.at(from), id.end(), limit])?;
    let mut records: Vec<Record> = Vec::new();
    let mut bytes = 0;
    while bytes < bounds.bytes {
        let next = records.last().map_or(from, |record| record.offset.0 + 1);
        let Some(row) = rows.next()? else {
            if records.len() < bounds.records && next < topic.next {
                expect_offset(&topic, next, topic.next)?;
            }
            break;
        };
        let record = record_of(row, &topic.name)?;
        expect_offset(&topic, next, record.offset.0)?;
        bytes += size(&record.key, record.value.as_ref(), &record.headers);
        records.push(record);
    }
    Ok(Read::Page {
        records,
        end: topic.next,
    })
}

/// Appends number the records without holes and retention deletes from the front, so a hole is lost data.
fn expect_offset(topic: &TopicRow, expected: i64, found: i64) -> Result<(), Failure> {
    match topic.kind {
        TopicKind::Compacted => Ok(()),
        TopicKind::Retained(_) if found == expected => Ok(()),
        TopicKind::Retained(_) => Err(Failure::Damaged(format!(
            "topic {}, offset {expected}: the record is missing, the next one is {found}",
            topic.name
        ))),
    }
}

/// Reads the last record of every key of a compacted topic, tombstones included, and where the topic ended. One transaction:
/// a key that is written again meanwhile moves to the end, and must not be missed between two reads.
pub(super) fn newest(
    db: &Connection,
    id: TopicId,
) -> Result<(BTreeMap<String, Record>, i64), Failure> {
    let snapshot = db.unchecked_transaction()?;
    let topic = store::topic(&snapshot, id)?;
    let mut statement = snapshot.prepare_cached(&format!(
        "SELECT {COLUMNS} WHERE position >= ?1 AND position < ?2 ORDER BY position"
    ))?;
    let mut rows = statement.query(params![id.at(0), id.end()])?;
    let mut newest = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let record = record_of(row, &topic.name)?;
        newest.insert(record.key.clone(), record);
    }
    Ok((newest, topic.next))
}

/// Returns what a record counts for in every bound.
pub(super) fn size(key: &str, value: Option<&Bytes>, headers: &[(String, String)]) -> usize {
    let headers: usize = headers.iter().map(|(k, v)| k.len() + v.len()).sum();
    key.len() + value.map_or(0, Bytes::len) + headers
}

fn headers_text(headers: &[(String, String)]) -> String {
    serde_json::to_string(headers).expect("invariant: pairs of strings always have a JSON form")
}

/// Deletes what is older than `cutoff_ms` from the front of the topic, at most `limit` records. Returns the new first offset
/// when something went. Runs in a transaction of the caller.
pub(super) fn expire(
    db: &Connection,
    topic: &TopicRow,
    cutoff_ms: i64,
    limit: usize,
) -> Result<Option<i64>, Failure> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut first = topic.first;
    {
        let mut statement = db.prepare_cached(
            "SELECT position, appended_at_ms FROM records WHERE position >= ?1 AND position < ?2 ORDER BY position LIMIT ?3",
        )?;
        let mut rows = statement.query(params![topic.id.at(0), topic.id.end(), limit])?;
        while let Some(row) = rows.next()? {
            if row.get::<_, i64>(1)? >= cutoff_ms {
                break;
            }
            first = offset_of(row.get(0)?) + 1;
        }
    }
    if first == topic.first {
        return Ok(None);
    }
    db.prepare_cached("DELETE FROM records WHERE position >= ?1 AND position < ?2")?
        .execute(params![topic.id.at(0), topic.id.at(first)])?;
    store::put_topic_row(
        db,
        &TopicRow {
            first,
            ..topic.clone()
        },
    )?;
    Ok(Some(first))
}

/// Deletes tombstones of a compacted topic that are older than `cutoff_ms`.
pub(super) fn expire_tombstones(
    db: &Connection,
    topic: TopicId,
    cutoff_ms: i64,
) -> Result<usize, Failure> {
    let deleted = db
        .prepare_cached(
            "DELETE FROM records WHERE topic = ?1 AND compacted = 1 AND value IS NULL AND appended_at_ms < ?2",
        )?
        .execute(params![topic.0, cutoff_ms])?;
    Ok(deleted)
}
