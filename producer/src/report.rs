//! What a stream tells about itself: kept in memory, written to the status topic by the stream's ticker.

use std::sync::{Mutex, PoisonError};

use ccr_control::{StreamState, StreamStatus};
use ccr_schemas::CommitSeq;

use crate::context::StreamKey;

/// Facts of one stream, shared by its parts.
#[derive(Debug, Default)]
pub(crate) struct Report {
    facts: Mutex<Facts>,
}

#[derive(Clone, Debug)]
struct Facts {
    read: CommitSeq,
    published: CommitSeq,
    source_end: CommitSeq,
    events: u64,
    stream_error: Option<String>,
    snapshot_error: Option<String>,
    action: String,
    snapshot_action: Option<String>,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            read: CommitSeq::BEFORE_FIRST,
            published: CommitSeq::BEFORE_FIRST,
            source_end: CommitSeq::BEFORE_FIRST,
            events: 0,
            stream_error: None,
            snapshot_error: None,
            action: "starting".to_owned(),
            snapshot_action: None,
        }
    }
}

impl Report {
    fn edit(&self, edit: impl FnOnce(&mut Facts)) {
        edit(&mut self.facts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Newest position seen.
    pub(crate) fn read(&self, position: CommitSeq) {
        self.edit(|facts| facts.read = position);
    }

    /// Newest position durable in the log, and how many events that took.
    pub(crate) fn published(&self, position: CommitSeq, events: u64) {
        self.edit(|facts| {
            facts.published = position;
            facts.events += events;
        });
    }

    /// Newest position the source reported.
    pub(crate) fn source_end(&self, position: CommitSeq) {
        self.edit(|facts| facts.source_end = position);
    }

    /// The stream works.
    pub(crate) fn well(&self, action: &str) {
        self.edit(|facts| {
            facts.stream_error = None;
            if facts.action != action {
                facts.action = action.to_owned();
            }
        });
    }

    /// The stream does not work, and what it does about it.
    pub(crate) fn failing(&self, action: &str, error: String) {
        self.edit(|facts| {
            facts.stream_error = Some(error);
            facts.action = action.to_owned();
        });
    }

    /// What is being done about snapshots, and what went wrong with them.
    pub(crate) fn snapshot(&self, action: Option<String>, error: Option<String>) {
        self.edit(|facts| {
            facts.snapshot_action = action;
            facts.snapshot_error = error;
        });
    }

    /// Newest position durable in the log.
    pub(crate) fn published_position(&self) -> CommitSeq {
        self.facts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .published
    }

    /// Newest position the source reported.
    pub(crate) fn source_end_position(&self) -> CommitSeq {
        self.facts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .source_end
    }

    /// The record for the status topic.
    pub(crate) fn status(&self, key: &StreamKey, owner: &str, at_ms: i64) -> StreamStatus {
        let facts = self
            .facts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let action = match facts.snapshot_action {
            Some(snapshot) => format!("{}, {snapshot}", facts.action),
            None => facts.action,
        };
        StreamStatus {
            source: key.source.clone(),
            database: key.database.clone(),
            read: facts.read,
            published: facts.published,
            source_end: facts.source_end,
            source_end_at_ms: None,
            state: StreamState::Starting,
            problem: None,
            snapshots: Vec::new(),
            events_published: facts.events,
            last_error: facts.stream_error.or(facts.snapshot_error),
            action,
            at_ms,
            owner: owner.to_owned(),
        }
    }
}
