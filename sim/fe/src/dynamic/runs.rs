//! What the scheduler of dynamic partitions did, for SHOW DYNAMIC PARTITION TABLES.

use std::collections::BTreeMap;

/// What SHOW DYNAMIC PARTITION TABLES tells of the scheduler's work. In memory only, as in Doris.
#[derive(Debug, Clone, Default)]
pub struct DynamicRuns {
    pub(crate) last_round_ms: Option<i64>,
    pub(crate) tables: BTreeMap<i64, Run>,
}

/// One table's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    /// Last change of the settings, epoch milliseconds.
    pub updated_ms: Option<i64>,
    /// Last visit of the scheduler, epoch milliseconds.
    pub visited_ms: Option<i64>,
    /// Why no partition could be made; empty when all went well.
    pub create_message: String,
    /// Why none could be dropped.
    pub drop_message: String,
}

impl DynamicRuns {
    /// The settings of a table were changed.
    pub fn note_update(&mut self, table: i64, now_ms: i64) {
        self.tables.entry(table).or_default().updated_ms = Some(now_ms);
    }

    /// What is known of a table.
    #[must_use]
    pub fn of(&self, table: i64) -> Run {
        self.tables.get(&table).cloned().unwrap_or_default()
    }
}
