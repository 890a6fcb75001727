use ccr_schemas::event::{SnapshotTable, TableRef};
use ccr_schemas::{CommitSeq, TableId};

use super::*;

const BOUNDS: Bounds = Bounds {
    reuse: Duration::from_secs(100),
    margin: Duration::from_secs(10),
    coalesce: Duration::from_secs(1),
};

fn request(id: &str, tables: &[&str], not_before: i64) -> Request {
    Request {
        offset: Offset(0),
        id: id.to_owned(),
        tables: tables.iter().map(|t| (*t).to_owned()).collect(),
        not_before,
        asked_at: Duration::ZERO,
        retry_at: None,
        failures: 0,
    }
}

fn table_ref(name: &str) -> TableRef {
    TableRef {
        id: TableId(1),
        name: name.to_owned(),
    }
}

/// Taken at second 0, expires at second 1000, resumes at offset 50.
fn snapshot(tables: &[(&str, i64)], whole: bool) -> Kept {
    let taken = SnapshotTaken {
        label: "l".to_owned(),
        tables: tables
            .iter()
            .map(|(name, seq)| SnapshotTable {
                table: table_ref(name),
                commit_seq: CommitSeq(*seq),
                partitions: Vec::new(),
            })
            .collect(),
        views: vec![table_ref("v")],
        whole_database: whole,
        commit_seq: CommitSeq(20),
        resume_offset: 50,
        chunks_offset: 5,
        chunk_count: 1,
        sha256: String::new(),
        compressed: false,
        expires_at: TimestampMs(1_000_000),
        backends: Vec::new(),
        sealed_token: String::new(),
        request_ids: Vec::new(),
    };
    Kept {
        snapshot: taken,
        taken_at: TimestampMs(0),
        given: BTreeSet::new(),
    }
}

fn at(seconds: u64) -> Present {
    Present {
        monotonic: Duration::from_secs(seconds),
        wall: TimestampMs(i64::try_from(seconds).unwrap() * 1000),
        oldest_event: 0,
        oldest_chunk: 0,
        lost_up_to: CommitSeq::BEFORE_FIRST,
    }
}

fn take(tables: &[&str], requests: &[&str]) -> Decision {
    Decision::Take {
        scope: if tables.is_empty() {
            Scope::Database
        } else {
            Scope::Tables(tables.iter().map(|t| (*t).to_owned()).collect())
        },
        requests: requests.iter().map(|r| (*r).to_owned()).collect(),
    }
}

fn reuse(snapshot: usize, requests: &[&str]) -> Decision {
    Decision::Reuse {
        snapshot,
        requests: requests.iter().map(|r| (*r).to_owned()).collect(),
    }
}

#[test]
fn requests_that_wait_together_share_one_backup() {
    let cases = [
        (vec![], Decision::Idle),
        (vec![request("a", &["t"], -1)], take(&["t"], &["a"])),
        (
            vec![request("a", &["t"], -1), request("b", &["u", "t"], 7)],
            take(&["t", "u"], &["a", "b"]),
        ),
        (
            vec![request("a", &["t"], -1), request("b", &[], -1)],
            take(&[], &["a", "b"]),
        ),
    ];
    for (requests, expected) in cases {
        assert_eq!(decide(&requests, &[], &BOUNDS, &at(5)), expected);
    }
}

#[test]
fn the_first_request_waits_for_others_but_not_for_long() {
    let requests = [request("a", &["t"], -1)];
    let soon = Present {
        monotonic: Duration::from_millis(300),
        ..at(0)
    };
    assert_eq!(
        decide(&requests, &[], &BOUNDS, &soon),
        Decision::WaitUntil(Duration::from_secs(1))
    );
}

