//! The whole product on simulated clusters. Nothing that an operator runs links this crate.
//!
//! `Cluster (a simulated Doris and a client of it) + ccr_cli::stack (the product in one process)`
//!
//! Read in this order: [`args`] (what can be asked for), [`quickstart`] (the product shown from the first load to the last
//! comparison), [`mod@bench`] (numbers). Tests start their clusters with [`Cluster`].

pub mod args;
pub mod bench;
pub mod compare;
pub mod quickstart;

pub use quickstart::Cluster;
