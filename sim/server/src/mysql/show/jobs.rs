//! Transactions, backups, restores, and the job lists that are always empty.

use crate::mysql::session::SqlSession;
use dorisim_fe::{JobView, SqlError, TxnKey, TxnView};
use dorisim_model::clock::datetime_text;
use dorisim_query::ResultSet;
use dorisim_sql::ast::ShowTail;

/// A time, or what stands for one not reached.
fn time(ms: i64) -> String {
    if ms < 0 {
        "\\N".to_owned()
    } else {
        datetime_text(ms)
    }
}

/// SHOW TRANSACTION.
pub(super) fn transaction(
    session: &SqlSession,
    db: Option<&str>,
    id: Option<i64>,
    label: Option<String>,
) -> Result<ResultSet, SqlError> {
    let db = session.db_of(db)?;
    if session
        .frontend()
        .with_catalog(|catalog| catalog.database(&db).is_none())
    {
        return Err(SqlError::unknown_db(&db));
    }
    let (key, missing) = match (id, label) {
        (Some(id), _) => (
            TxnKey::Id(id),
            format!("transaction with id {id} does not exist"),
        ),
        (None, Some(label)) => {
            let missing = format!("transaction with label {label} does not exist");
            (TxnKey::Label(label), missing)
        }
        (None, None) => return Err(SqlError::analysis("Missing transaction id or label")),
    };
    let view = session
        .frontend()
        .transaction(&db, &key)
        .ok_or_else(|| SqlError::analysis(missing))?;
    Ok(transactions(vec![view]))
}

/// Most transactions that SHOW PROC lists.
const MAX_LISTED: usize = 2000;

/// `SHOW PROC '/transactions/<db>/finished'`, and `running`. `None` without the database.
pub(super) fn transactions_of(session: &SqlSession, db: i64, ended: bool) -> Option<ResultSet> {
    let mut views = session.frontend().transactions(db, ended)?;
    views.truncate(MAX_LISTED);
    Some(transactions(views))
}

fn transactions(views: Vec<TxnView>) -> ResultSet {
    let mut answer = ResultSet::of_text(&[
        "TransactionId",
        "Label",
        "Coordinator",
        "TransactionStatus",
        "LoadJobSourceType",
        "PrepareTime",
        "PreCommitTime",
        "CommitTime",
        "PublishTime",
        "FinishTime",
        "Reason",
        "ErrorReplicasCount",
        "ListenerId",
        "TimeoutMs",
        "ErrMsg",
    ]);
    for view in views {
        answer.push(vec![
            view.id.to_string(),
            view.label,
            "FE: 127.0.0.1".to_owned(),
            view.status.as_str().to_owned(),
            view.source_type.to_owned(),
            time(view.prepare_ms),
            "\\N".to_owned(),
            time(view.commit_ms),
            time(view.finish_ms),
            time(view.finish_ms),
            view.reason,
            "0".to_owned(),
            "-1".to_owned(),
            view.timeout_ms.to_string(),
            String::new(),
        ]);
    }
    answer
}

/// `WHERE LIKE "x%"` names no column.
pub(super) fn like_tail(mut tail: ShowTail, column: &str) -> ShowTail {
    if let Some(filter) = &mut tail.filter {
        let bare = filter
            .get(..4)
            .is_some_and(|word| word.eq_ignore_ascii_case("like"));
        if bare {
            *filter = format!("{column} {filter}");
        }
    }
    tail
}

fn known(session: &SqlSession, db: Option<&str>) -> Result<String, SqlError> {
    let db = session.db_of(db)?;
    let known = session
        .frontend()
        .with_catalog(|catalog| catalog.database(&db).is_some());
    if known {
        Ok(db)
    } else {
        Err(SqlError::unknown_db(&db))
    }
}

/// SHOW BACKUP.
pub(super) fn backups(session: &SqlSession, db: Option<&str>) -> Result<ResultSet, SqlError> {
    let db = known(session, db)?;
    let mut answer = ResultSet::of_strings(&[
        "JobId",
        "SnapshotName",
        "DbName",
        "State",
        "BackupObjs",
        "CreateTime",
        "SnapshotFinishedTime",
        "UploadFinishedTime",
        "FinishedTime",
        "UnfinishedTasks",
        "Progress",
        "TaskErrMsg",
        "Status",
        "Timeout",
    ]);
    for job in session.frontend().backup_jobs(&db) {
        answer.push(vec![
            job.id.to_string(),
            job.label.clone(),
            job.db.clone(),
            job.state.to_owned(),
            job.objects
                .iter()
                .map(|name| format!("[{name}]"))
                .collect::<Vec<_>>()
                .join(", "),
            time(job.create_ms),
            time(job.snapshot_ms),
            time(job.transfer_ms),
            time(job.finish_ms),
            job.unfinished,
            String::new(),
            job.task_error,
            job.status,
            job.timeout_s.to_string(),
        ]);
    }
    Ok(answer)
}

