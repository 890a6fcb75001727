//! The part of the command line that every process on Kafka has, and what is made of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ccr_ops::layers::{LayerError, Layers};
use ccr_ops::{Sealer, telemetry};
use clap::ValueEnum;

use crate::process::{KafkaArgs, ProcessError};

/// Options of every process on Kafka. Doc comments are the help text; the order leaves room for a process' own options
/// at 50.
#[derive(Clone, Debug, clap::Args)]
pub struct ProcessArgs {
    /// Kafka.
    #[command(flatten)]
    pub kafka: KafkaArgs,
    /// File with the log key, the same for all processes on one Kafka (make one with `ccr keygen`).
    #[arg(
        long,
        env = "CCR_LOG_KEY_FILE",
        hide_env_values = true,
        value_name = "FILE",
        display_order = 30
    )]
    pub log_key_file: PathBuf,
    /// First part of every topic name and consumer group; default `ccr`.
    #[arg(
        long,
        env = "CCR_TOPIC_PREFIX",
        hide_env_values = true,
        display_order = 40
    )]
    pub topic_prefix: Option<String>,
    /// TOML file with the settings below.
    #[arg(
        long,
        env = "CCR_CONFIG",
        hide_env_values = true,
        value_name = "FILE",
        display_order = 60
    )]
    pub config: Option<PathBuf>,
    /// Serve /live, /ready and /metrics there.
    #[arg(
        long,
        env = "CCR_METRICS_ADDR",
        hide_env_values = true,
        value_name = "HOST:PORT",
        display_order = 70
    )]
    pub metrics_addr: Option<SocketAddr>,
    /// Log filter for stderr, for instance `info`, `debug`, `warn,ccr_doris=debug`.
    #[arg(
        long,
        env = "CCR_LOG",
        hide_env_values = true,
        default_value = "info",
        display_order = 80
    )]
    pub log: String,
    /// Format of log lines.
    #[arg(long, value_enum, default_value_t = LogFormat::Text, display_order = 90)]
    pub log_format: LogFormat,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl ProcessArgs {
    /// The settings file and the environment. Of the variables only `CCR_<SECTION>__*` are read: other processes may share
    /// the environment, and those of Kafka are read with [`KafkaArgs`].
    ///
    /// # Errors
    /// Names the layer and the field.
    pub fn layers(
        &self,
        section: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Layers, LayerError> {
        let mut layers = Layers::new();
        if let Some(path) = &self.config {
            layers = layers.file(path)?;
        }
        let section = format!("CCR_{}__", section.to_uppercase());
        let ours = variables
            .into_iter()
            .filter(|(name, _)| name.starts_with(&section));
        layers.env("CCR_", ours)
    }
}

/// Starts logs and metrics, and describes the metrics that every process has.
///
/// # Errors
/// [`ProcessError::Telemetry`].
pub fn start_telemetry(filter: &str, format: LogFormat) -> Result<(), ProcessError> {
    telemetry::init(filter, format == LogFormat::Json)?;
    ccr_log::metrics::describe();
    ccr_doris::metrics::describe();
    Ok(())
}

/// The log key in a file.
///
/// # Errors
/// [`ProcessError::KeyFile`], [`ProcessError::Key`].
pub fn read_log_key(path: &Path) -> Result<Sealer, ProcessError> {
    let text = std::fs::read_to_string(path).map_err(|source| ProcessError::KeyFile {
        path: path.to_owned(),
        source,
    })?;
    Sealer::from_base64(&text).map_err(|source| ProcessError::Key {
        path: path.to_owned(),
        source,
    })
}
