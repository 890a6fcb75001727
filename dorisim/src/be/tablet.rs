//! One tablet replica: its visible rowsets, versions and binlogs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::api::{BeError, RowsetView, TableSchema, TabletSpec, TabletStat};
use super::rowset::{Rowset, remove_file, segment_name};

/// What `get_binlog_info` and `get_rowset_meta` need of one version.
#[derive(Clone, Debug)]
pub struct BinlogEntry {
    /// Rowset whose files are linked in `_binlog`.
    pub rowset_id: String,
    /// Segment files.
    pub num_segments: u32,
    /// Serialised meta.
    pub meta: Arc<Vec<u8>>,
}

/// A tablet replica in memory; segment files are below `dir`.
#[derive(Debug)]
pub struct Tablet {
    /// What the frontend said when it made the tablet.
    pub spec: TabletSpec,
    /// `<store>/data/<tablet>/<schema hash>`, made with the first file.
    pub dir: PathBuf,
    /// Highest visible version.
    pub version: i64,
    /// Visible rowsets by last version.
    rowsets: BTreeMap<i64, Arc<Rowset>>,
    /// Kept binlogs by version.
    binlogs: BTreeMap<i64, BinlogEntry>,
    /// Snapshot directory that was moved in last, so that repeating a move changes nothing.
    pub loaded_from: Option<String>,
}

impl Tablet {
    /// An empty replica.
    pub fn new(spec: TabletSpec, store: &Path) -> Self {
        let dir = tablet_dir(store, spec.tablet_id, spec.schema.schema_hash);
        Tablet {
            version: spec.initial_version,
            spec,
            dir,
            rowsets: BTreeMap::new(),
            binlogs: BTreeMap::new(),
            loaded_from: None,
        }
    }

    /// Where hard links of published rowsets are.
    pub fn binlog_dir(&self) -> PathBuf {
        self.dir.join("_binlog")
    }

    /// Makes a committed rowset visible. Refuses everything but the next version.
    ///
    /// # Errors
    /// [`BeError::VersionMissing`] for a gap, [`BeError::Io`] when binlog links can not be made.
    pub fn publish(&mut self, rowset: &Rowset, version: i64, now_ms: i64) -> Result<(), BeError> {
        if version != self.version + 1 {
            return Err(BeError::VersionMissing {
                tablet_id: self.spec.tablet_id,
                has: self.version,
                asked: version,
            });
        }
        let mut meta = rowset.meta.clone();
        meta.start_version = version;
        meta.end_version = version;
        meta.creation_time = now_ms;
        let visible = Arc::new(rowset.with_meta(meta));
        if self.spec.binlog_enabled {
            visible.link_into(&self.binlog_dir())?;
            self.binlogs.insert(
                version,
                BinlogEntry {
                    rowset_id: visible.meta.rowset_id.clone(),
                    num_segments: visible.meta.num_segments,
                    meta: Arc::new(visible.meta.to_bytes()),
                },
            );
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
    pub fn replace(&mut self, version: i64, schema: Arc<TableSchema>, rowsets: Vec<Rowset>) {
        self.forget_binlogs(i64::MAX);
        let kept: Vec<_> = rowsets.into_iter().map(Arc::new).collect();
        let old = std::mem::take(&mut self.rowsets);
        self.rowsets = kept
            .into_iter()
            .map(|rowset| (rowset.meta.end_version, rowset))
            .collect();
        for rowset in old.into_values() {
            rowset.remove_files();
        }
        self.spec.schema = schema;
        self.version = version;
    }

    /// The binlog of one version.
    pub fn binlog(&self, version: i64) -> Option<&BinlogEntry> {
        self.binlogs.get(&version)
    }

    /// Forgets the binlogs of all versions up to and including `up_to`.
    pub fn forget_binlogs(&mut self, up_to: i64) {
        let kept = match up_to.checked_add(1) {
            Some(next) => self.binlogs.split_off(&next),
            None => BTreeMap::new(),
        };
        let dir = self.binlog_dir();
        for entry in std::mem::replace(&mut self.binlogs, kept).into_values() {
            for segment in 0..entry.num_segments {
                remove_file(&dir.join(segment_name(&entry.rowset_id, segment)));
            }
        }
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
