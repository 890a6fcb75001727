//! Virtual time: it stands while anything can run, and jumps to the next timer when nothing can.
//!
//! The runtime calls [`Timers::advance`] whenever it has nothing left to poll. No timer of tokio runs beside it: code that
//! sleeps past [`ccr_ops::Clock`] panics in the simulation, so no real time can enter.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use ccr_ops::Clock;

/// Wall time at the start of every run, milliseconds since the epoch.
pub const EPOCH_MS: i64 = 1_767_225_600_000;

/// All timers of a run.
#[derive(Debug, Default)]
pub struct Timers {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    now: Duration,
    next: u64,
    waiting: BTreeMap<(Duration, u64), Waker>,
}

impl Timers {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since the start of the run.
    pub fn now(&self) -> Duration {
        self.lock().now
    }

    /// Milliseconds since the epoch.
    pub fn now_ms(&self) -> i64 {
        EPOCH_MS + i64::try_from(self.now().as_millis()).unwrap_or(i64::MAX / 2)
    }

    /// Moves time to the earliest timer and wakes all timers of that moment, in the order in which they were set. False when
    /// no timer is set: then nothing will ever happen again.
    pub fn advance(&self) -> bool {
        let due = {
            let mut inner = self.lock();
            let Some((&(at, _), _)) = inner.waiting.first_key_value() else {
                return false;
            };
            inner.now = inner.now.max(at);
            let later = inner.waiting.split_off(&(at, u64::MAX));
            std::mem::replace(&mut inner.waiting, later)
        };
        for waker in due.into_values() {
            waker.wake();
        }
        true
    }

    /// Waits.
    pub fn sleep(self: &Arc<Self>, duration: Duration) -> Sleep {
        Sleep {
            timers: self.clone(),
            deadline: self.now().saturating_add(duration),
            key: None,
        }
    }
}

/// A wait for a moment.
#[derive(Debug)]
pub struct Sleep {
    timers: Arc<Timers>,
    deadline: Duration,
    key: Option<(Duration, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let timers = self.timers.clone();
        let mut inner = timers.lock();
        match self.key {
            // Taken out of the table: it was woken.
            Some(key) if !inner.waiting.contains_key(&key) => {
                self.key = None;
                return Poll::Ready(());
            }
            Some(key) => {
                inner.waiting.insert(key, cx.waker().clone());
            }
            None => {
                let key = (self.deadline, inner.next);
                inner.next += 1;
                inner.waiting.insert(key, cx.waker().clone());
                self.key = Some(key);
            }
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.timers.lock().waiting.remove(&key);
        }
    }
}

/// The clock of one process: virtual time, with its own idea of the date.
#[derive(Debug)]
pub struct SimClock {
    timers: Arc<Timers>,
    skew_ms: i64,
}

impl SimClock {
    /// A clock that is wrong by so many milliseconds.
    pub fn new(timers: Arc<Timers>, skew_ms: i64) -> Self {
        Self { timers, skew_ms }
    }
}

#[async_trait]
impl Clock for SimClock {
    fn now_ms(&self) -> i64 {
        self.timers.now_ms() + self.skew_ms
    }

    fn monotonic(&self) -> Duration {
        self.timers.now()
    }

    async fn sleep(&self, duration: Duration) {
        self.timers.sleep(duration).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<F: Future>(timers: &Arc<Timers>, work: F) -> F::Output {
        let hook = timers.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .on_thread_park(move || {
                hook.advance();
            })
            .build()
            .expect("a runtime without drivers needs nothing of the system");
        runtime.block_on(work)
    }

    #[test]
    fn time_jumps_to_the_next_timer_and_only_when_nothing_can_run() {
        let timers = Arc::new(Timers::default());
        let inside = timers.clone();
        let order = run(&timers, async move {
            let order = Arc::new(Mutex::new(Vec::new()));
            let mut tasks = tokio::task::JoinSet::new();
            for (name, ms) in [("c", 3_600_000), ("a", 10), ("b", 10)] {
                let (timers, order) = (inside.clone(), order.clone());
                tasks.spawn(async move {
                    timers.sleep(Duration::from_millis(ms)).await;
                    let at = timers.now().as_millis();
                    order.lock().unwrap().push(format!("{name}@{at}"));
                });
            }
            while tasks.join_next().await.is_some() {}
            order.lock().unwrap().clone()
        });
        assert_eq!(order, ["a@10", "b@10", "c@3600000"]);
    }

    #[test]
    fn a_dropped_wait_is_forgotten() {
        let timers = Arc::new(Timers::default());
        let inside = timers.clone();
        run(&timers, async move {
            let mut long = Box::pin(inside.sleep(Duration::from_secs(100)));
            assert!(futures::poll!(&mut long).is_pending());
            drop(long);
            inside.sleep(Duration::from_millis(5)).await;
        });
        assert_eq!(timers.now(), Duration::from_millis(5));
        assert!(!timers.advance(), "nothing is left to wait for");
    }
}
