//! Versions of a destination table's partitions: whether a transaction of the source is the next one there.
//!
//! The destination's partitions are written by the job alone, and they have the source's versions: a restored partition keeps
//! the version of the snapshot, a new or truncated one begins at 1 on both sides, and each transaction makes one version. So a
//! transaction that makes version `v` at the source belongs on a partition that is at `v - 1`, and one that was applied before
//! left a partition that is at `v` or above. Anything else means that the destination, or what the job remembers of it, is not
//! what it was (`docs/adr/0007-versions.md`).

use std::collections::{BTreeMap, BTreeSet};

use ccr_schemas::PartitionId;

use crate::plan::mapping::{IngestPart, Layout};

/// What this run knows of one destination table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// Destination partition -> the version that it has when every transaction this run committed is visible.
    expected: BTreeMap<PartitionId, i64>,
    /// Source version minus destination version, where a person accepted a loss: learned from the first transaction.
    offsets: BTreeMap<PartitionId, i64>,
}

/// A partition whose version is not the one that a transaction needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Source partition.
    pub source_partition: PartitionId,
    /// Destination partition.
    pub partition: PartitionId,
    /// Version at the destination.
    pub at: i64,
    /// Version that the transaction makes at the source.
    pub makes: i64,
}

/// How a transaction compares with the versions of its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fit {
    /// As it must be.
    Fits,
    /// The version of a partition is not known.
    Unknown,
    /// Not as it must be.
    Differs(Vec<Difference>),
}

impl Versions {
    /// Takes over a layout. With `exact` nothing of this job was on its way when it was read, so that it replaces what was
    /// counted; else it adds partitions that are not known and removes those that are gone.
    pub fn read(&mut self, layout: &Layout, exact: bool) {
        let read: BTreeMap<PartitionId, i64> = layout
            .table
            .partitions
            .iter()
            .map(|partition| (partition.id, partition.visible_version))
            .collect();
        if exact {
            self.expected = read;
        } else {
            self.expected
                .retain(|partition, _| read.contains_key(partition));
            for (partition, version) in read {
                self.expected.entry(partition).or_insert(version);
            }
        }
        let expected = &self.expected;
        self.offsets
            .retain(|partition, _| expected.contains_key(partition));
    }

    /// Forgets the versions; what a person accepted stays.
    pub fn forget(&mut self) {
        self.expected.clear();
    }

    /// Version of each partition when everything committed is visible.
    pub fn expected(&self) -> &BTreeMap<PartitionId, i64> {
        &self.expected
    }

    /// A part of a transaction was committed by this run.
    pub fn committed(&mut self, part: &IngestPart) {
        if let Some(version) = self.expected.get_mut(&part.partition.0) {
            *version += 1;
        }
    }

    /// Whether parts of this table are the next transaction of their partitions. With `adrift` a person accepted a loss: the
    /// distance between source and destination is learned once and holds from then on.
    pub fn next(&mut self, parts: &[&IngestPart], adrift: bool) -> Fit {
        let mut at = BTreeMap::new();
        let mut differs = Vec::new();
        for part in in_order(parts) {
            let partition = part.partition.0;
            let known = at.get(&partition).or_else(|| self.expected.get(&partition));
            let Some(version) = known.copied() else {
                return Fit::Unknown;
            };
            let offset = if adrift {
                let offset = part.version - version - 1;
                *self.offsets.entry(partition).or_insert(offset)
            } else {
                0
            };
            if version + offset + 1 != part.version {
                differs.push(difference(part, version));
            }
            at.insert(partition, version + 1);
        }
        fit(differs)
    }

    /// Whether parts of this table are in their partitions already.
    pub fn contain(&self, parts: &[&IngestPart], adrift: bool) -> Fit {
        if adrift {
            return Fit::Fits;
        }
        let mut differs = Vec::new();
        for part in in_order(parts) {
            let Some(version) = self.expected.get(&part.partition.0).copied() else {
                return Fit::Unknown;
            };
            if version < part.version {
                differs.push(difference(part, version));
            }
        }
        fit(differs)
    }

    /// The first partition whose read version lies outside of what it can be: below `lower`, the versions that were known to
    /// be visible when the read was asked for, or above what this run has committed and is committing.
    pub fn doubt(
        &self,
        read: &Layout,
        lower: &BTreeMap<PartitionId, i64>,
        under_way: &BTreeMap<PartitionId, i64>,
    ) -> bool {
        let read: BTreeMap<PartitionId, i64> = read
            .table
            .partitions
            .iter()
            .map(|partition| (partition.id, partition.visible_version))
            .collect();
        self.expected.iter().any(|(partition, expected)| {
            let upper = expected + under_way.get(partition).copied().unwrap_or_default();
            let lower = lower.get(partition).copied().unwrap_or(i64::MIN);
            read.get(partition)
                .is_none_or(|version| *version < lower || *version > upper)
        })
    }
}

impl Fit {
    /// Without the partitions that a later event removes anyway.
    #[must_use]
    pub fn without(self, removed: &BTreeSet<PartitionId>) -> Self {
        match self {
            Self::Fits => Self::Fits,
            Self::Unknown => Self::Unknown,
            Self::Differs(mut differs) => {
                differs.retain(|difference| !removed.contains(&difference.source_partition));
                fit(differs)
            }
        }
    }
}

fn fit(differs: Vec<Difference>) -> Fit {
    if differs.is_empty() {
        Fit::Fits
    } else {
        Fit::Differs(differs)
    }
}

