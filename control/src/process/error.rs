//! Why a process can not start, or ended.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use ccr_ops::telemetry::TelemetryError;
use thiserror::Error;

/// Why a process can not start, or ended.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// Logs or metrics.
    #[error("cannot start logs and metrics")]
    Telemetry(#[from] TelemetryError),
    /// The log key's file.
    #[error("log key {path}; make one with `ccr keygen > {path}`", path = .path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What the file holds is no log key.
    #[error("log key {path}", path = .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ccr_ops::secret::SealError,
    },
    /// A topic of the process could not be opened.
    #[error("cannot open the {0} topic")]
    Topic(&'static str, #[source] crate::Error),
    /// The address for HTTP can not be had.
    #[error("listening on {address} ({flag})")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Where it was given.
        flag: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A part of the process failed; what happened is logged.
    #[error("task {name}: {problem}")]
    Task {
        /// The part.
        name: String,
        /// With its causes.
        problem: String,
    },
}
