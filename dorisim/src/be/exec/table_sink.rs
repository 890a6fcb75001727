//! OLAP_TABLE_SINK: rows become one rowset per tablet of every partition that got a row, on every replica.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ccr_doris_wire::plan::{TOlapTableIndexSchema, TOlapTableSink, TUniqueKeyUpdateMode};
use serde::{Deserialize, Serialize};

use super::error::{ExecError, plan};
use super::expr::{Expr, filter};
use super::routing::{Place, Routing};
use super::types::{Layout, data_type};
use crate::be::Backend;
use crate::be::api::BackendApi;
use crate::be::backend::lock;
use crate::model::{Column, DataType, Row};
use crate::wire::agent::schema::column_from_wire;

/// Reasons of refused rows that are kept.
const KEPT_ERRORS: usize = 20;

/// Rows for one tablet, as one backend sends them to another that has a replica.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TabletRows {
    /// Transaction.
    pub txn_id: i64,
    /// Partition.
    pub partition_id: i64,
    /// Tablet.
    pub tablet_id: i64,
    /// Columns of the index as the frontend knows them now.
    pub columns: Arc<Vec<Column>>,
    /// Version of that schema.
    pub schema_version: i32,
    /// Rows in the order of the columns.
    pub rows: Arc<Vec<Row>>,
}

/// What a load wants written, and what it refused.
#[derive(Debug, Default)]
pub struct Written {
    /// Node id to what is for it.
    pub by_node: BTreeMap<i64, Vec<TabletRows>>,
    /// Rows that were taken.
    pub loaded: i64,
    /// Rows that were refused.
    pub filtered: i64,
    /// Why, of the first ones.
    pub errors: Vec<String>,
}

impl Written {
    fn refuse(&mut self, reason: String) {
        self.filtered += 1;
        if self.errors.len() < KEPT_ERRORS {
            self.errors.push(reason);
        }
    }
}

/// A row and its bucket.
type BucketRow = (usize, Row);

/// An index of the table: what of a row it takes.
struct Index {
    id: i64,
    columns: Arc<Vec<Column>>,
    /// Cell of the loaded row for each column.
    places: Vec<usize>,
    condition: Option<Expr>,
}

/// Spreads rows, whose cells are those of the sink's tuple.
///
/// # Errors
/// Partial updates, automatic values, anything that the sink contradicts itself in.
pub(super) fn spread(sink: &TOlapTableSink, rows: Vec<Row>) -> Result<Written, ExecError> {
    refuse_unknown(sink)?;
    let slots = &sink.schema.slot_descs;
    let names: Vec<String> = slots.iter().map(|slot| slot.col_name.clone()).collect();
    let types: Vec<DataType> = slots
        .iter()
        .map(|slot| data_type(&slot.slot_type))
        .collect::<Result<_, _>>()?;
    let mut layout = Layout::default();
    slots.iter().for_each(|slot| layout.push(slot.id));
    let indexes: Vec<Index> = sink
        .schema
        .indexes
        .iter()
        .map(|index| Index::new(index, &names, &layout))
        .collect::<Result<_, _>>()?;
    let base = indexes
        .first()
        .ok_or_else(|| plan("a table without index"))?;
    let routing = Routing::new(sink, &names, &types)?;
    let auto = sink.schema.auto_increment_column.as_ref();
    let mut written = Written::default();
    let mut by_place: BTreeMap<i64, (&Place, Vec<BucketRow>)> = BTreeMap::new();
    for mut row in rows {
        if let Err(reason) = fit(&mut row, base, auto)? {
            written.refuse(reason);
            continue;
        }
        let Some(place) = routing.partition(&row) else {
            if sink.partition.enable_automatic_partition == Some(true) {
                return Err(ExecError::NotSupported(
                    "an automatic partition that is not there yet".to_owned(),
                ));
            }
            let shown: Vec<&str> = row.iter().map(|c| c.as_deref().unwrap_or("NULL")).collect();
            written.refuse(format!(
                "no partition for this tuple. tuple=({})",
                shown.join(", ")
            ));
            continue;
        };
        let turn = u64::try_from(written.loaded).unwrap_or(0);
        let bucket = routing.bucket(place, &row, turn);
        written.loaded += 1;
        let entry = by_place.entry(place.id).or_insert((place, Vec::new()));
        entry.1.push((bucket, row));
    }
    for (place, rows) in by_place.into_values() {
        for index in &indexes {
            index.place(sink, place, &rows, &mut written)?;
        }
    }
    Ok(written)
}

fn refuse_unknown(sink: &TOlapTableSink) -> Result<(), ExecError> {
    let mode = sink.schema.unique_key_update_mode;
    let partial = sink.schema.is_partial_update == Some(true)
        || mode.is_some_and(|mode| mode != TUniqueKeyUpdateMode::UPSERT);
    if partial {
        return Err(ExecError::NotSupported("a partial update".to_owned()));
    }
    if sink.partition.enable_auto_detect_overwrite == Some(true) {
        return Err(ExecError::NotSupported(
            "INSERT OVERWRITE of partitions that it finds itself".to_owned(),
        ));
    }
    Ok(())
}

