//! Was an event of the recovery window applied before the crash? The witnesses, in order: the transaction that holds the
//! label; whether the destination still remembers older labels; the versions of the destination's partitions.

use std::collections::{BTreeMap, BTreeSet};

use ccr_schemas::PartitionId;

use crate::plan::mapping::IngestPlan;

/// What is known when a label turned out to be free.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The event may have been started by a process that crashed.
    pub in_window: bool,
    /// The destination still knows a label older than any of the window: a free label was never finished.
    pub labels_intact: bool,
    /// Versions that destination partitions have when everything this process committed is visible.
    pub baseline: &'a BTreeMap<PartitionId, i64>,
    /// Versions of each source partition among the events of the window.
    pub window_versions: &'a BTreeMap<PartitionId, BTreeSet<i64>>,
    /// Source partitions whose data a later event removes. Transactions on them may have been left out, so they may be at
    /// lower versions than at the source.
    pub removed: &'a BTreeSet<PartitionId>,
}

/// The judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not applied: go on with the transaction.
    Apply,
    /// Applied before: undo the new transaction.
    AlreadyApplied,
    /// No witness can tell: never guess.
    NoWitness {
        /// For people.
        why: String,
    },
}

/// Judges an event whose label was free.
///
/// A destination written only by this job has the source's versions (restored partitions keep the snapshot's version, new
/// and truncated ones start at 1 on both sides), so a partition at or above the event's version has the event, and one
/// that lacks only versions which are themselves events of the window has not. A partition that lags and whose data a later
/// event removes tells nothing: the others decide, and without others the event is applied, as what it writes goes in
/// either case.
pub fn judge(plan: &IngestPlan, evidence: &Evidence<'_>) -> Verdict {
    if !evidence.in_window || evidence.labels_intact {
        return Verdict::Apply;
    }
    let (mut applied, mut lagging) = (0_usize, 0_usize);
    for part in &plan.parts {
        let dest = evidence.baseline.get(&part.partition.0);
        let has_it = dest.is_some_and(|dest| *dest >= part.version);
        if !has_it && evidence.removed.contains(&part.source_partition) {
            lagging += 1;
            continue;
        }
        let Some(dest) = dest else {
            return Verdict::NoWitness {
                why: format!("the version of partition {} is not known", part.partition),
            };
        };
        if has_it {
            applied += 1;
            continue;
        }
        let known = evidence.window_versions.get(&part.source_partition);
        let missing = (dest + 1..part.version)
            .find(|version| !known.is_some_and(|versions| versions.contains(version)));
        if let Some(version) = missing {
            return Verdict::NoWitness {
                why: format!(
                    "partition {} is at version {dest}, the event makes version {}, and version {version} is not among \
                     the events to be repeated",
                    part.partition, part.version
                ),
            };
        }
    }
    if applied == 0 {
        Verdict::Apply
    } else if applied + lagging == plan.parts.len() {
        Verdict::AlreadyApplied
    } else {
        Verdict::NoWitness {
            why: "some partitions of the transaction have its version and others do not".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::mapping::{Dest, IngestPart};
    use ccr_schemas::TableId;

    fn plan(versions: &[(i64, i64)]) -> IngestPlan {
        IngestPlan {
            tables: vec![Dest(TableId(1))],
            parts: versions
                .iter()
                .map(|(partition, version)| IngestPart {
                    source_table: TableId(7),
                    table: Dest(TableId(1)),
                    sub_txn: None,
                    source_partition: PartitionId(*partition),
                    partition: Dest(PartitionId(*partition)),
                    version: *version,
                    dest_version: 0,
                    tablets: vec![],
                })
                .collect(),
            sub_txns: 0,
        }
    }

    fn verdict(versions: &[(i64, i64)], dest: &[(i64, i64)], window: &[(i64, i64)]) -> Verdict {
        verdict_without(versions, dest, window, &[])
    }

    fn verdict_without(
        versions: &[(i64, i64)],
        dest: &[(i64, i64)],
        window: &[(i64, i64)],
        removed: &[i64],
    ) -> Verdict {
        let removed = removed.iter().map(|id| PartitionId(*id)).collect();
        let baseline = dest.iter().map(|(p, v)| (PartitionId(*p), *v)).collect();
        let mut window_versions: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (p, v) in window {
            window_versions
                .entry(PartitionId(*p))
                .or_default()
                .insert(*v);
        }
        judge(
            &plan(versions),
            &Evidence {
                in_window: true,
                labels_intact: false,
                baseline: &baseline,
                window_versions: &window_versions,
                removed: &removed,
            },
        )
    }

    #[test]
    fn versions_tell_when_labels_are_forgotten() {
        assert_eq!(verdict(&[(1, 5)], &[(1, 5)], &[]), Verdict::AlreadyApplied);
        assert_eq!(verdict(&[(1, 5)], &[(1, 7)], &[]), Verdict::AlreadyApplied);
        assert_eq!(verdict(&[(1, 5)], &[(1, 4)], &[]), Verdict::Apply);
        assert_eq!(verdict(&[(1, 5)], &[(1, 3)], &[(1, 4)]), Verdict::Apply);
        assert_eq!(
            verdict(&[(1, 5), (2, 9)], &[(1, 5), (2, 9)], &[]),
            Verdict::AlreadyApplied
        );
    }

    #[test]
    fn a_partition_whose_data_is_removed_later_tells_only_that_it_has_the_event() {
        let both = &[(1, 5), (2, 9)];
        let verdict =
            |dest: &[(i64, i64)], removed: &[i64]| verdict_without(both, dest, &[], removed);
        assert_eq!(verdict(&[(1, 4), (2, 3)], &[2]), Verdict::Apply);
        assert_eq!(verdict(&[(1, 5), (2, 3)], &[2]), Verdict::AlreadyApplied);
        assert_eq!(verdict(&[(1, 5), (2, 9)], &[2]), Verdict::AlreadyApplied);
        assert_eq!(verdict(&[(1, 3), (2, 3)], &[1, 2]), Verdict::Apply);
        assert_eq!(verdict(&[(1, 3), (2, 9)], &[1]), Verdict::AlreadyApplied);
        assert!(matches!(
            verdict(&[(1, 3), (2, 8)], &[2]),
            Verdict::NoWitness { .. }
        ));
    }

    #[test]
    fn nothing_is_guessed() {
        for (versions, dest) in [
            (&[(1, 5)][..], &[(1, 3)][..]),
            (&[(1, 5)][..], &[][..]),
            (&[(1, 5), (2, 9)][..], &[(1, 5), (2, 8)][..]),
        ] {
            assert!(
                matches!(verdict(versions, dest, &[]), Verdict::NoWitness { .. }),
                "{versions:?} {dest:?}"
            );
        }
    }

    #[test]
    fn outside_the_window_and_with_intact_labels_a_free_label_means_not_applied() {
        let empty = BTreeMap::new();
        let none = BTreeMap::new();
        for (in_window, labels_intact) in [(false, false), (true, true)] {
            let evidence = Evidence {
                in_window,
                labels_intact,
                baseline: &empty,
                window_versions: &none,
                removed: &BTreeSet::new(),
            };
            assert_eq!(judge(&plan(&[(1, 5)]), &evidence), Verdict::Apply);
        }
    }
}
