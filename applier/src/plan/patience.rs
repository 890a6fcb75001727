//! How long something that fails is tried: by what the failure means, over a span of time and not by a count alone, so that
//! what is away for seconds or minutes costs time and nothing else.

use std::time::Duration;

use ccr_ops::ErrorKind;

/// Bounds for failures that may pass or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Attempts at least.
    pub attempts: u32,
    /// Time at least, since the first failure.
    pub span: Duration,
}

impl Patience {
    /// For a snapshot that is restored, of one table or of a whole database.
    pub const RESTORE: Self = Self {
        attempts: 4,
        span: Duration::from_secs(300),
    };
    /// For a statement that the destination refuses for no known reason.
    pub const STATEMENT: Self = Self {
        attempts: 8,
        span: Duration::from_secs(30),
    };

    /// Returns whether nothing is gained by another attempt. What is away, and what asks for patience, is waited for as
    /// long as it takes; what nobody but a person can change is not tried again.
    pub fn is_over(self, kind: ErrorKind, failures: u32, failing_for: Duration) -> bool {
        match kind {
            ErrorKind::Unavailable | ErrorKind::Throttled => false,
            ErrorKind::Transient | ErrorKind::Conflict => {
                failures >= self.attempts && failing_for >= self.span
            }
            ErrorKind::Fenced | ErrorKind::Invalid | ErrorKind::Corrupt => true,
        }
    }
}

/// Failures in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failing {
    /// How many, of any kind.
    pub failures: u32,
    /// Those that patience counts, since the last that it does not.
    counted: u32,
    since_ms: Option<i64>,
}

impl Failing {
    /// Counts a failure. Returns whether nothing is gained by another attempt.
    pub fn count(&mut self, kind: ErrorKind, patience: Patience, now_ms: i64) -> bool {
        self.failures = self.failures.saturating_add(1);
        match kind {
            ErrorKind::Unavailable | ErrorKind::Throttled => {
                (self.counted, self.since_ms) = (0, None);
            }
            ErrorKind::Transient
            | ErrorKind::Conflict
            | ErrorKind::Fenced
            | ErrorKind::Invalid
            | ErrorKind::Corrupt => self.counted = self.counted.saturating_add(1),
        }
        let since = *self.since_ms.get_or_insert(now_ms);
        let failing_for = Duration::from_millis(u64::try_from(now_ms - since).unwrap_or(0));
        patience.is_over(kind, self.counted, failing_for)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_given_time_and_what_can_not_is_not() {
        let minute = 60_000;
        for (kind, at, expected) in [
            (ErrorKind::Unavailable, 0, [false; 6]),
            (ErrorKind::Throttled, 0, [false; 6]),
            // Often, but all within a moment.
            (ErrorKind::Transient, 0, [false; 6]),
            (
                ErrorKind::Transient,
                minute,
                [false, false, false, false, false, true],
            ),
            (
                ErrorKind::Conflict,
                5 * minute,
                [false, false, false, true, true, true],
            ),
            (ErrorKind::Invalid, 0, [true; 6]),
        ] {
            let mut failing = Failing::default();
            let found: Vec<bool> = (0..6)
                .map(|n| failing.count(kind, Patience::RESTORE, 1_000 + n * at))
                .collect();
            assert_eq!(found, expected, "{kind:?} every {at} ms");
        }
    }

    #[test]
    fn a_backend_that_is_away_for_minutes_costs_time_only() {
        let mut failing = Failing::default();
        for second in 0..600 {
            let over = failing.count(ErrorKind::Unavailable, Patience::RESTORE, second * 1000);
            assert!(!over, "after {second} s");
        }
        // And nothing of it counts for what follows.
        assert!(!failing.count(ErrorKind::Transient, Patience::RESTORE, 601_000));
    }
}
