//! Functions of dates and times beyond moving and formatting them.

use rusqlite::functions::Context;
use rusqlite::{Connection, Result};

use super::dates::Moment;
use super::functions::{define, integer, moment, text};

const DAYS: [&str; 7] = [
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Whole units from `a` to `b`.
fn between(unit: &str, a: Moment, b: Moment) -> Option<i64> {
    let micros = |m: Moment| i128::from(m.days) * 86_400_000_000 + i128::from(m.micros);
    let distance = micros(b) - micros(a);
    let whole = |length: i128| i64::try_from(distance / length).ok();
    let months = || {
        let (ay, am, ad) = a.civil();
        let (by, bm, bd) = b.civil();
        let mut months = (by - ay) * 12 + bm - am;
        let (early, late) = ((ad, a.micros), (bd, b.micros));
        if months > 0 && late < early {
            months -= 1;
        } else if months < 0 && late > early {
            months += 1;
        }
        months
    };
    match unit.to_ascii_lowercase().as_str() {
        "year" => Some(months() / 12),
        "quarter" => Some(months() / 3),
        "month" => Some(months()),
        "week" => whole(604_800_000_000),
        "day" => whole(86_400_000_000),
        "hour" => whole(3_600_000_000),
        "minute" => whole(60_000_000),
        "second" => whole(1_000_000),
        "millisecond" => whole(1_000),
        "microsecond" => whole(1),
        _ => None,
    }
}

fn day_of_year(m: Moment) -> Option<i64> {
    let (year, ..) = m.civil();
    Some(m.days - Moment::parse(&format!("{year:04}-01-01"))?.days + 1)
}

/// ISO week of the year.
fn iso_week(m: Moment) -> Option<i64> {
    // Thursday of the same week decides about the year.
    let weekday = (m.days + 3).rem_euclid(7);
    let thursday = Moment {
        days: m.days - weekday + 3,
        micros: 0,
    };
    Some((day_of_year(thursday)? - 1) / 7 + 1)
}

pub(super) fn register(connection: &Connection) -> Result<()> {
    parts(connection)?;
    differences(connection)?;
    define(connection, &["last_day"], 1, |ctx| {
        let (year, month, _) = moment(ctx, 0)?.civil();
        let first = Moment::parse(&format!("{year:04}-{month:02}-01"))?;
        let next = first.plus(1, "month")?;
        Some(next.plus(-1, "day")?.date_text())
    })?;
    define(connection, &["to_monday"], 1, |ctx| {
        let m = moment(ctx, 0)?;
        m.plus(-(m.days + 3).rem_euclid(7), "day")
            .map(Moment::date_text)
    })?;
    define(connection, &["str_to_date"], 2, |ctx| {
        str_to_date(&text(ctx, 0)?, &text(ctx, 1)?)
    })?;
    define(connection, &["datev2", "to_datev2"], 1, |ctx| {
        moment(ctx, 0).map(Moment::date_text)
    })?;
    define(connection, &["timestamp"], 1, |ctx| {
        moment(ctx, 0).map(Moment::text)
    })?;
    define(connection, &["makedate"], 2, |ctx| {
        let first = Moment::parse(&format!("{:04}-01-01", integer(ctx, 0)?))?;
        let day = integer(ctx, 1).filter(|day| *day > 0)?;
        first.plus(day - 1, "day").map(Moment::date_text)
    })?;
    define(connection, &["from_days"], 1, |ctx| {
        let days = integer(ctx, 0)?.checked_sub(719_528)?;
        Some(Moment { days, micros: 0 }.date_text())
    })?;
    define(connection, &["unix_timestamp"], 2, |ctx| {
        let read = str_to_date(&text(ctx, 0)?, &text(ctx, 1)?)?;
        Some(Moment::parse(&read)?.unix_seconds())
    })?;
    define(connection, &["sec_to_time"], 1, |ctx| {
        let seconds = integer(ctx, 0)?;
        let (sign, rest) = (if seconds < 0 { "-" } else { "" }, seconds.abs());
        Some(format!(
            "{sign}{:02}:{:02}:{:02}",
            rest / 3600,
            rest / 60 % 60,
            rest % 60
        ))
    })?;
    define(connection, &["time_to_sec"], 1, |ctx| {
        let whole = text(ctx, 0)?;
        let clock = whole.rsplit(' ').next()?;
        clock.split(':').try_fold(0_i64, |sum, part| {
            let part = part.split('.').next()?.parse::<i64>().ok()?;
            sum.checked_mul(60)?.checked_add(part)
        })
    })?;
    for unit in [
        "year", "quarter", "month", "week", "day", "hour", "minute", "second",
    ] {
        let floor = format!("{unit}_floor");
        define(connection, &[&floor], 1, move |ctx| {
            moment(ctx, 0)?.truncated(unit).map(Moment::text)
        })?;
        let ceil = format!("{unit}_ceil");
        define(connection, &[&ceil], 1, move |ctx| {
            let m = moment(ctx, 0)?;
            let low = m.truncated(unit)?;
            if low == m {
                return Some(low.text());
            }
            low.plus(1, unit).map(Moment::text)
        })?;
    }
    Ok(())
}

fn parts(connection: &Connection) -> Result<()> {
    define(connection, &["quarter"], 1, |ctx| {
        Some((moment(ctx, 0)?.civil().1 + 2) / 3)
    })?;
    define(connection, &["dayofyear", "day_of_year"], 1, |ctx| {
        day_of_year(moment(ctx, 0)?)
    })?;
    define(connection, &["weekday"], 1, |ctx| {
        Some((moment(ctx, 0)?.days + 3).rem_euclid(7))
    })?;
    define(connection, &["weekofyear", "week_of_year"], 1, |ctx| {
        iso_week(moment(ctx, 0)?)
    })?;
    define(connection, &["microsecond"], 1, |ctx| {
        Some(moment(ctx, 0)?.micros % 1_000_000)
    })?;
    define(connection, &["dayname"], 1, |ctx| {
        let day = usize::try_from(moment(ctx, 0)?.days.rem_euclid(7)).ok()?;
        DAYS.get(day).copied()
    })?;
    define(connection, &["monthname"], 1, |ctx| {
        let month = usize::try_from(moment(ctx, 0)?.civil().1 - 1).ok()?;
        MONTHS.get(month).copied()
    })?;
    define(connection, &["to_days"], 1, |ctx| {
        Some(moment(ctx, 0)?.days + 719_528)
    })?;
    define(connection, &["time"], 1, |ctx| {
        Some(moment(ctx, 0)?.format("%T"))
    })
}

fn differences(connection: &Connection) -> Result<()> {
    for unit in [
        "year",
        "quarter",
        "month",
        "week",
        "day",
        "hour",
        "minute",
        "second",
        "millisecond",
        "microsecond",
    ] {
        let name = format!("{unit}s_diff");
        define(connection, &[&name], 2, move |ctx| {
            between(unit, moment(ctx, 1)?, moment(ctx, 0)?)
        })?;
    }
    // TIMESTAMPDIFF(unit, a, b) and TIMESTAMPADD(unit, n, a) with the unit as text.
    define(connection, &["timestampdiff"], 3, |ctx: &Context<'_>| {
        between(&text(ctx, 0)?, moment(ctx, 1)?, moment(ctx, 2)?)
    })?;
    define(connection, &["timestampadd"], 3, |ctx: &Context<'_>| {
        moment(ctx, 2)?
            .plus(integer(ctx, 1)?, &text(ctx, 0)?)
            .map(Moment::text)
    })?;
    define(connection, &["timediff"], 2, |ctx: &Context<'_>| {
        let seconds = between("second", moment(ctx, 1)?, moment(ctx, 0)?)?;
        let (sign, rest) = (if seconds < 0 { "-" } else { "" }, seconds.abs());
        Some(format!(
            "{sign}{:02}:{:02}:{:02}",
            rest / 3600,
            rest / 60 % 60,
            rest % 60
        ))
    })
}

