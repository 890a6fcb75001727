//! A producer service on an embedded log, and what its topics hold.

use std::sync::Arc;
use std::time::Duration;

use ccr_control::{
    ClusterSpec, DestSpec, JobOptions, JobRegistry, JobSpec, ProducerRequest, SourceSpec,
    StatusBoard, StreamStatus, TableFilter, Wanted,
};
use ccr_log::embedded::Embedded;
use ccr_log::{NewRecord, Offset, SharedLog, TopicKind, TopicSpec};
use ccr_ops::{Sealer, Secret, SystemClock};
use ccr_producer::{Deps, ProducerConfig, ProducerService, Source};
use ccr_schemas::codec::{Codec, RecordAt};
use ccr_schemas::event::SnapshotTaken;
use ccr_schemas::invariant::{History, Link, history, link};
use ccr_schemas::{CommitSeq, Envelope, Event, Incarnation, TopicName};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fake::FakeSource;

pub struct Harness {
    pub log: SharedLog,
    pub source: FakeSource,
    pub registry: Arc<JobRegistry>,
    pub status: Arc<StatusBoard>,
    pub sealer: Sealer,
}

pub struct Running {
    token: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Asks it to stop and waits.
    pub async fn stop(self) {
        self.token.cancel();
        self.task.await.unwrap();
    }

    /// Drops it wherever it is, as a kill would. Leaving the group is what the log does when a process is gone.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

pub fn config(owner: &str) -> ProducerConfig {
    ProducerConfig {
        poll_interval: Duration::from_millis(2),
        settle: Duration::from_millis(30),
        catch_up_margin: Duration::from_secs(3600),
        heartbeat_interval: Duration::from_millis(100),
        backup_poll: Duration::from_millis(10),
        coalesce: Duration::from_millis(50),
        halt_retry: Duration::from_millis(100),
        timeline_confirm: Duration::from_millis(300),
        ..ProducerConfig::new(owner)
    }
}

impl Harness {
    pub async fn new() -> Self {
        let log = Embedded::in_memory().unwrap();
        let sealer = Sealer::from_base64(Sealer::generate_key().expose()).unwrap();
        let registry = JobRegistry::open(log.clone(), "ccr").await.unwrap();
        let status = StatusBoard::open(log.clone(), "ccr").await.unwrap();
        let harness = Self {
            log,
            source: FakeSource::new(),
            registry,
            status,
            sealer,
        };
        harness.registry.create(&harness.job("j")).await.unwrap();
        harness
    }

    pub fn job(&self, name: &str) -> JobSpec {
        let cluster = ClusterSpec {
            frontends: vec![("fe".to_owned(), 9030, 9020)],
            user: "root".to_owned(),
            sealed_password: self.sealer.seal(&Secret::new("pw".to_owned())).unwrap(),
            host_mapping: Default::default(),
        };
        JobSpec {
            name: name.to_owned(),
            incarnation: Incarnation("1".to_owned()),
            version: 1,
            wanted: Wanted::Running,
            source: SourceSpec {
                cluster_name: "c1".to_owned(),
                cluster: cluster.clone(),
                database: "db".to_owned(),
                host_mapping: Default::default(),
            },
            dest: DestSpec {
                cluster_name: String::new(),
                cluster,
                database: "db".to_owned(),
                table_names: Default::default(),
            },
            tables: TableFilter::default(),
            options: JobOptions::default(),
            created_at_ms: 0,
            resync: None,
            table_resyncs: Default::default(),
        }
    }

    pub fn start(&self) -> Running {
        self.start_with(config("test"))
    }

    pub fn start_with(&self, config: ProducerConfig) -> Running {
        self.start_on(self.log.clone(), config)
    }

    /// With another view of the log than the harness has.
    pub fn start_on(&self, log: SharedLog, config: ProducerConfig) -> Running {
        let source = self.source.clone();
        let service = ProducerService::new(
            Deps {
                log,
                registry: self.registry.clone(),
                status: self.status.clone(),
                sealer: self.sealer.clone(),
                clock: SystemClock::shared(),
                connect: Arc::new(move |address| {
                    assert_eq!(address.password.expose(), "pw");
                    Arc::new(source.clone()) as Arc<dyn Source>
                }),
            },
            config,
        );
        let token = CancellationToken::new();
        let run = service.run(token.clone());
        let task = tokio::spawn(async move { run.await.unwrap() });
        Running { token, task }
    }

