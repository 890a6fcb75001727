use std::time::Duration;

use ccr_doris::RawBinlog;
use ccr_schemas::{DbId, TimestampMs};

use super::*;

const RULES: Rules = Rules {
    settle: SettleRule {
        settle: Duration::from_millis(100),
        catch_up_margin: Duration::from_millis(500),
    },
    audit: AuditRule {
        look_back: Duration::from_millis(1000),
    },
    batch: 3,
    window: 4,
};

fn lag(last: i64) -> BinlogLag {
    BinlogLag {
        lag: 0,
        first: Some(CommitSeq(-1)),
        last: Some(CommitSeq(last)),
        next: None,
        first_at: None,
        last_at: Some(TimestampMs(0)),
        next_at: None,
    }
}

fn located(log: Option<(i64, i64)>, stream: Option<BinlogLag>) -> Input {
    Input::Located(Located {
        log: log.map(|(position, db)| LogEnd {
            position: CommitSeq(position),
            db_id: DbId(db),
            recent: Recent::none(CommitSeq(position)),
        }),
        db_id: DbId(1),
        stream,
        now: Duration::ZERO,
    })
}

fn at(ms: u64) -> Moment {
    Moment {
        monotonic: Duration::from_millis(ms),
        wall: TimestampMs(0),
    }
}

fn records(seqs: &[i64]) -> BinlogPage {
    BinlogPage::Records(
        seqs.iter()
            .map(|seq| RawBinlog {
                commit_seq: CommitSeq(*seq),
                timestamp: TimestampMs(0),
                binlog_type: 0,
                db_id: DbId(1),
                table_ids: Vec::new(),
                data: String::new(),
            })
            .collect(),
    )
}

fn shown(actions: &[Action]) -> String {
    actions
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

fn following(position: i64) -> State {
    step(
        &RULES,
        State::Locating,
        located(Some((position, 1)), Some(lag(1000))),
    )
    .state
}

/// Feeds inputs and shows all actions.
fn run(mut state: State, inputs: Vec<Input>) -> (State, Vec<String>) {
    let mut out = Vec::new();
    for input in inputs {
        let step = step(&RULES, state, input);
        state = step.state;
        out.push(shown(&step.actions));
    }
    (state, out)
}

fn page(seqs: &[i64], ms: u64) -> Input {
    Input::PageRead {
        page: records(seqs),
        at: at(ms),
    }
}

#[test]
fn a_start_is_decided_by_both_ends() {
    let cases = [
        // log ends at, of database; source's stream -> what happens
        (None, None, "PublishOrigin -1; Wait"),
        (None, Some(lag(70)), "PublishOrigin 70; Wait"),
        (Some((70, 1)), Some(lag(70)), "Wait"),
        (Some((-1, 1)), None, "Wait"),
    ];
    for (log, stream, expected) in cases {
        let step = step(&RULES, State::Locating, located(log, stream));
        assert_eq!(shown(&step.actions), expected, "{log:?} {stream:?}");
        assert!(matches!(step.state, State::Following(_)));
    }
}

#[test]
fn a_start_never_guesses() {
    let cases = [
        (Some((71, 1)), Some(lag(70)), "position ahead of source"),
        (Some((71, 1)), None, "no binlog at all"),
        (Some((70, 2)), Some(lag(70)), "dropped and created again"),
    ];
    for (log, stream, expected) in cases {
        let step = step(&RULES, State::Locating, located(log, stream));
        assert!(
            shown(&step.actions).contains(expected),
            "{} lacks {expected}",
            shown(&step.actions)
        );
        assert!(matches!(step.state, State::Halted(_)));
    }
}

#[test]
fn records_are_published_after_a_second_look() {
    let (_, out) = run(
        following(10),
        vec![
            Input::Due(at(0)),
            page(&[12], 0),
            Input::Due(at(50)),
            page(&[11, 12], 50),
            Input::Due(at(150)),
            page(&[11, 12], 151),
            Input::Due(at(160)),
            Input::PageRead {
                page: BinlogPage::CaughtUp,
                at: at(160),
            },
        ],
    );
    assert_eq!(
        out,
        [
            "Read after 10 x3",
            "Wait",
            "Read after 10 x3",
            "Wait",
            "Read after 10 x3",
            "Publish 11 12; Wait",
            "Read after 12 x3",
            "Wait"
        ]
    );
}

#[test]
fn a_full_page_is_read_on_until_the_window_is_full() {
    let (_, out) = run(
        following(10),
        vec![
            Input::Due(at(0)),
            page(&[11, 12, 13], 0),
            page(&[14, 15, 16], 0),
            Input::Due(at(100)),
            page(&[11, 12, 13], 100),
        ],
    );
    assert_eq!(
        out,
        [
            "Read after 10 x3",
            "Read after 13 x3",
            "Wait",
            "Read after 10 x3",
            "Publish 11 12 13; Read after 13 x3",
        ]
    );
}

#[test]
fn lost_history_becomes_a_gap_and_the_chain_goes_on_behind_it() {
    let (_, out) = run(
        following(10),
        vec![
            Input::Due(at(0)),
            Input::PageRead {
                page: BinlogPage::TooOld {
                    forgotten: CommitSeq(40),
                },
                at: at(1),
            },
            page(&[41], 2),
        ],
    );
    assert_eq!(
        out,
        [
            "Read after 10 x3",
            "PublishGap 10..40; Read after 40 x3",
            "Wait"
        ]
    );
}

#[test]
fn a_record_that_comes_after_its_successors_were_published_is_told() {
    let look = |seqs: &[i64]| Input::LookedBack {
        after: CommitSeq(10),
        page: records(seqs),
    };
    let (_, out) = run(
        following(10),
        vec![
            Input::Due(at(0)),
            page(&[12], 0),
            Input::Due(at(150)),
            page(&[12], 150),
            Input::Due(at(1200)),
            look(&[11, 12]),
        ],
    );
    assert_eq!(
        out[3..],
        [
            "Publish 12; Wait",
            "LookBack after 10 x3; Read after 12 x3",
            "PublishLate 10..11",
        ]
    );
}

#[test]
fn records_of_another_database_halt_the_stream() {
    let mut foreign = RawBinlog {
        commit_seq: CommitSeq(11),
        timestamp: TimestampMs(0),
        binlog_type: 0,
        db_id: DbId(9),
        table_ids: Vec::new(),
        data: String::new(),
    };
    foreign.db_id = DbId(9);
    let (state, out) = run(
        following(10),
        vec![
            Input::Due(at(0)),
            Input::PageRead {
                page: BinlogPage::Records(vec![foreign]),
                at: at(0),
            },
        ],
    );
    assert!(out[1].contains("has id 9"), "{}", out[1]);
    assert!(matches!(state, State::Halted(_)));
}

#[test]
fn a_source_that_falls_behind_the_log_halts_the_stream() {
    let (state, out) = run(following(10), vec![Input::SourceEnd(Some(lag(9)))]);
    assert!(out[0].contains("position ahead of source"));
    assert!(matches!(state, State::Halted(_)));
    let (state, _) = run(following(10), vec![Input::SourceEnd(None)]);
    assert!(matches!(state, State::Halted(_)));
}
