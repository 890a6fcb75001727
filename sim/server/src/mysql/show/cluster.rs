//! Variables and configuration.

use crate::mysql::session::SqlSession;
use crate::mysql::words::passes;
use dorisim_fe::{frontend_config as frontend_config_items, plain_name};
use dorisim_query::{ResultSet, shown_value, variables as variables_of_doris};

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
