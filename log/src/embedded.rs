//! One SQLite file, one process.
//!
//! `append -> queue -> writer thread -> fsync -> bell -> readers`
//!
//! Read in this order: `store` (the file and its tables), `records` and `groups` (statements on them, with `checksum`s),
//! `writer` (the one writing thread), `topics` (what readers see without asking the file), `pool` (reading connections),
//! `shared` (what handles and readers share), `reader` (group members). What can go wrong: `failure`, `problems`, `owner` (one
//! process at a time), `mark` (a log that went back in time).

mod checksum;
mod failure;
mod groups;
mod mark;
mod owner;
mod pool;
mod problems;
mod reader;
mod records;
mod shared;
mod store;
#[cfg(test)]
mod tests;
mod topics;
mod writer;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::thread;

use async_trait::async_trait;
use ccr_ops::{Clock, SystemClock};
use ccr_schemas::TopicName;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use self::failure::Failure;
use self::mark::Mark;
use self::owner::Owner;
use self::pool::Pool;
use self::problems::Problems;
use self::reader::EmbeddedReader;
use self::records::Bounds;
use self::shared::{Inner, LEAST_KIB, QUEUE_KIB, READ};
use self::store::Durability;
use self::topics::Topics;
use self::writer::{Command, Writer};
use crate::error::Error;
use crate::event_log::{
    Committed, EventLog, GroupReader, LogProblem, MAX_RECORD_BYTES, NewRecord, Offset, Record,
    SharedLog, TopicSpec,
};
use crate::{metrics, newest};

/// Max bytes of one `read_range`.
const RANGE_BYTES: usize = 32 * 1024 * 1024;

/// The log of one machine.
pub struct Embedded {
    inner: Arc<Inner>,
}

impl Embedded {
    /// Opens the file, or makes it. Everything acknowledged by [`EventLog::append`] and [`GroupReader::commit`] is on disk and
    /// survives the end of the process and of the machine.
    ///
    /// # Errors
    /// [`Error::Config`] when another process uses the folder, another build wrote the file, or the file is an older copy of the
    /// log; [`Error::Corrupt`]; [`Error::Unavailable`] and [`Error::DiskFull`] when the file cannot be made.
    pub fn open(path: impl AsRef<Path>, clock: Arc<dyn Clock>) -> Result<SharedLog, Error> {
        Self::start(path.as_ref(), clock, Durability::Synced, None)
    }

    /// A log for tests and demonstrations: it lies in a temporary directory, never waits for the disk, and is deleted with the
    /// last handle.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when there is no room for temporary files.
    pub fn in_memory() -> Result<SharedLog, Error> {
        Self::in_memory_with(SystemClock::shared())
    }

    /// [`Embedded::in_memory`] with the caller's clock.
    ///
    /// # Errors
    /// As [`Embedded::in_memory`].
    pub fn in_memory_with(clock: Arc<dyn Clock>) -> Result<SharedLog, Error> {
        let directory = tempfile::tempdir().map_err(|source| Error::Unavailable {
            action: "make a temporary directory".to_owned(),
            source: Box::new(source),
        })?;
        let path = directory.path().join("log.db");
        Self::start(&path, clock, Durability::Volatile, Some(directory))
    }

    fn start(
        path: &Path,
        clock: Arc<dyn Clock>,
        durability: Durability,
        directory: Option<tempfile::TempDir>,
    ) -> Result<SharedLog, Error> {
        let owner = Owner::take(path)?;
        let db = store::open_writer(path, durability)?;
        let mark = match durability {
            Durability::Synced => Some(Mark::of(path)),
            Durability::Volatile => None,
        };
        let parts = Parts {
            path,
            clock,
            owner,
            mark,
            directory,
        };
        Ok(Arc::new(Self {
            inner: Self::run(parts, db)?,
        }))
    }

    /// Starts the writing thread on an open file.
    fn run(parts: Parts<'_>, db: Connection) -> Result<Arc<Inner>, Error> {
        let Parts {
            path,
            clock,
            owner,
            mut mark,
            directory,
        } = parts;
        let failed = |failure: Failure| failure.at(path, "open the embedded log");
        let rows = store::topics(&db).map_err(failed)?;
        if let Some(mark) = &mark {
            mark.check(&store::openings(&db).map_err(failed)?, rows.iter())?;
        }
        let opening = store::count_opening(&db).map_err(failed)?;
        if let Some(mark) = &mut mark {
            mark.write(&opening, rows.iter());
        }
        let topics = Arc::new(Topics::default());
        rows.iter().for_each(|row| topics.add(row));
        let problems = Arc::new(Problems::new(path, Arc::clone(&clock)));
        let writer = Writer {
            path: path.to_owned(),
            db,
            clock: Arc::clone(&clock),
            topics: Arc::clone(&topics),
            problems: Arc::clone(&problems),
            rows: rows
                .into_iter()
                .map(|row| (row.name.clone(), row))
                .collect(),
            rows_in_doubt: false,
            opening,
            mark,
            owner,
        };
        let (sender, receiver) = sync_channel(QUEUE_KIB / LEAST_KIB);
        let thread = thread::Builder::new()
            .name("ccr-log-writer".to_owned())
            .spawn(move || writer.run(&receiver))
            .map_err(|error| failed(error.into()))?;
        Ok(Arc::new(Inner {
            path: path.to_owned(),
            clock,
            topics,
            problems,
            queue: Arc::new(Semaphore::new(QUEUE_KIB)),
            sender: Some(sender),
            thread: Some(thread),
            pool: Pool::of(path),
            lines: Mutex::new(HashMap::new()),
            _directory: directory,
        }))
    }
}

