//! Questions: SHOW, DESC, and the meta of getMeta.

use std::collections::BTreeMap;

use ccr_doris::error::Refusal;
use ccr_doris::{
    BackendMeta, DatabaseMeta, IndexMeta, PartitionMeta, ReplicaMeta, Row, TableMeta, TabletMeta,
    TxnState,
};
use ccr_schemas::{BackendId, CommitSeq, DbId, IndexId, PartitionId, TableId, TabletId};

use super::catalog::{Partition, Table};
use super::cluster::{Cluster, Refused};
use super::database::Database;

/// The start of a statement that the model does not know.
pub const UNKNOWN: &str = "the model does not know the statement";

fn row(columns: &[(&str, &str)]) -> Row {
    columns
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned())))
        .collect()
}

/// Names in back quotes.
fn quoted(sql: &str) -> Vec<String> {
    sql.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The value of a condition `WHERE x = 'value'`.
fn condition(sql: &str) -> Option<String> {
    let (_, after) = sql.split_once(" WHERE ")?;
    after.split(['\'', '"']).nth(1).map(str::to_owned)
}

impl Cluster {
    /// Runs a query in a database.
    pub fn query(&self, database: Option<&str>, sql: &str) -> Result<Vec<Row>, Refused> {
        let names = quoted(sql);
        let first = || names.first().map_or("", String::as_str);
        let last = || names.last().map_or("", String::as_str);
        let of_table = || {
            let wanted = match names.as_slice() {
                [database, _] => Some(database.as_str()),
                _ => database,
            };
            let found = self.database(wanted.unwrap_or_default())?;
            found
                .table_named(last())
                .ok_or_else(|| Refused::no_table(last()))
        };
        if sql.starts_with("SHOW CREATE DATABASE ") {
            self.database(first())?;
            let text = format!(
                "CREATE DATABASE `{}` PROPERTIES (\"binlog.enable\" = \"true\")",
                first()
            );
            return Ok(vec![row(&[
                ("Database", first()),
                ("Create Database", &text),
            ])]);
        }
        if sql.starts_with("SHOW TABLES FROM ") {
            let column = format!("Tables_in_{}", first());
            let found = self.database(first())?;
            return Ok(found
                .names()
                .iter()
                .map(|name| row(&[(&column, name)]))
                .collect());
        }
        if sql.starts_with("SHOW FULL TABLES FROM ") {
            let column = format!("Tables_in_{}", first());
            let found = self.database(first())?;
            let kind = |name: &str| {
                if found.view_named(name).is_some() {
                    "VIEW"
                } else {
                    "BASE TABLE"
                }
            };
            let names = found.names();
            return Ok(names
                .iter()
                .map(|name| row(&[(&column, name), ("Table_type", kind(name))]))
                .collect());
        }
        if sql.starts_with("SHOW RESTORE FROM ") {
            return Ok(restores(self.database(first())?, condition(sql)));
        }
        if sql.starts_with("SHOW BACKUP FROM ") {
            return Ok(backups(self.database(first())?, condition(sql)));
        }
        if sql.starts_with("SHOW CREATE TABLE ") {
            let text = super::print::create_table(of_table()?);
            return Ok(vec![row(&[("Table", last()), ("Create Table", &text)])]);
        }
        if sql.starts_with("DESC ") {
            let table = of_table()?;
            return Ok(table
                .columns
                .iter()
                .map(|column| {
                    let key = if column.key { "true" } else { "false" };
                    row(&[
                        ("Field", &column.name),
                        ("Type", &column.kind),
                        ("Key", key),
                    ])
                })
                .collect());
        }
        if sql.starts_with("SHOW INDEX FROM ") {
            let table = of_table()?;
            return Ok(table
                .secondary
                .iter()
                .map(|index| row(&[("Key_name", &index.name)]))
                .collect());
        }
        if sql.starts_with("SHOW PARTITIONS FROM ") {
            let table = of_table()?;
            return Ok(table
                .ordinary_partitions()
                .into_iter()
                .map(|partition| row(&[("PartitionName", &partition.name)]))
                .collect());
        }
        if sql.starts_with("SHOW FRONTENDS") {
            return Ok(vec![row(&[
                ("Host", &self.name),
                ("QueryPort", "9030"),
                ("RpcPort", "9020"),
                ("IsMaster", "true"),
                ("Alive", "true"),
                ("ClusterId", &self.id().to_string()),
            ])]);
        }
        if let Some(path) = sql.strip_prefix("SHOW PROC '/transactions/") {
            return self.proc_transactions(path.trim_end_matches('\''));
        }
        if sql.starts_with("SHOW PROC '/dbs/") {
            let id = sql
                .trim_end_matches('\'')
                .rsplit('/')
                .next()
                .unwrap_or_default();
            let found = self.databases.values().find(|d| d.id.to_string() == id);
            let found =
                found.ok_or_else(|| Refused::new(Refusal::UnknownDatabase, "unknown database"))?;
            return Ok(proc_tables(found));
        }
        if sql.starts_with("SHOW PROC '/dbs'") {
            return Ok(self
                .databases
                .values()
                .map(|d| row(&[("DbId", &d.id.to_string()), ("DbName", &d.name)]))
                .collect());
        }
        Err(Refused::other(format!("{UNKNOWN}: {sql}")))
    }

    /// Lists transactions of a database, the newest first: `path` is its id, then `running` (not visible yet) or `finished`.
    fn proc_transactions(&self, path: &str) -> Result<Vec<Row>, Refused> {
        let (id, phase) = path.split_once('/').unwrap_or((path, ""));
        let found = self.databases.values().find(|d| d.id.to_string() == id);
        let found =
            found.ok_or_else(|| Refused::new(Refusal::UnknownDatabase, "unknown database"))?;
        let of_phase = |state: TxnState| match state {
            TxnState::Prepare | TxnState::Precommitted | TxnState::Committed => phase == "running",
            TxnState::Visible | TxnState::Aborted => phase == "finished",
            TxnState::Unknown => false,
        };
        let listed = self.txns.values().rev();
        Ok(listed
            .filter(|txn| txn.database == found.name && of_phase(txn.state))
            .map(|txn| {
                row(&[
                    ("TransactionId", &txn.id.to_string()),
                    ("Label", &txn.label),
                    ("TransactionStatus", txn_state_name(txn.state)),
                ])
            })
            .collect())
    }

    /// Id of the cluster.
    pub fn id(&self) -> i64 {
        self.name
            .bytes()
            .fold(7, |sum, byte| (sum * 31 + i64::from(byte)) % 1_000_000_007)
    }

    /// getMeta.
    pub fn meta(&self, database: &str, tables: Option<&[TableId]>) -> Option<DatabaseMeta> {
        let found = self.databases.get(database)?;
        let wanted = |table: &&Table| tables.is_none_or(|ids| ids.contains(&TableId(table.id)));
        let dropped = |map: &BTreeMap<i64, i64>| -> Vec<(i64, CommitSeq)> {
            map.iter().map(|(id, at)| (*id, CommitSeq(*at))).collect()
        };
        let stream = &found.stream;
        Some(DatabaseMeta {
            id: Some(DbId(found.id)),
            name: found.name.clone(),
            tables: found
                .tables
                .values()
                .filter(wanted)
                .map(table_meta)
                .collect(),
            dropped_partitions: dropped(&stream.dropped_partitions)
                .into_iter()
                .map(|(id, at)| (PartitionId(id), at))
                .collect(),
            dropped_tables: dropped(&stream.dropped_tables)
                .into_iter()
                .map(|(id, at)| (TableId(id), at))
                .collect(),
            dropped_indexes: dropped(&stream.dropped_indexes)
                .into_iter()
                .map(|(id, at)| (IndexId(id), at))
                .collect(),
        })
    }

    /// getBackendMeta.
    pub fn backend_metas(&self) -> Vec<BackendMeta> {
        self.backends
            .values()
            .map(|node| BackendMeta {
                id: BackendId(node.id),
                host: node.host.clone(),
                be_port: node.be_port,
                http_port: node.http_port,
                alive: node.alive,
            })
            .collect()
    }
}

fn txn_state_name(state: TxnState) -> &'static str {
    match state {
        TxnState::Prepare => "PREPARE",
        TxnState::Precommitted => "PRECOMMITTED",
        TxnState::Committed => "COMMITTED",
        TxnState::Visible => "VISIBLE",
        TxnState::Aborted => "ABORTED",
        TxnState::Unknown => "UNKNOWN",
    }
}

