//! A simulated Doris cluster on loopback sockets.
//!
//! MySQL / Thrift / HTTP → [`mysql`], [`wire`], [`http`] → [`fe::Frontend`] (catalogue, transactions, binlog) →
//! [`be::api::BackendApi`] → [`fe::backends`] (agent tasks over Thrift) → [`be`] (tablets, rowset files, downloads).
//!
//! Reading order: [`cluster`] (how the parts meet), [`fe`], [`be::api`], [`wire::server`], [`mysql`], [`faults`].

pub mod be;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod faults;
pub mod fe;
pub mod http;
pub mod model;
pub mod mysql;
pub mod query;
pub mod sql;
pub mod wire;

pub use cluster::SimCluster;
pub use config::{SimConfig, SimUser};
