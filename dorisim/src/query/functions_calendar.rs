//! Functions of the calendar: weeks by mode, rounding to periods, ISO 8601, months between.

use rusqlite::functions::Context;
use rusqlite::{Connection, Result};

use super::dates::Moment;
use super::functions::{ANY, define, integer, moment, text};

/// Days of the beginning of all periods, 0001-01-01, since 1970-01-01.
const FIRST_DAY: i64 = -719_162;

pub(super) fn register(connection: &Connection) -> Result<()> {
    weeks(connection)?;
    periods(connection)?;
    iso(connection)?;
    define(connection, &["quarters_add"], 2, |ctx| quarters(ctx, 1))?;
    define(connection, &["quarters_sub"], 2, |ctx| quarters(ctx, -1))?;
    define(connection, &["months_between"], ANY, |ctx| {
        let (a, b) = (moment(ctx, 0)?, moment(ctx, 1)?);
        let round = ctx.len() < 3 || integer(ctx, 2)? != 0;
        Some(months_between(a, b, round))
    })?;
    define(connection, &["next_day"], 2, |ctx| {
        let start = moment(ctx, 0)?;
        let name = text(ctx, 1)?.to_ascii_uppercase();
        let names = [
            "MONDAY",
            "TUESDAY",
            "WEDNESDAY",
            "THURSDAY",
            "FRIDAY",
            "SATURDAY",
            "SUNDAY",
        ];
        let known = |day: &str| name == day || name == day[..2] || name == day[..3];
        let wanted = names.iter().position(|day| known(day))?;
        let today = (start.days + 3).rem_euclid(7);
        let ahead = (i64::try_from(wanted).ok()? - today + 6).rem_euclid(7) + 1;
        start.plus(ahead, "day").map(Moment::date_text)
    })?;
    define(connection, &["convert_tz"], 3, |ctx| {
        let (from, to) = (offset(&text(ctx, 1)?)?, offset(&text(ctx, 2)?)?);
        moment(ctx, 0)?.plus(to - from, "second").map(Moment::text)
    })
}

fn quarters(ctx: &Context<'_>, sign: i64) -> Option<String> {
    let start = text(ctx, 0)?;
    let end = Moment::parse(&start)?.plus(integer(ctx, 1)?.checked_mul(sign)?, "quarter")?;
    Some(if start.trim().contains([' ', 'T', ':']) {
        end.text()
    } else {
        end.date_text()
    })
}

/// Seconds east of Greenwich, of the zones that have no summer time.
fn offset(zone: &str) -> Option<i64> {
    match zone.to_ascii_lowercase().as_str() {
        "utc" | "gmt" | "etc/utc" | "z" => return Some(0),
        "asia/shanghai" | "prc" | "cst" => return Some(8 * 3600),
        "asia/tokyo" => return Some(9 * 3600),
        _ => {}
    }
    let (sign, rest) = match zone.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, zone.strip_prefix('+')?),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Year and week in the way of MySQL's modes: bit 0 Monday first, bit 1 weeks from 1, bit 2 the first whole week.
fn week_of(day: Moment, mode: i64) -> Option<(i64, i64)> {
    let mode = if mode & 1 == 0 { mode ^ 4 } else { mode };
    let (monday_first, mut from_one, whole_first) = (mode & 1 != 0, mode & 2 != 0, mode & 4 != 0);
    let first_of = |year: i64| Moment::parse(&format!("{year:04}-01-01")).map(|m| m.days);
    let (mut year, month, date) = day.civil();
    let mut first = first_of(year)?;
    let mut weekday = (first + if monday_first { 3 } else { 4 }).rem_euclid(7);
    let outside = |weekday: i64| (whole_first && weekday != 0) || (!whole_first && weekday >= 4);
    if month == 1 && date <= 7 - weekday {
        if !from_one && outside(weekday) {
            return Some((year, 0));
        }
        from_one = true;
        if outside(weekday) {
            year -= 1;
            let length = first - first_of(year)?;
            first -= length;
            weekday = (weekday + 53 * 7 - length) % 7;
        }
    }
    let days = if outside(weekday) {
        day.days - (first + 7 - weekday)
    } else {
        day.days - (first - weekday)
    };
    if from_one && days >= 52 * 7 {
        let length = first_of(year + 1)? - first;
        let weekday = (weekday + length) % 7;
        if !outside(weekday) {
            return Some((year + 1, 1));
        }
    }
    Some((year, days.div_euclid(7) + 1))
}

