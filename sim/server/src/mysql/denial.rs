//! Refusals with Doris' own numbers.
//!
//! The protocol library answers a wrong password with a number and a text of its own, and knows numbers of MySQL only; clients tell
//! refusals apart by Doris' 1045 and its numbers from 5000 on.

use std::sync::{Arc, Mutex, PoisonError};

/// What the next error packet has to say instead.
#[derive(Debug, Clone)]
enum Instead {
    /// 1045 and this text.
    Denied(String),
    /// Another number; the text stays.
    Number(u16),
}

/// Set before an error packet is written that has to say something else.
#[derive(Debug, Clone, Default)]
pub(super) struct Denial(Arc<Mutex<Option<Instead>>>);

impl Denial {
    pub(super) fn set(&self, text: String) {
        self.put(Instead::Denied(text));
    }

    /// The next error packet carries this number.
    pub(super) fn number(&self, number: u16) {
        self.put(Instead::Number(number));
    }

    fn put(&self, instead: Instead) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(instead);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    /// Given an error packet's body, the body to send instead.
    pub(super) fn replace(&self, body: &[u8]) -> Option<Vec<u8>> {
        let instead = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()?;
        if body.first() != Some(&0xff) {
            return None;
        }
        match instead {
            Instead::Denied(text) => {
                let mut replacement = vec![0xff];
                replacement.extend(1045_u16.to_le_bytes());
                replacement.extend(b"#28000");
                replacement.extend(text.as_bytes());
                Some(replacement)
            }
            Instead::Number(number) => {
                let mut replacement = body.to_vec();
                let place = replacement.get_mut(1..3)?;
                place.copy_from_slice(&number.to_le_bytes());
                Some(replacement)
            }
        }
    }
}
