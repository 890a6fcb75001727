//! A whole cluster in this process: ports, backends, frontend, and the switches for tests.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::runtime::{Handle, Runtime};
use tokio_util::sync::CancellationToken;

use crate::config::SimConfig;
use dorisim_be::node::{BackendNode, NodeConfig};
use dorisim_be::{Backend, BackendAddress, BackendApi};
use dorisim_fe::store::{Store, Wanted};
use dorisim_fe::{Frontend, FrontendConfig, SessionCtx};
use dorisim_model::Row;
use dorisim_model::clock::SimClock;
use dorisim_net::faults::Faults;
use dorisim_net::listener::serve;
use dorisim_net::server::ThriftServer;
use dorisim_server::frontend::FrontendService;
use dorisim_server::http::load::{LoadShared, Loader, load_router};
use dorisim_server::http::{self, FrontendHttp};
use dorisim_server::mysql::MysqlServer;
use dorisim_server::roles::{FrontendPorts, Roles};
use dorisim_sql::ast::Statement;

/// Where everything listens.
const HOST: &str = "127.0.0.1";
/// Id of the first backend; the others follow.
const FIRST_BACKEND: i64 = 10_002;
/// The backends of a cluster have to answer their first heartbeats within this.
const START_WITHIN: Duration = Duration::from_secs(30);

/// A running cluster. Dropping it stops it.
pub struct SimCluster {
    name: String,
    frontend: Arc<Frontend>,
    backends: Vec<Arc<Backend>>,
    faults: Arc<Faults>,
    roles: Arc<Roles>,
    stop: CancellationToken,
    running: Mutex<Option<Running>>,
    data_dir: PathBuf,
    mysql: Arc<MysqlServer>,
    runtime: Handle,
}

/// What has to be ended in order.
struct Running {
    thrift: Vec<ThriftServer>,
    nodes: Vec<BackendNode>,
    runtime: Runtime,
    /// Of a cluster that keeps its data: gives the data directory back at the end.
    durable: Option<Arc<Frontend>>,
    _files: Option<TempDir>,
}

/// How long the end of a cluster that keeps its data waits for what runs.
const LAST_WORK: Duration = Duration::from_secs(5);

impl std::fmt::Debug for SimCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimCluster")
            .field("name", &self.name)
            .field("frontends", &self.roles.frontends())
            .field("backends", &self.backend_addresses())
            .finish_non_exhaustive()
    }
}

/// The listeners of one frontend.
struct FrontendSockets {
    query: TcpListener,
    thrift: TcpListener,
    http: TcpListener,
}

