//! The destination as a whole: it must remember what it committed, and its transaction ids must grow. A frontend that was
//! started on an older state shows neither, and then no table of the job can be trusted.

use ccr_schemas::TxnId;

use crate::plan::state::Apply;
use crate::plan::{Action, Memory};

/// Longest text of a contradiction in the committed metadata, characters.
const MAX_CONTRADICTION: usize = 400;

impl Apply {
    /// A connection to the destination broke, or another frontend answers: what was read before may not hold.
    pub(super) fn interrupted(&mut self, actions: &mut Vec<Action>) {
        for slot in self.layouts.values_mut() {
            slot.distrust();
        }
        // A check that held a commit is not answered any more.
        let heads = self
            .lanes
            .values()
            .filter_map(|lane| lane.queue.front().copied());
        self.touched.extend(heads);
        self.ask_memory(0, actions);
    }

    fn ask_memory(&mut self, failures: u32, actions: &mut Vec<Action>) {
        if let Some(last) = self.last_committed
            && !self.asking_memory
        {
            self.asking_memory = true;
            actions.push(Action::AskMemory { last, failures });
        }
    }

    /// What the destination remembers of the transaction committed last.
    pub(super) fn memory_told(&mut self, memory: Memory, failures: u32, actions: &mut Vec<Action>) {
        self.asking_memory = false;
        match memory {
            Memory::Intact | Memory::Silent => {}
            Memory::WentBack(why) => self.contradict(&why, actions),
            Memory::Failed(failure) => {
                self.last_error = Some(failure.text);
                self.ask_memory(failures + 1, actions);
            }
        }
    }

    /// A transaction was begun: ids of one cluster only grow. False when the destination went back.
    pub(super) fn note_begun(
        &mut self,
        txn: TxnId,
        newest_before: TxnId,
        actions: &mut Vec<Action>,
    ) -> bool {
        if txn <= newest_before {
            let why = format!("it began transaction {txn} after it had begun {newest_before}");
            self.contradict(&why, actions);
            return false;
        }
        self.newest_txn = self.newest_txn.max(txn);
        true
    }

    /// What the job remembers and what the destination has contradict each other: nothing more is done, now and after a
    /// restart.
    fn contradict(&mut self, why: &str, actions: &mut Vec<Action>) {
        if self.contradiction.is_some() {
            return;
        }
        let text = contradiction(why, &self.settings.job);
        self.contradiction = Some(text.clone());
        self.halt = Some(text);
        self.record(actions);
    }
}

/// The text of a job that halts because its destination went back.
pub fn contradiction(why: &str, job: &str) -> String {
    let why: String = why.chars().take(MAX_CONTRADICTION).collect();
    format!(
        "the destination went back to an older state: {why}; sync the job again with `ccr job resync {job}`"
    )
}
