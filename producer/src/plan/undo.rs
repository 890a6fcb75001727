//! Catalogue of now -> catalogue as of an earlier position.
//!
//! A stream that has no catalogue for its position (its first start, a gap, a checkpoint that is lost or cannot be read) asks
//! the source, which answers with the names of now. Records that are still to be published may have changed names since:
//! with the names of now, a load before a rename would be published for the wrong table. Those records say what they
//! changed, so they are undone from the newest to the oldest. A record that the answer did not contain yet is undone
//! without harm: each sets what was there before it, whatever is there now.

use ccr_doris::binlog::Record;

use super::catalog::{Catalog, OLAP, VIEW};

/// True for a record that [`undo`] needs; the others do not have to be kept.
pub fn changes_names(record: &Record) -> bool {
    match record {
        Record::CreateTable(_)
        | Record::DropTable(_)
        | Record::RenameTable(_)
        | Record::ReplaceTable(_) => true,
        Record::RecoverInfo(r) => r.partition_now().is_none(),
        Record::Upsert(_)
        | Record::AddPartition(_)
        | Record::DropPartition(_)
        | Record::AlterJob(_)
        | Record::ModifyColumns(_)
        | Record::Dummy
        | Record::AlterDatabaseProperty(_)
        | Record::ModifyTableProperty(_)
        | Record::Barrier(_)
        | Record::ModifyPartitions(_)
        | Record::ReplacePartitions(_)
        | Record::TruncateTable(_)
        | Record::RenameColumn(_)
        | Record::ModifyComment(_)
        | Record::ModifyViewDef(_)
        | Record::ModifyIndexes(_)
        | Record::IndexChangeJob(_)
        | Record::RenameRollup(_)
        | Record::RenamePartition(_)
        | Record::DropRollup(_)
        | Record::ModifyBucketNum(_)
        | Record::ModifyDistributionType(_)
        | Record::Unknown { .. } => false,
    }
}

/// Takes back what a record changed: afterwards the catalogue is the one before it. A name that the record does not tell
/// (old releases) is unknown then, never guessed.
pub fn undo(catalog: &mut Catalog, record: &Record) {
    match record {
        Record::CreateTable(r) => catalog.remove(r.table_id),
        Record::DropTable(r) => {
            let kind = if r.is_view { VIEW } else { OLAP };
            restore(catalog, r.table_id, &r.table_name, kind);
        }
        Record::RenameTable(r) => {
            let kind = catalog.kind(r.table_id);
            restore(catalog, r.table_id, &r.old_table, &kind);
        }
        Record::ReplaceTable(r) => {
            for (id, name) in [
                (r.original_id, &r.original_name),
                (r.replacement_id, &r.replacement_name),
            ] {
                let kind = catalog.kind(id);
                restore(catalog, id, name, &kind);
            }
        }
        Record::RecoverInfo(r) if r.partition_now().is_none() => catalog.remove(r.table_id),
        Record::RecoverInfo(_)
        | Record::Upsert(_)
        | Record::AddPartition(_)
        | Record::DropPartition(_)
        | Record::AlterJob(_)
        | Record::ModifyColumns(_)
        | Record::Dummy
        | Record::AlterDatabaseProperty(_)
        | Record::ModifyTableProperty(_)
        | Record::Barrier(_)
        | Record::ModifyPartitions(_)
        | Record::ReplacePartitions(_)
        | Record::TruncateTable(_)
        | Record::RenameColumn(_)
        | Record::ModifyComment(_)
        | Record::ModifyViewDef(_)
        | Record::ModifyIndexes(_)
        | Record::IndexChangeJob(_)
        | Record::RenameRollup(_)
        | Record::RenamePartition(_)
        | Record::DropRollup(_)
        | Record::ModifyBucketNum(_)
        | Record::ModifyDistributionType(_)
        | Record::Unknown { .. } => {}
    }
}

fn restore(catalog: &mut Catalog, id: ccr_schemas::TableId, name: &str, kind: &str) {
    if name.is_empty() {
        catalog.remove(id);
    } else {
        catalog.put(id, name, kind);
    }
}

#[cfg(test)]
mod tests {
    use ccr_doris::RawBinlog;
    use ccr_doris::binlog::{self, Binlog};
    use ccr_schemas::{CommitSeq, DbId, TableId, TimestampMs};
    use proptest::prelude::*;

    use super::*;
    use crate::plan::layout::Layouts;
    use crate::plan::translate::{View, translate};

    fn record(seq: i64, binlog_type: i32, data: &str) -> Binlog {
        binlog::decode(&RawBinlog {
            commit_seq: CommitSeq(seq),
            timestamp: TimestampMs(0),
            binlog_type,
            db_id: DbId(1),
            table_ids: Vec::new(),
            data: data.to_owned(),
        })
        .unwrap()
    }

