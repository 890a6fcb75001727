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
    /// Visible versions of destination partitions, read before this process committed anything to the table.
    pub baseline: &'a BTreeMap<PartitionId, i64>,
    /// Versions of each source partition among the events of the window.
    pub window_versions: &'a BTreeMap<PartitionId, BTreeSet<i64>>,
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
/// that lacks only versions which are themselves events of the window has not.
pub fn judge(plan: &IngestPlan, evidence: &Evidence<'_>) -> Verdict {
    if !evidence.in_window || evidence.labels_intact {
        return Verdict::Apply;
    }
    let mut applied = 0_usize;
    for part in &plan.parts {
        let Some(dest) = evidence.baseline.get(&part.partition.0) else {
            return Verdict::NoWitness {
                why: format!(
                    "partition {} had no version before this run",
                    part.partition
                ),
            };
        };
        if *dest >= part.version {
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
    } else if applied == plan.parts.len() {
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
            };
            assert_eq!(judge(&plan(&[(1, 5)]), &evidence), Verdict::Apply);
        }
    }
}
