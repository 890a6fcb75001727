//! One simulated backend: its tablets, its local transactions, and the agent tasks on them.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;

use super::api::{
    BackendAddress, BackendApi, BeError, DeletePredicate, LocalTxnState, PublishedTablet,
    RemoteTabletSnapshot, Row, RowsetView, SnapshotInfo, TableSchema, TabletSpec, TabletStat,
};
use super::fetch::Fetcher;
use super::rowset::{Rowset, RowsetMeta, make_dir};
use super::snapshot;
use super::tablet::Tablet;
use super::txns::LocalTxns;
use crate::clock::SimClock;
use crate::faults::{DELETE_BITMAP, DISK_WRITE, Faults, Verdict};
use crate::model::KeysModel;

/// Settings of a backend that tests may change while it runs.
#[derive(Debug)]
pub struct BackendConfig {
    /// `enable_feature_binlog`.
    pub binlog_feature: AtomicBool,
    /// `ingest_binlog_work_pool_size`: -1 inside the RPC, 0 and above in the background.
    pub ingest_pool_size: AtomicI32,
    /// `enable_download_md5sum_check`.
    pub check_md5: AtomicBool,
    /// `download_binlog_rate_limit_kbs`; 0 is none.
    pub rate_limit_kbs: AtomicU64,
    /// Rows of a segment file; more rows make more segments.
    pub rows_per_segment: AtomicUsize,
    /// Bytes that ingested data may take in one call; beyond it the disk counts as full.
    pub disk_free_bytes: AtomicU64,
}

impl Default for BackendConfig {
    fn default() -> Self {
        BackendConfig {
            binlog_feature: AtomicBool::new(true),
            ingest_pool_size: AtomicI32::new(-1),
            check_md5: AtomicBool::new(false),
            rate_limit_kbs: AtomicU64::new(0),
            rows_per_segment: AtomicUsize::new(100_000),
            disk_free_bytes: AtomicU64::new(u64::MAX),
        }
    }
}

