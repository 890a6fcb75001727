//! Date arithmetic of partition steps, on canonical texts.

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

struct Moment {
    year: i64,
    month: i64,
    day: i64,
    seconds: i64,
}

fn parse(text: &str) -> Option<Moment> {
    let number =
        |range: std::ops::Range<usize>| text.get(range).and_then(|t| t.parse::<i64>().ok());
    let seconds = if text.len() >= 19 {
        number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?
    } else {
        0
    };
    Some(Moment {
        year: number(0..4)?,
        month: number(5..7)?,
        day: number(8..10)?,
        seconds,
    })
}

fn days_in(year: i64, month: i64) -> i64 {
    let (next_year, next_month) = if month == 12 {
        (year + 1, 1)
    } else {
        (year, month + 1)
    };
    days_from_civil(next_year, next_month, 1) - days_from_civil(year, month, 1)
}

fn text_of(days: i64, seconds: i64, with_time: bool) -> String {
    let total = days * 86_400 + seconds;
    let full = dorisim_model::clock::datetime_text(total * 1000);
    if with_time {
        full
    } else {
        full[..10].to_owned()
    }
}

/// `text` plus `n` units (`YEAR`, `MONTH`, `WEEK`, `DAY`, `HOUR`, ...); the form (date or datetime) stays.
#[must_use]
pub fn add(text: &str, n: i64, unit: &str) -> Option<String> {
    let at = parse(text)?;
    let with_time = text.len() > 10;
    let days = days_from_civil(at.year, at.month, at.day);
    let (days, seconds) = match unit.to_ascii_uppercase().as_str() {
        "YEAR" | "QUARTER" | "MONTH" => {
            let months = match unit.to_ascii_uppercase().as_str() {
                "YEAR" => 12 * n,
                "QUARTER" => 3 * n,
                _ => n,
            };
            let total = at.year * 12 + at.month - 1 + months;
            let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
            (
                days_from_civil(year, month, at.day.min(days_in(year, month))),
                at.seconds,
            )
        }
        "WEEK" => (days + 7 * n, at.seconds),
        "DAY" => (days + n, at.seconds),
        "HOUR" => (days, at.seconds + 3600 * n),
        "MINUTE" => (days, at.seconds + 60 * n),
        "SECOND" => (days, at.seconds + n),
        _ => return None,
    };
    Some(text_of(days, seconds, with_time))
}

/// Epoch milliseconds of a date or datetime text in UTC.
#[must_use]
pub fn to_ms(text: &str) -> Option<i64> {
    let at = parse(text)?;
    Some((days_from_civil(at.year, at.month, at.day) * 86_400 + at.seconds) * 1000)
}

/// The start of the unit that `text` lies in.
#[must_use]
pub fn truncate(text: &str, unit: &str) -> Option<String> {
    let at = parse(text)?;
    let with_time = text.len() > 10;
    let days = days_from_civil(at.year, at.month, at.day);
    let (days, seconds) = match unit.to_ascii_uppercase().as_str() {
        "YEAR" => (days_from_civil(at.year, 1, 1), 0),
        "QUARTER" => (days_from_civil(at.year, (at.month - 1) / 3 * 3 + 1, 1), 0),
        "MONTH" => (days_from_civil(at.year, at.month, 1), 0),
        // 1970-01-01 was a Thursday; weeks start on Monday.
        "WEEK" => (days - (days + 3).rem_euclid(7), 0),
        "DAY" => (days, 0),
        "HOUR" => (days, at.seconds / 3600 * 3600),
        "MINUTE" => (days, at.seconds / 60 * 60),
        "SECOND" => (days, at.seconds),
        _ => return None,
    };
    Some(text_of(days, seconds, with_time))
}

/// Digits of `text` as far as the unit matters: `2024-03-01`, MONTH → `202403`.
#[must_use]
pub fn step_name(text: &str, unit: &str) -> String {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let keep = match unit.to_ascii_uppercase().as_str() {
        "WEEK" => return monday_week(text),
        "YEAR" => 4,
        "MONTH" | "QUARTER" => 6,
        "HOUR" => 10,
        _ => 8,
    };
    digits.chars().take(keep).collect()
}

/// `yyyy_ww` of a date: weeks begin on Monday, the first one holds the first of January.
fn monday_week(text: &str) -> String {
    let Some(at) = parse(text) else {
        return String::new();
    };
    let first = days_from_civil(at.year, 1, 1);
    let days = days_from_civil(at.year, at.month, at.day);
    // 1970-01-01 was a Thursday; Monday is 0.
    let week = (days - first + (first + 3).rem_euclid(7)) / 7 + 1;
    format!("{:04}_{week:02}", at.year)
}

/// The start of the step behind the one that begins with `text`: months, weeks and years end with the calendar's.
#[must_use]
pub fn next_step(text: &str, n: i64, unit: &str) -> Option<String> {
    let aligned = match unit.to_ascii_uppercase().as_str() {
        "MONTH" | "WEEK" | "YEAR" | "QUARTER" => truncate(text, unit)?,
        _ => text.to_owned(),
    };
    add(&aligned, n, unit)
}

/// `yyyy_ww` of a date: weeks begin on Sunday, the first one holds the first of January, and the last days of December stay in
/// week 53 of their year.
#[must_use]
pub fn week_name(text: &str) -> String {
    let Some(at) = parse(text) else {
        return String::new();
    };
    let days = days_from_civil(at.year, at.month, at.day);
    // 1970-01-01 was a Thursday; Sunday is 0.
    let weekday = |days: i64| (days + 4).rem_euclid(7);
    let first = days_from_civil(at.year, 1, 1);
    let next = days_from_civil(at.year + 1, 1, 1);
    let week = if days - weekday(days) >= next - weekday(next) {
        53
    } else {
        (days - first + weekday(first)) / 7 + 1
    };
    format!("{:04}_{week:02}", at.year)
}

/// `yyyyMMddHHmmss` of a date or datetime text, as automatic partitions are named.
#[must_use]
pub fn auto_name(text: &str) -> String {
    let digits: String = text
        .chars()
        .filter(char::is_ascii_digit)
        .chain(std::iter::repeat('0'))
        .take(14)
        .collect();
    format!("p{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up() {
        assert_eq!(add("2024-01-31", 1, "month").unwrap(), "2024-02-29");
        assert_eq!(add("2023-12-31", 1, "DAY").unwrap(), "2024-01-01");
        assert_eq!(
            add("2024-02-28 23:00:00", 2, "HOUR").unwrap(),
            "2024-02-29 01:00:00"
        );
        assert_eq!(add("1992-01-01", 7, "YEAR").unwrap(), "1999-01-01");
        assert_eq!(add("2024-01-01", 1, "EON"), None);
    }

    #[test]
    fn truncation_finds_the_start() {
        assert_eq!(truncate("2024-05-17", "month").unwrap(), "2024-05-01");
        assert_eq!(truncate("2024-05-17", "week").unwrap(), "2024-05-13");
        assert_eq!(
            truncate("2024-05-17 10:20:30", "hour").unwrap(),
            "2024-05-17 10:00:00"
        );
        assert_eq!(auto_name("2024-05-01"), "p20240501000000");
    }
}
