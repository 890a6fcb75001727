//! Whatever call a process dies at, every event has its effect exactly once and in order.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use common::Fake;
use common::source::{Source, summary};
use common::world::{Harness, Ran};

const FROM_START: &str = r#"{"v":1,"seq":-1,"t":0}"#;

async fn world(seed: u64, events: usize) -> (Harness, Source) {
    let fake = Fake::default();
    let mut source = Source::new(seed);
    for name in ["a", "b", "c"] {
        fake.create(name);
        source.existing(name);
    }
    let harness = Harness::new(fake).await;
    let envelopes: Vec<_> = (0..events).map(|n| source.any(n)).collect();
    harness.publish(&envelopes).await;
    harness.start_at(0, FROM_START).await;
    (harness, source)
}

async fn check(harness: &Harness, source: &Source, what: &str) {
    let halted = harness.committed().await.unwrap().metadata;
    assert!(
        !halted.contains("\"h\""),
        "{what}: a table stands: {halted}"
    );
    assert_eq!(summary(harness.fake.tables()), source.expected(), "{what}");
}

#[tokio::test(flavor = "current_thread")]
async fn events_are_applied_once_and_in_order() {
    for seed in 0..10 {
        let (harness, source) = world(seed, 60).await;
        assert!(matches!(harness.run().await, Ran::CaughtUp));
        check(&harness, &source, &format!("seed {seed}")).await;
    }
}

/// The process dies once, at every call there is, before or after the effect of that call.
#[tokio::test(flavor = "current_thread")]
async fn a_crash_at_any_call_neither_loses_nor_doubles() {
    let (harness, _) = world(1, 22).await;
    harness.run().await;
    let calls = harness.fake.calls();
    for at in 1..=calls {
        for after_effect in [false, true] {
            let what = format!("crash at call {at} of {calls}, after its effect: {after_effect}");
            let (harness, source) = world(1, 22).await;
            harness.fake.crash_at(at, after_effect);
            if matches!(harness.run().await, Ran::Crashed) {
                harness.fake.no_crash();
                assert!(matches!(harness.run().await, Ran::CaughtUp), "{what}");
            }
            check(&harness, &source, &what).await;
        }
    }
}

/// Many crashes in a row, each a few calls after the start.
#[tokio::test(flavor = "current_thread")]
async fn crash_after_crash_gets_there() {
    for seed in 100..120 {
        let (mut harness, mut source) = world(seed, 60).await;
        harness.spec.options.transactions_in_flight = 4;
        let mut crashes = 0;
        loop {
            let calls = 30 + source.random(60);
            let after = source.random(2) == 0;
            harness.fake.crash_at(calls, after);
            match harness.run().await {
                Ran::CaughtUp => break,
                Ran::Crashed => crashes += 1,
            }
            harness.fake.no_crash();
            assert!(crashes < 200, "seed {seed} does not get on");
        }
        let what = format!("seed {seed} after {crashes} crashes");
        check(&harness, &source, &what).await;
    }
}

/// The destination has forgotten every finished label: its partitions' versions tell.
#[tokio::test(flavor = "current_thread")]
async fn versions_tell_when_labels_are_forgotten() {
    for seed in 200..220 {
        let (harness, mut source) = world(seed, 50).await;
        let calls = 30 + source.random(150);
        harness.fake.crash_at(calls, source.random(2) == 0);
        if matches!(harness.run().await, Ran::Crashed) {
            harness.fake.no_crash();
            harness.fake.forget_labels();
            assert!(matches!(harness.run().await, Ran::CaughtUp));
        }
        check(&harness, &source, &format!("seed {seed}")).await;
    }
}

/// The process before was killed on its way to the end of the log, so that it left no label that tells whether the
/// destination has forgotten others. Its transactions are committed, and visible only later.
#[tokio::test(flavor = "current_thread")]
async fn versions_are_read_when_what_was_committed_before_the_restart_is_visible() {
    let fake = Fake::default();
    let mut source = Source::new(1);
    fake.create("a");
    let table = source.existing("a");
    let harness = Harness::new(fake).await;
    let loads = [source.write(&[table]), source.write(&[table])];
    harness.publish(&loads).await;
    harness.start_at(0, FROM_START).await;
    harness.fake.publish_late(u32::MAX);
    assert!(matches!(harness.run().await, Ran::CaughtUp));
    let offset = harness.committed().await.unwrap().offset.0;
    let metadata = format!(r#"{{"v":1,"seq":{},"t":0,"db":7}}"#, source.seq());
    let load = source.write(&[table]);
    harness.publish(&[load]).await;
    harness.start_at(offset, &metadata).await;
    harness.fake.publish_late(5);
    assert!(matches!(harness.run().await, Ran::CaughtUp));
    harness.fake.publish();
    check(&harness, &source, "committed and not visible").await;
}

/// The process before left out a transaction whose data the source had no more, because a later event removes it: the
/// partition lags behind until then.
#[tokio::test(flavor = "current_thread")]
async fn a_partition_that_lags_until_it_is_emptied_halts_no_table() {
    let fake = Fake::default();
    let mut source = Source::new(1);
    fake.create("a");
    fake.create("b");
    let (table, other) = (source.existing("a"), source.existing("b"));
    let harness = Harness::new(fake).await;
    harness.publish(&[source.write(&[table])]).await;
    let metadata = format!(r#"{{"v":1,"seq":{},"t":0,"db":7}}"#, source.seq());
    let mut events = vec![source.write(&[table])];
    // More than is read before the first of them is judged.
    events.extend((0..600).map(|_| source.write(&[other])));
    events.extend([source.truncate(table), source.write(&[table])]);
    harness.publish(&events).await;
    harness.start_at(1, &metadata).await;
    assert!(matches!(harness.run().await, Ran::CaughtUp));
    check(&harness, &source, "left out before a truncate").await;
}
