//! Every topic name and record key. The only place where they are built.
//!
//! A name is `ccr.<source>.<database>.<kind>`. Source and database are escaped to Kafka's alphabet `[a-zA-Z0-9_-]`: any
//! other byte becomes `_xHH`, and so does the underscore of a literal `_x`, so that escaping can be undone and two
//! databases never share a topic. Real names travel in records.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{Incarnation, TableId};

/// Longest topic name that Kafka takes.
pub const MAX_TOPIC_LEN: usize = 249;

/// A topic name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TopicName(pub String);

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TopicName {
    /// The events of one source database, in commit order. One partition, kept by time.
    pub fn events(prefix: &str, source: &str, database: &str) -> Self {
        Self::of_database(prefix, source, database, "events")
    }

    /// Chunks of snapshot job info and meta. One partition, kept by time.
    pub fn snapshots(prefix: &str, source: &str, database: &str) -> Self {
        Self::of_database(prefix, source, database, "snapshots")
    }

    /// The producer's catalogue checkpoint. Compacted.
    pub fn catalog(prefix: &str, source: &str, database: &str) -> Self {
        Self::of_database(prefix, source, database, "catalog.internal")
    }

    /// Requests to the producer. One partition, kept by time.
    pub fn control(prefix: &str, source: &str, database: &str) -> Self {
        Self::of_database(prefix, source, database, "control")
    }

    /// Job definitions with their wanted state. Compacted, keyed by job name.
    pub fn jobs(prefix: &str) -> Self {
        Self(format!("{prefix}.jobs"))
    }

    /// Last status of each job and stream. Compacted.
    pub fn status(prefix: &str) -> Self {
        Self(format!("{prefix}.status"))
    }

    /// Facts that belong to the installation and outlast its jobs. Compacted.
    pub fn installation(prefix: &str) -> Self {
        Self(format!("{prefix}.installation"))
    }

    fn of_database(prefix: &str, source: &str, database: &str, kind: &str) -> Self {
        Self(format!(
            "{prefix}.{}.{}.{kind}",
            escape(source),
            escape(database)
        ))
    }

    /// True when Kafka accepts the name's length.
    pub fn fits(&self) -> bool {
        self.0.len() <= MAX_TOPIC_LEN
    }
}

/// Returns the consumer group of one incarnation of a job.
pub fn consumer_group(prefix: &str, job: &str, incarnation: &Incarnation) -> String {
    format!("{prefix}.apply.{}.{}", escape(job), escape(&incarnation.0))
}

/// Consumer group by which producers share the databases of a source.
pub fn producer_group(prefix: &str, source: &str, database: &str) -> String {
    format!("{prefix}.produce.{}.{}", escape(source), escape(database))
}

/// Consumer group under whose name topics are read without joining it.
pub fn reader_group(prefix: &str) -> String {
    format!("{prefix}.reader")
}

/// Record key of an event: its ordering unit.
pub fn event_key(table: Option<TableId>) -> String {
    match table {
        Some(id) => format!("table:{id}"),
        None => "db".to_owned(),
    }
}

/// Escapes a name to Kafka's alphabet, see the module doc.
pub fn escape(name: &str) -> String {
    let bytes = name.as_bytes();
    let mut out = String::with_capacity(name.len());
    for (i, &b) in bytes.iter().enumerate() {
        let starts_escape = b == b'_' && bytes.get(i + 1) == Some(&b'x');
        if (b.is_ascii_alphanumeric() || b == b'-' || b == b'_') && !starts_escape {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("_x{b:02x}"));
        }
    }
    out
}

/// Undoes [`escape`]; `None` when the text was not made by it.
pub fn unescape(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] == b'_' && bytes.get(i + 1) == Some(&b'x') {
            let hex = text.get(i + 2..i + 4)?;
            out.push(u8::from_str_radix(hex, 16).ok()?);
            i += 4;
        } else {
            out.push(bytes[i]);
            i += 1;
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_never_share_a_topic() {
        for name in [
            "sales", "a.b", "a_b", "a_x2eb", "日本", "", "_x", "x_", "A b",
        ] {
            assert_eq!(unescape(&escape(name)).as_deref(), Some(name), "{name}");
        }
        assert_ne!(escape("a.b"), escape("a_x2eb"));
    }
}
