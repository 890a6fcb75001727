//! What does not work, for whoever asks for the health of the process: callers that met a problem may be waiting or gone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ccr_ops::Clock;
use ccr_schemas::TopicName;
use tokio::sync::watch;

use super::failure::Failure;
use crate::error::Error;
use crate::event_log::LogProblem;

/// Damaged places that are remembered.
const MAX_DAMAGED: usize = 16;
/// Damage that nobody has met for so long hinders nobody: whoever needs the record tries more often.
const MET_WITHIN_MS: i64 = 60_000;

/// A failure, since when and when last, and what was tried.
#[derive(Clone, Debug)]
struct Known {
    failure: Failure,
    since_ms: i64,
    last_ms: i64,
    action: String,
}

/// Shared by the writer and all readers of a log.
pub(super) struct Problems {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    /// The last write failed.
    write: Mutex<Option<Known>>,
    /// Reads that met damage: topic and the offset that was read from.
    damaged: Mutex<BTreeMap<(TopicName, i64), Known>>,
    /// Set once: this process does not own the file any more.
    lost: watch::Sender<Option<Failure>>,
}

impl Problems {
    pub(super) fn new(path: &Path, clock: Arc<dyn Clock>) -> Self {
        Self {
            path: path.to_owned(),
            clock,
            write: Mutex::new(None),
            damaged: Mutex::new(BTreeMap::new()),
            lost: watch::Sender::new(None),
        }
    }

    /// A transaction is durable.
    pub(super) fn write_succeeded(&self) {
        let ended = lock(&self.write).take();
        if let Some(ended) = ended {
            let seconds = (self.clock.now_ms() - ended.since_ms) / 1000;
            tracing::info!(path = %self.path.display(), seconds, "the embedded log can be written again");
        }
    }

    /// A transaction failed. The first failure of a row of failures is logged.
    pub(super) fn write_failed(&self, failure: &Failure, action: &str) {
        if matches!(failure, Failure::Lost(_)) {
            self.lost.send_replace(Some(failure.clone()));
        }
        let now = self.clock.now_ms();
        let mut write = lock(&self.write);
        let since_ms = write.as_ref().map_or(now, |known| known.since_ms);
        if write.is_none() {
            let error = failure.at(&self.path, action);
            tracing::error!(error = %ccr_ops::task::Chain(&error), "cannot write the embedded log, retrying");
        }
        *write = Some(Known {
            failure: failure.clone(),
            since_ms,
            last_ms: now,
            action: action.to_owned(),
        });
    }

    /// The records of a topic from `from` up to but without `to` check out.
    pub(super) fn read_succeeded(&self, topic: &TopicName, from: i64, to: i64) {
        let mut damaged = lock(&self.damaged);
        if !damaged.is_empty() {
            damaged.retain(|(name, at), _| name != topic || *at < from || *at >= to);
        }
    }

    /// Everything below `first` was deleted.
    pub(super) fn expired(&self, topic: &TopicName, first: i64) {
        lock(&self.damaged).retain(|(name, at), _| name != topic || *at >= first);
    }

    /// A read from `from` on failed; only damage is remembered.
    pub(super) fn read_failed(
        &self,
        failure: &Failure,
        topic: &TopicName,
        from: i64,
        action: &str,
    ) {
        match failure {
            Failure::Damaged(_) => {}
            Failure::Full(_) | Failure::Lost(_) | Failure::Failed(_) => return,
        }
        let (mut damaged, now) = (lock(&self.damaged), self.clock.now_ms());
        let place = (topic.clone(), from);
        if let Some(known) = damaged.get_mut(&place) {
            known.last_ms = now;
        } else if damaged.len() < MAX_DAMAGED {
            let known = Known {
                failure: failure.clone(),
                since_ms: now,
                last_ms: now,
                action: action.to_owned(),
            };
            damaged.insert(place, known);
        }
    }

    /// Returns the problems of now.
    pub(super) fn list(&self) -> Vec<LogProblem> {
        let problem = |known: &Known| LogProblem {
            since_ms: known.since_ms,
            error: known.failure.at(&self.path, &known.action),
        };
        let mut all: Vec<LogProblem> = lock(&self.write).iter().map(problem).collect();
        let now = self.clock.now_ms();
        let mut damaged = lock(&self.damaged);
        damaged.retain(|_, known| now - known.last_ms <= MET_WITHIN_MS);
        all.extend(damaged.values().map(problem));
        all
    }

    /// Returns why this process does not own the file any more, when that is so.
    pub(super) fn lost(&self, action: &str) -> Option<Error> {
        let lost = self.lost.borrow();
        lost.as_ref().map(|failure| failure.at(&self.path, action))
    }

    /// Waits for the loss of the file.
    pub(super) async fn wait_lost(&self) -> Error {
        let mut lost = self.lost.subscribe();
        // The sender is `self`: the channel stays open while this waits.
        let _ = lost.wait_for(Option::is_some).await;
        match self.lost("use the log") {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
