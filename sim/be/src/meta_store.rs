//! What a backend knows, on disk: keys and values in the forms of Doris, in one SQLite file below the store.
//!
//! | Key | Value |
//! |---|---|
//! | `tabletmeta_<tablet>_<schema hash>` | `TabletMetaPB` without rowsets |
//! | `rst_<tablet uid>_<rowset>` | `RowsetMetaPB`; its state tells committed from visible |
//! | `binlog_meta_<tablet uid>_<version, 20 digits>_<rowset>` | `BinlogMetaEntryPB` |
//! | `binlog_data_<tablet uid>_<version, 20 digits>_<rowset>` | `RowsetMetaPB` |
//! | `schema_<md5>` | a schema as JSON; the messages above name it instead of repeating it |
//! | `epoch` | how often the store was opened |
//!
//! A batch is one transaction that is in the file when the call returns: it survives the end of the process, not that of the machine.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use md5::{Digest, Md5};
use prost::Message;
use rusqlite::{Connection, params};

use super::pb::{BinlogMetaEntryPb, RowsetMetaPb, TabletMetaPb};
use super::rowset_meta::{RowsetMeta, TabletUid};
use super::sync::lock;
use dorisim_model::backend::{BeError, TableSchema};

/// Name of the file below the store.
pub const FILE: &str = "meta.sqlite";
/// How long an ending process may still hold the file.
const PATIENCE: Duration = Duration::from_secs(3);
/// Schemas whose key is remembered.
const REMEMBERED: usize = 32;

/// The store, or none for a backend that lives as long as its process.
#[derive(Debug)]
pub struct MetaStore {
    durable: Option<Durable>,
}

#[derive(Debug)]
struct Durable {
    connection: Mutex<Connection>,
    schemas: Mutex<SchemaKeys>,
}

/// Keys of the schemas that came last, and of all that are stored.
#[derive(Debug, Default)]
struct SchemaKeys {
    recent: Vec<(Arc<TableSchema>, String)>,
    stored: HashSet<String>,
}

impl SchemaKeys {
    /// The key of a schema, and its JSON when it is not stored yet.
    fn key(&mut self, schema: &Arc<TableSchema>) -> (String, Option<Vec<u8>>) {
        let known = self
            .recent
            .iter()
            .find(|(known, _)| Arc::ptr_eq(known, schema) || known == schema);
        if let Some((_, key)) = known {
            return (key.clone(), None);
        }
        let json =
            serde_json::to_vec(schema.as_ref()).expect("invariant: a schema has string keys only");
        let key = format!("schema_{}", hex::encode(Md5::digest(&json)));
        if self.stored.contains(&key) {
            self.remember(schema, &key);
            return (key, None);
        }
        (key, Some(json))
    }

    fn remember(&mut self, schema: &Arc<TableSchema>, key: &str) {
        self.stored.insert(key.to_owned());
        if self.recent.len() == REMEMBERED {
            self.recent.remove(0);
        }
        self.recent.push((Arc::clone(schema), key.to_owned()));
    }
}

#[derive(Debug)]
enum Change {
    Put(String, Vec<u8>),
    Delete(String),
    DeletePrefix(String),
}

/// Changes that are made together.
#[derive(Debug)]
pub struct Batch<'a> {
    changes: Vec<Change>,
    schemas: &'a Mutex<SchemaKeys>,
    new_schemas: Vec<(Arc<TableSchema>, String)>,
}

