//! The planner's steps as text.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;
mod renewal;
mod resync;
mod rollups;
mod routes;
mod scope;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ccr_applier::plan::action::LayoutRead;
use ccr_applier::plan::mapping::Layout;
use ccr_applier::plan::state::Covered;
use ccr_applier::plan::{
    Action, Apply, Checkpoint, Failure, Input, Outcome, Settings, Start, State, step,
};
use ccr_control::{JobOptions, TableFilter};
use ccr_doris::{BeginOutcome, CommitOutcome, LabelState, RollbackOutcome};
use ccr_ops::ErrorKind;
use ccr_schemas::event::{Gap, TimelineChanged};
use ccr_schemas::{CommitSeq, Envelope, Event, TableId, Timeline, TxnId};
use common::source::Source;

struct Planner {
    state: Option<State>,
    offset: i64,
    last: Vec<Action>,
    /// What was made durable last.
    recorded: Option<Checkpoint>,
}

impl Planner {
    fn new(checkpoint: Checkpoint, judge_end: i64) -> Self {
        Self::behind(Covered::default(), checkpoint, judge_end)
    }

    fn behind(covered: Covered, checkpoint: Checkpoint, judge_end: i64) -> Self {
        Self::of(TableFilter::default(), covered, checkpoint, judge_end)
    }

    fn of(filter: TableFilter, covered: Covered, checkpoint: Checkpoint, judge_end: i64) -> Self {
        Self::from(
            filter,
            covered,
            checkpoint,
            judge_end,
            JobOptions::default(),
        )
    }

    fn with_options(options: JobOptions) -> Self {
        let start = Checkpoint::at(CommitSeq::BEFORE_FIRST);
        Self::from(
            TableFilter::default(),
            Covered::default(),
            start,
            0,
            options,
        )
    }

    fn from(
        filter: TableFilter,
        covered: Covered,
        checkpoint: Checkpoint,
        judge_end: i64,
        options: JobOptions,
    ) -> Self {
        let settings = Settings {
            database: "dst".to_owned(),
            source_database: "src".to_owned(),
            table_names: BTreeMap::new(),
            filter,
            options,
            job: "job".to_owned(),
            replaces_existing: false,
            table_resyncs: Default::default(),
            layout_max_age_ms: 10_000,
        };
        let start = Start {
            offset: 0,
            checkpoint,
            covered,
            judge_end,
            labels_intact: true,
        };
        Self {
            state: Some(State::Applying(Box::new(Apply::new(
                Arc::new(settings),
                start,
            )))),
            offset: 0,
            last: Vec::new(),
            recorded: None,
        }
    }

    fn fresh() -> Self {
        Self::new(Checkpoint::at(CommitSeq::BEFORE_FIRST), 0)
    }

    fn put(&mut self, input: Input) -> String {
        let next = step(self.state.take().unwrap(), input);
        let text = next.to_string();
        self.state = Some(next.state);
        self.last = next.actions;
        for action in &self.last {
            if let Action::Record { checkpoint, .. } = action {
                self.recorded = Some((**checkpoint).clone());
            }
        }
        text
    }

    fn read(&mut self, envelope: Envelope) -> String {
        let offset = self.offset;
        self.offset += 1;
        let envelope = Box::new(envelope);
        self.put(Input::Received { offset, envelope })
    }

    fn done(&mut self, seq: CommitSeq, outcome: Outcome) -> String {
        self.put(Input::Performed(seq, outcome))
    }

    fn layout(&mut self, table: i64, name: &str) -> String {
        self.layout_with(table, name, &[])
    }

    /// A destination table with rollups of these names.
    fn layout_with(&mut self, table: i64, name: &str, rollups: &[&str]) -> String {
        let fake = common::Fake::default();
        fake.create(name);
        let mut layout = Layout {
            table: fake.layouts().remove(0),
        };
        let indexes = &mut layout.table.partitions[0].indexes;
        for rollup in rollups {
            let mut index = indexes[0].clone();
            index.name = (*rollup).to_owned();
            indexes.push(index);
        }
        self.put(Input::LayoutRead(
            TableId(table),
            LayoutRead::Found(Arc::new(layout)),
        ))
    }

    /// The table's partition is at a version.
    fn layout_at(&mut self, table: i64, name: &str, version: i64) -> String {
        let read = LayoutRead::Found(layout(name, version));
        self.put(Input::LayoutRead(TableId(table), read))
    }

