//! SHOW PROC: the catalogue as a tree of paths.

use super::proc_table;
use crate::mysql::nodes;
use crate::mysql::session::SqlSession;
use dorisim_model::Database;
use dorisim_model::SqlError;
use dorisim_query::ResultSet;

/// `SHOW PROC 'path'`.
pub(super) fn proc(session: &SqlSession, path: &str) -> Result<ResultSet, SqlError> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let refuse = || SqlError::analysis(format!("Proc path '{path}' doesn't exist"));
    let id = |text: &str| text.parse::<i64>().map_err(|_| refuse());
    match parts.as_slice() {
        ["dbs"] => Ok(proc_databases(session)),
        ["dbs", db] => {
            let db = id(db)?;
            session
                .frontend()
                .with_catalog(|catalog| catalog.databases.get(&db).map(proc_tables))
                .ok_or_else(refuse)
        }
        ["dbs", db, table, below @ ..] => {
            let (db, table) = (id(db)?, id(table)?);
            proc_table::below(session, db, table, below)?.ok_or_else(refuse)
        }
        ["frontends"] => Ok(nodes::frontends(session.server())),
        ["backends"] => Ok(nodes::backends(session.server())),
        ["transactions"] => Ok(by_database(
            session,
            &["DbId", "DbName", "RunningTransactionNum"],
        )),
        ["transactions", db, state @ ("running" | "finished")] => {
            super::jobs::transactions_of(session, id(db)?, *state == "finished").ok_or_else(refuse)
        }
        _ => Err(refuse()),
    }
}

/// A row per database: id, name, and zero for the rest.
fn by_database(session: &SqlSession, columns: &[&str]) -> ResultSet {
    let mut answer = ResultSet::of_text(columns);
    session.frontend().with_catalog(|catalog| {
        for db in catalog.databases.values() {
            let mut cells = vec![db.id.to_string(), db.name.clone()];
            cells.resize(columns.len(), "0".to_owned());
            answer.push(cells);
        }
    });
    answer
}

fn proc_databases(session: &SqlSession) -> ResultSet {
    let mut answer = ResultSet::of_text(&[
        "DbId",
        "DbName",
        "TableNum",
        "Size",
        "Quota",
        "LastConsistencyCheckTime",
        "ReplicaCount",
        "ReplicaQuota",
        "RunningTransactionNum",
        "TransactionQuota",
        "LastUpdateTime",
    ]);
    session.frontend().with_catalog(|catalog| {
        for db in catalog.databases.values() {
            answer.push(vec![
                db.id.to_string(),
                db.name.clone(),
                (db.tables.len() + db.views.len()).to_string(),
                "0.000 ".to_owned(),
                "8192.000 PB".to_owned(),
                "\\N".to_owned(),
                "0".to_owned(),
                "1073741824".to_owned(),
                "0".to_owned(),
                "10000".to_owned(),
                "\\N".to_owned(),
            ]);
        }
    });
    answer
}

fn proc_tables(db: &Database) -> ResultSet {
    let mut answer = ResultSet::of_text(&[
        "TableId",
        "TableName",
        "IndexNum",
        "PartitionColumnName",
        "PartitionNum",
        "State",
        "Type",
        "LastConsistencyCheckTime",
        "ReplicaCount",
        "VisibleVersion",
        "VisibleVersionTime",
        "RunningTransactionNum",
        "LastUpdateTime",
    ]);
    for table in db.tables.values() {
        let version = table
            .partitions
            .values()
            .map(|partition| partition.visible_version)
            .max()
            .unwrap_or(1);
        answer.push(vec![
            table.id.to_string(),
            table.name.clone(),
            table.indexes.len().to_string(),
            table.partition_kind.columns().join(", "),
            table.partitions.len().to_string(),
            table.state.as_str().to_owned(),
            "OLAP".to_owned(),
            "\\N".to_owned(),
            "0".to_owned(),
            version.to_string(),
            "\\N".to_owned(),
            "0".to_owned(),
            "\\N".to_owned(),
        ]);
    }
    for view in db.views.values() {
        let mut cells = vec!["\\N".to_owned(); 13];
        cells[0] = view.id.to_string();
        cells[1] = view.name.clone();
        cells[6] = "VIEW".to_owned();
        answer.push(cells);
    }
    answer
}
