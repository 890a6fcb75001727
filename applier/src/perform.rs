//! One method per action that calls the destination. Decides nothing about events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ccr_doris::error::Refusal;
use ccr_doris::{BeginTxn, CommitTxn, Error, Inspect, SubTxnCommit, TabletCommit, TxnState};
use ccr_log::Offset;
use ccr_ops::{Clock, ErrorKind};
use ccr_schemas::{CommitSeq, TableId, TxnId};

use crate::destination::Destination;
use crate::error::full_text;
use crate::ingest::Ingester;
use crate::inspect;
use crate::look_ahead::LookAhead;
use crate::memory::{self, Ask};
use crate::metrics as names;
use crate::plan::action::{Begun, Held};
use crate::plan::checkpoint::PairFound;
use crate::plan::ddl::{Before, Ddl, Effect};
use crate::plan::mapping::{Dest, IngestPlan};
use crate::plan::{Action, Failure, Input, LayoutRead, Memory, Outcome};
use crate::renew::{Renewed, Renewer};
use crate::restore_job::judged;

/// What a job's actions need, shared by those that run at the same time.
#[derive(Clone)]
pub struct Performer {
    pub(crate) dest: Arc<dyn Destination>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ingester: Arc<Ingester>,
    pub(crate) database: String,
    /// Everything of a label but the position.
    pub(crate) label_prefix: String,
    pub(crate) txn_timeout: Duration,
    pub(crate) visible_timeout: Duration,
    pub(crate) poll_interval: Duration,
    /// Looks at events that are not taken yet.
    pub(crate) look_ahead: LookAhead,
    /// Brings single tables by snapshots.
    pub(crate) renewer: Renewer,
    /// Destination ids by name, as last seen.
    pub(crate) ids: Arc<Mutex<BTreeMap<String, TableId>>>,
}

impl Performer {
    /// Label of an event's transaction: a function of job, incarnation, source database and position.
    pub fn label(&self, seq: CommitSeq) -> String {
        format!("{}_{}", self.label_prefix, seq)
    }

    /// Performs an action that is answered. Actions that are not answered come back as `None`: the runtime does them.
    pub async fn perform(&self, action: Action) -> Option<Input> {
        let input = match action {
            Action::ReadLayout {
                table,
                name,
                failures,
            } => {
                self.back_off(failures).await;
                Input::LayoutRead(table, self.read_layout(&name).await)
            }
            Action::LookAhead { from, failures } => {
                self.back_off(failures).await;
                let found = self.look_ahead.look(Offset(from)).await;
                let found = found.inspect_err(|error| {
                    tracing::warn!(error = %error.full_text(), "events ahead cannot be read, trying again");
                });
                Input::LookedAhead {
                    found: found.ok(),
                    failures,
                }
            }
            Action::CheckVersions {
                table,
                check,
                name,
                after,
            } => {
                let read = match self.await_visible(after.as_slice()).await {
                    Ok(Outcome::Visible) => self.read_layout(&name).await,
                    Ok(Outcome::Failed(failure)) => LayoutRead::Failed(failure),
                    Ok(other) => {
                        tracing::debug!(outcome = other.name(), "no versions were checked");
                        return None;
                    }
                    Err(error) => LayoutRead::Failed(failure(&error)),
                };
                Input::VersionsChecked { table, check, read }
            }
            Action::AwaitSettled { seq, failures } => {
                self.back_off(failures).await;
                answer(seq, self.await_settled().await)
            }
            Action::AskMemory { last, failures } => {
                self.back_off(failures).await;
                let age_ms = self.clock.now_ms() - last.2;
                let ask = Ask {
                    database: &self.database,
                    prefix: &self.label_prefix,
                    last,
                    age_ms,
                };
                let memory = ask.of(&*self.dest).await;
                let memory = memory.unwrap_or_else(|error| Memory::Failed(failure(&error)));
                Input::MemoryTold { memory, failures }
            }
            Action::BeginTxn {
                seq,
                plan,
                failures,
            } => {
                self.back_off(failures).await;
                answer(seq, self.begin(seq, &plan).await)
            }
            Action::RollbackTxn {
                seq,
                txn,
                reason,
                failures,
            } => {
                self.back_off(failures).await;
                let done = self.dest.rollback_txn(&self.database, txn, reason).await;
                answer(seq, done.map(Outcome::Rollback))
            }
            Action::AskLabel { seq, failures } => {
                self.back_off(failures).await;
                let told = self
                    .dest
                    .label_state(&self.database, &self.label(seq))
                    .await;
                answer(seq, told.map(|(state, txn)| Outcome::Label(state, txn)))
            }
            Action::IngestTablets {
                seq,
                begun,
                plan,
                event,
                held,
                failures,
            } => {
                self.back_off(failures).await;
                let done = self.ingester.ingest(&begun, &plan, &event, &held).await;
                answer(seq, done)
            }
            Action::CommitTxn {
                seq,
                begun,
                plan,
                held,
                failures,
            } => {
                self.back_off(failures).await;
                answer(seq, self.commit(&begun, &plan, &held).await)
            }
            Action::AwaitVisible {
                seq,
                txns,
                failures,
            } => {
                self.back_off(failures).await;
                answer(seq, self.await_visible(&txns).await)
            }
            Action::ReadEvidence { seq, ddl, failures } => {
                self.back_off(failures).await;
                answer(seq, self.read_evidence(&ddl).await)
            }
            Action::RunDdl {
                seq,
                ddl,
                replay,
                evidence,
                failures,
            } => {
                self.back_off(failures).await;
                match self.run_ddl(&ddl, replay, evidence).await {
                    Ok(outcome) => Input::Performed(seq, outcome),
                    Err(failure) => {
                        let failure = match failure.refusal {
                            Some(refusal @ Refusal::TooFewBackends) => {
                                judged(&*self.dest, refusal, failure.text).await
                            }
                            Some(_) | None => failure,
                        };
                        Input::Performed(seq, Outcome::Failed(failure))
                    }
                }
            }
            Action::RenewTable {
                seq,
                renewal,
                from,
                failures,
            } => {
                self.back_off(failures).await;
                let outcome = match self.renewer.renew(seq, &renewal, Offset(from)).await {
                    Ok(Renewed::UpTo(upto)) => Outcome::Renewed { upto },
                    Ok(Renewed::DroppedAt(at)) => Outcome::DroppedAtSource { at },
                    Err(failure) => Outcome::Failed(failure),
                };
                Input::Performed(seq, outcome)
            }
            Action::Record { .. }
            | Action::Applied { .. }
            | Action::Skip { .. }
            | Action::HaltTable { .. }
            | Action::Violation { .. } => return None,
        };
        Some(input)
    }

