//! A table that a snapshot of its own replaces.

use ccr_applier::plan::Removal;
use ccr_schemas::Replay;
use ccr_schemas::event::PartitionsReplaced;

use super::*;

/// Rows that came by way of temporary partitions.
fn overwrite(source: &mut Source, table: i64) -> Envelope {
    let reference = source.table_ref(table);
    Envelope {
        event: Event::PartitionsReplaced(PartitionsReplaced {
            table: reference,
            partitions: Vec::new(),
            temp_partitions: Vec::new(),
            strict_range: true,
            use_temp_name: false,
        }),
        replay: Replay::Snapshot {
            reason: "temporary partitions".to_owned(),
        },
        ..source.write(&[table])
    }
}

fn failed(kind: ErrorKind) -> Outcome {
    Outcome::Failed(Failure {
        kind,
        refusal: None,
        text: "restore job was cancelled".to_owned(),
    })
}

#[test]
fn a_table_is_renewed_by_a_snapshot_while_the_others_go_on() {
    let mut source = Source::new(1);
    let (a, b) = (source.existing("a"), source.existing("b"));
    let renewal = overwrite(&mut source, a);
    let at = renewal.commit_seq;
    let (inside, both) = (source.write(&[a]), source.write(&[a, b]));
    let (inside_at, both_at) = (inside.commit_seq, both.commit_seq);
    let behind = source.write(&[a]);
    let mut planner = Planner::fresh();
    assert_eq!(
        planner.read(renewal),
        format!("applying applied=-1 pending=1 | RenewTable {at} (a as a)")
    );
    // Nothing of the table overtakes the snapshot.
    assert_eq!(planner.read(inside), "applying applied=-1 pending=2");
    assert_eq!(planner.read(both), "applying applied=-1 pending=3");
    assert_eq!(planner.read(behind), "applying applied=-1 pending=4");
    let text = planner.done(at, Outcome::Renewed { upto: both_at });
    assert_eq!(
        text,
        format!(
            "applying applied={inside_at} pending=2 | Applied {at}; Skip {inside_at} (contained in the snapshot); \
             Record @2 seq {inside_at} n{a}={both_at}; ReadLayout b; ReadLayout a"
        ),
        "of the joint transaction only the other table is left"
    );
}

#[test]
fn tables_go_on_while_another_is_renewed() {
    let mut source = Source::new(1);
    let (a, b) = (source.existing("a"), source.existing("b"));
    let mut planner = Planner::fresh();
    planner.read(overwrite(&mut source, a));
    let other = source.write(&[b]);
    let seq = other.commit_seq;
    assert!(planner.read(other).ends_with("ReadLayout b"));
    planner.layout(b, "b");
    planner.done(seq, begun(5));
    planner.ingested(seq);
    let text = planner.done(seq, Outcome::Commit(CommitOutcome::Committed));
    assert!(text.contains(&format!("Applied {seq}")), "{text}");
}

#[test]
fn what_a_snapshot_contains_is_left_out_after_a_restart_too() {
    let mut source = Source::new(1);
    let (a, b) = (source.existing("a"), source.existing("b"));
    let first = source.write(&[a]);
    let joint = source.write(&[a, b]);
    let checkpoint = Checkpoint {
        renewed: BTreeMap::from([(TableId(a), joint.commit_seq)]),
        ..Checkpoint::at(CommitSeq(first.commit_seq.0 - 1))
    };
    let mut planner = Planner::new(checkpoint, 0);
    let (first_at, joint_at) = (first.commit_seq, joint.commit_seq);
    assert_eq!(
        planner.read(first),
        format!(
            "applying applied={first_at} pending=0 | Skip {first_at} (contained in the snapshot)"
        )
    );
    assert_eq!(
        planner.read(joint),
        format!("applying applied={first_at} pending=1 | ReadLayout b")
    );
    let text = planner.layout(b, "b");
    assert!(text.contains(&format!("BeginTxn {joint_at}")), "{text}");
}

