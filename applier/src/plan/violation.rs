//! What cannot happen, and is a defect of this program when it does: the job stops in front of the event and says so.

use crate::plan::state::{Apply, ChangePhase, LoadPhase, RenewPhase, Unit, Work};
use crate::plan::{Action, Outcome};

impl Apply {
    /// An outcome came that the unit did not wait for. The unit is given up: its position is not passed, so that the event is
    /// read again by the next start.
    pub(crate) fn unexpected_outcome(
        &mut self,
        unit: &Unit,
        phase: &'static str,
        outcome: &Outcome,
        actions: &mut Vec<Action>,
    ) {
        let what = format!(
            "event {} ({}) got the outcome {} while it was {phase}",
            unit.seq,
            unit.kind.as_str(),
            outcome.name()
        );
        self.violated(&what, actions);
    }

    /// Counts the violation and stops the job in front of the event.
    pub(crate) fn violated(&mut self, what: &str, actions: &mut Vec<Action>) {
        let text = format!(
            "internal error: {what}; report this text, then restart the applier: the job goes on in front of the event"
        );
        actions.push(Action::Violation { text: text.clone() });
        self.is_violated = true;
        self.halt.get_or_insert(text);
    }
}

impl Outcome {
    /// Name of the kind of outcome, for texts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Begin(_) => "begin",
            Self::Rollback(_) => "rollback",
            Self::Label(..) => "label state",
            Self::Ingested(_) => "ingested",
            Self::IngestIncomplete { .. } => "ingest incomplete",
            Self::Commit(_) => "commit",
            Self::Visible => "visible",
            Self::Evidence(_) => "evidence",
            Self::DdlInEffect { .. } => "DDL in effect",
            Self::TableAbsent => "table absent",
            Self::NameTaken => "name taken",
            Self::Renewed { .. } => "table re-synced",
            Self::DroppedAtSource { .. } => "table dropped at the source",
            Self::Failed(_) => "failed",
        }
    }
}

impl LoadPhase {
    /// Name, for texts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Mapping(_) => "being mapped",
            Self::Beginning(_) => "being begun",
            Self::Asking(_) => "asking for its label",
            Self::Undoing(..) => "being rolled back",
            Self::Ingesting(..) => "being ingested",
            Self::Ingested(..) => "waiting for its turn to commit",
            Self::Committing(..) => "being committed",
            Self::Claimed(_) => "waiting for its turn to be proved",
            Self::Verifying(..) => "being verified",
            Self::Failed(..) => "waiting for its turn to fail",
            Self::Obsolete(_) => "waiting for its turn to drop a rollup",
            Self::Settling(_) => "waiting for visible transactions",
            Self::Dropping(_) => "dropping a rollup",
            Self::Unfit(_) => "waiting for its turn to be re-synced",
        }
    }
}

impl ChangePhase {
    /// Name, for texts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Waiting(_) => "waiting",
            Self::Settling(_) => "waiting for visible transactions",
            Self::Looking => "reading evidence",
            Self::Running(_) => "running",
            Self::Failed(_) => "waiting for its turn to fail",
        }
    }
}

impl RenewPhase {
    /// Name, for texts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Settling => "waiting for visible transactions",
            Self::Looking => "looking whether its name is free",
            Self::Running => "being re-synced",
            Self::Failed(_) => "waiting for its turn to fail",
        }
    }
}

impl Work {
    /// Name of the phase, for texts.
    pub fn phase_name(&self) -> &'static str {
        match self {
            Self::Load(_, phase) => phase.name(),
            Self::Change(_, phase) => phase.name(),
            Self::Renew(_, phase) => phase.name(),
        }
    }
}
