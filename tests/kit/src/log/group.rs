//! Membership of a group on one topic: who owns it, who waits, who was told what.

use std::sync::Arc;
use std::time::Duration;

use ccr_log::Committed;
use tokio::sync::Notify;

/// Number of a member.
pub(super) type MemberId = u64;

/// What a member has to be told next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// It owns the topic.
    Assigned,
    /// It does not any more. It may still believe so until this moment.
    Revoked(Duration),
}

/// A member.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: MemberId,
    pub(super) bell: Arc<Notify>,
    pub(super) words: Vec<Word>,
    /// It vanished without a word; until this moment it counts as a member.
    pub(super) gone_until: Option<Duration>,
}

impl Member {
    fn is_candidate(&self) -> bool {
        let lost = |word: &Word| matches!(word, Word::Revoked(_));
        self.gone_until.is_none() && !self.words.iter().any(lost)
    }
}

/// A group on a topic.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// In the order in which they are assigned.
    pub(super) members: Vec<Member>,
    pub(super) owner: Option<MemberId>,
    /// The owner was asked to give the topic up; at this moment it is evicted.
    pub(super) revoking: Option<Duration>,
    pub(super) committed: Option<Committed>,
}

impl Group {
    pub(super) fn join(&mut self, id: MemberId) -> Arc<Notify> {
        let bell = Arc::new(Notify::new());
        self.members.push(Member {
            id,
            bell: bell.clone(),
            words: Vec::new(),
            gone_until: None,
        });
        self.assign();
        bell
    }

    pub(super) fn member(&mut self, id: MemberId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id)
    }

    /// A member leaves with a word.
    pub(super) fn leave(&mut self, id: MemberId) {
        self.members.retain(|member| member.id != id);
        if self.owner == Some(id) {
            self.owner = None;
            self.revoking = None;
        }
        self.assign();
    }

    /// A member vanishes: it keeps its place until the moment.
    pub(super) fn vanish(&mut self, id: MemberId, until: Duration) {
        if let Some(member) = self.member(id) {
            member.gone_until = Some(until);
        }
        self.wake();
    }

    /// Lets go of members that vanished long enough ago, and of an owner that does not answer. Returns the next moment at which
    /// that may happen.
    pub(super) fn expire(&mut self, now: Duration) -> Option<Duration> {
        let gone: Vec<MemberId> = self
            .members
            .iter()
            .filter(|member| member.gone_until.is_some_and(|until| until <= now))
            .map(|member| member.id)
            .collect();
        for id in gone {
            self.leave(id);
        }
        if self.revoking.is_some_and(|until| until <= now) {
            self.hand_over();
        }
        let vanished = self.members.iter().filter_map(|member| member.gone_until);
        vanished.chain(self.revoking).min()
    }

    /// Asks the owner to give the topic up.
    pub(super) fn revoke(&mut self, until: Duration) {
        let Some(owner) = self.owner else {
            return;
        };
        if self.revoking.is_none() {
            self.revoking = Some(until);
            if let Some(member) = self.member(owner) {
                member.words.push(Word::Revoked(Duration::ZERO));
            }
            self.wake();
        }
    }

    /// Takes the topic from its owner, who may not notice it until the moment.
    pub(super) fn evict(&mut self, unnoticed_until: Duration) {
        let Some(owner) = self.owner else {
            return;
        };
        if let Some(member) = self.member(owner) {
            member.words.push(Word::Revoked(unnoticed_until));
        }
        self.hand_over();
    }

    /// The owner gave the topic up, or is taken for dead.
    pub(super) fn hand_over(&mut self) {
        self.revoking = None;
        let Some(owner) = self.owner.take() else {
            return;
        };
        // It waits behind the others.
        if let Some(at) = self.members.iter().position(|member| member.id == owner) {
            let member = self.members.remove(at);
            self.members.push(member);
        }
        self.assign();
    }

    /// A member that has not noticed its loss is no candidate: it would commit what it knows from before.
    pub(super) fn assign(&mut self) {
        if self.owner.is_none()
            && let Some(first) = self.members.iter_mut().find(|m| m.is_candidate())
        {
            self.owner = Some(first.id);
            first.words.push(Word::Assigned);
        }
        self.wake();
    }

    pub(super) fn wake(&self) {
        for member in &self.members {
            member.bell.notify_one();
        }
    }
}
