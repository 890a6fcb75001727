//! One golden record per type, in the shapes that Doris writes, with members that nobody knows.

use ccr_schemas::{IndexId, PartitionId, TxnId};

use super::*;

fn raw(binlog_type: i32, data: &str) -> RawBinlog {
    RawBinlog {
        commit_seq: CommitSeq(901),
        timestamp: TimestampMs(5),
        binlog_type,
        db_id: DbId(10086),
        table_ids: Vec::new(),
        data: data.to_owned(),
    }
}

fn record(binlog_type: i32, data: &str) -> Record {
    decode(&raw(binlog_type, data)).unwrap().record
}

macro_rules! read {
    ($kind:ident, $number:expr, $json:expr) => {
        match record($number, $json) {
            Record::$kind(record) => record,
            other => panic!("another record: {other:?}"),
        }
    };
}

#[test]
fn upsert() {
    let r = read!(
        Upsert,
        0,
        r#"{"commitSeq":901455,"txnId":70123,"timeStamp":1767852000123,"label":"insert_5f2c_1","dbId":10086,
         "tableRecords":{"10113":{"partitionRecords":[{"partitionId":10110,
         "range":"[types: [DATEV2]; keys: [2026-01-01]; ..types: [DATEV2]; keys: [2026-02-01]; )",
         "version":7,"isTempPartition":false,"stid":-1,"new":[1]}],
         "indexIds":[10114,10230],"deltaRows":{"10116":1200}}},"future":{"a":1}}"#
    );
    assert_eq!(r.txn_id, TxnId(70123));
    let table = &r.table_records[&TableId(10113)];
    assert_eq!(table.index_ids, [IndexId(10114), IndexId(10230)]);
    assert_eq!(table.partition_records[0].version, 7);
    assert_eq!(table.partition_records[0].stid, TxnId(-1));
    assert!(r.stids.is_empty());
}

#[test]
fn upsert_with_sub_transactions_and_without_indexes() {
    let r = read!(
        Upsert,
        0,
        r#"{"txnId":70130,"label":"t","dbId":1,"tableRecords":{"3":{"partitionRecords":[
         {"partitionId":10,"range":"","version":8,"isTempPartition":false,"stid":70130},
         {"partitionId":10,"version":9,"stid":70131}],"indexIds":null}},"stids":[70130,70131]}"#
    );
    let table = &r.table_records[&TableId(3)];
    assert_eq!(r.stids, [TxnId(70130), TxnId(70131)]);
    assert_eq!(table.partition_records[1].stid, TxnId(70131));
    assert!(table.index_ids.is_empty());
}

#[test]
fn upsert_without_its_tables_is_an_error_not_a_no_op() {
    let error = decode(&raw(0, r#"{"txnId":1,"dbId":1}"#)).unwrap_err();
    assert_eq!(error.to_string(), "cannot read binlog record 901 (type 0)");
    assert!(
        std::error::Error::source(&error)
            .unwrap()
            .to_string()
            .contains("tableRecords")
    );
    for data in ["", "null", "[]", "{", "\u{0}", "7", r#"{"txnId":"x"}"#] {
        assert!(decode(&raw(0, data)).is_err(), "{data:?}");
    }
}

#[test]
fn add_partition_in_new_and_old_shapes() {
    let r = read!(
        AddPartition,
        1,
        r#"{"commitSeq":901500,"dbId":10086,"tableId":10113,
         "partition":{"id":10301,"nm":"p202602","st":"NORMAL","vv":1,"nv":2,
         "di":{"clazz":"HashDistributionInfo","distributionColumns":[{"name":"id"}],"type":"HASH","bucketNum":8,"autoBucket":false}},
         "dataProperty":{"storageMedium":"HDD"},"replicaAlloc":{"allocMap":{}},"isInMemory":false,"isTempPartition":false,
         "sql":"ADD PARTITION `p202602` VALUES [('2026-02-01'), ('2026-03-01')) (\"version_info\" \u003d \"1\");"}"#
    );
    assert_eq!(r.partition.name, "p202602");
    let di = r.partition.distribution.clone().unwrap();
    assert!(di.is_hash());
    assert_eq!((di.bucket_num, di.auto_bucket), (8, false));
    assert_eq!(di.distribution_columns[0].name, "id");
    assert!(!r.is_temp());

    let old = read!(
        AddPartition,
        1,
        r#"{"dbId":1,"tableId":2,"partition":{"id":3,"name":"p","distributionInfo":{"clazz":"RandomDistributionInfo","bucketNum":4}},
         "sql":"  ADD  TEMPORARY\nPARTITION `p`"}"#
    );
    assert_eq!(old.partition.name, "p");
    assert!(!old.partition.distribution.clone().unwrap().is_hash());
    assert!(old.is_temp());
}

