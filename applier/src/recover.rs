//! What the destination is asked before a job goes on: whether it remembers what the job did before.

use std::time::Duration;

use ccr_doris::TxnState;
use ccr_log::GroupReader;
use ccr_schemas::CommitSeq;

use crate::error::{Error, full_text};
use crate::memory::Ask;
use crate::plan::memory::contradiction;
use crate::plan::{Checkpoint, Memory};
use crate::runtime::label_prefix;
use crate::session::{Ended, Flow, Session};

impl Session<'_> {
    /// The destination must remember the transaction that was committed last, as far as it can. Waits for an answer.
    pub(crate) async fn confirm_memory(
        &mut self,
        reader: &mut dyn GroupReader,
        offset: i64,
        checkpoint: &Checkpoint,
    ) -> Result<Flow<()>, Error> {
        let Some(last) = checkpoint.last_committed else {
            return Ok(Flow::On(()));
        };
        let ask = Ask {
            database: &self.spec.dest.database,
            prefix: &label_prefix(self.spec),
            last,
            age_ms: self.clock.now_ms() - last.2,
        };
        let mut failures = 0_u32;
        let why = loop {
            match ask.of(&**self.dest).await {
                Ok(Memory::Intact | Memory::Silent) => return Ok(Flow::On(())),
                Ok(Memory::WentBack(why)) => break why,
                Ok(Memory::Failed(failure)) => {
                    let now = self.clock.now_ms();
                    self.tell(|p| p.error(Some(failure.text), now));
                }
                Err(error) => {
                    let now = self.clock.now_ms();
                    self.tell(|p| p.error(Some(full_text(&error)), now));
                }
            }
            failures += 1;
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(Flow::End(Ended::Stopped)),
                () = self.clock.sleep(Duration::from_millis(200) * failures.min(25)) => {}
            }
        };
        let text = contradiction(&why, &self.spec.name);
        let halted = Checkpoint {
            contradiction: Some(text.clone()),
            ..checkpoint.clone()
        };
        // Durable: what is seen now may not be seen at the next start.
        match self.commit(reader, offset, &halted).await? {
            Flow::On(()) => Ok(Flow::End(Ended::Halted(text))),
            Flow::End(end) => Ok(Flow::End(end)),
        }
    }

    /// Whether the destination still knows the label of an event that was certainly applied.
    pub(crate) async fn remembers(&self, witness: CommitSeq) -> Flow<bool> {
        let label = format!("{}_{witness}", label_prefix(self.spec));
        let mut failures = 0_u32;
        loop {
            match self
                .dest
                .label_state(&self.spec.dest.database, &label)
                .await
            {
                Ok((state, _)) => {
                    return Flow::On(matches!(state, TxnState::Committed | TxnState::Visible));
                }
                Err(error) => {
                    let now = self.clock.now_ms();
                    self.tell(|p| p.error(Some(full_text(&error)), now));
                    failures += 1;
                    tokio::select! {
                        biased;
                        () = self.stop.cancelled() => return Flow::End(Ended::Stopped),
                        () = self.clock.sleep(Duration::from_millis(200) * failures.min(25)) => {}
                    }
                }
            }
        }
    }
}
