//! A cluster through its public interfaces only: a MySQL driver, raw Thrift, HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use dorisim::{SimCluster, SimConfig};
use dorisim_wire::{
    TBeginTxnRequest, TBeginTxnResult, TBinlog, TCommitTxnRequest, TFrontendServiceSyncClient,
    TGetBinlogLagResult, TGetBinlogRequest, TGetBinlogResult, TGetMetaDB, TGetMetaDBMeta,
    TGetMetaRequest, TGetMetaTableMeta, TLockBinlogRequest, TRollbackTxnRequest, TStatus,
    TStatusCode, TTabletCommitInfo,
};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row, Value as Cell};
use serde_json::{Value, json};

use super::{FrontendClient, frontend_client};

/// A cluster and one client of each kind, all as `root` without password.
pub struct Peer {
    pub sim: SimCluster,
    pub fe: FrontendClient,
    conn: Conn,
    http: reqwest::Client,
}

/// One record, decoded.
#[derive(Debug, Clone)]
pub struct Rec {
    pub seq: i64,
    pub kind: i32,
    pub tables: Vec<i64>,
    pub raw: String,
    pub data: Value,
    pub wire: TBinlog,
}

pub fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

pub fn code(status: &Option<TStatus>) -> TStatusCode {
    status.as_ref().unwrap().status_code
}

pub fn message(status: &Option<TStatus>) -> String {
    let status = status.as_ref().unwrap();
    status.error_msgs.clone().unwrap_or_default().join("; ")
}

/// getBinlog of the stream of database `d`.
pub fn binlog_request(prev: i64, num: Option<i64>) -> TGetBinlogRequest {
    TGetBinlogRequest {
        cluster: None,
        user: text("root"),
        passwd: text(""),
        db: text("d"),
        table: None,
        table_id: None,
        user_ip: text("127.0.0.1"),
        token: None,
        prev_commit_seq: Some(prev),
        num_acquired: num,
        allow_follower_read: None,
    }
}

pub fn begin_request(tables: Vec<i64>, label: &str) -> TBeginTxnRequest {
    TBeginTxnRequest {
        cluster: None,
        user: text("root"),
        passwd: text(""),
        db: text("d"),
        table_ids: Some(tables),
        user_ip: text("127.0.0.1"),
        label: text(label),
        auth_code: None,
        timeout: None,
        request_id: None,
        token: None,
        backend_id: None,
        sub_txn_num: None,
    }
}

pub fn commit_request(txn: i64, infos: Vec<TTabletCommitInfo>) -> TCommitTxnRequest {
    TCommitTxnRequest {
        cluster: None,
        user: text("root"),
        passwd: text(""),
        db: text("d"),
        user_ip: text("127.0.0.1"),
        txn_id: Some(txn),
        commit_infos: Some(infos),
        auth_code: None,
        thrift_rpc_timeout_ms: None,
        token: None,
        db_id: None,
        txn_insert: None,
        sub_txn_infos: None,
        only_commit: None,
    }
}

pub fn rollback_request(txn: i64) -> TRollbackTxnRequest {
    TRollbackTxnRequest {
        cluster: None,
        user: text("root"),
        passwd: text(""),
        db: text("d"),
        user_ip: text("127.0.0.1"),
        txn_id: Some(txn),
        reason: None,
        auth_code: None,
        token: None,
        db_id: None,
    }
}

pub fn lock_request(job: &str, seq: Option<i64>) -> TLockBinlogRequest {
    TLockBinlogRequest {
        cluster: None,
        user: text("root"),
        passwd: text(""),
        db: text("d"),
        table: None,
        table_id: None,
        token: None,
        job_unique_id: text(job),
        lock_commit_seq: seq,
    }
}

pub fn meta_request(db: &str) -> TGetMetaRequest {
    TGetMetaRequest {
        cluster: None,
        user: text("root"),
        passwd: text(""),
        user_ip: None,
        token: None,
        db: Some(TGetMetaDB::new(None, text(db), None, None)),
    }
}

impl Peer {
    /// A cluster with database `d`, binlog on.
    pub async fn start(name: &str, backends: usize) -> Self {
        let mut peer = Self::bare(SimConfig {
            name: name.to_owned(),
            backends,
            ..SimConfig::default()
        })
        .await;
        peer.sql("CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")")
            .await;
        peer
    }

