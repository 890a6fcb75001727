use super::*;

fn record(seq: i64, at: i64) -> Binlog {
    Binlog {
        commit_seq: seq,
        timestamp: at,
        kind: 0,
        db_id: 1,
        table_ids: vec![10],
        data: Some("{}".to_owned()),
        belong: None,
        table_ref: 0,
        remove_enable_cache: false,
    }
}

fn filled() -> Streams {
    let mut streams = Streams::default();
    let scope = Scope {
        db_enabled: true,
        enabled_tables: Vec::new(),
    };
    for (seq, at) in [(5, 1_000), (9, 2_000), (14, 3_000)] {
        assert!(streams.add(record(seq, at), &scope, at, at));
    }
    streams
}

fn seqs(reply: BinlogReply) -> Vec<i64> {
    match reply {
        BinlogReply::Records(records) => records.iter().map(|r| r.commit_seq).collect(),
        other => panic!("no records: {other:?}"),
    }
}

const NO_LIMIT: GcLimits = GcLimits {
    ttl_seconds: i64::MAX / 2000,
    max_bytes: i64::MAX,
    max_history_nums: i64::MAX,
};

#[test]
fn reading_follows_the_decision_table() {
    let streams = filled();
    let stream = streams.db(1).unwrap();
    assert_eq!(seqs(stream.read(-1, 0, 9_000)), [5]);
    assert_eq!(seqs(stream.read(-1, 999, 9_000)), [5, 9, 14]);
    assert_eq!(seqs(stream.read(5, 2, 9_000)), [9, 14]);
    assert_eq!(stream.read(14, 9, 9_000), BinlogReply::TooNew);
    assert_eq!(stream.read(999, 9, 9_000), BinlogReply::TooNew);
    let BinlogReply::TooOld(dummy) = stream.read(-2, 1, 9_000) else {
        panic!("not too old")
    };
    assert_eq!(
        (dummy.commit_seq, dummy.kind, dummy.belong),
        (-1, 7, Some(-1))
    );
    assert_eq!(streams.table(10).unwrap().read(-2, 1, 0), {
        BinlogReply::TooOld(Arc::new(super::dummy(1, 10, -1, 1_000)))
    });
}

#[test]
fn lag_counts_the_dummy_only_when_too_old() {
    let streams = filled();
    let stream = streams.db(1).unwrap();
    let lag = stream.lag(5, 9_000);
    assert_eq!(
        (lag.lag, lag.next_commit_seq, lag.last_commit_seq),
        (2, 9, 14)
    );
    let old = stream.lag(-2, 9_000);
    assert_eq!((old.lag, old.next_commit_seq), (4, -1));
    let caught_up = stream.lag(14, 9_000);
    assert_eq!(
        (
            caught_up.lag,
            caught_up.next_commit_seq,
            caught_up.next_timestamp
        ),
        (0, 0, 0)
    );
}

#[test]
fn a_late_record_is_overtaken() {
    let mut streams = Streams::default();
    let scope = Scope {
        db_enabled: true,
        enabled_tables: Vec::new(),
    };
    streams.add(record(5, 1_000), &scope, 1_000, 1_500);
    streams.add(record(6, 1_000), &scope, 1_000, 1_000);
    assert_eq!(seqs(streams.db(1).unwrap().read(-1, 9, 1_100)), [6]);
    assert_eq!(seqs(streams.db(1).unwrap().read(-1, 9, 1_500)), [5, 6]);
}

#[test]
fn same_seq_twice_is_lost_and_table_ddl_stays_in_the_db_stream() {
    let mut streams = filled();
    let scope = Scope {
        db_enabled: true,
        enabled_tables: Vec::new(),
    };
    streams.add(
        Binlog {
            kind: 23,
            ..record(14, 4_000)
        },
        &scope,
        4_000,
        0,
    );
    streams.add(
        Binlog {
            kind: 4,
            ..record(15, 4_000)
        },
        &scope,
        4_000,
        0,
    );
    assert_eq!(seqs(streams.db(1).unwrap().read(9, 9, 9_000)), [14, 15]);
    assert_eq!(seqs(streams.table(10).unwrap().read(9, 9, 9_000)), [14]);
    let off = Scope {
        db_enabled: false,
        enabled_tables: Vec::new(),
    };
    assert!(!streams.add(record(20, 1), &off, 1, 1));
}

#[test]
fn gc_by_ttl_count_and_bytes_moves_the_dummy() {
    let limits = GcLimits {
        ttl_seconds: 1,
        ..NO_LIMIT
    };
    let mut streams = filled();
    streams.note_dropped(1, 5, &[70], &[71], &[]);
    streams.note_dropped(1, 14, &[80], &[], &[]);
    streams.collect(1, Some(limits), &BTreeMap::new(), 3_000);
    let stream = streams.db(1).unwrap();
    let BinlogReply::TooOld(dummy) = stream.read(5, 1, 9_000) else {
        panic!("not too old")
    };
    assert_eq!((dummy.commit_seq, dummy.timestamp), (9, 2_000));
    assert_eq!(seqs(stream.read(9, 1, 9_000)), [14]);
    assert_eq!(streams.dropped(1).partitions, [(80, 14)]);
    assert!(streams.dropped(1).tables.is_empty());
    streams.collect(1, Some(limits), &BTreeMap::new(), 4_500);
    assert_eq!(
        streams.dropped(1).partitions,
        [(80, 14)],
        "what the last expired record dropped is still told"
    );

    let mut by_count = filled();
    by_count.collect(
        1,
        Some(GcLimits {
            max_history_nums: 2,
            ..NO_LIMIT
        }),
        &BTreeMap::new(),
        3_000,
    );
    assert_eq!(seqs(by_count.db(1).unwrap().read(9, 9, 9_000)), [14]);

    let mut by_bytes = filled();
    by_bytes.collect(
        1,
        Some(GcLimits {
            max_bytes: 100,
            ..NO_LIMIT
        }),
        &BTreeMap::new(),
        3_000,
    );
    assert_eq!(seqs(by_bytes.db(1).unwrap().read(9, 9, 9_000)), [14]);
}

