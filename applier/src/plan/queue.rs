//! An event with a route becomes a unit of work in its lanes, or is passed because it is done, contained or not wanted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use ccr_control::Policy;
use ccr_schemas::event::RowsetsCommitted;
use ccr_schemas::{CommitSeq, Envelope, Event, EventKind, TableId, TimestampMs};

use crate::plan::checkpoint::{Floor, Progress};
use crate::plan::ddl::{Bearer, Ddl};
use crate::plan::patience::Failing;
use crate::plan::route::Route;
use crate::plan::state::{Apply, ChangePhase, LoadPhase, Redo, RenewPhase, Renewal, Unit, Work};
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

/// What is known of an event besides its route.
#[derive(Clone, Copy)]
struct Facts {
    offset: i64,
    seq: CommitSeq,
    kind: EventKind,
    source_at: TimestampMs,
}

impl Apply {
    pub(super) fn follow(
        &mut self,
        offset: i64,
        envelope: Envelope,
        route: Route,
        actions: &mut Vec<Action>,
    ) {
        let facts = Facts {
            offset,
            seq: envelope.commit_seq,
            kind: envelope.event.kind(),
            source_at: envelope.source_at,
        };
        let route = self.heal(facts, route);
        match (route, envelope.event) {
            (Route::Pass, _) => self.window.pass(offset, facts.seq),
            (Route::Skip(reason), event) => {
                self.note_left_out(facts.seq, &event, &reason);
                self.skip(facts, reason, actions);
            }
            (Route::Halt(reason), _) => {
                self.last = Some(envelope.prev_commit_seq);
                self.halt = Some(reason);
            }
            (Route::Load(tables), Event::RowsetsCommitted(event)) => {
                self.follow_load(facts, tables, event, actions);
            }
            (Route::Load(_), _) => {
                self.last = Some(envelope.prev_commit_seq);
                let what = format!(
                    "event {} ({}) has no work for its route",
                    facts.seq,
                    facts.kind.as_str()
                );
                self.violated(&what, actions);
            }
            (
                Route::Change {
                    ddl,
                    tables,
                    barrier,
                },
                _,
            ) => self.follow_change(facts, Arc::from(ddl), tables, barrier, actions),
            (Route::Renew { renewals, tables }, _) => {
                self.follow_renewals(facts, renewals, tables, actions);
            }
            (Route::Stand { tables, reason }, _) => {
                let nothing = Arc::new(Ddl::nothing(facts.kind.as_str()));
                let tables = match self.wanted(facts, tables) {
                    Ok(tables) => tables,
                    Err(reason) => return self.skip(facts, reason, actions),
                };
                let work = Work::Change(nothing, ChangePhase::Failed(reason));
                self.judges(facts.offset, &tables);
                self.enqueue(facts, tables, work);
            }
        }
    }

    fn follow_load(
        &mut self,
        facts: Facts,
        tables: BTreeMap<TableId, String>,
        event: RowsetsCommitted,
        actions: &mut Vec<Action>,
    ) {
        let bearer = |(table, name): (&TableId, &String)| Bearer::new(*table, name, &self.settings);
        let bearers: Vec<Bearer> = tables.iter().map(bearer).collect();
        if self.goes_on_by_snapshot(facts, &bearers, &tables) {
            return;
        }
        let tables = match self.wanted(facts, tables) {
            Ok(tables) => tables,
            Err(reason) => return self.skip(facts, reason, actions),
        };
        let judge = self.judges(facts.offset, &tables);
        if judge {
            self.note_versions(&event);
        }
        let work = Work::Load(Arc::new(event), LoadPhase::Waiting);
        let unit = self.enqueue(facts, tables, work);
        unit.judge = judge;
    }

    fn follow_change(
        &mut self,
        facts: Facts,
        ddl: Arc<Ddl>,
        tables: BTreeMap<TableId, String>,
        barrier: bool,
        actions: &mut Vec<Action>,
    ) {
        if self.goes_on_by_snapshot(facts, &ddl.bearers, &tables) {
            return;
        }
        let seq = facts.seq;
        let drops = facts.kind == EventKind::TableDropped;
        let partly_renewed = tables.keys().any(|table| self.is_renewed(facts, *table));
        let mut left = tables;
        if let Err(reason) = self.without_contained(facts, &mut left) {
            return self.skip(facts, reason, actions);
        }
        let floor = match self.below(seq, &left) {
            Below::Applied => {
                return self.skip(facts, "applied before the restart".to_owned(), actions);
            }
            Below::Started(floor) => Some(floor),
            Below::No => None,
        };
        let wanted = left.len();
        // What drops a halted table takes its copy away, and the table is none of the job's any more.
        left.retain(|table, _| drops || !self.is_halted(*table, seq));
        if left.is_empty() {
            return self.skip(facts, "table is halted".to_owned(), actions);
        }
        let phase = if partly_renewed {
            ChangePhase::Failed(renew::partly_renewed(seq))
        } else if left.len() < wanted {
            ChangePhase::Failed(format!("the change at {seq} also concerns a halted table"))
        } else {
            ChangePhase::Waiting(floor)
        };
        self.judges(facts.offset, &left);
        self.end_judging(&left, barrier);
        let unit = self.enqueue(facts, left, Work::Change(ddl, phase));
        unit.barrier = barrier;
        if barrier {
            self.barriers.insert(seq);
        }
    }

