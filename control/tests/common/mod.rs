//! An API on a log in memory that can be made to fail, with a clock that a test moves and clusters that answer what a test wants.
#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use ccr_control::probe::ClusterProbe;
use ccr_control::{Api, Installation, JobRegistry, JobSpec, JobState, JobStatus, StatusBoard};
use ccr_doris::cluster::FrontendAddress;
use ccr_doris::{BinlogLag, BinlogPosition, FrontendList};
use ccr_log::embedded::Embedded;
use ccr_log::{
    Committed, Error, EventLog, GroupReader, NewRecord, Offset, Record, SharedLog, TopicSpec,
};
use ccr_ops::{Clock, Sealer};
use ccr_schemas::{CommitSeq, TableId, TimestampMs, TopicName};
use serde_json::{Value, json};
use tower::ServiceExt;

/// A cluster: its id, and its databases with their tables.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    pub id: String,
    pub frontends: Vec<String>,
    pub databases: BTreeMap<String, BTreeSet<String>>,
}

/// All clusters, by the host of their FE.
#[derive(Clone, Default)]
pub struct Clusters(Arc<Mutex<BTreeMap<String, Cluster>>>);

impl Clusters {
    /// Sets the tables of a database; the cluster of host `10.0.0.<id>` is made when missing.
    pub fn set(&self, host: &str, database: &str, tables: &[&str]) {
        let mut all = self.0.lock().unwrap();
        let cluster = all.entry(host.to_owned()).or_default();
        cluster.id = host.rsplit('.').next().unwrap().to_owned();
        cluster.frontends = vec![format!("{host}-a"), format!("{host}-b")];
        let tables = tables.iter().map(|name| (*name).to_owned()).collect();
        cluster.databases.insert(database.to_owned(), tables);
    }

    pub fn has_database(&self, host: &str, database: &str) -> bool {
        self.0.lock().unwrap()[host]
            .databases
            .contains_key(database)
    }

    fn connect(&self, host: &str) -> Arc<dyn ClusterProbe> {
        Arc::new(Probe {
            clusters: self.clone(),
            host: host.to_owned(),
        })
    }
}

struct Probe {
    clusters: Clusters,
    host: String,
}

impl Probe {
    fn see<T>(&self, look: impl FnOnce(&mut Cluster) -> T) -> T {
        let mut all = self.clusters.0.lock().unwrap();
        look(all.get_mut(&self.host).expect("a cluster at the host"))
    }
}

#[async_trait]
impl ClusterProbe for Probe {
    async fn frontends(&self) -> Result<FrontendList, ccr_doris::Error> {
        let named = |host: &str| FrontendAddress {
            host: host.to_owned(),
            query_port: 9030,
            thrift_port: 9020,
        };
        Ok(self.see(|cluster| FrontendList {
            cluster_id: Some(cluster.id.clone()),
            frontends: cluster.frontends.iter().map(|host| named(host)).collect(),
        }))
    }
    async fn has_database(&self, database: &str) -> Result<bool, ccr_doris::Error> {
        Ok(self.see(|cluster| cluster.databases.contains_key(database)))
    }
    async fn tables(&self, database: &str) -> Result<BTreeSet<String>, ccr_doris::Error> {
        Ok(self.see(|cluster| cluster.databases[database].clone()))
    }
    async fn table_ids(&self, database: &str) -> Result<Vec<(String, TableId)>, ccr_doris::Error> {
        let names = self.see(|cluster| cluster.databases[database].clone());
        Ok((1000..)
            .map(TableId)
            .zip(names)
            .map(|(id, name)| (name, id))
            .collect())
    }
    async fn create_database(&self, database: &str) -> Result<(), ccr_doris::Error> {
        self.see(|cluster| _ = cluster.databases.entry(database.to_owned()).or_default());
        Ok(())
    }
    async fn binlog_enabled(
        &self,
        database: &str,
        _: Option<&str>,
    ) -> Result<bool, ccr_doris::Error> {
        Ok(database != "quiet")
    }
    async fn lag(&self, at: &BinlogPosition) -> Result<Option<BinlogLag>, ccr_doris::Error> {
        assert_eq!(at.after, CommitSeq(40));
        Ok(Some(BinlogLag {
            lag: 2,
            first: Some(CommitSeq(1)),
            last: Some(CommitSeq(50)),
            next: Some(CommitSeq(45)),
            first_at: None,
            last_at: Some(TimestampMs(1_767_225_600_000)),
            next_at: Some(TimestampMs(1_767_225_600_000)),
        }))
    }
}

/// A clock that stands still until a test moves it. Sleeping is real.
pub struct TestClock {
    start_ms: i64,
    ahead: Mutex<Duration>,
}

impl TestClock {
    fn new() -> Self {
        Self {
            start_ms: 1_800_000_000_000,
            ahead: Mutex::default(),
        }
    }

