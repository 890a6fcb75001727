//! End-to-end tests: the real binaries, simulated clusters on real sockets, both logs.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "tests end at the first surprise"
)]

mod api;
mod away;
mod bad_input;
mod chaos;
mod dropped;
mod fan_out;
mod frontends;
mod kafka;
mod quickstart;
mod renew;
mod restore;
mod resync;
mod retire;
mod scope;
mod secured;
mod source_rewound;
mod standalone;
mod status;
mod table_job;
mod table_resync;
mod take_over;
mod time_travel;
mod verify;
