//! Loads: rows become rowsets on every replica of every touched tablet, in one transaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::{
    DeleteWhere, LoadError, LoadRequest, LoadResult, LoadState, SqlError, SubTxn, TxnStatus,
};
use crate::frontend::Frontend;
use crate::load::route::{self, FullRows, Router};
use dorisim_model::backend::{DeleteCondition, DeletePredicate};
use dorisim_model::projection::Misfit;
use dorisim_model::{
    Distribution, KeysModel, OlapTable, Partition, PartitionKind, Row, TableSchema,
};

/// What a load needs to know of its table, noted under the lock.
pub(crate) struct Target {
    pub(crate) db_id: i64,
    pub(crate) table_id: i64,
    pub(crate) schema: TableSchema,
    pub(crate) kind: PartitionKind,
    pub(crate) auto: Option<String>,
    pub(crate) positions: Vec<usize>,
    pub(crate) router: Router,
}

/// Replicas of one tablet: (tablet, backends).
type TabletHome = (i64, Vec<i64>);

/// A partition as a writer sees it.
struct Place {
    distribution: Distribution,
    indexes: Vec<IndexPlace>,
}

/// An index of a partition as a writer sees it.
struct IndexPlace {
    /// Its columns, where they are not those of the load.
    schema: Option<Arc<TableSchema>>,
    /// Condition of a materialized view.
    filter: Option<String>,
    /// In bucket order.
    tablets: Vec<TabletHome>,
}

impl Frontend {
    /// Loads rows in one transaction.
    pub async fn load(&self, request: LoadRequest) -> Result<LoadResult, LoadError> {
        let mut target = self.target(&request)?;
        let rows = if request.partial_update {
            self.complete_rows(&request)?
        } else {
            request.rows.clone()
        };
        let total = rows.len() as u64 + request.refused_before;
        let columns = partial_columns(&request, &target.schema);
        let next = self.reserve_auto_inc(&target, rows.len());
        let (mut full, next) = route::full_rows(
            &target.schema,
            &columns,
            rows,
            request.delete,
            self.clock(),
            next,
        )?;
        self.note_auto_inc(&target, next);
        if target.auto.is_some() {
            self.make_auto_partitions(&request, &target, &full.rows)
                .await?;
            target = self.target(&request)?;
        }
        let by_partition = split(&target, &mut full);
        let (txn_id, write_id, label) = self.begin_load(&request, &target)?;
        let refused = full.filtered + request.refused_before;
        let too_many = total > 0 && (refused as f64) > (total as f64) * request.max_filter_ratio;
        if too_many {
            self.give_up(&request, txn_id, "too many filtered rows")
                .await;
            return Err(LoadError::TooManyFiltered {
                total,
                filtered: full.filtered,
                errors: full.errors,
                txn_id,
            });
        }
        let loaded = by_partition.values().map(|rows| rows.len() as u64).sum();
        let commit_infos = match self.write(&target, write_id, by_partition, None) {
            Ok(infos) => infos,
            Err(error) => {
                self.give_up(&request, txn_id, &error.text).await;
                return Err(error.into());
            }
        };
        let result = |state| LoadResult {
            txn_id,
            label,
            loaded,
            filtered: full.filtered,
            errors: full.errors,
            state,
        };
        let sub = SubTxn {
            id: write_id,
            table_id: target.table_id,
            commit_infos,
        };
        if request.explicit_txn.is_some() || request.two_phase {
            let mut state = self.lock();
            if let Some(txn) = state.txns.get_mut(txn_id) {
                if request.two_phase {
                    txn.status = TxnStatus::Precommitted;
                }
                txn.pending.push(sub);
                txn.pending_rows += loaded;
            }
            return Ok(result(LoadState::Precommitted));
        }
        let state = self
            .commit_load(target.db_id, txn_id, sub.commit_infos, None)
            .await?;
        Ok(result(state))
    }

    /// DELETE on duplicate and aggregate tables by conditions. Unique tables: load the rows with `delete` set instead.
    pub async fn delete(
        &self,
        db: &str,
        table: &str,
        partitions: &[String],
        conditions: &[DeleteWhere],
        label: Option<String>,
    ) -> Result<LoadResult, LoadError> {
        let mut request = LoadRequest::insert(db, table, Vec::new(), Vec::new());
        request.partitions = partitions.to_vec();
        request.label = label;
        let target = self.target(&request)?;
        let predicate = predicate(&target.schema, conditions)?;
        let ids: Vec<i64> = {
            let state = self.lock();
            let table = state.table(db, table)?;
            table
                .partitions
                .values()
                .filter(|p| {
                    !p.is_temp
                        && (partitions.is_empty()
                            || partitions.iter().any(|n| n.eq_ignore_ascii_case(&p.name)))
                })
                .map(|p| p.id)
                .collect()
        };
        let (txn_id, write_id, label) = self.begin_load(&request, &target)?;
        let by_partition = ids.into_iter().map(|id| (id, Vec::new())).collect();
        let commit_infos = match self.write(&target, write_id, by_partition, Some(&predicate)) {
            Ok(infos) => infos,
            Err(error) => {
                self.give_up(&request, txn_id, &error.text).await;
                return Err(error.into());
            }
        };
        let state = self
            .commit_load(target.db_id, txn_id, commit_infos, None)
            .await?;
        Ok(LoadResult {
            txn_id,
            label,
            loaded: 0,
            filtered: 0,
            errors: Vec::new(),
            state,
        })
    }

