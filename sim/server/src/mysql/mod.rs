//! The MySQL face of a cluster: `server` (listener) → `shim` (protocol) → `session` (statements) → `fe`, `query`.
//!
//! Reading order: `session`, `dml` and `change` (statements that write rows), `show` (SHOW and DESC), `tables` (what queries see).

mod answer;
mod capabilities;
mod change;
mod definition;
mod denial;
mod dml;
mod explain;
mod guards;
mod information_schema;
mod params;
mod privileges;
mod replies;
mod server;
mod session;
mod shim;
mod show;
mod tables;

pub use answer::Answer;
pub use server::MysqlServer;
pub use session::SqlSession;
