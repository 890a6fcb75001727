//! The one thread that writes. It takes whatever waits in the queue, writes it in one transaction, waits for the disk once,
//! and answers all callers (group commit).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use ccr_ops::Clock;
use ccr_schemas::TopicName;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::lock::FileLock;
use super::store::{self, TopicRow, failed};
use super::topics::Topics;
use crate::error::Error;
use crate::event_log::{Committed, NewRecord, Offset, TopicKind, TopicSpec};

/// Most requests in one transaction.
const GROUP: usize = 512;
/// Time between two looks at retention, and records deleted from a topic per look.
const CLEAN_UP_EVERY: Duration = Duration::from_secs(10);
const CLEAN_UP_RECORDS: usize = 2000;
/// How long a deletion stays readable in a compacted topic, as Kafka's `delete.retention.ms`.
const TOMBSTONES_KEPT_MS: i64 = 24 * 60 * 60 * 1000;
/// Longest sleep of the idle writer; bounds how late retention starts.
const IDLE: Duration = Duration::from_millis(500);

/// What a group member gets when it becomes the owner.
#[derive(Debug)]
pub(super) struct Claim {
    pub generation: i64,
    pub committed: Option<Committed>,
}

type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// What the thread is asked to do.
pub(super) enum Command {
    EnsureTopic {
        spec: TopicSpec,
        answer: Answer<()>,
    },
    Append {
        topic: TopicName,
        records: Vec<NewRecord>,
        answer: Answer<Offset>,
    },
    Claim {
        group: String,
        topic: TopicName,
        answer: Answer<Claim>,
    },
    Commit {
        group: String,
        topic: TopicName,
        generation: i64,
        position: Committed,
        answer: Answer<()>,
    },
}

/// A command and its share of the queue's bound.
pub(super) struct Request {
    pub command: Command,
    pub permit: OwnedSemaphorePermit,
}

/// An answer that waits for the disk.
enum Pending {
    Append(Answer<Offset>, Offset),
    Claim(Answer<Claim>, Claim),
    Commit(Answer<()>),
}

impl Pending {
    // The caller may have stopped waiting; then the answer has no reader and that is fine.
    fn succeed(self) {
        match self {
            Self::Append(answer, offset) => drop(answer.send(Ok(offset))),
            Self::Claim(answer, claim) => drop(answer.send(Ok(claim))),
            Self::Commit(answer) => drop(answer.send(Ok(()))),
        }
    }

    fn fail(self, error: Error) {
        match self {
            Self::Append(answer, _) => drop(answer.send(Err(error))),
            Self::Claim(answer, _) => drop(answer.send(Err(error))),
            Self::Commit(answer) => drop(answer.send(Err(error))),
        }
    }
}

/// State of the thread.
pub(super) struct Writer {
    pub db: Connection,
    pub clock: Arc<dyn Clock>,
    pub topics: Arc<Topics>,
    /// What is stored, ends included; only this thread changes it.
    pub rows: HashMap<TopicName, TopicRow>,
    /// Given up when the connection is closed.
    pub lock: Option<FileLock>,
}

