//! The loop of one job: wait for an input, `step`, hand the actions to the performer, turn outcomes into inputs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ccr_control::{JobSpec, JobState, StatusBoard};
use ccr_log::{Committed, GroupReader, Offset, ReaderEvent, SharedLog};
use ccr_ops::{Clock, ErrorKind, Sealer};
use ccr_schemas::topic::consumer_group;
use ccr_schemas::{Event, TopicName};
use futures::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::bootstrap::{Ready, covered, decode};
use crate::config::ApplierConfig;
use crate::destination::{Connect, Destination};
use crate::error::{Error, full_text};
use crate::ingest::Ingester;
use crate::look_ahead::LookAhead;
use crate::metrics as names;
use crate::names::label_text;
use crate::perform::Performer;
use crate::plan::state::Covered;
use crate::plan::{Action, Apply, Checkpoint, Input, Settings, Start, State, StopReason, step};
use crate::progress::Progress;
use crate::renew::Renewer;
use crate::retire;
use crate::session::{Ended, Flow, Session};

/// Records taken at once before anything else is looked at.
const BURST: usize = 128;

/// What a job needs from its process.
#[derive(Clone)]
pub struct RunnerDeps {
    /// The log.
    pub log: SharedLog,
    /// Where statuses go.
    pub status: Arc<StatusBoard>,
    /// Opens passwords and tokens.
    pub sealer: Sealer,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Makes clients of destinations.
    pub connect: Connect,
}

/// Runs one job until it is told to stop.
pub struct JobRunner {
    deps: RunnerDeps,
    config: ApplierConfig,
    spec: JobSpec,
}

impl JobRunner {
    /// Of a job as it is defined now.
    pub fn new(deps: RunnerDeps, config: ApplierConfig, spec: JobSpec) -> Self {
        Self { deps, config, spec }
    }

