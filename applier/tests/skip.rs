//! What a job stands at is left out when a person says so, and nothing else is.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use std::time::Duration;

use ccr_applier::plan::Checkpoint;
use ccr_control::{JobState, JobStatus};
use ccr_schemas::event::{Gap, Unsupported};
use ccr_schemas::{CommitSeq, Envelope, Event, Replay};
use common::Fake;
use common::source::{Source, summary};
use common::world::Harness;
use tokio_util::sync::CancellationToken;

/// Runs until the job halts in this run.
async fn halted(harness: &Harness) -> JobStatus {
    harness.status.forget_job("job").await.unwrap();
    let token = CancellationToken::new();
    let running = tokio::spawn(harness.runner().run(token.clone()));
    let found = async {
        loop {
            match harness.status.job("job") {
                Some(status) if status.state == JobState::Halted => return status,
                Some(_) | None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(10), found)
        .await
        .unwrap();
    token.cancel();
    running.await.unwrap().unwrap();
    status
}

/// A job applies something, stands at `stop`, and after a skip goes on behind it.
async fn goes_on_behind(stop: impl FnOnce(&mut Source, i64) -> Envelope, why: &str) {
    let fake = Fake::default();
    let mut harness = Harness::new(fake).await;
    let mut source = Source::new(3);
    let (a, lost) = (source.existing("a"), source.existing("lost"));
    harness.fake.create("a");
    harness.fake.create("lost");
    let start = Checkpoint::at(source.seq()).encode().unwrap();
    harness.start_at(0, &start).await;
    let first = source.write(&[a]);
    let applied = first.commit_seq;
    let stop = stop(&mut source, lost);
    let at = stop.commit_seq;
    harness.publish(&[first, stop, source.write(&[a])]).await;

    let status = halted(&harness).await;
    assert_eq!(status.applied, applied);
    for part in [
        why,
        "`ccr job resync job`",
        &format!("`ccr job skip job {at}`"),
    ] {
        assert!(status.action.contains(part), "{part:?}: {}", status.action);
    }

    // A position nobody stands at helps nothing.
    harness.spec.options.skip.insert(CommitSeq(at.0 + 1000));
    assert_eq!(halted(&harness).await.action, status.action);

    harness.spec.options.skip.insert(at);
    harness.run().await;
    let mut expected = source.expected();
    for table in expected.iter_mut().filter(|table| table.0 == "lost") {
        table.2.iter_mut().for_each(Vec::clear);
    }
    assert_eq!(summary(harness.fake.tables()), expected);
}

#[tokio::test]
async fn a_gap_is_accepted_by_its_position() {
    let gap = |source: &mut Source, lost: i64| {
        let after = source.seq();
        source.write(&[lost]);
        source.own(Event::Gap(Gap {
            after,
            up_to: source.seq(),
        }))
    };
    goes_on_behind(gap, "lost its history").await;
}

#[tokio::test]
async fn an_event_that_may_concern_everything_is_left_out_by_its_position() {
    let unsupported = |source: &mut Source, lost: i64| Envelope {
        event: Event::Unsupported(Unsupported {
            tables: Vec::new(),
            binlog_type: 99,
            reason: "unknown number".to_owned(),
        }),
        replay: Replay::Halt {
            reason: "unknown number".to_owned(),
        },
        ..source.write(&[lost])
    };
    goes_on_behind(unsupported, "unknown number").await;
}
