//! SHOW TABLETS, SHOW TABLET and SHOW DATA.

use super::objects::{in_db, in_found_table, in_table};
use crate::mysql::session::SqlSession;
use dorisim_model::SqlError;
use dorisim_model::{Cell, MaterializedIndex, OlapTable, Partition};
use dorisim_query::ResultSet;
use dorisim_sql::ast::ObjectName;

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
            for zero in [8, 9, 10, 16] {
                cells[zero] = "0".to_owned();
            }
            cells[11] = "NORMAL".to_owned();
            for unset in [6, 13, 14, 15, 17, 21] {
                cells[unset] = "-1".to_owned();
            }
            // Nothing failed and nothing was checked yet: NULL.
            let cell = |(at, text)| (!matches!(at, 7 | 12)).then_some(text);
            answer
                .rows
                .push(cells.into_iter().enumerate().map(cell).collect());
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

/// What SHOW TABLET answers to an id that no tablet has, but for the id at the end of the last cell.
fn no_tablet(id: i64) -> Vec<Cell> {
    let number = |text: &str| Some(text.to_owned());
    let mut row = vec![None; 4];
    row.extend(["-1", "-1", "-1", "-1", "false", "-1", "0"].map(number));
    row.push(Some(format!(
        "SHOW PROC '/dbs/-1/-1/partitions/-1/-1/{id}';"
    )));
    row
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
    answer.rows.push(match row {
        Some(row) => row.into_iter().map(Some).collect(),
        None => no_tablet(id),
    });
    Ok(answer)
}

/// SHOW DATA: sizes are not simulated, names and replica counts are right.
pub(super) fn data(
    session: &SqlSession,
    table: Option<&ObjectName>,
) -> Result<ResultSet, SqlError> {
    let replicas = |table: &OlapTable, index: Option<i64>| -> usize {
        let indexes = table.partitions.values().flat_map(|p| &p.indexes);
        indexes
            .filter(|i| index.is_none_or(|id| i.id == id))
            .flat_map(|i| &i.tablets)
            .map(|tablet| tablet.replicas.len())
            .sum()
    };
    match table {
        None => in_db(session, None, |database| {
            let mut answer =
                ResultSet::of_text(&["TableName", "Size", "ReplicaCount", "RemoteSize"]);
            let mut tables: Vec<&OlapTable> = database.tables.values().collect();
            tables.sort_by(|a, b| a.name.cmp(&b.name));
            let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
            for table in &tables {
                let count = replicas(table, None).to_string();
                answer.push(row([&table.name, "0.000 ", &count, "0.000 "]));
            }
            let total: usize = tables.iter().map(|table| replicas(table, None)).sum();
            answer.push(row(["Total", "0.000 ", &total.to_string(), "0.000 "]));
            answer.push(row(["Quota", "8388608.000 TB", "1073741824", ""]));
            let left = 1_073_741_824_usize.saturating_sub(total).to_string();
            answer.push(row(["Left", "8388608.000 TB", &left, ""]));
            Ok(answer)
        }),
        Some(name) => in_found_table(session, name, |_, table| {
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
                    replicas(table, Some(index.id)).to_string(),
                    "0".to_owned(),
                    "0.000 ".to_owned(),
                ]);
            }
            let total = replicas(table, None).to_string();
            answer.push(
                ["", "Total", "0.000 ", &total, "", "0.000 "]
                    .map(str::to_owned)
                    .to_vec(),
            );
            Ok(answer)
        }),
    }
}
