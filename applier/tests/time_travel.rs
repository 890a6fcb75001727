//! A store that went back to an older state is noticed: the log with the job's position, the position alone, the destination.
//! Whatever call the process dies at meanwhile, each table ends equal, or halted with the repair in the text.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use ccr_applier::plan::Checkpoint;
use ccr_control::{JobState, JobStatus};
use ccr_log::Committed;
use ccr_schemas::Envelope;
use common::Fake;
use common::copy::Copy;
use common::source::{Source, summary};
use common::world::{Harness, Ran};
use tokio_util::sync::CancellationToken;

const FROM_START: &str = r#"{"v":1,"seq":-1,"t":0}"#;

/// What a job did before a store went back.
struct History {
    harness: Harness,
    source: Source,
    tables: [i64; 3],
    events: Vec<Envelope>,
    /// Number of events, position and destination at the time that the store goes back to.
    then: (usize, Committed, Copy),
}

/// Loads; then `t` is dropped, created and loaded, `u` is truncated and loaded, `v` is loaded.
async fn history() -> History {
    let fake = Fake::default();
    let mut source = Source::new(7);
    let mut tables = [0; 3];
    for (table, name) in tables.iter_mut().zip(["t", "u", "v"]) {
        fake.create(name);
        *table = source.existing(name);
    }
    let harness = Harness::new(fake).await;
    let [t, u, v] = tables;
    let mut events = vec![
        source.write(&[t]),
        source.write(&[u]),
        source.write(&[v]),
        source.write(&[u]),
    ];
    harness.publish(&events).await;
    harness.start_at(0, FROM_START).await;
    assert!(matches!(harness.run().await, Ran::CaughtUp));
    let position = harness.committed().await.unwrap();
    let then = (events.len(), position, harness.fake.copy());
    harness.fake.pass_time(60);
    let mut more = vec![source.drop_table(t), source.create("t")];
    let t = *source.tables.keys().last().unwrap();
    more.extend([
        source.write(&[t]),
        source.write(&[t]),
        source.truncate(u),
        source.write(&[u]),
        source.write(&[v]),
        source.write(&[v]),
    ]);
    harness.publish(&more).await;
    events.extend(more);
    assert!(matches!(harness.run().await, Ran::CaughtUp));
    assert_eq!(summary(harness.fake.tables()), source.expected());
    History {
        harness,
        source,
        tables: [t, u, v],
        events,
        then,
    }
}

impl History {
    /// The log and the position go back together; the producer reads the source again from there.
    async fn put_log_back(&mut self) {
        let (count, position, _) = &self.then;
        let mut harness = Harness::new(self.harness.fake.clone()).await;
        harness.spec = self.harness.spec.clone();
        harness.sealer = self.harness.sealer.clone();
        harness.publish(&self.events[..*count]).await;
        harness
            .start_at(position.offset.0, &position.metadata)
            .await;
        self.harness = harness;
    }

    /// Only the position goes back.
    async fn put_position_back(&mut self) {
        let (_, position, _) = &self.then;
        self.harness
            .start_at(position.offset.0, &position.metadata)
            .await;
    }

    /// Tables that halted, each with a text that names versions and repair.
    async fn halted(&self) -> BTreeSet<String> {
        let metadata = self.harness.committed().await.unwrap().metadata;
        let checkpoint = Checkpoint::decode(&metadata).unwrap();
        let halted = checkpoint.halted.into_values();
        halted
            .map(|halted| {
                assert!(halted.2.contains("version"), "{}", halted.2);
                halted.1
            })
            .collect()
    }

    /// Every table is equal or halted.
    async fn check(&self, what: &str) -> BTreeSet<String> {
        let halted = self.halted().await;
        let here = summary(self.harness.fake.tables());
        for (table, there) in here.iter().zip(self.source.expected()) {
            assert_eq!(table.0, there.0, "{what}");
            if !halted.contains(&table.0) {
                assert_eq!(*table, there, "{what}: silent difference");
            }
        }
        halted
    }
}

async fn halted_job(harness: &Harness) -> JobStatus {
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
        .unwrap_or_else(|_| panic!("last status: {:#?}", harness.status.job("job")));
    token.cancel();
    running.await.unwrap().unwrap();
    status
}

#[tokio::test]
async fn a_log_that_went_back_halts_the_tables_that_lack_what_their_labels_say() {
    let mut history = history().await;
    history.put_log_back().await;
    // What is read first was read before; what comes then was not in the log when the process started.
    assert!(matches!(history.harness.run().await, Ran::CaughtUp));
    history
        .harness
        .publish(&history.events[history.then.0..])
        .await;
    assert!(matches!(history.harness.run().await, Ran::CaughtUp));
    let halted = history.check("log").await;
    assert_eq!(halted, BTreeSet::from(["t".to_owned(), "u".to_owned()]));
}

