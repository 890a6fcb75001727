//! The body of `create_ccr`: what a person asks for, with passwords in the clear. It is never logged and never stored.

use std::collections::{BTreeMap, BTreeSet};

use ccr_doris::ClusterAddress;
use ccr_doris::cluster::FrontendAddress;
use ccr_ops::Secret;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::error::Error;
use crate::job::{JobOptions, TableFilter};

/// Values of `storage_medium`.
const MEDIUMS: [&str; 3] = ["same_with_upstream", "hdd", "ssd"];
/// Longest job name: it is part of topic names (249 characters in Kafka) and consumer groups; labels are cut and told apart by a sum.
const MAX_NAME_LEN: usize = 128;

/// A job that is asked for, in the shape of ccr-syncer's API with members of ours. An unknown member is refused by name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    /// Name of the job.
    pub name: String,
    /// Source.
    pub src: Endpoint,
    /// Destination.
    pub dest: Endpoint,
    /// A table job may start on an existing table.
    #[serde(default)]
    pub allow_table_exists: bool,
    /// Replicas at the destination; -1 keeps the source's number.
    #[serde(default)]
    pub replication_num: Option<i32>,
    /// Ours: a filter of tables for a database job.
    #[serde(default, deserialize_with = "filter")]
    pub tables: TableFilter,
    /// Ours: policies; the two fields above win.
    #[serde(default)]
    pub options: JobOptions,
    /// Of ccr-syncer: leaves out records that cannot be repeated. Only `false`.
    #[serde(default)]
    skip_error: Option<bool>,
    /// Of ccr-syncer: the destination's transactions bear the source's labels.
    #[serde(default)]
    reuse_binlog_label: Option<bool>,
    /// Of ccr-syncer: one job for each database of the cluster. Only `false`.
    #[serde(default)]
    cluster_sync: Option<bool>,
    /// Of ccr-syncer: `same_with_upstream`, `hdd` or `ssd`.
    #[serde(default)]
    storage_medium: Option<String>,
    /// Of ccr-syncer: `strict` or `adaptive`.
    #[serde(default)]
    medium_allocation_mode: Option<String>,
}

/// One side of a job.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Host of an FE.
    pub host: String,
    /// Its MySQL port.
    #[serde(deserialize_with = "port")]
    pub port: u16,
    /// Its Thrift port.
    #[serde(deserialize_with = "port")]
    pub thrift_port: u16,
    /// Account.
    pub user: String,
    /// Password.
    #[serde(default)]
    pub password: Secret,
    /// Database.
    pub database: String,
    /// Table of a table job; empty for a database job.
    #[serde(default)]
    pub table: String,
    /// Host as the cluster names it -> as reached from here.
    #[serde(default)]
    pub host_mapping: BTreeMap<String, String>,
    /// Further FEs of the cluster, tried when the one above does not answer.
    #[serde(default)]
    frontends: Vec<Frontend>,
    /// Of ccr-syncer, which looks the cluster, the database and the table up itself and writes down what it found.
    #[serde(default)]
    cluster: Option<String>,
    #[serde(default)]
    db_id: Option<i64>,
    #[serde(default)]
    table_id: Option<i64>,
}

/// A further FE.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Frontend {
    host: String,
    #[serde(deserialize_with = "port")]
    port: u16,
    #[serde(deserialize_with = "port")]
    thrift_port: u16,
    /// Of ccr-syncer; the master is found.
    #[serde(default, rename = "is_master")]
    _is_master: Option<bool>,
}

/// A filter as a person writes it: as [`TableFilter`], and without unknown members.
fn filter<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TableFilter, D::Error> {
    #[derive(Deserialize)]
    #[serde(default, deny_unknown_fields)]
    #[derive(Default)]
    struct Strict {
        include: BTreeSet<String>,
        exclude: BTreeSet<String>,
    }
    let Strict { include, exclude } = Strict::deserialize(deserializer)?;
    Ok(TableFilter { include, exclude })
}

impl Endpoint {
    /// `(host, MySQL port, Thrift port)` of the FEs that are named, each once.
    pub fn frontends(&self) -> Vec<(String, u16, u16)> {
        let mut all = vec![(self.host.clone(), self.port, self.thrift_port)];
        for frontend in &self.frontends {
            let next = (frontend.host.clone(), frontend.port, frontend.thrift_port);
            if !all.contains(&next) {
                all.push(next);
            }
        }
        all
    }

    /// How the cluster is reached.
    pub fn address(&self) -> ClusterAddress {
        ClusterAddress {
            cluster_id: None,
            frontends: self
                .frontends()
                .into_iter()
                .map(|(host, query_port, thrift_port)| FrontendAddress {
                    host,
                    query_port,
                    thrift_port,
                })
                .collect(),
            user: self.user.clone(),
            password: self.password.clone(),
            host_mapping: self.host_mapping.clone(),
        }
    }
}

