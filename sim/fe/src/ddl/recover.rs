//! RECOVER, and the end of what stayed in the recycle bin too long.

use crate::api::SqlError;
use crate::binlog::record;
use crate::ddl::recycle_bin::{BinView, Dropped};
use crate::frontend::Frontend;
use dorisim_model::{Partition, PartitionItem, TableState};

/// `catalog_trash_expire_second`: how long things stay recoverable when nobody set it.
const KEEP_S: i64 = 86_400;

impl Frontend {
    /// What the recycle bin holds, oldest first.
    #[must_use]
    pub fn recycle_bin(&self) -> Vec<BinView> {
        self.lock().bin.views()
    }

    /// Drops the tablets of everything whose time in the bin is over (`catalog_trash_expire_second`).
    pub async fn erase_expired(&self) {
        let now = self.clock().now_ms();
        let gone = {
            let mut state = self.lock();
            let keep_s = state
                .settings
                .get("catalog_trash_expire_second")
                .and_then(|v| v.parse::<i64>().ok())
                .unwrap_or(KEEP_S);
            state
                .bin
                .take_expired(now.saturating_sub(keep_s.saturating_mul(1000)))
        };
        let partitions: Vec<Partition> = gone
            .into_iter()
            .flat_map(Dropped::into_partitions)
            .collect();
        self.drop_tablets(partitions.iter()).await;
    }

    /// RECOVER DATABASE: no record, as in Doris.
    pub(crate) fn recover_database(
        &self,
        name: &str,
        id: Option<i64>,
        new_name: Option<String>,
    ) -> Result<(), SqlError> {
        let mut state = self.lock();
        let target = new_name.as_deref().unwrap_or(name);
        if state.catalog.database(target).is_some() {
            return Err(SqlError::new(
                1007,
                format!("Can't create database '{target}'; database exists"),
            ));
        }
        let found = state.bin.take(|d| {
            matches!(d, Dropped::Database(db) if db.name == name && id.is_none_or(|id| id == db.id))
        });
        let Some((_, (_, Dropped::Database(mut db)))) = found else {
            return Err(SqlError::analysis(format!(
                "Unknown database '{name}' or database id '-1'"
            )));
        };
        target.clone_into(&mut db.name);
        // Jobs of its tables ended with it.
        for table in db.tables.values_mut() {
            table.drop_shadows();
            table.state = TableState::Normal;
        }
        state.journal();
        state.catalog.databases.insert(db.id, db);
        Ok(())
    }

    /// RECOVER TABLE.
    pub(crate) fn recover_table(
        &self,
        db: &str,
        name: &str,
        id: Option<i64>,
        new_name: Option<String>,
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let mut guard = self.lock();
        let state = &mut *guard;
        let database = state.db(db)?;
        let db_id = database.id;
        let target = new_name.as_deref().unwrap_or(name);
        if database.has_name(target) {
            return Err(SqlError::new(
                1050,
                format!("Table '{target}' already exists"),
            ));
        }
        let found = state.bin.take(|d| {
            matches!(d, Dropped::Table { db_id: of, table }
                if *of == db_id && table.name == name && id.is_none_or(|id| id == table.id))
        });
        let Some((_, (_, Dropped::Table { mut table, .. }))) = found else {
            return Err(SqlError::analysis(format!(
                "Unknown table '{name}' or table id '{}' in {db}",
                id.unwrap_or(-1)
            )));
        };
        if new_name.is_some() {
            table.rename(target);
        }
        let recovered = record::Recovered {
            // It is told of under the name that it has now.
            table: (table.id, target),
            new_table: new_name.as_deref(),
            partition: None,
            new_partition: Some(""),
        };
        let record = record::recover(db_id, &recovered);
        state.streams.note_recovered(db_id, table.id);
        if let Some(database) = state.catalog.databases.get_mut(&db_id) {
            database.tables.insert(table.id, *table);
        }
        state.emit(record, now);
        Ok(())
    }

    /// RECOVER PARTITION.
    pub(crate) fn recover_partition(
        &self,
        db: &str,
        table: &str,
        name: &str,
        id: Option<i64>,
        new_name: Option<String>,
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let mut guard = self.lock();
        let state = &mut *guard;
        let db_id = state.db(db)?.id;
        let found = state.table(db, table)?;
        let (table_id, types) = (found.id, found.partition_types());
        let target = new_name.as_deref().unwrap_or(name);
        if found.partition(target, false).is_some() {
            return Err(SqlError::analysis(format!(
                "partition[{target}] is already exist in table[{table}]"
            )));
        }
        let taken = state.bin.take(|d| {
            matches!(d, Dropped::Partition { table_id: of, partition, .. }
                if *of == table_id && partition.name.eq_ignore_ascii_case(name)
                    && id.is_none_or(|id| id == partition.id))
        });
        let Some((n, (dropped_ms, Dropped::Partition { mut partition, .. }))) = taken else {
            return Err(SqlError::analysis(format!(
                "No partition named '{name}' or partition id '{}' in table {table}",
                id.unwrap_or(-1)
            )));
        };
        let found = state.table(db, table)?;
        let known: Vec<i64> = found.indexes.iter().map(|i| i.id).collect();
        let refusal = if found.partitions.values().any(|p| {
            !p.is_temp
                && p.item != PartitionItem::ListDefault
                && p.item.overlaps(&partition.item, &types)
        }) {
            Some(format!(
                "Can not recover partition[{name}]. Partition range conflict."
            ))
        } else if partition.indexes.iter().map(|i| i.id).ne(known) {
            Some(format!(
                "Can not recover partition[{name}]. The indexes of the table have changed since."
            ))
        } else {
            None
        };
        if let Some(text) = refusal {
            let back = Dropped::Partition {
                db_id,
                table_id,
                partition,
            };
            state.bin.entries.insert(n, (dropped_ms, back));
            return Err(SqlError::analysis(text));
        }
        let origin = partition.name.clone();
        if let Some(new) = &new_name {
            partition.name.clone_from(new);
        }
        let recovered = record::Recovered {
            table: (table_id, table),
            new_table: Some(""),
            partition: Some((partition.id, &origin)),
            new_partition: new_name.as_deref(),
        };
        let record = record::recover(db_id, &recovered);
        state.streams.note_recovered(db_id, partition.id);
        if let Some(table) = state.table_by_id_mut(db_id, table_id) {
            table.partitions.insert(partition.id, partition);
        }
        state.emit(record, now);
        Ok(())
    }
}
