//! Typed statements -> SQL text. The only place where identifiers are quoted.
//!
//! Statements without a source text are functions here; statements that a source printed are rewritten in [`rewrite`].

pub mod columns;
mod comment;
mod partition_list;
pub mod rewrite;
mod token;
mod truncate;

use std::fmt;

use ccr_schemas::shape::Distribution;

pub use columns::with_on_update;
pub use partition_list::{PartitionList, ends_in_force, partition_list};
pub use rewrite::{
    CreateRewrite, NotUnderstood, add_partition_clause, create_for_destination, requalify,
    retarget_alter,
};
pub use truncate::{TruncateScope, truncate};

/// A quoted identifier.
pub fn ident(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A quoted string.
pub fn string(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A string literal whose content the server takes as it is, as it does for the comments of ALTER TABLE: quoted by
/// what the text does not contain. A text that contains both kinds of quotes is escaped, and keeps the escapes at the destination.
pub fn raw_string(text: &str) -> String {
    let quote = ['"', '\'']
        .into_iter()
        .find(|quote| fits_between(text, *quote));
    match quote {
        Some(quote) => format!("{quote}{text}{quote}"),
        None => string(text),
    }
}

/// Whether the literal would end where the text ends.
fn fits_between(text: &str, quote: char) -> bool {
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let is_pair = c == '\\' || c == quote;
        if is_pair && rest.next().is_none_or(|next| c == quote && next != quote) {
            return false;
        }
    }
    true
}

/// A table or view. `Display` is its quoted form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectName<'a> {
    /// Database; without it the session's.
    pub database: Option<&'a str>,
    /// Name.
    pub name: &'a str,
}

impl<'a> ObjectName<'a> {
    /// In the session's database.
    pub fn bare(name: &'a str) -> Self {
        Self {
            database: None,
            name,
        }
    }

    /// In a database.
    pub fn new(database: &'a str, name: &'a str) -> Self {
        Self {
            database: Some(database),
            name,
        }
    }
}

impl fmt::Display for ObjectName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(database) = self.database {
            write!(f, "{}.", ident(database))?;
        }
        f.write_str(&ident(self.name))
    }
}

fn idents<S: AsRef<str>>(names: &[S]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| ident(name.as_ref())).collect();
    quoted.join(", ")
}

/// `DISTRIBUTED BY ... BUCKETS ...`.
pub fn distribution(wanted: &Distribution) -> String {
    let by = if wanted.hash {
        format!("HASH({})", idents(&wanted.columns))
    } else {
        "RANDOM".to_owned()
    };
    format!("DISTRIBUTED BY {by} BUCKETS {}", buckets(wanted))
}

/// The number of buckets. Also of tables whose number Doris chose: partitions of two clusters must have the same.
fn buckets(wanted: &Distribution) -> String {
    wanted.buckets.to_string()
}

/// CREATE DATABASE IF NOT EXISTS.
pub fn create_database(database: &str) -> String {
    format!("CREATE DATABASE IF NOT EXISTS {}", ident(database))
}

/// DROP TABLE IF EXISTS; `force` leaves nothing in the recycle bin.
pub fn drop_table(table: ObjectName<'_>, force: bool) -> String {
    format!("DROP TABLE IF EXISTS {table}{}", force_word(force))
}

/// DROP VIEW IF EXISTS.
pub fn drop_view(view: ObjectName<'_>) -> String {
    format!("DROP VIEW IF EXISTS {view}")
}

/// ADD PARTITION of an event.
///
/// # Errors
/// [`NotUnderstood`] when the clause is not ADD PARTITION.
pub fn add_partition(
    table: ObjectName<'_>,
    clause: &str,
    wanted: &Distribution,
) -> Result<String, NotUnderstood> {
    let clause = add_partition_clause(clause, wanted)?;
    Ok(format!("ALTER TABLE {table} {clause}"))
}

/// DROP PARTITION IF EXISTS.
pub fn drop_partition(table: ObjectName<'_>, partition: &str, force: bool) -> String {
    format!(
        "ALTER TABLE {table} DROP PARTITION IF EXISTS {}{}",
        ident(partition),
        force_word(force)
    )
}

/// RENAME of a table.
pub fn rename_table(table: ObjectName<'_>, new: &str) -> String {
    format!("ALTER TABLE {table} RENAME {}", ident(new))
}

/// RENAME COLUMN.
pub fn rename_column(table: ObjectName<'_>, old: &str, new: &str) -> String {
    format!(
        "ALTER TABLE {table} RENAME COLUMN {} {}",
        ident(old),
        ident(new)
    )
}

/// RENAME PARTITION.
pub fn rename_partition(table: ObjectName<'_>, old: &str, new: &str) -> String {
    format!(
        "ALTER TABLE {table} RENAME PARTITION {} {}",
        ident(old),
        ident(new)
    )
}

