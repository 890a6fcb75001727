//! Jobs in the log: the compacted jobs topic.

/// The jobs, as they stand in the log.
#[derive(Debug)]
pub struct JobRegistry {}
