//! `LEFT|RIGHT SEMI|ANTI JOIN` → `[NOT] EXISTS` in WHERE.

use super::clauses::{Select, selects};
use super::{Edit, bracket, is_symbol, is_word, text_of, word};
use crate::sql::{Token, TokenKind};

/// Takes the first such join away.
pub(super) fn step(text: &str, tokens: &[Token]) -> Vec<Edit> {
    for select in selects(tokens) {
        if let Some(edits) = first_of(text, tokens, &select) {
            return edits;
        }
    }
    Vec::new()
}

fn first_of(text: &str, tokens: &[Token], select: &Select) -> Option<Vec<Edit>> {
    let from = select.from.clone()?;
    let (mut depth, mut chain) = (0, from.start);
    let mut at = from.start;
    while at < from.end {
        depth += bracket(&tokens[at]);
        if depth == 0 && is_symbol(tokens, at, ",") {
            chain = at + 1;
        }
        if depth == 0
            && ["SEMI", "ANTI"].contains(&word(tokens, at + 1).as_str())
            && ["LEFT", "RIGHT"].contains(&word(tokens, at).as_str())
            && is_word(tokens, at + 2, "JOIN")
        {
            break;
        }
        at += 1;
    }
    if at >= from.end {
        return None;
    }
    let left = is_word(tokens, at, "LEFT");
    let anti = is_word(tokens, at + 1, "ANTI");
    // `NULL AWARE LEFT ANTI JOIN` keeps no row when the other side has NULL; the words are only written by plans.
    let join = at;
    let operand = at + 3;
    let on = boundary(tokens, operand, from.end, &["ON", "USING"]);
    let end = boundary(tokens, on + 1, from.end, &[]);
    let other = text_of(text, &tokens[operand..on]);
    let before = text_of(text, &tokens[chain..join]);
    let condition = if is_word(tokens, on, "ON") {
        text_of(text, &tokens[on + 1..end]).to_owned()
    } else if is_word(tokens, on, "USING") {
        using(tokens, on, &tokens[chain..join], &tokens[operand..on])?
    } else {
        "1 = 1".to_owned()
    };
    let end = if on < from.end && on < end { end } else { on };
    let (kept, inner) = if left {
        (None, other)
    } else {
        (Some(other), before)
    };
    let exists = format!(
        "{}EXISTS ( SELECT 1 FROM {inner} WHERE {condition} )",
        if anti { "NOT " } else { "" }
    );
    let mut edits: Vec<Edit> = Vec::new();
    let last = tokens[end - 1].end;
    match kept {
        None => edits.push((tokens[join - 1].end..last, String::new())),
        Some(kept) => edits.push((tokens[chain].start..last, kept.to_owned())),
    }
    match &select.filter {
        Some(filter) => {
            let (start, end) = (tokens[filter.start].start, tokens[filter.end - 1].end);
            edits.push((start..start, format!("{exists} AND ( ")));
            edits.push((end..end, " )".to_owned()));
        }
        None if end == from.end => {
            // The same place as the end of the join: one edit.
            if let Some((_, new)) = edits.last_mut() {
                new.push_str(&format!(" WHERE {exists}"));
            }
        }
        None => {
            let end = tokens[from.end - 1].end;
            edits.push((end..end, format!(" WHERE {exists}")));
        }
    }
    Some(edits)
}

/// The first of `words`, or the beginning of the next table, outside brackets.
fn boundary(tokens: &[Token], start: usize, end: usize, words: &[&str]) -> usize {
    let mut depth = 0;
    for at in start..end {
        depth += bracket(&tokens[at]);
        if depth != 0 {
            continue;
        }
        let found = word(tokens, at);
        let joins = match found.as_str() {
            "JOIN" | "INNER" | "CROSS" | "NATURAL" => true,
            "LEFT" | "RIGHT" | "FULL" => !is_symbol(tokens, at + 1, "("),
            "LATERAL" => is_word(tokens, at + 1, "VIEW"),
            _ => is_symbol(tokens, at, ","),
        };
        if joins || words.contains(&found.as_str()) {
            return at;
        }
    }
    end
}

/// `USING (a, b)` as a condition.
fn using(tokens: &[Token], on: usize, left: &[Token], right: &[Token]) -> Option<String> {
    let (left, right) = (name_of(left)?, name_of(right)?);
    let mut conditions = Vec::new();
    for token in tokens[on + 1..].iter() {
        match &token.kind {
            TokenKind::Word(column) | TokenKind::Quoted(column) => {
                conditions.push(format!("`{left}`.`{column}` = `{right}`.`{column}`"));
            }
            TokenKind::Symbol(")") => break,
            TokenKind::Str(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::Eof => {}
        }
    }
    Some(conditions.join(" AND "))
}

/// The alias, or the name, of a table.
fn name_of(tokens: &[Token]) -> Option<String> {
    match &tokens.last()?.kind {
        TokenKind::Word(name) | TokenKind::Quoted(name) => Some(name.clone()),
        TokenKind::Str(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::Eof => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::words;

    #[test]
    fn semi_and_anti_joins_become_conditions() {
        for (text, wanted) in [
            (
                "select * from a left semi join b on a.x = b.x",
                "select * from a WHERE EXISTS ( SELECT 1 FROM b WHERE a.x = b.x )",
            ),
            (
                "select * from a left anti join b on a.x = b.x join c on a.y = c.y where a.z > 1 order by 1",
                "select * from a join c on a.y = c.y where NOT EXISTS ( SELECT 1 FROM b WHERE a.x = b.x ) AND ( a.z > 1 ) order by 1",
            ),
            (
                "select b.x from a right semi join b using (x) limit 1",
                "select b.x from b WHERE EXISTS ( SELECT 1 FROM a WHERE `a`.`x` = `b`.`x` ) limit 1",
            ),
        ] {
            assert_eq!(words(text), wanted);
        }
    }
}
