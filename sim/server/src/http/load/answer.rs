//! The JSON a backend answers to a load: members, order and texts of `StreamLoadContext::to_json`.

use std::fmt::Write;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// How a load ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    Success,
    /// Committed, not yet visible: the text says so.
    PublishTimeout(String),
    /// The label is another transaction's: RUNNING or FINISHED, and the text.
    LabelExists(&'static str, String),
    Fail(String),
}

/// Everything the answer tells.
#[derive(Debug, Clone)]
pub(super) struct LoadAnswer {
    pub(super) txn_id: i64,
    pub(super) label: String,
    pub(super) comment: String,
    pub(super) two_phase: bool,
    pub(super) group_commit: bool,
    pub(super) status: Status,
    pub(super) total: u64,
    pub(super) loaded: u64,
    pub(super) filtered: u64,
    pub(super) unselected: u64,
    pub(super) bytes: usize,
    pub(super) times: Times,
    pub(super) error_url: Option<String>,
    pub(super) first_error: Option<String>,
}

/// Milliseconds of the parts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Times {
    pub(super) total: u64,
    pub(super) begin: u64,
    pub(super) plan: u64,
    pub(super) receive: u64,
    pub(super) write: u64,
    pub(super) commit: u64,
}

impl LoadAnswer {
    /// A load of which nothing is known yet.
    pub(super) fn new(label: String) -> Self {
        Self {
            txn_id: -1,
            label,
            comment: String::new(),
            two_phase: false,
            group_commit: false,
            status: Status::Success,
            total: 0,
            loaded: 0,
            filtered: 0,
            unselected: 0,
            bytes: 0,
            times: Times::default(),
            error_url: None,
            first_error: None,
        }
    }

    fn members(&self) -> Vec<(&'static str, Value)> {
        let mut members = vec![
            ("TxnId", json!(self.txn_id)),
            ("Label", json!(self.label)),
            ("Comment", json!(self.comment)),
        ];
        if self.group_commit {
            members.push(("GroupCommit", json!(true)));
        } else {
            members.push(("TwoPhaseCommit", json!(self.two_phase.to_string())));
        }
        let (status, message) = match &self.status {
            Status::Success => ("Success", "OK"),
            Status::PublishTimeout(text) => ("Publish Timeout", text.as_str()),
            Status::LabelExists(_, text) => ("Label Already Exists", text.as_str()),
            Status::Fail(text) => ("Fail", text.as_str()),
        };
        members.push(("Status", json!(status)));
        if let Status::LabelExists(job, _) = &self.status {
            members.push(("ExistingJobStatus", json!(job)));
        }
        members.extend([
            ("Message", json!(message)),
            ("NumberTotalRows", json!(self.total)),
            ("NumberLoadedRows", json!(self.loaded)),
            ("NumberFilteredRows", json!(self.filtered)),
            ("NumberUnselectedRows", json!(self.unselected)),
            ("LoadBytes", json!(self.bytes)),
            ("LoadTimeMs", json!(self.times.total)),
        ]);
        if !self.group_commit {
            members.push(("BeginTxnTimeMs", json!(self.times.begin)));
        }
        members.extend([
            ("StreamLoadPutTimeMs", json!(self.times.plan)),
            ("ReadDataTimeMs", json!(0)),
            ("WriteDataTimeMs", json!(self.times.write)),
            ("ReceiveDataTimeMs", json!(self.times.receive)),
        ]);
        if !self.group_commit {
            members.push(("CommitAndPublishTimeMs", json!(self.times.commit)));
        }
        if let Some(url) = &self.error_url {
            members.push(("ErrorURL", json!(url)));
        }
        if let (Some(first), Status::Fail(_)) = (&self.first_error, &self.status) {
            members.push(("FirstErrorMsg", json!(first)));
        }
        members
    }

    pub(super) fn into_response(self) -> Response {
        pretty(&self.members())
    }
}

/// An object with its members in order, indented as RapidJSON's pretty writer does.
pub(super) fn pretty(members: &[(&str, Value)]) -> Response {
    let mut body = String::from("{");
    for (at, (name, value)) in members.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        // Writing to a String can not fail.
        let _ = write!(body, "{comma}\n    \"{name}\": {value}");
    }
    body.push_str("\n}\n");
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(answer: &LoadAnswer) -> Vec<&'static str> {
        answer.members().into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn members_come_in_doris_order() {
        let mut answer = LoadAnswer::new("l".into());
        assert_eq!(
            names(&answer),
            [
                "TxnId",
                "Label",
                "Comment",
                "TwoPhaseCommit",
                "Status",
                "Message",
                "NumberTotalRows",
                "NumberLoadedRows",
                "NumberFilteredRows",
                "NumberUnselectedRows",
                "LoadBytes",
                "LoadTimeMs",
                "BeginTxnTimeMs",
                "StreamLoadPutTimeMs",
                "ReadDataTimeMs",
                "WriteDataTimeMs",
                "ReceiveDataTimeMs",
                "CommitAndPublishTimeMs"
            ]
        );
        answer.status = Status::Fail("x".into());
        answer.first_error = Some("first".into());
        answer.error_url = Some("http://".into());
        assert!(names(&answer).ends_with(&["ErrorURL", "FirstErrorMsg"]));
        answer.group_commit = true;
        assert!(names(&answer).contains(&"GroupCommit"));
        assert!(!names(&answer).contains(&"BeginTxnTimeMs"));
    }
}
