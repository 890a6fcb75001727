//! How an event is repeated, with the reason for people.

use ccr_schemas::{Event, Replay};

/// An event and how it is repeated.
#[derive(Clone, Debug, PartialEq)]
pub struct Translated {
    /// What happened.
    pub event: Event,
    /// How a target repeats it.
    pub replay: Replay,
}

/// A statement is enough.
pub(super) fn sql(event: Event) -> Translated {
    Translated {
        event,
        replay: Replay::Sql,
    }
}

/// Nothing to do.
pub(super) fn skip(event: Event, reason: &str) -> Translated {
    Translated {
        event,
        replay: reason_to_skip(reason),
    }
}

/// Only a snapshot brings it.
pub(super) fn snapshot(event: Event, reason: &str) -> Translated {
    Translated {
        event,
        replay: reason_for_snapshot(reason),
    }
}

/// Temporary partitions are left out.
pub(super) fn temp_or_sql(is_temp: bool) -> Replay {
    if is_temp {
        reason_to_skip("temporary partitions are not replicated")
    } else {
        Replay::Sql
    }
}

/// Nothing to do, and why.
pub(super) fn reason_to_skip(reason: &str) -> Replay {
    Replay::Skip {
        reason: reason.to_owned(),
    }
}

/// Only a snapshot brings it, and why.
pub(super) fn reason_for_snapshot(reason: &str) -> Replay {
    Replay::Snapshot {
        reason: reason.to_owned(),
    }
}
