//! All streams of a process: which there are follows from the jobs.
//!
//! `jobs topic -> wanted streams -> one task each -> restarted with backoff, stopped when no job needs it`

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use ccr_control::process::Process;
use ccr_control::{ClusterSpec, JobRegistry, JobSpec, StatusBoard, StreamState};
use ccr_log::SharedLog;
use ccr_ops::retry::policy;
use ccr_ops::{Backoff, Clock, Sealer};
use ccr_schemas::codec::{Codec, Framing};
use futures::FutureExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::config::ProducerConfig;
use crate::context::{Context, StreamKey, Topics};
use crate::error::Error;
use crate::metrics as names;
use crate::report::Report;
use crate::source::Connect;
use crate::stream::STATUS_INTERVAL;
use crate::{schema_registry, stream};

/// How long streams may take to leave their groups.
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// What a producer works with.
#[derive(Clone)]
pub struct Deps {
    /// Where events go.
    pub log: SharedLog,
    /// Jobs: they say which databases are needed and how to reach their clusters. The caller keeps it fresh.
    pub registry: Arc<JobRegistry>,
    /// Where streams report.
    pub status: Arc<StatusBoard>,
    /// Opens passwords, seals download tokens.
    pub sealer: Sealer,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Makes a client of a source cluster.
    pub connect: Connect,
}

impl Deps {
    /// Of a process, with clients of real clusters.
    pub fn of(process: &Process) -> Self {
        Self {
            log: process.log.clone(),
            registry: process.registry.clone(),
            status: process.status.clone(),
            sealer: process.sealer.clone(),
            clock: process.clock.clone(),
            connect: {
                let installation = process.installation.clone();
                Arc::new(move |address| Arc::new(installation.client(address)))
            },
        }
    }
}

/// The producer of a process.
pub struct ProducerService {
    deps: Deps,
    config: Arc<ProducerConfig>,
}

/// Streams wanted, with the way to their clusters. A paused job still needs its events in the log. Of several jobs the
/// oldest says how the cluster is reached, so that a new job does not interrupt a running stream.
fn wanted(jobs: &BTreeMap<String, JobSpec>) -> BTreeMap<StreamKey, ClusterSpec> {
    let mut oldest_first: Vec<&JobSpec> = jobs.values().collect();
    oldest_first.sort_by_key(|job| (job.created_at_ms, &job.name));
    let mut streams = BTreeMap::new();
    for job in oldest_first {
        let key = StreamKey {
            source: job.source.cluster_name.clone(),
            database: job.source.database.clone(),
        };
        streams
            .entry(key)
            .or_insert_with(|| job.source.cluster.clone());
    }
    streams
}

/// Tells whether a job follows all tables of a database: not one that names the tables it follows.
fn follows_database(
    registry: Arc<JobRegistry>,
    key: StreamKey,
) -> Arc<dyn Fn() -> bool + Send + Sync> {
    Arc::new(move || {
        registry.list().values().any(|job| {
            job.source.cluster_name == key.source
                && job.source.database == key.database
                && job.tables.include.is_empty()
        })
    })
}

struct Running {
    cluster: ClusterSpec,
    token: CancellationToken,
}

impl ProducerService {
    /// A producer; nothing happens before [`ProducerService::run`].
    pub fn new(deps: Deps, config: ProducerConfig) -> Self {
        Self {
            deps,
            config: Arc::new(config),
        }
    }

    /// Runs until it has to stop. A stream that fails is restarted and does not stop the others.
    ///
    /// # Errors
    /// [`Error::Config`] when the settings cannot work.
    pub async fn run(self, token: CancellationToken) -> Result<(), Error> {
        self.config.validate()?;
        let mut jobs = self.deps.registry.watch();
        let mut running: BTreeMap<StreamKey, Running> = BTreeMap::new();
        let mut tasks: JoinSet<StreamKey> = JoinSet::new();
        loop {
            let streams = wanted(&jobs.borrow_and_update().clone());
            // A stream that has to stop is forgotten when its task has ended.
            for (key, stream) in &running {
                let stays =
                    streams.get(key) == Some(&stream.cluster) || stream.token.is_cancelled();
                if !stays {
                    info!(stream = %key, "stopping the stream: no job needs it with these settings");
                    stream.token.cancel();
                }
            }
            for (key, cluster) in streams {
                if running.contains_key(&key) {
                    continue;
                }
                let stop = token.child_token();
                let task = self.task(key.clone(), cluster.clone(), stop.clone());
                tasks.spawn(task);
                running.insert(
                    key,
                    Running {
                        cluster,
                        token: stop,
                    },
                );
            }
            metrics::gauge!(names::STREAMS).set(running.len() as f64);
            tokio::select! {
                biased;
                // 1. stop
                () = token.cancelled() => break,
                // 2. a stream ended: if it is wanted, the next round starts it again
                Some(ended) = tasks.join_next() => match ended {
                    Ok(key) => {
                        running.remove(&key);
                    }
                    Err(error) => {
                        error!(error = %error, "stream task panicked");
                        running.retain(|_, stream| !stream.token.is_cancelled());
                    }
                },
                // 3. jobs changed
                changed = jobs.changed() => if changed.is_err() {
                    token.cancelled().await;
                    break;
                },
            }
        }
        let stopped = async { while tasks.join_next().await.is_some() {} };
        tokio::select! {
            biased;
            () = stopped => {}
            () = self.deps.clock.sleep(STOP_DEADLINE) => {
                error!("streams did not stop in time and were aborted; nothing is lost");
            }
        }
        Ok(())
    }

