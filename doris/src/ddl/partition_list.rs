//! The tail of a TRUNCATE or DROP statement as a source printed it: which partitions it names, and whether it ends in FORCE.

use super::NotUnderstood;
use super::token::{Kind, Token, tokens};

/// Partitions that a statement names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionList {
    /// TEMPORARY is in front of the list.
    pub temporary: bool,
    /// Names, at least one.
    pub names: Vec<String>,
}

/// Reads `[TEMPORARY] PARTITION[S] (p1, p2) [FORCE]`; names are quoted by some releases and bare in others, and a single
/// one may be without brackets. `None` when the text names no partitions: then the statement is about the whole table.
///
/// # Errors
/// [`NotUnderstood`] when the text is anything else. It must not be taken for a statement about the whole table.
pub fn partition_list(tail: &str) -> Result<Option<PartitionList>, NotUnderstood> {
    let all = tokens(tail);
    let words: Vec<&Token<'_>> = all
        .iter()
        .filter(|token| token.kind != Kind::Space)
        .collect();
    let mut rest = words.as_slice();
    if let [before @ .., last] = rest
        && last.is_sign(";")
    {
        rest = before;
    }
    if let [before @ .., last] = rest
        && last.is_word("FORCE")
    {
        rest = before;
    }
    if rest.is_empty() {
        return Ok(None);
    }
    let temporary = rest[0].is_word("TEMPORARY");
    read(&rest[usize::from(temporary)..])
        .map(|names| Some(PartitionList { temporary, names }))
        .ok_or_else(|| NotUnderstood {
            expected: "PARTITIONS (...)",
            head: tail.chars().take(100).collect(),
        })
}

fn read(rest: &[&Token<'_>]) -> Option<Vec<String>> {
    let (keyword, list) = rest.split_first()?;
    if !keyword.is_word("PARTITION") && !keyword.is_word("PARTITIONS") {
        return None;
    }
    let items = match list {
        [single] => return Some(vec![name(single)?]),
        [open, items @ .., close] if open.is_sign("(") && close.is_sign(")") => items,
        _ => return None,
    };
    let mut names = Vec::new();
    for (at, token) in items.iter().enumerate() {
        if at % 2 == 0 {
            names.push(name(token)?);
        } else if !token.is_sign(",") {
            return None;
        }
    }
    (items.len() % 2 == 1).then_some(names)
}

fn name(token: &Token<'_>) -> Option<String> {
    token.identifier().filter(|name| !name.is_empty())
}

/// True when the last word of a statement is FORCE, outside of quotes.
pub fn ends_in_force(statement: &str) -> bool {
    tokens(statement)
        .iter()
        .rev()
        .find(|token| token.kind != Kind::Space && !token.is_sign(";"))
        .is_some_and(|last| last.is_word("FORCE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_of_a_statement_names_its_partitions() {
        let list = |temporary: bool, names: &[&str]| {
            Some(PartitionList {
                temporary,
                names: names.iter().map(|name| (*name).to_owned()).collect(),
            })
        };
        for (tail, expected) in [
            ("", None),
            (" FORCE ;", None),
            ("PARTITIONS (p1)", list(false, &["p1"])),
            ("PARTITIONS(p1, `p,2`) FORCE", list(false, &["p1", "p,2"])),
            ("PARTITION p1 force", list(false, &["p1"])),
            ("PARTITION `a``b`", list(false, &["a`b"])),
            ("PARTITIONS (`FORCE`)", list(false, &["FORCE"])),
            ("TEMPORARY PARTITIONS (t1)", list(true, &["t1"])),
        ] {
            assert_eq!(partition_list(tail), Ok(expected), "{tail}");
        }
    }

    #[test]
    fn what_is_not_understood_is_never_the_whole_table() {
        for tail in [
            "PARTITIONS ()",
            "PARTITIONS (*)",
            "PARTITIONS (p1",
            "PARTITIONS (p1,)",
            "PARTITIONS (p1 p2)",
            "PARTITIONS",
            "WITH (p1)",
            "TEMPORARY",
        ] {
            assert!(partition_list(tail).is_err(), "{tail}");
        }
    }

    #[test]
    fn force_is_the_last_word_of_a_statement() {
        for (statement, expected) in [
            ("DROP TABLE IF EXISTS `t`", false),
            ("DROP TABLE IF EXISTS `t` FORCE", true),
            ("DROP TABLE IF EXISTS `t` force ;", true),
            ("DROP TABLE IF EXISTS `FORCE`", false),
            ("PARTITIONS (p1) FORCE", true),
            ("", false),
        ] {
            assert_eq!(ends_in_force(statement), expected, "{statement}");
        }
    }
}
