//! A small model of Doris: what its frontends and backends answer, and what happens in them by itself. It does no I/O and has no
//! clock: callers bring the moment.
//!
//! Read in this order: [`catalog`] (tables and what tablets hold), [`database`], [`cluster`] (the whole, and its queue of what is
//! due), [`stmt`] and [`sql`] (statements), `ddl*` (what they do), [`load`] and [`txn`] (data), [`stream`] and [`records`] (the
//! binlog), `backup` and `restore`, [`show`] (questions), [`storage`] (what can be pulled from backends).

mod backup;
pub mod catalog;
pub mod cluster;
pub mod database;
mod ddl;
mod ddl_partition;
mod ddl_shape;
pub mod jobs;
pub mod load;
pub mod print;
pub mod records;
mod restore;
pub mod show;
pub mod sql;
pub mod stmt;
pub mod storage;
pub mod stream;
pub mod txn;

pub use cluster::{Cluster, Policy, Refused};
pub use load::LoadInto;
pub use stmt::{Stmt, TableDef};