fn table_meta(table: &Table) -> TableMeta {
    TableMeta {
        id: TableId(table.id),
        name: table.name.clone(),
        kind: "OLAP".to_owned(),
        partitions: table
            .partitions
            .values()
            .map(|partition| partition_meta(table, partition))
            .collect(),
    }
}

fn partition_meta(table: &Table, partition: &Partition) -> PartitionMeta {
    PartitionMeta {
        id: PartitionId(partition.id),
        name: partition.name.clone(),
        range: partition.range_text(),
        visible_version: partition.visible,
        indexes: table
            .indexes
            .iter()
            .map(|index| IndexMeta {
                id: IndexId(index.id),
                name: index.name.clone(),
                tablets: partition
                    .tablets
                    .get(&index.id)
                    .into_iter()
                    .flatten()
                    .map(|tablet| TabletMeta {
                        id: TabletId(tablet.id),
                        replicas: tablet
                            .replicas
                            .iter()
                            .map(|replica| ReplicaMeta {
                                id: replica.id,
                                backend: BackendId(replica.backend),
                                version: replica.version,
                            })
                            .collect(),
                    })
                    .collect(),
            })
            .collect(),
    }
}

fn restores(found: &Database, label: Option<String>) -> Vec<Row> {
    found
        .restores
        .iter()
        .filter(|job| label.as_ref().is_none_or(|label| *label == job.label))
        .map(|job| {
            row(&[
                ("JobId", &job.id.to_string()),
                ("Label", &job.label),
                ("State", job.state.name()),
                ("Progress", "\\N"),
                ("TaskErrMsg", "\\N"),
                ("Status", &job.state.status()),
            ])
        })
        .collect()
}

fn backups(found: &Database, label: Option<String>) -> Vec<Row> {
    found
        .backups
        .iter()
        .filter(|job| label.as_ref().is_none_or(|label| *label == job.label))
        .map(|job| {
            row(&[
                ("JobId", &job.id.to_string()),
                ("SnapshotName", &job.label),
                ("State", job.state.name()),
                ("Status", &job.state.status()),
            ])
        })
        .collect()
}

fn proc_tables(found: &Database) -> Vec<Row> {
    let tables = found
        .tables
        .values()
        .map(|table| (table.id, table.name.as_str(), "OLAP"));
    let views = found
        .views
        .values()
        .map(|view| (view.id, view.name.as_str(), "VIEW"));
    tables
        .chain(views)
        .map(|(id, name, kind)| {
            row(&[
                ("TableId", &id.to_string()),
                ("TableName", name),
                ("Type", kind),
            ])
        })
        .collect()
}
