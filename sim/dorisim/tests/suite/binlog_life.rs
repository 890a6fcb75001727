//! How binlog begins, is read and ends: switches, GC, locks, late records, restarts. Public interfaces only.

mod switches;

use dorisim::SimConfig;
use dorisim_wire::{TFrontendServiceSyncClient, TStatusCode};
use serde_json::json;

use crate::common::peer::{Peer, Rec, binlog_request, code};

const N: &str = "CREATE TABLE d.n (id BIGINT NOT NULL, v INT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1";

fn kinds(records: &[Rec]) -> Vec<i32> {
    records.iter().map(|r| r.kind).collect()
}

fn seqs(records: &[Rec]) -> Vec<i64> {
    records.iter().map(|r| r.seq).collect()
}

/// A database `d` without binlog.
async fn off(name: &str) -> Peer {
    let mut peer = Peer::bare(SimConfig {
        name: name.to_owned(),
        backends: 1,
        ..SimConfig::default()
    })
    .await;
    peer.sql("CREATE DATABASE d").await;
    peer
}

async fn set_db(peer: &mut Peer, key: &str, value: &str) {
    peer.sql(&format!(
        "ALTER DATABASE d SET PROPERTIES (\"{key}\" = \"{value}\")"
    ))
    .await;
}

async fn gc(peer: &Peer) {
    peer.sim("gc", &json!({})).await;
}

async fn advance(peer: &Peer, ms: i64) {
    peer.sim("clock", &json!({"advance_ms": ms})).await;
}

/// Commit seq and time of the DUMMY.
fn head(peer: &mut Peer) -> (i64, i64) {
    let lag = peer.lag(-1);
    (
        lag.first_commit_seq.unwrap(),
        lag.first_binlog_timestamp.unwrap(),
    )
}

