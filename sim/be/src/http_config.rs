//! `/api/show_config` and `/api/update_config` of a backend. More items can be changed here than Doris lets, as tests need.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::{Query, State};
use serde_json::{Value, json};

use super::backend::{Backend, BackendConfig};
use dorisim_model::backend::BackendApi;

/// An item that can be read and set as text.
struct Item {
    name: &'static str,
    kind: &'static str,
    read: fn(&BackendConfig) -> String,
    write: fn(&BackendConfig, &str) -> Result<(), String>,
}

macro_rules! item {
    ($name:literal, $kind:literal, $field:ident) => {
        Item {
            name: $name,
            kind: $kind,
            read: |config| config.$field.load(Ordering::Relaxed).to_string(),
            write: |config, text| {
                config.$field.store(parsed(text)?, Ordering::Relaxed);
                Ok(())
            },
        }
    };
}

const ITEMS: [Item; 5] = [
    item!("enable_feature_binlog", "bool", binlog_feature),
    item!("ingest_binlog_work_pool_size", "int32_t", ingest_pool_size),
    item!("download_binlog_rate_limit_kbs", "int32_t", rate_limit_kbs),
    item!("enable_download_md5sum_check", "bool", check_md5),
    item!("max_runnings_transactions_per_txn_map", "int64_t", max_txns),
];

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.trim()
        .parse()
        .map_err(|error: T::Err| error.to_string())
}

/// Rows of name, type, value, "mutable"; `conf_item` picks one.
pub async fn show_config(
    State(backend): State<Arc<Backend>>,
    Query(parameters): Query<HashMap<String, String>>,
) -> Json<Value> {
    let mut rows: Vec<[String; 4]> = Vec::new();
    let mut push = |name: &str, kind: &str, value: String| {
        rows.push([name.to_owned(), kind.to_owned(), value, "false".to_owned()]);
    };
    for item in &ITEMS {
        push(item.name, item.kind, (item.read)(&backend.config));
    }
    let address = backend.address();
    push("be_port", "int32_t", address.be_port.to_string());
    push("webserver_port", "int32_t", address.http_port.to_string());
    let wanted = parameters.get("conf_item");
    rows.retain(|row| wanted.is_none_or(|wanted| *wanted == row[0]));
    Json(json!(rows))
}

/// `POST ?name=value`: one entry per parameter, "OK" or "BAD" with a reason.
pub async fn update_config(
    State(backend): State<Arc<Backend>>,
    Query(parameters): Query<HashMap<String, String>>,
) -> Json<Value> {
    let set = |name: &str, value: &str| {
        let item = ITEMS
            .iter()
            .find(|item| item.name == name)
            .ok_or_else(|| format!("'{name}' is not found"))?;
        (item.write)(&backend.config, value)
    };
    let result = |(name, value): (&String, &String)| {
        let (status, msg) = match set(name, value) {
            Ok(()) => ("OK", String::new()),
            Err(reason) => (
                "BAD",
                format!("set {name}={value} failed, reason: {reason}."),
            ),
        };
        json!({"config_name": name, "status": status, "msg": msg})
    };
    let asked = parameters.iter().filter(|(name, _)| *name != "persist");
    Json(asked.map(result).collect())
}
