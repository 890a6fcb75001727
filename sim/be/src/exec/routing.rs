//! OLAP_TABLE_SINK: which partition and which tablets a row goes to.

use std::collections::HashMap;

use dorisim_wire::plan::{
    TOlapTablePartition, TOlapTablePartitionParam, TOlapTableSink, TPartitionType, TPlanExprNode,
};

use super::bucket;
use super::error::{ExecError, plan};
use super::expr::literal;
use super::types::data_type;
use dorisim_model::{Bound, Cell, DataType, PartitionItem, Row};

/// A partition of the table.
#[derive(Debug)]
pub(super) struct Place {
    /// Partition id.
    pub id: i64,
    item: PartitionItem,
    buckets: u32,
    /// Bucket that all rows of this load go to, for random distribution.
    one_bucket: Option<u32>,
    /// Index id to its tablets, in bucket order.
    pub indexes: HashMap<i64, Vec<i64>>,
}

/// Where rows of a load go.
#[derive(Debug)]
pub(super) struct Routing {
    places: Vec<Place>,
    default: Option<usize>,
    /// Cells that decide about the partition, and their types.
    keys: (Vec<usize>, Vec<DataType>),
    /// Cells that decide about the bucket, and their types.
    hashed: Vec<(usize, DataType)>,
}

impl Routing {
    /// As the sink tells it. `names` and `types` are those of the loaded cells.
    ///
    /// # Errors
    /// Automatic partitions, bounds that are no literals, columns that are not loaded.
    pub fn new(
        sink: &TOlapTableSink,
        names: &[String],
        types: &[DataType],
    ) -> Result<Self, ExecError> {
        let param = &sink.partition;
        let place_of = |column: &String| {
            let found = names
                .iter()
                .position(|name| name.eq_ignore_ascii_case(column));
            found.ok_or_else(|| plan(format!("column {column} of the distribution is not loaded")))
        };
        let keys: Vec<usize> = param
            .partition_columns
            .iter()
            .flatten()
            .map(place_of)
            .collect::<Result<_, _>>()?;
        let key_types: Vec<DataType> = keys.iter().map(|at| types[*at].clone()).collect();
        let hashed = param
            .distributed_columns
            .iter()
            .flatten()
            .map(|column| place_of(column).map(|at| (at, types[at].clone())))
            .collect::<Result<_, _>>()?;
        let places: Vec<Place> = param
            .partitions
            .iter()
            .map(|partition| place(param, partition, &key_types))
            .collect::<Result<_, _>>()?;
        let default = places
            .iter()
            .position(|place| place.item == PartitionItem::ListDefault);
        Ok(Routing {
            places,
            default,
            keys: (keys, key_types),
            hashed,
        })
    }

    /// The partition of a row.
    pub fn partition(&self, row: &Row) -> Option<&Place> {
        let (places, types) = &self.keys;
        let key: Vec<Cell> = places.iter().map(|at| row[*at].clone()).collect();
        let found = self.places.iter().find(|place| {
            place.item != PartitionItem::ListDefault && place.item.contains(&key, types)
        });
        found.or_else(|| self.default.map(|at| &self.places[at]))
    }

    /// The bucket of a row; `turn` counts rows.
    pub fn bucket(&self, place: &Place, row: &Row, turn: u64) -> usize {
        let buckets = place.buckets.max(1);
        let at = match place.one_bucket {
            Some(at) if self.hashed.is_empty() => at % buckets,
            None if self.hashed.is_empty() => u32::try_from(turn % u64::from(buckets)).unwrap_or(0),
            Some(_) | None => {
                let fold = |seed, (at, ty): &(usize, DataType)| bucket::hash(seed, &row[*at], ty);
                self.hashed.iter().fold(0, fold) % buckets
            }
        };
        usize::try_from(at).unwrap_or(0)
    }
}

fn place(
    param: &TOlapTablePartitionParam,
    partition: &TOlapTablePartition,
    types: &[DataType],
) -> Result<Place, ExecError> {
    let item = if types.is_empty() {
        PartitionItem::All
    } else if partition.is_default_partition == Some(true) {
        PartitionItem::ListDefault
    } else if let Some(keys) = &partition.in_keys {
        let keys = keys.iter().map(|key| cells(key, types));
        PartitionItem::List(keys.collect::<Result<_, _>>()?)
    } else if param.partition_type == Some(TPartitionType::LIST_PARTITIONED) {
        PartitionItem::List(Vec::new())
    } else {
        PartitionItem::Range {
            lower: bounds(partition.start_keys.as_ref(), types, Bound::Min)?,
            upper: bounds(partition.end_keys.as_ref(), types, Bound::Max)?,
        }
    };
    Ok(Place {
        id: partition.id,
        item,
        buckets: u32::try_from(partition.num_buckets).unwrap_or(1),
        one_bucket: partition
            .load_tablet_idx
            .and_then(|at| u32::try_from(at).ok()),
        indexes: partition
            .indexes
            .iter()
            .map(|index| (index.index_id, index.tablets.clone()))
            .collect(),
    })
}

fn cells(nodes: &[TPlanExprNode], types: &[DataType]) -> Result<Vec<Cell>, ExecError> {
    let of = |(node, ty): (&TPlanExprNode, &DataType)| {
        data_type(&node.type_)?;
        literal(node, ty)?.ok_or_else(|| plan("a bound of a partition is no literal"))
    };
    nodes.iter().zip(types).map(of).collect()
}

fn bounds(
    nodes: Option<&Vec<TPlanExprNode>>,
    types: &[DataType],
    open: Bound,
) -> Result<Vec<Bound>, ExecError> {
    let cells = cells(nodes.map(Vec::as_slice).unwrap_or_default(), types)?;
    let mut bounds: Vec<Bound> = cells
        .into_iter()
        .map(|cell| cell.map_or(Bound::Min, Bound::Value))
        .collect();
    bounds.resize(types.len(), open);
    Ok(bounds)
}