#[test]
fn a_renewal_is_tried_again_and_then_its_table_stands_alone() {
    let mut source = Source::new(1);
    let (a, b) = (source.existing("a"), source.existing("b"));
    let renewal = overwrite(&mut source, a);
    let at = renewal.commit_seq;
    let mut planner = Planner::fresh();
    planner.read(renewal);
    for _ in 0..20 {
        let text = planner.done(at, failed(ErrorKind::Unavailable));
        assert!(
            text.ends_with(&format!("RenewTable {at} (a as a)")),
            "{text}"
        );
    }
    let mut planner = Planner::fresh();
    let mut source_again = Source::new(1);
    source_again.existing("a");
    source_again.existing("b");
    planner.read(overwrite(&mut source_again, a));
    // Often and soon tells nothing: what was away a moment ago may be back in the next.
    for second in 0..60 {
        planner.put(Input::Tick {
            now_ms: 1_000_000 + second * 1000,
        });
        let text = planner.done(at, failed(ErrorKind::Transient));
        assert!(
            text.ends_with(&format!("RenewTable {at} (a as a)")),
            "after {second} s: {text}"
        );
    }
    planner.put(Input::Tick { now_ms: 1_300_000 });
    let text = planner.done(at, failed(ErrorKind::Transient));
    assert!(text.contains(&format!("HaltTable {a} at {at}")), "{text}");
    assert!(
        text.contains("restore job was cancelled") && text.contains("`ccr job resync job a`"),
        "{text}"
    );
    let next = source.write(&[b]);
    assert!(planner.read(next).contains("ReadLayout b"));
}

#[test]
fn a_stop_does_not_wait_for_a_table_that_is_being_brought() {
    let mut source = Source::new(1);
    let a = source.existing("a");
    let mut planner = Planner::fresh();
    let text = planner.read(overwrite(&mut source, a));
    assert!(text.contains("RenewTable"), "{text}");
    let text = planner.put(Input::StopRequested);
    assert!(text.starts_with("stopped"), "{text}");
}

#[test]
fn a_table_that_is_dropped_later_is_not_brought_first() {
    let mut source = Source::new(1);
    let a = source.existing("a");
    let write = source.write(&[a]);
    let (write_at, renewal) = (write.commit_seq, overwrite(&mut source, a));
    let (at, inside) = (renewal.commit_seq, source.write(&[a]));
    let (inside_at, drop) = (inside.commit_seq, source.drop_table(a));
    let drop_at = drop.commit_seq;
    let mut planner = Planner::fresh();
    for event in [write, renewal, inside, drop] {
        planner.read(event);
    }
    planner.layout(a, "a");
    planner.done(write_at, begun(5));
    planner.ingested(write_at);
    let text = planner.done(write_at, Outcome::Commit(CommitOutcome::Committed));
    assert!(text.ends_with(&format!("AwaitVisible {at} x1")), "{text}");
    let text = planner.done(at, Outcome::Visible);
    assert!(
        text.contains(&format!("RenewTable {at} (a as a)")),
        "{text}"
    );
    let text = planner.done(at, Outcome::DroppedAtSource { at: drop_at });
    assert!(
        text.contains(&format!("Skip {at} (the table is dropped later)"))
            && text.contains(&format!("Skip {inside_at} (the table is dropped later)"))
            && text.contains(&format!("RunDdl {drop_at}")),
        "{text}"
    );
}

#[test]
fn data_that_the_source_has_no_more_is_left_to_the_snapshot_behind_it() {
    let mut source = Source::new(1);
    let a = source.existing("a");
    let write = source.write(&[a]);
    let (seq, renewal) = (write.commit_seq, overwrite(&mut source, a));
    let at = renewal.commit_seq;
    let mut planner = Planner::fresh();
    planner.read(write);
    planner.layout(a, "a");
    planner.done(seq, begun(5));
    planner.read(renewal);
    let text = planner.done(
        seq,
        Outcome::IngestIncomplete {
            held: BTreeSet::new(),
            tablet_missing: false,
            restart: false,
            text: "tablet is not exist".to_owned(),
        },
    );
    assert!(text.contains(&format!("RollbackTxn {seq}")), "{text}");
    let text = planner.done(seq, Outcome::Rollback(RollbackOutcome::Aborted));
    assert!(text.contains(&format!("RenewTable {at}")), "{text}");
}

