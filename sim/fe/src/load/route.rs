//! Which partition and bucket a row belongs to, and how a loaded row becomes a full one.

use crate::api::SqlError;
use crate::catalog::dates;
use dorisim_model::clock::{SimClock, datetime_text};
use dorisim_model::column::{DELETE_SIGN, SEQUENCE_COL};
use dorisim_model::{
    Bound, Cell, DataType, DefaultValue, Distribution, DistributionKind, KeysModel, PartitionItem,
    PartitionKind, Row, TableSchema,
};

/// How many reasons of refused rows are kept.
pub const KEPT_ERRORS: usize = 20;

/// Rows made full, and what was refused.
#[derive(Debug, Default)]
pub struct FullRows {
    /// One cell per column of the schema.
    pub rows: Vec<Row>,
    /// Refused.
    pub filtered: u64,
    /// First reasons.
    pub errors: Vec<String>,
}

impl FullRows {
    /// Notes a refused row.
    pub fn refuse(&mut self, reason: String) {
        self.filtered += 1;
        if self.errors.len() < KEPT_ERRORS {
            self.errors.push(reason);
        }
    }
}

/// Where each column of the schema comes from.
#[derive(Debug)]
enum Origin {
    Given(usize),
    Default(Cell),
    AutoInc,
    /// The hidden sequence column takes the value of its mapped column.
    SameAs(usize),
}

/// Makes loaded rows full: order, defaults, AUTO_INCREMENT, delete sign, canonical texts.
pub fn full_rows(
    schema: &TableSchema,
    names: &[String],
    rows: Vec<Row>,
    delete: bool,
    clock: &SimClock,
    mut next_auto_inc: i64,
) -> Result<(FullRows, i64), SqlError> {
    let names: Vec<String> = if names.is_empty() {
        schema.visible().map(|c| c.name.clone()).collect()
    } else {
        names.to_vec()
    };
    for name in &names {
        if schema.column(name).is_none() {
            return Err(SqlError::new(
                1054,
                format!("Unknown column '{name}' in 'table list'"),
            ));
        }
    }
    let origins = origins(schema, &names, delete, clock)?;
    let mut out = FullRows::default();
    for given in rows {
        if given.len() != names.len() {
            out.refuse(format!(
                "actual column number in row ({}) differs from the columns ({})",
                given.len(),
                names.len()
            ));
            continue;
        }
        let mut row: Row = Vec::with_capacity(schema.columns.len());
        let mut bad = None;
        for (column, origin) in schema.columns.iter().zip(&origins) {
            let cell = match origin {
                Origin::Default(cell) => cell.clone(),
                Origin::SameAs(i) => row.get(*i).cloned().flatten(),
                Origin::AutoInc => {
                    next_auto_inc += 1;
                    Some((next_auto_inc - 1).to_string())
                }
                Origin::Given(i) => match column.data_type.parse_cell(given[*i].as_deref()) {
                    Ok(None) if column.auto_inc.is_some() => {
                        next_auto_inc += 1;
                        Some((next_auto_inc - 1).to_string())
                    }
                    Ok(cell) => cell,
                    Err(reason) => {
                        bad = Some(format!("column_name[{}], {reason}", column.name));
                        None
                    }
                },
            };
            if cell.is_none() && !column.nullable && !delete && bad.is_none() {
                bad = Some(format!(
                    "column_name[{}], null value for not null column, type={}",
                    column.name, column.data_type
                ));
            }
            row.push(cell);
        }
        match bad {
            Some(reason) => out.refuse(reason),
            None => out.rows.push(row),
        }
    }
    Ok((out, next_auto_inc))
}

