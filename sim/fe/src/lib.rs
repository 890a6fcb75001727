//! The simulated frontend: catalogue, DDL, transactions, binlog streams, backup and restore.
//!
//! Reading order: [`api`] (what goes in and out), [`frontend`] ([`Frontend`] itself), `state` (what it knows, behind `held`); then a
//! statement's way `ddl`, [`alter`] → `catalog` → `binlog` (with [`quirks`]); a load's way `load` → `txn` → `binlog`; reading `scan`,
//! `meta`; backup and restore `jobs` (with `image`); partitions by the clock [`dynamic`]; the backends and their tasks [`backends`]; on
//! disk `durable` (with `kept`) → [`store`].

mod accounts;
pub mod alter;
pub mod api;
mod api_rpc;
pub mod backends;
mod binlog;
mod catalog;
pub mod ddl;
mod durable;
pub mod dynamic;
pub mod frontend;
mod frontend_config;
mod held;
mod image;
mod jobs;
mod kept;
mod load;
mod meta;
pub mod quirks;
mod scan;
mod state;
pub mod store;
mod txn;

#[cfg(test)]
mod tests;

pub use api::*;
pub use catalog::show_create::in_order as partitions_in_order;
pub use frontend::Frontend;
pub use frontend_config::{ConfigItem, frontend_config, plain_name};
