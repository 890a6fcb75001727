//! Partitions by the clock: settings (`partition`, `check`), the scheduler (`run`) and what it did (`runs`).

pub(crate) mod check;
pub(crate) mod partition;
pub(crate) mod run;
pub mod runs;
