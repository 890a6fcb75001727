//! Snapshots on request.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ccr_control::ProducerRequest;
use ccr_log::Offset;
use ccr_producer::snapshot::payload::sha256;
use ccr_schemas::topic::producer_group;
use ccr_schemas::{CommitSeq, Event, TopicName};

use crate::harness::{Harness, config};

/// What a test logs, as text.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Logged {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A storm of renames: the request names a table that is already called something else, and is withdrawn when the event
/// that says so is read. One thread, whose log is looked at.
#[tokio::test]
async fn a_table_that_a_later_event_explains_is_no_warning() {
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let h = Harness::new().await;
    let running = h.start();
    h.begun().await;
    h.ask("j.1.1", &["renamed"]).await;
    h.until("a failed attempt", || async {
        h.stream_status()
            .is_some_and(|status| status.snapshots.iter().any(|s| s.failures > 0))
    })
    .await;
    h.request(&ProducerRequest::Withdraw {
        request_id: "j.1.1".to_owned(),
    })
    .await;
    h.until("nothing waits", || async {
        h.stream_status()
            .is_some_and(|status| status.snapshots.is_empty())
    })
    .await;
    running.stop().await;
    let text = logged.text();
    assert!(text.contains("has no table renamed"), "{text}");
    assert!(!text.contains("WARN"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_answered_by_a_snapshot_whose_chunks_check_out() {
    let h = Harness::new().await;
    let running = h.start();
    h.begun().await;
    h.source.write(1);
    h.published(1).await;
    let (_, before) = h
        .log
        .watermarks(&TopicName::events("ccr", "c1", "db"))
        .await
        .unwrap();
    h.ask("r1", &["t"]).await;
    h.until("answer", || async { !h.snapshots().await.is_empty() })
        .await;
    let taken = h.snapshots().await.remove(0);
    assert_eq!(taken.request_ids, ["r1"]);
    assert!(!taken.whole_database);
    assert_eq!(taken.tables[0].table.name, "t");
    assert_eq!(taken.tables[0].commit_seq, CommitSeq(2));
    assert!(taken.resume_offset >= before.0);
    assert_eq!(taken.backends[0].host, "be7");
    assert_eq!(
        h.sealer.open(&taken.sealed_token).unwrap().expose(),
        "the download token"
    );
    let chunks = h
        .log
        .read_range(
            &TopicName::snapshots("ccr", "c1", "db"),
            Offset(taken.chunks_offset),
            taken.chunk_count.try_into().unwrap(),
        )
        .await
        .unwrap();
    assert_eq!(chunks.len(), 2);
    assert!(chunks.iter().all(|c| c.key == taken.label));
    let payload: Vec<u8> = chunks
        .iter()
        .flat_map(|c| c.value.clone().unwrap().to_vec())
        .collect();
    let (length, rest) = payload.split_at(8);
    let length = u64::from_be_bytes(length.try_into().unwrap());
    let (job_info, meta) = rest.split_at(length.try_into().unwrap());
    assert_eq!(sha256(job_info, meta), taken.sha256);
    assert_eq!(meta.len(), 600_000);
    // The request is answered: its offset is committed.
    let group = producer_group("ccr", "c1", "db");
    let control = TopicName::control("ccr", "c1", "db");
    h.until("request committed", || async {
        let committed = h.log.committed(&group, &control).await.unwrap();
        committed.is_some_and(|c| c.offset == Offset(1))
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_share_a_backup_and_later_ones_its_announcement() {
    let h = Harness::new().await;
    h.source.world().tables.insert(2000, "u".to_owned());
    let running = h.start();
    h.begun().await;
    h.ask("a", &["t"]).await;
    h.ask("b", &["u"]).await;
    h.ask("c", &[]).await;
    h.until("answers", || async {
        h.snapshots()
            .await
            .iter()
            .map(|s| s.request_ids.len())
            .sum::<usize>()
            == 3
    })
    .await;
    assert_eq!(h.source.world().backups.len(), 1);
    assert!(h.snapshots().await[0].whole_database);
    // Events go on meanwhile, and a later request needs no backup.
    h.source.write(10);
    h.published(10).await;
    h.ask("d", &["t"]).await;
    h.until("announced again", || async {
        h.snapshots().await.last().unwrap().request_ids == ["d"]
    })
    .await;
    assert_eq!(h.source.world().backups.len(), 1);
    // Also after a restart, from the log alone.
    running.stop().await;
    let running = h.start();
    h.ask("e", &[]).await;
    h.until("announced after restart", || async {
        // With it "d" may come once more: that it was answered is committed a moment after the answer.
        let last = h.snapshots().await.pop().unwrap();
        last.request_ids.contains(&"e".to_owned())
    })
    .await;
    assert_eq!(h.source.world().backups.len(), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_goes_on_while_a_backup_is_waited_for() {
    let h = Harness::new().await;
    h.source.world().busy = 1;
    let running = h.start();
    h.begun().await;
    h.ask("a", &["t"]).await;
    h.until("waiting for the other backup", || async {
        h.source.calls("backup") >= 1
    })
    .await;
    h.source.write(1);
    h.published(1).await;
    assert!(h.snapshots().await.is_empty());
    h.until("answer", || async { !h.snapshots().await.is_empty() })
        .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_table_is_named_and_does_not_hold_up_other_requests() {
    let h = Harness::new().await;
    let running = h.start();
    h.begun().await;
    h.ask("bad", &["nowhere"]).await;
    h.ask("good", &["t"]).await;
    h.until("the good one answered", || async {
        h.snapshots()
            .await
            .iter()
            .any(|s| s.request_ids == ["good"])
    })
    .await;
    h.until("the bad one named", || async {
        h.stream_status()
            .and_then(|s| s.last_error)
            .is_some_and(|e| e.contains("no table nowhere"))
    })
    .await;
    h.request(&ProducerRequest::Withdraw {
        request_id: "bad".to_owned(),
    })
    .await;
    h.source.write(1);
    h.published(1).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_waits_for_a_producer() {
    let h = Harness::new().await;
    h.ask("early", &["t"]).await;
    let running = h.start();
    h.until("answer", || async {
        h.snapshots()
            .await
            .iter()
            .any(|s| s.request_ids == ["early"])
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_has_an_empty_snapshot() {
    let h = Harness::new().await;
    h.source.world().tables.clear();
    let running = h.start_with(ccr_producer::ProducerConfig {
        snapshot_reuse: Duration::ZERO,
        ..config("test")
    });
    h.ask("a", &[]).await;
    h.until("answer", || async { !h.snapshots().await.is_empty() })
        .await;
    let taken = h.snapshots().await.remove(0);
    assert_eq!((taken.chunk_count, taken.tables.len()), (0, 0));
    assert!(taken.whole_database);
    assert_eq!(h.source.calls("backup"), 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_the_source_refuses_for_a_while_is_shown_and_begins_seconds_after() {
    const TEXT: &str = "Do not support backup table t with temp partitions";
    let h = Harness::new().await;
    h.source.world().backup_refusal = Some(TEXT);
    let running = h.start();
    h.begun().await;
    h.ask("j.1.1", &["t"]).await;
    h.until("the reason, twice", || async {
        let shown = h.stream_status().map(|status| status.snapshots);
        shown.is_some_and(|shown| {
            shown.iter().any(|snapshot| {
                let problem = snapshot.problem.as_ref();
                snapshot.failures >= 2
                    && snapshot.request_ids == ["j.1.1"]
                    && snapshot.next_attempt_at_ms.is_some()
                    && problem.is_some_and(|p| p.what.contains(TEXT) && p.since_ms.is_some())
            })
        })
    })
    .await;
    h.source.world().backup_refusal = None;
    let answered = h.until("answer", || async { !h.snapshots().await.is_empty() });
    tokio::time::timeout(Duration::from_secs(6), answered)
        .await
        .unwrap();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_job_is_given_no_snapshot_that_lies_before_lost_history() {
    let h = Harness::new().await;
    let running = h.start();
    h.begun().await;
    h.source.write(1);
    h.published(1).await;
    h.ask("a.1.1", &[]).await;
    h.until("the first", || async { h.snapshots().await.len() == 1 })
        .await;
    let gap_is_published = || async {
        let events = h.envelopes().await;
        events
            .iter()
            .any(|(_, envelope)| matches!(envelope.event, Event::Gap(_)))
    };
    running.stop().await;
    h.source.write(20);
    h.source.forget(20);
    h.source.write(21);
    let running = h.start();
    h.until("the gap", gap_is_published).await;
    h.ask("b.1.1", &[]).await;
    h.until("the second", || async { h.snapshots().await.len() == 2 })
        .await;
    assert_eq!(h.source.world().backups.len(), 2);
    // Also after a restart, from the log alone.
    running.stop().await;
    let running = h.start();
    h.ask("c.1.1", &[]).await;
    h.until("the third", || async { h.snapshots().await.len() >= 3 })
        .await;
    let last = h.snapshots().await.pop().unwrap();
    assert!(last.commit_seq >= CommitSeq(20), "{}", last.commit_seq);
    running.stop().await;
}
