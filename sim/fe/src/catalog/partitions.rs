//! From partition clauses to items, and from items to partitions with tablets and replicas.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::api::SqlError;
use crate::catalog::dates;
use crate::catalog::partition_index::{DisjointItems, UpperBounds};
use crate::catalog::replicas::enough_backends;
use crate::state::FeState;
use dorisim_model::backend::TabletSpec;
use dorisim_model::catalog::NEVER_MS;
use dorisim_model::partition::MAX_OF_LIST;
use dorisim_model::partition::compare_bounds;
use dorisim_model::{
    Bound, DataType, Distribution, IndexMeta, MaterializedIndex, OlapTable, Partition,
    PartitionItem, PartitionKind, Replica, Tablet,
};
use dorisim_sql::ast::{PartitionItem as Clause, PartitionValue, PartitionValues};

/// A partition to make.
#[derive(Debug, Clone)]
pub struct PartitionSpec {
    /// Name.
    pub name: String,
    /// What it holds.
    pub item: PartitionItem,
    /// Temporary.
    pub temp: bool,
    /// Distribution.
    pub distribution: Distribution,
    /// Replicas per tablet.
    pub replicas: u32,
    /// `HDD` or `SSD`.
    pub medium: String,
}

/// The most tablets one statement may make.
const MAX_STEPS: usize = 100_000;

/// Items of a clause list, in order; `existing` are items that LESS THAN has to follow.
pub fn resolve(
    kind: &PartitionKind,
    types: &[DataType],
    clauses: &[Clause],
    existing: &[PartitionItem],
) -> Result<Vec<(String, PartitionItem, dorisim_sql::ast::Properties)>, SqlError> {
    let mut known = UpperBounds::new(types, existing);
    let mut out = Vec::new();
    for clause in clauses {
        match clause {
            Clause::One(def) => {
                let item = item_of(kind, types, &def.values, &known)?;
                known.add(&item);
                out.push((def.name.clone(), item, def.properties.clone()));
            }
            Clause::Step {
                from,
                to,
                interval,
                unit,
            } => {
                for (name, item) in steps(types, from, to, *interval, unit.as_deref())? {
                    known.add(&item);
                    out.push((name, item, dorisim_sql::ast::Properties::new()));
                }
            }
        }
    }
    let mut names = BTreeSet::new();
    let mut items = DisjointItems::new(types, existing);
    for (name, item, _) in &out {
        if !names.insert(name.to_ascii_lowercase()) {
            return Err(SqlError::new(
                1517,
                format!("Duplicate partition name {name}"),
            ));
        }
        if !items.add(item) {
            return Err(SqlError::analysis(format!(
                "Range {} is intersected with range of an existing partition",
                item.range_text(types)
            )));
        }
    }
    Ok(out)
}

fn bound(value: &PartitionValue, ty: &DataType) -> Result<Bound, SqlError> {
    match value {
        PartitionValue::Max => Ok(Bound::Max),
        PartitionValue::Null => Err(SqlError::analysis("NULL is not a bound of a range")),
        PartitionValue::Value(text) => match ty.canonicalize(text).map_err(SqlError::analysis)? {
            Some(text) => Ok(Bound::Value(text)),
            None => Ok(Bound::Min),
        },
    }
}

fn bounds(values: &[PartitionValue], types: &[DataType]) -> Result<Vec<Bound>, SqlError> {
    if values.len() > types.len() {
        return Err(SqlError::analysis(
            "Invalid partition value size: more values than partition columns",
        ));
    }
    // A lone MAXVALUE fills the whole key; otherwise missing components are the minimum.
    if values == [PartitionValue::Max] {
        return Ok(vec![Bound::Max; types.len()]);
    }
    let mut out = Vec::with_capacity(types.len());
    for (i, ty) in types.iter().enumerate() {
        out.push(values.get(i).map_or(Ok(Bound::Min), |v| bound(v, ty))?);
    }
    Ok(out)
}

