//! The simulated backend: tablets as rowset files, agent tasks, ingest and download endpoints.
//!
//! Reading order: [`BackendApi`] (what a frontend asks), [`backend`] (who answers), [`tasks`] (how), [`tablet`], [`rowset`], [`rowset_meta`],
//! [`pb`], [`index_files`], [`meta_store`], [`recover`], [`txns`], [`ingest`], [`snapshot`], [`download`], [`fetch`], [`http`],
//! [`service`] (BackendService), [`heartbeat`]; [`agent`] (tasks and reports over Thrift), [`brpc`] and [`exec`] (queries and loads of
//! a frontend over gRPC), [`node`] (one running backend).

pub mod agent;
pub mod backend;
pub mod bandwidth;
pub mod brpc;
pub mod download;
pub mod exec;
pub mod fetch;
pub mod header_file;
pub mod heartbeat;
pub mod http;
pub mod http_config;
pub mod identity;
pub mod index_files;
pub mod ingest;
pub mod meta_store;
pub mod node;
pub mod partitions;
pub mod pb;
pub mod pb_schema;
pub mod recover;
pub mod rowset;
pub mod rowset_meta;
pub mod service;
pub mod snapshot;
mod sync;
pub mod tablet;
pub mod tasks;
pub mod txns;

pub use backend::{Backend, BackendConfig};
pub use dorisim_model::backend::{BackendAddress, BackendApi, BeError};
pub use node::{BackendNode, NodeConfig};
