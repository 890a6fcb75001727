//! Backup and restore between two clusters: states, options, refusals. Public interfaces only.

mod objects;
mod refusals;
mod states;

use std::collections::BTreeMap;
use std::io::Read;

use dorisim_wire::{
    TFrontendServiceSyncClient, TGetSnapshotRequest, TGetSnapshotResult, TRestoreSnapshotRequest,
    TSnapshotType, TStatusCode, TTableRef,
};
use serde_json::{Value, json};

use crate::common::peer::{Peer, code, message, text};

pub const SHOW_BACKUP: &str = "SHOW BACKUP FROM d";
pub const SHOW_RESTORE: &str = "SHOW RESTORE FROM d";

/// What a restore is asked for.
#[derive(Debug, Clone)]
pub struct Restore {
    pub label: String,
    pub refs: Vec<(&'static str, Option<&'static str>)>,
    pub properties: Vec<(&'static str, &'static str)>,
    pub atomic: bool,
    pub force_replace: bool,
    pub clean_tables: bool,
    pub clean_partitions: bool,
}

impl Restore {
    pub fn new(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            refs: Vec::new(),
            properties: vec![("reserve_replica", "true")],
            atomic: false,
            force_replace: false,
            clean_tables: false,
            clean_partitions: false,
        }
    }
}

pub fn snapshot_request(label: &str) -> TGetSnapshotRequest {
    TGetSnapshotRequest {
        cluster: None,
        user: text("root"),
        passwd: text(""),
        db: text("d"),
        table: None,
        token: None,
        label_name: text(label),
        snapshot_name: text(""),
        snapshot_type: Some(TSnapshotType::LOCAL),
        enable_compress: None,
    }
}

/// Runs a backup to its end. `on`: empty, or an ON clause.
pub async fn backup(source: &mut Peer, label: &str, on: &str) {
    let sql = format!(
        "BACKUP SNAPSHOT `d`.`{label}` TO `__keep_on_local__` {on} PROPERTIES (\"type\" = \"full\")"
    );
    source.sql(&sql).await;
    let end = source
        .wait_for(SHOW_BACKUP, "State", &["FINISHED", "CANCELLED"])
        .await;
    let status = source.last(SHOW_BACKUP, "Status").await;
    assert_eq!(end, "FINISHED", "{status:?}");
}

pub fn snapshot(source: &mut Peer, label: &str) -> TGetSnapshotResult {
    let answer = source.fe.get_snapshot(snapshot_request(label)).unwrap();
    assert_eq!(
        code(&answer.status),
        TStatusCode::OK,
        "{}",
        message(&answer.status)
    );
    answer
}

/// The info of a snapshot, with what a replication tool adds.
pub async fn info_with_extra(source: &mut Peer, snapshot: &TGetSnapshotResult) -> Value {
    let mut info: Value = serde_json::from_slice(snapshot.job_info.as_ref().unwrap()).unwrap();
    info["extra_info"] = source.extra_info().await;
    info
}

pub fn restore_request(wanted: &Restore, meta: Vec<u8>, info: &Value) -> TRestoreSnapshotRequest {
    let refs: Vec<TTableRef> = wanted
        .refs
        .iter()
        .map(|(table, alias)| TTableRef::new(text(table), alias.map(str::to_owned)))
        .collect();
    let properties: BTreeMap<String, String> = wanted
        .properties
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    TRestoreSnapshotRequest {
        cluster: None,
        user: text("root"),
        passwd: text(""),
        db: text("d"),
        table: None,
        token: None,
        label_name: Some(wanted.label.clone()),
        repo_name: text("__keep_on_local__"),
        table_refs: (!refs.is_empty()).then_some(refs),
        properties: Some(properties),
        meta: Some(meta),
        job_info: Some(info.to_string().into_bytes()),
        clean_tables: Some(wanted.clean_tables),
        clean_partitions: Some(wanted.clean_partitions),
        atomic_restore: Some(wanted.atomic),
        compressed: None,
        force_replace: Some(wanted.force_replace),
    }
}

/// Submits a restore; the status of the call.
pub fn submit(target: &mut Peer, request: TRestoreSnapshotRequest) -> (TStatusCode, String) {
    let answer = target.fe.restore_snapshot(request).unwrap();
    (code(&answer.status), message(&answer.status))
}

/// Submits a restore of the snapshot and waits for its end: state and Status.
pub async fn restore(
    source: &mut Peer,
    target: &mut Peer,
    snapshot: &TGetSnapshotResult,
    wanted: &Restore,
) -> (String, String) {
    let info = info_with_extra(source, snapshot).await;
    let request = restore_request(wanted, snapshot.meta.clone().unwrap(), &info);
    let (status, text) = submit(target, request);
    assert_eq!(status, TStatusCode::OK, "{text}");
    restored(target).await
}

/// Waits for the end of the newest restore.
pub async fn restored(target: &mut Peer) -> (String, String) {
    let end = target
        .wait_for(SHOW_RESTORE, "State", &["FINISHED", "CANCELLED"])
        .await;
    (end, target.last(SHOW_RESTORE, "Status").await.unwrap())
}

/// Backs up everything of the source and restores it; both have to succeed.
pub async fn copy(source: &mut Peer, target: &mut Peer, label: &str, wanted: &Restore) {
    backup(source, label, "").await;
    let snapshot = snapshot(source, label);
    let end = restore(source, target, &snapshot, wanted).await;
    assert_eq!(end, ("FINISHED".to_owned(), "[OK]".to_owned()));
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    assert_eq!(bytes[..2], [0x1f, 0x8b], "gzip");
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes)
        .read_to_end(&mut plain)
        .unwrap();
    plain
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// `id BIGINT, v VARCHAR`, two partitions of two buckets.
pub const T: &str = crate::checklist_d1::T;

/// Rows of a table, sorted.
async fn rows(peer: &mut Peer, table: &str) -> Vec<String> {
    let rows = peer
        .sql(&format!("SELECT id, v FROM d.{table} ORDER BY id"))
        .await;
    rows.into_iter()
        .map(|row| {
            row.into_iter()
                .map(|c| c.unwrap_or("NULL".into()))
                .collect::<Vec<_>>()
                .join(",")
        })
        .collect()
}

/// A source with tables `t` (rows 1 and 11) and `u` (row 2) and a view `w`, and a target.
async fn pair(name: &str) -> (Peer, Peer) {
    let mut source = Peer::start(&format!("{name}-source"), 1).await;
    let target = Peer::start(&format!("{name}-target"), 1).await;
    source.sql(T).await;
    source.sql(&T.replace("d.t", "d.u")).await;
    source.sql("CREATE VIEW d.w AS SELECT id FROM d.t").await;
    source
        .sql("INSERT INTO d.t VALUES (1, 'one'), (11, 'eleven')")
        .await;
    source.sql("INSERT INTO d.u VALUES (2, 'two')").await;
    (source, target)
}

fn job_info(snapshot: &TGetSnapshotResult) -> Value {
    serde_json::from_slice(snapshot.job_info.as_ref().unwrap()).unwrap_or(json!(null))
}
