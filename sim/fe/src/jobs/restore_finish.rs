//! The last step of a restore: objects come into the catalogue, what the snapshot does not have goes.

use crate::binlog::record;
use crate::ddl::table::{recycle_table, remove_table};
use crate::frontend::Frontend;
use crate::jobs::list::Job;
use crate::jobs::restore_job::{RestoreJob, State};
use crate::jobs::restore_plan;
use crate::state::FeState;
use dorisim_model::{Partition, PartitionItem, TableState};

impl Frontend {
    /// Brings the restored objects into the catalogue. Tables of a restore make no binlog record; drops do.
    pub(crate) async fn finish_restore(&self, mut job: RestoreJob) {
        let now = self.clock().now_ms();
        let plan = std::mem::take(&mut job.plan);
        let mut gone = Vec::new();
        let mut released: Vec<(i64, String)> = Vec::new();
        {
            let mut guard = self.lock();
            let state = &mut *guard;
            let db_id = job.head.db_id;
            job.state = State::Finished;
            job.head.finish_ms = now;
            state.journal();
            if !state.jobs.put_back(Job::Restore(Box::new(job.clone()))) {
                // Cancelled meanwhile; whoever cancelled it also removes what was made.
                return;
            }
            // Readers that saw the new partitions empty must not take them for what they are now.
            let seen = |partition: &mut Partition| partition.visible_version_time = now;
            for mut table in plan.tables {
                table.partitions.values_mut().for_each(seen);
                if let Some(db) = state.catalog.databases.get(&db_id)
                    && let Some(old) = db.table(&table.name).map(|t| t.id)
                    && old != table.id
                {
                    gone.extend(
                        remove_table(state, db_id, old, false, now)
                            .into_iter()
                            .flat_map(|t| t.partitions.into_values()),
                    );
                }
                if let Some(db) = state.catalog.databases.get_mut(&db_id) {
                    db.tables.insert(table.id, table);
                }
            }
            for (table_id, mut partition) in plan.partitions {
                seen(&mut partition);
                if let Some(table) = state.table_by_id_mut(db_id, table_id) {
                    table.partitions.insert(partition.id, partition);
                }
            }
            for (table_id, partition_id, version) in plan.versions {
                let Some(table) = state.table_by_id_mut(db_id, table_id) else {
                    continue;
                };
                let Some(partition) = table.partitions.get_mut(&partition_id) else {
                    continue;
                };
                partition.visible_version = version;
                partition.visible_version_time = now;
                partition.next_version = version + 1;
                partition
                    .tablets_mut()
                    .flat_map(|t| &mut t.replicas)
                    .for_each(|r| r.version = version);
            }
            for id in &plan.existing {
                if let Some(table) = state.table_by_id_mut(db_id, *id) {
                    table.state = TableState::Normal;
                    table
                        .properties
                        .insert("is_being_synced".to_owned(), "true".to_owned());
                }
            }
            if job.request.clean_partitions {
                gone.extend(clean_partitions(state, db_id, &job, now));
            }
            for mut view in plan.views {
                let old = state
                    .catalog
                    .databases
                    .get(&db_id)
                    .and_then(|d| d.view(&view.name))
                    .map(|v| v.id);
                // A view that is there stays; an atomic restore puts a new one in its place.
                if old.is_some() && !job.request.atomic_restore {
                    continue;
                }
                view.id = state.new_id();
                if let Some(db) = state.catalog.databases.get_mut(&db_id) {
                    old.map(|id| db.views.remove(&id));
                    db.views.insert(view.id, view);
                }
            }
            if job.cleans_tables() {
                clean_tables(state, db_id, &job, now);
            }
            released.extend(
                job.local_paths
                    .iter()
                    .map(|((_, backend), path)| (*backend, path.clone())),
            );
        }
        self.drop_tablets(gone.iter()).await;
        self.release(released).await;
    }
}

/// Drops partitions of restored tables that the snapshot does not have.
fn clean_partitions(state: &mut FeState, db_id: i64, job: &RestoreJob, now: i64) -> Vec<Partition> {
    let mut gone = Vec::new();
    for source in &job.meta.tables {
        let name = restore_plan::final_name(&job.request.table_refs, &source.name);
        let Some(table) = state
            .catalog
            .databases
            .get_mut(&db_id)
            .and_then(|d| d.table_mut(&name))
        else {
            continue;
        };
        let table_id = table.id;
        let extra: Vec<i64> = table
            .partitions
            .values()
            .filter(|p| {
                !p.is_temp
                    && !source
                        .partitions
                        .values()
                        .any(|s| restore_plan::same_partition(source, s, &p.name))
            })
            .filter(|p| p.item != PartitionItem::All)
            .map(|p| p.id)
            .collect();
        for id in extra {
            let removed = state
                .table_by_id_mut(db_id, table_id)
                .and_then(|t| t.partitions.remove(&id));
            if let Some(partition) = removed {
                let record = record::drop_partition(db_id, table_id, &partition, true, (0, 0), now);
                let seq = state.emit(record, now);
                state.streams.note_dropped(db_id, seq, &[id], &[], &[]);
                gone.push(partition);
            }
        }
    }
    gone
}

/// Drops tables and views whose (origin) name is not in the snapshot.
fn clean_tables(state: &mut FeState, db_id: i64, job: &RestoreJob, now: i64) {
    let kept = |name: &str| {
        job.meta.tables.iter().any(|t| t.name == name)
            || job.meta.views.iter().any(|v| v.name == name)
    };
    let Some(db) = state.catalog.databases.get(&db_id) else {
        return;
    };
    let tables: Vec<i64> = db
        .tables
        .values()
        .filter(|t| !kept(&t.name))
        .map(|t| t.id)
        .collect();
    let views: Vec<(i64, String)> = db
        .views
        .values()
        .filter(|v| !kept(&v.name))
        .map(|v| (v.id, v.name.clone()))
        .collect();
    for id in tables {
        let removed = remove_table(state, db_id, id, true, now);
        recycle_table(state, db_id, removed, now);
    }
    for (id, name) in views {
        if let Some(db) = state.catalog.databases.get_mut(&db_id) {
            db.views.remove(&id);
        }
        state.emit(record::drop_table(db_id, id, &name, true), now);
    }
}
