//! Partitions by the clock: settings (`partition`, `check`) and the scheduler (`run`).

pub(crate) mod check;
pub(crate) mod partition;
pub(crate) mod run;
