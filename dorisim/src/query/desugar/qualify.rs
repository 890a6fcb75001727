//! `QUALIFY condition` → a condition around the query; HAVING of a query without groups → WHERE.

use super::clauses::{Select, selects};
use super::{Edit, is_symbol, is_word, split_commas, text_of};
use crate::sql::{Token, TokenKind};

/// The column that holds the condition. Answers do not show it.
pub(in super::super) const CONDITION: &str = "qualify_";

/// Takes the last QUALIFY away.
pub(super) fn step(text: &str, tokens: &[Token]) -> Vec<Edit> {
    selects(tokens)
        .iter()
        .rev()
        .find_map(|select| one(text, tokens, select))
        .unwrap_or_default()
}

/// HAVING of a query that does not aggregate filters its rows.
pub(super) fn having(text: &str, tokens: &[Token]) -> Vec<Edit> {
    selects(tokens)
        .iter()
        .rev()
        .find_map(|select| plain_having(text, tokens, select))
        .unwrap_or_default()
}

fn plain_having(text: &str, tokens: &[Token], select: &Select) -> Option<Vec<Edit>> {
    let having = select.having.clone()?;
    let aggregates = |range: &std::ops::Range<usize>| {
        range.clone().any(|at| {
            super::grouping::AGGREGATES.contains(&super::word(tokens, at).as_str())
                && is_symbol(tokens, at + 1, "(")
                && super::closing(tokens, at + 1)
                    .is_some_and(|close| !is_word(tokens, close + 1, "OVER"))
        })
    };
    if select.group.is_some() || aggregates(&having) || aggregates(&select.items) {
        return None;
    }
    let items: Vec<_> = split_commas(tokens, select.items.clone())
        .into_iter()
        .map(|item| Item::of(text, &tokens[item]))
        .collect();
    let condition = with_aliases(text, tokens, having.clone(), &items);
    let word = tokens[having.start - 1].start..tokens[having.end - 1].end;
    Some(match &select.filter {
        None => vec![(word, format!("WHERE ({condition} )"))],
        Some(filter) => {
            let (start, end) = (tokens[filter.start].start, tokens[filter.end - 1].end);
            vec![
                (start..start, "( ".to_owned()),
                (end..word.end, format!(" ) AND ({condition} )")),
            ]
        }
    })
}

fn one(text: &str, tokens: &[Token], select: &Select) -> Option<Vec<Edit>> {
    let condition = select.qualify.clone()?;
    let items: Vec<_> = split_commas(tokens, select.items.clone())
        .into_iter()
        .map(|item| Item::of(text, &tokens[item]))
        .collect();
    let names: Option<Vec<_>> = items.iter().map(|item| item.name.clone()).collect();
    let names = names.map_or_else(
        || "*".to_owned(),
        |names| {
            let quoted: Vec<_> = names
                .iter()
                .map(|name| format!("`{}`", name.replace('`', "``")))
                .collect();
            quoted.join(", ")
        },
    );
    let named: Vec<_> = items
        .iter()
        .enumerate()
        .map(|(at, item)| match &item.name {
            Some(name) if at < items.len() => {
                format!("{} AS `{}`", item.text, name.replace('`', "``"))
            }
            _ => item.text.clone(),
        })
        .collect();
    let condition = with_aliases(text, tokens, condition, &items);
    let clause = |word: &str, range: &Option<std::ops::Range<usize>>| {
        range.as_ref().map_or_else(String::new, |range| {
            format!(" {word} {}", text_of(text, &tokens[range.clone()]))
        })
    };
    let inner = format!(
        "SELECT {}{}, ( {condition} ) AS {CONDITION}{}{}{}{}{}",
        if select.distinct { "DISTINCT " } else { "" },
        named.join(", "),
        clause("FROM", &select.from),
        clause("WHERE", &select.filter),
        clause("GROUP BY", &select.group),
        clause("HAVING", &select.having),
        clause("ORDER BY", &select.order),
    );
    // The limit keeps SQLite from forgetting the order inside.
    let inner = if select.order.is_some() {
        format!("{inner} LIMIT -1")
    } else {
        inner
    };
    let limit = clause("", &select.limit);
    Some(vec![(
        tokens[select.start].start..tokens[select.end - 1].end,
        format!("SELECT {names} FROM ( {inner} ) AS qualified_ WHERE {CONDITION}{limit}"),
    )])
}

struct Item {
    text: String,
    /// `None` for `*`.
    name: Option<String>,
    aliased: bool,
}

impl Item {
    fn of(text: &str, tokens: &[Token]) -> Self {
        let name = |token: &Token| match &token.kind {
            TokenKind::Word(name) | TokenKind::Quoted(name) => Some(name.clone()),
            TokenKind::Str(name) => Some(name.clone()),
            TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::Eof => None,
        };
        let last = tokens.last().and_then(name);
        match tokens {
            [expression @ .., as_, _] if is_word(std::slice::from_ref(as_), 0, "AS") => Self {
                text: text_of(text, expression).to_owned(),
                name: last,
                aliased: true,
            },
            [.., before, _] if last.is_some() && before.kind != TokenKind::Symbol(".") => Self {
                text: text_of(text, &tokens[..tokens.len() - 1]).to_owned(),
                name: last,
                aliased: true,
            },
            _ => Self {
                text: text_of(text, tokens).to_owned(),
                name: last.or_else(|| {
                    (!is_symbol(tokens, tokens.len().wrapping_sub(1), "*"))
                        .then(|| text_of(text, tokens).to_owned())
                }),
                aliased: false,
            },
        }
    }
}

/// A condition may use the aliases of the items: SQLite wants the expressions.
fn with_aliases(
    text: &str,
    tokens: &[Token],
    condition: std::ops::Range<usize>,
    items: &[Item],
) -> String {
    let mut changed = String::new();
    for at in condition {
        let found = match &tokens[at].kind {
            TokenKind::Word(name) | TokenKind::Quoted(name)
                if !is_symbol(tokens, at + 1, "(")
                    && !is_symbol(tokens, at + 1, ".")
                    && !is_symbol(tokens, at.wrapping_sub(1), ".") =>
            {
                items.iter().find(|item| {
                    item.aliased
                        && item
                            .name
                            .as_ref()
                            .is_some_and(|alias| alias.eq_ignore_ascii_case(name))
                })
            }
            _ => None,
        };
        changed.push(' ');
        match found {
            Some(item) => changed.push_str(&format!("( {} )", item.text)),
            None => changed.push_str(&text[tokens[at].start..tokens[at].end]),
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::super::tests::words;

    #[test]
    fn having_without_groups_is_a_filter() {
        assert_eq!(
            words("select a + 1 as b from t where a > 0 having b > 2 order by 1"),
            "select a + 1 as b from t where ( a > 0 ) AND ( ( a + 1 ) > 2 ) order by 1"
        );
        let grouped = "select count(*) as n from t having n > 2";
        assert_eq!(words(grouped), grouped);
    }

    #[test]
    fn the_condition_is_asked_around_the_query() {
        assert_eq!(
            words(
                "select a, row_number() over (order by b) as rn from t where a > 0 qualify rn = 1 order by a limit 2"
            ),
            "SELECT `a`, `rn` FROM ( SELECT a AS `a`, row_number() over (order by b) AS `rn`, \
             ( ( row_number() over (order by b) ) = 1 ) AS qualify_ FROM t WHERE a > 0 ORDER BY a LIMIT -1 ) \
             AS qualified_ WHERE qualify_ limit 2"
        );
    }
}
