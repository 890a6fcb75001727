//! Backup and restore of a table at its own cluster, as an operator does it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ccr_applier::snapshot::with_extra_info;
use ccr_doris::ddl::backup_snapshot;
use ccr_doris::{Frontend, Inspect, JobProgress, JobState, RestoreSnapshot, Snapshot, SqlSession};
use ccr_lab::Cluster;
use ccr_schemas::event::{BackendAddress, SnapshotTaken};
use ccr_schemas::{CommitSeq, TimestampMs};
use ccr_tests::world::DATABASE;

const LABEL: &str = "by_hand";
const PATIENCE: Duration = Duration::from_secs(60);

/// Backs a table up.
pub async fn back_up(cluster: &Cluster, table: &str) -> Result<Snapshot> {
    let client = &cluster.client;
    let backup = backup_snapshot(DATABASE, LABEL, &[table]);
    client.execute(Some(DATABASE), &backup).await?;
    finished(|| async { Ok(client.show_backup(DATABASE, LABEL).await?) }).await?;
    let taken = client.get_snapshot(DATABASE, LABEL).await?;
    taken.context("the snapshot was forgotten")
}

/// Puts it back over the table of its name: the table has another id then.
pub async fn restore(cluster: &Cluster, table: &str, taken: Snapshot) -> Result<()> {
    let client = &cluster.client;
    let backends = client.get_backends().await?;
    let places = SnapshotTaken {
        label: LABEL.to_owned(),
        tables: Vec::new(),
        views: Vec::new(),
        whole_database: false,
        commit_seq: CommitSeq::BEFORE_FIRST,
        resume_offset: 0,
        chunks_offset: 0,
        chunk_count: 0,
        sha256: String::new(),
        compressed: taken.compressed,
        expires_at: TimestampMs(0),
        backends: backends
            .iter()
            .map(|backend| BackendAddress {
                id: backend.id,
                host: backend.host.clone(),
                http_port: i32::from(backend.http_port),
            })
            .collect(),
        sealed_token: String::new(),
        request_ids: Vec::new(),
    };
    let token = client.master_token().await?;
    let label = format!("{LABEL}_r");
    let request = RestoreSnapshot {
        database: DATABASE.to_owned(),
        label: label.clone(),
        tables: vec![(table.to_owned(), None)],
        job_info: with_extra_info(&taken.job_info, &places, &token, &BTreeMap::new())?,
        meta: taken.meta,
        compressed: taken.compressed,
        properties: BTreeMap::from([("reserve_replica".to_owned(), "true".to_owned())]),
        clean_tables: false,
        clean_partitions: false,
        atomic: true,
        force_replace: true,
    };
    client.restore_snapshot(&request).await?;
    let label = label.as_str();
    finished(|| async { Ok(client.show_restore(DATABASE, label).await?) }).await
}

async fn finished<F: Future<Output = Result<Option<JobProgress>>>>(
    look: impl Fn() -> F,
) -> Result<()> {
    let wait = async {
        loop {
            if let Some(job) = look().await? {
                match job.state {
                    JobState::Finished => return Ok(()),
                    JobState::Cancelled => bail!("cancelled: {}", job.status),
                    JobState::Running => {}
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await?
}
