//! The scheduler of dynamic partitions, of `partition.retention_count` and of cool-down: at the clock's time partitions are made,
//! dropped and moved to HDD, each with its record.

use crate::api::SqlError;
use crate::binlog::record::{self, ModifiedPartitions};
use crate::catalog::build::distribution_of;
use crate::catalog::partition_index::DisjointItems;
use crate::catalog::partitions::PartitionSpec;
use crate::dynamic::partition::{DynamicPartition, Wanted};
use crate::frontend::Frontend;
use crate::state::FeState;
use dorisim_model::catalog::NEVER_MS;
use dorisim_model::clock::datetime_text;
use dorisim_model::partition::compare_bounds;
use dorisim_model::{Bound, OlapTable, PartitionItem, PartitionKind, TableState};

/// `dynamic_partition_check_interval_seconds` when nobody set it.
const INTERVAL_S: i64 = 600;

/// What a visit has to do.
#[derive(Debug, Default)]
struct Visit {
    add: Vec<Wanted>,
    drop: Vec<String>,
}

impl Frontend {
    /// One round when the interval is over; the clock may have been moved.
    pub(crate) async fn tick_dynamic_partitions(&self) {
        let now = self.clock().now_ms();
        {
            let mut state = self.lock();
            let interval = state
                .settings
                .get("dynamic_partition_check_interval_seconds")
                .and_then(|v| v.parse::<i64>().ok())
                .unwrap_or(INTERVAL_S);
            let off = state
                .settings
                .get("dynamic_partition_enable")
                .is_some_and(|v| v.eq_ignore_ascii_case("false"));
            let due = state
                .dynamic_round_ms
                .is_none_or(|last| now >= last.saturating_add(interval.saturating_mul(1000)));
            if off || !due {
                return;
            }
            state.dynamic_round_ms = Some(now);
        }
        self.schedule_partitions().await;
    }

    /// One round over all tables at the clock's present time.
    pub async fn schedule_partitions(&self) {
        let due: Vec<(String, String)> = {
            let state = self.lock();
            let of_db = |db: &dorisim_model::Database| {
                let due = db.tables.values().filter(|t| is_due(t));
                due.map(|t| (db.name.clone(), t.name.clone()))
                    .collect::<Vec<_>>()
            };
            state.catalog.databases.values().flat_map(of_db).collect()
        };
        for (db, table) in due {
            let _one_at_a_time = self.ddl.lock().await;
            if let Err(error) = self.schedule_table(&db, &table).await {
                tracing::debug!(db, table, %error, "dynamic partitions were not all made");
            }
        }
        self.cool_down();
    }

    /// Makes and drops partitions of one table. The caller holds the DDL lock.
    pub(crate) async fn schedule_table(&self, db: &str, name: &str) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let visit = {
            let state = self.lock();
            let Some(table) = state.catalog.table(db, name).filter(|t| is_due(t)) else {
                return Ok(());
            };
            plan(table, now)
        };
        for partition in &visit.drop {
            self.drop_partition(db, name, false, partition, true, false)
                .await?;
        }
        for wanted in visit.add {
            self.add_wanted(db, name, wanted).await?;
        }
        Ok(())
    }

    async fn add_wanted(&self, db: &str, name: &str, wanted: Wanted) -> Result<(), SqlError> {
        let (shape, partition) = {
            let mut guard = self.lock();
            let state = &mut *guard;
            let table = state.table(db, name)?;
            let dynamic = DynamicPartition::of(table);
            let mut spec = PartitionSpec {
                name: wanted.name,
                item: wanted.item,
                temp: false,
                distribution: distribution_of(table, dynamic.as_ref().map(|d| d.buckets)),
                replicas: dynamic
                    .as_ref()
                    .and_then(|d| d.replicas)
                    .unwrap_or(table.replication_num),
                medium: crate::ddl::table::medium(table, &Default::default()),
            };
            if let Some(medium) = wanted.medium {
                spec.medium = medium;
            }
            let policy = dynamic.map(|d| d.policy).filter(|p| !p.is_empty());
            let (shape, mut partition) = self.build_in(state, db, name, spec)?;
            if let Some(policy) = policy {
                partition.storage_policy = policy;
            }
            if let Some(text) = &wanted.cooldown
                && let Some(ms) = crate::catalog::dates::to_ms(text)
            {
                partition.cooldown_ms = ms;
            }
            (shape, partition)
        };
        self.attach(db, &shape, vec![partition]).await
    }

    /// Partitions on SSD whose time is over are on HDD from now on.
    fn cool_down(&self) {
        let now = self.clock().now_ms();
        let mut guard = self.lock();
        let state: &mut FeState = &mut guard;
        let due: Vec<(i64, i64, i64)> = {
            let tables = state.catalog.databases.values();
            let tables = tables.flat_map(|db| db.tables.values().map(move |t| (db.id, t)));
            tables
                .flat_map(|(db, t)| t.partitions.values().map(move |p| (db, t.id, p)))
                .filter(|(_, _, p)| p.storage_medium == "SSD" && p.cooldown_ms <= now)
                .map(|(db, table, p)| (db, table, p.id))
                .collect()
        };
        let mut records = Vec::new();
        for (db, table, partition) in due {
            let found = state.table_by_id_mut(db, table);
            if let Some(partition) = found.and_then(|t| t.partitions.get_mut(&partition)) {
                partition.storage_medium = "HDD".to_owned();
                partition.cooldown_ms = NEVER_MS;
                let what = ModifiedPartitions::default();
                let changed = std::slice::from_ref(&*partition);
                records.push(record::modify_partitions(db, table, changed, &what));
            }
        }
        for record in records {
            state.emit(record, now);
        }
    }
}

