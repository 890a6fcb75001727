//! What was run at the source, for whoever has to find out why two tables differ.

use std::collections::{BTreeMap, BTreeSet};

/// Statements in the order in which they took effect.
#[derive(Clone, Debug, Default)]
pub struct History {
    statements: Vec<String>,
}

impl History {
    /// Takes a statement in.
    pub fn push(&mut self, statement: &str) {
        self.statements.push(statement.to_owned());
    }

    /// Number of statements.
    pub fn len(&self) -> usize {
        self.statements.len()
    }

    /// True before the first statement.
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// All statements, one a line.
    pub fn all(&self) -> String {
        self.statements.join("\n")
    }

    /// The table that a view reads; nothing when the name was never a view's.
    pub fn view_of(&self, name: &str) -> Option<String> {
        let defines = format!("VIEW {name} AS ");
        let last = self
            .statements
            .iter()
            .rev()
            .find(|sql| sql.contains(&defines))?;
        let (_, from) = last.split_once(" FROM ")?;
        words(from).first().map(|table| (*table).to_owned())
    }

    /// The names that the tables have now that ever bore `name`. A halted table is told by the name it had then.
    pub fn names_now(&self, name: &str) -> BTreeSet<String> {
        let mut bearer: BTreeMap<&str, usize> = BTreeMap::new();
        let mut bore: BTreeSet<usize> = BTreeSet::new();
        for (number, statement) in self.statements.iter().enumerate() {
            let words = words(statement);
            match words[..] {
                ["CREATE", "TABLE", table, ..] => {
                    bearer.insert(table, number);
                }
                [
                    "ALTER",
                    "TABLE",
                    old,
                    "REPLACE",
                    "WITH",
                    "TABLE",
                    new,
                    ..,
                    swap,
                ] => {
                    let (one, other) = (bearer.remove(old), bearer.remove(new));
                    bearer.extend(other.map(|table| (old, table)));
                    bearer.extend(one.filter(|_| swap == "true").map(|table| (new, table)));
                }
                _ => {
                    if let Some((old, new)) = exchanged(&words)
                        && let Some(table) = bearer.remove(old)
                    {
                        bearer.insert(new, table);
                    }
                }
            }
            bore.extend(bearer.get(name));
        }
        let alive = bearer.iter().filter(|(_, table)| bore.contains(*table));
        alive.map(|(now, _)| (*now).to_owned()).collect()
    }

    /// The last statements that concern a table, under the names it had before as well, oldest first.
    pub fn of(&self, table: &str, limit: usize) -> Vec<String> {
        let mut name = table.to_owned();
        let mut found = Vec::new();
        for (number, statement) in self.statements.iter().enumerate().rev() {
            let words = words(statement);
            if !words.contains(&name.as_str()) {
                continue;
            }
            found.push(format!("{number}: {statement}"));
            if found.len() == limit {
                break;
            }
            if let Some((old, new)) = exchanged(&words) {
                if new == name {
                    name = old.to_owned();
                } else if old == name && words.contains(&"REPLACE") {
                    name = new.to_owned();
                }
            }
        }
        found.reverse();
        found
    }
}

fn words(statement: &str) -> Vec<&str> {
    statement
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .collect()
}

/// The names in `ALTER TABLE a RENAME b` and `ALTER TABLE a REPLACE WITH TABLE b`.
fn exchanged<'a>(words: &[&'a str]) -> Option<(&'a str, &'a str)> {
    match words {
        [
            "ALTER",
            "TABLE",
            _,
            "RENAME",
            "COLUMN" | "PARTITION" | "ROLLUP",
            ..,
        ] => None,
        ["ALTER", "TABLE", old, "RENAME", new] => Some((old, new)),
        ["ALTER", "TABLE", old, "REPLACE", "WITH", "TABLE", new, ..] => Some((old, new)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_followed_to_the_name_that_it_has_now() {
        let mut history = History::default();
        for statement in [
            "CREATE TABLE a (id INT)",
            "ALTER TABLE a RENAME b",
            "CREATE TABLE a (id INT)",
            "ALTER TABLE b RENAME COLUMN x y",
            "ALTER TABLE b REPLACE WITH TABLE a PROPERTIES (\"swap\" = \"true\")",
            "ALTER TABLE a RENAME c",
            "CREATE TABLE a (id INT)",
            "ALTER TABLE c REPLACE WITH TABLE a PROPERTIES (\"swap\" = \"false\")",
        ] {
            history.push(statement);
        }
        let names = |name| history.names_now(name).into_iter().collect::<Vec<_>>();
        assert_eq!(names("a"), ["b", "c"]);
        assert_eq!(names("b"), ["b"]);
    }

    #[test]
    fn a_table_is_followed_back_through_its_names() {
        let mut history = History::default();
        for statement in [
            "CREATE TABLE a (id INT)",
            "CREATE TABLE b LIKE c",
            "INSERT INTO a VALUES (1, 'b2')",
            "ALTER TABLE a RENAME d",
            "ALTER TABLE e REPLACE WITH TABLE d PROPERTIES (\"swap\" = \"false\")",
            "INSERT INTO e VALUES (2)",
        ] {
            history.push(statement);
        }
        let found = history.of("e", 10);
        assert_eq!(found.len(), 5, "{found:#?}");
        assert!(found[0].starts_with("0: CREATE TABLE a"), "{found:#?}");
    }
}
