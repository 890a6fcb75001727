//! Names pass from table to table, into the job and out of it, and the process dies at any call: in the end every name of the job
//! belongs to the content of the table that bears it at the source.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use ccr_control::{ProducerRequest, ResyncsDone};
use ccr_log::{NewRecord, Offset};
use ccr_ops::Secret;
use ccr_schemas::event::{SnapshotTable, SnapshotTaken};
use ccr_schemas::{CommitSeq, Envelope, Event, TableId, TimestampMs};
use common::source::{Source, summary};
use common::world::{Harness, Ran};
use common::{Fake, FakeTable};
use futures::future::join_all;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const FROM_START: &str = r#"{"v":1,"seq":-1,"t":0}"#;
/// Names that tables get; the job leaves out those that begin with an o.
const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "o1", "o2", "o3"];

fn is_in(name: &str) -> bool {
    !name.starts_with('o')
}

/// A random event that keeps every name of the job in it: none leaves without another table taking it.
fn any(source: &mut Source, n: usize) -> Envelope {
    loop {
        let ids: Vec<i64> = source.tables.keys().copied().collect();
        let one = ids[source.random(ids.len() as u64) as usize];
        let other = ids[source.random(ids.len() as u64) as usize];
        let taken: BTreeSet<String> = source.tables.values().map(|t| t.name.clone()).collect();
        let free = NAMES.iter().find(|name| !taken.contains(**name));
        let (one_in, other_in) = (
            is_in(&source.tables[&one].name),
            is_in(&source.tables[&other].name),
        );
        return match (source.random(16), free) {
            (0, Some(name)) if !one_in || is_in(name) => source.rename(one, name),
            (1 | 2, _) if one != other => source.swap(one, other),
            // Without a swap the name of the replacement ends.
            (3 | 4, _) if one != other && (one_in || !other_in) => source.replace(one, other),
            (5, Some(name)) => source.create(name),
            (6, Some(name)) => Source::by_snapshot(source.create(name)),
            (7, _) if ids.len() > 2 => source.drop_table(one),
            (8, _) => Source::by_snapshot(source.truncate(one)),
            (9, _) => source.truncate(one),
            (10, _) => source.add_column(one, &format!("x{n}")),
            (11, _) if one != other => source.write(&[one, other]),
            (12.., _) => source.write(&[one]),
            _ => continue,
        };
    }
}

