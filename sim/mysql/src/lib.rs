//! The server's side of the MySQL client protocol, as far as clients of Doris use it.
//!
//! [`serve`] speaks with one client and passes its requests to a [`Service`]. Text and binary rows, prepared statements, several
//! results per statement, `mysql_native_password`. No TLS, no compression, no cursors. Packets come from `mysql_common`; its
//! types are exported here so that services need no other crate.
//!
//! Reading order: `service`, `connection`, `handshake`, `parameters`, `encode`, `packets`.

mod connection;
mod encode;
mod handshake;
mod packets;
mod parameters;
mod service;

pub use connection::serve;
pub use handshake::proves;
pub use mysql_common::constants::ColumnType;
pub use mysql_common::packets::Column;
pub use mysql_common::value::Value;
pub use service::{Prepared, Refusal, Reply, Row, Service};