fn item_of(
    kind: &PartitionKind,
    types: &[DataType],
    values: &PartitionValues,
    known: &UpperBounds<'_>,
) -> Result<PartitionItem, SqlError> {
    match (kind, values) {
        (PartitionKind::Range(_), PartitionValues::LessThan(values)) => {
            let upper = bounds(values, types)?;
            let lower = known
                .below(&upper)
                .cloned()
                .unwrap_or_else(|| vec![Bound::Min; types.len()]);
            Ok(PartitionItem::Range { lower, upper })
        }
        (PartitionKind::Range(_), PartitionValues::Fixed { lower, upper }) => {
            let (lower, upper) = (bounds(lower, types)?, bounds(upper, types)?);
            if compare_bounds(&lower, &upper, types).is_ge() {
                return Err(SqlError::analysis(
                    "Invalid range value format： errCode = 2, detailMessage = The lower values must smaller than upper values",
                ));
            }
            Ok(PartitionItem::Range { lower, upper })
        }
        (PartitionKind::List(_), PartitionValues::In(tuples)) => {
            let tuples = tuples
                .iter()
                .map(|tuple| {
                    if tuple.len() != types.len() {
                        return Err(SqlError::analysis(
                            "partition key desc list size is not equal to partition columns size",
                        ));
                    }
                    tuple
                        .iter()
                        .zip(types)
                        .map(|(value, ty)| match value {
                            PartitionValue::Null => Ok(None),
                            PartitionValue::Value(text) => {
                                ty.canonicalize(text).map_err(SqlError::analysis)
                            }
                            PartitionValue::Max => Ok(Some(MAX_OF_LIST.to_owned())),
                        })
                        .collect()
                })
                .collect::<Result<Vec<_>, _>>()?;
            Ok(PartitionItem::List(tuples))
        }
        (PartitionKind::List(_), PartitionValues::Default) => Ok(PartitionItem::ListDefault),
        (PartitionKind::Unpartitioned, PartitionValues::Default) => Ok(PartitionItem::All),
        (PartitionKind::Range(_), _) => Err(SqlError::analysis(
            "Range partition expected 'VALUES [LESS THAN or [(\"xxx\" ,...), (\"xxx\", ...))]'",
        )),
        (PartitionKind::Unpartitioned | PartitionKind::List(_), _) => Err(SqlError::analysis(
            "Invalid values of a partition for this kind of partitioning",
        )),
    }
}

fn steps(
    types: &[DataType],
    from: &[PartitionValue],
    to: &[PartitionValue],
    interval: i64,
    unit: Option<&str>,
) -> Result<Vec<(String, PartitionItem)>, SqlError> {
    let ([ty], [PartitionValue::Value(from)], [PartitionValue::Value(to)]) = (types, from, to)
    else {
        return Err(SqlError::analysis(
            "a step of partitions needs one column and two values",
        ));
    };
    if interval <= 0 {
        return Err(SqlError::analysis(
            "the interval of partitions must be positive",
        ));
    }
    let canonical = |text: &str| {
        ty.canonicalize(text)
            .map_err(SqlError::analysis)
            .map(Option::unwrap_or_default)
    };
    let (mut lower, end) = (canonical(from)?, canonical(to)?);
    let mut out = Vec::new();
    while ty.compare(&Some(lower.clone()), &Some(end.clone())).is_lt() {
        let (next, name) = if ty.is_integer() {
            let value: i128 = lower
                .parse()
                .map_err(|_| SqlError::analysis("bad integer bound"))?;
            // Named by both ends; the last one ends where all of them do.
            let next = value + i128::from(interval);
            let last: i128 = end
                .parse()
                .map_err(|_| SqlError::analysis("bad integer bound"))?;
            (next.to_string(), format!("p_{lower}_{}", next.min(last)))
        } else {
            let unit = unit.unwrap_or("DAY");
            let next = dates::next_step(&lower, interval, unit)
                .ok_or_else(|| SqlError::analysis(format!("bad step {interval} {unit}")))?;
            (
                canonical(&next)?,
                format!("p_{}", dates::step_name(&lower, unit)),
            )
        };
        // Doris lets days run over the end.
        let by_day = unit.is_some_and(|u| u.eq_ignore_ascii_case("day")) && !ty.is_integer();
        let beyond = ty.compare(&Some(next.clone()), &Some(end.clone())).is_gt();
        let next = if beyond && !by_day { end.clone() } else { next };
        out.push((
            name,
            PartitionItem::Range {
                lower: vec![Bound::Value(lower)],
                upper: vec![Bound::Value(next.clone())],
            },
        ));
        if out.len() > MAX_STEPS {
            return Err(SqlError::analysis("too many partitions in one step"));
        }
        lower = next;
    }
    Ok(out)
}

/// Ids, tablets and replicas of a partition; replicas go round over the alive backends.
pub fn build(
    state: &mut FeState,
    spec: PartitionSpec,
    indexes: &[IndexMeta],
    backends: &[i64],
    now_ms: i64,
) -> Result<Partition, SqlError> {
    let replicas = spec.replicas as usize;
    enough_backends(spec.replicas, backends.len(), &spec.medium)?;
    let id = state.new_id();
    let mut materialized = Vec::with_capacity(indexes.len());
    for index in indexes {
        let mut tablets = Vec::with_capacity(spec.distribution.buckets as usize);
        for _ in 0..spec.distribution.buckets {
            let tablet = state.new_id();
            let start = state.next_backend();
            let replicas = (0..replicas)
                .map(|i| Replica {
                    id: state.new_id(),
                    backend_id: backends[(start + i) % backends.len()],
                    version: 1,
                    bad: false,
                })
                .collect();
            tablets.push(Tablet {
                id: tablet,
                replicas,
            });
        }
        materialized.push(MaterializedIndex {
            id: index.id,
            tablets,
        });
    }
    Ok(Partition {
        id,
        name: spec.name,
        item: spec.item,
        is_temp: spec.temp,
        visible_version: 1,
        visible_version_time: now_ms,
        next_version: 2,
        distribution: spec.distribution,
        replication_num: spec.replicas,
        storage_medium: spec.medium,
        cooldown_ms: NEVER_MS,
        storage_policy: String::new(),
        indexes: materialized,
    })
}

