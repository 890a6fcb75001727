//! Takes one snapshot: backup, poll, getSnapshot, chunks into the log.

use std::collections::BTreeSet;
use std::time::Duration;

use ccr_doris::error::Refusal;
use ccr_doris::meter::{JobMeter, WHOLE};
use ccr_doris::{Inspect, JobProgress, JobState, Snapshot};
use ccr_log::Offset;
use ccr_ops::retry::policy;
use ccr_ops::{Backoff, ErrorKind};
use ccr_schemas::event::SnapshotTaken;
use ccr_schemas::{CommitSeq, TimestampMs};
use sha2::{Digest, Sha256};
use tracing::info;

use super::job_info::JobInfo;
use super::payload::Payload;
use super::plan::Scope;
use super::statements;
use crate::context::Context;
use crate::error::Error;
use crate::plan::layout::address;

/// Chunks per append: 4 MiB.
const CHUNKS_AT_ONCE: usize = 8;
/// Attempts to get all chunks one behind the other.
const APPEND_ATTEMPTS: u32 = 3;
/// Lifetime of a backup when the source does not report it: Doris's default.
const DEFAULT_LIFETIME_MS: i64 = 24 * 3600 * 1000;
/// Longest part of a database's name in a label.
const MAX_NAME: usize = 40;

/// Takes a snapshot. Its `request_ids` are still empty.
///
/// # Errors
/// [`Error::Snapshot`] when the source refuses or the backup fails; [`Error::Source`], [`Error::Log`].
pub(crate) async fn take(ctx: &Context, scope: &Scope) -> Result<SnapshotTaken, Error> {
    let waits = policy(ErrorKind::Throttled);
    let mut backoff = Backoff::new(waits, ctx.clock.now_ms().unsigned_abs());
    let deadline = ctx.clock.monotonic() + ctx.config.backup_timeout;
    loop {
        // Noted before the backup: whatever is not in the snapshot becomes visible after it began, is published after
        // that, and therefore lies at or behind this offset. Events that are still on their way to the log now are in the
        // snapshot, and their positions say so. So the stream need not have caught up.
        let (_, resume) = ctx.log.watermarks(&ctx.topics.events).await?;
        let names = existing(ctx).await?;
        check_tables(ctx, scope, &names)?;
        if names.is_empty() {
            return nothing_to_back_up(ctx, resume).await;
        }
        let label = label(ctx, scope);
        match begin(ctx, scope, &label).await? {
            Begun::Running => {
                ctx.report
                    .snapshot_action(&format!("backup {label} runs"), None);
                wait_for_backup(ctx, &label, deadline).await?;
                return collect(ctx, scope, label, resume).await;
            }
            Begun::Busy(text) => {
                if ctx.clock.monotonic() >= deadline {
                    return Err(failed(ctx, text));
                }
                ctx.report.snapshot_action(
                    "waiting for another backup or restore of the database",
                    None,
                );
                let delay = backoff.next_delay().unwrap_or(waits.max);
                ctx.clock.sleep(delay).await;
            }
        }
    }
}

enum Begun {
    Running,
    /// Another job runs; it is somebody else's, so it is waited for, never cancelled.
    Busy(String),
}

async fn begin(ctx: &Context, scope: &Scope, label: &str) -> Result<Begun, Error> {
    let database = &ctx.key.database;
    let statement = statements::backup(database, label, scope);
    let Err(error) = ctx.source.execute(Some(database), &statement).await else {
        info!(stream = %ctx.key, label, "backup started");
        return Ok(Begun::Running);
    };
    if error.refusal() == Some(Refusal::BackupBusy) {
        return Ok(Begun::Busy(error.to_string()));
    }
    if error.kind() == ErrorKind::Unavailable && state_of(ctx, label).await?.is_some() {
        // The answer was lost, the statement was not.
        return Ok(Begun::Running);
    }
    Err(ctx.source_error(error))
}

async fn wait_for_backup(ctx: &Context, label: &str, deadline: Duration) -> Result<(), Error> {
    let mut meter = JobMeter::default();
    loop {
        match state_of(ctx, label).await? {
            Some(job) => match job.state {
                JobState::Finished => return Ok(()),
                JobState::Cancelled => {
                    let why = format!("backup {label} was cancelled: {}", job.status);
                    return Err(failed(ctx, why));
                }
                JobState::Running => {
                    let action = format!("backup {label} ({})", job.state_text);
                    let progress = (meter.read(&job), WHOLE);
                    ctx.report.snapshot_action(&action, Some(progress));
                }
            },
            None => {
                return Err(failed(
                    ctx,
                    format!("backup {label} is no longer in SHOW BACKUP"),
                ));
            }
        }
        if ctx.clock.monotonic() >= deadline {
            let seconds = ctx.config.backup_timeout.as_secs();
            return Err(failed(
                ctx,
                format!(
                    "backup {label} has not finished in {seconds} s; raise backup_timeout, or look at SHOW BACKUP"
                ),
            ));
        }
        ctx.clock.sleep(ctx.config.backup_poll).await;
    }
}

async fn state_of(ctx: &Context, label: &str) -> Result<Option<JobProgress>, Error> {
    let database = ctx.key.database.as_str();
    ctx.ask("show_backup", || ctx.source.show_backup(database, label))
        .await
}

