//! The simulated backend: tablets as rowset files, agent tasks, ingest and download endpoints.
//!
//! Reading order: [`api`] (what a frontend asks), [`backend`] (who answers), [`tablet`], [`rowset`], [`txns`], [`ingest`],
//! [`snapshot`], [`fetch`], [`http`]; [`agent`] (heartbeats, tasks and reports over Thrift), [`node`] (one running backend).

pub mod agent;
pub mod api;
pub mod backend;
pub mod fetch;
pub mod http;
pub mod ingest;
pub mod node;
pub mod rowset;
pub mod snapshot;
pub mod tablet;
pub mod txns;

pub use api::{BackendAddress, BackendApi, BeError};
pub use backend::{Backend, BackendConfig};
pub use node::{BackendNode, NodeConfig};
