//! SELECT through an in-memory SQLite: [`rewrite`] (Doris' text → SQLite's) → [`engine`] (copies of tables, answers).
//!
//! Reading order: [`source`] (what goes in and out), [`engine`], [`rewrite`], [`functions`], [`numbers`] (why sums are exact).

mod aggregates;
mod dates;
pub mod delete;
mod engine;
mod functions;
mod items;
pub mod like;
mod numbers;
mod rewrite;
mod session;
mod source;

#[cfg(test)]
mod tests;

pub use engine::QueryEngine;
pub use session::{VARIABLES, variable};
pub use source::{
    ColumnKind, Named, ResultColumn, ResultSet, SessionInfo, TableKey, TableRef, Tables,
};
