//! create_ccr: a body becomes a job, after both clusters were asked.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use ccr_ops::Secret;
use ccr_schemas::Incarnation;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::{Api, answer, read};
use crate::error::Error;
use crate::job::{ClusterSpec, DestSpec, JobOptions, JobSpec, SourceSpec, TableFilter, Wanted};
use crate::probe::ClusterProbe;

/// Longest job name: it is part of topic names (249 characters in Kafka) and consumer groups; labels are cut and told apart by a sum.
const MAX_NAME_LEN: usize = 128;

#[derive(Debug, Deserialize)]
struct CreateCcr {
    name: String,
    src: Endpoint,
    dest: Endpoint,
    #[serde(default)]
    allow_table_exists: bool,
    #[serde(default)]
    replication_num: Option<i32>,
    /// Ours: a filter of tables for a database job.
    #[serde(default)]
    tables: TableFilter,
    /// Ours: policies; the two fields above win.
    #[serde(default)]
    options: JobOptions,
}

#[derive(Debug, Deserialize)]
struct Endpoint {
    host: String,
    #[serde(deserialize_with = "port")]
    port: u16,
    #[serde(deserialize_with = "port")]
    thrift_port: u16,
    user: String,
    #[serde(default)]
    password: Secret,
    database: String,
    #[serde(default)]
    table: String,
    #[serde(default)]
    host_mapping: BTreeMap<String, String>,
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

pub(super) async fn create(State(api): State<Api>, body: Bytes) -> Response {
    let wanted: CreateCcr = match read(&body) {
        Ok(wanted) => wanted,
        Err(refusal) => return *refusal,
    };
    answer(accept(&api, wanted).await.map(|()| json!({})))
}

async fn accept(api: &Api, wanted: CreateCcr) -> Result<(), Error> {
    check_shape(&wanted)?;
    if api.registry.get(&wanted.name).is_ok() {
        return Err(Error::JobExists(wanted.name));
    }
    let source_cluster = wanted.src.spec(api)?;
    let dest_cluster = wanted.dest.spec(api)?;
    let cluster_name = check_source(api, &wanted, &source_cluster).await?;
    check_dest(api, &wanted, &dest_cluster).await?;
    let job = job_of(api, wanted, cluster_name, source_cluster, dest_cluster);
    api.registry.create(&job).await
}

/// What can be told without asking anybody.
fn check_shape(wanted: &CreateCcr) -> Result<(), Error> {
    let name_ok = !wanted.name.is_empty()
        && wanted.name.len() <= MAX_NAME_LEN
        && wanted
            .name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if !name_ok {
        return Err(Error::Invalid(format!(
            "job name {:?} must be 1 to {MAX_NAME_LEN} letters, digits, '_' or '-'",
            wanted.name
        )));
    }
    for (side, end) in [("src", &wanted.src), ("dest", &wanted.dest)] {
        if end.host.is_empty() {
            return Err(Error::Invalid(format!("{side}.host is empty")));
        }
        if end.database.is_empty() {
            return Err(Error::Invalid(format!("{side}.database is empty")));
        }
    }
    if wanted.src.table.is_empty() != wanted.dest.table.is_empty() {
        return Err(Error::Invalid(
            "src.table and dest.table must both be set (table job) or both be empty (database job)"
                .to_owned(),
        ));
    }
    if wanted
        .replication_num
        .is_some_and(|n| n == 0 || !(-1..=32767).contains(&n))
    {
        return Err(Error::Invalid(
            "replication_num must be -1 (as at the source) or 1 to 32767".to_owned(),
        ));
    }
    let options = &wanted.options;
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

/// Asks the source; returns its name in topics.
async fn check_source(
    api: &Api,
    wanted: &CreateCcr,
    cluster: &ClusterSpec,
) -> Result<String, Error> {
    let refused = |source| Error::Doris {
        side: "source",
        source,
    };
    let src = &wanted.src;
    let probe = (api.connect)(cluster.open(&api.sealer)?).map_err(refused)?;
    let cluster_id = probe.cluster_id().await.map_err(refused)?.ok_or_else(|| {
        Error::Invalid(format!(
            "source {}:{} shows no ClusterId in SHOW FRONTENDS; is it a Doris FE's MySQL port?",
            src.host, src.port
        ))
    })?;
    if !probe.has_database(&src.database).await.map_err(refused)? {
        return Err(Error::Invalid(format!(
            "source database {:?} does not exist at {}:{}; create it, or correct src.database",
            src.database, src.host, src.port
        )));
    }
    let table = (!src.table.is_empty()).then_some(src.table.as_str());
    if let Some(table) = table
        && !probe
            .has_table(&src.database, table)
            .await
            .map_err(refused)?
    {
        return Err(Error::Invalid(format!(
            "source table {table:?} does not exist in database {:?} at {}:{}; create it, or correct src.table",
            src.database, src.host, src.port
        )));
    }
    if !binlog_on(probe.as_ref(), &src.database, table)
        .await
        .map_err(refused)?
    {
        return Err(Error::Invalid(format!(
            "binlog is off for source database {0:?}; switch it on with \
             ALTER DATABASE `{0}` SET PROPERTIES (\"binlog.enable\" = \"true\")",
            src.database
        )));
    }
    Ok(format!("c{cluster_id}"))
}

async fn binlog_on(
    probe: &dyn ClusterProbe,
    database: &str,
    table: Option<&str>,
) -> Result<bool, ccr_doris::Error> {
    if probe.binlog_enabled(database, None).await? {
        return Ok(true);
    }
    match table {
        Some(table) => probe.binlog_enabled(database, Some(table)).await,
        None => Ok(false),
    }
}

/// Asks the destination. A missing database is fine: the applier creates it.
async fn check_dest(api: &Api, wanted: &CreateCcr, cluster: &ClusterSpec) -> Result<(), Error> {
    let refused = |source| Error::Doris {
        side: "destination",
        source,
    };
    let dest = &wanted.dest;
    let probe = (api.connect)(cluster.open(&api.sealer)?).map_err(refused)?;
    let database_exists = probe.has_database(&dest.database).await.map_err(refused)?;
    if database_exists
        && !dest.table.is_empty()
        && !wanted.allow_table_exists
        && probe
            .has_table(&dest.database, &dest.table)
            .await
            .map_err(refused)?
    {
        return Err(Error::Invalid(format!(
            "destination table {:?} exists already in database {:?}; drop it, or set allow_table_exists",
            dest.table, dest.database
        )));
    }
    Ok(())
}

fn job_of(
    api: &Api,
    wanted: CreateCcr,
    cluster_name: String,
    source_cluster: ClusterSpec,
    dest_cluster: ClusterSpec,
) -> JobSpec {
    let now = api.clock.now_ms();
    let mut tables = wanted.tables;
    let mut table_names = BTreeMap::new();
    if !wanted.src.table.is_empty() {
        tables = TableFilter {
            include: BTreeSet::from([wanted.src.table.clone()]),
            exclude: BTreeSet::new(),
        };
        if wanted.src.table != wanted.dest.table {
            table_names.insert(wanted.src.table, wanted.dest.table);
        }
    }
    let mut options = wanted.options;
    options.allow_table_exists |= wanted.allow_table_exists;
    if let Some(replicas) = wanted.replication_num.and_then(|n| u16::try_from(n).ok()) {
        options.replication_num = Some(replicas);
    }
    JobSpec {
        name: wanted.name,
        incarnation: Incarnation(format!("{now:x}")),
        version: 1,
        wanted: Wanted::Running,
        source: SourceSpec {
            cluster_name,
            host_mapping: source_cluster.host_mapping.clone(),
            cluster: source_cluster,
            database: wanted.src.database,
        },
        dest: DestSpec {
            cluster: dest_cluster,
            database: wanted.dest.database,
            table_names,
        },
        tables,
        options,
        created_at_ms: now,
        resync: None,
    }
}

impl Endpoint {
    fn spec(&self, api: &Api) -> Result<ClusterSpec, Error> {
        Ok(ClusterSpec {
            frontends: vec![(self.host.clone(), self.port, self.thrift_port)],
            user: self.user.clone(),
            sealed_password: api.sealer.seal(&self.password)?,
            host_mapping: self.host_mapping.clone(),
        })
    }
}
