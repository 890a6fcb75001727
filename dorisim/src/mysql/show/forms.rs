//! SHOW forms for which this cluster never has rows, with the columns that Doris answers.

use crate::query::{ColumnKind, ResultSet};

/// Words behind SHOW, and the names of the columns.
const EMPTY: [(&str, &str); 81] = [
    ("AUTHORS", "Name, Location, Comment"),
    (
        "BROKER",
        "Name, Host, Port, Alive, LastStartTime, LastUpdateTime, ErrMsg",
    ),
    (
        "EVENTS",
        "Db, Name, Definer, Time, Type, Execute at, Interval value, Interval field, Status, Ends, Status, Originator, character_set_client, collation_connection, Database Collation",
    ),
    (
        "EXPORT",
        "JobId, Label, State, Progress, TaskInfo, Path, CreateTime, StartTime, FinishTime, Timeout, ErrorMsg, OutfileInfo",
    ),
    (
        "LAST INSERT",
        "TransactionId, Label, Database, Table, TransactionStatus, LoadedRows, FilteredRows",
    ),
    (
        "DELETE",
        "TableName, PartitionName, CreateTime, DeleteCondition, State",
    ),
    (
        "PLUGINS",
        "Name, Type, Description, Version, JavaVersion, ClassName, SoName, Sources, Status, Properties",
    ),
    ("ENCRYPTKEYS", "EncryptKey Name, EncryptKey String"),
    (
        "ROLES",
        "Name, Comment, Users, GlobalPrivs, CatalogPrivs, DatabasePrivs, TablePrivs, ResourcePrivs, CloudClusterPrivs, CloudStagePrivs, StorageVaultPrivs, WorkloadGroupPrivs, ComputeGroupPrivs",
    ),
    (
        "FILE",
        "Id, DbName, Catalog, FileName, FileSize, IsContent, MD5",
    ),
    ("PROPERTY", "Key, Value"),
    ("ALL PROPERTIES", "User, Properties"),
    (
        "ROW POLICY",
        "PolicyName, CatalogName, DbName, TableName, Type, FilterType, WherePredicate, User, Role, OriginStmt",
    ),
    (
        "STORAGE POLICY USING",
        "PolicyName, Database, Table, Partitions",
    ),
    (
        "STORAGE POLICY",
        "PolicyName, Id, Version, Type, StorageResource, CooldownDatetime, CooldownTtl",
    ),
    (
        "SQL_BLOCK_RULE",
        "Name, Sql, SqlHash, PartitionNum, TabletNum, Cardinality, Global, Enable",
    ),
    ("DATA TYPES", "TypeName, Size"),
    ("COUNT ( * )", "COUNT"),
    ("RESOURCES", "Name, ResourceType, Item, Value"),
    (
        "STREAM LOAD",
        "Label, Db, Table, ClientIp, Status, Message, Url, TotalRows, LoadedRows, FilteredRows, UnselectedRows, LoadBytes, StartTime, FinishTime, User, Comment, FirstErrorMsg",
    ),
    ("LOAD WARNINGS", "JobId, Label, ErrorMsgDetail"),
    (
        "LOAD",
        "JobId, Label, State, Progress, Type, EtlInfo, TaskInfo, ErrorMsg, CreateTime, EtlStartTime, EtlFinishTime, LoadStartTime, LoadFinishTime, URL, JobDetails, TransactionId, ErrorTablets, User, Comment, FirstErrorMsg",
    ),
    (
        "TRIGGERS",
        "Trigger, Event, Table, Statement, Timing, Created, sql_mode, Definer, character_set_client, collation_connection, Database Collation",
    ),
    (
        "FULL TRIGGERS",
        "Trigger, Event, Table, Statement, Timing, Created, sql_mode, Definer, character_set_client, collation_connection, Database Collation",
    ),
    ("OPEN TABLES", "Database, Table, In_use, Name_locked"),
    ("TRASH", "BackendId, Backend, TrashUsedCapacity"),
    ("STATUS", "Variable_name, Value"),
    ("GLOBAL STATUS", "Variable_name, Value"),
    ("SESSION STATUS", "Variable_name, Value"),
    ("LOCAL STATUS", "Variable_name, Value"),
    ("WHITELIST", "user_name, white_list"),
    (
        "TABLE CREATION",
        "Database, Table, Status, Create Time, Error Msg",
    ),
    (
        "TABLE STATS",
        "updated_rows, query_times, row_count, updated_time, columns, trigger, new_partition, user_inject, enable_auto_analyze, last_analyze_time",
    ),
    (
        "INDEX STATS",
        "table_name, index_name, analyze_row_count, report_row_count, report_row_count_for_nereids",
    ),
    (
        "COLUMN HISTOGRAM",
        "column_name, data_type, sample_rate, num_buckets, buckets",
    ),
    (
        "COLUMN STATS",
        "column_name, index_name, count, ndv, num_null, data_size, avg_size_byte, min, max, method, type, trigger, query_times, updated_time, update_rows, last_analyze_row_count, last_analyze_version, hot_values",
    ),
    (
        "COLUMN CACHED STATS",
        "column_name, index_name, count, ndv, num_null, data_size, avg_size_byte, min, max, method, type, trigger, query_times, updated_time, update_rows, last_analyze_row_count, last_analyze_version, hot_values",
    ),
    (
        "ANALYZE TASK STATUS",
        "task_id, col_name, index_name, message, last_state_change_time, time_cost_in_ms, state",
    ),
    (
        "ANALYZE",
        "job_id, catalog_name, db_name, tbl_name, col_name, job_type, analysis_type, message, last_exec_time_in_ms, state, progress, schedule_type, start_time, end_time, priority, enable_partition",
    ),
    (
        "AUTO ANALYZE",
        "job_id, catalog_name, db_name, tbl_name, col_name, job_type, analysis_type, message, last_exec_time_in_ms, state, progress, schedule_type, start_time, end_time, priority, enable_partition",
    ),
    (
        "QUEUED ANALYZE JOBS",
        "catalog_name, db_name, tbl_name, col_list, priority",
    ),
    ("TABLET STORAGE FORMAT", "BackendId, V1Count, V2Count"),
    ("CONVERT_LSC", "database, table, status"),
    (
        "DICTIONARIES",
        "DictionaryId, DictionaryName, BaseTableName, Version, Status, DataDistribution, LastUpdateResult",
    ),
    ("CONSTRAINTS", "Name, Type, Definition"),
    ("QUERY STATS", "Database, QueryCount"),
    (
        "WARM UP JOB",
        "JobId, SrcComputeGroup, DstComputeGroup, Status, Type, SyncMode, CreateTime, StartTime, FinishBatch, AllBatch, FinishTime, ErrMsg, Tables",
    ),
    (
        "ROUTINE LOAD TASK",
        "TaskId, TxnId, TxnStatus, JobId, CreateTime, ExecuteStartTime, Timeout, BeId, DataSourceProperties",
    ),
    (
        "ROUTINE LOAD",
        "Id, Name, CreateTime, PauseTime, EndTime, DbName, TableName, IsMultiTable, State, DataSourceType, CurrentTaskNum, JobProperties, DataSourceProperties, CustomProperties, Statistic, Progress, Lag, ReasonOfStateChanged, ErrorLogUrls, OtherMsg, User, Comment, ComputeGroup",
    ),
    (
        "ALL ROUTINE LOAD",
        "Id, Name, CreateTime, PauseTime, EndTime, DbName, TableName, IsMultiTable, State, DataSourceType, CurrentTaskNum, JobProperties, DataSourceProperties, CustomProperties, Statistic, Progress, Lag, ReasonOfStateChanged, ErrorLogUrls, OtherMsg, User, Comment, ComputeGroup",
    ),
    (
        "DATA SKEW",
        "PartitionName, BucketIdx, AvgRowCount, AvgDataSize, Graph, Percent",
    ),
    (
        "REPLICA DISTRIBUTION",
        "BackendId, ReplicaNum, ReplicaSize, NumGraph, NumPercent, SizeGraph, SizePercent, CloudClusterName, CloudClusterId",
    ),
    (
        "REPLICA STATUS",
        "TabletId, ReplicaId, BackendId, Version, LastFailedVersion, LastSuccessVersion, CommittedVersion, SchemaHash, VersionNum, IsBad, IsUserDrop, State, Status",
    ),
    ("GLOBAL FUNCTIONS", "Function Name"),
    ("BUILTIN FUNCTIONS", "Function Name"),
    (
        "FULL BUILTIN FUNCTIONS",
        "Signature, Return Type, Function Type, Intermediate Type, Properties",
    ),
    ("CREATE REPOSITORY", "RepoName, CreateStmt"),
    ("CREATE LOAD", "JobId, CreateStmt"),
    ("CREATE ROUTINE LOAD", "JobId, JobName, CreateStmt"),
    ("CREATE CATALOG", "Catalog, CreateCatalog"),
    (
        "CHAR SET",
        "Charset, Description, Default collation, Maxlen",
    ),
    ("CREATE USER", "User Identity, Create Stmt"),
    (
        "WORKLOAD GROUPS",
        "Id, Name, min_cpu_percent, max_cpu_percent, min_memory_percent, max_memory_percent, max_concurrency, max_queue_size, queue_timeout, scan_thread_num, max_remote_scan_thread_num, min_remote_scan_thread_num, memory_low_watermark, memory_high_watermark, compute_group, read_bytes_per_second, remote_read_bytes_per_second, slot_memory_policy, running_query_num, waiting_query_num",
    ),
    (
        "CLUSTERS",
        "cluster, is_current, users, backend_num, sub_clusters, policy, properties",
    ),
    (
        "COMPUTE GROUPS",
        "Name, IsCurrent, Users, BackendNum, SubComputeGroups, Policy, Properties",
    ),
    ("STORAGE VAULTS", "Name, Id, Properties, IsDefault"),
    ("STORAGE VAULT", "Name, Id, Properties, IsDefault"),
    (
        "BACKEND CONFIG",
        "BackendId, Host, Key, Value, Type, IsMutable",
    ),
    ("INVERTED INDEX ANALYZER", "Name, Properties"),
    ("INVERTED INDEX TOKENIZER", "Name, Properties"),
    ("INVERTED INDEX TOKEN_FILTER", "Name, Properties"),
    ("INVERTED INDEX CHAR_FILTER", "Name, Properties"),
    ("INVERTED INDEX NORMALIZER", "Name, Properties"),
    (
        "STAGES",
        "StageName, StageId, Endpoint, Region, Bucket, Prefix, AK, SK, Provider, DefaultCopyOption",
    ),
    (
        "COPY",
        "Id, Table Name, Label, State, Progress, Type, Etl Info, Task Info, Error Msg, Create Time, ETL Start Time, ETL Finish Time, Load Start Time, Load Finish Time, URL, Job Details, Transaction Id, Error Tablets, Files",
    ),
    (
        "QUERY PROFILE",
        "Profile ID, Task Type, Start Time, End Time, Total, Task State, User, Default Catalog, Default Db, Sql Statement",
    ),
    (
        "LOAD PROFILE",
        "Profile ID, Task Type, Start Time, End Time, Total, Task State, User, Default Catalog, Default Db, Sql Statement",
    ),
    ("CATALOG INTERNAL", "Key, Value"),
    (
        "TABLETS BELONG",
        "DbName, TableName, TableSize, PartitionNum, BucketNum, ReplicaCount, TabletIds",
    ),
    ("TABLET DIAGNOSIS", "Item, Info, Suggestion"),
    ("HELP", "name, description, example"),
];

