//! What a restore will do, decided under the lock: schema checks, new ids, which tablet pulls from which.

use std::collections::BTreeMap;

use crate::api::RestoreRequest;
use crate::catalog::partitions::{self, PartitionSpec};
use crate::catalog::replicas::take_replicas;
use crate::catalog::show_create::column_clause;
use crate::catalog::view_text::qualify_restored;
use crate::jobs::backup_job::BackupMeta;
use crate::jobs::restore_job::{Plan, Pull};
use crate::state::FeState;
use dorisim_model::{OlapTable, Partition, PartitionItem, TableState, View};

/// Keeps the listed objects of a snapshot only.
pub fn select(
    meta: &mut BackupMeta,
    refs: &[(String, Option<String>)],
    snapshot: &str,
) -> Result<(), String> {
    if refs.is_empty() {
        return Ok(());
    }
    for (i, (name, alias)) in refs.iter().enumerate() {
        let known = meta.tables.iter().any(|t| t.name == *name)
            || meta.views.iter().any(|v| v.name == *name);
        if !known {
            return Err(format!(
                "Table {name} does not exist in snapshot {snapshot}"
            ));
        }
        if refs[..i].iter().any(|(other, _)| other == name) {
            return Err(format!("Duplicated table: {name}"));
        }
        let final_of = |(n, a): &(String, Option<String>)| a.clone().unwrap_or_else(|| n.clone());
        let mine = alias.clone().unwrap_or_else(|| name.clone());
        if refs[..i].iter().any(|other| final_of(other) == mine) {
            return Err(format!("Duplicated alias name: {mine}"));
        }
    }
    meta.tables
        .retain(|t| refs.iter().any(|(n, _)| *n == t.name));
    meta.views
        .retain(|v| refs.iter().any(|(n, _)| *n == v.name));
    Ok(())
}

/// Name of an object at the destination.
#[must_use]
pub fn final_name(refs: &[(String, Option<String>)], name: &str) -> String {
    refs.iter()
        .find(|(n, _)| n == name)
        .and_then(|(_, alias)| alias.clone())
        .unwrap_or_else(|| name.to_owned())
}

/// True when the snapshot's partition is the destination's of that name.
#[must_use]
pub fn same_partition(source: &OlapTable, partition: &Partition, local_name: &str) -> bool {
    partition.name.eq_ignore_ascii_case(local_name)
        || (partition.item == PartitionItem::All && source.name == partition.name)
}

/// The text whose equality decides "same schema". The table's name is part of it, always the origin name on the snapshot's side.
fn signature(table: &OlapTable, other: &OlapTable) -> String {
    let mut text = format!("{}|OLAP|", table.name);
    for index in &table.indexes {
        text.push_str(&format!("{}({});", index.name, index.columns.join(",")));
    }
    for column in &table.schema.columns {
        text.push_str(&format!(
            "{}:{:?}:{}:{:?};",
            column_clause(&bare(column)),
            column.on_update,
            column.is_key,
            column.aggregation
        ));
    }
    text.push_str(&format!(
        "{:?}|{:?}|{:?}|",
        table.schema.keys,
        table.partition_kind,
        table.properties.get("bloom_filter_columns")
    ));
    for partition in table.partitions.values() {
        if other
            .partitions
            .values()
            .any(|p| p.name.eq_ignore_ascii_case(&partition.name))
        {
            text.push_str(&format!(
                "{}:{};",
                partition.name.to_lowercase(),
                partition.distribution.to_sql(true)
            ));
        }
    }
    for index in &table.secondary {
        text.push_str(&format!(
            "{}:{}:{};",
            index.name,
            index.kind,
            index.columns.join(",")
        ));
    }
    text
}

fn bare(column: &dorisim_model::Column) -> dorisim_model::Column {
    dorisim_model::Column {
        comment: String::new(),
        default: None,
        ..column.clone()
    }
}

