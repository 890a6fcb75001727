//! Snapshots of tablets: making them and putting them in place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use prost::Message;

use super::header_file;
use super::meta_store::{MetaStore, binlog_key};
use super::pb::{BinlogMetaEntryPb, RowsetBinlogMetaPb, RowsetBinlogMetasPb, TabletMetaPb};
use super::pb_schema::schema_pb;
use super::rowset::{Rowset, io_error, link_file, make_dir, write_file};
use super::rowset_meta::{RowsetMeta, RowsetState};
use super::tablet::Tablet;
use dorisim_model::backend::{BeError, SnapshotInfo, TableSchema};

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

/// What a snapshot holds.
#[derive(Clone, Debug)]
pub struct Content {
    /// Its rowsets.
    pub rowsets: Vec<Arc<Rowset>>,
    /// The version that its header tells.
    pub version: i64,
    /// It holds the versions that were asked for and nothing else.
    pub is_incremental: bool,
}

impl Content {
    /// All of `version`, of the newest one by default; or those single versions that a replica lacks, if all of them are here.
    ///
    /// # Errors
    /// Versions that the tablet does not have.
    pub fn choose(
        tablet: &Tablet,
        version: Option<i64>,
        missing: Option<&[i64]>,
    ) -> Result<Self, BeError> {
        let single = |version: &i64| {
            let rowset = tablet.rowset_at(*version);
            rowset.filter(|rowset| rowset.meta.start_version == *version)
        };
        let wanted = missing.filter(|missing| !missing.is_empty());
        let singles: Option<Vec<&Arc<Rowset>>> =
            wanted.and_then(|missing| missing.iter().map(single).collect());
        if let Some(rowsets) = singles {
            return Ok(Content {
                rowsets: rowsets.into_iter().map(Arc::clone).collect(),
                version: tablet.version,
                is_incremental: true,
            });
        }
        let version = version.unwrap_or(tablet.version);
        Ok(Content {
            rowsets: tablet.rowsets_up_to(version)?,
            version,
            is_incremental: false,
        })
    }
}

/// Links the files of `content` of `tablet` below `<dir>/<owner>/<schema hash>/`. The owner is the tablet itself, or one whose
/// content will be much the same (atomic restore).
///
/// # Errors
/// [`BeError::Io`].
pub fn make(
    tablet: &Tablet,
    owner: SnapshotOwner,
    content: &Content,
    with_binlogs: bool,
    dir: PathBuf,
) -> Result<SnapshotInfo, BeError> {
    let rowsets = &content.rowsets;
    let inner = dir
        .join(owner.tablet_id.to_string())
        .join(owner.schema_hash.to_string());
    make_dir(&inner)?;
    let header = TabletMetaPb {
        tablet_id: Some(owner.tablet_id),
        schema_hash: Some(owner.schema_hash),
        schema: Some(schema_pb(&tablet.spec.schema)),
        rs_metas: rowsets.iter().map(|rowset| rowset.meta.to_pb()).collect(),
        sim_version: Some(content.version),
        sim_loaded_from: None,
        sim_schema: Some(schema_json(&tablet.spec.schema)),
        ..tablet.meta()
    };
    let mut files = vec![header_name(owner.tablet_id)];
    write_file(&inner.join(&files[0]), &header_file::encode(&header))?;
    for rowset in rowsets {
        rowset.link_into(&inner)?;
        files.extend(rowset.meta.file_names());
    }
    if with_binlogs {
        link_binlogs(tablet, rowsets, &inner)?;
    }
    Ok(SnapshotInfo {
        path: dir.display().to_string(),
        files,
    })
}

fn schema_json(schema: &TableSchema) -> Vec<u8> {
    serde_json::to_vec(schema).expect("invariant: a schema has string keys only")
}

/// File that lists the binlogs of a snapshot for a clone; their files end with `.binlog` and `.binlog-index`.
pub const BINLOGS_NAME: &str = "rowset_binlog_metas.pb";

/// Links the kept binlogs of these rowsets and lists them.
fn link_binlogs(tablet: &Tablet, rowsets: &[Arc<Rowset>], dir: &Path) -> Result<(), BeError> {
    let versions = rowsets.iter().map(|rowset| rowset.meta.end_version);
    let kept: Vec<&Arc<RowsetMeta>> = versions.filter_map(|v| tablet.binlog(v)).collect();
    if kept.is_empty() {
        return Ok(());
    }
    for meta in &kept {
        for name in meta.file_names() {
            link_file(
                &tablet.binlog_dir().join(&name),
                &dir.join(binlog_name(&name)),
            )?;
        }
    }
    let list = RowsetBinlogMetasPb {
        rowset_binlog_metas: kept.into_iter().map(|meta| binlog_pb(meta)).collect(),
    };
    write_file(&dir.join(BINLOGS_NAME), &list.encode_to_vec())
}

