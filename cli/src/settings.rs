//! Settings of `ccr standalone` in layers: defaults < file of `--config` < environment < `--set` < other flags.

use ccr_applier::ApplierConfig;
use ccr_control::process::{KafkaSettings, owner};
use ccr_ops::layers::Layers;
use ccr_producer::ProducerConfig;
use serde::Deserialize;

use anyhow::{Result, bail};

use crate::args::StandaloneArgs;

/// What a configuration file holds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The producer's.
    pub producer: ProducerConfig,
    /// The applier's.
    pub applier: ApplierConfig,
    /// Of librdkafka.
    pub kafka: KafkaSettings,
}

impl Settings {
    /// Returns all layers put together.
    ///
    /// # Errors
    /// Names the layer and the field.
    pub fn of(
        args: &StandaloneArgs,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self> {
        let mut layers = Layers::new();
        if let Some(path) = &args.config {
            layers = layers.file(path)?;
        }
        // Those of Kafka are read with the options about Kafka.
        let ours = variables.into_iter().filter(|(name, _)| {
            name.starts_with("CCR_PRODUCER__") || name.starts_with("CCR_APPLIER__")
        });
        layers = layers.env("CCR_", ours)?;
        for Setting { field, value } in &args.set {
            layers = layers.flag(field, &format!("--set {field}"), value)?;
        }
        if let Some(prefix) = &args.log.topic_prefix {
            for field in ["producer.prefix", "applier.prefix"] {
                layers = layers.flag(field, "--topic-prefix", prefix)?;
            }
        }
        if let Some(url) = &args.log.schema_registry {
            layers = layers.flag("producer.schema_registry", "--schema-registry", url)?;
        }
        let mut settings: Self = layers.load()?;
        let defaults = Self::default();
        if settings.producer.owner == defaults.producer.owner {
            settings.producer.owner = owner();
        }
        if settings.applier.owner == defaults.applier.owner {
            settings.applier.owner = owner();
        }
        settings.producer.validate()?;
        settings.applier.validate()?;
        let (one, other) = (&settings.producer.prefix, &settings.applier.prefix);
        if one != other {
            bail!(
                "configuration fields producer.prefix ({one}) and applier.prefix ({other}) differ; one process uses one prefix: give --topic-prefix"
            );
        }
        Ok(settings)
    }
}

/// `--set FIELD=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Dotted, as in a configuration file.
    pub field: String,
    /// As in an environment variable.
    pub value: String,
}

impl std::str::FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (field, value) = text
            .split_once('=')
            .ok_or("write it as FIELD=VALUE, for instance producer.settle=50ms")?;
        if !field.starts_with("producer.") && !field.starts_with("applier.") {
            return Err(format!(
                "{field} is no setting of the producer or the applier; write producer.NAME=VALUE or applier.NAME=VALUE, and settings of Kafka with --kafka-config or --kafka-option"
            ));
        }
        Ok(Self {
            field: field.to_owned(),
            value: value.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn settings(line: &[&str], variables: &[(&str, &str)]) -> Result<Settings> {
        let args = Args::try_parse_from(["ccr", "standalone"].iter().chain(line))?;
        let Command::Standalone(args) = args.command else {
            panic!("another command");
        };
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::of(&args, variables)
    }

    #[test]
    fn one_process_takes_every_setting_of_producer_and_applier() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            "[producer]\nsettle = \"20ms\"\nlook_back = \"20s\"\n[applier]\ncommit_interval = \"50ms\"\nsnapshot_timeout = \"2h\"\n[kafka]\nlinger.ms = 1\n",
        )
        .unwrap();
        let path = file.path().to_str().unwrap();
        let line = [
            "--config",
            path,
            "--set",
            "producer.batch=100",
            "--set",
            "applier.status_interval=2s",
            "--topic-prefix",
            "acme",
        ];
        let variables = [
            ("CCR_PRODUCER__LOOK_BACK", "30s"),
            ("CCR_APPLIER__POLL_INTERVAL", "100ms"),
            ("CCR_KAFKA__SASL_PASSWORD", "not of this layer"),
        ];
        let all = settings(&line, &variables).unwrap();
        assert_eq!(all.producer.settle, Duration::from_millis(20));
        assert_eq!(all.producer.look_back, Duration::from_secs(30));
        assert_eq!(all.producer.batch, 100);
        assert_eq!(all.applier.commit_interval, Duration::from_millis(50));
        assert_eq!(all.applier.snapshot_timeout, Duration::from_secs(7200));
        assert_eq!(all.applier.status_interval, Duration::from_secs(2));
        assert_eq!(all.applier.poll_interval, Duration::from_millis(100));
        assert_eq!(all.kafka.0["linger.ms"], "1");
        assert_eq!(
            (&*all.producer.prefix, &*all.applier.prefix),
            ("acme", "acme")
        );
        assert_eq!(all.producer.owner, owner());
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        let cases = [
            ("producer.setle=20ms", "setle"),
            ("applier.window=1", "window"),
            ("producer.settle=20", "250ms"),
            ("applier.commit_interval=1ms", "commit_interval"),
            ("applier.prefix=other", "--topic-prefix"),
            ("kafka.sasl.password=pw", "--kafka-config"),
            ("producer.settle", "FIELD=VALUE"),
        ];
        for (setting, named) in cases {
            let text = format!("{:#}", settings(&["--set", setting], &[]).unwrap_err());
            assert!(text.contains(named), "{setting}: {text}");
        }
        let unknown = [("CCR_APPLIER__NONSENSE", "1")];
        let text = format!("{:#}", settings(&[], &unknown).unwrap_err());
        assert!(
            text.contains("nonsense") && text.contains("commit_interval"),
            "{text}"
        );
    }
}
