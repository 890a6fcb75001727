//! Types and slots of a plan.

use std::collections::HashMap;

use dorisim_wire::TPrimitiveType;
use dorisim_wire::plan::{TDescriptorTable, TTypeDesc, TTypeNode, TTypeNodeType};

use super::error::{ExecError, plan};
use dorisim_model::DataType;

/// The type of an expression. NULL without a type is a boolean, as in Doris.
///
/// # Errors
/// Types that rows here can not hold.
pub fn data_type(desc: &TTypeDesc) -> Result<DataType, ExecError> {
    let mut nodes = desc.types.iter().flatten();
    let found = next(&mut nodes, 0)?;
    match nodes.next() {
        None => Ok(found),
        Some(_) => Err(plan("a type has parts that belong to nothing")),
    }
}

/// Parts inside parts of one type; Doris allows nine.
const MAX_DEPTH: u32 = 32;

fn next<'a>(
    nodes: &mut impl Iterator<Item = &'a TTypeNode>,
    depth: u32,
) -> Result<DataType, ExecError> {
    let node = nodes.next().ok_or_else(|| plan("a type lacks a part"))?;
    if depth > MAX_DEPTH {
        return Err(plan("a type has too many levels"));
    }
    match node.type_ {
        TTypeNodeType::SCALAR => scalar(node),
        TTypeNodeType::VARIANT => Ok(DataType::Variant),
        TTypeNodeType::ARRAY => Ok(DataType::Array(Box::new(next(nodes, depth + 1)?))),
        TTypeNodeType::MAP => Ok(DataType::Map(
            Box::new(next(nodes, depth + 1)?),
            Box::new(next(nodes, depth + 1)?),
        )),
        TTypeNodeType::STRUCT => {
            let fields = node.struct_fields.iter().flatten();
            let fields = fields.map(|field| Ok((field.name.clone(), next(nodes, depth + 1)?)));
            Ok(DataType::Struct(fields.collect::<Result<_, ExecError>>()?))
        }
        other => Err(ExecError::NotSupported(format!("type node {}", other.0))),
    }
}

fn scalar(node: &TTypeNode) -> Result<DataType, ExecError> {
    let scalar = node
        .scalar_type
        .as_ref()
        .ok_or_else(|| plan("a scalar type without its description"))?;
    let length = || scalar.len.and_then(|len| u32::try_from(len).ok());
    let small = |value: Option<i32>| value.and_then(|value| u8::try_from(value).ok());
    Ok(match scalar.type_ {
        TPrimitiveType::NULL_TYPE | TPrimitiveType::BOOLEAN => DataType::Boolean,
        TPrimitiveType::TINYINT => DataType::TinyInt,
        TPrimitiveType::SMALLINT => DataType::SmallInt,
        TPrimitiveType::INT => DataType::Int,
        TPrimitiveType::BIGINT => DataType::BigInt,
        TPrimitiveType::LARGEINT => DataType::LargeInt,
        TPrimitiveType::FLOAT => DataType::Float,
        TPrimitiveType::DOUBLE => DataType::Double,
        TPrimitiveType::DECIMAL32
        | TPrimitiveType::DECIMAL64
        | TPrimitiveType::DECIMAL128I
        | TPrimitiveType::DECIMAL256
        | TPrimitiveType::DECIMALV2 => DataType::Decimal(
            small(scalar.precision).unwrap_or(38),
            small(scalar.scale).unwrap_or(0),
        ),
        TPrimitiveType::DATE | TPrimitiveType::DATEV2 => DataType::Date,
        TPrimitiveType::DATETIME => DataType::DateTime(0),
        TPrimitiveType::DATETIMEV2 => DataType::DateTime(small(scalar.scale).unwrap_or(0).min(6)),
        TPrimitiveType::CHAR => length().map_or(DataType::String, DataType::Char),
        TPrimitiveType::VARCHAR => length().map_or(DataType::String, DataType::Varchar),
        TPrimitiveType::STRING => DataType::String,
        TPrimitiveType::JSONB => DataType::Json,
        TPrimitiveType::VARIANT => DataType::Variant,
        TPrimitiveType::BITMAP => DataType::Bitmap,
        TPrimitiveType::HLL => DataType::Hll,
        TPrimitiveType::QUANTILE_STATE => DataType::QuantileState,
        TPrimitiveType::IPV4 => DataType::Ipv4,
        TPrimitiveType::IPV6 => DataType::Ipv6,
        TPrimitiveType::AGG_STATE => DataType::AggState(String::new()),
        other => return Err(ExecError::NotSupported(format!("type {}", other.0))),
    })
}

/// A slot of a tuple.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Id, which no other slot of the query has.
    pub id: i32,
    /// Column, for slots of tables.
    pub name: String,
    /// Unique id of the column, for slots of tables.
    pub unique_id: i32,
}

/// Tuples of a query by id.
#[derive(Debug, Default)]
pub struct Descriptors(HashMap<i32, Vec<Slot>>);

impl Descriptors {
    /// As the frontend describes them.
    #[must_use]
    pub fn new(table: &TDescriptorTable) -> Self {
        let tuples = table.tuple_descriptors.iter();
        let mut slots: HashMap<i32, Vec<Slot>> = tuples.map(|t| (t.id, Vec::new())).collect();
        for slot in table.slot_descriptors.iter().flatten() {
            slots.entry(slot.parent).or_default().push(Slot {
                id: slot.id,
                name: slot.col_name.clone(),
                unique_id: slot.col_unique_id.unwrap_or(-1),
            });
        }
        Descriptors(slots)
    }

    /// Slots of a tuple.
    ///
    /// # Errors
    /// A tuple that nobody described.
    pub fn tuple(&self, id: i32) -> Result<&[Slot], ExecError> {
        let found = self.0.get(&id);
        found
            .map(Vec::as_slice)
            .ok_or_else(|| plan(format!("tuple {id} is not described")))
    }

    /// The layout of rows that consist of these tuples.
    ///
    /// # Errors
    /// As [`Descriptors::tuple`].
    pub fn layout(&self, tuples: &[i32]) -> Result<Layout, ExecError> {
        let mut layout = Layout::default();
        for tuple in tuples {
            for slot in self.tuple(*tuple)? {
                layout.push(slot.id);
            }
        }
        Ok(layout)
    }
}

/// Where the slots of a row are. A cell may have several names.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    places: HashMap<i32, usize>,
    width: usize,
}

impl Layout {
    /// Adds a cell.
    pub fn push(&mut self, slot: i32) {
        self.places.insert(slot, self.width);
        self.width += 1;
    }

    /// Cells of a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Place of a slot.
    #[must_use]
    pub fn place(&self, slot: i32) -> Option<usize> {
        self.places.get(&slot).copied()
    }

    /// The same cells under further names, if they are as many.
    #[must_use]
    pub fn also(mut self, other: &Layout) -> Self {
        if other.width == self.width {
            self.places.extend(&other.places);
        }
        self
    }

    /// The cells from `offset` on under further names, if there are as many behind it.
    #[must_use]
    pub fn named_at(mut self, other: &Layout, offset: usize) -> Self {
        if offset + other.width <= self.width {
            let named = other.places.iter();
            self.places
                .extend(named.map(|(slot, place)| (*slot, place + offset)));
        }
        self
    }

    /// Cells of both, side by side.
    #[must_use]
    pub fn beside(mut self, right: &Layout) -> Self {
        let shifted = right.places.iter();
        self.places
            .extend(shifted.map(|(slot, place)| (*slot, place + self.width)));
        self.width += right.width;
        self
    }
}
