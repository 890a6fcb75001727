//! The producer in one process: service, embedded log, a source in memory.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

mod fake;
mod harness;
mod names;
mod rewound;
mod snapshots;
mod status;

use std::time::Duration;

use ccr_producer::ProducerConfig;
use ccr_schemas::event::Presence;
use ccr_schemas::{CommitSeq, Event, Replay};

use crate::harness::{Harness, config};

async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_form_a_chain_from_the_newest_position_on() {
    let h = Harness::new().await;
    for seq in [3, 5, 9] {
        h.source.write(seq);
    }
    let running = h.start();
    h.begun().await;
    for seq in 10..700 {
        h.source.write(seq * 2);
    }
    h.published(1398).await;
    let expected: Vec<i64> = (10..700).map(|seq| seq * 2).collect();
    assert_eq!(h.positions().await, expected);
    let events = h.envelopes().await;
    let origin = &events[0].1;
    assert_eq!(origin.commit_seq, CommitSeq(9));
    assert!(matches!(origin.event, Event::Heartbeat(_)));
    let first = &events
        .iter()
        .find(|(_, e)| e.commit_seq == CommitSeq(20))
        .unwrap()
        .1;
    assert_eq!(first.replay, Replay::Transaction);
    assert_eq!(first.prev_commit_seq, CommitSeq(9));
    let Event::RowsetsCommitted(rowsets) = &first.event else {
        panic!("{first:?}");
    };
    assert_eq!(rowsets.tables[0].table.name, "t");
    assert_eq!(rowsets.tables[0].partitions[0].presence, Presence::Present);
    assert_eq!(rowsets.backends[0].host, "be7");
    assert!(
        h.source.calls("get_meta") <= 4,
        "layouts are asked for once, not per record: {}",
        h.source.calls("get_meta")
    );
    running.stop().await;
}

