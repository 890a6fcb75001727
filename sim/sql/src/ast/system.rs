//! `ALTER SYSTEM` on backends.

use super::Properties;

/// `ALTER SYSTEM ... BACKEND`. Backends are named `host:heartbeat_port`, or by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlterSystem {
    /// `ADD BACKEND`.
    Add {
        /// Which ones.
        backends: Vec<String>,
        /// `PROPERTIES`: tags.
        properties: Properties,
    },
    /// `DROP BACKEND` and `DROPP BACKEND`.
    Drop {
        /// Which ones.
        backends: Vec<String>,
        /// Written with two P.
        force: bool,
    },
    /// `DECOMMISSION BACKEND` and `CANCEL DECOMMISSION BACKEND`.
    Decommission {
        /// Which ones.
        backends: Vec<String>,
        /// False for CANCEL.
        on: bool,
    },
    /// `MODIFY BACKEND ... SET`.
    Modify {
        /// Which ones.
        backends: Vec<String>,
        /// Tags, `disable_query`, `disable_load`.
        properties: Properties,
    },
}
