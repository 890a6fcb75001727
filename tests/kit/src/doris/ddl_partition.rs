//! Statements on partitions.

use ccr_doris::error::Refusal;

use super::catalog::Partition;
use super::cluster::{Cluster, Due, Refused};
use super::database::BinnedPartition;
use super::records::{self, Named};
use super::stmt::Stmt;

fn unknown(partition: &str, table: &str) -> Refused {
    Refused::new(
        Refusal::UnknownPartition,
        format!("Unknown partition {partition} in table {table}"),
    )
}

impl Cluster {
    pub(super) fn on_partitions(
        &mut self,
        database: &str,
        stmt: &Stmt,
        now: i64,
    ) -> Result<(), Refused> {
        match stmt {
            Stmt::AddPartition {
                table,
                name,
                temp,
                range,
                buckets,
                if_not_exists,
            } => {
                let id = self.changeable(database, table)?;
                let found = self.table(database, id)?.clone();
                if found.partition_named(name, *temp).is_some() {
                    return if *if_not_exists {
                        Ok(())
                    } else {
                        Err(Refused::new(
                            Refusal::AlreadyExists,
                            format!("Duplicate partition name {name}"),
                        ))
                    };
                }
                let overlaps = found.partitions.values().any(|p| {
                    p.temp == *temp
                        && match (p.range, range) {
                            (Some((a, b)), Some((c, d))) => a < *d && *c < b,
                            (None, _) | (_, None) => true,
                        }
                });
                if overlaps {
                    return Err(Refused::other(format!(
                        "Range of {name} intersects with a range"
                    )));
                }
                let count = buckets.unwrap_or(found.buckets);
                let partition = self.build_partition(&found, name, *range, *temp, count);
                let data = records::add_partition(self.database_id(database), &found, &partition);
                self.table_mut(database, id)?
                    .partitions
                    .insert(partition.id, partition);
                self.emit(database, 1, vec![id], &data, now);
                Ok(())
            }
            Stmt::DropPartition {
                table,
                name,
                temp,
                if_exists,
                force,
            } => self.drop_partition(database, (table, name), *temp, (*if_exists, *force), now),
            Stmt::ReplacePartition {
                table,
                partitions,
                temps,
            } => self.replace_partition(database, table, partitions, temps, now),
            Stmt::RenamePartition { table, old, new } => {
                let id = self.changeable(database, table)?;
                let found = self.table_mut(database, id)?;
                if found.partition_named(new, false).is_some() {
                    return Err(Refused::new(
                        Refusal::AlreadyExists,
                        format!("Duplicate partition name {new}"),
                    ));
                }
                let renamed = found
                    .partitions
                    .values_mut()
                    .find(|p| p.name == *old && !p.temp)
                    .ok_or_else(|| unknown(old, table))?;
                new.clone_into(&mut renamed.name);
                let what = Named::Partition(renamed.id);
                let data = records::renamed(self.database_id(database), id, what, old, new);
                self.emit(database, 22, vec![id], &data, now);
                Ok(())
            }
            Stmt::RecoverPartition { name, table } => {
                self.recover_partition(database, table, name, now)
            }
            _ => Err(Refused::other("not a statement on partitions")),
        }
    }

    fn drop_partition(
        &mut self,
        database: &str,
        (table, name): (&str, &str),
        temp: bool,
        (if_exists, force): (bool, bool),
        now: i64,
    ) -> Result<(), Refused> {
        let id = self.changeable(database, table)?;
        let found = self.table(database, id)?;
        let Some(partition) = found.partition_named(name, temp).cloned() else {
            return if if_exists {
                Ok(())
            } else {
                Err(unknown(name, table))
            };
        };
        if !force && !temp && self.has_committed(id, Some(partition.id)) {
            return Err(Refused::new(
                Refusal::TableBusy,
                format!(
                    "There are still some transactions in the COMMITTED state waiting to be completed. The partition [{name}] cannot be dropped"
                ),
            ));
        }
        let db = self.database_id(database);
        self.table_mut(database, id)?
            .partitions
            .remove(&partition.id);
        self.bin_partition(database, id, &partition, force || temp, now)?;
        let seq = self.journal();
        let data = records::drop_partition(db, id, &partition, force, now);
        self.emit_at(database, seq, 3, vec![id], &data, now);
        self.database_mut(database)?
            .stream
            .dropped_partitions
            .insert(partition.id, seq);
        Ok(())
    }

