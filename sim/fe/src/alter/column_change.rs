//! One column clause of ALTER TABLE applied to a table's columns, and whether it is light (metadata alone) or rewrites the data.

use crate::api::SqlError;
use crate::catalog::build;
use crate::catalog::show_create::column_clause;
use dorisim_model::{
    Aggregation, Column, DataType, DistributionKind, IndexMeta, KeysModel, OlapTable,
};
use dorisim_sql::ast::{self, AlterClause, ColumnPosition};

/// What a clause did.
#[derive(Debug)]
pub struct Change {
    /// Texts of the record's `rawSql`.
    pub texts: Vec<String>,
    /// The data has to be rewritten.
    pub heavy: bool,
}

fn light(texts: Vec<String>) -> Change {
    Change {
        texts,
        heavy: false,
    }
}

/// Applies one clause to the columns.
pub fn change_column(table: &mut OlapTable, clause: &AlterClause) -> Result<Change, SqlError> {
    match clause {
        AlterClause::AddColumn {
            column,
            position,
            rollup,
            ..
        } => add_to(table, column, position.as_ref(), rollup.as_deref()),
        AlterClause::AddColumns {
            columns, rollup, ..
        } => {
            let mut all = light(Vec::new());
            for column in columns {
                let one = add_to(table, column, None, rollup.as_deref())?;
                let clause = |text: &String| text.trim_start_matches("ADD COLUMN ").to_owned();
                all.texts.extend(one.texts.iter().map(clause));
                all.heavy |= one.heavy;
            }
            // The list names the rollup once, behind it.
            let place = rollup
                .as_ref()
                .map_or_else(String::new, |r| format!(" IN `{r}`"));
            let list: Vec<&str> = all
                .texts
                .iter()
                .map(|text| text.strip_suffix(place.as_str()).unwrap_or(text))
                .collect();
            all.texts = vec![format!("ADD COLUMN ({}){place}", list.join(", "))];
            Ok(all)
        }
        AlterClause::DropColumn {
            name,
            rollup: Some(rollup),
            ..
        } => drop_from_rollup(table, name, rollup),
        AlterClause::DropColumn {
            name, rollup: None, ..
        } => drop_column(table, name),
        AlterClause::ModifyColumn {
            column, position, ..
        } => modify_column(table, column, position.as_ref()),
        AlterClause::OrderBy {
            columns,
            rollup: Some(rollup),
            ..
        } => order_rollup(table, columns, rollup),
        AlterClause::OrderBy {
            columns,
            rollup: None,
            ..
        } => order_by(table, columns),
        _ => Err(SqlError::analysis("not a change of columns")),
    }
}

/// The partition, the distribution or the sequence stands on it.
fn is_needed(table: &OlapTable, column: &Column) -> bool {
    let partition = table.partition_kind.columns();
    partition.iter().any(|c| column.is_named(c))
        || matches!(&table.distribution.kind, DistributionKind::Hash(columns) if columns.iter().any(|c| column.is_named(c)))
        || matches!(&table.schema.keys, KeysModel::Unique { sequence_col: Some(c), .. } if column.is_named(c))
}

fn rollup_mut<'a>(table: &'a mut OlapTable, name: &str) -> Result<&'a mut IndexMeta, SqlError> {
    let missing = format!("Index[{name}] does not exist in table[{}]", table.name);
    table
        .indexes
        .iter_mut()
        .skip(1)
        .find(|i| i.name.eq_ignore_ascii_case(name))
        .ok_or_else(|| SqlError::analysis(missing))
}

/// A column for the base index and, with `TO rollup`, for the rollup too.
fn add_to(
    table: &mut OlapTable,
    def: &ast::ColumnDef,
    position: Option<&ColumnPosition>,
    rollup: Option<&str>,
) -> Result<Change, SqlError> {
    let Some(name) = rollup else {
        return add_column(table, def, position);
    };
    rollup_mut(table, name)?;
    let mut change = add_column(table, def, position)?;
    if let Some(text) = change.texts.last_mut() {
        text.push_str(&format!(" IN `{name}`"));
    }
    let column = table.schema.column(&def.name).cloned();
    let index = rollup_mut(table, name)?;
    if let (Some(column), Some(schema)) = (column, &mut index.schema) {
        index.columns.push(column.name.clone());
        let keys = schema.key_columns().count();
        let values = schema.columns.iter().take_while(|c| c.visible).count();
        let at = if column.is_key { keys } else { values };
        schema.columns.insert(at, column);
        schema.schema_version += 1;
    }
    Ok(change)
}

