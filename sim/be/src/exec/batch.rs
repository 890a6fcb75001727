//! What goes from one plan node to the next.

use super::types::Layout;
use dorisim_model::Row;

/// Rows, and where their slots are.
#[derive(Debug)]
pub struct Batch {
    /// The rows.
    pub rows: Vec<Row>,
    /// Their slots.
    pub layout: Layout,
}
