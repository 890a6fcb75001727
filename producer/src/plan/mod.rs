//! What a stream does next. Pure: the same state and input give the same step.
//!
//! `Located -> Following { settle, audit } -> Publish -> translate (record -> event) -> layout (ids -> places of the data)`

pub mod action;
pub mod audit;
pub mod catalog;
mod decision;
pub mod layout;
pub mod settle;
pub mod sqltext;
pub mod state;
pub mod translate;

pub use action::Action;
pub use audit::{Audit, AuditRule, Late, Recent};
pub use settle::{Settle, SettleRule, Settled};
pub use state::{Following, HaltReason, Input, Located, LogEnd, Moment, Rules, State};

use ccr_doris::{BinlogLag, BinlogPage};
use ccr_schemas::CommitSeq;

/// The new state, and what has to be done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// State after the input.
    pub state: State,
    /// Effects.
    pub actions: Vec<Action>,
}

/// Decides what to do next.
pub fn step(rules: &Rules, state: State, input: Input) -> Step {
    match (state, input) {
        (State::Locating, Input::Located(located)) => start(rules, &located),
        (State::Following(following), Input::Due(at)) => following.read(rules, at),
        (State::Following(following), Input::PageRead { page, at }) => {
            following.take(rules, page, at)
        }
        (State::Following(following), Input::LookedBack { after, page }) => {
            following.look(rules, after, &page)
        }
        (State::Following(following), Input::SourceEnd(end)) => following.compare(end),
        // Answers to questions of an earlier life of the stream.
        (
            State::Locating,
            Input::Due(_) | Input::PageRead { .. } | Input::LookedBack { .. } | Input::SourceEnd(_),
        ) => Step::stay(State::Locating),
        (State::Following(following), Input::Located(_)) => Step::stay(State::Following(following)),
        (
            State::Halted(reason),
            Input::Located(_)
            | Input::Due(_)
            | Input::PageRead { .. }
            | Input::LookedBack { .. }
            | Input::SourceEnd(_),
        ) => Step::stay(State::Halted(reason)),
    }
}

impl Step {
    fn stay(state: State) -> Self {
        Self {
            state,
            actions: Vec::new(),
        }
    }

    fn halt(reason: HaltReason) -> Self {
        Self {
            state: State::Halted(reason.clone()),
            actions: vec![Action::Halt(reason)],
        }
    }
}

/// The first step of a stream: where the log ends decides where the source is read on.
fn start(rules: &Rules, located: &Located) -> Step {
    let source_end = located.stream.and_then(|lag| lag.last);
    let (position, mut actions) = match &located.log {
        Some(end) => {
            if end.db_id != located.db_id {
                return Step::halt(HaltReason::OtherDatabase {
                    expected: end.db_id,
                    found: located.db_id,
                });
            }
            if let Some(reason) = ahead(end.position, located.stream) {
                return Step::halt(reason);
            }
            (end.position, Vec::new())
        }
        None => {
            let position = source_end.unwrap_or(CommitSeq::BEFORE_FIRST);
            (position, vec![Action::PublishOrigin { position }])
        }
    };
    let audit = match &located.log {
        Some(end) => Audit::resume(rules.audit, &end.recent, located.now),
        None => Audit::new(rules.audit, position),
    };
    let mut settle = Settle::new(rules.settle, position);
    if let Some(at) = located.stream.and_then(|lag| lag.last_at) {
        settle.know(at);
    }
    actions.push(Action::Wait);
    Step {
        state: State::Following(Following {
            db_id: located.db_id,
            settle,
            audit,
            pass: None,
        }),
        actions,
    }
}

/// A position that the source never reached. Old FEs do not tell their newest position; then nothing can be said.
fn ahead(position: CommitSeq, stream: Option<BinlogLag>) -> Option<HaltReason> {
    let source_end = match stream {
        Some(lag) => Some(lag.last?),
        None => None,
    };
    (position > source_end.unwrap_or(CommitSeq::BEFORE_FIRST)).then_some(
        HaltReason::AheadOfSource {
            position,
            source_end,
        },
    )
}

