//! Before versions are taken as evidence of what an earlier process did: its committed transactions become visible, and what it
//! may have left out is known.

use ccr_doris::{Inspect, TxnPhase, TxnState};
use ccr_log::Offset;
use ccr_ops::ErrorKind;
use ccr_schemas::TxnId;

use crate::error::full_text;
use crate::perform::Performer;
use crate::plan::Start;
use crate::plan::removal::Removal;
use crate::session::{Ended, Flow, Session};

impl Session<'_> {
    /// Waits until every transaction with a label of this job that is committed is visible as well, at most `visible_timeout`.
    ///
    /// A partition shows the version of its last visible transaction. One that is committed and not visible, because a backend
    /// of the destination is away for instance, would look as if it had never been applied. What is not visible when the time is
    /// over halts only the tables for which versions then do not tell.
    pub(crate) async fn settle(&self, label_prefix: &str) -> Flow<()> {
        let labels = format!("{label_prefix}_");
        let until = self.clock.monotonic() + self.config.visible_timeout;
        loop {
            let why = match self.unsettled(&labels).await {
                Ok(None) => return Flow::On(()),
                Ok(Some(txn)) => {
                    format!(
                        "waiting for destination transaction {txn}: it is committed and not visible yet"
                    )
                }
                Err(error) if error.kind() == ErrorKind::Invalid => {
                    tracing::warn!(job = %self.spec.name, error = %full_text(&error), "running transactions of the destination cannot be listed");
                    return Flow::On(());
                }
                Err(error) => full_text(&error),
            };
            if self.clock.monotonic() > until {
                tracing::warn!(job = %self.spec.name, reason = %why, "versions are read before every transaction is visible");
                return Flow::On(());
            }
            let now = self.clock.now_ms();
            self.tell(|p| p.error(Some(why), now));
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Flow::End(Ended::Stopped),
                () = self.clock.sleep(self.config.poll_interval) => {}
            }
        }
    }

    /// What the events from the start on remove, where no label tells what was applied: transactions on it may have been left out.
    pub(crate) async fn removed_later(&self, performer: &Performer, start: &Start) -> Vec<Removal> {
        if start.labels_intact || start.offset >= start.judge_end {
            return Vec::new();
        }
        let found = performer.look_ahead.look(Offset(start.offset)).await;
        found.unwrap_or_else(|error| {
            tracing::warn!(job = %self.spec.name, error = %error.full_text(), "events ahead cannot be read yet");
            Vec::new()
        })
    }

    /// A transaction that is committed and not visible.
    async fn unsettled(&self, labels: &str) -> Result<Option<TxnId>, ccr_doris::Error> {
        let database = &self.spec.dest.database;
        let running = self.dest.transactions(database, TxnPhase::Running).await?;
        let unseen = running
            .iter()
            .find(|txn| txn.state == TxnState::Committed && txn.label.starts_with(labels));
        Ok(unseen.map(|txn| txn.id))
    }
}
