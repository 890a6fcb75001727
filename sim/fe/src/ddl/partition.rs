//! Partitions: add, drop, rename, replace, modify, truncate, and INSERT OVERWRITE over temporary ones.

use std::collections::BTreeMap;

use crate::alter::clauses::alter_allowed;
use crate::api::SqlError;
use crate::binlog::record::{self, ModifiedPartitions, Names, ReplacedPartitions};
use crate::catalog::build;
use crate::catalog::partitions::{self, PartitionSpec};
use crate::catalog::properties;
use crate::catalog::property_values;
use crate::catalog::replicas;
use crate::ddl::recycle_bin::Dropped;
use crate::ddl::table::{medium, set_data_property};
use crate::frontend::Frontend;
use dorisim_model::catalog::Properties;
use dorisim_model::{OlapTable, Partition, PartitionItem, PartitionKind};
use dorisim_sql::ast;

impl Frontend {
    pub(crate) async fn add_partition(
        &self,
        db: &str,
        table: &str,
        temp: bool,
        def: ast::PartitionDef,
        distribution: Option<&ast::Distribution>,
    ) -> Result<(), SqlError> {
        let (shape, partition) = {
            let mut guard = self.lock();
            let state = &mut *guard;
            let found = state.table(db, table)?;
            if found.partition(&def.name, temp).is_some() {
                return if def.if_not_exists {
                    Ok(())
                } else {
                    Err(SqlError::new(
                        1517,
                        format!("Duplicate partition name {}", def.name),
                    ))
                };
            }
            if found.partition_kind == PartitionKind::Unpartitioned && !temp {
                return Err(SqlError::analysis(
                    "Only support adding partition to a partitioned table",
                ));
            }
            let existing: Vec<PartitionItem> = found
                .partitions
                .values()
                .filter(|p| p.is_temp == temp)
                .map(|p| p.item.clone())
                .collect();
            let clause = ast::PartitionItem::One(def);
            let resolved = partitions::resolve(
                &found.partition_kind,
                &found.partition_types(),
                &[clause],
                &existing,
            )?;
            let mut distribution = match distribution {
                Some(clause) => build::distribution(Some(clause), &found.schema)?,
                None => found.distribution.clone(),
            };
            distribution.kind.clone_from(&found.distribution.kind);
            let Some((name, item, mut own)) = resolved.into_iter().next() else {
                return Ok(());
            };
            let replicas = replicas::take_replicas(&mut own, "")?.unwrap_or(found.replication_num);
            let spec = PartitionSpec {
                name,
                item,
                temp,
                distribution,
                replicas,
                medium: medium(found, &own),
            };
            let now = self.clock().now_ms();
            let (shape, mut partition) = self.build_in(state, db, table, spec)?;
            set_data_property(&mut partition, &shape.properties, &own, now)?;
            (shape, partition)
        };
        self.attach(db, &shape, vec![partition]).await
    }

    pub(crate) async fn add_partitions(
        &self,
        db: &str,
        table: &str,
        temp: bool,
        step: &ast::PartitionItem,
        mut properties: Properties,
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let own_replicas = replicas::take_replicas(&mut properties, "")?;
        let made = {
            let mut guard = self.lock();
            let state = &mut *guard;
            let found = state.table(db, table)?;
            let existing: Vec<PartitionItem> = found
                .partitions
                .values()
                .filter(|p| p.is_temp == temp)
                .map(|p| p.item.clone())
                .collect();
            let resolved = partitions::resolve(
                &found.partition_kind,
                &found.partition_types(),
                std::slice::from_ref(step),
                &existing,
            )?;
            let (distribution, replicas, medium) = (
                found.distribution.clone(),
                own_replicas.unwrap_or(found.replication_num),
                medium(found, &properties),
            );
            let mut made = Vec::new();
            for (name, item, _) in resolved {
                let spec = PartitionSpec {
                    name,
                    item,
                    temp,
                    distribution: distribution.clone(),
                    replicas,
                    medium: medium.clone(),
                };
                let (shape, mut partition) = self.build_in(state, db, table, spec)?;
                set_data_property(&mut partition, &shape.properties, &properties, now)?;
                made.push((shape, partition));
            }
            made
        };
        let Some((shape, _)) = made.first().cloned() else {
            return Ok(());
        };
        self.attach(db, &shape, made.into_iter().map(|(_, p)| p).collect())
            .await
    }