/// `SHOW [BRIEF] RESTORE`.
pub(super) fn restores(
    session: &SqlSession,
    db: Option<&str>,
    brief: bool,
) -> Result<ResultSet, SqlError> {
    let db = known(session, db)?;
    const LONG: [&str; 3] = ["RestoreObjs", "Progress", "TaskErrMsg"];
    let names = [
        "JobId",
        "Label",
        "Timestamp",
        "DbName",
        "State",
        "AllowLoad",
        "ReplicationNum",
        "ReplicaAllocation",
        "ReserveReplica",
        "ReserveDynamicPartitionEnable",
        "RestoreObjs",
        "CreateTime",
        "MetaPreparedTime",
        "SnapshotFinishedTime",
        "DownloadFinishedTime",
        "FinishedTime",
        "UnfinishedTasks",
        "Progress",
        "TaskErrMsg",
        "Status",
        "Timeout",
    ];
    let shown: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| !(brief && LONG.contains(name)))
        .collect();
    let mut answer = ResultSet::of_strings(&shown);
    for job in session.frontend().restore_jobs(&db) {
        let cells = restore_row(&job);
        let kept = names
            .iter()
            .zip(cells)
            .filter(|(name, _)| !(brief && LONG.contains(name)));
        answer.push(kept.map(|(_, cell)| cell).collect());
    }
    Ok(answer)
}

fn restore_row(job: &JobView) -> Vec<String> {
    vec![
        job.id.to_string(),
        job.label.clone(),
        datetime_text(job.create_ms).replace([' ', ':'], "-"),
        job.db.clone(),
        job.state.to_owned(),
        "false".to_owned(),
        job.replication_num.to_string(),
        format!("tag.location.default: {}", job.replication_num),
        job.reserve_replica.to_string(),
        "false".to_owned(),
        job.content.to_string(),
        time(job.create_ms),
        time(job.meta_prepared_ms),
        time(job.snapshot_ms),
        time(job.transfer_ms),
        time(job.finish_ms),
        job.unfinished.clone(),
        String::new(),
        job.task_error.clone(),
        job.status.clone(),
        job.timeout_s.to_string(),
    ]
}

/// SHOW ALTER TABLE COLUMN, ROLLUP and MATERIALIZED VIEW.
pub(super) fn alter(
    session: &SqlSession,
    kind: &str,
    db: Option<&str>,
) -> Result<ResultSet, SqlError> {
    let db = known(session, db)?;
    let columns = kind == "COLUMN";
    let jobs = session.frontend().alter_jobs(&db, columns);
    let head = ["JobId", "TableName", "CreateTime", "FinishTime"];
    let middle: &[&str] = if columns {
        &["IndexName", "IndexId", "OriginIndexId", "SchemaVersion"]
    } else {
        &["BaseIndexName", "RollupIndexName", "RollupId"]
    };
    let tail = ["TransactionId", "State", "Msg", "Progress", "Timeout"];
    let names: Vec<&str> = head.iter().chain(middle).chain(&tail).copied().collect();
    let mut answer = ResultSet::of_text(&names);
    for job in jobs {
        let mut row = vec![
            job.job_id.to_string(),
            job.table,
            time(job.create_ms),
            time(job.finish_ms),
        ];
        if columns {
            row.extend([
                job.index,
                job.index_id.to_string(),
                job.origin_id.to_string(),
                job.schema_version,
            ]);
        } else {
            row.extend([job.base, job.index, job.index_id.to_string()]);
        }
        row.extend([
            job.txn_id.to_string(),
            job.state.to_owned(),
            job.message,
            String::new(),
            dorisim_fe::alter::job::TIMEOUT_S.to_string(),
        ]);
        answer.push(row);
    }
    Ok(answer)
}

/// SHOW BUILD INDEX.
pub(super) fn build_index(session: &SqlSession, db: Option<&str>) -> Result<ResultSet, SqlError> {
    let db = session.db_of(db)?;
    let mut answer = ResultSet::of_text(&[
        "JobId",
        "TableName",
        "PartitionName",
        "AlterInvertedIndexes",
        "CreateTime",
        "FinishTime",
        "TransactionId",
        "State",
        "Msg",
        "Progress",
    ]);
    for job in session.frontend().index_jobs(&db) {
        let verb = if job.is_drop { "DROP" } else { "ADD" };
        let indexes: Vec<String> = job
            .indexes
            .iter()
            .map(|i| {
                let columns: Vec<String> = i.columns.iter().map(|c| format!("`{c}`")).collect();
                format!(
                    "{verb} INDEX {} ({}) USING {}",
                    i.name,
                    columns.join(", "),
                    i.kind
                )
            })
            .collect();
        answer.push(vec![
            job.id.to_string(),
            job.table.1,
            job.partition.1,
            format!("[{}]", indexes.join(", ")),
            time(job.create_ms),
            time(job.finish_ms),
            job.watershed.to_string(),
            job.state.as_str().to_owned(),
            job.message,
            String::new(),
        ]);
    }
    Ok(answer)
}

/// SHOW CATALOG RECYCLE BIN.
pub(super) fn recycle_bin(session: &SqlSession) -> ResultSet {
    let mut answer = ResultSet::of_text(&[
        "Type",
        "Name",
        "DbId",
        "TableId",
        "PartitionId",
        "DropTime",
        "DataSize",
        "RemoteDataSize",
    ]);
    let id = |id: Option<i64>| id.map(|id| id.to_string()).unwrap_or_default();
    for entry in session.frontend().recycle_bin() {
        answer.push(vec![
            entry.kind.to_owned(),
            entry.name,
            entry.db_id.to_string(),
            id(entry.table_id),
            id(entry.partition_id),
            time(entry.dropped_ms),
            "0.000 ".to_owned(),
            "0.000 ".to_owned(),
        ]);
    }
    answer
}
