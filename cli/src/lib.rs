//! The operator's binary as a library, so that tests start what users start.
//!
//! `args -> commands::<verb> -> stack (log, producer, applier, API in one process) -> exit code`
//!
//! Read in this order: [`args`] (what can be asked for), [`stack`] (the parts put together), [`quickstart`] (the whole
//! product shown on simulated clusters), [`verify`] (are the copies right), [`mod@bench`] (numbers).

pub mod args;
pub mod bench;
pub mod commands;
pub mod compare;
pub mod key_file;
pub mod quickstart;
pub mod stack;
pub mod verify;
