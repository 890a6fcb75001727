//! One SQLite file, one process.
//!
//! `append -> queue -> writer thread -> fsync -> bell -> readers`
//!
//! Read in this order: `store` (tables and statements), `writer` (the one writing thread), `topics` (what readers see
//! without asking the file), `reader` (group members), `lock`.

mod lock;
mod reader;
mod store;
mod topics;
mod writer;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use ccr_ops::{Clock, SystemClock};
use ccr_schemas::TopicName;
use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

use self::lock::FileLock;
use self::reader::EmbeddedReader;
use self::store::{Bounds, Durability, failed, size_of_record};
use self::topics::{TopicView, Topics};
use self::writer::{Claim, Command, Request, Writer};
use crate::error::Error;
use crate::event_log::{
    Committed, EventLog, GroupReader, MAX_RECORD_BYTES, NewRecord, Offset, Record, SharedLog,
    TopicSpec,
};
use crate::metrics;
use crate::newest::{self, Newest};

/// Bound of every call.
const CALL_SECONDS: u64 = 30;
/// The queue's bound in KiB, and what the smallest request counts for; together they bound the number of requests.
const QUEUE_KIB: usize = 64 * 1024;
const LEAST_KIB: usize = 64;
/// Most bytes of one `read_range`.
const RANGE_BYTES: usize = 32 * 1024 * 1024;
/// Idle connections kept for reading.
const READERS_KEPT: usize = 8;

/// The log of one machine.
pub struct Embedded {
    inner: Arc<Inner>,
}

impl Embedded {
    /// Opens the file, or makes it. Everything acknowledged by [`EventLog::append`] and [`GroupReader::commit`] is on disk and
    /// survives the end of the process and of the machine.
    ///
    /// # Errors
    /// [`Error::Config`] when another process has it open, or it was written by a newer build; [`Error::Corrupt`];
    /// [`Error::Unavailable`] when the file can not be made.
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
        let unavailable = |source: std::io::Error| Error::Unavailable {
            action: format!("open the embedded log {}", path.display()),
            source: Box::new(source),
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(unavailable)?;
        }
        let lock = FileLock::take(path)?;
        let db = store::open_writer(path, durability)?;
        let topics = Arc::new(Topics::default());
        let mut rows = HashMap::new();
        for row in store::topics(&db).map_err(failed("read the topics"))? {
            topics.add(&row);
            rows.insert(row.name.clone(), row);
        }
        let writer = Writer {
            db,
            clock: Arc::clone(&clock),
            topics: Arc::clone(&topics),
            rows,
            lock: Some(lock),
        };
        let (sender, receiver) = sync_channel(QUEUE_KIB / LEAST_KIB);
        let thread = thread::Builder::new()
            .name("ccr-log-writer".to_owned())
            .spawn(move || writer.run(&receiver))
            .map_err(unavailable)?;
        Ok(Arc::new(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                clock,
                topics,
                queue: Arc::new(Semaphore::new(QUEUE_KIB)),
                sender: Some(sender),
                thread: Some(thread),
                idle: Mutex::new(Vec::new()),
                lines: Mutex::new(HashMap::new()),
                _directory: directory,
            }),
        }))
    }
}

type Line = Arc<tokio::sync::Mutex<()>>;

/// What handles and readers share. The file closes with the last of them.
struct Inner {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    topics: Arc<Topics>,
    queue: Arc<Semaphore>,
    sender: Option<SyncSender<Request>>,
    thread: Option<thread::JoinHandle<()>>,
    idle: Mutex<Vec<Connection>>,
    /// Who waits for which group's topic.
    lines: Mutex<HashMap<(String, TopicName), Line>>,
    _directory: Option<tempfile::TempDir>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.sender = None;
        self.idle
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        // Bounded by one transaction: with the sender gone the thread ends after what it has in hand.
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(path = %self.path.display(), "the writer of the embedded log panicked");
        }
    }
}

