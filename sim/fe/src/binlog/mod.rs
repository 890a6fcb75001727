//! Binlog: the `record` of each change, the `stream` that keeps it, `life` (switches, locks, GC); JSON as an FE writes it.

pub(crate) mod gson;
pub(crate) mod gson_order;
pub(crate) mod gson_text;
pub(crate) mod life;
pub(crate) mod record;
pub(crate) mod record_view;
pub(crate) mod stream;
