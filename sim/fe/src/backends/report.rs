//! What a tablet report leads to: the differences between what the frontend knows of a backend's tablets and what the backend has.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use dorisim_wire::TTabletInfo;

/// A replica as the catalogue has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownReplica {
    /// Database.
    pub db_id: i64,
    /// Table.
    pub table_id: i64,
    /// Partition.
    pub partition_id: i64,
    /// Replica.
    pub replica_id: i64,
    /// Version as the frontend knows it.
    pub version: i64,
    /// Visible version of the partition.
    pub visible_version: i64,
    /// Marked as bad.
    pub bad: bool,
}

/// What is to be done about one backend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// Tablets that the frontend does not know, with schema hash and replica: DROP.
    pub unknown: Vec<(i64, i32, i64)>,
    /// (tablet, version): the backend is ahead.
    pub raised: Vec<(i64, i64)>,
    /// (tablet, why): not to be read any more.
    pub bad: Vec<(i64, Fault)>,
    /// Tablets that are well again.
    pub healed: Vec<i64>,
    /// Tablets that lack versions, or are not there at all: CLONE, if another replica has all.
    pub behind_others: Vec<i64>,
    /// (tablet, replica, partition): UPDATE_TABLET_META_INFO.
    pub renamed: Vec<(i64, i64, i64)>,
    /// Partition to its visible version: UPDATE_VISIBLE_VERSION.
    pub behind: BTreeMap<i64, i64>,
    /// Expired local transactions, with the partitions of their tablets.
    pub transactions: BTreeMap<i64, BTreeSet<i64>>,
}

/// What is wrong with a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The backend does not have it.
    Missing,
    /// `used` is false.
    Unused,
    /// `version_miss` is true.
    VersionMiss,
}

/// A tablet report.
#[derive(Debug, Clone, Copy)]
pub struct Reported<'a> {
    /// Tablets by id.
    pub tablets: &'a BTreeMap<i64, TTabletInfo>,
    /// Partition to the visible version that the backend knows; `None`: not told.
    pub partitions: Option<&'a BTreeMap<i64, i64>>,
}

