//! Statements of a backup.

use ccr_doris::{Row, ddl};

use super::plan::Scope;

/// Tables and views of the session's database.
pub const SHOW_TABLES: &str = "SHOW TABLES";

/// Starts a backup that stays on the source's BEs.
pub fn backup(database: &str, label: &str, scope: &Scope) -> String {
    let tables: Vec<&str> = match scope {
        Scope::Database => Vec::new(),
        Scope::Tables(tables) => tables.iter().map(String::as_str).collect(),
    };
    ddl::backup_snapshot(database, label, &tables)
}

/// The backups of a label.
pub fn show_backup(database: &str, label: &str) -> String {
    format!(
        "SHOW BACKUP FROM {} WHERE SnapshotName = {}",
        ddl::ident(database),
        ddl::string(label)
    )
}

/// Name in a row of [`SHOW_TABLES`]: its column is called after the database.
pub fn table_name(row: &Row) -> Option<String> {
    row.iter()
        .find(|(column, _)| column.starts_with("Tables_in_"))
        .and_then(|(_, value)| value.clone())
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

    #[test]
    fn the_name_is_found_whatever_the_database_is_called() {
        let row = Row::from([("Tables_in_sales".to_owned(), Some("t".to_owned()))]);
        assert_eq!(table_name(&row).as_deref(), Some("t"));
    }
}
