//! Every row of every table, on both sides.

use anyhow::{Result, bail};
use ccr_lab::Cluster;
use ccr_lab::compare::{Comparison, digest, render};

/// Compares all tables of two databases; a table that is missing on either side is a difference.
pub async fn assert_equal(
    source: (&Cluster, &str),
    target: (&Cluster, &str),
    takes: impl Fn(&str) -> bool,
) -> Result<u64> {
    let here: Vec<String> = source
        .0
        .tables(source.1)
        .await?
        .into_iter()
        .filter(|table| takes(table))
        .collect();
    let there = target.0.tables(target.1).await?;
    if here != there {
        bail!("tables differ: source {here:?}, target {there:?}");
    }
    let mut comparisons = Vec::new();
    for table in here {
        let dest = digest(&target.0.client, target.1, &table).await;
        comparisons.push(Comparison {
            target: target.1.to_owned(),
            source: digest(&source.0.client, source.1, &table).await?,
            table,
            dest: dest.map_err(|error| format!("{error:#}")),
        });
    }
    if !comparisons.iter().all(Comparison::equal) {
        bail!("rows differ:\n{}", render(&comparisons));
    }
    Ok(comparisons.iter().map(|c| c.source.rows).sum())
}