impl Batch<'_> {
    /// A tablet's meta.
    pub fn put_tablet(&mut self, mut meta: TabletMetaPb, schema: &Arc<TableSchema>) {
        let key = tablet_key(
            meta.tablet_id.unwrap_or_default(),
            meta.schema_hash.unwrap_or_default(),
        );
        meta.sim_schema_key = Some(self.schema_key(schema));
        self.put(key, meta.encode_to_vec());
    }

    /// Forgets a tablet and all that belongs to it.
    pub fn delete_tablet(&mut self, tablet_id: i64, schema_hash: i32, uid: TabletUid) {
        let key = tablet_key(tablet_id, schema_hash);
        self.changes.push(Change::Delete(key));
        self.changes
            .push(Change::DeletePrefix(format!("rst_{uid}_")));
        self.delete_binlogs(uid);
    }

    /// Forgets all binlogs of a tablet.
    pub fn delete_binlogs(&mut self, uid: TabletUid) {
        for kind in ["meta", "data"] {
            let prefix = format!("binlog_{kind}_{uid}_");
            self.changes.push(Change::DeletePrefix(prefix));
        }
    }

    /// A rowset's meta.
    pub fn put_rowset(&mut self, meta: &RowsetMeta) {
        let value = self.rowset_value(meta);
        self.put(rowset_key(meta), value);
    }

    /// Forgets a rowset.
    pub fn delete_rowset(&mut self, meta: &RowsetMeta) {
        self.changes.push(Change::Delete(rowset_key(meta)));
    }

    /// The binlog of the version that the rowset ends at.
    pub fn put_binlog(&mut self, meta: &RowsetMeta) {
        let entry = BinlogMetaEntryPb::of(meta);
        let data = self.rowset_value(meta);
        self.put(binlog_key("meta", meta), entry.encode_to_vec());
        self.put(binlog_key("data", meta), data);
    }

    /// Forgets a binlog.
    pub fn delete_binlog(&mut self, meta: &RowsetMeta) {
        for kind in ["meta", "data"] {
            self.changes.push(Change::Delete(binlog_key(kind, meta)));
        }
    }

    fn put(&mut self, key: String, value: Vec<u8>) {
        self.changes.push(Change::Put(key, value));
    }

    fn rowset_value(&mut self, meta: &RowsetMeta) -> Vec<u8> {
        RowsetMetaPb {
            sim_schema_key: Some(self.schema_key(&meta.schema)),
            ..meta.to_lean_pb()
        }
        .encode_to_vec()
    }

    fn schema_key(&mut self, schema: &Arc<TableSchema>) -> String {
        let (key, json) = lock(self.schemas).key(schema);
        if let Some(json) = json {
            self.put(key.clone(), json);
            self.new_schemas.push((Arc::clone(schema), key.clone()));
        }
        key
    }
}

impl MetaStore {
    /// Keeps nothing.
    pub fn none() -> Self {
        MetaStore { durable: None }
    }

