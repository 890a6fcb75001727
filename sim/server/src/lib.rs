//! What clients reach of a simulated frontend: MySQL, HTTP, Thrift.
//!
//! `mysql` (statements), `http` (stream load, `/sim/...`), `frontend` (FrontendService, with `auth`, `convert`, `level` and `snapshots`),
//! `roles` (which frontend is the master).

pub mod auth;
pub mod convert;
pub mod frontend;
pub mod http;
pub mod level;
pub mod mysql;
pub mod roles;
mod snapshots;
