//! What a backend does when it is asked: agent tasks, writes and reads.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;

use super::backend::Backend;
use super::download::download;
use super::rowset::Rowset;
use super::rowset::remove_dir;
use super::rowset_meta::{RowsetMeta, RowsetState};
use super::snapshot::{self, Content, SnapshotOwner};
use super::sync::lock;
use dorisim_model::backend::{
    BackendAddress, BackendApi, BeError, DeletePredicate, LocalTxnState, PublishedTablet,
    RemoteTabletSnapshot, Row, RowsetView, SnapshotInfo, TableSchema, TabletSpec, TabletStat,
};
use dorisim_net::agent::MakeSnapshot;

/// Loses the answer of a task whose effect took place, when a fault wants that.
pub(super) struct AnswerGuard {
    pub(super) lost_by: Option<i64>,
}

impl AnswerGuard {
    pub(super) fn answer<T>(self, result: Result<T, BeError>) -> Result<T, BeError> {
        match self.lost_by {
            None => result,
            Some(backend_id) => Err(BeError::Down { backend_id }),
        }
    }
}

/// Seconds until a snapshot may be deleted when nobody says how many.
const SNAPSHOT_TIMEOUT_S: i64 = 86_400;

/// A snapshot that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeSnapshot {
    /// Where it is.
    pub info: SnapshotInfo,
    /// It holds the missing versions that were asked for and nothing else.
    pub is_incremental: bool,
}

impl Backend {
    /// MAKE_SNAPSHOT with all it can ask for.
    ///
    /// # Errors
    /// Tablets and versions that are not there; [`BeError::Io`].
    pub async fn snapshot(&self, wish: &MakeSnapshot) -> Result<MadeSnapshot, BeError> {
        let guard = self.task("task.make_snapshot").await?;
        let target = self.tablet(wish.tablet_id)?;
        let mut owner = SnapshotOwner::of(&lock(&target));
        // Whoever asks looks for the files below the hash that he knows.
        if wish.schema_hash != 0 {
            owner.schema_hash = wish.schema_hash;
        }
        let other = wish.ref_tablet.and_then(|id| self.tablet(id).ok());
        let source = other.unwrap_or(target);
        let source = lock(&source);
        let missing = wish.missing_versions.as_deref();
        let content = Content::choose(&source, wish.version, missing)?;
        let dir = self.new_snapshot_dir(wish.timeout_s);
        let made = snapshot::make(&source, owner, &content, wish.copy_binlogs, dir);
        drop(source);
        guard.answer(made.map(|info| MadeSnapshot {
            info,
            is_incremental: content.is_incremental,
        }))
    }

    async fn whole_snapshot(
        &self,
        tablet_id: i64,
        ref_tablet: Option<i64>,
        version: Option<i64>,
    ) -> Result<SnapshotInfo, BeError> {
        let wish = MakeSnapshot {
            tablet_id,
            schema_hash: 0,
            version,
            timeout_s: SNAPSHOT_TIMEOUT_S,
            list_files: true,
            ref_tablet,
            missing_versions: None,
            copy_binlogs: false,
        };
        Ok(self.snapshot(&wish).await?.info)
    }
}

#[async_trait]
impl BackendApi for Backend {
    fn address(&self) -> &BackendAddress {
        self.listens_at()
    }

    fn alive(&self) -> bool {
        !self.faults().is_down(self.id())
    }

    async fn create_tablet(&self, spec: TabletSpec) -> Result<(), BeError> {
        let guard = self.task("task.create_tablet").await?;
        self.require_space()?;
        guard.answer(self.add_tablet(spec))
    }

