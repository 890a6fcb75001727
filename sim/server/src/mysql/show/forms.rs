//! SHOW forms that public clients send and for which this cluster never has rows, with the columns that Doris answers. Other forms
//! are refused.

use dorisim_query::{ColumnKind, ResultSet};

/// Words behind SHOW, and the names of the columns.
const EMPTY: [(&str, &str); 20] = [
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
    (
        "ROLES",
        "Name, Comment, Users, GlobalPrivs, CatalogPrivs, DatabasePrivs, TablePrivs, ResourcePrivs, CloudClusterPrivs, CloudStagePrivs, StorageVaultPrivs, WorkloadGroupPrivs, ComputeGroupPrivs",
    ),
    (
        "STORAGE POLICY",
        "PolicyName, Id, Version, Type, StorageResource, CooldownDatetime, CooldownTtl",
    ),
    ("COUNT ( * )", "COUNT"),
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
    ("STATUS", "Variable_name, Value"),
    ("GLOBAL STATUS", "Variable_name, Value"),
    ("SESSION STATUS", "Variable_name, Value"),
    (
        "ROUTINE LOAD",
        "Id, Name, CreateTime, PauseTime, EndTime, DbName, TableName, IsMultiTable, State, DataSourceType, CurrentTaskNum, JobProperties, DataSourceProperties, CustomProperties, Statistic, Progress, Lag, ReasonOfStateChanged, ErrorLogUrls, OtherMsg, User, Comment, ComputeGroup",
    ),
    ("GLOBAL FUNCTIONS", "Function Name"),
    ("HELP", "name, description, example"),
];

/// Those of them whose columns are STRING.
const STRINGS: [&str; 1] = ["GLOBAL FUNCTIONS"];

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
        assert_eq!(empty("STORAGE POLICY").unwrap().columns.len(), 7);
        assert!(empty("LOADED").is_none());
    }
}
