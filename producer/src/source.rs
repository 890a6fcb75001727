//! The source cluster as a producer sees it.

use std::sync::Arc;

use ccr_doris::{ClusterAddress, DorisCluster, Frontend, SqlSession};

/// A source cluster: FE calls and statements. Everything that is both is one, first of all [`DorisCluster`].
pub trait Source: Frontend + SqlSession {}

impl<T: Frontend + SqlSession> Source for T {}

/// Makes a client of a cluster. Does not connect: the first call does.
pub type Connect = Arc<dyn Fn(ClusterAddress) -> Arc<dyn Source> + Send + Sync>;

/// Clients of real clusters.
pub fn connect_doris() -> Connect {
    Arc::new(|address| Arc::new(DorisCluster::new(address)))
}
