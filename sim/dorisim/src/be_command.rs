//! `dorisim be`: one backend alone, for a frontend in another process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use dorisim::be::{BackendNode, NodeConfig};
use dorisim::faults::Faults;
use dorisim_model::clock::SimClock;
use dorisim_server::http::load::alone::backend_router;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};
use serde_json::json;
use tokio::runtime::Handle;

const EXAMPLES: &str = "\
Examples:
  A cluster without backends of its own, and one backend for it:
    dorisim --backends 0 &
    dorisim be --fe 127.0.0.1:9030 --data-dir /tmp/be1

  At a genuine Doris frontend. It calls the backend, so --host is an address that it can reach, and the one that the
  backend is registered under:
    dorisim be --fe fe1.example:9030 --user root --host 10.0.0.7 --data-dir /data/be1

  The same by hand: start it, then tell the frontend, then look for Alive: true:
    dorisim be --no-register --host 10.0.0.7 --heartbeat-port 9050 --data-dir /data/be1
    mysql -h fe1.example -P 9030 -uroot -e 'ALTER SYSTEM ADD BACKEND \"10.0.0.7:9050\"'
    mysql -h fe1.example -P 9030 -uroot -e 'SHOW BACKENDS\\G'

  To leave: ALTER SYSTEM DROPP BACKEND \"10.0.0.7:9050\", then end the process.

It does what agent tasks ask (create, publish, snapshot, download, move, alter, clone, drop, binlogs), ingests and serves binlogs,
and reports. A genuine frontend loads into it (INSERT, UPDATE, DELETE, stream load) and queries it (scans, conditions, sorts, aggregates, unions) over the
brpc port; what it does not know it refuses with the name of the plan node. Replicas are repaired and balanced over several of them;
a frontend places two replicas of a tablet on one host under allow_replica_on_same_host only: --host 127.0.0.2 is another.

A data directory belongs to the first cluster whose heartbeat came. To move to another one, take an empty directory.";

/// One backend alone: registers itself at a frontend and works for it until Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BeArguments {
    /// MySQL address of the frontend, HOST:PORT (query_port).
    #[arg(long, required_unless_present = "no_register", value_parser = parse_fe)]
    fe: Option<(String, u16)>,
    /// Account for ALTER SYSTEM; it needs NODE_PRIV or ADMIN_PRIV.
    #[arg(long, default_value = "root")]
    user: String,
    /// Its password.
    #[arg(
        long,
        env = "DORISIM_FE_PASSWORD",
        hide_env_values = true,
        default_value = ""
    )]
    password: String,
    /// Directory that keeps its tablets; a temporary one by default.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Address that is bound and registered.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Thrift port for tasks and replication; 0 is any free one, here and below.
    #[arg(long, default_value_t = 9060)]
    be_port: u16,
    /// HTTP port for downloads (webserver_port).
    #[arg(long, default_value_t = 8040)]
    http_port: u16,
    /// Heartbeat port (heartbeat_service_port).
    #[arg(long, default_value_t = 9050)]
    heartbeat_port: u16,
    /// Port for plan fragments of a frontend (gRPC).
    #[arg(long, default_value_t = 8060)]
    brpc_port: u16,
    /// Do not register; someone else does.
    #[arg(long)]
    no_register: bool,
    /// Seconds to wait for the first heartbeat after registering.
    #[arg(long, default_value_t = 60)]
    wait_seconds: u64,
    /// Print one JSON line with the ports: with the first heartbeat, or at once under --no-register.
    #[arg(long)]
    print_json: bool,
}

/// `HOST:PORT`.
fn parse_fe(text: &str) -> Result<(String, u16)> {
    let (host, port) = text.rsplit_once(':').context("expected HOST:PORT")?;
    if host.is_empty() {
        bail!("the host is empty");
    }
    let port = port.parse().context("the port is no number")?;
    Ok((host.to_owned(), port))
}

