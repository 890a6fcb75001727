//! Loads of the cluster's own users.

use std::collections::BTreeMap;

use ccr_doris::TxnState;

use super::catalog::{Rowset, TableState};
use super::cluster::{Cluster, Refused};
use super::txn::{Part, Txn};

/// One statement of a load: a table and its partitions, by name; temporary ones when `temp` is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadInto {
    /// Table.
    pub table: String,
    /// Partitions.
    pub partitions: Vec<String>,
    /// They are temporary.
    pub temp: bool,
}

impl Cluster {
    /// Loads something into these tables within one transaction. `explicit`: each statement is a sub-transaction.
    pub fn load(
        &mut self,
        database: &str,
        into: &[LoadInto],
        explicit: bool,
        now: i64,
    ) -> Result<(), Refused> {
        let id = self.new_id();
        let mut subs = Vec::new();
        if explicit {
            subs.push(id);
            for _ in 1..into.len() {
                subs.push(self.new_id());
            }
        }
        let mut parts = Vec::new();
        let mut tables = Vec::new();
        let found = self.database(database)?;
        for (n, into) in into.iter().enumerate() {
            let table = found
                .table_named(&into.table)
                .ok_or_else(|| Refused::no_table(&into.table))?;
            if matches!(table.state, TableState::Restoring(_)) {
                return Err(Refused::other("table is in restore process"));
            }
            tables.push(table.id);
            for name in &into.partitions {
                let partition = table.partition_named(name, into.temp).ok_or_else(|| {
                    Refused::new(
                        ccr_doris::error::Refusal::UnknownPartition,
                        format!("Unknown partition {name} in table {}", into.table),
                    )
                })?;
                let tablets: BTreeMap<i64, (Rowset, Vec<i64>)> = partition
                    .all_tablets()
                    .map(|tablet| {
                        let written = Rowset {
                            tablet: tablet.id,
                            version: 0,
                        };
                        (
                            tablet.id,
                            (
                                written,
                                self.writers(tablet.replicas.iter().map(|r| r.backend)),
                            ),
                        )
                    })
                    .collect();
                parts.push(Part {
                    table: table.id,
                    partition: partition.id,
                    range: partition.range_text(),
                    temp: partition.temp,
                    version: 0,
                    sub: subs.get(n).copied().unwrap_or(-1),
                    tablets,
                    indexes: table.indexes.iter().map(|index| index.id).collect(),
                });
            }
        }
        let label = format!("insert_{id}");
        self.database_mut(database)?
            .labels
            .insert(label.clone(), id);
        self.txns.insert(
            id,
            Txn {
                id,
                database: database.to_owned(),
                label,
                state: TxnState::Prepare,
                subs,
                ingested: BTreeMap::new(),
                parts: Vec::new(),
                tables,
            },
        );
        self.commit_parts(id, parts, now);
        Ok(())
    }

    /// Replicas that get the rows: those on living backends, all when none lives.
    fn writers(&self, backends: impl Iterator<Item = i64>) -> Vec<i64> {
        let all: Vec<i64> = backends.collect();
        let alive: Vec<i64> = all
            .iter()
            .copied()
            .filter(|id| self.backends.get(id).is_some_and(|node| node.alive))
            .collect();
        if alive.len() * 2 > all.len() {
            alive
        } else {
            all
        }
    }
}
