//! A job's first start: a snapshot is asked for, restored, and read on from without gap or overlap.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use ccr_control::{JobState, ProducerRequest, Resync};
use ccr_doris::SqlSession;
use ccr_log::{NewRecord, Offset};
use ccr_ops::Secret;
use ccr_schemas::event::{BackendAddress, SnapshotTable, SnapshotTaken};
use ccr_schemas::{BackendId, CommitSeq, Event, TimestampMs};
use common::Fake;
use common::source::{Source, summary};
use common::world::Harness;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

const JOB_INFO: &[u8] =
    br#"{"name":"snap","backup_objects":{"a":{"version":6},"b":{"version":6}},"big":9223372036854775807}"#;

/// Answers the first request of the control topic.
async fn answer(harness: &Harness, source: &Source, resume: i64) -> String {
    let request_id = loop {
        let requests = harness
            .log
            .read_range(&harness.control(), Offset(0), 10)
            .await
            .unwrap();
        if let Some(record) = requests.first() {
            match serde_json::from_slice(record.value.as_ref().unwrap()).unwrap() {
                ProducerRequest::Snapshot { request_id, .. } => break request_id,
                ProducerRequest::Withdraw { .. } => panic!("nothing to withdraw"),
            }
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    };
    let meta = vec![7_u8; 1000];
    let mut bytes = (JOB_INFO.len() as u64).to_be_bytes().to_vec();
    bytes.extend(JOB_INFO);
    bytes.extend(&meta);
    let records: Vec<_> = bytes
        .chunks(300)
        .map(|chunk| NewRecord {
            key: "snap".to_owned(),
            value: Some(chunk.to_vec().into()),
            headers: vec![],
        })
        .collect();
    let count = records.len() as i64;
    let last = harness
        .log
        .append(&harness.snapshots(), records)
        .await
        .unwrap();
    let sum = Sha256::new()
        .chain_update(JOB_INFO)
        .chain_update(&meta)
        .finalize();
    let tables = source
        .tables
        .keys()
        .map(|id| SnapshotTable {
            table: source.table_ref(*id),
            commit_seq: source.seq(),
            partitions: vec![],
        })
        .collect();
    let taken = Event::SnapshotTaken(SnapshotTaken {
        label: "snap".to_owned(),
        tables,
        views: vec![],
        whole_database: true,
        commit_seq: source.seq(),
        resume_offset: resume,
        chunks_offset: last.0 - count + 1,
        chunk_count: count as i32,
        sha256: sum.iter().map(|byte| format!("{byte:02x}")).collect(),
        compressed: false,
        expires_at: TimestampMs(i64::MAX),
        backends: vec![BackendAddress {
            id: BackendId(3),
            host: "sbe".to_owned(),
            http_port: 8040,
        }],
        sealed_token: harness.sealer.seal(&Secret::new("tok".to_owned())).unwrap(),
        request_ids: vec![request_id.clone()],
    });
    harness.publish(&[source.own(taken)]).await;
    request_id
}

/// Source with two tables whose early events are in the snapshot, and what comes after it.
async fn scenario(harness: &Harness) -> Source {
    let mut source = Source::new(1);
    let (a, b) = (source.existing("a"), source.existing("b"));
    let old: Vec<_> = (0..5).map(|_| source.write(&[a, b])).collect();
    harness.publish(&old).await;
    answer(harness, &source, 2).await;
    // The restored tables start empty in the fake: from here on both sides have the same.
    for table in source.tables.values_mut() {
        table.tablets.iter_mut().for_each(Vec::clear);
    }
    let mut new = vec![source.write(&[a]), source.create("later")];
    let later = *source.tables.keys().last().unwrap();
    new.extend([
        source.write(&[later]),
        source.truncate(a),
        source.write(&[a, b]),
    ]);
    harness.publish(&new).await;
    source
}

#[tokio::test]
async fn a_new_job_restores_a_snapshot_and_goes_on_behind_it() {
    let harness = Harness::new(Fake::default()).await;
    let token = CancellationToken::new();
    let running = tokio::spawn(harness.runner().run(token.clone()));
    let source = tokio::time::timeout(Duration::from_secs(10), scenario(&harness))
        .await
        .unwrap();
    let (_, end) = harness.log.watermarks(&harness.events()).await.unwrap();
    let until_applied = async {
        while harness.committed().await.is_none_or(|c| c.offset < end) {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(10), until_applied)
        .await
        .is_err()
    {
        panic!(
            "{:#?} {:?}",
            harness.status.job("job"),
            harness.committed().await
        );
    }
    assert_eq!(summary(harness.fake.tables()), source.expected());
    assert_eq!(harness.fake.restores().len(), 1);
    token.cancel();
    running.await.unwrap().unwrap();
    let status = harness.status.job("job").unwrap();
    assert_eq!(
        status.skipped["contained in the snapshot"], 3,
        "read from offset 2"
    );
    assert_eq!(status.applied, source.seq());
}

/// The restore is not started twice, and nothing is lost, whatever call the process dies at.
#[tokio::test(flavor = "current_thread")]
async fn a_crash_during_the_first_start_goes_on() {
    for at in 1..15 {
        for after_effect in [false, true] {
            let what = format!("crash at call {at}, after its effect: {after_effect}");
            let mut harness = Harness::new(Fake::default()).await;
            harness.fake.crash_at(at, after_effect);
            // The fake's restore answers at once, so a repeated one would make the tables a second time.
            harness.spec.options.allow_table_exists = false;
            let first = tokio::spawn(harness.runner().run(CancellationToken::new()));
            let source = scenario(&harness).await;
            tokio::time::timeout(Duration::from_secs(5), harness.fake.crashed.notified())
                .await
                .unwrap();
            first.abort();
            let _ = first.await;
            harness.fake.no_crash();
            harness.run().await;
            assert_eq!(summary(harness.fake.tables()), source.expected(), "{what}");
            assert_eq!(harness.fake.restores().len(), 1, "{what}");
        }
    }
}

#[tokio::test]
async fn existing_tables_are_never_overwritten_unasked() {
    let harness = Harness::new(Fake::default()).await;
    harness.fake.create("b");
    let token = CancellationToken::new();
    let running = tokio::spawn(harness.runner().run(token.clone()));
    scenario(&harness).await;
    let halted = async {
        loop {
            if let Some(status) = harness.status.job("job")
                && status.state == JobState::Halted
            {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(10), halted)
        .await
        .unwrap();
    assert!(status.action.contains("has b already"), "{}", status.action);
    assert!(harness.fake.restores().is_empty());
    token.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(harness.status.job("job").unwrap().applied, CommitSeq(-1));
}

/// Tables of a life before, told apart from restored ones by a column.
async fn leave_behind(harness: &Harness, names: &[&str]) {
    for name in names {
        harness.fake.create(name);
        let sql = format!("ALTER TABLE `{name}` ADD COLUMN `outdated` INT");
        harness.fake.execute(None, &sql).await.unwrap();
    }
}

/// The table under another name is restored aside and takes its place once, whatever call the process dies at.
#[tokio::test(flavor = "current_thread")]
async fn a_resync_replaces_what_is_there_also_through_a_crash() {
    for at in 1..19 {
        for after_effect in [false, true] {
            let what = format!("crash at call {at}, after its effect: {after_effect}");
            let mut harness = Harness::new(Fake::default()).await;
            harness.spec.dest.table_names = BTreeMap::from([("a".to_owned(), "other".to_owned())]);
            harness.spec.resync = Some(Resync {
                at_ms: 1,
                alone: true,
            });
            leave_behind(&harness, &["other", "b", "foreign"]).await;
            harness.fake.crash_at(at, after_effect);
            let first = tokio::spawn(harness.runner().run(CancellationToken::new()));
            let source = scenario(&harness).await;
            tokio::time::timeout(Duration::from_secs(5), harness.fake.crashed.notified())
                .await
                .unwrap();
            first.abort();
            let _ = first.await;
            harness.fake.no_crash();
            harness.run().await;
            let mut expected = source.expected();
            expected
                .iter_mut()
                .filter(|table| table.0 == "a")
                .for_each(|table| table.0 = "other".to_owned());
            let mut found = summary(harness.fake.tables());
            let foreign = found.iter().position(|table| table.0 == "foreign");
            found.remove(foreign.expect("not the job's: it stays"));
            expected.sort();
            found.sort();
            assert_eq!(found, expected, "{what}");
            assert_eq!(harness.fake.restores().len(), 1, "{what}");
        }
    }
}

#[tokio::test]
async fn a_resync_removes_what_the_source_does_not_have_only_where_nobody_else_writes() {
    for (alone, foreign_stays) in [(true, false), (false, true)] {
        let mut harness = Harness::new(Fake::default()).await;
        harness.spec.resync = Some(Resync { at_ms: 1, alone });
        leave_behind(&harness, &["a", "b", "foreign"]).await;
        let token = CancellationToken::new();
        let running = tokio::spawn(harness.runner().run(token.clone()));
        let source = scenario(&harness).await;
        token.cancel();
        running.await.unwrap().unwrap();
        harness.run().await;
        let mut found = summary(harness.fake.tables());
        let foreign = found.iter().position(|table| table.0 == "foreign");
        assert_eq!(foreign.is_some(), foreign_stays);
        if let Some(at) = foreign {
            found.remove(at);
        }
        assert_eq!(found, source.expected());
    }
}

#[tokio::test]
async fn a_resync_wants_a_snapshot_of_all_that_was_read() {
    let mut harness = Harness::new(Fake::default()).await;
    harness.spec.resync = Some(Resync {
        at_ms: 1,
        alone: true,
    });
    let mut source = Source::new(2);
    let table = source.existing("a");
    harness.publish(&[source.write(&[table])]).await;
    let token = CancellationToken::new();
    let running = tokio::spawn(harness.runner().run(token.clone()));
    let control = harness.control();
    let asked = async {
        loop {
            let requests = harness.log.read_range(&control, Offset(0), 1);
            if let Some(record) = requests.await.unwrap().first() {
                return serde_json::from_slice(record.value.as_ref().unwrap()).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    };
    let request: ProducerRequest = tokio::time::timeout(Duration::from_secs(10), asked)
        .await
        .unwrap();
    assert_eq!(
        request,
        ProducerRequest::Snapshot {
            request_id: "job.i1.1".to_owned(),
            tables: Vec::new(),
            not_before: source.seq().0,
        }
    );
    token.cancel();
    running.await.unwrap().unwrap();
}
