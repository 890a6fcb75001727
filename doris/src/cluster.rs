//! How a cluster is reached.

use std::collections::BTreeMap;

use ccr_ops::Secret;

/// Address and account of a cluster.
#[derive(Clone, Debug)]
pub struct ClusterAddress {
    /// FEs, any of them; the master is found from there.
    pub frontends: Vec<FrontendAddress>,
    /// Account.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// Host (or `host:port`) as the cluster names it -> as it is reached from here.
    pub host_mapping: BTreeMap<String, String>,
}

/// One FE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontendAddress {
    /// Host.
    pub host: String,
    /// MySQL port (`query_port`).
    pub query_port: u16,
    /// Thrift port (`rpc_port`).
    pub thrift_port: u16,
}

/// A client of one cluster: [`crate::Frontend`], [`crate::Backend`] and [`crate::SqlSession`] in one, cheap to clone.
#[derive(Clone, Debug)]
pub struct DorisCluster {}
