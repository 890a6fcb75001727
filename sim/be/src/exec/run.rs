//! Running the fragments of one request: inputs, plan, sink, report.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use dorisim_wire::plan::{
    TDataSinkType, TDataStreamSink, TOlapTableSink, TPartitionType, TPipelineFragmentParams,
    TPlanFragmentDestination, TResultSinkType,
};
use futures::future::join_all;

use super::batch::Batch;
use super::bucket;
use super::error::{ExecError, plan};
use super::executor::Executor;
use super::expr::{Expr, filter, project};
use super::file_scan::{self, Refused};
use super::fragment::{Fragment, Request, of_load};
use super::operator::Context;
use super::query::Query;
use super::report::{Ended, Loaded};
use super::rows::Format;
use super::table_sink::{self, TabletRows};
use super::types::{Descriptors, Layout};
use crate::brpc::pb::UniqueIdPb;
use crate::brpc::status;
use dorisim_model::{DataType, Row};

/// brpc address of a backend to the rows that it gets.
type ByReceiver = BTreeMap<(String, u16), Vec<Row>>;

/// What of a request all its fragments need.
struct Shared {
    query: Arc<Query>,
    descriptors: Arc<Descriptors>,
    limit: Duration,
    binary_rows: bool,
}

/// A plan for a body.
#[derive(Debug)]
pub struct BodyLoad {
    /// Fields of the body, in their order.
    pub fields: Vec<String>,
    query: UniqueIdPb,
    descriptors: Arc<Descriptors>,
    limit: Duration,
    node: i32,
    fragment: Fragment,
}

impl BodyLoad {
    /// The plan that a frontend answered to `streamLoadPut`.
    ///
    /// # Errors
    /// Plans of another form, or with nodes that are not known.
    pub fn new(params: TPipelineFragmentParams) -> Result<Self, ExecError> {
        let mut request = of_load(params)?;
        let fragment = request.fragments.pop();
        let fragment = fragment.ok_or_else(|| plan("a load without fragment"))?;
        let file = fragment.files.iter().next();
        let (node, params) = file.ok_or_else(|| plan("a load without a scan of its body"))?;
        Ok(BodyLoad {
            fields: file_scan::fields(params, &request.descriptors)?,
            query: request.query,
            descriptors: request.descriptors,
            limit: request.limit,
            node: *node,
            fragment,
        })
    }
}

/// What a fragment hands to its sink.
enum Output {
    Result(Vec<Row>, Vec<DataType>),
    /// Per sink: receivers by brpc address with their rows.
    Streams(Vec<(i32, ByReceiver)>),
    Table(Vec<Row>, Box<TOlapTableSink>, Refused),
}

impl Executor {
    pub(super) async fn run(self: Arc<Self>, query: Arc<Query>, request: Request) {
        let shared = Arc::new(Shared {
            query: Arc::clone(&query),
            descriptors: request.descriptors,
            limit: request.limit,
            binary_rows: request.binary_rows,
        });
        let (coordinator, is_load) = (request.coordinator, request.is_load);
        let mut has_result = false;
        let fragments = request.fragments.into_iter().map(|fragment| {
            has_result |= fragment.sink.type_ == TDataSinkType::RESULT_SINK;
            let executor = Arc::clone(&self);
            let (shared, coordinator) = (Arc::clone(&shared), coordinator.clone());
            async move {
                let (id, backend_id) = (fragment.id, fragment.backend_id);
                let ended = executor
                    .run_in_time(&shared, fragment, HashMap::new())
                    .await;
                let host = executor.agent.backend().listens_at().host.clone();
                let outcome = match ended {
                    Ok(loaded) => Ok(loaded),
                    Err(error) => {
                        let text = status::text(&host, error.code(), &error.to_string());
                        tracing::info!(
                            query = ?shared.query.id,
                            fragment = id,
                            error = text,
                            "fragment failed"
                        );
                        shared.query.fail(error.code().0, text.clone());
                        Err((error.code(), text))
                    }
                };
                // Nobody waits for the end of a part of a SELECT, only for its failure.
                if is_load || outcome.is_err() {
                    let end = Ended {
                        query: shared.query.id,
                        fragment: id,
                        backend_id,
                        is_load,
                        outcome,
                    };
                    end.tell(coordinator.as_ref()).await;
                }
            }
        });
        let fragments: Vec<_> = fragments.collect();
        join_all(fragments).await;
        if !has_result {
            query.over.cancel();
        }
    }

