//! BACKUP SNAPSHOT that stays on the backends, and the snapshot that it leaves.

use std::collections::BTreeMap;

use ccr_doris::Snapshot;
use ccr_doris::error::Refusal;
use ccr_schemas::{CommitSeq, TimestampMs};
use serde_json::{Map, Value, json};

use super::cluster::{Cluster, Due, Refused};
use super::jobs::{BackupJob, Content, Phase};
use super::records;

/// How long a snapshot can be had.
const LIFE_MS: i64 = 24 * 3600 * 1000;
/// Jobs that a database remembers.
const REMEMBERED: usize = 10;

impl Cluster {
    /// Refuses when the database has a backup or restore job already.
    pub(super) fn one_job(&self, database: &str, label: &str) -> Result<(), Refused> {
        if let Some(running) = self.database(database)?.running_job() {
            return Err(Refused::new(
                Refusal::BackupBusy,
                format!(
                    "Can only run one backup or restore job of a database at same time , current running: label = {running}, to run label = {label}"
                ),
            ));
        }
        Ok(())
    }

    pub(super) fn start_backup(
        &mut self,
        database: &str,
        label: &str,
        objects: &[String],
        now: i64,
    ) -> Result<(), Refused> {
        self.one_job(database, label)?;
        let refuses_temp = self.policy.refuses_temp_backup;
        let found = self.database(database)?;
        for name in objects {
            if !found.has(name) {
                return Err(Refused::no_table(name));
            }
        }
        let wanted = |name: &String| objects.is_empty() || objects.contains(name);
        let with_temp = found
            .tables
            .values()
            .find(|table| wanted(&table.name) && table.partitions.values().any(|p| p.temp));
        if let Some(table) = with_temp.filter(|_| refuses_temp) {
            return Err(Refused::other(format!(
                "Do not support backup table {} with temp partitions",
                table.name
            )));
        }
        let id = self.new_id();
        let job = BackupJob {
            id,
            label: label.to_owned(),
            objects: objects.to_vec(),
            state: Phase::Pending,
            created_ms: now,
            content: Content::default(),
            table_seqs: BTreeMap::new(),
            seq: 0,
        };
        let found = self.database_mut(database)?;
        found.backups.push(job);
        if found.backups.len() > REMEMBERED {
            found.backups.remove(0);
        }
        self.next_tick(now, Due::Backup(database.to_owned(), id));
        Ok(())
    }

    pub(super) fn next_tick(&mut self, now: i64, due: Due) {
        let tick = self.policy.tick_ms;
        let jitter = self.rng.within(0, tick / 2);
        self.due_at(now + tick + jitter, due);
    }

    pub(super) fn step_backup(&mut self, database: &str, id: i64, now: i64) {
        let Some(found) = self.databases.get(database) else {
            return;
        };
        let Some(job) = found.backups.iter().find(|job| job.id == id) else {
            return;
        };
        let mut job = job.clone();
        match job.state {
            Phase::Pending => self.capture(database, &mut job, now),
            Phase::Snapshoting => {
                // The files are linked now: what lost its tablets meanwhile can not be had.
                let gone = job.content.tables.iter().find(|table| {
                    let there = self.databases.get(database).is_some_and(|found| {
                        found.tables.contains_key(&table.id)
                            || found.binned_tables.contains_key(&table.id)
                    });
                    !there
                });
                job.state = match gone {
                    Some(table) => Phase::Cancelled(format!(
                        "make snapshot failed, table {} is gone",
                        table.name
                    )),
                    None => Phase::Finished,
                };
            }
            Phase::Downloading | Phase::Committing | Phase::Finished | Phase::Cancelled(_) => {
                return;
            }
        }
        let ended = job.state.ended();
        if let Some(found) = self.databases.get_mut(database)
            && let Some(slot) = found.backups.iter_mut().find(|known| known.id == id)
        {
            *slot = job;
        }
        if !ended {
            self.next_tick(now, Due::Backup(database.to_owned(), id));
        }
    }

