//! What a restart needs beside the events: the two records of the catalogue topic, JSON.
//!
//! The catalogue is appended after each append whose events changed it, before the next one, so a restart finds every later
//! change in the last append. The last record is appended when the stream becomes idle: heartbeats then push it out of the
//! log's tail, and a restart must still be able to tell whether the source has the same record at that position.

use std::collections::BTreeMap;

use bytes::Bytes;
use ccr_doris::RawBinlog;
use ccr_log::{NewRecord, Record};
use ccr_schemas::{CommitSeq, DbId, TableId, Timeline, TimestampMs};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracing::error;

use crate::context::Context;
use crate::error::Error;
use crate::metrics as names;
use crate::plan::Fingerprint;
use crate::plan::catalog::Catalog;

/// Key of the catalogue.
const CATALOG: &str = "catalog";
/// Key of the last record.
const LAST_RECORD: &str = "last_record";
/// A larger record is not remembered: its position alone is compared then.
const MAX_LAST_RECORD: usize = 256 * 1024;

/// The catalogue at a position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    pub position: CommitSeq,
    pub db_id: DbId,
    #[serde(default)]
    pub timeline: Timeline,
    pub catalog: Catalog,
}

/// The last published record, as the source gave it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LastRecord {
    timeline: Timeline,
    commit_seq: CommitSeq,
    timestamp: TimestampMs,
    binlog_type: i32,
    db_id: DbId,
    table_ids: Vec<TableId>,
    data: String,
}

impl LastRecord {
    /// Of a record; `None` when it is too large to be remembered.
    pub(crate) fn of(timeline: Timeline, record: &RawBinlog) -> Option<Self> {
        (record.data.len() <= MAX_LAST_RECORD).then(|| Self {
            timeline,
            commit_seq: record.commit_seq,
            timestamp: record.timestamp,
            binlog_type: record.binlog_type,
            db_id: record.db_id,
            table_ids: record.table_ids.clone(),
            data: record.data.clone(),
        })
    }

    /// What identifies it, when it is the record at this position.
    pub(crate) fn print(&self, timeline: Timeline, position: CommitSeq) -> Option<Fingerprint> {
        let is_it = (self.timeline, self.commit_seq) == (timeline, position);
        is_it.then(|| {
            Fingerprint::of(&RawBinlog {
                commit_seq: self.commit_seq,
                timestamp: self.timestamp,
                binlog_type: self.binlog_type,
                db_id: self.db_id,
                table_ids: self.table_ids.clone(),
                data: self.data.clone(),
            })
        })
    }
}

/// Both, to be appended behind the events they belong to.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub catalog: Option<Checkpoint>,
    pub last_record: Option<LastRecord>,
}

impl Kept {
    /// Takes over what is newer.
    pub(crate) fn merge(&mut self, newer: Self) {
        self.catalog = newer.catalog.or(self.catalog.take());
        self.last_record = newer.last_record.or(self.last_record.take());
    }

    /// Appends what there is.
    ///
    /// # Errors
    /// The log's.
    pub(crate) async fn append(self, ctx: &Context) -> Result<(), Error> {
        let catalog = self.catalog.map(|value| record(CATALOG, &value));
        let last = self.last_record.map(|value| record(LAST_RECORD, &value));
        let records: Vec<NewRecord> = catalog.into_iter().chain(last).flatten().collect();
        if !records.is_empty() {
            ctx.log.append(&ctx.topics.catalog, records).await?;
        }
        Ok(())
    }

    /// Reads both back. One that cannot be read is reported and counts as none; a log that cannot be read is an error.
    ///
    /// # Errors
    /// The log's: a log that fails is no proof that there is nothing to read.
    pub(crate) async fn read(ctx: &Context) -> Result<Self, Error> {
        let records = ctx.log.read_compacted(&ctx.topics.catalog).await?;
        Ok(Self {
            catalog: parsed(ctx, &records, CATALOG),
            last_record: parsed(ctx, &records, LAST_RECORD),
        })
    }
}

fn record(key: &str, value: &impl Serialize) -> Option<NewRecord> {
    let value = serde_json::to_vec(value).ok()?;
    Some(NewRecord {
        key: key.to_owned(),
        value: Some(Bytes::from(value)),
        headers: Vec::new(),
    })
}

fn parsed<T: DeserializeOwned>(
    ctx: &Context,
    records: &BTreeMap<String, Record>,
    key: &str,
) -> Option<T> {
    let value = records.get(key)?.value.as_ref()?;
    match serde_json::from_slice(value) {
        Ok(value) => Some(value),
        Err(error) => {
            metrics::counter!(names::ERRORS, "component" => "producer", "kind" => "corrupt")
                .increment(1);
            error!(stream = %ctx.key, topic = %ctx.topics.catalog, key, error = %error,
                   "cannot read the checkpoint; reading names and ids from the source instead");
            None
        }
    }
}