    /// Everything in the events topic.
    pub async fn envelopes(&self) -> Vec<(i64, Envelope)> {
        let topic = TopicName::events("ccr", "c1", "db");
        let mut out = Vec::new();
        let mut next = Offset(0);
        loop {
            let Ok(records) = self.log.read_range(&topic, next, 1000).await else {
                return out;
            };
            let Some(last) = records.last() else {
                return out;
            };
            next = Offset(last.offset.0 + 1);
            for record in &records {
                let at = RecordAt {
                    topic: &topic,
                    offset: record.offset.0,
                };
                let envelope = Codec::default()
                    .decode(record.value.as_ref().unwrap(), &at)
                    .unwrap();
                out.push((record.offset.0, envelope));
            }
        }
    }

    /// Positions as a reader takes them from the beginning of the newest timeline: repeats dropped, a broken chain is a failure.
    pub async fn positions(&self) -> Vec<i64> {
        let mut last: Option<CommitSeq> = None;
        let mut timeline = None;
        let mut out = Vec::new();
        for (_, envelope) in self.envelopes().await {
            // The first event of a log is its origin; a gap moves the chain on.
            if let Event::Gap(gap) = &envelope.event {
                assert!(gap.after <= last.unwrap());
                last = Some(gap.up_to);
                continue;
            }
            // A reader halts here and starts again behind it.
            match history(timeline, &envelope).unwrap() {
                History::Same => timeline = Some(envelope.timeline),
                History::Ended => continue,
                History::Replaced => {
                    timeline = Some(envelope.timeline);
                    last = None;
                    out.clear();
                }
            }
            let from = *last.get_or_insert(envelope.commit_seq);
            match link(from, &envelope).unwrap() {
                Link::Next => {
                    last = Some(envelope.commit_seq);
                    out.push(envelope.commit_seq.0);
                }
                Link::Repeat | Link::Outside => {}
            }
        }
        out
    }

    /// Every timeline that was begun: the one before, its last position, where the new one begins, and why.
    pub async fn timelines(&self) -> Vec<(i64, i64, i64, String)> {
        self.envelopes()
            .await
            .into_iter()
            .filter_map(|(_, envelope)| match envelope.event {
                Event::TimelineChanged(changed) => Some((
                    changed.previous.0,
                    changed.published.0,
                    envelope.commit_seq.0,
                    changed.reason,
                )),
                _ => None,
            })
            .collect()
    }

    /// Waits until this many timelines were begun.
    pub async fn timelines_begun(&self, count: usize) {
        self.until(&format!("{count} new timelines"), || async {
            self.timelines().await.len() == count
        })
        .await;
    }

    pub async fn snapshots(&self) -> Vec<SnapshotTaken> {
        self.envelopes()
            .await
            .into_iter()
            .filter_map(|(_, envelope)| match envelope.event {
                Event::SnapshotTaken(snapshot) => Some(snapshot),
                _ => None,
            })
            .collect()
    }

    pub async fn request(&self, request: &ProducerRequest) {
        let name = TopicName::control("ccr", "c1", "db");
        let kind = TopicKind::Retained(Some(ccr_producer::config::DEFAULT_EVENTS_RETENTION));
        self.log
            .ensure_topic(&TopicSpec {
                name: name.clone(),
                kind,
            })
            .await
            .unwrap();
        let record = NewRecord {
            key: "request".to_owned(),
            value: Some(serde_json::to_vec(request).unwrap().into()),
            headers: Vec::new(),
        };
        self.log.append(&name, vec![record]).await.unwrap();
    }

    pub async fn ask(&self, id: &str, tables: &[&str]) {
        self.request(&ProducerRequest::Snapshot {
            request_id: id.to_owned(),
            tables: tables.iter().map(|t| (*t).to_owned()).collect(),
            not_before: -1,
        })
        .await;
    }

    /// Waits until something holds, at most 15 seconds.
    pub async fn until<F, A>(&self, what: &str, mut holds: F)
    where
        F: FnMut() -> A,
        A: Future<Output = bool>,
    {
        for _ in 0..1500 {
            if holds().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!(
            "not in 15 seconds: {what}; status {:?}, positions {:?}",
            self.stream_status(),
            self.positions().await
        );
    }

    pub fn stream_status(&self) -> Option<StreamStatus> {
        self.status.stream("c1", "db")
    }

    /// Waits until the log holds events up to a position.
    pub async fn published(&self, position: i64) {
        self.until(&format!("position {position} published"), || async {
            self.positions().await.last() == Some(&position)
        })
        .await;
    }

    /// Waits until the stream's origin is in the log.
    pub async fn begun(&self) {
        self.until("stream begun", || async {
            !self.envelopes().await.is_empty()
        })
        .await;
    }
}