/// `DROP COLUMN c FROM r`: the base keeps the column.
fn drop_from_rollup(table: &mut OlapTable, name: &str, rollup: &str) -> Result<Change, SqlError> {
    let index = rollup_mut(table, rollup)?;
    let missing = || SqlError::analysis(format!("Column does not exists: {name}"));
    let schema = index.schema.as_mut().ok_or_else(missing)?;
    let at = schema.position(name).ok_or_else(missing)?;
    let column = schema.columns[at].clone();
    if !column.visible {
        return Err(missing());
    }
    if column.is_key {
        if schema.keys.is_unique() {
            return Err(SqlError::analysis(
                "Can not drop key column in Unique data model table",
            ));
        }
        if schema.columns.iter().any(replaces) {
            return Err(SqlError::analysis(format!(
                "Can not drop key column when rollup has value column with REPLACE aggregation method, rollup: {rollup}"
            )));
        }
        if schema.key_columns().count() == 1 {
            return Err(SqlError::analysis("There is no key column left"));
        }
    }
    schema.columns.remove(at);
    schema.schema_version += 1;
    index.columns.retain(|c| !c.eq_ignore_ascii_case(name));
    Ok(Change {
        texts: vec![format!("DROP COLUMN `{name}` FROM `{}`", index.name)],
        heavy: column.is_key,
    })
}

/// A column of which the last value counts.
fn replaces(column: &Column) -> bool {
    matches!(
        column.aggregation,
        Some(Aggregation::Replace | Aggregation::ReplaceIfNotNull)
    )
}

fn drop_column(table: &mut OlapTable, name: &str) -> Result<Change, SqlError> {
    let at = table
        .schema
        .position(name)
        .ok_or_else(|| SqlError::analysis(format!("Column does not exists: {name}")))?;
    let column = table.schema.columns[at].clone();
    if is_needed(table, &column) || !column.visible {
        return Err(SqlError::analysis(format!(
            "Column {name} is needed by the table and can not be dropped"
        )));
    }
    if column.is_key {
        match table.schema.keys {
            KeysModel::Unique { .. } => {
                return Err(SqlError::analysis(
                    "Can not drop key column in Unique data model table",
                ));
            }
            KeysModel::Aggregate if table.schema.columns.iter().any(replaces) => {
                return Err(SqlError::analysis(
                    "Can not drop key column when table has value column with REPLACE aggregation method",
                ));
            }
            KeysModel::Aggregate | KeysModel::Duplicate => {}
        }
        if table.schema.key_columns().count() == 1 {
            return Err(SqlError::analysis("There is no key column left"));
        }
    }
    let quoted = format!("`{}`", column.name);
    let in_view = |c: &Column| c.generated.as_deref().is_some_and(|g| g.contains(&quoted));
    let of_rollups = table.indexes.iter().filter_map(|i| i.schema.as_ref());
    if of_rollups.flat_map(|s| &s.columns).any(in_view) {
        return Err(SqlError::analysis(format!(
            "Can not drop column {name}, it is used by a materialized view"
        )));
    }
    table.schema.columns.remove(at);
    for index in &mut table.indexes {
        if let Some(schema) = &mut index.schema {
            schema.columns.retain(|c| c.unique_id != column.unique_id);
            index.columns.retain(|c| !column.is_named(c));
        }
    }
    Ok(Change {
        texts: vec![format!("DROP COLUMN `{}`", column.name)],
        heavy: column.is_key,
    })
}

fn with_position(mut text: String, position: Option<&ColumnPosition>) -> String {
    match position {
        None => {}
        Some(ColumnPosition::First) => text.push_str(" FIRST"),
        Some(ColumnPosition::After(name)) => text.push_str(&format!(" AFTER `{name}`")),
    }
    text
}

