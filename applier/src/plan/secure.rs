//! Tables wait alone: what the other lanes have done is made durable although the offset stands.

use ccr_log::MAX_METADATA_BYTES;

use crate::plan::Action;
use crate::plan::checkpoint::{Floor, Progress};
use crate::plan::state::{Apply, RenewPhase, Unit, WINDOW, Work};

/// Failures in a row of the first event of the window before the others go on without it.
const FAILURES_OF_SLOW: u32 = 3;

impl Apply {
    /// The offset can not pass a table that is being renewed, or one that fails again and again, and both may take long. So
    /// that the others need not wait for it, what they have done is recorded table by table, as far as there is room.
    pub(crate) fn secure_behind_slow(&mut self, actions: &mut Vec<Action>) {
        if self.window.open_len() < WINDOW / 2 {
            return;
        }
        let first = self.window.first().and_then(|seq| self.units.get(&seq));
        let is_slow = |unit: &Unit| {
            unit.failures >= FAILURES_OF_SLOW
                || matches!(unit.work, Work::Renew(_, RenewPhase::Running))
        };
        if !first.is_some_and(is_slow) {
            return;
        }
        let before = self.floors.clone();
        for (table, upto) in &self.done_upto {
            let at = self.floors.get(table).map(|floor| floor.at);
            if at.is_none_or(|at| at < *upto) {
                let floor = Floor {
                    at: *upto,
                    progress: Progress::Done,
                    evidence: None,
                };
                self.floors.insert(*table, floor);
            }
        }
        let text = self.checkpoint().1.encode();
        if text.is_none_or(|text| text.len() > MAX_METADATA_BYTES * 3 / 4) {
            self.floors = before;
            return;
        }
        self.window.secure();
        self.record(actions);
    }
}
