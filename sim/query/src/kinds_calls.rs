//! Kinds of what functions answer, and what arithmetic makes of the kinds of its operands.

use super::kinds::KnownColumns;
use super::source::ColumnKind;
use dorisim_sql::{Token, TokenKind};

/// Digits that a division of decimals adds (`div_precision_increment`).
const DIVISION_DIGITS: u8 = 4;
/// Digits of a DECIMAL, at most, unless the session allows 256 bits.
const MAX_DIGITS: u8 = 38;

/// Functions whose answer is a BOOLEAN.
const CONDITIONS: [&str; 7] = [
    "BITMAP_CONTAINS",
    "BITMAP_HAS_ANY",
    "BITMAP_HAS_ALL",
    "STARTS_WITH",
    "ENDS_WITH",
    "ISNULL",
    "IS_NULL",
];

/// Functions whose answer is a DOUBLE.
const REALS: [&str; 5] = ["SQRT", "EXP", "LN", "POW", "POWER"];

/// Moves of a date or time: how the answer follows from what is moved.
fn moved(name: &str) -> Option<bool> {
    let (unit, _) = name
        .strip_suffix("_ADD")
        .or_else(|| name.strip_suffix("_SUB"))
        .map(|unit| (unit, ()))?;
    match unit {
        "YEARS" | "QUARTERS" | "MONTHS" | "WEEKS" | "DAYS" => Some(true),
        "HOURS" | "MINUTES" | "SECONDS" => Some(false),
        _ => None,
    }
}

/// The kind of a call; `arguments` are split at their commas.
pub(super) fn call_kind(
    name: &str,
    arguments: &[&[Token]],
    columns: &KnownColumns,
) -> Option<ColumnKind> {
    let kind = |at: usize| super::kinds::kind_of(arguments.get(at)?, columns);
    if CONDITIONS.contains(&name) {
        return Some(ColumnKind::Boolean);
    }
    if REALS.contains(&name) {
        return Some(ColumnKind::Double);
    }
    if let Some(whole_days) = moved(name) {
        return match kind(0) {
            Some(ColumnKind::Date) if whole_days => Some(ColumnKind::Date),
            Some(ColumnKind::Date) => Some(ColumnKind::DateTime(0)),
            Some(moment @ ColumnKind::DateTime(_)) => Some(moment),
            _ => None,
        };
    }
    if name == "DATE_TRUNC" {
        return match kind(0) {
            Some(moment @ (ColumnKind::Date | ColumnKind::DateTime(_))) => Some(moment),
            _ => None,
        };
    }
    match name {
        "DATE_ADD" | "DATE_SUB" | "ADDDATE" | "SUBDATE" => {
            let small = arguments.get(1).is_some_and(|interval| {
                interval.last().is_some_and(|unit| {
                    matches!(&unit.kind, TokenKind::Word(unit)
                        if ["HOUR", "MINUTE", "SECOND"].iter().any(|small| unit.eq_ignore_ascii_case(small)))
                })
            });
            match kind(0) {
                Some(ColumnKind::Date) if small => Some(ColumnKind::DateTime(0)),
                Some(moment @ (ColumnKind::Date | ColumnKind::DateTime(_))) => Some(moment),
                _ => None,
            }
        }
        "TO_DATEV2" | "DATEV2" | "LAST_DAY" | "TO_MONDAY" | "MAKEDATE" | "FROM_DAYS"
        | "NEXT_DAY" | "FROM_ISO8601_DATE" => Some(ColumnKind::Date),
        "TIMESTAMP" => match kind(0) {
            Some(moment @ ColumnKind::DateTime(_)) => Some(moment),
            Some(ColumnKind::Date) => Some(ColumnKind::DateTime(0)),
            _ => None,
        },
        "QUARTER" | "WEEK" | "WEEKOFYEAR" | "WEEKDAY" => Some(ColumnKind::TinyInt),
        "DAYOFYEAR" => Some(ColumnKind::SmallInt),
        "ASCII" | "FIELD" | "FIND_IN_SET" | "BIT_LENGTH" | "YEARWEEK" => Some(ColumnKind::Int),
        "AVG" => Some(match kind(0) {
            Some(ColumnKind::Decimal(_, scale)) => ColumnKind::Decimal(MAX_DIGITS, scale.max(4)),
            _ => ColumnKind::Double,
        }),
        "ABS" => kind(0).map(|kind| match kind {
            ColumnKind::TinyInt => ColumnKind::SmallInt,
            ColumnKind::SmallInt => ColumnKind::Int,
            ColumnKind::Int => ColumnKind::Integer,
            ColumnKind::Integer => ColumnKind::Large,
            other => other,
        }),
        "NEGATIVE" | "POSITIVE" | "NULLABLE" | "NON_NULLABLE" | "LAG" | "LEAD" | "FIRST_VALUE"
        | "LAST_VALUE" => kind(0),
        "IF" => common(kind(1)?, kind(2)?),
        "IFNULL" | "NVL" => common(kind(0)?, kind(1)?),
        "NULLIF" => kind(0),
        "COALESCE" | "GREATEST" | "LEAST" => {
            let mut kinds = (0..arguments.len()).map(kind);
            let first = kinds.next()??;
            kinds.try_fold(first, |all, kind| common(all, kind?))
        }
        "ROUND" | "FLOOR" | "CEIL" | "CEILING" | "TRUNCATE" | "ROUND_BANKERS" | "DROUND"
        | "DFLOOR" | "DCEIL" => rounded(kind(0)?, arguments),
        _ => None,
    }
}