/// Makes the cells canonical. The inner error is the reason why the row is refused.
fn fit(
    row: &mut Row,
    base: &Index,
    auto: Option<&String>,
) -> Result<Result<(), String>, ExecError> {
    for (column, at) in base.columns.iter().zip(&base.places) {
        let cell = &mut row[*at];
        if cell.is_none() && auto.is_some_and(|name| column.is_named(name)) {
            return Err(ExecError::NotSupported(format!(
                "an AUTO_INCREMENT value that the statement does not give (column {})",
                column.name
            )));
        }
        if cell.is_none() && !column.nullable {
            return Ok(Err(format!(
                "column_name[{}], null value for not null column, type={}",
                column.name,
                column.data_type.primitive_name()
            )));
        }
        match column.data_type.parse_cell(cell.as_deref()) {
            Ok(fits) => *cell = fits,
            Err(reason) => return Ok(Err(format!("column_name[{}], {reason}", column.name))),
        }
    }
    Ok(Ok(()))
}

impl Index {
    fn new(
        schema: &TOlapTableIndexSchema,
        names: &[String],
        layout: &Layout,
    ) -> Result<Self, ExecError> {
        let told = schema.columns_desc.as_deref().unwrap_or_default();
        let columns: Vec<Column> = told
            .iter()
            .map(|column| column_from_wire(column).map_err(|error| plan(error.to_string())))
            .collect::<Result<_, _>>()?;
        if columns.is_empty() {
            return Err(plan("an index whose columns are not described"));
        }
        let places = columns
            .iter()
            .map(|column| {
                let found = names.iter().position(|name| column.is_named(name));
                found.ok_or_else(|| {
                    ExecError::NotSupported(format!(
                        "column {} of an index that the load does not compute",
                        column.name
                    ))
                })
            })
            .collect::<Result<_, _>>()?;
        let condition = schema.where_clause.as_ref();
        let condition = condition
            .map(|tree| Expr::compile(tree, layout))
            .transpose()?;
        Ok(Index {
            id: schema.id,
            columns: Arc::new(columns),
            places,
            condition,
        })
    }

    /// Every tablet of the partition gets a rowset, if only an empty one: the frontend counts them.
    fn place(
        &self,
        sink: &TOlapTableSink,
        place: &Place,
        rows: &[BucketRow],
        written: &mut Written,
    ) -> Result<(), ExecError> {
        let tablets = place.indexes.get(&self.id);
        let tablets = tablets.ok_or_else(|| plan("a partition lacks the tablets of an index"))?;
        let mut of_bucket: HashMap<usize, Vec<Row>> = HashMap::new();
        for (bucket, row) in rows {
            if let Some(condition) = &self.condition
                && filter(std::slice::from_ref(condition), vec![row.clone()])?.is_empty()
            {
                continue;
            }
            let cells = self.places.iter().map(|at| row[*at].clone()).collect();
            of_bucket.entry(*bucket).or_default().push(cells);
        }
        let homes: HashMap<i64, &Vec<i64>> = sink
            .location
            .tablets
            .iter()
            .map(|location| (location.tablet_id, &location.node_ids))
            .collect();
        for (bucket, tablet_id) in tablets.iter().enumerate() {
            let rows = Arc::new(of_bucket.remove(&bucket).unwrap_or_default());
            let nodes = homes.get(tablet_id);
            let nodes = nodes.ok_or_else(|| plan(format!("tablet {tablet_id} has no replica")))?;
            for node in nodes.iter() {
                written.by_node.entry(*node).or_default().push(TabletRows {
                    txn_id: sink.txn_id,
                    partition_id: place.id,
                    tablet_id: *tablet_id,
                    columns: Arc::clone(&self.columns),
                    schema_version: i32::try_from(sink.schema.version).unwrap_or(0),
                    rows: Arc::clone(&rows),
                });
            }
        }
        Ok(())
    }
}

/// Writes rows of one tablet here. Several senders of one load add to each other. `turn` keeps them apart.
///
/// # Errors
/// The tablet is not here, or the store refuses.
pub fn write(
    backend: &Backend,
    turn: &std::sync::Mutex<()>,
    load: TabletRows,
) -> Result<(), ExecError> {
    let _alone = lock(turn);
    let tablet = backend.tablet(load.tablet_id)?;
    let mut schema = {
        let tablet = lock(&tablet);
        tablet.spec.schema.as_ref().clone()
    };
    let ids = |columns: &[Column]| -> BTreeSet<i32> {
        columns.iter().map(|column| column.unique_id).collect()
    };
    let changed = ids(&schema.columns) != ids(&load.columns);
    schema.columns.clone_from(load.columns.as_ref());
    schema.schema_version = load.schema_version;
    let schema = Arc::new(schema);
    if changed {
        // A column that was added or dropped without a task: loads tell of it.
        lock(&tablet).update(None, Some(Arc::clone(&schema)), &backend.meta)?;
    }
    let mut rows = load.rows;
    let held = backend.txns().committed(load.txn_id);
    let held = held.iter().find(|(id, _)| *id == load.tablet_id);
    if let Some((_, rowset)) = held {
        let mut both = rowset.rows()?.as_ref().clone();
        both.extend(rows.iter().cloned());
        rows = Arc::new(both);
    }
    backend.write_rowset(
        load.txn_id,
        load.partition_id,
        load.tablet_id,
        schema,
        rows,
        None,
    )?;
    Ok(())
}
