//! What an applier needs of a destination cluster: FE calls, BE calls and statements in one object.

use std::fmt;
use std::sync::Arc;

use ccr_doris::{Backend, ClusterAddress, Frontend, SqlSession};

/// A destination cluster.
pub trait Destination: Frontend + Backend + SqlSession {}

impl<T: Frontend + Backend + SqlSession> Destination for T {}

type Make = dyn Fn(&ClusterAddress) -> Result<Arc<dyn Destination>, ccr_doris::Error> + Send + Sync;

/// Makes a client of a cluster. Connects lazily: an unreachable cluster shows in the first call.
#[derive(Clone)]
pub struct Connect(Arc<Make>);

impl Connect {
    /// From a function.
    pub fn new(
        make: impl Fn(&ClusterAddress) -> Result<Arc<dyn Destination>, ccr_doris::Error>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self(Arc::new(make))
    }

    /// A client of the cluster.
    ///
    /// # Errors
    /// Whatever the function answers.
    pub fn to(&self, address: &ClusterAddress) -> Result<Arc<dyn Destination>, ccr_doris::Error> {
        (self.0)(address)
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connect")
    }
}
