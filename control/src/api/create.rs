//! create_ccr: a body becomes a job, after both clusters were asked.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use ccr_schemas::Incarnation;
use serde_json::json;

use super::{Api, answer, read};
use crate::error::Error;
use crate::job::{ClusterSpec, DestSpec, JobSpec, SourceSpec, TableFilter, Wanted};
use crate::job_request::{Endpoint, JobRequest};
use crate::probe::ClusterProbe;

pub(super) async fn create(State(api): State<Api>, body: Bytes) -> Response {
    let wanted: JobRequest = match read(&body) {
        Ok(wanted) => wanted,
        Err(refusal) => return *refusal,
    };
    answer(accept(&api, wanted).await.map(|()| json!({})))
}

async fn accept(api: &Api, wanted: JobRequest) -> Result<(), Error> {
    wanted.check()?;
    if api.registry.get(&wanted.name).is_ok() {
        return Err(Error::JobExists(wanted.name));
    }
    let source_cluster = sealed(api, &wanted.src)?;
    let dest_cluster = sealed(api, &wanted.dest)?;
    let cluster_name = check_source(api, &wanted, &source_cluster).await?;
    check_dest(api, &wanted, &dest_cluster).await?;
    let job = job_of(api, wanted, cluster_name, source_cluster, dest_cluster);
    api.registry.create(&job).await
}

/// Asks the source; returns its name in topics.
async fn check_source(
    api: &Api,
    wanted: &JobRequest,
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
async fn check_dest(api: &Api, wanted: &JobRequest, cluster: &ClusterSpec) -> Result<(), Error> {
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
    wanted: JobRequest,
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

fn sealed(api: &Api, end: &Endpoint) -> Result<ClusterSpec, Error> {
    Ok(ClusterSpec {
        frontends: vec![(end.host.clone(), end.port, end.thrift_port)],
        user: end.user.clone(),
        sealed_password: api.sealer.seal(&end.password)?,
        host_mapping: end.host_mapping.clone(),
    })
}
