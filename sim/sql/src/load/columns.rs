//! The `columns` header: names of fields, and columns computed from them.

use std::collections::BTreeMap;

use crate::{SyntaxError, Token, TokenKind, tokenize};

/// A column with an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DerivedColumn {
    /// Name.
    pub name: String,
    /// Text of the expression; earlier derived columns are already replaced by theirs.
    pub expression: String,
    /// No field takes part.
    pub constant: bool,
}

/// What the header says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnMapping {
    /// Names of the fields in order; empty: those of the table.
    pub sources: Vec<String>,
    /// Computed columns in order.
    pub derived: Vec<DerivedColumn>,
}

impl ColumnMapping {
    /// Reads `k1, tmp, v = upper(tmp)`.
    ///
    /// # Errors
    /// Text that is no list of names and `name = expression`.
    pub fn parse(header: &str) -> Result<Self, SyntaxError> {
        let tokens = tokenize(header)?;
        let mut mapping = Self::default();
        let mut known = BTreeMap::new();
        for item in split(&tokens) {
            let fail = |token: &Token| {
                let message = "neither a column nor `column = expression`";
                SyntaxError::at(header, token.start, message)
            };
            match item {
                [] => {}
                [name] => {
                    let name = name_of(name).ok_or_else(|| fail(name))?;
                    mapping.sources.push(name.to_owned());
                }
                [name, equals, expression @ ..]
                    if equals.kind == TokenKind::Symbol("=") && !expression.is_empty() =>
                {
                    let name = name_of(name).ok_or_else(|| fail(name))?;
                    let text = replaced(header, expression, &known);
                    known.insert(name.to_ascii_lowercase(), format!("({text})"));
                    mapping.derived.push(DerivedColumn {
                        name: name.to_owned(),
                        constant: constant(&text),
                        expression: text,
                    });
                }
                [first, ..] => return Err(fail(first)),
            }
        }
        Ok(mapping)
    }
}

/// Items between commas outside brackets, without the end.
fn split(tokens: &[Token]) -> Vec<&[Token]> {
    let mut items = Vec::new();
    let (mut begin, mut depth) = (0, 0_i32);
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Symbol("(") => depth += 1,
            TokenKind::Symbol(")") => depth -= 1,
            TokenKind::Symbol(",") if depth == 0 => {
                items.push(&tokens[begin..at]);
                begin = at + 1;
            }
            TokenKind::Eof => items.push(&tokens[begin..at]),
            _ => {}
        }
    }
    items
}

fn name_of(token: &Token) -> Option<&str> {
    match &token.kind {
        TokenKind::Word(name) | TokenKind::Quoted(name) => Some(name),
        TokenKind::Str(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::Eof => None,
    }
}

/// The expression's text with the columns known so far in place of their names.
fn replaced(text: &str, expression: &[Token], known: &BTreeMap<String, String>) -> String {
    let mut result = String::new();
    let mut from = expression.first().map_or(0, |token| token.start);
    for (at, token) in expression.iter().enumerate() {
        let called = expression
            .get(at + 1)
            .is_some_and(|next| next.kind == TokenKind::Symbol("("));
        let known = name_of(token)
            .filter(|_| !called)
            .and_then(|name| known.get(&name.to_ascii_lowercase()));
        if let Some(known) = known {
            result.push_str(&text[from..token.start]);
            result.push_str(known);
            from = token.end;
        }
    }
    let end = expression.last().map_or(from, |token| token.end);
    result.push_str(&text[from..end]);
    result
}

/// True when no name stands in the expression: functions, keywords and literals do not count.
fn constant(expression: &str) -> bool {
    const WORDS: [&str; 6] = [
        "NULL",
        "TRUE",
        "FALSE",
        "CURRENT_TIMESTAMP",
        "CURRENT_DATE",
        "AS",
    ];
    tokenize(expression).is_ok_and(|tokens| {
        tokens
            .iter()
            .enumerate()
            .all(|(at, token)| match &token.kind {
                TokenKind::Quoted(_) => false,
                TokenKind::Word(word) => {
                    WORDS.iter().any(|other| word.eq_ignore_ascii_case(other))
                        || tokens
                            .get(at + 1)
                            .is_some_and(|next| next.kind == TokenKind::Symbol("("))
                }
                TokenKind::Str(_)
                | TokenKind::Number(_)
                | TokenKind::Symbol(_)
                | TokenKind::Eof => true,
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_expressions() {
        let mapping = ColumnMapping::parse(
            "k1, `Tmp`,v = upper(tmp), w=concat(v, ',', k1), c = 'a,b', v2 = v(v)",
        )
        .unwrap();
        assert_eq!(mapping.sources, ["k1", "Tmp"]);
        let derived: Vec<_> = mapping
            .derived
            .iter()
            .map(|one| (one.name.as_str(), one.expression.as_str(), one.constant))
            .collect();
        assert_eq!(
            derived,
            [
                ("v", "upper(tmp)", false),
                ("w", "concat((upper(tmp)), ',', k1)", false),
                ("c", "'a,b'", true),
                ("v2", "v((upper(tmp)))", false),
            ]
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for header in ["a b", "a = ", "'a'", "1", "a, b + 1"] {
            assert!(ColumnMapping::parse(header).is_err(), "{header}");
        }
    }
}
