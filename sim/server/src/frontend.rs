//! `FrontendService` of one frontend port.
//!
//! Order of checks as in Doris (January 2026): master, missing fields, authentication, then the call itself.

use std::net::IpAddr;
use std::sync::Arc;

use dorisim_wire as wire;
use thrift::protocol::TInputProtocol;
use wire::{TNetworkAddress, TStatus, TStatusCode};

use super::auth::{Account, Need, authenticate, authenticate_null, authorize, need, peer_ip};
use super::convert;
use super::roles::Roles;
use dorisim_fe as fe;
use dorisim_fe::{Frontend, RpcError, StatusCode};
use dorisim_net::server::{Dispatch, Service, encode, read_argument};

/// The twelve methods of replication and the three that backends call; others are unknown.
pub struct FrontendService {
    calls: Arc<Calls>,
}

impl FrontendService {
    /// The service of frontend number `index` of `roles`.
    pub fn new(frontend: Arc<Frontend>, roles: Arc<Roles>, index: usize) -> Self {
        FrontendService {
            calls: Arc::new(Calls {
                frontend,
                roles,
                index,
            }),
        }
    }
}

impl Service for FrontendService {
    fn dispatch(
        &self,
        method: &str,
        peer: IpAddr,
        input: &mut dyn TInputProtocol,
    ) -> thrift::Result<Dispatch> {
        let calls = Arc::clone(&self.calls);
        if !calls.level().knows(method) {
            return Ok(Dispatch::Unknown);
        }
        macro_rules! call {
            (async $method:ident) => {{
                let request = read_argument(input)?;
                Dispatch::Call(Box::pin(async move { encode(&calls.$method(request).await) }))
            }};
            ($method:ident $(, $peer:expr)?) => {{
                let request = read_argument(input)?;
                Dispatch::Call(Box::pin(async move { encode(&calls.$method(request $(, $peer)?)) }))
            }};
        }
        let dispatched = match method {
            "beginTxn" => call!(begin_txn),
            "commitTxn" => call!(async commit_txn),
            "rollbackTxn" => call!(async rollback_txn),
            "waitingTxnStatus" => call!(async waiting_txn_status),
            "getBinlog" => call!(get_binlog),
            "getBinlogLag" => call!(get_binlog_lag),
            "lockBinlog" => call!(lock_binlog, peer),
            "getSnapshot" => call!(get_snapshot, peer),
            "restoreSnapshot" => call!(restore_snapshot, peer),
            "getMasterToken" => call!(get_master_token, peer),
            "getMeta" => call!(get_meta, peer),
            "getBackendMeta" => call!(get_backend_meta, peer),
            "finishTask" => {
                let request = read_argument(input)?;
                Dispatch::Call(Box::pin(async move {
                    encode(&calls.frontend.finish_task(request).await)
                }))
            }
            "report" => {
                let request = read_argument(input)?;
                Dispatch::Call(Box::pin(async move {
                    encode(&calls.frontend.report(request).await)
                }))
            }
            "snapshotLoaderReport" => {
                let request = read_argument(input)?;
                Dispatch::Call(Box::pin(async move {
                    encode(&calls.frontend.snapshot_loader_report(&request))
                }))
            }
            _ => Dispatch::Unknown,
        };
        let for_backends = matches!(method, "finishTask" | "report" | "snapshotLoaderReport");
        Ok(match dispatched {
            Dispatch::Call(call) if !for_backends && self.calls.adds_members() => {
                Dispatch::Call(Box::pin(async move { call.await.with_unknown_members() }))
            }
            Dispatch::Call(call) => Dispatch::Call(call),
            Dispatch::Unknown => Dispatch::Unknown,
        })
    }

    fn backend_id(&self) -> Option<i64> {
        None
    }
}

/// The calls of one frontend port.
pub(super) struct Calls {
    pub(super) frontend: Arc<Frontend>,
    roles: Arc<Roles>,
    index: usize,
}

/// A refusal and, for NOT_MASTER, where the master is.
pub(super) struct Refused {
    pub(super) status: TStatus,
    pub(super) master: Option<TNetworkAddress>,
}