    fn follow_renewals(
        &mut self,
        facts: Facts,
        mut renewals: Vec<Renewal>,
        mut tables: BTreeMap<TableId, String>,
        actions: &mut Vec<Action>,
    ) {
        let seq = facts.seq;
        if let Err(reason) = self.without_contained(facts, &mut tables) {
            return self.skip(facts, reason, actions);
        }
        let brought: BTreeSet<TableId> = renewals.iter().map(|renewal| renewal.table).collect();
        renewals.retain(|renewal| {
            tables.contains_key(&renewal.table) && !self.is_done(renewal.table, seq)
        });
        if renewals.is_empty() {
            return self.skip(facts, "applied before the restart".to_owned(), actions);
        }
        let returns = renew::changes_names(facts.kind);
        renewals.retain(|renewal| {
            let table = renewal.table;
            !self.is_halted(table, seq) || (returns && self.was_halted_before(table, seq))
        });
        for renewal in &renewals {
            if self.halted.contains_key(&renewal.table) {
                self.returning.insert(renewal.table, seq);
            }
        }
        // Those that were to be brought and are not, are none of the unit; those that leave the job's names are.
        tables.retain(|table, _| {
            !brought.contains(table) || renewals.iter().any(|renewal| renewal.table == *table)
        });
        for renewal in &mut renewals {
            let own = self.floors.get(&renewal.table);
            let is_begun = own.is_some_and(|floor| floor.at == seq);
            // It left under this name, and its copy stayed.
            let left = self.halted.get(&renewal.table);
            let is_own =
                left.is_some_and(|halted| self.settings.dest_name(&halted.1) == renewal.dest);
            renewal.creates &= !is_begun && !is_own;
        }
        let mut renewals: VecDeque<_> = renewals.into_iter().map(Arc::new).collect();
        let Some(first) = renewals.pop_front() else {
            return self.skip(facts, "table is halted".to_owned(), actions);
        };
        self.judges(facts.offset, &tables);
        self.end_judging(&tables, false);
        let unit = self.enqueue(facts, tables, Work::Renew(first, RenewPhase::Waiting));
        unit.later = renewals;
    }

    /// A change of names that concerns halted tables gives their copies the new names, and snapshots bring their content: they
    /// follow again.
    fn heal(&mut self, facts: Facts, route: Route) -> Route {
        let heals = renew::changes_names(facts.kind)
            && self.settings.options.on_unsupported == Policy::Halt;
        match route {
            Route::Change {
                ddl,
                tables,
                barrier,
            } if heals => {
                let seq = facts.seq;
                let halted = tables.keys().copied();
                let halted: BTreeSet<TableId> = halted
                    .filter(|table| self.was_halted_before(*table, seq))
                    .collect();
                self.returning
                    .extend(halted.iter().map(|table| (*table, seq)));
                let ddl = if halted.is_empty() {
                    ddl
                } else {
                    Box::new(ddl.with_stale(halted, "the table was halted"))
                };
                Route::Change {
                    ddl,
                    tables,
                    barrier,
                }
            }
            other => other,
        }
    }

    /// A process before this one began to re-sync tables instead of the event: it goes on, whatever the destination looks like.
    fn goes_on_by_snapshot(
        &mut self,
        facts: Facts,
        bearers: &[Bearer],
        tables: &BTreeMap<TableId, String>,
    ) -> bool {
        let seq = facts.seq;
        let is_begun = |bearer: &&Bearer| {
            let floor = self.floors.get(&bearer.table);
            floor.is_some_and(|floor| floor.at == seq && floor.progress == Progress::Resync)
                && !self.is_halted(bearer.table, seq)
        };
        let reason = "a snapshot was begun in its place before the restart";
        let renewals = bearers.iter().filter(is_begun);
        let renewals = renewals.map(|bearer| Renewal::instead(bearer, facts.kind, reason));
        let mut renewals: VecDeque<_> = renewals.map(Arc::new).collect();
        let mut tables = tables.clone();
        tables.retain(|table, _| renewals.iter().any(|renewal| renewal.table == *table));
        let Some(first) = renewals.pop_front() else {
            return false;
        };
        self.judges(facts.offset, &tables);
        self.end_judging(&tables, false);
        let unit = self.enqueue(facts, tables, Work::Renew(first, RenewPhase::Waiting));
        unit.later = renewals;
        true
    }

