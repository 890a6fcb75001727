//! The SQLite file: its tables, how it is opened, and its topics.

use std::path::Path;
use std::time::Duration;

use ccr_schemas::TopicName;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use super::checksum::RowSum;
use super::failure::Failure;
use crate::error::Error;
use crate::event_log::{TopicKind, TopicSpec};

/// Layout of the file this build reads and writes, kept in `PRAGMA user_version`. 2: every row has a checksum, openings are
/// counted.
const LAYOUT: i64 = 2;
/// Bits of a position that hold the offset; the rest holds the topic's number.
const OFFSET_BITS: u32 = 40;
/// How long a statement waits for a lock of another connection of this process.
const BUSY: Duration = Duration::from_secs(5);
/// Page cache of the writing connection, KiB. Appends touch the right edge of one b-tree: more would not help.
pub(super) const WRITER_CACHE_KIB: i64 = 4 * 1024;
/// Page cache of each reading connection, KiB. Reads are scans: more would not help.
pub(super) const READER_CACHE_KIB: i64 = 1024;

/// `position` is topic << 40 | offset, so that a topic is one contiguous range of a single b-tree: an append touches the
/// right edge, a read is one scan, and large values stay out of any index. `sum` is the [`RowSum`] of the row.
const TABLES: &str = "
CREATE TABLE log (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id TEXT NOT NULL,
    openings INTEGER NOT NULL
);
INSERT INTO log (one, id, openings) VALUES (1, lower(hex(randomblob(16))), 0);
CREATE TABLE topics (
    topic INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    compacted INTEGER NOT NULL,
    retention_ms INTEGER,
    first_offset INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    sum INTEGER NOT NULL
);
CREATE TABLE records (
    position INTEGER PRIMARY KEY,
    topic INTEGER NOT NULL,
    compacted INTEGER NOT NULL,
    appended_at_ms INTEGER NOT NULL,
    key TEXT NOT NULL,
    headers TEXT NOT NULL,
    value BLOB,
    sum INTEGER NOT NULL
);
CREATE INDEX records_by_key ON records (topic, key) WHERE compacted = 1;
CREATE TABLE groups (
    name TEXT NOT NULL,
    topic INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    next_offset INTEGER,
    metadata TEXT,
    sum INTEGER NOT NULL,
    PRIMARY KEY (name, topic)
) WITHOUT ROWID;
";

/// Number of a topic in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct TopicId(pub i64);

impl TopicId {
    /// Returns the position of an offset of this topic.
    pub(super) fn at(self, offset: i64) -> i64 {
        (self.0 << OFFSET_BITS) | offset.clamp(0, (1 << OFFSET_BITS) - 1)
    }

    /// Returns the position after the last possible one of this topic.
    pub(super) fn end(self) -> i64 {
        (self.0 + 1) << OFFSET_BITS
    }
}

/// Returns the offset in a position.
pub(super) fn offset_of(position: i64) -> i64 {
    position & ((1 << OFFSET_BITS) - 1)
}