impl From<RpcError> for Refused {
    fn from(error: RpcError) -> Self {
        Refused {
            status: convert::refusal(&error),
            master: None,
        }
    }
}

impl Calls {
    pub(super) fn master_only(&self, always_tell: bool) -> Result<(), Refused> {
        if self.roles.master() == self.index {
            return Ok(());
        }
        let error = RpcError::plain(StatusCode::NotMaster, "FE is not master");
        Err(Refused {
            status: convert::refusal(&error),
            master: self
                .roles
                .master_address(always_tell || self.level().tells_master()),
        })
    }

    /// Names of tables for privilege checks; unknown ids are left to the call itself.
    fn table_names(&self, db: &str, ids: &[i64]) -> Vec<String> {
        self.frontend.with_catalog(|catalog| {
            let Some(database) = catalog.database(db) else {
                return Vec::new();
            };
            ids.iter()
                .filter_map(|id| database.tables.get(id))
                .map(|table| table.name.clone())
                .collect()
        })
    }

    fn begin_txn(&self, request: wire::TBeginTxnRequest) -> wire::TBeginTxnResult {
        match self.try_begin_txn(&request) {
            Ok(Ok(begun)) => wire::TBeginTxnResult {
                status: Some(convert::ok()),
                txn_id: Some(begun.txn_id),
                job_status: None,
                db_id: begun.db_id,
                master_address: None,
                sub_txn_ids: (!begun.sub_txn_ids.is_empty()).then_some(begun.sub_txn_ids),
            },
            Ok(Err(refused)) => wire::TBeginTxnResult {
                status: Some(convert::refusal(&refused.error)),
                job_status: refused.job_status.map(str::to_owned),
                ..convert::nothing_begun()
            },
            Err(refused) => wire::TBeginTxnResult {
                status: Some(refused.status),
                master_address: refused.master,
                ..convert::nothing_begun()
            },
        }
    }

    fn try_begin_txn(
        &self,
        request: &wire::TBeginTxnRequest,
    ) -> Result<Result<fe::BegunTxn, fe::BeginRefused>, Refused> {
        self.master_only(false)?;
        let account = Account {
            user: request.user.as_ref(),
            passwd: request.passwd.as_ref(),
            ip: request.user_ip.clone(),
            token: request.token.as_ref(),
        };
        need(request.user.as_ref(), "user")?;
        need(request.passwd.as_ref(), "passwd")?;
        let db = need(request.db.clone(), "db")?;
        let table_ids = need(request.table_ids.clone(), "table ids")?;
        let label = need(request.label.clone(), "label")?;
        self.authorize_tables(&account, "LOAD", &db, &table_ids)?;
        let request_id = request.request_id.as_ref().map(|id| (id.hi, id.lo));
        Ok(self.frontend.begin_txn(fe::BeginTxn {
            db,
            table_ids,
            label,
            timeout_s: request.timeout,
            request_id,
            sub_txn_num: request.sub_txn_num.unwrap_or(0),
            by_token: account.by_token(),
        }))
    }

    fn authorize_tables(
        &self,
        account: &Account<'_>,
        privilege: &str,
        db: &str,
        table_ids: &[i64],
    ) -> Result<(), RpcError> {
        if table_ids.is_empty() {
            let table = None;
            return authorize(
                &self.frontend,
                account,
                Need {
                    privilege,
                    db,
                    table,
                },
            );
        }
        let names = self.table_names(db, table_ids);
        if names.is_empty() && !account.by_token() {
            authenticate(&self.frontend, account)?;
        }
        for name in &names {
            let table = Some(name.as_str());
            authorize(
                &self.frontend,
                account,
                Need {
                    privilege,
                    db,
                    table,
                },
            )?;
        }
        Ok(())
    }

    async fn commit_txn(&self, request: wire::TCommitTxnRequest) -> wire::TCommitTxnResult {
        let (status, master_address) = match self.try_commit_txn(request).await {
            Ok(fe::Committed::Done) => (convert::ok(), None),
            Ok(fe::Committed::VisibleLater) => {
                let text = Some(fe::VISIBLE_LATER.to_owned());
                (convert::status(TStatusCode::PUBLISH_TIMEOUT, text), None)
            }
            Err(refused) => (refused.status, refused.master),
        };
        wire::TCommitTxnResult::new(status, master_address)
    }