#[test]
fn create_table_and_view() {
    let r = read!(
        CreateTable,
        2,
        r#"{"commitSeq":1,"dbId":10086,"dbName":"sales","tableId":10400,"tableName":"orders","tableType":"OLAP",
         "sql":"CREATE TABLE `orders` (\n  `id` bigint NOT NULL\n) ENGINE\u003dOLAP","properties":{"binlog.enable":"true"}}"#
    );
    assert_eq!(
        (r.table_name.as_str(), r.kind(), r.properties.len()),
        ("orders", "OLAP", 1)
    );
    assert!(r.sql.contains("ENGINE=OLAP"));

    let old = read!(
        CreateTable,
        2,
        r#"{"dbId":1,"tableId":2,"sql":"CREATE VIEW `v` AS SELECT 1"}"#
    );
    assert_eq!(old.kind(), "VIEW");
}

#[test]
fn drop_partition_with_and_without_id() {
    let r = read!(
        DropPartition,
        3,
        r#"{"dbId":10086,"tableId":10113,"pid":10110,"partitionName":"p202601","isTempPartition":false,"forceDrop":true,
         "recycleTime":1767853000000,"sql":"DROP PARTITION `p202601`","version":7,"versionTime":1767852000123}"#
    );
    assert_eq!(r.partition_id, Some(PartitionId(10110)));
    assert!(r.force_drop);
    let old = read!(DropPartition, 3, r#"{"tableId":10113,"partitionName":"p"}"#);
    assert_eq!(old.partition_id, None);
}

#[test]
fn drop_table() {
    let r = read!(
        DropTable,
        4,
        r#"{"commitSeq":901600,"dbId":10086,"tableId":10400,"tableName":"v","isView":true,"rawSql":"DROP VIEW IF EXISTS `v`"}"#
    );
    assert_eq!((r.table_name.as_str(), r.is_view), ("v", true));
    assert!(!r.is_force());
    for json in [
        r#"{"tableId":1,"tableName":"t","rawSql":"DROP TABLE IF EXISTS `t` FORCE"}"#,
        r#"{"tableId":1,"tableName":"t","rawSql":"DROP TABLE IF EXISTS `t`","forceDrop":true}"#,
    ] {
        assert!(read!(DropTable, 4, json).is_force(), "{json}");
    }
}

#[test]
fn alter_jobs() {
    let r = read!(
        AlterJob,
        5,
        r#"{"type":"SCHEMA_CHANGE","dbId":10086,"tableId":10113,"tableName":"events","jobId":10500,"jobState":"WAITING_TXN",
         "rawSql":"ALTER TABLE `sales`.`events` MODIFY COLUMN `k1` bigint NULL","iim":{"10510":10114},
         "rollupIndexId":0,"baseIndexId":0}"#
    );
    assert_eq!(r.shadow_indexes[&IndexId(10510)], IndexId(10114));
    let r = read!(
        AlterJob,
        5,
        r#"{"type":"ROLLUP","dbId":10086,"tableId":10113,"tableName":"events","jobId":10600,"jobState":"FINISHED",
         "rawSql":"...","rollupIndexId":10610,"rollUpIndexName":"r_user","baseIndexId":10114,"baseIndexName":"events"}"#
    );
    assert_eq!(
        (r.rollup_index_id, r.rollup_index_name.as_str()),
        (10610, "r_user")
    );
}

