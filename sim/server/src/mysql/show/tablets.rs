//! SHOW TABLETS.

use super::objects::in_table;
use crate::mysql::session::SqlSession;
use dorisim_model::SqlError;
use dorisim_model::{MaterializedIndex, OlapTable, Partition};
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
