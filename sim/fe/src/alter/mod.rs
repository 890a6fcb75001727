//! ALTER TABLE: `clauses` (with `conflict`) gives each clause to its file. Changes that take time are a `job` (`run` drives it) or an `index_job`.

pub(crate) mod clauses;
pub(crate) mod column_change;
pub(crate) mod columns;
pub(crate) mod conflict;
pub(crate) mod feature;
pub(crate) mod index;
pub mod index_job;
pub(crate) mod index_job_run;
pub mod job;
pub(crate) mod materialize;
pub(crate) mod properties;
pub(crate) mod rollup;
pub(crate) mod run;
pub(crate) mod schema_change;
