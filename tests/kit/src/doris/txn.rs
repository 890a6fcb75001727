//! Transactions: begin, ingest, commit, publish, and what a frontend forgets of them.

use std::collections::{BTreeMap, BTreeSet};

use ccr_doris::error::Refusal;
use ccr_doris::{
    BeginOutcome, BeginTxn, CommitOutcome, CommitTxn, LabelState, RollbackOutcome, TabletCommit,
    TxnState,
};
use ccr_schemas::{TabletId, TxnId};

use super::catalog::{Rowset, TableState};
use super::cluster::{Cluster, Due, Refused};
use super::records;

/// What a transaction writes into one partition.
#[derive(Clone, Debug)]
pub struct Part {
    /// Table.
    pub table: i64,
    /// Partition.
    pub partition: i64,
    /// Range text of the partition when it was committed.
    pub range: String,
    /// Temporary partition.
    pub temp: bool,
    /// Version it makes.
    pub version: i64,
    /// Sub-transaction, -1 without.
    pub sub: i64,
    /// Rowset of each tablet, and the backends that have it.
    pub tablets: BTreeMap<i64, (Rowset, Vec<i64>)>,
    /// Indexes written.
    pub indexes: Vec<i64>,
}

/// A transaction.
#[derive(Clone, Debug)]
pub struct Txn {
    /// Id.
    pub id: i64,
    /// Database by name.
    pub database: String,
    /// Label.
    pub label: String,
    /// State.
    pub state: TxnState,
    /// Sub-transactions, the first equal to `id`; empty for an ordinary one.
    pub subs: Vec<i64>,
    /// What backends have taken in, by (sub-)transaction, tablet and backend.
    pub ingested: BTreeMap<(i64, i64, i64), Rowset>,
    /// What is committed.
    pub parts: Vec<Part>,
    /// Tables named at its begin.
    pub tables: Vec<i64>,
}

impl Cluster {
    /// beginTxn.
    pub fn begin_txn(&mut self, request: &BeginTxn) -> Result<BeginOutcome, Refused> {
        let held = self
            .database(&request.database)?
            .labels
            .get(&request.label)
            .copied();
        if let Some(txn) = held.and_then(|id| self.txns.get(&id)) {
            let state = match txn.state {
                TxnState::Prepare => Some(LabelState::Running),
                TxnState::Precommitted => Some(LabelState::Precommitted),
                TxnState::Committed | TxnState::Visible => Some(LabelState::Finished),
                TxnState::Aborted | TxnState::Unknown => None,
            };
            if let Some(state) = state {
                let id = txn.id;
                self.reach(match state {
                    LabelState::Finished => "label exists: finished",
                    LabelState::Running | LabelState::Precommitted => "label exists: running",
                });
                return Ok(BeginOutcome::LabelExists {
                    txn: Some(TxnId(id)),
                    state,
                });
            }
        }
        let database = self.database(&request.database)?;
        for table in &request.tables {
            match database.tables.get(&table.0) {
                None => {
                    return Err(Refused::new(
                        Refusal::UnknownTable,
                        format!("can't find table id: {} in db: {}", table.0, database.name),
                    ));
                }
                Some(found) if matches!(found.state, TableState::Restoring(_)) => {
                    return Err(Refused::new(
                        Refusal::TableBusy,
                        format!(
                            "Table {} is in restore process. Can not load into it",
                            found.name
                        ),
                    ));
                }
                Some(_) => {}
            }
        }
        let id = self.new_id();
        let mut subs = Vec::new();
        if request.sub_txns > 0 {
            subs.push(id);
            for _ in 1..request.sub_txns {
                subs.push(self.new_id());
            }
        }
        self.database_mut(&request.database)?
            .labels
            .insert(request.label.clone(), id);
        self.txns.insert(
            id,
            Txn {
                id,
                database: request.database.clone(),
                label: request.label.clone(),
                state: TxnState::Prepare,
                subs: subs.clone(),
                ingested: BTreeMap::new(),
                parts: Vec::new(),
                tables: request.tables.iter().map(|table| table.0).collect(),
            },
        );
        Ok(BeginOutcome::Begun {
            txn: TxnId(id),
            sub_txns: subs.into_iter().map(TxnId).collect(),
        })
    }

    /// A backend took a rowset in. Data of a transaction that the frontend does not know is garbage.
    pub fn ingested(&mut self, txn: i64, tablet: i64, backend: i64, rowset: Rowset) {
        let found = self
            .txns
            .values_mut()
            .find(|known| known.id == txn || known.subs.contains(&txn));
        if let Some(known) = found
            && known.state == TxnState::Prepare
        {
            known.ingested.insert((txn, tablet, backend), rowset);
        }
    }

