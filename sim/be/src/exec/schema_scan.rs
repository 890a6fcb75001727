//! SCHEMA_SCAN_NODE: tables of `information_schema`, whose rows the frontend knows.

use std::time::Duration;

use dorisim_wire::plan::{
    TGetDbsParams, TGetDbsResult, TGetTablesParams, TListTableStatusResult, TSchemaScanNode,
    TTableStatus,
};
use thrift::protocol::TSerializable;

use super::error::{ExecError, plan};
use super::types::Slot;
use dorisim_model::clock::datetime_text;
use dorisim_model::{Cell, Row};
use dorisim_net::client::Pool;

/// Limit of one call.
const CALL: Duration = Duration::from_secs(20);

/// Rows of the slots.
///
/// # Errors
/// Tables that are not known, a frontend that does not answer.
pub(super) async fn rows(node: &TSchemaScanNode, slots: &[Slot]) -> Result<Vec<Row>, ExecError> {
    let table = node.table_name.to_ascii_lowercase();
    if !matches!(table.as_str(), "tables" | "schemata") {
        return Err(ExecError::NotSupported(format!(
            "information_schema.{table}"
        )));
    }
    let port = node.port.and_then(|port| u16::try_from(port).ok());
    let (Some(host), Some(port)) = (&node.ip, port) else {
        return Err(plan("a scan of information_schema without its frontend"));
    };
    let frontend = Pool::new(host, port);
    let dbs: TGetDbsResult = ask(
        &frontend,
        "getDbNames",
        &TGetDbsParams {
            pattern: node.db.clone(),
            current_user_ident: node.current_user_ident.clone(),
            catalog: node.catalog.clone(),
        },
    )
    .await?;
    let catalogs = dbs.catalogs.unwrap_or_default();
    let mut found = Vec::new();
    for (at, db) in dbs.dbs.unwrap_or_default().into_iter().enumerate() {
        let catalog = catalogs.get(at).cloned();
        if table == "schemata" {
            let row = slots
                .iter()
                .map(|slot| schema_cell(&slot.name, &catalog, &db));
            found.push(row.collect::<Result<_, _>>()?);
            continue;
        }
        let tables: TListTableStatusResult = ask(
            &frontend,
            "listTableStatus",
            &TGetTablesParams {
                db: Some(db.clone()),
                pattern: node.wild.clone(),
                current_user_ident: node.current_user_ident.clone(),
                catalog: catalog.clone(),
            },
        )
        .await?;
        for status in &tables.tables {
            let cells = slots.iter();
            let row = cells.map(|slot| table_cell(&slot.name, &catalog, &db, status));
            found.push(row.collect::<Result<_, _>>()?);
        }
    }
    Ok(found)
}

async fn ask<Q: TSerializable, A: TSerializable>(
    frontend: &Pool,
    method: &'static str,
    request: &Q,
) -> Result<A, ExecError> {
    let answered = frontend.call(method, request, CALL).await;
    answered.map_err(|error: dorisim_net::client::CallError| plan(error.text()))
}

fn unknown(column: &str) -> ExecError {
    ExecError::NotSupported(format!("column {column} of information_schema"))
}

fn schema_cell(column: &str, catalog: &Option<String>, db: &str) -> Result<Cell, ExecError> {
    Ok(match column.to_ascii_uppercase().as_str() {
        "CATALOG_NAME" => catalog.clone(),
        "SCHEMA_NAME" => Some(db.to_owned()),
        "DEFAULT_CHARACTER_SET_NAME" => Some("utf8mb4".to_owned()),
        "DEFAULT_COLLATION_NAME" => Some("utf8mb4_0900_bin".to_owned()),
        "SQL_PATH" | "DEFAULT_ENCRYPTION" => None,
        _ => return Err(unknown(column)),
    })
}

fn table_cell(
    column: &str,
    catalog: &Option<String>,
    db: &str,
    status: &TTableStatus,
) -> Result<Cell, ExecError> {
    let number = |value: Option<i64>| value.map(|value| value.to_string());
    let moment = |seconds: Option<i64>| {
        let seconds = seconds.filter(|seconds| *seconds > 0)?;
        Some(datetime_text(seconds.saturating_mul(1000)))
    };
    Ok(match column.to_ascii_uppercase().as_str() {
        "TABLE_CATALOG" => catalog.clone(),
        "TABLE_SCHEMA" => Some(db.to_owned()),
        "TABLE_NAME" => Some(status.name.clone()),
        "TABLE_TYPE" => Some(status.type_.clone()),
        "ENGINE" => status.engine.clone(),
        "TABLE_ROWS" => number(status.rows),
        "AVG_ROW_LENGTH" => number(status.avg_row_length),
        "DATA_LENGTH" => number(status.data_length),
        "INDEX_LENGTH" => number(status.index_length),
        "CREATE_TIME" => moment(status.create_time),
        "UPDATE_TIME" => moment(status.update_time),
        "CHECK_TIME" => moment(status.last_check_time),
        "TABLE_COLLATION" => status.collation.clone(),
        "TABLE_COMMENT" => Some(status.comment.clone()),
        "VERSION" | "ROW_FORMAT" | "MAX_DATA_LENGTH" | "DATA_FREE" | "AUTO_INCREMENT"
        | "CHECKSUM" | "CREATE_OPTIONS" => None,
        _ => return Err(unknown(column)),
    })
}
