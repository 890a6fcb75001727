//! A destination in memory: labels, transactions, versions, tablets and what was ingested, with a crash at any call.
pub mod copy;
pub mod source;
mod sql;
pub mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use ccr_doris::error::Refusal;
use ccr_doris::{
    Backend, BackendEndpoint, BackendMeta, BeginOutcome, BeginTxn, BinlogLag, BinlogPage,
    BinlogPosition, CommitOutcome, CommitTxn, DatabaseMeta, Error, Frontend, IndexMeta,
    IngestOutcome, IngestRequest, IngestState, LabelState, PartitionMeta, ReplicaMeta,
    RestoreSnapshot, RollbackOutcome, Snapshot, TableMeta, TabletMeta, TxnState,
};
use ccr_ops::Secret;
use ccr_schemas::{BackendId, CommitSeq, IndexId, PartitionId, TableId, TabletId, TxnId};
use tokio::sync::Notify;

pub const BUCKETS: i64 = 2;

/// A started restore job: its label and objects with their aliases.
pub type Restored = (String, Vec<(String, Option<String>)>);

/// What a rowset is: source tablet and version.
pub type Rowset = (i64, i64);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FakeTable {
    pub name: String,
    pub columns: Vec<String>,
    pub partition: i64,
    pub version: i64,
    /// Rowsets of each tablet in the order of their commit.
    pub tablets: Vec<Vec<Rowset>>,
}

#[derive(Clone, Debug)]
struct FakeTxn {
    label: String,
    state: TxnState,
    ended_at: u64,
    ingested: BTreeMap<i64, Rowset>,
}

#[derive(Clone, Debug, Default)]
struct World {
    next_id: i64,
    tables: BTreeMap<i64, FakeTable>,
    txns: BTreeMap<i64, FakeTxn>,
    forgotten: BTreeSet<i64>,
    calls: u64,
    crash_at: Option<(u64, bool)>,
    crashed: bool,
    busy: BTreeMap<(i64, i64), u32>,
    refuse: Vec<(String, u32)>,
    restores: Vec<Restored>,
    pub statements: Vec<String>,
    /// How often the state of a transaction is asked for until committed ones are visible; 0: they are at once.
    asks_until_visible: u32,
    asks: u32,
    /// Committed and not visible: transaction, table, partition, rowsets.
    unseen: Vec<(i64, i64, i64, Vec<Rowset>)>,
    /// Its clock.
    seconds: u64,
    interruptions: u64,
}

/// The destination.
#[derive(Clone, Default)]
pub struct Fake {
    world: Arc<Mutex<World>>,
    pub crashed: Arc<Notify>,
    latency_ms: u64,
}

fn refused(cause: Refusal, text: &str) -> Error {
    Error::Refused {
        call: "fake".to_owned(),
        address: "fake:0".to_owned(),
        code: 1,
        cause,
        text: text.to_owned(),
    }
}

/// Before and after the effect of a call a crash can strike: then the call never answers.
enum Strike {
    No,
    After,
}

