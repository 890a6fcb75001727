//! One running backend: its store, its agent, and its ports.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::Router;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::agent::membership::Membership;
use super::agent::{Agent, AgentConfig, cluster_file};
use super::brpc::{self, BackendRpc};
use super::exec::Executor;
use super::{Backend, BackendAddress, BackendApi, http};
use crate::heartbeat::HeartbeatService;
use crate::service::BackendService;
use dorisim_model::clock::SimClock;
use dorisim_net::faults::Faults;
use dorisim_net::listener::serve;
use dorisim_net::server::ThriftServer;

/// What a backend is made of. Port 0 is any free one.
#[derive(Clone)]
pub struct NodeConfig {
    /// Id that the frontend gave or will give; 0 while it is unknown.
    pub id: i64,
    /// Host that is bound and told.
    pub host: String,
    /// Root of its files.
    pub store: PathBuf,
    /// Token of the cluster; empty while it is unknown.
    pub token: String,
    /// `be_port`: agent tasks and replication over Thrift.
    pub be_port: u16,
    /// `webserver_port`: downloads.
    pub http_port: u16,
    /// `heartbeat_service_port`.
    pub heartbeat_port: u16,
    /// `brpc_port`: plan fragments of a frontend, over gRPC.
    pub brpc_port: u16,
    /// The store outlives the process: what it holds is there again at the next start.
    pub kept: bool,
    /// How it works for its master.
    pub agent: AgentConfig,
}

impl NodeConfig {
    /// A backend on free loopback ports with its files in `store`.
    pub fn new(store: PathBuf) -> Self {
        NodeConfig {
            id: 0,
            host: "127.0.0.1".to_owned(),
            store,
            token: String::new(),
            be_port: 0,
            http_port: 0,
            heartbeat_port: 0,
            brpc_port: 0,
            kept: true,
            agent: AgentConfig::default(),
        }
    }
}

impl std::fmt::Debug for NodeConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeConfig")
            .field("id", &self.id)
            .field("host", &self.host)
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// A backend whose ports are bound. It serves from [`BackendNode::serve`] until [`BackendNode::stop`].
#[derive(Debug)]
pub struct BackendNode {
    agent: Arc<Agent>,
    executor: Arc<Executor>,
    faults: Arc<Faults>,
    bound: Option<Sockets>,
    servers: Vec<ThriftServer>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Sockets {
    thrift: TcpListener,
    http: TcpListener,
    heartbeat: TcpListener,
    brpc: TcpListener,
}

impl BackendNode {
    /// Binds the ports and opens the store.
    ///
    /// # Errors
    /// Ports in use; a store that can not be opened or read.
    pub fn bind(config: NodeConfig, clock: Arc<SimClock>, faults: Arc<Faults>) -> Result<Self> {
        let sockets = Sockets {
            thrift: bind(&config.host, config.be_port, "be_port")?,
            http: bind(&config.host, config.http_port, "HTTP")?,
            heartbeat: bind(&config.host, config.heartbeat_port, "heartbeat")?,
            brpc: bind(&config.host, config.brpc_port, "brpc")?,
        };
        let address = BackendAddress {
            id: config.id,
            host: config.host,
            be_port: port(&sockets.thrift)?,
            http_port: port(&sockets.http)?,
            heartbeat_port: port(&sockets.heartbeat)?,
            brpc_port: port(&sockets.brpc)?,
        };
        let membership = Membership::restored(
            cluster_file::read(&config.store)?,
            Some(config.token.clone()),
            (config.id > 0).then_some(config.id),
        );
        let store = config.store;
        let shown = store.display().to_string();
        let open = if config.kept {
            Backend::open
        } else {
            Backend::new
        };
        let backend = open(address, store, config.token, clock, Arc::clone(&faults))
            .with_context(|| format!("opening the store {shown} of a backend"))?;
        let agent = Agent::new(Arc::new(backend), config.agent, membership);
        Ok(BackendNode {
            executor: Executor::new(Arc::clone(&agent)),
            agent,
            faults,
            bound: Some(sockets),
            servers: Vec::new(),
            stop: CancellationToken::new(),
        })
    }

    /// Its tablets and settings.
    pub fn backend(&self) -> &Arc<Backend> {
        self.agent.backend()
    }

    /// Its agent.
    pub fn agent(&self) -> &Arc<Agent> {
        &self.agent
    }

    /// What runs plan fragments on it.
    pub fn executor(&self) -> &Arc<Executor> {
        &self.executor
    }

    /// Where it listens.
    pub fn address(&self) -> &BackendAddress {
        self.agent.backend().address()
    }

    /// Starts all servers and the agent on `runtime`. `more` are routes beside its own, for example stream load. A second call
    /// does nothing.
    ///
    /// # Errors
    /// Threads that can not be started.
    pub fn serve(&mut self, runtime: &Handle, more: Router) -> Result<()> {
        let Some(sockets) = self.bound.take() else {
            return Ok(());
        };
        let thrift = Arc::new(BackendService::new(Arc::clone(&self.agent)));
        let heartbeat = Arc::new(HeartbeatService(Arc::clone(&self.agent)));
        let faults = || Arc::clone(&self.faults);
        for server in [
            ThriftServer::start(sockets.thrift, thrift, faults(), runtime.clone()),
            ThriftServer::start(sockets.heartbeat, heartbeat, faults(), runtime.clone()),
        ] {
            self.servers
                .push(server.context("starting a Thrift server of a backend")?);
        }
        let router = http::router(Arc::clone(self.backend())).merge(more);
        let router = http::cut_while_down(router, Arc::clone(self.backend()));
        let http = hand_over(runtime, sockets.http, "HTTP")?;
        runtime.spawn(serve(http, router, self.stop.clone()));
        let brpc = hand_over(runtime, sockets.brpc, "brpc")?;
        let calls = BackendRpc::new(Arc::clone(&self.agent), Arc::clone(&self.executor));
        runtime.spawn(brpc::serve(brpc, calls, self.stop.clone()));
        self.agent.start(runtime, &self.stop);
        Ok(())
    }

    /// Stops serving and closes all connections; repeating it is harmless. Blocks for a moment.
    pub fn stop(&mut self) {
        self.stop.cancel();
        for mut server in self.servers.drain(..) {
            server.stop();
        }
    }
}

impl Drop for BackendNode {
    fn drop(&mut self) {
        self.stop();
    }
}

fn hand_over(
    runtime: &Handle,
    listener: TcpListener,
    what: &str,
) -> Result<tokio::net::TcpListener> {
    // Handing a listener over needs the runtime that drives it.
    let _inside = runtime.enter();
    listener
        .set_nonblocking(true)
        .and_then(|()| tokio::net::TcpListener::from_std(listener))
        .with_context(|| format!("handing the {what} listener to the runtime"))
}

fn bind(host: &str, port: u16, what: &str) -> Result<TcpListener> {
    TcpListener::bind((host, port)).with_context(|| {
        format!("binding the {what} port {host}:{port} of a backend; choose another one")
    })
}

fn port(listener: &TcpListener) -> Result<u16> {
    Ok(listener
        .local_addr()
        .context("reading a bound port")?
        .port())
}
