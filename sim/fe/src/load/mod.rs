//! A load: `write` → `route` (rows to tablets) → `txn` (several statements in one transaction).

pub(crate) mod route;
pub(crate) mod txn;
pub(crate) mod write;
