//! A simulated Doris cluster on loopback sockets.
//!
//! MySQL / Thrift / HTTP → [`server`] → [`fe::Frontend`] (catalogue, transactions, binlog) → [`model::backend::BackendApi`] →
//! [`fe::backends`] (agent tasks over Thrift) → [`be`] (tablets, rowset files, downloads).
//!
//! One crate per layer, each uses only those before it: `dorisim_wire` (Thrift structs), [`model`] (plain data), [`net`] (sockets,
//! [`faults`], agent tasks), [`sql`] (parser), `dorisim_mysql` (client protocol),
//! [`query`] (SELECT), [`fe`], [`be`], [`server`], and this crate.
//!
//! Reading order: [`cluster`] (how the parts meet), [`fe`], [`model::backend`], [`server`], [`faults`].

pub mod cluster;
pub mod config;

pub use dorisim_be as be;
pub use dorisim_fe as fe;
pub use dorisim_model as model;
pub use dorisim_net as net;
pub use dorisim_net::faults;
pub use dorisim_query as query;
pub use dorisim_server as server;
pub use dorisim_sql as sql;

pub use cluster::SimCluster;
pub use config::{SimConfig, SimUser};