fn weeks(connection: &Connection) -> Result<()> {
    let mode = |ctx: &Context<'_>| {
        if ctx.len() > 1 {
            integer(ctx, 1)
        } else {
            Some(0)
        }
    };
    for arguments in [1, 2] {
        define(connection, &["yearweek"], arguments, move |ctx| {
            let (year, week) = week_of(moment(ctx, 0)?, mode(ctx)? & 7 | 2)?;
            Some(year * 100 + week)
        })?;
        define(connection, &["week"], arguments, move |ctx| {
            Some(week_of(moment(ctx, 0)?, mode(ctx)? & 7)?.1)
        })?;
    }
    Ok(())
}

/// The beginning of the period of `length` units that `at` lies in, counted from `origin`.
fn floor(at: Moment, unit: &str, length: i64, origin: Moment) -> Option<Moment> {
    if length <= 0 {
        return None;
    }
    let months = |m: Moment| {
        let (year, month, _) = m.civil();
        year * 12 + month - 1
    };
    let unit = unit.to_ascii_lowercase();
    let per_unit = match unit.as_str() {
        "year" => 12,
        "quarter" => 3,
        "month" => 1,
        _ => 0,
    };
    if per_unit > 0 {
        let step = per_unit * length;
        let mut periods = (months(at) - months(origin)).div_euclid(step);
        let mut begin = origin.plus(periods.checked_mul(step)?, "month")?;
        if (begin.days, begin.micros) > (at.days, at.micros) {
            periods -= 1;
            begin = origin.plus(periods.checked_mul(step)?, "month")?;
        }
        return Some(begin);
    }
    let seconds = match unit.as_str() {
        "week" => 604_800,
        "day" => 86_400,
        "hour" => 3600,
        "minute" => 60,
        "second" => 1,
        _ => return None,
    };
    let micros = |m: Moment| i128::from(m.days) * 86_400_000_000 + i128::from(m.micros);
    let step = i128::from(seconds) * i128::from(length) * 1_000_000;
    let begin = (micros(at) - micros(origin)).div_euclid(step) * step + micros(origin);
    Some(Moment {
        days: i64::try_from(begin.div_euclid(86_400_000_000)).ok()?,
        micros: i64::try_from(begin.rem_euclid(86_400_000_000)).ok()?,
    })
}

fn ceil(at: Moment, unit: &str, length: i64, origin: Moment) -> Option<Moment> {
    let begin = floor(at, unit, length, origin)?;
    if begin == at {
        Some(at)
    } else {
        begin.plus(length, unit)
    }
}

type Round = fn(Moment, &str, i64, Moment) -> Option<Moment>;

fn periods(connection: &Connection) -> Result<()> {
    let first = Moment {
        days: FIRST_DAY,
        micros: 0,
    };
    let rounds: [(&str, Round); 2] = [("floor", floor), ("ceil", ceil)];
    for (name, round) in rounds {
        for unit in [
            "year", "quarter", "month", "week", "day", "hour", "minute", "second",
        ] {
            let function = format!("{unit}_{name}");
            define(connection, &[&function], 2, move |ctx| {
                let at = moment(ctx, 0)?;
                // The second argument is a length, or the origin of periods of one unit.
                let (length, origin) = match integer(ctx, 1) {
                    Some(length) => (length, first),
                    None => (1, moment(ctx, 1)?),
                };
                round(at, unit, length, origin).map(Moment::text)
            })?;
            define(connection, &[&function], 3, move |ctx| {
                round(moment(ctx, 0)?, unit, integer(ctx, 1)?, moment(ctx, 2)?).map(Moment::text)
            })?;
        }
        // `DATE_FLOOR(d, INTERVAL n unit)` arrives with three arguments.
        let function = format!("date_{name}");
        define(connection, &[&function], 3, move |ctx| {
            round(moment(ctx, 0)?, &text(ctx, 2)?, integer(ctx, 1)?, first).map(Moment::text)
        })?;
    }
    Ok(())
}

fn iso(connection: &Connection) -> Result<()> {
    define(connection, &["to_iso8601"], 1, |ctx| {
        let written = text(ctx, 0)?;
        let at = Moment::parse(&written)?;
        if !written.trim().contains([' ', 'T', ':']) {
            return Some(at.date_text());
        }
        Some(format!(
            "{}T{:02}:{:02}:{:02}.{:06}",
            at.date_text(),
            at.hour(),
            at.minute(),
            at.second(),
            at.micros % 1_000_000
        ))
    })?;
    define(connection, &["from_iso8601_date"], 1, |ctx| {
        from_iso(&text(ctx, 0)?).map(Moment::date_text)
    })
}

