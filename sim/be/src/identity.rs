//! Who a backend is in its cluster.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock};

/// Id and token: given at the start, or told by the first heartbeat.
pub struct Identity {
    id: AtomicI64,
    token: RwLock<String>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// Id 0 and an empty token stand for what is not known yet.
    pub fn new(id: i64, token: String) -> Self {
        Identity {
            id: AtomicI64::new(id),
            token: RwLock::new(token),
        }
    }

    /// The id that the frontend gave.
    pub fn id(&self) -> i64 {
        self.id.load(Ordering::Acquire)
    }

    /// Takes over what a heartbeat told.
    pub fn learn(&self, id: Option<i64>, token: Option<&str>) {
        if let Some(id) = id {
            self.id.store(id, Ordering::Release);
        }
        if let Some(token) = token {
            let mut known = self.token.write().unwrap_or_else(PoisonError::into_inner);
            token.clone_into(&mut known);
        }
    }

    /// True for the token of the cluster; while none is known nothing matches.
    pub fn token_matches(&self, token: &str) -> bool {
        let known = self.token.read().unwrap_or_else(PoisonError::into_inner);
        !known.is_empty() && *known == token
    }

    /// A number that is another one in every cluster.
    pub fn cluster_hash(&self) -> u32 {
        let known = self.token.read().unwrap_or_else(PoisonError::into_inner);
        crc32fast::hash(known.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_matches_before_a_token_is_known() {
        let identity = Identity::new(0, String::new());
        assert!(!identity.token_matches(""));
        identity.learn(Some(7), Some("t"));
        assert!(identity.token_matches("t") && !identity.token_matches(""));
        identity.learn(None, None);
        assert_eq!(identity.id(), 7);
    }
}
