//! Waiting with a bound, for a crate that has no runtime.

use std::time::{Duration, Instant};

/// Asks `done` every 100 ms until it answers or the bound is reached.
#[allow(
    clippy::disallowed_methods,
    reason = "a separate process is watched; its time is the machine's"
)]
pub(crate) fn until<T>(bound: Duration, mut done: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = done() {
            return Some(value);
        }
        if start.elapsed() >= bound {
            return None;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
