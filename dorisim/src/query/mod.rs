//! SELECT through an in-memory SQLite: `rewrite` (Doris' text → SQLite's) → `engine` (copies of tables, answers).
//!
//! Reading order: `source` (what goes in and out), `engine`, `rewrite`, `functions`, `numbers` (why sums are exact).

mod aggregates;
mod compute;
mod count;
mod dates;
pub mod delete;
mod engine;
mod from_clause;
mod functions;
mod items;
mod kinds;
pub mod like;
mod numbers;
mod rewrite;
mod session;
mod source;
mod words;

#[cfg(test)]
mod tests;

pub use compute::{Input, add_generated, compute};
pub use engine::QueryEngine;
pub use session::{VARIABLES, variable};
pub use source::{
    ColumnKind, Named, ResultColumn, ResultSet, SessionInfo, TableKey, TableRef, Tables,
};
