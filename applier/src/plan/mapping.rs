//! Source ids -> destination ids. A miss is a value: the caller reads the layout again before it gives up.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use ccr_doris::{IndexMeta, TableMeta};
use ccr_schemas::event::{
    IndexRowsets, PartitionRowsets, Presence, RowsetsCommitted, TableRowsets,
};
use ccr_schemas::{BackendId, PartitionId, TableId, TabletId, TxnId};

use crate::plan::removal::{RollupChange, rollup_life};

/// An id of the destination cluster; without the wrapper ids are the source's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dest<T>(pub T);

impl<T: fmt::Display> fmt::Display for Dest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dest {}", self.0)
    }
}

/// A destination table as last read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Table with its partitions, all ids of the destination.
    pub table: TableMeta,
}

/// What to ingest for one transaction.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct IngestPlan {
    /// Destination tables, each once.
    pub tables: Vec<Dest<TableId>>,
    /// Partition by partition.
    pub parts: Vec<IngestPart>,
    /// Number of sub-transactions, 0 for an ordinary transaction.
    pub sub_txns: usize,
}

/// One partition of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestPart {
    /// Source table.
    pub source_table: TableId,
    /// Destination table.
    pub table: Dest<TableId>,
    /// Position of the source sub-transaction, when there are any.
    pub sub_txn: Option<usize>,
    /// Source partition.
    pub source_partition: PartitionId,
    /// Destination partition.
    pub partition: Dest<PartitionId>,
    /// Version of the source partition: names the rowset.
    pub version: i64,
    /// Visible version of the destination partition when the layout was read.
    pub dest_version: i64,
    /// Tablets of all indexes.
    pub tablets: Vec<TabletPair>,
}

/// A source tablet and its counterpart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TabletPair {
    /// Source tablet.
    pub source: TabletId,
    /// Source backends that hold the rowset.
    pub source_backends: Vec<BackendId>,
    /// Destination tablet.
    pub dest: Dest<TabletId>,
    /// Destination backends with a replica.
    pub dest_backends: Vec<Dest<BackendId>>,
}

/// Something has no counterpart at the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// Source table.
    pub table: TableId,
    /// What, for people.
    pub what: String,
    /// The destination has a rollup that the transaction did not write: the event that drops it may be on its way.
    pub is_surplus: bool,
}

/// Why a transaction cannot be mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmapped {
    /// The layouts do not fit.
    Miss(Miss),
    /// The source has dropped this rollup since, and its data with it: it must go first.
    Obsolete {
        /// Source table.
        table: TableId,
        /// Name of the destination table.
        dest: String,
        /// Name of the rollup there.
        rollup: String,
    },
}

/// What happens to the rollups of the tables of a transaction after it.
#[derive(Clone, Debug, Default)]
pub struct Later {
    /// By source table, in order.
    pub changes: BTreeMap<TableId, Vec<RollupChange>>,
    /// The source has no data any more of the rollups that are dropped.
    pub without_dropped: bool,
}

/// Result of mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// What to ingest; empty when nothing is left.
    pub plan: IngestPlan,
    /// Partitions left out, by reason.
    pub left_out: BTreeMap<&'static str, u64>,
}

/// Why a partition of a transaction needs no ingest, if so. Decided from the event alone.
pub fn left_out(partition: &PartitionRowsets) -> Option<&'static str> {
    if partition.is_temp {
        return Some("temporary partition");
    }
    match &partition.presence {
        Presence::Present => None,
        Presence::DroppedAt(_) => Some("partition dropped later"),
        Presence::Unknown => Some("partition unknown at the source"),
    }
}

fn removed_later(
    partition: &PartitionRowsets,
    gone: &BTreeSet<PartitionId>,
) -> Option<&'static str> {
    gone.contains(&partition.partition_id)
        .then_some("data gone at the source and removed by a later event")
}

/// Maps the tables of `takes` of a transaction, without the partitions of `gone`.
///
/// # Errors
/// [`Unmapped`] names the first thing without a counterpart.
pub fn map(
    event: &RowsetsCommitted,
    takes: &BTreeSet<TableId>,
    gone: &BTreeSet<PartitionId>,
    layouts: &BTreeMap<TableId, Arc<Layout>>,
    later: &Later,
) -> Result<Mapped, Unmapped> {
    let mut mapped = Mapped {
        plan: IngestPlan {
            sub_txns: event.sub_txns.len(),
            ..IngestPlan::default()
        },
        left_out: BTreeMap::new(),
    };
    for rowsets in event.tables.iter().filter(|t| takes.contains(&t.table.id)) {
        let mut needed = Vec::new();
        for partition in &rowsets.partitions {
            match left_out(partition).or(removed_later(partition, gone)) {
                None => needed.push(partition),
                Some(reason) => *mapped.left_out.entry(reason).or_default() += 1,
            }
        }
        if needed.is_empty() {
            continue;
        }
        let layout = layouts.get(&rowsets.table.id).ok_or_else(|| {
            let what = format!("table `{}` is not at the destination", rowsets.table.name);
            miss(rowsets.table.id, what)
        })?;
        let dest_table = Dest(layout.table.id);
        if !mapped.plan.tables.contains(&dest_table) {
            mapped.plan.tables.push(dest_table);
        }
        for partition in needed {
            let (part, rollups) =
                map_partition(rowsets, partition, &event.sub_txns, layout, later)?;
            if rollups > 0 {
                *mapped.left_out.entry("rollup dropped later").or_default() += rollups;
            }
            mapped.plan.parts.push(part);
        }
    }
    Ok(mapped)
}

fn miss(table: TableId, what: String) -> Unmapped {
    Unmapped::Miss(Miss {
        table,
        what,
        is_surplus: false,
    })
}