    /// The store below `dir`, made when it is not there.
    ///
    /// # Errors
    /// [`BeError::MetaStore`], also while another process has it open.
    pub fn open(dir: &Path) -> Result<Self, BeError> {
        let path = dir.join(FILE);
        let connection = Connection::open(&path).and_then(|connection| {
            connection.busy_timeout(PATIENCE)?;
            connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "OFF")?;
            connection.execute_batch(
                "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
            )?;
            Ok(connection)
        });
        let connection = connection.map_err(|source| BeError::MetaStore {
            path: path.display().to_string(),
            source,
        })?;
        Ok(MetaStore {
            durable: Some(Durable {
                connection: Mutex::new(connection),
                schemas: Mutex::default(),
            }),
        })
    }

    /// Makes the changes that `fill` asks for, all or none.
    ///
    /// # Errors
    /// [`BeError::MetaStore`]: nothing was changed.
    pub fn write(&self, fill: impl FnOnce(&mut Batch<'_>)) -> Result<(), BeError> {
        let Some(durable) = &self.durable else {
            return Ok(());
        };
        let mut batch = Batch {
            changes: Vec::new(),
            schemas: &durable.schemas,
            new_schemas: Vec::new(),
        };
        fill(&mut batch);
        let Batch {
            changes,
            new_schemas,
            ..
        } = batch;
        if changes.is_empty() {
            return Ok(());
        }
        durable.apply(changes)?;
        for (schema, key) in new_schemas {
            lock(&durable.schemas).remember(&schema, &key);
        }
        Ok(())
    }

    /// Key and value of everything below a prefix, by key.
    ///
    /// # Errors
    /// [`BeError::MetaStore`].
    pub fn scan(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>, BeError> {
        let Some(durable) = &self.durable else {
            return Ok(Vec::new());
        };
        let connection = lock(&durable.connection);
        let read = || -> rusqlite::Result<Vec<(String, Vec<u8>)>> {
            let mut statement = connection.prepare_cached(
                "SELECT key, value FROM meta WHERE key >= ?1 AND key < ?2 ORDER BY key",
            )?;
            let rows = statement.query_map(params![prefix, behind(prefix)], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
            rows.collect()
        };
        read().map_err(|source| durable.error(&connection, source))
    }

    /// All stored schemas by key.
    ///
    /// # Errors
    /// [`BeError::MetaStore`], [`BeError::Corrupt`].
    pub fn schemas(&self) -> Result<HashMap<String, Arc<TableSchema>>, BeError> {
        let mut found = HashMap::new();
        for (key, json) in self.scan("schema_")? {
            let schema: TableSchema = serde_json::from_slice(&json)
                .map_err(|error| BeError::Corrupt(format!("{key} of {FILE}: {error}")))?;
            found.insert(key, Arc::new(schema));
        }
        if let Some(durable) = &self.durable {
            let mut keys = lock(&durable.schemas);
            keys.stored = found.keys().cloned().collect();
        }
        Ok(found)
    }

    /// Forgets all schemas but those in use.
    ///
    /// # Errors
    /// [`BeError::MetaStore`].
    pub fn keep_schemas(&self, used: &HashSet<String>) -> Result<(), BeError> {
        let Some(durable) = &self.durable else {
            return Ok(());
        };
        let mut keys = lock(&durable.schemas);
        let unused: Vec<String> = keys.stored.difference(used).cloned().collect();
        keys.stored.retain(|key| used.contains(key));
        drop(keys);
        self.forget(unused)
    }

    /// Counts one more opening and tells the number; 0 without a store.
    ///
    /// # Errors
    /// [`BeError::MetaStore`].
    pub fn next_epoch(&self) -> Result<u32, BeError> {
        let Some(durable) = &self.durable else {
            return Ok(0);
        };
        let last = self.scan("epoch")?.into_iter().next();
        let last = last.and_then(|(_, bytes)| Some(u32::from_be_bytes(bytes.try_into().ok()?)));
        let epoch = last.unwrap_or(0).wrapping_add(1);
        let change = Change::Put("epoch".to_owned(), epoch.to_be_bytes().to_vec());
        durable.apply(vec![change])?;
        Ok(epoch)
    }

    /// Forgets what a key says.
    ///
    /// # Errors
    /// [`BeError::MetaStore`].
    pub fn forget(&self, keys: Vec<String>) -> Result<(), BeError> {
        match &self.durable {
            Some(durable) if !keys.is_empty() => {
                durable.apply(keys.into_iter().map(Change::Delete).collect())
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Durable {
    fn apply(&self, changes: Vec<Change>) -> Result<(), BeError> {
        let mut connection = lock(&self.connection);
        let done = apply(&mut connection, changes);
        done.map_err(|source| self.error(&connection, source))
    }

    fn error(&self, connection: &Connection, source: rusqlite::Error) -> BeError {
        BeError::MetaStore {
            path: connection.path().unwrap_or(FILE).to_owned(),
            source,
        }
    }
}

fn apply(connection: &mut Connection, changes: Vec<Change>) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for change in changes {
        match change {
            Change::Put(key, value) => transaction
                .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
                .execute(params![key, value])?,
            Change::Delete(key) => transaction
                .prepare_cached("DELETE FROM meta WHERE key = ?1")?
                .execute(params![key])?,
            Change::DeletePrefix(prefix) => transaction
                .prepare_cached("DELETE FROM meta WHERE key >= ?1 AND key < ?2")?
                .execute(params![prefix, behind(&prefix)])?,
        };
    }
    transaction.commit()
}

/// The first key behind all that begin with `prefix`; keys are ASCII.
fn behind(prefix: &str) -> String {
    format!("{prefix}\u{7f}")
}

fn tablet_key(tablet_id: i64, schema_hash: i32) -> String {
    format!("tabletmeta_{tablet_id}_{schema_hash}")
}

/// `rst_<tablet uid>_<rowset>`
pub fn rowset_key(meta: &RowsetMeta) -> String {
    format!("rst_{}_{}", meta.tablet_uid, meta.rowset_id)
}

/// `binlog_<meta or data>_<tablet uid>_<version>_<rowset>`
pub fn binlog_key(kind: &str, meta: &RowsetMeta) -> String {
    format!(
        "binlog_{kind}_{}_{:020}_{}",
        meta.tablet_uid, meta.end_version, meta.rowset_id
    )
}
