//! What `job_status` says when something on the way of a job does not work.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

mod common;

use std::time::Duration;

use ccr_control::{
    JobState, JobStatus, Problem, ProblemKind, ProblemPart, SnapshotStatus, StreamState,
    StreamStatus, TableLane,
};
use ccr_schemas::CommitSeq;
use common::{Fixture, body, status_of};
use serde_json::{Value, json};

fn stream_of(at_ms: i64) -> StreamStatus {
    StreamStatus {
        source: "c77".to_owned(),
        database: "sales".to_owned(),
        read: CommitSeq(40),
        published: CommitSeq(40),
        source_end: CommitSeq(40),
        source_end_at_ms: Some(at_ms),
        state: StreamState::Following,
        problem: None,
        snapshots: Vec::new(),
        events_published: 3,
        last_error: None,
        action: "following".to_owned(),
        at_ms,
        owner: "there:2".to_owned(),
    }
}

impl Fixture {
    /// A job that follows, and its stream.
    async fn following() -> (Self, JobStatus, StreamStatus) {
        let fixture = Self::new().await;
        fixture.json("create_ccr", body()).await;
        let job = fixture.api.registry.get("j1").unwrap();
        let status = status_of(&job, 40, 7);
        let stream = stream_of(status.at_ms);
        let board = &fixture.api.status;
        board.report_job(status.clone()).await.unwrap();
        board.report_stream(stream.clone()).await.unwrap();
        (fixture, status, stream)
    }

    async fn status(&self) -> Value {
        self.json("job_status", json!({"name": "j1"})).await["status"].clone()
    }
}

