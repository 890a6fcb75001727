//! The catalogue as queries see it: tables, views, `information_schema`, table functions.

use std::sync::Arc;

use super::information_schema;
use super::nodes;
use super::shared::MysqlServer;
use super::words::denied;
use dorisim_fe::{SqlError, TableScan};
use dorisim_model::OlapTable;
use dorisim_query::{Named, ResultSet, SessionInfo, TableKey, TableRef, Tables};

/// The tables of a cluster, for one session's user.
pub(super) struct CatalogTables {
    server: Arc<MysqlServer>,
    session: SessionInfo,
}

impl CatalogTables {
    pub(super) fn new(server: Arc<MysqlServer>, session: SessionInfo) -> Self {
        Self { server, session }
    }
}

/// The state of a table's data that a query over these partitions depends on.
fn key_of(table: &OlapTable, wanted: &TableRef) -> Result<TableKey, SqlError> {
    let chosen = |partition: &&dorisim_model::Partition| {
        partition.is_temp == wanted.temp
            && (wanted.partitions.is_empty()
                || wanted
                    .partitions
                    .iter()
                    .any(|name| partition.name.eq_ignore_ascii_case(name)))
    };
    for name in &wanted.partitions {
        if table.partition(name, wanted.temp).is_none() {
            return Err(SqlError::analysis(format!(
                "partition: {name} is not exists on table {}",
                table.name
            )));
        }
    }
    let versions = table.partitions.values().filter(chosen).map(|partition| {
        (
            partition.id,
            partition.visible_version,
            partition.visible_version_time,
        )
    });
    let columns = table.schema.visible().map(|column| {
        (
            column.name.clone(),
            column.data_type.to_string(),
            column.unique_id,
        )
    });
    Ok(TableKey {
        id: table.id,
        versions: versions.collect(),
        columns: columns.collect(),
    })
}

impl Tables for CatalogTables {
    fn named(&self, table: &TableRef) -> Result<Named, SqlError> {
        if table.db.eq_ignore_ascii_case("information_schema") {
            return information_schema::table(&self.server.frontend, &table.name)
                .map(Named::Rows)
                .ok_or_else(|| SqlError::unknown_table(&table.name));
        }
        let found = self.server.frontend.with_catalog(|catalog| {
            let db = catalog
                .database(&table.db)
                .ok_or_else(|| SqlError::unknown_db(&table.db))?;
            if let Some(found) = db.table(&table.name) {
                return key_of(found, table).map(Named::Table);
            }
            match db.view(&table.name) {
                Some(view) => Ok(Named::View {
                    select: view.definition.clone(),
                    columns: view.columns.iter().map(|(name, _)| name.clone()).collect(),
                }),
                None => Err(SqlError::analysis(format!(
                    "Table [{}] does not exist in database [{}].",
                    table.name, table.db
                ))),
            }
        })?;
        let user = &self.session.user;
        if !self
            .server
            .frontend
            .has_privilege(user, "SELECT", Some(&table.db), Some(&table.name))
        {
            return Err(denied("SELECT", user, &table.db, &table.name));
        }
        Ok(found)
    }

    fn scan(&self, table: &TableRef) -> Result<TableScan, SqlError> {
        self.server.frontend.scan_table(
            &table.db,
            &table.name,
            &table.partitions,
            table.temp,
            false,
        )
    }

    fn function(&self, name: &str, arguments: &str) -> Result<ResultSet, SqlError> {
        match name.to_ascii_lowercase().as_str() {
            "frontends" => Ok(nodes::frontends(&self.server)),
            "backends" => Ok(nodes::backends(&self.server)),
            "numbers" => Ok(numbers(arguments)),
            _ => Err(SqlError::analysis(format!(
                "Can not build FunctionSet for function '{name}'"
            ))),
        }
    }
}

/// `numbers("number" = "10")`.
fn numbers(arguments: &str) -> ResultSet {
    let count = arguments
        .split(['"', '\''])
        .filter_map(|part| part.trim().parse::<i64>().ok())
        .next()
        .unwrap_or(0)
        .clamp(0, 1_000_000);
    let mut rows = ResultSet::of_text(&["number"]);
    for column in &mut rows.columns {
        column.kind = dorisim_query::ColumnKind::Integer;
    }
    for number in 0..count {
        rows.push(vec![number.to_string()]);
    }
    rows
}