/// Those of them whose columns are STRING.
const STRINGS: [&str; 6] = [
    "BACKEND CONFIG",
    "BUILTIN FUNCTIONS",
    "CATALOG INTERNAL",
    "GLOBAL FUNCTIONS",
    "LOAD PROFILE",
    "QUERY PROFILE",
];

/// The answer to a form, by the words behind SHOW in upper case; the longest form counts.
pub(super) fn empty(text: &str) -> Option<ResultSet> {
    let text = text.replace("(*)", " ( * )");
    let words: Vec<&str> = text.split_whitespace().collect();
    let begins = |form: &str| {
        let form: Vec<&str> = form.split(' ').collect();
        words.starts_with(&form)
    };
    let (form, columns) = EMPTY
        .iter()
        .filter(|(form, _)| begins(form))
        .max_by_key(|(form, _)| form.len())?;
    let columns: Vec<&str> = columns.split(", ").collect();
    Some(if STRINGS.contains(form) {
        ResultSet::of_strings(&columns)
    } else if *form == "COUNT ( * )" {
        let mut answer = ResultSet::of_text(&columns);
        answer.columns[0].kind = ColumnKind::Integer;
        answer
    } else {
        ResultSet::of_text(&columns)
    })
}

#[cfg(test)]
mod tests {
    use super::empty;

    #[test]
    fn the_longest_form_names_the_columns() {
        let first = |text: &str| empty(text).map(|answer| answer.columns[0].name.clone());
        assert_eq!(first("LOAD WHERE LABEL = 'X'").as_deref(), Some("JobId"));
        assert_eq!(empty("LOAD WARNINGS FROM D").unwrap().columns.len(), 3);
        assert_eq!(empty("STORAGE  POLICY USING").unwrap().columns.len(), 4);
        assert_eq!(empty("STORAGE POLICY").unwrap().columns.len(), 7);
        assert!(empty("LOADED").is_none());
    }
}
