//! The comment of a table as a source prints it.
//!
//! Doris prints it in single quotes and escapes double quotes alone: a comment with an apostrophe makes a CREATE TABLE record that
//! no Doris can read (seen at an FE built from master of January 2026).

use std::borrow::Cow;

use super::string;
use super::token::{Kind, tokens};

/// Text before the comment.
const HEAD: &str = "\nCOMMENT '";
/// What may follow it.
const NEXT: [&str; 3] = ["PARTITION", "AUTO", "DISTRIBUTED"];

/// The statement with a comment that can be read. One that is fine stays as it is.
pub(super) fn readable(sql: &str) -> Cow<'_, str> {
    repaired(sql).map_or(Cow::Borrowed(sql), Cow::Owned)
}

fn repaired(sql: &str) -> Option<String> {
    let engine = sql.find("\n) ENGINE=")?;
    let head = engine + sql.get(engine..)?.find(HEAD)?;
    let quote = head + HEAD.len() - 1;
    let rest = sql.get(quote..)?;
    let follows = |text: &str| {
        let text = text.trim_start();
        NEXT.iter().any(|word| text.starts_with(word))
    };
    let literal = *tokens(rest).first()?;
    let ends = literal.kind == Kind::Text && literal.text.len() > 1 && literal.text.ends_with('\'');
    if ends && follows(rest.get(literal.text.len()..)?) {
        return None;
    }
    // The comment ends at the first quote that a clause of the statement follows on a line of its own.
    let end = rest
        .match_indices("'\n")
        .map(|(at, _)| at)
        .find(|at| *at > 0 && rest.get(at + 1..).is_some_and(follows))?;
    let comment = rest.get(1..end)?.replace("\\\"", "\"");
    Some(format!(
        "{}{}{}",
        sql.get(..quote)?,
        string(&comment),
        rest.get(end + 1..)?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(comment: &str) -> String {
        format!(
            "CREATE TABLE `t` (\n  `k` int NULL COMMENT \"it's\"\n) ENGINE=OLAP\nDUPLICATE KEY(`k`)\nCOMMENT {comment}\nDISTRIBUTED \
             BY HASH(`k`) BUCKETS 1\nPROPERTIES (\n\"replication_allocation\" = \"tag.location.default: 1\"\n);"
        )
    }

    #[test]
    fn an_apostrophe_is_escaped_and_what_can_be_read_stays() {
        for (printed, wanted) in [
            ("'it's C:\\new \\\"q\\\"'", "'it\\'s C:\\\\new \"q\"'"),
            ("'o' and 'p'", "'o\\' and \\'p'"),
            ("'C:\\'", "'C:\\\\'"),
        ] {
            assert_eq!(readable(&statement(printed)), statement(wanted));
        }
        for fine in ["'plain'", "'it\\'s'", "'it''s'", "'a \\\"b\\\"'"] {
            let sql = statement(fine);
            assert!(matches!(readable(&sql), Cow::Borrowed(_)), "{fine}");
        }
        assert_eq!(
            readable("CREATE VIEW `v` AS SELECT 1;"),
            "CREATE VIEW `v` AS SELECT 1;"
        );
    }
}