#[test]
fn modify_columns() {
    let r = read!(
        ModifyColumns,
        6,
        r#"{"dbId":10086,"tableId":10113,"baseIndexId":10114,"indexSchemaMap":{"10114":[
         {"name":"id","type":{"clazz":"ScalarType","type":"BIGINT"},"isKey":true,"visible":true,"uniqueId":0},
         {"name":"note","isKey":false,"visible":true,"uniqueId":4}],
         "10200":[{"name":"id"},{"name":"a"},{"name":"b"}]},
         "indexNameToId":{"events":10114},"indexes":[],"jobId":10700,
         "rawSql":"ALTER TABLE `sales`.`events` ADD COLUMN `note` varchar(64) NULL COMMENT \"\""}"#
    );
    let names: Vec<_> = r.base_columns("events").iter().map(|c| &c.name).collect();
    assert_eq!(names, ["id", "note"]);
    let old = read!(
        ModifyColumns,
        6,
        r#"{"tableId":1,"indexSchemaMap":{"7":[{"name":"a"}],"5":[{"name":"x"},{"name":"y","visible":false}]},
         "indexNameToId":{"t":7},"rawSql":"ALTER TABLE t DROP COLUMN b"}"#
    );
    assert_eq!(old.base_columns("t").len(), 1);
    assert_eq!(
        old.base_columns("unknown").len(),
        2,
        "the widest when nothing says which"
    );
    assert!(!old.base_columns("unknown")[1].visible);
}

#[test]
fn head_of_a_stream_has_no_data() {
    assert_eq!(record(7, ""), Record::Dummy);
}

#[test]
fn properties() {
    let r = read!(
        AlterDatabaseProperty,
        8,
        r#"{"dbId":10086,"dbName":"sales","properties":{"binlog.enable":"true"}}"#
    );
    assert_eq!(r.properties["binlog.enable"], "true");
    let r = read!(
        ModifyTableProperty,
        9,
        r#"{"dbId":10086,"tableId":10113,"tableName":"events","properties":{"dynamic_partition.end":"5"},
         "sql":"SET (\"dynamic_partition.end\" \u003d \"5\" )"}"#
    );
    assert_eq!(r.properties["dynamic_partition.end"], "5");
}

#[test]
fn barrier_is_distinguished_from_a_wrapper_by_its_content() {
    let plain =
        r#"{"dbId":10086,"dbName":"sales","tableId":10113,"tableName":"events","binlogType":0}"#;
    assert_eq!(read!(Barrier, 10, plain).table_id, TableId(10113));
    assert_eq!(decode(&raw(10, plain)).unwrap().table_ids, [TableId(10113)]);
    assert!(matches!(
        record(10, r#"{"tableId":1,"binlogType":14,"binlog":""}"#),
        Record::Barrier(_)
    ));

    let wrapped = r#"{"dbId":10086,"tableId":10113,"binlogType":14,"binlog":"{\"db\":10086,\"tb\":10113,\"ind\":-1,\"p\":-1,\"nT\":\"events2\",\"oT\":\"events\"}"}"#;
    assert_eq!(read!(RenameTable, 10, wrapped).new_table, "events2");

    let upsert = r#"{"tableId":1,"binlogType":0,"binlog":"{\"txnId\":9,\"tableRecords\":{}}"}"#;
    assert_eq!(read!(Upsert, 10, upsert).txn_id, TxnId(9));

    let unknown = r#"{"tableId":1,"binlogType":77,"binlog":"{}"}"#;
    assert_eq!(record(10, unknown), Record::Unknown { binlog_type: 77 });

    let broken = r#"{"tableId":1,"binlogType":14,"binlog":"{"}"#;
    assert!(matches!(
        decode(&raw(10, broken)),
        Err(BinlogError::Json {
            binlog_type: 14,
            ..
        })
    ));
}

#[test]
fn wrapping_without_end_is_an_error() {
    let mut data = r#"{"tableId":1}"#.to_owned();
    for _ in 0..8 {
        data = serde_json::json!({"tableId": 1, "binlogType": 10, "binlog": data}).to_string();
    }
    assert!(matches!(
        decode(&raw(10, &data)),
        Err(BinlogError::WrappedTooDeep { .. })
    ));
}

#[test]
fn modify_partitions() {
    let r = read!(
        ModifyPartitions,
        11,
        r#"{"infos":[{"dbId":10086,"tableId":10113,"partitionId":10110,"dataProperty":{"storageMedium":"HDD"},
         "isInMemory":false,"replicaAlloc":{"allocMap":{}},"storagePolicy":"","tableProperties":{"storage_medium":"hdd"}}]}"#
    );
    assert_eq!(r.infos[0].partition_id, PartitionId(10110));
    assert_eq!(r.infos[0].table_properties["storage_medium"], "hdd");
}

