//! Decides what to do next. Pure: the same state and input give the same step.
//!
//! Read in this order: [`state`], [`action`], `admit` and `queue` (an event becomes a unit of work in its lanes), `load_map`,
//! `load` and `load_end` (a transaction from begin to commit), [`verify`] and [`versions`] (nothing is committed on what is not
//! what it was), [`memory`] (the destination as a whole), `change` (a statement from floor to floor), `renew` (a table
//! by a snapshot of its own), `table_resync` (the same because a person asks for it), `secure` (nobody waits for the slowest), [`judge`], [`mapping`], [`ddl`], [`checkpoint`], [`window`].

pub mod action;
mod admit;
mod adrift;
mod bearers;
mod change;
mod check;
pub mod checkpoint;
pub mod ddl;
pub mod exchange;
pub mod judge;
mod lane;
mod load;
mod load_end;
mod load_map;
pub mod mapping;
pub mod memory;
mod obsolete;
pub mod patience;
mod queue;
pub mod removal;
mod renew;
pub mod route;
mod scope;
mod secure;
pub mod slot;
pub mod state;
mod table_resync;
pub mod unit;
mod unstart;
pub mod verify;
pub mod versions;
mod violation;
pub mod window;

use std::fmt;

use ccr_schemas::{CommitSeq, Envelope, TableId};

pub use action::{Action, Failure, LayoutRead, Memory, Outcome};
pub use checkpoint::Checkpoint;
pub use removal::Removal;
pub use state::{Apply, Settings, Start, State, StopReason};

/// What woke the planner.
#[derive(Clone, Debug)]
pub enum Input {
    /// The next record.
    Received {
        /// Its offset.
        offset: i64,
        /// What it says.
        envelope: Box<Envelope>,
    },
    /// The action of an event came to an end.
    Performed(CommitSeq, Outcome),
    /// A layout was read.
    LayoutRead(TableId, LayoutRead),
    /// What events behind the ones read remove.
    LookedAhead {
        /// As found; `None` when it could not be found out.
        found: Option<Vec<Removal>>,
        /// Failures before this answer.
        failures: u32,
    },
    /// A layout was read again because it was old.
    VersionsChecked {
        /// Source table.
        table: TableId,
        /// Number of the check.
        check: u64,
        /// What was read.
        read: LayoutRead,
    },
    /// A connection to the destination broke or was closed by it, or another frontend answers.
    Interrupted,
    /// What the destination remembers of the job's last transaction.
    MemoryTold {
        /// What it is.
        memory: Memory,
        /// Failures before this answer.
        failures: u32,
    },
    /// Time to commit, with the time for the records.
    Tick {
        /// Milliseconds since the epoch.
        now_ms: i64,
    },
    /// The job is to stop after what is in flight.
    StopRequested,
    /// Something only a person can solve was found outside of the planner.
    HaltRequested(String),
}

/// The planner's answer.
#[derive(Debug)]
pub struct Step {
    /// Next state.
    pub state: State,
    /// What to do, in this order.
    pub actions: Vec<Action>,
}

/// One step.
pub fn step(state: State, input: Input) -> Step {
    let mut actions = Vec::new();
    let state = match state {
        State::Applying(mut apply) => {
            let stop = apply.take(input, &mut actions);
            apply.pump(!apply.is_violated, &mut actions);
            apply.secure_behind_slow(&mut actions);
            match stop {
                Some(StopReason::Asked) => drain(apply, StopReason::Asked, &mut actions),
                Some(StopReason::Halted(text)) => {
                    drain(apply, StopReason::Halted(text), &mut actions)
                }
                None => match apply.halt.clone() {
                    Some(text) => drain(apply, StopReason::Halted(text), &mut actions),
                    None => State::Applying(apply),
                },
            }
        }
        State::Draining(mut apply, reason) => {
            let stop = apply.take(input, &mut actions);
            let reason = match stop {
                Some(StopReason::Asked) => StopReason::Asked,
                Some(StopReason::Halted(_)) | None => reason,
            };
            // What was read before a halt is applied; a wish to stop waits for nothing that is not started.
            let start_more = matches!(reason, StopReason::Halted(_)) && !apply.is_violated;
            apply.pump(start_more, &mut actions);
            drain(apply, reason, &mut actions)
        }
        State::Stopped(apply, reason) => State::Stopped(apply, reason),
    };
    Step { state, actions }
}

