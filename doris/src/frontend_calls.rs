//! [`Frontend`] over Thrift (and, for the state of transactions, over SQL).

use async_trait::async_trait;
use ccr_doris_wire::{
    TBeginTxnRequest, TBeginTxnResult, TBinlog, TCommitTxnRequest, TCommitTxnResult,
    TGetBackendMetaRequest, TGetBackendMetaResult, TGetBinlogLagResult, TGetBinlogRequest,
    TGetBinlogResult, TGetMasterTokenRequest, TGetMasterTokenResult, TGetMetaDB, TGetMetaRequest,
    TGetMetaResult, TGetMetaTable, TGetSnapshotRequest, TGetSnapshotResult, TLockBinlogRequest,
    TLockBinlogResult, TRestoreSnapshotRequest, TRestoreSnapshotResult, TRollbackTxnRequest,
    TRollbackTxnResult, TSnapshotType, TStatusCode, TSubTxnInfo, TTableRef, TTabletCommitInfo,
    unset,
};
use ccr_ops::Secret;
use ccr_schemas::{CommitSeq, DbId, TableId, TimestampMs, TxnId};

use crate::catalog::{BackendMeta, DatabaseMeta};
use crate::cluster::DorisCluster;
use crate::ddl;
use crate::error::{Error, Refusal};
use crate::frontend::{
    BeginOutcome, BeginTxn, BinlogLag, BinlogPage, BinlogPosition, CommitOutcome, CommitTxn,
    Frontend, RawBinlog, RestoreSnapshot, RollbackOutcome, Snapshot, TabletCommit, TxnState,
};
use crate::mysql::Kind;
use crate::rpc::{Call, Callee, Repeat};
use crate::status;

/// Pseudo repository of snapshots that stay on the BEs.
const LOCAL_REPOSITORY: &str = "__keep_on_local__";

/// Most records of one page; the server clamps silently.
const MAX_PAGE: usize = 255;

impl DorisCluster {
    fn user(&self) -> Option<String> {
        Some(self.address().user.clone())
    }

    fn password(&self) -> Option<String> {
        Some(self.address().password.expose().clone())
    }

    fn call(&self, method: &'static str, repeat: Repeat) -> Call {
        Call {
            method,
            timeout: self.timeouts().call,
            repeat,
            callee: Callee::Frontend,
        }
    }

    fn binlog_request(&self, at: &BinlogPosition, ip: &str) -> TGetBinlogRequest {
        TGetBinlogRequest {
            user: self.user(),
            passwd: self.password(),
            db: Some(at.database.clone()),
            table_id: at.table.map(|table| table.0),
            user_ip: Some(ip.to_owned()),
            prev_commit_seq: Some(at.after.0),
            ..unset()
        }
    }

    async fn show_transaction(
        &self,
        database: &str,
        condition: &str,
    ) -> Result<(TxnState, Option<TxnId>), Error> {
        let sql = format!(
            "SHOW TRANSACTION FROM {} WHERE {condition}",
            ddl::ident(database)
        );
        let rows = match self.statement(Some(database), &sql, Kind::Query).await {
            Ok(rows) => rows,
            Err(Error::Refused { text, .. }) if status::is_unknown_in_show_transaction(&text) => {
                return Ok((TxnState::Unknown, None));
            }
            Err(error) => return Err(error),
        };
        // A label that was aborted and used again has several rows; the largest id is the one that counts.
        let found = rows.iter().map(|row| {
            let column = |name: &str| row.get(name).and_then(Option::as_deref);
            let id: Option<i64> = column("TransactionId").and_then(|id| id.trim().parse().ok());
            let state = column("TransactionStatus").map_or(TxnState::Unknown, status::txn_state);
            (id, state)
        });
        Ok(found
            .max_by_key(|(id, _)| *id)
            .map_or((TxnState::Unknown, None), |(id, state)| {
                (state, id.map(TxnId))
            }))
    }
}

#[async_trait]
impl Frontend for DorisCluster {
    fn interruptions(&self) -> u64 {
        self.interrupted().count()
    }

