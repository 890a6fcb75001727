//! Nothing is committed on a table that is not what it was, and no label is believed that the versions contradict.

use ccr_applier::plan::checkpoint::LastCommitted;
use ccr_applier::plan::{Memory, Removal};

use super::*;

fn lost() -> Outcome {
    Outcome::Failed(Failure {
        kind: ErrorKind::Unavailable,
        refusal: None,
        text: "connection reset".to_owned(),
    })
}

fn committed() -> Outcome {
    Outcome::Commit(CommitOutcome::Committed)
}

fn finished() -> Outcome {
    Outcome::Begin(BeginOutcome::LabelExists {
        txn: Some(TxnId(3)),
        state: LabelState::Finished,
    })
}

fn ahead(found: Vec<Removal>) -> Input {
    Input::LookedAhead {
        found: Some(found),
        failures: 0,
    }
}

impl Planner {
    fn apply(&self) -> &Apply {
        self.state.as_ref().unwrap().apply()
    }

    /// Reads, maps, begins and ingests a load of one table whose layout is known.
    fn load(&mut self, event: Envelope, txn: i64) -> String {
        let seq = event.commit_seq;
        self.read(event);
        self.done(seq, begun(txn));
        self.ingested(seq)
    }

    fn reason(&self, table: i64) -> String {
        self.apply().halted()[&TableId(table)].2.clone()
    }
}

/// A load of `a` on a destination at `version`, up to what follows the ingest.
fn load_on(version: i64) -> (Source, Planner, i64, CommitSeq, String) {
    let mut source = Source::new(1);
    let a = source.existing("a");
    for _ in 0..3 {
        source.write(&[a]);
    }
    // Makes version 5.
    let event = source.write(&[a]);
    let seq = event.commit_seq;
    let mut planner = Planner::fresh();
    planner.read(event);
    planner.layout_at(a, "a", version);
    planner.done(seq, begun(5));
    let text = planner.ingested(seq);
    (source, planner, a, seq, text)
}

#[test]
fn transactions_that_are_missing_at_the_destination_halt_the_table_with_both_versions_and_the_repair()
 {
    let (_, mut planner, a, seq, text) = load_on(2);
    assert_eq!(
        text,
        format!("applying applied=-1 pending=1 | AwaitSettled {seq}")
    );
    assert!(
        planner
            .done(seq, Outcome::Visible)
            .ends_with("ReadLayout a")
    );
    let text = planner.layout_at(a, "a", 2);
    assert!(text.ends_with("LookAhead @1"), "{text}");
    let text = planner.put(ahead(Vec::new()));
    assert!(
        text.ends_with(&format!("RollbackTxn {seq} txn 5 (cannot be applied)")),
        "{text}"
    );
    let text = planner.done(seq, Outcome::Rollback(RollbackOutcome::Aborted));
    assert!(text.contains(&format!("HaltTable {a} at {seq}")), "{text}");
    let reason = planner.reason(a);
    for part in [
        "makes version 5",
        "at version 2",
        "missing",
        "`ccr job resync job a`",
    ] {
        assert!(reason.contains(part), "{part:?}: {reason}");
    }
}

#[test]
fn a_transaction_on_top_of_what_it_does_not_know_halts_the_table() {
    let (_, mut planner, a, seq, _) = load_on(5);
    planner.done(seq, Outcome::Visible);
    planner.layout_at(a, "a", 5);
    planner.put(ahead(Vec::new()));
    planner.done(seq, Outcome::Rollback(RollbackOutcome::Aborted));
    let reason = planner.reason(a);
    for part in ["makes version 5", "at version 5 already", "something else"] {
        assert!(reason.contains(part), "{part:?}: {reason}");
    }
}

#[test]
fn a_version_that_was_only_not_visible_yet_is_waited_for() {
    let (_, mut planner, a, seq, _) = load_on(3);
    planner.done(seq, Outcome::Visible);
    let text = planner.layout_at(a, "a", 4);
    assert!(text.ends_with(&format!("CommitTxn {seq} txn 5")), "{text}");
    // From there on versions are counted.
    let text = planner.done(seq, committed());
    assert!(text.contains(&format!("Applied {seq}")), "{text}");
}

