//! Databases down to replicas. Every id comes from one generator of the cluster.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Cell, DataType, Distribution, IndexFormat, IndexKind, PartitionItem, PartitionKind,
    TableSchema, TabletIndex, TabletIndexes, Tracked,
};

/// Properties in the order they were given last.
pub type Properties = BTreeMap<String, String>;

/// Year 9999: a cool-down time that never comes, in epoch milliseconds.
pub const NEVER_MS: i64 = 253_402_271_999_000;

fn never() -> i64 {
    NEVER_MS
}

/// All databases of a cluster.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Catalog {
    /// By id.
    pub databases: Tracked<i64, Database>,
}

impl Catalog {
    /// Database by name (case matters).
    #[must_use]
    pub fn database(&self, name: &str) -> Option<&Database> {
        self.databases.values().find(|d| d.name == name)
    }

    /// Database by name, to change it.
    pub fn database_mut(&mut self, name: &str) -> Option<&mut Database> {
        self.databases.find_mut(|d| d.name == name)
    }

    /// Table by names.
    #[must_use]
    pub fn table(&self, db: &str, table: &str) -> Option<&OlapTable> {
        self.database(db)?.table(table)
    }
}

/// A database.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Database {
    /// Id.
    pub id: i64,
    /// Name.
    pub name: String,
    /// `binlog.*` and others.
    pub properties: Properties,
    /// OLAP tables by id.
    pub tables: Tracked<i64, OlapTable>,
    /// Views by id.
    pub views: BTreeMap<i64, View>,
    /// CREATE FUNCTION statements by signature, such as `f(int, text)`.
    #[serde(default)]
    pub functions: BTreeMap<String, String>,
}

impl Database {
    /// Table by name.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&OlapTable> {
        self.tables.values().find(|t| t.name == name)
    }

    /// Table by name, to change it.
    pub fn table_mut(&mut self, name: &str) -> Option<&mut OlapTable> {
        self.tables.find_mut(|t| t.name == name)
    }

    /// View by name.
    #[must_use]
    pub fn view(&self, name: &str) -> Option<&View> {
        self.views.values().find(|v| v.name == name)
    }

    /// True when a table or view has the name.
    #[must_use]
    pub fn has_name(&self, name: &str) -> bool {
        self.table(name).is_some() || self.view(name).is_some()
    }

    /// True when the switch `binlog.enable` of the database is on.
    #[must_use]
    pub fn binlog_enabled(&self) -> bool {
        self.properties
            .get("binlog.enable")
            .is_some_and(|v| v.eq_ignore_ascii_case("true"))
    }
}

/// A view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Id.
    pub id: i64,
    /// Name.
    pub name: String,
    /// The select text, with tables qualified.
    pub definition: String,
    /// Declared columns (name, comment); empty when none were declared.
    pub columns: Vec<(String, String)>,
    /// Comment, may be empty.
    pub comment: String,
}

/// What a table lets happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableState {
    /// Everything.
    Normal,
    /// A restore writes into it; loads are refused.
    Restore,
    /// A schema change runs.
    SchemaChange,
    /// A rollup is being built.
    Rollup,
}

impl TableState {
    /// The FE's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL",
            Self::Restore => "RESTORE",
            Self::SchemaChange => "SCHEMA_CHANGE",
            Self::Rollup => "ROLLUP",
        }
    }
}

/// What an index is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum IndexState {
    /// Readers and writers use it.
    #[default]
    Normal,
    /// A running job builds it: writers fill it, readers and backups pass over it.
    Shadow,
}

/// The table-level description of one index (base or rollup).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexMeta {
    /// Index id, shared by all partitions.
    pub id: i64,
    /// Name; the base index is named like the table.
    pub name: String,
    /// Names the schema in paths of the backends.
    pub schema_hash: i32,
    /// Column names of a rollup; empty means all columns of the base.
    pub columns: Vec<String>,
    /// Columns of a rollup or of an index that is being built; unset for the base index, whose columns are the table's.
    #[serde(default)]
    pub schema: Option<TableSchema>,
    /// Finished, or being built.
    #[serde(default)]
    pub state: IndexState,
    /// The statement that made a materialized view.
    #[serde(default)]
    pub define: Option<String>,
    /// Condition of a materialized view: rows that do not meet it are not in it.
    #[serde(default)]
    pub filter: Option<String>,
}