    pub fn advance(&self, by: Duration) {
        *self.ahead.lock().unwrap() += by;
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now_ms(&self) -> i64 {
        self.start_ms + i64::try_from(self.monotonic().as_millis()).unwrap()
    }
    fn monotonic(&self) -> Duration {
        *self.ahead.lock().unwrap()
    }
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A log that can be made to fail.
pub struct FailingLog {
    inner: SharedLog,
    appends_fail: AtomicBool,
    reads_fail: AtomicBool,
}

impl FailingLog {
    pub fn refuse_appends(&self, refuse: bool) {
        self.appends_fail.store(refuse, Ordering::SeqCst);
    }

    pub fn refuse_reads(&self, refuse: bool) {
        self.reads_fail.store(refuse, Ordering::SeqCst);
    }
}

#[async_trait]
impl EventLog for FailingLog {
    async fn ensure_topic(&self, spec: &TopicSpec) -> Result<(), Error> {
        self.inner.ensure_topic(spec).await
    }
    async fn append(&self, topic: &TopicName, records: Vec<NewRecord>) -> Result<Offset, Error> {
        if self.appends_fail.load(Ordering::SeqCst) {
            return Err(Error::Unavailable {
                action: format!("append to topic {topic}"),
                source: "no space left on device".into(),
            });
        }
        self.inner.append(topic, records).await
    }
    async fn watermarks(&self, topic: &TopicName) -> Result<(Offset, Offset), Error> {
        self.inner.watermarks(topic).await
    }
    async fn read_range(
        &self,
        topic: &TopicName,
        from: Offset,
        most: usize,
    ) -> Result<Vec<Record>, Error> {
        if self.reads_fail.load(Ordering::SeqCst) {
            return Err(Error::Corrupt(format!(
                "topic {topic} at offset {}",
                from.0
            )));
        }
        self.inner.read_range(topic, from, most).await
    }
    async fn read_compacted(&self, topic: &TopicName) -> Result<BTreeMap<String, Record>, Error> {
        self.inner.read_compacted(topic).await
    }
    async fn join(&self, group: &str, topic: &TopicName) -> Result<Box<dyn GroupReader>, Error> {
        self.inner.join(group, topic).await
    }
    async fn committed(&self, group: &str, topic: &TopicName) -> Result<Option<Committed>, Error> {
        self.inner.committed(group, topic).await
    }
    fn describe(&self) -> String {
        self.inner.describe()
    }
}

/// An API and what it works with.
pub struct Fixture {
    pub api: Api,
    pub log: Arc<FailingLog>,
    pub clock: Arc<TestClock>,
    pub clusters: Clusters,
}

impl Fixture {
    /// A source with the databases `sales` (one table `orders`) and `quiet`, and an empty destination.
    pub async fn new() -> Self {
        let log = Arc::new(FailingLog {
            inner: Embedded::in_memory().unwrap(),
            appends_fail: AtomicBool::default(),
            reads_fail: AtomicBool::default(),
        });
        let clock = Arc::new(TestClock::new());
        let clusters = Clusters::default();
        clusters.set(SOURCE, "sales", &["orders"]);
        clusters.set(SOURCE, "quiet", &[]);
        clusters.set(DEST, "other", &[]);
        let (at, installation) = (
            clusters.clone(),
            Installation::open(log.clone(), "ccr", clock.clone()),
        );
        let registry = JobRegistry::with_clock(log.clone(), "ccr", clock.clone());
        let status = StatusBoard::with_clock(log.clone(), "ccr", clock.clone());
        let api = Api {
            registry: registry.await.unwrap(),
            status: status.await.unwrap(),
            sealer: Sealer::from_base64(Sealer::generate_key().expose()).unwrap(),
            clock: clock.clone(),
            installation: installation.await.unwrap(),
            connect: Arc::new(move |address| Ok(at.connect(&address.frontends[0].host))),
        };
        Self {
            api,
            log,
            clock,
            clusters,
        }
    }

    pub async fn post(&self, operator: &str, body: &str) -> (u16, String) {
        let response = self
            .api
            .clone()
            .router()
            .oneshot(
                Request::post(format!("/{operator}"))
                    .body(Body::from(body.to_owned()))
                    .unwrap(),
            )
            .await
            .unwrap();
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), 64 << 20).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    pub async fn json(&self, operator: &str, body: Value) -> Value {
        let (status, text) = self.post(operator, &body.to_string()).await;
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    }
}

/// FE of the source cluster, whose id is 77.
pub const SOURCE: &str = "10.0.0.77";
/// FE of the destination cluster, whose id is 78.
pub const DEST: &str = "10.0.0.78";

/// Body of `create_ccr`: database `sales` of the source into a database of that name.
pub fn body() -> Value {
    body_of("j1", SOURCE, DEST)
}

/// Body of `create_ccr` for database `sales` of two hosts.
pub fn body_of(name: &str, source: &str, dest: &str) -> Value {
    let end = |host: &str| {
        json!({"host": host, "port": "9030", "thrift_port": "9020", "user": "root",
               "password": "pa55word", "database": "sales", "table": ""})
    };
    json!({"name": name, "src": end(source), "dest": end(dest)})
}

/// Status of a job that follows.
pub fn status_of(job: &JobSpec, applied: i64, committed_offset: i64) -> JobStatus {
    JobStatus {
        job: job.name.clone(),
        incarnation: job.incarnation.0.clone(),
        state: JobState::Applying,
        applied: CommitSeq(applied),
        committed_offset,
        end_offset: committed_offset,
        events_applied: 3,
        skipped: [].into(),
        lag_ms: Some(0),
        oldest_pending_at_ms: None,
        last_apply_lag_ms: None,
        lanes: Vec::new(),
        last_error: None,
        stuck_since_ms: None,
        action: "following".to_owned(),
        progress: None,
        synced: true,
        resyncs_done: Default::default(),
        leftovers: Vec::new(),
        at_ms: job.created_at_ms,
        owner: "here:1".to_owned(),
    }
}
