//! One running query or load on this backend: what its fragments exchange, its result, its end.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::error::{ExecError, plan};
use super::fragment::Request;
use super::rows::{self, Format};
use crate::brpc::pb::{FetchedDataPb, UniqueIdPb};
use crate::brpc::status;
use crate::sync::lock;
use dorisim_model::Row;

/// Cells that wait in one query for those who take them.
const MAX_CELLS: usize = 50_000_000;
/// Bytes of rows in one answer to `fetch_data`, about.
const BATCH_BYTES: usize = 1 << 20;

/// What senders of one exchange node brought.
#[derive(Debug, Default)]
struct Mailbox {
    rows: Vec<Row>,
    /// Instances that are through.
    ended: i32,
}

/// Rows for the client.
#[derive(Debug)]
enum Outcome {
    Running,
    Ready { rows: VecDeque<Vec<u8>>, next: i64 },
    Failed { code: i32, message: String },
}

/// A query.
#[derive(Debug)]
pub struct Query {
    /// Its id.
    pub id: UniqueIdPb,
    /// Ends its fragments.
    pub stop: CancellationToken,
    /// Told when nobody will ask for it again.
    pub over: CancellationToken,
    mailboxes: Mutex<HashMap<i32, Mailbox>>,
    outcome: Mutex<Outcome>,
    /// Fragments that wait for their start.
    parked: Mutex<Vec<Request>>,
    changes: watch::Sender<u64>,
}

