//! Kinds of answer columns that SQLite has no declaration for: literals, casts, aggregates and common functions of the
//! outermost SELECT.

use std::collections::HashMap;

use rusqlite::types::ValueRef;

use super::items::{ends_list, first_select};
use super::kinds_calls::{arithmetic, call_kind, common};
use super::source::ColumnKind;
use dorisim_model::DataType;
use dorisim_sql::{Token, TokenKind};

/// Kinds of the columns that a query's tables have, by lower-case name; `None` where tables differ.
#[derive(Debug, Default)]
pub(super) struct KnownColumns(HashMap<String, Option<ColumnKind>>);

impl KnownColumns {
    pub(super) fn add(&mut self, name: &str, kind: ColumnKind) {
        self.0
            .entry(name.to_ascii_lowercase())
            .and_modify(|known| {
                if *known != Some(kind) {
                    *known = None;
                }
            })
            .or_insert(Some(kind));
    }

    fn kind(&self, name: &str) -> Option<ColumnKind> {
        self.0.get(&name.to_ascii_lowercase()).copied().flatten()
    }
}

/// Kinds of the items of the outermost SELECT, by the name the answer gives them. Items nobody can tell are left out.
pub(super) fn expression_kinds(
    text: &str,
    tokens: &[Token],
    columns: &KnownColumns,
) -> HashMap<String, ColumnKind> {
    let mut kinds = HashMap::new();
    for item in items(tokens) {
        let (expression, name) = named(text, item);
        if let (Some(name), Some(kind)) = (name, kind_of(expression, columns)) {
            kinds.entry(name).or_insert(kind);
        }
    }
    kinds
}

/// Adds what inner queries call their expressions. Names of tables' columns stay what they are.
pub(super) fn add_derived(tokens: &[Token], columns: &mut KnownColumns) {
    let starts: Vec<usize> = (0..tokens.len())
        .filter(|at| is_word(&tokens[*at], "SELECT"))
        .skip(1)
        .collect();
    // Inner queries stand behind outer ones, but those of WITH before them.
    for start in starts.iter().rev().chain(&starts) {
        let behind = start + 1;
        let distinct = tokens
            .get(behind)
            .is_some_and(|token| is_word(token, "DISTINCT"));
        for item in items_from(tokens, behind + usize::from(distinct)) {
            if let [expression @ .., as_, alias] = item
                && is_word(as_, "AS")
                && expression.len() != 1
                && let TokenKind::Word(name) | TokenKind::Quoted(name) = &alias.kind
                && let Some(kind) = kind_of(expression, columns)
            {
                columns.add(name, kind);
            }
        }
    }
}

fn items(tokens: &[Token]) -> Vec<&[Token]> {
    first_select(tokens).map_or_else(Vec::new, |start| items_from(tokens, start))
}

fn items_from(tokens: &[Token], start: usize) -> Vec<&[Token]> {
    let mut found = Vec::new();
    let (mut begin, mut depth) = (start, 0_usize);
    for (at, token) in tokens.iter().enumerate().skip(start) {
        let (ends, more) = match &token.kind {
            TokenKind::Symbol("(" | "[" | "{") => {
                depth += 1;
                (false, false)
            }
            TokenKind::Symbol(")" | "]" | "}") if depth > 0 => {
                depth -= 1;
                (false, false)
            }
            TokenKind::Symbol(")") | TokenKind::Eof => (true, false),
            TokenKind::Symbol(",") => (depth == 0, true),
            TokenKind::Symbol(";") => (depth == 0, false),
            TokenKind::Word(word) => (depth == 0 && ends_list(word), false),
            TokenKind::Quoted(_)
            | TokenKind::Str(_)
            | TokenKind::Number(_)
            | TokenKind::Symbol(_) => (false, false),
        };
        if ends {
            found.push(&tokens[begin..at]);
            begin = at + 1;
            if !more {
                break;
            }
        }
    }
    found
}

