//! `GROUP BY ROLLUP | CUBE | GROUPING SETS`: every row once per grouping set, as Doris repeats them.
//!
//! A numbered row per set is joined in; columns that a set leaves out are NULL where its number says so, outside aggregates.

use std::ops::Range;

use super::clauses::{Select, selects};
use super::{Edit, bracket, closing, is_symbol, is_word, split_commas, text_of, word};
use crate::sql::{Token, TokenKind};

/// Sets of one GROUP BY, at most.
const MAX_SETS: usize = 256;

/// Aggregates whose arguments see the rows as they were.
pub(super) const AGGREGATES: [&str; 24] = [
    "SUM",
    "COUNT",
    "MIN",
    "MAX",
    "AVG",
    "GROUP_CONCAT",
    "ANY_VALUE",
    "NDV",
    "APPROX_COUNT_DISTINCT",
    "STDDEV",
    "STDDEV_SAMP",
    "STDDEV_POP",
    "VARIANCE",
    "VAR_SAMP",
    "VARIANCE_SAMP",
    "BITMAP_UNION",
    "BITMAP_UNION_COUNT",
    "HLL_UNION",
    "HLL_UNION_AGG",
    "COLLECT_LIST",
    "COLLECT_SET",
    "ARRAY_AGG",
    "MAX_BY",
    "MIN_BY",
];

/// Takes the last such GROUP BY away.
pub(super) fn step(text: &str, tokens: &[Token]) -> Vec<Edit> {
    selects(tokens)
        .iter()
        .rev()
        .find_map(|select| one(text, tokens, select))
        .unwrap_or_default()
}

/// A grouping expression, and the sets that have it.
struct Grouped {
    tokens: Vec<TokenKind>,
    text: String,
    sets: Vec<usize>,
}

fn one(text: &str, tokens: &[Token], select: &Select) -> Option<Vec<Edit>> {
    let group = select.group.clone()?;
    let sets = sets_of(tokens, group.clone())?;
    if sets.len() > MAX_SETS {
        return None;
    }
    let mut grouped: Vec<Grouped> = Vec::new();
    for (number, set) in sets.iter().enumerate() {
        for range in set {
            let range = meant(tokens, select, range.clone());
            let kinds: Vec<_> = tokens[range.clone()]
                .iter()
                .map(|t| t.kind.clone())
                .collect();
            match grouped.iter_mut().find(|known| same(&known.tokens, &kinds)) {
                Some(known) => {
                    if known.sets.last() != Some(&number) {
                        known.sets.push(number);
                    }
                }
                None => grouped.push(Grouped {
                    text: text_of(text, &tokens[range]).to_owned(),
                    tokens: kinds,
                    sets: vec![number],
                }),
            }
        }
    }
    let total = sets.len();
    let mut edits = Vec::new();
    for item in split_commas(tokens, select.items.clone()) {
        let changed = changes(tokens, item.clone(), &grouped, total, &mut edits);
        if changed && let Some(name) = plain_name(&tokens[item.clone()]) {
            let end = tokens[item.end - 1].end;
            // The same place as the end of the change: one edit.
            if let Some((range, new)) = edits.last_mut()
                && range.end == end
            {
                new.push_str(&format!(" AS `{}`", name.replace('`', "``")));
            }
        }
    }
    for range in [&select.having, &select.order, &select.qualify]
        .into_iter()
        .flatten()
    {
        changes(tokens, range.clone(), &grouped, total, &mut edits);
    }
    let numbers: Vec<_> = (0..total)
        .map(|number| {
            format!(
                "SELECT {number}{}",
                if number == 0 { " AS grouping_set_" } else { "" }
            )
        })
        .collect();
    let table = format!("( {} ) AS repeat_", numbers.join(" UNION ALL "));
    let from = select.from.clone()?;
    let place = tokens[from.end - 1].end;
    edits.push((place..place, format!(" CROSS JOIN {table}")));
    let keys: Vec<_> = grouped
        .iter()
        .map(|grouped| nullified(grouped, total))
        .collect();
    edits.push((
        tokens[group.start].start..tokens[group.end - 1].end,
        std::iter::once("repeat_.grouping_set_".to_owned())
            .chain(keys)
            .collect::<Vec<_>>()
            .join(", "),
    ));
    Some(edits)
}

