//! Writing what changed.

use serde::Serialize;

use super::{Key, Kind, NOBODY, Store, StoreError};
use crate::api::TxnStatus;
use crate::binlog::stream::Stream;
use crate::kept::{Counters, Kept};
use crate::state::FeState;
use dorisim_model::tracked::Changes;
use dorisim_model::{Database, OlapTable, Tracked};

/// What goes wrong below a commit.
#[derive(Debug, thiserror::Error)]
enum SaveError {
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

type Saved = Result<(), SaveError>;

impl Store {
    /// Writes what changed since the last call, all of it or nothing. Does nothing when nothing changed.
    ///
    /// # Errors
    /// The file can not be written: what is in memory must not be told to anybody.
    pub fn commit(&mut self, state: &mut FeState) -> Result<(), StoreError> {
        let counters = state.counters();
        if self.counters == Some(counters) && !self.has_changes(state) {
            return Ok(());
        }
        self.write(state, counters).map_err(|error| {
            let source = match error {
                SaveError::Sql(source) => source,
                SaveError::Json(source) => rusqlite::Error::ToSqlConversionFailure(source.into()),
            };
            StoreError::Write {
                path: self.path.clone(),
                source,
            }
        })
    }

    fn has_changes(&mut self, state: &mut FeState) -> bool {
        fn of<K: Ord + Clone, V>(store: &mut Store, kind: Kind, map: &Tracked<K, V>) -> bool {
            map.has_changes(store.place(kind, NOBODY))
        }
        let Kept {
            databases,
            db_streams,
            table_streams,
            dropped,
            txns,
            jobs,
            alters,
            index_jobs,
            bin,
            users,
            backends,
            settings,
        } = state.kept();
        of(self, Kind::Database, databases)
            || of(self, Kind::DbStream, db_streams)
            || of(self, Kind::TableStream, table_streams)
            || of(self, Kind::Dropped, dropped)
            || of(self, Kind::Txn, txns)
            || of(self, Kind::Job, jobs)
            || of(self, Kind::Alter, alters)
            || of(self, Kind::IndexJob, index_jobs)
            || of(self, Kind::Bin, bin)
            || of(self, Kind::Account, users)
            || of(self, Kind::Setting, settings)
            || of(self, Kind::Backend, backends)
    }

    fn write(&mut self, state: &mut FeState, counters: Counters) -> Saved {
        let Kept {
            databases,
            db_streams,
            table_streams,
            dropped,
            txns,
            jobs,
            alters,
            index_jobs,
            bin,
            users,
            backends,
            settings,
        } = state.kept();
        self.connection.prepare_cached("BEGIN")?.execute([])?;
        if self.counters != Some(counters) {
            let body = serde_json::to_vec(&counters)?;
            self.put(Kind::Counters, NOBODY, &NOBODY, &body)?;
        }
        self.each(Kind::Database, NOBODY, databases, Self::database)?;
        self.each(Kind::DbStream, NOBODY, db_streams, |store, id, s| {
            store.stream((Kind::DbStream, Kind::DbRecord), *id, s, &())
        })?;
        self.each(
            Kind::TableStream,
            NOBODY,
            table_streams,
            |store, id, (db_id, s)| {
                store.stream((Kind::TableStream, Kind::TableRecord), *id, s, db_id)
            },
        )?;
        self.rows(Kind::Dropped, NOBODY, dropped)?;
        self.each(Kind::Txn, NOBODY, txns, |store, id, txn| match txn.status {
            // Doris does not journal it either.
            TxnStatus::Prepare => Ok(store.remove(Kind::Txn, NOBODY, id)?),
            TxnStatus::Precommitted
            | TxnStatus::Committed
            | TxnStatus::Visible
            | TxnStatus::Aborted => store.row(Kind::Txn, NOBODY, id, txn),
        })?;
        self.rows(Kind::Job, NOBODY, jobs)?;
        self.rows(Kind::Alter, NOBODY, alters)?;
        self.rows(Kind::IndexJob, NOBODY, index_jobs)?;
        self.rows(Kind::Bin, NOBODY, bin)?;
        self.rows(Kind::Account, NOBODY, users)?;
        self.rows(Kind::Setting, NOBODY, settings)?;
        self.rows(Kind::Backend, NOBODY, backends)?;
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        self.counters = Some(counters);
        Ok(())
    }

    fn database(&mut self, id: &i64, db: &mut Database) -> Saved {
        let mut tables = std::mem::take(&mut db.tables);
        let head = self.row(Kind::Database, NOBODY, id, db);
        let below = self.each(Kind::Table, *id, &mut tables, |store, table_id, table| {
            store.table(*id, table_id, table)
        });
        db.tables = tables;
        head.and(below)
    }

    fn table(&mut self, db_id: i64, id: &i64, table: &mut OlapTable) -> Saved {
        let mut partitions = std::mem::take(&mut table.partitions);
        let head = self.row(Kind::Table, db_id, id, table);
        let below = self.rows(Kind::Partition, *id, &mut partitions);
        table.partitions = partitions;
        head.and(below)
    }

    fn stream(
        &mut self,
        (kind, of_records): (Kind, Kind),
        id: i64,
        stream: &mut Stream,
        beside: &impl Serialize,
    ) -> Saved {
        let mut records = std::mem::take(&mut stream.records);
        let head = self.row(kind, NOBODY, &id, &(beside, &*stream));
        let below = self.rows(of_records, id, &mut records);
        stream.records = records;
        head.and(below)
    }

    /// Rows without anything below.
    fn rows<K: Key, V: Serialize>(
        &mut self,
        kind: Kind,
        owner: i64,
        map: &mut Tracked<K, V>,
    ) -> Saved {
        self.each(kind, owner, map, |store, key, value| {
            store.row(kind, owner, key, value)
        })
    }

    fn row(&mut self, kind: Kind, owner: i64, key: &impl Key, value: &impl Serialize) -> Saved {
        Ok(self.put(kind, owner, key, &serde_json::to_vec(value)?)?)
    }

    /// Writes what changed in a map: `put` for values that are there, the row is removed for those that are not.
    fn each<K: Key, V>(
        &mut self,
        kind: Kind,
        owner: i64,
        map: &mut Tracked<K, V>,
        mut put: impl FnMut(&mut Self, &K, &mut V) -> Saved,
    ) -> Saved {
        let place = self.place(kind, owner);
        let keys = match map.take_changes(place) {
            Changes::Keys(keys) => keys,
            Changes::Everything => {
                self.remove_all(kind, owner)?;
                map.keys().cloned().collect()
            }
        };
        for key in keys {
            match map.get_unnoted(&key) {
                Some(value) => put(self, &key, value)?,
                None => {
                    self.remove(kind, owner, &key)?;
                    if let Some(id) = key.id() {
                        self.forget_children(kind, id)?;
                    }
                }
            }
        }
        Ok(())
    }
}