    /// Loads the rows of a body by the plan that a frontend gave for it. Nothing is told to the frontend: the caller commits.
    ///
    /// # Errors
    /// Whatever stops a load.
    pub async fn load_body(&self, load: BodyLoad, rows: Vec<Row>) -> Result<Loaded, ExecError> {
        let shared = Shared {
            query: Arc::new(Query::new(load.query)),
            descriptors: load.descriptors,
            limit: load.limit,
            binary_rows: false,
        };
        let inputs = HashMap::from([(load.node, rows)]);
        self.run_in_time(&shared, load.fragment, inputs).await
    }

    async fn run_in_time(
        &self,
        shared: &Shared,
        fragment: Fragment,
        inputs: HashMap<i32, Vec<Row>>,
    ) -> Result<Loaded, ExecError> {
        let work = self.run_fragment(shared, fragment, inputs);
        tokio::select! {
            biased;
            () = shared.query.stop.cancelled() => {
                Err(ExecError::Cancelled("the query was cancelled".to_owned()))
            }
            ended = tokio::time::timeout(shared.limit, work) => match ended {
                Ok(ended) => ended,
                Err(_elapsed) => Err(ExecError::Late(shared.limit.as_secs())),
            },
        }
    }

    async fn run_fragment(
        &self,
        shared: &Shared,
        fragment: Fragment,
        mut inputs: HashMap<i32, Vec<Row>>,
    ) -> Result<Loaded, ExecError> {
        for node in fragment.root.iter().flat_map(|root| root.exchanges()) {
            let senders = fragment.senders.get(&node).copied();
            let senders = senders.ok_or_else(|| plan(format!("exchange {node} has no senders")))?;
            inputs.insert(node, shared.query.collect(node, senders).await?);
        }
        let ended = i32::try_from(fragment.instances.len()).unwrap_or(i32::MAX);
        let own = fragment.backend_id;
        let here = self.own_addresses(&fragment);
        let backend = Arc::clone(self.agent.backend());
        let descriptors = Arc::clone(&shared.descriptors);
        let computed = tokio::task::spawn_blocking(move || {
            let mut context = Context {
                backend: &backend,
                descriptors: &descriptors,
                ranges: &fragment.ranges,
                files: &fragment.files,
                refused: Refused::default(),
                inputs,
            };
            compute(&fragment, &mut context)
        });
        let output = computed
            .await
            .map_err(|_| plan("the fragment ended in a defect of this backend; see its log"))??;
        match output {
            Output::Result(rows, types) => {
                let format = if shared.binary_rows {
                    Format::Binary(types)
                } else {
                    Format::Text
                };
                shared.query.finish(&rows, &format)?;
                Ok(Loaded::default())
            }
            Output::Streams(sinks) => {
                for (node, by_receiver) in sinks {
                    for (receiver, rows) in by_receiver {
                        if here.contains(&receiver) {
                            shared.query.deliver(node, rows, ended)?;
                        } else {
                            self.send(shared, node, &receiver, rows, ended).await?;
                        }
                    }
                }
                Ok(Loaded::default())
            }
            Output::Table(rows, sink, refused) => {
                self.load(shared.query.id, rows, *sink, own, refused).await
            }
        }
    }

    async fn send(
        &self,
        shared: &Shared,
        node: i32,
        receiver: &(String, u16),
        rows: Vec<Row>,
        ended: i32,
    ) -> Result<(), ExecError> {
        let membership = self.agent.membership();
        let token = membership.token().unwrap_or_default();
        self.peers
            .send_rows(receiver, token, shared.query.id, node, rows, ended)
            .await
    }