    /// Ingests whatever was asked for just now.
    fn ingested(&mut self, seq: CommitSeq) -> String {
        let held = self
            .last
            .iter()
            .find_map(|action| match action {
                Action::IngestTablets { plan, .. } => Some(
                    plan.parts
                        .iter()
                        .flat_map(|part| &part.tablets)
                        .map(|pair| (0, pair.dest, pair.dest_backends[0]))
                        .collect(),
                ),
                _ => None,
            })
            .unwrap();
        self.done(seq, Outcome::Ingested(held))
    }
}

fn layout(name: &str, version: i64) -> Arc<Layout> {
    let fake = common::Fake::default();
    fake.create(name);
    let mut table = fake.layouts().remove(0);
    table.partitions[0].visible_version = version;
    Arc::new(Layout { table })
}

fn begun(txn: i64) -> Outcome {
    Outcome::Begin(BeginOutcome::Begun {
        txn: TxnId(txn),
        sub_txns: vec![],
    })
}

#[test]
fn a_transaction_is_mapped_begun_ingested_and_committed() {
    let mut source = Source::new(1);
    let a = source.existing("a");
    let event = source.write(&[a]);
    let seq = event.commit_seq;
    let mut planner = Planner::fresh();
    assert_eq!(
        planner.read(event),
        "applying applied=-1 pending=1 | ReadLayout a"
    );
    assert_eq!(
        planner.layout(a, "a"),
        format!("applying applied=-1 pending=1 | BeginTxn {seq}")
    );
    assert_eq!(
        planner.done(seq, begun(5)),
        format!("applying applied=-1 pending=1 | IngestTablets {seq} x2")
    );
    assert_eq!(
        planner.ingested(seq),
        format!("applying applied=-1 pending=1 | CommitTxn {seq} txn 5")
    );
    // The answer is lost: the same commit again, never another transaction.
    let lost = Outcome::Failed(Failure {
        kind: ErrorKind::Unavailable,
        refusal: None,
        text: "lost".to_owned(),
    });
    assert_eq!(
        planner.done(seq, lost),
        format!("applying applied=-1 pending=1 | CommitTxn {seq} txn 5")
    );
    assert_eq!(
        planner.done(seq, Outcome::Commit(CommitOutcome::VisibleLater)),
        format!("applying applied={seq} pending=0 | Applied {seq}")
    );
    assert_eq!(
        planner.put(Input::Tick { now_ms: 1 }),
        format!("applying applied={seq} pending=0 | Record @1 seq {seq}")
    );
}

#[test]
fn commits_keep_the_order_of_the_source_though_ingests_do_not() {
    let mut source = Source::new(1);
    let a = source.existing("a");
    let (first, second) = (source.write(&[a]), source.write(&[a]));
    let (one, two) = (first.commit_seq, second.commit_seq);
    let mut planner = Planner::fresh();
    planner.read(first);
    planner.read(second);
    planner.layout(a, "a");
    planner.done(two, begun(6));
    assert_eq!(planner.ingested(two), "applying applied=-1 pending=2");
    planner.done(one, begun(5));
    assert_eq!(
        planner.ingested(one),
        format!("applying applied=-1 pending=2 | CommitTxn {one} txn 5")
    );
    assert_eq!(
        planner.done(one, Outcome::Commit(CommitOutcome::Committed)),
        format!("applying applied={one} pending=1 | Applied {one}; CommitTxn {two} txn 6")
    );
}

#[test]
fn a_label_that_is_taken_tells_what_was_done_before() {
    let mut source = Source::new(1);
    let a = source.existing("a");
    let event = source.write(&[a]);
    let seq = event.commit_seq;
    let mut planner = Planner::new(Checkpoint::at(event.prev_commit_seq), 10);
    planner.read(event);
    planner.layout_at(a, "a", 2);
    let held_by = |state| {
        Outcome::Begin(BeginOutcome::LabelExists {
            txn: Some(TxnId(3)),
            state,
        })
    };
    assert!(
        planner
            .done(seq, held_by(LabelState::Running))
            .ends_with(&format!("RollbackTxn {seq} txn 3 (begun again)"))
    );
    assert!(
        planner
            .done(seq, Outcome::Rollback(RollbackOutcome::Aborted))
            .ends_with(&format!("BeginTxn {seq}"))
    );
    assert_eq!(
        planner.done(seq, held_by(LabelState::Finished)),
        format!("applying applied={seq} pending=0 | Applied {seq} before")
    );
}