/// A topic as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// Opens for writing, making the tables when the file is new.
///
/// # Errors
/// [`Error::Config`] when another build wrote the file; [`Error::Corrupt`]; [`Error::Unavailable`], [`Error::DiskFull`].
pub(super) fn open_writer(path: &Path, durability: Durability) -> Result<Connection, Error> {
    let failed = |failure: Failure| failure.at(path, "open the embedded log");
    let db = Connection::open(path).map_err(|e| failed(e.into()))?;
    prepare(&db, durability).map_err(|e| failed(e.into()))?;
    let layout: i64 = db
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|e| failed(e.into()))?;
    match layout {
        0 => db
            .execute_batch(&format!(
                "BEGIN IMMEDIATE; {TABLES} PRAGMA user_version = {LAYOUT}; COMMIT;"
            ))
            .map_err(|e| failed(e.into()))?,
        LAYOUT => {}
        other => {
            return Err(Error::Config(format!(
                "{file} has layout {other}, this build reads {LAYOUT}; use the build that wrote the file. Or move {file}* away, start \
                 again and create the jobs again: each begins with a full sync",
                file = path.display()
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
    db.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    db.set_prepared_statement_cache_capacity(32);
    Ok(())
}

/// Opens one more connection for reading.
pub(super) fn open_reader(path: &Path) -> Result<Connection, Failure> {
    // Read-write although it only reads: a WAL reader takes part in the shared memory of the file.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "query_only", true)?;
    db.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    Ok(db)
}

/// What tells this log, and this opening of it, from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    /// Random, made with the file.
    pub log: String,
    /// How often the file was opened for writing, this time included.
    pub number: i64,
}

/// Returns the openings so far.
pub(super) fn openings(db: &Connection) -> Result<Opening, Failure> {
    let opening = db
        .prepare_cached("SELECT id, openings FROM log")?
        .query_row([], |row| {
            Ok(Opening {
                log: row.get(0)?,
                number: row.get(1)?,
            })
        })?;
    Ok(opening)
}

/// Counts this opening. From here on every earlier opener fails at [`check_opening`].
pub(super) fn count_opening(db: &Connection) -> Result<Opening, Failure> {
    db.execute("UPDATE log SET openings = openings + 1", [])?;
    openings(db)
}

/// Verifies, inside a write transaction, that nobody has opened the file after this process did.
pub(super) fn check_opening(db: &Connection, ours: &Opening) -> Result<(), Failure> {
    let found = openings(db)?;
    if found == *ours {
        return Ok(());
    }
    Err(Failure::Lost(format!(
        "another process has opened the file for writing (opening {} of log {}, here it is {} of log {})",
        found.number, found.log, ours.number, ours.log
    )))
}

const TOPIC_COLUMNS: &str =
    "topic, name, compacted, retention_ms, first_offset, next_offset, sum FROM topics";

/// Returns all topics.
pub(super) fn topics(db: &Connection) -> Result<Vec<TopicRow>, Failure> {
    let mut statement = db.prepare_cached(&format!("SELECT {TOPIC_COLUMNS}"))?;
    let mut rows = statement.query([])?;
    let mut topics = Vec::new();
    while let Some(row) = rows.next()? {
        topics.push(topic_of(row)?);
    }
    Ok(topics)
}

/// Returns one topic.
pub(super) fn topic(db: &Connection, id: TopicId) -> Result<TopicRow, Failure> {
    let mut statement = db.prepare_cached(&format!("SELECT {TOPIC_COLUMNS} WHERE topic = ?1"))?;
    let mut rows = statement.query([id.0])?;
    match rows.next()? {
        Some(row) => topic_of(row),
        None => Err(Failure::Damaged(format!("topic number {} is gone", id.0))),
    }
}

fn topic_of(row: &Row<'_>) -> Result<TopicRow, Failure> {
    let retention: Option<i64> = row.get(3)?;
    let topic = TopicRow {
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
    };
    if row.get::<_, i64>(6)? != topic.sum() {
        return Err(Failure::Damaged(format!(
            "topic {}: what is stored about the topic does not match its checksum",
            topic.name
        )));
    }
    Ok(topic)
}

impl TopicRow {
    fn stored_kind(&self) -> (bool, Option<i64>) {
        match self.kind {
            TopicKind::Compacted => (true, None),
            TopicKind::Retained(time) => (
                false,
                time.map(|t| i64::try_from(t.as_millis()).unwrap_or(i64::MAX)),
            ),
        }
    }

    fn sum(&self) -> i64 {
        let (compacted, retention) = self.stored_kind();
        RowSum::of("topics")
            .int(self.id.0)
            .text(&self.name.0)
            .int(compacted.into())
            .maybe_int(retention)
            .int(self.first)
            .int(self.next)
            .finish()
    }
}

/// Creates the topic, or takes over a changed retention time, and returns the topic. The caller has compared the clean-up
/// policies. Runs in a transaction of the caller.
pub(super) fn put_topic(db: &Connection, spec: &TopicSpec) -> Result<TopicRow, Failure> {
    let known: Option<i64> = db
        .prepare_cached("SELECT topic FROM topics WHERE name = ?1")?
        .query_row([&spec.name.0], |row| row.get(0))
        .optional()?;
    let row = match known {
        Some(id) => TopicRow {
            kind: spec.kind,
            ..topic(db, TopicId(id))?
        },
        None => TopicRow {
            id: TopicId(db.query_row(
                "SELECT coalesce(max(topic), 0) + 1 FROM topics",
                [],
                |row| row.get(0),
            )?),
            name: spec.name.clone(),
            kind: spec.kind,
            first: 0,
            next: 0,
        },
    };
    put_topic_row(db, &row)?;
    Ok(row)
}

/// Stores a topic as it is now.
pub(super) fn put_topic_row(db: &Connection, row: &TopicRow) -> Result<(), Failure> {
    let (compacted, retention) = row.stored_kind();
    db.prepare_cached(
        "INSERT INTO topics (topic, name, compacted, retention_ms, first_offset, next_offset, sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (topic) DO UPDATE SET retention_ms = excluded.retention_ms, first_offset = excluded.first_offset,
         next_offset = excluded.next_offset, sum = excluded.sum",
    )?
    .execute(params![
        row.id.0,
        row.name.0,
        compacted,
        retention,
        row.first,
        row.next,
        row.sum()
    ])?;
    Ok(())
}
