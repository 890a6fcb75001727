//! A source in memory: makes events and knows what every table must look like in the end.

use std::collections::BTreeMap;

use ccr_schemas::envelope::SCHEMA_VERSION;
use ccr_schemas::event::{
    BackendAddress, ColumnsChanged, IndexRowsets, PartitionRowsets, Presence, Renamed,
    RollupDropped, RowsetsCommitted, TableCreated, TableDropped, TableRef, TableReplaced,
    TableRowsets, TableTruncated, TabletReplicas, TruncateScope,
};
use ccr_schemas::{
    BackendId, CommitSeq, DbId, Envelope, Event, IndexId, PartitionId, Replay, TableId, TabletId,
    Timeline, TimestampMs, TxnId,
};

use super::{BUCKETS, FakeTable};

pub struct Source {
    seq: i64,
    next_id: i64,
    pub tables: BTreeMap<i64, FakeTable>,
    rng: u64,
}

#[allow(dead_code)]
impl Source {
    pub fn new(seed: u64) -> Self {
        Self {
            seq: 1000,
            next_id: 100,
            tables: BTreeMap::new(),
            rng: seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15),
        }
    }

    pub fn random(&mut self, below: u64) -> u64 {
        self.rng ^= self.rng << 13;
        self.rng ^= self.rng >> 7;
        self.rng ^= self.rng << 17;
        self.rng % below
    }

    fn wrap(&mut self, event: Event, replay: Replay) -> Envelope {
        let prev = self.seq;
        self.seq += 1 + self.random(3) as i64;
        Envelope {
            schema_version: SCHEMA_VERSION,
            source: "c1".to_owned(),
            db_id: DbId(7),
            db_name: "src".to_owned(),
            timeline: Timeline::FIRST,
            commit_seq: CommitSeq(self.seq),
            prev_commit_seq: CommitSeq(prev),
            source_at: TimestampMs(1),
            seen_at: TimestampMs(1),
            binlog_type: 0,
            replay,
            event,
            raw: None,
        }
    }

    pub fn own(&self, event: Event) -> Envelope {
        Envelope {
            schema_version: SCHEMA_VERSION,
            source: "c1".to_owned(),
            db_id: DbId(7),
            db_name: "src".to_owned(),
            timeline: Timeline::FIRST,
            commit_seq: CommitSeq(self.seq),
            prev_commit_seq: CommitSeq(self.seq),
            source_at: TimestampMs(1),
            seen_at: TimestampMs(1),
            binlog_type: -1,
            replay: Replay::Control,
            event,
            raw: None,
        }
    }

    pub fn seq(&self) -> CommitSeq {
        CommitSeq(self.seq)
    }

    pub fn table_ref(&self, id: i64) -> TableRef {
        TableRef {
            id: TableId(id),
            name: self.tables[&id].name.clone(),
        }
    }

    /// A table that exists on both sides from the start.
    pub fn existing(&mut self, name: &str) -> i64 {
        self.next_id += 10;
        let id = self.next_id;
        self.tables.insert(
            id,
            FakeTable {
                name: name.to_owned(),
                columns: vec!["id".to_owned()],
                partition: id + 1,
                version: 1,
                tablets: vec![Vec::new(); BUCKETS as usize],
            },
        );
        id
    }

    pub fn create(&mut self, name: &str) -> Envelope {
        let id = self.existing(name);
        let event = Event::TableCreated(TableCreated {
            table: self.table_ref(id),
            table_type: "OLAP".to_owned(),
            sql: format!("CREATE TABLE `{name}` (`id` int) PROPERTIES (\"a\" = \"b\")"),
            properties: vec![],
        });
        self.wrap(event, Replay::Sql)
    }

    pub fn drop_table(&mut self, id: i64) -> Envelope {
        let event = Event::TableDropped(TableDropped {
            table: self.table_ref(id),
            is_view: false,
            force: false,
        });
        self.tables.remove(&id);
        self.wrap(event, Replay::Sql)
    }

    pub fn truncate(&mut self, id: i64) -> Envelope {
        let event = Event::TableTruncated(TableTruncated {
            table: self.table_ref(id),
            scope: TruncateScope::EntireTable,
            force: false,
        });
        self.next_id += 10;
        let partition = self.next_id + 1;
        let table = self.tables.get_mut(&id).unwrap();
        table.partition = partition;
        table.version = 1;
        table.tablets = vec![Vec::new(); BUCKETS as usize];
        self.wrap(event, Replay::Sql)
    }

    pub fn drop_rollup(&mut self, id: i64, name: &str) -> Envelope {
        let event = Event::RollupDropped(RollupDropped {
            table: self.table_ref(id),
            index_id: IndexId(77),
            name: name.to_owned(),
        });
        self.wrap(event, Replay::Sql)
    }

    pub fn rename_rollup(&mut self, id: i64, old: &str, new: &str) -> Envelope {
        let event = Event::RollupRenamed(Renamed {
            table: self.table_ref(id),
            old: old.to_owned(),
            new: new.to_owned(),
        });
        self.wrap(event, Replay::Sql)
    }

    pub fn rename(&mut self, id: i64, new: &str) -> Envelope {
        let table = self.table_ref(id);
        let event = Event::TableRenamed(Renamed {
            old: table.name.clone(),
            table,
            new: new.to_owned(),
        });
        self.tables.get_mut(&id).unwrap().name = new.to_owned();
        self.wrap(event, Replay::Sql)
    }

    /// Two tables exchange their names.
    pub fn swap(&mut self, original: i64, replacement: i64) -> Envelope {
        let (a, b) = (self.table_ref(original), self.table_ref(replacement));
        self.tables.get_mut(&original).unwrap().name = b.name.clone();
        self.tables.get_mut(&replacement).unwrap().name = a.name.clone();
        let event = Event::TableReplaced(TableReplaced {
            original: a,
            replacement: b,
            swap: true,
        });
        self.wrap(event, Replay::Sql)
    }

    /// One table takes the place of another, which is gone then.
    pub fn replace(&mut self, original: i64, replacement: i64) -> Envelope {
        let event = Event::TableReplaced(TableReplaced {
            original: self.table_ref(original),
            replacement: self.table_ref(replacement),
            swap: false,
        });
        let taken = self.tables.remove(&original).unwrap().name;
        self.tables.get_mut(&replacement).unwrap().name = taken;
        self.wrap(event, Replay::Sql)
    }

    pub fn add_column(&mut self, id: i64, column: &str) -> Envelope {
        let table = self.tables.get_mut(&id).unwrap();
        table.columns.push(column.to_owned());
        let columns = table.columns.clone();
        let table = self.table_ref(id);
        let sql = format!(
            "ALTER TABLE `src`.`{}` ADD COLUMN `{column}` int",
            table.name
        );
        self.wrap(
            Event::ColumnsChanged(ColumnsChanged {
                table,
                sql,
                columns,
            }),
            Replay::Sql,
        )
    }

    /// One transaction on these tables.
    pub fn write(&mut self, ids: &[i64]) -> Envelope {
        let mut tables = Vec::new();
        for id in ids {
            let reference = self.table_ref(*id);
            let table = self.tables.get_mut(id).unwrap();
            table.version += 1;
            let mut tablets = Vec::new();
            for bucket in 0..BUCKETS {
                let tablet = table.partition * 100 + bucket;
                table.tablets[bucket as usize].push((tablet, table.version));
                tablets.push(TabletReplicas {
                    tablet_id: TabletId(tablet),
                    backends: vec![BackendId(3)],
                });
            }
            tables.push(TableRowsets {
                partitions: vec![PartitionRowsets {
                    partition_id: PartitionId(table.partition),
                    name: reference.name.clone(),
                    range: String::new(),
                    version: table.version,
                    is_temp: false,
                    sub_txn: TxnId(-1),
                    presence: Presence::Present,
                    indexes: vec![IndexRowsets {
                        index_id: IndexId(1),
                        name: reference.name.clone(),
                        is_base: true,
                        tablets,
                    }],
                }],
                table: reference,
            });
        }
        let event = Event::RowsetsCommitted(RowsetsCommitted {
            txn_id: TxnId(1),
            label: "l".to_owned(),
            sub_txns: vec![],
            backends: vec![BackendAddress {
                id: BackendId(3),
                host: "sbe".to_owned(),
                http_port: 8040,
            }],
            tables,
        });
        self.wrap(event, Replay::Transaction)
    }

    /// The same event, to be repeated by a snapshot of its tables.
    pub fn by_snapshot(event: Envelope) -> Envelope {
        Envelope {
            replay: Replay::Snapshot {
                reason: "no statement repeats it".to_owned(),
            },
            ..event
        }
    }

    /// A random event on what there is.
    pub fn any(&mut self, n: usize) -> Envelope {
        let ids: Vec<i64> = self.tables.keys().copied().collect();
        let count = ids.len() as u64;
        let one = ids[self.random(count) as usize];
        match self.random(20) {
            0 => self.truncate(one),
            1 => self.add_column(one, &format!("c{n}")),
            2 => self.rename(one, &format!("r{n}")),
            3 => self.create(&format!("n{n}")),
            4 if count > 2 => self.drop_table(one),
            5..=8 if count > 1 => {
                let other = ids[self.random(count) as usize];
                if other == one {
                    self.write(&[one])
                } else {
                    self.write(&[one, other])
                }
            }
            _ => self.write(&[one]),
        }
    }

    /// Names, columns and rowsets as they must be at the destination.
    pub fn expected(&self) -> Vec<(String, Vec<String>, Vec<Vec<super::Rowset>>)> {
        summary(self.tables.values().cloned().collect())
    }
}

pub fn summary(mut tables: Vec<FakeTable>) -> Vec<(String, Vec<String>, Vec<Vec<super::Rowset>>)> {
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    tables
        .into_iter()
        .map(|t| (t.name, t.columns, t.tablets))
        .collect()
}
