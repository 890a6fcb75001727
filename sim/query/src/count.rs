//! Queries that only count a table.

use super::source::TableRef;
use dorisim_sql::{TokenKind, tokenize};

/// `SELECT COUNT(*|1) [AS x] FROM [db.]t`: heading and table.
pub(super) fn count_of(text: &str, current: Option<&str>) -> Option<(String, TableRef)> {
    let tokens = tokenize(text).ok()?;
    let word = |at: usize, wanted: &str| matches!(tokens.get(at).map(|token| &token.kind), Some(TokenKind::Word(word)) if word.eq_ignore_ascii_case(wanted));
    let symbol = |at: usize, wanted: &str| matches!(tokens.get(at).map(|token| &token.kind), Some(TokenKind::Symbol(symbol)) if *symbol == wanted);
    let name = |at: usize| match tokens.get(at).map(|token| &token.kind) {
        Some(TokenKind::Word(name) | TokenKind::Quoted(name)) => Some(name.clone()),
        _ => None,
    };
    let one = matches!(tokens.get(3).map(|token| &token.kind), Some(TokenKind::Number(number)) if number == "1");
    if !(word(0, "SELECT")
        && word(1, "COUNT")
        && symbol(2, "(")
        && (symbol(3, "*") || one)
        && symbol(4, ")"))
    {
        return None;
    }
    let mut heading = text[tokens[1].start..tokens[4].end].to_owned();
    let mut at = 5;
    if word(at, "AS") {
        heading = name(at + 1)?;
        at += 2;
    } else if !word(at, "FROM") {
        heading = name(at)?;
        at += 1;
    }
    if !word(at, "FROM") {
        return None;
    }
    let mut parts = vec![name(at + 1)?];
    at += 2;
    while symbol(at, ".") {
        parts.push(name(at + 1)?);
        at += 2;
    }
    if symbol(at, ";") {
        at += 1;
    }
    if !matches!(
        tokens.get(at).map(|token| &token.kind),
        Some(TokenKind::Eof)
    ) {
        return None;
    }
    let table = parts.pop()?;
    let db = parts.pop().or_else(|| current.map(str::to_owned))?;
    Some((
        heading,
        TableRef {
            db,
            name: table,
            partitions: Vec::new(),
            temp: false,
        },
    ))
}
