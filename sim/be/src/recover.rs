//! Starting on a store that was used before: what the meta store knows, and the files that belong to nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use prost::Message;

use super::meta_store::{MetaStore, rowset_key};
use super::pb::{RowsetMetaPb, TabletMetaPb};
use super::rowset::remove_dir;
use super::rowset::{Rowset, io_error, remove_file};
use super::rowset_meta::{RowsetMeta, RowsetState, TabletUid};
use super::tablet::Tablet;
use super::txns::LocalTxns;
use dorisim_model::backend::{BeError, TableSchema};
use dorisim_model::clock::compact_datetime;

/// Reads everything that the meta store knows. Entries of tablets that are no longer there are forgotten.
///
/// # Errors
/// [`BeError::MetaStore`], [`BeError::Corrupt`] with the key of a value that can not be read.
pub fn load(meta: &MetaStore, store: &Path) -> Result<(BTreeMap<i64, Tablet>, LocalTxns), BeError> {
    let mut schemas = Schemas {
        stored: meta.schemas()?,
        used: HashSet::new(),
    };
    let mut tablets = BTreeMap::new();
    let mut by_uid: HashMap<TabletUid, i64> = HashMap::new();
    for (key, value) in meta.scan("tabletmeta_")? {
        let pb = TabletMetaPb::decode(value.as_slice()).map_err(|error| corrupt(&key, &error))?;
        let schema = schemas.get(&key, pb.sim_schema_key.as_deref())?;
        let tablet = Tablet::from_meta(&pb, schema, store)
            .ok_or_else(|| corrupt(&key, &"members are missing"))?;
        by_uid.insert(tablet.uid, tablet.spec.tablet_id);
        tablets.insert(tablet.spec.tablet_id, tablet);
    }
    let mut txns = LocalTxns::default();
    let mut orphans = Vec::new();
    for (key, value) in meta.scan("rst_")? {
        let rowset = schemas.rowset(&key, &value)?;
        let tablet = by_uid.get(&rowset.tablet_uid).copied();
        let Some(tablet) = tablet.and_then(|id| tablets.get_mut(&id)) else {
            orphans.push(key);
            continue;
        };
        match rowset.state {
            RowsetState::Visible => tablet.recover_rowset(rowset),
            RowsetState::Committed => {
                let (txn_id, tablet_id) = (rowset.txn_id, rowset.tablet_id);
                let rowset = Rowset::on_disk(rowset, tablet.dir.clone());
                // The later one of the same transaction and tablet replaces the earlier one; the sweep takes its files.
                let replaced = txns.hold(txn_id, tablet_id, Arc::new(rowset));
                orphans.extend(replaced.map(|rowset| rowset_key(&rowset.meta)));
            }
        }
    }
    for (key, value) in meta.scan("binlog_data_")? {
        let rowset = schemas.rowset(&key, &value)?;
        let tablet = by_uid.get(&rowset.tablet_uid).copied();
        match tablet.and_then(|id| tablets.get_mut(&id)) {
            Some(tablet) => tablet.recover_binlog(rowset),
            None => {
                orphans.push(key.replacen("binlog_data_", "binlog_meta_", 1));
                orphans.push(key);
            }
        }
    }
    meta.forget(orphans)?;
    meta.keep_schemas(&schemas.used)?;
    Ok((tablets, txns))
}

struct Schemas {
    stored: HashMap<String, Arc<TableSchema>>,
    used: HashSet<String>,
}

impl Schemas {
    fn get(&mut self, key: &str, named: Option<&str>) -> Result<Arc<TableSchema>, BeError> {
        let named = named.ok_or_else(|| corrupt(key, &"no schema is named"))?;
        let schema = self.stored.get(named).cloned();
        let schema = schema.ok_or_else(|| corrupt(key, &format!("{named} is missing")))?;
        if !self.used.contains(named) {
            self.used.insert(named.to_owned());
        }
        Ok(schema)
    }

