//! ALTER TABLE: secondary indexes.

use crate::alter::index_job_run;
use crate::alter::job::light_change;
use crate::alter::schema_change::submit_schema_change;
use crate::api::SqlError;
use crate::binlog::record;
use crate::catalog::build;
use crate::frontend::Frontend;
use crate::state::FeState;
use dorisim_model::catalog::Properties;
use dorisim_model::{OlapTable, SecondaryIndex};
use dorisim_sql::ast::AlterClause;

/// Inverted indexes come and go with the metadata; the others are part of the segment files.
fn is_light(index: &SecondaryIndex) -> bool {
    ["INVERTED", "ANN"]
        .iter()
        .any(|kind| index.kind.eq_ignore_ascii_case(kind))
}

/// What a clause does, and how it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Direction {
    is_drop: bool,
    alone: bool,
}

/// Indexes that come or go together, and the clauses as Doris prints them.
struct Batch {
    indexes: Vec<SecondaryIndex>,
    texts: Vec<String>,
}

impl Frontend {
    /// ADD INDEX and DROP INDEX clauses of one statement: light ones of the same direction are one record.
    pub(crate) fn change_indexes(
        &self,
        db: &str,
        name: &str,
        clauses: Vec<AlterClause>,
    ) -> Result<(), SqlError> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let table = state.table(db, name)?;
        no_temporary(table)?;
        let (schema, mut present) = (table.schema.clone(), table.secondary.clone());
        let mut batches: Vec<(Direction, Batch)> = Vec::new();
        let place = format!("`{db}`.`{name}`");
        for clause in clauses {
            let (direction, index, text) = match clause {
                AlterClause::AddIndex { index: def, alone } => {
                    if find(&present, &def.name).is_some() {
                        if def.if_not_exists {
                            continue;
                        }
                        return Err(SqlError::analysis(format!(
                            "index `{}` already exist.",
                            def.name
                        )));
                    }
                    let index = build::secondary_index(state, &def, &schema)?;
                    present.push(index.clone());
                    let text = added_text(&index, &def.properties, alone.then_some(&place));
                    (
                        Direction {
                            is_drop: false,
                            alone,
                        },
                        index,
                        text,
                    )
                }
                AlterClause::DropIndex {
                    name: wanted,
                    if_exists,
                    alone,
                } => match find(&present, &wanted) {
                    Some(at) => {
                        let index = present.remove(at);
                        let text = dropped_text(&index, alone.then_some(&place));
                        (
                            Direction {
                                is_drop: true,
                                alone,
                            },
                            index,
                            text,
                        )
                    }
                    None if if_exists => continue,
                    None => {
                        return Err(SqlError::analysis(format!("index {wanted} does not exist")));
                    }
                },
                _ => return Err(SqlError::analysis("not a change of indexes")),
            };
            match batches.last_mut() {
                Some((same, batch)) if *same == direction => {
                    batch.indexes.push(index);
                    batch.texts.push(text);
                }
                _ => {
                    let (indexes, texts) = (vec![index], vec![text]);
                    batches.push((direction, Batch { indexes, texts }));
                }
            }
        }
        for (direction, batch) in batches {
            self.put_indexes(state, (db, name), &batch, direction.is_drop)?;
        }
        Ok(())
    }

    fn put_indexes(
        &self,
        state: &mut FeState,
        (db, name): (&str, &str),
        batch: &Batch,
        is_drop: bool,
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let db_id = state.db(db)?.id;
        let raw = format!("ALTER TABLE `{db}`.`{name}` {}", batch.texts.join(", \n"));
        let batch = batch.indexes.as_slice();
        let change = |list: &mut Vec<SecondaryIndex>| {
            if is_drop {
                list.retain(|i| batch.iter().all(|b| b.id != i.id));
            } else {
                list.extend(batch.iter().cloned());
            }
        };
        if !batch.iter().all(is_light) {
            let mut changed = state.table(db, name)?.clone_shape();
            change(&mut changed.secondary);
            changed.schema.schema_version += 1;
            return submit_schema_change(state, db_id, name, changed, raw, now);
        }
        let job_id = state.new_id();
        let table = state.table_mut(db, name)?;
        change(&mut table.secondary);
        let record = record::alter_indexes(db_id, table, batch, is_drop, job_id, &raw);
        let table_id = table.id;
        let base = [table.base_index_id()];
        let job = light_change(table, &base, (db_id, job_id), &raw, now);
        state.alters.submit(job);
        state.emit(record, now);
        // What a dropped index left in the data is removed partition by partition.
        if is_drop {
            for index in batch {
                index_job_run::submit(state, db_id, table_id, &[], index, true, now);
            }
        }
        Ok(())
    }
}

fn find(indexes: &[SecondaryIndex], name: &str) -> Option<usize> {
    indexes
        .iter()
        .position(|i| i.name.eq_ignore_ascii_case(name))
}

/// ` ON table` of a clause that was a statement of its own.
fn on(table: Option<&String>) -> String {
    table.map_or_else(String::new, |table| format!(" ON {table}"))
}

fn dropped_text(index: &SecondaryIndex, table: Option<&String>) -> String {
    format!("DROP INDEX {}{}", index.name, on(table))
}

/// The clause as Doris prints it behind ALTER TABLE, which is no statement that could be executed: there is no ADD, and
/// CREATE and the table stand in those that were statements of their own.
fn added_text(index: &SecondaryIndex, declared: &Properties, table: Option<&String>) -> String {
    let create = if table.is_some() { "CREATE " } else { "" };
    let columns: Vec<String> = index.columns.iter().map(|c| format!("`{c}`")).collect();
    let list: Vec<String> = declared
        .iter()
        .map(|(key, value)| format!("\"{key}\"=\"{value}\""))
        .collect();
    let properties = if list.is_empty() {
        String::new()
    } else {
        format!(" PROPERTIES({})", list.join(", "))
    };
    format!(
        "{create}INDEX {}{} ({}) USING {}{properties} COMMENT '{}'",
        index.name,
        on(table),
        columns.join(","),
        index.kind,
        index.comment
    )
}

/// Temporary partitions have the columns of now: nothing about them changes meanwhile.
pub(crate) fn no_temporary(table: &OlapTable) -> Result<(), SqlError> {
    if table.partitions.values().any(|p| p.is_temp) {
        return Err(SqlError::analysis(
            "Can not alter table when there are temp partitions in table",
        ));
    }
    Ok(())
}
