//! Tables that the source has and no record introduced: a RESTORE gives a table another id without a record, and so does what
//! happens while the binlog is off. A target may hold another table under the name. So the first event of such a table is
//! repeated by a snapshot of it, and from then on it is known.

use std::borrow::Cow;
use std::collections::BTreeSet;

use ccr_doris::binlog::Record;
use ccr_schemas::event::TableRef;
use ccr_schemas::{Replay, TableId};

use super::catalog::{Catalog, OLAP};
use super::decision::Translated;
use super::layout::Layouts;

/// Tables of a record that the catalogue does not know and that the record neither introduces nor removes.
pub fn unknown(record: &Record, catalog: &Catalog) -> BTreeSet<TableId> {
    let concerns = match record {
        Record::CreateTable(_)
        | Record::DropTable(_)
        | Record::Dummy
        | Record::AlterDatabaseProperty(_)
        | Record::Barrier(_)
        | Record::ModifyViewDef(_)
        | Record::Unknown { .. } => false,
        Record::RecoverInfo(r) => r.partition_now().is_some(),
        Record::Upsert(_)
        | Record::AddPartition(_)
        | Record::DropPartition(_)
        | Record::AlterJob(_)
        | Record::ModifyColumns(_)
        | Record::ModifyTableProperty(_)
        | Record::ModifyPartitions(_)
        | Record::ReplacePartitions(_)
        | Record::TruncateTable(_)
        | Record::RenameTable(_)
        | Record::RenameColumn(_)
        | Record::ModifyComment(_)
        | Record::ReplaceTable(_)
        | Record::ModifyIndexes(_)
        | Record::IndexChangeJob(_)
        | Record::RenameRollup(_)
        | Record::RenamePartition(_)
        | Record::DropRollup(_)
        | Record::ModifyBucketNum(_)
        | Record::ModifyDistributionType(_) => true,
    };
    let ids = if concerns {
        record.table_ids()
    } else {
        Vec::new()
    };
    ids.into_iter()
        .filter(|id| catalog.get(*id).is_none())
        .collect()
}

/// Those of them that the source has, with their names. A table that is gone needs nothing.
pub fn named(unknown: &BTreeSet<TableId>, layouts: &Layouts) -> Vec<TableRef> {
    let known = unknown.iter().filter_map(|id| {
        let (name, kind) = layouts.table(*id)?;
        (kind.is_empty() || kind == OLAP).then(|| TableRef {
            id: *id,
            name: name.to_owned(),
        })
    });
    known.collect()
}

/// The catalogue with the strangers under the names that they have.
pub fn with_strangers<'a>(catalog: &'a Catalog, strangers: &[TableRef]) -> Cow<'a, Catalog> {
    let mut known = Cow::Borrowed(catalog);
    for stranger in strangers {
        known.to_mut().take_name(stranger.id, &stranger.name, OLAP);
    }
    known
}

/// What would be repeated by itself is repeated by a snapshot, when a stranger is concerned.
pub fn by_snapshot(translated: Translated, strangers: &[TableRef]) -> Translated {
    let (Some(stranger), Replay::Transaction | Replay::Sql) =
        (strangers.first(), &translated.replay)
    else {
        return translated;
    };
    let reason = format!(
        "no record introduced table {} (id {}): it was restored, or created while its binlog was off",
        stranger.name, stranger.id
    );
    Translated {
        replay: Replay::Snapshot { reason },
        ..translated
    }
}

#[cfg(test)]
mod tests {
    use ccr_doris::binlog::{Binlog, decode};
    use ccr_doris::{DatabaseMeta, RawBinlog, TableMeta};
    use ccr_schemas::event::TableRef;
    use ccr_schemas::{CommitSeq, DbId, Event, TimestampMs};

    use super::*;
    use crate::plan::translate::{View, translate};

    fn record(binlog_type: i32, data: &str) -> Binlog {
        let raw = RawBinlog {
            commit_seq: CommitSeq(9),
            timestamp: TimestampMs(0),
            binlog_type,
            db_id: DbId(1),
            table_ids: Vec::new(),
            data: data.to_owned(),
        };
        decode(&raw).expect("the record is whole")
    }

