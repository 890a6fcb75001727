//! What the backends keep for others: rowsets of loads, and snapshots.

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::Rowset;

/// Which rowsets can be pulled from which backends.
#[derive(Clone, Debug, Default)]
pub struct Storage {
    /// By tablet and version: the backends that have it.
    binlogs: BTreeMap<i64, BTreeMap<i64, BTreeSet<i64>>>,
}

impl Storage {
    /// A load was published.
    pub fn keep(&mut self, tablet: i64, version: i64, backends: &[i64]) {
        self.binlogs
            .entry(tablet)
            .or_default()
            .entry(version)
            .or_default()
            .extend(backends.iter().copied());
    }

    /// Another backend gets a copy of a rowset that is there.
    pub fn copy(&mut self, tablet: i64, version: i64, backend: i64) {
        if let Some(holders) = self
            .binlogs
            .get_mut(&tablet)
            .and_then(|v| v.get_mut(&version))
        {
            holders.insert(backend);
        }
    }

    /// A backend asks another one for a rowset.
    pub fn pull(&self, tablet: i64, version: i64, backend: i64) -> Option<Rowset> {
        let holders = self.binlogs.get(&tablet)?.get(&version)?;
        holders
            .contains(&backend)
            .then_some(Rowset { tablet, version })
    }

    /// Tablets are gone, and what they kept with them.
    pub fn drop_tablets(&mut self, tablets: &[i64]) {
        for tablet in tablets {
            self.binlogs.remove(tablet);
        }
    }

    /// The versions of a tablet up to this one are collected.
    pub fn collect(&mut self, tablet: i64, upto: i64) {
        if let Some(versions) = self.binlogs.get_mut(&tablet) {
            *versions = versions.split_off(&(upto + 1));
        }
    }

    /// A replica moves to another backend and takes all it keeps along.
    pub fn move_tablet(&mut self, tablet: i64, from: i64, to: i64) {
        for holders in self.binlogs.entry(tablet).or_default().values_mut() {
            if holders.remove(&from) {
                holders.insert(to);
            }
        }
    }
}
