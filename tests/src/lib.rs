//! What end-to-end tests are made of.
//!
//! `World (simulated clusters) + Process (the real binaries) + Workload (seeded writes) -> Checker (every row)`
//!
//! Read in this order: [`world`], [`process`], [`workload`], [`checker`]; [`chaos`] is the long random run.

pub mod chaos;
pub mod checker;
pub mod process;
pub mod workload;
pub mod world;

pub use checker::assert_equal;
pub use process::{Binary, Process};
pub use workload::Workload;
pub use world::{Api, World, embedded_stack};