    /// Takes positions and content in one moment; a barrier per table tells the stream.
    fn capture(&mut self, database: &str, job: &mut BackupJob, now: i64) {
        let Some(found) = self.databases.get(database) else {
            return;
        };
        let db = found.id;
        let mut tables = Vec::new();
        let mut views = Vec::new();
        for name in found.names() {
            if !job.objects.is_empty() && !job.objects.contains(&name) {
                continue;
            }
            tables.extend(found.table_named(&name).cloned());
            views.extend(found.view_named(&name).cloned());
        }
        if let Some(missing) = job.objects.iter().find(|name| !found.has(name)) {
            job.state = Phase::Cancelled(format!("table {missing} does not exist"));
            return;
        }
        for table in &mut tables {
            let data = records::barrier(db, database, table);
            let seq = self.journal();
            job.table_seqs.insert(table.id, seq);
            self.emit_at(database, seq, 10, vec![table.id], &data, now);
            // Only what is visible: not the index of a running job, no temporary partition.
            table.partitions.retain(|_, partition| !partition.temp);
            let shadows: Vec<i64> = table
                .indexes
                .iter()
                .filter(|index| index.shadow)
                .map(|index| index.id)
                .collect();
            table.indexes.retain(|index| !index.shadow);
            for partition in table.partitions.values_mut() {
                partition.next = partition.visible + 1;
                partition
                    .tablets
                    .retain(|index, _| !shadows.contains(index));
            }
            table.state = super::catalog::TableState::Normal;
        }
        job.seq = self.journal();
        job.content = Content { tables, views };
        job.state = Phase::Snapshoting;
    }

    /// getSnapshot.
    pub fn snapshot(&self, label: &str, now: i64) -> Option<Snapshot> {
        let (database, job) = self.databases.values().find_map(|database| {
            let job = database.backups.iter().rfind(|job| job.label == label)?;
            Some((database, job))
        })?;
        let expires = job.created_ms + LIFE_MS;
        if job.state != Phase::Finished || expires < now {
            return None;
        }
        let mut objects = Map::new();
        let mut holders = Map::new();
        let mut paths = Map::new();
        for table in &job.content.tables {
            let mut partitions = Map::new();
            for partition in table.partitions.values() {
                let mut indexes = Map::new();
                for index in &table.indexes {
                    let tablets = partition.tablets.get(&index.id);
                    let order: Vec<i64> = tablets.into_iter().flatten().map(|t| t.id).collect();
                    indexes.insert(
                        index.name.clone(),
                        json!({"id": index.id, "schema_hash": 1, "tablets": {}, "tablets_order": order}),
                    );
                }
                for tablet in partition.all_tablets() {
                    let holder = tablet
                        .replicas
                        .iter()
                        .find(|replica| replica.version >= partition.visible)
                        .or(tablet.replicas.first());
                    let backend = holder.map_or(0, |replica| replica.backend);
                    holders.insert(tablet.id.to_string(), backend.into());
                    paths.insert(tablet.id.to_string(), format!("/snapshot/{label}").into());
                }
                partitions.insert(
                    partition.name.clone(),
                    json!({"id": partition.id, "version": partition.visible, "indexes": indexes}),
                );
            }
            objects.insert(
                table.name.clone(),
                json!({"id": table.id, "partitions": partitions}),
            );
        }
        let views: Vec<Value> = job
            .content
            .views
            .iter()
            .map(|view| json!({"id": view.id, "name": view.name}))
            .collect();
        let seqs: Map<String, Value> = job
            .table_seqs
            .iter()
            .map(|(table, seq)| (table.to_string(), (*seq).into()))
            .collect();
        let info = json!({
            "name": label, "database": database.name, "id": database.id, "backup_time": job.created_ms, "content": "ALL",
            "backup_objects": objects, "new_backup_objects": {"views": views, "odbc_tables": [], "odbc_resources": []},
            "backup_result": "succeed", "meta_version": 140, "major_version": 3, "minor_version": 1, "patch_version": 0,
            "is_force_replication_allocation": false, "tablet_be_map": holders, "tablet_snapshot_path_map": paths,
            "table_commit_seq_map": seqs, "tblalias": {},
        });
        Some(Snapshot {
            job_info: info.to_string().into_bytes(),
            meta: serde_json::to_vec(&job.content).unwrap_or_default(),
            compressed: false,
            expires_at: Some(TimestampMs(expires)),
            commit_seq: Some(CommitSeq(job.seq)),
        })
    }

    /// The files of a snapshot are still on the backends.
    pub(super) fn has_snapshot(&self, label: &str) -> bool {
        self.databases.values().any(|database| {
            database
                .backups
                .iter()
                .any(|job| job.label == label && job.state == Phase::Finished)
        })
    }
}
