//! create_ccr: a body becomes a job, after both clusters were asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use ccr_doris::cluster::FrontendAddress;
use ccr_schemas::Incarnation;
use serde_json::{Value, json};

use super::{Api, answer, read};
use crate::error::Error;
use crate::job::{ClusterSpec, DestSpec, JobSpec, Resync, SourceSpec, TableFilter, Wanted};
use crate::job_request::{Endpoint, JobRequest};
use crate::loops::find_loop;
use crate::probe::ClusterProbe;

/// Names of tables in one answer.
const MAX_NAMES: usize = 20;

pub(super) async fn create(State(api): State<Api>, body: Bytes) -> Response {
    let wanted: JobRequest = match read(&body) {
        Ok(wanted) => wanted,
        Err(refusal) => return *refusal,
    };
    answer(accept(&api, wanted).await)
}

/// Asks both clusters, refuses what cannot work, and stores the job; the destination database exists then. Nothing is changed
/// at the destination by a job that is refused.
async fn accept(api: &Api, wanted: JobRequest) -> Result<Value, Error> {
    wanted.check()?;
    if api.registry.get(&wanted.name).is_ok() {
        return Err(Error::JobExists(wanted.name));
    }
    let mut warnings = wanted.warnings();
    let source = Side::of(api, "source", &wanted.src)?;
    let dest = Side::of(api, "destination", &wanted.dest)?;
    let (source_name, source_list) = source.identity().await?;
    check_source(&source, &wanted.src).await?;
    let (dest_name, dest_list) = dest.identity().await?;
    let mut job = job_of(api.clock.now_ms(), wanted, &source, &dest);
    job.source.cluster_name = source_name;
    job.dest.cluster_name = dest_name;
    refuse_loop(&job, &api.registry.list())?;
    let makers = check_dest(api, &job, &source, &dest).await?;
    if !makers.is_empty() {
        // What was made by a job of the same two databases is this job's: it starts as if that one were synced again.
        job.resync = Some(Resync {
            at_ms: job.created_at_ms,
            alone: false,
        });
        warnings.push(format!(
            "tables of database {} at the destination were made by the deleted job {}: the first sync replaces them",
            job.dest.database,
            makers.join(", ")
        ));
    }
    dest.create_database(&job.dest.database).await?;
    api.registry
        .create_if(&job, |jobs| refuse_loop(&job, jobs))
        .await?;
    api.installation.forget_jobs(&makers).await?;
    // Any FE may be gone at the next start, also the one that the job names.
    for (name, list) in [
        (&job.source.cluster_name, source_list),
        (&job.dest.cluster_name, dest_list),
    ] {
        api.installation.remember_frontends(name, &list).await?;
    }
    if warnings.is_empty() {
        return Ok(json!({}));
    }
    Ok(json!({ "warnings": warnings }))
}

/// A cluster that is asked before the job is accepted.
struct Side {
    name: &'static str,
    host: String,
    cluster: ClusterSpec,
    probe: Arc<dyn ClusterProbe>,
}

impl Side {
    fn of(api: &Api, name: &'static str, end: &Endpoint) -> Result<Self, Error> {
        let cluster = sealed(api, end)?;
        let probe = (api.connect)(cluster.open("", &api.sealer)?)
            .map_err(|source| Error::Doris { side: name, source })?;
        Ok(Self {
            name,
            host: format!("{}:{}", end.host, end.port),
            cluster,
            probe,
        })
    }

    fn refused(&self) -> impl Fn(ccr_doris::Error) -> Error {
        let side = self.name;
        move |source| Error::Doris { side, source }
    }

    /// Name of the cluster in topics and jobs, `c<cluster id>`, and its FEs when there are several.
    async fn identity(&self) -> Result<(String, Vec<FrontendAddress>), Error> {
        let list = self.probe.frontends().await.map_err(self.refused())?;
        let id = list.cluster_id.ok_or_else(|| {
            Error::Invalid(format!(
                "{} {} shows no ClusterId in SHOW FRONTENDS; is it a Doris FE's MySQL port?",
                self.name, self.host
            ))
        })?;
        let several = list.frontends.len() > 1;
        let frontends = if several { list.frontends } else { Vec::new() };
        Ok((format!("c{id}"), frontends))
    }

    async fn has_database(&self, database: &str) -> Result<bool, Error> {
        let found = self.probe.has_database(database).await;
        found.map_err(self.refused())
    }

    async fn create_database(&self, database: &str) -> Result<(), Error> {
        let created = self.probe.create_database(database).await;
        created.map_err(self.refused())
    }