    /// 100 ms after the first failure, doubled up to 10 s.
    async fn back_off(&self, failures: u32) {
        if failures > 0 {
            let delay = Duration::from_millis(100) * (1 << (failures - 1).min(10));
            self.clock.sleep(delay.min(Duration::from_secs(10))).await;
        }
    }

    /// Bounded as [`Self::await_visible`], for transactions of any process.
    async fn await_settled(&self) -> Result<Outcome, Error> {
        let until = self.clock.monotonic() + self.visible_timeout;
        loop {
            let Some(txn) = memory::unsettled(&*self.dest, &self.database).await? else {
                return Ok(Outcome::Visible);
            };
            if self.clock.monotonic() > until {
                return Ok(not_visible(txn));
            }
            let pause = self.poll_interval.min(Duration::from_millis(100));
            self.clock.sleep(pause).await;
        }
    }

    async fn read_layout(&self, name: &str) -> LayoutRead {
        let known = self.known_id(name);
        match inspect::layout(&*self.dest, &self.database, name, known).await {
            Ok(Some(layout)) => {
                let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
                ids.insert(name.to_owned(), layout.table.id);
                LayoutRead::Found(Arc::new(layout))
            }
            Ok(None) => LayoutRead::Missing,
            Err(error) => LayoutRead::Failed(failure(&error)),
        }
    }

    fn known_id(&self, name: &str) -> Option<TableId> {
        let ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.get(name).copied()
    }

    async fn begin(&self, seq: CommitSeq, plan: &IngestPlan) -> Result<Outcome, Error> {
        let request = BeginTxn {
            database: self.database.clone(),
            tables: plan.tables.iter().map(|table| table.0).collect(),
            label: self.label(seq),
            timeout: self.txn_timeout,
            sub_txns: plan.sub_txns,
        };
        self.dest.begin_txn(&request).await.map(Outcome::Begin)
    }

