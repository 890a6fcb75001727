//! A process of the product as its calls see it: it lives, or it died at one of them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::world::World;

/// When a process dies at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before the call has any effect.
    Before,
    /// After its effect, before its answer.
    After,
}

/// The call at which a process dies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// How its name begins; empty counts all calls.
    pub call: &'static str,
    /// Which of these calls, from 1.
    pub at: u64,
    /// When.
    pub when: When,
}

/// One run of a process.
#[derive(Debug)]
pub struct Process {
    /// Name: role and number.
    pub name: String,
    /// Role, for counting.
    pub role: &'static str,
    /// The world it runs in.
    pub world: Arc<World>,
    alive: AtomicBool,
    died: Notify,
    calls: AtomicU64,
    crash: Mutex<Option<Crash>>,
}

impl Process {
    /// A process that starts, and dies at its n-th call if that is wanted.
    pub fn new(
        world: Arc<World>,
        role: &'static str,
        name: &str,
        crash: Option<Crash>,
    ) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            role,
            world,
            alive: AtomicBool::new(true),
            died: Notify::new(),
            calls: AtomicU64::new(0),
            crash: Mutex::new(crash),
        })
    }

    /// It has not died.
    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::SeqCst)
    }

    /// Ends it, as `kill -9` does.
    pub fn kill(&self) {
        if self.alive.swap(false, Ordering::SeqCst) {
            self.world.note(&self.name, format_args!("dies"));
            self.died.notify_one();
        }
    }

    /// Waits until it died.
    pub async fn died(&self) {
        if self.is_alive() {
            self.died.notified().await;
        }
    }

    /// It dies at no call any more.
    pub fn spare(&self) {
        *self.crash.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The process makes a call. Returns whether it is to die when the call has had its effect; never returns to a dead one.
    pub async fn enter(&self, call: &str) -> Option<When> {
        if !self.is_alive() {
            self.hang().await;
        }
        match self.strikes(call) {
            None => None,
            Some(When::Before) => {
                self.world
                    .reach(&format!("crash of {} before {call}", self.role));
                self.kill();
                self.hang().await;
                None
            }
            Some(When::After) => {
                self.world
                    .reach(&format!("crash of {} after {call}", self.role));
                Some(When::After)
            }
        }
    }

    fn strikes(&self, call: &str) -> Option<When> {
        let crash = self.crash.lock().unwrap_or_else(PoisonError::into_inner);
        let crash = crash.as_ref()?;
        if !call.starts_with(crash.call) {
            return None;
        }
        let count = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        (count >= crash.at).then_some(crash.when)
    }

    /// The call has had its effect.
    pub async fn leave(&self, when: Option<When>) {
        if when.is_some() {
            self.kill();
        }
        if !self.is_alive() {
            self.hang().await;
        }
    }

    async fn hang(&self) {
        std::future::pending::<()>().await;
    }
}
