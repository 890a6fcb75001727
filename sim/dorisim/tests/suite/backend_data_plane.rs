//! Backends over their real sockets: versions, ingest between two clusters, downloads, snapshots.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use crate::common;
use crate::common::{backend_client, cluster, ids, spec, write};
use dorisim::SimCluster;
use dorisim::faults::{Effect, Rule};
use dorisim::model::backend::{BackendApi, BeError, LocalTxnState, RemoteTabletSnapshot};
use dorisim_wire::{
    TBackendServiceSyncClient, TIngestBinlogRequest, TIngestBinlogResult, TIngestBinlogStatus,
    TQueryIngestBinlogRequest, TStatusCode, TUniqueId,
};
use reqwest::StatusCode;

pub(crate) const SOURCE: i64 = 100;
pub(crate) const TARGET: i64 = 200;

/// Two clusters; the source tablet has version 2 with three rows (two segments) and an empty version 3.
pub(crate) async fn pair() -> (SimCluster, SimCluster) {
    let (source, target) = (cluster("source").await, cluster("target").await);
    let be = &source.backends()[0];
    be.create_tablet(spec(SOURCE)).await.unwrap();
    write(be.as_ref(), SOURCE, 11, 2, &[1, 2, 3]).await;
    write(be.as_ref(), SOURCE, 12, 3, &[]).await;
    target.backends()[0]
        .create_tablet(spec(TARGET))
        .await
        .unwrap();
    (source, target)
}

fn request(source: &SimCluster, txn: i64, version: i64) -> TIngestBinlogRequest {
    let address = &source.backend_addresses()[0];
    TIngestBinlogRequest::new(
        txn,
        SOURCE,
        version,
        address.host.clone(),
        address.http_port.to_string(),
        5,
        TARGET,
        TUniqueId::new(-1, -1),
    )
}

fn ingest(target: &SimCluster, request: TIngestBinlogRequest) -> TIngestBinlogResult {
    let port = target.backend_addresses()[0].be_port;
    backend_client(port).ingest_binlog(request).unwrap()
}

