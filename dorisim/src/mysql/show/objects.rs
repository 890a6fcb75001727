//! Databases, tables, partitions, tablets.

use super::passes;
use super::table::unknown;
use crate::clock::datetime_text;
use crate::fe::SqlError;
use crate::model::catalog::NEVER_MS;
use crate::model::{Database, DistributionKind, MaterializedIndex, OlapTable, Partition};
use crate::mysql::session::SqlSession;
use crate::query::{ResultColumn, ResultSet};
use crate::sql::ast::ObjectName;

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
    for name in names.into_iter().filter(|name| passes(name, like)) {
        answer.push(vec![name]);
    }
    answer
}

/// Reads a database under the catalogue's lock.
fn in_db<T>(
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

/// Reads a table under the catalogue's lock.
fn in_table<T>(
    session: &SqlSession,
    name: &ObjectName,
    read: impl FnOnce(&Database, &OlapTable) -> Result<T, SqlError>,
) -> Result<T, SqlError> {
    in_db(session, name.db.as_deref(), |database| {
        let table = database
            .table(&name.name)
            .ok_or_else(|| unknown(&name.name, &database.name))?;
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
    let mut names = in_db(session, Some(&db), |database| {
        let tables = database
            .tables
            .values()
            .map(|table| (table.name.clone(), "BASE TABLE"));
        let views = database
            .views
            .values()
            .map(|view| (view.name.clone(), "VIEW"));
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
                kind: crate::query::ColumnKind::Text,
            });
        }
    }
    for (name, kind) in names.into_iter().filter(|(name, _)| passes(name, like)) {
        let format = if kind == "VIEW" { "NONE" } else { "V2" };
        answer.push(if full {
            vec![name, kind.to_owned(), format.to_owned(), format.to_owned()]
        } else {
            vec![name]
        });
    }
    Ok(answer)
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
        database
            .view(&name.name)
            .cloned()
            .ok_or_else(|| unknown(&name.name, &database.name))
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
            tables: crate::model::Tracked::new(),
            views: std::collections::BTreeMap::new(),
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
    in_table(session, name, |_, table| {
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
        for partition in table
            .partitions
            .values()
            .filter(|partition| partition.is_temp == temp)
        {
            answer.push(partition_row(table, partition));
        }
        Ok(answer)
    })
}

fn partition_row(table: &OlapTable, partition: &Partition) -> Vec<String> {
    let distribution = match &partition.distribution.kind {
        DistributionKind::Hash(columns) => columns.join(", "),
        DistributionKind::Random => "RANDOM".to_owned(),
    };
    vec![
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
        if partition.cooldown_ms >= NEVER_MS {
            "9999-12-31 23:59:59".to_owned()
        } else {
            datetime_text(partition.cooldown_ms)
        },
        partition.storage_policy.clone(),
        "\\N".to_owned(),
        "0.000 ".to_owned(),
        "false".to_owned(),
        format!("tag.location.default: {}", partition.replication_num),
        "true".to_owned(),
        "true".to_owned(),
        "\\N".to_owned(),
        (partition.next_version - 1).to_string(),
        "-1".to_owned(),
    ]
}

/// Columns of SHOW TABLETS.
pub(super) const TABLET_COLUMNS: [&str; 23] = [
    "TabletId",
    "ReplicaId",
    "BackendId",
    "SchemaHash",
    "Version",
    "LstSuccessVersion",
    "LstFailedVersion",
    "LstFailedTime",
    "LocalDataSize",
    "RemoteDataSize",
    "RowCount",
    "State",
    "LstConsistencyCheckTime",
    "CheckVersion",
    "VisibleVersionCount",
    "VersionCount",
    "QueryHits",
    "PathHash",
    "Path",
    "MetaUrl",
    "CompactionStatus",
    "CooldownReplicaId",
    "CooldownMetaId",
];

/// A row per replica of an index of a partition.
pub(super) fn tablet_rows(table: &OlapTable, index: &MaterializedIndex, answer: &mut ResultSet) {
    let hash = table
        .indexes
        .iter()
        .find(|meta| meta.id == index.id)
        .map_or(0, |meta| meta.schema_hash);
    for tablet in &index.tablets {
        for replica in &tablet.replicas {
            let mut cells = vec![String::new(); TABLET_COLUMNS.len()];
            cells[0] = tablet.id.to_string();
            cells[1] = replica.id.to_string();
            cells[2] = replica.backend_id.to_string();
            cells[3] = hash.to_string();
            cells[4] = replica.version.to_string();
            cells[5] = replica.version.to_string();
            cells[6] = "-1".to_owned();
            cells[7] = "\\N".to_owned();
            for zero in [8, 9, 10, 14, 15, 16] {
                cells[zero] = "0".to_owned();
            }
            cells[11] = "NORMAL".to_owned();
            for unset in [12, 13, 17, 21] {
                cells[unset] = "-1".to_owned();
            }
            answer.push(cells);
        }
    }
}

/// SHOW TABLETS FROM.
pub(super) fn tablets(
    session: &SqlSession,
    name: &ObjectName,
    only: &[String],
) -> Result<ResultSet, SqlError> {
    in_table(session, name, |_, table| {
        let mut answer = ResultSet::of_text(&TABLET_COLUMNS);
        let wanted = |partition: &&Partition| {
            only.is_empty()
                || only
                    .iter()
                    .any(|name| partition.name.eq_ignore_ascii_case(name))
        };
        for partition in table.partitions.values().filter(wanted) {
            for index in &partition.indexes {
                tablet_rows(table, index, &mut answer);
            }
        }
        Ok(answer)
    })
}

/// SHOW TABLET id.
pub(super) fn tablet(session: &SqlSession, id: i64) -> Result<ResultSet, SqlError> {
    let mut answer = ResultSet::of_text(&[
        "DbName",
        "TableName",
        "PartitionName",
        "IndexName",
        "DbId",
        "TableId",
        "PartitionId",
        "IndexId",
        "IsSync",
        "Order",
        "QueryHits",
        "DetailCmd",
    ]);
    let row = session.frontend().with_catalog(|catalog| {
        for db in catalog.databases.values() {
            for table in db.tables.values() {
                for partition in table.partitions.values() {
                    for index in &partition.indexes {
                        if let Some(at) = index.tablets.iter().position(|tablet| tablet.id == id) {
                            let name = table.indexes.iter().find(|meta| meta.id == index.id);
                            return Some(vec![
                                db.name.clone(),
                                table.name.clone(),
                                partition.name.clone(),
                                name.map_or_else(String::new, |meta| meta.name.clone()),
                                db.id.to_string(),
                                table.id.to_string(),
                                partition.id.to_string(),
                                index.id.to_string(),
                                "true".to_owned(),
                                at.to_string(),
                                "0".to_owned(),
                                format!(
                                    "SHOW PROC '/dbs/{}/{}/partitions/{}/{}/{id}';",
                                    db.id, table.id, partition.id, index.id
                                ),
                            ]);
                        }
                    }
                }
            }
        }
        None
    });
    answer.push(row.ok_or_else(|| SqlError::analysis(format!("Unknown tablet {id}")))?);
    Ok(answer)
}

/// SHOW DATA: sizes are not simulated, names and replica counts are right.
pub(super) fn data(
    session: &SqlSession,
    table: Option<&ObjectName>,
) -> Result<ResultSet, SqlError> {
    let replicas = |table: &OlapTable| -> usize {
        table
            .partitions
            .values()
            .flat_map(Partition::tablets)
            .map(|tablet| tablet.replicas.len())
            .sum()
    };
    match table {
        None => in_db(session, None, |database| {
            let mut answer =
                ResultSet::of_text(&["TableName", "Size", "ReplicaCount", "RemoteSize"]);
            for table in database.tables.values() {
                answer.push(vec![
                    table.name.clone(),
                    "0.000 ".to_owned(),
                    replicas(table).to_string(),
                    "0.000 ".to_owned(),
                ]);
            }
            Ok(answer)
        }),
        Some(name) => in_table(session, name, |_, table| {
            let mut answer = ResultSet::of_text(&[
                "TableName",
                "IndexName",
                "Size",
                "ReplicaCount",
                "RowCount",
                "RemoteSize",
            ]);
            for index in &table.indexes {
                answer.push(vec![
                    table.name.clone(),
                    index.name.clone(),
                    "0.000 ".to_owned(),
                    replicas(table).to_string(),
                    "0".to_owned(),
                    "0.000 ".to_owned(),
                ]);
            }
            Ok(answer)
        }),
    }
}
