//! Round trips over the bytes of the wire.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dorisim_wire::{TAgentTaskRequest, TBackend, TFinishTaskRequest, TStatusCode, TTaskType};
use proptest::prelude::*;
use thrift::protocol::{TBinaryInputProtocol, TBinaryOutputProtocol, TSerializable};

use super::*;
use dorisim_model::backend::{
    BeError, DeleteCondition, DeleteOp, DeletePredicate, RemoteTabletSnapshot, TabletSpec,
};
use dorisim_model::column::{DELETE_SIGN, SEQUENCE_COL};
use dorisim_model::{
    Aggregation, Column, DataType, DefaultValue, IndexFormat, IndexKind, KeysModel, TableSchema,
    TabletIndex, TabletIndexes,
};
use dorisim_wire::plan::{TDescriptorTable, TPlanExpr};

/// Through the bytes that a socket would carry.
fn over_the_wire<T: TSerializable>(value: &T) -> T {
    let mut bytes = Vec::new();
    let mut output = TBinaryOutputProtocol::new(&mut bytes, true);
    value.write_to_out_protocol(&mut output).unwrap();
    T::read_from_in_protocol(&mut TBinaryInputProtocol::new(bytes.as_slice(), true)).unwrap()
}

fn sent(task: &AgentTask, signature: i64) -> AgentTask {
    let request: TAgentTaskRequest = over_the_wire(&task.to_wire(signature));
    assert_eq!(request.signature, signature);
    assert_eq!(request.task_type, task.task_type());
    AgentTask::from_wire(request).unwrap()
}

fn data_types() -> impl Strategy<Value = DataType> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            DataType::Boolean,
            DataType::TinyInt,
            DataType::SmallInt,
            DataType::Int,
            DataType::BigInt,
            DataType::LargeInt,
            DataType::Float,
            DataType::Double,
            DataType::Date,
            DataType::String,
            DataType::Json,
            DataType::Variant,
            DataType::Bitmap,
            DataType::Hll,
            DataType::QuantileState,
            DataType::Ipv4,
            DataType::Ipv6,
        ]),
        (1_u8..=76).prop_flat_map(|p| (Just(p), 0..=p).prop_map(|(p, s)| DataType::Decimal(p, s))),
        (0_u8..=6).prop_map(DataType::DateTime),
        (1_u32..=255).prop_map(DataType::Char),
        (1_u32..=65_533).prop_map(DataType::Varchar),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner
                .clone()
                .prop_map(|item| DataType::Array(Box::new(item))),
            (inner.clone(), inner.clone())
                .prop_map(|(key, value)| DataType::Map(Box::new(key), Box::new(value))),
            prop::collection::vec(("[a-z]{1,5}", inner), 1..4).prop_map(DataType::Struct),
        ]
    })
}

fn columns() -> impl Strategy<Value = Column> {
    let default = prop_oneof![
        Just(None),
        "[a-z0-9]{0,6}".prop_map(|text| Some(DefaultValue::Constant(Some(text)))),
    ];
    let aggregation = prop::sample::select(vec![
        None,
        Some(Aggregation::Sum),
        Some(Aggregation::Min),
        Some(Aggregation::Max),
        Some(Aggregation::Replace),
        Some(Aggregation::ReplaceIfNotNull),
        Some(Aggregation::HllUnion),
        Some(Aggregation::BitmapUnion),
        Some(Aggregation::QuantileUnion),
        Some(Aggregation::Generic),
    ]);
    (
        "[a-zA-Z_]{1,12}",
        data_types(),
        any::<bool>(),
        any::<bool>(),
        default,
        aggregation,
        (-1_i32..1000, any::<bool>(), any::<bool>()),
    )
        .prop_map(
            |(name, data_type, is_key, nullable, default, aggregation, rest)| Column {
                name,
                data_type,
                is_key,
                nullable,
                default,
                aggregation: aggregation.filter(|_| !is_key),
                comment: String::new(),
                unique_id: rest.0,
                visible: rest.1,
                auto_inc: rest.2.then_some(1),
                generated: None,
                on_update: None,
                copied: false,
            },
        )
}

