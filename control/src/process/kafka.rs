//! How a process is told where Kafka is and how it is protected.
//!
//! `[kafka]` of the settings file < `--kafka-config` < `CCR_KAFKA__*` < `--kafka-option`, the later ones win.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use ccr_log::Error;
use ccr_log::kafka::{KafkaConfig, is_secret, read_properties};
use ccr_schemas::topic::reader_group;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

/// Variables that set one property each: `CCR_KAFKA__SASL_PASSWORD` is `sasl.password`.
const VARIABLES: &str = "CCR_KAFKA__";
const BOOTSTRAP: &str = "bootstrap.servers";

/// Options about Kafka. Doc comments are the help text; the order leaves room between them.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct KafkaArgs {
    /// Kafka brokers; can also be set in the file below, as `bootstrap.servers`.
    #[arg(
        long,
        env = "CCR_KAFKA",
        hide_env_values = true,
        value_name = "HOST:PORT[,HOST:PORT...]",
        display_order = 10
    )]
    pub kafka: Option<String>,
    /// File with librdkafka settings, one NAME=VALUE a line: TLS, user, password, replication.factor (see docs/kafka.md).
    /// Variables CCR_KAFKA__SASL_PASSWORD and the like set single ones.
    #[arg(
        long,
        env = "CCR_KAFKA_CONFIG",
        hide_env_values = true,
        value_name = "FILE",
        display_order = 15
    )]
    pub kafka_config: Option<PathBuf>,
    /// More librdkafka settings, for instance `security.protocol=ssl`; can be repeated. No passwords: others can see them.
    #[arg(long = "kafka-option", value_name = "NAME=VALUE", display_order = 20)]
    pub kafka_options: Vec<String>,
}

impl KafkaArgs {
    /// All settings together; `None` when nobody says where Kafka is.
    ///
    /// # Errors
    /// [`Error::Config`] names the setting that can not work, and where it came from.
    pub fn config(
        &self,
        prefix: &str,
        settings: &KafkaSettings,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Option<KafkaConfig>, Error> {
        let mut config = KafkaConfig::new(String::new());
        config.reader_group = reader_group(prefix);
        let mut bootstrap = None;
        let mut set = |name: &str, value: &str| {
            if name == BOOTSTRAP {
                bootstrap = Some(value.to_owned());
                return Ok(());
            }
            config.set(name, value)
        };
        for (name, value) in &settings.0 {
            set(name, value)?;
        }
        if let Some(path) = &self.kafka_config {
            for (name, value) in read_properties(path)? {
                set(&name, &value)?;
            }
        }
        let mut variables: Vec<_> = variables
            .into_iter()
            .filter_map(|(name, value)| Some((property(&name)?, value)))
            .collect();
        variables.sort();
        for (name, value) in variables {
            set(&name, &value)?;
        }
        for option in &self.kafka_options {
            let name = option.split_once('=').map_or("", |(name, _)| name.trim());
            if is_secret(name) {
                return Err(Error::Config(format!(
                    "--kafka-option {name}: every user of this machine can read a command line; put it into the file of --kafka-config, or into {}",
                    variable(name)
                )));
            }
            config.set_option(option)?;
        }
        let Some(bootstrap) = self.kafka.clone().or(bootstrap) else {
            return Ok(None);
        };
        config.bootstrap = bootstrap;
        config.validate()?;
        Ok(Some(config))
    }
}

/// `CCR_KAFKA__SASL_PASSWORD` is `sasl.password`: properties of librdkafka have dots, names of variables can not.
fn property(variable: &str) -> Option<String> {
    let name = variable.strip_prefix(VARIABLES)?;
    Some(
        name.to_ascii_lowercase()
            .replace("__", ".")
            .replace('_', "."),
    )
}

fn variable(property: &str) -> String {
    format!("{VARIABLES}{}", property.to_uppercase().replace('.', "_"))
}

/// The `[kafka]` section of a settings file: properties of librdkafka. `security.protocol = "ssl"` and
/// `"security.protocol" = "ssl"` are the same.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KafkaSettings(pub BTreeMap<String, String>);

impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self
            .0
            .iter()
            .map(|(name, value)| (name, if is_secret(name) { "<secret>" } else { value }));
        f.debug_map().entries(shown).finish()
    }
}

