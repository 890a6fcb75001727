//! Thrift calls over TCP: unframed, strict binary protocol, asynchronous, with a bound on everything.
//!
//! `request -> message -> connection (from pool) -> scan (whole answer in memory, every length checked) -> input -> answer`
//!
//! The `thrift` crate's own transports block a thread per call and trust every length they read, so that a broken server can
//! end the process. Here an answer is read until it is complete and only then decoded.

mod input;
mod message;
mod pool;
mod scan;

pub(crate) use pool::{Call, Callee, Failure, Pool, Repeat};
