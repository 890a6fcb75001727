//! Record -> event, with the decision how a target repeats it. One arm per type.
//!
//! What decides: a statement is enough where its effect on a destination equals the effect at the source, including ids
//! inside data files; otherwise only a snapshot of the table brings the change.

mod partitions;

use ccr_doris::RawBinlog;
use ccr_doris::binlog::{
    AlterJob, Binlog, Column, CreateTable, IndexChangeJob, ModifyColumns, ModifyIndexes,
    ModifyTableProperty, Record, RecoverInfo, TableInfo, Upsert,
};
use ccr_doris::ddl::with_on_update;
use ccr_schemas::event::{
    AlterJobChanged, ColumnsChanged, CommentModified, IndexJobChanged, IndexesChanged,
    PartitionRef, PartitionsReplaced, PropertiesChanged, Property, Recovered, Renamed,
    RollupDropped, ShadowIndex, StreamHead, TableCreated, TableDropped, TableFact, TableRef,
    TableReplaced, Unsupported, ViewRedefined,
};
use ccr_schemas::{Event, IndexId, Replay, TableId, is_own_property};

use super::catalog::{Catalog, OLAP, VIEW};
pub use super::decision::Translated;
use super::decision::{reason_for_snapshot, reason_to_skip, skip, snapshot, sql};
use super::layout::Layouts;
use super::sqltext;
use partitions::{add_partition, bucket_num, drop_partition, modify_partitions, truncated};

/// What the world looks like at the record.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Names.
    pub catalog: &'a Catalog,
    /// Places.
    pub layouts: &'a Layouts,
}

/// Translates a record.
pub fn translate(binlog: &Binlog, view: &View<'_>) -> Translated {
    let names = view.catalog;
    match &binlog.record {
        Record::Upsert(r) => upsert(r, view),
        Record::AddPartition(r) => add_partition(r, view),
        Record::CreateTable(r) => create_table(r),
        Record::DropPartition(r) => drop_partition(r, names),
        Record::DropTable(r) => sql(Event::TableDropped(TableDropped {
            table: names.said(r.table_id, &r.table_name),
            is_view: r.is_view,
            force: r.is_force(),
        })),
        Record::AlterJob(r) => alter_job(r, names),
        Record::ModifyColumns(r) => modify_columns(r, names),
        Record::Dummy => skip(
            Event::StreamHead(StreamHead {
                forgotten: binlog.commit_seq,
            }),
            "the head of the stream changes nothing",
        ),
        Record::AlterDatabaseProperty(r) => skip(
            Event::DatabasePropertiesChanged(PropertiesChanged {
                table: TableRef {
                    id: TableId(-1),
                    name: String::new(),
                },
                properties: r.properties.iter().map(property).collect(),
            }),
            "properties of the database stay the destination's own",
        ),
        Record::ModifyTableProperty(r) => modify_property(r, names),
        Record::Barrier(r) => skip(
            Event::Barrier(TableFact {
                table: names.now(r.table_id, &r.table_name),
            }),
            "a backup passed here, nothing changed",
        ),
        Record::ModifyPartitions(r) => modify_partitions(r, view),
        Record::ReplacePartitions(r) => snapshot(
            Event::PartitionsReplaced(PartitionsReplaced {
                table: names.said(r.table_id, &r.table_name),
                partitions: r.partitions.clone(),
                temp_partitions: r.temp_partitions.clone(),
                strict_range: r.strict_range,
                use_temp_name: r.use_temp_partition_name,
            }),
            "the data was loaded into temporary partitions, which are not replicated",
        ),
        Record::TruncateTable(r) => truncated(r, names),
        Record::RenameTable(r) => rename(r, names, Renaming::Table),
        Record::RenameColumn(r) => sql(Event::ColumnRenamed(Renamed {
            table: names.now(r.table_id, ""),
            old: r.old.clone(),
            new: r.new.clone(),
        })),
        Record::ModifyComment(r) => sql(Event::CommentModified(CommentModified {
            table: names.now(r.table_id, ""),
            table_comment: r.table_comment.clone(),
            columns: r.columns.iter().map(property).collect(),
        })),
        Record::ModifyViewDef(r) => sql(Event::ViewRedefined(ViewRedefined {
            view: names.now(r.view_id, ""),
            definition: r.definition.clone(),
            comment: r.comment.clone(),
            columns: r.columns.iter().map(commented).collect(),
        })),
        Record::ReplaceTable(r) => sql(Event::TableReplaced(TableReplaced {
            original: names.said(r.original_id, &r.original_name),
            replacement: names.said(r.replacement_id, &r.replacement_name),
            swap: r.swap,
        })),
        Record::ModifyIndexes(r) => modify_indexes(r, names),
        Record::IndexChangeJob(r) => index_job(r, names),
        Record::RenameRollup(r) => rename(r, names, Renaming::Rollup),
        Record::RenamePartition(r) => rename(r, names, Renaming::Partition),
        Record::DropRollup(r) => sql(Event::RollupDropped(RollupDropped {
            table: names.now(r.table_id, &r.table_name),
            index_id: r.index_id,
            name: r.index_name.clone(),
        })),
        Record::RecoverInfo(r) => recovered(r),
        Record::ModifyBucketNum(r) => sql(bucket_num(r, names)),
        Record::ModifyDistributionType(r) => sql(Event::DistributionTypeModified(TableFact {
            table: names.now(r.table_id, ""),
        })),
        Record::Unknown { binlog_type } => not_supported(
            *binlog_type,
            &binlog.table_ids,
            names,
            format!(
                "binlog type {binlog_type} is not known to this release; update producer and applier, or skip position {} \
                 in the job",
                binlog.commit_seq
            ),
        ),
    }
}