    /// brpc addresses of this backend, as the frontend writes them: those of instances that were sent here.
    fn own_addresses(&self, fragment: &Fragment) -> HashSet<(String, u16)> {
        let cast = fragment.sink.multi_cast_stream_sink.iter();
        let cast = cast.flat_map(|sink| sink.destinations.iter().flatten().flatten());
        fragment
            .destinations
            .iter()
            .chain(cast)
            .filter(|destination| {
                let id = &destination.fragment_instance_id;
                self.knows(UniqueIdPb {
                    hi: id.hi,
                    lo: id.lo,
                })
            })
            .filter_map(|destination| destination.brpc_server.as_ref())
            .filter_map(|server| Some((server.hostname.clone(), u16::try_from(server.port).ok()?)))
            .collect()
    }

    async fn load(
        &self,
        query: UniqueIdPb,
        mut rows: Vec<Row>,
        mut sink: TOlapTableSink,
        own: i64,
        refused: Refused,
    ) -> Result<Loaded, ExecError> {
        self.number(&sink, &mut rows).await?;
        self.make_partitions(query, &mut sink, &rows).await?;
        let nodes = sink.nodes_info.nodes.iter().map(|node| {
            let port = u16::try_from(node.async_internal_port).unwrap_or(0);
            (node.id, (node.host.clone(), port))
        });
        let nodes: HashMap<i64, (String, u16)> = nodes.collect();
        let txn_id = sink.txn_id;
        let written = table_sink::spread(&sink, rows)?;
        let mut loaded = Loaded {
            rows: written.loaded,
            filtered: refused.count + written.filtered,
            errors: refused.errors.into_iter().chain(written.errors).collect(),
            tablets: Vec::new(),
            txn_id: Some(txn_id),
        };
        for (node, tablets) in written.by_node {
            let ids: Vec<i64> = tablets.iter().map(|tablet| tablet.tablet_id).collect();
            if node == own {
                for tablet in tablets {
                    self.take_tablet(tablet)?;
                }
            } else {
                self.write_at_peer(node, &nodes, tablets).await?;
            }
            loaded.tablets.extend(ids.into_iter().map(|id| (id, node)));
        }
        Ok(loaded)
    }

    async fn write_at_peer(
        &self,
        node: i64,
        nodes: &HashMap<i64, (String, u16)>,
        tablets: Vec<TabletRows>,
    ) -> Result<(), ExecError> {
        let address = nodes.get(&node);
        let address = address.ok_or_else(|| plan(format!("node {node} has no address")))?;
        let membership = self.agent.membership();
        let token = membership.token().unwrap_or_default();
        for tablet in tablets {
            self.peers.send_tablet(address, token, &tablet).await?;
        }
        Ok(())
    }
}