#[test]
fn a_difference_that_a_later_event_removes_does_not_matter() {
    let (source, mut planner, a, seq, _) = load_on(2);
    planner.done(seq, Outcome::Visible);
    planner.layout_at(a, "a", 2);
    let text = planner.put(ahead(vec![Removal::Table {
        table: TableId(a),
        at: CommitSeq(source.seq().0 + 1),
    }]));
    assert!(text.ends_with(&format!("CommitTxn {seq} txn 5")), "{text}");
}

#[test]
fn events_ahead_that_cannot_be_read_are_looked_through_again() {
    let (_, mut planner, a, seq, _) = load_on(2);
    planner.done(seq, Outcome::Visible);
    planner.layout_at(a, "a", 2);
    let text = planner.put(Input::LookedAhead {
        found: None,
        failures: 0,
    });
    assert!(text.ends_with("LookAhead @1"), "{text}");
}

#[test]
fn a_layout_of_other_partitions_is_planned_again_before_it_is_judged() {
    let (_, mut planner, a, seq, _) = load_on(2);
    planner.done(seq, Outcome::Visible);
    let mut other = (*layout("a", 4)).clone();
    other.table.partitions[0].id.0 += 7;
    let read = LayoutRead::Found(Arc::new(other));
    let text = planner.put(Input::LayoutRead(TableId(a), read));
    assert!(text.contains("planned again"), "{text}");
    let text = planner.done(seq, Outcome::Rollback(RollbackOutcome::Aborted));
    assert!(text.ends_with(&format!("BeginTxn {seq}")), "{text}");
    planner.done(seq, begun(6));
    let text = planner.ingested(seq);
    assert!(text.ends_with(&format!("CommitTxn {seq} txn 6")), "{text}");
}

#[test]
fn only_the_table_that_differs_leaves_a_joint_transaction() {
    let mut source = Source::new(1);
    let (a, b) = (source.existing("a"), source.existing("b"));
    let event = source.write(&[a, b]);
    let seq = event.commit_seq;
    let mut planner = Planner::fresh();
    planner.read(event);
    planner.layout_at(a, "a", 1);
    planner.layout_at(b, "b", 9);
    planner.done(seq, begun(5));
    planner.ingested(seq);
    planner.done(seq, Outcome::Visible);
    planner.layout_at(a, "a", 1);
    planner.layout_at(b, "b", 9);
    planner.put(ahead(Vec::new()));
    let text = planner.done(seq, Outcome::Rollback(RollbackOutcome::Aborted));
    assert!(text.contains(&format!("HaltTable {b} at {seq}")), "{text}");
    assert!(text.ends_with(&format!("BeginTxn {seq}")), "{text}");
    planner.done(seq, begun(6));
    let text = planner.ingested(seq);
    assert!(text.ends_with(&format!("CommitTxn {seq} txn 6")), "{text}");
}

/// The data folder was put back: statements run again, and the loads behind them meet their own labels.
#[test]
fn a_finished_label_is_not_believed_when_the_table_lacks_its_version() {
    for judged in [false, true] {
        let mut source = Source::new(1);
        let a = source.existing("a");
        let (truncate, write) = (source.truncate(a), source.write(&[a]));
        let (cut, seq) = (truncate.commit_seq, write.commit_seq);
        let mut checkpoint = Checkpoint::at(truncate.prev_commit_seq);
        let mut planner = if judged {
            // Killed in between: the change is done for good, and the load may have been started before.
            let done = ccr_applier::plan::checkpoint::Floor {
                at: cut,
                progress: ccr_applier::plan::checkpoint::Progress::Done,
                evidence: None,
            };
            checkpoint.floors.insert(TableId(a), done);
            Planner::new(checkpoint, 10)
        } else {
            Planner::new(checkpoint, 0)
        };
        planner.read(truncate);
        if !judged {
            planner.done(cut, Outcome::DdlInEffect { before: false });
        }
        planner.read(write);
        planner.layout_at(a, "a", 1);
        let text = planner.done(seq, finished());
        assert!(text.ends_with(&format!("AwaitSettled {seq}")), "{text}");
        planner.done(seq, Outcome::Visible);
        planner.layout_at(a, "a", 1);
        let text = planner.put(ahead(Vec::new()));
        assert!(text.contains(&format!("HaltTable {a} at {seq}")), "{text}");
        let reason = planner.reason(a);
        for part in [
            "has finished the transaction",
            "makes version 2",
            "at version 1",
            "`ccr job resync job a`",
        ] {
            assert!(reason.contains(part), "{part:?}: {reason}");
        }
    }
}

