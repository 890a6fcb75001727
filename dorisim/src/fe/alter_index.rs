//! ALTER TABLE: secondary indexes.

use super::alter_job::light_change;
use super::api::SqlError;
use super::build;
use super::frontend::Frontend;
use super::index_job;
use super::record;
use super::schema_change::submit_schema_change;
use super::state::FeState;
use crate::model::SecondaryIndex;
use crate::sql::ast;

/// Inverted indexes come and go with the metadata; the others are part of the segment files.
fn is_light(index: &SecondaryIndex) -> bool {
    ["INVERTED", "ANN"]
        .iter()
        .any(|kind| index.kind.eq_ignore_ascii_case(kind))
}

impl Frontend {
    pub(super) fn change_index(
        &self,
        db: &str,
        name: &str,
        add: Option<ast::IndexDef>,
        drop: Option<String>,
        if_exists: bool,
    ) -> Result<(), SqlError> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let indexes = &state.table(db, name)?.secondary;
        let find = |wanted: &str| {
            indexes
                .iter()
                .position(|i| i.name.eq_ignore_ascii_case(wanted))
        };
        if let Some(def) = add {
            if find(&def.name).is_some() {
                return if def.if_not_exists {
                    Ok(())
                } else {
                    Err(SqlError::analysis(format!(
                        "index `{}` already exist.",
                        def.name
                    )))
                };
            }
            let schema = state.table(db, name)?.schema.clone();
            let index = build::secondary_index(state, &def, &schema)?;
            return self.put_index(state, (db, name), index, false);
        }
        let wanted = drop.unwrap_or_default();
        match find(&wanted).map(|at| indexes[at].clone()) {
            Some(index) => self.put_index(state, (db, name), index, true),
            None if if_exists => Ok(()),
            None => Err(SqlError::analysis(format!("index {wanted} does not exist"))),
        }
    }

    fn put_index(
        &self,
        state: &mut FeState,
        (db, name): (&str, &str),
        index: SecondaryIndex,
        is_drop: bool,
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let db_id = state.db(db)?.id;
        let raw = if is_drop {
            format!("ALTER TABLE `{db}`.`{name}` DROP INDEX {}", index.name)
        } else {
            let columns: Vec<String> = index.columns.iter().map(|c| format!("`{c}`")).collect();
            format!(
                "ALTER TABLE `{db}`.`{name}` ADD INDEX {} ({}) USING {}",
                index.name,
                columns.join(", "),
                index.kind
            )
        };
        let change = |list: &mut Vec<SecondaryIndex>| {
            if is_drop {
                list.retain(|i| i.id != index.id);
            } else {
                list.push(index.clone());
            }
        };
        if !is_light(&index) {
            let mut changed = state.table(db, name)?.clone_shape();
            change(&mut changed.secondary);
            changed.refresh_indexes();
            changed.schema.schema_version += 1;
            return submit_schema_change(state, db_id, name, changed, raw, now);
        }
        let job_id = state.new_id();
        let table = state.table_mut(db, name)?;
        change(&mut table.secondary);
        table.refresh_indexes();
        let record = record::alter_indexes(
            db_id,
            table,
            std::slice::from_ref(&index),
            is_drop,
            job_id,
            &raw,
        );
        let table_id = table.id;
        let base = [table.base_index_id()];
        let job = light_change(table, &base, (db_id, job_id), &raw, now);
        state.alters.submit(job);
        state.emit(record, now);
        // What a dropped index left in the data is removed partition by partition.
        if is_drop {
            index_job::submit(state, db_id, table_id, &[], &index, true, now);
        }
        Ok(())
    }
}
