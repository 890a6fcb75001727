//! Command line of `ccr-producer`. Doc comments are the help text.

use ccr_control::process::{KafkaSettings, ProcessArgs};
use ccr_ops::layers::LayerError;
use ccr_producer::ProducerConfig;
use clap::Parser;
use serde::Deserialize;

/// Tails the binlogs of source Doris clusters into Kafka.
///
/// Which databases, and how their clusters are reached, comes from the jobs in the log: create them with `ccr job create` or
/// `POST /create_ccr` of a process that serves the HTTP API. Start two producers: each database is tailed by one of them,
/// and the other takes over when that one dies. A producer keeps no state of its own; it can be killed at any moment.
#[derive(Debug, Parser)]
#[command(
    name = "ccr-producer",
    version,
    max_term_width = 110,
    after_help = "Configuration file (TOML), environment (CCR_PRODUCER__SETTLE=50ms) and flags, the later ones win:\n\n  \
                  [producer]\n  settle = \"100ms\"          # how long a record is visible before it is published\n  \
                  look_back = \"10s\"         # age at which published positions are compared with the source once more\n  \
                  poll_interval = \"20ms\"    # pause between two questions while records come, at most 50ms\n  \
                  idle_poll_interval = \"1s\"  # and of a stream that was idle for idle_after = \"60s\"\n  \
                  timeline_confirm = \"30s\"   # how long a source must contradict the log before its jobs halt\n  \
                  events_retention = \"7d\"   # or \"never\"\n  snapshot_reuse = \"1h\"     # share snapshots of this age\n\n  \
                  [kafka]\n  security.protocol = \"sasl_ssl\"   # or in the file of --kafka-config, or CCR_KAFKA__SECURITY_PROTOCOL\n\n\
                  Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failed, 2 wrong command line, configuration or rights on Kafka."
)]
pub struct Args {
    /// What every process has.
    #[command(flatten)]
    pub process: ProcessArgs,
    /// Confluent-compatible schema registry; without it events carry their schema's fingerprint.
    #[arg(
        long,
        env = "CCR_SCHEMA_REGISTRY",
        hide_env_values = true,
        value_name = "URL",
        display_order = 50
    )]
    pub schema_registry: Option<String>,
}

/// What a configuration file holds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The producer's.
    pub producer: ProducerConfig,
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
    ) -> Result<Settings, LayerError> {
        let mut layers = self.process.layers("producer", variables)?;
        if let Some(prefix) = &self.process.topic_prefix {
            layers = layers.flag("producer.prefix", "--topic-prefix", prefix)?;
        }
        if let Some(url) = &self.schema_registry {
            layers = layers.flag("producer.schema_registry", "--schema-registry", url)?;
        }
        layers.load()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::CommandFactory;

    use super::*;

    const MINIMAL: [&str; 5] = ["ccr-producer", "--kafka", "k:9092", "--log-key-file", "key"];

    fn args(more: &[&str]) -> Args {
        Args::try_parse_from(MINIMAL.iter().chain(more)).unwrap()
    }

    fn env(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), value.to_owned())]
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn layers_override_each_other_and_errors_name_the_field() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            "[producer]\nsettle = \"5ms\"\nprefix = \"a\"\nevents_retention = \"never\"\n[kafka]\n\"security.protocol\" = \"ssl\"\n",
        )
        .unwrap();
        let path = file.path().to_str().unwrap();
        let settings = args(&["--config", path, "--topic-prefix", "b"])
            .settings(env("CCR_PRODUCER__SETTLE", "7ms"))
            .unwrap();
        assert_eq!(settings.producer.settle, Duration::from_millis(7));
        assert_eq!(settings.producer.prefix, "b");
        assert_eq!(settings.producer.events_retention, None);
        assert_eq!(settings.kafka.0["security.protocol"], "ssl");
        let error = args(&[])
            .settings(env("CCR_PRODUCER__SETTLE", "soon"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("producer.settle") && error.contains("CCR_PRODUCER__SETTLE"),
            "{error}"
        );
        let other = args(&[]).settings(env("CCR_APPLIER__WINDOW", "1")).unwrap();
        assert_eq!(other, Settings::default());
    }

    #[test]
    fn help_tells_what_is_needed() {
        insta::assert_snapshot!(Args::command().term_width(110).render_long_help());
    }
}
