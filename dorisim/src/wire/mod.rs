//! Thrift of the simulated cluster: [`protocol`] (bounded reading), [`server`] (connections and dispatch), [`backend`] and [`frontend`]
//! (methods onto calls, with [`auth`], [`roles`], [`level`] and [`convert`]), [`agent`] (tasks, their ends and reports between frontend and backends).

pub mod agent;
pub mod auth;
pub mod backend;
pub mod client;
pub mod compact;
pub mod convert;
pub mod frontend;
pub mod heartbeat;
pub mod level;
pub mod protocol;
pub mod roles;
pub mod server;
mod snapshots;

pub use roles::{FrontendPorts, Roles};
