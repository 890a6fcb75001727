//! The body of `create_ccr`: what a person asks for, with passwords in the clear. It is never logged and never stored.

use std::collections::BTreeMap;

use ccr_doris::ClusterAddress;
use ccr_doris::cluster::FrontendAddress;
use ccr_ops::Secret;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::error::Error;
use crate::job::{JobOptions, TableFilter};

/// Longest job name: it is part of topic names (249 characters in Kafka) and consumer groups; labels are cut and told apart by a sum.
const MAX_NAME_LEN: usize = 128;

/// A job that is asked for, in the shape of ccr-syncer's API with members of ours.
#[derive(Debug, Deserialize)]
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
    #[serde(default)]
    pub tables: TableFilter,
    /// Ours: policies; the two fields above win.
    #[serde(default)]
    pub options: JobOptions,
}

/// One side of a job.
#[derive(Debug, Deserialize)]
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
}

impl Endpoint {
    /// How the cluster is reached.
    pub fn address(&self) -> ClusterAddress {
        ClusterAddress {
            frontends: vec![FrontendAddress {
                host: self.host.clone(),
                query_port: self.port,
                thrift_port: self.thrift_port,
            }],
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
}
