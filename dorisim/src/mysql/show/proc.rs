//! SHOW PROC: the catalogue as a tree of paths.

use super::objects::partitions;
use crate::fe::SqlError;
use crate::model::Database;
use crate::mysql::session::SqlSession;
use crate::query::ResultSet;
use crate::sql::ast::ObjectName;

/// `SHOW PROC '/dbs'`, `'/dbs/<id>'`, `'/dbs/<id>/<id>'`.
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
        ["dbs", db, table] => {
            let (db, table) = (id(db)?, id(table)?);
            let known = session.frontend().with_catalog(|catalog| {
                catalog
                    .databases
                    .get(&db)
                    .is_some_and(|db| db.tables.contains_key(&table))
            });
            let mut answer = ResultSet::of_text(&["Nodes"]);
            for node in ["partitions", "temp_partitions", "index_schema"] {
                answer.push(vec![node.to_owned()]);
            }
            if known { Ok(answer) } else { Err(refuse()) }
        }
        ["dbs", db, table, kind @ ("partitions" | "temp_partitions")] => {
            let (db, table) = (id(db)?, id(table)?);
            let name = session.frontend().with_catalog(|catalog| {
                let db = catalog.databases.get(&db)?;
                Some(ObjectName::in_db(&db.name, &db.tables.get(&table)?.name))
            });
            partitions(
                session,
                *kind == "temp_partitions",
                &name.ok_or_else(refuse)?,
            )
        }
        ["frontends"] => Ok(super::frontends(session.server())),
        ["backends"] => Ok(super::backends(session.server())),
        _ => Err(refuse()),
    }
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
