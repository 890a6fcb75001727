//! restoreSnapshot: new tables, tables over existing ones, tables under another name, and what goes wrong with them.

use std::collections::BTreeMap;

use ccr_doris::RestoreSnapshot;
use ccr_doris::error::Refusal;
use serde_json::Value;

use super::catalog::{Table, TableState};
use super::cluster::{Cluster, Due, Refused};
use super::jobs::{Content, Phase, RestoreJob, RestoringTable};

/// Jobs that a database remembers.
const REMEMBERED: usize = 10;
/// Downloads that fail before a job is given up.
const MAX_DOWNLOADS: u32 = 3;

impl Cluster {
    /// restoreSnapshot: the job is accepted, the rest shows in SHOW RESTORE.
    pub fn restore_snapshot(&mut self, request: &RestoreSnapshot, now: i64) -> Result<(), Refused> {
        self.one_job(&request.database, &request.label)?;
        let info: Value = serde_json::from_slice(&request.job_info).map_err(|error| {
            Refused::other(format!("deserialize meta and job info failed: {error}"))
        })?;
        if info["extra_info"]["be_network_map"].as_object().is_none() {
            return Err(Refused::other("Invalid job extra info be network map"));
        }
        for (name, _) in &request.tables {
            let known = info["backup_objects"].get(name).is_some()
                || info["new_backup_objects"]["views"]
                    .as_array()
                    .is_some_and(|views| views.iter().any(|view| view["name"] == **name));
            if !known {
                return Err(Refused::new(
                    Refusal::UnknownTable,
                    format!("Table {name} does not exist in snapshot"),
                ));
            }
        }
        let id = self.new_id();
        let found = self.database_mut(&request.database)?;
        found.restores.push(RestoreJob {
            id,
            label: request.label.clone(),
            request: request.clone(),
            state: Phase::Pending,
            tables: Vec::new(),
            failures: 0,
        });
        if found.restores.len() > REMEMBERED {
            found.restores.remove(0);
        }
        self.next_tick(now, Due::Restore(request.database.clone(), id));
        Ok(())
    }

    pub(super) fn step_restore(
        &mut self,
        database: &str,
        id: i64,
        now: i64,
        peers: &BTreeMap<String, Cluster>,
    ) {
        let job = self
            .databases
            .get(database)
            .and_then(|found| found.restores.iter().find(|job| job.id == id));
        let Some(mut job) = job.cloned() else {
            return;
        };
        let next = match job.state {
            Phase::Pending => self.prepare(database, &mut job),
            Phase::Snapshoting => Ok(Phase::Downloading),
            Phase::Downloading => match self.download(&job, peers) {
                Ok(()) => Ok(Phase::Committing),
                Err(_) if job.failures < MAX_DOWNLOADS => {
                    job.failures += 1;
                    Ok(Phase::Downloading)
                }
                Err(why) => Err(why),
            },
            Phase::Committing => {
                self.finish_restore(database, &job, now);
                Ok(Phase::Finished)
            }
            Phase::Finished | Phase::Cancelled(_) => return,
        };
        job.state = next.unwrap_or_else(|why| {
            self.reach("a restore is cancelled");
            self.undo_restore(database, &job);
            Phase::Cancelled(why)
        });
        let ended = job.state.ended();
        if let Some(found) = self.databases.get_mut(database)
            && let Some(slot) = found.restores.iter_mut().find(|known| known.id == id)
        {
            *slot = job;
        }
        if !ended {
            self.next_tick(now, Due::Restore(database.to_owned(), id));
        }
    }

    /// CANCEL RESTORE.
    pub(super) fn cancel_restore(&mut self, database: &str) -> Result<(), Refused> {
        let found = self.database_mut(database)?;
        let running = found.restores.iter_mut().find(|job| !job.state.ended());
        let Some(slot) = running else {
            return Err(Refused::other("No restore is currently running"));
        };
        let job = slot.clone();
        let why = format!("user cancelled, current state: {}", job.state.name());
        slot.state = Phase::Cancelled(why);
        self.reach("a restore is cancelled by a statement");
        self.undo_restore(database, &job);
        Ok(())
    }

