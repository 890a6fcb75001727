//! `SHOW LOAD WARNINGS ON 'url'`: the error log of a load, read from the backend that keeps it.

use std::time::Duration;

use reqwest::Url;

use crate::mysql::session::SqlSession;
use dorisim_model::SqlError;
use dorisim_query::ResultSet;

/// Lines shown, at most.
const MAX_LINES: usize = 100;
/// A backend answers within this time.
const BOUND: Duration = Duration::from_secs(5);

pub(super) async fn load_warnings(
    session: &SqlSession,
    url: Option<&str>,
) -> Result<ResultSet, SqlError> {
    let Some(url) = url else {
        return Err(SqlError::analysis(
            "should supply condition like: LABEL = \"your_load_label\", or LOAD_JOB_ID/JOBID = $job_id",
        ));
    };
    let url = checked(session, url)?;
    let failed = |error: reqwest::Error| {
        SqlError::analysis(format!(
            "failed to get error log from url: {url}. reason: {error}"
        ))
    };
    let client = reqwest::Client::builder().timeout(BOUND).build();
    let answer = client.map_err(failed)?.get(url.clone()).send().await;
    let log = answer
        .and_then(reqwest::Response::error_for_status)
        .map_err(failed)?
        .text()
        .await
        .map_err(failed)?;
    let mut rows = ResultSet::of_text(&["JobId", "Label", "ErrorMsgDetail"]);
    for line in log.lines().take(MAX_LINES) {
        rows.push(vec!["-1".to_owned(), "\\N".to_owned(), line.to_owned()]);
    }
    Ok(rows)
}

/// Only error logs of living backends are read.
fn checked(session: &SqlSession, text: &str) -> Result<Url, SqlError> {
    if text.is_empty() {
        return Err(SqlError::analysis("Error load url is missing"));
    }
    let url =
        Url::parse(text).map_err(|error| SqlError::analysis(format!("Invalid url: {error}")))?;
    let (host, port) = (
        url.host_str().unwrap_or_default().to_owned(),
        url.port_or_known_default().unwrap_or(0),
    );
    let backends = session.frontend().backends();
    let found = backends
        .iter()
        .find(|backend| backend.address.http_port == port && session.server().roles.host() == host);
    match found {
        None => Err(SqlError::analysis(format!(
            "{host}:{port} is not a valid backend"
        ))),
        Some(backend) if !backend.alive => Err(SqlError::analysis(format!(
            "Backend {host}:{port} is not alive"
        ))),
        Some(_) if url.path() != "/api/_load_error_log" => Err(SqlError::analysis(format!(
            "Invalid error log path: {}. path should be: /api/_load_error_log",
            url.path()
        ))),
        Some(_) => Ok(url),
    }
}
