//! The MySQL server of a cluster: `server` (listener) → `client` (protocol) → `run` (statements) → `session` → `fe`, `query`.
//!
//! Reading order: `shared`, `session`, `run`, `dml` and `change` (statements that write rows), `show` (SHOW and DESC), `tables` (what queries see).

mod answer;
mod change;
mod client;
mod definition;
mod dml;
mod explain;
mod guards;
mod information_schema;
mod nodes;
mod params;
mod privileges;
mod run;
mod server;
mod session;
mod shared;
mod show;
mod tables;
mod words;

pub use answer::Answer;
pub use session::SqlSession;
pub use shared::MysqlServer;
