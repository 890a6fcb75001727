//! Requests and answers that several tests use.

use std::time::Duration;

use crate::fake::Seen;
use ccr_doris::{BeginTxn, BinlogPosition, Error, IngestRequest};
use ccr_doris_wire::{
    TBinlog, TBinlogType, TGetBinlogResult, TNetworkAddress, TStatus, TStatusCode, unset,
};
use ccr_schemas::{CommitSeq, PartitionId, TableId, TabletId, TxnId};
use thrift::protocol::{TBinaryInputProtocol, TInputProtocol, TSerializable};

pub fn status(code: i32, text: &str) -> Option<TStatus> {
    Some(TStatus {
        status_code: TStatusCode(code),
        error_msgs: (!text.is_empty()).then(|| vec![text.to_owned()]),
    })
}

pub fn binlogs(code: i32, seqs: &[i64]) -> TGetBinlogResult {
    let records = seqs.iter().map(|seq| TBinlog {
        commit_seq: Some(*seq),
        timestamp: Some(5),
        type_: Some(TBinlogType(4_711)),
        db_id: Some(1),
        table_ids: Some(vec![2]),
        data: Some("{}".to_owned()),
        ..unset()
    });
    TGetBinlogResult {
        status: status(code, ""),
        binlogs: (!seqs.is_empty()).then(|| records.collect()),
        ..unset()
    }
}

pub fn not_master(host: &str, port: u16) -> TGetBinlogResult {
    TGetBinlogResult {
        status: status(73, "FE is not master"),
        master_address: Some(TNetworkAddress {
            hostname: host.to_owned(),
            port: i32::from(port),
        }),
        ..unset()
    }
}

/// The request inside a call.
pub fn request<T: TSerializable>(seen: &Seen) -> T {
    let mut input = TBinaryInputProtocol::new(seen.bytes.as_slice(), true);
    input.read_message_begin().unwrap();
    assert_eq!(input.read_field_begin().unwrap().id, Some(1));
    T::read_from_in_protocol(&mut input).unwrap()
}

pub fn shop() -> BinlogPosition {
    BinlogPosition {
        database: "shop".to_owned(),
        table: None,
        after: CommitSeq(-1),
    }
}

pub fn begin() -> BeginTxn {
    BeginTxn {
        database: "shop".to_owned(),
        tables: vec![TableId(7)],
        label: "L".to_owned(),
        timeout: Duration::from_millis(600_500),
        sub_txns: 0,
    }
}

pub fn ingest() -> IngestRequest {
    IngestRequest {
        txn: TxnId(1),
        partition: PartitionId(2),
        tablet: TabletId(3),
        source_tablet: TabletId(4),
        source_version: 5,
        source_host: "src".to_owned(),
        source_http_port: 8040,
    }
}

/// The error names the server and the call.
pub fn assert_names(error: &Error, port: u16, call: &str) {
    let text = error.to_string();
    assert!(text.contains(&format!("127.0.0.1:{port}")), "{text}");
    assert!(text.contains(call), "{text}");
}