    async fn try_commit_txn(
        &self,
        request: wire::TCommitTxnRequest,
    ) -> Result<fe::Committed, Refused> {
        let request = self.level().commit_request(request);
        self.master_only(false)?;
        need(request.user.as_ref(), "user")?;
        need(request.passwd.as_ref(), "passwd")?;
        let db = need(request.db.clone(), "db")?;
        let txn_id = need(request.txn_id, "txn_id")?;
        let sub_txns = if request.txn_insert == Some(true) {
            let infos = need(request.sub_txn_infos.as_ref(), "sub_txn_infos")?;
            Some(infos.iter().map(convert::sub_txn).collect())
        } else {
            need(request.commit_infos.as_ref(), "commit_infos")?;
            None
        };
        // The mere presence of a token or an auth code skips the password check.
        if request.token.is_none() && request.auth_code.is_none() {
            let account = Account {
                user: request.user.as_ref(),
                passwd: request.passwd.as_ref(),
                ip: request.user_ip.clone(),
                token: None,
            };
            self.authorize_txn(&account, &db, txn_id)?;
        }
        let committed = self
            .frontend
            .commit_txn(fe::CommitTxn {
                db,
                db_id: request.db_id,
                txn_id,
                commit_infos: convert::commit_infos(
                    request.commit_infos.as_deref().unwrap_or_default(),
                ),
                sub_txns,
                only_commit: request.only_commit.unwrap_or(false),
                rpc_timeout_ms: request.thrift_rpc_timeout_ms,
            })
            .await?;
        Ok(committed)
    }

    fn authorize_txn(&self, account: &Account<'_>, db: &str, txn_id: i64) -> Result<(), RpcError> {
        let txn = self.frontend.transaction(db, &fe::TxnKey::Id(txn_id));
        let table_ids = txn.map(|txn| txn.table_ids).unwrap_or_default();
        self.authorize_tables(account, "LOAD", db, &table_ids)
    }

    async fn rollback_txn(&self, request: wire::TRollbackTxnRequest) -> wire::TRollbackTxnResult {
        let (status, master_address) = match self.try_rollback_txn(request).await {
            Ok(()) => (convert::ok(), None),
            Err(refused) => (refused.status, refused.master),
        };
        wire::TRollbackTxnResult::new(status, master_address)
    }

    async fn try_rollback_txn(&self, request: wire::TRollbackTxnRequest) -> Result<(), Refused> {
        self.master_only(false)?;
        need(request.user.as_ref(), "user")?;
        need(request.passwd.as_ref(), "passwd")?;
        let db = need(request.db.clone(), "db")?;
        let txn_id = need(request.txn_id, "txn_id")?;
        if request.token.is_none() && request.auth_code.is_none() {
            let account = Account {
                user: request.user.as_ref(),
                passwd: request.passwd.as_ref(),
                ip: request.user_ip.clone(),
                token: None,
            };
            self.authorize_txn(&account, &db, txn_id)?;
        }
        let reason = request.reason.as_deref();
        self.frontend
            .rollback_txn(&db, request.db_id, txn_id, reason)
            .await?;
        Ok(())
    }

    async fn waiting_txn_status(
        &self,
        request: wire::TWaitingTxnStatusRequest,
    ) -> wire::TWaitingTxnStatusResult {
        let key = match (request.txn_id, request.label) {
            (Some(id), _) => Some(fe::TxnKey::Id(id)),
            (None, Some(label)) => Some(fe::TxnKey::Label(label)),
            (None, None) => None,
        };
        // Fields that are not set count as 0 and as a label that nobody used.
        let db_id = request.db_id.unwrap_or(0);
        let key = key.unwrap_or_else(|| fe::TxnKey::Label(String::new()));
        match self.frontend.waiting_txn_status(db_id, key).await {
            Ok(waited) => wire::TWaitingTxnStatusResult::new(
                convert::status(TStatusCode::OK, waited.reason),
                waited.status_id,
            ),
            Err(error) => wire::TWaitingTxnStatusResult::new(convert::refusal(&error), None),
        }
    }

