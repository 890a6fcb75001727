//! How long a stream waits between two questions for new records. The one place that decides it.
//!
//! A question costs the source a call and the operator nothing to see; a long pause costs the first event after it. So a
//! stream asks often while records come, slower the longer none came, and slowest where there is nothing to ask: a database
//! without a binlog stream, whose FE writes a warning for each question.

use std::time::Duration;

/// Longest pause of a stream that was active within [`PaceRule::idle_after`].
const ACTIVE: Duration = Duration::from_millis(100);
/// A pause is this part of the time since the last record.
const SHARE: u32 = 20;
/// Pauses of a database without a stream grow up to this many idle ones.
const NO_STREAM: u32 = 5;

/// Bounds of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaceRule {
    /// Pause while records come.
    pub busy: Duration,
    /// Pause of a stream that is idle for long.
    pub idle: Duration,
    /// Time without a record after which a stream is idle for long.
    pub idle_after: Duration,
}

/// When something came last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    active_at: Duration,
    no_stream_since: Option<Duration>,
}

impl Pace {
    /// A stream that begins; it counts as active.
    pub fn new(now: Duration) -> Self {
        Self {
            active_at: now,
            no_stream_since: None,
        }
    }

    /// Notes that the source showed a record that was not published yet.
    pub fn active(&mut self, now: Duration) {
        self.active_at = now;
        self.no_stream_since = None;
    }

    /// Notes that the source has a stream and nothing new in it.
    pub fn quiet(&mut self) {
        self.no_stream_since = None;
    }

    /// Notes that the source has no stream for the database.
    pub fn no_stream(&mut self, now: Duration) {
        self.no_stream_since.get_or_insert(now);
    }

    /// The pause before the next question.
    pub fn pause(&self, rule: &PaceRule, now: Duration) -> Duration {
        if let Some(since) = self.no_stream_since {
            let grown = now.saturating_sub(since) / SHARE;
            let least = ACTIVE.max(rule.busy);
            return grown.clamp(least, least.max(rule.idle * NO_STREAM));
        }
        let quiet = now.saturating_sub(self.active_at);
        if quiet >= rule.idle_after {
            return rule.idle.max(rule.busy);
        }
        (quiet / SHARE).clamp(rule.busy, ACTIVE.max(rule.busy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: PaceRule = PaceRule {
        busy: Duration::from_millis(20),
        idle: Duration::from_secs(1),
        idle_after: Duration::from_secs(60),
    };

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_pause_grows_with_the_time_since_the_last_record() {
        let pace = Pace::new(ms(0));
        let cases = [
            (0, 20),
            (400, 20),
            (1_000, 50),
            (2_000, 100),
            (59_999, 100),
            (60_000, 1_000),
            (86_400_000, 1_000),
        ];
        for (quiet, pause) in cases {
            assert_eq!(pace.pause(&RULE, ms(quiet)), ms(pause), "{quiet} ms");
        }
    }

    #[test]
    fn a_record_makes_the_stream_busy_again() {
        let mut pace = Pace::new(ms(0));
        assert_eq!(pace.pause(&RULE, ms(90_000)), ms(1_000));
        pace.active(ms(90_000));
        assert_eq!(pace.pause(&RULE, ms(90_000)), ms(20));
    }

    #[test]
    fn a_database_without_a_stream_is_asked_ever_more_rarely() {
        let mut pace = Pace::new(ms(0));
        pace.no_stream(ms(0));
        let cases = [(0, 100), (4_000, 200), (60_000, 3_000), (600_000, 5_000)];
        for (since, pause) in cases {
            pace.no_stream(ms(since));
            assert_eq!(pace.pause(&RULE, ms(since)), ms(pause), "{since} ms");
        }
        pace.quiet();
        assert_eq!(pace.pause(&RULE, ms(600_000)), ms(1_000));
        pace.active(ms(600_000));
        assert_eq!(pace.pause(&RULE, ms(600_000)), ms(20));
    }

    /// 64 idle databases of one source: what an hour of questions costs it.
    #[test]
    fn an_idle_hour_costs_about_a_question_a_second() {
        let pace = Pace::new(ms(0));
        let (mut now, mut first_minute, mut rest) = (ms(0), 0, 0);
        while now < ms(3_600_000) {
            if now < RULE.idle_after {
                first_minute += 1;
            } else {
                rest += 1;
            }
            now += pace.pause(&RULE, now);
        }
        assert!(first_minute < 700, "{first_minute}");
        assert_eq!(rest, 3_540);
    }

    #[test]
    fn settings_that_contradict_each_other_still_give_a_pause() {
        let rule = PaceRule {
            busy: ms(500),
            idle: ms(20),
            idle_after: ms(0),
        };
        let mut pace = Pace::new(ms(0));
        assert_eq!(pace.pause(&rule, ms(0)), ms(500));
        pace.no_stream(ms(0));
        assert_eq!(pace.pause(&rule, ms(0)), ms(500));
    }
}
