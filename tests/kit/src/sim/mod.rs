//! A run: what a seed decides, what happens, and what must be true in the end.
//!
//! Read in this order: [`scenario`] (what a seed decides), [`run`] (the phases), [`workload`] (users of the source),
//! [`chaos`] (what goes wrong), [`processes`] (producers and appliers, started again when they die), [`operator`] (who repairs
//! what may be repaired), [`check`] (what must be equal).

pub mod chaos;
pub mod check;
pub mod jobs;
pub mod known;
pub mod operator;
pub mod processes;
pub mod run;
pub mod scenario;
pub mod telling;
pub mod workload;
