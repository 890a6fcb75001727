//! The simulated frontend: catalogue, DDL, transactions, binlog streams, backup and restore.
//!
//! Reading order: [`api`] (what goes in and out), [`frontend`] ([`Frontend`] itself).

pub mod api;
pub mod frontend;

pub use api::*;
pub use frontend::Frontend;