#[test]
fn replace_partitions() {
    let r = read!(
        ReplacePartitions,
        12,
        r#"{"dbId":10086,"dbName":"sales","tblId":10113,"tblName":"events","partitions":["p202601"],"tempPartitions":["iot_p202601_17"],
         "strictRange":true,"useTempPartitionName":false,"version":0,"versionTime":0,"force":true,"partitionIds":[10110]}"#
    );
    assert_eq!(r.partitions, ["p202601"]);
    assert_eq!(r.partition_ids, [PartitionId(10110)]);
    assert!(r.strict_range && !r.use_temp_partition_name);
}

#[test]
fn truncate() {
    let json = r#"{"dbId":10086,"db":"sales","tblId":10113,"table":"events","isEntireTable":false,
        "rawSql":"PARTITIONS (p202601) FORCE","op":{"10110":"p202601"}}"#;
    let r = read!(TruncateTable, 13, json);
    assert_eq!(r.old_partitions[&PartitionId(10110)], "p202601");
    assert!(r.is_force());
    let r = read!(
        TruncateTable,
        13,
        r#"{"tblId":1,"isEntireTable":true,"rawSql":"PARTITIONS (`FORCE`)"}"#
    );
    assert!(!r.is_force(), "a partition of that name is no FORCE");
}

#[test]
fn a_truncate_names_its_partitions_with_and_without_their_ids() {
    let part = |json: &str| read!(TruncateTable, 13, json).part();
    let named =
        |id: i64, name: &str| TruncatedPart::Partitions(vec![(PartitionId(id), name.to_owned())]);
    for (json, expected) in [
        (
            r#"{"tblId":1,"isEntireTable":true,"rawSql":""}"#,
            TruncatedPart::EntireTable,
        ),
        (
            r#"{"tblId":1,"isEntireTable":false,"rawSql":"PARTITIONS (p1)","op":{"7":"p1"}}"#,
            named(7, "p1"),
        ),
        (
            r#"{"tblId":1,"isEntireTable":false,"rawSql":"PARTITIONS (p1) FORCE"}"#,
            named(-1, "p1"),
        ),
        (
            r#"{"tblId":1,"isEntireTable":false,"rawSql":"TEMPORARY PARTITIONS (t1)"}"#,
            TruncatedPart::TemporaryPartitions(vec!["t1".to_owned()]),
        ),
        (
            r#"{"tblId":1,"isEntireTable":false}"#,
            TruncatedPart::NotSaid,
        ),
        (
            r#"{"tblId":1,"isEntireTable":false,"rawSql":"PARTITIONS (p1)","op":{"7":""}}"#,
            TruncatedPart::NotSaid,
        ),
        (
            r#"{"tblId":1,"isEntireTable":true,"rawSql":"PARTITIONS (p1)"}"#,
            TruncatedPart::NotSaid,
        ),
    ] {
        assert_eq!(part(json), expected, "{json}");
    }
}

