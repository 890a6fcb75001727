//! What every process of the product has: a log, jobs, statuses, tasks under supervision, and `/live`, `/ready`,
//! `/metrics`.

mod args;
mod error;
mod kafka;
mod log_watch;
mod readiness;
mod run;

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use ccr_log::SharedLog;
use ccr_ops::http::{self, Bounds, Health};
use ccr_ops::task::{BoxError, Chain, Outcome};
use ccr_ops::{Clock, OnError, Sealer, Supervisor, SystemClock};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use log_watch::watch_log;
use readiness::Readiness;

pub use args::{LogFormat, ProcessArgs, read_log_key, start_telemetry};
pub use error::ProcessError;
pub use kafka::{KafkaArgs, KafkaSettings};
pub use run::{EXIT_FAILED, EXIT_USAGE, Prepared, exit_code, run};

use crate::{Installation, JobRegistry, StatusBoard};

/// A process: its shared objects and its tasks.
pub struct Process {
    /// The log.
    pub log: SharedLog,
    /// Jobs, kept up to date.
    pub registry: Arc<JobRegistry>,
    /// Statuses, kept up to date.
    pub status: Arc<StatusBoard>,
    /// What outlasts jobs, kept up to date.
    pub installation: Arc<Installation>,
    /// Seals and opens secrets in the log.
    pub sealer: Sealer,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Conditions of `/ready`.
    pub health: Health,
    /// Bounds of the HTTP server.
    pub bounds: Bounds,
    /// No other process works on the log: what nobody works on is missing here.
    pub alone: bool,
    tasks: Supervisor,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("log", &self.log.describe())
            .field("tasks", &self.tasks)
            .finish_non_exhaustive()
    }
}

impl Process {
    /// Opens the topics that all processes share and follows them. Tasks end when `token` is cancelled, and cancel it when
    /// one of them fails.
    ///
    /// # Errors
    /// [`ProcessError::Topic`].
    pub async fn start(
        log: SharedLog,
        prefix: &str,
        sealer: Sealer,
        token: CancellationToken,
    ) -> Result<Self, ProcessError> {
        let clock = SystemClock::shared();
        let registry = JobRegistry::with_clock(log.clone(), prefix, clock.clone())
            .await
            .map_err(|error| ProcessError::Topic("jobs", error))?;
        let status = StatusBoard::with_clock(log.clone(), prefix, clock.clone())
            .await
            .map_err(|error| ProcessError::Topic("status", error))?;
        let installation = Installation::open(log.clone(), prefix, clock.clone())
            .await
            .map_err(|error| ProcessError::Topic("installation", error))?;
        let mut process = Self {
            log,
            installation: installation.clone(),
            registry: registry.clone(),
            status: status.clone(),
            sealer,
            clock,
            health: Health::default(),
            bounds: Bounds::default(),
            alone: false,
            tasks: Supervisor::new(token.clone()),
        };
        process
            .health
            .not_ready("started", "the process is starting");
        let watch = watch_log(process.log.clone(), token.clone());
        process.spawn("log", watch);
        let (stop, clock) = (token.clone(), process.clock.clone());
        process.spawn("jobs", async move {
            registry.run(&*clock, stop).await;
            Ok::<(), Infallible>(())
        });
        let (stop, clock) = (token.clone(), process.clock.clone());
        process.spawn("installation", async move {
            installation.run(&*clock, stop).await;
            Ok::<(), Infallible>(())
        });
        let clock = process.clock.clone();
        process.spawn("statuses", async move {
            status.run(&*clock, token).await;
            Ok::<(), Infallible>(())
        });
        Ok(process)
    }

    /// Cancelled when the process is to stop.
    pub fn token(&self) -> CancellationToken {
        self.tasks.token()
    }

    /// Starts a part without which the process makes no sense: its failure stops all.
    pub fn spawn<E: Into<BoxError> + 'static>(
        &mut self,
        name: &'static str,
        future: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.tasks.spawn(name, OnError::StopAll, future);
    }

    /// Serves `router` with `/live`, `/ready` and `/metrics` next to it, within [`Process::bounds`], and keeps `/ready` up to
    /// date; `flag` names the option with the address in errors. Returns the address that was bound.
    ///
    /// # Errors
    /// [`ProcessError::Listen`].
    pub async fn serve(
        &mut self,
        address: SocketAddr,
        flag: &'static str,
        router: Router,
    ) -> Result<SocketAddr, ProcessError> {
        let failed = |source| ProcessError::Listen {
            address,
            flag,
            source,
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let (health, bounds) = (self.health.clone(), self.bounds.clone());
        let watch = Readiness {
            registry: self.registry.clone(),
            board: self.status.clone(),
            health: health.clone(),
            clock: self.clock.clone(),
            owner: owner(),
            alone: self.alone,
        };
        self.spawn("readiness", watch.run(self.token()));
        let serving = http::serve(listener, router, health, bounds, self.token());
        self.spawn("http", serving);
        Ok(bound)
    }

    /// Waits until all tasks have ended, for at most `deadline` after the token was cancelled.
    ///
    /// # Errors
    /// [`ProcessError::Task`] of the first that did not end as it should.
    pub async fn ended(self, deadline: Duration) -> Result<(), ProcessError> {
        let exits = self.tasks.join_all(deadline).await;
        exits
            .into_iter()
            .try_for_each(|exit| judge(exit.name, &exit.outcome))
    }
}

fn judge(name: String, outcome: &Outcome) -> Result<(), ProcessError> {
    let problem = match outcome {
        Outcome::Finished => return Ok(()),
        Outcome::Failed(error) => Chain(error.as_ref()).to_string(),
        Outcome::Panicked(message) => format!("panicked: {message}"),
        Outcome::Aborted => "did not stop in time".to_owned(),
    };
    Err(ProcessError::Task { name, problem })
}

/// `host:pid`, for people.
pub fn owner() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::env::var("HOSTNAME"))
        .unwrap_or_default();
    format!("{}:{}", host.trim(), std::process::id())
}

#[cfg(test)]
mod tests {
    use std::io;

    use ccr_log::embedded::Embedded;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    async fn process() -> Process {
        let log = Embedded::in_memory().unwrap();
        let sealer = Sealer::from_base64(Sealer::generate_key().expose()).unwrap();
        Process::start(log, "ccr", sealer, CancellationToken::new())
            .await
            .unwrap()
    }

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn health_is_served_next_to_the_own_routes_until_the_end() {
        let mut process = process().await;
        let own = Router::new().route("/own", axum::routing::get(async || "mine"));
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let address = process.serve(any, "--listen", own).await.unwrap();
        process.health.not_ready("source", "away");
        assert!(get(address, "/own").await.ends_with("mine"));
        assert!(get(address, "/live").await.starts_with("HTTP/1.1 200"));
        assert!(get(address, "/ready").await.contains("away"));
        let taken = process.serve(address, "--listen", Router::new()).await;
        assert!(taken.unwrap_err().to_string().contains("--listen"));
        process.token().cancel();
        process.ended(SOON).await.unwrap();
    }

    #[tokio::test]
    async fn a_part_that_fails_stops_all_and_is_named() {
        let mut process = process().await;
        process.spawn("broken", async { Err(io::Error::other("no space")) });
        let error = process.ended(SOON).await.unwrap_err();
        assert_eq!(error.to_string(), "task broken: no space");
    }
}
