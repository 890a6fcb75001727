//! Snapshots between backends: what is fetched, what is linked, what is throttled.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use crate::backend_data_plane::{SOURCE, TARGET, pair, remote};
use crate::common;
use crate::common::{cluster, ids, spec, write};
use dorisim::SimCluster;
use dorisim::model::IndexFormat;
use dorisim::model::backend::{BackendApi, RemoteTabletSnapshot};

/// GETs and HEADs of snapshot files at a cluster so far.
fn transfers(cluster: &SimCluster) -> u64 {
    cluster.faults().count("tablet_download")
}

/// What a restore of `SOURCE` at its newest version into `to` does; tells the HTTP calls that it took.
async fn restore(source: &SimCluster, target: &SimCluster, like: Option<i64>) -> u64 {
    let (from, to) = (&source.backends()[0], &target.backends()[0]);
    let snapshot = from.make_snapshot(SOURCE, None).await.unwrap();
    let local = match like {
        Some(like) => to.make_snapshot_from(TARGET, like, None).await.unwrap(),
        None => to.make_snapshot(TARGET, None).await.unwrap(),
    };
    let before = transfers(source);
    let token = source.frontend().config().token.clone();
    let asked = remote(source, &snapshot.path, &local.path, &token);
    to.download_snapshots(vec![asked]).await.unwrap();
    let calls = transfers(source) - before;
    let path = format!("{}/{TARGET}/77", local.path);
    to.move_snapshot(TARGET, &path).await.unwrap();
    to.release_snapshot(&local.path).await.unwrap();
    from.release_snapshot(&snapshot.path).await.unwrap();
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn rowsets_that_are_here_already_are_linked_instead_of_fetched() {
    let (source, target) = pair().await;
    let (from, to) = (&source.backends()[0], &target.backends()[0]);
    // List, HEAD and GET of the header, HEAD and GET of two segments.
    assert_eq!(restore(&source, &target, None).await, 7);
    // The segments are known by their source: a HEAD each.
    assert_eq!(restore(&source, &target, None).await, 5);
    write(from.as_ref(), SOURCE, 13, 4, &[4]).await;
    assert_eq!(
        restore(&source, &target, None).await,
        7,
        "one segment is new"
    );
    assert_eq!(ids(to.as_ref(), TARGET, 4), [1, 2, 3, 4]);

    // A tablet of another table with the same content (atomic restore).
    to.create_tablet(spec(TARGET + 1)).await.unwrap();
    let full = to.make_snapshot(TARGET, None).await.unwrap();
    let empty = to
        .make_snapshot_from(TARGET + 1, TARGET, None)
        .await
        .unwrap();
    assert_eq!(empty.files.len(), full.files.len());
    assert_eq!(empty.files[0], format!("{}.hdr", TARGET + 1));
    let unknown = to.make_snapshot_from(TARGET + 1, 4711, None).await.unwrap();
    assert_eq!(unknown.files.len(), 1, "a reference elsewhere is ignored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_restored_from_its_copy_fetches_nothing_it_has() {
    let (source, target) = pair().await;
    restore(&source, &target, None).await;
    // Backwards: the rowsets of the copy name those of the source as their origin.
    let (from, to) = (&target.backends()[0], &source.backends()[0]);
    let snapshot = from.make_snapshot(TARGET, None).await.unwrap();
    let local = to.make_snapshot(SOURCE, None).await.unwrap();
    let before = transfers(&target);
    let address = &target.backend_addresses()[0];
    let asked = RemoteTabletSnapshot {
        local_tablet_id: SOURCE,
        local_snapshot_path: format!("{}/{SOURCE}/77", local.path),
        remote_tablet_id: TARGET,
        remote_host: address.host.clone(),
        remote_http_port: address.http_port,
        remote_snapshot_path: format!("{}/{TARGET}/77", snapshot.path),
        remote_token: target.frontend().config().token.clone(),
    };
    to.download_snapshots(vec![asked]).await.unwrap();
    assert_eq!(transfers(&target) - before, 5);
    let path = format!("{}/{SOURCE}/77", local.path);
    assert_eq!(to.move_snapshot(SOURCE, &path).await.unwrap(), 3);
    assert_eq!(ids(to.as_ref(), SOURCE, 3), [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn index_files_are_made_pulled_and_put_in_place_with_snapshots() {
    for (format, files) in [
        (IndexFormat::V1, 3 * 2),
        (IndexFormat::V2, 2 * 2),
        (IndexFormat::V3, 2 * 2),
    ] {
        let (source, target) = (cluster("index-a").await, cluster("index-b").await);
        let (from, to) = (&source.backends()[0], &target.backends()[0]);
        let schema = common::index_schema(format);
        for (be, tablet) in [(from, SOURCE), (to, TARGET)] {
            let mut spec = spec(tablet);
            spec.schema = schema.clone();
            be.create_tablet(spec).await.unwrap();
        }
        from.write_rowset(
            11,
            5,
            SOURCE,
            schema.clone(),
            common::rows(&[1, 2, 3]),
            None,
        )
        .unwrap();
        from.publish_version(11, &[(5, 2)], &[SOURCE])
            .await
            .unwrap();
        let made = from.make_snapshot(SOURCE, None).await.unwrap();
        assert_eq!(made.files.len(), 1 + files, "{format:?}: {:?}", made.files);
        restore(&source, &target, None).await;
        let content = |be: &dorisim::be::Backend, tablet: i64| {
            let dir = be.store().join(format!("data/{tablet}/77"));
            let entries = std::fs::read_dir(dir)
                .unwrap()
                .map(|entry| entry.unwrap().path());
            let indexes = entries.filter(|path| path.extension().is_some_and(|ext| ext == "idx"));
            let mut found: Vec<Vec<u8>> =
                indexes.map(|path| std::fs::read(path).unwrap()).collect();
            found.sort();
            found
        };
        let wanted = content(from, SOURCE);
        assert_eq!(wanted.len(), files - 2);
        assert!(wanted.iter().all(|bytes| bytes.len() > 16));
        assert_eq!(content(to, TARGET), wanted);

        from.gc_binlog(BTreeMap::from([(SOURCE, 2)])).await.unwrap();
        let kept = std::fs::read_dir(from.store().join(format!("data/{SOURCE}/77/_binlog")));
        assert_eq!(kept.unwrap().count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_downloads_of_a_channel_share_one_rate_limit() {
    let (source, _target) = pair().await;
    let be = &source.backends()[0];
    write(be.as_ref(), SOURCE, 13, 4, &(0..2000).collect::<Vec<_>>()).await;
    let snapshot = be.make_snapshot(SOURCE, None).await.unwrap();
    let header = format!("{}/{SOURCE}/77/{SOURCE}.hdr", snapshot.path);
    let size = std::fs::metadata(&header).unwrap().len();
    // Each transfer takes 150 ms alone.
    be.config
        .rate_limit_kbs
        .store(size * 1000 / 150 / 1024, Ordering::Relaxed);
    let token = source.frontend().config().token.clone();
    let port = source.backend_addresses()[0].http_port;
    let fetch = |channel: &'static str| {
        let query = [
            ("token", token.clone()),
            ("file", header.clone()),
            ("channel", channel.to_owned()),
        ];
        async move {
            let url = format!("http://127.0.0.1:{port}/api/_tablet/_download");
            let answer = reqwest::Client::new().get(url).query(&query).send().await;
            answer.unwrap().bytes().await.unwrap().len() as u64
        }
    };
    let clock = dorisim::model::clock::SimClock::default();
    let begin = clock.monotonic();
    let lengths = tokio::join!(
        fetch("ingest_binlog"),
        fetch("ingest_binlog"),
        fetch("ingest_binlog")
    );
    assert_eq!(lengths, (size, size, size));
    assert!(
        (clock.monotonic() - begin).as_millis() >= 440,
        "one after the other"
    );
    let begin = clock.monotonic();
    let lengths = tokio::join!(fetch(""), fetch(""), fetch(""));
    assert_eq!(lengths, (size, size, size));
    assert!(
        (clock.monotonic() - begin).as_millis() < 440,
        "another channel is free"
    );
}
