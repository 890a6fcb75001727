//! SHOW DYNAMIC PARTITION TABLES.

use crate::mysql::session::SqlSession;
use dorisim_model::SqlError;
use dorisim_query::ResultSet;

/// One row per table that has dynamic partition properties, switched on or not.
pub(super) fn tables(session: &SqlSession, db: Option<&str>) -> Result<ResultSet, SqlError> {
    let db = session.db_of(db)?;
    let mut answer = ResultSet::of_text(&[
        "TableName",
        "Enable",
        "TimeUnit",
        "Start",
        "End",
        "Prefix",
        "Buckets",
        "ReplicationNum",
        "ReplicaAllocation",
        "StartOf",
        "LastUpdateTime",
        "LastSchedulerTime",
        "State",
        "LastCreatePartitionMsg",
        "LastDropPartitionMsg",
        "ReservedHistoryPeriods",
    ]);
    for row in session.frontend().dynamic_partition_tables(&db)? {
        answer.push(row);
    }
    Ok(answer)
}
