//! HTTP of the simulated cluster: [`listener`] (connections that faults can cut).

pub mod listener;
