//! HTTP server of a process: health and metrics next to whatever routes it has, with bounds on everything a client can hold.
//!
//! `accept (slots) -> guard (who may ask) -> body (read within bounds) -> routes`
//!
//! Read in this order: [`Bounds`], [`health`] (what is served whatever happens), `guard`, `body`, [`serve`].

mod body;
mod guard;
pub mod health;
mod server;

use std::time::Duration;

pub use health::{Health, NotReady, shell};
pub use server::serve;

/// Bounds of a server. Each limits what clients can hold, or how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections that are served at a time. Default [`Bounds::DEFAULT_CONNECTIONS`].
    pub connections: usize,
    /// Further connections, on which only health and metrics are answered; at least 1. When they are all used, the oldest
    /// is closed. Default [`Bounds::DEFAULT_RESERVE`].
    pub reserve: usize,
    /// Time for the head of a request, and for a connection without one. Default [`Bounds::DEFAULT_HEAD_TIME`].
    pub head_time: Duration,
    /// Time for the body of a request. Default [`Bounds::DEFAULT_BODY_TIME`].
    pub body_time: Duration,
    /// Time to answer a request once its body is there. Default [`Bounds::DEFAULT_ANSWER_TIME`].
    pub answer_time: Duration,
    /// Age at which a connection is closed, also one whose client does not read. Default [`Bounds::DEFAULT_AGE`].
    pub age: Duration,
    /// Largest body in bytes. Default [`Bounds::DEFAULT_BODY_BYTES`].
    pub body_bytes: usize,
    /// Bytes of all bodies that are in memory at a time. Default [`Bounds::DEFAULT_BODIES_BYTES`].
    pub bodies_bytes: usize,
    /// Names besides its own addresses by which the server is reached, for instance through a proxy that passes `Host` on.
    /// Default: none; a server on a loopback address then takes names of this machine only, another one takes any name.
    pub allowed_hosts: Vec<String>,
}

impl Bounds {
    /// Default of [`Bounds::connections`]: far below the usual limit of 1024 open files.
    pub const DEFAULT_CONNECTIONS: usize = 256;
    /// Default of [`Bounds::reserve`].
    pub const DEFAULT_RESERVE: usize = 16;
    /// Default of [`Bounds::head_time`].
    pub const DEFAULT_HEAD_TIME: Duration = Duration::from_secs(10);
    /// Default of [`Bounds::body_time`].
    pub const DEFAULT_BODY_TIME: Duration = Duration::from_secs(20);
    /// Default of [`Bounds::answer_time`].
    pub const DEFAULT_ANSWER_TIME: Duration = Duration::from_secs(60);
    /// Default of [`Bounds::age`].
    pub const DEFAULT_AGE: Duration = Duration::from_secs(600);
    /// Default of [`Bounds::body_bytes`].
    pub const DEFAULT_BODY_BYTES: usize = 1 << 20;
    /// Default of [`Bounds::bodies_bytes`].
    pub const DEFAULT_BODIES_BYTES: usize = 16 << 20;
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: Self::DEFAULT_CONNECTIONS,
            reserve: Self::DEFAULT_RESERVE,
            head_time: Self::DEFAULT_HEAD_TIME,
            body_time: Self::DEFAULT_BODY_TIME,
            answer_time: Self::DEFAULT_ANSWER_TIME,
            age: Self::DEFAULT_AGE,
            body_bytes: Self::DEFAULT_BODY_BYTES,
            bodies_bytes: Self::DEFAULT_BODIES_BYTES,
            allowed_hosts: Vec::new(),
        }
    }
}