    /// Checks what is there, and makes the tables.
    fn prepare(&mut self, database: &str, job: &mut RestoreJob) -> Result<Phase, String> {
        let content: Content = serde_json::from_slice(&job.request.meta)
            .map_err(|error| format!("deserialize meta failed: {error}"))?;
        let selected = |name: &str| -> Option<String> {
            if job.request.tables.is_empty() {
                return Some(name.to_owned());
            }
            let (_, alias) = job
                .request
                .tables
                .iter()
                .find(|(wanted, _)| wanted == name)?;
            Some(alias.clone().unwrap_or_else(|| name.to_owned()))
        };
        let fixed = job
            .request
            .properties
            .get("replication_num")
            .and_then(|text| text.parse::<usize>().ok());
        let force = job.request.atomic && job.request.force_replace;
        let mut made = Vec::new();
        for table in &content.tables {
            let Some(name) = selected(&table.name) else {
                continue;
            };
            let replicas = fixed.unwrap_or(table.replicas);
            if replicas > self.alive_backends() {
                return Err(format!(
                    "Failed to find enough backend, please check the replication num, replication tag and storage medium and \
                     avail capacity of backends. Create failed replications: replication num: {replicas}"
                ));
            }
            let aliased = name != table.name;
            let found = self.database(database).map_err(|error| error.text)?;
            if found.view_named(&name).is_some() {
                return Err(format!(
                    "The type of local table should be same as type of remote table: {name}"
                ));
            }
            if let Some(local) = found.table_named(&name) {
                if local.state != TableState::Normal {
                    return Err(format!("Table {name}'s state is not NORMAL"));
                }
                if aliased || (!force && local.signature() != table.signature()) {
                    return Err(format!(
                        "Table {name} already exist but with different schema"
                    ));
                }
            }
            let over_existing = found.table_id(&name);
            let fresh = self.copy_of(table, &name, replicas);
            made.push((fresh, name, over_existing));
        }
        for view in &content.views {
            let Some(name) = selected(&view.name) else {
                continue;
            };
            let found = self.database(database).map_err(|error| error.text)?;
            if found.table_named(&name).is_some() {
                return Err(format!(
                    "The type of local table should be same as type of remote table: {name}"
                ));
            }
            if let Some(local) = found.view_named(&name)
                && !force
                && local.select != super::print::requalified(&view.select, database)
            {
                return Err(format!(
                    "View {name} already exist but with different schema"
                ));
            }
        }
        for (mut table, name, over_existing) in made {
            let atomic = over_existing.is_some();
            if !atomic {
                table.state = TableState::Restoring(job.id);
                let mut shown = table.clone();
                for tablet in shown
                    .partitions
                    .values_mut()
                    .flat_map(|p| p.tablets.values_mut())
                    .flatten()
                {
                    tablet.rowsets.clear();
                }
                let found = self.database_mut(database).map_err(|error| error.text)?;
                found.tables.insert(table.id, shown);
            } else if !job.request.atomic
                && let Some(id) = over_existing
            {
                let local = self.table_mut(database, id).map_err(|error| error.text)?;
                local.state = TableState::Restoring(job.id);
            }
            job.tables.push(RestoringTable {
                table,
                name,
                atomic,
            });
        }
        Ok(Phase::Snapshoting)
    }

    /// The table of a snapshot with ids of this cluster, its content and versions as they were.
    fn copy_of(&mut self, table: &Table, name: &str, replicas: usize) -> Table {
        let mut copy = table.clone();
        copy.id = self.new_id();
        copy.replicas = replicas;
        copy.partitions.clear();
        copy.indexes.clear();
        let mut ids = BTreeMap::new();
        for index in &table.indexes {
            let mut fresh = index.clone();
            fresh.id = self.new_id();
            ids.insert(index.id, fresh.id);
            copy.indexes.push(fresh);
        }
        copy.base = ids.get(&table.base).copied().unwrap_or(copy.id);
        for partition in table.partitions.values() {
            let mut fresh = partition.clone();
            fresh.id = self.new_id();
            fresh.tablets.clear();
            for (index, tablets) in &partition.tablets {
                let Some(id) = ids.get(index) else {
                    continue;
                };
                let mut new = self.make_tablets(tablets.len(), replicas, partition.visible);
                for (new, old) in new.iter_mut().zip(tablets) {
                    new.rowsets.clone_from(&old.rowsets);
                }
                fresh.tablets.insert(*id, new);
            }
            copy.partitions.insert(fresh.id, fresh);
        }
        copy.rename(name);
        copy
    }