    /// A partition made by a load into a table with automatic partitions.
    pub(crate) async fn add_auto_partition(
        &self,
        db: &str,
        table: &str,
        name: &str,
        item: PartitionItem,
    ) -> Result<(), SqlError> {
        let _one_at_a_time = self.ddl.lock().await;
        let (shape, partition) = {
            let mut guard = self.lock();
            let state = &mut *guard;
            let found = state.table(db, table)?;
            let types = found.partition_types();
            let covered = found.partitions.values().any(|p| {
                !p.is_temp && p.item != PartitionItem::ListDefault && p.item.overlaps(&item, &types)
            });
            if covered || found.partition(name, false).is_some() {
                return Ok(());
            }
            let spec = PartitionSpec {
                name: name.to_owned(),
                item,
                temp: false,
                distribution: found.distribution.clone(),
                replicas: found.replication_num,
                medium: medium(found, &Properties::new()),
            };
            self.build_in(state, db, table, spec)?
        };
        self.attach(db, &shape, vec![partition]).await
    }

    /// A partition of a table with ids and replicas, and the table as it is now.
    pub(crate) fn build_in(
        &self,
        state: &mut crate::state::FeState,
        db: &str,
        table: &str,
        spec: PartitionSpec,
    ) -> Result<(OlapTable, Partition), SqlError> {
        let mut shape = state.table(db, table)?.clone();
        shape.partitions.clear();
        let partition = partitions::build(
            state,
            spec,
            &shape.indexes,
            &self.alive_backends(),
            self.clock().now_ms(),
        )?;
        Ok((shape, partition))
    }

    /// Makes the tablets and puts the partitions into the catalogue, one record each.
    pub(crate) async fn attach(
        &self,
        db: &str,
        shape: &OlapTable,
        made: Vec<Partition>,
    ) -> Result<(), SqlError> {
        self.make_tablets(shape, made.iter(), shape.binlog_enabled())
            .await?;
        let now = self.clock().now_ms();
        let mut guard = self.lock();
        let state = &mut *guard;
        let db_id = state.db(db)?.id;
        for partition in made {
            let record = record::add_partition(db_id, shape, &partition);
            if let Some(table) = state.table_by_id_mut(db_id, shape.id) {
                table.partitions.insert(partition.id, partition);
            }
            state.emit(record, now);
        }
        Ok(())
    }

    pub(crate) async fn drop_partition(
        &self,
        db: &str,
        table: &str,
        temp: bool,
        name: &str,
        if_exists: bool,
        force: bool,
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let gone = {
            let mut state = self.lock();
            let db_id = state.db(db)?.id;
            let found = state.table_mut(db, table)?;
            if found.partition_kind == PartitionKind::Unpartitioned && !temp {
                return Err(SqlError::analysis(format!(
                    "Alter table [{table}] failed. Not a partitioned table"
                )));
            }
            let Some(id) = found.partition(name, temp).map(|p| p.id) else {
                return if if_exists {
                    Ok(())
                } else {
                    Err(SqlError::new(
                        1507,
                        format!("Error in list of partitions to {name}"),
                    ))
                };
            };
            let (table_id, gone) = (found.id, found.partitions.remove(&id));
            if let Some(partition) = &gone {
                // A version is spent where rows went.
                let version = if partition.visible_version > 1 {
                    found.next_version(now)
                } else {
                    (0, found.visible_version_time)
                };
                let seq = state.emit(
                    record::drop_partition(db_id, table_id, partition, force, version, now),
                    now,
                );
                state.streams.note_dropped(db_id, seq, &[id], &[], &[]);
            }
            // Temporary partitions are not recoverable.
            recycle(&mut state, db_id, table_id, gone, force || temp, now)
        };
        self.drop_tablets(gone.iter()).await;
        Ok(())
    }

    pub(crate) fn rename_partition(
        &self,
        db: &str,
        table: &str,
        old: &str,
        new: &str,
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let mut state = self.lock();
        let db_id = state.db(db)?.id;
        let found = state.table_mut(db, table)?;
        if found.partition_kind == PartitionKind::Unpartitioned {
            return Err(SqlError::analysis(format!(
                "Table[{table}] is single partitioned. no need to rename partition name."
            )));
        }
        if found.partition(new, false).is_some() {
            return Err(SqlError::analysis(format!(
                "Partition name[{new}] is already used"
            )));
        }
        let id = found
            .partition(old, false)
            .map(|p| p.id)
            .ok_or_else(|| SqlError::analysis(format!("Partition[{old}] does not exists")))?;
        let table_id = found.id;
        if let Some(partition) = found.partitions.get_mut(&id) {
            new.clone_into(&mut partition.name);
        }
        let names = Names {
            partition: Some(id),
            partition_name: Some((old, new)),
            ..Names::default()
        };
        state.emit(record::table_info(22, db_id, table_id, &names), now);
        Ok(())
    }

