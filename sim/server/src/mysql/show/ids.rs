//! What an id stands for: SHOW DATABASE, TABLE and PARTITION with a number. An unknown id answers without rows.

use crate::mysql::session::SqlSession;
use dorisim_query::ResultSet;
use dorisim_sql::ast::IdKind;

/// Answers `SHOW DATABASE|TABLE|PARTITION id`.
pub(super) fn by_id(session: &SqlSession, kind: IdKind, id: i64) -> ResultSet {
    let columns: &[&str] = match kind {
        IdKind::Database => &["DBName"],
        IdKind::Table => &["DbName", "TableName", "DbId"],
        IdKind::Partition => &["DbName", "TableName", "PartitionName", "DbId", "TableId"],
    };
    let mut answer = ResultSet::of_text(columns);
    if let Some(cells) = find(session, kind, id) {
        answer.push(cells);
    }
    answer
}

fn find(session: &SqlSession, kind: IdKind, id: i64) -> Option<Vec<String>> {
    session.frontend().with_catalog(|catalog| match kind {
        IdKind::Database => catalog.databases.get(&id).map(|db| vec![db.name.clone()]),
        IdKind::Table => catalog.databases.values().find_map(|db| {
            let table = db.tables.get(&id).map(|table| &table.name);
            let name = table.or_else(|| db.views.get(&id).map(|view| &view.name))?;
            Some(vec![db.name.clone(), name.clone(), db.id.to_string()])
        }),
        IdKind::Partition => catalog.databases.values().find_map(|db| {
            db.tables.values().find_map(|table| {
                let partition = table.partitions.get(&id)?;
                Some(vec![
                    db.name.clone(),
                    table.name.clone(),
                    partition.name.clone(),
                    db.id.to_string(),
                    table.id.to_string(),
                ])
            })
        }),
    })
}
