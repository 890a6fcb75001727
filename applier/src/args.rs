//! Command line of `ccr-applier`. Doc comments are the help text.

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
    after_help = "Configuration file (TOML), environment (CCR_APPLIER__COMMIT_INTERVAL=100ms) and flags, the later ones \
                  win:\n\n  [applier]\n  commit_interval = \"200ms\"  # how often the position is made durable\n  \
                  drain_deadline = \"15s\"     # how long a stop waits for what is in flight, up to 25s\n  \
                  visible_timeout = \"60s\"    # how long a change waits for transactions to become visible before it asks again\n  \
                  poll_interval = \"500ms\"    # pause between two questions about a restore or a queued ingest\n  \
                  snapshot_timeout = \"1h\"    # wait for a snapshot before it is asked for again\n  \
                  status_interval = \"1s\"     # how often the status is reported, up to 5s\n\n  [kafka]\n  \
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
    pub applier: ApplierConfig,
    /// Of librdkafka.
    pub kafka: KafkaSettings,
}

impl Args {
    /// All layers put together.
    ///
    /// # Errors
    /// Names the layer and the field.
    pub fn settings(
        &self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<FileSettings, LayerError> {
        let mut layers = self.process.layers("applier", variables)?;
        if let Some(prefix) = &self.process.topic_prefix {
            layers = layers.flag("applier.prefix", "--topic-prefix", prefix)?;
        }
        let mut settings: FileSettings = layers.load()?;
        if !self.jobs.is_empty() {
            settings.applier.only_jobs = Some(self.jobs.iter().cloned().collect());
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
            ("CCR_APPLIER__COMMIT_INTERVAL".to_owned(), "50ms".to_owned()),
            ("CCR_APPLIER__SNAPSHOT_TIMEOUT".to_owned(), "2h".to_owned()),
            ("CCR_PRODUCER__SETTLE".to_owned(), "1ms".to_owned()),
        ];
        let config = args.settings(variables).unwrap().applier;
        assert_eq!(config.commit_interval, Duration::from_millis(50));
        assert_eq!(config.snapshot_timeout, Duration::from_secs(7200));
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
