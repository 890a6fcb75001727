//! Databases, tables, partitions, tablets.

use super::table::not_found;
use crate::mysql::session::SqlSession;
use crate::mysql::words::passes;
use dorisim_model::SqlError;
use dorisim_model::clock::datetime_text;
use dorisim_model::{Cell, Database, DistributionKind, OlapTable, Partition};
use dorisim_query::{ResultColumn, ResultSet};
use dorisim_sql::ast::ObjectName;

/// SHOW DATABASES.
pub(super) fn databases(session: &SqlSession, like: Option<&str>) -> ResultSet {
    let mut names = session.frontend().with_catalog(|catalog| {
        catalog
            .databases
            .values()
            .map(|db| db.name.clone())
            .collect::<Vec<_>>()
    });
    for system in ["__internal_schema", "information_schema", "mysql"] {
        if !names.iter().any(|name| name == system) {
            names.push(system.to_owned());
        }
    }
    names.sort();
    let mut answer = ResultSet::of_text(&["Database"]);
    let seen = names
        .into_iter()
        .filter(|name| session.sees(name) && passes(name, like));
    for name in seen {
        answer.push(vec![name]);
    }
    answer
}

/// Reads a database under the catalogue's lock.
pub(super) fn in_db<T>(
    session: &SqlSession,
    db: Option<&str>,
    read: impl FnOnce(&Database) -> Result<T, SqlError>,
) -> Result<T, SqlError> {
    let db = session.db_of(db)?;
    session.frontend().with_catalog(|catalog| {
        let database = catalog
            .database(&db)
            .ok_or_else(|| SqlError::unknown_db(&db))?;
        read(database)
    })
}

/// As [`in_table`], for the forms that look a table up in a way of their own.
pub(super) fn in_found_table<T>(
    session: &SqlSession,
    name: &ObjectName,
    read: impl FnOnce(&Database, &OlapTable) -> Result<T, SqlError>,
) -> Result<T, SqlError> {
    in_db(session, name.db.as_deref(), |database| {
        let table = database
            .table(&name.name)
            .ok_or_else(|| not_found(&name.name))?;
        read(database, table)
    })
}

/// Reads a table under the catalogue's lock.
pub(super) fn in_table<T>(
    session: &SqlSession,
    name: &ObjectName,
    read: impl FnOnce(&Database, &OlapTable) -> Result<T, SqlError>,
) -> Result<T, SqlError> {
    in_db(session, name.db.as_deref(), |database| {
        let table = database
            .table(&name.name)
            .ok_or_else(|| SqlError::unknown_table(&name.name))?;
        read(database, table)
    })
}

/// `SHOW [FULL] TABLES`.
pub(super) fn tables(
    session: &SqlSession,
    full: bool,
    db: Option<&str>,
    like: Option<&str>,
) -> Result<ResultSet, SqlError> {
    let db = session.db_of(db)?;
    let heading = format!("Tables_in_{db}");
    if db.eq_ignore_ascii_case("information_schema") {
        let mut answer = ResultSet::of_text(&[&heading]);
        for name in crate::mysql::information_schema::names() {
            answer.push(vec![name.to_owned()]);
        }
        return Ok(answer);
    }
    let none = ("NONE".to_owned(), "NONE".to_owned());
    let mut names = in_db(session, Some(&db), |database| {
        let tables = database
            .tables
            .values()
            .map(|table| (table.name.clone(), "BASE TABLE", formats_of(table)));
        let views = database
            .views
            .values()
            .map(|view| (view.name.clone(), "VIEW", none.clone()));
        Ok(tables.chain(views).collect::<Vec<_>>())
    })?;
    names.sort();
    let mut answer = ResultSet::of_text(&[&heading]);
    if full {
        for name in [
            "Table_type",
            "Storage_format",
            "Inverted_index_storage_format",
        ] {
            answer.columns.push(ResultColumn {
                name: name.to_owned(),
                kind: dorisim_query::ColumnKind::Text,
            });
        }
    }
    for (name, kind, formats) in names.into_iter().filter(|(name, ..)| passes(name, like)) {
        answer.push(if full {
            let (storage, index) = formats;
            vec![name, kind.to_owned(), storage, index]
        } else {
            vec![name]
        });
    }
    Ok(answer)
}

/// Formats of segments and of inverted indexes.
fn formats_of(table: &OlapTable) -> (String, String) {
    let format = |key: &str| table.properties.get(key).cloned().unwrap_or_default();
    (
        format("storage_format"),
        format("inverted_index_storage_format"),
    )
}

/// SHOW VIEWS.
pub(super) fn views(
    session: &SqlSession,
    db: Option<&str>,
    like: Option<&str>,
) -> Result<ResultSet, SqlError> {
    in_db(session, db, |database| {
        let mut names: Vec<_> = database
            .views
            .values()
            .map(|view| view.name.clone())
            .collect();
        names.sort();
        let mut answer = ResultSet::of_text(&[&format!("Tables_in_{}", database.name)]);
        for name in names.into_iter().filter(|name| passes(name, like)) {
            answer.push(vec![name]);
        }
        Ok(answer)
    })
}

