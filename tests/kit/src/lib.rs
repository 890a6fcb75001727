//! Deterministic simulation: a seed decides everything.
//!
//! Producers, appliers, the log, clusters and their users run in one thread with one virtual clock:
//!
//! `seed -> Scenario -> World { model of Doris, network } <- Client <- producer, applier -> MemoryLog`
//!
//! Read in this order: [`time`] (virtual time), [`doris`] (the model), [`world`] (what a run shares), [`net`], [`process`] and
//! [`client`] (calls, and what becomes of them), [`log`], then [`sim`] (a run).

pub mod client;
pub mod doris;
pub mod log;
pub mod net;
pub mod process;
pub mod rng;
pub mod sim;
pub mod time;
pub mod trace;
pub mod world;