impl Writer {
    /// Works until all senders are gone.
    pub(super) fn run(mut self, requests: &Receiver<Request>) {
        let mut next_clean_up = Duration::ZERO;
        loop {
            match requests.recv_timeout(IDLE) {
                Ok(first) => {
                    let mut batch = vec![first];
                    while batch.len() < GROUP
                        && let Ok(more) = requests.try_recv()
                    {
                        batch.push(more);
                    }
                    self.handle(batch);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.clock.monotonic() >= next_clean_up {
                next_clean_up = self.clock.monotonic() + CLEAN_UP_EVERY;
                if let Err(error) = self.clean_up() {
                    tracing::warn!(%error, "clean-up of the embedded log failed; it is tried again");
                }
            }
        }
        let Self { db, lock, .. } = self;
        if let Err((_, error)) = db.close() {
            tracing::warn!(%error, "the embedded log did not close cleanly; nothing acknowledged is lost");
        }
        drop(lock);
    }

    fn handle(&mut self, batch: Vec<Request>) {
        let mut writes = Vec::with_capacity(batch.len());
        let mut permits = Vec::with_capacity(batch.len());
        for Request { command, permit } in batch {
            permits.push(permit);
            match command {
                Command::EnsureTopic { spec, answer } => {
                    self.write(std::mem::take(&mut writes));
                    drop(answer.send(self.ensure_topic(&spec)));
                }
                other => writes.push(other),
            }
        }
        self.write(writes);
    }

    fn ensure_topic(&mut self, spec: &TopicSpec) -> Result<(), Error> {
        if let Some(existing) = self.rows.get(&spec.name) {
            if existing.kind == spec.kind {
                return Ok(());
            }
            let policy = |kind: TopicKind| match kind {
                TopicKind::Compacted => "compacted",
                TopicKind::Retained(_) => "kept by time",
            };
            let (have, want) = (policy(existing.kind), policy(spec.kind));
            if have != want {
                return Err(Error::TopicMismatch {
                    topic: spec.name.clone(),
                    difference: format!("it is {have}, wanted is {want}"),
                });
            }
        }
        let action = || format!("create topic {}", spec.name);
        store::put_topic(&self.db, spec).map_err(failed(action()))?;
        for row in store::topics(&self.db).map_err(failed(action()))? {
            self.topics.add(&row);
            self.rows.insert(row.name.clone(), row);
        }
        Ok(())
    }

    /// One transaction for all of `commands`.
    fn write(&mut self, commands: Vec<Command>) {
        if commands.is_empty() {
            return;
        }
        let mut pending = Vec::with_capacity(commands.len());
        let mut ends = HashMap::new();
        let written = self.transaction(commands, &mut pending, &mut ends);
        match written {
            Ok(()) => {
                for (name, end) in ends {
                    if let Some(row) = self.rows.get_mut(&name) {
                        row.next = end;
                    }
                    self.topics.advance(&name, end);
                }
                pending.into_iter().for_each(Pending::succeed);
            }
            Err(source) => {
                // Fails again, harmlessly, when it was BEGIN that failed or SQLite has rolled back by itself.
                let rollback = self.db.execute_batch("ROLLBACK");
                tracing::debug!(?rollback, "write rolled back");
                let source = Arc::new(source);
                for one in pending {
                    one.fail(Error::Unavailable {
                        action: "write to the embedded log (is the disk full?)".to_owned(),
                        source: Box::new(Arc::clone(&source)),
                    });
                }
            }
        }
    }

    fn transaction(
        &self,
        commands: Vec<Command>,
        pending: &mut Vec<Pending>,
        ends: &mut HashMap<TopicName, i64>,
    ) -> rusqlite::Result<()> {
        let mut result = self.db.execute_batch("BEGIN IMMEDIATE");
        for command in commands {
            // After a failure the rest is still queued for an answer, and only that.
            let step = self.step(command, result.is_ok(), pending, ends);
            if result.is_ok() {
                result = step;
            }
        }
        result?;
        for (name, end) in ends.iter() {
            if let Some(row) = self.rows.get(name) {
                store::put_next_offset(&self.db, row.id, *end)?;
            }
        }
        self.db.execute_batch("COMMIT")
    }

    fn step(
        &self,
        command: Command,
        healthy: bool,
        pending: &mut Vec<Pending>,
        ends: &mut HashMap<TopicName, i64>,
    ) -> rusqlite::Result<()> {
        match command {
            Command::EnsureTopic { .. } => Ok(()),
            Command::Append {
                topic,
                records,
                answer,
            } => {
                let Some(row) = self.rows.get(&topic) else {
                    drop(answer.send(Err(Error::UnknownTopic(topic))));
                    return Ok(());
                };
                let start = *ends.get(&topic).unwrap_or(&row.next);
                let now = self.clock.now_ms();
                let mut result = Ok(());
                let mut next = start;
                for record in records.iter().take_while(|_| healthy) {
                    result = store::put_record(&self.db, row, next, now, record);
                    if result.is_err() {
                        break;
                    }
                    next += 1;
                }
                ends.insert(topic, next);
                pending.push(Pending::Append(answer, Offset(next - 1)));
                result
            }
            Command::Claim {
                group,
                topic,
                answer,
            } => {
                let Some(row) = self.rows.get(&topic) else {
                    drop(answer.send(Err(Error::UnknownTopic(topic))));
                    return Ok(());
                };
                let claimed = store::claim(&self.db, &group, row.id).and_then(|generation| {
                    let committed = store::committed(&self.db, &group, row.id)?;
                    Ok(Claim {
                        generation,
                        committed,
                    })
                });
                let (claim, result) = match claimed {
                    Ok(claim) => (claim, Ok(())),
                    Err(error) => (
                        Claim {
                            generation: -1,
                            committed: None,
                        },
                        Err(error),
                    ),
                };
                pending.push(Pending::Claim(answer, claim));
                result
            }
            Command::Commit {
                group,
                topic,
                generation,
                position,
                answer,
            } => {
                let Some(row) = self.rows.get(&topic) else {
                    drop(answer.send(Err(Error::UnknownTopic(topic))));
                    return Ok(());
                };
                match store::put_committed(&self.db, &group, row.id, generation, &position) {
                    Ok(true) => {
                        pending.push(Pending::Commit(answer));
                        Ok(())
                    }
                    Ok(false) => {
                        drop(answer.send(Err(Error::Fenced { group, topic })));
                        Ok(())
                    }
                    Err(error) => {
                        pending.push(Pending::Commit(answer));
                        Err(error)
                    }
                }
            }
        }
    }

    fn clean_up(&mut self) -> Result<(), Error> {
        let now = self.clock.now_ms();
        let mut deleted = false;
        for row in self.rows.values_mut() {
            let action = || format!("delete expired records of {}", row.name);
            match row.kind {
                TopicKind::Retained(Some(time)) => {
                    let cutoff =
                        now.saturating_sub(i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
                    loop {
                        let tx = self.db.unchecked_transaction().map_err(failed(action()))?;
                        let first = store::expire(&tx, row, cutoff, CLEAN_UP_RECORDS)
                            .map_err(failed(action()))?;
                        tx.commit().map_err(failed(action()))?;
                        let Some(first) = first else { break };
                        let full =
                            first - row.first >= i64::try_from(CLEAN_UP_RECORDS).unwrap_or(0);
                        row.first = first;
                        self.topics.expire(&row.name, first);
                        deleted = true;
                        if !full {
                            break;
                        }
                    }
                }
                TopicKind::Retained(None) => {}
                TopicKind::Compacted => {
                    let gone = store::expire_tombstones(
                        &self.db,
                        row.id,
                        now.saturating_sub(TOMBSTONES_KEPT_MS),
                    )
                    .map_err(failed(action()))?;
                    deleted |= gone > 0;
                }
            }
        }
        if deleted {
            self.db
                .execute_batch("PRAGMA incremental_vacuum(2000)")
                .map_err(failed("give disk space back"))?;
        }
        Ok(())
    }
}