/// The column of a plain item, which keeps its name.
fn plain_name(item: &[Token]) -> Option<String> {
    let plain = item
        .iter()
        .enumerate()
        .all(|(at, token)| match &token.kind {
            TokenKind::Word(_) | TokenKind::Quoted(_) => at % 2 == 0,
            TokenKind::Symbol(".") => at % 2 == 1,
            TokenKind::Str(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::Eof => {
                false
            }
        });
    match &item.last()?.kind {
        TokenKind::Word(name) | TokenKind::Quoted(name) if plain => Some(name.clone()),
        _ => None,
    }
}

/// The sets of a GROUP BY; `None` when it is a plain one.
fn sets_of(tokens: &[Token], group: Range<usize>) -> Option<Vec<Vec<Range<usize>>>> {
    let mut sets: Vec<Vec<Range<usize>>> = vec![Vec::new()];
    let mut special = false;
    let (group, with_rollup) = match group.clone().rev().nth(1) {
        Some(at) if is_word(tokens, at, "WITH") && is_word(tokens, at + 1, "ROLLUP") => {
            (group.start..at, true)
        }
        _ => (group, false),
    };
    if with_rollup {
        return Some(prefixes(&split_commas(tokens, group)));
    }
    for element in split_commas(tokens, group) {
        let choices = element_sets(tokens, element.clone());
        special |= choices.is_some();
        let choices = choices.unwrap_or_else(|| vec![vec![element]]);
        sets = sets
            .iter()
            .flat_map(|set| {
                choices.iter().map(|choice| {
                    let mut both = set.clone();
                    both.extend(choice.iter().cloned());
                    both
                })
            })
            .take(MAX_SETS + 1)
            .collect();
    }
    special.then_some(sets)
}

fn prefixes(columns: &[Range<usize>]) -> Vec<Vec<Range<usize>>> {
    (0..=columns.len())
        .rev()
        .map(|length| columns[..length].to_vec())
        .collect()
}

/// The sets of `ROLLUP(..)`, `CUBE(..)`, `GROUPING SETS (..)`.
fn element_sets(tokens: &[Token], element: Range<usize>) -> Option<Vec<Vec<Range<usize>>>> {
    let start = element.start;
    let open = match word(tokens, start).as_str() {
        "ROLLUP" | "CUBE" if is_symbol(tokens, start + 1, "(") => start + 1,
        "GROUPING" if is_word(tokens, start + 1, "SETS") => start + 2,
        _ => return None,
    };
    let close = closing(tokens, open)?;
    let columns = split_commas(tokens, open + 1..close);
    Some(match word(tokens, start).as_str() {
        "ROLLUP" => prefixes(&columns),
        "CUBE" => (0..1_usize << columns.len().min(8))
            .rev()
            .map(|mask| {
                let bit = |at: usize| mask >> (columns.len() - 1 - at) & 1 == 1;
                (0..columns.len())
                    .filter(|at| bit(*at))
                    .map(|at| columns[at].clone())
                    .collect()
            })
            .collect(),
        _ => columns
            .into_iter()
            .flat_map(|set| {
                if let Some(nested) = element_sets(tokens, set.clone()) {
                    nested
                } else if is_symbol(tokens, set.start, "(")
                    && closing(tokens, set.start) == Some(set.end - 1)
                {
                    vec![split_commas(tokens, set.start + 1..set.end - 1)]
                } else {
                    vec![vec![set]]
                }
            })
            .collect(),
    })
}

/// What a grouping element stands for: the item of its position or alias, or itself.
fn meant(tokens: &[Token], select: &Select, element: Range<usize>) -> Range<usize> {
    let items = split_commas(tokens, select.items.clone());
    if element.len() != 1 {
        return element;
    }
    match &tokens[element.start].kind {
        TokenKind::Number(number) => number
            .parse::<usize>()
            .ok()
            .and_then(|number| items.get(number.checked_sub(1)?))
            .map_or(element, |item| without_alias(tokens, item.clone()).0),
        TokenKind::Word(name) | TokenKind::Quoted(name) => items
            .iter()
            .map(|item| without_alias(tokens, item.clone()))
            .find(|(_, alias)| {
                alias
                    .as_ref()
                    .is_some_and(|alias| alias.eq_ignore_ascii_case(name))
            })
            .map_or(element, |(item, _)| item),
        TokenKind::Str(_) | TokenKind::Symbol(_) | TokenKind::Eof => element,
    }
}

fn without_alias(tokens: &[Token], item: Range<usize>) -> (Range<usize>, Option<String>) {
    let name = |at: usize| match &tokens[at].kind {
        TokenKind::Word(name) | TokenKind::Quoted(name) => Some(name.clone()),
        TokenKind::Str(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::Eof => None,
    };
    if item.len() >= 3 && is_word(tokens, item.end - 2, "AS") {
        return (item.start..item.end - 2, name(item.end - 1));
    }
    if item.len() >= 2
        && !is_symbol(tokens, item.end - 2, ".")
        && !is_word(tokens, item.end - 1, "END")
        && let Some(alias) = name(item.end - 1)
    {
        return (item.start..item.end - 1, Some(alias));
    }
    (item, None)
}

/// Equal but for the case of words and the table in front of a column.
fn same(a: &[TokenKind], b: &[TokenKind]) -> bool {
    let column = |kinds: &[TokenKind]| match kinds {
        [only] => Some(only.clone()),
        [_, TokenKind::Symbol("."), column] => Some(column.clone()),
        _ => None,
    };
    if a.len() != b.len()
        && let (Some(a), Some(b)) = (column(a), column(b))
    {
        return same_kind(&a, &b);
    }
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_kind(a, b))
}

fn same_kind(a: &TokenKind, b: &TokenKind) -> bool {
    match (a, b) {
        (TokenKind::Word(a) | TokenKind::Quoted(a), TokenKind::Word(b) | TokenKind::Quoted(b)) => {
            a.eq_ignore_ascii_case(b)
        }
        (a, b) => a == b,
    }
}

/// The expression, NULL where its set leaves it out.
fn nullified(grouped: &Grouped, total: usize) -> String {
    if grouped.sets.len() == total {
        return grouped.text.clone();
    }
    let numbers: Vec<_> = grouped.sets.iter().map(ToString::to_string).collect();
    format!(
        "CASE WHEN repeat_.grouping_set_ IN ({}) THEN {} END",
        numbers.join(", "),
        grouped.text
    )
}

/// 1 where the set leaves the expression out.
fn left_out(grouped: &Grouped) -> String {
    let numbers: Vec<_> = grouped.sets.iter().map(ToString::to_string).collect();
    format!(
        "CASE WHEN repeat_.grouping_set_ IN ({}) THEN 0 ELSE 1 END",
        numbers.join(", ")
    )
}

/// Edits for the grouping expressions in a range; true when there are some.
fn changes(
    tokens: &[Token],
    range: Range<usize>,
    grouped: &[Grouped],
    total: usize,
    edits: &mut Vec<Edit>,
) -> bool {
    let before = edits.len();
    let mut at = range.start;
    while at < range.end {
        let upper = word(tokens, at);
        if is_symbol(tokens, at + 1, "(")
            && let Some(close) = closing(tokens, at + 1)
        {
            if upper == "GROUPING" || upper == "GROUPING_ID" {
                let parts: Vec<_> = split_commas(tokens, at + 2..close);
                let count = parts.len();
                let bits: Vec<_> = parts
                    .into_iter()
                    .enumerate()
                    .filter_map(|(bit, part)| {
                        let kinds: Vec<_> = tokens[part]
                            .iter()
                            .map(|token| token.kind.clone())
                            .collect();
                        let found = grouped.iter().find(|known| same(&known.tokens, &kinds))?;
                        Some(format!(
                            "( {} ) * {}",
                            left_out(found),
                            1_u64 << (count - 1 - bit).min(62)
                        ))
                    })
                    .collect();
                edits.push((
                    tokens[at].start..tokens[close].end,
                    format!("( {} )", bits.join(" + ")),
                ));
                at = close + 1;
                continue;
            }
            if AGGREGATES.contains(&upper.as_str()) && !is_word(tokens, close + 1, "OVER") {
                at = close + 1;
                continue;
            }
        }
        let alias = is_word(tokens, at.wrapping_sub(1), "AS") && at > range.start;
        let inside = at > range.start && is_symbol(tokens, at - 1, ".");
        let found = (!alias && !inside)
            .then(|| longest(tokens, at..range.end, grouped))
            .flatten();
        match found {
            Some((known, taken)) => {
                edits.push((
                    tokens[at].start..tokens[at + taken - 1].end,
                    nullified(known, total),
                ));
                at += taken;
            }
            None => at += 1,
        }
    }
    edits.len() > before
}

/// The longest grouping expression that stands at the beginning of the range.
fn longest<'a>(
    tokens: &[Token],
    range: Range<usize>,
    grouped: &'a [Grouped],
) -> Option<(&'a Grouped, usize)> {
    let mut best: Option<(&Grouped, usize)> = None;
    for known in grouped {
        let mut lengths = vec![known.tokens.len()];
        // With and without the table.
        match known.tokens.len() {
            1 => lengths.push(3),
            3 => lengths.push(1),
            _ => {}
        }
        for length in lengths {
            let end = range.start + length;
            if end > range.end || is_symbol(tokens, end, ".") || is_symbol(tokens, end, "(") {
                continue;
            }
            let kinds: Vec<_> = tokens[range.start..end]
                .iter()
                .map(|token| token.kind.clone())
                .collect();
            let balanced = tokens[range.start..end].iter().map(bracket).sum::<i32>() == 0;
            if balanced
                && same(&known.tokens, &kinds)
                && best.is_none_or(|(_, longest)| longest < length)
            {
                best = Some((known, length));
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::super::tests::words;

    #[test]
    fn rows_are_repeated_per_set() {
        assert_eq!(
            words("select a, grouping(a), sum(b) from t group by rollup(a) order by a"),
            "select CASE WHEN repeat_.grouping_set_ IN (0) THEN a END AS `a`, \
             ( ( CASE WHEN repeat_.grouping_set_ IN (0) THEN 0 ELSE 1 END ) * 1 ) AS `grouping(a)`, sum(b) AS `sum(b)` \
             from t CROSS JOIN ( SELECT 0 AS grouping_set_ UNION ALL SELECT 1 ) AS repeat_ \
             group by repeat_.grouping_set_, CASE WHEN repeat_.grouping_set_ IN (0) THEN a END \
             order by CASE WHEN repeat_.grouping_set_ IN (0) THEN a END"
        );
    }
}
