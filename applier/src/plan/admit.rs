//! A record becomes a unit of work in its lanes, or is passed for a reason that is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use ccr_control::Policy;
use ccr_schemas::event::{Gap, RowsetsCommitted};
use ccr_schemas::invariant::{History, Link, Violation, history, link};
use ccr_schemas::{CommitSeq, Envelope, Event, TableId};

use crate::plan::checkpoint::{Floor, Progress};
use crate::plan::removal::removals;
use crate::plan::route::{Route, route};
use crate::plan::state::{Apply, ChangePhase, LoadPhase, RenewPhase, Renewal, Unit, Work};
use crate::plan::{Action, renew};

/// What the floors say of an event.
enum Below {
    /// Applied.
    Applied,
    /// Started, outcome unknown.
    Started(Floor),
    /// Not below.
    No,
}

impl Apply {
    pub(crate) fn admit(&mut self, offset: i64, envelope: Envelope, actions: &mut Vec<Action>) {
        let seq = envelope.commit_seq;
        match history(self.timeline, &envelope) {
            Ok(History::Same) => self.timeline = Some(envelope.timeline),
            Ok(History::Ended) => {
                self.window.pass(offset, CommitSeq::BEFORE_FIRST);
                return;
            }
            Ok(History::Replaced) => {
                self.halt = Some(self.history_replaced(&envelope));
                return;
            }
            Err(violation) => {
                self.halt = Some(format!(
                    "offset {offset}: {violation}; start the job again with `ccr job resync {}`",
                    self.settings.job
                ));
                return;
            }
        }
        if let Err(text) = self.check_database(&envelope) {
            self.halt = Some(text);
            return;
        }
        let last = self.last.unwrap_or(if envelope.event.is_chained() {
            envelope.prev_commit_seq.max(CommitSeq::BEFORE_FIRST)
        } else {
            CommitSeq::BEFORE_FIRST
        });
        match link(last, &envelope) {
            Err(violation) => {
                self.halt = Some(format!(
                    "offset {offset}: {violation}; start the job again with `ccr job resync {}`",
                    self.settings.job
                ));
                return;
            }
            Ok(Link::Repeat) => {
                self.window.pass(offset, CommitSeq::BEFORE_FIRST);
                return;
            }
            Ok(Link::Outside) => {
                self.own_event(offset, &envelope, actions);
                return;
            }
            Ok(Link::Next) => self.last = Some(seq),
        }
        for removal in removals(&envelope, &self.settings) {
            self.note_removal(removal);
        }
        let route = route(&envelope, &self.settings);
        self.follow(offset, envelope, route, actions);
    }

    /// No policy can accept it: the positions that follow are those of another history.
    fn history_replaced(&self, envelope: &Envelope) -> String {
        let reason = match &envelope.event {
            Event::TimelineChanged(changed) => changed.reason.as_str(),
            other => other.kind().as_str(),
        };
        format!(
            "the source's history was replaced: {reason}; sync the job again with `ccr job resync {}`",
            self.settings.job
        )
    }

    fn check_database(&mut self, envelope: &Envelope) -> Result<(), String> {
        let found = envelope.db_id.0;
        let expected = *self.db_id.get_or_insert(found);
        if expected == found {
            return Ok(());
        }
        let violation = Violation::WrongDatabase {
            expected,
            found,
            commit_seq: envelope.commit_seq,
        };
        Err(format!(
            "{violation}; the source database was dropped and created again: start the job again with \
             `ccr job resync {}`",
            self.settings.job
        ))
    }

    fn own_event(&mut self, offset: i64, envelope: &Envelope, actions: &mut Vec<Action>) {
        let Event::Gap(gap) = &envelope.event else {
            self.window.pass(offset, CommitSeq::BEFORE_FIRST);
            return;
        };
        let is_late = gap.up_to < envelope.commit_seq;
        if is_late {
            self.late_record(offset, gap, envelope.commit_seq, actions);
            return;
        }
        // Before the first event of the chain, what the job has is what its snapshot has.
        let known = self.last.or(self.covered.rest);
        if known.is_none_or(|known| gap.up_to <= known) {
            self.window.pass(offset, CommitSeq::BEFORE_FIRST);
            return;
        }
        if self.accepts_loss(gap.up_to) {
            self.pass_gap(offset, gap.up_to, actions);
        } else {
            self.halt_for_loss(
                format!(
                    "the source lost its history from {} to {} before it was read",
                    gap.after, gap.up_to
                ),
                gap.up_to,
            );
        }
    }