impl SimCluster {
    /// Starts a cluster; it serves when this returns. It runs on threads of its own, so any caller's runtime will do.
    ///
    /// # Errors
    /// Ports in use, a data directory that can not be made.
    pub async fn start(config: SimConfig) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name(format!("sim-{}", config.name))
            .enable_all()
            .build()
            .context("starting the runtime of a simulated cluster")?;
        let handle = runtime.handle().clone();
        let starting = handle.spawn(build(config, handle.clone()));
        let built = match starting.await.context("starting a simulated cluster") {
            Ok(built) => built,
            Err(panicked) => Err(panicked),
        };
        // A runtime must not be dropped on a thread of another one.
        let Built {
            mut cluster,
            thrift,
            nodes,
            files,
        } = match built {
            Ok(built) => built,
            Err(error) => {
                runtime.shutdown_background();
                return Err(error);
            }
        };
        cluster.running = Mutex::new(Some(Running {
            thrift,
            nodes,
            runtime,
            durable: files.is_none().then(|| Arc::clone(&cluster.frontend)),
            _files: files,
        }));
        Ok(cluster)
    }

    /// Name for logs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// MySQL port of the first frontend.
    pub fn query_port(&self) -> u16 {
        self.ports(0).query
    }

    /// Thrift port of the first frontend.
    pub fn thrift_port(&self) -> u16 {
        self.ports(0).thrift
    }

    /// HTTP port of the first frontend: stream load and `/sim/...`.
    pub fn http_port(&self) -> u16 {
        self.ports(0).http
    }

    /// Ports of all frontends.
    pub fn frontends(&self) -> &[FrontendPorts] {
        self.roles.frontends()
    }

    /// The backends, for their stores and settings.
    pub fn backends(&self) -> &[Arc<Backend>] {
        &self.backends
    }

    /// Addresses of the backends.
    pub fn backend_addresses(&self) -> Vec<BackendAddress> {
        self.backends
            .iter()
            .map(|backend| backend.address().clone())
            .collect()
    }

    /// The faults of this cluster.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Calls so far by name.
    pub fn counters(&self) -> BTreeMap<String, u64> {
        self.faults.counters()
    }

    /// The clock that tests can move.
    pub fn clock(&self) -> &SimClock {
        self.frontend.clock()
    }

    /// Which frontend is the master, and what followers say.
    pub fn roles(&self) -> &Roles {
        &self.roles
    }

    /// The state behind all frontends.
    pub fn frontend(&self) -> &Arc<Frontend> {
        &self.frontend
    }

    /// Root of all files.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Makes another frontend the master; what only the old one had in memory is gone.
    pub fn switch_master(&self, index: usize) {
        self.roles.set_master(index);
        self.frontend.forget_memory();
        announce_master(&self.frontend, &self.roles);
    }

    /// Runs statements as `root` in a session of their own; the rows are those of the last one. Qualify tables, or begin
    /// with `USE db;`.
    ///
    /// # Errors
    /// The first statement that fails.
    pub async fn sql(&self, text: &str) -> Result<Vec<Row>> {
        let mut session = self.mysql.session("root");
        let statements = text.to_owned();
        // On the cluster's own threads: connections that a statement opens must outlive the caller's runtime.
        let running = self
            .runtime
            .spawn(async move { session.execute(&statements).await });
        let answer = running
            .await
            .with_context(|| format!("the cluster ended during: {text}"))?;
        let answer = answer.with_context(|| format!("statement failed: {text}"))?;
        Ok(answer.into_rows().rows)
    }

    /// Stops everything; repeating it is harmless.
    pub async fn shutdown(&self) {
        let Some(running) = self.take_running() else {
            return;
        };
        self.stop.cancel();
        let ended = tokio::task::spawn_blocking(move || running.end()).await;
        if let Err(error) = ended {
            tracing::warn!(cluster = self.name, %error, "shutdown panicked");
        }
    }

    fn take_running(&self) -> Option<Running> {
        let mut running = self
            .running
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        running.take()
    }

    fn ports(&self, index: usize) -> &FrontendPorts {
        self.roles
            .frontends()
            .get(index)
            .expect("invariant: a cluster has at least one frontend")
    }
}

impl Drop for SimCluster {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(running) = self.take_running() {
            running.end();
        }
    }
}

impl Running {
    fn end(mut self) {
        for server in &mut self.thrift {
            server.stop();
        }
        for node in &mut self.nodes {
            node.stop();
        }
        let Some(frontend) = self.durable else {
            // Not awaited: a caller may stand on another runtime's thread.
            self.runtime.shutdown_background();
            return;
        };
        // What still runs may answer, so the data directory is given back after it. On a thread of its own, because the caller's may
        // belong to another runtime, which forbids to wait.
        let runtime = self.runtime;
        let ending = std::thread::spawn(move || runtime.shutdown_timeout(LAST_WORK));
        if ending.join().is_err() {
            tracing::warn!("the end of a cluster's runtime panicked");
        }
        frontend.close();
    }
}

/// A cluster that serves, and what its end has to stop.
struct Built {
    cluster: SimCluster,
    thrift: Vec<ThriftServer>,
    nodes: Vec<BackendNode>,
    files: Option<TempDir>,
}

