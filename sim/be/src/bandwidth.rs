//! The rate limit that all downloads of a backend share.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::sync::lock;

/// One bandwidth group: transfers wait for each other, as if they went over one slow line.
#[derive(Debug, Default)]
pub struct Bandwidth {
    free_at: Mutex<Option<Instant>>,
}

impl Bandwidth {
    /// Takes the line for `bytes` at `limit_kbs` KiB/s and tells how long the transfer lasts from `now` on; no limit is 0.
    pub fn reserve(&self, bytes: usize, limit_kbs: u64, now: Instant) -> Duration {
        if limit_kbs == 0 {
            return Duration::ZERO;
        }
        let micros = (bytes as u64).saturating_mul(1_000_000) / limit_kbs.saturating_mul(1024);
        let mut free_at = lock(&self.free_at);
        let begin = free_at.filter(|free| *free > now).unwrap_or(now);
        let end = begin + Duration::from_micros(micros);
        *free_at = Some(end);
        end - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods)] // a point to count from
    fn transfers_at_the_same_time_wait_for_each_other() {
        let (line, now) = (Bandwidth::default(), Instant::now());
        let second = Duration::from_secs(1);
        assert_eq!(line.reserve(10 * 1024, 10, now), second);
        assert_eq!(line.reserve(5 * 1024, 10, now), second * 3 / 2);
        assert_eq!(line.reserve(1024, 0, now), Duration::ZERO);
        assert_eq!(line.reserve(10 * 1024, 10, now + second * 9), second);
    }
}
