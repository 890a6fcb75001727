//! Nodes, variables, configuration.

use crate::mysql::session::SqlSession;
use crate::mysql::words::passes;
use dorisim_fe::{frontend_config as frontend_config_items, plain_name};
use dorisim_model::clock::datetime_text;
use dorisim_query::{ColumnKind, ResultSet, shown_value, variables as variables_of_doris};

/// ADMIN SHOW FRONTEND CONFIG.
pub(in crate::mysql) fn frontend_config(session: &SqlSession, like: Option<&str>) -> ResultSet {
    let mut answer =
        ResultSet::of_strings(&["Key", "Value", "Type", "IsMutable", "MasterOnly", "Comment"]);
    let config = session.frontend().config();
    let own = |name: &str| match name {
        "enable_feature_binlog" => Some(config.binlog_feature.to_string()),
        "label_keep_max_second" => Some(config.label_keep.as_secs().to_string()),
        "max_backup_restore_job_num_per_db" => Some(config.jobs_kept_per_db.to_string()),
        "max_running_txn_num_per_db" => Some(config.max_running_txns.to_string()),
        _ => None,
    };
    let mut settings = session.frontend().settings();
    for item in frontend_config_items() {
        let plain = plain_name(item.name);
        let set = settings
            .remove(item.name)
            .or_else(|| settings.remove(plain));
        if passes(item.name, like) {
            let value = set.or_else(|| own(plain));
            answer.push(vec![
                item.name.to_owned(),
                value.unwrap_or_else(|| item.default.to_owned()),
                item.kind.to_owned(),
                item.mutable.to_string(),
                item.master_only.to_string(),
                String::new(),
            ]);
        }
    }
    // What is left is the simulator's own.
    for (name, value) in settings.into_iter().filter(|(name, _)| passes(name, like)) {
        let cells = [&name, &value, "String", "true", "true", ""];
        answer.push(cells.map(str::to_owned).to_vec());
    }
    answer
}

pub(super) fn variables(session: &SqlSession, global: bool, like: Option<&str>) -> ResultSet {
    let mut answer = ResultSet::of_text(&["Variable_name", "Value", "Default_Value", "Changed"]);
    let mut info = session.info();
    if global {
        info.variables = std::mem::take(&mut info.globals);
    }
    for known in variables_of_doris() {
        if passes(known.name, like) {
            let value = shown_value(&info, known.name).unwrap_or_default();
            let changed = if value == known.default { "0" } else { "1" };
            answer.push(vec![
                known.name.to_owned(),
                value,
                known.default.to_owned(),
                changed.to_owned(),
            ]);
        }
    }
    answer
}

pub(super) fn process_list(session: &SqlSession) -> ResultSet {
    let mut answer = ResultSet::of_text(&[
        "CurrentConnected",
        "Id",
        "User",
        "Host",
        "LoginTime",
        "Catalog",
        "Db",
        "Command",
        "Time",
        "State",
        "QueryId",
        "TraceId",
        "Info",
        "FE",
        "CloudCluster",
    ]);
    for (at, kind) in [(4, ColumnKind::DateTime(0)), (8, ColumnKind::Int)] {
        answer.columns[at].kind = kind;
    }
    let info = session.info();
    answer.push(vec![
        "Yes".to_owned(),
        info.connection_id.to_string(),
        info.user,
        "127.0.0.1".to_owned(),
        datetime_text(info.now_ms),
        "internal".to_owned(),
        info.db.unwrap_or_default(),
        "Query".to_owned(),
        "0".to_owned(),
        "OK".to_owned(),
        String::new(),
        String::new(),
        String::new(),
        "127.0.0.1".to_owned(),
        String::new(),
    ]);
    answer
}

pub(super) fn grants(session: &SqlSession) -> ResultSet {
    let mut answer = ResultSet::of_text(&[
        "UserIdentity",
        "Comment",
        "Password",
        "Roles",
        "GlobalPrivs",
        "CatalogPrivs",
        "DatabasePrivs",
        "TablePrivs",
        "ColPrivs",
        "ResourcePrivs",
        "CloudClusterPrivs",
        "CloudStagePrivs",
        "StorageVaultPrivs",
        "WorkloadGroupPrivs",
        "ComputeGroupPrivs",
    ]);
    let global: Vec<_> = ["SELECT", "LOAD", "ALTER", "CREATE", "DROP", "ADMIN"]
        .into_iter()
        .filter(|privilege| {
            session
                .frontend()
                .has_privilege(session.user(), privilege, None, None)
        })
        .map(|privilege| format!("{privilege}_PRIV"))
        .collect();
    answer.push(vec![
        format!("'{}'@'%'", session.user()),
        String::new(),
        "Yes".to_owned(),
        String::new(),
        global.join(","),
    ]);
    for row in &mut answer.rows {
        row.resize(answer.columns.len(), None);
    }
    answer
}