#[test]
fn a_commit_whose_answer_was_lost_is_believed() {
    let (mut source, mut planner, a, seq, _) = load_on(4);
    let text = planner.done(seq, lost());
    assert!(text.ends_with(&format!("CommitTxn {seq} txn 5")), "{text}");
    // Another frontend does not know the transaction any more, but its label.
    planner.done(seq, Outcome::Commit(CommitOutcome::NotFound));
    let text = planner.done(seq, finished());
    assert!(text.contains(&format!("Applied {seq} before")), "{text}");
    let next = source.write(&[a]);
    let at = next.commit_seq;
    let text = planner.load(next, 9);
    assert!(text.ends_with(&format!("CommitTxn {at} txn 9")), "{text}");
}

#[test]
fn after_an_interruption_the_versions_are_read_before_the_next_commit() {
    let (mut source, mut planner, a, seq, _) = load_on(4);
    planner.done(seq, committed());
    let text = planner.put(Input::Interrupted);
    assert!(text.ends_with(&format!("AskMemory {seq} txn 5")), "{text}");
    let next = source.write(&[a]);
    let at = next.commit_seq;
    assert!(planner.read(next).ends_with("ReadLayout a"));
    // The destination lacks the last transaction.
    planner.layout_at(a, "a", 4);
    planner.done(at, begun(9));
    let text = planner.ingested(at);
    assert!(text.ends_with(&format!("AwaitSettled {at}")), "{text}");
}

#[test]
fn a_read_that_an_interruption_overtook_does_not_count() {
    let (_, mut planner, a, seq, _) = load_on(3);
    planner.done(seq, Outcome::Visible);
    planner.put(Input::Interrupted);
    let text = planner.layout_at(a, "a", 4);
    assert!(text.ends_with("ReadLayout a"), "{text}");
    let text = planner.layout_at(a, "a", 4);
    assert!(text.ends_with(&format!("CommitTxn {seq} txn 5")), "{text}");
}

#[test]
fn a_transaction_id_that_does_not_grow_halts_the_job_for_good() {
    let (mut source, mut planner, a, seq, _) = load_on(4);
    planner.done(seq, committed());
    let (next, after) = (source.write(&[a]), source.write(&[a]));
    let (at, after_at) = (next.commit_seq, after.commit_seq);
    planner.read(next);
    planner.read(after);
    let text = planner.done(at, begun(5));
    assert!(text.starts_with("halted"), "{text}");
    assert!(text.contains("contradiction"), "{text}");
    let why = planner.recorded.clone().unwrap().contradiction.unwrap();
    for part in [
        "began transaction 5 after it had begun 5",
        "`ccr job resync job`",
    ] {
        assert!(why.contains(part), "{part:?}: {why}");
    }
    let text = planner.done(after_at, begun(7));
    assert!(!text.contains("IngestTablets"), "{text}");
}

#[test]
fn a_destination_that_forgot_the_last_transaction_but_not_those_before_halts_the_job() {
    let (_, mut planner, _, seq, _) = load_on(4);
    planner.done(seq, committed());
    planner.put(Input::Interrupted);
    let told = |memory| Input::MemoryTold {
        memory,
        failures: 0,
    };
    let text = planner.put(told(Memory::Failed(Failure {
        kind: ErrorKind::Unavailable,
        refusal: None,
        text: "connection refused".to_owned(),
    })));
    assert!(text.ends_with(&format!("AskMemory {seq} txn 5")), "{text}");
    let text = planner.put(told(Memory::WentBack("it does not know it".to_owned())));
    assert!(text.starts_with("halted"), "{text}");
    let checkpoint = planner.recorded.clone().unwrap();
    assert!(checkpoint.contradiction.is_some());
    let LastCommitted(last, txn, _) = checkpoint.last_committed.unwrap();
    assert_eq!((last, txn), (seq, TxnId(5)));
}

