//! Transactions: the `table` of them, `commit`, `publish`.

pub(crate) mod commit;
pub(crate) mod publish;
pub(crate) mod table;