#[allow(dead_code)]
impl Fake {
    pub fn with_latency(mut self, ms: u64) -> Self {
        self.latency_ms = ms;
        self
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// The n-th call from now on is the last of the process that makes it.
    pub fn crash_at(&self, calls: u64, after_effect: bool) {
        let mut world = self.world();
        world.crash_at = Some((world.calls + calls, after_effect));
        world.crashed = false;
    }

    pub fn no_crash(&self) {
        let mut world = self.world();
        world.crash_at = None;
        world.crashed = false;
    }

    pub fn calls(&self) -> u64 {
        self.world().calls
    }

    /// Statements that contain the text are refused so often.
    pub fn refuse(&self, text: &str, times: u32) {
        self.world().refuse.push((text.to_owned(), times));
    }

    /// Committed transactions become visible when so many questions for states were asked.
    pub fn publish_late(&self, asks: u32) {
        self.world().asks_until_visible = asks;
    }

    /// Every committed transaction is visible.
    pub fn publish(&self) {
        publish(&mut self.world());
    }

    pub fn pass_time(&self, seconds: u64) {
        self.world().seconds += seconds;
    }

    pub fn forget_labels(&self) {
        let mut world = self.world();
        let finished: Vec<i64> = world
            .txns
            .iter()
            .filter(|(_, txn)| txn.state == TxnState::Visible)
            .map(|(id, _)| *id)
            .collect();
        world.forgotten.extend(finished);
    }

    pub fn create(&self, name: &str) -> i64 {
        let mut world = self.world();
        create(&mut world, name)
    }

    pub fn layouts(&self) -> Vec<TableMeta> {
        let world = self.world();
        world
            .tables
            .iter()
            .map(|(id, table)| meta(*id, table))
            .collect()
    }

    pub fn tables(&self) -> Vec<FakeTable> {
        let mut tables: Vec<_> = self.world().tables.values().cloned().collect();
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        tables
    }

    pub fn restores(&self) -> Vec<Restored> {
        self.world().restores.clone()
    }

    async fn enter(&self) -> Strike {
        if self.latency_ms > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(self.latency_ms)).await;
        } else {
            tokio::task::yield_now().await;
        }
        let strike = {
            let mut world = self.world();
            world.calls += 1;
            if world.crashed {
                Some(false)
            } else {
                match world.crash_at {
                    Some((at, after)) if world.calls >= at => {
                        world.crashed = true;
                        self.crashed.notify_one();
                        Some(after)
                    }
                    _ => None,
                }
            }
        };
        match strike {
            None => Strike::No,
            Some(true) => Strike::After,
            Some(false) => self.hang().await,
        }
    }

    async fn hang(&self) -> ! {
        std::future::pending().await
    }

    async fn call<T>(&self, effect: impl FnOnce(&mut World) -> T) -> T {
        let strike = self.enter().await;
        let result = effect(&mut self.world());
        match strike {
            Strike::No => result,
            Strike::After => self.hang().await,
        }
    }
}

