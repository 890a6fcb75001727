//! Plan fragments over a real gRPC connection. The ones in `tests/plans` were sent by an FE built from Doris master of January 2026: `INSERT INTO t
//! VALUES (1,'a'),(2,null)` and `SELECT v, count(*) FROM t WHERE k > 0 GROUP BY v ORDER BY v LIMIT 5` on `t (k int, v varchar(20))`, one bucket.

use std::sync::Arc;

use dorisim::be::brpc::pb::{
    CancelPlanFragmentPb, ExecPlanFragmentPb, FetchDataPb, FetchedDataPb, StatusAnswerPb,
    UniqueIdPb,
};
use dorisim::be::exec::fragment::{Request, decode};
use dorisim::be::exec::peer::Peers;
use dorisim::be::exec::table_sink::TabletRows;
use dorisim::be::{BackendNode, NodeConfig};
use dorisim::faults::Faults;
use dorisim::model::backend::{BackendApi, TabletSpec};
use dorisim::model::clock::SimClock;
use dorisim::model::{Column, DataType, KeysModel, TableSchema};
use dorisim::net::compact::CompactInput;
use dorisim_wire::plan::{TPipelineFragmentParamsList, TPlanNodeType, TResultBatch};
use thrift::protocol::{TBinaryInputProtocol, TCompactOutputProtocol, TSerializable};
use tonic::{Code, Status};

const INSERT: &str = include_str!("../plans/insert_values.hex");
const GROUP_BY: &str = include_str!("../plans/group_by.hex");

struct Rig {
    node: BackendNode,
    _dir: tempfile::TempDir,
}

fn schema() -> Arc<TableSchema> {
    let column = |name: &str, data_type, unique_id| Column {
        is_key: unique_id == 0,
        unique_id,
        ..Column::new(name, data_type)
    };
    Arc::new(TableSchema {
        columns: vec![
            column("k", DataType::Int, 0),
            column("v", DataType::Varchar(20), 1),
        ],
        keys: KeysModel::Duplicate,
        schema_hash: 7,
        schema_version: 0,
        indexes: dorisim::model::TabletIndexes::default(),
    })
}

