//! Following the source: what is read next, and what an answer says.
//!
//! Every pass begins with the last published record, the *anchor*: an answer in which it is missing, or another record,
//! comes from a source whose history is not the published one. Nothing of such an answer is published.

use std::time::Duration;

use ccr_doris::{BinlogLag, BinlogPage, RawBinlog};
use ccr_schemas::{CommitSeq, DbId, Timeline};

use super::audit::{Audit, HowLost, Lost};
use super::fingerprint::Fingerprint;
use super::pace::Pace;
use super::settle::{Pass, Settle};
use super::state::{Contradiction, Finding, LogEnd, Moment, Replacing, Rules, State, Suspicion};
use super::{Action, Step};

/// Following the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Following {
    /// Id of the database followed.
    pub db_id: DbId,
    /// Timeline of the log.
    pub timeline: Timeline,
    /// What was seen and not given out.
    pub settle: Settle,
    /// What was given out lately.
    pub audit: Audit,
    /// What the source's last answer showed of its stream.
    pub sight: Sight,
    anchor: Option<Anchor>,
    /// The page that is on its way.
    reading: Option<Reading>,
    /// An answer had several records, so one with fewer than asked for reaches to the source's end. Releases up to 2024
    /// answer with one record at a time.
    fills_pages: bool,
    pace: Pace,
    end_due: Duration,
    /// Since when source and log contradict each other, until an answer agrees.
    doubt: Option<Duration>,
}

/// What the source's last answer showed of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It has more than was read.
    More,
    /// It has nothing beyond this position.
    End(CommitSeq),
    /// There is no stream.
    NoStream,
}

/// The last published position, and what identifies its record where that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Anchor {
    seq: CommitSeq,
    print: Option<Fingerprint>,
}

/// A page that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    pass: Pass,
    /// Nothing is expected up to here, except for the anchor.
    after: CommitSeq,
    /// The page begins with this record.
    anchor: Option<Anchor>,
    /// It is the first page of its pass: the anchor is the last published record, not one that still waits.
    is_first: bool,
}

impl Following {
    /// Begins an empty log's chain at a position.
    pub(super) fn at_origin(
        rules: &Rules,
        db_id: DbId,
        position: CommitSeq,
        now: Duration,
    ) -> Self {
        let audit = Audit::new(rules.audit, position);
        Self::new(rules, db_id, Timeline::FIRST, position, audit, now)
    }

    /// Goes on where a log ends.
    pub(super) fn resume(
        rules: &Rules,
        end: &LogEnd,
        now: Duration,
        doubt: Option<Duration>,
    ) -> Self {
        let audit = Audit::resume(rules.audit, &end.recent, now);
        let mut following = Self::new(rules, end.db_id, end.timeline, end.position, audit, now);
        if let Some(anchor) = &mut following.anchor {
            anchor.print = end.print;
        }
        following.doubt = doubt;
        following
    }

    #[cfg(test)]
    pub(super) fn assume_full_pages(&mut self) {
        self.fills_pages = true;
    }

    fn new(
        rules: &Rules,
        db_id: DbId,
        timeline: Timeline,
        position: CommitSeq,
        audit: Audit,
        now: Duration,
    ) -> Self {
        let anchor = Anchor {
            seq: position,
            print: None,
        };
        Self {
            db_id,
            timeline,
            settle: Settle::new(rules.settle, position),
            audit,
            sight: Sight::More,
            anchor: (position > CommitSeq::BEFORE_FIRST).then_some(anchor),
            reading: None,
            fills_pages: false,
            pace: Pace::new(now),
            // A start has just asked.
            end_due: now + rules.end_interval,
            doubt: None,
        }
    }

    /// Source and log have contradicted each other, and no answer has agreed since.
    pub fn is_doubted(&self) -> bool {
        self.doubt.is_some()
    }

    /// Begins a pass at the last published record.
    pub(super) fn read(mut self, rules: &Rules, at: Moment) -> Step {
        let max = rules.batch;
        let mut actions = Vec::new();
        actions.extend(self.ask_end(rules, at));
        if let Some(after) = self.audit.begin(at.monotonic) {
            actions.push(Action::LookBack { after, max });
        }
        actions.push(self.begin_pass(rules, at, self.anchor));
        self.go_on(actions)
    }

