//! Jobs of a run.

use ccr_control::JobSpec;
use serde_json::json;

/// First part of topic names.
pub const PREFIX: &str = "ccr";
/// Name of the source in topic names, and of its cluster.
pub const SOURCE: &str = "source";
/// The database that is replicated.
pub const DATABASE: &str = "shop";
/// The key that all processes share. Its bytes mean nothing.
pub const LOG_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// What a job follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The whole database.
    Database,
    /// These tables only.
    Filter(Vec<String>),
    /// One table, under another name.
    Table {
        /// Name at the source.
        from: String,
        /// Name at the destination.
        to: String,
    },
}

/// A job of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Name.
    pub name: String,
    /// Cluster it writes to.
    pub cluster: String,
    /// Database that it writes to.
    pub database: String,
    /// What it follows.
    pub kind: Kind,
}

impl Job {
    /// The name of a source table at the destination; `None` when the job does not follow it.
    pub fn dest_name<'a>(&'a self, source: &'a str) -> Option<&'a str> {
        match &self.kind {
            Kind::Database => Some(source),
            Kind::Filter(tables) => tables.iter().any(|t| t == source).then_some(source),
            Kind::Table { from, to } => (from == source).then_some(to.as_str()),
        }
    }

    /// The definition, made from JSON: members that are added later have their defaults.
    ///
    /// # Panics
    /// When the definition has a new member without a default.
    pub fn spec(&self, sealed_password: &str, created_at_ms: i64) -> JobSpec {
        let cluster = |host: &str| {
            json!({
                "frontends": [[host, 9030, 9020]], "user": "root", "sealed_password": sealed_password, "host_mapping": {},
            })
        };
        let (include, names) = match &self.kind {
            Kind::Database => (json!([]), json!({})),
            Kind::Filter(tables) => (json!(tables), json!({})),
            Kind::Table { from, to } => (json!([from]), json!({ from.as_str(): to })),
        };
        let spec = json!({
            "name": self.name, "incarnation": "1", "version": 1, "wanted": "running",
            "source": {"cluster_name": SOURCE, "cluster": cluster(SOURCE), "database": DATABASE, "host_mapping": {}},
            "dest": {"cluster": cluster(&self.cluster), "database": self.database, "table_names": names},
            "tables": {"include": include, "exclude": []},
            "options": {}, "created_at_ms": created_at_ms,
        });
        serde_json::from_value(spec).expect("the definition has what a job needs")
    }
}
