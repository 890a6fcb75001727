//! Following the source: what is read next, and what an answer says.
//!
//! Every pass begins with the last published record, the *anchor*: an answer in which it is missing, or another record,
//! comes from a source whose history is not the published one. Nothing of such an answer is published. An anchor that is large
//! is left out of most questions while nothing new comes; what is new is asked for again together with it.

use std::time::Duration;

use ccr_doris::{BinlogLag, BinlogPage, RawBinlog};
use ccr_schemas::{CommitSeq, DbId, Timeline};

use super::anchor::{Anchor, LARGE_ANCHOR_INTERVAL, Reading};
use super::audit::{Audit, HowLost, Lost};
use super::pace::Pace;
use super::settle::Settle;
use super::state::{Contradiction, LogEnd, Moment, Rules, State, Suspicion};
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
    pub(super) anchor: Option<Anchor>,
    /// When the anchor was last asked for.
    anchor_asked: Duration,
    /// The page that is on its way.
    reading: Option<Reading>,
    /// An answer had several records, so one with fewer than asked for reaches to the source's end. Releases up to 2024
    /// answer with one record at a time.
    pub(super) fills_pages: bool,
    pace: Pace,
    end_due: Duration,
    /// Since when source and log contradict each other, until an answer agrees.
    pub(super) doubt: Option<Duration>,
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
            is_large: false,
        };
        Self {
            db_id,
            timeline,
            settle: Settle::new(rules.settle, position),
            audit,
            sight: Sight::More,
            anchor: (position > CommitSeq::BEFORE_FIRST).then_some(anchor),
            anchor_asked: Duration::ZERO,
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
        let anchor = self.anchor;
        let is_spared = anchor.is_some_and(|anchor| anchor.is_large)
            && self.doubt.is_none()
            && self.settle.waiting() == 0
            && at.monotonic < self.anchor_asked + LARGE_ANCHOR_INTERVAL;
        if !is_spared {
            self.anchor_asked = at.monotonic;
        }
        let asked = anchor.filter(|_| !is_spared);
        let spares = anchor.filter(|_| is_spared);
        actions.push(self.begin_pass(rules, at, asked, spares));
        self.go_on(actions)
    }

    fn begin_pass(
        &mut self,
        rules: &Rules,
        at: Moment,
        anchor: Option<Anchor>,
        spares: Option<Anchor>,
    ) -> Action {
        let pass = self.settle.begin(at.monotonic);
        let after = self.settle.released();
        self.ask(
            rules,
            Reading {
                pass,
                after,
                anchor,
                is_first: true,
                spares,
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
            BinlogPage::Records(_) if reading.spares.is_some() => {
                self.anchor_asked = at.monotonic;
                let again = Reading {
                    anchor: reading.spares,
                    spares: None,
                    ..reading
                };
                let read = self.ask(rules, again);
                self.go_on(vec![read])
            }
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
            let shown = Anchor::of(&first);
            let is_other = match (anchor.print, shown.print) {
                (Some(known), Some(shown)) => !known.is_same(&shown),
                (Some(_) | None, Some(_) | None) => false,
            };
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
                self.anchor = Some(shown);
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
        let edge = Anchor::of(edge);
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
            self.anchor = Some(Anchor::of(&last.record));
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
            actions.push(self.begin_pass(rules, at, anchored, None));
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