/// A backend. Its Thrift and HTTP servers share it.
pub struct Backend {
    address: BackendAddress,
    store: PathBuf,
    token: String,
    /// Settings.
    pub config: BackendConfig,
    clock: Arc<SimClock>,
    faults: Arc<Faults>,
    pub(super) fetcher: Fetcher,
    tablets: RwLock<HashMap<i64, Arc<Mutex<Tablet>>>>,
    txns: Mutex<LocalTxns>,
    next_rowset: AtomicU64,
    next_snapshot: AtomicU64,
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backend")
            .field("address", &self.address)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl Backend {
    /// A backend that keeps its files below `store` and lets downloads with `token` pass.
    ///
    /// # Errors
    /// [`BeError::Io`] when `store` can not be made.
    pub fn new(
        address: BackendAddress,
        store: PathBuf,
        token: String,
        clock: Arc<SimClock>,
        faults: Arc<Faults>,
    ) -> Result<Self, BeError> {
        make_dir(&store)?;
        let store = store
            .canonicalize()
            .map_err(|source| super::rowset::io_error(&store, source))?;
        Ok(Backend {
            address,
            store,
            token,
            config: BackendConfig::default(),
            clock,
            faults,
            fetcher: Fetcher::new(Duration::from_millis(50)),
            tablets: RwLock::default(),
            txns: Mutex::default(),
            next_rowset: AtomicU64::new(1),
            next_snapshot: AtomicU64::new(1),
        })
    }

    /// Root of its files.
    pub fn store(&self) -> &Path {
        &self.store
    }

    /// True for the token of this cluster.
    pub fn token_matches(&self, token: &str) -> bool {
        self.token == token
    }

    /// The cluster's faults.
    pub fn faults(&self) -> &Arc<Faults> {
        &self.faults
    }

    /// The cluster's clock.
    pub fn clock(&self) -> &Arc<SimClock> {
        &self.clock
    }

    /// The tablet, or the error that names it.
    ///
    /// # Errors
    /// [`BeError::TabletMissing`].
    pub fn tablet(&self, tablet_id: i64) -> Result<Arc<Mutex<Tablet>>, BeError> {
        let tablets = self.tablets.read().unwrap_or_else(PoisonError::into_inner);
        tablets
            .get(&tablet_id)
            .cloned()
            .ok_or(BeError::TabletMissing {
                tablet_id,
                backend_id: self.address.id,
            })
    }

    /// Ids of all tablets, sorted.
    pub fn tablet_ids(&self) -> Vec<i64> {
        let tablets = self.tablets.read().unwrap_or_else(PoisonError::into_inner);
        let mut ids: Vec<i64> = tablets.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    pub(super) fn txns(&self) -> MutexGuard<'_, LocalTxns> {
        lock(&self.txns)
    }

    /// A rowset id that no other rowset of this cluster has: 48 hex digits.
    pub(super) fn new_rowset_id(&self) -> String {
        let number = self.next_rowset.fetch_add(1, Ordering::Relaxed);
        let half = u64::from(crc32fast::hash(self.token.as_bytes()));
        format!("02{number:014x}{half:016x}{:016x}", self.address.id)
    }

    /// `<store>/snapshot/<time>.<seq>.<timeout>`
    fn new_snapshot_dir(&self) -> PathBuf {
        let seq = self.next_snapshot.fetch_add(1, Ordering::Relaxed);
        let time = crate::clock::compact_datetime(self.clock.now_ms());
        self.store
            .join("snapshot")
            .join(format!("{time}.{seq}.86400"))
    }

    /// Asks the faults about an agent task.
    async fn task(&self, name: &str) -> Result<AnswerGuard, BeError> {
        match self.faults.before(name, Some(self.address.id)).await {
            Verdict::Proceed | Verdict::Truncate { .. } | Verdict::Corrupt => {
                Ok(AnswerGuard { lost_by: None })
            }
            Verdict::Fail { code, message } => Err(match code {
                Some(code) => BeError::Refused { code, message },
                None => BeError::Injected(message),
            }),
            Verdict::ResetBefore | Verdict::Garbage => Err(self.down()),
            Verdict::ResetAfter => Ok(AnswerGuard {
                lost_by: Some(self.address.id),
            }),
        }
    }

    fn down(&self) -> BeError {
        BeError::Down {
            backend_id: self.address.id,
        }
    }

    fn require_alive(&self) -> Result<(), BeError> {
        if self.alive() {
            Ok(())
        } else {
            Err(self.down())
        }
    }

    /// The text with which this backend refuses to take disk space now, if a fault wants that.
    pub(super) fn out_of_space(&self) -> Option<String> {
        let text = self.faults.refuses(DISK_WRITE, self.address.id)?;
        Some(format!("({})[INTERNAL_ERROR]{text}", self.address.host))
    }

    fn require_space(&self) -> Result<(), BeError> {
        self.out_of_space()
            .map_or(Ok(()), |text| Err(BeError::Injected(text)))
    }

    fn publish_one(
        &self,
        txn_id: i64,
        tablet_id: i64,
        rowset: &Rowset,
        version: i64,
    ) -> PublishedTablet {
        let done = self.tablet(tablet_id).and_then(|tablet| {
            let mut tablet = lock(&tablet);
            if tablet.published_by(version, txn_id) {
                return Ok(());
            }
            if matches!(tablet.spec.schema.keys, KeysModel::Unique { mow: true, .. })
                && let Some(text) = self.faults.refuses(DELETE_BITMAP, self.address.id)
            {
                return Err(BeError::Injected(text));
            }
            tablet.publish(rowset, version, self.clock.now_ms())
        });
        if let Err(error) = &done {
            tracing::info!(txn_id, tablet_id, version, %error, "publish refused");
        }
        PublishedTablet {
            tablet_id,
            partition_id: rowset.meta.partition_id,
            version,
            delta_rows: i64::try_from(rowset.meta.num_rows).unwrap_or(i64::MAX),
            ok: done.is_ok(),
        }
    }

    /// Partition, version and "was it this transaction" for a tablet that has no unpublished rowset.
    fn already_published(
        &self,
        txn_id: i64,
        tablet_id: i64,
        partition_versions: &[(i64, i64)],
    ) -> Option<PublishedTablet> {
        let tablet = self.tablet(tablet_id).ok()?;
        let tablet = lock(&tablet);
        let partition_id = tablet.spec.partition_id;
        let (_, version) = partition_versions
            .iter()
            .find(|(partition, _)| *partition == partition_id)?;
        let rowset = tablet.rowset_at(*version);
        let ok = tablet.published_by(*version, txn_id);
        Some(PublishedTablet {
            tablet_id,
            partition_id,
            version: *version,
            delta_rows: rowset.map_or(0, |rowset| {
                i64::try_from(rowset.meta.num_rows).unwrap_or(i64::MAX)
            }),
            ok,
        })
    }
}

/// Loses the answer of a task whose effect took place, when a fault wants that.
struct AnswerGuard {
    lost_by: Option<i64>,
}

impl AnswerGuard {
    fn answer<T>(self, result: Result<T, BeError>) -> Result<T, BeError> {
        match self.lost_by {
            None => result,
            Some(backend_id) => Err(BeError::Down { backend_id }),
        }
    }
}

#[async_trait]
impl BackendApi for Backend {
    fn address(&self) -> &BackendAddress {
        &self.address
    }

