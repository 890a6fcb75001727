//! Configuration in layers: defaults < file < environment < flags. An error names the layer and the field.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use thiserror::Error;
use toml::{Table, Value};

/// Where a value came from. Later variants win.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The code.
    Defaults,
    /// A TOML file.
    File(PathBuf),
    /// An environment variable, by name.
    Env(String),
    /// A command-line flag, by name.
    Flag(String),
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defaults => f.write_str("defaults"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum LayerError {
    /// The file is not there or cannot be read.
    #[error("cannot read configuration file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("configuration file {path} is not valid TOML at line {line}: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1; 0 when the parser did not say.
        line: usize,
        /// The parser's words, without the text of the file.
        reason: String,
    },
    /// One field is set as a value and as a section: `a` and `a.b`.
    #[error("configuration field `{field}` ({layer}): set both as a section and as a value")]
    Shape {
        /// Path of the field, dotted.
        field: String,
        /// Who set it last.
        layer: Layer,
    },
    /// A value does not fit.
    #[error("configuration field `{field}` ({layer}): {reason}")]
    Field {
        /// Path of the field, dotted.
        field: String,
        /// Who set it.
        layer: Layer,
        /// What is wrong.
        reason: String,
    },
}

/// Collects layers. Call the methods in the order of the layers.
#[derive(Debug, Default)]
pub struct Layers {
    table: Table,
    origins: BTreeMap<String, Layer>,
}

impl Layers {
    /// Defaults alone: what the type's `#[serde(default)]` says.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a TOML file. A file that was asked for must be there.
    ///
    /// # Errors
    /// [`LayerError::Read`], [`LayerError::Syntax`].
    pub fn file(mut self, path: &Path) -> Result<Self, LayerError> {
        let text = std::fs::read_to_string(path).map_err(|source| LayerError::Read {
            path: path.to_owned(),
            source,
        })?;
        let table: Table = toml::from_str(&text).map_err(|error| LayerError::Syntax {
            path: path.to_owned(),
            line: error
                .span()
                .and_then(|span| text.get(..span.start))
                .map_or(0, |before| before.matches('\n').count() + 1),
            reason: error.message().to_owned(),
        })?;
        let layer = Layer::File(path.to_owned());
        merge(&mut self.table, table, "", &layer, &mut self.origins);
        Ok(self)
    }

    /// Adds the variables that begin with `prefix`: `CCR_LOG__MAX_BYTES` with prefix `CCR_` sets `log.max_bytes`.
    /// Variables without a double underscore are left to the command line and are no part of this layer.
    ///
    /// # Errors
    /// [`LayerError::Shape`].
    pub fn env(
        mut self,
        prefix: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, LayerError> {
        let mut sorted: Vec<_> = variables
            .into_iter()
            .filter_map(|(name, value)| {
                let path = name.strip_prefix(prefix)?;
                path.contains("__").then(|| {
                    (
                        path.to_ascii_lowercase().replace("__", "."),
                        name.clone(),
                        value,
                    )
                })
            })
            .collect();
        sorted.sort();
        for (field, name, value) in sorted {
            self.set(&field, &value, Layer::Env(name))?;
        }
        Ok(self)
    }

    /// Adds one flag: `("log.max_bytes", "--log-max-bytes", "1024")`.
    ///
    /// # Errors
    /// [`LayerError::Shape`].
    pub fn flag(mut self, field: &str, flag: &str, value: &str) -> Result<Self, LayerError> {
        self.set(field, value, Layer::Flag(flag.to_owned()))?;
        Ok(self)
    }

    /// Puts it all together.
    ///
    /// # Errors
    /// [`LayerError::Field`] with the layer that set the field.
    pub fn load<T: DeserializeOwned>(mut self) -> Result<T, LayerError> {
        loop {
            let error = match serde_path_to_error::deserialize(Value::Table(self.table.clone())) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let mut field = error.path().to_string();
            let reason = error.inner().message().to_owned();
            // Texts that look like a number or a truth value but belong into a string field.
            if self.turn_into_text(&field) {
                continue;
            }
            // The path of an unknown field ends at its table; its name is in the message.
            if let Some(name) = reason
                .strip_prefix("unknown field `")
                .and_then(|rest| rest.split('`').next())
                && !field.ends_with(name)
            {
                field = join(if field == "." { "" } else { &field }, name);
            }
            return Err(LayerError::Field {
                layer: self.origin(&field),
                field,
                reason,
            });
        }
    }

    /// True when a value from the environment or a flag was taken for something else than text, and is text now.
    fn turn_into_text(&mut self, field: &str) -> bool {
        if !matches!(
            self.origins.get(field),
            Some(Layer::Env(_) | Layer::Flag(_))
        ) {
            return false;
        }
        let mut at = &mut self.table;
        let mut parts: Vec<&str> = field.split('.').collect();
        let Some(last) = parts.pop() else {
            return false;
        };
        for part in parts {
            match at.get_mut(part) {
                Some(Value::Table(inner)) => at = inner,
                Some(_) | None => return false,
            }
        }
        let Some(value) = at.get_mut(last) else {
            return false;
        };
        let text = match value {
            Value::Integer(number) => number.to_string(),
            Value::Boolean(truth) => truth.to_string(),
            Value::String(_)
            | Value::Float(_)
            | Value::Datetime(_)
            | Value::Array(_)
            | Value::Table(_) => return false,
        };
        *value = Value::String(text);
        true
    }

    fn origin(&self, field: &str) -> Layer {
        let mut path = field;
        loop {
            if let Some(layer) = self.origins.get(path) {
                return layer.clone();
            }
            // `a.b[3]` belongs to `a.b`, `a.b.c` to `a.b`.
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return Layer::Defaults,
            }
        }
    }

