//! The operator's binary as a library, so that tests start what users start.
//!
//! `args -> commands::<verb> -> stack (log, producer, applier, API in one process) -> exit code`
//!
//! Read in this order: [`args`] (what can be asked for), [`settings`] (what is set), [`stack`] (the parts put together), [`verify`] (are the copies
//! right).

pub mod args;
pub mod commands;
pub mod key_file;
pub mod settings;
pub mod stack;
pub mod verify;
