//! The record that a page has to begin with.

use std::time::Duration;

use ccr_doris::RawBinlog;
use ccr_schemas::CommitSeq;

use super::fingerprint::Fingerprint;
use super::settle::Pass;

/// The last published position, and what identifies its record where that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Anchor {
    pub(super) seq: CommitSeq,
    pub(super) print: Option<Fingerprint>,
    /// Too large to be asked for in every question.
    pub(super) is_large: bool,
}

/// Text of a record above which it is a large anchor.
const LARGE_ANCHOR: usize = 32 * 1024;
/// Pause between two questions for a large anchor.
pub(super) const LARGE_ANCHOR_INTERVAL: Duration = Duration::from_secs(1);

impl Anchor {
    /// Of a record as the source shows it.
    pub(super) fn of(record: &RawBinlog) -> Self {
        Self {
            seq: record.commit_seq,
            print: Some(Fingerprint::of(record)),
            is_large: record.data.len() > LARGE_ANCHOR,
        }
    }
}

/// A page that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) pass: Pass,
    /// Nothing is expected up to here, except for the anchor.
    pub(super) after: CommitSeq,
    /// The page begins with this record.
    pub(super) anchor: Option<Anchor>,
    /// It is the first page of its pass: the anchor is the last published record, not one that still waits.
    pub(super) is_first: bool,
    /// The anchor was left out because it is large: records of such a page are not taken.
    pub(super) spares: Option<Anchor>,
}
