//! Statements that write rows: they become loads of the frontend.

use std::collections::BTreeSet;

use super::answer::Answer;
use super::session::{SqlSession, Transaction};
use dorisim_fe::{LoadError, LoadRequest, LoadResult, LoadState, SqlError, StmtOutcome};
use dorisim_model::{DefaultValue, OlapTable, Row};
use dorisim_query::{ColumnKind, ResultColumn};
use dorisim_sql::ast::{ColumnDef, CreateTable, Insert, InsertSource, InsertValue, Statement};

pub(super) async fn insert(session: &mut SqlSession, insert: Insert) -> Result<Answer, SqlError> {
    let db = session.db_of(insert.table.db.as_deref())?;
    let target = target(session, &db, &insert.table.name)?;
    let (mut columns, mut rows) = match insert.source {
        InsertSource::Values(rows) => values(session, &target, insert.columns, rows).await?,
        InsertSource::Select(text) => {
            let rows = session.select(text).await?;
            let columns = checked(&target, insert.columns, rows.columns.len())?;
            for name in &columns {
                not_generated(&target, name)?;
            }
            (columns, rows.rows)
        }
    };
    session
        .add_generated(&target.schema, &mut columns, &mut rows)
        .await?;
    let mut request = LoadRequest::insert(&db, &insert.table.name, columns, rows);
    request.label = insert.label;
    request.partitions = insert.partitions;
    request.temp_partitions = insert.temp_partitions;
    request.partial_update = target.schema.keys.is_unique()
        && session.variable_is_on("enable_unique_key_partial_update");
    if insert.overwrite {
        if insert.overwrite_touched {
            request.partitions = touched(&target, &request)?;
        }
        let result = session
            .frontend()
            .insert_overwrite(request)
            .await
            .map_err(load_error)?;
        return Ok(loaded(&result));
    }
    request.explicit_txn = open_transaction(session, &db)?;
    request.max_filter_ratio = session.insert_filter_ratio();
    let ratio = request.max_filter_ratio;
    let result = session.frontend().load(request).await;
    let result = result.map_err(|error| filtered(error, ratio))?;
    session.note_insert(&db, &insert.table.name, &result);
    Ok(loaded(&result))
}

/// In strict mode the refusal names the first row, else how many there were.
fn filtered(error: LoadError, ratio: f64) -> SqlError {
    match error {
        LoadError::TooManyFiltered {
            total, filtered, ..
        } if ratio > 0.0 => SqlError::analysis(format!(
            "Insert has too many filtered data {filtered}/{total} insert_max_filter_ratio is {ratio:.6}"
        )),
        other => load_error(other),
    }
}

/// The table as it is now.
pub(super) fn target(session: &SqlSession, db: &str, table: &str) -> Result<OlapTable, SqlError> {
    session.frontend().with_catalog(|catalog| {
        let db = catalog
            .database(db)
            .ok_or_else(|| SqlError::unknown_db(db))?;
        db.table(table).cloned().ok_or_else(|| {
            SqlError::analysis(format!(
                "Table [{table}] does not exist in database [{}].",
                db.name
            ))
        })
    })
}

/// The columns named, or all that a statement without a list fills.
fn checked(target: &OlapTable, named: Vec<String>, width: usize) -> Result<Vec<String>, SqlError> {
    let columns: Vec<String> = if named.is_empty() {
        // Generated columns may be left out, or be there as DEFAULT.
        let all = target.schema.visible().count();
        target
            .schema
            .visible()
            .filter(|column| width == all || column.generated.is_none())
            .map(|column| column.name.clone())
            .collect()
    } else {
        named
    };
    for name in &columns {
        if target.schema.column(name).is_none() {
            return Err(SqlError::new(
                1054,
                format!("Unknown column '{name}' in table '{}'", target.name),
            ));
        }
    }
    if columns.len() == width {
        return Ok(columns);
    }
    Err(SqlError::new(
        1136,
        format!(
            "Column count doesn't match value count (columns: {}, values: {width})",
            columns.len()
        ),
    ))
}

