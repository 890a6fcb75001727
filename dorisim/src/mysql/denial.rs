//! A wrong password as Doris says it.
//!
//! The protocol library answers with a number and a text of its own; clients tell refusals apart by Doris' number 1045.

use std::sync::{Arc, Mutex, PoisonError};

/// Set when authentication fails: the text to answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Denial(Arc<Mutex<Option<String>>>);

impl Denial {
    pub(super) fn set(&self, text: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// Given an error packet's body, the body to send instead.
    pub(super) fn replace(&self, body: &[u8]) -> Option<Vec<u8>> {
        let text = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()?;
        if body.first() != Some(&0xff) {
            return None;
        }
        let mut replacement = vec![0xff];
        replacement.extend(1045_u16.to_le_bytes());
        replacement.extend(b"#28000");
        replacement.extend(text.as_bytes());
        Some(replacement)
    }
}
