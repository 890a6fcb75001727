//! The product on genuine Doris frontends whose backends are dorisim's. `cargo xtask genuine` runs them.
//!
//! [`cluster`] starts such clusters, [`steps`] waits and compares.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "tests end at the first surprise"
)]

mod chain;
mod cluster;
mod native;
mod steps;