    /// Joins the job's group and works while this process is the assigned member.
    ///
    /// # Errors
    /// What could not be waited out: a topic that does not exist, metadata or records that can not be read, a key that
    /// does not fit. The caller tries again later.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let now = self.deps.clock.now_ms();
        let (report, _keep) = watch::channel(Progress::new(&self.spec, &self.config.owner, now));
        let reports = self.report_loop(report.subscribe());
        let result = tokio::select! {
            biased;
            result = self.drive(&stop, &report) => result,
            () = reports => Ok(()),
        };
        if let Err(error) = &result {
            let now = self.deps.clock.now_ms();
            report.send_modify(|p| p.error(Some(error.full_text()), now));
        }
        let last = report.borrow().clone();
        self.send(&last).await;
        result
    }

    /// Only a member that was assigned reports: a stand-by must not hide what the active one tells.
    async fn report_loop(&self, reports: watch::Receiver<Progress>) {
        loop {
            self.deps.clock.sleep(self.config.status_interval).await;
            let progress = reports.borrow().clone();
            self.send(&progress).await;
        }
    }

    async fn send(&self, progress: &Progress) {
        if !progress.owns() {
            return;
        }
        let status = progress.report(self.deps.clock.now_ms());
        if let Err(error) = self.deps.status.report_job(status).await {
            tracing::warn!(job = %self.spec.name, error = %full_text(&error), "status not reported");
        }
    }

    async fn drive(
        &self,
        stop: &CancellationToken,
        report: &watch::Sender<Progress>,
    ) -> Result<(), Error> {
        let topic = self.events_topic();
        let group = consumer_group(&self.config.prefix, &self.spec.name, &self.spec.incarnation);
        let spec = &self.spec.dest;
        let address = spec.cluster.open(&spec.cluster_name, &self.deps.sealer)?;
        let dest = self.deps.connect.to(&address)?;
        let mut reader = self.deps.log.join(&group, &topic).await?;
        let result = self.serve(&mut *reader, &dest, stop, report).await;
        reader.close().await;
        let halted = match result? {
            Ended::Halted(text) => text,
            Ended::Stopped | Ended::Revoked => return Ok(()),
        };
        tracing::error!(job = %self.spec.name, reason = %halted, "job halted");
        let now = self.deps.clock.now_ms();
        report.send_modify(|p| {
            p.enter(JobState::Halted, halted.clone());
            p.error(Some(halted.clone()), now);
        });
        stop.cancelled().await;
        Ok(())
    }

    async fn serve(
        &self,
        reader: &mut dyn GroupReader,
        dest: &Arc<dyn Destination>,
        stop: &CancellationToken,
        report: &watch::Sender<Progress>,
    ) -> Result<Ended, Error> {
        loop {
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(Ended::Stopped),
                event = reader.next() => event,
            };
            match event {
                Ok(ReaderEvent::Assigned { committed }) => {
                    report.send_modify(|p| p.own(true));
                    let mut session = Session {
                        spec: &self.spec,
                        config: &self.config,
                        log: &self.deps.log,
                        sealer: &self.deps.sealer,
                        clock: &self.deps.clock,
                        dest,
                        stop,
                        report,
                        last_commit: None,
                        last_commit_at: self.deps.clock.monotonic(),
                    };
                    match session.run(reader, committed).await? {
                        Ended::Revoked => {
                            tracing::info!(job = %self.spec.name, "job given to another applier");
                            report.send_modify(|p| p.own(false));
                        }
                        ended @ (Ended::Stopped | Ended::Halted(_)) => return Ok(ended),
                    }
                }
                Ok(ReaderEvent::Revoked) => report.send_modify(|p| p.own(false)),
                Ok(ReaderEvent::Record(_) | ReaderEvent::CaughtUp { .. }) => {}
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    self.deps.clock.sleep(Duration::from_millis(500)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn events_topic(&self) -> TopicName {
        let source = &self.spec.source;
        TopicName::events(&self.config.prefix, &source.cluster_name, &source.database)
    }
}

impl Session<'_> {
    /// From assignment to its end.
    async fn run(
        &mut self,
        reader: &mut dyn GroupReader,
        committed: Option<Committed>,
    ) -> Result<Ended, Error> {
        self.tell(|p| p.enter(JobState::Recovering, "reading back what was done before"));
        self.last_commit = committed.clone();
        let start = match self.start(reader, committed).await? {
            Flow::On(start) => start,
            Flow::End(end) => return Ok(end),
        };
        // No attempt of this process is under way; what one before it has left is in nobody's hands.
        if let Err(error) = retire::clear_staging(&**self.dest, &**self.clock, self.spec).await {
            tracing::info!(job = %self.spec.name, error = %full_text(&error), "staging tables are looked for later");
        }
        reader.seek(Offset(start.offset)).await?;
        self.apply(reader, start).await
    }

    async fn start(
        &mut self,
        reader: &mut dyn GroupReader,
        committed: Option<Committed>,
    ) -> Result<Flow<Start>, Error> {
        let Some(committed) = committed else {
            let ready = self.bootstrap(reader, None).await?;
            return Ok(fresh(ready));
        };
        let checkpoint =
            Checkpoint::decode(&committed.metadata).map_err(|source| Error::Checkpoint {
                job: self.spec.name.clone(),
                source,
            })?;
        let offset = committed.offset.0;
        self.tell(|p| p.resyncs_done(&checkpoint.resyncs_done));
        if let Some(why) = checkpoint.contradiction {
            return Ok(Flow::End(Ended::Halted(why)));
        }
        if let Some(mark) = checkpoint.restore.clone() {
            let ready = self.bootstrap(reader, Some((offset, mark))).await?;
            return Ok(fresh(ready));
        }
        self.tell(Progress::synced);
        let topic = self.events_topic();
        let covered = match checkpoint.base {
            None => Covered::default(),
            Some(base) => {
                let records = self.log.read_range(&topic, Offset(base), 1).await?;
                let envelope = records
                    .first()
                    .map(|record| decode(&topic, record))
                    .transpose()?;
                match envelope.map(|envelope| envelope.event) {
                    Some(Event::SnapshotTaken(taken)) => covered(&taken),
                    Some(_) | None => {
                        return Ok(Flow::End(Ended::Halted(format!(
                            "offset {base} of topic {topic} does not hold the snapshot this job started from; start it again \
                             with `ccr job resync {}`",
                            self.spec.name
                        ))));
                    }
                }
            }
        };
        if let Flow::End(end) = self.confirm_memory(reader, offset, &checkpoint).await? {
            return Ok(Flow::End(end));
        }
        let (_, end) = self.log.watermarks(&topic).await?;
        let labels_intact = match checkpoint.witness {
            None => false,
            Some(witness) => match self.remembers(witness).await {
                Flow::On(remembers) => remembers,
                Flow::End(end) => return Ok(Flow::End(end)),
            },
        };
        if !labels_intact
            && offset < end.0
            && let Flow::End(end) = self.settle(&label_prefix(self.spec)).await
        {
            return Ok(Flow::End(end));
        }
        Ok(Flow::On(Start {
            offset,
            checkpoint,
            covered,
            judge_end: end.0,
            labels_intact,
        }))
    }

    fn settings(&self) -> Settings {
        let (spec, max_age) = (self.spec, self.config.layout_max_age);
        Settings {
            database: spec.dest.database.clone(),
            source_database: spec.source.database.clone(),
            table_names: spec.dest.table_names.clone(),
            filter: spec.tables.clone(),
            options: spec.options.clone(),
            job: spec.name.clone(),
            replaces_existing: spec.replaces_existing(),
            table_resyncs: spec.table_resyncs.clone(),
            layout_max_age_ms: i64::try_from(max_age.as_millis()).unwrap_or(i64::MAX),
        }
    }

    fn performer(&self) -> Performer {
        let options = &self.spec.options;
        Performer {
            dest: self.dest.clone(),
            clock: self.clock.clone(),
            ingester: Arc::new(Ingester::new(
                self.dest.clone(),
                self.clock.clone(),
                self.spec.source.host_mapping.clone(),
                options.ingests_per_backend,
                self.config.poll_interval,
            )),
            database: self.spec.dest.database.clone(),
            label_prefix: label_prefix(self.spec),
            txn_timeout: options.txn_timeout,
            visible_timeout: self.config.visible_timeout,
            poll_interval: self.config.poll_interval,
            look_ahead: LookAhead {
                log: self.log.clone(),
                topic: self.events_topic(),
                settings: Arc::new(self.settings()),
            },
            renewer: Renewer {
                log: self.log.clone(),
                sealer: self.sealer.clone(),
                clock: self.clock.clone(),
                dest: self.dest.clone(),
                spec: Arc::new(self.spec.clone()),
                prefix: self.config.prefix.clone(),
                snapshot_timeout: self.config.snapshot_timeout,
                one_restore: Arc::default(),
            },
            ids: Arc::new(Mutex::new(BTreeMap::new())),
        }
    }

    /// Applies until the session ends. Dropping it drops every call under way.
    async fn apply(&mut self, reader: &mut dyn GroupReader, start: Start) -> Result<Ended, Error> {
        let topic = self.events_topic();
        let performer = self.performer();
        let removed = self.removed_later(&performer, &start).await;
        let settings = Arc::new(self.settings());
        let mut interruptions = self.dest.interruptions();
        let mut state = State::Applying(Box::new(Apply::new(settings, start)));
        let mut tasks: JoinSet<Option<Input>> = JoinSet::new();
        let clock = self.clock.clone();
        let mut tick = clock.sleep(self.config.commit_interval);
        let mut deadline: Option<Duration> = None;
        // The time comes first: failures are counted over a span of it.
        let now_ms = clock.now_ms();
        let looked = Input::LookedAhead {
            found: Some(removed),
            failures: 0,
        };
        let mut first = vec![Input::Tick { now_ms }, looked];
        loop {
            let mut inputs = std::mem::take(&mut first);
            // 1 what is there  2 a wish to stop  3 outcomes  4 time  5 records, as far as there is room
            tokio::select! {
                biased;
                () = std::future::ready(()), if !inputs.is_empty() => {}
                () = self.stop.cancelled(), if deadline.is_none() => {
                    deadline = Some(clock.monotonic() + self.config.drain_deadline);
                    inputs.push(Input::StopRequested);
                }
                Some(done) = tasks.join_next() => {
                    collect(done, &mut tasks, &mut inputs);
                }
                () = &mut tick => {
                    tick = clock.sleep(self.config.commit_interval);
                    if deadline.is_some_and(|until| clock.monotonic() > until) {
                        return Ok(Ended::Stopped);
                    }
                    let now_ms = clock.now_ms();
                    metrics::gauge!(names::PENDING, "job" => self.spec.name.clone())
                        .set(state.apply().pending() as f64);
                    inputs.push(Input::Tick { now_ms });
                    self.tell(|p| p.observe(&state, now_ms));
                    if let Flow::End(end) = self.confirm_ownership(reader).await? {
                        return Ok(end);
                    }
                }
                event = reader.next(), if state.wants_more() => {
                    match self.take_events(reader, &topic, event, &mut inputs).await? {
                        Flow::On(()) => {}
                        Flow::End(end) => return Ok(end),
                    }
                }
            }
            // Before the outcomes of the calls that met it.
            let seen = self.dest.interruptions();
            if std::mem::replace(&mut interruptions, seen) != seen {
                inputs.insert(0, Input::Interrupted);
            }
            for input in inputs {
                let next = step(state, input);
                state = next.state;
                for action in next.actions {
                    if let Flow::End(end) = self.act(reader, action, &performer, &mut tasks).await?
                    {
                        return Ok(end);
                    }
                }
            }
            if let State::Stopped(_, reason) = &state {
                let now_ms = clock.now_ms();
                self.tell(|p| p.observe(&state, now_ms));
                return Ok(match reason {
                    StopReason::Asked => Ended::Stopped,
                    StopReason::Halted(text) => Ended::Halted(text.clone()),
                });
            }
        }
    }

    async fn take_events(
        &mut self,
        reader: &mut dyn GroupReader,
        topic: &TopicName,
        first: Result<ReaderEvent, ccr_log::Error>,
        inputs: &mut Vec<Input>,
    ) -> Result<Flow<()>, Error> {
        let mut next = Some(first);
        while let Some(event) = next.take() {
            match event {
                Ok(ReaderEvent::Record(record)) => match decode(topic, &record) {
                    Ok(envelope) => {
                        self.tell(|p| p.read(record.offset.0, envelope.source_at.0));
                        inputs.push(Input::Received {
                            offset: record.offset.0,
                            envelope: Box::new(envelope),
                        });
                    }
                    Err(error) => {
                        inputs.push(Input::HaltRequested(error.full_text()));
                        return Ok(Flow::On(()));
                    }
                },
                Ok(ReaderEvent::CaughtUp { end }) => self.tell(|p| p.end(end.0)),
                Ok(ReaderEvent::Assigned { .. } | ReaderEvent::Revoked) => {
                    return Ok(Flow::End(Ended::Revoked));
                }
                Err(error @ ccr_log::Error::OffsetGone { .. }) => {
                    inputs.push(Input::HaltRequested(format!(
                        "{error}; start the job again with `ccr job resync {}`",
                        self.spec.name
                    )));
                    return Ok(Flow::On(()));
                }
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    let now = self.clock.now_ms();
                    self.tell(|p| p.error(Some(full_text(&error)), now));
                    self.clock.sleep(Duration::from_millis(200)).await;
                    return Ok(Flow::On(()));
                }
                Err(error) => return Err(error.into()),
            }
            if inputs.len() < BURST {
                next = reader.next().now_or_never();
            }
        }
        Ok(Flow::On(()))
    }

    /// What is answered runs aside; what is to be durable is so when this returns.
    async fn act(
        &mut self,
        reader: &mut dyn GroupReader,
        action: Action,
        performer: &Performer,
        tasks: &mut JoinSet<Option<Input>>,
    ) -> Result<Flow<()>, Error> {
        match action {
            Action::Record { offset, checkpoint } => {
                let done = self.commit(reader, offset, &checkpoint).await?;
                self.tell(|p| p.committed(offset, checkpoint.seq));
                return Ok(done);
            }
            Action::Applied {
                kind, source_at, ..
            } => {
                let now = self.clock.now_ms();
                metrics::counter!(names::EVENTS_APPLIED, "event" => kind.as_str()).increment(1);
                if source_at.0 > 0 {
                    let lag = Duration::from_millis(u64::try_from(now - source_at.0).unwrap_or(0));
                    metrics::histogram!(names::LAG_SECONDS, "job" => self.spec.name.clone())
                        .record(lag.as_secs_f64());
                }
                self.tell(|p| p.applied(source_at.0, now));
            }
            Action::Skip { seq, reason } => {
                metrics::counter!(names::EVENTS_SKIPPED).increment(1);
                tracing::debug!(job = %self.spec.name, %seq, %reason, "event left out");
                self.tell(|p| p.skipped(&reason));
            }
            Action::Violation { text } => {
                metrics::counter!(names::VIOLATIONS).increment(1);
                tracing::error!(job = %self.spec.name, text, "invariant violated");
            }
            Action::HaltTable { table, seq, reason } => {
                tracing::error!(job = %self.spec.name, %table, %seq, %reason, "table is halted");
            }
            Action::ReadLayout { .. }
            | Action::LookAhead { .. }
            | Action::CheckVersions { .. }
            | Action::AwaitSettled { .. }
            | Action::AskMemory { .. }
            | Action::BeginTxn { .. }
            | Action::RollbackTxn { .. }
            | Action::AskLabel { .. }
            | Action::IngestTablets { .. }
            | Action::CommitTxn { .. }
            | Action::AwaitVisible { .. }
            | Action::ReadEvidence { .. }
            | Action::RunDdl { .. }
            | Action::RenewTable { .. } => {
                let performer = performer.clone();
                tasks.spawn(async move {
                    let (name, begin) = (action.name(), performer.clock.monotonic());
                    let input = performer.perform(action).await;
                    let took = performer.clock.monotonic().saturating_sub(begin);
                    metrics::histogram!(names::ACTION_SECONDS, "action" => name)
                        .record(took.as_secs_f64());
                    input
                });
            }
        }
        Ok(Flow::On(()))
    }
}

