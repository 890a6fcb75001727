//! Columns and indexes of one table.

use crate::mysql::session::SqlSession;
use crate::mysql::words::{default_text, passes};
use dorisim_model::SqlError;
use dorisim_model::{Column, IndexState, KeysModel, OlapTable};
use dorisim_query::ResultSet;
use dorisim_sql::ast::ObjectName;

/// What stands under `Extra` of DESC.
fn extra(column: &Column, table: &OlapTable, base: bool) -> String {
    let filtered = table
        .properties
        .get("bloom_filter_columns")
        .is_some_and(|list| list.split(',').any(|name| column.is_named(name.trim())));
    let parts = [
        (true, aggregation(column, &table.schema.keys).as_str()),
        (filtered, "BLOOM_FILTER"),
        (column.auto_inc.is_some(), "AUTO_INCREMENT"),
        // Columns of a view have an expression without being generated.
        (base && column.generated.is_some(), "STORED GENERATED"),
    ]
    .into_iter()
    .filter(|(shown, text)| *shown && !text.is_empty())
    .map(|(_, text)| text.to_owned())
    .collect::<Vec<_>>();
    parts.join(",")
}

/// The aggregation, `Extra` of SHOW COLUMNS.
fn aggregation(column: &Column, keys: &KeysModel) -> String {
    if let Some(aggregation) = column.aggregation {
        return aggregation.as_str().to_owned();
    }
    match (keys, column.is_key) {
        (KeysModel::Duplicate | KeysModel::Unique { .. }, false) => "NONE".to_owned(),
        (KeysModel::Duplicate | KeysModel::Unique { .. } | KeysModel::Aggregate, _) => {
            String::new()
        }
    }
}

fn yes_no(value: bool, yes: &str, no: &str) -> String {
    if value { yes } else { no }.to_owned()
}

/// DESC and DESC ALL.
pub(in crate::mysql) fn describe(
    session: &SqlSession,
    name: &ObjectName,
    all: bool,
) -> Result<ResultSet, SqlError> {
    let db = session.db_of(name.db.as_deref())?;
    let hidden = session.variable_is_on("show_hidden_columns");
    session.frontend().with_catalog(|catalog| {
        let database = catalog
            .database(&db)
            .ok_or_else(|| SqlError::unknown_db(&db))?;
        if let Some(table) = database.table(&name.name) {
            return Ok(if all {
                with_rollups(table, hidden)
            } else {
                plain(table, hidden)
            });
        }
        Err(SqlError::unknown_table(&name.name))
    })
}

/// SHOW PARTITIONS and SHOW DATA look a table up in a way of their own.
pub(super) fn not_found(table: &str) -> SqlError {
    SqlError::analysis(format!(
        "errCode = 7, detailMessage = table not found, tableName={table}"
    ))
}

fn plain(table: &OlapTable, hidden: bool) -> ResultSet {
    let mut answer = ResultSet::of_text(&["Field", "Type", "Null", "Key", "Default", "Extra"]);
    for column in table
        .schema
        .columns
        .iter()
        .filter(|column| hidden || column.visible)
    {
        answer.rows.push(vec![
            Some(column.name.clone()),
            Some(column.data_type.to_string()),
            Some(yes_no(column.nullable, "Yes", "No")),
            Some(column.is_key.to_string()),
            default_text(column),
            Some(extra(column, table, true)),
        ]);
    }
    answer
}