    /// The producer found a record between positions that were published long before it was shown.
    fn late_record(
        &mut self,
        offset: i64,
        gap: &Gap,
        published: CommitSeq,
        actions: &mut Vec<Action>,
    ) {
        let seq = gap.up_to;
        let is_contained = self.covered.least().is_some_and(|least| seq <= least);
        if is_contained {
            self.window.pass(offset, CommitSeq::BEFORE_FIRST);
        } else if self.accepts_loss(seq) {
            self.skip(
                offset,
                seq,
                "shown too late by the source".to_owned(),
                actions,
            );
        } else {
            self.halt_for_loss(
                format!(
                    "the source showed its record {seq} only after {published} had been published, so it is not in the log"
                ),
                seq,
            );
        }
    }

    fn accepts_loss(&self, seq: CommitSeq) -> bool {
        match self.settings.options.on_gap {
            Policy::Skip => true,
            Policy::Halt => self.settings.options.skip.contains(&seq),
        }
    }

    fn halt_for_loss(&mut self, what: String, seq: CommitSeq) {
        let job = &self.settings.job;
        self.halt = Some(format!(
            "{what}; sync the job again with `ccr job resync {job}`, or accept the loss with `ccr job skip {job} {seq}`"
        ));
    }

    fn pass_gap(&mut self, offset: i64, up_to: CommitSeq, actions: &mut Vec<Action>) {
        self.last = Some(up_to);
        self.window.pass(offset, up_to);
        actions.push(Action::Skip {
            seq: up_to,
            reason: "gap in the source's history".to_owned(),
        });
    }

    fn follow(&mut self, offset: i64, envelope: Envelope, route: Route, actions: &mut Vec<Action>) {
        let seq = envelope.commit_seq;
        let (tables, barrier) = match &route {
            Route::Pass => {
                self.window.pass(offset, seq);
                return;
            }
            Route::Skip(reason) => {
                self.skip(offset, seq, reason.clone(), actions);
                return;
            }
            Route::Halt(reason) => {
                self.last = Some(envelope.prev_commit_seq);
                self.halt = Some(reason.clone());
                return;
            }
            Route::Load(tables) | Route::Stand { tables, .. } => (tables.clone(), false),
            Route::Renew(renewal) => {
                let table = (renewal.table, renewal.name.clone());
                (BTreeMap::from([table]), false)
            }
            Route::Change {
                tables, barrier, ..
            } => (tables.clone(), *barrier),
        };
        let mut tables = tables;
        let changes_names = renew::changes_names(envelope.event.kind());
        let is_renewed = |table: &TableId| {
            !changes_names && self.renewed.get(table).is_some_and(|upto| seq <= *upto)
        };
        let partly_renewed = tables.keys().any(is_renewed);
        tables.retain(|table, _| !is_renewed(table));
        // First what the snapshot has: a floor of a table says nothing about an event that never stood in its lane.
        tables.retain(|table, _| !self.covered.contains(*table, seq));
        if tables.is_empty() {
            self.skip(offset, seq, "contained in the snapshot".to_owned(), actions);
            return;
        }
        let below = self.below(seq, &tables);
        if let Below::Applied = below {
            self.skip(
                offset,
                seq,
                "applied before the restart".to_owned(),
                actions,
            );
            return;
        }
        let wanted = tables.len();
        tables.retain(|table, _| !self.halted.contains_key(table));
        if tables.is_empty() {
            self.skip(offset, seq, "table stands".to_owned(), actions);
            return;
        }
        let incomplete = tables.len() < wanted;
        let judge = self.judges(offset, &tables);
        let floor = match below {
            Below::Started(floor) => Some(floor),
            Below::Applied | Below::No => None,
        };
        let kind = envelope.event.kind();
        let (source_at, prev) = (envelope.source_at, envelope.prev_commit_seq);
        let work = match (route, envelope.event) {
            (Route::Load(_), Event::RowsetsCommitted(event)) => {
                if judge {
                    self.note_versions(&event);
                }
                Work::Load(Arc::new(event), LoadPhase::Waiting)
            }
            (Route::Change { ddl, .. }, _) => {
                let phase = if partly_renewed {
                    ChangePhase::Failed(renew::partly_renewed(seq))
                } else if incomplete {
                    ChangePhase::Failed(format!(
                        "the change at {seq} also concerns a table that stands"
                    ))
                } else {
                    ChangePhase::Waiting(floor)
                };
                self.end_judging(&tables, barrier);
                Work::Change(Arc::from(ddl), phase)
            }
            (Route::Renew(renewal), _) => {
                self.end_judging(&tables, false);
                let renewal = Renewal {
                    creates: renewal.creates && floor.is_none(),
                    ..*renewal
                };
                Work::Renew(Arc::new(renewal), RenewPhase::Waiting)
            }
            (Route::Stand { reason, .. }, _) => Work::Change(
                Arc::new(crate::plan::ddl::Ddl {
                    what: kind.as_str().to_owned(),
                    statements: Vec::new(),
                    before: crate::plan::ddl::Before::Anything,
                    effect: crate::plan::ddl::Effect::Repeatable,
                }),
                ChangePhase::Failed(reason),
            ),
            (Route::Load(_) | Route::Pass | Route::Skip(_) | Route::Halt(_), _) => {
                self.last = Some(prev);
                let what = format!("event {seq} ({}) has no work for its route", kind.as_str());
                self.violated(&what, actions);
                return;
            }
        };
        self.window.open(offset, seq);
        for table in tables.keys() {
            let lane = self.lanes.entry(*table).or_default();
            lane.queue.push_back(seq);
            lane.unstarted.push_back(seq);
        }
        if barrier {
            self.barriers.insert(seq);
        }
        self.waiting.insert(seq);
        self.touched.insert(seq);
        self.units.insert(
            seq,
            Unit {
                seq,
                kind,
                source_at,
                tables,
                barrier,
                judge,
                dirty: false,
                gone: std::collections::BTreeSet::new(),
                failures: 0,
                misses: 0,
                work,
            },
        );
    }

