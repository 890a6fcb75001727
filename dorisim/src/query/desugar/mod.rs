//! Forms of SELECT that SQLite has not, said in forms that it has: text → text, before names are resolved.
//!
//! `clauses` (where the parts of each SELECT stand) → `semi_join`, `grouping`, `qualify`, `lambda`, `small` (one form each).

mod clauses;
mod grouping;
mod lambda;
mod qualify;
mod semi_join;
mod small;

pub(super) use lambda::EACH as LAMBDA_EACH;
pub(super) use qualify::CONDITION as QUALIFY_CONDITION;

use crate::fe::SqlError;
use crate::sql::{Token, TokenKind, tokenize};

use super::items;

/// Changes of one query, at most: each takes one of the forms away.
const MAX_STEPS: usize = 500;

/// A piece of the text and what stands there instead.
type Edit = (std::ops::Range<usize>, String);

/// Takes one occurrence of its form away; no edits when there is none.
type Pass = fn(&str, &[Token]) -> Vec<Edit>;

/// The same query without the forms that only Doris has. Columns of the answer keep their names.
///
/// # Errors
/// A form that is not finished, or too many of them.
pub(super) fn desugar(text: &str) -> Result<String, SqlError> {
    let passes: [Pass; 6] = [
        small::step,
        semi_join::step,
        lambda::step,
        grouping::step,
        qualify::having,
        qualify::step,
    ];
    let mut current = text.to_owned();
    let mut named = false;
    for pass in passes {
        for step in 0.. {
            let tokens = tokens_of(&current)?;
            let edits = pass(&current, &tokens);
            if edits.is_empty() {
                break;
            }
            if step > MAX_STEPS {
                return Err(SqlError::analysis("the query is too complex"));
            }
            if !named {
                // Expressions keep the name that the client wrote.
                named = true;
                let aliases = items::missing_aliases(&current, &tokens);
                if !aliases.is_empty() {
                    let aliases = aliases
                        .into_iter()
                        .map(|(at, name)| {
                            let end = tokens[at - 1].end;
                            (end..end, format!(" AS `{}`", name.replace('`', "``")))
                        })
                        .collect();
                    current = apply(&current, aliases);
                    continue;
                }
            }
            current = apply(&current, edits);
        }
    }
    Ok(current)
}

fn tokens_of(text: &str) -> Result<Vec<Token>, SqlError> {
    tokenize(text).map_err(|error| SqlError::analysis(error.message))
}

/// Edits do not overlap.
fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|(range, _)| std::cmp::Reverse((range.start, range.end)));
    let mut changed = text.to_owned();
    for (range, new) in edits {
        changed.replace_range(range, &new);
    }
    changed
}

fn word(tokens: &[Token], at: usize) -> String {
    match tokens.get(at).map(|token| &token.kind) {
        Some(TokenKind::Word(word)) => word.to_ascii_uppercase(),
        _ => String::new(),
    }
}

fn is_word(tokens: &[Token], at: usize, wanted: &str) -> bool {
    matches!(tokens.get(at).map(|token| &token.kind), Some(TokenKind::Word(word)) if word.eq_ignore_ascii_case(wanted))
}

fn is_symbol(tokens: &[Token], at: usize, wanted: &str) -> bool {
    matches!(tokens.get(at).map(|token| &token.kind), Some(TokenKind::Symbol(symbol)) if *symbol == wanted)
}

/// 1 for an opening bracket, -1 for a closing one.
pub(super) fn bracket(token: &Token) -> i32 {
    match token.kind {
        TokenKind::Symbol("(" | "[" | "{") => 1,
        TokenKind::Symbol(")" | "]" | "}") => -1,
        _ => 0,
    }
}

/// The partner of the bracket that opens at `open`.
fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        depth += bracket(token);
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// The text of tokens, as written.
fn text_of<'a>(text: &'a str, tokens: &[Token]) -> &'a str {
    match (tokens.first(), tokens.last()) {
        (Some(first), Some(last)) => text.get(first.start..last.end).unwrap_or_default(),
        _ => "",
    }
}

/// Ranges between the commas outside brackets; none for no tokens.
pub(super) fn split_commas(
    tokens: &[Token],
    range: std::ops::Range<usize>,
) -> Vec<std::ops::Range<usize>> {
    let mut parts = Vec::new();
    let (mut depth, mut begin) = (0, range.start);
    for at in range.clone() {
        depth += bracket(&tokens[at]);
        if depth == 0 && is_symbol(tokens, at, ",") {
            parts.push(begin..at);
            begin = at + 1;
        }
    }
    if begin < range.end {
        parts.push(begin..range.end);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::desugar;

    pub(super) fn words(text: &str) -> String {
        desugar(text)
            .unwrap()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn other_queries_stay_as_they_are() {
        let text = "SELECT a, sum(b) FROM t LEFT JOIN u ON t.a = u.a WHERE left(c, 1) = 'x' GROUP BY a ORDER BY 1";
        assert_eq!(words(text), text);
    }
}
