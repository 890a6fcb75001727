//! Loads in more than one step: explicit transactions, two phases, and how a load's transaction begins and ends.

use crate::api::{
    CommitTxn, Committed, LoadError, LoadRequest, LoadResult, LoadSource, LoadState, SqlError,
    SubTxn, TxnKey, TxnStatus,
};
use crate::frontend::Frontend;
use crate::load::write::Target;
use crate::txn::commit::{be_ids, sql_error};
use crate::txn::table::{Begun, NewTxn};

impl Frontend {
    /// BEGIN: an explicit transaction; pass its id in [`LoadRequest::explicit_txn`].
    pub fn begin_explicit(&self, db: &str, label: Option<String>) -> Result<i64, SqlError> {
        let now = self.clock().now_ms();
        let mut state = self.lock();
        let db_id = state.db(db)?.id;
        let label =
            label.unwrap_or_else(|| format!("txn_insert_{:x}_{:x}", now, state.txns.new_id()));
        let new = NewTxn {
            db_id,
            label,
            table_ids: Vec::new(),
            source: LoadSource::Insert,
            timeout_s: None,
            request_id: None,
        };
        match state.txns.begin(new, now) {
            Ok(Begun::New(id) | Begun::Repeated(id)) => Ok(id),
            Err(refused) => Err(sql_error(refused.error)),
        }
    }

    /// Begins the transaction of a stream load, before its body is read. End it with [`Frontend::load`] or
    /// [`Frontend::abort_stream_load`].
    ///
    /// # Errors
    /// The label is used, the table is unknown, or too many transactions run.
    pub fn begin_stream_load(
        &self,
        db: &str,
        table: &str,
        label: &str,
        timeout_s: Option<i64>,
    ) -> Result<i64, LoadError> {
        let now = self.clock().now_ms();
        let mut state = self.lock();
        let db_id = state.db(db)?.id;
        let new = NewTxn {
            db_id,
            label: label.to_owned(),
            table_ids: vec![state.table(db, table)?.id],
            source: LoadSource::StreamLoad,
            timeout_s,
            request_id: None,
        };
        match state.txns.begin(new, now) {
            Ok(Begun::New(id) | Begun::Repeated(id)) => Ok(id),
            Err(refused) => {
                let holder = state.txns.find(db_id, &TxnKey::Label(label.to_owned()));
                match holder.filter(|_| refused.job_status.is_some()) {
                    Some(holder) => Err(LoadError::LabelUsed {
                        label: label.to_owned(),
                        txn_id: holder.id,
                        status: holder.status,
                    }),
                    None => Err(sql_error(refused.error).into()),
                }
            }
        }
    }

    /// Gives a begun stream load up; one that has ended stays as it is.
    pub async fn abort_stream_load(&self, txn_id: i64, reason: &str) {
        let now = self.clock().now_ms();
        let aborted = {
            let mut state = self.lock();
            let open = state
                .txns
                .get(txn_id)
                .is_some_and(|txn| txn.status == TxnStatus::Prepare);
            open && state.txns.abort(txn_id, reason, now).is_ok()
        };
        if aborted {
            self.clear_on_backends(&[txn_id]).await;
        }
    }

    /// COMMIT of an explicit transaction.
    pub async fn commit_explicit(&self, txn_id: i64) -> Result<LoadResult, LoadError> {
        let (db_id, label, subs, loaded) = {
            let state = self.lock();
            let txn = state
                .txns
                .get(txn_id)
                .ok_or_else(|| SqlError::analysis(format!("transaction [{txn_id}] not found")))?;
            (
                txn.db_id,
                txn.label.clone(),
                txn.pending.clone(),
                txn.pending_rows,
            )
        };
        let state = self
            .commit_load(db_id, txn_id, Vec::new(), Some(subs))
            .await?;
        Ok(LoadResult {
            txn_id,
            label,
            loaded,
            filtered: 0,
            errors: Vec::new(),
            state,
        })
    }

    /// ROLLBACK of an explicit transaction.
    pub async fn rollback_explicit(&self, txn_id: i64) -> Result<(), SqlError> {
        let now = self.clock().now_ms();
        let ids = {
            let mut state = self.lock();
            let ids = state.txns.get(txn_id).map(be_ids).unwrap_or_default();
            state
                .txns
                .abort(txn_id, "user rollback", now)
                .map_err(sql_error)?;
            ids
        };
        self.clear_on_backends(&ids).await;
        Ok(())
    }