    async fn drop_tablets(&self, tablet_ids: &[i64]) -> Result<(), BeError> {
        let guard = self.task("task.drop_tablet").await?;
        let mut gone = Vec::new();
        {
            let mut tablets = self.tablets.write().unwrap_or_else(PoisonError::into_inner);
            let found = tablet_ids.iter().filter_map(|id| tablets.get(id));
            let metas: Vec<_> = found
                .map(|tablet| {
                    let tablet = lock(tablet);
                    (tablet.spec.tablet_id, tablet.schema_hash(), tablet.uid)
                })
                .collect();
            self.meta.write(|batch| {
                for (tablet_id, schema_hash, uid) in metas {
                    batch.delete_tablet(tablet_id, schema_hash, uid);
                }
            })?;
            for id in tablet_ids {
                gone.extend(tablets.remove(id));
            }
        }
        for tablet in gone {
            let dir = {
                let tablet = lock(&tablet);
                let spec = &tablet.spec;
                self.partitions.remove(spec.partition_id, spec.tablet_id);
                tablet.dir.clone()
            };
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
        let done = lock(&tablet).update(binlog_enabled, schema, &self.meta);
        guard.answer(done)
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
        self.admit(txn_id)?;
        let (dir, tablet_schema_hash, tablet_uid, index_format) = {
            let tablet = lock(&tablet);
            let format = tablet.spec.schema.indexes.format;
            (tablet.dir.clone(), tablet.schema_hash(), tablet.uid, format)
        };
        let mut schema = schema;
        // A load does not tell the format of index files; a tablet has one from its making on.
        if schema.indexes.format != index_format {
            Arc::make_mut(&mut schema).indexes.format = index_format;
        }
        let meta = RowsetMeta {
            rowset_id: self.new_rowset_id(),
            tablet_id,
            tablet_uid,
            partition_id,
            tablet_schema_hash,
            state: RowsetState::Committed,
            start_version: 0,
            end_version: 0,
            num_segments: 0,
            num_rows: 0,
            data_size: 0,
            index_size: 0,
            txn_id,
            load_id: (txn_id, partition_id),
            creation_time: self.clock().now_ms() / 1000,
            schema,
            delete: delete.map(Arc::new),
            source_rowset_id: None,
            source_tablet_id: None,
        };
        let limit = self.config.rows_per_segment.load(Ordering::Relaxed);
        let rowset = Arc::new(Rowset::write(meta, dir, rows, limit)?);
        self.meta.write(|batch| batch.put_rowset(&rowset.meta))?;
        let replaced = self.txns().hold(txn_id, tablet_id, rowset);
        if let Some(replaced) = replaced {
            self.discard(&replaced);
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
            self.discard(&rowset);
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
        // Loads behind it would be lost.
        if tablet.version > version && !tablet.awaits_fill() {
            return Err(BeError::VersionMerged {
                tablet_id,
                asked: version,
            });
        }
        let meta = RowsetMeta {
            rowset_id: self.new_rowset_id(),
            tablet_id,
            tablet_uid: tablet.uid,
            partition_id: tablet.spec.partition_id,
            tablet_schema_hash: tablet.schema_hash(),
            state: RowsetState::Visible,
            start_version: 0,
            end_version: version,
            num_segments: 0,
            num_rows: 0,
            data_size: 0,
            index_size: 0,
            txn_id: -1,
            load_id: (0, 0),
            creation_time: self.clock().now_ms() / 1000,
            schema: Arc::clone(&schema),
            delete: None,
            source_rowset_id: None,
            source_tablet_id: None,
        };
        let limit = self.config.rows_per_segment.load(Ordering::Relaxed);
        let rowset = Rowset::write(meta, tablet.dir.clone(), rows, limit)?;
        if tablet.awaits_fill() {
            return tablet.fill(rowset, &self.meta);
        }
        tablet.replace(version, schema, vec![rowset], None, &self.meta)
    }

    async fn make_snapshot(
        &self,
        tablet_id: i64,
        version: Option<i64>,
    ) -> Result<SnapshotInfo, BeError> {
        self.whole_snapshot(tablet_id, None, version).await
    }

    async fn make_snapshot_from(
        &self,
        tablet_id: i64,
        ref_tablet_id: i64,
        version: Option<i64>,
    ) -> Result<SnapshotInfo, BeError> {
        self.whole_snapshot(tablet_id, Some(ref_tablet_id), version)
            .await
    }

    async fn release_snapshot(&self, path: &str) -> Result<(), BeError> {
        let guard = self.task("task.release_snapshot").await?;
        let path = Path::new(path);
        if path.starts_with(self.store().join("snapshot")) && path.components().count() > 2 {
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
            download(&self.fetcher, self.store(), remote, self.id()).await?;
            done.push(remote.local_tablet_id);
        }
        guard.answer(Ok(done))
    }

    async fn move_snapshot(&self, tablet_id: i64, path: &str) -> Result<i64, BeError> {
        let guard = self.task("task.move").await?;
        let tablet = self.tablet(tablet_id)?;
        let mut tablet = lock(&tablet);
        if tablet.loaded_from.as_deref() != Some(path) {
            let backend_id = self.id();
            let dir = snapshot::inside(self.store(), path, backend_id)?;
            let new_id = || self.new_rowset_id();
            snapshot::load_into(&mut tablet, &dir, path, backend_id, new_id, &self.meta)?;
        }
        let version = tablet.version;
        drop(tablet);
        guard.answer(Ok(version))
    }

    async fn gc_binlog(&self, up_to: BTreeMap<i64, i64>) -> Result<(), BeError> {
        let guard = self.task("task.gc_binlog").await?;
        for (tablet_id, version) in up_to {
            if let Ok(tablet) = self.tablet(tablet_id) {
                lock(&tablet).forget_binlogs(version, &self.meta)?;
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
