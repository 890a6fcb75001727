//! DOWNLOAD: pulling the snapshot of a remote tablet over HTTP into a local snapshot directory.

use std::collections::BTreeSet;
use std::path::Path;

use super::fetch::Fetcher;
use super::rowset::{io_error, link_file, remove_file};
use super::rowset_meta::RowsetMeta;
use super::snapshot::{header_name, inside, read_header};
use dorisim_model::backend::{BeError, RemoteTabletSnapshot};

/// Pulls a remote snapshot into the local snapshot directory, which afterwards holds exactly the remote files with
/// the header under the local tablet's name. Files of rowsets that are here already, under whatever name, are not fetched again.
///
/// # Errors
/// [`BeError::Download`], [`BeError::SnapshotMissing`] for a local path outside the store, [`BeError::Io`], [`BeError::Corrupt`].
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
    let remote_file = |name: &str| query(&format!("{}/{name}", remote.remote_snapshot_path));
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
    let header = local.join(header_name(remote.local_tablet_id));
    // Fetched under another name: the file of that name may be a hard link that a tablet still uses.
    let new_header = local.join(format!("{}.part", header_name(remote.local_tablet_id)));
    fetcher
        .file(&base, &remote_file(&remote_header), &new_header, false)
        .await?;
    link_known(&local, &header, &new_header)?;
    for name in names.iter().filter(|name| **name != remote_header) {
        let target = local.join(name);
        let wanted = fetcher.head(&base, &remote_file(name)).await?;
        if std::fs::metadata(&target).is_ok_and(|here| here.len() == wanted.length) {
            continue;
        }
        let partial = local.join(format!("{name}.part"));
        fetcher
            .file_of(&base, &remote_file(name), &partial, &wanted)
            .await?;
        rename(&partial, &target)?;
    }
    rename(&new_header, &header)?;
    let kept: BTreeSet<&str> = names.into_iter().filter(|n| *n != remote_header).collect();
    for entry in std::fs::read_dir(&local).map_err(|source| io_error(&local, source))? {
        let path = entry.map_err(|source| io_error(&local, source))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if path != header && name.is_none_or(|name| !kept.contains(name)) {
            remove_file(&path);
        }
    }
    Ok(())
}

/// Gives files of local rowsets the names that they have in the remote snapshot: those copied from a rowset of the remote tablet
/// before, and those that the remote rowset was copied from.
fn link_known(dir: &Path, local_header: &Path, remote_header: &Path) -> Result<(), BeError> {
    let remote = read_header(remote_header)?.rowsets;
    // A header that is not there or torn means that nothing is known.
    let Ok(local) = read_header(local_header).map(|header| header.rowsets) else {
        return Ok(());
    };
    for theirs in &remote {
        let Some(ours) = local.iter().find(|ours| same_content(ours, theirs)) else {
            continue;
        };
        for (from, to) in ours.file_names().iter().zip(theirs.file_names()) {
            let from = dir.join(from);
            if from.is_file() {
                link_file(&from, &dir.join(to))?;
            }
        }
    }
    Ok(())
}

fn same_content(ours: &RowsetMeta, theirs: &RowsetMeta) -> bool {
    let copied = ours.source_rowset_id.as_ref() == Some(&theirs.rowset_id)
        || theirs.source_rowset_id.as_ref() == Some(&ours.rowset_id);
    copied
        && ours.start_version == theirs.start_version
        && ours.end_version == theirs.end_version
        && ours.schema.indexes == theirs.schema.indexes
}

fn rename(from: &Path, to: &Path) -> Result<(), BeError> {
    std::fs::rename(from, to).map_err(|source| io_error(from, source))
}

fn is_snapshot_file(name: &str) -> bool {
    let suffix = name.rsplit_once('.').map(|(_, suffix)| suffix);
    matches!(suffix, Some("hdr" | "dat" | "idx")) && !name.contains('/')
}
