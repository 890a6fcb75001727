//! Command line of `ccr-applier`. Doc comments are the help text.

use std::time::Duration;

use ccr_applier::ApplierConfig;
use ccr_control::process::{KafkaSettings, ProcessArgs};
use ccr_ops::layers::LayerError;
use clap::Parser;
use serde::Deserialize;

/// Repeats the events of source databases on destination Doris clusters, each exactly once.
///
/// Which jobs there are comes from the log: create them with `ccr job create` or `POST /create_ccr` of a process that serves
/// the HTTP API. Start two appliers: each job is worked on by one of them, and the other takes over when that one dies. An
/// applier keeps no state of its own; it can be killed at any moment.
#[derive(Debug, Parser)]
#[command(
    name = "ccr-applier",
    version,
    max_term_width = 110,
    after_help = "Configuration file (TOML), environment (CCR_APPLIER__COMMIT_INTERVAL_MS=100) and flags, the later ones \
                  win:\n\n  [applier]\n  commit_interval_ms = 200   # how often the position is made durable, 10 to \
                  10000\n  drain_deadline_ms = 15000  # how long a stop waits for what is in flight\n\n  [kafka]\n  \
                  security.protocol = \"sasl_ssl\"   # or in the file of --kafka-config, or CCR_KAFKA__SECURITY_PROTOCOL\n\nExit codes: 0 stopped by SIGTERM or SIGINT, 1 failed, 2 wrong command \
                  line, configuration or rights on Kafka."
)]
pub struct Args {
    /// What every process has.
    #[command(flatten)]
    pub process: ProcessArgs,
    /// Run only this job; can be repeated. Without it all jobs are run.
    #[arg(long = "job", value_name = "NAME", display_order = 50)]
    pub jobs: Vec<String>,
}

/// What a configuration file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileSettings {
    /// The applier's.
    pub applier: ApplierSettings,
    /// Of librdkafka.
    pub kafka: KafkaSettings,
}

/// The applier's part of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApplierSettings {
    /// See [`ApplierConfig::commit_interval`], milliseconds.
    pub commit_interval_ms: u64,
    /// See [`ApplierConfig::drain_deadline`], milliseconds.
    pub drain_deadline_ms: u64,
}

impl Default for ApplierSettings {
    fn default() -> Self {
        Self {
            commit_interval_ms: 200,
            drain_deadline_ms: 15_000,
        }
    }
}

impl Args {
    /// File and environment put together.
    ///
    /// # Errors
    /// Names the layer and the field.
    pub fn settings(
        &self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<FileSettings, LayerError> {
        self.process.layers("applier", variables)?.load()
    }

    /// Settings of the service.
    pub fn applier(&self, settings: &ApplierSettings, owner: String) -> ApplierConfig {
        let defaults = ApplierConfig::default();
        ApplierConfig {
            prefix: self.process.topic_prefix.clone().unwrap_or(defaults.prefix),
            owner,
            only_jobs: (!self.jobs.is_empty()).then(|| self.jobs.iter().cloned().collect()),
            commit_interval: Duration::from_millis(settings.commit_interval_ms.clamp(10, 10_000)),
            drain_deadline: Duration::from_millis(settings.drain_deadline_ms),
            ..ApplierConfig::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    const MINIMAL: [&str; 5] = ["ccr-applier", "--kafka", "k:9092", "--log-key-file", "key"];

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn jobs_and_layers_reach_the_service() {
        let args =
            Args::try_parse_from(MINIMAL.iter().chain(&["--job", "a", "--job", "b"])).unwrap();
        let variables = vec![
            (
                "CCR_APPLIER__COMMIT_INTERVAL_MS".to_owned(),
                "50".to_owned(),
            ),
            ("CCR_PRODUCER__SETTLE".to_owned(), "1ms".to_owned()),
        ];
        let settings = args.settings(variables).unwrap();
        let config = args.applier(&settings.applier, "me".to_owned());
        assert_eq!(config.commit_interval, Duration::from_millis(50));
        assert!(config.runs("a") && config.runs("b") && !config.runs("c"));
        let wrong = vec![("CCR_APPLIER__NONSENSE".to_owned(), "1".to_owned())];
        assert!(
            args.settings(wrong)
                .unwrap_err()
                .to_string()
                .to_lowercase()
                .contains("nonsense")
        );
    }

    #[test]
    fn help_tells_what_is_needed() {
        let help = Args::command()
            .term_width(110)
            .render_long_help()
            .to_string();
        for wanted in [
            "--kafka",
            "--log-key-file",
            "ccr keygen",
            "--job",
            "Exit codes",
        ] {
            assert!(help.contains(wanted), "{wanted} is not in\n{help}");
        }
    }
}
