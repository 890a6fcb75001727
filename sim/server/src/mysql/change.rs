//! DELETE and UPDATE: of unique tables the rows are read, changed and loaded again; others take a delete condition.

use super::answer::Answer;
use super::dml::{default_of, load_error, loaded, open_transaction, target};
use super::session::SqlSession;
use dorisim_fe::{LoadRequest, SqlError};
use dorisim_model::{Column, OlapTable};
use dorisim_query::delete;
use dorisim_sql::ast::ObjectName;

/// Which rows a statement is about.
#[derive(Debug, Clone, Default)]
pub(super) struct RowSource {
    /// Another name for the table.
    pub(super) alias: Option<String>,
    /// Partitions; empty means all.
    pub(super) partitions: Vec<String>,
    /// Further tables, as text.
    pub(super) others: Option<String>,
    /// Text of the condition.
    pub(super) predicate: Option<String>,
}

impl RowSource {
    /// The name by which the statement calls its table.
    fn name(&self, table: &ObjectName) -> String {
        quoted(self.alias.as_deref().unwrap_or(&table.name))
    }

    /// A query for these values of each row. With other tables a row can be met more than once, and counts once.
    fn query(&self, db: &str, table: &ObjectName, values: &[String]) -> String {
        let distinct = if self.others.is_some() {
            "DISTINCT "
        } else {
            ""
        };
        let mut text = format!(
            "SELECT {distinct}{} FROM {}.{}",
            values.join(", "),
            quoted(db),
            quoted(&table.name)
        );
        if !self.partitions.is_empty() {
            let names: Vec<_> = self.partitions.iter().map(|name| quoted(name)).collect();
            text.push_str(&format!(" PARTITION ({})", names.join(", ")));
        }
        text.push_str(&format!(" AS {}", self.name(table)));
        if let Some(others) = &self.others {
            text.push_str(&format!(", {others}"));
        }
        if let Some(predicate) = &self.predicate {
            text.push_str(&format!(" WHERE {predicate}"));
        }
        text
    }
}

pub(super) async fn delete(
    session: &mut SqlSession,
    table: &ObjectName,
    source: RowSource,
) -> Result<Answer, SqlError> {
    let db = session.db_of(table.db.as_deref())?;
    let target = target(session, &db, &table.name)?;
    if !target.schema.keys.is_unique() {
        if source.others.is_some() {
            return Err(SqlError::analysis(
                "delete command on with using clause only supports unique key model",
            ));
        }
        let Some(predicate) = &source.predicate else {
            return Err(SqlError::analysis(
                "DELETE without a condition is refused; use TRUNCATE TABLE",
            ));
        };
        let conditions = delete::conditions(predicate)?;
        let frontend = session.frontend();
        let result = frontend
            .delete(&db, &table.name, &source.partitions, &conditions, None)
            .await
            .map_err(load_error)?;
        return Ok(loaded(&result));
    }
    let columns: Vec<_> = stored(&target).map(|column| column.name.clone()).collect();
    let name = source.name(table);
    let values: Vec<_> = columns
        .iter()
        .map(|column| format!("{name}.{}", quoted(column)))
        .collect();
    let found = session.select(source.query(&db, table, &values)).await?;
    if found.rows.is_empty() {
        return Ok(Answer::nothing());
    }
    let mut request = LoadRequest::insert(&db, &table.name, columns, found.rows);
    request.delete = true;
    request.explicit_txn = open_transaction(session, &db)?;
    let result = session.frontend().load(request).await.map_err(load_error)?;
    Ok(loaded(&result))
}

pub(super) async fn update(
    session: &mut SqlSession,
    table: &ObjectName,
    assignments: &[(String, String)],
    source: RowSource,
) -> Result<Answer, SqlError> {
    let db = session.db_of(table.db.as_deref())?;
    let target = target(session, &db, &table.name)?;
    if !target.schema.keys.is_unique() {
        return Err(SqlError::analysis("Only unique table could be updated."));
    }
    for (name, _) in assignments {
        check_assigned(&target, name)?;
    }
    let table_name = source.name(table);
    let value_of = |column: &Column| {
        let assigned = assignments.iter().find(|(name, _)| column.is_named(name));
        match assigned {
            // The timestamp of an update that does not name it.
            None if column.on_update.is_some() => {
                format!(
                    "'{}'",
                    dorisim_model::clock::datetime_text(session.now_ms())
                )
            }
            None => format!("{table_name}.{}", quoted(&column.name)),
            Some((_, text)) if text.eq_ignore_ascii_case("default") => {
                default_of(session, &target, &column.name).map_or_else(
                    || "NULL".to_owned(),
                    |text| format!("'{}'", text.replace('\'', "''")),
                )
            }
            Some((_, text)) => format!("({text})"),
        }
    };
    let values: Vec<_> = stored(&target).map(value_of).collect();
    let found = session.select(source.query(&db, table, &values)).await?;
    if found.rows.is_empty() {
        return Ok(Answer::nothing());
    }
    let mut columns = stored(&target).map(|column| column.name.clone()).collect();
    let mut rows = found.rows;
    session
        .add_generated(&target.schema, &mut columns, &mut rows)
        .await?;
    let mut request = LoadRequest::insert(&db, &table.name, columns, rows);
    request.explicit_txn = open_transaction(session, &db)?;
    let result = session.frontend().load(request).await.map_err(load_error)?;
    Ok(loaded(&result))
}

fn check_assigned(target: &OlapTable, name: &str) -> Result<(), SqlError> {
    match target.schema.column(name) {
        None => Err(SqlError::new(
            1054,
            format!("Unknown column '{name}' in table '{}'", target.name),
        )),
        Some(column) if column.is_key => Err(SqlError::analysis(format!(
            "Only value columns of unique table could be updated: {name}"
        ))),
        Some(column) if column.generated.is_some() => Err(SqlError::analysis(format!(
            "The value specified for generated column '{name}' in table '{}' is not allowed.",
            target.name
        ))),
        Some(_) => Ok(()),
    }
}

/// The visible columns that a load may name.
fn stored(table: &OlapTable) -> impl Iterator<Item = &Column> {
    table
        .schema
        .visible()
        .filter(|column| column.generated.is_none())
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
