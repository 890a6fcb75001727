//! What is known of the layout of one destination table.

use std::collections::BTreeMap;
use std::sync::Arc;

use ccr_schemas::PartitionId;

use crate::plan::mapping::Layout;
use crate::plan::versions::Versions;

/// Age of a layout in milliseconds at which it is read again while a load is under way, unless set otherwise.
pub const LAYOUT_MAX_AGE_MS: i64 = 10_000;

/// A destination table's layout, read for a source table.
#[derive(Clone, Debug, Default)]
pub struct LayoutSlot {
    pub(crate) known: LayoutKnown,
    /// Versions of its partitions.
    pub(crate) versions: Versions,
    /// The read under way was asked for when nothing of this job was on its way to the table.
    pub(crate) reading_exactly: bool,
    /// The read under way was asked for before the destination was interrupted: its answer does not count.
    pub(crate) reading_stale: bool,
    /// The versions were read exactly and nothing was committed since.
    pub(crate) settled: bool,
    /// When it was last read, milliseconds since the epoch.
    pub(crate) read_at_ms: i64,
    /// It is being read again because it is old.
    pub(crate) check: Option<Check>,
}

/// A layout that is read again while loads go on.
#[derive(Clone, Debug)]
pub struct Check {
    /// Number of the check.
    pub(crate) id: u64,
    /// Versions that are visible when it is answered.
    pub(crate) lower: BTreeMap<PartitionId, i64>,
    /// Commits wait for the answer: the table was idle, so that the answer comes before the ingest ends.
    pub(crate) holds: bool,
}

/// What is known of a layout.
#[derive(Clone, Debug, Default)]
pub enum LayoutKnown {
    /// Nothing, or nothing that still holds.
    #[default]
    No,
    /// Being read.
    Reading,
    /// As read.
    Yes(Arc<Layout>),
    /// The destination has no such table.
    Missing,
}

impl LayoutSlot {
    /// What was read does not hold any more; it is read exactly before the next commit.
    pub(crate) fn distrust(&mut self) {
        match self.known {
            LayoutKnown::Reading => self.reading_stale = true,
            LayoutKnown::No | LayoutKnown::Yes(_) | LayoutKnown::Missing => {
                self.known = LayoutKnown::No;
            }
        }
        self.versions.forget();
        self.settled = false;
        self.check = None;
    }
}