    fn bin_partition(
        &mut self,
        database: &str,
        table: i64,
        partition: &Partition,
        force: bool,
        now: i64,
    ) -> Result<(), Refused> {
        if force || self.policy.drops_rowsets_at_once {
            let tablets: Vec<i64> = partition.all_tablets().map(|tablet| tablet.id).collect();
            self.storage.drop_tablets(&tablets);
        }
        if !force {
            let until_ms = now + self.policy.bin_ms;
            let binned = BinnedPartition {
                table,
                partition: partition.clone(),
                until_ms,
            };
            self.database_mut(database)?
                .binned_partitions
                .insert(partition.id, binned);
            self.due_at(until_ms, Due::Erase(database.to_owned()));
        }
        Ok(())
    }

    fn replace_partition(
        &mut self,
        database: &str,
        table: &str,
        partitions: &[String],
        temps: &[String],
        now: i64,
    ) -> Result<(), Refused> {
        let id = self.changeable(database, table)?;
        let found = self.table(database, id)?.clone();
        let mut replaced = Vec::new();
        let mut taking_over = Vec::new();
        for name in partitions {
            let partition = found.partition_named(name, false);
            replaced.push(partition.ok_or_else(|| unknown(name, table))?.clone());
        }
        for name in temps {
            let partition = found.partition_named(name, true);
            taking_over.push(partition.ok_or_else(|| unknown(name, table))?.clone());
        }
        let ranges = |some: &[Partition]| {
            let mut ranges: Vec<_> = some.iter().map(|p| p.range).collect();
            ranges.sort_unstable();
            ranges
        };
        if ranges(&replaced) != ranges(&taking_over) {
            return Err(Refused::other("ranges of the replaced partitions differ"));
        }
        let ids: Vec<i64> = replaced.iter().map(|p| p.id).collect();
        let tablets: Vec<i64> = replaced
            .iter()
            .flat_map(Partition::all_tablets)
            .map(|tablet| tablet.id)
            .collect();
        self.storage.drop_tablets(&tablets);
        let changed = self.table_mut(database, id)?;
        for old in &replaced {
            changed.partitions.remove(&old.id);
        }
        for new in &taking_over {
            let name = replaced
                .iter()
                .find(|old| old.range == new.range)
                .map(|old| old.name.clone());
            if let (Some(partition), Some(name)) = (changed.partitions.get_mut(&new.id), name) {
                partition.temp = false;
                partition.name = name;
            }
        }
        let changed = changed.clone();
        let db = self.database_id(database);
        let data = records::replace_partitions(
            db,
            database,
            &changed,
            (partitions, temps),
            (true, false),
            &ids,
        );
        let seq = self.journal();
        self.emit_at(database, seq, 12, vec![id], &data, now);
        self.database_mut(database)?
            .stream
            .dropped_partitions
            .extend(ids.iter().map(|id| (*id, seq)));
        Ok(())
    }

    fn recover_partition(
        &mut self,
        database: &str,
        table: &str,
        name: &str,
        now: i64,
    ) -> Result<(), Refused> {
        let id = self.changeable(database, table)?;
        let found = self.database_mut(database)?;
        let newest = found
            .binned_partitions
            .iter()
            .rfind(|(_, binned)| binned.table == id && binned.partition.name == name)
            .map(|(id, _)| *id);
        let Some(binned) = newest.and_then(|id| found.binned_partitions.remove(&id)) else {
            return Err(unknown(name, table));
        };
        let back = binned.partition;
        let table_now = self.table(database, id)?;
        let overlaps = table_now.partitions.values().any(|p| {
            !p.temp
                && (p.name == back.name
                    || match (p.range, back.range) {
                        (Some((a, b)), Some((c, d))) => a < d && c < b,
                        (None, _) | (_, None) => true,
                    })
        });
        let shape_changed = table_now
            .indexes
            .iter()
            .any(|index| !back.tablets.contains_key(&index.id))
            || back.tablets.len() != table_now.indexes.len();
        if overlaps || shape_changed {
            return Err(Refused::other(format!(
                "partition {name} can not be recovered"
            )));
        }
        let partition = (back.id, back.name.clone());
        self.database_mut(database)?
            .stream
            .dropped_partitions
            .remove(&back.id);
        self.table_mut(database, id)?
            .partitions
            .insert(back.id, back);
        let db = self.database_id(database);
        let data = records::recovered(db, (id, table), Some((partition.0, &partition.1)));
        self.emit(database, 24, vec![id], &data, now);
        Ok(())
    }
}
