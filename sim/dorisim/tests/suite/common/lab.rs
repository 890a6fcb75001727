//! A cluster with a database `d`, a MySQL session in it, and what the binlog of `d` said since it was last asked.

use std::time::Duration;

use dorisim::fe::{BinlogReply, StreamKey};
use dorisim::{SimCluster, SimConfig};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder, Row, Value};

/// Polls of a job that goes on every few milliseconds.
const PATIENCE: usize = 400;

/// See the module.
pub struct Lab {
    /// The cluster.
    pub sim: SimCluster,
    conn: Conn,
    seen: i64,
}

impl Lab {
    /// One backend, binlog on.
    pub async fn new(name: &str) -> Self {
        Self::with_backends(name, 1).await
    }

    /// Binlog on.
    pub async fn with_backends(name: &str, backends: usize) -> Self {
        let config = SimConfig {
            name: name.to_owned(),
            backends,
            ..SimConfig::default()
        };
        let sim = SimCluster::start(config).await.unwrap();
        let options = OptsBuilder::default()
            .ip_or_hostname("127.0.0.1")
            .tcp_port(sim.query_port())
            .user(Some("root"))
            .prefer_socket(false);
        let conn = Conn::new(options).await.unwrap();
        let mut lab = Self {
            sim,
            conn,
            seen: -1,
        };
        lab.sql("CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")")
            .await;
        lab.sql("USE d").await;
        lab
    }

    /// Runs a statement that has to succeed.
    pub async fn sql(&mut self, text: &str) {
        if let Err(error) = self.conn.query_drop(text).await {
            panic!("{text}: {error}");
        }
    }

    /// The refusal of a statement that has to fail.
    pub async fn refusal(&mut self, text: &str) -> String {
        match self.conn.query_drop(text).await {
            Err(mysql_async::Error::Server(error)) => error.message,
            other => panic!("{text}: {other:?}"),
        }
    }

    /// A statement is refused with a text.
    pub async fn refused(&mut self, statement: &str, text: &str) {
        let refusal = self.refusal(statement).await;
        assert!(refusal.contains(text), "{statement}: {refusal}");
    }

    /// Rows of a query, NULL as `NULL`.
    pub async fn rows(&mut self, text: &str) -> Vec<Vec<String>> {
        let rows: Vec<Row> = self
            .conn
            .query(text)
            .await
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        let cell = |value: Value| match value {
            Value::NULL => "NULL".to_owned(),
            Value::Bytes(bytes) => String::from_utf8(bytes).unwrap(),
            other => other.as_sql(true),
        };
        rows.into_iter()
            .map(|row| row.unwrap().into_iter().map(cell).collect())
            .collect()
    }

    /// One named column of all rows.
    pub async fn column(&mut self, text: &str, column: &str) -> Vec<String> {
        let rows: Vec<Row> = self
            .conn
            .query(text)
            .await
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        rows.iter()
            .map(|row| {
                row.get(column)
                    .unwrap_or_else(|| panic!("{text}: no column {column}"))
            })
            .collect()
    }

    /// SHOW CREATE TABLE.
    pub async fn shown(&mut self, table: &str) -> String {
        let mut rows = self.rows(&format!("SHOW CREATE TABLE {table}")).await;
        rows.remove(0).remove(1)
    }

    /// A property as SHOW CREATE TABLE prints it.
    pub async fn property(&mut self, table: &str, key: &str) -> Option<String> {
        let shown = self.shown(table).await;
        property_of(&shown, key)
    }

    /// Names of the partitions, in order.
    pub async fn partitions(&mut self, table: &str) -> Vec<String> {
        let mut names = self
            .column(&format!("SHOW PARTITIONS FROM {table}"), "PartitionName")
            .await;
        names.sort();
        names
    }

    /// Records of `d` that were not asked for before: type and content.
    pub fn records(&mut self) -> Vec<(i32, serde_json::Value)> {
        let key = StreamKey {
            db: "d".to_owned(),
            ..StreamKey::default()
        };
        let mut out = Vec::new();
        while let Ok(BinlogReply::Records(records)) =
            self.sim.frontend().get_binlog(&key, self.seen, 255)
        {
            for record in &records {
                self.seen = record.commit_seq;
                let data = record.data.as_deref().unwrap_or("null");
                out.push((record.kind, serde_json::from_str(data).unwrap()));
            }
        }
        out
    }

    /// Types of the records that were not asked for before.
    pub fn kinds(&mut self) -> Vec<i32> {
        self.records().into_iter().map(|(kind, _)| kind).collect()
    }

    /// The only record since it was last asked.
    pub fn record(&mut self) -> (i32, serde_json::Value) {
        let mut records = self.records();
        assert_eq!(records.len(), 1, "{records:?}");
        records.remove(0)
    }

    /// Runs a statement and answers its records' types.
    pub async fn kinds_of(&mut self, text: &str) -> Vec<i32> {
        self.records();
        self.sql(text).await;
        self.kinds()
    }

    /// Waits until the schema changes and rollups of a table are over.
    pub async fn settle(&mut self) {
        for _ in 0..PATIENCE {
            let mut states = Vec::new();
            for kind in ["COLUMN", "ROLLUP"] {
                states.extend(
                    self.column(&format!("SHOW ALTER TABLE {kind} FROM d"), "State")
                        .await,
                );
            }
            if states.iter().all(|s| s == "FINISHED" || s == "CANCELLED") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("a change of a table does not end");
    }

    /// ALTER TABLE t SET one property: the record is a MODIFY_TABLE_PROPERTY of exactly that, and the value is shown.
    pub async fn set_and_see(&mut self, table: &str, key: &str, value: &str) {
        self.records();
        self.sql(&format!(
            "ALTER TABLE {table} SET (\"{key}\" = \"{value}\")"
        ))
        .await;
        let (kind, data) = self.record();
        assert_eq!(kind, 9, "{data}");
        assert_eq!(data["properties"], serde_json::json!({key: value}));
        assert_eq!(data["tableName"], table);
        assert_eq!(
            data["sql"],
            format!("SET (\"{key}\" = \"{value}\" )"),
            "{data}"
        );
        assert_eq!(self.property(table, key).await.as_deref(), Some(value));
    }

    /// ALTER TABLE t SET is refused with a text, and nothing is journaled or changed.
    pub async fn set_refused(&mut self, table: &str, key: &str, value: &str, text: &str) {
        self.records();
        let before = self.shown(table).await;
        let refusal = self
            .refusal(&format!(
                "ALTER TABLE {table} SET (\"{key}\" = \"{value}\")"
            ))
            .await;
        assert!(refusal.contains(text), "{refusal}");
        assert_eq!(self.records(), Vec::new());
        assert_eq!(self.shown(table).await, before);
    }

    /// CREATE TABLE with these properties is refused with a text.
    pub async fn create_refused(&mut self, create: &str, properties: &str, text: &str) {
        let refusal = self
            .refusal(&format!("{create} PROPERTIES ({properties})"))
            .await;
        assert!(refusal.contains(text), "{refusal}");
    }
}

/// A property in the text of SHOW CREATE TABLE.
pub fn property_of(shown: &str, key: &str) -> Option<String> {
    let head = format!("\"{key}\" = \"");
    let at = shown.find(&head)? + head.len();
    Some(shown[at..].split('"').next().unwrap().to_owned())
}