    /// A cluster without databases.
    pub async fn bare(config: SimConfig) -> Self {
        let password = (!config.password.is_empty()).then(|| config.password.clone());
        let sim = SimCluster::start(config).await.unwrap();
        let options = OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(sim.query_port())
            .user(Some("root"))
            .pass(password)
            .prefer_socket(false);
        let conn = Conn::new(options).await.unwrap();
        let fe = frontend_client(sim.thrift_port());
        let http = reqwest::Client::new();
        Self {
            sim,
            fe,
            conn,
            http,
        }
    }

    /// Runs a statement; its rows as text.
    pub async fn sql(&mut self, text: &str) -> Vec<Vec<Option<String>>> {
        match self.try_sql(text).await {
            Ok(rows) => rows,
            Err(error) => panic!("{text}: {error:?}"),
        }
    }

    pub async fn try_sql(&mut self, text: &str) -> Result<Vec<Vec<Option<String>>>, (u16, String)> {
        let rows: Vec<Row> = self.conn.query(text).await.map_err(|error| match error {
            mysql_async::Error::Server(error) => (error.code, error.message),
            other => panic!("{text}: {other}"),
        })?;
        let cell = |value: Cell| match value {
            Cell::NULL => None,
            Cell::Bytes(bytes) => Some(String::from_utf8(bytes).unwrap()),
            other => Some(other.as_sql(true)),
        };
        Ok(rows
            .into_iter()
            .map(|row| row.unwrap().into_iter().map(cell).collect())
            .collect())
    }

    /// The refusal of a statement.
    pub async fn refused(&mut self, text: &str) -> (u16, String) {
        match self.try_sql(text).await {
            Ok(_) => panic!("not refused: {text}"),
            Err(refusal) => refusal,
        }
    }

    /// The first cell of the first row.
    pub async fn cell(&mut self, text: &str) -> String {
        self.sql(text).await[0][0].clone().unwrap()
    }

    /// A cell of the last row by the name of its column.
    pub async fn last(&mut self, show: &str, column: &str) -> Option<String> {
        let rows: Vec<Row> = self.conn.query(show).await.unwrap();
        let row = rows.last()?;
        row.get::<Option<String>, _>(column).unwrap()
    }