    pub(crate) async fn replace_partitions(
        &self,
        db: &str,
        table: &str,
        names: Vec<String>,
        temp_names: Vec<String>,
        force: bool,
        properties: &Properties,
    ) -> Result<(), SqlError> {
        let flag = |key: &str, default: bool| {
            properties
                .get(key)
                .map_or(default, |v| v.eq_ignore_ascii_case("true"))
        };
        let (strict_range, use_temp_name) = (
            flag("strict_range", true),
            flag("use_temp_partition_name", false),
        );
        let unknown = properties
            .keys()
            .find(|key| !matches!(key.as_str(), "strict_range" | "use_temp_partition_name"));
        if let Some(unknown) = unknown {
            return Err(SqlError::analysis(format!(
                "Unknown properties: [{unknown}]"
            )));
        }
        let now = self.clock().now_ms();
        let gone = {
            let mut guard = self.lock();
            let state = &mut *guard;
            let db_id = state.db(db)?.id;
            let found = state.table_mut(db, table)?;
            let missing =
                |name: &String| SqlError::analysis(format!("Partition[{name}] does not exist"));
            let old: Vec<Partition> = names
                .iter()
                .map(|n| found.partition(n, false).cloned().ok_or_else(|| missing(n)))
                .collect::<Result<_, _>>()?;
            let new: Vec<Partition> = temp_names
                .iter()
                .map(|n| {
                    let found = found.partition(n, true).cloned();
                    found.ok_or_else(|| {
                        SqlError::analysis(format!("Temp partition[{n}] does not exist"))
                    })
                })
                .collect::<Result<_, _>>()?;
            let ranges = |list: &[Partition]| {
                let mut texts: Vec<String> = list.iter().map(|p| found.range_text(p)).collect();
                texts.sort();
                texts
            };
            if strict_range && ranges(&old) != ranges(&new) {
                return Err(SqlError::analysis(
                    "Range conflicts: the ranges of the partitions and the temporary partitions differ",
                ));
            }
            let types = found.partition_types();
            let rest = found
                .partitions
                .values()
                .filter(|p| !p.is_temp && !old.iter().any(|o| o.id == p.id));
            let clash = rest
                .into_iter()
                .any(|p| new.iter().any(|n| n.item.overlaps(&p.item, &types)));
            if clash && found.partition_kind != PartitionKind::Unpartitioned {
                return Err(SqlError::analysis(
                    "Range of a temporary partition is intersected with another partition",
                ));
            }
            let keep_temp_names = use_temp_name || old.len() != new.len();
            for partition in &old {
                found.partitions.remove(&partition.id);
            }
            for (i, partition) in new.iter().enumerate() {
                if let Some(p) = found.partitions.get_mut(&partition.id) {
                    p.is_temp = false;
                    if !keep_temp_names {
                        p.name.clone_from(&names[i]);
                    }
                }
            }
            let ids: Vec<i64> = old.iter().map(|p| p.id).collect();
            let replaced = ReplacedPartitions {
                partitions: names,
                temp_partitions: temp_names,
                strict_range,
                use_temp_name,
                force,
                ids: ids.clone(),
                version: found.next_version(now),
            };
            let table_id = found.id;
            let record = record::replace_partitions(db_id, db, found, &replaced);
            let seq = state.emit(record, now);
            state.streams.note_dropped(db_id, seq, &ids, &[], &[]);
            recycle(state, db_id, table_id, old, force, now)
        };
        self.drop_tablets(gone.iter()).await;
        Ok(())
    }