    /// Second phase of a two-phase stream load.
    pub async fn finish_two_phase(
        &self,
        db: &str,
        key: TxnKey,
        commit: bool,
    ) -> Result<(), SqlError> {
        let (db_id, txn_id, infos) = {
            let state = self.lock();
            let db_id = state.db(db)?.id;
            let txn = state.txns.find(db_id, &key).ok_or_else(|| match &key {
                TxnKey::Id(id) => SqlError::analysis(format!("transaction [{id}] not found")),
                TxnKey::Label(label) => {
                    SqlError::analysis(format!("transaction [{label}] not found"))
                }
            })?;
            let id = txn.id;
            match (txn.status, commit) {
                (TxnStatus::Committed | TxnStatus::Visible, true) => {
                    return Err(SqlError::analysis(format!(
                        "transaction [{id}] is already {}, not pre-committed.",
                        txn.status.as_str().to_lowercase()
                    )));
                }
                (TxnStatus::Prepare, true) => {
                    return Err(SqlError::analysis(format!(
                        "transaction [{id}] is prepare, not pre-committed."
                    )));
                }
                _ => {}
            }
            (
                db_id,
                id,
                txn.pending
                    .first()
                    .map(|s| s.commit_infos.clone())
                    .unwrap_or_default(),
            )
        };
        if commit {
            self.commit_load(db_id, txn_id, infos, None).await?;
            return Ok(());
        }
        self.rollback_txn("", Some(db_id), txn_id, Some("user abort"))
            .await
            .map_err(sql_error)
    }

    pub(crate) async fn commit_load(
        &self,
        db_id: i64,
        txn_id: i64,
        commit_infos: Vec<(i64, i64)>,
        subs: Option<Vec<SubTxn>>,
    ) -> Result<LoadState, SqlError> {
        let request = CommitTxn {
            db_id: Some(db_id),
            txn_id,
            commit_infos,
            sub_txns: subs,
            ..CommitTxn::default()
        };
        match self.commit_txn(request).await {
            Ok(Committed::Done) => Ok(LoadState::Visible),
            Ok(Committed::VisibleLater) => Ok(LoadState::Committed),
            Err(error) => {
                // Refused commits leave the transaction open; nobody else would end it.
                let _ = self
                    .rollback_txn("", Some(db_id), txn_id, Some(&error.text))
                    .await;
                Err(sql_error(error))
            }
        }
    }

    pub(crate) async fn give_up(&self, request: &LoadRequest, txn_id: i64, reason: &str) {
        if request.explicit_txn.is_some() {
            return;
        }
        let now = self.clock().now_ms();
        let aborted = self.lock().txns.abort(txn_id, reason, now).is_ok();
        if aborted {
            self.clear_on_backends(&[txn_id]).await;
        }
    }

    /// (transaction, id under which backends get the rowsets, label).
    pub(crate) fn begin_load(
        &self,
        request: &LoadRequest,
        target: &Target,
    ) -> Result<(i64, i64, String), LoadError> {
        let now = self.clock().now_ms();
        let mut state = self.lock();
        if let Some(id) = request.explicit_txn {
            let sub = match state.txns.get(id) {
                Some(txn) if txn.status == TxnStatus::Prepare => txn.pending.is_empty(),
                Some(_) | None => {
                    return Err(SqlError::analysis(format!("transaction [{id}] not found")).into());
                }
            };
            let write_id = if sub { id } else { state.txns.new_id() };
            let txn = state
                .txns
                .get_mut(id)
                .ok_or_else(|| SqlError::analysis(format!("transaction [{id}] not found")))?;
            txn.sub_txn_ids.push(write_id);
            if !txn.table_ids.contains(&target.table_id) {
                txn.table_ids.push(target.table_id);
            }
            return Ok((id, write_id, txn.label.clone()));
        }
        if let Some(id) = request.begun {
            let txn = state.txns.get(id);
            return match txn.filter(|txn| txn.status == TxnStatus::Prepare) {
                Some(txn) => Ok((id, id, txn.label.clone())),
                None => Err(SqlError::analysis(format!("transaction [{id}] not found")).into()),
            };
        }
        let label = request
            .label
            .clone()
            .unwrap_or_else(|| format!("label_{:016x}_{:016x}", now, state.txns.new_id()));
        let new = NewTxn {
            db_id: target.db_id,
            label: label.clone(),
            table_ids: vec![target.table_id],
            source: request.source,
            timeout_s: request.timeout_s,
            request_id: None,
        };
        match state.txns.begin(new, now) {
            Ok(Begun::New(id) | Begun::Repeated(id)) => Ok((id, id, label)),
            Err(refused) => {
                let holder = state.txns.find(target.db_id, &TxnKey::Label(label.clone()));
                match holder.filter(|_| refused.job_status.is_some()) {
                    Some(holder) => Err(LoadError::LabelUsed {
                        label,
                        txn_id: holder.id,
                        status: holder.status,
                    }),
                    None => Err(sql_error(refused.error).into()),
                }
            }
        }
    }
}