async fn collect(
    ctx: &Context,
    scope: &Scope,
    label: String,
    resume: Offset,
) -> Result<SnapshotTaken, Error> {
    let database = ctx.key.database.as_str();
    let snapshot: Snapshot = ctx
        .ask("get_snapshot", || ctx.source.get_snapshot(database, &label))
        .await?
        .ok_or_else(|| {
            failed(
                ctx,
                format!("snapshot {label} is no longer at the source right after its backup"),
            )
        })?;
    let info = JobInfo::read(&snapshot.job_info, snapshot.compressed)
        .map_err(|why| failed(ctx, format!("job info of {label} cannot be read: {why}")))?;
    let commit_seq = info.commit_seq(snapshot.commit_seq).ok_or_else(|| {
        failed(
            ctx,
            format!("snapshot {label} has no commit_seq; the release of the source is too old"),
        )
    })?;
    let holders = info.backends();
    let backends = ctx
        .ask("get_backends", || ctx.source.get_backends())
        .await?
        .iter()
        .filter(|backend| holders.is_empty() || holders.contains(&backend.id))
        .map(address)
        .collect();
    let token = ctx
        .ask("get_master_token", || ctx.source.master_token())
        .await?;
    let sealed_token = ctx.sealer.seal(&token).map_err(|source| Error::Seal {
        cluster: ctx.key.source.clone(),
        source,
    })?;
    let payload = Payload::of(&snapshot.job_info, &snapshot.meta);
    ctx.report
        .snapshot_action(&format!("writing snapshot {label} into the log"), None);
    let chunks_offset = append(ctx, &label, &payload).await?;
    let chunk_count = i32::try_from(payload.chunks.len())
        .map_err(|_| failed(ctx, format!("snapshot {label} is too large for the log")))?;
    let now = ctx.clock.now_ms();
    Ok(SnapshotTaken {
        tables: info.tables(commit_seq),
        views: info.views(),
        whole_database: *scope == Scope::Database,
        commit_seq,
        resume_offset: resume.0,
        chunks_offset: chunks_offset.0,
        chunk_count,
        sha256: payload.sha256,
        compressed: snapshot.compressed,
        expires_at: snapshot
            .expires_at
            .unwrap_or(TimestampMs(now + DEFAULT_LIFETIME_MS)),
        backends,
        sealed_token,
        request_ids: Vec::new(),
        label,
    })
}

/// Appends all chunks one behind the other and returns the first one's offset. A restart, or another producer, may have
/// put something between: then all are written again.
async fn append(ctx: &Context, label: &str, payload: &Payload) -> Result<Offset, Error> {
    let topic = &ctx.topics.snapshots;
    let count = payload.chunks.len();
    for _ in 0..APPEND_ATTEMPTS {
        let mut first = None;
        let mut done = 0;
        while done < count {
            let records = payload.records(label, done, CHUNKS_AT_ONCE);
            let appended = records.len();
            let last = ctx.log.append(topic, records).await?;
            let begin = last.0 - offsets(appended) + 1;
            let start = *first.get_or_insert(begin);
            if begin != start + offsets(done) {
                break;
            }
            done += appended;
        }
        if let (Some(first), true) = (first, done == count) {
            return Ok(Offset(first));
        }
    }
    Err(failed(
        ctx,
        format!(
            "chunks of {label} are not contiguous in topic {topic}; does another producer write to it?"
        ),
    ))
}

fn offsets(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A database without tables and views: there is nothing to back up, and everything that follows is an event.
async fn nothing_to_back_up(ctx: &Context, resume: Offset) -> Result<SnapshotTaken, Error> {
    let end = crate::tail::source_end(ctx, CommitSeq::BEFORE_FIRST).await?;
    let now = ctx.clock.now_ms();
    let (_, chunks) = ctx.log.watermarks(&ctx.topics.snapshots).await?;
    Ok(SnapshotTaken {
        label: label(ctx, &Scope::Database),
        tables: Vec::new(),
        views: Vec::new(),
        whole_database: true,
        commit_seq: end
            .and_then(|lag| lag.last)
            .unwrap_or(CommitSeq::BEFORE_FIRST),
        resume_offset: resume.0,
        chunks_offset: chunks.0,
        chunk_count: 0,
        sha256: super::payload::sha256(b"", b""),
        compressed: false,
        expires_at: TimestampMs(now + DEFAULT_LIFETIME_MS),
        backends: Vec::new(),
        sealed_token: String::new(),
        request_ids: Vec::new(),
    })
}

/// Tables and views there are.
async fn existing(ctx: &Context) -> Result<BTreeSet<String>, Error> {
    let database = ctx.key.database.as_str();
    let names = ctx
        .ask("show_tables", || ctx.source.objects(database))
        .await?;
    Ok(names.into_iter().collect())
}

fn check_tables(ctx: &Context, scope: &Scope, names: &BTreeSet<String>) -> Result<(), Error> {
    let missing: Vec<&str> = match scope {
        Scope::Database => Vec::new(),
        Scope::Tables(tables) => tables.difference(names).map(String::as_str).collect(),
    };
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::MissingTables {
        database: ctx.key.database.clone(),
        tables: missing.join(", "),
    })
}

/// `ccrs_<db>_<hash>_<ms>`: labels are found by name alone in all databases of a cluster, so the hash tells databases apart
/// whose names look alike in a label's alphabet, and the time tells backups apart.
fn label(ctx: &Context, scope: &Scope) -> String {
    let tables = match scope {
        Scope::Database => String::new(),
        Scope::Tables(tables) => tables.iter().cloned().collect::<Vec<_>>().join("\n"),
    };
    let digest = Sha256::new()
        .chain_update(ctx.key.to_string())
        .chain_update([0])
        .chain_update(tables)
        .finalize();
    let hash: String = digest
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let name: String = ctx
        .key
        .database
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .take(MAX_NAME)
        .collect();
    format!("ccrs_{name}_{hash}_{}", ctx.clock.now_ms())
}

fn failed(ctx: &Context, what: String) -> Error {
    Error::Snapshot {
        database: ctx.key.database.clone(),
        what,
    }
}