/// What a log is made of, apart from its file.
struct Parts<'a> {
    path: &'a Path,
    clock: Arc<dyn Clock>,
    owner: Owner,
    mark: Option<Mark>,
    directory: Option<tempfile::TempDir>,
}

#[async_trait]
impl EventLog for Embedded {
    async fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), Error> {
        self.inner
            .ask("create a topic", 0, |answer| Command::EnsureTopic {
                spec: spec.clone(),
                answer,
            })
            .await
    }

    async fn append(&self, topic: &TopicName, records: Vec<NewRecord>) -> Result<Offset, Error> {
        let view = self.inner.topics.get(topic)?;
        if records.is_empty() {
            return Ok(Offset(view.end() - 1));
        }
        let (count, mut total) = (records.len(), 0);
        for record in &records {
            let bytes = records::size(&record.key, record.value.as_ref(), &record.headers);
            total += bytes;
            if bytes > MAX_RECORD_BYTES {
                return Err(Error::RecordTooLarge {
                    topic: topic.clone(),
                    key: record.key.clone(),
                    bytes,
                    limit: MAX_RECORD_BYTES,
                });
            }
        }
        let started = self.inner.clock.monotonic();
        let last = self
            .inner
            .ask("append", total, |answer| Command::Append {
                topic: topic.clone(),
                records,
                answer,
            })
            .await?;
        let took = self.inner.clock.monotonic().saturating_sub(started);
        ::metrics::histogram!(metrics::APPEND_SECONDS, "log" => metrics::EMBEDDED).record(took);
        ::metrics::counter!(metrics::APPENDED_RECORDS, "log" => metrics::EMBEDDED)
            .increment(count as u64);
        ::metrics::counter!(metrics::APPENDED_BYTES, "log" => metrics::EMBEDDED)
            .increment(total as u64);
        Ok(last)
    }

    async fn watermarks(&self, topic: &TopicName) -> Result<(Offset, Offset), Error> {
        let view = self.inner.topics.get(topic)?;
        Ok((Offset(view.first()), Offset(view.end())))
    }

    async fn read_range(
        &self,
        topic: &TopicName,
        from: Offset,
        most: usize,
    ) -> Result<Vec<Record>, Error> {
        let view = self.inner.topics.get(topic)?;
        let (first, end) = (view.first(), view.end());
        self.inner.check_position(topic, from.0, first, end)?;
        if from.0 == end || most == 0 {
            return Ok(Vec::new());
        }
        let bounds = Bounds {
            records: most,
            bytes: RANGE_BYTES,
        };
        let mut read = self.inner.read(&view, from.0, bounds);
        Ok(self.inner.joined(&mut read).await?.records)
    }

    async fn read_compacted(&self, topic: &TopicName) -> Result<BTreeMap<String, Record>, Error> {
        let view = self.inner.topics.get(topic)?;
        let (id, name) = (view.id, view.name.clone());
        let problems = Arc::clone(&self.inner.problems);
        let read = self.inner.query(READ, move |db| {
            records::newest(db, id)
                .inspect_err(|failure| problems.read_failed(failure, &name, 0, READ))
        });
        let (mut newest, end) = newest::whole(topic, newest::WHOLE, read).await?;
        self.inner.problems.read_succeeded(topic, 0, end.max(1));
        view.reached(end);
        newest.retain(|_, record| record.value.is_some());
        Ok(newest)
    }

    async fn join(&self, group: &str, topic: &TopicName) -> Result<Box<dyn GroupReader>, Error> {
        let view = self.inner.topics.get(topic)?;
        Ok(Box::new(EmbeddedReader::new(
            Arc::clone(&self.inner),
            group,
            topic,
            view,
        )))
    }

    async fn committed(&self, group: &str, topic: &TopicName) -> Result<Option<Committed>, Error> {
        let (view, group) = (self.inner.topics.get(topic)?, group.to_owned());
        let mut query = self.inner.query("read a group's position", move |db| {
            groups::committed(db, &group, view.id)
        });
        self.inner.joined(&mut query).await
    }

    fn problems(&self) -> Vec<LogProblem> {
        self.inner.problems.list()
    }

    async fn lost(&self) -> Error {
        self.inner.problems.wait_lost().await
    }

    fn describe(&self) -> String {
        format!("embedded {}", self.inner.path.display())
    }
}
