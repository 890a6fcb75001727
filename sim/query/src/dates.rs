//! Calendar arithmetic for the date functions.

/// A point of local time in microseconds since 0000-03-01, with what it was written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// Days since 1970-01-01.
    pub(super) days: i64,
    /// Microseconds of the day.
    pub(super) micros: i64,
}

const DAY_MICROS: i64 = 86_400_000_000;

impl Moment {
    pub(super) fn from_ms(ms: i64) -> Self {
        Self {
            days: ms.div_euclid(86_400_000),
            micros: ms.rem_euclid(86_400_000) * 1000,
        }
    }

    /// Reads any spelling of a date or date-time.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let canonical = dorisim_model::DataType::DateTime(6)
            .canonicalize(text)
            .ok()??;
        let number = |from: usize, to: usize| canonical.get(from..to)?.parse::<i64>().ok();
        let days = days_of(number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let seconds = number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?;
        Some(Self {
            days,
            micros: seconds * 1_000_000 + number(20, 26)?,
        })
    }

    pub(super) fn civil(self) -> (i64, i64, i64) {
        civil_of(self.days)
    }

    pub(super) fn hour(self) -> i64 {
        self.micros / 3_600_000_000
    }

    pub(super) fn minute(self) -> i64 {
        self.micros / 60_000_000 % 60
    }

    pub(super) fn second(self) -> i64 {
        self.micros / 1_000_000 % 60
    }

    pub(super) fn unix_seconds(self) -> i64 {
        self.days * 86_400 + self.micros / 1_000_000
    }

    pub(super) fn date_text(self) -> String {
        let (year, month, day) = self.civil();
        format!("{year:04}-{month:02}-{day:02}")
    }

    pub(super) fn text(self) -> String {
        let base = format!(
            "{} {:02}:{:02}:{:02}",
            self.date_text(),
            self.hour(),
            self.minute(),
            self.second()
        );
        match self.micros % 1_000_000 {
            0 => base,
            micros => format!("{base}.{micros:06}"),
        }
    }

    /// Moves by `amount` of `unit`; months keep the day where the month has it.
    pub(super) fn plus(self, amount: i64, unit: &str) -> Option<Self> {
        let micros = match unit.to_ascii_lowercase().trim_end_matches('s') {
            "year" => return self.plus_months(amount.checked_mul(12)?),
            "quarter" => return self.plus_months(amount.checked_mul(3)?),
            "month" => return self.plus_months(amount),
            "week" => amount.checked_mul(7 * DAY_MICROS)?,
            "day" => amount.checked_mul(DAY_MICROS)?,
            "hour" => amount.checked_mul(3_600_000_000)?,
            "minute" => amount.checked_mul(60_000_000)?,
            "second" => amount.checked_mul(1_000_000)?,
            "microsecond" => amount,
            _ => return None,
        };
        let total = self.micros.checked_add(micros)?;
        Some(Self {
            days: self.days.checked_add(total.div_euclid(DAY_MICROS))?,
            micros: total.rem_euclid(DAY_MICROS),
        })
    }

    fn plus_months(self, amount: i64) -> Option<Self> {
        let (year, month, day) = self.civil();
        let months = (year * 12 + month - 1).checked_add(amount)?;
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
        let first = days_of(year, month, 1);
        let next = if month == 12 {
            days_of(year + 1, 1, 1)
        } else {
            days_of(year, month + 1, 1)
        };
        Some(Self {
            days: first + (day - 1).min(next - first - 1),
            micros: self.micros,
        })
    }

    /// The beginning of the unit it lies in.
    pub(super) fn truncated(self, unit: &str) -> Option<Self> {
        let (year, month, _) = self.civil();
        let whole = |micros: i64| Self {
            days: self.days,
            micros: self.micros / micros * micros,
        };
        Some(match unit.to_ascii_lowercase().as_str() {
            "year" => Self {
                days: days_of(year, 1, 1),
                micros: 0,
            },
            "quarter" => Self {
                days: days_of(year, (month - 1) / 3 * 3 + 1, 1),
                micros: 0,
            },
            "month" => Self {
                days: days_of(year, month, 1),
                micros: 0,
            },
            // 1970-01-01 was a Thursday; weeks begin on Monday.
            "week" => Self {
                days: self.days - (self.days + 3).rem_euclid(7),
                micros: 0,
            },
            "day" => Self {
                days: self.days,
                micros: 0,
            },
            "hour" => whole(3_600_000_000),
            "minute" => whole(60_000_000),
            "second" => whole(1_000_000),
            _ => return None,
        })
    }

    /// `%Y-%m-%d` and friends.
    pub(super) fn format(self, format: &str) -> String {
        let (year, month, day) = self.civil();
        let mut text = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                text.push(c);
                continue;
            }
            match chars.next() {
                Some('Y') => text.push_str(&format!("{year:04}")),
                Some('y') => text.push_str(&format!("{:02}", year % 100)),
                Some('m') => text.push_str(&format!("{month:02}")),
                Some('c') => text.push_str(&month.to_string()),
                Some('d') => text.push_str(&format!("{day:02}")),
                Some('e') => text.push_str(&day.to_string()),
                Some('H') => text.push_str(&format!("{:02}", self.hour())),
                Some('i') => text.push_str(&format!("{:02}", self.minute())),
                Some('s' | 'S') => text.push_str(&format!("{:02}", self.second())),
                Some('f') => text.push_str(&format!("{:06}", self.micros % 1_000_000)),
                Some('T') => {
                    text.push_str(&format!(
                        "{:02}:{:02}:{:02}",
                        self.hour(),
                        self.minute(),
                        self.second()
                    ));
                }
                Some(other) => text.push(other),
                None => text.push('%'),
            }
        }
        text
    }
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil_of(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let index = (5 * of_year + 2) / 153;
    let month = if index < 10 { index + 3 } else { index - 9 };
    (
        year + era * 400 + i64::from(month <= 2),
        month,
        of_year - (153 * index + 2) / 5 + 1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Moment {
        Moment::parse(text).unwrap()
    }

    #[test]
    fn arithmetic_over_month_ends_and_leap_years() {
        assert_eq!(
            moment("2024-01-31").plus(1, "MONTH").unwrap().date_text(),
            "2024-02-29"
        );
        assert_eq!(
            moment("2024-02-29").plus(1, "year").unwrap().date_text(),
            "2025-02-28"
        );
        assert_eq!(
            moment("2024-03-01 00:00:00")
                .plus(-1, "second")
                .unwrap()
                .text(),
            "2024-02-29 23:59:59"
        );
        assert_eq!(
            moment("2024-05-15").truncated("quarter").unwrap().text(),
            "2024-04-01 00:00:00"
        );
        assert_eq!(
            moment("2024-11-20").truncated("week").unwrap().date_text(),
            "2024-11-18"
        );
        assert_eq!(moment("1969-12-31 23:59:59").unix_seconds(), -1);
        assert_eq!(
            moment("2024-01-02 03:04:05").format("%Y/%c-%e %T %%"),
            "2024/1-2 03:04:05 %"
        );
    }
}