/// A secondary index (inverted, bloom filter of n-grams, ...), metadata only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondaryIndex {
    /// Id.
    pub id: i64,
    /// Name.
    pub name: String,
    /// Columns.
    pub columns: Vec<String>,
    /// INVERTED, BITMAP, NGRAM_BF, ...
    pub kind: String,
    /// Properties.
    pub properties: Properties,
    /// Comment.
    pub comment: String,
}

/// A table with data.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OlapTable {
    /// Id.
    pub id: i64,
    /// Name.
    pub name: String,
    /// Columns and key model of the base index.
    pub schema: TableSchema,
    /// Kind and columns of partitioning.
    pub partition_kind: PartitionKind,
    /// Expression text of an auto partition clause (`AUTO PARTITION BY ...`), if any.
    pub auto_partition: Option<String>,
    /// Distribution of partitions to come.
    pub distribution: Distribution,
    /// Table properties as shown, without the replica allocation.
    pub properties: Properties,
    /// Replicas per tablet of partitions to come.
    pub replication_num: u32,
    /// Comment, may be empty.
    pub comment: String,
    /// Partitions by id, temporary ones included.
    pub partitions: Tracked<i64, Partition>,
    /// Base index first, then rollups.
    pub indexes: Vec<IndexMeta>,
    /// Secondary indexes.
    pub secondary: Vec<SecondaryIndex>,
    /// State.
    pub state: TableState,
    /// The largest column unique id ever used.
    pub max_column_unique_id: i32,
    /// Next value of the AUTO_INCREMENT column.
    pub auto_inc_next: i64,
    /// Grows with every load and with every change of the set of partitions that have data; 1 at first.
    #[serde(default = "first_version")]
    pub visible_version: i64,
    /// Epoch milliseconds of that version.
    #[serde(default)]
    pub visible_version_time: i64,
}

fn first_version() -> i64 {
    1
}

impl OlapTable {
    /// Gives the table another name; its base index and its single partition are named like it.
    pub fn rename(&mut self, new: &str) {
        new.clone_into(&mut self.name);
        if let Some(base) = self.indexes.first_mut() {
            new.clone_into(&mut base.name);
        }
        for partition in self.partitions.values_mut() {
            if partition.item == PartitionItem::All && !partition.is_temp {
                new.clone_into(&mut partition.name);
            }
        }
    }

    /// The table without its partitions: cheap to copy and to change tentatively.
    #[must_use]
    pub fn clone_shape(&self) -> Self {
        Self {
            id: self.id,
            name: self.name.clone(),
            schema: self.schema.clone(),
            partition_kind: self.partition_kind.clone(),
            auto_partition: self.auto_partition.clone(),
            distribution: self.distribution.clone(),
            properties: self.properties.clone(),
            replication_num: self.replication_num,
            comment: self.comment.clone(),
            partitions: Tracked::new(),
            indexes: self.indexes.clone(),
            secondary: self.secondary.clone(),
            state: self.state,
            max_column_unique_id: self.max_column_unique_id,
            auto_inc_next: self.auto_inc_next,
            visible_version: self.visible_version,
            visible_version_time: self.visible_version_time,
        }
    }

    /// The next version; returns it with its time.
    pub fn next_version(&mut self, now: i64) -> (i64, i64) {
        self.visible_version += 1;
        self.visible_version_time = now;
        (self.visible_version, now)
    }

    /// The base index.
    #[must_use]
    pub fn base_index_id(&self) -> i64 {
        self.indexes.first().map_or(-1, |i| i.id)
    }

    /// Columns of one of the indexes; the base's for unknown ids.
    #[must_use]
    pub fn index_schema(&self, index_id: i64) -> &TableSchema {
        self.indexes
            .iter()
            .find(|i| i.id == index_id)
            .and_then(|i| i.schema.as_ref())
            .unwrap_or(&self.schema)
    }

    /// Tells the base index's schema which secondary indexes there are. Rollups have none.
    pub fn refresh_indexes(&mut self) {
        let property = self.properties.get("inverted_index_storage_format");
        let columns = |names: &[String]| {
            let found = names.iter().filter_map(|name| self.schema.column(name));
            found.map(|column| column.unique_id).collect()
        };
        let list = self
            .secondary
            .iter()
            .filter_map(|index| {
                Some(TabletIndex {
                    id: index.id,
                    name: index.name.clone(),
                    kind: IndexKind::parse(&index.kind)?,
                    columns: columns(&index.columns),
                    properties: index.properties.clone(),
                })
            })
            .collect();
        self.schema.indexes = TabletIndexes {
            format: IndexFormat::parse(property.map(String::as_str)),
            list,
        };
    }