#[test]
fn the_others_go_on_for_as_long_as_it_takes() {
    let mut source = Source::new(1);
    let (a, b) = (source.existing("a"), source.existing("b"));
    let mut planner = Planner::fresh();
    let mut events = vec![overwrite(&mut source, a)];
    planner.read(events[0].clone());
    for n in 0..2_000 {
        assert!(
            planner.state.as_ref().unwrap().wants_more(),
            "stands after {n} events"
        );
        let event = source.write(&[b]);
        let seq = event.commit_seq;
        events.push(event.clone());
        let text = planner.read(event);
        if text.ends_with("ReadLayout b") {
            planner.layout(b, "b");
        }
        planner.done(seq, begun(10 + n));
        planner.ingested(seq);
        planner.done(seq, Outcome::Commit(CommitOutcome::Committed));
    }
    // After a crash they are known to be done, although the offset stands in front of the renewal.
    let checkpoint = planner.recorded.clone().unwrap();
    assert_eq!(checkpoint.seq, CommitSeq::BEFORE_FIRST);
    let floor = checkpoint.floors[&TableId(b)].at;
    assert!(floor.0 > source.seq().0 - 500, "{floor}");
    let mut planner = Planner::new(checkpoint, 10_000);
    let mut open = 0;
    for event in events {
        let seq = event.commit_seq;
        let text = planner.read(event);
        if seq > floor {
            open += 1;
        } else if !text.contains("RenewTable") {
            assert!(
                text.contains(&format!("Skip {seq} (applied before the restart)")),
                "{text}"
            );
        }
    }
    assert!(open > 0 && open < 500, "{open}");
}

#[test]
fn the_others_go_on_behind_a_transaction_that_fails_again_and_again() {
    let mut source = Source::new(1);
    let (a, b) = (source.existing("a"), source.existing("b"));
    let mut planner = Planner::fresh();
    let stuck = source.write(&[a]);
    let seq = stuck.commit_seq;
    planner.read(stuck);
    planner.layout(a, "a");
    planner.done(seq, begun(5));
    for _ in 0..3 {
        let failed = Outcome::IngestIncomplete {
            held: BTreeSet::new(),
            tablet_missing: false,
            restart: false,
            text: "connection refused".to_owned(),
        };
        planner.done(seq, failed);
    }
    for n in 0..1_200 {
        let wants_more = planner.state.as_ref().unwrap().wants_more();
        assert!(wants_more, "stands after {n} events");
        let event = source.write(&[b]);
        let seq = event.commit_seq;
        if planner.read(event).ends_with("ReadLayout b") {
            planner.layout(b, "b");
        }
        planner.done(seq, begun(10 + n));
        planner.ingested(seq);
        planner.done(seq, Outcome::Commit(CommitOutcome::Committed));
    }
}

#[test]
fn data_gone_for_a_reason_behind_a_full_window_is_looked_for_ahead() {
    let mut source = Source::new(1);
    let a = source.existing("a");
    let mut planner = Planner::fresh();
    let first = source.write(&[a]);
    let seq = first.commit_seq;
    planner.read(first);
    planner.layout(a, "a");
    planner.done(seq, begun(5));
    while planner.state.as_ref().unwrap().wants_more() {
        let event = source.write(&[a]);
        planner.read(event);
    }
    let gone = || Outcome::IngestIncomplete {
        held: BTreeSet::new(),
        tablet_missing: false,
        restart: false,
        text: "tablet is not exist".to_owned(),
    };
    let text = planner.done(seq, gone());
    assert!(!text.contains("LookAhead"), "once may be a hiccup: {text}");
    let text = planner.done(seq, gone());
    assert!(
        text.contains(&format!("LookAhead @{}", planner.offset)),
        "{text}"
    );
    let text = planner.done(seq, gone());
    assert!(!text.contains("LookAhead"), "one at a time: {text}");
    let removal = Removal::Table {
        table: TableId(a),
        at: CommitSeq(source.seq().0 + 1),
    };
    planner.put(Input::LookedAhead {
        found: Some(vec![removal]),
        failures: 0,
    });
    let text = planner.done(seq, gone());
    assert!(text.contains(&format!("RollbackTxn {seq}")), "{text}");
}

