//! Brings one table by a snapshot of its own: ask, wait for the announcement, restore aside, put into place.
//!
//! Nothing of an attempt is durable here. An attempt that ends anywhere, also by the death of the process, is followed by
//! another with a newer snapshot: what it left aside is dropped first, and what it put into place is replaced.

use std::sync::Arc;
use std::time::Duration;

use ccr_control::{JobSpec, ProducerRequest, TableFilter};
use ccr_doris::ddl::{ObjectName, ident};
use ccr_doris::{Inspect, ddl as sql};
use ccr_log::{Offset, SharedLog};
use ccr_ops::{Clock, ErrorKind, Sealer};
use ccr_schemas::event::{SnapshotTaken, TableRef};
use ccr_schemas::{CommitSeq, Event, TableId, TopicName};
use tokio::sync::Mutex;

use crate::bootstrap::decode;
use crate::destination::Destination;
use crate::error::{Error, full_text};
use crate::names::Names;
use crate::perform::failure;
use crate::plan::Failure;
use crate::plan::state::Renewal;
use crate::request::post;
use crate::restore_job::{self, Look, RestoreJob, transient};
use crate::snapshot;

/// Events read at once while waiting for an announcement.
const PAGE: usize = 500;
/// Pause between two looks at the log or at the restore job.
const PAUSE: Duration = Duration::from_millis(200);
/// How long the event is waited for that says what a table is called that a snapshot did not find under its name.
const GRACE: Duration = Duration::from_secs(60);

/// Renews tables of one job.
#[derive(Clone)]
pub struct Renewer {
    pub(crate) log: SharedLog,
    pub(crate) sealer: Sealer,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) dest: Arc<dyn Destination>,
    pub(crate) spec: Arc<JobSpec>,
    /// First part of topic names.
    pub(crate) prefix: String,
    /// Longest wait for a snapshot.
    pub(crate) snapshot_timeout: Duration,
    /// Doris runs one restore job per database.
    pub(crate) one_restore: Arc<Mutex<()>>,
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// Events of the table up to here are in place.
    UpTo(CommitSeq),
    /// An event at this position drops the table: the source has nothing to bring.
    DroppedAt(CommitSeq),
}

/// What the events tell while a snapshot is waited for.
enum Told {
    Snapshot {
        taken: Box<SnapshotTaken>,
        /// Name of the table at the position from which on events were read, where one of them changed it before the request.
        first_name: Option<String>,
    },
    DroppedAt(CommitSeq),
}

impl Renewer {
    /// One attempt; `from` is the offset behind the event.
    ///
    /// # Errors
    /// [`Failure`]: another attempt may do, unless its kind says otherwise.
    pub async fn renew(
        &self,
        seq: CommitSeq,
        renewal: &Renewal,
        from: Offset,
    ) -> Result<Renewed, Failure> {
        let (names, incarnation) = (Names::of(&self.spec), &self.spec.incarnation);
        let attempt = format!("t{}_{seq}.{}", renewal.table, self.clock.now_ms());
        let asked = format!("{}.{incarnation}.{attempt}", self.spec.name);
        let aside = names.staging_table(&format!("{incarnation}_{seq}"), &renewal.dest);
        let label = names.restore_label(&attempt.replace('.', "_"));
        let (taken, first_name) = match self.ask(&asked, seq, renewal, from).await? {
            Told::Snapshot { taken, first_name } => (taken, first_name),
            Told::DroppedAt(at) => {
                self.clear_away(&aside).await?;
                return Ok(Renewed::DroppedAt(at));
            }
        };
        // By id: the table may have another name by now, and another table its name.
        let found = taken
            .tables
            .iter()
            .find(|table| table.table.id == renewal.table);
        let Some(found) = found else {
            return Err(transient(format!("the snapshot lacks {}", renewal.name)));
        };
        let name = &found.table.name;
        let _one = self.one_restore.lock().await;
        self.restore(&label, &taken, name, &aside).await?;
        // Under the name it had at the event, whatever it is called at the source by now: the events that say so are still to come.
        let dest = match first_name {
            Some(name) => self
                .spec
                .dest
                .table_names
                .get(&name)
                .cloned()
                .unwrap_or(name),
            None => renewal.dest.clone(),
        };
        self.put_into_place(&aside, &dest).await?;
        tracing::info!(job = %self.spec.name, table = name, position = found.commit_seq.0,
                       reason = renewal.reason, "table renewed by a snapshot");
        Ok(Renewed::UpTo(found.commit_seq))
    }

