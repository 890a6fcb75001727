use super::*;
use ccr_doris::{PartitionMeta, ReplicaMeta, TabletMeta};
use ccr_schemas::IndexId;
use ccr_schemas::event::{TableRef, TabletReplicas};

fn layout(name: &str, partitions: &[(i64, &str, &str, usize)]) -> Arc<Layout> {
    Arc::new(Layout {
        table: TableMeta {
            id: TableId(900),
            name: name.to_owned(),
            kind: "OLAP".to_owned(),
            partitions: partitions
                .iter()
                .map(|(id, name_p, range, buckets)| PartitionMeta {
                    id: PartitionId(*id),
                    name: (*name_p).to_owned(),
                    range: (*range).to_owned(),
                    visible_version: 1,
                    indexes: vec![IndexMeta {
                        id: IndexId(id + 1),
                        name: name.to_owned(),
                        tablets: (0..*buckets)
                            .map(|n| TabletMeta {
                                id: TabletId(id * 100 + n as i64),
                                replicas: vec![ReplicaMeta {
                                    id: 1,
                                    backend: BackendId(5),
                                    version: 1,
                                }],
                            })
                            .collect(),
                    }],
                })
                .collect(),
        },
    })
}

fn event(name: &str, range: &str, presence: Presence) -> RowsetsCommitted {
    RowsetsCommitted {
        txn_id: TxnId(1),
        label: "l".to_owned(),
        sub_txns: vec![],
        backends: vec![],
        tables: vec![TableRowsets {
            table: TableRef {
                id: TableId(7),
                name: "src".to_owned(),
            },
            partitions: vec![PartitionRowsets {
                partition_id: PartitionId(71),
                name: name.to_owned(),
                range: range.to_owned(),
                version: 3,
                is_temp: false,
                sub_txn: TxnId(-1),
                presence,
                indexes: vec![IndexRowsets {
                    index_id: IndexId(72),
                    name: "src".to_owned(),
                    is_base: true,
                    tablets: vec![
                        TabletReplicas {
                            tablet_id: TabletId(10),
                            backends: vec![BackendId(1)],
                        },
                        TabletReplicas {
                            tablet_id: TabletId(11),
                            backends: vec![BackendId(1)],
                        },
                    ],
                }],
            }],
        }],
    }
}

fn run(event: &RowsetsCommitted, layout: Arc<Layout>) -> Result<Mapped, Unmapped> {
    run_before(event, layout, &[], false)
}

fn run_before(
    event: &RowsetsCommitted,
    layout: Arc<Layout>,
    changes: &[RollupChange],
    without_dropped: bool,
) -> Result<Mapped, Unmapped> {
    let later = Later {
        changes: BTreeMap::from([(TableId(7), changes.to_vec())]),
        without_dropped,
    };
    map(
        event,
        &BTreeSet::from([TableId(7)]),
        &BTreeSet::new(),
        &BTreeMap::from([(TableId(7), layout)]),
        &later,
    )
}

fn what(result: Result<Mapped, Unmapped>) -> String {
    match result {
        Err(Unmapped::Miss(miss)) => miss.what,
        other => panic!("no miss: {other:?}"),
    }
}

#[test]
fn partitions_are_matched_by_range_and_tablets_by_position() {
    let dest = layout("dst", &[(30, "other", "r1", 2), (31, "p", "r2", 2)]);
    let mapped = run(&event("p", "r1", Presence::Present), dest).unwrap();
    assert_eq!(mapped.plan.tables, [Dest(TableId(900))]);
    let part = &mapped.plan.parts[0];
    assert_eq!(part.partition, Dest(PartitionId(30)));
    let pairs: Vec<_> = part
        .tablets
        .iter()
        .map(|t| (t.source.0, t.dest.0.0))
        .collect();
    assert_eq!(pairs, [(10, 3000), (11, 3001)]);
}

#[test]
fn an_unpartitioned_table_matches_whatever_its_partition_is_called() {
    let mapped = run(
        &event("src", "", Presence::Present),
        layout("dst", &[(30, "dst", "", 2)]),
    );
    assert_eq!(
        mapped.unwrap().plan.parts[0].partition,
        Dest(PartitionId(30))
    );
}

