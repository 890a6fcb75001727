//! Process plumbing that every binary needs. Knows no event, no table, no topic.
//!
//! `layers -> Secret -> telemetry -> task::supervise(.., shutdown)`
//!
//! Read in this order: [`secret`] (what must not be shown, and sealing for the log), [`clock`] (the one place of wall time),
//! [`retry`] (what an error means and how often to try), [`task`] (supervised tasks), [`shutdown`] (signals and the one
//! deadline), [`telemetry`] (logs and metrics).

pub mod clock;
pub mod retry;
pub mod secret;
pub mod shutdown;
pub mod task;
pub mod telemetry;

pub use clock::{Clock, SystemClock};
pub use retry::{Backoff, ErrorKind, RetryPolicy};
pub use secret::{Sealer, Secret};
