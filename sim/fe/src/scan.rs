//! Reading a table: rowsets of every tablet, projected to today's columns, merged by the key model.

use crate::api::{SqlError, TableScan};
use crate::frontend::Frontend;
use dorisim_model::backend::RowsetView;
use dorisim_model::merge::{compare_keys, merge};
use dorisim_model::{Column, DataType, DistributionKind, KeysModel, Row, TableSchema, Tablet};

/// A tablet to read: replicas that have the version, best first.
struct Source {
    tablet_id: i64,
    version: i64,
    backends: Vec<i64>,
}

/// How often a read is tried.
const READS: u32 = 3;

impl Frontend {
    /// Visible rows after merging. `partitions` empty: all normal ones. `hidden`: hidden columns too (deleted rows stay away).
    pub fn scan_table(
        &self,
        db: &str,
        table: &str,
        partitions: &[String],
        temp: bool,
        hidden: bool,
    ) -> Result<TableScan, SqlError> {
        let (schema, mut rows) = self.read_rows(db, table, partitions, temp)?;
        if schema.keys != KeysModel::Duplicate {
            let keys: Vec<&DataType> = schema.key_columns().map(|c| &c.data_type).collect();
            rows.sort_by(|a, b| compare_keys(a, b, &keys));
        }
        if hidden {
            return Ok(TableScan {
                columns: schema.columns,
                rows,
            });
        }
        // Hidden columns stand at the end.
        let visible = schema.visible().count();
        let last_visible = schema.columns.iter().take(visible).all(|c| c.visible);
        let columns: Vec<Column> = schema.visible().cloned().collect();
        for row in &mut rows {
            if last_visible {
                row.truncate(visible);
            } else {
                let mut cells = std::mem::take(row).into_iter();
                *row = schema
                    .columns
                    .iter()
                    .filter_map(|c| cells.next().filter(|_| c.visible))
                    .collect();
            }
        }
        Ok(TableScan { columns, rows })
    }

    /// Rows of all tablets. A schema change may exchange the tablets meanwhile: then it begins again.
    fn read_rows(
        &self,
        db: &str,
        table: &str,
        partitions: &[String],
        temp: bool,
    ) -> Result<(TableSchema, Vec<Row>), SqlError> {
        let mut left = READS;
        loop {
            left -= 1;
            let (schema, sources, spread) = self.sources(db, table, partitions, temp)?;
            let mut rows = Vec::new();
            let mut views = Vec::new();
            let read = sources.iter().try_for_each(|source| {
                let read = self.read_tablet(source)?;
                if spread {
                    views.extend(read);
                } else {
                    rows.extend(merge(&schema, &read));
                }
                Ok(())
            });
            if spread {
                rows = merge(&schema, &views);
            }
            match read {
                Ok(()) => return Ok((schema, rows)),
                Err(error) if left == 0 => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// Schema, tablets, and whether rows of one key can lie in several tablets: buckets of aggregate tables can be random.
    fn sources(
        &self,
        db: &str,
        table: &str,
        names: &[String],
        temp: bool,
    ) -> Result<(TableSchema, Vec<Source>, bool), SqlError> {
        let state = self.lock();
        let table = state.table(db, table)?;
        let mut partitions = Vec::new();
        if names.is_empty() {
            partitions.extend(table.partitions.values().filter(|p| p.is_temp == temp));
        }
        for name in names {
            partitions.push(table.partition(name, temp).ok_or_else(|| {
                SqlError::analysis(format!(
                    "partition: {name} is not exists on table {}",
                    table.name
                ))
            })?);
        }
        let base = table.base_index_id();
        let mut sources = Vec::new();
        for partition in partitions {
            for tablet in partition
                .indexes
                .iter()
                .filter(|i| i.id == base)
                .flat_map(|i| &i.tablets)
            {
                sources.push(Source {
                    tablet_id: tablet.id,
                    version: partition.visible_version,
                    backends: tablet
                        .replicas
                        .iter()
                        .filter(|r| r.version >= partition.visible_version && !r.bad)
                        .map(|r| r.backend_id)
                        .collect(),
                });
            }
        }
        let spread = table.schema.keys == KeysModel::Aggregate
            && table.distribution.kind == DistributionKind::Random;
        Ok((table.schema.clone(), sources, spread))
    }

    /// Rows of one tablet at a version, hidden columns too, merged by the key model.
    pub(crate) fn merged_rows(
        &self,
        schema: &TableSchema,
        tablet: &Tablet,
        version: i64,
    ) -> Result<Vec<Row>, SqlError> {
        let source = Source {
            tablet_id: tablet.id,
            version,
            backends: tablet
                .replicas
                .iter()
                .filter(|r| r.version >= version && !r.bad)
                .map(|r| r.backend_id)
                .collect(),
        };
        Ok(merge(schema, &self.read_tablet(&source)?))
    }

    fn read_tablet(&self, source: &Source) -> Result<Vec<RowsetView>, SqlError> {
        if source.version <= 1 {
            return Ok(Vec::new());
        }
        let mut reason = "no replica has the visible version".to_owned();
        for backend in source
            .backends
            .iter()
            .filter_map(|id| self.backend(*id))
            .filter(|b| b.alive())
        {
            match backend.rowsets(source.tablet_id, source.version) {
                Ok(views) => return Ok(views),
                Err(error) => reason = error.to_string(),
            }
        }
        Err(SqlError::analysis(format!(
            "tablet {} has no queryable replicas at version {}: {reason}",
            source.tablet_id, source.version
        )))
    }
}
