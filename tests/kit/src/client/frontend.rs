//! Calls of the frontend.

use async_trait::async_trait;
use ccr_doris::{
    BackendMeta, BeginOutcome, BeginTxn, BinlogLag, BinlogPage, BinlogPosition, CommitOutcome,
    CommitTxn, DatabaseMeta, Error, Frontend, RestoreSnapshot, RollbackOutcome, Snapshot, TxnState,
};
use ccr_ops::Secret;
use ccr_schemas::{CommitSeq, TableId, TxnId};

use super::{Client, Shown};

#[async_trait]
impl Frontend for Client {
    async fn get_binlog(&self, at: &BinlogPosition, most: usize) -> Result<BinlogPage, Error> {
        self.call("get_binlog", Shown::Quiet, |cluster, now| {
            let database = cluster.database(&at.database)?;
            Ok(database.stream.page(at.after, most, now))
        })
        .await
    }

    async fn get_binlog_lag(&self, at: &BinlogPosition) -> Result<Option<BinlogLag>, Error> {
        self.call("get_binlog_lag", Shown::Quiet, |cluster, now| {
            let database = cluster.database(&at.database)?;
            Ok(database.stream.lag(at.after, now))
        })
        .await
    }

    async fn lock_binlog(
        &self,
        at: &BinlogPosition,
        _holder: &str,
    ) -> Result<Option<CommitSeq>, Error> {
        let after = at.after;
        self.call("lock_binlog", Shown::Quiet, |_, _| Ok(Some(after)))
            .await
    }

    async fn get_snapshot(&self, _database: &str, label: &str) -> Result<Option<Snapshot>, Error> {
        // A snapshot has no Debug, because of its size.
        let found = self
            .call("get_snapshot", Shown::Quiet, |cluster, now| {
                Ok(cluster.snapshot(label, now).map(Opaque))
            })
            .await?;
        Ok(found.map(|Opaque(snapshot)| snapshot))
    }

    async fn restore_snapshot(&self, request: &RestoreSnapshot) -> Result<(), Error> {
        let shown = Shown::Noted(format!(
            "{} {:?} atomic={} clean={}",
            request.label, request.tables, request.atomic, request.clean_tables
        ));
        self.call("restore_snapshot", shown, |cluster, now| {
            cluster.restore_snapshot(request, now)
        })
        .await
    }

    async fn begin_txn(&self, request: &BeginTxn) -> Result<BeginOutcome, Error> {
        let shown = Shown::Noted(request.label.clone());
        self.call("begin_txn", shown, |cluster, _| cluster.begin_txn(request))
            .await
    }

    async fn commit_txn(&self, request: &CommitTxn) -> Result<CommitOutcome, Error> {
        let shown = Shown::Noted(request.txn.to_string());
        self.call("commit_txn", shown, |cluster, now| {
            cluster.commit_txn(request, now)
        })
        .await
    }

    async fn rollback_txn(
        &self,
        _database: &str,
        txn: TxnId,
        reason: &str,
    ) -> Result<RollbackOutcome, Error> {
        let shown = Shown::Noted(format!("{txn} ({reason})"));
        self.call("rollback_txn", shown, |cluster, _| {
            Ok(cluster.rollback_txn(txn))
        })
        .await
    }

    async fn txn_state(&self, _database: &str, txn: TxnId) -> Result<TxnState, Error> {
        let shown = Shown::Noted(txn.to_string());
        self.call("txn_state", shown, |cluster, _| Ok(cluster.txn_state(txn)))
            .await
    }

    async fn label_state(
        &self,
        database: &str,
        label: &str,
    ) -> Result<(TxnState, Option<TxnId>), Error> {
        let shown = Shown::Noted(label.to_owned());
        self.call("label_state", shown, |cluster, _| {
            cluster.label_state(database, label)
        })
        .await
    }

    async fn get_meta(
        &self,
        database: &str,
        tables: Option<&[TableId]>,
    ) -> Result<Option<DatabaseMeta>, Error> {
        self.call("get_meta", Shown::Quiet, |cluster, _| {
            Ok(cluster.meta(database, tables))
        })
        .await
    }

    async fn get_backends(&self) -> Result<Vec<BackendMeta>, Error> {
        self.call("get_backends", Shown::Quiet, |cluster, _| {
            Ok(cluster.backend_metas())
        })
        .await
    }

    async fn master_token(&self) -> Result<Secret, Error> {
        self.call("master_token", Shown::Quiet, |cluster, _| {
            Ok(Secret::new(cluster.token.clone()))
        })
        .await
    }
}

struct Opaque(Snapshot);

impl std::fmt::Debug for Opaque {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("snapshot")
    }
}
