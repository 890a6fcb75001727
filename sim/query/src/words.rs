//! What words and functions of the dialect mean to the rewriting of queries.

use std::collections::BTreeSet;

use dorisim_sql::{Token, TokenKind};

/// Names that `WITH` introduces, lower case.
pub(super) fn common_tables(tokens: &[Token]) -> BTreeSet<String> {
    let word = |at: usize, wanted: &str| matches!(tokens.get(at).map(|token| &token.kind), Some(TokenKind::Word(word)) if word.eq_ignore_ascii_case(wanted));
    let symbol = |at: usize, wanted: &str| matches!(tokens.get(at).map(|token| &token.kind), Some(TokenKind::Symbol(symbol)) if *symbol == wanted);
    let mut names = BTreeSet::new();
    for at in 1..tokens.len() {
        let (TokenKind::Word(name) | TokenKind::Quoted(name)) = &tokens[at].kind else {
            continue;
        };
        if !word(at - 1, "WITH") && !symbol(at - 1, ",") && !word(at - 1, "RECURSIVE") {
            continue;
        }
        let mut behind = at + 1;
        if symbol(behind, "(") {
            while behind < tokens.len() && !symbol(behind, ")") {
                behind += 1;
            }
            behind += 1;
        }
        if word(behind, "AS") && symbol(behind + 1, "(") {
            names.insert(name.to_ascii_lowercase());
        }
    }
    names
}

pub(super) fn is_bracket_keyword(upper: &str) -> bool {
    [
        "IN",
        "EXISTS",
        "AND",
        "OR",
        "NOT",
        "ON",
        "WHERE",
        "SELECT",
        "AS",
        "BY",
        "HAVING",
        "VALUES",
        "UNION",
        "ALL",
        "WHEN",
        "THEN",
        "ELSE",
        "LIKE",
        "BETWEEN",
        "CASE",
        "IS",
        "USING",
        "LIMIT",
        "EXCEPT",
        "INTERSECT",
        "MINUS",
        "DISTINCT",
        "ANY",
        "OVER",
        "FROM",
        "JOIN",
        "DIV",
    ]
    .contains(&upper)
}

/// Words that go through unquoted. Anything else is a name and gets quotes, because SQLite reserves other words than Doris.
pub(super) fn is_keyword(upper: &str) -> bool {
    is_bracket_keyword(upper)
        || [
            "WITH",
            "RECURSIVE",
            "GROUP",
            "ORDER",
            "ASC",
            "DESC",
            "OFFSET",
            "INNER",
            "LEFT",
            "RIGHT",
            "FULL",
            "OUTER",
            "CROSS",
            "NATURAL",
            "NULL",
            "TRUE",
            "FALSE",
            "END",
            "ESCAPE",
            "NULLS",
            "FIRST",
            "LAST",
            "PARTITION",
            "ROWS",
            "RANGE",
            "UNBOUNDED",
            "PRECEDING",
            "FOLLOWING",
            "CURRENT",
            "ROW",
            "WINDOW",
        ]
        .contains(&upper)
}

pub(super) fn is_behind_table(upper: &str) -> bool {
    [
        "WHERE",
        "GROUP",
        "ORDER",
        "HAVING",
        "LIMIT",
        "JOIN",
        "INNER",
        "LEFT",
        "RIGHT",
        "FULL",
        "CROSS",
        "ON",
        "USING",
        "UNION",
        "INTERSECT",
        "EXCEPT",
        "MINUS",
        "NATURAL",
        "OFFSET",
        "WINDOW",
        "LATERAL",
        "QUALIFY",
        "TABLESAMPLE",
    ]
    .contains(&upper)
}

/// Functions that SQLite has under another name.
pub(super) fn other_name(upper: &str) -> Option<&'static str> {
    Some(match upper {
        "IF" => "iif",
        "LEFT" => "strleft",
        "RIGHT" => "strright",
        "NVL" => "ifnull",
        "UCASE" => "upper",
        "LCASE" => "lower",
        "MID" | "SUBSTRING" => "substr",
        "GREATEST" => "max",
        "LEAST" => "min",
        "ANY_VALUE" => "min",
        "POWER" => "pow",
        _ => return None,
    })
}
