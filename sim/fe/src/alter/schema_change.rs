//! From the changed columns, indexes and properties of a table to the job that rewrites its data.

use crate::alter::job::{AlterJob, AlterKind, AlterState, Attached, SHADOW_PREFIX};
use crate::api::SqlError;
use crate::binlog::record;
use crate::state::FeState;
use dorisim_model::{IndexMeta, IndexState, OlapTable, TableState};

/// Takes in the job that brings `table` to the columns of `changed`, with its PENDING record.
pub fn submit_schema_change(
    state: &mut FeState,
    db_id: i64,
    name: &str,
    mut changed: OlapTable,
    raw_sql: String,
    now: i64,
) -> Result<(), SqlError> {
    changed.schema.schema_hash = crate::catalog::rollup_schema::schema_hash(&changed.schema);
    let old: Vec<IndexMeta> = changed.indexes.clone();
    let (before, attached, base_stays) = {
        let db = state.catalog.databases.get(&db_id);
        let table = db
            .and_then(|d| d.table(name))
            .ok_or_else(|| SqlError::unknown_table(name))?;
        let attached = Attached::between(table, &changed);
        let base_stays =
            table.schema.columns == changed.schema.columns && attached == Attached::default();
        (table.indexes.clone(), attached, base_stays)
    };
    let mut pairs = Vec::new();
    for (at, index) in old.into_iter().enumerate() {
        let origin = index.id;
        let same = before
            .iter()
            .any(|b| b.id == origin && b.schema == index.schema);
        if same && (at > 0 || base_stays) {
            continue;
        }
        let mut schema = index.schema.unwrap_or_else(|| changed.schema.clone());
        schema.schema_hash = crate::catalog::rollup_schema::schema_hash(&schema);
        pairs.push((
            IndexMeta {
                id: state.new_id(),
                name: format!("{SHADOW_PREFIX}{}", index.name),
                schema_hash: schema.schema_hash,
                columns: index.columns,
                schema: Some(schema),
                state: IndexState::Shadow,
                define: index.define,
                filter: index.filter,
            },
            origin,
        ));
    }
    if pairs.is_empty() {
        return Err(SqlError::analysis(
            "Nothing is changed. please check your alter stmt.",
        ));
    }
    let job = AlterJob {
        id: state.new_id(),
        db_id,
        table_id: changed.id,
        table: name.to_owned(),
        raw_sql,
        kind: AlterKind::SchemaChange {
            schema: Box::new(changed.schema),
            max_unique_id: changed.max_column_unique_id,
            pairs,
            attached,
        },
        state: AlterState::Pending,
        txn_id: -1,
        create_ms: now,
        finish_ms: -1,
        message: String::new(),
    };
    if let Some(table) = state.table_by_id_mut(db_id, job.table_id) {
        table.state = TableState::SchemaChange;
    }
    state.emit(record::alter_job(&job), now);
    state.alters.submit(job);
    Ok(())
}