    /// Runs one stream until it has to stop. Runs fail and begin again inside; what ends the stream as a whole (topics
    /// that are not as they must be, a password that cannot be opened, a panic) is tried again here.
    fn task(
        &self,
        key: StreamKey,
        cluster: ClusterSpec,
        token: CancellationToken,
    ) -> impl Future<Output = StreamKey> + Send + 'static {
        let deps = self.deps.clone();
        let config = self.config.clone();
        async move {
            let report = Arc::new(Report::default());
            let guard = token.clone().drop_guard();
            let mut backoff: Option<Backoff> = None;
            while !token.is_cancelled() {
                let attempt = attempt(&deps, &config, &key, &cluster, &report, &token);
                let result = AssertUnwindSafe(attempt).catch_unwind().await;
                let error = match result {
                    Ok(Err(error)) => error,
                    Err(_) => Error::Ended("the stream task panicked"),
                    // It had to stop.
                    Ok(Ok(())) if token.is_cancelled() => break,
                    Ok(Ok(())) => Error::Ended("the stream ended although a job needs it"),
                };
                let kind = error.kind();
                metrics::counter!(names::ERRORS, "component" => "producer", "kind" => kind.as_str())
                    .increment(1);
                let seed = deps.clock.now_ms().unsigned_abs();
                let delay = backoff
                    .get_or_insert_with(|| Backoff::new(policy(kind), seed))
                    .next_delay()
                    .unwrap_or(config.halt_retry);
                error!(stream = %key, error = %error.chain(), retry_in_ms = delay.as_millis(), "stream failed");
                let problem = error.problem(deps.clock.now_ms());
                report.failed(StreamState::Retrying, "restarting", problem);
                let reporting = async {
                    loop {
                        let status = report.status(&key, &config.owner, deps.clock.now_ms());
                        // The log may be what failed; then there is nobody to tell.
                        let _ = deps.status.report_stream(status).await;
                        deps.clock.sleep(STATUS_INTERVAL).await;
                    }
                };
                tokio::select! {
                    biased;
                    () = token.cancelled() => {}
                    () = deps.clock.sleep(delay) => {}
                    () = reporting => {}
                }
            }
            drop(guard);
            key
        }
    }
}

async fn attempt(
    deps: &Deps,
    config: &Arc<ProducerConfig>,
    key: &StreamKey,
    cluster: &ClusterSpec,
    report: &Arc<Report>,
    token: &CancellationToken,
) -> Result<(), Error> {
    let address = cluster
        .open(&key.source, &deps.sealer)
        .map_err(|source| Error::Seal {
            cluster: key.source.clone(),
            source,
        })?;
    let topics = Topics::of(&config.prefix, key);
    let framing = match &config.schema_registry {
        Some(registry) => Framing::Confluent {
            schema_id: schema_registry::register(registry, &topics.events).await?,
        },
        None => Framing::SingleObject,
    };
    let ctx = Context {
        key: key.clone(),
        config: config.clone(),
        log: deps.log.clone(),
        source: (deps.connect)(address),
        clock: deps.clock.clone(),
        sealer: deps.sealer.clone(),
        codec: Codec::new(framing),
        topics,
        report: report.clone(),
        follows_database: follows_database(deps.registry.clone(), key.clone()),
    };
    stream::run(&ctx, &deps.status, token).await
}

#[cfg(test)]
mod tests {
    use ccr_control::{DestSpec, JobOptions, SourceSpec, TableFilter, Wanted};
    use ccr_schemas::Incarnation;

    use super::*;

    fn job(name: &str, created_at_ms: i64) -> JobSpec {
        let cluster = ClusterSpec {
            frontends: vec![("127.0.0.1".to_owned(), 9030, 9020)],
            user: "root".to_owned(),
            // Sealing the same password twice gives two texts.
            sealed_password: name.to_owned(),
            host_mapping: BTreeMap::new(),
        };
        JobSpec {
            name: name.to_owned(),
            incarnation: Incarnation("1".to_owned()),
            version: 1,
            wanted: Wanted::Running,
            source: SourceSpec {
                cluster_name: "c1".to_owned(),
                cluster: cluster.clone(),
                database: "sales".to_owned(),
                host_mapping: BTreeMap::new(),
            },
            dest: DestSpec {
                cluster_name: String::new(),
                cluster,
                database: "sales".to_owned(),
                table_names: BTreeMap::new(),
            },
            tables: TableFilter::default(),
            options: JobOptions::default(),
            created_at_ms,
            resync: None,
            table_resyncs: Default::default(),
        }
    }

    #[test]
    fn a_new_job_does_not_change_how_a_running_stream_reaches_its_source() {
        let mut jobs = BTreeMap::from([("z".to_owned(), job("z", 10))]);
        let before = wanted(&jobs);
        jobs.insert("a".to_owned(), job("a", 20));
        assert_eq!(wanted(&jobs), before);
    }
}
