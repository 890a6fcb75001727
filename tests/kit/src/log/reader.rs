//! One member of a group.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ccr_log::{Committed, Error, GroupReader, MAX_METADATA_BYTES, Offset, ReaderEvent};
use ccr_schemas::TopicName;
use tokio::sync::Notify;

use super::Inner;
use super::group::{Group, MemberId, Word};

/// What a member believes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Belief {
    /// It waits for its turn.
    Waiting,
    /// It owns the topic and has not said where to start.
    Assigned,
    /// It reads from this offset on; true when it was told that nothing more is there.
    Reading(i64, bool),
}

/// A member.
pub(super) struct MemoryReader {
    inner: Arc<Inner>,
    group: String,
    topic: TopicName,
    id: MemberId,
    bell: Arc<Notify>,
    belief: Belief,
}

/// What the next look at the log gives.
enum Look {
    Event(Result<ReaderEvent, Error>),
    /// Nothing, until the bell rings or a moment comes.
    Wait(Option<Duration>),
}

impl MemoryReader {
    pub(super) fn join(inner: Arc<Inner>, group: &str, topic: &TopicName) -> Result<Self, Error> {
        let (id, bell) = {
            let mut state = inner.lock();
            state.topic(topic)?;
            state.next_member += 1;
            let id = state.next_member;
            let key = (group.to_owned(), topic.clone());
            let now = inner.clock.monotonic();
            let group = state.groups.entry(key).or_default();
            group.expire(now);
            (id, group.join(id))
        };
        Ok(Self {
            inner,
            group: group.to_owned(),
            topic: topic.clone(),
            id,
            bell,
            belief: Belief::Waiting,
        })
    }

    fn fenced(&self) -> Error {
        Error::Fenced {
            group: self.group.clone(),
            topic: self.topic.clone(),
        }
    }

    fn with_group<T>(&self, work: impl FnOnce(&mut Group, Duration) -> T) -> Option<T> {
        let now = self.inner.clock.monotonic();
        let mut state = self.inner.lock();
        let key = (self.group.clone(), self.topic.clone());
        state.groups.get_mut(&key).map(|group| {
            group.expire(now);
            work(group, now)
        })
    }

    fn look(&mut self) -> Look {
        let now = self.inner.clock.monotonic();
        let inner = self.inner.clone();
        let mut state = inner.lock();
        let key = (self.group.clone(), self.topic.clone());
        let Some(group) = state.groups.get_mut(&key) else {
            return Look::Event(Err(self.fenced()));
        };
        let mut next = group.expire(now);
        let word = group
            .member(self.id)
            .and_then(|member| member.words.first().copied());
        match word {
            Some(Word::Assigned) => {
                if let Some(member) = group.member(self.id) {
                    member.words.remove(0);
                }
                self.belief = Belief::Assigned;
                return Look::Event(Ok(ReaderEvent::Assigned {
                    committed: group.committed.clone(),
                }));
            }
            Some(Word::Revoked(noticed)) if noticed <= now => {
                if let Some(member) = group.member(self.id) {
                    member.words.remove(0);
                }
                // It was asked, and gives the topic up; an evicted member has lost it before.
                if group.owner == Some(self.id) && group.revoking.is_some() {
                    group.hand_over();
                } else {
                    group.assign();
                }
                let knew = self.belief != Belief::Waiting;
                self.belief = Belief::Waiting;
                if knew {
                    return Look::Event(Ok(ReaderEvent::Revoked));
                }
                self.bell.notify_one();
            }
            Some(Word::Revoked(noticed)) => next = Some(next.map_or(noticed, |at| at.min(noticed))),
            None => {}
        }
        let Belief::Reading(position, told) = self.belief else {
            return Look::Wait(next);
        };
        let topic = match state.topic(&self.topic) {
            Ok(topic) => topic,
            Err(error) => return Look::Event(Err(error)),
        };
        if let Err(error) = topic.check(&self.topic, position) {
            return Look::Event(Err(error));
        }
        if let Some(record) = topic.from(position) {
            self.belief = Belief::Reading(record.offset.0 + 1, false);
            return Look::Event(Ok(ReaderEvent::Record(record.clone())));
        }
        if !told {
            let end = topic.end;
            self.belief = Belief::Reading(end, true);
            return Look::Event(Ok(ReaderEvent::CaughtUp { end: Offset(end) }));
        }
        Look::Wait(next)
    }
}

#[async_trait]
impl GroupReader for MemoryReader {
    async fn next(&mut self) -> Result<ReaderEvent, Error> {
        loop {
            match self.look() {
                Look::Event(event) => return event,
                Look::Wait(None) => self.bell.notified().await,
                Look::Wait(Some(until)) => {
                    let pause = until.saturating_sub(self.inner.clock.monotonic());
                    tokio::select! {
                        biased;
                        () = self.bell.notified() => {}
                        () = self.inner.clock.sleep(pause) => {}
                    }
                }
            }
        }
    }

    async fn seek(&mut self, offset: Offset) -> Result<(), Error> {
        if self.belief == Belief::Waiting {
            return Err(self.fenced());
        }
        self.belief = Belief::Reading(offset.0, false);
        Ok(())
    }

    async fn commit(&mut self, position: Committed) -> Result<(), Error> {
        if position.metadata.len() > MAX_METADATA_BYTES {
            return Err(Error::MetadataTooLarge(position.metadata.len()));
        }
        let id = self.id;
        let done = self.with_group(|group, _| {
            let is_owner = group.owner == Some(id);
            if is_owner {
                group.committed = Some(position);
            }
            is_owner
        });
        if done == Some(true) && self.belief != Belief::Waiting {
            Ok(())
        } else {
            Err(self.fenced())
        }
    }

    async fn close(self: Box<Self>) {
        let id = self.id;
        self.with_group(|group, _| group.leave(id));
    }
}

impl Drop for MemoryReader {
    fn drop(&mut self) {
        let (id, timeout) = (self.id, self.inner.policy.session_timeout);
        self.with_group(|group, now| {
            if group.member(id).is_none() {
                return;
            }
            if timeout.is_zero() {
                group.leave(id);
            } else {
                group.vanish(id, now + timeout);
            }
        });
    }
}