    fn layouts(tables: &[(i64, &str, &str)]) -> Layouts {
        let mut layouts = Layouts::default();
        let tables = tables.iter().map(|(id, name, kind)| TableMeta {
            id: TableId(*id),
            name: (*name).to_owned(),
            kind: (*kind).to_owned(),
            partitions: Vec::new(),
        });
        let meta = DatabaseMeta {
            tables: tables.collect(),
            ..DatabaseMeta::default()
        };
        layouts.learn(&BTreeSet::new(), meta);
        layouts
    }

    /// The catalogue knows table 1 as `t`; the source has table 2 under that name.
    fn translated(binlog: &Binlog, catalog: &mut Catalog, layouts: &Layouts) -> Translated {
        let strangers = named(&unknown(&binlog.record, catalog), layouts);
        let known = with_strangers(catalog, &strangers);
        let view = View {
            catalog: &known,
            layouts,
        };
        let translated = by_snapshot(translate(binlog, &view), &strangers);
        catalog.fold(&translated.event);
        catalog.introduce(&translated.event, &translated.replay);
        translated
    }

    fn catalog() -> Catalog {
        let mut catalog = Catalog::default();
        catalog.take_name(TableId(1), "t", OLAP);
        catalog
    }

    #[test]
    fn the_first_event_of_a_table_that_no_record_introduced_is_repeated_by_a_snapshot() {
        let layouts = layouts(&[(2, "t", OLAP), (3, "mv", "MATERIALIZED_VIEW")]);
        let load = record(
            0,
            r#"{"txnId":1,"label":"l","tableRecords":{"2":{"partitionRecords":[{"partitionId":5,"version":2}]}}}"#,
        );
        for first in [
            load.clone(),
            record(
                13,
                r#"{"tblId":2,"table":"t","isEntireTable":true,"rawSql":""}"#,
            ),
            record(15, r#"{"tableId":2,"colName":"a","newColName":"b"}"#),
            record(14, r#"{"tb":2,"oT":"t","nT":"u"}"#),
        ] {
            let mut catalog = catalog();
            let event = translated(&first, &mut catalog, &layouts);
            let Replay::Snapshot { reason } = &event.replay else {
                panic!("{first:?}: {:?}", event.replay);
            };
            assert!(reason.contains("table t (id 2)"), "{reason}");
            assert_eq!(event.event.tables()[0].name, "t", "{first:?}");
            // From then on it is known, and the table that had the name is gone.
            assert!(catalog.get(TableId(2)).is_some(), "{first:?}");
            let next = translated(&load, &mut catalog, &layouts);
            assert_eq!(next.replay, Replay::Transaction, "{first:?}");
        }
        let mut known = catalog();
        translated(&load, &mut known, &layouts);
        assert_eq!(known.get(TableId(1)), None, "its name is another table's");
    }

    #[test]
    fn what_does_nothing_does_not_introduce_a_table_and_what_is_gone_needs_no_snapshot() {
        let here = layouts(&[(2, "t", OLAP)]);
        let mut known = catalog();
        let waits = record(
            5,
            r#"{"type":"SCHEMA_CHANGE","tableId":2,"tableName":"t","jobId":1,"jobState":"WAITING_TXN"}"#,
        );
        let event = translated(&waits, &mut known, &here);
        assert!(matches!(event.replay, Replay::Skip { .. }), "{event:?}");
        assert_eq!(known.get(TableId(2)), None);
        let load = record(
            0,
            r#"{"txnId":1,"label":"l","tableRecords":{"2":{"partitionRecords":[{"partitionId":5,"version":2}]}}}"#,
        );
        let gone = translated(&load, &mut known, &layouts(&[]));
        assert_eq!(gone.replay, Replay::Transaction);
        let dropped = record(4, r#"{"tableId":2,"tableName":"t","isView":false}"#);
        assert_eq!(translated(&dropped, &mut known, &here).replay, Replay::Sql);
        let created = record(
            2,
            r#"{"tableId":2,"tableName":"t","tableType":"OLAP","sql":"CREATE TABLE `t` (a INT)"}"#,
        );
        let event = translated(&created, &mut known, &here);
        assert!(matches!(event.event, Event::TableCreated(_)) && event.replay == Replay::Sql);
        let table = TableRef {
            id: TableId(2),
            name: "t".to_owned(),
        };
        assert_eq!(known.now(TableId(2), ""), table);
    }
}
