//! The SQLite file: its tables, how it is opened, and every statement on records.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use ccr_schemas::TopicName;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};

use crate::error::Error;
use crate::event_log::{Committed, NewRecord, Offset, Record, TopicKind, TopicSpec};

/// Layout of the file this build reads and writes, kept in `PRAGMA user_version`.
const LAYOUT: i64 = 1;
/// Bits of a position that hold the offset; the rest holds the topic's number.
const OFFSET_BITS: u32 = 40;
/// How long a statement waits for a lock of another connection of this process.
const BUSY: Duration = Duration::from_secs(5);

/// `position` is topic << 40 | offset, so that a topic is one contiguous range of a single b-tree: an append touches the
/// right edge, a read is one scan, and large values stay out of any index. `latest` is 1 in compacted topics only.
const TABLES: &str = "
CREATE TABLE topics (
    topic INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    compacted INTEGER NOT NULL,
    retention_ms INTEGER,
    first_offset INTEGER NOT NULL,
    next_offset INTEGER NOT NULL
);
CREATE TABLE records (
    position INTEGER PRIMARY KEY,
    topic INTEGER NOT NULL,
    compacted INTEGER NOT NULL,
    appended_at_ms INTEGER NOT NULL,
    key TEXT NOT NULL,
    headers TEXT NOT NULL,
    value BLOB
);
CREATE INDEX records_by_key ON records (topic, key) WHERE compacted = 1;
CREATE TABLE groups (
    name TEXT NOT NULL,
    topic INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    next_offset INTEGER,
    metadata TEXT,
    PRIMARY KEY (name, topic)
) WITHOUT ROWID;
";

/// Number of a topic in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct TopicId(pub i64);

impl TopicId {
    fn at(self, offset: i64) -> i64 {
        (self.0 << OFFSET_BITS) | offset.clamp(0, (1 << OFFSET_BITS) - 1)
    }

    fn end(self) -> i64 {
        (self.0 + 1) << OFFSET_BITS
    }
}

/// A topic as stored.
#[derive(Clone, Debug)]
pub(super) struct TopicRow {
    pub id: TopicId,
    pub name: TopicName,
    pub kind: TopicKind,
    pub first: i64,
    pub next: i64,
}

/// Whether every commit waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// fsync before acknowledging.
    Synced,
    /// For logs that end with the process.
    Volatile,
}

/// Turns SQLite's error into ours: damage is told apart from trouble that may pass.
pub(super) fn failed(action: impl Into<String>) -> impl FnOnce(rusqlite::Error) -> Error {
    let action = action.into();
    move |source| match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            Error::Corrupt(format!("while trying to {action}: {source}"))
        }
        _ => Error::Unavailable {
            action,
            source: Box::new(source),
        },
    }
}

/// Opens for writing, making the tables when the file is new.
pub(super) fn open_writer(path: &Path, durability: Durability) -> Result<Connection, Error> {
    let action = || format!("open the embedded log {}", path.display());
    let db = Connection::open(path).map_err(failed(action()))?;
    prepare(&db, durability).map_err(failed(action()))?;
    let layout: i64 = db
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(failed(action()))?;
    match layout {
        0 => db
            .execute_batch(&format!(
                "BEGIN IMMEDIATE; {TABLES} PRAGMA user_version = {LAYOUT}; COMMIT;"
            ))
            .map_err(failed(action()))?,
        LAYOUT => {}
        other => {
            return Err(Error::Config(format!(
                "{} has layout {other}, this build knows {LAYOUT}; use the build that wrote it, or another file",
                path.display()
            )));
        }
    }
    Ok(db)
}

fn prepare(db: &Connection, durability: Durability) -> rusqlite::Result<()> {
    db.busy_timeout(BUSY)?;
    // Only takes effect on a new file, before the first table.
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match durability {
        Durability::Synced => "FULL",
        Durability::Volatile => "OFF",
    };
    db.pragma_update(None, "synchronous", synchronous)?;
    db.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    db.pragma_update(None, "cache_size", -16 * 1024)?;
    db.set_prepared_statement_cache_capacity(32);
    Ok(())
}

/// Opens one more connection for reading.
pub(super) fn open_reader(path: &Path) -> Result<Connection, Error> {
    let action = || format!("read the embedded log {}", path.display());
    // Read-write although it only reads: a WAL reader takes part in the shared memory of the file.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(failed(action()))?;
    db.busy_timeout(BUSY).map_err(failed(action()))?;
    db.pragma_update(None, "query_only", true)
        .map_err(failed(action()))?;
    db.pragma_update(None, "cache_size", -4 * 1024)
        .map_err(failed(action()))?;
    Ok(db)
}

