//! Snapshots of tablets: making, pulling over HTTP, and putting them in place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::api::{BeError, RemoteTabletSnapshot, SnapshotInfo, TableSchema};
use super::fetch::Fetcher;
use super::rowset::{Rowset, RowsetMeta, io_error, link_file, make_dir, remove_file, write_file};
use super::tablet::Tablet;

/// Content of `<tablet>.hdr`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct TabletHeader {
    tablet_id: i64,
    version: i64,
    schema: Arc<TableSchema>,
    rowsets: Vec<RowsetMeta>,
}

/// Links the files of `version` below `<dir>/<tablet>/<schema hash>/`.
///
/// # Errors
/// Versions that the tablet does not have; [`BeError::Io`].
pub fn make(tablet: &Tablet, version: i64, dir: PathBuf) -> Result<SnapshotInfo, BeError> {
    let rowsets = tablet.rowsets_up_to(version)?;
    let tablet_id = tablet.spec.tablet_id;
    let inner = dir
        .join(tablet_id.to_string())
        .join(tablet.spec.schema.schema_hash.to_string());
    make_dir(&inner)?;
    let header = TabletHeader {
        tablet_id,
        version,
        schema: Arc::clone(&tablet.spec.schema),
        rowsets: rowsets.iter().map(|rowset| rowset.meta.clone()).collect(),
    };
    let bytes = serde_json::to_vec(&header).expect("invariant: a header has string keys only");
    let mut files = vec![header_name(tablet_id)];
    write_file(&inner.join(&files[0]), &bytes)?;
    for rowset in &rowsets {
        rowset.link_into(&inner)?;
        files.extend((0..rowset.meta.num_segments).map(|n| rowset.meta.segment_name(n)));
    }
    Ok(SnapshotInfo {
        path: dir.display().to_string(),
        files,
    })
}

/// Pulls a remote snapshot into the local snapshot directory, which afterwards holds exactly the remote files with
/// the header under the local tablet's name.
///
/// # Errors
/// [`BeError::Download`], [`BeError::SnapshotMissing`] for a local path outside the store, [`BeError::Io`].
pub async fn download(
    fetcher: &Fetcher,
    store: &Path,
    remote: &RemoteTabletSnapshot,
    backend_id: i64,
) -> Result<(), BeError> {
    let local = inside(store, &remote.local_snapshot_path, backend_id)?;
    let base = format!(
        "http://{}:{}/api/_tablet/_download",
        remote.remote_host, remote.remote_http_port
    );
    let query = |file: &str| {
        vec![
            ("token", remote.remote_token.clone()),
            ("file", file.to_owned()),
            ("channel", "ingest_binlog".to_owned()),
        ]
    };
    let listing = fetcher
        .text(&base, &query(&remote.remote_snapshot_path))
        .await?;
    let names: Vec<&str> = listing
        .lines()
        .filter(|name| is_snapshot_file(name))
        .collect();
    let remote_header = header_name(remote.remote_tablet_id);
    if !names.contains(&remote_header.as_str()) {
        return Err(BeError::Download {
            url: format!("{base}?file={}", remote.remote_snapshot_path),
            reason: format!("the listing has no {remote_header}"),
        });
    }
    let mut kept = Vec::with_capacity(names.len());
    for name in names {
        let local_name = if name == remote_header {
            header_name(remote.local_tablet_id)
        } else {
            name.to_owned()
        };
        let file = format!("{}/{name}", remote.remote_snapshot_path);
        let target = local.join(&local_name);
        // Fetched under another name: the file of that name may be a hard link that a tablet still uses.
        let partial = local.join(format!("{local_name}.part"));
        fetcher.file(&base, &query(&file), &partial, false).await?;
        std::fs::rename(&partial, &target).map_err(|source| io_error(&partial, source))?;
        kept.push(local_name);
    }
    for entry in std::fs::read_dir(&local).map_err(|source| io_error(&local, source))? {
        let entry = entry.map_err(|source| io_error(&local, source))?;
        let name = entry.file_name();
        if !kept.iter().any(|kept| name == kept.as_str()) {
            remove_file(&entry.path());
        }
    }
    Ok(())
}

/// Replaces the tablet's content by the snapshot in `dir`, under new rowset ids.
///
/// # Errors
/// [`BeError::SnapshotMissing`], [`BeError::Corrupt`], [`BeError::Io`].
pub fn load_into(
    tablet: &mut Tablet,
    dir: &Path,
    backend_id: i64,
    mut new_rowset_id: impl FnMut() -> String,
) -> Result<(), BeError> {
    let header_path = dir.join(header_name(tablet.spec.tablet_id));
    let bytes = std::fs::read(&header_path).map_err(|_| BeError::SnapshotMissing {
        path: header_path.display().to_string(),
        backend_id,
    })?;
    let header: TabletHeader = serde_json::from_slice(&bytes)
        .map_err(|error| BeError::Corrupt(format!("{}: {error}", header_path.display())))?;
    make_dir(&tablet.dir)?;
    let mut rowsets = Vec::with_capacity(header.rowsets.len());
    for source in header.rowsets {
        let mut meta = source.clone();
        meta.rowset_id = new_rowset_id();
        meta.tablet_id = tablet.spec.tablet_id;
        meta.partition_id = tablet.spec.partition_id;
        meta.tablet_schema_hash = tablet.spec.schema.schema_hash;
        meta.source_rowset_id = Some(source.rowset_id.clone());
        meta.source_tablet_id = Some(source.tablet_id);
        // Transaction ids are those of the source cluster and must not be taken for own ones.
        meta.txn_id = -1;
        for segment in 0..meta.num_segments {
            link_file(
                &dir.join(source.segment_name(segment)),
                &tablet.dir.join(meta.segment_name(segment)),
            )?;
        }
        rowsets.push(Rowset::on_disk(meta, tablet.dir.clone()));
    }
    let schema = Arc::clone(&tablet.spec.schema);
    tablet.replace(header.version, schema, rowsets);
    Ok(())
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

fn header_name(tablet_id: i64) -> String {
    format!("{tablet_id}.hdr")
}

fn is_snapshot_file(name: &str) -> bool {
    let suffix = name.rsplit_once('.').map(|(_, suffix)| suffix);
    matches!(suffix, Some("hdr" | "dat" | "idx")) && !name.contains('/')
}