impl Inner {
    /// Queues a command and waits for its answer.
    async fn ask<T>(
        &self,
        action: &str,
        bytes: usize,
        command: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Command,
    ) -> Result<T, Error> {
        let gone = || Error::Unavailable {
            action: action.to_owned(),
            source: "the writer thread of the embedded log has ended".into(),
        };
        let share = (bytes / 1024).clamp(LEAST_KIB, QUEUE_KIB);
        let work = async {
            let permit = Arc::clone(&self.queue)
                .acquire_many_owned(u32::try_from(share).unwrap_or(u32::MAX))
                .await
                .map_err(|_| gone())?;
            let (answer, answered) = oneshot::channel();
            let request = Request {
                command: command(answer),
                permit,
            };
            // Never full: the permits bound the number of requests to the channel's capacity.
            self.sender
                .as_ref()
                .ok_or_else(gone)?
                .try_send(request)
                .map_err(|_| gone())?;
            answered.await.map_err(|_| gone())?
        };
        tokio::time::timeout(Duration::from_secs(CALL_SECONDS), work)
            .await
            .map_err(|_| Error::Timeout {
                action: action.to_owned(),
                seconds: CALL_SECONDS,
            })?
    }

    async fn claim(&self, group: String, topic: TopicName) -> Result<Claim, Error> {
        self.ask("take over a group", 0, |answer| Command::Claim {
            group,
            topic,
            answer,
        })
        .await
    }

    async fn commit(
        &self,
        group: String,
        topic: TopicName,
        generation: i64,
        position: Committed,
    ) -> Result<(), Error> {
        self.ask("commit a position", position.metadata.len(), |answer| {
            Command::Commit {
                group,
                topic,
                generation,
                position,
                answer,
            }
        })
        .await
    }

    fn line_of(&self, group: &str, topic: &TopicName) -> Line {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.retain(|_, line| Arc::strong_count(line) > 1);
        Arc::clone(lines.entry((group.to_owned(), topic.clone())).or_default())
    }

    /// Runs a query on a reading connection of its own. At most one per waiting caller.
    fn query<T: Send + 'static>(
        self: &Arc<Self>,
        query: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> JoinHandle<Result<T, Error>> {
        let inner = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let kept = inner
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop();
            let db = match kept {
                Some(db) => db,
                None => store::open_reader(&inner.path)?,
            };
            let answer = query(&db);
            let mut idle = inner.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if answer.is_ok() && idle.len() < READERS_KEPT {
                idle.push(db);
            }
            answer
        })
    }

    fn read(
        self: &Arc<Self>,
        topic: &Arc<TopicView>,
        from: i64,
        bounds: Bounds,
    ) -> JoinHandle<Result<Vec<Record>, Error>> {
        let topic = Arc::clone(topic);
        self.query(move |db| store::read(db, (topic.id, &topic.name), from, bounds))
    }

    /// Waits for a query, within the bound of a call.
    async fn joined<T>(&self, query: &mut JoinHandle<Result<T, Error>>) -> Result<T, Error> {
        match tokio::time::timeout(Duration::from_secs(CALL_SECONDS), query).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(source)) => Err(Error::Unavailable {
                action: "read the embedded log".to_owned(),
                source: Box::new(source),
            }),
            Err(_) => Err(Error::Timeout {
                action: "read the embedded log".to_owned(),
                seconds: CALL_SECONDS,
            }),
        }
    }

    /// A position outside of what is kept is an error, never a silent jump.
    fn check_position(
        &self,
        topic: &TopicName,
        wanted: i64,
        first: i64,
        end: i64,
    ) -> Result<(), Error> {
        if wanted < first {
            return Err(Error::OffsetGone {
                topic: topic.clone(),
                wanted: Offset(wanted),
                oldest: Offset(first),
            });
        }
        if wanted > end {
            return Err(crate::error::beyond_the_end(
                topic,
                Offset(wanted),
                Offset(end),
            ));
        }
        Ok(())
    }
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
            let bytes = size_of_record(&record.key, record.value.as_ref(), &record.headers);
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
        self.inner.joined(&mut read).await
    }

    async fn read_compacted(&self, topic: &TopicName) -> Result<BTreeMap<String, Record>, Error> {
        let view = self.inner.topics.get(topic)?;
        let read = async {
            let mut newest = Newest::default();
            let (mut from, end) = (view.first(), view.end());
            while from < end {
                let bounds = Bounds {
                    records: 10_000,
                    bytes: RANGE_BYTES,
                };
                let mut read = self.inner.read(&view, from, bounds);
                let records = self.inner.joined(&mut read).await?;
                let Some(next) = newest.take(records) else {
                    break;
                };
                from = next;
            }
            Ok(newest.standing())
        };
        newest::whole(topic, newest::WHOLE, read).await
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
        let mut query = self.inner.query(move |db| {
            store::committed(db, &group, view.id).map_err(failed("read a group's position"))
        });
        self.inner.joined(&mut query).await
    }

    fn describe(&self) -> String {
        format!("embedded {}", self.inner.path.display())
    }
}
