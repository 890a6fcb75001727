//! CREATE, DROP, TRUNCATE, RECOVER, INSERT OVERWRITE: `statement` gives each to its file.

pub(crate) mod overwrite;
pub(crate) mod partition;
pub(crate) mod recover;
pub mod recycle_bin;
pub(crate) mod statement;
pub(crate) mod table;
pub(crate) mod view;