fn add_column(
    table: &mut OlapTable,
    def: &ast::ColumnDef,
    position: Option<&ColumnPosition>,
) -> Result<Change, SqlError> {
    let schema = &mut table.schema;
    if schema.column(&def.name).is_some() {
        return Err(SqlError::analysis(format!(
            "Can not add column which already exists in base table: {}",
            def.name
        )));
    }
    let mut column: Column = build::column(def)?;
    if !column.nullable
        && column.default.is_none()
        && !column.data_type.is_numeric()
        && column.generated.is_none()
    {
        return Err(SqlError::analysis(format!(
            "Column {} is not nullable and needs a default",
            def.name
        )));
    }
    match schema.keys {
        KeysModel::Unique { .. } if column.is_key && column.aggregation.is_some() => {
            return Err(SqlError::analysis(format!(
                "Can not assign aggregation method on column in Unique data model table: {}",
                column.name
            )));
        }
        KeysModel::Aggregate if column.aggregation.is_none() => column.is_key = true,
        KeysModel::Unique { .. } | KeysModel::Duplicate | KeysModel::Aggregate => {}
    }
    column.aggregation = match schema.keys {
        _ if column.is_key => None,
        KeysModel::Duplicate => None,
        KeysModel::Unique { mow, .. } => (!mow).then_some(Aggregation::Replace),
        KeysModel::Aggregate => column.aggregation,
    };
    table.max_column_unique_id += 1;
    column.unique_id = table.max_column_unique_id;
    column.copied = true;
    let at = place_of(table, position, column.is_key)?;
    let text = format!("ADD COLUMN {}", column_clause(&column));
    let heavy = column.is_key;
    table.schema.columns.insert(at, column);
    Ok(Change {
        texts: vec![with_position(text, position)],
        heavy,
    })
}

/// Where a column goes: keys among the keys, values behind them.
fn place_of(
    table: &OlapTable,
    position: Option<&ColumnPosition>,
    is_key: bool,
) -> Result<usize, SqlError> {
    let columns = &table.schema.columns;
    let keys = columns.iter().filter(|c| c.is_key).count();
    let at = match position {
        None if is_key => keys,
        None => columns
            .iter()
            .position(|c| !c.visible)
            .unwrap_or(columns.len()),
        Some(ColumnPosition::First) => 0,
        Some(ColumnPosition::After(name)) => {
            1 + table
                .schema
                .position(name)
                .ok_or_else(|| SqlError::analysis(format!("Column[{name}] does not found")))?
        }
    };
    Ok(if is_key { at.min(keys) } else { at.max(keys) })
}

fn modify_column(
    table: &mut OlapTable,
    def: &ast::ColumnDef,
    position: Option<&ColumnPosition>,
) -> Result<Change, SqlError> {
    let at = table
        .schema
        .position(&def.name)
        .ok_or_else(|| SqlError::analysis(format!("Column[{}] does not exists", def.name)))?;
    let old = table.schema.columns[at].clone();
    let mut new = build::column(def)?;
    new.is_key = old.is_key;
    new.unique_id = old.unique_id;
    new.visible = old.visible;
    new.name.clone_from(&old.name);
    new.auto_inc = new.auto_inc.or(old.auto_inc);
    if table.schema.keys == KeysModel::Aggregate && !old.is_key {
        if new.aggregation.is_some() && new.aggregation != old.aggregation {
            return Err(SqlError::analysis(
                "Can not change aggregation type of a column",
            ));
        }
    } else if new.aggregation.is_some() {
        return Err(SqlError::analysis(format!(
            "Can not assign aggregation method on column {}",
            old.name
        )));
    }
    new.aggregation = old.aggregation;
    if old.nullable && !new.nullable {
        return Err(SqlError::analysis(format!(
            "Can not change from nullable to non-nullable, column={}",
            old.name
        )));
    }
    let retyped = new.data_type != old.data_type;
    if retyped && is_needed(table, &old) {
        return Err(SqlError::analysis(format!(
            "Can not modify partition or distribution column[{}]",
            old.name
        )));
    }
    if retyped && !is_convertible(&old.data_type, &new.data_type) {
        return Err(SqlError::analysis(format!(
            "Can not change {} to {}",
            old.data_type, new.data_type
        )));
    }
    // A longer VARCHAR of a value column is a change of the metadata alone.
    let grows = matches!((&old.data_type, &new.data_type), (DataType::Varchar(a), DataType::Varchar(b)) if a <= b);
    let rewrites = retyped && (old.is_key || !grows);
    let heavy = rewrites || old.nullable != new.nullable || position.is_some();
    let text = format!("MODIFY COLUMN {}", column_clause(&new));
    for schema in table.indexes.iter_mut().filter_map(|i| i.schema.as_mut()) {
        for column in &mut schema.columns {
            if column.unique_id == new.unique_id && column.generated.is_none() {
                column.data_type.clone_from(&new.data_type);
                column.nullable = new.nullable;
            }
        }
    }
    table.schema.columns.remove(at);
    let to = match position {
        None => at,
        Some(_) => place_of(table, position, new.is_key)?,
    };
    table.schema.columns.insert(to, new);
    Ok(Change {
        texts: vec![with_position(text, position)],
        heavy,
    })
}

