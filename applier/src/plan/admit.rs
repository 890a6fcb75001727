//! A record is checked: whether it is the next of the chain, and what events of our own say of the log.

use ccr_control::Policy;
use ccr_schemas::event::{Gap, TableRef};
use ccr_schemas::invariant::{History, Link, history, link, same_database};
use ccr_schemas::{CommitSeq, DbId, Envelope, Event, TableId};

use crate::plan::Action;
use crate::plan::removal::removals;
use crate::plan::route::{Route, route};
use crate::plan::state::Apply;

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
            self.removals.note(removal);
        }
        let route = match self.bearers.contradiction(&envelope) {
            Some((table, known)) => {
                self.another_table(route(&envelope, &self.settings), &table, known)
            }
            None => route(&envelope, &self.settings),
        };
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

    /// No event says why the name belongs to another table: its rows are not applied to the copy of the one that had it.
    fn another_table(&self, route: Route, table: &TableRef, known: TableId) -> Route {
        match route {
            Route::Load(tables) if tables.contains_key(&table.id) => Route::Stand {
                tables,
                reason: format!(
                    "rows of table id {} come under the name {}, which the events before gave to table id {known}, and no event \
                     says why; sync the job again with `ccr job resync {}`",
                    table.id, table.name, self.settings.job
                ),
            },
            other => other,
        }
    }

    fn check_database(&mut self, envelope: &Envelope) -> Result<(), String> {
        let expected = DbId(*self.db_id.get_or_insert(envelope.db_id.0));
        same_database(expected, envelope).map_err(|violation| {
            format!(
                "{violation}; the source database was dropped and created again: start the job again with \
                 `ccr job resync {}`",
                self.settings.job
            )
        })
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
        if self.covered.least().is_some_and(|least| gap.up_to <= least) {
            // The snapshot has what the log has not; the chain goes on behind the gap.
            self.last = self.last.max(Some(gap.up_to));
            self.window.pass(offset, gap.up_to);
            return;
        }
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
            self.set_all_adrift();
            self.bearers.clear();
            self.skip_at(
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
        self.set_all_adrift();
        self.last = Some(up_to);
        self.bearers.clear();
        self.window.pass(offset, up_to);
        actions.push(Action::Skip {
            seq: up_to,
            reason: "gap in the source's history".to_owned(),
        });
    }
}
