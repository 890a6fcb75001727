//! What needs a hand inside: a file that changes under the log, a disk that is full, connections that are counted.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use super::*;
use crate::event_log::{ReaderEvent, TopicKind};

const PATIENCE: Duration = Duration::from_secs(20);

/// Time that tests move forward.
struct ShiftedClock {
    real: Arc<dyn Clock>,
    shift_ms: AtomicI64,
}

#[async_trait]
impl Clock for ShiftedClock {
    fn now_ms(&self) -> i64 {
        self.real.now_ms() + self.shift_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        let shift = self.shift_ms.load(Ordering::SeqCst).unsigned_abs();
        self.real.monotonic() + Duration::from_millis(shift)
    }

    async fn sleep(&self, duration: Duration) {
        self.real.sleep(duration).await;
    }
}

struct Fixture {
    path: PathBuf,
    clock: Arc<ShiftedClock>,
    topic: TopicName,
    _folder: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("directory");
        Self {
            path: folder.path().join("log.sqlite"),
            clock: Arc::new(ShiftedClock {
                real: SystemClock::shared(),
                shift_ms: AtomicI64::new(0),
            }),
            topic: TopicName("ccr.s.d.events".to_owned()),
            _folder: folder,
        }
    }

    fn open(&self) -> Arc<Inner> {
        self.open_with(|_| ())
    }

    /// Opens the log on a connection that a test has prepared.
    fn open_with(&self, prepare: impl FnOnce(&Connection)) -> Arc<Inner> {
        let owner = Owner::take(&self.path).expect("lock");
        let db = store::open_writer(&self.path, Durability::Synced).expect("open");
        prepare(&db);
        let parts = Parts {
            path: &self.path,
            clock: self.clock.clone(),
            owner,
            mark: Some(Mark::of(&self.path)),
            directory: None,
        };
        Embedded::run(parts, db).expect("run")
    }

    /// A second connection, as a foreign program has it.
    fn foreign(&self) -> Connection {
        let db = Connection::open(&self.path).expect("open");
        db.busy_timeout(PATIENCE).expect("timeout");
        db
    }

    async fn ready(&self, inner: &Arc<Inner>, kind: TopicKind) -> Embedded {
        let log = Embedded {
            inner: Arc::clone(inner),
        };
        let spec = TopicSpec {
            name: self.topic.clone(),
            kind,
        };
        log.ensure_topic(&spec).await.expect("topic");
        log
    }

    async fn append(&self, log: &Embedded, bytes: usize) -> Result<Offset, Error> {
        log.append(&self.topic, vec![record("k", bytes)]).await
    }

    async fn reader(&self, log: &Embedded) -> Box<dyn GroupReader> {
        let mut reader = log.join("g", &self.topic).await.expect("join");
        let first = reader.next().await.expect("assigned");
        assert!(matches!(first, ReaderEvent::Assigned { .. }), "{first:?}");
        reader
    }
}

fn record(key: &str, bytes: usize) -> NewRecord {
    NewRecord {
        key: key.to_owned(),
        value: Some(Bytes::from(vec![b'v'; bytes])),
        headers: Vec::new(),
    }
}

fn hour() -> TopicKind {
    TopicKind::Retained(Some(Duration::from_secs(3600)))
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, waiting).await.is_ok(),
        "not within {PATIENCE:?}: {what}"
    );
}

/// The writer's transaction is visible to readers before the writer tells of it.
#[tokio::test]
async fn a_record_read_before_its_end_is_published_does_not_look_like_damage() {
    let on = Fixture::new();
    let log = on.ready(&on.open(), hour()).await;
    on.append(&log, 1).await.expect("append");
    let mut reader = on.reader(&log).await;
    reader.seek(Offset(0)).await.expect("seek");
    // What the writer does up to its COMMIT.
    let db = on.foreign();
    let mut row = store::topics(&db).expect("topics").remove(0);
    records::put(&db, &row, row.next, 0, &record("k", 1)).expect("record");
    row.next += 1;
    store::put_topic_row(&db, &row).expect("topic");
    for offset in [0, 1] {
        let event = reader.next().await.expect("a record");
        assert!(
            matches!(&event, ReaderEvent::Record(record) if record.offset == Offset(offset)),
            "{event:?}"
        );
        let (_, end) = log.watermarks(&on.topic).await.expect("watermarks");
        assert!(end.0 > offset, "delivered beyond the published end {end:?}");
    }
    let event = reader.next().await.expect("no damage");
    assert_eq!(event, ReaderEvent::CaughtUp { end: Offset(2) });
}