fn origins(
    schema: &TableSchema,
    names: &[String],
    delete: bool,
    clock: &SimClock,
) -> Result<Vec<Origin>, SqlError> {
    let mapped = match &schema.keys {
        KeysModel::Unique {
            sequence_col: Some(name),
            ..
        } => schema.position(name),
        KeysModel::Unique {
            sequence_col: None, ..
        }
        | KeysModel::Duplicate
        | KeysModel::Aggregate => None,
    };
    schema
        .columns
        .iter()
        .map(|column| {
            if delete && column.is_named(DELETE_SIGN) {
                return Ok(Origin::Default(Some("1".to_owned())));
            }
            if let Some(i) = names.iter().position(|n| column.is_named(n)) {
                return Ok(Origin::Given(i));
            }
            if let (true, Some(i)) = (column.is_named(SEQUENCE_COL), mapped) {
                return Ok(Origin::SameAs(i));
            }
            if column.auto_inc.is_some() {
                return Ok(Origin::AutoInc);
            }
            let now = || datetime_text(clock.now_ms());
            Ok(Origin::Default(match &column.default {
                Some(DefaultValue::Constant(text)) => text.clone(),
                Some(DefaultValue::CurrentTimestamp(_)) => {
                    column.data_type.canonicalize(&now()).ok().flatten()
                }
                Some(DefaultValue::Function(text)) if text.eq_ignore_ascii_case("CURRENT_DATE") => {
                    column.data_type.canonicalize(&now()).ok().flatten()
                }
                Some(DefaultValue::Function(text)) if text.eq_ignore_ascii_case("PI") => {
                    Some(std::f64::consts::PI.to_string())
                }
                Some(DefaultValue::Function(text)) if text.eq_ignore_ascii_case("E") => {
                    Some(std::f64::consts::E.to_string())
                }
                Some(DefaultValue::Function(_)) => Some(String::new()),
                None if column.nullable || column.generated.is_some() || delete => None,
                None => {
                    return Err(SqlError::analysis(format!(
                        "Column has no default value, column={}",
                        column.name
                    )));
                }
            }))
        })
        .collect()
}

/// Bucket of a row.
#[must_use]
pub fn bucket(distribution: &Distribution, schema: &TableSchema, row: &Row, turn: u64) -> usize {
    let buckets = u64::from(distribution.buckets.max(1));
    let at = match &distribution.kind {
        DistributionKind::Random => turn % buckets,
        DistributionKind::Hash(columns) => {
            let mut hasher = crc32fast::Hasher::new();
            for name in columns {
                match schema.position(name).and_then(|i| row[i].as_deref()) {
                    Some(text) => hasher.update(text.as_bytes()),
                    None => hasher.update(&[0; 4]),
                }
            }
            u64::from(hasher.finalize()) % buckets
        }
    };
    usize::try_from(at).unwrap_or(0)
}

/// Partition items to search, sorted for ranges of one column so that a row costs a binary search.
#[derive(Debug)]
pub struct Router {
    types: Vec<DataType>,
    items: Vec<(i64, PartitionItem)>,
    default: Option<i64>,
    by_range: bool,
}

impl Router {
    /// Over these partitions (normal or temporary ones, not both).
    #[must_use]
    pub fn new(
        kind: &PartitionKind,
        types: Vec<DataType>,
        mut items: Vec<(i64, PartitionItem)>,
    ) -> Self {
        let default = items
            .iter()
            .find(|(_, i)| *i == PartitionItem::ListDefault)
            .map(|(id, _)| *id);
        items.retain(|(_, i)| *i != PartitionItem::ListDefault);
        let by_range = matches!(kind, PartitionKind::Range(_));
        if by_range {
            items.sort_by(|(_, a), (_, b)| match (a, b) {
                (PartitionItem::Range { upper: a, .. }, PartitionItem::Range { upper: b, .. }) => {
                    dorisim_model::partition::compare_bounds(a, b, &types)
                }
                _ => std::cmp::Ordering::Equal,
            });
        }
        Self {
            types,
            items,
            default,
            by_range,
        }
    }

    /// Partition of a row with these partition values.
    #[must_use]
    pub fn find(&self, key: &[Cell]) -> Option<i64> {
        if self.by_range {
            let at = self.items.partition_point(|(_, item)| match item {
                PartitionItem::Range { upper, .. } => !below(key, upper, &self.types),
                PartitionItem::All | PartitionItem::List(_) | PartitionItem::ListDefault => false,
            });
            let (id, item) = self.items.get(at)?;
            return item.contains(key, &self.types).then_some(*id);
        }
        self.items
            .iter()
            .find(|(_, item)| item.contains(key, &self.types))
            .map(|(id, _)| *id)
            .or(self.default)
    }
}

fn below(key: &[Cell], upper: &[Bound], types: &[DataType]) -> bool {
    let everything_below = PartitionItem::Range {
        lower: vec![Bound::Min; types.len()],
        upper: upper.to_vec(),
    };
    everything_below.contains(key, types)
}

