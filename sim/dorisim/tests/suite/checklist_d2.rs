//! What is to be observed at a backend, point by point, by public means alone: SQL, raw Thrift, HTTP. Loads come by SQL at one cluster
//! and are ingested and committed at a second one.

use dorisim::be::{BackendNode, NodeConfig};
use dorisim::faults::Faults;
use dorisim::model::clock::SimClock;
use dorisim::net::agent::{AgentTask, CreateTablet, PublishVersion};
use dorisim_wire::TBackendServiceSyncClient;
use dorisim_wire::agent::TAgentServiceSyncClient;
use dorisim_wire::{
    TIngestBinlogStatus, TMasterInfo, TNetworkAddress, TQueryIngestBinlogRequest, TStatusCode,
    TUniqueId,
};
use serde_json::json;
use std::sync::Arc;

use crate::common::{agent_client, backend_client, heartbeat};
use protobuf::Message;
use world::{OK, World};

mod protobuf;
mod world;

const INDEXES: &str =
    ", INDEX iv (v) USING INVERTED, INDEX ii (id) USING INVERTED, INDEX ig (v) USING NGRAM_BF";

#[tokio::test(flavor = "multi_thread")]
async fn d2_1_missing_version_is_404_feature_off_is_500() {
    let world = World::start("d2-1a", 1, "", "").await;
    world.load("(1, 'a')").await;
    let info = |version: i64| world.info(&world.source, 0, version);
    assert_eq!(info(2).await.0, 200);
    assert_eq!(
        info(9).await,
        (404, "get binlog info failed, binlog_version=9".to_owned())
    );
    world
        .configure(&world.source, "enable_feature_binlog", "false")
        .await;
    assert_eq!(
        info(2).await,
        (500, "binlog feature is not enabled.".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_1_missing_parameter_is_500_unknown_method_is_501() {
    let world = World::start("d2-1b", 1, "", "").await;
    world.load("(1, 'a')").await;
    let tablet = world.tablets(&world.source)[0];
    let rowset = world.rowset(0, 2).await.0;
    let whole = [
        ("tablet_id", tablet.to_string()),
        ("binlog_version", "2".to_owned()),
        ("rowset_id", rowset),
        ("segment_index", "0".to_owned()),
        ("segment_index_id", "-1".to_owned()),
    ];
    let needed = [
        (
            "get_binlog_info",
            ["tablet_id", "binlog_version"].as_slice(),
        ),
        (
            "get_rowset_meta",
            &["tablet_id", "rowset_id", "binlog_version"],
        ),
        (
            "get_segment_file",
            &["tablet_id", "rowset_id", "segment_index"],
        ),
        (
            "get_segment_index_file",
            &["tablet_id", "rowset_id", "segment_index"],
        ),
    ];
    for (method, names) in needed {
        for missing in names {
            let mut query = vec![("method", method.to_owned())];
            query.extend(whole.iter().filter(|(name, _)| name != missing).cloned());
            let answer = world.binlog(&world.source, &query).await;
            assert_eq!(
                (answer.status, answer.text()),
                (500, format!("parameter {missing} not specified in url.")),
                "{method}"
            );
        }
    }
    for (method, text) in [
        ("get_all", "invalid method: get_all"),
        ("", "invalid method: "),
    ] {
        let mut query = vec![("method", method.to_owned())];
        query.extend(whole.iter().cloned());
        let answer = world.binlog(&world.source, &query).await;
        assert_eq!((answer.status, answer.text()), (501, text.to_owned()));
    }
    let answer = world
        .binlog(
            &world.source,
            &[
                ("method", "get_binlog_info".to_owned()),
                ("tablet_id", "4711".to_owned()),
                ("binlog_version", "2".to_owned()),
            ],
        )
        .await;
    assert_eq!(
        (answer.status, answer.text()),
        (500, "tablet is not exist, tablet_id=4711".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_2_a_tablet_without_rows_has_a_rowset_of_zero_segments() {
    let world = World::start("d2-2a", 4, "", "").await;
    world.load("(1, 'a')").await;
    let mut segments = Vec::new();
    for tablet in 0..4 {
        segments.push(world.rowset(tablet, 2).await.1);
    }
    segments.sort_unstable();
    assert_eq!(segments, [0, 0, 0, 1]);
    world.copy(2, "zero").await;
    assert_eq!(world.rows(&world.target).await, ["1|a"]);
    for tablet in 0..4 {
        assert_eq!(world.info(&world.target, tablet, 2).await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_2_several_segments_arrive_in_their_order() {
    let world = World::start("d2-2b", 1, "", "").await;
    world
        .load("(1, 'a'), (2, 'b'), (3, NULL), (4, 'd'), (5, 'e')")
        .await;
    let (rowset, segments) = world.rowset(0, 2).await;
    assert_eq!((rowset.len(), segments), (48, 3), "two rows per segment");
    world.copy(2, "several").await;
    assert_eq!(
        world.rows(&world.target).await,
        world.rows(&world.source).await
    );
    let (copy, segments) = world.rowset_at(&world.target, 0, 2).await;
    assert_eq!(segments, 3);
    assert_ne!(copy, rowset, "an ingested rowset has an id of its own");
    for segment in 0..3 {
        let here = world.segment(&world.source, &rowset, segment, "").await;
        let there = world.segment(&world.target, &copy, segment, "").await;
        assert_eq!((here.status, &here.body), (200, &there.body));
    }
    let behind = world.segment(&world.source, &rowset, 3, "").await;
    assert_eq!(
        (behind.status, behind.text()),
        (404, "file not exist.".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_2_v1_has_an_index_file_per_segment_and_inverted_index() {
    let format = "\"inverted_index_storage_format\" = \"V1\"";
    let world = World::start("d2-2v1", 1, INDEXES, format).await;
    world.load("(1, 'a'), (2, 'b'), (3, 'c')").await;
    let (rowset, segments) = world.rowset(0, 2).await;
    assert_eq!(segments, 2);
    let meta = world.rowset_meta(&world.source, 0, 2).await;
    let schema = Message::read(meta.bytes(28));
    assert_eq!(schema.number(25), 0, "inverted_index_storage_format V1");
    let inverted: Vec<i64> = indexes(&schema)
        .into_iter()
        .filter(|(_, kind)| *kind == 1)
        .map(|(id, _)| id)
        .collect();
    assert_eq!(inverted.len(), 2);
    world.copy(2, "v1").await;
    let (copy, _) = world.rowset_at(&world.target, 0, 2).await;
    let mut contents = Vec::new();
    for segment in 0..2 {
        for id in &inverted {
            let here = world.index(&world.source, &rowset, segment, *id).await;
            // The names of ingested files keep the ids of the source, as the schema in the meta does.
            let there = world.index(&world.target, &copy, segment, *id).await;
            assert_eq!(here.status, 200, "{}", here.text());
            assert_eq!((there.status, &there.body), (200, &here.body));
            contents.push(here.body);
        }
    }
    contents.sort();
    contents.dedup();
    assert_eq!(contents.len(), 4, "each depends on its data");
    let bundle = world.index(&world.source, &rowset, 0, -1).await;
    assert_eq!(
        (bundle.status, bundle.text()),
        (404, "file not exist.".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_2_v2_has_one_index_file_per_segment() {
    let world = World::start("d2-2v2", 1, INDEXES, "").await;
    world.load("(1, 'a'), (2, 'b'), (3, 'c')").await;
    let (rowset, _) = world.rowset(0, 2).await;
    let meta = world.rowset_meta(&world.source, 0, 2).await;
    assert_eq!(Message::read(meta.bytes(28)).number(25), 2, "V3");
    assert!(meta.number(14) > 0, "index_disk_size");
    world.copy(2, "v2").await;
    let (copy, _) = world.rowset_at(&world.target, 0, 2).await;
    let mut contents = Vec::new();
    for segment in 0..2 {
        let here = world.index(&world.source, &rowset, segment, -1).await;
        let there = world.index(&world.target, &copy, segment, -1).await;
        assert_eq!(here.status, 200, "{}", here.text());
        assert_eq!((there.status, &there.body), (200, &here.body));
        contents.push(here.body);
    }
    assert_ne!(contents[0], contents[1]);
    let other = world.index(&world.source, &rowset, 0, 77).await;
    assert_eq!(other.status, 500, "the id of this format is -1");
    assert_eq!(
        world.counter(&world.source, "get_segment_index_file").await,
        7
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_2_index_files_are_collected_with_their_binlog() {
    let world = World::start("d2-2gc", 1, INDEXES, "").await;
    world.load("(1, 'a')").await;
    let (rowset, _) = world.rowset(0, 2).await;
    assert_eq!(world.index(&world.source, &rowset, 0, -1).await.status, 200);
    world.load("(2, 'b')").await;
    world.collect(&world.source).await;
    assert_eq!(world.info(&world.source, 0, 2).await.0, 404);
    let gone = world.index(&world.source, &rowset, 0, -1).await;
    assert_eq!(
        (gone.status, gone.text()),
        (404, "file not exist.".to_owned())
    );
    assert_eq!(world.rows(&world.source).await, ["1|a", "2|b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_2_the_rowset_meta_is_a_rowset_meta_pb() {
    let world = World::start("d2-2pb", 1, INDEXES, "").await;
    world.load("(1, 'a'), (2, 'b'), (3, 'c')").await;
    let (rowset, _) = world.rowset(0, 2).await;
    let meta = world.rowset_meta(&world.source, 0, 2).await;
    let tablet = world.tablets(&world.source)[0];
    let numbers = [
        (1, 0),
        (3, tablet),
        (6, 1),
        (7, 2),
        (8, 2),
        (9, 2),
        (11, 3),
        (22, 2),
        (51, 1),
    ];
    for (field, value) in numbers {
        assert_eq!(meta.number(field), value, "field {field}");
    }
    assert_eq!(meta.number(12), meta.number(13) + meta.number(14));
    assert_eq!(meta.bytes(23), rowset.as_bytes());
    let schema = Message::read(meta.bytes(28));
    assert_eq!(schema.number(1), 0, "DUP_KEYS");
    let columns: Vec<(String, String, i64)> = schema
        .all(2)
        .into_iter()
        .map(|column| {
            let column = Message::read(&column);
            let text = |field| String::from_utf8(column.bytes(field).to_vec()).unwrap();
            (text(2), text(3), column.number(4))
        })
        .collect();
    let column = |name: &str, kind: &str, key| (name.to_owned(), kind.to_owned(), key);
    assert_eq!(
        columns,
        [column("id", "BIGINT", 1), column("v", "VARCHAR", 0)]
    );
    let kinds: Vec<i64> = indexes(&schema).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, [1, 1, 3], "INVERTED, INVERTED, NGRAM_BF");

    world.copy(2, "pb").await;
    let copy = world.rowset_meta(&world.target, 0, 2).await;
    assert_eq!(copy.number(53), tablet, "source_tablet_id");
    assert_eq!(copy.bytes(54), rowset.as_bytes(), "source_rowset_id");
    assert_eq!(copy.number(3), world.tablets(&world.target)[0]);
}

/// Id and `IndexType` of each index of a `TabletSchemaPB`.
fn indexes(schema: &Message) -> Vec<(i64, i64)> {
    let index = |bytes: Vec<u8>| {
        let index = Message::read(&bytes);
        (index.number(1), index.number(3))
    };
    schema.all(16).into_iter().map(index).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_3_content_md5_comes_on_demand_only() {
    let world = World::start("d2-3a", 1, "", "").await;
    world.load("(1, 'a')").await;
    let (rowset, _) = world.rowset(0, 2).await;
    let plain = world.segment(&world.source, &rowset, 0, "").await;
    assert_eq!(plain.md5, None);
    let asked = world.segment(&world.source, &rowset, 0, "1").await;
    let md5 = asked.md5.unwrap();
    assert_eq!(md5.len(), 32);
    assert_eq!(md5, dorisim::be::fetch::md5_hex(&plain.body));
    let head = world.head(&world.source, &rowset, "yes").await;
    assert_eq!((head.length, head.md5), (Some(plain.body.len()), Some(md5)));
    assert!(head.body.is_empty());
    for method in ["get_binlog_info", "get_rowset_meta"] {
        let answer = world.head_of(&world.source, method, &rowset, 2).await;
        assert_eq!(answer.status, 200, "{method}");
        let answer = world.head_of(&world.source, method, &rowset, 9).await;
        assert_eq!(answer.status, 404, "HEAD runs the handler of {method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_3_a_wrong_length_and_a_wrong_md5_are_told_apart() {
    let world = World::start("d2-3b", 1, "", "").await;
    world.load("(1, 'a')").await;
    let txn = world.begin("damaged");
    // HEAD passes, all GETs behind it bring something else.
    let rule = json!({"call": "get_segment_file", "effect": "garbage", "skip": 1});
    let id = world.fault(&world.source, rule).await;
    let (code, text) = world.ingest(txn, 0, 2).await;
    assert_eq!(code, TStatusCode::RUNTIME_ERROR);
    assert!(
        text.contains("downloaded file size is not equal, local="),
        "{text}"
    );
    world.heal(&world.source, id).await;

    let rule = json!({"call": "get_segment_file", "effect": "corrupt"});
    let id = world.fault(&world.source, rule).await;
    world
        .configure(&world.target, "enable_download_md5sum_check", "true")
        .await;
    let (code, text) = world.ingest(txn, 0, 2).await;
    assert_eq!(code, TStatusCode::RUNTIME_ERROR);
    assert!(
        text.contains("downloaded file md5 is not equal, local="),
        "{text}"
    );
    world.heal(&world.source, id).await;
    assert_eq!(world.ingest(txn, 0, 2).await.0, OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_3_a_connection_cut_in_the_middle_is_tried_three_times() {
    let world = World::start("d2-3c", 1, "", "").await;
    world.load("(1, 'a')").await;
    let txn = world.begin("cut");
    let cut = |times: u64| json!({"call": "get_segment_file", "effect": "truncate", "bytes": 9, "skip": 1, "times": times});
    world.fault(&world.source, cut(2)).await;
    assert_eq!(
        world.ingest(txn, 0, 2).await.0,
        OK,
        "the third attempt is whole"
    );
    world.fault(&world.source, cut(3)).await;
    assert_eq!(world.ingest(txn, 0, 2).await.0, TStatusCode::HTTP_ERROR);
    let reset = json!({"call": "get_rowset_meta", "effect": "reset_before", "times": 3});
    world.fault(&world.source, reset).await;
    assert_eq!(world.ingest(txn, 0, 2).await.0, TStatusCode::HTTP_ERROR);
    assert_eq!(world.ingest(txn, 0, 2).await.0, OK);
    world.commit(txn, 1);
    assert_eq!(world.rows(&world.target).await, ["1|a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_4_ingest_twice_the_second_replaces_the_first() {
    let world = World::start("d2-4a", 1, "", "").await;
    world.load("(1, 'a')").await;
    let txn = world.begin("twice");
    for _ in 0..2 {
        assert_eq!(world.ingest(txn, 0, 2).await.0, OK);
    }
    assert_eq!(
        world.counter(&world.source, "get_segment_file").await,
        4,
        "everything is fetched again"
    );
    world.commit(txn, 1);
    assert_eq!(world.rows(&world.target).await, ["1|a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_4_a_failed_repeat_loses_the_first_and_ingest_after_failure_succeeds() {
    let world = World::start("d2-4b", 1, "", "").await;
    world.load("(1, 'a')").await;
    let txn = world.begin("again");
    assert_eq!(world.ingest(txn, 0, 2).await.0, OK);
    assert_eq!(world.ingest(txn, 0, 99).await.0, TStatusCode::HTTP_ERROR);
    assert_eq!(world.state(txn), TIngestBinlogStatus::FAILED);
    assert_eq!(world.ingest(txn, 0, 2).await.0, OK);
    assert_eq!(world.state(txn), TIngestBinlogStatus::OK);
    world.commit(txn, 1);
    assert_eq!(world.rows(&world.target).await, ["1|a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_4_concurrent_ingests_of_one_tablet_are_both_ok_and_the_rows_come_once() {
    let world = World::start("d2-4c", 1, "", "").await;
    world.load("(1, 'a'), (2, 'b')").await;
    let txn = world.begin("both");
    let hold = json!({"call": "get_segment_file", "effect": "hold"});
    let held = world.fault(&world.source, hold).await;
    let both = async { tokio::join!(world.ingest(txn, 0, 2), world.ingest(txn, 0, 2)) };
    let release = async {
        world.until(&world.source, "get_segment_file", 2).await;
        world.heal(&world.source, held).await;
    };
    let ((first, second), ()) = tokio::join!(both, release);
    assert_eq!((first.0, second.0), (OK, OK));
    assert_eq!(world.state(txn), TIngestBinlogStatus::OK);
    world.commit(txn, 1);
    assert_eq!(world.rows(&world.target).await, ["1|a", "2|b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_4_async_mode_answers_at_once_and_is_polled() {
    let world = World::start("d2-4d", 1, "", "").await;
    world.load("(1, 'a')").await;
    world
        .configure(&world.target, "ingest_binlog_work_pool_size", "0")
        .await;
    let txn = world.begin("later");
    let hold = json!({"call": "get_segment_file", "effect": "hold"});
    let held = world.fault(&world.source, hold).await;
    let answer = backend_client(world.target.backend_addresses()[0].be_port)
        .ingest_binlog(world.request(txn, 0, 2))
        .unwrap();
    assert_eq!(answer.status.unwrap().status_code, OK);
    assert_eq!(answer.is_async, Some(true));
    assert_eq!(world.state(txn), TIngestBinlogStatus::DOING);
    world.heal(&world.source, held).await;
    for _ in 0..500 {
        if world.state(txn) != TIngestBinlogStatus::DOING {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(world.state(txn), TIngestBinlogStatus::OK);
    world.commit(txn, 1);
    assert_eq!(world.rows(&world.target).await, ["1|a"]);
    assert_eq!(
        world.state(txn),
        TIngestBinlogStatus::NOT_FOUND,
        "a published transaction is forgotten"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_5_an_unknown_tablet_is_tablet_missing() {
    let world = World::start("d2-5a", 1, "", "").await;
    world.load("(1, 'a')").await;
    let mut request = world.request(7, 0, 2);
    request.local_tablet_id = Some(4711);
    let mut client = backend_client(world.target.backend_addresses()[0].be_port);
    let status = client.ingest_binlog(request).unwrap().status.unwrap();
    assert_eq!(status.status_code, TStatusCode::TABLET_MISSING);
    assert_eq!(status.error_msgs.unwrap(), ["tablet 4711 not found"]);
    let query = TQueryIngestBinlogRequest::new(7, 1, 4711, TUniqueId::new(-1, -1));
    let state = client.query_ingest_binlog(query).unwrap();
    assert_eq!(state.status, Some(TIngestBinlogStatus::NOT_FOUND));
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_5_a_full_disk_is_no_enough_space() {
    let world = World::start("d2-5b", 1, "", "").await;
    world.load("(1, 'a')").await;
    let txn = world.begin("full");
    let backend = world.target.backend_addresses()[0].id;
    let id = world
        .post(&world.target, "/sim/disk", &json!({"backend": backend}))
        .await["id"]
        .as_u64()
        .unwrap();
    let (code, text) = world.ingest(txn, 0, 2).await;
    assert_eq!(code, TStatusCode::INTERNAL_ERROR);
    assert!(text.contains("no enough space"), "{text}");
    world.heal(&world.target, id).await;
    assert_eq!(world.ingest(txn, 0, 2).await.0, OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_5_too_many_transactions_are_refused() {
    let world = World::start("d2-5c", 1, "", "").await;
    world.load("(1, 'a')").await;
    let name = "max_runnings_transactions_per_txn_map";
    world.configure(&world.target, name, "1").await;
    // Ids that differ by 1024 share a map; more than the limit must be in it before one is refused.
    for txn in [5, 5 + 1024] {
        assert_eq!(world.ingest(txn, 0, 2).await.0, OK);
    }
    let (code, text) = world.ingest(5 + 2048, 0, 2).await;
    assert_eq!(code, TStatusCode::INTERNAL_ERROR);
    assert_eq!(text, "(127.0.0.1)[E-233]too many transactions: 2, limit: 1");
    assert_eq!(world.ingest(6, 0, 2).await.0, OK, "another map");
    world.configure(&world.target, name, "2000").await;
    assert_eq!(world.ingest(5 + 2048, 0, 2).await.0, OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_6_binlog_files_collected_between_info_and_segment_are_an_http_error() {
    let world = World::start("d2-6", 1, "", "").await;
    world.load("(1, 'a')").await;
    world.load("(2, 'b')").await;
    let txn = world.begin("collected");
    // HEAD and the look at the meta pass; the GET of the segment waits until the files are gone.
    let hold = json!({"call": "get_segment_file", "effect": "hold", "skip": 1});
    let held = world.fault(&world.source, hold).await;
    let collect = async {
        world.until(&world.source, "get_segment_file", 2).await;
        world.collect(&world.source).await;
        world.heal(&world.source, held).await;
    };
    let ((code, text), ()) = tokio::join!(world.ingest(txn, 0, 2), collect);
    assert_eq!(code, TStatusCode::HTTP_ERROR);
    assert!(
        text.contains("404") && text.contains("file not exist."),
        "{text}"
    );
    assert_eq!(world.state(txn), TIngestBinlogStatus::FAILED);
    let (code, text) = world.ingest(txn, 0, 2).await;
    assert_eq!(code, TStatusCode::HTTP_ERROR);
    assert!(
        text.contains("get binlog info failed, binlog_version=2"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_7_publish_refuses_version_gaps() {
    const TABLET: i64 = 500;
    let world = World::start("d2-7", 1, "", "").await;
    world.load("(1, 'a')").await;
    world.load("(2, 'b')").await;
    let store = tempfile::TempDir::new().unwrap();
    let config = NodeConfig::new(store.path().to_owned());
    let (clock, faults) = (Arc::new(SimClock::default()), Arc::new(Faults::new(1)));
    let mut node = BackendNode::bind(config, clock, faults).unwrap();
    node.serve(&tokio::runtime::Handle::current(), axum::Router::new())
        .unwrap();
    let (port, http) = (node.address().be_port, node.address().http_port);
    // Ends of tasks go to a frontend that does not know this backend, and says so.
    let master = TNetworkAddress::new(
        "127.0.0.1".to_owned(),
        i32::from(world.target.thrift_port()),
    );
    let info = TMasterInfo::new(
        master, 1, 1, None, None, None, None, None, None, None, None, None, None, None,
    );
    heartbeat(node.address().heartbeat_port, info);
    let submit = |task: AgentTask, signature: i64| {
        let answer = agent_client(port).submit_tasks(vec![task.to_wire(signature)]);
        assert_eq!(answer.unwrap().status.status_code, OK);
    };
    let create = CreateTablet {
        spec: crate::common::spec(TABLET),
    };
    submit(AgentTask::Create(Box::new(create)), TABLET);
    let info = |version: i64| world::binlog_info(http, TABLET, version);
    world::wait("the tablet is there", async || info(9).await == 404).await;
    for (txn, version) in [(901, 2), (902, 3)] {
        let mut request = world.request(txn, 0, version);
        request.local_tablet_id = Some(TABLET);
        request.partition_id = Some(5);
        let answer = backend_client(port).ingest_binlog(request).unwrap();
        assert_eq!(answer.status.unwrap().status_code, OK);
    }
    let publish = |txn: i64, version: i64| {
        let task = PublishVersion {
            txn_id: txn,
            partitions: vec![(5, version)],
            base_tablets: [TABLET].into(),
        };
        submit(AgentTask::Publish(task), txn);
    };
    publish(902, 3);
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(info(3).await, 404, "version 2 is missing before it");
    let state = |txn: i64| {
        let query = TQueryIngestBinlogRequest::new(txn, 5, TABLET, TUniqueId::new(-1, -1));
        let answer = backend_client(port).query_ingest_binlog(query).unwrap();
        answer.status.unwrap()
    };
    assert_eq!(state(902), TIngestBinlogStatus::OK, "it stays committed");
    publish(901, 2);
    world::wait("both are visible", async || info(3).await == 200).await;
    assert_eq!(info(2).await, 200);
    assert_eq!(state(902), TIngestBinlogStatus::NOT_FOUND);
}
