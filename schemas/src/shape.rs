//! What a table looks like, for those who print or read DDL and need to know no event.

use serde::{Deserialize, Serialize};

/// How rows are distributed over buckets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    /// True for HASH, false for RANDOM.
    pub hash: bool,
    /// Columns of HASH; empty for RANDOM.
    pub columns: Vec<String>,
    /// Number of buckets.
    pub buckets: i32,
    /// Bucket count was chosen by Doris.
    pub auto: bool,
}
