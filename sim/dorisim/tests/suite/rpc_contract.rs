//! The frontend's RPCs over raw Thrift: status codes and texts, row by row.

mod auth;
mod fields;
mod transactions;
mod versions;
mod views;

use dorisim_wire::{
    TFrontendServiceSyncClient, TGetBackendMetaRequest, TGetMasterTokenRequest, TStatus,
    TStatusCode,
};

use crate::backup_restore::{Restore, restore_request, snapshot_request};
use crate::common::FrontendClient;
use crate::common::peer::{
    begin_request, binlog_request, code, commit_request, lock_request, message, meta_request,
    rollback_request,
};

/// Who calls, as the request says it.
#[derive(Clone, Copy)]
pub struct As<'a> {
    pub user: Option<&'a str>,
    pub passwd: Option<&'a str>,
    pub db: Option<&'a str>,
    pub token: Option<&'a str>,
    pub tables: &'a [i64],
    pub table: Option<&'a str>,
}

impl<'a> As<'a> {
    pub fn user(user: &'a str, passwd: &'a str) -> Self {
        Self {
            user: Some(user),
            passwd: Some(passwd),
            db: Some("d"),
            token: None,
            tables: &[],
            table: None,
        }
    }
}

/// The RPCs that authenticate.
pub const RPCS: [&str; 11] = [
    "beginTxn",
    "commitTxn",
    "rollbackTxn",
    "getBinlog",
    "getBinlogLag",
    "lockBinlog",
    "getSnapshot",
    "restoreSnapshot",
    "getMeta",
    "getBackendMeta",
    "getMasterToken",
];

/// Calls an RPC with an otherwise complete request; its status.
pub fn call(fe: &mut FrontendClient, rpc: &str, who: As<'_>) -> (TStatusCode, String) {
    let own = |text: Option<&str>| text.map(str::to_owned);
    macro_rules! with {
        ($request:expr) => {{
            let mut request = $request;
            request.user = own(who.user);
            request.passwd = own(who.passwd);
            request.db = own(who.db);
            request.token = own(who.token);
            request
        }};
    }
    let status: Option<TStatus> = match rpc {
        "beginTxn" => {
            let request = with!(begin_request(who.tables.to_vec(), "contract"));
            fe.begin_txn(request).unwrap().status
        }
        "commitTxn" => {
            fe.commit_txn(with!(commit_request(4_711, Vec::new())))
                .unwrap()
                .status
        }
        "rollbackTxn" => {
            fe.rollback_txn(with!(rollback_request(4_711)))
                .unwrap()
                .status
        }
        "getBinlog" => {
            let mut request = with!(binlog_request(-1, None));
            request.table = own(who.table);
            fe.get_binlog(request).unwrap().status
        }
        "getBinlogLag" => {
            let mut request = with!(binlog_request(-1, None));
            request.table = own(who.table);
            fe.get_binlog_lag(request).unwrap().status
        }
        "lockBinlog" => {
            let mut request = with!(lock_request("job", None));
            request.table = own(who.table);
            fe.lock_binlog(request).unwrap().status
        }
        "getSnapshot" => {
            let mut request = with!(snapshot_request("nothing"));
            request.table = own(who.table);
            fe.get_snapshot(request).unwrap().status
        }
        "restoreSnapshot" => {
            let info = serde_json::json!({});
            let request = restore_request(&Restore::new("r"), b"x".to_vec(), &info);
            fe.restore_snapshot(with!(request)).unwrap().status
        }
        "getMeta" => {
            let mut request = meta_request(who.db.unwrap_or("d"));
            request.user = own(who.user);
            request.passwd = own(who.passwd);
            request.token = own(who.token);
            if who.db.is_none() {
                request.db = None;
            }
            fe.get_meta(request).unwrap().status
        }
        "getBackendMeta" => {
            let (user, passwd, token) = (own(who.user), own(who.passwd), own(who.token));
            let request = TGetBackendMetaRequest::new(None, user, passwd, None, token, None);
            fe.get_backend_meta(request).unwrap().status
        }
        "getMasterToken" => {
            let request = TGetMasterTokenRequest::new(None, own(who.user), own(who.passwd));
            fe.get_master_token(request).unwrap().status
        }
        other => panic!("no such RPC: {other}"),
    };
    (code(&status), message(&status))
}
