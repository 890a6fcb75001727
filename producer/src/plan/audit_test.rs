use ccr_doris::RawBinlog;
use ccr_schemas::DbId;

use super::*;

const RULE: AuditRule = AuditRule {
    look_back: Duration::from_secs(5),
};

fn record(seq: i64, dated: i64) -> RawBinlog {
    RawBinlog {
        commit_seq: CommitSeq(seq),
        timestamp: TimestampMs(dated),
        binlog_type: 0,
        db_id: DbId(1),
        table_ids: vec![TableId(5)],
        data: String::new(),
    }
}

fn published(at: i64) -> Published {
    Published {
        at: TimestampMs(at),
        print: None,
    }
}

fn settled(seqs: &[i64]) -> Vec<Settled> {
    seqs.iter()
        .map(|seq| Settled {
            record: record(*seq, 1_000_000),
            seen_at: TimestampMs(0),
        })
        .collect()
}

fn page(seqs: &[i64]) -> BinlogPage {
    BinlogPage::Records(seqs.iter().map(|seq| record(*seq, 1_000_000)).collect())
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Given out 11, 13 and 17 at second 1.
fn audit() -> Audit {
    let mut audit = Audit::new(RULE, CommitSeq(10));
    audit.note(&settled(&[11, 13, 17]), TimestampMs(1_000_000), seconds(1));
    audit
}

#[test]
fn nothing_given_out_needs_no_look() {
    let mut audit = Audit::new(RULE, CommitSeq(10));
    assert_eq!(audit.begin(seconds(100)), None);
}

#[test]
fn a_record_between_published_ones_is_reported_once() {
    let mut audit = audit();
    audit.note(&settled(&[19]), TimestampMs(1_000_000), seconds(4));
    assert_eq!(audit.begin(seconds(5)), None, "not old enough");
    assert_eq!(audit.begin(seconds(6)), Some(CommitSeq(10)));
    let looked = audit.observe(CommitSeq(10), &page(&[11, 13, 17, 18, 19, 20]), 255);
    let late = Late {
        after: CommitSeq(17),
        seq: CommitSeq(18),
    };
    assert_eq!(looked.late, [late], "20 is above what was published");
    assert_eq!(looked.next, None);
    assert_eq!(audit.begin(seconds(7)), None, "the next look is due later");
    assert_eq!(audit.begin(seconds(11)), Some(CommitSeq(18)));
    let again = audit.observe(CommitSeq(18), &page(&[19, 20]), 255);
    assert_eq!(again.late, []);
}

#[test]
fn each_position_is_looked_at_until_it_is_old_enough() {
    let mut audit = audit();
    audit.note(&settled(&[19]), TimestampMs(1_000_000), seconds(4));
    audit.begin(seconds(6));
    audit.observe(CommitSeq(10), &page(&[11, 13, 17, 19]), 255);
    // Published at second 4, looked at when it was two seconds old: once more.
    assert_eq!(audit.begin(seconds(11)), Some(CommitSeq(17)));
    let looked = audit.observe(CommitSeq(17), &page(&[18, 19]), 255);
    assert_eq!(looked.late.len(), 1, "18 came after the first look");
    assert_eq!(audit.begin(seconds(60)), None, "nothing is left to look at");
}

#[test]
fn a_look_goes_on_page_by_page() {
    let mut audit = audit();
    audit.begin(seconds(6));
    let first = audit.observe(CommitSeq(10), &page(&[11, 13]), 2);
    assert_eq!(first.next, Some(CommitSeq(13)));
    let second = audit.observe(CommitSeq(13), &page(&[14, 17]), 2);
    assert_eq!(second.late.len(), 1);
    assert_eq!(second.next, None);
}

#[test]
fn a_stream_that_catches_up_is_not_read_twice() {
    let mut audit = Audit::new(RULE, CommitSeq(10));
    audit.note(&settled(&[11, 12]), TimestampMs(1_005_000), seconds(1));
    assert_eq!(audit.begin(seconds(20)), None);
    audit.note(&settled(&[13]), TimestampMs(1_004_999), seconds(21));
    assert_eq!(audit.begin(seconds(26)), Some(CommitSeq(12)));
}

#[test]
fn forgotten_history_ends_the_look() {
    let mut audit = audit();
    audit.begin(seconds(6));
    let forgotten = BinlogPage::TooOld {
        forgotten: CommitSeq(13),
    };
    assert_eq!(audit.observe(CommitSeq(10), &forgotten, 255).late, []);
    assert_eq!(audit.begin(seconds(20)), Some(CommitSeq(13)));
}

#[test]
fn switched_off_it_remembers_nothing() {
    let off = AuditRule {
        look_back: Duration::ZERO,
    };
    let mut audit = Audit::new(off, CommitSeq(10));
    audit.note(&settled(&[11, 12]), TimestampMs(0), seconds(1));
    assert_eq!(audit.begin(seconds(100)), None);
}

#[test]
fn memory_is_bounded() {
    let mut audit = Audit::new(RULE, CommitSeq(0));
    let many: Vec<i64> = (1..=i64::try_from(MAX_GIVEN).unwrap() + 10).collect();
    audit.note(&settled(&many), TimestampMs(0), seconds(1));
    assert_eq!(audit.begin(seconds(6)), Some(CommitSeq(10)));
}

/// A log that ends with 11, 13 (reported as late by a gap) and 17.
fn resumed() -> Audit {
    let recent = Recent {
        after: CommitSeq(10),
        published: BTreeMap::from([
            (CommitSeq(11), published(1_000_000)),
            (CommitSeq(13), published(0)),
            (CommitSeq(17), published(1_000_100)),
        ]),
    };
    Audit::resume(RULE, &recent, seconds(50))
}

#[test]
fn a_start_looks_at_once_and_once_more_at_what_the_log_ends_with() {
    let mut audit = resumed();
    assert_eq!(audit.begin(seconds(50)), Some(CommitSeq(10)));
    let looked = audit.observe(CommitSeq(10), &page(&[11, 13, 15, 17]), 255);
    let late = Late {
        after: CommitSeq(13),
        seq: CommitSeq(15),
    };
    assert_eq!(looked.late, [late], "13 was reported before");
    assert_eq!(audit.begin(seconds(56)), Some(CommitSeq(10)));
    let looked = audit.observe(CommitSeq(10), &page(&[11, 12, 13, 15, 17]), 255);
    assert_eq!(
        looked.late,
        [Late {
            after: CommitSeq(11),
            seq: CommitSeq(12),
        }]
    );
    assert_eq!(audit.begin(seconds(70)), None, "two looks are enough");
}

#[test]
fn a_start_leaves_alone_what_was_old_when_the_log_ended() {
    let recent = Recent {
        after: CommitSeq(10),
        published: BTreeMap::from([
            (CommitSeq(11), published(1_000_000)),
            (CommitSeq(17), published(1_005_000)),
        ]),
    };
    let mut audit = Audit::resume(RULE, &recent, seconds(50));
    assert_eq!(audit.begin(seconds(50)), Some(CommitSeq(11)));
}

/// Published records that the source does not have, or has another record for. A full page says nothing of what is above it.
#[test]
fn a_published_record_that_is_lost_is_named_by_its_position() {
    let other = |seq: i64| RawBinlog {
        data: "other".to_owned(),
        ..record(seq, 1_000_000)
    };
    let same = |seq: i64| record(seq, 1_000_000);
    let missing = |seq: i64| {
        let how = HowLost::Missing {
            table: Some(TableId(5)),
        };
        let seq = CommitSeq(seq);
        Some(Lost { seq, how })
    };
    let changed = |seq: i64| {
        let how = HowLost::Changed;
        let seq = CommitSeq(seq);
        Some(Lost { seq, how })
    };
    let cases = [
        (vec![same(11), same(13), same(17)], None),
        (vec![same(11), same(17)], missing(13)),
        (vec![same(11), same(12), same(14)], missing(13)),
        (vec![same(11), other(13), same(17)], changed(13)),
        (vec![other(11), same(17)], changed(11)),
        (vec![same(11)], missing(13)),
        (vec![same(20)], missing(11)),
        (vec![], missing(11)),
    ];
    for (shown, expected) in cases {
        let mut audit = audit();
        audit.begin(seconds(6));
        let seqs: Vec<_> = shown.iter().map(|r| r.commit_seq.0).collect();
        let page = match shown.is_empty() {
            true => BinlogPage::CaughtUp,
            false => BinlogPage::Records(shown),
        };
        let looked = audit.observe(CommitSeq(10), &page, 255);
        assert_eq!(looked.lost, expected, "{seqs:?}");
        assert!(looked.late.is_empty() || expected.is_none(), "{seqs:?}");
    }
    let mut audit = audit();
    audit.begin(seconds(6));
    let full = audit.observe(CommitSeq(10), &BinlogPage::Records(vec![same(11)]), 1);
    assert_eq!((full.lost, full.next), (None, Some(CommitSeq(11))));
    let mut audit = self::audit();
    audit.begin(seconds(6));
    let away = audit.observe(CommitSeq(10), &BinlogPage::NoStream, 255);
    assert_eq!(away.lost, None, "without a stream nothing is said");
}