    fn get_binlog(&self, request: wire::TGetBinlogRequest) -> wire::TGetBinlogResult {
        let request = self.level().binlog_request(request);
        let follower = request.allow_follower_read == Some(true);
        let asked = self.stream_of(&request, follower, true);
        let num = request.num_acquired.unwrap_or(1);
        let answered = asked.and_then(|(stream, prev)| {
            self.frontend
                .get_binlog(&stream, prev, num)
                .map_err(Refused::from)
        });
        match answered {
            Ok(reply) => convert::binlog_result(&reply),
            Err(refused) => {
                wire::TGetBinlogResult::new(refused.status, None, None, None, None, refused.master)
            }
        }
    }

    fn get_binlog_lag(&self, request: wire::TGetBinlogRequest) -> wire::TGetBinlogLagResult {
        let answered = self
            .stream_of(&request, false, false)
            .and_then(|(stream, prev)| {
                self.frontend
                    .get_binlog_lag(&stream, prev)
                    .map_err(Refused::from)
            });
        match answered {
            Ok(lag) => self.level().lag_result(convert::lag_result(&lag)),
            Err(refused) => convert::no_lag(refused.status, refused.master),
        }
    }

    fn stream_of(
        &self,
        request: &wire::TGetBinlogRequest,
        follower: bool,
        always_tell: bool,
    ) -> Result<(fe::StreamKey, i64), Refused> {
        if !follower {
            self.master_only(always_tell)?;
        }
        need(request.user.as_ref(), "user")?;
        need(request.passwd.as_ref(), "passwd")?;
        let db = need(request.db.clone(), "db")?;
        let prev = need(request.prev_commit_seq, "prev_commit_seq")?;
        let account = Account {
            user: request.user.as_ref(),
            passwd: request.passwd.as_ref(),
            ip: request.user_ip.clone(),
            token: request.token.as_ref(),
        };
        let table = request.table.as_deref().filter(|table| !table.is_empty());
        self.authorize_select(&account, &db, table)?;
        let stream = fe::StreamKey {
            table: table.map(str::to_owned),
            table_id: request.table_id,
            db,
        };
        Ok((stream, prev))
    }

    pub(super) fn authorize_select(
        &self,
        account: &Account<'_>,
        db: &str,
        table: Option<&str>,
    ) -> Result<(), RpcError> {
        let privilege = "SELECT";
        authorize(
            &self.frontend,
            account,
            Need {
                privilege,
                db,
                table,
            },
        )
    }

    fn lock_binlog(
        &self,
        request: wire::TLockBinlogRequest,
        peer: IpAddr,
    ) -> wire::TLockBinlogResult {
        match self.try_lock_binlog(&request, peer) {
            Ok(seq) => wire::TLockBinlogResult::new(convert::ok(), seq, None),
            Err(refused) => {
                // The stream was asked, and had no such position.
                let asked = [
                    TStatusCode::BINLOG_TOO_NEW_COMMIT_SEQ,
                    TStatusCode::BINLOG_NOT_FOUND_DB,
                    TStatusCode::BINLOG_NOT_FOUND_TABLE,
                ];
                let seq = asked.contains(&refused.status.status_code).then_some(-1);
                wire::TLockBinlogResult::new(refused.status, seq, refused.master)
            }
        }
    }

    fn try_lock_binlog(
        &self,
        request: &wire::TLockBinlogRequest,
        peer: IpAddr,
    ) -> Result<i64, Refused> {
        self.master_only(false)?;
        need(request.user.as_ref(), "user")?;
        need(request.passwd.as_ref(), "passwd")?;
        let db = need(request.db.clone(), "db")?;
        let job = need(request.job_unique_id.as_ref(), "job_unique_id")?;
        let account = Account {
            user: request.user.as_ref(),
            passwd: request.passwd.as_ref(),
            ip: peer_ip(peer),
            token: request.token.as_ref(),
        };
        let table = request.table.as_deref().filter(|table| !table.is_empty());
        self.authorize_select(&account, &db, table)?;
        let stream = fe::StreamKey {
            table: table.map(str::to_owned),
            table_id: request.table_id,
            db,
        };
        let seq = self
            .frontend
            .lock_binlog(&stream, job, request.lock_commit_seq)?;
        Ok(seq)
    }

