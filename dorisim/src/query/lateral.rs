//! LATERAL VIEW: a join with `json_each` over what is unfolded.

use std::collections::HashMap;

use super::rewrite::{Bracket, Frame, FrameEnd, From, Rewriter};
use crate::fe::SqlError;
use crate::sql::{Token, TokenKind};

/// Columns that LATERAL VIEWs make, by lower-case name: the alias of the view, and the column of `json_each`.
#[derive(Debug, Default)]
pub(super) struct Columns {
    made: HashMap<String, (String, &'static str)>,
    /// The first table of FROM, to tell its columns from those that `json_each` has of itself.
    base: Option<String>,
}

/// Columns of `json_each` that a table may have as well.
const OWN: [&str; 9] = [
    "key", "value", "type", "atom", "id", "parent", "fullkey", "path", "json",
];

impl Columns {
    /// Where a name of one or two parts stands; `None` for other columns.
    pub(super) fn place_of(&self, parts: &[String]) -> Option<String> {
        let (view, column) = match parts {
            [column] => match self.made.get(&column.to_ascii_lowercase()) {
                Some(made) => made,
                None => {
                    let own = OWN.iter().any(|own| column.eq_ignore_ascii_case(own));
                    let base = self
                        .base
                        .as_ref()
                        .filter(|_| own && !self.made.is_empty())?;
                    return Some(format!("{} . {}", quoted(base), quoted(column)));
                }
            },
            [view, column] => self
                .made
                .get(&column.to_ascii_lowercase())
                .filter(|(known, _)| known.eq_ignore_ascii_case(view))?,
            _ => return None,
        };
        Some(format!("{} . {column}", quoted(view)))
    }
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn name(kind: &TokenKind) -> Option<&str> {
    match kind {
        TokenKind::Word(name) | TokenKind::Quoted(name) => Some(name),
        TokenKind::Str(_) | TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::Eof => None,
    }
}

fn is_word(token: Option<&Token>, wanted: &str) -> bool {
    matches!(token.map(|t| &t.kind), Some(TokenKind::Word(word)) if word.eq_ignore_ascii_case(wanted))
}

/// `view AS a[, b]` at a token: view, columns, tokens.
fn alias(tokens: &[Token]) -> Option<(String, Vec<String>, usize)> {
    let view = name(&tokens.first()?.kind)?.to_owned();
    if !is_word(tokens.get(1), "AS") {
        return None;
    }
    let mut columns = vec![name(&tokens.get(2)?.kind)?.to_owned()];
    let mut taken = 3;
    // A comma may as well bring the next table: a second column is one that no bracket, dot or alias follows.
    while tokens.get(taken).map(|t| &t.kind) == Some(&TokenKind::Symbol(",")) {
        let (Some(column), behind) = (
            tokens.get(taken + 1).and_then(|t| name(&t.kind)),
            tokens.get(taken + 2).map(|t| &t.kind),
        ) else {
            break;
        };
        let ends = match behind {
            Some(TokenKind::Symbol(symbol)) => [")", ";", ","].contains(symbol),
            Some(TokenKind::Word(word)) => {
                super::words::is_behind_table(&word.to_ascii_uppercase())
            }
            Some(TokenKind::Eof) | None => true,
            Some(TokenKind::Quoted(_) | TokenKind::Str(_) | TokenKind::Number(_)) => false,
        };
        if !ends || columns.len() == 2 {
            break;
        }
        columns.push(column.to_owned());
        taken += 2;
    }
    Some((view, columns, taken))
}

/// The alias of the first table behind FROM.
fn base(tokens: &[Token]) -> Option<String> {
    let mut at = tokens
        .iter()
        .position(|token| is_word(Some(token), "FROM"))?
        + 1;
    let mut found = name(&tokens.get(at)?.kind)?;
    while tokens.get(at + 1).map(|t| &t.kind) == Some(&TokenKind::Symbol(".")) {
        at += 2;
        found = name(&tokens.get(at)?.kind)?;
    }
    let behind = usize::from(is_word(tokens.get(at + 1), "AS")) + at + 1;
    let alias = tokens.get(behind).and_then(|token| name(&token.kind));
    let alias = alias.filter(|alias| !super::words::is_behind_table(&alias.to_ascii_uppercase()));
    Some(alias.unwrap_or(found).to_owned())
}

/// All columns of the LATERAL VIEWs of a query.
pub(super) fn columns(tokens: &[Token]) -> Columns {
    let mut found = Columns {
        base: base(tokens),
        ..Columns::default()
    };
    for at in 0..tokens.len() {
        if !is_word(tokens.get(at), "LATERAL") || !is_word(tokens.get(at + 1), "VIEW") {
            continue;
        }
        let mut depth = 0_usize;
        let close = tokens.iter().skip(at).position(|token| {
            match token.kind {
                TokenKind::Symbol("(") => depth += 1,
                TokenKind::Symbol(")") => depth = depth.saturating_sub(1),
                _ => return false,
            }
            depth == 0
        });
        let Some((view, columns, _)) = close.and_then(|close| alias(&tokens[at + close + 1..]))
        else {
            continue;
        };
        let places: &[&'static str] = match columns.len() {
            1 => &["value"],
            _ => &["key", "value"],
        };
        for (column, place) in columns.iter().zip(places) {
            found
                .made
                .insert(column.to_ascii_lowercase(), (view.clone(), place));
        }
    }
    found
}

impl Rewriter<'_> {
    /// `LATERAL VIEW explode(x) v AS c`.
    pub(super) fn lateral_view(&mut self) -> Result<(), SqlError> {
        self.at += 2;
        let function = self.word(0).to_ascii_lowercase();
        if !self.is_symbol(1, "(") {
            return Err(SqlError::analysis(
                "a function is expected behind LATERAL VIEW",
            ));
        }
        let bare = function.trim_end_matches("_outer");
        let (kind, inner) = match bare {
            "explode_map" => ("map", None),
            "explode_bitmap" => ("bitmap", None),
            "explode_numbers" => ("numbers", None),
            "explode_split" => ("array", Some("split_by_string")),
            "explode"
            | "posexplode"
            | "explode_variant_array"
            | "explode_json_array_int"
            | "explode_json_array_double"
            | "explode_json_array_string"
            | "explode_json_array_json" => ("array", None),
            _ => {
                return Err(SqlError::analysis(format!(
                    "Can not found function '{function}'"
                )));
            }
        };
        let outer = function.ends_with("_outer");
        self.push(if outer { "LEFT JOIN" } else { "CROSS JOIN" });
        self.push(&format!("json_each ( explode_rows ( '{kind}' ,"));
        if let Some(inner) = inner {
            self.push(&format!("{inner} ("));
        }
        self.frames.push(Frame {
            bracket: Bracket::Call,
            extra: u8::from(inner.is_some()),
            end: FrameEnd::Lateral { outer },
            ..Frame::default()
        });
        self.at += 2;
        Ok(())
    }

    /// The alias behind the bracket of a LATERAL VIEW.
    pub(super) fn lateral_alias(&mut self, outer: bool) -> Result<(), SqlError> {
        let Some((view, _, taken)) = alias(&self.tokens[self.at..]) else {
            return Err(SqlError::analysis(
                "LATERAL VIEW needs an alias: v AS column",
            ));
        };
        self.push("AS");
        self.push_name(&view);
        if outer {
            self.push("ON 1");
        }
        self.at += taken;
        self.frame().from = From::Behind;
        Ok(())
    }
}
