//! The frontend's state on disk: one SQLite file in the data directory, one row per database, table, partition, binlog record, transaction,
//! job, account and setting.
//!
//! A change of the state and the row that tells of it are one step: whoever holds the state's lock writes what changed before letting go
//! of it, in one SQLite transaction, which takes the place of the journal. So an answer never tells of what is not on disk, and what one
//! critical section did is on disk as a whole or not at all. Commits reach the operating system, not the platter: they survive the end
//! of the process, not of the machine.
//!
//! Reading order: `files` (what may be in a data directory), this file (rows), `save` (what changed), `load` (all of it).

mod files;
mod load;
mod save;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::types::{FromSql, ToSql};
use rusqlite::{Connection, params};

pub use files::StoreError;

use crate::api::FrontendConfig;
use crate::kept::Counters;
use crate::state::FeState;

/// What a row tells of. The number is part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i64)]
enum Kind {
    /// One row: ids and journal.
    Counters = 0,
    /// A database without its tables.
    Database = 1,
    /// A table without its partitions; the owner is its database.
    Table = 2,
    /// A partition; the owner is its table.
    Partition = 3,
    /// Head of a database's stream.
    DbStream = 4,
    /// A record in it; the owner is the database.
    DbRecord = 5,
    /// Head of a table's stream.
    TableStream = 6,
    /// A record in it; the owner is the table.
    TableRecord = 7,
    /// Dropped ids of a database.
    Dropped = 8,
    /// A transaction that is more than PREPARE.
    Txn = 9,
    /// Backup or restore.
    Job = 10,
    /// Schema change or rollup.
    Alter = 11,
    /// BUILD INDEX.
    IndexJob = 12,
    /// Something in the recycle bin.
    Bin = 13,
    /// A user.
    Account = 14,
    /// A changed setting.
    Setting = 15,
    /// A backend of ALTER SYSTEM.
    Backend = 16,
}

impl Kind {
    /// Rows that go with a row of this kind.
    fn children(self) -> Option<Self> {
        match self {
            Self::Database => Some(Self::Table),
            Self::Table => Some(Self::Partition),
            Self::DbStream => Some(Self::DbRecord),
            Self::TableStream => Some(Self::TableRecord),
            Self::Counters
            | Self::Partition
            | Self::DbRecord
            | Self::TableRecord
            | Self::Dropped
            | Self::Txn
            | Self::Job
            | Self::Alter
            | Self::IndexJob
            | Self::Bin
            | Self::Account
            | Self::Setting
            | Self::Backend => None,
        }
    }
}

/// Owner of rows that have none.
const NOBODY: i64 = 0;

/// Key of a row: an id or a name.
trait Key: Ord + Clone + ToSql + FromSql + std::fmt::Display {
    /// The id; what has a name for a key has nothing below.
    fn id(&self) -> Option<i64>;
}

impl Key for i64 {
    fn id(&self) -> Option<i64> {
        Some(*self)
    }
}

impl Key for String {
    fn id(&self) -> Option<i64> {
        None
    }
}

/// The state's file, held by this process alone.
pub struct Store {
    connection: Connection,
    path: PathBuf,
    /// Number of each map that was written, as [`dorisim_model::Tracked::take_changes`] wants it.
    places: HashMap<(Kind, i64), u64>,
    last_place: u64,
    counters: Option<Counters>,
    _lock: File,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A data directory that was opened.
#[derive(Debug)]
pub struct Opened {
    /// Where changes go.
    pub store: Store,
    /// What was read; `None` in a new directory.
    pub state: Option<FeState>,
    /// ClusterId; the stored one in an old directory.
    pub cluster_id: i32,
    /// Token; the stored one in an old directory.
    pub token: String,
    /// The first start came to its end: the accounts that it was asked for are made.
    pub is_ready: bool,
}

/// What a start asks of a data directory.
#[derive(Clone)]
pub struct Wanted {
    /// ClusterId that was asked for.
    pub cluster_id: Option<i32>,
    /// Token that was asked for.
    pub token: Option<String>,
    /// For a new directory when nothing was asked for.
    pub default_cluster_id: i32,
    /// For a new directory when nothing was asked for.
    pub default_token: String,
    /// Backends of this start.
    pub backends: usize,
}

impl Store {
    /// Takes hold of a data directory, new or old. The settings are those that the state keeps to (number of labels and the like).
    ///
    /// # Errors
    /// The directory is in use, damaged, foreign, of another version or of another cluster: each names the file and the next step.
    pub fn open(
        dir: &Path,
        wanted: &Wanted,
        config: &FrontendConfig,
    ) -> Result<Opened, StoreError> {
        let lock = files::lock(dir)?;
        let path = dir.join(files::STATE_FILE);
        let known = files::is_known(dir, &path)?;
        if !known {
            files::create(&path, wanted)?;
        }
        let connection = files::connect(&path)?;
        let mut store = Self {
            connection,
            path,
            places: HashMap::new(),
            last_place: 0,
            counters: None,
            _lock: lock,
        };
        let (cluster_id, token) = files::identify(&store.connection, &store.path, wanted)?;
        let is_ready = files::is_ready(&store.connection, &store.path)?;
        let state = if known {
            Some(store.load(config)?)
        } else {
            None
        };
        Ok(Opened {
            store,
            state,
            cluster_id,
            token,
            is_ready,
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Notes that the first start came to its end.
    ///
    /// # Errors
    /// The file can not be written.
    pub fn set_ready(&self) -> Result<(), StoreError> {
        files::set_ready(&self.connection, &self.path)
    }

    #[cfg(test)]
    pub(super) fn rows_written(&self) -> u64 {
        self.connection.total_changes()
    }

    /// The number of a map's place, given out when it is first asked for.
    fn place(&mut self, kind: Kind, owner: i64) -> u64 {
        let next = self.last_place + 1;
        let place = *self.places.entry((kind, owner)).or_insert(next);
        self.last_place = self.last_place.max(place);
        place
    }

    fn put(&self, kind: Kind, owner: i64, key: &impl Key, body: &[u8]) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO entity (kind, owner, key, body) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![kind as i64, owner, key, body])?;
        Ok(())
    }

    /// Removes a row and what goes with it.
    fn remove(&mut self, kind: Kind, owner: i64, key: &impl Key) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("DELETE FROM entity WHERE kind = ?1 AND owner = ?2 AND key = ?3")?
            .execute(params![kind as i64, owner, key])?;
        Ok(())
    }

    /// Removes all rows of one owner and what goes with them.
    fn remove_all(&mut self, kind: Kind, owner: i64) -> rusqlite::Result<()> {
        if kind.children().is_some() {
            for key in self.ids(kind, owner)? {
                self.forget_children(kind, key)?;
            }
        }
        self.connection
            .prepare_cached("DELETE FROM entity WHERE kind = ?1 AND owner = ?2")?
            .execute(params![kind as i64, owner])?;
        Ok(())
    }

    /// The rows below a row that is gone.
    fn forget_children(&mut self, kind: Kind, key: i64) -> rusqlite::Result<()> {
        if let Some(children) = kind.children() {
            self.places.remove(&(children, key));
            self.remove_all(children, key)?;
        }
        Ok(())
    }

    fn ids(&self, kind: Kind, owner: i64) -> rusqlite::Result<Vec<i64>> {
        self.connection
            .prepare_cached("SELECT key FROM entity WHERE kind = ?1 AND owner = ?2")?
            .query_map(params![kind as i64, owner], |row| row.get(0))?
            .collect()
    }
}

#[cfg(test)]
pub(crate) mod tests;
