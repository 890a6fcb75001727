//! SHOW PROC below a table: partitions with their indexes and tablets, columns, secondary indexes.

use super::objects::partitions;
use super::tablets::{TABLET_COLUMNS, tablet_rows};
use crate::mysql::session::SqlSession;
use crate::mysql::words::default_text;
use dorisim_model::SqlError;
use dorisim_model::{Column, KeysModel, OlapTable};
use dorisim_query::ResultSet;
use dorisim_sql::ast::ObjectName;

/// What stands at `/dbs/<db>/<table>/<path>`; `None` when nothing does.
pub(super) fn below(
    session: &SqlSession,
    db: i64,
    table: i64,
    path: &[&str],
) -> Result<Option<ResultSet>, SqlError> {
    if let [kind @ ("partitions" | "temp_partitions")] = path {
        let name = session.frontend().with_catalog(|catalog| {
            let db = catalog.databases.get(&db)?;
            Some(ObjectName::in_db(&db.name, &db.tables.get(&table)?.name))
        });
        return match name {
            None => Ok(None),
            Some(name) => partitions(session, *kind == "temp_partitions", &name).map(Some),
        };
    }
    Ok(session.frontend().with_catalog(|catalog| {
        let table = catalog.databases.get(&db)?.tables.get(&table)?;
        let id = |text: &str| text.parse::<i64>().ok();
        match path {
            [] => {
                let mut answer = ResultSet::of_text(&["Nodes"]);
                for node in ["partitions", "temp_partitions", "index_schema", "indexes"] {
                    answer.push(vec![node.to_owned()]);
                }
                Some(answer)
            }
            ["indexes"] => Some(secondary(table)),
            ["index_schema"] => Some(index_schemas(table)),
            ["index_schema", index] => columns(table, id(index)?),
            ["partitions" | "temp_partitions", partition] => {
                let partition = table.partitions.get(&id(partition)?)?;
                let mut answer = ResultSet::of_text(&[
                    "IndexId",
                    "IndexName",
                    "State",
                    "LastConsistencyCheckTime",
                ]);
                for index in &partition.indexes {
                    let meta = table.indexes.iter().find(|meta| meta.id == index.id);
                    answer.push(vec![
                        index.id.to_string(),
                        meta.map_or_else(String::new, |meta| meta.name.clone()),
                        "NORMAL".to_owned(),
                        "\\N".to_owned(),
                    ]);
                }
                Some(answer)
            }
            ["partitions" | "temp_partitions", partition, index] => {
                let partition = table.partitions.get(&id(partition)?)?;
                let wanted = id(index)?;
                let index = partition.indexes.iter().find(|i| i.id == wanted)?;
                let mut answer = ResultSet::of_text(&TABLET_COLUMNS);
                tablet_rows(table, index, &mut answer);
                Some(answer)
            }
            _ => None,
        }
    }))
}

fn secondary(table: &OlapTable) -> ResultSet {
    let mut answer = ResultSet::of_text(&[
        "Table",
        "IndexId",
        "NonUnique",
        "KeyName",
        "SeqInIndex",
        "ColumnName",
        "Collation",
        "Cardinality",
        "SubPart",
        "Packed",
        "Null",
        "IndexType",
        "Comment",
        "Properties",
    ]);
    for index in &table.secondary {
        let properties: Vec<_> = index
            .properties
            .iter()
            .map(|(key, value)| format!("\"{key}\" = \"{value}\""))
            .collect();
        let mut cells = vec![String::new(); answer.columns.len()];
        cells[0].clone_from(&table.name);
        cells[1] = index.id.to_string();
        cells[3].clone_from(&index.name);
        cells[5] = index.columns.join(",");
        cells[11].clone_from(&index.kind);
        cells[12].clone_from(&index.comment);
        cells[13] = format!("({})", properties.join(", "));
        answer.push(cells);
    }
    answer
}

fn index_schemas(table: &OlapTable) -> ResultSet {
    let mut answer = ResultSet::of_text(&[
        "IndexId",
        "IndexName",
        "SchemaVersion",
        "SchemaHash",
        "ShortKeyColumnCount",
        "StorageType",
        "Keys",
    ]);
    for index in &table.indexes {
        let schema = table.index_schema(index.id);
        let keys: Vec<&str> = schema.key_columns().map(|c| c.name.as_str()).collect();
        let model = match &schema.keys {
            KeysModel::Duplicate => "DUP_KEYS",
            KeysModel::Unique { .. } => "UNIQUE_KEYS",
            KeysModel::Aggregate => "AGG_KEYS",
        };
        answer.push(vec![
            index.id.to_string(),
            index.name.clone(),
            schema.schema_version.to_string(),
            index.schema_hash.to_string(),
            keys.len().min(3).to_string(),
            "COLUMN".to_owned(),
            format!("{model}({})", keys.join(", ")),
        ]);
    }
    answer
}

fn columns(table: &OlapTable, index: i64) -> Option<ResultSet> {
    table.indexes.iter().find(|meta| meta.id == index)?;
    let mut answer = ResultSet::of_text(&["Field", "Type", "Null", "Key", "Default", "Extra"]);
    let row = |column: &Column| {
        vec![
            Some(column.name.clone()),
            Some(column.data_type.to_string()),
            Some(if column.nullable { "Yes" } else { "No" }.to_owned()),
            Some(column.is_key.to_string()),
            default_text(column),
            Some(String::new()),
        ]
    };
    let shown = table.index_schema(index).visible();
    answer.rows.extend(shown.map(row));
    Some(answer)
}