/// One value or a table of more, as the dots of a name become in TOML.
enum Node {
    Leaf(String),
    Table(BTreeMap<String, Node>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value of a Kafka property")
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Leaf(value.to_owned()))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Leaf(value.to_string()))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Leaf(value.to_string()))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Leaf(value.to_string()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Node, A::Error> {
        BTreeMap::deserialize(MapAccessDeserializer::new(map)).map(Node::Table)
    }
}

impl<'de> Deserialize<'de> for KafkaSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Node::Table(table) = Node::deserialize(deserializer)? else {
            return Err(D::Error::custom("expected a table [kafka]"));
        };
        let mut flat = BTreeMap::new();
        flatten(String::new(), table, &mut flat);
        Ok(Self(flat))
    }
}

fn flatten(prefix: String, table: BTreeMap<String, Node>, into: &mut BTreeMap<String, String>) {
    for (key, node) in table {
        let name = format!("{prefix}{key}");
        match node {
            Node::Leaf(value) => drop(into.insert(name, value)),
            Node::Table(inner) => flatten(name + ".", inner, into),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        kafka: KafkaArgs,
    }

    fn args(line: &[&str]) -> KafkaArgs {
        Program::try_parse_from(["p"].iter().chain(line))
            .unwrap()
            .kafka
    }

    fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn layers_win_in_their_order_and_no_secret_shows() {
        let settings: KafkaSettings = toml::from_str(
            "security.protocol = \"ssl\"\n\"sasl.password\" = \"pa55-1\"\nsasl.username = \"one\"\nlinger.ms = 1\nreplication.factor = 3\n",
        )
        .unwrap();
        assert!(!format!("{settings:?}").contains("pa55"));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            file.path(),
            "bootstrap.servers=file:1\nsecurity.protocol=sasl_ssl\nsasl.mechanism=PLAIN\nsasl.username=two\nsasl.password=pa55-2\n",
        )
        .unwrap();
        let line = [
            "--kafka-config",
            file.path().to_str().unwrap(),
            "--kafka-option",
            "sasl.username=four",
        ];
        let variables = env(&[
            ("CCR_KAFKA__SASL_PASSWORD", "pa55-3"),
            ("CCR_KAFKA__SASL_USERNAME", "three"),
            ("CCR_KAFKA", "not a property"),
        ]);
        let config = args(&line)
            .config("acme", &settings, variables)
            .unwrap()
            .unwrap();
        assert_eq!(config.bootstrap, "file:1");
        assert_eq!(config.reader_group, "acme.reader");
        assert_eq!(config.replication_factor, Some(3));
        assert_eq!(config.extra["security.protocol"], "sasl_ssl");
        assert_eq!(config.extra["sasl.password"], "pa55-3");
        assert_eq!(config.extra["sasl.username"], "four");
        assert!(!format!("{config:?}").contains("pa55"));
        let named = args(&["--kafka", "flag:1", line[0], line[1]]);
        let config = named.config("ccr", &settings, env(&[])).unwrap().unwrap();
        assert_eq!(config.bootstrap, "flag:1");
    }

    #[test]
    fn nobody_says_where_kafka_is() {
        let none = args(&[]).config("ccr", &KafkaSettings::default(), env(&[]));
        assert!(none.unwrap().is_none());
    }

    #[test]
    fn a_password_on_the_command_line_is_refused_with_the_way_out() {
        let line = ["--kafka", "k:1", "--kafka-option", "sasl.password=pa55"];
        let refused = args(&line)
            .config("ccr", &KafkaSettings::default(), env(&[]))
            .unwrap_err()
            .to_string();
        assert!(refused.contains("CCR_KAFKA__SASL_PASSWORD"), "{refused}");
        assert!(!refused.contains("pa55"), "{refused}");
        let file = [
            "--kafka",
            "k:1",
            "--kafka-option",
            "sasl.password.file=/no/such",
        ];
        let refused = args(&file)
            .config("ccr", &KafkaSettings::default(), env(&[]))
            .unwrap_err()
            .to_string();
        assert!(refused.contains("/no/such"), "{refused}");
    }
}