async fn values(
    session: &SqlSession,
    target: &OlapTable,
    named: Vec<String>,
    rows: Vec<Vec<InsertValue>>,
) -> Result<(Vec<String>, Vec<Row>), SqlError> {
    let width = rows.first().map_or(0, Vec::len);
    if rows.iter().any(|row| row.len() != width) {
        return Err(SqlError::new(
            1136,
            "Column count doesn't match value count",
        ));
    }
    let mut columns = checked(target, named, width)?;
    // A column that is DEFAULT everywhere is left to the frontend, which knows how to count and compute.
    let left_out: BTreeSet<usize> = (0..width)
        .filter(|at| rows.iter().all(|row| row[*at] == InsertValue::Default))
        .collect();
    for (at, name) in columns.iter().enumerate() {
        if !left_out.contains(&at) {
            not_generated(target, name)?;
        }
    }
    let mut cells = Vec::with_capacity(rows.len());
    for row in rows {
        let mut ready = Row::with_capacity(width);
        for (at, value) in row.into_iter().enumerate() {
            if left_out.contains(&at) {
                continue;
            }
            ready.push(match value {
                InsertValue::Null => None,
                InsertValue::Literal(text) => Some(text),
                InsertValue::Default => default_of(session, target, &columns[at]),
                InsertValue::Expression(text) => {
                    let computed = session.select(format!("SELECT {text}")).await?;
                    computed
                        .rows
                        .into_iter()
                        .next()
                        .and_then(|row| row.into_iter().next())
                        .flatten()
                }
            });
        }
        cells.push(ready);
    }
    let mut at = 0;
    columns.retain(|_| {
        at += 1;
        !left_out.contains(&(at - 1))
    });
    Ok((columns, cells))
}

fn not_generated(target: &OlapTable, name: &str) -> Result<(), SqlError> {
    match target.schema.column(name) {
        Some(column) if column.generated.is_some() => Err(SqlError::analysis(format!(
            "The value specified for generated column '{}' in table '{}' is not allowed.",
            column.name, target.name
        ))),
        Some(_) | None => Ok(()),
    }
}

pub(super) fn default_of(session: &SqlSession, target: &OlapTable, name: &str) -> Option<String> {
    match target
        .schema
        .column(name)
        .and_then(|column| column.default.as_ref())?
    {
        DefaultValue::Constant(text) => text.clone(),
        DefaultValue::CurrentTimestamp(_) => {
            Some(dorisim_model::clock::datetime_text(session.now_ms()))
        }
        DefaultValue::Function(_) => None,
    }
}

/// Partitions that the rows fall into, for `PARTITION(*)`.
fn touched(target: &OlapTable, request: &LoadRequest) -> Result<Vec<String>, SqlError> {
    let types = target.partition_types();
    let positions: Vec<_> = target
        .partition_kind
        .columns()
        .iter()
        .map(|name| {
            request
                .columns
                .iter()
                .position(|column| column.eq_ignore_ascii_case(name))
        })
        .collect();
    let mut names = BTreeSet::new();
    for row in &request.rows {
        let key = positions
            .iter()
            .zip(&types)
            .map(|(at, data_type)| data_type.parse_cell(at.and_then(|at| row[at].as_deref())))
            .collect::<Result<Vec<_>, _>>()
            .map_err(SqlError::analysis)?;
        match target.partition_of(&key, &types) {
            Some(partition) => names.insert(partition.name.clone()),
            None => return Err(SqlError::analysis("no partition for this tuple")),
        };
    }
    Ok(names.into_iter().collect())
}

/// The id of the explicit transaction, begun now if only announced.
pub(super) fn open_transaction(
    session: &mut SqlSession,
    db: &str,
) -> Result<Option<i64>, SqlError> {
    match &session.transaction {
        Transaction::None => Ok(None),
        Transaction::Open { id } => Ok(Some(*id)),
        Transaction::Announced { label } => {
            let id = session.frontend().begin_explicit(db, label.clone())?;
            session.transaction = Transaction::Open { id };
            Ok(Some(id))
        }
    }
}