#[test]
fn renames() {
    let r = read!(
        RenameTable,
        14,
        r#"{"db":10086,"tb":10113,"ind":-1,"p":-1,"nT":"events_v2","oT":"events","nR":"","oR":"","nP":"","oP":""}"#
    );
    assert_eq!(
        (r.old_table.as_str(), r.new_table.as_str()),
        ("events", "events_v2")
    );
    let r = read!(
        RenameRollup,
        21,
        r#"{"db":1,"tb":2,"ind":9,"p":-1,"nT":"","nR":"b","oR":"a"}"#
    );
    assert_eq!((r.index_id, r.old_rollup.as_str()), (IndexId(9), "a"));
    let r = read!(
        RenamePartition,
        22,
        r#"{"db":10086,"tb":10113,"ind":-1,"p":10110,"nP":"p_jan"}"#
    );
    assert_eq!(
        (r.new_partition.as_str(), r.old_partition.as_str()),
        ("p_jan", "")
    );
    let r = read!(
        ModifyDistributionType,
        26,
        r#"{"db":10086,"tb":10113,"ind":-1,"p":-1}"#
    );
    assert_eq!(r.table_id, TableId(10113));
    let r = read!(
        RenameColumn,
        15,
        r#"{"dbId":10086,"tableId":10113,"colName":"amt","newColName":"amount","indexIdToSchemaVersion":{"10114":3}}"#
    );
    assert_eq!((r.old.as_str(), r.new.as_str()), ("amt", "amount"));
}

#[test]
fn comments() {
    let r = read!(
        ModifyComment,
        16,
        r#"{"type":"COLUMN","dbId":10086,"tblId":10113,"colToComment":{"amt":"net"}}"#
    );
    assert_eq!(r.columns["amt"], "net");
    assert_eq!(r.table_comment, None);
    let r = read!(
        ModifyComment,
        16,
        r#"{"type":"TABLE","dbId":10086,"tblId":10113,"tblComment":""}"#
    );
    assert_eq!(r.table_comment.as_deref(), Some(""));
}

#[test]
fn view_definition() {
    let r = read!(
        ModifyViewDef,
        17,
        r#"{"dbId":10086,"tableId":10420,"inlineViewDef":"SELECT `internal`.`sales`.`events`.`id` AS `id` FROM `internal`.`sales`.`events`",
         "newFullSchema":[{"name":"id","comment":"key"}],"sv":{"a":"b"}}"#
    );
    assert_eq!(r.view_id, TableId(10420));
    assert!(r.definition.starts_with("SELECT"));
    assert_eq!(r.columns[0].comment, "key");
}

#[test]
fn replace_table_reads_the_id_that_is_called_a_name() {
    for id in ["10800", "\"10800\""] {
        let json = format!(
            r#"{{"dbId":10086,"origTblId":10113,"origTblName":"events","newTblName":{id},"actualNewTblName":"events_new","swapTable":false,"isForce":true}}"#
        );
        let r = read!(ReplaceTable, 18, &json);
        assert_eq!(r.replacement_id, TableId(10800));
        assert_eq!(r.replacement_name, "events_new");
        assert!(!r.swap);
    }
    let bad = r#"{"origTblId":1,"origTblName":"e","newTblName":"events_new","swapTable":false}"#;
    assert!(decode(&raw(18, bad)).is_err());
}

#[test]
fn secondary_indexes_with_short_and_long_names() {
    for index in [
        r#"{"i":10900,"in":"idx_note","c":["note"],"it":"INVERTED","pt":{"parser":"english"},"ct":""}"#,
        r#"{"indexId":10900,"indexName":"idx_note","columns":["note"],"indexType":"INVERTED","properties":{},"comment":""}"#,
    ] {
        let json = format!(
            r#"{{"dbId":1,"tableId":10113,"indexSchemaMap":{{}},"indexes":[{index}],"alterInvertedIndexes":[{index}],
            "isDropInvertedIndex":false,"jobId":10901,"rawSql":"ALTER TABLE `sales`.`events` ADD INDEX idx_note (`note`) USING INVERTED"}}"#
        );
        let r = read!(ModifyIndexes, 19, &json);
        assert_eq!(
            (
                r.altered[0].id,
                r.altered[0].name.as_str(),
                r.altered[0].kind.as_str()
            ),
            (10900, "idx_note", "INVERTED")
        );
        assert!(!r.is_drop);
    }
}