/// Checks everything and lays out the work.
pub fn plan(
    state: &mut FeState,
    db_id: i64,
    request: &RestoreRequest,
    meta: &BackupMeta,
    backends: &[i64],
    now_ms: i64,
) -> Result<Plan, String> {
    let mut plan = Plan::default();
    let db = state
        .catalog
        .databases
        .get(&db_id)
        .cloned()
        .ok_or_else(|| format!("database {db_id} does not exist"))?;
    for source in &meta.tables {
        let name = final_name(&request.table_refs, &source.name);
        if db.view(&name).is_some() {
            return Err(format!("Only support restore OLAP table: {name}"));
        }
        let Some(local) = db.table(&name) else {
            new_table(
                state,
                &mut plan,
                request,
                (source, None),
                &name,
                backends,
                now_ms,
            )?;
            continue;
        };
        if local.state != TableState::Normal {
            return Err(format!(
                "Table {name}'s state is not NORMAL: {}",
                local.state.as_str()
            ));
        }
        if local.partitions.values().any(|p| p.is_temp) {
            return Err("Do not support restoring table with temp partitions".to_owned());
        }
        let grouped = |t: &OlapTable| t.properties.contains_key("colocate_with");
        if grouped(local) || (is_set(request, "reserve_colocate") && grouped(source)) {
            return Err(format!(
                "Not support to restore to local table {} with colocate group.",
                source.name
            ));
        }
        let matches = signature(local, source) == signature(source, local);
        let replaces = request.atomic_restore && request.force_replace;
        if !(matches || replaces) {
            return Err(format!(
                "Table {name} already exist but with different schema"
            ));
        }
        if request.atomic_restore {
            let pair = (source, Some(local));
            new_table(state, &mut plan, request, pair, &name, backends, now_ms)?;
            continue;
        }
        into_existing(state, &mut plan, request, source, local, backends, now_ms)?;
    }
    for source in &meta.views {
        let name = final_name(&request.table_refs, &source.name);
        let definition = qualify_restored(&source.definition, &request.db);
        if db.table(&name).is_some() {
            return Err(format!(
                "The local table {name} with the same name but a different type of backup meta."
            ));
        }
        if let Some(local) = db.view(&name)
            && local.definition != definition
            && !(request.atomic_restore && request.force_replace)
        {
            return Err(format!(
                "View {name} already exist but with different schema"
            ));
        }
        plan.views.push(View {
            name,
            definition,
            ..source.clone()
        });
    }
    Ok(plan)
}

fn replicas(request: &RestoreRequest, source: u32) -> Result<u32, String> {
    if request
        .properties
        .get("reserve_replica")
        .is_some_and(|v| v.eq_ignore_ascii_case("true"))
    {
        return Ok(source);
    }
    let mut properties = request.properties.clone();
    Ok(take_replicas(&mut properties, "")
        .map_err(|e| e.text)?
        .unwrap_or(3))
}

fn is_set(request: &RestoreRequest, key: &str) -> bool {
    request
        .properties
        .get(key)
        .is_some_and(|v| v.eq_ignore_ascii_case("true"))
}

/// A table like `source`; `replaced` is the one whose place it takes.
fn new_table(
    state: &mut FeState,
    plan: &mut Plan,
    request: &RestoreRequest,
    (source, replaced): (&OlapTable, Option<&OlapTable>),
    name: &str,
    backends: &[i64],
    now_ms: i64,
) -> Result<(), String> {
    let mut table = source.clone();
    table.partitions.clear();
    table.id = state.new_id();
    name.clone_into(&mut table.name);
    table.state = TableState::Normal;
    table.replication_num = replicas(request, source.replication_num)?;
    for (i, index) in table.indexes.iter_mut().enumerate() {
        index.id = state.new_id();
        if i == 0 {
            name.clone_into(&mut index.name);
        }
    }
    table
        .properties
        .insert("is_being_synced".to_owned(), "true".to_owned());
    table.properties.remove("storage_policy");
    if !is_set(request, "reserve_colocate") {
        table.properties.remove("colocate_with");
    }
    if table.properties.contains_key("dynamic_partition.enable")
        && !is_set(request, "reserve_dynamic_partition_enable")
    {
        table
            .properties
            .insert("dynamic_partition.enable".to_owned(), "false".to_owned());
    }
    for partition in source.partitions.values() {
        let mut made = copy_partition(state, &table, request, source, partition, backends, now_ms)?;
        let old = replaced.and_then(|table| table.partition(&made.name, false));
        let refs = old.map_or_else(BTreeMap::new, |old| place_like(&mut made, old));
        let paired = plan.pulls.len();
        pair(plan, &table, &made, source, partition);
        for pull in plan.pulls.iter_mut().skip(paired) {
            pull.ref_tablet = refs.get(&pull.local_tablet).copied();
        }
        plan.creates.extend(partitions::tablet_specs(
            &table,
            &made,
            table.binlog_enabled(),
            true,
        ));
        table.partitions.insert(made.id, made);
    }
    plan.tables.push(table);
    Ok(())
}

