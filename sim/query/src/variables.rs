//! Session variables of an FE that the product, its tests and public clients read or set, with the values of a fresh session.
//!
//! `variables.txt` lists them as SHOW VARIABLES of an FE built from Doris master of January 2026 does: name, kind, default. A `-` in
//! front marks those that can be set and are not shown.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::source::SessionInfo;

/// What values a variable takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VariableKind {
    /// `true` or `false`; `@@name` answers 1 or 0.
    Bool,
    /// Integers.
    Integer,
    /// Numbers with a fraction.
    Double,
    /// Anything.
    Text,
}

/// One variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name, in lower case, with `experimental_` or `deprecated_` in front where Doris shows it so.
    pub name: &'static str,
    /// What it takes.
    pub kind: VariableKind,
    /// Its value in a fresh session.
    pub default: &'static str,
    /// SHOW VARIABLES lists it.
    pub shown: bool,
}

static ALL: LazyLock<Vec<Variable>> = LazyLock::new(|| {
    include_str!("variables.txt")
        .lines()
        .map(|line| {
            let mut parts = line.splitn(3, ' ');
            let name = parts.next().unwrap_or_default();
            Variable {
                name: name.trim_start_matches('-'),
                kind: match parts.next() {
                    Some("bool") => VariableKind::Bool,
                    Some("int" | "long") => VariableKind::Integer,
                    Some("double") => VariableKind::Double,
                    Some(_) | None => VariableKind::Text,
                },
                default: parts.next().unwrap_or_default(),
                shown: !name.starts_with('-'),
            }
        })
        .collect()
});

/// What SHOW VARIABLES lists, in its order.
pub fn variables() -> impl Iterator<Item = &'static Variable> {
    ALL.iter().filter(|variable| variable.shown)
}

/// A variable by its name, with or without `experimental_` and `deprecated_` in front.
#[must_use]
pub fn find(name: &str) -> Option<&'static Variable> {
    let bare = |name: &'static str| {
        let name = name.strip_prefix("experimental_").unwrap_or(name);
        name.strip_prefix("deprecated_").unwrap_or(name)
    };
    ALL.iter()
        .find(|variable| variable.name == name || bare(variable.name) == name)
}

impl Variable {
    /// The value that SET gives, as SHOW VARIABLES prints it.
    ///
    /// # Errors
    /// Doris' text for a value that does not fit.
    pub fn accept(&self, value: &str) -> Result<String, String> {
        match self.kind {
            VariableKind::Bool => match value.to_ascii_lowercase().as_str() {
                "true" | "on" | "1" => Ok("true".to_owned()),
                "false" | "off" | "0" => Ok("false".to_owned()),
                _ => Err(format!(
                    "Variable '{}' can't be set to the value of '{value}'",
                    self.name
                )),
            },
            VariableKind::Integer => match (value.parse::<i64>(), self.name) {
                (Ok(number), _) => Ok(number.to_string()),
                // Sizes may carry a unit.
                (Err(_), "exec_mem_limit" | "scan_queue_mem_limit") => Ok(value.to_owned()),
                (Err(_), _) => Err(format!("For input string: \"{value}\"")),
            },
            VariableKind::Double => match value.parse::<f64>() {
                Ok(_) => Ok(value.to_owned()),
                Err(_) => Err(format!("For input string: \"{value}\"")),
            },
            VariableKind::Text => Ok(value.to_owned()),
        }
    }
}

/// The value of `@@name`; `values` are the session's or the global ones.
#[must_use]
pub fn variable(
    session: &SessionInfo,
    values: &BTreeMap<String, String>,
    name: &str,
) -> Option<String> {
    let value = value_among(session, values, name)?;
    Some(match (find(name).map(|known| known.kind), value.as_str()) {
        (Some(VariableKind::Bool), "true") => "1".to_owned(),
        (Some(VariableKind::Bool), "false") => "0".to_owned(),
        _ => value,
    })
}

/// The value of a variable as SHOW VARIABLES prints it.
#[must_use]
pub fn shown_value(session: &SessionInfo, name: &str) -> Option<String> {
    value_among(session, &session.variables, name)
}

fn value_among(
    session: &SessionInfo,
    values: &BTreeMap<String, String>,
    name: &str,
) -> Option<String> {
    if let Some(value) = values.get(name) {
        return Some(value.clone());
    }
    if name == "version" {
        return Some(session.version.clone());
    }
    find(name).map(|known| known.default.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_have_the_values_of_a_fresh_session() {
        assert!(variables().count() > 50);
        for (name, kind, default) in [
            ("autocommit", VariableKind::Bool, "true"),
            ("sql_mode", VariableKind::Text, "ONLY_FULL_GROUP_BY"),
            ("query_timeout", VariableKind::Integer, "900"),
            ("insert_max_filter_ratio", VariableKind::Double, "1.0"),
            ("init_connect", VariableKind::Text, ""),
            ("max_allowed_packet", VariableKind::Integer, "16777216"),
        ] {
            let found = find(name).unwrap();
            assert_eq!((found.kind, found.default), (kind, default), "{name}");
        }
        let hidden = find("enable_nereids_planner").unwrap();
        assert!(!hidden.shown);
        assert_eq!(
            find("enable_agg_state").unwrap().name,
            "experimental_enable_agg_state"
        );
        assert_eq!(find("unique_checks"), None);
    }

    #[test]
    fn values_are_checked() {
        let accept = |name: &str, value: &str| find(name).unwrap().accept(value);
        assert_eq!(accept("autocommit", "OFF").as_deref(), Ok("false"));
        assert_eq!(
            accept("autocommit", "2").unwrap_err(),
            "Variable 'autocommit' can't be set to the value of '2'"
        );
        assert_eq!(
            accept("query_timeout", "x").unwrap_err(),
            "For input string: \"x\""
        );
        assert_eq!(accept("exec_mem_limit", "2G").as_deref(), Ok("2G"));
    }
}