    fn begin_pass(&mut self, rules: &Rules, at: Moment, anchor: Option<Anchor>) -> Action {
        let pass = self.settle.begin(at.monotonic);
        let after = self.settle.released();
        self.ask(
            rules,
            Reading {
                pass,
                after,
                anchor,
                is_first: true,
            },
        )
    }

    fn ask(&mut self, rules: &Rules, reading: Reading) -> Action {
        self.reading = Some(reading);
        let after = match reading.anchor {
            Some(anchor) => CommitSeq(anchor.seq.0 - 1),
            None => reading.after,
        };
        Action::Read {
            after,
            max: rules.batch,
        }
    }

    /// While the source has more than was read, its end is asked for now and then. Else the pages say where it is.
    fn ask_end(&mut self, rules: &Rules, at: Moment) -> Option<Action> {
        if self.sight != Sight::More || at.monotonic < self.end_due {
            return None;
        }
        self.end_due = at.monotonic + rules.end_interval;
        Some(Action::AskEnd)
    }

    /// Takes a page of a pass.
    pub(super) fn take(mut self, rules: &Rules, page: BinlogPage, at: Moment) -> Step {
        let Some(reading) = self.reading.take() else {
            return self.go_on(Vec::new());
        };
        match page {
            BinlogPage::Records(records) => self.take_records(rules, reading, records, at),
            BinlogPage::CaughtUp => match reading.anchor {
                Some(anchor) => self.miss(rules, &reading, anchor, at),
                None => self.reach_end(rules, reading.after, at),
            },
            BinlogPage::NoStream => {
                self.sight = Sight::NoStream;
                self.pace.no_stream(at.monotonic);
                self.wait(rules, at, Vec::new())
            }
            BinlogPage::TooOld { forgotten } => self.take_too_old(rules, &reading, forgotten, at),
        }
    }

    fn take_records(
        mut self,
        rules: &Rules,
        reading: Reading,
        mut records: Vec<RawBinlog>,
        at: Moment,
    ) -> Step {
        if let Some(reason) = self.foreign(&records) {
            return self.contradict(rules, reason, at);
        }
        let count = records.len();
        self.fills_pages |= count > 1;
        let mut after = reading.after;
        if let Some(anchor) = reading.anchor {
            let first = match records.first() {
                Some(first) if first.commit_seq == anchor.seq => records.remove(0),
                Some(_) | None => return self.miss(rules, &reading, anchor, at),
            };
            let print = Fingerprint::of(&first);
            let is_other = anchor.print.is_some_and(|known| !known.is_same(&print));
            if is_other && !reading.is_first {
                // The record still waits; the next pass begins at what was published.
                return self.wait(rules, at, Vec::new());
            }
            if is_other {
                let reason = Contradiction::Changed { seq: anchor.seq };
                return self.contradict(rules, reason, at);
            }
            if reading.is_first {
                self.doubt = None;
                self.anchor = Some(Anchor {
                    print: Some(print),
                    ..anchor
                });
            }
            after = anchor.seq;
            if records.is_empty() && !self.fills_pages {
                // One record at a time: what follows is asked for by itself.
                let read = self.ask(
                    rules,
                    Reading {
                        after,
                        anchor: None,
                        is_first: false,
                        ..reading
                    },
                );
                return self.go_on(vec![read]);
            }
        } else {
            self.doubt = None;
        }
        let Some(edge) = records.last() else {
            return self.reach_end(rules, after, at);
        };
        let edge = Anchor {
            seq: edge.commit_seq,
            print: Some(Fingerprint::of(edge)),
        };
        if edge.seq > self.settle.newest() {
            self.pace.active(at.monotonic);
        } else {
            self.pace.quiet();
        }
        let settled = self.settle.observe(&reading.pass, at, after, records);
        self.audit
            .note(&settled, reading.pass.horizon, at.monotonic);
        let mut actions = Vec::new();
        if let Some(last) = settled.last() {
            self.anchor = Some(Anchor {
                seq: last.record.commit_seq,
                print: Some(Fingerprint::of(&last.record)),
            });
            actions.push(Action::Publish(settled));
        }
        let is_full = count >= rules.batch || !self.fills_pages;
        if !is_full {
            self.sight = Sight::End(edge.seq);
            return self.wait(rules, at, actions);
        }
        self.sight = Sight::More;
        actions.extend(self.ask_end(rules, at));
        let anchored = self.fills_pages.then_some(edge);
        if self.settle.waiting() == 0 {
            // Nothing waits below the edge: a new pass from there sees the newest horizon.
            actions.push(self.begin_pass(rules, at, anchored));
        } else if self.settle.waiting() < rules.window {
            // More may lie above the edge: the pass goes on, so that those records are seen, and their time starts.
            actions.push(self.ask(
                rules,
                Reading {
                    after: edge.seq,
                    anchor: anchored,
                    is_first: false,
                    ..reading
                },
            ));
        } else {
            return self.wait(rules, at, actions);
        }
        self.go_on(actions)
    }

