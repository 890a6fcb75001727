//! A member of a group. Members of a process queue for a fair mutex per group and topic: whoever holds it is assigned,
//! dropping it hands over to the next in line.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use ccr_schemas::TopicName;
use futures::future::BoxFuture;
use tokio::sync::{OwnedMutexGuard, watch};

use super::records::{self, Bounds};
use super::shared::{Inner, Page, Query};
use super::topics::TopicView;
use super::writer::Claim;
use crate::error::Error;
use crate::event_log::{Committed, GroupReader, MAX_METADATA_BYTES, Offset, ReaderEvent, Record};
use crate::metrics;

/// Read ahead of the applier: at most this much lies in memory per reader (or one record).
const READ_AHEAD: Bounds = Bounds {
    records: 500,
    bytes: 8 * 1024 * 1024,
};

type Ownership = OwnedMutexGuard<()>;

/// State of a member. Nothing of it outlives the process, apart from the generation and position in the file.
enum State {
    /// In line. Entered by `join`.
    Waiting(BoxFuture<'static, Ownership>),
    /// Owner by turn; the new generation is being stored. Entered from `Waiting`, and again after that failed.
    Claiming(Ownership, BoxFuture<'static, Result<Claim, Error>>),
    /// Assigned; nothing is delivered before `seek`. Entered from `Claiming`.
    Assigned(Owner),
    /// Delivering. Entered by `seek`.
    Reading(Owner, Delivery),
    /// Between two states; seen only if polling a future panicked.
    Left,
}

struct Owner {
    generation: i64,
    _ownership: Ownership,
}

struct Delivery {
    /// Next offset to deliver.
    position: i64,
    buffer: VecDeque<Record>,
    buffered_bytes: usize,
    /// A read under way.
    read: Option<Query<Page>>,
    bell: watch::Receiver<i64>,
    /// The end was reported and nothing was delivered since.
    caught_up: bool,
}

/// See the module doc.
pub(super) struct EmbeddedReader {
    inner: Arc<Inner>,
    group: String,
    topic: TopicName,
    view: Arc<TopicView>,
    state: State,
}

impl EmbeddedReader {
    pub(super) fn new(
        inner: Arc<Inner>,
        group: &str,
        topic: &TopicName,
        view: Arc<TopicView>,
    ) -> Self {
        let line = inner.line_of(group, topic);
        Self {
            inner,
            group: group.to_owned(),
            topic: topic.clone(),
            view,
            state: State::Waiting(Box::pin(line.lock_owned())),
        }
    }

    fn claim(&self) -> BoxFuture<'static, Result<Claim, Error>> {
        let (inner, group, topic) = (
            Arc::clone(&self.inner),
            self.group.clone(),
            self.topic.clone(),
        );
        Box::pin(async move { inner.claim(group, topic).await })
    }

    fn fenced(&self) -> Error {
        Error::Fenced {
            group: self.group.clone(),
            topic: self.topic.clone(),
        }
    }

    /// Starts or awaits one read. `Ok(None)`: go on.
    async fn deliver(&mut self) -> Result<Option<ReaderEvent>, Error> {
        let State::Reading(_, delivery) = &mut self.state else {
            return Ok(None);
        };
        if let Some(record) = delivery.buffer.pop_front() {
            delivery.buffered_bytes = delivery.buffered_bytes.saturating_sub(size(&record));
            delivery.position = record.offset.0 + 1;
            delivery.caught_up = false;
            return Ok(Some(ReaderEvent::Record(record)));
        }
        if let Some(read) = &mut delivery.read {
            let page = self.inner.joined(read).await;
            delivery.read = None;
            let Page { records, end } = page?;
            delivery.buffered_bytes = records.iter().map(size).sum();
            ::metrics::gauge!(metrics::BUFFERED_BYTES, "topic" => self.topic.0.clone())
                .set(delivery.buffered_bytes as f64);
            delivery.buffer = records.into();
            if delivery.buffer.is_empty() {
                // Compaction can leave a hole up to the end.
                delivery.position = end;
            }
            return Ok(None);
        }
        let (first, end) = (self.view.first(), *delivery.bell.borrow_and_update());
        self.inner
            .check_position(&self.topic, delivery.position, first, end)?;
        if delivery.position < end {
            let read = self.inner.read(&self.view, delivery.position, READ_AHEAD);
            delivery.read = Some(read);
            return Ok(None);
        }
        if !delivery.caught_up {
            delivery.caught_up = true;
            return Ok(Some(ReaderEvent::CaughtUp { end: Offset(end) }));
        }
        delivery
            .bell
            .changed()
            .await
            .map_err(|source| Error::Unavailable {
                action: format!("read topic {}", self.topic),
                source: Box::new(source),
            })?;
        Ok(None)
    }
}

fn size(record: &Record) -> usize {
    records::size(&record.key, record.value.as_ref(), &record.headers)
}

#[async_trait]
impl GroupReader for EmbeddedReader {
    async fn next(&mut self) -> Result<ReaderEvent, Error> {
        loop {
            match &mut self.state {
                State::Waiting(turn) => {
                    let ownership = turn.await;
                    let claim = self.claim();
                    self.state = State::Claiming(ownership, claim);
                }
                State::Claiming(_, claim) => {
                    let claim = claim.await;
                    let State::Claiming(ownership, _) =
                        std::mem::replace(&mut self.state, State::Left)
                    else {
                        return Err(self.fenced());
                    };
                    match claim {
                        Ok(Claim {
                            generation,
                            committed,
                        }) => {
                            self.state = State::Assigned(Owner {
                                generation,
                                _ownership: ownership,
                            });
                            return Ok(ReaderEvent::Assigned { committed });
                        }
                        Err(error) => {
                            let again = self.claim();
                            self.state = State::Claiming(ownership, again);
                            return Err(error);
                        }
                    }
                }
                State::Assigned(_) => std::future::pending().await,
                State::Reading(..) => {
                    if let Some(event) = self.deliver().await? {
                        return Ok(event);
                    }
                }
                State::Left => return Err(self.fenced()),
            }
        }
    }

    async fn seek(&mut self, offset: Offset) -> Result<(), Error> {
        match std::mem::replace(&mut self.state, State::Left) {
            State::Assigned(owner) | State::Reading(owner, _) => {
                let delivery = Delivery {
                    position: offset.0,
                    buffer: VecDeque::new(),
                    buffered_bytes: 0,
                    read: None,
                    bell: self.view.subscribe(),
                    caught_up: false,
                };
                self.state = State::Reading(owner, delivery);
                Ok(())
            }
            other @ (State::Waiting(_) | State::Claiming(..) | State::Left) => {
                self.state = other;
                Err(self.fenced())
            }
        }
    }

    async fn commit(&mut self, position: Committed) -> Result<(), Error> {
        if position.metadata.len() > MAX_METADATA_BYTES {
            return Err(Error::MetadataTooLarge(position.metadata.len()));
        }
        let generation = match &self.state {
            State::Assigned(owner) | State::Reading(owner, _) => owner.generation,
            State::Waiting(_) | State::Claiming(..) | State::Left => return Err(self.fenced()),
        };
        self.inner
            .commit(self.group.clone(), self.topic.clone(), generation, position)
            .await?;
        ::metrics::counter!(metrics::COMMITS, "log" => metrics::EMBEDDED).increment(1);
        Ok(())
    }

    async fn close(self: Box<Self>) {}
}
