//! Source -> records that may be published: performs what the planner asks for.

use std::collections::VecDeque;
use std::time::Duration;

use ccr_doris::error::Refusal;
use ccr_doris::{BinlogLag, BinlogPage, BinlogPosition};
use ccr_schemas::CommitSeq;
use tokio::sync::mpsc;

use crate::context::Context;
use crate::enrich::Item;
use crate::error::Error;
use crate::metrics as names;
use crate::plan::{Action, Input, Rules, State, Step, step};

/// Follows the source from the planner's first step on, until the other side of `items` is gone.
pub(crate) async fn follow(
    ctx: &Context,
    rules: &Rules,
    first: Step,
    items: mpsc::Sender<Item>,
) -> Result<(), Error> {
    let mut tail = Tail {
        ctx,
        rules,
        state: first.state,
        queue: first.actions.into(),
        items,
        end_asked: ctx.clock.monotonic(),
    };
    while let Some(action) = tail.queue.pop_front() {
        let Some(input) = tail.perform(action).await? else {
            continue;
        };
        if matches!(input, Input::Due(_) | Input::PageRead { .. }) {
            tail.compare_ends().await?;
        }
        tail.decide(input);
    }
    Ok(())
}

struct Tail<'a> {
    ctx: &'a Context,
    rules: &'a Rules,
    state: State,
    queue: VecDeque<Action>,
    items: mpsc::Sender<Item>,
    end_asked: Duration,
}

impl Tail<'_> {
    fn decide(&mut self, input: Input) {
        let state = std::mem::replace(&mut self.state, State::Locating);
        let Step { state, actions } = step(self.rules, state, input);
        if let State::Following(following) = &state {
            self.ctx.report.read(following.settle.newest());
        }
        self.state = state;
        self.queue.extend(actions);
    }

    async fn perform(&mut self, action: Action) -> Result<Option<Input>, Error> {
        let item = match action {
            Action::Read { after, most } => {
                let page = self.page(after, most).await?;
                let at = self.ctx.now();
                return Ok(Some(Input::PageRead { page, at }));
            }
            Action::LookBack { after, most } => {
                let page = self.page(after, most).await?;
                return Ok(Some(Input::LookedBack { after, page }));
            }
            Action::Wait => {
                self.ctx.clock.sleep(self.ctx.config.poll_interval).await;
                return Ok(Some(Input::Due(self.ctx.now())));
            }
            Action::Halt(reason) => return Err(Error::Halted(reason)),
            Action::PublishOrigin { position } => Item::Origin {
                source_end: position,
            },
            Action::Publish(settled) => Item::Records(settled),
            Action::PublishGap { after, up_to } => Item::Gap { after, up_to },
            Action::PublishLate(late) => Item::Late(late),
        };
        if self.items.send(item).await.is_err() {
            self.queue.clear();
        }
        Ok(None)
    }

    /// Looks, now and then, how far the source is: for the status, for records dated long ago, and to notice a source that
    /// is not the one the log came from.
    async fn compare_ends(&mut self) -> Result<(), Error> {
        let now = self.ctx.clock.monotonic();
        if now < self.end_asked + self.ctx.config.heartbeat_interval {
            return Ok(());
        }
        self.end_asked = now;
        let end = source_end(self.ctx, self.ctx.report.published_position()).await?;
        self.decide(Input::SourceEnd(end));
        Ok(())
    }

    async fn page(&self, after: CommitSeq, most: usize) -> Result<BinlogPage, Error> {
        let (position, source) = (position(self.ctx, after), &self.ctx.source);
        self.ctx
            .ask("get_binlog", || source.get_binlog(&position, most))
            .await
    }
}

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
            ctx.report.source_end(last);
        }
        metrics::gauge!(names::SOURCE_LAG, "source" => ctx.key.source.clone(),
            "database" => ctx.key.database.clone())
        .set(lag.lag as f64);
    }
    Ok(answer)
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