    async fn commit(
        &self,
        begun: &Begun,
        plan: &IngestPlan,
        held: &BTreeSet<Held>,
    ) -> Result<Outcome, Error> {
        let of = |wanted: Option<usize>, table: Option<Dest<TableId>>| -> Vec<TabletCommit> {
            let tablets: BTreeSet<_> = plan
                .parts
                .iter()
                .filter(|part| part.sub_txn == wanted && table.is_none_or(|t| t == part.table))
                .flat_map(|part| part.tablets.iter().map(|pair| pair.dest))
                .collect();
            held.iter()
                .filter(|(sub, tablet, _)| *sub == wanted.unwrap_or(0) && tablets.contains(tablet))
                .map(|(_, tablet, backend)| TabletCommit {
                    tablet: tablet.0,
                    backend: backend.0,
                })
                .collect()
        };
        let explicit = !begun.sub_txns.is_empty();
        let mut subs: Vec<(usize, Dest<TableId>)> = plan
            .parts
            .iter()
            .filter_map(|part| part.sub_txn.map(|sub| (sub, part.table)))
            .collect();
        subs.sort_unstable();
        subs.dedup();
        let sub_txns = if explicit {
            subs.into_iter()
                .filter_map(|(sub, table)| {
                    Some(SubTxnCommit {
                        sub_txn: *begun.sub_txns.get(sub)?,
                        table: table.0,
                        commits: of(Some(sub), Some(table)),
                    })
                })
                .collect()
        } else {
            Vec::new()
        };
        let request = CommitTxn {
            database: self.database.clone(),
            txn: begun.txn,
            commits: if explicit { Vec::new() } else { of(None, None) },
            sub_txns,
            only_commit: true,
        };
        self.dest.commit_txn(&request).await.map(Outcome::Commit)
    }

    async fn await_visible(&self, txns: &[TxnId]) -> Result<Outcome, Error> {
        let until = self.clock.monotonic() + self.visible_timeout;
        for txn in txns {
            loop {
                match self.dest.txn_state(&self.database, *txn).await? {
                    TxnState::Visible | TxnState::Unknown | TxnState::Aborted => break,
                    TxnState::Prepare | TxnState::Precommitted | TxnState::Committed => {}
                }
                if self.clock.monotonic() > until {
                    return Ok(not_visible(*txn));
                }
                self.clock
                    .sleep(self.poll_interval.min(Duration::from_millis(100)))
                    .await;
            }
        }
        Ok(Outcome::Visible)
    }

    async fn read_evidence(&self, ddl: &Ddl) -> Result<Outcome, Error> {
        let is_taken = match &ddl.before {
            Before::Absent(name) => self.is_there(name).await?,
            Before::NoTable(name) => {
                self.is_there(name).await? && !self.dest.views(&self.database).await?.contains(name)
            }
            Before::Anything | Before::MayBeInEffect => false,
        };
        if is_taken {
            return Ok(Outcome::NameTaken);
        }
        let Effect::Exchanged {
            original,
            replacement,
            ..
        } = &ddl.effect
        else {
            return Ok(Outcome::Evidence(None));
        };
        let found = inspect::pair(&*self.dest, &self.database, original, replacement).await?;
        Ok(Outcome::Evidence(Some(found)))
    }

    async fn is_there(&self, name: &str) -> Result<bool, Error> {
        let there = inspect::objects(&*self.dest, &self.database).await?;
        Ok(there.contains(name))
    }

    async fn run_ddl(
        &self,
        ddl: &Ddl,
        replay: bool,
        evidence: Option<PairFound>,
    ) -> Result<Outcome, Failure> {
        let look = || inspect::in_effect(&*self.dest, &self.database, &ddl.effect, evidence);
        let looks_first = replay || ddl.before == Before::MayBeInEffect;
        if looks_first && look().await.map_err(|e| failure(&e))? == Some(true) {
            return Ok(Outcome::DdlInEffect { before: true });
        }
        for statement in &ddl.statements {
            let Err(error) = self.dest.execute(Some(&self.database), statement).await else {
                continue;
            };
            if error.refusal() == Some(Refusal::UnknownTable)
                && let Some(needed) = &ddl.needs
                && !self.is_there(needed).await.map_err(|e| failure(&e))?
            {
                return Ok(Outcome::TableAbsent);
            }
            return Err(failure(&error));
        }
        match look().await.map_err(|e| failure(&e))? {
            Some(true) | None => Ok(Outcome::DdlInEffect { before: false }),
            Some(false) => Err(Failure {
                kind: ErrorKind::Transient,
                refusal: None,
                text: format!("{}: accepted, but not in effect yet", ddl.what),
            }),
        }
    }
}

fn not_visible(txn: TxnId) -> Outcome {
    Outcome::Failed(Failure {
        kind: ErrorKind::Throttled,
        refusal: None,
        text: format!(
            "destination transaction {txn} is committed but not visible yet; the next change of the table waits for it"
        ),
    })
}

fn answer(seq: CommitSeq, result: Result<Outcome, Error>) -> Input {
    Input::Performed(
        seq,
        result.unwrap_or_else(|error| Outcome::Failed(failure(&error))),
    )
}

/// An error as the planner sees it.
pub fn failure(error: &Error) -> Failure {
    metrics::counter!(names::FAILURES, "kind" => error.kind().as_str()).increment(1);
    Failure {
        kind: error.kind(),
        refusal: error.refusal(),
        text: full_text(error),
    }
}