/// The event of a record that could not be read.
pub fn unreadable(raw: &RawBinlog, why: &str, catalog: &Catalog) -> Translated {
    not_supported(
        raw.binlog_type,
        &raw.table_ids,
        catalog,
        format!(
            "cannot read the record at position {}: {why}; report it, or skip the position in the job",
            raw.commit_seq
        ),
    )
}

fn upsert(r: &Upsert, view: &View<'_>) -> Translated {
    let event = view.layouts.place(r, view.catalog);
    let replay = if event.tables.is_empty() {
        reason_to_skip("only asynchronous materialized views were written")
    } else if event
        .tables
        .iter()
        .flat_map(|table| &table.partitions)
        .all(|partition| partition.is_temp)
    {
        reason_to_skip("only temporary partitions were written")
    } else {
        Replay::Transaction
    };
    Translated {
        event: Event::RowsetsCommitted(event),
        replay,
    }
}

fn create_table(r: &CreateTable) -> Translated {
    let event = Event::TableCreated(TableCreated {
        table: TableRef {
            id: r.table_id,
            name: match r.table_name.as_str() {
                "" => sqltext::created_name(&r.sql).unwrap_or_default(),
                name => name.to_owned(),
            },
        },
        table_type: r.kind().to_owned(),
        sql: r.sql.clone(),
        properties: r.properties.iter().map(property).collect(),
    });
    // The kind is a text of the source; what is neither table nor view is not replicated.
    let replay = if r.kind() == VIEW {
        Replay::Sql
    } else if r.kind() != OLAP {
        reason_to_skip(&format!("objects of type {} are not replicated", r.kind()))
    } else if sqltext::defines_inverted_index(&r.sql) {
        reason_for_snapshot(
            "the table has an inverted index, whose id is part of the data files and must be the source's",
        )
    } else {
        Replay::Sql
    };
    Translated { event, replay }
}

fn alter_job(r: &AlterJob, names: &Catalog) -> Translated {
    let event = Event::AlterJobChanged(AlterJobChanged {
        table: names.now(r.table_id, &r.table_name),
        job_type: r.kind.clone(),
        job_id: r.job_id,
        state: r.job_state.clone(),
        sql: r.raw_sql.clone(),
        shadow_indexes: r
            .shadow_indexes
            .iter()
            .map(|(shadow, origin)| ShadowIndex {
                shadow: *shadow,
                origin: *origin,
            })
            .collect(),
        rollup: (r.rollup_index_id > 0).then_some(ShadowIndex {
            shadow: IndexId(r.rollup_index_id),
            origin: IndexId(r.base_index_id),
        }),
        rollup_name: r.rollup_index_name.clone(),
    });
    let replay = match (r.kind.as_str(), r.job_state.as_str()) {
        ("SCHEMA_CHANGE", "FINISHED") => {
            reason_for_snapshot("a schema change rewrote the table's data")
        }
        ("ROLLUP", "FINISHED") => reason_for_snapshot("a rollup was built over the table's data"),
        (_, "PENDING" | "WAITING_TXN" | "RUNNING") => reason_to_skip("the job is not finished"),
        (_, "CANCELLED") => reason_to_skip("the job was cancelled"),
        ("DECOMMISSION_BACKEND", "FINISHED") => {
            reason_to_skip("tablets moved, data did not change")
        }
        (kind, state) => Replay::Halt {
            reason: format!(
                "a job of type {kind} in state {state} is not known to this release; re-sync the table, or skip the position \
                 in the job"
            ),
        },
    };
    Translated { event, replay }
}

fn modify_columns(r: &ModifyColumns, names: &Catalog) -> Translated {
    let table = names.now(r.table_id, "");
    let present = r.base_columns(&table.name);
    let statement = present.iter().fold(r.raw_sql.clone(), |sql, column| {
        match column.on_update_digits() {
            Some(digits) => with_on_update(&sql, &column.name, digits),
            None => sql,
        }
    });
    let columns = present
        .iter()
        .filter(|column| column.visible)
        .map(|column| column.name.clone())
        .collect();
    sql(Event::ColumnsChanged(ColumnsChanged {
        table,
        sql: statement,
        columns,
    }))
}

