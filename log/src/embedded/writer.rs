//! The one thread that writes. It takes whatever waits in the queue, writes it in one transaction, waits for the disk once,
//! and answers all callers (group commit).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use ccr_ops::Clock;
use ccr_schemas::TopicName;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::failure::Failure;
use super::mark::Mark;
use super::owner::Owner;
use super::problems::Problems;
use super::store::{self, Opening, TopicRow};
use super::topics::Topics;
use super::{groups, records};
use crate::error::Error;
use crate::event_log::{Committed, NewRecord, Offset, TopicKind, TopicSpec};

/// Max requests in one transaction.
const GROUP: usize = 512;
/// Time between two looks at retention, and records deleted from a topic per look.
const CLEAN_UP_EVERY: Duration = Duration::from_secs(10);
const CLEAN_UP_RECORDS: usize = 2000;
/// How long a deletion stays readable in a compacted topic, as Kafka's `delete.retention.ms`.
const TOMBSTONES_KEPT_MS: i64 = 24 * 60 * 60 * 1000;
/// Longest sleep of the idle writer; bounds how late retention starts and a lost file is noticed.
const IDLE: Duration = Duration::from_millis(500);
/// What a failed write is called.
const WRITE: &str = "write records and positions";

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
    pub path: PathBuf,
    pub db: Connection,
    pub clock: Arc<dyn Clock>,
    pub topics: Arc<Topics>,
    pub problems: Arc<Problems>,
    /// What is stored, ends included; only this thread changes it.
    pub rows: HashMap<TopicName, TopicRow>,
    /// `rows` may differ from the file: a transaction failed, and its outcome is read back before the next one.
    pub rows_in_doubt: bool,
    pub opening: Opening,
    /// `None` for a log that ends with the process.
    pub mark: Option<Mark>,
    /// Given up when the connection is closed.
    pub owner: Owner,
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
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(lost @ Failure::Lost(_)) = self.owner.check() {
                        self.problems.write_failed(&lost, WRITE);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.clock.monotonic() >= next_clean_up {
                next_clean_up = self.clock.monotonic() + CLEAN_UP_EVERY;
                self.clean_up_or_report();
            }
        }
        self.write_mark();
        let Self { db, owner, .. } = self;
        if let Err((_, error)) = db.close() {
            tracing::warn!(%error, "the embedded log did not close cleanly; nothing acknowledged is lost");
        }
        drop(owner);
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
                other @ (Command::Append { .. }
                | Command::Claim { .. }
                | Command::Commit { .. }) => {
                    writes.push(other);
                }
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
                    difference: format!("it is {have}, expected {want}"),
                });
            }
        }
        let put = self.transaction(|db, _| store::put_topic(db, spec));
        match put {
            Ok(row) => {
                self.problems.write_succeeded();
                self.topics.add(&row);
                self.rows.insert(row.name.clone(), row);
                Ok(())
            }
            Err(failure) => {
                let action = format!("create topic {}", spec.name);
                self.problems.write_failed(&failure, &action);
                Err(failure.at(&self.path, &action))
            }
        }
    }

    /// One transaction for all of `commands`.
    fn write(&mut self, commands: Vec<Command>) {
        if commands.is_empty() {
            return;
        }
        let mut pending = Vec::with_capacity(commands.len());
        let (now, path) = (self.clock.now_ms(), self.path.clone());
        let mut commands = commands.into_iter();
        let written = self.transaction(|db, rows| {
            let mut changed: HashMap<TopicName, TopicRow> = HashMap::new();
            let mut batch = Batch {
                path: &path,
                db,
                rows,
                now,
                changed: &mut changed,
                pending: &mut pending,
            };
            // After a failure the rest waits for its answer outside.
            commands
                .by_ref()
                .try_for_each(|command| batch.step(command))?;
            for row in changed.values() {
                store::put_topic_row(db, row)?;
            }
            Ok(changed)
        });
        match written {
            Ok(changed) => {
                self.problems.write_succeeded();
                for (name, row) in changed {
                    self.topics.advance(&name, row.next);
                    self.rows.insert(name, row);
                }
                pending.into_iter().for_each(Pending::succeed);
            }
            Err(failure) => {
                self.problems.write_failed(&failure, WRITE);
                pending.extend(commands.filter_map(without_effect));
                for one in pending {
                    one.fail(failure.at(&self.path, WRITE));
                }
            }
        }
    }

    /// Runs `work` in a transaction, if the file is still ours. Afterwards either everything is durable or nothing.
    fn transaction<T>(
        &mut self,
        work: impl FnOnce(&Connection, &HashMap<TopicName, TopicRow>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.owner.check()?;
        let result = self.attempt(work);
        if result.is_err() {
            // Fails again, harmlessly, when it was BEGIN that failed or SQLite has rolled back by itself.
            let rollback = self.db.execute_batch("ROLLBACK");
            tracing::debug!(?rollback, "write rolled back");
            self.rows_in_doubt = true;
        }
        result
    }

    fn attempt<T>(
        &mut self,
        work: impl FnOnce(&Connection, &HashMap<TopicName, TopicRow>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.db.execute_batch("BEGIN IMMEDIATE")?;
        store::check_opening(&self.db, &self.opening)?;
        if self.rows_in_doubt {
            for row in store::topics(&self.db)? {
                self.topics.add(&row);
                self.topics.advance(&row.name, row.next);
                self.rows.insert(row.name.clone(), row);
            }
            self.rows_in_doubt = false;
        }
        let done = work(&self.db, &self.rows)?;
        self.db.execute_batch("COMMIT")?;
        Ok(done)
    }

    fn clean_up_or_report(&mut self) {
        match self.clean_up() {
            Ok(()) => self.write_mark(),
            Err((failure, action)) => {
                let error = failure.at(&self.path, &action);
                tracing::warn!(error = %ccr_ops::task::Chain(&error), "cannot delete expired records of the embedded log, retrying");
            }
        }
    }

    fn write_mark(&mut self) {
        if !self.rows_in_doubt
            && let Some(mark) = &mut self.mark
        {
            mark.write(&self.opening, self.rows.values());
        }
    }

    fn clean_up(&mut self) -> Result<(), (Failure, String)> {
        let now = self.clock.now_ms();
        let mut deleted = false;
        let topics: Vec<(TopicName, TopicKind)> = self
            .rows
            .values()
            .map(|row| (row.name.clone(), row.kind))
            .collect();
        for (name, kind) in topics {
            let failed = |failure| (failure, format!("delete expired records of topic {name}"));
            match kind {
                TopicKind::Retained(Some(time)) => {
                    let kept = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
                    let cutoff = now.saturating_sub(kept);
                    while self.expire(&name, cutoff).map_err(failed)? {
                        deleted = true;
                    }
                }
                TopicKind::Retained(None) => {}
                TopicKind::Compacted => {
                    let cutoff = now.saturating_sub(TOMBSTONES_KEPT_MS);
                    let gone = self
                        .transaction(|db, rows| match rows.get(&name) {
                            Some(row) => records::expire_tombstones(db, row.id, cutoff),
                            None => Ok(0),
                        })
                        .map_err(failed)?;
                    deleted |= gone > 0;
                }
            }
        }
        if deleted {
            self.db
                .execute_batch("PRAGMA incremental_vacuum(2000)")
                .map_err(|error| (error.into(), "give disk space back".to_owned()))?;
        }
        Ok(())
    }

    /// Deletes some records of a topic that are older than `cutoff`. Returns whether there may be more.
    fn expire(&mut self, name: &TopicName, cutoff: i64) -> Result<bool, Failure> {
        let expired = self.transaction(|db, rows| match rows.get(name) {
            Some(row) => records::expire(db, row, cutoff, CLEAN_UP_RECORDS),
            None => Ok(None),
        })?;
        let (Some(first), Some(row)) = (expired, self.rows.get_mut(name)) else {
            return Ok(false);
        };
        let full = first - row.first >= i64::try_from(CLEAN_UP_RECORDS).unwrap_or(0);
        row.first = first;
        self.topics.expire(name, first);
        self.problems.expired(name, first);
        Ok(full)
    }
}

/// The commands of one transaction.
struct Batch<'a> {
    path: &'a Path,
    db: &'a Connection,
    rows: &'a HashMap<TopicName, TopicRow>,
    now: i64,
    /// Topics with new records.
    changed: &'a mut HashMap<TopicName, TopicRow>,
    pending: &'a mut Vec<Pending>,
}