    fn target(&self, request: &LoadRequest) -> Result<Target, SqlError> {
        let state = self.lock();
        let db_id = state.db(&request.db)?.id;
        let table = state.table(&request.db, &request.table)?;
        for name in &request.partitions {
            if table.partition(name, request.temp_partitions).is_none() {
                return Err(SqlError::analysis(format!(
                    "partition {name} is not found in table {}",
                    table.name
                )));
            }
        }
        let items = table
            .partitions
            .values()
            .filter(|p| p.is_temp == request.temp_partitions)
            .filter(|p| {
                request.partitions.is_empty()
                    || request
                        .partitions
                        .iter()
                        .any(|n| n.eq_ignore_ascii_case(&p.name))
            })
            .map(|p| (p.id, p.item.clone()))
            .collect();
        Ok(Target {
            db_id,
            table_id: table.id,
            schema: table.schema.clone(),
            kind: table.partition_kind.clone(),
            auto: table
                .auto_partition
                .clone()
                .filter(|_| request.partitions.is_empty()),
            positions: table.partition_positions(),
            router: Router::new(&table.partition_kind, table.partition_types(), items),
        })
    }

    fn reserve_auto_inc(&self, target: &Target, rows: usize) -> i64 {
        if !target.schema.columns.iter().any(|c| c.auto_inc.is_some()) {
            return 0;
        }
        let mut state = self.lock();
        let Some(table) = state.table_by_id_mut(target.db_id, target.table_id) else {
            return 0;
        };
        let first = table.auto_inc_next;
        table.auto_inc_next += i64::try_from(rows).unwrap_or(0);
        first
    }

    fn note_auto_inc(&self, target: &Target, next: i64) {
        if next > 0
            && let Some(table) = self.lock().table_by_id_mut(target.db_id, target.table_id)
        {
            table.auto_inc_next = table.auto_inc_next.max(next);
        }
    }

    /// Partial update: rows of keys that exist take their other columns from the present row.
    fn complete_rows(&self, request: &LoadRequest) -> Result<Vec<Row>, LoadError> {
        let scan = self.scan_table(&request.db, &request.table, &[], false, false)?;
        let keys: Vec<usize> = (0..scan.columns.len())
            .filter(|i| scan.columns[*i].is_key)
            .collect();
        let place = |name: &str| {
            request
                .columns
                .iter()
                .position(|c| c.eq_ignore_ascii_case(name))
        };
        let present: std::collections::HashMap<Vec<_>, &Row> = scan
            .rows
            .iter()
            .map(|row| (keys.iter().map(|i| row[*i].clone()).collect(), row))
            .collect();
        let mut out = Vec::with_capacity(request.rows.len());
        for row in &request.rows {
            let mut key = Vec::new();
            for i in &keys {
                let given = place(&scan.columns[*i].name)
                    .and_then(|p| row.get(p).cloned())
                    .ok_or_else(|| {
                        SqlError::analysis("Partial update should include all key columns")
                    })?;
                key.push(
                    scan.columns[*i]
                        .data_type
                        .parse_cell(given.as_deref())
                        .map_err(SqlError::analysis)?,
                );
            }
            let old = present.get(&key);
            out.push(
                scan.columns
                    .iter()
                    .enumerate()
                    .map(|(i, column)| match place(&column.name) {
                        Some(p) => row.get(p).cloned().flatten(),
                        None => match (old, &column.default) {
                            (Some(old), _) => old[i].clone(),
                            (None, Some(dorisim_model::DefaultValue::Constant(text))) => {
                                text.clone()
                            }
                            (None, _) => None,
                        },
                    })
                    .collect(),
            );
        }
        Ok(out)
    }

    async fn make_auto_partitions(
        &self,
        request: &LoadRequest,
        target: &Target,
        rows: &[Row],
    ) -> Result<(), SqlError> {
        let types: Vec<_> = target
            .positions
            .iter()
            .map(|i| target.schema.columns[*i].data_type.clone())
            .collect();
        let mut wanted = BTreeMap::new();
        for row in rows {
            let key: Row = target.positions.iter().map(|i| row[*i].clone()).collect();
            if target.router.find(&key).is_none()
                && let Some((name, item)) = target
                    .auto
                    .as_deref()
                    .and_then(|e| route::auto_partition(&target.kind, e, &types, &key))
            {
                wanted.insert(name, item);
            }
        }
        for (name, item) in wanted {
            self.add_auto_partition(&request.db, &request.table, &name, item)
                .await?;
        }
        Ok(())
    }

