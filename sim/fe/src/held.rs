//! The lock around the state, which writes what changed before it opens.

use std::ops::{Deref, DerefMut};
use std::sync::MutexGuard;

use crate::state::FeState;
use crate::store::{Store, StoreError};

/// The state and where it is written, if anywhere.
#[derive(Debug)]
pub(crate) struct Held {
    state: FeState,
    store: Option<Store>,
}

impl Held {
    pub fn new(state: FeState, store: Option<Store>) -> Self {
        Self { state, store }
    }

    /// Notes that the first start came to its end.
    pub fn set_ready(&self) -> Result<(), StoreError> {
        self.store.as_ref().map_or(Ok(()), Store::set_ready)
    }

    /// Writes nothing from here on; the data directory is free.
    pub fn let_go(&mut self) {
        self.store = None;
    }

    /// What is in memory, and what a new process would read now.
    #[cfg(test)]
    pub fn reread(&mut self, config: &crate::api::FrontendConfig) -> (&FeState, FeState) {
        let store = self
            .store
            .as_mut()
            .expect("invariant: tests of disks have one");
        (
            &self.state,
            store.load(config).expect("what was written is read"),
        )
    }

    /// Rows written so far.
    #[cfg(test)]
    pub fn rows_written(&self) -> u64 {
        self.store.as_ref().map_or(0, Store::rows_written)
    }

    fn commit(&mut self) {
        let Some(store) = &mut self.store else { return };
        if let Err(error) = store.commit(&mut self.state) {
            // As in Doris: who can not journal ends, because the next answer would be a promise that it can not keep.
            tracing::error!(%error, "the state can not be written; the process ends");
            std::process::exit(EXIT_NO_JOURNAL);
        }
    }
}

/// Exit code of a process that can not write its state.
const EXIT_NO_JOURNAL: i32 = 74;

/// The locked state. What was changed through it is on disk when it is dropped.
pub(crate) struct StateGuard<'a> {
    held: MutexGuard<'a, Held>,
    touched: bool,
}

impl<'a> StateGuard<'a> {
    pub fn new(held: MutexGuard<'a, Held>) -> Self {
        Self {
            held,
            touched: false,
        }
    }
}

impl Deref for StateGuard<'_> {
    type Target = FeState;

    fn deref(&self) -> &FeState {
        &self.held.state
    }
}

impl DerefMut for StateGuard<'_> {
    fn deref_mut(&mut self) -> &mut FeState {
        self.touched = true;
        &mut self.held.state
    }
}

impl Drop for StateGuard<'_> {
    fn drop(&mut self) {
        if self.touched {
            self.held.commit();
        }
    }
}