/// Name and item of the automatic partition that would take `key`.
#[must_use]
pub fn auto_partition(
    kind: &PartitionKind,
    expression: &str,
    types: &[DataType],
    key: &[Cell],
) -> Option<(String, PartitionItem)> {
    match kind {
        PartitionKind::Range(_) => {
            let unit = expression
                .rsplit(',')
                .next()?
                .trim_matches([' ', ')', '\'', '"'])
                .to_owned();
            let value = key.first()?.as_deref()?;
            let lower = dates::truncate(value, &unit)?;
            let upper = types
                .first()?
                .canonicalize(&dates::add(&lower, 1, &unit)?)
                .ok()
                .flatten()?;
            let lower = types.first()?.canonicalize(&lower).ok().flatten()?;
            let name = dates::auto_name(&lower);
            Some((
                name,
                PartitionItem::Range {
                    lower: vec![Bound::Value(lower)],
                    upper: vec![Bound::Value(upper)],
                },
            ))
        }
        PartitionKind::List(_) => {
            let name = auto_list_name(key, types.iter().any(is_text));
            Some((name, PartitionItem::List(vec![key.to_vec()])))
        }
        PartitionKind::Unpartitioned => None,
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Char(_) | DataType::Varchar(_) | DataType::String
    )
}

/// The longest name of an automatic list partition; longer ones end with their hash.
const LONGEST_NAME: usize = 50;

/// Each value with its length behind it, `X` for NULL; what is no letter or digit as hexadecimal number.
fn auto_list_name(key: &[Cell], has_text: bool) -> String {
    let mut values = String::new();
    for cell in key {
        match cell {
            None => values.push('X'),
            Some(text) => {
                values.push_str(text);
                values.push_str(&text.encode_utf16().count().to_string());
            }
        }
    }
    let mut name = String::from("p");
    if values.starts_with('-') {
        name.push('_');
    }
    for c in values.chars() {
        if c.is_ascii_alphanumeric() {
            name.push(c);
        } else {
            name.push_str(&format!("{:x}", u32::from(c)));
        }
    }
    if has_text && name.len() > LONGEST_NAME {
        let hash = name.bytes().fold(0_u32, |hash, b| {
            hash.wrapping_mul(31).wrapping_add(b.into())
        });
        name.truncate(LONGEST_NAME);
        name.push_str(&format!("_{hash:x}"));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_finds_its_range_by_binary_search() {
        let value = |t: &str| Bound::Value(t.to_owned());
        let range = |a: &str, b: &str| PartitionItem::Range {
            lower: vec![value(a)],
            upper: vec![value(b)],
        };
        let kind = PartitionKind::Range(vec!["k".to_owned()]);
        let items = vec![
            (3, range("20", "30")),
            (1, range("0", "10")),
            (2, range("10", "20")),
        ];
        let router = Router::new(&kind, vec![DataType::Int], items);
        let find = |t: &str| router.find(&[Some(t.to_owned())]);
        assert_eq!(
            (find("0"), find("9"), find("10"), find("29")),
            (Some(1), Some(1), Some(2), Some(3))
        );
        assert_eq!((find("30"), find("-1")), (None, None));
    }

    #[test]
    fn automatic_list_partitions_are_named_by_their_values() {
        let name = |cells: &[Option<&str>], text: bool| {
            let key: Vec<Cell> = cells.iter().map(|c| c.map(str::to_owned)).collect();
            auto_list_name(&key, text)
        };
        assert_eq!(name(&[Some("Beijing")], true), "pBeijing7");
        assert_eq!(name(&[None], true), "pX");
        assert_eq!(name(&[Some("-1")], false), "p_2d12");
        assert_eq!(name(&[Some("a b"), Some("1")], true), "pa20b311");
        let long = name(&[Some(&"x".repeat(60))], true);
        assert!(long.starts_with(&format!("p{}_", "x".repeat(49))), "{long}");
    }

    #[test]
    fn automatic_partitions_are_named_by_their_start() {
        let kind = PartitionKind::Range(vec!["d".to_owned()]);
        let key = [Some("2024-05-17".to_owned())];
        let (name, item) =
            auto_partition(&kind, "date_trunc(`d`, 'month')", &[DataType::Date], &key).unwrap();
        assert_eq!(name, "p20240501000000");
        assert!(item.contains(&key, &[DataType::Date]));
    }
}