    async fn tables(&self, database: &str) -> Result<BTreeSet<String>, Error> {
        self.probe.tables(database).await.map_err(self.refused())
    }
}

/// Asks the source whether the job can follow it.
async fn check_source(source: &Side, src: &Endpoint) -> Result<(), Error> {
    let (database, host) = (&src.database, &source.host);
    if !source.has_database(database).await? {
        return Err(Error::Invalid(format!(
            "source database {database:?} does not exist at {host}; create it, or correct src.database"
        )));
    }
    let table = (!src.table.is_empty()).then_some(src.table.as_str());
    if let Some(table) = table
        && !source.tables(database).await?.contains(table)
    {
        return Err(Error::Invalid(format!(
            "source table {table:?} does not exist in database {database:?} at {host}; create it, or correct src.table"
        )));
    }
    if !binlog_on(source.probe.as_ref(), database, table)
        .await
        .map_err(source.refused())?
    {
        return Err(Error::Invalid(format!(
            "binlog is off for source database {database:?}; switch it on with \
             ALTER DATABASE `{database}` SET PROPERTIES (\"binlog.enable\" = \"true\")"
        )));
    }
    Ok(())
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

/// Refuses a job whose changes would come back to where they came from.
fn refuse_loop(job: &JobSpec, jobs: &BTreeMap<String, JobSpec>) -> Result<(), Error> {
    let (source, dest) = (&job.source, &job.dest);
    let same = (&source.cluster_name, &source.database) == (&dest.cluster_name, &dest.database);
    if same {
        return Err(Error::Invalid(format!(
            "source and destination are the same database: {} of cluster {}; name another dest.database, or another cluster",
            dest.database, dest.cluster_name
        )));
    }
    let Some(path) = find_loop(job, jobs.values()) else {
        return Ok(());
    };
    Err(Error::Invalid(format!(
        "job {} would close a loop: what it writes into database {} of cluster {} comes back to its source, database {} of cluster {}, \
         by job {}; delete one of them, or choose other tables",
        job.name,
        dest.database,
        dest.cluster_name,
        source.database,
        source.cluster_name,
        path.join(", then job ")
    )))
}

/// Asks the destination. Returns the deleted jobs that made tables which this job would create.
async fn check_dest(
    api: &Api,
    job: &JobSpec,
    source: &Side,
    dest: &Side,
) -> Result<Vec<String>, Error> {
    let database = &job.dest.database;
    if !dest.has_database(database).await? {
        return Ok(Vec::new());
    }
    let there = dest.tables(database).await?;
    let candidates = match there.is_empty() {
        true => BTreeSet::new(),
        false => source.tables(&job.source.database).await?,
    };
    api.installation.catch_up().await?;
    let (mut foreign, mut makers) = (Vec::new(), BTreeSet::new());
    for table in candidates.iter().filter(|table| job.tables.takes(table)) {
        let named = job.dest.table_names.get(table).unwrap_or(table);
        if !there.contains(named) {
            continue;
        }
        match api.installation.maker_of(job, table, named) {
            Some(maker) => _ = makers.insert(maker.name),
            None => foreign.push(named.as_str()),
        }
    }
    if foreign.is_empty() || job.options.allow_table_exists {
        return Ok(makers.into_iter().collect());
    }
    let shown = foreign.iter().take(MAX_NAMES).copied();
    let shown = shown.collect::<Vec<_>>().join(", ");
    let more = match foreign.len().saturating_sub(MAX_NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(Error::Invalid(format!(
        "the job would create tables that already exist in destination database {database:?}: {shown}{more}; drop them, name another \
         dest.database, or set allow_table_exists to let the first sync replace them"
    )))
}

fn job_of(now: i64, wanted: JobRequest, source: &Side, dest: &Side) -> JobSpec {
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
            cluster_name: String::new(),
            host_mapping: source.cluster.host_mapping.clone(),
            cluster: source.cluster.clone(),
            database: wanted.src.database,
        },
        dest: DestSpec {
            cluster: dest.cluster.clone(),
            cluster_name: String::new(),
            database: wanted.dest.database,
            table_names,
        },
        tables,
        options,
        created_at_ms: now,
        resync: None,
        table_resyncs: Default::default(),
    }
}

fn sealed(api: &Api, end: &Endpoint) -> Result<ClusterSpec, Error> {
    Ok(ClusterSpec {
        frontends: end.frontends(),
        user: end.user.clone(),
        sealed_password: api.sealer.seal(&end.password)?,
        host_mapping: end.host_mapping.clone(),
    })
}