/// The expression without its alias, and the name of its column.
fn named<'a>(text: &str, item: &'a [Token]) -> (&'a [Token], Option<String>) {
    let as_written = |part: &[Token]| {
        let (first, last) = (part.first()?, part.last()?);
        text.get(first.start..last.end).map(str::to_owned)
    };
    let name = |token: &Token| match &token.kind {
        TokenKind::Word(name) | TokenKind::Quoted(name) | TokenKind::Str(name) => {
            Some(name.clone())
        }
        TokenKind::Number(_) | TokenKind::Symbol(_) | TokenKind::Eof => None,
    };
    if let [expression @ .., as_, alias] = item
        && is_word(as_, "AS")
    {
        return (expression, name(alias));
    }
    // `count(*) n`, `1 one`: a name right behind an operand.
    if let [.., before, alias] = item
        && !matches!(&before.kind, TokenKind::Word(_))
        && (matches!(before.kind, TokenKind::Symbol(")" | "]" | "}"))
            || !matches!(&before.kind, TokenKind::Symbol(_)))
        && matches!(alias.kind, TokenKind::Word(_) | TokenKind::Quoted(_))
        && !is_word(alias, "END")
    {
        return (&item[..item.len() - 1], name(alias));
    }
    // `a b`, `t.a b`: names do not stand side by side otherwise.
    if let [.., before, alias] = item
        && matches!(before.kind, TokenKind::Word(_) | TokenKind::Quoted(_))
        && matches!(alias.kind, TokenKind::Word(_) | TokenKind::Quoted(_))
        && is_path(&item[..item.len() - 1])
    {
        return (&item[..item.len() - 1], name(alias));
    }
    (item, as_written(item))
}

/// `a`, `t.a`, `db.t.a`.
fn is_path(tokens: &[Token]) -> bool {
    tokens.iter().enumerate().all(|(at, token)| {
        if at % 2 == 0 {
            matches!(token.kind, TokenKind::Word(_) | TokenKind::Quoted(_))
                && !is_word(token, "NOT")
        } else {
            token.kind == TokenKind::Symbol(".")
        }
    })
}

fn is_word(token: &Token, wanted: &str) -> bool {
    matches!(&token.kind, TokenKind::Word(word) if word.eq_ignore_ascii_case(wanted))
}

pub(super) fn kind_of(expression: &[Token], columns: &KnownColumns) -> Option<ColumnKind> {
    let expression = without_window(expression);
    match expression {
        [] => None,
        [only] => match &only.kind {
            TokenKind::Number(number) => Some(literal(number)),
            TokenKind::Word(word) => match word.to_ascii_uppercase().as_str() {
                "TRUE" | "FALSE" => Some(ColumnKind::Boolean),
                "CURRENT_TIMESTAMP" => Some(ColumnKind::DateTime(0)),
                "CURRENT_DATE" => Some(ColumnKind::Date),
                _ => columns.kind(word),
            },
            TokenKind::Quoted(name) => columns.kind(name),
            TokenKind::Str(_) | TokenKind::Symbol(_) | TokenKind::Eof => None,
        },
        // `DATE '2024-01-01'`
        [word, text] if matches!(text.kind, TokenKind::Str(_)) && is_word(word, "DATE") => {
            Some(ColumnKind::Date)
        }
        [minus, number] if minus.kind == TokenKind::Symbol("-") => match &number.kind {
            TokenKind::Number(number) => Some(literal(number)),
            _ => None,
        },
        [_, dot, column] if dot.kind == TokenKind::Symbol(".") => {
            kind_of(std::slice::from_ref(column), columns)
        }
        [name, open, arguments @ .., close]
            if open.kind == TokenKind::Symbol("(")
                && close.kind == TokenKind::Symbol(")")
                && closes_at_end(arguments) =>
        {
            match &name.kind {
                TokenKind::Word(name) => call(&name.to_ascii_uppercase(), arguments, columns),
                _ => None,
            }
        }
        [open, inner @ .., close]
            if open.kind == TokenKind::Symbol("(")
                && close.kind == TokenKind::Symbol(")")
                && closes_at_end(inner)
                && !inner.first().is_some_and(|first| is_word(first, "SELECT")) =>
        {
            kind_of(inner, columns)
        }
        _ if is_condition(expression) => Some(ColumnKind::Boolean),
        _ => case(expression, columns).or_else(|| operation(expression, columns)),
    }
}

/// Walks the tokens that stand outside brackets and inside at most `cases` CASEs.
fn outside(expression: &[Token]) -> impl Iterator<Item = (usize, &Token, usize)> {
    let (mut depth, mut cases) = (0_i32, 0_usize);
    expression
        .iter()
        .enumerate()
        .filter_map(move |(at, token)| {
            match &token.kind {
                TokenKind::Symbol("(" | "[" | "{") => depth += 1,
                TokenKind::Symbol(")" | "]" | "}") => depth -= 1,
                _ => {}
            }
            let before = cases;
            if depth == 0 && is_word(token, "CASE") {
                cases += 1;
            } else if depth == 0 && is_word(token, "END") {
                cases = cases.saturating_sub(1);
            }
            (depth == 0).then_some((at, token, before.max(cases)))
        })
}

