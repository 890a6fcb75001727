//! Lambdas of array functions: `array_map(x -> .., a)` → a subquery over the elements; other functions take its answers.

use super::{Edit, bracket, closing, is_symbol, split_commas, text_of, word};
use crate::sql::{Token, TokenKind};

/// The table function that the rewriter makes rows of elements from.
pub(in super::super) const EACH: &str = "LAMBDA_EACH_";

/// Functions whose first argument may be a lambda.
const FUNCTIONS: [&str; 18] = [
    "ARRAY_SORT",
    "ARRAY_MAP",
    "ARRAY_FILTER",
    "ARRAY_EXISTS",
    "ARRAY_COUNT",
    "ARRAY_FIRST",
    "ARRAY_LAST",
    "ARRAY_FIRST_INDEX",
    "ARRAY_LAST_INDEX",
    "ARRAY_SORTBY",
    "ARRAY_SPLIT",
    "ARRAY_REVERSE_SPLIT",
    "ARRAY_MATCH_ANY",
    "ARRAY_MATCH_ALL",
    "ANY_MATCH",
    "ALL_MATCH",
    "ARRAY_SORT_BY",
    "ARRAY_ANY_MATCH",
];

/// Takes the last lambda away: inner ones come behind the names of their outer functions.
pub(super) fn step(text: &str, tokens: &[Token]) -> Vec<Edit> {
    (0..tokens.len())
        .rev()
        .find_map(|at| one(text, tokens, at))
        .unwrap_or_default()
}

fn one(text: &str, tokens: &[Token], at: usize) -> Option<Vec<Edit>> {
    let function = word(tokens, at);
    if !FUNCTIONS.contains(&function.as_str()) || !is_symbol(tokens, at + 1, "(") {
        return None;
    }
    let close = closing(tokens, at + 1)?;
    let (names, body) = lambda(tokens, at + 2, close)?;
    let arrays: Vec<_> = split_commas(tokens, body.end + 1..close)
        .into_iter()
        .map(|range| text_of(text, &tokens[range]).to_owned())
        .collect();
    if arrays.is_empty() {
        return None;
    }
    if function == "ARRAY_SORT" {
        // A comparison: asked for all pairs at once.
        let array = &arrays[0];
        let comparison = text_of(text, &tokens[at + 2..body.end]);
        let sorted = format!(
            "array_sort_pairs_( {array}, ARRAY_MAP( {comparison}, lambda_left_({array}), lambda_right_({array}) ) )"
        );
        return Some(vec![(tokens[at].start..tokens[close].end, sorted)]);
    }
    let all = arrays.join(", ");
    let places: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(place, name)| format!("lambda_item_(value, {place}) AS `{name}`"))
        .collect();
    let mapped = format!(
        "lambda_answer_( ( SELECT lambda_list_( {}, lambda_at_ ) FROM ( SELECT key AS lambda_at_, {} FROM {EACH}({all}) ) \
         AS lambda_ ), {all} )",
        text_of(text, &tokens[body]),
        places.join(", ")
    );
    let replaced = match function.as_str() {
        "ARRAY_MAP" => mapped,
        // One argument: the answers of the conditions.
        "ARRAY_EXISTS" | "ARRAY_COUNT" | "ARRAY_FIRST_INDEX" | "ARRAY_LAST_INDEX"
        | "ARRAY_MATCH_ANY" | "ARRAY_MATCH_ALL" | "ANY_MATCH" | "ALL_MATCH" | "ARRAY_ANY_MATCH" => {
            format!("{function}( {mapped} )")
        }
        _ => format!("{function}( {}, {mapped} )", arrays[0]),
    };
    Some(vec![(tokens[at].start..tokens[close].end, replaced)])
}

/// Names and body of the lambda at `start`.
fn lambda(
    tokens: &[Token],
    start: usize,
    close: usize,
) -> Option<(Vec<String>, std::ops::Range<usize>)> {
    let mut names = Vec::new();
    let mut at = start;
    let listed = is_symbol(tokens, at, "(");
    let arrow = if listed {
        closing(tokens, at)? + 1
    } else {
        at + 1
    };
    if !is_symbol(tokens, arrow, "->") {
        return None;
    }
    while at < arrow {
        if let TokenKind::Word(name) | TokenKind::Quoted(name) = &tokens[at].kind {
            names.push(name.clone());
        }
        at += 1;
    }
    let mut depth = 0;
    let end = (arrow + 1..close).find(|at| {
        depth += bracket(&tokens[*at]);
        depth == 0 && is_symbol(tokens, *at, ",")
    })?;
    Some((names, arrow + 1..end))
}

#[cfg(test)]
mod tests {
    use super::super::tests::words;

    #[test]
    fn lambdas_become_subqueries() {
        assert_eq!(
            words("select array_exists(x -> x > 1, a) as e from t"),
            "select ARRAY_EXISTS( lambda_answer_( ( SELECT lambda_list_( x > 1, lambda_at_ ) FROM ( SELECT key AS \
             lambda_at_, lambda_item_(value, 0) AS `x` FROM LAMBDA_EACH_(a) ) AS lambda_ ), a ) ) as e from t"
        );
    }
}
