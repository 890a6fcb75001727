//! A backend that ends without a goodbye and is opened again on its store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dorisim_wire::{TIngestBinlogRequest, TStatusCode, TUniqueId};

use crate::common::{ids, index_schema, rows, schema, spec, write};
use dorisim::be::{Backend, meta_store};
use dorisim::faults::{Effect, Faults, Rule};
use dorisim::model::IndexFormat;
use dorisim::model::backend::{
    BackendAddress, BackendApi, DeleteCondition, DeleteOp, DeletePredicate,
};
use dorisim::model::backend::{BeError, LocalTxnState};
use dorisim::model::clock::SimClock;
use tempfile::TempDir;

const TABLET: i64 = 100;

fn open(store: &Path) -> Result<Backend, BeError> {
    let address = BackendAddress {
        id: 10_001,
        host: "127.0.0.1".to_owned(),
        be_port: 1,
        http_port: 2,
        heartbeat_port: 3,
        brpc_port: 4,
    };
    let (clock, faults) = (Arc::new(SimClock::default()), Arc::new(Faults::new(1)));
    Backend::open(address, store.to_owned(), "token".to_owned(), clock, faults)
}

/// What is on disk at this moment, as a process that was killed now would leave it.
fn killed_copy(store: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    copy_dir(store, copy.path());
    copy
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_dir(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

fn files(dir: PathBuf) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn everything_acknowledged_is_there_after_a_kill() {
    let dir = TempDir::new().unwrap();
    let be = open(dir.path()).unwrap();
    be.create_tablet(spec(TABLET)).await.unwrap();
    be.create_tablet(spec(TABLET + 1)).await.unwrap();
    be.create_tablet(spec(TABLET + 2)).await.unwrap();
    write(&be, TABLET, 11, 2, &[1, 2, 3]).await;
    write(&be, TABLET, 12, 3, &[]).await;
    let delete = DeletePredicate {
        conditions: vec![DeleteCondition {
            column: 0,
            op: DeleteOp::In,
            values: vec![Some("2".to_owned())],
        }],
    };
    be.write_rowset(13, 5, TABLET, schema(), rows(&[]), Some(delete.clone()))
        .unwrap();
    be.publish_version(13, &[(5, 4)], &[TABLET]).await.unwrap();
    be.gc_binlog(BTreeMap::from([(TABLET, 2)])).await.unwrap();
    be.write_rowset(14, 5, TABLET, schema(), rows(&[7]), None)
        .unwrap();
    be.write_rowset(15, 5, TABLET, schema(), rows(&[8]), None)
        .unwrap();
    be.clear_txn(15).await.unwrap();
    be.update_tablet(TABLET + 1, Some(false), None)
        .await
        .unwrap();
    be.drop_tablets(&[TABLET + 2]).await.unwrap();
    let snapshot = be.make_snapshot(TABLET, Some(2)).await.unwrap();

    let copy = killed_copy(be.store());
    let again = open(copy.path()).unwrap();
    assert_eq!(again.tablet_ids(), [TABLET, TABLET + 1]);
    assert_eq!(
        again.tablet_stat(TABLET).unwrap(),
        be.tablet_stat(TABLET).unwrap()
    );
    assert_eq!(again.tablet_stat(TABLET).unwrap().binlogs, 2);
    assert_eq!(ids(&again, TABLET, 3), [1, 2, 3]);
    let views = again.rowsets(TABLET, 4).unwrap();
    assert_eq!(views[2].delete.as_deref(), Some(&delete));
    assert_eq!(views[0].schema, schema());
    assert_eq!(again.txn_state(14, TABLET), LocalTxnState::Committed);
    assert_eq!(again.txn_state(15, TABLET), LocalTxnState::NotFound);
    assert!(
        again
            .publish_version(14, &[(5, 5)], &[TABLET])
            .await
            .unwrap()[0]
            .ok,
        "versions go on"
    );
    assert_eq!(ids(&again, TABLET, 5), [1, 2, 3, 7]);
    assert_eq!(again.tablet_stat(TABLET).unwrap().binlogs, 3);
    write(&again, TABLET + 1, 16, 2, &[9]).await;
    assert_eq!(
        again.tablet_stat(TABLET + 1).unwrap().binlogs,
        0,
        "the switch is kept"
    );
    let inside = Path::new(&snapshot.path).strip_prefix(be.store()).unwrap();
    assert!(copy.path().join(inside).is_dir(), "snapshots stay");

    let third = {
        drop(again);
        open(copy.path()).unwrap()
    };
    assert_eq!(ids(&third, TABLET, 5), [1, 2, 3, 7]);
    let new = third.make_snapshot(TABLET, None).await.unwrap();
    assert_ne!(new.path, snapshot.path);
}

#[tokio::test]
async fn a_moved_snapshot_and_a_replaced_content_are_kept() {
    let dir = TempDir::new().unwrap();
    let be = open(dir.path()).unwrap();
    be.create_tablet(spec(TABLET)).await.unwrap();
    be.create_tablet(spec(TABLET + 1)).await.unwrap();
    write(&be, TABLET, 11, 2, &[1, 2]).await;
    let made = be
        .make_snapshot_from(TABLET + 1, TABLET, None)
        .await
        .unwrap();
    let path = format!("{}/{}/77", made.path, TABLET + 1);
    assert_eq!(be.move_snapshot(TABLET + 1, &path).await.unwrap(), 2);
    be.replace_content(TABLET, 9, schema(), rows(&[5])).unwrap();
    assert_eq!(be.tablet_stat(TABLET).unwrap().binlogs, 0);
    drop(be);

    let again = open(dir.path()).unwrap();
    assert_eq!(ids(&again, TABLET, 9), [5]);
    assert_eq!(ids(&again, TABLET + 1, 2), [1, 2]);
    again.release_snapshot(&made.path).await.unwrap();
    assert_eq!(
        again.move_snapshot(TABLET + 1, &path).await.unwrap(),
        2,
        "a repeated MOVE is known after the restart"
    );
    write(&again, TABLET, 12, 10, &[6]).await;
    write(&again, TABLET + 1, 13, 3, &[7]).await;
}

#[tokio::test]
async fn the_sweep_deletes_what_belongs_to_nothing_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    let be = open(dir.path()).unwrap();
    let schema = index_schema(IndexFormat::V2);
    let mut indexed = spec(TABLET);
    indexed.schema = Arc::clone(&schema);
    be.create_tablet(indexed).await.unwrap();
    be.write_rowset(11, 5, TABLET, Arc::clone(&schema), rows(&[1, 2]), None)
        .unwrap();
    be.publish_version(11, &[(5, 2)], &[TABLET]).await.unwrap();
    be.write_rowset(12, 5, TABLET, schema, rows(&[3]), None)
        .unwrap();
    let data = be.store().join("data").join(TABLET.to_string()).join("77");
    drop(be);
    let before = (files(data.clone()), files(data.join("_binlog")));
    assert_eq!((before.0.len(), before.1.len()), (5, 2));
    std::fs::write(data.join("0200_0.dat"), "torn").unwrap();
    std::fs::write(data.join("_binlog").join("0200_0.idx"), "torn").unwrap();
    std::fs::create_dir_all(dir.path().join("data/4711/1")).unwrap();

    let again = open(dir.path()).unwrap();
    assert_eq!((files(data.clone()), files(data.join("_binlog"))), before);
    assert!(!dir.path().join("data/4711").exists());
    assert_eq!(ids(&again, TABLET, 2), [1, 2]);
}

#[tokio::test]
async fn a_torn_last_write_loses_nothing_that_was_acknowledged() {
    let dir = TempDir::new().unwrap();
    let be = open(dir.path()).unwrap();
    be.create_tablet(spec(TABLET)).await.unwrap();
    write(&be, TABLET, 11, 2, &[1, 2]).await;
    let wal = format!("{}-wal", meta_store::FILE);
    let whole = std::fs::metadata(be.store().join(&wal)).unwrap().len();
    write(&be, TABLET, 12, 3, &[3]).await;
    let longer = std::fs::metadata(be.store().join(&wal)).unwrap().len();
    assert!(longer > whole, "the last write is behind the others");
    for cut in [
        whole,
        whole + 1,
        whole + 100,
        (whole + longer) / 2,
        longer - 1,
    ] {
        let copy = killed_copy(be.store());
        let torn = std::fs::OpenOptions::new()
            .write(true)
            .open(copy.path().join(&wal))
            .unwrap();
        torn.set_len(cut).unwrap();
        let again = open(copy.path()).unwrap();
        let stat = again.tablet_stat(TABLET).unwrap();
        assert_eq!(stat.version, 2, "cut at {cut}");
        assert_eq!(ids(&again, TABLET, 2), [1, 2], "cut at {cut}");
    }
}

#[tokio::test]
async fn a_store_in_use_is_not_opened_twice() {
    let dir = TempDir::new().unwrap();
    let _first = open(dir.path()).unwrap();
    let refused = open(dir.path()).unwrap_err();
    assert!(matches!(refused, BeError::MetaStore { .. }), "{refused}");
}

#[tokio::test]
async fn keys_and_ids_are_those_of_doris() {
    let dir = TempDir::new().unwrap();
    let be = open(dir.path()).unwrap();
    be.create_tablet(spec(TABLET)).await.unwrap();
    write(&be, TABLET, 11, 2, &[1]).await;
    drop(be);
    let store = meta_store::MetaStore::open(dir.path()).unwrap();
    let keys = |prefix: &str| -> Vec<String> {
        let found = store.scan(prefix).unwrap();
        found.into_iter().map(|(key, _)| key).collect()
    };
    assert_eq!(keys("tabletmeta_"), [format!("tabletmeta_{TABLET}_77")]);
    let rowset = keys("rst_").remove(0);
    let (uid, rowset) = rowset["rst_".len()..].split_once('_').unwrap();
    assert_eq!((uid.len(), rowset.len()), (33, 48), "{uid} {rowset}");
    for kind in ["meta", "data"] {
        assert_eq!(
            keys(&format!("binlog_{kind}_")),
            [format!("binlog_{kind}_{uid}_00000000000000000002_{rowset}")]
        );
    }
}

#[tokio::test]
async fn ten_thousand_tablets_are_made_found_again_and_dropped_in_a_moment() {
    const TABLETS: i64 = 10_000;
    let dir = TempDir::new().unwrap();
    let be = open(dir.path()).unwrap();
    let clock = SimClock::default();
    let begin = clock.monotonic();
    for tablet in 0..TABLETS {
        be.create_tablet(spec(TABLET + tablet)).await.unwrap();
    }
    let made = clock.monotonic() - begin;
    drop(be);
    let again = open(dir.path()).unwrap();
    let found = clock.monotonic() - begin - made;
    assert_eq!(again.tablet_ids().len(), usize::try_from(TABLETS).unwrap());
    let begin = clock.monotonic();
    again.drop_tablets(&again.tablet_ids()).await.unwrap();
    let dropped = clock.monotonic() - begin;
    println!("{TABLETS} tablets: made in {made:?}, found in {found:?}, dropped in {dropped:?}");
    for time in [made, found, dropped] {
        assert!(time.as_secs() < 20);
    }
    drop(again);
    assert!(open(dir.path()).unwrap().tablet_ids().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_ingested_is_published_after_a_kill_with_its_index_files() {
    let source = crate::common::cluster("ingest-restart").await;
    let from = &source.backends()[0];
    let schema = index_schema(IndexFormat::V1);
    let indexed = |tablet: i64| {
        let mut spec = spec(tablet);
        spec.schema = Arc::clone(&schema);
        spec
    };
    from.create_tablet(indexed(TABLET)).await.unwrap();
    from.write_rowset(11, 5, TABLET, Arc::clone(&schema), rows(&[1, 2, 3]), None)
        .unwrap();
    from.publish_version(11, &[(5, 2)], &[TABLET])
        .await
        .unwrap();
    let address = &source.backend_addresses()[0];
    let request = |txn: i64| {
        TIngestBinlogRequest::new(
            txn,
            TABLET,
            2,
            address.host.clone(),
            address.http_port.to_string(),
            5,
            TABLET + 1,
            TUniqueId::new(-1, -1),
        )
    };

    let dir = TempDir::new().unwrap();
    let be = Arc::new(open(dir.path()).unwrap());
    be.create_tablet(indexed(TABLET + 1)).await.unwrap();
    // The second attempt replaces the first; the third transaction is given up.
    for txn in [21, 21, 22] {
        let status = be.ingest_binlog(request(txn)).await.status.unwrap();
        assert_eq!(status.status_code, TStatusCode::OK, "{status:?}");
    }
    be.clear_txn(22).await.unwrap();
    let hold = source
        .faults()
        .add(Rule::always("get_segment_file", Effect::Hold));
    let (late, late_request) = (Arc::clone(&be), request(23));
    let under_way = tokio::spawn(async move { late.ingest_binlog(late_request).await });
    while be.txn_state(23, TABLET + 1) != LocalTxnState::Prepared {
        tokio::task::yield_now().await;
    }
    let copy = killed_copy(be.store());
    source.faults().remove(hold);
    under_way.await.unwrap();

    let again = open(copy.path()).unwrap();
    assert_eq!(again.txn_state(21, TABLET + 1), LocalTxnState::Committed);
    for txn in [22, 23] {
        assert_eq!(again.txn_state(txn, TABLET + 1), LocalTxnState::NotFound);
    }
    let data = copy.path().join(format!("data/{}/77", TABLET + 1));
    assert_eq!(
        files(data.clone()).len(),
        2 + 4,
        "one rowset with its index files"
    );
    let published = again
        .publish_version(21, &[(5, 2)], &[TABLET + 1])
        .await
        .unwrap();
    assert!(published[0].ok);
    assert_eq!(ids(&again, TABLET + 1, 2), [1, 2, 3]);
    assert_eq!(files(data.join("_binlog")).len(), 6);
}
