//! OLAP_TABLE_SINK: rows become one rowset per tablet of every partition that got a row, on every replica.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use dorisim_wire::plan::{TOlapTableIndexSchema, TOlapTableSink, TUniqueKeyUpdateMode};
use serde::{Deserialize, Serialize};

use super::error::{ExecError, plan};
use super::expr::{Expr, filter};
use super::routing::{Place, Routing};
use super::types::{Layout, data_type};
use dorisim_model::{Column, DataType, Row};
use dorisim_net::agent::schema::column_from_wire;

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
    /// Partial update: columns whose cells are not those of the rows, but of the row that is there.
    pub kept: Arc<Vec<usize>>,
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
    /// Cell of the loaded row for each column; none where a partial update leaves it.
    places: Vec<Option<usize>>,
    kept: Arc<Vec<usize>>,
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
        .map(|index| Index::new(index, &names, &types, &layout, is_partial(sink)))
        .collect::<Result<_, _>>()?;
    let base = indexes.iter().max_by_key(|index| index.columns.len());
    let base = base.ok_or_else(|| plan("a table without index"))?;
    let routing = Routing::new(sink, &names, &types)?;
    let mut written = Written::default();
    let mut by_place: BTreeMap<i64, (&Place, Vec<BucketRow>)> = BTreeMap::new();
    for mut row in rows {
        if let Err(reason) = fit(&mut row, base) {
            written.refuse(reason);
            continue;
        }
        let Some(place) = routing.partition(&row) else {
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

fn is_partial(sink: &TOlapTableSink) -> bool {
    let mode = sink.schema.unique_key_update_mode;
    sink.schema.is_partial_update == Some(true)
        || mode.is_some_and(|mode| mode == TUniqueKeyUpdateMode::UPDATE_FIXED_COLUMNS)
}

fn refuse_unknown(sink: &TOlapTableSink) -> Result<(), ExecError> {
    let mode = sink.schema.unique_key_update_mode;
    if mode.is_some_and(|mode| mode == TUniqueKeyUpdateMode::UPDATE_FLEXIBLE_COLUMNS) {
        return Err(ExecError::NotSupported(
            "a partial update of other columns in each row".to_owned(),
        ));
    }
    if sink.partition.enable_auto_detect_overwrite == Some(true) {
        return Err(ExecError::NotSupported(
            "INSERT OVERWRITE of partitions that it finds itself".to_owned(),
        ));
    }
    Ok(())
}

/// Makes the cells canonical. The error is the reason why the row is refused.
fn fit(row: &mut Row, base: &Index) -> Result<(), String> {
    for (column, place) in base.columns.iter().zip(&base.places) {
        let Some(cell) = place.and_then(|at| row.get_mut(at)) else {
            continue;
        };
        if cell.is_none() && !column.nullable {
            return Err(format!(
                "column_name[{}], null value for not null column, type={}",
                column.name,
                column.data_type.primitive_name()
            ));
        }
        *cell = column
            .data_type
            .parse_cell(cell.as_deref())
            .map_err(|reason| format!("column_name[{}], {reason}", column.name))?;
    }
    Ok(())
}

impl Index {
    fn new(
        schema: &TOlapTableIndexSchema,
        names: &[String],
        types: &[DataType],
        layout: &Layout,
        partial: bool,
    ) -> Result<Self, ExecError> {
        let told = schema.columns_desc.as_deref().unwrap_or_default();
        let columns: Vec<Column> = told
            .iter()
            .map(|column| column_from_wire(column).map_err(|error| plan(error.to_string())))
            .collect::<Result<_, _>>()?;
        if columns.is_empty() {
            return Err(plan("an index whose columns are not described"));
        }
        let places: Vec<Option<usize>> = columns
            .iter()
            .map(|column| match place_of(column, names, types) {
                Some(place) => Ok(Some(place)),
                None if partial => Ok(None),
                None => Err(ExecError::NotSupported(format!(
                    "column {} of an index that the load does not compute",
                    column.name
                ))),
            })
            .collect::<Result<_, _>>()?;
        let kept = (0..places.len()).filter(|at| places[*at].is_none());
        let condition = schema.where_clause.as_ref();
        let condition = condition
            .map(|tree| Expr::compile(tree, layout))
            .transpose()?;
        Ok(Index {
            id: schema.id,
            columns: Arc::new(columns),
            kept: Arc::new(kept.collect()),
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
            let cells = self.places.iter().zip(self.columns.iter());
            let cells = cells.map(|(place, column)| {
                let cell = place.and_then(|at| row.get(at).cloned().flatten());
                // An index that is being changed may have another type.
                column.data_type.parse_cell(cell.as_deref()).unwrap_or(None)
            });
            of_bucket.entry(*bucket).or_default().push(cells.collect());
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
                    kept: Arc::clone(&self.kept),
                    rows: Arc::clone(&rows),
                });
            }
        }
        Ok(())
    }
}

/// What the name of a column begins with in the tuple of a load while it is being changed.
const SHADOW: &str = "__doris_shadow_";

/// The cell for a column: by name and type, for a column that is being changed its new form, or by name.
fn place_of(column: &Column, names: &[String], types: &[DataType]) -> Option<usize> {
    let exact = |shadow: bool| {
        names.iter().zip(types).position(|(name, data_type)| {
            let plain = name.strip_prefix(SHADOW);
            plain.is_some() == shadow
                && column.is_named(plain.unwrap_or(name))
                && column.data_type == *data_type
        })
    };
    let by_name = || names.iter().position(|name| column.is_named(name));
    exact(false).or_else(|| exact(true)).or_else(by_name)
}
