//! `ccr job`: the HTTP API from the command line.

use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::EXIT_FAILED;
use crate::args::{JobArgs, JobVerb};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Sends one request, prints the answer. Exit code 1 when the answer is a refusal.
pub async fn job(args: &JobArgs) -> Result<ExitCode> {
    let named = |name: &String| json!({ "name": name });
    let (operator, body) = match &args.verb {
        JobVerb::Create { file } => ("create_ccr", body_of(file)?),
        JobVerb::List => ("list_jobs", json!({})),
        JobVerb::Status { name } => ("job_status", named(name)),
        JobVerb::Lag { name } => ("get_lag", named(name)),
        JobVerb::Pause { name } => ("pause", named(name)),
        JobVerb::Resume { name } => ("resume", named(name)),
        JobVerb::Resync { name, tables } if tables.is_empty() => ("resync", named(name)),
        JobVerb::Resync { name, tables } => ("resync", json!({ "name": name, "tables": tables })),
        JobVerb::Skip { name, commit_seq } => {
            ("skip", json!({ "name": name, "commit_seq": commit_seq }))
        }
        JobVerb::Delete { name } => ("delete", named(name)),
    };
    let url = format!("{}/{operator}", args.api.trim_end_matches('/'));
    let response = reqwest::Client::new()
        .post(&url)
        .timeout(TIMEOUT)
        .json(&body)
        .send()
        .await
        .with_context(|| format!("asking {url}; is `ccr standalone` running there?"))?;
    let status = response.status();
    let text = response
        .text()
        .await
        .with_context(|| format!("reading the answer of {url}"))?;
    let Ok(answer) = serde_json::from_str::<Value>(&text) else {
        bail!("{url} answered {status}: {text}");
    };
    if answer["success"] == json!(true) {
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("error: {}", answer["error_msg"].as_str().unwrap_or(&text));
    Ok(ExitCode::from(EXIT_FAILED))
}

/// A job in a file, or from stdin.
pub(super) fn body_of(file: &std::path::Path) -> Result<Value> {
    let text = if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("reading the job from stdin")?;
        text
    } else {
        std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?
    };
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))
}
