//! Log, job and runner around the fake destination.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ccr_applier::{ApplierConfig, Connect, Destination, JobRunner, RunnerDeps};
use ccr_control::{
    ClusterSpec, DestSpec, JobOptions, JobSpec, SourceSpec, StatusBoard, TableFilter, Wanted,
};
use ccr_log::embedded::Embedded;
use ccr_log::{Committed, NewRecord, Offset, ReaderEvent, SharedLog, TopicKind, TopicSpec};
use ccr_ops::{Sealer, Secret, SystemClock};
use ccr_schemas::codec::Codec;
use ccr_schemas::topic::consumer_group;
use ccr_schemas::{Envelope, Incarnation, TopicName};
use tokio_util::sync::CancellationToken;

use super::Fake;

pub struct Harness {
    pub log: SharedLog,
    pub fake: Fake,
    pub status: Arc<StatusBoard>,
    pub sealer: Sealer,
    pub spec: JobSpec,
    pub config: ApplierConfig,
}

pub enum Ran {
    Crashed,
    CaughtUp,
}

#[allow(dead_code)]
impl Harness {
    pub async fn new(fake: Fake) -> Self {
        let log = Embedded::in_memory().unwrap();
        let status = StatusBoard::open(log.clone(), "ccr").await.unwrap();
        let sealer = Sealer::from_base64(Sealer::generate_key().expose()).unwrap();
        let cluster = ClusterSpec {
            frontends: vec![("fe".to_owned(), 9030, 9020)],
            user: "root".to_owned(),
            sealed_password: sealer.seal(&Secret::new(String::new())).unwrap(),
            host_mapping: BTreeMap::new(),
        };
        let spec = JobSpec {
            name: "job".to_owned(),
            incarnation: Incarnation("i1".to_owned()),
            version: 1,
            wanted: Wanted::Running,
            source: SourceSpec {
                cluster_name: "c1".to_owned(),
                cluster: cluster.clone(),
                database: "src".to_owned(),
                host_mapping: BTreeMap::new(),
            },
            dest: DestSpec {
                cluster_name: String::new(),
                cluster,
                database: "dst".to_owned(),
                table_names: BTreeMap::new(),
            },
            tables: TableFilter::default(),
            options: JobOptions::default(),
            created_at_ms: 0,
            resync: None,
            table_resyncs: Default::default(),
        };
        let harness = Self {
            log,
            fake,
            status,
            sealer,
            spec,
            config: ApplierConfig {
                commit_interval: Duration::from_millis(3),
                status_interval: Duration::from_millis(20),
                poll_interval: Duration::from_millis(5),
                drain_deadline: Duration::from_secs(2),
                ..ApplierConfig::default()
            },
        };
        for name in [harness.events(), harness.snapshots(), harness.control()] {
            let kind = TopicKind::Retained(None);
            harness
                .log
                .ensure_topic(&TopicSpec { name, kind })
                .await
                .unwrap();
        }
        harness
    }

    pub fn events(&self) -> TopicName {
        TopicName::events("ccr", "c1", "src")
    }

    pub fn snapshots(&self) -> TopicName {
        TopicName::snapshots("ccr", "c1", "src")
    }

    pub fn control(&self) -> TopicName {
        TopicName::control("ccr", "c1", "src")
    }

    pub fn group(&self) -> String {
        consumer_group("ccr", &self.spec.name, &self.spec.incarnation)
    }

    pub async fn publish(&self, envelopes: &[Envelope]) -> i64 {
        let records = envelopes
            .iter()
            .map(|envelope| NewRecord {
                key: "db".to_owned(),
                value: Some(Codec::default().encode(envelope).unwrap().into()),
                headers: vec![],
            })
            .collect();
        self.log.append(&self.events(), records).await.unwrap().0
    }

    /// As if a snapshot had been restored: the job starts at an offset.
    pub async fn start_at(&self, offset: i64, metadata: &str) {
        let mut reader = self.log.join(&self.group(), &self.events()).await.unwrap();
        while !matches!(reader.next().await.unwrap(), ReaderEvent::Assigned { .. }) {}
        let metadata = metadata.to_owned();
        let offset = Offset(offset);
        reader.commit(Committed { offset, metadata }).await.unwrap();
        reader.close().await;
    }

    pub async fn committed(&self) -> Option<Committed> {
        self.log
            .committed(&self.group(), &self.events())
            .await
            .unwrap()
    }

    pub fn runner(&self) -> JobRunner {
        let fake = self.fake.clone();
        JobRunner::new(
            RunnerDeps {
                log: self.log.clone(),
                status: self.status.clone(),
                sealer: self.sealer.clone(),
                clock: SystemClock::shared(),
                connect: Connect::new(move |_| Ok(Arc::new(fake.clone()) as Arc<dyn Destination>)),
            },
            self.config.clone(),
            self.spec.clone(),
        )
    }

    /// Runs until everything up to the end is committed, or the destination's calls crash the process.
    pub async fn run(&self) -> Ran {
        let (_, end) = self.log.watermarks(&self.events()).await.unwrap();
        let running = tokio::spawn(self.runner().run(CancellationToken::new()));
        let caught_up = async {
            loop {
                if self.committed().await.is_some_and(|c| c.offset >= end) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let ran = tokio::select! {
            biased;
            () = self.fake.crashed.notified() => Ran::Crashed,
            () = caught_up => Ran::CaughtUp,
            () = tokio::time::sleep(Duration::from_secs(15)) => {
                panic!("no end: committed {:?}, end {end:?}, status {:#?}", self.committed().await, self.status.job("job"));
            }
        };
        running.abort();
        let _ = running.await;
        ran
    }
}
