//! The wire structs of Doris that only the simulator speaks: agent tasks and reports, heartbeats, plan fragments, stream
//! loads. Those of the product, from [`ccr_doris_wire`], are here under the same names.
//!
//! `idl/*.thrift (+ doris/wire/idl) -> generate.sh -> src/generated/*.rs`

pub use ccr_doris_wire::{backend, frontend, unset};

pub use generated::{agent, heartbeat, load, plan, types};

/// Follows the habits of the compiler, not ours. Never edited.
#[allow(
    missing_docs,
    unused_imports,
    dead_code,
    non_snake_case,
    non_camel_case_types,
    clippy::all,
    clippy::unwrap_used
)]
#[rustfmt::skip]
mod generated {
    pub mod agent;
    pub mod heartbeat;
    pub mod load;
    pub mod plan;
    pub mod types;
}

pub use agent::*;
pub use backend::*;
pub use frontend::*;
pub use heartbeat::*;
pub use types::*;
