//! The network: how long a call takes, and whether request and answer arrive.

use std::collections::BTreeMap;

use crate::rng::Rng;

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nobody listens.
    Refused {
        /// Time until that shows.
        after_ms: i64,
    },
    /// The request is lost on its way.
    RequestLost {
        /// Time until the caller gives up.
        after_ms: i64,
    },
    /// The request arrives.
    Delivered {
        /// Time until it does.
        out_ms: i64,
        /// Time until the answer is back.
        back_ms: i64,
        /// The answer is lost: the caller gives up after `back_ms`.
        answer_lost: bool,
        /// A caller that goes away while the request is on its way does not stop it.
        cannot_be_recalled: bool,
    },
}

/// How bad the network is, in calls out of a thousand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// Connections refused.
    pub refused: u64,
    /// Requests lost.
    pub request_lost: u64,
    /// Answers lost.
    pub answer_lost: u64,
    /// Calls that take long.
    pub slow: u64,
    /// Longest ordinary way, milliseconds.
    pub latency_ms: i64,
}

/// The network.
#[derive(Debug)]
pub struct Net {
    rng: Rng,
    /// How bad it is.
    pub weather: Weather,
    /// Clusters that nobody reaches until a moment.
    pub cut_until: BTreeMap<String, i64>,
}

impl Net {
    /// A network decided by a seed.
    pub fn new(seed: u64, weather: Weather) -> Self {
        Self {
            rng: Rng::new(seed, "net"),
            weather,
            cut_until: BTreeMap::new(),
        }
    }

    /// Everything arrives from now on.
    pub fn calm(&mut self) {
        self.weather = Weather {
            latency_ms: 2,
            ..Weather::default()
        };
        self.cut_until.clear();
    }

    /// Decides about one call to a cluster.
    pub fn fate(&mut self, cluster: &str, now: i64) -> Fate {
        if self
            .cut_until
            .get(cluster)
            .is_some_and(|until| now < *until)
        {
            return Fate::Refused { after_ms: 1 };
        }
        let Weather {
            refused,
            request_lost,
            answer_lost,
            slow,
            latency_ms,
        } = self.weather;
        let out_ms = self.rng.within(0, latency_ms);
        let mut back_ms = self.rng.within(0, latency_ms);
        let draw = self.rng.below(1000);
        if draw < refused {
            return Fate::Refused { after_ms: 1 };
        }
        let give_up = if self.rng.below(4) == 0 { 3000 } else { 40 };
        if draw < refused + request_lost {
            return Fate::RequestLost { after_ms: give_up };
        }
        let is_lost = draw < refused + request_lost + answer_lost;
        if is_lost {
            back_ms = give_up;
        } else if draw < refused + request_lost + answer_lost + slow {
            back_ms += self.rng.within(100, 2500);
        }
        Fate::Delivered {
            out_ms,
            back_ms,
            answer_lost: is_lost,
            cannot_be_recalled: self.rng.coin(),
        }
    }

    /// Time that a backend works on something.
    pub fn work_ms(&mut self) -> i64 {
        let most = self.weather.latency_ms.max(1) * 2;
        self.rng.within(0, most)
    }

    /// True so many times out of a thousand.
    pub fn permille(&mut self, share: u64) -> bool {
        self.rng.permille(share)
    }

    /// A number of a span.
    pub fn within(&mut self, low: i64, high: i64) -> i64 {
        self.rng.within(low, high)
    }
}
