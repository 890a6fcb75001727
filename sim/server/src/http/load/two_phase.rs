//! `_stream_load_2pc`: the second phase of a load.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::json;

use super::answer::pretty;
use super::refusal::Refusal;
use super::settings::text;
use super::{Loader, authorized};
use dorisim_fe::TxnKey;

pub(super) async fn finish_db(
    State(loader): State<Loader>,
    Path(db): Path<String>,
    headers: HeaderMap,
) -> Response {
    answer(finish(&loader, &db, &headers).await)
}

pub(super) async fn finish_table(
    State(loader): State<Loader>,
    Path((db, _table)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    answer(finish(&loader, &db, &headers).await)
}

pub(super) fn answer(result: Result<String, Refusal>) -> Response {
    let (status, text) = match result {
        Ok(text) => ("Success", text),
        Err(refusal) => (refusal.name, refusal.text),
    };
    pretty(&[("status", json!(status)), ("msg", json!(text))])
}

async fn finish(loader: &Loader, db: &str, headers: &HeaderMap) -> Result<String, Refusal> {
    let (label, id) = (text(headers, "label"), text(headers, "txn_id"));
    let mut done = String::new();
    if let Some(label) = &label {
        done.push_str(&format!("label [{label}] "));
    }
    if let Some(id) = &id {
        done.push_str(&format!("transaction [{id}] "));
    }
    let key = match (id, label) {
        (Some(id), _) => match id.parse() {
            Ok(id) => TxnKey::Id(id),
            Err(_) => {
                return Err(Refusal::new(
                    "INTERNAL_ERROR",
                    format!("convert txn_id [{id}] failed, reason=stoull"),
                ));
            }
        },
        (None, Some(label)) => TxnKey::Label(label),
        (None, None) => {
            return Err(Refusal::new(
                "INTERNAL_ERROR",
                "transaction id or label must be set",
            ));
        }
    };
    let operation = text(headers, "txn_operation").unwrap_or_default();
    let commit = match operation.as_str() {
        "commit" => true,
        "abort" => false,
        _ => {
            return Err(Refusal::new(
                "INTERNAL_ERROR",
                "transaction operation should be 'commit' or 'abort'",
            ));
        }
    };
    authorized(&loader.frontend, headers, db, None)?;
    loader.frontend.finish_two_phase(db, key, commit).await?;
    Ok(format!("{done}{operation} successfully."))
}
