//! A job's first start: ask for a snapshot, restore it, find where to read on. Each step is durable before the next, so
//! that a crash anywhere goes on instead of starting again.

use std::time::Duration;

use ccr_control::{JobState, ProducerRequest};
use ccr_doris::error::Refusal;
use ccr_doris::meter::WHOLE;
use ccr_doris::{Inspect, JobProgress};
use ccr_log::{GroupReader, Offset, ReaderEvent, Record};
use ccr_ops::ErrorKind;
use ccr_schemas::codec::{Codec, RecordAt};
use ccr_schemas::event::SnapshotTaken;
use ccr_schemas::{CommitSeq, Envelope, Event, TopicName};

use crate::error::{Error, full_text};
use crate::inspect;
use crate::names::Names;
use crate::plan::checkpoint::RestoreMark;
use crate::plan::ddl::quoted;
use crate::plan::patience::{Failing, Patience};
use crate::plan::state::Covered;
use crate::plan::{Checkpoint, Failure};
use crate::replace::Targets;
use crate::request::post;
use crate::restore_job::{self, Look, RestoreJob, transient};
use crate::retire;
use crate::session::{Ended, Flow, Session};
use crate::snapshot::{self, Payload};

/// First and longest pause between two attempts while the destination is away.
const MIN_PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// Longest pause after failures of other kinds: every second attempt costs the source a backup.
const MAX_PAUSE_OF_OTHERS: Duration = Duration::from_secs(60);

/// Where applying starts.
#[derive(Debug)]
pub struct Ready {
    /// First offset to read.
    pub offset: i64,
    /// As committed.
    pub checkpoint: Checkpoint,
    /// What the snapshot contains.
    pub covered: Covered,
}

/// What became of one snapshot.
enum Attempt {
    Restored(Box<Ready>),
    /// The restore ended, or did not begin.
    Failed(Failure),
    /// The snapshot itself can not be used.
    Unusable(String),
    /// Whether the restore began is not known.
    Unanswered(Failure),
}

/// Reads an envelope.
pub fn decode(topic: &TopicName, record: &Record) -> Result<Envelope, Error> {
    let at = RecordAt {
        topic,
        offset: record.offset.0,
    };
    Codec::default()
        .decode(record.value.as_deref().unwrap_or_default(), &at)
        .map_err(|source| Error::Decode {
            topic: topic.clone(),
            offset: record.offset.0,
            source: Box::new(source),
        })
}

/// What a snapshot contains, by table.
pub fn covered(snapshot: &SnapshotTaken) -> Covered {
    Covered {
        tables: snapshot
            .tables
            .iter()
            .map(|table| (table.table.id, table.commit_seq))
            .collect(),
        rest: Some(snapshot.commit_seq),
    }
}

