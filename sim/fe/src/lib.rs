//! The simulated frontend: catalogue, DDL, transactions, binlog streams, backup and restore.
//!
//! Reading order: [`api`] (what goes in and out), [`frontend`] ([`Frontend`] itself), `state` (what it knows); then a statement's way
//! `ddl`, `ddl_table`, `ddl_view`, `ddl_partition`, `alter` (with `alter_conflict`), `alter_columns`, `alter_feature`, `alter_index`,
//! `alter_properties` (with `properties`, `property_values`) → `build` (with `build_properties`), `partitions` (with `partition_index`) → `record` (with [`quirks`]) → `stream` (with `binlog_life`); a load's way `load` → `route` →
//! `commit` (with `txn`) → `publish` → `record`; reading `scan`, `meta`; jobs `jobs`, `backup`, `restore`, `restore_plan`;
//! changes that take time `column_change`, `schema_change`, `rollup` (with `view_query`, `materialize`) → [`alter_job`] → `alter_run`, [`index_job`]; what was dropped [`recycle`];
//! partitions by the clock `dynamic_partition` (with `dynamic_check`) → [`dynamic_run`]; the backends and their tasks [`backends`];
//! on disk `durable` (the lock that writes) → [`store`].

mod accounts;
mod alter;
mod alter_columns;
mod alter_conflict;
mod alter_feature;
mod alter_index;
pub mod alter_job;
mod alter_properties;
mod alter_run;
pub mod api;
mod api_rpc;
pub mod backends;
mod backup;
mod binlog_life;
mod build;
mod build_properties;
mod column_change;
mod commit;
mod dates;
mod ddl;
mod ddl_partition;
mod ddl_table;
mod ddl_view;
mod durable;
mod dynamic_check;
mod dynamic_partition;
pub mod dynamic_run;
pub mod frontend;
mod frontend_config;
mod generated_text;
mod gson;
mod gson_order;
mod image;
pub mod index_job;
mod jobs;
mod key_columns;
mod load;
mod load_txn;
mod materialize;
mod meta;
mod overwrite;
mod partition_index;
mod partitions;
mod properties;
mod property_values;
mod publish;
pub mod quirks;
mod record;
mod record_view;
pub mod recycle;
mod restore;
mod restore_finish;
mod restore_plan;
mod rollup;
mod route;
mod scan;
mod schema_change;
mod show_create;
mod state;
pub mod store;
mod stream;
mod txn;
mod view_columns;
mod view_query;

#[cfg(test)]
mod tests;

pub use api::*;
pub use frontend::Frontend;
pub use frontend_config::{ConfigItem, frontend_config, plain_name};
pub use show_create::in_order as partitions_in_order;
