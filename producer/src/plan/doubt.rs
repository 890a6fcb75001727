//! What becomes of a stream whose source does not have the published history.
//!
//! `missing record -> CheckRetention -> explained | contradiction -> Halt, until it has lasted -> new timeline`

use std::time::Duration;

use ccr_doris::{BinlogLag, RawBinlog};

use super::anchor::{Anchor, Reading};
use super::following::Following;
use super::state::{Contradiction, Finding, Moment, Replacing, Rules, State, Suspicion};
use super::{Action, Step};

impl Following {
    /// The record that a page must begin with is not there.
    pub(super) fn miss(self, rules: &Rules, reading: &Reading, anchor: Anchor, at: Moment) -> Step {
        if !reading.is_first {
            return self.wait(rules, at, Vec::new());
        }
        self.suspect(Suspicion {
            seq: anchor.seq,
            table: anchor.print.and_then(|print| print.table),
            reason: Contradiction::Missing { seq: anchor.seq },
            ends_pass: true,
        })
    }

    /// A source whose newest position lies below the log. Old FEs do not tell it, and without a stream there is none; then
    /// the anchor has to tell.
    pub(super) fn behind(&self, end: Option<BinlogLag>, ends_pass: bool) -> Option<Suspicion> {
        let source_end = end?.last?;
        let published = self.settle.released();
        (published > source_end).then_some(Suspicion {
            seq: published,
            table: self
                .anchor
                .and_then(|anchor| anchor.print)
                .and_then(|print| print.table),
            reason: Contradiction::Behind {
                published,
                source_end,
            },
            ends_pass,
        })
    }

    pub(super) fn suspect(self, suspicion: Suspicion) -> Step {
        self.go_on(vec![Action::CheckRetention(suspicion)])
    }

    /// Takes what a closer look at a missing record found.
    pub(super) fn checked(
        mut self,
        rules: &Rules,
        suspicion: &Suspicion,
        finding: Finding,
        at: Moment,
    ) -> Step {
        match finding {
            Finding::Unexplained => return self.contradict(rules, suspicion.reason, at),
            // A short answer was not a complete one.
            Finding::Present => self.fills_pages = false,
            Finding::Removed => {
                self.audit.skip_to(suspicion.seq);
                self.anchor = self.anchor.filter(|anchor| anchor.seq > suspicion.seq);
            }
        }
        if suspicion.ends_pass {
            return self.wait(rules, at, Vec::new());
        }
        self.go_on(Vec::new())
    }

    /// Source and log contradict each other: the stream stops, and when that has lasted for long enough, a new timeline
    /// begins. The source may be itself again until then: a wrong address, or an FE that does not have its journal yet.
    pub(super) fn contradict(self, rules: &Rules, reason: Contradiction, at: Moment) -> Step {
        contradict(
            rules,
            Replacing {
                timeline: self.timeline,
                published: self.settle.released(),
                reason,
            },
            self.doubt,
            at,
        )
    }

    /// A record of another database.
    pub(super) fn foreign(&self, records: &[RawBinlog]) -> Option<Contradiction> {
        records
            .iter()
            .find(|record| record.db_id != self.db_id)
            .map(|record| Contradiction::OtherDatabase {
                expected: self.db_id,
                found: record.db_id,
            })
    }
}

/// What becomes of a stream whose source contradicts its log since `doubt`.
pub(super) fn contradict(
    rules: &Rules,
    replacing: Replacing,
    doubt: Option<Duration>,
    at: Moment,
) -> Step {
    let since = doubt.unwrap_or(at.monotonic);
    if at.monotonic.saturating_sub(since) < rules.confirm {
        let reason = replacing.reason;
        return Step {
            state: State::Halted(reason),
            actions: vec![Action::Halt { reason, since }],
        };
    }
    Step {
        state: State::Replacing(replacing),
        actions: vec![Action::AskEnd],
    }
}