#[test]
fn a_change_is_durable_as_started_before_it_runs_and_as_done_before_what_follows() {
    let mut source = Source::new(1);
    let a = source.existing("a");
    let (change, write) = (source.truncate(a), source.write(&[a]));
    let seq = change.commit_seq;
    let mut planner = Planner::fresh();
    assert_eq!(
        planner.read(change),
        format!(
            "applying applied=-1 pending=1 | Record @0 seq -1 f{a}={seq}Started; RunDdl {seq} (truncate a)"
        )
    );
    assert_eq!(planner.read(write), "applying applied=-1 pending=2");
    let in_effect = Outcome::DdlInEffect { before: false };
    assert_eq!(
        planner.done(seq, in_effect),
        format!(
            "applying applied={seq} pending=1 | Applied {seq}; Record @1 seq {seq}; ReadLayout a"
        )
    );
}

#[test]
fn a_broken_chain_and_a_gap_stop_the_job_by_name() {
    let mut source = Source::new(1);
    let a = source.existing("a");
    let first = source.write(&[a]);
    let _lost = source.write(&[a]);
    let third = source.write(&[a]);
    let mut planner = Planner::new(Checkpoint::at(first.commit_seq), 0);
    assert!(planner.read(third).starts_with("halted"));
    let State::Stopped(_, reason) = planner.state.unwrap() else {
        panic!("not stopped")
    };
    assert!(format!("{reason:?}").contains("chain broken"));

    let mut planner = Planner::new(Checkpoint::at(first.commit_seq), 0);
    let gap = source.own(Event::Gap(Gap {
        after: first.commit_seq,
        up_to: CommitSeq(9_999),
    }));
    assert!(planner.read(gap).starts_with("halted"));
}

#[test]
fn a_gap_right_behind_the_snapshot_stops_the_job_and_one_inside_does_not() {
    let mut source = Source::new(1);
    let table = source.existing("a");
    let taken_at = source.write(&[table]).commit_seq;
    let gap = |source: &Source| {
        source.own(Event::Gap(Gap {
            after: CommitSeq(1),
            up_to: source.seq(),
        }))
    };
    let covered = Covered {
        tables: BTreeMap::from([(TableId(table), taken_at)]),
        rest: Some(taken_at),
    };
    let mut planner = Planner::behind(covered, Checkpoint::at(CommitSeq::BEFORE_FIRST), 0);
    let text = planner.read(gap(&source));
    assert!(text.starts_with("applying"), "{text}");
    source.write(&[table]);
    let text = planner.read(gap(&source));
    assert!(text.starts_with("halted"), "{text}");
}

/// Neither the policy for gaps nor a skip helps: the positions that follow belong to another history.
#[test]
fn a_replaced_history_halts_the_job_and_resync_is_the_only_way_out() {
    let mut source = Source::new(1);
    let table = source.existing("a");
    let first = source.write(&[table]);
    let last = source.write(&[table]).commit_seq;
    let changed = Envelope {
        timeline: Timeline(7),
        commit_seq: CommitSeq(1),
        prev_commit_seq: CommitSeq(1),
        ..source.own(Event::TimelineChanged(TimelineChanged {
            previous: Timeline::FIRST,
            published: last,
            reason: "its newest position is 1".to_owned(),
        }))
    };
    let mut planner = Planner::new(Checkpoint::at(first.commit_seq), 0);
    let text = planner.read(changed.clone());
    assert!(text.starts_with("halted"), "{text}");
    let State::Stopped(_, reason) = planner.state.unwrap() else {
        panic!("not stopped")
    };
    let reason = format!("{reason:?}");
    assert!(
        reason.contains("its newest position is 1") && reason.contains("`ccr job resync job`"),
        "{reason}"
    );

    // A job that begins behind it follows the new history, and drops what a slow producer wrote of the old one.
    let on = |timeline: i64, seq: i64, event: Envelope| Envelope {
        timeline: Timeline(timeline),
        commit_seq: CommitSeq(seq),
        prev_commit_seq: CommitSeq(seq - 1),
        ..event
    };
    let mut planner = Planner::fresh();
    let begun = planner.read(on(7, 2, source.write(&[table])));
    assert!(begun.contains("pending=1"), "{begun}");
    let old = planner.read(on(0, last.0, source.write(&[table])));
    assert!(old.contains("pending=1"), "{old}");
    let repeated = planner.read(changed);
    assert!(repeated.starts_with("applying"), "{repeated}");
    let next = planner.read(on(7, 3, source.write(&[table])));
    assert!(next.contains("pending=2"), "{next}");
}

