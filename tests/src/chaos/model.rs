//! What the source holds, as the statements so far have made it. Pure: no I/O, no clock.

/// Which kind of table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// DUPLICATE KEY: every row that was written twice shows.
    Log,
    /// As [`Shape::Log`], in random buckets.
    Random,
    /// As [`Shape::Log`], with an inverted index from the start: no statement repeats such a table.
    Words,
    /// AGGREGATE KEY.
    Sums,
    /// UNIQUE KEY, merge-on-write, with a partition per month.
    Days,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Log, Self::Random, Self::Words, Self::Sums, Self::Days];

    /// Tables of the two shapes take the same rows.
    pub fn has_rows_of(self, other: Self) -> bool {
        let plain = |shape| match shape {
            Self::Log | Self::Random | Self::Words => 0,
            Self::Sums => 1,
            Self::Days => 2,
        };
        plain(self) == plain(other)
    }

    /// Keeps every row as it was written.
    pub fn keeps_rows(self) -> bool {
        self.has_rows_of(Self::Log)
    }
}

/// A rollup or a synchronous materialized view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rollup {
    /// `ADD ROLLUP`.
    Plain(String),
    /// `CREATE MATERIALIZED VIEW`.
    View(String),
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Name now.
    pub name: String,
    /// Kind.
    pub shape: Shape,
    /// Columns that were added, INT.
    pub columns: Vec<String>,
    /// Column `v` was made a STRING.
    pub wide: bool,
    /// Months with a partition and its name ([`Shape::Days`] only).
    pub partitions: Vec<(u32, String)>,
    /// Rollups.
    pub rollups: Vec<Rollup>,
    /// Inverted indexes that were added.
    pub indexes: Vec<String>,
    /// A temporary partition, its month and its name.
    pub temporary: Option<(u32, String)>,
}

impl Table {
    /// A table as it is created.
    pub fn new(name: &str, shape: Shape) -> Self {
        let partitions = match shape {
            Shape::Days => vec![(1, "p1".to_owned()), (2, "p2".to_owned())],
            Shape::Log | Shape::Random | Shape::Words | Shape::Sums => Vec::new(),
        };
        Self {
            name: name.to_owned(),
            shape,
            columns: Vec::new(),
            wide: false,
            partitions,
            rollups: Vec::new(),
            indexes: Vec::new(),
            temporary: None,
        }
    }

    /// Nothing is attached that a change of columns or a copy would have to respect.
    pub fn is_plain(&self) -> bool {
        self.rollups.is_empty() && self.indexes.is_empty() && self.temporary.is_none()
    }

    /// CREATE TABLE.
    pub fn ddl(&self) -> String {
        let name = &self.name;
        let one = "PROPERTIES (\"replication_num\" = \"1\")";
        match self.shape {
            Shape::Log => format!(
                "CREATE TABLE {name} (id BIGINT NOT NULL, v VARCHAR(64)) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 2 {one}"
            ),
            Shape::Random => format!(
                "CREATE TABLE {name} (id BIGINT NOT NULL, v VARCHAR(64)) DUPLICATE KEY(id) DISTRIBUTED BY RANDOM BUCKETS 2 \
                 PROPERTIES (\"replication_num\" = \"2\")"
            ),
            Shape::Words => format!(
                "CREATE TABLE {name} (id BIGINT NOT NULL, v VARCHAR(64), INDEX words (v) USING INVERTED) DUPLICATE KEY(id) \
                 DISTRIBUTED BY HASH(id) BUCKETS 2 {one}"
            ),
            Shape::Sums => format!(
                "CREATE TABLE {name} (k INT NOT NULL, n BIGINT SUM, last BIGINT REPLACE) AGGREGATE KEY(k) \
                 DISTRIBUTED BY HASH(k) BUCKETS 2 {one}"
            ),
            Shape::Days => format!(
                "CREATE TABLE {name} (id BIGINT NOT NULL, day DATE NOT NULL, v VARCHAR(64)) UNIQUE KEY(id, day) \
                 PARTITION BY RANGE(day) (PARTITION p1 VALUES {}, PARTITION p2 VALUES {}) DISTRIBUTED BY HASH(id) BUCKETS 2 \
                 PROPERTIES (\"replication_num\" = \"1\", \"enable_unique_key_merge_on_write\" = \"true\")",
                month(1),
                month(2)
            ),
        }
    }

    /// Copies what `CREATE TABLE ... LIKE` copies.
    pub fn like(&self, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            rollups: Vec::new(),
            temporary: None,
            ..self.clone()
        }
    }
}

/// Bounds of a month's partition.
pub fn month(number: u32) -> String {
    format!(
        "[(\"2026-{number:02}-01\"), (\"2026-{:02}-01\"))",
        number + 1
    )
}

/// The database.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Tables, the four that stay first.
    pub tables: Vec<Table>,
    /// Views with the table they read.
    pub views: Vec<(String, String)>,
    next: u32,
}

/// Tables that are never dropped or renamed: there is always something to write to.
pub const LASTING: [(&str, Shape); 4] = [
    ("log_a", Shape::Log),
    ("log_b", Shape::Random),
    ("totals", Shape::Sums),
    ("users", Shape::Days),
];

/// Names that come again and again. The filter job of a run leaves the second five out.
const INSIDE: [&str; 5] = ["in_1", "in_2", "in_3", "in_4", "in_5"];
/// See `INSIDE`.
pub const OUTSIDE: [&str; 5] = ["out_1", "out_2", "out_3", "out_4", "out_5"];

impl Model {
    /// The database after its first statements.
    pub fn new() -> Self {
        let tables = LASTING.map(|(name, shape)| Table::new(name, shape));
        Self {
            tables: tables.into(),
            ..Self::default()
        }
    }

    /// Position of a table.
    pub fn at(&self, name: &str) -> Option<usize> {
        self.tables.iter().position(|table| table.name == name)
    }

    /// Names of a small set that no object has now: they come again and again, with other tables behind them.
    pub fn free_names(&self) -> Vec<&'static str> {
        INSIDE
            .into_iter()
            .chain(OUTSIDE)
            .filter(|name| self.at(name).is_none())
            .collect()
    }

    /// A name that was never used.
    pub fn fresh(&mut self, kind: &str) -> String {
        self.next += 1;
        format!("{kind}_{}", self.next)
    }

    /// A number that was never used.
    pub fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }
}
