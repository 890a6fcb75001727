//! Names that come to a job, leave it, or pass to a table that is not at the destination.

use ccr_applier::plan::checkpoint::{Halted, PairFound};

use super::*;

/// A job that leaves these tables out.
fn excluding(names: &[&str], checkpoint: Checkpoint) -> Planner {
    let filter = TableFilter {
        exclude: names.iter().map(|name| (*name).to_owned()).collect(),
        ..TableFilter::default()
    };
    Planner::of(filter, Covered::default(), checkpoint, 100)
}

fn start() -> Checkpoint {
    Checkpoint::at(CommitSeq::BEFORE_FIRST)
}

impl Planner {
    /// The process ends; another reads the same events from what was made durable.
    fn restarted(&self, filter: &[&str]) -> Self {
        let checkpoint = self.recorded.clone().unwrap_or_else(start);
        excluding(filter, checkpoint)
    }
}

#[test]
fn a_table_renamed_into_the_job_is_brought_under_its_new_name() {
    let mut source = Source::new(1);
    let out = source.existing("out");
    let rename = source.rename(out, "a");
    let at = rename.commit_seq;
    let mut planner = excluding(&["out"], start());
    assert!(
        planner
            .read(rename)
            .ends_with(&format!("ReadEvidence {at}"))
    );
    // What bears the name is not the job's.
    let text = planner.done(at, Outcome::NameTaken);
    assert!(
        text.contains(&format!("HaltTable {out} at {at}")) && text.contains("a exists already"),
        "{text}"
    );

    let mut source = Source::new(1);
    let out = source.existing("out");
    let (rename, inside) = (source.rename(out, "a"), source.write(&[out]));
    let behind = source.write(&[out]);
    let (inside_at, behind_at) = (inside.commit_seq, behind.commit_seq);
    let events = [rename, inside, behind];
    let mut planner = excluding(&["out"], start());
    for event in events.clone() {
        planner.read(event);
    }
    let text = planner.done(at, Outcome::Evidence(None));
    assert!(
        text.contains(&format!("f{out}={at}Started; RenewTable {at} (a as a)")),
        "{text}"
    );
    // A crash here: the table that bears the name now is the job's own.
    let mut again = planner.restarted(&["out"]);
    let text = again.read(events[0].clone());
    assert!(
        text.ends_with(&format!("RenewTable {at} (a as a)")),
        "{text}"
    );
    let text = planner.done(at, Outcome::Renewed { upto: inside_at });
    assert!(
        text.contains(&format!("Skip {inside_at} (contained in the snapshot)"))
            && text.ends_with("ReadLayout a"),
        "{text}"
    );
    // And a crash here repeats nothing.
    let mut again = planner.restarted(&["out"]);
    for event in &events[..2] {
        let text = again.read(event.clone());
        assert!(
            !text.contains("Renew") && !text.contains("ReadLayout"),
            "{text}"
        );
    }
    let text = again.read(events[2].clone());
    assert!(
        text.ends_with("ReadLayout a") && behind_at > inside_at,
        "{text}"
    );
}

#[test]
fn a_table_that_takes_a_name_of_the_job_replaces_the_one_that_had_it() {
    for swap in [false, true] {
        let mut source = Source::new(1);
        let (a, out) = (source.existing("a"), source.existing("out"));
        let before = source.write(&[a]);
        let outside = source.write(&[out]);
        let exchange = if swap {
            source.swap(a, out)
        } else {
            source.replace(a, out)
        };
        let (before_at, at) = (before.commit_seq, exchange.commit_seq);
        let inside = source.write(&[out]);
        let inside_at = inside.commit_seq;
        let mut planner = excluding(&["out"], start());
        planner.read(before);
        let text = planner.read(outside);
        assert!(text.contains("(filtered)"), "{text}");
        // It waits for what was written to the table that had the name.
        let text = planner.read(exchange.clone());
        assert!(!text.contains("RenewTable"), "{text}");
        planner.read(inside.clone());
        planner.layout(a, "a");
        planner.done(before_at, begun(5));
        planner.ingested(before_at);
        planner.done(before_at, Outcome::Commit(CommitOutcome::Committed));
        let text = planner.done(at, Outcome::Visible);
        assert!(
            text.contains(&format!("RenewTable {at} (a as a)")),
            "{text}"
        );
        let text = planner.done(at, Outcome::Renewed { upto: at });
        assert!(text.contains(&format!("Applied {at}")), "{text}");
        // Under the name the rows of the new table are applied, those of the old one are filtered by its own.
        assert!(text.ends_with("ReadLayout a"), "{text}");
        if swap {
            let text = planner.read(source.write(&[a]));
            assert!(text.contains("(filtered)"), "{text}");
        }
        let mut again = planner.restarted(&["out"]);
        let text = again.read(exchange);
        assert!(!text.contains("Renew"), "{text}");
        let text = again.read(inside);
        assert!(!text.contains(&format!("Skip {inside_at}")), "{text}");
    }
}

