//! The frontend itself: one state behind one lock that is never held across a call to a backend.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::BackendHandle;
use crate::api::{
    BackendInfo, BeginRefused, BeginTxn, BegunTxn, BinlogLag, BinlogReply, FrontendConfig,
    LoadSource, RpcError, SqlError, StatusCode, StreamKey, TxnKey, TxnView,
};
use crate::backends::Backends;
use crate::binlog::stream::Locked;
use crate::catalog::show_create::{self, Form};
use crate::held::{Held, StateGuard};
use crate::state::FeState;
use crate::state::resolve_db;
use crate::store::Opened;
use crate::txn::table::{Begun, NewTxn};
use dorisim_model::clock::SimClock;
use dorisim_model::{Catalog, OlapTable};
use dorisim_query::QueryEngine;

/// What the names of global variables begin with among the settings.
const GLOBAL_VARIABLE: &str = "@@global.";

/// The master FE of a simulated cluster.
pub struct Frontend {
    config: FrontendConfig,
    clock: Arc<SimClock>,
    me: Weak<Self>,
    state: Mutex<Held>,
    backends: RwLock<Vec<BackendHandle>>,
    nodes: Backends,
    /// DDL runs one at a time; loads do not take it.
    pub(crate) ddl: tokio::sync::Mutex<()>,
    /// Publishing shares it; a job that exchanges tablets of a table holds it alone.
    pub(crate) publish_gate: tokio::sync::RwLock<()>,
    publish_delay_ms: AtomicU64,
    /// Computes what materialized views select; opened when the first one does.
    engine: OnceLock<QueryEngine>,
    stopped: AtomicBool,
}

impl std::fmt::Debug for Frontend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frontend")
            .field("cluster_id", &self.config.cluster_id)
            .finish_non_exhaustive()
    }
}

impl Frontend {
    /// A frontend over these backends. Call [`Self::spawn_daemons`] to let jobs and GC run.
    #[must_use]
    pub fn new(
        config: FrontendConfig,
        clock: Arc<SimClock>,
        backends: Vec<BackendHandle>,
    ) -> Arc<Self> {
        let held = Held::new(FeState::new(&config), None);
        Self::over(held, config, clock, backends)
    }

    /// A frontend that keeps its state in a data directory. Call [`Self::resume`] when its backends can be reached.
    #[must_use]
    pub fn durable(
        opened: Opened,
        config: FrontendConfig,
        clock: Arc<SimClock>,
        backends: Vec<BackendHandle>,
    ) -> Arc<Self> {
        let state = opened.state.unwrap_or_else(|| FeState::new(&config));
        Self::over(
            Held::new(state, Some(opened.store)),
            config,
            clock,
            backends,
        )
    }

