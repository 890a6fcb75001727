//! A snapshot out of the log: its chunks, and the job info made ready for this destination.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use ccr_control::JobSpec;
use ccr_doris::RestoreSnapshot;
use ccr_log::{Offset, SharedLog};
use ccr_ops::Secret;
use ccr_schemas::TopicName;
use ccr_schemas::event::SnapshotTaken;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::ingest::reached;

/// Max bytes of an unpacked job info.
const MAX_JOB_INFO: u64 = 2 << 30;
/// Records read at once.
const PAGE: usize = 64;

/// Why a snapshot can not be used. Another one is asked for.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The log.
    #[error("snapshot {label}: its chunks can not be read")]
    Log {
        /// Snapshot.
        label: String,
        /// Why.
        #[source]
        source: ccr_log::Error,
    },
    /// A chunk is not where the event says.
    #[error("snapshot {label}: {what}")]
    Damaged {
        /// Snapshot.
        label: String,
        /// What is wrong.
        what: String,
    },
}

/// Job info and meta, as the source gave them.
#[derive(Debug, Eq, PartialEq)]
pub struct Payload {
    /// Job info.
    pub job_info: Vec<u8>,
    /// Meta.
    pub meta: Vec<u8>,
}

/// Reads and checks the chunks.
///
/// # Errors
/// [`SnapshotError`].
pub async fn fetch(
    log: &SharedLog,
    topic: &TopicName,
    snapshot: &SnapshotTaken,
) -> Result<Payload, SnapshotError> {
    let label = &snapshot.label;
    let wanted = usize::try_from(snapshot.chunk_count).unwrap_or_default();
    let mut bytes = Vec::new();
    let mut next = Offset(snapshot.chunks_offset);
    let mut have = 0;
    while have < wanted {
        let page = log
            .read_range(topic, next, PAGE.min(wanted - have))
            .await
            .map_err(|source| SnapshotError::Log {
                label: label.clone(),
                source,
            })?;
        if page.is_empty() {
            return Err(damaged(
                label,
                format!("{have} of {wanted} chunks are in {topic}"),
            ));
        }
        for record in page {
            next = Offset(record.offset.0 + 1);
            // A producer that repeats an append may leave chunks of another snapshot between these.
            if record.key != *label {
                continue;
            }
            bytes.extend_from_slice(record.value.as_deref().unwrap_or_default());
            have += 1;
        }
    }
    unpack(label, &bytes, &snapshot.sha256)
}

fn unpack(label: &str, bytes: &[u8], sha256: &str) -> Result<Payload, SnapshotError> {
    let (length, rest) = bytes
        .split_first_chunk::<8>()
        .ok_or_else(|| damaged(label, "the chunks are shorter than their header".to_owned()))?;
    let length = usize::try_from(u64::from_be_bytes(*length)).unwrap_or(usize::MAX);
    let (job_info, meta) = rest
        .split_at_checked(length)
        .ok_or_else(|| damaged(label, "the chunks are shorter than they say".to_owned()))?;
    let found = hex(&Sha256::new()
        .chain_update(job_info)
        .chain_update(meta)
        .finalize());
    if found != sha256 {
        return Err(damaged(
            label,
            format!("checksum {found}, expected {sha256}"),
        ));
    }
    Ok(Payload {
        job_info: job_info.to_vec(),
        meta: meta.to_vec(),
    })
}

