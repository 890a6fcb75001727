//! A frontend of autumn 2024: what it does not know.

use dorisim_wire::{TFrontendServiceSyncClient, TStatusCode};
use serde_json::json;

use crate::backup_restore::{
    Restore, backup, gzip, info_with_extra, restore_request, snapshot, snapshot_request, submit,
};
use crate::checklist_d1::T;
use crate::common::frontend_client;
use crate::common::peer::{Peer, begin_request, binlog_request, code, lock_request};
use dorisim::SimConfig;

#[tokio::test(flavor = "multi_thread")]
async fn an_older_frontend_lacks_methods_and_members() {
    let mut fe = Peer::bare(SimConfig {
        name: "older".to_owned(),
        frontends: 2,
        backends: 1,
        ..SimConfig::default()
    })
    .await;
    fe.sql("CREATE DATABASE d PROPERTIES (\"binlog.enable\" = \"true\")")
        .await;
    fe.sql(T).await;
    fe.sql("INSERT INTO d.t VALUES (1, 'a')").await;
    backup(&mut fe, "s", "").await;
    let newest = snapshot(&mut fe, "s");
    fe.sim("settings", &json!({"dorisim_rpc_version": "2024"}))
        .await;

    let refused = fe.fe.lock_binlog(lock_request("job", None)).unwrap_err();
    let thrift::Error::Application(refused) = refused else {
        panic!("{refused}")
    };
    assert_eq!(refused.kind, thrift::ApplicationErrorKind::UnknownMethod);
    assert_eq!(refused.message, "Invalid method name: 'lockBinlog'");
    assert_eq!(
        fe.read(-1, Some(255)).binlogs.unwrap().len(),
        1,
        "one record per call"
    );
    let lag = fe.lag(-1);
    assert_eq!(lag.lag, Some(3));
    assert_eq!(
        (
            lag.first_commit_seq,
            lag.last_commit_seq,
            lag.next_commit_seq
        ),
        (None, None, None)
    );
    assert_eq!(
        (
            lag.first_binlog_timestamp,
            lag.last_binlog_timestamp,
            lag.next_binlog_timestamp
        ),
        (None, None, None)
    );
    let meta = fe.meta();
    assert_eq!(
        (meta.dropped_partition_map, meta.dropped_table_map),
        (None, None)
    );
    assert_eq!(meta.dropped_partitions, Some(Vec::new()));
    assert_eq!(meta.tables.unwrap()[0].type_, None);

    let mut request = snapshot_request("s");
    request.enable_compress = Some(true);
    let plain = fe.fe.get_snapshot(request).unwrap();
    assert_eq!(
        (plain.compressed, plain.expired_at, plain.commit_seq),
        (None, None, None)
    );
    assert_eq!(plain.meta, newest.meta, "asked for, not compressed");
    let info = info_with_extra(&mut fe, &newest).await;
    let mut request = restore_request(&Restore::new("r"), gzip(&newest.meta.unwrap()), &info);
    request.compressed = Some(true);
    let (status, text) = submit(&mut fe, request);
    assert_eq!(status, TStatusCode::ANALYSIS_ERROR);
    assert!(
        text.contains("deserialize meta and job info failed"),
        "{text}"
    );

    let mut follower = frontend_client(fe.sim.frontends()[1].thrift);
    let mut stale = binlog_request(-1, None);
    stale.allow_follower_read = Some(true);
    let refused = follower.get_binlog(stale).unwrap();
    assert_eq!(code(&refused.status), TStatusCode::NOT_MASTER);
    let told = follower.begin_txn(begin_request(vec![1], "l")).unwrap();
    let master = told.master_address.unwrap();
    assert_eq!(
        master.port,
        i32::from(fe.sim.thrift_port()),
        "every answer tells it"
    );

    fe.sim("settings", &json!({"dorisim_rpc_version": ""}))
        .await;
    assert_eq!(fe.read(-1, Some(255)).binlogs.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_may_carry_members_of_later_versions() {
    let mut fe = Peer::start("later", 1).await;
    fe.sql(T).await;
    let plain = fe.records(-1);
    fe.sim(
        "settings",
        &json!({"dorisim_unknown_reply_members": "true"}),
    )
    .await;
    let read = fe.records(-1);
    assert_eq!(read[0].raw, plain[0].raw, "a reader skips them");
    let id = fe.table_id("t");
    let txn = fe.begin_ok(vec![id], "l");
    assert_eq!(fe.commit(txn, Vec::new()).0, TStatusCode::OK);
    assert_eq!(fe.lag(-1).lag, Some(1));

    let mut stream = std::net::TcpStream::connect(("127.0.0.1", fe.sim.thrift_port())).unwrap();
    stream
        .set_read_timeout(Some(std::time::Duration::from_secs(10)))
        .unwrap();
    // getMasterToken with an empty request: refused, but answered.
    let mut call = vec![0x80, 1, 0, 1, 0, 0, 0, 14];
    call.extend(b"getMasterToken");
    call.extend([0, 0, 0, 1, 12, 0, 1, 0, 0]);
    std::io::Write::write_all(&mut stream, &call).unwrap();
    let mut answer: Vec<u8> = Vec::new();
    while !answer.windows(5).any(|w| w == b"later") {
        let mut piece = [0; 256];
        let count = std::io::Read::read(&mut stream, &mut piece).unwrap();
        assert_ne!(count, 0, "ended without the members: {answer:?}");
        answer.extend(&piece[..count]);
    }
}
