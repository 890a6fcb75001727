//! Columns of a rollup, and the hash of columns.

use crate::api::SqlError;
use dorisim_model::{Aggregation, Column, IndexMeta, IndexState, KeysModel, TableSchema};
use dorisim_sql::ast::RollupDef;

/// Columns of a rollup over the base columns.
pub fn rollup_schema(base: &TableSchema, def: &RollupDef) -> Result<TableSchema, SqlError> {
    let mut columns = Vec::new();
    for name in &def.columns {
        let column = base
            .visible()
            .find(|c| c.is_named(name))
            .ok_or_else(|| SqlError::analysis(format!("Column[{name}] does not exist")))?;
        columns.push(column.clone());
    }
    let all_keys = || {
        base.key_columns()
            .all(|key| columns.iter().any(|c| c.is_named(&key.name)))
    };
    match base.keys {
        KeysModel::Unique { .. } if !all_keys() => {
            return Err(SqlError::analysis(
                "Rollup should contains all unique keys in basetable",
            ));
        }
        KeysModel::Aggregate if !all_keys() => {
            if let Some(c) = columns.iter().find(|c| {
                matches!(
                    c.aggregation,
                    Some(Aggregation::Replace | Aggregation::ReplaceIfNotNull)
                )
            }) {
                return Err(SqlError::analysis(format!(
                    "Rollup should contains all keys if there is a REPLACE value: {}",
                    c.name
                )));
            }
        }
        KeysModel::Unique { .. } | KeysModel::Aggregate | KeysModel::Duplicate => {}
    }
    if base.keys == KeysModel::Duplicate {
        for (i, column) in columns.iter_mut().enumerate() {
            column.is_key = if def.keys.is_empty() {
                column.is_key || i == 0
            } else {
                def.keys.iter().any(|k| column.is_named(k))
            };
        }
    }
    if columns.windows(2).any(|w| !w[0].is_key && w[1].is_key) {
        return Err(SqlError::analysis(
            "Invalid column order. key should before all values.",
        ));
    }
    columns.extend(base.columns.iter().filter(|c| !c.visible).cloned());
    Ok(finish_schema(columns, base.keys.clone()))
}

pub(crate) fn finish_schema(columns: Vec<Column>, keys: KeysModel) -> TableSchema {
    let mut schema = TableSchema {
        columns,
        keys,
        schema_hash: 0,
        schema_version: 0,
        indexes: Default::default(),
    };
    schema.schema_hash = schema_hash(&schema);
    schema
}

/// A rollup of a table, without tablets.
pub fn rollup_meta(id: i64, base: &TableSchema, def: &RollupDef) -> Result<IndexMeta, SqlError> {
    let schema = rollup_schema(base, def)?;
    Ok(IndexMeta {
        id,
        name: def.name.clone(),
        schema_hash: schema.schema_hash,
        columns: schema.visible().map(|c| c.name.clone()).collect(),
        schema: Some(schema),
        state: IndexState::Normal,
        define: None,
        filter: None,
    })
}

/// A positive number that depends on the columns alone.
#[must_use]
pub fn schema_hash(schema: &TableSchema) -> i32 {
    let mut text = String::new();
    for c in &schema.columns {
        text.push_str(&format!("{}:{}:{};", c.name, c.data_type, c.is_key));
    }
    i32::try_from(crc32fast::hash(text.as_bytes()) >> 1)
        .unwrap_or(1)
        .max(1)
}
