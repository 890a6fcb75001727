//! Newtypes of everything that is counted or named by Doris.
//!
//! All ids here are ids of the *source* cluster. The applier wraps destination ids in its own `Dest<T>` so that the two can
//! not be swapped silently.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl From<i64> for $name {
            fn from(value: i64) -> Self {
                Self(value)
            }
        }
    };
}

id!(
    /// Id of a database inside one Doris cluster.
    DbId
);
id!(
    /// Id of a table or view.
    TableId
);
id!(
    /// Id of a partition. Changes when the partition is truncated, replaced or recovered.
    PartitionId
);
id!(
    /// Id of a materialized index: the base index of a table or one of its rollups.
    IndexId
);
id!(
    /// Id of a tablet: one bucket of one index of one partition.
    TabletId
);
id!(
    /// Id of a backend (BE).
    BackendId
);
id!(
    /// Id of a transaction.
    TxnId
);
id!(
    /// Position in a binlog stream: the journal id of the FE. Strictly increasing, sparse, shared by all databases of a
    /// cluster. `-1` is the position before the first record of a fresh stream.
    CommitSeq
);
id!(
    /// Milliseconds since the Unix epoch.
    TimestampMs
);

id!(
    /// Number of a timeline: one history of a source database. Positions are comparable within one timeline only. The
    /// first is [`Timeline::FIRST`]; each history that replaces another has a larger number.
    Timeline
);

impl Timeline {
    /// The timeline a log begins with.
    pub const FIRST: Self = Self(0);
}

impl Default for Timeline {
    fn default() -> Self {
        Self::FIRST
    }
}

impl CommitSeq {
    /// The position before the first record of a stream that has lost nothing yet (the seq of a fresh DUMMY record).
    pub const BEFORE_FIRST: Self = Self(-1);
}

/// Identifies one sync of a job, or one run of a stream.
///
/// Part of transaction labels and of consumer group names, so that a job deleted and created again under the same name
/// never mistakes the old job's work for its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(pub String);

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