fn difference(part: &IngestPart, at: i64) -> Difference {
    Difference {
        source_partition: part.source_partition,
        partition: part.partition.0,
        at,
        makes: part.version,
    }
}

/// Sub-transactions of one partition follow each other by version.
fn in_order<'a>(parts: &[&'a IngestPart]) -> Vec<&'a IngestPart> {
    let mut parts = parts.to_vec();
    parts.sort_by_key(|part| (part.partition, part.version));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::mapping::Dest;
    use ccr_doris::{PartitionMeta, TableMeta};
    use ccr_schemas::TableId;

    fn layout(versions: &[(i64, i64)]) -> Layout {
        Layout {
            table: TableMeta {
                id: TableId(1),
                name: "t".to_owned(),
                kind: "OLAP".to_owned(),
                partitions: versions
                    .iter()
                    .map(|(id, version)| PartitionMeta {
                        id: PartitionId(*id),
                        name: format!("p{id}"),
                        range: String::new(),
                        visible_version: *version,
                        indexes: vec![],
                    })
                    .collect(),
            },
        }
    }

    fn part(partition: i64, version: i64) -> IngestPart {
        IngestPart {
            source_table: TableId(7),
            table: Dest(TableId(1)),
            sub_txn: None,
            source_partition: PartitionId(partition + 100),
            partition: Dest(PartitionId(partition)),
            version,
            dest_version: 0,
            tablets: vec![],
        }
    }

    fn versions(read: &[(i64, i64)]) -> Versions {
        let mut versions = Versions::default();
        versions.read(&layout(read), true);
        versions
    }

    #[test]
    fn a_transaction_belongs_on_the_version_before_its_own() {
        let mut known = versions(&[(1, 4), (2, 1)]);
        let (first, second) = (part(1, 5), part(2, 2));
        assert_eq!(known.next(&[&first, &second], false), Fit::Fits);
        known.committed(&first);
        known.committed(&second);
        assert_eq!(known.next(&[&part(1, 6)], false), Fit::Fits);
        for (makes, at) in [(8, 5), (5, 5), (2, 5)] {
            let Fit::Differs(differs) = known.next(&[&part(1, makes)], false) else {
                panic!("version {makes} on {at} is accepted");
            };
            assert_eq!((differs[0].at, differs[0].makes), (at, makes));
        }
        assert_eq!(known.next(&[&part(3, 2)], false), Fit::Unknown);
    }

    #[test]
    fn sub_transactions_of_a_partition_count_one_by_one() {
        let mut known = versions(&[(1, 4)]);
        let (second, first) = (part(1, 6), part(1, 5));
        assert_eq!(known.next(&[&second, &first], false), Fit::Fits);
        assert!(matches!(
            known.next(&[&part(1, 5), &part(1, 7)], false),
            Fit::Differs(_)
        ));
    }

    #[test]
    fn an_accepted_loss_is_learned_once_and_holds_from_then_on() {
        let mut known = versions(&[(1, 4)]);
        let first = part(1, 7);
        assert_eq!(known.next(&[&first], true), Fit::Fits);
        known.committed(&first);
        assert_eq!(known.next(&[&part(1, 8)], true), Fit::Fits);
        assert!(matches!(known.next(&[&part(1, 9)], true), Fit::Differs(_)));
    }

    #[test]
    fn what_was_applied_left_its_version() {
        let known = versions(&[(1, 5)]);
        assert_eq!(known.contain(&[&part(1, 5)], false), Fit::Fits);
        assert_eq!(known.contain(&[&part(1, 3)], false), Fit::Fits);
        assert!(matches!(
            known.contain(&[&part(1, 6)], false),
            Fit::Differs(_)
        ));
        assert_eq!(known.contain(&[&part(1, 6)], true), Fit::Fits);
        assert_eq!(known.contain(&[&part(2, 6)], false), Fit::Unknown);
    }

    #[test]
    fn a_partition_that_a_later_event_removes_does_not_matter() {
        let mut known = versions(&[(1, 3), (2, 3)]);
        let fit = known.next(&[&part(1, 5), &part(2, 5)], false);
        let one = fit.clone().without(&BTreeSet::from([PartitionId(101)]));
        assert!(matches!(one, Fit::Differs(differs) if differs.len() == 1));
        let both = BTreeSet::from([PartitionId(101), PartitionId(102)]);
        assert_eq!(fit.without(&both), Fit::Fits);
    }

    #[test]
    fn a_read_that_is_not_exact_keeps_what_was_counted() {
        let mut known = versions(&[(1, 4), (2, 4)]);
        known.committed(&part(1, 5));
        // The transaction is not visible yet.
        known.read(&layout(&[(1, 4), (3, 9)]), false);
        let expected = BTreeMap::from([(PartitionId(1), 5), (PartitionId(3), 9)]);
        assert_eq!(known.expected(), &expected);
    }

    #[test]
    fn a_version_is_doubted_below_what_was_visible_and_above_what_was_committed() {
        let known = versions(&[(1, 6)]);
        let lower = BTreeMap::from([(PartitionId(1), 5)]);
        let doubt = |read: &[(i64, i64)], under_way: i64| {
            let under_way = BTreeMap::from([(PartitionId(1), under_way)]);
            known.doubt(&layout(read), &lower, &under_way)
        };
        assert!(!doubt(&[(1, 5)], 0) && !doubt(&[(1, 6)], 0) && !doubt(&[(1, 7)], 1));
        assert!(doubt(&[(1, 4)], 0) && doubt(&[(1, 7)], 0));
        // Another partition has taken its place.
        assert!(doubt(&[(2, 6)], 0));
    }
}