    /// Writes one rowset per tablet of every touched partition, empty ones too; returns the successful replicas.
    fn write(
        &self,
        target: &Target,
        txn_id: i64,
        by_partition: BTreeMap<i64, Vec<Row>>,
        delete: Option<&DeletePredicate>,
    ) -> Result<Vec<(i64, i64)>, SqlError> {
        let places: BTreeMap<i64, Place> = {
            let mut state = self.lock();
            let table = state
                .table_by_id_mut(target.db_id, target.table_id)
                .ok_or_else(|| {
                    SqlError::analysis(format!("table not found, tableId={}", target.table_id))
                })?;
            by_partition
                .keys()
                .filter_map(|id| {
                    table
                        .partitions
                        .get(id)
                        .map(|p| (*id, place(table, p, &target.schema)))
                })
                .collect()
        };
        let schema = Arc::new(target.schema.clone());
        let mut infos = Vec::new();
        let mut failure = None;
        for (partition_id, rows) in by_partition {
            let Some(place) = places.get(&partition_id) else {
                return Err(SqlError::analysis(format!(
                    "partition {partition_id} was dropped during the load"
                )));
            };
            let mut buckets: Vec<Vec<Row>> = vec![Vec::new(); place.distribution.buckets as usize];
            for (turn, row) in (txn_id.unsigned_abs()..).zip(rows) {
                let at = route::bucket(&place.distribution, &schema, &row, turn);
                buckets[at].push(row);
            }
            let buckets: Vec<Arc<Vec<Row>>> = buckets.into_iter().map(Arc::new).collect();
            for IndexPlace {
                schema: other,
                filter,
                tablets,
            } in &place.indexes
            {
                let projected = match other {
                    None => buckets.clone(),
                    Some(to) => buckets
                        .iter()
                        .map(|rows| {
                            let filter = filter.as_deref();
                            self.materialize(&schema, to, filter, rows, Misfit::Null)
                                .map(Arc::new)
                        })
                        .collect::<Result<_, _>>()
                        .map_err(SqlError::analysis)?,
                };
                let schema = other.as_ref().unwrap_or(&schema);
                for ((tablet, backends), rows) in tablets.iter().zip(&projected) {
                    for id in backends {
                        let Some(backend) = self.backend(*id) else {
                            continue;
                        };
                        match backend.write_rowset(
                            txn_id,
                            partition_id,
                            *tablet,
                            Arc::clone(schema),
                            Arc::clone(rows),
                            delete.cloned(),
                        ) {
                            Ok(()) => infos.push((*tablet, *id)),
                            Err(error) => failure = Some(error),
                        }
                    }
                }
            }
        }
        if infos.is_empty()
            && let Some(error) = failure
        {
            return Err(SqlError::analysis(error.to_string()));
        }
        Ok(infos)
    }
}

fn place(table: &OlapTable, partition: &Partition, loaded: &TableSchema) -> Place {
    Place {
        distribution: partition.distribution.clone(),
        indexes: partition
            .indexes
            .iter()
            .map(|i| {
                let tablets = i
                    .tablets
                    .iter()
                    .map(|t| (t.id, t.replicas.iter().map(|r| r.backend_id).collect()))
                    .collect();
                let schema = table.index_schema(i.id);
                let meta = table.indexes.iter().find(|m| m.id == i.id);
                IndexPlace {
                    schema: (schema != loaded).then(|| Arc::new(schema.clone())),
                    filter: meta.and_then(|m| m.filter.clone()),
                    tablets,
                }
            })
            .collect(),
    }
}

fn partial_columns(request: &LoadRequest, schema: &TableSchema) -> Vec<String> {
    if request.partial_update {
        schema.visible().map(|c| c.name.clone()).collect()
    } else {
        request.columns.clone()
    }
}

/// Rows by partition; rows without one are refused.
fn split(target: &Target, full: &mut FullRows) -> BTreeMap<i64, Vec<Row>> {
    let mut out: BTreeMap<i64, Vec<Row>> = BTreeMap::new();
    for row in std::mem::take(&mut full.rows) {
        let key: Row = target.positions.iter().map(|i| row[*i].clone()).collect();
        match target.router.find(&key) {
            Some(id) => out.entry(id).or_default().push(row),
            None => full.refuse("no partition for this tuple".to_owned()),
        }
    }
    out
}

fn predicate(
    schema: &TableSchema,
    conditions: &[DeleteWhere],
) -> Result<DeletePredicate, SqlError> {
    if schema.keys.is_unique() {
        return Err(SqlError::analysis(
            "delete by conditions is for duplicate and aggregate tables",
        ));
    }
    let mut out = Vec::new();
    for condition in conditions {
        let column = schema.column(&condition.column).ok_or_else(|| {
            SqlError::new(
                1054,
                format!("Unknown column '{}' in 'table'", condition.column),
            )
        })?;
        if !column.is_key && schema.keys == KeysModel::Aggregate {
            return Err(SqlError::analysis(format!(
                "Column[{}] is not key column or storage model is not duplicate",
                column.name
            )));
        }
        out.push(DeleteCondition {
            column: column.unique_id,
            op: condition.op,
            values: condition
                .values
                .iter()
                .map(|v| column.data_type.canonicalize(v).map_err(SqlError::analysis))
                .collect::<Result<_, _>>()?,
        });
    }
    Ok(DeletePredicate { conditions: out })
}
