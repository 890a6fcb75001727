//! Raw clients and small clusters for the tests of dorisim.

pub mod lab;
pub mod peer;

use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use dorisim::model::backend::{BackendApi, Row, TableSchema, TabletSpec};
use dorisim::model::{
    Column, DataType, IndexFormat, IndexKind, KeysModel, TabletIndex, TabletIndexes,
};
use dorisim::{SimCluster, SimConfig};
use dorisim_wire::agent::AgentServiceSyncClient;
use dorisim_wire::{
    BackendServiceSyncClient, FrontendServiceSyncClient, HeartbeatServiceSyncClient,
    THeartbeatServiceSyncClient, TMasterInfo, TStatusCode,
};
use thrift::protocol::{TBinaryInputProtocol, TBinaryOutputProtocol};
use thrift::transport::{
    ReadHalf, TBufferedReadTransport, TBufferedWriteTransport, TIoChannel, TTcpChannel, WriteHalf,
};

/// The reading half of a raw client.
pub type Input = TBinaryInputProtocol<TBufferedReadTransport<ReadHalf<TTcpChannel>>>;
/// The writing half of a raw client.
pub type Output = TBinaryOutputProtocol<TBufferedWriteTransport<WriteHalf<TTcpChannel>>>;

/// A raw Thrift client of a backend.
pub type BackendClient = BackendServiceSyncClient<Input, Output>;
/// A raw Thrift client of a frontend.
pub type FrontendClient = FrontendServiceSyncClient<Input, Output>;

/// Both halves of a connection to a port.
pub fn protocols(port: u16) -> (Input, Output) {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(15)))
        .unwrap();
    let (read, write) = TTcpChannel::with_stream(stream).split().unwrap();
    (
        TBinaryInputProtocol::new(TBufferedReadTransport::new(read), true),
        TBinaryOutputProtocol::new(TBufferedWriteTransport::new(write), true),
    )
}

/// Connects to a `be_port`.
pub fn backend_client(port: u16) -> BackendClient {
    let (input, output) = protocols(port);
    BackendClient::new(input, output)
}

/// Connects to a `be_port`, for agent tasks.
pub fn agent_client(port: u16) -> AgentServiceSyncClient<Input, Output> {
    let (input, output) = protocols(port);
    AgentServiceSyncClient::new(input, output)
}

/// Tells a backend at its heartbeat port who its master is.
pub fn heartbeat(port: u16, master: TMasterInfo) {
    let (input, output) = protocols(port);
    let told = HeartbeatServiceSyncClient::new(input, output).heartbeat(master);
    assert_eq!(told.unwrap().status.status_code, TStatusCode::OK);
}

/// Connects to a `rpc_port`.
pub fn frontend_client(port: u16) -> FrontendClient {
    let (input, output) = protocols(port);
    FrontendClient::new(input, output)
}

/// A cluster of one backend whose segments hold two rows.
pub async fn cluster(name: &str) -> SimCluster {
    SimCluster::start(SimConfig {
        name: name.to_owned(),
        backends: 1,
        rows_per_segment: 2,
        ..SimConfig::default()
    })
    .await
    .unwrap()
}

/// `id BIGINT, v STRING`, DUPLICATE KEY.
pub fn schema() -> Arc<TableSchema> {
    let mut id = Column::new("id", DataType::BigInt);
    id.is_key = true;
    id.unique_id = 0;
    let mut v = Column::new("v", DataType::String);
    v.unique_id = 1;
    Arc::new(TableSchema {
        columns: vec![id, v],
        keys: KeysModel::Duplicate,
        schema_hash: 77,
        schema_version: 0,
        indexes: Default::default(),
    })
}

/// [`schema`] with an inverted index 501 on `v`, another 502 on `id`, and a bloom filter.
pub fn index_schema(format: IndexFormat) -> Arc<TableSchema> {
    let index = |id: i64, kind: IndexKind, column: i32| TabletIndex {
        id,
        name: format!("i{id}"),
        kind,
        columns: vec![column],
        properties: Default::default(),
    };
    let mut schema = schema().as_ref().clone();
    schema.indexes = TabletIndexes {
        format,
        list: vec![
            index(501, IndexKind::Inverted, 1),
            index(502, IndexKind::Inverted, 0),
            index(503, IndexKind::NgramBf, 1),
        ],
    };
    Arc::new(schema)
}

/// Rows with these ids.
pub fn rows(ids: &[i64]) -> Arc<Vec<Row>> {
    let row = |id: &i64| {
        vec![
            Some(id.to_string()),
            (id % 2 == 0).then(|| format!("v{id}")),
        ]
    };
    Arc::new(ids.iter().map(row).collect())
}

/// A fresh tablet with binlog at version 1.
pub fn spec(tablet_id: i64) -> TabletSpec {
    TabletSpec {
        tablet_id,
        replica_id: tablet_id + 1_000,
        table_id: 1,
        partition_id: 5,
        index_id: 9,
        schema: schema(),
        binlog_enabled: true,
        initial_version: 1,
        in_restore_mode: false,
        base_tablet: None,
    }
}

/// Writes and publishes one version.
pub async fn write(be: &dyn BackendApi, tablet: i64, txn: i64, version: i64, ids: &[i64]) {
    be.write_rowset(txn, 5, tablet, schema(), rows(ids), None)
        .unwrap();
    let published = be
        .publish_version(txn, &[(5, version)], &[tablet])
        .await
        .unwrap();
    assert_eq!(published.len(), 1);
    assert!(published[0].ok, "{published:?}");
}

/// Ids of all visible rows.
pub fn ids(be: &dyn BackendApi, tablet: i64, version: i64) -> Vec<i64> {
    be.rowsets(tablet, version)
        .unwrap()
        .iter()
        .flat_map(|view| {
            view.rows
                .iter()
                .map(|row| row[0].as_deref().unwrap().parse().unwrap())
                .collect::<Vec<i64>>()
        })
        .collect()
}