impl Following {
    /// Begins a pass at the last position given out.
    fn read(mut self, rules: &Rules, at: Moment) -> Step {
        let after = self.settle.released();
        self.pass = Some(self.settle.begin(at.monotonic));
        let most = rules.batch;
        let mut actions = vec![Action::Read { after, most }];
        if let Some(after) = self.audit.begin(at.monotonic) {
            actions.insert(0, Action::LookBack { after, most });
        }
        Step {
            state: State::Following(self),
            actions,
        }
    }

    /// Takes a page of the look back over what was published.
    fn look(mut self, rules: &Rules, after: CommitSeq, page: &BinlogPage) -> Step {
        let most = rules.batch;
        let looked = self.audit.observe(after, page, most);
        let mut actions: Vec<_> = looked.late.into_iter().map(Action::PublishLate).collect();
        actions.extend(looked.next.map(|after| Action::LookBack { after, most }));
        Step {
            state: State::Following(self),
            actions,
        }
    }

    fn take(mut self, rules: &Rules, page: BinlogPage, at: Moment) -> Step {
        let Some(pass) = self.pass.take() else {
            return Step::stay(State::Following(self));
        };
        let records = match page {
            BinlogPage::Records(records) => records,
            BinlogPage::CaughtUp | BinlogPage::NoStream => {
                return Step {
                    state: State::Following(self),
                    actions: vec![Action::Wait],
                };
            }
            BinlogPage::TooOld { forgotten } => return self.gap(rules, forgotten, at),
        };
        if let Some(reason) = self.foreign(&records) {
            return Step::halt(reason);
        }
        let full = records.len() >= rules.batch;
        let edge = records.last().map(|record| record.commit_seq);
        let settled = self.settle.observe(&pass, at, records);
        self.audit.note(&settled, pass.horizon, at.monotonic);
        let mut actions = Vec::new();
        let moved = !settled.is_empty();
        if moved {
            actions.push(Action::Publish(settled));
        }
        let next = match edge {
            // Nothing waits below the edge: a new pass from there sees the newest horizon.
            Some(_) if full && self.settle.waiting() == 0 => {
                self.pass = Some(self.settle.begin(at.monotonic));
                Action::Read {
                    after: self.settle.released(),
                    most: rules.batch,
                }
            }
            // More may lie above the edge: the pass goes on, so that those records are seen, and their time starts.
            Some(edge) if full && self.settle.waiting() < rules.window => {
                self.pass = Some(pass);
                Action::Read {
                    after: edge,
                    most: rules.batch,
                }
            }
            Some(_) | None => Action::Wait,
        };
        actions.push(next);
        Step {
            state: State::Following(self),
            actions,
        }
    }

    fn gap(mut self, rules: &Rules, forgotten: CommitSeq, at: Moment) -> Step {
        let after = self.settle.released();
        if forgotten <= after {
            // Asked further up within a pass while the source moved its head: the next pass tells.
            return Step {
                state: State::Following(self),
                actions: vec![Action::Wait],
            };
        }
        self.settle.skip_to(forgotten);
        self.audit.skip_to(forgotten);
        let mut step = self.read(rules, at);
        step.actions.insert(
            0,
            Action::PublishGap {
                after,
                up_to: forgotten,
            },
        );
        step
    }

    fn compare(mut self, end: Option<BinlogLag>) -> Step {
        if let Some(reason) = ahead(self.settle.released(), end) {
            return Step::halt(reason);
        }
        if let Some(at) = end.and_then(|lag| lag.last_at) {
            self.settle.know(at);
        }
        Step::stay(State::Following(self))
    }
}

#[cfg(test)]
#[path = "step_test.rs"]
mod tests;
