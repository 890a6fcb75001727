//! Tells a consumer that has silently stopped delivering from one that has nothing to deliver.

use std::time::Duration;

/// Silence after which the topic's end is looked at.
const SILENCE: Duration = Duration::from_secs(30);
/// Checks in a row that find the end ahead of a silent consumer before it is recreated.
const STRIKES: u32 = 2;

/// What the silence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing to worry about.
    Fine,
    /// The topic has records that are not delivered: recreate the consumer.
    Stalled,
}

/// Pure: the caller brings time and the topic's end.
#[derive(Debug)]
pub(super) struct Watchdog {
    last_sign: Duration,
    strikes: u32,
}

impl Watchdog {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            last_sign: now,
            strikes: 0,
        }
    }

    /// Something was delivered, or delivery is not wanted.
    pub(super) fn alive(&mut self, now: Duration) {
        self.last_sign = now;
        self.strikes = 0;
    }

    /// Whether the end should be looked at now.
    pub(super) fn wants_look(&self, now: Duration) -> bool {
        now.saturating_sub(self.last_sign) >= SILENCE
    }

    /// The end was looked at.
    pub(super) fn looked(&mut self, now: Duration, position: i64, end: i64) -> Verdict {
        if end <= position {
            self.alive(now);
            return Verdict::Fine;
        }
        self.last_sign = now;
        self.strikes += 1;
        if self.strikes >= STRIKES {
            Verdict::Stalled
        } else {
            Verdict::Fine
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_idle_topic_is_no_stall() {
        let mut dog = Watchdog::new(at(0));
        assert!(!dog.wants_look(at(29)));
        assert!(dog.wants_look(at(30)));
        for look in 1..10 {
            assert_eq!(dog.looked(at(30 * look), 5, 5), Verdict::Fine);
        }
    }

    #[test]
    fn silence_before_waiting_records_is_a_stall_the_second_time() {
        let mut dog = Watchdog::new(at(0));
        assert_eq!(dog.looked(at(30), 5, 6), Verdict::Fine);
        assert!(!dog.wants_look(at(59)), "looks are spaced");
        assert_eq!(dog.looked(at(60), 5, 7), Verdict::Stalled);
    }

    #[test]
    fn a_delivery_in_between_clears_the_strike() {
        let mut dog = Watchdog::new(at(0));
        assert_eq!(dog.looked(at(30), 5, 6), Verdict::Fine);
        dog.alive(at(40));
        assert_eq!(dog.looked(at(70), 6, 7), Verdict::Fine);
    }
}