#[test]
fn a_gap_that_the_snapshot_contains_does_not_stop_a_job_that_reads_from_before_it() {
    let mut source = Source::new(1);
    let table = source.existing("a");
    let before = source.write(&[table]);
    for _ in 0..3 {
        source.write(&[table]);
    }
    let (after, up_to) = (before.commit_seq, source.seq());
    let gap = source.own(Event::Gap(Gap { after, up_to }));
    let next = source.write(&[table]);
    let next_at = next.commit_seq;
    let covered = Covered {
        tables: BTreeMap::from([(TableId(table), up_to)]),
        rest: Some(up_to),
    };
    let mut planner = Planner::behind(covered, Checkpoint::at(CommitSeq::BEFORE_FIRST), 0);
    planner.read(before);
    let text = planner.read(gap);
    assert!(text.starts_with("applying"), "{text}");
    let text = planner.read(next);
    assert!(
        text.starts_with("applying") && text.contains("ReadLayout a"),
        "the chain goes on behind the gap, at {next_at}: {text}"
    );
}

#[test]
fn a_record_shown_too_late_stops_the_job_unless_it_is_contained_or_accepted() {
    let mut source = Source::new(1);
    let table = source.existing("a");
    source.write(&[table]);
    let last = source.write(&[table]).commit_seq;
    let late = |source: &Source, seq: CommitSeq| {
        source.own(Event::Gap(Gap {
            after: CommitSeq(seq.0 - 1),
            up_to: seq,
        }))
    };
    let between = CommitSeq(last.0 - 1);
    let mut planner = Planner::new(Checkpoint::at(last), 0);
    let text = planner.read(late(&source, between));
    assert!(text.starts_with("halted"), "{text}");
    let State::Stopped(_, reason) = planner.state.unwrap() else {
        panic!("not stopped")
    };
    let reason = format!("{reason:?}");
    assert!(
        reason.contains("showed its record") && reason.contains(&format!("skip job {between}")),
        "{reason}"
    );

    let covered = Covered {
        tables: BTreeMap::from([(TableId(table), source.seq())]),
        rest: Some(source.seq()),
    };
    let mut planner = Planner::behind(covered, Checkpoint::at(CommitSeq::BEFORE_FIRST), 0);
    let text = planner.read(late(&source, between));
    assert!(text.starts_with("applying"), "{text}");
}

#[test]
fn data_the_source_has_no_more_is_left_out_only_when_a_later_event_removes_it() {
    let mut source = Source::new(1);
    let a = source.existing("a");
    let (write, truncate) = (source.write(&[a]), source.truncate(a));
    let seq = write.commit_seq;
    let mut planner = Planner::fresh();
    planner.read(write);
    planner.layout(a, "a");
    planner.done(seq, begun(5));
    let gone = || Outcome::IngestIncomplete {
        held: BTreeSet::new(),
        tablet_missing: false,
        restart: false,
        text: "tablet is not exist".to_owned(),
    };
    let again = planner.done(seq, gone());
    assert!(
        again.ends_with(&format!("IngestTablets {seq} x2")),
        "{again}"
    );
    let cut = truncate.commit_seq;
    planner.read(truncate);
    let undone = planner.done(seq, gone());
    assert!(
        undone.contains(&format!("RollbackTxn {seq} txn 5")),
        "{undone}"
    );
    let left_out = planner.done(seq, Outcome::Rollback(RollbackOutcome::Aborted));
    assert!(
        left_out.contains(&format!("Skip {seq} (data gone")),
        "{left_out}"
    );
    assert!(
        left_out.ends_with(&format!("RunDdl {cut} (truncate a)")),
        "{left_out}"
    );
}

/// A defect of the program must be seen, and must never leave a table waiting for ever.
#[test]
fn an_outcome_that_nobody_waited_for_halts_the_job_in_front_of_its_event() {
    let mut source = Source::new(1);
    let a = source.existing("a");
    let (write, truncate) = (source.write(&[a]), source.truncate(a));
    let renewal = Envelope {
        replay: ccr_schemas::Replay::Snapshot {
            reason: "no statement".to_owned(),
        },
        ..source.truncate(a)
    };
    let cases = [
        (write, Outcome::Visible, "being begun"),
        (truncate, begun(5), "running"),
        (
            renewal,
            Outcome::Commit(CommitOutcome::Committed),
            "being re-synced",
        ),
    ];
    for (event, outcome, phase) in cases {
        let seq = event.commit_seq;
        let start = Checkpoint::at(event.prev_commit_seq);
        let mut planner = Planner::new(start, 0);
        planner.read(event);
        planner.layout(a, "a");
        let text = planner.done(seq, outcome);
        assert!(text.starts_with("halted"), "{text}");
        assert!(text.contains("Violation"), "{text}");
        let Some(State::Stopped(apply, reason)) = &planner.state else {
            panic!("not stopped: {text}")
        };
        assert!(apply.applied() < seq, "{text}");
        let reason = format!("{reason:?}");
        assert!(
            reason.contains(phase) && reason.contains("restart the applier"),
            "{reason}"
        );
    }
}