#[test]
fn a_usable_snapshot_is_announced_again() {
    let whole = snapshot(&[("t", 10), ("u", 12)], true);
    let part = snapshot(&[("t", 15)], false);
    let kept = [whole, part];
    let cases = [
        (request("a", &[], -1), reuse(0, &["a"])),
        (request("a", &["t"], -1), reuse(1, &["a"])),
        (request("a", &["t"], 15), reuse(1, &["a"])),
        (request("a", &["t"], 16), take(&["t"], &["a"])),
        (request("a", &["u"], 12), reuse(0, &["a"])),
        (request("a", &["v"], 20), reuse(1, &["a"])),
        (request("a", &["w"], -1), take(&["w"], &["a"])),
        (request("a", &[], 11), take(&[], &["a"])),
    ];
    for (wanted, expected) in cases {
        let name = format!("{wanted:?}");
        assert_eq!(
            decide(&[wanted], &kept, &BOUNDS, &at(5)),
            expected,
            "{name}"
        );
    }
}

#[test]
fn a_snapshot_that_is_old_expiring_or_half_gone_is_not_used() {
    let requests = [request("a", &["t"], -1)];
    let kept = [snapshot(&[("t", 10)], false)];
    let mut late = at(5);
    late.wall = TimestampMs(100_000);
    let mut no_events = at(5);
    no_events.oldest_event = 51;
    let mut no_chunks = at(5);
    no_chunks.oldest_chunk = 6;
    for (now, why) in [
        (late, "old"),
        (no_events, "events gone"),
        (no_chunks, "chunks gone"),
    ] {
        assert_eq!(
            decide(&requests, &kept, &BOUNDS, &now),
            take(&["t"], &["a"]),
            "{why}"
        );
    }
    let mut expiring = snapshot(&[("t", 10)], false);
    expiring.snapshot.expires_at = TimestampMs(14_000);
    assert_eq!(
        decide(&requests, &[expiring], &BOUNDS, &at(5)),
        take(&["t"], &["a"])
    );
    assert_eq!(decide(&requests, &kept, &BOUNDS, &at(5)), reuse(0, &["a"]));
}

#[test]
fn a_failed_request_waits_alone() {
    let mut failed = request("a", &["missing"], -1);
    failed.retry_at = Some(Duration::from_secs(30));
    assert_eq!(
        decide(std::slice::from_ref(&failed), &[], &BOUNDS, &at(5)),
        Decision::WaitUntil(Duration::from_secs(30))
    );
    let requests = [failed, request("b", &["t"], -1)];
    assert_eq!(
        decide(&requests, &[], &BOUNDS, &at(5)),
        take(&["t"], &["b"])
    );
}

#[test]
fn what_failed_together_is_tried_one_by_one() {
    let failed = |id: &str, table: &str, at: u64| Request {
        retry_at: Some(Duration::from_secs(at)),
        failures: 1,
        ..request(id, &[table], -1)
    };
    let requests = [failed("a", "t", 3), failed("b", "missing", 2)];
    assert_eq!(
        decide(&requests, &[], &BOUNDS, &at(5)),
        take(&["missing"], &["b"])
    );
    let requests = [failed("a", "t", 3), request("c", &["u"], -1)];
    assert_eq!(
        decide(&requests, &[], &BOUNDS, &at(5)),
        take(&["u"], &["c"])
    );
}

#[test]
fn a_job_that_asks_again_gets_another_snapshot() {
    let mut known = snapshot(&[("t", 10)], false);
    known.given = BTreeSet::from(["j.1.1".to_owned()]);
    let kept = [known];
    let cases = [
        ("j.1.1", true, "the answer was lost"),
        ("j.1.2", false, "it could not be used"),
        ("j.2.1", true, "another incarnation of the job"),
        ("k.1.2", true, "another job"),
    ];
    for (id, again, why) in cases {
        let expected = if again {
            reuse(0, &[id])
        } else {
            take(&["t"], &[id])
        };
        assert_eq!(
            decide(&[request(id, &["t"], -1)], &kept, &BOUNDS, &at(5)),
            expected,
            "{why}"
        );
    }
}

#[test]
fn a_snapshot_that_lies_before_lost_history_is_not_announced_again() {
    let kept = [snapshot(&[("t", 20)], true)];
    let requests = [request("new", &[], -1)];
    for (lost_up_to, expected) in [(20, reuse(0, &["new"])), (21, take(&[], &["new"]))] {
        let now = Present {
            lost_up_to: CommitSeq(lost_up_to),
            ..at(5)
        };
        assert_eq!(
            decide(&requests, &kept, &BOUNDS, &now),
            expected,
            "{lost_up_to}"
        );
    }
}
