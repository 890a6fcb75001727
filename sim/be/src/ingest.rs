//! `ingest_binlog`: fetch one version of a remote tablet and hold it as committed data of a local transaction.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use dorisim_wire::{
    TIngestBinlogRequest, TIngestBinlogResult, TIngestBinlogStatus, TQueryIngestBinlogRequest,
    TQueryIngestBinlogResult, TStatus, TStatusCode,
};

use super::backend::Backend;
use super::fetch::RemoteFile;
use super::rowset::{Rowset, make_dir, remove_file};
use super::rowset_meta::{RowsetMeta, RowsetState};
use super::sync::lock;
use super::txns::{Attempt, CommitOutcome};
use dorisim_model::backend::{BackendApi, BeError, LocalTxnState};

/// A request whose fields are all there.
#[derive(Clone, Debug)]
struct Ingest {
    txn_id: i64,
    remote_tablet_id: i64,
    binlog_version: i64,
    remote_host: String,
    remote_port: String,
    partition_id: i64,
    local_tablet_id: i64,
}

/// A refusal on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    code: TStatusCode,
    text: String,
}

impl Refusal {
    fn new(code: TStatusCode, text: impl Into<String>) -> Self {
        Refusal {
            code,
            text: text.into(),
        }
    }

    fn into_status(self) -> TStatus {
        TStatus::new(self.code, vec![self.text])
    }
}

/// HTTP trouble is 71, a wrong length or md5 is RUNTIME_ERROR, the rest INTERNAL_ERROR.
fn refusal_of(error: &BeError, host: &str) -> Refusal {
    let (code, name) = match error {
        BeError::Download { reason, .. } if reason.starts_with("downloaded file") => {
            (TStatusCode::RUNTIME_ERROR, "RUNTIME_ERROR")
        }
        BeError::Download { .. } => (TStatusCode::HTTP_ERROR, "HTTP_ERROR"),
        BeError::TabletMissing { tablet_id, .. } => {
            let text = format!("tablet {tablet_id} not found");
            return Refusal::new(TStatusCode::TABLET_MISSING, text);
        }
        // Codes below zero of Doris travel as INTERNAL_ERROR and are named in the text.
        BeError::TooManyTransactions { .. } => (TStatusCode::INTERNAL_ERROR, "E-233"),
        BeError::Down { .. }
        | BeError::MetaStore { .. }
        | BeError::VersionMissing { .. }
        | BeError::VersionMerged { .. }
        | BeError::SnapshotMissing { .. }
        | BeError::Refused { .. }
        | BeError::Injected(_)
        | BeError::Corrupt(_)
        | BeError::Io { .. } => (TStatusCode::INTERNAL_ERROR, "INTERNAL_ERROR"),
    };
    Refusal::new(code, format!("({host})[{name}]{error}"))
}

impl Backend {
    /// The RPC. In background mode it answers before the work is done.
    pub async fn ingest_binlog(
        self: &Arc<Self>,
        request: TIngestBinlogRequest,
    ) -> TIngestBinlogResult {
        let pool_size = self.config.ingest_pool_size.load(Ordering::Relaxed);
        let (ingest, attempt) = match self.begin_ingest(request) {
            Ok(begun) => begun,
            Err(refusal) => return TIngestBinlogResult::new(refusal.into_status(), false),
        };
        if pool_size >= 0 {
            let backend = Arc::clone(self);
            // Ends with the download, whose attempts and timeouts are bounded.
            tokio::spawn(async move {
                if let Err(refusal) = backend.run_ingest(&ingest, attempt).await {
                    tracing::warn!(
                        txn_id = ingest.txn_id,
                        tablet_id = ingest.local_tablet_id,
                        error = %refusal.text,
                        "background ingest failed; query_ingest_binlog tells FAILED"
                    );
                }
            });
            return TIngestBinlogResult::new(ok_status(), true);
        }
        let status = match self.run_ingest(&ingest, attempt).await {
            Ok(()) => ok_status(),
            Err(refusal) => refusal.into_status(),
        };
        TIngestBinlogResult::new(status, false)
    }

    /// The RPC that a client polls in background mode.
    pub fn query_ingest_binlog(
        &self,
        request: &TQueryIngestBinlogRequest,
    ) -> TQueryIngestBinlogResult {
        let missing = [
            ("txn_id", request.txn_id.is_none()),
            ("partition_id", request.partition_id.is_none()),
            ("tablet_id", request.tablet_id.is_none()),
            ("load_id", request.load_id.is_none()),
        ];
        if let Some((field, _)) = missing.iter().find(|(_, absent)| *absent) {
            return TQueryIngestBinlogResult::new(
                TIngestBinlogStatus::ANALYSIS_ERROR,
                format!("{field} is empty"),
            );
        }
        let (Some(txn_id), Some(tablet_id)) = (request.txn_id, request.tablet_id) else {
            return TQueryIngestBinlogResult::new(TIngestBinlogStatus::UNKNOWN, None);
        };
        if self.tablet(tablet_id).is_err() {
            let text = format!("tablet {tablet_id} not found");
            return TQueryIngestBinlogResult::new(TIngestBinlogStatus::NOT_FOUND, text);
        }
        let status = match self.txn_state(txn_id, tablet_id) {
            LocalTxnState::NotFound => TIngestBinlogStatus::NOT_FOUND,
            LocalTxnState::Prepared => TIngestBinlogStatus::DOING,
            LocalTxnState::Committed => TIngestBinlogStatus::OK,
            LocalTxnState::Aborted => TIngestBinlogStatus::FAILED,
        };
        TQueryIngestBinlogResult::new(status, None)
    }

