//! SHOW DYNAMIC PARTITION TABLES.

use crate::fe::SqlError;
use crate::mysql::session::SqlSession;
use crate::query::ResultSet;

/// Tables whose partitions come and go with the time; nothing schedules them here.
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
    session.frontend().with_catalog(|catalog| {
        let database = catalog
            .database(&db)
            .ok_or_else(|| SqlError::unknown_db(&db))?;
        for table in database.tables.values() {
            let of = |key: &str, default: &str| {
                let found = table.properties.get(&format!("dynamic_partition.{key}"));
                found.map_or_else(|| default.to_owned(), Clone::clone)
            };
            let unit = of("time_unit", "");
            if unit.is_empty() {
                continue;
            }
            let start_of = match unit.to_ascii_uppercase().as_str() {
                "WEEK" => "MONDAY",
                "MONTH" => "1st",
                _ => "\\N",
            };
            let replicas = of("replication_num", &table.replication_num.to_string());
            answer.push(vec![
                table.name.clone(),
                of("enable", "true"),
                unit.to_ascii_uppercase(),
                of("start", "-2147483648"),
                of("end", ""),
                of("prefix", "p"),
                of("buckets", &table.distribution.buckets.to_string()),
                replicas.clone(),
                format!("tag.location.default: {replicas}"),
                start_of.to_owned(),
                "\\N".to_owned(),
                "\\N".to_owned(),
                "NORMAL".to_owned(),
                "\\N".to_owned(),
                "\\N".to_owned(),
                of("reserved_history_periods", "NULL"),
            ]);
        }
        Ok(())
    })?;
    Ok(answer)
}
