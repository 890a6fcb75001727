//! One tablet replica: its visible rowsets, versions and binlogs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::meta_store::MetaStore;
use super::pb::{BinlogConfigPb, TabletMetaPb};
use super::rowset::{Rowset, remove_file};
use super::rowset_meta::{RowsetMeta, RowsetState, TabletUid};
use dorisim_model::KeysModel;
use dorisim_model::backend::{BeError, RowsetView, TableSchema, TabletSpec, TabletStat};

/// `PB_NOTREADY` and `PB_RUNNING` of Doris' tablet states.
const STATE_NOT_READY: i32 = 0;
const STATE_RUNNING: i32 = 1;

/// A tablet replica in memory; segment files are below `dir`. What it changes it writes to the meta store first.
#[derive(Debug)]
pub struct Tablet {
    /// What the frontend said when it made the tablet.
    pub spec: TabletSpec,
    /// Names this life of the tablet.
    pub uid: TabletUid,
    /// `<store>/data/<tablet>/<schema hash>`, made with the first file.
    pub dir: PathBuf,
    /// Highest visible version.
    pub version: i64,
    /// Version that it began with, or that its content was replaced by.
    base_version: i64,
    /// Visible rowsets by last version.
    rowsets: BTreeMap<i64, Arc<Rowset>>,
    /// Rowsets whose files are linked in `_binlog`, by version.
    binlogs: BTreeMap<i64, Arc<RowsetMeta>>,
    /// Snapshot directory that was moved in last, so that repeating a move changes nothing.
    pub loaded_from: Option<String>,
    /// Made for a schema change whose ALTER is still to come: versions may have holes.
    awaits_fill: bool,
}

impl Tablet {
    /// An empty replica.
    pub fn new(spec: TabletSpec, uid: TabletUid, store: &Path) -> Self {
        let dir = tablet_dir(store, spec.tablet_id, spec.schema.schema_hash);
        Tablet {
            version: spec.initial_version,
            base_version: spec.initial_version,
            spec,
            uid,
            dir,
            rowsets: BTreeMap::new(),
            binlogs: BTreeMap::new(),
            loaded_from: None,
            awaits_fill: false,
        }
    }

    /// A replica as the meta store has it, still without rowsets. `None` when members are missing.
    pub fn from_meta(pb: &TabletMetaPb, schema: Arc<TableSchema>, store: &Path) -> Option<Self> {
        let spec = TabletSpec {
            tablet_id: pb.tablet_id?,
            replica_id: pb.replica_id?,
            table_id: pb.table_id?,
            partition_id: pb.partition_id?,
            index_id: pb.sim_index_id?,
            schema,
            binlog_enabled: pb.binlog_config.as_ref()?.enable?,
            initial_version: pb.sim_version?,
            in_restore_mode: pb.in_restore_mode?,
            base_tablet: None,
        };
        let mut tablet = Tablet::new(spec, pb.tablet_uid?.into(), store);
        // A changed schema may have another hash; the files stay where they were made.
        tablet.dir = tablet_dir(store, tablet.spec.tablet_id, pb.schema_hash?);
        tablet.loaded_from.clone_from(&pb.sim_loaded_from);
        tablet.awaits_fill = pb.tablet_state == Some(STATE_NOT_READY);
        Some(tablet)
    }

    /// The meta without schema and rowsets.
    pub fn meta(&self) -> TabletMetaPb {
        TabletMetaPb {
            table_id: Some(self.spec.table_id),
            partition_id: Some(self.spec.partition_id),
            tablet_id: Some(self.spec.tablet_id),
            schema_hash: Some(self.schema_hash()),
            tablet_state: Some(if self.awaits_fill {
                STATE_NOT_READY
            } else {
                STATE_RUNNING
            }),
            schema: None,
            rs_metas: Vec::new(),
            in_restore_mode: Some(self.spec.in_restore_mode),
            tablet_uid: Some(self.uid.into()),
            replica_id: Some(self.spec.replica_id),
            enable_unique_key_merge_on_write: Some(matches!(
                self.spec.schema.keys,
                KeysModel::Unique { mow: true, .. }
            )),
            binlog_config: Some(BinlogConfigPb {
                enable: Some(self.spec.binlog_enabled),
            }),
            sim_version: Some(self.base_version),
            sim_index_id: Some(self.spec.index_id),
            sim_schema_key: None,
            sim_loaded_from: self.loaded_from.clone(),
            sim_schema: None,
        }
    }