impl Session<'_> {
    /// From nothing, or from where a process before this one was, to a restored destination.
    pub(crate) async fn bootstrap(
        &mut self,
        reader: &mut dyn GroupReader,
        committed: Option<(i64, RestoreMark)>,
    ) -> Result<Flow<Ready>, Error> {
        let topic = self.events_topic();
        let (mut offset, mut mark) = match committed {
            Some((offset, mark)) => (offset, mark),
            None => {
                let (_, end) = self.log.watermarks(&topic).await?;
                let first = RestoreMark {
                    n: 1,
                    at: None,
                    label: None,
                };
                (end.0, first)
            }
        };
        let mut failing = Failing::default();
        loop {
            let record = match mark.at {
                Some(at) => self
                    .log
                    .read_range(&topic, Offset(at), 1)
                    .await?
                    .into_iter()
                    .next(),
                None => match self.await_snapshot(reader, &topic, offset, &mark).await? {
                    Flow::On(record) => record,
                    Flow::End(end) => return Ok(Flow::End(end)),
                },
            };
            let taken = match record {
                None => None,
                Some(record) => {
                    if let Event::SnapshotTaken(taken) = decode(&topic, &record)?.event {
                        Some((record.offset.0, taken))
                    } else {
                        None
                    }
                }
            };
            let attempt = match taken {
                // The producer says why in its own status.
                None => Attempt::Failed(Failure {
                    kind: ErrorKind::Unavailable,
                    refusal: None,
                    text: "no snapshot was announced in time".to_owned(),
                }),
                Some((at, taken)) => {
                    mark.at = Some(at);
                    match self.restore(reader, at, &mut mark, &taken).await? {
                        Flow::On(attempt) => attempt,
                        Flow::End(end) => return Ok(Flow::End(end)),
                    }
                }
            };
            // By the same snapshot again, or by another one.
            let (failure, at) = match attempt {
                Attempt::Restored(ready) => return Ok(Flow::On(*ready)),
                Attempt::Unusable(text) => (transient(text), None),
                Attempt::Failed(failure) => (failure, mark.at),
                Attempt::Unanswered(failure) => {
                    let now = self.clock.now_ms();
                    self.tell(|p| p.error(Some(failure.text), now));
                    if let Flow::End(end) = self.wait(reader, MIN_PAUSE).await? {
                        return Ok(Flow::End(end));
                    }
                    continue;
                }
            };
            tracing::warn!(job = %self.spec.name, attempt = mark.n, error = %failure.text, "snapshot not restored");
            let now = self.clock.now_ms();
            self.tell(|p| p.error(Some(failure.text.clone()), now));
            if failing.count(failure.kind, Patience::RESTORE, now) {
                return Ok(Flow::End(Ended::Halted(format!(
                    "the snapshot cannot be restored: {}; repair the cause, then let the job try again with `ccr job resume {}`",
                    failure.text, self.spec.name
                ))));
            }
            let (is_same, longest) = match failure.kind {
                ErrorKind::Unavailable | ErrorKind::Throttled => (true, MAX_PAUSE),
                // It may be the snapshot, or not.
                ErrorKind::Transient
                | ErrorKind::Conflict
                | ErrorKind::Fenced
                | ErrorKind::Invalid
                | ErrorKind::Corrupt => (failing.failures % 2 == 1, MAX_PAUSE_OF_OTHERS),
            };
            mark = RestoreMark {
                n: mark.n.saturating_add(1),
                at: at.filter(|_| is_same),
                label: None,
            };
            offset = self.log.watermarks(&topic).await?.1.0;
            let pause = MIN_PAUSE * (1 << failing.failures.min(6));
            if let Flow::End(end) = self.wait(reader, pause.min(longest)).await? {
                return Ok(Flow::End(end));
            }
        }
    }

    async fn mark(
        &mut self,
        reader: &mut dyn GroupReader,
        offset: i64,
        mark: &RestoreMark,
    ) -> Result<Flow<()>, Error> {
        let checkpoint = Checkpoint {
            t: self.clock.now_ms(),
            restore: Some(mark.clone()),
            ..Checkpoint::at(CommitSeq::BEFORE_FIRST)
        };
        self.commit(reader, offset, &checkpoint).await
    }

    /// Asks, and reads from the offset noted before until the answer. `None` when none comes in time.
    async fn await_snapshot(
        &mut self,
        reader: &mut dyn GroupReader,
        topic: &TopicName,
        offset: i64,
        mark: &RestoreMark,
    ) -> Result<Flow<Option<Record>>, Error> {
        let spec = self.spec;
        let request_id = format!("{}.{}.{}", spec.name, spec.incarnation, mark.n);
        self.tell(|p| {
            p.enter(
                JobState::AwaitingSnapshot,
                format!("waiting for snapshot {request_id}"),
            )
        });
        if let Flow::End(end) = self.mark(reader, offset, mark).await? {
            return Ok(Flow::End(end));
        }
        let request = ProducerRequest::Snapshot {
            request_id: request_id.clone(),
            tables: spec.tables.include.iter().cloned().collect(),
            not_before: self.not_before(topic).await?,
        };
        post(self.log, &self.config.prefix, &spec.source, &request).await?;
        reader.seek(Offset(offset)).await?;
        let until = self.clock.monotonic() + self.config.snapshot_timeout;
        let (stop, clock) = (self.stop, self.clock);
        while clock.monotonic() < until {
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(Flow::End(Ended::Stopped)),
                event = reader.next() => event,
                () = clock.sleep(Duration::from_secs(5)) => continue,
            };
            match event {
                Ok(ReaderEvent::Record(record)) => {
                    if let Event::SnapshotTaken(taken) = decode(topic, &record)?.event
                        && taken.request_ids.contains(&request_id)
                    {
                        return Ok(Flow::On(Some(record)));
                    }
                }
                Ok(ReaderEvent::CaughtUp { end }) => self.tell(|p| p.end(end.0)),
                Ok(ReaderEvent::Assigned { .. } | ReaderEvent::Revoked) => {
                    return Ok(Flow::End(Ended::Revoked));
                }
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    let now = clock.now_ms();
                    self.tell(|p| p.error(Some(full_text(&error)), now));
                    clock.sleep(Duration::from_secs(1)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Flow::On(None))
    }

    /// A job that starts again does so because of what it has read: an older snapshot would lead it to the same place.
    async fn not_before(&self, topic: &TopicName) -> Result<i64, Error> {
        if self.spec.resync.is_none() {
            return Ok(CommitSeq::BEFORE_FIRST.0);
        }
        let newest = ccr_log::last_record(&**self.log, topic).await?;
        let newest = newest.map(|record| decode(topic, &record));
        Ok(newest
            .transpose()?
            .map_or(CommitSeq::BEFORE_FIRST, |envelope| envelope.commit_seq)
            .0)
    }

    async fn restore(
        &mut self,
        reader: &mut dyn GroupReader,
        at: i64,
        mark: &mut RestoreMark,
        taken: &SnapshotTaken,
    ) -> Result<Flow<Attempt>, Error> {
        self.tell(|p| {
            p.enter(
                JobState::Restoring,
                format!("restoring snapshot {}", taken.label),
            )
        });
        let database = self.spec.dest.database.clone();
        let create = format!("CREATE DATABASE IF NOT EXISTS {}", quoted(&database));
        self.dest.execute(None, &create).await?;
        let targets = Targets::of(self.spec, taken, mark.n);
        if !targets.objects.is_empty() {
            let attempt = format!("{}_{}", self.spec.incarnation, mark.n);
            let label = Names::of(self.spec).restore_label(&attempt);
            let running = match &mark.label {
                Some(_) => self.restore_state(&database, &label).await?.is_some(),
                None => false,
            };
            if !running {
                if mark.label.is_none() {
                    // A restore from before a resync may still run, and what it made be left.
                    retire::clear_staging(&**self.dest, &**self.clock, self.spec).await?;
                    if let Some(end) = self.refuse_existing(&database, &targets).await? {
                        return Ok(Flow::End(end));
                    }
                }
                let again = mark.label.is_some();
                let expired = taken.expires_at.0 > 0 && taken.expires_at.0 < self.clock.now_ms();
                if expired {
                    let text = format!("snapshot {} has expired", taken.label);
                    return Ok(Flow::On(Attempt::Unusable(text)));
                }
                let source = &self.spec.source;
                let topic = TopicName::snapshots(
                    &self.config.prefix,
                    &source.cluster_name,
                    &source.database,
                );
                let payload = match snapshot::fetch(self.log, &topic, taken).await {
                    Ok(payload) => payload,
                    Err(error) => return Ok(Flow::On(Attempt::Unusable(full_text(&error)))),
                };
                mark.label = Some(label.clone());
                if let Flow::End(end) = self.mark(reader, at, mark).await? {
                    return Ok(Flow::End(end));
                }
                let started = self
                    .start_restore(taken, payload, &label, &targets, again)
                    .await?;
                if let Some(attempt) = started {
                    return Ok(Flow::On(attempt));
                }
            }
            match self.follow_restore(reader, &database, &label).await? {
                Flow::On(Ok(())) => {}
                Flow::On(Err(failure)) => return Ok(failed(failure)),
                Flow::End(end) => return Ok(Flow::End(end)),
            }
            self.put_into_place(&database, &targets).await?;
        }
        self.name_leftovers(&database, &targets).await?;
        let checkpoint = Checkpoint {
            t: self.clock.now_ms(),
            base: Some(at),
            ..Checkpoint::at(CommitSeq::BEFORE_FIRST)
        };
        if let Flow::End(end) = self
            .commit(reader, taken.resume_offset, &checkpoint)
            .await?
        {
            return Ok(Flow::End(end));
        }
        Ok(Flow::On(Attempt::Restored(Box::new(Ready {
            offset: taken.resume_offset,
            checkpoint,
            covered: covered(taken),
        }))))
    }

    async fn refuse_existing(
        &self,
        database: &str,
        targets: &Targets,
    ) -> Result<Option<Ended>, Error> {
        if self.spec.replaces_existing() {
            return Ok(None);
        }
        let there = inspect::objects(&**self.dest, database).await?;
        let clash: Vec<&str> = targets
            .objects
            .iter()
            .map(|target| target.dest.as_str())
            .filter(|name| there.contains(*name))
            .collect();
        Ok((!clash.is_empty()).then(|| {
            Ended::Halted(format!(
                "destination database {database} has {} already; drop or rename what is there and let the job try again with \
                 `ccr job resume {}`, or delete the job and create it again with allow_table_exists, which lets it replace them",
                clash.join(", "),
                self.spec.name
            ))
        }))
    }

    /// Starts the restore job. Returns what the attempt came to when it did not begin.
    async fn start_restore(
        &mut self,
        taken: &SnapshotTaken,
        payload: Payload,
        label: &str,
        targets: &Targets,
        again: bool,
    ) -> Result<Option<Attempt>, Error> {
        let token = self.sealer.open(&taken.sealed_token)?;
        // Doris removes what the snapshot does not have, by its names at the source, whoever made it.
        let clean_tables = targets.everything
            && self.spec.is_whole_database()
            && self.spec.resync.is_some_and(|resync| resync.alone);
        let how = snapshot::Restore {
            label: label.to_owned(),
            tables: targets.references(),
            replace: again || self.spec.replaces_existing(),
            clean_tables,
        };
        let request = match snapshot::restore_request(self.spec, taken, payload, &token, how) {
            Ok(request) => request,
            Err(error) => return Ok(Some(Attempt::Unusable(full_text(&error)))),
        };
        Ok(match restore_job::start(&**self.dest, &request).await {
            Ok(()) => None,
            Err(failure) if failure.refusal.is_none() => Some(Attempt::Unanswered(failure)),
            Err(failure) => Some(Attempt::Failed(failure)),
        })
    }

    /// Brings what was restored aside into its place.
    async fn put_into_place(&self, database: &str, targets: &Targets) -> Result<(), Error> {
        if targets.objects.iter().all(|target| target.aside.is_none()) {
            return Ok(());
        }
        let there = inspect::objects(&**self.dest, database).await?;
        for statement in targets.into_place(&there) {
            self.dest.execute(Some(database), &statement).await?;
        }
        Ok(())
    }

    /// Looks until the restore job ended.
    async fn follow_restore(
        &mut self,
        reader: &mut dyn GroupReader,
        database: &str,
        label: &str,
    ) -> Result<Flow<Result<(), Failure>>, Error> {
        let (dest, clock) = (self.dest.clone(), self.clock.clone());
        let mut job = RestoreJob::new(&*dest, &*clock, database, label);
        loop {
            let now = clock.now_ms();
            match job.look().await {
                Look::Finished => return Ok(Flow::On(Ok(()))),
                Look::Failed(failure) => return Ok(Flow::On(Err(failure))),
                Look::Unknown(text) => self.tell(|p| p.error(Some(text), now)),
                Look::Going {
                    text,
                    done,
                    trouble,
                } => self.tell(|p| {
                    p.error(trouble, now);
                    p.advance(format!("restoring: {text}"), Some((done, WHOLE)));
                }),
            }
            if let Flow::End(end) = self.wait(reader, self.config.poll_interval).await? {
                return Ok(Flow::End(end));
            }
        }
    }

    async fn restore_state(
        &self,
        database: &str,
        label: &str,
    ) -> Result<Option<JobProgress>, ccr_doris::Error> {
        match self.dest.show_restore(database, label).await {
            Err(error) if error.refusal() == Some(Refusal::UnknownDatabase) => Ok(None),
            other => other,
        }
    }

    /// Waits, hears a wish to stop, and checks that the topic is still ours.
    async fn wait(
        &mut self,
        reader: &mut dyn GroupReader,
        time: Duration,
    ) -> Result<Flow<()>, Error> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => return Ok(Flow::End(Ended::Stopped)),
            () = self.clock.sleep(time) => {}
        }
        self.confirm_ownership(reader).await
    }
}

fn failed(failure: Failure) -> Flow<Attempt> {
    Flow::On(Attempt::Failed(failure))
}