/// `CASE .. THEN a ELSE b END`: what all branches have in common.
fn case(expression: &[Token], columns: &KnownColumns) -> Option<ColumnKind> {
    let (first, last) = (expression.first()?, expression.last()?);
    if !is_word(first, "CASE") || !is_word(last, "END") {
        return None;
    }
    let mut begin = None;
    let mut all: Option<ColumnKind> = None;
    for (at, token, cases) in outside(expression) {
        if cases != 1 {
            continue;
        }
        let ends = ["WHEN", "ELSE", "END"]
            .iter()
            .any(|end| is_word(token, end));
        if ends && let Some(start) = begin.take() {
            let branch = &expression[start..at];
            if !matches!(branch, [only] if is_word(only, "NULL")) {
                let kind = kind_of(branch, columns)?;
                all = Some(match all {
                    Some(all) => common(all, kind)?,
                    None => kind,
                });
            }
        }
        if is_word(token, "THEN") || is_word(token, "ELSE") {
            begin = Some(at + 1);
        }
    }
    all
}

/// `a + b`, `a * b`: by the operator that binds least.
fn operation(expression: &[Token], columns: &KnownColumns) -> Option<ColumnKind> {
    for operators in [&["+", "-"][..], &["*", "/", "%", "DIV", "MOD"][..]] {
        let found = outside(expression)
            .filter(|(at, token, cases)| {
                *cases == 0
                    && *at > 0
                    && ends_operand(&expression[at - 1])
                    && match &token.kind {
                        TokenKind::Symbol(symbol) => operators.contains(symbol),
                        TokenKind::Word(word) => {
                            operators.contains(&word.to_ascii_uppercase().as_str())
                        }
                        _ => false,
                    }
            })
            .last();
        if let Some((at, token, _)) = found {
            let operator = match &token.kind {
                TokenKind::Symbol(symbol) => (*symbol).to_owned(),
                TokenKind::Word(word) => word.to_ascii_uppercase(),
                _ => return None,
            };
            let left = kind_of(&expression[..at], columns)?;
            if expression
                .get(at + 1)
                .is_some_and(|next| is_word(next, "INTERVAL"))
            {
                return shifted(left, expression.last()?);
            }
            return arithmetic(&operator, left, kind_of(&expression[at + 1..], columns)?);
        }
    }
    match expression {
        [sign, operand @ ..] if matches!(sign.kind, TokenKind::Symbol("-" | "+")) => {
            kind_of(operand, columns)
        }
        _ => None,
    }
}

/// A date that is moved by hours, minutes or seconds has a time.
fn shifted(kind: ColumnKind, unit: &Token) -> Option<ColumnKind> {
    let small = ["HOUR", "MINUTE", "SECOND"]
        .iter()
        .any(|small| is_word(unit, small));
    match kind {
        ColumnKind::Date if small => Some(ColumnKind::DateTime(0)),
        ColumnKind::Date | ColumnKind::DateTime(_) => Some(kind),
        _ => None,
    }
}

fn ends_operand(token: &Token) -> bool {
    match &token.kind {
        TokenKind::Symbol(symbol) => [")", "]", "}"].contains(symbol),
        TokenKind::Word(word) => !["DIV", "MOD", "DISTINCT"]
            .iter()
            .any(|operator| word.eq_ignore_ascii_case(operator)),
        TokenKind::Quoted(_) | TokenKind::Str(_) | TokenKind::Number(_) => true,
        TokenKind::Eof => false,
    }
}

/// `f(x) OVER (..)` has the kind of `f(x)`.
fn without_window(expression: &[Token]) -> &[Token] {
    let ends = matches!(expression.last(), Some(last) if last.kind == TokenKind::Symbol(")"));
    let over = outside(expression).find(|(_, token, cases)| *cases == 0 && is_word(token, "OVER"));
    match over {
        Some((at, ..)) if ends && closes_at_end(&expression[at + 2..expression.len() - 1]) => {
            &expression[..at]
        }
        _ => expression,
    }
}

/// The bracket that stands behind these tokens is the partner of the one before them.
fn closes_at_end(arguments: &[Token]) -> bool {
    let mut depth = 0_i32;
    arguments.iter().all(|token| {
        match token.kind {
            TokenKind::Symbol("(") => depth += 1,
            TokenKind::Symbol(")") => depth -= 1,
            _ => {}
        }
        depth >= 0
    })
}

