//! What a stream does next. Pure: the same state and input give the same step.
//!
//! `Located -> Following { settle, audit } -> Publish -> translate (record -> event) -> layout (ids -> places of the data)`

pub mod action;
mod anchor;
pub mod audit;
pub mod catalog;
mod decision;
mod doubt;
pub mod fingerprint;
pub mod following;
pub mod layout;
pub mod pace;
pub mod settle;
pub mod sqltext;
pub mod state;
pub mod strangers;
pub mod translate;
pub mod undo;

pub use action::Action;
pub use audit::{Audit, AuditRule, Late, Published, Recent};
pub use fingerprint::Fingerprint;
pub use following::{Following, Sight};
pub use pace::{Pace, PaceRule};
pub use settle::{Settle, SettleRule, Settled};
pub use state::{
    Contradiction, Finding, Input, Located, LogEnd, Moment, Replacing, Rules, State, Suspicion,
};

use ccr_doris::BinlogLag;
use ccr_schemas::{CommitSeq, Timeline};

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
        (State::Following(following), Input::LookedBack { after, page, at }) => {
            following.look(rules, after, &page, at)
        }
        (State::Following(following), Input::SourceEnd { end, .. }) => following.compare(end),
        (
            State::Following(following),
            Input::RetentionChecked {
                suspicion,
                finding,
                at,
            },
        ) => following.checked(rules, &suspicion, finding, at),
        (State::Replacing(replacing), Input::SourceEnd { end, at }) => replace(&replacing, end, at),
        // Answers to questions that were asked before.
        (
            state @ State::Locating,
            Input::Due(_)
            | Input::PageRead { .. }
            | Input::LookedBack { .. }
            | Input::SourceEnd { .. }
            | Input::RetentionChecked { .. },
        )
        | (state @ State::Following(_), Input::Located(_))
        | (
            state @ State::Replacing(_),
            Input::Located(_)
            | Input::Due(_)
            | Input::PageRead { .. }
            | Input::LookedBack { .. }
            | Input::RetentionChecked { .. },
        )
        | (
            state @ (State::Replaced | State::Halted(_)),
            Input::Located(_)
            | Input::Due(_)
            | Input::PageRead { .. }
            | Input::LookedBack { .. }
            | Input::SourceEnd { .. }
            | Input::RetentionChecked { .. },
        ) => Step {
            state,
            actions: Vec::new(),
        },
    }
}

/// The first step of a stream: where the log ends decides where the source is read on.
fn start(rules: &Rules, located: &Located) -> Step {
    let now = located.at.monotonic;
    let Some(end) = &located.log else {
        let source_end = located.stream.and_then(|lag| lag.last);
        let position = source_end.unwrap_or(CommitSeq::BEFORE_FIRST);
        let mut following = Following::at_origin(rules, located.db_id, position, now);
        following.know(located.stream);
        let origin = Action::PublishOrigin { position };
        return following.wait(rules, located.at, vec![origin]);
    };
    if end.db_id != located.db_id {
        let replacing = Replacing {
            timeline: end.timeline,
            published: end.position,
            reason: Contradiction::OtherDatabase {
                expected: end.db_id,
                found: located.db_id,
            },
        };
        return doubt::contradict(rules, replacing, located.doubt, located.at);
    }
    let mut following = Following::resume(rules, end, now, located.doubt);
    following.know(located.stream);
    match following.behind(located.stream, true) {
        Some(suspicion) => following.suspect(suspicion),
        None => following.wait(rules, located.at, Vec::new()),
    }
}

/// Ends a timeline. The chain begins again at the source's end: the jobs need a snapshot that is newer than that anyway.
fn replace(replacing: &Replacing, end: Option<BinlogLag>, at: Moment) -> Step {
    let Replacing {
        timeline: previous,
        published,
        reason,
    } = *replacing;
    let position = end.and_then(|lag| lag.last);
    Step {
        state: State::Replaced,
        actions: vec![Action::PublishTimeline {
            // By the clock, so that two producers that begin one at the same moment do not begin the same one.
            timeline: Timeline(at.wall.0.max(previous.0 + 1)),
            position: position.unwrap_or(CommitSeq::BEFORE_FIRST),
            previous,
            published,
            reason,
        }],
    }
}

#[cfg(test)]
#[path = "step_test.rs"]
mod tests;
