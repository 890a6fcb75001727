//! What is read from a snapshot's job info. Shape as read in Doris master, January 2026.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use ccr_schemas::event::{SnapshotTable, TableRef};
use ccr_schemas::{BackendId, CommitSeq, TableId};
use serde::Deserialize;

/// Largest job info after decompression: a bound against damaged input, far above 300 000 tablets.
const MAX_BYTES: u64 = 1 << 30;

/// Job info of a backup.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct JobInfo {
    #[serde(default)]
    backup_objects: BTreeMap<String, BackupTable>,
    #[serde(default)]
    new_backup_objects: NewObjects,
    #[serde(default)]
    table_commit_seq_map: BTreeMap<TableId, CommitSeq>,
    #[serde(default)]
    tablet_be_map: BTreeMap<String, BackendId>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct BackupTable {
    id: TableId,
    #[serde(default)]
    partitions: BTreeMap<String, serde::de::IgnoredAny>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct NewObjects {
    #[serde(default)]
    views: Vec<BackupView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct BackupView {
    id: TableId,
    name: String,
}

impl JobInfo {
    /// Reads.
    ///
    /// # Errors
    /// Why the bytes are no job info.
    pub fn read(bytes: &[u8], compressed: bool) -> Result<Self, String> {
        if !compressed {
            return serde_json::from_slice(bytes).map_err(|error| error.to_string());
        }
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(bytes)
            .take(MAX_BYTES)
            .read_to_end(&mut plain)
            .map_err(|error| format!("not gzip: {error}"))?;
        serde_json::from_slice(&plain).map_err(|error| error.to_string())
    }

    /// Position of the database: as the source gave it, else (old releases) the lowest of its tables.
    pub fn commit_seq(&self, said: Option<CommitSeq>) -> Option<CommitSeq> {
        said.or_else(|| self.table_commit_seq_map.values().min().copied())
    }

    /// Tables with their positions. A table without one of its own has the database's.
    pub fn tables(&self, database: CommitSeq) -> Vec<SnapshotTable> {
        self.backup_objects
            .iter()
            .map(|(name, object)| SnapshotTable {
                table: TableRef {
                    id: object.id,
                    name: name.clone(),
                },
                commit_seq: self
                    .table_commit_seq_map
                    .get(&object.id)
                    .copied()
                    .unwrap_or(database),
                partitions: object.partitions.keys().cloned().collect(),
            })
            .collect()
    }

    /// Views.
    pub fn views(&self) -> Vec<TableRef> {
        self.new_backup_objects
            .views
            .iter()
            .map(|view| TableRef {
                id: view.id,
                name: view.name.clone(),
            })
            .collect()
    }

    /// Backends that hold files.
    pub fn backends(&self) -> BTreeSet<BackendId> {
        self.tablet_be_map.values().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const TEXT: &str = r#"{"name":"l","database":"shop","id":10100,
        "backup_objects":{"orders":{"id":10110,"partitions":{"p202601":{"id":10109,"version":17,"indexes":{}}}},
                          "other":{"id":10111,"partitions":{}}},
        "new_backup_objects":{"views":[{"id":10130,"name":"v_orders"}],"odbc_tables":[]},
        "tablet_be_map":{"10112":10002,"10114":10003,"10116":10002},
        "table_commit_seq_map":{"10110":48211},"extra":{"a":1}}"#;

    fn shown(info: &JobInfo) -> String {
        let tables: Vec<String> = info
            .tables(CommitSeq(50000))
            .iter()
            .map(|t| format!("{}@{}{:?}", t.table.name, t.commit_seq, t.partitions))
            .collect();
        format!("{} {:?}", tables.join(" "), info.backends())
    }

    #[test]
    fn tables_views_and_backends_are_read_plain_and_compressed() {
        let expected =
            r#"orders@48211["p202601"] other@50000[] {BackendId(10002), BackendId(10003)}"#;
        let info = JobInfo::read(TEXT.as_bytes(), false).unwrap();
        assert_eq!(shown(&info), expected);
        assert_eq!(info.views()[0].name, "v_orders");
        assert_eq!(info.commit_seq(None), Some(CommitSeq(48211)));
        assert_eq!(info.commit_seq(Some(CommitSeq(7))), Some(CommitSeq(7)));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(TEXT.as_bytes()).unwrap();
        let info = JobInfo::read(&gzip.finish().unwrap(), true).unwrap();
        assert_eq!(shown(&info), expected);
    }

    #[test]
    fn what_is_no_job_info_is_an_error() {
        assert!(JobInfo::read(b"{", false).is_err());
        assert!(JobInfo::read(b"{}", true).unwrap_err().contains("gzip"));
        assert!(JobInfo::read(br#"{"backup_objects":{"t":{}}}"#, false).is_err());
    }
}