fn create(world: &mut World, name: &str) -> i64 {
    world.next_id += 10;
    let id = world.next_id + 50_000;
    world.tables.insert(
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

fn asked(world: &mut World) {
    world.asks += 1;
    if world.asks >= world.asks_until_visible {
        publish(world);
    }
}

fn publish(world: &mut World) {
    world.asks = 0;
    for (txn, table, partition, rowsets) in std::mem::take(&mut world.unseen) {
        let ended_at = world.seconds;
        let found = world.txns.get_mut(&txn).unwrap();
        (found.state, found.ended_at) = (TxnState::Visible, ended_at);
        let table = world.tables.get_mut(&table);
        if let Some(table) = table.filter(|table| table.partition == partition) {
            table.version += 1;
            for (tablet, rowset) in table.tablets.iter_mut().zip(rowsets) {
                tablet.push(rowset);
            }
        }
    }
}

fn by_name(world: &World, name: &str) -> Option<i64> {
    let found = world.tables.iter().find(|(_, table)| table.name == name);
    found.map(|(id, _)| *id)
}

fn tablet_id(partition: i64, bucket: i64) -> i64 {
    partition * 100 + bucket
}

fn meta(id: i64, table: &FakeTable) -> TableMeta {
    TableMeta {
        id: TableId(id),
        name: table.name.clone(),
        kind: "OLAP".to_owned(),
        partitions: vec![PartitionMeta {
            id: PartitionId(table.partition),
            name: table.name.clone(),
            range: String::new(),
            visible_version: table.version,
            indexes: vec![IndexMeta {
                id: IndexId(table.partition + 1),
                name: table.name.clone(),
                tablets: (0..BUCKETS)
                    .map(|bucket| TabletMeta {
                        id: TabletId(tablet_id(table.partition, bucket)),
                        replicas: vec![ReplicaMeta {
                            id: 1,
                            backend: BackendId(1),
                            version: table.version,
                        }],
                    })
                    .collect(),
            }],
        }],
    }
}

fn label_holder(world: &World, label: &str) -> Option<(i64, TxnState)> {
    world
        .txns
        .iter()
        .filter(|(id, txn)| {
            txn.label == label && txn.state != TxnState::Aborted && !world.forgotten.contains(*id)
        })
        .map(|(id, txn)| (*id, txn.state))
        .next_back()
}

#[async_trait]
impl Frontend for Fake {
    fn interruptions(&self) -> u64 {
        self.world().interruptions
    }

    async fn get_binlog(&self, _: &BinlogPosition, _: usize) -> Result<BinlogPage, Error> {
        unreachable!("a destination is not read")
    }

    async fn get_binlog_lag(&self, _: &BinlogPosition) -> Result<Option<BinlogLag>, Error> {
        unreachable!("a destination is not read")
    }

    async fn lock_binlog(&self, _: &BinlogPosition, _: &str) -> Result<Option<CommitSeq>, Error> {
        unreachable!("a destination is not read")
    }

    async fn get_snapshot(&self, _: &str, _: &str) -> Result<Option<Snapshot>, Error> {
        unreachable!("a destination is not backed up")
    }

    async fn restore_snapshot(&self, request: &RestoreSnapshot) -> Result<(), Error> {
        self.call(|world| {
            let text = String::from_utf8_lossy(&request.job_info).into_owned();
            if !text.contains("be_network_map") || !text.contains("\"token\":\"tok\"") {
                return Err(refused(Refusal::Other, "Invalid job extra info empty"));
            }
            let info: serde_json::Value = serde_json::from_str(&text).unwrap();
            for (name, object) in info["backup_objects"].as_object().unwrap() {
                let wanted = request.tables.iter().find(|(wanted, _)| wanted == name);
                if wanted.is_some() || request.tables.is_empty() {
                    let alias = wanted.and_then(|(_, alias)| alias.as_deref());
                    let under = alias.unwrap_or(name);
                    if let Some(id) = by_name(world, under) {
                        // Under another name the signatures never match.
                        if alias.is_some() || !(request.atomic && request.force_replace) {
                            return Err(refused(Refusal::Other, "different schema"));
                        }
                        world.tables.remove(&id);
                    }
                    let id = create(world, under);
                    let version = object["version"].as_i64().unwrap();
                    let table = world.tables.get_mut(&id).unwrap();
                    table.version = version;
                    if let Some(tablets) = object.get("rowsets") {
                        table.tablets = serde_json::from_value(tablets.clone()).unwrap();
                    }
                    if let Some(columns) = object.get("columns") {
                        table.columns = serde_json::from_value(columns.clone()).unwrap();
                    }
                }
            }
            if request.clean_tables {
                let kept = info["backup_objects"].as_object().unwrap();
                world
                    .tables
                    .retain(|_, table| kept.contains_key(&table.name));
            }
            world
                .restores
                .push((request.label.clone(), request.tables.clone()));
            Ok(())
        })
        .await
    }

    async fn begin_txn(&self, request: &BeginTxn) -> Result<BeginOutcome, Error> {
        self.call(|world| {
            if let Some((id, state)) = label_holder(world, &request.label) {
                return Ok(BeginOutcome::LabelExists {
                    txn: Some(TxnId(id)),
                    state: match state {
                        TxnState::Visible | TxnState::Committed => LabelState::Finished,
                        _ => LabelState::Running,
                    },
                });
            }
            if let Some(missing) = request
                .tables
                .iter()
                .find(|t| !world.tables.contains_key(&t.0))
            {
                return Err(refused(
                    Refusal::UnknownTable,
                    &format!("unknown table {missing}"),
                ));
            }
            world.next_id += 1;
            let id = world.next_id;
            world.txns.insert(
                id,
                FakeTxn {
                    label: request.label.clone(),
                    state: TxnState::Prepare,
                    ended_at: 0,
                    ingested: BTreeMap::new(),
                },
            );
            Ok(BeginOutcome::Begun {
                txn: TxnId(id),
                sub_txns: Vec::new(),
            })
        })
        .await
    }

    async fn commit_txn(&self, request: &CommitTxn) -> Result<CommitOutcome, Error> {
        self.call(|world| {
            let Some(txn) = world.txns.get_mut(&request.txn.0) else {
                return Ok(CommitOutcome::NotFound);
            };
            match txn.state {
                TxnState::Committed | TxnState::Visible => return Ok(CommitOutcome::Committed),
                TxnState::Aborted => {
                    return Ok(CommitOutcome::Aborted {
                        reason: "aborted".to_owned(),
                    });
                }
                _ => {}
            }
            let ingested = txn.ingested.clone();
            let named: BTreeSet<i64> = request.commits.iter().map(|c| c.tablet.0).collect();
            let mut touched = BTreeSet::new();
            for (id, table) in &world.tables {
                for bucket in 0..BUCKETS {
                    if named.contains(&tablet_id(table.partition, bucket)) {
                        touched.insert(*id);
                    }
                }
            }
            for id in &touched {
                let table = &world.tables[id];
                for bucket in 0..BUCKETS {
                    let tablet = tablet_id(table.partition, bucket);
                    if !named.contains(&tablet) || !ingested.contains_key(&tablet) {
                        return Ok(CommitOutcome::QuorumMissed {
                            tablet: Some(TabletId(tablet)),
                            text: "quorum".to_owned(),
                        });
                    }
                }
            }
            for id in touched {
                let partition = world.tables[&id].partition;
                let rowsets = (0..BUCKETS)
                    .map(|bucket| ingested[&tablet_id(partition, bucket)])
                    .collect();
                world.unseen.push((request.txn.0, id, partition, rowsets));
            }
            world.txns.get_mut(&request.txn.0).unwrap().state = TxnState::Committed;
            if world.asks_until_visible == 0 {
                publish(world);
            }
            Ok(CommitOutcome::Committed)
        })
        .await
    }

    async fn rollback_txn(&self, _: &str, txn: TxnId, _: &str) -> Result<RollbackOutcome, Error> {
        self.call(|world| {
            Ok(match world.txns.get_mut(&txn.0) {
                None => RollbackOutcome::NotFound,
                Some(txn) if txn.state == TxnState::Prepare => {
                    txn.state = TxnState::Aborted;
                    RollbackOutcome::Aborted
                }
                Some(_) => RollbackOutcome::NotFound,
            })
        })
        .await
    }

    async fn txn_state(&self, _: &str, txn: TxnId) -> Result<TxnState, Error> {
        self.call(|world| {
            asked(world);
            Ok(world
                .txns
                .get(&txn.0)
                .map_or(TxnState::Unknown, |t| t.state))
        })
        .await
    }

    async fn label_state(&self, _: &str, label: &str) -> Result<(TxnState, Option<TxnId>), Error> {
        self.call(|world| {
            Ok(match label_holder(world, label) {
                Some((id, state)) => (state, Some(TxnId(id))),
                None => (TxnState::Unknown, None),
            })
        })
        .await
    }

    async fn get_meta(
        &self,
        database: &str,
        tables: Option<&[TableId]>,
    ) -> Result<Option<DatabaseMeta>, Error> {
        self.call(|world| {
            let wanted = |id: &i64| tables.is_none_or(|only| only.contains(&TableId(*id)));
            Ok(Some(DatabaseMeta {
                name: database.to_owned(),
                tables: world
                    .tables
                    .iter()
                    .filter(|(id, _)| wanted(id))
                    .map(|(id, table)| meta(*id, table))
                    .collect(),
                ..DatabaseMeta::default()
            }))
        })
        .await
    }

    async fn get_backends(&self) -> Result<Vec<BackendMeta>, Error> {
        self.call(|_| {
            Ok(vec![BackendMeta {
                id: BackendId(1),
                host: "be".to_owned(),
                be_port: 9060,
                http_port: 8040,
                alive: true,
            }])
        })
        .await
    }

    async fn master_token(&self) -> Result<Secret, Error> {
        unreachable!("a destination's token is not wanted")
    }
}

#[async_trait]
impl Backend for Fake {
    async fn ingest(
        &self,
        _: &BackendEndpoint,
        request: &IngestRequest,
    ) -> Result<IngestOutcome, Error> {
        {
            let mut world = self.world();
            let running = world
                .busy
                .entry((request.txn.0, request.tablet.0))
                .or_default();
            *running += 1;
            assert_eq!(*running, 1, "two ingests of one replica at once");
        }
        let rowset = (request.source_tablet.0, request.source_version);
        self.call(|world| {
            world.busy.remove(&(request.txn.0, request.tablet.0));
            if let Some(txn) = world.txns.get_mut(&request.txn.0) {
                txn.ingested.insert(request.tablet.0, rowset);
            }
            Ok(IngestOutcome::Done)
        })
        .await
    }

    async fn query_ingest(
        &self,
        _: &BackendEndpoint,
        _: &IngestRequest,
    ) -> Result<IngestState, Error> {
        Ok(IngestState::NotFound)
    }
}