    fn alive(&self) -> bool {
        !self.faults.is_down(self.address.id)
    }

    async fn create_tablet(&self, spec: TabletSpec) -> Result<(), BeError> {
        let guard = self.task("task.create_tablet").await?;
        self.require_space()?;
        let mut tablets = self.tablets.write().unwrap_or_else(PoisonError::into_inner);
        tablets
            .entry(spec.tablet_id)
            .or_insert_with(|| Arc::new(Mutex::new(Tablet::new(spec, &self.store))));
        drop(tablets);
        guard.answer(Ok(()))
    }

    async fn drop_tablets(&self, tablet_ids: &[i64]) -> Result<(), BeError> {
        let guard = self.task("task.drop_tablet").await?;
        let mut gone = Vec::new();
        {
            let mut tablets = self.tablets.write().unwrap_or_else(PoisonError::into_inner);
            for id in tablet_ids {
                gone.extend(tablets.remove(id));
            }
        }
        for tablet in gone {
            let dir = lock(&tablet).dir.clone();
            // The tablet's own directory holds nothing but the one of its schema hash.
            remove_dir(dir.parent().unwrap_or(&dir));
        }
        guard.answer(Ok(()))
    }

    async fn update_tablet(
        &self,
        tablet_id: i64,
        binlog_enabled: Option<bool>,
        schema: Option<Arc<TableSchema>>,
    ) -> Result<(), BeError> {
        let guard = self.task("task.update_tablet").await?;
        let tablet = self.tablet(tablet_id)?;
        let mut tablet = lock(&tablet);
        if let Some(enabled) = binlog_enabled {
            tablet.spec.binlog_enabled = enabled;
        }
        if let Some(schema) = schema {
            tablet.spec.schema = schema;
        }
        drop(tablet);
        guard.answer(Ok(()))
    }

    fn write_rowset(
        &self,
        txn_id: i64,
        partition_id: i64,
        tablet_id: i64,
        schema: Arc<TableSchema>,
        rows: Arc<Vec<Row>>,
        delete: Option<DeletePredicate>,
    ) -> Result<(), BeError> {
        self.require_alive()?;
        self.require_space()?;
        let tablet = self.tablet(tablet_id)?;
        let (dir, tablet_schema_hash) = {
            let tablet = lock(&tablet);
            (tablet.dir.clone(), tablet.spec.schema.schema_hash)
        };
        let meta = RowsetMeta {
            rowset_id: self.new_rowset_id(),
            tablet_id,
            partition_id,
            tablet_schema_hash,
            start_version: 0,
            end_version: 0,
            num_segments: 0,
            num_rows: 0,
            data_size: 0,
            txn_id,
            creation_time: self.clock.now_ms(),
            schema,
            delete: delete.map(Arc::new),
            source_rowset_id: None,
            source_tablet_id: None,
        };
        let limit = self.config.rows_per_segment.load(Ordering::Relaxed);
        let rowset = Arc::new(Rowset::write(meta, dir, rows, limit)?);
        let replaced = self.txns().hold(txn_id, tablet_id, rowset);
        if let Some(replaced) = replaced {
            replaced.remove_files();
        }
        Ok(())
    }

    async fn publish_version(
        &self,
        txn_id: i64,
        partition_versions: &[(i64, i64)],
        expected: &[i64],
    ) -> Result<Vec<PublishedTablet>, BeError> {
        let guard = self.task("task.publish_version").await?;
        let mut results = Vec::new();
        let waiting = self.txns().committed(txn_id);
        for (tablet_id, rowset) in &waiting {
            let version = partition_versions
                .iter()
                .find(|(partition, _)| *partition == rowset.meta.partition_id);
            let Some((_, version)) = version else {
                continue;
            };
            let result = self.publish_one(txn_id, *tablet_id, rowset, *version);
            if result.ok {
                self.txns().finish(txn_id, *tablet_id);
            }
            results.push(result);
        }
        for tablet_id in expected {
            if waiting.iter().any(|(tablet, _)| tablet == tablet_id) {
                continue;
            }
            results.extend(self.already_published(txn_id, *tablet_id, partition_versions));
        }
        guard.answer(Ok(results))
    }

    async fn clear_txn(&self, txn_id: i64) -> Result<(), BeError> {
        let guard = self.task("task.clear_txn").await?;
        let dropped = self.txns().clear(txn_id);
        for rowset in dropped {
            rowset.remove_files();
        }
        guard.answer(Ok(()))
    }