async fn build(config: SimConfig, handle: Handle) -> Result<Built> {
    let stop = CancellationToken::new();
    let mut frontend_sockets = Vec::new();
    for index in 0..config.frontends.max(1) {
        frontend_sockets.push(bind_frontend(&config, index)?);
    }
    let (data_dir, files) = data_dir(&config)?;
    let identity = crc32fast::hash(config.name.as_bytes());
    let wanted = Wanted {
        cluster_id: config.cluster_id,
        token: config.token.clone(),
        default_cluster_id: i32::try_from(identity >> 1).unwrap_or(1),
        default_token: format!("dorisim-{identity:08x}-{}", config.name),
        backends: config.backends,
    };
    let opened = match &files {
        None => Some(Store::open(&data_dir, &wanted, &config.frontend)?),
        Some(_) => None,
    };
    let (cluster_id, token) = match &opened {
        Some(opened) => (opened.cluster_id, opened.token.clone()),
        None => (
            wanted.cluster_id.unwrap_or(wanted.default_cluster_id),
            wanted.token.unwrap_or(wanted.default_token),
        ),
    };
    let clock = Arc::new(SimClock::default());
    let faults = Arc::new(Faults::new(config.seed));
    let mut nodes = Vec::new();
    for index in 0..config.backends {
        let id = FIRST_BACKEND + i64::try_from(index).context("numbering backends")?;
        let store = data_dir.join(format!("be{id}"));
        let node = NodeConfig {
            id,
            host: HOST.to_owned(),
            token: token.clone(),
            kept: opened.is_some(),
            agent: config.agent.clone(),
            ..NodeConfig::new(store)
        };
        let node = BackendNode::bind(node, Arc::clone(&clock), Arc::clone(&faults))?;
        let settings = &node.backend().config;
        let rows = config.rows_per_segment;
        settings.rows_per_segment.store(rows, Ordering::Relaxed);
        let pool = config.ingest_pool_size;
        settings.ingest_pool_size.store(pool, Ordering::Relaxed);
        nodes.push(node);
    }
    let frontend_config = FrontendConfig {
        cluster_id,
        token,
        ..config.frontend.clone()
    };
    let is_old = opened.as_ref().is_some_and(|o| o.is_ready);
    let frontend = match opened {
        Some(opened) => Frontend::durable(opened, frontend_config, clock, Vec::new()),
        None => Frontend::new(frontend_config, clock, Vec::new()),
    };
    if !config.publish_delay.is_zero() {
        frontend.set_publish_delay(config.publish_delay);
    }
    if is_old {
        frontend.resume().await;
    } else {
        make_users(&frontend, &config).await?;
        frontend.set_ready()?;
    }
    let _daemons = frontend.spawn_daemons(stop.clone());
    let ports = frontend_sockets
        .iter()
        .map(FrontendSockets::ports)
        .collect::<Result<Vec<_>>>()?;
    let roles = Arc::new(Roles::new(HOST.to_owned(), ports));
    let mysql = MysqlServer::new(
        Arc::clone(&frontend),
        Arc::clone(&roles),
        Arc::clone(&faults),
    )?;
    let loads = LoadShared::new()?;
    let mut thrift = Vec::new();
    for node in &mut nodes {
        let (master, shared) = (Arc::clone(&frontend), Arc::clone(&loads));
        let loader = Loader::new(master, Arc::clone(node.backend()), shared);
        node.serve(&handle, load_router(loader))?;
    }
    for (index, sockets) in frontend_sockets.into_iter().enumerate() {
        let service = FrontendService::new(Arc::clone(&frontend), Arc::clone(&roles), index);
        let (faults_of_server, runtime) = (Arc::clone(&faults), handle.clone());
        let service = Arc::new(service);
        let server = ThriftServer::start(sockets.thrift, service, faults_of_server, runtime)?;
        thrift.push(server);
        let http = FrontendHttp::new(
            Arc::clone(&frontend),
            Arc::clone(&roles),
            Arc::clone(&faults),
        );
        let router = http::router(Arc::new(http));
        handle.spawn(serve(to_tokio(sockets.http)?, router, stop.clone()));
        let query = to_tokio(sockets.query)?;
        handle.spawn(Arc::clone(&mysql).serve(query, stop.clone()));
    }
    register(&frontend, &roles, &nodes).await?;
    handle.spawn(beat_with_faults(
        Arc::clone(&frontend),
        Arc::clone(&faults),
        stop.clone(),
    ));
    let cluster = SimCluster {
        name: config.name,
        frontend,
        backends: nodes
            .iter()
            .map(|node| Arc::clone(node.backend()))
            .collect(),
        faults,
        roles,
        stop,
        running: Mutex::new(None),
        data_dir,
        mysql,
        runtime: handle,
    };
    Ok(Built {
        cluster,
        thrift,
        nodes,
        files,
    })
}

