//! Made-up envelopes: one of every kind, and what else a field can contain. For tests, golden bytes and benchmarks.

use crate::envelope::{Envelope, Replay, SCHEMA_VERSION};
use crate::event::{
    AlterJobChanged, BackendAddress, BucketCountModified, ColumnsChanged, CommentModified,
    Distribution, Event, Gap, Heartbeat, IndexJobChanged, IndexRowsets, IndexesChanged,
    PartitionAdded, PartitionDropped, PartitionRef, PartitionRowsets, PartitionsModified,
    PartitionsReplaced, Presence, PropertiesChanged, Property, Recovered, Renamed, RollupDropped,
    RowsetsCommitted, ShadowIndex, SnapshotTable, SnapshotTaken, StreamHead, TableCreated,
    TableDropped, TableFact, TableRef, TableReplaced, TableRowsets, TableTruncated, TabletReplicas,
    TimelineChanged, TruncateScope, Unsupported, ViewRedefined,
};
use crate::id::{
    BackendId, CommitSeq, DbId, IndexId, PartitionId, TableId, TabletId, Timeline, TimestampMs,
    TxnId,
};

/// An envelope with a name: the event kind, with a suffix where a kind has more than one sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Unique, usable as a file name.
    pub name: String,
    /// The envelope.
    pub envelope: Envelope,
}