#[test]
fn an_old_layout_is_read_again_while_the_load_is_under_way() {
    let (mut source, mut planner, a, seq, _) = load_on(4);
    planner.done(seq, committed());
    planner.put(Input::Tick { now_ms: 50_000 });
    let next = source.write(&[a]);
    let at = next.commit_seq;
    assert_eq!(
        planner.read(next),
        format!("applying applied={seq} pending=1 | CheckVersions a; BeginTxn {at}")
    );
    planner.done(at, begun(9));
    // The table was idle: the answer is waited for.
    assert!(!planner.ingested(at).contains("CommitTxn"));
    let checked = |version| Input::VersionsChecked {
        table: TableId(a),
        check: 1,
        read: LayoutRead::Found(layout("a", version)),
    };
    let text = planner.put(checked(5));
    assert!(text.ends_with(&format!("CommitTxn {at} txn 9")), "{text}");
    planner.done(at, committed());
    let text = planner.load(source.write(&[a]), 10);
    assert!(!text.contains("CheckVersions"), "read just now: {text}");
}

#[test]
fn a_table_that_was_put_back_is_noticed_at_the_next_load_of_it() {
    let (mut source, mut planner, a, seq, _) = load_on(4);
    planner.done(seq, committed());
    planner.put(Input::Tick { now_ms: 50_000 });
    let next = source.write(&[a]);
    let at = next.commit_seq;
    planner.load(next, 9);
    let text = planner.put(Input::VersionsChecked {
        table: TableId(a),
        check: 1,
        read: LayoutRead::Found(layout("a", 3)),
    });
    assert!(text.ends_with(&format!("AwaitSettled {at}")), "{text}");
}

#[test]
fn a_check_of_versions_does_not_hold_up_a_busy_table() {
    let (mut source, mut planner, a, seq, _) = load_on(4);
    planner.put(Input::Tick { now_ms: 50_000 });
    let next = source.write(&[a]);
    let at = next.commit_seq;
    let text = planner.load(next, 9);
    assert!(text.starts_with("applying"), "{text}");
    // While the check is under way both are committed.
    let text = planner.done(seq, committed());
    assert!(text.ends_with(&format!("CommitTxn {at} txn 9")), "{text}");
}

#[test]
fn an_event_left_out_by_a_person_leaves_a_distance_that_is_learned_and_kept() {
    let mut source = Source::new(1);
    let a = source.existing("a");
    let (first, skipped, next, after) = (
        source.write(&[a]),
        source.write(&[a]),
        source.write(&[a]),
        source.write(&[a]),
    );
    let mut options = JobOptions::default();
    options.skip.insert(skipped.commit_seq);
    let mut planner = Planner::with_options(options.clone());
    let one = first.commit_seq;
    planner.read(first);
    planner.layout_at(a, "a", 1);
    planner.done(one, begun(5));
    planner.ingested(one);
    planner.done(one, committed());
    planner.read(skipped);
    planner.put(Input::Tick { now_ms: 1 });
    assert_eq!(
        planner.recorded.clone().unwrap().adrift,
        BTreeSet::from([TableId(a)])
    );
    let at = next.commit_seq;
    let text = planner.load(next, 6);
    assert!(text.ends_with(&format!("CommitTxn {at} txn 6")), "{text}");
    planner.done(at, committed());
    let at = after.commit_seq;
    let text = planner.load(after, 7);
    assert!(text.ends_with(&format!("CommitTxn {at} txn 7")), "{text}");
    planner.done(at, committed());
    // The distance holds: one more missing transaction is noticed.
    source.write(&[a]);
    let mut odd = source.write(&[a]);
    odd.prev_commit_seq = at;
    let at = odd.commit_seq;
    let text = planner.load(odd, 8);
    assert!(text.ends_with(&format!("AwaitSettled {at}")), "{text}");
}
