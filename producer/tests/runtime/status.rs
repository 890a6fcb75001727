//! What the status of a stream tells, and what an idle stream costs its source.

use std::time::Duration;

use ccr_control::{Problem, ProblemKind, ProblemPart, StreamState};
use ccr_doris::error::Refusal;
use ccr_producer::ProducerConfig;

use crate::harness::{Harness, config};

async fn problem(h: &Harness, kind: ProblemKind) -> Problem {
    h.until(&format!("a problem {kind:?}"), || async {
        h.stream_status()
            .and_then(|status| status.problem)
            .is_some_and(|problem| problem.kind == kind)
    })
    .await;
    h.stream_status().unwrap().problem.unwrap()
}

async fn works_again(h: &Harness) {
    h.until("no problem and following", || async {
        h.stream_status().is_some_and(|status| {
            status.problem.is_none()
                && status.last_error.is_none()
                && status.state == StreamState::Following
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_names_what_does_not_work_and_forgets_it_when_it_works() {
    let h = Harness::new().await;
    let running = h.start();
    h.begun().await;
    works_again(&h).await;

    h.source.world().down = true;
    let away = problem(&h, ProblemKind::Unreachable).await;
    assert_eq!(away.part, ProblemPart::Source);
    assert!(away.what.contains("fake:9020"), "{}", away.what);
    assert!(away.since_ms.is_some());
    h.source.world().down = false;
    works_again(&h).await;

    h.source.world().refusal = Some(Refusal::AccessDenied);
    problem(&h, ProblemKind::LoginRefused).await;
    h.source.world().refusal = Some(Refusal::UnknownDatabase);
    let gone = problem(&h, ProblemKind::DatabaseMissing).await;
    assert!(gone.what.contains("database db"), "{}", gone.what);
    h.source.world().refusal = None;
    works_again(&h).await;
    running.stop().await;
}

/// A server that is cut off refuses nothing; the call itself may wait for minutes.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_says_nothing_is_named_before_its_call_ends() {
    let h = Harness::new().await;
    let running = h.start();
    h.begun().await;
    h.source.world().silent = true;
    let silent = problem(&h, ProblemKind::Unreachable).await;
    assert!(
        silent.what.contains("has not answered get_binlog"),
        "{}",
        silent.what
    );
    h.source.world().silent = false;
    works_again(&h).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binlog_that_is_not_in_force_is_named_with_the_statement_that_helps() {
    let h = Harness::new().await;
    h.source.world().has_stream = false;
    let running = h.start();
    let off = problem(&h, ProblemKind::BinlogOff).await;
    assert!(off.what.contains("not in force"), "{}", off.what);
    assert!(
        off.next_step
            .contains("ALTER DATABASE `db` SET PROPERTIES (\"binlog.enable\" = \"true\")"),
        "{}",
        off.next_step
    );
    h.source.write(1);
    h.published(1).await;
    works_again(&h).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binlog_that_is_switched_off_is_named_while_the_stream_goes_on() {
    let h = Harness::new().await;
    let running = h.start();
    h.begun().await;
    h.source.world().binlog_on = false;
    let off = problem(&h, ProblemKind::BinlogOff).await;
    assert!(off.what.contains("switched off"), "{}", off.what);
    h.source.write(1);
    h.published(1).await;
    h.source.world().binlog_on = true;
    works_again(&h).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_without_a_stream_is_no_problem() {
    let h = Harness::new().await;
    h.source.world().has_stream = false;
    h.source.world().tables.clear();
    let running = h.start();
    h.until("it says what it waits for", || async {
        h.stream_status()
            .is_some_and(|status| status.action.contains("waiting for the first table"))
    })
    .await;
    assert_eq!(h.stream_status().unwrap().problem, None);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_fails_is_shown_with_its_tables_and_the_next_attempt() {
    let h = Harness::new().await;
    let running = h.start();
    h.begun().await;
    h.ask("j.1.1", &["zz"]).await;
    h.until("the failure is shown", || async {
        h.stream_status().is_some_and(|status| {
            status.snapshots.iter().any(|snapshot| {
                snapshot.tables == ["zz"]
                    && snapshot.request_ids == ["j.1.1"]
                    && snapshot.failures > 0
                    && snapshot.next_attempt_at_ms.is_some()
                    && snapshot.problem.as_ref().is_some_and(|problem| {
                        problem.part == ProblemPart::Snapshot
                            && problem.what.contains("has no table zz")
                    })
            })
        })
    })
    .await;
    let table = h.source.world().tables[&crate::fake::TABLE].clone();
    h.source.world().tables.insert(2000, "zz".to_owned());
    assert_eq!(table, "t");
    h.until("taken and forgotten", || async {
        h.snapshots().await.len() == 1
            && h.stream_status()
                .is_some_and(|status| status.snapshots.is_empty())
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sources_end_is_reported_with_the_moment_it_was_learned() {
    let h = Harness::new().await;
    let running = h.start();
    h.begun().await;
    h.source.write(7);
    h.published(7).await;
    let learned = || h.stream_status().and_then(|status| status.source_end_at_ms);
    h.until("the end is known", || async {
        h.stream_status()
            .is_some_and(|s| s.source_end.0 == 7 && s.published.0 == 7 && learned().is_some())
    })
    .await;
    let first = learned();
    h.until("and learned again", || async { learned() > first })
        .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_is_reported_and_started_again() {
    let h = Harness::new().await;
    let running = h.start();
    h.begun().await;
    h.source.world().panics = 1;
    h.until("the panic came", || async { h.source.world().panics == 0 })
        .await;
    h.source.write(1);
    h.published(1).await;
    // One that breaks again and again says so, and waits between its attempts.
    h.source.world().panics = u32::MAX;
    problem(&h, ProblemKind::Failing).await;
    let before = h.source.world().panics;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let attempts = before - h.source.world().panics;
    assert!(attempts < 60, "{attempts} in a second");
    h.source.world().panics = 0;
    works_again(&h).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_stream_asks_its_source_rarely_and_still_follows() {
    let h = Harness::new().await;
    let running = h.start_with(ProducerConfig {
        idle_poll_interval: Duration::from_millis(250),
        idle_after: Duration::from_millis(200),
        ..config("test")
    });
    h.begun().await;
    h.source.write(1);
    h.published(1).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let calls = |h: &Harness| -> u64 { h.source.world().calls.values().sum() };
    let before = calls(&h);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let asked = calls(&h) - before;
    // Two for a page, as long as the source is not known to answer with several records at once.
    assert!(asked <= 18, "{asked} calls in two seconds");
    h.source.write(2);
    h.source.write(3);
    h.published(3).await;
    running.stop().await;
}
