//! The `dorisim` binary: one simulated cluster on fixed ports, or one backend alone, until Ctrl-C.

mod be_command;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use dorisim::{SimCluster, SimConfig, SimUser};
use serde_json::json;
use tracing_subscriber::EnvFilter;

const EXAMPLES: &str = "\
Examples:
  A cluster on the usual ports, and a client of it:
    dorisim
    mysql -h127.0.0.1 -P9030 -uroot
    mysql> CREATE DATABASE demo PROPERTIES (\"binlog.enable\" = \"true\");
    mysql> CREATE TABLE demo.t (id BIGINT, v STRING) DUPLICATE KEY(id)
        -> DISTRIBUTED BY HASH(id) BUCKETS 2 PROPERTIES (\"replication_num\" = \"1\");

  Stream load (the frontend answers 307 with the address of a backend):
    printf '1,a\\n2,b\\n' | curl --location-trusted -u root: -H 'Expect: 100-continue' \\
      -H 'column_separator: ,' -T - http://127.0.0.1:8030/api/demo/t/_stream_load

  A second cluster beside it, with a password:
    dorisim --name other --fe-port 9031 --thrift-port 9021 --http-port 8031 --password secret

  Faults: make the next three commits fail, see the rules and the counts, remove all rules:
    curl -d '{\"call\":\"commitTxn\",\"effect\":\"fail\",\"code\":6,\"times\":3}' http://127.0.0.1:8030/sim/faults
    curl http://127.0.0.1:8030/sim/faults
    curl http://127.0.0.1:8030/sim/counters
    curl -X DELETE http://127.0.0.1:8030/sim/faults

  A cluster that outlives its process (end it in any way and start it again):
    dorisim --data-dir /tmp/demo

  One backend in a process of its own, also for a genuine frontend:
    dorisim be --help

  Move the clock by one day, then collect old binlogs:
    curl -d '{\"advance_ms\":86400000}' http://127.0.0.1:8030/sim/clock
    curl -X POST http://127.0.0.1:8030/sim/gc";

/// A simulated Doris cluster: MySQL, Thrift and HTTP ports of frontends and backends on 127.0.0.1.
///
/// Port 0 takes any free port; --print-json tells which. Data lives as long as the process unless --data-dir is
/// given: then a later start on that directory goes on where the last one was, however it ended.
#[derive(Debug, Parser)]
#[command(
    name = "dorisim",
    version,
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Name in logs; the default cluster id and token are made from it.
    #[arg(long, default_value = "dorisim")]
    name: String,
    /// MySQL port of the first frontend (query_port).
    #[arg(long, default_value_t = 9030)]
    fe_port: u16,
    /// Thrift port of the first frontend (rpc_port).
    #[arg(long, default_value_t = 9020)]
    thrift_port: u16,
    /// HTTP port of the first frontend: stream load and /sim/...
    #[arg(long, default_value_t = 8030)]
    http_port: u16,
    /// Frontends; all but the first take free ports and answer NOT_MASTER.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=9))]
    frontends: u8,
    /// Backends; they take free ports, see SHOW BACKENDS.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(0..=100))]
    backends: u8,
    /// ClusterId of SHOW FRONTENDS; made from the name by default.
    #[arg(long)]
    cluster_id: Option<i32>,
    /// Token of the download endpoints; made from the name by default.
    #[arg(long, env = "DORISIM_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Password of root and admin; empty by default.
    #[arg(
        long,
        env = "DORISIM_PASSWORD",
        hide_env_values = true,
        default_value = ""
    )]
    password: String,
    /// A further account, NAME:PASSWORD:PRIVILEGES (for example reader:secret:SELECT_PRIV,LOAD_PRIV). May repeat.
    #[arg(long = "user", value_parser = parse_user)]
    users: Vec<SimUser>,
    /// Directory that keeps everything; a temporary one by default. What it holds (cluster id, token, accounts, number of
    /// backends) wins over the defaults; --password and --user count for a new directory only. Ports may change.
    /// One process at a time.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Delay of every publish, in milliseconds.
    #[arg(long, default_value_t = 0)]
    publish_delay_ms: u64,
    /// Print one JSON line with all ports when ready, instead of text.
    #[arg(long)]
    print_json: bool,
}

/// What else than a whole cluster.
#[derive(Debug, Subcommand)]
enum Command {
    Be(be_command::BeArguments),
}

fn parse_user(text: &str) -> Result<SimUser> {
    let mut parts = text.splitn(3, ':');
    let name = parts.next().unwrap_or_default();
    let (Some(password), Some(privileges)) = (parts.next(), parts.next()) else {
        bail!("expected NAME:PASSWORD:PRIVILEGES");
    };
    if name.is_empty() {
        bail!("the name is empty");
    }
    Ok(SimUser {
        name: name.to_owned(),
        password: password.to_owned(),
        privileges: privileges.split(',').map(str::to_owned).collect(),
    })
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    if let Some(Command::Be(be)) = arguments.command {
        return be_command::run(be, wait_for_end()).await;
    }
    let cluster = SimCluster::start(SimConfig {
        name: arguments.name,
        frontends: usize::from(arguments.frontends),
        backends: usize::from(arguments.backends),
        cluster_id: arguments.cluster_id,
        token: arguments.token,
        password: arguments.password,
        users: arguments.users,
        data_dir: arguments.data_dir,
        query_port: arguments.fe_port,
        thrift_port: arguments.thrift_port,
        http_port: arguments.http_port,
        publish_delay: Duration::from_millis(arguments.publish_delay_ms),
        ..SimConfig::default()
    })
    .await?;
    announce(&cluster, arguments.print_json);
    wait_for_end().await?;
    cluster.shutdown().await;
    Ok(())
}

fn announce(cluster: &SimCluster, as_json: bool) {
    let cluster_id = cluster.frontend().config().cluster_id;
    if !as_json {
        println!(
            "ready: mysql -h127.0.0.1 -P{} -uroot   thrift {}   http {}   cluster id {cluster_id}",
            cluster.query_port(),
            cluster.thrift_port(),
            cluster.http_port()
        );
        return;
    }
    let frontends: Vec<_> = cluster
        .frontends()
        .iter()
        .map(|ports| json!({"query_port": ports.query, "thrift_port": ports.thrift, "http_port": ports.http}))
        .collect();
    let backends: Vec<_> = cluster
        .backend_addresses()
        .iter()
        .map(|be| json!({"id": be.id, "be_port": be.be_port, "http_port": be.http_port}))
        .collect();
    println!(
        "{}",
        json!({"cluster_id": cluster_id, "host": "127.0.0.1", "frontends": frontends, "backends": backends})
    );
}

async fn wait_for_end() -> Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .context("listening for SIGTERM")?;
    tokio::select! {
        biased;
        interrupted = tokio::signal::ctrl_c() => interrupted.context("listening for Ctrl-C"),
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn users_are_name_password_privileges() {
        let user = parse_user("reader:se:cret,x:SELECT_PRIV").unwrap();
        assert_eq!(
            (user.name.as_str(), user.password.as_str()),
            ("reader", "se")
        );
        assert!(parse_user("reader:secret").is_err());
        assert!(parse_user(":secret:SELECT_PRIV").is_err());
    }
}