    /// commitTxn.
    pub fn commit_txn(&mut self, request: &CommitTxn, now: i64) -> Result<CommitOutcome, Refused> {
        let Some(txn) = self.txns.get(&request.txn.0).cloned() else {
            self.reach("commit: transaction not found");
            return Ok(CommitOutcome::NotFound);
        };
        match txn.state {
            TxnState::Committed | TxnState::Visible => return Ok(CommitOutcome::Committed),
            TxnState::Aborted | TxnState::Unknown => {
                return Ok(CommitOutcome::Aborted {
                    reason: "aborted before".to_owned(),
                });
            }
            TxnState::Prepare | TxnState::Precommitted => {}
        }
        let database = self.database(&request.database)?;
        if let Some(gone) = txn
            .tables
            .iter()
            .find(|id| !database.tables.contains_key(id))
        {
            return Err(Refused::new(
                Refusal::UnknownTable,
                format!("table not found, tableId={gone}"),
            ));
        }
        let groups: Vec<(i64, &[TabletCommit])> = if request.sub_txns.is_empty() {
            vec![(-1, request.commits.as_slice())]
        } else {
            request
                .sub_txns
                .iter()
                .map(|sub| (sub.sub_txn.0, sub.commits.as_slice()))
                .collect()
        };
        let mut parts = Vec::new();
        for (sub, commits) in groups {
            match self.parts_of(&txn, sub, commits) {
                Ok(more) => parts.extend(more),
                Err(outcome) => return Ok(outcome),
            }
        }
        self.commit_parts(txn.id, parts, now);
        Ok(CommitOutcome::Committed)
    }

    fn parts_of(
        &mut self,
        txn: &Txn,
        sub: i64,
        commits: &[TabletCommit],
    ) -> Result<Vec<Part>, CommitOutcome> {
        let ingested_as = if sub < 0 { txn.id } else { sub };
        let mut reported: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
        for commit in commits {
            reported
                .entry(commit.tablet.0)
                .or_default()
                .insert(commit.backend.0);
        }
        let mut parts = Vec::new();
        let mut lies = Vec::new();
        let Some(database) = self.databases.get(&txn.database) else {
            return Ok(parts);
        };
        for table in database.tables.values() {
            for partition in table.partitions.values() {
                let touched = partition
                    .all_tablets()
                    .any(|tablet| reported.contains_key(&tablet.id));
                if !touched {
                    continue;
                }
                let mut tablets = BTreeMap::new();
                for tablet in partition.all_tablets() {
                    let backends: Vec<i64> = reported
                        .get(&tablet.id)
                        .into_iter()
                        .flatten()
                        .copied()
                        .filter(|be| tablet.replicas.iter().any(|r| r.backend == *be))
                        .collect();
                    let needed = tablet.replicas.len() / 2 + 1;
                    if backends.len() < needed {
                        return Err(CommitOutcome::QuorumMissed {
                            tablet: Some(TabletId(tablet.id)),
                            text: format!(
                                "Failed to commit txn {}, cause tablet {} succ replica num {} < load required replica num {needed}",
                                txn.id,
                                tablet.id,
                                backends.len()
                            ),
                        });
                    }
                    let mut rowset = None;
                    for backend in &backends {
                        match txn.ingested.get(&(ingested_as, tablet.id, *backend)) {
                            Some(found) => rowset = Some(*found),
                            None => lies.push(format!(
                                "transaction {} commits tablet {} on backend {backend}, which has nothing of it",
                                txn.label, tablet.id
                            )),
                        }
                    }
                    if let Some(rowset) = rowset {
                        tablets.insert(tablet.id, (rowset, backends));
                    }
                }
                parts.push(Part {
                    table: table.id,
                    partition: partition.id,
                    range: partition.range_text(),
                    temp: partition.temp,
                    version: 0,
                    sub,
                    tablets,
                    indexes: Vec::new(),
                });
            }
        }
        self.violations.extend(lies);
        Ok(parts)
    }

    /// Gives the parts their versions; they become visible a little later, in order.
    pub(super) fn commit_parts(&mut self, txn: i64, mut parts: Vec<Part>, now: i64) {
        let Some(known) = self.txns.get(&txn) else {
            return;
        };
        let name = known.database.clone();
        if let Some(database) = self.databases.get_mut(&name) {
            for part in &mut parts {
                let partition = database
                    .tables
                    .get_mut(&part.table)
                    .and_then(|table| table.partitions.get_mut(&part.partition));
                if let Some(partition) = partition {
                    part.version = partition.next;
                    partition.next += 1;
                    for (tablet, (rowset, _)) in &mut part.tablets {
                        // A load of this cluster: the rowset is named by the version it makes here.
                        if rowset.version == 0 {
                            *rowset = Rowset {
                                tablet: *tablet,
                                version: part.version,
                            };
                        }
                    }
                }
            }
        }
        if let Some(known) = self.txns.get_mut(&txn) {
            known.parts = parts;
            known.state = TxnState::Committed;
        }
        let (low, high) = self.policy.publish_ms;
        let delay = self.rng.within(low, high);
        self.due_at(now + delay, Due::Publish(txn));
    }