fn drain(mut apply: Box<Apply>, reason: StopReason, actions: &mut Vec<Action>) -> State {
    let idle = match &reason {
        StopReason::Asked => apply.is_interruptible(),
        StopReason::Halted(_) if apply.is_violated => apply.in_flight() == 0,
        // What is under way is dropped: nothing of it may become an effect.
        StopReason::Halted(_) if apply.contradiction.is_some() => true,
        StopReason::Halted(_) => apply.units.is_empty(),
    };
    if idle {
        apply.record_if_moved(actions);
        State::Stopped(apply, reason)
    } else {
        State::Draining(apply, reason)
    }
}

impl State {
    /// What is known, in every state.
    pub fn apply(&self) -> &Apply {
        match self {
            Self::Applying(apply) | Self::Draining(apply, _) | Self::Stopped(apply, _) => apply,
        }
    }

    /// Records can be taken.
    pub fn wants_more(&self) -> bool {
        match self {
            Self::Applying(apply) => apply.wants_more(),
            Self::Draining(..) | Self::Stopped(..) => false,
        }
    }
}

impl Apply {
    fn take(&mut self, input: Input, actions: &mut Vec<Action>) -> Option<StopReason> {
        match input {
            Input::Received { offset, envelope } => {
                if self.halt.is_none() {
                    let source_at = envelope.source_at;
                    self.admit(offset, *envelope, actions);
                    if self.halt.is_some() {
                        self.halt_source_at = Some(source_at);
                    }
                }
                None
            }
            Input::Performed(seq, outcome) => {
                self.performed(seq, outcome, actions);
                None
            }
            Input::LayoutRead(table, read) => {
                self.layout_read(table, read, actions);
                None
            }
            Input::LookedAhead { found, failures } => {
                self.looked_ahead(found, failures, actions);
                None
            }
            Input::VersionsChecked { table, check, read } => {
                self.versions_checked(table, check, read);
                None
            }
            Input::Interrupted => {
                self.interrupted(actions);
                None
            }
            Input::MemoryTold { memory, failures } => {
                self.memory_told(memory, failures, actions);
                None
            }
            Input::Tick { now_ms } => {
                self.now_ms = now_ms;
                self.record_if_moved(actions);
                None
            }
            Input::StopRequested => Some(StopReason::Asked),
            Input::HaltRequested(text) => Some(StopReason::Halted(text)),
        }
    }

    fn performed(&mut self, seq: CommitSeq, outcome: Outcome, actions: &mut Vec<Action>) {
        let Some(unit) = self.units.remove(&seq) else {
            return;
        };
        match unit.work.clone() {
            state::Work::Load(event, phase) => {
                self.load_performed(unit, event, phase, outcome, actions)
            }
            state::Work::Change(ddl, phase) => {
                self.change_performed(unit, ddl, phase, outcome, actions)
            }
            state::Work::Renew(renewal, phase) => {
                self.renewal_performed(unit, renewal, phase, outcome, actions)
            }
        }
    }

    fn record_if_moved(&mut self, actions: &mut Vec<Action>) {
        let at = self.window.committable();
        if at != self.recorded {
            let (offset, checkpoint) = self.checkpoint();
            self.recorded = at;
            actions.push(Action::Record {
                offset,
                checkpoint: Box::new(checkpoint),
            });
        }
    }

    /// Makes the present floors and halts durable before the following actions.
    fn record(&mut self, actions: &mut Vec<Action>) {
        let (offset, checkpoint) = self.checkpoint();
        self.recorded = self.window.committable();
        actions.push(Action::Record {
            offset,
            checkpoint: Box::new(checkpoint),
        });
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let apply = self.state.apply();
        match &self.state {
            State::Applying(_) => f.write_str("applying")?,
            State::Draining(..) => f.write_str("draining")?,
            State::Stopped(_, StopReason::Asked) => f.write_str("stopped")?,
            State::Stopped(_, StopReason::Halted(_)) => f.write_str("halted")?,
        }
        write!(
            f,
            " applied={} pending={}",
            apply.applied(),
            apply.units.len()
        )?;
        for (n, action) in self.actions.iter().enumerate() {
            write!(f, "{} {action}", if n == 0 { " |" } else { ";" })?;
        }
        Ok(())
    }
}
