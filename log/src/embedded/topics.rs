//! What readers may know of the topics without asking the file: where they begin and end, and a bell for new records.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use ccr_schemas::TopicName;
use tokio::sync::watch;

use super::store::{TopicId, TopicRow};
use crate::error::Error;

/// One topic, as readers see it.
#[derive(Debug)]
pub(super) struct TopicView {
    pub id: TopicId,
    pub name: TopicName,
    first: AtomicI64,
    end: watch::Sender<i64>,
}

impl TopicView {
    /// First offset still kept.
    pub(super) fn first(&self) -> i64 {
        self.first.load(Ordering::Acquire)
    }

    /// Next offset to be written; everything below is durable.
    pub(super) fn end(&self) -> i64 {
        *self.end.borrow()
    }

    /// Rings when the end moves.
    pub(super) fn subscribe(&self) -> watch::Receiver<i64> {
        self.end.subscribe()
    }

    /// Everything below `end` is durable. Set by the writer after its commit, and by a reader whose read has seen the commit
    /// before the writer has set it: whatever is delivered lies below the published end.
    pub(super) fn reached(&self, end: i64) {
        self.end.send_if_modified(|known| {
            let moved = end > *known;
            *known = end.max(*known);
            moved
        });
    }
}

/// All topics. Topics are added and expired by the writer thread alone.
#[derive(Debug, Default)]
pub(super) struct Topics {
    by_name: RwLock<HashMap<TopicName, Arc<TopicView>>>,
}

impl Topics {
    /// Looks a topic up.
    pub(super) fn get(&self, name: &TopicName) -> Result<Arc<TopicView>, Error> {
        self.find(name)
            .ok_or_else(|| Error::UnknownTopic(name.clone()))
    }

    fn find(&self, name: &TopicName) -> Option<Arc<TopicView>> {
        let map = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        map.get(name).cloned()
    }

    /// Makes a topic known, once.
    pub(super) fn add(&self, row: &TopicRow) {
        let mut map = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        map.entry(row.name.clone()).or_insert_with(|| {
            Arc::new(TopicView {
                id: row.id,
                name: row.name.clone(),
                first: AtomicI64::new(row.first),
                end: watch::Sender::new(row.next),
            })
        });
    }

    /// New records are durable.
    pub(super) fn advance(&self, name: &TopicName, end: i64) {
        if let Some(view) = self.find(name) {
            view.reached(end);
        }
    }

    /// Old records were deleted.
    pub(super) fn expire(&self, name: &TopicName, first: i64) {
        if let Some(view) = self.find(name) {
            view.first.store(first, Ordering::Release);
        }
    }
}
