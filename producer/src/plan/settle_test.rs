use ccr_schemas::DbId;
use proptest::prelude::*;

use super::*;

const RULE: SettleRule = SettleRule {
    settle: Duration::from_millis(100),
    catch_up_margin: Duration::from_millis(500),
};

fn record(seq: i64, at: i64) -> RawBinlog {
    RawBinlog {
        commit_seq: CommitSeq(seq),
        timestamp: TimestampMs(at),
        binlog_type: 0,
        db_id: DbId(1),
        table_ids: Vec::new(),
        data: String::new(),
    }
}

fn at(ms: u64) -> Moment {
    Moment {
        monotonic: Duration::from_millis(ms),
        wall: TimestampMs(i64::try_from(ms).unwrap()),
    }
}

fn seqs(settled: &[Settled]) -> Vec<i64> {
    settled.iter().map(|s| s.record.commit_seq.0).collect()
}

#[test]
fn nothing_is_released_on_first_sight() {
    let mut settle = Settle::new(RULE, CommitSeq(-1));
    let pass = settle.begin(Duration::from_millis(0));
    assert!(
        settle
            .observe(&pass, at(1), settle.released(), vec![record(5, 0)])
            .is_empty()
    );
    let pass = settle.begin(Duration::from_millis(100));
    assert!(
        settle
            .observe(&pass, at(101), CommitSeq(-1), vec![record(5, 0)])
            .is_empty(),
        "seen for 99 ms when the pass began"
    );
    let pass = settle.begin(Duration::from_millis(101));
    assert_eq!(
        seqs(&settle.observe(&pass, at(102), settle.released(), vec![record(5, 0)])),
        [5]
    );
    assert_eq!(settle.released(), CommitSeq(5));
}

#[test]
fn a_late_smaller_record_goes_first() {
    let mut settle = Settle::new(RULE, CommitSeq(-1));
    let pass = settle.begin(Duration::ZERO);
    assert!(
        settle
            .observe(&pass, at(0), settle.released(), vec![record(9, 0)])
            .is_empty()
    );
    let pass = settle.begin(Duration::from_millis(100));
    let page = vec![record(8, 0), record(9, 0)];
    assert!(
        settle
            .observe(&pass, at(100), settle.released(), page.clone())
            .is_empty(),
        "8 was seen just now, 9 waits behind it"
    );
    let pass = settle.begin(Duration::from_millis(200));
    assert_eq!(
        seqs(&settle.observe(&pass, at(201), settle.released(), page)),
        [8, 9]
    );
}

#[test]
fn records_dated_long_ago_are_released_at_once() {
    let mut settle = Settle::new(RULE, CommitSeq(-1));
    settle.know(TimestampMs(10_000));
    let pass = settle.begin(Duration::ZERO);
    let page = vec![record(1, 9_000), record(2, 9_500), record(3, 9_501)];
    assert_eq!(
        seqs(&settle.observe(&pass, at(0), settle.released(), page)),
        [1, 2]
    );
    assert_eq!(settle.waiting(), 1);
}

#[test]
fn the_newest_date_of_the_same_pass_does_not_count() {
    let mut settle = Settle::new(RULE, CommitSeq(-1));
    let pass = settle.begin(Duration::ZERO);
    let page = vec![record(1, 0), record(2, 9_000)];
    assert!(
        settle
            .observe(&pass, at(0), settle.released(), page)
            .is_empty()
    );
}

#[test]
fn nothing_above_the_edge_of_a_page_is_released() {
    let mut settle = Settle::new(RULE, CommitSeq(-1));
    let pass = settle.begin(Duration::ZERO);
    settle.observe(
        &pass,
        at(0),
        settle.released(),
        vec![record(1, 0), record(2, 0)],
    );
    let pass = settle.begin(Duration::from_millis(500));
    assert_eq!(
        seqs(&settle.observe(&pass, at(500), settle.released(), vec![record(1, 0)])),
        [1]
    );
}