/// Integers do not shrink; nested and aggregate types stay what they are.
fn is_convertible(from: &DataType, to: &DataType) -> bool {
    const INTEGERS: [DataType; 5] = [
        DataType::TinyInt,
        DataType::SmallInt,
        DataType::Int,
        DataType::BigInt,
        DataType::LargeInt,
    ];
    let rank = |ty: &DataType| INTEGERS.iter().position(|known| known == ty);
    let plain = |ty: &DataType| {
        ty.is_numeric()
            || matches!(
                ty,
                DataType::Date
                    | DataType::DateTime(_)
                    | DataType::Char(_)
                    | DataType::Varchar(_)
                    | DataType::String
                    | DataType::Json
            )
    };
    match (rank(from), rank(to)) {
        (Some(a), Some(b)) => a <= b,
        _ => match (from, to) {
            (
                DataType::Varchar(a) | DataType::Char(a),
                DataType::Varchar(b) | DataType::Char(b),
            ) => a <= b,
            _ => plain(from) && plain(to),
        },
    }
}

/// Columns of an index in another order; hidden ones stay at the end.
fn reordered(columns: &[Column], names: &[String]) -> Result<Vec<Column>, SqlError> {
    let visible = columns.iter().filter(|c| c.visible);
    if names.len() != visible.clone().count() {
        return Err(SqlError::analysis(
            "Reorder stmt should contains all columns",
        ));
    }
    let mut ordered: Vec<Column> = Vec::with_capacity(columns.len());
    for name in names {
        let column = visible
            .clone()
            .find(|c| c.is_named(name))
            .ok_or_else(|| SqlError::analysis(format!("Column[{name}] not exists")))?;
        if ordered.iter().any(|c| c.is_named(name)) {
            return Err(SqlError::analysis(format!("Duplicated column[{name}]")));
        }
        if column.is_key && ordered.iter().any(|c| !c.is_key) {
            return Err(SqlError::analysis(
                "Invalid column order. key should before all values.",
            ));
        }
        ordered.push(column.clone());
    }
    ordered.extend(columns.iter().filter(|c| !c.visible).cloned());
    Ok(ordered)
}

fn order_by(table: &mut OlapTable, names: &[String]) -> Result<Change, SqlError> {
    table.schema.columns = reordered(&table.schema.columns, names)?;
    Ok(order_change(names, ""))
}

/// `ORDER BY (...) FROM r`.
fn order_rollup(table: &mut OlapTable, names: &[String], rollup: &str) -> Result<Change, SqlError> {
    let index = rollup_mut(table, rollup)?;
    let from = format!(" IN `{}`", index.name);
    if let Some(schema) = &mut index.schema {
        schema.columns = reordered(&schema.columns, names)?;
        schema.schema_version += 1;
        index.columns = names.to_vec();
    }
    Ok(order_change(names, &from))
}

fn order_change(names: &[String], from: &str) -> Change {
    let list: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
    Change {
        texts: vec![format!("ORDER BY {}{from}", list.join(", "))],
        heavy: true,
    }
}