/// Answers every request for a snapshot as a source does that has run all events: with what it has now.
async fn answer(harness: &Harness, tables: &[(i64, FakeTable)], seq: CommitSeq, own: &Source) {
    let mut next = Offset(0);
    loop {
        let requests = harness
            .log
            .read_range(&harness.control(), next, 100)
            .await
            .unwrap();
        for record in &requests {
            next = Offset(record.offset.0 + 1);
            let request = serde_json::from_slice(record.value.as_ref().unwrap()).unwrap();
            let ProducerRequest::Snapshot {
                request_id,
                tables: wanted,
                ..
            } = request
            else {
                continue;
            };
            let found = tables
                .iter()
                .find(|(_, table)| wanted.contains(&table.name));
            if let Some((id, table)) = found {
                announce(harness, *id, table, seq, own, request_id).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn announce(
    harness: &Harness,
    id: i64,
    table: &FakeTable,
    seq: CommitSeq,
    own: &Source,
    request_id: String,
) {
    let object =
        json!({"version": table.version, "rowsets": table.tablets, "columns": table.columns});
    let objects = Value::Object([(table.name.clone(), object)].into_iter().collect());
    let job_info = json!({"name": "snap", "backup_objects": objects}).to_string();
    let mut bytes = (job_info.len() as u64).to_be_bytes().to_vec();
    bytes.extend(job_info.as_bytes());
    let chunk = NewRecord {
        key: request_id.clone(),
        value: Some(bytes.into()),
        headers: vec![],
    };
    let at = harness
        .log
        .append(&harness.snapshots(), vec![chunk])
        .await
        .unwrap();
    let sum = Sha256::digest(job_info.as_bytes());
    let taken = Event::SnapshotTaken(SnapshotTaken {
        label: request_id.clone(),
        tables: vec![SnapshotTable {
            table: own.table_ref(id),
            commit_seq: seq,
            partitions: vec![],
        }],
        views: vec![],
        whole_database: false,
        commit_seq: seq,
        resume_offset: 0,
        chunks_offset: at.0,
        chunk_count: 1,
        sha256: sum.iter().map(|byte| format!("{byte:02x}")).collect(),
        compressed: false,
        expires_at: TimestampMs(i64::MAX),
        backends: vec![],
        sealed_token: harness.sealer.seal(&Secret::new("tok".to_owned())).unwrap(),
        request_ids: vec![request_id],
    });
    harness.publish(&[own.own(taken)]).await;
}

async fn world(seed: u64, events: usize) -> (Harness, Source) {
    let fake = Fake::default();
    let mut source = Source::new(seed);
    for name in ["a", "b", "c", "o1"] {
        // Somebody has dropped some of the copies.
        if is_in(name) && source.random(3) > 0 {
            fake.create(name);
        }
        source.existing(name);
    }
    let mut harness = Harness::new(fake).await;
    let left_out = NAMES.iter().filter(|name| !is_in(name));
    harness.spec.tables.exclude = left_out.map(|name| (*name).to_owned()).collect();
    let mut envelopes: Vec<_> = (0..events).map(|n| any(&mut source, n)).collect();
    let last: Vec<i64> = source.tables.keys().copied().collect();
    envelopes.extend(last.into_iter().map(|id| source.write(&[id])));
    harness.publish(&envelopes).await;
    harness.start_at(0, FROM_START).await;
    (harness, source)
}

async fn run(harness: &Harness, source: &Source) -> Ran {
    let tables: Vec<_> = source.tables.clone().into_iter().collect();
    tokio::select! {
        ran = harness.run() => ran,
        () = answer(harness, &tables, source.seq(), source) => unreachable!("it answers for ever"),
    }
}

async fn check(harness: &Harness, source: &Source, what: &str) {
    let halted = harness.committed().await.unwrap().metadata;
    assert!(!halted.contains("\"h\""), "{what}: {halted}");
    let mut expected = source.expected();
    expected.retain(|(name, ..)| is_in(name));
    assert_eq!(summary(harness.fake.tables()), expected, "{what}");
}

#[tokio::test(flavor = "current_thread")]
async fn every_name_of_the_job_has_the_content_of_its_table_whatever_names_do() {
    let seeds = (0..30).map(|seed| async move {
        let (harness, source) = world(seed, 24).await;
        assert!(matches!(run(&harness, &source).await, Ran::CaughtUp));
        check(&harness, &source, &format!("seed {seed}")).await;
    });
    join_all(seeds).await;
}

#[tokio::test(flavor = "current_thread")]
async fn crash_after_crash_while_names_pass_on_neither_loses_nor_doubles() {
    let seeds = (100..160).map(|seed| async move {
        let (harness, mut source) = world(seed, 16).await;
        let mut crashes = 0;
        loop {
            let calls = 3 + source.random(40);
            let after = source.random(2) == 0;
            harness.fake.crash_at(calls, after);
            match run(&harness, &source).await {
                Ran::CaughtUp => break,
                Ran::Crashed => crashes += 1,
            }
            harness.fake.no_crash();
            assert!(crashes < 200, "seed {seed} does not get on");
        }
        check(
            &harness,
            &source,
            &format!("seed {seed} after {crashes} crashes"),
        )
        .await;
    });
    join_all(seeds).await;
}

/// What happens to a table whose copy somebody has dropped.
const CHANGES: [fn(&mut Source, i64, i64) -> Envelope; 5] = [
    |source, a, _| source.write(&[a]),
    |source, a, b| source.write(&[a, b]),
    |source, a, _| source.add_column(a, "x"),
    |source, a, _| source.rename(a, "d"),
    |source, a, b| source.swap(b, a),
];

async fn without_a_copy(change: usize) -> (Harness, Source) {
    let fake = Fake::default();
    fake.create("b");
    let mut source = Source::new(1);
    let (a, b) = (source.existing("a"), source.existing("b"));
    let harness = Harness::new(fake).await;
    let mut events = vec![source.write(&[b]), CHANGES[change](&mut source, a, b)];
    events.extend([source.write(&[a]), source.write(&[b])]);
    harness.publish(&events).await;
    harness.start_at(0, FROM_START).await;
    (harness, source)
}

/// Whatever call the process dies at, the snapshot that takes the place of an event contains it once.
#[tokio::test(flavor = "current_thread")]
async fn a_crash_at_any_call_of_a_snapshot_in_place_of_an_event_repeats_nothing() {
    for change in 0..CHANGES.len() {
        let (harness, source) = without_a_copy(change).await;
        run(&harness, &source).await;
        let calls = harness.fake.calls();
        let points = (1..=calls).flat_map(|at| [(at, false), (at, true)]);
        let tries = points.map(|(at, after_effect)| async move {
            let what =
                format!("change {change}, call {at} of {calls}, after its effect: {after_effect}");
            let (harness, source) = without_a_copy(change).await;
            harness.fake.crash_at(at, after_effect);
            if matches!(run(&harness, &source).await, Ran::Crashed) {
                harness.fake.no_crash();
                assert!(
                    matches!(run(&harness, &source).await, Ran::CaughtUp),
                    "{what}"
                );
            }
            check(&harness, &source, &what).await;
        });
        join_all(tries).await;
    }
}

/// A table whose copy lacks rows, so that a person asks for it again: while it follows, halted, renamed or exchanged meanwhile.
async fn asked_for_again(case: usize) -> (Harness, Source) {
    let fake = Fake::default();
    let mut source = Source::new(1);
    for name in ["a", "b"] {
        fake.create(name);
    }
    let (a, b) = (source.existing("a"), source.existing("b"));
    let lost = source.write(&[a]);
    let mut harness = Harness::new(fake).await;
    let at = lost.commit_seq;
    let halted = match case {
        1 | 3 => format!(r#","h":{{"{a}":[{at},"a","rows differ"]}}"#),
        _ => String::new(),
    };
    let mut events = vec![lost, source.write(&[b]), source.write(&[a, b])];
    match case {
        2 | 3 => events.push(source.rename(a, "d")),
        4 => events.push(source.swap(b, a)),
        _ => events.push(source.add_column(a, "x")),
    }
    events.extend([source.write(&[a]), source.write(&[b])]);
    harness.publish(&events).await;
    let name = source.tables[&a].name.clone();
    let wanted = [(TableId(a), name)];
    harness
        .spec
        .table_resyncs
        .ask(wanted, &ResyncsDone::default(), 0);
    let metadata = format!(r#"{{"v":1,"seq":{at},"t":0{halted}}}"#);
    harness.start_at(1, &metadata).await;
    (harness, source)
}

async fn assert_asked_for_again(harness: &Harness, source: &Source, what: &str) {
    check(harness, source, what).await;
    let metadata = harness.committed().await.unwrap().metadata;
    assert!(metadata.contains(r#""r":[1]"#), "{what}: {metadata}");
}

/// Whatever call the process dies at, the snapshot that a person asked for comes in the end, and every row is there once.
#[tokio::test(flavor = "current_thread")]
async fn a_table_that_is_asked_for_again_comes_whatever_the_process_dies_at() {
    for case in 0..5 {
        let (harness, source) = asked_for_again(case).await;
        assert!(
            matches!(run(&harness, &source).await, Ran::CaughtUp),
            "case {case}"
        );
        assert_asked_for_again(&harness, &source, &format!("case {case}")).await;
        let calls = harness.fake.calls();
        let points = (1..=calls).flat_map(|at| [(at, false), (at, true)]);
        let tries = points.map(|(at, after_effect)| async move {
            let what =
                format!("case {case}, call {at} of {calls}, after its effect: {after_effect}");
            let (harness, source) = asked_for_again(case).await;
            harness.fake.crash_at(at, after_effect);
            if matches!(run(&harness, &source).await, Ran::Crashed) {
                harness.fake.no_crash();
                let again = run(&harness, &source).await;
                assert!(matches!(again, Ran::CaughtUp), "{what}");
            }
            assert_asked_for_again(&harness, &source, &what).await;
        });
        join_all(tries).await;
    }
}

/// A request that is done is not answered again by a later run.
#[tokio::test(flavor = "current_thread")]
async fn a_table_that_was_asked_for_once_is_brought_once() {
    let (harness, mut source) = asked_for_again(0).await;
    run(&harness, &source).await;
    let asked = harness.log.watermarks(&harness.control()).await.unwrap().1;
    let ids: Vec<i64> = source.tables.keys().copied().collect();
    let more: Vec<_> = ids.iter().map(|id| source.write(&[*id])).collect();
    harness.publish(&more).await;
    assert!(matches!(run(&harness, &source).await, Ran::CaughtUp));
    assert_asked_for_again(&harness, &source, "the run after it").await;
    let later = harness.log.watermarks(&harness.control()).await.unwrap().1;
    assert_eq!(later, asked, "nothing more was asked of the producer");
}
