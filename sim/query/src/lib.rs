//! SELECT through an in-memory SQLite: `rewrite` (Doris' text → SQLite's) → `engine` (copies of tables, answers).
//!
//! Reading order: `source` (what goes in and out), `engine`, `rewrite` (with `from_clause`, `operands`), `functions` and its
//! relatives by subject, `numbers` (why sums are exact).

mod aggregates;
mod aggregates_sketch;
mod compute;
mod count;
mod dates;
mod define;
pub mod delete;
mod engine;
mod from_clause;
mod functions;
mod functions_nested;
mod functions_number;
mod functions_sketch;
mod items;
mod kinds;
mod kinds_calls;
pub mod like;
mod nested;
mod numbers;
mod operands;
mod rewrite;
mod session;
mod source;
mod variables;
mod words;

#[cfg(test)]
mod tests;

pub use compute::{Input, add_generated, compute, field_columns};
pub use engine::QueryEngine;
pub use source::{
    ColumnKind, Named, ResultColumn, ResultSet, SessionInfo, TableKey, TableRef, Tables,
};
pub use variables::{
    Variable, VariableKind, find as find_variable, shown_value, variable, variables,
};