/// SHOW TABLE STATUS.
pub(super) fn table_status(
    session: &SqlSession,
    db: Option<&str>,
    like: Option<&str>,
) -> Result<ResultSet, SqlError> {
    in_db(session, db, |database| {
        let mut answer = ResultSet::of_text(&[
            "Name",
            "Engine",
            "Version",
            "Row_format",
            "Rows",
            "Avg_row_length",
            "Data_length",
            "Max_data_length",
            "Index_length",
            "Data_free",
            "Auto_increment",
            "Create_time",
            "Update_time",
            "Check_time",
            "Collation",
            "Checksum",
            "Create_options",
            "Comment",
        ]);
        let width = answer.columns.len();
        let row = |name: &str, engine: &str, comment: &str| {
            let mut cells = vec![None; width];
            cells[0] = Some(name.to_owned());
            cells[1] = Some(engine.to_owned());
            cells[14] = Some("utf-8".to_owned());
            cells[17] = Some(comment.to_owned());
            cells
        };
        for table in database
            .tables
            .values()
            .filter(|table| passes(&table.name, like))
        {
            answer.rows.push(row(&table.name, "Doris", &table.comment));
        }
        for view in database
            .views
            .values()
            .filter(|view| passes(&view.name, like))
        {
            answer.rows.push(row(&view.name, "View", "VIEW"));
        }
        Ok(answer)
    })
}

/// SHOW CREATE TABLE; a view answers with its own columns.
pub(super) fn create_table(session: &SqlSession, name: &ObjectName) -> Result<ResultSet, SqlError> {
    let table = in_db(session, name.db.as_deref(), |database| {
        Ok(database.table(&name.name).cloned())
    })?;
    let Some(table) = table else {
        return create_view(session, name);
    };
    let mut answer = ResultSet::of_text(&["Table", "Create Table"]);
    answer.push(vec![
        table.name.clone(),
        session.frontend().show_create_table(&table),
    ]);
    Ok(answer)
}

/// SHOW CREATE VIEW.
pub(super) fn create_view(session: &SqlSession, name: &ObjectName) -> Result<ResultSet, SqlError> {
    let view = in_db(session, name.db.as_deref(), |database| {
        if database.table(&name.name).is_some() {
            return Err(SqlError::analysis(format!(
                "'{}.{table}' is not VIEW. Use 'SHOW CREATE TABLE '{table}.",
                database.name,
                table = name.name
            )));
        }
        database
            .view(&name.name)
            .cloned()
            .ok_or_else(|| SqlError::unknown_table(&name.name))
    })?;
    let mut answer = ResultSet::of_text(&[
        "View",
        "Create View",
        "character_set_client",
        "collation_connection",
    ]);
    answer.push(vec![
        view.name.clone(),
        session.frontend().show_create_view(&view),
        "utf8mb4".to_owned(),
        "utf8mb4_0900_bin".to_owned(),
    ]);
    Ok(answer)
}

/// SHOW CREATE DATABASE.
pub(super) fn create_database(session: &SqlSession, db: &str) -> Result<ResultSet, SqlError> {
    let database = in_db(session, Some(db), |database| {
        Ok(Database {
            tables: dorisim_model::Tracked::new(),
            views: std::collections::BTreeMap::new(),
            functions: std::collections::BTreeMap::new(),
            name: database.name.clone(),
            properties: database.properties.clone(),
            id: database.id,
        })
    })?;
    let mut answer = ResultSet::of_text(&["Database", "Create Database"]);
    answer.push(vec![
        database.name.clone(),
        session.frontend().show_create_database(&database),
    ]);
    Ok(answer)
}

/// `SHOW [TEMPORARY] PARTITIONS`.
pub(super) fn partitions(
    session: &SqlSession,
    temp: bool,
    name: &ObjectName,
) -> Result<ResultSet, SqlError> {
    in_found_table(session, name, |_, table| {
        let mut answer = ResultSet::of_text(&[
            "PartitionId",
            "PartitionName",
            "VisibleVersion",
            "VisibleVersionTime",
            "State",
            "PartitionKey",
            "Range",
            "DistributionKey",
            "Buckets",
            "ReplicationNum",
            "StorageMedium",
            "CooldownTime",
            "RemoteStoragePolicy",
            "LastConsistencyCheckTime",
            "DataSize",
            "IsInMemory",
            "ReplicaAllocation",
            "IsMutable",
            "SyncWithBaseTables",
            "UnsyncTables",
            "CommittedVersion",
            "RowCount",
        ]);
        for partition in dorisim_fe::partitions_in_order(table, temp) {
            answer.rows.push(partition_row(table, partition));
        }
        Ok(answer)
    })
}

fn partition_row(table: &OlapTable, partition: &Partition) -> Vec<Cell> {
    let distribution = match &partition.distribution.kind {
        DistributionKind::Hash(columns) => columns.join(", "),
        DistributionKind::Random => "RANDOM".to_owned(),
    };
    let cells = vec![
        partition.id.to_string(),
        partition.name.clone(),
        partition.visible_version.to_string(),
        datetime_text(partition.visible_version_time),
        "NORMAL".to_owned(),
        table.partition_kind.columns().join(", "),
        table.range_text(partition),
        distribution,
        partition.distribution.buckets.to_string(),
        partition.replication_num.to_string(),
        partition.storage_medium.clone(),
        datetime_text(partition.cooldown_ms),
        partition.storage_policy.clone(),
        String::new(),
        "0.000 ".to_owned(),
        "false".to_owned(),
        format!("tag.location.default: {}", partition.replication_num),
        "true".to_owned(),
        "true".to_owned(),
        String::new(),
        (partition.next_version - 1).to_string(),
        "-1".to_owned(),
    ];
    // No consistency check ever ran, and there are no base tables to be out of step with: NULL.
    const NULLS: [usize; 2] = [13, 19];
    let cell = |(at, text)| (!NULLS.contains(&at)).then_some(text);
    cells.into_iter().enumerate().map(cell).collect()
}