/// RENAME ROLLUP.
pub fn rename_rollup(table: ObjectName<'_>, old: &str, new: &str) -> String {
    format!(
        "ALTER TABLE {table} RENAME ROLLUP {} {}",
        ident(old),
        ident(new)
    )
}

/// MODIFY COMMENT of a table.
pub fn table_comment(table: ObjectName<'_>, comment: &str) -> String {
    format!("ALTER TABLE {table} MODIFY COMMENT {}", raw_string(comment))
}

/// MODIFY COLUMN ... COMMENT of `(column, comment)`s, of which there must be at least one.
pub fn column_comments<S: AsRef<str>>(table: ObjectName<'_>, comments: &[(S, S)]) -> String {
    let clauses: Vec<_> = comments
        .iter()
        .map(|(column, comment)| {
            format!(
                "MODIFY COLUMN {} COMMENT {}",
                ident(column.as_ref()),
                raw_string(comment.as_ref())
            )
        })
        .collect();
    format!("ALTER TABLE {table} {}", clauses.join(", "))
}

/// SET of `(key, value)` properties, of which there must be at least one.
pub fn set_properties<S: AsRef<str>>(table: ObjectName<'_>, properties: &[(S, S)]) -> String {
    format!("ALTER TABLE {table} SET ({})", pairs(properties))
}

fn pairs<S: AsRef<str>>(properties: &[(S, S)]) -> String {
    let pairs: Vec<_> = properties
        .iter()
        .map(|(key, value)| format!("{} = {}", string(key.as_ref()), string(value.as_ref())))
        .collect();
    pairs.join(", ")
}

/// REPLACE WITH TABLE: `replacement` takes the name of `table`; with `swap` they exchange names, else `table` is dropped.
pub fn replace_table(table: ObjectName<'_>, replacement: &str, swap: bool) -> String {
    format!(
        "ALTER TABLE {table} REPLACE WITH TABLE {} PROPERTIES ('swap' = '{swap}')",
        ident(replacement)
    )
}

/// DROP ROLLUP.
pub fn drop_rollup(table: ObjectName<'_>, rollup: &str) -> String {
    format!("ALTER TABLE {table} DROP ROLLUP {}", ident(rollup))
}

/// DROP INDEX of one or more indexes.
pub fn drop_indexes<S: AsRef<str>>(table: ObjectName<'_>, indexes: &[S]) -> String {
    let clauses: Vec<_> = indexes
        .iter()
        .map(|index| format!("DROP INDEX {}", ident(index.as_ref())))
        .collect();
    format!("ALTER TABLE {table} {}", clauses.join(", "))
}

/// MODIFY DISTRIBUTION: the default of future partitions.
pub fn modify_distribution(table: ObjectName<'_>, wanted: &Distribution) -> String {
    let text = distribution(wanted);
    let text = match text.rsplit_once(' ') {
        Some((head, _)) if wanted.auto => format!("{head} AUTO"),
        _ => text,
    };
    format!("ALTER TABLE {table} MODIFY DISTRIBUTION {text}")
}

/// Hash to random, of future partitions.
pub fn distribute_randomly(table: ObjectName<'_>) -> String {
    set_properties(table, &[("distribution_type", "random")])
}

/// ALTER VIEW with `(column, comment)`s; the definition must have been requalified. The list of columns is left out where
/// no column has a comment: the definition names them.
pub fn alter_view(view: ObjectName<'_>, columns: &[(&str, &str)], definition: &str) -> String {
    let has_comments = columns.iter().any(|(_, comment)| !comment.is_empty());
    let list = if has_comments {
        let columns = columns.iter().map(|(name, comment)| match *comment {
            "" => ident(name),
            comment => format!("{} COMMENT {}", ident(name), string(comment)),
        });
        format!(" ({})", columns.collect::<Vec<_>>().join(", "))
    } else {
        String::new()
    };
    format!("ALTER VIEW {view}{list} AS {}", definition.trim())
}

/// MODIFY COMMENT of a view.
pub fn view_comment(view: ObjectName<'_>, comment: &str) -> String {
    format!("ALTER VIEW {view} MODIFY COMMENT {}", string(comment))
}

/// BACKUP SNAPSHOT that stays on the BEs; no tables means the whole database.
pub fn backup_snapshot<S: AsRef<str>>(database: &str, label: &str, tables: &[S]) -> String {
    let only = match tables {
        [] => String::new(),
        some => format!(" ON ({})", idents(some)),
    };
    format!(
        "BACKUP SNAPSHOT {} TO `__keep_on_local__`{only} PROPERTIES (\"type\" = \"full\")",
        ObjectName::new(database, label)
    )
}

fn force_word(force: bool) -> &'static str {
    if force { " FORCE" } else { "" }
}

