//! Reading everything back.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::params;
use serde::de::DeserializeOwned;

use super::{Key, Kind, NOBODY, Store, StoreError};
use crate::api::{Binlog, FrontendConfig};
use crate::binlog::stream::{Entry, Stream};
use crate::kept::{Counters, Kept};
use crate::state::FeState;
use dorisim_model::{Database, OlapTable, Tracked};

type Loaded<T> = Result<T, StoreError>;

/// Records by database and commit seq: streams share them.
type Shared = HashMap<(i64, i64), Arc<Binlog>>;

impl Store {
    /// The state as it was last committed.
    ///
    /// # Errors
    /// Rows that can not be read.
    pub fn load(&mut self, config: &FrontendConfig) -> Loaded<FeState> {
        let mut state = FeState::new(config);
        let counters: Tracked<i64, Counters> = self.read(Kind::Counters, NOBODY)?;
        // A process that ended before its first commit leaves none.
        if let Some(counters) = counters.get(&NOBODY) {
            state.set_counters(*counters);
            self.counters = Some(*counters);
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
        *databases = self.databases()?;
        let mut shared = Shared::new();
        let dbs: Vec<(i64, ((), Stream))> = self.pairs(Kind::DbStream, NOBODY)?;
        for (id, ((), mut stream)) in dbs {
            stream.records = self.records(Kind::DbRecord, id, &mut shared)?;
            db_streams.insert(id, stream);
        }
        let tables: Vec<(i64, (i64, Stream))> = self.pairs(Kind::TableStream, NOBODY)?;
        for (id, (db_id, mut stream)) in tables {
            stream.records = self.records(Kind::TableRecord, id, &mut shared)?;
            table_streams.insert(id, (db_id, stream));
        }
        self.settle(Kind::DbStream, NOBODY, db_streams);
        self.settle(Kind::TableStream, NOBODY, table_streams);
        *dropped = self.read(Kind::Dropped, NOBODY)?;
        *txns = self.read(Kind::Txn, NOBODY)?;
        *jobs = self.read(Kind::Job, NOBODY)?;
        *alters = self.read(Kind::Alter, NOBODY)?;
        *index_jobs = self.read(Kind::IndexJob, NOBODY)?;
        *bin = self.read(Kind::Bin, NOBODY)?;
        let stored_users = self.read(Kind::Account, NOBODY)?;
        if self.counters.is_some() {
            *users = stored_users;
        }
        *settings = self.read(Kind::Setting, NOBODY)?;
        *backends = self.read(Kind::Backend, NOBODY)?;
        state.txns.index_all();
        Ok(state)
    }

    fn databases(&mut self) -> Loaded<Tracked<i64, Database>> {
        let mut databases: Tracked<i64, Database> = self.read(Kind::Database, NOBODY)?;
        for (id, db) in databases.iter_mut() {
            let mut tables: Tracked<i64, OlapTable> = self.read(Kind::Table, *id)?;
            for (table_id, table) in tables.iter_mut() {
                table.partitions = self.read(Kind::Partition, *table_id)?;
            }
            self.settle(Kind::Table, *id, &mut tables);
            db.tables = tables;
        }
        self.settle(Kind::Database, NOBODY, &mut databases);
        Ok(databases)
    }

    fn records(&mut self, kind: Kind, id: i64, shared: &mut Shared) -> Loaded<Tracked<i64, Entry>> {
        let mut records: Tracked<i64, Entry> = self.read(kind, id)?;
        for entry in records.values_mut() {
            let key = (entry.record.db_id, entry.record.commit_seq);
            let known = shared
                .entry(key)
                .or_insert_with(|| Arc::clone(&entry.record));
            if *known == entry.record {
                entry.record = Arc::clone(known);
            }
        }
        self.settle(kind, id, &mut records);
        Ok(records)
    }

    /// Notes that the map is what the file has.
    fn settle<K: Key, V>(&mut self, kind: Kind, owner: i64, map: &mut Tracked<K, V>) {
        let place = self.place(kind, owner);
        map.take_changes(place);
    }

    fn read<K: Key, V: DeserializeOwned>(
        &mut self,
        kind: Kind,
        owner: i64,
    ) -> Loaded<Tracked<K, V>> {
        let mut map: Tracked<K, V> = self.pairs(kind, owner)?.into_iter().collect();
        self.settle(kind, owner, &mut map);
        Ok(map)
    }

    fn pairs<K: Key, V: DeserializeOwned>(&self, kind: Kind, owner: i64) -> Loaded<Vec<(K, V)>> {
        let damaged =
            |source: rusqlite::Error| StoreError::damaged(&self.path, format!("{kind:?}"), source);
        let mut statement = self
            .connection
            .prepare_cached("SELECT key, body FROM entity WHERE kind = ?1 AND owner = ?2")
            .map_err(damaged)?;
        let mut rows = statement
            .query(params![kind as i64, owner])
            .map_err(damaged)?;
        let mut pairs = Vec::new();
        while let Some(row) = rows.next().map_err(damaged)? {
            let key: K = row.get(0).map_err(damaged)?;
            let body = row.get_ref(1).map_err(damaged)?;
            let body = body.as_blob().map_err(|e| damaged(e.into()))?;
            let value = serde_json::from_slice(body)
                .map_err(|e| StoreError::damaged(&self.path, format!("{kind:?} {key}"), e))?;
            pairs.push((key, value));
        }
        Ok(pairs)
    }
}