    fn over(
        held: Held,
        config: FrontendConfig,
        clock: Arc<SimClock>,
        backends: Vec<BackendHandle>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            state: Mutex::new(held),
            nodes: Backends::new(config.agent.clone(), &config.token, Arc::clone(&clock)),
            config,
            clock,
            me: me.clone(),
            backends: RwLock::new(backends),
            ddl: tokio::sync::Mutex::new(()),
            publish_gate: tokio::sync::RwLock::new(()),
            publish_delay_ms: AtomicU64::new(0),
            engine: OnceLock::new(),
            stopped: AtomicBool::new(false),
        })
    }

    /// The registered backends and the tasks they have to do.
    pub fn nodes(&self) -> &Backends {
        &self.nodes
    }

    /// A registered backend can be driven from now on, or has moved.
    pub(crate) fn place_handle(&self, backend: BackendHandle) {
        let mut backends = self
            .backends
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let id = backend.address().id;
        match backends.iter_mut().find(|b| b.address().id == id) {
            Some(place) => *place = backend,
            None => {
                backends.push(backend);
                backends.sort_by_key(|b| b.address().id);
            }
        }
    }

    pub(crate) fn forget_handle(&self, id: i64) {
        self.backends
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|b| b.address().id != id);
    }

    /// Runs job ticks, binlog GC and transaction timeouts until cancelled. The handles are for those who end it more abruptly.
    pub fn spawn_daemons(self: &Arc<Self>, stop: CancellationToken) -> [JoinHandle<()>; 3] {
        let heartbeats = tokio::spawn(Arc::clone(self).heartbeats(stop.clone()));
        let jobs = Arc::clone(self);
        let stop_jobs = stop.clone();
        let jobs = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(jobs.config.job_tick);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    biased;
                    () = stop_jobs.cancelled() => break,
                    _ = ticks.tick() => jobs.tick_jobs().await,
                }
            }
            jobs.stopped.store(true, Ordering::Relaxed);
        });
        let gc = Arc::clone(self);
        let gc = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(gc.config.gc_interval);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => break,
                    _ = ticks.tick() => {
                        gc.gc_now().await;
                        gc.abort_timed_out().await;
                    }
                }
            }
        });
        [heartbeats, jobs, gc]
    }

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

    /// The state; what is changed through the guard is on disk when the guard is gone.
    pub(crate) fn lock(&self) -> StateGuard<'_> {
        StateGuard::new(self.held())
    }

    pub(crate) fn held(&self) -> MutexGuard<'_, Held> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn engine(&self) -> Result<&QueryEngine, SqlError> {
        if let Some(engine) = self.engine.get() {
            return Ok(engine);
        }
        let fresh = QueryEngine::new()?;
        Ok(self.engine.get_or_init(|| fresh))
    }

    pub(crate) fn me(&self) -> Option<Arc<Self>> {
        self.me.upgrade()
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// The delay of [`Self::set_publish_delay`].
    pub fn publish_delay(&self) -> Duration {
        Duration::from_millis(self.publish_delay_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn backend_list(&self) -> Vec<BackendHandle> {
        self.backends
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn backend(&self, id: i64) -> Option<BackendHandle> {
        self.backends
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .find(|b| b.address().id == id)
            .cloned()
    }

    pub(crate) fn alive_backends(&self) -> Vec<i64> {
        self.backend_list()
            .iter()
            .filter(|b| b.takes_tablets())
            .map(|b| b.address().id)
            .collect()
    }

    /// Reads the catalogue under the lock. Keep it short, do not call back.
    pub fn with_catalog<T>(&self, read: impl FnOnce(&Catalog) -> T) -> T {
        read(&self.lock().catalog)
    }

    /// Text of SHOW CREATE TABLE.
    #[must_use]
    pub fn show_create_table(&self, table: &OlapTable) -> String {
        show_create::create_table(table, Form::Shown)
    }

    /// Text of SHOW CREATE VIEW.
    #[must_use]
    pub fn show_create_view(&self, view: &dorisim_model::View) -> String {
        show_create::create_view(view)
    }

    /// Text of SHOW CREATE DATABASE.
    #[must_use]
    pub fn show_create_database(&self, db: &dorisim_model::Database) -> String {
        show_create::create_database(db)
    }

    /// Newest journal id of the cluster.
    #[must_use]
    pub fn journal_id(&self) -> i64 {
        self.lock().journal_id()
    }

    /// Settings changed by ADMIN SET FRONTEND CONFIG.
    #[must_use]
    pub fn settings(&self) -> BTreeMap<String, String> {
        let state = self.lock();
        let own = state.settings.iter();
        own.filter(|(name, _)| !name.starts_with(GLOBAL_VARIABLE))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Values of variables that SET GLOBAL changed, by name: those of new sessions.
    #[must_use]
    pub fn global_variables(&self) -> BTreeMap<String, String> {
        let state = self.lock();
        let all = state.settings.iter();
        all.filter_map(|(name, value)| {
            let name = name.strip_prefix(GLOBAL_VARIABLE)?;
            Some((name.to_owned(), value.clone()))
        })
        .collect()
    }

    /// SET GLOBAL.
    pub fn set_global_variable(&self, name: &str, value: &str) {
        let mut state = self.lock();
        let key = format!("{GLOBAL_VARIABLE}{name}");
        state.settings.insert(key, value.to_owned());
        state.journal();
    }

    /// One of the [`Self::settings`].
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<String> {
        self.lock().settings.get(name).cloned()
    }

    /// ADMIN SET FRONTEND CONFIG.
    pub fn set_settings(&self, settings: BTreeMap<String, String>) {
        self.lock().settings.extend(settings);
    }

    // --- accounts ---------------------------------------------------------------------------------------------------

    /// Clear-text password of a user; `None` for unknown users.
    #[must_use]
    pub fn password_of(&self, user: &str) -> Option<String> {
        self.lock().accounts.password(user).map(str::to_owned)
    }

    /// Sets the password of a user; false for unknown ones.
    pub fn set_password(&self, user: &str, password: &str) -> bool {
        self.lock().accounts.set_password(user, password)
    }

    /// True when the user holds the privilege (`SELECT`, `LOAD`, `ALTER`, `CREATE`, `DROP`, `ADMIN`) on the database or table.
    #[must_use]
    pub fn has_privilege(
        &self,
        user: &str,
        privilege: &str,
        db: Option<&str>,
        table: Option<&str>,
    ) -> bool {
        self.lock().accounts.allows(user, privilege, db, table)
    }

    /// True when the user holds any privilege on the database or on something in it.
    #[must_use]
    pub fn sees_database(&self, user: &str, db: &str) -> bool {
        self.lock().accounts.sees(user, db)
    }

    // --- transactions -----------------------------------------------------------------------------------------------

    /// beginTxn after authentication.
    pub fn begin_txn(&self, request: BeginTxn) -> Result<BegunTxn, BeginRefused> {
        let refuse = |error| {
            Err(BeginRefused {
                error,
                job_status: None,
            })
        };
        if request.label.is_empty() {
            return refuse(RpcError::analysis("empty label in begin request"));
        }
        let now = self.clock.now_ms();
        let mut state = self.lock();
        let Some(db) = state.catalog.database(&request.db) else {
            return refuse(if request.by_token {
                RpcError::meta_not_found(format!("unknown database, database={}", request.db))
            } else {
                RpcError::analysis(format!("can't find db named: {}", request.db))
            });
        };
        let db_id = db.id;
        let gone = request
            .table_ids
            .iter()
            .find(|id| !db.tables.contains_key(id));
        if let Some(gone) = gone.filter(|_| !request.by_token) {
            return refuse(RpcError::analysis(format!(
                "can't find table id: {gone} in db: {}",
                request.db
            )));
        }
        if state
            .settings
            .get("disable_load_job")
            .is_some_and(|v| v == "true")
        {
            return refuse(RpcError::analysis(
                "disable_load_job is set to true, all load jobs are prevented",
            ));
        }
        let new = NewTxn {
            db_id,
            label: request.label,
            table_ids: request.table_ids,
            source: LoadSource::Rpc,
            timeout_s: request.timeout_s,
            request_id: request.request_id,
        };
        match state.txns.begin(new, now)? {
            Begun::Repeated(txn_id) => Ok(BegunTxn {
                txn_id,
                db_id: None,
                sub_txn_ids: Vec::new(),
            }),
            Begun::New(txn_id) => {
                let mut sub_txn_ids = Vec::new();
                for i in 0..request.sub_txn_num.clamp(0, 10_000) {
                    sub_txn_ids.push(if i == 0 { txn_id } else { state.txns.new_id() });
                }
                if let Some(txn) = state.txns.get_mut(txn_id) {
                    txn.sub_txn_ids.clone_from(&sub_txn_ids);
                }
                Ok(BegunTxn {
                    txn_id,
                    db_id: Some(db_id),
                    sub_txn_ids,
                })
            }
        }
    }

    /// A transaction, for SHOW TRANSACTION and label state.
    #[must_use]
    pub fn transaction(&self, db: &str, key: &TxnKey) -> Option<TxnView> {
        let state = self.lock();
        let db_id = state.catalog.database(db)?.id;
        state
            .txns
            .find(db_id, key)
            .map(crate::txn::table::Txn::view)
    }

    /// Transactions of a database, the newest first: those that ended, or those that have not. `None` without the database.
    pub fn transactions(&self, db_id: i64, ended: bool) -> Option<Vec<TxnView>> {
        let state = self.lock();
        state.catalog.databases.get(&db_id)?;
        Some(state.txns.list(db_id, ended))
    }

    // --- binlog -----------------------------------------------------------------------------------------------------

    /// Database and table ids of a stream request.
    fn stream_ids(state: &FeState, key: &StreamKey) -> Result<(i64, Option<i64>), RpcError> {
        // The databases of the system exist and have no stream.
        if ["information_schema", "mysql", "__internal_schema"].contains(&key.db.as_str()) {
            return Ok((0, None));
        }
        let db_id = resolve_db(state, &key.db, None)?;
        if let Some(id) = key.table_id {
            return Ok((db_id, (id >= 0).then_some(id)));
        }
        let Some(name) = key.table.as_deref().filter(|n| !n.is_empty()) else {
            return Ok((db_id, None));
        };
        let db = state.catalog.databases.get(&db_id);
        if let Some(table) = db.and_then(|d| d.table(name)) {
            return Ok((db_id, Some(table.id)));
        }
        Err(RpcError::meta_not_found(
            if db.is_some_and(|d| d.view(name).is_some()) {
                format!("table type is not OLAP, tableName={name}, type=VIEW")
            } else {
                format!("table not found, tableName={name}")
            },
        ))
    }

    /// getBinlog after authentication.
    pub fn get_binlog(
        &self,
        stream: &StreamKey,
        prev: i64,
        num: i64,
    ) -> Result<BinlogReply, RpcError> {
        let now = self.clock.now_ms();
        let state = self.lock();
        let (db_id, table_id) = Self::stream_ids(&state, stream)?;
        let Some(of_db) = state.streams.db(db_id) else {
            return Ok(BinlogReply::NotFoundDb);
        };
        Ok(match table_id {
            None => of_db.read(prev, num, now),
            Some(id) => state
                .streams
                .table(id)
                .map_or(BinlogReply::NotFoundTable, |s| s.read(prev, num, now)),
        })
    }

    /// getBinlogLag after authentication.
    pub fn get_binlog_lag(&self, stream: &StreamKey, prev: i64) -> Result<BinlogLag, RpcError> {
        let now = self.clock.now_ms();
        let state = self.lock();
        let (db_id, table_id) = Self::stream_ids(&state, stream)?;
        let of_db = state
            .streams
            .db(db_id)
            .ok_or_else(|| RpcError::plain(StatusCode::BinlogNotFoundDb, ""))?;
        match table_id {
            None => Ok(of_db.lag(prev, now)),
            Some(id) => state
                .streams
                .table(id)
                .map(|s| s.lag(prev, now))
                .ok_or_else(|| RpcError::plain(StatusCode::BinlogNotFoundTable, "")),
        }
    }

    /// lockBinlog after authentication: the locked position. TOO_NEW comes as an error of that code (locked_commit_seq -1).
    pub fn lock_binlog(
        &self,
        stream: &StreamKey,
        job: &str,
        seq: Option<i64>,
    ) -> Result<i64, RpcError> {
        let mut state = self.lock();
        let (db_id, table_id) = Self::stream_ids(&state, stream)?;
        if state.streams.db(db_id).is_none() {
            return Err(RpcError::plain(StatusCode::BinlogNotFoundDb, ""));
        }
        let Some(stream) = state.streams.stream_mut(db_id, table_id) else {
            return Err(RpcError::plain(StatusCode::BinlogNotFoundTable, ""));
        };
        match stream.lock(job, seq) {
            Locked::At(seq) => Ok(seq),
            Locked::TooNew => Err(RpcError::plain(StatusCode::BinlogTooNew, "")),
        }
    }

    // --- cluster ----------------------------------------------------------------------------------------------------

    /// getBackendMeta, SHOW BACKENDS.
    #[must_use]
    pub fn backends(&self) -> Vec<BackendInfo> {
        self.backend_list()
            .iter()
            .map(|b| BackendInfo {
                address: b.address().clone(),
                alive: b.alive(),
            })
            .collect()
    }

    /// getMasterToken.
    #[must_use]
    pub fn master_token(&self) -> &str {
        &self.config.token
    }

    // --- for tests and faults -------------------------------------------------------------------------------------

    /// Every publish is delayed by this; commits whose wait is shorter answer PUBLISH_TIMEOUT.
    pub fn set_publish_delay(&self, delay: Duration) {
        self.publish_delay_ms.store(
            u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }
}
