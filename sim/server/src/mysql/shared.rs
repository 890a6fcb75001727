//! What all sessions of a cluster share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::roles::Roles;
use dorisim_fe::{Frontend, SqlError};
use dorisim_net::faults::Faults;
use dorisim_query::QueryEngine;

/// Version of the protocol's greeting; the MySQL version Doris claims.
pub(super) const SERVER_VERSION: &str = "5.7.99";

/// The MySQL server of a cluster, for all of its frontends.
#[derive(Debug)]
pub struct MysqlServer {
    pub(super) frontend: Arc<Frontend>,
    pub(super) engine: QueryEngine,
    pub(super) roles: Arc<Roles>,
    pub(super) faults: Arc<Faults>,
    next_connection: AtomicU32,
}

impl MysqlServer {
    /// A server over the shared state of a cluster's frontends. One serves all of them: call [`Self::serve`] per listener.
    ///
    /// # Errors
    /// The query engine can not be opened.
    pub fn new(
        frontend: Arc<Frontend>,
        roles: Arc<Roles>,
        faults: Arc<Faults>,
    ) -> Result<Arc<Self>, SqlError> {
        Ok(Arc::new(Self {
            frontend,
            engine: QueryEngine::new()?,
            roles,
            faults,
            next_connection: AtomicU32::new(1),
        }))
    }

    /// Returns the id of the next connection.
    pub(super) fn next_connection_id(&self) -> u32 {
        self.next_connection.fetch_add(1, Ordering::Relaxed)
    }
}