    pub(crate) fn modify_partitions(
        &self,
        db: &str,
        table: &str,
        names: &[String],
        temp: bool,
        properties: Properties,
    ) -> Result<(), SqlError> {
        let (now, alive) = (self.clock().now_ms(), self.alive_backends().len());
        let mut state = self.lock();
        let db_id = state.db(db)?.id;
        let found = state.table_mut(db, table)?;
        if let Some(missing) = names.iter().find(|n| found.partition(n, temp).is_none()) {
            return Err(SqlError::analysis(format!(
                "Partition[{missing}] does not exist in table[{}]",
                found.name
            )));
        }
        if properties.is_empty() {
            return Err(SqlError::analysis("Properties is not set"));
        }
        if properties::is_on(&properties, "in_memory") {
            return Err(SqlError::analysis(
                "Not support set 'in_memory'='true' now!",
            ));
        }
        let properties = property_values::canonicalize(&properties)?;
        let replicas = replicas::take_replicas(&mut properties.clone(), "")?;
        if let Some(replicas) = replicas {
            replicas::enough_backends(replicas, alive, "HDD")?;
        }
        let mut changed = Vec::new();
        for partition in found.partitions.values_mut().filter(|p| p.is_temp == temp) {
            if names.is_empty()
                || names
                    .iter()
                    .any(|n| n.eq_ignore_ascii_case(&partition.name))
            {
                if let Some(medium) = properties.get("storage_medium") {
                    partition.storage_medium = medium.to_uppercase();
                }
                if let Some(replicas) = replicas {
                    partition.replication_num = replicas;
                }
                if ["storage_medium", "storage_cooldown_time", "storage_policy"]
                    .iter()
                    .any(|key| properties.contains_key(*key))
                {
                    set_data_property(partition, &Properties::new(), &properties, now)?;
                }
                changed.push(partition.clone());
            }
        }
        let table_id = found.id;
        let what = ModifiedPartitions {
            replicas: replicas.is_some(),
            table_properties: Properties::new(),
        };
        state.emit(
            record::modify_partitions(db_id, table_id, &changed, &what),
            now,
        );
        Ok(())
    }

    pub(crate) async fn truncate(
        &self,
        db: &str,
        table: &str,
        names: &[String],
        force: bool,
    ) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let (shape, old, new) = {
            let mut guard = self.lock();
            let state = &mut *guard;
            alter_allowed(state, db, table)?;
            let found = state.table(db, table)?.clone();
            if let Some(missing) = names.iter().find(|n| found.partition(n, false).is_none()) {
                return Err(SqlError::analysis(format!(
                    "Partition {missing} does not exist"
                )));
            }
            let old: Vec<Partition> = found
                .partitions
                .values()
                .filter(|p| {
                    !p.is_temp
                        && (names.is_empty()
                            || names.iter().any(|n| n.eq_ignore_ascii_case(&p.name)))
                })
                .cloned()
                .collect();
            let mut new = Vec::with_capacity(old.len());
            for partition in &old {
                let spec = PartitionSpec {
                    name: partition.name.clone(),
                    item: partition.item.clone(),
                    temp: false,
                    distribution: partition.distribution.clone(),
                    replicas: partition.replication_num,
                    medium: partition.storage_medium.clone(),
                };
                new.push(partitions::build(
                    state,
                    spec,
                    &found.indexes,
                    &self.alive_backends(),
                    now,
                )?);
            }
            (found, old, new)
        };
        self.make_tablets(&shape, new.iter(), shape.binlog_enabled())
            .await?;
        let gone = {
            let mut guard = self.lock();
            let state = &mut *guard;
            let db_id = state.db(db)?.id;
            let found = state.table_mut(db, table)?;
            let table_id = found.id;
            let mut op: BTreeMap<i64, String> =
                old.iter().map(|p| (p.id, p.name.clone())).collect();
            for id in op.keys() {
                found.partitions.remove(id);
            }
            // An entire truncation drops temporary partitions too.
            let mut temps = Vec::new();
            if names.is_empty() {
                temps.extend(found.partitions.values().filter(|p| p.is_temp).cloned());
                op.extend(temps.iter().map(|p| (p.id, p.name.clone())));
                found.partitions.retain(|_, p| !p.is_temp);
            }
            found.partitions.extend(new.into_iter().map(|p| (p.id, p)));
            let list = if names.is_empty() {
                String::new()
            } else {
                format!("PARTITIONS ({})", names.join(", "))
            };
            let raw = format!("{list}{}", if force { " FORCE" } else { "" });
            let record = record::truncate(db_id, db, found, names.is_empty(), &raw, &op);
            let seq = state.emit(record, now);
            let ids: Vec<i64> = op.into_keys().collect();
            state.streams.note_dropped(db_id, seq, &ids, &[], &[]);
            temps.extend(recycle(state, db_id, table_id, old, force, now));
            temps
        };
        self.drop_tablets(gone.iter()).await;
        Ok(())
    }
}

/// Keeps partitions in the recycle bin; with `force` they come back, to be dropped at once.
fn recycle(
    state: &mut crate::state::FeState,
    db_id: i64,
    table_id: i64,
    gone: impl IntoIterator<Item = Partition>,
    force: bool,
    now: i64,
) -> Vec<Partition> {
    let mut at_once = Vec::new();
    for partition in gone {
        if force {
            at_once.push(partition);
        } else {
            let dropped = Dropped::Partition {
                db_id,
                table_id,
                partition,
            };
            state.bin.put(now, dropped);
        }
    }
    at_once
}
