//! The MySQL server of a cluster: `server` (listener) → `shim` (protocol) → `run` (statements) → `session` → `fe`, `query`.
//!
//! Reading order: `shared`, `session`, `run`, `dml` and `change` (statements that write rows), `show` (SHOW and DESC), `tables` (what queries see).

mod answer;
mod capabilities;
mod change;
mod definition;
mod denial;
mod dml;
mod explain;
mod guards;
mod information_schema;
mod nodes;
mod params;
mod privileges;
mod replies;
mod run;
mod server;
mod session;
mod shared;
mod shim;
mod show;
mod tables;
mod words;

pub use answer::Answer;
pub use session::SqlSession;
pub use shared::MysqlServer;
