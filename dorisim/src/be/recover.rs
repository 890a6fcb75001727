//! Starting on a store that was used before: what the meta store knows, and the files that belong to nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use prost::Message;

use super::api::{BeError, TableSchema};
use super::backend::remove_dir;
use super::meta_store::{MetaStore, rowset_key};
use super::pb::{RowsetMetaPb, TabletMetaPb};
use super::rowset::{Rowset, io_error, remove_file};
use super::rowset_meta::{RowsetMeta, RowsetState, TabletUid};
use super::tablet::Tablet;
use super::txns::LocalTxns;

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

/// Deletes tablet directories and files that belong to nothing. Snapshots stay: a frontend may still ask for them.
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
