//! What backup and restore jobs have in common.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::api::SqlError;

/// What all jobs have.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobHead {
    /// Id.
    pub id: i64,
    /// Database.
    pub db_id: i64,
    /// Its name at submission.
    pub db: String,
    /// Label.
    pub label: String,
    /// Epoch milliseconds.
    pub create_ms: i64,
    /// Finished or cancelled, -1 before.
    pub finish_ms: i64,
    /// `[OK]` or `[CODE, msg: text]`.
    pub status: String,
    /// Seconds.
    pub timeout_s: i64,
}

impl JobHead {
    /// A job just submitted.
    #[must_use]
    pub fn new(id: i64, db_id: i64, db: &str, label: &str, now_ms: i64, timeout_s: i64) -> Self {
        Self {
            id,
            db_id,
            db: db.to_owned(),
            label: label.to_owned(),
            create_ms: now_ms,
            finish_ms: -1,
            status: "[OK]".to_owned(),
            timeout_s,
        }
    }

    /// `createTime + timeout`.
    #[must_use]
    pub fn deadline_ms(&self) -> i64 {
        self.create_ms
            .saturating_add(self.timeout_s.saturating_mul(1000))
    }
}

/// Names as Java prints a set of them.
pub(crate) fn bracketed(names: &[&String]) -> String {
    let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    format!("[{}]", names.join(", "))
}

/// Labels of jobs follow the pattern of other labels.
pub(crate) fn check_label(label: &str) -> Result<(), String> {
    let fine = (1..=128).contains(&label.len())
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b':'));
    if fine {
        return Ok(());
    }
    Err(format!(
        "Incorrect label name '{label}'. Label regex: '^[-_A-Za-z0-9:]{{1,128}}$'"
    ))
}

/// `timeout` of a job's properties in seconds.
pub(crate) fn timeout_s(properties: &BTreeMap<String, String>) -> Result<i64, SqlError> {
    let Some(text) = properties.get("timeout") else {
        return Ok(86_400);
    };
    match text.parse::<i64>() {
        Ok(seconds) if seconds >= 600 => Ok(seconds),
        Ok(_) => Err(SqlError::new(5064, "timeout must be at least 10 min")),
        Err(_) => Err(SqlError::new(
            5064,
            format!("Invalid timeout format: {text}"),
        )),
    }
}
