//! Two clusters of one backend each and one table in both, driven over their sockets.

use dorisim::{SimCluster, SimConfig};
use dorisim_wire::{
    TBackendServiceSyncClient, TBeginTxnRequest, TCommitTxnRequest, TFrontendServiceSyncClient,
    TGetMetaDB, TGetMetaRequest, TGetMetaTableMeta, TIngestBinlogRequest, TIngestBinlogStatus,
    TQueryIngestBinlogRequest, TStatusCode, TTabletCommitInfo, TUniqueId,
};
use mysql_async::prelude::Queryable;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::protobuf::Message;
use crate::common::{backend_client, frontend_client};
use crate::mysql::root;

/// The code that everybody wants.
pub const OK: TStatusCode = TStatusCode::OK;

/// Source and target.
pub struct World {
    /// Where the loads come from.
    pub source: SimCluster,
    /// Where they are ingested.
    pub target: SimCluster,
}

/// An answer over HTTP.
pub struct Answer {
    pub status: u16,
    pub length: Option<usize>,
    pub md5: Option<String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

type Query = [(&'static str, String)];

impl World {
    /// Table `d.t (id, v)` with these buckets, index clauses and properties in two clusters whose segments hold two rows.
    pub async fn start(name: &str, buckets: u32, indexes: &str, properties: &str) -> Self {
        let start = async |side: &str| {
            let cluster = SimCluster::start(SimConfig {
                name: format!("{name}-{side}"),
                backends: 1,
                rows_per_segment: 2,
                ..SimConfig::default()
            })
            .await
            .unwrap();
            let comma = if properties.is_empty() { "" } else { ", " };
            let mut conn = root(&cluster).await;
            for sql in [
                "CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")".to_owned(),
                format!(
                    "CREATE TABLE d.t (id BIGINT NOT NULL, v VARCHAR(32){indexes}) DUPLICATE KEY(id) \
                     DISTRIBUTED BY HASH(id) BUCKETS {buckets} \
                     PROPERTIES (\"replication_num\" = \"1\"{comma}{properties})"
                ),
            ] {
                conn.query_drop(&sql).await.unwrap();
            }
            cluster
        };
        let (source, target) = tokio::join!(start("source"), start("target"));
        World { source, target }
    }

    /// INSERT at the source.
    pub async fn load(&self, values: &str) {
        let sql = format!("INSERT INTO d.t VALUES {values}");
        root(&self.source).await.query_drop(sql).await.unwrap();
    }

    /// `id|v` of all rows, sorted.
    pub async fn rows(&self, cluster: &SimCluster) -> Vec<String> {
        let sql = "SELECT id, v FROM d.t ORDER BY id";
        let rows: Vec<(i64, Option<String>)> = root(cluster).await.query(sql).await.unwrap();
        let line = |(id, v): (i64, Option<String>)| format!("{id}|{}", v.unwrap_or_default());
        rows.into_iter().map(line).collect()
    }

    fn meta(&self, cluster: &SimCluster) -> TGetMetaTableMeta {
        let text = |text: &str| Some(text.to_owned());
        let db = TGetMetaDB::new(None, text("d"), None, None);
        let request = TGetMetaRequest::new(None, text("root"), text(""), None, None, db);
        let answer = frontend_client(cluster.thrift_port()).get_meta(request);
        let tables = answer.unwrap().db_meta.unwrap().tables.unwrap();
        tables.into_iter().next().unwrap()
    }

    /// Ids of the table's tablets in order.
    pub fn tablets(&self, cluster: &SimCluster) -> Vec<i64> {
        let partition = self.meta(cluster).partitions.unwrap().remove(0);
        let tablets = partition.indexes.unwrap().remove(0).tablets.unwrap();
        tablets
            .into_iter()
            .map(|tablet| tablet.id.unwrap())
            .collect()
    }

    /// A transaction at the target.
    pub fn begin(&self, label: &str) -> i64 {
        let text = |text: &str| Some(text.to_owned());
        let table = self.meta(&self.target).id.unwrap();
        let request = TBeginTxnRequest::new(
            None,
            text("root"),
            text(""),
            text("d"),
            vec![table],
            text("127.0.0.1"),
            text(label),
            None,
            None,
            None,
            None,
            None,
            None,
        );
        let begun = frontend_client(self.target.thrift_port()).begin_txn(request);
        begun.unwrap().txn_id.unwrap()
    }

    /// Commits what was ingested into the first `tablets` tablets; visible afterwards.
    pub fn commit(&self, txn: i64, tablets: usize) {
        let text = |text: &str| Some(text.to_owned());
        let backend = self.target.backend_addresses()[0].id;
        let infos = self.tablets(&self.target).into_iter().take(tablets);
        let request = TCommitTxnRequest::new(
            None,
            text("root"),
            text(""),
            text("d"),
            text("127.0.0.1"),
            txn,
            infos
                .map(|tablet| TTabletCommitInfo::new(tablet, backend, None))
                .collect::<Vec<_>>(),
            None,
            None,
            None,
            None,
            None,
            None,
            None,
        );
        let status = frontend_client(self.target.thrift_port())
            .commit_txn(request)
            .unwrap()
            .status
            .unwrap();
        assert_eq!(status.status_code, OK, "{status:?}");
    }

    /// The ingest of one version of the `at`-th tablet.
    pub fn request(&self, txn: i64, at: usize, version: i64) -> TIngestBinlogRequest {
        let from = self.source.backend_addresses().remove(0);
        let partition = self.meta(&self.target).partitions.unwrap().remove(0);
        TIngestBinlogRequest::new(
            txn,
            self.tablets(&self.source)[at],
            version,
            from.host,
            from.http_port.to_string(),
            partition.id.unwrap(),
            self.tablets(&self.target)[at],
            TUniqueId::new(-1, -1),
        )
    }

    /// Code and text of an ingest.
    pub async fn ingest(&self, txn: i64, at: usize, version: i64) -> (TStatusCode, String) {
        let (request, port) = (
            self.request(txn, at, version),
            self.target.backend_addresses()[0].be_port,
        );
        let call = move || backend_client(port).ingest_binlog(request).unwrap();
        let answer = tokio::task::spawn_blocking(call).await.unwrap();
        let status = answer.status.unwrap();
        let text = status.error_msgs.unwrap_or_default().join(" ");
        (status.status_code, text)
    }

    /// Ingests and commits one version of all tablets.
    pub async fn copy(&self, version: i64, label: &str) {
        let txn = self.begin(label);
        let tablets = self.tablets(&self.source).len();
        for at in 0..tablets {
            let (code, text) = self.ingest(txn, at, version).await;
            assert_eq!(code, OK, "{text}");
        }
        self.commit(txn, tablets);
    }

    /// `query_ingest_binlog` of the first tablet.
    pub fn state(&self, txn: i64) -> TIngestBinlogStatus {
        let tablet = self.tablets(&self.target)[0];
        let query = TQueryIngestBinlogRequest::new(txn, 1, tablet, TUniqueId::new(-1, -1));
        let answer = backend_client(self.target.backend_addresses()[0].be_port)
            .query_ingest_binlog(query)
            .unwrap();
        answer.status.unwrap()
    }

    /// GET of `/api/_binlog/_download`.
    pub async fn binlog(&self, cluster: &SimCluster, query: &Query) -> Answer {
        let port = cluster.backend_addresses()[0].http_port;
        download(Method::GET, port, query).await
    }

    /// Status and text of `get_binlog_info`.
    pub async fn info(&self, cluster: &SimCluster, at: usize, version: i64) -> (u16, String) {
        let query = [
            ("method", "get_binlog_info".to_owned()),
            ("tablet_id", self.tablets(cluster)[at].to_string()),
            ("binlog_version", version.to_string()),
        ];
        let answer = self.binlog(cluster, &query).await;
        (answer.status, answer.text())
    }

    /// Rowset id and number of segments of a version at the source.
    pub async fn rowset(&self, at: usize, version: i64) -> (String, u32) {
        self.rowset_at(&self.source, at, version).await
    }

    /// Rowset id and number of segments of a version.
    pub async fn rowset_at(&self, cluster: &SimCluster, at: usize, version: i64) -> (String, u32) {
        let (status, text) = self.info(cluster, at, version).await;
        assert_eq!(status, 200, "{text}");
        let (rowset, segments) = text.split_once(':').unwrap();
        (rowset.to_owned(), segments.parse().unwrap())
    }

    /// The fields of `get_rowset_meta`.
    pub async fn rowset_meta(&self, cluster: &SimCluster, at: usize, version: i64) -> Message {
        let (rowset, _) = self.rowset_at(cluster, at, version).await;
        let query = [
            ("method", "get_rowset_meta".to_owned()),
            ("tablet_id", self.tablets(cluster)[at].to_string()),
            ("rowset_id", rowset),
            ("binlog_version", version.to_string()),
        ];
        let answer = self.binlog(cluster, &query).await;
        assert_eq!(answer.status, 200);
        Message::read(&answer.body)
    }

    fn file(
        &self,
        cluster: &SimCluster,
        rowset: &str,
        segment: u32,
    ) -> Vec<(&'static str, String)> {
        vec![
            ("tablet_id", self.tablets(cluster)[0].to_string()),
            ("rowset_id", rowset.to_owned()),
            ("segment_index", segment.to_string()),
        ]
    }

    /// A segment of the first tablet.
    pub async fn segment(
        &self,
        cluster: &SimCluster,
        rowset: &str,
        segment: u32,
        md5: &str,
    ) -> Answer {
        let mut query = self.file(cluster, rowset, segment);
        query.push(("method", "get_segment_file".to_owned()));
        query.push(("acquire_md5", md5.to_owned()));
        self.binlog(cluster, &query).await
    }

    /// An index file of the first tablet.
    pub async fn index(&self, cluster: &SimCluster, rowset: &str, segment: u32, id: i64) -> Answer {
        let mut query = self.file(cluster, rowset, segment);
        query.push(("method", "get_segment_index_file".to_owned()));
        query.push(("segment_index_id", id.to_string()));
        self.binlog(cluster, &query).await
    }

    /// HEAD of the first segment.
    pub async fn head(&self, cluster: &SimCluster, rowset: &str, md5: &str) -> Answer {
        let mut query = self.file(cluster, rowset, 0);
        query.push(("method", "get_segment_file".to_owned()));
        query.push(("acquire_md5", md5.to_owned()));
        download(
            Method::HEAD,
            cluster.backend_addresses()[0].http_port,
            &query,
        )
        .await
    }

    /// HEAD of a text method.
    pub async fn head_of(
        &self,
        cluster: &SimCluster,
        method: &str,
        rowset: &str,
        version: i64,
    ) -> Answer {
        let mut query = self.file(cluster, rowset, 0);
        query.push(("method", method.to_owned()));
        query.push(("binlog_version", version.to_string()));
        download(
            Method::HEAD,
            cluster.backend_addresses()[0].http_port,
            &query,
        )
        .await
    }

    /// Sets an item of the backend's configuration.
    pub async fn configure(&self, cluster: &SimCluster, name: &str, value: &str) {
        let port = cluster.backend_addresses()[0].http_port;
        let url = format!("http://127.0.0.1:{port}/api/update_config?{name}={value}");
        let answer = Client::new().post(url).send().await.unwrap();
        let results: Value = answer.json().await.unwrap();
        assert_eq!(
            results,
            json!([{"config_name": name, "status": "OK", "msg": ""}])
        );
    }

    /// POST to a frontend.
    pub async fn post(&self, cluster: &SimCluster, path: &str, body: &Value) -> Value {
        let url = format!("http://127.0.0.1:{}{path}", cluster.http_port());
        let answer = Client::new().post(url).body(body.to_string()).send();
        let answer = answer.await.unwrap();
        assert!(answer.status().is_success(), "{path} {body}");
        answer.json().await.unwrap_or_default()
    }

    /// Adds a fault; tells its id.
    pub async fn fault(&self, cluster: &SimCluster, rule: Value) -> u64 {
        let answer = self.post(cluster, "/sim/faults", &rule).await;
        answer["id"].as_u64().unwrap()
    }

    /// Removes a fault.
    pub async fn heal(&self, cluster: &SimCluster, id: u64) {
        let url = format!("http://127.0.0.1:{}/sim/faults/{id}", cluster.http_port());
        let answer = Client::new().delete(url).send().await.unwrap();
        assert!(answer.status().is_success());
    }

    /// Calls of that name so far.
    pub async fn counter(&self, cluster: &SimCluster, call: &str) -> u64 {
        let url = format!("http://127.0.0.1:{}/sim/counters", cluster.http_port());
        let counters: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        counters[call].as_u64().unwrap_or(0)
    }

    /// Waits until a call came that often.
    pub async fn until(&self, cluster: &SimCluster, call: &str, times: u64) {
        wait(call, async || self.counter(cluster, call).await >= times).await;
    }

    /// Two days pass, then one round of binlog GC; waits until the backend has forgotten version 2.
    pub async fn collect(&self, cluster: &SimCluster) {
        let days = json!({"advance_ms": 172_800_000});
        self.post(cluster, "/sim/clock", &days).await;
        self.post(cluster, "/sim/gc", &json!({})).await;
        wait("binlogs are collected", async || {
            self.info(cluster, 0, 2).await.0 == 404
        })
        .await;
    }
}

async fn download(method: Method, port: u16, query: &Query) -> Answer {
    let url = format!("http://127.0.0.1:{port}/api/_binlog/_download");
    let answer = Client::new().request(method, url).query(query).send();
    let answer = answer.await.unwrap();
    let header = |name: &str| {
        let value = answer.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    Answer {
        status: answer.status().as_u16(),
        length: header("content-length").map(|text| text.parse().unwrap()),
        md5: header("content-md5"),
        body: answer.bytes().await.unwrap().to_vec(),
    }
}

/// Status of `get_binlog_info` at any backend; 0 for none that answers.
pub async fn binlog_info(http_port: u16, tablet: i64, version: i64) -> u16 {
    let query = [
        ("method", "get_binlog_info".to_owned()),
        ("tablet_id", tablet.to_string()),
        ("binlog_version", version.to_string()),
    ];
    download(Method::GET, http_port, &query).await.status
}

/// Polls for at most ten seconds.
pub async fn wait(what: &str, mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..500 {
        if done().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("{what}: not within ten seconds");
}