impl Query {
    /// A query that has not begun.
    #[must_use]
    pub fn new(id: UniqueIdPb) -> Self {
        Query {
            id,
            stop: CancellationToken::new(),
            over: CancellationToken::new(),
            mailboxes: Mutex::default(),
            outcome: Mutex::new(Outcome::Running),
            parked: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }

    fn changed(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Keeps fragments until their start.
    pub fn park(&self, request: Request) {
        lock(&self.parked).push(request);
    }

    /// The kept fragments.
    pub fn unpark(&self) -> Vec<Request> {
        std::mem::take(&mut *lock(&self.parked))
    }

    /// Takes rows for an exchange node; `ended` senders are through with them.
    ///
    /// # Errors
    /// [`ExecError::TooMuch`].
    pub fn deliver(&self, node: i32, rows: Vec<Row>, ended: i32) -> Result<(), ExecError> {
        {
            let mut mailboxes = lock(&self.mailboxes);
            let waiting: usize = mailboxes.values().map(|box_| cells(&box_.rows)).sum();
            if waiting.saturating_add(cells(&rows)) > MAX_CELLS {
                return Err(ExecError::TooMuch {
                    what: "cells between the fragments of a query",
                    limit: MAX_CELLS,
                });
            }
            let mailbox = mailboxes.entry(node).or_default();
            mailbox.rows.extend(rows);
            mailbox.ended = mailbox.ended.saturating_add(ended);
        }
        self.changed();
        Ok(())
    }

    /// All rows of an exchange node, when `senders` are through.
    ///
    /// # Errors
    /// The query ends before.
    pub async fn collect(&self, node: i32, senders: i32) -> Result<Vec<Row>, ExecError> {
        let mut changes = self.changes.subscribe();
        loop {
            {
                let mut mailboxes = lock(&self.mailboxes);
                let mailbox = mailboxes.entry(node).or_default();
                if mailbox.ended >= senders {
                    return Ok(std::mem::take(&mut mailbox.rows));
                }
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {
                    return Err(ExecError::Cancelled("the query ended elsewhere".to_owned()));
                }
                change = changes.changed() => {
                    change.map_err(|_| plan("the query is gone"))?;
                }
            }
        }
    }

    /// Sets the result.
    ///
    /// # Errors
    /// [`ExecError::TooMuch`] for a row beyond all bounds.
    pub fn finish(&self, rows: &[Row], format: &Format) -> Result<(), ExecError> {
        let rows = rows
            .iter()
            .map(|row| rows::encode(row, format))
            .collect::<Result<_, _>>()?;
        let mut outcome = lock(&self.outcome);
        if matches!(*outcome, Outcome::Running) {
            *outcome = Outcome::Ready { rows, next: 0 };
        }
        drop(outcome);
        self.changed();
        Ok(())
    }

    /// Ends it with an error, unless it has ended already.
    pub fn fail(&self, code: i32, message: String) {
        let mut outcome = lock(&self.outcome);
        if matches!(*outcome, Outcome::Running) {
            *outcome = Outcome::Failed { code, message };
        }
        drop(outcome);
        self.stop.cancel();
        self.changed();
    }

    /// The next rows of the result, when there are some.
    pub async fn fetch(&self) -> FetchedDataPb {
        let mut changes = self.changes.subscribe();
        loop {
            if let Some(answer) = self.take() {
                return answer;
            }
            if changes.changed().await.is_err() {
                return failed(dorisim_wire::TStatusCode::CANCELLED.0, "the query is gone");
            }
        }
    }

    fn take(&self) -> Option<FetchedDataPb> {
        let mut outcome = lock(&self.outcome);
        match &mut *outcome {
            Outcome::Running => None,
            Outcome::Failed { code, message } => {
                self.over.cancel();
                Some(failed(*code, message))
            }
            Outcome::Ready { rows, next } => {
                let mut batch = Vec::new();
                let mut bytes = 0;
                while bytes < BATCH_BYTES
                    && let Some(row) = rows.pop_front()
                {
                    bytes += row.len();
                    batch.push(row);
                }
                let number = *next;
                *next += 1;
                let eos = rows.is_empty();
                if eos {
                    self.over.cancel();
                }
                Some(FetchedDataPb {
                    status: status::ok(),
                    packet_seq: Some(number),
                    eos: Some(eos),
                    row_batch: (!batch.is_empty()).then(|| rows::batch(batch, number)),
                })
            }
        }
    }
}

fn cells(rows: &[Row]) -> usize {
    rows.len()
        .saturating_mul(rows.first().map_or(1, Vec::len).max(1))
}

fn failed(code: i32, message: &str) -> FetchedDataPb {
    FetchedDataPb {
        status: status::of(code, message.to_owned()),
        packet_seq: None,
        eos: None,
        row_batch: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query() -> Query {
        Query::new(UniqueIdPb { hi: 1, lo: 2 })
    }

    #[tokio::test]
    async fn an_exchange_waits_for_all_its_senders() {
        let query = query();
        let row = |text: &str| vec![Some(text.to_owned())];
        query.deliver(3, vec![row("a")], 1).unwrap();
        query.deliver(3, vec![row("b")], 0).unwrap();
        let early = tokio::time::timeout(std::time::Duration::from_millis(20), query.collect(3, 2));
        assert!(early.await.is_err());
        query.deliver(3, vec![], 1).unwrap();
        assert_eq!(query.collect(3, 2).await.unwrap(), [row("a"), row("b")]);
    }

    #[tokio::test]
    async fn a_result_comes_in_numbered_pieces_and_an_error_as_status() {
        let query = query();
        let wide = vec![Some("x".repeat(BATCH_BYTES))];
        query.finish(&[wide.clone(), wide], &Format::Text).unwrap();
        let first = query.fetch().await;
        assert_eq!((first.packet_seq, first.eos), (Some(0), Some(false)));
        let second = query.fetch().await;
        assert_eq!((second.packet_seq, second.eos), (Some(1), Some(true)));
        assert!(second.row_batch.is_some());
        assert!(query.over.is_cancelled());

        let query = self::query();
        query.fail(6, "why".to_owned());
        let answer = query.fetch().await;
        assert_eq!(answer.status.status_code, 6);
        assert!(query.collect(1, 1).await.is_err());
    }
}