    fn begin_ingest(&self, request: TIngestBinlogRequest) -> Result<(Ingest, Attempt), Refusal> {
        if !self.config.binlog_feature.load(Ordering::Relaxed) {
            return Err(Refusal::new(
                TStatusCode::RUNTIME_ERROR,
                "enable feature binlog is false",
            ));
        }
        let ingest = validate(request)?;
        let host = &self.address().host;
        self.tablet(ingest.local_tablet_id)
            .map_err(|error| refusal_of(&error, host))?;
        self.admit(ingest.txn_id)
            .map_err(|error| refusal_of(&error, host))?;
        let (attempt, replaced) = self.txns().prepare(ingest.txn_id, ingest.local_tablet_id);
        if let Some(replaced) = replaced {
            self.discard(&replaced);
        }
        Ok((ingest, attempt))
    }

    async fn run_ingest(&self, ingest: &Ingest, attempt: Attempt) -> Result<(), Refusal> {
        let done = match self.fetch_rowset(ingest).await {
            Ok(rowset) => {
                let held = self
                    .txns()
                    .commit(ingest.txn_id, ingest.local_tablet_id, rowset);
                match held {
                    CommitOutcome::Held => Ok(()),
                    CommitOutcome::AlreadyExists(rowset) => {
                        self.discard(&rowset);
                        Ok(())
                    }
                    CommitOutcome::Gone(rowset) => {
                        self.discard(&rowset);
                        Err(Refusal::new(
                            TStatusCode::INTERNAL_ERROR,
                            format!("transaction {} was cleared", ingest.txn_id),
                        ))
                    }
                }
            }
            Err(refusal) => Err(refusal),
        };
        if done.is_err() {
            let lost = self
                .txns()
                .abort(ingest.txn_id, ingest.local_tablet_id, attempt);
            if let Some(lost) = lost {
                self.discard(&lost);
            }
        }
        done
    }

    async fn fetch_rowset(&self, ingest: &Ingest) -> Result<Arc<Rowset>, Refusal> {
        let host = self.address().host.clone();
        let refuse = |error: BeError| refusal_of(&error, &host);
        let url = format!(
            "http://{}:{}/api/_binlog/_download",
            ingest.remote_host, ingest.remote_port
        );
        let remote_tablet = ingest.remote_tablet_id.to_string();
        let version = ingest.binlog_version.to_string();

        let info = self
            .fetcher
            .text(
                &url,
                &[
                    ("method", "get_binlog_info".to_owned()),
                    ("tablet_id", remote_tablet.clone()),
                    ("binlog_version", version.clone()),
                ],
            )
            .await
            .map_err(refuse)?;
        let (remote_rowset, segments) = parse_info(&info).ok_or_else(|| {
            Refusal::new(
                TStatusCode::RUNTIME_ERROR,
                format!("failed to parse binlog info into 2 parts: {info}"),
            )
        })?;
        let bytes = self
            .fetcher
            .bytes(
                &url,
                &[
                    ("method", "get_rowset_meta".to_owned()),
                    ("tablet_id", remote_tablet.clone()),
                    ("rowset_id", remote_rowset.clone()),
                    ("binlog_version", version),
                ],
            )
            .await
            .map_err(refuse)?;
        let remote_meta = RowsetMeta::from_bytes(&bytes).map_err(refuse)?;
        let (meta, dir) =
            self.local_meta(ingest, remote_meta, &remote_rowset, segments, &refuse)?;
        let files = RemoteFiles {
            url: &url,
            tablet: &remote_tablet,
            rowset: &remote_rowset,
            with_md5: self.config.check_md5.load(Ordering::Relaxed),
        };
        let done = self.fetch_files(&files, &meta, &dir, &refuse).await;
        let done = done.and_then(|()| {
            self.meta
                .write(|batch| batch.put_rowset(&meta))
                .map_err(refuse)
        });
        if let Err(refusal) = done {
            for name in meta.file_names() {
                remove_file(&dir.join(name));
            }
            return Err(refusal);
        }
        Ok(Arc::new(Rowset::on_disk(meta, dir)))
    }

