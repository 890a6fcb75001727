//! The source cluster as a producer sees it.

use std::sync::Arc;

use ccr_doris::{ClusterAddress, Frontend, SqlSession};

/// A source cluster: FE calls and statements. Everything that is both is one, first of all `ccr_doris::DorisCluster`.
pub trait Source: Frontend + SqlSession {}

impl<T: Frontend + SqlSession> Source for T {}

/// Makes a client of a cluster. Does not connect: the first call does.
pub type Connect = Arc<dyn Fn(ClusterAddress) -> Arc<dyn Source> + Send + Sync>;