    fn txn_state(&self, txn_id: i64, tablet_id: i64) -> LocalTxnState {
        self.txns().state(txn_id, tablet_id)
    }

    fn committed_tablets(&self, txn_id: i64) -> Vec<i64> {
        let committed = self.txns().committed(txn_id);
        committed.into_iter().map(|(tablet, _)| tablet).collect()
    }

    fn rowsets(&self, tablet_id: i64, up_to_version: i64) -> Result<Vec<RowsetView>, BeError> {
        self.require_alive()?;
        let tablet = self.tablet(tablet_id)?;
        let rowsets = lock(&tablet).rowsets_up_to(up_to_version)?;
        rowsets.iter().map(|rowset| rowset.view()).collect()
    }

    fn replace_content(
        &self,
        tablet_id: i64,
        version: i64,
        schema: Arc<TableSchema>,
        rows: Arc<Vec<Row>>,
    ) -> Result<(), BeError> {
        self.require_alive()?;
        let tablet = self.tablet(tablet_id)?;
        let mut tablet = lock(&tablet);
        let meta = RowsetMeta {
            rowset_id: self.new_rowset_id(),
            tablet_id,
            partition_id: tablet.spec.partition_id,
            tablet_schema_hash: schema.schema_hash,
            start_version: 0,
            end_version: version,
            num_segments: 0,
            num_rows: 0,
            data_size: 0,
            txn_id: -1,
            creation_time: self.clock.now_ms(),
            schema: Arc::clone(&schema),
            delete: None,
            source_rowset_id: None,
            source_tablet_id: None,
        };
        let limit = self.config.rows_per_segment.load(Ordering::Relaxed);
        let rowset = Rowset::write(meta, tablet.dir.clone(), rows, limit)?;
        tablet.replace(version, schema, vec![rowset]);
        Ok(())
    }

    async fn make_snapshot(
        &self,
        tablet_id: i64,
        version: Option<i64>,
    ) -> Result<SnapshotInfo, BeError> {
        let guard = self.task("task.make_snapshot").await?;
        let tablet = self.tablet(tablet_id)?;
        let tablet = lock(&tablet);
        let version = version.unwrap_or(tablet.version);
        let made = snapshot::make(&tablet, version, self.new_snapshot_dir());
        drop(tablet);
        guard.answer(made)
    }

    async fn release_snapshot(&self, path: &str) -> Result<(), BeError> {
        let guard = self.task("task.release_snapshot").await?;
        let path = Path::new(path);
        if path.starts_with(self.store.join("snapshot")) && path.components().count() > 2 {
            remove_dir(path);
        }
        guard.answer(Ok(()))
    }

    async fn download_snapshots(
        &self,
        snapshots: Vec<RemoteTabletSnapshot>,
    ) -> Result<Vec<i64>, BeError> {
        let guard = self.task("task.download").await?;
        self.require_space()?;
        let mut done = Vec::with_capacity(snapshots.len());
        for remote in &snapshots {
            snapshot::download(&self.fetcher, &self.store, remote, self.address.id).await?;
            done.push(remote.local_tablet_id);
        }
        guard.answer(Ok(done))
    }

    async fn move_snapshot(&self, tablet_id: i64, path: &str) -> Result<i64, BeError> {
        let guard = self.task("task.move").await?;
        let tablet = self.tablet(tablet_id)?;
        let mut tablet = lock(&tablet);
        if tablet.loaded_from.as_deref() != Some(path) {
            let dir = snapshot::inside(&self.store, path, self.address.id)?;
            snapshot::load_into(&mut tablet, &dir, self.address.id, || self.new_rowset_id())?;
            tablet.loaded_from = Some(path.to_owned());
        }
        let version = tablet.version;
        drop(tablet);
        guard.answer(Ok(version))
    }

    async fn gc_binlog(&self, up_to: BTreeMap<i64, i64>) -> Result<(), BeError> {
        let guard = self.task("task.gc_binlog").await?;
        for (tablet_id, version) in up_to {
            if let Ok(tablet) = self.tablet(tablet_id) {
                lock(&tablet).forget_binlogs(version);
            }
        }
        guard.answer(Ok(()))
    }

    fn tablet_count(&self) -> usize {
        self.tablets
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    fn tablet_stat(&self, tablet_id: i64) -> Result<TabletStat, BeError> {
        let tablet = self.tablet(tablet_id)?;
        Ok(lock(&tablet).stat())
    }
}

/// A poisoned lock means that another test thread panicked; the data itself is whole after each call.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remove_dir(path: &Path) {
    if let Err(error) = std::fs::remove_dir_all(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "directory stays behind");
    }
}