#[test]
fn locks_speed_gc_up_and_protect_nothing() {
    let mut streams = filled();
    assert_eq!(
        streams.stream_mut(1, None).unwrap().lock("a", Some(14)),
        Locked::At(14)
    );
    assert_eq!(
        streams.stream_mut(1, None).unwrap().lock("a", Some(5)),
        Locked::At(14)
    );
    assert_eq!(
        streams.stream_mut(1, None).unwrap().lock("a", Some(15)),
        Locked::TooNew
    );
    assert_eq!(
        streams.stream_mut(1, Some(10)).unwrap().lock("b", Some(9)),
        Locked::At(9)
    );
    streams.collect(1, Some(NO_LIMIT), &BTreeMap::new(), 3_000);
    assert_eq!(seqs(streams.db(1).unwrap().read(5, 9, 9_000)), [9, 14]);
    assert!(matches!(
        streams.db(1).unwrap().read(4, 9, 9_000),
        BinlogReply::TooOld(_)
    ));
    // ttl deletes what is locked
    streams.collect(
        1,
        Some(GcLimits {
            ttl_seconds: 0,
            ..NO_LIMIT
        }),
        &BTreeMap::new(),
        9_000,
    );
    assert_eq!(
        streams.db(1).unwrap().read(14, 9, 9_000),
        BinlogReply::TooNew
    );
    assert!(streams.stream_mut(1, None).unwrap().locks.is_empty());
}

#[test]
fn a_table_switched_off_is_purged() {
    let mut streams = filled();
    streams.collect(1, None, &BTreeMap::from([(10, None)]), 3_000);
    assert_eq!(
        streams.table(10).unwrap().read(14, 9, 9_000),
        BinlogReply::TooNew
    );
    assert!(matches!(
        streams.db(1).unwrap().read(9, 9, 9_000),
        BinlogReply::TooOld(_)
    ));
}

#[test]
fn the_stream_of_a_dropped_table_stays_when_tables_have_their_own_switches() {
    let mut streams = filled();
    let collected = streams.collect(1, None, &BTreeMap::new(), i64::MAX / 4);
    assert!(collected.by_table.is_empty());
    assert_eq!(
        seqs(streams.table(10).unwrap().read(-1, 9, 9_000)),
        [5, 9, 14]
    );
}

#[test]
fn the_db_stream_keeps_what_a_table_still_holds() {
    let mut streams = Streams::default();
    let scope = |tables: &[i64]| Scope {
        db_enabled: false,
        enabled_tables: tables.to_vec(),
    };
    for (seq, table) in [(5, 10), (6, 20), (7, 10)] {
        let record = Binlog {
            table_ids: vec![table],
            ..record(seq, 1_000)
        };
        streams.add(record, &scope(&[table]), 1_000, 0);
    }
    let limits = GcLimits {
        ttl_seconds: 1,
        ..NO_LIMIT
    };
    let tables = BTreeMap::from([(10, Some(limits)), (20, Some(NO_LIMIT))]);
    streams.collect(1, None, &tables, 9_000);
    let db = streams.db(1).unwrap();
    assert_eq!(seqs(db.read(5, 9, 9_000)), [6], "5 and 7 are gone");
    assert!(matches!(db.read(4, 9, 9_000), BinlogReply::TooOld(_)));
    assert_eq!(db.lag(5, 9_000).first_commit_seq, 5);
}

#[test]
fn an_image_reload_puts_table_ddl_into_table_streams_and_leaves_unknown_types_out() {
    let on = || Scope {
        db_enabled: true,
        enabled_tables: Vec::new(),
    };
    let mut streams = filled();
    for (seq, kind) in [(15, 4), (16, 27), (17, 99)] {
        let record = Binlog {
            kind,
            ..record(seq, 4_000)
        };
        streams.add(record, &on(), 4_000, 0);
    }
    streams.note_dropped(1, 15, &[], &[10], &[]);
    streams.note_dropped(1, 3, &[77], &[], &[]);
    streams.stream_mut(1, None).unwrap().lock("a", Some(9));
    for _ in 0..2 {
        streams.reload_image(&BTreeMap::from([(1, on())]), 5_000);
        assert_eq!(seqs(streams.table(10).unwrap().read(9, 9, 9_000)), [14, 15]);
        assert_eq!(seqs(streams.db(1).unwrap().read(9, 9, 9_000)), [14, 15]);
    }
    assert!(streams.stream_mut(1, None).unwrap().locks.is_empty());
    assert_eq!(streams.dropped(1).tables, [(10, 15)]);
    assert!(
        streams.dropped(1).partitions.is_empty(),
        "its record is gone"
    );
    let off = Scope {
        db_enabled: false,
        enabled_tables: Vec::new(),
    };
    streams.reload_image(&BTreeMap::from([(1, off)]), 5_000);
    assert!(streams.table(10).is_none(), "its switch is off");
    streams.reload_image(&BTreeMap::new(), 5_000);
    assert!(streams.db(1).is_none(), "its database is gone");
}