/// Makes the backends members of the cluster, and waits until tablets can be placed on all of them.
async fn register(frontend: &Arc<Frontend>, roles: &Roles, nodes: &[BackendNode]) -> Result<()> {
    for node in nodes {
        let address = node.address();
        let local = Arc::clone(node.backend()) as Arc<dyn BackendApi>;
        let (host, port) = (&address.host, address.heartbeat_port);
        frontend.register_backend(address.id, host, port, Some(local));
    }
    announce_master(frontend, roles);
    let usable = frontend
        .nodes()
        .wait_usable(nodes.len(), START_WITHIN)
        .await;
    if !usable {
        bail!("the backends of the cluster did not answer heartbeats within {START_WITHIN:?}");
    }
    Ok(())
}

/// Heartbeats tell the backends who the master is.
fn announce_master(frontend: &Frontend, roles: &Roles) {
    if let Some(ports) = roles.frontends().get(roles.master()) {
        let host = roles.host();
        frontend.nodes().set_master(host, ports.thrift, ports.http);
    }
}

/// A changed fault may have taken a backend down or brought it back: asks it at once.
async fn beat_with_faults(frontend: Arc<Frontend>, faults: Arc<Faults>, stop: CancellationToken) {
    let mut changes = faults.changes();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = changes.changed() => match changed {
                Ok(()) => frontend.nodes().beat_now(),
                Err(_ended) => return,
            },
        }
    }
}

impl FrontendSockets {
    fn ports(&self) -> Result<FrontendPorts> {
        Ok(FrontendPorts {
            query: port(&self.query)?,
            thrift: port(&self.thrift)?,
            http: port(&self.http)?,
        })
    }
}

fn bind_frontend(config: &SimConfig, index: usize) -> Result<FrontendSockets> {
    // Given ports are those of the first frontend; the others take free ones.
    let wanted = |port: u16| if index == 0 { port } else { 0 };
    Ok(FrontendSockets {
        query: bind(wanted(config.query_port), "MySQL")?,
        thrift: bind(wanted(config.thrift_port), "Thrift")?,
        http: bind(wanted(config.http_port), "HTTP")?,
    })
}

fn bind(port: u16, what: &str) -> Result<TcpListener> {
    TcpListener::bind((HOST, port))
        .with_context(|| format!("binding the {what} port {HOST}:{port}; choose another one"))
}

fn port(listener: &TcpListener) -> Result<u16> {
    Ok(listener
        .local_addr()
        .context("reading a bound port")?
        .port())
}

fn to_tokio(listener: TcpListener) -> Result<tokio::net::TcpListener> {
    listener
        .set_nonblocking(true)
        .and_then(|()| tokio::net::TcpListener::from_std(listener))
        .context("handing a listener to the runtime")
}

fn data_dir(config: &SimConfig) -> Result<(PathBuf, Option<TempDir>)> {
    match &config.data_dir {
        Some(dir) => {
            std::fs::create_dir_all(dir)
                .with_context(|| format!("making the data directory {}", dir.display()))?;
            Ok((dir.clone(), None))
        }
        None => {
            let dir = tempfile::Builder::new()
                .prefix("dorisim-")
                .tempdir()
                .context("making a temporary data directory")?;
            Ok((dir.path().to_owned(), Some(dir)))
        }
    }
}

async fn make_users(frontend: &Frontend, config: &SimConfig) -> Result<()> {
    let session = SessionCtx {
        user: "root".to_owned(),
        current_db: None,
    };
    let mut statements = Vec::new();
    if !config.password.is_empty() {
        for user in ["root", "admin"] {
            statements.push(Statement::SetPassword {
                user: Some(user.to_owned()),
                password: config.password.clone(),
            });
        }
    }
    for user in &config.users {
        statements.push(Statement::CreateUser {
            if_not_exists: true,
            user: user.name.clone(),
            password: user.password.clone(),
        });
        statements.push(Statement::Grant {
            privileges: user.privileges.clone(),
            on: "*.*".to_owned(),
            user: user.name.clone(),
        });
    }
    for statement in statements {
        frontend
            .execute(&session, statement)
            .await
            .context("making the accounts of a simulated cluster")?;
    }
    Ok(())
}
