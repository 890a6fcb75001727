//! What an error means for the process, and how often and how long to try again.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What the caller should do about an error. Every crate's error enum maps itself to one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Try again with backoff.
    Transient,
    /// The other side is away: try again, report not ready.
    Unavailable,
    /// The other side asks for patience: try again after a longer delay.
    Throttled,
    /// The world is not as assumed: read it again and plan again.
    Conflict,
    /// Another instance owns this: stop without draining.
    Fenced,
    /// Configuration or an unsupported fact: halt, a person must act.
    Invalid,
    /// Bytes do not check out: halt, never skip.
    Corrupt,
}

impl ErrorKind {
    /// Label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Unavailable => "unavailable",
            Self::Throttled => "throttled",
            Self::Conflict => "conflict",
            Self::Fenced => "fenced",
            Self::Invalid => "invalid",
            Self::Corrupt => "corrupt",
        }
    }
}

/// Bounds of a retry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in all, the first included; `None` means until cancelled (each attempt is still bounded).
    pub attempts: Option<u32>,
    /// First delay.
    pub initial: Duration,
    /// Largest delay.
    pub max: Duration,
}

/// The policy of each kind.
pub fn policy(kind: ErrorKind) -> RetryPolicy {
    let once = RetryPolicy {
        attempts: Some(1),
        initial: Duration::ZERO,
        max: Duration::ZERO,
    };
    match kind {
        ErrorKind::Transient => RetryPolicy {
            attempts: Some(8),
            initial: Duration::from_millis(50),
            max: Duration::from_secs(5),
        },
        ErrorKind::Unavailable => RetryPolicy {
            attempts: None,
            initial: Duration::from_millis(100),
            max: Duration::from_secs(10),
        },
        ErrorKind::Throttled => RetryPolicy {
            attempts: None,
            initial: Duration::from_secs(1),
            max: Duration::from_secs(30),
        },
        ErrorKind::Conflict => RetryPolicy {
            attempts: Some(5),
            initial: Duration::from_millis(50),
            max: Duration::from_secs(2),
        },
        ErrorKind::Fenced | ErrorKind::Invalid | ErrorKind::Corrupt => once,
    }
}

/// Exponential delays with seeded jitter (half of each delay is random).
#[derive(Debug)]
pub struct Backoff {
    policy: RetryPolicy,
    attempt: u32,
    rng: StdRng,
}

impl Backoff {
    /// Starts counting; the same seed gives the same delays.
    pub fn new(policy: RetryPolicy, seed: u64) -> Self {
        Self {
            policy,
            attempt: 0,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Delay before the next attempt, `None` when the attempts are used up.
    pub fn next_delay(&mut self) -> Option<Duration> {
        self.attempt += 1;
        if self
            .policy
            .attempts
            .is_some_and(|most| self.attempt >= most)
        {
            return None;
        }
        let exponent = (self.attempt - 1).min(20);
        let full = self
            .policy
            .initial
            .saturating_mul(1 << exponent)
            .min(self.policy.max);
        Some(full / 2 + full.mul_f64(self.rng.random_range(0.0..0.5)))
    }

    /// Starts again after a success.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }

    /// Attempts made since the start or the last reset.
    pub fn attempts_made(&self) -> u32 {
        self.attempt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_the_limit_and_end() {
        let mut backoff = Backoff::new(policy(ErrorKind::Transient), 7);
        let delays: Vec<_> = std::iter::from_fn(|| backoff.next_delay()).collect();
        assert_eq!(delays.len(), 7);
        assert!(delays.iter().all(|d| *d <= Duration::from_secs(5)));
        assert!(delays[6] > delays[0]);
        assert!(
            Backoff::new(policy(ErrorKind::Invalid), 7)
                .next_delay()
                .is_none()
        );
    }
}