    /// The tables for which the event is still to be applied, or why there are none.
    fn wanted(
        &self,
        facts: Facts,
        mut tables: BTreeMap<TableId, String>,
    ) -> Result<BTreeMap<TableId, String>, String> {
        self.without_contained(facts, &mut tables)?;
        if let Below::Applied = self.below(facts.seq, &tables) {
            return Err("applied before the restart".to_owned());
        }
        tables.retain(|table, _| !self.is_halted(*table, facts.seq));
        if tables.is_empty() {
            return Err("table is halted".to_owned());
        }
        Ok(tables)
    }

    /// Takes out the tables of which a snapshot contains the event.
    fn without_contained(
        &self,
        facts: Facts,
        tables: &mut BTreeMap<TableId, String>,
    ) -> Result<(), String> {
        tables.retain(|table, _| !self.is_renewed(facts, *table));
        // First what the snapshot has: a floor of a table says nothing about an event that never stood in its lane.
        tables.retain(|table, _| !self.covered.contains(*table, facts.seq));
        if tables.is_empty() {
            return Err("contained in the snapshot".to_owned());
        }
        Ok(())
    }

    /// A snapshot that replaced the table contains the event. Names are no content.
    fn is_renewed(&self, facts: Facts, table: TableId) -> bool {
        let upto = self.renewed.get(&table);
        !renew::changes_names(facts.kind) && upto.is_some_and(|upto| facts.seq <= *upto)
    }

    /// The table is halted, and no event up to this position brings it back.
    fn is_halted(&self, table: TableId, seq: CommitSeq) -> bool {
        let from = self.returning.get(&table);
        self.halted.contains_key(&table) && from.is_none_or(|from| seq < *from)
    }

    /// The table was halted by an earlier event, not by this one.
    fn was_halted_before(&self, table: TableId, seq: CommitSeq) -> bool {
        let halted = self.halted.get(&table);
        self.is_halted(table, seq) && halted.is_some_and(|halted| halted.0 < seq)
    }

    fn enqueue(
        &mut self,
        facts: Facts,
        tables: BTreeMap<TableId, String>,
        work: Work,
    ) -> &mut Unit {
        let Facts {
            offset,
            seq,
            kind,
            source_at,
        } = facts;
        self.window.open(offset, seq);
        for table in tables.keys() {
            let lane = self.lanes.entry(*table).or_default();
            lane.queue.push_back(seq);
            lane.unstarted.push_back(seq);
        }
        self.waiting.insert(seq);
        self.touched.insert(seq);
        self.units.entry(seq).or_insert(Unit {
            seq,
            kind,
            source_at,
            tables,
            barrier: false,
            judge: false,
            redo: Redo::No,
            gone: BTreeSet::new(),
            without_rollups: false,
            failures: 0,
            failing: Failing::default(),
            misses: 0,
            newest_txn: self.newest_txn,
            begun_at_ms: self.now_ms,
            commit_sent: false,
            work,
            later: VecDeque::new(),
        })
    }

    fn skip(&mut self, facts: Facts, reason: String, actions: &mut Vec<Action>) {
        self.skip_at(facts.offset, facts.seq, reason, actions);
    }

    pub(super) fn skip_at(
        &mut self,
        offset: i64,
        seq: CommitSeq,
        reason: String,
        actions: &mut Vec<Action>,
    ) {
        self.window.pass(offset, seq);
        actions.push(Action::Skip { seq, reason });
    }

    /// The table's own part of the event is done.
    fn is_done(&self, table: TableId, seq: CommitSeq) -> bool {
        let own = self.floors.get(&table).into_iter();
        let mut floors = own.chain(self.database_floor.as_ref());
        let halted_later = self.halted.get(&table).is_some_and(|halted| halted.0 > seq);
        halted_later
            || floors.any(|floor| {
                floor.at > seq || (floor.at == seq && floor.progress == Progress::Done)
            })
    }

    /// A joint event is applied as a whole: one floor above it is enough. A table that halted at a later event had this one.
    fn below(&self, seq: CommitSeq, tables: &BTreeMap<TableId, String>) -> Below {
        let mut started = None;
        let own = tables.keys().filter_map(|table| self.floors.get(table));
        for floor in own.chain(self.database_floor.as_ref()) {
            match (floor.at.cmp(&seq), floor.progress) {
                (std::cmp::Ordering::Greater, _) | (std::cmp::Ordering::Equal, Progress::Done) => {
                    return Below::Applied;
                }
                (std::cmp::Ordering::Equal, Progress::Started) => started = Some(*floor),
                // Of a table that has been halted since; others go on by a snapshot.
                (std::cmp::Ordering::Equal, Progress::Resync) | (std::cmp::Ordering::Less, _) => {}
            }
        }
        let halted_later = tables
            .keys()
            .any(|table| self.halted.get(table).is_some_and(|halted| halted.0 > seq));
        match started {
            _ if halted_later => Below::Applied,
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