async fn comment(peer: &mut Peer, text: &str) -> Rec {
    let statement = format!("ALTER TABLE d.n MODIFY COMMENT '{text}'");
    peer.made_by(&statement).await.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn gc_by_ttl_moves_the_dummy_to_the_newest_expired_record() {
    let mut fe = Peer::start("gc-ttl", 1).await;
    set_db(&mut fe, "binlog.ttl_seconds", "100").await;
    fe.sql(N).await;
    let old = comment(&mut fe, "old").await;
    advance(&fe, 60_000).await;
    let young = comment(&mut fe, "young").await;
    gc(&fe).await;
    assert!(seqs(&fe.records(-1)).contains(&old.seq), "not yet");
    advance(&fe, 42_000).await;
    gc(&fe).await;
    assert_eq!(head(&mut fe), (old.seq, old.wire.timestamp.unwrap()));
    assert_eq!(seqs(&fe.records(old.seq)), [young.seq]);
    let answer = fe.read(old.seq - 1, Some(9));
    assert_eq!(code(&answer.status), TStatusCode::BINLOG_TOO_OLD_COMMIT_SEQ);
    let dummy = answer.binlogs.unwrap();
    assert_eq!(dummy.len(), 1);
    assert_eq!(
        (dummy[0].commit_seq, dummy[0].type_.unwrap().0),
        (Some(old.seq), 7)
    );
    // Table streams follow the database's.
    let table = fe.table_id("n");
    let answer = fe.read_table(table, old.seq - 1);
    assert_eq!(code(&answer.status), TStatusCode::BINLOG_TOO_OLD_COMMIT_SEQ);
    assert_eq!(answer.binlogs.unwrap()[0].belong, Some(table));
}

#[tokio::test(flavor = "multi_thread")]
async fn gc_by_count_includes_the_dummy() {
    let mut fe = Peer::start("gc-count", 1).await;
    fe.sql(N).await;
    for i in 0..6 {
        comment(&mut fe, &i.to_string()).await;
    }
    set_db(&mut fe, "binlog.max_history_nums", "4").await;
    let all = seqs(&fe.records(-1));
    gc(&fe).await;
    let (first, _) = head(&mut fe);
    let left = seqs(&fe.records(first));
    assert_eq!(left, all[all.len() - 3..], "three records and the DUMMY");
    assert_eq!(first, all[all.len() - 4]);
    gc(&fe).await;
    assert_eq!(seqs(&fe.records(first)), left, "enough");
}

#[tokio::test(flavor = "multi_thread")]
async fn gc_by_bytes_counts_80_and_8_per_table_and_the_data() {
    let limit = 1_500;
    let mut fe = off("gc-bytes").await;
    set_db(&mut fe, "binlog.max_bytes", &limit.to_string()).await;
    set_db(&mut fe, "binlog.enable", "true").await;
    fe.sql(N).await;
    for i in 0..8 {
        comment(&mut fe, &format!("{i}{}", "x".repeat(100))).await;
    }
    let all = fe.records(-1);
    let size = |r: &Rec| 80 + 8 * r.tables.len() + r.raw.len();
    let mut total: usize = all.iter().map(size).sum();
    let gone = all
        .iter()
        .take_while(|r| {
            let over = total > limit;
            total -= if over { size(r) } else { 0 };
            over
        })
        .count();
    assert!(
        (2..all.len() - 2).contains(&gone),
        "{gone} of {}",
        all.len()
    );
    gc(&fe).await;
    let (first, _) = head(&mut fe);
    assert_eq!(seqs(&fe.records(first)), seqs(&all)[gone..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_speed_gc_up_the_smallest_counts_and_nothing_is_protected() {
    let mut fe = Peer::start("gc-locks", 1).await;
    fe.sql(N).await;
    let table = fe.table_id("n");
    let mut made = Vec::new();
    for i in 0..5 {
        made.push(comment(&mut fe, &i.to_string()).await.seq);
    }
    gc(&fe).await;
    assert_eq!(head(&mut fe).0, -1, "without locks elements stay");
    assert_eq!(
        fe.lock("a", None),
        (TStatusCode::OK, Some(made[4])),
        "the newest"
    );
    assert_eq!(
        fe.lock("b", Some(made[2])),
        (TStatusCode::OK, Some(made[2]))
    );
    let mut of_table = crate::common::peer::lock_request("c", Some(made[1]));
    of_table.table_id = Some(table);
    let answer = fe.fe.lock_binlog(of_table).unwrap();
    assert_eq!(answer.locked_commit_seq, Some(made[1]));
    assert_eq!(
        fe.lock("a", Some(made[0])),
        (TStatusCode::OK, Some(made[4])),
        "only forward"
    );
    assert_eq!(
        fe.lock("d", Some(made[4] + 1)),
        (TStatusCode::BINLOG_TOO_NEW_COMMIT_SEQ, Some(-1))
    );
    gc(&fe).await;
    assert_eq!(
        head(&mut fe).0,
        made[0],
        "the smallest lock, also one of a table"
    );
    assert_eq!(
        seqs(&fe.records(made[0])),
        made[1..],
        "the locked record itself stays"
    );
    assert_eq!(
        fe.lock("e", Some(3)),
        (TStatusCode::OK, Some(made[0])),
        "raised to the first"
    );
    // A lock protects nothing from ttl; locks that were passed are gone.
    advance(&fe, 86_401_000).await;
    gc(&fe).await;
    assert_eq!(head(&mut fe).0, made[4]);
    let young = [
        comment(&mut fe, "x").await.seq,
        comment(&mut fe, "y").await.seq,
    ];
    assert_eq!(
        fe.lock("b", Some(young[0])),
        (TStatusCode::OK, Some(young[0])),
        "free again"
    );
    assert_eq!(
        fe.lock("b", Some(young[1])),
        (TStatusCode::OK, Some(young[1]))
    );
    gc(&fe).await;
    assert_eq!(head(&mut fe).0, young[0]);
    // And a restart forgets locks.
    let last = comment(&mut fe, "z").await.seq;
    fe.sim("restart", &json!({})).await;
    assert_eq!(
        fe.lock("b", Some(young[1])),
        (TStatusCode::OK, Some(young[1])),
        "not held any more"
    );
    assert_eq!(fe.lock("b", None), (TStatusCode::OK, Some(last)));
}

#[tokio::test(flavor = "multi_thread")]
async fn gc_is_journaled_and_tells_backends_of_the_last_expired_upsert() {
    let mut fe = Peer::start("gc-journal", 1).await;
    set_db(&mut fe, "binlog.ttl_seconds", "10").await;
    fe.sql(N).await;
    fe.sql("INSERT INTO d.n VALUES (1, 1)").await;
    let upsert = fe.made_by("INSERT INTO d.n VALUES (2, 2)").await.remove(0);
    let next = comment(&mut fe, "a").await.seq;
    let plain_step = comment(&mut fe, "b").await.seq - next;
    advance(&fe, 12_000).await;
    let tablet = fe.table("n").partitions.unwrap()[0]
        .indexes
        .clone()
        .unwrap()[0]
        .tablets
        .clone()
        .unwrap()[0]
        .id
        .unwrap();
    let http = fe.sim.backend_addresses()[0].http_port;
    let info = |version: i64| {
        let url = format!(
            "http://127.0.0.1:{http}/api/_binlog/_download?method=get_binlog_info&tablet_id={tablet}&binlog_version={version}"
        );
        async move { reqwest::get(url).await.unwrap().status().as_u16() }
    };
    assert_eq!((info(2).await, info(3).await), (200, 200));
    let before = fe.newest();
    gc(&fe).await;
    // The backend has the task; nobody waits for its end.
    for _ in 0..500 {
        if (info(2).await, info(3).await) == (404, 404) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!((info(2).await, info(3).await), (404, 404));
    assert_eq!(
        fe.lag(upsert.seq).lag,
        Some(1),
        "too old: the DUMMY alone is left"
    );
    let after = comment(&mut fe, "c").await.seq;
    assert_eq!(
        after - before,
        plain_step + 1,
        "the round took a journal id"
    );
    let before = comment(&mut fe, "d").await.seq;
    gc(&fe).await;
    let after = comment(&mut fe, "e").await.seq;
    assert_eq!(
        after - before,
        plain_step,
        "a round without effect takes none"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lag_has_all_its_fields() {
    let mut fe = Peer::start("lag", 1).await;
    let none = fe.lag(-1);
    assert_eq!(code(&none.status), TStatusCode::BINLOG_NOT_FOUND_DB);
    assert_eq!(none.lag, None);
    fe.sql(N).await;
    let first = comment(&mut fe, "a").await;
    let last = comment(&mut fe, "b").await;
    let lag = fe.lag(first.seq);
    assert_eq!((lag.lag, lag.first_commit_seq), (Some(1), Some(-1)));
    assert_eq!(lag.last_commit_seq, Some(last.seq));
    assert_eq!(lag.last_binlog_timestamp, last.wire.timestamp);
    assert_eq!(lag.next_commit_seq, Some(last.seq));
    assert_eq!(lag.next_binlog_timestamp, last.wire.timestamp);
    assert!(lag.first_binlog_timestamp.unwrap() > 0);
    let caught_up = fe.lag(last.seq);
    assert_eq!(
        (
            caught_up.lag,
            caught_up.next_commit_seq,
            caught_up.next_binlog_timestamp
        ),
        (Some(0), Some(0), Some(0))
    );
    let too_old = fe.lag(-2);
    assert_eq!(
        code(&too_old.status),
        TStatusCode::OK,
        "though it is too old"
    );
    assert_eq!(too_old.lag, Some(4), "all, with the DUMMY");
    assert_eq!(
        (too_old.next_commit_seq, too_old.next_binlog_timestamp),
        (Some(-1), lag.first_binlog_timestamp)
    );
    let mut of_table = binlog_request(-1, None);
    of_table.table = Some("n".to_owned());
    assert_eq!(
        fe.fe.get_binlog_lag(of_table.clone()).unwrap().lag,
        Some(2),
        "without CREATE_TABLE"
    );
    of_table.table_id = Some(99);
    let missing = fe.fe.get_binlog_lag(of_table).unwrap();
    assert_eq!(
        code(&missing.status),
        TStatusCode::BINLOG_NOT_FOUND_TABLE,
        "the id wins over the name"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn remove_enable_cache_marks_changes_of_properties_alone() {
    let mut fe = Peer::start("cache", 1).await;
    fe.sql(N).await;
    fe.sql("INSERT INTO d.n VALUES (1, 1)").await;
    fe.sql("ALTER TABLE d.n MODIFY COMMENT 'x'").await;
    fe.sql("ALTER TABLE d.n SET (\"binlog.ttl_seconds\" = \"70000\")")
        .await;
    set_db(&mut fe, "binlog.ttl_seconds", "80000").await;
    fe.sql("ALTER TABLE d.n RENAME m").await;
    let records = fe.records(-1);
    assert_eq!(kinds(&records), [2, 0, 16, 9, 8, 14]);
    for record in &records {
        let wanted = matches!(record.kind, 8 | 9);
        assert_eq!(
            record.wire.remove_enable_cache,
            Some(wanted),
            "type {}",
            record.kind
        );
    }
    let of_db = records.iter().find(|r| r.kind == 8).unwrap();
    assert_eq!(of_db.wire.table_ids, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_record_is_seen_after_its_successor() {
    let mut fe = Peer::start("late", 1).await;
    fe.sql(N).await;
    let before = fe.newest();
    fe.sim("late", &json!({"records": 2, "delay_ms": 50_000}))
        .await;
    for text in ["a", "b", "c"] {
        fe.sql(&format!("ALTER TABLE d.n MODIFY COMMENT '{text}'"))
            .await;
    }
    let early = fe.records(before);
    assert_eq!(early.len(), 1);
    assert_eq!(early[0].data["tblComment"], "c");
    advance(&fe, 51_000).await;
    let all = fe.records(before);
    assert_eq!(all.len(), 3);
    assert!(all[0].seq < early[0].seq && all[1].seq < early[0].seq);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_reloads_the_image_with_its_quirks() {
    let mut fe = Peer::start("reload", 1).await;
    fe.sql(N).await;
    fe.sql("CREATE VIEW d.v AS SELECT id FROM d.n").await;
    let table = fe.table_id("n");
    fe.sql("INSERT INTO d.n VALUES (1, 1)").await;
    for kind in [27, 30, 116] {
        let record = json!({"db": "d", "table": "n", "type": kind, "data": {}});
        fe.sim("record", &record).await;
    }
    let txn = fe.begin_ok(vec![table], "open");
    assert_eq!(kinds(&fe.records(-1)), [2, 2, 0, 27, 30, 116]);
    assert_eq!(kinds(&fe.table_records(table, -1)), [0, 27, 30, 116]);
    let before = fe.records(-1);
    fe.sim("restart", &json!({})).await;
    let after = fe.records(-1);
    assert_eq!(
        kinds(&after),
        [2, 2, 0],
        "types of later versions are left out"
    );
    assert_eq!(
        kinds(&fe.table_records(table, -1)),
        [2, 0],
        "with CREATE_TABLE now"
    );
    assert_eq!(
        (&after[2].raw, after[2].wire.timestamp),
        (&before[2].raw, before[2].wire.timestamp)
    );
    let view = after[1].tables[0];
    assert_eq!(
        kinds(&fe.table_records(view, -1)),
        [2],
        "views, too, when the database is on"
    );
    assert!(
        fe.commit(txn, Vec::new()).1.contains("not found"),
        "PREPARE is lost"
    );
    let seq = comment(&mut fe, "on").await.seq;
    assert!(seq > before[5].seq, "commit seqs go on");
    assert_eq!(fe.sql("SELECT id FROM d.n").await.len(), 1);
    // A master change keeps the streams as they are.
    fe.sim("record", &json!({"db": "d", "type": 40, "data": {}}))
        .await;
    fe.sim("master", &json!({"index": 0})).await;
    assert_eq!(fe.records(-1).pop().unwrap().kind, 40);
}