fn binlog_pb(meta: &RowsetMeta) -> RowsetBinlogMetaPb {
    RowsetBinlogMetaPb {
        rowset_id: Some(meta.rowset_id.clone()),
        version: Some(meta.end_version),
        num_segments: Some(i64::from(meta.num_segments)),
        meta_key: Some(binlog_key("meta", meta)),
        meta: Some(BinlogMetaEntryPb::of(meta).encode_to_vec()),
        data_key: Some(binlog_key("data", meta)),
        data: Some(meta.to_bytes()),
    }
}

/// The name that a file of a binlog has in a snapshot.
pub fn binlog_name(name: &str) -> String {
    name.strip_suffix(".dat").map_or_else(
        || format!("{}.binlog-index", name.trim_end_matches(".idx")),
        |stem| format!("{stem}.binlog"),
    )
}

/// Binlogs that a snapshot brings; none without a list.
///
/// # Errors
/// [`BeError::Io`], [`BeError::Corrupt`].
pub fn read_binlogs(dir: &Path) -> Result<Vec<RowsetMeta>, BeError> {
    let path = dir.join(BINLOGS_NAME);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(io_error(&path, source)),
    };
    let corrupt = |reason: String| BeError::Corrupt(format!("{}: {reason}", path.display()));
    let list = RowsetBinlogMetasPb::decode(bytes.as_slice())
        .map_err(|error| corrupt(error.to_string()))?;
    let read = |pb: RowsetBinlogMetaPb| RowsetMeta::from_bytes(&pb.data.unwrap_or_default());
    list.rowset_binlog_metas.into_iter().map(read).collect()
}

/// What a snapshot header says.
#[derive(Debug)]
pub struct Header {
    /// Version of the tablet.
    pub version: i64,
    /// Rowsets of the snapshot.
    pub rowsets: Vec<RowsetMeta>,
    /// Schema of the tablet.
    pub schema: Option<Arc<TableSchema>>,
    /// The tablet's meta without them.
    pub meta: TabletMetaPb,
}

/// Version and rowsets of a snapshot header.
///
/// # Errors
/// [`BeError::Io`] when it is not there, [`BeError::Corrupt`].
pub fn read_header(path: &Path) -> Result<Header, BeError> {
    let bytes = std::fs::read(path).map_err(|source| io_error(path, source))?;
    let corrupt = |reason: String| BeError::Corrupt(format!("{}: {reason}", path.display()));
    let mut header = header_file::decode(&bytes).map_err(corrupt)?;
    let version = header
        .sim_version
        .ok_or_else(|| corrupt("no simulated backend wrote this header".to_owned()))?;
    let schema = header.sim_schema.take();
    let schema = schema.map(|json| serde_json::from_slice::<TableSchema>(&json));
    let schema = schema
        .transpose()
        .map_err(|error| corrupt(error.to_string()))?;
    let rowsets = std::mem::take(&mut header.rs_metas);
    let rowsets = rowsets.into_iter().map(RowsetMeta::from_pb);
    Ok(Header {
        version,
        rowsets: rowsets.collect::<Result<_, _>>()?,
        schema: schema.map(Arc::new),
        meta: header,
    })
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
    let Header {
        version,
        rowsets: sources,
        ..
    } = read_header(&header_path)?;
    let mut rowsets = take_over(tablet, dir, &sources, &mut new_rowset_id)?;
    for rowset in &mut rowsets {
        // Transaction ids are those of the source cluster and must not be taken for own ones.
        rowset.meta.txn_id = -1;
    }
    let schema = Arc::clone(&tablet.spec.schema);
    tablet.replace(version, schema, rowsets, Some(path.to_owned()), store)
}

/// The rowsets of a snapshot in `dir` as rowsets of the tablet, under new ids, their files linked to its directory.
///
/// # Errors
/// [`BeError::Io`].
pub fn take_over(
    tablet: &Tablet,
    dir: &Path,
    sources: &[RowsetMeta],
    new_rowset_id: &mut impl FnMut() -> String,
) -> Result<Vec<Rowset>, BeError> {
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
        for (from, to) in source.file_names().iter().zip(meta.file_names()) {
            link_file(&dir.join(from), &tablet.dir.join(to))?;
        }
        rowsets.push(Rowset::on_disk(meta, tablet.dir.clone()));
    }
    Ok(rowsets)
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