/// `YYYY`, `YYYY-MM`, `YYYY-MM-DD`, `YYYYMMDD`, `YYYY-DDD`, `YYYYDDD`, `YYYY-Www[-D]`, `YYYYWww[D]`.
fn from_iso(text: &str) -> Option<Moment> {
    let plain: String = text.chars().filter(|c| *c != '-').collect();
    let dashes: Vec<usize> = text.match_indices('-').map(|(at, _)| at).collect();
    let number = |from: usize, to: usize| -> Option<i64> {
        let part = plain.get(from..to)?;
        part.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| part.parse().ok())
            .flatten()
    };
    let year = number(0, 4)?;
    let day = |month: i64, day: i64| Moment::parse(&format!("{year:04}-{month:02}-{day:02}"));
    if plain.as_bytes().get(4) == Some(&b'W') {
        let week = number(5, 7).filter(|week| (1..=53).contains(week))?;
        let weekday = match (plain.len(), dashes.as_slice()) {
            (7, [] | [4]) => 1,
            (8, [] | [4, 8]) => number(7, 8).filter(|day| (1..=7).contains(day))?,
            _ => return None,
        };
        // The week of January 4th is the first one.
        let fourth = day(1, 4)?;
        let monday = fourth.days - (fourth.days + 3).rem_euclid(7);
        return Some(Moment {
            days: monday + (week - 1) * 7 + weekday - 1,
            micros: 0,
        });
    }
    match (plain.len(), dashes.as_slice()) {
        (4, []) => day(1, 1),
        (6, [4]) => day(number(4, 6)?, 1),
        (8, [] | [4, 7]) => day(number(4, 6)?, number(6, 8)?),
        (7, [] | [4]) => {
            let of_year = number(4, 7).filter(|day| (1..=366).contains(day))?;
            let found = day(1, 1)?.plus(of_year - 1, "day")?;
            (found.civil().0 == year).then_some(found)
        }
        _ => None,
    }
}

/// Whole months where the days agree or both end their month, else with days as 31sts.
#[allow(clippy::cast_precision_loss)] // months and seconds are small
fn months_between(a: Moment, b: Moment, round: bool) -> f64 {
    let ends = |m: Moment| m.plus(1, "day").is_some_and(|next| next.civil().2 == 1);
    let ((ay, am, ad), (by, bm, bd)) = (a.civil(), b.civil());
    let months = ((ay - by) * 12 + am - bm) as f64;
    if ad == bd || (ends(a) && ends(b)) {
        return months;
    }
    let seconds = (ad - bd) * 86_400 + (a.micros - b.micros) / 1_000_000;
    let exact = months + seconds as f64 / (31.0 * 86_400.0);
    if round {
        (exact * 1e8).round() / 1e8
    } else {
        exact
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Moment {
        Moment::parse(text).unwrap()
    }

    #[test]
    fn weeks_by_mode() {
        for (day, mode, wanted) in [
            ("2024-01-01", 0, (2024, 0)),
            ("2024-01-01", 1, (2024, 1)),
            ("2024-01-01", 2, (2023, 53)),
            ("2024-12-31", 3, (2025, 1)),
            ("2024-02-29", 0, (2024, 8)),
        ] {
            assert_eq!(week_of(at(day), mode), Some(wanted), "{day} {mode}");
        }
    }

    #[test]
    fn periods_are_counted_from_the_first_year() {
        // Recorded by Doris: date_floor("2023-07-14 10:51:11", interval 5 second).
        let first = at("0001-01-01");
        assert_eq!(
            floor(at("2023-07-14 10:51:11"), "second", 5, first)
                .map(Moment::text)
                .as_deref(),
            Some("2023-07-14 10:51:10")
        );
        assert_eq!(
            ceil(at("2023-07-14 15:30:45"), "year", 5, at("2021-01-01"))
                .map(Moment::text)
                .as_deref(),
            Some("2026-01-01 00:00:00")
        );
    }

    #[test]
    fn dates_of_iso_8601() {
        for (text, wanted) in [
            ("0001", Some("0001-01-01")),
            ("2024-02", Some("2024-02-01")),
            ("20240229", Some("2024-02-29")),
            ("2024-366", Some("2024-12-31")),
            ("2023-366", None),
            ("2024-W01-3", Some("2024-01-03")),
            ("24-01", None),
        ] {
            assert_eq!(
                from_iso(text).map(Moment::date_text).as_deref(),
                wanted,
                "{text}"
            );
        }
    }

    #[test]
    fn months_with_a_fraction() {
        assert!((months_between(at("2020-02-29"), at("2020-01-31"), true) - 1.0).abs() < 1e-12);
        assert!(
            (months_between(at("1997-02-28 10:30:00"), at("1996-10-30"), true) - 3.949_596_77)
                .abs()
                < 1e-9
        );
    }
}