fn schemas() -> impl Strategy<Value = TableSchema> {
    let keys = prop::sample::select(vec![0, 1, 2, 3, 4]);
    (prop::collection::vec(columns(), 1..6), keys, any::<i32>()).prop_map(
        |(mut columns, keys, schema_hash)| {
            let hidden = |name: &str, unique_id| Column {
                visible: false,
                unique_id,
                ..Column::new(name, DataType::TinyInt)
            };
            let unique = |mow, sequence: Option<&str>| KeysModel::Unique {
                mow,
                sequence_col: sequence.map(str::to_owned),
            };
            if (1..=3).contains(&keys) {
                columns.push(hidden(DELETE_SIGN, 1001));
            }
            if keys == 3 {
                columns.push(hidden(SEQUENCE_COL, 1002));
            }
            let keys = match keys {
                0 => KeysModel::Duplicate,
                1 => unique(true, None),
                2 => unique(false, None),
                3 => unique(true, Some(SEQUENCE_COL)),
                _ => KeysModel::Aggregate,
            };
            TableSchema {
                columns,
                keys,
                schema_hash,
                schema_version: 0,
                indexes: TabletIndexes {
                    format: [IndexFormat::V1, IndexFormat::V2, IndexFormat::V3]
                        [schema_hash.unsigned_abs() as usize % 3],
                    list: vec![TabletIndex {
                        id: 7,
                        name: "i".to_owned(),
                        kind: IndexKind::Inverted,
                        columns: vec![1, 2],
                        properties: [("parser".to_owned(), "none".to_owned())].into(),
                    }],
                },
            }
        },
    )
}

proptest! {
    #[test]
    fn a_tablet_to_create_keeps_all_that_a_backend_uses(
        schema in schemas(),
        ids in prop::array::uniform4(1_i64..1 << 40),
        binlog in any::<bool>(),
        restore in any::<bool>(),
        base in prop::option::of(1_i64..1000),
    ) {
        let create = CreateTablet {
            spec: TabletSpec {
                tablet_id: ids[0],
                replica_id: ids[1],
                table_id: ids[2],
                partition_id: ids[3],
                index_id: 0,
                schema: Arc::new(schema),
                binlog_enabled: binlog,
                initial_version: 7,
                in_restore_mode: restore,
                base_tablet: base,
            },
        };
        let task = AgentTask::Create(Box::new(create.clone()));
        let AgentTask::Create(back) = sent(&task, ids[0]) else {
            panic!("another task");
        };
        prop_assert_eq!(format!("{create:?}"), format!("{back:?}"));
    }
}

#[test]
fn the_schema_of_the_wire_is_that_of_doris() {
    let mut id = Column::new("id", DataType::Decimal(20, 4));
    id.is_key = true;
    let schema = TableSchema {
        columns: vec![
            id,
            Column::new("a", DataType::parse("array<map<int,varchar(9)>>").unwrap()),
            Column::new(DELETE_SIGN, DataType::TinyInt),
        ],
        keys: KeysModel::Unique {
            mow: true,
            sequence_col: None,
        },
        schema_hash: 5,
        schema_version: 3,
        indexes: TabletIndexes::default(),
    };
    let wire = super::schema::schema_to_wire(&schema);
    assert_eq!(
        (wire.delete_sign_idx, wire.sequence_col_idx),
        (Some(2), Some(-1))
    );
    let id = &wire.columns[0].column_type;
    assert_eq!(id.type_, dorisim_wire::TPrimitiveType::DECIMAL128I);
    assert_eq!((id.precision, id.scale), (Some(20), Some(4)));
    let item = &wire.columns[1].children_column.as_ref().unwrap()[0];
    assert_eq!(item.column_type.type_, dorisim_wire::TPrimitiveType::MAP);
    let value = &item.children_column.as_ref().unwrap()[1];
    assert_eq!(
        (value.column_name.as_str(), value.column_type.len),
        ("value", Some(9))
    );
}