pub(super) async fn commit(session: &mut SqlSession) -> Result<Answer, SqlError> {
    match std::mem::take(&mut session.transaction) {
        Transaction::None | Transaction::Announced { .. } => Ok(Answer::nothing()),
        Transaction::Open { id } => {
            let result = session
                .frontend()
                .commit_explicit(id)
                .await
                .map_err(load_error)?;
            Ok(loaded(&result))
        }
    }
}

pub(super) async fn rollback(session: &mut SqlSession) -> Result<Answer, SqlError> {
    match std::mem::take(&mut session.transaction) {
        Transaction::None | Transaction::Announced { .. } => Ok(Answer::nothing()),
        Transaction::Open { id } => {
            session.frontend().rollback_explicit(id).await?;
            Ok(Answer::nothing())
        }
    }
}

pub(super) async fn create_as_select(
    session: &mut SqlSession,
    mut table: CreateTable,
    select: String,
) -> Result<Answer, SqlError> {
    let db = session.db_of(table.name.db.as_deref())?;
    let there = session.frontend().with_catalog(|catalog| {
        catalog
            .database(&db)
            .is_some_and(|database| database.has_name(&table.name.name))
    });
    if there && table.if_not_exists {
        return Ok(Answer::nothing());
    }
    let rows = session.select(select).await?;
    let typed: Vec<_> = rows.columns.iter().map(column_of).collect();
    if table.columns.is_empty() {
        table.columns = typed;
    } else if table.columns.len() == typed.len() {
        for (named, typed) in table.columns.iter_mut().zip(typed) {
            if named.type_text.is_empty() {
                named.type_text = typed.type_text;
            }
        }
    } else {
        return Err(SqlError::new(
            1136,
            "Number of SELECT columns must match the number of columns of the table",
        ));
    }
    let name = table.name.name.clone();
    session
        .forward(Statement::CreateTable(Box::new(table)))
        .await?;
    let request = LoadRequest::insert(&db, &name, Vec::new(), rows.rows);
    let result = session.frontend().load(request).await.map_err(load_error)?;
    Ok(loaded(&result))
}

/// The type a column of a query gets in a new table.
fn column_of(column: &ResultColumn) -> ColumnDef {
    let type_text = match column.kind {
        ColumnKind::TinyInt => "TINYINT".to_owned(),
        ColumnKind::SmallInt => "SMALLINT".to_owned(),
        ColumnKind::Int => "INT".to_owned(),
        ColumnKind::Integer => "BIGINT".to_owned(),
        ColumnKind::Boolean => "BOOLEAN".to_owned(),
        ColumnKind::Large => "LARGEINT".to_owned(),
        ColumnKind::Float => "FLOAT".to_owned(),
        ColumnKind::Double => "DOUBLE".to_owned(),
        ColumnKind::Decimal(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        ColumnKind::Date => "DATE".to_owned(),
        ColumnKind::DateTime(scale) => format!("DATETIME({scale})"),
        ColumnKind::Text => "VARCHAR(65533)".to_owned(),
        ColumnKind::String => "STRING".to_owned(),
        ColumnKind::Json => "JSON".to_owned(),
    };
    ColumnDef {
        name: column.name.clone(),
        type_text,
        nullable: Some(true),
        ..ColumnDef::default()
    }
}

pub(super) fn load_error(error: LoadError) -> SqlError {
    match error {
        LoadError::Sql(error) => error,
        LoadError::LabelUsed { .. } => SqlError::analysis(error.to_string()),
        LoadError::TooManyFiltered { ref errors, .. } => SqlError::analysis(format!(
            "Insert has filtered data in strict mode. {}",
            errors.first().map_or("", String::as_str)
        )),
    }
}

/// The OK packet of a load: its text names label, state and transaction, as Doris' does.
pub(super) fn loaded(result: &LoadResult) -> Answer {
    let status = match result.state {
        LoadState::Visible => "VISIBLE",
        LoadState::Committed => "COMMITTED",
        LoadState::Precommitted => "PREPARE",
    };
    Answer::Done(StmtOutcome {
        affected_rows: result.loaded,
        info: format!(
            "{{'label':'{}', 'status':'{status}', 'txnId':'{}'}}",
            result.label, result.txn_id
        ),
    })
}
