//! Forms of one or two words: hints of joins, `SUBSTRING(x FROM a FOR b)`, `INTERVAL 1 DAY + d`.

use super::{Edit, bracket, closing, is_symbol, is_word, word};
use crate::sql::{Token, TokenKind};

/// Takes all of them away at once.
pub(super) fn step(_: &str, tokens: &[Token]) -> Vec<Edit> {
    let mut edits = Vec::new();
    for at in 0..tokens.len() {
        join_hint(tokens, at, &mut edits);
        substring(tokens, at, &mut edits);
        leading_interval(tokens, at, &mut edits);
    }
    edits
}

/// `JOIN [shuffle] t`: how it is done is the engine's business.
fn join_hint(tokens: &[Token], at: usize, edits: &mut Vec<Edit>) {
    if is_symbol(tokens, at, "[")
        && ["SHUFFLE", "BROADCAST", "BUCKET", "COLOCATE"].contains(&word(tokens, at + 1).as_str())
        && is_symbol(tokens, at + 2, "]")
    {
        edits.push((tokens[at].start..tokens[at + 2].end, String::new()));
    }
}

/// `SUBSTRING(x FROM a FOR b)` and `POSITION(a IN b)` with commas.
fn substring(tokens: &[Token], at: usize, edits: &mut Vec<Edit>) {
    if !["SUBSTRING", "SUBSTR", "MID", "POSITION"].contains(&word(tokens, at).as_str())
        || !is_symbol(tokens, at + 1, "(")
    {
        return;
    }
    let Some(close) = closing(tokens, at + 1) else {
        return;
    };
    let position = is_word(tokens, at, "POSITION");
    let mut depth = 0;
    for (inner, token) in tokens.iter().enumerate().take(close).skip(at + 2) {
        depth += bracket(token);
        let separates = match position {
            true => is_word(tokens, inner, "IN"),
            false => is_word(tokens, inner, "FROM") || is_word(tokens, inner, "FOR"),
        };
        if depth == 0 && separates {
            edits.push((token.start..token.end, ",".to_owned()));
        }
    }
}

/// `INTERVAL 1 DAY + d`: the date first.
fn leading_interval(tokens: &[Token], at: usize, edits: &mut Vec<Edit>) {
    let opens = at == 0
        || matches!(
            tokens[at - 1].kind,
            TokenKind::Word(_) | TokenKind::Symbol("(" | "," | "=" | "<" | ">" | "<=" | ">=")
        );
    if !is_word(tokens, at, "INTERVAL") || !opens || !is_symbol(tokens, at + 3, "+") {
        return;
    }
    let (TokenKind::Number(amount) | TokenKind::Str(amount)) = &tokens[at + 1].kind else {
        return;
    };
    let unit = word(tokens, at + 2);
    // The operand: a name, a literal or a call.
    let mut end = at + 4;
    let open = if is_symbol(tokens, end + 1, "(") {
        end + 1
    } else {
        end
    };
    if is_symbol(tokens, open, "(") {
        let Some(close) = closing(tokens, open) else {
            return;
        };
        end = close;
    }
    let Some(last) = tokens.get(end) else {
        return;
    };
    edits.push((tokens[at].start..tokens[at + 3].end, String::new()));
    edits.push((last.end..last.end, format!(" + INTERVAL {amount} {unit}")));
}

#[cfg(test)]
mod tests {
    use super::super::tests::words;

    #[test]
    fn hints_and_standard_forms() {
        for (text, wanted) in [
            (
                "select * from t join [shuffle] u on t.a = u.a",
                "select * from t join u on t.a = u.a",
            ),
            (
                "select substring(a from 2 for 3) as s from t",
                "select substring(a , 2 , 3) as s from t",
            ),
            (
                "select interval 1 day + d as n from t",
                "select d + INTERVAL 1 DAY as n from t",
            ),
        ] {
            assert_eq!(words(text), wanted);
        }
    }
}
