//! The status of a job says how old what waits is, and the metrics that are described are recorded.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use std::time::Duration;

use ccr_control::{JobState, JobStatus};
use common::Fake;
use common::source::Source;
use common::world::Harness;
use tokio_util::sync::CancellationToken;

const FROM_START: &str = r#"{"v":1,"seq":-1,"t":0}"#;

async fn status_that(harness: &Harness, fits: impl Fn(&JobStatus) -> bool) -> JobStatus {
    let found = async {
        loop {
            match harness.status.job("job") {
                Some(status) if fits(&status) => return status,
                Some(_) | None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), found)
        .await
        .unwrap_or_else(|_| panic!("last status: {:#?}", harness.status.job("job")))
}

#[tokio::test]
async fn lag_grows_while_an_event_waits_and_is_zero_when_none_does() {
    ccr_ops::telemetry::metrics().unwrap();
    let harness = Harness::new(Fake::default()).await;
    harness.fake.create("a");
    let mut source = Source::new(1);
    let a = source.existing("a");
    harness.publish(&[source.write(&[a])]).await;
    harness.start_at(0, FROM_START).await;
    // No call is answered from here on.
    harness.fake.crash_at(5, false);
    let token = CancellationToken::new();
    let running = tokio::spawn(harness.runner().run(token.clone()));
    let first = status_that(&harness, |status| status.lag_ms.is_some_and(|lag| lag > 0)).await;
    let later = status_that(&harness, |status| status.lag_ms > first.lag_ms).await;
    assert_eq!(later.oldest_pending_at_ms, Some(1));
    assert_eq!(later.last_apply_lag_ms, None);
    running.abort();
    let _ = running.await;

    harness.fake.no_crash();
    let running = tokio::spawn(harness.runner().run(token.clone()));
    let done = status_that(&harness, |status| {
        status.state == JobState::Applying && status.lag_ms == Some(0)
    })
    .await;
    assert_eq!(done.oldest_pending_at_ms, None);
    assert!(done.last_apply_lag_ms.is_some());
    token.cancel();
    running.await.unwrap().unwrap();

    let metrics = ccr_ops::telemetry::render();
    for name in [
        "ccr_applier_pending_events{job=\"job\"}",
        "ccr_applier_action_duration_seconds_count{action=\"commit_txn\"}",
    ] {
        assert!(metrics.contains(name), "{name} is not in\n{metrics}");
    }
}
