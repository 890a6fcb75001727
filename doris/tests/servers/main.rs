//! The client against servers that redirect, die, hang and answer nonsense.
#![allow(clippy::unwrap_used, reason = "a test")]

mod calls;
mod fake;
mod frontends;
mod messages;
mod operations;
mod sessions;
