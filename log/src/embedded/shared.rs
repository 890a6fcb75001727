//! What the handles and readers of a log share: the way to the writer, and reads.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ccr_ops::Clock;
use ccr_schemas::TopicName;
use futures::future::BoxFuture;
use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use super::failure::Failure;
use super::pool::Pool;
use super::problems::Problems;
use super::records::{self, Bounds, Read};
use super::topics::{TopicView, Topics};
use super::writer::{Claim, Command, Request};
use crate::error::Error;
use crate::event_log::{Committed, Offset, Record};

/// Bound of every call.
const CALL_SECONDS: u64 = 30;
/// The queue's bound in KiB, and what the smallest request counts for; together they bound the number of requests.
pub(super) const QUEUE_KIB: usize = 64 * 1024;
pub(super) const LEAST_KIB: usize = 64;
/// What a failed read is called.
pub(super) const READ: &str = "read records";

/// A query under way.
pub(super) type Query<T> = BoxFuture<'static, Result<T, Error>>;

/// Records, and the end of the topic when they were read.
#[derive(Debug)]
pub(super) struct Page {
    pub records: Vec<Record>,
    pub end: i64,
}

pub(super) type Line = Arc<tokio::sync::Mutex<()>>;

/// What handles and readers share. The file closes with the last of them.
pub(super) struct Inner {
    pub path: PathBuf,
    pub clock: Arc<dyn Clock>,
    pub topics: Arc<Topics>,
    pub problems: Arc<Problems>,
    pub queue: Arc<Semaphore>,
    pub sender: Option<SyncSender<Request>>,
    pub thread: Option<thread::JoinHandle<()>>,
    pub pool: Arc<Pool>,
    /// Who waits for which group's topic.
    pub lines: Mutex<HashMap<(String, TopicName), Line>>,
    pub _directory: Option<tempfile::TempDir>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.sender = None;
        self.pool.close();
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
    pub(super) async fn ask<T>(
        &self,
        action: &str,
        bytes: usize,
        command: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Command,
    ) -> Result<T, Error> {
        let gone = || Error::Unavailable {
            action: action.to_owned(),
            source: "the writer thread of the embedded log has ended".into(),
        };
        if let Some(lost) = self.problems.lost(action) {
            return Err(lost);
        }
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

    pub(super) async fn claim(&self, group: String, topic: TopicName) -> Result<Claim, Error> {
        self.ask("take over a group", 0, |answer| Command::Claim {
            group,
            topic,
            answer,
        })
        .await
    }

    pub(super) async fn commit(
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

    pub(super) fn line_of(&self, group: &str, topic: &TopicName) -> Line {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.retain(|_, line| Arc::strong_count(line) > 1);
        Arc::clone(lines.entry((group.to_owned(), topic.clone())).or_default())
    }

    /// Runs a query on a reading connection.
    pub(super) fn query<T: Send + 'static>(
        self: &Arc<Self>,
        action: &'static str,
        query: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Query<T> {
        let inner = Arc::clone(self);
        let answer = self.pool.query(query);
        Box::pin(async move {
            if let Some(lost) = inner.problems.lost(action) {
                return Err(lost);
            }
            answer
                .await
                .map_err(|failure| failure.at(&inner.path, action))
        })
    }

    /// Reads from `from` on. What was read lies below the published end when this answers.
    pub(super) fn read(
        self: &Arc<Self>,
        topic: &Arc<TopicView>,
        from: i64,
        bounds: Bounds,
    ) -> Query<Page> {
        let (inner, topic) = (Arc::clone(self), Arc::clone(topic));
        let id = topic.id;
        let problems = Arc::clone(&self.problems);
        let name = topic.name.clone();
        let answer = self.query(READ, move |db| {
            records::read(db, id, from, bounds)
                .inspect_err(|failure| problems.read_failed(failure, &name, from, READ))
        });
        Box::pin(async move {
            match answer.await? {
                Read::Page { records, end } => {
                    let next = records.last().map_or(from, |record| record.offset.0 + 1);
                    inner.problems.read_succeeded(&topic.name, from, next);
                    topic.reached(end);
                    Ok(Page { records, end })
                }
                Read::Gone { first } => Err(Error::OffsetGone {
                    topic: topic.name.clone(),
                    wanted: Offset(from),
                    oldest: Offset(first),
                }),
            }
        })
    }

    /// Waits for a query, within the bound of a call.
    pub(super) async fn joined<T>(&self, query: &mut Query<T>) -> Result<T, Error> {
        match tokio::time::timeout(Duration::from_secs(CALL_SECONDS), query).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Timeout {
                action: "read the embedded log".to_owned(),
                seconds: CALL_SECONDS,
            }),
        }
    }

    /// A position outside of what is kept is an error, never a silent jump.
    pub(super) fn check_position(
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