    /// The source has nothing beyond a position.
    fn reach_end(mut self, rules: &Rules, after: CommitSeq, at: Moment) -> Step {
        self.settle.retract(after);
        self.sight = Sight::End(after.max(self.settle.newest()));
        self.pace.quiet();
        self.wait(rules, at, Vec::new())
    }

    fn take_too_old(
        mut self,
        rules: &Rules,
        reading: &Reading,
        forgotten: CommitSeq,
        at: Moment,
    ) -> Step {
        let released = self.settle.released();
        if !reading.is_first {
            // Asked further up within a pass while the source moved its head: the next pass tells.
            return self.wait(rules, at, Vec::new());
        }
        if forgotten > released {
            self.settle.skip_to(forgotten);
            self.audit.skip_to(forgotten);
            self.anchor = None;
            let mut step = self.read(rules, at);
            let gap = Action::PublishGap {
                after: released,
                up_to: forgotten,
            };
            step.actions.insert(0, gap);
            return step;
        }
        if self.anchor.take().is_none() {
            return self.wait(rules, at, Vec::new());
        }
        // Retention reached the last published record, and nothing beyond it.
        let read = self.ask(
            rules,
            Reading {
                anchor: None,
                ..*reading
            },
        );
        self.go_on(vec![read])
    }

    /// The record that a page must begin with is not there.
    fn miss(self, rules: &Rules, reading: &Reading, anchor: Anchor, at: Moment) -> Step {
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

    /// Takes a page of the look back over what was published.
    pub(super) fn look(
        mut self,
        rules: &Rules,
        after: CommitSeq,
        page: &BinlogPage,
        at: Moment,
    ) -> Step {
        if let BinlogPage::Records(records) = page {
            self.fills_pages |= records.len() > 1;
        }
        let max = if self.fills_pages { rules.batch } else { 1 };
        let looked = self.audit.observe(after, page, max);
        if let Some(Lost { seq, how }) = looked.lost {
            return match how {
                HowLost::Changed => self.contradict(rules, Contradiction::Changed { seq }, at),
                HowLost::Missing { table } => self.suspect(Suspicion {
                    seq,
                    table,
                    reason: Contradiction::Missing { seq },
                    ends_pass: false,
                }),
            };
        }
        let mut actions: Vec<_> = looked.late.into_iter().map(Action::PublishLate).collect();
        actions.extend(looked.next.map(|after| Action::LookBack {
            after,
            max: rules.batch,
        }));
        self.go_on(actions)
    }

    /// Compares the source's newest position with what was published.
    pub(super) fn compare(mut self, end: Option<BinlogLag>) -> Step {
        self.know(end);
        match self.behind(end, false) {
            Some(suspicion) => self.suspect(suspicion),
            None => self.go_on(Vec::new()),
        }
    }

    /// Notes the date of the source's newest record.
    pub(super) fn know(&mut self, end: Option<BinlogLag>) {
        if let Some(at) = end.and_then(|lag| lag.last_at) {
            self.settle.know(at);
        }
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
    fn foreign(&self, records: &[RawBinlog]) -> Option<Contradiction> {
        records
            .iter()
            .find(|record| record.db_id != self.db_id)
            .map(|record| Contradiction::OtherDatabase {
                expected: self.db_id,
                found: record.db_id,
            })
    }

    pub(super) fn wait(self, rules: &Rules, at: Moment, mut actions: Vec<Action>) -> Step {
        actions.push(Action::Wait(self.pace.pause(&rules.pace, at.monotonic)));
        self.go_on(actions)
    }

    /// The same state, with actions.
    pub(super) fn go_on(self, actions: Vec<Action>) -> Step {
        Step {
            state: State::Following(self),
            actions,
        }
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