fn code(result: &TIngestBinlogResult) -> (TStatusCode, String) {
    let status = result.status.clone().unwrap();
    (
        status.status_code,
        status.error_msgs.unwrap_or_default().join(" "),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn ingested_versions_have_the_rows_of_the_source() {
    let (source, target) = pair().await;
    let be = &target.backends()[0];
    for (txn, version) in [(900, 2), (901, 3)] {
        let result = ingest(&target, request(&source, txn, version));
        assert_eq!(code(&result).0, TStatusCode::OK);
        assert_eq!(result.is_async, Some(false));
        assert_eq!(be.committed_tablets(txn), [TARGET]);
        let published = be
            .publish_version(txn, &[(5, version)], &[TARGET])
            .await
            .unwrap();
        assert!(published[0].ok);
    }
    assert_eq!(ids(be.as_ref(), TARGET, 3), [1, 2, 3]);
    assert_eq!(
        source.faults().count("get_segment_file"),
        4,
        "HEAD and GET of two segments"
    );
    assert_eq!(
        be.tablet_stat(TARGET).unwrap().binlogs,
        2,
        "a chained replica keeps binlogs"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn publish_refuses_gaps_and_repeats_quietly() {
    let (source, _target) = pair().await;
    let be = &source.backends()[0];
    be.write_rowset(20, 5, SOURCE, common::schema(), common::rows(&[9]), None)
        .unwrap();
    let gap = be.publish_version(20, &[(5, 5)], &[SOURCE]).await.unwrap();
    assert!(!gap[0].ok);
    assert!(be.publish_version(20, &[(5, 4)], &[SOURCE]).await.unwrap()[0].ok);
    assert!(
        be.publish_version(20, &[(5, 4)], &[SOURCE]).await.unwrap()[0].ok,
        "repeat"
    );
    let never_written = be.publish_version(21, &[(5, 5)], &[SOURCE]).await.unwrap();
    assert!(!never_written[0].ok);
    assert!(matches!(
        be.rowsets(SOURCE, 5),
        Err(BeError::VersionMissing { has: 4, .. })
    ));
    assert_eq!(
        ids(be.as_ref(), SOURCE, 2),
        [1, 2, 3],
        "old versions stay readable"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_missing_field_is_named() {
    let (source, target) = pair().await;
    let whole = request(&source, 1, 2);
    type Clear = fn(&mut TIngestBinlogRequest);
    let cases: [(&str, Clear); 8] = [
        ("txn_id is empty", |r| r.txn_id = None),
        ("remote_tablet_id is empty", |r| r.remote_tablet_id = None),
        ("binlog_version is empty", |r| r.binlog_version = None),
        ("remote_host is empty", |r| r.remote_host = None),
        ("remote_port is empty", |r| r.remote_port = None),
        ("partition_id is empty", |r| r.partition_id = None),
        ("local_tablet_id is empty", |r| r.local_tablet_id = None),
        ("load_id is empty", |r| r.load_id = None),
    ];
    for (text, clear) in cases {
        let mut request = whole.clone();
        clear(&mut request);
        let refused = code(&ingest(&target, request));
        assert_eq!(refused, (TStatusCode::ANALYSIS_ERROR, text.to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_the_codes_of_doris() {
    let (source, target) = pair().await;
    let be = &target.backends()[0];

    let mut unknown = request(&source, 1, 2);
    unknown.local_tablet_id = Some(4711);
    let refused = code(&ingest(&target, unknown));
    assert_eq!(
        refused,
        (
            TStatusCode::TABLET_MISSING,
            "tablet 4711 not found".to_owned()
        )
    );

    let (status, text) = code(&ingest(&target, request(&source, 1, 99)));
    assert_eq!(status, TStatusCode::HTTP_ERROR);
    assert!(
        text.contains("get binlog info failed, binlog_version=99"),
        "{text}"
    );
    assert_eq!(be.txn_state(1, TARGET), LocalTxnState::Aborted);
    assert_eq!(
        source.faults().count("get_binlog_info"),
        3,
        "three attempts"
    );

    let mut dead = request(&source, 1, 2);
    dead.remote_port = Some("1".to_owned());
    assert_eq!(code(&ingest(&target, dead)).0, TStatusCode::HTTP_ERROR);

    be.config.disk_free_bytes.store(10, Ordering::Relaxed);
    let (status, text) = code(&ingest(&target, request(&source, 1, 2)));
    assert_eq!(status, TStatusCode::INTERNAL_ERROR);
    assert!(text.contains("no enough space"), "{text}");
    be.config.disk_free_bytes.store(u64::MAX, Ordering::Relaxed);

    be.config.binlog_feature.store(false, Ordering::Relaxed);
    let refused = code(&ingest(&target, request(&source, 1, 2)));
    assert_eq!(
        refused,
        (
            TStatusCode::RUNTIME_ERROR,
            "enable feature binlog is false".to_owned()
        )
    );
    be.config.binlog_feature.store(true, Ordering::Relaxed);

    assert_eq!(
        code(&ingest(&target, request(&source, 1, 2))).0,
        TStatusCode::OK,
        "after failures"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_replaces_the_first_result_and_a_failed_repeat_loses_it() {
    let (source, target) = pair().await;
    let be = &target.backends()[0];
    assert_eq!(
        code(&ingest(&target, request(&source, 1, 2))).0,
        TStatusCode::OK
    );
    assert_eq!(
        code(&ingest(&target, request(&source, 1, 2))).0,
        TStatusCode::OK
    );
    assert!(be.publish_version(1, &[(5, 2)], &[TARGET]).await.unwrap()[0].ok);
    assert_eq!(ids(be.as_ref(), TARGET, 2), [1, 2, 3]);

    assert_eq!(
        code(&ingest(&target, request(&source, 2, 2))).0,
        TStatusCode::OK
    );
    assert_eq!(
        code(&ingest(&target, request(&source, 2, 99))).0,
        TStatusCode::HTTP_ERROR
    );
    assert_eq!(be.txn_state(2, TARGET), LocalTxnState::Aborted);
    assert!(be.committed_tablets(2).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn background_ingest_answers_at_once_and_is_polled() {
    let (source, target) = pair().await;
    let be = &target.backends()[0];
    be.config.ingest_pool_size.store(0, Ordering::Relaxed);
    let hold = source
        .faults()
        .add(Rule::always("get_segment_file", Effect::Hold));
    let mut client = backend_client(target.backend_addresses()[0].be_port);
    let result = client.ingest_binlog(request(&source, 7, 2)).unwrap();
    assert_eq!(
        (code(&result).0, result.is_async),
        (TStatusCode::OK, Some(true))
    );
    let mut query = |tablet: i64| {
        let request = TQueryIngestBinlogRequest::new(7, 5, tablet, TUniqueId::new(-1, -1));
        client.query_ingest_binlog(request).unwrap()
    };
    assert_eq!(query(TARGET).status, Some(TIngestBinlogStatus::DOING));
    let unknown = query(4711);
    assert_eq!(unknown.status, Some(TIngestBinlogStatus::NOT_FOUND));
    assert_eq!(unknown.err_msg.as_deref(), Some("tablet 4711 not found"));
    source.faults().remove(hold);
    for _ in 0..500 {
        if query(TARGET).status != Some(TIngestBinlogStatus::DOING) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(query(TARGET).status, Some(TIngestBinlogStatus::OK));
    assert!(be.publish_version(7, &[(5, 2)], &[TARGET]).await.unwrap()[0].ok);
    assert_eq!(
        query(TARGET).status,
        Some(TIngestBinlogStatus::NOT_FOUND),
        "after publish"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_downloads_are_noticed_or_survived() {
    let (source, target) = pair().await;
    let faults = source.faults();
    let reset = Rule::always("get_rowset_meta", Effect::ResetBefore).times(2);
    faults.add(reset);
    assert_eq!(
        code(&ingest(&target, request(&source, 1, 2))).0,
        TStatusCode::OK,
        "two of three attempts cut"
    );

    let cut = faults.add(Rule::always(
        "get_segment_file",
        Effect::Truncate { bytes: 5 },
    ));
    assert_eq!(
        code(&ingest(&target, request(&source, 1, 2))).0,
        TStatusCode::HTTP_ERROR
    );
    faults.remove(cut);

    target.backends()[0]
        .config
        .check_md5
        .store(true, Ordering::Relaxed);
    let bad = faults.add(Rule::always("get_segment_file", Effect::Corrupt));
    let (status, text) = code(&ingest(&target, request(&source, 1, 2)));
    assert_eq!(status, TStatusCode::RUNTIME_ERROR);
    assert!(text.contains("md5"), "{text}");
    faults.remove(bad);

    let down = faults.backend_down(source.backend_addresses()[0].id);
    assert_eq!(
        code(&ingest(&target, request(&source, 1, 2))).0,
        TStatusCode::HTTP_ERROR
    );
    faults.remove(down);
    assert_eq!(
        code(&ingest(&target, request(&source, 1, 2))).0,
        TStatusCode::OK
    );
}

async fn get(source: &SimCluster, query: &str) -> (StatusCode, String) {
    let port = source.backend_addresses()[0].http_port;
    let url = format!("http://127.0.0.1:{port}/api/_binlog/_download?{query}");
    let answer = reqwest::get(url).await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn binlog_download_answers_by_the_table() {
    let (source, _target) = pair().await;
    let (status, info) = get(
        &source,
        "method=get_binlog_info&tablet_id=100&binlog_version=2",
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    let (rowset, segments) = info.split_once(':').unwrap();
    assert_eq!((rowset.len(), segments), (48, "2"));
    let (_, empty) = get(
        &source,
        "method=get_binlog_info&tablet_id=100&binlog_version=3",
    )
    .await;
    assert!(empty.ends_with(":0"), "{empty}");

    let wrong = format!("method=get_rowset_meta&tablet_id=100&rowset_id={rowset}&binlog_version=3");
    let cases = [
        (
            "method=get_binlog_info&tablet_id=100&binlog_version=9",
            404,
            "get binlog info failed, binlog_version=9".to_owned(),
        ),
        (
            "method=get_binlog_info&tablet_id=100",
            500,
            "parameter binlog_version not specified in url.".to_owned(),
        ),
        (
            "tablet_id=100&binlog_version=2",
            501,
            "invalid method: ".to_owned(),
        ),
        (
            "method=get_binlog_info&tablet_id=9&binlog_version=2",
            500,
            "tablet is not exist, tablet_id=9".to_owned(),
        ),
        (
            "method=get_all&tablet_id=100",
            501,
            "invalid method: get_all".to_owned(),
        ),
        (
            wrong.as_str(),
            404,
            format!("get rowset meta failed, rowset_id={rowset}"),
        ),
        (
            "method=get_segment_file&tablet_id=100&rowset_id=x&segment_index=0",
            404,
            "file not exist.".to_owned(),
        ),
        (
            "method=get_segment_file&tablet_id=100&rowset_id=../x&segment_index=0",
            404,
            "file not exist.".to_owned(),
        ),
        (
            "method=get_segment_index_file&tablet_id=100&rowset_id=x&segment_index=0&segment_index_id=-1",
            404,
            "file not exist.".to_owned(),
        ),
    ];
    for (query, status, text) in cases {
        assert_eq!(
            get(&source, query).await,
            (StatusCode::from_u16(status).unwrap(), text),
            "{query}"
        );
    }
    source.backends()[0]
        .config
        .binlog_feature
        .store(false, Ordering::Relaxed);
    let off = get(
        &source,
        "method=get_binlog_info&tablet_id=100&binlog_version=2",
    )
    .await;
    assert_eq!(
        off,
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            "binlog feature is not enabled.".to_owned()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn head_tells_the_length_and_md5_comes_on_demand() {
    let (source, _target) = pair().await;
    let (_, info) = get(
        &source,
        "method=get_binlog_info&tablet_id=100&binlog_version=2",
    )
    .await;
    let rowset = info.split_once(':').unwrap().0;
    let port = source.backend_addresses()[0].http_port;
    let url = format!(
        "http://127.0.0.1:{port}/api/_binlog/_download?method=get_segment_file&tablet_id=100&rowset_id={rowset}&segment_index=1"
    );
    let client = reqwest::Client::new();
    let head = client.head(&url).send().await.unwrap();
    let plain = client.get(&url).send().await.unwrap();
    assert!(plain.headers().get("content-md5").is_none());
    let body = plain.bytes().await.unwrap();
    assert_eq!(
        head.headers()["content-length"].to_str().unwrap(),
        body.len().to_string()
    );
    let summed = client
        .get(format!("{url}&acquire_md5=1"))
        .send()
        .await
        .unwrap();
    let md5 = summed.headers()["content-md5"].to_str().unwrap().to_owned();
    assert_eq!(md5, dorisim::be::fetch::md5_hex(&body));
}

#[tokio::test(flavor = "multi_thread")]
async fn collected_binlogs_are_gone_but_rows_stay() {
    let (source, _target) = pair().await;
    let be = &source.backends()[0];
    be.gc_binlog(BTreeMap::from([(SOURCE, 2)])).await.unwrap();
    let (status, _) = get(
        &source,
        "method=get_binlog_info&tablet_id=100&binlog_version=2",
    )
    .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = get(
        &source,
        "method=get_binlog_info&tablet_id=100&binlog_version=3",
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(ids(be.as_ref(), SOURCE, 3), [1, 2, 3]);
    be.update_tablet(SOURCE, Some(false), None).await.unwrap();
    write(be.as_ref(), SOURCE, 30, 4, &[4]).await;
    let (status, _) = get(
        &source,
        "method=get_binlog_info&tablet_id=100&binlog_version=4",
    )
    .await;
    assert_eq!(
        status,
        StatusCode::NOT_FOUND,
        "no binlog without the switch"
    );
}

pub(crate) fn remote(
    source: &SimCluster,
    snapshot: &str,
    local: &str,
    token: &str,
) -> RemoteTabletSnapshot {
    let address = &source.backend_addresses()[0];
    RemoteTabletSnapshot {
        local_tablet_id: TARGET,
        local_snapshot_path: format!("{local}/{TARGET}/77"),
        remote_tablet_id: SOURCE,
        remote_host: address.host.clone(),
        remote_http_port: address.http_port,
        remote_snapshot_path: format!("{snapshot}/{SOURCE}/77"),
        remote_token: token.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_travels_by_download_and_move() {
    let (source, target) = pair().await;
    let (from, to) = (&source.backends()[0], &target.backends()[0]);
    let snapshot = from.make_snapshot(SOURCE, Some(2)).await.unwrap();
    assert_eq!(snapshot.files.len(), 3, "a header and two segments");
    assert!(matches!(
        from.make_snapshot(SOURCE, Some(9)).await,
        Err(BeError::VersionMissing { .. })
    ));
    let local = to.make_snapshot(TARGET, None).await.unwrap();
    let token = source.frontend().config().token.clone();

    let refused = to
        .download_snapshots(vec![remote(&source, &snapshot.path, &local.path, "wrong")])
        .await;
    assert!(refused.unwrap_err().to_string().contains("401"));
    let asked = remote(&source, &snapshot.path, &local.path, &token);
    assert_eq!(to.download_snapshots(vec![asked]).await.unwrap(), [TARGET]);
    let moved_from = format!("{}/{TARGET}/77", local.path);
    assert_eq!(to.move_snapshot(TARGET, &moved_from).await.unwrap(), 2);
    assert_eq!(
        to.move_snapshot(TARGET, &moved_from).await.unwrap(),
        2,
        "repeat"
    );
    to.release_snapshot(&local.path).await.unwrap();
    from.release_snapshot(&snapshot.path).await.unwrap();
    assert_eq!(ids(to.as_ref(), TARGET, 2), [1, 2, 3]);

    assert_eq!(
        code(&ingest(&target, request(&source, 50, 3))).0,
        TStatusCode::OK
    );
    assert!(
        to.publish_version(50, &[(5, 3)], &[TARGET]).await.unwrap()[0].ok,
        "goes on from the restored version"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tablet_download_wants_token_and_stays_inside_the_store() {
    let (source, _target) = pair().await;
    let be = &source.backends()[0];
    let snapshot = be.make_snapshot(SOURCE, None).await.unwrap();
    let token = source.frontend().config().token.clone();
    let port = source.backend_addresses()[0].http_port;
    let ask = |token: String, file: Option<String>| async move {
        let mut query = vec![("token", token)];
        query.extend(file.map(|file| ("file", file)));
        let url = format!("http://127.0.0.1:{port}/api/_tablet/_download");
        let answer = reqwest::Client::new()
            .get(url)
            .query(&query)
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let dir = format!("{}/{SOURCE}/77", snapshot.path);
    let (status, listing) = ask(token.clone(), Some(dir.clone())).await;
    assert_eq!(status, 200);
    assert_eq!(listing.lines().count(), snapshot.files.len());
    assert_eq!(ask("wrong".to_owned(), Some(dir.clone())).await.0, 401);
    assert_eq!(
        ask(token.clone(), Some("/etc/passwd".to_owned())).await.0,
        401
    );
    assert_eq!(
        ask(token.clone(), Some(format!("{dir}/../../../../../../etc")))
            .await
            .0
            / 100,
        4
    );
    assert_eq!(
        ask(token.clone(), Some(format!("{dir}/none.dat"))).await.0,
        404
    );
    let (status, text) = ask(token, None).await;
    assert_eq!(status, 200);
    assert!(text.contains("not specified"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_tablets_are_gone_with_their_files() {
    let (source, target) = pair().await;
    let be = &source.backends()[0];
    let dir = be.store().join("data").join(SOURCE.to_string());
    assert!(dir.is_dir());
    be.drop_tablets(&[SOURCE, 4711]).await.unwrap();
    assert!(!dir.exists());
    assert!(matches!(
        be.tablet_stat(SOURCE),
        Err(BeError::TabletMissing { .. })
    ));
    assert_eq!(
        code(&ingest(&target, request(&source, 1, 2))).0,
        TStatusCode::HTTP_ERROR
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn show_config_picks_one_item() {
    let cluster = cluster("config").await;
    let port = cluster.backend_addresses()[0].http_port;
    let url = format!("http://127.0.0.1:{port}/api/show_config?conf_item=enable_feature_binlog");
    let rows: serde_json::Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    assert_eq!(
        rows,
        serde_json::json!([["enable_feature_binlog", "bool", "true", "false"]])
    );
}
