//! The simulated backend: tablets as rowset files, agent tasks, ingest and download endpoints.

pub mod api;
