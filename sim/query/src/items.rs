//! Names of answer columns: an expression without alias is called by its own text, as MySQL clients expect.

use dorisim_sql::{Token, TokenKind};

/// For each item of the outermost SELECT that needs one: the token it goes before, and the name.
pub(super) fn missing_aliases(text: &str, tokens: &[Token]) -> Vec<(usize, String)> {
    let Some(start) = first_select(tokens) else {
        return Vec::new();
    };
    let mut aliases = Vec::new();
    let mut begin = start;
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        let ends = match &token.kind {
            TokenKind::Symbol("(" | "[" | "{") => {
                depth += 1;
                false
            }
            TokenKind::Symbol(")" | "]" | "}") => {
                if depth == 0 {
                    true
                } else {
                    depth -= 1;
                    false
                }
            }
            TokenKind::Symbol("," | ";") => depth == 0,
            TokenKind::Word(word) => depth == 0 && ends_list(word),
            TokenKind::Eof => true,
            TokenKind::Quoted(_)
            | TokenKind::Str(_)
            | TokenKind::Number(_)
            | TokenKind::Symbol(_) => false,
        };
        if ends {
            let item = &tokens[begin..at];
            if let Some(last) = item.last().filter(|_| needs_alias(item)) {
                aliases.push((at, text[item[0].start..last.end].to_owned()));
            }
            begin = at + 1;
            if token.kind != TokenKind::Symbol(",") {
                break;
            }
        }
    }
    aliases
}

pub(super) fn ends_list(word: &str) -> bool {
    [
        "FROM",
        "WHERE",
        "GROUP",
        "ORDER",
        "LIMIT",
        "UNION",
        "HAVING",
        "EXCEPT",
        "INTERSECT",
        "MINUS",
        "INTO",
    ]
    .iter()
    .any(|end| word.eq_ignore_ascii_case(end))
}

/// Index behind the first SELECT outside any bracket, and behind DISTINCT or ALL.
pub(super) fn first_select(tokens: &[Token]) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, token) in tokens.iter().enumerate() {
        match &token.kind {
            TokenKind::Symbol("(") => depth += 1,
            TokenKind::Symbol(")") => depth -= 1,
            TokenKind::Word(word) if depth == 0 && word.eq_ignore_ascii_case("SELECT") => {
                let skipped = matches!(&tokens.get(at + 1)?.kind, TokenKind::Word(next)
                    if next.eq_ignore_ascii_case("DISTINCT") || next.eq_ignore_ascii_case("ALL"));
                return Some(at + 1 + usize::from(skipped));
            }
            _ => {}
        }
    }
    None
}

fn needs_alias(item: &[Token]) -> bool {
    let is_name = |token: &Token| matches!(token.kind, TokenKind::Word(_) | TokenKind::Quoted(_));
    let word = |token: &Token| match &token.kind {
        TokenKind::Word(word) => word.to_ascii_uppercase(),
        _ => String::new(),
    };
    let last = match item {
        [] => return false,
        [only] => {
            return matches!(
                only.kind,
                TokenKind::Str(_) | TokenKind::Number(_) | TokenKind::Word(_)
            );
        }
        [.., last] => last,
    };
    if last.kind == TokenKind::Symbol("*")
        && item.len() <= 5
        && item[item.len() - 2].kind == TokenKind::Symbol(".")
    {
        return false;
    }
    let plain_path = item.iter().enumerate().all(|(at, token)| {
        if at % 2 == 0 {
            is_name(token)
        } else {
            token.kind == TokenKind::Symbol(".")
        }
    });
    if plain_path {
        return false;
    }
    let mut depth = 0_i32;
    for token in item {
        match &token.kind {
            TokenKind::Symbol("(") => depth += 1,
            TokenKind::Symbol(")") => depth -= 1,
            TokenKind::Word(word) if depth == 0 && word.eq_ignore_ascii_case("AS") => return false,
            _ => {}
        }
    }
    let before = &item[item.len() - 2];
    let alias_like = match &last.kind {
        TokenKind::Quoted(_) => true,
        TokenKind::Word(_) => !["END", "NULL", "TRUE", "FALSE"].contains(&word(last).as_str()),
        TokenKind::Str(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::Eof => false,
    };
    let operand_before = match &before.kind {
        TokenKind::Symbol(symbol) => [")", "]", "}"].contains(symbol),
        TokenKind::Word(_) => ![
            "AND",
            "OR",
            "NOT",
            "LIKE",
            "IS",
            "IN",
            "DIV",
            "MOD",
            "DISTINCT",
            "BETWEEN",
            "DATE",
            "TIMESTAMP",
        ]
        .contains(&word(before).as_str()),
        TokenKind::Quoted(_) | TokenKind::Str(_) | TokenKind::Number(_) => true,
        TokenKind::Eof => false,
    };
    !(alias_like && operand_before)
}

#[cfg(test)]
mod tests {
    use super::missing_aliases;
    use dorisim_sql::tokenize;

    fn names(text: &str) -> Vec<String> {
        missing_aliases(text, &tokenize(text).unwrap())
            .into_iter()
            .map(|(_, name)| name)
            .collect()
    }

    #[test]
    fn only_expressions_without_alias_get_one() {
        assert_eq!(
            names("select a, t.b, *, t.*, count(*) from t"),
            ["a", "count(*)"]
        );
        assert_eq!(
            names("select sum(a) s, max(b) as m, 'x', -1, a is null from t"),
            ["'x'", "-1", "a is null"]
        );
        assert_eq!(
            names("with x as (select 1) select distinct f(a, b) from x"),
            ["f(a, b)"]
        );
        assert_eq!(
            names("select case when a then b end, cast(a as int)"),
            ["case when a then b end", "cast(a as int)"]
        );
    }
}
