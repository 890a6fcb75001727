//! What an applier writes next to its committed offset: its whole durable memory, at most 2 KiB of JSON.
//!
//! Field names are short because the space is. Frozen: a field is never given another meaning, only added.

use std::collections::{BTreeMap, BTreeSet};

use ccr_control::ResyncsDone;
use ccr_log::MAX_METADATA_BYTES;
use ccr_schemas::{CommitSeq, TableId, TxnId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Stands for every table in [`Checkpoint::adrift`].
pub const EVERY_TABLE: TableId = TableId(-1);

/// Version of the layout that this code writes.
pub const VERSION: u32 = 1;

/// The metadata of a committed offset.
///
/// Together with the offset it says: every event before the offset is applied (or skipped, or belongs to a table in
/// [`Checkpoint::halted`]); of the events behind it, those below a floor are applied too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Layout, [`VERSION`].
    pub v: u32,
    /// Position of the last chained event before the offset.
    pub seq: CommitSeq,
    /// When it was written, milliseconds since the epoch.
    pub t: i64,
    /// Source database id that the job follows; absent until the first event was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub db: Option<i64>,
    /// Offset of the `SnapshotTaken` record that the job started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<i64>,
    /// A transaction that finished before every finished one behind the offset: while the destination still knows its
    /// label, it has not forgotten any label of the window either.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<CommitSeq>,
    /// Floor of the whole database: a database-wide change that was started or is done.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub database: Option<Floor>,
    /// Floors of single tables.
    #[serde(rename = "f", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub floors: BTreeMap<TableId, Floor>,
    /// Tables that stand: this event and everything after it is not applied to them.
    #[serde(rename = "h", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub halted: BTreeMap<TableId, Halted>,
    /// Tables that a snapshot of their own replaced: their events up to here are in it.
    #[serde(rename = "n", default, skip_serializing_if = "BTreeMap::is_empty")]
    pub renewed: BTreeMap<TableId, CommitSeq>,
    /// Requests of people to sync single tables again that are done.
    #[serde(rename = "r", default, skip_serializing_if = "ResyncsDone::is_empty")]
    pub resyncs_done: ResyncsDone,
    /// Tables of which a person accepted a loss (`skip`, the policies `skip`): their versions differ from the source's.
    /// [`EVERY_TABLE`] stands for all.
    #[serde(rename = "o", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub adrift: BTreeSet<TableId>,
    /// The transaction committed last. A destination that has forgotten it and remembers one of the job that ended before it
    /// was begun went back to an older state.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub last_committed: Option<LastCommitted>,
    /// Why the job stands for good: what it remembers and what the destination has contradict each other. A resync ends it.
    #[serde(rename = "z", default, skip_serializing_if = "Option::is_none")]
    pub contradiction: Option<String>,
    /// The first snapshot, while it is not restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreMark>,
}

/// A committed transaction: its event, its id at the destination, and when it was begun, milliseconds since the epoch by the
/// applier's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LastCommitted(pub CommitSeq, pub TxnId, pub i64);

/// Everything of a lane below `at` is applied, and the event at `at` is started or done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "FloorRepr", into = "FloorRepr")]
pub struct Floor {
    /// Position of the change.
    pub at: CommitSeq,
    /// How far it is.
    pub progress: Progress,
    /// What the destination looked like before, where its shape afterwards does not tell.
    pub evidence: Option<PairFound>,
}

/// Which tables of an exchange of names were at the destination before it. In the metadata a number: the table id, or
/// -1, -2, -3 for the other variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "i64", into = "i64")]
pub enum PairFound {
    /// Both. The one whose name is taken over had this id.
    Both(i64),
    /// The one that takes the name over, alone.
    ReplacementOnly,
    /// The one whose name is taken over, alone.
    OriginalOnly,
    /// Neither.
    Neither,
}

