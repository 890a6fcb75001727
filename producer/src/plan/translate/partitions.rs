//! Records about partitions and their buckets.

use ccr_doris::binlog::{
    AddPartition, DistributionInfo, DropPartition, ModifyBucketNum, ModifyPartitions,
    TruncateTable, TruncatedPart,
};
use ccr_schemas::event::{
    BucketCountModified, Distribution, PartitionAdded, PartitionDropped, PartitionRef,
    PartitionsModified, TableTruncated, TruncateScope,
};
use ccr_schemas::{Event, PartitionId, Replay, TableId};

use super::View;
use crate::plan::catalog::Catalog;
use crate::plan::decision::{Translated, reason_for_snapshot, skip, temp_or_sql};

pub(super) fn add_partition(r: &AddPartition, view: &View<'_>) -> Translated {
    let known = view.layouts.partition(r.table_id, r.partition.id);
    let event = Event::PartitionAdded(PartitionAdded {
        table: view.catalog.now(r.table_id, ""),
        partition_id: r.partition.id,
        name: r.partition.name.clone(),
        range: known.map_or_else(String::new, |partition| partition.range.clone()),
        is_temp: r.is_temp(),
        sql: r.sql.clone(),
        distribution: distribution(r.partition.distribution.as_ref()),
    });
    let replay = temp_or_sql(r.is_temp());
    Translated { event, replay }
}

pub(super) fn drop_partition(r: &DropPartition, names: &Catalog) -> Translated {
    let event = Event::PartitionDropped(PartitionDropped {
        table: names.now(r.table_id, ""),
        partition_id: r.partition_id.unwrap_or(PartitionId(-1)),
        name: r.partition_name.clone(),
        is_temp: r.is_temp_partition,
        force: r.is_force(),
    });
    let replay = temp_or_sql(r.is_temp_partition);
    Translated { event, replay }
}

pub(super) fn modify_partitions(r: &ModifyPartitions, view: &View<'_>) -> Translated {
    let id = r.infos.first().map_or(TableId(-1), |info| info.table_id);
    let partitions = r
        .infos
        .iter()
        .map(|info| partition_ref(view, info.table_id, info.partition_id))
        .collect();
    skip(
        Event::PartitionsModified(PartitionsModified {
            table: view.catalog.now(id, ""),
            partitions,
        }),
        "storage medium and cool-down stay the destination's own",
    )
}

pub(super) fn truncated(r: &TruncateTable, names: &Catalog) -> Translated {
    let reference = |(id, name): (PartitionId, String)| PartitionRef { id, name };
    let (partitions, replay) = match r.part() {
        TruncatedPart::EntireTable => (None, Replay::Sql),
        TruncatedPart::Partitions(partitions) => (Some(partitions), Replay::Sql),
        TruncatedPart::TemporaryPartitions(names) => {
            let partitions = names.into_iter().map(|name| (PartitionId(-1), name));
            (Some(partitions.collect()), temp_or_sql(true))
        }
        TruncatedPart::NotSaid => {
            let reason = "the source did not report which partitions were truncated";
            (Some(Vec::new()), reason_for_snapshot(reason))
        }
    };
    let scope = match partitions {
        None => TruncateScope::EntireTable,
        Some(list) => TruncateScope::TruncatedPartitions(list.into_iter().map(reference).collect()),
    };
    let event = Event::TableTruncated(TableTruncated {
        table: names.said(r.table_id, &r.table_name),
        scope,
        force: r.is_force(),
    });
    Translated { event, replay }
}

pub(super) fn bucket_num(r: &ModifyBucketNum, names: &Catalog) -> Event {
    let hash = r.is_hash();
    Event::BucketCountModified(BucketCountModified {
        table: names.now(r.table_id, ""),
        distribution: Distribution {
            hash,
            columns: if hash { r.column_names() } else { Vec::new() },
            buckets: r.bucket_num,
            auto: r.auto_bucket,
        },
    })
}

fn distribution(info: Option<&DistributionInfo>) -> Distribution {
    // Without one the clause has to do as it is; zero buckets say so.
    info.map_or(
        Distribution {
            hash: false,
            columns: Vec::new(),
            buckets: 0,
            auto: false,
        },
        |info| Distribution {
            hash: info.is_hash(),
            columns: info
                .distribution_columns
                .iter()
                .map(|column| column.name.clone())
                .collect(),
            buckets: info.bucket_num,
            auto: info.auto_bucket,
        },
    )
}

fn partition_ref(view: &View<'_>, table: TableId, id: PartitionId) -> PartitionRef {
    let known = view.layouts.partition(table, id);
    PartitionRef {
        id,
        name: known.map_or_else(String::new, |partition| partition.name.clone()),
    }
}