#[test]
fn a_gap_drops_what_it_covers() {
    let mut settle = Settle::new(RULE, CommitSeq(3));
    let pass = settle.begin(Duration::ZERO);
    settle.observe(
        &pass,
        at(0),
        settle.released(),
        vec![record(4, 0), record(9, 0)],
    );
    settle.skip_to(CommitSeq(7));
    assert_eq!(settle.released(), CommitSeq(7));
    assert_eq!(settle.waiting(), 1);
}

/// A source whose records become visible out of order, never later than the settle time after any larger one.
#[derive(Debug, Clone)]
struct Source {
    /// (date, becomes visible), by position.
    records: Vec<(u64, u64)>,
}

impl Source {
    fn page(&self, after: i64, most: usize, now: u64) -> Vec<RawBinlog> {
        self.records
            .iter()
            .enumerate()
            .filter(|(seq, (_, visible))| *seq as i64 > after && *visible <= now)
            .take(most)
            .map(|(seq, (date, _))| record(seq as i64, *date as i64))
            .collect()
    }

    fn newest_date(&self, now: u64) -> i64 {
        self.records
            .iter()
            .filter(|(_, visible)| *visible <= now)
            .map(|(date, _)| *date as i64)
            .max()
            .unwrap_or(0)
    }
}

fn sources() -> impl Strategy<Value = Source> {
    // Steps between dates, and delays from date to visibility of up to 300 ms.
    proptest::collection::vec((0u64..60, 0u64..300), 1..120).prop_map(|steps| {
        let mut date = 0;
        let mut records: Vec<(u64, u64)> = steps
            .into_iter()
            .map(|(step, delay)| {
                date += step;
                (date, date + delay)
            })
            .collect();
        // What the rule relies on: no record shows up later than the settle time after a larger one did.
        let mut earliest_above = u64::MAX;
        for (_, visible) in records.iter_mut().rev() {
            *visible = (*visible).min(earliest_above.saturating_add(100));
            earliest_above = earliest_above.min(*visible);
        }
        Source { records }
    })
}

/// What waits is not published yet, so the source may still say otherwise.
#[test]
fn the_last_page_is_the_truth_about_what_waits() {
    let mut settle = Settle::new(RULE, CommitSeq(3));
    let pass = settle.begin(Duration::ZERO);
    let seen = vec![record(4, 0), record(5, 0), record(9, 0)];
    settle.observe(&pass, at(0), CommitSeq(3), seen);
    let pass = settle.begin(Duration::from_millis(200));
    let other = RawBinlog {
        data: "other".to_owned(),
        ..record(5, 0)
    };
    let page = vec![other.clone()];
    let out = settle.observe(&pass, at(200), CommitSeq(3), page.clone());
    assert_eq!(seqs(&out), [0_i64; 0], "4 is gone, 5 was seen just now");
    assert_eq!(settle.waiting(), 2, "nothing was said of 9");
    settle.retract(CommitSeq(5));
    assert_eq!(settle.waiting(), 1);
    let pass = settle.begin(Duration::from_millis(300));
    let out = settle.observe(&pass, at(300), CommitSeq(3), page);
    assert_eq!(out[0].record, other);
}

proptest! {
    #[test]
    fn any_interleaving_within_the_settle_time_comes_out_in_order_and_complete(
        source in sources(),
        pages in proptest::collection::vec((1u64..90, 0u64..30, any::<bool>()), 40),
        most in 1usize..40,
    ) {
        let mut settle = Settle::new(RULE, CommitSeq(-1));
        let mut out = Vec::new();
        let mut now = 0;
        for (pause, answer, ask_newest) in pages.into_iter().cycle().take(4000) {
            if ask_newest {
                settle.know(TimestampMs(source.newest_date(now)));
            }
            now += pause;
            let pass = settle.begin(Duration::from_millis(now));
            let mut after = settle.released().0;
            for _ in 0..4 {
                let page = source.page(after, most, now);
                let Some(last) = page.last() else { break };
                let asked = CommitSeq(after);
                after = last.commit_seq.0;
                let full = page.len() == most;
                now += answer;
                out.extend(seqs(&settle.observe(&pass, at(now), asked, page)));
                if !full {
                    break;
                }
            }
            if out.len() == source.records.len() {
                break;
            }
        }
        let expected: Vec<i64> = (0..source.records.len() as i64).collect();
        prop_assert_eq!(out, expected);
    }
}