#[test]
fn data_that_went_after_its_table_left_the_job_is_not_waited_for() {
    let mut source = Source::new(1);
    let a = source.existing("a");
    let (write, rename) = (source.write(&[a]), source.rename(a, "z"));
    let overwrite = overwrite(&mut source, a);
    let seq = write.commit_seq;
    let filter = TableFilter {
        include: BTreeSet::from(["a".to_owned()]),
        ..TableFilter::default()
    };
    let start = Checkpoint::at(CommitSeq::BEFORE_FIRST);
    let mut planner = Planner::of(filter, Covered::default(), start, 100);
    planner.read(write);
    planner.read(rename);
    planner.read(overwrite);
    planner.layout(a, "a");
    planner.done(seq, begun(5));
    let gone = Outcome::IngestIncomplete {
        held: BTreeSet::new(),
        tablet_missing: false,
        restart: false,
        text: "tablet is not exist".to_owned(),
    };
    let text = planner.done(seq, gone);
    assert!(text.contains(&format!("RollbackTxn {seq}")), "{text}");
}

#[test]
fn names_change_by_their_events_also_when_the_snapshot_is_newer() {
    let mut source = Source::new(1);
    let (a, b) = (source.existing("a"), source.existing("b"));
    let renewal = overwrite(&mut source, a);
    let at = renewal.commit_seq;
    let exchange = source.replace(b, a);
    let exchange_at = exchange.commit_seq;
    let inside = source.write(&[a]);
    let inside_at = inside.commit_seq;
    let mut planner = Planner::fresh();
    planner.read(renewal);
    planner.read(exchange);
    planner.read(inside);
    let text = planner.done(at, Outcome::Renewed { upto: inside_at });
    assert!(
        text.contains(&format!("Skip {inside_at} (contained in the snapshot)")),
        "{text}"
    );
    assert!(
        text.contains(&format!("ReadEvidence {exchange_at}")),
        "the exchange begins on what was put into place: {text}"
    );
}

/// A table that comes by a snapshot under the name that another one still bears here.
#[test]
fn a_table_with_a_name_that_another_gives_away_waits_until_it_is_free() {
    let mut source = Source::new(1);
    let (a, b) = (source.existing("a"), source.existing("b"));
    let (write, rename) = (source.write(&[b]), source.rename(a, "z"));
    let (write_at, rename_at) = (write.commit_seq, rename.commit_seq);
    // With an inverted index.
    let create = Envelope {
        replay: Replay::Snapshot {
            reason: "an inverted index".to_owned(),
        },
        ..source.create("a")
    };
    let create_at = create.commit_seq;
    let mut planner = Planner::fresh();
    planner.read(write);
    planner.read(rename);
    let text = planner.read(create);
    let look = format!("ReadEvidence {create_at}");
    assert!(!text.contains(&look), "{text}");
    planner.layout(b, "b");
    planner.done(write_at, begun(5));
    planner.ingested(write_at);
    planner.done(write_at, Outcome::Commit(CommitOutcome::Committed));
    let text = planner.done(rename_at, Outcome::Visible);
    assert!(
        text.contains(&format!("RunDdl {rename_at}")) && !text.contains(&look),
        "{text}"
    );
    let text = planner.done(rename_at, Outcome::DdlInEffect { before: false });
    assert!(text.contains(&look), "{text}");
}