    /// Reads the events behind the one that needs the snapshot, asks by the name that the table has by then, and reads on until
    /// the answer, or until an event says that there will be none.
    async fn ask(
        &self,
        asked: &str,
        seq: CommitSeq,
        renewal: &Renewal,
        from: Offset,
    ) -> Result<Told, Failure> {
        let source = &self.spec.source;
        let topic = TopicName::events(&self.prefix, &source.cluster_name, &source.database);
        let (mut name, mut not_before) = (renewal.name.clone(), seq);
        // A person wants what the table is now, and a snapshot that is older than anything applied would take rows away.
        let is_asked = renewal.request.is_some();
        let mut first_name = None;
        let first = asked;
        let mut asked = Vec::new();
        let mut until = self.clock.monotonic() + self.snapshot_timeout;
        let mut next = from;
        while self.clock.monotonic() < until {
            let records = self
                .log
                .read_range(&topic, next, PAGE)
                .await
                .map_err(of_log)?;
            for record in &records {
                next = Offset(record.offset.0 + 1);
                let envelope = decode(&topic, record).map_err(|error| of(&error))?;
                if is_asked && asked.is_empty() {
                    not_before = not_before.max(envelope.commit_seq);
                }
                match told(envelope.event, &asked, renewal.table, &self.spec.tables) {
                    Word::Nothing => {}
                    Word::Snapshot(taken) => return Ok(Told::Snapshot { taken, first_name }),
                    Word::Dropped => {
                        self.withdraw(&asked).await?;
                        return Ok(Told::DroppedAt(envelope.commit_seq));
                    }
                    // One taken before is still announced; by the old name there will be no other.
                    Word::Renamed { old, new } => {
                        // The person named the table as it was called then; the event that says so may not be applied yet.
                        if is_asked && first_name.is_none() {
                            let is_known = asked.is_empty() || new == renewal.name;
                            let before = if is_known { old } else { renewal.name.clone() };
                            first_name = Some(before).filter(|name| !name.is_empty());
                        }
                        (name, not_before) = (new, envelope.commit_seq);
                        until = self.clock.monotonic() + self.snapshot_timeout;
                        if !asked.is_empty() {
                            let again = format!("{first}.{}", asked.len());
                            self.post_snapshot(&again, &name, not_before).await?;
                            asked.push(again);
                        }
                    }
                    // The name is another table's by now; the event that says how this one is called is on its way.
                    Word::OtherTable => until = until.min(self.clock.monotonic() + GRACE),
                }
            }
            if records.len() < PAGE && asked.is_empty() {
                self.post_snapshot(first, &name, not_before).await?;
                asked.push(first.to_owned());
            } else if records.len() < PAGE {
                self.clock.sleep(PAUSE).await;
            }
        }
        self.withdraw(&asked).await?;
        Err(transient(format!(
            "no snapshot of {name} was announced within {} s; see `ccr job status` for what the producer says",
            self.snapshot_timeout.as_secs()
        )))
    }

    async fn post_snapshot(&self, asked: &str, name: &str, seq: CommitSeq) -> Result<(), Failure> {
        self.post(ProducerRequest::Snapshot {
            request_id: asked.to_owned(),
            tables: vec![name.to_owned()],
            not_before: seq.0,
        })
        .await
    }

    async fn withdraw(&self, asked: &[String]) -> Result<(), Failure> {
        for request_id in asked {
            self.post(ProducerRequest::Withdraw {
                request_id: request_id.clone(),
            })
            .await?;
        }
        Ok(())
    }

    async fn post(&self, request: ProducerRequest) -> Result<(), Failure> {
        post(&self.log, &self.prefix, &self.spec.source, &request)
            .await
            .map_err(|error| of(&error))
    }

    async fn restore(
        &self,
        label: &str,
        taken: &SnapshotTaken,
        name: &str,
        aside: &str,
    ) -> Result<(), Failure> {
        let source = &self.spec.source;
        let database = &self.spec.dest.database;
        let topic = TopicName::snapshots(&self.prefix, &source.cluster_name, &source.database);
        let damaged = |error: snapshot::SnapshotError| Failure {
            kind: ErrorKind::Transient,
            refusal: None,
            text: full_text(&error),
        };
        let payload = snapshot::fetch(&self.log, &topic, taken)
            .await
            .map_err(damaged)?;
        let token = self.sealer.open(&taken.sealed_token);
        let token = token.map_err(|error| of(&error.into()))?;
        let how = snapshot::Restore {
            label: label.to_owned(),
            tables: vec![(name.to_owned(), Some(aside.to_owned()))],
            replace: false,
            clean_tables: false,
        };
        let request =
            snapshot::restore_request(&self.spec, taken, payload, &token, how).map_err(damaged)?;
        self.drop_aside(aside).await?;
        restore_job::start(&*self.dest, &request).await?;
        self.follow(database, label).await
    }

