//! Source ids -> destination ids. A miss is a value: the caller reads the layout again before it gives up.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use ccr_doris::{IndexMeta, TableMeta};
use ccr_schemas::event::{
    IndexRowsets, PartitionRowsets, Presence, RowsetsCommitted, TableRowsets,
};
use ccr_schemas::{BackendId, PartitionId, TableId, TabletId, TxnId};

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
/// [`Miss`] names the first thing without a counterpart.
pub fn map(
    event: &RowsetsCommitted,
    takes: &BTreeSet<TableId>,
    gone: &BTreeSet<PartitionId>,
    layouts: &BTreeMap<TableId, Arc<Layout>>,
) -> Result<Mapped, Miss> {
    let mut mapped = Mapped {
        plan: IngestPlan {
            sub_txns: event.sub_txns.len(),
            ..IngestPlan::default()
        },
        left_out: BTreeMap::new(),
    };
    for rowsets in event.tables.iter().filter(|t| takes.contains(&t.table.id)) {
        let mut needed =
            rowsets
                .partitions
                .iter()
                .filter(|p| match left_out(p).or(removed_later(p, gone)) {
                    None => true,
                    Some(reason) => {
                        *mapped.left_out.entry(reason).or_default() += 1;
                        false
                    }
                });
        let Some(first) = needed.next() else { continue };
        let layout = layouts.get(&rowsets.table.id).ok_or_else(|| Miss {
            table: rowsets.table.id,
            what: format!("table `{}` is not at the destination", rowsets.table.name),
        })?;
        let dest_table = Dest(layout.table.id);
        if !mapped.plan.tables.contains(&dest_table) {
            mapped.plan.tables.push(dest_table);
        }
        for partition in std::iter::once(first).chain(needed) {
            let part = map_partition(rowsets, partition, &event.sub_txns, layout)?;
            mapped.plan.parts.push(part);
        }
    }
    Ok(mapped)
}

fn map_partition(
    rowsets: &TableRowsets,
    source: &PartitionRowsets,
    sub_txns: &[TxnId],
    layout: &Layout,
) -> Result<IngestPart, Miss> {
    let miss = |what: String| Miss {
        table: rowsets.table.id,
        what,
    };
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
    let mut tablets = Vec::new();
    for index in &source.indexes {
        let dest = find_index(index, &found.indexes, &layout.table.name).ok_or_else(|| {
            miss(format!(
                "table `{}`, partition `{}`: no index `{}` at the destination",
                rowsets.table.name, source.name, index.name
            ))
        })?;
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
    Ok(IngestPart {
        table: Dest(layout.table.id),
        sub_txn,
        source_partition: source.partition_id,
        partition: Dest(found.id),
        version: source.version,
        dest_version: found.visible_version,
        tablets,
    })
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

fn find_index<'a>(
    source: &IndexRowsets,
    indexes: &'a [IndexMeta],
    table: &str,
) -> Option<&'a IndexMeta> {
    let wanted = if source.is_base { table } else { &source.name };
    indexes.iter().find(|index| index.name == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccr_doris::{PartitionMeta, ReplicaMeta, TabletMeta};
    use ccr_schemas::IndexId;
    use ccr_schemas::event::{TableRef, TabletReplicas};

    fn layout(name: &str, partitions: &[(i64, &str, &str, usize)]) -> Arc<Layout> {
        Arc::new(Layout {
            table: TableMeta {
                id: TableId(900),
                name: name.to_owned(),
                kind: "OLAP".to_owned(),
                partitions: partitions
                    .iter()
                    .map(|(id, name_p, range, buckets)| PartitionMeta {
                        id: PartitionId(*id),
                        name: (*name_p).to_owned(),
                        range: (*range).to_owned(),
                        visible_version: 1,
                        indexes: vec![IndexMeta {
                            id: IndexId(id + 1),
                            name: name.to_owned(),
                            tablets: (0..*buckets)
                                .map(|n| TabletMeta {
                                    id: TabletId(id * 100 + n as i64),
                                    replicas: vec![ReplicaMeta {
                                        id: 1,
                                        backend: BackendId(5),
                                        version: 1,
                                    }],
                                })
                                .collect(),
                        }],
                    })
                    .collect(),
            },
        })
    }

    fn event(name: &str, range: &str, presence: Presence) -> RowsetsCommitted {
        RowsetsCommitted {
            txn_id: TxnId(1),
            label: "l".to_owned(),
            sub_txns: vec![],
            backends: vec![],
            tables: vec![TableRowsets {
                table: TableRef {
                    id: TableId(7),
                    name: "src".to_owned(),
                },
                partitions: vec![PartitionRowsets {
                    partition_id: PartitionId(71),
                    name: name.to_owned(),
                    range: range.to_owned(),
                    version: 3,
                    is_temp: false,
                    sub_txn: TxnId(-1),
                    presence,
                    indexes: vec![IndexRowsets {
                        index_id: IndexId(72),
                        name: "src".to_owned(),
                        is_base: true,
                        tablets: vec![
                            TabletReplicas {
                                tablet_id: TabletId(10),
                                backends: vec![BackendId(1)],
                            },
                            TabletReplicas {
                                tablet_id: TabletId(11),
                                backends: vec![BackendId(1)],
                            },
                        ],
                    }],
                }],
            }],
        }
    }

    fn run(event: &RowsetsCommitted, layout: Arc<Layout>) -> Result<Mapped, Miss> {
        map(
            event,
            &BTreeSet::from([TableId(7)]),
            &BTreeSet::new(),
            &BTreeMap::from([(TableId(7), layout)]),
        )
    }

    #[test]
    fn partitions_are_matched_by_range_and_tablets_by_position() {
        let dest = layout("dst", &[(30, "other", "r1", 2), (31, "p", "r2", 2)]);
        let mapped = run(&event("p", "r1", Presence::Present), dest).unwrap();
        assert_eq!(mapped.plan.tables, [Dest(TableId(900))]);
        let part = &mapped.plan.parts[0];
        assert_eq!(part.partition, Dest(PartitionId(30)));
        let pairs: Vec<_> = part
            .tablets
            .iter()
            .map(|t| (t.source.0, t.dest.0.0))
            .collect();
        assert_eq!(pairs, [(10, 3000), (11, 3001)]);
    }

    #[test]
    fn an_unpartitioned_table_matches_whatever_its_partition_is_called() {
        let mapped = run(
            &event("src", "", Presence::Present),
            layout("dst", &[(30, "dst", "", 2)]),
        );
        assert_eq!(
            mapped.unwrap().plan.parts[0].partition,
            Dest(PartitionId(30))
        );
    }

    #[test]
    fn what_has_no_counterpart_is_named() {
        let miss = run(
            &event("p", "r9", Presence::Present),
            layout("dst", &[(30, "p", "r1", 2)]),
        )
        .unwrap_err();
        assert_eq!(
            miss.what,
            "table `src`: no partition `p` with range \"r9\" at the destination"
        );
        let miss = run(
            &event("p", "r1", Presence::Present),
            layout("dst", &[(30, "p", "r1", 3)]),
        )
        .unwrap_err();
        assert!(
            miss.what
                .contains("2 buckets at the source, 3 at the destination")
        );
    }

    #[test]
    fn data_that_is_gone_is_left_out_with_a_reason() {
        let mapped = run(
            &event("p", "r1", Presence::DroppedAt(ccr_schemas::CommitSeq(9))),
            layout("dst", &[]),
        )
        .unwrap();
        assert!(mapped.plan.parts.is_empty());
        assert_eq!(mapped.left_out["partition dropped later"], 1);
    }
}
