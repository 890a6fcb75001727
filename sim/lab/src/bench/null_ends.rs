//! Producer and applier alone: the other end answers at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ccr_applier::null::{NullDestination, transaction};
use ccr_applier::{ApplierConfig, Connect, Destination, JobRunner, RunnerDeps};
use ccr_control::{
    ClusterSpec, DestSpec, JobOptions, JobSpec, SourceSpec, StatusBoard, TableFilter, Wanted,
};
use ccr_log::embedded::Embedded;
use ccr_log::{Committed, NewRecord, Offset, ReaderEvent, SharedLog, TopicKind, TopicSpec};
use ccr_ops::{Sealer, Secret, SystemClock};
use ccr_producer::bench::{NullSource, measure};
use ccr_schemas::codec::{Codec, Framing};
use ccr_schemas::topic::consumer_group;
use ccr_schemas::{Event, Incarnation, TopicName};
use tokio_util::sync::CancellationToken;

use super::Measured;

/// Events of a producer run: enough for seconds, few enough for a laptop's disk.
const PUBLISHED: u64 = 200_000;
/// Events of an applier run.
const APPLIED: i64 = 100_000;
const TABLES: i64 = 8;
const PREFIX: &str = "ccr";
const NAME: &str = "null";
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) async fn producer(_time: Duration) -> Result<Vec<Measured>> {
    let folder = tempfile::tempdir()?;
    let clock = SystemClock::shared();
    let log = Embedded::open(folder.path().join("log.sqlite"), clock.clone())
        .context("opening an embedded log")?;
    let what = NullSource {
        transactions: PUBLISHED,
        tables: 10,
        tablets: 10,
    };
    let measured = measure(log, clock, what).await?;
    #[allow(clippy::cast_precision_loss, reason = "a few hundred thousand")]
    let events = measured.events as f64;
    Ok(vec![Measured::new(
        "producer",
        "events published, null source, embedded log",
        events / measured.seconds,
        "events/s",
    )])
}

pub(super) async fn applier(_time: Duration) -> Result<Vec<Measured>> {
    let folder = tempfile::tempdir()?;
    let clock = SystemClock::shared();
    let log = Embedded::open(folder.path().join("log.sqlite"), clock.clone())
        .context("opening an embedded log")?;
    let sealer = Sealer::from_base64(Sealer::generate_key().expose())?;
    let spec = job(&sealer)?;
    write_events(&log).await?;
    start_at_first_event(&log, &spec).await?;

    let tables = (1..=TABLES).map(|n| (table(n), 1)).collect();
    let dest = NullDestination::new(clock.clone(), tables, Duration::ZERO, Duration::ZERO);
    let status = StatusBoard::open(log.clone(), PREFIX).await?;
    let connected = dest.clone();
    let runner = JobRunner::new(
        RunnerDeps {
            log,
            status,
            sealer,
            clock: clock.clone(),
            connect: Connect::new(move |_| Ok(connected.clone() as Arc<dyn Destination>)),
        },
        ApplierConfig::default(),
        spec,
    );
    let token = CancellationToken::new();
    let start = clock.monotonic();
    let finished = async {
        while dest.committed() < APPLIED.unsigned_abs() {
            clock.sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        biased;
        () = finished => {}
        result = runner.run(token.clone()) => {
            result.context("the applier ended")?;
            bail!("the applier ended before everything was applied");
        }
        () = clock.sleep(PATIENCE) => bail!("{} of {APPLIED} events after {PATIENCE:?}", dest.committed()),
    }
    let took = clock.monotonic().saturating_sub(start);
    token.cancel();
    #[allow(clippy::cast_precision_loss, reason = "a hundred thousand")]
    let rate = APPLIED as f64 / took.as_secs_f64();
    Ok(vec![Measured::new(
        "applier",
        format!("events applied, null destination, {TABLES} tables"),
        rate,
        "events/s",
    )])
}

fn table(n: i64) -> String {
    format!("t{n}")
}

fn job(sealer: &Sealer) -> Result<JobSpec> {
    let cluster = ClusterSpec {
        frontends: vec![("127.0.0.1".to_owned(), 1, 1)],
        user: String::new(),
        sealed_password: sealer.seal(&Secret::default())?,
        host_mapping: BTreeMap::new(),
    };
    Ok(JobSpec {
        name: NAME.to_owned(),
        incarnation: Incarnation("1".to_owned()),
        version: 1,
        wanted: Wanted::Running,
        source: SourceSpec {
            cluster_name: NAME.to_owned(),
            cluster: cluster.clone(),
            database: NAME.to_owned(),
            host_mapping: BTreeMap::new(),
        },
        dest: DestSpec {
            cluster_name: String::new(),
            cluster,
            database: NAME.to_owned(),
            table_names: BTreeMap::new(),
        },
        tables: TableFilter {
            include: BTreeSet::new(),
            exclude: BTreeSet::new(),
        },
        options: JobOptions::default(),
        created_at_ms: 0,
        resync: None,
        table_resyncs: Default::default(),
    })
}

async fn write_events(log: &SharedLog) -> Result<()> {
    let topic = TopicName::events(PREFIX, NAME, NAME);
    log.ensure_topic(&TopicSpec {
        name: topic.clone(),
        kind: TopicKind::Retained(None),
    })
    .await?;
    let codec = Codec::new(Framing::SingleObject);
    let mut batch = Vec::new();
    for n in 1..=APPLIED {
        let on = n % TABLES + 1;
        let mut envelope = transaction(n, on, &table(on), 1);
        if let Event::RowsetsCommitted(event) = &mut envelope.event {
            // Versions of a partition follow one another; the first that holds rows is 2.
            event.tables[0].partitions[0].version = (n - 1) / TABLES + 2;
        }
        batch.push(NewRecord {
            key: format!("table:{on}"),
            value: Some(codec.encode(&envelope)?.into()),
            headers: Vec::new(),
        });
        if batch.len() == 1000 || n == APPLIED {
            log.append(&topic, std::mem::take(&mut batch)).await?;
        }
    }
    Ok(())
}

/// As after a first start: the job's group stands at the first event.
async fn start_at_first_event(log: &SharedLog, spec: &JobSpec) -> Result<()> {
    let group = consumer_group(PREFIX, &spec.name, &spec.incarnation);
    let mut reader = log
        .join(&group, &TopicName::events(PREFIX, NAME, NAME))
        .await?;
    while !matches!(reader.next().await?, ReaderEvent::Assigned { .. }) {}
    reader
        .commit(Committed {
            offset: Offset(0),
            metadata: r#"{"v":1,"seq":-1,"t":0}"#.to_owned(),
        })
        .await?;
    reader.close().await;
    Ok(())
}
