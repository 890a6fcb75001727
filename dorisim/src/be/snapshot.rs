//! Snapshots of tablets: making them and putting them in place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::api::{BeError, SnapshotInfo};
use super::header_file;
use super::meta_store::MetaStore;
use super::pb::TabletMetaPb;
use super::pb_schema::schema_pb;
use super::rowset::{Rowset, io_error, link_file, make_dir, write_file};
use super::rowset_meta::{RowsetMeta, RowsetState};
use super::tablet::Tablet;

/// The tablet that a snapshot is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotOwner {
    /// Tablet id.
    pub tablet_id: i64,
    /// Its schema hash.
    pub schema_hash: i32,
}

impl SnapshotOwner {
    /// The tablet itself.
    pub fn of(tablet: &Tablet) -> Self {
        SnapshotOwner {
            tablet_id: tablet.spec.tablet_id,
            schema_hash: tablet.schema_hash(),
        }
    }
}

/// Links the files of `version` of `tablet` below `<dir>/<owner>/<schema hash>/`. The owner is the tablet itself, or one whose
/// content will be much the same (atomic restore).
///
/// # Errors
/// Versions that the tablet does not have; [`BeError::Io`].
pub fn make(
    tablet: &Tablet,
    owner: SnapshotOwner,
    version: i64,
    dir: PathBuf,
) -> Result<SnapshotInfo, BeError> {
    let rowsets = tablet.rowsets_up_to(version)?;
    let inner = dir
        .join(owner.tablet_id.to_string())
        .join(owner.schema_hash.to_string());
    make_dir(&inner)?;
    let header = TabletMetaPb {
        tablet_id: Some(owner.tablet_id),
        schema_hash: Some(owner.schema_hash),
        schema: Some(schema_pb(&tablet.spec.schema)),
        rs_metas: rowsets.iter().map(|rowset| rowset.meta.to_pb()).collect(),
        sim_version: Some(version),
        sim_loaded_from: None,
        ..tablet.meta()
    };
    let mut files = vec![header_name(owner.tablet_id)];
    write_file(&inner.join(&files[0]), &header_file::encode(&header))?;
    for rowset in &rowsets {
        rowset.link_into(&inner)?;
        files.extend(rowset.meta.file_names());
    }
    Ok(SnapshotInfo {
        path: dir.display().to_string(),
        files,
    })
}

/// Version and rowsets of a snapshot header.
///
/// # Errors
/// [`BeError::Io`] when it is not there, [`BeError::Corrupt`].
pub fn read_header(path: &Path) -> Result<(i64, Vec<RowsetMeta>), BeError> {
    let bytes = std::fs::read(path).map_err(|source| io_error(path, source))?;
    let corrupt = |reason: String| BeError::Corrupt(format!("{}: {reason}", path.display()));
    let header = header_file::decode(&bytes).map_err(corrupt)?;
    let version = header
        .sim_version
        .ok_or_else(|| corrupt("no simulated backend wrote this header".to_owned()))?;
    let rowsets = header.rs_metas.into_iter().map(RowsetMeta::from_pb);
    Ok((version, rowsets.collect::<Result<_, _>>()?))
}

/// Replaces the tablet's content by the snapshot in `dir`, under new rowset ids. `path` names the snapshot, so that a repetition is known.
///
/// # Errors
/// [`BeError::SnapshotMissing`], [`BeError::Corrupt`], [`BeError::Io`], [`BeError::MetaStore`].
pub fn load_into(
    tablet: &mut Tablet,
    dir: &Path,
    path: &str,
    backend_id: i64,
    mut new_rowset_id: impl FnMut() -> String,
    store: &MetaStore,
) -> Result<(), BeError> {
    let header_path = dir.join(header_name(tablet.spec.tablet_id));
    if !header_path.is_file() {
        return Err(BeError::SnapshotMissing {
            path: header_path.display().to_string(),
            backend_id,
        });
    }
    let (version, sources) = read_header(&header_path)?;
    make_dir(&tablet.dir)?;
    let mut rowsets = Vec::with_capacity(sources.len());
    for source in sources {
        let mut meta = source.clone();
        meta.rowset_id = new_rowset_id();
        meta.tablet_id = tablet.spec.tablet_id;
        meta.tablet_uid = tablet.uid;
        meta.partition_id = tablet.spec.partition_id;
        meta.tablet_schema_hash = tablet.schema_hash();
        meta.state = RowsetState::Visible;
        meta.source_rowset_id = Some(source.rowset_id.clone());
        meta.source_tablet_id = Some(source.tablet_id);
        // Transaction ids are those of the source cluster and must not be taken for own ones.
        meta.txn_id = -1;
        for (from, to) in source.file_names().iter().zip(meta.file_names()) {
            link_file(&dir.join(from), &tablet.dir.join(to))?;
        }
        rowsets.push(Rowset::on_disk(meta, tablet.dir.clone()));
    }
    let schema = Arc::clone(&tablet.spec.schema);
    tablet.replace(version, schema, rowsets, Some(path.to_owned()), store)
}

/// The canonical path, if it lies below the store.
///
/// # Errors
/// [`BeError::SnapshotMissing`].
pub fn inside(store: &Path, path: &str, backend_id: i64) -> Result<PathBuf, BeError> {
    let real = Path::new(path).canonicalize().ok();
    real.filter(|real| real.starts_with(store))
        .ok_or_else(|| BeError::SnapshotMissing {
            path: path.to_owned(),
            backend_id,
        })
}

/// `<tablet>.hdr`
pub fn header_name(tablet_id: i64) -> String {
    format!("{tablet_id}.hdr")
}