    fn get_master_token(
        &self,
        request: wire::TGetMasterTokenRequest,
        peer: IpAddr,
    ) -> wire::TGetMasterTokenResult {
        if let Err(refused) = self.master_only(false) {
            return wire::TGetMasterTokenResult::new(refused.status, None, refused.master);
        }
        let account = Account {
            user: request.user.as_ref(),
            passwd: request.password.as_ref(),
            ip: peer_ip(peer),
            token: None,
        };
        match authenticate_null(&self.frontend, &account) {
            Ok(_) => {
                let token = self.frontend.master_token().to_owned();
                wire::TGetMasterTokenResult::new(convert::ok(), token, None)
            }
            Err(error) => {
                let status = convert::status(TStatusCode::NOT_AUTHORIZED, error.message());
                wire::TGetMasterTokenResult::new(status, None, None)
            }
        }
    }

    fn get_meta(&self, request: wire::TGetMetaRequest, peer: IpAddr) -> wire::TGetMetaResult {
        match self.try_get_meta(&request, peer) {
            Ok(meta) => {
                let whole = wire::TGetMetaResult::new(convert::ok(), meta, None);
                self.level().meta_result(whole)
            }
            Err(refused) => wire::TGetMetaResult::new(refused.status, None, refused.master),
        }
    }

    fn try_get_meta(
        &self,
        request: &wire::TGetMetaRequest,
        peer: IpAddr,
    ) -> Result<Option<wire::TGetMetaDBMeta>, Refused> {
        self.master_only(false)?;
        need(request.user.as_ref(), "user")?;
        need(request.passwd.as_ref(), "passwd")?;
        let db = need(request.db.as_ref(), "db")?;
        let account = Account {
            user: request.user.as_ref(),
            passwd: request.passwd.as_ref(),
            ip: peer_ip(peer),
            token: None,
        };
        // A token leaves the database unresolved in Doris.
        if request
            .token
            .as_ref()
            .is_some_and(|token| !token.is_empty())
        {
            return Err(RpcError::plain(StatusCode::InternalError, "").into());
        }
        let user = authenticate(&self.frontend, &account)?;
        let name = db.id.map_or_else(
            || db.name.clone(),
            |id| {
                self.frontend
                    .with_catalog(|catalog| catalog.databases.get(&id).map(|db| db.name.clone()))
            },
        );
        let Some(name) = name else {
            return Ok(None);
        };
        if !self
            .frontend
            .has_privilege(&user, "SELECT", Some(&name), None)
        {
            let names: Option<Vec<&str>> = db.tables.as_ref().map(|tables| {
                tables
                    .iter()
                    .filter_map(|table| table.name.as_deref())
                    .collect()
            });
            for table in names.as_deref().unwrap_or(&[""]) {
                self.authorize_select(&account, &name, Some(table))?;
            }
        }
        let meta = self.frontend.get_meta(&convert::meta_request(db));
        Ok(meta.map(convert::db_meta))
    }

    fn get_backend_meta(
        &self,
        request: wire::TGetBackendMetaRequest,
        peer: IpAddr,
    ) -> wire::TGetBackendMetaResult {
        let account = Account {
            user: request.user.as_ref(),
            passwd: request.passwd.as_ref(),
            ip: peer_ip(peer),
            token: None,
        };
        if let Err(error) = authenticate(&self.frontend, &account) {
            return wire::TGetBackendMetaResult::new(convert::refusal(&error), None, None);
        }
        // All of them, whichever one was asked for.
        let backends: Vec<_> = self
            .frontend
            .backends()
            .iter()
            .map(convert::backend)
            .collect();
        let backends = (!backends.is_empty()).then_some(backends);
        wire::TGetBackendMetaResult::new(convert::ok(), backends, None)
    }
}
