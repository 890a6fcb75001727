//! Logs and metrics.

use std::io::{self, IsTerminal};
use std::num::NonZeroU32;
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use thiserror::Error;
use tracing_subscriber::EnvFilter;

use crate::names;

/// How often recorded histogram values are folded into their summaries, so that they do not pile up when nobody asks.
const UPKEEP: Duration = Duration::from_secs(5);
/// Quantiles cover the last five of these.
const WINDOW: Duration = Duration::from_secs(60);
const WINDOWS: NonZeroU32 = NonZeroU32::new(5).expect("invariant: five is not zero");

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Why logs or metrics could not be set up.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The filter does not parse.
    #[error("log filter {filter:?} is not valid; examples: `info`, `warn,ccr_applier=debug`")]
    Filter {
        /// As given.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Somebody else has set up metrics in this process.
    #[error("cannot set up metrics")]
    Metrics(#[source] metrics_exporter_prometheus::BuildError),
    /// The thread that keeps metrics small could not be started.
    #[error("cannot start the thread for metrics")]
    Thread(#[source] io::Error),
}

/// Logs to stderr (as text, or one JSON object a line) and starts the recorder of metrics. A second call in one process
/// changes nothing.
///
/// # Errors
/// All variants of [`TelemetryError`].
pub fn init(filter: &str, json: bool) -> Result<(), TelemetryError> {
    let env_filter = EnvFilter::try_new(filter).map_err(|source| TelemetryError::Filter {
        filter: filter.to_owned(),
        source,
    })?;
    metrics()?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(env_filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    // An error means that a subscriber is there already (a test's, or ours from an earlier call): it stays.
    let _ = if json {
        builder
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init()
    } else {
        builder.try_init()
    };
    Ok(())
}

/// Starts the recorder of metrics alone.
///
/// # Errors
/// [`TelemetryError::Metrics`], [`TelemetryError::Thread`].
pub fn metrics() -> Result<(), TelemetryError> {
    static STARTING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _only_one = STARTING
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if RECORDER.get().is_some() {
        return Ok(());
    }
    let handle = PrometheusBuilder::new()
        .set_bucket_duration(WINDOW)
        .map_err(TelemetryError::Metrics)?
        .set_bucket_count(WINDOWS)
        .install_recorder()
        .map_err(TelemetryError::Metrics)?;
    let upkeep = handle.clone();
    std::thread::Builder::new()
        .name("metrics".to_owned())
        .spawn(move || keep_small(&upkeep))
        .map_err(TelemetryError::Thread)?;
    let _ = RECORDER.set(handle);
    names::describe();
    metrics::gauge!(names::BUILD_INFO, names::VERSION => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(())
}

/// All metrics in Prometheus' text format; empty before [`init`].
pub fn render() -> String {
    RECORDER
        .get()
        .map(PrometheusHandle::render)
        .unwrap_or_default()
}

#[allow(
    clippy::disallowed_methods,
    reason = "a thread for the whole run of the process; it decides nothing by time"
)]
fn keep_small(handle: &PrometheusHandle) {
    loop {
        std::thread::sleep(UPKEEP);
        handle.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_rendered_and_a_second_start_changes_nothing() {
        init("warn", false).expect("first");
        metrics::counter!("ccr_test_events_total", "job" => "a").increment(3);
        metrics::histogram!("ccr_test_lag_seconds").record(0.25);
        init("info", true).expect("second");
        let text = render();
        assert!(
            text.contains("ccr_test_events_total{job=\"a\"} 3"),
            "{text}"
        );
        assert!(
            text.contains("ccr_test_lag_seconds{quantile=\"0.99\"} 0.2"),
            "{text}"
        );
        assert!(text.contains("ccr_build_info{version="), "{text}");
    }

    #[test]
    fn a_filter_that_does_not_parse_is_named() {
        let error = init("ccr=nosuchlevel=x", false).expect_err("not a filter");
        assert!(error.to_string().contains("ccr=nosuchlevel=x"), "{error}");
    }
}
