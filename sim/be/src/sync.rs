//! Locks.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A poisoned lock means that another test thread panicked; the data itself is whole after each call.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
