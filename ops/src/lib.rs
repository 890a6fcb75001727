//! Process plumbing that every binary needs. Knows no event, no table, no topic.
//!
//! `layers -> Secret -> telemetry -> shutdown::on_signals -> task::Supervisor <- http::serve`
//!
//! Read in this order: [`layers`] (configuration, every error with its layer), [`duration`] (durations in it), [`secret`] (what must not be shown, and
//! sealing for the log), [`clock`] (the one place of wall time), [`retry`] (what an error means and how often to try),
//! [`task`] (supervised tasks), [`shutdown`] (signals and the one deadline). Then [`telemetry`] and [`names`] (logs and
//! metrics) and [`http`] (health, metrics, bounds).

pub mod clock;
pub mod duration;
pub mod http;
pub mod layers;
pub mod names;
pub mod retry;
pub mod secret;
pub mod shutdown;
pub mod task;
pub mod telemetry;

pub use clock::{Clock, SystemClock};
pub use retry::{Backoff, ErrorKind, RetryPolicy};
pub use secret::{Sealer, Secret};
pub use task::{OnError, Supervisor, TaskExit};
