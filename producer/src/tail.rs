//! Source -> records that may be published: performs what the planner asks for.

use std::collections::VecDeque;

use ccr_control::StreamState;
use ccr_doris::error::Refusal;
use ccr_doris::{BinlogLag, BinlogPage, BinlogPosition};
use ccr_schemas::{CommitSeq, TableId};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info};

use crate::context::Context;
use crate::enrich::Item;
use crate::error::Error;
use crate::metrics as names;
use crate::missing_stream::{MissingStream, is_on_for_database};
use crate::plan::{Action, Finding, Input, Rules, Sight, State, Step, Suspicion, step};

/// Follows the source from the planner's first step on, until a new timeline is durable in the log.
pub(crate) async fn follow(
    ctx: &Context,
    rules: &Rules,
    first: Step,
    items: mpsc::Sender<Item>,
) -> Result<(), Error> {
    let mut tail = Tail {
        is_doubted: doubted(&first.state),
        ctx,
        rules,
        state: first.state,
        queue: first.actions.into(),
        items,
        missing: MissingStream::default(),
    };
    while let Some(action) = tail.queue.pop_front() {
        if let Some(input) = tail.perform(action).await? {
            tail.decide(input);
        }
    }
    match tail.state {
        State::Replaced => Ok(()),
        State::Locating | State::Following(_) | State::Replacing(_) | State::Halted(_) => {
            Err(Error::Ended("the stream has nothing to do"))
        }
    }
}

struct Tail<'a> {
    ctx: &'a Context,
    rules: &'a Rules,
    state: State,
    queue: VecDeque<Action>,
    items: mpsc::Sender<Item>,
    missing: MissingStream,
    is_doubted: bool,
}

fn doubted(state: &State) -> bool {
    match state {
        State::Following(following) => following.is_doubted(),
        State::Locating | State::Replacing(_) | State::Replaced | State::Halted(_) => false,
    }
}

impl Tail<'_> {
    fn decide(&mut self, input: Input) {
        let state = std::mem::replace(&mut self.state, State::Locating);
        let Step { state, actions } = step(self.rules, state, input);
        if let State::Following(following) = &state {
            if self.is_doubted && !following.is_doubted() {
                self.is_doubted = false;
                info!(stream = %self.ctx.key, "the source has the published history again, following");
                self.ctx.report.enter(StreamState::Following, "following");
            }
            let report = &self.ctx.report;
            report.read(following.settle.newest());
            match following.sight {
                Sight::End(end) => {
                    report.source_end(end, self.ctx.clock.now_ms());
                    lag_metric(self.ctx, 0);
                }
                Sight::More | Sight::NoStream => {}
            }
        }
        self.state = state;
        self.queue.extend(actions);
    }

    async fn perform(&mut self, action: Action) -> Result<Option<Input>, Error> {
        let item = match action {
            Action::Read { after, max } => {
                let page = self.page(None, after, max).await?;
                self.missing.note(self.ctx, &page).await?;
                let at = self.ctx.now();
                return Ok(Some(Input::PageRead { page, at }));
            }
            Action::LookBack { after, max } => {
                let page = self.page(None, after, max).await?;
                let at = self.ctx.now();
                return Ok(Some(Input::LookedBack { after, page, at }));
            }
            Action::AskEnd => {
                let end = source_end(self.ctx, self.ctx.report.published_position()).await?;
                let at = self.ctx.now();
                return Ok(Some(Input::SourceEnd { end, at }));
            }
            Action::CheckRetention(suspicion) => {
                let finding = self.look_for(&suspicion).await?;
                let at = self.ctx.now();
                return Ok(Some(Input::RetentionChecked {
                    suspicion,
                    finding,
                    at,
                }));
            }
            Action::Wait(pause) => {
                self.ctx.clock.sleep(pause).await;
                return Ok(Some(Input::Due(self.ctx.now())));
            }
            Action::Halt { reason, since } => return Err(Error::Contradiction { reason, since }),
            Action::PublishOrigin { position } => Item::Origin {
                source_end: position,
            },
            Action::Publish(settled) => Item::Records(settled),
            Action::PublishGap { after, up_to } => Item::Gap { after, up_to },
            Action::PublishLate(late) => Item::Late(late),
            Action::PublishTimeline {
                timeline,
                position,
                previous,
                published,
                reason,
            } => {
                let (tell, durable) = oneshot::channel();
                self.send(Item::Timeline {
                    timeline,
                    position,
                    previous,
                    published,
                    reason,
                    durable: tell,
                })
                .await?;
                durable.await.map_err(|_| PART_ENDED)?;
                // What was still to be asked was asked of a history that is over.
                self.queue.clear();
                return Ok(None);
            }
        };
        self.send(item).await?;
        Ok(None)
    }

    async fn send(&self, item: Item) -> Result<(), Error> {
        self.items.send(item).await.map_err(|_| PART_ENDED)
    }

    async fn page(
        &self,
        table: Option<TableId>,
        after: CommitSeq,
        max: usize,
    ) -> Result<BinlogPage, Error> {
        let position = BinlogPosition {
            table,
            ..position(self.ctx, after)
        };
        let source = &self.ctx.source;
        self.ctx
            .ask("get_binlog", || source.get_binlog(&position, max))
            .await
    }

    /// Looks closer at a published record that an answer did not show. Where the binlog is switched on for the database,
    /// its retention removes records from the oldest on, and an answer says so. Where it is switched on for tables only, each
    /// table's own retention makes holes, and the table's own stream tells.
    async fn look_for(&self, suspicion: &Suspicion) -> Result<Finding, Error> {
        let Suspicion { seq, table, .. } = *suspicion;
        let before = CommitSeq(seq.0 - 1);
        match self.page(None, before, 1).await? {
            BinlogPage::Records(records)
                if records.first().is_some_and(|first| first.commit_seq == seq) =>
            {
                return Ok(Finding::Present);
            }
            BinlogPage::TooOld { forgotten } if forgotten >= seq => return Ok(Finding::Removed),
            // Whether there is a stream is another question; it says nothing of the record.
            BinlogPage::NoStream => return Ok(Finding::Present),
            BinlogPage::Records(_) | BinlogPage::TooOld { .. } | BinlogPage::CaughtUp => {}
        }
        let finding = if is_on_for_database(self.ctx).await? == Some(true) {
            Finding::Unexplained
        } else {
            match table {
                // Not in the stream of any table, so that no stream tells.
                None => Finding::Removed,
                Some(table) => match self.page(Some(table), before, 1).await? {
                    BinlogPage::TooOld { forgotten } if forgotten >= seq => Finding::Removed,
                    BinlogPage::NoStream => Finding::Removed,
                    BinlogPage::TooOld { .. } | BinlogPage::Records(_) | BinlogPage::CaughtUp => {
                        Finding::Unexplained
                    }
                },
            }
        };
        debug!(stream = %self.ctx.key, commit_seq = seq.0, ?finding, "published record is missing at the source");
        Ok(finding)
    }
}