/// The partition, and how many rollups are left out.
fn map_partition(
    rowsets: &TableRowsets,
    source: &PartitionRowsets,
    sub_txns: &[TxnId],
    layout: &Layout,
    later: &Later,
) -> Result<(IngestPart, u64), Unmapped> {
    let miss = |what: String| miss(rowsets.table.id, what);
    let found = find_partition(source, layout).ok_or_else(|| {
        miss(format!(
            "table `{}`: no partition `{}` with range {:?} at the destination",
            rowsets.table.name, source.name, source.range
        ))
    })?;
    let sub_txn = if sub_txns.is_empty() {
        None
    } else {
        let position = sub_txns.iter().position(|id| *id == source.sub_txn);
        Some(position.ok_or_else(|| {
            miss(format!(
                "table `{}`: partition `{}` names sub-transaction {} that the transaction does not have",
                rowsets.table.name, source.name, source.sub_txn
            ))
        })?)
    };
    let pairs = pair_indexes(rowsets, source, &found.indexes, &layout.table.name, later)?;
    let left_out = source.indexes.len() - pairs.len();
    let mut tablets = Vec::new();
    for (index, dest) in pairs {
        if dest.tablets.len() != index.tablets.len() {
            return Err(miss(format!(
                "table `{}`, partition `{}`, index `{}`: {} buckets at the source, {} at the destination",
                rowsets.table.name,
                source.name,
                index.name,
                index.tablets.len(),
                dest.tablets.len()
            )));
        }
        for (source_tablet, dest_tablet) in index.tablets.iter().zip(&dest.tablets) {
            tablets.push(TabletPair {
                source: source_tablet.tablet_id,
                source_backends: source_tablet.backends.clone(),
                dest: Dest(dest_tablet.id),
                dest_backends: dest_tablet
                    .replicas
                    .iter()
                    .map(|r| Dest(r.backend))
                    .collect(),
            });
        }
    }
    let part = IngestPart {
        source_table: rowsets.table.id,
        table: Dest(layout.table.id),
        sub_txn,
        source_partition: source.partition_id,
        partition: Dest(found.id),
        version: source.version,
        dest_version: found.visible_version,
        tablets,
    };
    Ok((part, u64::try_from(left_out).unwrap_or(u64::MAX)))
}

/// The base index bears the table's name. A rollup is known by its name, which the source may have changed since, so that
/// the transaction can show a later one. Every index of the destination must be written: a commit needs them all.
fn pair_indexes<'a>(
    rowsets: &TableRowsets,
    source: &'a PartitionRowsets,
    dest: &'a [IndexMeta],
    table: &str,
    later: &Later,
) -> Result<Vec<(&'a IndexRowsets, &'a IndexMeta)>, Unmapped> {
    let of = rowsets.table.id;
    let changes = later.changes.get(&of).map_or(&[][..], Vec::as_slice);
    let mut pairs: Vec<(&IndexRowsets, &IndexMeta)> = Vec::new();
    for index in dest.iter().filter(|index| !index.is_shadow()) {
        if index.name == table {
            pairs.extend(
                source
                    .indexes
                    .iter()
                    .find(|i| i.is_base)
                    .map(|i| (i, index)),
            );
            continue;
        }
        let (names, dropped) = rollup_life(&index.name, changes);
        let written = source.indexes.iter().find(|i| {
            !i.is_base && (names.contains(i.name.as_str()) || dropped == Some(i.index_id))
        });
        match (written, dropped) {
            (Some(written), None) => pairs.push((written, index)),
            (Some(written), Some(_)) if !later.without_dropped => pairs.push((written, index)),
            (_, Some(_)) => {
                return Err(Unmapped::Obsolete {
                    table: of,
                    dest: table.to_owned(),
                    rollup: index.name.clone(),
                });
            }
            (None, None) => {
                return Err(Unmapped::Miss(Miss {
                    table: of,
                    what: format!(
                        "table `{}`, partition `{}`: the destination has a rollup `{}` that the source does not have",
                        rowsets.table.name, source.name, index.name
                    ),
                    is_surplus: true,
                }));
            }
        }
    }
    for index in &source.indexes {
        let is_paired = pairs
            .iter()
            .any(|(paired, _)| paired.index_id == index.index_id);
        let goes = changes.iter().any(
            |change| matches!(change, RollupChange::Dropped { id, .. } if *id == index.index_id),
        );
        if !is_paired && (index.is_base || !goes) {
            let what = format!(
                "table `{}`, partition `{}`: no index `{}` at the destination",
                rowsets.table.name, source.name, index.name
            );
            return Err(miss(of, what));
        }
    }
    Ok(pairs)
}

/// By range text. Temporary partitions of the destination can bear the same text: then the one of the same name is meant.
/// An unpartitioned table has a single partition; where the source gave no range text, the name decides.
fn find_partition<'a>(
    source: &PartitionRowsets,
    layout: &'a Layout,
) -> Option<&'a ccr_doris::PartitionMeta> {
    let all = &layout.table.partitions;
    let mut by_range = all.iter().filter(|p| p.range == source.range);
    let by_name = || all.iter().find(|p| p.name == source.name);
    match (by_range.next(), by_range.next()) {
        (Some(only), None) => Some(only),
        (Some(first), Some(_)) => all
            .iter()
            .find(|p| p.range == source.range && p.name == source.name)
            .or(Some(first)),
        (None, _) if source.range.is_empty() => match all.as_slice() {
            [only] => Some(only),
            _ => by_name(),
        },
        (None, _) => None,
    }
}

#[cfg(test)]
#[path = "mapping_test.rs"]
mod tests;
