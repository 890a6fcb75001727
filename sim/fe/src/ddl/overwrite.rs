//! INSERT OVERWRITE: a load into temporary partitions, then their exchange.

use crate::api::{LoadError, LoadRequest, LoadResult, SqlError};
use crate::catalog::partitions::PartitionSpec;
use crate::frontend::Frontend;
use dorisim_model::catalog::Properties;

/// Temporary partitions of INSERT OVERWRITE are named so.
const TEMP_PREFIX: &str = "iot_temp_";

impl Frontend {
    /// Takes back what an INSERT OVERWRITE had made when its process ended, as Doris does with tasks that it finds at a start.
    pub(crate) async fn roll_back_overwrites(&self) {
        let left: Vec<(String, String, String)> = self.with_catalog(|catalog| {
            let tables = catalog.databases.values();
            let tables = tables.flat_map(|db| db.tables.values().map(|table| (&db.name, table)));
            tables
                .flat_map(|(db, table)| table.partitions.values().map(move |p| (db, table, p)))
                .filter(|(_, _, p)| p.is_temp && p.name.starts_with(TEMP_PREFIX))
                .map(|(db, table, p)| (db.clone(), table.name.clone(), p.name.clone()))
                .collect()
        });
        for (db, table, temp) in left {
            let _one_at_a_time = self.ddl.lock().await;
            let dropped = self
                .drop_partition(&db, &table, true, &temp, true, true)
                .await;
            if let Err(error) = dropped {
                tracing::warn!(db, table, partition = temp, %error, "a left-over of INSERT OVERWRITE stays");
            }
        }
    }

    /// INSERT OVERWRITE: loads into temporary partitions and replaces. `partitions` empty: the whole table.
    pub async fn insert_overwrite(
        &self,
        mut request: LoadRequest,
    ) -> Result<LoadResult, LoadError> {
        let (names, temps) = {
            let mut state = self.lock();
            let table = state.table(&request.db, &request.table)?;
            let names: Vec<String> = match request.partitions.is_empty() {
                true => table
                    .partitions
                    .values()
                    .filter(|p| !p.is_temp)
                    .map(|p| p.name.clone())
                    .collect(),
                false => request.partitions.clone(),
            };
            let turn = state.new_id();
            let temps: Vec<String> = names
                .iter()
                .map(|n| format!("{TEMP_PREFIX}{n}_{turn}"))
                .collect();
            (names, temps)
        };
        if names.is_empty() {
            // Automatic partitions only, and none yet: there is nothing to overwrite.
            return self.load(request).await;
        }
        for (name, temp) in names.iter().zip(&temps) {
            self.add_temp_like(&request.db, &request.table, name, temp)
                .await?;
        }
        request.partitions.clone_from(&temps);
        request.temp_partitions = true;
        let (db, table) = (request.db.clone(), request.table.clone());
        let loaded = self.load(request).await;
        let _one_at_a_time = self.ddl.lock().await;
        match loaded {
            Ok(result) => {
                self.replace_partitions(&db, &table, names, temps, true, &Properties::new())
                    .await?;
                Ok(result)
            }
            Err(error) => {
                for temp in &temps {
                    self.drop_partition(&db, &table, true, temp, true, true)
                        .await?;
                }
                Err(error)
            }
        }
    }

    async fn add_temp_like(
        &self,
        db: &str,
        table: &str,
        name: &str,
        temp: &str,
    ) -> Result<(), SqlError> {
        let _one_at_a_time = self.ddl.lock().await;
        let (shape, partition) = {
            let mut guard = self.lock();
            let state = &mut *guard;
            let model = state
                .table(db, table)?
                .partition(name, false)
                .cloned()
                .ok_or_else(|| {
                    SqlError::analysis(format!("partition {name} is not found in table {table}"))
                })?;
            let spec = PartitionSpec {
                name: temp.to_owned(),
                item: model.item,
                temp: true,
                distribution: model.distribution,
                replicas: model.replication_num,
                medium: model.storage_medium,
            };
            self.build_in(state, db, table, spec)?
        };
        self.attach(db, &shape, vec![partition]).await
    }
}