/// Ports are texts in ccr-syncer's API; numbers are taken as well.
fn port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let number = match &value {
        Value::String(text) => text.trim().parse::<u16>().ok(),
        Value::Number(number) => number.as_u64().and_then(|n| u16::try_from(n).ok()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    number
        .filter(|port| *port > 0)
        .ok_or_else(|| serde::de::Error::custom(format!("{value} is not a port (1 to 65535)")))
}

impl JobRequest {
    /// What can be told without asking anybody.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the member and what it may be.
    pub fn check(&self) -> Result<(), Error> {
        let name_ok = !self.name.is_empty()
            && self.name.len() <= MAX_NAME_LEN
            && self
                .name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if !name_ok {
            return Err(Error::Invalid(format!(
                "job name {:?} must be 1 to {MAX_NAME_LEN} letters, digits, '_' or '-'",
                self.name
            )));
        }
        for (side, end) in [("src", &self.src), ("dest", &self.dest)] {
            if end.host.is_empty() {
                return Err(Error::Invalid(format!("{side}.host is empty")));
            }
            if let Some(frontend) = end
                .frontends
                .iter()
                .find(|frontend| frontend.host.is_empty())
            {
                return Err(Error::Invalid(format!(
                    "{side}.frontends: the host of port {} is empty",
                    frontend.port
                )));
            }
            if end.database.is_empty() {
                return Err(Error::Invalid(format!("{side}.database is empty")));
            }
        }
        if self.src.table.is_empty() != self.dest.table.is_empty() {
            return Err(Error::Invalid(
                "src.table and dest.table must both be set (table job) or both be empty (database job)"
                    .to_owned(),
            ));
        }
        if self
            .replication_num
            .is_some_and(|n| n == 0 || !(-1..=32767).contains(&n))
        {
            return Err(Error::Invalid(
                "replication_num must be -1 (as at the source) or 1 to 32767".to_owned(),
            ));
        }
        self.check_members_of_ccr_syncer()?;
        let options = &self.options;
        if !(1..=256).contains(&options.transactions_in_flight) {
            return Err(Error::Invalid(
                "options.transactions_in_flight must be 1 to 256".to_owned(),
            ));
        }
        if !(1..=1024).contains(&options.ingests_per_backend) {
            return Err(Error::Invalid(
                "options.ingests_per_backend must be 1 to 1024".to_owned(),
            ));
        }
        Ok(())
    }

    /// Members that have no effect here: refused where the caller would get less than was asked for, else named by
    /// [`JobRequest::warnings`].
    fn check_members_of_ccr_syncer(&self) -> Result<(), Error> {
        if self.skip_error == Some(true) {
            return Err(Error::Invalid(
                "skip_error: true would skip changes silently; leave the member out, and see                  options.on_unsupported and options.on_gap for what may be skipped"
                    .to_owned(),
            ));
        }
        if self.cluster_sync == Some(true) {
            return Err(Error::Invalid(
                "cluster_sync: true is not supported: a job follows one database; leave the member out and create a job for each"
                    .to_owned(),
            ));
        }
        let of = |member: &str, value: &Option<String>, known: &[&str]| match value.as_deref() {
            Some(value) if !value.is_empty() && !known.contains(&value) => {
                let known = known.join(", ");
                let text = format!(
                    "{member} {value:?} is unknown, known are {known}; leave the member out"
                );
                Err(Error::Invalid(text))
            }
            Some(_) | None => Ok(()),
        };
        of("storage_medium", &self.storage_medium, &MEDIUMS)?;
        of(
            "medium_allocation_mode",
            &self.medium_allocation_mode,
            &["strict", "adaptive"],
        )
    }

    /// Returns what was asked for and has no effect, for the answer. Nothing for default values of ccr-syncer's members.
    pub fn warnings(&self) -> Vec<String> {
        let mut all = Vec::new();
        if self.reuse_binlog_label == Some(true) {
            all.push(
                "reuse_binlog_label has no effect: labels of transactions at the destination begin with ccr_".to_owned(),
            );
        }
        for (member, value) in [
            ("storage_medium", &self.storage_medium),
            ("medium_allocation_mode", &self.medium_allocation_mode),
        ] {
            if value.as_ref().is_some_and(|value| !value.is_empty()) {
                all.push(format!(
                    "{member} has no effect: the destination decides where it stores its tables"
                ));
            }
        }
        for (side, end) in [("src", &self.src), ("dest", &self.dest)] {
            let named = end.cluster.as_deref().unwrap_or_default();
            if !["", "default_cluster"].contains(&named) {
                all.push(format!(
                    "{side}.cluster has no effect: the cluster is the one of {side}.host"
                ));
            }
            for (member, id) in [("db_id", end.db_id), ("table_id", end.table_id)] {
                if id.is_some_and(|id| id != 0) {
                    all.push(format!(
                        "{side}.{member} has no effect: ids are looked up by name"
                    ));
                }
            }
        }
        all
    }
}