#[test]
fn types_of_older_clusters_are_read_and_unknown_ones_named() {
    use dorisim_wire::TPrimitiveType as P;
    let mut column = super::schema::column_to_wire(&Column::new("c", DataType::Decimal(27, 9)));
    for (old, new) in [
        (P::DECIMALV2, DataType::Decimal(27, 9)),
        (P::DATE, DataType::Date),
        (P::DATETIME, DataType::DateTime(0)),
        (P::AGG_STATE, DataType::String),
    ] {
        column.column_type.type_ = old;
        assert_eq!(
            super::schema::column_from_wire(&column).unwrap().data_type,
            new
        );
    }
    column.column_type.type_ = P(99);
    let error = super::schema::column_from_wire(&column).unwrap_err();
    assert_eq!(error.to_string(), "column c: no column has type 99");
}

#[test]
fn every_task_reads_back_what_was_written() {
    let mut column = Column::new("v", DataType::Int);
    column.unique_id = 3;
    let predicate = |op, values: &[&str]| DeleteCondition {
        column: 3,
        op,
        values: values.iter().map(|text| Some((*text).to_owned())).collect(),
    };
    let tasks = [
        AgentTask::Drop(DropTablet {
            tablet_id: 1,
            schema_hash: 2,
            replica_id: 3,
            of_dropped_table: true,
        }),
        AgentTask::Push(Box::new(Push {
            tablet_id: 1,
            schema_hash: 2,
            version: -1,
            txn_id: 9,
            partition_id: 8,
            predicate: DeletePredicate {
                conditions: vec![
                    predicate(DeleteOp::Eq, &["1"]),
                    predicate(DeleteOp::Ne, &["1"]),
                    predicate(DeleteOp::Lt, &["1"]),
                    predicate(DeleteOp::Le, &["1"]),
                    predicate(DeleteOp::Gt, &["1"]),
                    predicate(DeleteOp::Ge, &["1"]),
                    predicate(DeleteOp::In, &["1", "2"]),
                    predicate(DeleteOp::NotIn, &["1", "2"]),
                    predicate(DeleteOp::IsNull, &[]),
                    predicate(DeleteOp::IsNotNull, &[]),
                ],
            },
            columns: vec![column.clone()],
        })),
        AgentTask::Publish(PublishVersion {
            txn_id: 5,
            partitions: vec![(1, 2), (3, 4)],
            base_tablets: BTreeSet::from([7, 8]),
        }),
        AgentTask::ClearTransaction(5, vec![1, 2]),
        AgentTask::MakeSnapshot(MakeSnapshot {
            tablet_id: 1,
            schema_hash: 2,
            version: Some(3),
            timeout_s: 4,
            list_files: true,
            ref_tablet: Some(5),
            missing_versions: Some(vec![2, 3]),
            copy_binlogs: true,
        }),
        AgentTask::Clone(Box::new(CloneTablet {
            tablet_id: 1,
            schema_hash: 2,
            sources: vec![CloneSource {
                host: "h".to_owned(),
                be_port: 9060,
                http_port: 8040,
            }],
            version: 3,
            replica_id: 4,
            partition_id: 5,
            table_id: 6,
            timeout_s: Some(7),
        })),
        AgentTask::ReleaseSnapshot(ReleaseSnapshot {
            path: "/s/snapshot/1.2.3".to_owned(),
            tablet_id: 1,
            job_completed: true,
        }),
        AgentTask::Download(Download {
            job_id: 6,
            snapshots: vec![(
                RemoteTabletSnapshot {
                    local_tablet_id: 1,
                    local_snapshot_path: "/l".to_owned(),
                    remote_tablet_id: 2,
                    remote_host: "h".to_owned(),
                    remote_http_port: 8040,
                    remote_snapshot_path: "/r".to_owned(),
                    remote_token: "t".to_owned(),
                },
                10_002,
            )],
        }),
        AgentTask::Move(MoveDir {
            tablet_id: 1,
            schema_hash: 2,
            path: "/l".to_owned(),
            job_id: 6,
        }),
        AgentTask::UpdateMeta(vec![TabletMeta {
            tablet_id: 1,
            binlog_enabled: Some(true),
            replica_id: Some(2),
            partition_id: None,
        }]),
        AgentTask::Alter(Box::new(AlterTablet {
            base_tablet: 1,
            new_tablet: 2,
            base_schema_hash: 3,
            new_schema_hash: 4,
            version: 5,
            rollup: true,
            base_columns: vec![column],
            defined: vec![DefinedColumn {
                name: "mv_count".to_owned(),
                origin: Some("v".to_owned()),
                expression: Some(TPlanExpr::new(Vec::new())),
            }],
            slots: Some(TDescriptorTable::new(None, Vec::new())),
        })),
        AgentTask::GcBinlog(BTreeMap::from([(1, 2), (3, 4)])),
        AgentTask::VisibleVersion(BTreeMap::from([(1, 2)])),
        AgentTask::CheckConsistency {
            tablet_id: 1,
            schema_hash: 2,
            version: 3,
        },
        AgentTask::Other(TTaskType::UPLOAD),
    ];
    for task in &tasks {
        assert_eq!(format!("{task:?}"), format!("{:?}", sent(task, 77)));
    }
    let empty = super::task::bare(TTaskType::MOVE, 1);
    let error = AgentTask::from_wire(empty).unwrap_err();
    assert_eq!(error.to_string(), "task type 14 lacks its request");
}

