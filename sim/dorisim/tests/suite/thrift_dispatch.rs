//! The Thrift servers with honest and with hostile clients.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::common::{backend_client, cluster};
use dorisim::faults::{Effect, Rule};
use dorisim_wire::{
    TBackendServiceSyncClient, TIngestBinlogRequest, TIngestBinlogStatus,
    TQueryIngestBinlogRequest, TStatusCode,
};

/// A strict CALL without arguments.
fn call(method: &str, sequence: i32) -> Vec<u8> {
    let mut bytes = vec![0x80, 0x01, 0x00, 0x01];
    bytes.extend_from_slice(&u32::try_from(method.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(method.as_bytes());
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.push(0);
    bytes
}

/// Every field unset; the generated default would set them to zero.
fn empty_request() -> TIngestBinlogRequest {
    TIngestBinlogRequest::new(None, None, None, None, None, None, None, None)
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream
}

/// Reads `length` bytes, or what comes until the end.
fn read_up_to(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match stream.read(&mut bytes[filled..]) {
            Ok(0) | Err(_) => break,
            Ok(count) => filled += count,
        }
    }
    bytes.truncate(filled);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_method_is_an_exception_and_the_connection_goes_on() {
    let cluster = cluster("dispatch").await;
    for port in [
        cluster.thrift_port(),
        cluster.backend_addresses()[0].be_port,
    ] {
        let mut stream = connect(port);
        for sequence in [7, 8] {
            stream.write_all(&call("lockBinlogs", sequence)).unwrap();
            let text = b"Invalid method name: 'lockBinlogs'";
            // Header 12 + name 11, then fields message (7 + text) and type (7) and the stop byte.
            let answer = read_up_to(&mut stream, 23 + 7 + text.len() + 7 + 1);
            assert_eq!(&answer[..4], [0x80, 0x01, 0x00, 0x03]);
            assert_eq!(&answer[19..23], sequence.to_be_bytes());
            assert!(answer.windows(text.len()).any(|window| window == text));
            assert_eq!(
                answer[answer.len() - 8..],
                [8, 0, 2, 0, 0, 0, 1, 0],
                "type 1, UNKNOWN_METHOD"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_closes_the_connection_and_only_that() {
    let cluster = cluster("garbage").await;
    let port = cluster.backend_addresses()[0].be_port;
    let mut huge_list = call("ingest_binlog", 1);
    huge_list.pop();
    // Field 1: a struct whose field 20 is a list of 2^31-1 structs.
    huge_list.extend_from_slice(&[12, 0, 1, 15, 0, 20, 12, 0x7f, 0xff, 0xff, 0xff]);
    let mut negative = call("ingest_binlog", 1);
    negative.pop();
    negative.extend_from_slice(&[12, 0, 1, 11, 0, 4, 0xff, 0xff, 0xff, 0xff]);
    let hostile: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0x80, 0x01, 0x00, 0x01, 0x7f, 0xff, 0xff, 0xff],
        &huge_list,
        &negative,
        &call("ingest_binlog", 1),
    ];
    for bytes in hostile {
        let mut stream = connect(port);
        stream.write_all(bytes).unwrap();
        assert!(read_up_to(&mut stream, 1).is_empty(), "{bytes:?}");
    }
    let request = TQueryIngestBinlogRequest::new(None, None, None, None);
    let answer = backend_client(port).query_ingest_binlog(request).unwrap();
    assert_eq!(answer.status, Some(TIngestBinlogStatus::ANALYSIS_ERROR));
    assert_eq!(answer.err_msg.as_deref(), Some("txn_id is empty"));
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_apply_to_calls() {
    let cluster = cluster("faults").await;
    let address = cluster.backend_addresses()[0].clone();
    let ask = || backend_client(address.be_port).ingest_binlog(empty_request());

    cluster.faults().add(
        Rule::always(
            "ingest_binlog",
            Effect::Fail {
                code: Some(71),
                message: "no luck".to_owned(),
            },
        )
        .times(1),
    );
    let status = ask().unwrap().status.unwrap();
    assert_eq!(status.status_code, TStatusCode::HTTP_ERROR);
    assert_eq!(status.error_msgs.unwrap(), ["no luck"]);
    for effect in [Effect::ResetBefore, Effect::ResetAfter, Effect::Garbage] {
        cluster
            .faults()
            .add(Rule::always("ingest_binlog", effect).times(1));
        assert!(ask().is_err());
    }
    let down = cluster.faults().backend_down(address.id);
    assert!(ask().is_err());
    cluster.faults().remove(down);
    assert_eq!(
        ask().unwrap().status.unwrap().status_code,
        TStatusCode::ANALYSIS_ERROR
    );
    assert_eq!(cluster.counters()["ingest_binlog"], 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_ends_open_connections() {
    let cluster = cluster("shutdown").await;
    let mut stream = connect(cluster.thrift_port());
    cluster.shutdown().await;
    assert!(read_up_to(&mut stream, 1).is_empty());
    assert!(TcpStream::connect(("127.0.0.1", cluster.thrift_port())).is_err());
    cluster.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_set_and_seen_over_http() {
    let cluster = cluster("admin").await;
    let base = format!("http://127.0.0.1:{}/sim", cluster.http_port());
    let client = reqwest::Client::new();
    let rule = r#"{"call":"ingest_binlog","effect":"fail","code":6,"times":2}"#;
    let answer = client
        .post(format!("{base}/faults"))
        .body(rule)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(cluster.faults().rules().len(), 1);
    let bad = client
        .post(format!("{base}/faults"))
        .body("{\"call\":1}")
        .send()
        .await
        .unwrap();
    assert_eq!(bad.status(), 400);
    assert!(bad.text().await.unwrap().contains("a rule looks like"));
    let mut thrift = backend_client(cluster.backend_addresses()[0].be_port);
    let status = thrift
        .ingest_binlog(empty_request())
        .unwrap()
        .status
        .unwrap();
    assert_eq!(status.status_code, TStatusCode::INTERNAL_ERROR);
    let counters: serde_json::Value = client
        .get(format!("{base}/counters"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(counters["ingest_binlog"], 1);
    client
        .delete(format!("{base}/faults"))
        .send()
        .await
        .unwrap();
    assert!(cluster.faults().rules().is_empty());
    let clock = client
        .post(format!("{base}/clock"))
        .body("{\"advance_ms\":5000}")
        .send()
        .await
        .unwrap();
    assert_eq!(clock.status(), 200);
    assert_eq!(cluster.clock().offset_ms(), 5000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_connection_does_not_hold_up_others() {
    let cluster = cluster("slow").await;
    let port = cluster.backend_addresses()[0].be_port;
    let mut half = connect(port);
    half.write_all(&call("ingest_binlog", 1)[..6]).unwrap();
    let status = backend_client(port)
        .ingest_binlog(empty_request())
        .unwrap()
        .status
        .unwrap();
    assert_eq!(status.status_code, TStatusCode::ANALYSIS_ERROR);
}