/// CANCEL RESTORE: ends whichever restore job runs in the database.
pub fn cancel_restore(database: &str) -> String {
    format!("CANCEL RESTORE FROM {}", ident(database))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a`b' \"-- /*é\\";

    #[test]
    fn statements() {
        let t = ObjectName::new("d", "t");
        let hash = Distribution {
            hash: true,
            columns: vec!["k`1".to_owned(), "k2".to_owned()],
            buckets: 8,
            auto: true,
        };
        for (made, expected) in [
            (create_database("d"), "CREATE DATABASE IF NOT EXISTS `d`"),
            (drop_table(t, true), "DROP TABLE IF EXISTS `d`.`t` FORCE"),
            (drop_view(ObjectName::bare("v")), "DROP VIEW IF EXISTS `v`"),
            (
                drop_partition(t, "p", false),
                "ALTER TABLE `d`.`t` DROP PARTITION IF EXISTS `p`",
            ),
            (rename_table(t, "u"), "ALTER TABLE `d`.`t` RENAME `u`"),
            (
                rename_column(t, "a", "b"),
                "ALTER TABLE `d`.`t` RENAME COLUMN `a` `b`",
            ),
            (
                rename_partition(t, "a", "b"),
                "ALTER TABLE `d`.`t` RENAME PARTITION `a` `b`",
            ),
            (
                rename_rollup(t, "a", "b"),
                "ALTER TABLE `d`.`t` RENAME ROLLUP `a` `b`",
            ),
            (
                table_comment(t, "it's"),
                "ALTER TABLE `d`.`t` MODIFY COMMENT \"it's\"",
            ),
            (
                column_comments(t, &[("a", "x\\"), ("b", "\"y\""), ("c", "a\\nb\"\"'")]),
                "ALTER TABLE `d`.`t` MODIFY COLUMN `a` COMMENT 'x\\\\', MODIFY COLUMN `b` COMMENT '\"y\"', \
                 MODIFY COLUMN `c` COMMENT \"a\\nb\"\"'\"",
            ),
            (
                set_properties(t, &[("k", "v")]),
                "ALTER TABLE `d`.`t` SET ('k' = 'v')",
            ),
            (
                replace_table(t, "u", false),
                "ALTER TABLE `d`.`t` REPLACE WITH TABLE `u` PROPERTIES ('swap' = 'false')",
            ),
            (drop_rollup(t, "r"), "ALTER TABLE `d`.`t` DROP ROLLUP `r`"),
            (
                drop_indexes(t, &["i", "j"]),
                "ALTER TABLE `d`.`t` DROP INDEX `i`, DROP INDEX `j`",
            ),
            (
                distribution(&hash),
                "DISTRIBUTED BY HASH(`k``1`, `k2`) BUCKETS 8",
            ),
            (
                modify_distribution(t, &hash),
                "ALTER TABLE `d`.`t` MODIFY DISTRIBUTION DISTRIBUTED BY HASH(`k``1`, `k2`) BUCKETS AUTO",
            ),
            (
                distribute_randomly(t),
                "ALTER TABLE `d`.`t` SET ('distribution_type' = 'random')",
            ),
            (
                alter_view(t, &[("a", ""), ("b", "")], " SELECT 1 "),
                "ALTER VIEW `d`.`t` AS SELECT 1",
            ),
            (
                alter_view(t, &[("a", "it's"), ("b", "")], "SELECT 1"),
                "ALTER VIEW `d`.`t` (`a` COMMENT 'it\\'s', `b`) AS SELECT 1",
            ),
            (
                view_comment(t, "c"),
                "ALTER VIEW `d`.`t` MODIFY COMMENT 'c'",
            ),
            (
                backup_snapshot("d", "l", &["a", "b"]),
                "BACKUP SNAPSHOT `d`.`l` TO `__keep_on_local__` ON (`a`, `b`) PROPERTIES (\"type\" = \"full\")",
            ),
            (
                backup_snapshot::<&str>("d", "l", &[]),
                "BACKUP SNAPSHOT `d`.`l` TO `__keep_on_local__` PROPERTIES (\"type\" = \"full\")",
            ),
        ] {
            assert_eq!(made, expected);
        }
    }

    #[test]
    fn hostile_names_and_texts_stay_one_token() {
        let name = ident(HOSTILE);
        let [token] = token::tokens(&name)[..] else {
            panic!("one token is expected");
        };
        assert_eq!(token.identifier().as_deref(), Some(HOSTILE));
        let text = string(HOSTILE);
        assert_eq!(token::tokens(&text).len(), 1);
        assert_eq!(
            token::tokens(&rename_table(ObjectName::bare(HOSTILE), HOSTILE)).len(),
            9
        );
    }

    proptest::proptest! {
        #[test]
        fn any_name_and_text_stays_one_token(text in "\\PC{0,20}") {
            let quoted = ident(&text);
            let tokens = token::tokens(&quoted);
            proptest::prop_assert_eq!(tokens.len(), 1);
            proptest::prop_assert_eq!(tokens[0].identifier().unwrap(), text.clone());
            proptest::prop_assert_eq!(token::tokens(&string(&text)).len(), 1);
        }
    }
}