impl PairFound {
    /// From the ids of the tables that bear the two names.
    pub fn of(original: Option<TableId>, replacement: Option<TableId>) -> Self {
        match (original, replacement) {
            (Some(id), Some(_)) => Self::Both(id.0),
            (None, Some(_)) => Self::ReplacementOnly,
            (Some(_), None) => Self::OriginalOnly,
            (None, None) => Self::Neither,
        }
    }
}

impl From<i64> for PairFound {
    fn from(number: i64) -> Self {
        match number {
            -1 => Self::ReplacementOnly,
            -2 => Self::OriginalOnly,
            -3 => Self::Neither,
            id => Self::Both(id),
        }
    }
}

impl From<PairFound> for i64 {
    fn from(found: PairFound) -> Self {
        match found {
            PairFound::Both(id) => id,
            PairFound::ReplacementOnly => -1,
            PairFound::OriginalOnly => -2,
            PairFound::Neither => -3,
        }
    }
}

/// How far the change at a floor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// Started, outcome unknown; nothing behind it on the lane was started.
    #[serde(rename = "s")]
    Started,
    /// Done; events behind it may have been started.
    #[serde(rename = "d")]
    Done,
    /// Instead of the event its table is re-synced by a snapshot, which may be in place; nothing behind it on the lane was
    /// started.
    #[serde(rename = "r")]
    Resync,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum FloorRepr {
    Plain(CommitSeq, Progress),
    Evident(CommitSeq, Progress, PairFound),
}

impl From<FloorRepr> for Floor {
    fn from(repr: FloorRepr) -> Self {
        let (at, progress, evidence) = match repr {
            FloorRepr::Plain(at, progress) => (at, progress, None),
            FloorRepr::Evident(at, progress, evidence) => (at, progress, Some(evidence)),
        };
        Self {
            at,
            progress,
            evidence,
        }
    }
}

impl From<Floor> for FloorRepr {
    fn from(floor: Floor) -> Self {
        match floor.evidence {
            None => Self::Plain(floor.at, floor.progress),
            Some(evidence) => Self::Evident(floor.at, floor.progress, evidence),
        }
    }
}

/// Where a table stands, with its source name and the reason as far as there was room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halted(pub CommitSeq, pub String, pub String);

/// Where the first snapshot is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreMark {
    /// Request number, part of the request id.
    pub n: u32,
    /// Offset of the `SnapshotTaken` that is being restored; absent while waiting for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
    /// Label of the restore job, once it may have been started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// Why metadata can not be used.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// Not our JSON.
    #[error("committed metadata can not be read: {text:?}")]
    Unreadable {
        /// As found.
        text: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Written by a newer program.
    #[error(
        "committed metadata has version {found}, this program reads up to {VERSION}; run the newer version again"
    )]
    Newer {
        /// As found.
        found: u32,
    },
}

impl Checkpoint {
    /// Nothing but a position.
    pub fn at(seq: CommitSeq) -> Self {
        Self {
            v: VERSION,
            seq,
            t: 0,
            db: None,
            base: None,
            witness: None,
            database: None,
            floors: BTreeMap::new(),
            halted: BTreeMap::new(),
            renewed: BTreeMap::new(),
            resyncs_done: ResyncsDone::default(),
            adrift: BTreeSet::new(),
            last_committed: None,
            contradiction: None,
            restore: None,
        }
    }

    /// As text; reasons of halted tables are cut, then left out, to stay in the limit. `None` when it does not fit at all.
    pub fn encode(&self) -> Option<String> {
        let fits = |checkpoint: &Self| {
            serde_json::to_string(checkpoint)
                .ok()
                .filter(|text| text.len() <= MAX_METADATA_BYTES)
        };
        fits(self)
            .or_else(|| fits(&self.with_reasons_cut(40)))
            .or_else(|| fits(&self.with_reasons_cut(0)))
    }

    fn with_reasons_cut(&self, chars: usize) -> Self {
        let mut cut = self.clone();
        for Halted(_, name, reason) in cut.halted.values_mut() {
            *reason = reason.chars().take(chars).collect();
            if chars == 0 {
                *name = name.chars().take(24).collect();
            }
        }
        cut
    }