/// A comparison or a connection of conditions outside any bracket.
fn is_condition(expression: &[Token]) -> bool {
    if expression
        .first()
        .is_some_and(|first| is_word(first, "CASE"))
    {
        return false;
    }
    let mut depth = 0_i32;
    expression.iter().any(|token| {
        match token.kind {
            TokenKind::Symbol("(") => depth += 1,
            TokenKind::Symbol(")") => depth -= 1,
            _ => {}
        }
        depth == 0
            && match &token.kind {
                TokenKind::Symbol(symbol) => [
                    "=", "<", ">", "<=", ">=", "<>", "!=", "<=>", "!", "&&", "||",
                ]
                .contains(symbol),
                TokenKind::Word(word) => ["IS", "AND", "OR", "NOT", "LIKE", "IN", "BETWEEN"]
                    .iter()
                    .any(|other| word.eq_ignore_ascii_case(other)),
                TokenKind::Quoted(_)
                | TokenKind::Str(_)
                | TokenKind::Number(_)
                | TokenKind::Eof => false,
            }
    })
}

/// The kind that has room for `value` too: sets of different queries can hold more than their first one's columns say.
pub(super) fn with_room(kind: ColumnKind, value: ValueRef<'_>) -> ColumnKind {
    let whole = |low: i64, high: i64| match value {
        ValueRef::Integer(value) if (low..=high).contains(&value) => kind,
        ValueRef::Integer(_) => ColumnKind::Integer,
        ValueRef::Real(_) => ColumnKind::Double,
        ValueRef::Text(_) | ValueRef::Blob(_) => ColumnKind::Text,
        ValueRef::Null => kind,
    };
    match kind {
        ColumnKind::TinyInt | ColumnKind::Boolean => whole(i8::MIN.into(), i8::MAX.into()),
        ColumnKind::SmallInt => whole(i16::MIN.into(), i16::MAX.into()),
        ColumnKind::Int => whole(i32::MIN.into(), i32::MAX.into()),
        ColumnKind::Integer => whole(i64::MIN, i64::MAX),
        ColumnKind::Float | ColumnKind::Double => match value {
            // NaN and Infinity are no numbers of SQLite.
            ValueRef::Text(b"NaN" | b"Infinity" | b"-Infinity") => kind,
            ValueRef::Text(_) | ValueRef::Blob(_) => ColumnKind::Text,
            ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Null => kind,
        },
        ColumnKind::Large
        | ColumnKind::Decimal(..)
        | ColumnKind::Date
        | ColumnKind::DateTime(_)
        | ColumnKind::Text
        | ColumnKind::String
        | ColumnKind::Json => kind,
    }
}

/// The smallest type that holds a literal, as Doris types it.
fn literal(number: &str) -> ColumnKind {
    if let Ok(value) = number.parse::<i128>() {
        // The sign stands outside: the smallest value of a type counts as the next wider one.
        return match value {
            0..=0x7f => ColumnKind::TinyInt,
            0x80..=0x7fff => ColumnKind::SmallInt,
            0x8000..=0x7fff_ffff => ColumnKind::Int,
            0x8000_0000..=0x7fff_ffff_ffff_ffff => ColumnKind::Integer,
            _ => ColumnKind::Large,
        };
    }
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = whole.trim_start_matches('0').len() + fraction.len();
    match (u8::try_from(digits), u8::try_from(fraction.len())) {
        (Ok(precision @ 0..=15), Ok(scale)) if !number.contains(['e', 'E']) => {
            ColumnKind::Decimal(precision.max(1), scale)
        }
        _ => ColumnKind::Double,
    }
}

fn call(name: &str, arguments: &[Token], columns: &KnownColumns) -> Option<ColumnKind> {
    let argument = || kind_of(arguments, columns);
    Some(match name {
        "CAST" => {
            let as_ = arguments.iter().rposition(|token| is_word(token, "AS"))?;
            return cast(&arguments[as_ + 1..]);
        }
        "COUNT"
        | "NDV"
        | "APPROX_COUNT_DISTINCT"
        | "MULTI_DISTINCT_COUNT"
        | "BITMAP_COUNT"
        | "BITMAP_UNION_COUNT"
        | "HLL_CARDINALITY"
        | "ROW_NUMBER"
        | "RANK"
        | "DENSE_RANK"
        | "NTILE" => ColumnKind::Integer,
        "MIN" | "MAX" | "ANY_VALUE" => return argument(),
        "SUM" => match argument()? {
            ColumnKind::Decimal(_, scale) => ColumnKind::Decimal(38, scale),
            ColumnKind::Large => ColumnKind::Large,
            ColumnKind::Float | ColumnKind::Double => ColumnKind::Double,
            ColumnKind::TinyInt
            | ColumnKind::SmallInt
            | ColumnKind::Int
            | ColumnKind::Integer
            | ColumnKind::Boolean => ColumnKind::Integer,
            ColumnKind::Date
            | ColumnKind::DateTime(_)
            | ColumnKind::Text
            | ColumnKind::String
            | ColumnKind::Json => ColumnKind::Double,
        },
        "NOW" | "CURRENT_TIMESTAMP" | "LOCALTIME" | "LOCALTIMESTAMP" | "SYSDATE"
        | "UTC_TIMESTAMP" => ColumnKind::DateTime(0),
        "CURDATE" | "CURRENT_DATE" | "TO_DATE" | "DATE" => ColumnKind::Date,
        "YEAR" => ColumnKind::SmallInt,
        "MONTH" | "DAY" | "DAYOFMONTH" | "DAYOFWEEK" | "HOUR" | "MINUTE" | "SECOND" => {
            ColumnKind::TinyInt
        }
        "DATEDIFF" | "LENGTH" | "CHAR_LENGTH" | "CHARACTER_LENGTH" | "LOCATE" | "INSTR"
        | "CONNECTION_ID" => ColumnKind::Int,
        "STARTS_WITH" | "ENDS_WITH" => ColumnKind::Boolean,
        _ => {
            let ranges = split_commas(arguments);
            let parts: Vec<&[Token]> = ranges.into_iter().map(|part| &arguments[part]).collect();
            return call_kind(name, &parts, columns);
        }
    })
}