impl Batch<'_> {
    /// Performs one command. Its answer waits in `pending`, or was given.
    fn step(&mut self, command: Command) -> Result<(), Failure> {
        match command {
            // Done apart from the others: see `Writer::handle`.
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
                let row = self.changed.entry(topic).or_insert_with(|| row.clone());
                let mut result = Ok(());
                for record in &records {
                    result = records::put(self.db, row, row.next, self.now, record);
                    if result.is_err() {
                        break;
                    }
                    row.next += 1;
                }
                let last = Offset(row.next - 1);
                self.pending.push(Pending::Append(answer, last));
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
                let (claim, result) = match groups::claim(self.db, &group, row.id) {
                    Ok((generation, committed)) => (
                        Claim {
                            generation,
                            committed,
                        },
                        Ok(()),
                    ),
                    // The matter of this group alone.
                    Err(damaged @ Failure::Damaged(_)) => {
                        drop(answer.send(Err(damaged.at(self.path, "take over a group"))));
                        return Ok(());
                    }
                    Err(failure) => (NO_CLAIM, Err(failure)),
                };
                self.pending.push(Pending::Claim(answer, claim));
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
                let result = match groups::commit(self.db, &group, row.id, generation, position) {
                    Ok(true) => Ok(()),
                    Ok(false) => {
                        drop(answer.send(Err(Error::Fenced { group, topic })));
                        return Ok(());
                    }
                    Err(damaged @ Failure::Damaged(_)) => {
                        drop(answer.send(Err(damaged.at(self.path, "commit a position"))));
                        return Ok(());
                    }
                    Err(failure) => Err(failure),
                };
                self.pending.push(Pending::Commit(answer));
                result
            }
        }
    }
}

/// Takes the place of a claim that failed: its answer is an error.
const NO_CLAIM: Claim = Claim {
    generation: -1,
    committed: None,
};

/// The answer of a command that was not performed; it can only fail.
fn without_effect(command: Command) -> Option<Pending> {
    match command {
        Command::EnsureTopic { .. } => None,
        Command::Append { answer, .. } => Some(Pending::Append(answer, Offset(-1))),
        Command::Claim { answer, .. } => Some(Pending::Claim(answer, NO_CLAIM)),
        Command::Commit { answer, .. } => Some(Pending::Commit(answer)),
    }
}
