use super::*;

/// Every way in which a source says that its history is not the published one; nothing of such an answer is published.
#[test]
fn a_source_with_another_history_stops_the_stream() {
    let other = |seq: i64| BinlogPage::Records(vec![record(seq, "other"), record(seq + 1, "")]);
    let cases = [
        // The last published record is missing, or another one is there.
        (
            vec![Input::Due(at(0)), page(&[12, 13], 0)],
            "CheckRetention 10",
        ),
        (
            vec![Input::Due(at(0)), answer(BinlogPage::CaughtUp, 0)],
            "CheckRetention 10",
        ),
        (
            vec![Input::Due(at(0)), answer(other(10), 0)],
            "Halt (the source has another record at position 10 than the one that was published)",
        ),
        // The source's end lies below it.
        (vec![ends_at(Some(lag(9)), 0)], "CheckRetention 10"),
        // A record before it is missing, or another one is there.
        (looking_back(&[12, 14, 15]), "CheckRetention 13"),
        (
            {
                let mut inputs = looking_back(&[]);
                inputs.pop();
                inputs.push(look(10, other(12), 1200));
                inputs
            },
            "Halt (the source has another record at position 12 than the one that was published)",
        ),
    ];
    for (inputs, expected) in cases {
        let (_, out) = run(following(10), inputs);
        let last = out.last().unwrap();
        assert!(last.starts_with(expected), "{last}: {expected}");
        assert!(!last.contains("Publish"), "{last}");
    }
}

/// 12 and 13 are published; at 1200 ms the look back shows `seqs`.
fn looking_back(seqs: &[i64]) -> Vec<Input> {
    vec![
        Input::Due(at(0)),
        page(&[10, 12, 13], 0),
        page(&[13], 0),
        Input::Due(at(150)),
        page(&[10, 12, 13], 150),
        page(&[13], 150),
        Input::Due(at(1200)),
        look(10, records(seqs), 1200),
    ]
}

fn suspicion(ends_pass: bool) -> Suspicion {
    let seq = CommitSeq(10);
    Suspicion {
        seq,
        table: Some(TableId(77)),
        reason: Contradiction::Missing { seq },
        ends_pass,
    }
}

fn checked(finding: Finding, ends_pass: bool, ms: u64) -> Input {
    Input::RetentionChecked {
        suspicion: suspicion(ends_pass),
        finding,
        at: at(ms),
    }
}

#[test]
fn a_missing_record_is_looked_for_before_anything_is_concluded() {
    let missed = || vec![Input::Due(at(0)), page(&[12, 13], 0)];
    let cases = [
        // A short answer was not a complete one: the stream goes on as it was.
        (Finding::Present, "Wait 20ms", "Read after 9 x3"),
        // The record cannot be compared any more.
        (Finding::Removed, "Wait 20ms", "Read after 10 x3"),
        (
            Finding::Unexplained,
            "Halt (the source does not have position 10 any more, which was published) since 0ns",
            "",
        ),
    ];
    for (finding, expected, next) in cases {
        let mut inputs = missed();
        inputs.push(checked(finding, true, 0));
        inputs.push(Input::Due(at(20)));
        let (_, out) = run(following(10), inputs);
        assert_eq!(out[1], "CheckRetention 10");
        assert_eq!(out[2..], [expected, next], "{finding:?}");
    }
    // The look back and the source's end do not end a pass: another one is under way.
    let (_, out) = run(following(10), vec![checked(Finding::Present, false, 0)]);
    assert_eq!(out, [""]);
}

#[test]
fn a_contradiction_that_lasts_begins_a_new_timeline_at_the_sources_end() {
    let doubtful = |since: u64| {
        let mut located = located(Some((10, 1)), Some(lag(7)));
        located.doubt = Some(Duration::from_millis(since));
        located.at = at(40_000);
        begun(located).state
    };
    let (state, out) = run(
        doubtful(10_001),
        vec![checked(Finding::Unexplained, true, 40_000)],
    );
    assert!(
        out[0].ends_with("since 10.001s"),
        "not long enough: {out:?}"
    );
    assert!(matches!(state, State::Halted(_)));

    let (state, out) = run(
        doubtful(10_000),
        vec![
            checked(Finding::Unexplained, true, 40_000),
            // What was asked before is of no interest any more.
            Input::Due(at(40_000)),
            page(&[12], 40_000),
            ends_at(Some(lag(8)), 40_010),
            Input::Due(at(40_020)),
        ],
    );
    assert_eq!(
        out,
        ["AskEnd", "", "", "PublishTimeline 5@10 -> 1000000@8", ""]
    );
    assert!(matches!(state, State::Replaced));
}

#[test]
fn an_answer_that_agrees_ends_the_doubt() {
    let mut located = located(Some((10, 1)), Some(lag(70)));
    located.doubt = Some(Duration::ZERO);
    let (_, out) = run(
        begun(located).state,
        vec![
            Input::Due(at(40_000)),
            page(&[10, 12], 40_000),
            Input::Due(at(40_020)),
            answer(BinlogPage::CaughtUp, 40_020),
            checked(Finding::Unexplained, true, 40_020),
        ],
    );
    let last = out.last().unwrap();
    assert!(last.ends_with("since 40.02s"), "{last}");
}

#[test]
fn another_database_of_that_name_begins_a_new_timeline_too() {
    let mut located = located(Some((70, 2)), Some(lag(30)));
    located.doubt = Some(Duration::ZERO);
    located.at = at(30_000);
    let (_, out) = run(
        State::Locating,
        vec![Input::Located(located), ends_at(None, 30_000)],
    );
    assert_eq!(out, ["AskEnd", "PublishTimeline 5@70 -> 1000000@-1"]);
}
