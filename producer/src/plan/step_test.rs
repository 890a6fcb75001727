use std::time::Duration;

use ccr_doris::{BinlogPage, RawBinlog};
use ccr_schemas::{DbId, TableId, TimestampMs};

use super::*;

const RULES: Rules = Rules {
    settle: SettleRule {
        settle: Duration::from_millis(100),
        catch_up_margin: Duration::from_millis(500),
    },
    audit: AuditRule {
        look_back: Duration::from_millis(1000),
    },
    pace: PaceRule {
        busy: Duration::from_millis(20),
        idle: Duration::from_secs(1),
        idle_after: Duration::from_secs(60),
    },
    batch: 3,
    window: 4,
    confirm: Duration::from_secs(30),
    end_interval: Duration::from_secs(1),
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

fn end(position: i64, db: i64) -> LogEnd {
    LogEnd {
        timeline: Timeline(5),
        position: CommitSeq(position),
        db_id: DbId(db),
        print: Some(Fingerprint::of(&record(position, ""))),
        recent: Recent::none(CommitSeq(position)),
    }
}

fn located(log: Option<(i64, i64)>, stream: Option<BinlogLag>) -> Located {
    Located {
        log: log.map(|(position, db)| end(position, db)),
        db_id: DbId(1),
        stream,
        at: at(0),
        doubt: None,
    }
}

fn at(ms: u64) -> Moment {
    Moment {
        monotonic: Duration::from_millis(ms),
        wall: TimestampMs(1_000_000),
    }
}

fn record(seq: i64, data: &str) -> RawBinlog {
    RawBinlog {
        commit_seq: CommitSeq(seq),
        timestamp: TimestampMs(0),
        binlog_type: 0,
        db_id: DbId(1),
        table_ids: vec![TableId(77)],
        data: data.to_owned(),
    }
}

fn records(seqs: &[i64]) -> BinlogPage {
    BinlogPage::Records(seqs.iter().map(|seq| record(*seq, "")).collect())
}

fn shown(actions: &[Action]) -> String {
    actions
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

fn begun(located: Located) -> Step {
    step(&RULES, State::Locating, Input::Located(located))
}

/// A stream whose log ends at a position, from a source that answers with several records at a time.
fn following(position: i64) -> State {
    let mut following = begun(located(Some((position, 1)), Some(lag(1000)))).state;
    if let State::Following(following) = &mut following {
        following.assume_full_pages();
    }
    following
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

fn answer(page: BinlogPage, ms: u64) -> Input {
    Input::PageRead { page, at: at(ms) }
}

fn page(seqs: &[i64], ms: u64) -> Input {
    answer(records(seqs), ms)
}

fn look(after: i64, page: BinlogPage, ms: u64) -> Input {
    Input::LookedBack {
        after: CommitSeq(after),
        page,
        at: at(ms),
    }
}

fn ends_at(end: Option<BinlogLag>, ms: u64) -> Input {
    Input::SourceEnd { end, at: at(ms) }
}

#[test]
fn a_start_is_decided_by_both_ends() {
    let cases = [
        // log ends at, of database; source's stream -> what happens
        (None, None, "PublishOrigin -1; Wait 20ms"),
        (None, Some(lag(70)), "PublishOrigin 70; Wait 20ms"),
        (Some((70, 1)), Some(lag(70)), "Wait 20ms"),
        (Some((-1, 1)), None, "Wait 20ms"),
        // Whether the stream comes back, and what it has then, is seen by reading.
        (Some((71, 1)), None, "Wait 20ms"),
        (Some((71, 1)), Some(lag(70)), "CheckRetention 71"),
    ];
    for (log, stream, expected) in cases {
        let step = begun(located(log, stream));
        assert_eq!(shown(&step.actions), expected, "{log:?} {stream:?}");
        assert!(matches!(step.state, State::Following(_)));
    }
}

#[test]
fn a_start_never_guesses() {
    let step = begun(located(Some((70, 2)), Some(lag(70))));
    let text = shown(&step.actions);
    assert!(text.contains("database of that name has id 1"), "{text}");
    assert!(matches!(step.state, State::Halted(_)));
}

#[test]
fn records_are_published_after_a_second_look() {
    let (_, out) = run(
        following(10),
        vec![
            Input::Due(at(0)),
            page(&[10, 12], 0),
            Input::Due(at(50)),
            page(&[10, 11, 12], 50),
            page(&[12], 50),
            Input::Due(at(150)),
            page(&[10, 11, 12], 151),
            page(&[12], 151),
            Input::Due(at(160)),
            page(&[12], 160),
        ],
    );
    assert_eq!(
        out,
        [
            "Read after 9 x3",
            "Wait 20ms",
            "Read after 9 x3",
            "Read after 11 x3",
            "Wait 20ms",
            "Read after 9 x3",
            "Publish 11 12; Read after 11 x3",
            "Wait 20ms",
            "Read after 11 x3",
            "Wait 20ms",
        ]
    );
}

#[test]
fn a_full_page_is_read_on_until_the_window_is_full() {
    let (_, out) = run(
        following(10),
        vec![
            Input::Due(at(0)),
            page(&[10, 11, 12], 0),
            page(&[12, 13, 14], 0),
            Input::Due(at(100)),
            page(&[10, 11, 12], 100),
            page(&[12, 13, 14], 100),
        ],
    );
    assert_eq!(
        out,
        [
            "Read after 9 x3",
            "Read after 11 x3",
            "Wait 20ms",
            "Read after 9 x3",
            "Publish 11 12; Read after 11 x3",
            "Publish 13 14; Read after 13 x3",
        ]
    );
}

/// Releases up to 2024 answer with one record whatever is asked for: a page of one says nothing of the next.
#[test]
fn a_source_that_answers_with_one_record_at_a_time_is_followed() {
    let one_at_a_time = begun(located(Some((10, 1)), Some(lag(1000)))).state;
    let (_, out) = run(
        one_at_a_time,
        vec![
            Input::Due(at(0)),
            page(&[10], 0),
            page(&[11], 0),
            page(&[12], 0),
            answer(BinlogPage::CaughtUp, 0),
            Input::Due(at(100)),
            page(&[10], 100),
            page(&[11], 100),
            page(&[12], 100),
        ],
    );
    assert_eq!(
        out,
        [
            "Read after 9 x3",
            "Read after 10 x3",
            "Read after 11 x3",
            "Read after 12 x3",
            "Wait 20ms",
            "Read after 9 x3",
            "Read after 10 x3",
            "Publish 11; Read after 11 x3",
            "Publish 12; Read after 12 x3",
        ]
    );
}

#[test]
fn lost_history_becomes_a_gap_and_the_chain_goes_on_behind_it() {
    let forgotten = BinlogPage::TooOld {
        forgotten: CommitSeq(40),
    };
    let (_, out) = run(
        following(10),
        vec![
            Input::Due(at(0)),
            answer(forgotten, 1),
            page(&[41, 42], 2),
            Input::Due(at(150)),
        ],
    );
    assert_eq!(
        out,
        [
            "Read after 9 x3",
            "PublishGap 10..40; Read after 40 x3",
            "Wait 20ms",
            "Read after 40 x3",
        ]
    );
}

#[test]
fn a_last_record_that_retention_removed_is_no_loss() {
    let forgotten = BinlogPage::TooOld {
        forgotten: CommitSeq(10),
    };
    let (_, out) = run(
        following(10),
        vec![
            Input::Due(at(0)),
            answer(forgotten, 1),
            answer(BinlogPage::CaughtUp, 2),
            Input::Due(at(100)),
        ],
    );
    assert_eq!(
        out,
        [
            "Read after 9 x3",
            "Read after 10 x3",
            "Wait 20ms",
            "Read after 10 x3"
        ]
    );
}

#[test]
fn a_record_that_comes_after_its_successors_were_published_is_reported() {
    let (_, out) = run(
        following(10),
        vec![
            Input::Due(at(0)),
            page(&[10, 12], 0),
            Input::Due(at(150)),
            page(&[10, 12], 150),
            Input::Due(at(1200)),
            look(10, records(&[11, 12]), 1200),
        ],
    );
    assert_eq!(
        out[3..],
        [
            "Publish 12; Wait 20ms",
            "LookBack after 10 x3; Read after 11 x3",
            "PublishLate 10..11",
        ]
    );
}

#[test]
fn records_of_another_database_halt_the_stream() {
    let mut foreign = record(11, "");
    foreign.db_id = DbId(9);
    let (state, out) = run(
        following(10),
        vec![
            Input::Due(at(0)),
            answer(BinlogPage::Records(vec![foreign]), 0),
        ],
    );
    assert!(out[1].contains("has id 9"), "{}", out[1]);
    assert!(matches!(state, State::Halted(_)));
}

/// A record that was seen and is gone again was never published: nothing is lost, and nothing is published of it.
#[test]
fn what_the_source_takes_back_before_it_is_published_is_forgotten() {
    let (_, out) = run(
        following(10),
        vec![
            Input::Due(at(0)),
            page(&[10, 12], 0),
            Input::Due(at(150)),
            page(&[10], 150),
            Input::Due(at(300)),
            page(&[10, 13], 300),
            Input::Due(at(450)),
            page(&[10, 13], 450),
        ],
    );
    assert_eq!(out[7], "Publish 13; Wait 20ms");
}

#[test]
fn the_end_is_asked_for_only_while_the_source_has_more() {
    let (_, out) = run(
        following(10),
        vec![
            Input::Due(at(5_000)),
            page(&[10, 12], 5_000),
            Input::Due(at(10_000)),
            page(&[10, 12], 10_000),
            Input::Due(at(15_000)),
        ],
    );
    assert_eq!(out[0], "AskEnd; Read after 9 x3");
    assert_eq!(out[2], "Read after 9 x3", "nothing beyond 12");
    assert!(!out[4].contains("AskEnd"), "{}", out[4]);
}

/// The record of a load into thousands of partitions is megabytes; it is not asked for fifty times a second.
#[test]
fn a_large_last_record_is_asked_for_once_a_second_and_with_whatever_is_new() {
    let large = || record(12, &"x".repeat(100_000));
    let with = |more: Vec<RawBinlog>| {
        let mut records = vec![large()];
        records.extend(more);
        BinlogPage::Records(records)
    };
    let first = BinlogPage::Records(vec![record(10, ""), large()]);
    let mut inputs = vec![
        Input::Due(at(0)),
        answer(first.clone(), 0),
        Input::Due(at(150)),
        answer(first, 150),
        // The window is empty again.
        Input::Due(at(200)),
        answer(BinlogPage::CaughtUp, 200),
        Input::Due(at(1_140)),
        answer(BinlogPage::CaughtUp, 1_140),
    ];
    inputs.extend([
        Input::Due(at(1_160)),
        look(10, with(vec![]), 1_160),
        answer(with(vec![]), 1_160),
        Input::Due(at(1_180)),
        // Something new: it counts only behind the anchor.
        page(&[13], 1_180),
        answer(with(vec![record(13, "")]), 1_180),
        Input::Due(at(1_200)),
    ]);
    let (_, out) = run(following(10), inputs);
    let reads: Vec<&str> = out
        .iter()
        .map(String::as_str)
        .filter(|actions| actions.contains("Read"))
        .collect();
    assert_eq!(
        reads,
        [
            "Read after 9 x3",
            "Read after 9 x3",
            "Read after 12 x3",
            "Read after 12 x3",
            "LookBack after 10 x3; Read after 11 x3",
            "Read after 12 x3",
            "Read after 11 x3",
            "Read after 11 x3",
        ]
    );
    assert!(out.iter().all(|actions| !actions.contains("Publish 13")));
}

#[test]
fn a_database_without_a_stream_is_asked_rarely_and_followed_when_it_comes() {
    let (state, out) = run(
        following(-1),
        vec![
            Input::Due(at(0)),
            answer(BinlogPage::NoStream, 0),
            Input::Due(at(100_000)),
            answer(BinlogPage::NoStream, 100_000),
            Input::Due(at(105_000)),
            page(&[4, 5], 105_000),
        ],
    );
    assert_eq!(
        out,
        [
            "Read after -1 x3",
            "Wait 100ms",
            "Read after -1 x3",
            "Wait 5s",
            "Read after -1 x3",
            "Wait 20ms"
        ]
    );
    assert!(matches!(state, State::Following(_)));
}

#[path = "doubt_test.rs"]
mod doubt;