    /// Every backend fetches its files from the addresses of the job info, with the token of the job info.
    fn download(&self, job: &RestoreJob, peers: &BTreeMap<String, Cluster>) -> Result<(), String> {
        if job.tables.is_empty() {
            return Ok(());
        }
        let info: Value = serde_json::from_slice(&job.request.job_info)
            .map_err(|error| format!("job info: {error}"))?;
        let label = info["name"].as_str().unwrap_or_default();
        let map = &info["extra_info"]["be_network_map"];
        let holders = info["tablet_be_map"].as_object();
        let mut needed: Vec<&Value> = holders.into_iter().flat_map(|map| map.values()).collect();
        needed.sort_by_key(|id| id.as_i64());
        needed.dedup();
        for id in needed {
            let id = id.as_i64().unwrap_or_default();
            let entry = &map[id.to_string()];
            let host = entry["ip"]
                .as_str()
                .ok_or_else(|| format!("failed to get remote address of be: {id}"))?;
            let port = entry["port"]
                .as_u64()
                .and_then(|port| u16::try_from(port).ok());
            let source = peers.values().find(|peer| {
                peer.backend_at(host, port.unwrap_or(0))
                    .is_some_and(|node| node.alive)
            });
            let source =
                source.ok_or_else(|| format!("download failed: {host} does not answer"))?;
            if info["extra_info"]["token"] != *source.token {
                return Err("download failed: invalid token".to_owned());
            }
            if !source.has_snapshot(label) {
                return Err(format!("download failed: snapshot {label} is not there"));
            }
        }
        Ok(())
    }

    fn finish_restore(&mut self, database: &str, job: &RestoreJob, now: i64) {
        for restoring in &job.tables {
            let mut table = restoring.table.clone();
            table.state = TableState::Normal;
            let Ok(found) = self.database(database) else {
                return;
            };
            if restoring.atomic
                && let Some(old) = found.table_id(&restoring.name)
            {
                if job.request.atomic {
                    let _ = self.remove_table(database, old, true, now);
                } else {
                    // In place: the table keeps its id.
                    let _ = self.remove_table(database, old, true, now);
                    table.id = old;
                }
            }
            if let Ok(found) = self.database_mut(database) {
                found.tables.insert(table.id, table);
            }
        }
        let content: Content = serde_json::from_slice(&job.request.meta).unwrap_or_default();
        for view in &content.views {
            let wanted = job.request.tables.is_empty()
                || job
                    .request
                    .tables
                    .iter()
                    .any(|(name, _)| *name == view.name);
            if !wanted {
                continue;
            }
            let id = self.new_id();
            let Ok(found) = self.database_mut(database) else {
                return;
            };
            found.views.retain(|_, known| known.name != view.name);
            let mut fresh = view.clone();
            fresh.id = id;
            fresh.select = super::print::requalified(&view.select, database);
            found.views.insert(id, fresh);
        }
        if job.request.clean_tables {
            let kept: Vec<String> = content
                .tables
                .iter()
                .map(|table| table.name.clone())
                .chain(content.views.iter().map(|view| view.name.clone()))
                .collect();
            let Ok(found) = self.database_mut(database) else {
                return;
            };
            found.views.retain(|_, view| kept.contains(&view.name));
            let gone: Vec<i64> = found
                .tables
                .values()
                .filter(|table| !kept.contains(&table.name))
                .map(|table| table.id)
                .collect();
            for id in gone {
                let _ = self.remove_table(database, id, true, now);
            }
        }
    }

    fn undo_restore(&mut self, database: &str, job: &RestoreJob) {
        let Ok(found) = self.database_mut(database) else {
            return;
        };
        for restoring in &job.tables {
            if !restoring.atomic {
                found.tables.remove(&restoring.table.id);
            }
        }
        for table in found.tables.values_mut() {
            if table.state == TableState::Restoring(job.id) {
                table.state = TableState::Normal;
            }
        }
    }
}