#[test]
fn every_end_reads_back_what_was_written() {
    let end = |task_type, detail| FinishedTask {
        task_type,
        signature: 4,
        outcome: Ok(()),
        report_version: Some(17),
        detail,
    };
    let ends = [
        end(
            TTaskType::PUBLISH_VERSION,
            FinishDetail::Published {
                succeeded: BTreeMap::from([(1, 2)]),
                failed: vec![3],
                delta_rows: BTreeMap::from([(9, BTreeMap::from([(1, 100)]))]),
            },
        ),
        end(
            TTaskType::MAKE_SNAPSHOT,
            FinishDetail::Snapshot {
                path: "/s".to_owned(),
                files: Some(vec!["1.hdr".to_owned()]),
            },
        ),
        end(TTaskType::DOWNLOAD, FinishDetail::Downloaded(vec![1, 2])),
        FinishedTask {
            outcome: Err(TaskFailure {
                code: TStatusCode::TABLET_MISSING.0,
                message: "gone".to_owned(),
            }),
            ..end(TTaskType::DROP, FinishDetail::None)
        },
    ];
    for end in ends {
        let backend = TBackend::new("h".to_owned(), 9060, 8040, None, None, None);
        let wire: TFinishTaskRequest = over_the_wire(&end.to_wire(backend));
        assert_eq!(FinishedTask::from_wire(wire), end);
    }
}

#[test]
fn refusals_keep_their_numbers() {
    let cases = [
        (
            BeError::TabletMissing {
                tablet_id: 5,
                backend_id: 1,
            },
            72,
        ),
        (
            BeError::VersionMerged {
                tablet_id: 5,
                asked: 3,
            },
            45,
        ),
        (
            BeError::Refused {
                code: TStatusCode::OBTAIN_LOCK_FAILED.0,
                message: "busy".to_owned(),
            },
            74,
        ),
        (BeError::Injected("no".to_owned()), 6),
    ];
    for (error, code) in cases {
        let status = super::status::status_of(&error);
        assert_eq!(status.status_code.0, code);
        let back = super::status::refusal(&status, 5, 1).unwrap();
        assert_eq!(super::status::code_of(&back).0, code);
    }
    assert!(super::status::refusal(&super::status::ok(), 5, 1).is_none());
}
