//! What the routes of a frontend share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::roles::Roles;
use dorisim_fe::Frontend;
use dorisim_net::faults::Faults;

/// What the HTTP port of a frontend serves from.
pub struct FrontendHttp {
    /// The frontend.
    pub frontend: Arc<Frontend>,
    /// Frontends of the cluster.
    pub roles: Arc<Roles>,
    /// Faults of the cluster.
    pub faults: Arc<Faults>,
    next_backend: AtomicUsize,
}

impl FrontendHttp {
    /// The state of [`super::router`].
    pub fn new(frontend: Arc<Frontend>, roles: Arc<Roles>, faults: Arc<Faults>) -> Self {
        FrontendHttp {
            frontend,
            roles,
            faults,
            next_backend: AtomicUsize::new(0),
        }
    }

    /// HTTP port of the next living backend, in turn.
    pub(crate) fn next_backend_port(&self) -> Option<u16> {
        let alive: Vec<u16> = self
            .frontend
            .backends()
            .iter()
            .filter(|backend| backend.alive)
            .map(|backend| backend.address.http_port)
            .collect();
        let turn = self.next_backend.fetch_add(1, Ordering::Relaxed);
        alive.get(turn.checked_rem(alive.len())?).copied()
    }
}
