//! Items of the configuration of an FE that the simulator reads or clients ask for, as ADMIN SHOW FRONTEND CONFIG lists them.
//!
//! `frontend_config.txt` has it from an FE built from Doris master of January 2026: name, type, mutable, master only, default.

use std::sync::LazyLock;

use crate::api::SqlError;

/// One item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfigItem {
    /// Its name, with `experimental_` in front where Doris shows it so.
    pub name: &'static str,
    /// `boolean`, `int`, `long`, `String` and others.
    pub kind: &'static str,
    /// ADMIN SET may change it.
    pub mutable: bool,
    /// Only the master reads it.
    pub master_only: bool,
    /// Its value where nobody set another.
    pub default: &'static str,
}

static ALL: LazyLock<Vec<ConfigItem>> = LazyLock::new(|| {
    include_str!("frontend_config.txt")
        .lines()
        .map(|line| {
            let mut parts = line.splitn(5, ' ');
            let mut next = || parts.next().unwrap_or_default();
            ConfigItem {
                name: next(),
                kind: next(),
                mutable: next() == "true",
                master_only: next() == "true",
                default: next(),
            }
        })
        .collect()
});

/// Settable here though Doris wants a restart for them: tests switch them in one run.
const SETTABLE: [&str; 2] = [
    "enable_feature_binlog",
    "enable_restore_snapshot_rpc_compression",
];

/// Returns all items, ordered by name.
#[must_use]
pub fn frontend_config() -> &'static [ConfigItem] {
    &ALL
}

/// The name without what marks an item as experimental.
#[must_use]
pub fn plain_name(name: &str) -> &str {
    name.strip_prefix("experimental_").unwrap_or(name)
}

/// Refuses an item that is not there or can not be changed. Those of the simulator, `dorisim_...`, always can.
pub(crate) fn check_settable(name: &str) -> Result<(), SqlError> {
    let plain = plain_name(name);
    if name.starts_with("dorisim_") || SETTABLE.contains(&plain) {
        return Ok(());
    }
    match ALL.iter().find(|item| plain_name(item.name) == plain) {
        Some(item) if item.mutable => Ok(()),
        Some(_) => Err(SqlError::analysis(format!(
            "Config '{name}' is not mutable"
        ))),
        None => Err(SqlError::analysis(format!(
            "Config '{name}' does not exist"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_have_their_types_and_are_checked() {
        let item = |name: &str| *ALL.iter().find(|item| item.name == name).unwrap();
        assert_eq!(item("experimental_enable_feature_binlog").kind, "boolean");
        assert_eq!(item("label_keep_max_second").default, "259200");
        assert!(frontend_config().len() > 40);
        assert_eq!(
            check_settable("nope").unwrap_err().text,
            "Config 'nope' does not exist"
        );
        assert_eq!(
            check_settable("query_port").unwrap_err().text,
            "Config 'query_port' is not mutable"
        );
        for fine in [
            "label_keep_max_second",
            "dorisim_anything",
            "enable_feature_binlog",
        ] {
            assert_eq!(check_settable(fine), Ok(()), "{fine}");
        }
    }
}