fn damaged(label: &str, what: String) -> SnapshotError {
    SnapshotError::Damaged {
        label: label.to_owned(),
        what,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Job info with `extra_info`: where the destination's BEs find the files and with which token. Everything else stays
/// byte for byte as it was (its integers do not all fit a float).
///
/// # Errors
/// [`SnapshotError::Damaged`].
pub fn with_extra_info(
    job_info: &[u8],
    snapshot: &SnapshotTaken,
    token: &Secret,
    host_mapping: &BTreeMap<String, String>,
) -> Result<Vec<u8>, SnapshotError> {
    let label = &snapshot.label;
    let plain = if snapshot.compressed {
        let mut plain = Vec::new();
        GzDecoder::new(job_info)
            .take(MAX_JOB_INFO)
            .read_to_end(&mut plain)
            .map_err(|error| damaged(label, format!("job info is not gzip: {error}")))?;
        plain
    } else {
        job_info.to_vec()
    };
    let text =
        String::from_utf8(plain).map_err(|_| damaged(label, "job info is not UTF-8".to_owned()))?;
    let parsed: serde_json::Map<String, Value> = serde_json::from_str(&text)
        .map_err(|error| damaged(label, format!("job info is not a JSON object: {error}")))?;
    let map: serde_json::Map<String, Value> = snapshot
        .backends
        .iter()
        .map(|backend| {
            let at = reached(host_mapping, backend);
            (
                backend.id.to_string(),
                json!({"ip": at.host, "port": at.port}),
            )
        })
        .collect();
    let extra = json!({"be_network_map": map, "token": token.expose()});
    let text = if parsed.contains_key("extra_info") {
        let mut parsed = parsed;
        parsed.insert("extra_info".to_owned(), extra);
        Value::Object(parsed).to_string()
    } else {
        let end = text.rfind('}').unwrap_or(text.len());
        let comma = if parsed.is_empty() { "" } else { "," };
        format!(
            "{}{comma}\"extra_info\":{extra}{}",
            &text[..end],
            &text[end..]
        )
    };
    if !snapshot.compressed {
        return Ok(text.into_bytes());
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(text.as_bytes())
        .and_then(|()| encoder.finish())
        .map_err(|error| damaged(label, format!("job info can not be packed: {error}")))
}

/// How a snapshot is restored.
#[derive(Debug)]
pub struct Restore {
    /// Label of the restore job.
    pub label: String,
    /// Source name and, where it differs, destination name of each object; none means all.
    pub tables: Vec<(String, Option<String>)>,
    /// Over what bears those names already.
    pub replace: bool,
    /// What the snapshot does not have is removed.
    pub clean_tables: bool,
}

/// The call that restores a snapshot at this job's destination.
///
/// # Errors
/// [`SnapshotError::Damaged`].
pub fn restore_request(
    spec: &JobSpec,
    taken: &SnapshotTaken,
    payload: Payload,
    token: &Secret,
    how: Restore,
) -> Result<RestoreSnapshot, SnapshotError> {
    let mapping = &spec.source.host_mapping;
    let job_info = with_extra_info(&payload.job_info, taken, token, mapping)?;
    Ok(RestoreSnapshot {
        database: spec.dest.database.clone(),
        label: how.label,
        tables: how.tables,
        job_info,
        meta: payload.meta,
        compressed: taken.compressed,
        properties: properties(spec),
        clean_tables: how.clean_tables,
        clean_partitions: how.replace,
        atomic: how.replace,
        force_replace: how.replace,
    })
}

/// Returns what the destination is asked to keep of the tables' properties.
///
/// `is_being_synced`, which the call sets on every table, stops dynamic partitioning for as long as the job is there, so
/// `dynamic_partition.enable` may stay as it is at the source and works again when the job is deleted. `reserve_colocate` is not asked
/// for: with a colocate group in place Doris refuses the next restore over the table, and so every `resync` of it.
fn properties(spec: &JobSpec) -> BTreeMap<String, String> {
    let replicas = match spec.options.replication_num {
        None => ("reserve_replica", "true".to_owned()),
        Some(number) => ("replication_num", number.to_string()),
    };
    let dynamic_partition = ("reserve_dynamic_partition_enable", "true".to_owned());
    [replicas, dynamic_partition]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccr_schemas::event::BackendAddress;
    use ccr_schemas::{BackendId, CommitSeq, TimestampMs};

    fn snapshot(compressed: bool) -> SnapshotTaken {
        SnapshotTaken {
            label: "l".to_owned(),
            tables: vec![],
            views: vec![],
            whole_database: true,
            commit_seq: CommitSeq(1),
            resume_offset: 0,
            chunks_offset: 0,
            chunk_count: 1,
            sha256: String::new(),
            compressed,
            expires_at: TimestampMs(0),
            backends: vec![BackendAddress {
                id: BackendId(10002),
                host: "10.0.0.2".to_owned(),
                http_port: 8040,
            }],
            sealed_token: String::new(),
            request_ids: vec![],
        }
    }

    #[test]
    fn extra_info_is_added_and_nothing_else_is_touched() {
        let before = r#"{"id": 9223372036854775807,  "new key": [1.10]}"#;
        let after = with_extra_info(
            before.as_bytes(),
            &snapshot(false),
            &Secret::new("tok".to_owned()),
            &BTreeMap::from([("10.0.0.2".to_owned(), "127.0.0.1".to_owned())]),
        )
        .unwrap();
        assert_eq!(
            String::from_utf8(after).unwrap(),
            r#"{"id": 9223372036854775807,  "new key": [1.10],"extra_info":{"be_network_map":{"10002":{"ip":"127.0.0.1","port":8040}},"token":"tok"}}"#
        );
    }

    #[test]
    fn the_address_of_a_source_backend_is_mapped_with_its_port() {
        for (rule, target, expected) in [
            ("10.0.0.2", "gate:18040", r#"{"ip":"gate","port":18040}"#),
            ("10.0.0.2:8040", "gate", r#"{"ip":"gate","port":8040}"#),
            (
                "10.0.0.2:8040",
                "gate:18041",
                r#"{"ip":"gate","port":18041}"#,
            ),
            ("10.0.0.2:9999", "gate", r#"{"ip":"10.0.0.2","port":8040}"#),
        ] {
            let after = with_extra_info(
                b"{}",
                &snapshot(false),
                &Secret::new("tok".to_owned()),
                &BTreeMap::from([(rule.to_owned(), target.to_owned())]),
            )
            .unwrap();
            let text = String::from_utf8(after).unwrap();
            assert!(
                text.contains(&format!(r#""10002":{expected}"#)),
                "{rule} -> {target}: {text}"
            );
        }
    }

    #[test]
    fn packed_job_info_stays_packed() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(b"{}").unwrap();
        let packed = encoder.finish().unwrap();
        let token = Secret::new("t".to_owned());
        let after = with_extra_info(&packed, &snapshot(true), &token, &BTreeMap::new()).unwrap();
        let mut plain = String::new();
        GzDecoder::new(after.as_slice())
            .read_to_string(&mut plain)
            .unwrap();
        assert!(
            plain.starts_with(r#"{"extra_info":{"be_network_map""#),
            "{plain}"
        );
        for hostile in [&b"x"[..], b"[]", b"{"] {
            assert!(with_extra_info(hostile, &snapshot(false), &token, &BTreeMap::new()).is_err());
        }
    }

    #[test]
    fn chunks_are_checked() {
        let mut bytes = 2_u64.to_be_bytes().to_vec();
        bytes.extend(b"{}meta");
        let sum = hex(&Sha256::digest(b"{}meta"));
        let payload = unpack("l", &bytes, &sum).unwrap();
        assert_eq!(payload.meta, b"meta");
        bytes[9] = b'x';
        assert!(unpack("l", &bytes, &sum).is_err());
        assert!(unpack("l", &u64::MAX.to_be_bytes(), &sum).is_err());
        assert!(unpack("l", b"", &sum).is_err());
    }
}
