//! Thrift of the simulated cluster: [`protocol`] (bounded reading), [`server`] (connections and dispatch), [`backend`] and [`frontend`]
//! (methods onto calls).

pub mod backend;
pub mod frontend;
pub mod protocol;
pub mod server;