/// The scheduler has to visit the table.
fn is_due(table: &OlapTable) -> bool {
    let dynamic = DynamicPartition::of(table).is_some_and(|d| d.enable);
    (dynamic || retention(table).is_some()) && !table.is_set("is_being_synced")
}

fn retention(table: &OlapTable) -> Option<usize> {
    table
        .properties
        .get("partition.retention_count")?
        .parse()
        .ok()
}

fn plan(table: &OlapTable, now_ms: i64) -> Visit {
    let types = table.partition_types();
    let (PartitionKind::Range(_), [ty]) = (&table.partition_kind, types.as_slice()) else {
        return Visit::default();
    };
    if let Some(count) = retention(table) {
        return Visit {
            drop: too_old(table, count, now_ms),
            ..Visit::default()
        };
    }
    let Some(dynamic) = DynamicPartition::of(table) else {
        return Visit::default();
    };
    let mut visit = Visit::default();
    let normal: Vec<_> = table.partitions.values().filter(|p| !p.is_temp).collect();
    if let Some(kept) = dynamic.kept(now_ms, ty) {
        visit.drop = normal
            .iter()
            .filter(|p| !kept.iter().any(|k| k.overlaps(&p.item, &types)))
            .map(|p| p.name.clone())
            .collect();
    }
    if table.state != TableState::Normal {
        return visit;
    }
    let items: Vec<PartitionItem> = normal.iter().map(|p| p.item.clone()).collect();
    let mut known = DisjointItems::new(&types, &items);
    for wanted in dynamic.wanted(now_ms, ty) {
        if known.add(&wanted.item) {
            visit.add.push(wanted);
        }
    }
    visit
}

/// Partitions that end before now, but for the `count` youngest of them.
fn too_old(table: &OlapTable, count: usize, now_ms: i64) -> Vec<String> {
    let types = table.partition_types();
    let now = types
        .first()
        .and_then(|ty| ty.canonicalize(&datetime_text(now_ms)).ok().flatten());
    let Some(now) = now.map(|text| vec![Bound::Value(text)]) else {
        return Vec::new();
    };
    let mut past: Vec<(&Vec<Bound>, &str)> = table
        .partitions
        .values()
        .filter(|p| !p.is_temp)
        .filter_map(|p| match &p.item {
            PartitionItem::Range { upper, .. } if compare_bounds(upper, &now, &types).is_lt() => {
                Some((upper, p.name.as_str()))
            }
            PartitionItem::Range { .. }
            | PartitionItem::All
            | PartitionItem::List(_)
            | PartitionItem::ListDefault => None,
        })
        .collect();
    past.sort_by(|(a, _), (b, _)| compare_bounds(a, b, &types));
    let gone = past.len().saturating_sub(count);
    past.into_iter()
        .take(gone)
        .map(|(_, name)| name.to_owned())
        .collect()
}
