//! Functions and variables whose answer depends on the session alone.

use super::dates::Moment;
use super::source::SessionInfo;

/// The literal that stands for a function such as `now()`, and the number of tokens it takes.
///
/// `following` says whether `(` and `)` come next.
pub(super) fn session_literal(
    session: &SessionInfo,
    upper: &str,
    following: &[bool; 2],
) -> Option<(String, usize)> {
    let now = Moment::from_ms(session.now_ms);
    let called = following[0] && following[1];
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let text = match upper {
        "CURRENT_TIMESTAMP" if called || !following[0] => quoted(&whole_second(now)),
        "CURRENT_DATE" if called || !following[0] => quoted(&now.date_text()),
        "CURRENT_USER" if called || !following[0] => quoted(&user(session)),
        _ if !called => return None,
        "NOW" | "LOCALTIME" | "LOCALTIMESTAMP" | "SYSDATE" | "UTC_TIMESTAMP" => {
            quoted(&whole_second(now))
        }
        "CURDATE" => quoted(&now.date_text()),
        "CURTIME" | "CURRENT_TIME" => quoted(&now.format("%T")),
        "UNIX_TIMESTAMP" => now.unix_seconds().to_string(),
        "VERSION" => quoted(&session.version),
        "USER" | "SESSION_USER" => quoted(&user(session)),
        "DATABASE" | "SCHEMA" => session
            .db
            .as_deref()
            .map_or_else(|| "NULL".to_owned(), quoted),
        "CONNECTION_ID" => session.connection_id.to_string(),
        "LAST_INSERT_ID" => "0".to_owned(),
        _ => return None,
    };
    Some((text, if called { 3 } else { 1 }))
}

fn whole_second(now: Moment) -> String {
    Moment {
        days: now.days,
        micros: now.micros / 1_000_000 * 1_000_000,
    }
    .text()
}

fn user(session: &SessionInfo) -> String {
    format!("'{}'@'%'", session.user)
}

/// The value of `@@name`, also shown by SHOW VARIABLES.
#[must_use]
pub fn variable(session: &SessionInfo, name: &str) -> Option<String> {
    if let Some(value) = session.variables.get(name) {
        return Some(value.clone());
    }
    if name == "version" {
        return Some(session.version.clone());
    }
    VARIABLES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| (*value).to_owned())
}

/// Variables that drivers ask for, with the values of a fresh session.
pub const VARIABLES: [(&str, &str); 38] = [
    ("auto_increment_increment", "1"),
    ("autocommit", "1"),
    ("batch_size", "4064"),
    ("character_set_client", "utf8mb4"),
    ("character_set_connection", "utf8mb4"),
    ("character_set_database", "utf8mb4"),
    ("character_set_results", "utf8mb4"),
    ("character_set_server", "utf8mb4"),
    ("collation_connection", "utf8mb4_0900_bin"),
    ("collation_database", "utf8mb4_0900_bin"),
    ("collation_server", "utf8mb4_0900_bin"),
    ("enable_insert_strict", "1"),
    ("enable_nereids_dml", "1"),
    ("enable_nereids_planner", "1"),
    ("enable_unique_key_partial_update", "0"),
    ("exec_mem_limit", "2147483648"),
    ("group_commit", "off_mode"),
    ("init_connect", ""),
    ("insert_max_filter_ratio", "1"),
    ("insert_timeout", "14400"),
    ("interactive_timeout", "3600"),
    ("license", "Apache License, Version 2.0"),
    ("lower_case_table_names", "0"),
    ("max_allowed_packet", "67108864"),
    ("net_buffer_length", "16384"),
    ("net_read_timeout", "600"),
    ("net_write_timeout", "600"),
    ("performance_schema", "0"),
    ("query_timeout", "900"),
    ("show_hidden_columns", "0"),
    ("socket", ""),
    ("sql_mode", "ONLY_FULL_GROUP_BY"),
    ("system_time_zone", "UTC"),
    ("time_zone", "Etc/UTC"),
    ("transaction_isolation", "READ-COMMITTED"),
    ("tx_isolation", "READ-COMMITTED"),
    ("version_comment", "Doris version doris-3.1.0-dorisim"),
    ("wait_timeout", "28800"),
];
