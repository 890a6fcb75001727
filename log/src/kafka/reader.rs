//! A group member as the applier holds it. The work is done by the [`super::pump`] on its own thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use async_trait::async_trait;
use ccr_schemas::TopicName;
use tokio::sync::{mpsc, oneshot};

use super::fetch::size;
use crate::error::Error;
use crate::event_log::{Committed, GroupReader, MAX_METADATA_BYTES, Offset, ReaderEvent};
use crate::metrics;

/// Bound of seek and commit.
const CALL: Duration = Duration::from_secs(30);
/// Bound of leaving. The thread goes on leaving by itself when it takes longer.
const CLOSE: Duration = Duration::from_secs(8);

/// What the thread is asked to do. `ownership` is the assignment the caller knows of: it must not touch a later one.
pub(super) enum Command {
    /// Look at the queue, or at whether to leave.
    Wake,
    Seek {
        ownership: u64,
        epoch: u64,
        offset: Offset,
        answer: oneshot::Sender<Result<(), Error>>,
    },
    Commit {
        ownership: u64,
        position: Committed,
        answer: oneshot::Sender<Result<(), Error>>,
    },
}

/// Message from the polling thread to the reader.
pub(super) enum Notice {
    /// The topic is ours; the number of this assignment.
    Assigned {
        ownership: u64,
        committed: Option<Committed>,
    },
    Revoked,
    /// Something about delivery since the seek of that number.
    Delivered {
        epoch: u64,
        event: Result<ReaderEvent, Error>,
    },
    /// Something that holds whatever the position.
    Failed(Error),
}

/// Shared by the two sides.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Bytes delivered by the thread and not yet taken by the reader.
    pub buffered: AtomicUsize,
    /// The thread should leave the group and end.
    pub leave: AtomicBool,
    /// A `Wake` is under way.
    pub awake: AtomicBool,
}

/// See the module doc.
pub(super) struct KafkaReader {
    pub group: String,
    pub topic: TopicName,
    pub commands: SyncSender<Command>,
    pub notices: mpsc::Receiver<Notice>,
    pub shared: Arc<Shared>,
    pub ended: Option<oneshot::Receiver<()>>,
    pub ownership: u64,
    pub epoch: u64,
}

impl KafkaReader {
    async fn ask(
        &self,
        action: &str,
        command: impl FnOnce(oneshot::Sender<Result<(), Error>>) -> Command,
    ) -> Result<(), Error> {
        let (answer, answered) = oneshot::channel();
        let gone = || Error::Unavailable {
            action: format!("{action} topic {}", self.topic),
            source: "the reader's thread has ended or is busy with an earlier call".into(),
        };
        self.commands
            .try_send(command(answer))
            .map_err(|_| gone())?;
        match tokio::time::timeout(CALL, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(gone()),
            Err(_) => Err(Error::Timeout {
                action: format!("{action} topic {}", self.topic),
                seconds: CALL.as_secs(),
            }),
        }
    }

    /// What the caller gets of it; `None` when it belongs to a position given up since.
    fn translate(&mut self, notice: Notice) -> Option<Result<ReaderEvent, Error>> {
        match notice {
            Notice::Assigned {
                ownership,
                committed,
            } => {
                self.ownership = ownership;
                Some(Ok(ReaderEvent::Assigned { committed }))
            }
            Notice::Revoked => Some(Ok(ReaderEvent::Revoked)),
            Notice::Failed(error) => Some(Err(error)),
            Notice::Delivered { epoch, event } => {
                if let Ok(ReaderEvent::Record(record)) = &event {
                    self.shared
                        .buffered
                        .fetch_sub(size(record), Ordering::AcqRel);
                }
                (epoch == self.epoch).then_some(event)
            }
        }
    }
}

#[async_trait]
impl GroupReader for KafkaReader {
    async fn next(&mut self) -> Result<ReaderEvent, Error> {
        loop {
            let Some(notice) = self.notices.recv().await else {
                return Err(Error::Unavailable {
                    action: format!("read topic {}", self.topic),
                    source: "the reader's thread has ended; join again".into(),
                });
            };
            if let Some(event) = self.translate(notice) {
                return event;
            }
        }
    }

    async fn seek(&mut self, offset: Offset) -> Result<(), Error> {
        // Also when the call fails: what was read for the old position is not wanted any more.
        self.epoch += 1;
        let (ownership, epoch) = (self.ownership, self.epoch);
        self.ask("seek in", |answer| Command::Seek {
            ownership,
            epoch,
            offset,
            answer,
        })
        .await
    }

    async fn commit(&mut self, position: Committed) -> Result<(), Error> {
        if position.metadata.len() > MAX_METADATA_BYTES {
            return Err(Error::MetadataTooLarge(position.metadata.len()));
        }
        let ownership = self.ownership;
        self.ask("commit a position of", |answer| Command::Commit {
            ownership,
            position,
            answer,
        })
        .await?;
        ::metrics::counter!(metrics::COMMITS, "log" => metrics::KAFKA).increment(1);
        Ok(())
    }

    async fn close(mut self: Box<Self>) {
        self.leave();
        if let Some(ended) = self.ended.take()
            && tokio::time::timeout(CLOSE, ended).await.is_err()
        {
            tracing::warn!(group = %self.group, topic = %self.topic, "leaving the consumer group takes long; it continues in the background");
        }
    }
}

impl KafkaReader {
    fn leave(&self) {
        self.shared.leave.store(true, Ordering::Release);
        // A full channel means that the thread is not asleep; it sees the flag.
        let sent = self.commands.try_send(Command::Wake);
        tracing::trace!(woken = sent.is_ok(), "reader leaves");
    }
}

impl Drop for KafkaReader {
    fn drop(&mut self) {
        self.leave();
    }
}