/// At least one sample of every kind, in the order of [`Event`]. The same on every call.
pub fn samples() -> Vec<Sample> {
    let mut all = Vec::new();
    for (i, (suffix, replay, event)) in events().into_iter().enumerate() {
        let seq = 1_000 + 7 * i64::try_from(i).unwrap_or(0);
        let chained = event.is_chained();
        let upsert = matches!(event, Event::RowsetsCommitted(_));
        let kind = event.kind().as_str();
        all.push(Sample {
            name: if suffix.is_empty() {
                kind.to_owned()
            } else {
                format!("{kind}.{suffix}")
            },
            envelope: Envelope {
                schema_version: SCHEMA_VERSION,
                source: "c1187345".to_owned(),
                db_id: DbId(10_001),
                db_name: "sales".to_owned(),
                timeline: Timeline(i64::from(i % 2 == 1)),
                commit_seq: CommitSeq(seq),
                prev_commit_seq: CommitSeq(if chained { seq - 7 } else { seq }),
                source_at: TimestampMs(if chained { 1_767_225_600_123 } else { 0 }),
                seen_at: TimestampMs(1_767_225_600_456),
                binlog_type: if chained { 3 } else { -1 },
                replay,
                event,
                raw: (chained && !upsert).then(|| r#"{"dbId":10001,"名":"é"}"#.to_owned()),
            },
        });
    }
    all
}

/// A transaction into one partition of one table with one index of `tablets` tablets on three replicas each.
pub fn upsert(commit_seq: CommitSeq, prev_commit_seq: CommitSeq, tablets: u32) -> Envelope {
    let tablets = (0..i64::from(tablets))
        .map(|i| TabletReplicas {
            tablet_id: TabletId(20_000 + i),
            backends: vec![BackendId(10_004), BackendId(10_005), BackendId(10_006)],
        })
        .collect();
    Envelope {
        schema_version: SCHEMA_VERSION,
        source: "c1187345".to_owned(),
        db_id: DbId(10_001),
        db_name: "sales".to_owned(),
        timeline: Timeline::FIRST,
        commit_seq,
        prev_commit_seq,
        source_at: TimestampMs(1_767_225_600_123),
        seen_at: TimestampMs(1_767_225_600_456),
        binlog_type: 0,
        replay: Replay::Transaction,
        event: Event::RowsetsCommitted(RowsetsCommitted {
            txn_id: TxnId(commit_seq.0),
            label: format!("label_{commit_seq}"),
            sub_txns: Vec::new(),
            backends: backends(),
            tables: vec![TableRowsets {
                table: table(),
                partitions: vec![partition(Presence::Present, tablets)],
            }],
        }),
        raw: None,
    }
}

fn table() -> TableRef {
    TableRef {
        id: TableId(10_100),
        name: "orders".to_owned(),
    }
}

fn view() -> TableRef {
    TableRef {
        id: TableId(10_200),
        name: "订单_v".to_owned(),
    }
}

fn backends() -> Vec<BackendAddress> {
    (0..3)
        .map(|i| BackendAddress {
            id: BackendId(10_004 + i),
            host: format!("be-{i}.source.example"),
            http_port: 8_040,
        })
        .collect()
}

fn partition(presence: Presence, tablets: Vec<TabletReplicas>) -> PartitionRowsets {
    let indexes = match &presence {
        Presence::Present => vec![IndexRowsets {
            index_id: IndexId(10_101),
            name: "orders".to_owned(),
            is_base: true,
            tablets,
        }],
        Presence::DroppedAt(_) | Presence::Unknown => Vec::new(),
    };
    PartitionRowsets {
        partition_id: PartitionId(10_110),
        name: "p202601".to_owned(),
        range: "[types: [DATEV2]; keys: [2026-01-01]; ..types: [DATEV2]; keys: [2026-02-01]; )"
            .to_owned(),
        version: 42,
        is_temp: false,
        sub_txn: TxnId(-1),
        presence,
        indexes,
    }
}

fn part_ref() -> PartitionRef {
    PartitionRef {
        id: PartitionId(10_110),
        name: "p202601".to_owned(),
    }
}

fn property(key: &str, value: &str) -> Property {
    Property {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

fn distribution(hash: bool) -> Distribution {
    Distribution {
        hash,
        columns: if hash {
            vec!["o_orderkey".to_owned()]
        } else {
            Vec::new()
        },
        buckets: 10,
        auto: !hash,
    }
}

fn renamed(old: &str, new: &str) -> Renamed {
    Renamed {
        table: table(),
        old: old.to_owned(),
        new: new.to_owned(),
    }
}

fn text(words: &str) -> String {
    words.to_owned()
}

fn with_sub_txns() -> RowsetsCommitted {
    let mut first = partition(Presence::DroppedAt(CommitSeq(1_500)), Vec::new());
    first.sub_txn = TxnId(9_002);
    let mut second = partition(
        Presence::Present,
        vec![TabletReplicas {
            tablet_id: TabletId(i64::MAX),
            backends: Vec::new(),
        }],
    );
    second.sub_txn = TxnId(9_003);
    second.is_temp = true;
    let third = partition(Presence::Unknown, Vec::new());
    RowsetsCommitted {
        txn_id: TxnId(9_001),
        label: text("insert_into_\u{1F980}"),
        sub_txns: vec![TxnId(9_002), TxnId(9_003)],
        backends: Vec::new(),
        tables: vec![TableRowsets {
            table: table(),
            partitions: vec![first, second, third],
        }],
    }
}

fn plain_upsert() -> RowsetsCommitted {
    let tablets = (0..2)
        .map(|i| TabletReplicas {
            tablet_id: TabletId(20_000 + i),
            backends: vec![BackendId(10_004), BackendId(10_005)],
        })
        .collect();
    RowsetsCommitted {
        txn_id: TxnId(9_000),
        label: text("load_1"),
        sub_txns: Vec::new(),
        backends: backends(),
        tables: vec![TableRowsets {
            table: table(),
            partitions: vec![partition(Presence::Present, tablets)],
        }],
    }
}

fn events() -> Vec<(&'static str, Replay, Event)> {
    let mut all = data_events();
    all.extend(table_events());
    all.extend(partition_and_index_events());
    all.extend(own_events());
    all.sort_by_key(|(_, _, event)| event.kind());
    all
}

fn data_events() -> Vec<(&'static str, Replay, Event)> {
    vec![
        (
            "",
            Replay::Transaction,
            Event::RowsetsCommitted(plain_upsert()),
        ),
        (
            "sub_txns",
            Replay::Skip {
                reason: text("every partition is gone"),
            },
            Event::RowsetsCommitted(with_sub_txns()),
        ),
    ]
}

fn table_events() -> Vec<(&'static str, Replay, Event)> {
    let snapshot = || Replay::Snapshot {
        reason: text("a heavy schema change rewrites all rows"),
    };
    let job = |state: &str, rollup: Option<ShadowIndex>| AlterJobChanged {
        table: table(),
        job_type: text(if rollup.is_some() {
            "ROLLUP"
        } else {
            "SCHEMA_CHANGE"
        }),
        job_id: 30_001,
        state: text(state),
        sql: text("ALTER TABLE `sales`.`orders` MODIFY COLUMN `o_comment` TEXT"),
        shadow_indexes: vec![ShadowIndex {
            shadow: IndexId(10_301),
            origin: IndexId(10_101),
        }],
        rollup_name: text(if rollup.is_some() { "by_date" } else { "" }),
        rollup,
    };
    let changed = || PropertiesChanged {
        table: table(),
        properties: vec![property("binlog.ttl_seconds", "86400")],
    };
    vec![
        (
            "",
            Replay::Sql,
            Event::TableCreated(TableCreated {
                table: table(),
                table_type: text("OLAP"),
                sql: text("CREATE TABLE `orders` (`o_orderkey` bigint NOT NULL) ENGINE=OLAP"),
                properties: vec![property("binlog.enable", "true"), property("light", "")],
            }),
        ),
        (
            "",
            Replay::Sql,
            Event::TableDropped(TableDropped {
                table: view(),
                is_view: true,
                force: false,
            }),
        ),
        (
            "",
            snapshot(),
            Event::AlterJobChanged(job("FINISHED", None)),
        ),
        (
            "rollup",
            snapshot(),
            Event::AlterJobChanged(job(
                "PENDING",
                Some(ShadowIndex {
                    shadow: IndexId(10_302),
                    origin: IndexId(10_101),
                }),
            )),
        ),
        (
            "",
            Replay::Sql,
            Event::ColumnsChanged(ColumnsChanged {
                table: table(),
                sql: text("ALTER TABLE `sales`.`orders` ADD COLUMN `c` int NULL"),
                columns: vec![text("o_orderkey"), text("c")],
            }),
        ),
        (
            "",
            Replay::Sql,
            Event::DatabasePropertiesChanged(PropertiesChanged {
                table: TableRef {
                    id: TableId(-1),
                    name: String::new(),
                },
                properties: Vec::new(),
            }),
        ),
        ("", Replay::Sql, Event::TablePropertiesChanged(changed())),
        (
            "",
            Replay::Skip {
                reason: text("a backup passed here"),
            },
            Event::Barrier(TableFact { table: table() }),
        ),
        (
            "",
            Replay::Sql,
            Event::TableTruncated(TableTruncated {
                table: table(),
                scope: TruncateScope::TruncatedPartitions(vec![part_ref()]),
                force: true,
            }),
        ),
        (
            "",
            Replay::Sql,
            Event::TableRenamed(renamed("orders", "o2")),
        ),
        ("", Replay::Sql, Event::ColumnRenamed(renamed("a", "b"))),
        (
            "",
            Replay::Sql,
            Event::CommentModified(CommentModified {
                table: table(),
                table_comment: Some(text("it's \"new\"")),
                columns: vec![property("o_orderkey", "key")],
            }),
        ),
        (
            "",
            Replay::Sql,
            Event::ViewRedefined(ViewRedefined {
                view: view(),
                definition: text("SELECT `o_orderkey` FROM `sales`.`orders`"),
                comment: None,
                columns: vec![property("o_orderkey", "key")],
            }),
        ),
        (
            "",
            Replay::Sql,
            Event::TableReplaced(TableReplaced {
                original: table(),
                replacement: view(),
                swap: true,
            }),
        ),
        (
            "",
            Replay::Sql,
            Event::Recovered(Recovered {
                table: table(),
                partition: Some(part_ref()),
            }),
        ),
        (
            "table",
            snapshot(),
            Event::Recovered(Recovered {
                table: table(),
                partition: None,
            }),
        ),
        (
            "",
            Replay::Sql,
            Event::BucketCountModified(BucketCountModified {
                table: table(),
                distribution: distribution(true),
            }),
        ),
        (
            "",
            Replay::Sql,
            Event::DistributionTypeModified(TableFact { table: table() }),
        ),
    ]
}

fn partition_and_index_events() -> Vec<(&'static str, Replay, Event)> {
    vec![
        (
            "",
            Replay::Sql,
            Event::PartitionAdded(PartitionAdded {
                table: table(),
                partition_id: PartitionId(10_111),
                name: text("p202602"),
                range: String::new(),
                is_temp: false,
                sql: text("ADD PARTITION `p202602` VALUES [(\"2026-02-01\"), (\"2026-03-01\"))"),
                distribution: distribution(false),
            }),
        ),
        (
            "",
            Replay::Sql,
            Event::PartitionDropped(PartitionDropped {
                table: table(),
                partition_id: PartitionId(-1),
                name: text("p202601"),
                is_temp: true,
                force: false,
            }),
        ),
        (
            "",
            Replay::Skip {
                reason: text("storage policy of the source alone"),
            },
            Event::PartitionsModified(PartitionsModified {
                table: table(),
                partitions: vec![part_ref()],
            }),
        ),
        (
            "",
            Replay::Snapshot {
                reason: text("the new partitions hold rows that no transaction brings"),
            },
            Event::PartitionsReplaced(PartitionsReplaced {
                table: table(),
                partitions: vec![text("p202601")],
                temp_partitions: vec![text("iot_temp_1")],
                strict_range: true,
                use_temp_name: false,
            }),
        ),
        (
            "",
            Replay::Sql,
            Event::IndexesChanged(IndexesChanged {
                table: table(),
                dropped: false,
                names: vec![text("idx_comment")],
                sql: text(
                    "ALTER TABLE `orders` ADD INDEX idx_comment (`o_comment`) USING INVERTED",
                ),
            }),
        ),
        (
            "",
            Replay::Sql,
            Event::IndexJobChanged(IndexJobChanged {
                table: table(),
                partition: part_ref(),
                state: text("FINISHED"),
                is_drop: false,
                names: vec![text("idx_comment")],
            }),
        ),
        ("", Replay::Sql, Event::RollupRenamed(renamed("r1", "r2"))),
        (
            "",
            Replay::Sql,
            Event::PartitionRenamed(renamed("p1", "p2")),
        ),
        (
            "",
            Replay::Sql,
            Event::RollupDropped(RollupDropped {
                table: table(),
                index_id: IndexId(10_302),
                name: text("by_date"),
            }),
        ),
    ]
}

fn own_events() -> Vec<(&'static str, Replay, Event)> {
    vec![
        (
            "",
            Replay::Control,
            Event::StreamHead(StreamHead {
                forgotten: CommitSeq::BEFORE_FIRST,
            }),
        ),
        (
            "",
            Replay::Halt {
                reason: text("binlog type 99 is unknown; upgrade the producer"),
            },
            Event::Unsupported(Unsupported {
                tables: vec![table()],
                binlog_type: 99,
                reason: text("unknown type"),
            }),
        ),
        (
            "",
            Replay::Control,
            Event::Gap(Gap {
                after: CommitSeq(900),
                up_to: CommitSeq(1_203),
            }),
        ),
        (
            "",
            Replay::Control,
            Event::SnapshotTaken(SnapshotTaken {
                label: text("ccrs_sales_1"),
                tables: vec![SnapshotTable {
                    table: table(),
                    commit_seq: CommitSeq(1_190),
                    partitions: vec![text("p202601"), text("p202602")],
                }],
                views: vec![view()],
                whole_database: true,
                commit_seq: CommitSeq(1_195),
                resume_offset: 77,
                chunks_offset: 3,
                chunk_count: 2,
                sha256: "ab".repeat(32),
                compressed: true,
                expires_at: TimestampMs(1_767_312_000_000),
                backends: backends(),
                sealed_token: text("c2VhbGVk"),
                request_ids: vec![text("job-1/1"), text("job-2/1")],
            }),
        ),
        (
            "",
            Replay::Control,
            Event::Heartbeat(Heartbeat {
                at: TimestampMs(1_767_225_601_000),
                source_end: CommitSeq(i64::MAX),
            }),
        ),
        (
            "",
            Replay::Control,
            Event::TimelineChanged(TimelineChanged {
                previous: Timeline(0),
                published: CommitSeq(1_700),
                reason: text("the source's newest position is 1210"),
            }),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::event::EventKind;

    #[test]
    fn every_kind_and_every_way_of_replay_has_a_sample_and_names_are_unique() {
        let all = samples();
        let kinds: BTreeSet<_> = all.iter().map(|s| s.envelope.event.kind()).collect();
        assert_eq!(kinds, BTreeSet::from(EventKind::ALL));
        let names: BTreeSet<_> = all.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names.len(), all.len());
        for replay in ["Transaction", "Sql", "Snapshot", "Skip", "Halt", "Control"] {
            assert!(
                all.iter()
                    .any(|s| format!("{:?}", s.envelope.replay).starts_with(replay)),
                "{replay}"
            );
        }
    }

    #[test]
    fn an_upsert_has_the_tablets_asked_for() {
        let envelope = upsert(CommitSeq(9), CommitSeq(7), 10);
        let Event::RowsetsCommitted(rowsets) = &envelope.event else {
            panic!("not an upsert");
        };
        assert_eq!(rowsets.tables[0].partitions[0].indexes[0].tablets.len(), 10);
    }
}