#[tokio::test]
async fn a_full_disk_is_named_and_writing_goes_on_when_there_is_room() {
    let on = Fixture::new();
    let inner = on.open_with(|db| {
        db.pragma_update(None, "max_page_count", 64)
            .expect("bound of the file");
    });
    let log = on.ready(&inner, hour()).await;
    let full = loop {
        match on.append(&log, 30_000).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(full, Error::DiskFull { .. }), "{full:?}");
    assert_eq!(full.kind(), ccr_ops::ErrorKind::Unavailable);
    let text = full.to_string();
    assert!(text.contains("disk") && text.contains("full"), "{text}");
    assert!(text.contains(&on.path.display().to_string()), "{text}");
    // The health of the process reports it, although nothing can be written.
    let problems = log.problems();
    assert!(
        matches!(&problems[..], [LogProblem { error: Error::DiskFull { .. }, since_ms }] if *since_ms > 0),
        "{problems:?}"
    );
    let (_, end) = log.watermarks(&on.topic).await.expect("watermarks");
    // There is room again: retention deletes.
    on.clock.shift_ms.store(2 * 3600 * 1000, Ordering::SeqCst);
    until("written again", async || {
        on.append(&log, 30_000).await.is_ok()
    })
    .await;
    assert!(log.problems().is_empty(), "{:?}", log.problems());
    let last = log.read_range(&on.topic, end, 10).await.expect("read");
    assert_eq!(last[0].offset, end, "nothing of the failed write is there");
}