    fn skip(&mut self, offset: i64, seq: CommitSeq, reason: String, actions: &mut Vec<Action>) {
        self.window.pass(offset, seq);
        actions.push(Action::Skip { seq, reason });
    }

    /// A joint event is applied as a whole: one floor above it is enough. A table that stands at a later event had this one.
    fn below(&self, seq: CommitSeq, tables: &BTreeMap<TableId, String>) -> Below {
        let mut started = None;
        let own = tables.keys().filter_map(|table| self.floors.get(table));
        for floor in own.chain(self.database_floor.as_ref()) {
            match (floor.at.cmp(&seq), floor.progress) {
                (std::cmp::Ordering::Greater, _) | (std::cmp::Ordering::Equal, Progress::Done) => {
                    return Below::Applied;
                }
                (std::cmp::Ordering::Equal, Progress::Started) => started = Some(*floor),
                (std::cmp::Ordering::Less, _) => {}
            }
        }
        let stood_later = tables
            .keys()
            .any(|table| self.halted.get(table).is_some_and(|halted| halted.0 > seq));
        match started {
            _ if stood_later => Below::Applied,
            Some(floor) => Below::Started(floor),
            None => Below::No,
        }
    }

    /// The event may have been started by a process before this one.
    fn judges(&mut self, offset: i64, tables: &BTreeMap<TableId, String>) -> bool {
        if offset >= self.judge_end || self.judge_left == 0 {
            self.judge_end = self.judge_end.min(offset);
            return false;
        }
        self.judge_left -= 1;
        if self.judged_all {
            return false;
        }
        // Behind an event that was not started nothing of its other tables was started either.
        let not_started = tables.keys().any(|table| self.judged.contains(table));
        if not_started {
            self.judged.extend(tables.keys().copied());
        }
        !not_started
    }

    /// Nothing behind a change that is still to be run was started.
    fn end_judging(&mut self, tables: &BTreeMap<TableId, String>, barrier: bool) {
        if barrier {
            self.judged_all = true;
        } else {
            self.judged.extend(tables.keys().copied());
        }
    }

    fn note_versions(&mut self, event: &RowsetsCommitted) {
        for partition in event.tables.iter().flat_map(|table| &table.partitions) {
            self.window_versions
                .entry(partition.partition_id)
                .or_default()
                .insert(partition.version);
        }
    }
}
