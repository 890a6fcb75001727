//! What the destination remembers of the job's transactions.

use ccr_doris::{Error, Inspect, ListedTxn, TxnPhase, TxnState};
use ccr_schemas::TxnId;

use crate::destination::Destination;
use crate::plan::Memory;
use crate::plan::checkpoint::LastCommitted;

/// How every label of the product begins.
const OURS: &str = "ccr_";

/// Seconds by which a transaction must have ended before another was begun, so that the order is certain: times of the server
/// are whole seconds, and the clocks of two appliers differ a little.
const MARGIN_SECONDS: i64 = 5;

/// A question about the transaction that the job committed last.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Destination database.
    pub database: &'a str,
    /// What all labels of the job begin with, up to the position.
    pub prefix: &'a str,
    /// The transaction.
    pub last: LastCommitted,
    /// How long ago it was begun, milliseconds.
    pub age_ms: i64,
}

impl Ask<'_> {
    /// Whether the destination remembers it. Transactions of one kind are forgotten in the order in which they ended
    /// (`label_num_threshold`, `streaming_label_keep_max_second`), so one that is not known while another is, which ended before
    /// it was begun, was never there: the destination went back.
    ///
    /// # Errors
    /// Any [`Error`] of the destination.
    pub async fn of(&self, dest: &dyn Destination) -> Result<Memory, Error> {
        let LastCommitted(seq, txn, _) = self.last;
        let label = format!("{}_{seq}", self.prefix);
        let (state, holder) = dest.label_state(self.database, &label).await?;
        match state {
            TxnState::Committed | TxnState::Visible if holder.is_none_or(|id| id == txn) => {
                return Ok(Memory::Intact);
            }
            TxnState::Committed
            | TxnState::Visible
            | TxnState::Unknown
            | TxnState::Prepare
            | TxnState::Precommitted
            | TxnState::Aborted => {}
        }
        let listed = dest.transactions(self.database, TxnPhase::Finished).await?;
        // The list is ordered by id. The oldest ended first, or nearly so.
        let older = listed.iter().rfind(|found| {
            found.state == TxnState::Visible && found.id < txn && self.is_own(found)
        });
        let Some((older, ended_at)) = older.and_then(|o| Some((o, o.ended_at.as_deref()?))) else {
            return Ok(Memory::Silent);
        };
        let ended_before = match dest.seconds_since(ended_at).await? {
            Some(seconds) => seconds > self.age_ms / 1000 + MARGIN_SECONDS,
            None => false,
        };
        Ok(if ended_before {
            Memory::WentBack(format!(
                "it does not know transaction {txn} any more, which this job committed, but transaction {}, which ended \
                 before",
                older.id
            ))
        } else {
            Memory::Silent
        })
    }

    fn is_own(&self, txn: &ListedTxn) -> bool {
        let rest = txn.label.strip_prefix(self.prefix);
        rest.is_some_and(|rest| rest.starts_with('_'))
    }
}

/// A transaction of the product that is committed and not visible yet.
///
/// # Errors
/// Any [`Error`] of the destination.
pub async fn unsettled(dest: &dyn Destination, database: &str) -> Result<Option<TxnId>, Error> {
    let running = dest.transactions(database, TxnPhase::Running).await?;
    let unseen = running
        .iter()
        .find(|txn| txn.state == TxnState::Committed && txn.label.starts_with(OURS));
    Ok(unseen.map(|txn| txn.id))
}