/// All topics.
pub(super) fn topics(db: &Connection) -> rusqlite::Result<Vec<TopicRow>> {
    let mut statement = db.prepare(
        "SELECT topic, name, compacted, retention_ms, first_offset, next_offset FROM topics",
    )?;
    let rows = statement.query_map([], |row| {
        let retention: Option<i64> = row.get(3)?;
        Ok(TopicRow {
            id: TopicId(row.get(0)?),
            name: TopicName(row.get(1)?),
            kind: match row.get(2)? {
                true => TopicKind::Compacted,
                false => TopicKind::Retained(
                    retention.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0))),
                ),
            },
            first: row.get(4)?,
            next: row.get(5)?,
        })
    })?;
    rows.collect()
}

/// Creates the topic, or takes over a changed retention time. The caller has compared the clean-up policies.
pub(super) fn put_topic(db: &Connection, spec: &TopicSpec) -> rusqlite::Result<()> {
    let (compacted, retention) = match spec.kind {
        TopicKind::Compacted => (true, None),
        TopicKind::Retained(time) => (
            false,
            time.map(|t| i64::try_from(t.as_millis()).unwrap_or(i64::MAX)),
        ),
    };
    db.prepare_cached(
        "INSERT INTO topics (name, compacted, retention_ms, first_offset, next_offset) VALUES (?1, ?2, ?3, 0, 0)
         ON CONFLICT (name) DO UPDATE SET retention_ms = excluded.retention_ms",
    )?
    .execute(params![spec.name.0, compacted, retention])?;
    Ok(())
}

/// Writes one record. In a compacted topic the key's former records go at once.
pub(super) fn put_record(
    db: &Connection,
    topic: &TopicRow,
    offset: i64,
    now_ms: i64,
    record: &NewRecord,
) -> rusqlite::Result<()> {
    let compacted = topic.kind == TopicKind::Compacted;
    if compacted {
        db.prepare_cached("DELETE FROM records WHERE topic = ?1 AND key = ?2 AND compacted = 1")?
            .execute(params![topic.id.0, record.key])?;
    }
    db.prepare_cached(
        "INSERT INTO records (position, topic, compacted, appended_at_ms, key, headers, value) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        topic.id.at(offset),
        topic.id.0,
        compacted,
        now_ms,
        record.key,
        headers_text(&record.headers),
        record.value.as_deref(),
    ])?;
    Ok(())
}

/// Stores where the topic ends.
pub(super) fn put_next_offset(db: &Connection, topic: TopicId, next: i64) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE topics SET next_offset = ?2 WHERE topic = ?1")?
        .execute(params![topic.0, next])?;
    Ok(())
}

/// Most records and most bytes of one read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub records: usize,
    pub bytes: usize,
}

/// Records from `from` on, within the bounds but at least one when there is one. One transaction with the look at the
/// topic's first offset, so that records deleted meanwhile are an error and not a hole.
pub(super) fn read(
    db: &Connection,
    (topic, name): (TopicId, &TopicName),
    from: i64,
    bounds: Bounds,
) -> Result<Vec<Record>, Error> {
    let action = "read records";
    let snapshot = db.unchecked_transaction().map_err(failed(action))?;
    let first: i64 = snapshot
        .prepare_cached("SELECT first_offset FROM topics WHERE topic = ?1")
        .and_then(|mut statement| statement.query_row([topic.0], |row| row.get(0)))
        .map_err(failed(action))?;
    if from < first {
        return Err(Error::OffsetGone {
            topic: name.clone(),
            wanted: Offset(from),
            oldest: Offset(first),
        });
    }
    let mut statement = snapshot
        .prepare_cached(
            "SELECT position, appended_at_ms, key, headers, value FROM records
             WHERE position >= ?1 AND position < ?2 ORDER BY position LIMIT ?3",
        )
        .map_err(failed(action))?;
    let limit = i64::try_from(bounds.records).unwrap_or(i64::MAX);
    let mut rows = statement
        .query(params![topic.at(from), topic.end(), limit])
        .map_err(failed(action))?;
    let mut out = Vec::new();
    let mut bytes = 0;
    while bytes < bounds.bytes {
        let Some(row) = rows.next().map_err(failed(action))? else {
            break;
        };
        let position: i64 = row.get(0).map_err(failed(action))?;
        let headers: String = row.get(3).map_err(failed(action))?;
        let value: Option<Vec<u8>> = row.get(4).map_err(failed(action))?;
        let record = Record {
            offset: Offset(position & ((1 << OFFSET_BITS) - 1)),
            appended_at_ms: row.get(1).map_err(failed(action))?,
            key: row.get(2).map_err(failed(action))?,
            value: value.map(Bytes::from),
            headers: serde_json::from_str(&headers)
                .map_err(|e| Error::Corrupt(format!("headers of position {position}: {e}")))?,
        };
        bytes += size_of_record(&record.key, record.value.as_ref(), &record.headers);
        out.push(record);
    }
    Ok(out)
}

