//! An API on a log in memory that can be made to fail, with a clock that a test moves and clusters that answer what a test wants.
#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use ccr_control::probe::ClusterProbe;
use ccr_control::{Api, JobRegistry, JobSpec, JobState, JobStatus, StatusBoard};
use ccr_doris::{BinlogLag, BinlogPosition};
use ccr_log::embedded::Embedded;
use ccr_log::{
    Committed, Error, EventLog, GroupReader, NewRecord, Offset, Record, SharedLog, TopicSpec,
};
use ccr_ops::{Clock, Sealer};
use ccr_schemas::{CommitSeq, TimestampMs, TopicName};
use serde_json::{Value, json};
use tower::ServiceExt;

/// Both clusters.
pub struct Probe;

#[async_trait]
impl ClusterProbe for Probe {
    async fn cluster_id(&self) -> Result<Option<String>, ccr_doris::Error> {
        Ok(Some("77".to_owned()))
    }
    async fn has_database(&self, database: &str) -> Result<bool, ccr_doris::Error> {
        Ok(["sales", "quiet"].contains(&database))
    }
    async fn has_table(&self, _: &str, table: &str) -> Result<bool, ccr_doris::Error> {
        Ok(table == "orders")
    }
    async fn binlog_enabled(
        &self,
        database: &str,
        _: Option<&str>,
    ) -> Result<bool, ccr_doris::Error> {
        Ok(database == "sales")
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
    ahead: std::sync::Mutex<Duration>,
}

impl TestClock {
    fn new() -> Self {
        Self {
            start_ms: 1_800_000_000_000,
            ahead: std::sync::Mutex::default(),
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
}

impl Fixture {
    pub async fn new() -> Self {
        let log = Arc::new(FailingLog {
            inner: Embedded::in_memory().unwrap(),
            appends_fail: AtomicBool::default(),
            reads_fail: AtomicBool::default(),
        });
        let clock = Arc::new(TestClock::new());
        let registry = JobRegistry::with_clock(log.clone(), "ccr", clock.clone());
        let status = StatusBoard::with_clock(log.clone(), "ccr", clock.clone());
        let api = Api {
            registry: registry.await.unwrap(),
            status: status.await.unwrap(),
            sealer: Sealer::from_base64(Sealer::generate_key().expose()).unwrap(),
            clock: clock.clone(),
            connect: Arc::new(|_| Ok(Arc::new(Probe))),
        };
        Self { api, log, clock }
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

/// Body of `create_ccr`.
pub fn body() -> Value {
    let end = json!({"host": "10.0.0.1", "port": "9030", "thrift_port": "9020", "user": "root",
                     "password": "pa55word", "database": "sales", "table": ""});
    json!({"name": "j1", "src": end, "dest": end})
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
        at_ms: job.created_at_ms,
        owner: "here:1".to_owned(),
    }
}