/// CREATE tasks of a partition: (backend, spec).
#[must_use]
pub fn tablet_specs(
    table: &OlapTable,
    partition: &Partition,
    binlog_enabled: bool,
    restore: bool,
) -> Vec<(i64, TabletSpec)> {
    let mut out = Vec::new();
    for index in &partition.indexes {
        let schema = Arc::new(table.index_schema(index.id).clone());
        for tablet in &index.tablets {
            for replica in &tablet.replicas {
                out.push((
                    replica.backend_id,
                    TabletSpec {
                        tablet_id: tablet.id,
                        replica_id: replica.id,
                        table_id: table.id,
                        partition_id: partition.id,
                        index_id: index.id,
                        schema: Arc::clone(&schema),
                        binlog_enabled,
                        initial_version: partition.visible_version,
                        in_restore_mode: restore,
                        base_tablet: None,
                    },
                ));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use dorisim_sql::ast::{PartitionDef, Properties};

    fn one(name: &str, values: PartitionValues) -> Clause {
        Clause::One(PartitionDef {
            if_not_exists: false,
            name: name.to_owned(),
            values,
            properties: Properties::new(),
        })
    }

    fn value(text: &str) -> PartitionValue {
        PartitionValue::Value(text.to_owned())
    }

    #[test]
    fn less_than_follows_what_is_there() {
        let kind = PartitionKind::Range(vec!["d".to_owned()]);
        let types = [DataType::Date];
        let clauses = [
            one("p1", PartitionValues::LessThan(vec![value("2024-02-01")])),
            one("p2", PartitionValues::LessThan(vec![value("2024-03-01")])),
            one("p3", PartitionValues::LessThan(vec![PartitionValue::Max])),
        ];
        let texts: Vec<String> = resolve(&kind, &types, &clauses, &[])
            .unwrap()
            .iter()
            .map(|(_, i, _)| i.range_text(&types))
            .collect();
        assert_eq!(
            texts[0],
            "[types: [DATEV2]; keys: [0000-01-01]; ..types: [DATEV2]; keys: [2024-02-01]; )"
        );
        assert_eq!(
            texts[1],
            "[types: [DATEV2]; keys: [2024-02-01]; ..types: [DATEV2]; keys: [2024-03-01]; )"
        );
        assert_eq!(
            texts[2],
            "[types: [DATEV2]; keys: [2024-03-01]; ..types: [DATEV2]; keys: [MAXVALUE]; )"
        );
    }

    #[test]
    fn overlaps_and_duplicate_names_are_refused() {
        let kind = PartitionKind::Range(vec!["k".to_owned()]);
        let fixed = |a: &str, b: &str| PartitionValues::Fixed {
            lower: vec![value(a)],
            upper: vec![value(b)],
        };
        let types = [DataType::Int];
        assert!(
            resolve(
                &kind,
                &types,
                &[one("a", fixed("1", "5")), one("b", fixed("4", "9"))],
                &[]
            )
            .is_err()
        );
        assert!(
            resolve(
                &kind,
                &types,
                &[one("a", fixed("1", "5")), one("A", fixed("5", "9"))],
                &[]
            )
            .is_err()
        );
        assert!(resolve(&kind, &types, &[one("a", fixed("5", "1"))], &[]).is_err());
    }

    #[test]
    fn steps_are_named_by_their_start() {
        let kind = PartitionKind::Range(vec!["d".to_owned()]);
        let step = Clause::Step {
            from: vec![value("2024-01-01")],
            to: vec![value("2024-03-01")],
            interval: 1,
            unit: Some("MONTH".to_owned()),
        };
        let made = resolve(&kind, &[DataType::Date], &[step], &[]).unwrap();
        let names: Vec<&str> = made.iter().map(|(n, ..)| n.as_str()).collect();
        assert_eq!(names, ["p_202401", "p_202402"]);
        let step = Clause::Step {
            from: vec![value("0")],
            to: vec![value("25")],
            interval: 10,
            unit: None,
        };
        let made = resolve(&kind, &[DataType::Int], &[step], &[]).unwrap();
        assert!(
            made[2]
                .1
                .range_text(&[DataType::Int])
                .ends_with("keys: [25]; )")
        );
    }
}