/// Ranges between the commas outside brackets; none for no tokens.
fn split_commas(tokens: &[Token]) -> Vec<std::ops::Range<usize>> {
    let mut parts = Vec::new();
    let (mut depth, mut begin) = (0, 0);
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Symbol("(" | "[" | "{") => depth += 1,
            TokenKind::Symbol(")" | "]" | "}") => depth -= 1,
            TokenKind::Symbol(",") if depth == 0 => {
                parts.push(begin..at);
                begin = at + 1;
            }
            _ => {}
        }
    }
    if begin < tokens.len() {
        parts.push(begin..tokens.len());
    }
    parts
}

fn cast(declared: &[Token]) -> Option<ColumnKind> {
    let text: String = declared
        .iter()
        .map(|token| match &token.kind {
            TokenKind::Word(part) | TokenKind::Quoted(part) | TokenKind::Number(part) => part,
            TokenKind::Str(_) | TokenKind::Eof => "",
            TokenKind::Symbol(symbol) => symbol,
        })
        .collect();
    match text.to_ascii_uppercase().as_str() {
        "SIGNED" | "UNSIGNED" => Some(ColumnKind::Integer),
        "CHAR" => Some(ColumnKind::Text),
        _ => DataType::parse(&text).ok().as_ref().map(ColumnKind::of),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dorisim_sql::tokenize;

    #[test]
    fn expressions_have_the_types_of_doris() {
        let text = "select 1, 200 as b, -70000, 1.50, sum(price) s, max(t.day), cast(a as decimal(9,3)) as c, \
                    a = 1 as same, now(), count(*) n, 300 num, concat(a, 'x'), case when a = 1 then 2 end, \
                    price * 1.5, avg(price) over (order by day), starts_with(b, 'x') from t";
        let mut columns = KnownColumns::default();
        columns.add("Price", ColumnKind::Decimal(18, 2));
        columns.add("day", ColumnKind::Date);
        columns.add("a", ColumnKind::Int);
        columns.add("a", ColumnKind::Text);
        let kinds = expression_kinds(text, &tokenize(text).unwrap(), &columns);
        for (name, kind) in [
            ("1", Some(ColumnKind::TinyInt)),
            ("b", Some(ColumnKind::SmallInt)),
            ("-70000", Some(ColumnKind::Int)),
            ("1.50", Some(ColumnKind::Decimal(3, 2))),
            ("s", Some(ColumnKind::Decimal(38, 2))),
            ("max(t.day)", Some(ColumnKind::Date)),
            ("c", Some(ColumnKind::Decimal(9, 3))),
            ("same", Some(ColumnKind::Boolean)),
            ("now()", Some(ColumnKind::DateTime(0))),
            ("n", Some(ColumnKind::Integer)),
            ("num", Some(ColumnKind::SmallInt)),
            ("concat(a, 'x')", None),
            ("case when a = 1 then 2 end", Some(ColumnKind::TinyInt)),
            ("price * 1.5", Some(ColumnKind::Decimal(20, 3))),
            (
                "avg(price) over (order by day)",
                Some(ColumnKind::Decimal(38, 4)),
            ),
            ("starts_with(b, 'x')", Some(ColumnKind::Boolean)),
        ] {
            assert_eq!(kinds.get(name).copied(), kind, "{name}");
        }
    }
}