    /// What an attempt of a process before this one may have left, and nobody will put into place: also what its job is still making.
    async fn clear_away(&self, aside: &str) -> Result<(), Failure> {
        let _one = self.one_restore.lock().await;
        let database = &self.spec.dest.database;
        let running = self.dest.restore_running(database).await;
        if let Some(label) = running.map_err(|error| failure(&error))? {
            return Err(Failure {
                kind: ErrorKind::Throttled,
                refusal: None,
                text: format!("restore job {label} of an earlier attempt has not ended"),
            });
        }
        self.drop_aside(aside).await
    }

    async fn drop_aside(&self, aside: &str) -> Result<(), Failure> {
        let drop = format!("DROP TABLE IF EXISTS {} FORCE", ident(aside));
        self.dest
            .execute(Some(&self.spec.dest.database), &drop)
            .await
            .map_err(|error| failure(&error))
    }

    async fn follow(&self, database: &str, label: &str) -> Result<(), Failure> {
        let mut job = RestoreJob::new(&*self.dest, &*self.clock, database, label);
        loop {
            match job.look().await {
                Look::Finished => return Ok(()),
                Look::Failed(failure) => return Err(failure),
                Look::Unknown(_) | Look::Going { .. } => self.clock.sleep(PAUSE).await,
            }
        }
    }

    async fn put_into_place(&self, aside: &str, dest: &str) -> Result<(), Failure> {
        let database = &self.spec.dest.database;
        let name = |name| ObjectName {
            database: None,
            name,
        };
        let there = self.objects(database).await?;
        let statement = if there.iter().any(|found| found == dest) {
            sql::replace_table(name(dest), aside, false)
        } else {
            sql::rename_table(name(aside), dest)
        };
        let Err(error) = self.dest.execute(Some(database), &statement).await else {
            return Ok(());
        };
        // The answer may be lost, and the effect there: then nothing stands aside any more.
        let there = self.objects(database).await?;
        if error.kind() == ErrorKind::Unavailable && !there.iter().any(|found| found == aside) {
            return Ok(());
        }
        Err(failure(&error))
    }

    async fn objects(&self, database: &str) -> Result<Vec<String>, Failure> {
        self.dest
            .objects(database)
            .await
            .map_err(|error| failure(&error))
    }
}

/// What an event says about a renewal.
enum Word {
    Nothing,
    Snapshot(Box<SnapshotTaken>),
    Dropped,
    /// By itself, or in exchange for another table.
    Renamed {
        old: String,
        new: String,
    },
    /// The snapshot that was asked for has another table of that name.
    OtherTable,
}

fn told(event: Event, asked: &[String], table: TableId, filter: &TableFilter) -> Word {
    if let Event::SnapshotTaken(taken) = event {
        let is_ours = taken.request_ids.iter().any(|id| asked.contains(id));
        let has_table = taken.tables.iter().any(|found| found.table.id == table);
        return match (is_ours, has_table) {
            (true, true) => Word::Snapshot(Box::new(taken)),
            (true, false) => Word::OtherTable,
            (false, _) => Word::Nothing,
        };
    }
    if let Event::TableDropped(dropped) = &event {
        return if dropped.table.id == table {
            Word::Dropped
        } else {
            Word::Nothing
        };
    }
    if let Event::TableReplaced(replaced) = &event {
        let is = |one: &TableRef| one.id == table;
        let leaves = !filter.takes(&replaced.replacement.name);
        return match (is(&replaced.original), is(&replaced.replacement)) {
            // It is gone, or none of the job's tables any more: another takes its name.
            (true, _) if !replaced.swap || leaves => Word::Dropped,
            (true, _) => Word::Renamed {
                old: replaced.original.name.clone(),
                new: replaced.replacement.name.clone(),
            },
            (false, true) => Word::Renamed {
                old: replaced.replacement.name.clone(),
                new: replaced.original.name.clone(),
            },
            (false, false) => Word::Nothing,
        };
    }
    if let Event::TableRenamed(renamed) = event
        && renamed.table.id == table
    {
        return Word::Renamed {
            old: if renamed.old.is_empty() {
                renamed.table.name
            } else {
                renamed.old
            },
            new: renamed.new,
        };
    }
    Word::Nothing
}

fn of_log(error: ccr_log::Error) -> Failure {
    of(&error.into())
}

fn of(error: &Error) -> Failure {
    Failure {
        kind: error.kind(),
        refusal: None,
        text: error.full_text(),
    }
}