    /// From text.
    ///
    /// # Errors
    /// [`CheckpointError`]: the metadata is not ours, or newer than this program.
    pub fn decode(text: &str) -> Result<Self, CheckpointError> {
        #[derive(Deserialize)]
        struct Version {
            v: u32,
        }
        let unreadable = |source| CheckpointError::Unreadable {
            text: text.chars().take(200).collect(),
            source,
        };
        let Version { v } = serde_json::from_str(text).map_err(unreadable)?;
        if v > VERSION {
            return Err(CheckpointError::Newer { found: v });
        }
        serde_json::from_str(text).map_err(unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Checkpoint {
        Checkpoint {
            v: 1,
            seq: CommitSeq(42),
            t: 1_700_000_000_000,
            db: Some(10086),
            base: Some(3),
            witness: Some(CommitSeq(40)),
            database: Some(Floor {
                at: CommitSeq(50),
                progress: Progress::Started,
                evidence: Some(PairFound::Both(77)),
            }),
            floors: BTreeMap::from([(
                TableId(7),
                Floor {
                    at: CommitSeq(45),
                    progress: Progress::Done,
                    evidence: None,
                },
            )]),
            halted: BTreeMap::from([(
                TableId(8),
                Halted(CommitSeq(44), "t".to_owned(), "why".to_owned()),
            )]),
            renewed: BTreeMap::from([(TableId(9), CommitSeq(60))]),
            resyncs_done: ResyncsDone::from(vec![2, 4]),
            adrift: BTreeSet::from([TableId(6)]),
            last_committed: Some(LastCommitted(CommitSeq(41), TxnId(1007), 9)),
            contradiction: Some("why".to_owned()),
            restore: Some(RestoreMark {
                n: 1,
                at: Some(5),
                label: None,
            }),
        }
    }

    #[test]
    fn the_text_of_a_checkpoint_is_frozen() {
        let text = full().encode().unwrap();
        assert_eq!(
            text,
            r#"{"v":1,"seq":42,"t":1700000000000,"db":10086,"base":3,"w":40,"d":[50,"s",77],"f":{"7":[45,"d"]},"h":{"8":[44,"t","why"]},"n":{"9":60},"r":[2,4],"o":[6],"x":[41,1007,9],"z":"why","restore":{"n":1,"at":5}}"#
        );
        assert_eq!(Checkpoint::decode(&text).unwrap(), full());
        let plain = Checkpoint::at(CommitSeq(-1)).encode().unwrap();
        assert_eq!(plain, r#"{"v":1,"seq":-1,"t":0}"#);
        assert_eq!(
            Checkpoint::decode(&plain).unwrap(),
            Checkpoint::at(CommitSeq(-1))
        );
    }

    #[test]
    fn foreign_and_newer_metadata_is_refused() {
        assert!(Checkpoint::decode("").is_err());
        assert!(Checkpoint::decode("{}").is_err());
        assert!(matches!(
            Checkpoint::decode(r#"{"v":9}"#),
            Err(CheckpointError::Newer { found: 9 })
        ));
    }

    #[test]
    fn reasons_give_way_before_positions() {
        let mut checkpoint = Checkpoint::at(CommitSeq(1));
        for n in 0..25 {
            checkpoint.halted.insert(
                TableId(n),
                Halted(CommitSeq(n), format!("table{n}"), "x".repeat(300)),
            );
        }
        let text = checkpoint.encode().unwrap();
        assert!(text.len() <= MAX_METADATA_BYTES);
        assert_eq!(Checkpoint::decode(&text).unwrap().halted.len(), 25);
        for n in 0..2000 {
            checkpoint.halted.insert(
                TableId(n),
                Halted(CommitSeq(n), String::new(), String::new()),
            );
        }
        assert_eq!(checkpoint.encode(), None);
    }
}