/// What a record counts for in every bound.
pub(super) fn size_of_record(
    key: &str,
    value: Option<&Bytes>,
    headers: &[(String, String)],
) -> usize {
    let headers: usize = headers.iter().map(|(k, v)| k.len() + v.len()).sum();
    key.len() + value.map_or(0, Bytes::len) + headers
}

fn headers_text(headers: &[(String, String)]) -> String {
    serde_json::to_string(headers).expect("invariant: pairs of strings always have a JSON form")
}

/// Deletes what is older than `cutoff_ms` from the front of the topic, at most `most` records. Answers the new first
/// offset when something went.
pub(super) fn expire(
    db: &Connection,
    topic: &TopicRow,
    cutoff_ms: i64,
    most: usize,
) -> rusqlite::Result<Option<i64>> {
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let mut first = topic.first;
    {
        let mut statement = db.prepare_cached(
            "SELECT position, appended_at_ms FROM records WHERE position >= ?1 AND position < ?2 ORDER BY position LIMIT ?3",
        )?;
        let mut rows = statement.query(params![topic.id.at(0), topic.id.end(), limit])?;
        while let Some(row) = rows.next()? {
            let position: i64 = row.get(0)?;
            if row.get::<_, i64>(1)? >= cutoff_ms {
                break;
            }
            first = (position & ((1 << OFFSET_BITS) - 1)) + 1;
        }
    }
    if first == topic.first {
        return Ok(None);
    }
    db.prepare_cached("DELETE FROM records WHERE position >= ?1 AND position < ?2")?
        .execute(params![topic.id.at(0), topic.id.at(first)])?;
    db.prepare_cached("UPDATE topics SET first_offset = ?2 WHERE topic = ?1")?
        .execute(params![topic.id.0, first])?;
    Ok(Some(first))
}

/// Deletes tombstones of a compacted topic that are older than `cutoff_ms`.
pub(super) fn expire_tombstones(
    db: &Connection,
    topic: TopicId,
    cutoff_ms: i64,
) -> rusqlite::Result<usize> {
    db.prepare_cached(
        "DELETE FROM records WHERE topic = ?1 AND compacted = 1 AND value IS NULL AND appended_at_ms < ?2",
    )?
    .execute(params![topic.0, cutoff_ms])
}

/// A group's durable position.
pub(super) fn committed(
    db: &Connection,
    group: &str,
    topic: TopicId,
) -> rusqlite::Result<Option<Committed>> {
    let row = db
        .prepare_cached("SELECT next_offset, metadata FROM groups WHERE name = ?1 AND topic = ?2")?
        .query_row(params![group, topic.0], |row| {
            Ok((
                row.get::<_, Option<i64>>(0)?,
                row.get::<_, Option<String>>(1)?,
            ))
        })
        .optional()?;
    Ok(row.and_then(|(offset, metadata)| {
        offset.map(|offset| Committed {
            offset: Offset(offset),
            metadata: metadata.unwrap_or_default(),
        })
    }))
}

/// Starts a new generation of the group and answers its number.
pub(super) fn claim(db: &Connection, group: &str, topic: TopicId) -> rusqlite::Result<i64> {
    db.prepare_cached(
        "INSERT INTO groups (name, topic, generation) VALUES (?1, ?2, 1)
         ON CONFLICT (name, topic) DO UPDATE SET generation = generation + 1 RETURNING generation",
    )?
    .query_row(params![group, topic.0], |row| row.get(0))
}

/// Stores the position if `generation` is still the group's. Answers whether it was.
pub(super) fn put_committed(
    db: &Connection,
    group: &str,
    topic: TopicId,
    generation: i64,
    position: &Committed,
) -> rusqlite::Result<bool> {
    let changed = db
        .prepare_cached(
            "UPDATE groups SET next_offset = ?4, metadata = ?5 WHERE name = ?1 AND topic = ?2 AND generation = ?3",
        )?
        .execute(params![
            group,
            topic.0,
            generation,
            position.offset.0,
            position.metadata
        ])?;
    Ok(changed == 1)
}