#[test]
fn a_table_that_leaves_the_job_halts_and_a_swap_that_gives_its_name_to_another_does_not() {
    let mut source = Source::new(1);
    let a = source.existing("a");
    let rename = source.rename(a, "out");
    let at = rename.commit_seq;
    let mut planner = excluding(&["out"], start());
    let text = planner.read(rename);
    assert!(text.contains(&format!("HaltTable {a} at {at}")), "{text}");
    let text = planner.read(source.write(&[a]));
    assert!(text.contains("(filtered)"), "{text}");

    let mut source = Source::new(1);
    let (a, out) = (source.existing("a"), source.existing("out"));
    let swap = source.swap(out, a);
    let at = swap.commit_seq;
    let mut planner = excluding(&["out"], start());
    let text = planner.read(swap);
    assert!(
        text.ends_with(&format!("RenewTable {at} (a as a)")),
        "{text}"
    );

    // Without a swap nothing bears the name any more.
    let mut source = Source::new(1);
    let (a, out) = (source.existing("a"), source.existing("out"));
    let replace = source.replace(out, a);
    let at = replace.commit_seq;
    let mut planner = excluding(&["out"], start());
    let text = planner.read(replace);
    assert!(text.contains(&format!("HaltTable {a} at {at}")), "{text}");
}

#[test]
fn a_halted_table_follows_again_under_the_name_that_an_event_gives_it() {
    let mut source = Source::new(1);
    let a = source.existing("a");
    let halted_at = source.seq();
    let lost = source.write(&[a]);
    let rename = source.rename(a, "b");
    let (at, behind) = (rename.commit_seq, source.write(&[a]));
    let checkpoint = Checkpoint {
        halted: BTreeMap::from([(
            TableId(a),
            Halted(halted_at, "a".to_owned(), "why".to_owned()),
        )]),
        ..start()
    };
    let mut planner = excluding(&[], checkpoint);
    let text = planner.read(lost);
    assert!(text.contains("(table is halted)"), "{text}");
    let text = planner.read(rename.clone());
    assert!(
        text.ends_with(&format!("RunDdl {at} (rename table a to b)")),
        "{text}"
    );
    let text = planner.read(behind);
    assert!(
        !text.contains("Skip"),
        "what follows is not left out: {text}"
    );
    // The copy bears the new name; its content comes by a snapshot, also when the process ends here.
    let text = planner.done(at, Outcome::DdlInEffect { before: false });
    assert!(
        text.ends_with(&format!("RenewTable {at} (b as b)")),
        "{text}"
    );
    let mut again = planner.restarted(&[]);
    let text = again.read(rename.clone());
    assert!(
        text.ends_with(&format!("RenewTable {at} (b as b)")),
        "{text}"
    );
    let text = planner.done(at, Outcome::Renewed { upto: at });
    assert!(text.ends_with("ReadLayout b"), "{text}");
    let recorded = planner.recorded.clone().unwrap();
    assert!(recorded.halted.is_empty(), "{recorded:?}");
    let mut again = planner.restarted(&[]);
    let text = again.read(rename);
    assert!(!text.contains("Renew"), "{text}");
}

#[test]
fn a_halted_table_that_is_dropped_is_dropped_and_forgotten() {
    let mut source = Source::new(1);
    let a = source.existing("a");
    let halted_at = source.seq();
    let drop = source.drop_table(a);
    let at = drop.commit_seq;
    let checkpoint = Checkpoint {
        halted: BTreeMap::from([(
            TableId(a),
            Halted(halted_at, "a".to_owned(), "why".to_owned()),
        )]),
        ..start()
    };
    let mut planner = excluding(&[], checkpoint);
    let text = planner.read(drop);
    assert!(text.ends_with(&format!("RunDdl {at} (drop a)")), "{text}");
    planner.done(at, Outcome::DdlInEffect { before: false });
    assert!(planner.recorded.unwrap().halted.is_empty());
}