/// Reads a date or time by a format of `%Y-%m-%d %H:%i:%s` and its like.
fn str_to_date(text: &str, format: &str) -> Option<String> {
    let mut fields = [1970_i64, 1, 1, 0, 0, 0, 0];
    let mut has_time = false;
    let mut rest = text.trim();
    let take = |rest: &mut &str, width: usize| -> Option<i64> {
        let end = rest
            .char_indices()
            .find(|(at, c)| *at >= width || !c.is_ascii_digit())
            .map_or(rest.len(), |(at, _)| at);
        let number = rest[..end].parse().ok()?;
        *rest = &rest[end..];
        Some(number)
    };
    let expanded = format
        .replace("%T", "%H:%i:%s")
        .replace("%F", "%Y-%m-%d")
        .replace("yyyy", "%Y")
        .replace("MM", "%m")
        .replace("dd", "%d")
        .replace("HH", "%H")
        .replace("mm", "%i")
        .replace("ss", "%s");
    let mut chars = expanded.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            rest = rest.strip_prefix(c).unwrap_or(rest);
            continue;
        }
        let place = match chars.next()? {
            'Y' => {
                fields[0] = take(&mut rest, 4)?;
                continue;
            }
            'y' => {
                let short = take(&mut rest, 2)?;
                fields[0] = short + if short < 70 { 2000 } else { 1900 };
                continue;
            }
            'm' | 'c' => 1,
            'd' | 'e' => 2,
            'H' | 'k' | 'h' | 'I' => 3,
            'i' => 4,
            's' | 'S' => 5,
            'f' => {
                fields[6] = take(&mut rest, 6)?;
                has_time = true;
                continue;
            }
            _ => return None,
        };
        has_time |= place > 2;
        fields[place] = take(&mut rest, 2)?;
    }
    let [year, month, day, hour, minute, second, _] = fields;
    let read = Moment::parse(&format!(
        "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
    ))?;
    Some(if has_time {
        read.text()
    } else {
        read.date_text()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read_and_distances_counted() {
        assert_eq!(
            str_to_date("2024-02-03", "%Y-%m-%d").as_deref(),
            Some("2024-02-03")
        );
        assert_eq!(
            str_to_date("03/02/24 04:05:06", "%d/%m/%y %T").as_deref(),
            Some("2024-02-03 04:05:06")
        );
        assert_eq!(str_to_date("x", "%Y"), None);
        let m = |text: &str| Moment::parse(text).unwrap();
        for (unit, a, b, wanted) in [
            ("month", "2024-01-31", "2024-03-30", 1),
            ("year", "2024-02-29", "2026-02-28", 1),
            ("day", "2024-01-01 12:00:00", "2024-01-03 11:00:00", 1),
            ("second", "2024-01-01", "2024-01-01 00:01:00", 60),
        ] {
            assert_eq!(between(unit, m(a), m(b)), Some(wanted), "{unit} {a} {b}");
        }
        assert_eq!(iso_week(m("2024-12-30")), Some(1));
        assert_eq!(iso_week(m("2021-01-03")), Some(53));
    }
}