fn modify_property(r: &ModifyTableProperty, names: &Catalog) -> Translated {
    let properties: Vec<Property> = r
        .properties
        .iter()
        .filter(|(key, _)| !is_own_property(key))
        .map(property)
        .collect();
    let nothing_left = properties.is_empty();
    let event = Event::TablePropertiesChanged(PropertiesChanged {
        table: names.now(r.table_id, &r.table_name),
        properties,
    });
    let switched_off = r
        .properties
        .get("binlog.enable")
        .is_some_and(|value| value.eq_ignore_ascii_case("false"));
    let replay = if switched_off {
        Replay::Halt {
            reason: "the table's binlog was switched off at the source, so its changes are not recorded; switch it on and sync \
                     the table again"
                .to_owned(),
        }
    } else if nothing_left {
        reason_to_skip("only properties changed that stay the destination's own")
    } else {
        Replay::Sql
    };
    Translated { event, replay }
}

#[derive(Clone, Copy)]
enum Renaming {
    Table,
    Rollup,
    Partition,
}

fn rename(r: &TableInfo, names: &Catalog, what: Renaming) -> Translated {
    let (old, new) = match what {
        Renaming::Table => (&r.old_table, &r.new_table),
        Renaming::Rollup => (&r.old_rollup, &r.new_rollup),
        Renaming::Partition => (&r.old_partition, &r.new_partition),
    };
    let table = match what {
        Renaming::Table => names.said(r.table_id, old),
        Renaming::Rollup | Renaming::Partition => names.now(r.table_id, ""),
    };
    let old = match what {
        Renaming::Table => table.name.clone(),
        Renaming::Rollup | Renaming::Partition => old.clone(),
    };
    let replay = if old.is_empty() {
        reason_for_snapshot("the source did not report the old name")
    } else if old == *new {
        reason_to_skip("the name is known already")
    } else {
        Replay::Sql
    };
    let renamed = Renamed {
        table,
        old,
        new: new.clone(),
    };
    let event = match what {
        Renaming::Table => Event::TableRenamed(renamed),
        Renaming::Rollup => Event::RollupRenamed(renamed),
        Renaming::Partition => Event::PartitionRenamed(renamed),
    };
    Translated { event, replay }
}

fn modify_indexes(r: &ModifyIndexes, names: &Catalog) -> Translated {
    let event = Event::IndexesChanged(IndexesChanged {
        table: names.now(r.table_id, ""),
        dropped: r.is_drop,
        names: r.altered.iter().map(|index| index.name.clone()).collect(),
        sql: r.raw_sql.clone(),
    });
    let replay = if r.is_drop {
        Replay::Sql
    } else {
        reason_for_snapshot(
            "an added index needs the source's index id, which a statement cannot set",
        )
    };
    Translated { event, replay }
}

fn index_job(r: &IndexChangeJob, names: &Catalog) -> Translated {
    let event = Event::IndexJobChanged(IndexJobChanged {
        table: names.now(r.table_id, &r.table_name),
        partition: PartitionRef {
            id: r.partition_id,
            name: r.partition_name.clone(),
        },
        state: r.job_state.clone(),
        is_drop: r.is_drop,
        names: r.indexes.iter().map(|index| index.name.clone()).collect(),
    });
    let replay = match (r.job_state.as_str(), r.is_drop) {
        ("FINISHED", false) => reason_for_snapshot(
            "the files of a built index bear the source's index id, which a statement cannot set",
        ),
        ("FINISHED", true) => reason_to_skip("files of a dropped index were removed"),
        ("WAITING_TXN" | "RUNNING", _) => reason_to_skip("the job is not finished"),
        ("CANCELLED", _) => reason_to_skip("the job was cancelled"),
        (state, _) => Replay::Halt {
            reason: format!(
                "an index job in state {state} is not known to this release; re-sync the table, or skip the position in the \
                 job"
            ),
        },
    };
    Translated { event, replay }
}

fn recovered(r: &RecoverInfo) -> Translated {
    snapshot(
        Event::Recovered(Recovered {
            table: TableRef {
                id: r.table_id,
                name: r.table_now().to_owned(),
            },
            partition: r.partition_now().map(|(id, name)| PartitionRef {
                id,
                name: name.to_owned(),
            }),
        }),
        "recovered data has no transactions that could be repeated",
    )
}

fn commented(column: &Column) -> Property {
    Property {
        key: column.name.clone(),
        value: column.comment.clone(),
    }
}

fn property((key, value): (&String, &String)) -> Property {
    Property {
        key: key.clone(),
        value: value.clone(),
    }
}

fn not_supported(
    binlog_type: i32,
    tables: &[TableId],
    names: &Catalog,
    reason: String,
) -> Translated {
    Translated {
        event: Event::Unsupported(Unsupported {
            tables: tables.iter().map(|id| names.now(*id, "")).collect(),
            binlog_type,
            reason: reason.clone(),
        }),
        replay: Replay::Halt { reason },
    }
}

#[cfg(test)]
#[path = "translate_test.rs"]
mod tests;
