//! Seeded writes to the source: loads into several tables, and DDL between them.

use anyhow::Result;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::world::World;

/// Writes one operation at a time; the same seed writes the same.
#[derive(Debug)]
pub struct Workload {
    rng: StdRng,
    next_id: u64,
    next_table: u32,
    next_column: u32,
    /// Tables made and dropped along the way.
    extra: Vec<String>,
    /// Run DDL as well.
    ddl: bool,
}

impl Workload {
    /// Makes the tables. DUPLICATE KEY tables show every row that was written twice.
    pub async fn start(world: &World, seed: u64, ddl: bool) -> Result<Self> {
        for sql in [
            "CREATE TABLE log_a (id BIGINT NOT NULL, v VARCHAR(64)) DUPLICATE KEY(id) \
             DISTRIBUTED BY HASH(id) BUCKETS 3 PROPERTIES (\"replication_num\" = \"1\")",
            "CREATE TABLE log_b (id BIGINT NOT NULL, v VARCHAR(64)) DUPLICATE KEY(id) \
             DISTRIBUTED BY RANDOM BUCKETS 2 PROPERTIES (\"replication_num\" = \"2\")",
            "CREATE TABLE totals (k INT NOT NULL, n BIGINT SUM, last BIGINT REPLACE) AGGREGATE KEY(k) \
             DISTRIBUTED BY HASH(k) BUCKETS 2 PROPERTIES (\"replication_num\" = \"1\")",
            "CREATE TABLE users (id BIGINT NOT NULL, day DATE NOT NULL, v VARCHAR(64)) UNIQUE KEY(id, day) \
             PARTITION BY RANGE(day) (PARTITION p1 VALUES [(\"2026-01-01\"), (\"2026-02-01\")), \
             PARTITION p2 VALUES [(\"2026-02-01\"), (\"2026-03-01\"))) DISTRIBUTED BY HASH(id) BUCKETS 2 \
             PROPERTIES (\"replication_num\" = \"1\", \"enable_unique_key_merge_on_write\" = \"true\")",
        ] {
            world.sql(sql).await?;
        }
        Ok(Self {
            rng: StdRng::seed_from_u64(seed),
            next_id: 1,
            next_table: 1,
            next_column: 1,
            extra: Vec::new(),
            ddl,
        })
    }

    /// One operation.
    pub async fn step(&mut self, world: &World) -> Result<()> {
        let sql = match self.rng.random_range(0..100) {
            0..=39 => self.insert_log("log_a"),
            40..=59 => self.insert_log("log_b"),
            60..=74 => {
                let k = self.rng.random_range(0..20);
                let id = self.id();
                format!("INSERT INTO totals VALUES ({k}, 1, {id})")
            }
            75..=89 => {
                let (id, month, v) = (
                    self.rng.random_range(0..50),
                    self.rng.random_range(1..=2),
                    self.id(),
                );
                format!("INSERT INTO users (id, day, v) VALUES ({id}, '2026-0{month}-07', 'v{v}')")
            }
            90..=91 => {
                let id = self.rng.random_range(0..50);
                format!("DELETE FROM users WHERE id = {id}")
            }
            _ if !self.ddl => self.insert_log("log_a"),
            choice => return self.change(world, choice).await,
        };
        world.sql(&sql).await
    }

    async fn change(&mut self, world: &World, choice: u32) -> Result<()> {
        match choice {
            92 | 93 => {
                let table = format!("extra_{}", self.next_table);
                self.next_table += 1;
                world
                    .sql(&format!(
                        "CREATE TABLE {table} (id BIGINT NOT NULL, v VARCHAR(64)) DUPLICATE KEY(id) \
                         DISTRIBUTED BY HASH(id) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\")"
                    ))
                    .await?;
                let insert = self.insert_log(&table);
                self.extra.push(table);
                world.sql(&insert).await
            }
            94 if !self.extra.is_empty() => {
                let at = self.rng.random_range(0..self.extra.len());
                let table = self.extra.swap_remove(at);
                world.sql(&format!("DROP TABLE {table} FORCE")).await
            }
            95 if !self.extra.is_empty() => {
                let at = self.rng.random_range(0..self.extra.len());
                let new = format!("renamed_{}", self.next_table);
                self.next_table += 1;
                world
                    .sql(&format!("ALTER TABLE {} RENAME {new}", self.extra[at]))
                    .await?;
                let insert = self.insert_log(&new);
                self.extra[at] = new;
                world.sql(&insert).await
            }
            96 if !self.extra.is_empty() => {
                let at = self.rng.random_range(0..self.extra.len());
                let table = self.extra[at].clone();
                world.sql(&format!("TRUNCATE TABLE {table}")).await?;
                let insert = self.insert_log(&table);
                world.sql(&insert).await
            }
            97 if self.next_column <= 12 => {
                let column = format!("c{}", self.next_column);
                self.next_column += 1;
                world
                    .sql(&format!(
                        "ALTER TABLE users ADD COLUMN {column} INT NULL DEFAULT \"{}\"",
                        self.next_column
                    ))
                    .await?;
                world
                    .sql(&format!(
                        "INSERT INTO users (id, day, v, {column}) VALUES ({}, '2026-01-07', 'x', 5)",
                        self.rng.random_range(0..50)
                    ))
                    .await
            }
            98 => {
                let month = self.rng.random_range(3..=9);
                world
                    .sql(&format!(
                        "ALTER TABLE users ADD PARTITION IF NOT EXISTS m{month} VALUES \
                         [(\"2026-{month:02}-01\"), (\"2026-{:02}-01\"))",
                        month + 1
                    ))
                    .await
            }
            // A table that is prepared aside and takes another's place before anybody can have fetched it.
            99 if self.rng.random_bool(0.5) => {
                let (stage, rest) = (
                    format!("stage_{}", self.next_table),
                    self.rng.random_range(0..5),
                );
                self.next_table += 1;
                for statement in [
                    format!("CREATE TABLE {stage} LIKE log_b"),
                    format!(
                        "INSERT OVERWRITE TABLE {stage} SELECT id, v FROM log_b WHERE id % 5 <> {rest}"
                    ),
                    format!(
                        "ALTER TABLE log_b REPLACE WITH TABLE {stage} PROPERTIES (\"swap\" = \"false\")"
                    ),
                ] {
                    world.sql(&statement).await?;
                }
                let insert = self.insert_log("log_b");
                world.sql(&insert).await
            }
            // Rows that came by way of temporary partitions: no statement repeats it.
            99 => {
                let rest = self.rng.random_range(0..5);
                world
                    .sql(&format!(
                        "INSERT OVERWRITE TABLE log_b SELECT id, v FROM log_b WHERE id % 5 <> {rest}"
                    ))
                    .await?;
                let insert = self.insert_log("log_b");
                world.sql(&insert).await
            }
            _ => {
                let insert = self.insert_log("log_b");
                world.sql(&insert).await
            }
        }
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn insert_log(&mut self, table: &str) -> String {
        let rows: Vec<String> = (0..self.rng.random_range(1..=4))
            .map(|_| {
                let id = self.id();
                format!("({id}, 'row {id}')")
            })
            .collect();
        format!("INSERT INTO {table} (id, v) VALUES {}", rows.join(", "))
    }
}
