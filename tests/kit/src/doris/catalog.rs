//! Tables, partitions, indexes, tablets and what a tablet holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What one load wrote into one tablet, named by the tablet it was written to first, and the version it got there. A copy at
/// another cluster keeps the name: so two tablets hold the same rows when their lists are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rowset {
    /// Tablet of the first write.
    pub tablet: i64,
    /// Version that the write made there.
    pub version: i64,
}

/// A copy of a tablet on a backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// Id.
    pub id: i64,
    /// Backend.
    pub backend: i64,
    /// Last version that it has.
    pub version: i64,
}

/// A tablet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tablet {
    /// Id.
    pub id: i64,
    /// Copies.
    pub replicas: Vec<Replica>,
    /// Content, in the order of the commits.
    pub rowsets: Vec<Rowset>,
}

/// A partition; the only one of an unpartitioned table has no range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Id.
    pub id: i64,
    /// Name.
    pub name: String,
    /// Lower (inclusive) and upper (exclusive) end.
    pub range: Option<(i64, i64)>,
    /// Temporary.
    pub temp: bool,
    /// Visible version.
    pub visible: i64,
    /// Version of the next commit.
    pub next: i64,
    /// Tablets of each index, in bucket order.
    pub tablets: BTreeMap<i64, Vec<Tablet>>,
}

/// A materialized index: the base index, a rollup, or one that a job still builds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Id.
    pub id: i64,
    /// Name; the base index bears the table's.
    pub name: String,
    /// Not visible yet.
    pub shadow: bool,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Type as text.
    pub kind: String,
    /// Key column.
    pub key: bool,
    /// Unique id: files name the column by it.
    pub uid: i64,
}

/// A secondary index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secondary {
    /// Id: files of inverted indexes name the index by it.
    pub id: i64,
    /// Name.
    pub name: String,
    /// Column.
    pub column: String,
}

/// What may be done to a table now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableState {
    /// Everything.
    Normal,
    /// A job changes its shape: loads only.
    Altering(i64),
    /// A restore fills it: nothing.
    Restoring(i64),
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Id.
    pub id: i64,
    /// Name.
    pub name: String,
    /// Columns in order.
    pub columns: Vec<Column>,
    /// Unique id of the next column.
    pub next_uid: i64,
    /// Partitioned by a range of its first column.
    pub partitioned: bool,
    /// Partitions, temporary ones too.
    pub partitions: BTreeMap<i64, Partition>,
    /// Id of the base index.
    pub base: i64,
    /// Indexes, the base index first.
    pub indexes: Vec<Index>,
    /// Secondary indexes.
    pub secondary: Vec<Secondary>,
    /// Buckets of future partitions.
    pub buckets: usize,
    /// Replicas of each tablet.
    pub replicas: usize,
    /// Comment.
    pub comment: String,
    /// Other properties.
    pub properties: BTreeMap<String, String>,
    /// State.
    pub state: TableState,
}

/// A view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Id.
    pub id: i64,
    /// Name.
    pub name: String,
    /// Its query.
    pub select: String,
    /// Comment.
    pub comment: String,
}

impl Partition {
    /// The text by which two clusters match partitions.
    pub fn range_text(&self) -> String {
        match self.range {
            None => String::new(),
            Some((low, high)) => {
                format!("[types: [INT]; keys: [{low}]; ..types: [INT]; keys: [{high}]; )")
            }
        }
    }

    /// All tablets of all indexes.
    pub fn all_tablets(&self) -> impl Iterator<Item = &Tablet> {
        self.tablets.values().flatten()
    }

    /// A tablet by id.
    pub fn tablet_mut(&mut self, id: i64) -> Option<&mut Tablet> {
        self.tablets
            .values_mut()
            .flatten()
            .find(|tablet| tablet.id == id)
    }

    /// Number of buckets.
    pub fn buckets(&self) -> usize {
        self.tablets.values().next().map_or(0, Vec::len)
    }
}

impl Table {
    /// A partition by name.
    pub fn partition_named(&self, name: &str, temp: bool) -> Option<&Partition> {
        self.partitions
            .values()
            .find(|p| p.name == name && p.temp == temp)
    }

    /// An index that users see, by name.
    pub fn index_named(&self, name: &str) -> Option<&Index> {
        self.indexes.iter().find(|i| i.name == name && !i.shadow)
    }

    /// Partitions that users see, in the order of their ranges.
    pub fn ordinary_partitions(&self) -> Vec<&Partition> {
        let mut found: Vec<&Partition> = self.partitions.values().filter(|p| !p.temp).collect();
        found.sort_by_key(|p| (p.range, p.id));
        found
    }

    /// Ids of all tablets.
    pub fn tablet_ids(&self) -> Vec<i64> {
        self.partitions
            .values()
            .flat_map(Partition::all_tablets)
            .map(|tablet| tablet.id)
            .collect()
    }

    /// Gives the table and its base index another name.
    pub fn rename(&mut self, name: &str) {
        name.clone_into(&mut self.name);
        if let Some(base) = self.indexes.iter_mut().find(|i| i.id == self.base) {
            name.clone_into(&mut base.name);
        }
        if !self.partitioned {
            for partition in self.partitions.values_mut().filter(|p| !p.temp) {
                name.clone_into(&mut partition.name);
            }
        }
    }

    /// What a restore compares before it writes over a table of the same name.
    pub fn signature(&self) -> String {
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|c| format!("{} {} {}", c.name, c.kind, c.key))
            .collect();
        let indexes: Vec<&str> = self
            .indexes
            .iter()
            .filter(|i| !i.shadow)
            .map(|i| i.name.as_str())
            .collect();
        let secondary: Vec<String> = self
            .secondary
            .iter()
            .map(|s| format!("{} {}", s.name, s.column))
            .collect();
        format!(
            "{} [{}] [{}] [{}] {}",
            self.name,
            columns.join(","),
            indexes.join(","),
            secondary.join(","),
            self.partitioned
        )
    }
}