impl Rig {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = NodeConfig {
            token: "secret".to_owned(),
            ..NodeConfig::new(dir.path().join("store"))
        };
        let (clock, faults) = (Arc::new(SimClock::default()), Arc::new(Faults::new(1)));
        let mut node = BackendNode::bind(config, clock, faults).unwrap();
        let runtime = tokio::runtime::Handle::current();
        node.serve(&runtime, axum::Router::new()).unwrap();
        Rig { node, _dir: dir }
    }

    fn address(&self) -> (String, u16) {
        let address = self.node.address();
        (address.host.clone(), address.brpc_port)
    }

    async fn tablet(&self, tablet_id: i64, partition_id: i64) {
        let spec = TabletSpec {
            tablet_id,
            replica_id: 1,
            table_id: 2,
            partition_id,
            index_id: 3,
            schema: schema(),
            binlog_enabled: false,
            initial_version: 1,
            in_restore_mode: false,
            base_tablet: None,
        };
        self.node.backend().create_tablet(spec).await.unwrap();
    }

    async fn call<Q, A>(&self, service: &str, method: &str, request: Q) -> Result<A, Status>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        let (host, port) = self.address();
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{host}:{port}"));
        let channel = endpoint.unwrap().connect().await.unwrap();
        let mut client = tonic::client::Grpc::new(channel);
        client.ready().await.unwrap();
        let path = format!("/{service}/{method}").parse().unwrap();
        let codec = tonic_prost::ProstCodec::<Q, A>::default();
        let answer = client.unary(tonic::Request::new(request), path, codec);
        Ok(answer.await?.into_inner())
    }

    async fn execute(&self, request: ExecPlanFragmentPb) -> StatusAnswerPb {
        let service = "doris.PBackendService";
        self.call(service, "exec_plan_fragment", request)
            .await
            .unwrap()
    }

    async fn fetch(&self, id: UniqueIdPb) -> FetchedDataPb {
        let asked = FetchDataPb { finst_id: id };
        self.call("doris.PBackendService", "fetch_data", asked)
            .await
            .unwrap()
    }

    /// Runs the INSERT and publishes it as version 2. Returns its transaction.
    async fn insert(&self) -> i64 {
        let sink = decode(&request(INSERT)).unwrap().fragments.remove(0).sink;
        let sink = sink.olap_table_sink.unwrap();
        let partition = &sink.partition.partitions[0];
        let tablet = partition.indexes[0].tablets[0];
        self.tablet(tablet, partition.id).await;
        assert_eq!(self.execute(request(INSERT)).await.status.status_code, 0);
        let backend = self.node.backend();
        for _ in 0..500 {
            if backend.committed_tablets(sink.txn_id) == [tablet] {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let versions = [(partition.id, 2)];
        let published = backend
            .publish_version(sink.txn_id, &versions, &[tablet])
            .await;
        assert!(published.unwrap()[0].ok);
        tablet
    }
}

fn bytes(hex_text: &str) -> Vec<u8> {
    hex::decode(hex_text.trim()).unwrap()
}

fn request(hex_text: &str) -> ExecPlanFragmentPb {
    ExecPlanFragmentPb {
        request: Some(bytes(hex_text)),
        compact: Some(true),
        version: Some(3),
    }
}

fn changed(
    hex_text: &str,
    change: impl Fn(&mut TPipelineFragmentParamsList),
) -> ExecPlanFragmentPb {
    let bytes = bytes(hex_text);
    let mut input = CompactInput::new(bytes.as_slice());
    let mut list = TPipelineFragmentParamsList::read_from_in_protocol(&mut input).unwrap();
    change(&mut list);
    let mut written = Vec::new();
    let mut output = TCompactOutputProtocol::new(&mut written);
    list.write_to_out_protocol(&mut output).unwrap();
    ExecPlanFragmentPb {
        request: Some(written),
        compact: Some(true),
        version: Some(3),
    }
}

fn rows(answer: &FetchedDataPb) -> Vec<Vec<u8>> {
    let batch = answer.row_batch.as_deref().unwrap();
    let mut input = TBinaryInputProtocol::new(batch, true);
    let batch = TResultBatch::read_from_in_protocol(&mut input).unwrap();
    batch.rows
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_of_a_genuine_frontend_is_written_and_its_query_answered() {
    let rig = Rig::start();
    let tablet = rig.insert().await;
    let views = rig.node.backend().rowsets(tablet, 2).unwrap();
    let cell = |text: &str| Some(text.to_owned());
    let written: Vec<_> = views.iter().flat_map(|view| view.rows.to_vec()).collect();
    assert_eq!(written, [vec![cell("1"), cell("a")], vec![cell("2"), None]]);

    let Request {
        query, fragments, ..
    } = decode(&request(GROUP_BY)).unwrap();
    assert!(fragments.len() > 1, "an exchange is between");
    assert_eq!(rig.execute(request(GROUP_BY)).await.status.status_code, 0);
    let answer = rig.fetch(query).await;
    assert_eq!(answer.status.error_msgs, [""; 0]);
    assert_eq!((answer.packet_seq, answer.eos), (Some(0), Some(true)));
    assert_eq!(
        rows(&answer),
        [b"\xfb\x011".to_vec(), b"\x01a\x011".to_vec()]
    );
    let again = rig.fetch(query).await;
    assert_eq!(again.status.status_code, 1, "it was fetched to its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_can_not_run_ends_with_a_status() {
    let rig = Rig::start();
    let unknown = changed(GROUP_BY, |list| {
        for params in list.params_list.iter_mut().flatten() {
            let plan = params.fragment.as_mut().unwrap().plan.as_mut().unwrap();
            plan.nodes[0].node_type = TPlanNodeType::ANALYTIC_EVAL_NODE;
        }
    });
    let refused = rig.execute(unknown).await.status;
    assert_eq!(refused.status_code, 3);
    let text = &refused.error_msgs[0];
    assert!(
        text.starts_with("(127.0.0.1)[NOT_IMPLEMENTED_ERROR]"),
        "{text}"
    );
    assert!(text.contains("ANALYTIC_EVAL_NODE"), "{text}");

    let garbage = ExecPlanFragmentPb {
        request: Some(vec![0xff; 40]),
        compact: Some(true),
        version: Some(3),
    };
    assert_eq!(rig.execute(garbage).await.status.status_code, 6);

    // No such tablet: accepted, then told by whoever fetches.
    let query = decode(&request(GROUP_BY)).unwrap().query;
    assert_eq!(rig.execute(request(GROUP_BY)).await.status.status_code, 0);
    let failed = rig.fetch(query).await.status;
    assert_ne!(failed.status_code, 0);
    assert!(failed.error_msgs[0].contains("tablet"), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_query_tells_its_reason_to_who_waits() {
    let rig = Rig::start();
    let query = decode(&request(GROUP_BY)).unwrap().query;
    let parked: StatusAnswerPb = rig
        .call(
            "doris.PBackendService",
            "exec_plan_fragment_prepare",
            request(GROUP_BY),
        )
        .await
        .unwrap();
    assert_eq!(parked.status.status_code, 0);
    let cancel = CancelPlanFragmentPb {
        finst_id: UniqueIdPb { hi: 0, lo: 0 },
        query_id: Some(query),
        cancel_status: Some(dorisim::be::brpc::status::of(1, "enough".to_owned())),
    };
    let (fetched, cancelled) = tokio::join!(
        rig.fetch(query),
        rig.call::<_, StatusAnswerPb>("doris.PBackendService", "cancel_plan_fragment", cancel)
    );
    assert_eq!(cancelled.unwrap().status.status_code, 0);
    assert_eq!(fetched.status.status_code, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_methods_are_unimplemented() {
    let rig = Rig::start();
    for (service, method) in [
        ("doris.PBackendService", "request_cdc_client"),
        ("doris.Other", "exec_plan_fragment"),
    ] {
        let answer: Result<StatusAnswerPb, _> =
            rig.call(service, method, UniqueIdPb { hi: 1, lo: 2 }).await;
        assert_eq!(answer.unwrap_err().code(), Code::Unimplemented, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn backends_write_to_each_other_with_the_token_only() {
    let rig = Rig::start();
    rig.tablet(11, 12).await;
    let load = |key: &str| TabletRows {
        txn_id: 5,
        partition_id: 12,
        tablet_id: 11,
        columns: Arc::new(schema().columns.clone()),
        schema_version: 0,
        kept: Arc::default(),
        rows: Arc::new(vec![vec![Some(key.to_owned()), None]]),
    };
    let peers = Peers::default();
    let refused = peers.send_tablet(&rig.address(), "wrong", &load("0")).await;
    assert!(refused.unwrap_err().to_string().contains("token"));
    for key in ["1", "2"] {
        let (address, load) = (rig.address(), load(key));
        let sent = peers.send_tablet(&address, "secret", &load).await;
        sent.unwrap();
    }
    let backend = rig.node.backend();
    backend.publish_version(5, &[(12, 2)], &[11]).await.unwrap();
    let views = backend.rowsets(11, 2).unwrap();
    assert_eq!(
        views[0].rows.len(),
        2,
        "senders of one load add to each other"
    );
    let mut missing = load("3");
    missing.tablet_id = 13;
    let gone = peers.send_tablet(&rig.address(), "secret", &missing).await;
    assert!(gone.unwrap_err().to_string().contains("tablet 13"));
}
