//! One simulated backend: its tablets, its local transactions, and the agent tasks on them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use super::bandwidth::Bandwidth;
use super::fetch::Fetcher;
use super::identity::Identity;
use super::meta_store::MetaStore;
use super::partitions::PartitionTablets;
use super::recover;
use super::rowset::{Rowset, make_dir};
use super::rowset_meta::TabletUid;
use super::sync::lock;
use super::tablet::Tablet;
use super::tasks::AnswerGuard;
use super::txns::LocalTxns;
use dorisim_model::KeysModel;
use dorisim_model::backend::{BackendAddress, BackendApi, BeError, PublishedTablet, TabletSpec};
use dorisim_model::clock::SimClock;
use dorisim_net::faults::{DELETE_BITMAP, DISK_WRITE, Faults, Verdict};

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
    /// `max_runnings_transactions_per_txn_map`.
    pub max_txns: AtomicUsize,
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
            max_txns: AtomicUsize::new(2000),
        }
    }
}

/// A backend. Its Thrift and HTTP servers share it.
pub struct Backend {
    address: BackendAddress,
    store: PathBuf,
    identity: Identity,
    /// Settings.
    pub config: BackendConfig,
    clock: Arc<SimClock>,
    faults: Arc<Faults>,
    pub(super) fetcher: Fetcher,
    pub(super) bandwidth: Bandwidth,
    pub(super) meta: MetaStore,
    pub(super) tablets: RwLock<HashMap<i64, Arc<Mutex<Tablet>>>>,
    pub(super) partitions: PartitionTablets,
    txns: Mutex<LocalTxns>,
    /// How often the store was opened: ids of one life are not those of another.
    epoch: u32,
    next_rowset: AtomicU64,
    next_tablet_uid: AtomicI64,
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
    /// A new backend that keeps its files below `store` and lets downloads with `token` pass. What it knows goes with its process.
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
        Self::build(address, store, token, clock, faults, |_| {
            Ok(MetaStore::none())
        })
    }

    /// A backend on a store that may have been used before: tablets, rowsets, binlogs and committed transactions are as they were
    /// when its last process ended, however that ended. Files that belong to nothing are deleted, and
    /// snapshots whose time is over.
    ///
    /// # Errors
    /// [`BeError::MetaStore`], also while another process uses the store; [`BeError::Corrupt`], [`BeError::Io`].
    pub fn open(
        address: BackendAddress,
        store: PathBuf,
        token: String,
        clock: Arc<SimClock>,
        faults: Arc<Faults>,
    ) -> Result<Self, BeError> {
        let mut backend = Self::build(address, store, token, clock, faults, MetaStore::open)?;
        let (tablets, txns) = recover::load(&backend.meta, &backend.store)?;
        recover::sweep(&backend.store, &tablets, &txns)?;
        recover::sweep_snapshots(&backend.store, backend.clock.now_ms())?;
        for (id, tablet) in &tablets {
            backend.partitions.add(tablet.spec.partition_id, *id);
        }
        backend.tablets = RwLock::new(
            tablets
                .into_iter()
                .map(|(id, tablet)| (id, Arc::new(Mutex::new(tablet))))
                .collect(),
        );
        backend.txns = Mutex::new(txns);
        Ok(backend)
    }

    fn build(
        address: BackendAddress,
        store: PathBuf,
        token: String,
        clock: Arc<SimClock>,
        faults: Arc<Faults>,
        meta: impl FnOnce(&Path) -> Result<MetaStore, BeError>,
    ) -> Result<Self, BeError> {
        make_dir(&store)?;
        let store = store
            .canonicalize()
            .map_err(|source| super::rowset::io_error(&store, source))?;
        let meta = meta(&store)?;
        let epoch = meta.next_epoch()?;
        Ok(Backend {
            identity: Identity::new(address.id, token),
            address,
            store,
            config: BackendConfig::default(),
            clock,
            faults,
            fetcher: Fetcher::new(Duration::from_millis(50)),
            bandwidth: Bandwidth::default(),
            meta,
            tablets: RwLock::default(),
            partitions: PartitionTablets::default(),
            txns: Mutex::default(),
            epoch,
            next_rowset: AtomicU64::new(1),
            next_tablet_uid: AtomicI64::new(1),
            next_snapshot: AtomicU64::new(1),
        })
    }

    pub(super) fn listens_at(&self) -> &BackendAddress {
        &self.address
    }

    /// Root of its files.
    pub fn store(&self) -> &Path {
        &self.store
    }

    /// True for the token of this cluster.
    pub fn token_matches(&self, token: &str) -> bool {
        self.identity.token_matches(token)
    }

    /// The id that the frontend gave; 0 while it is unknown.
    pub fn id(&self) -> i64 {
        self.identity.id()
    }

    /// Takes over what a heartbeat told.
    pub fn learn(&self, id: Option<i64>, token: Option<&str>) {
        self.identity.learn(id, token);
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
                backend_id: self.id(),
            })
    }

    /// Rowsets of a tablet as Doris counts them; none for a tablet that is not here.
    pub fn version_count(&self, tablet_id: i64) -> Option<i64> {
        let tablet = self.tablet(tablet_id).ok()?;
        Some(lock(&tablet).version_count())
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

    /// A rowset id that no other rowset of this cluster has: 48 hex digits, later ones behind earlier ones.
    pub fn new_rowset_id(&self) -> String {
        let number = self.next_rowset.fetch_add(1, Ordering::Relaxed);
        let cluster = self.identity.cluster_hash();
        let (epoch, id) = (self.epoch, self.id());
        format!("02{epoch:06x}{number:08x}{cluster:016x}{id:016x}")
    }

    /// A uid that no other tablet of this cluster has or had.
    pub(super) fn new_tablet_uid(&self) -> TabletUid {
        let cluster = self.identity.cluster_hash();
        TabletUid {
            hi: i64::from(self.epoch) << 32 | i64::from(cluster),
            lo: self.id() << 40 | self.next_tablet_uid.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// `<store>/snapshot/<time>.<seq>.<timeout>`
    pub(super) fn new_snapshot_dir(&self, timeout_s: i64) -> PathBuf {
        let time = dorisim_model::clock::compact_datetime(self.clock.now_ms());
        loop {
            let seq = self.next_snapshot.fetch_add(1, Ordering::Relaxed);
            let name = format!("{time}.{seq}.{timeout_s}");
            let dir = self.store.join("snapshot").join(name);
            // An earlier process may have made one in the same second.
            if !dir.exists() {
                return dir;
            }
        }
    }

    /// Deletes a rowset that no tablet took.
    pub(super) fn discard(&self, rowset: &Rowset) {
        let forgotten = self.meta.write(|batch| batch.delete_rowset(&rowset.meta));
        match forgotten {
            Ok(()) => rowset.remove_files(),
            Err(error) => tracing::warn!(
                rowset = rowset.meta.rowset_id,
                %error,
                "given up rowset stays in the meta store; the next start may find it committed"
            ),
        }
    }

    /// Asks the faults about an agent task.
    pub(super) async fn task(&self, name: &str) -> Result<AnswerGuard, BeError> {
        match self.faults.before(name, Some(self.id())).await {
            Verdict::Proceed | Verdict::Truncate { .. } | Verdict::Corrupt => {
                Ok(AnswerGuard { lost_by: None })
            }
            Verdict::Fail { code, message } => Err(match code {
                Some(code) => BeError::Refused { code, message },
                None => BeError::Injected(message),
            }),
            Verdict::ResetBefore | Verdict::Garbage => Err(self.down()),
            Verdict::ResetAfter => Ok(AnswerGuard {
                lost_by: Some(self.id()),
            }),
        }
    }

    pub(super) fn down(&self) -> BeError {
        BeError::Down {
            backend_id: self.id(),
        }
    }

    pub(super) fn require_alive(&self) -> Result<(), BeError> {
        if self.alive() {
            Ok(())
        } else {
            Err(self.down())
        }
    }

    /// The text with which this backend refuses to take disk space now, if a fault wants that.
    pub(super) fn out_of_space(&self) -> Option<String> {
        let text = self.faults.refuses(DISK_WRITE, self.id())?;
        Some(format!("({})[INTERNAL_ERROR]{text}", self.address.host))
    }

    pub(super) fn require_space(&self) -> Result<(), BeError> {
        self.out_of_space()
            .map_or(Ok(()), |text| Err(BeError::Injected(text)))
    }

    /// Refuses a transaction when there are too many.
    pub(super) fn admit(&self, txn_id: i64) -> Result<(), BeError> {
        let limit = self.config.max_txns.load(Ordering::Relaxed);
        self.txns().admit(txn_id, limit)
    }

    /// Makes a tablet unless it is there.
    pub(super) fn add_tablet(&self, spec: TabletSpec) -> Result<(), BeError> {
        let mut tablets = self.tablets.write().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Vacant(slot) = tablets.entry(spec.tablet_id) {
            let tablet = Tablet::new(spec, self.new_tablet_uid(), &self.store);
            self.meta
                .write(|batch| batch.put_tablet(tablet.meta(), &tablet.spec.schema))?;
            self.partitions
                .add(tablet.spec.partition_id, tablet.spec.tablet_id);
            slot.insert(Arc::new(Mutex::new(tablet)));
        }
        Ok(())
    }

    /// Takes in a tablet that a clone made.
    ///
    /// # Errors
    /// One of its id was made meanwhile; the new one is forgotten again.
    pub(super) fn adopt_tablet(&self, tablet: Tablet) -> Result<(), BeError> {
        let mut tablets = self.tablets.write().unwrap_or_else(PoisonError::into_inner);
        let (tablet_id, partition_id) = (tablet.spec.tablet_id, tablet.spec.partition_id);
        match tablets.entry(tablet_id) {
            Entry::Vacant(slot) => {
                self.partitions.add(partition_id, tablet_id);
                slot.insert(Arc::new(Mutex::new(tablet)));
                Ok(())
            }
            Entry::Occupied(_) => {
                let (hash, uid) = (tablet.schema_hash(), tablet.uid);
                self.meta
                    .write(|batch| batch.delete_tablet(tablet_id, hash, uid))?;
                Err(BeError::Injected(format!(
                    "tablet {tablet_id} was made while it was cloned"
                )))
            }
        }
    }

    pub(super) fn publish_one(
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
            // A clone brought the version; what was loaded here is not needed any more.
            if version <= tablet.version && !tablet.awaits_fill() {
                self.discard(rowset);
                return Ok(());
            }
            if matches!(tablet.spec.schema.keys, KeysModel::Unique { mow: true, .. })
                && let Some(text) = self.faults.refuses(DELETE_BITMAP, self.id())
            {
                return Err(BeError::Injected(text));
            }
            tablet.publish(rowset, version, self.clock.now_ms(), &self.meta)
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
    pub(super) fn already_published(
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