    fn rowset(&mut self, key: &str, value: &[u8]) -> Result<RowsetMeta, BeError> {
        let pb = RowsetMetaPb::decode(value).map_err(|error| corrupt(key, &error))?;
        let schema = self.get(key, pb.sim_schema_key.as_deref())?;
        RowsetMeta::from_lean_pb(pb, schema)
    }
}

fn corrupt(key: &str, reason: &dyn std::fmt::Display) -> BeError {
    BeError::Corrupt(format!("meta store: {key}: {reason}"))
}

/// Deletes tablet directories and files that belong to nothing. Snapshots stay, see
/// [`sweep_snapshots`].
///
/// # Errors
/// [`BeError::Io`] when a directory can not be listed.
pub fn sweep(
    store: &Path,
    tablets: &BTreeMap<i64, Tablet>,
    txns: &LocalTxns,
) -> Result<(), BeError> {
    let mut removed = 0_usize;
    let mut known: HashMap<i64, HashSet<String>> = HashMap::new();
    for rowset in txns.held() {
        let files = known.entry(rowset.meta.tablet_id).or_default();
        files.extend(rowset.meta.file_names());
    }
    for dir in entries(&store.join("data"))? {
        let tablet = number(&dir).and_then(|id| tablets.get(&id));
        let Some(tablet) = tablet else {
            remove_dir(&dir);
            removed += 1;
            continue;
        };
        let mut files = known.remove(&tablet.spec.tablet_id).unwrap_or_default();
        files.extend(tablet.visible().flat_map(|rowset| rowset.meta.file_names()));
        files.insert("_binlog".to_owned());
        removed += keep_only(&tablet.dir, &files)?;
        let files = tablet.binlogs().flat_map(|meta| meta.file_names());
        removed += keep_only(&tablet.binlog_dir(), &files.collect())?;
    }
    if removed > 0 {
        tracing::info!(store = %store.display(), removed, "files that belong to nothing were deleted");
    }
    Ok(())
}

/// Deletes snapshots that were made longer ago than their names allow.
///
/// # Errors
/// [`BeError::Io`] when the directory can not be listed.
pub fn sweep_snapshots(store: &Path, now_ms: i64) -> Result<(), BeError> {
    for dir in entries(&store.join("snapshot"))? {
        let name = dir.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| is_expired(name, now_ms)) {
            remove_dir(&dir);
        }
    }
    Ok(())
}

/// `<yyyyMMddHHmmss>.<seq>.<timeout in seconds>`; other names never expire.
fn is_expired(name: &str, now_ms: i64) -> bool {
    let mut parts = name.split('.');
    let (Some(made), Some(_), Some(timeout)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let Ok(timeout) = timeout.parse::<i64>() else {
        return false;
    };
    let oldest = now_ms.saturating_sub(timeout.saturating_mul(1000));
    // Both have 14 digits, so their order is that of time.
    made.len() == 14 && made < compact_datetime(oldest.max(0)).as_str()
}

fn keep_only(dir: &Path, names: &HashSet<String>) -> Result<usize, BeError> {
    let mut removed = 0;
    for path in entries(dir)? {
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_none_or(|name| !names.contains(name)) {
            remove_file(&path);
            removed += 1;
        }
    }
    Ok(removed)
}

fn number(path: &Path) -> Option<i64> {
    path.file_name()?.to_str()?.parse().ok()
}

/// What is in a directory; nothing for one that is not there.
fn entries(dir: &Path) -> Result<Vec<std::path::PathBuf>, BeError> {
    let listing = match std::fs::read_dir(dir) {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(io_error(dir, source)),
    };
    listing
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(|source| io_error(dir, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_expire_by_their_names() {
        // 2026-01-08 06:00:00
        let now_ms = 1_767_852_000_000;
        for (name, expired) in [
            ("20260108055959.1.1", false),
            ("20260108055958.1.1", true),
            ("20260107060000.7.86400", false),
            ("20260107055959.7.86400", true),
            ("20260107055959.7.172800", false),
            ("19700101000000.1.9223372036854775807", false),
            ("2026.1.1", false),
            ("20260101000000.1.soon", false),
            ("other", false),
        ] {
            assert_eq!(is_expired(name, now_ms), expired, "{name}");
        }
    }
}
