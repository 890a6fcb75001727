//! Catalogue objects in the JSON of a Doris FE, as a snapshot's meta carries them from cluster to cluster.
//!
//! The forms are those of an FE built from Doris master of January 2026. [`shape`]: types and columns. [`item`]: partition items. [`table`] writes
//! tables and views, [`read`] reads them.

mod item;
mod read;
mod shape;
mod table;
#[cfg(test)]
mod tests;

pub use read::{read_table, read_view};
pub use table::{table_json, view_json};
