//! Secondary indexes as a tablet knows them: what has files beside the segments, and in which format.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `inverted_index_storage_format` of a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexFormat {
    /// One file per segment and index.
    V1,
    /// One file per segment with all indexes.
    V2,
    /// Files as in V2; what a new table has.
    #[default]
    V3,
}

impl IndexFormat {
    /// Reads the value of the table property; unknown and missing ones are the default.
    #[must_use]
    pub fn parse(text: Option<&str>) -> Self {
        match text.map(str::to_ascii_uppercase).as_deref() {
            Some("V1") => Self::V1,
            Some("V2") => Self::V2,
            Some(_) | None => Self::V3,
        }
    }
}

/// Kind of a secondary index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexKind {
    /// BITMAP
    Bitmap,
    /// INVERTED
    Inverted,
    /// BLOOMFILTER
    BloomFilter,
    /// NGRAM_BF
    NgramBf,
    /// ANN
    Ann,
}

impl IndexKind {
    /// Reads the spelling of `USING <kind>`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_uppercase().as_str() {
            "BITMAP" => Self::Bitmap,
            "INVERTED" => Self::Inverted,
            "BLOOMFILTER" | "BLOOM_FILTER" => Self::BloomFilter,
            "NGRAM_BF" => Self::NgramBf,
            "ANN" => Self::Ann,
            _ => return None,
        })
    }

    /// True for kinds that have files of their own; the others live inside the segments.
    #[must_use]
    pub fn has_files(self) -> bool {
        match self {
            Self::Inverted | Self::Ann => true,
            Self::Bitmap | Self::BloomFilter | Self::NgramBf => false,
        }
    }
}

/// One secondary index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TabletIndex {
    /// Id.
    pub id: i64,
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: IndexKind,
    /// Unique ids of its columns.
    pub columns: Vec<i32>,
    /// Properties, e.g. `parser`.
    pub properties: BTreeMap<String, String>,
}

/// The secondary indexes of a tablet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TabletIndexes {
    /// Which files there are.
    pub format: IndexFormat,
    /// The indexes.
    pub list: Vec<TabletIndex>,
}

impl TabletIndexes {
    /// The indexes that have files.
    pub fn with_files(&self) -> impl Iterator<Item = &TabletIndex> {
        self.list.iter().filter(|index| index.kind.has_files())
    }

    /// What `segment_index_id` asks for, in the order of [`TabletIndexes::file_names`]: the ids, or -1 for the one file of all.
    #[must_use]
    pub fn file_ids(&self) -> Vec<i64> {
        match self.format {
            IndexFormat::V1 => self.with_files().map(|index| index.id).collect(),
            IndexFormat::V2 | IndexFormat::V3 => {
                self.with_files().next().map(|_| -1).into_iter().collect()
            }
        }
    }

    /// Names of the index files of one segment.
    #[must_use]
    pub fn file_names(&self, rowset_id: &str, segment: u32) -> Vec<String> {
        match self.format {
            IndexFormat::V1 => self
                .with_files()
                .map(|index| format!("{rowset_id}_{segment}_{}.idx", index.id))
                .collect(),
            IndexFormat::V2 | IndexFormat::V3 => self
                .with_files()
                .next()
                .map(|_| format!("{rowset_id}_{segment}.idx"))
                .into_iter()
                .collect(),
        }
    }
}