/// Largest packet to the frontend.
const PACKET_BYTES: usize = 1 << 20;
/// How long the frontend keeps an idle connection, as the driver believes.
const WAIT_SECONDS: usize = 60;
/// A progress line that often while nothing happens.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// Runs until `end`.
///
/// # Errors
/// Ports in use, a store of another cluster, a frontend that refuses or never calls.
pub async fn run(arguments: BeArguments, end: impl Future<Output = Result<()>>) -> Result<()> {
    let (store, _files) = store(arguments.data_dir.as_deref())?;
    let clock = Arc::new(SimClock::default());
    let faults = Arc::new(Faults::new(1));
    let config = NodeConfig {
        host: arguments.host.clone(),
        be_port: arguments.be_port,
        http_port: arguments.http_port,
        heartbeat_port: arguments.heartbeat_port,
        brpc_port: arguments.brpc_port,
        ..NodeConfig::new(store)
    };
    let mut node = BackendNode::bind(config, clock, faults)?;
    let loads = backend_router(Arc::clone(node.agent()), Arc::clone(node.executor()));
    node.serve(&Handle::current(), loads)?;
    tokio::pin!(end);
    let joined = async {
        match (&arguments.fe, arguments.no_register) {
            (Some(fe), false) => {
                register(fe, &arguments, node.address().heartbeat_port).await?;
                let limit = Duration::from_secs(arguments.wait_seconds);
                match tokio::time::timeout(limit, first_heartbeat(&node)).await {
                    Ok(()) => announce(&node, arguments.print_json),
                    Err(_elapsed) => bail!(
                        "no heartbeat within {} s. The frontend must reach {}:{}; SHOW BACKENDS tells what it met (ErrMsg)",
                        arguments.wait_seconds,
                        node.address().host,
                        node.address().heartbeat_port
                    ),
                }
            }
            (Some(_) | None, _) => {
                announce(&node, arguments.print_json);
                first_heartbeat(&node).await;
                eprintln!("first heartbeat came: in cluster {}", cluster(&node));
            }
        }
        Ok(())
    };
    let ended = tokio::select! {
        biased;
        ended = &mut end => ended.map(|()| true),
        joined = joined => joined.map(|()| false),
    };
    let ended = match ended {
        Ok(false) => end.await,
        Ok(true) => Ok(()),
        Err(error) => Err(error),
    };
    // Ends connections, which blocks for a moment.
    tokio::task::spawn_blocking(move || node.stop())
        .await
        .context("stopping the backend")?;
    ended
}

fn store(wanted: Option<&std::path::Path>) -> Result<(PathBuf, Option<tempfile::TempDir>)> {
    if let Some(dir) = wanted {
        return Ok((dir.to_owned(), None));
    }
    let dir = tempfile::Builder::new()
        .prefix("dorisim-be-")
        .tempdir()
        .context("making a temporary data directory")?;
    Ok((dir.path().join("store"), Some(dir)))
}

async fn register(fe: &(String, u16), arguments: &BeArguments, port: u16) -> Result<()> {
    let (host, query_port) = fe;
    let options = OptsBuilder::default()
        .ip_or_hostname(host.clone())
        .tcp_port(*query_port)
        .user(Some(arguments.user.clone()))
        .pass(Some(arguments.password.clone()))
        .prefer_socket(false)
        // Given, they are not asked for by a SELECT: a frontend without a backend that is alive answers none.
        .max_allowed_packet(Some(PACKET_BYTES))
        .wait_timeout(Some(WAIT_SECONDS));
    let mut connection = Conn::new(options).await.with_context(|| {
        format!(
            "connecting to the frontend {host}:{query_port} as {} (its query_port, not its rpc_port; password by --password or DORISIM_FE_PASSWORD)",
            arguments.user
        )
    })?;
    let me = format!("{}:{port}", arguments.host);
    let added = connection
        .query_drop(format!("ALTER SYSTEM ADD BACKEND \"{me}\""))
        .await;
    let known = |error: &mysql_async::Error| error.to_string().contains("already exist");
    match added {
        Ok(()) => eprintln!("registered {me} at {host}:{query_port}"),
        Err(error) if known(&error) => {
            eprintln!("{me} is registered at {host}:{query_port} already")
        }
        Err(error) => {
            return Err(error).with_context(|| {
                format!("the frontend {host}:{query_port} refused the backend {me}")
            });
        }
    }
    // The registration stands; a connection that ends badly changes nothing.
    if let Err(error) = connection.disconnect().await {
        tracing::debug!(%error, "connection to the frontend ended badly");
    }
    Ok(())
}

async fn first_heartbeat(node: &BackendNode) {
    let mut joined = node.agent().joined();
    let address = node.address();
    let mut waited = Duration::ZERO;
    while !*joined.borrow_and_update() {
        // Ends only with the agent, which the node holds.
        match tokio::time::timeout(PROGRESS_EVERY, joined.changed()).await {
            Ok(_changed) => {}
            Err(_elapsed) => {
                waited += PROGRESS_EVERY;
                eprintln!(
                    "waiting for the first heartbeat at {}:{} ({} s)",
                    address.host,
                    address.heartbeat_port,
                    waited.as_secs()
                );
            }
        }
    }
}

fn cluster(node: &BackendNode) -> i32 {
    node.agent().membership().cluster_id().unwrap_or(-1)
}

fn announce(node: &BackendNode, as_json: bool) {
    let address = node.address();
    if as_json {
        println!(
            "{}",
            json!({
                "id": node.backend().id(),
                "host": address.host,
                "be_port": address.be_port,
                "http_port": address.http_port,
                "heartbeat_port": address.heartbeat_port,
                "brpc_port": address.brpc_port,
                "cluster_id": node.agent().membership().cluster_id(),
                "store": node.backend().store().display().to_string(),
            })
        );
        return;
    }
    println!(
        "ready: be_port {}   http {}   heartbeat {}   files {}",
        address.be_port,
        address.http_port,
        address.heartbeat_port,
        node.backend().store().display()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frontend_is_host_and_port() {
        assert_eq!(parse_fe("fe:9030").unwrap(), ("fe".to_owned(), 9030));
        for bad in ["fe", ":9030", "fe:x", "fe:99999"] {
            assert!(parse_fe(bad).is_err(), "{bad}");
        }
    }
}