    async fn get_binlog(&self, at: &BinlogPosition, most: usize) -> Result<BinlogPage, Error> {
        let most = i64::try_from(most.clamp(1, MAX_PAGE)).unwrap_or(1);
        let answer = self
            .frontend_call::<_, TGetBinlogResult>(self.call("getBinlog", Repeat::Safe), &|ip| {
                TGetBinlogRequest {
                    num_acquired: Some(most),
                    ..self.binlog_request(at, ip)
                }
            })
            .await?;
        let binlogs = answer.value.binlogs.as_deref().unwrap_or_default();
        match answer.code {
            TStatusCode::OK if binlogs.is_empty() => Ok(BinlogPage::CaughtUp),
            TStatusCode::OK => {
                let records: Option<Vec<_>> = binlogs.iter().map(raw_binlog).collect();
                let records = records
                    .ok_or_else(|| answer.unreadable("a binlog without position or type"))?;
                if !records.is_sorted_by(|a, b| a.commit_seq < b.commit_seq)
                    || records[0].commit_seq <= at.after
                {
                    return Err(answer.unreadable("binlogs out of order"));
                }
                Ok(BinlogPage::Records(records))
            }
            TStatusCode::BINLOG_TOO_NEW_COMMIT_SEQ => Ok(BinlogPage::CaughtUp),
            TStatusCode::BINLOG_TOO_OLD_COMMIT_SEQ => {
                let marker = binlogs.first().and_then(|dummy| dummy.commit_seq);
                let forgotten = marker
                    .map(CommitSeq)
                    .ok_or_else(|| answer.unreadable("history is lost, but not up to where"))?;
                Ok(BinlogPage::TooOld { forgotten })
            }
            TStatusCode::BINLOG_NOT_FOUND_DB
            | TStatusCode::BINLOG_NOT_FOUND_TABLE
            | TStatusCode::BINLOG_DISABLE => Ok(BinlogPage::NoStream),
            _ => Err(answer.refused()),
        }
    }

    async fn get_binlog_lag(&self, at: &BinlogPosition) -> Result<Option<BinlogLag>, Error> {
        let answer = self
            .frontend_call::<_, TGetBinlogLagResult>(
                self.call("getBinlogLag", Repeat::Safe),
                &|ip| self.binlog_request(at, ip),
            )
            .await?;
        let lag = &answer.value;
        // Zeros mean "caught up", not for the beginning of time.
        let next = lag.next_commit_seq.filter(|seq| *seq != 0);
        match answer.code {
            TStatusCode::OK => Ok(Some(BinlogLag {
                lag: lag.lag.unwrap_or_default(),
                first: lag.first_commit_seq.map(CommitSeq),
                last: lag.last_commit_seq.map(CommitSeq),
                next: next.map(CommitSeq),
                first_at: lag.first_binlog_timestamp.map(TimestampMs),
                last_at: lag.last_binlog_timestamp.map(TimestampMs),
                next_at: next.and(lag.next_binlog_timestamp).map(TimestampMs),
            })),
            TStatusCode::BINLOG_NOT_FOUND_DB
            | TStatusCode::BINLOG_NOT_FOUND_TABLE
            | TStatusCode::BINLOG_DISABLE => Ok(None),
            _ => Err(answer.refused()),
        }
    }

    async fn lock_binlog(
        &self,
        at: &BinlogPosition,
        holder: &str,
    ) -> Result<Option<CommitSeq>, Error> {
        let answer = self
            .frontend_call::<_, TLockBinlogResult>(self.call("lockBinlog", Repeat::Safe), &|_| {
                TLockBinlogRequest {
                    user: self.user(),
                    passwd: self.password(),
                    db: Some(at.database.clone()),
                    table_id: at.table.map(|table| table.0),
                    job_unique_id: Some(holder.to_owned()),
                    lock_commit_seq: Some(at.after.0),
                    ..unset()
                }
            })
            .await;
        let answer = match answer {
            Err(error) if error.refusal() == Some(Refusal::UnknownMethod) => return Ok(None),
            other => other?,
        };
        match (answer.code, answer.value.locked_commit_seq) {
            (TStatusCode::OK, Some(locked)) => Ok(Some(CommitSeq(locked))),
            (TStatusCode::OK, None) => Err(answer.unreadable("no locked position")),
            _ => Err(answer.refused()),
        }
    }

    async fn get_snapshot(&self, database: &str, label: &str) -> Result<Option<Snapshot>, Error> {
        let call = Call {
            timeout: self.timeouts().snapshot,
            ..self.call("getSnapshot", Repeat::Safe)
        };
        let mut answer = self
            .frontend_call::<_, TGetSnapshotResult>(call, &|_| TGetSnapshotRequest {
                user: self.user(),
                passwd: self.password(),
                db: Some(database.to_owned()),
                label_name: Some(label.to_owned()),
                snapshot_name: Some(label.to_owned()),
                snapshot_type: Some(TSnapshotType::LOCAL),
                enable_compress: Some(true),
                ..unset()
            })
            .await?;
        match answer.code {
            TStatusCode::OK => {}
            TStatusCode::SNAPSHOT_NOT_EXIST | TStatusCode::SNAPSHOT_EXPIRED => return Ok(None),
            _ => return Err(answer.refused()),
        }
        let (Some(job_info), Some(meta)) = (answer.value.job_info.take(), answer.value.meta.take())
        else {
            return Err(answer.unreadable("a snapshot without job info or meta"));
        };
        Ok(Some(Snapshot {
            job_info,
            meta,
            compressed: answer.value.compressed.unwrap_or(false),
            expires_at: answer.value.expired_at.map(TimestampMs),
            commit_seq: answer.value.commit_seq.map(CommitSeq),
        }))
    }

