//! What every test does: wait until a job is through, compare.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use ccr_doris::ddl::ObjectName;
use ccr_doris::{BinlogPosition, DorisCluster, Frontend, Inspect, Row, SqlSession};
use ccr_lab::compare::digest;
use ccr_schemas::CommitSeq;
use ccr_tests::Api;
use serde_json::{Value, json};

/// A restore of a genuine frontend takes seconds.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Body of `create_ccr`.
pub fn job(name: &str, src: Value, dest: Value) -> Value {
    json!({"name": name, "src": src, "dest": dest})
}

/// The same for one table, under another name at the destination.
pub fn table_job(name: &str, mut src: Value, mut dest: Value, table: &str, there: &str) -> Value {
    src["table"] = json!(table);
    dest["table"] = json!(there);
    job(name, src, dest)
}

/// Waits until a job has applied what its source has now, with no table left behind.
pub async fn through(api: &Api, name: &str, source: &DorisCluster, database: &str) -> Result<()> {
    let at = BinlogPosition {
        database: database.to_owned(),
        table: None,
        after: CommitSeq::BEFORE_FIRST,
    };
    let lag = source.get_binlog_lag(&at).await?;
    let end = lag
        .and_then(|lag| lag.last)
        .unwrap_or(CommitSeq::BEFORE_FIRST);
    api.wait_until(name, PATIENCE, |status| {
        status["phase"] == json!("applying")
            && status["commit_seq"].as_i64().is_some_and(|at| at >= end.0)
            && status["tables_not_following"] == json!([])
    })
    .await
    .with_context(|| format!("waiting for position {end}"))
}

/// Every row of every table of two databases.
pub async fn equal(source: (&DorisCluster, &str), target: (&DorisCluster, &str)) -> Result<u64> {
    let mut here = source.0.tables(source.1).await?;
    let mut there = target.0.tables(target.1).await?;
    here.sort();
    there.sort();
    if here != there {
        bail!("tables differ: source {here:?}, target {there:?}");
    }
    let mut rows = 0;
    for table in here {
        rows += same(source, target, &table).await?;
    }
    Ok(rows)
}

/// Every row of a table. What differs is shown.
pub async fn same(
    source: (&DorisCluster, &str),
    target: (&DorisCluster, &str),
    table: &str,
) -> Result<u64> {
    let want = digest(source.0, source.1, table).await?;
    let got = digest(target.0, target.1, table).await?;
    if want == got {
        return Ok(want.rows);
    }
    let mut here = rows_of(source, table).await?;
    let mut there = rows_of(target, table).await?;
    let (all_here, all_there) = (here.len(), there.len());
    here.retain(|row| match there.iter().position(|other| other == row) {
        Some(at) => {
            there.swap_remove(at);
            false
        }
        None => true,
    });
    here.truncate(5);
    there.truncate(5);
    bail!(
        "{table} differs: source {all_here} rows, target {all_there} rows; only here {here:#?}, only there {there:#?}"
    )
}

async fn rows_of(side: (&DorisCluster, &str), table: &str) -> Result<Vec<Row>> {
    let sql = format!("SELECT * FROM {}", ObjectName::new(side.1, table));
    Ok(side.0.query(None, &sql).await?)
}