/// Runs the plan and prepares what the sink takes. Blocks.
fn compute(fragment: &Fragment, context: &mut Context<'_>) -> Result<Output, ExecError> {
    let batch = match &fragment.root {
        Some(root) => root.run(context)?,
        None => Batch {
            rows: vec![Row::new()],
            layout: Layout::default(),
        },
    };
    let sink = &fragment.sink;
    match sink.type_ {
        TDataSinkType::RESULT_SINK => {
            let kind = sink.result_sink.as_ref().and_then(|sink| sink.type_);
            if kind.is_some_and(|kind| kind != TResultSinkType::MYSQL_PROTOCOL) {
                return Err(ExecError::NotSupported(
                    "a result that is not for the MySQL protocol".to_owned(),
                ));
            }
            let exprs = Expr::compile_all(&fragment.output, &batch.layout)?;
            let types = exprs.iter().map(|expr| expr.data_type.clone()).collect();
            Ok(Output::Result(project(&exprs, &batch.rows)?, types))
        }
        TDataSinkType::DATA_STREAM_SINK => {
            let stream = sink.stream_sink.as_ref();
            let stream = stream.ok_or_else(|| plan("a stream sink without description"))?;
            let sent = spread(stream, &fragment.destinations, &batch, context)?;
            Ok(Output::Streams(vec![(stream.dest_node_id, sent)]))
        }
        TDataSinkType::MULTI_CAST_DATA_STREAM_SINK => {
            let cast = sink.multi_cast_stream_sink.as_ref();
            let cast = cast.ok_or_else(|| plan("a multicast sink without description"))?;
            let sinks = cast.sinks.iter().flatten();
            let destinations = cast.destinations.iter().flatten();
            let sent = sinks.zip(destinations).map(|(stream, destinations)| {
                let sent = spread(stream, destinations, &batch, context)?;
                Ok((stream.dest_node_id, sent))
            });
            Ok(Output::Streams(sent.collect::<Result<_, ExecError>>()?))
        }
        TDataSinkType::OLAP_TABLE_SINK => {
            let table = sink.olap_table_sink.as_ref();
            let table = table.ok_or_else(|| plan("a table sink without description"))?;
            let rows = if fragment.output.is_empty() {
                batch.rows
            } else {
                let exprs = Expr::compile_all(&fragment.output, &batch.layout)?;
                project(&exprs, &batch.rows)?
            };
            let refused = std::mem::take(&mut context.refused);
            Ok(Output::Table(rows, Box::new(table.clone()), refused))
        }
        TDataSinkType::BLACKHOLE_SINK => Ok(Output::Result(Vec::new(), Vec::new())),
        other => Err(ExecError::NotSupported(format!("data sink {}", other.0))),
    }
}

/// Rows by receiving backend. Instances of one backend are one receiver.
fn spread(
    sink: &TDataStreamSink,
    destinations: &[TPlanFragmentDestination],
    batch: &Batch,
    context: &Context<'_>,
) -> Result<ByReceiver, ExecError> {
    let conditions = sink.conjuncts.as_deref().unwrap_or_default();
    let conditions = Expr::compile_all(conditions, &batch.layout)?;
    let mut rows = filter(&conditions, batch.rows.clone())?;
    let mut layout = batch.layout.clone();
    if let (Some(exprs), Some(tuple)) = (&sink.output_exprs, sink.output_tuple_id)
        && !exprs.is_empty()
    {
        rows = project(&Expr::compile_all(exprs, &layout)?, &rows)?;
        layout = context.descriptors.layout(&[tuple])?;
    }
    let receivers: Vec<(String, u16)> = destinations
        .iter()
        .map(|destination| {
            let address = destination.brpc_server.as_ref();
            let address = address.ok_or_else(|| plan("a receiver without brpc address"))?;
            let port = u16::try_from(address.port).unwrap_or(0);
            Ok((address.hostname.clone(), port))
        })
        .collect::<Result<_, ExecError>>()?;
    if receivers.is_empty() {
        return Err(plan("a stream without receivers"));
    }
    let mut sent: ByReceiver = BTreeMap::new();
    for receiver in &receivers {
        sent.entry(receiver.clone()).or_default();
    }
    match sink.output_partition.type_ {
        TPartitionType::UNPARTITIONED => {
            for all in sent.values_mut() {
                all.clone_from(&rows);
            }
        }
        TPartitionType::HASH_PARTITIONED | TPartitionType::BUCKET_SHFFULE_HASH_PARTITIONED => {
            let keys = sink.output_partition.partition_exprs.as_deref();
            let keys = Expr::compile_all(keys.unwrap_or_default(), &layout)?;
            let keyed = project(&keys, &rows)?;
            for (row, key) in rows.into_iter().zip(keyed) {
                let cells = key.iter().zip(&keys);
                let hash = cells.fold(0, |seed, (cell, expr)| {
                    bucket::hash(seed, cell, &expr.data_type)
                });
                let at = usize::try_from(hash).unwrap_or(0) % receivers.len();
                sent.entry(receivers[at].clone()).or_default().push(row);
            }
        }
        _ => {
            for (turn, row) in rows.into_iter().enumerate() {
                let receiver = receivers[turn % receivers.len()].clone();
                sent.entry(receiver).or_default().push(row);
            }
        }
    }
    Ok(sent)
}
