use std::collections::BTreeSet;

use ccr_doris::binlog::decode;
use ccr_doris::{
    BackendMeta, DatabaseMeta, IndexMeta, PartitionMeta, ReplicaMeta, TableMeta, TabletMeta,
};
use ccr_schemas::{BackendId, CommitSeq, DbId, PartitionId, TabletId, TimestampMs};

use super::*;

fn raw(binlog_type: i32, data: &str) -> RawBinlog {
    RawBinlog {
        commit_seq: CommitSeq(900),
        timestamp: TimestampMs(1_767_852_000_123),
        binlog_type,
        db_id: DbId(10086),
        table_ids: vec![TableId(10113)],
        data: data.to_owned(),
    }
}

fn table(id: i64, name: &str, kind: &str) -> TableMeta {
    TableMeta {
        id: TableId(id),
        name: name.to_owned(),
        kind: kind.to_owned(),
        partitions: vec![PartitionMeta {
            id: PartitionId(10110),
            name: "p202601".to_owned(),
            range: "[jan]".to_owned(),
            visible_version: 7,
            indexes: vec![IndexMeta {
                id: IndexId(10114),
                name: name.to_owned(),
                tablets: vec![TabletMeta {
                    id: TabletId(10116),
                    replicas: vec![ReplicaMeta {
                        id: 1,
                        backend: BackendId(3),
                        version: 7,
                    }],
                }],
            }],
        }],
    }
}

fn translated(binlog_type: i32, data: &str) -> Translated {
    let tables = vec![
        table(10113, "events", OLAP),
        table(10120, "mv", "MATERIALIZED_VIEW"),
    ];
    let views = [TableRef {
        id: TableId(10420),
        name: "v".to_owned(),
    }];
    let catalog = Catalog::of(&tables, &views);
    let mut layouts = Layouts::default();
    layouts.learn_backends(vec![BackendMeta {
        id: BackendId(3),
        host: "be3".to_owned(),
        be_port: 9060,
        http_port: 8040,
        alive: true,
    }]);
    layouts.learn(
        &BTreeSet::new(),
        DatabaseMeta {
            tables,
            ..DatabaseMeta::default()
        },
    );
    let view = View {
        catalog: &catalog,
        layouts: &layouts,
    };
    translate(&decode(&raw(binlog_type, data)).unwrap(), &view)
}