    /// Forgets indexes that are being built: what a backup sees of the table.
    pub fn drop_shadows(&mut self) {
        let shadows: Vec<i64> = self
            .indexes
            .iter()
            .filter(|i| i.state == IndexState::Shadow)
            .map(|i| i.id)
            .collect();
        self.indexes.retain(|i| !shadows.contains(&i.id));
        for partition in self.partitions.values_mut() {
            partition.indexes.retain(|i| !shadows.contains(&i.id));
        }
    }

    /// True while a job builds the index.
    #[must_use]
    pub fn is_shadow(&self, index_id: i64) -> bool {
        self.indexes
            .iter()
            .any(|i| i.id == index_id && i.state == IndexState::Shadow)
    }

    /// Types of the partition columns.
    #[must_use]
    pub fn partition_types(&self) -> Vec<DataType> {
        self.partition_kind
            .columns()
            .iter()
            .filter_map(|name| self.schema.column(name).map(|c| c.data_type.clone()))
            .collect()
    }

    /// Positions of the partition columns in a full row.
    #[must_use]
    pub fn partition_positions(&self) -> Vec<usize> {
        self.partition_kind
            .columns()
            .iter()
            .filter_map(|name| self.schema.position(name))
            .collect()
    }

    /// Range text of a partition of this table.
    #[must_use]
    pub fn range_text(&self, partition: &Partition) -> String {
        partition.item.range_text(&self.partition_types())
    }

    /// Partition by name among the normal or the temporary ones.
    #[must_use]
    pub fn partition(&self, name: &str, temp: bool) -> Option<&Partition> {
        self.partitions
            .values()
            .find(|p| p.is_temp == temp && p.name.eq_ignore_ascii_case(name))
    }

    /// The partition (not temporary) that takes a row with these partition values.
    #[must_use]
    pub fn partition_of(&self, key: &[Cell], types: &[DataType]) -> Option<&Partition> {
        let normal = || self.partitions.values().filter(|p| !p.is_temp);
        normal()
            .find(|p| p.item != PartitionItem::ListDefault && p.item.contains(key, types))
            .or_else(|| normal().find(|p| p.item == PartitionItem::ListDefault))
    }

    /// A boolean property.
    #[must_use]
    pub fn is_set(&self, property: &str) -> bool {
        self.properties
            .get(property)
            .is_some_and(|v| v.eq_ignore_ascii_case("true"))
    }

    /// True when the table's own switch `binlog.enable` is on.
    #[must_use]
    pub fn binlog_enabled(&self) -> bool {
        self.is_set("binlog.enable")
    }
}

/// A partition with its tablets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Partition {
    /// Id.
    pub id: i64,
    /// Name.
    pub name: String,
    /// What it holds.
    pub item: PartitionItem,
    /// Temporary partition.
    pub is_temp: bool,
    /// Version that reads see; a fresh partition has 1.
    pub visible_version: i64,
    /// Epoch milliseconds of that version.
    pub visible_version_time: i64,
    /// The version after the newest committed one.
    pub next_version: i64,
    /// Distribution of this partition.
    pub distribution: Distribution,
    /// Replicas per tablet.
    pub replication_num: u32,
    /// `HDD` or `SSD`.
    pub storage_medium: String,
    /// When a partition on SSD moves to HDD, epoch milliseconds.
    #[serde(default = "never")]
    pub cooldown_ms: i64,
    /// Name of its storage policy, may be empty.
    #[serde(default)]
    pub storage_policy: String,
    /// In the order of the table's indexes.
    pub indexes: Vec<MaterializedIndex>,
}

impl Partition {
    /// All tablets of all indexes.
    pub fn tablets(&self) -> impl Iterator<Item = &Tablet> {
        self.indexes.iter().flat_map(|i| i.tablets.iter())
    }

    /// All tablets of all indexes, to change them.
    pub fn tablets_mut(&mut self) -> impl Iterator<Item = &mut Tablet> {
        self.indexes.iter_mut().flat_map(|i| i.tablets.iter_mut())
    }
}

/// The tablets of one index in one partition.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MaterializedIndex {
    /// Index id.
    pub id: i64,
    /// In bucket order.
    pub tablets: Vec<Tablet>,
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tablet {
    /// Id.
    pub id: i64,
    /// Copies.
    pub replicas: Vec<Replica>,
}

/// One copy of a tablet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// Id.
    pub id: i64,
    /// Backend that holds it.
    pub backend_id: i64,
    /// Last good version as the FE knows it.
    pub version: i64,
    /// Not to be read: its backend lost it or says that it is broken.
    #[serde(default)]
    pub bad: bool,
}
