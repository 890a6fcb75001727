//! What simulated frontends and backends share between each other and their sockets.
//!
//! `faults` (what goes wrong on demand) → `listener` (HTTP), `server` and `client` (Thrift over `protocol` and `compact`) → `agent`
//! (agent tasks: the structs of the wire as values of the model).

pub mod agent;
pub mod client;
pub mod compact;
pub mod faults;
pub mod listener;
pub mod protocol;
pub mod server;
