//! What a job's parts share while this process owns it.

use std::sync::Arc;
use std::time::Duration;

use ccr_control::JobSpec;
use ccr_log::{Committed, GroupReader, Offset, SharedLog};
use ccr_ops::{Clock, ErrorKind, Sealer};
use ccr_schemas::TopicName;
use tokio_util::sync::CancellationToken;

use crate::config::ApplierConfig;
use crate::destination::Destination;
use crate::error::{Error, full_text};
use crate::plan::Checkpoint;
use crate::progress::Progress;

/// How a session ended without an error.
#[derive(Debug)]
pub enum Ended {
    /// Another member owns the topic now.
    Revoked,
    /// As wished.
    Stopped,
    /// Only a person can go on.
    Halted(String),
}

/// A step of a session: a value, or the end of the session.
pub enum Flow<T> {
    /// Go on.
    On(T),
    /// It ended.
    End(Ended),
}

/// What a session works with.
pub struct Session<'a> {
    pub(crate) spec: &'a JobSpec,
    pub(crate) config: &'a ApplierConfig,
    pub(crate) log: &'a SharedLog,
    pub(crate) sealer: &'a Sealer,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) dest: &'a Arc<dyn Destination>,
    pub(crate) stop: &'a CancellationToken,
    pub(crate) report: &'a tokio::sync::watch::Sender<Progress>,
    pub(crate) last_commit: Option<Committed>,
    pub(crate) last_commit_at: Duration,
}

impl Session<'_> {
    pub(crate) fn events_topic(&self) -> TopicName {
        let source = &self.spec.source;
        TopicName::events(&self.config.prefix, &source.cluster_name, &source.database)
    }

    pub(crate) fn tell(&self, change: impl FnOnce(&mut Progress)) {
        self.report.send_modify(change);
    }

    /// Makes offset and metadata durable. Tries until it is, the topic is somebody else's, or the job is to stop and the
    /// deadline has passed.
    pub(crate) async fn commit(
        &mut self,
        reader: &mut dyn GroupReader,
        offset: i64,
        checkpoint: &Checkpoint,
    ) -> Result<Flow<()>, Error> {
        let Some(metadata) = checkpoint.encode() else {
            return Ok(Flow::End(Ended::Halted(
                "the committed metadata does not fit its limit".to_owned(),
            )));
        };
        let position = Committed {
            offset: Offset(offset),
            metadata,
        };
        self.commit_position(reader, position).await
    }

    async fn commit_position(
        &mut self,
        reader: &mut dyn GroupReader,
        position: Committed,
    ) -> Result<Flow<()>, Error> {
        let mut failures = 0_u32;
        loop {
            match reader.commit(position.clone()).await {
                Ok(()) => {
                    self.last_commit = Some(position);
                    self.last_commit_at = self.clock.monotonic();
                    return Ok(Flow::On(()));
                }
                Err(ccr_log::Error::Fenced { .. }) => return Ok(Flow::End(Ended::Revoked)),
                Err(error) => match error.kind() {
                    ErrorKind::Unavailable | ErrorKind::Transient | ErrorKind::Throttled => {
                        let now = self.clock.now_ms();
                        self.tell(|p| p.error(Some(full_text(&error)), now));
                        failures += 1;
                        if self.stop.is_cancelled() && failures > 3 {
                            return Ok(Flow::End(Ended::Stopped));
                        }
                        let delay = Duration::from_millis(100) * (1 << failures.min(6));
                        self.clock.sleep(delay.min(Duration::from_secs(5))).await;
                    }
                    ErrorKind::Conflict
                    | ErrorKind::Fenced
                    | ErrorKind::Invalid
                    | ErrorKind::Corrupt => return Err(error.into()),
                },
            }
        }
    }

    /// Repeats the last commit when it is older than 3 s: shows whether the topic is still ours.
    pub(crate) async fn confirm_ownership(
        &mut self,
        reader: &mut dyn GroupReader,
    ) -> Result<Flow<()>, Error> {
        let due =
            self.clock.monotonic().saturating_sub(self.last_commit_at) > Duration::from_secs(3);
        match self.last_commit.clone() {
            Some(position) if due => self.commit_position(reader, position).await,
            Some(_) | None => Ok(Flow::On(())),
        }
    }
}