    async fn restore_snapshot(&self, request: &RestoreSnapshot) -> Result<(), Error> {
        let call = Call {
            timeout: self.timeouts().snapshot,
            ..self.call("restoreSnapshot", Repeat::Unsent)
        };
        let answer = self
            .frontend_call::<_, TRestoreSnapshotResult>(call, &|_| TRestoreSnapshotRequest {
                user: self.user(),
                passwd: self.password(),
                db: Some(request.database.clone()),
                label_name: Some(request.label.clone()),
                repo_name: Some(LOCAL_REPOSITORY.to_owned()),
                table_refs: (!request.tables.is_empty()).then(|| {
                    let refs = request.tables.iter().map(|(table, alias)| TTableRef {
                        table: Some(table.clone()),
                        alias_name: alias.clone(),
                    });
                    refs.collect()
                }),
                // Unset properties are a null pointer for the server; an empty map is not.
                properties: Some(request.properties.clone()),
                meta: Some(request.meta.clone()),
                job_info: Some(request.job_info.clone()),
                clean_tables: Some(request.clean_tables),
                clean_partitions: Some(request.clean_partitions),
                atomic_restore: Some(request.atomic),
                compressed: Some(request.compressed),
                force_replace: Some(request.force_replace),
                ..unset()
            })
            .await?;
        match answer.code {
            TStatusCode::OK => Ok(()),
            _ => Err(answer.refused()),
        }
    }

    async fn begin_txn(&self, request: &BeginTxn) -> Result<BeginOutcome, Error> {
        let answer = self
            .frontend_call::<_, TBeginTxnResult>(self.call("beginTxn", Repeat::Unsent), &|ip| {
                TBeginTxnRequest {
                    user: self.user(),
                    passwd: self.password(),
                    db: Some(request.database.clone()),
                    table_ids: Some(request.tables.iter().map(|table| table.0).collect()),
                    user_ip: Some(ip.to_owned()),
                    label: Some(request.label.clone()),
                    timeout: Some(whole_seconds(request.timeout)),
                    sub_txn_num: (request.sub_txns > 0)
                        .then(|| i64::try_from(request.sub_txns).unwrap_or(i64::MAX)),
                    ..unset()
                }
            })
            .await?;
        match answer.code {
            TStatusCode::OK => {}
            TStatusCode::LABEL_ALREADY_EXISTS => {
                let job_status = answer.value.job_status.as_deref();
                let (txn, state) = status::label_holder(&answer.text, job_status);
                return Ok(BeginOutcome::LabelExists { txn, state });
            }
            _ => return Err(answer.refused()),
        }
        let Some(txn) = answer.value.txn_id else {
            return Err(answer.unreadable("a transaction without id"));
        };
        let sub_txns: Vec<_> = answer
            .value
            .sub_txn_ids
            .iter()
            .flatten()
            .copied()
            .map(TxnId)
            .collect();
        if sub_txns.len() != request.sub_txns {
            return Err(answer.unreadable(
                "another number of sub-transactions than asked for; releases before 3.0 do not know them",
            ));
        }
        Ok(BeginOutcome::Begun {
            txn: TxnId(txn),
            sub_txns,
        })
    }

    async fn commit_txn(&self, request: &CommitTxn) -> Result<CommitOutcome, Error> {
        let call = Call {
            timeout: self.timeouts().commit,
            ..self.call("commitTxn", Repeat::Safe)
        };
        let explicit = !request.sub_txns.is_empty();
        let answer = self
            .frontend_call::<_, TCommitTxnResult>(call, &|ip| TCommitTxnRequest {
                user: self.user(),
                passwd: self.password(),
                db: Some(request.database.clone()),
                user_ip: Some(ip.to_owned()),
                txn_id: Some(request.txn.0),
                commit_infos: (!explicit).then(|| commit_infos(&request.commits)),
                txn_insert: explicit.then_some(true),
                sub_txn_infos: explicit.then(|| {
                    let infos = request.sub_txns.iter().map(|sub| TSubTxnInfo {
                        sub_txn_id: Some(sub.sub_txn.0),
                        table_id: Some(sub.table.0),
                        tablet_commit_infos: Some(commit_infos(&sub.commits)),
                        sub_txn_type: None,
                    });
                    infos.collect()
                }),
                only_commit: request.only_commit.then_some(true),
                ..unset()
            })
            .await?;
        status::commit_outcome(answer.code, &answer.text).ok_or_else(|| answer.refused())
    }