    /// HEAD of all segments, room for them, GET of each; then the same for the index files that the rowset's schema asks for.
    async fn fetch_files(
        &self,
        from: &RemoteFiles<'_>,
        meta: &RowsetMeta,
        dir: &Path,
        refuse: &impl Fn(BeError) -> Refusal,
    ) -> Result<(), Refusal> {
        let segments = (0..meta.num_segments)
            .map(|segment| (from.segment(segment), meta.segment_name(segment)));
        let indexes = (0..meta.num_segments).flat_map(|segment| {
            let indexes = &meta.schema.indexes;
            let names = indexes.file_names(&meta.rowset_id, segment);
            let ids = indexes.file_ids();
            ids.into_iter()
                .zip(names)
                .map(move |(id, name)| (from.index(segment, id), name))
        });
        for group in [segments.collect::<Vec<_>>(), indexes.collect()] {
            let mut heads: Vec<RemoteFile> = Vec::with_capacity(group.len());
            for (query, _) in &group {
                let head = self.fetcher.head(from.url, query).await;
                heads.push(head.map_err(refuse)?);
            }
            if !group.is_empty() {
                self.check_capacity(&heads)?;
                make_dir(dir).map_err(refuse)?;
            }
            for ((query, name), head) in group.iter().zip(&heads) {
                let target = dir.join(name);
                let got = self.fetcher.file_of(from.url, query, &target, head).await;
                got.map_err(refuse)?;
            }
        }
        Ok(())
    }

    /// The remote meta under local ids; version, schema and counters stay.
    fn local_meta(
        &self,
        ingest: &Ingest,
        mut meta: RowsetMeta,
        remote_rowset: &str,
        segments: u32,
        refuse: &impl Fn(BeError) -> Refusal,
    ) -> Result<(RowsetMeta, std::path::PathBuf), Refusal> {
        let tablet = self.tablet(ingest.local_tablet_id).map_err(refuse)?;
        let tablet = lock(&tablet);
        meta.source_rowset_id = Some(remote_rowset.to_owned());
        meta.source_tablet_id = Some(ingest.remote_tablet_id);
        meta.rowset_id = self.new_rowset_id();
        meta.tablet_id = ingest.local_tablet_id;
        meta.tablet_uid = tablet.uid;
        meta.partition_id = ingest.partition_id;
        meta.tablet_schema_hash = tablet.schema_hash();
        meta.state = RowsetState::Committed;
        meta.txn_id = ingest.txn_id;
        meta.num_segments = segments;
        Ok((meta, tablet.dir.clone()))
    }

    fn check_capacity(&self, files: &[RemoteFile]) -> Result<(), Refusal> {
        if let Some(text) = self.out_of_space() {
            return Err(Refusal::new(TStatusCode::INTERNAL_ERROR, text));
        }
        let wanted = files
            .iter()
            .fold(0_u64, |sum, file| sum.saturating_add(file.length));
        let free = self.config.disk_free_bytes.load(Ordering::Relaxed);
        if wanted <= free {
            return Ok(());
        }
        Err(Refusal::new(
            TStatusCode::INTERNAL_ERROR,
            format!(
                "({})[INTERNAL_ERROR]no enough space, wanted {wanted}, free {free}",
                self.address().host
            ),
        ))
    }
}

/// Where the files of a remote rowset are asked for.
struct RemoteFiles<'a> {
    url: &'a str,
    tablet: &'a str,
    rowset: &'a str,
    with_md5: bool,
}

impl RemoteFiles<'_> {
    fn segment(&self, segment: u32) -> Vec<(&'static str, String)> {
        self.query("get_segment_file", segment, None)
    }

    fn index(&self, segment: u32, index: i64) -> Vec<(&'static str, String)> {
        self.query("get_segment_index_file", segment, Some(index))
    }

    fn query(&self, method: &str, segment: u32, index: Option<i64>) -> Vec<(&'static str, String)> {
        let mut query = vec![
            ("method", method.to_owned()),
            ("tablet_id", self.tablet.to_owned()),
            ("rowset_id", self.rowset.to_owned()),
            ("segment_index", segment.to_string()),
        ];
        query.extend(index.map(|id| ("segment_index_id", id.to_string())));
        if self.with_md5 {
            query.push(("acquire_md5", "true".to_owned()));
        }
        query
    }
}

/// `<rowset id>:<number of segments>`
fn parse_info(info: &str) -> Option<(String, u32)> {
    let (rowset, segments) = info.split_once(':')?;
    Some((rowset.to_owned(), segments.trim().parse().ok()?))
}

fn ok_status() -> TStatus {
    TStatus::new(TStatusCode::OK, None)
}

fn validate(request: TIngestBinlogRequest) -> Result<Ingest, Refusal> {
    fn need<T>(value: Option<T>, name: &str) -> Result<T, Refusal> {
        value.ok_or_else(|| Refusal::new(TStatusCode::ANALYSIS_ERROR, format!("{name} is empty")))
    }
    let ingest = Ingest {
        txn_id: need(request.txn_id, "txn_id")?,
        remote_tablet_id: need(request.remote_tablet_id, "remote_tablet_id")?,
        binlog_version: need(request.binlog_version, "binlog_version")?,
        remote_host: need(request.remote_host, "remote_host")?,
        remote_port: need(request.remote_port, "remote_port")?,
        partition_id: need(request.partition_id, "partition_id")?,
        local_tablet_id: need(request.local_tablet_id, "local_tablet_id")?,
    };
    need(request.load_id, "load_id")?;
    Ok(ingest)
}
