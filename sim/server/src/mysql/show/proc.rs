//! SHOW PROC: the catalogue as a tree of paths.

use super::proc_table;
use crate::mysql::nodes;
use crate::mysql::session::SqlSession;
use dorisim_model::Database;
use dorisim_model::SqlError;
use dorisim_query::ResultSet;

/// Entries of the root, with the columns of those that never have rows here.
const ROOT: [(&str, &str); 24] = [
    ("auth", ""),
    ("backends", ""),
    ("bdbje", "DbNames, JournalNumber, Comment"),
    ("binlog", ""),
    (
        "brokers",
        "Name, Host, Port, Alive, LastStartTime, LastUpdateTime, ErrMsg",
    ),
    ("catalogs", ""),
    ("cluster_balance", "Item, Number"),
    ("cluster_health", "Items"),
    (
        "colocation_group",
        "GroupId, GroupName, TableIds, BucketsNum, ReplicaAllocation, DistCols, IsStable, ErrorMsg",
    ),
    (
        "current_backend_instances",
        "Backend, InstanceNum, InstanceId, ExecTime",
    ),
    (
        "current_queries",
        "QueryId, ConnectionId, Catalog, Database, User, ScanBytes, ProcessRows, ExecTime",
    ),
    (
        "current_query_stmts",
        "QueryId, ConnectionId, Catalog, Database, User, ExecTime, SqlHash, Statement",
    ),
    ("dbs", ""),
    ("diagnose", "Item, ErrorNum, WarningNum"),
    ("frontends", ""),
    ("jobs", ""),
    ("monitor", "Name, Info"),
    ("resources", "Name, ResourceType, Item, Value"),
    (
        "routine_loads",
        "Name, Id, DbName, Statistic, TaskStatistic",
    ),
    ("statistic", ""),
    ("stream_loads", "Label, DbId, FinishTime"),
    ("tasks", "TaskType, FailedNum, TotalNum"),
    ("transactions", ""),
    ("trash", "BackendId, Backend, TrashUsedCapacity"),
];

/// `SHOW PROC 'path'`.
pub(super) fn proc(session: &SqlSession, path: &str) -> Result<ResultSet, SqlError> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let refuse = || SqlError::analysis(format!("Proc path '{path}' doesn't exist"));
    let id = |text: &str| text.parse::<i64>().map_err(|_| refuse());
    match parts.as_slice() {
        [] => {
            let mut answer = ResultSet::of_text(&["name"]);
            for (name, _) in ROOT {
                answer.push(vec![name.to_owned()]);
            }
            Ok(answer)
        }
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
        ["auth"] => Ok(super::cluster::grants(session)),
        ["catalogs"] => {
            let mut answer =
                ResultSet::of_text(&["CatalogIds", "CatalogName", "DatabaseNum", "LastUpdateTime"]);
            let databases = session.frontend().with_catalog(|c| c.databases.len());
            let row = ["0", "internal", &databases.to_string(), "\\N"];
            answer.push(row.map(str::to_owned).to_vec());
            Ok(answer)
        }
        ["statistic"] => Ok(statistic(session)),
        ["cluster_health", "tablet_health"] => Ok(tablet_health(session)),
        ["jobs"] => Ok(by_database(session, &["DbId", "DbName"])),
        ["transactions"] => Ok(by_database(
            session,
            &["DbId", "DbName", "RunningTransactionNum"],
        )),
        ["transactions", db, state @ ("running" | "finished")] => {
            super::jobs::transactions_of(session, id(db)?, *state == "finished").ok_or_else(refuse)
        }
        [one] => {
            let (_, columns) = ROOT
                .iter()
                .find(|(name, columns)| name == one && !columns.is_empty())
                .ok_or_else(refuse)?;
            Ok(ResultSet::of_text(&columns.split(", ").collect::<Vec<_>>()))
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

/// Every tablet is healthy: there is no clone and no balance.
fn tablet_health(session: &SqlSession) -> ResultSet {
    let mut answer = ResultSet::of_text(&[
        "DbId",
        "DbName",
        "TabletNum",
        "HealthyNum",
        "ReplicaMissingNum",
        "VersionIncompleteNum",
        "ReplicaRelocatingNum",
        "RedundantNum",
        "ReplicaMissingForTagNum",
        "ForceRedundantNum",
        "ColocateMismatchNum",
        "ColocateRedundantNum",
        "NeedFurtherRepairNum",
        "UnrecoverableNum",
        "ReplicaCompactionTooSlowNum",
        "InconsistentNum",
        "OversizeNum",
        "CloningNum",
    ]);
    let width = answer.columns.len();
    session.frontend().with_catalog(|catalog| {
        for db in catalog.databases.values() {
            let partitions = db.tables.values().flat_map(|t| t.partitions.values());
            let tablets = partitions.flat_map(|p| p.tablets()).count().to_string();
            let mut cells = vec![db.id.to_string(), db.name.clone(), tablets.clone(), tablets];
            cells.resize(width, "0".to_owned());
            answer.push(cells);
        }
    });
    answer
}

fn statistic(session: &SqlSession) -> ResultSet {
    let mut answer = ResultSet::of_text(&[
        "DbId",
        "DbName",
        "TableNum",
        "PartitionNum",
        "IndexNum",
        "TabletNum",
        "ReplicaNum",
    ]);
    session.frontend().with_catalog(|catalog| {
        let mut sums = [0_usize; 5];
        for db in catalog.databases.values() {
            let partitions = || db.tables.values().flat_map(|t| t.partitions.values());
            let tablets = || partitions().flat_map(|p| p.tablets());
            let counts = [
                db.tables.len(),
                partitions().count(),
                partitions().map(|p| p.indexes.len()).sum(),
                tablets().count(),
                tablets().map(|t| t.replicas.len()).sum(),
            ];
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
            let mut cells = vec![db.id.to_string(), db.name.clone()];
            cells.extend(counts.map(|count| count.to_string()));
            answer.push(cells);
        }
        let mut cells = vec!["Total".to_owned(), catalog.databases.len().to_string()];
        cells.extend(sums.map(|sum| sum.to_string()));
        answer.push(cells);
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