/// A cluster that was started again may have its backends elsewhere: what was asked before is not used any more.
#[tokio::test(flavor = "multi_thread")]
async fn backends_are_asked_for_again_when_a_connection_broke() {
    let h = Harness::new().await;
    let running = h.start();
    h.begun().await;
    h.source.write(1);
    h.published(1).await;
    {
        let mut world = h.source.world();
        world.backend = "be8".to_owned();
        world.interruptions += 1;
    }
    h.source.write(2);
    h.published(2).await;
    let hosts: Vec<String> = h
        .envelopes()
        .await
        .iter()
        .filter_map(|(_, e)| match &e.event {
            Event::RowsetsCommitted(load) => Some(load.backends[0].host.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(hosts, ["be7", "be8"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_stream_beats_and_reports() {
    let h = Harness::new().await;
    h.source.world().has_stream = false;
    let running = h.start();
    h.until("three heartbeats", || async {
        h.envelopes().await.len() >= 3
    })
    .await;
    assert_eq!(h.envelopes().await[0].1.commit_seq, CommitSeq::BEFORE_FIRST);
    h.source.write(4);
    h.published(4).await;
    h.until("status", || async {
        h.stream_status().is_some_and(|s| {
            s.published == CommitSeq(4) && s.read == CommitSeq(4) && s.last_error.is_none()
        })
    })
    .await;
    assert_eq!(h.stream_status().unwrap().owner, "test");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_resumes_where_the_log_ends() {
    let h = Harness::new().await;
    let running = h.start();
    h.begun().await;
    for seq in 1..=50 {
        h.source.write(seq);
    }
    h.published(50).await;
    running.stop().await;
    for seq in 51..=90 {
        h.source.write(seq);
    }
    let running = h.start();
    h.published(90).await;
    running.stop().await;
    assert_eq!(h.positions().await, (1..=90).collect::<Vec<_>>());
    let chained = h
        .envelopes()
        .await
        .iter()
        .filter(|(_, e)| e.event.is_chained())
        .count();
    assert_eq!(chained, 90, "an orderly restart repeats nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_nothing_and_double_only_what_readers_drop() {
    let h = Harness::new().await;
    let running = h.start();
    h.begun().await;
    running.kill().await;
    let source = h.source.clone();
    let writer = tokio::spawn(async move {
        for seq in 1..=600 {
            source.write(seq);
            pause(2).await;
        }
    });
    for round in 0..12u64 {
        let running = h.start();
        pause(60 + round * 17 % 50).await;
        running.kill().await;
    }
    writer.await.unwrap();
    let running = h.start();
    h.published(600).await;
    assert_eq!(h.positions().await, (1..=600).collect::<Vec<_>>());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_record_keeps_its_place() {
    let h = Harness::new().await;
    // Far above what a busy machine may put between the two writes.
    let running = h.start_with(ProducerConfig {
        settle: Duration::from_secs(2),
        ..config("test")
    });
    h.begun().await;
    for seq in (2..80).step_by(2) {
        h.source.write(seq);
        pause(5).await;
        h.source.write(seq - 1);
    }
    h.published(78).await;
    assert_eq!(h.positions().await, (1..=78).collect::<Vec<_>>());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_history_is_a_gap_in_the_log() {
    let h = Harness::new().await;
    let running = h.start();
    h.begun().await;
    h.source.write(1);
    h.published(1).await;
    running.stop().await;
    for seq in 2..=20 {
        h.source.write(seq);
    }
    h.source.forget(10);
    let running = h.start();
    h.published(20).await;
    let mut expected = vec![1];
    expected.extend(11..=20);
    assert_eq!(h.positions().await, expected);
    let gaps: Vec<(i64, i64)> = h
        .envelopes()
        .await
        .iter()
        .filter_map(|(_, e)| match &e.event {
            Event::Gap(gap) => Some((gap.after.0, gap.up_to.0)),
            _ => None,
        })
        .collect();
    assert_eq!(gaps, [(1, 10)]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_type_is_published_and_does_not_stop_the_stream() {
    let h = Harness::new().await;
    let running = h.start();
    h.begun().await;
    h.source.add(1, 99, "{\"new\":1}");
    h.source.add(2, 14, "not json");
    h.source.write(3);
    h.published(3).await;
    let halts: Vec<(i64, bool, Option<String>)> = h
        .envelopes()
        .await
        .into_iter()
        .filter(|(_, e)| matches!(e.event, Event::Unsupported(_)))
        .map(|(_, e)| {
            (
                e.commit_seq.0,
                matches!(e.replay, Replay::Halt { .. }),
                e.raw,
            )
        })
        .collect();
    assert_eq!(
        halts,
        [
            (1, true, Some("{\"new\":1}".to_owned())),
            (2, true, Some("not json".to_owned()))
        ]
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_away_is_waited_for() {
    let h = Harness::new().await;
    let running = h.start();
    h.begun().await;
    h.source.world().down = true;
    h.until("error shown", || async {
        h.stream_status()
            .and_then(|s| s.last_error)
            .is_some_and(|e| e.contains("connection refused"))
    })
    .await;
    h.source.write(1);
    h.source.world().down = false;
    h.published(1).await;
    h.until("error gone", || async {
        h.stream_status().is_some_and(|s| s.last_error.is_none())
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_producers_works_and_the_other_takes_over() {
    let h = Harness::new().await;
    let first = h.start_with(config("first"));
    h.until("first owns it", || async {
        h.stream_status().is_some_and(|s| s.owner == "first")
    })
    .await;
    let second = h.start_with(config("second"));
    for seq in 1..=40 {
        h.source.write(seq);
    }
    h.published(40).await;
    assert_eq!(h.stream_status().unwrap().owner, "first");
    first.kill().await;
    for seq in 41..=80 {
        h.source.write(seq);
    }
    h.published(80).await;
    h.until("second owns it", || async {
        h.stream_status().is_some_and(|s| s.owner == "second")
    })
    .await;
    assert_eq!(h.positions().await, (1..=80).collect::<Vec<_>>());
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_a_job_stops() {
    let h = Harness::new().await;
    let running = h.start();
    h.begun().await;
    h.registry.delete("j").await.unwrap();
    pause(200).await;
    let calls = h.source.calls("get_binlog");
    pause(200).await;
    assert_eq!(h.source.calls("get_binlog"), calls);
    h.registry.create(&h.job("k")).await.unwrap();
    h.source.write(1);
    h.published(1).await;
    running.stop().await;
}
