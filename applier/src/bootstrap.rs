//! A job's first start: ask for a snapshot, restore it, find where to read on. Each step is durable before the next, so
//! that a crash anywhere goes on instead of starting again.

use std::time::Duration;

use ccr_control::{JobState, ProducerRequest};
use ccr_doris::error::Refusal;
use ccr_doris::{Inspect, JobProgress, JobState as JobPhase};
use ccr_log::{GroupReader, Offset, ReaderEvent, Record};
use ccr_ops::ErrorKind;
use ccr_schemas::codec::{Codec, RecordAt};
use ccr_schemas::event::SnapshotTaken;
use ccr_schemas::{CommitSeq, Envelope, Event, TopicName};

use crate::error::{Error, full_text};
use crate::inspect;
use crate::names::Names;
use crate::plan::Checkpoint;
use crate::plan::checkpoint::RestoreMark;
use crate::plan::ddl::quoted;
use crate::plan::state::Covered;
use crate::renew::LONGEST_RESTORE;
use crate::replace::Targets;
use crate::request::post;
use crate::session::{Ended, Flow, Session};
use crate::snapshot::{self, Payload};

/// Snapshots asked for before the job stands.
const MOST_REQUESTS: u32 = 5;

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
    /// Another one is needed.
    Unusable(String),
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
        let mut last_reason = String::new();
        while mark.n <= MOST_REQUESTS {
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
                None => Attempt::Unusable("no snapshot was announced in time".to_owned()),
                Some((at, taken)) => {
                    mark.at = Some(at);
                    match self.restore(reader, at, &mut mark, &taken).await? {
                        Flow::On(attempt) => attempt,
                        Flow::End(end) => return Ok(Flow::End(end)),
                    }
                }
            };
            match attempt {
                Attempt::Restored(ready) => return Ok(Flow::On(*ready)),
                Attempt::Unusable(reason) => {
                    tracing::warn!(job = %self.spec.name, request = mark.n, %reason, "snapshot not usable");
                    let now = self.clock.now_ms();
                    self.tell(|p| p.error(Some(reason.clone()), now));
                    last_reason = reason;
                    mark = RestoreMark {
                        n: mark.n + 1,
                        at: None,
                        label: None,
                    };
                    offset = self.log.watermarks(&topic).await?.1.0;
                    self.clock.sleep(Duration::from_millis(500)).await;
                }
            }
        }
        let how = match self.spec.resync {
            Some(_) => format!("start it again with `ccr job resync {}`", self.spec.name),
            None => "delete the job and create it again".to_owned(),
        };
        Ok(Flow::End(Ended::Halted(format!(
            "{MOST_REQUESTS} snapshots could not be restored, the last one because: {last_reason}; repair the cause, then {how}"
        ))))
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
        let (oldest, end) = self.log.watermarks(topic).await?;
        if end <= oldest {
            return Ok(CommitSeq::BEFORE_FIRST.0);
        }
        let newest = self.log.read_range(topic, Offset(end.0 - 1), 1).await?;
        let newest = newest.first().map(|record| decode(topic, record));
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
                if mark.label.is_none()
                    && let Some(end) = self.refuse_existing(&database, &targets).await?
                {
                    return Ok(Flow::End(end));
                }
                let again = mark.label.is_some();
                let expired = taken.expires_at.0 > 0 && taken.expires_at.0 < self.clock.now_ms();
                if expired {
                    return Ok(unusable(format!("snapshot {} has expired", taken.label)));
                }
                let source = &self.spec.source;
                let topic = TopicName::snapshots(
                    &self.config.prefix,
                    &source.cluster_name,
                    &source.database,
                );
                let payload = match snapshot::fetch(self.log, &topic, taken).await {
                    Ok(payload) => payload,
                    Err(error) => return Ok(unusable(full_text(&error))),
                };
                mark.label = Some(label.clone());
                if let Flow::End(end) = self.mark(reader, at, mark).await? {
                    return Ok(Flow::End(end));
                }
                let started = self
                    .start_restore(reader, taken, payload, &label, &targets, again)
                    .await?;
                match started {
                    Flow::On(None) => {}
                    Flow::On(Some(reason)) => return Ok(unusable(reason)),
                    Flow::End(end) => return Ok(Flow::End(end)),
                }
            }
            match self.follow_restore(reader, &database, &label).await? {
                Flow::On(None) => {}
                Flow::On(Some(reason)) => return Ok(unusable(reason)),
                Flow::End(end) => return Ok(Flow::End(end)),
            }
            self.put_into_place(&database, &targets).await?;
        }
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
                "destination database {database} has {} already; drop or rename what is there, or allow the job to replace \
                 it with allow_table_exists",
                clash.join(", ")
            ))
        }))
    }

    /// Starts the restore job; waits while the destination is busy with another. A reason when it is refused.
    async fn start_restore(
        &mut self,
        reader: &mut dyn GroupReader,
        taken: &SnapshotTaken,
        payload: Payload,
        label: &str,
        targets: &Targets,
        again: bool,
    ) -> Result<Flow<Option<String>>, Error> {
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
            Err(error) => return Ok(Flow::On(Some(full_text(&error)))),
        };
        let mut failures = 0_u32;
        loop {
            let error = match self.dest.restore_snapshot(&request).await {
                Ok(()) => return Ok(Flow::On(None)),
                Err(error) => error,
            };
            failures += 1;
            let text = full_text(&error);
            let now = self.clock.now_ms();
            self.tell(|p| p.error(Some(text.clone()), now));
            if error.kind() == ErrorKind::Unavailable
                && self
                    .restore_state(&request.database, label)
                    .await
                    .ok()
                    .flatten()
                    .is_some()
            {
                return Ok(Flow::On(None));
            }
            match error.kind() {
                ErrorKind::Unavailable | ErrorKind::Throttled => {}
                ErrorKind::Transient | ErrorKind::Conflict if failures < 3 => {}
                ErrorKind::Invalid => return Ok(Flow::End(Ended::Halted(text))),
                ErrorKind::Transient
                | ErrorKind::Conflict
                | ErrorKind::Fenced
                | ErrorKind::Corrupt => return Ok(Flow::On(Some(text))),
            }
            if let Flow::End(end) = self.wait(reader, Duration::from_secs(1)).await? {
                return Ok(Flow::End(end));
            }
        }
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

    /// Polls until the restore job ended. A reason when it failed.
    async fn follow_restore(
        &mut self,
        reader: &mut dyn GroupReader,
        database: &str,
        label: &str,
    ) -> Result<Flow<Option<String>>, Error> {
        let mut missing = 0;
        let until = self.clock.monotonic() + LONGEST_RESTORE;
        while self.clock.monotonic() < until {
            match self.restore_state(database, label).await {
                Ok(Some(job)) => {
                    missing = 0;
                    match job.state {
                        JobPhase::Finished => return Ok(Flow::On(None)),
                        JobPhase::Cancelled => {
                            let text = format!("restore job {label} was cancelled: {}", job.status);
                            return Ok(Flow::On(Some(text)));
                        }
                        JobPhase::Running => self.tell(|p| {
                            p.error(None, 0);
                            let text = format!("restoring: {} {}", job.state_text, job.progress);
                            p.advance(text.trim_end().to_owned(), None);
                        }),
                    }
                }
                Ok(None) => {
                    missing += 1;
                    if missing > 20 {
                        let text = format!("restore job {label} is not known to the destination");
                        return Ok(Flow::On(Some(text)));
                    }
                }
                Err(error) => {
                    let now = self.clock.now_ms();
                    self.tell(|p| p.error(Some(full_text(&error)), now));
                }
            }
            if let Flow::End(end) = self.wait(reader, self.config.poll_interval).await? {
                return Ok(Flow::End(end));
            }
        }
        let hours = LONGEST_RESTORE.as_secs() / 3600;
        Ok(Flow::On(Some(format!(
            "restore job {label} has not ended in {hours} h; look at SHOW RESTORE FROM `{database}` at the destination"
        ))))
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

fn unusable(reason: String) -> Flow<Attempt> {
    Flow::On(Attempt::Unusable(reason))
}
