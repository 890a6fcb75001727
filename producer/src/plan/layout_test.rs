use ccr_doris::ReplicaMeta;
use ccr_schemas::{TabletId, TxnId};

use super::*;

fn replica(backend: i64, version: i64) -> ReplicaMeta {
    ReplicaMeta {
        id: backend * 1000,
        backend: BackendId(backend),
        version,
    }
}

fn index(id: i64, name: &str, replicas: &[(i64, i64)]) -> IndexMeta {
    IndexMeta {
        id: IndexId(id),
        name: name.to_owned(),
        tablets: vec![TabletMeta {
            id: TabletId(id * 10),
            replicas: replicas.iter().map(|(b, v)| replica(*b, *v)).collect(),
        }],
    }
}

fn backend(id: i64, alive: bool) -> BackendMeta {
    BackendMeta {
        id: BackendId(id),
        host: format!("be{id}"),
        be_port: 9060,
        http_port: 8040,
        alive,
    }
}

/// Table 1 `t` with partition 11, visible version 5; backends 1 and 2 alive, 3 dead, 9 not in the list.
fn layouts(indexes: Vec<IndexMeta>) -> Layouts {
    let mut layouts = Layouts::default();
    layouts.learn_backends(vec![backend(1, true), backend(2, true), backend(3, false)]);
    layouts.learn(
        &BTreeSet::new(),
        DatabaseMeta {
            tables: vec![TableMeta {
                id: TableId(1),
                name: "t".to_owned(),
                kind: "OLAP".to_owned(),
                partitions: vec![PartitionMeta {
                    id: PartitionId(11),
                    name: "p".to_owned(),
                    range: "r".to_owned(),
                    visible_version: 5,
                    indexes,
                }],
            }],
            dropped_partitions: BTreeMap::from([(PartitionId(12), CommitSeq(70))]),
            dropped_tables: BTreeMap::from([(TableId(2), CommitSeq(80))]),
            dropped_indexes: BTreeMap::from([(IndexId(19), CommitSeq(90))]),
            ..DatabaseMeta::default()
        },
    );
    layouts
}

fn upsert(table: i64, partition: i64, version: i64, indexes: &[i64]) -> Upsert {
    Upsert {
        txn_id: TxnId(7),
        label: "l".to_owned(),
        table_records: BTreeMap::from([(
            TableId(table),
            UpsertTable {
                partition_records: vec![UpsertPartition {
                    partition_id: PartitionId(partition),
                    range: "r".to_owned(),
                    version,
                    is_temp_partition: false,
                    stid: TxnId(-1),
                }],
                index_ids: indexes.iter().map(|id| IndexId(*id)).collect(),
            },
        )]),
        stids: Vec::new(),
    }
}

