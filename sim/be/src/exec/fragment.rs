//! Plan fragments as they come from a frontend, decoded and looked through.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dorisim_wire::TNetworkAddress;
use dorisim_wire::plan::{
    TDataSink, TFileScanRangeParams, TPipelineFragmentParams, TPipelineFragmentParamsList,
    TPlanExpr, TPlanFragmentDestination, TQueryType,
};
use thrift::protocol::TSerializable;

use super::error::{ExecError, plan};
use super::operator::Node;
use super::types::Descriptors;
use crate::brpc::pb::{ExecPlanFragmentPb, UniqueIdPb};
use dorisim_net::compact::CompactInput;
use dorisim_net::protocol::BinaryInput;

/// `PFragmentRequestVersion`: several pipeline fragments in one request.
const PIPELINE_FRAGMENTS: i32 = 3;
/// Longest time that a query may take here, whatever its session says.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Seconds that a query may take when nobody says so.
const DEFAULT_TIMEOUT_S: i32 = 900;

/// A part of a plan. All its instances on this backend run as one.
#[derive(Debug)]
pub struct Fragment {
    /// Id within the query.
    pub id: i32,
    /// Id that the frontend gave to this backend.
    pub backend_id: i64,
    /// The plan; none for a query without rows to read.
    pub root: Option<Node>,
    /// Expressions over the rows of the plan; empty: the rows themselves.
    pub output: Vec<TPlanExpr>,
    /// Where rows go.
    pub sink: TDataSink,
    /// Instances that get them.
    pub destinations: Vec<TPlanFragmentDestination>,
    /// Senders of each exchange node.
    pub senders: BTreeMap<i32, i32>,
    /// Ids of the instances here.
    pub instances: Vec<UniqueIdPb>,
    /// Tablets and versions to read, by scan node.
    pub ranges: BTreeMap<i32, Vec<(i64, i64)>>,
    /// How bodies are read, by scan node.
    pub files: BTreeMap<i32, TFileScanRangeParams>,
}

/// What one request brings.
#[derive(Debug)]
pub struct Request {
    /// Query.
    pub query: UniqueIdPb,
    /// Tuples of all its fragments.
    pub descriptors: Arc<Descriptors>,
    /// How long it may take.
    pub limit: Duration,
    /// Frontend that waits for the end.
    pub coordinator: Option<TNetworkAddress>,
    /// It waits for every fragment.
    pub is_load: bool,
    /// Rows of the result in the binary form of prepared statements.
    pub binary_rows: bool,
    /// The fragments, receivers before senders.
    pub fragments: Vec<Fragment>,
}

/// Reads a request.
///
/// # Errors
/// Other versions of the request, bytes that are none, plan nodes that are not known.
pub fn decode(request: &ExecPlanFragmentPb) -> Result<Request, ExecError> {
    if request.version != Some(PIPELINE_FRAGMENTS) {
        return Err(ExecError::NotSupported(format!(
            "version {:?} of plan fragments",
            request.version
        )));
    }
    let bytes = request.request.as_deref().unwrap_or_default();
    if tracing::enabled!(tracing::Level::TRACE) {
        tracing::trace!(bytes = hex::encode(bytes), "plan fragments");
    }
    let read = if request.compact.unwrap_or(false) {
        TPipelineFragmentParamsList::read_from_in_protocol(&mut CompactInput::new(bytes))
    } else {
        TPipelineFragmentParamsList::read_from_in_protocol(&mut BinaryInput::new(bytes))
    };
    look_through(read.map_err(|error| plan(error.to_string()))?)
}

fn look_through(list: TPipelineFragmentParamsList) -> Result<Request, ExecError> {
    let all = list.params_list.unwrap_or_default();
    let first = all
        .first()
        .ok_or_else(|| plan("a request without fragments"))?;
    let query = first.query_id.clone();
    let descriptors = list.desc_tbl.as_ref().or(first.desc_tbl.as_ref());
    let descriptors = descriptors.map(Descriptors::new).unwrap_or_default();
    let options = list.query_options.as_ref().or(first.query_options.as_ref());
    let seconds = options.and_then(|o| o.execution_timeout.or(o.query_timeout));
    let seconds = u64::try_from(seconds.unwrap_or(DEFAULT_TIMEOUT_S)).unwrap_or(0);
    let is_load = options.is_some_and(|o| o.query_type == Some(TQueryType::LOAD));
    let binary_rows = options.is_some_and(|o| o.mysql_row_binary_format == Some(true));
    let coordinator = list.coord.or_else(|| first.coord.clone());
    Ok(Request {
        query: UniqueIdPb {
            hi: query.hi,
            lo: query.lo,
        },
        descriptors: Arc::new(descriptors),
        limit: Duration::from_secs(seconds).min(LONGEST),
        coordinator,
        is_load,
        binary_rows,
        fragments: all.into_iter().map(fragment).collect::<Result<_, _>>()?,
    })
}

/// The plan of a stream load, which the frontend gives to the backend that has the body.
///
/// # Errors
/// As [`decode`].
pub fn of_load(params: TPipelineFragmentParams) -> Result<Request, ExecError> {
    look_through(TPipelineFragmentParamsList {
        params_list: Some(vec![params]),
        desc_tbl: None,
        coord: None,
        query_globals: None,
        query_options: None,
        query_id: None,
    })
}

fn fragment(params: TPipelineFragmentParams) -> Result<Fragment, ExecError> {
    let fragment = params
        .fragment
        .ok_or_else(|| plan("a fragment without its plan"))?;
    let sink = fragment
        .output_sink
        .ok_or_else(|| plan("a fragment without sink"))?;
    let locals = params.local_params.unwrap_or_default();
    let mut ranges: BTreeMap<i32, Vec<(i64, i64)>> = BTreeMap::new();
    let mut files = params.file_scan_params.unwrap_or_default();
    let mut instances = Vec::new();
    for local in locals {
        instances.push(UniqueIdPb {
            hi: local.fragment_instance_id.hi,
            lo: local.fragment_instance_id.lo,
        });
        for (node, given) in local.per_node_scan_ranges {
            let of_node = ranges.entry(node).or_default();
            for range in given {
                let external = range.scan_range.ext_scan_range;
                if let Some(file) = external.and_then(|range| range.file_scan_range) {
                    files.extend(file.params.map(|params| (node, params)));
                    continue;
                }
                let Some(range) = range.scan_range.palo_scan_range else {
                    return Err(ExecError::NotSupported(
                        "a scan of something that is no tablet".to_owned(),
                    ));
                };
                let version = range.version.parse();
                let version = version.map_err(|_| plan("a version that is no number"))?;
                of_node.push((range.tablet_id, version));
            }
        }
    }
    Ok(Fragment {
        id: params.fragment_id.unwrap_or(0),
        backend_id: params.backend_id.unwrap_or(0),
        root: fragment.plan.map(Node::tree).transpose()?.flatten(),
        output: fragment.output_exprs.unwrap_or_default(),
        sink,
        destinations: params.destinations.unwrap_or_default(),
        senders: params.per_exch_num_senders,
        instances,
        ranges,
        files,
    })
}
