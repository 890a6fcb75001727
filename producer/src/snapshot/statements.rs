//! Statements of a backup.

use ccr_doris::ddl;

use super::plan::Scope;

/// Starts a backup that stays on the source's BEs.
pub fn backup(database: &str, label: &str, scope: &Scope) -> String {
    let tables: Vec<&str> = match scope {
        Scope::Database => Vec::new(),
        Scope::Tables(tables) => tables.iter().map(String::as_str).collect(),
    };
    ddl::backup_snapshot(database, label, &tables)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_quoted() {
        let tables = Scope::Tables(BTreeSet::from(["a`b".to_owned(), "c".to_owned()]));
        assert_eq!(
            backup("d", "l", &tables),
            "BACKUP SNAPSHOT `d`.`l` TO `__keep_on_local__` ON (`a``b`, `c`) PROPERTIES (\"type\" = \"full\")"
        );
        assert_eq!(
            backup("d", "l", &Scope::Database),
            "BACKUP SNAPSHOT `d`.`l` TO `__keep_on_local__` PROPERTIES (\"type\" = \"full\")"
        );
    }
}