const PART_ENDED: Error = Error::Ended("a task of the stream ended");

pub(crate) fn position(ctx: &Context, after: CommitSeq) -> BinlogPosition {
    BinlogPosition {
        database: ctx.key.database.clone(),
        table: None,
        after,
    }
}

/// How far the source is. A source too old to tell counts as a stream of unknown length.
pub(crate) async fn source_end(
    ctx: &Context,
    after: CommitSeq,
) -> Result<Option<BinlogLag>, Error> {
    let position = position(ctx, after);
    let answer = ctx
        .ask("get_binlog_lag", || async {
            match ctx.source.get_binlog_lag(&position).await {
                Err(error) if error.refusal() == Some(Refusal::UnknownMethod) => Ok(Some(UNKNOWN)),
                answer => answer,
            }
        })
        .await?;
    if let Some(lag) = &answer {
        if let Some(last) = lag.last {
            ctx.report.source_end(last, ctx.clock.now_ms());
        }
        lag_metric(ctx, lag.lag);
    }
    Ok(answer)
}

fn lag_metric(ctx: &Context, records: i64) {
    metrics::gauge!(names::SOURCE_LAG, "source" => ctx.key.source.clone(),
        "database" => ctx.key.database.clone())
    .set(records as f64);
}

const UNKNOWN: BinlogLag = BinlogLag {
    lag: 0,
    first: None,
    last: None,
    next: None,
    first_at: None,
    last_at: None,
    next_at: None,
};

#[cfg(test)]
mod tests {
    use ccr_log::Embedded;
    use ccr_ops::SystemClock;

    use super::*;
    use crate::bench::{NullSource, context};

    /// A planner that gives nothing to do would leave the stream without an end and without a word.
    #[tokio::test]
    async fn a_stream_that_has_nothing_to_do_is_an_error() {
        let what = NullSource {
            transactions: 1,
            tables: 1,
            tablets: 1,
        };
        let log = Embedded::in_memory().unwrap();
        let (ctx, _) = context(log, SystemClock::shared(), what).unwrap();
        let rules = ctx.config.rules();
        let first = Step {
            state: State::Locating,
            actions: Vec::new(),
        };
        let (items, _keep) = mpsc::channel(1);
        let error = follow(&ctx, &rules, first, items).await.unwrap_err();
        assert!(error.to_string().contains("nothing to do"), "{error}");
    }
}