    /// The hash that its directory is named by: that of the schema it was made with.
    pub fn schema_hash(&self) -> i32 {
        let name = self.dir.file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.parse().ok())
            .unwrap_or(self.spec.schema.schema_hash)
    }

    /// Takes a rowset that the meta store knows as visible.
    pub fn recover_rowset(&mut self, meta: RowsetMeta) {
        let version = meta.end_version;
        let rowset = Rowset::on_disk(meta, self.dir.clone());
        self.rowsets.insert(version, Arc::new(rowset));
        self.version = self.version.max(version);
    }

    /// Takes a binlog that the meta store knows.
    pub fn recover_binlog(&mut self, meta: RowsetMeta) {
        self.binlogs.insert(meta.end_version, Arc::new(meta));
    }

    /// Visible rowsets, oldest first.
    pub fn visible(&self) -> impl Iterator<Item = &Arc<Rowset>> {
        self.rowsets.values()
    }

    /// Kept binlogs, oldest first.
    pub fn binlogs(&self) -> impl Iterator<Item = &Arc<RowsetMeta>> {
        self.binlogs.values()
    }

    /// Where hard links of published rowsets are.
    pub fn binlog_dir(&self) -> PathBuf {
        self.dir.join("_binlog")
    }

    /// Changes binlog switch and schema; `None` leaves them.
    ///
    /// # Errors
    /// [`BeError::MetaStore`].
    pub fn update(
        &mut self,
        binlog_enabled: Option<bool>,
        schema: Option<Arc<TableSchema>>,
        store: &MetaStore,
    ) -> Result<(), BeError> {
        if let Some(enabled) = binlog_enabled {
            self.spec.binlog_enabled = enabled;
        }
        if let Some(schema) = schema {
            self.spec.schema = schema;
        }
        store.write(|batch| batch.put_tablet(self.meta(), &self.spec.schema))
    }

    /// Makes a committed rowset visible. Refuses everything but the next version.
    ///
    /// # Errors
    /// [`BeError::VersionMissing`] for a gap, [`BeError::Io`] when binlog links can not be made, [`BeError::MetaStore`].
    pub fn publish(
        &mut self,
        rowset: &Rowset,
        version: i64,
        now_ms: i64,
        store: &MetaStore,
    ) -> Result<(), BeError> {
        let fits = version == self.version + 1 || self.awaits_fill && version > self.version;
        if !fits {
            return Err(BeError::VersionMissing {
                tablet_id: self.spec.tablet_id,
                has: self.version,
                asked: version,
            });
        }
        let mut meta = rowset.meta.clone();
        meta.state = RowsetState::Visible;
        meta.start_version = version;
        meta.end_version = version;
        meta.creation_time = now_ms / 1000;
        let visible = Arc::new(rowset.with_meta(meta));
        let with_binlog = self.spec.binlog_enabled;
        if with_binlog {
            visible.link_into(&self.binlog_dir())?;
        }
        store.write(|batch| {
            batch.put_rowset(&visible.meta);
            if with_binlog {
                batch.put_binlog(&visible.meta);
            }
        })?;
        if with_binlog {
            self.recover_binlog(visible.meta.clone());
        }
        self.rowsets.insert(version, visible);
        self.version = version;
        Ok(())
    }

    /// True when `version` is visible and was written by that transaction.
    pub fn published_by(&self, version: i64, txn_id: i64) -> bool {
        self.rowsets
            .get(&version)
            .is_some_and(|rowset| rowset.meta.txn_id == txn_id)
    }

    /// The rowset that ends at `version`.
    pub fn rowset_at(&self, version: i64) -> Option<&Arc<Rowset>> {
        self.rowsets.get(&version)
    }

    /// Rowsets that make up `version`, oldest first.
    ///
    /// # Errors
    /// [`BeError::VersionMissing`], [`BeError::VersionMerged`].
    pub fn rowsets_up_to(&self, version: i64) -> Result<Vec<Arc<Rowset>>, BeError> {
        if version > self.version {
            return Err(BeError::VersionMissing {
                tablet_id: self.spec.tablet_id,
                has: self.version,
                asked: version,
            });
        }
        let covering = self.rowsets.range(version + 1..).next();
        if covering.is_some_and(|(_, rowset)| rowset.meta.start_version <= version) {
            return Err(BeError::VersionMerged {
                tablet_id: self.spec.tablet_id,
                asked: version,
            });
        }
        Ok(self
            .rowsets
            .range(..=version)
            .map(|(_, rowset)| Arc::clone(rowset))
            .collect())
    }

    /// What a scan at `version` reads.
    ///
    /// # Errors
    /// As [`Tablet::rowsets_up_to`], and unreadable files.
    pub fn views(&self, version: i64) -> Result<Vec<RowsetView>, BeError> {
        self.rowsets_up_to(version)?
            .iter()
            .map(|rowset| rowset.view())
            .collect()
    }

    /// Replaces everything visible; binlogs go too, as their directory is replaced.
    ///
    /// # Errors
    /// [`BeError::MetaStore`]: nothing was changed.
    pub fn replace(
        &mut self,
        version: i64,
        schema: Arc<TableSchema>,
        rowsets: Vec<Rowset>,
        loaded_from: Option<String>,
        store: &MetaStore,
    ) -> Result<(), BeError> {
        let meta = TabletMetaPb {
            sim_version: Some(version),
            sim_loaded_from: loaded_from.clone(),
            ..self.meta()
        };
        store.write(|batch| {
            batch.delete_binlogs(self.uid);
            for old in self.rowsets.values() {
                batch.delete_rowset(&old.meta);
            }
            for new in &rowsets {
                batch.put_rowset(&new.meta);
            }
            batch.put_tablet(meta, &schema);
        })?;
        let new = rowsets.into_iter().map(Arc::new);
        let new = new.map(|rowset| (rowset.meta.end_version, rowset));
        let old = std::mem::replace(&mut self.rowsets, new.collect());
        let binlogs = std::mem::take(&mut self.binlogs);
        self.unlink_binlogs(binlogs.into_values());
        for rowset in old.into_values() {
            rowset.remove_files();
        }
        self.spec.schema = schema;
        self.base_version = version;
        self.version = version;
        self.loaded_from = loaded_from;
        Ok(())
    }

    /// Takes what a clone brought: the rowsets behind its own version, or instead of all that it has. Binlogs stay and are added to.
    ///
    /// # Errors
    /// [`BeError::MetaStore`]: nothing was changed.
    pub fn take_clone(
        &mut self,
        version: i64,
        rowsets: Vec<Rowset>,
        binlogs: Vec<RowsetMeta>,
        incremental: bool,
        store: &MetaStore,
    ) -> Result<(), BeError> {
        let meta = TabletMetaPb {
            sim_version: Some(if incremental {
                self.base_version
            } else {
                version
            }),
            ..self.meta()
        };
        store.write(|batch| {
            if !incremental {
                for old in self.rowsets.values() {
                    batch.delete_rowset(&old.meta);
                }
            }
            for new in &rowsets {
                batch.put_rowset(&new.meta);
            }
            for binlog in &binlogs {
                batch.put_binlog(binlog);
            }
            batch.put_tablet(meta, &self.spec.schema);
        })?;
        if !incremental {
            self.base_version = version;
            for old in std::mem::take(&mut self.rowsets).into_values() {
                old.remove_files();
            }
        }
        let new = rowsets.into_iter().map(Arc::new);
        self.rowsets
            .extend(new.map(|rowset| (rowset.meta.end_version, rowset)));
        self.version = version;
        for binlog in binlogs {
            self.recover_binlog(binlog);
        }
        Ok(())
    }

    /// From now on until [`Tablet::fill`] loads may come with holes between versions, as in Doris' NOTREADY state.
    ///
    /// # Errors
    /// [`BeError::MetaStore`].
    pub fn await_fill(&mut self, store: &MetaStore) -> Result<(), BeError> {
        self.awaits_fill = true;
        store.write(|batch| batch.put_tablet(self.meta(), &self.spec.schema))
    }

    /// True until the ALTER of a schema change came.
    pub fn awaits_fill(&self) -> bool {
        self.awaits_fill
    }

    /// Puts a rowset of all data up to `version` below the loads that came meanwhile. Loads that it covers go.
    ///
    /// # Errors
    /// [`BeError::MetaStore`]: nothing was changed.
    pub fn fill(&mut self, rowset: Rowset, store: &MetaStore) -> Result<(), BeError> {
        let version = rowset.meta.end_version;
        let covered: Vec<Arc<Rowset>> = self
            .rowsets
            .range(..=version)
            .map(|(_, r)| Arc::clone(r))
            .collect();
        let meta = TabletMetaPb {
            sim_version: Some(version),
            tablet_state: Some(STATE_RUNNING),
            ..self.meta()
        };
        store.write(|batch| {
            for old in &covered {
                batch.delete_rowset(&old.meta);
            }
            batch.put_rowset(&rowset.meta);
            batch.put_tablet(meta, &self.spec.schema);
        })?;
        self.rowsets.retain(|end, _| *end > version);
        for old in covered {
            old.remove_files();
        }
        self.rowsets.insert(version, Arc::new(rowset));
        self.awaits_fill = false;
        self.base_version = version;
        let next = |from: i64| self.rowsets.contains_key(&(from + 1));
        self.version = (version..).find(|at| !next(*at)).unwrap_or(version);
        Ok(())
    }

    /// The binlog of one version.
    pub fn binlog(&self, version: i64) -> Option<&Arc<RowsetMeta>> {
        self.binlogs.get(&version)
    }

    /// Forgets the binlogs of all versions up to and including `up_to`.
    ///
    /// # Errors
    /// [`BeError::MetaStore`]: nothing was forgotten.
    pub fn forget_binlogs(&mut self, up_to: i64, store: &MetaStore) -> Result<(), BeError> {
        store.write(|batch| {
            for (_, meta) in self.binlogs.range(..=up_to) {
                batch.delete_binlog(meta);
            }
        })?;
        let kept = match up_to.checked_add(1) {
            Some(next) => self.binlogs.split_off(&next),
            None => BTreeMap::new(),
        };
        let gone = std::mem::replace(&mut self.binlogs, kept);
        self.unlink_binlogs(gone.into_values());
        Ok(())
    }

    fn unlink_binlogs(&self, gone: impl Iterator<Item = Arc<RowsetMeta>>) {
        let dir = self.binlog_dir();
        for name in gone.flat_map(|meta| meta.file_names()) {
            remove_file(&dir.join(name));
        }
    }

    /// Rowsets as Doris counts them: a new tablet has one, which is empty and covers the versions that it began with.
    pub fn version_count(&self) -> i64 {
        let first = self.rowsets.values().next();
        let begins = first.is_none_or(|rowset| rowset.meta.start_version > 1);
        let count = self.rowsets.len() + usize::from(begins);
        i64::try_from(count).unwrap_or(i64::MAX)
    }

    /// State of the replica.
    pub fn stat(&self) -> TabletStat {
        let sum = |read: fn(&Rowset) -> u64| {
            let total: u64 = self.rowsets.values().map(|rowset| read(rowset)).sum();
            i64::try_from(total).unwrap_or(i64::MAX)
        };
        TabletStat {
            version: self.version,
            rows: sum(|rowset| rowset.meta.num_rows),
            bytes: sum(|rowset| rowset.meta.data_size),
            rowsets: self.rowsets.len(),
            binlogs: self.binlogs.len(),
        }
    }
}

/// `<store>/data/<tablet>/<schema hash>`
pub fn tablet_dir(store: &Path, tablet_id: i64, schema_hash: i32) -> PathBuf {
    store
        .join("data")
        .join(tablet_id.to_string())
        .join(schema_hash.to_string())
}