fn collect(
    first: Result<Option<Input>, tokio::task::JoinError>,
    tasks: &mut JoinSet<Option<Input>>,
    inputs: &mut Vec<Input>,
) {
    let mut next = Some(first);
    while let Some(done) = next.take() {
        match done {
            Ok(Some(input)) => inputs.push(input),
            Ok(None) => {}
            Err(error) => {
                if error.is_panic() {
                    inputs.push(Input::HaltRequested(format!(
                        "an action ended by a programming error ({error}); restart the applier"
                    )));
                }
            }
        }
        if inputs.len() < BURST {
            next = tasks.try_join_next();
        }
    }
}

fn fresh(ready: Flow<Ready>) -> Flow<Start> {
    match ready {
        Flow::On(ready) => Flow::On(Start {
            offset: ready.offset,
            checkpoint: ready.checkpoint,
            covered: ready.covered,
            judge_end: ready.offset,
            labels_intact: true,
        }),
        Flow::End(end) => Flow::End(end),
    }
}

/// Everything of a transaction label but the position: `ccr_<job>_<incarnation>_<source>_<database>`.
pub(crate) fn label_prefix(spec: &JobSpec) -> String {
    let source = &spec.source;
    let text = format!(
        "ccr_{}_{}_{}_{}",
        spec.name, spec.incarnation, source.cluster_name, source.database
    );
    label_text(&text, 100)
}
