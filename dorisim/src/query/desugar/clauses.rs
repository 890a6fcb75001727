//! Where the clauses of every SELECT of a query stand.

use std::ops::Range;

use super::{bracket, is_symbol, is_word, word};
use crate::sql::{Token, TokenKind};

/// One SELECT: ranges of tokens, without the words that begin the clauses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Select {
    /// The word SELECT.
    pub(super) start: usize,
    /// Behind SELECT, DISTINCT and ALL.
    pub(super) items: Range<usize>,
    pub(super) distinct: bool,
    pub(super) from: Option<Range<usize>>,
    pub(super) filter: Option<Range<usize>>,
    pub(super) group: Option<Range<usize>>,
    pub(super) having: Option<Range<usize>>,
    pub(super) qualify: Option<Range<usize>>,
    pub(super) order: Option<Range<usize>>,
    /// LIMIT and what follows, with the word.
    pub(super) limit: Option<Range<usize>>,
    /// Behind the last token.
    pub(super) end: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Clause {
    Items,
    From,
    Filter,
    Group,
    Having,
    Window,
    Qualify,
    Order,
    Limit,
}

/// All SELECTs, in the order of their first words.
pub(super) fn selects(tokens: &[Token]) -> Vec<Select> {
    (0..tokens.len())
        .filter(|at| is_word(tokens, *at, "SELECT") && !is_symbol(tokens, at.wrapping_sub(1), "."))
        .map(|at| select_at(tokens, at))
        .collect()
}

fn select_at(tokens: &[Token], start: usize) -> Select {
    let distinct = is_word(tokens, start + 1, "DISTINCT");
    let first = start + 1 + usize::from(distinct || is_word(tokens, start + 1, "ALL"));
    let mut select = Select {
        start,
        items: first..first,
        distinct,
        from: None,
        filter: None,
        group: None,
        having: None,
        qualify: None,
        order: None,
        limit: None,
        end: first,
    };
    let (mut clause, mut begin, mut depth) = (Clause::Items, first, 0);
    let mut at = first;
    while at < tokens.len() {
        depth += bracket(&tokens[at]);
        let over = depth < 0
            || tokens[at].kind == TokenKind::Eof
            || (depth == 0 && (is_symbol(tokens, at, ";") || is_set_operator(tokens, at)));
        if over {
            break;
        }
        if depth == 0
            && !is_symbol(tokens, at.wrapping_sub(1), ".")
            && let Some((next, taken)) = clause_at(tokens, at)
        {
            select.close(clause, begin..at);
            clause = next;
            begin = at + taken;
            at += taken;
            continue;
        }
        at += 1;
    }
    select.close(clause, begin..at);
    select.end = at;
    select
}

/// `EXCEPT (` is also a list of columns that `*` leaves out.
fn is_set_operator(tokens: &[Token], at: usize) -> bool {
    let behind_star = is_symbol(tokens, at.wrapping_sub(1), "*");
    ["UNION", "EXCEPT", "INTERSECT", "MINUS"].contains(&word(tokens, at).as_str()) && !behind_star
}

fn clause_at(tokens: &[Token], at: usize) -> Option<(Clause, usize)> {
    let by = is_word(tokens, at + 1, "BY");
    Some(match word(tokens, at).as_str() {
        "FROM" => (Clause::From, 1),
        "WHERE" => (Clause::Filter, 1),
        "GROUP" if by => (Clause::Group, 2),
        "HAVING" => (Clause::Having, 1),
        "QUALIFY" => (Clause::Qualify, 1),
        "WINDOW" if is_word(tokens, at + 2, "AS") => (Clause::Window, 1),
        "ORDER" if by => (Clause::Order, 2),
        "LIMIT" => (Clause::Limit, 1),
        _ => return None,
    })
}

impl Select {
    fn close(&mut self, clause: Clause, range: Range<usize>) {
        match clause {
            Clause::Items => self.items = range,
            Clause::From => self.from = Some(range),
            Clause::Filter => self.filter = Some(range),
            Clause::Group => self.group = Some(range),
            Clause::Having => self.having = Some(range),
            Clause::Qualify => self.qualify = Some(range),
            Clause::Order => self.order = Some(range),
            Clause::Limit => self.limit = Some(range.start - 1..range.end),
            Clause::Window => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::selects;
    use crate::sql::tokenize;

    #[test]
    fn clauses_are_found_at_their_own_depth() {
        let text = "select distinct a, (select max(x) from u where u.b = t.b) from t where a > 1 \
                    group by a having count(*) > 1 order by 1 limit 3";
        let tokens = tokenize(text).unwrap();
        let found = selects(&tokens);
        assert_eq!(found.len(), 2);
        let part = |range: &Option<std::ops::Range<usize>>| {
            super::super::text_of(text, &tokens[range.clone().unwrap()]).to_owned()
        };
        assert!(found[0].distinct);
        assert_eq!(part(&found[0].from), "t");
        assert_eq!(part(&found[0].filter), "a > 1");
        assert_eq!(part(&found[0].group), "a");
        assert_eq!(part(&found[0].having), "count(*) > 1");
        assert_eq!(part(&found[0].order), "1");
        assert_eq!(part(&found[0].limit), "limit 3");
        assert_eq!(part(&found[1].filter), "u.b = t.b");
    }

    #[test]
    fn a_set_operator_ends_a_select() {
        let text = "select a from t union all select b from u";
        let tokens = tokenize(text).unwrap();
        let found = selects(&tokens);
        assert_eq!(found[0].end, 4);
        assert_eq!(found[1].end, tokens.len() - 1);
    }
}