#[test]
fn index_jobs() {
    let r = read!(
        IndexChangeJob,
        20,
        r#"{"jobId":11000,"jobState":"FINISHED","dbId":10086,"tableId":10113,"tableName":"events","partitionId":10110,"partitionName":"p202601",
         "errMsg":"","createTimeMs":1767860000000,"watershedTxnId":70200,"isDropOp":false,
         "alterInvertedIndexes":[{"i":10900,"in":"idx_note"}],"originIndexId":10114,"invertedIndexBatchTask":{},"timeoutMs":2592000000}"#
    );
    assert_eq!(r.partition_name, "p202601");
    assert_eq!(r.indexes[0].name, "idx_note");
}

#[test]
fn rollup_dropped() {
    let r = read!(
        DropRollup,
        23,
        r#"{"ctl":"internal","db":"sales","dbId":10086,"tableId":10113,"tableName":"events","indexId":10610,"indexName":"r_user","isView":false,"forceDrop":false,"recycleTime":0}"#
    );
    assert_eq!(
        (r.index_id, r.index_name.as_str()),
        (IndexId(10610), "r_user")
    );
}

#[test]
fn recovered() {
    let r = read!(
        RecoverInfo,
        24,
        r#"{"dbId":10086,"newDbName":"","tableId":10113,"tableName":"events","newTableName":"","partitionId":10110,"partitionName":"p202601","newPartitionName":"p1"}"#
    );
    assert_eq!(r.table_now(), "events");
    assert_eq!(r.partition_now(), Some((PartitionId(10110), "p1")));
    let r = read!(
        RecoverInfo,
        24,
        r#"{"tableId":1,"tableName":"a","newTableName":"b","partitionId":-1}"#
    );
    assert_eq!((r.table_now(), r.partition_now()), ("b", None));
}

#[test]
fn default_buckets() {
    let r = read!(
        ModifyBucketNum,
        25,
        r#"{"dbId":10086,"tableId":10113,"type":"HASH","autoBucket":false,"bucketNum":16,"columnsName":"id, k2"}"#
    );
    assert_eq!(r.column_names(), ["id", "k2"]);
    assert!(r.is_hash());
    let quoted = read!(
        ModifyBucketNum,
        25,
        r#"{"dbId":10086,"tableId":10113,"type":"HASH","autoBucket":false,"bucketNum":16,"columnsName":"`id`,`a``b`"}"#
    );
    assert_eq!(quoted.column_names(), ["id", "a`b"]);
}

#[test]
fn unknown_numbers_are_kept() {
    for number in [27, 28, 116, -1, i32::MAX] {
        assert_eq!(
            record(number, "not even JSON"),
            Record::Unknown {
                binlog_type: number
            }
        );
    }
}

#[test]
fn tables_come_from_the_stream_first_then_from_the_record() {
    let mut bare = raw(15, r#"{"tableId":7,"colName":"a","newColName":"b"}"#);
    assert_eq!(decode(&bare).unwrap().table_ids, [TableId(7)]);
    bare.table_ids = vec![TableId(8)];
    assert_eq!(decode(&bare).unwrap().table_ids, [TableId(8)]);
}

proptest::proptest! {
    #[test]
    fn hostile_data_never_panics(binlog_type in -2i32..30, data in "\\PC{0,60}") {
        let _ = decode(&raw(binlog_type, &data));
    }

    #[test]
    fn ids_keep_all_their_bits(id in i64::MIN..i64::MAX) {
        let data = format!(r#"{{"tableId":{id},"colName":"a","newColName":"b","x":null}}"#);
        proptest::prop_assert_eq!(decode(&raw(15, &data)).unwrap().table_ids, vec![TableId(id)]);
    }
}
