//! What must be equal in the end: names, columns, partitions, indexes, rowsets of every tablet in the order of their commits, views.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::jobs::{DATABASE, Job, Kind, SOURCE};
use super::known::Known;
use crate::doris::catalog::Table;
use crate::doris::database::Database;
use crate::doris::print;
use crate::world::State;

/// Compares a job's destination with the source. Returns the first differences, none when they are equal.
pub fn differences(state: &State, job: &Job, avoided: Known) -> Vec<String> {
    let source = state
        .clusters
        .get(SOURCE)
        .and_then(|c| c.databases.get(DATABASE));
    let Some(source) = source else {
        return vec!["the source is gone".to_owned()];
    };
    let dest = state
        .clusters
        .get(&job.cluster)
        .and_then(|c| c.databases.get(&job.database));
    let Some(dest) = dest else {
        return vec!["the destination database is not there".to_owned()];
    };
    let wanted: BTreeMap<String, String> = shown(source, &job.database)
        .into_iter()
        .filter_map(|(name, text)| Some((job.dest_name(&name)?.to_owned(), text)))
        .collect();
    let mut found = shown(dest, &job.database);
    match &job.kind {
        Kind::Database => {}
        Kind::Filter(tables) => found.retain(|name, _| tables.contains(name)),
        Kind::Table { to, .. } => found.retain(|name, _| name == to),
    }
    let mut differences = Vec::new();
    for (name, text) in &wanted {
        match found.get(name) {
            None => differences.push(format!("{name} is missing")),
            Some(other) if other != text => {
                let line = text
                    .lines()
                    .zip(other.lines())
                    .find(|(a, b)| a != b)
                    .map_or_else(
                        || format!("source {text:?} destination {other:?}"),
                        |(a, b)| format!("source {a:?} destination {b:?}"),
                    );
                differences.push(format!("{name}: {line}"));
            }
            Some(_) => {}
        }
    }
    for name in found.keys().filter(|name| !wanted.contains_key(*name)) {
        differences.push(format!("{name} should not be there"));
    }
    if !avoided.staging_left_over {
        let staged = dest.tables.values().filter(|t| t.name.starts_with("__"));
        differences.extend(staged.map(|table| format!("{} was left over", table.name)));
    }
    differences.dedup();
    differences
}

/// Everything that must be equal, by name.
fn shown(database: &Database, as_database: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for table in database.tables.values() {
        if !table.name.starts_with("__") {
            all.insert(table.name.clone(), table_text(table));
        }
    }
    for view in database.views.values() {
        let select = print::requalified(&view.select, as_database);
        all.insert(view.name.clone(), format!("view {select}"));
    }
    all
}

fn table_text(table: &Table) -> String {
    let mut text = String::new();
    // Writing into a String can not fail.
    for column in &table.columns {
        let _ = writeln!(
            text,
            "column {} {} id {}",
            column.name, column.kind, column.uid
        );
    }
    let mut secondary = table.secondary.clone();
    secondary.sort_by(|a, b| a.name.cmp(&b.name));
    for index in &secondary {
        let _ = writeln!(
            text,
            "index {} of {} id {}",
            index.name, index.column, index.id
        );
    }
    let _ = writeln!(text, "comment {}", table.comment);
    if table.partitioned {
        let _ = writeln!(text, "buckets of new partitions {}", table.buckets);
    }
    for partition in table.ordinary_partitions() {
        let name = if table.partitioned {
            partition.name.as_str()
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "partition {name} {} version {}",
            partition.range_text(),
            partition.visible
        );
        let mut indexes: Vec<_> = table.indexes.iter().filter(|i| !i.shadow).collect();
        indexes.sort_by_key(|index| (index.id != table.base, index.name.clone()));
        for index in indexes {
            let name = if index.id == table.base {
                "base"
            } else {
                &index.name
            };
            for (bucket, tablet) in partition
                .tablets
                .get(&index.id)
                .into_iter()
                .flatten()
                .enumerate()
            {
                let rowsets: Vec<String> = tablet
                    .rowsets
                    .iter()
                    .map(|rowset| format!("{}:{}", rowset.tablet, rowset.version))
                    .collect();
                let _ = writeln!(
                    text,
                    "partition {} index {name} bucket {bucket}: {}",
                    partition.range_text(),
                    rowsets.join(" ")
                );
            }
        }
    }
    text
}