/// Base index and rollups; name and model of an index stand on its first row only.
fn with_rollups(table: &OlapTable, hidden: bool) -> ResultSet {
    let mut answer = ResultSet::of_text(&[
        "IndexName",
        "IndexKeysType",
        "Field",
        "Type",
        "InternalType",
        "Null",
        "Key",
        "Default",
        "Extra",
        "Visible",
        "DefineExpr",
        "WhereClause",
    ]);
    let shown = table
        .indexes
        .iter()
        .filter(|i| i.state == IndexState::Normal);
    for (at, index) in shown.enumerate() {
        let model = match &table.index_schema(index.id).keys {
            KeysModel::Duplicate => "DUP_KEYS",
            KeysModel::Unique { .. } => "UNIQUE_KEYS",
            KeysModel::Aggregate => "AGG_KEYS",
        };
        if at > 0 {
            answer.push(vec![String::new(); 12]);
        }
        let schema = table.index_schema(index.id);
        let columns: Vec<&Column> = schema
            .columns
            .iter()
            .filter(|column| hidden || column.visible)
            .collect();
        for (row, column) in columns.into_iter().enumerate() {
            let first = |text: &str| {
                if row == 0 {
                    text.to_owned()
                } else {
                    String::new()
                }
            };
            answer.rows.push(vec![
                Some(first(&index.name)),
                Some(first(model)),
                Some(column.name.clone()),
                Some(column.data_type.to_string()),
                Some(column.data_type.internal_name()),
                Some(yes_no(column.nullable, "Yes", "No")),
                Some(column.is_key.to_string()),
                default_text(column),
                Some(extra(column, table, at == 0)),
                Some(column.visible.to_string()),
                // Of generated columns the expression is not shown here, of the columns of a view it is.
                Some(match &column.generated {
                    Some(expression) if at > 0 => expression.clone(),
                    Some(_) | None => String::new(),
                }),
                Some(first(index.filter.as_deref().unwrap_or_default())),
            ]);
        }
    }
    answer
}

/// `SHOW [FULL] COLUMNS`.
pub(super) fn columns(
    session: &SqlSession,
    full: bool,
    name: &ObjectName,
    like: Option<&str>,
) -> Result<ResultSet, SqlError> {
    let db = session.db_of(name.db.as_deref())?;
    session.frontend().with_catalog(|catalog| {
        let database = catalog
            .database(&db)
            .ok_or_else(|| SqlError::unknown_db(&db))?;
        let table = database
            .table(&name.name)
            .ok_or_else(|| SqlError::unknown_table(&name.name))?;
        let mut answer = ResultSet::of_text(if full {
            &[
                "Field",
                "Type",
                "Collation",
                "Null",
                "Key",
                "Default",
                "Extra",
                "Privileges",
                "Comment",
            ]
        } else {
            &["Field", "Type", "Null", "Key", "Default", "Extra"]
        });
        let hidden = session.variable_is_on("show_hidden_columns");
        let columns = table.schema.columns.iter();
        for column in
            columns.filter(|column| (hidden || column.visible) && passes(&column.name, like))
        {
            let key = Some(yes_no(column.is_key, "YES", "NO"));
            let null = Some(yes_no(column.nullable, "YES", "NO"));
            let (field, kind) = (
                Some(column.name.clone()),
                Some(column.data_type.internal_name()),
            );
            let (default, extra) = (
                default_text(column),
                Some(aggregation(column, &table.schema.keys)),
            );
            answer.rows.push(if full {
                vec![
                    field,
                    kind,
                    Some(String::new()),
                    null,
                    key,
                    default,
                    extra,
                    Some(String::new()),
                    Some(column.comment.clone()),
                ]
            } else {
                vec![field, kind, null, key, default, extra]
            });
        }
        Ok(answer)
    })
}

/// SHOW INDEX.
pub(super) fn index(session: &SqlSession, name: &ObjectName) -> Result<ResultSet, SqlError> {
    let db = session.db_of(name.db.as_deref())?;
    let mut answer = ResultSet::of_text(&[
        "Table",
        "Non_unique",
        "Key_name",
        "Seq_in_index",
        "Column_name",
        "Collation",
        "Cardinality",
        "Sub_part",
        "Packed",
        "Null",
        "Index_type",
        "Comment",
        "Properties",
    ]);
    session.frontend().with_catalog(|catalog| {
        let database = catalog
            .database(&db)
            .ok_or_else(|| SqlError::unknown_db(&db))?;
        let table = database
            .table(&name.name)
            .ok_or_else(|| SqlError::unknown_table(&name.name))?;
        for index in &table.secondary {
            let properties: Vec<_> = index
                .properties
                .iter()
                .map(|(key, value)| format!("\"{key}\" = \"{value}\""))
                .collect();
            answer.push(vec![
                table.name.clone(),
                String::new(),
                index.name.clone(),
                String::new(),
                index.columns.join(","),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
                index.kind.clone(),
                index.comment.clone(),
                if properties.is_empty() {
                    String::new()
                } else {
                    format!("({})", properties.join(", "))
                },
            ]);
        }
        Ok(())
    })?;
    Ok(answer)
}