fn parts(status: &Value) -> Vec<&str> {
    let problems = status["problems"].as_array().unwrap();
    problems
        .iter()
        .map(|problem| problem["part"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_job_that_works_has_no_problems_and_a_lag() {
    let (fixture, ..) = Fixture::following().await;
    let status = fixture.status().await;
    assert_eq!(status["problems"], json!([]), "{status:#}");
    assert_eq!(status["lag_ms"], json!(0));
    assert_eq!(status["source"]["state"], json!("following"));
    assert_eq!(status["source"]["problem"], Value::Null);
    assert_eq!(status["last_error"], Value::Null);
}

#[tokio::test]
async fn a_source_that_does_not_answer_is_named_and_the_lag_is_unknown() {
    let (fixture, _, stream) = Fixture::following().await;
    let what = "getBinlog at 10.0.0.1:9020: connection refused";
    let problem = Problem::new(ProblemPart::Source, ProblemKind::Unreachable, what, 17);
    let failing = StreamStatus {
        state: StreamState::Retrying,
        problem: Some(problem),
        ..stream
    };
    fixture.api.status.report_stream(failing).await.unwrap();
    let status = fixture.status().await;
    let problem = &status["source"]["problem"];
    assert_eq!(problem["what"], json!(what));
    assert_eq!(problem["kind"], json!("unreachable"));
    assert_eq!(problem["since_ms"], json!(17));
    assert!(problem["next_step"].as_str().unwrap().contains("frontend"));
    assert_eq!(status["source"]["state"], json!("retrying"));
    assert_eq!(status["problems"], json!([problem]));
    // Scripts that know no `problems` look there.
    assert_eq!(status["last_error"], json!(what));
    assert_eq!(status["stuck_since"], json!(17));
    // The job has applied the whole log, and that says nothing while the log stands still.
    assert_eq!(status["lag_ms"], Value::Null);
}

#[tokio::test]
async fn a_producer_or_an_applier_that_says_nothing_for_ten_seconds_is_named() {
    let (fixture, status, stream) = Fixture::following().await;
    fixture.clock.advance(Duration::from_secs(7));
    assert_eq!(fixture.status().await["problems"], json!([]));
    fixture.clock.advance(Duration::from_secs(3));
    let silent = fixture.status().await;
    assert_eq!(parts(&silent), ["producer", "applier"], "{silent:#}");
    let texts = silent["problems"].to_string();
    assert!(
        texts.contains("database sales of c77") && texts.contains("job j1"),
        "{texts}"
    );
    assert_eq!(silent["lag_ms"], Value::Null);

    // One of them comes back. The other has failed before, and may wait for its next attempt.
    fixture.api.status.report_stream(stream).await.unwrap();
    let failed = JobStatus {
        last_error: Some("no disk".to_owned()),
        ..status
    };
    fixture.api.status.report_job(failed).await.unwrap();
    fixture.clock.advance(Duration::from_secs(5));
    assert_eq!(parts(&fixture.status().await), ["job"]);
}

#[tokio::test]
async fn a_job_that_nobody_takes_up_says_so() {
    let fixture = Fixture::new().await;
    fixture.json("create_ccr", body()).await;
    assert_eq!(fixture.status().await["problems"], json!([]));
    fixture.clock.advance(Duration::from_secs(10));
    let status = fixture.status().await;
    assert_eq!(parts(&status), ["producer", "applier"]);
    assert!(
        status["last_error"]
            .as_str()
            .unwrap()
            .contains("no producer")
    );
    assert_eq!(status["lag_ms"], Value::Null);
    // A pause is nobody's fault, and a job that goes on has the same time again.
    fixture.json("pause", json!({"name": "j1"})).await;
    assert_eq!(parts(&fixture.status().await), Vec::<&str>::new());
    fixture.clock.advance(Duration::from_secs(10));
    assert_eq!(parts(&fixture.status().await), ["producer"]);
    fixture.json("resume", json!({"name": "j1"})).await;
    assert_eq!(parts(&fixture.status().await), Vec::<&str>::new());
}

#[tokio::test]
async fn a_failing_snapshot_is_a_problem_of_the_job_that_waits_for_it() {
    let (fixture, status, stream) = Fixture::following().await;
    let what = "the source has no table zz";
    let snapshot = |request: String| SnapshotStatus {
        tables: vec!["zz".to_owned()],
        request_ids: vec![request],
        since_ms: 3,
        action: "waiting for the next attempt".to_owned(),
        progress: None,
        failures: 2,
        problem: Some(Problem::new(
            ProblemPart::Snapshot,
            ProblemKind::Failing,
            what,
            3,
        )),
        next_attempt_at_ms: Some(9),
    };
    let waiting = JobStatus {
        state: JobState::AwaitingSnapshot,
        ..status.clone()
    };
    fixture.api.status.report_job(waiting).await.unwrap();
    for (request, expected) in [
        (format!("j1.{}.1", status.incarnation), vec!["snapshot"]),
        ("j2.77.1".to_owned(), vec![]),
    ] {
        let failing = StreamStatus {
            snapshots: vec![snapshot(request)],
            ..stream.clone()
        };
        fixture.api.status.report_stream(failing).await.unwrap();
        let status = fixture.status().await;
        assert_eq!(parts(&status), expected);
        assert_eq!(status["source"]["snapshots"][0]["failures"], json!(2));
    }
}

#[tokio::test]
async fn reasons_are_shown_in_full() {
    let (fixture, status, _) = Fixture::following().await;
    let reason = format!("{}; run `ccr job resync j1`", "x".repeat(20_000));
    let lanes = (0..300)
        .map(|n| TableLane {
            table: format!("t{n}"),
            at: CommitSeq(n),
            reason: reason.clone(),
            since_ms: Some(n),
        })
        .collect();
    let halted = JobStatus { lanes, ..status };
    fixture.api.status.report_job(halted).await.unwrap();
    let status = fixture.status().await;
    for n in [0, 299] {
        let table = &status["tables_not_following"][n];
        assert_eq!(table["reason"], json!(reason));
        assert_eq!(table["since_ms"], json!(n));
        let what = status["problems"][n]["what"].as_str().unwrap();
        assert!(what.ends_with(&reason) && what.contains(&format!("table t{n} ")));
    }
}

#[tokio::test]
async fn a_log_that_takes_no_status_hides_nothing() {
    let (fixture, status, _) = Fixture::following().await;
    fixture.log.refuse_appends(true);
    let later = JobStatus {
        events_applied: 99,
        last_error: Some("the log does not take the position".to_owned()),
        ..status.clone()
    };
    assert!(fixture.api.status.report_job(later).await.is_err());
    let shown = fixture.status().await;
    assert_eq!(shown["events_applied"], json!(99), "{shown:#}");
    assert_eq!(parts(&shown), ["log", "job"]);
    let problem = &shown["problems"][0];
    assert!(
        problem["what"].as_str().unwrap().contains("no space"),
        "{problem}"
    );
    assert!(problem["since_ms"].is_i64());
    assert_eq!(shown["lag_ms"], Value::Null);

    fixture.log.refuse_appends(false);
    fixture.api.status.report_job(status).await.unwrap();
    assert_eq!(fixture.status().await["problems"], json!([]));
}

#[tokio::test]
async fn a_log_that_can_not_be_read_is_named() {
    let (fixture, ..) = Fixture::following().await;
    fixture.log.refuse_reads(true);
    let stop = tokio_util::sync::CancellationToken::new();
    let following = {
        let (board, stop) = (fixture.api.status.clone(), stop.clone());
        let clock = ccr_ops::SystemClock::shared();
        tokio::spawn(async move { board.run(&*clock, stop).await })
    };
    let named = async {
        loop {
            let status = fixture.status().await;
            if parts(&status) == ["log"] {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(10), named)
        .await
        .unwrap();
    assert!(status["last_error"].as_str().unwrap().contains("damaged"));
    stop.cancel();
    following.await.unwrap();
}