/// `base 21@[1,2] 22@[1]` or the presence.
fn placed(layouts: &Layouts, upsert: &Upsert) -> String {
    let event = layouts.place(upsert, &Catalog::default());
    let partition = &event.tables[0].partitions[0];
    if partition.presence != Presence::Present {
        assert!(partition.indexes.is_empty());
        return format!("{:?}", partition.presence);
    }
    partition
        .indexes
        .iter()
        .map(|index| {
            let backends: Vec<String> = index.tablets[0]
                .backends
                .iter()
                .map(ToString::to_string)
                .collect();
            let base = if index.is_base { "base " } else { "" };
            format!("{base}{}@[{}]", index.index_id, backends.join(","))
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn the_decision_table() {
    let all = [(1, 5), (2, 5)];
    let plain = || vec![index(21, "t", &all)];
    let rollup = || vec![index(20, "r", &all), index(21, "t", &all)];
    let shadow = || vec![index(21, "t", &all), index(23, "__doris_shadow_t", &all)];
    let cases = [
        ("known", plain(), upsert(1, 11, 5, &[21]), "base 21@[1,2]"),
        (
            "no index listed",
            rollup(),
            upsert(1, 11, 5, &[]),
            "base 21@[1,2] 20@[1,2]",
        ),
        (
            "only the base written",
            rollup(),
            upsert(1, 11, 5, &[21]),
            "base 21@[1,2]",
        ),
        (
            "shadow left out",
            shadow(),
            upsert(1, 11, 5, &[21, 23]),
            "base 21@[1,2]",
        ),
        (
            "shadow left out, none listed",
            shadow(),
            upsert(1, 11, 5, &[]),
            "base 21@[1,2]",
        ),
        (
            "dropped partition",
            plain(),
            upsert(1, 12, 5, &[21]),
            "DroppedAt(CommitSeq(70))",
        ),
        (
            "dropped table",
            plain(),
            upsert(2, 13, 5, &[21]),
            "DroppedAt(CommitSeq(80))",
        ),
        (
            "unknown partition",
            plain(),
            upsert(1, 14, 5, &[21]),
            "Unknown",
        ),
        (
            "dropped base",
            plain(),
            upsert(1, 11, 5, &[19]),
            "DroppedAt(CommitSeq(90))",
        ),
        ("unknown base", plain(), upsert(1, 11, 5, &[18]), "Unknown"),
        (
            "dropped rollup",
            plain(),
            upsert(1, 11, 5, &[21, 19]),
            "base 21@[1,2]",
        ),
        (
            "renamed table: listed first",
            vec![index(20, "x", &all), index(21, "old", &all)],
            upsert(1, 11, 5, &[21, 20]),
            "base 21@[1,2] 20@[1,2]",
        ),
        (
            "renamed table, none listed: oldest",
            vec![index(21, "x", &all), index(20, "old", &all)],
            upsert(1, 11, 5, &[]),
            "base 20@[1,2] 21@[1,2]",
        ),
        (
            "lagging replica",
            vec![index(21, "t", &[(1, 4), (2, 5)])],
            upsert(1, 11, 5, &[]),
            "base 21@[2]",
        ),
        (
            "newer than the layout: complete ones first",
            vec![index(21, "t", &[(1, 4), (2, 5)])],
            upsert(1, 11, 6, &[]),
            "base 21@[2,1]",
        ),
        (
            "none had it",
            vec![index(21, "t", &[(1, 3), (2, 3)])],
            upsert(1, 11, 5, &[]),
            "base 21@[1,2]",
        ),
        (
            "dead backend",
            vec![index(21, "t", &[(1, 5), (3, 5)])],
            upsert(1, 11, 5, &[]),
            "base 21@[1]",
        ),
        (
            "only dead backends",
            vec![index(21, "t", &[(3, 5)])],
            upsert(1, 11, 5, &[]),
            "base 21@[3]",
        ),
        (
            "backend without address",
            vec![index(21, "t", &[(1, 5), (9, 5)])],
            upsert(1, 11, 5, &[]),
            "base 21@[1]",
        ),
    ];
    for (name, indexes, upsert, expected) in cases {
        assert_eq!(placed(&layouts(indexes), &upsert), expected, "{name}");
    }
}

#[test]
fn only_what_is_not_known_is_asked_for() {
    let known = layouts(vec![index(21, "t", &[(1, 5)])]);
    let catalog = Catalog::default();
    assert!(
        known
            .missing(&upsert(1, 11, 99, &[21]), &catalog)
            .is_empty()
    );
    assert!(known.missing(&upsert(1, 11, 99, &[]), &catalog).is_empty());
    for odd in [
        upsert(1, 14, 5, &[21]),
        upsert(1, 11, 5, &[22]),
        upsert(3, 11, 5, &[]),
    ] {
        assert_eq!(known.missing(&odd, &catalog).len(), 1, "{odd:?}");
    }
    let mut temporary = upsert(3, 11, 5, &[]);
    for table in temporary.table_records.values_mut() {
        table.partition_records[0].is_temp_partition = true;
    }
    assert!(known.missing(&temporary, &catalog).is_empty());
}

#[test]
fn a_forgotten_table_and_an_unknown_backend_are_asked_for() {
    let mut known = layouts(vec![index(21, "t", &[(1, 5), (9, 5)])]);
    assert!(known.backends_missing(&upsert(1, 11, 5, &[])));
    known.forget(TableId(1));
    assert_eq!(
        known.missing(&upsert(1, 11, 5, &[]), &Catalog::default()),
        BTreeSet::from([TableId(1)])
    );
}

#[test]
fn only_used_backends_are_listed() {
    let event =
        layouts(vec![index(21, "t", &[(2, 5)])]).place(&upsert(1, 11, 5, &[]), &Catalog::default());
    let hosts: Vec<&str> = event.backends.iter().map(|b| b.host.as_str()).collect();
    assert_eq!(hosts, ["be2"]);
}

#[test]
fn an_index_that_took_over_later_is_not_mistaken_for_the_one_that_was_written() {
    use ccr_schemas::Event;
    use ccr_schemas::event::{AlterJobChanged, ShadowIndex, TableRef};

    let now = layouts(vec![index(21, "t", &[(1, 5)])]);
    let mut catalog = Catalog::default();
    let mut job = AlterJobChanged {
        table: TableRef {
            id: TableId(1),
            name: "t".to_owned(),
        },
        job_type: "SCHEMA_CHANGE".to_owned(),
        job_id: 5,
        state: "WAITING_TXN".to_owned(),
        sql: String::new(),
        shadow_indexes: vec![ShadowIndex {
            shadow: IndexId(21),
            origin: IndexId(19),
        }],
        rollup: None,
        rollup_name: String::new(),
    };
    let record = upsert(1, 11, 5, &[19, 21]);
    assert!(catalog.fold(&Event::AlterJobChanged(job.clone())));
    let presence = |catalog: &Catalog| {
        now.place(&record, catalog).tables[0].partitions[0]
            .presence
            .clone()
    };
    assert_eq!(presence(&catalog), Presence::DroppedAt(CommitSeq(90)));
    job.state = "FINISHED".to_owned();
    assert!(catalog.fold(&Event::AlterJobChanged(job)));
    assert_eq!(presence(&catalog), Presence::Present);
}
