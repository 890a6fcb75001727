//! The clock of a simulated cluster: real time plus an offset that tests can move.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Time as the simulated cluster sees it. Moving it makes binlog ttl, label expiry and snapshot expiry testable.
#[derive(Debug, Default)]
pub struct SimClock {
    offset_ms: AtomicI64,
}

impl SimClock {
    /// Milliseconds since 1970, including the offset.
    #[allow(clippy::disallowed_methods)] // the one place of this crate that reads the wall clock
    pub fn now_ms(&self) -> i64 {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        let real = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        real.saturating_add(self.offset_ms.load(Ordering::Relaxed))
    }

    /// A reading for measuring durations; the offset does not touch it.
    #[allow(clippy::disallowed_methods)] // the one place of this crate that reads the monotonic clock
    pub fn monotonic(&self) -> Instant {
        Instant::now()
    }

    /// Moves the wall clock by `by_ms` (negative: backwards).
    pub fn advance(&self, by_ms: i64) {
        self.offset_ms.fetch_add(by_ms, Ordering::Relaxed);
    }

    /// Present offset in milliseconds.
    pub fn offset_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed)
    }
}

/// `yyyy-MM-dd HH:mm:ss` in UTC, as SHOW statements print times.
pub fn datetime_text(ms: i64) -> String {
    let (year, month, day, hour, minute, second) = civil(ms);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// `yyyyMMddHHmmss` in UTC, as snapshot directories are named.
pub fn compact_datetime(ms: i64) -> String {
    let (year, month, day, hour, minute, second) = civil(ms);
    format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
}

/// Days since 1970 to year, month, day (proleptic Gregorian), and the time of day.
fn civil(ms: i64) -> (i64, i64, i64, i64, i64, i64) {
    let seconds = ms.div_euclid(1000);
    let days = seconds.div_euclid(86_400);
    let of_day = seconds.rem_euclid(86_400);
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (
        year,
        month,
        day,
        of_day / 3600,
        of_day % 3600 / 60,
        of_day % 60,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_the_clock_moves_wall_time_only() {
        let clock = SimClock::default();
        let before = clock.now_ms();
        clock.advance(86_400_000);
        assert!(clock.now_ms() - before >= 86_400_000);
        assert_eq!(clock.offset_ms(), 86_400_000);
    }

    #[test]
    fn dates_are_written_as_doris_shows_them() {
        assert_eq!(datetime_text(0), "1970-01-01 00:00:00");
        assert_eq!(datetime_text(951_782_400_000), "2000-02-29 00:00:00");
        assert_eq!(compact_datetime(1_767_852_000_123), "20260108060000");
    }
}