#[tokio::test]
async fn a_position_that_went_back_halts_the_tables_that_lack_what_their_labels_say() {
    let mut history = history().await;
    history.put_position_back().await;
    assert!(matches!(history.harness.run().await, Ran::CaughtUp));
    let halted = history.check("position").await;
    assert_eq!(halted, BTreeSet::from(["t".to_owned(), "u".to_owned()]));
}

#[tokio::test]
async fn a_log_or_a_position_that_went_back_is_noticed_whatever_call_the_process_dies_at() {
    for with_log in [true, false] {
        for after_effect in [true, false] {
            for at in 1.. {
                let what = format!("log {with_log}, call {at}, after its effect {after_effect}");
                let mut history = history().await;
                if with_log {
                    history.put_log_back().await;
                    history
                        .harness
                        .publish(&history.events[history.then.0..])
                        .await;
                } else {
                    history.put_position_back().await;
                }
                history.harness.fake.crash_at(at, after_effect);
                let ran = history.harness.run().await;
                history.harness.fake.no_crash();
                if matches!(ran, Ran::CaughtUp) {
                    break;
                }
                assert!(
                    matches!(history.harness.run().await, Ran::CaughtUp),
                    "{what}"
                );
                let halted = history.check(&what).await;
                assert_eq!(
                    halted,
                    BTreeSet::from(["t".to_owned(), "u".to_owned()]),
                    "{what}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_destination_that_went_back_while_the_job_is_stopped_halts_the_job() {
    let history = history().await;
    history.harness.fake.put_back(&history.then.2);
    for _ in 0..2 {
        // Also after a restart.
        let status = halted_job(&history.harness).await;
        for part in [
            "does not know transaction",
            "went back",
            "`ccr job resync job`",
        ] {
            assert!(status.action.contains(part), "{part:?}: {}", status.action);
        }
    }
}

#[tokio::test]
async fn a_destination_that_went_back_while_the_job_runs_halts_the_job_at_the_first_call() {
    let mut history = history().await;
    let token = CancellationToken::new();
    let running = tokio::spawn(history.harness.runner().run(token.clone()));
    let v = history.tables[2];
    let event = history.source.write(&[v]);
    let end = history.harness.publish(&[event]).await + 1;
    while history
        .harness
        .committed()
        .await
        .is_none_or(|committed| committed.offset.0 < end)
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    history.harness.fake.put_back(&history.then.2);
    let event = history.source.write(&[v]);
    history.harness.publish(&[event]).await;
    let halted = async {
        loop {
            match history.harness.status.job("job") {
                Some(status) if status.state == JobState::Halted => return status,
                Some(_) | None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(10), halted)
        .await
        .unwrap();
    assert!(status.action.contains("went back"), "{}", status.action);
    // Nothing was added to what is there.
    let there = history.harness.fake.tables();
    assert_eq!(summary(there), summary(history.then.2.tables()));
    token.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_destination_that_forgot_everything_is_noticed_by_its_versions() {
    let mut history = history().await;
    history.harness.fake.put_back(&history.then.2);
    history.harness.fake.forget_labels();
    let v = history.tables[2];
    let event = history.source.write(&[v]);
    history.events.push(event.clone());
    history.harness.publish(&[event]).await;
    assert!(matches!(history.harness.run().await, Ran::CaughtUp));
    let halted = history.halted().await;
    assert_eq!(halted, BTreeSet::from(["v".to_owned()]));
}

#[tokio::test]
async fn a_table_that_was_put_back_halts_at_its_next_load() {
    let mut history = history().await;
    history.harness.config.layout_max_age = Duration::ZERO;
    let [_, u, v] = history.tables;
    let token = CancellationToken::new();
    let running = tokio::spawn(history.harness.runner().run(token.clone()));
    for round in 0..2 {
        let events = [history.source.write(&[u]), history.source.write(&[v])];
        let end = history.harness.publish(&events).await + 1;
        while history
            .harness
            .committed()
            .await
            .is_none_or(|committed| committed.offset.0 < end)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if round == 0 {
            assert_eq!(history.halted().await, BTreeSet::new());
            history.harness.fake.put_table_back(&history.then.2, "v");
        }
    }
    assert_eq!(
        history.halted().await,
        BTreeSet::from(["v".to_owned()]),
        "no connection broke and no label is missing"
    );
    token.cancel();
    running.await.unwrap().unwrap();
}