#[test]
fn what_has_no_counterpart_is_named() {
    let missing = what(run(
        &event("p", "r9", Presence::Present),
        layout("dst", &[(30, "p", "r1", 2)]),
    ));
    assert_eq!(
        missing,
        "table `src`: no partition `p` with range \"r9\" at the destination"
    );
    let buckets = what(run(
        &event("p", "r1", Presence::Present),
        layout("dst", &[(30, "p", "r1", 3)]),
    ));
    assert!(buckets.contains("2 buckets at the source, 3 at the destination"));
}

/// With rollups under these names: ids are 80, 81, ... at the source.
fn with_rollups(names: &[&str]) -> RowsetsCommitted {
    let mut event = event("p", "r1", Presence::Present);
    let indexes = &mut event.tables[0].partitions[0].indexes;
    for (id, name) in (80..).zip(names) {
        indexes.push(IndexRowsets {
            index_id: IndexId(id),
            name: (*name).to_owned(),
            is_base: false,
            tablets: indexes[0].tablets.clone(),
        });
    }
    event
}

fn rolled_up(names: &[&str]) -> Arc<Layout> {
    let mut layout = Arc::unwrap_or_clone(layout("dst", &[(30, "p", "r1", 2)]));
    let indexes = &mut layout.table.partitions[0].indexes;
    for (id, name) in (500..).zip(names) {
        indexes.push(IndexMeta {
            id: IndexId(id),
            name: (*name).to_owned(),
            tablets: indexes[0].tablets.clone(),
        });
    }
    Arc::new(layout)
}

#[test]
fn rollups_are_matched_by_names_that_they_get_later_and_go_first_when_they_are_dropped_later() {
    let dropped = |id: i64, name: &str| RollupChange::Dropped {
        id: IndexId(id),
        name: name.to_owned(),
    };
    let renamed = |old: &str, new: &str| RollupChange::Renamed {
        old: old.to_owned(),
        new: new.to_owned(),
    };
    // Rollups of the source and the destination, what happens later, whether the data is gone; tablets, or what is wrong.
    type Case<'a> = (
        &'a [&'a str],
        &'a [&'a str],
        Vec<RollupChange>,
        bool,
        &'a str,
    );
    let cases: [Case<'_>; 8] = [
        (&["r"], &["r"], vec![], false, "4 tablets"),
        (&["s"], &["r"], vec![renamed("r", "s")], false, "4 tablets"),
        // The data of a rollup that goes later may still be had.
        (&["r"], &["r"], vec![dropped(80, "r")], false, "4 tablets"),
        (
            &["r"],
            &["r"],
            vec![dropped(80, "r")],
            true,
            "drop r of dst",
        ),
        (&["r"], &[], vec![dropped(80, "r")], true, "2 tablets"),
        (
            &[],
            &["r"],
            vec![renamed("r", "s"), dropped(80, "s")],
            false,
            "drop r of dst",
        ),
        (&["r"], &[], vec![dropped(99, "x")], false, "no index `r`"),
        (
            &[],
            &["r"],
            vec![dropped(99, "x")],
            false,
            "has a rollup `r`",
        ),
    ];
    for (source, dest, changes, without_dropped, expected) in cases {
        let result = run_before(
            &with_rollups(source),
            rolled_up(dest),
            &changes,
            without_dropped,
        );
        let text = match result {
            Ok(mapped) => format!("{} tablets", mapped.plan.parts[0].tablets.len()),
            Err(Unmapped::Obsolete { dest, rollup, .. }) => format!("drop {rollup} of {dest}"),
            Err(Unmapped::Miss(miss)) => miss.what,
        };
        assert!(
            text.contains(expected),
            "{source:?} {dest:?}: {text}, not {expected}"
        );
    }
}

#[test]
fn data_that_is_gone_is_left_out_with_a_reason() {
    let mapped = run(
        &event("p", "r1", Presence::DroppedAt(ccr_schemas::CommitSeq(9))),
        layout("dst", &[]),
    )
    .unwrap();
    assert!(mapped.plan.parts.is_empty());
    assert_eq!(mapped.left_out["partition dropped later"], 1);
}
