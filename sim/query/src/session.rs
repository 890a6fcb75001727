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