    async fn rollback_txn(
        &self,
        database: &str,
        txn: TxnId,
        reason: &str,
    ) -> Result<RollbackOutcome, Error> {
        let answer = self
            .frontend_call::<_, TRollbackTxnResult>(self.call("rollbackTxn", Repeat::Safe), &|ip| {
                TRollbackTxnRequest {
                    user: self.user(),
                    passwd: self.password(),
                    db: Some(database.to_owned()),
                    user_ip: Some(ip.to_owned()),
                    txn_id: Some(txn.0),
                    reason: Some(reason.to_owned()),
                    ..unset()
                }
            })
            .await?;
        status::rollback_outcome(answer.code, &answer.text).ok_or_else(|| answer.refused())
    }

    async fn txn_state(&self, database: &str, txn: TxnId) -> Result<TxnState, Error> {
        let (state, _) = self
            .show_transaction(database, &format!("id = {txn}"))
            .await?;
        Ok(state)
    }

    async fn label_state(
        &self,
        database: &str,
        label: &str,
    ) -> Result<(TxnState, Option<TxnId>), Error> {
        let condition = format!("label = {}", ddl::string(label));
        self.show_transaction(database, &condition).await
    }

    async fn get_meta(
        &self,
        database: &str,
        tables: Option<&[TableId]>,
    ) -> Result<Option<DatabaseMeta>, Error> {
        let call = Call {
            timeout: self.timeouts().snapshot,
            ..self.call("getMeta", Repeat::Safe)
        };
        let mut answer = self
            .frontend_call::<_, TGetMetaResult>(call, &|ip| TGetMetaRequest {
                user: self.user(),
                passwd: self.password(),
                user_ip: Some(ip.to_owned()),
                db: Some(TGetMetaDB {
                    name: Some(database.to_owned()),
                    tables: tables.map(|ids| {
                        let wanted = ids.iter().map(|id| TGetMetaTable {
                            id: Some(id.0),
                            ..unset()
                        });
                        wanted.collect()
                    }),
                    ..unset()
                }),
                ..unset()
            })
            .await?;
        if answer.code != TStatusCode::OK {
            let refused = answer.refused();
            return match refused.refusal() {
                Some(Refusal::UnknownDatabase) => Ok(None),
                _ => Err(refused),
            };
        }
        let meta = answer.value.db_meta.take().map(DatabaseMeta::read);
        meta.transpose().map_err(|what| answer.unreadable(what))
    }

    async fn get_backends(&self) -> Result<Vec<BackendMeta>, Error> {
        let mut answer = self
            .frontend_call::<_, TGetBackendMetaResult>(
                self.call("getBackendMeta", Repeat::Safe),
                &|ip| TGetBackendMetaRequest {
                    user: self.user(),
                    passwd: self.password(),
                    user_ip: Some(ip.to_owned()),
                    ..unset()
                },
            )
            .await?;
        if answer.code != TStatusCode::OK {
            return Err(answer.refused());
        }
        let backends = answer.value.backends.take().unwrap_or_default();
        let backends: Result<_, _> = backends.into_iter().map(BackendMeta::read).collect();
        backends.map_err(|what| answer.unreadable(what))
    }

    async fn master_token(&self) -> Result<Secret, Error> {
        let answer = self
            .frontend_call::<_, TGetMasterTokenResult>(
                self.call("getMasterToken", Repeat::Safe),
                &|_| TGetMasterTokenRequest {
                    user: self.user(),
                    password: self.password(),
                    ..unset()
                },
            )
            .await?;
        match (answer.code, &answer.value.token) {
            (TStatusCode::OK, Some(token)) => Ok(Secret::new(token.clone())),
            (TStatusCode::OK, None) => Err(answer.unreadable("no token")),
            _ => Err(answer.refused()),
        }
    }
}

fn raw_binlog(wire: &TBinlog) -> Option<RawBinlog> {
    Some(RawBinlog {
        commit_seq: CommitSeq(wire.commit_seq?),
        timestamp: TimestampMs(wire.timestamp.unwrap_or_default()),
        binlog_type: wire.type_?.0,
        db_id: DbId(wire.db_id.unwrap_or(-1)),
        table_ids: wire
            .table_ids
            .iter()
            .flatten()
            .copied()
            .map(TableId)
            .collect(),
        data: wire.data.clone().unwrap_or_default(),
    })
}

fn commit_infos(commits: &[TabletCommit]) -> Vec<TTabletCommitInfo> {
    commits
        .iter()
        .map(|commit| TTabletCommitInfo {
            tablet_id: commit.tablet.0,
            backend_id: commit.backend.0,
            invalid_dict_cols: None,
        })
        .collect()
}

/// Seconds, rounded up: a server takes 0 for an error.
fn whole_seconds(duration: std::time::Duration) -> i64 {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    i64::try_from(seconds.max(1)).unwrap_or(i64::MAX)
}