    /// Waits until that cell is one of the wanted.
    pub async fn wait_for(&mut self, show: &str, column: &str, wanted: &[&str]) -> String {
        for _ in 0..600 {
            let cell = self.last(show, column).await.unwrap_or_default();
            if wanted.contains(&cell.as_str()) {
                return cell;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{show}: {column} is none of {wanted:?}");
    }

    /// POST to `/sim/<path>`; the answer has to be 200.
    pub async fn sim(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.sim_raw(path, body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    pub async fn sim_raw(&self, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("http://127.0.0.1:{}/sim/{path}", self.sim.http_port());
        let answer = self
            .http
            .post(url)
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap())
    }

    pub async fn sim_delete(&self, path: &str) -> u16 {
        let url = format!("http://127.0.0.1:{}/sim/{path}", self.sim.http_port());
        self.http
            .delete(url)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    }

    pub async fn sim_get(&self, path: &str) -> Value {
        let url = format!("http://127.0.0.1:{}/sim/{path}", self.sim.http_port());
        self.http
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    /// getBinlog of the database's stream.
    pub fn read(&mut self, prev: i64, num: Option<i64>) -> TGetBinlogResult {
        self.fe.get_binlog(binlog_request(prev, num)).unwrap()
    }

    /// getBinlog of a table's stream.
    pub fn read_table(&mut self, table: i64, prev: i64) -> TGetBinlogResult {
        let mut request = binlog_request(prev, Some(255));
        request.table_id = Some(table);
        self.fe.get_binlog(request).unwrap()
    }

    pub fn lag(&mut self, prev: i64) -> TGetBinlogLagResult {
        self.fe.get_binlog_lag(binlog_request(prev, None)).unwrap()
    }

    pub fn lock(&mut self, job: &str, seq: Option<i64>) -> (TStatusCode, Option<i64>) {
        let answer = self.fe.lock_binlog(lock_request(job, seq)).unwrap();
        (code(&answer.status), answer.locked_commit_seq)
    }

    /// Everything in the database's stream after `prev`.
    pub fn records(&mut self, prev: i64) -> Vec<Rec> {
        decode(self.read(prev, Some(255)))
    }

    /// Everything in a table's stream after `prev`.
    pub fn table_records(&mut self, table: i64, prev: i64) -> Vec<Rec> {
        decode(self.read_table(table, prev))
    }

    /// The newest commit seq of the database's stream.
    pub fn newest(&mut self) -> i64 {
        self.lag(i64::MAX).last_commit_seq.unwrap()
    }

    /// What a statement adds to the database's stream.
    pub async fn made_by(&mut self, text: &str) -> Vec<Rec> {
        let before = match code(&self.lag(-1).status) {
            TStatusCode::OK => self.newest(),
            _ => -1,
        };
        self.sql(text).await;
        self.records(before)
    }

    pub fn meta(&mut self) -> TGetMetaDBMeta {
        let answer = self.fe.get_meta(meta_request("d")).unwrap();
        assert_eq!(code(&answer.status), TStatusCode::OK);
        answer.db_meta.unwrap()
    }

    pub fn table(&mut self, name: &str) -> TGetMetaTableMeta {
        self.find_table(name)
            .unwrap_or_else(|| panic!("no table {name}"))
    }

    pub fn find_table(&mut self, name: &str) -> Option<TGetMetaTableMeta> {
        let tables = self.meta().tables.unwrap_or_default();
        tables.into_iter().find(|t| t.name.as_deref() == Some(name))
    }

    pub fn table_id(&mut self, name: &str) -> i64 {
        self.table(name).id.unwrap()
    }

    pub fn begin(&mut self, tables: Vec<i64>, label: &str) -> TBeginTxnResult {
        self.fe.begin_txn(begin_request(tables, label)).unwrap()
    }

    pub fn begin_ok(&mut self, tables: Vec<i64>, label: &str) -> i64 {
        let begun = self.begin(tables, label);
        assert_eq!(code(&begun.status), TStatusCode::OK, "{begun:?}");
        begun.txn_id.unwrap()
    }

    pub fn commit(&mut self, txn: i64, infos: Vec<TTabletCommitInfo>) -> (TStatusCode, String) {
        let answer = self.fe.commit_txn(commit_request(txn, infos)).unwrap();
        (code(&answer.status), message(&answer.status))
    }

    pub fn rollback(&mut self, txn: i64) -> (TStatusCode, String) {
        let answer = self.fe.rollback_txn(rollback_request(txn)).unwrap();
        (code(&answer.status), message(&answer.status))
    }

    /// `extra_info` for a restore from this cluster.
    pub async fn extra_info(&mut self) -> Value {
        let request = dorisim_wire::TGetMasterTokenRequest::new(None, text("root"), text(""));
        let token = self.fe.get_master_token(request).unwrap().token.unwrap();
        let request = dorisim_wire::TGetBackendMetaRequest::new(
            None,
            text("root"),
            text(""),
            None,
            None,
            None,
        );
        let backends = self.fe.get_backend_meta(request).unwrap().backends.unwrap();
        let map: BTreeMap<String, Value> = backends
            .iter()
            .map(|be| {
                let address = json!({"ip": be.host, "port": be.http_port});
                (be.id.unwrap().to_string(), address)
            })
            .collect();
        json!({"be_network_map": map, "token": token})
    }
}

fn decode(answer: TGetBinlogResult) -> Vec<Rec> {
    match code(&answer.status) {
        TStatusCode::OK => {}
        TStatusCode::BINLOG_TOO_NEW_COMMIT_SEQ => {
            assert_eq!(answer.binlogs, None);
            return Vec::new();
        }
        other => panic!("no records: {other:?}"),
    }
    let rec = |wire: TBinlog| {
        let raw = wire.data.clone().unwrap();
        Rec {
            seq: wire.commit_seq.unwrap(),
            kind: wire.type_.unwrap().0,
            tables: wire.table_ids.clone().unwrap_or_default(),
            data: serde_json::from_str(&raw).unwrap(),
            raw,
            wire,
        }
    };
    answer.binlogs.unwrap().into_iter().map(rec).collect()
}
