//! Which tablets of a backend belong to which partition: a publish names partitions alone.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Tablets by partition.
#[derive(Debug, Default)]
pub struct PartitionTablets(Mutex<HashMap<i64, BTreeSet<i64>>>);

impl PartitionTablets {
    /// A tablet came.
    pub fn add(&self, partition_id: i64, tablet_id: i64) {
        self.map()
            .entry(partition_id)
            .or_default()
            .insert(tablet_id);
    }

    /// A tablet went.
    pub fn remove(&self, partition_id: i64, tablet_id: i64) {
        let mut map = self.map();
        if let Some(tablets) = map.get_mut(&partition_id) {
            tablets.remove(&tablet_id);
            if tablets.is_empty() {
                map.remove(&partition_id);
            }
        }
    }

    /// Tablets of a partition, sorted.
    pub fn of(&self, partition_id: i64) -> Vec<i64> {
        let map = self.map();
        let tablets = map.get(&partition_id);
        tablets.map_or_else(Vec::new, |tablets| tablets.iter().copied().collect())
    }

    fn map(&self) -> MutexGuard<'_, HashMap<i64, BTreeSet<i64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tablets_come_and_go() {
        let tablets = PartitionTablets::default();
        tablets.add(5, 2);
        tablets.add(5, 1);
        tablets.add(6, 3);
        assert_eq!(tablets.of(5), [1, 2]);
        tablets.remove(5, 2);
        tablets.remove(6, 3);
        assert_eq!(tablets.of(5), [1]);
        assert!(tablets.of(6).is_empty());
    }
}
