//! A source that does not have the published history any more.

use std::time::Duration;

use ccr_log::Offset;
use ccr_producer::ProducerConfig;
use ccr_schemas::{DbId, Event, Timeline};

use crate::harness::{Harness, config};

/// A stream that has published 1 to 50.
async fn published_50() -> (Harness, crate::harness::Running) {
    let h = Harness::new().await;
    let running = h.start();
    h.begun().await;
    for seq in 1..=50 {
        h.source.write(seq);
    }
    h.published(50).await;
    (h, running)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_put_back_begins_a_timeline_and_its_new_records_are_published() {
    let (h, running) = published_50().await;
    h.source.rewind(20);
    h.timelines_begun(1).await;
    let (previous, published, position, reason) = h.timelines().await.remove(0);
    assert_eq!((previous, published, position), (0, 50, 20));
    assert!(reason.contains("position 50"), "{reason}");
    for seq in 21..=30 {
        h.source.load(seq, "again");
    }
    h.published(30).await;
    assert_eq!(h.positions().await, (21..=30).collect::<Vec<_>>());
    let newest = h.envelopes().await.pop().unwrap().1;
    assert!(newest.timeline > Timeline::FIRST);
    running.stop().await;
}

/// Nobody looked while the source was put back and went on beyond the last published position.
#[tokio::test(flavor = "multi_thread")]
async fn records_with_the_positions_of_others_are_never_taken_for_them() {
    for overtakes in [true, false] {
        let (h, running) = published_50().await;
        running.stop().await;
        h.source.rewind(20);
        // The same positions, or none of them.
        let step = if overtakes { 1 } else { 50 };
        for seq in (20 + step..=120).step_by(step as usize) {
            h.source.load(seq, "again");
        }
        let running = h.start();
        h.timelines_begun(1).await;
        let reason = h.timelines().await.remove(0).3;
        let expected = if overtakes {
            "another record at position"
        } else {
            "does not have position"
        };
        assert!(reason.contains(expected), "{reason}");
        h.source.load(121, "new");
        h.published(121).await;
        assert_eq!(h.positions().await, [121]);
        let loads = h.envelopes().await;
        let again = loads.iter().any(|(_, e)| match &e.event {
            Event::RowsetsCommitted(load) => load.label == "again",
            _ => false,
        });
        assert!(
            !again,
            "of a history that contradicts the log nothing is published"
        );
        running.stop().await;
    }
}

/// Heartbeats have pushed the last record out of what a start reads of the log.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_record_is_known_after_a_long_idle_time_too() {
    let h = Harness::new().await;
    let short = || ProducerConfig {
        append_records: 1,
        batch: 1,
        ..config("test")
    };
    let running = h.start_with(short());
    h.begun().await;
    h.source.write(5);
    h.published(5).await;
    let end = h.envelopes().await.len();
    h.until("heartbeats", || async {
        h.envelopes().await.len() > end + 6
    })
    .await;
    running.stop().await;
    h.source.rewind(0);
    h.source.load(5, "again");
    let running = h.start_with(short());
    h.timelines_begun(1).await;
    let reason = h.timelines().await.remove(0).3;
    assert!(reason.contains("another record at position 5"), "{reason}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_itself_again_in_time_costs_nothing() {
    let h = Harness::new().await;
    let patient = ProducerConfig {
        timeline_confirm: Duration::from_secs(600),
        ..config("test")
    };
    let running = h.start_with(patient);
    h.begun().await;
    for seq in 1..=50 {
        h.source.write(seq);
    }
    h.published(50).await;
    let records = h.source.world().records.clone();
    // A frontend without the end of the journal, and with records of its own.
    h.source.rewind(20);
    h.source.load(60, "wrong");
    h.until("the contradiction is shown", || async {
        h.stream_status()
            .and_then(|status| status.problem)
            .is_some_and(|problem| problem.what.contains("contradict"))
    })
    .await;
    h.source.world().records = records;
    h.source.write(51);
    h.published(51).await;
    assert_eq!(h.positions().await, (1..=51).collect::<Vec<_>>());
    assert!(h.timelines().await.is_empty());
    h.until("well again", || async {
        h.stream_status()
            .is_some_and(|status| status.problem.is_none())
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_behind_the_beginning_of_a_timeline_begins_no_second_one() {
    let (h, running) = published_50().await;
    h.source.rewind(20);
    h.timelines_begun(1).await;
    running.kill().await;
    h.source.load(21, "again");
    for _ in 0..3 {
        let running = h.start();
        tokio::time::sleep(Duration::from_millis(150)).await;
        running.kill().await;
    }
    let running = h.start();
    h.published(21).await;
    assert_eq!(h.timelines().await.len(), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_the_history_before_answers_nobody_any_more() {
    let (h, running) = published_50().await;
    h.ask("old.1.1", &[]).await;
    h.until("a snapshot", || async { h.snapshots().await.len() == 1 })
        .await;
    h.source.rewind(20);
    h.timelines_begun(1).await;
    h.ask("new.1.1", &[]).await;
    h.until("another snapshot", || async {
        h.snapshots().await.len() == 2
    })
    .await;
    let taken = h.snapshots().await;
    assert_ne!(taken[0].label, taken[1].label);
    assert_eq!(taken[1].request_ids, ["new.1.1"]);
    let events = h.envelopes().await;
    let begins = events
        .iter()
        .find(|(_, e)| matches!(e.event, Event::TimelineChanged(_)))
        .unwrap()
        .0;
    assert!(Offset(taken[1].resume_offset) > Offset(begins));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_created_again_is_followed_behind_a_new_timeline() {
    let (h, running) = published_50().await;
    {
        let mut world = h.source.world();
        world.db_id = 2;
        world.records.clear();
    }
    h.source.write(60);
    h.timelines_begun(1).await;
    let reason = h.timelines().await.remove(0).3;
    assert!(reason.contains("dropped and created again"), "{reason}");
    h.source.write(61);
    h.published(61).await;
    let newest = h.envelopes().await.pop().unwrap().1;
    assert_eq!(newest.db_id, DbId(2));
    running.stop().await;
}

/// Tables with a binlog of their own: the retention of each makes holes in the database's stream.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_its_tables_retention_removed_is_no_contradiction() {
    let (h, running) = published_50().await;
    {
        let mut world = h.source.world();
        world.binlog_on = false;
        world.forgotten_by_table = 50;
        world.records.retain(|seq, _| *seq < 48);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    h.source.write(51);
    h.published(51).await;
    assert!(h.timelines().await.is_empty());
    assert_eq!(h.positions().await, (1..=51).collect::<Vec<_>>());
    running.stop().await;
}

/// A binlog that was switched off and on begins a stream that says nothing of what was not recorded.
#[tokio::test(flavor = "multi_thread")]
async fn a_binlog_that_was_off_meanwhile_is_a_new_timeline() {
    let (h, running) = published_50().await;
    h.source.world().has_stream = false;
    h.source.world().records.clear();
    h.until("the missing stream is shown", || async {
        h.stream_status()
            .and_then(|status| status.problem)
            .is_some_and(|problem| problem.what.contains("has no binlog of database db"))
    })
    .await;
    assert!(h.timelines().await.is_empty(), "it may come back");
    h.source.write(70);
    h.timelines_begun(1).await;
    h.source.write(71);
    h.published(71).await;
    running.stop().await;
}