    /// Makes a committed transaction visible, when those before it are.
    pub(super) fn publish(&mut self, id: i64, now: i64) {
        let Some(txn) = self.txns.get(&id).cloned() else {
            return;
        };
        if txn.state != TxnState::Committed {
            return;
        }
        let Some(database) = self.databases.get_mut(&txn.database) else {
            return;
        };
        let mut visible: BTreeMap<i64, i64> = BTreeMap::new();
        for part in &txn.parts {
            let partition = database
                .tables
                .get(&part.table)
                .and_then(|table| table.partitions.get(&part.partition));
            if let Some(partition) = partition {
                let before = visible.entry(part.partition).or_insert(partition.visible);
                if *before != part.version - 1 {
                    self.due_at(now + 1, Due::Publish(id));
                    return;
                }
                *before = part.version;
            }
        }
        let mut stored = Vec::new();
        for part in &txn.parts {
            let partition = database
                .tables
                .get_mut(&part.table)
                .and_then(|table| table.partitions.get_mut(&part.partition));
            let Some(partition) = partition else {
                continue;
            };
            partition.visible = part.version;
            for (tablet, (rowset, backends)) in &part.tablets {
                let Some(tablet) = partition.tablet_mut(*tablet) else {
                    continue;
                };
                tablet.rowsets.push(*rowset);
                stored.push((tablet.id, part.version, backends.clone()));
                for replica in &mut tablet.replicas {
                    if backends.contains(&replica.backend) {
                        replica.version = part.version;
                    }
                }
            }
        }
        for (tablet, version, backends) in stored {
            self.storage.keep(tablet, version, &backends);
        }
        let has_parts = !txn.parts.is_empty();
        if let Some(txn) = self.txns.get_mut(&id) {
            txn.state = TxnState::Visible;
        }
        if has_parts {
            let seq = self.journal();
            let record = records::upsert(&txn, self.database_id(&txn.database), seq, now);
            let mut tables: Vec<i64> = txn.parts.iter().map(|part| part.table).collect();
            tables.sort_unstable();
            tables.dedup();
            self.emit_at(&txn.database, seq, 0, tables, &record, now);
        }
    }

    /// rollbackTxn.
    pub fn rollback_txn(&mut self, txn: TxnId) -> RollbackOutcome {
        let Some(found) = self.txns.get_mut(&txn.0) else {
            return RollbackOutcome::NotFound;
        };
        match found.state {
            TxnState::Prepare | TxnState::Precommitted => {
                found.state = TxnState::Aborted;
                RollbackOutcome::Aborted
            }
            TxnState::Committed => {
                self.reach("rollback: already committed");
                RollbackOutcome::AlreadyCommitted
            }
            TxnState::Visible | TxnState::Aborted | TxnState::Unknown => {
                self.reach("rollback: not found");
                RollbackOutcome::NotFound
            }
        }
    }

    /// State of a transaction by id.
    pub fn txn_state(&self, txn: TxnId) -> TxnState {
        self.txns
            .get(&txn.0)
            .map_or(TxnState::Unknown, |txn| txn.state)
    }

    /// State of the transaction that holds a label.
    pub fn label_state(
        &self,
        database: &str,
        label: &str,
    ) -> Result<(TxnState, Option<TxnId>), Refused> {
        let held = self.database(database)?.labels.get(label);
        Ok(match held.and_then(|id| self.txns.get(id)) {
            Some(txn) => (txn.state, Some(TxnId(txn.id))),
            None => (TxnState::Unknown, None),
        })
    }

    /// The frontend forgets all finished transactions, as it does after some hours or some thousands of them.
    pub fn forget_labels(&mut self) {
        let finished = |state: TxnState| matches!(state, TxnState::Visible | TxnState::Aborted);
        let gone: Vec<i64> = self
            .txns
            .values()
            .filter(|txn| finished(txn.state))
            .map(|txn| txn.id)
            .collect();
        for id in &gone {
            self.txns.remove(id);
        }
        for database in self.databases.values_mut() {
            database.labels.retain(|_, id| !gone.contains(id));
        }
    }

    /// Another frontend becomes master: transactions that were only begun are gone.
    pub fn lose_running_txns(&mut self) {
        let gone: Vec<i64> = self
            .txns
            .values()
            .filter(|txn| txn.state == TxnState::Prepare)
            .map(|txn| txn.id)
            .collect();
        for id in &gone {
            self.txns.remove(id);
        }
        for database in self.databases.values_mut() {
            database.labels.retain(|_, id| !gone.contains(id));
        }
    }

    /// Transactions that are committed and not visible yet write to the table.
    pub(super) fn has_committed(&self, table: i64, partition: Option<i64>) -> bool {
        self.txns.values().any(|txn| {
            txn.state == TxnState::Committed
                && txn.parts.iter().any(|part| {
                    part.table == table && partition.is_none_or(|id| id == part.partition)
                })
        })
    }
}