#[test]
fn an_exchange_without_one_of_its_tables_is_put_right_by_name_and_by_snapshot() {
    // Which tables are there, what is run, and which tables come by snapshots under which names.
    let cases = [
        (PairFound::Both(9), "replace table a with b", vec![]),
        (
            PairFound::ReplacementOnly,
            "rename table b to a",
            vec!["b as b"],
        ),
        (
            PairFound::OriginalOnly,
            "rename table a to b",
            vec!["a as a"],
        ),
        (PairFound::Neither, "", vec!["a as a", "b as b"]),
    ];
    for (found, run, brought) in cases {
        let mut source = Source::new(1);
        let (a, b) = (source.existing("a"), source.existing("b"));
        let swap = source.swap(a, b);
        let at = swap.commit_seq;
        let mut planner = excluding(&[], start());
        assert!(
            planner
                .read(swap.clone())
                .ends_with(&format!("ReadEvidence {at}"))
        );
        let mut text = planner.done(at, Outcome::Evidence(Some(found)));
        if !run.is_empty() {
            assert!(
                text.ends_with(&format!("RunDdl {at} ({run})")),
                "{found:?}: {text}"
            );
            // A crash now: the same is run, not what the names would say by then.
            let mut again = planner.restarted(&[]);
            let replayed = again.read(swap.clone());
            assert!(
                replayed.ends_with(&format!("RunDdl again {at} ({run})")),
                "{found:?}: {replayed}"
            );
            text = planner.done(at, Outcome::DdlInEffect { before: false });
        }
        for (n, name) in brought.iter().enumerate() {
            assert!(
                text.contains(&format!("RenewTable {at} ({name})")),
                "{found:?}: {text}"
            );
            // A crash now: the tables that are left come by snapshots, whatever the destination looks like.
            let mut again = planner.restarted(&[]);
            let resumed = again.read(swap.clone());
            assert!(
                resumed.contains(&format!("RenewTable {at} ({name})")),
                "{found:?}: {resumed}"
            );
            text = planner.done(at, Outcome::Renewed { upto: at });
            let is_last = n + 1 == brought.len();
            assert_eq!(
                text.contains(&format!("Applied {at}")),
                is_last,
                "{found:?}: {text}"
            );
        }
        assert!(text.contains(&format!("Applied {at}")), "{found:?}: {text}");
        let mut again = planner.restarted(&[]);
        let text = again.read(swap);
        assert!(
            !text.contains("Renew") && !text.contains("RunDdl"),
            "{found:?}: {text}"
        );
    }
}

#[test]
fn a_table_that_ddl_does_not_find_comes_by_a_snapshot_and_the_others_do_not_wait() {
    let mut source = Source::new(1);
    let (a, b) = (source.existing("a"), source.existing("b"));
    let rename = source.rename(a, "c");
    let (at, other) = (rename.commit_seq, source.write(&[b]));
    let mut planner = excluding(&[], start());
    planner.read(rename.clone());
    let text = planner.read(other);
    assert!(
        !text.contains("ReadLayout b"),
        "a change of names comes first: {text}"
    );
    let text = planner.done(at, Outcome::TableAbsent);
    assert!(
        text.contains(&format!("RenewTable {at} (c as c)")) && text.ends_with("ReadLayout b"),
        "{text}"
    );
    let mut again = planner.restarted(&[]);
    let text = again.read(rename);
    assert!(
        text.ends_with(&format!("RenewTable {at} (c as c)")),
        "{text}"
    );
    // An event behind it drops the table: there is nothing to bring.
    let text = planner.done(
        at,
        Outcome::DroppedAtSource {
            at: CommitSeq(at.0 + 9),
        },
    );
    assert!(
        text.contains(&format!("Skip {at} (the table is dropped later)")),
        "{text}"
    );
}