/// Changes the file by a statement and tells what a reader of each kind is answered.
async fn damaged_by(sql: &str) -> (Fixture, Embedded, Error) {
    let on = Fixture::new();
    let log = on.ready(&on.open(), hour()).await;
    for _ in 0..3 {
        on.append(&log, 10).await.expect("append");
    }
    on.foreign().execute_batch(sql).expect("a change");
    let ranged = log.read_range(&on.topic, Offset(0), 10).await;
    let ranged = ranged.expect_err("damage is never delivered");
    let mut reader = on.reader(&log).await;
    reader.seek(Offset(0)).await.expect("seek");
    let followed = loop {
        match reader.next().await {
            Ok(ReaderEvent::CaughtUp { .. }) => panic!("the damage went unnoticed"),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(ranged.to_string(), followed.to_string());
    drop(reader);
    (on, log, ranged)
}

#[tokio::test]
async fn a_record_with_changed_bytes_is_refused_by_topic_and_offset() {
    for sql in [
        "UPDATE records SET value = x'76767676767676767677' WHERE position & 255 = 1",
        "UPDATE records SET key = 'j' WHERE position & 255 = 1",
        "UPDATE records SET headers = '[[\"a\",\"b\"]]' WHERE position & 255 = 1",
        "UPDATE records SET appended_at_ms = 1 WHERE position & 255 = 1",
        "UPDATE records SET value = NULL WHERE position & 255 = 1",
        "UPDATE records SET key = x'ff' WHERE position & 255 = 1",
        "UPDATE records SET key = 7 WHERE position & 255 = 1",
        "DELETE FROM records WHERE position & 255 = 1",
    ] {
        let (on, log, error) = damaged_by(sql).await;
        assert_eq!(error.kind(), ccr_ops::ErrorKind::Corrupt, "{sql}: {error}");
        let text = error.to_string();
        assert!(
            text.contains("topic ccr.s.d.events, offset 1:"),
            "{sql}: {text}"
        );
        assert!(text.contains("ccr job resync"), "{sql}: {text}");
        // It reaches the health of the process, until nobody needs the record any more.
        let problems = log.problems();
        assert_eq!(problems.len(), 1, "{sql}: {problems:?}");
        assert_eq!(problems[0].error.to_string(), text);
        let after = log.read_range(&on.topic, Offset(2), 10).await;
        assert_eq!(after.expect("the others can be read").len(), 1, "{sql}");
        on.clock.shift_ms.store(100_000, Ordering::SeqCst);
        assert!(log.problems().is_empty(), "{sql}");
    }
}

#[tokio::test]
async fn records_missing_at_the_end_of_a_topic_are_damage() {
    let (_, _, error) = damaged_by("DELETE FROM records WHERE position & 255 = 2").await;
    assert!(
        error
            .to_string()
            .contains("topic ccr.s.d.events, offset 2:"),
        "{error}"
    );
}

#[tokio::test]
async fn a_damaged_topic_row_is_refused_by_name() {
    let (_, _, error) = damaged_by("UPDATE topics SET first_offset = 1").await;
    assert!(
        matches!(&error, Error::Corrupt(text) if text.contains("topic ccr.s.d.events")),
        "{error}"
    );
}

#[tokio::test]
async fn a_damaged_position_concerns_its_group_alone() {
    let on = Fixture::new();
    let log = on.ready(&on.open(), hour()).await;
    let mut other = log.join("other", &on.topic).await.expect("join");
    other.next().await.expect("assigned");
    let mut reader = on.reader(&log).await;
    let position = Committed {
        offset: Offset(0),
        metadata: String::new(),
    };
    reader.commit(position.clone()).await.expect("commit");
    drop(reader);
    on.foreign()
        .execute_batch("UPDATE groups SET next_offset = 7 WHERE name = 'g'")
        .expect("a change");
    let seen = log.committed("g", &on.topic).await.expect_err("damage");
    let mut reader = log.join("g", &on.topic).await.expect("join");
    let (claimed, committed, appended) =
        tokio::join!(reader.next(), other.commit(position), on.append(&log, 1));
    for error in [seen, claimed.expect_err("damage")] {
        assert!(
            matches!(&error, Error::Corrupt(text) if text.contains("consumer group g ") && text.contains("resync")),
            "{error}"
        );
    }
    committed.expect("another group goes on");
    appended.expect("appends go on");
}

#[tokio::test]
async fn damage_that_sqlite_notices_is_an_error_with_a_way_out() {
    let on = Fixture::new();
    {
        let log = on.ready(&on.open(), hour()).await;
        for _ in 0..40 {
            on.append(&log, 3000).await.expect("append");
        }
    }
    // Closing has moved everything from the -wal file to the log. The headers of all pages but the first are destroyed.
    let mut bytes = std::fs::read(&on.path).expect("read");
    for page in bytes.chunks_mut(4096).skip(8) {
        page[..16].fill(0xee);
    }
    std::fs::write(&on.path, bytes).expect("write");
    let answer = Embedded::open(&on.path, SystemClock::shared());
    let error = match answer {
        Err(error) => error,
        Ok(log) => {
            let error = log.read_range(&on.topic, Offset(0), 100).await;
            let error = error.expect_err("damage is never delivered");
            assert_eq!(log.problems().len(), 1);
            error
        }
    };
    assert!(
        matches!(&error, Error::Corrupt(text) if text.contains("create the jobs again") && text.contains("log.sqlite")),
        "{error}"
    );
}

#[tokio::test]
async fn a_second_process_is_refused_although_files_beside_the_log_were_deleted() {
    let on = Fixture::new();
    let log = on.ready(&on.open(), hour()).await;
    for file in std::fs::read_dir(on.path.parent().expect("folder")).expect("list") {
        let path = file.expect("file").path();
        let name = path.to_string_lossy().into_owned();
        if name.ends_with(".lock") || name.ends_with(".mark") {
            std::fs::remove_file(path).expect("delete");
        }
    }
    let refused = Embedded::open(&on.path, SystemClock::shared()).err();
    assert!(
        matches!(&refused, Some(Error::Config(text)) if text.contains("another process")),
        "{refused:?}"
    );
    on.append(&log, 1).await.expect("the first goes on");
}

/// What has to happen when the file is not ours any more: nothing is written, everything is refused, the process is notified.
async fn assert_lost(on: &Fixture, log: &Embedded, reason: &str) {
    let lost = tokio::time::timeout(PATIENCE, log.lost())
        .await
        .expect("noticed without a write");
    assert!(
        matches!(&lost, Error::LostOwnership(text) if text.contains(reason)),
        "{lost}"
    );
    assert_eq!(lost.kind(), ccr_ops::ErrorKind::Fenced);
    let append = on.append(log, 1).await;
    assert!(matches!(append, Err(Error::LostOwnership(_))), "{append:?}");
    let read = log.read_range(&on.topic, Offset(0), 1).await;
    assert!(matches!(read, Err(Error::LostOwnership(_))), "{read:?}");
}

#[tokio::test]
async fn a_file_that_is_deleted_or_exchanged_under_the_process_ends_it() {
    for (exchange, reason) in [(false, "deleted or moved"), (true, "another file")] {
        let on = Fixture::new();
        let log = on.ready(&on.open(), hour()).await;
        on.append(&log, 1).await.expect("append");
        let copy = on.path.with_extension("copy");
        std::fs::copy(&on.path, &copy).expect("copy");
        if exchange {
            std::fs::rename(&copy, &on.path).expect("exchange");
        } else {
            std::fs::remove_file(&on.path).expect("delete");
        }
        assert_lost(&on, &log, reason).await;
    }
}

#[tokio::test]
async fn a_writer_that_another_opener_has_overtaken_writes_nothing_more() {
    let on = Fixture::new();
    let log = on.ready(&on.open(), hour()).await;
    on.append(&log, 1).await.expect("append");
    // On a file system whose locks do not hold.
    store::count_opening(&on.foreign()).expect("opening");
    let refused = on.append(&log, 1).await;
    assert!(
        matches!(&refused, Err(Error::LostOwnership(text)) if text.contains("another process has opened")),
        "{refused:?}"
    );
    assert_lost(&on, &log, "another process has opened").await;
    let count: i64 = on
        .foreign()
        .query_row("SELECT count(*) FROM records", [], |row| row.get(0))
        .expect("count");
    assert_eq!(count, 1);
}

/// What a foreign writer left is an error, and not the end: offsets are read back from the file.
#[tokio::test]
async fn a_writer_reads_the_ends_of_topics_back_after_a_failure() {
    let on = Fixture::new();
    let log = on.ready(&on.open(), hour()).await;
    on.append(&log, 1).await.expect("append");
    let db = on.foreign();
    let mut row = store::topics(&db).expect("topics").remove(0);
    records::put(&db, &row, row.next, 0, &record("k", 1)).expect("record");
    row.next += 1;
    store::put_topic_row(&db, &row).expect("topic");
    let refused = on.append(&log, 1).await;
    assert!(matches!(&refused, Err(Error::Corrupt(_))), "{refused:?}");
    assert_eq!(on.append(&log, 1).await.expect("append"), Offset(2));
    let all = log
        .read_range(&on.topic, Offset(0), 10)
        .await
        .expect("read");
    assert_eq!(all.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn page_caches_and_connections_stay_bounded_while_a_larger_log_is_read() {
    let bound_kib = store::WRITER_CACHE_KIB + pool::READERS as i64 * store::READER_CACHE_KIB;
    assert!(bound_kib <= 8 * 1024, "docs/embedded-log.md says 8 MiB");
    let on = Fixture::new();
    let inner = on.open_with(|db| {
        let kib: i64 = db
            .pragma_query_value(None, "cache_size", |row| row.get(0))
            .expect("cache size");
        assert_eq!(kib, -store::WRITER_CACHE_KIB);
    });
    let log = on.ready(&inner, hour()).await;
    // Larger than all page caches together.
    let mut written_kib = 0;
    while written_kib <= bound_kib {
        let batch = (0..8).map(|_| record("k", 512 * 1024)).collect();
        log.append(&on.topic, batch).await.expect("append");
        written_kib += 8 * 512;
    }
    let reads = (0..16).map(|_| async {
        let mut from = Offset(0);
        loop {
            let page = log.read_range(&on.topic, from, 4).await.expect("read");
            match page.last() {
                Some(last) => from = Offset(last.offset.0 + 1),
                None => return from.0,
            }
        }
    });
    let ends = futures::future::join_all(reads).await;
    assert!(ends.iter().all(|end| end * 512 == written_kib), "{ends:?}");
    let sizes = inner.pool.cache_sizes();
    assert!(
        (1..=pool::READERS).contains(&sizes.len()),
        "{} connections for 16 readers",
        sizes.len()
    );
    assert!(
        sizes.iter().all(|kib| *kib == -store::READER_CACHE_KIB),
        "{sizes:?}"
    );
}

#[tokio::test]
async fn an_older_copy_in_place_of_the_log_is_refused_at_the_start() {
    let on = Fixture::new();
    let copy = on.path.with_extension("copy");
    {
        let log = on.ready(&on.open(), hour()).await;
        on.append(&log, 1).await.expect("append");
    }
    std::fs::copy(&on.path, &copy).expect("copy");
    {
        let log = on.ready(&on.open(), hour()).await;
        on.append(&log, 1).await.expect("append");
    }
    std::fs::rename(&copy, &on.path).expect("put back");
    let refused = Embedded::open(&on.path, SystemClock::shared()).err();
    let Some(Error::Config(text)) = refused else {
        panic!("{refused:?}");
    };
    for part in [
        "gone back in time",
        "offset 2",
        "ends at 1",
        "resync",
        ".mark",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // The way out that the text names.
    let mark = format!("{}.mark", on.path.display());
    std::fs::remove_file(mark).expect("delete");
    let log = Embedded::open(&on.path, SystemClock::shared()).expect("open");
    assert_eq!(log.watermarks(&on.topic).await.expect("ends").1, Offset(1));
}

#[tokio::test]
async fn a_lost_wal_file_is_noticed_at_the_start() {
    let on = Fixture::new();
    let saved = tempfile::tempdir().expect("directory");
    let kept = saved.path().join("log.sqlite");
    {
        let log = on.ready(&on.open(), hour()).await;
        // A copy of the running log without its -wal file, which holds what is new.
        on.append(&log, 1).await.expect("append");
        std::fs::copy(&on.path, &kept).expect("copy");
    }
    std::fs::copy(&kept, &on.path).expect("put back");
    let refused = Embedded::open(&on.path, SystemClock::shared()).err();
    assert!(
        matches!(&refused, Some(Error::Config(text)) if text.contains("-wal")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_log_of_another_layout_is_refused_with_the_way_out() {
    let on = Fixture::new();
    drop(on.open());
    on.foreign()
        .pragma_update(None, "user_version", 1)
        .expect("layout");
    let refused = Embedded::open(&on.path, SystemClock::shared()).err();
    assert!(
        matches!(&refused, Some(Error::Config(text)) if text.contains("layout 1") && text.contains("create the jobs again")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn files_of_the_log_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let on = Fixture::new();
    let log = on.ready(&on.open(), hour()).await;
    on.append(&log, 1).await.expect("append");
    let mut seen = 0;
    for file in std::fs::read_dir(on.path.parent().expect("folder")).expect("list") {
        let file = file.expect("file");
        let mode = file.metadata().expect("metadata").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.path().display());
        seen += 1;
    }
    assert!(seen >= 4, "log, -wal, -shm and .mark");
}
