//! `cargo xtask kafka`: a broker to try things out with. The same jars and the same code as in tests.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ccr_test_kafka::{KafkaServer, install};
use clap::Subcommand;

/// Bound of starting and stopping, installation not counted.
const BOUND: Duration = Duration::from_secs(90);

/// Verbs of `kafka`.
#[derive(Debug, Subcommand)]
pub enum KafkaTask {
    /// Fetch the jars from Maven Central into target/kafka, unless they are there.
    Install,
    /// Start a broker in the background with empty storage. Prints its address.
    Start(StartArgs),
    /// Stop it. Its data are removed.
    Stop,
    /// What `start` runs in the background.
    #[command(hide = true)]
    Serve(StartArgs),
}

/// Where it listens.
#[derive(Debug, Clone, clap::Args)]
pub struct StartArgs {
    /// Port on 127.0.0.1 for clients; the next one is taken for the controller.
    #[arg(long, default_value_t = 9092, value_parser = clap::value_parser!(u16).range(1..=65534))]
    port: u16,
}

/// Does one of them.
pub fn kafka(task: &KafkaTask) -> Result<()> {
    match task {
        KafkaTask::Install => {
            install::available().map_err(anyhow::Error::msg)?;
            println!("{}", install::install()?.display());
            Ok(())
        }
        KafkaTask::Start(args) => start(args),
        KafkaTask::Stop => stop(),
        KafkaTask::Serve(args) => serve(args),
    }
}

/// Exists while a broker of `start` runs; holds its address.
fn running() -> PathBuf {
    install::home().join("running")
}

/// Made by `stop`, to ask for the end.
fn stopping() -> PathBuf {
    install::home().join("stop")
}

fn start(args: &StartArgs) -> Result<()> {
    if let Ok(address) = fs::read_to_string(running()) {
        bail!(
            "a broker runs already at {}; stop it with `cargo xtask kafka stop` (or remove {} when it is long gone)",
            address.trim(),
            running().display()
        );
    }
    install::available().map_err(anyhow::Error::msg)?;
    install::install()?;
    let _ = fs::remove_file(stopping());
    let log_path = install::home().join("start.log");
    let log =
        fs::File::create(&log_path).with_context(|| format!("writing {}", log_path.display()))?;
    let mut command = Command::new(std::env::current_exe().context("finding this program")?);
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        // Ctrl-C in this terminal is not meant for the broker.
        command.process_group(0);
    }
    let mut serve = command
        .args(["kafka", "serve", "--port", &args.port.to_string()])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("starting the broker's keeper")?;
    let up = until(BOUND, || {
        if let Ok(address) = fs::read_to_string(running()) {
            return Some(Ok(address));
        }
        match serve.try_wait() {
            Ok(Some(_)) | Err(_) => Some(Err(())),
            Ok(None) => None,
        }
    });
    match up {
        Some(Ok(address)) => {
            println!("{}", address.trim());
            Ok(())
        }
        Some(Err(())) | None => bail!(
            "the broker did not start:\n{}",
            fs::read_to_string(&log_path).unwrap_or_default()
        ),
    }
}

fn stop() -> Result<()> {
    if !running().exists() {
        println!("no broker runs");
        return Ok(());
    }
    fs::write(stopping(), "").context("asking the broker to stop")?;
    until(BOUND, || (!running().exists()).then_some(())).with_context(|| {
        format!(
            "the broker did not stop; if it is long gone, remove {}",
            running().display()
        )
    })?;
    let _ = fs::remove_file(stopping());
    println!("stopped");
    Ok(())
}

fn serve(args: &StartArgs) -> Result<()> {
    let mut server = KafkaServer::start_on(args.port, args.port + 1)?;
    let mut file = fs::File::create_new(running()).context("another broker was faster")?;
    writeln!(file, "{}", server.bootstrap())?;
    drop(file);
    while until(Duration::from_secs(3600), || {
        stopping().exists().then_some(())
    })
    .is_none()
    {}
    server.stop();
    drop(server);
    fs::remove_file(running()).context("telling that the broker stopped")
}

/// Asks `done` until it answers or the bound is reached.
#[allow(
    clippy::disallowed_methods,
    reason = "another process is watched; its time is the machine's"
)]
fn until<T>(bound: Duration, mut done: impl FnMut() -> Option<T>) -> Option<T> {
    let start = std::time::Instant::now();
    loop {
        if let Some(value) = done() {
            return Some(value);
        }
        if start.elapsed() >= bound {
            return None;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}