/// The server commits to a table that is gone without an effect.
#[test]
fn what_was_started_behind_a_load_that_does_not_fit_is_undone_and_started_behind_the_snapshot() {
    let mut source = Source::new(1);
    let a = source.existing("a");
    let (load, next) = (source.write(&[a]), source.write(&[a]));
    let (seq, next_at) = (load.commit_seq, next.commit_seq);
    let mut planner = excluding(&[], start());
    planner.read(load);
    planner.read(next);
    planner.layout(a, "a");
    planner.done(next_at, begun(6));
    planner.ingested(next_at);
    planner.done(seq, begun(5));
    // The table's tablets are not where the layout says, again and again.
    let lost = || Outcome::IngestIncomplete {
        held: BTreeSet::new(),
        tablet_missing: true,
        restart: false,
        text: "tablet is not exist".to_owned(),
    };
    planner.done(seq, lost());
    let mut text = String::new();
    for _ in 0..10 {
        text = planner.put(Input::LayoutRead(TableId(a), LayoutRead::Missing));
        if text.contains("RollbackTxn") {
            break;
        }
    }
    assert!(text.contains(&format!("RollbackTxn {seq} txn 5")), "{text}");
    let text = planner.done(seq, Outcome::Rollback(RollbackOutcome::Aborted));
    assert!(
        text.contains(&format!("RollbackTxn {next_at} txn 6"))
            && text.contains(&format!("RenewTable {seq} (a as a)")),
        "{text}"
    );
    let text = planner.done(next_at, Outcome::Rollback(RollbackOutcome::Aborted));
    assert!(
        !text.contains("ReadLayout"),
        "nothing overtakes the snapshot: {text}"
    );
    let text = planner.done(seq, Outcome::Renewed { upto: seq });
    assert!(text.ends_with("ReadLayout a"), "{text}");
    let text = planner.layout(a, "a");
    assert!(text.ends_with(&format!("BeginTxn {next_at}")), "{text}");
}

#[test]
fn a_load_that_does_not_fit_its_table_brings_the_table_and_is_never_applied_twice() {
    let mut source = Source::new(1);
    let a = source.existing("a");
    let (load, next) = (source.write(&[a]), source.write(&[a]));
    let (seq, next_at) = (load.commit_seq, next.commit_seq);
    let mut planner = excluding(&[], start());
    planner.read(load.clone());
    planner.read(next.clone());
    let missing =
        |planner: &mut Planner| planner.put(Input::LayoutRead(TableId(a), LayoutRead::Missing));
    let mut text = String::new();
    for _ in 0..10 {
        text = missing(&mut planner);
        if text.contains("RenewTable") {
            break;
        }
    }
    assert!(
        text.contains(&format!("RenewTable {seq} (a as a)")),
        "{text}"
    );
    // A crash when the snapshot, which contains the load, may be in place already.
    let mut again = planner.restarted(&[]);
    let resumed = again.read(load.clone());
    assert!(
        resumed.ends_with(&format!("RenewTable {seq} (a as a)")),
        "{resumed}"
    );
    let text = planner.done(seq, Outcome::Renewed { upto: seq });
    assert!(text.ends_with("ReadLayout a"), "{text}");
    let mut again = planner.restarted(&[]);
    let text = again.read(load);
    assert!(
        !text.contains("Renew") && !text.contains("ReadLayout"),
        "{text}"
    );
    // The next one does not fit either: no snapshot without end.
    for _ in 0..10 {
        let text = missing(&mut planner);
        if text.contains("HaltTable") {
            assert!(
                text.contains(&format!("HaltTable {a} at {next_at}")),
                "{text}"
            );
            return;
        }
        assert!(!text.contains("RenewTable"), "{text}");
    }
    panic!("the table neither fits nor halts");
}

/// Whatever the producer did: rows of another table are never applied to a table that only bears its name.
#[test]
fn rows_of_a_table_that_took_a_name_without_an_event_halt_it() {
    let mut source = Source::new(1);
    let (a, b) = (source.existing("a"), source.existing("b"));
    let (first, second) = (source.write(&[a]), source.write(&[b]));
    let swap = source.swap(a, b);
    let after = source.write(&[a]);
    let mut planner = excluding(&[], start());
    planner.read(first.clone());
    planner.read(second.clone());
    // With the event that exchanges the names, all is well.
    planner.read(swap);
    let text = planner.read(after.clone());
    assert!(!text.contains("HaltTable"), "{text}");
    let lost = Envelope {
        prev_commit_seq: second.commit_seq,
        ..after
    };
    let mut planner = excluding(&[], start());
    let at = lost.commit_seq;
    for event in [first, second] {
        planner.read(event);
    }
    planner.read(lost);
    let halting = planner.layout(a, "a");
    assert!(!halting.contains(&format!("BeginTxn {at}")), "{halting}");
    let unit = planner.state.as_ref().unwrap().apply().pending();
    assert_eq!(unit, 3, "it waits for its turn to halt");
}