fn copy_partition(
    state: &mut FeState,
    table: &OlapTable,
    request: &RestoreRequest,
    source: &OlapTable,
    partition: &Partition,
    backends: &[i64],
    now_ms: i64,
) -> Result<Partition, String> {
    let spec = PartitionSpec {
        name: if partition.item == PartitionItem::All {
            table.name.clone()
        } else {
            partition.name.clone()
        },
        item: partition.item.clone(),
        temp: false,
        distribution: partition.distribution.clone(),
        replicas: replicas(request, partition.replication_num)?,
        medium: partition.storage_medium.clone(),
    };
    debug_assert!(
        source.partitions.contains_key(&partition.id),
        "a partition of the snapshot"
    );
    let mut made =
        partitions::build(state, spec, &table.indexes, backends, now_ms).map_err(|e| e.text)?;
    made.visible_version = partition.visible_version;
    made.next_version = partition.visible_version + 1;
    made.tablets_mut()
        .flat_map(|t| &mut t.replicas)
        .for_each(|r| r.version = partition.visible_version);
    Ok(made)
}

fn into_existing(
    state: &mut FeState,
    plan: &mut Plan,
    request: &RestoreRequest,
    source: &OlapTable,
    local: &OlapTable,
    backends: &[i64],
    now_ms: i64,
) -> Result<(), String> {
    let types = local.partition_types();
    for partition in source.partitions.values() {
        let same = local
            .partitions
            .values()
            .find(|p| same_partition(source, partition, &p.name) && !p.is_temp);
        let Some(old) = same else {
            if local
                .partitions
                .values()
                .any(|p| p.item.overlaps(&partition.item, &types))
            {
                return Err(format!(
                    "Partition {} in table {} has conflict partition item with existing items",
                    partition.name, local.name
                ));
            }
            let made = copy_partition(state, local, request, source, partition, backends, now_ms)?;
            pair(plan, local, &made, source, partition);
            plan.creates.extend(partitions::tablet_specs(
                local,
                &made,
                local.binlog_enabled(),
                true,
            ));
            plan.partitions.push((local.id, made));
            continue;
        };
        if old.item != partition.item {
            return Err(format!(
                "Partition {} in table {} has different partition item with partition in repository",
                partition.name, local.name
            ));
        }
        let wanted = replicas(request, partition.replication_num)?;
        if old.replication_num != wanted && is_set(request, "reserve_replica") {
            return Err(format!(
                "Partition {} in table {} has different replication num '{}' with partition in repository, which is {wanted}",
                partition.name, local.name, old.replication_num
            ));
        }
        pair(plan, local, old, source, partition);
        plan.versions
            .push((local.id, old.id, partition.visible_version));
    }
    plan.existing.push(local.id);
    Ok(())
}

/// Puts the replicas of a new partition where those of the old one are, tablet by tablet; tells the old tablet of each new one. Partitions of
/// other buckets or replica numbers have nothing in common.
fn place_like(made: &mut Partition, old: &Partition) -> BTreeMap<i64, i64> {
    let mut refs = BTreeMap::new();
    for (mine, theirs) in made.indexes.iter_mut().zip(&old.indexes) {
        if mine.tablets.len() != theirs.tablets.len() {
            continue;
        }
        for (tablet, old) in mine.tablets.iter_mut().zip(&theirs.tablets) {
            if tablet.replicas.len() != old.replicas.len() {
                continue;
            }
            for (replica, old) in tablet.replicas.iter_mut().zip(&old.replicas) {
                replica.backend_id = old.backend_id;
            }
            refs.insert(tablet.id, old.id);
        }
    }
    refs
}

/// Pairs tablets by index position (base to base) and bucket order.
fn pair(
    plan: &mut Plan,
    local: &OlapTable,
    made: &Partition,
    source: &OlapTable,
    partition: &Partition,
) {
    for (position, (mine, theirs)) in made.indexes.iter().zip(&partition.indexes).enumerate() {
        let hash = |table: &OlapTable| table.indexes.get(position).map_or(0, |i| i.schema_hash);
        for (tablet, remote) in mine.tablets.iter().zip(&theirs.tablets) {
            plan.pulls
                .extend(tablet.replicas.iter().map(|replica| Pull {
                    local_tablet: tablet.id,
                    backend_id: replica.backend_id,
                    local_schema_hash: hash(local),
                    remote_tablet: remote.id,
                    remote_schema_hash: hash(source),
                    ref_tablet: None,
                }));
        }
    }
}
