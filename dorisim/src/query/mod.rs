//! SELECT through an in-memory SQLite: `desugar` (forms that only Doris has) → `rewrite` (Doris' text → SQLite's) →
//! `engine` (copies of tables, answers).
//!
//! Reading order: `source` (what goes in and out), `engine`, `desugar`, `rewrite` (with `from_clause`, `operands`, `lateral`), `functions` and its
//! relatives by subject, `numbers` (why sums are exact).

mod aggregates;
mod aggregates_more;
mod aggregates_stats;
mod compute;
mod count;
mod dates;
pub mod delete;
mod desugar;
mod engine;
mod from_clause;
mod functions;
mod functions_arrays;
mod functions_calendar;
mod functions_json;
mod functions_math;
mod functions_nested;
mod functions_number;
mod functions_sketch;
mod functions_text;
mod functions_time;
mod functions_words;
mod items;
mod kinds;
mod kinds_calls;
mod lateral;
pub mod like;
mod nested;
mod numbers;
mod operands;
mod rewrite;
mod session;
mod source;
mod states;
mod variables;
mod words;

#[cfg(test)]
mod tests;

pub use compute::{Input, add_generated, compute, field_columns};
pub use engine::QueryEngine;
pub use source::{
    ColumnKind, Named, ResultColumn, ResultSet, SessionInfo, TableKey, TableRef, Tables,
};
pub use states::union_of_states;
pub use variables::{
    Variable, VariableKind, find as find_variable, shown_value, variable, variables,
};