    fn set(&mut self, field: &str, text: &str, layer: Layer) -> Result<(), LayerError> {
        let shape = || LayerError::Shape {
            field: field.to_owned(),
            layer: layer.clone(),
        };
        let mut at = &mut self.table;
        let mut parts: Vec<&str> = field.split('.').collect();
        let last = parts.pop().ok_or_else(shape)?;
        for part in parts {
            let inner = at.entry(part).or_insert_with(|| Value::Table(Table::new()));
            at = inner.as_table_mut().ok_or_else(shape)?;
        }
        if matches!(at.get(last), Some(Value::Table(_))) {
            return Err(shape());
        }
        at.insert(last.to_owned(), scalar(text));
        self.origins.insert(field.to_owned(), layer);
        Ok(())
    }
}

/// Whole numbers and truth values only when their text would come back the same: `007` and `1e3` stay text.
/// A list is written as in TOML: `["a", "b"]`.
fn scalar(text: &str) -> Value {
    if let Ok(number) = text.parse::<i64>()
        && number.to_string() == text
    {
        return Value::Integer(number);
    }
    match text {
        "true" => return Value::Boolean(true),
        "false" => return Value::Boolean(false),
        _other => {}
    }
    if text.starts_with('[')
        && let Ok(mut table) = toml::from_str::<Table>(&format!("v = {text}"))
        && let Some(list @ Value::Array(_)) = table.remove("v")
    {
        return list;
    }
    Value::String(text.to_owned())
}

fn merge(
    into: &mut Table,
    from: Table,
    prefix: &str,
    layer: &Layer,
    origins: &mut BTreeMap<String, Layer>,
) {
    for (key, value) in from {
        let path = join(prefix, &key);
        match (into.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new, &path, layer, origins),
            (_, value) => {
                note(&value, &path, layer, origins);
                into.insert(key, value);
            }
        }
    }
}

fn note(value: &Value, path: &str, layer: &Layer, origins: &mut BTreeMap<String, Layer>) {
    origins.insert(path.to_owned(), layer.clone());
    if let Value::Table(table) = value {
        for (key, inner) in table {
            note(inner, &join(path, key), layer, origins);
        }
    }
}

fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() {
        key.to_owned()
    } else {
        format!("{prefix}.{key}")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use serde::Deserialize;

    use super::*;
    use crate::Secret;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Config {
        log: Log,
        names: Vec<String>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Log {
        bootstrap: String,
        password: Secret,
        max_bytes: u32,
        durable: bool,
    }

    impl Default for Log {
        fn default() -> Self {
            Self {
                bootstrap: "localhost:9092".to_owned(),
                password: Secret::default(),
                max_bytes: 7,
                durable: true,
            }
        }
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("file");
        file.write_all(text.as_bytes()).expect("write");
        file
    }

    fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn later_layers_win_field_by_field() {
        let file =
            file("names = ['a']\n[log]\nmax_bytes = 10\nbootstrap = 'file:1'\ndurable = true\n");
        let config: Config = Layers::new()
            .file(file.path())
            .expect("file")
            .env(
                "CCR_",
                env(&[
                    ("CCR_LOG__MAX_BYTES", "20"),
                    ("CCR_LOG__DURABLE", "false"),
                    ("CCR_KAFKA", "ignored, no section"),
                    ("PATH", "/bin"),
                ]),
            )
            .expect("env")
            .flag("log.max_bytes", "--log-max-bytes", "30")
            .expect("flag")
            .load()
            .expect("load");
        assert_eq!(config.log.max_bytes, 30);
        assert_eq!(config.log.bootstrap, "file:1");
        assert!(!config.log.durable);
        assert_eq!(config.names, ["a"]);
        assert_eq!(config.log.password.expose(), "");
    }

    #[test]
    fn defaults_alone_are_a_configuration() {
        let config: Config = Layers::new().load().expect("load");
        assert_eq!(config.log.max_bytes, 7);
    }

    #[test]
    fn text_that_looks_like_a_number_stays_what_was_given() {
        for password in ["0123", "123", "true", "1e5", "-7", "[x", ""] {
            let config: Config = Layers::new()
                .env("CCR_", env(&[("CCR_LOG__PASSWORD", password)]))
                .expect("env")
                .load()
                .expect("load");
            assert_eq!(config.log.password.expose(), password);
        }
    }

    #[test]
    fn lists_come_from_the_environment_too() {
        let config: Config = Layers::new()
            .flag("names", "--names", "['a', 'b']")
            .expect("flag")
            .load()
            .expect("load");
        assert_eq!(config.names, ["a", "b"]);
    }

    fn text_of(layers: Layers) -> String {
        layers.load::<Config>().expect_err("wrong").to_string()
    }

    #[test]
    fn a_wrong_value_names_its_field_and_the_layer_that_set_it() {
        let file = file("[log]\nmax_bytes = 'many'\n");
        let with_file = || Layers::new().file(file.path()).expect("file");
        assert_eq!(
            text_of(with_file()),
            format!(
                "configuration field `log.max_bytes` (file {}): invalid type: string \"many\", expected u32",
                file.path().display()
            )
        );
        let variables = env(&[("CCR_LOG__MAX_BYTES", "-1")]);
        let text = text_of(with_file().env("CCR_", variables).expect("env"));
        assert!(
            text.starts_with(
                "configuration field `log.max_bytes` (environment variable CCR_LOG__MAX_BYTES):"
            ),
            "{text}"
        );
        let text = text_of(
            with_file()
                .flag("log.max_bytes", "--log-max-bytes", "lots")
                .expect("flag"),
        );
        assert!(text.contains("(flag --log-max-bytes)"), "{text}");
    }

    #[test]
    fn an_unknown_field_names_its_layer() {
        let text = text_of(
            Layers::new()
                .env("CCR_", env(&[("CCR_LOG__MAXBYTES", "1")]))
                .expect("env"),
        );
        assert!(
            text.starts_with(
                "configuration field `log.maxbytes` (environment variable CCR_LOG__MAXBYTES): unknown field"
            ),
            "{text}"
        );
        let file = file("verbose = true\n");
        let text = text_of(Layers::new().file(file.path()).expect("file"));
        assert!(
            text.starts_with("configuration field `verbose` (file "),
            "{text}"
        );
    }

    #[test]
    fn files_that_cannot_be_read_or_parsed_are_named() {
        let error = Layers::new()
            .file(Path::new("/nonexistent/ccr.toml"))
            .expect_err("not there");
        assert!(error.to_string().contains("/nonexistent/ccr.toml"));
        let file = file("[log]\nmax_bytes = = 3\n");
        let error = Layers::new().file(file.path()).expect_err("not TOML");
        assert!(error.to_string().contains("at line 2"), "{error}");
    }

    #[test]
    fn a_section_is_not_a_value() {
        let error = Layers::new()
            .flag("log", "--log", "x")
            .expect("flag")
            .flag("log.max_bytes", "--log-max-bytes", "1")
            .expect_err("shape");
        assert!(matches!(error, LayerError::Shape { .. }), "{error}");
    }
}