    fn create(seq: i64, id: i64, name: &str) -> Binlog {
        let sql = format!("CREATE TABLE `{name}` (k INT)");
        record(
            seq,
            2,
            &format!(
                "{{\"tableId\":{id},\"tableName\":\"{name}\",\"tableType\":\"OLAP\",\"sql\":\"{sql}\"}}"
            ),
        )
    }

    fn drop(seq: i64, id: i64, name: &str) -> Binlog {
        record(
            seq,
            4,
            &format!("{{\"tableId\":{id},\"tableName\":\"{name}\"}}"),
        )
    }

    fn rename(seq: i64, id: i64, old: &str, new: &str) -> Binlog {
        record(
            seq,
            14,
            &format!("{{\"tb\":{id},\"oT\":\"{old}\",\"nT\":\"{new}\"}}"),
        )
    }

    fn replace(
        seq: i64,
        (id, name): (i64, &str),
        (by, by_name): (i64, &str),
        swap: bool,
    ) -> Binlog {
        record(
            seq,
            18,
            &format!(
                "{{\"origTblId\":{id},\"origTblName\":\"{name}\",\"newTblName\":{by},\"actualNewTblName\":\"{by_name}\",\
                 \"swapTable\":{swap}}}"
            ),
        )
    }

    fn fold(catalog: &mut Catalog, record: &Binlog) {
        let layouts = Layouts::default();
        let event = translate(
            record,
            &View {
                catalog,
                layouts: &layouts,
            },
        )
        .event;
        catalog.fold(&event);
    }

    /// What a person does to three names, as records that a source would write.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Create,
        Drop(usize),
        Rename(usize),
        Replace(usize, usize, bool),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            Just(Step::Create),
            (0..4usize).prop_map(Step::Drop),
            (0..4usize).prop_map(Step::Rename),
            (0..4usize, 0..4usize, any::<bool>()).prop_map(|(a, b, s)| Step::Replace(a, b, s)),
        ];
        prop::collection::vec(step, 1..20)
    }

    fn written(steps: &[Step]) -> Vec<Binlog> {
        let mut live: Vec<(i64, String)> = vec![(1, "t1".to_owned()), (2, "t2".to_owned())];
        let mut out = Vec::new();
        let mut fresh = 10;
        for step in steps {
            fresh += 1;
            let at = |n: usize| n % live.len().max(1);
            match *step {
                Step::Create => {
                    let name = format!("t{fresh}");
                    out.push(create(fresh, fresh, &name));
                    live.push((fresh, name));
                }
                Step::Drop(n) if !live.is_empty() => {
                    let (id, name) = live.remove(at(n));
                    out.push(drop(fresh, id, &name));
                }
                Step::Rename(n) if !live.is_empty() => {
                    let n = at(n);
                    let new = format!("t{fresh}");
                    out.push(rename(fresh, live[n].0, &live[n].1, &new));
                    live[n].1 = new;
                }
                Step::Replace(a, b, swap) if !live.is_empty() && at(a) != at(b) => {
                    let (a, b) = (at(a), at(b));
                    let (one, other) = (live[a].clone(), live[b].clone());
                    out.push(replace(fresh, (one.0, &one.1), (other.0, &other.1), swap));
                    live[b].1 = one.1;
                    live[a].1 = other.1;
                    if !swap {
                        live.remove(a);
                    }
                }
                Step::Drop(_) | Step::Rename(_) | Step::Replace(..) => {}
            }
        }
        out
    }

    proptest! {
        /// Whenever the source was asked: what was known of names before the records is known again.
        #[test]
        fn names_of_an_earlier_position_come_back(steps in steps(), asked in 0..20usize) {
            let mut catalog = Catalog::default();
            for (id, name) in [(1, "t1"), (2, "t2")] {
                fold(&mut catalog, &create(id, id, name));
            }
            let before = catalog.clone();
            let records = written(&steps);
            // The answer came after some of them; the others were written meanwhile.
            for record in records.iter().take(asked) {
                fold(&mut catalog, record);
            }
            for record in records.iter().rev() {
                prop_assert!(changes_names(&record.record));
                undo(&mut catalog, &record.record);
            }
            prop_assert_eq!(catalog, before);
        }
    }

    #[test]
    fn a_name_that_an_old_release_does_not_tell_is_unknown() {
        let mut catalog = Catalog::default();
        fold(&mut catalog, &create(5, 5, "new"));
        undo(&mut catalog, &rename(6, 5, "", "new").record);
        assert_eq!(catalog.get(TableId(5)), None);
    }
}
