//! What the destination looks like: read-only statements behind the judgement of changes.

use std::collections::BTreeSet;

use ccr_doris::error::Refusal;
use ccr_doris::{Error, Inspect, PartitionMeta, Row};
use ccr_schemas::TableId;

use crate::destination::Destination;
use crate::plan::checkpoint::PairFound;
use crate::plan::ddl::Effect;
use crate::plan::mapping::Layout;

/// Tables and views of a database.
pub async fn objects(dest: &dyn Destination, database: &str) -> Result<BTreeSet<String>, Error> {
    Ok(dest.objects(database).await?.into_iter().collect())
}

/// A table by name, with its partitions and tablets. `None` when there is no such table.
pub async fn layout(
    dest: &dyn Destination,
    database: &str,
    name: &str,
    id: Option<TableId>,
) -> Result<Option<Layout>, Error> {
    if let Some(id) = id
        && let Some(meta) = dest.get_meta(database, Some(&[id])).await?
        && let Some(table) = meta.tables.into_iter().find(|table| table.name == name)
    {
        return Ok(Some(Layout { table }));
    }
    let meta = dest.get_meta(database, None).await?;
    let table = meta.and_then(|meta| meta.tables.into_iter().find(|table| table.name == name));
    Ok(table.map(|table| Layout { table }))
}

/// True when the change is in effect; `None` when its shape does not tell.
pub async fn in_effect(
    dest: &dyn Destination,
    database: &str,
    effect: &Effect,
    evidence: Option<PairFound>,
) -> Result<Option<bool>, Error> {
    Ok(Some(match effect {
        Effect::Repeatable => return Ok(None),
        Effect::ObjectThere(name) => objects(dest, database).await?.contains(name),
        Effect::ObjectGone(name) => !objects(dest, database).await?.contains(name),
        Effect::ObjectRenamed { old, new } => {
            let there = objects(dest, database).await?;
            there.contains(new) && !there.contains(old)
        }
        Effect::Exchanged { original, .. } => match evidence {
            Some(PairFound::Both(before)) => {
                let now = layout(dest, database, original, None).await?;
                now.is_some_and(|layout| layout.table.id.0 != before)
            }
            // What is run instead has an effect of its own.
            None
            | Some(PairFound::ReplacementOnly | PairFound::OriginalOnly | PairFound::Neither) => {
                return Ok(None);
            }
        },
        Effect::PartitionThere { table, partition } => {
            partitions(dest, database, table).await?.contains(partition)
        }
        Effect::PartitionGone { table, partition } => {
            !partitions(dest, database, table).await?.contains(partition)
        }
        Effect::PartitionRenamed { table, old, new } => {
            let there = partitions(dest, database, table).await?;
            there.contains(new) && !there.contains(old)
        }
        Effect::ColumnsAre {
            table,
            columns: wanted,
        } => columns(dest, database, table).await?.as_slice() == wanted.as_slice(),
        Effect::ColumnRenamed { table, old, new } => {
            let there = columns(dest, database, table).await?;
            there.contains(new) && !there.contains(old)
        }
        Effect::IndexesGone { table, names } => {
            let sql = format!("SHOW INDEX FROM {}", crate::plan::ddl::quoted(table));
            let rows = dest.query(Some(database), &sql).await?;
            !rows.iter().any(|row| {
                names
                    .iter()
                    .any(|name| value(row, "Key_name") == Some(name))
            })
        }
        Effect::RollupGone { table, name } => !indexes(dest, database, table).await?.contains(name),
        Effect::RollupRenamed { table, old, new } => {
            let there = indexes(dest, database, table).await?;
            there.contains(new) && !there.contains(old)
        }
    }))
}

/// Which tables of an exchange are there.
pub async fn pair(
    dest: &dyn Destination,
    database: &str,
    original: &str,
    replacement: &str,
) -> Result<PairFound, Error> {
    let meta = dest.get_meta(database, None).await?.unwrap_or_default();
    let id = |name: &str| {
        let table = meta.tables.iter().find(|table| table.name == name);
        table.map(|table| table.id)
    };
    Ok(PairFound::of(id(original), id(replacement)))
}

/// Partitions of a table; none when the table is not there.
async fn partition_metas(
    dest: &dyn Destination,
    database: &str,
    table: &str,
) -> Result<Vec<PartitionMeta>, Error> {
    let layout = layout(dest, database, table, None).await?;
    Ok(layout.map_or_else(Vec::new, |layout| layout.table.partitions))
}

async fn partitions(
    dest: &dyn Destination,
    database: &str,
    table: &str,
) -> Result<BTreeSet<String>, Error> {
    let partitions = partition_metas(dest, database, table).await?;
    Ok(partitions.into_iter().map(|p| p.name).collect())
}

async fn indexes(
    dest: &dyn Destination,
    database: &str,
    table: &str,
) -> Result<BTreeSet<String>, Error> {
    let partitions = partition_metas(dest, database, table).await?;
    let indexes = partitions.into_iter().flat_map(|p| p.indexes);
    Ok(indexes.map(|index| index.name).collect())
}

/// Visible columns in order; none when the table is not there.
async fn columns(
    dest: &dyn Destination,
    database: &str,
    table: &str,
) -> Result<Vec<String>, Error> {
    let sql = format!("DESC {}", crate::plan::ddl::quoted(table));
    match dest.query(Some(database), &sql).await {
        Ok(rows) => Ok(rows
            .iter()
            .filter_map(|row| value(row, "Field").cloned())
            .filter(|name| !name.starts_with("__DORIS_"))
            .collect()),
        Err(error) if error.refusal() == Some(Refusal::UnknownTable) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// A column by name.
fn value<'a>(row: &'a Row, column: &str) -> Option<&'a String> {
    row.get(column).and_then(Option::as_ref)
}