/// The differences. `spared` tablets are in no table (yet, or any more), but their time has not come.
#[must_use]
pub fn differences(
    known: &HashMap<i64, KnownReplica>,
    spared: impl Fn(i64) -> bool,
    reported: Reported<'_>,
) -> Differences {
    let mut out = Differences::default();
    for (tablet, info) in reported.tablets {
        for txn in info.transaction_ids.iter().flatten() {
            let partitions = out.transactions.entry(*txn).or_default();
            partitions.extend(info.partition_id);
        }
        let Some(replica) = known.get(tablet) else {
            if !spared(*tablet) {
                let replica = info.replica_id.unwrap_or(0);
                out.unknown.push((*tablet, info.schema_hash, replica));
            }
            continue;
        };
        let fault = if info.used == Some(false) {
            Some(Fault::Unused)
        } else if info.version_miss == Some(true) {
            Some(Fault::VersionMiss)
        } else {
            None
        };
        match fault {
            Some(fault) if !replica.bad => out.bad.push((*tablet, fault)),
            None if replica.bad => out.healed.push(*tablet),
            Some(_) | None => {}
        }
        let lacks = fault == Some(Fault::VersionMiss) || info.version < replica.visible_version;
        if lacks && !spared(*tablet) {
            out.behind_others.push(*tablet);
        }
        if fault.is_none() && info.version > replica.version {
            out.raised.push((*tablet, info.version));
        }
        let other_replica = info
            .replica_id
            .is_some_and(|id| id > 0 && id != replica.replica_id);
        let other_partition = info
            .partition_id
            .is_some_and(|id| id > 0 && id != replica.partition_id);
        if other_replica || other_partition {
            out.renamed
                .push((*tablet, replica.replica_id, replica.partition_id));
        }
        if let Some(partitions) = reported.partitions {
            let told = partitions.get(&replica.partition_id).copied().unwrap_or(0);
            if told < replica.visible_version && replica.visible_version > 1 {
                out.behind
                    .insert(replica.partition_id, replica.visible_version);
            }
        }
    }
    for (tablet, replica) in known {
        if !reported.tablets.contains_key(tablet) && !spared(*tablet) {
            out.behind_others.push(*tablet);
            if !replica.bad {
                out.bad.push((*tablet, Fault::Missing));
            }
        }
    }
    out.bad.sort_unstable_by_key(|(tablet, _)| *tablet);
    out.behind_others.sort_unstable();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLICA: KnownReplica = KnownReplica {
        db_id: 1,
        table_id: 2,
        partition_id: 3,
        replica_id: 40,
        version: 5,
        visible_version: 5,
        bad: false,
    };

    fn info(tablet_id: i64, version: i64) -> TTabletInfo {
        TTabletInfo {
            tablet_id,
            schema_hash: 7,
            version,
            version_hash: 0,
            row_count: 0,
            data_size: 0,
            storage_medium: None,
            transaction_ids: None,
            total_version_count: None,
            path_hash: None,
            version_miss: None,
            used: Some(true),
            partition_id: Some(3),
            is_in_memory: None,
            replica_id: Some(40),
            remote_data_size: None,
            visible_version_count: None,
            local_index_size: None,
            local_segment_size: None,
            remote_index_size: None,
            remote_segment_size: None,
        }
    }

    fn compare(known: &[(i64, KnownReplica)], reported: &[TTabletInfo]) -> Differences {
        let tablets = reported
            .iter()
            .map(|info| (info.tablet_id, info.clone()))
            .collect();
        let reported = Reported {
            tablets: &tablets,
            partitions: Some(&BTreeMap::from([(3, 5)])),
        };
        differences(&known.iter().copied().collect(), |id| id == 99, reported)
    }

    #[test]
    fn agreement_leads_to_nothing() {
        let nothing = compare(&[(10, REPLICA)], &[info(10, 5), info(99, 1)]);
        assert_eq!(nothing, Differences::default());
    }

    #[test]
    fn unknown_tablets_are_dropped_and_missing_ones_are_bad() {
        let found = compare(&[(10, REPLICA)], &[info(11, 5)]);
        assert_eq!(found.unknown, [(11, 7, 40)]);
        assert_eq!(found.bad, [(10, Fault::Missing)]);
        assert_eq!(found.behind_others, [10]);
    }

    #[test]
    fn a_backend_that_is_ahead_raises_the_version() {
        let found = compare(&[(10, REPLICA)], &[info(10, 6)]);
        assert_eq!(found.raised, [(10, 6)]);
    }

    #[test]
    fn faults_of_replicas_are_noted_once_and_heal() {
        let miss = TTabletInfo {
            version_miss: Some(true),
            ..info(10, 9)
        };
        let unused = TTabletInfo {
            used: Some(false),
            ..info(10, 5)
        };
        let bad = KnownReplica {
            bad: true,
            ..REPLICA
        };
        let found = compare(&[(10, REPLICA)], std::slice::from_ref(&miss));
        assert_eq!(
            (found.bad, found.raised),
            (vec![(10, Fault::VersionMiss)], vec![])
        );
        assert_eq!(
            compare(&[(10, REPLICA)], &[unused]).bad,
            [(10, Fault::Unused)]
        );
        let still = Differences {
            behind_others: vec![10],
            ..Differences::default()
        };
        assert_eq!(compare(&[(10, bad)], &[miss]), still);
        assert_eq!(compare(&[(10, bad)], &[info(10, 5)]).healed, [10]);
        assert_eq!(compare(&[(10, bad)], &[]), still);
        assert_eq!(compare(&[(10, REPLICA)], &[info(10, 4)]), still);
    }

    #[test]
    fn other_replica_ids_are_set_right() {
        let other = TTabletInfo {
            replica_id: Some(41),
            ..info(10, 5)
        };
        assert_eq!(compare(&[(10, REPLICA)], &[other]).renamed, [(10, 40, 3)]);
    }

    #[test]
    fn visible_versions_that_are_behind_are_told() {
        let ahead = KnownReplica {
            visible_version: 6,
            version: 6,
            ..REPLICA
        };
        let found = compare(&[(10, ahead)], &[info(10, 6)]);
        assert_eq!(found.behind, BTreeMap::from([(3, 6)]));
    }

    #[test]
    fn expired_transactions_are_listed_with_their_partitions() {
        let holds = TTabletInfo {
            transaction_ids: Some(vec![1, 2]),
            ..info(10, 5)
        };
        let found = compare(&[(10, REPLICA)], &[holds]);
        let partition = BTreeSet::from([3]);
        assert_eq!(
            found.transactions,
            BTreeMap::from([(1, partition.clone()), (2, partition)])
        );
    }
}