/// A decimal keeps the digits that it was rounded to.
fn rounded(kind: ColumnKind, arguments: &[&[Token]]) -> Option<ColumnKind> {
    let places = match arguments.get(1) {
        None => Some(0),
        Some([only]) => match &only.kind {
            TokenKind::Number(number) => number.parse::<u8>().ok(),
            _ => None,
        },
        Some([minus, _]) if minus.kind == TokenKind::Symbol("-") => Some(0),
        Some(_) => None,
    };
    match kind {
        ColumnKind::Decimal(precision, scale) => Some(ColumnKind::Decimal(
            precision,
            places.map_or(scale, |places| places.min(scale)),
        )),
        ColumnKind::Float => Some(ColumnKind::Double),
        other => Some(other),
    }
}

/// An integer kind's width, and the digits that hold all its values.
fn whole(kind: ColumnKind) -> Option<(u8, u8)> {
    Some(match kind {
        ColumnKind::Boolean => (0, 1),
        ColumnKind::TinyInt => (1, 3),
        ColumnKind::SmallInt => (2, 5),
        ColumnKind::Int => (3, 10),
        ColumnKind::Integer => (4, 20),
        ColumnKind::Large => (5, 38),
        _ => return None,
    })
}

fn of_width(width: u8) -> ColumnKind {
    match width {
        0 | 1 => ColumnKind::TinyInt,
        2 => ColumnKind::SmallInt,
        3 => ColumnKind::Int,
        4 => ColumnKind::Integer,
        _ => ColumnKind::Large,
    }
}

/// Precision and scale as a decimal.
fn digits(kind: ColumnKind) -> Option<(u8, u8)> {
    match kind {
        ColumnKind::Decimal(precision, scale) => Some((precision, scale)),
        other => whole(other).map(|(_, digits)| (digits, 0)),
    }
}

/// What an operator makes of two operands.
pub(super) fn arithmetic(
    operator: &str,
    left: ColumnKind,
    right: ColumnKind,
) -> Option<ColumnKind> {
    if let (Some((a, _)), Some((b, _))) = (whole(left), whole(right)) {
        let wider = a.max(b);
        return Some(match operator {
            "/" => ColumnKind::Double,
            "%" | "MOD" => of_width(wider),
            "DIV" => ColumnKind::Integer,
            _ => of_width((wider.max(1) + 1).min(5)),
        });
    }
    if matches!(left, ColumnKind::Date | ColumnKind::DateTime(_)) {
        return None;
    }
    let (Some((p1, s1)), Some((p2, s2))) = (digits(left), digits(right)) else {
        let real =
            |kind| matches!(kind, ColumnKind::Float | ColumnKind::Double) || digits(kind).is_some();
        return (real(left) && real(right)).then_some(ColumnKind::Double);
    };
    let (precision, scale) = match operator {
        "*" => (p1 + p2, s1 + s2),
        "/" => (
            p1.saturating_add(s2 + DIVISION_DIGITS),
            s1 + DIVISION_DIGITS,
        ),
        "DIV" => return Some(ColumnKind::Integer),
        "%" | "MOD" => ((p1 - s1).max(p2 - s2) + s1.max(s2), s1.max(s2)),
        _ => ((p1 - s1).max(p2 - s2) + s1.max(s2) + 1, s1.max(s2)),
    };
    Some(ColumnKind::Decimal(
        precision.min(MAX_DIGITS),
        scale.min(MAX_DIGITS),
    ))
}

/// The kind that holds values of both; `None` when nobody can tell.
pub(super) fn common(a: ColumnKind, b: ColumnKind) -> Option<ColumnKind> {
    if a == b {
        return Some(a);
    }
    if let (Some((x, _)), Some((y, _))) = (whole(a), whole(b)) {
        return Some(of_width(x.max(y)));
    }
    if let (Some((p1, s1)), Some((p2, s2))) = (digits(a), digits(b)) {
        let scale = s1.max(s2);
        return Some(ColumnKind::Decimal(
            ((p1 - s1).max(p2 - s2) + scale).min(MAX_DIGITS),
            scale,
        ));
    }
    let real =
        |kind| matches!(kind, ColumnKind::Float | ColumnKind::Double) || digits(kind).is_some();
    match (a, b) {
        (a, b) if real(a) && real(b) => Some(ColumnKind::Double),
        (ColumnKind::DateTime(x), ColumnKind::DateTime(y)) => Some(ColumnKind::DateTime(x.max(y))),
        (ColumnKind::Date, moment @ ColumnKind::DateTime(_))
        | (moment @ ColumnKind::DateTime(_), ColumnKind::Date) => Some(moment),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_have_the_types_of_doris() {
        use ColumnKind::{Decimal, Double, Int, Integer, SmallInt, TinyInt};
        for (operator, left, right, wanted) in [
            ("+", TinyInt, TinyInt, SmallInt),
            ("*", Int, TinyInt, Integer),
            ("/", Int, Int, Double),
            ("%", Int, TinyInt, Int),
            ("*", Decimal(9, 2), Decimal(5, 3), Decimal(14, 5)),
            ("+", Decimal(9, 2), Int, Decimal(13, 2)),
            ("/", Decimal(9, 2), Decimal(5, 3), Decimal(16, 6)),
            ("-", Decimal(9, 2), Double, Double),
        ] {
            assert_eq!(
                arithmetic(operator, left, right),
                Some(wanted),
                "{operator}"
            );
        }
        assert_eq!(common(TinyInt, Int), Some(Int));
        assert_eq!(common(Decimal(4, 2), Int), Some(Decimal(12, 2)));
    }
}