/// Type, then what came of it.
const RECORDS: &[(&str, i32, &str)] = &[
    (
        "upsert",
        0,
        r#"{"txnId":70123,"label":"insert_1","tableRecords":{"10113":{"partitionRecords":[{"partitionId":10110,"range":"[jan]","version":7,"isTempPartition":false,"stid":-1}],"indexIds":[10114]}}}"#,
    ),
    (
        "upsert in sub-transactions",
        0,
        r#"{"txnId":70130,"label":"l","tableRecords":{"10113":{"partitionRecords":[{"partitionId":10110,"range":"","version":7,"stid":70130},{"partitionId":10110,"range":"","version":8,"stid":70131}],"indexIds":[10114]}},"stids":[70130,70131]}"#,
    ),
    (
        "upsert of a temporary partition",
        0,
        r#"{"txnId":1,"tableRecords":{"10113":{"partitionRecords":[{"partitionId":10999,"version":2,"isTempPartition":true}]}}}"#,
    ),
    (
        "upsert of an async materialized view",
        0,
        r#"{"txnId":1,"tableRecords":{"10120":{"partitionRecords":[{"partitionId":10110,"version":2}]}}}"#,
    ),
    (
        "add partition",
        1,
        r#"{"tableId":10113,"partition":{"id":10110,"nm":"p202601","di":{"distributionColumns":[{"name":"id"}],"type":"HASH","bucketNum":8,"autoBucket":false}},"isTempPartition":false,"sql":"ADD PARTITION `p202601` VALUES [('2026-01-01'), ('2026-02-01')) (\"version_info\" \u003d \"1\");"}"#,
    ),
    (
        "add temporary partition",
        1,
        r#"{"tableId":10113,"partition":{"id":10302,"nm":"t1","di":{"type":"RANDOM","bucketNum":2}},"isTempPartition":true,"sql":"ADD TEMPORARY PARTITION `t1`"}"#,
    ),
    (
        "create table",
        2,
        r#"{"tableId":10400,"tableName":"orders","tableType":"OLAP","sql":"CREATE TABLE `orders` (`id` bigint) DUPLICATE KEY(`id`)","properties":{"replication_allocation":"tag.location.default: 3"}}"#,
    ),
    (
        "create table with inverted index",
        2,
        r#"{"tableId":10400,"tableName":"orders","tableType":"OLAP","sql":"CREATE TABLE `orders` (`id` bigint, INDEX i (`id`) USING INVERTED)"}"#,
    ),
    (
        "create view",
        2,
        r#"{"tableId":10401,"tableName":"w","tableType":"VIEW","sql":"CREATE VIEW `w` AS select 'USING INVERTED'"}"#,
    ),
    (
        "create elasticsearch table",
        2,
        r#"{"tableId":10402,"tableName":"es","tableType":"ELASTICSEARCH","sql":"CREATE TABLE `es` ..."}"#,
    ),
    (
        "create table of an old release",
        2,
        r#"{"tableId":10400,"sql":"CREATE TABLE `orders` (`id` bigint)"}"#,
    ),
    (
        "drop partition",
        3,
        r#"{"tableId":10113,"pid":10110,"partitionName":"p202601","isTempPartition":false,"forceDrop":true,"sql":"DROP PARTITION `p202601` FORCE"}"#,
    ),
    (
        "drop partition of an old release",
        3,
        r#"{"tableId":10113,"partitionName":"p202601"}"#,
    ),
    (
        "drop temporary partition",
        3,
        r#"{"tableId":10113,"pid":1,"partitionName":"t","isTempPartition":true}"#,
    ),
    (
        "drop table",
        4,
        r#"{"tableId":10400,"tableName":"orders","isView":false,"rawSql":"DROP TABLE IF EXISTS `orders`"}"#,
    ),
    (
        "drop table with FORCE",
        4,
        r#"{"tableId":10400,"tableName":"orders","isView":false,"rawSql":"DROP TABLE IF EXISTS `orders` FORCE"}"#,
    ),
    (
        "schema change waits",
        5,
        r#"{"type":"SCHEMA_CHANGE","tableId":10113,"tableName":"old_name","jobId":10500,"jobState":"WAITING_TXN","rawSql":"ALTER ...","iim":{"10510":10114},"rollupIndexId":0,"baseIndexId":0}"#,
    ),
    (
        "schema change finished",
        5,
        r#"{"type":"SCHEMA_CHANGE","tableId":10113,"jobId":10500,"jobState":"FINISHED","iim":{"10510":10114}}"#,
    ),
    (
        "schema change cancelled",
        5,
        r#"{"type":"SCHEMA_CHANGE","tableId":10113,"jobId":10500,"jobState":"CANCELLED"}"#,
    ),
    (
        "rollup finished",
        5,
        r#"{"type":"ROLLUP","tableId":10113,"jobId":10600,"jobState":"FINISHED","rollupIndexId":10610,"rollUpIndexName":"r_user","baseIndexId":10114}"#,
    ),
    (
        "job of a new kind",
        5,
        r#"{"type":"REINDEX","tableId":10113,"jobId":1,"jobState":"FINISHED"}"#,
    ),
    (
        "columns",
        6,
        r#"{"tableId":10113,"baseIndexId":10114,"indexSchemaMap":{"10114":[{"name":"id","visible":true},{"name":"__DORIS_DELETE_SIGN__","visible":false},{"name":"note","visible":true}]},"rawSql":"ALTER TABLE `sales`.`events` ADD COLUMN `note` varchar(64) NULL"}"#,
    ),
    (
        "column with ON UPDATE",
        6,
        r#"{"tableId":10113,"baseIndexId":10114,"indexSchemaMap":{"10114":[{"name":"id","visible":true,"hasOnUpdateDefaultValue":false},{"name":"at","visible":true,"hasOnUpdateDefaultValue":true,"onUpdateDefaultValueExprDef":{"exprName":"now","precision":3}}]},"rawSql":"ALTER TABLE `sales`.`events` ADD COLUMN `at` DATETIMEV2(3) NULL DEFAULT CURRENT_TIMESTAMP(3) COMMENT \"\""}"#,
    ),
    ("dummy", 7, ""),
    (
        "database property",
        8,
        r#"{"dbId":10086,"dbName":"sales","properties":{"binlog.enable":"true"}}"#,
    ),
    (
        "table property",
        9,
        r#"{"tableId":10113,"tableName":"events","properties":{"dynamic_partition.end":"5","binlog.enable":"true"}}"#,
    ),
    (
        "table binlog off",
        9,
        r#"{"tableId":10113,"tableName":"events","properties":{"binlog.enable":"false"}}"#,
    ),
    (
        "own table property",
        9,
        r#"{"tableId":10113,"tableName":"events","properties":{"replication_num":"1"}}"#,
    ),
    (
        "replicas of future partitions",
        9,
        r#"{"tableId":10113,"tableName":"events","properties":{"default.replication_num":"3"}}"#,
    ),
    (
        "barrier",
        10,
        r#"{"dbId":10086,"dbName":"sales","tableId":10113,"tableName":"events","binlogType":0}"#,
    ),
    (
        "barrier with an inner record",
        10,
        r#"{"tableId":10113,"binlogType":14,"binlog":"{\"tb\":10113,\"nT\":\"events2\",\"oT\":\"events\"}"}"#,
    ),
    (
        "modify partitions",
        11,
        r#"{"infos":[{"tableId":10113,"partitionId":10110,"tableProperties":{"storage_medium":"hdd"}},{"tableId":10113,"partitionId":7}]}"#,
    ),
    (
        "replace partitions",
        12,
        r#"{"tblId":10113,"tblName":"events","partitions":["p202601"],"tempPartitions":["iot"],"strictRange":true,"useTempPartitionName":false,"partitionIds":[10110]}"#,
    ),
    (
        "truncate partition",
        13,
        r#"{"tblId":10113,"table":"events","isEntireTable":false,"rawSql":"PARTITIONS (p202601) FORCE","op":{"10110":"p202601"}}"#,
    ),
    (
        "truncate partitions of an old release",
        13,
        r#"{"tblId":10113,"table":"events","isEntireTable":false,"rawSql":"PARTITIONS (p202601, `p 2`)"}"#,
    ),
    (
        "truncate partitions that are not named",
        13,
        r#"{"tblId":10113,"table":"events","isEntireTable":false,"rawSql":""}"#,
    ),
    (
        "truncate temporary partition",
        13,
        r#"{"tblId":10113,"table":"events","isEntireTable":false,"rawSql":"TEMPORARY PARTITIONS (tp)"}"#,
    ),
    (
        "truncate table",
        13,
        r#"{"tblId":10113,"table":"events","isEntireTable":true,"rawSql":""}"#,
    ),
    (
        "rename table",
        14,
        r#"{"tb":10113,"nT":"events_v2","oT":"events"}"#,
    ),
    (
        "rename table of an old release",
        14,
        r#"{"tb":10113,"nT":"events_v2"}"#,
    ),
    (
        "rename unknown table of an old release",
        14,
        r#"{"tb":77,"nT":"x"}"#,
    ),
    (
        "rename column",
        15,
        r#"{"tableId":10113,"colName":"amt","newColName":"amount"}"#,
    ),
    (
        "column comment",
        16,
        r#"{"type":"COLUMN","tblId":10113,"colToComment":{"amt":"net amount"}}"#,
    ),
    (
        "table comment",
        16,
        r#"{"type":"TABLE","tblId":10113,"tblComment":"all"}"#,
    ),
    (
        "view definition",
        17,
        r#"{"tableId":10420,"inlineViewDef":"SELECT 1"}"#,
    ),
    (
        "view columns and comment",
        17,
        r#"{"tableId":10420,"inlineViewDef":"SELECT 1","newFullSchema":[{"name":"x","comment":"c"},{"name":"y"}],"comment":"d"}"#,
    ),
    (
        "replace table",
        18,
        r#"{"origTblId":10113,"origTblName":"events","newTblName":10800,"actualNewTblName":"events_new","swapTable":false}"#,
    ),
    (
        "add index",
        19,
        r#"{"tableId":10113,"alterInvertedIndexes":[{"i":10900,"in":"idx_note","c":["note"],"it":"INVERTED"}],"isDropInvertedIndex":false,"rawSql":"ALTER TABLE ..."}"#,
    ),
    (
        "drop index",
        19,
        r#"{"tableId":10113,"alterInvertedIndexes":[{"i":10900,"in":"idx_note"}],"isDropInvertedIndex":true}"#,
    ),
    (
        "build index finished",
        20,
        r#"{"jobId":11000,"jobState":"FINISHED","tableId":10113,"tableName":"events","partitionId":10110,"partitionName":"p202601","isDropOp":false,"alterInvertedIndexes":[{"in":"idx_note"}]}"#,
    ),
    (
        "build index waits",
        20,
        r#"{"jobId":11000,"jobState":"WAITING_TXN","tableId":10113}"#,
    ),
    (
        "index files removed",
        20,
        r#"{"jobId":11000,"jobState":"FINISHED","tableId":10113,"isDropOp":true}"#,
    ),
    (
        "rename rollup",
        21,
        r#"{"tb":10113,"ind":10610,"nR":"r2","oR":"r1"}"#,
    ),
    (
        "rename rollup of an old release",
        21,
        r#"{"tb":10113,"ind":10610,"nR":"r2"}"#,
    ),
    (
        "rename partition",
        22,
        r#"{"tb":10113,"p":10110,"nP":"p_jan","oP":"p202601"}"#,
    ),
    (
        "drop rollup",
        23,
        r#"{"tableId":10113,"tableName":"events","indexId":10610,"indexName":"r_user"}"#,
    ),
    (
        "recover partition",
        24,
        r#"{"tableId":10113,"tableName":"events","newTableName":"","partitionId":10110,"partitionName":"p202601","newPartitionName":"p_back"}"#,
    ),
    (
        "recover table",
        24,
        r#"{"tableId":10113,"tableName":"events","newTableName":"events_back","partitionId":-1}"#,
    ),
    (
        "bucket number",
        25,
        r#"{"tableId":10113,"type":"HASH","autoBucket":false,"bucketNum":16,"columnsName":"id, k"}"#,
    ),
    ("distribution type", 26, r#"{"tb":10113}"#),
    ("a type of the future", 27, r#"{"anything":1}"#),
];

#[test]
fn every_type_becomes_its_event() {
    let mut text = String::new();
    for (name, binlog_type, data) in RECORDS {
        let Translated { event, replay } = translated(*binlog_type, data);
        text.push_str(&format!(
            "{name} ({binlog_type})\n  {event:?}\n  {replay:?}\n"
        ));
    }
    insta::assert_snapshot!(text);
    let covered: BTreeSet<i32> = RECORDS.iter().map(|(_, number, _)| *number).collect();
    assert_eq!(covered, (0..=27).collect());
}

#[test]
fn a_broken_record_halts_its_table_by_name() {
    let record = raw(14, "{");
    let why = decode(&record).unwrap_err().to_string();
    let catalog = Catalog::of(&[table(10113, "events", OLAP)], &[]);
    let Translated { event, replay } = unreadable(&record, &why, &catalog);
    assert_eq!(event.tables()[0].name, "events");
    let Replay::Halt { reason } = replay else {
        panic!("not halted: {replay:?}");
    };
    assert!(reason.contains("position 900"), "{reason}");
}
