//! The frontend: one state behind one lock, backends behind a trait.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::api::*;
use crate::be::api::BackendApi;
use crate::clock::SimClock;
use crate::model::{Catalog, OlapTable, Row};
use crate::sql::ast::Statement;

/// The master FE of a simulated cluster.
pub struct Frontend {
    config: FrontendConfig,
    clock: Arc<SimClock>,
    catalog: std::sync::Mutex<Catalog>,
}

fn later<T>() -> Result<T, SqlError> {
    Err(SqlError::analysis("not supported"))
}

impl Frontend {
    /// A frontend over these backends. Call [`Self::spawn_daemons`] to let jobs and GC run.
    #[must_use]
    pub fn new(
        config: FrontendConfig,
        clock: Arc<SimClock>,
        _backends: Vec<Arc<dyn BackendApi>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            config,
            clock,
            catalog: std::sync::Mutex::default(),
        })
    }

    /// Runs job ticks, binlog GC and transaction timeouts until cancelled.
    pub fn spawn_daemons(self: &Arc<Self>, _stop: CancellationToken) {}

    /// Settings.
    #[must_use]
    pub fn config(&self) -> &FrontendConfig {
        &self.config
    }

    /// The clock of the cluster.
    #[must_use]
    pub fn clock(&self) -> &Arc<SimClock> {
        &self.clock
    }

    // --- statements -------------------------------------------------------------------------------------------------

    /// Runs DDL, BACKUP, user management and the like. INSERT, DELETE, UPDATE, SELECT, SHOW, BEGIN..COMMIT and CTAS are the
    /// caller's: they end in [`Self::load`], [`Self::delete`], [`Self::scan_table`] and the explicit transaction calls.
    pub async fn execute(
        &self,
        _session: &SessionCtx,
        _statement: Statement,
    ) -> Result<StmtOutcome, SqlError> {
        later()
    }

    /// Reads the catalogue under the lock. Keep it short, do not call back.
    pub fn with_catalog<T>(&self, read: impl FnOnce(&Catalog) -> T) -> T {
        read(
            &self
                .catalog
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }

    /// Text of SHOW CREATE TABLE.
    #[must_use]
    pub fn show_create_table(&self, _table: &OlapTable) -> String {
        String::new()
    }

    /// Visible rows after merging. `partitions` empty: all normal ones. `hidden`: hidden columns too (deleted rows stay away).
    pub fn scan_table(
        &self,
        _db: &str,
        _table: &str,
        _partitions: &[String],
        _temp: bool,
        _hidden: bool,
    ) -> Result<TableScan, SqlError> {
        later()
    }

    /// Loads rows in one transaction.
    pub async fn load(&self, _request: LoadRequest) -> Result<LoadResult, LoadError> {
        Ok(later()?)
    }

    /// DELETE on duplicate and aggregate tables by conditions. Unique tables: load the rows with `delete` set instead.
    pub async fn delete(
        &self,
        _db: &str,
        _table: &str,
        _partitions: &[String],
        _conditions: &[DeleteWhere],
        _label: Option<String>,
    ) -> Result<LoadResult, LoadError> {
        Ok(later()?)
    }

    /// INSERT OVERWRITE: loads into temporary partitions and replaces. `partitions` empty: the whole table.
    pub async fn insert_overwrite(&self, _request: LoadRequest) -> Result<LoadResult, LoadError> {
        Ok(later()?)
    }

    /// BEGIN: an explicit transaction; pass its id in [`LoadRequest::explicit_txn`].
    pub fn begin_explicit(&self, _db: &str, _label: Option<String>) -> Result<i64, SqlError> {
        later()
    }

    /// COMMIT of an explicit transaction.
    pub async fn commit_explicit(&self, _txn_id: i64) -> Result<LoadResult, LoadError> {
        Ok(later()?)
    }

    /// ROLLBACK of an explicit transaction.
    pub async fn rollback_explicit(&self, _txn_id: i64) -> Result<(), SqlError> {
        later()
    }

    /// Second phase of a two-phase stream load.
    pub async fn finish_two_phase(
        &self,
        _db: &str,
        _txn: TxnKey,
        _commit: bool,
    ) -> Result<(), SqlError> {
        later()
    }

    /// A transaction, for SHOW TRANSACTION and label state.
    #[must_use]
    pub fn transaction(&self, _db: &str, _key: &TxnKey) -> Option<TxnView> {
        None
    }

    /// Jobs of a database, oldest first.
    #[must_use]
    pub fn backup_jobs(&self, _db: &str) -> Vec<JobView> {
        Vec::new()
    }

    /// Jobs of a database, oldest first.
    #[must_use]
    pub fn restore_jobs(&self, _db: &str) -> Vec<JobView> {
        Vec::new()
    }

    // --- accounts ---------------------------------------------------------------------------------------------------

    /// Clear-text password of a user; `None` for unknown users.
    #[must_use]
    pub fn password_of(&self, _user: &str) -> Option<String> {
        None
    }

    /// True when the user holds the privilege (`SELECT`, `LOAD`, `ALTER`, `CREATE`, `DROP`, `ADMIN`) on the database or table.
    #[must_use]
    pub fn has_privilege(
        &self,
        _user: &str,
        _privilege: &str,
        _db: Option<&str>,
        _table: Option<&str>,
    ) -> bool {
        true
    }

    // --- RPC --------------------------------------------------------------------------------------------------------

    /// beginTxn after authentication.
    pub fn begin_txn(&self, _request: BeginTxn) -> Result<BegunTxn, BeginRefused> {
        Err(BeginRefused {
            error: RpcError::analysis(""),
            job_status: None,
        })
    }

    /// commitTxn after authentication.
    pub async fn commit_txn(&self, _request: CommitTxn) -> Result<Committed, RpcError> {
        Err(RpcError::analysis(""))
    }

    /// rollbackTxn after authentication.
    pub async fn rollback_txn(
        &self,
        _db: &str,
        _db_id: Option<i64>,
        _txn_id: i64,
        _reason: Option<&str>,
    ) -> Result<(), RpcError> {
        Err(RpcError::analysis(""))
    }

    /// waitingTxnStatus.
    pub async fn waiting_txn_status(
        &self,
        _db_id: i64,
        _key: TxnKey,
    ) -> Result<WaitedTxn, RpcError> {
        Err(RpcError::analysis(""))
    }

    /// getBinlog after authentication.
    pub fn get_binlog(
        &self,
        _stream: &StreamKey,
        _prev: i64,
        _num: i64,
    ) -> Result<BinlogReply, RpcError> {
        Err(RpcError::analysis(""))
    }

    /// getBinlogLag after authentication.
    pub fn get_binlog_lag(&self, _stream: &StreamKey, _prev: i64) -> Result<BinlogLag, RpcError> {
        Err(RpcError::analysis(""))
    }

    /// lockBinlog after authentication: the locked position. TOO_NEW comes as an error of that code (locked_commit_seq -1).
    pub fn lock_binlog(
        &self,
        _stream: &StreamKey,
        _job: &str,
        _seq: Option<i64>,
    ) -> Result<i64, RpcError> {
        Err(RpcError::analysis(""))
    }

    /// getMeta after authentication; `None`: unknown database (status OK, `db_meta` unset).
    #[must_use]
    pub fn get_meta(&self, _request: &MetaRequest) -> Option<DbMeta> {
        None
    }

    /// getBackendMeta, SHOW BACKENDS.
    #[must_use]
    pub fn backends(&self) -> Vec<BackendInfo> {
        Vec::new()
    }

    /// getMasterToken.
    #[must_use]
    pub fn master_token(&self) -> &str {
        &self.config.token
    }

    /// getSnapshot after authentication.
    pub fn get_snapshot(&self, _label: &str) -> Result<Snapshot, RpcError> {
        Err(RpcError::analysis(""))
    }

    /// restoreSnapshot after authentication: the job's id.
    pub fn restore_snapshot(&self, _request: RestoreRequest) -> Result<i64, RpcError> {
        Err(RpcError::analysis(""))
    }

    // --- for tests and faults -------------------------------------------------------------------------------------

    /// One round of binlog GC at the clock's present time.
    pub async fn gc_now(&self) {}

    /// Commits return PUBLISH_TIMEOUT when publish takes longer than the wait; every publish is delayed by this.
    pub fn set_publish_delay(&self, _delay: Duration) {}

    /// The next `records` binlog records become visible only after `delay` (their successors may be seen first).
    pub fn delay_next_binlogs(&self, _records: u32, _delay: Duration) {}

    /// What a restart or a master switch does: PREPARE transactions and binlog locks are gone.
    pub fn forget_memory(&self) {}

    /// Rows of unused parameters, to be removed.
    #[doc(hidden)]
    #[must_use]
    pub fn nothing(&self) -> BTreeMap<i64, Row> {
        BTreeMap::new()
    }
}
